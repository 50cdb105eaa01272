"""The past as arrays for the replay: demand, stock, orders, suppliers and their days, with what had to be assumed.

Frames in, one `World` out, the same for every policy. Deciding and scoring belong to replay.py.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Days, Flags
from retail_assets.inventory.cumulative_forecast import delay_probabilities
from retail_assets.inventory.order_days import order_weekdays
from retail_assets.inventory.order_levels import OrderTerms
from retail_assets.inventory.parameters import LineParameters, PlanPolicy
from retail_assets.inventory.simulator import Supply

ASSUMED_LEAD_TIME_DAYS = 7
"""Lead time of series without a supplier; they are ordered on Mondays."""
RULE_DAYS = 28
"""Days of past demand whose mean the simple rules use."""
_ASSUMED_COVER_DAYS = 21


@dataclass(frozen=True)
class World:
    """n series over T days from `first_day` (days since 1970); money and units as floats, NaN where unknown.

    `next_order` (n, T) is the first order day after each day. `beyond` (n, T) is what is still expected of before the
    start and promised for the delivery of that next order or later. `mean_daily` (n, T) is the mean demand of the days
    before, what a rule of thumb would know. `received` and `ordered` are what really happened.
    """

    series: pd.MultiIndex
    supplier_ids: NDArray[np.object_]
    first_day: int
    demand: Array
    sold_so_far: Array
    stock_days_so_far: Array
    is_promoted: Flags
    mean_daily: Array
    opening: Array
    supply: Supply
    lead_time_days: Days
    next_order: Days
    delay_probabilities: Array
    beyond: Array
    received: Array
    ordered: Array
    pack_units: Array
    moq_units: Array
    unit_cost: Array
    unit_price: Array
    unit_step: Array
    shelf_life_days: Array
    shelf_max_units: Array
    presentation_min_units: Array
    assumptions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.series)

    @property
    def days(self) -> int:
        return self.demand.shape[1]

    @property
    def has_orders(self) -> bool:
        return bool(self.received.any())

    def order_terms(self, rules: LineParameters) -> OrderTerms:
        return OrderTerms(
            pack_units=self.pack_units,
            line_minimum_units=self.moq_units,
            unit_step=self.unit_step,
            presentation_min_units=self.presentation_min_units,
            unit_cost=self.unit_cost,
            unit_margin=np.maximum(self.unit_price - self.unit_cost, 0.0),
            rules=rules,
        )

    def take(self, rows: Days) -> "World":
        """These series only."""
        taken = {f.name: getattr(self, f.name) for f in fields(self)}
        taken = {
            name: value[rows] if isinstance(value, np.ndarray | pd.Index) else value for name, value in taken.items()
        }
        supply = Supply(**{f.name: getattr(self.supply, f.name)[rows] for f in fields(Supply)})
        return replace(self, **(taken | {"supply": supply}))


@dataclass(frozen=True)
class ReplayInputs:
    """What a replay knows of the past; every frame but the first two may be empty.

    Attributes:
        demand: store_id, product_id, business_date, unconstrained_units, from 28 days before the replay on; with
            sold_units and unconstrained_sd, demand of censored days is drawn above sales; with censoring and is_open,
            days without stock or trade do not count as history; with discount_rate, promotions explain large orders.
        cumulative: forecast/cumulative_forecast; a horizon that is not stored is scaled from the next longer one.
        opening: store_id, product_id, on_hand_units at closing of the first as-of date.
        purchase_orders: silver/purchase_orders, the newest version of each line.
        terms: store_id, product_id, supplier_id, pack_units, moq_units, lead_time_days, unit_cost, unit_price;
            optionally unit_step, shelf_life_days, shelf_max_units, presentation_min_units.
        order_days: supplier_id, location_id, order_weekday.
        delays: supplier_id, delay_days, probability.
        segments: store_id, product_id, abc_class and perhaps valid_from, of which the newest counts. It and what
            stands above it from `terms` on are as of the first as-of date.
        past_sales: store_id, product_id, sold_units and stock_days of the year up to the first as-of date; without
            them no order is measured by what was sold.
    """

    demand: pd.DataFrame
    cumulative: pd.DataFrame
    opening: pd.DataFrame
    purchase_orders: pd.DataFrame
    terms: pd.DataFrame
    order_days: pd.DataFrame
    delays: pd.DataFrame
    segments: pd.DataFrame
    past_sales: pd.DataFrame | None = None


def replay_world(inputs: ReplayInputs, *, plan: PlanPolicy | None = None, seed: int) -> World:
    """Everything the policies share; `seed` draws censored demand and delays."""
    demand, cumulative, terms = inputs.demand, inputs.cumulative, inputs.terms
    series = _series(demand, cumulative)
    first, last = int(days_of(cumulative["as_of_date"]).min()) + 1, int(days_of(demand["business_date"]).max())
    rng = np.random.default_rng(seed)
    history, wanted, missing = _demand(demand, series, first=first, last=last, rng=rng)
    held = _terms(terms, series)
    has_supplier = held["lead_time_days"].notna().to_numpy(dtype=bool)
    suppliers = held["supplier_id"].to_numpy(dtype=object)
    lead = np.where(has_supplier, _floats(held["lead_time_days"]), ASSUMED_LEAD_TIME_DAYS).astype(np.int64)
    given = plan or PlanPolicy()
    lead += given.receipt_delay_days
    can_order, next_order = _order_days(
        inputs.order_days,
        suppliers,
        series.get_level_values(0),
        has_supplier=has_supplier,
        first=first,
        days=wanted.shape[1],
    )
    probabilities = _delay_probabilities(inputs.delays, suppliers, has_supplier)
    late = _late(probabilities, suppliers, series, days=wanted.shape[1], rng=rng)
    lines = _sellable(_lines(inputs.purchase_orders, series), first=first, receipt_delay_days=given.receipt_delay_days)
    arriving = _arriving(lines, shape=wanted.shape, first=first)
    expected, beyond = _expected(
        lines, first=first, overdue_days_max=given.overdue_days_max, next_arrival=next_order + lead[:, None]
    )
    mean_daily = _mean_daily(history, wanted)
    sold, stock_days, is_promoted = _so_far(inputs, series, first=first, shape=wanted.shape)
    stock, has_stock = _opening(inputs.opening, series, mean=mean_daily[:, 0])
    return World(
        series=series,
        supplier_ids=suppliers,
        first_day=first,
        demand=wanted,
        sold_so_far=sold,
        stock_days_so_far=stock_days,
        is_promoted=is_promoted,
        mean_daily=mean_daily,
        opening=stock,
        supply=Supply(can_order, lead[:, None] + late, arriving, expected),
        lead_time_days=lead,
        next_order=next_order,
        delay_probabilities=probabilities,
        beyond=beyond,
        received=_sums(lines, "received_day", "received_units", shape=wanted.shape, first=first),
        ordered=_sums(lines, "ordered_day", "ordered_units", shape=wanted.shape, first=first),
        assumptions=(
            *_left_out(demand, count=len(series)),
            *_assumptions(held, has_supplier=has_supplier, has_stock=has_stock, orders=lines, missing=missing),
        ),
        **_numbers(held),
    )


def days_of(dates) -> Days:
    """Days since 1970, -1 where there is no date; each distinct date is converted once."""
    code, values = pd.factorize(dates)
    converted = pd.to_datetime(np.asarray(values)).to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.where(code >= 0, np.append(converted, -1)[code], -1)


def rows_of(frame: pd.DataFrame, series: pd.MultiIndex) -> Days:
    """Row of each line's store and product in `series`, -1 where it is not among them."""
    place = np.zeros(len(frame), dtype=np.int64)
    keys = np.zeros(len(series), dtype=np.int64)
    known = np.ones(len(frame), dtype=bool)
    for level, column in enumerate(("store_id", "product_id")):
        values = pd.Index(series.levels[level])
        codes = np.asarray(series.codes[level], dtype=np.int64)
        code, seen = pd.factorize(frame[column])
        found = np.append(values.get_indexer(pd.Index(np.asarray(seen, dtype=object)).astype(str)), -1)[code]
        known &= found >= 0
        place = place * len(values) + found
        keys = keys * len(values) + codes
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys, place, sorter=order), len(keys) - 1)
    row = order[at] if len(keys) else np.full(len(frame), -1)
    return np.where(known & (keys[row] == place), row, -1) if len(keys) else row


def _series(demand: pd.DataFrame, cumulative: pd.DataFrame) -> pd.MultiIndex:
    """Series that have a forecast and demand, sorted."""
    pairs = [frame[["store_id", "product_id"]].drop_duplicates().astype(str) for frame in (demand, cumulative)]
    both = pairs[0].merge(pairs[1]).sort_values(["store_id", "product_id"])
    return pd.MultiIndex.from_frame(both)


def _left_out(demand: pd.DataFrame, *, count: int) -> tuple[str, ...]:
    """How many series with demand are not replayed because nothing was ever forecast for them."""
    known = len(demand[["store_id", "product_id"]].drop_duplicates())
    return (f"{known - count} of {known} series left out without a forecast",) if known > count else ()


def _demand(
    demand: pd.DataFrame, series: pd.MultiIndex, *, first: int, last: int, rng: np.random.Generator
) -> tuple[Array, Array, int]:
    """Demand of the days before and of the days replayed, and how many of the latter are not known."""
    row, day = rows_of(demand, series), days_of(demand["business_date"])
    units = _drawn(demand, rng)
    used = (row >= 0) & (day >= first - RULE_DAYS) & (day <= last)
    panel = np.full((len(series), RULE_DAYS + max(last - first + 1, 0)), np.nan)
    panel[row[used], day[used] - first + RULE_DAYS] = units[used]
    return panel[:, :RULE_DAYS], np.nan_to_num(panel[:, RULE_DAYS:]), int(np.isnan(panel[:, RULE_DAYS:]).sum())


def _so_far(
    inputs: ReplayInputs, series: pd.MultiIndex, *, first: int, shape: tuple[int, int]
) -> tuple[Array, Array, Flags]:
    """What was known on the morning of each day of sales, days with stock and promotions to come."""
    demand, past = inputs.demand, inputs.past_sales
    row, day = rows_of(demand, series), days_of(demand["business_date"]) - first
    kept = np.flatnonzero((row >= 0) & (day >= 0) & (day < shape[1]))

    def grid(values: Array) -> Array:
        total = np.zeros(shape)
        np.add.at(total, (row[kept], day[kept]), np.nan_to_num(values[kept]))
        return total

    sold = _floats(demand["sold_units" if "sold_units" in demand else "unconstrained_units"])
    has_stock: NDArray[Any] = ~np.isnan(sold)
    for name, without in (("censoring", "full"), ("is_open", False)):
        if name in demand:
            has_stock &= demand[name].ne(without).to_numpy(dtype=bool)
    discount = _floats(demand["discount_rate"]) if "discount_rate" in demand else np.zeros(len(demand))
    opening = (_past(past, series, "sold_units", without=np.inf), _past(past, series, "stock_days"))
    sold_before, days_before = _before(grid(sold), opening[0]), _before(grid(has_stock), opening[1])
    return sold_before, days_before, grid(discount) > 0


def _past(past: pd.DataFrame | None, series: pd.MultiIndex, name: str, *, without: float = 0.0) -> Array:
    """A number of each series; `without` the frame, 0 without a row in it."""
    if past is None:
        return np.full(len(series), without)
    row, found = rows_of(past, series), np.zeros(len(series))
    found[row[row >= 0]] = _floats(past[name])[row >= 0]
    return found


def _before(daily: Array, opening: Array) -> Array:
    """(n, T) the opening and the sum of the days before each day."""
    return opening[:, None] + np.cumsum(daily, axis=1) - daily


def _drawn(demand: pd.DataFrame, rng: np.random.Generator) -> Array:
    """Demand; on censored days drawn above sales with the mean and deviation of its estimate, in whole units.

    The mean alone would make demand too regular just where it was too high for the stock.
    """
    units = _floats(demand["unconstrained_units"]).copy()  # the frame is the caller's
    if not {"sold_units", "unconstrained_sd"} <= set(demand.columns):
        return units
    sold = _floats(demand["sold_units"])
    deviation = _floats(demand["unconstrained_sd"])
    excess = np.maximum(units - sold, 0.0)
    at = np.flatnonzero((deviation > 0) & (excess > 0))
    keys = demand[["store_id", "product_id", "business_date"]].iloc[at]
    at = at[keys.reset_index(drop=True).sort_values(list(keys), kind="stable").index]  # rows may come in any order
    shape = (excess[at] / deviation[at]) ** 2
    above = rng.gamma(shape, excess[at] / shape)
    is_whole = sold[at] == np.floor(sold[at])
    rounded = np.floor(above + rng.random(len(at)))
    units[at] = sold[at] + np.where(is_whole, rounded, above)
    return units


def _terms(terms: pd.DataFrame, series: pd.MultiIndex) -> pd.DataFrame:
    """One row of terms a series; missing columns and rows are empty."""
    names = ["supplier_id", "pack_units", "moq_units", "lead_time_days", "unit_cost", "unit_price"]
    optional = ["unit_step", "shelf_life_days", "shelf_max_units", "presentation_min_units"]
    row = rows_of(terms, series)
    held = terms.reindex(columns=[*names, *optional]).loc[row >= 0]
    held = held.assign(row=row[row >= 0]).drop_duplicates("row").set_index("row")
    return held.reindex(np.arange(len(series)))


def _numbers(held: pd.DataFrame) -> dict[str, Array]:
    defaults = {
        "pack_units": 1.0,
        "moq_units": 0.0,
        "unit_step": 1.0,
        "shelf_max_units": np.inf,
        "presentation_min_units": 0.0,
    }
    names = (*defaults, "unit_cost", "unit_price", "shelf_life_days")
    numbers = {name: _floats(held[name]) for name in names}
    numbers["pack_units"] = np.where(numbers["pack_units"] > 0, numbers["pack_units"], np.nan)
    numbers["shelf_life_days"] = np.maximum(numbers["shelf_life_days"], 1.0)  # the day of receipt at least
    return {name: np.where(np.isnan(found), defaults.get(name, np.nan), found) for name, found in numbers.items()}


def _floats(column: Any) -> Array:
    """Numbers of any kind, exact decimals included, as floats; NaN where missing."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _order_days(
    order_days: pd.DataFrame,
    suppliers: NDArray[np.object_],
    stores: pd.Index,
    *,
    has_supplier: Flags,
    first: int,
    days: int,
) -> tuple[Flags, Days]:
    weekdays = order_weekdays(order_days, suppliers, stores)
    weekdays[~has_supplier] = np.eye(7, dtype=bool)[0]
    number = (np.arange(first, first + days + 8) + 3) % 7  # 1970-01-01 was a Thursday
    taken = weekdays[:, number]
    following = np.zeros((len(weekdays), days), dtype=np.int64)
    upcoming = np.full(len(weekdays), days + 8)
    for day in range(days + 7, 0, -1):
        upcoming = np.where(taken[:, day], day, upcoming)
        if day <= days:
            following[:, day - 1] = upcoming
    return taken[:, :days], following


def _delay_probabilities(delays: pd.DataFrame, suppliers: NDArray[np.object_], has_supplier: Flags) -> Array:
    probabilities = delay_probabilities(delays, suppliers)
    probabilities[~has_supplier] = np.eye(1, probabilities.shape[1])
    return probabilities


def _late(
    probabilities: Array, suppliers: NDArray[np.object_], series: pd.MultiIndex, *, days: int, rng: np.random.Generator
) -> Days:
    """Delay of an order leaving on each day: one lorry a supplier and store, the same under every policy."""
    lorry = pd.DataFrame({"store": series.codes[0], "supplier": suppliers.astype(str)}).groupby(["store", "supplier"])
    luck = rng.random((lorry.ngroups, days))[lorry.ngroup().to_numpy()]
    late = np.zeros(luck.shape, dtype=np.int64)
    for reached in np.cumsum(probabilities, axis=1)[:, :-1].T:
        late += luck >= reached[:, None]
    return late


def _lines(purchase_orders: pd.DataFrame, series: pd.MultiIndex) -> pd.DataFrame:
    """Purchase order lines of the series, dates as days since 1970 and -1 for none."""
    row = rows_of(purchase_orders, series)
    kept = purchase_orders.loc[row >= 0]
    ordered = _floats(kept["ordered_units"])
    received = _floats(kept["received_units"])
    dates = {f"{name}_day": days_of(kept[f"{name}_date"]) for name in ("ordered", "promised", "received", "cancelled")}
    units = {"ordered_units": ordered, "received_units": np.where(np.isnan(received), ordered, received)}
    return pd.DataFrame({"row": row[row >= 0], **dates, **units})


def _sellable(lines: pd.DataFrame, *, first: int, receipt_delay_days: int) -> pd.DataFrame:
    """Receipts of the days replayed and promises, moved to the day they can be sold."""
    received, promised = lines["received_day"], lines["promised_day"]
    return lines.assign(
        received_day=received.where(received < first, received + receipt_delay_days),
        promised_day=promised.where(promised < 0, promised + receipt_delay_days),
    )


def _arriving(lines: pd.DataFrame, *, shape: tuple[int, int], first: int) -> Array:
    """What was ordered before the first morning and really came, on its days."""
    ordered = lines.loc[lines["ordered_day"] < first]
    return _sums(ordered, "received_day", "received_units", shape=shape, first=first)


def _expected(lines: pd.DataFrame, *, first: int, overdue_days_max: int, next_arrival: Days) -> tuple[Array, Array]:
    """What was ordered before the first morning and is still expected on each morning, (n, T), and the part beyond.

    A line is expected, with all its units, until it was received or cancelled or has been overdue for too long: nobody
    knows before that more or less will come. Undated lines are not relied on.
    """
    expected, beyond = np.zeros_like(next_arrival, dtype=np.float64), np.zeros_like(next_arrival, dtype=np.float64)
    is_known = (lines["ordered_day"] < first) & (lines["promised_day"] >= 0)
    known = [lines[name].to_numpy() for name in ("received_day", "cancelled_day", "promised_day")]
    ends = np.stack(known) + np.array([[0], [0], [overdue_days_max + 1]])
    end = np.where(np.stack(known) >= 0, ends, np.iinfo(np.int64).max).min(axis=0) - first
    days = np.where(is_known, np.clip(end, 0, next_arrival.shape[1]), 0).astype(np.int64)
    row, promised, units = (
        np.repeat(lines[name].to_numpy(), days) for name in ("row", "promised_day", "ordered_units")
    )
    day = np.arange(len(row)) - np.repeat(np.cumsum(days) - days, days)
    np.add.at(expected, (row, day), units)
    np.add.at(beyond, (row, day), np.where(promised - first >= next_arrival[row, day], units, 0.0))
    return expected, beyond


def _total(row, day, *, units, shape: tuple[int, int]) -> Array:
    """Units by row and day; days outside count on the first or the last."""
    total = np.zeros(shape)
    np.add.at(total, (np.asarray(row), np.clip(np.asarray(day), 0, shape[1] - 1)), np.asarray(units))
    return total


def _sums(lines: pd.DataFrame, day: str, units: str, *, shape: tuple[int, int], first: int) -> Array:
    inside = lines.loc[lines[day].between(first, first + shape[1] - 1)]
    return _total(inside["row"], inside[day] - first, units=inside[units], shape=shape)


def _mean_daily(history: Array, wanted: Array) -> Array:
    """Mean of the known days among the `RULE_DAYS` before each day; 0 where none is known."""
    panel = np.concatenate([history, wanted], axis=1)
    known = np.pad(np.cumsum(~np.isnan(panel), axis=1), ((0, 0), (1, 0)))
    total = np.pad(np.cumsum(np.nan_to_num(panel), axis=1), ((0, 0), (1, 0)))
    days = wanted.shape[1]
    count = known[:, RULE_DAYS : RULE_DAYS + days] - known[:, :days]
    return (total[:, RULE_DAYS : RULE_DAYS + days] - total[:, :days]) / np.maximum(count, 1)


def _opening(opening: pd.DataFrame, series: pd.MultiIndex, *, mean: Array) -> tuple[Array, Flags]:
    """Stock at the start, never negative; three weeks of the demand before it where it is not known."""
    row = rows_of(opening, series)
    stock = np.full(len(series), np.nan)
    stock[row[row >= 0]] = _floats(opening["on_hand_units"])[row >= 0]
    has_stock = ~np.isnan(stock)
    return np.maximum(np.where(has_stock, stock, np.ceil(_ASSUMED_COVER_DAYS * mean)), 0.0), has_stock


def _assumptions(
    held: pd.DataFrame, *, has_supplier: Flags, has_stock: Flags, orders: pd.DataFrame, missing: int
) -> tuple[str, ...]:
    count = len(held)
    no_money = int((held["unit_cost"].isna() | held["unit_price"].isna()).sum())
    has_life = held["shelf_life_days"].notna().any()
    found = [
        (not has_supplier.all(), f"lead time {ASSUMED_LEAD_TIME_DAYS} days and orders on Mondays for "
         f"{int((~has_supplier).sum())} of {count} series without a supplier"),
        (not has_stock.all(), f"opening stock of {_ASSUMED_COVER_DAYS} days' demand for "
         f"{int((~has_stock).sum())} of {count} series without stock data"),
        (orders.empty, "nothing on order at the start"),
        (no_money > 0, f"no money for {no_money} of {count} series without cost or price"),
        (missing > 0, f"no demand on {missing} series-days that were closed or not delivered"),
        (bool(has_life), "opening stock as fresh"),
    ]  # fmt: skip
    return tuple(text for applies, text in found if applies)
