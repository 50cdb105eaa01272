"""A night with terms the demo does not have: too long a lead time, no order days, a fill rate, ends, two suppliers.

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
WEEK = dt.timedelta(days=7)
END = NIGHT + dt.timedelta(days=2)
LEAD_DAYS = 30
POLICIES = """
default: {receipt_delay_days: 1}
stores:
  S001: {service_measure: fill}
"""
ASSUMED_DAILY = "No order days of the supplier are known: taken as every day."


@dataclass(frozen=True)
class Night:
    """Both runs, and the days that tables had between them.

    `ended` is discontinued two days later, `dropped` leaves the assortment of S001 then; `shared` can also be had from
    SUP1, at nine times the cost.
    """

    refused: subprocess.CompletedProcess[str]
    days_then: dict[str, set[dt.date]]
    printed: str
    shop: Shop
    ended: str
    dropped: str
    shared: str

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
    ended, dropped, shared = _products_that_run_out(shop)
    policies = shop.folder / "policies.yaml"
    policies.write_text(POLICIES, encoding="utf-8")
    refused = shop.run(RETAIL_POLICIES=str(policies))
    tables = (gold.FACT_SALES, forecast.DEMAND_FORECAST, inventory.REPLENISHMENT_PLAN)
    days_then = {table.path: set(shop.rows(table).column(table.partition_column).to_pylist()) for table in tables}
    wanted = re.search(r"RETAIL_HORIZON_DAYS to at least (\d+)", refused.stderr)
    assert wanted, refused.stderr
    done = shop.run(RETAIL_POLICIES=str(policies), RETAIL_HORIZON_DAYS=wanted[1])
    assert done.returncode == 0, done.stderr[-2000:]
    return Night(refused, days_then, done.stdout, shop, ended, dropped, shared)


def _products_that_run_out(shop: Shop) -> list[str]:
    """Three products with nothing on hand: the first two end, the third has two suppliers."""
    going = shop.sql(
        "SELECT product_id FROM product_supplier JOIN product USING (product_id) JOIN supplier USING (supplier_id) "
        f"WHERE supplier_id NOT IN ('SUP1', 'SUP5') "
        f"AND coalesce(discontinued_date, '9999-12-31') > '{NIGHT + 3 * WEEK}' ORDER BY product_id LIMIT 3"
    )
    ended, dropped, shared = (product for (product,) in going)
    among = f"product_id IN ('{ended}', '{dropped}', '{shared}')"
    shop.sql(
        f"UPDATE product SET discontinued_date = '{END}' WHERE product_id = '{ended}'",
        f"UPDATE store_assortment SET valid_to = '{END}' WHERE store_id = 'S001' AND product_id = '{dropped}'",
        "INSERT INTO product_supplier (product_id, supplier_id, pack_units, min_order_units, unit_cost) "
        f"SELECT product_id, 'SUP1', 1, 1, 9 * unit_cost FROM product_supplier WHERE product_id = '{shared}'",
        f"UPDATE stock_closing SET on_hand_units = 0 WHERE business_date = '{NIGHT}' AND {among}",
        f"DELETE FROM purchase_order_line WHERE received_date IS NULL AND {among}",
    )
    return [ended, dropped, shared]


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


def test_nothing_is_expected_or_ordered_beyond_a_known_end(night):
    rows = night.shop.rows(forecast.DEMAND_FORECAST).filter(pc.field("as_of_date") == NIGHT).to_pylist()
    for product, stores in ((night.ended, {"S001", "S002"}), (night.dropped, {"S001"})):
        known = [row for row in rows if row["product_id"] == product and row["store_id"] in stores]
        assert any(row["mean_units"] > 0 for row in known if row["target_date"] <= END)
        assert not any(row["mean_units"] or row["q995"] for row in known if row["target_date"] > END)
        lines = [line for line in night.plan if line["product_id"] == product and line["store_id"] in stores]
        assert {line["store_id"] for line in lines} == stores, "empty shelves are named"
        for line in lines:
            assert line["order_units"] == 0 and f"carried until {END}" in line["exception"], line
    going_on = [line for line in night.plan if line["product_id"] == night.dropped and line["store_id"] == "S002"]
    assert [line["order_units"] > 0 for line in going_on] == [True]


def test_the_cheaper_of_two_suppliers_gets_the_order_and_the_reason_says_why(night):
    lines = [line for line in night.plan if line["product_id"] == night.shared]
    assert lines
    for line in lines:
        assert line["supplier_id"] != "SUP1" and line["order_units"] > 0
        assert f"Ordered from {line['supplier_id']}, the cheapest of 2." in line["reason"]
