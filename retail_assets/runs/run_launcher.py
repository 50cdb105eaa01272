"""Starts runs as Dagster does, and knows which of them still have a process: the daemon's run monitoring asks here.

A worker writes a sign of life every few seconds (heartbeat.py), whoever started it and wherever it runs. Asking the
code location instead would not do: one that was started again knows nothing of a worker that lives on, and one that
was reloaded answers for its newest process only. Every dagster.yaml of the repository names this launcher.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus  # as Dagster's own launchers; nothing public

from retail_assets.runs.at_work import is_at_work, runs_in_a_command

SILENT_SECONDS = 180
BEATS = 9
_LONGEST = 20
"""Times the silent seconds after which a worker is given up although its code location does not answer."""

_RUNNING = CheckRunHealthResult(WorkerStatus.RUNNING)


@dataclass(frozen=True)
class Watch:
    """What is known of a worker, in seconds of this process's clock.

    Args:
        beat: its last sign of life.
        silent_since: when that sign was first seen.
        answers_since: since when the code location answers, None while it does not.
        seen_at: the last look.
    """

    beat: str | None
    silent_since: float
    answers_since: float | None
    seen_at: float

    def is_lost(self, silent_seconds: int) -> bool:
        """Without a sign for too long, and its code location there to take the run once more."""
        answered = self.answers_since is not None and self.seen_at - self.answers_since >= silent_seconds
        silent = self.seen_at - self.silent_since
        return silent >= silent_seconds and (answered or silent >= _LONGEST * silent_seconds)


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, with the health of a run's process.

    Args:
        silent_seconds: a worker without a sign of life for so long is lost; it gives nine signs in that time.
    """

    def __init__(self, inst_data: Any = None, silent_seconds: int = SILENT_SECONDS) -> None:
        super().__init__(inst_data)
        self._silent_seconds = silent_seconds
        self._watched: dict[str, Watch] = {}

    @classmethod
    def config_type(cls) -> dict[str, dg.Field]:
        return {"silent_seconds": dg.Field(int, is_required=False, default_value=SILENT_SECONDS)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> "WatchedRunLauncher":
        return cls(inst_data, **config_value)

    @property
    def beat_seconds(self) -> float:
        """How often a worker gives a sign of life."""
        return self._silent_seconds / BEATS

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is there; anything but RUNNING lets the daemon fail the run."""
        if runs_in_a_command(run):
            is_gone = not is_at_work(Path(self._instance.root_directory))
            return _lost("The retail-assets command that executed the run ended.") if is_gone else _RUNNING
        if run.remote_job_origin is None:
            return _RUNNING  # somebody's own process, of which nothing is known
        watch = self._watched[run.run_id] = self._look(run, self._watched.get(run.run_id))
        if not watch.is_lost(self._silent_seconds):
            return _RUNNING
        del self._watched[run.run_id]
        silent = int(watch.seen_at - watch.silent_since)
        return _lost(
            f"The process of the run gave no sign of life for {silent} seconds: it, its container or its machine ended."
        )

    def _look(self, run: dg.DagsterRun, before: Watch | None) -> Watch:
        beat, now = last_beat(self._instance, run.run_id), time.monotonic()
        # after a pause of the daemon, or of its database, the wait begins anew
        if before is None or before.beat != beat or now - before.seen_at > self._pause_seconds:
            return Watch(beat, silent_since=now, answers_since=now, seen_at=now)
        if not self._answers(run):
            return replace(before, answers_since=None, seen_at=now)
        return replace(before, answers_since=before.answers_since or now, seen_at=now)

    @property
    def _pause_seconds(self) -> float:
        return max(self._silent_seconds, 3 * self._instance.run_monitoring_poll_interval_seconds)

    def _answers(self, run: dg.DagsterRun) -> bool:
        """Whether the code location answers where the run was started; a local one is the daemon's own child."""
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None or client.socket:
            return True
        try:
            client.ping("")
        except Exception:  # any error of the transport
            return False
        return True


def _lost(sentence: str) -> CheckRunHealthResult:
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, sentence)


def last_beat(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The last sign of life of the run's worker."""
    return instance.run_storage.get_cursor_values({_key(run_id)}).get(_key(run_id))


def write_beat(instance: dg.DagsterInstance, run_id: str, beat: str) -> None:
    """Another sign of life: in one statement, where run tags would be read and written back."""
    instance.run_storage.set_cursor_values({_key(run_id): beat})


def _key(run_id: str) -> str:
    return f"retail/alive/{run_id}"
