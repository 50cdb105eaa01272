"""What an instance remembers of earlier nights, written without running them."""

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events  # one by one takes 25 ms an event
from dagster._core.test_utils import create_run_for_test  # runs that wait or work cannot be made by executing them

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.graph import jobs
from retail_assets.runs.run_tags import range_tags
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.windows import Window

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
LONDON = ZoneInfo("Europe/London")
MAY = [dt.date(2025, 5, day) for day in range(1, 32)]
FAILURES = {
    "transient": (TransientFailure, "The database is away."),
    "permanent": (PermanentFailure, "The query is wrong."),
}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Tick(dg.ScheduleEvaluationContext):
    """A schedule's context on an instance in memory; `build_schedule_context` takes one on disk only."""

    def __init__(self, instance: dg.DagsterInstance, at: dt.datetime) -> None:
        super().__init__(None, at)
        self._given = instance

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._given


def window(first: int, last: int) -> Window:
    """Days of May."""
    return Window(MAY[first - 1], MAY[last - 1])


def made(instance: dg.DagsterInstance, job: str, days: Iterable[dt.date], *, leave_out: tuple[Table, ...] = ()) -> None:
    """Materialises the partitioned tables of a job, in its order, one table after the other."""
    days = list(days)
    tables = [table for table in jobs.partitioned(job) if table not in leave_out]
    rows = [_event(table, day) for table in tables for day in days if _is_partition(table, day)]
    with instance.event_log_storage.index_connection() as connection:  # pyright: ignore
        if rows:
            connection.execute(Events.insert(), rows)


def _is_partition(table: Table, day: dt.date) -> bool:
    return table.partitioning is Partitioning.DAILY or day.isoweekday() == 1


def _event(table: Table, day: dt.date) -> dict[str, object]:
    return {
        "run_id": "an earlier night",
        "event": "{}",
        "dagster_event_type": "ASSET_MATERIALIZATION",
        "timestamp": dt.datetime(2025, 5, 1),
        "asset_key": dg.AssetKey(table.asset_key).to_string(),
        "partition": str(day),
    }


def under_way(instance: dg.DagsterInstance, job: str, days: Window, **tags: str) -> dg.DagsterRun:
    """A run that works on these days."""
    given = {**range_tags(days), **tags}
    return create_run_for_test(instance, job_name=job, status=dg.DagsterRunStatus.STARTED, tags=given)


def cancelled(instance: dg.DagsterInstance, job: str, days: Window) -> dg.DagsterRun:
    tags = range_tags(days)
    return create_run_for_test(instance, job_name=job, status=dg.DagsterRunStatus.CANCELED, tags=tags)


def ended(
    instance: dg.DagsterInstance,
    job: str,
    days: Window,
    *,
    fails: str | None = None,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """A finished run of a job with that name that made no table; `fails` names one of FAILURES."""

    @dg.op
    def work() -> None:
        if fails:
            kind, sentence = FAILURES[fails]
            raise kind(sentence)

    @dg.job(name=job)
    def small() -> None:
        work()

    given = {**range_tags(days), **(tags or {})}
    return small.execute_in_process(instance=instance, tags=given, run_config=_QUIET, raise_on_error=False)


def asked_for(requests: Iterable[dg.RunRequest]) -> list[tuple[str, str]]:
    """First and last day of each request."""
    return [
        (request.tags[START], request.tags[END])
        if START in request.tags
        else (str(request.partition_key), str(request.partition_key))
        for request in requests
    ]
