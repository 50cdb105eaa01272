"""Every table of the lake by its path; the one place that knows all layers."""

from retail_assets.tables import bronze, forecast, gold, inventory, operations, silver, warehouse
from retail_assets.tables.contract import Table

LAKE_TABLES: tuple[Table, ...] = (
    *bronze.TABLES,
    *silver.TABLES,
    *gold.TABLES,
    *forecast.TABLES,
    *inventory.TABLES,
    *operations.TABLES,
)
TABLES: tuple[Table, ...] = (*LAKE_TABLES, *warehouse.TABLES)
BY_PATH: dict[str, Table] = {table.path: table for table in TABLES}


def table_at(path: str) -> Table:
    """The contract of `layer/table`.

    Raises:
        KeyError: no such table; the message lists the layer's tables.
    """
    if path in BY_PATH:
        return BY_PATH[path]
    layer = path.split("/")[0]
    known = ", ".join(sorted(p for p in BY_PATH if p.startswith(f"{layer}/"))) or ", ".join(sorted(BY_PATH))
    raise KeyError(f"no table {path!r}; known: {known}")
