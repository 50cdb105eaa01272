"""The published tables in a database: idempotent loads of dates, counted before they are committed.

The URL picks the backend: a DuckDB file, PostgreSQL, SQL Server, a Synapse dedicated pool or Synapse serverless.
What one database does differently belongs in `warehouses/`; tables/warehouse.py lists what is published.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from retail_assets.addresses import database_url
from retail_assets.failures import PermanentFailure
from retail_assets.resources.warehouses.backend import Backend
from retail_assets.resources.warehouses.duckdb import DuckDBFile
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.resources.warehouses.staging import LakeStaging
from retail_assets.tables.contract import Table
from retail_assets.windows import Window

_EXAMPLE = "for example postgresql+psycopg://loader:…@server/warehouse or duckdb:////data/warehouse.duckdb"
SERVERLESS_SUFFIX = "-ondemand.sql.azuresynapse.net"
DEDICATED_SUFFIX = ".sql.azuresynapse.net"
LOCK_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class LoadResult:
    """`rows` now held for the window, and `deleted_rows` that made room for them."""

    rows: int
    deleted_rows: int


class Warehouse:
    """Tables of the schema `retail`, named like their contracts; the layer is not part of the name.

    Hand it over as `dg.ResourceParam[Warehouse]`: its URL holds a password, which no text of it shows.
    """

    def __init__(
        self, url: str, *, staging: LakeStaging | None = None, lock_wait_seconds: float = LOCK_WAIT_SECONDS
    ) -> None:
        """
        Args:
            url: SQLAlchemy URL; only its scheme and host decide the backend.
            staging: folder of the lake that Synapse reads; other backends do not use it.
            lock_wait_seconds: how long a DuckDB file that another process has open is waited for.

        Raises:
            PermanentFailure: the URL is not one of a supported database.
        """
        self._backend = open_backend(url, staging=staging, lock_wait_seconds=lock_wait_seconds)

    def __repr__(self) -> str:
        return f"Warehouse({self._backend.place})"

    def load(self, table: Table, frame: pa.Table | pa.RecordBatchReader, *, window: Window | None) -> LoadResult:
        """Replace the rows of the dates `window` (both included; None is the whole table) by `frame`.

        Delete, insert and count are one transaction, so that a crash leaves the old rows and a repetition
        changes nothing.

        Raises:
            PermanentFailure: the frame breaks the contract or leaves the window, or the counts differ.
            TransientFailure: the database cannot be reached or is locked.
        """
        rows = CheckedRows(table, frame, window=window)
        backend = self._backend
        backend.prepare(table)
        with backend.staged(table, rows), backend.transaction() as transaction:
            deleted = transaction.delete(table, window)
            transaction.insert(table, rows)
            _reconcile(table, window, sent=rows.count, held=transaction.count(table, window))
        return LoadResult(rows=rows.count, deleted_rows=deleted)

    def row_count(self, table: Table, window: Window | None) -> int:
        """Rows held for the window; 0 for a table that was never loaded."""
        return self._backend.row_count(table, window)


def open_backend(url: str, *, staging: LakeStaging | None, lock_wait_seconds: float) -> Backend:
    """The backend of a URL; only its driver is imported, and nothing is connected yet."""
    parsed = _parse(url)
    if parsed.drivername == "duckdb":
        return DuckDBFile(_file(parsed), lock_wait_seconds=lock_wait_seconds)
    if parsed.drivername == "postgresql+psycopg":
        from retail_assets.resources.warehouses.postgresql import PostgreSQL

        return PostgreSQL(parsed)
    if parsed.drivername == "mssql+pyodbc":
        return _microsoft(parsed, staging)
    raise PermanentFailure(
        f"RETAIL_WAREHOUSE_URL has the scheme {parsed.drivername}, "
        "but must start with duckdb://, postgresql+psycopg:// or mssql+pyodbc://."
    )


def _microsoft(url: URL, staging: LakeStaging | None) -> Backend:
    from retail_assets.resources.warehouses.sqlserver import SQLServer, host_of
    from retail_assets.resources.warehouses.synapse import SynapseDedicated, SynapseServerless

    host = host_of(url)
    pool = url.query.get("synapse")
    address = url.difference_update_query(["synapse"])
    if pool == "serverless" or host.endswith(SERVERLESS_SUFFIX):
        return SynapseServerless(address, staging=_needed(staging, host))
    if pool == "dedicated" or host.endswith(DEDICATED_SUFFIX):
        return SynapseDedicated(address, staging=_needed(staging, host))
    if pool is not None:
        raise PermanentFailure(
            f"RETAIL_WAREHOUSE_URL says synapse={pool}, but a Synapse pool is dedicated or serverless."
        )
    return SQLServer(address)


def _needed(staging: LakeStaging | None, host: str) -> LakeStaging:
    if staging is None:
        raise PermanentFailure(
            f"The Synapse warehouse at {host} reads files of the lake, but RETAIL_LAKE_URI is not on Azure; "
            "set it like abfss://lake@account.dfs.core.windows.net/retail."
        )
    return staging


def _parse(url: str) -> URL:
    try:
        return database_url(url, variable="RETAIL_WAREHOUSE_URL")
    except ArgumentError:
        raise PermanentFailure(f"RETAIL_WAREHOUSE_URL is not a database URL; {_EXAMPLE}.") from None


def _file(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise PermanentFailure("RETAIL_WAREHOUSE_URL names no file after duckdb:///, so every load would be lost.")
    return Path(url.database)


def _reconcile(table: Table, window: Window | None, *, sent: int, held: int) -> None:
    if sent != held:
        raise PermanentFailure(
            f"Warehouse table {table.name} holds {held} rows for {window or 'all dates'} after {sent} were loaded, "
            "so the load was undone; look for a trigger, a rule or another writer on that table."
        )
