"""Reads back from the database where the simulation stopped, so that the next day follows as if without a break.

Only what the retailer itself would know is read: last closing, sales of the last four weeks, open orders and
the tills' queue; everything else is computed again from the seed.
"""

from datetime import date, datetime

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from retail_assets.demo import schema
from retail_assets.demo.simulation import Simulation
from retail_assets.demo.stock import WINDOW_DAYS, OrderLine
from retail_assets.demo.till import FeedRow
from retail_assets.demo.world import World


def last_day_written(connection: Connection) -> date | None:
    return connection.scalar(sa.select(sa.func.max(schema.stock_closing.c.business_date)))


def restore(connection: Connection, simulation: Simulation, *, last: date) -> None:
    """Set the simulation's state to the evening of `last`."""
    world, state = simulation.world, simulation.state
    places = _places(world)
    state.stock.on_hand = _on_hand(connection, places, last=last)
    _fill_window(connection, places, window=state.stock.sold_window, last=last)
    state.stock.open_lines = _open_lines(connection, places)
    for line in state.stock.open_lines:
        line.arrival, line.arriving_units = simulation.stockroom.arrival_of(line)
    state.queue = _queue(connection)
    simulation.forget_planned_before(last.toordinal() + 1)


def _places(world: World) -> dict[tuple[str, str], int]:
    pairs = zip(world.series.store.tolist(), world.series.product.tolist(), strict=True)
    return {(world.stores[s].store_id, world.products[p].product_id): n for n, (s, p) in enumerate(pairs)}


def _on_hand(connection: Connection, places: dict[tuple[str, str], int], *, last: date) -> np.ndarray:
    table = schema.stock_closing.c
    rows = connection.execute(
        sa.select(table.store_id, table.product_id, table.on_hand_units).where(table.business_date == last)
    )
    on_hand = np.zeros(len(places), dtype=int)
    for store_id, product_id, units in rows:
        on_hand[places[store_id, product_id]] = units
    return on_hand


def _fill_window(connection: Connection, places: dict[tuple[str, str], int], *, window: np.ndarray, last: date) -> None:
    """Overwrite the planned sales of the last four weeks by what was sold; days before the first keep the plan."""
    first = date.fromordinal(max(1, last.toordinal() - WINDOW_DAYS + 1))
    table = schema.true_demand.c
    rows = connection.execute(
        sa.select(table.business_date, table.store_id, table.product_id, table.demanded_units - table.lost_units).where(
            table.business_date >= first
        )
    )
    written = set()
    for day, store_id, product_id, sold in rows:
        slot = day.toordinal() % WINDOW_DAYS
        if slot not in written:
            window[slot] = 0.0
            written.add(slot)
        window[slot, places[store_id, product_id]] = sold


def _open_lines(connection: Connection, places: dict[tuple[str, str], int]) -> list[OrderLine]:
    order, line = schema.purchase_order, schema.purchase_order_line
    statement = (
        sa.select(line, order.c.store_id, order.c.ordered_date, order.c.promised_date)
        .join(order, order.c.purchase_order_id == line.c.purchase_order_id)
        .where(line.c.received_date.is_(None), line.c.cancelled_date.is_(None))
        .order_by(line.c.purchase_order_line_id)
    )
    return [
        OrderLine(
            line_id=row.purchase_order_line_id,
            order_id=row.purchase_order_id,
            series=places[row.store_id, row.product_id],
            ordered_units=row.ordered_units,
            unit_cost=row.unit_cost,
            ordered=row.ordered_date.toordinal(),
            promised=row.promised_date.toordinal(),
        )
        for row in connection.execute(statement)
    ]


def _queue(connection: Connection) -> list[tuple[int, FeedRow]]:
    table = schema.till_queue
    waiting = []
    for row in connection.execute(sa.select(table).order_by(table.c.feed_id)):
        values = row._asdict()
        arrival = values.pop("arrival_date").toordinal()
        values["business_date"] = values["business_date"].toordinal()
        assert isinstance(values["modified_at"], datetime)
        waiting.append((arrival, FeedRow(**values)))
    return waiting
