"""Days as tables and as filters."""

from collections.abc import Sequence

import ibis

from retail_assets.windows import Window


def day_table(window: Window, name: str = "business_date") -> ibis.Table:
    """One row a day."""
    return ibis.memtable({name: list(window.days())}, schema={name: "date"})


def within(rows: ibis.Table, days: Window | Sequence[Window], column: str = "business_date") -> ibis.Table:
    """The rows whose date lies in the window, or in one of several."""
    windows = [days] if isinstance(days, Window) else days
    return rows.filter(ibis.or_(*(rows[column].between(w.first, w.last) for w in windows)))
