"""`retail-assets run` with RETAIL_ENGINE=spark: the same command, graph and tables, read by delta-rs."""

import datetime as dt

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from retail_assets.resources.spark import SparkSessions
from retail_assets.tables import bronze, gold, silver
from retail_assets.tables.contract import Table
from retail_assets_tests.pipeline.engine_transforms import assert_equal
from retail_assets_tests.pipeline.shop import FIRST, NOT_COMPARED, Shop

LAST = FIRST + dt.timedelta(days=8)
DAILY = (*bronze.DAILY, *silver.DAILY, *gold.DAILY)
WHOLE = (*silver.SNAPSHOTS, *gold.DIMENSIONS)


@pytest.fixture(scope="module")
def on_spark(spark: SparkSessions, source_only: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The first days of the shop; the session asked for shows that the jars can be had."""
    shop = source_only.copy(tmp_path_factory.mktemp("spark") / "shop")
    done = shop.run("--from", str(FIRST), "--to", str(LAST), RETAIL_ENGINE="spark", RETAIL_SPARK_REMOTE="local[2]")
    assert done.returncode == 0, done.stderr[-2000:]
    return shop


def _comparable(shop: Shop, table: Table) -> pa.Table:
    rows = shop.rows(table)
    if table.partition_column:
        rows = rows.filter(pc.less_equal(rows[table.partition_column], LAST))  # pyright: ignore
    return rows.drop_columns(sorted(NOT_COMPARED & set(table.column_names)))


@pytest.mark.parametrize("table", [*DAILY, *WHOLE], ids=lambda table: table.path)
def test_every_table_is_the_one_that_duckdb_made(on_spark: Shop, finished: Shop, table: Table) -> None:
    count = assert_equal(_comparable(on_spark, table), _comparable(finished, table))
    assert count or table.name in {"forecast_overrides", "order_decisions"}
