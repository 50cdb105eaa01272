"""Spark engine: reads and writes Delta tables with Spark itself; only what is asked for in Python reaches the driver.

One session a process, on a local master, a cluster or Spark Connect. Every scan is pinned to the version it found.
"""

import pickle
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any
from uuid import uuid4

import ibis
import pandas as pd
import pyspark.sql.functions as F
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema, from_arrow_type
from pyspark.storagelevel import StorageLevel

from retail_assets.engines.origins import Origins
from retail_assets.engines.protocol import Frame, Part, Result, Spilled, WriteResult
from retail_assets.engines.spark.backend import ArrowBackend
from retail_assets.engines.spark.contract import conformed, count_valid
from retail_assets.engines.spilled import in_file
from retail_assets.engines.writing import delta
from retail_assets.engines.writing.committing import LostRace, committed
from retail_assets.engines.writing.evolution import physical_columns, refuse_unreadable
from retail_assets.failures import TransientFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, Layout, Table
from retail_assets.tables.validation import conform, refuse_whole, refuse_window
from retail_assets.transforms.days import within
from retail_assets.transforms.lineage import ColumnSources
from retail_assets.windows import Window

_PARTS_AT_A_TIME = 8


class SparkEngine:
    """Engine on one Spark session.

    Args:
        lake: where the tables are.
        session: gives the session; asked when it is first needed.
    """

    def __init__(self, lake: Lake, session: Callable[[], SparkSession]) -> None:
        self.lake = lake
        self._open_session = session
        self._views: list[str] = []
        self._stored: list[DataFrame] = []
        self._taken: DataFrame | None = None
        self._origins = Origins()

    @cached_property
    def session(self) -> SparkSession:
        return self._open_session()

    @cached_property
    def connection(self) -> ArrowBackend:
        ArrowBackend.register_options()
        backend = ArrowBackend()
        backend.do_connect(self.session)
        return backend

    def close(self) -> None:
        """Let go of views and kept rows; the session belongs to the process and ends with it."""
        if "session" not in self.__dict__:
            return
        self._taken = None
        self._origins.forget()
        while self._stored:
            self._stored.pop().unpersist()
        while self._views:
            self.session.catalog.dropTempView(self._views.pop())

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        found = self.lake.require(table)
        refuse_unreadable(self.lake, table, found)
        version = found.version()
        reader = self.session.read.format("delta").option("versionAsOf", version)
        rows = reader.load(self.lake.spark_table_uri(table))
        if windows and table.layout is Layout.MONTH:
            rows = rows.filter(F.col(MONTH_COLUMN).isin(sorted({month for w in windows for month in w.months()})))
        named = self._origins.scanned(self._named(_with_every_column(rows, table)), table)
        return named if windows is None else within(named, windows, str(table.partition_column))

    def scan_or_empty(self, table: Table) -> ibis.Table:
        return self._empty(table) if self.lake.open(table) is None else self.scan(table)

    def sources(self, frame: Frame) -> ColumnSources:
        return self._origins.of(frame)

    @contextmanager
    def cached(self, rows: ibis.Table) -> Iterator[ibis.Table]:
        frame = self._dataframe(rows).persist(StorageLevel.MEMORY_AND_DISK)
        try:
            yield self._origins.cached(self._named(frame), rows)
        finally:
            frame.unpersist()

    def spill(self, frame: Frame) -> Spilled:
        if not isinstance(frame, ibis.Table):
            return in_file(frame)
        stored = self._dataframe(frame).persist(StorageLevel.DISK_ONLY)
        stored.count()
        self._stored.append(stored)
        return Spilled(lambda: self._take(stored), self._origins.later(frame))

    def apply(self, rows: ibis.Table, function: Callable[[pd.DataFrame], pd.DataFrame], table: Table) -> Frame:
        """One task of the cluster gets all rows: the function looks at series beside each other."""
        schema = from_arrow_schema(table.schema)
        return self._named(self._dataframe(rows).groupBy().applyInPandas(function, schema))

    def in_parts(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """A task of the cluster for each part, a few parts on their way at a time."""
        left = iter(parts)
        while sent := [_packed(part) for part in islice(left, _PARTS_AT_A_TIME)]:
            frame = self.session.createDataFrame(pd.DataFrame({"number": range(len(sent)), "content": sent}))
            done = frame.groupBy("number").applyInPandas(_task(function), "number long, content binary")
            answers = sorted(done.collect(), key=lambda row: row["number"])
            yield from (_unpacked(bytes(row["content"])) for row in answers)

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        refuse_window(table)
        return self._write(table, frame, window)

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        refuse_whole(table)
        return self._write(table, frame, None)

    def _write(self, table: Table, frame: Frame, window: Window | None) -> WriteResult:
        with self._errors(table), self._valid(table, frame, window) as (rows, count):
            return committed(table, lambda: self._tried(table, rows, window, count=count))

    def _tried(self, table: Table, rows: DataFrame, window: Window | None, *, count: int) -> WriteResult:
        with self._errors(table):
            with delta.lost_races():
                delta.prepared(self.lake, table)
            write_id = uuid4().hex
            writer = _laid_out(table, rows).write.format("delta").mode("overwrite").option("userMetadata", write_id)
            if window is not None:
                writer = writer.option("replaceWhere", _predicate(table, window))
            writer.save(self.lake.spark_table_uri(table))
            return self._reconciled(table, count, write_id)

    @contextmanager
    def _errors(self, table: Table) -> Iterator[None]:
        """A lost race as such, and the storage's errors as one sentence; what else Spark says passes as it is."""
        try:
            with self.lake.errors(table):
                yield
        except (PySparkException, Py4JError) as error:
            text = str(error)
            if _RACE.search(text):
                raise LostRace(text) from None
            if _STORAGE.search(text) and _WORKER not in text and not isinstance(error, AnalysisException):
                raise self.lake.failure(table, text) from None
            raise

    @contextmanager
    def _valid(self, table: Table, frame: Frame, window: Window | None) -> Iterator[tuple[DataFrame, int]]:
        """The rows in the contract's types and how many they are, computed once, checked before anything is written."""
        if isinstance(frame, ibis.Table):
            given = self._dataframe(frame)
        else:
            given = self.session.createDataFrame(conform(table, delta.as_arrow(frame)))
        rows = conformed(table, given)
        kept = given.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            yield rows, count_valid(table, kept, window)
        finally:
            kept.unpersist()

    def _reconciled(self, table: Table, count: int, write_id: str) -> WriteResult:
        """Rows handed over = rows committed, by the metrics of this very commit."""
        delta_table = self.lake.require(table)
        commits = delta_table.history(_RECENT_COMMITS)
        commit = next((commit for commit in commits if commit.get("userMetadata") == write_id), None)
        if commit is None:
            raise TransientFailure(f"{table.path}: the commit that was just made is not in the table's recent history.")
        metrics: dict[str, str] = commit["operationMetrics"]  # a commit without files has none
        added = int(metrics.get("numOutputRows", 0)) - int(metrics.get("numCopiedRows", 0))
        if added != count:
            raise TransientFailure(f"{table.path}: {count} rows were handed over, {added} were committed.")
        version, size = int(commit["version"]), int(metrics.get("numOutputBytes", 0))
        held = delta_table if delta_table.version() == version else None
        return WriteResult(rows=count, bytes=size, version=version, delta=held)

    def _dataframe(self, rows: ibis.Table) -> DataFrame:
        return self.connection.dataframe(rows)

    def _named(self, rows: DataFrame) -> ibis.Table:
        name = f"rows_{uuid4().hex}"
        rows.createOrReplaceTempView(name)
        self._views.append(name)
        return self.connection.table(name)

    def _empty(self, table: Table) -> ibis.Table:
        empty = self.session.createDataFrame([], from_arrow_schema(table.schema))
        return self._origins.scanned(self._named(empty), table)

    def _take(self, stored: DataFrame) -> ibis.Table:
        self._forget_taken()
        self._taken = stored
        return self._named(stored)

    def _forget_taken(self) -> None:
        if self._taken is not None:
            self._taken.unpersist()
            self._stored.remove(self._taken)
            self._taken = None


_RECENT_COMMITS = 20
_RACE = re.compile(r"Concurrent\w*Exception|DELTA_CONCURRENT|ProtocolChangedException|MetadataChangedException")
_STORAGE = re.compile(
    r"azurebfs|hadoop\.fs\.|UnknownHostException|java\.net\.|java\.nio\.file\.|java\.io\.(FileNotFound|Interrupted)"
)
_WORKER = "Python worker"


def _with_every_column(rows: DataFrame, table: Table) -> DataFrame:
    """The contract's columns; one the table does not have yet is empty."""
    return rows.select(
        *(
            F.col(c.name) if c.name in rows.columns else F.lit(None).cast(from_arrow_type(c.type)).alias(c.name)
            for c in table.columns
        )
    )


def _laid_out(table: Table, rows: DataFrame) -> DataFrame:
    """One sorted file a physical partition."""
    folders = physical_columns(table)
    if table.layout is Layout.MONTH:
        rows = rows.withColumn(MONTH_COLUMN, F.date_format(str(table.partition_column), "yyyy-MM"))
    one_each = rows.repartition(*folders) if folders else rows.coalesce(1)
    return one_each.sortWithinPartitions(*folders, *table.sort_by) if table.sort_by or folders else one_each


def _predicate(table: Table, window: Window) -> str:
    """Days of the window; the month folders too, so that files of other months are not opened."""
    column = table.partition_column
    # BETWEEN ends in an internal error of Spark 4.2 where the column names the folders
    days = f"{column} >= DATE'{window.first}' AND {column} <= DATE'{window.last}'"
    if table.layout is not Layout.MONTH:
        return days
    months = ", ".join(f"'{month}'" for month in window.months())
    return f"{MONTH_COLUMN} IN ({months}) AND {days}"


def _packed(value: object) -> bytes:
    return zlib.compress(pickle.dumps(value), level=1)


def _unpacked(content: bytes) -> Any:
    return pickle.loads(zlib.decompress(content))


def _task(function: Callable[[Any], Any]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Runs on a worker: the parts of a group, each replaced by its result."""
    return lambda rows: rows.assign(content=[_packed(function(_unpacked(content))) for content in rows["content"]])
