"""A home folder belongs to one lake and one warehouse, because what was materialised is known per folder; and what
the command line does so that a range of days does not wait for Dagster's event log."""

import shutil
import sqlite3
from contextlib import closing
from datetime import date

import dagster as dg
import pytest
import sqlalchemy as sa

from retail_assets.command_line.launch import _quick_event_log, _same_places
from retail_assets.failures import PermanentFailure
from retail_assets.runs.run_tags import range_tags
from retail_assets.settings import Settings, plan_ranges_at_once
from retail_assets.windows import Window

_PLANNED_AT_ONCE = "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS"


def _settings(home, **places) -> Settings:
    settings = Settings(home=home, **places)
    settings.folder.mkdir(parents=True, exist_ok=True)
    return settings


def test_the_same_places_are_taken_again(tmp_path):
    _same_places(_settings(tmp_path / "home"))
    _same_places(_settings(tmp_path / "home"))


@pytest.mark.parametrize(
    ("variable", "place"),
    [("RETAIL_LAKE_URI", {"lake_uri": "other/lake"}), ("RETAIL_WAREHOUSE_URL", {"warehouse_url": "duckdb:///other"})],
)
def test_another_place_is_refused_by_name(tmp_path, variable, place):
    _same_places(_settings(tmp_path / "home"))
    with pytest.raises(PermanentFailure, match=f"holds the runs of another {variable}: set it back"):
        _same_places(_settings(tmp_path / "home", **place))


def test_a_folder_may_move_with_what_lies_in_it(tmp_path):
    _same_places(_settings(tmp_path / "home"))
    shutil.move(tmp_path / "home", tmp_path / "moved")
    _same_places(_settings(tmp_path / "moved"))


def test_a_password_may_change(tmp_path):
    for password in ("old", "new"):
        _same_places(_settings(tmp_path / "home", warehouse_url=f"postgresql+psycopg://loader:{password}@server/db"))


def _used_once(file) -> None:
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO event VALUES (1)"))
    engine.dispose()


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "log.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE event (id INTEGER)")
    return file


def test_a_log_in_write_ahead_mode_is_moved_into_its_database_once_not_at_every_event(log):
    ahead = log.with_name("log.db-wal")
    _used_once(log)
    assert not ahead.exists()
    with _quick_event_log():
        for _ in range(3):
            _used_once(log)
        assert ahead.stat().st_size > 0
    assert not ahead.exists()
    with closing(sqlite3.connect(log)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (4,)


def test_events_of_a_killed_command_are_still_there(log, tmp_path):
    with _quick_event_log():
        _used_once(log)
        left = tmp_path / "left"
        left.mkdir()
        for file in tmp_path.glob("log.db*"):
            shutil.copy(file, left)
    with closing(sqlite3.connect(left / "log.db")) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)


def test_a_command_makes_one_engine_for_each_database_of_the_log(tmp_path, monkeypatch):
    made: list[str] = []
    create = sa.create_engine
    monkeypatch.setattr(sa, "create_engine", lambda url, **options: made.append(url) or create(url, **options))
    with _quick_event_log(), dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for name in ("a", "b", "c"):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        assert instance.get_latest_materialization_event(dg.AssetKey("c")) is not None
    logs = [url for url in made if "/history/runs/" in url and not url.endswith("/runs.db")]
    assert len(logs) == len(set(logs)) > 0


def test_a_range_is_planned_with_one_event_and_every_partition_counts_as_made(tmp_path, monkeypatch):
    monkeypatch.setenv(_PLANNED_AT_ONCE, "")  # so that it is taken back after the test
    monkeypatch.delenv(_PLANNED_AT_ONCE)
    plan_ranges_at_once()
    days = dg.DailyPartitionsDefinition("2025-01-01")

    @dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def table() -> None: ...

    job = dg.Definitions([table], jobs=[dg.define_asset_job("days", [table])]).resolve_job_def("days")
    span = range_tags(Window(date(2025, 1, 1), date(2025, 1, 3)))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = job.execute_in_process(instance=instance, tags=span)
        logged = [
            entry.dagster_event.event_type_value for entry in instance.all_logs(run.run_id) if entry.dagster_event
        ]
        made = instance.get_materialized_partitions(table.key)
    assert logged.count("ASSET_MATERIALIZATION_PLANNED") == 1
    assert made == {"2025-01-01", "2025-01-02", "2025-01-03"}
