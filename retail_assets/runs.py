"""What a command-line run has to do: which days and weeks are missing, in which order, and doing it.

Runs execute in this process against the persistent instance, so the UI shows them afterwards. What is
already materialised is not made again unless asked.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from retail_assets import jobs
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure
from retail_assets.schedules import range_tags, trailing
from retail_assets.settings import Settings
from retail_assets.tables.contract import Partitioning
from retail_assets.tables.forecast import FORECAST_ACCURACY
from retail_assets.windows import Window, runs_of

LAUNCHED_BY = {"retail/launched-by": "command line"}
RETRAIN_EVERY = timedelta(weeks=4)
MIN_TRAINING_DAYS = 90
MIN_FORECAST_DAYS = 28
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One run: a job over a window of days, or for the week that starts on `window.first`."""

    job: str
    window: Window
    only: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.job} {self.window.first if self.job == jobs.TRAIN else self.window}"


@dataclass(frozen=True)
class Planner:
    """Finds the missing partitions of the wanted days.

    Args:
        instance: knows what was materialised.
        settings: first date, trailing and backfill days.
        wanted: business dates asked for.
        again: also what is there already.
    """

    instance: dg.DagsterInstance
    settings: Settings
    wanted: Window
    again: bool = False

    def ingests(self) -> list[Step]:
        """Missing business dates, each run with the trailing days before it for late and corrected lines."""
        return [Step(jobs.INGEST, self._with_trailing(run)) for run in runs_of(self._missing(jobs.INGEST, self.wanted))]

    def trainings(self) -> list[Step]:
        """A version for the newest missing as-of date, and one every four weeks back to the oldest."""
        days = self._as_of_days()
        if not days:
            return []
        mondays, monday = [], days[-1] - timedelta(days=days[-1].weekday())
        while True:
            mondays.append(monday)
            if monday <= days[0]:
                break
            monday -= RETRAIN_EVERY
        trainable = [m for m in mondays if (m - self.settings.first_date).days >= MIN_TRAINING_DAYS]
        done = set() if self.again else self._materialised(jobs.TRAIN)
        return [Step(jobs.TRAIN, Window(m, m)) for m in sorted(trainable) if m not in done]

    def publications(self) -> list[Step]:
        """Missing as-of dates among the last `forecast_backfill_days`, and the score of re-read days."""
        days = self._as_of_days()
        steps = [Step(jobs.PUBLISH, run) for run in runs_of(days)]
        if not days or days[0] == self._publishable().first:
            return steps
        behind = self._with_trailing(Window(days[0], days[0]))
        scored = Window(max(behind.first, self._publishable().first), behind.last)
        return [*steps, Step(jobs.PUBLISH, scored, only=("/".join(FORECAST_ACCURACY.asset_key),))]

    def _publishable(self) -> Window:
        earliest = self.settings.first_date + timedelta(days=MIN_FORECAST_DAYS)
        backfill = self.wanted.last - timedelta(days=self.settings.forecast_backfill_days - 1)
        return Window(min(max(self.wanted.first, backfill, earliest), self.wanted.last), self.wanted.last)

    def _as_of_days(self) -> list[date]:
        if (self.wanted.last - self.settings.first_date).days < MIN_FORECAST_DAYS:
            return []
        return self._missing(jobs.PUBLISH, self._publishable())

    def _with_trailing(self, window: Window) -> Window:
        first = trailing(
            window.first, trailing_days=self.settings.trailing_days, first_date=self.settings.first_date
        ).first
        return Window(first, window.last)

    def _missing(self, job: str, window: Window) -> list[date]:
        done = set() if self.again else self._materialised(job)
        return [day for day in window.days() if day not in done]

    def _materialised(self, job: str) -> set[date]:
        """Partitions that every partitioned table of the job has."""
        tables = [t for t in jobs.TABLES_OF_JOB[job] if t.partitioning is not Partitioning.NONE]
        known = [self.instance.get_materialized_partitions(dg.AssetKey(table.asset_key)) for table in tables]
        return {date.fromisoformat(key) for key in set.intersection(*map(set, known))}


def execute(step: Step, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    """Run a step to its end.

    Raises:
        PermanentFailure, TransientFailure: the cause, in one sentence.
    """
    tags = {**LAUNCHED_BY, **({} if step.job == jobs.TRAIN else range_tags(step.window))}
    result = definitions.resolve_job_def(step.job).execute_in_process(
        instance=instance,
        tags=tags,
        partition_key=step.window.first.isoformat() if step.job == jobs.TRAIN else None,
        asset_selection=[dg.AssetKey(path.split("/")) for path in step.only] or None,
        run_config=_QUIET,
        raise_on_error=False,
    )
    if not result.success:
        raise _cause(result, step)


def close_abandoned(instance: dg.DagsterInstance) -> int:
    """Runs of an interrupted command are ended, so that the UI does not show them running for ever."""
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING], tags=LAUNCHED_BY)
    abandoned = instance.get_runs(filters=running)
    for run in abandoned:
        instance.report_run_canceled(run, message="The command was interrupted; a later run carries on.")
    return len(abandoned)


def _cause(result: dg.ExecuteInProcessResult, step: Step) -> RetailError:
    """The first failure as a sentence, of the class that says whether trying again can help."""
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return PermanentFailure(
            f"The run {step.title} failed before its first step; open run {result.run_id} in the UI."
        )
    kind, sentence = _root(failures[0].step_failure_data.error)
    kind_of = TransientFailure if kind == TransientFailure.__name__ else PermanentFailure
    return kind_of(f"{step.title}, {failures[0].step_key}: {sentence}")


def _root(error: object) -> tuple[str, str]:
    """Class name and message of the innermost cause."""
    while getattr(error, "cause", None) is not None:
        error = error.cause  # pyright: ignore
    name = str(getattr(error, "cls_name", "")).split(".")[-1]
    message = str(getattr(error, "message", error)).strip().split(": ", 1)
    text = message[-1] if message[0].endswith(name) else ": ".join(message)
    return name, " ".join(text.split())


def in_order(planner: Planner) -> Iterable[tuple[str, Callable[[], list[Step]]]]:
    """Stages; each plans when the one before it has run."""
    return ((jobs.INGEST, planner.ingests), (jobs.TRAIN, planner.trainings), (jobs.PUBLISH, planner.publications))
