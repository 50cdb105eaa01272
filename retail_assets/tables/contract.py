"""What a table promises: grain, key, columns with type and unit, partitioning and layout.

One `Table` drives the write schema, the blocking checks, the column metadata in the UI, the warehouse
DDL and docs/tables.md. Add a column here and nowhere else. Reading or writing does not belong here.
"""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

TEXT = pa.string()
DATE = pa.date32()
TIMESTAMP = pa.timestamp("us", tz="UTC")
MONEY = pa.decimal128(18, 4)
QUANTITY = pa.decimal128(18, 3)
UNITS = pa.float64()
RATE = pa.float64()
COUNT = pa.int64()
DAYS = pa.int32()
FLAG = pa.bool_()
QUANTILE = pa.float32()


class Text(NamedTuple):
    """A text of at most `length` characters, in the UTF-16 code units that SQL Server and Synapse count."""

    length: int


KEY_TEXT = Text(128)
"""An identifier, or another text of a key: a clustered index of SQL Server holds 900 bytes."""

SHORT_TEXT = Text(256)
"""A name or a code."""

LONG_TEXT = Text(4000)
"""Sentences. A Synapse columnstore takes no nvarchar(max), and nvarchar counts to 4000."""

MONTH_COLUMN = "month"
"""Derived physical partition column, the `YYYY-MM` of the partition date."""


class Partitioning(StrEnum):
    """How Dagster partitions the asset."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"


class Layout(StrEnum):
    """How the files lie: one folder, one folder a month, or one folder a partition date."""

    WHOLE = "whole"
    MONTH = "month"
    DAY = "day"


class ContractViolation(ValueError):
    """A frame does not keep its table's contract; the message names table, column and rows."""


_BOUNDS_OF_UNIT = {"0–1": (0, 1), "ISO weekday": (1, 7)}


@dataclass(frozen=True)
class Column:
    """One column; what it may hold is checked by silver (entities) and by the check `values_keep_the_contract`.

    `default` is what a missing value of an optional column stands for: silver fills it in, so that no later table has
    to know. `allowed` lists the only values of a code, `least` and `most` the range of a number; some units have one.
    `length` is the most characters of a text, where a database that keeps the column wants a bound; the lake has none.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    default: str | float | date | None = None
    allowed: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    length: int | None = None

    def __post_init__(self) -> None:
        if self.length is not None and self.type != TEXT:
            raise ValueError(f"{self.name}: only a text has a length, not {self.type}")

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Least and most value, both included; None where there is no limit."""
        least, most = _BOUNDS_OF_UNIT.get(self.unit, (None, None))
        return (least if self.least is None else self.least, most if self.most is None else self.most)


@dataclass(frozen=True)
class Quality:
    """Shares of refused rows of a table: above `warn_rate` a warning, above `stop_rate` nothing goes on.

    A day of fewer than `least_rows` rows stops nothing by itself: one row of it is already a large share.
    """

    warn_rate: float
    stop_rate: float
    least_rows: int = 20


@dataclass(frozen=True)
class Reference:
    """Every value of `column` is found in the column `target` of the table at `path`."""

    column: str
    path: str
    target: str


@dataclass(frozen=True)
class Table:
    """The contract of one table.

    `partition_column` is the date the Dagster partition key stands for; it is None for whole tables.
    `key` is unique within the table; `sort_by` is the physical order inside a file. `is_replicated` tables are small:
    a warehouse of several nodes keeps a copy on each of them. `personal` names the columns that tell something of a
    person: their values are shown nowhere but in the table.
    """

    layer: str
    name: str
    meaning: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_column: str | None = None
    partitioning: Partitioning = Partitioning.NONE
    layout: Layout = Layout.WHOLE
    sort_by: tuple[str, ...] = ()
    retention_days: int | None = None
    quality: Quality | None = None
    references: tuple[Reference, ...] = ()
    is_replicated: bool = False
    personal: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.column_names
        wanted = [*self.key, *self.sort_by, *([self.partition_column] if self.partition_column else [])]
        wanted += [*(reference.column for reference in self.references), *self.personal]
        unknown = sorted(set(wanted) - set(names))
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"{self.path}: unknown or repeated columns {unknown or names}")
        if (self.partition_column is None) != (self.partitioning is Partitioning.NONE):
            raise ValueError(f"{self.path}: a partitioned table names its partition column, another does not")

    @property
    def path(self) -> str:
        """Lake path below RETAIL_LAKE_URI, also the printable name: `gold/fact_sales`."""
        return f"{self.layer}/{self.name}"

    @property
    def asset_key(self) -> list[str]:
        return [self.layer, self.name]

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def shown_names(self) -> list[str]:
        """Names of the columns whose values may be shown outside of the table."""
        return [name for name in self.column_names if name not in self.personal]

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the frames that go in and out, without the derived month column."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])


def described(*columns: tuple) -> tuple[Column, ...]:
    """Columns from rows of (name, type, meaning, unit="", nullable=False); a `Text` gives the type with its length."""
    return tuple(_described(*column) for column in columns)


def _described(name: str, kind: pa.DataType | Text, *rest: Any) -> Column:
    if isinstance(kind, Text):
        return Column(name, TEXT, *rest, length=kind.length)
    return Column(name, kind, *rest)


SERIES_ORDER = ("store_id", "product_id", "business_date")
"""Order of a month's file: the days of a series lie together."""


def series_order(*key: str) -> tuple[str, ...]:
    """`SERIES_ORDER` and the rest of the key, so that the same rows always give the same file."""
    return (*SERIES_ORDER, *(name for name in key if name not in SERIES_ORDER))


def code(name: str, meaning: str, *allowed: str) -> Column:
    """A text column that holds one of a few values."""
    return Column(name, TEXT, meaning, allowed=allowed, length=SHORT_TEXT.length)


def bounded(bounds: dict[str, tuple[float | None, float | None]], *columns: tuple) -> tuple[Column, ...]:
    """Columns like `described`; those named have a least and a most value."""
    return tuple(
        replace(column, least=bounds[column.name][0], most=bounds[column.name][1]) if column.name in bounds else column
        for column in described(*columns)
    )


def at_least_zero(*columns: tuple) -> tuple[Column, ...]:
    """Columns like `described`, of numbers that are never negative."""
    return tuple(replace(column, least=0) for column in described(*columns))


ALL = "all"
"""The segment, class or group that holds everything."""

AS_OF_RETENTION_DAYS = 90
"""Days that what was made as of a date is kept."""

SERIES_COLUMNS = described(("store_id", KEY_TEXT, "Store."), ("product_id", KEY_TEXT, "Product."))
NULLABLE = True
EXTRACTED_AT = Column("extracted_at", TIMESTAMP, "When the row was read from the source.", "UTC")
