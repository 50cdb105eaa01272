# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Writing Delta tables with delta-rs: create from the contract, validate, replace exactly one window.

There is no write without a predicate on a partitioned table; that is what loses other days. A month stays one
sorted file: writing part of it rewrites it, in memory where its rows are few, else through temporary files.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.engines.writing.committing import LostRace, committed
from retail_assets.engines.writing.evolution import evolved, physical_columns, physical_schema
from retail_assets.engines.writing.sorted_file import GROUP_ROWS, Folder, written_file
from retail_assets.engines.writing.sorter import Sorter
from retail_assets.engines.writing.sorting import in_order
from retail_assets.engines.writing.spool import PIECE_ROWS, Spool, received
from retail_assets.failures import TransientFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, ContractViolation, Layout, Table
from retail_assets.tables.validation import conform, refuse_whole, refuse_window
from retail_assets.windows import ONE_DAY, Window

PROPERTIES = WriterProperties(compression="ZSTD", max_row_group_size=GROUP_ROWS)

EVERY_ROW = "true"
"""Without a predicate delta-rs takes a first overwrite for an append, and two of them stay beside each other."""
_MANY_IN_MEMORY = 1_000_000
"""Rows of a month that are merged and sorted in memory when the change is there already: about 400 MB."""
_USUAL_ROW_BYTES = 128
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


def overwrite_window(
    lake: Lake, table: Table, frame: Frame, window: Window, *, folder: Path | None = None
) -> WriteResult:
    """Replace the rows of `window` by the frame, in one commit for each folder of the table.

    Args:
        folder: for temporary files, so that neither a reader's rows nor a month need fit into memory; without it they
            must.

    Raises:
        ContractViolation: the frame breaks the contract or has rows outside the window; nothing is written.
        TransientFailure: other writers kept winning, or the storage failed.
        PermanentFailure: the storage refuses, or the folder for temporary files.
    """
    refuse_window(table)
    with _checked(table, frame, window, folder) as rows:
        results = [_commit(lake, table, change, folder) for change in _changes(table, rows, window)]
    return of_all(results)


def of_all(results: Sequence[WriteResult]) -> WriteResult:
    """Several commits of one table as one, at the version of the last."""
    return replace(results[-1], rows=sum(r.rows for r in results), bytes=sum(r.bytes for r in results))


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

    rows: pa.Table | Spool
    window: Window | None = None

    @property
    def count(self) -> int:
        return self.rows.count(self.days) if isinstance(self.rows, Spool) else self.rows.num_rows

    @property
    def bytes(self) -> int:
        return self.rows.size(self.days) if isinstance(self.rows, Spool) else self.rows.nbytes

    def bytes_of(self, count: int) -> int:
        """Of so many rows as wide as these, or of a usual width."""
        return count * max(_USUAL_ROW_BYTES, self.bytes // max(self.count, 1))

    @property
    def table(self) -> pa.Table:
        return pa.Table.from_batches(self.batches()) if isinstance(self.rows, Spool) else self.rows

    @property
    def month(self) -> str:
        return f"{self.window.first:%Y-%m}" if self.window else ""

    @property
    def is_whole_month(self) -> bool:
        return self.window is not None and self.window.first.day == (self.window.last + ONE_DAY).day == 1

    def batches(self) -> Iterator[pa.RecordBatch]:
        if isinstance(self.rows, Spool):
            return self.rows.batches(self.days)
        return iter(self.rows.to_batches(max_chunksize=PIECE_ROWS))

    @property
    def days(self) -> Window:
        if self.window is None:
            raise ValueError("only rows of a window wait in a spool")
        return self.window


def _checked(
    table: Table, frame: Frame, window: Window, folder: Path | None
) -> AbstractContextManager[pa.Table | Spool]:
    def check(rows: pa.Table) -> pa.Table:
        rows = conform(table, rows)
        _refuse_outside(table, rows, window)
        return rows

    if folder is not None and isinstance(frame, pa.RecordBatchReader):
        return received(table, frame, check, folder)
    return nullcontext(check(as_arrow(frame)))


def _refuse_outside(table: Table, rows: pa.Table, window: Window) -> None:
    dates = rows.column(str(table.partition_column))
    outside = pc.sum(pc.or_(pc.less(dates, window.first), pc.greater(dates, window.last))).as_py() or 0
    if outside:
        raise ContractViolation(f"{table.path}: {outside} rows have a {table.partition_column} outside {window}.")


def _changes(table: Table, rows: pa.Table | Spool, window: Window) -> Iterator[_Change]:
    """The rows folder by folder; each is a slice of the rows by date."""
    parts = window.by_day() if table.layout is Layout.DAY else window.by_month()
    if len(parts) == 1 or isinstance(rows, Spool):
        yield from (_Change(rows, part) for part in parts)
        return
    column = str(table.partition_column)
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(column, "ascending")]))
    dates = rows.column(column).to_numpy()
    ends = np.searchsorted(dates, np.array([part.last for part in parts], dtype=dates.dtype), side="right")
    start = 0
    for part, end in zip(parts, ends.tolist(), strict=True):
        yield _Change(rows.slice(start, end - start), part)
        start = end


def _commit(lake: Lake, table: Table, change: _Change, folder: Path | None = None) -> WriteResult:
    return committed(table, lambda: _tried(lake, table, change, folder))


def _tried(lake: Lake, table: Table, change: _Change, folder: Path | None) -> WriteResult:
    with lake.errors(table), lost_races():
        delta = prepared(lake, table)
        if folder is None:
            return _written(table, delta, change)
        count = change.count + _rest_count(table, delta, change)
        if isinstance(change.rows, Spool) or count >= _MANY_IN_MEMORY:
            return _written_through_files(
                lake, table, delta, change, Sorter(table, folder, bytes=change.bytes_of(count))
            )
        return _written(table, delta, change)


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
    return WriteResult(rows=change.count, bytes=change.bytes, version=delta.version(), delta=delta)


def _written_through_files(lake: Lake, table: Table, delta: DeltaTable, change: _Change, sorter: Sorter) -> WriteResult:
    """As `_written`, with no more than some pieces of the folder in memory."""
    rest_count = 0

    def rows() -> Iterator[pa.RecordBatch]:
        nonlocal rest_count
        rest_count = 0  # they may be gone through more than once
        for batch in _rest_batches(table, delta, change):
            rest_count += batch.num_rows
            yield batch
        yield from change.batches()

    file = written_file(lake, table, _folder(table, change), sorter.batches(rows))
    _refuse_other_count(table, rest_count + change.count, file.row_count)
    version = file.commit(lake, delta, metadata={_WRITE_ID: uuid4().hex})
    held = delta if delta.version() == version else None
    return WriteResult(rows=change.count, bytes=change.bytes, version=version, delta=held)


def _with_rest(table: Table, delta: DeltaTable, change: _Change) -> pa.Table:
    """The change and what else its month holds, since a month is one file."""
    rows = change.table
    found = _rest(table, delta, change)
    if found is None:
        return rows
    rest = found[0].to_table(columns=table.column_names, filter=found[1])
    return pa.concat_tables([rest.cast(table.schema), rows]) if rest.num_rows else rows


def _rest(table: Table, delta: DeltaTable, change: _Change) -> tuple[ds.Dataset, pc.Expression] | None:
    """What else the change's month holds, as files and condition; None where the change is all of its folder."""
    if table.layout is not Layout.MONTH or change.window is None or change.is_whole_month:
        return None
    date = ds.field(str(table.partition_column))
    month = delta.to_pyarrow_dataset(file_pruning_predicate=[(MONTH_COLUMN, "=", change.month)])
    return month, (date < change.window.first) | (date > change.window.last)


def _rest_batches(table: Table, delta: DeltaTable, change: _Change) -> Iterator[pa.RecordBatch]:
    found = _rest(table, delta, change)
    if found is not None:
        scanner = found[0].scanner(
            columns=table.column_names,
            filter=found[1],
            batch_size=PIECE_ROWS,
            batch_readahead=0,  # by default 16, and 4 files at once
            fragment_readahead=0,
            use_threads=False,
            fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True),
        )
        yield from (batch.cast(table.schema) for batch in scanner.to_batches())


def _rest_count(table: Table, delta: DeltaTable, change: _Change) -> int:
    """Rows of the files that part of a month is merged with, as the log says; those of the change's days too."""
    if table.layout is not Layout.MONTH or change.window is None or change.is_whole_month:
        return 0
    files = pa.table(delta.get_add_actions(flatten=True))
    in_month = files.filter(pc.equal(files.column(f"partition.{MONTH_COLUMN}"), change.month))
    return pc.sum(in_month.column("num_records")).as_py() or 0


def _stored(table: Table, rows: pa.Table, change: _Change) -> pa.RecordBatchReader:
    """The rows as they lie in the file, with the column that names the folder."""
    schema = physical_schema(table)
    folder = [change.month] if table.layout is Layout.MONTH else []

    def batches() -> Iterator[pa.RecordBatch]:
        for piece in in_order(rows, table.sort_by):
            columns = [*piece.columns, *(pa.repeat(name, piece.num_rows) for name in folder)]
            yield from pa.Table.from_arrays(columns, schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _folder(table: Table, change: _Change) -> Folder:
    if table.layout is Layout.MONTH:
        return Folder(MONTH_COLUMN, change.month)
    return Folder(str(table.partition_column), str(change.days.first))


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
    _refuse_other_count(table, rows.num_rows, int(added))


def _refuse_other_count(table: Table, handed_over: int, written: int) -> None:
    if written != handed_over:
        raise TransientFailure(f"{table.path}: {handed_over} rows were handed over, {written} were committed.")
