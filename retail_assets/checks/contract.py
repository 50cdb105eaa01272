"""Checks every table has by its contract: the key is unique, values are of the kind it says, references exist.

What they ask of one table is one query; a range run asks once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import ibis
import pyarrow as pa

from retail_assets.checks.declare import MOST_FAILING, FailingRow, Finding, Rows, TableCheck, failing_rows
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Column, Reference, Table
from retail_assets.transforms.rules import Test, code_tests, range_tests

_ColumnTest = tuple[Column, str, Callable[[ibis.Table], ibis.Value]]

_SLACK = 1e-6
"""Of floating numbers at the ends of their range."""


def key_is_unique(table: Table) -> TableCheck:
    """No two rows of the run's partitions share the key."""

    def find(rows: Rows) -> Finding:
        table_rows = rows.of(table)
        grouped = table_rows.group_by(list(table.key)).aggregate(copies=table_rows.count())
        copied = grouped.filter(grouped.copies > 1)
        repeated = copied.count().to_pyarrow().as_py()
        return Finding(
            passed=repeated == 0,
            sentence=f"{repeated} keys ({', '.join(table.key)}) occur more than once.",
            figures={"repeated_keys": repeated},
            examples=_first_keys(copied, table) if repeated else "",
            failing=failing_rows(copied, table, "copies") if repeated else (),
        )

    return TableCheck(table, "key_is_unique", f"({', '.join(table.key)}) is unique.", find)


def _first_keys(copied: ibis.Table, table: Table) -> str:
    first = copied.order_by(list(table.key)).limit(1).to_pyarrow().to_pylist()
    return ", ".join(f"{name}={row[name]}" for row in first for name in table.key if name not in table.personal)


def unique_keys(*tables: Table) -> list[TableCheck]:
    return [key_is_unique(table) for table in tables if table.key]


def values_keep_the_contract(table: Table) -> TableCheck:
    """No required value is empty, no code unknown, no number out of its range."""
    tests = [(column, *test) for column in table.columns for test in _tests(column)]

    def find(rows: Rows) -> Finding:
        table_rows = rows.of(table)
        asked = {f"test_{n}": breaks(table_rows).fill_null(False).sum() for n, (*_, breaks) in enumerate(tests)}
        [counts] = table_rows.aggregate(**asked).to_pyarrow().to_pylist()
        broken = [(counts[f"test_{n}"], *test) for n, test in enumerate(tests) if counts[f"test_{n}"]]
        sentences = "; ".join(f"{text} in {count} rows" for count, _, text, _ in broken)
        return Finding(
            passed=not broken,
            sentence=f"{sentences or 'Every value keeps the contract'}.",
            figures={"broken_values": sum(count for count, *_ in broken)},
            failing=_broken_values(table_rows, table, [test for _, *test in broken]),
        )

    return TableCheck(table, "values_keep_the_contract", "No value is empty, unknown or out of its range.", find)


def _broken_values(rows: ibis.Table, table: Table, tests: Sequence[_ColumnTest]) -> list[FailingRow]:
    """A few rows, of as many tests as there is room for."""
    by_test = [
        _faulty(rows.filter(breaks(rows).fill_null(False)), table, column.name, fault=text)
        for column, text, breaks in tests[:MOST_FAILING]
    ]
    return [row for turn in zip_longest(*by_test) for row in turn if row is not None][:MOST_FAILING]


def _faulty(rows: ibis.Table, table: Table, column: str, *, fault: str) -> list[FailingRow]:
    """The first rows as key, what is wrong, and the value; that of a personal column stays out."""
    return [
        {**{name: row[name] for name in table.key if name in row}, "fault": fault, "value": row.get(column)}
        for row in failing_rows(rows, table, column)
    ]


def references_exist(table: Table) -> TableCheck:
    """What the table refers to is there; nothing is compared with a table that holds no row yet."""

    def find(rows: Rows) -> Finding:
        found = [_orphans(rows, table, reference) for reference in table.references]
        orphans = [lost.text for lost in found if lost.number]
        return Finding(
            passed=not orphans,
            sentence=f"{'; '.join(orphans) or 'Every reference is known'}.",
            figures={"unknown_references": sum(lost.number for lost in found)},
            failing=[row for lost in found for row in lost.rows][:MOST_FAILING],
        )

    names = ", ".join(f"{reference.column} in {reference.path}" for reference in table.references)
    return TableCheck(table, "references_exist", f"Known are {names}.", find)


def contract_checks(*tables: Table) -> list[TableCheck]:
    """Everything the contracts of the tables say."""
    references = [references_exist(table) for table in tables if table.references]
    return [*unique_keys(*tables), *map(values_keep_the_contract, tables), *references]


class _Orphans(NamedTuple):
    """Values of a reference that are not known: a sentence, how many they are, and a few of their rows."""

    text: str
    number: int
    rows: list[FailingRow]


def _orphans(rows: Rows, table: Table, reference: Reference) -> _Orphans:
    known = rows.engine.scan_or_empty(table_at(reference.path))
    if known.count().to_pyarrow().as_py() == 0:
        return _Orphans("", 0, [])
    table_rows = rows.of(table)
    used = table_rows.select(id=table_rows[reference.column]).filter(ibis._.id.notnull()).distinct()
    lost = used.anti_join(known.select(id=known[reference.target]), "id")
    count, example = (lost.aggregate(n=lost.count(), first=lost.id.min()).to_pyarrow().to_pylist()[0]).values()
    text = f"{count} values of {reference.column} are not in {reference.path}, such as {example}"
    if not count:
        return _Orphans(text, 0, [])
    fault = f"{reference.column} is not in {reference.path}"
    failing = table_rows.semi_join(lost, table_rows[reference.column] == lost.id)
    return _Orphans(text, count, _faulty(failing, table, reference.column, fault=fault))


def _tests(column: Column) -> Iterator[Test]:
    if not column.nullable:
        yield f"{column.name} is empty", lambda rows: rows[column.name].isnull()
    slack = _SLACK if pa.types.is_floating(column.type) else 0
    for text, breaks in (*code_tests(column), *range_tests(column, slack=slack)):
        yield f"{column.name} {text}", breaks
