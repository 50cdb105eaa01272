"""Sorts rows that do not fit into memory: DuckDB sorts one band of keys after the other.

Runs that are merged need a block of memory each, so one sort's memory grows with its rows; a band's does not. The rows
are gone through once to learn where bands end, and once for each band (docs/decisions/0007).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from retail_assets.engines.spool import PIECE_ROWS
from retail_assets.failures import PermanentFailure, first_line
from retail_assets.tables.contract import Table

_BAND_BYTES = 768 * 2**20
"""In Arrow; sorted with the least memory below. A month of 6 million sale lines is one band."""

_LEAST_SORT_MB, _SORT_MB_A_ROOT = 64, 2.2
"""More memory sorts no faster: what does not fit goes to the system's page cache and comes back from there. What
suffices was found for 5 GB, which fail with 128 MB; a band is larger than meant only where one key fills it."""

_SAMPLE_EVERY = 1024
_NUMBER = "retail_row_number"

Rows = Callable[[], Iterator[pa.RecordBatch]]
"""The same rows in the same order whenever it is called."""
_Key = tuple[Any, ...]


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
        try:
            with closing(self._connected()) as connection:
                ends = self._band_ends(connection, rows)
                for after, until in pairwise([None, *ends, None]):
                    yield from self._sorted(connection, rows, after, until)
        except (duckdb.Error, OSError) as error:  # the second is what DuckDB's stream of batches raises
            raise self._error or self._failure(error) from None

    def _sorted(
        self, connection: duckdb.DuckDBPyConnection, rows: Rows, after: _Key | None, until: _Key | None
    ) -> Iterator[pa.RecordBatch]:
        """The rows whose keys are greater than `after` and not greater than `until`."""
        given = pa.RecordBatchReader.from_batches(self._schema, self._numbered(rows()))
        columns = ", ".join(f'"{name}"' for name in self._table.column_names)
        above = f"NOT {self._not_greater(connection, 'after', after)}" if after else "true"
        below = self._not_greater(connection, "until", until) if until else "true"
        connection.register("given", given)
        query = f"SELECT {columns} FROM given WHERE {above} AND {below} ORDER BY {self._order}, {_NUMBER}"
        yield from connection.sql(query).to_arrow_reader(PIECE_ROWS)
        connection.unregister("given")

    def _band_ends(self, connection: duckdb.DuckDBPyConnection, rows: Rows) -> list[_Key]:
        """Keys of a sample that part the rows into bands of about one size, none where a single band will do."""
        count = ceil(self._bytes / _BAND_BYTES)
        if count <= 1:
            return []
        connection.register("sample", self._sampled(rows()))
        found = connection.execute(f"SELECT * FROM sample ORDER BY {self._order}").fetchall()
        connection.unregister("sample")
        ends = list(dict.fromkeys(found[len(found) * number // count] for number in range(1, count))) if found else []
        self._grow(connection, _largest_share(found, ends))
        return ends

    def _sampled(self, rows: Iterator[pa.RecordBatch]) -> pa.Table:
        """Keys of some rows of each batch; by chance, since a fixed step may meet the same ones again and again."""
        chance = np.random.default_rng(0)
        keys = list(self._table.sort_by)
        schema = pa.schema([self._table.schema.field(name) for name in keys])
        return pa.Table.from_batches(
            (
                batch.select(keys).take(
                    pa.array(chance.integers(0, batch.num_rows, ceil(batch.num_rows / _SAMPLE_EVERY)))
                )
                for batch in self._told(rows)
                if batch.num_rows
            ),
            schema=schema,
        )

    def _grow(self, connection: duckdb.DuckDBPyConnection, share: float) -> None:
        self._memory_mb = max(_LEAST_SORT_MB, round(_SORT_MB_A_ROOT * sqrt(self._bytes * share / 2**20)))
        connection.execute(f"SET memory_limit = '{self._memory_mb}MB'")

    @property
    def _order(self) -> str:
        return ", ".join(f'"{name}" NULLS LAST' for name in self._table.sort_by)

    def _not_greater(self, connection: duckdb.DuckDBPyConnection, end: str, key: _Key) -> str:
        """Condition on a row's key, a missing value being the greatest.

        The values are variables of the connection: a query with parameters would hold its whole result.
        """
        words = "true"
        for name, value in reversed(list(zip(self._table.sort_by, key, strict=True))):
            if value is None:
                words = f'("{name}" IS NOT NULL OR {words})'
                continue
            connection.execute(f'SET VARIABLE "{end}_{name}" = $1', [value])
            here = f"getvariable('{end}_{name}')"
            words = f'coalesce("{name}" < {here} OR ("{name}" = {here} AND {words}), false)'
        return words

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
        """Keeps what the rows raise, of which DuckDB would make an error of its own, and which is none of the sort."""
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
            "free space there or set RETAIL_HOME."
        )


def _largest_share(sample: Sequence[_Key], ends: Sequence[_Key]) -> float:
    """Of the sorted sample, what its largest band holds."""
    last = {key: place for place, key in enumerate(sample, 1)}
    places = [0, *(last[key] for key in ends), len(sample)]
    return max(high - low for low, high in pairwise(places)) / max(len(sample), 1)
