"""DuckDB engine: scans Delta tables lazily and pruned, writes with delta-rs.

How the lake is read stands in `lake_reading`. Tables of different threads have different connections and cannot be
joined: whoever uses an engine stays in one thread.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import ibis
import pandas as pd
from deltalake import DeltaTable
from ibis.backends.duckdb import Backend

from retail_assets.engines.lake_reading import FilePredicate, LakeReading
from retail_assets.engines.origins import Origins
from retail_assets.engines.parallel import in_processes
from retail_assets.engines.protocol import Frame, Part, Result, Spilled, WriteResult
from retail_assets.engines.spilled import in_file
from retail_assets.engines.writing import delta
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, Layout, Table
from retail_assets.transforms.days import within
from retail_assets.transforms.lineage import ColumnSources
from retail_assets.windows import Window


class DuckDBEngine:
    """Engine on DuckDB, in one connection a thread.

    Args:
        lake: where the tables are.
        memory_limit: such as `2GB`.
        temp_folder: where DuckDB spills.
        processes: how many work on parts at a time.
    """

    def __init__(self, lake: Lake, *, memory_limit: str, temp_folder: Path, processes: int = 1) -> None:
        self.lake = lake
        self._temp_folder = temp_folder
        self._processes = processes
        self._names = (f"scan_{number}" for number in count())
        self._reading = LakeReading(lake, memory_limit=memory_limit, temp_folder=temp_folder)
        self._of_thread = threading.local()
        self._origins = Origins()

    @property
    def connection(self) -> Backend:
        """This thread's."""
        if not self._is_open:
            self._temp_folder.mkdir(parents=True, exist_ok=True)
            self._of_thread.backend = ibis.duckdb.from_connection(self._reading.connection)
        return self._of_thread.backend

    @property
    def _is_open(self) -> bool:
        return "backend" in self._of_thread.__dict__

    def close(self) -> None:
        """Let go of the connections; temporary tables, views and fetched files end with them."""
        self._of_thread = threading.local()
        self._reading.close()
        self._origins.forget()

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        rows = self._view(table, self.lake.require(table), files=_folders(table, windows))
        return rows if windows is None else within(rows, windows, str(table.partition_column))

    def scan_or_empty(self, table: Table) -> ibis.Table:
        return self._view(table, self.lake.open(table))

    def _view(self, table: Table, delta_table: DeltaTable | None, *, files: FilePredicate | None = None) -> ibis.Table:
        name = next(self._names)
        connection = self.connection
        self._reading.make_view(name, table, delta_table, files=files)
        return self._origins.scanned(connection.table(name), table)

    def sources(self, frame: Frame) -> ColumnSources:
        return self._origins.of(frame)

    @contextmanager
    def cached(self, rows: ibis.Table) -> Iterator[ibis.Table]:
        """A temporary table; ibis's own cache cannot drop its tables on this DuckDB (it sends no name)."""
        name = next(self._names)
        table = self.connection.create_table(name, obj=rows, temp=True)
        try:
            yield self._origins.cached(table, rows)
        finally:
            if self._is_open:  # else it ended with the connection
                self.connection.raw_sql(f"DROP TABLE {name}")

    def spill(self, frame: Frame) -> Spilled:
        return in_file(frame, self._temp_folder, sources=self._origins.later(frame))

    def apply(self, rows: ibis.Table, function: Callable[[pd.DataFrame], pd.DataFrame], table: Table) -> Frame:
        return function(rows.to_pandas())

    def in_parts(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        return in_processes(function, parts, count=self._processes)

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        return delta.overwrite_window(self.lake, table, frame, window, folder=self._temp_folder)

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        return delta.overwrite(self.lake, table, frame)


def _folders(table: Table, windows: Sequence[Window] | None) -> FilePredicate | None:
    """Partition filter for delta-rs, so that only the files of the windows are listed."""
    if not windows or table.layout is Layout.WHOLE:
        return None
    if table.layout is Layout.MONTH:
        return [(MONTH_COLUMN, "in", sorted({month for w in windows for month in w.months()}))]
    return [(str(table.partition_column), "in", sorted({str(day) for w in windows for day in w.days()}))]
