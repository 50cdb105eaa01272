"""What a table promises: grain, key, columns with type and unit, partitioning and layout.

One `Table` drives the write schema, the blocking checks, the column metadata in the UI, the warehouse
DDL and docs/tables.md. Add a column here and nowhere else. Reading or writing does not belong here.
"""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """The contract of one table.

    `partition_column` is the date the Dagster partition key stands for; it is None for whole tables.
    `key` is unique within the table; `sort_by` is the physical order inside a file.
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

    def __post_init__(self) -> None:
        names = self.column_names
        wanted = [*self.key, *self.sort_by, *([self.partition_column] if self.partition_column else [])]
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
    def schema(self) -> pa.Schema:
        """Arrow schema of the frames that go in and out, without the derived month column."""
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])


def described(*columns: tuple) -> tuple[Column, ...]:
    """Columns from rows of (name, type, meaning, unit="", nullable=False)."""
    return tuple(Column(*column) for column in columns)


SERIES_ORDER = ("store_id", "product_id", "business_date")
"""Order of a month's file: the days of a series lie together."""


def series_order(*key: str) -> tuple[str, ...]:
    """`SERIES_ORDER` and the rest of the key, so that the same rows always give the same file."""
    return (*SERIES_ORDER, *(name for name in key if name not in SERIES_ORDER))


NULLABLE = True
EXTRACTED_AT = Column("extracted_at", TIMESTAMP, "When the row was read from the source.", "UTC")
