# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Writing Delta tables with delta-rs: create from the contract, validate, replace exactly one window.

There is no write without a predicate on a partitioned table; that is what loses other days.
"""

import random
import time
from collections.abc import Callable
from uuid import uuid4

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.failures import TransientFailure
from retail_assets.resources.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, ContractViolation, Layout, Table
from retail_assets.tables.validation import conform
from retail_assets.windows import Window

_PROPERTIES = WriterProperties(compression="ZSTD")
_ATTEMPTS = 6
_WRITE_ID = "retail_write_id"
_RECENT_COMMITS = 200


def as_arrow(frame: Frame) -> pa.Table:
    """Any frame as an Arrow table in memory; chunks are small enough by contract."""
    if isinstance(frame, ibis.Table):
        return frame.to_pyarrow()
    if isinstance(frame, pd.DataFrame):
        return pa.Table.from_pandas(frame, preserve_index=False)
    if isinstance(frame, pa.RecordBatchReader):
        return frame.read_all()
    return frame


def physical_columns(table: Table) -> list[str]:
    """The columns that name the folders of the table's files."""
    if table.layout is Layout.MONTH:
        return [MONTH_COLUMN]
    return [str(table.partition_column)] if table.layout is Layout.DAY else []


def overwrite_window(lake: Lake, table: Table, frame: Frame, window: Window) -> WriteResult:
    """Replace the rows of `window` by the frame, in one commit.

    Raises:
        ContractViolation: the frame breaks the contract or has rows outside the window; nothing is written.
        TransientFailure: other writers kept winning, or the storage failed.
        PermanentFailure: the storage refuses.
    """
    if table.partition_column is None:
        raise ContractViolation(f"{table.path} has no partitions: a window of it cannot be replaced.")
    rows = conform(table, as_arrow(frame))
    _refuse_outside(table, rows, window)
    if table.layout is Layout.DAY:
        days, predicate = window.by_day(), f"{table.partition_column} = CAST('{{}}' AS DATE)"
        return _commit_each(lake, table, rows, [(day, predicate.format(day.first)) for day in days])
    return _commit_each(lake, table, rows, [(part, _month_predicate(table, part)) for part in window.by_month()])


def overwrite(lake: Lake, table: Table, frame: Frame) -> WriteResult:
    """Replace a whole table in one commit.

    Raises:
        ContractViolation: the table is partitioned, or the frame breaks the contract.
    """
    if table.partition_column is not None:
        raise ContractViolation(f"{table.path} is partitioned: it is never overwritten as a whole.")
    return _commit(lake, table, conform(table, as_arrow(frame)), predicate=None)


def _month_predicate(table: Table, part: Window) -> str:
    column = table.partition_column
    return (
        f"{MONTH_COLUMN} = '{part.first:%Y-%m}' AND {column} >= CAST('{part.first}' AS DATE)"
        f" AND {column} <= CAST('{part.last}' AS DATE)"
    )


def _refuse_outside(table: Table, rows: pa.Table, window: Window) -> None:
    dates = rows.column(str(table.partition_column))
    outside = pc.sum(pc.or_(pc.less(dates, window.first), pc.greater(dates, window.last))).as_py() or 0
    if outside:
        raise ContractViolation(f"{table.path}: {outside} rows have a {table.partition_column} outside {window}.")


def _commit_each(lake: Lake, table: Table, rows: pa.Table, parts: list[tuple[Window, str]]) -> WriteResult:
    dates = rows.column(str(table.partition_column))
    results = []
    for part, predicate in parts:
        inside = pc.and_(pc.greater_equal(dates, part.first), pc.less_equal(dates, part.last))
        chosen = rows.filter(inside) if len(parts) > 1 else rows
        results.append(_commit(lake, table, chosen, predicate))
    return WriteResult(
        rows=sum(r.rows for r in results), bytes=sum(r.bytes for r in results), version=results[-1].version
    )


def _commit(lake: Lake, table: Table, rows: pa.Table, predicate: str | None) -> WriteResult:
    if table.sort_by:
        rows = rows.sort_by([(name, "ascending") for name in table.sort_by])
    if table.layout is Layout.MONTH:
        rows = rows.append_column(MONTH_COLUMN, pc.strftime(rows.column(str(table.partition_column)), "%Y-%m"))

    def write() -> WriteResult:
        delta, write_id = prepared(lake, table), uuid4().hex
        write_deltalake(
            delta,
            rows,
            mode="overwrite",
            predicate=predicate,
            commit_properties=CommitProperties(max_commit_retries=50, custom_metadata={_WRITE_ID: write_id}),
            writer_properties=_PROPERTIES,
        )
        return _reconciled(lake, table, rows, write_id)

    with lake.errors(table):
        return _retried(write, table)


def _reconciled(lake: Lake, table: Table, rows: pa.Table, write_id: str) -> WriteResult:
    """Rows handed over = rows committed, by the metrics of this very commit."""
    for commit in lake.require(table).history(_RECENT_COMMITS):
        if commit.get(_WRITE_ID) != write_id:
            continue
        added = int(commit["operationMetrics"]["num_added_rows"])
        if added != rows.num_rows:
            raise TransientFailure(f"{table.path}: {rows.num_rows} rows were handed over, {added} were committed.")
        return WriteResult(rows=added, bytes=rows.nbytes, version=int(commit["version"]))
    raise TransientFailure(f"{table.path}: the commit that was just made is not in the table's recent history.")


def prepared(lake: Lake, table: Table) -> DeltaTable:
    delta = lake.open(table)
    if delta is not None:
        return delta
    fields = list(table.schema)
    if table.layout is Layout.MONTH:
        fields.append(pa.field(MONTH_COLUMN, pa.string(), nullable=False))
    return DeltaTable.create(
        lake.table_uri(table),
        schema=Schema.from_arrow(pa.schema(fields)),
        mode="ignore",
        partition_by=physical_columns(table),
        name=table.name,
        description=table.meaning,
        storage_options=lake.storage_options,
    )


def _retried(write: Callable[[], WriteResult], table: Table) -> WriteResult:
    for attempt in range(_ATTEMPTS):
        try:
            return write()
        except CommitFailedError:
            time.sleep(0.1 * 2**attempt * (0.5 + random.random()))
    raise TransientFailure(f"Other writers kept changing {table.path}; the write was given up after {_ATTEMPTS} tries.")
