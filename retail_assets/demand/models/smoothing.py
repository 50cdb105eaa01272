"""Exponential smoothing and Theta of many series at once: demand (n, T) in, mean of the coming days (n, H) out.

NaN is a day nobody observed: the state waits for the next one. Series without an observed day come out as NaN;
what stands in for them, closed days and the registry of contenders belong in `baselines`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SES_SMOOTHING = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_SEASONAL_SMOOTHING = (0.0, 0.03, 0.1)
_TREND_SHARE = (0.02, 0.1, 0.3)
_DAMPING = (0.9, 0.97)
_START_DAYS = 28
_MIN_TREND_DAYS = 28
_SEASON = 7
_SIGNIFICANCE = 1.645
_LEAST_FACTOR = 0.02
_LEAST_SQUARES = 1e-12
_NEVER = 1e300
_BLOCK = 2048


def by_block(method: Callable[[np.ndarray], np.ndarray], demand: np.ndarray) -> np.ndarray:
    """Runs a method on blocks of series, days in rows: the state of a block stays in the processor's cache."""
    parts = range(0, max(len(demand), 1), _BLOCK)
    return np.concatenate([method(np.ascontiguousarray(demand[low : low + _BLOCK].T)) for low in parts])


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Parameters tried side by side, each one row or G, by one column or n; with a share of 0 a part stays as it was.

    In the form of Hyndman, Koehler, Ord & Snyder (2008), chapter 2: additive errors, trend damped by `damping`.
    """

    level: np.ndarray
    trend: np.ndarray
    season: np.ndarray
    damping: np.ndarray

    @property
    def count(self) -> int:
        return len(self.damping)

    def pick(self, best: np.ndarray) -> "Smoothing":
        """The best row of every series, (1, n)."""
        names, shape = ("level", "trend", "season", "damping"), (self.count, len(best))
        return Smoothing(**{name: _picked(np.broadcast_to(getattr(self, name), shape), best)[None] for name in names})


@dataclass(frozen=True, eq=False)
class SmoothingState:
    """Level and trend (n,) or (G, n), additive weekday terms (7, n) or (7, G, n) by day number modulo 7."""

    level: np.ndarray
    trend: np.ndarray
    season: np.ndarray

    def pick(self, best: np.ndarray) -> "SmoothingState":
        season = np.stack([_picked(term, best) for term in self.season])
        return SmoothingState(_picked(self.level, best), _picked(self.trend, best), season)


def _picked(values: np.ndarray, best: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, best[None], axis=0)[0]


def smooth(values: np.ndarray, start: SmoothingState, smoothing: Smoothing) -> tuple[SmoothingState, np.ndarray]:
    """States after the last day and the sums of squared one-step errors, (G, n), of values (T, n)."""
    seen, filled = ~np.isnan(values), np.nan_to_num(values)
    shape = (smoothing.count, values.shape[1])
    level, trend = (np.array(np.broadcast_to(part, shape)) for part in (start.level, start.trend))
    season = np.array(np.broadcast_to(start.season[:, None], (_SEASON, *shape)))
    has_trend, has_season = bool(np.any(smoothing.trend > 0) or np.any(trend)), bool(np.any(season))
    squares, error = np.zeros(shape), np.empty(shape)
    for day in range(len(values)):
        if has_trend:
            trend *= smoothing.damping
            level += trend
        np.subtract(filled[day], level, out=error)
        if has_season:
            error -= season[day % _SEASON]
        error *= seen[day]
        level += smoothing.level * error
        if has_trend:
            trend += smoothing.trend * error
        if has_season:
            season[day % _SEASON] += smoothing.season * error
        squares += error * error
    return SmoothingState(level, trend, season), squares


def ses(values: np.ndarray, levels: tuple[float, ...] = SES_SMOOTHING) -> tuple[np.ndarray, np.ndarray]:
    """Simple exponential smoothing of values (T, n) from the first observed one: last level and smoothing, (n,).

    The smoothing is the one of `levels` with the least squared one-step error.
    """
    seen = ~np.isnan(values)
    first = np.take_along_axis(values, seen.argmax(axis=0)[None], axis=0)[0]
    still = np.zeros_like(first)
    start = SmoothingState(np.nan_to_num(first), still, np.zeros((_SEASON, len(first))))
    grid = _grid(level=levels)
    state, squares = smooth(values, start, grid)
    best = squares.argmin(axis=0)
    level = np.where(seen.any(axis=0), _picked(state.level, best), np.nan)
    return level, np.asarray(levels)[best]


def _grid(
    *, level: tuple[float, ...], season: tuple[float, ...] = (0.0,), trend: tuple[float, ...] = (0.0,)
) -> Smoothing:
    """Every combination, one a row."""
    made = np.array([(a, b, c) for a in level for b in season for c in trend]).T[:, :, None]
    return Smoothing(level=made[0], season=made[1], trend=made[2], damping=np.ones_like(made[0]))


@dataclass(frozen=True, eq=False)
class _Fit:
    """The best of one form: its state, squared errors and smoothing, and how many values were estimated."""

    state: SmoothingState
    squares: np.ndarray
    smoothing: Smoothing
    parameters: int


def ets(demand: np.ndarray, horizon: int) -> np.ndarray:
    """Mean of the coming days, (n, H): level, level and weekday, or damped trend as well, by least AICc.

    Additive errors throughout (ANN, ANA, AAdA); smoothing on a grid by squared one-step errors.
    """
    return by_block(lambda values: _ets_block(values, horizon), demand)


def _ets_block(values: np.ndarray, horizon: int) -> np.ndarray:
    count = (~np.isnan(values)).sum(axis=0)
    fits = _fits(values)
    cost = np.stack([aicc(fit.squares, count, parameters=fit.parameters) for fit in fits])
    means = np.stack([ahead(fit.state, fit.smoothing, day_count=len(values), horizon=horizon) for fit in fits])
    mean = np.take_along_axis(means, cost.argmin(axis=0)[None, :, None], axis=0)[0]
    return np.where(count[:, None] > 0, mean, np.nan)


def _fits(values: np.ndarray) -> tuple[_Fit, _Fit, _Fit]:
    """The damped trend searches only its own two parameters: level and season keep what they have without it."""
    start = starting_state(values)
    flat = SmoothingState(start.level, start.trend, np.zeros_like(start.season))
    level = _best(values, flat, _grid(level=SES_SMOOTHING), parameters=3)
    weekly = _best(values, start, _grid(level=SES_SMOOTHING[:-1], season=_SEASONAL_SMOOTHING), parameters=10)
    share, damping = (part.ravel()[:, None] for part in np.meshgrid(_TREND_SHARE, _DAMPING))
    found = weekly.smoothing
    damped = Smoothing(found.level, share * found.level, found.season, damping)
    return level, weekly, _best(values, start, damped, parameters=13)


def _best(values: np.ndarray, start: SmoothingState, smoothing: Smoothing, *, parameters: int) -> _Fit:
    state, squares = smooth(values, start, smoothing)
    best = squares.argmin(axis=0)
    return _Fit(state.pick(best), _picked(squares, best), smoothing.pick(best), parameters)


def starting_state(values: np.ndarray) -> SmoothingState:
    """Mean of the first four observed weeks, no trend, and weekday means of all days around their mean."""
    seen, filled = ~np.isnan(values), np.nan_to_num(values)
    early = seen & (np.cumsum(seen, axis=0) <= _START_DAYS)
    level = _over((filled * early).sum(axis=0), early.sum(axis=0))
    mean = _over(filled.sum(axis=0), seen.sum(axis=0))
    weekday = np.stack([_over(filled[k::7].sum(axis=0), seen[k::7].sum(axis=0)) for k in range(_SEASON)])
    season = np.where(np.stack([seen[k::7].any(axis=0) for k in range(_SEASON)]), weekday - mean, 0.0)
    return SmoothingState(level, np.zeros_like(level), season - season.mean(axis=0))


def aicc(squares: np.ndarray, count: np.ndarray, *, parameters: int) -> np.ndarray:
    """Corrected Akaike criterion of Gaussian errors (Hurvich & Tsai 1989); without enough days only the least form."""
    spare = count - parameters - 1
    known = np.maximum(count, 1)
    likelihood = known * np.log(np.maximum(squares / known, _LEAST_SQUARES))
    correction = 2 * parameters + 2 * parameters * (parameters + 1) / np.maximum(spare, 1)
    return np.where(spare > 0, likelihood + correction, _NEVER * parameters)


def ahead(state: SmoothingState, smoothing: Smoothing, *, day_count: int, horizon: int) -> np.ndarray:
    """Mean of the `horizon` days after day `day_count`, (n, H), from states and parameters of one row."""
    steps = np.arange(1, horizon + 1)
    damped = np.cumsum(smoothing.damping[0][:, None] ** steps, axis=1)
    weekday = state.season[(day_count + steps - 1) % _SEASON].T
    return state.level[:, None] + damped * state.trend[:, None] + weekday


def theta(demand: np.ndarray, horizon: int, *, smoothing: tuple[float, ...] = SES_SMOOTHING) -> np.ndarray:
    """The Theta method (Assimakopoulos & Nikolopoulos 2000), (n, H).

    Simple smoothing plus half the slope of a straight line, which is the same (Hyndman & Billah 2003), of series
    freed of a multiplicative week where their autocorrelation shows one.
    """
    return by_block(lambda values: _theta_block(values, horizon, smoothing), demand)


def _theta_block(values: np.ndarray, horizon: int, smoothing: tuple[float, ...]) -> np.ndarray:
    factor = np.where(is_weekly(values), weekday_factors(values), 1.0)
    daily = factor[np.arange(len(values)) % _SEASON]
    adjusted = np.divide(values, daily, out=np.full_like(values, np.nan), where=daily > _LEAST_FACTOR)
    level, alpha = ses(adjusted, smoothing)
    count = (~np.isnan(adjusted)).sum(axis=0)
    drift = slope(adjusted)[:, None] / 2
    passed = ((1 - (1 - alpha) ** count) / alpha)[:, None]
    mean = level[:, None] + drift * (np.arange(horizon) + passed)
    return mean * factor[(len(values) + np.arange(horizon)) % _SEASON].T


def slope(values: np.ndarray) -> np.ndarray:
    """Least-squares change a day of values (T, n), (n,); 0 below four observed weeks."""
    day = _centred_days(values)
    enough = (~np.isnan(values)).sum(axis=0) >= _MIN_TREND_DAYS
    return np.where(enough, _over((day * np.nan_to_num(values)).sum(axis=0), (day**2).sum(axis=0)), 0.0)


def _centred_days(values: np.ndarray) -> np.ndarray:
    """Day numbers around the mean of the observed ones, (T, n); 0 on the others."""
    seen, day = ~np.isnan(values), np.arange(len(values))[:, None]
    return np.where(seen, day - _over((day * seen).sum(axis=0), seen.sum(axis=0)), 0.0)


def is_weekly(values: np.ndarray) -> np.ndarray:
    """Whether the autocorrelation at seven days is significant at 10 % given the shorter ones (Bartlett), (n,).

    Of the series without its straight line: a trend alone would look like a week.
    """
    if len(values) < 3 * _SEASON:
        return np.zeros(values.shape[1], dtype=bool)
    seen = ~np.isnan(values)
    count = seen.sum(axis=0)
    mean = _over(np.nansum(values, axis=0), count)
    offset = np.where(seen, values - mean - slope(values) * _centred_days(values), 0.0)
    power = (offset**2).sum(axis=0)
    lags = [_over((offset[k:] * offset[:-k]).sum(axis=0), power) for k in range(1, _SEASON + 1)]
    limit = _SIGNIFICANCE * np.sqrt((1 + 2 * np.square(lags[:-1]).sum(axis=0)) / np.maximum(count, 1))
    return (count >= 3 * _SEASON) & (lags[-1] > limit)


def weekday_factors(values: np.ndarray) -> np.ndarray:
    """Classical multiplicative decomposition: mean ratio to the centred week of each day, mean 1, (7, n)."""
    if len(values) < 2 * _SEASON:
        return np.ones((_SEASON, values.shape[1]))
    half = _SEASON // 2
    seen, filled = ~np.isnan(values), np.nan_to_num(values)
    week = _over(_weeks(filled), _weeks(seen.astype(float)))
    middle, known = filled[half:-half], seen[half:-half] & (week > 0)
    ratio = np.divide(middle, week, out=np.zeros_like(week), where=known)
    slot = (half + np.arange(len(week))) % _SEASON
    factor = np.stack([_over(ratio[slot == k].sum(axis=0), known[slot == k].sum(axis=0)) for k in range(_SEASON)])
    mean = factor.mean(axis=0)
    return np.where(mean > 0, factor / np.where(mean > 0, mean, 1.0), 1.0)


def _weeks(values: np.ndarray) -> np.ndarray:
    """Sums over seven days in a row, (T - 6, n); added up plainly, as a running sum keeps an outlier's rounding."""
    return np.sum([values[k : len(values) - _SEASON + 1 + k] for k in range(_SEASON)], axis=0)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros(np.shape(top)), where=bottom > 0)
