"""Sales lines that seem to have moved: the run stored them on one day, and another day, read earlier, holds them too.

Silver's key is day and line, so such a line counts on both days until the older one is read again. The sensor
`ingest_moved_days` asks for that; the check only warns.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import ibis

from retail_assets.checks.declare import Finding, Rows, TableCheck
from retail_assets.tables import silver
from retail_assets.windows import Window, runs_of

MOVED_WITHIN_DAYS = 92
"""Older days than that are not searched: their books are closed, and no night reads the ids of the whole history."""

_LONGEST_RUN = timedelta(hours=12)
"""Days of one run that were read further apart were not read by it: silver was made again from what bronze held."""

DAYS_NAMED = 31
CHECK_NAME = "lines_are_on_one_day"
OLDER_DAYS = "older_days"
"""Metadata: by day, how many of its lines the run stored on another one, and the first and last of them."""

_LINE = ("sale_line_id", "store_id", "product_id")


class OlderDay(NamedTuple):
    day: date
    lines: int
    first: str
    last: str


def lines_are_on_one_day() -> TableCheck:
    """No line of the written days is stored on another day as well that was read earlier."""
    meaning = f"No line lies on an earlier read day within {MOVED_WITHIN_DAYS} days too."
    return TableCheck(silver.SALES, CHECK_NAME, meaning, _find)


def _find(rows: Rows) -> Finding:
    found = _older_days(rows, rows.windows) if rows.windows else []
    named, count = found[:DAYS_NAMED], sum(older.lines for older in found)
    days = f" ({', '.join(str(older.day) for older in named)}{' …' if len(found) > DAYS_NAMED else ''})"
    return Finding(
        passed=not found,
        sentence=f"{count} lines also lie on {len(found)} days that were read earlier{days if found else ''}.",
        is_serious=False,
        figures={"lines": count, "days": len(found)},
        listed={OLDER_DAYS: {str(o.day): {"lines": o.lines, "first": o.first, "last": o.last} for o in named}},
    )


def _older_days(rows: Rows, windows: Sequence[Window]) -> list[OlderDay]:
    """The lines of a written month meet those of the older days around it: never the history with itself."""
    around = [window.extended(days_before=MOVED_WITHIN_DAYS, days_after=MOVED_WITHIN_DAYS) for window in windows]
    read_at = _read_at(rows.engine.scan(silver.SALES, around))
    found: dict[date, OlderDay] = {}
    for month in (part for window in windows for part in window.by_month()):
        older = _read_before(month, read_at, windows)
        for met in _met(rows, month, older) if older else []:
            known = found.get(met.day, OlderDay(met.day, 0, met.first, met.last))
            found[met.day] = OlderDay(
                met.day, known.lines + met.lines, min(known.first, met.first), max(known.last, met.last)
            )
    return [found[day] for day in sorted(found)]


def _read_at(stored: ibis.Table) -> dict[date, datetime]:
    days = stored.group_by("business_date").aggregate(read_at=stored.extracted_at.max())
    return {row["business_date"]: row["read_at"] for row in days.to_pyarrow().to_pylist()}


def _read_before(month: Window, read_at: Mapping[date, datetime], windows: Sequence[Window]) -> list[date]:
    """Days around the written ones that were read earlier; not those of the same run, which are as fresh."""
    newest = max((read_at[day] for day in month.days() if day in read_at), default=None)
    if newest is None:
        return []
    around = month.extended(days_before=MOVED_WITHIN_DAYS, days_after=MOVED_WITHIN_DAYS)
    written = {day for window in windows for day in window.days()}
    return [
        day
        for day in around.days()
        if day in read_at and read_at[day] < (newest - _LONGEST_RUN if day in written else newest)
    ]


def _met(rows: Rows, month: Window, older: Sequence[date]) -> list[OlderDay]:
    columns = ["business_date", *_LINE, "extracted_at"]
    written = rows.engine.scan(silver.SALES, [month]).select(columns)
    newest = written.group_by(_LINE).aggregate(read_at=written.extracted_at.max())
    stored = rows.engine.scan(silver.SALES, runs_of(older)).select(columns)
    met = stored.inner_join(newest, _LINE).filter(ibis._.extracted_at < ibis._.read_at)
    ids = met.sale_line_id
    counted = met.group_by("business_date").aggregate(lines=met.count(), first=ids.min(), last=ids.max())
    return [OlderDay(*row.values()) for row in counted.to_pyarrow().to_pylist()]
