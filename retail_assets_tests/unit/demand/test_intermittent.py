"""Levels of intermittent demand against plain loops written from the papers, one series at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retail_assets.demand.models import intermittent

UNITS = st.one_of(st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0, 7.0]), st.just(np.nan), st.floats(0.1, 50))
HISTORIES = arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=UNITS)


def seen(row: np.ndarray) -> list[float]:
    return [float(value) for value in row if not np.isnan(value)]


def plain_croston(row: np.ndarray, smoothing: float) -> float:
    values, size, interval, waited = seen(row), None, None, 0
    for value in values:
        waited += 1
        if value > 0:
            size = value if size is None else size + smoothing * (value - size)
            interval = waited if interval is None else interval + smoothing * (waited - interval)
            waited = 0
    if size is None or interval is None:
        return 0.0 if values else np.nan
    return size / interval


def plain_tsb(row: np.ndarray, smoothing: float) -> float:
    values = seen(row)
    if not values:
        return np.nan
    sizes = [value for value in values if value > 0]
    rate, size = len(sizes) / len(values), float(np.mean(sizes)) if sizes else 0.0
    for value in values:
        if value > 0:
            rate, size = rate + smoothing * (1 - rate), size + smoothing * (value - size)
        else:
            rate *= 1 - smoothing
    return rate * size


def plain_ses(values: list[float], levels: tuple[float, ...]) -> float:
    best, chosen = np.inf, np.nan
    for smoothing in levels:
        level, squares = values[0], 0.0
        for value in values[1:]:
            squares += (value - level) ** 2
            level += smoothing * (value - level)
        if squares < best * (1 - 1e-12):
            best, chosen = squares, level
    return chosen


def plain_sums(values: list[float], length: int) -> list[float]:
    kept = values[len(values) % length :]
    return [sum(kept[low : low + length]) for low in range(0, len(kept), length)]


def plain_intervals(values: list[float]) -> list[int]:
    days = [day for day, value in enumerate(values, start=1) if value > 0]
    return list(np.diff([0, *days]))


def plain_adida(row: np.ndarray, levels: tuple[float, ...]) -> float:
    values = seen(row)
    if not values:
        return np.nan
    sales = sum(value > 0 for value in values)
    length = min(round(len(values) / sales), max(len(values) // 2, 1)) if sales else 1
    return plain_ses(plain_sums(values, length), levels) / length


def plain_imapa(row: np.ndarray, levels: tuple[float, ...]) -> float:
    values = seen(row)
    if not values:
        return np.nan
    longest = min(max(plain_intervals(values), default=1), max(len(values) // 2, 1))
    return float(np.mean([plain_ses(plain_sums(values, k), levels) / k for k in range(1, longest + 1)]))


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_levels_equal_a_plain_loop_over_each_series(demand):
    one = (0.2,)
    pairs = {
        "croston": (intermittent.croston(demand, smoothing=0.2), [plain_croston(row, 0.2) for row in demand]),
        "sba": (intermittent.sba(demand, smoothing=0.2), [0.9 * plain_croston(row, 0.2) for row in demand]),
        "tsb": (intermittent.tsb(demand, smoothing=0.2), [plain_tsb(row, 0.2) for row in demand]),
        "adida": (intermittent.adida(demand, levels=one), [plain_adida(row, one) for row in demand]),
        "imapa": (intermittent.imapa(demand, levels=one), [plain_imapa(row, one) for row in demand]),
    }
    for name, (found, expected) in pairs.items():
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_smoothing_of_sums_is_the_one_with_the_least_error():
    rng = np.random.default_rng(3)
    demand = rng.poisson(0.4, (20, 120)).astype(float)
    levels = intermittent.SES_LEVELS
    np.testing.assert_allclose(intermittent.adida(demand), [plain_adida(row, levels) for row in demand])
    np.testing.assert_allclose(intermittent.imapa(demand), [plain_imapa(row, levels) for row in demand])


def test_croston_overshoots_and_the_correction_takes_it_back():
    """Syntetos & Boylan (2005): with size 1 and interval p Croston's mean is near 1 / p · (1 + a / (2 - a) · …)."""
    demand = (np.random.default_rng(0).random((2000, 600)) < 0.2).astype(float)
    croston = intermittent.croston(demand, smoothing=0.2).mean()
    assert croston > 1.05 * 0.2
    assert intermittent.sba(demand, smoothing=0.2).mean() == pytest.approx(0.2, rel=0.03)


def test_more_series_than_a_block_come_out_in_their_order():
    demand = np.random.default_rng(1).poisson(1.0, (2500, 20)).astype(float)
    np.testing.assert_allclose(intermittent.tsb(demand)[2400:], intermittent.tsb(demand[2400:]))
