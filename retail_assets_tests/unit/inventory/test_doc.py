"""The worked example of docs/inventory.md: by hand from the Poisson formula, and as the plan says it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retail_assets.inventory.parameters import PlanPolicy
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.replay.replay import POLICY_REPLAY
from retail_assets.tables.inventory import INVENTORY_HEALTH, REPLENISHMENT_PLAN, TRANSFER_PROPOSALS
from retail_assets_tests.unit.inventory.test_plan import only_row, open_lines, retailer

TEXT = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text(encoding="utf-8")
EXAMPLE = TEXT[TEXT.index("## One order by hand") : TEXT.index("## The plan")]


@pytest.fixture(scope="module")
def row():
    case = retailer(stock={"P": 5.0}, pack_units=12)
    case["order_days"] = pd.DataFrame({"supplier_id": "V1", "location_id": "*", "order_weekday": [1, 4]})
    case["open_orders"] = open_lines((1, 2.0))
    return only_row(replenishment_plan(PlanInputs(**case)))


def test_the_plan_says_what_the_table_says(row):
    told = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|$", EXAMPLE, flags=re.MULTILINE))
    assert len(told) > 12
    for column, value in told.items():
        if column.endswith("_date"):
            assert str(row[column]) == value
        else:
            assert float(row[column]) == pytest.approx(float(value)), column
    assert row["reason"] in EXAMPLE


def test_the_numbers_by_hand_are_right():
    demand = stats.poisson(6 * 1.4)
    service = {s: demand.cdf(np.arange(s + 1, s + 13)).mean() for s in (8, 9)}
    assert [f"{value:.3f}" for value in service.values()] == ["0.926", "0.954"]
    assert demand.ppf(0.95) == 13 and demand.cdf(np.arange(13, 25)).mean() > 0.99
    assert f"{demand.cdf(19):.4f}" == "0.9995"
    units = np.arange(100)
    without, with_order = (np.maximum(units - position, 0) @ demand.pmf(units) for position in (7, 19))
    assert f"{without:.2f} {with_order:.3f} {(without - with_order) * 1.5:.2f}" == "1.95 0.001 2.92"
    for number in ("0.926", "0.954", "0.9995", "1.95", "0.001", "2.92"):
        assert number in EXAMPLE


@pytest.mark.parametrize("table", [REPLENISHMENT_PLAN, INVENTORY_HEALTH, TRANSFER_PROPOSALS, POLICY_REPLAY])
def test_what_a_planner_sees_is_explained(table):
    obvious = {"as_of_date", "store_id", "product_id", "supplier_id", "from_store_id", "to_store_id", "pack_units"}
    obvious |= {"unit_cost", "stock_value", "mean_daily_units", "policy", "abc_class", "from_date", "to_date"}
    obvious |= {"series_count", "cycle_count", "qty_after_minimum_units", "qty_after_cap_units"}
    obvious |= {"qty_after_supplier_minimum_units", "mean_stock_value", "lost_margin_value", "wasted_value"}
    obvious |= {"holding_cost_value", "ordering_cost_value"}
    assert [name for name in table.column_names if f"`{name}`" not in TEXT and name not in obvious] == []


@pytest.mark.parametrize("name", PlanPolicy.__dataclass_fields__)
def test_every_parameter_is_explained(name):
    assert f"`{name}`" in TEXT
