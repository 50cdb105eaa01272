"""Gold assets: the star schema and the dense demand table."""

from datetime import date
from functools import partial

import dagster as dg
import ibis

from retail_assets.assets.declare import Days, table_asset
from retail_assets.engines.protocol import Engine, Spilled
from retail_assets.io_managers.chunks import Chunks, by_month
from retail_assets.retailer import Calendar
from retail_assets.tables import entities, gold, silver
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms import as_of, demand
from retail_assets.transforms import gold as to_gold
from retail_assets.transforms.days import within
from retail_assets.transforms.lineage import followed
from retail_assets.windows import Window

_KEYS = {entity.name: entity.key for entity in entities.SNAPSHOTS}
_DIMENSIONS = (
    (entities.STORES, silver.STORES, gold.DIM_STORE),
    (entities.PRODUCTS, silver.PRODUCTS, gold.DIM_PRODUCT),
    (entities.SUPPLIERS, silver.SUPPLIERS, gold.DIM_SUPPLIER),
    (entities.CUSTOMERS, silver.CUSTOMERS, gold.DIM_CUSTOMER),
)


@table_asset(gold.FACT_SALES, sales=silver.SALES)
def fact_sales(context: dg.AssetExecutionContext, sales: ibis.Table) -> Chunks:
    return by_month(context, lambda days: to_gold.fact_sales(within(sales, days)))


@table_asset(gold.FACT_INVENTORY, inventory=silver.INVENTORY, products=gold.DIM_PRODUCT)
def fact_inventory(context: dg.AssetExecutionContext, inventory: ibis.Table, products: ibis.Table) -> Chunks:
    return by_month(context, lambda days: to_gold.fact_inventory(within(inventory, days), products))


@table_asset(gold.SALES_SUMMARY, sales=gold.FACT_SALES, products=gold.DIM_PRODUCT)
def sales_summary(context: dg.AssetExecutionContext, sales: ibis.Table, products: ibis.Table) -> Chunks:
    return by_month(context, lambda days: to_gold.sales_summary(within(sales, days), products))


@table_asset(
    gold.DEMAND_DAILY,
    sales=Days(gold.FACT_SALES, before=demand.LOOKBACK_DAYS),
    inventory=Days(gold.FACT_INVENTORY, before=demand.LOOKBACK_DAYS),
    assortment=silver.ASSORTMENT,
    stores=silver.STORES,
    products=silver.PRODUCTS,
    prices=silver.PRICES,
    promotions=silver.PROMOTIONS,
    events=silver.EVENTS,
)
def demand_daily(
    context: dg.AssetExecutionContext,
    engine: dg.ResourceParam[Engine],
    sales: ibis.Table,
    inventory: ibis.Table,
    **snapshots: ibis.Table,
) -> Chunks:
    known = {name: as_of.newest(rows, key=_KEYS[name]) for name, rows in snapshots.items()}
    if snapshots["assortment"].count().to_pyarrow().as_py() == 0:
        known["assortment"] = demand.assortment_from_sales(engine.scan(gold.FACT_SALES))
    offer = demand.Offer(**known)

    def month(days: Window) -> Spilled:
        wide = days.extended(days_before=demand.LOOKBACK_DAYS)
        seen = demand.observed_demand(days, sales=within(sales, wide), inventory=within(inventory, wide), offer=offer)
        return Spilled(
            partial(engine.apply, seen, partial(demand.unconstrained, window=days), gold.DEMAND_DAILY),
            lambda: followed(demand.COMPUTED_FROM, engine.sources(seen)),
        )

    return by_month(context, month)


def _dimension(entity: Entity, versions_of: Table, table: Table) -> dg.AssetsDefinition:
    @table_asset(table, versions=versions_of)
    def dimension(versions: ibis.Table, calendar: dg.ResourceParam[Calendar]) -> ibis.Table:
        return to_gold.dimension(versions, entity, table, zone=calendar.zone)

    return dimension


def dimensions() -> list[dg.AssetsDefinition]:
    """The type 2 dimensions."""
    return [_dimension(*row) for row in _DIMENSIONS]


@table_asset(gold.DIM_DATE, events=silver.EVENTS)
def dim_date(events: ibis.Table, calendar: dg.ResourceParam[Calendar]) -> ibis.Table:
    last = date(date.today().year + 1, 12, 31)
    known = as_of.newest(events, key=entities.EVENTS.key)
    return to_gold.dim_date(
        first=calendar.first, last=last, holidays=calendar.holidays(calendar.first, last), events=known
    )


@table_asset(gold.PRODUCT_SEGMENTS, demand_rows=gold.DEMAND_DAILY)
def product_segments(demand_rows: ibis.Table) -> ibis.Table:
    return to_gold.product_segments(demand_rows)
