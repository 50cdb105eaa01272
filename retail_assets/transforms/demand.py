"""The dense demand table: every day of every product a store carries, and the plan for days to come."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from retail_assets.demand.effects import censoring
from retail_assets.demand.effects.censoring import Censoring, TradingDays, unconstrain
from retail_assets.demand.effects.promotion_response import lifts
from retail_assets.demand.line_prices import line_prices
from retail_assets.demand.opening import LEARNING_DAYS, closed_weekdays, trading_hours
from retail_assets.demand.quantity_steps import unit_steps
from retail_assets.tables import gold, silver
from retail_assets.transforms.days import day_table
from retail_assets.windows import ONE_DAY, Window

LOOKBACK_DAYS = censoring.WINDOW_DAYS + 7
"""Days before a day that its unconstrained estimate looks at: the window, and a week to settle the first ones."""

_SERIES = ["store_id", "product_id"]
_DATED_SERIES = ["business_date", *_SERIES]
_FAR = date(9999, 12, 31)
_WEEK = frozenset(range(1, 8))

ClosedWeekdays = Mapping[str, Collection[int]]
"""ISO weekdays on which a store does not trade, by store; a store without an entry trades on all."""


@dataclass(frozen=True)
class Offer:
    """What stores offer, when and at which terms: the silver snapshots of these names, as known now."""

    assortment: ibis.Table
    stores: ibis.Table
    products: ibis.Table
    prices: ibis.Table
    promotions: ibis.Table
    events: ibis.Table


def observed_demand(days: Window, *, sales: ibis.Table, inventory: ibis.Table, offer: Offer) -> ibis.Table:
    """What gold.demand_daily is estimated from: the days and LOOKBACK_DAYS before them, as `unconstrained` takes it.

    Args:
        days: days wanted.
        sales: gold.fact_sales of the days and LOOKBACK_DAYS before them.
        inventory: gold.fact_inventory of the same days.
        offer: what stores carry on these days.

    Returns:
        The rows of `observed` and `with_terms`, line_price, unit_step of the product and trading_hours of the store.
    """
    wide = days.extended(days_before=LOOKBACK_DAYS)
    stores, products = offer.stores, offer.products
    off = days_off(days, sold=products_sold(sales), given=given_closed_weekdays(stores))
    rows = carried(wide, assortment=offer.assortment, stores=stores, products=products, events=offer.events, off=off)
    seen = _with_line_prices(observed(rows, sales=sales, inventory=inventory), sales=sales, products=products)
    priced = with_terms(seen, wide, prices=offer.prices, promotions=offer.promotions, products=products)
    return _with_measures(priced, products=products, stores=stores)


def _with_measures(rows: ibis.Table, *, products: ibis.Table, stores: ibis.Table) -> ibis.Table:
    steps, hours = products.select("product_id", "unit_step"), stores.select("store_id", "trading_hours")
    joined = rows.left_join(steps, "product_id").left_join(hours, "store_id")
    return joined.select(*rows.columns, "unit_step", "trading_hours")


def products_sold(sales: ibis.Table) -> pd.DataFrame:
    """business_date, store_id, sold_products of every day on which a store sold something; returns do not count."""
    lines = sales.filter(sales.quantity > 0)
    sold = lines.group_by("business_date", "store_id").aggregate(sold_products=lines.product_id.nunique())
    return sold.to_pyarrow().to_pandas()


def given_closed_weekdays(stores: ibis.Table) -> dict[str, frozenset[int]]:
    """The weekdays on which stores do not trade as the source gives them; a store that it says nothing of is absent."""
    given = stores.filter(stores.opening_weekdays.notnull()).select("store_id", "opening_weekdays").to_pyarrow()
    return {row["store_id"]: _WEEK - frozenset(map(int, row["opening_weekdays"])) for row in given.to_pylist()}


def learnt_closed_weekdays(sold: pd.DataFrame, as_of: date) -> dict[str, frozenset[int]]:
    """The weekdays on which stores do not trade, learnt from the `LEARNING_DAYS` days up to `as_of`.

    Args:
        sold: as `products_sold` gives it; other days may be among them.
        as_of: nothing later counts.
    """
    place = LEARNING_DAYS - 1 - (pd.Timestamp(as_of) - pd.to_datetime(sold["business_date"])).dt.days.to_numpy()
    inside = (place >= 0) & (place < LEARNING_DAYS)
    code, names = pd.factorize(sold["store_id"].to_numpy()[inside])
    counts = np.zeros((len(names), LEARNING_DAYS))
    counts[code, place[inside]] = sold["sold_products"].to_numpy()[inside]
    weekday = np.array([(as_of - timedelta(days=n)).isoweekday() for n in reversed(range(LEARNING_DAYS))])
    closed = closed_weekdays(counts, weekday=weekday)
    return {str(names[n]): frozenset((np.flatnonzero(closed[n]) + 1).tolist()) for n in np.flatnonzero(closed.any(1))}


def days_off(days: Window, *, sold: pd.DataFrame, given: ClosedWeekdays) -> ibis.Table:
    """business_date and store_id of weekdays on which a store does not trade and sold nothing.

    Weekdays the source gives stand. Others are learnt from the days before each day, so a day's rows are the same in
    every range.
    """
    sales = set(zip(pd.to_datetime(sold["business_date"]).dt.date, sold["store_id"], strict=True))
    off = []
    for day in days.days():
        closed = {**learnt_closed_weekdays(sold, day - ONE_DAY), **given}
        off += [(day, store) for store, weekdays in closed.items() if day.isoweekday() in weekdays]
    return _off_table([pair for pair in off if pair not in sales])


def planned_days_off(days: Window, closed: ClosedWeekdays) -> ibis.Table:
    """business_date and store_id of the days to come on which a store does not trade."""
    return _off_table([(day, store) for day in days.days() for store in closed if day.isoweekday() in closed[store]])


def _off_table(pairs: list[tuple[date, str]]) -> ibis.Table:
    columns = {"business_date": [day for day, _ in pairs], "store_id": [store for _, store in pairs]}
    schema = pa.schema([("business_date", pa.date32()), ("store_id", pa.string())])
    return ibis.memtable(pa.table(columns, schema))


def carried(
    window: Window,
    *,
    assortment: ibis.Table,
    stores: ibis.Table,
    products: ibis.Table,
    events: ibis.Table,
    off: ibis.Table | None = None,
) -> ibis.Table:
    """The series a store carries on each day, with whether it trades.

    Args:
        window: days.
        assortment: store_id, product_id, valid_from, valid_to.
        stores: store_id, region, opened_date, closed_date.
        products: product_id, introduced_date, discontinued_date.
        events: event_date, event_type, region; `closed` ones mean that stores do not trade.
        off: business_date, store_id of other days on which a store does not trade; none without it.

    Returns:
        business_date, store_id, product_id, is_open: unique.
    """
    days, spans = day_table(window), carried_spans(assortment=assortment, stores=stores, products=products)
    rows = days.join(spans, [days.business_date >= spans.first, days.business_date <= spans.last])
    opened = _opened(rows.select("business_date", *_SERIES, "region").distinct(), events)
    return opened if off is None else _without_days_off(opened, off)


def carried_spans(*, assortment: ibis.Table, stores: ibis.Table, products: ibis.Table) -> ibis.Table:
    """When a store carries a product: store_id, product_id, region, first, last, both days included.

    The latest of the three starts and the earliest of the three ends count, that of the assortment, of the store and
    of the product; without an end `last` lies far ahead. The arguments are those of `carried`.
    """
    listed = assortment.join(stores.select("store_id", "opened_date", "closed_date", "region"), "store_id")
    listed = listed.join(products.select("product_id", "introduced_date", "discontinued_date"), "product_id")
    return listed.select(
        *_SERIES,
        "region",
        first=ibis.greatest(
            listed.valid_from,
            listed.opened_date.fill_null(listed.valid_from),
            listed.introduced_date.fill_null(listed.valid_from),
        ),
        last=ibis.least(
            listed.valid_to.fill_null(_FAR),
            listed.closed_date.fill_null(_FAR),
            listed.discontinued_date.fill_null(_FAR),
        ),
    )


def _without_days_off(rows: ibis.Table, off: ibis.Table) -> ibis.Table:
    marked = off.select("business_date", "store_id", is_off=ibis.literal(True))
    joined = rows.left_join(marked, ["business_date", "store_id"])
    return joined.select(*_DATED_SERIES, is_open=joined.is_open & joined.is_off.isnull())


def _opened(rows: ibis.Table, events: ibis.Table) -> ibis.Table:
    closed = events.filter(events.event_type == "closed").select("event_date", closed_region="region").distinct()
    joined = rows.left_join(
        closed,
        [
            rows.business_date == closed.event_date,
            ibis.or_(closed.closed_region == silver.EVERY, closed.closed_region == rows.region),
        ],
    )
    grouped = joined.group_by("business_date", *_SERIES).aggregate(is_open=joined.closed_region.isnull().all())
    return grouped


def with_terms(
    rows: ibis.Table, window: Window, *, prices: ibis.Table, promotions: ibis.Table, products: ibis.Table
) -> ibis.Table:
    """Adds the price asked and the promotion discount of each row's day; planned ones serve days to come.

    Args:
        rows: business_date, store_id, product_id and more, inside the window.
        window: the days of the rows.
        prices: store_id or `*`, product_id, valid_from, unit_price.
        promotions: store_id or `*`, product_id, start_date, end_date, discount_rate.
        products: product_id, list_price.

    Returns:
        The rows with unit_price (float, may be null), price_source, discount_rate and is_promoted.
    """
    listed = products.select("product_id", list_price=products.list_price.cast("float64"))
    joined = by_store(rows, _prices_on(day_table(window), prices), "unit_price")
    joined = joined.left_join(listed, "product_id").drop("product_id_right")
    priced = joined.mutate(
        unit_price=ibis.coalesce(joined.unit_price, joined.list_price),
        price_source=ibis.cases(
            (joined.unit_price.notnull(), gold.PRICES), (joined.list_price.notnull(), gold.LIST_PRICE)
        ),
    )
    return with_promotions(priced.drop("list_price"), window, promotions=promotions)


def with_promotions(rows: ibis.Table, window: Window, *, promotions: ibis.Table) -> ibis.Table:
    """Adds discount_rate, 0 without a promotion, and is_promoted of each row's day; arguments as in `with_terms`."""
    joined = by_store(rows, _discounts_on(day_table(window), promotions), "promotion_rate")
    return joined.mutate(
        discount_rate=joined.promotion_rate.fill_null(0.0), is_promoted=joined.promotion_rate.notnull()
    ).drop("promotion_rate")


def _prices_on(days: ibis.Table, prices: ibis.Table) -> ibis.Table:
    on = prices_in_force(days, prices)
    return on.select("business_date", *_SERIES, unit_price=on.unit_price.cast("float64"))


def prices_in_force(days: ibis.Table, prices: ibis.Table) -> ibis.Table:
    """The row of `prices` that holds on each day, by store_id (`*` for every store) and product_id."""
    following = ibis.window(group_by=_SERIES, order_by="valid_from")
    spans = prices.mutate(valid_until=prices.valid_from.lead().over(following).fill_null(_FAR))
    return days.join(spans, [days.business_date >= spans.valid_from, days.business_date < spans.valid_until])


def _discounts_on(days: ibis.Table, promotions: ibis.Table) -> ibis.Table:
    on = days.join(promotions, [days.business_date >= promotions.start_date, days.business_date <= promotions.end_date])
    return on.group_by("business_date", *_SERIES).aggregate(promotion_rate=on.discount_rate.max().fill_null(0.0))


def by_store(rows: ibis.Table, looked_up: ibis.Table, column: str) -> ibis.Table:
    """Adds the column from the row's own store, else from the entry for every store."""
    own = looked_up.filter(looked_up.store_id != silver.EVERY).rename(own_value=column)
    every = looked_up.filter(looked_up.store_id == silver.EVERY).drop("store_id").rename(every_value=column)
    joined = rows.left_join(own, ["business_date", *_SERIES], rname="{name}_own")
    joined = joined.left_join(every, ["business_date", "product_id"], rname="{name}_every")
    kept = joined.select(*rows.columns, "own_value", "every_value")
    return kept.mutate(**{column: ibis.coalesce(kept.own_value, kept.every_value)}).drop("own_value", "every_value")


def assortment_from_sales(sales: ibis.Table) -> ibis.Table:
    """What stores carry when the source does not say: each product from its first sale in the store on.

    Returns:
        store_id, product_id, valid_from, valid_to (empty).
    """
    first = sales.group_by(*_SERIES).aggregate(valid_from=sales.business_date.min())
    return first.mutate(valid_to=ibis.null("date"))


def sales_by_day(sales: ibis.Table) -> ibis.Table:
    """Units sold, brought back and their value by day, store and product."""
    units = sales.quantity.cast("float64")
    lines = sales.mutate(sold=ibis.ifelse(units > 0, units, 0.0), returned=ibis.ifelse(units < 0, -units, 0.0))
    return lines.group_by("business_date", *_SERIES).aggregate(
        sold_units=lines.sold.sum(), returned_units=lines.returned.sum(), net_value=lines.net_value.sum()
    )


def _with_line_prices(rows: ibis.Table, *, sales: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Adds line_price: the median price before discount of what a day sold of a product without list_price.

    Returns and lines for nothing do not count. Products with a list price never need it, and a median is costly.
    """
    listed = products.filter(products.list_price.notnull())
    lines = sales.anti_join(listed, "product_id").filter(sales.quantity > 0, sales.unit_price > 0)
    by_day = lines.group_by("business_date", *_SERIES)
    asked = by_day.aggregate(line_price=lines.unit_price.cast("float64").median())
    joined = rows.left_join(asked, ["business_date", *_SERIES], rname="{name}_asked")
    return joined.select(*rows.columns, "line_price")


def observed(rows: ibis.Table, *, sales: ibis.Table, inventory: ibis.Table) -> ibis.Table:
    """Dense rows with what was sold and what was left, zeros filled where the feed arrived.

    Args:
        rows: carried series by day, with is_open.
        sales: gold.fact_sales of the same days.
        inventory: gold.fact_inventory of the same days.

    Returns:
        The rows, and those that sold without being carried, with sold_units, returned_units, net_value,
        is_feed_missing, on_hand_units and stock_out_hours.
    """
    sold = sales_by_day(sales)
    unlisted = sold.select("business_date", *_SERIES).anti_join(rows, ["business_date", *_SERIES])
    spine = ibis.union(rows.select("business_date", *_SERIES, "is_open"), unlisted.mutate(is_open=ibis.literal(True)))
    fed = sold.select("business_date", fed_store="store_id").distinct()
    stock = inventory.select(
        "business_date", *_SERIES, "stock_out_hours", on_hand_units=inventory.on_hand_units.cast("float64")
    )
    joined = spine.left_join(sold, ["business_date", *_SERIES], rname="{name}_sold")
    joined = joined.left_join(stock, ["business_date", *_SERIES], rname="{name}_stock")
    joined = joined.left_join(
        fed, [joined.business_date == fed.business_date, joined.store_id == fed.fed_store], rname="{name}_fed"
    )
    is_missing = joined.is_open & joined.fed_store.isnull()
    filled = {
        name: ibis.ifelse(is_missing, ibis.null("float64"), joined[name].fill_null(0.0))
        for name in ("sold_units", "returned_units")
    }
    value = ibis.ifelse(is_missing, ibis.null("decimal(18, 4)"), joined.net_value.fill_null(0).cast("decimal(18, 4)"))
    return joined.select(
        "business_date",
        *_SERIES,
        "is_open",
        "on_hand_units",
        "stock_out_hours",
        **filled,
        net_value=value,
        is_feed_missing=is_missing,
    )


_DAY_SEEN = ("is_open", "sold_units", "on_hand_units", "stock_out_hours")
_ESTIMATED_FROM = (*_DAY_SEEN, "trading_hours", "discount_rate", "unit_step")

COMPUTED_FROM: Mapping[str, Sequence[str]] = {
    **{name: (name,) for name in gold.DEMAND_DAILY.column_names},
    "unit_price": ("unit_price", "line_price"),
    "price_source": ("price_source", "unit_price", "line_price"),
    "censoring": _DAY_SEEN,
    "available_rate": (*_DAY_SEEN, "trading_hours"),
    "unconstrained_units": _ESTIMATED_FROM,
    "unconstrained_sd": _ESTIMATED_FROM,
}
"""By column that `unconstrained` returns, the columns of its rows that the values come from."""


def unconstrained(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The window's rows of gold.demand_daily, with censoring, unconstrained demand and the prices of sale lines.

    Args:
        rows: dense rows of the window and LOOKBACK_DAYS before it, with terms, observations, line_price, unit_step
            and trading_hours.
        window: days to return.
    """
    rows = rows.assign(business_date=pd.to_datetime(rows["business_date"]))
    grid = _Grid.of(rows, window.extended(days_before=LOOKBACK_DAYS))
    seen = _Seen.of(rows, grid)
    discount, weekdays, steps = grid.spread(rows["discount_rate"]), grid.weekdays(), seen.steps()
    shape = seen.traded.shape
    units, sd, available = (np.full(shape, np.nan) for _ in range(3))
    for day in range(LOOKBACK_DAYS, shape[1]):
        past = slice(day - LOOKBACK_DAYS, day + 1)
        share = seen.available(past)
        available[:, day] = share[:, -1]
        days = TradingDays(
            seen.traded[:, past],
            seen.code[:, past],
            weekdays[past],
            available_rate=share,
            unit_step=steps[:, day - LOOKBACK_DAYS],
            is_sold_out=seen.is_sold_out[:, past],
        )
        units[:, [day]], sd[:, [day]] = unconstrained_day(days, discount=discount[:, past], product=seen.product)
    complete = _priced(rows, grid, product=seen.product).assign(
        censoring=np.array(censoring.NAMES)[grid.gather(seen.code)],
        available_rate=grid.gather(available),
        unconstrained_units=np.where(rows["is_open"], grid.gather(units), rows["sold_units"]),
        unconstrained_sd=np.where(rows["is_open"], grid.gather(sd), 0.0),
    )
    inside = complete["business_date"].between(pd.Timestamp(window.first), pd.Timestamp(window.last))
    return complete.loc[inside, gold.DEMAND_DAILY.column_names]


def _priced(rows: pd.DataFrame, grid: "_Grid", *, product: NDArray[np.int64]) -> pd.DataFrame:
    """The rows in which the price of sale lines stands where the source gives none, on days with a full look-back."""
    unknown = grid.spread(rows["unit_price"].isna())
    wanted = [day for day in range(LOOKBACK_DAYS, unknown.shape[1]) if np.any(unknown[:, day] == 1)]
    asked, found = grid.spread(rows["line_price"]), np.full(unknown.shape, np.nan)
    for day in wanted:
        found[:, day] = line_prices(asked[:, day - LOOKBACK_DAYS : day + 1], product=product)
    price = rows["unit_price"].astype("float64")
    filled = price.fillna(pd.Series(grid.gather(found), rows.index))
    source = rows["price_source"].astype(object).where(price.notna(), gold.SALE_LINES)
    return rows.assign(unit_price=filled, price_source=source.where(filled.notna(), None))


@dataclass(frozen=True)
class _Seen:
    """What the records say of each series and day, (series, days); `product`, `store` and what is given (series,)."""

    traded: NDArray[np.float64]
    stock: NDArray[np.float64]
    before: NDArray[np.float64]
    hours: NDArray[np.float64]
    code: NDArray[np.int8]
    product: NDArray[np.int64]
    store: NDArray[np.int64]
    given_hours: NDArray[np.float64]
    given_step: NDArray[np.float64]

    @classmethod
    def of(cls, rows: pd.DataFrame, grid: "_Grid") -> "_Seen":
        traded = grid.spread(np.where(rows["is_open"], rows["sold_units"], np.nan))
        stock, hours = grid.spread(rows["on_hand_units"]), grid.spread(rows["stock_out_hours"])
        before = np.hstack([np.full((len(stock), 1), np.nan), stock[:, :-1]])
        code = censoring.censoring_of(stock, traded, previous_on_hand_units=before, stock_out_hours=hours)[0]
        names = {name: grid.numbers(rows[f"{name}_id"]) for name in ("product", "store")}
        given = (grid.of_series(rows[name]) for name in ("trading_hours", "unit_step"))
        return cls(traded, stock, before, hours, code, *names.values(), *given)

    @property
    def is_sold_out(self) -> NDArray[np.bool_]:
        """Days whose sales used up the stock there was before, as far as it is known: goods may have come as well."""
        return (self.stock <= 0) & (self.before <= self.traded)

    def steps(self) -> NDArray[np.float64]:
        """Steps of quantity on each day with a full look-back."""
        return unit_steps(self.given_step, self.traded, product=self.product, days=LOOKBACK_DAYS + 1)

    def available(self, past: slice) -> NDArray[np.float64]:
        """The available share of these days by the hours that stores trade, as known on the last of them."""
        traded, stock, before, hours = (v[:, past] for v in (self.traded, self.stock, self.before, self.hours))
        was_empty = (before <= 0) & (stock <= 0) & (traded == 0)
        day = trading_hours(self.given_hours, hours, was_empty=was_empty, store=self.store)
        return censoring.censoring_of(
            stock, traded, previous_on_hand_units=before, stock_out_hours=hours, trading_hours=day[:, None]
        )[1]


def unconstrained_day(
    days: TradingDays, *, discount: NDArray[np.float64], product: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of the last of the given days, from these days alone: every range that makes the day gives the same.

    Args:
        days: without lifts, which follow from the discounts.
        discount: share of the price taken off, (series, days); NaN where the series has no row.
        product: number of each series' product, (series,).
    """
    traded, is_limited = days.sales, days.is_limited
    seen = np.where(is_limited, np.nan_to_num(days.available), days.censoring == Censoring.NONE)
    units, sd = traded[:, -1:].copy(), np.where(np.isnan(traded[:, -1:]), np.nan, 0.0)
    wanted = np.flatnonzero(is_limited[:, -1])
    if len(wanted):
        rate = np.nan_to_num(discount)
        lift = lifts(traded, discount_rate=rate, exposure=seen, weekday=days.weekday, product=product)
        lifted = replace(days, lift=lift).of(wanted)
        units[wanted], sd[wanted] = unconstrain(lifted, first_day=traded.shape[1] - 1)
    return units, sd


class _Grid:
    """Rows of series × day as a dense array and back."""

    def __init__(self, row: NDArray[np.intp], column: NDArray[np.intp], *, series_count: int, window: Window) -> None:
        self._row, self._column = row, column
        self._shape, self._window = (series_count, len(window)), window

    @classmethod
    def of(cls, rows: pd.DataFrame, window: Window) -> "_Grid":
        codes = rows.groupby(_SERIES, sort=True, observed=True).ngroup().to_numpy()
        columns = (rows["business_date"] - pd.Timestamp(window.first)).dt.days.to_numpy()
        return cls(codes, columns, series_count=int(codes.max(initial=-1)) + 1, window=window)

    def spread(self, values: NDArray | pd.Series) -> NDArray[np.float64]:
        grid = np.full(self._shape, np.nan)
        grid[self._row, self._column] = np.asarray(values, dtype=float)
        return grid

    def gather(self, grid: NDArray) -> NDArray:
        return grid[self._row, self._column]

    def of_series(self, values: NDArray | pd.Series) -> NDArray[np.float64]:
        """The value of each series, which all its rows share."""
        found = np.full(self._shape[0], np.nan)
        found[self._row] = np.asarray(values, dtype=float)
        return found

    def numbers(self, names: pd.Series) -> NDArray[np.int64]:
        """A number for each series by the name in its rows, the same for equal names."""
        numbers = np.zeros(self._shape[0], dtype=np.int64)
        numbers[self._row] = pd.factorize(names, sort=True)[0]
        return numbers

    def weekdays(self) -> NDArray[np.int64]:
        return np.array([day.isoweekday() for day in self._window.days()])
