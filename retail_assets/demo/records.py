"""Turns the simulation's objects into rows of the schema, in column order.

What a planned row means is in world.py and plans.py; here is only when it becomes visible in the database:
`visible` is the day number from which the retailer's systems hold it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, TypedDict

import sqlalchemy as sa

from retail_assets.demo import schema
from retail_assets.demo.plans import EVENT_AHEAD_DAYS, PLAN_AHEAD_DAYS, Plans, local_price
from retail_assets.demo.stock import OrderHeader, OrderLine
from retail_assets.demo.till import Fault, FeedRow
from retail_assets.demo.world import DEPARTMENTS, FOREVER, SUPPLIERS, World


@dataclass(frozen=True)
class PlannedRow:
    visible: int
    table: sa.Table
    values: tuple[Any, ...]


def day_or_none(day: int | None) -> date | None:
    return None if day is None or day >= FOREVER else date.fromordinal(day)


def planned_rows(world: World, plans: Plans) -> Iterator[PlannedRow]:
    """Every row of the tables that are not written day by day, in an order that satisfies foreign keys."""
    yield from _suppliers()
    yield from _stores(world)
    yield from _products(world)
    yield from _assortment(world)
    for customer in world.customers:
        region = world.stores[customer.home_store].region
        values = (customer.customer_id, customer.segment, region, date.fromordinal(customer.joined))
        yield PlannedRow(customer.joined, schema.customer, values)
    yield from _prices(world, plans)
    yield from _promotions(world, plans)
    yield from _events(plans)


def _suppliers() -> Iterator[PlannedRow]:
    for department in DEPARTMENTS:
        yield PlannedRow(0, schema.department, (department.department_id, department.name, department.category))
    for supplier in SUPPLIERS:
        terms = (supplier.lead_time_days, supplier.min_order_value)
        yield PlannedRow(0, schema.supplier, (supplier.supplier_id, supplier.name, *terms))
        for weekday in supplier.order_weekdays:
            yield PlannedRow(0, schema.supplier_order_day, (supplier.supplier_id, weekday))


def _stores(world: World) -> Iterator[PlannedRow]:
    for store in world.stores:
        opened = date.fromordinal(store.opened)
        values = (store.store_id, store.name, store.region, store.store_format, opened, None)
        yield PlannedRow(store.opened - PLAN_AHEAD_DAYS, schema.store, values)


def _products(world: World) -> Iterator[PlannedRow]:
    """A product is entered without its end, which `delistings` adds when it is decided."""
    for product in world.products:
        visible, supplier = product.introduced - PLAN_AHEAD_DAYS, SUPPLIERS[product.supplier].supplier_id
        money, life = (product.list_price, product.unit_cost), product.shelf_life_days
        head = (product.product_id, product.name, DEPARTMENTS[product.department].department_id)
        dates = (date.fromordinal(product.introduced), None)
        yield PlannedRow(visible, schema.product, (*head, *money, 1.0, life, *dates))
        terms = (product.pack_units, product.min_order_units, product.max_stock_units, product.unit_cost)
        yield PlannedRow(visible, schema.product_supplier, (product.product_id, supplier, *terms))


def _assortment(world: World) -> Iterator[PlannedRow]:
    series = world.series
    for store, product, first in zip(
        series.store.tolist(), series.product.tolist(), series.valid_from.tolist(), strict=True
    ):
        values = (world.stores[store].store_id, world.products[product].product_id, date.fromordinal(first), None)
        yield PlannedRow(first - PLAN_AHEAD_DAYS, schema.store_assortment, values)


def _prices(world: World, plans: Plans) -> Iterator[PlannedRow]:
    firsts = [(product.introduced, n, product.list_price) for n, product in enumerate(world.products)]
    changes = [(change.day, change.product, change.price) for change in plans.price_changes]
    for day, product, price in (*firsts, *changes):
        yield _price(world, None, day=day, product=product, price=price)
        local = world.series.store[plans.has_local_price & (world.series.product == product)]
        for store in local.tolist():
            yield _price(world, store, day=day, product=product, price=local_price(price))


def _price(world: World, store: int | None, *, day: int, product: int, price: float) -> PlannedRow:
    """A city store's own price is entered with the store or the price, whichever is later."""
    store_id = None if store is None else world.stores[store].store_id
    known = 0 if store is None else world.stores[store].opened
    number = day * 10**8 + product * 1000 + (0 if store is None else store + 1)
    values = (number, store_id, world.products[product].product_id, date.fromordinal(day), price)
    return PlannedRow(max(day, known) - PLAN_AHEAD_DAYS, schema.price_list, values)


def _promotions(world: World, plans: Plans) -> Iterator[PlannedRow]:
    for promotion in plans.promotions:
        visible = promotion.first - PLAN_AHEAD_DAYS
        dates = (date.fromordinal(promotion.first), date.fromordinal(promotion.last))
        yield PlannedRow(visible, schema.promotion, (promotion.promotion_id, promotion.name, *dates))
        for product in promotion.products:
            for store in _promoted_stores(world, promotion.region):
                store_id = None if store is None else world.stores[store].store_id
                seen = visible if store is None else max(visible, world.stores[store].opened - PLAN_AHEAD_DAYS)
                number = promotion.first * 10**8 + product * 1000 + (0 if store is None else store + 1)
                product_id = world.products[product].product_id
                item = (number, promotion.promotion_id, store_id, product_id, promotion.discount_rate)
                yield PlannedRow(seen, schema.promotion_item, item)


def _promoted_stores(world: World, region: str | None) -> list[int | None]:
    if region is None:
        return [None]
    return [n for n, store in enumerate(world.stores) if store.region == region]


def _events(plans: Plans) -> Iterator[PlannedRow]:
    for n, event in enumerate(plans.events):
        same_day = sum(earlier.day == event.day for earlier in plans.events[:n])
        values = (event.day * 100 + same_day, date.fromordinal(event.day), event.name, event.kind, event.region)
        yield PlannedRow(event.day - EVENT_AHEAD_DAYS, schema.store_event, values)


def header_row(world: World, header: OrderHeader) -> tuple:
    parties = (SUPPLIERS[header.supplier].supplier_id, world.stores[header.store].store_id)
    return (header.order_id, *parties, date.fromordinal(header.ordered), date.fromordinal(header.promised))


def line_row(world: World, line: OrderLine) -> tuple:
    product_id = world.products[int(world.series.product[line.series])].product_id
    outcome = (line.received_units, day_or_none(line.received), day_or_none(line.cancelled), None)
    return (line.line_id, line.order_id, product_id, line.ordered_units, line.unit_cost, *outcome)


class Outcome(TypedDict):
    """Parameters of the update that closes a line of an earlier block."""

    line: int
    units: int | None
    received: date | None
    cancelled: date | None


def outcome_values(line: OrderLine) -> Outcome:
    return Outcome(
        line=line.line_id,
        units=line.received_units,
        received=day_or_none(line.received),
        cancelled=day_or_none(line.cancelled),
    )


def feed_row(row: FeedRow, day: date) -> tuple:
    return (*row[:4], day, *row[5:])


def fault_row(number: int, fault: Fault) -> tuple:
    dates = (date.fromordinal(fault.business_date), date.fromordinal(fault.arrival_date))
    place = (fault.store_id, fault.product_id, fault.true_quantity, fault.true_unit_price)
    return (number, fault.fault_class, "pos_sale_line", fault.feed_id, fault.line_id, *dates, *place)


class Delisting(TypedDict):
    """Parameters of the update that gives a product its last day on sale."""

    product: str
    day: date


def delistings(world: World, days: range) -> list[Delisting]:
    """Products whose end is decided in these days, with their last day on sale."""
    return [
        Delisting(product=product.product_id, day=date.fromordinal(product.discontinued))
        for product in world.products
        if product.discontinued < FOREVER and _decided(world, product.discontinued) in days
    ]


def _decided(world: World, discontinued: int) -> int:
    return max(world.start, discontinued - PLAN_AHEAD_DAYS)
