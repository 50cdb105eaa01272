"""How things look on the terminal: progress, the report of a run, the findings of `check-source`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table as Grid

from retail_assets.addresses import shown
from retail_assets.checks.failed import FailedCheck
from retail_assets.command_line.report import Report
from retail_assets.command_line.what_if import Comparison
from retail_assets.io_managers.delta import PROGRESS
from retail_assets.settings import Settings
from retail_assets.sources.proposing.proposal import Proposal
from retail_assets.sources.source_check import EntityCheck

_NAMED_SCOPES = 5
"""Parts of the policies that are named before the rest is only counted."""


class WriteProgress(logging.Handler):
    """Shows the table and days being written in the status line, while used as a context."""

    def __init__(self, status: Status, title: str) -> None:
        super().__init__(logging.INFO)
        self._status, self._title = status, title

    def emit(self, record: logging.LogRecord) -> None:
        self._status.update(f"{self._title}: {record.getMessage()}")

    def __enter__(self) -> "WriteProgress":
        PROGRESS.setLevel(logging.INFO)
        PROGRESS.propagate = False
        PROGRESS.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        PROGRESS.removeHandler(self)


def print_report(found: Report, settings: Settings, *, console: Console) -> None:
    """The report, the ten most urgent orders with why, and where to look next."""
    console.print(_grid("Rows per table", found.rows.loc[found.rows["rows"] > 0]))
    if len(found.refused):
        console.print(_grid("Refused rows (kept with their reason)", found.refused))
    for note in found.notes:
        console.print(f"Note: {note}.", soft_wrap=True)
    if len(found.accuracy):
        console.print(_grid("Forecast beside the seasonal naive", found.accuracy))
    if len(found.urgent):
        console.print(f"The most urgent orders as of {found.urgent['as_of_date'].iloc[0]:%Y-%m-%d}")
    for place, line in enumerate(found.urgent.itertuples(), start=1):
        console.print(f"{place:2d}. {_order(line)}", soft_wrap=True)
    console.print(f"Lake: {shown(settings.lake)}", soft_wrap=True)
    console.print(
        "Next: make ui (Dagster: runs, tables, checks), make dashboard (the planners' pages).", soft_wrap=True
    )


def print_warnings(checks: Sequence[FailedCheck], *, console: Console) -> None:
    """Checks that did not stop the run, each once."""
    for line in dict.fromkeys(map(str, checks)):
        console.print(f"Warning: {line}", soft_wrap=True, markup=False)


def print_what_if(found: Comparison, *, console: Console, own_levels: int = 0) -> None:
    """Totals by supplier, now and with the parameters tried, and which parameters did nothing.

    Args:
        own_levels: scopes that keep a service level of their own while another one is tried.
    """
    grid = Grid(
        "supplier",
        "",
        "lines",
        "units",
        "order value",
        "saves",
        "waste",
        "service",
        title=f"Plan as of {found.as_of}: as set, and as tried",
        title_justify="left",
    )
    for row in found.totals.to_dict("records"):
        for name, kind in (("as set", "before"), ("as tried", "after")):
            grid.add_row(escape(str(row["supplier_id"])) if kind == "before" else "", name, *_what_if_cells(row, kind))
    console.print(grid)
    console.print(f"{found.changed_lines} lines change. Nothing was stored.")
    for line in (*_unmatched(found.unmatched), *_own_levels(own_levels)):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _unmatched(scopes: tuple[str, ...]) -> list[str]:
    """How many parts of the policies match no line, and the first few."""
    if not scopes:
        return []
    more = ", …" if len(scopes) > _NAMED_SCOPES else ""
    named = ", ".join(scopes[:_NAMED_SCOPES])
    count = "1 part of the policies matches" if len(scopes) == 1 else f"{len(scopes)} parts of the policies match"
    return [f"{count} no line of this plan: {named}{more}."]


def _own_levels(count: int) -> list[str]:
    if not count:
        return []
    some = (
        "1 class, supplier, store or product that sets its"
        if count == 1
        else (f"{count} classes, suppliers, stores or products that set their")
    )
    return [f"The level tried does not reach {some} own service level in the policies."]


def _what_if_cells(row: dict[Any, Any], kind: str) -> list[str]:
    if pd.isna(row[f"lines_{kind}"]):
        return ["0"]
    return [
        f"{row[f'lines_{kind}']:,.0f}",
        f"{row[f'order_units_{kind}']:,.0f}",
        f"{row[f'order_value_{kind}']:,.2f}",
        f"{row[f'lost_margin_avoided_value_{kind}']:,.2f}",
        f"{row[f'expected_waste_units_{kind}']:,.1f}",
        f"{row[f'predicted_service_rate_{kind}']:.3f}",
    ]


def print_checks(checks: Sequence[EntityCheck], *, console: Console) -> bool:
    """Prints a row an entity, problems and remarks; true when nothing must be mended."""
    grid = Grid("entity", "state", "days with rows", "columns")
    for check in checks:
        grid.add_row(check.entity, _state(check), _days(check), str(len(check.found_columns) or ""))
    console.print(grid)
    for check in checks:
        for line in (*check.problems, *_refusals(check), *_remarks(check)):
            console.print(line, soft_wrap=True, markup=False)
    return all(check.is_ok for check in checks)


def _refusals(check: EntityCheck) -> list[str]:
    return [f"{sentence} A run refuses such rows, keeps what they hold and goes on." for sentence in check.refusals]


def _remarks(check: EntityCheck) -> list[str]:
    """What is no mistake, but may be one."""
    given = (("does not give", check.absent_columns), ("gives what is not used:", check.extra_columns))
    return [f"{check.entity} {words} {', '.join(columns)}." for words, columns in given if columns]


def print_proposal(proposal: Proposal, path: Path, *, console: Console) -> None:
    """What was recognised and how surely, what was not, and what to do with the file."""
    grid = Grid("entity", "read from", "how sure", "to look at")
    for binding in proposal.bindings:
        doubts = [*(f"{name} not found" for name in binding.missing), *(f"{name}?" for name in binding.guesses)]
        tables = escape(", ".join(table.label for table in binding.tables))
        grid.add_row(binding.entity.name, tables, binding.confidence, ", ".join(doubts))
    console.print(grid)
    for why in dict.fromkeys(proposal.absent.values()):
        names = ", ".join(name for name, other in proposal.absent.items() if other == why)
        console.print(f"Not bound: {names}: {why}.", soft_wrap=True, markup=False)
    for line in (
        f"Wrote {path}. Next: correct its TODO lines, timezone, country and currency, then",
        f"  RETAIL_SOURCE_MAPPING={path} retail-assets check-source",
    ):
        console.print(line, soft_wrap=True, markup=False)


def _order(line: Any) -> str:
    return (
        f"{line.store_id} {line.product_id}: order {line.order_units:g} from {line.supplier_id} on "
        f"{line.order_date:%a %d %b} for {line.expected_delivery_date:%a %d %b}, "
        f"cost {_money(line.order_value)}. {line.reason}"
    )


def _money(value: Any) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _grid(title: str, frame: pd.DataFrame) -> Grid:
    grid = Grid(*frame.columns, title=title, title_justify="left")
    for row in frame.itertuples(index=False):
        grid.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    return grid


def _state(check: EntityCheck) -> str:
    if not check.is_mapped:
        return "required, not mapped" if check.is_required else "not mapped"
    return "ok" if check.is_ok else "wrong"


def _days(check: EntityCheck) -> str:
    if not check.newest_date:
        return ""
    count = f"{check.day_count} from " if check.day_count is not None else ""
    return f"{count}{check.oldest_date} to {check.newest_date}"
