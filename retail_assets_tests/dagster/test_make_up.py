"""Between two nights: what failed in passing or never started is asked for again, within limits, and somebody hears."""

import datetime as dt
import json
from collections.abc import Iterator

import dagster as dg
import pytest

from retail_assets.failures import TransientFailure
from retail_assets.graph import jobs
from retail_assets.graph.sensors import alert_on_failure
from retail_assets.nights import make_up
from retail_assets.nights.due import Look
from retail_assets.nights.make_up import MOST_ASKS, Asked, make_up_missed
from retail_assets.runs.run_tags import AGAIN, LATE_TAG, MISSED
from retail_assets.settings import Settings
from retail_assets_tests.dagster.night_records import LONDON, MAY, asked_for, cancelled, ended, made, under_way, window

FIRST = dt.date(2025, 1, 1)
NIGHT = {"dagster/schedule_name": "nightly_ingest"}
SWITCHED_ON = frozenset({"nightly_ingest", "weekly_training"})


class AnsweringSource:
    """A source that can be reached or not."""

    is_away = False

    def check_reachable(self, day: dt.date) -> None:
        if self.is_away:
            raise TransientFailure(f"The operational database cannot be read now, not even {day}.")


class StoresCalendar:
    zone = LONDON


class RecordedNotifier:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict]] = []

    def send(self, title: str, text: str, *, facts: dict) -> bool:
        self.sent.append((title, text, facts))
        return True


class Daemon:
    """Looks with the sensor as often as asked, and carries its cursor from look to look."""

    def __init__(self, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance, self.source, self.notifier = instance, AnsweringSource(), RecordedNotifier()
        self.cursor: str | None = None
        self.skipped: str | None = None
        self.now = dt.datetime(2025, 5, 15, 2, tzinfo=LONDON)
        self._sensor = make_up_missed(Settings(start_date=FIRST))
        monkeypatch.setattr(make_up, "_now", lambda: self.now.astimezone(dt.UTC))
        monkeypatch.setattr("retail_assets.nights.due.MIN_TRAINING_DAYS", 10)
        self.switch(SWITCHED_ON, monkeypatch)

    def switch(self, on: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(make_up, "_switched_on", lambda _: on)

    def look(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        given = {"source": self.source, "calendar": StoresCalendar(), "notifier": self.notifier}
        result = self._sensor(context, **given)
        self.cursor = result.cursor or self.cursor
        self.skipped = result.skip_reason.skip_message if result.skip_reason else None
        return list(result.run_requests or [])

    def next_at(self, key: str) -> dt.datetime:
        """When the sensor itself says that it asks next."""
        return make_up.Memory.of(self.cursor).asked[key].next_at.astimezone(LONDON)

    def looks(self, *, minutes: int) -> Iterator[tuple[str, list[dg.RunRequest]]]:
        """A look every five minutes, with its time."""
        for _ in range(minutes // 5 + 1):
            yield f"{self.now:%H:%M}", self.look()
            self.now += dt.timedelta(minutes=5)


@pytest.fixture
def daemon(monkeypatch) -> Iterator[Daemon]:
    """The night of Thursday, 15 May, which closes the 14th, after a history without holes."""
    with dg.DagsterInstance.ephemeral() as instance:
        made(instance, jobs.INGEST, window(1, 13).days())
        made(instance, jobs.PUBLISH, window(1, 13).days())
        made(instance, jobs.TRAIN, window(5, 12).days())
        yield Daemon(instance, monkeypatch)


def _asks(daemon: Daemon, *, minutes: int) -> list[tuple[str, list[dg.RunRequest]]]:
    return [(at, requests) for at, requests in daemon.looks(minutes=minutes) if requests]


@pytest.mark.parametrize(("away_until", "asked_at"), [("02:20", "02:20"), ("03:00", "03:00")])
def test_an_outage_is_waited_out_and_the_night_asked_for_as_soon_as_the_source_answers(daemon, away_until, asked_at):
    ended(daemon.instance, jobs.INGEST, window(11, 14), fails="transient", tags=NIGHT)
    daemon.source.is_away = True
    found: dict[str, list[dg.RunRequest]] = {}
    for at, requests in daemon.looks(minutes=120):
        found |= {at: requests} if requests else {}
        daemon.source.is_away = f"{daemon.now + dt.timedelta(minutes=5):%H:%M}" < away_until
        if requests:
            break
        if daemon.source.is_away and at > "02:05":
            assert daemon.skipped.startswith("The operational database cannot be read now, not even 2025-05-14.")
    [(at, [night])] = found.items()
    assert at == asked_at
    assert (night.job_name, asked_for([night])) == (jobs.INGEST, [("2025-05-11", "2025-05-14")])
    assert AGAIN.items() <= night.tags.items()


def test_a_night_that_stays_away_is_asked_for_at_growing_intervals_and_then_given_up(daemon):
    """The source answers and the lake does not: each run fails at once."""
    asked, keys = [], set()
    ended(daemon.instance, jobs.INGEST, window(11, 14), fails="transient", tags=NIGHT)
    for _ in range(MOST_ASKS + 3):
        requests = daemon.look()
        if requests:
            asked.append(f"{daemon.now:%H:%M}")
            keys |= {request.run_key for request in requests}
            ended(daemon.instance, jobs.INGEST, window(11, 14), fails="transient", tags=AGAIN)
        daemon.now = daemon.next_at("ingest 2025-05-14")
    assert asked[:6] == ["02:10", "02:15", "02:25", "02:45", "03:25", "04:25"]
    assert len(asked) == len(keys) == MOST_ASKS == 12
    assert asked[-1] == "10:25"
    assert daemon.skipped == "ingest 2025-05-14 was asked for 12 times and not again."
    [(title, text, _)] = daemon.notifier.sent
    assert (title, text.split(":")[0]) == ("Given up", "ingest 2025-05-14")


@pytest.mark.parametrize("stop", ["permanent", "cancelled"])
def test_what_a_person_must_mend_or_has_cancelled_is_left_alone(daemon, stop):
    if stop == "permanent":
        ended(daemon.instance, jobs.INGEST, window(11, 14), fails="permanent", tags=NIGHT)
    else:
        cancelled(daemon.instance, jobs.INGEST, window(11, 14))
    assert _asks(daemon, minutes=25) == []


def test_a_run_that_works_is_not_joined_by_another(daemon):
    under_way(daemon.instance, jobs.INGEST, window(11, 14))
    assert _asks(daemon, minutes=25) == []


def test_a_night_that_is_there_asks_for_nothing(daemon):
    made(daemon.instance, jobs.INGEST, [MAY[13]])
    made(daemon.instance, jobs.PUBLISH, [MAY[13]])
    assert _asks(daemon, minutes=25) == []
    assert daemon.skipped == "Nothing that is due is missing, or a run is about it."
    assert daemon.notifier.sent == []


def test_switched_off_schedules_ask_for_nothing(daemon, monkeypatch):
    daemon.switch(frozenset({"weekly_maintenance"}), monkeypatch)
    assert _asks(daemon, minutes=25) == []
    assert daemon.skipped == "The schedules nightly_ingest and weekly_training are switched off."


def test_a_new_instance_asks_for_nothing(monkeypatch):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(instance, monkeypatch)
        assert _asks(daemon, minutes=25) == []


def test_a_daemon_that_did_not_run_for_nights_names_them_and_makes_them_up(daemon):
    """It starts on the 18th at nine: the nights that close 14, 15, 16 and 17 are missing."""
    daemon.now = dt.datetime(2025, 5, 18, 9, tzinfo=LONDON)
    [(at, requests)] = _asks(daemon, minutes=10)
    assert (at, asked_for(requests)) == ("09:10", [("2025-05-14", "2025-05-17")])
    [(title, text, facts)] = daemon.notifier.sent
    assert title == "4 days missing"
    assert text == "Nights did not bring 2025-05-14 … 2025-05-17 into the lake."
    assert facts["since"] == "2025-05-14"
    for job in (jobs.INGEST, jobs.PUBLISH):
        made(daemon.instance, job, window(14, 17).days())
    _asks(daemon, minutes=30)
    assert [title for title, _, _ in daemon.notifier.sent] == ["4 days missing", "4 days made up"]
    assert json.loads(daemon.cursor)["owed"] == []


def test_a_longer_gap_is_read_before_the_night(daemon):
    daemon.now = dt.datetime(2025, 5, 21, 9, tzinfo=LONDON)
    [(_, [before, night])] = _asks(daemon, minutes=10)
    assert asked_for([before, night]) == [("2025-05-14", "2025-05-16"), ("2025-05-17", "2025-05-20")]
    assert MISSED.items() <= before.tags.items() and AGAIN.items() <= night.tags.items()


def test_one_missed_night_is_told_once(daemon):
    daemon.now = dt.datetime(2025, 5, 15, 9, tzinfo=LONDON)
    _asks(daemon, minutes=5)
    assert [title for title, _, _ in daemon.notifier.sent] == ["1 day missing"]


def test_a_night_that_failed_in_time_is_told_by_its_own_alert_and_then_made_up(daemon):
    ended(daemon.instance, jobs.INGEST, window(11, 14), fails="transient", tags=NIGHT)
    assert len(_asks(daemon, minutes=10)) == 1
    for job in (jobs.INGEST, jobs.PUBLISH):
        made(daemon.instance, job, [MAY[13]])
    daemon.look()
    [(title, text, _)] = daemon.notifier.sent
    assert title == "1 day made up"
    assert text == "The lake has 2025-05-14 now; these days and their plans came late."


def test_a_plan_that_failed_in_passing_is_asked_for_again(daemon):
    made(daemon.instance, jobs.INGEST, [MAY[13]])
    ended(daemon.instance, jobs.PUBLISH, window(14, 14), fails="transient")
    [(at, [plan])] = _asks(daemon, minutes=10)
    assert (at, plan.job_name, plan.partition_key) == ("02:10", jobs.PUBLISH, "2025-05-14")
    assert AGAIN.items() <= plan.tags.items() and LATE_TAG in plan.tags


def test_a_plan_follows_its_ingest_by_itself_before_it_is_asked_for(daemon):
    """publish_after_ingest looks every half minute; ten minutes pass before this sensor steps in."""
    ended(daemon.instance, jobs.INGEST, window(11, 14), fails="transient", tags=NIGHT)
    daemon.look()
    made(daemon.instance, jobs.INGEST, [MAY[13]])
    daemon.now += dt.timedelta(minutes=5)
    assert daemon.look() == []


def _monday(daemon: Daemon, hour: int, minute: int = 0) -> None:
    """Monday, 19 May, with plans up to date."""
    daemon.now = dt.datetime(2025, 5, 19, hour, minute, tzinfo=LONDON)
    made(daemon.instance, jobs.INGEST, window(14, 17).days())
    made(daemon.instance, jobs.PUBLISH, window(14, 17).days())


def test_a_late_sunday_costs_no_training(daemon):
    _monday(daemon, 11, 30)
    cancelled(daemon.instance, jobs.INGEST, window(15, 18))
    assert _asks(daemon, minutes=30) == []
    for job in (jobs.INGEST, jobs.PUBLISH):
        made(daemon.instance, job, [MAY[17]])
    [(at, [training])] = _asks(daemon, minutes=10)
    assert (at, training.job_name, training.partition_key) == ("12:15", jobs.TRAIN, "2025-05-19")


def test_before_its_hour_a_training_is_left_to_its_schedule(daemon):
    _monday(daemon, 4, 45)
    for job in (jobs.INGEST, jobs.PUBLISH):
        made(daemon.instance, job, [MAY[17]])
    asked = _asks(daemon, minutes=25)
    assert [at for at, _ in asked] == ["05:10"]


@pytest.mark.parametrize("why", ["trained", "in work", "failed for good", "too short a history"])
def test_a_training_is_not_asked_for(daemon, monkeypatch, why):
    _monday(daemon, 12)
    for job in (jobs.INGEST, jobs.PUBLISH):
        made(daemon.instance, job, [MAY[17]])
    week = window(19, 19)
    if why == "trained":
        made(daemon.instance, jobs.TRAIN, [MAY[18]])
    elif why == "in work":
        under_way(daemon.instance, jobs.TRAIN, week)
    elif why == "failed for good":
        ended(daemon.instance, jobs.TRAIN, week, fails="permanent")
    else:
        monkeypatch.setattr("retail_assets.nights.due.MIN_TRAINING_DAYS", 200)
    assert _asks(daemon, minutes=30) == []


def _look_at(moment: dt.datetime, instance: dg.DagsterInstance) -> Look:
    return Look(instance, Settings(start_date=FIRST), LONDON, moment.replace(tzinfo=LONDON), SWITCHED_ON)


@pytest.mark.parametrize(
    ("moment", "closed"),
    [
        (dt.datetime(2025, 5, 15, 1, 59), dt.date(2025, 5, 13)),
        (dt.datetime(2025, 5, 15, 2, 0), dt.date(2025, 5, 14)),
        (dt.datetime(2025, 5, 15, 23, 59), dt.date(2025, 5, 14)),
        (dt.datetime(2025, 3, 30, 3, 0), dt.date(2025, 3, 29)),
        (dt.datetime(2025, 10, 26, 1, 59), dt.date(2025, 10, 24)),
    ],
    ids=["before two", "at two", "in the evening", "clocks forward", "clocks back"],
)
def test_a_day_is_due_when_its_night_begins(moment, closed):
    with dg.DagsterInstance.ephemeral() as instance:
        assert _look_at(moment, instance).closed == closed


@pytest.mark.parametrize(
    ("moment", "monday"),
    [
        (dt.datetime(2025, 5, 19, 4, 59), dt.date(2025, 5, 12)),
        (dt.datetime(2025, 5, 19, 5), dt.date(2025, 5, 19)),
        (dt.datetime(2025, 5, 25, 12), dt.date(2025, 5, 19)),
    ],
)
def test_a_training_is_due_from_its_hour_on(moment, monday):
    with dg.DagsterInstance.ephemeral() as instance:
        assert _look_at(moment, instance).monday == monday


def test_the_memory_survives_its_cursor():
    asked = {"ingest 2025-05-14": Asked(3, dt.datetime(2025, 5, 15, 4, tzinfo=dt.UTC))}
    memory = make_up.Memory(asked, frozenset({MAY[13]}), frozenset({"publish 2025-05-02"}))
    assert make_up.Memory.of(memory.cursor()) == memory
    assert make_up.Memory.of(None) == make_up.Memory()


@pytest.mark.parametrize(
    ("tags", "fails", "is_told"),
    [(AGAIN, "transient", False), (AGAIN, "permanent", True), (NIGHT, "transient", True)],
    ids=["the same outage", "something else", "the first failure"],
)
def test_an_outage_is_told_once(tags, fails, is_told):
    notifier = RecordedNotifier()
    with dg.DagsterInstance.ephemeral() as instance:
        failed = ended(instance, jobs.INGEST, window(11, 14), fails=fails, tags=tags)
        event = next(e for e in failed.all_events if e.event_type is dg.DagsterEventType.RUN_FAILURE)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_failure",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=failed.dagster_run,
        )
        with context.for_run_failure() as failure:
            alert_on_failure(failure, notifier=notifier)
    assert bool(notifier.sent) is is_told
