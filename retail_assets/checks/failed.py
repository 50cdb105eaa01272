"""What failed checks say to a person: table, check, figures, examples, and the command that shows the rows.

The command line and the alert read the same evaluations. How a check finds something belongs to its layer's module.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

EXAMPLES, COMMAND, ROWS = "examples", "to see the rows", "failing rows"
"""Names of the metadata of a failed check."""
_NAMED = 3


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass; one that is not serious is a warning."""

    table: str
    name: str
    sentence: str
    examples: str = ""
    command: str = ""
    is_serious: bool = True

    def __str__(self) -> str:
        examples = f" For example {self.examples}." if self.examples else ""
        command = f" To see the rows: {self.command}" if self.command else ""
        return f"{self.table} fails {self.name}: {self.sentence}{examples}{command}"


def failed_checks(evaluations: Iterable[dg.AssetCheckEvaluation]) -> list[FailedCheck]:
    """The checks of these evaluations that did not pass, in their order."""
    return [_failed(evaluation) for evaluation in evaluations if not evaluation.passed]


def one_line(checks: Iterable[FailedCheck]) -> str:
    """The serious ones on one line, the first few by name; empty when there are none."""
    serious = [check for check in checks if check.is_serious]
    more = f" And {len(serious) - _NAMED} more checks fail." if len(serious) > _NAMED else ""
    return " Also ".join(map(str, serious[:_NAMED])) + more


def _failed(evaluation: dg.AssetCheckEvaluation) -> FailedCheck:
    return FailedCheck(
        table="/".join(evaluation.asset_key.path),
        name=evaluation.check_name,
        sentence=evaluation.description or "it did not pass.",
        examples=_text(evaluation, EXAMPLES),
        command=_text(evaluation, COMMAND),
        is_serious=evaluation.severity is dg.AssetCheckSeverity.ERROR,
    )


def _text(evaluation: dg.AssetCheckEvaluation, name: str) -> str:
    found = evaluation.metadata.get(name)
    return str(found.value or "") if found is not None else ""
