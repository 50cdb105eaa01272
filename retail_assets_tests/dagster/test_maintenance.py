"""The maintenance as Dagster runs it: figures in the table and the UI, problems as a failed check, its own hour."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake

from retail_assets.assets import maintenance
from retail_assets.graph import jobs
from retail_assets.graph.schedules import schedules
from retail_assets.settings import Settings
from retail_assets.tables.operations import LAKE_MAINTENANCE
from retail_assets_tests.dagster import snapshot
from retail_assets_tests.unit.lake_frames import DAILY, WHOLE, rows

CHECK = "every_table_was_maintained"
FIRST = dt.date(2024, 1, 29)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small tables stand in the catalogue's place, each of ten files."""
    monkeypatch.setattr(maintenance, "LAKE_TABLES", (WHOLE, DAILY))
    for number in range(10):
        write_deltalake(tmp_path / "lake" / WHOLE.path, rows([FIRST], count=number), mode="append")
        write_deltalake(
            tmp_path / "lake" / DAILY.path, rows([FIRST], count=number), mode="append", partition_by=["business_date"]
        )
    return tmp_path / "lake"


@pytest.fixture
def run(lake: Path, tmp_path: Path) -> Callable[[], dg.ExecuteInProcessResult]:
    def execute() -> dg.ExecuteInProcessResult:
        found = snapshot.definitions(tmp_path / "home", lake_uri=str(lake), history_days=14)
        with dg.DagsterInstance.ephemeral() as instance:
            return found.resolve_job_def(jobs.MAINTAIN).execute_in_process(instance=instance)

    return execute


def stored(lake: Path) -> list[dict[str, Any]]:
    """Rows of the figures' table, read by DuckDB."""
    files = DeltaTable(str(lake / LAKE_MAINTENANCE.path)).file_uris()
    with duckdb.connect() as connection:
        found = connection.sql("SELECT * FROM read_parquet($1) ORDER BY table_path", params=[files])
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [event] = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(LAKE_MAINTENANCE.asset_key)
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_figures_are_stored_and_shown(run: Callable, lake: Path) -> None:
    metadata = told(run())
    daily, whole = stored(lake)
    assert (daily["table_path"], daily["files_before"], daily["files_after"]) == (DAILY.path, 10, 1)
    assert (whole["table_path"], whole["row_count"], whole["compacted_partitions"]) == (WHOLE.path, 20, 1)
    assert (daily["problem"], whole["problem"]) == (None, None)
    totals = ("files_before", "files_after", "bytes_before", "bytes_after", "compacted_partitions", "vacuumed_bytes")
    assert {name: metadata[name] for name in totals} == {name: daily[name] + whole[name] for name in totals}
    shown = [record.data for record in metadata["tables"].records]
    assert [record["table_path"] for record in shown] == [WHOLE.path, DAILY.path]
    assert shown[0]["bytes_after"] == whole["bytes_after"] and shown[0]["problem"] is None
    assert (metadata["dagster/row_count"], metadata["delta_version"]) == (2, 1)


def test_the_history_is_the_settings(run: Callable, lake: Path) -> None:
    run()
    properties = DeltaTable(lake / WHOLE.path).metadata().configuration
    assert properties["delta.deletedFileRetentionDuration"] == "interval 14 days"


def test_all_is_well(run: Callable) -> None:
    [evaluation] = run().get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == (CHECK, True)
    assert evaluation.description == "0 of 2 tables had a problem."


def test_a_problem_fails_the_check_and_keeps_the_figures(run: Callable, lake: Path) -> None:
    for file in (lake / DAILY.path).glob("business_date=*/*.parquet"):
        file.unlink()
    result = run()
    [evaluation] = result.get_asset_check_evaluations()
    daily, whole = stored(lake)
    assert result.success
    assert (evaluation.check_name, evaluation.passed, evaluation.blocking) == (CHECK, False, False)
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    assert evaluation.description == f"1 of 2 tables had a problem. {daily['problem']}"
    assert DAILY.path in daily["problem"]
    assert (whole["files_after"], whole["problem"]) == (1, None)


def test_folders_left_to_a_writer_are_told(run: Callable, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retail_assets.engines import maintenance as engine

    original = engine.write_deltalake

    def late(delta: DeltaTable, *arguments: Any, **options: Any) -> None:
        if delta.metadata().partition_columns:
            write_deltalake(lake / DAILY.path, rows([FIRST], count=99), mode="append")
        original(delta, *arguments, **options)

    monkeypatch.setattr(engine, "write_deltalake", late)
    [evaluation] = run().get_asset_check_evaluations()
    assert evaluation.passed
    assert evaluation.description == (
        "0 of 2 tables had a problem. 1 folders were being written and wait for the next time."
    )
    assert [row["skipped_partitions"] for row in stored(lake)] == [1, 0]


def test_a_lake_without_tables_has_nothing_to_maintain(tmp_path: Path) -> None:
    found = snapshot.definitions(tmp_path / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        result = found.resolve_job_def(jobs.MAINTAIN).execute_in_process(instance=instance)
    assert result.success
    assert told(result)["dagster/row_count"] == 0
    assert told(result)["files_before"] == 0


def test_two_never_run_at_once() -> None:
    graph = snapshot.definitions().resolve_asset_graph()
    assert graph.get(dg.AssetKey(LAKE_MAINTENANCE.asset_key)).pools == {"maintenance"}


@pytest.mark.parametrize("timezone", ["Europe/London", "America/New_York"])
def test_it_runs_on_sundays_at_noon_where_the_stores_are(timezone: str) -> None:
    made = {schedule.name: schedule for schedule in schedules(Settings(start_date=snapshot.START), timezone)}
    schedule = made["weekly_maintenance"]
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 12 * * 0", timezone)
    assert (schedule.job_name, schedule.default_status) == (jobs.MAINTAIN, dg.DefaultScheduleStatus.STOPPED)
    sunday = dt.datetime(2025, 6, 8, 12, tzinfo=ZoneInfo(timezone))
    with dg.build_schedule_context(scheduled_execution_time=sunday) as context:
        request = schedule(context)
    assert (sunday.isoweekday(), request.run_key, request.partition_key) == (7, "maintain 2025-06-08", None)
