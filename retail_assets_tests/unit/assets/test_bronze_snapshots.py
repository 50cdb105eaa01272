"""A snapshot that reads as empty does not delete what a retailer cannot do without."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from retail_assets.assets.bronze import _appended, _source_snapshot
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables import bronze, entities
from retail_assets.tables.contract import Table

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


def _reading(engine: DuckDBEngine, entity: entities.Entity, rows: pa.Table, *, bound: bool = True) -> list[dict]:
    """The asset's table after one more night, written and read back with delta-rs."""

    @dataclass
    class Gives:
        def available(self, _: entities.Entity) -> bool:
            return bound

        def read_snapshot(self, _: entities.Entity) -> pa.Table:
            return rows

    table = _table(entity)
    found = _source_snapshot(entity, table)(dg.build_asset_context(), source=Gives(), engine=engine)
    engine.overwrite(table, found)
    return DeltaTable(engine.lake.table_uri(table)).to_pyarrow_table().to_pylist()


def _rows(entity: entities.Entity, **values) -> pa.Table:
    schema = _nothing(_table(entity)).schema
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | values], schema=schema)


ORDER = {"promotion_id": "P1", "product_id": "A", "start_date": date(2026, 1, 1), "end_date": date(2026, 1, 9)}


@pytest.mark.parametrize("nights", [1, 3])
def test_a_first_reading_without_rows_is_kept_until_there_are_some(engine, nights):
    """As versions that were gone at that moment: what reads as of a date need not know more."""
    moments = [datetime.now(UTC)]
    for _ in range(nights):
        assert _reading(engine, entities.PROMOTIONS, _nothing(_table(entities.PROMOTIONS))) == []
        moments.append(datetime.now(UTC))
    gone, there = sorted(_reading(engine, entities.PROMOTIONS, _rows(entities.PROMOTIONS, **ORDER)), key=_seen_at)
    assert (gone["is_deleted"], there["is_deleted"]) == (True, False)
    assert moments[0] <= gone["first_seen_at"] <= moments[1] <= there["first_seen_at"]
    assert gone["promotion_id"] == there["promotion_id"] == "P1"
    assert len(_reading(engine, entities.PROMOTIONS, _rows(entities.PROMOTIONS, **ORDER))) == 2, "nothing new"


def _seen_at(row: dict) -> datetime:
    return row["first_seen_at"]


def test_rows_that_come_after_the_first_ones_say_nothing_more(engine):
    _reading(engine, entities.PROMOTIONS, _rows(entities.PROMOTIONS, **ORDER))
    _reading(engine, entities.PROMOTIONS, _nothing(_table(entities.PROMOTIONS)))
    versions = _reading(engine, entities.PROMOTIONS, _rows(entities.PROMOTIONS, **ORDER))
    assert sorted(row["is_deleted"] for row in versions) == [False, False, True]


def test_what_the_mapping_did_not_ask_for_may_have_been_there(engine):
    _reading(engine, entities.PROMOTIONS, _nothing(_table(entities.PROMOTIONS)), bound=False)
    [row] = _reading(engine, entities.PROMOTIONS, _rows(entities.PROMOTIONS, **ORDER))
    assert not row["is_deleted"]


def test_stores_that_are_not_loaded_yet_may_have_been_there(engine):
    _reading(engine, entities.STORES, _nothing(_table(entities.STORES)))
    [row] = _reading(engine, entities.STORES, _rows(entities.STORES, store_id="S1", store_name="One"))
    assert not row["is_deleted"]


@dataclass
class EmptySource:
    """Every query gives no rows; `bound` says whether the mapping has one."""

    bound: bool

    def available(self, entity: entities.Entity) -> bool:
        return self.bound

    def read_snapshot(self, entity: entities.Entity) -> pa.Table:
        return _nothing(_table(entity))


def _table(entity: entities.Entity) -> Table:
    return next(table for table in bronze.SNAPSHOTS if table.name == entity.name)


def _read_empty(engine: DuckDBEngine, entity: entities.Entity, *, bound: bool) -> list[bool]:
    """The asset over one known row that the source no longer gives; which versions say that it is gone."""
    table = _table(entity)
    required = {c.name: "x" for c in entity.columns if not c.nullable and pa.types.is_string(c.type)}
    engine.overwrite(table, _known(table, **required))
    asset = _source_snapshot(entity, table)
    rows = asset(dg.build_asset_context(), source=EmptySource(bound), engine=engine)
    return sorted(row["is_deleted"] for row in rows.to_pyarrow().to_pylist())


@pytest.mark.parametrize("entity", [entities.STORES, entities.SOURCING, entities.SUPPLIERS], ids=lambda e: e.name)
def test_an_entity_that_suddenly_has_no_rows_is_refused(engine, entity):
    with pytest.raises(PermanentFailure, match=f"gives no {entity.name} although it had some; nothing was changed"):
        _read_empty(engine, entity, bound=True)


def test_promotions_may_run_out_and_what_the_mapping_dropped_is_gone(engine):
    assert _read_empty(engine, entities.PROMOTIONS, bound=True) == [False, True]
    assert _read_empty(engine, entities.SOURCING, bound=False) == [False, True]


def test_a_first_reading_may_be_empty(engine):
    stores = next(table for table in bronze.SNAPSHOTS if table.name == "stores")
    first = _appended(engine, stores, entities.STORES, _nothing(stores), must_have_rows=True)
    assert first.count().to_pyarrow().as_py() == 0
