"""A DuckDB file as warehouse, open only while something is loaded or counted, so that readers get at it between.

A file has one writing process at a time; a load waits a bounded time for another one to finish.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import duckdb
import pyarrow as pa

from retail_assets.database_errors import Database
from retail_assets.failures import TransientFailure
from retail_assets.resources.warehouses.backend import ADVICE, COLUMNS_QUERY, SCHEMA, SETTING, columns_to_add
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.tables.contract import Column, Table
from retail_assets.windows import Window

_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
}
_RETRY_SECONDS = 0.2


class DuckDBFile:
    """The backend of `duckdb:///path`; its folder is created with the first load."""

    def __init__(self, path: Path, *, lock_wait_seconds: float) -> None:
        self._path = path
        self._lock_wait_seconds = lock_wait_seconds
        self._database = Database(self.place, SETTING, advice=ADVICE)

    @property
    def place(self) -> str:
        return f"DuckDB file {self._path}"

    def prepare(self, table: Table) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            connection.execute(create_statement(table))
            for column in columns_to_add(table, _held_columns(connection, table)):
                connection.execute(f"ALTER TABLE {_name(table)} ADD COLUMN {_declared(column)}")

    def staged(self, table: Table, rows: CheckedRows) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def transaction(self) -> Iterator["DuckDBTransaction"]:
        with self._connection() as connection:
            connection.begin()
            yield DuckDBTransaction(connection)
            connection.commit()

    def row_count(self, table: Table, window: Window | None) -> int:
        if not self._path.exists():
            return 0
        with self._connection() as connection:
            if not _held_columns(connection, table):
                return 0
            return DuckDBTransaction(connection).count(table, window)

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that is closed in every case; closing one with an open transaction rolls it back."""
        connection = self._open()
        try:
            yield connection
        except duckdb.Error as error:
            raise self._database.failure(error) from None
        finally:
            connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self._lock_wait_seconds
        while True:
            try:
                return duckdb.connect(str(self._path))
            except duckdb.IOException as error:
                if not self._database.may_pass(error):
                    raise self._database.failure(error) from None
                if time.monotonic() >= deadline:
                    raise TransientFailure(
                        f"The {self.place} is open in another process; close it there and load again."
                    ) from None
                time.sleep(_RETRY_SECONDS)


class DuckDBTransaction:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def delete(self, table: Table, window: Window | None) -> int:
        return self._number(f"DELETE FROM {_name(table)}{_where(table, window)}", window)

    def insert(self, table: Table, rows: CheckedRows) -> None:
        for chunk in rows.chunks():
            self._connection.register("loaded_chunk", chunk)
            self._connection.execute(f"INSERT INTO {_name(table)} BY NAME SELECT * FROM loaded_chunk")
            self._connection.unregister("loaded_chunk")

    def count(self, table: Table, window: Window | None) -> int:
        return self._number(f"SELECT count(*) FROM {_name(table)}{_where(table, window)}", window)

    def _number(self, statement: str, window: Window | None) -> int:
        row = self._connection.execute(statement, [window.first, window.last] if window else []).fetchone()
        assert row is not None  # both statements always answer one row
        return int(row[0])


def create_statement(table: Table) -> str:
    """No primary key: DuckDB refuses to insert a key that the same transaction deleted."""
    return f"CREATE TABLE IF NOT EXISTS {_name(table)} ({', '.join(map(_declared, table.columns))})"


def _declared(column: Column) -> str:
    return f'"{column.name}" {_type(column.type)}{"" if column.nullable else " NOT NULL"}'


def _type(arrow: pa.DataType) -> str:
    if pa.types.is_decimal(arrow):
        return f"DECIMAL({arrow.precision}, {arrow.scale})"
    return _TYPES[arrow]


def _name(table: Table) -> str:
    return f'{SCHEMA}."{table.name}"'


def _where(table: Table, window: Window | None) -> str:
    return "" if window is None else f' WHERE "{table.partition_column}" BETWEEN ? AND ?'


def _held_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    rows = connection.execute(COLUMNS_QUERY.format("?", "?"), [SCHEMA, table.name]).fetchall()
    return [row[0] for row in rows]
