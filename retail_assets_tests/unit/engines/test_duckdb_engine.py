"""What a scan gives back for every layout, that it opens only the files it was asked for, and where it says no."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from retail_assets.engines import fetched
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import LAKE_TABLES
from retail_assets.tables.contract import ContractViolation, Table
from retail_assets.transforms.lineage import Source
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, rows
from retail_assets_tests.unit.warehouse_frames import FIRST as FRAMES_FIRST
from retail_assets_tests.unit.warehouse_frames import frame_of

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning:ibis.*")
FIRST = date(2024, 1, 29)
DAY = timedelta(days=1)
SPAN = Window(FIRST, FIRST + 40 * DAY)
FEBRUARY = Window(date(2024, 2, 1), date(2024, 2, 29))


def _engine(folder: Path, scratch: Path) -> DuckDBEngine:
    return DuckDBEngine(Lake(str(folder)), memory_limit="256 MB", temp_folder=scratch)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = _engine(tmp_path / "lake", tmp_path / "scratch" / "deep")
    yield engine
    engine.connection.disconnect()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    for table in (MONTHLY, DAILY):
        overwrite_window(Lake(str(folder)), table, rows(SPAN.days()), SPAN)
    overwrite(Lake(str(folder)), WHOLE, rows(SPAN.days()))
    return folder


@pytest.fixture
def filled(engine: DuckDBEngine, template: Path) -> DuckDBEngine:
    shutil.copytree(template, engine.lake.uri)
    return engine


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the files that scans listed, as delta-rs gave them."""
    found: list[str] = []
    original = DeltaTable.file_uris

    def listing(self: DeltaTable, *args: Any, **kwargs: Any) -> list[str]:
        uris = original(self, *args, **kwargs)
        found.extend(Path(uri).parent.name for uri in uris)
        return uris

    monkeypatch.setattr(DeltaTable, "file_uris", listing)
    return found


def days_in(found: ibis.Table) -> set[date]:
    return set(found.to_pyarrow()["business_date"].to_pylist())


@pytest.mark.parametrize("table", [MONTHLY, DAILY, WHOLE], ids=["month", "day", "whole"])
def test_a_full_scan_gives_back_what_was_written(filled: DuckDBEngine, table: Table) -> None:
    found = filled.scan(table).to_pyarrow()
    order = [("business_date", "ascending"), ("product_id", "ascending")]
    assert found.column_names == table.column_names
    assert found.cast(table.schema).sort_by(order).equals(rows(SPAN.days()).cast(table.schema).sort_by(order))


@pytest.mark.parametrize("table", LAKE_TABLES, ids=lambda table: table.path)
def test_every_type_of_every_table_survives(engine: DuckDBEngine, table: Table) -> None:
    frame = frame_of(table, rows=9)
    if table.partition_column is None:
        engine.overwrite(table, frame)
    else:
        engine.overwrite_window(table, frame, Window(FRAMES_FIRST, FRAMES_FIRST + 2 * DAY))
    found = engine.scan(table).to_pyarrow()
    assert found.column_names == table.column_names
    as_written = sorted(map(str, frame.to_pylist()))
    assert sorted(map(str, found.cast(table.schema).to_pylist())) == as_written


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
@pytest.mark.parametrize(
    "windows",
    [
        [Window(FIRST, FIRST)],
        [FEBRUARY],
        [Window(FIRST, FIRST + DAY), Window(FIRST + 35 * DAY, FIRST + 99 * DAY)],
        [Window(date(2023, 1, 1), date(2023, 1, 9))],
    ],
    ids=["day", "month", "two", "before the first"],
)
def test_windows_give_exactly_their_days(filled: DuckDBEngine, table: Table, windows: list[Window]) -> None:
    assert days_in(filled.scan(table, windows)) == {day for day in SPAN.days() if any(day in w for w in windows)}


def test_only_the_files_of_the_asked_months_are_opened(filled: DuckDBEngine, opened: list[str]) -> None:
    filled.scan(MONTHLY, [Window(date(2024, 2, 10), date(2024, 2, 12))]).to_pyarrow()
    assert opened == ["month=2024-02"]


def test_months_between_two_windows_are_not_opened(filled: DuckDBEngine, opened: list[str]) -> None:
    filled.scan(MONTHLY, [Window(FIRST, FIRST), Window(date(2024, 3, 1), date(2024, 3, 2))]).to_pyarrow()
    assert sorted(opened) == ["month=2024-01", "month=2024-03"]


def test_only_the_files_of_the_asked_days_are_opened(filled: DuckDBEngine, opened: list[str]) -> None:
    filled.scan(DAILY, [Window(FIRST + 3 * DAY, FIRST + 4 * DAY)]).to_pyarrow()
    assert sorted(opened) == ["business_date=2024-02-01", "business_date=2024-02-02"]


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
def test_no_windows_are_no_rows(filled: DuckDBEngine, table: Table) -> None:
    assert days_in(filled.scan(table, [])) == set()


@pytest.mark.parametrize("table", [MONTHLY, DAILY, WHOLE], ids=["month", "day", "whole"])
def test_a_table_that_was_emptied_keeps_its_columns(engine: DuckDBEngine, table: Table) -> None:
    if table is WHOLE:
        engine.overwrite(table, rows([]))
    else:
        engine.overwrite_window(table, rows([FIRST]), Window(FIRST, FIRST))
        engine.overwrite_window(table, rows([]), Window(FIRST, FIRST))
    assert engine.scan(table).to_pyarrow().cast(table.schema).equals(table.schema.empty_table())


@pytest.mark.parametrize("table", [MONTHLY, DAILY, WHOLE], ids=["month", "day", "whole"])
def test_a_table_that_was_never_written(engine: DuckDBEngine, table: Table) -> None:
    assert engine.scan_or_empty(table).to_pyarrow().cast(table.schema).equals(table.schema.empty_table())
    with pytest.raises(PermanentFailure) as raised:
        engine.scan(table)
    lake = engine.lake.uri
    assert str(raised.value) == f"The table {table.path} does not exist in {lake} yet: materialise it first."


def test_scan_or_empty_gives_the_rows_where_there_are_some(filled: DuckDBEngine) -> None:
    assert days_in(filled.scan_or_empty(MONTHLY)) == set(SPAN.days())


def test_a_scan_keeps_its_version_while_others_write(filled: DuckDBEngine) -> None:
    before = filled.scan(MONTHLY)
    filled.overwrite_window(MONTHLY, rows(FEBRUARY.days(), count=5), FEBRUARY)
    assert before.line_count.max().to_pyarrow().as_py() == 1
    assert filled.scan(MONTHLY).line_count.max().to_pyarrow().as_py() == 5


def test_tables_join_because_they_share_a_connection(filled: DuckDBEngine) -> None:
    joined = filled.scan(MONTHLY, [FEBRUARY]).join(filled.scan(WHOLE), ["business_date", "product_id"])
    assert joined.count().to_pyarrow().as_py() == 29 * 2


@pytest.mark.parametrize("name", ["my shop", "Büro 東京", "it's", "a & b", "st*r", "brace{d}"])
def test_any_folder_name_can_hold_the_lake(tmp_path: Path, name: str) -> None:
    engine = _engine(tmp_path / name / "lake", tmp_path / name / "scratch")
    for table in (MONTHLY, DAILY):
        engine.overwrite_window(table, rows([FIRST, FIRST + DAY]), Window(FIRST, FIRST + DAY))
        assert days_in(engine.scan(table, [Window(FIRST, FIRST)])) == {FIRST}
    engine.connection.disconnect()


def test_a_folder_above_the_lake_is_no_column(tmp_path: Path) -> None:
    engine = _engine(tmp_path / "product_id=prod" / "lake", tmp_path / "scratch")
    engine.overwrite(WHOLE, rows([FIRST]))
    assert set(engine.scan(WHOLE).product_id.to_pyarrow().to_pylist()) == {"a", "b"}
    engine.connection.disconnect()


def test_a_lake_may_be_a_file_address(tmp_path: Path) -> None:
    folder = tmp_path / "my lake"
    engine = DuckDBEngine(Lake(folder.as_uri()), memory_limit="256MB", temp_folder=tmp_path)
    engine.overwrite(WHOLE, rows([FIRST]))
    assert days_in(engine.scan(WHOLE)) == {FIRST}
    assert (folder / WHOLE.path / "_delta_log").is_dir()
    engine.connection.disconnect()


@pytest.mark.parametrize("scan_bytes", [0, fetched.SCAN_BYTES], ids=["through arrow", "fetched"])
def test_a_remote_lake_is_scanned(filled: DuckDBEngine, monkeypatch: pytest.MonkeyPatch, scan_bytes: int) -> None:
    """Both ways read the same rows; the storage itself is proved where Azurite runs."""
    monkeypatch.setattr(Lake, "is_local", False)
    monkeypatch.setattr(Lake, "storage_options", None)
    monkeypatch.setattr(fetched, "SCAN_BYTES", scan_bytes)
    assert days_in(filled.scan(MONTHLY, [FEBRUARY])) == set(FEBRUARY.days())
    assert filled.scan(DAILY, [FEBRUARY]).count().to_pyarrow().as_py() == 29 * 2


def test_fetched_files_are_fetched_once_and_go_with_the_engine(
    filled: DuckDBEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Lake, "is_local", False)
    monkeypatch.setattr(Lake, "storage_options", None)
    for window in (FEBRUARY, Window(FEBRUARY.first, FEBRUARY.first)):
        filled.scan(MONTHLY, [window]).to_pyarrow()
    held = list(tmp_path.rglob("fetched-*/**/*.parquet"))
    assert len(held) == 1
    before = held[0].stat().st_mtime_ns
    filled.scan(MONTHLY, [FEBRUARY]).to_pyarrow()
    assert held[0].stat().st_mtime_ns == before
    filled.close()
    assert not list(tmp_path.rglob("fetched-*"))


def _temporary_tables(engine: DuckDBEngine) -> set[str]:
    found = engine.connection.raw_sql("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    return {name for (name,) in found}


def test_kept_rows_are_computed_once_and_dropped(filled: DuckDBEngine) -> None:
    with filled.cached(filled.scan(MONTHLY, [FEBRUARY])) as kept:
        filled.overwrite_window(MONTHLY, rows([]), FEBRUARY)
        assert kept.count().to_pyarrow().as_py() == 29 * 2
        assert len(_temporary_tables(filled)) == 1
    assert _temporary_tables(filled) == set()


def test_columns_are_followed_through_what_is_kept_and_set_aside(filled: DuckDBEngine) -> None:
    units = {"units": frozenset([Source(MONTHLY.path, "sold_units")])}
    with filled.cached(filled.scan(MONTHLY).select(twice=ibis._.sold_units * 2)) as kept:
        whole = filled.spill(kept.select(units="twice"))
        assert filled.sources(kept.select(units="twice")) == units
    assert whole.sources() == units
    assert filled.sources(whole()) == {}, "a frame in memory tells nothing"


def test_only_the_columns_that_an_expression_uses_are_read(filled: DuckDBEngine) -> None:
    """DuckDB prunes them itself, below the view over the files."""
    used = filled.scan(MONTHLY, [FEBRUARY]).select("product_id")
    plan = "\n".join(row[1] for row in filled.connection.raw_sql(f"EXPLAIN {ibis.to_sql(used)}").fetchall())
    assert "Projections: product_id" in plan and "sold_units" not in plan and "line_count" not in plan


def test_kept_rows_are_dropped_after_a_failure_too(filled: DuckDBEngine) -> None:
    with pytest.raises(ZeroDivisionError), filled.cached(filled.scan(WHOLE)):
        raise ZeroDivisionError
    assert _temporary_tables(filled) == set()


def test_memory_and_spill_folder_come_from_the_settings(engine: DuckDBEngine, tmp_path: Path) -> None:
    query = "SELECT current_setting('memory_limit'), current_setting('temp_directory'), current_setting('TimeZone')"
    (memory, folder, zone) = engine.connection.raw_sql(query).fetchone()
    assert memory == "244.1 MiB"
    assert (folder, zone) == (str(tmp_path / "scratch" / "deep"), "UTC")


def test_the_engine_refuses_what_the_writer_refuses(filled: DuckDBEngine) -> None:
    with pytest.raises(ContractViolation, match="never overwritten as a whole"):
        filled.overwrite(MONTHLY, rows([]))
    with pytest.raises(ContractViolation, match="has no partitions"):
        filled.overwrite_window(WHOLE, rows([]), FEBRUARY)
    assert days_in(filled.scan(MONTHLY)) == set(SPAN.days())


def test_extra_files_of_older_versions_are_not_read(filled: DuckDBEngine) -> None:
    filled.overwrite(WHOLE, rows([FIRST], count=8))
    found = filled.scan(WHOLE).to_pyarrow()
    assert found["line_count"].to_pylist() == [8, 8]
    files = list((Path(filled.lake.uri) / WHOLE.path).glob("*.parquet"))
    assert len(files) > 1 and pq.read_metadata(files[0]).num_rows > 0


def test_another_table_of_the_same_shape_is_another_table(filled: DuckDBEngine) -> None:
    other = replace(WHOLE, name="other")
    filled.overwrite(other, rows([FIRST], count=3))
    assert len(days_in(filled.scan(WHOLE))) == 41
    assert days_in(filled.scan(other)) == {FIRST}
