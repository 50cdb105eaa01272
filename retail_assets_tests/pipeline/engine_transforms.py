"""Every transform of the graph as a function of an engine, over a lake that a run has filled.

Shared by the tests and by nobody else: what is here is compared between engines, value by value.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pyarrow as pa

from retail_assets.as_of_day.snapshot import SNAPSHOTS, AsOfSnapshot
from retail_assets.engines.protocol import Engine, Frame
from retail_assets.engines.writing.delta import as_arrow
from retail_assets.tables import bronze, entities, gold, layered, silver
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms import as_of, demand
from retail_assets.transforms import gold as to_gold
from retail_assets.transforms import silver as to_silver
from retail_assets.transforms.days import day_starts
from retail_assets.transforms.late_plans import late_discounts, late_prices
from retail_assets.windows import Window

Transform = Callable[[Engine, Window], Frame]
_KEYS = {entity.name: entity.key for entity, _, _ in layered.SNAPSHOTS}
_DIMENSIONS = (
    (entities.STORES, silver.STORES, gold.DIM_STORE),
    (entities.PRODUCTS, silver.PRODUCTS, gold.DIM_PRODUCT),
    (entities.SUPPLIERS, silver.SUPPLIERS, gold.DIM_SUPPLIER),
    (entities.CUSTOMERS, silver.CUSTOMERS, gold.DIM_CUSTOMER),
)
_SEEN = datetime(2030, 1, 1, tzinfo=UTC)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def transforms() -> dict[str, Transform]:
    """By name; each takes an engine and the days to look at."""
    return dict([*_of_bronze(), *_of_silver(), *_of_gold(), *_of_planning()])


def _of_bronze() -> Iterator[tuple[str, Transform]]:
    for entity, raw, _ in layered.SNAPSHOTS:
        yield f"{raw.path} appended", partial(_appended, entity=entity, raw=raw)


def _appended(engine: Engine, days: Window, *, entity: Entity, raw: Table) -> ibis.Table:
    """A snapshot in which every other row is gone and the rest is new or as it was."""
    known, columns = engine.scan(raw), [*entity.column_names, "unparsed"]
    rows = known.select(columns).to_pyarrow().sort_by([(name, "ascending") for name in columns])
    current = ibis.memtable(rows.take(pa.array(range(0, rows.num_rows, 2), pa.int64())))
    return as_of.append_changes(known, current, key=entity.key, columns=columns, seen_at=_SEEN)


def _judged(engine: Engine, days: Window) -> tuple[ibis.Table, ibis.Table, ibis.Table]:
    known = {
        "stores": engine.scan(silver.STORES),
        "products": engine.scan(silver.PRODUCTS),
        "day_starts": day_starts(days, ZoneInfo("Europe/London")),
    }
    return (
        to_silver.validated_sales(engine.scan(bronze.SALES, [days]), currency="GBP", **known),
        to_silver.validated_inventory(engine.scan(bronze.INVENTORY, [days]), **known),
        to_silver.validated_stock_movements(engine.scan(bronze.STOCK_MOVEMENTS, [days]), **known),
    )


def _of_silver() -> Iterator[tuple[str, Transform]]:
    yield "silver/sales", lambda engine, days: to_silver.sales(_judged(engine, days)[0])
    yield "silver/inventory", lambda engine, days: to_silver.inventory(_judged(engine, days)[1])
    yield "silver/stock_movements", lambda engine, days: to_silver.stock_movements(_judged(engine, days)[2])
    yield "silver/rejected_rows", lambda engine, days: to_silver.rejected_rows(*_judged(engine, days))
    for entity, raw, table in layered.SNAPSHOTS:
        yield table.path, partial(_silver_snapshot, entity=entity, raw=raw, table=table)
    yield "silver/rejected_snapshot_rows", _rejected_snapshots
    yield "silver/open_orders", lambda engine, _: to_silver.open_orders(engine.scan(silver.PURCHASE_ORDERS))


def _silver_snapshot(engine: Engine, days: Window, *, entity: Entity, raw: Table, table: Table) -> ibis.Table:
    return to_silver.snapshot(_judged_snapshot(engine, entity, raw, table), table)


def _judged_snapshot(engine: Engine, entity: Entity, raw: Table, table: Table) -> ibis.Table:
    return to_silver.validated_snapshot(engine.scan(raw), entity, to_silver.known_of(table, engine.scan))


def _rejected_snapshots(engine: Engine, days: Window) -> ibis.Table:
    validated = [(entity, _judged_snapshot(engine, entity, raw, table)) for entity, raw, table in layered.SNAPSHOTS]
    return to_silver.rejected_snapshot_rows(validated)


def _of_gold() -> Iterator[tuple[str, Transform]]:
    yield "gold/fact_sales", lambda engine, days: to_gold.fact_sales(engine.scan(silver.SALES, [days]))
    yield "gold/fact_inventory", _fact_inventory
    yield "gold/sales_summary", _sales_summary
    yield "gold/demand_daily", _demand_daily
    yield "gold/demand_daily without prices", partial(_demand_daily, has_prices=False)
    yield "gold/dim_date", _dim_date
    for entity, versions, table in _DIMENSIONS:
        yield table.path, partial(_dimension, entity=entity, versions=versions, table=table)
    yield "gold/product_segments", lambda engine, _: to_gold.product_segments(engine.scan(gold.DEMAND_DAILY))


def _fact_inventory(engine: Engine, days: Window) -> ibis.Table:
    return to_gold.fact_inventory(engine.scan(silver.INVENTORY, [days]), engine.scan(gold.DIM_PRODUCT))


def _sales_summary(engine: Engine, days: Window) -> ibis.Table:
    return to_gold.sales_summary(engine.scan(gold.FACT_SALES, [days]), engine.scan(gold.DIM_PRODUCT))


def _demand_daily(engine: Engine, days: Window, *, has_prices: bool = True) -> Frame:
    wide = [days.extended(days_before=demand.LOOKBACK_DAYS)]
    tables = (silver.ASSORTMENT, silver.STORES, silver.PRODUCTS, silver.PRICES, silver.PROMOTIONS, silver.EVENTS)
    known = {table.name: as_of.newest(engine.scan(table), key=_KEYS[table.name]) for table in tables}
    if not known["assortment"].count().to_pyarrow().as_py():
        known["assortment"] = demand.assortment_from_sales(engine.scan(gold.FACT_SALES))
    if not has_prices:
        known["products"] = known["products"].mutate(list_price=ibis.null("decimal(18, 4)"))
        known["prices"] = known["prices"].limit(0)
    seen = demand.observed_demand(
        days,
        sales=engine.scan(gold.FACT_SALES, wide),
        inventory=engine.scan(gold.FACT_INVENTORY, wide),
        offer=demand.Offer(**known),
    )
    return engine.apply(seen, partial(demand.unconstrained, window=days), gold.DEMAND_DAILY)


def _dim_date(engine: Engine, days: Window) -> ibis.Table:
    events = as_of.newest(engine.scan(silver.EVENTS), key=entities.EVENTS.key)
    holidays = {days.first: "First", days.last: "Last"}
    return to_gold.dim_date(first=days.first, last=days.last, holidays=holidays, events=events)


def _dimension(engine: Engine, days: Window, *, entity: Entity, versions: Table, table: Table) -> ibis.Table:
    return to_gold.dimension(engine.scan(versions), entity, table)


def _of_planning() -> Iterator[tuple[str, Transform]]:
    yield "planning/series", lambda engine, days: _known(engine, days.last).series()
    yield "planning/plan", lambda engine, days: _known(engine, days.last).plan(7)
    yield "planning/supply_terms", lambda engine, days: _known(engine, days.last).supply_terms()
    yield "planning/served_stores", lambda engine, days: _known(engine, days.last).served_stores()
    yield "planning/order_days", lambda engine, days: _known(engine, days.last).order_days()
    yield "planning/prices", lambda engine, days: _known(engine, days.last).prices()
    yield "planning/purchase_orders", lambda engine, days: _known(engine, days.last).purchase_orders()
    yield "planning/decisions", lambda engine, days: _known(engine, days.last).decisions()
    yield "planning/approved_proposals", lambda engine, days: _approved_proposals(_known(engine, days.last))
    yield "planning/late_discounts", _late_discounts
    yield "planning/late_prices", _late_prices


def _late_discounts(engine: Engine, days: Window) -> ibis.Table:
    promotions = _came_late(engine.scan(silver.PROMOTIONS), "start_date", days)
    return late_discounts(days, series=_series(engine, days), promotions=promotions, horizon_days=28)


def _late_prices(engine: Engine, days: Window) -> ibis.Table:
    prices = _came_late(engine.scan(silver.PRICES), "valid_from", days)
    return late_prices(days, series=_series(engine, days), prices=prices, horizon_days=28)


def _came_late(versions: ibis.Table, begins: str, days: Window) -> ibis.Table:
    """A lake that was filled in one run has no late plans: all but the oldest came in the middle of the days."""
    middle = datetime.combine(days.first + timedelta(days=len(days) // 2), time(5), UTC)
    moments = [ibis.literal(moment).cast("timestamp('UTC', 6)") for moment in (middle, _LONG_AGO)]
    oldest = versions[begins].min().as_scalar()
    return versions.mutate(first_seen_at=ibis.ifelse(versions[begins] > oldest, *moments))


def _series(engine: Engine, days: Window) -> ibis.Table:
    return ibis.memtable(_known(engine, days.last).series()[["store_id", "product_id"]])


def _approved_proposals(known: AsOfSnapshot) -> pa.Table:
    return pa.table({"proposal_id": pa.array(sorted(known.approved_proposals()), pa.string())})


def _known(engine: Engine, day: date) -> AsOfSnapshot:
    tables = {name: as_of.known_on(engine.scan(table), key=_KEYS[name], as_of=day) for name, table in SNAPSHOTS.items()}
    if not tables["assortment"].count().to_pyarrow().as_py():
        tables["assortment"] = demand.assortment_from_sales(engine.scan(gold.FACT_SALES))
    return AsOfSnapshot(day, tables)


def assert_equal(left: Frame, right: Frame) -> int:
    """Same columns and rows in any order: exact, floats to 1e-9 of their size; gives the number of rows."""
    one, other = _columns(left), _columns(right)
    assert list(one) == list(other)
    floats = [name for name, values in one.items() if values.dtype.kind == "f"]
    exact = [name for name in one if name not in floats]
    first, second = (_sorted(columns, exact, floats) for columns in (one, other))
    for name in exact:
        differing = [pair for pair in zip(first[name], second[name], strict=True) if pair[0] != pair[1]]
        assert not differing, f"{name}: {len(differing)} values differ, such as {differing[0]}"
    for name in floats:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-9, atol=1e-12, err_msg=name)
    return len(next(iter(first.values())))


def _columns(frame: Frame) -> dict[str, np.ndarray]:
    rows = as_arrow(frame)
    return {name: _values(rows.column(name)) for name in rows.column_names}


def _values(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_floating(column.type):
        return column.to_numpy().astype(float)
    if pa.types.is_timestamp(column.type) and column.type.tz is None:
        column = column.cast(pa.date32())  # pandas has no dates
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]


def _sorted(columns: dict[str, np.ndarray], exact: list[str], floats: list[str]) -> dict[str, np.ndarray]:
    """By the exact columns, and rows equal there by their floats."""
    count = len(next(iter(columns.values())))
    order = sorted(range(count), key=lambda n: ([repr(columns[c][n]) for c in exact], [columns[c][n] for c in floats]))
    return {name: values[order] for name, values in columns.items()}


def recent(days: Window, count: int) -> Window:
    """The last days of a window."""
    return Window(days.last - timedelta(days=count - 1), days.last)
