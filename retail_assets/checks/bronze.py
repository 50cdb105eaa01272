"""Bronze: did the source deliver, and in the types it promised?"""

from retail_assets.checks.declare import Finding, Rows, TableCheck, layer_checks
from retail_assets.tables import bronze
from retail_assets.tables.contract import Table

UNPARSED_LIMIT = 0.05


def values_fit(table: Table) -> TableCheck:
    """A column that changed its type must not empty a day: such a day stops here."""

    def find(rows: Rows) -> Finding:
        delivered = rows.of(table)
        counted = (
            delivered.aggregate(all=delivered.count(), unparsed=delivered.unparsed.count()).to_pyarrow().to_pylist()
        )
        total, unparsed = counted[0]["all"], counted[0]["unparsed"]
        return Finding(
            passed=unparsed <= UNPARSED_LIMIT * total,
            sentence=f"{unparsed} of {total} rows hold a value that does not fit (limit {UNPARSED_LIMIT:.0%}).",
            figures={"rows": total, "unparsed_rows": unparsed},
        )

    return TableCheck(table, "values_fit_their_types", f"At most {UNPARSED_LIMIT:.0%} of the rows hold a misfit.", find)


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


CHECKS = [
    layer_checks(
        "bronze_checks",
        [
            *(values_fit(table) for table in bronze.DAILY),
            TableCheck(bronze.SALES, "sales_arrived", "Every day has sales.", sales_arrived),
        ],
    )
]
