"""Sales in bulk at any level of demand, and the lumps, take-offs and occasions that are none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retail_assets.demand.bulk_sales import WINDOW_DAYS, without_bulk
from retail_assets_tests.unit.demand_frames import panel_of


def ordinary(units: np.ndarray) -> np.ndarray:
    return without_bulk(units, is_explained=np.zeros(units.shape, dtype=bool))


def days(count: int, **sales: float) -> np.ndarray:
    """One series: `d12=3` sells 3 on day 12."""
    units = np.zeros((1, count))
    for name, sold in sales.items():
        units[0, int(name.removeprefix("d"))] = sold
    return units


@pytest.mark.parametrize(
    ("sales", "bulk", "counts_as"),
    [
        ({"d200": 7}, 200, 1),
        ({"d329": 7}, 329, 1),
        ({"d0": 7}, 0, 1),
        ({"d40": 1, "d120": 1, "d200": 7}, 200, 1),
        ({"d40": 2, "d120": 1, "d150": 1, "d160": 2, "d200": 1, "d210": 24}, 210, 2),
        ({"d40": 20, "d60": 15, "d90": 18, "d120": 20, "d150": 16, "d160": 12, "d200": 17, "d210": 140}, 210, 20),
        ({"d40": 500, "d210": 6000}, 210, 500),
    ],
)
def test_one_customers_order_counts_as_the_highest_other_day_at_any_level_of_demand(sales, bulk, counts_as):
    units = days(330, **sales)
    found = ordinary(units)
    assert found[0, bulk] == counts_as
    assert (np.delete(found[0], bulk) == np.delete(units[0], bulk)).all()


@pytest.mark.parametrize(
    "sales",
    [
        {"d200": 5},
        {"d200": 7, "d201": 7},
        {"d20": 7, "d150": 6},
        {"d40": 1, "d50": 1, "d60": 2, "d90": 8, "d120": 40, "d200": 240},
        {"d40": 1, "d50": 2, "d60": 1, "d90": 12, "d120": 3, "d150": 30, "d200": 200},
    ],
)
def test_small_sales_a_take_off_and_the_lumps_of_a_lumpy_product_stay(sales):
    units = days(330, **sales)
    np.testing.assert_array_equal(ordinary(units), units)


def test_a_bulk_order_is_found_beside_years_of_higher_sales():
    """Longer ago than half a year the product sold 3 a day; that says nothing of an order of 20 among single units."""
    units = np.zeros((1, 800))
    units[0, :300] = 3
    units[0, 500::20] = 1
    units[0, 650] = 20
    assert ordinary(units)[0, 650] == 1


def test_lumpy_wholesale_is_hardly_touched():
    """Lumps as a Pareto tail of index 1.5 brings them: a tenth of the highest days has five times the next one."""
    rng = np.random.default_rng(5)
    units = np.where(rng.random((400, 364)) < 0.1, np.ceil(rng.pareto(1.5, (400, 364)) * 4), 0.0)
    share = (ordinary(units) != units).any(axis=1).mean()
    assert share < 0.02, share


def test_days_of_an_event_or_a_promotion_and_unknown_days_stay():
    units = days(330, d200=70, d100=1)
    units[0, 10] = np.nan
    explained = np.zeros(units.shape, dtype=bool)
    explained[0, 200] = True
    np.testing.assert_array_equal(without_bulk(units, is_explained=explained), units)
    assert np.isnan(ordinary(units)[0, 10])


def test_the_panel_that_forecasts_read_has_no_bulk_order_while_its_sales_keep_it():
    panel = panel_of(days(330, d30=1, d200=7))
    assert panel.demand[0, 200] == 1
    assert panel.units[0, 200] == 7, "accuracy is measured on what was sold"


@settings(deadline=None, max_examples=60)
@given(arrays(float, (3, 400), elements=st.sampled_from([0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 7.0, 60.0])), st.integers(0, 2))
def test_each_series_is_judged_alone_never_raised_and_never_emptied(units, row):
    before = units.copy()
    found = ordinary(units)
    np.testing.assert_array_equal(units, before)
    np.testing.assert_array_equal(found[[row]], ordinary(units[[row]]))
    assert (found <= units).all() and ((found > 0) == (units > 0)).all()
    for series, day in np.argwhere(found != units):
        near = np.delete(units[series], day)[max(day - WINDOW_DAYS, 0) : day + WINDOW_DAYS]
        assert units[series, day] > 5 * near.max()
