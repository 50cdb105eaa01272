"""What the UI shows of an asset, from its table's contract; and the source tables as external assets."""

import re
from collections.abc import Mapping as Map
from dataclasses import dataclass

import dagster as dg

from retail_assets.io_managers import described
from retail_assets.settings import Settings
from retail_assets.sources.mapping import Mapping
from retail_assets.tables import forecast
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Column, Partitioning, Table
from retail_assets.tables.warehouse import PUBLISHED
from retail_assets.transforms.lineage import own_columns

LAYER_TAG, PERSONAL_TAG = "retail/layer", "retail/personal_data"
"""Tags to select assets by in the UI: the layer, and whether a column tells something of a person."""

DOCUMENTATION = "documentation"
_MEDALS = {"bronze", "silver", "gold"}
_BY_MODEL = {
    forecast.DEMAND_MODEL.path: "mlflow",
    forecast.BACKTEST_LOSSES.path: "mlflow",
    forecast.MODEL_VERSIONS.path: "mlflow",
}
_DATABASES = {"mssql": "sqlserver"}
"""Dagster's names of databases where they are not SQLAlchemy's."""

_OWNERS = {
    "source": "team:data-engineering",
    "bronze": "team:data-engineering",
    "silver": "team:data-engineering",
    "gold": "team:data-engineering",
    "forecast": "team:data-science",
    "inventory": "team:planning",
    "operations": "team:data-engineering",
    "warehouse": "team:data-engineering",
}


@dataclass(frozen=True)
class Systems:
    """What holds and computes the tables, by the names that Dagster has icons for."""

    source: str
    engine: str
    warehouse: str

    @classmethod
    def of(cls, settings: Settings) -> "Systems":
        """From the settings as they are written; a secret of a vault is not fetched for an icon."""
        urls = (settings.source_url, settings.warehouse_url)
        source, warehouse = ("" if url is None else url.get_secret_value() for url in urls)
        return cls(_database(source or "sqlite:"), settings.engine, _database(warehouse or "duckdb:"))

    def kinds(self, table: Table) -> set[str]:
        """At most three, which Dagster shows."""
        if table.layer == "warehouse":
            return {"table", self.warehouse}
        third = {table.layer} & _MEDALS or ({_BY_MODEL[table.path]} if table.path in _BY_MODEL else set())
        return {"deltalake", self.engine, *third}


def _database(url: str) -> str:
    """Kind of a SQLAlchemy URL; `sql` of a reference to a vault."""
    if url.startswith("kv:"):
        return "sql"
    if ".azuresynapse.net" in url or "synapse=" in url:
        return "synapse"
    name = re.split(r"[+:]", url, maxsplit=1)[0]
    return _DATABASES.get(name, name)


def described_spec(
    spec: dg.AssetSpec, kinds: dict[Partitioning, dg.PartitionsDefinition | None], mapping: Mapping, systems: Systems
) -> dg.AssetSpec:
    """The spec with partitions, group, owner, description, tags, columns and, in bronze, its source tables."""
    table = table_at("/".join(spec.key.path))
    complete = spec.replace_attributes(
        partitions_def=kinds[table.partitioning],
        group_name=table.layer,
        description=f"{table.meaning}\n\nGrain: {table.grain}.",
        owners=[_OWNERS[table.layer]],
        kinds=systems.kinds(table),
    )
    tags = {LAYER_TAG: table.layer} | ({PERSONAL_TAG: "true"} if table.personal else {})
    return complete.merge_attributes(metadata=_metadata(table), tags=tags, deps=_source_keys(table, mapping))


def _metadata(table: Table) -> Map[str, object]:
    section = "the table of the same name in its layer" if table.layer == "warehouse" else table.path
    shown = {
        "dagster/column_schema": column_schema(table),
        DOCUMENTATION: dg.MetadataValue.text(f"docs/tables.md, {section}"),
    }
    return {**shown, **(_copied_columns(table) if table.layer == "warehouse" else {})}


def _copied_columns(table: Table) -> described.Metadata:
    """A copy in the warehouse has the columns of its table in the lake in every run."""
    original = next(published for published in PUBLISHED if published.name == table.name)
    return described.lineage(table, own_columns(original))


def column_schema(table: Table) -> dg.TableSchema:
    """The contract's columns for the UI."""
    return dg.TableSchema(columns=[_column(table, column) for column in table.columns])


def source_specs(mapping: Mapping, systems: Systems) -> list[dg.AssetSpec]:
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
            kinds={"source", systems.source},
            owners=[_OWNERS["source"]],
            tags={LAYER_TAG: "source"},
            metadata={DOCUMENTATION: dg.MetadataValue.text("docs/connecting-a-source.md")},
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
        constraints=dg.TableColumnConstraints(
            nullable=column.nullable, unique=table.key == (column.name,), other=_limits(column)
        ),
        tags={"personal": ""} if column.name in table.personal else {},
    )


def _limits(column: Column) -> list[str]:
    """What the checks hold a column to, in words."""
    least, most = column.bounds
    limits = [f"at least {least:g}"] if least is not None else []
    limits += [f"at most {most:g}"] if most is not None else []
    return limits + ([f"one of {', '.join(column.allowed)}"] if column.allowed else [])
