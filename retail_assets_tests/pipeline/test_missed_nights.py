"""A source that is away for four nights, then the good night: what the schedule and the sensor ask for is run."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import pytest

from retail_assets.graph.build import build_definitions
from retail_assets.graph.wiring import resources_of
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import bronze, forecast, gold, inventory, silver
from retail_assets.tables.contract import Table
from retail_assets_tests.dagster.night_records import Tick, asked_for
from retail_assets_tests.pipeline.shop import LAST, Shop

DAYS = 36
FIRST = LAST - dt.timedelta(days=DAYS - 1)
AWAY = [LAST - dt.timedelta(days=n) for n in (4, 3, 2, 1)]
"""Days whose own night fails; the trailing days of the good night reach back to the second of them."""

NIGHT = {"dagster/schedule_name": "nightly_ingest"}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Nights:
    """The schedule, the publishing after it, and their runs, in this process on the shop's own instance."""

    def __init__(self, shop: Shop, instance: dg.DagsterInstance) -> None:
        self.shop, self.instance = shop, instance
        settings = Settings(
            home=shop.folder / "home",
            source_url=f"sqlite:///{shop.source}",
            start_date=shop.first,  # pyright: ignore
        )
        self.resources = resources_of(settings, load_mapping(settings.source_mapping))
        self.definitions = build_definitions(settings, overrides=self.resources)
        self._schedule = self.definitions.resolve_schedule_def("nightly_ingest")
        self._sensor = self.definitions.resolve_sensor_def("publish_after_ingest")

    def asked(self, closed: dt.date) -> list[dg.RunRequest]:
        """What the schedule asks for in the night that closes the day."""
        at = dt.datetime.combine(closed + dt.timedelta(days=1), dt.time(2), ZoneInfo("Europe/London"))
        with Tick(self.instance, at) as context:
            return self._schedule(context)

    def pass_by(self, closed: dt.date) -> tuple[list[dg.RunRequest], list[dg.RunRequest]]:
        """The night that closes the day: what was asked for to ingest, and to publish after that succeeded."""
        ingests = self.asked(closed)
        plans: list[dg.RunRequest] = []
        for request in ingests:
            done = self._run("ingest", request, NIGHT)
            asked = self._after(done) if done.success else []
            assert all([self._run("publish", plan, {}).success for plan in asked])
            plans += asked
        return ingests, plans

    def _run(self, job: str, request: dg.RunRequest, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={**request.tags, **tags},
            partition_key=request.partition_key,
            asset_selection=request.asset_selection,
            run_config=_QUIET,
            raise_on_error=False,
        )

    def _after(self, done: dg.ExecuteInProcessResult) -> list[dg.RunRequest]:
        event = next(e for e in done.all_events if e.event_type is dg.DagsterEventType.RUN_SUCCESS)
        with dg.build_run_status_sensor_context(
            sensor_name=self._sensor.name,
            dagster_event=event,
            dagster_instance=self.instance,
            dagster_run=done.dagster_run,
        ) as context:
            return self._sensor(context)


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """A shop whose nights worked until four days before its newest."""
    (tmp_path / "shop").mkdir()
    shop = Shop(tmp_path / "shop", first=FIRST)
    shop.live_to(LAST)
    shop.succeed("--to", str(AWAY[0] - dt.timedelta(days=1)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")
    with dg.DagsterInstance.from_config(str(shop.home / "dagster")) as instance:
        nights = Nights(shop, instance)
        with closing(nights.resources["engine"]):
            yield nights


def _days(shop: Shop, table: Table) -> set[dt.date]:
    rows = shop.rows(table)
    days = duckdb.sql(f"SELECT DISTINCT {table.partition_column} FROM rows").fetchall()
    assert rows.num_rows
    return {day for (day,) in days}


def test_four_nights_without_a_source_are_all_made_up_by_the_fifth(nights):
    shop, away = nights.shop, nights.shop.source.with_suffix(".away")
    plans_before = _days(shop, inventory.REPLENISHMENT_PLAN)
    shop.source.rename(away)
    for closed in AWAY:
        ingests, plans = nights.pass_by(closed)
        assert plans == [] and ingests[-1].tags
    assert not _days(shop, gold.DEMAND_DAILY) & set(AWAY)

    away.rename(shop.source)
    ingests, plans = nights.pass_by(LAST)
    hole = str(AWAY[0])
    assert asked_for(ingests) == [(hole, hole), (str(AWAY[1]), str(LAST))]
    assert asked_for(plans) == [(hole, hole), (str(AWAY[1]), str(AWAY[-1])), (str(LAST), str(LAST))]

    wanted = {*AWAY, LAST}
    for table in (bronze.INVENTORY, silver.INVENTORY, gold.FACT_INVENTORY, gold.DEMAND_DAILY):
        assert wanted <= _days(shop, table), table.path
    for table in (forecast.DEMAND_FORECAST, inventory.REPLENISHMENT_PLAN, inventory.INVENTORY_HEALTH):
        assert _days(shop, table) == plans_before | wanted, table.path
    with duckdb.connect(str(shop.home / "warehouse.duckdb"), read_only=True) as warehouse:
        loaded = warehouse.execute("SELECT DISTINCT as_of_date FROM retail.replenishment_plan").fetchall()
    assert wanted <= {day for (day,) in loaded}
    assert asked_for(nights.asked(LAST)) == [(str(LAST - dt.timedelta(days=3)), str(LAST))], "nothing is missing"
