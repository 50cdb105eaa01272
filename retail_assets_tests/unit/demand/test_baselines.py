"""Baselines against values worked by hand, and against every odd series a retailer has."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retail_assets.demand.models.baselines import (
    BASELINES,
    borrowed_level,
    moving_mean,
    seasonal_naive,
    tsb,
    weekday_profile,
)
from retail_assets.demand.models.store_calendar import store_calendar_index
from retail_assets.demand.segments import abc_class, demand_class
from retail_assets.tables.gold import DEMAND_CLASSES
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of


def _two(row: list[float]) -> np.ndarray:
    return np.array([row, row])


def test_seasonal_naive_repeats_the_last_observed_same_weekday():
    panel = panel_of(_two([1, 2, 3, 4, 5, 6, 7, 10, np.nan, 30, 40, 50, 60, 70]), horizon=9)
    assert seasonal_naive(panel)[0].tolist() == [10, 2, 30, 40, 50, 60, 70, 10, 2]


def test_moving_mean_is_the_mean_of_observed_days():
    panel = panel_of(_two([*([9.0] * 30), *([2.0, 4.0, np.nan, 6.0] * 7)]))
    np.testing.assert_allclose(moving_mean(panel), 4.0)


def test_tsb_follows_its_recursion_and_fades_without_sales():
    row = [3.0, 0.0, 5.0, 0.0]
    rate, size = 0.5, 4.0
    for value in row:
        rate += 0.1 * ((value > 0) - rate)
        size += 0.1 * (value - size) if value > 0 else 0.0
    assert tsb(panel_of(_two(row)), smoothing=0.1)[0, 0] == pytest.approx(rate * size)
    sold = np.ones(60)
    silent = np.concatenate([sold, np.zeros(60)])
    assert tsb(panel_of(_two(silent.tolist())))[0, 0] < 0.1 * tsb(panel_of(_two(sold.tolist())))[0, 0]


def test_weekday_profile_finds_the_weekday_and_leans_on_the_group_when_thin():
    weekly = np.tile([1.0, 1, 1, 1, 1, 1, 8], 20)
    profile = weekday_profile(panel_of(_two(weekly.tolist())))
    np.testing.assert_allclose(profile[0], np.array([1, 1, 1, 1, 1, 1, 8]) / 2, rtol=1e-6)
    thin = np.stack([weekly, weekly, *[weekly] * 4, np.full(140, np.nan), weekly])
    thin[6, -3:] = [0, 0, 1]
    borrowed = weekday_profile(panel_of(thin))[6]
    assert borrowed.argmax() == 6


def test_a_series_without_history_borrows_from_its_department_and_price_band():
    units = np.concatenate([np.full((12, 60), 2.0), np.full((12, 60), 20.0)])
    units[20] = np.nan
    panel = panel_of(units)
    panel.price[20] = 22.0
    like = borrowed_level(panel)
    assert like[20] == pytest.approx(20.0), "its price is among the dear ones, which sell 20"
    for forecast in BASELINES.values():
        assert forecast(panel)[20].mean() == pytest.approx(20.0, rel=0.3)


def test_closed_days_are_forecast_as_nothing():
    panel = panel_of(np.full((2, 60), 5.0))
    panel.is_open[0, 60 + 3] = False
    for forecast in BASELINES.values():
        mean = forecast(panel)
        assert mean[0, 3] == 0 and (np.delete(mean[0], 3) > 0).all() and (mean[1] > 0).all()


ODD = st.one_of(st.floats(0, 1e6), st.just(np.nan), st.just(0.0), st.integers(0, 5).map(float))


@settings(max_examples=40, deadline=None)
@given(arrays(float, st.tuples(st.integers(2, 5), st.integers(1, 90)), elements=ODD))
def test_whatever_the_history_a_baseline_is_finite_and_not_negative(units):
    units[0, -1] = 1.0
    panel = panel_of(units)
    for name, forecast in BASELINES.items():
        mean = forecast(panel)
        assert mean.shape == (len(units), 14), name
        assert np.isfinite(mean).all() and (mean >= 0).all(), name


CONSTANT, OUTLIER = np.full(400, 3.0), np.full(400, 2.0)
OUTLIER[200] = 1e9
SILENT, ONE, NEVER, GAPS = np.zeros(400), np.full(400, np.nan), np.full(400, np.nan), np.ones(400)
ONE[-30] = 4.0
GAPS[100:300], GAPS[-20:] = np.nan, np.nan
EDGES = {"constant": CONSTANT, "outlier": OUTLIER, "silent": SILENT, "one": ONE, "never": NEVER, "gaps": GAPS}


@pytest.mark.parametrize("name", BASELINES)
def test_edge_series_are_forecast_soberly(name):
    panel = panel_of(np.stack([*EDGES.values(), CONSTANT]), horizon=28)
    panel.is_open[:, 400 + 5] = False
    mean = BASELINES[name](panel)
    assert mean.shape == (7, 28) and np.isfinite(mean).all() and (mean >= 0).all()
    assert (mean[:, 5] == 0).all()
    found = dict(zip(EDGES, np.delete(mean, 5, axis=1), strict=False))
    if name not in ("seasonal_smoothing", "store_calendar_tsb", "sba"):
        np.testing.assert_allclose(found["constant"], 3.0, rtol=1e-6)
    assert found["constant"].mean() == pytest.approx(3.0, rel=0.2)
    assert (found["silent"] == 0).all()
    assert (found["never"] > 0).all(), "it borrows from like series"


EVENTS = pd.DataFrame(
    {
        "event_date": pd.to_datetime(AS_OF) + pd.to_timedelta(np.arange(-390, 20, 30), unit="D"),
        "event_name": "fair",
        "event_type": "local",
        "region": "north",
    }
)


def _with_fairs(horizon: int = 28, days: int = 420) -> np.ndarray:
    """Eight series of mean 5 with a Saturday and, in the region north, a fair every 30 days that doubles them."""
    expected = np.full((8, days + horizon), 5.0)
    day = pd.to_datetime(AS_OF) + pd.to_timedelta(np.arange(1 - days, horizon + 1), unit="D")
    expected[:, day.dayofweek == 5] *= 1.6
    expected[1::2, day.isin(EVENTS["event_date"])] *= 2.0
    return expected


def test_the_store_calendar_finds_weekdays_and_the_events_of_the_region():
    expected = _with_fairs()
    units = np.random.default_rng(0).poisson(expected[:, :420]).astype(float)
    panel = panel_of(units, horizon=28, events=EVENTS)
    index = store_calendar_index(panel)
    ahead, recent = expected[:, 420:], expected[:, 392:420].mean(axis=1)
    np.testing.assert_allclose(index, ahead / recent[:, None], rtol=0.15)
    mean = BASELINES["store_calendar_tsb"](panel)
    flat = BASELINES["tsb"](panel)
    np.testing.assert_allclose(mean, flat * index)
    assert ((mean - ahead) ** 2).mean() < 0.3 * ((flat - ahead) ** 2).mean()


def test_the_store_calendar_does_not_mistake_a_standstill_for_the_effect_of_its_kind_of_event():
    expected = _with_fairs()
    units = np.random.default_rng(0).poisson(expected[:, :420]).astype(float)
    standstill = (pd.Timestamp(EVENTS["event_date"][3]) - pd.Timestamp(AS_OF)).days + 419
    units[:, standstill] = 0.0
    units[1, standstill] = 1.0
    np.testing.assert_allclose(
        store_calendar_index(panel_of(units, horizon=28, events=EVENTS)),
        expected[:, 420:] / expected[:, 392:420].mean(axis=1)[:, None],
        rtol=0.2,
    )


def test_a_young_store_has_no_calendar_yet():
    np.testing.assert_array_equal(store_calendar_index(panel_of(np.full((4, 40), 2.0))), 1.0)


def test_abc_classes_by_share_of_value_in_the_last_thirteen_weeks():
    units = np.ones((6, 200)) * np.array([80.0, 10, 6, 2, 2, 0])[:, None]
    units[4, :109], units[4, 109:] = 1e6, 0.0
    panel = panel_of(units)
    panel.price[:] = 1.0
    assert abc_class(panel).tolist() == ["A", "B", "B", "C", "C", "C"], "the first unit decides, and old days do not"
    panel.price[3] = 1e9
    assert abc_class(panel).tolist() == ["C", "C", "C", "A", "C", "C"]


def test_demand_classes_by_the_published_cut_offs():
    rng = np.random.default_rng(0)
    smooth, erratic = np.full(100, 5.0), np.where(rng.random(100) < 0.5, 1.0, 30.0)
    intermittent, lumpy = np.zeros(100), np.zeros(100)
    intermittent[::4], lumpy[::4] = 3.0, np.where(rng.random(25) < 0.8, 1.0, 40.0)
    panel = panel_of(np.stack([smooth, erratic, intermittent, lumpy, np.zeros(100)]))
    assert tuple(demand_class(panel)) == DEMAND_CLASSES
