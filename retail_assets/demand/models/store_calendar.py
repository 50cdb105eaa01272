"""What the calendar does to a store: how much more or less than lately it will sell on each coming day.

One regression per store of the log of its total on weekdays, the season and events. What prices and promotions do,
and levels of single series, belong elsewhere.
"""

import numpy as np
import pandas as pd

from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import ordinary_days
from retail_assets.tables.silver import EVERY

_YEAR = 365.25
_FOURIER_TERMS = 3
_RECENT_DAYS = 28
CALENDAR_DAYS = 56
_OBSERVED_SHARE = 0.5
_STANDSTILL_SHARE = 0.1
_PENALTY = 1.0
_LIMIT = 5.0


def store_calendar_index(panel: Panel) -> np.ndarray:
    """Expected total of each series' store on each coming day over its mean of the last four weeks, (n, H).

    Stores with fewer than eight weeks of sales get 1.
    """
    store = panel.series["store_id"].astype(str).to_numpy()
    names, code = np.unique(store, return_inverse=True)
    first = np.array([np.flatnonzero(code == number)[0] for number in range(len(names))])
    regions = panel.series["region"].astype(str).to_numpy()[first]
    calendar = _weekdays_and_season(panel)
    events = {region: _events(panel, region) for region in np.unique(regions)}
    index, demand = np.ones((len(names), panel.horizon)), ordinary_days(panel.demand, code)
    for number, region in enumerate(regions):
        total = _log_total(demand[code == number])
        index[number] = _index(total, calendar, events[region])
    return index[code]


def _log_total(demand: np.ndarray) -> np.ndarray:
    """Log of summed demand a day, (T,).

    NaN on days most series say nothing of, and at a standstill: a holiday that is not marked as closed would
    pass its loss on to all events of its kind.
    """
    seen = ~np.isnan(demand)
    ranged = np.maximum.accumulate(seen, axis=1).sum(axis=0)
    total = np.nan_to_num(demand).sum(axis=0)
    known = (seen.sum(axis=0) >= _OBSERVED_SHARE * np.maximum(ranged, 1)) & (total > 0)
    if known.any():
        known &= total >= _STANDSTILL_SHARE * np.median(total[known])
    return np.log(total, out=np.full(len(total), np.nan), where=known)


def _weekdays_and_season(panel: Panel) -> np.ndarray:
    """Weekdays, and from one year of history on the season, (T + H, k)."""
    days = pd.Series(panel.dates).dt
    columns = [(days.dayofweek == weekday).to_numpy(dtype=float) for weekday in range(7)]
    if panel.day_count >= _YEAR:
        angle = 2 * np.pi * days.dayofyear.to_numpy() / _YEAR
        columns += [wave(k * angle) for k in range(1, _FOURIER_TERMS + 1) for wave in (np.sin, np.cos)]
    return np.column_stack(columns)


def _events(panel: Panel, region: str) -> np.ndarray:
    """Days with an event of each type that concerns the region, (T + H, types)."""
    events = panel.events
    types = sorted(events["event_type"].unique())
    day = (events["event_date"].to_numpy().astype("datetime64[D]") - panel.dates[0]).astype(int)
    kind = pd.Index(types).get_indexer(pd.Index(events["event_type"]))
    inside = (day >= 0) & (day < len(panel.dates)) & events["region"].isin([region, EVERY]).to_numpy()
    found = np.zeros((len(panel.dates), len(types)))
    found[day[inside], kind[inside]] = 1.0
    return found


def _index(total: np.ndarray, calendar: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Factor of each coming day, (H,): the fit without its trend, which only keeps growth out of the season."""
    known = np.flatnonzero(~np.isnan(total))
    if len(known) < CALENDAR_DAYS:
        return np.ones(len(calendar) - len(total))
    columns = np.hstack([calendar, events])
    trend = np.arange(len(total))[known, None] / _YEAR
    fitted = np.hstack([columns[known], trend - trend.mean()])
    effects = _ridge(fitted, total[known] - total[known].mean())[:-1]
    factor = np.exp(columns @ effects)
    recent = factor[: len(total)][-_RECENT_DAYS:].mean()
    return np.clip(factor[len(total) :] / recent, 1 / _LIMIT, _LIMIT)


def _ridge(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares that holds an effect back as five further days without it would: most events are rare."""
    return np.linalg.solve(columns.T @ columns + _PENALTY * np.eye(columns.shape[1]), columns.T @ target)
