"""Opens the demo's database and moves rows in bulk: one code path for SQLite, PostgreSQL and SQL Server.

Values go to the driver as tuples, converted once per distinct value by the dialect's own bind processors.
What the rows mean is not known here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, Dialect, Engine

from retail_assets.addresses import database_url
from retail_assets.database_errors import Database
from retail_assets.demo.schema import demo_setting, metadata
from retail_assets.failures import PermanentFailure

ROWS_A_CALL = 20_000


class Batch:
    """Rows to insert and updates to make in one transaction."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple]] = defaultdict(list)
        self.updates: list[tuple[sa.Update, Sequence[Mapping[str, object]]]] = []

    def add(self, table: sa.Table, rows: Iterable[tuple]) -> None:
        """Rows hold the table's columns in their order."""
        self.rows[table.name].extend(rows)

    def update(self, statement: sa.Update, parameters: Sequence[Mapping[str, object]]) -> None:
        if parameters:
            self.updates.append((statement, parameters))


@contextmanager
def demo_database(url: str) -> Iterator[Engine]:
    """An engine on the database with the demo's tables in it, closed at the end.

    Raises:
        PermanentFailure: the URL is none, its driver is missing, the database refuses or holds something else.
        TransientFailure: the database does not answer or is locked.
    """
    try:
        address = database_url(url, variable="RETAIL_SOURCE_URL")
        engine = sa.create_engine(address, **_engine_options(address))
    except (exc.ArgumentError, ImportError, OSError) as error:
        raise PermanentFailure(
            f"The demo's database cannot be opened: {_reason(error)}; give a URL such as sqlite:///demo.db."
        ) from None
    if address.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _skip_disk_barriers)
    try:
        _create_tables(engine)
        yield engine
    except (exc.OperationalError, exc.InterfaceError, exc.ProgrammingError) as error:
        advice = "give the URL of an empty database that may be written"
        database = Database(f"demo's database {_place(address)}", "RETAIL_SOURCE_URL", address, advice)
        raise database.failure(error) from None
    finally:
        engine.dispose()


def _place(address: sa.URL) -> str:
    """Kind, host and name, or the file; never user, password or options."""
    where = f"{address.host}/{address.database or ''}" if address.host else address.database or ""
    return f"{address.get_backend_name()}://{'' if address.host else '/'}{where}"


def _reason(error: Exception) -> str:
    """What is wrong with a URL, without repeating the URL and its password."""
    if isinstance(error, ImportError):
        return f"its driver is not installed ({error})"
    if isinstance(error, OSError):
        return f"its folder {error.filename} cannot be made ({error.strerror})"
    return "its address is not an SQLAlchemy URL"


def _engine_options(address: sa.URL) -> dict[str, Any]:
    if address.get_backend_name() == "mssql":
        return {"fast_executemany": True}
    if address.get_backend_name() == "sqlite" and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    return {}


def _skip_disk_barriers(connection: Any, _record: Any) -> None:
    """A killed process still leaves whole transactions; what a power cut spoils, the seed writes again."""
    connection.execute("PRAGMA synchronous = OFF")


def _create_tables(engine: Engine) -> None:
    """Create what is missing; a database that holds anything but a demo is left alone."""
    found = sa.inspect(engine).get_table_names()
    if found and demo_setting.name not in found:
        raise PermanentFailure(
            f"The database {_place(engine.url)} already holds tables, such as {found[0]}, "
            "that are not the demo's: give the URL of an empty database."
        )
    demo_setting.create(engine, checkfirst=True)  # first, so that an interrupted creation is known for the demo's
    metadata.create_all(engine)


def write_batch(connection: Connection, batch: Batch) -> None:
    for table in metadata.sorted_tables:
        rows = batch.rows.get(table.name, [])
        for first in range(0, len(rows), ROWS_A_CALL):
            _insert(connection, table, rows=rows[first : first + ROWS_A_CALL])
    for statement, parameters in batch.updates:
        connection.execute(statement, parameters)


def _insert(connection: Connection, table: sa.Table, *, rows: Sequence[tuple]) -> None:
    dialect = connection.dialect
    names = ", ".join(column.name for column in table.columns)
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    marks = ", ".join([mark] * len(table.columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"
    columns = [
        _bound(column, values, dialect=dialect)
        for column, values in zip(table.columns, zip(*rows, strict=True), strict=True)
    ]
    connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))


def _bound(column: sa.Column, values: Sequence[Any], *, dialect: Dialect) -> Sequence[Any]:
    """Values as the driver wants them; a day's rows share few dates and moments, so each is converted once."""
    processor = column.type.dialect_impl(dialect).bind_processor(dialect)
    if processor is None:
        return values
    converted = {value: processor(value) for value in set(values)}
    return [converted[value] for value in values]
