"""A night with terms of supply the demo does not have: too long a lead time, no order days, a fill rate.

The first run of that night must stop; the second follows the advice of its one sentence.
"""

import datetime as dt
import re
import subprocess
from dataclasses import dataclass

import pyarrow.compute as pc
import pytest

from retail_assets.tables import forecast, gold, inventory
from retail_assets_tests.pipeline.shop import LAST, Shop

NIGHT = LAST + dt.timedelta(days=1)
LEAD_DAYS = 30
POLICIES = """
default: {receipt_delay_days: 1}
stores:
  S001: {service_measure: fill}
"""
ASSUMED_DAILY = "No order days of the supplier are known: taken as every day."


@dataclass(frozen=True)
class Night:
    """Both runs, and the days that tables had between them."""

    refused: subprocess.CompletedProcess[str]
    days_then: dict[str, set[dt.date]]
    printed: str
    shop: Shop

    @property
    def plan(self) -> list[dict]:
        rows = self.shop.rows(inventory.REPLENISHMENT_PLAN)
        return rows.filter(pc.field("as_of_date") == NIGHT).to_pylist()


@pytest.fixture(scope="module")
def night(finished: Shop, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """SUP5 takes 30 days from now on, and only SUP1 has order days left."""
    shop = finished.copy(tmp_path_factory.mktemp("unusual") / "shop")
    shop.live_to(NIGHT)
    shop.sql(
        f"UPDATE supplier SET lead_time_days = {LEAD_DAYS} WHERE supplier_id = 'SUP5'",
        "DELETE FROM supplier_order_day WHERE supplier_id <> 'SUP1'",
    )
    policies = shop.folder / "policies.yaml"
    policies.write_text(POLICIES, encoding="utf-8")
    refused = shop.run(RETAIL_POLICIES=str(policies))
    tables = (gold.FACT_SALES, forecast.DEMAND_FORECAST, inventory.REPLENISHMENT_PLAN)
    days_then = {table.path: set(shop.rows(table).column(table.partition_column).to_pylist()) for table in tables}
    wanted = re.search(r"RETAIL_HORIZON_DAYS to at least (\d+)", refused.stderr)
    assert wanted, refused.stderr
    done = shop.run(RETAIL_POLICIES=str(policies), RETAIL_HORIZON_DAYS=wanted[1])
    assert done.returncode == 0, done.stderr[-2000:]
    return Night(refused, days_then, done.stdout, shop)


def test_a_lead_time_beyond_the_forecast_stops_the_night_with_one_sentence(night):
    assert night.refused.returncode == 2
    said = re.fullmatch(
        rf"publish {NIGHT}, forecasts: The forecast of 28 days is too short for supplier SUP5: with a lead time of "
        rf"{LEAD_DAYS} days an order must cover (\d+) days( and deliveries were up to (\d+) days late)?; "
        r"set RETAIL_HORIZON_DAYS to at least (\d+)\.\n",
        night.refused.stderr,
    )
    assert said, night.refused.stderr
    # ordered daily: the day after tomorrow's order comes 30 days later, and is sold a day after that
    assert int(said[1]) == LEAD_DAYS + 2
    assert int(said[4]) == int(said[1]) + int(said[3] or 0)


def test_what_came_before_the_stop_is_kept_and_nothing_is_half_published(night):
    assert NIGHT in night.days_then[gold.FACT_SALES.path]
    for table in (forecast.DEMAND_FORECAST, inventory.REPLENISHMENT_PLAN):
        assert max(night.days_then[table.path]) == LAST


def test_the_forecast_keeps_the_horizons_that_the_policies_need(night):
    rows = night.shop.rows(forecast.CUMULATIVE_FORECAST).filter(pc.field("as_of_date") == NIGHT)
    horizons = set(rows["horizon_days"].to_pylist())
    computed = [line for line in night.plan if not line["reason"].startswith("No order could be computed")]
    assert {line["protection_days"] for line in computed} <= horizons
    fills = [line for line in computed if line["service_measure"] == "fill"]
    assert fills
    assert {(line["expected_delivery_date"] - NIGHT).days - 1 for line in fills} <= horizons


def test_the_plan_follows_the_policies(night):
    assert night.plan
    for line in night.plan:
        assert line["service_measure"] == ("fill" if line["store_id"] == "S001" else "cycle")
        assert (line["expected_delivery_date"] - line["order_date"]).days == line["lead_time_days"] + 1


def test_ordered_lines_and_the_report_say_where_daily_ordering_is_assumed(night):
    ordered = [line for line in night.plan if line["order_units"] > 0]
    assert any(line["supplier_id"] != "SUP1" for line in ordered)
    for line in ordered:
        assert line["reason"].endswith(ASSUMED_DAILY) == (line["supplier_id"] != "SUP1"), line
    assert not any("order days" in (line["exception"] or "") for line in night.plan)
    named = sorted(row[0] for row in night.shop.sql("SELECT DISTINCT supplier_id FROM product_supplier"))
    daily = [supplier for supplier in named if supplier != "SUP1"]
    notes = [line for line in night.printed.splitlines() if line.startswith("Note: ") and "order days" in line]
    assert notes == [
        f"Note: {len(daily)} of {len(named)} suppliers without order days for some store or all, where orders are "
        f"planned for every day: {', '.join(daily)}."
    ]
