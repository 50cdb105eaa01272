"""The application database: what planners decided, in SQLite, PostgreSQL or Azure SQL.

Its tables are derived from the entities of tables/entities.py plus the columns only the application needs.
The pipeline reads them with `read`; who decides what lives in dashboards/decisions.py.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from retail_assets.addresses import database_url, place
from retail_assets.database_errors import Database, is_there_already
from retail_assets.failures import PermanentFailure
from retail_assets.tables import entities
from retail_assets.tables.bronze import UNPARSED
from retail_assets.tables.contract import COUNT, DATE, DAYS, FLAG, TEXT, TIMESTAMP, UNITS, Column
from retail_assets.tables.entities import Entity

_LOCK_WAIT_SECONDS = 30
_CREATE_ATTEMPTS = 3
_EXAMPLE = "RETAIL_APP_DATABASE_URL=postgresql+psycopg://planner:…@server/application"
_ADVICE = "give the application a database of its own in RETAIL_APP_DATABASE_URL"


class UtcTimestamp(sa.types.TypeDecorator[datetime]):
    """A moment in UTC with its zone, also where the database (SQLite) keeps none."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_SQL_TYPES: dict[pa.DataType, Callable[[], sa.types.TypeEngine]] = {
    DATE: sa.Date,
    TIMESTAMP: UtcTimestamp,
    UNITS: lambda: sa.Float(53),
    DAYS: sa.Integer,
    COUNT: sa.BigInteger,
    FLAG: sa.Boolean,
}

METADATA = sa.MetaData()


def _sql_column(column: Column, key: tuple[str, ...]) -> sa.Column:
    if column.type == TEXT:
        # Unicode becomes nvarchar on Azure SQL; bounded, because an index there refuses nvarchar(max)
        sql_type: sa.types.TypeEngine = sa.Unicode(column.length)
    else:
        sql_type = _SQL_TYPES[column.type]()
    return sa.Column(column.name, sql_type, primary_key=column.name in key, nullable=column.nullable)


def _sql_table(entity: Entity, *extra: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(entity.name, METADATA, *(_sql_column(c, entity.key) for c in entity.columns), *extra)


FORECAST_OVERRIDES = _sql_table(entities.FORECAST_OVERRIDES)
ORDER_DECISIONS = _sql_table(
    entities.ORDER_DECISIONS,
    sa.Column("proposed_units", sa.Float(53), nullable=False),
    sa.Column("unit_cost", sa.Float(53)),
    sa.Column("export_id", sa.Unicode(entities.PLANNER_ID.length), index=True),
    sa.Column("exported_by", sa.Unicode(entities.PLANNER_TEXT.length)),
    sa.Column("exported_at", UtcTimestamp()),
    # The database, not the application, decides which of two planners was first
    sa.UniqueConstraint("proposal_id", name="one_decision_per_proposal"),
)
"""Beyond the entity: what the exported order needs, what was proposed, and the mark of the one export."""


def read_schema(entity: Entity) -> pa.Schema:
    """Arrow schema of `AppDatabase.read`: the entity's columns, nullable as in bronze, and `unparsed`."""
    fields = [pa.field(column.name, column.type, nullable=True) for column in entity.columns]
    return pa.schema([*fields, pa.field(UNPARSED.name, UNPARSED.type, nullable=True)])


class AppDatabase:
    """Connection to the application database; never shows its password."""

    def __init__(self, url: str) -> None:
        """Keep the URL; nothing is opened yet.

        Raises:
            PermanentFailure: the URL is not one.
        """
        try:
            self._url = database_url(url, variable="RETAIL_APP_DATABASE_URL")
        except ArgumentError:
            raise PermanentFailure(f"RETAIL_APP_DATABASE_URL is not a URL: set it like {_EXAMPLE}.") from None
        self._database = Database(
            f"application database {place(self._url)}", "RETAIL_APP_DATABASE_URL", self._url, _ADVICE
        )

    def __repr__(self) -> str:
        return f"AppDatabase({place(self._url)})"

    def create(self) -> None:
        """Create what is missing; safe to call at every start and from several processes at once.

        Raises:
            PermanentFailure: the database refuses, or its folder cannot be made.
            TransientFailure: the database does not answer or is locked.
        """
        self._make_folder()
        for attempt in range(1, _CREATE_ATTEMPTS + 1):
            try:
                return self._create_all()
            except DBAPIError as error:
                is_passing = is_there_already(error) or self._database.may_pass(error)
                if attempt == _CREATE_ATTEMPTS or not is_passing:
                    raise self._database.failure(error) from None
                time.sleep(0.2 * attempt)

    def read(self, entity: Entity) -> pa.Table:
        """Every row of an application entity, in the schema of `read_schema`.

        A database or table that does not exist yet means that nobody decided anything: no rows.
        """
        table = METADATA.tables[entity.name]
        if not self._has(table):
            return read_schema(entity).empty_table()
        query = sa.select(*(table.c[name] for name in entity.column_names)).order_by(table.c[entity.key[0]])
        with self.transaction() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return pa.Table.from_pylist(rows, schema=read_schema(entity))

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A transaction that commits at the end of the block.

        Raises:
            PermanentFailure: the database refuses the connection or a statement.
            TransientFailure: the database does not answer or is locked.
            sqlalchemy.exc.IntegrityError: as it is; the caller knows what it means.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._database.failure(error) from None

    @property
    def _file(self) -> Path | None:
        is_file = self._url.get_backend_name() == "sqlite" and self._url.database not in (None, "", ":memory:")
        return Path(str(self._url.database)) if is_file else None

    @cached_property
    def _engine(self) -> sa.Engine:
        arguments: dict[str, Any] = {"timeout": _LOCK_WAIT_SECONDS} if self._file is not None else {}
        try:
            # A connection a transaction: planners are few, and nothing is left open or goes stale over night
            return sa.create_engine(self._url, connect_args=arguments, poolclass=sa.NullPool)
        except (NoSuchModuleError, ImportError) as error:
            raise self._database.failure(error) from None

    def _make_folder(self) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PermanentFailure(
                f"The folder of the application database {self._file} cannot be made: {error.strerror}; "
                "correct RETAIL_APP_DATABASE_URL."
            ) from None

    def _create_all(self) -> None:
        with self._engine.begin() as connection:
            METADATA.create_all(connection)

    def _has(self, table: sa.Table) -> bool:
        if self._file is not None and not self._file.exists():
            return False  # connecting would leave an empty file behind
        with self.transaction() as connection:
            return sa.inspect(connection).has_table(table.name)
