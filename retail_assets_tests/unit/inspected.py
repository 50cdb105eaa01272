"""Inspected tables for tests, written like a short CREATE TABLE."""

from retail_assets.sources.proposing.inspection import Kind, SourceColumn, SourceTable

_KINDS = {"int": Kind.INTEGER, "text": Kind.TEXT, "number": Kind.NUMBER, "date": Kind.DATE, "moment": Kind.MOMENT}


def table(name: str, *columns: str, key: str = "") -> SourceTable:
    """A table of nullable columns, each `name kind`; `key` names the primary key's columns."""
    found = [column.split() for column in columns]
    return SourceTable(
        name,
        tuple(SourceColumn(column, _KINDS[kind], column not in key.split()) for column, kind in found),
        primary_key=tuple(key.split()),
    )
