"""Days that nights missed are found, asked for and published by the next good night; a storm of runs is not."""

import datetime as dt

import dagster as dg
import pytest

from retail_assets.graph import jobs
from retail_assets.graph.schedules import schedules
from retail_assets.graph.sensors import publish_after_ingest
from retail_assets.nights import missed
from retail_assets.runs.run_tags import AGAIN, LATE_TAG, MISSED
from retail_assets.settings import Settings
from retail_assets.tables import bronze, gold
from retail_assets.tables.forecast import DAILY_FORECASTS
from retail_assets.windows import Window
from retail_assets_tests.dagster.night_records import (
    LONDON,
    MAY,
    Tick,
    asked_for,
    cancelled,
    ended,
    made,
    under_way,
    window,
)

FIRST = dt.date(2025, 1, 1)
NIGHT = {"dagster/schedule_name": "nightly_ingest"}


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def _tick(name: str, instance: dg.DagsterInstance, at: dt.datetime, **settings):
    found = schedules(Settings(start_date=FIRST, **settings), "Europe/London")
    schedule = next(schedule for schedule in found if schedule.name == name)
    with Tick(instance, at.replace(tzinfo=LONDON)) as context:
        return schedule(context)


def _night(instance: dg.DagsterInstance, closed: int, **settings) -> list[dg.RunRequest]:
    """What the night asks for that closes that day of May."""
    return _tick("nightly_ingest", instance, dt.datetime(2025, 5, closed + 1, 2), **settings)


def test_after_four_failed_nights_the_good_one_reads_the_oldest_day_too(instance):
    """The trailing days alone reach back to the 11th."""
    made(instance, jobs.INGEST, window(1, 9).days())
    for closed in (10, 11, 12, 13):
        ended(instance, jobs.INGEST, window(closed - 3, closed), fails="transient", tags=NIGHT)
    hole, night = _night(instance, 14)
    assert asked_for([hole, night]) == [("2025-05-10", "2025-05-10"), ("2025-05-11", "2025-05-14")]
    assert MISSED.items() <= hole.tags.items() and not MISSED.items() <= night.tags.items()
    assert hole.asset_selection is None and hole.run_key != night.run_key


def test_holes_are_ranges_from_the_oldest_on(instance):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day not in (3, 4, 9)])
    assert asked_for(_night(instance, 20)) == [
        ("2025-05-03", "2025-05-04"),
        ("2025-05-09", "2025-05-09"),
        ("2025-05-17", "2025-05-20"),
    ]


def test_a_full_history_leaves_the_night_alone(instance):
    made(instance, jobs.INGEST, window(1, 20).days())
    assert asked_for(_night(instance, 20)) == [("2025-05-17", "2025-05-20")]


def test_a_new_instance_asks_for_no_history(instance):
    assert asked_for(_night(instance, 20)) == [("2025-05-17", "2025-05-20")]
    made(instance, jobs.INGEST, window(17, 20).days())
    assert asked_for(_night(instance, 21)) == [("2025-05-18", "2025-05-21")]


def test_a_day_that_is_in_bronze_and_not_in_gold_is_a_hole(instance):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day != 5])
    made(instance, jobs.INGEST, [MAY[4]], leave_out=gold.TABLES)
    assert asked_for(_night(instance, 20))[0] == ("2025-05-05", "2025-05-05")


def test_a_day_that_was_read_again_and_not_made_again_is_a_hole(instance):
    """The night of the 8th read 5 … 8 once more and failed after bronze: gold holds what an earlier night had read."""
    made(instance, jobs.INGEST, window(1, 20).days())
    made(instance, jobs.INGEST, window(5, 8).days(), leave_out=tuple(set(_days_of_ingest()) - set(bronze.TABLES)))
    assert asked_for(_night(instance, 20))[0] == ("2025-05-05", "2025-05-08")


def _days_of_ingest():
    return jobs.partitioned(jobs.INGEST)


def test_demand_made_again_alone_is_no_hole(instance):
    made(instance, jobs.INGEST, window(1, 20).days())
    others = tuple(table for table in _days_of_ingest() if table not in jobs.DEMAND)
    made(instance, jobs.INGEST, window(5, 8).days(), leave_out=others)
    assert len(_night(instance, 20)) == 1


def test_a_table_that_a_release_adds_has_no_past_to_miss(instance):
    new = gold.SALES_SUMMARY
    made(instance, jobs.INGEST, window(1, 16).days(), leave_out=(new,))
    made(instance, jobs.INGEST, window(17, 20).days())
    assert len(_night(instance, 20)) == 1


def test_one_night_makes_up_the_newest_month_and_no_more(instance):
    made(instance, jobs.INGEST, Window(FIRST, dt.date(2025, 2, 1)).days())
    hole, night = _night(instance, 20)
    assert asked_for([hole, night]) == [("2025-04-16", "2025-05-16"), ("2025-05-17", "2025-05-20")]
    assert missed.MOST_DAYS == 31


def test_days_that_a_run_is_about_are_not_asked_for_twice(instance):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day not in (3, 5)])
    under_way(instance, jobs.INGEST, window(2, 3))
    assert asked_for(_night(instance, 20))[0] == ("2025-05-05", "2025-05-05")


def test_a_failed_run_that_dagster_tries_again_counts_as_under_way(instance):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day not in (3, 5)])
    run = ended(instance, jobs.INGEST, window(3, 3), fails="transient").dagster_run
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert asked_for(_night(instance, 20))[0] == ("2025-05-05", "2025-05-05")
    instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    assert asked_for(_night(instance, 20))[0] == ("2025-05-03", "2025-05-03")


@pytest.mark.parametrize(
    ("failures", "asked"),
    [
        (["permanent"], [("2025-05-03", "2025-05-03"), ("2025-05-04", "2025-05-04")]),
        (["permanent"] * 3, []),
        (["transient"] * 4, [("2025-05-03", "2025-05-04")]),
        (["permanent", "transient", "permanent"], [("2025-05-03", "2025-05-03"), ("2025-05-04", "2025-05-04")]),
    ],
    ids=["alone after a failure", "given up after three", "what passes does not count", "mixed"],
)
def test_missed_days_that_fail_come_alone_and_then_no_more(instance, failures, asked):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day not in (3, 4)])
    for failure in failures:
        ended(instance, jobs.INGEST, window(3, 4), fails=failure, tags=MISSED)
    assert asked_for(_night(instance, 20))[:-1] == asked


def test_a_failed_night_is_no_try_of_its_missed_days(instance):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day not in (3, 4)])
    for _ in range(4):
        ended(instance, jobs.INGEST, window(1, 4), fails="permanent", tags=NIGHT)
    assert asked_for(_night(instance, 20))[0] == ("2025-05-03", "2025-05-04")


def test_each_night_asks_with_keys_of_its_own(instance):
    made(instance, jobs.INGEST, [day for day in window(1, 20).days() if day.day != 3])
    keys = [request.run_key for closed in (20, 21) for request in _night(instance, closed)]
    assert len(set(keys)) == len(keys) == 4


def _published(instance: dg.DagsterInstance, days: Window, tags: dict[str, str], **settings) -> list[dg.RunRequest]:
    """What follows from a successful ingest of the days."""
    done = ended(instance, jobs.INGEST, days, tags=tags)
    sensor = publish_after_ingest(Settings(start_date=FIRST, **settings))
    event = next(e for e in done.all_events if e.event_type is dg.DagsterEventType.RUN_SUCCESS)
    with dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=done.dagster_run
    ) as context:
        return sensor(context)


def test_a_good_night_publishes_the_missed_days_and_then_its_own(instance):
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, window(1, 9).days())
    late, newest = _published(instance, window(11, 14), NIGHT)
    assert asked_for([late, newest]) == [("2025-05-10", "2025-05-13"), ("2025-05-14", "2025-05-14")]
    assert late.asset_selection is None and newest.asset_selection is None
    assert MISSED.items() <= late.tags.items() and late.tags[LATE_TAG].startswith("asked for 20")
    assert LATE_TAG not in newest.tags


def test_a_made_up_day_is_published_while_its_night_still_waits(instance):
    made(instance, jobs.INGEST, window(1, 10).days())
    made(instance, jobs.PUBLISH, window(1, 9).days())
    [late] = _published(instance, window(10, 10), {**NIGHT, **MISSED})
    assert asked_for([late]) == [("2025-05-10", "2025-05-10")]


def test_the_plan_of_a_night_asked_for_again_says_that_it_is_late(instance):
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, window(1, 13).days())
    newest, score = _published(instance, window(11, 14), AGAIN)
    assert newest.partition_key == "2025-05-14" and newest.tags[LATE_TAG].endswith(" UTC")
    assert score.asset_selection == [dg.AssetKey(["forecast", "forecast_accuracy"])]


def test_a_forecast_that_stands_is_not_made_again(instance):
    """The night of the 10th failed between forecast and plan: the forecast went out live."""
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, [day for day in window(1, 13).days() if day.day not in (10, 12)])
    rest = tuple(table for table in jobs.partitioned(jobs.PUBLISH) if table not in DAILY_FORECASTS)
    made(instance, jobs.PUBLISH, [MAY[9]], leave_out=rest)
    finish, fresh, newest, _ = _published(instance, window(11, 14), NIGHT)
    assert asked_for([finish, fresh, newest]) == [("2025-05-10",) * 2, ("2025-05-12",) * 2, ("2025-05-14",) * 2]
    made_again = {key.to_user_string() for key in finish.asset_selection}
    assert "inventory/replenishment_plan" in made_again
    assert not made_again & {table.path for table in DAILY_FORECASTS}
    assert fresh.asset_selection is None


def test_missed_plans_go_back_as_far_as_the_setting(instance):
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, window(1, 4).days())
    late, newest = _published(instance, window(11, 14), NIGHT, forecast_backfill_days=3)[:2]
    assert asked_for([late, newest]) == [("2025-05-12", "2025-05-13"), ("2025-05-14", "2025-05-14")]


def test_a_new_instance_publishes_its_newest_day_only(instance):
    made(instance, jobs.INGEST, window(11, 14).days())
    newest, score = _published(instance, window(11, 14), NIGHT)
    assert asked_for([newest, score]) == [("2025-05-14",) * 2, ("2025-05-11", "2025-05-14")]


def test_a_day_that_is_published_or_being_published_is_not_asked_for(instance):
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, [day for day in window(1, 13).days() if day.day != 10])
    under_way(instance, jobs.PUBLISH, window(10, 10))
    under_way(instance, jobs.PUBLISH, window(14, 14))
    [score] = _published(instance, window(11, 14), NIGHT)
    assert score.run_key.startswith("score")


def test_a_bad_day_stops_neither_the_plan_of_the_newest_nor_its_neighbours(instance):
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, window(1, 9).days())
    ended(instance, jobs.PUBLISH, window(10, 12), fails="permanent", tags=MISSED)
    *late, newest = _published(instance, window(11, 14), NIGHT)
    assert asked_for(late) == [(f"2025-05-{n}",) * 2 for n in (10, 11, 12, 13)]
    assert newest.partition_key == "2025-05-14"


def test_nothing_is_published_twice_by_two_successes(instance):
    made(instance, jobs.INGEST, window(1, 14).days())
    made(instance, jobs.PUBLISH, window(1, 9).days())
    first = _published(instance, window(11, 14), NIGHT)
    second = _published(instance, window(11, 14), NIGHT)
    assert not {r.run_key for r in first} & {r.run_key for r in second}, "a plan that failed may be asked for again"


FOUR_WEEKS_BEFORE = dt.date(2025, 4, 21)


def _training(instance: dg.DagsterInstance):
    """Monday, 19 May."""
    return _tick("weekly_training", instance, dt.datetime(2025, 5, 19, 5))


def test_a_training_waits_for_its_sunday(instance):
    made(instance, jobs.INGEST, [FOUR_WEEKS_BEFORE])
    made(instance, jobs.INGEST, window(1, 17).days())
    skipped = _training(instance)
    assert skipped.skip_message == (
        "The training of 2025-05-19 waits for 2025-05-18: it is made when these days are ingested, and the version in "
        "force serves until then."
    )
    made(instance, jobs.INGEST, [MAY[17]])
    assert _training(instance).partition_key == "2025-05-19"


def test_a_training_waits_for_four_weeks_of_history(instance):
    made(instance, jobs.INGEST, window(1, 18).days())
    assert _training(instance).skip_message == (
        "The training of 2025-05-19 needs 28 days of history before it, which begins on 2025-05-01: the first training "
        "is that of 2025-06-02, and the seasonal naive serves until then."
    )
    made(instance, jobs.INGEST, [FOUR_WEEKS_BEFORE])
    assert _training(instance).partition_key == "2025-05-19"


def test_a_training_does_not_wait_for_a_day_that_nobody_asks_for_again(instance):
    made(instance, jobs.INGEST, [FOUR_WEEKS_BEFORE])
    made(instance, jobs.INGEST, [day for day in window(1, 18).days() if day.day != 14])
    assert _training(instance).skip_message.startswith("The training of 2025-05-19 waits for 2025-05-14")
    for _ in range(3):
        ended(instance, jobs.INGEST, window(14, 14), fails="permanent", tags=MISSED)
    assert _training(instance).partition_key == "2025-05-19"


def test_a_cancelled_night_is_read_by_the_next(instance):
    made(instance, jobs.INGEST, window(1, 9).days())
    cancelled(instance, jobs.INGEST, window(7, 10))
    assert asked_for(_night(instance, 14))[0] == ("2025-05-10", "2025-05-10")
