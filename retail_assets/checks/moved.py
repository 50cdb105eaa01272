"""Sales lines that seem to have moved: the run stored them on one day, and another day, read earlier, holds them too.

Silver's key is day and line, so such a line counts on both days until the older one is read again. The sensor
`ingest_moved_days` asks for that; the check only warns.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import ibis

from retail_assets.checks.declare import Finding, Rows, TableCheck
from retail_assets.tables import silver
from retail_assets.transforms.days import within
from retail_assets.windows import Window

MOVED_WITHIN_DAYS = 92
"""Older days than that are not searched: their books are closed, and no night reads the ids of the whole history."""

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
    """The written lines grouped once, then met by the lines around them: never the history with itself."""
    around = [window.extended(days_before=MOVED_WITHIN_DAYS, days_after=MOVED_WITHIN_DAYS) for window in windows]
    stored = rows.engine.scan(silver.SALES, around).select("business_date", *_LINE, "extracted_at")
    written = within(stored, windows).group_by(_LINE).aggregate(read_at=ibis._.extracted_at.max())
    met = stored.inner_join(written, _LINE).filter(ibis._.extracted_at < ibis._.read_at)
    ids = met.sale_line_id
    counted = met.group_by("business_date").aggregate(lines=met.count(), first=ids.min(), last=ids.max())
    return [OlderDay(*row.values()) for row in counted.order_by("business_date").to_pyarrow().to_pylist()]
