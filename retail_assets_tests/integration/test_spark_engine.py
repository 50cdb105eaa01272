"""The Spark engine keeps the promises of the writer; what it wrote is read by delta-rs and from the files."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from retail_assets.demand.models import global_model
from retail_assets.demand.models.contenders import contender_means
from retail_assets.demand.models.global_model import Boosting, fit_global
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.spark.engine import SparkEngine
from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.resources.spark import SparkSessions
from retail_assets.tables import bronze, forecast, gold, silver
from retail_assets.tables.contract import Column, ContractViolation, Table
from retail_assets.windows import Window
from retail_assets_tests.integration.azurite import Azurite
from retail_assets_tests.unit.demand_frames import panel_of, retailer
from retail_assets_tests.unit.engines.test_delta_writer import BAD_FRAMES
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, held, held_in_files, rows
from retail_assets_tests.unit.warehouse_frames import FIRST as FRAMES_FIRST
from retail_assets_tests.unit.warehouse_frames import frame_of

pytestmark = pytest.mark.filterwarnings("ignore:Cannot infer the eval type from type hints:UserWarning")
FIRST, DAY = date(2024, 1, 29), timedelta(days=1)
SPAN = Window(FIRST, FIRST + 5 * DAY)
EVERY_TYPE = (bronze.SALES, silver.STORES, gold.DEMAND_DAILY, gold.DIM_DATE, forecast.DEMAND_FORECAST)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "my lake"


@pytest.fixture
def engine(folder: Path, spark: SparkSessions) -> Iterator[SparkEngine]:
    engine = SparkEngine(Lake(str(folder)), spark)
    yield engine
    engine.close()


def as_spark(engine: SparkEngine, frame: pa.Table) -> ibis.Table:
    """The frame as rows of the engine, which it does not see before it writes them."""
    engine.session.createDataFrame(frame).createOrReplaceTempView("given")
    return engine.connection.table("given")


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
def test_windows_replace_their_days_and_no_other(engine: SparkEngine, folder: Path, table: Table) -> None:
    expected: dict[date, int] = {}
    for count, (start, days) in enumerate([(0, 6), (2, 2), (9, 3), (3, 8)]):
        window = Window(FIRST + start * DAY, FIRST + (start + days - 1) * DAY)
        frame = rows(window.days(), count=count)
        given = as_spark(engine, frame) if count % 2 else frame
        written = engine.overwrite_window(table, given, window)
        assert written.rows == frame.num_rows
        expected |= dict.fromkeys(window.days(), count)
    everything = sorted((day, p, count, count / 2) for day, count in expected.items() for p in "ab")
    assert held(folder, table) == held_in_files(folder, table) == everything


@pytest.mark.parametrize("table", [MONTHLY, WHOLE], ids=["month", "whole"])
def test_an_empty_frame_empties_its_window_and_is_a_commit(engine: SparkEngine, folder: Path, table: Table) -> None:
    write = (
        engine.overwrite if table is WHOLE else lambda t, f: engine.overwrite_window(t, f, Window(FIRST, FIRST + DAY))
    )
    assert write(table, rows([])).rows == 0
    if table is MONTHLY:
        engine.overwrite_window(table, rows(SPAN.days()), SPAN)
    assert write(table, as_spark(engine, rows([]))).rows == 0
    left = [day for day in SPAN.days() if day > FIRST + DAY] if table is MONTHLY else []
    assert {row[0] for row in held(folder, table)} == set(left)


def test_many_nights_leave_few_files(engine: SparkEngine, folder: Path) -> None:
    for night in range(8):
        day = date(2024, 2, 1) + night * DAY
        engine.overwrite_window(MONTHLY, rows([day]), Window(day, day))
    assert len(DeltaTable(str(folder / MONTHLY.path)).file_uris()) < 5
    assert len(held(folder, MONTHLY)) == 16


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_rows_that_break_the_contract_change_nothing(engine: SparkEngine, folder: Path, case: str) -> None:
    frame, message = BAD_FRAMES[case]
    overwrite_window(engine.lake, MONTHLY, rows(SPAN.days(), count=7), SPAN)
    before, version = held(folder, MONTHLY), DeltaTable(str(folder / MONTHLY.path)).version()
    with pytest.raises(ContractViolation) as raised:
        engine.overwrite_window(MONTHLY, as_spark(engine, frame), SPAN)
    assert str(raised.value).startswith(MONTHLY.path) and message.split(" (")[0] in str(raised.value)
    assert held(folder, MONTHLY) == before
    assert DeltaTable(str(folder / MONTHLY.path)).version() == version


FITS = {
    "whole floats": pa.array([3.0, 4.0]),
    "small integers": pa.array([3, 4], pa.int16()),
    "decimals": pa.array([3, 4], pa.decimal128(9, 2)),
}


@pytest.mark.parametrize("kind", FITS)
def test_values_that_fit_are_taken_over(engine: SparkEngine, folder: Path, kind: str) -> None:
    frame = rows([FIRST]).set_column(2, "line_count", FITS[kind])
    engine.overwrite(WHOLE, as_spark(engine, frame))
    assert held(folder, WHOLE) == [(FIRST, "a", 3, 0.5), (FIRST, "b", 4, 0.5)]


def test_no_number_becomes_an_empty_value(engine: SparkEngine, folder: Path) -> None:
    frame = rows([FIRST]).set_column(3, "sold_units", pa.array([float("nan"), 2.5]))
    engine.overwrite(WHOLE, as_spark(engine, frame))
    assert held(folder, WHOLE) == [(FIRST, "a", 1, None), (FIRST, "b", 1, 2.5)]


@pytest.mark.parametrize("table", EVERY_TYPE, ids=lambda table: table.path)
def test_every_type_survives_in_both_directions(
    engine: SparkEngine, folder: Path, tmp_path: Path, table: Table
) -> None:
    frame, window = frame_of(table, rows=9), Window(FRAMES_FIRST, FRAMES_FIRST + 2 * DAY)
    write = engine.overwrite if table.partition_column is None else partial(engine.overwrite_window, window=window)
    write(table, as_spark(engine, frame))
    expected = sorted(map(str, frame.to_pylist()))
    by_delta_rs = DeltaTable(str(folder / table.path)).to_pyarrow_table(columns=table.column_names)
    assert sorted(map(str, by_delta_rs.cast(table.schema).to_pylist())) == expected
    by_duckdb = DuckDBEngine(engine.lake, memory_limit="256MB", temp_folder=tmp_path).scan(table).to_pyarrow()
    assert sorted(map(str, by_duckdb.cast(table.schema).to_pylist())) == expected
    assert sorted(map(str, engine.scan(table).to_pyarrow().cast(table.schema).to_pylist())) == expected


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
def test_a_scan_gives_the_asked_days_of_the_version_it_found(engine: SparkEngine, table: Table) -> None:
    overwrite_window(engine.lake, table, rows(SPAN.days(), count=1), SPAN)
    asked = [Window(FIRST, FIRST), Window(FIRST + 3 * DAY, FIRST + 40 * DAY)]
    found = engine.scan(table, asked)
    engine.overwrite_window(table, rows(SPAN.days(), count=2), SPAN)
    read = found.to_pyarrow()
    assert set(read["business_date"].to_pylist()) == {FIRST, *(FIRST + n * DAY for n in (3, 4, 5))}
    assert set(read["line_count"].to_pylist()) == {1}
    assert engine.scan(table, []).count().to_pyarrow().as_py() == 0


def test_a_table_that_was_never_written(engine: SparkEngine) -> None:
    assert engine.scan_or_empty(MONTHLY).to_pyarrow().cast(MONTHLY.schema).num_rows == 0
    with pytest.raises(PermanentFailure, match=r"^The table test/monthly does not exist in .* yet: materialise it"):
        engine.scan(MONTHLY)


def test_a_column_that_is_new_in_the_contract(engine: SparkEngine, folder: Path) -> None:
    overwrite_window(engine.lake, MONTHLY, rows([FIRST]), Window(FIRST, FIRST))
    wider = replace(MONTHLY, columns=(*MONTHLY.columns, Column("note", pa.string(), "Note.", nullable=True)))
    assert engine.scan(wider).to_pyarrow()["note"].to_pylist() == [None, None]
    frame = rows([FIRST + DAY]).append_column("note", pa.array(["x", None]))
    engine.overwrite_window(wider, as_spark(engine, frame), Window(FIRST + DAY, FIRST + DAY))
    stored = DeltaTable(str(folder / MONTHLY.path)).to_pyarrow_table(columns=["product_id", "note"]).to_pylist()
    assert sorted(map(str, stored)) == sorted(
        map(str, [{"product_id": p, "note": n} for p, n in (("a", None), ("b", None), ("a", "x"), ("b", None))])
    )


def test_whole_tables_and_windows_do_not_mix(engine: SparkEngine) -> None:
    with pytest.raises(ContractViolation, match=r"^test/monthly is partitioned: it is never overwritten as a whole\.$"):
        engine.overwrite(MONTHLY, rows([FIRST]))
    with pytest.raises(ContractViolation, match=r"^test/whole has no partitions: a window of it cannot be replaced\.$"):
        engine.overwrite_window(WHOLE, rows([FIRST]), SPAN)


@pytest.mark.parametrize("kind", ["ibis", "pandas", "arrow"])
def test_a_frame_set_aside_outlives_what_it_was_made_from(engine: SparkEngine, kind: str) -> None:
    frame = rows([FIRST])
    with engine.cached(as_spark(engine, frame)) as kept:
        given = {"ibis": kept.filter(kept.product_id == "b"), "pandas": frame.to_pandas()[1:], "arrow": frame[1:]}
        take = engine.spill(given[kind])
    engine.overwrite(WHOLE, take())
    assert engine.scan(WHOLE).to_pyarrow()["product_id"].to_pylist() == ["b"]


def test_a_function_sees_all_rows_and_leaves_the_driver_alone(engine: SparkEngine, folder: Path) -> None:
    engine.overwrite(WHOLE, engine.apply(as_spark(engine, rows(SPAN.days())), _counted, WHOLE))
    assert {row[2] for row in held(folder, WHOLE)} == {2 * len(SPAN)}


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(line_count=len(frame))


def test_an_ibis_frame_comes_with_the_types_of_the_other_engine(engine: SparkEngine, tmp_path: Path) -> None:
    frame, window = frame_of(gold.DEMAND_DAILY, rows=9), Window(FRAMES_FIRST, FRAMES_FIRST + 2 * DAY)
    engine.overwrite_window(gold.DEMAND_DAILY, frame, window)
    other = DuckDBEngine(engine.lake, memory_limit="256MB", temp_folder=tmp_path).scan(gold.DEMAND_DAILY)
    one = engine.scan(gold.DEMAND_DAILY)
    assert one.schema() == other.schema()
    assert list(one.to_pandas().dtypes) == list(other.to_pandas().dtypes)


def test_a_lake_on_azure_storage_is_read_and_written(spark: SparkSessions, azurite: Azurite) -> None:
    """Hadoop's driver in the blob mode of Azurite; delta-rs reads what Spark wrote, and the other way round."""
    lake = azurite.lake("spark")
    session = spark()
    for name, value in lake.hadoop_options.items():
        if name.startswith("spark.hadoop."):
            session.conf.set(name.removeprefix("spark.hadoop."), value)
    engine = SparkEngine(lake, spark)
    overwrite_window(lake, MONTHLY, rows(SPAN.days(), count=1), SPAN)
    first = engine.scan(MONTHLY, [Window(FIRST, FIRST)])
    engine.overwrite_window(MONTHLY, first.mutate(line_count=first.line_count + 4), Window(FIRST, FIRST))
    found = lake.require(MONTHLY).to_pyarrow_table(columns=["business_date", "line_count"]).to_pylist()
    counts = {row["business_date"]: row["line_count"] for row in found}
    assert counts == {day: 5 if day == FIRST else 1 for day in SPAN.days()} and len(found) == 12
    engine.close()


def test_shards_of_a_forecast_are_tasks_of_spark(engine: SparkEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = panel_of(retailer(30, 120), horizon=14)
    model = fit_global(panel, Boosting(trees=10, leaves=7, threads=1))
    whole = model.predict(panel)
    monkeypatch.setattr(global_model, "_PREDICT_ROWS", 3)  # ten parts: more than are sent at a time
    found = contender_means(panel, ["lightgbm"], fitted={"lightgbm": model}, aggregate=None, in_parts=engine.in_parts)
    np.testing.assert_array_equal(found.by_name["lightgbm"], whole)
    assert found.failures == []
