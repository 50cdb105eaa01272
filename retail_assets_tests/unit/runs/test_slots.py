"""Slots of pools: those of runs that are over are freed, those of others named, and nothing else is touched."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.interrupts import capture_interrupts  # what Dagster does between steps

from retail_assets.runs import slots
from retail_assets.runs.slots import free_ended, visible_waits
from retail_assets_tests.own_time import own_time

YAML = Path(__file__).parents[3] / "dagster.yaml"
POOL = "source"
MINE, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a home, with one slot in each pool."""
    (tmp_path / "dagster.yaml").write_text(YAML.read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        made.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield made


def _run(instance: dg.DagsterInstance, run_id: str, status: dg.DagsterRunStatus = STARTED) -> dg.DagsterRun:
    return instance.add_run(dg.DagsterRun(job_name="ingest", run_id=run_id, status=status))


def _claims(instance: dg.DagsterInstance, run_id: str, step: str = "bronze_daily") -> bool:
    return instance.event_log_storage.claim_concurrency_slot(POOL, run_id, step).is_claimed


def _taken_by(instance: dg.DagsterInstance) -> list[str]:
    return [slot.run_id for slot in instance.event_log_storage.get_concurrency_info(POOL).claimed_slots]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]
)
def test_the_slot_of_a_run_that_is_over_is_freed_for_the_next(instance: dg.DagsterInstance, status) -> None:
    _run(instance, OTHER, status)
    assert _claims(instance, OTHER) and not _claims(instance, MINE)
    free_ended(instance)
    _run(instance, MINE)
    assert _claims(instance, MINE)


def test_the_slot_of_a_run_whose_record_is_gone_is_freed(instance: dg.DagsterInstance) -> None:
    assert _claims(instance, OTHER)
    free_ended(instance)
    assert _taken_by(instance) == []


def test_a_place_in_the_queue_of_a_run_that_is_over_is_given_up(instance: dg.DagsterInstance) -> None:
    """Else the slot would be assigned to a step that never comes for it."""
    _run(instance, MINE)
    assert _claims(instance, MINE)
    assert not _claims(instance, OTHER)
    free_ended(instance)
    waiting = instance.event_log_storage.get_concurrency_info(POOL).pending_steps
    assert [step.run_id for step in waiting] == [MINE]


def test_the_slot_of_a_living_run_stays(instance: dg.DagsterInstance) -> None:
    _run(instance, OTHER)
    assert _claims(instance, OTHER)
    free_ended(instance)
    assert _taken_by(instance) == [OTHER]


def test_a_wait_names_the_holder_once_and_ends_with_the_holder_s_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, said = _run(instance, OTHER), []
    _run(instance, MINE)
    assert _claims(instance, OTHER)
    looks = iter([None, None, lambda: instance.report_run_failed(holder)])
    own_time(monkeypatch, slots, sleep=lambda _: (next(looks, None) or (lambda: None))())
    with visible_waits(instance, said.append):
        assert _claims(instance, MINE)
    [sentence] = said
    assert sentence.startswith(f"bronze_daily waits: run {OTHER} (ingest) has held the slot of the pool source for ")
    assert sentence.endswith(" UTC; stop that run in make ui, or press Ctrl-C.")


def test_a_pool_without_slots_is_named(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    instance.event_log_storage.set_concurrency_slots(POOL, 0)
    _run(instance, MINE)
    said: list[str] = []
    own_time(monkeypatch, slots, sleep=lambda _: instance.event_log_storage.set_concurrency_slots(POOL, 1))
    with visible_waits(instance, said.append):
        assert _claims(instance, MINE)
    assert said == [
        "bronze_daily waits: the pool source has no slot; raise its limit under Deployment, Concurrency of make ui."
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["sleep", "free_ended", "_holder"])
def test_an_interrupt_at_any_moment_of_the_wait_ends_it_although_dagster_keeps_interrupts(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, number: int, moment: str
) -> None:
    _run(instance, OTHER)
    _run(instance, MINE)
    assert _claims(instance, OTHER)
    interrupt = lambda *_: os.kill(os.getpid(), number)  # noqa: E731
    if moment == "sleep":
        own_time(monkeypatch, slots, sleep=interrupt)
    else:
        monkeypatch.setattr(slots, moment, interrupt)
    with capture_interrupts(), pytest.raises(KeyboardInterrupt), visible_waits(instance, str):
        _claims(instance, MINE)


def test_an_interrupt_that_came_just_before_the_wait_ends_it(instance: dg.DagsterInstance) -> None:
    _run(instance, OTHER)
    _run(instance, MINE)
    assert _claims(instance, OTHER)
    with capture_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), visible_waits(instance, str):
            _claims(instance, MINE)


def test_a_wait_in_a_thread_leaves_the_handlers_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = _run(instance, OTHER)
    _run(instance, MINE)
    assert _claims(instance, OTHER)
    own_time(monkeypatch, slots, sleep=lambda _: instance.report_run_failed(holder))
    claimed: list[bool] = []
    with visible_waits(instance, str):
        thread = threading.Thread(target=lambda: claimed.append(_claims(instance, MINE)))
        thread.start()
        thread.join()
    assert claimed == [True]


def test_afterwards_claims_are_dagster_s_own_again(instance: dg.DagsterInstance) -> None:
    _run(instance, OTHER)
    assert _claims(instance, OTHER)
    with visible_waits(instance, str):
        pass
    assert not _claims(instance, MINE)
