"""What is expected of series that have stood unsold for two months, by hand and against simulated returns."""

from dataclasses import replace

import numpy as np
import pytest

from retail_assets.demand.effects.silence import expected_return
from retail_assets.demand.models.contenders import contender_means
from retail_assets_tests.unit.demand_frames import panel_of

DAYS, HORIZON = 400, 14
USUAL = 1 - (1 - 0.011) ** np.arange(1, HORIZON + 1)


def _row(level: float, *, silent: int) -> np.ndarray:
    row = np.full(DAYS, level)
    row[DAYS - silent :] = 0.0
    return row


def _expected(*rows: np.ndarray) -> np.ndarray:
    return expected_return(panel_of(np.stack(rows), horizon=HORIZON))


def test_the_longer_ahead_the_likelier_a_return_and_a_little_below_the_level_before():
    [found] = _expected(_row(2.0, silent=56))
    rate = 0.011 * 200 / 200  # the only series is silent for the first day: nothing is learnt of it yet
    np.testing.assert_allclose(found, 0.85 * 2.0 * (1 - (1 - rate) ** np.arange(1, HORIZON + 1)))


def test_series_that_sell_or_have_only_just_stopped_are_left_to_the_models():
    slow = np.zeros(DAYS)
    slow[: DAYS - 70 : 20] = 1.0  # one sale in 20 days: 70 days bring three or four
    found = _expected(_row(2.0, silent=55), _row(2.0, silent=0), slow, np.zeros(DAYS), np.full(DAYS, np.nan))
    assert np.isnan(found).all()


def test_days_without_stock_are_no_silence():
    row = _row(2.0, silent=90)
    row[-60:-20] = np.nan
    assert np.isnan(_expected(row)).all()


def test_a_long_silence_ends_more_rarely():
    short, long = _expected(_row(2.0, silent=60), _row(2.0, silent=200))
    assert (long < short).all()


def test_closed_days_bring_nothing():
    panel = panel_of(_row(2.0, silent=60)[None, :], horizon=HORIZON)
    is_open = panel.is_open.copy()
    is_open[:, DAYS + 3 :] = False
    [found] = expected_return(replace(panel, is_open=is_open))
    assert (found[:3] > 0).all() and (found[3:] == 0).all()


def test_returns_of_many_series_are_learnt_and_one_that_returns_all_the_time_counts_once():
    """200 series fall silent on day 100 and come back with 5 % a day, five times as often as usual."""
    rng = np.random.default_rng(1)
    many = np.full((200, DAYS), 3.0)
    for row in many:
        row[100 : 100 + 56 + rng.geometric(0.05)] = 0.0
    asked = _row(3.0, silent=60)
    [usual] = _expected(asked)
    learnt = _expected(*many, asked)[-1]
    assert 3 < learnt[0] / usual[0] < 5
    restless = np.tile(np.repeat([3.0, 0.0], [4, 58]), 7)[:DAYS]
    alone = _expected(*many, asked, restless)[-2]
    np.testing.assert_allclose(alone, learnt, rtol=0.02)


def test_nothing_ahead_of_a_day_is_seen():
    rng = np.random.default_rng(2)
    units = rng.poisson(1.5, (20, DAYS)).astype(float)
    units[:10, -150:-60] = 0.0
    units[:5, -60:] = 0.0
    cut = panel_of(units, horizon=HORIZON)
    past = cut.through(cut.dates[DAYS - 40].astype(object))
    changed = units.copy()
    changed[:, DAYS - 39 :] = 50.0
    other = panel_of(changed, horizon=HORIZON)
    np.testing.assert_array_equal(
        expected_return(past), expected_return(other.through(other.dates[DAYS - 40].astype(object)))
    )


@pytest.mark.parametrize("name", ["tsb", "ets"])
def test_contenders_expect_the_return_and_yardsticks_do_not(name):
    panel = panel_of(np.stack([_row(2.0, silent=60), np.full(DAYS, 1.0)]), horizon=HORIZON)
    made = contender_means(panel, [name, "seasonal_naive", "moving_mean"], fitted={}, aggregate=None).by_name
    np.testing.assert_allclose(made[name][0], expected_return(panel)[0])
    assert (made[name][1] > 0).all()
    assert (made["seasonal_naive"][0] == 0).all() and (made["moving_mean"][0] == 0).all()


def test_two_weeks_of_many_returns_bring_what_was_expected():
    """Series that sold 4 a day return with 1.5 % a day; what is expected of those still silent is what they bring."""
    rng = np.random.default_rng(3)
    units = rng.poisson(4.0, (600, DAYS + HORIZON)).astype(float)
    for row in units:
        start = rng.integers(130, DAYS - 60)
        row[start : start + 56 + rng.geometric(0.015)] = 0.0
    found = expected_return(panel_of(units[:, :DAYS], horizon=HORIZON))
    silent = ~np.isnan(found[:, 0])
    assert silent.sum() > 100
    assert found[silent].sum() / units[silent, DAYS:].sum() == pytest.approx(0.85, abs=0.2)
