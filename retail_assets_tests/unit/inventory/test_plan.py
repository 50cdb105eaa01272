"""The replenishment plan on small retailers: every step, every exception, and what must hold for any input."""

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retail_assets.failures import PermanentFailure
from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.plan.rows import proposal_id
from retail_assets.inventory.prospects import Prospect
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.tables.inventory import REPLENISHMENT_PLAN

AS_OF = date(2024, 3, 6)  # a Wednesday
DAY = timedelta(days=1)
LEVELS = np.array(list(QUANTILE_LEVELS.values()))
ASSUMED_DAILY = "No order days of the supplier are known: taken as every day."
TERMS: dict[str, Any] = {
    "supplier_id": "V1",
    "pack_units": 1,
    "moq_units": None,
    "shelf_max_units": None,
    "unit_cost": Decimal("2.0000"),
    "shelf_life_days": None,
    "lead_time_days": 2,
    "min_order_value": None,
}


def forecast(means: dict[str, float], horizons: range | list[int] = range(1, 29)) -> pd.DataFrame:
    """Poisson demand a day for each product of store S."""
    rows = []
    for product, mean in means.items():
        for days in horizons:
            truth = stats.poisson(mean * days)
            quantiles = dict(zip(QUANTILE_LEVELS, truth.ppf(LEVELS) if mean else np.zeros(10), strict=True))
            rows.append(("S", product, days, mean * days, float(np.exp(-mean * days)), *quantiles.values()))
    columns = ["store_id", "product_id", "horizon_days", "mean_units", "p_zero", *QUANTILE_LEVELS]
    return pd.DataFrame(rows, columns=columns).astype({name: "float32" for name in QUANTILE_LEVELS})


def retailer(
    *, stock: dict[str, float] | None = None, means: dict[str, float] | None = None, **terms: Any
) -> dict[str, Any]:
    """Arguments of the plan: products with 1.4 units a day unless told, ordered daily, two days of lead time."""
    on_hand = {"P": 5.0} if stock is None else stock
    demand = means or {product: 1.4 for product in on_hand}
    products = list(demand)
    return {
        "as_of": AS_OF,
        "cumulative": forecast(demand),
        "on_hand": pd.DataFrame(
            {"store_id": "S", "product_id": list(on_hand), "on_hand_units": list(on_hand.values())}
        ),
        "open_orders": pd.DataFrame(
            columns=["store_id", "product_id", "supplier_id", "ordered_date", "promised_date", "open_units"]
        ),
        "decisions": pd.DataFrame(
            columns=["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"]
        ),
        "terms": pd.DataFrame([{"store_id": "S", "product_id": product, **TERMS, **terms} for product in products]),
        "order_days": pd.DataFrame(columns=["supplier_id", "order_weekday"]),
        "delays": pd.DataFrame(columns=["supplier_id", "delay_days", "probability"]),
        "prices": pd.DataFrame(
            {"store_id": "S", "product_id": products, "unit_price": Decimal("3.5000"), "unit_step": 1.0}
        ),
    }


def open_lines(*lines: tuple[int, float]) -> pd.DataFrame:
    """Open lines of product P: promised this many days after AS_OF, units."""
    return pd.DataFrame(
        [
            {
                "store_id": "S",
                "product_id": "P",
                "supplier_id": "V1",
                "ordered_date": AS_OF - DAY * 30,
                "promised_date": AS_OF + DAY * days,
                "open_units": units,
            }
            for days, units in lines
        ]
    )


def approved(days: int, units: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "proposal_id": "p",
                "store_id": "S",
                "product_id": "P",
                "order_units": units,
                "expected_delivery_date": AS_OF + DAY * days,
            }
        ]
    )


def order_days(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["supplier_id", "location_id", "order_weekday"])


def only_row(plan: pd.DataFrame) -> dict[str, Any]:
    assert len(plan) == 1
    return plan.iloc[0].to_dict()


def test_daily_ordering_covers_review_and_lead_time():
    row = only_row(replenishment_plan(PlanInputs(**retailer())))
    assert row["order_date"] == AS_OF + DAY
    assert row["expected_delivery_date"] == AS_OF + 3 * DAY
    assert row["next_delivery_date"] == AS_OF + 4 * DAY
    assert row["protection_days"] == 3
    level = stats.poisson.ppf(0.95, 4.2)
    assert row["reorder_point_units"] == level - 1
    assert row["order_units"] == level - 5
    assert row["order_up_to_units"] == level
    assert row["demand_mean_units"] == pytest.approx(4.2)
    assert row["safety_stock_units"] == pytest.approx(level - 4.2)
    assert row["predicted_service_rate"] == pytest.approx(served_on_the_third_day(stock=5, order=level - 5), abs=0.01)
    assert row["exception"] is None


def served_on_the_third_day(*, stock: float, order: float) -> float:
    """By hand: two days empty the shelf at most, then the order comes; who found nothing does not come back."""
    sold_before = np.arange(60)
    left = np.maximum(stock - sold_before, 0) + order
    return float(np.sum(stats.poisson.pmf(sold_before, 2.8) * stats.poisson.cdf(left, 1.4)))


def test_predicted_service_is_the_formula_where_nothing_is_lost_before_the_delivery():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 1.0}, lead_time_days=0))))
    assert row["predicted_service_rate"] == pytest.approx(stats.poisson.cdf(row["order_up_to_units"], 1.4), abs=0.005)


def test_waste_is_expected_and_lowers_the_service():
    """Twelve units received a week ago with eight days of life: what is not sold tomorrow spoils."""
    receipts = pd.DataFrame(
        {"store_id": "S", "product_id": "P", "received_date": [AS_OF - 6 * DAY], "received_units": [12.0]}
    )
    case = retailer(stock={"P": 12.0}, shelf_life_days=8)
    case["order_days"] = pd.DataFrame({"supplier_id": "V1", "location_id": "*", "order_weekday": [1]})
    fresh, old = (only_row(replenishment_plan(PlanInputs(**case, receipts=some))) for some in (None, receipts))
    spoiled = stats.poisson.pmf(np.arange(12), 1.4) @ (12 - np.arange(12))
    assert old["expected_waste_units"] == pytest.approx(spoiled, abs=0.1)
    assert fresh["expected_waste_units"] < 3
    assert old["predicted_service_rate"] < fresh["predicted_service_rate"] - 0.03
    assert "likely to spoil before the next delivery" in old["reason"]


def test_stock_without_receipts_is_fresh_whatever_others_received():
    receipts = pd.DataFrame({"store_id": "S", "product_id": ["B"], "received_date": [AS_OF], "received_units": [1.0]})
    alone = only_row(replenishment_plan(PlanInputs(**retailer(stock={"A": 5.0}, shelf_life_days=8))))
    both = replenishment_plan(PlanInputs(**retailer(stock={"A": 5.0, "B": 1.0}, shelf_life_days=8), receipts=receipts))
    row = both.set_index("product_id").loc["A"]
    assert row["expected_waste_units"] == alone["expected_waste_units"] == 0
    assert row["predicted_service_rate"] == pytest.approx(alone["predicted_service_rate"], abs=0.02)


def test_a_life_of_years_costs_no_more_than_one_of_weeks():
    """Nothing of either spoils before the next delivery, so the days beyond it are one."""
    long, short = (
        only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 5.0}, shelf_life_days=days))))
        for days in (3000, 40)
    )
    assert long == short
    many = Prospect(
        on_hand=np.array([9.0]),
        batches=np.arange(1.0, 3001.0)[None],
        coming=np.zeros((1, 0)),
        promised=np.zeros((1, 0), dtype=np.int64),
        order_units=np.zeros(1),
        arrival=np.array([2]),
        next_arrival=np.array([3]),
        delay_probabilities=np.ones((1, 1)),
        shelf_life_days=np.array([3000.0]),
        daily_mean=np.ones((1, 3)),
    ).within_days()
    assert many.batches.tolist() == [[1.0, 2.0, 3.0, 3000 * 3001 / 2 - 6]] and many.shelf_life_days.tolist() == [4]


def test_a_presentation_minimum_is_kept():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 5.0}, presentation_min_units=15))))
    assert row["order_up_to_units"] == 15


def test_a_budget_pays_for_what_saves_most_and_says_so():
    case = retailer(stock={"A": 0.0, "B": 0.0}, means={"A": 4.0, "B": 0.4})
    free = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    bound = replenishment_plan(PlanInputs(**case), policies=Policies(PlanPolicy(budget_value=20.0))).set_index(
        "product_id"
    )
    assert free["order_value"].sum() > 20 >= bound["order_value"].sum() > 18
    assert bound.loc["A", "order_units"] > bound.loc["B", "order_units"]
    cut = bound.loc[bound["order_units"] < free["order_units"]]
    assert (cut["exception"].str.contains("cut by the budget")).all() and len(cut)
    assert f"the budget allows {cut['order_units'].iloc[0]:g}" in cut["reason"].iloc[0]
    assert (cut["qty_after_supplier_minimum_units"] == free.loc[cut.index, "order_units"]).all()


def test_what_the_budget_cuts_is_not_blamed_on_the_maximum():
    row = only_row(replenishment_plan(PlanInputs(**retailer()), policies=Policies(PlanPolicy(budget_value=0.0))))
    assert row["order_units"] == 0 and row["exception"] == "cut by the budget"


def test_parameters_of_a_class_and_of_a_product_change_their_lines_alone():
    case = retailer(stock={"A": 3.0, "B": 3.0, "C": 3.0})
    segments = pd.DataFrame({"store_id": "S", "product_id": ["A", "B", "C"], "abc_class": ["A", "A", "C"]})
    given = {
        "classes": {"A": {"service_level": 0.99}},
        "products": {"B": {"service_level": 0.8, "service_measure": "fill"}},
    }
    plan = replenishment_plan(PlanInputs(**case, segments=segments), policies=Policies.of(given)).set_index(
        "product_id"
    )
    assert plan["target_service_rate"].to_dict() == {"A": 0.99, "B": 0.8, "C": 0.95}
    assert plan["service_measure"].to_dict() == {"A": "cycle", "B": "fill", "C": "cycle"}
    assert plan.loc["A", "order_up_to_units"] == stats.poisson.ppf(0.99, 4.2)
    assert plan.loc["C", "order_up_to_units"] == stats.poisson.ppf(0.95, 4.2)


def test_packs_follow_the_reorder_point_that_knows_them():
    case = retailer(means={"P": 10 / 3}, pack_units=12)
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["reorder_point_units"] == 11
    assert row["qty_need_units"] == row["reorder_point_units"] + 1 - 5
    assert row["order_units"] == 12


def test_the_reason_adds_up():
    case = retailer(means={"P": 10 / 3}, pack_units=12, moq_units=20)
    case["open_orders"] = open_lines((2, 2), (25, 6))
    case["order_days"] = order_days(*[("V1", "*", weekday) for weekday in range(1, 8)])
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["reason"] == (
        f"Position 7 (on hand 5, on order 2, 6 more arriving later) is at or below the reorder point "
        f"{row['reorder_point_units']:.0f} for 3 days of demand (expected 10): "
        f"need {row['reorder_point_units'] - 6:.0f}, line minimum 20, 2 packs of 12 = 24; "
        f"cycle service {row['predicted_service_rate']:.3f} of target 0.95; "
        f"saves {row['lost_margin_avoided_value']:.2f} of margin."
    )
    assert row["on_order_units"] == 8 and row["on_order_counted_units"] == 2 and row["on_order_beyond_units"] == 6


def test_money_is_exact_and_the_best_saving_comes_first():
    case = retailer(stock={"A": 3.0, "B": 0.0, "C": 2.0}, unit_cost=Decimal("2.3300"))
    plan = replenishment_plan(PlanInputs(**case))
    assert plan["product_id"].tolist() == ["B", "C", "A"]
    assert plan["lost_margin_avoided_value"].is_monotonic_decreasing
    for row in plan.to_dict("records"):
        assert row["order_value"] == Decimal("2.33") * int(row["order_units"])


def test_saved_margin_is_the_shortage_the_order_prevents():
    row = only_row(replenishment_plan(PlanInputs(**retailer())))
    points = np.arange(60)
    chance = stats.poisson.pmf(points, 4.2)
    without, with_it = (np.sum(np.maximum(points - y, 0) * chance) for y in (5, row["order_up_to_units"]))
    assert row["expected_shortage_units"] == pytest.approx(without, abs=0.05)
    assert float(row["lost_margin_avoided_value"]) == pytest.approx(1.5 * (without - with_it), abs=0.08)


def test_the_plan_keeps_its_contract():
    case = retailer(stock={"A": 3.0, "B": -2.0, "D": 0.0}, means={p: 1.4 for p in "ABCD"})
    case["terms"].loc[3, "unit_cost"] = None
    plan = replenishment_plan(PlanInputs(**case))
    assert plan["exception"].notna().sum() == 3
    table = pa.Table.from_pandas(plan, schema=REPLENISHMENT_PLAN.schema, preserve_index=False)
    table.validate(full=True)
    nulls = {column.name for column in REPLENISHMENT_PLAN.columns if table[column.name].null_count}
    assert nulls <= {"unit_cost", "order_value", "exception"}
    assert plan["as_of_date"].eq(AS_OF).all()


def test_without_stock_data_the_plan_is_empty():
    case = retailer()
    case["on_hand"] = case["on_hand"].iloc[:0]
    plan = replenishment_plan(PlanInputs(**case))
    assert plan.empty and plan.columns.tolist() == REPLENISHMENT_PLAN.column_names
    pa.Table.from_pandas(plan, schema=REPLENISHMENT_PLAN.schema, preserve_index=False)


def test_enough_stock_needs_no_row():
    assert replenishment_plan(PlanInputs(**retailer(stock={"P": 30.0}))).empty


def test_the_same_input_gives_the_same_proposals_and_other_cycles_others():
    first, again = (replenishment_plan(PlanInputs(**retailer(stock={"A": 1.0, "B": 2.0}))) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["proposal_id"].is_unique
    names = {proposal_id("S", "A", "V1", AS_OF + DAY * k) for k in range(3)} | {proposal_id("S", "A", "V2", AS_OF)}
    assert len(names) == 4
    assert proposal_id("S", "A", "V1", AS_OF + DAY) in first["proposal_id"].tolist()


def test_what_an_approved_order_lacks_is_a_proposal_of_its_own():
    first, second, third = (proposal_id("S", "P", "V1", AS_OF + DAY, number=number) for number in (1, 2, 3))
    assert proposal_id("S", "P", "V1", AS_OF + DAY) == first and len({first, second, third}) == 3
    wanted = {(): first, (first,): second, (second, first): third, (second,): first, ("other",): first}
    for taken, name in wanted.items():
        plans = [replenishment_plan(PlanInputs(**retailer(), approved_proposals=taken)) for _ in range(2)]
        assert [only_row(plan)["proposal_id"] for plan in plans] == [name, name], taken


def test_order_days_widen_the_protection():
    case = retailer()
    case["order_days"] = pd.DataFrame({"supplier_id": ["V1", "V1"], "order_weekday": [1, 4]})
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert (row["order_date"], row["next_order_date"]) == (date(2024, 3, 7), date(2024, 3, 11))
    assert row["review_period_days"] == 4 and row["protection_days"] == 6
    assert row["reorder_point_units"] == stats.poisson.ppf(0.95, 8.4) - 1


def test_delivery_delays_are_mixed_into_the_level():
    case = retailer(means={"P": 4.0})
    case["delays"] = pd.DataFrame({"supplier_id": "V1", "delay_days": [0, 3], "probability": [0.8, 0.2]})
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["reorder_point_units"] + 1 == 27
    assert row["demand_mean_units"] == pytest.approx(14.4)


def test_delays_without_variance_equal_a_longer_lead_time():
    case = retailer()
    case["delays"] = pd.DataFrame({"supplier_id": ["V1"], "delay_days": [4], "probability": [1.0]})
    late = only_row(replenishment_plan(PlanInputs(**case)))
    longer = only_row(replenishment_plan(PlanInputs(**retailer(lead_time_days=6))))
    for name in ("reorder_point_units", "order_units", "demand_mean_units", "predicted_service_rate"):
        assert late[name] == longer[name]


def test_an_approved_order_counts_once_and_is_not_proposed_again():
    proposed = only_row(replenishment_plan(PlanInputs(**retailer())))
    case = retailer()
    case["decisions"] = approved(3, proposed["order_units"])
    assert replenishment_plan(PlanInputs(**case)).empty


def test_an_approved_order_that_never_arrived_is_named():
    case = retailer(stock={"P": 0.0})
    case["decisions"] = approved(-1, 30)
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["order_units"] == 0
    assert "approved order not in the purchase orders" in row["exception"]
    assert row["reason"].startswith("Position 30 (on hand 0, on order 30) is above the reorder point")


@pytest.mark.parametrize(
    ("days_late", "counted", "exception"),
    [
        (0, 500, "approved order not in the purchase orders"),
        (14, 500, "approved order not in the purchase orders"),
        (15, 0, "approved order no longer counted"),
        (28, 0, "approved order no longer counted"),
        (29, 0, None),
        (50, 0, None),
    ],
)
def test_an_approved_order_that_nobody_placed_lapses_and_is_named_before_and_after(days_late, counted, exception):
    case = retailer(stock={"P": 0.0})
    case["decisions"] = approved(-days_late, 500)
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert (row["on_order_units"], row["on_order_counted_units"]) == (counted, counted)
    assert row["inventory_position_units"] == counted and (row["order_units"] > 0) == (counted == 0)
    said = (row["exception"] or "").split("; ")
    assert [word for word in said if word.startswith("approved")] == ([exception] if exception else [])
    sooner = replenishment_plan(PlanInputs(**case), policies=Policies(PlanPolicy(overdue_days_max=days_late)))
    assert only_row(sooner)["on_order_counted_units"] == 500


@pytest.mark.parametrize("flag", ["is_undated", "is_misbooked"])
def test_what_is_doubtful_about_an_open_order_is_named(flag):
    case, words = retailer(stock={"P": 30.0}), {"is_undated": "without a promised date"}
    case["open_orders"] = pd.concat([open_lines((1, 3)), open_lines((2, 4))]).assign(**{flag: [True, False]})
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["exception"] == f"open order {words.get(flag, 'with less than nothing received')}"
    case["open_orders"] = case["open_orders"].assign(**{flag: False})
    assert replenishment_plan(PlanInputs(**case)).empty


@pytest.mark.parametrize(("days_ago", "is_named"), [(0, False), (1, False), (2, True), (30, True)])
def test_an_approved_order_without_a_purchase_order_is_named_two_days_after_the_decision(days_ago, is_named):
    """Its delivery is far ahead and nothing more is ordered: a planner must still hear that nobody ordered it."""
    case = retailer(stock={"P": 30.0})
    moment = pd.Timestamp(AS_OF - DAY * days_ago).tz_localize("America/New_York") + pd.Timedelta(hours=23)
    case["decisions"] = approved(20, 30).assign(decided_at=moment)
    plan = replenishment_plan(PlanInputs(**case))
    assert plan["exception"].tolist() == ["approved order not in the purchase orders"] * is_named
    assert (plan["order_units"] == 0).all()


def undated(ordered_days_ago: int, units: float, *, supplier: str = "V1") -> pd.DataFrame:
    """An open line of product P that the supplier gave no date for."""
    line = open_lines((0, units)).assign(promised_date=pd.NaT, supplier_id=supplier)
    return line.assign(ordered_date=AS_OF - DAY * ordered_days_ago)


def test_an_order_without_a_promised_date_is_expected_after_the_lead_time():
    case, wanted = retailer(stock={"P": 2.0}), "open order without a promised date"
    found, promised = (
        only_row(replenishment_plan(PlanInputs(**case | {"open_orders": lines})))
        for lines in (undated(1, 3), open_lines((1, 3)))
    )
    assert found["on_order_counted_units"] == 3 and found["exception"].split("; ")[-1] == wanted
    same = [name for name in REPLENISHMENT_PLAN.column_names if name != "exception"]
    assert [found[name] for name in same] == [promised[name] for name in same]
    forgotten = only_row(replenishment_plan(PlanInputs(**case | {"open_orders": undated(30, 6)})))
    assert forgotten["exception"].endswith(f"overdue order no longer counted; {wanted}")
    assert (forgotten["on_order_counted_units"], forgotten["on_order_late_units"]) == (0, 6)


def test_an_order_without_promised_date_or_lead_time_does_not_come_before_the_next_delivery():
    case = retailer(stock={"P": 2.0})
    found, none = (
        only_row(replenishment_plan(PlanInputs(**case | {"open_orders": lines})))
        for lines in (undated(1, 6, supplier="V9"), case["open_orders"])
    )
    assert (found["on_order_counted_units"], found["on_order_beyond_units"]) == (0, 6)
    for name in ("order_units", "predicted_service_rate", "lost_margin_avoided_value"):
        assert found[name] == none[name], name
    assert found["exception"].endswith("open order without a promised date")


def test_overdue_orders_count_until_the_limit():
    case = retailer(stock={"P": 2.0})
    case["open_orders"] = open_lines((-5, 20))
    late = only_row(replenishment_plan(PlanInputs(**case)))
    assert late["exception"] == "overdue order"
    assert (late["on_order_late_units"], late["on_order_counted_units"], late["order_units"]) == (20, 20, 0)
    case["open_orders"] = open_lines((-15, 20))
    gone = only_row(replenishment_plan(PlanInputs(**case)))
    assert "overdue order no longer counted" in gone["exception"]
    assert (gone["on_order_late_units"], gone["on_order_counted_units"], gone["on_order_units"]) == (20, 0, 20)
    assert gone["order_units"] > 0
    kept = replenishment_plan(PlanInputs(**case), policies=Policies(PlanPolicy(overdue_days_max=15)))
    assert only_row(kept)["order_units"] == 0


def test_an_overdue_order_is_expected_at_the_median_of_longer_delays():
    case = retailer(stock={"P": 2.0})
    case["open_orders"] = open_lines((-2, 20))
    case["delays"] = pd.DataFrame({"supplier_id": "V1", "delay_days": [0, 9], "probability": [0.9, 0.1]})
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["on_order_counted_units"] == 0 and row["on_order_beyond_units"] == 20
    assert row["exception"].endswith("overdue order")


def test_only_what_comes_before_the_next_delivery_counts():
    case = retailer(stock={"P": 2.0})
    case["open_orders"] = open_lines((3, 7), (4, 11))  # the next delivery is on day 4
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert (row["on_order_counted_units"], row["on_order_beyond_units"]) == (7, 11)


def test_negative_stock_counts_as_none_and_is_named():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": -4.0}))))
    none = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 0.0}))))
    assert row["order_units"] == none["order_units"]
    assert row["on_hand_units"] == -4 and row["inventory_position_units"] == 0
    assert "negative stock counted as 0" in row["exception"]
    assert row["reason"].startswith("Position 0 (on hand -4 counted as 0, on order 0)")


@pytest.mark.parametrize(
    ("change", "exception"),
    [
        ({"pack_units": 0}, "missing pack size"),
        ({"pack_units": None}, "missing pack size"),
        ({"lead_time_days": None}, "missing lead time"),
        ({"supplier_id": None}, "missing supplier"),
    ],
)
def test_missing_terms_are_named_instead_of_a_silent_zero(change, exception):
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 0.0}, **change))))
    assert row["order_units"] == 0
    assert row["exception"].split("; ")[0] == exception
    assert row["reason"] == f"No order could be computed: {exception}."


def test_a_product_that_nobody_supplies_is_named_once_and_leaves_the_others_alone():
    case = retailer(stock={"A": 0.0, "B": 0.0}, min_order_value=Decimal("1.0000"))
    alone = replenishment_plan(PlanInputs(**case | {"terms": case["terms"].iloc[:1]}))
    unknown = ["supplier_id", "pack_units", "moq_units", "lead_time_days", "min_order_value"]
    case["terms"].loc[1, unknown] = None
    plan = replenishment_plan(PlanInputs(**case)).set_index("product_id", drop=False)
    row = plan.loc["B"].to_dict()
    assert (row["supplier_id"], row["order_units"], row["exception"]) == ("", 0, "missing supplier")
    assert row["reason"] == "No order could be computed: missing supplier."
    assert plan.loc["A"].drop("predicted_service_rate").to_dict() == {
        name: value for name, value in only_row(alone).items() if name != "predicted_service_rate"
    }
    pa.Table.from_pandas(plan, schema=REPLENISHMENT_PLAN.schema, preserve_index=False).validate(full=True)


def test_missing_stock_and_missing_forecast_are_named():
    case = retailer(stock={"A": 0.0, "B": 0.0}, means={"A": 1.4, "B": 1.4, "C": 1.4})
    case["cumulative"] = case["cumulative"].query("product_id != 'B'")
    plan = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    assert plan.loc["A", "order_units"] > 0
    assert plan.loc["B", "exception"] == "missing forecast" and plan.loc["B", "predicted_service_rate"] == 0
    assert plan.loc["C", "exception"] == "missing stock"
    assert (plan.loc[["B", "C"], "order_units"] == 0).all()


@pytest.mark.parametrize("column", ["mean_units", "p_zero", "q025", "q995"])
def test_a_forecast_with_a_number_missing_blocks_its_own_line_alone(column):
    case = retailer(stock={"A": 0.0, "B": 0.0})
    wanted = replenishment_plan(PlanInputs(**case)).set_index("product_id").loc["A", "order_units"]
    broken = case["cumulative"]
    broken.loc[(broken["product_id"] == "B") & (broken["horizon_days"] == 5), column] = np.nan
    plan = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    assert plan.loc["A", "order_units"] == wanted > 0
    assert plan.loc["B", ["order_units", "exception"]].tolist() == [0, "missing forecast"]
    assert plan.loc["B", "reason"] == "No order could be computed: missing forecast."


def test_an_order_without_cost_or_price_is_proposed_and_named():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 3.0}, unit_cost=None))))
    assert row["order_units"] > 0 and row["order_value"] is None and row["lost_margin_avoided_value"] == 0
    assert row["exception"] == "missing cost"
    assert row["reason"].endswith(f"the margin it saves is unknown. {ASSUMED_DAILY}")
    case = retailer(stock={"P": 3.0})
    case["prices"] = case["prices"].iloc[:0]
    assert only_row(replenishment_plan(PlanInputs(**case)))["exception"] == "missing price"


def test_the_maximum_rounds_down_to_packs():
    case = retailer(stock={"P": 5.0}, means={"P": 6.0}, pack_units=4, shelf_max_units=16)
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["qty_after_pack_units"] > 8
    assert row["qty_after_cap_units"] == row["order_units"] == 8
    assert ", the maximum allows 8;" in row["reason"]


def test_a_maximum_below_one_pack_is_named():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 3.0}, pack_units=24, shelf_max_units=20))))
    assert row["order_units"] == 0 and row["qty_after_pack_units"] == 24
    assert row["exception"] == "maximum leaves no room for the order"


def test_what_the_maximum_leaves_below_the_line_minimum_is_not_ordered():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 3.0}, moq_units=10, shelf_max_units=12))))
    assert (row["qty_after_minimum_units"], row["qty_after_cap_units"]) == (10, 0)


def test_shelf_life_caps_at_what_sells_before_it_expires():
    case = retailer(stock={"P": 0.0}, pack_units=30, shelf_life_days=5)
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["order_units"] == 0 and "maximum leaves no room" in row["exception"]
    long = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 0.0}, pack_units=30, shelf_life_days=60))))
    assert long["order_units"] == 30
    single = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 0.0}, means={"P": 6.0}, shelf_life_days=1))))
    # arrives after two days, sells on the third: margin 1.5 against cost 2 is a ratio below the limit of 0.80
    assert single["order_units"] == pytest.approx(stats.poisson.ppf(0.80, 6), abs=1)
    assert single["order_up_to_units"] < single["reorder_point_units"] + 1


def test_what_sells_before_the_delivery_makes_no_room_for_goods_of_a_short_life():
    sold_out, full = (
        only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": stock}, means={"P": 6.0}, shelf_life_days=1))))
        for stock in (0.0, 12.0)
    )
    assert sold_out["order_units"] == full["order_units"] == pytest.approx(stats.poisson.ppf(0.80, 6), abs=1)


def test_fresh_goods_reach_the_target_where_the_policies_say_so():
    case = retailer(stock={"P": 0.0}, means={"P": 6.0}, shelf_life_days=1)
    wanted = Policies.of({"products": {"P": {"shelf_life_cap": "target"}}})
    row = only_row(replenishment_plan(PlanInputs(**case), policies=wanted))
    assert row["order_units"] == pytest.approx(stats.poisson.ppf(0.95, 6), abs=1)
    assert row["expected_waste_units"] > only_row(replenishment_plan(PlanInputs(**case)))["expected_waste_units"]


def test_a_life_of_no_days_is_the_day_of_receipt():
    none, one = (
        only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 0.0}, means={"P": 6.0}, shelf_life_days=days))))
        for days in (0, 1)
    )
    assert none == one


def test_the_order_of_rows_changes_nothing():
    case = retailer(stock={"A": 4.0, "B": 2.0, "C": 1.0}, means={"A": 1.4, "B": 2.0, "C": 0.5}, shelf_life_days=4)
    shuffled = {
        name: frame.sample(frac=1, random_state=2) if isinstance(frame, pd.DataFrame) else frame
        for name, frame in case.items()
    }
    pd.testing.assert_frame_equal(replenishment_plan(PlanInputs(**case)), replenishment_plan(PlanInputs(**shuffled)))


def test_a_predicted_fill_rate_knows_waste():
    case = retailer(stock={"P": 0.0}, means={"P": 2.0}, lead_time_days=0, pack_units=12, shelf_life_days=2)
    case["order_days"] = pd.DataFrame({"supplier_id": ["V1"], "location_id": ["*"], "order_weekday": [4]})
    rules = Policies(PlanPolicy(service_measure="fill", service_level=0.9, goodwill_value=1000.0))
    row = only_row(replenishment_plan(PlanInputs(**case), policies=rules))
    # of seven days only two can be sold from one delivery that keeps two days
    assert row["expected_waste_units"] > 4
    assert row["predicted_service_rate"] < 0.5


def test_a_shop_does_not_save_what_it_loses_before_the_delivery():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 0.0}, means={"P": 6.0}, lead_time_days=14))))
    assert float(row["lost_margin_avoided_value"]) <= 1.5 * 6.0 + 0.01
    assert row["expected_shortage_units"] == pytest.approx(90, rel=0.02)


def test_the_supplier_minimum_is_filled_where_it_saves_most():
    case = retailer(stock={"A": 4.0, "B": 12.0, "C": 100.0}, means={"A": 1.4, "B": 1.4, "C": 0.5})
    case["terms"]["min_order_value"] = Decimal("40.0000")
    plan = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    assert Decimal("40") <= plan["order_value"].sum() < Decimal("42")
    assert "C" not in plan.index
    added = plan["qty_after_supplier_minimum_units"] - plan["qty_after_cap_units"]
    assert added["A"] > added.get("B", 0)
    units = int(added["A"])
    assert f"the supplier minimum adds {units} = {int(plan.loc['A', 'order_units'])}" in plan.loc["A", "reason"]


def test_the_supplier_minimum_counts_saving_per_money():
    case = retailer(stock={"DEAR": 4.0, "CHEAP": 4.0})
    case["terms"]["unit_cost"] = [Decimal("20"), Decimal("2")]
    case["prices"]["unit_price"] = [Decimal("23"), Decimal("3.5")]
    before = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    case["terms"]["min_order_value"] = float(before["order_value"].sum()) + 3
    after = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    added = after["order_units"] - before["order_units"]
    assert added.to_dict() == {"DEAR": 0, "CHEAP": 2}


def test_a_supplier_minimum_out_of_reach_is_named():
    case = retailer(stock={"P": 3.0}, shelf_max_units=10, min_order_value=Decimal("500"))
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["order_up_to_units"] == 10
    assert row["exception"] == "supplier minimum not reached"


@pytest.mark.parametrize("policy", [PlanPolicy(), PlanPolicy(budget_value=1000.0)])
def test_a_supplier_minimum_is_not_filled_while_a_cost_is_unknown(policy):
    """The line without a cost may be worth the minimum alone; another supplier's order is filled as before."""
    case = retailer(stock={"A": 0.0, "B": 0.0, "C": 0.0, "D": 30.0}, means=dict.fromkeys("ABCD", 1.4))
    case["terms"] = case["terms"].assign(
        unit_cost=[None, Decimal("2"), Decimal("2"), None], supplier_id=["V1", "V1", "V2", "V2"], min_order_value=25.0
    )
    plan = replenishment_plan(PlanInputs(**case), policies=Policies(policy)).set_index("product_id")
    level = stats.poisson.ppf(0.95, 4.2)
    assert plan.loc[["A", "B"], "order_units"].tolist() == [level, level]
    unchecked = "supplier minimum not checked: missing cost"
    assert plan.loc["A", "exception"].endswith(f"{unchecked}; missing cost")
    assert plan.loc["B", "exception"].endswith(unchecked)
    assert plan.loc["C", "order_value"] >= 25 and unchecked not in plan.loc["C", "exception"]
    assert "D" not in plan.index, "a cost that is missing of what is not ordered does not matter"


def test_a_missing_cost_matters_only_where_there_is_a_minimum():
    row = only_row(
        replenishment_plan(PlanInputs(**retailer(stock={"P": 3.0}, unit_cost=None, min_order_value=Decimal("0"))))
    )
    assert row["exception"] == "missing cost"


def test_a_supplier_minimum_alone_orders_nothing():
    assert replenishment_plan(PlanInputs(**retailer(stock={"P": 30.0}, min_order_value=Decimal("500")))).empty


def test_a_gap_before_the_delivery_is_for_a_person():
    row = only_row(replenishment_plan(PlanInputs(**retailer(stock={"P": 1.0}, means={"P": 3.0}))))
    assert row["exception"].startswith("expedite")
    covered = retailer(stock={"P": 1.0}, means={"P": 3.0})
    covered["open_orders"] = open_lines((1, 12))
    assert only_row(replenishment_plan(PlanInputs(**covered)))["exception"] is None


def test_no_gap_is_seen_where_only_a_longer_horizon_is_stored():
    """Two days until the order comes, of the three that are stored: a sale has a chance of 0.39, not of 0.53."""
    case = retailer(stock={"P": 0.0}, means={"P": 0.25})
    case["cumulative"] = forecast({"P": 0.25}, [3, 7, 14, 28])
    assert only_row(replenishment_plan(PlanInputs(**case)))["exception"] is None


def test_a_fill_target_uses_the_demand_between_two_deliveries():
    case = retailer(means={"P": 2.0})
    row = only_row(
        replenishment_plan(
            PlanInputs(**case), policies=Policies(PlanPolicy(service_level=0.9255, service_measure="fill"))
        )
    )
    assert row["service_measure"] == "fill"
    assert row["order_up_to_units"] == pytest.approx(9, abs=1)
    assert row["predicted_service_rate"] >= 0.9255 - 1e-9
    assert "fill service" in row["reason"]


@pytest.mark.parametrize(
    ("days", "is_assumed"),
    [
        ([], True),
        ([("OTHER", "*", 1), ("V1", "OTHER", 4)], True),
        ([("V1", "*", 4)], False),
        ([("V1", "S", 4)], False),
    ],
)
def test_an_ordered_line_says_that_daily_ordering_is_assumed(days, is_assumed):
    row = only_row(replenishment_plan(PlanInputs(**retailer() | {"order_days": order_days(*days)})))
    assert row["order_units"] > 0 and row["order_date"] == AS_OF + DAY
    assert row["reason"].endswith(ASSUMED_DAILY) == is_assumed
    assert row["exception"] is None


def test_a_line_is_not_in_the_plan_for_its_missing_order_days_alone():
    assert replenishment_plan(PlanInputs(**retailer(stock={"P": 500.0}))).empty


def test_the_reason_of_what_is_ordered_says_why_from_this_supplier():
    case = retailer(stock={"P": 5.0}, source_choice="the cheapest of 2")
    assert "Ordered from V1, the cheapest of 2." in only_row(replenishment_plan(PlanInputs(**case)))["reason"]
    assert "Ordered from" not in only_row(replenishment_plan(PlanInputs(**retailer())))["reason"]


@pytest.mark.parametrize("minimum", [None, 40])
def test_an_end_before_the_delivery_stops_the_order_whatever_the_forecast_says(minimum):
    case = retailer(stock={"P": 0.0}, carried_until=AS_OF + 2 * DAY, presentation_min_units=9.0, moq_units=minimum)
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["expected_delivery_date"] == AS_OF + 3 * DAY
    assert (row["order_units"], row["exception"]) == (0, "carried until 2024-03-08")
    again = case["terms"].assign(carried_again_from=AS_OF + 3 * DAY)
    assert only_row(replenishment_plan(PlanInputs(**case | {"terms": again})))["order_units"] > 0


def test_a_forecast_that_ends_the_day_before_the_delivery_orders_nothing_and_says_so():
    case = retailer(stock={"P": 0.0})
    rows = case["cumulative"].set_index("horizon_days")
    columns = ["mean_units", "p_zero", *QUANTILE_LEVELS]
    rows.loc[2:, columns] = rows.loc[1, columns].to_numpy()
    row = only_row(replenishment_plan(PlanInputs(**case | {"cumulative": rows.reset_index()})))
    assert row["expected_delivery_date"] == AS_OF + 3 * DAY and row["order_units"] == 0
    assert "no demand from the delivery to the next one" in row["exception"]
    assert row["reason"] == (
        f"Nothing is ordered: no demand is expected from the delivery on {AS_OF + 3 * DAY} to the next one."
    )
    shelf = case | {"terms": case["terms"].assign(presentation_min_units=4.0), "cumulative": rows.reset_index()}
    assert only_row(replenishment_plan(PlanInputs(**shelf)))["order_units"] == 4, "a shelf to fill is ordered for"


def test_a_line_that_orders_nothing_does_not_speak_of_order_days():
    case = retailer(stock={"P": 500.0})
    case["open_orders"] = open_lines((-1, 5.0))
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["exception"] == "overdue order" and ASSUMED_DAILY not in row["reason"]


def test_an_order_that_only_the_supplier_minimum_makes_says_it_too():
    case = retailer(stock={"A": 4.0, "B": 8.0}, min_order_value=Decimal("40.0000"))
    plan = replenishment_plan(PlanInputs(**case)).set_index("product_id")
    assert plan.loc["B", "qty_need_units"] == 0 and plan.loc["B", "order_units"] > 0
    assert plan["reason"].str.endswith(ASSUMED_DAILY).all()


def test_without_a_level_the_critical_ratio_is_clamped():
    case = retailer(stock={"A": 0.0, "B": 0.0})
    case["terms"]["shelf_life_days"] = [None, 2]
    plan = replenishment_plan(PlanInputs(**case), policies=Policies(PlanPolicy(service_level=None))).set_index(
        "product_id"
    )
    held = 2 * 0.25 * 1 / 365
    assert plan.loc["A", "service_level"] == pytest.approx(1.5 / (1.5 + held))
    assert plan.loc["A", "target_service_rate"] == 0.99
    assert plan.loc["B", "service_level"] == pytest.approx(1.5 / 3.5)
    assert plan.loc["B", "target_service_rate"] == 0.80


def test_a_forecast_without_the_horizon_names_the_supplier():
    case = retailer(lead_time_days=11)
    case["cumulative"] = forecast({"P": 1.4}, horizons=[7, 14, 28])
    with pytest.raises(PermanentFailure) as failure:
        replenishment_plan(PlanInputs(**case))
    assert str(failure.value) == (
        "The cumulative forecast has no horizon of 12 days, which supplier V1 needs: "
        "forecast again with the present supplier calendars, delays and policies."
    )


def test_two_rows_of_terms_for_a_series_are_refused():
    case = retailer()
    case["terms"] = pd.concat([case["terms"], case["terms"]])
    with pytest.raises(ValueError, match="more than one row for store S and product P"):
        replenishment_plan(PlanInputs(**case))


def test_weighed_goods_are_ordered_in_their_packs():
    case = retailer(means={"P": 6.0}, pack_units=2.5)
    case["prices"]["unit_step"] = 0.05
    row = only_row(replenishment_plan(PlanInputs(**case)))
    assert row["order_units"] % 2.5 == 0
    assert row["reorder_point_units"] * 20 == pytest.approx(round(row["reorder_point_units"] * 20))


ORDERS = {
    "mean": st.sampled_from([0.0, 0.05, 0.4, 1.4, 5.0, 20.0]),
    "pack": st.integers(1, 24),
    "minimum": st.none() | st.integers(1, 40),
    "maximum": st.none() | st.integers(0, 80),
}
FORECASTS = {mean: forecast({"P": mean}, horizons=[2, 3, 4, 5, 6, 7]) for mean in (0.0, 0.05, 0.4, 1.4, 5.0, 20.0)}


def planned(
    stock: float, *, mean: float, pack: int, minimum: int | None, maximum: int | None, level: float = 0.95
) -> dict[str, Any]:
    """The order of one product as numbers; nothing ordered when there is no row."""
    case = retailer(
        stock={"P": stock}, pack_units=pack, moq_units=minimum, shelf_max_units=maximum, shelf_life_days=None
    ) | {"cumulative": FORECASTS[mean]}
    plan = replenishment_plan(PlanInputs(**case), policies=Policies(PlanPolicy(service_level=level)))
    return plan.iloc[0].to_dict() if len(plan) else {"order_units": 0.0, "qty_need_units": 0.0, "reason": ""}


@given(st.integers(-5, 60), st.fixed_dictionaries(ORDERS))
@settings(max_examples=40, deadline=None)
def test_orders_are_packs_within_minimum_and_maximum(stock, order):
    units = planned(stock, **order)["order_units"]
    assert units % order["pack"] == 0
    assert units == 0 or units >= (order["minimum"] or 0)
    assert units == 0 or order["maximum"] is None or max(stock, 0) + units <= order["maximum"]
    assert units == 0 or order["mean"] > 0


@given(st.integers(0, 40), st.integers(0, 20), st.fixed_dictionaries(ORDERS))
@settings(max_examples=25, deadline=None)
def test_need_never_rises_with_the_position_nor_does_an_uncapped_order(stock, more, order):
    low, high = planned(stock, **order), planned(stock + more, **order)
    assert high["qty_need_units"] <= low["qty_need_units"]
    free = order | {"maximum": None}
    assert planned(stock + more, **free)["order_units"] <= planned(stock, **free)["order_units"]


@given(st.integers(0, 40), st.floats(0.5, 0.98), st.floats(0, 0.015), st.fixed_dictionaries(ORDERS))
@settings(max_examples=25, deadline=None)
def test_orders_never_fall_when_the_target_rises(stock, level, more, order):
    free = order | {"maximum": None}
    low, high = (planned(stock, **free, level=target) for target in (level, level + more))
    assert low["order_units"] <= high["order_units"]


@given(st.integers(-5, 40), st.fixed_dictionaries(ORDERS))
@settings(max_examples=25, deadline=None)
def test_the_numbers_of_every_reason_add_up(stock, order):
    row = planned(stock, **order)
    if row["qty_need_units"] <= 0:
        return
    text = row["reason"]
    position, on_hand, on_order = (float(n) for n in re.findall(r"-?[\d.]+", text)[:3])
    assert position == max(on_hand, 0) + on_order
    level, need = (float(re.search(pattern, text)[1]) for pattern in (r"reorder point (-?\d+)", r"need (\d+)"))
    assert need == level + 1 - position
    packs, size, total = (float(n) for n in re.search(r"(\d+) packs? of (\d+) = (\d+)", text).groups())
    assert packs * size == total == row["qty_after_pack_units"] >= need


@given(st.integers(0, 40), st.floats(0.5, 0.99), st.fixed_dictionaries(ORDERS))
@settings(max_examples=30, deadline=None)
def test_without_demand_nothing_is_ordered(stock, level, order):
    case = retailer(stock={"P": float(stock)}, means={"P": 0.0}, **order)
    plan = replenishment_plan(PlanInputs(**case), policies=Policies(PlanPolicy(service_level=level)))
    assert (plan["order_units"] == 0).all()
