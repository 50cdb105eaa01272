"""Fills an operational database with a simulated retailer, from its first day or on from the last day written.

Days are written in blocks, one transaction each: a killed run leaves whole days, and the next call goes on.
"""

from collections.abc import Callable
from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from retail_assets.demo import records, schema
from retail_assets.demo.database import Batch, demo_database, write_batch
from retail_assets.demo.plans import EVENT_AHEAD_DAYS, build_plans
from retail_assets.demo.resume import last_day_written, restore
from retail_assets.demo.simulation import Simulation
from retail_assets.demo.stock import OrderLine
from retail_assets.demo.world import DemoSize, build_world
from retail_assets.failures import PermanentFailure

DAYS_A_BLOCK = 20
DEFAULT_SIZE = DemoSize()


def write_days(
    url: str,
    *,
    start: date,
    through: date,
    seed: int = 7,
    size: DemoSize = DEFAULT_SIZE,
    progress: Callable[[date], None] | None = None,
) -> int:
    """Write the days up to `through` that are not in the database yet; returns how many.

    `start` is the first day of a new database and ignored for one that has days. `progress` is called with
    the last day of each block once it is committed.

    Raises:
        PermanentFailure: the database holds something else than this demo, or `through` is before `start`.
        TransientFailure: the database does not answer or cannot be written.
    """
    with demo_database(url) as engine:
        with engine.connect() as connection:
            last = last_day_written(connection)
            first = _agreed_start(connection, start=start, seed=seed, size=size)
        if last is None and through < start:
            raise PermanentFailure(f"The demo cannot end on {through} before it starts on {start}: give a later end.")
        simulation = _simulation(engine, first, through=through, seed=seed, size=size, last=last)
        days = range(last.toordinal() + 1 if last else first.toordinal(), through.toordinal() + 1)
        for at in range(0, len(days), DAYS_A_BLOCK):
            block = days[at : at + DAYS_A_BLOCK]
            _write_block(engine, simulation, days=block)
            if progress is not None:
                progress(date.fromordinal(block[-1]))
        return len(days)


def _settings(start: date, *, seed: int, size: DemoSize) -> dict[str, str]:
    return {
        "start": start.isoformat(),
        "seed": str(seed),
        "size": f"{size.stores}x{size.products}x{size.customers}x{size.opening_after_days}",
    }


def _agreed_start(connection: Connection, *, start: date, seed: int, size: DemoSize) -> date:
    """The first day of the demo in the database, or `start` when it is new."""
    table = schema.demo_setting
    found = {row.setting_name: row.setting_value for row in connection.execute(sa.select(table))}
    wanted = _settings(start, seed=seed, size=size)
    if not found:
        return start
    for name in ("seed", "size"):
        if found[name] != wanted[name]:
            raise PermanentFailure(
                f"The database already holds a demo retailer of {name} {found[name]}, not {wanted[name]}: "
                f"give {name} {found[name]} again or use an empty database."
            )
    return date.fromisoformat(found["start"])


def _simulation(
    engine: Engine, start: date, *, through: date, seed: int, size: DemoSize, last: date | None
) -> Simulation:
    world = build_world(seed, start, size=size)
    simulation = Simulation(world, build_plans(world, through.toordinal() + EVENT_AHEAD_DAYS))
    if last is not None:
        with engine.connect() as connection:
            restore(connection, simulation, last=last)
    return simulation


def _write_block(engine: Engine, simulation: Simulation, *, days: range) -> None:
    batch, closed = Batch(), []
    for day in days:
        closed.extend(simulation.advance(day, batch))
    _add_order_lines(batch, simulation, closed=closed, first=days[0])
    _add_queue(batch, simulation)
    _add_list_changes(batch, simulation, days=days)
    world = simulation.world
    if days[0] == world.start:
        settings = _settings(date.fromordinal(world.start), seed=world.seed, size=world.size)
        batch.add(schema.demo_setting, settings.items())
    with engine.begin() as connection:
        connection.execute(sa.delete(schema.till_queue))
        write_batch(connection, batch)


def _add_order_lines(batch: Batch, simulation: Simulation, *, closed: list[OrderLine], first: int) -> None:
    """Lines ordered in the block are inserted as they stand at its end; older ones that closed are updated."""
    touched = sorted([*closed, *simulation.state.stock.open_lines], key=lambda line: line.line_id)
    new = [line for line in touched if line.ordered >= first]
    batch.add(schema.purchase_order_line, (records.line_row(simulation.world, line) for line in new))
    table = schema.purchase_order_line
    statement = (
        sa.update(table)
        .where(table.c.purchase_order_line_id == sa.bindparam("line"))
        .values(
            received_units=sa.bindparam("units"),
            received_date=sa.bindparam("received"),
            cancelled_date=sa.bindparam("cancelled"),
        )
    )
    batch.update(statement, [records.outcome_values(line) for line in closed if line.ordered < first])


def _add_queue(batch: Batch, simulation: Simulation) -> None:
    rows = [
        (*records.feed_row(row, date.fromordinal(row.business_date)), date.fromordinal(arrival))
        for arrival, row in simulation.state.queue
    ]
    batch.add(schema.till_queue, rows)


def _add_list_changes(batch: Batch, simulation: Simulation, *, days: range) -> None:
    """Delistings are entered when they are decided, list prices on the day they hold."""
    prices = [
        {"product": simulation.world.products[change.product].product_id, "price": change.price}
        for change in simulation.plans.price_changes
        if change.day in days
    ]
    product, assortment = schema.product, schema.store_assortment
    priced = sa.update(product).where(product.c.product_id == sa.bindparam("product"))
    batch.update(priced.values(list_price=sa.bindparam("price")), prices)
    ends = records.delistings(simulation.world, days)
    ended = sa.update(product).where(product.c.product_id == sa.bindparam("product"))
    batch.update(ended.values(discontinued_date=sa.bindparam("day")), ends)
    dropped = sa.update(assortment).where(assortment.c.product_id == sa.bindparam("product"))
    batch.update(dropped.values(valid_to=sa.bindparam("day")), ends)
