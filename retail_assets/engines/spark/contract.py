"""A Spark frame against its contract, before any byte is written: the rules of `tables.validation` as columns.

One pass over the rows counts what is wrong; nothing but the counts reaches the driver.
"""

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type

from retail_assets.tables.contract import Column, ContractViolation, Table
from retail_assets.tables.validation import refuse_other_columns, refuse_other_type
from retail_assets.windows import Window

_NULLS, _MISFITS, _OUTSIDE, _ROWS = "null_", "misfit_", "outside", "rows"


def conformed(table: Table, rows: DataFrame) -> DataFrame:
    """The rows with the contract's columns, order and types; values that do not fit become null.

    Raises:
        ContractViolation: a missing or extra column, or a type that may not become the contract's.
    """
    refuse_other_columns(table, rows.columns)
    for column in table.columns:
        refuse_other_type(table, column, _arrow_type(rows, column.name))
    return rows.select(*(_cast(_plain(rows, column), column).alias(column.name) for column in table.columns))


def count_valid(table: Table, rows: DataFrame, window: Window | None) -> int:
    """Number of rows, after all of them were found to keep the contract.

    Raises:
        ContractViolation: a value that does not fit, a null where none may be, a row outside the window.
    """
    counts = rows.agg(*_counts(table, rows, window)).toArrow().to_pylist()[0]
    for column in table.columns:
        misfits = counts.get(_MISFITS + column.name) or 0
        if misfits:
            given = _arrow_type(rows, column.name)
            raise ContractViolation(
                f"{table.path}.{column.name}: {given} does not fit {column.type} without loss ({misfits} values)."
            )
        nulls = counts.get(_NULLS + column.name) or 0
        if nulls and not column.nullable:
            raise ContractViolation(f"{table.path}.{column.name}: {nulls} of {counts[_ROWS]} values are missing.")
    if counts.get(_OUTSIDE):
        raise ContractViolation(
            f"{table.path}: {counts[_OUTSIDE]} rows have a {table.partition_column} outside {window}."
        )
    return counts[_ROWS]


def _counts(table: Table, rows: DataFrame, window: Window | None) -> list[SparkColumn]:
    counts = [F.count(F.lit(1)).alias(_ROWS)]
    for column in table.columns:
        value = _plain(rows, column)
        if not column.nullable:
            counts.append(F.count_if(value.isNull()).alias(_NULLS + column.name))
        if _arrow_type(rows, column.name) != column.type:
            counts.append(F.count_if(_is_lossy(value, rows, column)).alias(_MISFITS + column.name))
    if window is not None:
        day = F.col(str(table.partition_column)).cast("date")
        counts.append(F.count_if(~day.between(F.lit(window.first), F.lit(window.last))).alias(_OUTSIDE))
    return counts


def _arrow_type(rows: DataFrame, name: str) -> pa.DataType:
    return to_arrow_type(rows.schema[name].dataType, timezone="UTC")


def _plain(rows: DataFrame, column: Column) -> SparkColumn:
    """Not-a-number counts as missing."""
    value = F.col(column.name)
    if pa.types.is_floating(_arrow_type(rows, column.name)):
        return F.when(~F.isnan(value), value)
    return value


def _cast(value: SparkColumn, column: Column) -> SparkColumn:
    return value.try_cast(from_arrow_type(column.type))


def _is_lossy(value: SparkColumn, rows: DataFrame, column: Column) -> SparkColumn:
    """The value is there and the cast one is not the same; only floats may lose digits, and only to other floats."""
    given, cast = _arrow_type(rows, column.name), _cast(value, column)
    is_lost = value.isNotNull() & cast.isNull()
    if pa.types.is_floating(given) and not pa.types.is_integer(column.type):
        return is_lost
    if pa.types.is_decimal(given) and pa.types.is_floating(column.type):
        return is_lost
    return is_lost | (cast.try_cast(rows.schema[column.name].dataType) != value)
