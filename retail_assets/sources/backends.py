"""Running one reading statement and handing out its rows as columns, batch by batch, in bounded memory.

ODBC goes through arrow-odbc, SQLite through its own cursor, everything else through SQLAlchemy's server-side
streaming. Types are not touched here: that is `conversion`.
"""

import datetime as dt
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.connectors.pyodbc import PyODBCConnector

from retail_assets.failures import PermanentFailure
from retail_assets.sources.conversion import Values
from retail_assets.sources.database_errors import OdbcError
from retail_assets.sources.statement import Statement

_CHUNK_ROWS = 5000
"""Rows held as Python objects at once; 100,000 take twice the time, most of it in the garbage collector."""

_LONGEST_TEXT_BYTES = 4096
_TRANSIT_BYTES = 64 * 1024 * 1024
_UNBOUNDED_NUMERIC = pa.decimal128(28, 6)


@dataclass(frozen=True)
class RawBatch:
    """Some rows as columns, in the order of the query."""

    names: Sequence[str]
    columns: Sequence[Values]

    @property
    def row_count(self) -> int:
        return len(self.columns[0]) if self.columns else 0


Parameters = dict[str, dt.date]
"""Days, and moments as UTC without an offset."""
RawBatches = Generator[RawBatch, None, None]


class Backend(Protocol):
    def batches(self, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        """At least one batch, empty when there are no rows; closing the generator ends the query."""
        ...


def backend_for(url: sa.URL) -> Backend:
    """The fastest exact way to read from that database."""
    if url.drivername.endswith("+pyodbc"):
        return OdbcBackend(url)
    return SqliteBackend(url) if url.get_backend_name() == "sqlite" else SqlAlchemyBackend(url)


class SqlAlchemyBackend:
    """Any SQLAlchemy database, streamed by the server where it can."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url

    def batches(self, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        text = sa.text(statement.sqlalchemy_text)
        kinds = {name: sa.DateTime() if _is_moment(value) else sa.Date() for name, value in parameters.items()}
        text = text.bindparams(*(sa.bindparam(name, type_=kinds[name]) for name in set(statement.parameters)))
        chunk_rows = min(batch_rows, _CHUNK_ROWS)
        with self._engine().connect() as connection:
            if connection.dialect.name == "postgresql" and any(map(_is_moment, parameters.values())):
                connection.exec_driver_sql("SET TIME ZONE 'UTC'")  # else a moment is one of the session's zone
            streaming = connection.execution_options(stream_results=True, max_row_buffer=chunk_rows)
            with streaming.execute(text, dict(parameters)) as result:
                yield from _chunks(result.fetchmany, list(result.keys()), chunk_rows=chunk_rows)

    def _engine(self) -> sa.Engine:
        engine = sa.create_engine(self._url, poolclass=sa.NullPool)
        if engine.dialect.name == "postgresql":
            return engine.execution_options(postgresql_readonly=True)
        return engine


class SqliteBackend:
    """SQLite without SQLAlchemy's rows, which cost as much as reading; opened read-only."""

    def __init__(self, url: sa.URL) -> None:
        self._path = Path(url.database or "")

    def batches(self, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        bound = {name: _text(value) for name, value in parameters.items()}
        with closing(self._connect()) as connection:
            cursor = connection.execute(statement.rendered(lambda name: f":{name}"), bound)
            names = [column[0] for column in cursor.description]
            yield from _chunks(cursor.fetchmany, names, chunk_rows=min(batch_rows, _CHUNK_ROWS))

    def _connect(self) -> sqlite3.Connection:
        """Read-only, because opening a missing SQLite file would create an empty database."""
        if not self._path.is_file():
            raise PermanentFailure(
                f"There is no database at {self._path}; run `retail-assets demo` to fill the embedded one, or set "
                "RETAIL_SOURCE_URL."
            )
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)


def _is_moment(value: dt.date) -> bool:
    return isinstance(value, dt.datetime)


def _text(value: dt.date) -> str:
    """As SQLite keeps it and every server reads it."""
    return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()


def _chunks(fetch_rows: Callable[[int], Sequence[Any]], names: Sequence[str], *, chunk_rows: int) -> RawBatches:
    rows = fetch_rows(chunk_rows)
    yield RawBatch(names, list(zip(*rows, strict=True)) if rows else [()] * len(names))
    while rows := fetch_rows(chunk_rows):
        yield RawBatch(names, list(zip(*rows, strict=True)))


class OdbcBackend:
    """Any ODBC database, fetched straight into Arrow."""

    def __init__(self, url: sa.URL) -> None:
        self._connection_string = _odbc_connection_string(url)
        self._moment = "datetime2(6)" if url.get_backend_name() == "mssql" else "timestamp"

    def batches(self, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        arrow_odbc = _arrow_odbc()
        try:
            yield from self._fetched(arrow_odbc, statement, parameters, batch_rows=batch_rows)
        except arrow_odbc.Error as error:
            raise OdbcError(str(error)) from None

    def _fetched(self, arrow_odbc: Any, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        reader = arrow_odbc.read_arrow_batches_from_odbc(
            # Parameters travel as text: the cast keeps the day readable whatever the server's date format.
            statement.rendered(lambda name: f"CAST(? AS {self._moment if _is_moment(parameters[name]) else 'date'})"),
            self._connection_string,
            batch_size=batch_rows,
            parameters=[_text(parameters[name]) for name in statement.parameters],
            max_bytes_per_batch=_TRANSIT_BYTES,
            max_text_size=_LONGEST_TEXT_BYTES,
            map_schema=_exact_schema,
        )
        yield _raw(pa.RecordBatch.from_pylist([], reader.schema))
        for batch in reader:
            yield _raw(batch)


def _arrow_odbc() -> Any:
    """The library, which needs the system's driver manager and therefore is not imported with the package."""
    try:
        import arrow_odbc
    except OSError:
        raise PermanentFailure(
            "RETAIL_SOURCE_URL names an ODBC driver, but the driver manager is not installed: install unixODBC "
            "(apt-get install unixodbc, brew install unixodbc) and the driver."
        ) from None
    return arrow_odbc


def _raw(batch: pa.RecordBatch) -> RawBatch:
    return RawBatch(batch.schema.names, batch.columns)


def _odbc_connection_string(url: sa.URL) -> str:
    if url.get_backend_name() == "postgresql":
        # psqlODBC gives timestamptz in the session's zone without saying so, and takes the port by its own name.
        url = url.update_query_dict({"port": str(url.port or 5432), "ConnSettings": "SET TIME ZONE 'UTC'"})
    (connection_string,), _ = PyODBCConnector().create_connect_args(url)
    return str(connection_string)


def _exact_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, _exact(field.type)) for field in schema])


def _exact(kind: Any) -> pa.DataType:
    """What to fetch instead of the type a driver reports, where that would lose digits or range."""
    if pa.types.is_float32(kind):
        return pa.float64()  # psqlODBC reports double precision and money as single
    if kind == _UNBOUNDED_NUMERIC:
        return pa.string()  # psqlODBC reports (28, 6) for numeric without precision and cuts the rest off
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)  # datetime2(7) reaches the year 9999, nanoseconds end in 2262
    return kind
