"""WRMSSE and WSPL of a backtest as the M5 competition defines them: sums at twelve levels, weighted by money sold.

Quantiles of a sum come from how far sums of its level were off in other blocks of the backtest, never from adding
quantiles. Scores of single series belong in `scorecard`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retail_assets.demand import metrics
from retail_assets.demand.calibration.backtest import Fold, cross_calibrated, daily_buckets
from retail_assets.demand.calibration.conformal import distribution
from retail_assets.demand.panel import Panel
from retail_assets.demand.scores.competition_levels import LEVELS, aggregated, groups

QUANTILE_LEVELS = (0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995)
"""Those of the M5 uncertainty competition."""


@dataclass(frozen=True, eq=False)
class _Sums:
    """One fold's sums: actual and forecast (N, H) over the observed cells, the scale of their errors (N,)."""

    actual: np.ndarray
    mean: np.ndarray
    step: np.ndarray

    @property
    def scaled(self) -> np.ndarray:
        return (self.actual - self.mean) / np.maximum(self.step, 1e-9)[:, None]


def competition_scores(panel: Panel, folds: Sequence[Fold], name: str) -> dict[str, float]:
    """`wrmsse` and `wspl` of a contender, means over the folds; NaN where nothing was sold before a fold.

    Args:
        panel: the series of the folds, with the history before them.
    """
    pasts = [panel.through(panel.dates[fold.origin - 1].astype(object)) for fold in folds]
    values = [metrics.recent_value(past.units, price=past.price[:, : past.day_count]) for past in pasts]
    judged = [
        {"series": panel.series, "history": past.units, "value": value}
        for past, value in zip(pasts, values, strict=True)
    ]
    quantiles = _quantiles(panel, folds, name, histories=[past.units for past in pasts])
    levels = np.array(QUANTILE_LEVELS)
    each = list(zip(folds, judged, quantiles, strict=True))
    root = [metrics.wrmsse(fold.scored, fold.means[name], **known) for fold, known, _ in each]
    loss = [metrics.wspl(fold.scored, found, levels=levels, **known) for fold, known, found in each]
    return {"wrmsse": float(np.mean(root)), "wspl": float(np.mean(loss))}


def _quantiles(panel: Panel, folds: Sequence[Fold], name: str, *, histories: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(N, H, levels) for each fold: sums by `_of_sums`, single series by their own distribution."""
    level = groups(panel.series)["level"].to_numpy()
    order = np.lexsort(panel.series.loc[:, list(LEVELS[-1])].to_numpy(dtype=str).T[::-1])
    made = _of_sums(panel, folds, name, histories=histories, level=level)
    for found, single in zip(made, _of_series(folds, name), strict=True):
        found[level == len(LEVELS)] = single[order]
    return made


def _of_sums(
    panel: Panel, folds: Sequence[Fold], name: str, *, histories: Sequence[np.ndarray], level: np.ndarray
) -> list[np.ndarray]:
    """Errors over the scale of each sum, pooled by level and week ahead over the other blocks."""
    sums = [_sums(panel, fold, name, history) for fold, history in zip(folds, histories, strict=True)]
    made = [np.empty((*part.mean.shape, len(QUANTILE_LEVELS))) for part in sums]
    for fold, here, found in zip(folds, sums, made, strict=True):
        others = [part for other, part in zip(folds, sums, strict=True) if other.block != fold.block] or sums
        for days in daily_buckets(here.mean.shape[1]):
            for number in np.unique(level):
                rows = level == number
                errors = np.concatenate([part.scaled[rows, days].ravel() for part in others])
                spread = np.nanquantile(errors, QUANTILE_LEVELS) if np.isfinite(errors).any() else np.zeros(9)
                found[rows, days] = here.mean[rows, days, None] + here.step[rows, None, None] * spread
    return [np.maximum(found, 0.0) for found in made]


def _sums(panel: Panel, fold: Fold, name: str, history: np.ndarray) -> _Sums:
    mean = np.where(np.isnan(fold.scored), np.nan, fold.means[name])
    return _Sums(
        actual=aggregated(fold.scored, series=panel.series),
        mean=aggregated(mean, series=panel.series),
        step=metrics.step_scale(aggregated(history, series=panel.series)),
    )


def _of_series(folds: Sequence[Fold], name: str) -> list[np.ndarray]:
    """(n, H, levels) for each fold."""
    made = [np.empty((*fold.actual.shape, len(QUANTILE_LEVELS))) for fold in folds]
    for days in daily_buckets(folds[0].actual.shape[1]):
        calibrations = cross_calibrated(folds, lambda fold, days=days: fold.daily_errors(name, days))
        for fold, found, calibration in zip(folds, made, calibrations, strict=True):
            mean = fold.means[name][:, days]
            profile = fold.profile.for_days(mean.shape[1])
            spread = distribution(mean.ravel(), profile, calibration=calibration, levels=QUANTILE_LEVELS)
            found[:, days] = spread.quantiles.reshape(*mean.shape, -1)
    return made
