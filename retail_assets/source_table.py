"""How the findings of `check-source` look on the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as Grid

from retail_assets.sources.source_check import EntityCheck


def print_checks(checks: Sequence[EntityCheck], *, console: Console) -> bool:
    """Prints a row an entity and its problems; true when nothing must be mended."""
    grid = Grid("entity", "state", "days", "columns", "not delivered")
    for check in checks:
        grid.add_row(
            check.entity, _state(check), _days(check), str(len(check.found_columns)), ", ".join(check.absent_columns)
        )
    console.print(grid)
    for check in checks:
        for problem in check.problems:
            console.print(f"{check.entity}: {problem}")
    return all(check.is_ok for check in checks)


def _state(check: EntityCheck) -> str:
    if not check.is_mapped:
        return "required, not mapped" if check.is_required else "not mapped"
    return "ok" if check.is_ok else "wrong"


def _days(check: EntityCheck) -> str:
    return f"{check.oldest_date} … {check.newest_date}" if check.newest_date else ""
