"""One folder's rows as one sorted file, in memory that does not grow with their number: DuckDB sorts, Arrow writes.

delta-rs only commits the file: its own writer holds more the longer a file gets (docs/decisions/0007).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction
from pyarrow.fs import FileSystem, PyFileSystem

from retail_assets.engines.committing import LostRace
from retail_assets.engines.file_statistics import statistics_json
from retail_assets.engines.spool import PIECE_ROWS
from retail_assets.failures import PermanentFailure, first_line
from retail_assets.resources.lake import Lake
from retail_assets.tables.contract import Table

GROUP_ROWS = 131_072
"""Groups of this size let a read of one series skip most of a month (docs/decisions/0006-physical-layout.md)."""

_LEAST_SORT_MB, _SORT_MB_A_ROOT = 64, 2.2
"""More memory sorts no faster: what does not fit goes to the system's page cache and comes back from there. Runs that
are merged need a block each, so the least that suffices grows with the square root of the rows' bytes: 40 million sale
lines, 5 GB, fail with 128 MB."""
_NUMBER = "retail_row_number"


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


class Sorter:
    """Sorts rows of a table's contract out of core.

    Args:
        folder: where DuckDB puts what does not fit into memory.
        bytes: about how large the rows are in Arrow.
    """

    def __init__(self, table: Table, folder: Path, *, bytes: int) -> None:
        self._table, self._folder = table, folder
        self._memory_mb = max(_LEAST_SORT_MB, round(_SORT_MB_A_ROOT * sqrt(bytes / 2**20)))
        self._error: Exception | None = None

    def batches(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows ascending by the table's order, missing values last, equal rows as they came.

        Raises:
            PermanentFailure: memory or the temporary folder does not suffice.
        """
        schema = self._table.schema.append(pa.field(_NUMBER, pa.int64()))
        source = pa.RecordBatchReader.from_batches(schema, self._numbered(rows, schema))
        order = ", ".join(f'"{name}" NULLS LAST' for name in (*self._table.sort_by, _NUMBER))
        columns = ", ".join(f'"{name}"' for name in self._table.column_names)
        try:
            with closing(self._connected()) as connection:
                connection.register("given", source)
                query = connection.sql(f"SELECT {columns} FROM given ORDER BY {order}")
                yield from query.to_arrow_reader(PIECE_ROWS)
        except (duckdb.Error, OSError) as error:  # the second is what DuckDB's stream of batches raises
            raise self._error or self._failure(error) from None

    def _connected(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={"memory_limit": f"{self._memory_mb}MB", "temp_directory": str(self._folder), "threads": 1}
        )
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET streaming_buffer_size = '1MB'")
        return connection

    def _numbered(self, rows: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Runs inside DuckDB, which would turn what is raised here into an error of its own."""
        start = 0
        try:
            for batch in rows:
                numbers = pa.array(np.arange(start, start + batch.num_rows))
                yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)
                start += batch.num_rows
        except Exception as error:
            self._error = error
            raise

    def _failure(self, error: Exception) -> PermanentFailure:
        if "Out of Memory" in str(error):
            return PermanentFailure(
                f"{self._table.path}: {self._memory_mb} MB do not suffice to sort its rows; write fewer days at once."
            )
        return PermanentFailure(
            f"{self._table.path}: its rows cannot be sorted in {self._folder} ({first_line(error)}); "
            "free space there or set RETAIL_HOME."
        )


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
