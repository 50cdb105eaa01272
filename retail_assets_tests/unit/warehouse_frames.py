"""Frames of any contract for warehouse tests: every type filled, every nullable column with gaps."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from retail_assets.tables.contract import Column, Table

FIRST = date(2025, 3, 1)
TRICKY_TEXTS = ("plain", 'with "quotes"', "comma, semicolon;", "line\nbreak", "", "naïve Ünïcode 東京", "\\N")


def frame_of(table: Table, *, rows: int, first: date = FIRST, days: int = 3) -> pa.Table:
    """`rows` rows whose dates go round over `days` days from `first`; keys are unique."""
    arrays = [
        pa.array([_value(table, column, row, first=first, days=days) for row in range(rows)], column.type)
        for column in table.columns
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _value(table: Table, column: Column, row: int, *, first: date, days: int) -> Any:
    if column.nullable and row % 4 == 3:
        return None
    if pa.types.is_date(column.type):
        return first + timedelta(days=row % days if column.name == table.partition_column else row)
    if pa.types.is_string(column.type):
        return f"{column.name[:4]}-{row}" if column.name in table.key else TRICKY_TEXTS[row % len(TRICKY_TEXTS)]
    if pa.types.is_decimal(column.type):
        return Decimal(row * 7 - 5).scaleb(-column.type.scale)
    if pa.types.is_timestamp(column.type):
        return datetime(2025, 7, 1, 23, 59, 59, 123456, tzinfo=UTC) + timedelta(hours=row)
    if pa.types.is_boolean(column.type):
        return row % 2 == 0
    return row if pa.types.is_integer(column.type) else row / 3
