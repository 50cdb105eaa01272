"""What a contender expects too much or too little of a demand class, and the factor that takes it out.

A factor is estimated on other weeks than those it is judged on, so that contenders compare as they would serve. Whether
it pays is judged in `tournament`; errors around the corrected means belong in `conformal`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from retail_assets.demand.calibration.backtest import Fold
from retail_assets.demand.noise import ratio_error
from retail_assets.demand.pooling import say_of_totals
from retail_assets.tables.gold import DEMAND_CLASSES, NO_SALE

BOUNDS = (0.8, 1.25)
CORRECTED_CLASSES = tuple(name for name in DEMAND_CLASSES if name != NO_SALE)
Factors = dict[str, float]
"""Of each demand class; a class that is not in it is left as it is."""


def bias_factor(actual: np.ndarray, forecast: np.ndarray, *, lag: int) -> float:
    """What forecasts of weekly origins (m,) are multiplied by: actual over forecast, as far as it is more than noise.

    The gap to 1 is shrunk by 1 − (standard error / gap)², at least to 0 (James & Stein 1961, positive part): few units,
    few weeks and weeks that disagree correct little. Never beyond `BOUNDS`; 1 where nothing was forecast.

    >>> round(bias_factor(np.array([90.0, 88.0, 92.0, 90.0]), np.full(4, 100.0), lag=0), 3)
    0.901
    >>> bias_factor(np.array([60.0, 120.0, 70.0, 140.0]), np.full(4, 100.0), lag=0)
    1.0
    """
    if not len(forecast) or forecast.sum() <= 0:
        return 1.0
    off = float(actual.sum() / forecast.sum()) - 1
    error = ratio_error(actual, forecast, lag=lag)
    kept = max(1 - (error / off) ** 2, 0.0) if off else 0.0
    return float(np.clip(1 + kept * off, *BOUNDS))


def corrected(folds: Sequence[Fold], name: str, kinds: Sequence[str]) -> tuple[list[Fold], Factors]:
    """The folds with one contender's means corrected in the classes `kinds`, and the factors of all blocks together.

    Each block is corrected by what the other blocks say.
    """
    actual, forecast = _class_units(folds, name, kinds)
    block, lag = np.array([fold.block for fold in folds]), folds[0].actual.shape[1] // 7
    of_block = {left: _factors(actual, forecast, block != left, kinds, lag) for left in np.unique(block).tolist()}
    means = [applied(fold.means[name], fold.profile.segment, of_block[fold.block]) for fold in folds]
    made = [replace(fold, means={**fold.means, name: mean}) for fold, mean in zip(folds, means, strict=True)]
    return made, _factors(actual, forecast, np.ones(len(folds), dtype=bool), kinds, lag)


def applied(mean: np.ndarray, segment: np.ndarray, factors: Mapping[str, float]) -> np.ndarray:
    """Means (n, H) of series in classes `segment` (n,), times the factor of their class."""
    factor = np.ones(len(mean))
    for name, value in factors.items():
        factor[segment == name] = value
    return mean * factor[:, None]


def _factors(actual: np.ndarray, forecast: np.ndarray, kept: np.ndarray, kinds: Sequence[str], lag: int) -> Factors:
    return {
        name: bias_factor(actual[kept, number], forecast[kept, number], lag=lag) for number, name in enumerate(kinds)
    }


def _class_units(folds: Sequence[Fold], name: str, kinds: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Known demand and what was expected of it, (folds, classes); no series has the say in either."""
    known = [~np.isnan(fold.actual) for fold in folds]
    came = _sums([fold.actual for fold in folds], known)
    expected = _sums([fold.means[name] for fold in folds], known)
    segment = np.array([fold.profile.segment for fold in folds])
    actual, forecast = (np.zeros((len(folds), len(kinds))) for _ in range(2))
    for column, kind in enumerate(kinds):
        here = np.where(segment == kind, expected, 0.0)
        missed = np.where(segment == kind, came - expected, 0.0)
        forecast[:, column] = here @ say_of_totals(here.sum(axis=0))
        actual[:, column] = forecast[:, column] + missed @ say_of_totals(np.abs(missed).sum(axis=0))
    return actual, forecast


def _sums(days: Sequence[np.ndarray], known: Sequence[np.ndarray]) -> np.ndarray:
    """Units of each series on its known days, (folds, n)."""
    return np.array([np.where(seen, units, 0.0).sum(axis=1) for units, seen in zip(days, known, strict=True)])
