"""Whether a command is at work in a home, and which runs of commands are abandoned."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import dagster as dg
import pytest

from retail_assets.command_line.planner import close_abandoned
from retail_assets.runs.at_work import LAUNCHED_BY, at_work, is_at_work

STATUS = dg.DagsterRunStatus
RUN, POOL = "00000000-0000-4000-8000-000000000001", "source"


def test_a_command_is_at_work_while_its_context_lasts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert not is_at_work(home)
    with at_work(home):
        assert is_at_work(home)
    assert not is_at_work(home)


def test_a_killed_command_is_at_work_no_more(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from retail_assets.runs.at_work import at_work\n"
        "with at_work(pathlib.Path(sys.argv[1])): print('here', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "here\n"
        assert is_at_work(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not is_at_work(tmp_path)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text((Path(__file__).parents[3] / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def _known(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: dict[str, str]) -> dg.DagsterRun:
    return instance.add_run(dg.DagsterRun(job_name="ingest", run_id=RUN, status=status, tags=tags))


def _now(instance: dg.DagsterInstance) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(RUN)
    assert run
    return run.status


@pytest.mark.parametrize("status", [STATUS.NOT_STARTED, STATUS.STARTING, STATUS.STARTED, STATUS.CANCELING])
def test_an_abandoned_run_is_closed_at_whatever_moment_its_process_ended(instance, status) -> None:
    _known(instance, status, LAUNCHED_BY)
    assert close_abandoned(instance) == 1
    assert _now(instance) is STATUS.CANCELED


def test_the_slot_of_an_abandoned_run_is_free_afterwards(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(POOL)
    _known(instance, STATUS.STARTED, LAUNCHED_BY)
    assert storage.claim_concurrency_slot(POOL, RUN, "bronze_daily").is_claimed
    close_abandoned(instance)
    info = storage.get_concurrency_info(POOL)
    assert (info.claimed_slots, info.pending_steps) == ([], [])


@pytest.mark.parametrize("status", [STATUS.SUCCESS, STATUS.FAILURE])
def test_a_run_that_is_over_stays_as_it_ended(instance, status) -> None:
    _known(instance, status, LAUNCHED_BY)
    assert close_abandoned(instance) == 0
    assert _now(instance) is status


def test_a_run_of_the_daemon_is_not_closed(instance: dg.DagsterInstance) -> None:
    _known(instance, STATUS.STARTED, {"dagster/schedule_name": "nightly_ingest"})
    assert close_abandoned(instance) == 0
    assert _now(instance) is STATUS.STARTED


class FromTheUi:
    """A run that the UI made of a command's run: the tags are copied, and a code location executes it."""

    tags, run_id, remote_job_origin = LAUNCHED_BY, RUN, object()


def test_a_run_that_the_ui_made_of_a_command_s_run_is_not_closed() -> None:
    class Instance:
        """Knows one run, lists no pool, and would raise where a run is reported."""

        event_log_storage = type(
            "Storage", (), {"get_concurrency_keys": lambda _: set(), "get_concurrency_infos": lambda *_: {}}
        )()

        def get_runs(self, filters: dg.RunsFilter) -> list[FromTheUi]:
            return [FromTheUi()]

    assert close_abandoned(cast(dg.DagsterInstance, Instance())) == 0
