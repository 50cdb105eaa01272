"""One LightGBM for all series and all horizons: the horizon is a regressor, the rows come from many past origins.

The tree ensemble learns the log ratio of demand to the series' level, so series of any size share it.
Features belong in `features`, the choice between models in `training`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object

from retail_assets.demand.models.features import CATEGORICAL, FeatureSource, Vocabulary, design, feature_names
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import within_reach

if TYPE_CHECKING:
    import lightgbm as lgb

_NAME = "global_model"
_WARM_UP_DAYS = 28
_PREDICT_ROWS = 4096
_GOLDEN = 0x9E3779B97F4A7C15
_MOST_TIMES_LEVEL, _MOST_UNITS = 20.0, 20.0
"""A day counts as at most so many times its level and units more: Tweedie gradients grow with the demand itself."""


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

    booster: "lgb.Booster"
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


def save_ensemble(path: Path, booster: "lgb.Booster", vocabulary: Vocabulary, *, threads: int) -> None:
    """Writes LightGBM text and JSON beside each other; `path` has no ending."""
    path.with_suffix(".txt").write_text(booster.model_to_string(), encoding="utf-8")
    described = {"threads": threads, "vocabulary": asdict(vocabulary)}
    path.with_suffix(".json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def load_ensemble(path: Path) -> tuple["lgb.Booster", Vocabulary, int]:
    """Reads what `save_ensemble` wrote."""
    import lightgbm as lgb

    described = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    vocabulary = Vocabulary(**{name: tuple(values) for name, values in described["vocabulary"].items()})
    booster = lgb.Booster(model_str=path.with_suffix(".txt").read_text(encoding="utf-8"))
    return booster, vocabulary, described["threads"]


def fit_global(panel: Panel, boosting: Boosting) -> GlobalModel:
    """Fits on the panel's history: every origin sees only what lay before it."""
    import lightgbm as lgb

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
    """Regressors, demand, level and weight of the cells learned from; no series has the say in them.

    A series draws the same random cells whichever other series there are, weighs no more than the next largest of its
    department, and a day far above its level counts as less.
    """
    panel, origins = source.panel, _origins(source.panel, boosting)
    cells = sum(min(panel.horizon, panel.day_count - origin) for origin in origins) * panel.series_count
    share = min(1.0, boosting.rows_of(panel.series_count) / max(cells, 1))
    draw = _Draw.of(panel, boosting.seed)
    parts = [_rows_of_origin(source, origin, share=share, draw=draw) for origin in origins]
    age = np.repeat([panel.day_count - origin for origin in origins], [len(part[1]) for part in parts])
    table, demand, level, say = (np.concatenate(column) for column in zip(*parts, strict=True))
    return table, demand, level, say * 0.5 ** (age / boosting.half_life_days)


@dataclass(frozen=True, eq=False)
class _Draw:
    """Even random numbers that belong to a series: other series in the panel do not change them."""

    key: np.ndarray

    @classmethod
    def of(cls, panel: Panel, seed: int) -> "_Draw":
        names = panel.series.loc[:, ["store_id", "product_id"]].astype(str)
        hashes: pd.Series = hash_pandas_object(names, index=False)  # pyright: ignore
        return cls(_mixed(hashes.to_numpy() + np.uint64(seed)))

    def even(self, day: int, columns: int) -> np.ndarray:
        """(n, columns), 0 … 1, for one day."""
        place = np.arange(columns, dtype=np.uint64)[None, :] + np.uint64(day << 16)
        return (_mixed(self.key[:, None] + place * np.uint64(_GOLDEN)) >> np.uint64(11)) * 2.0**-53


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _rows_of_origin(source: FeatureSource, origin: int, *, share: float, draw: _Draw) -> tuple[np.ndarray, ...]:
    """A share of one origin's cells: series are thinned first, for memory, then horizons."""
    panel = source.panel
    horizon = min(panel.horizon, panel.day_count - origin)
    series_share = min(1.0, share * 4)
    chance = draw.even(origin, horizon + 1)
    rows = np.flatnonzero(chance[:, 0] < series_share)
    table, level = design(source, origin, rows=rows, horizon=horizon)
    demand = np.minimum(
        source.demand[rows, origin : origin + horizon], (_MOST_TIMES_LEVEL * level + _MOST_UNITS)[:, None]
    )
    kept = ~np.isnan(demand) & (chance[rows, 1:] < share / series_share)
    every = source.level(origin)
    say = np.sqrt(np.minimum(within_reach(every, source.groups["department"]) / every, 1.0))[rows]
    level, say = (np.broadcast_to(column[:, None], demand.shape)[kept] for column in (level, say))
    return table[kept], demand[kept], level, say
