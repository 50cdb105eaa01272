"""Days made in any order, again, singly or many at once: what lies in the files is what one range run wrote."""

import datetime as dt
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retail_assets.command_line.planner import demand_days_after
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.lake.lake import Lake
from retail_assets.tables import gold, silver
from retail_assets.tables.contract import Table
from retail_assets.windows import Window
from retail_assets_tests.pipeline.engine_transforms import transforms
from retail_assets_tests.pipeline.shop import LAST, Shop

SPAN = Window(LAST - dt.timedelta(days=34), LAST - dt.timedelta(days=29))
"""Six days with a month behind them that looks back on them."""

TRANSFORMS = transforms()
BEFORE_DEMAND = (*silver.DAILY, gold.FACT_SALES, gold.FACT_INVENTORY, gold.SALES_SUMMARY)
TABLES = (*BEFORE_DEMAND, gold.DEMAND_DAILY)


@st.composite
def orders(draw: st.DrawFn) -> list[Window]:
    """Every day of the span at least once, in runs of random length and order, some of them twice."""
    cuts = [n for n in range(1, len(SPAN)) if draw(st.booleans())]
    days = list(SPAN.days())
    runs = [Window(days[a], days[b - 1]) for a, b in zip([0, *cuts], [*cuts, len(days)], strict=True)]
    again = draw(st.lists(st.sampled_from([*runs, SPAN]), max_size=2))
    return draw(st.permutations([*runs, *again]))


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=orders())
def test_any_order_of_days_gives_the_files_of_one_range(finished: Shop, order: list[Window]) -> None:
    with TemporaryDirectory() as name:
        lake = _without_the_span(finished.home / "lake", Path(name) / "lake")
        engine = DuckDBEngine(lake, memory_limit="500MB", temp_folder=Path(name) / "spill")
        for window in order:
            _ingest(engine, window)
        engine.close()
        for table in TABLES:
            assert _stored(lake.uri, table).equals(_stored(str(finished.home / "lake"), table)), table.path


def _without_the_span(lake: Path, copy: Path) -> Lake:
    shutil.copytree(lake, copy)
    for table in TABLES:
        column = table.partition_column
        gone = f"{column} >= CAST('{SPAN.first}' AS DATE) AND {column} <= CAST('{SPAN.last}' AS DATE)"
        assert DeltaTable(str(copy / table.path)).delete(gone)["num_deleted_rows"] or table is silver.REJECTED_ROWS
    return Lake(str(copy))


def _ingest(engine: DuckDBEngine, window: Window) -> None:
    """As the job does, and what the command line makes again behind it."""
    for table in BEFORE_DEMAND:
        engine.overwrite_window(table, TRANSFORMS[table.path](engine, window), window)
    there = engine.scan(gold.DEMAND_DAILY).business_date.name("day").as_table().distinct().to_pyarrow()["day"]
    behind = demand_days_after(window, there.to_pylist())
    days = Window(window.first, behind[-1] if behind else window.last)
    for month in days.by_month():
        engine.overwrite_window(gold.DEMAND_DAILY, TRANSFORMS[gold.DEMAND_DAILY.path](engine, month), month)


def _stored(lake: str, table: Table) -> pa.Table:
    """Rows as they lie in the files, month after month; extraction moments are the same, bronze is not made again."""
    files = sorted(DeltaTable(f"{lake}/{table.path}").file_uris())
    assert len({Path(file).parent for file in files}) == len(files), "a month is one file"
    return pa.concat_tables([pq.read_table(file, partitioning=None) for file in files]).combine_chunks()
