"""Rows become arrays: every cell in its place, nothing invented, nothing known too early."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.as_of_day.history import closed_before
from retail_assets.demand.bulk_sales import without_bulk
from retail_assets.demand.panel import build_panel
from retail_assets.failures import PermanentFailure
from retail_assets_tests.unit.demand_frames import (
    AS_OF,
    demand_rows,
    future_rows,
    no_events,
    panel_of,
    retailer,
    series_frame,
)


def _build(demand: pd.DataFrame, *, series: pd.DataFrame | None = None, future: pd.DataFrame | None = None, horizon=7):
    series = series_frame(2) if series is None else series
    future = future_rows(series, horizon=horizon) if future is None else future
    return build_panel(demand, series=series, future=future, events=no_events(), as_of=AS_OF, horizon=horizon)


def test_every_row_lands_in_its_cell_whatever_the_order_of_rows():
    units = retailer(6, 30)
    shuffled = demand_rows(units).sample(frac=1, random_state=3)
    panel = _build(shuffled, series=series_frame(6))
    np.testing.assert_array_equal(panel.units, units)
    assert panel.first_date == AS_OF - timedelta(days=29)
    assert panel.units.dtype == np.float64 and panel.price.shape == (6, 37)


@pytest.mark.parametrize("as_category", [False, True])
def test_dates_and_ids_may_come_as_objects_or_categories(as_category):
    rows = demand_rows(retailer(2, 10))
    rows["business_date"] = rows["business_date"].dt.date
    if as_category:
        rows = rows.astype({"store_id": "category", "product_id": "category"})
    np.testing.assert_array_equal(_build(rows).units, retailer(2, 10))


def test_a_day_that_says_nothing_of_demand_is_not_a_zero():
    rows = demand_rows(np.full((2, 10), 5.0))
    rows.loc[0, "is_feed_missing"] = True
    rows.loc[1, "is_open"] = False
    rows.loc[2, ["sold_units", "unconstrained_units"]] = np.nan
    rows.loc[3, ["sold_units", "unconstrained_units"]] = np.inf
    rows = rows.drop(index=4)
    panel = _build(rows)
    assert np.isnan(panel.units[0, :5]).all()
    assert (panel.units[0, 5:] == 5).all()
    assert not panel.is_open[0, 1] and panel.is_open[0, 0]


def test_estimated_demand_counts_before_sales_and_negative_sales_count_as_none():
    rows = demand_rows(np.full((2, 5), 3.0))
    rows.loc[0, ["unconstrained_units", "censoring"]] = [7.5, "partial"]
    rows.loc[1, "unconstrained_units"] = np.nan
    rows.loc[2, ["sold_units", "unconstrained_units"]] = -4.0
    panel = _build(rows)
    assert panel.units[0, :3].tolist() == [7.5, 3.0, 0.0]
    assert panel.is_censored[0].tolist() == [True, False, False, False, False]


def test_less_than_a_millionth_of_a_unit_is_nothing():
    """What a division leaves behind would else be a level that other numbers are divided by."""
    units = np.array([[1e-300, 9e-7, 1e-6, 0.001], [0.0, 2.0, np.nan, 3.0]])
    wanted = [[0.0, 0.0, 1e-6, 0.001], [0.0, 2.0, np.nan, 3.0]]
    np.testing.assert_array_equal(_build(demand_rows(units)).units, wanted)


def test_rows_of_other_series_and_later_days_are_left_out():
    rows = demand_rows(retailer(4, 12))
    later = rows.assign(business_date=rows["business_date"] + pd.Timedelta(days=12), sold_units=999.0)
    panel = _build(pd.concat([rows, later]))
    np.testing.assert_array_equal(panel.units, retailer(4, 12)[:2])


def test_an_unknown_price_is_carried_forward_and_a_planned_one_is_used():
    series = series_frame(2)
    future = future_rows(series, horizon=7)
    future.loc[(future["product_id"] == "P000") & (future["store_id"] == "S1"), "unit_price"] = 9.0
    rows = demand_rows(np.ones((2, 5)))
    rows.loc[0, "unit_price"] = np.nan
    panel = _build(rows, future=future)
    assert (panel.price[0] == 2.0).all()
    assert panel.price[1].tolist() == [3.0] * 5 + [9.0] * 7


def test_an_earlier_view_knows_plans_but_no_later_demand():
    units = retailer(4, 60)
    panel = _build(demand_rows(units), series=series_frame(4))
    past = panel.through(AS_OF - timedelta(days=20))
    assert past.units.shape == (4, 40) and past.price.shape == (4, 47)
    changed = units.copy()
    changed[:, 40:] = 77.0
    other = _build(demand_rows(changed), series=series_frame(4)).through(AS_OF - timedelta(days=20))
    np.testing.assert_array_equal(past.demand, other.demand)
    with pytest.raises(ValueError, match="outside the panel's history"):
        panel.through(date(2020, 1, 1))


def test_zeros_before_a_launch_are_not_demand_but_recent_ones_are():
    units = np.zeros((2, 100))
    units[0, 30:] = 4.0
    units[1, 99] = 1.0
    demand = panel_of(units).demand
    assert np.isnan(demand[0, :30]).all() and (demand[0, 30:] == 4).all()
    assert np.isnan(demand[1, :44]).all() and (demand[1, 44:99] == 0).all()


@given(st.integers(1, 30), st.integers(1, 60))
def test_the_last_days_are_a_suffix(days, kept):
    panel = panel_of(retailer(2, days), horizon=7).last_days(kept)
    assert panel.day_count == min(days, kept)
    assert panel.first_date + timedelta(days=panel.day_count - 1) == AS_OF
    np.testing.assert_array_equal(panel.units, retailer(2, days)[:, -kept:])


def test_a_sale_in_bulk_counts_as_the_highest_other_day_nearby():
    units = np.random.default_rng(4).integers(0, 4, (3, 400)).astype(float)
    units[0, 200], units[1, [200, 201]], units[2, 200] = 600, 600, 15
    demand = panel_of(units).demand
    assert demand[0, 200] == 3 and (np.delete(demand[0], 200) == np.delete(units[0], 200)).all()
    np.testing.assert_array_equal(demand[1:], units[1:])
    # the last day too: nobody knows yet whether the product takes off
    units[0, 200], units[0, 399] = 1, 600
    assert panel_of(units).demand[0, 399] == 3


def test_a_promotion_explains_a_high_day_and_years_apart_are_judged_apart():
    units = np.ones((1, 700))
    units[0, [100, 500]] = 300, 200
    assert without_bulk(units, is_explained=np.zeros(units.shape, dtype=bool)).max() == 1
    promoted = np.zeros(units.shape, dtype=bool)
    promoted[0, 500] = True
    assert without_bulk(units, is_explained=promoted)[0, [100, 500]].tolist() == [1, 200]


def test_nothing_to_forecast_says_what_to_do():
    with pytest.raises(PermanentFailure, match="0 rows of gold/demand_daily; materialise gold/demand_daily"):
        _build(demand_rows(np.ones((2, 5))).iloc[:0])


def test_a_lacking_column_is_named():
    with pytest.raises(PermanentFailure, match="demand rows given to the forecast lack unit_price, censoring; add"):
        _build(demand_rows(np.ones((2, 5))).drop(columns=["unit_price", "censoring"]))


def test_a_weekday_closed_now_was_closed_since_its_last_sale() -> None:
    """AS_OF is a Monday; series 0 is in S0, series 1 in S1."""
    units = np.full((2, 56), 3.0)
    sundays = np.arange(56)[::-1] % 7 == 1
    units[:, sundays] = np.nan
    units[0, np.flatnonzero(sundays)[2]] = 5.0
    panel = closed_before(panel_of(units), {"S0": {7}, "S9": {1}})
    closed = [np.flatnonzero(~row).tolist() for row in panel.is_open[:, :56]]
    assert closed == [np.flatnonzero(sundays)[3:].tolist(), []]
    assert panel.is_open[:, 56:].all(), "days to come are the plan's"
