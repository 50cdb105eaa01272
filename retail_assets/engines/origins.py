"""What an engine's named tables stand for, so that the columns of an expression can be followed to the lake.

An engine registers every table that it names: what it scanned, and what it keeps for several uses. What is written
from Python frames has no sources here.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import cast

import ibis
from ibis.expr.operations import PhysicalTable

from retail_assets.engines.protocol import Frame
from retail_assets.tables.contract import Table
from retail_assets.transforms.lineage import ColumnSources, column_sources, own_columns


class Origins:
    """Sources by the name that a table has in expressions; found when they are first asked for."""

    def __init__(self) -> None:
        self._sources: dict[str, Callable[[], ColumnSources]] = {}

    def scanned(self, rows: ibis.Table, table: Table) -> ibis.Table:
        """The rows, known from now on as those of a table of the lake."""
        self._sources[_name(rows)] = partial(own_columns, table)
        return rows

    def cached(self, rows: ibis.Table, computed: ibis.Table) -> ibis.Table:
        """The rows, known from now on as those that an expression gave."""
        self._sources[_name(rows)] = cache(partial(column_sources, computed, self._of_name))
        return rows

    def of(self, frame: Frame) -> ColumnSources:
        """The sources of a frame's columns; none of one that is no expression."""
        return column_sources(frame, self._of_name) if isinstance(frame, ibis.Table) else {}

    def later(self, frame: Frame) -> Callable[[], ColumnSources]:
        """`of`, asked when the rows themselves are gone; they are not held for it."""
        return partial(self.of, frame) if isinstance(frame, ibis.Table) else dict

    def forget(self) -> None:
        """Forget every name, as when the connection ends."""
        self._sources.clear()

    def _of_name(self, name: str) -> ColumnSources:
        find = self._sources.get(name)
        return find() if find else {}


def _name(rows: ibis.Table) -> str:
    """As it stands in expressions; `get_name` puts the database before it."""
    return cast(PhysicalTable, rows.op()).name
