"""Unconstrained demand against the simulator's truth, brute-force sums and the published example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from retail_assets.demand.effects.censoring import NAMES, Censoring, TradingDays, censoring_of, unconstrain

WEEK = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.5, 0.8]) / 1.0
WEEK = WEEK / WEEK.mean()


def shop(levels, *, dispersion, cover, days=98, seed=7):
    """A weekly order-up-to shop that loses sales: demand, sales, closing stock, ISO weekdays."""
    rng = np.random.default_rng(seed)
    weekday = np.arange(days) % 7 + 1
    mean = levels[:, None] * WEEK[weekday - 1]
    rate = mean * rng.gamma(1 / dispersion, dispersion, mean.shape) if dispersion else mean
    demand = rng.poisson(rate).astype(float)
    target = np.round(levels * 7 * cover)
    stock, arriving = target.copy(), np.zeros((len(levels), days + 2))
    offset = rng.integers(0, 7, len(levels))
    sold, closing = np.zeros_like(demand), np.zeros_like(demand)
    for day in range(days):
        stock = stock + arriving[:, day]
        arriving[:, day + 2] = np.where((day + offset) % 7 == 0, np.maximum(target - stock, 0), 0)
        sold[:, day] = np.minimum(demand[:, day], stock)
        stock = stock - sold[:, day]
        closing[:, day] = stock
    return demand, sold, closing, weekday


@pytest.mark.parametrize("dispersion", [0.0, 0.3])
@pytest.mark.parametrize("level", [5.0, 12.0])
def test_unconstrained_demand_of_stock_out_days_is_unbiased(level, dispersion):
    demand, sold, closing, weekday = shop(np.full(600, level), dispersion=dispersion, cover=1.2)
    code, available = censoring_of(closing, sold)
    units, sd = unconstrain(TradingDays(sold, code, weekday, available_rate=available))
    scored = code == Censoring.FULL
    scored[:, :56] = False
    assert scored.sum() > 500
    assert sold[scored].sum() / demand[scored].sum() < 0.7
    assert units[scored].sum() / demand[scored].sum() == pytest.approx(1, abs=0.02)
    error = np.sqrt(np.mean((units - demand)[scored] ** 2))
    assert np.sqrt(np.mean(sd[scored] ** 2)) == pytest.approx(error, rel=0.15)


def test_known_hours_without_stock_are_used():
    rng = np.random.default_rng(1)
    share = np.where(rng.random((400, 84)) < 0.2, rng.random((400, 84)), 1.0)
    rest = rng.poisson(8 * (1 - share))
    sold = rng.poisson(8 * share).astype(float)
    code = np.where(share < 1, Censoring.PARTIAL, Censoring.NONE).astype(np.int8)
    units, sd = unconstrain(TradingDays(sold, code, np.arange(84) % 7 + 1, available_rate=share))
    scored = share < 1
    scored[:, :28] = False
    assert units[scored].sum() / (sold + rest)[scored].sum() == pytest.approx(1, abs=0.01)
    assert np.sqrt(np.mean(sd[scored] ** 2)) == pytest.approx(np.sqrt((8 * (1 - share[scored])).mean()), rel=0.05)


def test_days_that_sell_early_are_not_taken_for_even_ones():
    """Three quarters of the demand in the first half of the day; stock runs out late and costs little."""
    rng = np.random.default_rng(3)
    hours = np.where(rng.random((400, 84)) < 0.25, rng.random((400, 84)), 1.0)
    seen = np.sqrt(hours)
    sold, rest = rng.poisson(8 * seen).astype(float), rng.poisson(8 * (1 - seen))
    code = np.where(hours < 1, Censoring.PARTIAL, Censoring.NONE).astype(np.int8)
    units, _ = unconstrain(TradingDays(sold, code, np.arange(84) % 7 + 1, available_rate=hours))
    scored = hours < 1
    scored[:, :28] = False
    assert units[scored].sum() / (sold + rest)[scored].sum() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("step", [1.0, 0.5, 0.1, 0.001])
@pytest.mark.parametrize("level", [5.0, 50.0])
def test_weighed_goods_are_counted_in_steps(step, level):
    """Poisson numbers of steps, days cut at a random hour and days that reached a cap."""
    rng, shape = np.random.default_rng(2), (300, 70)
    demand, is_short = rng.poisson(level, shape), rng.random(shape) < 0.2
    share = np.where(is_short, rng.integers(1, 14, shape) / 14, 1.0)
    cap = rng.poisson(level * 0.9, shape)
    reached = is_short & (demand >= cap)
    cut = {"sold": rng.binomial(demand, share), "code": np.where(is_short, 2, 0), "share": share}
    capped = {"sold": np.where(reached, cap, demand), "code": np.where(reached, 2, 0), "share": None}
    for case in (cut, capped):
        units, sd = unconstrain(
            TradingDays(
                case["sold"] * step,
                case["code"].astype(np.int8),
                np.arange(70) % 7 + 1,
                available_rate=case["share"],
                unit_step=np.full(300, step),
                is_sold_out=np.zeros(shape, dtype=bool),
            )
        )
        scored = case["code"] == 2
        scored[:, :42] = False
        assert units[scored].sum() / (demand[scored].sum() * step) == pytest.approx(1, abs=0.02)
        error = np.sqrt(np.mean((units - demand * step)[scored] ** 2))
        assert np.sqrt(np.mean(sd[scored] ** 2)) == pytest.approx(error, rel=0.1)


def test_observed_quantities_stay_as_they_were_sold():
    sold = np.array([[0.3, 0.7, 0.1, 1.1, 0.3, 2.9]])
    units, sd = unconstrain(TradingDays(sold, np.zeros((1, 6), np.int8), np.arange(1, 7), unit_step=np.array([0.1])))
    assert (units == sold).all() and (sd == 0).all()


def test_hours_that_the_sales_contradict_are_not_believed():
    """Units sold on a day that is said to have been empty throughout made any demand as likely as any other."""
    sold = np.tile([8.0, 13.0, 7.0, 4.0, 8.0, 0.0, 5.0], 8)[None, :]
    share = np.tile([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 8)[None, :]
    code = np.where(share < 1, Censoring.PARTIAL, Censoring.NONE).astype(np.int8)
    units, sd = unconstrain(TradingDays(sold, code, np.arange(56) % 7 + 1, available_rate=share))
    assert (units >= sold).all() and units.max() < 40
    assert units[0, 3] < 30 and sd.max() < 500, "not the ceiling that bounds what nothing is known of"
    _, available = censoring_of(np.zeros(2), np.array([13.0, 0.0]), stock_out_hours=np.full(2, 14.0))
    assert np.isnan(available[0]) and available[1] == 0


def test_windows_of_lower_bounds_have_a_ceiling():
    rng = np.random.default_rng(5)
    demand = rng.negative_binomial(0.5, 0.02, (50, 70)).astype(float)
    sold = np.minimum(demand, 3)
    code = np.where(demand >= 3, Censoring.FULL, Censoring.NONE).astype(np.int8)
    units, _ = unconstrain(TradingDays(sold, code, np.arange(70) % 7 + 1))
    assert (code == Censoring.FULL).mean() > 0.6
    assert units.max() == 9.0


def test_poisson_5_capped_at_5_gives_5():
    """Every weekday holds the same Poisson 5 quantiles: uncensored days have mean 3.008, the maximum is at 5.000."""
    count = 277
    values = stats.poisson.ppf((np.arange(count) + 0.5) / count, 5)
    demand = np.repeat(np.random.default_rng(0).permutation(values), 7)
    sales = np.append(np.minimum(demand, 5), np.zeros(8))[None, :]
    code = np.append(np.where(demand >= 5, Censoring.FULL, Censoring.NONE), [Censoring.FULL] * 8)
    weekday = np.arange(sales.shape[1]) % 7 + 1
    units, _ = unconstrain(
        TradingDays(sales, code[None, :].astype(np.int8), weekday), window_days=10**6, dispersion=0.0
    )
    seen, capped = values[values < 5], (values >= 5).sum()
    level = optimize.minimize_scalar(
        lambda m: -stats.poisson.logpmf(seen, m).sum() - capped * stats.poisson.logsf(4, m), bounds=(1, 9)
    ).x
    assert seen.mean() == pytest.approx(3.008, abs=0.002)
    assert level == pytest.approx(5.0, abs=0.002)
    assert units[0, -1] == pytest.approx(level, abs=0.002)


def brute_force(mean, dispersion, at_least):
    distribution = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean)) if dispersion else stats.poisson(mean)
    values = np.arange(at_least, at_least + 4000)
    mass = distribution.pmf(values)
    first = (values * mass).sum() / mass.sum()
    return first, (values**2 * mass).sum() / mass.sum() - first**2


@pytest.mark.parametrize("dispersion", [0.0, 0.4])
@pytest.mark.parametrize("sold", [0, 1, 4, 9, 30])
def test_estimate_is_the_conditional_mean_at_the_fitted_level(sold, dispersion):
    """With a long uncensored history of mean 4 the fit is 4, and the value must be E[D | D ≥ sales]."""
    history = np.tile([3.0, 4.0, 5.0], 70)
    sales = np.append(history, [4.0] * 7 + [float(sold)])[None, :]
    code = np.zeros(sales.shape, dtype=np.int8)
    code[0, -1] = Censoring.FULL
    weekday = np.ones(sales.shape[1], dtype=int)
    units, sd = unconstrain(TradingDays(sales, code, weekday), window_days=10**4, dispersion=dispersion)
    mean, variance = brute_force(4.0, dispersion, sold)
    assert units[0, -1] == pytest.approx(mean, rel=1e-3)
    assert sd[0, -1] == pytest.approx(np.sqrt(variance), rel=5e-3)


def test_no_value_depends_on_later_days():
    demand, sold, closing, weekday = shop(np.full(30, 4.0), dispersion=0.3, cover=1.0)
    code, available = censoring_of(closing, sold)
    whole, whole_sd = unconstrain(TradingDays(sold, code, weekday, available_rate=available))
    part, part_sd = unconstrain(TradingDays(sold[:, :70], code[:, :70], weekday[:70], available_rate=available[:, :70]))
    np.testing.assert_allclose(part, whole[:, :70], rtol=1e-12)
    np.testing.assert_allclose(part_sd, whole_sd[:, :70], rtol=1e-9)


def test_history_columns_are_not_returned_and_change_nothing():
    demand, sold, closing, weekday = shop(np.full(20, 4.0), dispersion=0.3, cover=1.0)
    code, available = censoring_of(closing, sold)
    whole, _ = unconstrain(TradingDays(sold, code, weekday, available_rate=available))
    part, _ = unconstrain(TradingDays(sold, code, weekday, available_rate=available), first_day=80)
    np.testing.assert_allclose(part, whole[:, 80:], rtol=1e-12)


def test_nothing_before_the_window_counts():
    demand, sold, closing, weekday = shop(np.full(20, 4.0), dispersion=0.0, cover=1.0)
    code, _ = censoring_of(closing, sold)
    other = sold.copy()
    other[:, : 98 - 56] *= 3
    before, _ = unconstrain(TradingDays(sold, code, weekday))
    after, _ = unconstrain(TradingDays(other, code, weekday))
    np.testing.assert_allclose(before[:, -1], after[:, -1], rtol=1e-12)


def test_window_without_information_is_unknown_and_missing_stays_missing():
    sales = np.array([[0.0] * 30, [np.nan] * 30, [2.0] * 30])
    code = np.array([[Censoring.FULL] * 30, [Censoring.UNKNOWN] * 30, [Censoring.UNKNOWN] * 30], dtype=np.int8)
    empty = np.where(code == Censoring.FULL, 0.0, np.nan)
    units, sd = unconstrain(TradingDays(sales, code, np.arange(30) % 7 + 1, available_rate=empty))
    assert np.isnan(units[0]).all() and np.isnan(units[1]).all() and np.isnan(sd[1]).all()
    assert (units[2] == 2).all() and (sd[2] == 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95), st.sampled_from([0.2, 3.0, 40.0]))
def test_estimates_are_finite_never_below_sales_and_observed_days_untouched(seed, share, level):
    rng = np.random.default_rng(seed)
    sales = rng.poisson(level, (4, 40)).astype(float)
    code = np.where(rng.random(sales.shape) < share, Censoring.FULL, Censoring.NONE).astype(np.int8)
    units, sd = unconstrain(TradingDays(sales, code, np.arange(40) % 7 + 1))
    known = ~np.isnan(units)
    assert (units[known] >= sales[known]).all() and np.isfinite(sd[known]).all() and (sd[known] >= 0).all()
    assert (units[code == 0] == sales[code == 0]).all() and (sd[code == 0] == 0).all()
    assert known[code == 0].all()


NAN = np.nan


@pytest.mark.parametrize(
    ("closing", "sold", "before", "hours", "expected", "available"),
    [
        (5, 2, 7, NAN, "none", 1.0),
        (5, 2, 7, 0, "none", 1.0),
        (0, 7, 7, NAN, "full", NAN),
        (0, 7, 7, 3.5, "full", 0.75),
        (0, 0, 0, NAN, "full", 0.0),
        (-1, 3, 2, NAN, "full", NAN),
        (5, 2, 0, 7, "partial", 0.5),
        (NAN, 2, 7, NAN, "unknown", NAN),
        (NAN, 2, 7, 7, "partial", 0.5),
        (NAN, 2, 7, 0, "none", 1.0),
        (-5, 3, -2, NAN, "unknown", NAN),
        (0, 3, 0, NAN, "full", NAN),
    ],
)
def test_rule_of_censoring(closing, sold, before, hours, expected, available):
    code, share = censoring_of(
        np.array([[closing]], dtype=float),
        np.array([[sold]], dtype=float),
        previous_on_hand_units=np.array([[before]], dtype=float),
        stock_out_hours=np.array([[hours]], dtype=float),
    )
    assert NAMES[code[0, 0]] == expected
    np.testing.assert_equal(share[0, 0], available)
