"""Quantiles hold what they promise on demand whose law is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retail_assets.demand.calibration.conformal import (
    CalibrationSet,
    Errors,
    SeriesProfile,
    calibrate,
    dispersion,
    distribution,
    guessed,
    is_integer_like,
    load_calibration,
)
from retail_assets_tests.unit.demand_frames import panel_of

LEVELS = np.array([0.1, 0.5, 0.9, 0.95, 0.975])


def _nature(count: int, *, is_whole: bool, dispersed: float = 1.0, segment: str = "smooth") -> SeriesProfile:
    return SeriesProfile(np.full(count, segment, dtype=object), np.full(count, dispersed), np.full(count, is_whole))


@pytest.mark.parametrize("mean", [0.4, 2.0, 20.0])
def test_whole_unit_quantiles_are_those_of_the_true_law(mean):
    rng = np.random.default_rng(5)
    count = 40_000
    past = Errors(np.full(count, mean), rng.poisson(mean, count) * 1.0, _nature(count, is_whole=True))
    found = distribution(np.array([mean]), _nature(1, is_whole=True), calibration=calibrate(past), levels=LEVELS)
    np.testing.assert_allclose(found.quantiles[0], stats.poisson.ppf(LEVELS, mean), atol=1 if mean > 10 else 0)
    assert found.p_zero[0] == pytest.approx(np.exp(-mean), abs=0.02)


def test_coverage_over_series_of_all_sizes_brackets_the_probability():
    rng = np.random.default_rng(6)
    mean = np.exp(rng.normal(0.5, 1.2, 60_000))
    actual = rng.negative_binomial(2, 2 / (2 + mean)) * 1.0
    profile = _nature(len(mean), is_whole=True, dispersed=2.0)
    half = np.arange(len(mean)) < 30_000
    past = Errors(mean, actual, profile).where(half)
    found = distribution(mean[~half], profile.take(~half), calibration=calibrate(past), levels=LEVELS)
    for number, level in enumerate(LEVELS):
        below = (actual[~half] < found.quantiles[:, number]).mean()
        not_above = (actual[~half] <= found.quantiles[:, number]).mean()
        assert below - 0.01 <= level <= not_above + 0.01


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("days", [1, 14])
def test_no_quantile_exceeds_what_the_mean_allows(days, is_whole):
    rng = np.random.default_rng(3)
    back = np.where(rng.random(4000) < 0.02, 200.0, 0.0)
    wild = SeriesProfile(np.full(4000, "lumpy", dtype=object), np.full(4000, 0.2), np.full(4000, is_whole))
    calibration = calibrate(Errors(np.full(4000, 0.02), back, wild))
    mean = np.array([0.001, 0.05, 0.25])
    loud = SeriesProfile(np.full(3, "lumpy", dtype=object), np.full(3, 8.0), np.full(3, is_whole))
    found = distribution(mean, loud, calibration=calibration, levels=[*LEVELS, 0.99], days=days)
    most = np.maximum(mean, 0.02 * days) / 0.01
    assert (found.quantiles[:, -1] <= most + 1e-9).all() and (found.quantiles[:, -1] > most - 1).all()
    assert (np.diff(found.quantiles, axis=1) >= 0).all()


def test_weighed_goods_keep_fractions_and_exact_coverage():
    rng = np.random.default_rng(7)
    mean = rng.uniform(1, 5, 40_000)
    actual, profile = mean * rng.lognormal(-0.08, 0.4, 40_000), _nature(40_000, is_whole=False)
    found = distribution(mean, profile, calibration=calibrate(Errors(mean, actual, profile)), levels=LEVELS)
    assert (found.quantiles % 1 > 0).mean() > 0.9
    np.testing.assert_allclose((actual[:, None] <= found.quantiles).mean(axis=0), LEVELS, atol=0.01)


def test_a_segment_with_few_errors_takes_those_of_its_size():
    rng = np.random.default_rng(8)
    many, few = _nature(5000, is_whole=False, segment="smooth"), _nature(5, is_whole=False, segment="lumpy")
    profile = SeriesProfile(
        *(np.concatenate([getattr(many, k), getattr(few, k)]) for k in ("segment", "dispersion", "is_whole"))
    )
    mean = np.full(5005, 5.0)
    actual = np.concatenate([rng.poisson(5, 5000), np.full(5, 500)]) * 1.0
    calibration = calibrate(Errors(mean, actual, profile))
    asked = [
        distribution(np.array([5.0]), part.take(np.array([0])), calibration=calibration, levels=LEVELS)
        for part in (many, few)
    ]
    np.testing.assert_allclose(asked[0].quantiles, asked[1].quantiles, atol=0.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20), st.booleans(), st.integers(0, 999))
def test_quantiles_never_cross_or_go_negative_and_agree_with_p_zero(means, is_whole, seed):
    rng = np.random.default_rng(seed)
    past_mean = rng.exponential(3, 800)
    past = Errors(past_mean, rng.poisson(past_mean) * 1.0, _nature(800, is_whole=is_whole))
    mean = np.array(means)
    found = distribution(mean, _nature(len(mean), is_whole=is_whole), calibration=calibrate(past), levels=LEVELS)
    assert (np.diff(found.quantiles, axis=1) >= 0).all() and (found.quantiles >= 0).all()
    assert ((found.p_zero >= 0) & (found.p_zero <= 1)).all()
    assert (found.quantiles[mean == 0] == 0).all() and (found.p_zero[mean == 0] == 1).all()
    if is_whole:
        surely_zero = found.p_zero[:, None] > LEVELS + 0.011
        assert (found.quantiles[surely_zero] == 0).all()
        assert (found.quantiles == np.round(found.quantiles)).all()


def test_errors_of_unknown_outcomes_are_ignored_and_none_at_all_gives_normal_ones():
    profile = _nature(500, is_whole=False)
    empty = calibrate(Errors(np.full(500, 4.0), np.full(500, np.nan), profile))
    found = distribution(np.array([4.0]), profile.take(np.array([0])), calibration=empty, levels=LEVELS)
    np.testing.assert_allclose(found.quantiles[0], 4 + 2 * stats.norm.ppf(LEVELS), atol=0.02)


def test_dispersion_tells_a_steady_series_from_a_wild_one():
    rng = np.random.default_rng(9)
    units = np.stack([rng.poisson(5, 200), rng.negative_binomial(0.5, 0.5 / 5.5, 200), np.zeros(200)]) * 1.0
    found = dispersion(panel_of(units))
    assert 0.7 < found[0] < 2 and found[1] > 5 and found[2] > 0


def test_only_uncensored_days_say_whether_units_are_whole():
    units = np.array([[1.0, 2.0, 3.5], [1.0, 2.0, 3.0], [np.nan, 0.5, 1.0]])
    panel = panel_of(units)
    assert is_integer_like(panel).tolist() == [False, True, False]
    panel.is_censored[0, 2] = True
    assert is_integer_like(panel).tolist() == [True, True, False]


def test_a_saved_calibration_comes_back_the_same(tmp_path):
    rng = np.random.default_rng(1)
    past = Errors(rng.exponential(2, 900), rng.poisson(2, 900) * 1.0, _nature(900, is_whole=True))
    kept = CalibrationSet((calibrate(past),) * 2, (*guessed(3).cumulative,))
    kept.save(tmp_path)
    read = load_calibration(tmp_path)
    assert read.daily[0].segments == ("smooth",)
    for one, other in zip((*kept.daily, *kept.cumulative), (*read.daily, *read.cumulative), strict=True):
        np.testing.assert_array_equal(one.table, other.table)
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"]
