"""What a database must offer to be a warehouse, and the words and queries all of them share.

Every backend builds its tables from the contract under the schema `retail`.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from retail_assets.failures import PermanentFailure
from retail_assets.resources.warehouses.rows import CheckedRows
from retail_assets.tables.contract import Column, Table
from retail_assets.windows import Window

SCHEMA = "retail"
SETTING = "RETAIL_WAREHOUSE_URL"
ADVICE = f"compare the tables of its schema {SCHEMA} with docs/tables.md"
COLUMNS_QUERY = "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}"


class Transaction(Protocol):
    """One open transaction: committed when its `with` block ends, rolled back when that raises."""

    def delete(self, table: Table, window: Window | None) -> int: ...

    def insert(self, table: Table, rows: CheckedRows) -> None: ...

    def count(self, table: Table, window: Window | None) -> int: ...


class Backend(Protocol):
    """One database. `place` names it to people, without a password."""

    @property
    def place(self) -> str: ...

    def prepare(self, table: Table) -> None:
        """Create what is missing, nullable columns too, in a transaction of its own; refuse other columns."""
        ...

    def staged(self, table: Table, rows: CheckedRows) -> AbstractContextManager[None]:
        """Bring the rows near, before any is deleted; what was brought is removed at the end of the block."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def row_count(self, table: Table, window: Window | None) -> int: ...


def columns_to_add(table: Table, held: Iterable[str]) -> list[Column]:
    """Nullable columns of the contract that the stored table has not got yet, as after an upgrade.

    Raises:
        PermanentFailure: the table lacks other columns or has unknown ones; it was created from another contract.
    """
    names = set(held)
    missing = [column for column in table.columns if column.name not in names]
    required = sorted(column.name for column in missing if not column.nullable)
    unknown = sorted(names - set(table.column_names))
    if required or unknown:
        raise PermanentFailure(
            f"Warehouse table {SCHEMA}.{table.name} lacks the columns {required} and has the unknown columns "
            f"{unknown}; drop it and load its dates again."
        )
    return missing
