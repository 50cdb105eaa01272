"""Which columns of which tables a column of an Ibis expression is computed from.

The expression itself is read, so a renamed or added column is followed without an edit. What only picks rows (filters,
keys of joins, groups) is no source; the groups and the order of a window are. Values that went through Python are
constants here: a function that takes rows out of Ibis says itself what it reads (`followed`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import ibis
import ibis.expr.operations as ops

from retail_assets.tables.contract import Table


class Source(NamedTuple):
    """A column of a table of the lake."""

    path: str
    column: str


Sources = frozenset[Source]
ColumnSources = Mapping[str, Sources]
"""By column of a frame; a column of constants, counts or unknown origin has none."""

_NOTHING: Sources = frozenset()


def own_columns(table: Table) -> ColumnSources:
    """Each column of a table as its own source."""
    return {name: frozenset([Source(table.path, name)]) for name in table.column_names}


def column_sources(rows: ibis.Table, known: Callable[[str], ColumnSources]) -> ColumnSources:
    """The sources of each column of an expression.

    Args:
        rows: any expression.
        known: the sources of the columns of a physical table, by the name it has in the expression; empty for others.
    """
    walk = _Walk(known)
    return {name: walk.of_column(rows.op(), name) for name in rows.columns}


def followed(reads: Mapping[str, Iterable[str]], given: ColumnSources) -> ColumnSources:
    """The sources of what a Python function returns.

    Args:
        reads: by returned column, the columns of its rows that the function computes it from.
        given: the sources of the columns of those rows.
    """
    return {name: _union(given.get(column, _NOTHING) for column in columns) for name, columns in reads.items()}


class _Walk:
    """Goes down from one relation to the next, each column of each once."""

    def __init__(self, known: Callable[[str], ColumnSources]) -> None:
        self._known = known
        self._found: dict[tuple[ops.Relation, str], Sources] = {}

    def of_column(self, relation: ops.Relation, name: str) -> Sources:
        place = (relation, name)
        if place not in self._found:
            self._found[place] = self._looked_up(relation, name)
        return self._found[place]

    def _looked_up(self, relation: ops.Relation, name: str) -> Sources:
        if isinstance(relation, ops.PhysicalTable):
            return self._known(relation.name).get(name, _NOTHING)
        if isinstance(relation, ops.Set):
            return self.of_column(relation.left, name) | self.of_column(relation.right, name)
        return self._of_value(relation.values[name])

    def _of_value(self, value: ops.Value) -> Sources:
        """Of the fields and subqueries in a value, without going on into their relations."""
        leaves = value.find((ops.Field, ops.Subquery), filter=ops.Value)
        return _union(self._of_leaf(leaf) for leaf in leaves)

    def _of_leaf(self, leaf: ops.Node) -> Sources:
        if isinstance(leaf, ops.Field):
            return self.of_column(leaf.rel, leaf.name)
        if isinstance(leaf, ops.ScalarSubquery):
            return self.of_column(leaf.rel, next(iter(leaf.rel.schema)))
        return _NOTHING


def _union(parts: Iterable[Sources]) -> Sources:
    return _NOTHING.union(*parts)
