"""The tills: units sold become lines in baskets, and a feed row is now and then wrong, doubled, late or corrected.

Every injected fault is recorded with the true values. A line that arrives late and the correction of a wrong
one wait in the queue until the day they are sent.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from retail_assets.demo.plans import Plans
from retail_assets.demo.randomness import Stream, random_stream
from retail_assets.demo.world import KEY_FACTOR, World

ZONE = ZoneInfo("Europe/London")
OPENING_HOUR, TRADING_MINUTES, FEED_HOUR = 8, 14 * 60, 5
NEW_LINE_RATE, LINES_A_BASKET, KNOWN_CUSTOMER_RATE = 0.72, 2.8, 0.4
LONGEST_DELAY_DAYS = 3
FAULT_RATES = {
    "duplicate": 0.002,
    "late": 0.003,
    "corrected": 0.002,
    "unknown_product": 0.0008,
    "unknown_store": 0.0005,
    "negative_price": 0.0007,
    "wrong_type": 0.001,
    "missing_quantity": 0.0008,
    "zero_quantity": 0.0005,
    "absurd_quantity": 0.0005,
}
MISSING_FEED_FIRST, MISSING_FEED_EVERY = 37, 211
"""Days from the first day to the first store-day whose feed never comes, and from one to the next."""


class FeedRow(NamedTuple):
    """A row of pos_sale_line, field for field; dates are day numbers."""

    feed_id: int
    line_id: int
    revision: int
    sale_id: int
    business_date: int
    store_id: str
    product_id: str
    customer_id: str | None
    quantity: str | None
    unit_price: str
    discount_value: float
    modified_at: datetime


@dataclass(frozen=True)
class Fault:
    """`feed_id` is the row that is wrong, superseded, late, or the extra copy."""

    fault_class: str
    feed_id: int | None
    line_id: int | None
    business_date: int
    arrival_date: int
    store_id: str
    product_id: str | None
    true_quantity: int | None
    true_unit_price: float | None


@dataclass
class TillDay:
    """Rows sent on the day itself, rows that wait as (arrival day, row), and what was done to them."""

    sent: list[FeedRow]
    queued: list[tuple[int, FeedRow]]
    faults: list[Fault]


@dataclass(frozen=True)
class _Lines:
    """Sale lines of a day as arrays, sorted by store and basket."""

    series: np.ndarray
    quantity: np.ndarray
    basket: np.ndarray
    number: np.ndarray
    basket_minute: np.ndarray
    basket_customer: list[str | None]


class Tills:
    """Writes the feed of a day; what it draws depends on the seed and the day alone."""

    def __init__(self, world: World, plans: Plans) -> None:
        self.world, self.plans = world, plans
        self._store_ids = np.array([s.store_id for s in world.stores], dtype=object)[world.series.store]
        self._product_ids = np.array([p.product_id for p in world.products], dtype=object)[world.series.product]
        self._home = np.array([customer.home_store for customer in world.customers])
        self._joined = np.array([customer.joined for customer in world.customers])

    def day(self, day: int, *, sold: np.ndarray, returned: np.ndarray) -> TillDay:
        silent = self._silent_store(day)
        is_heard = self.world.series.store != (-1 if silent is None else silent)
        rng = random_stream(self.world.seed, Stream.BASKETS, step=day)
        lines = self._lines(rng, day, sold=np.where(is_heard, sold, 0), returned=np.where(is_heard, returned, 0))
        rows = self._rows(day, lines)
        filled = self._with_faults(day, rows, lines=lines)
        if silent is not None:
            store_id = self.world.stores[silent].store_id
            filled.faults.append(Fault("missing_feed", None, None, day, day, store_id, None, None, None))
        return filled

    def _silent_store(self, day: int) -> int | None:
        """The store whose feed never comes on this day, on the few days that have one."""
        since = day - self.world.start - MISSING_FEED_FIRST
        if since < 0 or since % MISSING_FEED_EVERY or day in self.plans.closed_days:
            return None
        open_stores = [n for n, store in enumerate(self.world.stores) if store.opened <= day]
        return int(random_stream(self.world.seed, Stream.MISSING_FEED, step=day).choice(open_stores))

    def _lines(self, rng: np.random.Generator, day: int, *, sold: np.ndarray, returned: np.ndarray) -> _Lines:
        sale_series, sale_quantity = _split(rng, sold)
        return_series = np.repeat(np.arange(len(returned)), returned)
        baskets_sold, n_sold = self._baskets(rng, sale_series)
        basket = np.concatenate([baskets_sold, n_sold + np.arange(len(return_series))])
        series = np.concatenate([sale_series, return_series])
        quantity = np.concatenate([sale_quantity, np.full(len(return_series), -1)])
        order = np.argsort(basket, kind="stable")
        series, quantity, basket = series[order], quantity[order], basket[order]
        is_first = np.concatenate([[True], basket[1:] != basket[:-1]]) if len(basket) else np.zeros(0, bool)
        start = np.maximum.accumulate(np.where(is_first, np.arange(len(basket)), 0))
        _, basket = np.unique(basket, return_inverse=True)
        store = self.world.series.store[series[is_first]]
        minute = rng.integers(0, TRADING_MINUTES, len(store))
        number = np.arange(len(series)) - start + 1
        return _Lines(series, quantity, basket, number, minute, self._customers(rng, day, stores=store))

    def _baskets(self, rng: np.random.Generator, series: np.ndarray) -> tuple[np.ndarray, int]:
        """A basket number for each line, drawn among the baskets of its store."""
        store = self.world.series.store[series]
        lines = np.bincount(store, minlength=len(self.world.stores))
        baskets = np.ceil(lines / LINES_A_BASKET).astype(int)
        first = np.concatenate([[0], np.cumsum(baskets)[:-1]])
        return first[store] + (rng.random(len(store)) * baskets[store]).astype(int), int(baskets.sum())

    def _customers(self, rng: np.random.Generator, day: int, *, stores: np.ndarray) -> list[str | None]:
        """The card holder of each basket, one of those who live near its store; most baskets have none."""
        chosen: np.ndarray = np.full(len(stores), None, dtype=object)
        is_known = rng.random(len(stores)) < KNOWN_CUSTOMER_RATE
        skew = rng.beta(1.0, 1.8, len(stores))
        for store in np.unique(stores).tolist():
            near = np.flatnonzero((self._home == store) & (self._joined <= day))
            here = np.flatnonzero(is_known & (stores == store))
            if len(near):
                ids = np.array([self.world.customers[n].customer_id for n in near.tolist()], dtype=object)
                chosen[here] = ids[(skew[here] * len(near)).astype(int)]
        return chosen.tolist()

    def _rows(self, day: int, lines: _Lines) -> list[FeedRow]:
        prices, discounts = self.plans.prices(day)[lines.series], self.plans.discounts(day)[lines.series]
        discount = np.round(prices * lines.quantity * discounts, 2) + 0.0  # no negative zeros
        opening = datetime.combine(date.fromordinal(day), time(OPENING_HOUR), ZONE).astimezone(UTC).replace(tzinfo=None)
        moments = [opening + timedelta(minutes=minute) for minute in lines.basket_minute.tolist()]
        first_sale, first_feed = day * KEY_FACTOR + 1, day * KEY_FACTOR + 1
        columns = zip(
            lines.basket.tolist(),
            lines.number.tolist(),
            self._store_ids[lines.series].tolist(),
            self._product_ids[lines.series].tolist(),
            lines.quantity.tolist(),
            prices.tolist(),
            discount.tolist(),
            strict=True,
        )
        return [
            FeedRow(
                first_feed + n, (first_sale + basket) * 1000 + number, 1, first_sale + basket, day, store, product,
                lines.basket_customer[basket], str(quantity), f"{price:.2f}", value, moments[basket],
            )
            for n, (basket, number, store, product, quantity, price, value) in enumerate(columns)
        ]  # fmt: skip

    def _with_faults(self, day: int, rows: list[FeedRow], *, lines: _Lines) -> TillDay:
        """Spoil a few sale lines, each in one way; returns stay clean."""
        rng = random_stream(self.world.seed, Stream.FAULTS, step=day)
        classes = list(FAULT_RATES)
        bounds = np.cumsum(list(FAULT_RATES.values()))
        draws = rng.random(len(rows))
        chosen = np.flatnonzero((draws < bounds[-1]) & (lines.quantity > 0)).tolist()
        result = TillDay(list(rows), [], [])
        for position in chosen:
            fault_class = classes[int(np.searchsorted(bounds, draws[position], side="right"))]
            _inject(result, fault_class, position=position, rng=rng, next_id=day * KEY_FACTOR + len(rows) + 1)
        late = {fault.feed_id for fault in result.faults if fault.fault_class == "late"}
        result.sent = [row for row in result.sent if row.feed_id not in late]
        return result


def _split(rng: np.random.Generator, sold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Units of each series in lines of one or a few units: the line's series and its units."""
    series = np.repeat(np.arange(len(sold)), sold)
    starts = rng.random(len(series)) < NEW_LINE_RATE
    if len(series) == 0:
        return series, series
    starts |= np.concatenate([[True], series[1:] != series[:-1]])
    return series[starts], np.bincount(np.cumsum(starts) - 1)


def _inject(day: TillDay, fault_class: str, *, position: int, rng: np.random.Generator, next_id: int) -> None:
    row = day.sent[position]
    wait = int(rng.integers(1, LONGEST_DELAY_DAYS + 1))
    feed_id, arrival = row.feed_id, row.business_date
    extra_id = next_id + len(day.faults)
    if fault_class == "duplicate":
        feed_id = extra_id
        day.sent.append(row._replace(feed_id=extra_id))
    elif fault_class == "late":
        arrival += wait
        day.queued.append((arrival, row._replace(modified_at=_sent_at(arrival, position))))
    elif fault_class == "corrected":
        arrival += wait
        moment = _sent_at(arrival, position)
        day.queued.append((arrival, row._replace(feed_id=extra_id, revision=2, modified_at=moment)))
        day.sent[position] = row._replace(**_mistake(row, rng))
    else:
        day.sent[position] = row._replace(**_spoiled(row, fault_class, rng=rng))
    day.faults.append(
        Fault(
            fault_class, feed_id, row.line_id, row.business_date, arrival, row.store_id, row.product_id,
            int(row.quantity or 0), float(row.unit_price),
        )
    )  # fmt: skip


def _sent_at(arrival: int, position: int) -> datetime:
    """What waited is sent before the shops of the arrival day open."""
    return datetime.combine(date.fromordinal(arrival), time(FEED_HOUR)) + timedelta(seconds=position % 3600)


def _mistake(row: FeedRow, rng: np.random.Generator) -> dict[str, str]:
    """A believable wrong entry that a correction will replace."""
    if rng.random() < 0.5:
        return {"quantity": str(int(row.quantity or 0) + int(rng.integers(1, 4)))}
    return {"unit_price": f"{float(row.unit_price) + 1:.2f}"}


def _spoiled(row: FeedRow, fault_class: str, *, rng: np.random.Generator) -> dict[str, str | None]:
    if fault_class == "wrong_type":
        return {"quantity": "two"} if rng.random() < 0.5 else {"unit_price": "n/a"}
    spoiled: dict[str, dict[str, str | None]] = {
        "unknown_product": {"product_id": "X" + row.product_id[1:]},
        "unknown_store": {"store_id": "X" + row.store_id[1:]},
        "negative_price": {"unit_price": f"-{row.unit_price}"},
        "missing_quantity": {"quantity": None},
        "zero_quantity": {"quantity": "0"},
        "absurd_quantity": {"quantity": "1000000"},
    }
    return spoiled[fault_class]
