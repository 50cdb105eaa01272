"""Slots of Dagster's pools, for runs of the command line: freed where nobody is behind them, else waited for.

Dagster frees a slot when its step ends, so a process killed in a step leaves the slot taken. Its in-process executor
waits for a slot without a word and keeps an interrupt until the next step begins; both are done better here.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._utils.interrupts import pop_captured_interrupt  # the note; nothing public reads it

_LOOK_SECONDS = 1.0
_MINUTE, _HOUR = 60, 3600


def free_ended(instance: dg.DagsterInstance) -> None:
    """Free the slots and places in the queue of runs that are over, or whose record was deleted."""
    storage = instance.event_log_storage
    for info in storage.get_concurrency_infos(sorted(storage.get_concurrency_keys())).values():
        for run_id in {place.run_id for place in (*info.claimed_slots, *info.pending_steps)}:
            run = instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                storage.free_concurrency_slots_for_run(run_id)


@contextmanager
def visible_waits(instance: dg.DagsterInstance, say: Callable[[str], object]) -> Iterator[None]:
    """Steps that run in this process wait for a slot visibly, and an interrupt ends the wait at once.

    Args:
        instance: whose pools the steps use.
        say: called with a sentence that names who holds the slot and since when, once for each holder.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM while a step waits.
    """
    storage = instance.event_log_storage
    claim = storage.claim_concurrency_slot

    def claim_or_wait(concurrency_key: str, run_id: str, step_key: str, priority: int | None = None):
        named, status = None, claim(concurrency_key, run_id, step_key, priority)
        if status.is_claimed:
            return status
        with _interruptible():
            while not status.is_claimed:
                free_ended(instance)
                holder = _holder(instance, concurrency_key, run_id)
                if holder and holder[0] != named:
                    named = holder[0]
                    say(f"{step_key} waits: {holder[1]}")
                time.sleep(_LOOK_SECONDS)
                status = claim(concurrency_key, run_id, step_key, priority)
        return status

    storage.claim_concurrency_slot = claim_or_wait
    try:
        yield
    finally:
        storage.claim_concurrency_slot = claim


def _holder(instance: dg.DagsterInstance, pool: str, waiting: str) -> tuple[str, str] | None:
    """A run other than the waiting one that has a slot of the pool, and a sentence about it; None where one is free."""
    info = instance.event_log_storage.get_concurrency_info(pool)
    if not info.slot_count:
        return pool, f"the pool {pool} has no slot; raise its limit under Deployment, Concurrency of make ui."
    taken = [(step.run_id, step.assigned_timestamp) for step in info.pending_steps if step.assigned_timestamp]
    run_id, since = next(((run, moment) for run, moment in taken if run != waiting), (None, None))
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is None or since is None:
        return None
    age = _age(datetime.now(UTC) - since)
    return run.run_id, (
        f"run {run.run_id} ({run.job_name}) has held the slot of the pool {pool} for {age}, "
        f"since {since:%Y-%m-%d %H:%M} UTC; stop that run in make ui, or press Ctrl-C."
    )


def _age(elapsed: timedelta) -> str:
    """An age in its largest unit.

    >>> _age(timedelta(seconds=59)), _age(timedelta(minutes=61)), _age(timedelta(hours=50))
    ('59 seconds', '61 minutes', '50 hours')
    """
    seconds = max(int(elapsed.total_seconds()), 0)
    if seconds < _MINUTE:
        return f"{seconds} seconds"
    return f"{seconds // _MINUTE} minutes" if seconds < 2 * _HOUR else f"{seconds // _HOUR} hours"


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt, also one that came just before.

    Dagster's handlers only take a note for the next step, which does not begin while one waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if pop_captured_interrupt():
        raise KeyboardInterrupt
    kept = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
