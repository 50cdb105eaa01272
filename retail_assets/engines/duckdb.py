"""DuckDB engine: scans Delta tables lazily and pruned, writes with delta-rs.

One connection a process, because tables of different connections cannot be joined. DuckDB's own delta
extension is not used: closed networks cannot download it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from urllib.parse import unquote

import ibis
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable
from ibis.backends.duckdb import Backend

from retail_assets.engines.aside import in_file
from retail_assets.engines.fetched import FetchedFiles
from retail_assets.engines.origins import Origins
from retail_assets.engines.parallel import in_processes
from retail_assets.engines.protocol import Frame, Part, Result, SetAside, WriteResult
from retail_assets.engines.writing import delta
from retail_assets.engines.writing.evolution import physical_columns, refuse_unreadable
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, Layout, Table
from retail_assets.transforms.days import within
from retail_assets.transforms.lineage import ColumnSources
from retail_assets.windows import Window


class DuckDBEngine:
    """Engine on one DuckDB connection.

    Args:
        lake: where the tables are.
        memory_limit: such as `2GB`.
        temp_folder: where DuckDB spills.
        processes: how many work on parts at a time.
    """

    def __init__(self, lake: Lake, *, memory_limit: str, temp_folder: Path, processes: int = 1) -> None:
        self.lake = lake
        self._memory_limit = memory_limit
        self._temp_folder = temp_folder
        self._processes = processes
        self._names = (f"scan_{number}" for number in count())
        self._fetched = FetchedFiles(lake, temp_folder)
        self._origins = Origins()

    @cached_property
    def connection(self) -> Backend:
        self._temp_folder.mkdir(parents=True, exist_ok=True)
        connection = ibis.duckdb.connect(
            memory_limit=self._memory_limit.replace(" ", ""), temp_directory=str(self._temp_folder)
        )
        connection.raw_sql("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        return connection

    def close(self) -> None:
        """Let go of the connection; temporary tables, views and fetched files end with it."""
        if "connection" in self.__dict__:
            self.connection.disconnect()
            del self.__dict__["connection"]
        self._fetched.close()
        self._origins.forget()

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        delta_table = self.lake.require(table)
        refuse_unreadable(self.lake, table, delta_table)
        found = self._origins.scanned(self._from_files(table, delta_table, windows), table)
        rows = found.select([_column(found, table, name) for name in table.column_names])
        return rows if windows is None else within(rows, windows, str(table.partition_column))

    def scan_or_empty(self, table: Table) -> ibis.Table:
        return self._empty(table) if self.lake.open(table) is None else self.scan(table)

    def sources(self, frame: Frame) -> ColumnSources:
        return self._origins.of(frame)

    @contextmanager
    def kept(self, rows: ibis.Table) -> Iterator[ibis.Table]:
        """A temporary table; ibis's own cache cannot drop its tables on this DuckDB (it sends no name)."""
        name = next(self._names)
        table = self.connection.create_table(name, obj=rows, temp=True)
        try:
            yield self._origins.kept(table, rows)
        finally:
            if "connection" in self.__dict__:  # else it ended with the connection
                self.connection.raw_sql(f"DROP TABLE {name}")

    def set_aside(self, frame: Frame) -> SetAside:
        return in_file(frame, self._temp_folder, sources=self._origins.later(frame))

    def apply(self, rows: ibis.Table, function: Callable[[pd.DataFrame], pd.DataFrame], table: Table) -> Frame:
        return function(rows.to_pandas())

    def in_parts(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        return in_processes(function, parts, count=self._processes)

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        return delta.overwrite_window(self.lake, table, frame, window, folder=self._temp_folder)

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        return delta.overwrite(self.lake, table, frame)

    def _from_files(self, table: Table, delta_table: DeltaTable, windows: Sequence[Window] | None) -> ibis.Table:
        """DuckDB's Parquet reader over the files of this version: 2–12 times faster than an Arrow dataset."""
        uris = delta_table.file_uris(file_pruning_predicate=_folders(table, windows))
        if not uris:
            return self._empty(table)
        if self.lake.is_local:
            # delta-rs quotes spaces and letters beyond ASCII as in a URL; DuckDB wants the path itself
            return self._of_parquet(table, [unquote(uri).removeprefix("file://") for uri in uris])
        files = self._fetched.of(table, delta_table, uris)
        return self._remote(delta_table) if files is None else self._of_parquet(table, files)

    def _of_parquet(self, table: Table, files: Sequence[str]) -> ibis.Table:
        types = ", ".join(f"'{name}': {_HIVE_TYPES[table.layout]}" for name in physical_columns(table))
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        # left to itself DuckDB takes any folder named key=value above the lake for a column
        hive = f"true, hive_types = {{{types}}}" if types else "false"
        options = f"union_by_name = true, hive_partitioning = {hive}"
        name = next(self._names)
        self.connection.raw_sql(f"CREATE TEMP VIEW {name} AS SELECT * FROM read_parquet([{listed}], {options})")
        return self.connection.table(name)

    def _remote(self, delta_table: DeltaTable) -> ibis.Table:
        name = next(self._names)
        self.connection.con.register(name, delta_table.to_pyarrow_dataset())
        return self.connection.table(name)

    def _empty(self, table: Table) -> ibis.Table:
        name = next(self._names)
        self.connection.con.register(name, pa.Table.from_batches([], schema=table.schema))
        return self._origins.scanned(self.connection.table(name), table)


_HIVE_TYPES = {Layout.MONTH: "VARCHAR", Layout.DAY: "DATE", Layout.WHOLE: ""}


def _column(found: ibis.Table, table: Table, name: str) -> ibis.Value:
    """A column as it was found; null where the files are older than the column."""
    if name in found.columns:
        return found[name]
    return ibis.null(ibis.schema(table.schema)[name]).name(name)


def _folders(table: Table, windows: Sequence[Window] | None) -> list[tuple[str, str, list[str]]] | None:
    """Partition filter for delta-rs, so that only the files of the windows are listed."""
    if not windows or table.layout is Layout.WHOLE:
        return None
    if table.layout is Layout.MONTH:
        return [(MONTH_COLUMN, "in", sorted({month for w in windows for month in w.months()}))]
    return [(str(table.partition_column), "in", sorted({str(day) for w in windows for day in w.days()}))]
