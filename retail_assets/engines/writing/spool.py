# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Rows on their way into a table: few of them stay in memory, many wait in a file that may be read again."""

import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.engines import temporary
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
        with temporary.writing(self._folder):
            folder = temporary.prepared(self._folder)
            file = tempfile.NamedTemporaryFile(prefix=temporary.prefix("rows"), dir=folder)  # noqa: SIM115
        with file:
            self._path = file.name
            with self._writer() as writer:
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

    @contextmanager
    def _writer(self) -> Iterator[pa.RecordBatchStreamWriter]:
        """Closing writes too; what the pieces raise is not an error of the folder."""
        with ExitStack() as closing:
            with temporary.writing(self._folder):
                sink = closing.enter_context(pa.OSFile(self._path, "wb"))
                writer = pa.ipc.new_stream(sink, self._schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
            yield writer
            with temporary.writing(self._folder):
                writer.close()
                closing.close()

    def _add(self, writer: pa.RecordBatchStreamWriter, piece: pa.Table) -> None:
        with temporary.writing(self._folder):
            writer.write_table(piece, max_chunksize=PIECE_ROWS)
        for found in pc.value_counts(piece.column(self._date_column)).to_pylist():
            self._counts[found["values"]] += found["counts"]
        self._bytes += piece.nbytes

    def _within(self, batch: pa.RecordBatch, window: Window) -> pa.BooleanArray:
        dates = batch.column(self._date_column)
        return pc.and_(pc.greater_equal(dates, window.first), pc.less_equal(dates, window.last))


@contextmanager
def received(
    table: Table, reader: pa.RecordBatchReader, check: Callable[[pa.Table], pa.Table], folder: Path
) -> Iterator[pa.Table | Spool]:
    """The reader's rows, each batch checked as it comes: a table where they are few, else a spool.

    An error of the reader or the check passes through, and no file is left behind.
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
