"""SQL Server as warehouse: parameter arrays of pyodbc (`fast_executemany`), a few thousand rows a round trip."""

import re

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

from retail_assets.resources.warehouses.relational import RelationalBackend, RelationalTransaction, sql_table
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.tables.contract import Table

BATCH_ROWS = 5_000
"""fast_executemany holds a whole batch at the declared width of every column: 5,000 rows are some 20 MB."""

_SERVER = re.compile(r"(?:^|;)\s*server\s*=\s*(?:tcp:)?([^;,]+)", re.IGNORECASE)


class SQLServerTransaction(RelationalTransaction):
    def insert(self, table: Table, rows: CheckedRows) -> None:
        statement = sa.insert(sql_table(table))
        for chunk in rows.bounded_chunks():
            for batch in naive_utc(chunk).to_batches(max_chunksize=BATCH_ROWS):
                self._connection.execute(statement, batch.to_pylist())


class SQLServer(RelationalBackend):
    transaction_class = SQLServerTransaction

    def __init__(self, url: URL) -> None:
        super().__init__(url, host=host_of(url))

    def _build_engine(self) -> Engine:
        return sa.create_engine(self._url, poolclass=sa.NullPool, fast_executemany=True)


def host_of(url: URL) -> str:
    """Server of a URL, also when it is hidden in an ODBC connection string."""
    if url.host:
        return f"{url.host}:{url.port}" if url.port else url.host
    found = _SERVER.search(str(url.query.get("odbc_connect", "")))
    return found.group(1).strip() if found else "an ODBC data source"


def naive_utc(chunk: pa.Table) -> pa.Table:
    """Timestamps as datetime2 wants them: UTC without a zone."""

    def naive(field: pa.Field) -> pa.Field:
        return field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field

    return chunk.cast(pa.schema([naive(field) for field in chunk.schema]))
