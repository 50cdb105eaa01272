"""The retailer's own replenishment and what stock leaves of demand: receive, order, sell, take back, close.

A plain min/max policy on recent sales, on purpose imperfect; it shares nothing with `inventory/`. Stock is
conserved: opening + received - sold + returned = closing, for every series and day.
"""

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import numpy as np

from retail_assets.demo.plans import Plans
from retail_assets.demo.randomness import Stream, random_stream
from retail_assets.demo.world import KEY_FACTOR, SUPPLIERS, World

WINDOW_DAYS = 28
TRADING_HOURS = 14.0
KEEPS_DAYS = 3650
RETURN_RATE = 0.009
FOUND_RATE = 0.012
CANCELLED_RATE = 0.004
SHORT_RATE = 0.025
PROMOTION_ALLOWANCE = 0.7
COUNT_EVERY_DAYS = 28
LAST_ORDER_DAYS = 7
"""A product is not ordered any more when it would arrive this near to its last day."""


@dataclass
class OrderLine:
    """A purchase order line; `arrival` and `arriving_units` are what the supplier will do, not yet known to anyone."""

    line_id: int
    order_id: int
    series: int
    ordered_units: int
    unit_cost: float
    ordered: int
    promised: int
    arrival: int = 0
    arriving_units: int = 0
    received_units: int | None = None
    received: int | None = None
    cancelled: int | None = None


@dataclass(frozen=True)
class OrderHeader:
    order_id: int
    supplier: int
    store: int
    ordered: int
    promised: int


@dataclass
class StoreStock:
    """What a day hands to the next: on hand, open lines, and units sold in each of the last 28 days (by day % 28)."""

    on_hand: np.ndarray
    sold_window: np.ndarray
    open_lines: list[OrderLine] = field(default_factory=list)


@dataclass(frozen=True)
class StockDay:
    """`cleared` is what a delisted product leaves on its first day off sale; it is taken out of the stock."""

    received: np.ndarray
    cleared: np.ndarray
    sold: np.ndarray
    lost: np.ndarray
    returned: np.ndarray
    closing: np.ndarray
    stock_out_hours: np.ndarray
    headers: list[OrderHeader]
    new_lines: list[OrderLine]
    closed_lines: list[OrderLine]


class Stockroom:
    """Runs the stock of every series through a day."""

    def __init__(self, world: World, plans: Plans) -> None:
        self.world, self.plans = world, plans
        products = world.products
        self._supplier = world.of_products("supplier")
        self._pack = world.of_products("pack_units")
        self._least = world.of_products("min_order_units")
        self._cost = world.of_products("unit_cost")
        self._max_stock = np.array([float(p.max_stock_units or np.inf) for p in products])[world.series.product]
        self._shelf_life = np.array([float(p.shelf_life_days or KEEPS_DAYS) for p in products])[world.series.product]
        self._lead = np.array([s.lead_time_days for s in SUPPLIERS])[self._supplier]
        self._review = np.array([s.review_days for s in SUPPLIERS])[self._supplier]
        self._conduct = lru_cache(maxsize=64)(self._draw_conduct)
        self._caution = random_stream(world.seed, Stream.SUPPLY).uniform(0.95, 2.1, len(world.series))

    def opening_state(self) -> StoreStock:
        """Before the first day: full shelves of what is carried, nothing on order, sales as planned."""
        series = self.world.series
        carried = series.carried(self.world.start)
        target = self._order_up_to(np.where(carried, series.daily_rate, 0.0))
        share = random_stream(self.world.seed, Stream.SUPPLY, step=1).uniform(0.6, 1.0, len(series))
        on_hand = np.where(carried, np.ceil(target * share), 0.0).astype(int)
        window = np.tile(np.where(carried, series.daily_rate, 0.0), (WINDOW_DAYS, 1))
        return StoreStock(on_hand, window)

    def run_day(self, state: StoreStock, day: int, *, demanded: np.ndarray) -> StockDay:
        """Advance `state` by one day in place."""
        received, closed = self._receive(state, day)
        opening = state.on_hand + received
        headers, new_lines = self._order(state, day, opening=opening)
        state.open_lines.extend(new_lines)
        sold = np.minimum(demanded, np.maximum(opening, 0) + self._found(day, opening=opening, demanded=demanded))
        returned = self._returned(state, day)
        is_carried = self.world.series.carried(day)
        closing = np.where(is_carried, opening - sold + returned, 0)
        cleared = np.where(is_carried, 0, opening - sold + returned)
        hours = self._stock_out_hours(day, sold=sold, demanded=demanded, left=opening - sold)
        state.on_hand = closing
        state.sold_window[day % WINDOW_DAYS] = sold
        return StockDay(received, cleared, sold, demanded - sold, returned, closing, hours, headers, new_lines, closed)

    def counted(self, day: int) -> np.ndarray:
        """Whether a series is counted this evening: each once in four weeks, on open days."""
        turn = (np.arange(len(self.world.series)) + day) % COUNT_EVERY_DAYS == 0
        return turn & self.world.series.carried(day) & (day not in self.plans.closed_days)

    def arrival_of(self, line: OrderLine) -> tuple[int, int]:
        """Day and units of a line's delivery, from its order alone; 0 units for one the supplier will cancel."""
        late, fate = self._conduct(line.ordered)
        series = line.series
        supplier, store = int(self._supplier[series]), int(self.world.series.store[series])
        arrival = self._open_day(line.promised + _delay(late[supplier, store], SUPPLIERS[supplier].on_time_rate))
        if fate[series] < CANCELLED_RATE:
            return arrival, 0
        if fate[series] < CANCELLED_RATE + SHORT_RATE:
            pack = int(self._pack[series])
            return arrival, max(pack, line.ordered_units * 2 // 3 // pack * pack)
        return arrival, line.ordered_units

    def _draw_conduct(self, ordered: int) -> tuple[np.ndarray, np.ndarray]:
        """What suppliers will do with the orders of a day: lateness by supplier and store, fate by series."""
        rng = random_stream(self.world.seed, Stream.SUPPLY, step=ordered)
        return rng.random((len(SUPPLIERS), len(self.world.stores))), rng.random(len(self.world.series))

    def _open_day(self, day: int) -> int:
        return day + 1 if day in self.plans.closed_days else day

    def _receive(self, state: StoreStock, day: int) -> tuple[np.ndarray, list[OrderLine]]:
        """Book what arrives; close as well what is cancelled and the rest of a short delivery."""
        received = np.zeros(len(self.world.series), dtype=int)
        closed, still_open = [], []
        for line in state.open_lines:
            is_delisted = day > self.world.series.valid_to[line.series]
            if line.arrival > day and not is_delisted:
                still_open.append(line)
                continue
            closed.append(line)
            if is_delisted or line.arriving_units == 0:
                line.cancelled = day
                continue
            received[line.series] += line.arriving_units
            line.received, line.received_units = day, line.arriving_units
            line.cancelled = day if line.arriving_units < line.ordered_units else None
        state.open_lines = still_open
        return received, closed

    def _order_up_to(self, rate: np.ndarray) -> np.ndarray:
        """Expected sales until the order after the next arrives, and a margin; fresh goods never beyond their life."""
        cover = self._lead + self._review
        margin = self._caution * np.sqrt(rate * cover * 1.6) + 0.5
        level = np.minimum(rate * cover + margin, np.maximum(rate * self._shelf_life, 1.0))
        return np.minimum(level, self._max_stock - self._pack)

    def _rate(self, state: StoreStock, day: int) -> np.ndarray:
        """Mean daily sales of the last 28 days; days before a launch count as planned."""
        series = self.world.series
        ages = (day - 1 - np.arange(WINDOW_DAYS)) % WINDOW_DAYS
        is_known = series.valid_from[None, :] <= day - 1 - ages[:, None]
        rate = np.where(is_known, state.sold_window, series.daily_rate[None, :]).mean(axis=0)
        promoted = np.mean([self.plans.discounts(day + ahead) > 0 for ahead in (2, 5, 8)], axis=0)
        return rate * (1 + PROMOTION_ALLOWANCE * promoted)

    def _order(self, state: StoreStock, day: int, *, opening: np.ndarray) -> tuple[list[OrderHeader], list[OrderLine]]:
        weekday = date.fromordinal(day).isoweekday()
        takes_orders = np.array([weekday in supplier.order_weekdays for supplier in SUPPLIERS])[self._supplier]
        if day in self.plans.closed_days or not takes_orders.any():
            return [], []
        arrives, series = day + self._lead, self.world.series
        is_carried = (arrives + self._review >= series.valid_from) & (arrives + LAST_ORDER_DAYS < series.valid_to)
        position = opening.copy()
        for line in state.open_lines:
            position[line.series] += line.ordered_units
        need = self._order_up_to(self._rate(state, day)) - position
        units = np.ceil(np.maximum(need, 0) / self._pack) * self._pack
        units = np.where(units > 0, np.maximum(units, self._least), 0)
        units = self._worth_sending(np.where(takes_orders & is_carried, units, 0), opening=opening)
        return self._lines(day, units.astype(int))

    def _worth_sending(self, units: np.ndarray, *, opening: np.ndarray) -> np.ndarray:
        """Orders below the supplier's least value wait, unless a shelf is empty: then every line is raised."""
        order = self._supplier * len(self.world.stores) + self.world.series.store
        count = len(SUPPLIERS) * len(self.world.stores)
        value = np.bincount(order, units * self._cost, minlength=count)[order]
        is_urgent = np.bincount(order, (units > 0) & (opening <= 0), minlength=count)[order] > 0
        least = np.array([supplier.min_order_value for supplier in SUPPLIERS])[self._supplier]
        factor = np.where(value >= least, 1.0, np.where(is_urgent, least / np.maximum(value, 0.01), 0.0))
        return np.ceil(units * factor / self._pack - 1e-9) * self._pack

    def _lines(self, day: int, units: np.ndarray) -> tuple[list[OrderHeader], list[OrderLine]]:
        """One order a store, supplier and promised day: goods not yet launched are due on their first day."""
        headers: dict[tuple[int, int, int], OrderHeader] = {}
        lines = []
        for series in np.flatnonzero(units).tolist():
            store, supplier = int(self.world.series.store[series]), int(self._supplier[series])
            due = max(day + SUPPLIERS[supplier].lead_time_days, int(self.world.series.valid_from[series]))
            promised = self._open_day(due)
            fresh = OrderHeader(day * KEY_FACTOR + len(headers) + 1, supplier, store, day, promised)
            header = headers.setdefault((store, supplier, promised), fresh)
            lines.append(self._line(header, series, number=day * KEY_FACTOR + len(lines) + 1, units=int(units[series])))
        return list(headers.values()), lines

    def _line(self, header: OrderHeader, series: int, *, number: int, units: int) -> OrderLine:
        cost = float(self._cost[series])
        line = OrderLine(number, header.order_id, series, units, cost, header.ordered, header.promised)
        line.arrival, line.arriving_units = self.arrival_of(line)
        return line

    def _found(self, day: int, *, opening: np.ndarray, demanded: np.ndarray) -> np.ndarray:
        """Now and then a shelf holds one unit more than the books: the till sells it and the books go negative."""
        rng = random_stream(self.world.seed, Stream.PHANTOM, step=day)
        return (demanded > np.maximum(opening, 0)) & (rng.random(len(opening)) < FOUND_RATE)

    def _returned(self, state: StoreStock, day: int) -> np.ndarray:
        """A few of yesterday's units come back and can be sold again tomorrow."""
        rng = random_stream(self.world.seed, Stream.RETURNS, step=day)
        yesterday = np.round(state.sold_window[(day - 1) % WINDOW_DAYS]).astype(int)
        returned = rng.binomial(yesterday, RETURN_RATE)
        is_possible = self.world.series.carried(day) & (day > self.world.start) & (day not in self.plans.closed_days)
        return np.where(is_possible, returned, 0)

    def _stock_out_hours(self, day: int, *, sold: np.ndarray, demanded: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Customers come evenly through the day: the last unit goes after its share of them."""
        is_out = (left <= 0) & self.world.series.carried(day) & (day not in self.plans.closed_days)
        return np.where(is_out, np.round(TRADING_HOURS * (1 - sold / (demanded + 1)), 1), 0.0)


def _delay(draw: float, on_time_rate: float) -> int:
    """Days late: mostly none, then one to five with halving probability."""
    if draw < on_time_rate:
        return 0
    tail = (draw - on_time_rate) / (1 - on_time_rate)
    return int(np.searchsorted([0.5, 0.75, 0.875, 0.95], tail, side="right")) + 1
