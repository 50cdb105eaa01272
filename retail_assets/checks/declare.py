"""How checks are declared: a name, a sentence, and a function from the run's rows to a finding.

All checks of a layer run as one step, because a step costs more than a check. They query only the
partitions of the run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import ibis

from retail_assets.checks.failed import COMMAND, EXAMPLES, ROWS
from retail_assets.engines.protocol import Engine
from retail_assets.io_managers.chunks import asked_windows
from retail_assets.io_managers.described import records_shown
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.transforms.days import within
from retail_assets.windows import Window

FailingRow = dict[str, object]


@dataclass(frozen=True)
class Finding:
    """What a check found; `is_serious` decides between error, which stops downstream, and warning.

    `figures` are plotted over time in the UI, `shown` are Markdown tables beside them, `listed` is for programs. A
    failed check says `examples`, a few values and no person's name, and where its rows lie: `rows_at`, the arguments of
    `retail-assets show`, by default the table. `failing` are a few of these rows: key and value, no personal column.
    """

    passed: bool
    sentence: str
    is_serious: bool = True
    figures: dict[str, float | int | str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    listed: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    examples: str = ""
    rows_at: str = ""
    failing: Sequence[FailingRow] = ()


@dataclass(frozen=True)
class Rows:
    """The rows of the run, of any table."""

    engine: Engine
    windows: Sequence[Window] | None

    def of(self, table: Table) -> ibis.Table:
        return self.engine.scan(table, None if table.partitioning is Partitioning.NONE else self.windows)

    def known(self, table: Table) -> ibis.Table:
        """The same of a table that may not have been written yet."""
        rows = self.engine.scan_or_empty(table)
        if table.partition_column is None or self.windows is None:
            return rows
        return within(rows, self.windows, table.partition_column)


MOST_FAILING = 5
"""Failing rows that the UI shows of a check."""


def failing_rows(rows: ibis.Table, table: Table, *values: str) -> list[FailingRow]:
    """The first rows by their key, with the named values; without personal columns.

    Args:
        rows: rows of the table that fail.
        table: gives the key.
        values: columns beside the key; those that the rows do not have are left out.
    """
    names = dict.fromkeys(name for name in (*table.key, *values) if name in rows.columns)
    first = rows.order_by([name for name in table.key if name in rows.columns]).limit(MOST_FAILING)
    return first.select([name for name in names if name not in table.personal]).to_pyarrow().to_pylist()


@dataclass(frozen=True)
class TableCheck:
    table: Table
    name: str
    meaning: str
    find: Callable[[Rows], Finding]

    @property
    def spec(self) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(self.name, asset=self.table.asset_key, description=self.meaning, blocking=True)


def layer_checks(name: str, checks: Sequence[TableCheck]) -> dg.AssetChecksDefinition:
    """One step that makes all the checks of a layer that the run asks for."""

    @dg.multi_asset_check(name=name, specs=[check.spec for check in checks], can_subset=True)
    def evaluate(
        context: dg.AssetCheckExecutionContext, engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.AssetCheckResult]:
        rows = Rows(engine, _windows(context))
        for check in checks:
            if check.spec.key in context.selected_asset_check_keys:
                yield _result(check, check.find(rows))

    return evaluate


def _windows(context: dg.AssetCheckExecutionContext) -> list[Window] | None:
    """The run's partitions; None for a run without any."""
    step = context.op_execution_context
    if not (step.has_partition_key or step.has_partition_key_range):
        return None
    return asked_windows(context)


def _result(check: TableCheck, finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.table.asset_key,
        check_name=check.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if finding.is_serious else dg.AssetCheckSeverity.WARN,
        description=finding.sentence,
        metadata={
            **finding.figures,
            **{name: dg.MetadataValue.md(text) for name, text in finding.shown.items()},
            **{name: dg.MetadataValue.json(dict(items)) for name, items in finding.listed.items()},
            **({} if finding.passed else _evidence(check, finding)),
        },
    )


def _evidence(check: TableCheck, finding: Finding) -> dict[str, dg.MetadataValue]:
    shown = {ROWS: records_shown(finding.failing)} if finding.failing else {}
    said = {EXAMPLES: finding.examples, COMMAND: f"retail-assets show {finding.rows_at or check.table.path}"}
    return {**shown, **{name: dg.MetadataValue.text(text) for name, text in said.items() if text}}
