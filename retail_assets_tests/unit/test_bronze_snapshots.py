"""A snapshot that reads as empty does not delete what a retailer cannot do without."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from retail_assets.assets.bronze import _appended
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.failures import PermanentFailure
from retail_assets.resources.lake import Lake
from retail_assets.tables import bronze, entities

SEEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path):
    engine = DuckDBEngine(Lake(str(tmp_path / "lake")), memory_limit="1GB", temp_folder=tmp_path / "spill")
    yield engine
    engine.close()


def _known(table, **values) -> pa.Table:
    row = dict.fromkeys(table.column_names) | values | {"is_deleted": False, "first_seen_at": SEEN}
    return pa.Table.from_pylist([row], schema=table.schema)


def _nothing(table) -> pa.Table:
    bookkeeping = {"is_deleted", "first_seen_at"}
    return pa.schema([f for f in table.schema if f.name not in bookkeeping]).empty_table()


def test_empty_stores_are_refused(engine):
    stores = next(table for table in bronze.SNAPSHOTS if table.name == "stores")
    engine.overwrite(stores, _known(stores, store_id="S1", store_name="One"))
    with pytest.raises(PermanentFailure, match="gives no stores although it had some; nothing was changed"):
        _appended(engine, stores, entities.STORES, _nothing(stores), must_have_rows=True)


def test_promotions_may_end(engine):
    promotions = next(table for table in bronze.SNAPSHOTS if table.name == "promotions")
    engine.overwrite(promotions, _known(promotions, promotion_id="P1", product_id="A"))
    versions = _appended(engine, promotions, entities.PROMOTIONS, _nothing(promotions)).to_pyarrow().to_pylist()
    assert sorted(version["is_deleted"] for version in versions) == [False, True]


def test_a_first_reading_may_be_empty(engine):
    stores = next(table for table in bronze.SNAPSHOTS if table.name == "stores")
    first = _appended(engine, stores, entities.STORES, _nothing(stores), must_have_rows=True)
    assert first.count().to_pyarrow().as_py() == 0
