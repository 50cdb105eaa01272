# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Rows on their way into a table: few of them stay in memory, many wait in a file that may be read again."""

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.failures import PermanentFailure
from retail_assets.tables.contract import Table
from retail_assets.windows import Window

MANY_ROWS = 65_536
"""From here on rows take the way through files, which is then as fast: 400,000 sale lines 0.8 s with 220 MB, in memory
1.0 s with 340 MB."""

PIECE_ROWS = 8_192
"""Rows read from a spool, or handed out by DuckDB, at once: 131,072 are no faster and hold 80 MB more."""


class Spool:
    """Checked rows in a temporary file, and how many there are of each date."""

    def __init__(self, table: Table, folder: Path) -> None:
        self._schema, self._date_column = table.schema, str(table.partition_column)
        self._folder = folder
        self._counts: Counter[date] = Counter()
        self._bytes = 0

    @contextmanager
    def filled(self, pieces: Iterable[pa.Table]) -> Iterator["Spool"]:
        """The spool with the pieces; its file goes with the context.

        Raises:
            PermanentFailure: the folder cannot be written.
        """
        with self._told():
            self._folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.NamedTemporaryFile(prefix="retail-", suffix=".arrow", dir=self._folder)  # noqa: SIM115
        with file:
            self._path = file.name
            with pa.OSFile(self._path, "wb") as sink, self._writer(sink) as writer:
                for piece in pieces:
                    self._add(writer, piece)
            yield self

    def count(self, window: Window) -> int:
        return sum(count for day, count in self._counts.items() if day in window)

    def size(self, window: Window) -> int:
        """Bytes in memory of the window's share of the rows."""
        return self._bytes * self.count(window) // max(self._counts.total(), 1)

    def batches(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows as they came, in small batches."""
        is_all = all(day in window for day in self._counts)
        with pa.OSFile(self._path, "rb") as source, pa.ipc.open_stream(source) as stored:
            for batch in stored:
                yield batch if is_all else batch.filter(self._within(batch, window))

    def _writer(self, sink: pa.OSFile) -> pa.RecordBatchStreamWriter:
        return pa.ipc.new_stream(sink, self._schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def _add(self, writer: pa.RecordBatchStreamWriter, piece: pa.Table) -> None:
        with self._told():
            writer.write_table(piece, max_chunksize=PIECE_ROWS)
        for found in pc.value_counts(piece.column(self._date_column)).to_pylist():
            self._counts[found["values"]] += found["counts"]
        self._bytes += piece.nbytes

    def _within(self, batch: pa.RecordBatch, window: Window) -> pa.BooleanArray:
        dates = batch.column(self._date_column)
        return pc.and_(pc.greater_equal(dates, window.first), pc.less_equal(dates, window.last))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PermanentFailure(
                f"The folder for temporary files {self._folder} cannot be written ({error.strerror or error}); "
                "free space there or set RETAIL_HOME."
            ) from None


@contextmanager
def received(
    table: Table, reader: pa.RecordBatchReader, check: Callable[[pa.Table], pa.Table], folder: Path
) -> Iterator[pa.Table | Spool]:
    """The reader's rows, each batch checked as it comes: a table where they are few, else a spool.

    Whatever the reader or the check raises passes through, and nothing is left behind.
    """
    few = deque([check(reader.schema.empty_table())])  # an empty reader keeps the contract too
    checked = (check(pa.Table.from_batches([batch])) for batch in reader)
    count = 0
    for piece in checked:
        few.append(piece)
        count += piece.num_rows
        if count >= MANY_ROWS:
            break
    else:
        yield pa.concat_tables(few)
        return
    with Spool(table, folder).filled(_emptied(few, checked)) as spool:
        pa.default_memory_pool().release_unused()
        yield spool


def _emptied(held: deque[pa.Table], rest: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """What is held, let go of piece by piece, then the rest."""
    while held:
        yield held.popleft()
    yield from rest
