"""What follows from what happened: publishing after the nightly ingest, reading old days again that changed or that
lines moved away from, demand that looks back on days ingested late made again, and an alert after a failure.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from retail_assets.checks.failed import failed_checks, one_line
from retail_assets.checks.moved import CHECK_NAME, OLDER_DAYS
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.graph import jobs
from retail_assets.nights.due import demand_days_after
from retail_assets.nights.missed import failed_in_passing
from retail_assets.nights.requests import published_after
from retail_assets.resources.notifier import Notifier
from retail_assets.resources.source import Source
from retail_assets.retailer import Calendar
from retail_assets.runs.at_work import LAUNCHED_BY, runs_in_a_command
from retail_assets.runs.retries import MAKE_UP, MEND, RETRY_TAG, TRIED_AGAIN, outcome, will_be_tried_again
from retail_assets.runs.run_tags import AGAIN, ASKED_BY, MISSED, RANGE_TAGS, range_tags, window_of
from retail_assets.settings import Settings
from retail_assets.tables import bronze, entities, gold, silver
from retail_assets.windows import Window, runs_of

_MATERIALISED = dg.DagsterEventType.ASSET_MATERIALIZATION
_CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION
_SCHEDULE_TAG = "dagster/schedule_name"
_START_TAG, _END_TAG = RANGE_TAGS
_HOUR = 3600
_FIRST_LOOK = timedelta(days=1)
_OVERLAP = timedelta(minutes=15)
"""Looked at twice: what a transaction changed before the last look and committed after it."""


def publish_after_ingest(settings: Settings) -> dg.SensorDefinition:
    """Publishes after the scheduled night and after what makes a night up.

    Backfills of past days and runs from the command line do not publish.
    """

    @dg.run_status_sensor(
        name="publish_after_ingest",
        description="After the nightly ingest, or a run that makes a night up: forecasts and plans the newest day.",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[dg.JobSelector(location_name="retail_assets", job_name=jobs.INGEST)],
        request_job=jobs.JOBS_BY_NAME[jobs.PUBLISH],
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.RunStatusSensorContext):
        tags = context.dagster_run.tags
        if _SCHEDULE_TAG not in tags and tags.get(ASKED_BY) not in {*MISSED.values(), *AGAIN.values()}:
            return dg.SkipReason("The ingest was not started by the nightly schedule.")
        return list(published_after(context.instance, context.dagster_run, settings))

    return sensor


@dg.run_status_sensor(
    name="demand_after_late_days",
    description="After a backfill of past days: makes the demand of later days again that looked back on them.",
    run_status=dg.DagsterRunStatus.SUCCESS,
    request_job=jobs.JOBS_BY_NAME[jobs.INGEST],
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def demand_after_late_days(context: dg.RunStatusSensorContext):
    """After a backfill of past days: later days whose demand was estimated without them are made again.

    Tables made from all of demand follow in each of those runs: the last one reads what all of them wrote. Runs of the
    command line do it themselves.
    """
    run, facts = context.dagster_run, dg.AssetKey(gold.FACT_SALES.asset_key)
    window = window_of(run)
    if facts not in _made(context.instance, run) or window is None or LAUNCHED_BY.items() <= run.tags.items():
        return dg.SkipReason("The run ingested no past days, or the command line looks after what follows.")
    there = context.instance.get_materialized_partitions(dg.AssetKey(gold.DEMAND_DAILY.asset_key))
    behind = runs_of(demand_days_after(window, map(date.fromisoformat, there)))
    keys = [dg.AssetKey(table.asset_key) for table in (*jobs.DEMAND, *jobs.AFTER_DAYS)]
    return [
        dg.RunRequest(run_key=f"demand {days} {run.run_id}", tags=range_tags(days), asset_selection=keys)
        for days in behind
    ]


def _made(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[dg.AssetKey | None]:
    """Assets of the run, and of the failed runs that it carries on."""
    return {event.asset_key for event in _events(instance, run, _MATERIALISED)}


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
    """Events of the run, and of the failed runs that it carries on."""
    part: dg.DagsterRun | None = run
    while part is not None:
        logs = instance.all_logs(part.run_id, of_type=kind)
        yield from (entry.dagster_event for entry in logs if entry.dagster_event)
        part = instance.get_run_by_id(part.parent_run_id) if part.parent_run_id else None


MOVED_TAG = {ASKED_BY: "moved lines"}
MOVED_LINES_TAG = "retail/moved-lines"
"""How many lines of its days such a run is to take away."""

_IN_VAIN = 3
_MovedDays = dict[date, Mapping[str, Any]]


@dg.run_status_sensor(
    name="ingest_moved_days",
    description="Reads days again from which the source moved lines to another day.",
    run_status=dg.DagsterRunStatus.SUCCESS,
    request_job=jobs.JOBS_BY_NAME[jobs.INGEST],
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def ingest_moved_days(context: dg.RunStatusSensorContext):
    """Reads days again whose lines a run found on other days too, once; a line that stays there is no move."""
    run, instance = context.dagster_run, context.instance
    if MOVED_TAG.items() <= run.tags.items():
        return dg.SkipReason("The run itself read days again that lines had moved away from.")
    moved = _moved_days(instance, run)
    if not moved:
        return dg.SkipReason("No line of the run lies on an earlier day too.")
    if _were_in_vain(instance):
        return dg.SkipReason(
            f"The last {_IN_VAIN} times every line stayed on its day: sale_line_id names a line only within a day. Let "
            "the mapping put the date into it, or read days again by hand."
        )
    return [_moved_request(window, moved) for window in runs_of(moved)]


def _moved_days(instance: dg.DagsterInstance, run: dg.DagsterRun) -> _MovedDays:
    """What the check found, by day."""
    key = dg.AssetCheckKey(dg.AssetKey(silver.SALES.asset_key), CHECK_NAME)
    found: _MovedDays = {}
    for event in _events(instance, run, _CHECKED):
        evaluation = event.asset_check_evaluation_data
        listed = evaluation.metadata.get(OLDER_DAYS) if evaluation.asset_check_key == key else None
        if isinstance(listed, dg.JsonMetadataValue) and isinstance(listed.data, dict):
            found |= {date.fromisoformat(day): lines for day, lines in listed.data.items()}
    return found


def _moved_request(window: Window, moved: _MovedDays) -> dg.RunRequest:
    """Of one key for the same lines of the same days: Dagster starts it once, however often they are found."""
    lines = [moved[day] for day in window.days()]
    digest = hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()[:16]
    tags = {**range_tags(window), **MOVED_TAG, MOVED_LINES_TAG: str(_line_count(lines))}
    return dg.RunRequest(run_key=f"moved {window} {digest}", tags=tags)


def _line_count(days: Iterable[Mapping[str, Any]]) -> int:
    return sum(day["lines"] for day in days)


def _were_in_vain(instance: dg.DagsterInstance) -> bool:
    """Whether each of the last runs left as many lines on other days as it was to take away."""
    done = dg.RunsFilter(tags=MOVED_TAG, statuses=[dg.DagsterRunStatus.SUCCESS])
    last = instance.get_runs(filters=done, limit=_IN_VAIN)
    left = [_line_count(_moved_days(instance, run).values()) >= int(run.tags[MOVED_LINES_TAG]) for run in last]
    return len(left) == _IN_VAIN and all(left)


@dg.run_failure_sensor(
    name="alert_on_failure",
    description="Sends what failed, since when and what to do to RETAIL_ALERT_WEBHOOK_URL.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_failure(context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier]) -> dg.SkipReason | None:
    """What failed, where, since when and what to do, to the webhook of RETAIL_ALERT_WEBHOOK_URL.

    Of a run that Dagster tries again there are two alerts at most: the first failure, and the last one.
    """
    run, is_tried_again = context.dagster_run, will_be_tried_again(context.dagster_run)
    if is_tried_again and RETRY_TAG in run.tags:
        return dg.SkipReason(f"The first failure was alerted, and run {run.run_id} is tried again.")
    if AGAIN.items() <= run.tags.items() and failed_in_passing(context.instance, run):
        return dg.SkipReason("The first failure was alerted, and make_up_missed alerts when it gives up.")
    causes = _causes(context.get_step_failure_events(), context.instance, run)
    text = "\n".join(causes) or context.failure_event.message or "The run failed."
    what_to_do = TRIED_AGAIN if is_tried_again else MEND
    notifier.send(f"{run.job_name} {outcome(run)}", text, facts={**_facts(run), "what to do": what_to_do})


@dg.run_status_sensor(
    name="alert_on_cancellation",
    description="Tells RETAIL_ALERT_WEBHOOK_URL of a cancelled run, which nothing makes up by itself.",
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_cancellation(
    context: dg.RunStatusSensorContext, notifier: dg.ResourceParam[Notifier]
) -> dg.SkipReason | None:
    """A cancelled run is not made up by itself, so somebody has to know; whoever stops a command knows it."""
    run = context.dagster_run
    if runs_in_a_command(run):
        return dg.SkipReason("The run was one of a retail-assets command, which a person stopped.")
    text = context.dagster_event.message or "The run was cancelled."
    notifier.send(f"{run.job_name} was cancelled", text, facts={**_facts(run), "what to do": MAKE_UP})


def _facts(run: dg.DagsterRun) -> dict[str, object]:
    """Where to look, for every alert about a run."""
    return {
        "job": run.job_name,
        "run": run.run_id,
        "partitions": _partitions(run.tags),
        "noticed": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def _causes(failures: Sequence[dg.DagsterEvent], instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """A line for each failed step; where checks stopped it, what they found."""
    logs = instance.all_logs(run.run_id, of_type=_CHECKED)
    events = [entry.dagster_event for entry in logs if entry.dagster_event]
    return [f"{failure.step_key}: {_checks_of(failure, events) or _innermost(failure)}" for failure in failures]


def _checks_of(failure: dg.DagsterEvent, checked: Iterable[dg.DagsterEvent]) -> str:
    own = [event.asset_check_evaluation_data for event in checked if event.step_key == failure.step_key]
    return one_line(failed_checks(own))


def _innermost(event: dg.DagsterEvent) -> str:
    """What the step's code raised, without the sentences Dagster wraps around it."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return " ".join(error.message.split()) if error is not None else event.message or "no reason was recorded"


def _partitions(tags: Mapping[str, str]) -> str:
    if _START_TAG in tags:
        return f"{tags[_START_TAG]} … {tags[_END_TAG]}"
    return tags.get("dagster/partition", "none")


def ingest_changed_days(settings: Settings) -> dg.SensorDefinition:
    """Asks for the ingest of days that changed although no night reads them again; it publishes nothing.

    It asks the operational database by itself, so it is switched on by hand like the schedules.
    """

    @dg.sensor(
        name="ingest_changed_days",
        description="Reads days again that changed in the source after the nights had read them. Switch it on by hand.",
        job=jobs.JOBS_BY_NAME[jobs.INGEST],
        minimum_interval_seconds=_HOUR,
        default_status=dg.DefaultSensorStatus.STOPPED,
    )
    def sensor(
        context: dg.SensorEvaluationContext, source: dg.ResourceParam[Source], calendar: dg.ResourceParam[Calendar]
    ) -> dg.SensorResult:
        now = datetime.now(UTC)
        since = min(datetime.fromisoformat(context.cursor), now) if context.cursor else now - _FIRST_LOOK
        last = calendar.newest_closed_day() - timedelta(days=settings.trailing_days)
        try:
            changed = _changed_days(source, since - _OVERLAP, first=settings.first_date, last=last)
        except RetailError as error:
            return dg.SensorResult(skip_reason=str(error))
        ingested = context.instance.get_materialized_partitions(dg.AssetKey(bronze.SALES.asset_key))
        windows = runs_of(day for day in changed if str(day) in ingested)
        return _ingest_of(windows, since=since, now=now, last=last)

    return sensor


def _ingest_of(windows: list[Window], *, since: datetime, now: datetime, last: date) -> dg.SensorResult:
    moment = f"{now:%Y-%m-%dT%H:%M:%S}"
    requests = [dg.RunRequest(run_key=f"changed {days} {moment}", tags=range_tags(days)) for days in windows]
    nothing = f"No ingested day up to {last} changed since {since:%Y-%m-%d %H:%M} UTC."
    return dg.SensorResult(
        run_requests=requests or None, skip_reason=None if requests else nothing, cursor=now.isoformat()
    )


def _changed_days(source: Source, since: datetime, *, first: date, last: date) -> set[date]:
    """Days first … last of which a daily entity changed.

    Raises:
        RetailError: the mapping cannot tell, or the database cannot be asked now.
    """
    telling = [entity for entity in entities.DAILY if source.tells_changes(entity)]
    if not telling:
        raise PermanentFailure(
            f"The mapping {source.mapping.name} cannot tell which days changed: let its daily queries give "
            "modified_at, or give changed_days."
        )
    if last < first:
        return set()
    return {day for entity in telling for day in source.changed_days(entity, since=since, start=first, end=last)}


SENSORS = [demand_after_late_days, ingest_moved_days, alert_on_failure, alert_on_cancellation]
"""Those that need no settings."""
