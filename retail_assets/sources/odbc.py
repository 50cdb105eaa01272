"""Any ODBC database, fetched straight into Arrow: read-only, of one moment where the server offers that.

Texts of unbounded columns travel in buffers of 4096 bytes; a longer one is refused, never cut.
"""

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.connectors.pyodbc import PyODBCConnector

from retail_assets.failures import PermanentFailure
from retail_assets.sources import sql_server
from retail_assets.sources.batches import Parameters, RawBatch, RawBatches, is_moment, parameter_text
from retail_assets.sources.database_errors import OdbcError, place
from retail_assets.sources.statement import Statement

_LONGEST_TEXT_BYTES = 4096
_TRANSIT_BYTES = 8 * 1024 * 1024
"""Of each of the two buffers, one being filled while the other is read; larger ones are no faster."""
_UNBOUNDED_NUMERIC = pa.decimal128(28, 6)
_FETCH_ROWS = 10_000

_SESSIONS = {
    "postgresql": (
        "SET TIME ZONE 'UTC'",  # psqlODBC gives timestamptz in the session's zone without saying so
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    ),
    "mysql": (
        "SET SESSION time_zone = '+00:00'",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    ),
}
"""What a session says first, by kind of database; SQL Server is asked what it allows."""


class OdbcBackend:
    """One ODBC database.

    Raises:
        PermanentFailure: the URL names no driver and none is installed.
    """

    def __init__(self, url: sa.URL) -> None:
        self._kind, self._place = url.get_backend_name(), place(url)
        self._connection_string = connection_string(url)
        self._moment = "datetime2(6)" if self._kind == "mssql" else "timestamp"

    def batches(self, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        arrow_odbc = _arrow_odbc()
        try:
            yield from self._fetched(arrow_odbc, statement, parameters, batch_rows=batch_rows)
        except arrow_odbc.Error as error:
            raise OdbcError(str(error)) from None

    def _fetched(self, arrow_odbc: Any, statement: Statement, parameters: Parameters, *, batch_rows: int) -> RawBatches:
        reader = self._connected(arrow_odbc).read_arrow_batches(
            # Parameters travel as text: the cast keeps the day readable whatever the server's date format.
            statement.rendered(lambda name: f"CAST(? AS {self._moment if is_moment(parameters[name]) else 'date'})"),
            batch_size=batch_rows,
            parameters=[parameter_text(parameters[name]) for name in statement.parameters],
            max_bytes_per_batch=_TRANSIT_BYTES,
            max_text_size=_LONGEST_TEXT_BYTES,
            map_schema=_exact_schema,
            payload_text_encoding=self._text_encoding(arrow_odbc),
        )
        yield _raw(pa.RecordBatch.from_pylist([], reader.schema))
        for batch in reader:
            yield _raw(batch)

    def _connected(self, arrow_odbc: Any) -> Any:
        connection = arrow_odbc.connect(self._connection_string)
        for words in self._session(connection):
            connection.execute(words)
        return connection

    def _session(self, connection: Any) -> tuple[str, ...]:
        if self._kind != "mssql":
            return _SESSIONS.get(self._kind, ())
        [state] = [batch.column(0)[0].as_py() for batch in connection.read_arrow_batches(sql_server.SNAPSHOT_ALLOWED)]
        if state == 1:
            return (sql_server.SNAPSHOT,)
        sql_server.say_read_committed(self._place)
        return (sql_server.READ_COMMITTED,)

    def _text_encoding(self, arrow_odbc: Any) -> Any:
        """SQL Server's drivers turn narrow text into the locale's letters, which in a container may be ASCII."""
        encodings = arrow_odbc.TextEncoding
        return encodings.UTF16 if self._kind == "mssql" else encodings.AUTO


def connection_string(url: sa.URL) -> str:
    """The ODBC connection string of a URL, with what makes the driver stream and the server know that we only read."""
    if url.get_backend_name() == "postgresql":
        # psqlODBC takes the port by its own name, and without a cursor holds the whole result in memory
        stream = {"UseDeclareFetch": "1", "Fetch": str(_FETCH_ROWS)}
        url = url.update_query_dict({"port": str(url.port or 5432), **stream})
    elif url.get_backend_name() == "mssql" and "odbc_connect" not in url.query:
        url = _for_sql_server(url)
    (text,), _ = PyODBCConnector().create_connect_args(url)
    return str(text)


def _for_sql_server(url: sa.URL) -> sa.URL:
    named = {name.lower() for name in url.query}
    added = {} if "applicationintent" in named else {"ApplicationIntent": "ReadOnly"}
    is_data_source = "dsn" in named or (url.host and not url.database)
    if "driver" not in named and not is_data_source:
        import pyodbc  # needs the driver manager as soon as it is imported

        added["driver"] = sql_server.driver(pyodbc.drivers(), sql_server.wheel_folder())
    return url.update_query_dict(added)


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
