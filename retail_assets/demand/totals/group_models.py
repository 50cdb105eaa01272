"""Models of one group's total: fitted to numbers that fit in a line of JSON, and run again on the series of any day.

A new model is one more entry in `MODELS`: how it is fitted and what it expects of the coming days. Which model a level
uses is decided in `aggregate`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from retail_assets.demand.totals.group_series import GroupSeries
from retail_assets.tables.forecast import NAIVE

WEEK = 7
Order = tuple[int, int, int]
_LEVEL_GRID = (0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.35)
_SEASON_GRID = (0.005, 0.015, 0.03, 0.06)
_START_DAYS = 56
_FILTER_DAYS = 200
_STILL = 1e-6
_MOST = 5.0
_LOG_LIMIT = 100.0
_RIDGE = 0.5
"""Days of a regressor at 1 without any effect that are added to what was seen."""
_ZERO_SHARE = 0.02


@dataclass(frozen=True)
class Fit:
    """A fitted model of one group: coefficients of the regressors, then parameters of the errors.

    `unit` is what a total is divided by before it is modelled; 0 means that its log is.
    """

    model: str
    unit: float
    effects: tuple[float, ...] = ()
    order: Order = (0, 0, 0)
    params: tuple[float, ...] = ()
    variance: float = 0.0


@dataclass(frozen=True)
class GroupModel:
    """How a model is fitted to a group, and what it forecasts of (fit, group) in the fit's scale, (H,)."""

    fit: Callable[[GroupSeries, float, Order], Fit]
    expected: Callable[[Fit, GroupSeries], np.ndarray]


def fitted(model: str, group: GroupSeries, *, order: Order = (1, 0, 1)) -> Fit:
    """Fits one of `MODELS`; `order` is that of the ARIMA errors, where there are any.

    Raises:
        ValueError: the group has no day with demand, or the model cannot be fitted to it.
    """
    known = group.total[~np.isnan(group.total)]
    if not (known > 0).any():
        raise ValueError("no demand")
    is_log = (known <= 0).mean() <= _ZERO_SHARE
    return MODELS[model].fit(group, 0.0 if is_log else float(known.mean()), order)


def forecast(fit: Fit, group: GroupSeries) -> np.ndarray:
    """Expected total on the coming days, (H,): the demand of the stores that will be open.

    Raises:
        ValueError: the model says what cannot be: errors that explode, or a total far above all that was ever sold.
    """
    value = MODELS[fit.model].expected(fit, group)
    if fit.unit == 0:
        total = np.exp(np.minimum(value + fit.variance / 2, _LOG_LIMIT))
    else:
        total = np.maximum(value, 0.0) * fit.unit
    most = _MOST * np.nanmax(group.total, initial=0.0)
    if not (total <= most).all():
        raise ValueError(f"it expects {total.max():.4g} on a day, and {most:.4g} would be {_MOST:g} times the record")
    return total * group.open_share[group.day_count :]


def searched_order(group: GroupSeries, *, difference: int) -> Order:
    """pmdarima's stepwise search on what the regressors leave unexplained."""
    import pmdarima  # loads Matplotlib, and only a training searches

    fit = fitted("regression", group)
    rest = _rest(fit, group)
    if rest.std() < _STILL:
        return (0, 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pmdarima.auto_arima(
            rest,
            seasonal=False,
            d=difference,
            start_p=1 - difference,
            start_q=1,
            max_p=3,
            max_q=2,
            maxiter=20,
            error_action="ignore",
        )
    return found.order


def _scaled(group: GroupSeries, unit: float) -> np.ndarray:
    """History in the model's scale, (T,); NaN where nothing is known or, in logs, nothing was sold."""
    if unit > 0:
        return group.total / unit
    return np.log(group.total, out=np.full(group.day_count, np.nan), where=np.nan_to_num(group.total) > 0)


def _bridged(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).interpolate(limit_direction="both").to_numpy()


def _regressors(group: GroupSeries) -> np.ndarray:
    return np.column_stack([np.ones(len(group.season)), group.effects, group.season])


def _regression(group: GroupSeries, unit: float, order: Order) -> Fit:
    """Ridge: a price that hardly ever moved must not explain what chance did, one that never did gets no effect."""
    values, table = _bridged(_scaled(group, unit)), _regressors(group)[: group.day_count]
    penalty = np.full(table.shape[1], _RIDGE)
    penalty[0] = 0.0
    effects = np.linalg.solve(table.T @ table + np.diag(penalty), table.T @ values)
    return Fit("regression", unit, _floats(effects), variance=float((values - table @ effects).var()))


def _expected_by_regression(fit: Fit, group: GroupSeries) -> np.ndarray:
    return (_regressors(group) @ np.array(fit.effects))[group.day_count :]


def _rest(fit: Fit, group: GroupSeries) -> np.ndarray:
    """What the regressors leave of the history, (T,)."""
    expected = _regressors(group)[: group.day_count] @ np.array(fit.effects)
    return _bridged(_scaled(group, fit.unit)) - expected


def _arima_named(name: str) -> GroupModel:
    def fit(group: GroupSeries, unit: float, order: Order) -> Fit:
        from statsmodels.tsa.arima.model import ARIMA

        plain = _regression(group, unit, order)
        rest = _rest(plain, group)
        if rest.std() < _STILL:
            return Fit(name, unit, plain.effects)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ARIMA(rest, order=order, trend="n").fit(method="innovations_mle", cov_type="none")
        params = _floats(found.params)
        return Fit(name, unit, plain.effects, order, params, params[-1])

    return GroupModel(fit, _expected_by_arima)


def _expected_by_arima(fit: Fit, group: GroupSeries) -> np.ndarray:
    expected = _expected_by_regression(fit, group)
    if not fit.params:
        return expected
    from statsmodels.tsa.arima.model import ARIMA

    rest = _rest(fit, group)[-_FILTER_DAYS:]
    state = ARIMA(rest, order=fit.order, trend="n").filter(fit.params, cov_type="none")
    return expected + np.asarray(state.forecast(len(expected)))


def _smoothing(group: GroupSeries, unit: float, order: Order) -> Fit:
    """Additive level and weekday, ETS(A,N,A): the pair of a grid with the least squared one-step error."""
    return _smoothed(Fit("ets", unit), _scaled(group, unit))


def _smoothed(fit: Fit, values: np.ndarray) -> Fit:
    grid = np.array(list(product(_LEVEL_GRID, _SEASON_GRID)))
    _, _, errors = exponential_smoothing(values, grid[:, 0], grid[:, 1])
    loss = np.nanmean(errors[:, min(_START_DAYS, len(values) // 2) :] ** 2, axis=1)
    best = int(np.argmin(loss))
    return Fit(fit.model, fit.unit, fit.effects, params=_floats(grid[best]), variance=float(loss[best]))


def exponential_smoothing(
    values: np.ndarray, alpha: np.ndarray, gamma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs ETS(A,N,A) with a week's season for k pairs of weights over (T,); unknown days move nothing.

    Returns:
        Level after the last day (k,), weekday terms by day number modulo 7 (k, 7), one-step errors (k, T).
    """
    level, season = _start(values, len(alpha))
    errors = np.full((len(alpha), len(values)), np.nan)
    for day in np.flatnonzero(~np.isnan(values)):
        slot = day % WEEK
        error = values[day] - level - season[:, slot]
        level = level + alpha * error
        season[:, slot] += gamma * error
        errors[:, day] = error
    return level, season, errors


def _start(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Level and weekday means of the first weeks."""
    first = values[:_START_DAYS]
    level = np.nanmean(first) if not np.isnan(first).all() else np.nanmean(values)
    slots = [first[slot::WEEK] for slot in range(WEEK)]
    season = np.array([np.nanmean(part) - level if not np.isnan(part).all() else 0.0 for part in slots])
    return np.full(count, level), np.tile(season, (count, 1))


def _expected_by_smoothing(fit: Fit, group: GroupSeries) -> np.ndarray:
    return _continued(fit, _scaled(group, fit.unit), len(group.open_share))


def _continued(fit: Fit, values: np.ndarray, end: int) -> np.ndarray:
    alpha, gamma = np.array(fit.params)[:, None]
    level, season, _ = exponential_smoothing(values, alpha, gamma)
    return level[0] + season[0, np.arange(len(values), end) % WEEK]


def _smoothing_with_effects(group: GroupSeries, unit: float, order: Order) -> Fit:
    """Smoothing of what is left when events, discount and price are taken out of the total."""
    plain = _regression(group, unit, order)
    effects = plain.effects[1 : 1 + group.effects.shape[1]]
    fit = Fit("ets_effects", unit, effects)
    return _smoothed(fit, _scaled(group, unit) - group.effects[: group.day_count] @ np.array(effects))


def _expected_with_effects(fit: Fit, group: GroupSeries) -> np.ndarray:
    moved = group.effects @ np.array(fit.effects)
    values = _scaled(group, fit.unit) - moved[: group.day_count]
    return _continued(fit, values, len(moved)) + moved[group.day_count :]


def _naive(group: GroupSeries, unit: float, order: Order) -> Fit:
    return Fit(NAIVE, 1.0)


def _last_week(fit: Fit, group: GroupSeries) -> np.ndarray:
    """The last known total of the same weekday."""
    days = np.arange(group.day_count)
    last = np.zeros(WEEK)
    for slot in range(WEEK):
        known = group.total[(days % WEEK == slot) & ~np.isnan(group.total)]
        last[slot] = known[-1] if len(known) else np.nanmean(group.total)
    return last[np.arange(group.day_count, len(group.open_share)) % WEEK]


def _floats(values: object) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(values))


MODELS = {
    NAIVE: GroupModel(_naive, _last_week),
    "ets": GroupModel(_smoothing, _expected_by_smoothing),
    "ets_effects": GroupModel(_smoothing_with_effects, _expected_with_effects),
    "regression": GroupModel(_regression, _expected_by_regression),
    "arma": _arima_named("arma"),
    "arima": _arima_named("arima"),
}
