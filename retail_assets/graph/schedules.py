"""When things run by themselves: every night the trailing and the missed days, every Monday the training, every
Sunday at noon, between the nights, the maintenance of the lake.

Publishing has no clock: it follows the success of the nightly ingest (sensors.py). What fails or is missed between two
nights is asked for again by make_up.py.
"""

from datetime import date, time, timedelta

import dagster as dg

from retail_assets.demand.short_history import training_monday
from retail_assets.graph import jobs
from retail_assets.nights import missed
from retail_assets.nights.missed_alerts import days_sentence
from retail_assets.nights.requests import ingests_of_missed, training_of
from retail_assets.runs.run_tags import range_tags
from retail_assets.settings import Settings
from retail_assets.windows import MIN_TRAINING_DAYS, ONE_DAY, Window

NIGHTLY, TRAINING, MAINTENANCE = "nightly_ingest", "weekly_training", "weekly_maintenance"

NIGHTLY_AT, TRAINING_AT = time(2), time(5)
_NIGHTLY, _WEEKLY, _SUNDAYS = f"0 {NIGHTLY_AT.hour} * * *", f"0 {TRAINING_AT.hour} * * 1", "0 12 * * 0"
_MEANINGS = {
    NIGHTLY: "Every night: reads yesterday and the trailing days from the source and refines them to gold, after the "
    "days that earlier nights missed. Publishing follows its success.",
    TRAINING: "Every Monday: trains the forecasting model on the days before the week, once they are ingested.",
    MAINTENANCE: "Every Sunday at noon: expires, compacts and vacuums the tables of the lake.",
}


def trailing(day: date, *, trailing_days: int, first_date: date) -> Window:
    """The day and the days before it that are read again for late and corrected lines."""
    return Window(max(day - timedelta(days=trailing_days), first_date), day)


def _missed_before(instance: dg.DagsterInstance, window: Window, settings: Settings) -> list[date]:
    """Missed days that the night's own window does not read, those that may be asked for."""
    if settings.first_date >= window.first:
        return []
    missing = missed.ingested(instance).missing(Window(settings.first_date, window.first - ONE_DAY))
    return missed.open_days(instance, jobs.INGEST, missing)


def schedules(settings: Settings, timezone: str) -> list[dg.ScheduleDefinition]:
    """The nightly and the weekly schedules, in the stores' time zone."""

    @dg.schedule(
        name=NIGHTLY,
        description=_MEANINGS[NIGHTLY],
        job_name=jobs.INGEST,
        cron_schedule=_NIGHTLY,
        execution_timezone=timezone,
    )
    def nightly_ingest(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        closed = context.scheduled_execution_time.date() - ONE_DAY
        window = trailing(closed, trailing_days=settings.trailing_days, first_date=settings.first_date)
        days = _missed_before(context.instance, window, settings)
        if days:
            context.log.warning(f"Days that earlier nights missed are made up before the night: {days_sentence(days)}.")
        before = ingests_of_missed(context.instance, days, asked=f"with {closed}")
        return [*before, dg.RunRequest(run_key=f"ingest {closed}", tags=range_tags(window))]

    @dg.schedule(
        name=TRAINING,
        description=_MEANINGS[TRAINING],
        job_name=jobs.TRAIN,
        cron_schedule=_WEEKLY,
        execution_timezone=timezone,
    )
    def weekly_training(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        monday = context.scheduled_execution_time.date()
        known = missed.ingested(context.instance)
        if known.first is not None and (monday - known.first).days < MIN_TRAINING_DAYS:
            return dg.SkipReason(
                f"The training of {monday} needs {MIN_TRAINING_DAYS} days of history before it, which begins on "
                f"{known.first}: the first training is that of {training_monday(known.first, MIN_TRAINING_DAYS)}, and "
                "the seasonal naive serves until then."
            )
        awaited = missed.awaited_days(context.instance, known, monday)
        if awaited:
            return dg.SkipReason(
                f"The training of {monday} waits for {days_sentence(awaited)}: it is made when these days are "
                "ingested, and the version in force serves until then."
            )
        return training_of(monday)

    @dg.schedule(
        name=MAINTENANCE,
        description=_MEANINGS[MAINTENANCE],
        job_name=jobs.MAINTAIN,
        cron_schedule=_SUNDAYS,
        execution_timezone=timezone,
    )
    def weekly_maintenance(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"maintain {context.scheduled_execution_time.date()}")

    return [nightly_ingest, weekly_training, weekly_maintenance]
