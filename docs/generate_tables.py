"""Writes docs/tables.md from the table contracts, and docs/entities.md and docs/mapping.schema.json from the entities.

Usage: python docs/generate_tables.py
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from retail_assets.sources.mapping_schema import SCHEMA_NAME, schema_text, type_name
from retail_assets.tables import catalog, entities
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity

TARGET = Path(__file__).with_name("tables.md")
SCHEMA_TARGET = Path(__file__).with_name(SCHEMA_NAME)
ENTITIES_TARGET = Path(__file__).with_name("entities.md")


def dictionary() -> str:
    """The whole document."""
    lines = [
        "# Tables",
        "",
        "Generated from `retail_assets/tables` by `make docs`; do not edit.",
        "The warehouse holds copies of gold, forecast and inventory tables under the same names.",
    ]
    for table in catalog.LAKE_TABLES:
        lines += ["", *_section(table)]
    return "\n".join(lines) + "\n"


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.path}"
    yield ""
    yield table.meaning
    yield ""
    yield f"- Grain: {table.grain}. Key: {', '.join(table.key) or 'none'}."
    partition = f"{table.partitioning.value} by {table.partition_column}" if table.partition_column else "none"
    kept = f" Kept {table.retention_days} days." if table.retention_days else ""
    yield f"- Partitions: {partition}; files: {table.layout.value}, sorted by {', '.join(table.sort_by)}.{kept}"
    if table.quality:
        quality = table.quality
        yield f"- Refused rows: a warning from {quality.warn_rate:.0%} of a run, a stop from {quality.stop_rate:.0%}."
    if table.personal:
        yield f"- Of a person, so neither sampled nor shown by checks: {', '.join(table.personal)}."
    if table.references:
        known = (f"{reference.column} in {reference.path}" for reference in table.references)
        yield f"- Refers to: {', '.join(known)}."
    yield ""
    yield "| column | type | unit | meaning |"
    yield "| --- | --- | --- | --- |"
    for column in table.columns:
        kind = f"{column.type}{'' if column.nullable else ', required'}"
        stands_for = f" Missing stands for {column.default}." if column.default is not None else ""
        yield f"| {column.name} | {kind} | {column.unit} | {column.meaning.replace('|', '/')}{stands_for} |"


def entity_dictionary() -> str:
    """The canonical entities, as a mapping must deliver them."""
    lines = [
        "# Canonical entities",
        "",
        "What the queries of a mapping give ([connecting a source](connecting-a-source.md)).",
        "Generated from `retail_assets/tables/entities.py` by `make docs`; do not edit.",
        "Text is Unicode, dates are `YYYY-MM-DD`, moments are UTC when they carry no offset.",
    ]
    for entity in entities.SOURCE_ENTITIES:
        lines += ["", *_entity(entity)]
    return "\n".join(lines) + "\n"


def _entity(entity: Entity) -> Iterator[str]:
    needed = "required" if entity in entities.REQUIRED_ENTITIES else "optional"
    read = "daily, between `:start` and `:end`" if entity.is_daily else "whole, without parameters"
    yield f"## {entity.name}"
    yield ""
    yield entity.meaning
    yield ""
    yield f"- The entity is {needed}. Read {read}. One row: {entity.grain}. Key: {', '.join(entity.key)}."
    yield ""
    yield "| column | type | unit | must be there | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for column in entity.columns:
        must = "" if column.nullable else "yes"
        meaning = column.meaning.replace("|", "/")
        yield f"| {column.name} | {type_name(column.type)} | {column.unit} | {must} | {meaning} |"


DOCUMENTS: dict[Path, Callable[[], str]] = {
    TARGET: dictionary,
    ENTITIES_TARGET: entity_dictionary,
    SCHEMA_TARGET: schema_text,
}


if __name__ == "__main__":
    for target, text in DOCUMENTS.items():
        target.write_text(text(), encoding="utf-8")
        print(f"wrote {target}")
