"""Scores against values worked by hand and against a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retail_assets.demand import metrics

ACTUAL = np.array([[2.0, 4.0], [0.0, np.nan]])
FORECAST = np.array([[3.0, 3.0], [1.0, 50.0]])


def test_unobserved_days_are_not_scored():
    assert metrics.wape(ACTUAL, FORECAST) == pytest.approx(3 / 6)
    assert metrics.bias(ACTUAL, FORECAST) == pytest.approx(1 / 6)


def test_a_score_without_demand_is_unknown():
    assert np.isnan(metrics.wape(np.zeros((1, 2)), np.ones((1, 2))))


def test_the_scale_starts_at_the_first_sale():
    history = np.array([[0.0, 0.0, 3.0, 5.0, 4.0], [0.0, 0.0, 0.0, 0.0, 0.0], [1.0, np.nan, 1.0, 3.0, 3.0]])
    scale = metrics.rmsse_scale(history)
    assert scale[0] == pytest.approx((4 + 1) / 2)
    assert np.isnan(scale[1])
    assert scale[2] == pytest.approx(4 / 2)


def test_rmsse_is_the_mean_over_series_with_a_scale():
    scale = np.array([4.0, 1.0, np.nan])
    actual, forecast = np.array([[2.0, 4.0], [1.0, 1.0], [1.0, 1.0]]), np.array([[4.0, 4.0], [1.0, 2.0], [9.0, 9.0]])
    expected = (np.sqrt(2 / 4) + np.sqrt(0.5)) / 2
    assert metrics.rmsse(actual, forecast, scale=scale) == pytest.approx(expected)


@given(
    arrays(float, (4, 3), elements=st.floats(0, 50)),
    arrays(float, (4, 3, 2), elements=st.floats(0, 50)),
)
def test_pinball_equals_a_plain_loop(actual, quantiles):
    levels = np.array([0.1, 0.9])
    losses = [
        level * (y - q) if y >= q else (1 - level) * (q - y)
        for y, row in zip(actual.ravel(), quantiles.reshape(-1, 2), strict=True)
        for q, level in zip(row, levels, strict=True)
    ]
    assert metrics.pinball(actual, quantiles, levels=levels) == pytest.approx(np.mean(losses))


def test_scaled_pinball_does_not_depend_on_the_unit():
    rng = np.random.default_rng(0)
    actual, quantiles, levels = rng.poisson(3, (5, 4)) * 1.0, rng.random((5, 4, 2)), np.array([0.5, 0.9])
    one = metrics.scaled_pinball(actual, quantiles, levels=levels)
    assert metrics.scaled_pinball(actual * 1000, quantiles * 1000, levels=levels) == pytest.approx(one)


def test_coverage_of_whole_units_is_a_pair_around_the_probability():
    actual = np.array([[0.0, 0.0, 1.0, 2.0, np.nan]])
    assert metrics.coverage(actual, np.zeros((1, 5))) == (0.0, 0.5)
    assert all(np.isnan(metrics.coverage(np.array([[np.nan]]), np.array([[1.0]]))))
