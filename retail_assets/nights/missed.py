"""What is missing: days that were not ingested, plans that were not made, and which of them to ask for again.

Only reads the instance, for the schedule, the sensors and the command line alike; they start the runs. A question
belongs here when its answer comes from materialised partitions and from runs; what is due by the clock does not.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from retail_assets.failures import TransientFailure
from retail_assets.graph import jobs
from retail_assets.runs.retries import WILL_RETRY_TAG
from retail_assets.runs.run_tags import MISSED, window_of
from retail_assets.tables import bronze
from retail_assets.tables.contract import Table
from retail_assets.tables.forecast import DAILY_FORECASTS
from retail_assets.windows import ONE_DAY, Window, runs_of

MOST_DAYS = 31
"""Missed days that one night makes up, the newest of them, so that no night reads years by surprise."""

MOST_TRIES = 3
"""Failures of a run that makes a missed day up, after which nobody asks for the day again."""

_RUNS_LOOKED_AT = 200
_LONGEST_RUN = timedelta(days=1)
_RETRIED_BY = "dagster/auto_retry_run_id"
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Made:
    """The days that a job has made completely.

    Args:
        first: the first day that a night may miss; None without any history.
        days: those that every table has.
    """

    first: date | None
    days: set[date]

    def missing(self, window: Window) -> list[date]:
        """Days of the window that are not made, ascending; days before the first one do not count."""
        if self.first is None or self.first > window.last:
            return []
        days = Window(max(self.first, window.first), window.last).days()
        return [day for day in days if day not in self.days]


def materialised_days(instance: dg.DagsterInstance, tables: Iterable[Table]) -> set[date]:
    """Partitions that every one of the tables has."""
    known = [instance.get_materialized_partitions(dg.AssetKey(table.asset_key)) for table in tables]
    return {date.fromisoformat(key) for key in set.intersection(*map(set, known))}


def ingested(instance: dg.DagsterInstance) -> Made:
    """Days that went all the way from bronze to the warehouse.

    A day whose bronze rows are newer than what was made of them is not: the run that read it again failed after that.
    """
    newest = {table: _newest_events(instance, table) for table in jobs.partitioned(jobs.INGEST)}
    read = [events for table, events in newest.items() if table in bronze.TABLES]
    made = [events for table, events in newest.items() if table not in bronze.TABLES]
    days = {
        day
        for day in set.intersection(*map(set, newest.values()))
        if max(events[day] for events in read) < min(events[day] for events in made)
    }
    return Made(_first_day(newest.values()), days)


def planned(instance: dg.DagsterInstance) -> Made:
    """As-of dates whose forecast, plan and scores are there; the first is that of the first plan."""
    newest = [_newest_events(instance, table) for table in jobs.partitioned(jobs.PUBLISH)]
    return Made(_first_day(newest), set.intersection(*map(set, newest)))


def _newest_events(instance: dg.DagsterInstance, table: Table) -> dict[date, int]:
    """Numbers of the newest materialisation of each partition: a larger one came later."""
    found = instance.get_latest_storage_id_by_partition(
        dg.AssetKey(table.asset_key), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    return {date.fromisoformat(key): number for key, number in found.items()}


def _first_day(newest: Iterable[dict[date, int]]) -> date | None:
    """The first day that each table has, of those that have any: a table that a release adds has no past to miss."""
    return max((min(events) for events in newest if events), default=None)


def busy_days(instance: dg.DagsterInstance, job: str) -> set[date]:
    """Partitions of the job's runs that wait, run, or are about to be tried again by Dagster."""
    recent = datetime.now(UTC) - _LONGEST_RUN
    under_way = dg.RunsFilter(job_name=job, statuses=_UNDER_WAY, created_after=recent)
    failed = dg.RunsFilter(
        job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"}, created_after=recent
    )
    retried = [run for run in instance.get_runs(filters=failed) if _RETRIED_BY not in run.tags]
    return {day for run in [*instance.get_runs(filters=under_way), *retried] for day in _days_of(run)}


def open_days(instance: dg.DagsterInstance, job: str, days: Iterable[date]) -> list[date]:
    """Those of the missing days that may be asked for: no run is about them, and not too many failed for good."""
    missing = sorted(days)
    busy = busy_days(instance, job) if missing else set()
    wanted = [day for day in missing if day not in busy]
    given_up = given_up_days(instance, job, wanted)
    return [day for day in wanted if day not in given_up][-MOST_DAYS:]


def given_up_days(instance: dg.DagsterInstance, job: str, days: Iterable[date]) -> set[date]:
    """Missed days that failed too often to be asked for again."""
    tries = _tries(instance, job, set(days))
    return {day for day, count in tries.items() if count >= MOST_TRIES}


def windows_to_ask(instance: dg.DagsterInstance, job: str, days: Sequence[date]) -> list[Window]:
    """The days as ranges, ascending; one that failed before comes alone, lest it stop its neighbours again."""
    tries = _tries(instance, job, set(days))
    alone = [Window(day, day) for day in days if tries[day]]
    return sorted([*runs_of(day for day in days if not tries[day]), *alone])


def _tries(instance: dg.DagsterInstance, job: str, days: set[date]) -> Counter[date]:
    """How often a run that was to make the day up failed by more than a passing failure."""
    if not days:
        return Counter()
    failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], tags=MISSED)
    runs = [run for run in instance.get_runs(filters=failed, limit=_RUNS_LOOKED_AT) if days & _days_of(run)]
    counted = [run for run in runs if not failed_in_passing(instance, run)]
    return Counter(day for run in counted for day in days & _days_of(run))


def was_begun(instance: dg.DagsterInstance, job: str, day: date, *, before: datetime) -> bool:
    """Whether a run about the day was asked for before that moment, and after the day before."""
    filters = dg.RunsFilter(job_name=job, created_after=before - 2 * _LONGEST_RUN, created_before=before)
    return any(day in _days_of(run) for run in instance.get_runs(filters=filters))


def stopped_days(instance: dg.DagsterInstance, job: str, days: Iterable[date]) -> set[date]:
    """Days whose newest run was cancelled, or failed by what a person must mend."""
    wanted, newest = set(days), {}
    for run in instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=_ENDED), limit=_RUNS_LOOKED_AT):
        newest |= {day: run for day in wanted & _days_of(run) if day not in newest}
    runs = {run.run_id: run for run in newest.values()}
    stopped = {key for key, run in runs.items() if not may_pass(instance, run)}
    return {day for day, run in newest.items() if run.run_id in stopped}


def may_pass(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the same run may succeed now: it did, its process died, or every cause passes by itself."""
    if run.status is dg.DagsterRunStatus.CANCELED:
        return False
    return run.status is dg.DagsterRunStatus.SUCCESS or _causes(instance, run) <= {TransientFailure.__name__}


def failed_in_passing(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether every step of a failed run failed by what may pass by itself."""
    return _causes(instance, run) == {TransientFailure.__name__}


def _causes(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """Class names of what the failed steps raised; empty when the process died."""
    logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    errors = [entry.dagster_event.step_failure_data.error for entry in logs if entry.dagster_event]
    return {_innermost_class(error) for error in errors}


def _innermost_class(error: object) -> str:
    while getattr(error, "cause", None) is not None:
        error = error.cause  # pyright: ignore
    return str(getattr(error, "cls_name", "")).split(".")[-1]


def _days_of(run: dg.DagsterRun) -> set[date]:
    window = window_of(run)
    return set(window.days()) if window else set()


def unpublished(days: Sequence[date], *, stands: set[date]) -> list[tuple[Window, tuple[Table, ...]]]:
    """Runs of as-of dates and the tables to make of each, all of the job when there are none named.

    A day whose forecast stands but not what follows from it is finished without forecasting again: a live forecast
    stays as it was published.
    """
    rest = tuple(table for table in jobs.TABLES_OF_JOB[jobs.PUBLISH] if table not in DAILY_FORECASTS)
    unfinished = [(run, rest) for run in runs_of(day for day in days if day in stands)]
    return [*unfinished, *((run, ()) for run in runs_of(day for day in days if day not in stands))]


def missing_plans(instance: dg.DagsterInstance, known: Made, *, backfill_days: int) -> list[date]:
    """As-of dates without a plan among the last `backfill_days` up to the newest ingested day, ascending.

    Only ingested days count, and none before the first plan.
    """
    if not known.days:
        return []
    last = max(known.days)
    window = Window(last - timedelta(days=backfill_days - 1), last)
    return [day for day in planned(instance).missing(window) if day in known.days]


def awaited_days(instance: dg.DagsterInstance, known: Made, monday: date) -> list[date]:
    """Days of the week before the Monday that are still to come before it is trained, ascending.

    Days that nobody asks for again are not waited for, except Sunday: a training learns up to it.

    Args:
        instance: knows which days failed too often.
        known: the ingested days.
        monday: the first day of the week to train.
    """
    week = Window(monday - timedelta(days=7), monday - ONE_DAY)
    missing = set(known.missing(week)) | ({week.last} - known.days)
    return sorted(missing - (given_up_days(instance, jobs.INGEST, missing) - {week.last}))
