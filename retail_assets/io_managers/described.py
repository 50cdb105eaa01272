"""What the UI shows of a written table: where its columns come from, what they hold, and a few of its rows.

Statistics stand in the Delta log already, so nothing is read for them. Values of personal columns are never shown.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from retail_assets.tables.contract import Table
from retail_assets.transforms.lineage import ColumnSources, Source

LINEAGE, COLUMNS, SAMPLE = "dagster/column_lineage", "columns", "sample"
"""Names of the metadata."""

SAMPLE_ROWS = 5
_HIDDEN = "not shown"
_SHOWN_AS = {"name": "string", "comes_from": "string", "empty": "int", "least": "string", "greatest": "string"}

Metadata = dict[str, dg.MetadataValue]


def lineage(table: Table, sources: ColumnSources) -> Metadata:
    """Dagster's column lineage; nothing for a table whose columns have no known sources."""
    others = {name: _others(table, sources.get(name, frozenset())) for name in table.column_names}
    deps = {
        name: [dg.TableColumnDep(asset_key=source.path.split("/"), column_name=source.column) for source in found]
        for name, found in others.items()
        if found
    }
    return {LINEAGE: dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps))} if deps else {}


def columns(table: Table, sources: ColumnSources, delta: DeltaTable) -> Metadata:
    """A row a column: its sources and, from the statistics of all files, empty values, least and greatest one.

    Texts are bounds: the log holds their first 32 characters.
    """
    held = _held(table, delta)
    records = [
        dg.TableRecord(
            {
                "name": name,
                "comes_from": ", ".join(f"{s.path}.{s.column}" for s in _others(table, sources.get(name, frozenset()))),
                **held[name],
            }
        )
        for name in table.column_names
    ]
    return {COLUMNS: dg.MetadataValue.table(records, schema=_schema(_SHOWN_AS))}


def sample(table: Table, delta: DeltaTable, day: date | None) -> Metadata:
    """A few rows as they are stored, of one day where days are given, without personal columns."""
    is_of_day = None if day is None else pc.field(str(table.partition_column)) == day
    found = delta.to_pyarrow_dataset().head(SAMPLE_ROWS, columns=table.shown_names, filter=is_of_day).to_pylist()
    return {SAMPLE: records_shown(found)} if found else {}


def records_shown(rows: Sequence[Mapping[str, object]]) -> dg.MetadataValue:
    """Rows of the same names as a table of texts; at least one."""
    records = [dg.TableRecord({name: _text(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records, schema=_schema(dict.fromkeys(rows[0], "string")))


def _others(table: Table, sources: frozenset[Source]) -> list[Source]:
    """Without the table's own past, which appended versions read."""
    return sorted(source for source in sources if source.path != table.path)


def _held(table: Table, delta: DeltaTable) -> Mapping[str, dict[str, Any]]:
    files = pa.table(delta.get_add_actions(flatten=True))
    return {name: _of_column(files, name, is_shown=name in table.shown_names) for name in table.column_names}


def _of_column(files: pa.Table, name: str, *, is_shown: bool) -> dict[str, Any]:
    """A column that names the folders has its values there."""
    folder, nulls = f"partition.{name}", f"null_count.{name}"
    bounds = (folder, folder) if folder in files.column_names else (f"min.{name}", f"max.{name}")
    found = [
        pc.call_function("min_max", [files.column(bound)]) if bound in files.column_names else None for bound in bounds
    ]
    least, greatest = (_text(at[end].as_py()) if at else "" for at, end in zip(found, ("min", "max"), strict=True))
    if not is_shown:
        least, greatest = (_HIDDEN if bound else "" for bound in (least, greatest))
    empty = pc.call_function("sum", [files.column(nulls)]).as_py() if nulls in files.column_names else 0
    return {"empty": empty, "least": least, "greatest": greatest}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _schema(kinds: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in kinds.items()])
