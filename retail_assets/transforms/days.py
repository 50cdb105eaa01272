"""Days as tables and as filters."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, tzinfo

import ibis

from retail_assets.windows import Window


def day_table(window: Window, name: str = "business_date") -> ibis.Table:
    """One row a day."""
    return ibis.memtable({name: list(window.days())}, schema={name: "date"})


def day_starts(window: Window, zone: tzinfo) -> ibis.Table:
    """business_date and begins_at: the moment a day begins in the zone, UTC."""
    days = list(window.days())
    moments = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
    schema = {"business_date": "date", "begins_at": "timestamp('UTC', 6)"}
    return ibis.memtable({"business_date": days, "begins_at": moments}, schema=schema)


def within(rows: ibis.Table, days: Window | Sequence[Window], column: str = "business_date") -> ibis.Table:
    """The rows whose date lies in the window, or in one of several."""
    windows = [days] if isinstance(days, Window) else days
    return rows.filter(ibis.or_(*(rows[column].between(w.first, w.last) for w in windows)))
