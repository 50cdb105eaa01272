"""A code location with two tiny jobs named like the nightly ones, and the executor, alerts and tags of the real one.

Belongs to test_lost_worker.py, which starts it as a server of its own: the folder NIGHT_FOLDER is its outside world.
A file asked-DAY asks for the night of that day; while the file hang-JOB exists, a run of the job says that it began
(began-JOB) and waits.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from retail_assets.graph import jobs
from retail_assets.graph.schedules import range_tags
from retail_assets.graph.sensors import alert_on_cancellation, alert_on_failure
from retail_assets.nights.requests import published_after
from retail_assets.resources.notifier import Notifier
from retail_assets.runs.heartbeat import in_process_with_heartbeat
from retail_assets.settings import Settings
from retail_assets.windows import Window

FOLDER = Path(os.environ["NIGHT_FOLDER"])
DAYS = dg.DailyPartitionsDefinition("2026-01-01")
POLICY = dg.BackfillPolicy.single_run()


def _work(job: str) -> None:
    while (FOLDER / f"hang-{job}").exists():
        (FOLDER / f"began-{job}").touch()
        time.sleep(0.2)


@dg.asset(partitions_def=DAYS, backfill_policy=POLICY)
def read() -> None:
    _work(jobs.INGEST)


@dg.asset(partitions_def=DAYS, backfill_policy=POLICY)
def forecast() -> None: ...


@dg.asset(partitions_def=DAYS, backfill_policy=POLICY, deps=[forecast], pool="source")
def plan() -> None:
    _work(jobs.PUBLISH)


ingest = dg.define_asset_job(jobs.INGEST, [read])
publish = dg.define_asset_job(jobs.PUBLISH, [forecast, plan])


@dg.sensor(job=ingest, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def nights() -> Iterator[dg.RunRequest]:
    """In the place of the clock: a night with the tags of the schedule."""
    for file in sorted(FOLDER.glob("asked-*")):
        day = DAYS.time_window_for_partition_key(file.name.removeprefix("asked-")).start.date()
        tags = {"dagster/schedule_name": "nightly_ingest", **range_tags(Window(day, day))}
        yield dg.RunRequest(run_key=str(day), tags=tags)


@dg.run_status_sensor(
    name="publish_after_ingest",
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[ingest],
    request_job=publish,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=1,
)
def publish_tiny(context: dg.RunStatusSensorContext) -> list[dg.RunRequest]:
    return list(published_after(context.instance, context.dagster_run, Settings(home=FOLDER)))


defs = dg.Definitions(
    assets=[read, forecast, plan],
    jobs=[ingest, publish],
    sensors=[nights, publish_tiny, alert_on_failure, alert_on_cancellation],
    resources={"notifier": Notifier(os.environ["NIGHT_WEBHOOK"])},
    executor=in_process_with_heartbeat,
)
