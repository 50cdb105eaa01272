"""Orders above everything a product sold, and discounts deeper than any: named, and not ordered without a planner."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.inventory.experience import SalesSoFar
from retail_assets.inventory.order_levels import Caps, OrderLevels
from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.plan.rows import BEYOND_DISCOUNTS, BEYOND_SALES
from retail_assets.inventory.replay.replay import Replay
from retail_assets.inventory.replay.world import ReplayInputs
from retail_assets_tests.unit.inventory.test_order_levels import ordered_by_the_plan
from retail_assets_tests.unit.inventory.test_plan import AS_OF, DAY, FORECASTS, only_row, retailer
from retail_assets_tests.unit.replay_frames import poisson_retailer


def past(sold: float = 7.0, days: float = 330.0, deepest: float = 0.2) -> pd.DataFrame:
    names = {"sold_units": sold, "stock_days": days, "deepest_discount_rate": deepest}
    return pd.DataFrame([{"store_id": "S", "product_id": "P"} | names])


def promotion(days: int, rate: float) -> pd.DataFrame:
    keys = {"store_id": "S", "product_id": "P"}
    return pd.DataFrame([keys | {"business_date": AS_OF + DAY * days, "discount_rate": rate}])


def planned(*, stock: float = 0.0, mean: float = 20.0, **given: Any) -> dict[str, Any]:
    """The line of a product that sold 7 units once in eleven months and is expected to sell `mean` a day."""
    names = ("past_sales", "promotions")
    known: dict[str, Any] = {"past_sales": past()} | {name: given.pop(name) for name in names if name in given}
    case = retailer(stock={"P": stock}, means={"P": mean}, **given)
    return only_row(replenishment_plan(PlanInputs(**case, **known)))


def test_an_order_above_everything_sold_is_a_pack_an_exception_and_says_both_numbers():
    free, row = planned(past_sales=None), planned()
    assert free["order_units"] > 70 and free["exception"] == row["exception"].replace(f"; {BEYOND_SALES}", "")
    assert row["order_units"] == row["qty_after_cap_units"] == 1
    assert row["qty_after_pack_units"] == free["order_units"], "the order wanted stays visible"
    assert row["qty_need_units"] == free["qty_need_units"]
    wanted = f"{free['order_units']:.0f}"
    assert f"{wanted} packs of 1 = {wanted}, 1 without a planner;" in row["reason"]
    assert row["reason"].split(f" {wanted} is more")[1].startswith(" than the 7 sold here in a year: a planner decides")


@pytest.mark.parametrize(
    ("stock", "terms", "ordered", "is_named"),
    [
        (0.0, {"pack_units": 12}, 12, True),
        (6.0, {}, 1, True),
        (7.0, {}, 0, True),
        (13.0, {"pack_units": 12}, 0, True),
        (0.0, {"pack_units": 500}, 500, False),
        (0.0, {"moq_units": 24, "pack_units": 12}, 24, True),
        (0.0, {"presentation_min_units": 30}, 30, True),
        (25.0, {"presentation_min_units": 30}, 5, True),
        (0.0, {"presentation_min_units": 300}, 300, False),
    ],
)
def test_a_pack_a_minimum_and_the_shelf_are_no_demand(stock, terms, ordered, is_named):
    row = planned(stock=stock, **terms)
    assert row["order_units"] == ordered
    assert (BEYOND_SALES in (row["exception"] or "")) == is_named
    assert "maximum leaves no room" not in (row["exception"] or "")


@pytest.mark.parametrize("days", [0.0, 12.0, 27.0])
def test_a_product_without_a_history_with_stock_is_ordered_as_the_forecast_asks(days):
    row = planned(past_sales=past(days=days))
    assert row["order_units"] == planned(past_sales=None)["order_units"]
    assert BEYOND_SALES not in row["exception"]


def test_a_history_speaks_only_of_a_fourth_of_its_days():
    """Ten units in 28 days: an order for 21 days with its safety is no exception."""
    slow = {"mean": 0.4, "lead_time_days": 20, "past_sales": past(sold=10, days=28)}
    row = planned(**slow)
    assert row["order_units"] > 10 and BEYOND_SALES not in (row["exception"] or "")


def test_a_promotion_before_the_next_delivery_explains_the_order_which_is_named():
    row = planned(promotions=promotion(2, 0.2))
    assert row["order_units"] == planned(past_sales=None)["order_units"]
    assert BEYOND_SALES in row["exception"]
    assert row["reason"].endswith("than the 7 sold here in a year: a promotion is planned.")
    assert planned(promotions=promotion(4, 0.2))["order_units"] == 1, "the next delivery comes on day 4"


def test_the_supplier_minimum_is_not_filled_with_what_nobody_buys():
    case = retailer(stock={"A": 0.0, "P": 0.0}, means={"A": 5.0, "P": 20.0}, min_order_value=60)
    free = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    bound = replenishment_plan(PlanInputs(**case, past_sales=past())).set_index("product_id")
    assert free.loc["P", "order_units"] > 70
    assert bound.loc["P", "order_units"] == 1
    assert bound.loc["A", "order_units"] > free.loc["A", "order_units"]


@pytest.mark.parametrize(("rate", "deepest", "is_named"), [(0.9, 0.3, True), (0.304, 0.3, False), (0.25, 0.3, False)])
def test_a_discount_deeper_than_any_is_named_also_where_nothing_is_due(rate, deepest, is_named):
    known: dict[str, Any] = {"past_sales": past(sold=900, deepest=deepest), "promotions": promotion(2, rate)}
    case = retailer(stock={"P": 50.0})
    plan = replenishment_plan(PlanInputs(**case, **known))
    assert len(plan) == is_named
    if is_named:
        row = only_row(plan)
        assert row["exception"] == BEYOND_DISCOUNTS
        assert row["reason"].endswith(
            " A discount of 90% is planned from 2024-03-08: a year of experience reaches 30%, and nobody knows what "
            "deeper ones bring."
        )
    assert replenishment_plan(PlanInputs(**case, past_sales=past(sold=900), promotions=promotion(4, 0.9))).empty


ORDERS = {
    "pack_units": st.integers(1, 24),
    "moq_units": st.none() | st.integers(1, 40),
    "presentation_min_units": st.sampled_from([0, 0, 10, 60]),
    "min_order_value": st.sampled_from([None, 200]),
}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 400),
    st.integers(0, 60),
    st.sampled_from([0.05, 1.4, 20.0]),
    st.floats(0.5, 0.98),
    st.fixed_dictionaries(ORDERS),
)
def test_no_order_exceeds_everything_sold_a_pack_the_line_minimum_or_the_shelf(sold, stock, mean, level, terms):
    case = retailer(stock={"P": float(stock)}, **terms) | {"cumulative": FORECASTS[mean]}
    inputs = PlanInputs(**case, past_sales=past(sold=sold))
    plan = replenishment_plan(inputs, policies=Policies(PlanPolicy(service_level=level)))
    pack, shelf = terms["pack_units"], terms["presentation_min_units"]
    most = max(sold, pack, terms["moq_units"] or 0, shelf - stock)
    assert (plan["order_units"] <= np.ceil(most / pack) * pack).all()
    is_named = plan["exception"].fillna("").str.contains(BEYOND_SALES)
    assert (plan["qty_need_units"] <= np.ceil(max(sold, pack, shelf - stock) / pack) * pack)[~is_named].all()


def test_room_of_an_order_needs_no_sales_to_be_known():
    levels = OrderLevels(np.array([9.0]), np.array([10.0]), Caps(np.array([np.inf]), np.array([8.0])))
    sizes = {"pack_units": np.ones(1), "line_minimum_units": np.zeros(1)}
    assert levels.room(np.zeros(1), **sizes).tolist() == [8]
    unknown = SalesSoFar(np.array([np.inf]), np.zeros(1), np.zeros(1, dtype=bool))
    measured = OrderLevels(levels.trigger, levels.up_to, levels.caps, unknown)
    assert measured.quantities(np.zeros(1), **sizes) == levels.quantities(np.zeros(1), **sizes)


def replayed(**change: Any) -> ReplayInputs:
    """Fourteen series over six weeks, of which the first seven sold two units in the year before."""
    frames = poisson_retailer(14, 42, mean=2.0, horizons=list(range(1, 9)), order_weekdays=[])
    keys = frames["terms"][["store_id", "product_id"]]
    sold = np.where(np.arange(14) < 7, 2.0, 700.0)
    frames["past_sales"] = keys.assign(sold_units=sold, stock_days=330.0, deepest_discount_rate=0.3)
    frames["opening"] = frames["opening"].assign(on_hand_units=np.arange(14.0) % 4)
    frames["terms"] = frames["terms"].assign(shelf_life_days=None, shelf_max_units=None, presentation_min_units=0.0)
    return ReplayInputs(**(frames | change))


def test_plan_and_replay_measure_an_order_by_the_same_sales():
    policies = Policies(PlanPolicy(service_level=0.9))
    inputs = replayed()
    run = next(Replay.of(inputs, policies=policies).runs())
    ordered = pd.Series(run.trace("forecast", 0.9).ordered[:, 0], index=run.world.series)
    plan = ordered_by_the_plan(inputs, policies).reindex(ordered.index, fill_value=0.0)
    assert ordered.to_dict() == plan.to_dict()
    assert inputs.past_sales is not None
    sold = inputs.past_sales.set_index(["store_id", "product_id"])["sold_units"].reindex(ordered.index)
    assert ordered[sold == 2].max() == 1 and ordered[sold == 700].max() > 5


def test_the_replay_learns_what_sells_and_knows_promotions_to_come():
    demand = replayed().demand
    promoted = demand["business_date"] == demand["business_date"].min() + timedelta(days=29)
    base, changed = (
        next(Replay.of(replayed(demand=demand.assign(**more))).runs()).trace("forecast", 0.9).ordered
        for more in ({}, {"discount_rate": np.where(promoted, 0.2, 0.0)})
    )
    run = next(Replay.of(replayed()).runs())
    first = run.world.sold_so_far[:, 0]
    np.testing.assert_array_equal(run.world.sold_so_far[:, 7], first + run.world.demand[:, :7].sum(axis=1))
    assert base[first == 2, 0].max() == 1 and changed[first == 2, 0].max() > 2
    assert base[first == 2, 14:].max() > 1, "two weeks later enough was sold"
