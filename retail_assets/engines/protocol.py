"""What every engine does: scan a Delta table as an Ibis table, and overwrite what a contract allows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import ibis
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable

from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table
from retail_assets.transforms.lineage import ColumnSources
from retail_assets.windows import Window

Frame = ibis.Table | pd.DataFrame | pa.Table | pa.RecordBatchReader
Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Spilled:
    """A frame that waits until it is taken, once; it is used before another one is taken.

    `sources` finds the columns that each of its columns comes from, which the frame itself can no longer tell.
    """

    take: Callable[[], Frame]
    sources: Callable[[], ColumnSources] = field(default=dict)

    def __call__(self) -> Frame:
        return self.take()


@dataclass(frozen=True)
class WriteResult:
    """What one commit did; `delta` is the table at that version, where the writer holds it."""

    rows: int
    bytes: int
    version: int
    delta: DeltaTable | None = field(default=None, repr=False, compare=False)


class Engine(Protocol):
    """Reads and writes the lake's tables."""

    lake: Lake

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        """The table's rows in the windows of its partition column, lazily; all rows for None."""
        ...

    def scan_or_empty(self, table: Table) -> ibis.Table:
        """All rows, none where the table was never written."""
        ...

    def sources(self, frame: Frame) -> ColumnSources:
        """The columns of the lake that each column of an expression comes from; of another frame nothing is known."""
        ...

    def cached(self, rows: ibis.Table) -> AbstractContextManager[ibis.Table]:
        """The rows computed once, for several uses inside the context."""
        ...

    def spill(self, frame: Frame) -> Spilled:
        """Compute the frame now and keep it outside memory."""
        ...

    def apply(self, rows: ibis.Table, function: Callable[[pd.DataFrame], pd.DataFrame], table: Table) -> Frame:
        """The function's result on all rows at once, with the columns of the table's contract."""
        ...

    def in_parts(self, function: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """The function's result on each part, in their order: of memory-bounded shards, in as many processes as fit.

        Function, parts and results are pickled where they leave the process.
        """
        ...

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        """Replace exactly the rows of the window."""
        ...

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        """Replace a table that has no partitions."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
