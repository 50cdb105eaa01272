"""A batch of Dagster's events leaves the rows that the storage writes event by event, in a few transactions."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from retail_assets.command_line.launch import _quick_event_log
from retail_assets.runs.run_tags import range_tags
from retail_assets.settings import plan_ranges_at_once, store_ranges_at_once
from retail_assets.windows import Window

_VARIABLES = ("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "DAGSTER_EVENT_BATCH_SIZE")
FIRST = date(2025, 1, 1)
DAYS = dg.DailyPartitionsDefinition(str(FIRST))
FOLLOWED = dg.AssetCheckSpec("followed", asset="sales", partitions_def=DAYS)


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), check_specs=[FOLLOWED])
def sales() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="followed")])


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run(), deps=[sales])
def demand() -> None: ...


JOB = dg.Definitions([sales, demand], jobs=[dg.define_asset_job("days", [sales, demand])]).resolve_job_def("days")


@pytest.fixture(autouse=True)
def _as_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is taken back after the test
        monkeypatch.delenv(name)
    plan_ranges_at_once()
    store_ranges_at_once()


def _stored(folder: Path, days: int) -> dict[str, list[tuple]]:
    """What a run over a range leaves in the databases of the log, less moments and the names of runs."""
    folder.mkdir()
    span = range_tags(Window(FIRST, FIRST + timedelta(days=days - 1)))
    with _quick_event_log(), dg.DagsterInstance.local_temp(str(folder)) as instance:
        run = JOB.execute_in_process(instance=instance, tags=span)
        assert len(instance.get_materialized_partitions(demand.key)) == days
    files = {"run": run.run_id, "index": "index"}
    return {f"{name}: {query}": rows for name, file in files.items() for query, rows in _rows(folder, file)}


def _rows(folder: Path, name: str) -> Iterator[tuple[str, list[tuple]]]:
    [file] = folder.rglob(f"{name}.db")
    with closing(sqlite3.connect(file)) as database:
        for query in (
            "SELECT dagster_event_type, step_key, asset_key, partition FROM event_logs",
            "SELECT asset_key, key, CASE key WHEN 'dagster/partition' THEN value END FROM asset_event_tags",
            "SELECT asset_key, check_name, partition, execution_status FROM asset_check_executions",
            "SELECT asset_key, json_extract(last_materialization, '$.event_log_entry.dagster_event"
            ".event_specific_data.materialization.partition') FROM asset_keys",
            "SELECT max(id) - min(id) + 1 - count(*) FROM event_logs",
            "SELECT t.asset_key FROM asset_event_tags t JOIN event_logs e ON e.id = t.event_id "
            "AND e.asset_key = t.asset_key AND e.partition = t.value WHERE t.key = 'dagster/partition'",
        ):
            yield query, sorted(database.execute(query).fetchall(), key=repr)


def test_a_batch_leaves_the_rows_that_single_events_leave(tmp_path, monkeypatch):
    together = _stored(tmp_path / "together", days=4)
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "0")
    assert together == _stored(tmp_path / "single", days=4)
    kept = next(rows for query, rows in together.items() if "FROM asset_keys" in query and query.startswith("index"))
    assert kept == [('["demand"]', "2025-01-04"), ('["sales"]', "2025-01-04")]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The databases that the storage opens, in order."""
    names: list[str] = []
    connect: Callable = SqliteEventLogStorage._connect
    monkeypatch.setattr(
        SqliteEventLogStorage, "_connect", lambda storage, name: names.append(name) or connect(storage, name)
    )
    return names


def test_a_longer_range_opens_the_log_no_more_often(tmp_path, opened):
    _stored(tmp_path / "short", days=2)
    short = len(opened)
    opened.clear()
    _stored(tmp_path / "long", days=9)
    assert len(opened) == short
