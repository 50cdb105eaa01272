"""One folder's rows, which come sorted, as one file written by Arrow in memory that does not grow with their number.

delta-rs only commits the file: its own writer holds more the longer a file gets (docs/decisions/0007).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction
from pyarrow.fs import FileSystem, PyFileSystem

from retail_assets.engines.writing.committing import LostRace
from retail_assets.engines.writing.file_statistics import statistics_json
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table

GROUP_ROWS = 131_072
"""Groups of this size let a read of one series skip most of a month (docs/decisions/0006-physical-layout.md)."""


@dataclass(frozen=True)
class Folder:
    """One physical partition of a table, such as column month with value 2024-01."""

    column: str
    value: str

    @property
    def path(self) -> str:
        return f"{self.column}={self.value}"

    def files(self, delta: DeltaTable) -> set[str]:
        return set(delta.file_uris(file_pruning_predicate=[(self.column, "=", self.value)]))


@dataclass(frozen=True)
class SortedFile:
    """A file of a table's folder that was written and is not committed yet."""

    table: Table
    folder: Folder
    path: str
    bytes: int
    footer: pq.FileMetaData

    @property
    def row_count(self) -> int:
        return self.footer.num_rows

    def commit(self, lake: Lake, delta: DeltaTable, *, metadata: Mapping[str, str]) -> int:
        """Put the file in the place of all others of its folder, on the version that was read; gives the new version.

        delta-rs lets any other commit pass between reading and this one, so only the very next version is taken; where
        others committed to other folders alone the file still holds what it should and is committed on theirs.

        Raises:
            LostRace: somebody changed the folder or the table; nothing was committed.
        """
        read = delta
        while True:
            try:
                self._commit_on(delta, metadata)
                return delta.version()
            except CommitFailedError:
                newest = lake.require(self.table)
                if newest.version() == delta.version():
                    raise
                if (version := _committed(newest, metadata, since=read.version())) is not None:
                    return version  # only the answer was lost, whoever replaced the file since
                if self._is_changed(read, newest):
                    _removed(_files(lake, self.table), self.path)
                    raise LostRace(f"{self.table.path}: {self.folder.path} was changed") from None
                delta = newest

    def _commit_on(self, delta: DeltaTable, metadata: Mapping[str, str]) -> None:
        delta.create_write_transaction(
            [self._added()] if self.row_count else [],
            "overwrite",
            delta.schema(),
            [self.folder.column],
            [(self.folder.column, "=", self.folder.value)],
            commit_properties=CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0),
        )

    def _is_changed(self, read: DeltaTable, newest: DeltaTable) -> bool:
        return self.folder.files(read) != self.folder.files(newest) or read.schema() != newest.schema()

    def _added(self) -> AddAction:
        return AddAction(
            path=self.path,
            size=self.bytes,
            partition_values={self.folder.column: self.folder.value},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=statistics_json(self.footer),
        )


def _committed(newest: DeltaTable, metadata: Mapping[str, str], *, since: int) -> int | None:
    """The version whose commit carries the metadata, of those after `since`."""
    for commit in newest.history(newest.version() - since):
        if metadata.items() <= commit.items():
            return int(commit["version"])
    return None


def written_file(lake: Lake, table: Table, folder: Folder, batches: Iterator[pa.RecordBatch]) -> SortedFile:
    """Write a folder's rows, in the order they come, as a file that no version of the table knows yet."""
    files = _files(lake, table)
    path = f"{folder.path}/part-00000-{uuid4()}-c000.zstd.parquet"
    try:
        _write(files, path, table, folder, batches)
        with files.open_input_file(path) as stored:
            return SortedFile(table, folder, path, stored.size(), pq.read_metadata(stored))
    except BaseException:
        _removed(files, path)
        raise


def _files(lake: Lake, table: Table) -> FileSystem:
    return PyFileSystem(DeltaStorageHandler(lake.table_uri(table), lake.storage_options))


def _write(files: FileSystem, path: str, table: Table, folder: Folder, batches: Iterator[pa.RecordBatch]) -> None:
    """The folder's column is in its name and not in the file."""
    kept = [name for name in table.column_names if name != folder.column]
    schema = pa.schema([table.schema.field(name) for name in kept])
    with (
        files.open_output_stream(path) as sink,
        pq.ParquetWriter(
            sink, schema, compression="zstd", store_decimal_as_integer=True, write_page_index=True
        ) as writer,
    ):
        for group in _groups(batches):
            writer.write_table(group.select(kept).cast(schema), row_group_size=GROUP_ROWS)
            del group  # before the next one is gathered


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in tables of a row group each: Arrow begins a new one with every table it is given."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        missing = GROUP_ROWS - sum(piece.num_rows for piece in waiting)
        waiting.append(batch.slice(0, missing))
        if batch.num_rows >= missing:
            group, waiting = pa.Table.from_batches(waiting), []
            yield group
            del group
            waiting = [batch.slice(missing)]
    if any(piece.num_rows for piece in waiting):
        yield pa.Table.from_batches(waiting)


def _removed(files: FileSystem, path: str) -> None:
    """As well as it goes: what stays no version knows, and the maintenance takes it away."""
    try:
        files.delete_file(path)
    except OSError:
        return
