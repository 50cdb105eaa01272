"""Effects of promotions and launches: told by earlier days alone, found where they are, absent where they are not."""

from dataclasses import replace

import numpy as np
import pytest

from retail_assets.demand.effects.known_effects import NO_EFFECTS, known_effects
from retail_assets_tests.unit.demand_frames import panel_of

DAYS, HORIZON = 200, 14


def _promoted(units: np.ndarray, *, lift: float = 3.0):
    """Every fifth week at a fifth off, which sells `lift` times as much."""
    panel = panel_of(units, horizon=HORIZON)
    discount = np.zeros(panel.discount_rate.shape, dtype=np.float32)
    discount[:, (np.arange(discount.shape[1]) // 7) % 5 == 4] = 0.2
    known = discount[:, : panel.day_count] > 0
    return replace(panel, units=np.where(known, panel.units * lift, panel.units), discount_rate=discount)


def _demand(series: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).poisson(6.0, (series, DAYS)).astype(float)


def test_without_promotions_and_launches_nothing_is_changed():
    panel = panel_of(_demand(4), horizon=HORIZON)
    found = known_effects(panel)
    assert found is NO_EFFECTS and found.without(panel) is panel
    mean = np.ones((4, HORIZON))
    assert found.applied(mean) is mean


def test_the_lift_of_a_promotion_is_found_and_applied_to_the_days_ahead():
    panel = _promoted(_demand(12))
    found = known_effects(panel)
    ahead = panel.discount_rate[:, DAYS:] > 0
    assert found.ahead is not None and ahead.any() and not ahead.all()
    assert found.ahead[ahead].mean() == pytest.approx(3.0, rel=0.1)
    assert (found.ahead[~ahead] == 1).all()
    late = panel.discount_rate[:, :DAYS].copy()
    late[:, : DAYS // 2] = 0
    plain = found.without(panel).units
    assert plain[late > 0].mean() == pytest.approx(6.0, rel=0.1)
    assert plain[panel.discount_rate[:, :DAYS] == 0].mean() == pytest.approx(6.0, rel=0.05)


def test_no_day_is_told_by_itself_or_later_ones():
    panel = _promoted(_demand(6))
    cut = DAYS - 28
    units = panel.units.copy()
    units[:, cut:] *= 50
    changed = replace(panel, units=units)
    before, after = known_effects(panel), known_effects(changed)
    assert before.past is not None and after.past is not None
    week_of_cut = cut - (cut - DAYS % 7) % 7
    np.testing.assert_array_equal(before.past[:, : week_of_cut + 7], after.past[:, : week_of_cut + 7])


def test_a_launched_product_is_expected_to_grow_as_earlier_ones_did():
    rng, count = np.random.default_rng(8), 30
    units = rng.poisson(10.0, (count, DAYS)).astype(float)
    for number in range(count):
        start = 40 + 4 * number if number < 24 else DAYS - 10
        growth = np.clip(0.4 + 0.6 * (np.arange(DAYS) - start) / 28, 0.4, 1.0)
        units[number] = np.where(np.arange(DAYS) < start, np.nan, rng.poisson(10.0 * growth))
    units[0] = rng.poisson(10.0, DAYS)
    found = known_effects(panel_of(units, horizon=HORIZON))
    assert found.ahead is not None and found.past is not None
    young, old = found.ahead[24:], found.ahead[1:10]
    assert (young < 1).any() and (young[:, -1] >= young[:, 0]).all() and (old == 1).all()
    plain = (units / found.past)[24:, -10:]
    assert np.nanmean(plain) > 1.3 * np.nanmean(units[24:, -10:])
    assert (found.past[0] == 1).all()


@pytest.mark.parametrize("value", [0.0, 1e9])
def test_odd_demand_gives_finite_positive_effects(value):
    units = _demand(5)
    units[0], units[1, 50:] = value, np.nan
    units[2, :190] = np.nan
    found = known_effects(_promoted(units))
    for effect in (found.past, found.ahead):
        assert effect is not None and np.isfinite(effect).all() and (effect > 0).all()
