"""The contract against the table as it is stored: columns may be added or become nullable, all else is refused.

Whoever writes calls `evolved`, whoever scans `refuse_unreadable`. Rows are never rewritten here: a refusal says
which command or call does it.
"""

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.schema import Field

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN, Column, Layout, Partitioning, Table


def physical_columns(table: Table) -> list[str]:
    """The columns that name the folders of the table's files."""
    if table.layout is Layout.MONTH:
        return [MONTH_COLUMN]
    return [str(table.partition_column)] if table.layout is Layout.DAY else []


def physical_schema(table: Table) -> pa.Schema:
    """The stored columns: the contract's, and the month where that names the folders."""
    if table.layout is not Layout.MONTH:
        return table.schema
    return table.schema.append(pa.field(MONTH_COLUMN, pa.string(), nullable=False))


def evolved(lake: Lake, table: Table, delta: DeltaTable) -> DeltaTable:
    """The table with the contract's new nullable columns, where older rows hold nulls, and without old requirements.

    Raises:
        PermanentFailure: the contract differs in another way; the table is as it was.
        CommitFailedError: somebody else committed meanwhile; open the table again.
    """
    stored = pa.schema(delta.schema())
    differences = [
        *_unreadable(table, stored),
        *_unwritable(table, stored),
        *_folders(table, delta.metadata().partition_columns),
    ]
    if differences:
        raise PermanentFailure(_refusal(lake, table, delta, differences))
    new = [field for field in table.schema if field.name not in stored.names]
    freed = [field.name for field in table.schema if field.name in stored.names and _is_freed(field, stored)]
    if new:
        delta.alter.add_columns([Field.from_arrow(field) for field in new])
    for name in freed:
        lake.require(table).alter.drop_column_not_null(name)
    return lake.require(table) if new or freed else delta


def refuse_unreadable(lake: Lake, table: Table, delta: DeltaTable) -> None:
    """Let a scan pass where the contract's columns are there or may be null.

    A column that only the table has does not hinder reading: a newer program may have added it.

    Raises:
        PermanentFailure: a required column is not there, or a column has another type.
    """
    differences = _unreadable(table, pa.schema(delta.schema()))
    if differences:
        raise PermanentFailure(_refusal(lake, table, delta, differences))


def _unreadable(table: Table, stored: pa.Schema) -> list[str]:
    return [text for column in table.columns if (text := _unreadable_column(column, stored))]


def _unreadable_column(column: Column, stored: pa.Schema) -> str:
    if column.name not in stored.names:
        return "" if column.nullable else f"the required column {column.name} is new"
    found = stored.field(column.name).type
    return "" if found == column.type else f"{column.name} is {found} there and {column.type} in the contract"


def _unwritable(table: Table, stored: pa.Schema) -> list[str]:
    wanted = physical_schema(table)
    gone = [f"{name} is not in the contract" for name in stored.names if name not in wanted.names]
    both = [(field, stored.field(field.name)) for field in wanted if field.name in stored.names]
    return gone + [
        f"{field.name} is nullable there and required in the contract"
        for field, found in both
        if found.nullable and not field.nullable
    ]


def _is_freed(field: pa.Field, stored: pa.Schema) -> bool:
    """Whether the contract no longer requires what the stored table requires."""
    return field.nullable and not stored.field(field.name).nullable


def _folders(table: Table, found: list[str]) -> list[str]:
    wanted = physical_columns(table)
    if found == wanted:
        return []
    return [f"its folders are by {', '.join(found) or 'nothing'} and by {', '.join(wanted) or 'nothing'} in the layout"]


def _refusal(lake: Lake, table: Table, delta: DeltaTable, differences: list[str]) -> str:
    return (
        f"The table {table.path} in {shown(lake.uri)} was made from another contract ({'; '.join(differences)}) and "
        f"was left as it is: {_migration(lake, table, delta)}."
    )


def _migration(lake: Lake, table: Table, delta: DeltaTable) -> str:
    uri = lake.table_uri(table)
    if table.layer == "bronze" and table.partitioning is Partitioning.NONE:
        return (
            "the source no longer has the history it holds, so take the change back or rewrite its rows with "
            f"deltalake.write_deltalake({uri!r}, rows, mode='overwrite', schema_mode='overwrite')"
        )
    command = f"move {uri} aside and make it again with retail-assets run --again{_dates(table, delta)}"
    if table.partition_column == "as_of_date":
        return f"{command} --restate, which makes live forecasts anew as backfill"
    return command


def _dates(table: Table, delta: DeltaTable) -> str:
    """The options for the days it holds, by the statistics of its files."""
    if table.partition_column is None:
        return ""
    actions = pa.table(delta.get_add_actions(flatten=True))
    prefixes = ("partition.", "partition.") if table.layout is Layout.DAY else ("min.", "max.")
    names = [prefix + table.partition_column for prefix in prefixes]
    if not actions.num_rows or any(name not in actions.column_names for name in names):
        return ""
    first, last = (actions.column(name).to_pylist() for name in names)
    return f" --from {min(first)} --to {max(last)}"
