"""A frame on its way into a warehouse: in the contract's columns and types, inside its window, counted.

Rows flow in pieces, so that the memory of a load does not grow with the table.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.failures import PermanentFailure
from retail_assets.tables.contract import ContractViolation, Table
from retail_assets.tables.validation import conform
from retail_assets.windows import Window

_BEYOND_PLANE_0 = r"[\x{10000}-\x{10FFFF}]"
CHUNK_ROWS = 122_880
"""Row group of DuckDB; pieces are joined up to it, because every insert costs a fixed time."""


class CheckedRows:
    """The rows of one load, read once.

    `count` grows while they are read; `staged_in` names the table of the database they wait in, if any.
    """

    def __init__(self, table: Table, frame: pa.Table | pa.RecordBatchReader, *, window: Window | None) -> None:
        """
        Raises:
            PermanentFailure: columns or types break the contract.
        """
        if window is not None and table.partition_column is None:
            raise ValueError(f"{table.path} is not partitioned: it can only be loaded whole, with window None")
        self.count = 0
        self.staged_in: str | None = None
        self._table = table
        self._window = window
        self._frame = frame
        self._conformed(frame.schema.empty_table())  # a frame without rows must not pass with wrong columns

    def chunks(self) -> Iterator[pa.Table]:
        """Pieces of at least CHUNK_ROWS rows, the last one excepted.

        Raises:
            PermanentFailure: a value breaks the contract, or a date lies outside the window.
        """
        for chunk in _joined(self._frame):
            checked = self._conformed(chunk)
            self._check_window(checked)
            self.count += checked.num_rows
            yield checked

    def bounded_chunks(self) -> Iterator[pa.Table]:
        """The same pieces for a database whose texts have lengths: it would cut a longer one, or refuse it unclearly.

        Raises:
            PermanentFailure: as `chunks`, or a text is longer than its column.
        """
        for chunk in self.chunks():
            check_lengths(self._table, chunk)
            yield chunk

    def _conformed(self, chunk: pa.Table) -> pa.Table:
        try:
            return conform(self._table, chunk)
        except ContractViolation as violation:
            raise PermanentFailure(f"The warehouse cannot take the frame: {violation}") from None

    def _check_window(self, chunk: pa.Table) -> None:
        column = self._table.partition_column
        if self._window is None or column is None or chunk.num_rows == 0:
            return
        span = pc.call_function("min_max", [chunk[column]])
        first, last = span["min"].as_py(), span["max"].as_py()
        if first is not None and not (first in self._window and last in self._window):
            raise PermanentFailure(
                f"The warehouse cannot take the frame: {self._table.name}.{column} runs from {first} to {last}, "
                f"outside the window {self._window}."
            )


def check_lengths(table: Table, chunk: pa.Table) -> None:
    """Refuse texts that do not fit the lengths of the contract.

    Raises:
        PermanentFailure: naming the column, the longest text and the limit.
    """
    for column in table.columns:
        longest = 0 if column.length is None else _longest(chunk[column.name], column.length)
        if column.length is not None and longest > column.length:
            raise PermanentFailure(
                f"Warehouse table {table.name} cannot take a text of {longest} characters in {column.name}: "
                f"its limit there is {column.length}; shorten it in the source."
            )


def _longest(texts: pa.ChunkedArray, limit: int) -> int:
    """Characters of the longest text as nvarchar counts them: those beyond U+FFFF, such as emoji, are two."""
    bytes_ = _most(pc.call_function("binary_length", [texts]))
    if bytes_ <= limit:
        return bytes_
    characters = pc.call_function("utf8_length", [texts])
    pairs = pc.call_function("count_substring_regex", [texts], pc.MatchSubstringOptions(_BEYOND_PLANE_0))
    return _most(pc.call_function("add", [characters, pairs]))


def _most(counts: pa.ChunkedArray) -> int:
    return pc.call_function("max", [counts]).as_py() or 0


def _joined(frame: pa.Table | pa.RecordBatchReader) -> Iterator[pa.Table]:
    batches = frame.to_batches(max_chunksize=CHUNK_ROWS) if isinstance(frame, pa.Table) else frame
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= CHUNK_ROWS:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if rows:
        yield pa.Table.from_batches(held)
