"""The maintenance of the lake, as a table of what it found and did."""

from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.engines.maintenance import Retention, maintain
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import LAKE_TABLES
from retail_assets.tables.operations import LAKE_MAINTENANCE

_CHECK = dg.AssetCheckSpec(
    "every_table_was_maintained",
    asset=LAKE_MAINTENANCE.asset_key,
    description="No table of the lake had a problem; the others were maintained all the same.",
)
_COUNTED = {"files", "bytes", "rows", "partitions"}
_TOTALS = [name for name in LAKE_MAINTENANCE.column_names if _COUNTED & set(name.split("_"))]
_SHOWN = [name for name in LAKE_MAINTENANCE.column_names if name != "maintained_at"]


@dg.asset(key=LAKE_MAINTENANCE.asset_key, pool="maintenance", check_specs=[_CHECK])
def lake_maintenance(lake: dg.ResourceParam[Lake], retention: dg.ResourceParam[Retention]):
    figures = maintain(lake, LAKE_TABLES, retention)
    return dg.MaterializeResult(value=figures, metadata=_metadata(figures), check_results=[_finding(figures)])


def _metadata(figures: pa.Table) -> dict[str, Any]:
    """Totals, and the figures of every table."""
    records = [dg.TableRecord(row) for row in figures.select(_SHOWN).to_pylist()]
    kinds = {"string": "string", "double": "float"}
    columns = [dg.TableColumn(name, kinds.get(str(figures.schema.field(name).type), "int")) for name in _SHOWN]
    return {
        **{name: pc.sum(figures.column(name)).as_py() or 0 for name in _TOTALS},  # pyright: ignore
        "tables": dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns)),
    }


def _finding(figures: pa.Table) -> dg.AssetCheckResult:
    problems = [problem for problem in figures.column("problem").to_pylist() if problem]
    waiting = sum(figures.column("skipped_partitions").to_pylist())
    later = f" {waiting} folders were being written and wait for the next time." if waiting else ""
    sentence = f"{len(problems)} of {figures.num_rows} tables had a problem. {' '.join(problems)}".strip()
    return dg.AssetCheckResult(
        check_name=_CHECK.name,
        passed=not problems,
        description=f"{sentence}{later}",
        metadata={"tables_with_a_problem": len(problems), "skipped_partitions": waiting},
    )
