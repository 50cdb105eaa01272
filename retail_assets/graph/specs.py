"""What the UI shows of an asset, from its table's contract; and the source tables as external assets."""

import re

import dagster as dg

from retail_assets.sources.mapping import Mapping
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Column, Partitioning, Table

_OWNERS = {
    "bronze": "team:data-engineering",
    "silver": "team:data-engineering",
    "gold": "team:data-engineering",
    "forecast": "team:data-science",
    "inventory": "team:planning",
    "operations": "team:data-engineering",
    "warehouse": "team:data-engineering",
}


def described_spec(
    spec: dg.AssetSpec, kinds: dict[Partitioning, dg.PartitionsDefinition | None], mapping: Mapping
) -> dg.AssetSpec:
    """The spec with partitions, group, owner, description, columns and, in bronze, its source tables."""
    table = table_at("/".join(spec.key.path))
    complete = spec.replace_attributes(
        partitions_def=kinds[table.partitioning],
        group_name=table.layer,
        description=f"{table.meaning}\n\nGrain: {table.grain}.",
        owners=[_OWNERS[table.layer]],
        kinds={"delta"} if table.layer != "warehouse" else {"table"},
    )
    return complete.merge_attributes(
        metadata={"dagster/column_schema": column_schema(table)}, deps=_source_keys(table, mapping)
    )


def column_schema(table: Table) -> dg.TableSchema:
    """The contract's columns for the UI."""
    return dg.TableSchema(columns=[_column(table, column) for column in table.columns])


def source_specs(mapping: Mapping) -> list[dg.AssetSpec]:
    """One external asset a source table, so that lineage starts at the operational database."""
    names: dict[dg.AssetKey, set[str]] = {}
    for binding in mapping.entities.values():
        for name in binding.source_tables:
            names.setdefault(_source_key(name), set()).add(name)
    return [
        dg.AssetSpec(
            key,
            group_name="source",
            description=f"Table {', '.join(sorted(names[key]))} of the operational database, read through the mapping "
            f"{mapping.name}.",
            kinds={"sql"},
        )
        for key in sorted(names, key=dg.AssetKey.to_user_string)
    ]


def _source_key(name: str) -> dg.AssetKey:
    """`Sales.Order Details` is source/Sales_Order_Details: Dagster names inputs after keys, in ASCII letters only."""
    return dg.AssetKey(["source", re.sub(r"\W", "_", name, flags=re.ASCII)])


def _source_keys(table: Table, mapping: Mapping) -> list[dg.AssetKey]:
    binding = mapping.entities.get(table.name) if table.layer == "bronze" else None
    return list(dict.fromkeys(map(_source_key, binding.source_tables))) if binding else []


def _column(table: Table, column: Column) -> dg.TableColumn:
    meaning = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
    return dg.TableColumn(
        name=column.name,
        type=str(column.type),
        description=meaning,
        constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (column.name,)),
    )
