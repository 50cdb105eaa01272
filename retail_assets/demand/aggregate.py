"""ARIMA with calendar, price and promotion regressors on totals, and the half-way pull of the series towards them.

Totals are smooth enough for ARIMA where single series are not; pulling all the way is measurably worse than
half-way. Models of single series do not belong here.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pmdarima
from statsmodels.regression.linear_model import OLS
from statsmodels.tools.tools import add_constant
from statsmodels.tsa.arima.model import ARIMA

from retail_assets.demand.baselines import smoothed_level
from retail_assets.demand.panel import Panel

AGGREGATE_FILE = "aggregate_models.json"
LEVELS: dict[str, tuple[str, ...]] = {"total": ()}
"""Columns whose groups have a total; store and department totals made the series worse on M5 (four windows)."""
_MAX_GROUPS = 40
_STRENGTH = 0.5
_LIMIT = 2.0
_FOURIER_TERMS = 3
_YEAR = 365.25
_FILTER_DAYS = 200
_MIN_DAYS = 56
_STILL = 1e-6
_OBSERVED_SHARE = 0.5


@dataclass(frozen=True)
class GroupModel:
    """One total: coefficients of the constant and the regressors, and of the ARIMA their residuals follow."""

    level: str
    name: str
    order: tuple[int, int, int]
    effects: tuple[float, ...]
    params: tuple[float, ...]


@dataclass(frozen=True)
class AggregateModel:
    groups: tuple[GroupModel, ...]
    event_types: tuple[str, ...]
    is_yearly: bool

    def save(self, folder: Path) -> None:
        (folder / AGGREGATE_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def load_aggregate(folder: Path) -> AggregateModel:
    """Reads what `AggregateModel.save` wrote."""
    read = json.loads((folder / AGGREGATE_FILE).read_text(encoding="utf-8"))
    groups = [
        GroupModel(
            level=group["level"],
            name=group["name"],
            order=(group["order"][0], group["order"][1], group["order"][2]),
            effects=tuple(group["effects"]),
            params=tuple(group["params"]),
        )
        for group in read["groups"]
    ]
    return AggregateModel(tuple(groups), tuple(read["event_types"]), read["is_yearly"])


def fit_aggregate(panel: Panel) -> AggregateModel:
    """Searches the order on the total of all series and fits it there and to any finer totals in `LEVELS`."""
    event_types = tuple(sorted(panel.events["event_type"].unique()))
    is_yearly = panel.day_count >= _YEAR
    order = (1, 0, 1)
    models: list[GroupModel] = []
    for level, name, members in _groups(panel):
        total, known = _log_total(panel, members), slice(0, panel.day_count)
        if panel.day_count < _MIN_DAYS or np.isnan(total).mean() > _OBSERVED_SHARE:
            continue
        regressors = _regressors(panel, members, event_types=event_types, is_yearly=is_yearly)
        effects, rest = _regressed(_bridged(total), regressors[known])
        if level == "total":
            order = _searched_order(rest)
        models.append(GroupModel(level, name, order, effects, _fitted(rest, order)))
    return AggregateModel(tuple(models), event_types, is_yearly)


def _groups(panel: Panel) -> Iterator[tuple[str, str, np.ndarray]]:
    for level, columns in LEVELS.items():
        keys = panel.series[columns[0]].astype(str).to_numpy() if columns else np.full(panel.series_count, "")
        names = np.unique(keys)
        if len(names) <= _MAX_GROUPS:
            yield from ((level, str(name), np.flatnonzero(keys == name)) for name in names)


def _log_total(panel: Panel, members: np.ndarray) -> np.ndarray:
    """Log of summed demand a day, (T,); NaN on days most members say nothing of or nothing was sold."""
    demand = panel.demand[members]
    seen, started = ~np.isnan(demand), np.maximum.accumulate(~np.isnan(demand), axis=1)
    enough = seen.sum(axis=0) >= _OBSERVED_SHARE * np.maximum(started.sum(axis=0), 1)
    total = np.nansum(demand, axis=0)
    usable = enough & (total > 0)
    return np.log(total, out=np.full(len(total), np.nan), where=usable)


def _bridged(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).interpolate(limit_direction="both").to_numpy()


def _regressors(panel: Panel, members: np.ndarray, *, event_types: tuple[str, ...], is_yearly: bool) -> np.ndarray:
    """Known ahead, (T + H, k): weekday, season, events by type, mean discount, mean price against its usual."""
    days = pd.Series(panel.dates).dt
    columns = [(days.dayofweek == weekday).to_numpy(dtype=float) for weekday in range(6)]
    if is_yearly:
        angle = 2 * np.pi * days.dayofyear.to_numpy() / _YEAR
        columns += [wave(k * angle) for k in range(1, _FOURIER_TERMS + 1) for wave in (np.sin, np.cos)]
    weight = np.nan_to_num(smoothed_level(panel.take(members))) + 1e-9
    weight = weight / weight.sum()
    columns += _event_shares(panel, members, weight=weight, event_types=event_types)
    columns.append(weight @ panel.discount_rate[members])
    columns.append(weight @ _log_price_ratio(panel, members))
    return np.column_stack(columns)


def _event_shares(
    panel: Panel, members: np.ndarray, *, weight: np.ndarray, event_types: tuple[str, ...]
) -> list[np.ndarray]:
    """Per type, the share of the group's demand whose region has such an event, (T + H,)."""
    region = panel.series["region"].astype(str).to_numpy()[members]
    share = {name: weight[region == name].sum() for name in np.unique(region)} | {"*": 1.0}
    events = panel.events
    day = (events["event_date"].to_numpy().astype("datetime64[D]") - panel.dates[0]).astype(int)
    inside = (day >= 0) & (day < len(panel.dates))
    concerned = np.array([share.get(str(name), 0.0) for name in events["region"]])
    columns = []
    for kind in event_types:
        chosen = inside & np.asarray(events["event_type"] == kind)
        columns.append(np.minimum(np.bincount(day[chosen], concerned[chosen], minlength=len(panel.dates)), 1.0))
    return columns


def _log_price_ratio(panel: Panel, members: np.ndarray) -> np.ndarray:
    price = np.where(np.nan_to_num(panel.price[members]) > 0, panel.price[members], np.nan).astype(float)
    usual = np.nan_to_num(np.nansum(price, axis=1) / np.maximum((~np.isnan(price)).sum(axis=1), 1))
    ratio = np.divide(price, usual[:, None], out=np.ones_like(price), where=usual[:, None] > 0)
    return np.log(np.nan_to_num(ratio, nan=1.0))


def _regressed(total: np.ndarray, regressors: np.ndarray) -> tuple[tuple[float, ...], np.ndarray]:
    """Least squares by pseudo-inverse: a regressor that never moved (no promotion yet) gets no effect."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = OLS(total, add_constant(regressors, has_constant="add")).fit(method="pinv")
    return tuple(float(value) for value in fit.params), np.asarray(fit.resid)


def _searched_order(rest: np.ndarray) -> tuple[int, int, int]:
    """pmdarima's stepwise search on what the regressors leave unexplained."""
    if rest.std() < _STILL:
        return (0, 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pmdarima.auto_arima(
            rest, seasonal=False, d=0, start_p=1, start_q=1, max_p=3, max_q=2, maxiter=20, error_action="ignore"
        )
    return found.order


def _fitted(rest: np.ndarray, order: tuple[int, int, int]) -> tuple[float, ...]:
    if rest.std() < _STILL:
        return (*(0.0 for _ in range(order[0] + order[2])), _STILL**2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = ARIMA(rest, order=order, trend="n").fit(method="innovations_mle", cov_type="none")
    return tuple(float(value) for value in np.asarray(fit.params))


def group_totals(panel: Panel, model: AggregateModel) -> dict[tuple[str, str], np.ndarray]:
    """Forecast total of each fitted group on the coming days, (H,), keyed by level and name."""
    recent = panel.last_days(_FILTER_DAYS)
    members = {(level, name): rows for level, name, rows in _groups(panel)}
    totals: dict[tuple[str, str], np.ndarray] = {}
    for group in model.groups:
        rows = members.get((group.level, group.name))
        if rows is not None:
            totals[group.level, group.name] = _forecast_total(recent, group, rows=rows, model=model)
    return totals


def _forecast_total(panel: Panel, group: GroupModel, *, rows: np.ndarray, model: AggregateModel) -> np.ndarray:
    regressors = _regressors(panel, rows, event_types=model.event_types, is_yearly=model.is_yearly)
    expected = add_constant(regressors, has_constant="add") @ np.array(group.effects)
    rest = _bridged(_log_total(panel, rows)) - expected[: panel.day_count]
    state = ARIMA(rest, order=group.order, trend="n").filter(group.params, cov_type="none")
    log_total = expected[panel.day_count :] + np.asarray(state.forecast(panel.horizon))
    return np.exp(log_total + group.params[-1] / 2)


def nudge(mean: np.ndarray, panel: Panel, model: AggregateModel, *, strength: float = _STRENGTH) -> np.ndarray:
    """Scales series so that their totals move towards the forecast totals by ratio ** strength."""
    totals = group_totals(panel, model)
    members = {(level, name): rows for level, name, rows in _groups(panel)}
    nudged = mean.copy()
    for level in LEVELS:
        for key, total in totals.items():
            if key[0] == level:
                rows = members[key]
                nudged[rows] *= _pull(nudged[rows].sum(axis=0), total, strength=strength)
    return nudged


def _pull(own: np.ndarray, total: np.ndarray, *, strength: float) -> np.ndarray:
    """Bounded: a total forecast gone astray must not multiply orders."""
    ratio = np.divide(total, own, out=np.ones_like(own), where=(own > 0) & np.isfinite(total))
    return np.clip(ratio, 1 / _LIMIT, _LIMIT) ** strength
