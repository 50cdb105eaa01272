"""Warehouse: which tables are published to Synapse, SQL Server, PostgreSQL or the DuckDB file."""

from dataclasses import replace

from retail_assets.tables import forecast, gold, inventory
from retail_assets.tables.contract import Table

PUBLISHED = (*gold.TABLES, forecast.DEMAND_FORECAST, forecast.FORECAST_ACCURACY, *inventory.TABLES)


def load_contract(table: Table) -> Table:
    """Contract of the warehouse copy: the same columns under the warehouse layer."""
    return replace(table, layer="warehouse")


TABLES = tuple(load_contract(table) for table in PUBLISHED)
