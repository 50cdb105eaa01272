"""Regressions of scikit-learn on the global model's own regressors: a linear one, and boosting by histogram.

Both learn demand over the series' level, so that they compare with LightGBM like for like. Features belong in
`features`, sampling of rows in `global_model`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from retail_assets.demand.models.features import CATEGORICAL, FeatureSource, Vocabulary, design, feature_names
from retail_assets.demand.models.global_model import Boosting, shards, training_rows
from retail_assets.demand.panel import Panel
from retail_assets.failures import PermanentFailure

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

LINEAR_FILE = "pooled_linear.json"
HISTOGRAM_FILE, HISTOGRAM_DESCRIPTION = "pooled_histogram.skops", "pooled_histogram.json"
_RATIO_LIMIT = 20.0
_REGRESSOR_LIMIT = 5.0
_RIDGE = 100.0
_TRUSTED = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


class RatioModel(Protocol):
    """Gives demand over level for rows of regressors."""

    def ratio(self, table: np.ndarray) -> np.ndarray: ...


def _predict(model: RatioModel, panel: Panel, vocabulary: Vocabulary) -> np.ndarray:
    """Mean demand of the coming days, (n, H); 0 on closed days."""
    source, out = FeatureSource(panel, vocabulary), np.empty((panel.series_count, panel.horizon))
    for rows in shards(panel.series_count):
        table, level = design(source, panel.day_count, rows=rows, horizon=panel.horizon)
        ratio = model.ratio(table.reshape(-1, table.shape[-1])).reshape(table.shape[:2])
        out[rows] = np.clip(ratio, 0.0, _RATIO_LIMIT) * level[:, None]
    return np.where(panel.future_is_open, out, 0.0)


@dataclass(frozen=True, eq=False)
class PooledLinear:
    """Ridge on standardised regressors; names (weekday, store, …) become one column a value."""

    vocabulary: Vocabulary
    names: tuple[str, ...]
    center: np.ndarray
    scale: np.ndarray
    categories: dict[str, tuple[float, ...]]
    coefficients: np.ndarray
    intercept: float

    def predict(self, panel: Panel) -> np.ndarray:
        """Mean demand of the coming days, (n, H); 0 on closed days."""
        return _predict(self, panel, self.vocabulary)

    def ratio(self, table: np.ndarray) -> np.ndarray:
        return self.intercept + self.regressors(table) @ self.coefficients

    def regressors(self, table: np.ndarray) -> np.ndarray:
        """Standardised, missing values at the mean, far ones cut at 5 deviations; then the columns of names."""
        numeric = [number for number, name in enumerate(self.names) if name not in CATEGORICAL]
        standard = np.nan_to_num((table[:, numeric] - self.center) / self.scale)
        named = [
            (table[:, [self.names.index(name)]] == np.array(values)).astype(np.float32)
            for name, values in self.categories.items()
        ]
        clipped = np.clip(standard, -_REGRESSOR_LIMIT, _REGRESSOR_LIMIT)
        return np.concatenate([clipped, *named], axis=1, dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Writes the coefficients as JSON into `folder`."""
        described = {
            "vocabulary": asdict(self.vocabulary),
            "names": self.names,
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "categories": self.categories,
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
        }
        (folder / LINEAR_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_pooled_linear(folder: Path) -> PooledLinear:
    """Reads what `PooledLinear.save` wrote."""
    read = json.loads((folder / LINEAR_FILE).read_text(encoding="utf-8"))
    return PooledLinear(
        vocabulary=_vocabulary(read["vocabulary"]),
        names=tuple(read["names"]),
        center=np.array(read["center"], dtype=np.float32),
        scale=np.array(read["scale"], dtype=np.float32),
        categories={name: tuple(values) for name, values in read["categories"].items()},
        coefficients=np.array(read["coefficients"], dtype=np.float32),
        intercept=read["intercept"],
    )


def _vocabulary(read: dict[str, list[str]]) -> Vocabulary:
    return Vocabulary(**{name: tuple(values) for name, values in read.items()})


def fit_pooled_linear(panel: Panel, boosting: Boosting) -> PooledLinear:
    """Ridge on the rows the global model would learn from; big sellers count by the square root of their level."""
    source = FeatureSource(panel, Vocabulary.of(panel))
    names = tuple(feature_names(source))
    table, demand, level, weight = training_rows(source, boosting)
    numeric = table[:, [number for number, name in enumerate(names) if name not in CATEGORICAL]]
    known = np.isfinite(numeric)
    count = np.maximum(known.sum(axis=0), 1)
    center = np.where(known, numeric, 0).sum(axis=0, dtype=np.float64) / count
    spread = np.sqrt((np.where(known, numeric - center, 0) ** 2).sum(axis=0, dtype=np.float64) / count)
    categories = {name: _values(table[:, names.index(name)]) for name in CATEGORICAL}
    empty = PooledLinear(
        vocabulary=source.vocabulary,
        names=names,
        center=center.astype(np.float32),
        scale=np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
        categories=categories,
        coefficients=np.zeros(0, dtype=np.float32),
        intercept=0.0,
    )
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=_RIDGE)
    ratio = np.clip(demand / level, 0.0, _RATIO_LIMIT)
    ridge.fit(empty.regressors(table).astype(np.float64), ratio, sample_weight=weight * np.sqrt(level))
    found = {"coefficients": ridge.coef_.astype(np.float32), "intercept": float(ridge.intercept_)}
    return PooledLinear(**{**_fields(empty), **found})


def _fields(model: PooledLinear) -> dict:
    return {name: getattr(model, name) for name in model.__dataclass_fields__}


def _values(column: np.ndarray) -> tuple[float, ...]:
    return tuple(np.unique(column[np.isfinite(column)]).astype(float).tolist())


@dataclass(frozen=True, eq=False)
class PooledHistogram:
    """scikit-learn's boosting by histogram, Poisson loss on demand over level weighted by the level."""

    vocabulary: Vocabulary
    regressor: "HistGradientBoostingRegressor"

    def predict(self, panel: Panel) -> np.ndarray:
        """Mean demand of the coming days, (n, H); 0 on closed days."""
        return _predict(self, panel, self.vocabulary)

    def ratio(self, table: np.ndarray) -> np.ndarray:
        return self.regressor.predict(table)

    def save(self, folder: Path) -> None:
        """Writes the trees in the skops format, which runs no code when read, and JSON into `folder`."""
        from skops import io as skops_io  # loads half of SciPy, and only models with this family are kept

        skops_io.dump(self.regressor, folder / HISTOGRAM_FILE)
        described = {"vocabulary": asdict(self.vocabulary)}
        (folder / HISTOGRAM_DESCRIPTION).write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_pooled_histogram(folder: Path) -> PooledHistogram:
    """Reads what `PooledHistogram.save` wrote.

    Raises:
        PermanentFailure: the file holds types that such a model does not consist of.
    """
    from skops import io as skops_io

    path = folder / HISTOGRAM_FILE
    strange = sorted(set(skops_io.get_untrusted_types(file=path)) - set(_TRUSTED))
    if strange:
        raise PermanentFailure(f"{path} holds {', '.join(strange)}, which no such model consists of; train it anew.")
    described = json.loads((folder / HISTOGRAM_DESCRIPTION).read_text(encoding="utf-8"))
    return PooledHistogram(_vocabulary(described["vocabulary"]), skops_io.load(path, trusted=list(_TRUSTED)))


def fit_pooled_histogram(panel: Panel, boosting: Boosting) -> PooledHistogram:
    """Boosting on the rows the global model would learn from."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    source = FeatureSource(panel, Vocabulary.of(panel))
    table, demand, level, weight = training_rows(source, boosting)
    regressor = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=boosting.learning_rate,
        max_iter=boosting.trees,
        max_leaf_nodes=boosting.leaves,
        min_samples_leaf=100,
        l2_regularization=5.0,
        max_bins=127,
        max_features=0.6,
        early_stopping=False,  # pyright: ignore[reportArgumentType] its default is a text
        random_state=boosting.seed,
    )
    regressor.fit(_without_empty(table), demand / level, sample_weight=weight * level)
    return PooledHistogram(source.vocabulary, regressor)


def _without_empty(table: np.ndarray) -> np.ndarray:
    """A column never known becomes 0: scikit-learn finds no bins for it, and a constant is never split."""
    return np.where(np.isnan(table).all(axis=0), np.float32(0), table)
