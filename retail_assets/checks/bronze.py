"""Bronze: did the source deliver, and in the types it promised?"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import ibis

from retail_assets.checks.declare import Finding, Rows, TableCheck, layer_checks
from retail_assets.tables import bronze
from retail_assets.tables.contract import Table
from retail_assets.transforms.extraction import kept_sentence
from retail_assets.windows import Window

UNPARSED_LIMIT = 0.05
_EXAMPLES = 3
_USUAL_DAYS = 28


def values_fit(table: Table) -> TableCheck:
    """A column that changed its type must not empty a day: such a day stops here."""

    def find(rows: Rows) -> Finding:
        delivered = rows.of(table)
        days = delivered.group_by("business_date").aggregate(
            rows=delivered.count(), unparsed=delivered.unparsed.count()
        )
        counted = days.order_by("business_date").to_pandas()
        broken = counted.loc[counted["unparsed"] > UNPARSED_LIMIT * counted["rows"], "business_date"]
        day = f"{broken.iloc[0]:%Y-%m-%d}" if len(broken) else ""
        first = f", the first on {day}" if day else ""
        return Finding(
            passed=broken.empty,
            sentence=f"On {len(broken)} days more than {UNPARSED_LIMIT:.0%} of the rows hold a misfit{first}.",
            figures={"rows": int(counted["rows"].sum()), "unparsed_rows": int(counted["unparsed"].sum())},
            examples=_misfits(delivered, day) if day else "",
            rows_at=f"{table.path} --where business_date={day} --where unparsed!=" if day else "",
        )

    return TableCheck(table, "values_fit_their_types", f"At most {UNPARSED_LIMIT:.0%} of the rows hold a misfit.", find)


def _misfits(delivered: ibis.Table, day: str) -> str:
    """The texts of a few values that fit no type, by column."""
    of_day = delivered.filter(delivered.business_date == ibis.date(day), delivered.unparsed.notnull())
    texts = of_day.select("unparsed").distinct().order_by("unparsed").limit(_EXAMPLES).to_pyarrow()
    return ", ".join(texts.column("unparsed").to_pylist())


def newest_day_arrived(table: Table, *, usual_rows: int = 1) -> TableCheck:
    """A warning: the newest day of the run has no row and such days have some, as where a feed is late.

    A feed of events whose days hold fewer than `usual_rows` on average may lack a day by chance.
    """

    def find(rows: Rows) -> Finding:
        newest = max((window.last for window in rows.windows or []), default=None)
        count = _rows_by_day(rows, table, newest) if newest else Counter()
        days = sorted(count)
        is_feed = count.total() >= usual_rows * len(days)
        is_missing = newest not in count and is_feed and _is_usual(newest, days) if newest and days else False
        sentence = f"No row arrived for {newest}; the newest with rows is {days[-1]}." if is_missing else ""
        return Finding(
            passed=not is_missing,
            sentence=sentence or "The newest day has rows where such days have.",
            is_serious=False,
        )

    return TableCheck(table, "newest_day_arrived", "The newest day has rows where days before it have.", find)


def _rows_by_day(rows: Rows, table: Table, newest: date) -> Counter[date]:
    """Of the newest day and the four weeks before it; a day without rows is absent."""
    weeks = rows.engine.scan(table, [Window(newest - timedelta(days=_USUAL_DAYS), newest)])
    counted = weeks.group_by("business_date").agg(rows=weeks.count()).to_pyarrow()
    return Counter(dict(zip(counted["business_date"].to_pylist(), counted["rows"].to_pylist(), strict=True)))


def _is_usual(newest: date, days: Sequence[date]) -> bool:
    """Whether most days of that weekday have rows, and at most one of all days up to the last with rows is unlike."""
    before = [days[0] + timedelta(days=count) for count in range((days[-1] - days[0]).days + 1)]
    count, filled = (Counter(day.weekday() for day in known) for known in (before, days))
    is_unlike = [(day in days) != (2 * filled[day.weekday()] > count[day.weekday()]) for day in before]
    return 2 * filled[newest.weekday()] >= count[newest.weekday()] and sum(is_unlike) <= 1


def sales_arrived(rows: Rows) -> Finding:
    """A day without any line is suspicious, but stores may be closed: a warning."""
    lines = rows.of(bronze.SALES)
    days = lines.business_date.nunique().to_pyarrow().as_py()
    asked = sum(len(window) for window in rows.windows or [])
    return Finding(
        passed=days == asked,
        sentence=f"Sales arrived for {days} of {asked} days.",
        is_serious=False,
        figures={"days_asked": asked, "days_with_sales": days},
    )


def days_did_not_come_empty(table: Table) -> TableCheck:
    """A warning: the stored rows of such days were kept, and only an operator knows whether they are to go."""

    def find(rows: Rows) -> Finding:
        counted = rows.known(bronze.EXTRACTED_DAYS)
        kept = counted.filter(counted.table_name == table.path, counted.kept_at.notnull())
        days = sorted(kept.business_date.to_pyarrow().to_pylist())
        return Finding(
            passed=not days,
            sentence=kept_sentence(table, days) if days else "No day with stored rows came empty.",
            is_serious=False,
            figures={"days_kept": len(days)},
            listed={"kept_days": {"days": [str(day) for day in days]}},
        )

    return TableCheck(table, "days_did_not_come_empty", "The source still has rows of every stored day.", find)


STOCK_MOVEMENTS_ARRIVED = newest_day_arrived(bronze.STOCK_MOVEMENTS, usual_rows=10)
"""Of ten independent movements a day, one day in 20,000 has none by chance."""

CHECKS = [
    layer_checks(
        "bronze_checks",
        [
            *(values_fit(table) for table in bronze.DAILY),
            *(days_did_not_come_empty(table) for table in bronze.DAILY),
            newest_day_arrived(bronze.INVENTORY),
            STOCK_MOVEMENTS_ARRIVED,
            TableCheck(bronze.SALES, "sales_arrived", "Every day has sales.", sales_arrived),
        ],
    )
]
