"""What a backend hands out: rows as columns, untouched, and what it is asked with."""

import datetime as dt
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from retail_assets.sources.conversion import Values
from retail_assets.sources.statement import Statement

Parameters = dict[str, dt.date]
"""Days, and moments as UTC without an offset."""


@dataclass(frozen=True)
class RawBatch:
    """Some rows as columns, in the order of the query.

    Attributes:
        asked: the parameters that gave these rows, where the backend asked in parts.
    """

    names: Sequence[str]
    columns: Sequence[Values]
    asked: Parameters | None = None

    @property
    def row_count(self) -> int:
        return len(self.columns[0]) if self.columns else 0


RawBatches = Generator[RawBatch, None, None]


class Backend(Protocol):
    def batches(
        self, statement: Statement, parameters: Parameters, *, batch_rows: int, by_days: bool = False
    ) -> RawBatches:
        """At least one batch, empty when there are no rows; closing the generator ends the query.

        Args:
            by_days: the rows of a day do not depend on what other days are asked for, so parts of the range from
                `start` to `end` may be read at once, though as of one moment.
        """
        ...


def is_moment(value: dt.date) -> bool:
    return isinstance(value, dt.datetime)


def parameter_text(value: dt.date) -> str:
    """As SQLite keeps it and every server reads it."""
    return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()
