"""Running one reading statement and handing out its rows as columns, batch by batch, in bounded memory.

ODBC goes through arrow-odbc, SQLite through its own cursor, everything else through SQLAlchemy's server-side
streaming; each reads without the right to write and, where the server offers it, as of one moment. Types are not
touched here: that is `conversion`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from retail_assets.failures import PermanentFailure
from retail_assets.sources.backends.batches import Backend, Parameters, RawBatch, RawBatches, is_moment, parameter_text
from retail_assets.sources.backends.odbc import OdbcBackend
from retail_assets.sources.statement import Statement

_CHUNK_ROWS = 5000
"""Rows held as Python objects at once; 100,000 take twice the time, most of it in the garbage collector."""

_ONE_MOMENT = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    "mysql": {"isolation_level": "REPEATABLE READ"},
    "mariadb": {"isolation_level": "REPEATABLE READ"},
}
_MYSQL = ("SET time_zone = '+00:00'", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
_BEGIN_READING = {"mysql": _MYSQL, "mariadb": _MYSQL, "postgresql": ("SET TIME ZONE 'UTC'",)}
"""By dialect; databases that are not named give what their SELECT gives."""


def backend_for(url: sa.URL) -> Backend:
    """The fastest exact way to read from that database."""
    if url.drivername.endswith("+pyodbc"):
        return OdbcBackend(url)
    return SqliteBackend(url) if url.get_backend_name() == "sqlite" else SqlAlchemyBackend(url)


class SqlAlchemyBackend:
    """Any SQLAlchemy database, streamed by the server where it can."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url

    def batches(
        self, statement: Statement, parameters: Parameters, *, batch_rows: int, by_days: bool = False
    ) -> RawBatches:
        text = sa.text(statement.sqlalchemy_text)
        kinds = {name: sa.DateTime() if is_moment(value) else sa.Date() for name, value in parameters.items()}
        text = text.bindparams(*(sa.bindparam(name, type_=kinds[name]) for name in set(statement.parameters)))
        chunk_rows = min(batch_rows, _CHUNK_ROWS)
        with self._engine().connect() as connection:
            for words in _BEGIN_READING.get(connection.dialect.name, ()):
                connection.exec_driver_sql(words)
            streaming = connection.execution_options(stream_results=True, max_row_buffer=chunk_rows)
            with streaming.execute(text, dict(parameters)) as result:
                yield from _chunks(result.fetchmany, list(result.keys()), chunk_rows=chunk_rows)

    def _engine(self) -> sa.Engine:
        engine = sa.create_engine(self._url, poolclass=sa.NullPool)
        return engine.execution_options(**_ONE_MOMENT.get(engine.dialect.name, {}))


class SqliteBackend:
    """SQLite without SQLAlchemy's rows, which cost as much as reading; opened read-only."""

    def __init__(self, url: sa.URL) -> None:
        self._path = Path(url.database or "")

    def batches(
        self, statement: Statement, parameters: Parameters, *, batch_rows: int, by_days: bool = False
    ) -> RawBatches:
        bound = {name: parameter_text(value) for name, value in parameters.items()}
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
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
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _chunks(fetch_rows: Callable[[int], Sequence[Any]], names: Sequence[str], *, chunk_rows: int) -> RawBatches:
    rows = fetch_rows(chunk_rows)
    yield RawBatch(names, list(zip(*rows, strict=True)) if rows else [()] * len(names))
    while rows := fetch_rows(chunk_rows):
        yield RawBatch(names, list(zip(*rows, strict=True)))
