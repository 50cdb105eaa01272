# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Writing Delta tables with delta-rs: create from the contract, validate, replace exactly one window.

There is no write without a predicate on a partitioned table; that is what loses other days. A month stays one
sorted file: writing part of it rewrites it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from retail_assets.engines.committing import LostRace, committed
from retail_assets.engines.evolution import evolved, physical_columns, physical_schema
from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.engines.sorting import in_order
from retail_assets.failures import TransientFailure
from retail_assets.resources.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, ContractViolation, Layout, Table
from retail_assets.tables.validation import conform, refuse_whole, refuse_window
from retail_assets.windows import ONE_DAY, Window

PROPERTIES = WriterProperties(compression="ZSTD", max_row_group_size=131_072)
"""Groups of this size let a read of one series skip most of a month (docs/decisions/0006-physical-layout.md)."""

EVERY_ROW = "true"
"""Without a predicate delta-rs takes a first overwrite for an append, and two of them stay beside each other."""
_WRITE_ID = "retail_write_id"
_SIGNS_OF_A_RACE = ("oncurrent transaction", "since last commit", "existing table version", "maximum commit attempts")


def as_arrow(frame: Frame) -> pa.Table:
    """Any frame as an Arrow table in memory; chunks are small enough by contract."""
    if isinstance(frame, ibis.Table):
        return frame.to_pyarrow()
    if isinstance(frame, pd.DataFrame):
        return pa.Table.from_pandas(frame, preserve_index=False)
    if isinstance(frame, pa.RecordBatchReader):
        return frame.read_all()
    return frame


def overwrite_window(lake: Lake, table: Table, frame: Frame, window: Window) -> WriteResult:
    """Replace the rows of `window` by the frame, in one commit.

    Raises:
        ContractViolation: the frame breaks the contract or has rows outside the window; nothing is written.
        TransientFailure: other writers kept winning, or the storage failed.
        PermanentFailure: the storage refuses.
    """
    refuse_window(table)
    rows = conform(table, as_arrow(frame))
    _refuse_outside(table, rows, window)
    results = [_commit(lake, table, change) for change in _changes(table, rows, window)]
    return WriteResult(
        rows=sum(r.rows for r in results), bytes=sum(r.bytes for r in results), version=results[-1].version
    )


def overwrite(lake: Lake, table: Table, frame: Frame) -> WriteResult:
    """Replace a whole table in one commit.

    Raises:
        ContractViolation: the table is partitioned, or the frame breaks the contract.
    """
    refuse_whole(table)
    return _commit(lake, table, _Change(conform(table, as_arrow(frame))))


def prepared(lake: Lake, table: Table) -> DeltaTable:
    """The newest version of a table, created from its contract or with the contract's new nullable columns.

    Raises:
        PermanentFailure: the stored table is of another contract, or the storage refuses.
        CommitFailedError: somebody else did the same; call it again.
    """
    delta = lake.open(table)
    if delta is not None:
        return evolved(lake, table, delta)
    return DeltaTable.create(
        lake.table_uri(table),
        schema=Schema.from_arrow(physical_schema(table)),
        mode="ignore",
        partition_by=physical_columns(table),
        name=table.name,
        description=table.meaning,
        configuration={"delta.checkpointInterval": "10"},
        storage_options=lake.storage_options,
    )


@dataclass(frozen=True)
class _Change:
    """The rows that one commit puts in the place of a window's, all in one folder; of all rows without a window."""

    rows: pa.Table
    window: Window | None = None

    @property
    def month(self) -> str:
        return f"{self.window.first:%Y-%m}" if self.window else ""

    @property
    def is_whole_month(self) -> bool:
        return self.window is not None and self.window.first.day == (self.window.last + ONE_DAY).day == 1


def _refuse_outside(table: Table, rows: pa.Table, window: Window) -> None:
    dates = rows.column(str(table.partition_column))
    outside = pc.sum(pc.or_(pc.less(dates, window.first), pc.greater(dates, window.last))).as_py() or 0
    if outside:
        raise ContractViolation(f"{table.path}: {outside} rows have a {table.partition_column} outside {window}.")


def _changes(table: Table, rows: pa.Table, window: Window) -> Iterator[_Change]:
    """The rows folder by folder; each is a slice of the rows by date."""
    parts = window.by_day() if table.layout is Layout.DAY else window.by_month()
    if len(parts) == 1:
        yield _Change(rows, window)
        return
    column = str(table.partition_column)
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(column, "ascending")]))
    dates = rows.column(column).to_numpy()
    ends = np.searchsorted(dates, np.array([part.last for part in parts], dtype=dates.dtype), side="right")
    start = 0
    for part, end in zip(parts, ends.tolist(), strict=True):
        yield _Change(rows.slice(start, end - start), part)
        start = end


def _commit(lake: Lake, table: Table, change: _Change) -> WriteResult:
    return committed(table, lambda: _tried(lake, table, change))


def _tried(lake: Lake, table: Table, change: _Change) -> WriteResult:
    with lake.errors(table), lost_races():
        return _written(table, prepared(lake, table), change)


@contextmanager
def lost_races() -> Iterator[None]:
    """A commit that lost against another writer's, told from a storage that failed during the commit.

    Raises:
        LostRace: nothing was written; try again on the newest version.
    """
    try:
        yield
    except CommitFailedError as error:
        if any(sign in str(error) for sign in _SIGNS_OF_A_RACE):
            raise LostRace(str(error)) from None
        raise


def _written(table: Table, delta: DeltaTable, change: _Change) -> WriteResult:
    """Commit on the version that was read: delta-rs refuses if the folder changed since."""
    rows, write_id = _with_rest(table, delta, change), uuid4().hex
    write_deltalake(
        delta,
        _stored(table, rows, change),
        mode="overwrite",
        predicate=_predicate(table, change),
        commit_properties=CommitProperties(max_commit_retries=50, custom_metadata={_WRITE_ID: write_id}),
        writer_properties=PROPERTIES,
    )
    _reconcile(table, delta, rows, write_id)
    return WriteResult(rows=change.rows.num_rows, bytes=change.rows.nbytes, version=delta.version())


def _with_rest(table: Table, delta: DeltaTable, change: _Change) -> pa.Table:
    """The change and what else its month holds, since a month is one file."""
    if table.layout is not Layout.MONTH or change.window is None or change.is_whole_month:
        return change.rows
    date = ds.field(str(table.partition_column))
    month = delta.to_pyarrow_dataset(file_pruning_predicate=[(MONTH_COLUMN, "=", change.month)])
    rest = month.to_table(columns=table.column_names, filter=(date < change.window.first) | (date > change.window.last))
    return pa.concat_tables([rest.cast(table.schema), change.rows]) if rest.num_rows else change.rows


def _stored(table: Table, rows: pa.Table, change: _Change) -> pa.RecordBatchReader:
    """The rows as they lie in the file, with the column that names the folder."""
    schema = physical_schema(table)
    folder = [change.month] if table.layout is Layout.MONTH else []

    def batches() -> Iterator[pa.RecordBatch]:
        for piece in in_order(rows, table.sort_by):
            columns = [*piece.columns, *(pa.repeat(name, piece.num_rows) for name in folder)]
            yield from pa.Table.from_arrays(columns, schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _predicate(table: Table, change: _Change) -> str:
    if change.window is None:
        return EVERY_ROW
    if table.layout is Layout.MONTH:
        return f"{MONTH_COLUMN} = '{change.month}'"
    return f"{table.partition_column} = CAST('{change.window.first}' AS DATE)"


def _reconcile(table: Table, delta: DeltaTable, rows: pa.Table, write_id: str) -> None:
    """Rows handed over = rows committed, by the metrics of this very commit."""
    commits = delta.history(1)  # the commit that was just made, and any that came after it
    added = next((c["operationMetrics"]["num_added_rows"] for c in commits if c.get(_WRITE_ID) == write_id), None)
    if added is None:
        raise TransientFailure(f"{table.path}: the commit that was just made is not in the table's recent history.")
    if int(added) != rows.num_rows:
        raise TransientFailure(f"{table.path}: {rows.num_rows} rows were handed over, {added} were committed.")
