"""Which contender serves a class: bias is taken out first, noise decides nothing, blends win ties."""

import numpy as np
import pytest

from retail_assets.demand import bias_correction, tournament
from retail_assets.demand.bias_correction import BOUNDS, bias_factor, corrected
from retail_assets.demand.calibration.backtest import Fold
from retail_assets.demand.calibration.conformal import SeriesProfile
from retail_assets.demand.models.contenders import BLENDS, SIMPLEST_FIRST, SINGLE
from retail_assets.demand.noise import Weekly, gap, standard_error
from retail_assets.demand.tournament import TrainingConfig, choice
from retail_assets.tables.forecast import MEAN_OF_BEST

WEEKS, SERIES, HORIZON = 24, 60, 14
CONFIG = TrainingConfig(horizon=HORIZON, protection_horizons=(7, 14))
UNITS = np.full(WEEKS, 1000.0)
RNG = np.random.default_rng(5)
COMMON = RNG.normal(0.1, 0.01, WEEKS)
"""What a week costs every contender."""


def _weekly(scaled: float, *, noise: float = 0.0, seed: int = 0) -> Weekly:
    """Losses whose mean over demand is `scaled`; `noise` is a contender's own, from week to week."""
    own = np.random.default_rng(seed).normal(0, 1, WEEKS)
    off = COMMON - COMMON.mean() + noise * (own - own.mean())
    return Weekly((scaled + off) * UNITS, UNITS)


def test_the_loser_by_its_own_table_is_not_taken_because_the_others_are_biased():
    """The table of a real training: ets had hardly any bias, the others more than 5 %."""
    found = {"ets": _weekly(0.1053), "lightgbm": _weekly(0.1009), MEAN_OF_BEST: _weekly(0.0991)}
    assert choice(found, lag=2) == MEAN_OF_BEST


def test_the_least_loss_serves_when_it_leads_beyond_noise():
    found = {
        "moving_mean": _weekly(0.12, noise=0.001, seed=1),
        "lightgbm": _weekly(0.1, noise=0.001, seed=2),
        MEAN_OF_BEST: _weekly(0.11, noise=0.001, seed=3),
    }
    assert choice(found, lag=2) == "lightgbm"


def test_within_noise_the_simpler_serves_and_a_lead_beyond_it_counts():
    names = {"lightgbm": 1, "ets": 2}
    tie = {name: _weekly(0.1 + 0.0001 * (name == "ets"), noise=0.01, seed=seed) for name, seed in names.items()}
    assert choice(tie, lag=2) == "ets"
    lead = {name: _weekly(0.1 + 0.002 * (name == "ets"), noise=0.001, seed=seed) for name, seed in names.items()}
    assert choice(lead, lag=2) == "lightgbm"


def test_a_blend_wins_a_tie_with_the_single_one():
    found = {"moving_mean": _weekly(0.1, noise=0.01, seed=1), MEAN_OF_BEST: _weekly(0.1001, noise=0.01, seed=2)}
    assert choice(found, lag=2) == MEAN_OF_BEST


def test_a_contender_whose_weeks_are_wild_does_not_win_because_its_loss_is_uncertain():
    """A simple one may tie by its own noise alone; the blend that leads by a tenth still takes its place."""
    found = {
        "moving_mean": _weekly(0.111, noise=0.08, seed=4),
        "lightgbm": _weekly(0.1, noise=0.001, seed=5),
        MEAN_OF_BEST: _weekly(0.101, noise=0.001, seed=6),
    }
    behind, error = gap(found["moving_mean"], found["lightgbm"], lag=2)
    assert behind < error
    assert choice(found, lag=2) == MEAN_OF_BEST


def test_with_too_few_weeks_all_tie_and_the_blend_serves():
    found = {
        "ets": Weekly(np.array([1.0, 1.0]), np.full(2, 10.0)),
        MEAN_OF_BEST: Weekly(np.full(2, 2.0), np.full(2, 10.0)),
    }
    assert choice(found, lag=2) == MEAN_OF_BEST


def test_every_contender_has_a_place_in_the_order_of_simplicity():
    assert sorted(SIMPLEST_FIRST) == sorted(SINGLE)
    assert SIMPLEST_FIRST[:2] == ("seasonal_naive", "moving_mean") and set(BLENDS) <= set(SIMPLEST_FIRST[-4:])


@pytest.mark.parametrize("lag", [0, 2])
def test_the_standard_error_covers_the_mean_of_weeks_that_share_days(lag: int):
    """Sums of three weeks: neighbours share two, and the plain standard error would be 0.6 of the right one."""
    rng, errors, means = np.random.default_rng(1), [], []
    for _ in range(300):
        weeks = np.convolve(rng.normal(0, 1, 102), np.ones(lag + 1), mode="valid")[:100]
        errors.append(standard_error(weeks, lag=2 * lag))
        means.append(weeks.mean())
    assert 0.75 < np.mean(errors) / np.std(means) < 1.15


def test_fewer_than_four_weeks_say_nothing_about_noise():
    assert standard_error(np.array([1.0, 2.0, 3.0]), lag=0) == np.inf
    assert standard_error(np.array([1.0, 2.0, 3.0, 4.0]), lag=0) == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)


def _folds(share: np.ndarray, *, noise: float = 0.0) -> list[Fold]:
    """Weekly origins of Poisson demand of 5 a day; a contender `off` that expects `share` (origins,) of it."""
    rng = np.random.default_rng(3)
    profile = SeriesProfile(np.full(SERIES, "smooth", dtype=object), np.ones(SERIES), np.ones(SERIES, dtype=bool))
    made = []
    for number, part in enumerate(share):
        actual = rng.poisson(5.0, (SERIES, HORIZON)).astype(float)
        mean = np.full(actual.shape, 5.0 * part * (1 + noise * rng.normal()))
        means = {"off": mean, "seasonal_naive": mean}
        step = np.ones(SERIES)
        made.append(Fold(7 * number + 70, actual, actual, profile, step, step, means, block=number * 3 // len(share)))
    return made


def test_a_factor_comes_from_the_other_blocks_only():
    """The last block expects a tenth too much, the others a tenth too little: it is corrected the wrong way."""
    share = np.repeat([0.9, 0.9, 1.1], 8)
    made, factors = corrected(_folds(share), "off", ["smooth"])
    kept = [
        fold.means["off"].mean() / before.means["off"].mean() for fold, before in zip(made, _folds(share), strict=True)
    ]
    np.testing.assert_allclose(kept[-8:], 1 / 0.9, rtol=0.01)
    assert max(kept[:16]) < 1.06 and factors["smooth"] < 1.09
    np.testing.assert_allclose([fold.means["seasonal_naive"].mean() for fold in made], 5.0 * share)


def test_steady_bias_is_taken_out_and_pays():
    ready, _, factors = tournament._entered(_folds(np.full(WEEKS, 0.85)), "off", CONFIG)
    assert factors["smooth"] == pytest.approx(1 / 0.85, rel=0.01)
    np.testing.assert_allclose([fold.means["off"].mean() for fold in ready], 5.0, rtol=0.02)


def test_a_factor_that_helps_few_units_and_harms_many_is_not_kept():
    """Half the products come back from silence and nobody expects them: the other half must not pay for that."""
    folds = _folds(np.full(WEEKS, 1.0))
    for fold in folds:
        fold.means["off"][: SERIES // 2] = 5.0
        fold.means["off"][SERIES // 2 :] = 0.5
        fold.actual[SERIES // 2 :] = np.where(np.arange(SERIES // 2)[:, None] % 30 == fold.origin // 7 % 30, 45.0, 0.0)
    assert corrected(folds, "off", ["smooth"])[1]["smooth"] > 1.1
    assert tournament._entered(folds, "off", CONFIG)[2] == {}


def test_bias_that_turns_around_is_left_alone():
    """A factor of the first weeks would harm the last ones: it costs, so the contender competes as it is."""
    folds = _folds(np.repeat([0.85, 0.85, 1.15], 8))
    ready, losses, factors = tournament._entered(folds, "off", CONFIG)
    assert factors == {}
    for fold, before in zip(ready, folds, strict=True):
        np.testing.assert_array_equal(fold.means["off"], before.means["off"])
    plain = tournament._losses(folds, "off", CONFIG)
    np.testing.assert_array_equal(losses[0][1], plain[0][1])


def test_the_naive_is_never_corrected():
    folds = _folds(np.full(WEEKS, 0.7))
    ready, _, factors = tournament._entered(folds, "seasonal_naive", CONFIG)
    assert factors == {}
    np.testing.assert_array_equal(ready[0].means["seasonal_naive"], folds[0].means["seasonal_naive"])


def test_a_factor_is_bounded_and_shrunk_by_its_noise():
    weeks = np.full(WEEKS, 100.0)
    assert bias_factor(3.0 * weeks, weeks, lag=4) == BOUNDS[1]
    assert bias_factor(0.1 * weeks, weeks, lag=4) == BOUNDS[0]
    wild = weeks * np.tile([0.2, 2.0], WEEKS // 2)
    assert bias_factor(wild, weeks, lag=4) == 1.0
    between = weeks * (1.1 + 0.2 * np.tile([1.0, -1.0], WEEKS // 2))
    assert 1.0 < bias_factor(between, weeks, lag=4) < 1.1
    assert bias_factor(2 * weeks[:3], weeks[:3], lag=4) == 1.0, "three weeks are too few"
    assert bias_factor(np.zeros(0), np.zeros(0), lag=4) == 1.0 == bias_factor(weeks, 0 * weeks, lag=4)


def test_the_class_without_sales_has_no_factor():
    assert "none" not in bias_correction.CORRECTED_CLASSES
