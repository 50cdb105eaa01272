"""The executor of every job: Dagster's in-process executor, with a sign of life while it works.

The daemon fails a run whose worker gives none (run_launcher.py) and starts it again. A worker that was only paused,
as by a frozen machine, finds its run ended when it wakes and ends itself, so that no two write the same tables.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from retail_assets.runs.run_launcher import WatchedRunLauncher, write_beat

_LOG = logging.getLogger(__name__)


class HeartbeatExecutor(dg.Executor):
    """An executor within which beats are written, where the instance's launcher looks for them."""

    def __init__(self, executor: dg.Executor) -> None:
        self._executor = executor

    @property
    def retries(self):
        return self._executor.retries

    @property
    def step_dependency_config(self):
        return self._executor.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        instance, launcher = plan_context.instance, plan_context.instance.run_launcher
        is_watched = isinstance(launcher, WatchedRunLauncher)
        run_id = plan_context.run_id
        with beating(instance, run_id, every=launcher.beat_seconds) if is_watched else nullcontext():
            yield from self._executor.execute(plan_context, execution_plan)


@dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema.as_field())
def in_process_with_heartbeat(context: dg.InitExecutorContext) -> dg.Executor:
    """Executes all steps in the run's process and says that it lives."""
    create = dg.in_process_executor.executor_creation_fn
    assert create is not None
    return HeartbeatExecutor(create(context))


@contextmanager
def beating(
    instance: dg.DagsterInstance, run_id: str, *, every: float, end: Callable[[int], object] = os._exit
) -> Iterator[None]:
    """Signs of life from a thread of its own, from the first to the last moment of the context.

    Args:
        instance: keeps the signs.
        run_id: the run this process works on.
        every: seconds between two signs.
        end: called with an exit code when the run was ended elsewhere.
    """
    stopped = threading.Event()

    def beat() -> None:
        while True:
            _beat(instance, run_id, end)
            if stopped.wait(every):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()  # before the run's own end is written, which would look like an end from elsewhere


def _beat(instance: dg.DagsterInstance, run_id: str, end: Callable[[int], object]) -> None:
    try:
        write_beat(instance, run_id, datetime.now(UTC).isoformat())
        run = instance.get_run_by_id(run_id)
    except Exception as error:  # a database that is away for a moment; the next sign tells whether it is back
        _LOG.warning("No sign of life was written for run %s: %s.", run_id, type(error).__name__)
        return
    if run is None or run.is_finished:
        _LOG.error("Run %s was ended elsewhere; its process ends here.", run_id)
        end(1)
