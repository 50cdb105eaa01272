"""Backfills from the UI, later days before earlier ones, with the sensor that follows: the tables of one range run."""

import datetime as dt
from collections.abc import Iterable

import dagster as dg
import pytest

from retail_assets.graph import jobs
from retail_assets.graph.build import build_definitions
from retail_assets.graph.schedules import range_tags
from retail_assets.graph.sensors import demand_after_late_days
from retail_assets.settings import load_settings
from retail_assets.tables import gold
from retail_assets.windows import Window
from retail_assets_tests.pipeline.shop import FIRST, LAST, Shop

_LATE = Window(LAST - dt.timedelta(days=5), LAST - dt.timedelta(days=3))
_BEFORE = Window(FIRST, _LATE.first - dt.timedelta(days=1))
_AFTER = Window(_LATE.last + dt.timedelta(days=1), LAST)


@pytest.fixture(scope="module")
def backfilled(source_only: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop's days before and after a gap, and then the gap."""
    shop = source_only.copy(tmp_path_factory.mktemp("backfilled") / "shop")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        for name, value in shop.environment.items():
            patch.setenv(name, value)
        ingest = build_definitions(load_settings()).resolve_job_def(jobs.INGEST)
        for days in (_BEFORE, _AFTER, _LATE):
            done = ingest.execute_in_process(instance=instance, tags=range_tags(days))
            _follow(ingest, done, instance)
    return shop


def _follow(ingest: dg.JobDefinition, done: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> None:
    """What the sensor asks for after the run."""
    context = dg.build_run_status_sensor_context(
        sensor_name="demand_after_late_days",
        dagster_event=done.get_run_success_event(),
        dagster_instance=instance,
        dagster_run=done.dagster_run,
    )
    asked = demand_after_late_days(context)
    for request in asked if isinstance(asked, Iterable) else ():
        ingest.execute_in_process(instance=instance, tags=request.tags, asset_selection=request.asset_selection)


@pytest.mark.parametrize("table", [gold.DEMAND_DAILY, gold.PRODUCT_SEGMENTS], ids=lambda table: table.path)
def test_the_order_of_backfills_changes_nothing(backfilled: Shop, finished: Shop, table) -> None:
    assert backfilled.comparable(table) == finished.comparable(table)
