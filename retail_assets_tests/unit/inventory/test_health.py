"""Health of the stock: probabilities against Poisson sums, and a case for every status."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from retail_assets.inventory.health import StockInputs, inventory_health
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.tables.inventory import INVENTORY_HEALTH

AS_OF = date(2025, 3, 10)
NO_ORDERS = pd.DataFrame({"store_id": [], "product_id": [], "promised_date": [], "open_units": []})


def forecast(product, mean, horizons=(2, 4, 6, 7, 13, 14, 28)):
    """The cumulative forecast of a product that sells Poisson `mean` a day."""
    rows = []
    for horizon in horizons:
        total = stats.poisson(mean * horizon)
        quantiles = {name: float(total.ppf(level)) for name, level in QUANTILE_LEVELS.items()}
        numbers = {"horizon_days": horizon, "mean_units": mean * horizon, "p_zero": total.pmf(0)}
        rows.append({"as_of_date": AS_OF, "store_id": "s", "product_id": product} | numbers | quantiles)
    return pd.DataFrame(rows)


def health(stock, *, mean=5.0, sold_days_ago=0.0, orders=(), delivery=7, cumulative=None, receipts=(), **known):
    """The row of one product; `known` are further columns of `products`."""
    sold = None if np.isnan(sold_days_ago) else AS_OF - timedelta(days=int(sold_days_ago))
    products = {"next_delivery_days": delivery, "unit_cost": 2.0, "unit_price": 3.0, "unit_step": 1.0}
    products |= {"last_sale_date": sold} | known
    lines = [("s", "p", AS_OF + timedelta(days=days), units) for days, units in orders]
    frame = inventory_health(
        StockInputs(
            AS_OF,
            on_hand=pd.DataFrame({"store_id": ["s"], "product_id": ["p"], "on_hand_units": [stock]}),
            open_orders=pd.DataFrame(lines, columns=NO_ORDERS.columns) if lines else NO_ORDERS,
            cumulative=forecast("p", mean) if cumulative is None else cumulative,
            products=pd.DataFrame([{"store_id": "s", "product_id": "p"} | products]),
            receipts=pd.DataFrame(
                [("s", "p", AS_OF - timedelta(days=ago), units) for ago, units in receipts],
                columns=["store_id", "product_id", "received_date", "received_units"],
            ),
        )
    )
    assert pa.Table.from_pandas(frame, schema=INVENTORY_HEALTH.schema, preserve_index=False).num_rows == 1
    return frame.iloc[0]


@pytest.mark.parametrize(
    ("status", "case"),
    [
        ("out_of_stock", {"stock": 0.0}),
        ("out_of_stock", {"stock": -3.0}),
        ("at_risk", {"stock": 30.0}),
        ("healthy", {"stock": 50.0}),
        ("excess", {"stock": 200.0}),
        ("phantom_suspected", {"stock": 50.0, "sold_days_ago": 5.0}),
        ("healthy", {"stock": 50.0, "sold_days_ago": 5.0, "in_stock_days": 1.0}),
        ("healthy", {"stock": 6.0, "mean": 0.1, "sold_days_ago": 30.0}),
        ("dead", {"stock": 9.0, "mean": 0.001, "sold_days_ago": 120.0}),
        ("dead", {"stock": 9.0, "mean": 0.001, "sold_days_ago": np.nan}),
        ("excess", {"stock": 9.0, "mean": 0.001, "sold_days_ago": 20.0}),
    ],
)
def test_status(status, case):
    assert health(**case)["status"] == status


def test_shortage_before_the_next_delivery():
    """Delivery in 7 days: 6 days of Poisson 5 against 30 units."""
    row = health(30.0)
    total = stats.poisson(30)
    assert row["stock_out_probability"] == pytest.approx(total.sf(30), abs=0.02)
    beyond = np.arange(31, 200)
    lost = ((beyond - 30) * total.pmf(beyond)).sum()
    assert row["expected_lost_units"] == pytest.approx(lost, rel=0.08)
    assert float(row["expected_lost_value"]) == pytest.approx(3 * row["expected_lost_units"], abs=1e-3)


def test_an_order_on_its_way_helps_from_its_day_on():
    """10 units must last 2 days whatever comes on the third; then 40 more last to the delivery."""
    row = health(10.0, orders=[(3, 40.0)])
    assert row["on_order_units"] == 40
    assert row["stock_out_probability"] == pytest.approx(stats.poisson(10).sf(10), abs=0.03)
    assert row["stock_out_probability"] < health(10.0)["stock_out_probability"]


def test_orders_overdue_or_after_the_next_delivery_do_not_help():
    alone = health(25.0)
    row = health(25.0, orders=[(-2, 50.0), (0, 50.0), (7, 50.0)])
    assert row["on_order_units"] == 150
    assert row["stock_out_probability"] == alone["stock_out_probability"]


def test_values_at_cost_cover_and_excess():
    row = health(200.0)
    assert row["stock_value"] == Decimal("400.0000")
    assert row["mean_daily_units"] == pytest.approx(5)
    assert row["days_of_cover"] == pytest.approx(40)
    assert row["excess_units"] == 200 - stats.poisson(140).ppf(0.99)
    assert row["excess_value"] == Decimal(str(row["excess_units"] * 2)).quantize(Decimal("0.0001"))


def test_series_without_forecast_or_terms_is_listed():
    on_hand = pd.DataFrame({"store_id": ["s", "t"], "product_id": ["p", "q"], "on_hand_units": [30.0, 4.0]})
    products = pd.DataFrame(columns=["store_id", "product_id", "next_delivery_days", "unit_cost", "unit_price"])
    frame = inventory_health(
        StockInputs(AS_OF, on_hand=on_hand, open_orders=NO_ORDERS, cumulative=forecast("p", 5.0), products=products)
    )
    assert frame["status"].tolist() == ["at_risk", "dead"]
    assert frame["stock_value"].tolist() == [None, None]
    assert np.isnan(frame["days_of_cover"][1]) and frame["days_since_sale"].isna().all()
    assert frame["stock_out_probability"][0] == pytest.approx(stats.poisson(65).sf(30), abs=0.01)


def test_no_stock_data_gives_an_empty_frame():
    on_hand = pd.DataFrame({"store_id": [], "product_id": [], "on_hand_units": []})
    frame = inventory_health(
        StockInputs(AS_OF, on_hand=on_hand, open_orders=NO_ORDERS, cumulative=forecast("p", 5.0), products=on_hand)
    )
    assert frame.empty and list(frame.columns) == INVENTORY_HEALTH.column_names


def test_rows_keep_the_order_of_the_key_and_their_own_values():
    on_hand = pd.DataFrame({"store_id": ["s", "s"], "product_id": ["q", "p"], "on_hand_units": [0.0, 50.0]})
    products = on_hand[["store_id", "product_id"]].assign(
        next_delivery_days=[3, 7], unit_cost=[1.0, 2.0], unit_price=3.0, unit_step=1.0, last_sale_date=AS_OF
    )
    frame = inventory_health(
        StockInputs(
            AS_OF,
            on_hand=on_hand,
            open_orders=pd.DataFrame([("s", "q", AS_OF + timedelta(days=1), 8.0)], columns=NO_ORDERS.columns),
            cumulative=pd.concat([forecast("p", 5.0), forecast("q", 1.0)]),
            products=products.iloc[::-1],
        )
    )
    assert frame["product_id"].tolist() == ["p", "q"]
    assert frame["stock_value"].tolist() == [Decimal("100.0000"), Decimal("0.0000")]
    assert frame["on_order_units"].tolist() == [0, 8]
    assert frame["expected_lost_units"][1] < 0.05


def leftover(stock, mean):
    """E(B - D)+ by hand."""
    units = np.arange(int(stock))
    return ((stock - units) * stats.poisson.pmf(units, mean)).sum()


def test_what_expires_unsold_is_told_in_units_and_at_cost():
    """40 units received four days ago live seven days: 35 would sell in a week, 15 in the three days left."""
    fresh, aged = health(40.0, shelf_life_days=7), health(40.0, shelf_life_days=7, receipts=[(3, 40.0)])
    assert fresh["expiring_units"] == pytest.approx(leftover(40, 35), abs=0.3)
    assert aged["expiring_units"] == pytest.approx(leftover(40, 15), abs=0.3)
    assert aged["expiring_value"] == Decimal(str(aged["expiring_units"] * 2)).quantize(Decimal("0.0001"))
    assert fresh["status"] == aged["status"] == health(40.0)["status"]


def test_older_stock_goes_first_whatever_is_on_its_way():
    alone = health(40.0, shelf_life_days=7, receipts=[(3, 40.0)])
    row = health(40.0, shelf_life_days=7, receipts=[(3, 40.0)], orders=[(1, 100.0)])
    assert row["expiring_units"] == alone["expiring_units"]


@pytest.mark.parametrize("stock", [0.0, -3.0, 2.0])
def test_nothing_expiring_is_a_number(stock):
    row = health(stock, shelf_life_days=14)
    assert (row["expiring_units"], row["expiring_value"]) == (0, Decimal("0.0000"))


@pytest.mark.parametrize("life", [{}, {"shelf_life_days": np.nan}, {"shelf_life_days": None}])
def test_what_keeps_does_not_expire(life):
    row = health(40.0, **life)
    assert np.isnan(row["expiring_units"]) and row["expiring_value"] is None


def test_only_the_products_that_spoil_have_the_figure_in_whatever_order_they_come():
    on_hand = pd.DataFrame({"store_id": "s", "product_id": ["r", "q", "p"], "on_hand_units": [40.0, 40.0, 40.0]})
    products = on_hand[["store_id", "product_id"]].assign(
        **{"next_delivery_days": 7, "unit_cost": [None, 2.0, 2.0], "unit_price": 3.0, "unit_step": 1.0},
        last_sale_date=AS_OF,
        shelf_life_days=pd.array([7, None, 3], dtype="Int32"),
    )
    cumulative = pd.concat([forecast(product, 5.0) for product in "pqr"])
    frames = [
        inventory_health(
            StockInputs(AS_OF, on_hand=rows, open_orders=NO_ORDERS, cumulative=cumulative, products=products)
        )
        for rows in (on_hand, on_hand.iloc[::-1])
    ]
    pd.testing.assert_frame_equal(*frames)
    units = frames[0].set_index("product_id")["expiring_units"]
    assert units["p"] == pytest.approx(leftover(40, 15), abs=0.3) and np.isnan(units["q"])
    assert units["r"] == pytest.approx(leftover(40, 35), abs=0.3)
    assert frames[0]["expiring_value"].isna().tolist() == [False, True, True]
