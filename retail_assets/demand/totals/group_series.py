"""What a model of totals sees of a group: its demand day by day, and regressors known ahead.

The panel is summed once into cells of store, region, category and department; groups of any level are sums of cells,
so that memory stays that of the cells. Fitting belongs in `group_models`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from retail_assets.demand.models.baselines import smoothed_level
from retail_assets.demand.panel import Panel
from retail_assets.demand.totals.hierarchy import Groups, HierarchyLevel, groups_of
from retail_assets.tables.silver import EVERY

_CELL = HierarchyLevel("cell", ("store_id", "region", "category", "department"))
_OBSERVED_SHARE = 0.5
_BLOCK_ROWS = 2048
_FOURIER_TERMS = 3
_YEAR = 365.25
_LEAST_WEIGHT = 1e-9


@dataclass(frozen=True)
class CalendarRegressors:
    """Which calendar regressors a model has: those it was fitted with, also on a later day with other plans."""

    event_types: tuple[str, ...]
    is_yearly: bool

    @classmethod
    def of(cls, panel: Panel) -> "CalendarRegressors":
        return cls(tuple(sorted(panel.events["event_type"].unique())), panel.day_count >= _YEAR)


@dataclass(frozen=True, eq=False)
class GroupSeries:
    """One group, T days of history and H ahead.

    `total` (T,) is demand as if every ranged store were open and every feed had come, NaN where too little is known;
    `open_share` (T + H,) is the part of usual demand that is in open stores; `effects` (T + H, k) are events,
    discount and price, `season` (T + H, j) weekday and time of year.
    """

    level: str
    name: str
    total: np.ndarray
    open_share: np.ndarray
    effects: np.ndarray
    season: np.ndarray

    @property
    def day_count(self) -> int:
        return len(self.total)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Sums over the series of each cell, a row a cell; `usual` is the weight of a series: its recent level."""

    series: pd.DataFrame
    usual: np.ndarray
    demand: np.ndarray
    seen: np.ndarray
    started: np.ndarray
    is_open: np.ndarray
    discount: np.ndarray
    price: np.ndarray


def group_series(
    panel: Panel, levels: tuple[HierarchyLevel, ...], calendar: CalendarRegressors
) -> Iterator[GroupSeries]:
    """Every group of the levels, top down."""
    cells, season = _cells(panel), _season(panel, calendar)
    events = _event_days(panel, calendar)
    for level in levels:
        groups = groups_of(cells.series, level)
        yield from _of_level(cells, groups, season=season, events=events)


def _of_level(
    cells: _Cells, groups: Groups, *, season: np.ndarray, events: dict[str, np.ndarray]
) -> Iterator[GroupSeries]:
    usual = groups.summed(cells.usual)
    total = _grossed_up(groups.summed(cells.demand), groups.summed(cells.seen), groups.summed(cells.started))
    shares = (groups.summed(part) / usual[:, None] for part in (cells.is_open, cells.discount, cells.price))
    is_open, discount, price = shares
    region = cells.series["region"].astype(str).to_numpy()
    for number, name in enumerate(groups.names):
        inside = groups.code == number
        concerned = _event_shares(events, region[inside], cells.usual[inside] / usual[number])
        effects = np.column_stack([concerned, discount[number], price[number]])
        yield GroupSeries(groups.level.name, name, total[number], is_open[number], effects, season)


def _cells(panel: Panel) -> _Cells:
    groups = groups_of(panel.series, _CELL)
    usual = np.nan_to_num(smoothed_level(panel)) + _LEAST_WEIGHT
    days, ahead = panel.day_count, panel.day_count + panel.horizon
    sums = {name: np.zeros((len(groups), days)) for name in ("demand", "seen", "started")}
    sums |= {name: np.zeros((len(groups), ahead)) for name in ("is_open", "discount", "price")}
    for start in range(0, panel.series_count, _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = Groups(groups.level, groups.keys, groups.code[rows])
        for name, values in _parts(panel, rows).items():
            factor = 1.0 if name == "demand" else usual[rows, None]
            sums[name] += block.summed(values * factor)
    return _Cells(series=groups.keys, usual=groups.summed(usual), **sums)


def _parts(panel: Panel, rows: slice) -> dict[str, np.ndarray]:
    demand = panel.demand[rows]
    known = ~np.isnan(demand)
    return {
        "demand": np.nan_to_num(demand),
        "seen": known,
        "started": np.maximum.accumulate(known, axis=1),
        "is_open": panel.is_open[rows],
        "discount": panel.discount_rate[rows],
        "price": _log_price_ratio(panel.price[rows]),
    }


def _log_price_ratio(price: np.ndarray) -> np.ndarray:
    known = np.where(np.nan_to_num(price) > 0, price, np.nan).astype(float)
    usual = np.nansum(known, axis=1) / np.maximum((~np.isnan(known)).sum(axis=1), 1)
    ratio = np.divide(known, usual[:, None], out=np.ones_like(known), where=usual[:, None] > 0)
    return np.log(np.nan_to_num(ratio, nan=1.0))


def _grossed_up(demand: np.ndarray, seen: np.ndarray, started: np.ndarray) -> np.ndarray:
    share = np.divide(seen, started, out=np.zeros_like(seen), where=started > 0)
    return np.divide(demand, share, out=np.full_like(demand, np.nan), where=share >= _OBSERVED_SHARE)


def _season(panel: Panel, calendar: CalendarRegressors) -> np.ndarray:
    days = pd.Series(panel.dates).dt
    columns = [(days.dayofweek == weekday).to_numpy(dtype=float) for weekday in range(6)]
    if calendar.is_yearly:
        angle = 2 * np.pi * days.dayofyear.to_numpy() / _YEAR
        columns += [wave(k * angle) for k in range(1, _FOURIER_TERMS + 1) for wave in (np.sin, np.cos)]
    return np.column_stack(columns)


def _event_days(panel: Panel, calendar: CalendarRegressors) -> dict[str, np.ndarray]:
    """Whether a region has an event of each type on a day, (T + H, types), by region."""
    events = panel.events
    day = (events["event_date"].to_numpy().astype("datetime64[D]") - panel.dates[0]).astype(int)
    inside = (day >= 0) & (day < len(panel.dates))
    region = events["region"].astype(str).to_numpy()
    days = {name: np.zeros((len(panel.dates), len(calendar.event_types))) for name in {EVERY, *region}}
    for number, kind in enumerate(calendar.event_types):
        for name, mine in days.items():
            chosen = inside & (events["event_type"] == kind).to_numpy() & (region == name)
            mine[day[chosen], number] = 1.0
    return days


def _event_shares(events: dict[str, np.ndarray], region: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Part of the group's usual demand that lies in regions with the event, (T + H, types)."""
    everywhere = events[EVERY]
    own = {name: np.maximum(events.get(str(name), everywhere), everywhere) for name in np.unique(region)}
    return np.sum([share[region == name].sum() * days for name, days in own.items()], axis=0)
