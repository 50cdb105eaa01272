"""Writes docs/tables.md from the table contracts.

Usage: python docs/generate_tables.py
"""

from collections.abc import Iterator
from pathlib import Path

from retail_assets.tables import catalog
from retail_assets.tables.contract import Table

TARGET = Path(__file__).with_name("tables.md")


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


if __name__ == "__main__":
    TARGET.write_text(dictionary(), encoding="utf-8")
    print(f"wrote {TARGET}")
