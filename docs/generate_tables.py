"""Writes docs/tables.md from the table contracts, and docs/mapping.schema.json from the source entities.

Usage: python docs/generate_tables.py
"""

from collections.abc import Iterator
from pathlib import Path

from retail_assets.sources.mapping_schema import SCHEMA_NAME, schema_text
from retail_assets.tables import catalog
from retail_assets.tables.contract import Table

TARGET = Path(__file__).with_name("tables.md")
SCHEMA_TARGET = Path(__file__).with_name(SCHEMA_NAME)


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
    yield ""
    yield "| column | type | unit | meaning |"
    yield "| --- | --- | --- | --- |"
    for column in table.columns:
        kind = f"{column.type}{'' if column.nullable else ', required'}"
        yield f"| {column.name} | {kind} | {column.unit} | {column.meaning.replace('|', '/')} |"


if __name__ == "__main__":
    for target, text in ((TARGET, dictionary()), (SCHEMA_TARGET, schema_text())):
        target.write_text(text, encoding="utf-8")
        print(f"wrote {target}")
