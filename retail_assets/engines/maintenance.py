"""Keeping Delta tables small and quick with delta-rs: expiry, compaction, vacuum, checkpoint, log clean-up.

Every change is committed against the version that was read: where a writer was quicker, the writer wins, nothing
is lost, and the folder waits for the next time. No row changes; only expiry takes rows out.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector, FileSystem, FileType, PyFileSystem

from retail_assets.engines.writing.delta import PROPERTIES
from retail_assets.engines.writing.evolution import physical_columns
from retail_assets.engines.writing.sorting import in_order
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Layout, Table
from retail_assets.tables.operations import LAKE_MAINTENANCE

TARGET_FILE_BYTES = 128 * 2**20
"""A folder with more than one file below this size is rewritten."""
_ONE_FILE = 2**40
_MAINTENANCE_ID = "retail_maintenance_id"
_RECENT_COMMITS = 10
"""Counted back from the version in hand; delta-rs lists all newer ones too, under wrong version numbers."""
_RACES = 20
_SUNDAY = 7
_COUNTED = [
    name
    for name in LAKE_MAINTENANCE.column_names
    if name.startswith(("expired_", "compacted_", "skipped_", "vacuumed_"))
]

Figures = dict[str, Any]
Done = TypeVar("Done")


@dataclass(frozen=True)
class Retention:
    """How far back tables can be read.

    Files stay for so many days after no newer version needs them; a week is the least delta-rs and Spark allow, so
    that no reader or writer of a long run loses its files. The log reaches back twice as far, because the version
    in force on the first of these days was written before it.
    """

    history_days: int

    @property
    def table_properties(self) -> dict[str, str]:
        return {
            "delta.deletedFileRetentionDuration": f"interval {self.history_days} days",
            "delta.logRetentionDuration": f"interval {2 * self.history_days} days",
            # else a checkpoint on the first commit after a long pause takes away the version in force until then
            "delta.enableExpiredLogCleanup": "false",
        }


def maintain(lake: Lake, tables: Iterable[Table], retention: Retention) -> pa.Table:
    """Maintain the tables that exist, one after the other; rows of operations/lake_maintenance.

    A table that fails says so in its row and does not stop the others.
    """
    rows = [row for table in tables if (row := maintain_table(lake, table, retention)) is not None]
    return pa.Table.from_pylist(rows, schema=LAKE_MAINTENANCE.schema)


def maintain_table(lake: Lake, table: Table, retention: Retention) -> Figures | None:
    """Figures of one table, None where it was never written. Never raises an ordinary exception."""
    started = time.monotonic()
    figures: Figures = {"table_path": table.path, "maintained_at": datetime.now(UTC), **dict.fromkeys(_COUNTED, 0)}
    try:
        with lake.errors(table):
            delta = lake.open(table)
            if delta is None:
                return None
            for figures_of_step in _steps(lake, delta, table, retention):
                for name, value in figures_of_step.items():
                    figures[name] = figures[name] + value if name in _COUNTED else value
    except RetailError as error:
        figures["problem"] = str(error)
    except Exception as error:  # no fault of one table stops the others
        figures["problem"] = f"{table.path}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return figures | {"seconds": round(time.monotonic() - started, 3)}


def expired_dates(dates: Iterable[date], keep_days: int) -> list[date]:
    """Dates more than `keep_days` before the newest, less Sundays: daily as-ofs become weekly ones.

    >>> expired_dates([date(2024, 1, 6), date(2024, 1, 7), date(2024, 1, 8), date(2024, 1, 31)], keep_days=20)
    [datetime.date(2024, 1, 6), datetime.date(2024, 1, 8)]
    """
    known = sorted(set(dates))
    return [day for day in known if (known[-1] - day).days > keep_days and day.isoweekday() != _SUNDAY]


def _steps(lake: Lake, delta: DeltaTable, table: Table, retention: Retention) -> Iterator[Figures]:
    yield {f"{name}_before": value for name, value in _size(delta).items()}
    _repeated(delta, lambda: _set_properties(delta, retention))
    yield _expired(delta, table)
    yield from _compacted(delta, table)
    yield _repeated(delta, lambda: _vacuumed(delta, retention))
    yield _checkpointed(lake, delta, retention)
    yield {f"{name}_after": value for name, value in _size(delta).items()}
    yield {"delta_version": delta.version(), "row_count": delta.count()}


def _size(delta: DeltaTable) -> Figures:
    sizes = pa.table(delta.get_add_actions()).column("size_bytes").to_pylist()
    return {"files": len(sizes), "bytes": sum(sizes)}


def _repeated(delta: DeltaTable, change: Callable[[], Done]) -> Done:
    """A change of the log alone, which delta-rs refuses while others commit too, until it is quicker than they."""
    for attempt in range(_RACES):
        try:
            return change()
        except CommitFailedError:
            time.sleep(random.uniform(0, min(2.0, 0.02 * 2**attempt)))
            delta.update_incremental()
    return change()


def _set_properties(delta: DeltaTable, retention: Retention) -> None:
    """The retention stands in the table itself, so that every other writer and Spark's VACUUM keep it too."""
    if not retention.table_properties.items() <= delta.metadata().configuration.items():
        delta.alter.set_table_properties(retention.table_properties)


@dataclass(frozen=True)
class _Folder:
    """A physical partition: its column and value (None for a whole table), its files and rows in one version."""

    name: str
    column: str
    sizes: tuple[int, ...]
    row_count: int

    @property
    def is_fragmented(self) -> bool:
        return sum(size < TARGET_FILE_BYTES for size in self.sizes) > 1


def _folders(delta: DeltaTable, table: Table) -> dict[Any, _Folder]:
    """Folders of the version in hand by value of their column; None for a whole table."""
    column = next(iter(physical_columns(table)), "")
    grouped: dict[Any, list[Figures]] = defaultdict(list)
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        grouped[file[f"partition.{column}"] if column else None].append(file)
    return {
        value: _Folder(
            name=table.path if value is None else f"{table.path}/{column}={value}",
            column=column,
            sizes=tuple(file["size_bytes"] for file in files),
            row_count=sum(file["num_records"] or 0 for file in files),
        )
        for value, files in grouped.items()
    }


def _expired(delta: DeltaTable, table: Table) -> Figures:
    """Whole folders leave in one commit, without reading a row."""
    if table.retention_days is None:
        return {}
    if table.layout is not Layout.DAY:
        raise PermanentFailure(f"{table.path} keeps {table.retention_days} days, but is not laid out by day.")
    folders = _folders(delta, table)
    dates = expired_dates(folders, table.retention_days)
    if not dates:
        return {}
    try:
        delta.delete(f"{table.partition_column} IN ({', '.join(repr(str(day)) for day in dates)})")
    except CommitFailedError:
        delta.update_incremental()
        return {"skipped_partitions": len(dates)}
    return {"expired_partitions": len(dates), "expired_rows": sum(folders[day].row_count for day in dates)}


def _compacted(delta: DeltaTable, table: Table) -> Iterator[Figures]:
    for value in sorted(value for value, folder in _folders(delta, table).items() if folder.is_fragmented):
        # looked at anew, because the commit of the folder before took in what others had committed
        folder = _folders(delta, table).get(value)
        if folder is None or not folder.is_fragmented:
            continue
        try:
            _rewrite(delta, table, folder, predicate=f"{folder.column} = '{value}'" if folder.column else None)
            yield {"compacted_partitions": 1}
        except CommitFailedError:
            delta.update_incremental()
            yield {"skipped_partitions": 1}


def _rewrite(delta: DeltaTable, table: Table, folder: _Folder, *, predicate: str | None) -> None:
    """The folder's rows as one sorted file, read and committed against the same version.

    delta-rs's own compaction keeps the order of rows inside a file only, and sorted files are why one series reads
    quickly.

    Raises:
        CommitFailedError: a writer changed the folder meanwhile.
        PermanentFailure: the log, the files and the new file do not count the same rows.
    """
    version = delta.version()
    rows = delta.to_pyarrow_dataset(file_pruning_predicate=predicate).to_table()
    if rows.num_rows != folder.row_count:
        raise PermanentFailure(
            f"{folder.name}: the log counts {folder.row_count} rows, the files hold {rows.num_rows}; they were left as "
            "they are, materialise these partitions again."
        )
    written = uuid4().hex
    write_deltalake(
        delta,
        _sorted(rows, table),
        mode="overwrite",
        predicate=predicate,
        target_file_size=_ONE_FILE,
        commit_properties=CommitProperties(max_commit_retries=50, custom_metadata={_MAINTENANCE_ID: written}),
        writer_properties=PROPERTIES,
    )
    [commit] = [c for c in delta.history(_RECENT_COMMITS) if c.get(_MAINTENANCE_ID) == written]
    added = int(commit["operationMetrics"]["num_added_rows"])
    if added != folder.row_count:
        raise PermanentFailure(
            f"{folder.name}: of {folder.row_count} rows {added} were written; restore version {version} and report it."
        )


def _sorted(rows: pa.Table, table: Table) -> pa.RecordBatchReader:
    pieces = in_order(rows, table.sort_by)
    return pa.RecordBatchReader.from_batches(rows.schema, (batch for piece in pieces for batch in piece.to_batches()))


def _vacuumed(delta: DeltaTable, retention: Retention) -> Figures:
    """Files that versions older than the history need, and files of writers that died before their commit."""
    hours = int(timedelta(days=retention.history_days).total_seconds() // 3600)
    if not delta.vacuum(hours, dry_run=True, full=True):
        return {}  # a vacuum commits to the log even when it finds nothing
    removed = delta.vacuum(hours, dry_run=False, full=True)
    begun = next(commit for commit in delta.history(_RECENT_COMMITS) if commit["operation"] == "VACUUM START")
    return {"vacuumed_files": len(removed), "vacuumed_bytes": begun["operationMetrics"]["sizeOfDataToDelete"]}


def _checkpointed(lake: Lake, delta: DeltaTable, retention: Retention) -> Figures:
    delta.update_incremental()
    delta.create_checkpoint()  # does nothing where this version has one
    if _log_may_be_cut(delta, retention):
        delta.cleanup_metadata()
    files = PyFileSystem(DeltaStorageHandler(delta.table_uri, lake.storage_options))
    log = files.get_file_info(FileSelector("_delta_log"))
    return {
        "checkpoint_version": _checkpoint_version(files),
        "log_files": sum(info.type is FileType.File for info in log),
    }


def _log_may_be_cut(delta: DeltaTable, retention: Retention) -> bool:
    """Whether the version in force when the history began is younger than what the clean-up leaves.

    After a long pause it is older: the clean-up would take it away, although it was the newest until today.
    """
    began = datetime.now(UTC) - timedelta(days=retention.history_days)
    made = (datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) for commit in delta.history())
    in_force = max((moment for moment in made if moment <= began), default=None)
    return in_force is not None and in_force > began - timedelta(days=retention.history_days)


def _checkpoint_version(files: FileSystem) -> int | None:
    pointer = "_delta_log/_last_checkpoint"
    if files.get_file_info(pointer).type is not FileType.File:
        return None
    with files.open_input_file(pointer) as file:
        return int(json.loads(file.read())["version"])
