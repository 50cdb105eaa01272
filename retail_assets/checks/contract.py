"""Checks every table has by its contract: the key is unique."""

from retail_assets.checks.declare import Finding, Rows, TableCheck
from retail_assets.tables.contract import Table


def key_is_unique(table: Table) -> TableCheck:
    """No two rows of the run's partitions share the key."""

    def find(rows: Rows) -> Finding:
        table_rows = rows.of(table)
        grouped = table_rows.group_by(list(table.key)).aggregate(copies=table_rows.count())
        repeated = grouped.filter(grouped.copies > 1).count().to_pyarrow().as_py()
        return Finding(
            passed=repeated == 0,
            sentence=f"{repeated} keys ({', '.join(table.key)}) occur more than once.",
            figures={"repeated_keys": repeated},
        )

    return TableCheck(table, "key_is_unique", f"({', '.join(table.key)}) is unique.", find)


def unique_keys(*tables: Table) -> list[TableCheck]:
    return [key_is_unique(table) for table in tables if table.key]
