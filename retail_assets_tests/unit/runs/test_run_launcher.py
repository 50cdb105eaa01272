"""Which runs still have a process: signs of life, silence, a code location that is away, and runs of commands."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from retail_assets.runs import run_launcher
from retail_assets.runs.at_work import LAUNCHED_BY, at_work
from retail_assets.runs.heartbeat import beating, in_process_with_heartbeat
from retail_assets.runs.run_launcher import WatchedRunLauncher, last_beat, write_beat
from retail_assets_tests.own_time import own_time

RUN = "00000000-0000-4000-8000-000000000001"
SILENT, POLL = 180, 60


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text((Path(__file__).parents[3] / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


class Daemon:
    """Looks at one run every minute; its clock and its code location are given."""

    def __init__(self, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        self.instance, self.launcher = instance, instance.run_launcher
        self.now, self.answers = 1000.0, True
        self.run: Any = SimpleNamespace(run_id=RUN, tags={}, remote_job_origin=object())
        own_time(monkeypatch, run_launcher, monotonic=lambda: self.now)
        monkeypatch.setattr(self.launcher, "_answers", lambda _: self.answers)

    def look(self, *, after: float = POLL) -> str:
        self.now += after
        return self.launcher.check_run_worker_health(self.run).status.value

    def looks(self, count: int) -> list[str]:
        return [self.look() for _ in range(count)]


@pytest.fixture
def daemon(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    return Daemon(instance, monkeypatch)


def test_a_worker_that_gives_signs_of_life_is_left_alone(daemon: Daemon) -> None:
    for number in range(20):
        write_beat(daemon.instance, RUN, str(number))
        assert daemon.look() == "RUNNING"


@pytest.mark.parametrize("last", [None, "the last"])
def test_a_worker_that_gives_none_for_three_minutes_is_lost(daemon: Daemon, last: str | None) -> None:
    """Also one that ended before its first."""
    if last:
        write_beat(daemon.instance, RUN, last)
    assert daemon.looks(4) == ["RUNNING", "RUNNING", "RUNNING", "NOT_FOUND"]


def test_the_sentence_says_what_was_noticed(daemon: Daemon) -> None:
    daemon.looks(3)
    daemon.now += POLL
    assert daemon.launcher.check_run_worker_health(daemon.run).msg == (
        "The process of the run gave no sign of life for 180 seconds: it, its container or its machine ended."
    )


def test_one_sign_begins_the_wait_anew(daemon: Daemon) -> None:
    daemon.looks(3)
    write_beat(daemon.instance, RUN, "late")
    assert daemon.looks(4) == ["RUNNING", "RUNNING", "RUNNING", "NOT_FOUND"]


def test_a_pause_of_the_daemon_or_its_database_is_not_held_against_the_worker(daemon: Daemon) -> None:
    daemon.look()
    assert daemon.look(after=3600) == "RUNNING"
    assert daemon.looks(3) == ["RUNNING", "RUNNING", "NOT_FOUND"]


def test_while_the_code_location_is_away_the_run_waits_because_its_retry_would_be_lost(daemon: Daemon) -> None:
    daemon.look()
    daemon.answers = False
    assert set(daemon.looks(30)) == {"RUNNING"}
    daemon.answers = True
    assert daemon.looks(4) == ["RUNNING", "RUNNING", "RUNNING", "NOT_FOUND"]


def test_a_code_location_that_never_comes_back_keeps_the_queue_for_an_hour(daemon: Daemon) -> None:
    daemon.look()
    daemon.answers = False
    found = daemon.looks(60)
    assert (set(found[:-1]), found[-1]) == ({"RUNNING"}, "NOT_FOUND")


def test_a_run_of_a_command_lives_as_long_as_the_command(daemon: Daemon) -> None:
    daemon.run = SimpleNamespace(run_id=RUN, tags=LAUNCHED_BY, remote_job_origin=None)
    with at_work(Path(daemon.instance.root_directory)):
        assert daemon.look(after=10_000) == "RUNNING"
    assert daemon.look() == "NOT_FOUND"


def test_a_run_in_somebody_s_own_process_is_not_judged(daemon: Daemon) -> None:
    daemon.run = SimpleNamespace(run_id=RUN, tags={}, remote_job_origin=None)
    assert set(daemon.looks(30)) == {"RUNNING"}


def test_nine_signs_are_given_in_the_time_that_costs_a_run(daemon: Daemon) -> None:
    assert daemon.launcher.beat_seconds == pytest.approx(SILENT / 9)


def test_a_code_location_that_refuses_the_port_does_not_answer(instance: dg.DagsterInstance) -> None:
    launcher: Any = instance.run_launcher
    tags = {".dagster/grpc_info": '{"host": "127.0.0.1", "port": 1}'}
    run = instance.add_run(dg.DagsterRun(job_name="publish", run_id=RUN, status=dg.DagsterRunStatus.STARTED, tags=tags))
    assert not launcher._answers(run)


def test_a_local_code_location_is_the_daemon_s_own(instance: dg.DagsterInstance) -> None:
    launcher: Any = instance.run_launcher
    tags = {".dagster/grpc_info": '{"host": "localhost", "socket": "/nowhere/socket"}'}
    run = instance.add_run(dg.DagsterRun(job_name="publish", run_id=RUN, status=dg.DagsterRunStatus.STARTED, tags=tags))
    assert launcher._answers(run)


def _ended(instance: dg.DagsterInstance) -> list[int]:
    """Exit codes that one sign of life of the run asks for."""
    codes: list[int] = []
    with beating(instance, RUN, every=600, end=codes.append):
        pass
    return codes


def test_the_process_of_a_run_that_was_ended_elsewhere_ends_itself(instance: dg.DagsterInstance) -> None:
    run = instance.add_run(dg.DagsterRun(job_name="publish", run_id=RUN, status=dg.DagsterRunStatus.STARTED))
    assert _ended(instance) == []
    instance.report_run_failed(run)
    assert _ended(instance) == [1]


def test_the_process_of_a_run_whose_record_is_gone_ends_itself(instance: dg.DagsterInstance) -> None:
    assert _ended(instance) == [1]


def test_a_database_that_is_away_for_a_moment_ends_nothing(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: object) -> None:
        raise OSError("The connection to retail:secret@postgres was refused.")

    monkeypatch.setattr(instance.run_storage, "set_cursor_values", refused)
    assert _ended(instance) == []
    assert f"No sign of life was written for run {RUN}: OSError." in caplog.text
    assert "secret" not in caplog.text


@dg.asset
def looks_for_its_sign(context: dg.AssetExecutionContext) -> None:
    for _ in range(1000):
        if last_beat(context.instance, context.run.run_id):
            return
        run_launcher.time.sleep(0.01)
    raise AssertionError("no sign of life")


def test_a_worker_gives_signs_of_life_while_its_steps_run(instance: dg.DagsterInstance) -> None:
    assert dg.execute_job(dg.reconstructable(_look_job), instance=instance).success


def _look_job() -> dg.JobDefinition:
    job = dg.define_asset_job("look", [looks_for_its_sign], executor_def=in_process_with_heartbeat)
    return dg.Definitions([looks_for_its_sign], jobs=[job]).resolve_job_def("look")
