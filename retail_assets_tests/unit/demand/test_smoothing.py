"""Exponential smoothing and Theta against statsmodels with the same parameters, and where nothing fits."""

import numpy as np
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.forecasting.theta import ThetaModel, ThetaModelResults
from statsmodels.tsa.holtwinters import SimpleExpSmoothing

from retail_assets.demand.models import smoothing
from retail_assets.demand.models.smoothing import Smoothing, SmoothingState

WEEK = np.array([-1.5, -0.5, 0.0, 0.5, -1.0, 1.5, 1.0])


def weekly(days: int = 90, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 20 + 0.05 * np.arange(days) + 3 * np.tile(WEEK, days // 7 + 1)[:days] + rng.normal(0, 1, days)


def one_row(level: float, trend: float = 0.0, season: float = 0.0, damping: float = 1.0) -> Smoothing:
    return Smoothing(*(np.array([[value]]) for value in (level, trend, season, damping)))


def start_of(level: float, trend: float = 0.0, season: np.ndarray | None = None) -> SmoothingState:
    terms = np.zeros(7) if season is None else season
    return SmoothingState(np.array([level]), np.array([trend]), terms[:, None])


FORMS = {
    "ANN": ({}, {"smoothing_level": 0.3}, start_of(19.0), one_row(0.3)),
    "ANA": (
        {"seasonal": "add", "seasonal_periods": 7},
        {"smoothing_level": 0.2, "smoothing_seasonal": 0.1},
        start_of(19.0, season=WEEK),
        one_row(0.2, season=0.1),
    ),
    "AAdA": (
        {"trend": "add", "damped_trend": True, "seasonal": "add", "seasonal_periods": 7},
        {"smoothing_level": 0.2, "smoothing_trend": 0.05, "smoothing_seasonal": 0.1, "damping_trend": 0.95},
        start_of(19.0, 0.1, WEEK),
        one_row(0.2, 0.05, 0.1, 0.95),
    ),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_form_has_the_errors_and_forecasts_of_statsmodels(form):
    keywords, fixed, start, parameters = FORMS[form]
    values = weekly()
    initial = {"initial_level": start.level[0]}
    if "trend" in keywords:
        initial["initial_trend"] = start.trend[0]
    if "seasonal" in keywords:
        initial["initial_seasonal"] = start.season[:, 0]
    model = ETSModel(values, error="add", initialization_method="known", **keywords, **initial)
    oracle = model.smooth(np.array([fixed[name] for name in model.param_names if name in fixed]))
    errors = []
    for day, value in enumerate(values):
        state, _ = smoothing.smooth(values[:day, None], start, parameters)
        errors.append(value - smoothing.ahead(state.pick(np.array([0])), parameters, day_count=day, horizon=1)[0, 0])
    np.testing.assert_allclose(errors, oracle.resid, atol=1e-6)
    state, squares = smoothing.smooth(values[:, None], start, parameters)
    assert squares[0, 0] == pytest.approx(oracle.sse, abs=1e-6)
    mean = smoothing.ahead(state.pick(np.array([0])), parameters, day_count=len(values), horizon=20)[0]
    np.testing.assert_allclose(mean, oracle.forecast(20), atol=1e-6)


def test_the_criterion_is_that_of_statsmodels():
    values = weekly()
    model = ETSModel(values, error="add", initialization_method="known", initial_level=19.0)
    oracle = model.smooth(np.array([0.3]))
    constant = len(values) * (np.log(2 * np.pi) + 1)
    found = smoothing.aicc(np.array([oracle.sse]), np.array([len(values)]), parameters=3)[0]
    spare = 2 * 3 * 4 / (len(values) - 3 - 1)
    assert found + constant == pytest.approx(-2 * oracle.llf + 2 * 3 + spare)


def test_the_form_follows_what_the_series_shows():
    rng = np.random.default_rng(5)
    flat, week = rng.normal(10, 1, 200), 10 + 3 * np.tile(WEEK, 29)[:200] + rng.normal(0, 0.3, 200)
    mean = smoothing.ets(np.stack([flat, week]), 14)
    assert np.ptp(mean[0]) < 1e-9
    np.testing.assert_allclose(mean[1], 10 + 3 * np.tile(WEEK, 31)[200:214], atol=0.6)


def test_a_growing_series_is_followed_upwards():
    mean = smoothing.ets((10 + 0.5 * np.arange(150.0))[None], 14)[0]
    assert mean[0] > 84 and (np.diff(mean) > 0).all()


def test_days_nobody_observed_leave_the_state_as_it_was():
    values = weekly(84)
    gaps = values.copy()
    gaps[20:27] = np.nan
    start, parameters = start_of(19.0, season=WEEK), one_row(0.2, season=0.1)
    without, _ = smoothing.smooth(np.delete(values, np.s_[20:27])[:, None], start, parameters)
    found, _ = smoothing.smooth(gaps[:, None], start, parameters)
    np.testing.assert_allclose(found.level, without.level)
    np.testing.assert_allclose(found.season, without.season)


@pytest.mark.parametrize("alpha", [0.1, 0.4])
@pytest.mark.parametrize("has_week", [True, False])
def test_theta_is_that_of_statsmodels(alpha, has_week):
    values = weekly(91) if has_week else 20 + 0.05 * np.arange(91) + np.random.default_rng(1).normal(0, 1, 91)
    model = ThetaModel(values, period=7, deseasonalize=has_week, use_test=False, method="multiplicative")
    plain, seasonal = model._deseasonalize_data() if has_week else (values, np.empty(0))
    level = SimpleExpSmoothing(plain, initial_level=plain[0], initialization_method="known").fit(alpha, optimized=False)
    slope = np.polyfit(np.arange(len(plain)), plain, 1)[0]
    oracle = ThetaModelResults(slope, alpha, 1.0, level.forecast(1), seasonal, False, model)
    found = smoothing.theta(values[None], 20, smoothing=(alpha,))[0]
    np.testing.assert_allclose(found, oracle.forecast(20), atol=1e-6)


def test_only_a_significant_week_is_taken_out():
    noise = np.random.default_rng(2).normal(10, 1, (1, 140))
    assert not smoothing.is_weekly(noise.T)[0] and smoothing.is_weekly(weekly(140)[:, None])[0]
    assert not smoothing.is_weekly(noise.T + np.arange(140)[:, None])[0], "a trend is no week"
    assert not smoothing.is_weekly(weekly(20)[:, None])[0], "less than three weeks"


def test_a_weekday_without_sales_stays_without():
    week = np.tile([5.0, 6.0, 4.0, 5.0, 0.0, 9.0, 7.0], 12)
    mean = smoothing.theta(week[None], 7)[0]
    assert mean[4] == pytest.approx(0.0) and (np.delete(mean, 4) > 3).all()


def test_series_nobody_observed_stay_unknown():
    demand = np.stack([np.full(40, np.nan), np.ones(40)])
    for method in (smoothing.ets, smoothing.theta):
        assert np.isnan(method(demand, 5)).all(axis=1).tolist() == [True, False]
        np.testing.assert_allclose(method(demand, 5)[1], 1.0)
