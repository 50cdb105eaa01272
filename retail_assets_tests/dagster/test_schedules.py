"""Nights and Mondays in the stores' time, publishing after the scheduled ingest only, alerts after a failure."""

import datetime as dt
import itertools
import sqlite3
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator  # the daemon's clock; nothing public gives it

from retail_assets.demo.retailer import write_days
from retail_assets.demo.world import DemoSize
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.graph import jobs
from retail_assets.graph.schedules import schedules
from retail_assets.graph.sensors import (
    alert_on_cancellation,
    alert_on_failure,
    demand_after_late_days,
    ingest_changed_days,
    ingest_moved_days,
    publish_after_ingest,
)
from retail_assets.nights import missed
from retail_assets.resources.source import Source
from retail_assets.retailer import Calendar
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import entities
from retail_assets_tests.dagster.night_records import Tick, made

LONDON = ZoneInfo("Europe/London")
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def _schedule(name: str, timezone: str = "Europe/London", **settings) -> dg.ScheduleDefinition:
    made = schedules(Settings(start_date=dt.date(2025, 1, 1), **settings), timezone)
    return next(schedule for schedule in made if schedule.name == name)


def _requested(schedule: dg.ScheduleDefinition, at: dt.datetime, *, instance=None) -> dg.RunRequest:
    """What is asked for on an instance without any history, or on this one."""
    with dg.DagsterInstance.ephemeral() as bare, Tick(instance or bare, at) as context:
        asked = schedule(context)
    [request] = asked if isinstance(asked, list) else [asked]
    return request


@pytest.mark.parametrize(
    ("night", "first", "last"),
    [
        (dt.datetime(2025, 5, 7, 2), "2025-05-03", "2025-05-06"),
        (dt.datetime(2025, 1, 3, 2), "2025-01-01", "2025-01-02"),
        (dt.datetime(2025, 1, 2, 2), "2025-01-01", "2025-01-01"),
        (dt.datetime(2025, 3, 30, 2), "2025-03-26", "2025-03-29"),
        (dt.datetime(2025, 3, 31, 2), "2025-03-27", "2025-03-30"),
        (dt.datetime(2025, 10, 26, 2), "2025-10-22", "2025-10-25"),
        (dt.datetime(2025, 10, 27, 2), "2025-10-23", "2025-10-26"),
    ],
    ids=["ordinary", "second day", "first day", "clocks forward", "after", "clocks back", "after back"],
)
def test_a_night_reads_yesterday_and_the_trailing_days(night, first, last):
    request = _requested(_schedule("nightly_ingest"), night.replace(tzinfo=LONDON))
    assert (request.tags[START], request.tags[END]) == (first, last)
    assert request.run_key == f"ingest {last}"


@pytest.mark.parametrize(("days", "first"), [(0, "2025-05-06"), (1, "2025-05-05"), (14, "2025-04-22")])
def test_the_trailing_days_are_a_setting(days, first):
    request = _requested(_schedule("nightly_ingest", trailing_days=days), dt.datetime(2025, 5, 7, 2, tzinfo=LONDON))
    assert (request.tags[START], request.tags[END]) == (first, "2025-05-06")


@pytest.mark.parametrize("timezone", ["Europe/London", "America/New_York", "Pacific/Auckland"])
def test_the_night_is_the_stores_night(timezone):
    schedule = _schedule("nightly_ingest", timezone)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", timezone)
    local = dt.datetime(2025, 5, 7, 2, tzinfo=ZoneInfo(timezone))
    assert _requested(schedule, local).tags[END] == "2025-05-06"


@pytest.mark.parametrize("timezone", ["Europe/London", "America/New_York"])
def test_every_night_of_a_year_closes_the_day_before_once(timezone, monkeypatch):
    """Clock changes neither skip nor repeat a business date; in New York 02:00 is missing one night."""
    monkeypatch.setattr(missed, "ingested", lambda _: missed.Made(None, set()))
    schedule, zone = _schedule("nightly_ingest", timezone), ZoneInfo(timezone)
    after = dt.datetime(2025, 1, 2, tzinfo=zone).timestamp()
    ticks = schedule_execution_time_iterator(after, schedule.cron_schedule, timezone)
    closed = [_requested(schedule, at).tags[END] for at in itertools.islice(ticks, 365)]
    assert closed == [str(dt.date(2025, 1, 1) + dt.timedelta(days=n)) for n in range(365)]


def test_the_training_is_of_the_week_that_begins():
    schedule = _schedule("weekly_training")
    assert schedule.cron_schedule == "0 5 * * 1"
    with dg.DagsterInstance.ephemeral() as instance:
        made(instance, jobs.INGEST, [dt.date(2025, 3, 3) + dt.timedelta(days=n) for n in range(28)])
        request = _requested(schedule, dt.datetime(2025, 3, 31, 5, tzinfo=LONDON), instance=instance)
    assert (request.partition_key, request.run_key) == ("2025-03-31", "train 2025-03-31")
    assert dt.date.fromisoformat(request.partition_key).isoweekday() == 1


def _run(instance: dg.DagsterInstance, name: str, *, tags: dict[str, str], fails: bool = False):
    """A finished run of a job with that name."""

    @dg.op
    def work() -> None:
        if fails:
            raise dg.Failure("The till feed is empty.")

    @dg.job(name=name)
    def made() -> None:
        work()

    return made.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


RANGE = {START: "2025-05-03", END: "2025-05-06"}
PUBLISH_AFTER_INGEST = publish_after_ingest(Settings(start_date=dt.date(2025, 1, 1)))
SCHEDULED = {"dagster/schedule_name": "nightly_ingest"}


def _publish_requests(tags: dict[str, str]):
    with dg.DagsterInstance.ephemeral() as instance:
        return _asked(PUBLISH_AFTER_INGEST, _run(instance, jobs.INGEST, tags=tags), instance)


def _asked(sensor, done: dg.ExecuteInProcessResult, instance: dg.DagsterInstance, *, run: dg.DagsterRun | None = None):
    """What a sensor of succeeded runs asks for after this one."""
    event = next(e for e in done.all_events if e.event_type is dg.DagsterEventType.RUN_SUCCESS)
    with dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=run or done.dagster_run
    ) as context:
        return sensor(context)


def test_after_the_nightly_ingest_the_day_is_published_and_the_reread_days_are_scored():
    publish, score = _publish_requests({**SCHEDULED, **RANGE})
    assert (publish.partition_key, publish.asset_selection) == ("2025-05-06", None)
    assert publish.run_key.startswith("publish 2025-05-06 after ")
    assert (score.tags[START], score.tags[END]) == ("2025-05-03", "2025-05-06")
    assert score.asset_selection == [dg.AssetKey(["forecast", "forecast_accuracy"])]
    assert score.run_key != publish.run_key


def test_the_first_night_has_nothing_to_score_again():
    [publish] = _publish_requests({**SCHEDULED, START: "2025-01-01", END: "2025-01-01"})
    assert publish.partition_key == "2025-01-01"


@pytest.mark.parametrize(
    "tags", [RANGE, {"dagster/backfill": "abc", **RANGE}, {"retail/launched-by": "command line", **RANGE}]
)
def test_no_other_ingest_publishes(tags):
    skipped = _publish_requests(tags)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "The ingest was not started by the nightly schedule."


def _late_requests(tags: dict[str, str], *, made: list[str], there: list[str]):
    """What is asked for after a run that made one asset, in a lake that holds demand of the days `there`."""
    days = dg.DailyPartitionsDefinition(start_date="2025-01-01")

    @dg.asset(key=made, partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def table() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        for day in there:
            instance.report_runless_asset_event(dg.AssetMaterialization(["gold", "demand_daily"], partition=day))
        return _asked(demand_after_late_days, dg.materialize([table], instance=instance, tags=tags), instance)


FACTS = ["gold", "fact_sales"]


def test_demand_that_looks_back_on_days_ingested_late_is_made_again():
    there = ["2025-05-02", "2025-05-06", "2025-05-07", "2025-05-09", "2025-09-01"]
    first, second = _late_requests(RANGE, made=FACTS, there=there)
    assert [(r.tags[START], r.tags[END]) for r in (first, second)] == [
        ("2025-05-07", "2025-05-07"),
        ("2025-05-09", "2025-05-09"),
    ]
    assert first.asset_selection == [
        dg.AssetKey([layer, name]) for name in ("demand_daily", "product_segments") for layer in ("gold", "warehouse")
    ]
    assert first.run_key != second.run_key


def test_a_run_carried_on_from_its_failure_counts_what_the_failed_one_made():
    days = dg.DailyPartitionsDefinition(start_date="2025-01-01")
    policy = dg.BackfillPolicy.single_run()
    fails = iter([True, False])

    @dg.asset(key=FACTS, partitions_def=days, backfill_policy=policy)
    def facts() -> None: ...

    @dg.asset(key=["gold", "demand_daily"], partitions_def=days, deps=[FACTS], backfill_policy=policy)
    def demand() -> None:
        if next(fails):
            raise dg.Failure("The disk is full.")

    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(["gold", "demand_daily"], partition="2025-05-07"))
        first = dg.materialize([facts, demand], instance=instance, tags=RANGE, raise_on_error=False)
        again = dg.materialize([demand], instance=instance, tags=RANGE)
        run = again.dagster_run._replace(parent_run_id=first.run_id, root_run_id=first.run_id)
        [request] = _asked(demand_after_late_days, again, instance, run=run)
    assert (request.tags[START], request.tags[END]) == ("2025-05-07", "2025-05-07")


def test_the_newest_day_asks_for_nothing():
    assert _late_requests(RANGE, made=FACTS, there=["2025-05-05", "2025-05-06"]) == []


@pytest.mark.parametrize(
    ("tags", "made"),
    [(RANGE, ["gold", "demand_daily"]), ({"retail/launched-by": "command line", **RANGE}, FACTS)],
    ids=["its own run", "the command line"],
)
def test_demand_made_again_asks_for_no_more(tags, made):
    assert isinstance(_late_requests(tags, made=made, there=["2025-05-07"]), dg.SkipReason)


def _checked(instance: dg.DagsterInstance, tags: dict[str, str], days: dict[str, tuple[int, str]]):
    """A run whose check of moved lines found so many, the first of that name, on these days."""

    @dg.asset_check(asset=["silver", "sales"], name="lines_are_on_one_day")
    def check() -> dg.AssetCheckResult:
        found = {day: {"lines": lines, "first": first, "last": first} for day, (lines, first) in days.items()}
        return dg.AssetCheckResult(passed=not days, severity=dg.AssetCheckSeverity.WARN, metadata={"older_days": found})

    job = dg.define_asset_job("some", selection=dg.AssetSelection.all_asset_checks())
    some = dg.Definitions(asset_checks=[check], jobs=[job]).resolve_job_def("some")
    return some.execute_in_process(instance=instance, tags=tags)


FOUND = {"2025-04-01": (2, "L1"), "2025-04-02": (1, "L5"), "2025-04-20": (1, "L9")}


def test_days_that_lines_moved_away_from_are_read_again_as_ranges():
    with dg.DagsterInstance.ephemeral() as instance:
        first, second = _asked(ingest_moved_days, _checked(instance, RANGE, FOUND), instance)
    assert [(r.tags[START], r.tags[END]) for r in (first, second)] == [
        ("2025-04-01", "2025-04-02"),
        ("2025-04-20", "2025-04-20"),
    ]
    assert [r.tags["retail/moved-lines"] for r in (first, second)] == ["3", "1"]
    assert first.run_key.startswith("moved 2025-04-01 … 2025-04-02 ") and first.asset_selection is None
    assert ingest_moved_days.default_status is dg.DefaultSensorStatus.RUNNING


def test_the_same_lines_found_again_have_the_same_key_and_others_another():
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [
            _asked(ingest_moved_days, _checked(instance, RANGE, {"2025-04-01": lines}), instance)[0].run_key
            for lines in ((1, "L1"), (1, "L1"), (1, "L2"), (2, "L1"))
        ]
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_a_run_without_moved_lines_asks_for_nothing():
    with dg.DagsterInstance.ephemeral() as instance:
        skipped = _asked(ingest_moved_days, _checked(instance, RANGE, {}), instance)
    assert skipped.skip_message == "No line of the run lies on an earlier day too."


def test_what_a_run_found_that_read_moved_days_again_is_not_asked_for():
    with dg.DagsterInstance.ephemeral() as instance:
        [asked] = _asked(ingest_moved_days, _checked(instance, RANGE, {"2025-04-01": (1, "L1")}), instance)
        skipped = _asked(ingest_moved_days, _checked(instance, asked.tags, {"2025-05-06": (1, "L1")}), instance)
    assert skipped.skip_message == "The run itself read days again that lines had moved away from."


def _after_three(left: list[int]):
    """What is asked for after three runs that were each to take two lines away and left so many."""
    with dg.DagsterInstance.ephemeral() as instance:
        for lines in left:
            [asked] = _asked(ingest_moved_days, _checked(instance, RANGE, {"2025-04-01": (2, "L1")}), instance)
            _checked(instance, asked.tags, {"2025-05-06": (lines, "L1")} if lines else {})
        return _asked(ingest_moved_days, _checked(instance, RANGE, FOUND), instance)


def test_a_mapping_whose_line_numbers_begin_anew_each_day_is_asked_for_three_times_and_no_more():
    assert _after_three([2, 5, 2]).skip_message == (
        "The last 3 times every line stayed on its day: sale_line_id names a line only within a day. Let the mapping "
        "put the date into it, or read days again by hand."
    )


def test_one_time_that_took_lines_away_is_reason_to_go_on():
    assert len(_after_three([2, 0, 2])) == 2
    assert len(_after_three([2, 2, 1])) == 2


def test_publishing_listens_to_the_ingest_and_runs_without_being_switched_on():
    assert PUBLISH_AFTER_INGEST.default_status is dg.DefaultSensorStatus.RUNNING
    assert alert_on_failure.default_status is dg.DefaultSensorStatus.RUNNING
    assert [job.name for job in PUBLISH_AFTER_INGEST.jobs] == [jobs.PUBLISH]


class RecordedNotifier:
    """Keeps what it is asked to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict]] = []

    def send(self, title: str, text: str, *, facts: dict) -> bool:
        self.sent.append((title, text, facts))
        return True


def _alerts(tags: dict[str, str]) -> tuple[RecordedNotifier, dg.DagsterRun]:
    notifier = RecordedNotifier()
    with dg.DagsterInstance.ephemeral() as instance:
        failed = _run(instance, jobs.INGEST, tags=tags, fails=True)
        event = next(e for e in failed.all_events if e.event_type is dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_failure",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=failed.dagster_run,
        )
        with context.for_run_failure() as failure:
            alert_on_failure(failure, notifier=notifier)
        return notifier, failed.dagster_run


def test_an_alert_says_what_where_since_when_and_what_to_do():
    notifier, run = _alerts(RANGE)
    [(title, text, facts)] = notifier.sent
    assert title == "ingest failed"
    assert text
    assert (facts["job"], facts["run"], facts["partitions"]) == ("ingest", run.run_id, "2025-05-03 … 2025-05-06")
    assert facts["noticed"].endswith(" UTC")
    assert "re-execute from failure" in facts["what to do"]


def test_an_alert_of_one_partition_names_it():
    notifier, _ = _alerts({"dagster/partition": "2025-05-06"})
    assert notifier.sent[0][2]["partitions"] == "2025-05-06"


def test_an_alert_of_a_run_without_partitions_does_not_invent_any():
    notifier, _ = _alerts({})
    assert notifier.sent[0][2]["partitions"] == "none"


def test_an_alert_gives_the_cause():
    notifier, _ = _alerts(RANGE)
    assert notifier.sent[0][1] == "work: dagster._core.definitions.events.Failure: The till feed is empty."


def _alert_of(run: dg.DagsterRun, event: dg.DagsterEvent, instance: dg.DagsterInstance, sensor=alert_on_failure):
    """What is sent about an ended run, and what the sensor answers."""
    notifier = RecordedNotifier()
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=run
    )
    if sensor is alert_on_failure:
        with context.for_run_failure() as failure:
            answer = sensor(failure, notifier=notifier)
    else:
        answer = sensor(context, notifier=notifier)
    return notifier.sent, answer


WILL_RETRY = {"dagster/will_retry": "true"}
ELSEWHERE = object()
"""In the place of the code location that a run was started from."""


class Lost:
    """A run whose process is gone, started by the daemon unless said otherwise."""

    job_name, run_id = "publish", "00000000-0000-4000-8000-000000000001"

    def __init__(self, tags: dict[str, str], origin: object = ELSEWHERE) -> None:
        self.tags, self.remote_job_origin = tags, origin


def _failure_of(lost: Lost, monkeypatch) -> tuple[list, object]:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.add_run(dg.DagsterRun(job_name="publish", status=dg.DagsterRunStatus.STARTED))
        event = instance.report_run_failed(run, "The process of the run gave no sign of life for 180 seconds.")
        monkeypatch.setattr(dg.RunFailureSensorContext, "dagster_run", lost)
        return _alert_of(run, event, instance)


def test_the_first_failure_of_a_lost_run_says_that_dagster_tries_again(monkeypatch):
    [(title, text, facts)], _ = _failure_of(Lost({"dagster/partition": "2025-05-06", **WILL_RETRY}), monkeypatch)
    assert title == "publish failed, and is tried again"
    assert text == "The process of the run gave no sign of life for 180 seconds."
    assert facts["what to do"].startswith("Nothing yet: Dagster tries the run again by itself")
    assert (facts["run"], facts["partitions"]) == (Lost.run_id, "2025-05-06")


def test_the_failures_between_the_first_and_the_last_are_not_alerted(monkeypatch):
    sent, answer = _failure_of(Lost({"dagster/retry_number": "1", **WILL_RETRY}), monkeypatch)
    assert sent == []
    assert answer.skip_message == f"The first failure was alerted, and run {Lost.run_id} is tried again."


def test_the_last_failure_says_how_often_it_was_tried_and_that_a_person_must_act(monkeypatch):
    tags = {"dagster/retry_number": "2", "dagster/will_retry": "false"}
    [(title, _, facts)], _ = _failure_of(Lost(tags), monkeypatch)
    assert title == "publish failed 3 times"
    assert "mend the cause" in facts["what to do"]


def test_a_command_s_run_has_no_code_location_to_be_tried_again_in(monkeypatch):
    [(title, _, facts)], _ = _failure_of(Lost(WILL_RETRY, origin=None), monkeypatch)
    assert (title, "mend the cause" in facts["what to do"]) == ("publish failed", True)


def _cancellation(tags: dict[str, str], message: str | None = None):
    with dg.DagsterInstance.ephemeral() as instance:
        known = dg.DagsterRun(job_name="publish", tags=tags, status=dg.DagsterRunStatus.STARTED)
        run = instance.add_run(known)
        event = instance.report_run_canceled(run, message)
        return run, *_alert_of(run, event, instance, alert_on_cancellation)


def test_a_cancelled_run_is_alerted_with_the_day_and_how_to_make_it_up():
    run, [(title, text, facts)], _ = _cancellation({"dagster/partition": "2025-05-06"})
    assert (title, bool(text)) == ("publish was cancelled", True)
    assert (facts["run"], facts["partitions"]) == (run.run_id, "2025-05-06")
    assert facts["what to do"] == (
        "Nothing makes the run up by itself: open it in the Dagster UI and press Re-execute."
    )
    assert alert_on_cancellation.default_status is dg.DefaultSensorStatus.RUNNING


def test_a_command_that_a_person_stopped_is_not_alerted():
    _, sent, answer = _cancellation({"retail/launched-by": "command line"}, "The command was interrupted.")
    assert sent == []
    assert answer.skip_message == "The run was one of a retail-assets command, which a person stopped."


def test_a_night_that_was_tried_again_publishes_too():
    """The daemon and the UI copy the tags of the run they repeat."""
    again = {"dagster/parent_run_id": "first", "dagster/root_run_id": "first", "dagster/retry_number": "1"}
    publish, _ = _publish_requests({**SCHEDULED, **RANGE, **again})
    assert publish.run_key.startswith("publish 2025-05-06 after ")


class Closed(Calendar):
    """A calendar whose newest closed day stands still."""

    def newest_closed_day(self) -> dt.date:
        return dt.date(2025, 5, 20)


CALENDAR = Closed(dt.date(2025, 1, 1), "GB", LONDON)
MAY = [dt.date(2025, 5, day) for day in range(1, 32)]
CURSOR = "2025-05-20T12:00:00+00:00"


class ChangingSource:
    """A source that tells days, or cannot be asked; what it was asked is recorded."""

    def __init__(self, days: dict[str, list[dt.date]], error: Exception | None = None) -> None:
        self._days, self._error = days, error
        self.mapping = load_mapping("demo")
        self.asked: list[tuple] = []

    def tells_changes(self, entity: entities.Entity) -> bool:
        return entity.name in self._days

    def changed_days(
        self, entity: entities.Entity, *, since: dt.datetime, start: dt.date, end: dt.date
    ) -> list[dt.date]:
        self.asked.append((entity.name, since, start, end))
        if self._error:
            raise self._error
        return self._days[entity.name]


def _looked(source, *, cursor: str | None = CURSOR, ingested=MAY, **settings) -> dg.SensorResult:
    made = ingest_changed_days(Settings(start_date=dt.date(2025, 1, 1), **settings))
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ingested:
            event = dg.AssetMaterialization(["bronze", "sales"], partition=str(day))
            instance.report_runless_asset_event(event)
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        return made(context, source=source, calendar=CALENDAR)


def test_changed_days_are_ingested_as_ranges_of_days_that_follow_each_other():
    source = ChangingSource({"sales": [MAY[9], MAY[2], MAY[3]], "inventory": [MAY[4], MAY[9]]})
    result = _looked(source)
    ranges = [(request.tags[START], request.tags[END]) for request in result.run_requests]
    assert ranges == [("2025-05-03", "2025-05-05"), ("2025-05-10", "2025-05-10")]
    assert len({request.run_key for request in result.run_requests}) == 2
    assert result.run_requests[0].run_key.startswith("changed 2025-05-03 … 2025-05-05 20")
    assert all(request.job_name is None and request.asset_selection is None for request in result.run_requests)
    since = dt.datetime(2025, 5, 20, 11, 45, tzinfo=dt.UTC)
    assert source.asked[0] == ("sales", since, dt.date(2025, 1, 1), dt.date(2025, 5, 17))
    assert dt.datetime.fromisoformat(result.cursor) > dt.datetime.fromisoformat(CURSOR)


def test_the_days_that_the_coming_night_reads_again_are_left_to_it():
    """The night after 20 May closes the 20th or the 21st: it reads from the 18th on at the latest."""
    source = ChangingSource({"sales": []})
    assert _looked(source).skip_reason.skip_message == (
        "No ingested day up to 2025-05-17 changed since 2025-05-20 12:00 UTC."
    )
    _looked(source, trailing_days=10)
    assert [end for *_, end in source.asked] == [dt.date(2025, 5, 17), dt.date(2025, 5, 10)]


def test_a_day_that_was_never_ingested_is_left_to_the_backfill():
    result = _looked(ChangingSource({"sales": [MAY[2], MAY[3]]}), ingested=[MAY[3]])
    assert [request.tags[START] for request in result.run_requests] == ["2025-05-04"]


def test_the_first_look_goes_back_a_day():
    source = ChangingSource({"sales": []})
    result = _looked(source, cursor=None)
    [(_, since, _, _)] = source.asked
    assert dt.datetime.fromisoformat(result.cursor) - since == dt.timedelta(days=1, minutes=15)


@pytest.mark.parametrize("error", [TransientFailure("The database is down."), PermanentFailure("The query is wrong.")])
def test_a_database_that_cannot_be_asked_is_a_reason_to_skip_and_to_look_from_there_again(error):
    result = _looked(ChangingSource({"sales": []}, error))
    assert result.skip_reason.skip_message == str(error)
    assert result.cursor is None and not result.run_requests


def test_a_mapping_that_cannot_tell_says_what_to_give():
    result = _looked(ChangingSource({}))
    assert result.skip_reason.skip_message == (
        "The mapping demo cannot tell which days changed: let its daily queries give modified_at, or give changed_days."
    )


def test_the_ingest_of_changed_days_is_switched_on_by_hand_and_publishes_nothing():
    sensor = ingest_changed_days(Settings(start_date=dt.date(2025, 1, 1)))
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert [job.name for job in sensor.jobs] == [jobs.INGEST]
    assert isinstance(_publish_requests({"dagster/sensor_name": "ingest_changed_days", **RANGE}), dg.SkipReason)


def test_the_demo_tells_the_day_of_a_line_that_was_mended_later(tmp_path):
    url = f"sqlite:///{tmp_path / 'demo.db'}"
    size = DemoSize(stores=1, products=8, customers=5)
    write_days(url, start=dt.date(2025, 5, 1), through=dt.date(2025, 5, 20), size=size)
    with sqlite3.connect(tmp_path / "demo.db") as database:
        database.execute(
            "UPDATE pos_sale_line SET modified_at = '2025-05-20 23:30:00.000000' "
            "WHERE feed_id = (SELECT min(feed_id) FROM pos_sale_line WHERE business_date = '2025-05-04')"
        )
    database.close()
    result = _looked(Source(url, load_mapping("demo")), cursor="2025-05-20T23:00:00+00:00")
    assert [(r.tags[START], r.tags[END]) for r in result.run_requests] == [("2025-05-04", "2025-05-04")]


def test_a_database_that_is_gone_is_a_reason_to_skip(tmp_path):
    result = _looked(Source(f"sqlite:///{tmp_path / 'gone.db'}", load_mapping("demo")))
    assert result.skip_reason.skip_message.startswith("There is no database at ")
