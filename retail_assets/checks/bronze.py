"""Bronze: did the source deliver, and in the types it promised?"""

import ibis

from retail_assets.checks.declare import Finding, Rows, TableCheck, layer_checks
from retail_assets.tables import bronze
from retail_assets.tables.contract import Table
from retail_assets.transforms.extraction import kept_sentence

UNPARSED_LIMIT = 0.05
_EXAMPLES = 3


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


def newest_day_arrived(table: Table) -> TableCheck:
    """A warning: days before the newest one of the run have rows and it has none, as where a feed is late."""

    def find(rows: Rows) -> Finding:
        days = set(rows.of(table).select("business_date").distinct().to_pyarrow().column(0).to_pylist())
        newest = max((window.last for window in rows.windows or []), default=None)
        is_missing = bool(days) and newest is not None and newest not in days
        had = f"; the newest with rows is {max(days)}" if days else ""
        return Finding(
            passed=not is_missing,
            sentence=f"No row arrived for {newest}{had}." if is_missing else "The newest day has rows as others have.",
            is_serious=False,
        )

    return TableCheck(table, "newest_day_arrived", "The newest day has rows where days before it have.", find)


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


CHECKS = [
    layer_checks(
        "bronze_checks",
        [
            *(values_fit(table) for table in bronze.DAILY),
            *(days_did_not_come_empty(table) for table in bronze.DAILY),
            *(newest_day_arrived(table) for table in (bronze.INVENTORY, bronze.STOCK_MOVEMENTS)),
            TableCheck(bronze.SALES, "sales_arrived", "Every day has sales.", sales_arrived),
        ],
    )
]
