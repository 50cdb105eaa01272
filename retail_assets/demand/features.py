"""What the global model knows of a series on a coming day, seen from a forecast origin.

`FeatureSource` prepares a panel once; `design` then gives the regressors of any origin inside it, reading
demand before the origin only and plans (price, discount, opening, events) at any day. Fitting does not belong here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from retail_assets.demand.baselines import WEEK, group_codes, like_level
from retail_assets.demand.panel import Panel

LEVEL_SMOOTHING = 0.03
_SMOOTHINGS = (0.3, 0.1, 0.03, 0.01)
_WINDOWS = (7, 14, 28, 56, 112, 364)
_MEMORY = 364
_PRIOR_DAYS = 2.0
_GROUPS: dict[str, list[str]] = {
    "store": ["store_id"],
    "department": ["department"],
    "store_department": ["store_id", "department"],
    "product": ["product_id"],
}
_EVENT_REACH = 15
EVENT_TYPES = 6


@dataclass(frozen=True)
class Vocabulary:
    """Numbers of names, learned once and kept with the model; a name never seen has none."""

    event_types: tuple[str, ...]
    event_names: tuple[str, ...]
    stores: tuple[str, ...]
    departments: tuple[str, ...]

    @classmethod
    def of(cls, panel: Panel) -> "Vocabulary":
        kinds = panel.events.groupby("event_type").size().sort_values(ascending=False, kind="stable")
        names = (panel.events["event_name"], panel.series["store_id"], panel.series["department"])
        return cls(tuple(kinds.index[:EVENT_TYPES]), *(tuple(sorted(column.astype(str).unique())) for column in names))


def _numbers(values: pd.Series, names: tuple[str, ...]) -> np.ndarray:
    return values.astype(str).map({name: number for number, name in enumerate(names)}).to_numpy(dtype=float)


class FeatureSource:
    """A panel prepared for cheap designs at many origins."""

    def __init__(self, panel: Panel, vocabulary: Vocabulary) -> None:
        self.panel = panel
        self.vocabulary = vocabulary
        self.demand = panel.demand
        self.departments = panel.series["department"].to_numpy()
        self.seen = (~np.isnan(self.demand)).astype(np.float32)
        self.filled = np.nan_to_num(self.demand).astype(np.float32)
        self.groups = {name: group_codes(panel.series, columns) for name, columns in _GROUPS.items()}

    @cached_property
    def group_means(self) -> dict[str, np.ndarray]:
        """Mean demand of the observed series of each group a day, (groups, T)."""
        return {name: self._group_mean(code) for name, code in self.groups.items()}

    def _group_mean(self, code: np.ndarray) -> np.ndarray:
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        total = np.add.reduceat(self.filled[order], starts, axis=0, dtype=np.float64)
        count = np.add.reduceat(self.seen[order], starts, axis=0, dtype=np.float64)
        return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)

    @cached_property
    def event_table(self) -> dict[str, np.ndarray]:
        """By region and day (R, T + H): type flags, name code, days to the next occasion and since the last."""
        return _event_table(self.panel, self.regions, self.vocabulary)

    @cached_property
    def regions(self) -> list[str]:
        return sorted(self.panel.series["region"].astype(str).unique())

    @cached_property
    def region_of(self) -> np.ndarray:
        return np.searchsorted(self.regions, self.panel.series["region"].astype(str))

    @cached_property
    def store_number(self) -> np.ndarray:
        return _numbers(self.panel.series["store_id"], self.vocabulary.stores)

    @cached_property
    def department_number(self) -> np.ndarray:
        return _numbers(self.panel.series["department"], self.vocabulary.departments)

    def level(self, origin: int) -> np.ndarray:
        """Smoothed demand a day before `origin`, never 0: leans on like series where the own history is short, (n,)."""
        past = slice(max(origin - 224, 0), origin)
        weight = ((1 - LEVEL_SMOOTHING) ** np.arange(min(origin, 224) - 1, -1, -1)).astype(np.float32)
        total, count = self.filled[:, past] @ weight, self.seen[:, past] @ weight
        prior = like_level(
            self.demand[:, max(origin - 28, 0) : origin], self.panel.price[:, origin - 1], self.departments
        )
        return np.maximum((total + _PRIOR_DAYS * prior) / (count + _PRIOR_DAYS), 0.01)


def design(source: FeatureSource, origin: int, *, rows: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Regressors (len(rows), horizon, features) for days origin … origin + horizon − 1, and the levels (len(rows),)."""
    level = source.level(origin)
    blocks = [
        _own_history(source, origin, level=level, rows=rows),
        _group_history(source, origin, rows=rows),
        _same_weekday(source, origin, level=level, rows=rows, horizon=horizon),
        _group_season(source, origin, rows=rows, horizon=horizon),
        _plans(source, origin, rows=rows, horizon=horizon),
        _calendar(source, origin, rows=rows, horizon=horizon),
    ]
    columns = [np.broadcast_to(column, (len(rows), horizon)) for block in blocks for column in block.values()]
    return np.stack(columns, axis=-1, dtype=np.float32, casting="unsafe"), level[rows]


def feature_names(source: FeatureSource) -> list[str]:
    """Names in the order of `design`'s last axis."""
    rows = np.arange(1)
    origin, horizon = source.panel.day_count, 1
    level = source.level(origin)
    blocks = [
        _own_history(source, origin, level=level, rows=rows),
        _group_history(source, origin, rows=rows),
        _same_weekday(source, origin, level=level, rows=rows, horizon=horizon),
        _group_season(source, origin, rows=rows, horizon=horizon),
        _plans(source, origin, rows=rows, horizon=horizon),
        _calendar(source, origin, rows=rows, horizon=horizon),
    ]
    return [name for block in blocks for name in block]


def _own_history(source: FeatureSource, origin: int, *, level: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    past = slice(max(origin - _MEMORY, 0), origin)
    filled, seen = source.filled[rows, past], source.seen[rows, past]
    level = level[rows][:, None]
    out: dict[str, np.ndarray] = {"log_level": np.log(level)}
    sums, counts = _tail_sums(filled), _tail_sums(seen)
    squares, sold = _tail_sums(filled**2), _tail_sums((filled > 0).astype(np.float32))
    for days in _WINDOWS:
        at = min(days, sums.shape[1]) - 1
        out[f"mean_{days}"] = _share(sums[:, at], counts[:, at]) / level
    for days in (28, 112):
        at = min(days, sums.shape[1]) - 1
        mean = _share(sums[:, at], counts[:, at])
        out[f"deviation_{days}"] = np.sqrt(np.maximum(_share(squares[:, at], counts[:, at]) - mean**2, 0)) / level
        out[f"sold_share_{days}"] = _share(sold[:, at], counts[:, at])
    for smoothing in _SMOOTHINGS:
        weight = ((1 - smoothing) ** np.arange(filled.shape[1] - 1, -1, -1)).astype(np.float32)
        out[f"smoothed_{smoothing}"] = _share(filled @ weight, seen @ weight) / level
    out["days_since_sale"] = _days_since(filled > 0)
    out["age_days"] = np.minimum(seen.sum(axis=1), _MEMORY)[:, None]
    out["last_day"] = filled[:, -1:] / level
    return out


def _tail_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the last 1, 2, … days."""
    return np.cumsum(values[:, ::-1], axis=1, dtype=np.float64)


def _share(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)[:, None]


def _days_since(happened: np.ndarray) -> np.ndarray:
    since = happened[:, ::-1].argmax(axis=1)
    return np.where(happened.any(axis=1), since, happened.shape[1])[:, None]


def _group_history(source: FeatureSource, origin: int, *, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Where the store, department and product are heading: short against long means."""
    out: dict[str, np.ndarray] = {}
    for name, mean in source.group_means.items():
        code = source.groups[name][rows]
        short, middle, long = (_nanmean(mean[:, max(origin - days, 0) : origin]) for days in (7, 28, 112))
        out[f"{name}_trend_7"] = _quotient(short, middle)[code][:, None]
        out[f"{name}_trend_28"] = _quotient(middle, long)[code][:, None]
        out[f"{name}_level"] = np.log(np.maximum(long, 0.01))[code][:, None]
    return out


def _nanmean(values: np.ndarray) -> np.ndarray:
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    return np.divide(np.nansum(values, axis=1), count, out=np.full(len(values), np.nan), where=count > 0)


def _quotient(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=np.nan_to_num(bottom) > 0)


def _slots(origin: int, days: int) -> np.ndarray:
    """Which of the seven coming weekdays (0 is the origin's) each of the last `days` days was."""
    return np.arange(-days, 0) % WEEK


def _by_slot(values: np.ndarray, slots: np.ndarray) -> np.ndarray:
    return values @ (slots[:, None] == np.arange(WEEK)).astype(values.dtype)


def _same_weekday(
    source: FeatureSource, origin: int, *, level: np.ndarray, rows: np.ndarray, horizon: int
) -> dict[str, np.ndarray]:
    """The series' own and its store-department's past on the target's weekday."""
    slot = np.arange(horizon) % WEEK
    level = level[rows][:, None]
    out: dict[str, np.ndarray] = {}
    for weeks in (1, 4, 8, 26):
        days = min(weeks * WEEK, origin)
        past, slots = slice(origin - days, origin), _slots(origin, days)
        total, count = _by_slot(source.filled[rows, past], slots), _by_slot(source.seen[rows, past], slots)
        mean = np.divide(total, count, out=np.full(total.shape, np.nan, dtype=np.float32), where=count > 0)
        out[f"weekday_mean_{weeks}"] = (mean / level)[:, slot]
    return out


def _group_season(source: FeatureSource, origin: int, *, rows: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    slot = np.arange(horizon) % WEEK
    out: dict[str, np.ndarray] = {}
    for name in ("store_department", "product"):
        days = min(16 * WEEK, origin)
        mean = source.group_means[name][:, origin - days : origin]
        profile = _by_slot(np.nan_to_num(mean), _slots(origin, days)) / np.maximum(
            _by_slot((~np.isnan(mean)).astype(float), _slots(origin, days)), 1
        )
        index = _quotient(profile, profile.mean(axis=1, keepdims=True) * np.ones((1, WEEK)))
        out[f"{name}_weekday"] = index[source.groups[name][rows]][:, slot]
    for name in ("department", "store_department", "product"):
        growth = _year_ago(source.group_means[name], origin, horizon)
        out[f"{name}_year_ago"] = growth[source.groups[name][rows]]
    return out


def _year_ago(mean: np.ndarray, origin: int, horizon: int, reach: int = 3) -> np.ndarray:
    """Last year's demand around the target day over last year's demand before the origin, (groups, horizon)."""
    start = origin - 364
    if start - 28 < 0:
        return np.full((len(mean), horizon), np.nan)
    before = _nanmean(mean[:, start - 28 : start])
    windows = [slice(max(start + k - reach, 0), min(start + k + reach + 1, origin)) for k in range(horizon)]
    around = np.stack([_nanmean(mean[:, window]) for window in windows], axis=1)
    return _quotient(around, before[:, None] * np.ones((1, horizon)))


def _plans(source: FeatureSource, origin: int, *, rows: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    panel = source.panel
    past, ahead = slice(max(origin - 182, 0), origin), slice(origin, origin + horizon)
    price = panel.price[rows]
    usual = _nanmean(price[:, past])[:, None]
    level = np.log(np.maximum(np.nan_to_num(usual), 0.01))
    department = source.groups["department"][rows]
    peers = pd.Series(level[:, 0]).groupby(department).transform("mean").to_numpy()[:, None]
    discount = panel.discount_rate[rows]
    promoted = (discount[:, past] > 0).mean(axis=1)[:, None]
    return {
        "price_ratio": _quotient(price[:, ahead], usual * np.ones((1, horizon))),
        "price_step": _quotient(price[:, ahead], price[:, origin - 1 : origin] * np.ones((1, horizon))),
        "price_level": level - peers,
        "discount": discount[:, ahead],
        "discount_last": discount[:, origin - 1 : origin],
        "discount_28": discount[:, max(origin - 28, 0) : origin].mean(axis=1)[:, None],
        "promoted_share": promoted,
    }


def _calendar(source: FeatureSource, origin: int, *, rows: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    ahead = slice(origin, origin + horizon)
    days = pd.DatetimeIndex(source.panel.dates[ahead])
    plain: dict[str, np.ndarray] = {
        "horizon": np.arange(1, horizon + 1)[None, :],
        "weekday": days.dayofweek.to_numpy()[None, :],
        "day_of_month": days.day.to_numpy()[None, :],
        "day_of_year": days.dayofyear.to_numpy()[None, :],
    }
    events = {name: table[:, ahead][source.region_of[rows]] for name, table in source.event_table.items()}
    codes = {"store_code": source.store_number[rows, None], "department_code": source.department_number[rows, None]}
    return {**plain, **events, **codes}


CATEGORICAL = ("weekday", "event_name", "store_code", "department_code")


def _event_table(panel: Panel, regions: Sequence[str], vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    dates, events = panel.dates, panel.events
    day = (events["event_date"].to_numpy().astype("datetime64[D]") - dates[0]).astype(int)
    name = np.nan_to_num(_numbers(events["event_name"], vocabulary.event_names) + 1)
    kind = np.nan_to_num(_numbers(events["event_type"], vocabulary.event_types), nan=-1).astype(int)
    shape = (len(regions), len(dates) + 2 * _EVENT_REACH)
    flags = np.zeros((EVENT_TYPES, *shape), dtype=np.float32)
    named = np.zeros(shape, dtype=np.float32)
    inside = (day >= -_EVENT_REACH) & (day < len(dates) + _EVENT_REACH)
    for number, region in enumerate(regions):
        here = inside & events["region"].isin(("*", region)).to_numpy()
        at = day[here] + _EVENT_REACH
        known = kind[here] >= 0
        flags[kind[here][known], number, at[known]] = 1
        rare = ~np.isin(kind[here], _frequent(kind[here], len(dates)))
        named[number, at[rare]] = name[here][rare]
    return _event_columns(flags, named)


def _frequent(kind: np.ndarray, days: int) -> np.ndarray:
    """Types on more than a tenth of all days are a rhythm (benefit days), not an occasion to count down to."""
    values, counts = np.unique(kind, return_counts=True)
    return values[counts > days / 10]


def _event_columns(flags: np.ndarray, named: np.ndarray) -> dict[str, np.ndarray]:
    inner: Callable[[np.ndarray], np.ndarray] = lambda table: table[..., _EVENT_REACH:-_EVENT_REACH]  # noqa: E731
    occasion = named > 0
    to_next, since_last = np.full(named.shape, _EVENT_REACH), np.full(named.shape, _EVENT_REACH)
    next_name = np.zeros(named.shape)
    for distance in range(_EVENT_REACH - 1, -1, -1):
        ahead = np.roll(occasion, -distance, axis=1)
        to_next[ahead] = distance
        next_name[ahead] = np.roll(named, -distance, axis=1)[ahead]
        since_last[np.roll(occasion, distance, axis=1)] = distance
    out = {f"event_type_{i}": inner(flags[i]) for i in range(EVENT_TYPES)}
    out |= {"event_name": inner(named), "days_to_event": inner(to_next), "days_since_event": inner(since_last)}
    return out
