"""What a command-line run finds to do, from what the instance knows."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import dagster as dg
import pytest

from retail_assets.command_line.planner import Planner, Step, execute
from retail_assets.graph import jobs
from retail_assets.runs.run_tags import range_tags
from retail_assets.settings import Settings
from retail_assets.tables.contract import Partitioning
from retail_assets.tables.forecast import CUMULATIVE_FORECAST, DEMAND_FORECAST, FORECAST_ACCURACY
from retail_assets.transforms.demand import LOOKBACK_DAYS
from retail_assets.windows import Window

FIRST, LAST = date(2026, 1, 1), date(2026, 6, 30)
ALL = Window(FIRST, LAST)


@dataclass
class KnownRuns:
    """An instance that only remembers: materialised partitions by table path, and the last run of each job."""

    done: dict[str, set[str]] = field(default_factory=dict)
    last: dict[str, dg.DagsterRun] = field(default_factory=dict)

    def get_materialized_partitions(self, key: dg.AssetKey) -> set[str]:
        return self.done.get("/".join(key.path), set())

    def get_latest_storage_id_by_partition(self, key: dg.AssetKey, _kind: dg.DagsterEventType) -> dict[str, int]:
        """Every day was made in one go, bronze first."""
        return dict.fromkeys(self.get_materialized_partitions(key), 1 if key.path[0] == "bronze" else 2)

    def get_runs(self, filters: dg.RunsFilter, limit: int) -> list[dg.DagsterRun]:
        found = self.last.get(str(filters.job_name))
        return [found][:limit] if found else []

    def has_done(self, job: str, window: Window, *, leave_out: tuple = ()) -> None:
        for table in jobs.partitioned(job):
            if table in leave_out:
                continue
            days = window.days()
            wanted = {str(d) for d in days if table.partitioning is Partitioning.DAILY or d.isoweekday() == 1}
            self.done.setdefault(table.path, set()).update(wanted)

    def ended(self, job: str, status: dg.DagsterRunStatus, tags: dict[str, str]) -> None:
        self.last[job] = dg.DagsterRun(job_name=job, status=status, tags=tags)


@pytest.fixture
def known() -> KnownRuns:
    return KnownRuns()


def planner(known: KnownRuns, wanted: Window = ALL, **options: bool) -> Planner:
    return Planner(known, Settings(start_date=FIRST, forecast_backfill_days=56), wanted, **options)  # pyright: ignore


def test_a_first_run_makes_whole_tables_then_days_then_what_follows_from_them(known):
    before, days, after = planner(known).ingests()
    assert (before.window, days.window, after.window) == (None, ALL, None)
    assert {*before.only, *days.only, *after.only} == set(jobs.TABLES_OF_JOB[jobs.INGEST])
    assert before.tags == {} and days.tags == range_tags(ALL)


def test_nothing_is_done_twice(known):
    for job in (jobs.INGEST, jobs.TRAIN, jobs.PUBLISH):
        known.has_done(job, ALL)
        known.ended(job, dg.DagsterRunStatus.SUCCESS, range_tags(ALL))
    found = planner(known)
    assert [found.ingests(), found.trainings(), found.publications()] == [[], [], []]
    assert planner(known, again=True).ingests()


def test_a_new_day_is_read_with_the_days_before_it(known):
    known.has_done(jobs.INGEST, Window(FIRST, LAST - timedelta(days=1)))
    assert planner(known).ingests()[1].window == Window(LAST - timedelta(days=3), LAST)


def test_demand_that_looks_back_on_a_day_ingested_late_is_made_again(known):
    gap = Window(date(2026, 2, 1), date(2026, 2, 3))
    known.has_done(jobs.INGEST, Window(FIRST, gap.first - timedelta(days=1)))
    known.has_done(jobs.INGEST, Window(gap.last + timedelta(days=1), LAST))
    _, days, demand, _ = planner(known).ingests()
    assert days.window == Window(date(2026, 1, 29), gap.last)
    assert demand.only == jobs.DEMAND
    assert demand.window == Window(gap.last + timedelta(days=1), gap.last + timedelta(days=LOOKBACK_DAYS))


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_a_run_that_did_not_succeed_is_made_again(known, status):
    """Its tables without partitions may be missing although every day is there."""
    known.has_done(jobs.INGEST, ALL)
    known.ended(jobs.INGEST, status, range_tags(Window(date(2026, 6, 1), LAST)))
    assert planner(known).ingests()[1].window == Window(date(2026, 5, 29), LAST)


def test_a_failed_run_of_whole_tables_is_made_again_with_the_newest_day(known):
    known.has_done(jobs.INGEST, ALL)
    known.ended(jobs.INGEST, dg.DagsterRunStatus.FAILURE, {})
    assert planner(known).ingests()[1].window == Window(LAST - timedelta(days=3), LAST)


def test_a_standing_forecast_is_finished_without_forecasting_again(known):
    known.has_done(jobs.INGEST, ALL)
    known.has_done(jobs.PUBLISH, Window(FIRST, LAST - timedelta(days=1)))
    for table in (DEMAND_FORECAST, CUMULATIVE_FORECAST):
        known.done[table.path].add(str(LAST))
    finish, score = planner(known).publications()
    assert finish.window == Window(LAST, LAST)
    assert not {DEMAND_FORECAST, CUMULATIVE_FORECAST} & set(finish.only)
    assert score.only == (FORECAST_ACCURACY,)
    assert score.window == Window(LAST - timedelta(days=3), LAST - timedelta(days=1))


def test_restating_forecasts_again(known):
    known.has_done(jobs.INGEST, ALL)
    known.has_done(jobs.PUBLISH, ALL)
    steps = planner(known, again=True, restate=True).publications()
    assert [step.only for step in steps] == [()]
    assert steps[0].window == Window(LAST - timedelta(days=55), LAST)


def test_trainings_go_back_four_weeks_at_a_time_to_the_first_forecast(known):
    known.has_done(jobs.INGEST, ALL)
    mondays = [step.window.first for step in planner(known).trainings()]
    assert mondays == [date(2026, 5, 4), date(2026, 6, 1), date(2026, 6, 29)]
    assert all(step.partition_key for step in planner(known).trainings())


def test_a_training_needs_four_weeks_before_its_monday(known):
    """2026 begins on a Thursday; the first Monday after four weeks is 2 February."""
    short = Window(FIRST, date(2026, 2, 1))
    known.has_done(jobs.INGEST, short)
    assert planner(known, short).trainings() == []
    known.has_done(jobs.INGEST, Window(FIRST, date(2026, 2, 3)))
    (step,) = planner(known, Window(FIRST, date(2026, 2, 3))).trainings()
    assert step.window == Window(date(2026, 2, 2), date(2026, 2, 2))


def test_before_four_weeks_only_the_newest_day_is_forecast_and_none_before_a_week(known):
    for days, wanted in ((20, [date(2026, 1, 20)]), (7, [date(2026, 1, 7)]), (6, [])):
        known.done.clear()
        short = Window(FIRST, date(2026, 1, days))
        known.has_done(jobs.INGEST, short)
        assert [step.window for step in planner(known, short).publications()] == [Window(d, d) for d in wanted]


@pytest.mark.parametrize(
    ("options", "tags"),
    [
        ({}, set()),
        ({"restate": True}, {"retail/restate"}),
        ({"accept_empty": True}, {"retail/accept-empty"}),
    ],
)
def test_what_a_run_may_do_beyond_the_usual_is_a_tag_of_it(known, options, tags):
    class Recorded:
        """Definitions whose job keeps the tags it is started with."""

        success = True

        def get_asset_check_evaluations(self):
            return []

        def resolve_job_def(self, name):
            return self

        def execute_in_process(self, **given):
            self.tags = given["tags"]
            return self

    recorded = Recorded()
    execute(Step(jobs.INGEST, ALL), planner(known, **options), recorded)
    assert {tag for tag in recorded.tags if tag.startswith("retail/")} - {"retail/launched-by"} == tags
