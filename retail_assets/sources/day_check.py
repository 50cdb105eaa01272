"""Whether a query asked for one day gives all rows of that day: what a moment compared with two dates loses.

A night asks for a few days and a backfill for months, so such a query loses the newest day and the last day of every
month, and no count of what came can show it. Here a day is asked for alone and once more with its neighbours.
"""

import datetime as dt
import re
from dataclasses import dataclass, field

from retail_assets.sources.dialects import until_end
from retail_assets.sources.reading import EntityReader
from retail_assets.windows import Window

_ONE_DAY = dt.timedelta(days=1)
_NAME = r"""(?:[A-Za-z_]\w*|"[^"]+"|`[^`]+`|\[[^\]]+\])"""
_COLUMN = rf"(?<![\w.])({_NAME}(?:\s*\.\s*{_NAME})*)"
_INCLUDED = (rf"{_COLUMN}\s+BETWEEN\s+:start\s+AND\s+:end\b", rf"{_COLUMN}\s*<=\s*:end\b", rf":end\s*>=\s*{_COLUMN}")
_EXCLUDED = (rf"{_COLUMN}\s*<\s*:end\b(?!\s*\+)", rf":end\s*>\s*{_COLUMN}")


@dataclass(frozen=True)
class DayCount:
    """Rows of `day`: `there` are `there_rows` in a query for its neighbours too, `given_rows` in one for it alone.

    `others` are business dates other than the day that came when it was asked for alone.
    """

    day: dt.date
    there_rows: int
    given_rows: int = 0
    others: tuple[dt.date, ...] = field(default=())

    @property
    def is_whole(self) -> bool:
        return self.given_rows >= self.there_rows and not self.others


def count_day(reader: EntityReader, day: dt.date) -> DayCount:
    """Ask for a day with its neighbours first, so that rows that arrive meanwhile make no day look short.

    Raises:
        PermanentFailure, TransientFailure: as `EntityReader.raw_batches`.
    """
    wide = reader.day_counts(Window(day - _ONE_DAY, day + _ONE_DAY))
    if not wide.get(day):
        return DayCount(day, 0)
    alone = reader.day_counts(Window(day, day))
    return DayCount(day, wide[day], alone.get(day, 0), tuple(sorted(set(alone) - {day})))


def days_to_count(oldest: dt.date, newest: dt.date) -> list[dt.date]:
    """Several days of a span: the newest, the last of the month before it, one in the middle and the oldest."""
    month_end = newest.replace(day=1) - _ONE_DAY
    middle = oldest + (newest - oldest) // 2
    return [day for day in dict.fromkeys((newest, month_end, middle, oldest)) if oldest <= day <= newest]


def lost_sentence(reader: EntityReader, counts: list[DayCount], *, newest: dt.date | None = None) -> str | None:
    """What the first day that is not whole shows, its cause and the mend; None when every day is whole.

    Args:
        newest: the newest day of the source, where it is known.
    """
    found = next((count for count in counts if not count.is_whole), None)
    if found is None:
        return None
    if found.others:
        return (
            f"{reader.label}: asked for {found.day}, the query gives business dates from {found.others[0]} to "
            f"{found.others[-1]}; compare that same column with :start and :end."
        )
    day = f"the newest day {found.day}" if found.day == newest else str(found.day)
    given = f"{found.given_rows} of them" if found.given_rows else "none of them"
    return (
        f"{reader.label}: {day} has {found.there_rows} rows but the query returns {given} when it is asked for that "
        f"day alone: {_cause(reader)}."
    )


def _cause(reader: EntityReader) -> str:
    query = reader.binding.statement.rendered(lambda name: f":{name}")
    included, excluded = _first(_INCLUDED, query), _first(_EXCLUDED, query)
    if excluded and not included:
        return f":end is included but the query stops before it; write {until_end(excluded, reader.dialect)}"
    if included:
        return f"`{included}` is a moment, compare its date: {until_end(included, reader.dialect)}"
    return "it compares :start and :end with something else than the date it gives as business_date; compare that date"


def _first(patterns: tuple[str, ...], query: str) -> str | None:
    found = (re.search(pattern, query, re.IGNORECASE) for pattern in patterns)
    return next((match[1] for match in found if match), None)
