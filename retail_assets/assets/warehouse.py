"""Warehouse assets: one load per published table, partitioned like it, counted against the lake."""

import dagster as dg

from retail_assets.assets.declare import transient_retried
from retail_assets.engines.protocol import Engine
from retail_assets.engines.writing.delta import as_arrow
from retail_assets.io_managers.chunks import asked_windows
from retail_assets.resources.warehouse import Warehouse
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.tables.warehouse import PUBLISHED, load_contract
from retail_assets.windows import Window

_CHECK = "rows_match_lake"


def _load(table: Table) -> dg.AssetsDefinition:
    key = load_contract(table).asset_key

    @dg.asset(
        key=key,
        deps=[table.asset_key],
        pool="warehouse",
        check_specs=[dg.AssetCheckSpec(_CHECK, asset=key, description="The warehouse holds the lake's rows.")],
    )
    def load(
        context: dg.AssetExecutionContext, engine: dg.ResourceParam[Engine], warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        windows = _windows(context, table)
        sent = sum(_copy(table, window, engine=engine, warehouse=warehouse) for window in windows)
        held = sum(warehouse.row_count(table, window) for window in windows)
        finding = dg.AssetCheckResult(
            check_name=_CHECK, passed=sent == held, metadata={"lake_rows": sent, "warehouse_rows": held}
        )
        return dg.MaterializeResult(metadata={"rows_in_run": held}, check_results=[finding])

    return load


def _windows(context: dg.AssetExecutionContext, table: Table) -> list[Window | None]:
    """A month at a time; None, the whole table, where it has no partitions."""
    if table.partitioning is Partitioning.NONE:
        return [None]
    return [part for window in asked_windows(context) for part in window.by_month()]


def _copy(table: Table, window: Window | None, *, engine: Engine, warehouse: Warehouse) -> int:
    rows = engine.scan(table, None if window is None else [window])
    with transient_retried():
        return warehouse.load(table, as_arrow(rows), window=window).rows


def loads() -> list[dg.AssetsDefinition]:
    """An asset for every published table."""
    return [_load(table) for table in PUBLISHED]
