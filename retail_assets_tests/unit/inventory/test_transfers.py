"""Transfers: they pay, they leave the giver its need, and the quantity is where one more unit no longer pays."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retail_assets.inventory.health import StockInputs
from retail_assets.inventory.transfers import TransferCosts, transfer_proposals
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.tables.inventory import TRANSFER_PROPOSALS

AS_OF = date(2025, 3, 10)
NO_ORDERS = pd.DataFrame({"store_id": [], "product_id": [], "promised_date": [], "open_units": []})


def retailer(stocks, *, mean=4.0, delivery=8, price=5.0, cost=2.0, orders=NO_ORDERS, product="p"):
    """Stores a, b, c … that hold `stocks` of one product and sell Poisson `mean` a day."""
    keys = pd.DataFrame({"store_id": [chr(97 + i) for i in range(len(stocks))], "product_id": product})
    rows = []
    for horizon in (7, 28):
        total = stats.poisson(mean * horizon)
        numbers = {"horizon_days": horizon, "mean_units": mean * horizon, "p_zero": total.pmf(0)}
        rows.append(keys.assign(**numbers, **{name: total.ppf(level) for name, level in QUANTILE_LEVELS.items()}))
    products = keys.assign(next_delivery_days=delivery, unit_cost=cost, unit_price=price, unit_step=1.0)
    return {
        "on_hand": keys.assign(on_hand_units=stocks),
        "open_orders": orders,
        "cumulative": pd.concat(rows),
        "products": products.assign(last_sale_date=AS_OF),
    }


def shops(stocks, *, costs=None, **terms):
    frame = transfer_proposals(StockInputs(AS_OF, **retailer(stocks, **terms)), costs=costs)
    assert pa.Table.from_pandas(frame, schema=TRANSFER_PROPOSALS.schema, preserve_index=False).num_rows == len(frame)
    return frame


NEED = stats.poisson(28 * 4.0).ppf(0.99)


def test_excess_goes_where_it_saves_margin():
    found = shops([300.0, 10.0])
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["from_store_id"], row["to_store_id"], row["product_id"]) == ("a", "b", "p")
    week = stats.poisson(28)
    demand = np.arange(0, 200)
    shortage = [(np.maximum(demand - stock, 0) * week.pmf(demand)).sum() for stock in (10, 10 + row["transfer_units"])]
    assert float(row["lost_margin_avoided_value"]) == pytest.approx(3 * (shortage[0] - shortage[1]), rel=0.02)
    assert float(row["transfer_cost_value"]) == pytest.approx(5 + 0.1 * row["transfer_units"])
    assert row["net_benefit_value"] == row["lost_margin_avoided_value"] - row["transfer_cost_value"]
    assert row["transfer_units"] == pytest.approx(week.ppf(1 - 0.1 / 3) - 10, abs=1)
    assert row["reason"] == (
        f"b would lose 18.0 units before a delivery on 2025-03-18; a holds {300 - NEED:g} more than 28 days need."
    )


def test_giver_keeps_its_own_need():
    found = shops([NEED + 5, 0.0, 0.0])
    assert found["transfer_units"].sum() == 5


def test_two_givers_serve_one_store_and_one_giver_two_stores():
    two_givers = shops([NEED + 12, NEED + 12, 0.0])
    assert two_givers["from_store_id"].tolist() == ["a", "b"] and two_givers["to_store_id"].tolist() == ["c", "c"]
    assert two_givers["transfer_units"].tolist() == [12, 12]
    one_giver = shops([500.0, 0.0, 12.0])
    assert one_giver["to_store_id"].tolist() == ["b", "c"]
    assert one_giver["net_benefit_value"].is_monotonic_decreasing


def test_the_order_of_the_rows_does_not_decide_between_stores_that_are_alike():
    frames = retailer([NEED + 12, NEED + 12, NEED + 12, 0.0, 0.0])
    wanted = transfer_proposals(StockInputs(AS_OF, **frames))
    turned = transfer_proposals(StockInputs(AS_OF, **frames | {"on_hand": frames["on_hand"].iloc[::-1]}))
    assert len(wanted) > 1
    pd.testing.assert_frame_equal(turned, wanted, check_exact=True)


@pytest.mark.parametrize(
    "case",
    [
        {"stocks": [300.0, 60.0]},
        {"stocks": [100.0, 10.0]},
        {"stocks": [300.0, 10.0], "price": 2.0},
        {"stocks": [300.0, 10.0], "price": np.nan},
        {"stocks": [300.0, 10.0], "costs": TransferCosts(line_value=100.0)},
        {"stocks": [300.0, 10.0], "delivery": 1},
        {"stocks": [300.0]},
    ],
    ids=[
        "nobody at risk",
        "nothing to give",
        "no margin",
        "unknown price",
        "too dear",
        "delivery tomorrow",
        "one store",
    ],
)
def test_no_move(case):
    assert shops(**case).empty


def test_products_do_not_mix():
    """Two products with their own demand, in one call as in two."""
    slow = {"stocks": [90.0, 0.0], "mean": 2.0, "product": "slow"}
    fast = {"stocks": [10.0, 300.0, 0.0], "product": "fast"}
    apart = pd.concat([shops(**fast), shops(**slow)])
    frames = [retailer(**fast), retailer(**slow)]
    mixed = {name: pd.concat([one[name] for one in frames]).sample(frac=1, random_state=1) for name in frames[0]}
    together = transfer_proposals(StockInputs(AS_OF, **(mixed | {"open_orders": NO_ORDERS})))
    assert len(together) == 3
    key = ["product_id", "to_store_id"]
    pd.testing.assert_frame_equal(
        together.sort_values(key, ignore_index=True), apart.sort_values(key, ignore_index=True)
    )


def test_orders_on_their_way_count():
    coming = pd.DataFrame(
        {"store_id": ["b"], "product_id": ["p"], "promised_date": [date(2025, 3, 11)], "open_units": [40.0]}
    )
    assert shops([300.0, 10.0], orders=coming).empty


def test_no_stock_data_gives_an_empty_frame():
    found = transfer_proposals(
        StockInputs(
            AS_OF,
            on_hand=pd.DataFrame({"store_id": [], "product_id": [], "on_hand_units": []}),
            open_orders=NO_ORDERS,
            cumulative=pd.DataFrame(),
            products=pd.DataFrame(),
        )
    )
    assert found.empty and list(found.columns) == TRANSFER_PROPOSALS.column_names


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=8), st.sampled_from([0.5, 4.0]), st.integers(2, 8))
def test_moves_pay_in_whole_units_and_never_starve_the_giver(stocks, mean, delivery):
    found = shops([float(units) for units in stocks], mean=mean, delivery=delivery)
    need = stats.poisson(28 * mean).ppf(0.99)
    assert (found["net_benefit_value"].map(lambda value: value > Decimal(0))).all()
    assert (found["transfer_units"] == np.round(found["transfer_units"])).all() and (found["transfer_units"] > 0).all()
    assert not found.duplicated(list(TRANSFER_PROPOSALS.key)).any()
    assert not set(found["from_store_id"]) & set(found["to_store_id"])
    for store, units in found.groupby("from_store_id")["transfer_units"].sum().items():
        assert stocks[ord(str(store)) - 97] - units >= need
