"""The graph with Spark as its engine, from the source to gold, beside the tables that `run` made with DuckDB."""

import datetime as dt
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from pydantic import SecretStr

from retail_assets.engines.spark.engine import SparkEngine
from retail_assets.graph import jobs
from retail_assets.graph.build import build_definitions
from retail_assets.io_managers.delta import DeltaTableIOManager
from retail_assets.lake.lake import Lake
from retail_assets.resources.spark import SparkSessions
from retail_assets.runs.run_tags import range_tags
from retail_assets.settings import Settings
from retail_assets.tables import bronze, entities, gold, layered, silver
from retail_assets.tables.contract import Table
from retail_assets.windows import Window
from retail_assets_tests.pipeline.engine_transforms import assert_equal
from retail_assets_tests.pipeline.shop import FIRST, NOT_COMPARED, Shop

DAYS = Window(FIRST, FIRST + dt.timedelta(days=8))
_SNAPSHOTS = [row for row in layered.SNAPSHOTS if row.entity in (entities.STORES, entities.PRODUCTS)]
WHOLE = (
    *(row.bronze for row in _SNAPSHOTS),
    *(row.silver for row in _SNAPSHOTS),
    gold.DIM_PRODUCT,
)
DAILY = (*bronze.DAILY, bronze.EXTRACTED_DAYS, *silver.DAILY, gold.FACT_SALES, gold.FACT_INVENTORY, gold.SALES_SUMMARY)


@pytest.fixture(scope="module")
def lake(spark: SparkSessions, source_only: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the job `ingest`, as the command launches them: whole tables, then a range of days."""
    folder = tmp_path_factory.mktemp("spark") / "lake"
    engine = SparkEngine(Lake(str(folder)), spark)
    settings = Settings(
        home=folder.parent / "home", source_url=SecretStr(f"sqlite:///{source_only.source}"), start_date=FIRST
    )
    replaced = {"engine": engine, "lake": engine.lake, "io_manager": DeltaTableIOManager(engine, engine.lake)}
    ingest = build_definitions(settings, overrides=replaced).resolve_job_def(jobs.INGEST)
    with dg.instance_for_test() as instance:
        for tables, tags in ((WHOLE, {}), (DAILY, range_tags(DAYS))):
            keys = [dg.AssetKey(table.asset_key) for table in tables]
            assert ingest.execute_in_process(instance=instance, tags=tags, asset_selection=keys).success
    engine.close()
    return folder


def _comparable(rows: pa.Table, table: Table) -> pa.Table:
    if table.partition_column:
        rows = rows.filter(pc.less_equal(rows[table.partition_column], DAYS.last))  # pyright: ignore
    return rows.select([name for name in table.column_names if name not in NOT_COMPARED])


@pytest.mark.parametrize("table", [*WHOLE, *DAILY], ids=lambda table: table.path)
def test_every_table_is_the_one_that_duckdb_made(lake: Path, finished: Shop, table: Table) -> None:
    on_spark = DeltaTable(str(lake / table.path)).to_pyarrow_table()
    assert assert_equal(_comparable(on_spark, table), _comparable(finished.rows(table), table)) > 0
