"""Rolling-origin backtests: what contenders would have forecast at past origins, beside what came.

A contender is `panel -> mean (n, H)` and only ever gets a panel cut at the origin. Judging belongs in `training`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retail_assets.demand.calibration.conformal import (
    DAILY_BUCKETS,
    GRID,
    Calibration,
    CalibrationSet,
    Errors,
    SeriesProfile,
    calibrate,
)
from retail_assets.demand.metrics import mase_scale, rmsse_scale
from retail_assets.demand.panel import Panel

_ENOUGH_WEEKS, _LEVEL_DAYS = 8, 28
Contender = Callable[[Panel], np.ndarray]
Contenders = Mapping[str, Contender] | Callable[[Panel], Mapping[str, np.ndarray]]
"""By name, or one function that makes all their means, where some are made of others."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One origin: (n, H) arrays; NaN where nothing is known of the day, 0 where the store was closed.

    `step` and `season_step` (n,) are what the errors of RMSSE and MASE are scaled by, as of the origin. Folds of one
    `block` come from contenders fitted once, before the first of them.
    """

    origin: int
    actual: np.ndarray
    scored: np.ndarray
    profile: SeriesProfile
    step: np.ndarray
    season_step: np.ndarray
    means: dict[str, np.ndarray]
    block: int = 0

    def daily_errors(self, name: str, days: slice) -> Errors:
        mean = self.means[name][:, days]
        return Errors(mean.ravel(), self.scored[:, days].ravel(), self.profile.for_days(mean.shape[1]))

    def total_errors(self, name: str, days: int) -> Errors:
        """Of the sum over the first `days` days; unknown when one of them is."""
        return Errors(self.means[name][:, :days].sum(axis=1), self.actual[:, :days].sum(axis=1), self.profile)


def joined(parts: Sequence[Errors]) -> Errors:
    profiles = [part.profile for part in parts]
    profile = SeriesProfile(
        segment=np.concatenate([profile.segment for profile in profiles]),
        dispersion=np.concatenate([profile.dispersion for profile in profiles]),
        is_whole=np.concatenate([profile.is_whole for profile in profiles]),
        series=_series_of(profiles),
    )
    mean = np.concatenate([part.mean for part in parts])
    return Errors(mean, np.concatenate([part.actual for part in parts]), profile)


def _series_of(profiles: Sequence[SeriesProfile]) -> np.ndarray | None:
    numbers = [profile.series for profile in profiles if profile.series is not None]
    return np.concatenate(numbers) if len(numbers) == len(profiles) else None


def fold_origins(day_count: int, *, window: int, step: int = 7) -> list[int]:
    """Origins a step apart inside the last `window` days, each with at least a step of actuals, oldest first."""
    oldest = max(day_count - window, step)
    return sorted(range(day_count - step, oldest - 1, -step))


def rolling_origin(panel: Panel, contenders: Contenders, *, origins: Sequence[int], block: int = 0) -> list[Fold]:
    """Runs every contender at every origin (number of days known) inside the panel's history."""
    return [replace(_fold(panel, contenders, origin=origin), block=block) for origin in origins]


def _means(past: Panel, contenders: Contenders) -> dict[str, np.ndarray]:
    if callable(contenders):
        return dict(contenders(past))
    return {name: contender(past) for name, contender in contenders.items()}


def _fold(panel: Panel, contenders: Contenders, *, origin: int) -> Fold:
    past = panel.through(panel.dates[origin - 1].astype(object))
    horizon = min(panel.horizon, panel.day_count - origin)
    actual = np.full((panel.series_count, panel.horizon), np.nan)
    ahead = slice(origin, origin + horizon)
    actual[:, :horizon] = np.where(panel.is_open[:, ahead], panel.demand[:, ahead], 0.0)
    actual[np.isnan(past.demand).all(axis=1)] = np.nan
    hidden = np.zeros(actual.shape, dtype=bool)
    hidden[:, :horizon] = panel.is_censored[:, ahead] | ~panel.is_open[:, ahead]
    return Fold(
        origin=origin,
        actual=actual,
        scored=np.where(hidden, np.nan, actual),
        profile=SeriesProfile.of(past),
        step=rmsse_scale(past.demand),
        season_step=mase_scale(past.demand),
        means=_means(past, contenders),
    )


def cross_calibrated(folds: Sequence[Fold], errors: Callable[[Fold], Errors]) -> list[Calibration]:
    """For each fold the calibration on the errors of all other blocks; a single block is calibrated on itself.

    Folds of a block share weeks of what came, so a fold must not be judged by its neighbours.
    """
    made: dict[int, Calibration] = {}
    told = [errors(fold) for fold in folds]
    for block in {fold.block for fold in folds}:
        others = [part for fold, part in zip(folds, told, strict=True) if fold.block != block]
        made[block] = calibrate(joined(others or told))
    return [made[fold.block] for fold in folds]


def daily_buckets(horizon: int) -> list[slice]:
    """The days that share a calibration."""
    edges = [0, *(bucket for bucket in DAILY_BUCKETS if bucket < horizon), horizon]
    return [slice(low, high) for low, high in zip(edges[:-1], edges[1:], strict=True)]


def calibration_set(folds: Sequence[Fold], name: str, *, horizon: int) -> CalibrationSet:
    """Calibrates one contender's days by bucket of horizons, and its totals over 1 … `horizon` days.

    The fewer weeks the errors are of, the wider. What no week was long enough to show leans on the next shorter kind:
    days of the bucket before, totals over a day less, which widen by what is uncertain of the level itself.
    """
    daily: list[Calibration] = []
    for days in daily_buckets(horizon):
        daily.append(_calibrated([fold.daily_errors(name, days) for fold in folds], daily[-1:]))
    totals: list[Calibration] = []
    for count in range(1, horizon + 1):
        shorter = [_spread(made, _growth(count)) for made in totals[-1:]]
        totals.append(_calibrated([fold.total_errors(name, count) for fold in folds], shorter))
    return CalibrationSet(tuple(daily), tuple(totals))


def _calibrated(parts: Sequence[Errors], shorter: Sequence[Calibration]) -> Calibration:
    """Of the errors of each fold; that of the shorter kind, where there is one and no fold knows what came.

    A new week differs from `weeks` seen ones as from their mean: by √(1 + 1 / weeks) times what they differ by.
    """
    weeks = sum(bool(np.isfinite(part.actual).any()) for part in parts)
    if not weeks and shorter:
        return shorter[0]
    return _spread(calibrate(joined(parts)), np.sqrt(1 + 1 / weeks) if 0 < weeks < _ENOUGH_WEEKS else 1.0)


def _growth(days: int) -> float:
    """What scaled errors of a total over `days` days are to those over a day less, of a level known from four weeks.

    Independent days add `days` variances, an error of the level itself days² / 28.
    """
    return float(np.sqrt((1 + days / _LEVEL_DAYS) / (1 + (days - 1) / _LEVEL_DAYS)))


def _spread(calibration: Calibration, factor: float) -> Calibration:
    """The calibration with its quantiles moved away from their median."""
    if factor == 1:
        return calibration
    middle = calibration.table[..., [int(np.searchsorted(GRID, 0.5))]]
    return replace(calibration, table=middle + factor * (calibration.table - middle))
