"""Silver assets: validated rows, and every refused row with its reason."""

import dagster as dg
import ibis

from retail_assets.assets.declare import follows, outputs, reads, table_asset
from retail_assets.engines.protocol import Engine, Spilled
from retail_assets.io_managers.chunks import SharedOutputs, asked_windows
from retail_assets.retailer import Market
from retail_assets.tables import bronze, layered, silver
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Table
from retail_assets.tables.layered import Layered
from retail_assets.transforms import silver as to_silver
from retail_assets.transforms.days import day_starts, within
from retail_assets.windows import Window


@dg.multi_asset(
    name="silver_daily",
    outs=outputs(*silver.DAILY),
    ins=reads(
        sales=bronze.SALES,
        inventory=bronze.INVENTORY,
        stock_movements=bronze.STOCK_MOVEMENTS,
        stores=silver.STORES,
        products=silver.PRODUCTS,
    ),
)
def daily(
    context: dg.AssetExecutionContext,
    engine: dg.ResourceParam[Engine],
    market: dg.ResourceParam[Market],
    stores: ibis.Table,
    products: ibis.Table,
    **delivered: ibis.Table,
):
    def validate(days: Window) -> dict[str, Spilled]:
        raw = {name: within(rows, days) for name, rows in delivered.items()}
        known = {"stores": stores, "products": products, "day_starts": day_starts(days, market.zone)}
        validated_sales = to_silver.validated_sales(raw["sales"], currency=market.currency, **known)
        validated_stock = to_silver.validated_inventory(raw["inventory"], **known)
        validated_moves = to_silver.validated_stock_movements(raw["stock_movements"], **known)
        with (
            engine.cached(validated_sales) as sold,
            engine.cached(validated_stock) as stock,
            engine.cached(validated_moves) as moved,
        ):
            return {
                "sales": engine.spill(to_silver.sales(sold)),
                "inventory": engine.spill(to_silver.inventory(stock)),
                "stock_movements": engine.spill(to_silver.stock_movements(moved)),
                "rejected_rows": engine.spill(to_silver.rejected_rows(sold, stock, moved)),
            }

    shared = SharedOutputs(validate)
    windows = [part for window in asked_windows(context) for part in window.by_month()]
    return tuple(shared.chunks(windows, table.name) for table in silver.DAILY)


def _referred_to(*tables: Table) -> list[Table]:
    return list(dict.fromkeys(table_at(reference.path) for table in tables for reference in table.references))


def _snapshot(row: Layered) -> dg.AssetsDefinition:
    @dg.asset(key=row.silver.asset_key, ins=reads(versions=row.bronze), deps=follows(*_referred_to(row.silver)))
    def snapshot(engine: dg.ResourceParam[Engine], versions: ibis.Table) -> ibis.Table:
        known = to_silver.known_of(row.silver, engine.scan_or_empty)
        return to_silver.snapshot(to_silver.validated_snapshot(versions, row.entity, known), row.silver)

    return snapshot


def snapshots() -> list[dg.AssetsDefinition]:
    """An asset for every snapshot entity."""
    return [_snapshot(row) for row in layered.SNAPSHOTS]


@dg.asset(
    key=silver.REJECTED_SNAPSHOT_ROWS.asset_key,
    deps=follows(*bronze.SNAPSHOTS, *_referred_to(*silver.SNAPSHOTS)),
)
def rejected_snapshot_rows(engine: dg.ResourceParam[Engine]) -> ibis.Table:
    validated = [
        (
            entity,
            to_silver.validated_snapshot(engine.scan(raw), entity, to_silver.known_of(table, engine.scan_or_empty)),
        )
        for entity, raw, table in layered.SNAPSHOTS
    ]
    return to_silver.rejected_snapshot_rows(validated)


@table_asset(silver.OPEN_ORDERS, purchase_orders=silver.PURCHASE_ORDERS)
def open_orders(purchase_orders: ibis.Table) -> ibis.Table:
    return to_silver.open_orders(purchase_orders)
