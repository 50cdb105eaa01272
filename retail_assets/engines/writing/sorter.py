"""Sorts rows that do not fit into memory: DuckDB sorts one band of keys after the other.

Runs that are merged need a block of memory each, so one sort's memory grows with its rows; a band's does not. The rows
are gone through once to learn where bands end, and once to part them (docs/decisions/0007).
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from math import ceil, sqrt
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from retail_assets.engines import temporary
from retail_assets.engines.writing.bands import Bands, band_ends
from retail_assets.engines.writing.spool import PIECE_ROWS
from retail_assets.failures import PermanentFailure, first_line
from retail_assets.tables.contract import Table

_BAND_BYTES = 256 * 2**20
"""In Arrow; sorted with the least memory below. Two million sale lines, which half as many again still fit."""

_LEAST_SORT_MB, _SORT_MB_A_ROOT = 64, 3.0
"""More memory sorts no faster: what does not fit goes to the system's page cache and comes back from there. 690 MB need
more than 64 MB; a band is larger than meant only where one key fills it."""

_NUMBER = "retail_row_number"

Rows = Callable[[], Iterator[pa.RecordBatch]]
"""The same rows in the same order whenever it is called."""


class Sorter:
    """Sorts rows of a table's contract out of core.

    Args:
        folder: where DuckDB puts what does not fit into memory.
        bytes: about how large the rows are in Arrow.
    """

    def __init__(self, table: Table, folder: Path, *, bytes: int) -> None:
        self._table, self._folder, self._bytes = table, folder, bytes
        self._memory_mb = _LEAST_SORT_MB
        self._schema = table.schema.append(pa.field(_NUMBER, pa.int64()))
        self._error: Exception | None = None

    def batches(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        """The rows ascending by the table's order, missing values last, equal rows as they came.

        Raises:
            PermanentFailure: memory or the temporary folder does not suffice.
        """
        count = ceil(self._bytes / _BAND_BYTES)
        try:
            if count > 1:
                yield from self._in_bands(rows, count)
            else:
                yield from self._sorted(self._numbered(rows()))
        except (duckdb.Error, OSError) as error:  # the second is what DuckDB's stream of batches raises
            raise self._error or self._failure(error) from None

    def _in_bands(self, rows: Rows, count: int) -> Iterator[pa.RecordBatch]:
        ends = band_ends(self._told(rows()), self._table.sort_by, count=count)
        made = tempfile.TemporaryDirectory(prefix=temporary.prefix("bands"), dir=temporary.prepared(self._folder))
        with made as folder:
            bands = Bands(Path(folder), self._schema, self._table.sort_by, ends)
            bands.write(self._numbered(rows()))
            for number, size in enumerate(bands.bytes):
                self._memory_mb = max(_LEAST_SORT_MB, round(_SORT_MB_A_ROOT * sqrt(size / 2**20)))
                yield from self._sorted(bands.batches(number))

    def _sorted(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        order = ", ".join(f'"{name}" NULLS LAST' for name in (*self._table.sort_by, _NUMBER))
        columns = ", ".join(f'"{name}"' for name in self._table.column_names)
        with closing(self._connected()) as connection:
            connection.register("given", pa.RecordBatchReader.from_batches(self._schema, rows))
            query = connection.sql(f"SELECT {columns} FROM given ORDER BY {order}")
            yield from query.to_arrow_reader(PIECE_ROWS)

    def _connected(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={"memory_limit": f"{self._memory_mb}MB", "temp_directory": str(self._folder), "threads": 1}
        )
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET streaming_buffer_size = '1MB'")
        return connection

    def _numbered(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in self._told(rows):
            numbers = pa.array(np.arange(start, start + batch.num_rows))
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=self._schema)
            start += batch.num_rows

    def _told(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Keeps an error of the rows: DuckDB would turn it into one of its own, and the sort did not cause it."""
        try:
            yield from rows
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
            "free space on its disk or set RETAIL_HOME."
        )
