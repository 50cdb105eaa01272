"""When things run by themselves: every night the trailing days, every Monday the training, every
Sunday at noon, between the nights, the maintenance of the lake.

Publishing has no clock: it follows the success of the nightly ingest (sensors.py).
"""

from datetime import date, timedelta

import dagster as dg

from retail_assets import jobs
from retail_assets.settings import Settings
from retail_assets.windows import Window

_NIGHTLY, _WEEKLY, _SUNDAYS = "0 2 * * *", "0 5 * * 1", "0 12 * * 0"


RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def range_tags(window: Window) -> dict[str, str]:
    """Tags of one run over a range of daily partitions."""
    return dict(zip(RANGE_TAGS, (window.first.isoformat(), window.last.isoformat()), strict=True))


def trailing(day: date, *, trailing_days: int, first_date: date) -> Window:
    """The day and the days before it that are read again for late and corrected lines."""
    return Window(max(day - timedelta(days=trailing_days), first_date), day)


def schedules(settings: Settings, timezone: str) -> list[dg.ScheduleDefinition]:
    """The nightly and the weekly schedules, in the stores' time zone."""

    @dg.schedule(job_name=jobs.INGEST, cron_schedule=_NIGHTLY, execution_timezone=timezone, name="nightly_ingest")
    def nightly_ingest(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        closed = context.scheduled_execution_time.date() - timedelta(days=1)
        window = trailing(closed, trailing_days=settings.trailing_days, first_date=settings.first_date)
        return dg.RunRequest(run_key=f"ingest {closed}", tags=range_tags(window))

    @dg.schedule(job_name=jobs.TRAIN, cron_schedule=_WEEKLY, execution_timezone=timezone, name="weekly_training")
    def weekly_training(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        monday = context.scheduled_execution_time.date().isoformat()
        return dg.RunRequest(run_key=f"train {monday}", partition_key=monday)

    @dg.schedule(job_name=jobs.MAINTAIN, cron_schedule=_SUNDAYS, execution_timezone=timezone, name="weekly_maintenance")
    def weekly_maintenance(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"maintain {context.scheduled_execution_time.date()}")

    return [nightly_ingest, weekly_training, weekly_maintenance]
