"""Opens the demo's database and moves rows in bulk: one code path for SQLite, PostgreSQL and SQL Server.

Values go to the driver as tuples, converted once per distinct value by the dialect's own bind processors.
What the rows mean is not known here.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine

from retail_assets.demo.schema import metadata
from retail_assets.failures import PermanentFailure, TransientFailure

ROWS_A_CALL = 20_000


class Batch:
    """Rows to insert and updates to make in one transaction."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple]] = defaultdict(list)
        self.updates: list[tuple[sa.Update, list[dict[str, Any]]]] = []

    def add(self, table: sa.Table, rows: Iterable[tuple]) -> None:
        """Rows hold the table's columns in their order."""
        self.rows[table.name].extend(rows)

    def update(self, statement: sa.Update, parameters: list[dict[str, Any]]) -> None:
        if parameters:
            self.updates.append((statement, parameters))


def open_database(url: str) -> Engine:
    """An engine on the database with the demo's tables in it.

    Raises:
        PermanentFailure: the URL is none, or its driver is not installed.
        TransientFailure: the database does not answer.
    """
    try:
        address = sa.make_url(url)
        engine = sa.create_engine(address, **_engine_options(address))
    except (sa.exc.ArgumentError, ImportError) as error:
        reason = "it is not an SQLAlchemy URL" if isinstance(error, sa.exc.ArgumentError) else str(error)
        raise PermanentFailure(f"The demo's database cannot be opened: {reason}; check the source URL.") from None
    try:
        metadata.create_all(engine)
    except sa.exc.OperationalError as error:
        raise TransientFailure(
            f"The demo's database {address.render_as_string(hide_password=True)} does not answer: "
            f"{str(error.orig).splitlines()[0]}; check that it is there and may be written."
        ) from None
    return engine


def _engine_options(address: sa.URL) -> dict[str, Any]:
    if address.get_backend_name() == "mssql":
        return {"fast_executemany": True}
    if address.get_backend_name() == "sqlite" and address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    return {}


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
