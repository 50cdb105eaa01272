"""Scores against values worked by hand and against a plain loop."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retail_assets.demand import metrics
from retail_assets.demand.scores import competition_levels

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


@pytest.mark.parametrize(
    ("units", "level", "expected"),
    [(0.0, 0.4, 0.0), (0.0, 0.5, 0.0), (0.0, 0.9, -0.4), (2.0, 0.9, 0.0), (2.0, 0.6, 0.15), (9.0, 0.95, 0.05)],
)
def test_the_deviation_of_coverage_is_the_distance_to_the_nearer_side(units, level, expected):
    actual = np.array([[0.0, 0.0, 1.0, 2.0, np.nan]])
    assert metrics.discrete_coverage(actual, np.full((1, 5), units), level=level) == pytest.approx(expected)
    assert np.isnan(metrics.discrete_coverage(np.full((1, 5), np.nan), actual, level=level))


def test_mase_is_scaled_by_the_same_day_of_the_last_season():
    history = np.array([[0.0, 2, 4, 6, np.nan, 3, 8], [0.0, 0, 0, 0, 0, 0, 0]])
    scale = metrics.mase_scale(history, season=2)
    assert scale[0] == pytest.approx((4 + 3) / 2), "pairs 6-2 and 3-6; the others are before the first sale or unknown"
    assert np.isnan(scale[1])
    actual, forecast = np.array([[2.0, np.nan], [1.0, 1.0]]), np.array([[9.0, 5.0], [0.0, 0.0]])
    assert metrics.mase(actual, forecast, scale=scale) == pytest.approx(7 / 3.5)


ATTRIBUTES = ["region", "store_id", "category", "department", "product_id"]
SHELF = [
    ("N", "S1", "food", "F1", "A"),
    ("N", "S1", "food", "F2", "B"),
    ("N", "S1", "hobby", "H1", "C"),
    ("N", "S2", "food", "F1", "A"),
    ("N", "S2", "hobby", "H1", "C"),
    ("W", "S3", "food", "F1", "A"),
    ("W", "S3", "food", "F2", "B"),
]
M5_LEVELS = [
    [],
    ["region"],
    ["store_id"],
    ["category"],
    ["department"],
    ["region", "category"],
    ["region", "department"],
    ["store_id", "category"],
    ["store_id", "department"],
    ["product_id"],
    ["product_id", "region"],
    ["product_id", "store_id"],
]


def shelf() -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    series = pd.DataFrame(SHELF, columns=pd.Index(ATTRIBUTES))
    history, actual = rng.poisson(2.0, (7, 60)).astype(float), rng.poisson(2.0, (7, 28)).astype(float)
    history[3, :25] = 0.0
    price = np.repeat(rng.uniform(1, 9, (7, 1)), 60, axis=1)
    return series, history, actual, price


def members_of_every_sum() -> list[list[list[int]]]:
    """For each level the rows of each group, in a plain loop, groups ascending by name."""
    found = []
    for columns in M5_LEVELS:
        groups: dict[tuple[str, ...], list[int]] = {}
        for row, names in enumerate(SHELF):
            groups.setdefault(tuple(names[ATTRIBUTES.index(column)] for column in columns), []).append(row)
        found.append([groups[key] for key in sorted(groups)])
    return found


def plain_weighted(loss_of, value: np.ndarray) -> float:
    """The mean over levels of the mean over groups weighted by value; `loss_of` takes members and row number."""
    levels, row = [], 0
    for groups in members_of_every_sum():
        level = 0.0
        for members in groups:
            level += value[members].sum() / value.sum() * loss_of(members, row)
            row += 1
        levels.append(level)
    return float(np.mean(levels))


def steps_from_the_first_sale(history: np.ndarray) -> np.ndarray:
    return np.diff(history[np.flatnonzero(history)[0] :])


def test_wrmsse_equals_a_plain_loop_over_the_twelve_levels():
    series, history, actual, price = shelf()
    forecast = actual + np.random.default_rng(1).normal(0, 1, actual.shape)
    value = (history * price)[:, -28:].sum(axis=1)

    def loss(members: list[int], _: int) -> float:
        error = (actual[members].sum(axis=0) - forecast[members].sum(axis=0)) ** 2
        return float(np.sqrt(error.mean() / (steps_from_the_first_sale(history[members].sum(axis=0)) ** 2).mean()))

    np.testing.assert_allclose(metrics.recent_value(history, price=price), value)
    found = metrics.wrmsse(actual, forecast, series=series, history=history, value=value)
    assert found == pytest.approx(plain_weighted(loss, value))
    assert metrics.wrmsse(actual, actual, series=series, history=history, value=value) == 0


def test_wspl_equals_a_plain_loop_over_the_twelve_levels():
    series, history, actual, price = shelf()
    levels = np.array([0.005, 0.025, 0.165, 0.25, 0.5, 0.75, 0.835, 0.975, 0.995])
    value = metrics.recent_value(history, price=price)
    count = sum(len(groups) for groups in members_of_every_sum())
    quantiles = np.sort(np.random.default_rng(2).gamma(4, 2, (count, 28, 9)), axis=2)

    def loss(members: list[int], row: int) -> float:
        total, losses = actual[members].sum(axis=0), []
        for number, level in enumerate(levels):
            for day in range(28):
                gap = total[day] - quantiles[row, day, number]
                losses.append(level * gap if gap >= 0 else (level - 1) * gap)
        return float(np.mean(losses) / np.abs(steps_from_the_first_sale(history[members].sum(axis=0))).mean())

    found = metrics.wspl(actual, quantiles, levels=levels, series=series, history=history, value=value)
    assert found == pytest.approx(plain_weighted(loss, value))


def test_sums_come_level_by_level_under_their_names():
    series, history, *_ = shelf()
    named = competition_levels.groups(series)
    expected = [history[members].sum(axis=0) for groups in members_of_every_sum() for members in groups]
    np.testing.assert_allclose(competition_levels.aggregated(history, series=series), expected)
    assert len(named) == len(expected)
    row = named.index[(named["level"] == 6) & (named["region"] == "W") & (named["category"] == "food")][0]
    np.testing.assert_allclose(competition_levels.aggregated(history, series=series)[row], history[5:].sum(axis=0))


def test_sums_are_compared_over_observed_cells():
    series, history, actual, price = shelf()
    value = metrics.recent_value(history, price=price)
    forecast = actual.copy()
    forecast[2, 4], actual[2, 4] = 1e6, np.nan
    assert metrics.wrmsse(actual, forecast, series=series, history=history, value=value) == 0
    assert np.isnan(competition_levels.aggregated(np.full((7, 2), np.nan), series=series)).all()
