"""A boosted model of all VN2 series: what a series does beside the faded average, one model for all weeks ahead.

LightGBM with the Tweedie loss starts from the faded average. In training this start is moved by what all series
together sold beside it in the target's week, so that the model learns how series differ and not how a week went.
"""

from dataclasses import dataclass
from typing import Self

import lightgbm as lgb
import numpy as np

from bench.vn2_data import WeeklySales
from bench.vn2_features import Features
from bench.vn2_seasonal import faded_average
from retail_assets.arrays import Array

AHEAD = 5
_FIRST_ORIGIN, _STEP = 60, 2
_ROUNDS = 120
_LEAST = 0.05
_MOST_SHIFT = 3.0
_PARAMETERS = {
    "objective": "tweedie",
    "tweedie_variance_power": 1.3,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 300,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 20.0,
    "num_threads": 2,
    "seed": 1,
    "deterministic": True,
    "verbose": -1,
}


@dataclass(frozen=True)
class BoostedModel:
    """Trained once; forecasts from any later week."""

    booster: lgb.Booster

    @classmethod
    def fit(cls, sales: WeeklySales) -> Self:
        """Learns from every second origin with a year before it; weeks not in stock are no targets.

        Raises:
            ValueError: there are too few weeks to learn from.
        """
        if sales.week_count <= _FIRST_ORIGIN:
            raise ValueError(f"the boosted model needs more than {_FIRST_ORIGIN} weeks, not {sales.week_count}")
        features = Features.of(sales)
        origins = range(sales.week_count - 1, _FIRST_ORIGIN - 1, -_STEP)
        parts = [_examples(sales, features, origin) for origin in origins]
        rows, target, start = (np.concatenate(part) for part in zip(*parts, strict=True))
        data = lgb.Dataset(rows, target, init_score=np.log(start))
        return cls(lgb.train(_PARAMETERS, data, num_boost_round=_ROUNDS))

    def means(self, sales: WeeklySales, ahead: int) -> Array:
        """(n, ahead) expected units of the coming weeks.

        Raises:
            ValueError: more weeks are asked for than the model has learnt.
        """
        if ahead > AHEAD:
            raise ValueError(f"the boosted model forecasts {AHEAD} weeks, not {ahead}")
        rows = Features.of(sales).rows(sales.week_count, ahead)
        factor = np.asarray(self.booster.predict(rows.reshape(-1, rows.shape[2])))
        return factor.reshape(rows.shape[:2]) * (faded_average(sales, ahead) + _LEAST)


def _examples(sales: WeeklySales, features: Features, origin: int) -> tuple[Array, Array, Array]:
    """Features, targets and starts of the known weeks after an origin."""
    ahead = min(AHEAD, sales.week_count - origin)
    target = sales.in_stock_units[:, origin : origin + ahead]
    start = faded_average(sales.before(origin), ahead) + _LEAST
    known = np.isfinite(target)
    together = np.where(known, target, 0.0).sum(axis=0) / np.where(known, start, 0.0).sum(axis=0)
    start = start * np.clip(together, 1 / _MOST_SHIFT, _MOST_SHIFT)
    return features.rows(origin, ahead)[known], target[known], start[known]
