"""The IO manager inside real Dagster runs: what lands in the lake, what consumers receive, what the UI is told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from retail_assets.assets.declare import Columns, Days, outputs, reads, table_asset
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.protocol import Spilled
from retail_assets.engines.spilled import in_file
from retail_assets.failures import PermanentFailure
from retail_assets.io_managers import delta as io_module
from retail_assets.io_managers.chunks import Chunks, SharedOutputs, asked_windows, by_month
from retail_assets.io_managers.delta import DeltaTableIOManager
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import ContractViolation, Table
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, held, rows

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning:ibis.*")

FIRST, DAY = date(2024, 1, 29), timedelta(days=1)
RANGE = Window(FIRST, FIRST + 4 * DAY)
PARTITIONS = dg.DailyPartitionsDefinition(start_date="2024-01-01", end_date="2024-03-01")
COPY = replace(MONTHLY, name="copy")
BY_PATH = {table.path: table for table in (MONTHLY, DAILY, WHOLE, COPY)}


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small tables of these tests stand in the catalogue's place."""
    monkeypatch.setattr(io_module, "table_at", BY_PATH.__getitem__)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def manager(folder: Path, tmp_path: Path) -> Iterator[DeltaTableIOManager]:
    lake = Lake(str(folder))
    engine = DuckDBEngine(lake, memory_limit="256MB", temp_folder=tmp_path / "scratch")
    yield DeltaTableIOManager(engine, lake)
    engine.close()


@pytest.fixture
def run(manager: DeltaTableIOManager, tmp_path: Path) -> Iterator[Callable[..., dg.ExecuteInProcessResult]]:
    """Materialises assets for a window of days, or without partitions."""
    (tmp_path / "instance").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "instance")) as instance:

        def materialize(*assets: Any, days: Window | None = None, **kwargs: Any) -> dg.ExecuteInProcessResult:
            return dg.materialize(
                list(assets), instance=instance, resources={"io_manager": manager}, **_partitions(days), **kwargs
            )

        yield materialize


def _partitions(days: Window | None) -> dict[str, Any]:
    if days is None:
        return {}
    if days.first == days.last:
        return {"partition_key": str(days.first)}
    start, end = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    return {"tags": {start: str(days.first), end: str(days.last)}}


def _daily(asset: dg.AssetsDefinition, partitions: dg.PartitionsDefinition = PARTITIONS) -> dg.AssetsDefinition:
    """Partitions and policy as the definitions attach them."""
    with_partitions = dg.map_asset_specs(lambda spec: spec.replace_attributes(partitions_def=partitions), [asset])
    return next(iter(with_partitions)).with_attributes(backfill_policy=dg.BackfillPolicy.single_run())


def source(table: Table, *, count: int = 1) -> dg.AssetsDefinition:
    @table_asset(table)
    def made(context: dg.AssetExecutionContext) -> Chunks:
        return by_month(context, lambda days: rows(days.days(), count=count))

    return _daily(made)


def days_held(folder: Path, table: Table) -> dict[date, int]:
    return {day: count for day, _, count, _ in held(folder, table)}


def metadata(result: dg.ExecuteInProcessResult, table: Table) -> dict[str, Any]:
    """Of the run's last materialisation of the table."""
    events = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(table.asset_key)]
    return {name: value.value for name, value in events[-1].materialization.metadata.items()}


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
def test_a_range_replaces_its_days_and_no_other(run: Callable, folder: Path, table: Table) -> None:
    run(source(table, count=1), days=RANGE)
    run(source(table, count=2), days=Window(FIRST + DAY, FIRST + 3 * DAY))
    run(source(table, count=3), days=Window(FIRST + 2 * DAY, FIRST + 2 * DAY))
    assert days_held(folder, table) == {FIRST + n * DAY: count for n, count in enumerate((1, 2, 3, 2, 1))}


def test_metadata_of_one_partition_and_of_a_range(run: Callable, folder: Path) -> None:
    version = run(source(MONTHLY), days=Window(FIRST, FIRST))
    told = metadata(version, MONTHLY)
    assert (told["dagster/partition_row_count"], told["delta_version"]) == (2, 1)
    assert told["dagster/uri"] == f"{folder}/test/monthly"
    assert "rows_in_run" not in told and told["bytes_in_memory"] > 0

    told = metadata(run(source(MONTHLY), days=RANGE), MONTHLY)
    assert told["rows_in_run"] == len(held(folder, MONTHLY)) == 10
    assert told["delta_version"] == DeltaTable(f"{folder}/test/monthly").version() == 3
    assert "dagster/partition_row_count" not in told


def test_an_unpartitioned_table_is_replaced_and_counted(run: Callable, folder: Path) -> None:
    run(_constant(WHOLE, rows(RANGE.days(), count=1)))
    result = run(_constant(WHOLE, rows([FIRST], count=4)))
    assert days_held(folder, WHOLE) == {FIRST: 4}
    told = metadata(result, WHOLE)
    assert (told["dagster/row_count"], told["delta_version"]) == (2, 2)


@pytest.mark.parametrize("broken", ["sample", "columns", "lineage", "sources"])
def test_a_fault_in_what_the_ui_shows_is_a_warning_and_costs_no_rows(
    run: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], broken: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(*(DuckDBEngine, broken) if broken == "sources" else (io_module.described, broken), fail)
    result = run(source(MONTHLY), days=RANGE)
    assert result.success and len(held(folder, MONTHLY)) == 10
    assert metadata(result, MONTHLY)["rows_in_run"] == 10
    assert "test/monthly: the UI cannot describe it: no such thing" in capfd.readouterr().err


def _constant(table: Table, frame: Any) -> dg.AssetsDefinition:
    @table_asset(table)
    def constant() -> Any:
        return frame

    return constant


RECEIVED: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def received() -> dict[str, Any]:
    RECEIVED.clear()
    return RECEIVED


@table_asset(COPY, given=MONTHLY)
def as_ibis(context: dg.AssetExecutionContext, given: ibis.Table) -> Chunks:
    RECEIVED["given"] = given
    return Chunks(asked_windows(context), lambda _: given)


@table_asset(COPY, given=MONTHLY)
def as_pandas(context: dg.AssetExecutionContext, given: pd.DataFrame) -> Chunks:
    RECEIVED["given"] = given
    return Chunks(asked_windows(context), lambda _: given)


@table_asset(COPY, given=MONTHLY)
def as_arrow(context: dg.AssetExecutionContext, given: pa.Table) -> Chunks:
    RECEIVED["given"] = given
    return Chunks(asked_windows(context), lambda _: given)


@pytest.mark.parametrize(("consumer", "kind"), [(as_ibis, ibis.Table), (as_pandas, pd.DataFrame), (as_arrow, pa.Table)])
def test_an_input_comes_as_annotated_and_only_the_asked_days(
    run: Callable, folder: Path, received: dict[str, Any], consumer: dg.AssetsDefinition, kind: type
) -> None:
    upstream = source(MONTHLY, count=6)
    run(upstream, days=RANGE)
    asked = Window(FIRST + 2 * DAY, FIRST + 3 * DAY)
    run(upstream, _daily(consumer), days=asked, selection=[dg.AssetKey(COPY.asset_key)])
    assert isinstance(received["given"], kind)
    assert days_held(folder, COPY) == {FIRST + 2 * DAY: 6, FIRST + 3 * DAY: 6}


@pytest.mark.parametrize(("kind", "names"), [(pd.DataFrame, list), (pa.Table, lambda t: t.column_names),
                                             (ibis.Table, lambda t: list(t.columns))])  # fmt: skip
def test_an_input_has_only_the_columns_that_the_asset_declares(
    run: Callable, received: dict[str, Any], kind: type, names: Callable
) -> None:
    declared = ["product_id", "sold_units"]

    def consume(given: Any) -> pa.Table:
        received["columns"] = names(given)
        return rows([FIRST])

    consume.__annotations__["given"] = kind
    consumer = table_asset(WHOLE, given=Columns(MONTHLY, declared))(consume)
    upstream = source(MONTHLY)
    run(upstream, days=RANGE)
    run(upstream, consumer, selection=[dg.AssetKey(WHOLE.asset_key)])
    assert received["columns"] == declared


def test_a_declared_column_that_does_not_exist_is_named_with_the_asset(run: Callable) -> None:
    @table_asset(WHOLE, given=Columns(MONTHLY, ["product_id", "colour"]))
    def consumer(given: pd.DataFrame) -> pd.DataFrame:
        return given

    upstream = source(MONTHLY)
    run(upstream, days=RANGE)
    with pytest.raises(PermanentFailure) as raised:
        run(upstream, consumer, selection=[dg.AssetKey(WHOLE.asset_key)])
    assert str(raised.value) == (
        "test/whole reads the column colour of test/monthly, which does not exist; its columns are "
        f"{', '.join(MONTHLY.column_names)}."
    )


@table_asset(COPY, given=Days(MONTHLY, before=2))
def looking_back(context: dg.AssetExecutionContext, given: pd.DataFrame) -> Chunks:
    RECEIVED["days"] = sorted(set(pd.to_datetime(given["business_date"]).dt.date))
    return Chunks(asked_windows(context), lambda window: rows(window.days()))


@pytest.mark.parametrize(("first", "last"), [(3, 3), (3, 4), (0, 0), (1, 2)])
def test_a_lookback_gives_exactly_the_days_before(
    run: Callable, received: dict[str, Any], first: int, last: int
) -> None:
    """Days before the first written one are simply not there."""
    upstream = source(MONTHLY)
    run(upstream, days=RANGE)
    days = Window(FIRST + first * DAY, FIRST + last * DAY)
    run(upstream, _daily(looking_back), days=days, selection=[dg.AssetKey(COPY.asset_key)])
    assert received["days"] == [FIRST + n * DAY for n in range(max(0, first - 2), last + 1)]


@table_asset(WHOLE, given=MONTHLY)
def everything(given: pa.Table) -> pa.Table:
    return given


def test_an_unpartitioned_consumer_gets_all_rows(run: Callable, folder: Path) -> None:
    upstream = source(MONTHLY)
    run(upstream, days=RANGE)
    run(upstream, everything, selection=[dg.AssetKey(WHOLE.asset_key)])
    assert held(folder, WHOLE) == held(folder, MONTHLY)


def test_a_partitioned_consumer_gets_all_rows_of_an_unpartitioned_table(
    run: Callable, folder: Path, received: dict[str, Any]
) -> None:
    @table_asset(COPY, given=WHOLE)
    def consumer(context: dg.AssetExecutionContext, given: pa.Table) -> Chunks:
        received["rows"] = given.num_rows
        return Chunks(asked_windows(context), lambda window: rows(window.days()))

    upstream = _constant(WHOLE, rows(RANGE.days()))
    run(upstream)
    run(upstream, _daily(consumer), days=Window(FIRST, FIRST), selection=[dg.AssetKey(COPY.asset_key)])
    assert received["rows"] == 10


def test_one_partition_may_return_a_plain_frame(run: Callable, folder: Path) -> None:
    run(_daily(_constant(MONTHLY, rows([FIRST]).to_pandas())), days=Window(FIRST, FIRST))
    assert days_held(folder, MONTHLY) == {FIRST: 1}


def test_consecutive_partitions_may_return_one_frame(run: Callable, folder: Path) -> None:
    run(_daily(_constant(MONTHLY, rows(RANGE.days(), count=8))), days=RANGE)
    assert days_held(folder, MONTHLY) == dict.fromkeys(RANGE.days(), 8)


def test_partitions_with_days_between_return_chunks(run: Callable, folder: Path) -> None:
    """Weeks: their Mondays do not touch, so that one frame has no window to replace."""
    weeks = dg.WeeklyPartitionsDefinition(start_date="2024-01-01", end_date="2024-03-04", day_offset=1)
    asset = _daily(_constant(MONTHLY, rows([FIRST])), partitions=weeks)
    with pytest.raises(TypeError) as raised:
        run(asset, days=Window(FIRST, FIRST + 7 * DAY))
    assert str(raised.value) == "test/monthly: an asset of several partitions returns Chunks, not one frame."
    assert not folder.exists()


def test_a_row_outside_the_run_fails_it_and_changes_nothing(run: Callable, folder: Path) -> None:
    run(source(MONTHLY), days=RANGE)
    before = held(folder, MONTHLY)
    with pytest.raises(ContractViolation) as raised:
        run(_daily(_constant(MONTHLY, rows([FIRST, FIRST + DAY], count=9))), days=Window(FIRST, FIRST))
    assert str(raised.value) == "test/monthly: 2 rows have a business_date outside 2024-01-29."
    assert held(folder, MONTHLY) == before


def test_a_failure_keeps_finished_months_and_a_rerun_completes(run: Callable, folder: Path) -> None:
    @table_asset(MONTHLY)
    def failing(context: dg.AssetExecutionContext) -> Chunks:
        return by_month(context, lambda days: rows(days.days(), count=1 // (days.first.month == 1)))

    with pytest.raises(ZeroDivisionError):
        run(_daily(failing), days=RANGE)
    assert days_held(folder, MONTHLY) == {FIRST + n * DAY: 1 for n in range(3)}
    run(source(MONTHLY, count=2), days=RANGE)
    assert days_held(folder, MONTHLY) == {FIRST + n * DAY: 2 for n in range(5)}


def test_siblings_become_two_tables_of_one_computation(run: Callable, folder: Path) -> None:
    computed: list[Window] = []

    def compute(window: Window) -> dict[str, Spilled]:
        computed.append(window)
        return {table.name: in_file(rows(window.days(), count=n)) for n, table in enumerate((MONTHLY, DAILY), start=1)}

    @dg.multi_asset(outs=outputs(MONTHLY, DAILY), ins=reads())
    def twins(context: dg.AssetExecutionContext) -> tuple[Chunks, Chunks]:
        windows = [part for window in asked_windows(context) for part in window.by_month()]
        shared = SharedOutputs(compute)
        return shared.chunks(windows, MONTHLY.name), shared.chunks(windows, DAILY.name)

    run(_daily(twins), days=RANGE)
    assert computed == RANGE.by_month()
    assert days_held(folder, MONTHLY) == dict.fromkeys(RANGE.days(), 1)
    assert days_held(folder, DAILY) == dict.fromkeys(RANGE.days(), 2)


def test_progress_is_told_window_after_window(run: Callable, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger=io_module.PROGRESS.name):
        run(source(MONTHLY), days=RANGE)
    told = [record.getMessage() for record in caplog.records if record.name == io_module.PROGRESS.name]
    assert told == ["test/monthly 2024-01-29 … 2024-01-31", "test/monthly 2024-02-01 … 2024-02-02"]
