"""What a night asks Dagster for: runs of missed days, of plans that were not made, of the week's training.

Builds run requests from what is missing; which moment asks for them belongs to schedules and sensors.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from retail_assets.graph import jobs
from retail_assets.nights import missed
from retail_assets.runs.run_tags import AGAIN, LATE_TAG, MISSED, range_tags, window_of
from retail_assets.settings import Settings
from retail_assets.tables.contract import Table
from retail_assets.tables.forecast import DAILY_FORECASTS, FORECAST_ACCURACY
from retail_assets.windows import Window


def ingests_of_missed(instance: dg.DagsterInstance, days: Sequence[date], *, asked: str) -> list[dg.RunRequest]:
    """Runs that ingest missed days, the oldest first.

    Args:
        instance: knows which days failed before.
        days: the missed days.
        asked: makes the keys of these runs unlike those of another time.
    """
    return [
        dg.RunRequest(run_key=f"ingest {window} {asked}", tags={**range_tags(window), **MISSED})
        for window in missed.windows_to_ask(instance, jobs.INGEST, days)
    ]


def plans_of(
    instance: dg.DagsterInstance, days: Sequence[date], *, asked: str, tags: dict[str, str]
) -> list[dg.RunRequest]:
    """Runs that publish the as-of dates, the oldest first; a forecast that stands is not made again."""
    stands = missed.materialised_days(instance, DAILY_FORECASTS)
    runs = [
        run
        for window in missed.windows_to_ask(instance, jobs.PUBLISH, days)
        for run in missed.unpublished(list(window.days()), stands=stands)
    ]
    return [_publish(window, tables, asked=asked, tags=tags) for window, tables in sorted(runs, key=_first_day)]


def _first_day(run: tuple[Window, tuple[Table, ...]]) -> date:
    return run[0].first


def _publish(window: Window, tables: Sequence[Table], *, asked: str, tags: dict[str, str]) -> dg.RunRequest:
    is_day = window.first == window.last
    return dg.RunRequest(
        run_key=f"publish {window} {asked}",
        partition_key=str(window.first) if is_day else None,
        tags=tags if is_day else {**range_tags(window), **tags},
        asset_selection=[dg.AssetKey(table.asset_key) for table in tables] or None,
    )


def late_tags() -> dict[str, str]:
    return {LATE_TAG: f"asked for {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}


def published_after(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> Iterator[dg.RunRequest]:
    """After an ingest: the plans of missed days, the plan of a night's newest day, and the scores of re-read days."""
    window = window_of(run)
    if window is None:
        return
    asked, is_night = f"after {run.run_id}", not MISSED.items() <= run.tags.items()
    newest = [window.last] if is_night else []
    plans = missed.missing_plans(instance, missed.ingested(instance), backfill_days=settings.forecast_backfill_days)
    late = missed.open_days(instance, jobs.PUBLISH, set(plans) - set(newest))
    yield from plans_of(instance, late, asked=asked, tags={**MISSED, **late_tags()})
    done = missed.planned(instance).days | missed.busy_days(instance, jobs.PUBLISH)
    newest = [day for day in newest if day not in done]
    tags = late_tags() if AGAIN.items() <= run.tags.items() else {}
    yield from plans_of(instance, newest, asked=asked, tags=tags)
    if not set(window.days()) <= {*late, *newest}:
        yield dg.RunRequest(
            run_key=f"score {window} {asked}",
            tags=range_tags(window),
            asset_selection=[dg.AssetKey(FORECAST_ACCURACY.asset_key)],
        )


def training_of(monday: date, *, asked: str = "") -> dg.RunRequest:
    """The training of the week that begins on the Monday."""
    return dg.RunRequest(run_key=f"train {monday} {asked}".strip(), partition_key=monday.isoformat())
