"""The tables of a database as SQLAlchemy's inspector shows them to this login: columns, keys, views.

Reads the catalogue only, never a row. What the tables mean is guessed in `proposal`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.reflection import Inspector, ObjectKind

from retail_assets.addresses import place
from retail_assets.database_errors import DRIVER_ERRORS, ConnectionRefused
from retail_assets.failures import PermanentFailure
from retail_assets.sources.operational_database import operational_database

_SYSTEM_SCHEMAS = {"information_schema", "sys", "guest", "mysql", "performance_schema", "pg_catalog", "pg_toast"}
_SYSTEM_PREFIXES = ("db_", "pg_")


class Kind(StrEnum):
    """What a column holds, as far as matching cares."""

    TEXT = "text"
    DATE = "date"
    MOMENT = "moment"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    OTHER = "other"


@dataclass(frozen=True)
class SourceColumn:
    name: str
    kind: Kind
    is_nullable: bool = True


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to columns of another table, named (schema, table); `is_implied` when only names say so."""

    columns: tuple[str, ...]
    table: tuple[str | None, str]
    referred: tuple[str, ...]
    is_implied: bool = False


@dataclass(frozen=True)
class SourceTable:
    """A table or view; `schema` is None for the login's default one."""

    name: str
    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    schema: str | None = None
    is_view: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        return self.schema, self.name

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def column(self, name: str) -> SourceColumn:
        return next(column for column in self.columns if column.name == name)


def inspect_database(url: sa.URL) -> list[SourceTable]:
    """Every table and view this login sees, system schemas left out.

    Raises:
        PermanentFailure: connection or permissions are wrong, or there are no tables; one sentence.
        TransientFailure: the database cannot be reached now.
    """
    _refuse_missing_file(url)
    try:
        with _inspector(url) as inspector:
            tables = [table for schema in _schemas(inspector, url) for table in _tables(inspector, schema)]
    except DRIVER_ERRORS as error:
        database = operational_database(url, advice="let the login see their definitions")
        raise database.failure(error, refusal=f"The tables of {place(url)} cannot be listed") from None
    if not tables:
        raise PermanentFailure(
            f"The database {place(url)} shows this login no tables; name the right database in RETAIL_SOURCE_URL, or "
            "let the login SELECT them."
        )
    return tables


def _refuse_missing_file(url: sa.URL) -> None:
    """Opening a missing SQLite file would create it."""
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise ConnectionRefused(f"There is no database at {url.database}; correct RETAIL_SOURCE_URL.")


@contextmanager
def _inspector(url: sa.URL) -> Iterator[Inspector]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with warnings.catch_warnings(), engine.connect() as connection:
            warnings.simplefilter("ignore", exc.SAWarning)  # types SQLAlchemy does not know are no column of ours
            yield sa.inspect(connection)
    finally:
        engine.dispose()


def _schemas(inspector: Inspector, url: sa.URL) -> list[str | None]:
    """The default schema first; MySQL calls every other database of the server a schema, and SQLite has one."""
    if url.get_backend_name() in ("mysql", "mariadb", "sqlite"):
        return [None]
    default = inspector.default_schema_name
    others = [name for name in inspector.get_schema_names() if name != default and not _is_system(name)]
    return [None, *sorted(others)]


def _is_system(schema: str) -> bool:
    name = schema.lower()
    return name in _SYSTEM_SCHEMAS or name.startswith(_SYSTEM_PREFIXES)


def _tables(inspector: Inspector, schema: str | None) -> list[SourceTable]:
    columns = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY)
    primary_keys = inspector.get_multi_pk_constraint(schema=schema, kind=ObjectKind.TABLE)
    foreign_keys = inspector.get_multi_foreign_keys(schema=schema, kind=ObjectKind.TABLE)
    views = {*inspector.get_view_names(schema), *_materialized(inspector, schema)}
    return [
        SourceTable(
            name=key[1],
            columns=tuple(_column(column) for column in columns[key]),
            primary_key=tuple((primary_keys.get(key) or {}).get("constrained_columns") or ()),
            foreign_keys=tuple(_foreign_key(found, inspector) for found in foreign_keys.get(key) or ()),
            schema=schema,
            is_view=key[1] in views,
        )
        for key in sorted(columns, key=str)
    ]


def _materialized(inspector: Inspector, schema: str | None) -> list[str]:
    try:
        return inspector.get_materialized_view_names(schema)
    except NotImplementedError:
        return []


def _foreign_key(found: Any, inspector: Inspector) -> ForeignKey:
    schema = found["referred_schema"]
    schema = None if schema == inspector.default_schema_name else schema
    return ForeignKey(
        columns=tuple(found["constrained_columns"]),
        table=(schema, found["referred_table"]),
        referred=tuple(found["referred_columns"]),
    )


def _column(found: Any) -> SourceColumn:
    return SourceColumn(found["name"], kind_of(found["type"]), bool(found.get("nullable", True)))


def kind_of(sql_type: Any) -> Kind:
    """The kind of a reflected type; a bit of SQL Server is a flag, its money a number."""
    if isinstance(sql_type, sa.Boolean):
        return Kind.FLAG
    name = type(sql_type).__name__.upper()
    if name == "BIT":
        return Kind.FLAG
    if isinstance(sql_type, sa.DateTime) or name in ("SMALLDATETIME", "DATETIMEOFFSET", "TIMESTAMP"):
        return Kind.MOMENT
    if isinstance(sql_type, sa.Date):
        return Kind.DATE
    if isinstance(sql_type, sa.Integer):
        return Kind.INTEGER
    if isinstance(sql_type, sa.Numeric | sa.Float) or "MONEY" in name:
        return Kind.NUMBER
    return Kind.TEXT if isinstance(sql_type, sa.String) else Kind.OTHER
