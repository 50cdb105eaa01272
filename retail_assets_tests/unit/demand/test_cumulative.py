"""More days never bring less, a little more demand never jumps, and quantiles agree with the probability of none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.demand.calibration.conformal import (
    GRID,
    SIZES,
    CalibrationSet,
    Errors,
    SeriesProfile,
    calibrate,
    distribution,
)
from retail_assets.demand.calibration.cumulative import cumulative_distributions
from retail_assets.tables.forecast import QUANTILE_LEVELS

LEVELS = tuple(QUANTILE_LEVELS.values())
HORIZON = 14


def _profile(count: int, *, is_whole: bool = True) -> SeriesProfile:
    segment = np.where(np.arange(count) % 2 == 0, "smooth", "lumpy").astype(object)
    return SeriesProfile(segment, np.full(count, 1.5), np.full(count, is_whole), np.arange(count))


def _learnt(seed: int, *, is_whole: bool = True) -> CalibrationSet:
    """Of few errors, some of them of products back from silence: each number of days says something else."""
    rng = np.random.default_rng(seed)

    def of_days(days: int):
        mean = np.exp(rng.normal(-1.5, 1.5, 900)) * days
        came = rng.poisson(mean) + np.where(rng.random(900) < 0.02, rng.integers(20, 60, 900), 0)
        amount = came * 1.0 if is_whole else came * rng.uniform(0.5, 1.5, 900)
        return calibrate(Errors(mean, amount, _profile(900, is_whole=is_whole)))

    return CalibrationSet((of_days(1),), tuple(of_days(days) for days in range(1, HORIZON + 1)))


@pytest.fixture(scope="module")
def learnt() -> CalibrationSet:
    return _learnt(1)


def _made(mean: np.ndarray, calibration: CalibrationSet, *, is_whole: bool = True, reach: np.ndarray | None = None):
    """Quantiles (n, HORIZON, levels) and p_zero (n, HORIZON)."""
    found = cumulative_distributions(
        mean,
        _profile(len(mean), is_whole=is_whole),
        calibration=calibration,
        reach=np.full(len(mean), HORIZON) if reach is None else reach,
        horizons=range(1, HORIZON + 1),
        levels=LEVELS,
    )
    each = [found[days] for days in range(1, HORIZON + 1)]
    return np.stack([one.quantiles for one in each], axis=1), np.stack([one.p_zero for one in each], axis=1)


def _plain(mean: np.ndarray, calibration: CalibrationSet) -> np.ndarray:
    """Quantiles of each number of days by itself."""
    total = mean.cumsum(axis=1)
    return np.stack(
        [
            distribution(
                total[:, days - 1],
                _profile(len(mean)),
                calibration=calibration.of_total(days),
                levels=LEVELS,
                days=days,
            ).quantiles
            for days in range(1, HORIZON + 1)
        ],
        axis=1,
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.001, 40), min_size=1, max_size=6), st.integers(1, 9), st.booleans(), st.integers(0, 99))
def test_no_quantile_falls_and_no_chance_of_nothing_rises_with_the_days(levels, first, is_whole, seed):
    mean = np.array(levels)[:, None] * np.random.default_rng(seed).uniform(0, 2, (len(levels), HORIZON))
    mean[:, : first - 1] = 0  # a launch: nothing before its day
    quantiles, p_zero = _made(mean, _learnt(seed % 3, is_whole=is_whole), is_whole=is_whole)
    assert (np.diff(quantiles, axis=1) >= 0).all() and (np.diff(p_zero, axis=1) <= 0).all()
    assert (np.diff(quantiles, axis=2) >= 0).all()
    nothing = mean.cumsum(axis=1) == 0
    assert (quantiles[nothing] == 0).all() and (p_zero[nothing] == 1).all()


def test_numbers_of_days_by_themselves_would_cross(learnt):
    """What sorting takes out is there."""
    mean = np.geomspace(0.01, 3, 40)[:, None] * np.ones(HORIZON)
    assert (np.diff(_plain(mean, learnt), axis=1) < 0).any()
    assert (np.diff(_made(mean, learnt)[0], axis=1) >= 0).all()


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_quantile_is_nothing_exactly_up_to_the_chance_of_nothing(is_whole):
    mean = np.geomspace(0.001, 30, 200)[:, None] * np.ones(HORIZON)
    quantiles, p_zero = _made(mean, _learnt(2, is_whole=is_whole), is_whole=is_whole)
    clear = np.abs(p_zero[..., None] - np.array(LEVELS)) > 1e-6
    np.testing.assert_array_equal((quantiles == 0)[clear], (np.array(LEVELS) < p_zero[..., None])[clear])


def test_days_after_the_last_sale_add_nothing(learnt):
    mean = np.full((3, HORIZON), 2.0)
    reach = np.array([4, 9, HORIZON])
    mean[np.arange(HORIZON) >= reach[:, None]] = 0
    quantiles, p_zero = _made(mean, learnt, reach=reach)
    for row, last in enumerate(reach):
        np.testing.assert_array_equal(quantiles[row, last - 1 :], quantiles[row, [last - 1] * (HORIZON + 1 - last)])
        assert len(set(p_zero[row, last - 1 :])) == 1
    assert (quantiles[0, -1] <= quantiles[2, -1]).all()


def test_series_are_worked_on_in_pieces_that_do_not_show(learnt, monkeypatch):
    mean = np.random.default_rng(4).exponential(1.0, (11, HORIZON))
    whole = _made(mean, learnt)
    monkeypatch.setattr("retail_assets.demand.calibration.cumulative._CHUNK_ROWS", 3)
    pieces = _made(mean, learnt)
    np.testing.assert_array_equal(whole[0], pieces[0])
    np.testing.assert_array_equal(whole[1], pieces[1])


def test_a_little_more_demand_never_jumps():
    """Sizes of the mean flow into each other; a product of 1.001 is not another kind than one of 0.999."""
    rng = np.random.default_rng(5)
    mean = np.exp(rng.normal(0.5, 1.5, 20_000))
    came = mean * rng.lognormal(0.0, np.where(mean < 1, 1.2, np.where(mean < 10, 0.6, 0.2)))
    calibration = calibrate(Errors(mean, came, _profile(len(mean), is_whole=False)))
    asked = np.geomspace(0.05, 80, 4000)
    found = distribution(
        asked, _profile(4000, is_whole=False).take(np.zeros(4000, dtype=int)), calibration=calibration, levels=LEVELS
    )
    step = np.diff(np.log(found.quantiles[:, LEVELS.index(0.95)]))
    assert np.abs(step).max() < 0.02, "0.2 % more demand"


def test_every_size_is_learnt_from_the_errors_beside_it():
    """Errors count at the two sizes next to their mean and nowhere else."""
    mean = np.repeat([SIZES[1], SIZES[3]], 20_000)
    came = np.concatenate([np.full(20_000, SIZES[1]) + 5, np.full(20_000, SIZES[3]) - 1])
    profile = SeriesProfile(np.full(40_000, "smooth", dtype=object), np.ones(40_000), np.zeros(40_000, dtype=bool))
    table = calibrate(Errors(mean, came, profile)).table[0]
    assert (table[1] > 0).all() and (table[3] < 0).all()


def test_a_size_without_errors_of_its_own_leans_on_the_next_size_and_not_on_slow_movers():
    """Slow movers seldom sell, and then many times their mean: no measure of what sells 20 a day."""
    rng = np.random.default_rng(6)
    slow, fast = np.full(30_000, 0.05), np.full(3_000, SIZES[3])
    came = np.concatenate([np.where(rng.random(30_000) < 0.02, 8.0, 0.0), rng.poisson(SIZES[3], 3_000)])
    profile = SeriesProfile(np.full(33_000, "smooth", dtype=object), np.ones(33_000), np.ones(33_000, dtype=bool))
    calibration = calibrate(Errors(np.concatenate([slow, fast]), came, profile))
    found = distribution(np.array([20.0]), profile.take(np.array([0])), calibration=calibration, levels=LEVELS)
    assert 31 <= found.quantiles[0, LEVELS.index(0.995)] <= 35, "20 and 2.9 times its root; slow movers: 36 times"


def test_a_series_that_lies_nearer_to_a_size_than_all_others_counts_no_more_there():
    rng = np.random.default_rng(7)
    near, series = np.full((200, 20), SIZES[4] * 1.2), np.repeat(np.arange(201), 20)
    mean = np.append(near.ravel(), np.full(20, SIZES[5]))
    came = rng.poisson(mean) * 1.0
    wild = np.append(np.zeros(4000), np.full(20, 20.0))
    segment, ones = np.full(4020, "smooth", dtype=object), np.ones(4020)
    profile = SeriesProfile(segment, ones, np.ones(4020, dtype=bool), series)
    calm, odd = (calibrate(Errors(mean, came + more, profile)).table[0, 5] for more in (0.0 * wild, wild))
    high = np.flatnonzero(GRID == 0.975)[0]
    assert odd[high] - calm[high] < 0.2, "0.5 % of the series move no quantile below 0.99"
