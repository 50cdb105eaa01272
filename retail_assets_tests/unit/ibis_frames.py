"""Rows given as dictionaries, as Ibis tables of a contract; columns not given are null."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

from retail_assets.tables.contract import Table

MOMENT = datetime(2025, 3, 1, 5, tzinfo=UTC)
_DEFAULTS = {"extracted_at": MOMENT, "first_seen_at": MOMENT, "is_deleted": False}


def frame_of(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """The rows in the contract's types; extraction and version columns have a default."""
    known = {name: value for name, value in _DEFAULTS.items() if name in table.column_names}
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    return pa.Table.from_pylist([known | dict(row) for row in rows], schema=schema)


def table_of(table: Table, rows: Iterable[Mapping[str, Any]]) -> ibis.Table:
    return ibis.memtable(frame_of(table, rows))


def records(rows: ibis.Table | pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    """The rows' values as sorted tuples, of the columns given or of all."""
    found = rows.to_pyarrow() if isinstance(rows, ibis.Table) else rows
    chosen = found.select(list(columns)) if columns else found
    return sorted((tuple(row.values()) for row in chosen.to_pylist()), key=repr)


def dated(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The frame with these columns as timestamps."""
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in columns})
