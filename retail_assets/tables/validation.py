# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""A frame against its contract, before any byte is written: columns, types without loss, nulls."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.tables.contract import Column, ContractViolation, Table


def conform(table: Table, frame: pa.Table) -> pa.Table:
    """The frame with the contract's columns, order and types.

    Casts only where nothing is lost; 64-bit floats may become 32-bit ones where the contract says so. Infinite numbers
    are left to bronze, where silver refuses their rows by name.

    Raises:
        ContractViolation: a missing or extra column, a value that does not fit, an infinite one, a null where none is.
    """
    refuse_other_columns(table, frame.column_names)
    columns = [_conformed(table, column, frame.column(column.name)) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def refuse_window(table: Table) -> None:
    """Only a partitioned table has windows to replace.

    Raises:
        ContractViolation: it has no partitions.
    """
    if table.partition_column is None:
        raise ContractViolation(f"{table.path} has no partitions: a window of it cannot be replaced.")


def refuse_whole(table: Table) -> None:
    """A partitioned table is never overwritten without a window: that is what loses other days.

    Raises:
        ContractViolation: it is partitioned.
    """
    if table.partition_column is not None:
        raise ContractViolation(f"{table.path} is partitioned: it is never overwritten as a whole.")


def refuse_other_columns(table: Table, names: Sequence[str]) -> None:
    """Exactly the contract's columns, in any order.

    Raises:
        ContractViolation: a column is missing, unexpected or repeated.
    """
    missing = [name for name in table.column_names if name not in names]
    extra = [name for name in names if name not in table.column_names]
    if missing or extra:
        raise ContractViolation(f"{table.path}: missing columns {missing}, unexpected columns {extra}.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ContractViolation(f"{table.path}: repeated columns {repeated}.")


def _conformed(table: Table, column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        _refuse_infinite(table, column, values)
    values = _cast(table, column, values)
    if values.null_count and not column.nullable:
        raise ContractViolation(f"{table.path}.{column.name}: {values.null_count} of {len(values)} values are missing.")
    return values


def _refuse_infinite(table: Table, column: Column, values: pa.ChunkedArray) -> None:
    if table.layer == "bronze":
        return
    count = pc.sum(pc.is_inf(values)).as_py()
    if count:
        raise ContractViolation(f"{table.path}.{column.name}: {count} of {len(values)} values are infinite.")


def _cast(table: Table, column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if values.type == column.type:
        return values
    refuse_other_type(table, column, values.type)
    try:
        cast = values.cast(column.type, safe=True)
        # a safe cast of a timestamp to a date drops the time of day silently
        if pa.types.is_date(column.type) and pa.types.is_timestamp(values.type) and cast.cast(values.type) != values:
            raise pa.ArrowInvalid("it holds times of day")
        return cast
    except pa.ArrowInvalid as error:
        detail = str(error).splitlines()[0]
        raise ContractViolation(
            f"{table.path}.{column.name}: {values.type} does not fit {column.type} without loss ({detail})."
        ) from None


def refuse_other_type(table: Table, column: Column, given: pa.DataType) -> None:
    """A type whose values can become the column's.

    Raises:
        ContractViolation: no values could fit.
    """
    if given != column.type and not _may_become(given, column.type):
        raise ContractViolation(f"{table.path}.{column.name}: is {given}, the contract says {column.type}.")


def _may_become(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Text never becomes a number here, nor a number text: that is parsing, which the source reader does."""
    if pa.types.is_null(given):
        return True
    if pa.types.is_string(wanted):
        return pa.types.is_large_string(given) or pa.types.is_dictionary(given) or pa.types.is_string_view(given)
    if pa.types.is_date(wanted):
        return pa.types.is_date(given) or pa.types.is_timestamp(given)
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(given) and given.tz is not None
    if pa.types.is_boolean(wanted):
        return pa.types.is_boolean(given)
    return _is_number(given)


def _is_number(given: pa.DataType) -> bool:
    return pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
