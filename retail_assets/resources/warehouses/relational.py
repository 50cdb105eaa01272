"""What the warehouses reached through SQLAlchemy share: DDL from contracts, transactions, errors as sentences.

How one database takes many rows at once belongs in its own module.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, NoSuchModuleError, ProgrammingError
from sqlalchemy.types import TypeEngine

from retail_assets.database_errors import Database
from retail_assets.resources.warehouses.backend import ADVICE, COLUMNS_QUERY, SCHEMA, SETTING, columns_to_add
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.tables.contract import Column, Table
from retail_assets.windows import Window

_TYPES: dict[pa.DataType, TypeEngine] = {
    pa.date32(): sa.DATE(),  # sa.Date becomes DATETIME where the server's version is not known
    pa.timestamp("us", tz="UTC"): sa.DateTime(timezone=True).with_variant(mssql.DATETIME2(6), "mssql"),
    pa.float64(): sa.Double(),
    pa.float32(): sa.REAL(),
    pa.int64(): sa.BigInteger(),
    pa.int32(): sa.Integer(),
    pa.bool_(): sa.Boolean(),
}


class RelationalTransaction:
    """Delete, insert and count on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def delete(self, table: Table, window: Window | None) -> int:
        target = sql_table(table)
        return self._connection.execute(sa.delete(target).where(_inside(target, table, window))).rowcount

    def insert(self, table: Table, rows: CheckedRows) -> None:
        raise NotImplementedError

    def count(self, table: Table, window: Window | None) -> int:
        target = sql_table(table)
        query = sa.select(sa.func.count()).select_from(target).where(_inside(target, table, window))
        return int(self._connection.execute(query).scalar_one())


class RelationalBackend:
    """A database behind a SQLAlchemy engine; a subclass says how rows are inserted and tables are created."""

    transaction_class: type[RelationalTransaction]

    def __init__(self, url: URL, *, host: str) -> None:
        self._url = url
        self._host = host
        self._engine: Engine | None = None

    @property
    def place(self) -> str:
        database = f"/{self._url.database}" if self._url.database else ""
        return f"{self._url.get_backend_name()} warehouse at {self._host}{database}"

    def prepare(self, table: Table) -> None:
        with self._translated():
            try:
                self._prepare_once(table)
            except (ProgrammingError, IntegrityError):
                self._prepare_once(table)  # two first loads at once create the same schema; the second sees it now

    def staged(self, table: Table, rows: CheckedRows) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def transaction(self) -> Iterator[RelationalTransaction]:
        with self._translated(), self._connect().begin() as connection:
            yield self.transaction_class(connection)

    def row_count(self, table: Table, window: Window | None) -> int:
        with self._translated(), self._connect().connect() as connection:
            if not held_columns(connection, table):
                return 0
            return self.transaction_class(connection).count(table, window)

    def create_statements(self, table: Table) -> list[str]:
        """DDL of an absent table; its primary key starts with the date, so that a delete by date is a range scan."""
        return [ddl_text(keyed_table(table), self._connect())]

    def add_statements(self, table: Table, columns: Sequence[Column]) -> list[str]:
        """DDL that adds nullable columns to a table that is there; its rows have no value in them."""
        dialect, target = self._connect().dialect, sql_table(table)
        name = dialect.identifier_preparer.format_table(target)
        added = [sa.schema.CreateColumn(target.c[column.name]).compile(dialect=dialect) for column in columns]
        return [f"ALTER TABLE {name} ADD {column}" for column in added]

    def _prepare_once(self, table: Table) -> None:
        with self._ddl_connection() as connection:
            if not sa.inspect(connection).has_schema(SCHEMA):
                connection.execute(sa.schema.CreateSchema(SCHEMA))
            held = held_columns(connection, table)
            added = columns_to_add(table, held) if held else []
            for statement in self.add_statements(table, added) if held else self.create_statements(table):
                connection.exec_driver_sql(statement)

    def _ddl_connection(self) -> AbstractContextManager[Connection]:
        return self._connect().begin()

    def _connect(self) -> Engine:
        if self._engine is None:
            self._engine = self._build_engine()
        return self._engine

    def _build_engine(self) -> Engine:
        return sa.create_engine(self._url, poolclass=sa.NullPool)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, NoSuchModuleError, ImportError) as error:
            raise Database(self.place, SETTING, self._url, ADVICE).failure(error) from None


def sql_table(table: Table) -> sa.Table:
    """The contract as a SQLAlchemy table, without constraints beyond NOT NULL."""
    columns = [sa.Column(c.name, _type(c), nullable=c.nullable, autoincrement=False) for c in table.columns]
    return sa.Table(table.name, sa.MetaData(), *columns, schema=SCHEMA)


def keyed_table(table: Table) -> sa.Table:
    """The same with the contract's key as primary key."""
    target = sql_table(table)
    target.append_constraint(sa.PrimaryKeyConstraint(*table.key, name=f"pk_{table.name}"))
    return target


def ddl_text(target: sa.Table, engine: Engine) -> str:
    return str(sa.schema.CreateTable(target).compile(dialect=engine.dialect)).strip()


def held_columns(connection: Connection, table: Table) -> list[str]:
    query = sa.text(COLUMNS_QUERY.format(":schema_name", ":table_name"))
    rows = connection.execute(query, {"schema_name": SCHEMA, "table_name": table.name})
    return [row[0] for row in rows]


def _type(column: Column) -> TypeEngine:
    if pa.types.is_decimal(column.type):
        return sa.Numeric(column.type.precision, column.type.scale)
    if column.type == pa.string():
        if column.length is None:
            raise ValueError(f"{column.name}: a text of a warehouse table states its length in the contract")
        return sa.Unicode(column.length).with_variant(sa.Text(), "postgresql")
    return _TYPES[column.type]


def _inside(target: sa.Table, table: Table, window: Window | None) -> sa.ColumnElement[bool]:
    if window is None or table.partition_column is None:
        return sa.true()
    return target.c[table.partition_column].between(window.first, window.last)
