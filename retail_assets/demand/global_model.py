"""One LightGBM for all series and all horizons: the horizon is a regressor, the rows come from many past origins.

The tree ensemble learns the log ratio of demand to the series' level, so series of any size share it.
Features belong in `features`, the choice between models in `training`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np

from retail_assets.demand.features import CATEGORICAL, FeatureSource, Vocabulary, design, feature_names
from retail_assets.demand.panel import Panel

_NAME = "global_model"
_WARM_UP_DAYS = 28
_PREDICT_ROWS = 4096


@dataclass(frozen=True)
class Boosting:
    """How the ensemble is fitted.

    It learns from `rows_per_series` cells a series, from `least_rows` at least where there are as many and from
    `max_rows` at most, for memory and time; others are sampled away. An origin `half_life_days` older counts half.
    """

    trees: int = 200
    leaves: int = 31
    learning_rate: float = 0.05
    max_origins: int = 52
    origin_step_days: int = 7
    rows_per_series: int = 180
    least_rows: int = 150_000
    max_rows: int = 400_000
    half_life_days: float = 240.0
    seed: int = 20260
    threads: int = 2

    def rows_of(self, series_count: int) -> int:
        """Cells learned from."""
        return min(max(self.rows_per_series * series_count, self.least_rows), self.max_rows)

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "objective": "tweedie",
            "tweedie_variance_power": 1.5,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": 100,
            "feature_fraction": 0.6,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "max_bin": 127,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbosity": -1,
        }


@dataclass(frozen=True, eq=False)
class GlobalModel:
    """A fitted ensemble and the numbers it gave to events."""

    booster: lgb.Booster
    vocabulary: Vocabulary
    threads: int

    def predict(self, panel: Panel) -> np.ndarray:
        """Mean demand of the coming days, (n, H); 0 on closed days."""
        return np.concatenate([self.predict_part(part) for part in self.parts(panel)])

    def source(self, panel: Panel) -> FeatureSource:
        return FeatureSource(panel, self.vocabulary)

    def parts(self, panel: Panel) -> Iterator[FeatureSource]:
        """The shards of a panel, each with all that `predict_part` needs of it, in the order of `shards`."""
        source = self.source(panel)
        return (source.part(rows, panel.day_count) for rows in shards(panel.series_count))

    def predict_part(self, part: FeatureSource) -> np.ndarray:
        """Mean demand of the coming days of a shard's series, (rows, H); runs in any process."""
        panel, rows = part.panel, np.arange(part.panel.series_count)
        table, level = design(part, panel.day_count, rows=rows, horizon=panel.horizon)
        flat = table.reshape(-1, table.shape[-1])
        log_ratio = np.asarray(self.booster.predict(flat, raw_score=True, num_threads=self.threads))
        mean = np.exp(log_ratio).reshape(table.shape[:2]) * level[:, None]
        return np.where(panel.future_is_open, mean, 0.0)

    def save(self, folder: Path) -> None:
        save_ensemble(folder / _NAME, self.booster, self.vocabulary, threads=self.threads)


def load_global(folder: Path) -> GlobalModel:
    """Reads what `GlobalModel.save` wrote."""
    return GlobalModel(*load_ensemble(folder / _NAME))


def save_ensemble(path: Path, booster: lgb.Booster, vocabulary: Vocabulary, *, threads: int) -> None:
    """Writes LightGBM text and JSON beside each other; `path` has no ending."""
    path.with_suffix(".txt").write_text(booster.model_to_string(), encoding="utf-8")
    described = {"threads": threads, "vocabulary": asdict(vocabulary)}
    path.with_suffix(".json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_ensemble(path: Path) -> tuple[lgb.Booster, Vocabulary, int]:
    """Reads what `save_ensemble` wrote."""
    described = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    vocabulary = Vocabulary(**{name: tuple(values) for name, values in described["vocabulary"].items()})
    booster = lgb.Booster(model_str=path.with_suffix(".txt").read_text(encoding="utf-8"))
    return booster, vocabulary, described["threads"]


def fit_global(panel: Panel, boosting: Boosting) -> GlobalModel:
    """Fits on the panel's history: every origin sees only what lay before it."""
    vocabulary = Vocabulary.of(panel)
    source = FeatureSource(panel, vocabulary)
    table, demand, level, weight = training_rows(source, boosting)
    rows = lgb.Dataset(
        table,
        label=demand,
        weight=weight,
        init_score=np.log(level),
        feature_name=feature_names(source),
        categorical_feature=list(CATEGORICAL),
    )
    booster = lgb.train(boosting.parameters, rows, num_boost_round=boosting.trees)
    return GlobalModel(lgb.Booster(model_str=booster.model_to_string()), vocabulary, boosting.threads)


def shards(count: int) -> Sequence[np.ndarray]:
    """Row numbers in parts small enough to hold their features."""
    return np.array_split(np.arange(count), max(1, -(-count // _PREDICT_ROWS)))


def _origins(panel: Panel, boosting: Boosting) -> list[int]:
    """Newest first, a week of targets at least; weekdays of origins rotate when the step is no whole week."""
    newest = panel.day_count - min(7, panel.day_count // 2)
    oldest = min(_WARM_UP_DAYS, newest)
    return list(range(newest, oldest - 1, -boosting.origin_step_days))[: boosting.max_origins]


def training_rows(source: FeatureSource, boosting: Boosting) -> tuple[np.ndarray, ...]:
    """Regressors, demand, level and weight of the cells learned from."""
    panel, origins = source.panel, _origins(source.panel, boosting)
    rng = np.random.default_rng(boosting.seed)
    cells = sum(min(panel.horizon, panel.day_count - origin) for origin in origins) * panel.series_count
    share = min(1.0, boosting.rows_of(panel.series_count) / max(cells, 1))
    parts = [_rows_of_origin(source, origin, share=share, rng=rng) for origin in origins]
    age = np.repeat([panel.day_count - origin for origin in origins], [len(part[1]) for part in parts])
    table, demand, level = (np.concatenate(column) for column in zip(*parts, strict=True))
    return table, demand, level, 0.5 ** (age / boosting.half_life_days)


def _rows_of_origin(
    source: FeatureSource, origin: int, *, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A share of one origin's cells: series are thinned first, for memory, then horizons."""
    panel = source.panel
    horizon = min(panel.horizon, panel.day_count - origin)
    series_share = min(1.0, share * 4)
    rows = np.flatnonzero(rng.random(panel.series_count) < series_share)
    table, level = design(source, origin, rows=rows, horizon=horizon)
    demand = source.demand[rows, origin : origin + horizon]
    kept = ~np.isnan(demand) & (rng.random(demand.shape) < share / series_share)
    return table[kept], demand[kept], np.broadcast_to(level[:, None], demand.shape)[kept]
