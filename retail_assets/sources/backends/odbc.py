"""Any ODBC database, fetched straight into Arrow: read-only, of one moment where the server offers that.

Texts of unbounded columns travel in buffers of 4096 bytes; a longer one is refused, never cut. A long range of days is
read by two sessions at once where they can share the moment, which only PostgreSQL offers.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.connectors.pyodbc import PyODBCConnector

from retail_assets.addresses import place
from retail_assets.database_errors import OdbcError
from retail_assets.failures import PermanentFailure
from retail_assets.sources.backends import postgresql, sql_server
from retail_assets.sources.backends.batches import Parameters, RawBatch, RawBatches, is_moment, parameter_text
from retail_assets.sources.statement import Statement

_LONGEST_TEXT_BYTES = 4096
_TRANSIT_BYTES = 4 * 1024 * 1024
"""Of each of a session's two buffers, one being filled while the other is read; larger ones are no faster."""
_LONG_DAYS = 7
"""From here on a range is worth a second session, which opens in some 10 ms and runs the query a second time."""

_MYSQL = (
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
)
_SESSIONS = {"postgresql": postgresql.SESSION, "mysql": _MYSQL, "mariadb": _MYSQL}
"""What a session says first, by kind of database; SQL Server is asked what it allows."""
_MOMENTS = {"mssql": "datetime2(6)", "mysql": "datetime(6)", "mariadb": "datetime(6)"}


class OdbcBackend:
    """One ODBC database.

    Raises:
        PermanentFailure: the URL names no driver and none is installed.
    """

    def __init__(self, url: sa.URL) -> None:
        self._kind, self._place = url.get_backend_name(), place(url)
        self._connection_string = connection_string(url)
        self._moment = _MOMENTS.get(self._kind, "timestamp")

    def batches(
        self, statement: Statement, parameters: Parameters, *, batch_rows: int, by_days: bool = False
    ) -> RawBatches:
        arrow_odbc = _arrow_odbc()
        asked = _halves(parameters) if by_days and self._kind == "postgresql" else [parameters]
        try:
            yield from self._fetched(arrow_odbc, statement, asked, batch_rows=batch_rows)
            return
        except arrow_odbc.Error as error:
            plain = OdbcError(str(error))
        raise plain  # out here the library's error is gone, whose frames would keep the sessions open

    def _fetched(
        self, arrow_odbc: Any, statement: Statement, asked: Sequence[Parameters], *, batch_rows: int
    ) -> RawBatches:
        sessions = self._sessions(arrow_odbc, count=len(asked))
        if len(sessions) < len(asked):
            asked = [{"start": asked[0]["start"], "end": asked[-1]["end"]}]
        readers = [
            self._reader(arrow_odbc, session, statement, parameters, batch_rows=batch_rows)
            for session, parameters in zip(sessions, asked, strict=True)
        ]
        yield readers[0].raw(pa.RecordBatch.from_pylist([], readers[0].batches.schema))
        yield from _in_turn(readers)

    def _reader(
        self, arrow_odbc: Any, session: Any, statement: Statement, parameters: Parameters, *, batch_rows: int
    ) -> "_OpenCursor":
        kinds: list[pa.DataType] = []

        def exact(reported: pa.Schema) -> pa.Schema:
            kinds.extend(map(_exact, reported.types))
            fetched = map(_as_text, kinds) if self._kind == "postgresql" else kinds
            return pa.schema([pa.field(name, kind) for name, kind in zip(reported.names, fetched, strict=True)])

        batches = session.read_arrow_batches(
            # Parameters travel as text: the cast keeps the day readable under every date format of the server.
            statement.rendered(lambda name: f"CAST(? AS {self._moment if is_moment(parameters[name]) else 'date'})"),
            batch_size=batch_rows,
            parameters=[parameter_text(parameters[name]) for name in statement.parameters],
            max_bytes_per_batch=_TRANSIT_BYTES,
            max_text_size=_LONGEST_TEXT_BYTES,
            map_schema=exact,
            payload_text_encoding=self._text_encoding(arrow_odbc),
        )
        return _OpenCursor(batches, kinds, parameters)

    def _sessions(self, arrow_odbc: Any, *, count: int) -> list[Any]:
        """So many sessions that see one moment; one alone where the server allows no other that does."""
        first = self._connected(arrow_odbc)
        if count == 1:
            return [first]
        try:
            second = self._connected(arrow_odbc)
        except arrow_odbc.Error as error:  # such as no connection left for this user
            postgresql.say_one_session(self._place, error)
            return [first]
        try:
            postgresql.join(first, second)
        except arrow_odbc.Error as error:  # such as another server behind the same name, or a relative of PostgreSQL
            postgresql.say_one_session(self._place, error)
            first.execute("ROLLBACK")
            return [first]
        return [first, second]

    def _connected(self, arrow_odbc: Any) -> Any:
        connection = arrow_odbc.connect(self._connection_string)
        for words in self._session(connection):
            connection.execute(words)
        return connection

    def _session(self, connection: Any) -> tuple[str, ...]:
        if self._kind != "mssql":
            return _SESSIONS.get(self._kind, ())
        answer = connection.read_arrow_batches(sql_server.SNAPSHOT_ALLOWED, batch_size=1)
        [state] = [batch.column(0)[0].as_py() for batch in answer]
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
        # psqlODBC takes the port by its own name
        url = url.update_query_dict({"port": str(url.port or 5432), **postgresql.OPTIONS})
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


def _halves(parameters: Parameters) -> list[Parameters]:
    """The range of days as two, where it is long; else as it is."""
    start, end = parameters["start"], parameters["end"]
    if (end - start).days + 1 < _LONG_DAYS:
        return [parameters]
    middle = start + (end - start) // 2
    return [{"start": start, "end": middle}, {"start": middle + dt.timedelta(days=1), "end": end}]


@dataclass(frozen=True)
class _OpenCursor:
    """What a session gives of the parameters it was asked with, and the types its columns mean."""

    batches: Any
    kinds: Sequence[pa.DataType]
    asked: Parameters

    def raw(self, batch: pa.RecordBatch) -> RawBatch:
        kinds = self.kinds or batch.schema.types
        columns = [_meant(column, kind) for column, kind in zip(batch.columns, kinds, strict=True)]
        return RawBatch(batch.schema.names, columns, self.asked)


def _in_turn(readers: list[_OpenCursor]) -> Iterator[RawBatch]:
    """A batch of each while they last: each fetches its next one while another's is worked on."""
    while readers:
        for reader in tuple(readers):
            batch = next(reader.batches, None)
            if batch is None:
                readers.remove(reader)
            else:
                yield reader.raw(batch)


def _exact(kind: Any) -> pa.DataType:
    """What to take instead of the type a driver reports, where that would lose digits or range."""
    if pa.types.is_float32(kind):
        return pa.float64()  # psqlODBC reports double precision and money as single
    if pa.types.is_int32(kind):
        return pa.int64()  # psqlODBC reports oid as signed
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)  # datetime2(7) reaches the year 9999, nanoseconds end in 2262
    return kind


def _as_text(kind: pa.DataType) -> pa.DataType:
    """Text where psqlODBC makes something else of what it cannot say.

    Of numeric without precision it reports the places of the first rows and cuts off those of later ones, NaN it gives
    as 0, and infinite days and those beyond the year 9999 as today. Moments beyond that year it bends too, but as text
    they would take a fifth more of the processor for what no source holds.
    """
    return pa.string() if pa.types.is_decimal(kind) or pa.types.is_date(kind) else kind


def _meant(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column fetched as text in its own type; as text where a value is not of that type."""
    if column.type == kind:
        return column
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        return column
