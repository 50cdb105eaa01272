"""Silver: keys, the share refused, and no row lost between bronze and silver."""

from retail_assets.checks.contract import unique_keys
from retail_assets.checks.declare import Finding, Rows, TableCheck, layer_checks
from retail_assets.tables import bronze, silver
from retail_assets.tables.contract import Table

REJECTED_WARNING, REJECTED_LIMIT = 0.02, 0.2


def nothing_is_lost(raw: Table, table: Table) -> TableCheck:
    """Rows of bronze = rows of silver + rows refused."""

    def find(rows: Rows) -> Finding:
        refused = rows.of(silver.REJECTED_ROWS)
        given = rows.of(raw).count().to_pyarrow().as_py()
        taken = rows.of(table).count().to_pyarrow().as_py()
        rejected = refused.filter(refused.table_name == raw.path).count().to_pyarrow().as_py()
        return Finding(
            passed=given == taken + rejected,
            sentence=f"{given} rows in bronze, {taken} taken over, {rejected} refused.",
            figures={"bronze_rows": given, "silver_rows": taken, "rejected_rows": rejected},
        )

    return TableCheck(table, "nothing_is_lost", "Bronze rows are taken over or refused with a reason.", find)


def refusals_are_few(raw: Table, table: Table) -> TableCheck:
    """Warns from 2 % of refused rows and stops from 20 %."""

    def find(rows: Rows) -> Finding:
        refused = rows.of(silver.REJECTED_ROWS)
        given = rows.of(raw).count().to_pyarrow().as_py()
        rejected = refused.filter(refused.table_name == raw.path).count().to_pyarrow().as_py()
        rate = rejected / given if given else 0.0
        return Finding(
            passed=rate <= REJECTED_WARNING,
            sentence=f"{rate:.2%} of {given} rows refused (warning {REJECTED_WARNING:.0%}, stop {REJECTED_LIMIT:.0%}).",
            is_serious=rate > REJECTED_LIMIT,
            figures={"rejected_rate": rate},
        )

    return TableCheck(table, "refusals_are_few", "Few rows are refused.", find)


_PAIRS = ((bronze.SALES, silver.SALES), (bronze.INVENTORY, silver.INVENTORY))
CHECKS = [
    layer_checks(
        "silver_checks",
        [
            *unique_keys(silver.SALES, silver.INVENTORY, *silver.SNAPSHOTS),
            *(nothing_is_lost(*pair) for pair in _PAIRS),
            *(refusals_are_few(*pair) for pair in _PAIRS),
        ],
    )
]
