"""The demo retailer day by day: demand, stock and tills in turn, with the rows that each leaves behind.

`Simulation.advance` is the only way time passes. What must survive between two calls is in the database,
and resume.py reads it back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

import numpy as np

from retail_assets.demo import records, schema
from retail_assets.demo.database import Batch
from retail_assets.demo.demand import Demand
from retail_assets.demo.plans import Plans
from retail_assets.demo.stock import OrderLine, StockDay, Stockroom, StoreStock
from retail_assets.demo.till import ZONE, FeedRow, TillDay, Tills
from retail_assets.demo.world import KEY_FACTOR, World

CLOSING_HOUR = 22


@dataclass
class DemoState:
    """What tomorrow needs to know: the stock, and feed rows that wait as (arrival day, row)."""

    stock: StoreStock
    queue: list[tuple[int, FeedRow]] = field(default_factory=list)


class Simulation:
    """One retailer; `state` moves with `advance`."""

    def __init__(self, world: World, plans: Plans) -> None:
        self.world, self.plans = world, plans
        self.demand, self.stockroom, self.tills = Demand(world, plans), Stockroom(world, plans), Tills(world, plans)
        self.state = DemoState(self.stockroom.opening_state())
        self._store_ids = np.array([s.store_id for s in world.stores], dtype=object)[world.series.store]
        self._product_ids = np.array([p.product_id for p in world.products], dtype=object)[world.series.product]
        self._planned = sorted(records.planned_rows(world, plans), key=lambda row: row.visible)
        self._entered = 0

    def forget_planned_before(self, day: int) -> None:
        """Planned rows visible before `day` are in the database already."""
        while self._entered < len(self._planned) and self._planned[self._entered].visible < day:
            self._entered += 1

    def advance(self, day: int, batch: Batch) -> list[OrderLine]:
        """Run one day into `batch`; returns the order lines that the day closed."""
        self._enter_plans(day, batch)
        expected = self.demand.expected(day)
        demanded = self.demand.draw(day, expected)
        stock = self.stockroom.run_day(self.state.stock, day, demanded=demanded)
        tills = self.tills.day(day, sold=stock.sold, returned=stock.returned)
        self._record_stock(day, batch, stock=stock, expected=expected, demanded=demanded)
        self._record_feed(day, batch, tills=tills)
        batch.add(schema.purchase_order, (records.header_row(self.world, header) for header in stock.headers))
        return stock.closed_lines

    def _enter_plans(self, day: int, batch: Batch) -> None:
        while self._entered < len(self._planned) and self._planned[self._entered].visible <= day:
            row = self._planned[self._entered]
            batch.add(row.table, [row.values])
            self._entered += 1

    def _record_stock(
        self, day: int, batch: Batch, *, stock: StockDay, expected: np.ndarray, demanded: np.ndarray
    ) -> None:
        here = np.flatnonzero(self.world.series.carried(day))
        moment = datetime.combine(date.fromordinal(day), time(CLOSING_HOUR), ZONE).astimezone(UTC).replace(tzinfo=None)
        days = [date.fromordinal(day)] * len(here)
        place = (days, self._store_ids[here].tolist(), self._product_ids[here].tolist())
        closing = (stock.closing[here].tolist(), stock.stock_out_hours[here].tolist(), [moment] * len(here))
        batch.add(schema.stock_closing, zip(*place, *closing, strict=True))
        truth = (
            expected[here].tolist(),
            demanded[here].tolist(),
            stock.lost[here].tolist(),
            stock.returned[here].tolist(),
        )
        batch.add(schema.true_demand, zip(*place, *truth, strict=True))
        batch.add(schema.stock_movement, self._movements(day, stock, moment))

    def _movements(self, day: int, stock: StockDay, moment: datetime) -> Iterator[tuple]:
        """Receipts, what a delisted product left, and counts; books below zero are not counted, they only clear."""
        counted = self.stockroom.counted(day) & (stock.closing >= 0)
        changes = (
            ("receipt", np.flatnonzero(stock.received), stock.received),
            ("waste", np.flatnonzero(stock.cleared > 0), -stock.cleared),
            ("count", np.flatnonzero(stock.cleared < 0), -stock.cleared),
            ("count", np.flatnonzero(counted), np.zeros_like(stock.closing)),
        )
        moves = ((kind, n, int(units[n])) for kind, series, units in changes for n in series.tolist())
        today = date.fromordinal(day)
        for number, (kind, n, units) in enumerate(moves, start=day * KEY_FACTOR + 1):
            yield number, today, self._store_ids[n], self._product_ids[n], kind, units, moment

    def _record_feed(self, day: int, batch: Batch, *, tills: TillDay) -> None:
        arrived = [row for arrival, row in self.state.queue if arrival == day]
        self.state.queue = [item for item in self.state.queue if item[0] > day] + tills.queued
        dates = {row.business_date: date.fromordinal(row.business_date) for row in (*arrived, *tills.sent)}
        batch.add(
            schema.pos_sale_line,
            [records.feed_row(row, dates[row.business_date]) for row in (*arrived, *tills.sent)],
        )
        numbered = enumerate(tills.faults, start=day * KEY_FACTOR + 1)
        batch.add(schema.injected_fault, [records.fault_row(number, fault) for number, fault in numbered])
