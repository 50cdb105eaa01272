"""What the global model knows of a series on a coming day, seen from a forecast origin.

`FeatureSource` prepares a panel once; `design` then gives the regressors of any origin inside it, reading
demand before the origin only, and opening and events at any day; prices and discounts ahead are those planned by then.
Fitting does not belong here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from retail_assets.demand.models.baselines import WEEK, group_codes, like_level
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import ordinary_days
from retail_assets.tables.silver import EVERY

LEVEL_SMOOTHING = 0.03
_SMOOTHINGS = (0.3, 0.1, 0.03, 0.01)
_WINDOWS = (7, 14, 28, 56, 112, 364)
_MEMORY = 364
_YEAR = 364
_PRIOR_DAYS = 2.0
_GROUPS: dict[str, list[str]] = {
    "store": ["store_id"],
    "department": ["department"],
    "store_department": ["store_id", "department"],
    "product": ["product_id"],
}
_EVENT_REACH = 15
_PLAN_MEMORY = 182
_PROMOTION_MEMORY = 28
_PRICE_TOLERANCE = 0.005
_LIFT_PRIOR_DAYS = 10.0
_ENCODED = ("product", "department")
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
        kinds, counts = np.unique(panel.events["event_type"].to_numpy(dtype=str), return_counts=True)
        commonest = np.argsort(-counts, kind="stable")[:EVENT_TYPES]
        names = (panel.events["event_name"], panel.series["store_id"], panel.series["department"])
        return cls(tuple(kinds[commonest].tolist()), *(tuple(sorted(set(column.astype(str)))) for column in names))


def _numbers(frame: pd.DataFrame, column: str, names: tuple[str, ...]) -> np.ndarray:
    found = pd.Index(names, dtype=object).get_indexer(pd.Index(frame[column].astype(str)))
    return np.where(found >= 0, found.astype(float), np.nan)


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
        self._levels: dict[int, np.ndarray] = {}
        self._peer_prices: dict[int, np.ndarray] = {}

    @cached_property
    def group_means(self) -> dict[str, np.ndarray]:
        """Mean demand of the observed series of each group a day, (groups, T); none has the say in it."""
        return {name: self._group_mean(code) for name, code in self.groups.items()}

    def _group_mean(self, code: np.ndarray) -> np.ndarray:
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        ordinary = np.nan_to_num(ordinary_days(self.demand, code)).astype(np.float32)
        total = np.add.reduceat(ordinary[order], starts, axis=0, dtype=np.float64)
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
        return _numbers(self.panel.series, "store_id", self.vocabulary.stores)

    @cached_property
    def department_number(self) -> np.ndarray:
        return _numbers(self.panel.series, "department", self.vocabulary.departments)

    def part(self, rows: np.ndarray, origin: int) -> "FeatureSource":
        """These series alone, seen from `origin`, with what they share with all others: fit to be sent elsewhere."""
        alone = FeatureSource(self.panel.take(rows), self.vocabulary)
        alone.groups = {name: code[rows] for name, code in self.groups.items()}
        alone.group_means, alone.event_table = self.group_means, self.event_table
        alone.regions, alone.region_of = self.regions, self.region_of[rows]
        alone._levels = {origin: self.level(origin)[rows]}
        alone._peer_prices = {origin: self.peer_price(origin)[rows]}
        return alone

    def peer_price(self, origin: int) -> np.ndarray:
        """Mean log of the usual prices in the series' department before `origin`, (n,)."""
        if origin not in self._peer_prices:
            past = slice(max(origin - _PLAN_MEMORY, 0), origin)
            usual = pd.Series(log_usual_price(_nanmean(self.panel.price[:, past])))
            self._peer_prices = {origin: usual.groupby(self.groups["department"]).transform("mean").to_numpy()}
        return self._peer_prices[origin]

    def level(self, origin: int) -> np.ndarray:
        """Smoothed demand a day before `origin`, never 0: leans on like series where the own history is short, (n,)."""
        if origin not in self._levels:
            self._levels = {origin: self._level(origin)}
        return self._levels[origin]

    def _level(self, origin: int) -> np.ndarray:
        past = slice(max(origin - 224, 0), origin)
        weight = ((1 - LEVEL_SMOOTHING) ** np.arange(min(origin, 224) - 1, -1, -1)).astype(np.float32)
        total, count = self.filled[:, past] @ weight, self.seen[:, past] @ weight
        prior = like_level(
            self.demand[:, max(origin - 28, 0) : origin], self.panel.price[:, origin - 1], self.departments
        )
        return np.maximum((total + _PRIOR_DAYS * prior) / (count + _PRIOR_DAYS), 0.01)


@dataclass(frozen=True, eq=False)
class View:
    """Some series of a source, seen from one origin: what is asked of them ahead."""

    source: FeatureSource
    origin: int
    rows: np.ndarray
    horizon: int

    @cached_property
    def level(self) -> np.ndarray:
        """(rows, 1)"""
        return self.source.level(self.origin)[self.rows, None]

    @cached_property
    def planned(self) -> tuple[np.ndarray, np.ndarray]:
        """Price and discount as known at the origin, both (rows, days) through the last day ahead at least."""
        return self.source.panel.planned(self.origin, self.rows)

    @property
    def ahead(self) -> slice:
        return slice(self.origin, self.origin + self.horizon)

    def past(self, days: int) -> slice:
        return slice(max(self.origin - days, 0), self.origin)

    def group(self, name: str) -> np.ndarray:
        return self.source.groups[name][self.rows]

    def columns(self) -> dict[str, np.ndarray]:
        """Every regressor, each broadcastable to (rows, horizon)."""
        makers = (
            _own_history,
            _group_history,
            _same_weekday,
            _group_season,
            _year_ago,
            _encodings,
            _event_lift,
            plans,
            _price_changes,
            _promotion_days,
            calendar,
        )
        return {name: column for maker in makers for name, column in maker(self).items()}


def design(source: FeatureSource, origin: int, *, rows: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Regressors (len(rows), horizon, features) for days origin … origin + horizon − 1, and the levels (len(rows),)."""
    view = View(source, origin, rows, horizon)
    columns = [np.broadcast_to(column, (len(rows), horizon)) for column in view.columns().values()]
    return np.stack(columns, axis=-1, dtype=np.float32, casting="unsafe"), view.level[:, 0]


def feature_names(source: FeatureSource) -> list[str]:
    """Names in the order of `design`'s last axis."""
    return list(View(source, source.panel.day_count, np.arange(1), 1).columns())


def _own_history(view: View) -> dict[str, np.ndarray]:
    """Means, spread, frequency and silence of the series itself; amounts are in units of its level."""
    past, level = view.past(_MEMORY), view.level
    filled, seen = view.source.filled[view.rows, past], view.source.seen[view.rows, past]
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


def _group_history(view: View) -> dict[str, np.ndarray]:
    """Where the store, department and product are heading: short against long means."""
    out: dict[str, np.ndarray] = {}
    for name, mean in view.source.group_means.items():
        code = view.group(name)
        short, middle, long = (_nanmean(mean[:, view.past(days)]) for days in (7, 28, 112))
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


def _by_slot(values: np.ndarray) -> np.ndarray:
    """Sums of the past days (…, days) by coming weekday, (…, 7); slot 0 is the origin's weekday."""
    slots = np.arange(-values.shape[1], 0) % WEEK
    return values @ (slots[:, None] == np.arange(WEEK)).astype(values.dtype)


def _same_weekday(view: View) -> dict[str, np.ndarray]:
    """The series' own past on the target's weekday."""
    slot = np.arange(view.horizon) % WEEK
    out: dict[str, np.ndarray] = {}
    for weeks in (1, 4, 8, 26, 52):
        past = view.past(weeks * WEEK)
        total, count = _by_slot(view.source.filled[view.rows, past]), _by_slot(view.source.seen[view.rows, past])
        mean = np.divide(total, count, out=np.full(total.shape, np.nan, dtype=np.float32), where=count > 0)
        out[f"weekday_mean_{weeks}"] = (mean / view.level)[:, slot]
    return out


def _group_season(view: View, weeks: int = 16) -> dict[str, np.ndarray]:
    """How strong the target's weekday is in the store's department and in the product everywhere."""
    slot = np.arange(view.horizon) % WEEK
    out: dict[str, np.ndarray] = {}
    for name in ("store_department", "product"):
        mean = view.source.group_means[name][:, view.past(weeks * WEEK)]
        profile = _by_slot(np.nan_to_num(mean)) / np.maximum(_by_slot((~np.isnan(mean)).astype(float)), 1)
        index = _quotient(profile, np.broadcast_to(profile.mean(axis=1, keepdims=True), profile.shape))
        out[f"{name}_weekday"] = index[view.group(name)][:, slot]
    return out


def _year_ago(view: View) -> dict[str, np.ndarray]:
    """Last year around the target day: groups against last year before the origin, the series against its level."""
    start, means = view.origin - _YEAR, view.source.group_means
    out: dict[str, np.ndarray] = {}
    for name in ("department", "store_department", "product"):
        before = _nanmean(means[name][:, max(start - 28, 0) : max(start, 0)])
        around = _around(means[name], start, view=view, reach=3)
        out[f"{name}_year_ago"] = _quotient(around, np.broadcast_to(before[:, None], around.shape))[view.group(name)]
    own = np.where(view.source.seen[view.rows] > 0, view.source.filled[view.rows], np.nan)
    out["own_year_ago"] = _around(own, start, view=view, reach=7) / view.level
    return out


def _around(values: np.ndarray, start: int, *, view: View, reach: int) -> np.ndarray:
    """Means of `reach` days either side of each target day shifted to `start`, (…, horizon); NaN before the history."""
    if start < 28:
        return np.full((len(values), view.horizon), np.nan)
    days = [slice(start + k - reach, min(start + k + reach + 1, view.origin)) for k in range(view.horizon)]
    return np.stack([_nanmean(values[:, window]) for window in days], axis=1)


def plans(view: View) -> dict[str, np.ndarray]:
    """Price against its usual, its last and its department's, and the promotion, on the target day."""
    past, (price, discount) = view.past(_PLAN_MEMORY), view.planned
    asked = price[:, view.ahead]
    usual = _nanmean(price[:, past])[:, None]
    last = slice(view.origin - 1, view.origin)
    return {
        "price_ratio": _quotient(asked, np.broadcast_to(usual, asked.shape)),
        "price_step": _quotient(asked, np.broadcast_to(price[:, last], asked.shape)),
        "price_level": log_usual_price(usual) - view.source.peer_price(view.origin)[view.rows, None],
        "discount": discount[:, view.ahead],
        "discount_last": discount[:, last],
        "discount_28": discount[:, view.past(28)].mean(axis=1)[:, None],
        "promoted_share": (discount[:, past] > 0).mean(axis=1)[:, None],
    }


def log_usual_price(usual: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.nan_to_num(usual), 0.01))


def _price_changes(view: View) -> dict[str, np.ndarray]:
    """How long before the target day the price last moved, and by what log ratio."""
    shown = slice(max(view.origin - _PLAN_MEMORY, 0), view.ahead.stop)
    price = view.planned[0][:, shown]
    before = np.concatenate([price[:, :1], price[:, :-1]], axis=1)
    moved = np.abs(price - before) > _PRICE_TOLERANCE * before
    last = _last_index(moved)[:, -view.horizon :]
    day, at = np.arange(price.shape[1])[-view.horizon :], np.maximum(last, 0)
    known = last >= 0
    now, then = (np.take_along_axis(values, at, axis=1) for values in (price, before))
    step = np.log(_quotient(np.where(known, now, 1.0), np.where(known, then, 1.0)))
    return {
        "days_since_price_change": np.where(known, day - last, _PLAN_MEMORY),
        "last_price_change": step,
    }


def _last_index(happened: np.ndarray) -> np.ndarray:
    """Column of the newest True at or before each cell, -1 before the first."""
    marked = np.where(happened, np.arange(happened.shape[1], dtype=np.int32), np.int32(-1))
    return np.maximum.accumulate(marked, axis=1)


def _promotion_days(view: View) -> dict[str, np.ndarray]:
    """Where in a promotion the target day lies, or how long after one; a plan beyond the horizon is not looked at."""
    shown = slice(max(view.origin - _PROMOTION_MEMORY, 0), view.ahead.stop)
    promoted = view.planned[1][:, shown] > 0
    day = np.arange(promoted.shape[1])
    last_on, last_off = _last_index(promoted), _last_index(~promoted)
    next_off = promoted.shape[1] - 1 - _last_index(~promoted[:, ::-1])[:, ::-1]
    columns = {
        "days_since_promotion": np.where(last_on >= 0, np.minimum(day - last_on, _PROMOTION_MEMORY), _PROMOTION_MEMORY),
        "promotion_day": np.minimum(day - last_off, _PROMOTION_MEMORY),
        "promotion_days_left": next_off - day,
    }
    return {name: column[:, -view.horizon :] for name, column in columns.items()}


def _encodings(view: View) -> dict[str, np.ndarray]:
    """Mean demand of the product over its department's, and of the series over the product's, before the origin."""
    past = view.past(_MEMORY)
    mean = {name: _nanmean(view.source.group_means[name][:, past])[view.group(name)] for name in _ENCODED}
    own = _share(view.source.filled[view.rows, past].sum(axis=1), view.source.seen[view.rows, past].sum(axis=1))
    product, department = mean["product"], mean["department"]
    return {
        "product_share": _quotient(product, department)[:, None],
        "store_share": _quotient(own[:, 0], product)[:, None],
    }


def _event_lift(view: View) -> dict[str, np.ndarray]:
    """Past demand of the series on days of the target day's event types over its mean, near 1 where days are few."""
    past = view.past(_MEMORY)
    source, region = view.source, view.source.region_of[view.rows]
    flags = np.stack([source.event_table[f"event_type_{number}"] for number in range(EVENT_TYPES)])
    out = np.zeros((len(view.rows), view.horizon), dtype=np.float32)
    for number in np.unique(region):
        here = np.flatnonzero(region == number)
        lift = _lift(source, view.rows[here], past=past, flags=flags[:, number, past])
        out[here] = np.log(lift) @ flags[:, number, view.ahead]
    return {"event_lift": out}


def _lift(source: FeatureSource, rows: np.ndarray, *, past: slice, flags: np.ndarray) -> np.ndarray:
    """(rows, event types)"""
    filled, seen = source.filled[rows, past], source.seen[rows, past]
    mean = np.maximum(_share(filled.sum(axis=1), seen.sum(axis=1)), 1e-6)
    lift = (filled @ flags.T + _LIFT_PRIOR_DAYS * mean) / ((seen @ flags.T + _LIFT_PRIOR_DAYS) * mean)
    return np.where(np.isfinite(lift) & (lift > 0), lift, 1.0)


def calendar(view: View) -> dict[str, np.ndarray]:
    source = view.source
    days = pd.Series(source.panel.dates[view.ahead]).dt
    plain: dict[str, np.ndarray] = {
        "horizon": np.arange(1, view.horizon + 1)[None, :],
        "weekday": days.dayofweek.to_numpy()[None, :],
        "day_of_month": days.day.to_numpy()[None, :],
        "day_of_year": days.dayofyear.to_numpy()[None, :],
    }
    events = {name: table[:, view.ahead][source.region_of[view.rows]] for name, table in source.event_table.items()}
    codes = {
        "store_code": source.store_number[view.rows, None],
        "department_code": source.department_number[view.rows, None],
    }
    return {**plain, **events, **codes}


CATEGORICAL = ("weekday", "event_name", "store_code", "department_code")


def _event_table(panel: Panel, regions: Sequence[str], vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    dates, events = panel.dates, panel.events
    day = (events["event_date"].to_numpy().astype("datetime64[D]") - dates[0]).astype(int)
    name = np.nan_to_num(_numbers(events, "event_name", vocabulary.event_names) + 1)
    kind = np.nan_to_num(_numbers(events, "event_type", vocabulary.event_types), nan=-1).astype(int)
    shape = (len(regions), len(dates) + 2 * _EVENT_REACH)
    flags = np.zeros((EVENT_TYPES, *shape), dtype=np.float32)
    named = np.zeros(shape, dtype=np.float32)
    inside = (day >= -_EVENT_REACH) & (day < len(dates) + _EVENT_REACH)
    for number, region in enumerate(regions):
        here = inside & events["region"].isin((EVERY, region)).to_numpy()
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
    """Cuts the margin off again, which lets events just outside the panel count."""
    inner = slice(_EVENT_REACH, -_EVENT_REACH)
    occasion = named > 0
    to_next, since_last = np.full(named.shape, _EVENT_REACH), np.full(named.shape, _EVENT_REACH)
    for distance in range(_EVENT_REACH - 1, -1, -1):
        ahead = np.roll(occasion, -distance, axis=1)
        to_next[ahead] = distance
        since_last[np.roll(occasion, distance, axis=1)] = distance
    out = {f"event_type_{i}": flags[i][:, inner] for i in range(EVENT_TYPES)}
    out |= {"event_name": named[:, inner], "days_to_event": to_next[:, inner], "days_since_event": since_last[:, inner]}
    return out
