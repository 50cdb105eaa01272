"""Writes docs/tables.md from the table contracts, docs/settings.md from the fields of `Settings`, docs/entities.md and
docs/mapping.schema.json from the entities, and the scores in docs/forecasting.md from the bench's figures.

Usage: python docs/generate_tables.py
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from docs.scores import PAGE, page_with_scores
from retail_assets.settings import Settings, example_of, variable_of
from retail_assets.sources.mapping_schema import SCHEMA_NAME, schema_text, type_name
from retail_assets.tables import catalog, entities
from retail_assets.tables.contract import Column, Table
from retail_assets.tables.entities import Entity
from retail_assets.tables.warehouse import PUBLISHED

TARGET = Path(__file__).with_name("tables.md")
SCHEMA_TARGET = Path(__file__).with_name(SCHEMA_NAME)
ENTITIES_TARGET = Path(__file__).with_name("entities.md")
SETTINGS_TARGET = Path(__file__).with_name("settings.md")


def dictionary() -> str:
    """The whole document."""
    lines = [
        "# Tables",
        "",
        "Generated from `retail_assets/tables` by `make docs`; do not edit.",
        "The warehouse holds copies of gold, forecast and inventory tables under the same names.",
        "`string(128)` is a text of at most 128 characters in SQL Server and Synapse; elsewhere a text has no limit.",
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
        kind = f"{_type(table, column)}{'' if column.nullable else ', required'}"
        stands_for = f" Missing stands for {column.default}." if column.default is not None else ""
        yield f"| {column.name} | {kind} | {column.unit} | {column.meaning.replace('|', '/')}{stands_for} |"


def _type(table: Table, column: Column) -> str:
    return f"{column.type}({column.length})" if table in PUBLISHED and column.length else str(column.type)


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


def settings_table() -> str:
    """Every setting: its variable, default, meaning with limits, and an example."""
    lines = [
        "# Settings",
        "",
        "Generated from `retail_assets/settings.py` by `make docs`; do not edit.",
        "",
        "Every setting is an environment variable, or a line of a file `.env` in the folder you start from. A wrong or",
        "misspelt one stops the command with a sentence that names it. A value `kv:NAME` is read from the Azure Key",
        "Vault of `RETAIL_KEY_VAULT_URL`.",
        "",
        "In an address, write `@ : / ? #` of a user or password as `%40 %3A %2F %3F %23`. An address whose parts are",
        "not clear is refused, and nothing after its scheme is printed.",
        "",
        "| variable | default | meaning | example |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        meaning = f"{field.description}{_limits(field)}".replace("|", "/")
        lines.append(f"| `{variable_of(name)}` | {_default(field)} | {meaning} | `{example_of(name)}` |")
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.default is not None:
        return f"`{field.default}`"
    extra = field.json_schema_extra
    return str(extra.get("unset", "none")) if isinstance(extra, dict) else "none"


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def _limits(field: FieldInfo) -> str:
    """What a value may be, as a sentence to follow others; empty where every value may be."""
    if get_origin(field.annotation) is Literal:
        return f" One of {', '.join(f'`{value}`' for value in get_args(field.annotation))}."
    bounds = [
        f"{words} {getattr(limit, bound)}"
        for limit in field.metadata
        for bound, words in _BOUNDS.items()
        if hasattr(limit, bound)
    ]
    text = " and ".join(bounds)
    return f" {text[0].upper()}{text[1:]}." if text else ""


DOCUMENTS: dict[Path, Callable[[], str]] = {
    TARGET: dictionary,
    ENTITIES_TARGET: entity_dictionary,
    SCHEMA_TARGET: schema_text,
    SETTINGS_TARGET: settings_table,
    PAGE: page_with_scores,
}


if __name__ == "__main__":
    for target, text in DOCUMENTS.items():
        target.write_text(text(), encoding="utf-8")
        print(f"wrote {target}")
