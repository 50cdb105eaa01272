"""What orders of a day are made of: series that nobody supplies are unknown, never a supplier of that name."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from retail_assets.as_of_day.history import Snapshots
from retail_assets.as_of_day.snapshot import SNAPSHOTS
from retail_assets.as_of_day.stock_state import DayState, SupplySnapshot, replay_inputs
from retail_assets.command_line.what_if import compare
from retail_assets.inventory.order_days import horizons_in_use
from retail_assets.inventory.parameters import Policies
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.plan.rows import proposal_id
from retail_assets.inventory.replay.world import ASSUMED_LEAD_TIME_DAYS, replay_world
from retail_assets.retailer import Calendar
from retail_assets.tables import forecast, gold
from retail_assets_tests.unit.as_of_day.test_planning import BASE, CARRIED, DECISION, ORDER, PRODUCT, A, LakeInMemory
from retail_assets_tests.unit.ibis_frames import MOMENT, frame_of
from retail_assets_tests.unit.replay_frames import forecasts

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

BOTH = pd.DataFrame({"store_id": "S1", "product_id": ["P1", "P2"]})
"""P1 comes from supplier U1 within two days, P2 from nobody."""


def lake(*, demand: Sequence[dict[str, Any]] = (), **given: Sequence[dict[str, Any]]) -> LakeInMemory:
    carried = {
        "assortment": [CARRIED, CARRIED | {"product_id": "P2"}],
        "products": [PRODUCT, PRODUCT | {"product_id": "P2"}],
    }
    rows = {**BASE, "purchase_orders": [], "order_decisions": [], **carried, **given}
    stock = [key | {"business_date": A, "on_hand_units": Decimal("0.000")} for key in BOTH.to_dict("records")]
    tables = {t.path: frame_of(t, rows.get(name, [])) for name, t in SNAPSHOTS.items()}
    segment = BOTH.iloc[0].to_dict() | {"valid_from": A, "abc_class": "A"}
    tables |= {
        t.path: frame_of(t, rows) for t, rows in ((gold.DEMAND_DAILY, demand), (gold.PRODUCT_SEGMENTS, [segment]))
    }
    cumulative = forecasts(BOTH, 1, mean=2.0, horizons=range(1, 15)).assign(as_of_date=A, origin="live")
    known = {gold.FACT_INVENTORY.path: frame_of(gold.FACT_INVENTORY, stock)}
    known[forecast.CUMULATIVE_FORECAST.path] = frame_of(forecast.CUMULATIVE_FORECAST, cumulative.to_dict("records"))
    return LakeInMemory(tables | known)


def state_of(engine: LakeInMemory) -> DayState:
    return DayState.of(
        Snapshots(engine).on(A),
        cumulative=engine.scan(forecast.CUMULATIVE_FORECAST),
        stock=engine.scan(gold.FACT_INVENTORY),
        demand_rows=engine.scan(gold.DEMAND_DAILY),
        segments=engine.scan(gold.PRODUCT_SEGMENTS),
    )


def test_the_plan_names_what_nobody_supplies() -> None:
    plan = replenishment_plan(state_of(lake()).plan).set_index("product_id")
    assert plan.loc["P1", "order_units"] > 0
    assert plan.loc["P2", ["order_units", "exception"]].tolist() == [0, "missing supplier"]


UNPRICED = [PRODUCT | {"product_id": p, "list_price": None} for p in ("P1", "P2")]


def _priced(days_ago: int, price: float | None, source: str | None = gold.SALE_LINES) -> dict[str, Any]:
    day = A - timedelta(days=days_ago)
    return {"business_date": day, "store_id": "S1", "product_id": "P1", "unit_price": price, "price_source": source}


def test_without_a_price_of_the_source_the_plan_takes_that_of_sale_lines_and_names_it() -> None:
    """The newest one, also of days ago; cost and price give a margin, as a price of the source does."""
    sold = [_priced(100, 4.0), _priced(90, 5.0), _priced(0, None, None)]
    given = replenishment_plan(state_of(lake()).plan).set_index("product_id").loc["P1"]
    found = replenishment_plan(state_of(lake(products=UNPRICED, demand=sold)).plan).set_index("product_id").loc["P1"]
    assert found["lost_margin_avoided_value"] == given["lost_margin_avoided_value"] > 0
    assert "of margin at the median price of recent sale lines" in found["reason"]
    assert "median" not in given["reason"] and "price" not in (found["exception"] or "")


@pytest.mark.parametrize("sold", [[], [_priced(0, 4.0, gold.PRICES)], [_priced(-1, 4.0)], [_priced(400, 4.0)]])
def test_a_price_is_missing_where_no_sale_line_of_the_year_before_shows_one(sold: list[dict[str, Any]]) -> None:
    found = replenishment_plan(state_of(lake(products=UNPRICED, demand=sold)).plan).set_index("product_id").loc["P1"]
    assert "missing price" in found["exception"] and "the margin it saves is unknown" in found["reason"]


def test_a_price_of_the_source_stands_before_that_of_sale_lines() -> None:
    plans = [replenishment_plan(state_of(lake(demand=demand)).plan) for demand in ([], [_priced(0, 99.0)])]
    pd.testing.assert_frame_equal(*plans)


def test_what_is_added_to_an_approved_order_has_a_name_of_its_own_every_time_the_day_is_planned() -> None:
    """Six units were approved two days ago for the order of Monday, to come later than the next delivery."""
    monday = A + timedelta(days=2)
    first, second = (proposal_id("S1", "P1", "U1", monday, number=number) for number in (1, 2))
    approval = DECISION | {"proposal_id": first, "order_date": monday, "decided_at": MOMENT - timedelta(days=2)}
    engine = lake(order_decisions=[approval | {"expected_delivery_date": A + timedelta(days=20)}])
    plans = [replenishment_plan(state_of(engine).plan).set_index("product_id") for _ in range(2)]
    pd.testing.assert_frame_equal(*plans)
    row = plans[0].loc["P1"]
    assert (row["order_date"], row["proposal_id"]) == (monday, second) and row["order_units"] > 0
    assert "approved order not in the purchase orders" in row["exception"]
    ordered = ORDER | {"proposal_id": first, "promised_date": A + timedelta(days=20)}
    matched = lake(order_decisions=[approval], purchase_orders=[ordered])
    known = replenishment_plan(state_of(matched).plan).set_index("product_id").loc["P1"]
    assert known["proposal_id"] == second and "approved order" not in known["exception"]


OF_TOMORROW = ORDER | {"ordered_date": A + timedelta(days=1), "promised_date": A + timedelta(days=3)}
RETURNED = ORDER | {"ordered_date": A, "ordered_units": Decimal("6.000")}
ON_ORDER = {
    "approved, ordered under another name and received": ([DECISION], [RETURNED | {"received_date": A}], 0, None),
    "approved and on a purchase order without its name": ([DECISION], [RETURNED], 6, None),
    "approved, and a purchase order of another source": ([DECISION | {"supplier_id": "U2"}], [RETURNED], 12, None),
    "approved 60 days ago, expected 50 days ago": (
        [DECISION | {name: A - timedelta(days=n) for name, n in (("order_date", 60), ("expected_delivery_date", 50))}],
        [],
        0,
        None,
    ),
    "expected 15 days ago": (
        [DECISION | {name: A - timedelta(days=n) for name, n in (("order_date", 17), ("expected_delivery_date", 15))}],
        [],
        0,
        "approved order no longer counted",
    ),
    "no promised date": ([], [ORDER | {"promised_date": None}], 12, "open order without a promised date"),
    "a purchase order dated tomorrow": ([], [OF_TOMORROW], 12, None),
    "received -20 of ordered 12": (
        [],
        [ORDER | {"received_units": Decimal("-20.000")}],
        12,
        "open order with less than nothing received",
    ),
}


@pytest.mark.parametrize("case", ON_ORDER)
def test_every_order_counts_once_in_the_plan(case: str) -> None:
    decided, ordered, units, said = ON_ORDER[case]
    plan = replenishment_plan(state_of(lake(order_decisions=decided, purchase_orders=ordered)).plan)
    row = plan.set_index("product_id").loc["P1"]
    assert (row["on_order_units"], row["inventory_position_units"]) == (units, units)
    words = [word for word in (row["exception"] or "").split("; ") if word and not word.startswith(("exp", "over"))]
    assert words == ([said] if said else [])


def test_nobody_is_no_supplier_with_delays_or_horizons() -> None:
    supply = SupplySnapshot.of(Snapshots(lake()).on(A))
    assert supply.terms["supplier_id"].tolist() == ["U1", None]
    assert supply.delays["supplier_id"].tolist() == ["U1"]
    wanted, found = (
        horizons_in_use(terms, supply.delays, horizon_days=28, order_days=supply.order_days)
        for terms in (supply.terms.iloc[:1], supply.terms)
    )
    assert found == wanted
    none = horizons_in_use(supply.terms.iloc[1:], supply.delays, horizon_days=28, order_days=supply.order_days)
    assert none == [7, 14, 28]


def test_a_what_if_run_names_the_parameters_that_match_no_line() -> None:
    tried = {
        "classes": {"A": {}, "Z": {}},
        "suppliers": {"U1": {}, "None": {}},
        "stores": {"S1": {}},
        "products": {"P2": {}, "P9": {"service_level": 0.99}},
    }
    engine, calendar = lake(), Calendar(A - timedelta(days=400), "GB", ZoneInfo("Europe/London"))
    found = compare(engine, calendar, before=Policies(), after=Policies.of(tried))
    assert found.unmatched == ("classes Z", "suppliers None", "products P9") and found.changed_lines == 0


def test_what_nobody_supplies_is_awaited_for_a_week() -> None:
    days = state_of(lake()).products.set_index("product_id")["next_delivery_days"]
    assert days["P2"] == 7
    assert days["P1"] == 4, "Saturday closed, the order of Monday takes two days"


def test_the_replay_takes_the_price_of_sale_lines_known_on_its_first_day() -> None:
    engine, cumulative = lake(products=UNPRICED), forecasts(BOTH, 1, mean=2.0, horizons=[9]).assign(as_of_date=A)
    rows = [_priced(n, price) for n, price in ((1, 4.0), (0, 5.0), (-1, 9.0))]
    inputs = replay_inputs(
        Snapshots(engine).on,
        pd.DataFrame(rows).assign(unconstrained_units=2.0),
        cumulative,
        last=A,
        stock=engine.scan(gold.FACT_INVENTORY),
        segments=engine.scan(gold.PRODUCT_SEGMENTS),
    )
    assert inputs.terms.set_index("product_id").loc["P1", "unit_price"] == 5.0


def test_the_replay_assumes_a_lead_time_where_nobody_supplies() -> None:
    engine, days = lake(), 14
    snapshots, keys = Snapshots(engine), BOTH
    dates = [A + timedelta(days=offset) for offset in range(-27, days)]
    demand = keys.loc[keys.index.repeat(len(dates))].assign(business_date=dates * 2, unconstrained_units=2.0)
    cumulative = forecasts(keys, 1, mean=2.0, horizons=[9]).assign(as_of_date=A)
    inputs = replay_inputs(
        snapshots.on,
        demand,
        cumulative,
        last=A,
        stock=engine.scan(gold.FACT_INVENTORY),
        segments=engine.scan(gold.PRODUCT_SEGMENTS),
    )
    world = replay_world(inputs, seed=0)
    assert world.lead_time_days.tolist() == [2, ASSUMED_LEAD_TIME_DAYS]
    assert np.array_equal(world.delay_probabilities[1], np.eye(1, world.delay_probabilities.shape[1])[0])
    assert any("for 1 of 2 series without a supplier" in sentence for sentence in world.assumptions)


DAY_OF_SALES: dict[str, Any] = {
    **{"sold_units": 0.0, "is_open": True, "is_feed_missing": False, "censoring": "none"},
    **{"discount_rate": 0.0, "is_promoted": False},
}


def history(sold: dict[int, int], **changes: Any) -> list[dict[str, Any]]:
    """A year and a half of P1 in S1; `sold` gives units by days ago."""
    key = BOTH.iloc[0].to_dict() | DAY_OF_SALES | changes
    days = ((back, A - timedelta(days=back)) for back in range(540))
    return [key | {"business_date": day, "sold_units": float(sold.get(back, 0))} for back, day in days]


def line(rows: list[dict[str, Any]], **given: Sequence[dict[str, Any]]) -> pd.Series:
    engine = lake(**given)
    engine.tables[gold.DEMAND_DAILY.path] = frame_of(gold.DEMAND_DAILY, rows)
    return replenishment_plan(state_of(engine).plan).set_index("product_id").loc["P1"]


def test_an_order_is_measured_by_what_the_year_sold() -> None:
    """Packs of 6: the forecast of 2 a day asks for more than the 7 sold once in eleven months."""
    free, held = line([]), line(history({40: 7}))
    assert free["order_units"] > 12 and held["order_units"] == 6
    assert "more than the 7 sold here in a year" in held["reason"] and "everything sold" in held["exception"]
    for rows in (history({day: 1 for day in range(1, 60)}), history({40: 7}, censoring="full")):
        assert line(rows)["order_units"] == free["order_units"]
    assert line(history({40: 7, 400: 500}))["order_units"] == 6, "what was sold longer ago does not count"


def test_a_planned_discount_is_compared_with_the_department() -> None:
    sold = {day: 1 for day in range(1, 60)}
    planned = {"promotion_id": "X", "product_id": "P1", "store_id": "*", "discount_rate": 0.9}
    given = {"promotions": [planned | {"start_date": A, "end_date": A + timedelta(days=2)}]}
    row = line(history(sold), **given)
    assert "discount beyond experience" in row["exception"]
    assert (
        f"A discount of 90% is planned from {A + timedelta(days=1)}: a year of experience reaches 30%" in row["reason"]
    )
    other = [one | {"product_id": "P2", "discount_rate": 0.9} for one in history({})]
    assert "discount beyond" not in (line(history(sold) + other, **given)["exception"] or "")
