"""DuckDB and Spark give equal tables: every transform, on the lakes that the command filled, value by value."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.spark.engine import SparkEngine
from retail_assets.engines.writing.delta import as_arrow, overwrite, overwrite_window
from retail_assets.lake.lake import Lake
from retail_assets.resources.spark import SparkSessions
from retail_assets.tables import bronze, silver
from retail_assets.transforms.rules import BLANKS
from retail_assets.windows import Window
from retail_assets_tests.pipeline import walmart as m5
from retail_assets_tests.pipeline.engine_transforms import assert_equal, recent, transforms
from retail_assets_tests.pipeline.shop import FIRST, LAST, Shop
from retail_assets_tests.pipeline.walmart import Walmart
from retail_assets_tests.unit.ibis_frames import frame_of

TRANSFORMS = transforms()
EMPTY_IN_DEMO = {"overrides", "decisions", "approved_proposals", "rejected_snapshot_rows"}
OF_M5 = [name for name in TRANSFORMS if name.startswith(("gold/", "planning/", "silver/sales", "silver/rejected_rows"))]
"""The rest sees the same kinds of rows in both lakes."""

# the function that fills a day is told its types by the contract, not by its annotations
pytestmark = pytest.mark.filterwarnings("ignore:Cannot infer the eval type from type hints:UserWarning")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture
def spark_engine(spark: SparkSessions) -> Iterator[SparkEngine]:
    engine = SparkEngine(Lake(""), spark)
    yield engine
    engine.close()


def _agree(lake: Lake, spark_engine: SparkEngine, days: Window, *, name: str, scratch: Path) -> int:
    """Number of rows that both engines gave."""
    spark_engine.lake = lake
    duckdb_engine = DuckDBEngine(lake, memory_limit="500MB", temp_folder=scratch)
    expected = as_arrow(TRANSFORMS[name](duckdb_engine, days))
    duckdb_engine.close()
    return assert_equal(TRANSFORMS[name](spark_engine, days), expected)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_of_the_demo_is_the_same(
    finished: Shop, spark_engine: SparkEngine, scratch: Path, name: str
) -> None:
    days = recent(Window(FIRST, LAST), 40)
    count = _agree(Lake(str(finished.home / "lake")), spark_engine, days, name=name, scratch=scratch)
    assert count or any(part in name for part in EMPTY_IN_DEMO)


@pytest.mark.parametrize("name", OF_M5)
def test_every_transform_of_m5_is_the_same(
    walmart: Walmart, spark_engine: SparkEngine, scratch: Path, name: str
) -> None:
    _agree(Lake(str(walmart.home / "lake")), spark_engine, Window(m5.FIRST, m5.AS_OF), name=name, scratch=scratch)


def test_money_is_rounded_alike(spark_engine: SparkEngine, tmp_path: Path) -> None:
    """Weighed goods: three places of the quantity times four of the price."""
    spark_engine.lake = Lake(str(tmp_path / "lake"))
    line = {"sale_id": "B", "business_date": LAST, "store_id": "S", "product_id": "P"}
    weighed = [("0.333", "1.2345"), ("-0.005", "0.0100"), ("99999999.999", "999.9999"), ("10000", "1000000000")]
    lines = [
        line | {"sale_line_id": str(number), "quantity": Decimal(quantity), "unit_price": Decimal(price)}
        for number, (quantity, price) in enumerate(weighed)
    ]
    overwrite_window(spark_engine.lake, silver.SALES, frame_of(silver.SALES, lines), Window(LAST, LAST))
    count = _agree(spark_engine.lake, spark_engine, Window(LAST, LAST), name="gold/fact_sales", scratch=tmp_path)
    assert count == len(weighed)


def test_blanks_of_unicode_are_taken_off_alike(spark_engine: SparkEngine, tmp_path: Path) -> None:
    spark_engine.lake = Lake(str(tmp_path / "lake"))
    around = [f"{blank}{blank}" for blank in BLANKS] + [BLANKS, "\u0301", "\u00ad"]
    raw = next(table for table in bronze.SNAPSHOTS if table.name == "customers")
    customers = [
        {"customer_id": f"{blank}c {n}{blank}", "region": blank, "customer_segment": f"a{blank}b{blank}"}
        for n, blank in enumerate(around)
    ]
    overwrite(spark_engine.lake, raw, frame_of(raw, customers))
    count = _agree(spark_engine.lake, spark_engine, Window(LAST, LAST), name="silver/customers", scratch=tmp_path)
    assert count == len(around)
    found = as_arrow(TRANSFORMS["silver/customers"](spark_engine, Window(LAST, LAST))).to_pylist()
    conformed = [row for row in found if (row["customer_id"], row["region"])[0].startswith("c ")]
    assert len(conformed) == len(around) - 2 and all(row["region"] is None for row in conformed)


def test_a_value_that_differs_is_found(finished: Shop, spark_engine: SparkEngine) -> None:
    """The comparison itself can fail: in a number, in a float's ninth digit, in a row too many."""
    spark_engine.lake = Lake(str(finished.home / "lake"))
    rows = as_arrow(TRANSFORMS["gold/sales_summary"](spark_engine, Window(LAST, LAST)))
    column = rows.column_names.index("sold_units")
    off = rows.set_column(column, "sold_units", [[v * (1 + 1e-8) for v in rows["sold_units"].to_pylist()]])
    lines = rows.set_column(4, "basket_count", [[v + 1 for v in rows["basket_count"].to_pylist()]])
    for other in (off, lines, rows.slice(1)):
        with pytest.raises((AssertionError, ValueError)):
            assert_equal(rows, other)
