"""Small contracts of every layout, frames for them, and a reader that shares no code with the engine."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import COUNT, DATE, NULLABLE, TEXT, UNITS, Layout, Partitioning, Table, described

_COLUMNS = described(
    ("business_date", DATE, "Day."),
    ("product_id", TEXT, "Product."),
    ("line_count", COUNT, "Lines."),
    ("sold_units", UNITS, "Units.", "", NULLABLE),
)


def _table(name: str, layout: Layout) -> Table:
    daily = layout is not Layout.WHOLE
    return Table(
        layer="test",
        name=name,
        meaning="Rows of a test.",
        grain="day and product",
        key=("business_date", "product_id"),
        columns=_COLUMNS,
        partition_column="business_date" if daily else None,
        partitioning=Partitioning.DAILY if daily else Partitioning.NONE,
        layout=layout,
        sort_by=("product_id", "business_date"),
    )


MONTHLY = _table("monthly", Layout.MONTH)
DAILY = _table("daily", Layout.DAY)
WHOLE = _table("whole", Layout.WHOLE)


def rows(days: Iterable[date], *, count: int = 1, products: Iterable[str] = ("a", "b")) -> pa.Table:
    """A row a day and product; `count` marks who wrote it."""
    pairs = [(day, product) for day in days for product in products]
    return pa.table(
        {
            "business_date": pa.array([day for day, _ in pairs], pa.date32()),
            "product_id": pa.array([product for _, product in pairs], pa.string()),
            "line_count": pa.array([count] * len(pairs), pa.int64()),
            "sold_units": pa.array([count / 2] * len(pairs), pa.float64()),
        }
    )


def held(folder: Path, table: Table) -> list[tuple]:
    """All rows of a local lake, read by Arrow, ascending."""
    return held_by(Lake(str(folder)), table)


def held_by(lake: Lake, table: Table) -> list[tuple]:
    """All rows of any lake, read by Arrow, ascending."""
    found = lake.require(table).to_pyarrow_table(columns=table.column_names).to_pylist()
    return sorted(tuple(row.values()) for row in found)


def held_in_files(folder: Path, table: Table) -> list[tuple]:
    """All rows, read by DuckDB from the Parquet files of the newest version, ascending."""
    files = [unquote(uri) for uri in DeltaTable(str(folder / table.path)).file_uris()]
    if not files:
        return []
    columns = ", ".join(table.column_names)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {columns} FROM read_parquet($1, hive_partitioning = true)", [files])
        return sorted(found.fetchall())


def files_of(folder: Path, table: Table) -> dict[str, list[pa.Table]]:
    """The files of the newest version by their folder, each as Arrow reads it alone, in the order of its rows."""
    found: dict[str, list[pa.Table]] = {}
    for uri in DeltaTable(str(folder / table.path)).file_uris():
        found.setdefault(Path(uri).parent.name, []).append(pq.ParquetFile(uri).read())
    return found
