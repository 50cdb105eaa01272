"""`Demand` against scipy's distributions, sums by hand, and properties that hold for any stored quantiles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retail_assets.inventory.distribution import Demand
from retail_assets.tables.forecast import QUANTILE_LEVELS

LEVELS = np.array(list(QUANTILE_LEVELS.values()))


def poisson(mean: float, points: int = 200) -> Demand:
    pmf = stats.poisson.pmf(np.arange(points), mean)
    return Demand.from_pmf(pmf / pmf.sum())


def stored(distribution, *, mean: float) -> Demand:
    """As the forecast table keeps it: float32 quantiles and p_zero."""
    quantiles = distribution.ppf(LEVELS).astype(np.float32)[None]
    return Demand.from_quantiles(quantiles, LEVELS, p_zero=np.float32(distribution.cdf(0)), mean_units=mean)


@st.composite
def forecasts(draw) -> tuple[np.ndarray, float, float]:
    """Ascending whole quantiles, p_zero that agrees with them, and any mean."""
    steps = draw(st.lists(st.integers(0, 40), min_size=len(LEVELS), max_size=len(LEVELS)))
    quantiles = np.cumsum(steps).astype(float)
    zeros = LEVELS[quantiles == 0]
    low = float(zeros[-1]) if len(zeros) else 0.0
    above = LEVELS[quantiles > 0]
    high = float(above[0]) if len(above) else 1.0
    p_zero = low + draw(st.floats(0, 0.95)) * (high - low)
    return quantiles, p_zero, draw(st.floats(0, 400))


@pytest.mark.parametrize("mean", [0.004, 0.05, 0.3, 1, 2, 6, 28, 200, 3000])
def test_stored_quantiles_of_a_poisson_come_back_with_mean_and_p_zero(mean):
    truth = stats.poisson(mean)
    demand = stored(truth, mean=mean)
    assert [demand.quantile(p)[0] for p in LEVELS] == truth.ppf(LEVELS).tolist()
    assert demand.mean[0] == pytest.approx(mean, rel=1e-9)
    assert demand.cdf(0)[0] == pytest.approx(truth.cdf(0), abs=1e-6)


@pytest.mark.parametrize("mean", [0.3, 2, 6, 28, 200])
def test_probabilities_between_the_stored_quantiles_are_near_the_truth(mean):
    for truth in (stats.poisson(mean), stats.nbinom(2, 2 / (2 + mean))):
        points = np.arange(int(truth.ppf(0.999)) + 1)
        demand = stored(truth, mean=mean)
        assert np.abs(demand.cdf(points[None])[0] - truth.cdf(points)).max() < 0.08
        short = [np.sum(truth.sf(np.arange(k, 20 * (mean + 20)))) for k in points]
        found = demand.expected_shortage(points[None])[0]
        assert np.abs(found - short).max() < 0.03 * mean + 0.1


def test_expected_shortage_of_a_discrete_distribution_is_the_sum():
    demand = Demand.from_pmf([0.2, 0.3, 0.1, 0.4])
    for units in (-1.5, 0, 0.5, 1, 2.25, 3, 7):
        by_hand = sum(p * max(k - units, 0) for k, p in enumerate([0.2, 0.3, 0.1, 0.4]))
        assert demand.expected_shortage(units)[0] == pytest.approx(by_hand)
    assert demand.cdf(np.array([[-1, 0, 1.7, 3]]))[0] == pytest.approx([0, 0.2, 0.5, 1.0])
    assert demand.quantile(np.array([[0.2, 0.21, 0.6, 0.99]]))[0].tolist() == [0, 1, 2, 3]


def test_delivery_delay_is_mixed_not_added_to_the_variance():
    demand = Demand.mix([0.8, 0.2], [poisson(12), poisson(24)])
    by_hand = 0.8 * stats.poisson.cdf(27, 12) + 0.2 * stats.poisson.cdf(27, 24)
    assert demand.quantile(0.95).tolist() == [27]
    assert demand.cdf(27)[0] == pytest.approx(by_hand) == pytest.approx(0.953504, abs=1e-6)
    assert demand.mean[0] == pytest.approx(14.4)
    sd = np.sqrt(14.4 + 16 * 9 * 0.16)
    assert round(float(stats.norm.ppf(0.95, 14.4, sd)), 1) == 24.5
    assert poisson(14.4).quantile(0.95).tolist() == [21]


def test_parts_of_a_mixture_that_weigh_nothing_change_no_bit():
    """Series of one mixture have as many parts as the one with the most, and sums of NumPy depend on how many."""
    rng = np.random.default_rng(2)
    parts = [poisson(mean) for mean in rng.gamma(2.0, 4.0, 12)]
    for _ in range(20):
        weights = rng.dirichlet(np.ones(5))
        few, many = Demand.mix(weights, parts[:5]), Demand.mix([*weights, *[0.0] * 7], parts)
        stock = rng.uniform(0, 30)
        assert few.expected_shortage(stock).tolist() == many.expected_shortage(stock).tolist()
        assert few.cdf(stock).tolist() == many.cdf(stock).tolist()
        assert few.mean.tolist() == many.mean.tolist()


def test_delay_without_variance_is_the_deterministic_limit():
    certain = Demand.mix([0.0, 1.0, 0.0], [poisson(3), poisson(9), poisson(30)])
    for p in (0.05, 0.5, 0.9, 0.999):
        assert certain.quantile(p).tolist() == [stats.poisson.ppf(p, 9)]


def test_quantiles_of_days_do_not_add_up():
    assert 7 * poisson(2).quantile(0.95)[0] == 35
    assert poisson(14).quantile(0.95).tolist() == [20]


def test_weighed_goods_stay_on_their_step():
    quantiles = stats.norm.ppf(LEVELS, 5, 0.8)[None]
    demand = Demand.from_quantiles(quantiles, LEVELS, p_zero=0, mean_units=5, unit_step=0.05)
    found = np.array([demand.quantile(p)[0] for p in LEVELS])
    assert np.allclose(found / 0.05, np.round(found / 0.05))
    assert ((found >= quantiles[0] - 1e-9) & (found < quantiles[0] + 0.05)).all()
    assert demand.mean[0] == pytest.approx(5)


def test_continuous_products_are_not_rounded():
    truth = stats.norm(50, 8)
    demand = Demand.from_quantiles(truth.ppf(LEVELS)[None], LEVELS, p_zero=0, mean_units=50, unit_step=0)
    assert demand.quantile(LEVELS[None])[0] == pytest.approx(truth.ppf(LEVELS), abs=1e-6)
    assert demand.expected_shortage(60)[0] == pytest.approx(
        8 * (stats.norm.pdf(1.25) - 1.25 * stats.norm.sf(1.25)), abs=0.15
    )


def test_p_zero_wins_over_quantiles_that_contradict_it():
    demand = Demand.from_quantiles(np.full((1, 10), 3.0), LEVELS, p_zero=0.6, mean_units=1.5)
    assert demand.cdf(0)[0] == pytest.approx(0.6)
    assert demand.quantile(np.array([[0.5, 0.6, 0.75]]))[0].tolist() == [0, 0, 3]


def test_a_mean_above_all_stored_quantiles_lies_in_the_tail():
    demand = Demand.from_quantiles(np.zeros((1, 10)), LEVELS, p_zero=0.998, mean_units=0.03)
    assert demand.mean[0] == pytest.approx(0.03)
    assert demand.quantile(0.998).tolist() == [0]
    assert demand.quantile(0.9999)[0] > 15


def test_quantiles_win_over_a_mean_that_no_distribution_with_them_has():
    demand = Demand.from_quantiles(np.full((1, 10), 20.0), LEVELS, p_zero=0, mean_units=2)
    assert demand.quantile(0.5).tolist() == [20]
    assert demand.mean[0] > 15


@given(forecasts())
@settings(max_examples=60, deadline=None)
def test_quantile_is_the_smallest_point_that_reaches_the_probability(forecast):
    quantiles, p_zero, mean = forecast
    demand = Demand.from_quantiles(quantiles[None], LEVELS, p_zero=p_zero, mean_units=mean)
    for p in [*LEVELS, 0.01, 0.33, 0.96, 0.999]:
        point = demand.quantile(p)[0]
        assert demand.cdf(point)[0] >= p - 1e-9
        assert point == 0 or demand.cdf(point - 1)[0] < p
    contradicted = (p_zero + 1e-6 < LEVELS) & (quantiles == 0)
    found = np.array([demand.quantile(p)[0] for p in LEVELS])
    assert (found == quantiles)[~contradicted].all()


@given(forecasts())
@settings(max_examples=60, deadline=None)
def test_shortage_is_the_sum_of_what_lies_above(forecast):
    quantiles, p_zero, mean = forecast
    demand = Demand.from_quantiles(quantiles[None], LEVELS, p_zero=p_zero, mean_units=mean)
    points = np.arange(0, quantiles[-1] + 12)
    level, short = demand.cdf(points[None])[0], demand.expected_shortage(points[None])[0]
    assert (np.diff(level) >= -1e-12).all() and (level <= 1 + 1e-12).all()
    assert short[0] == pytest.approx(demand.mean[0])
    assert -np.diff(short) == pytest.approx(1 - level[:-1], abs=1e-9)
    assert demand.expected_shortage(-4)[0] == pytest.approx(demand.mean[0] + 4)


@given(st.lists(forecasts(), min_size=2, max_size=5), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_many_series_at_once_answer_like_each_alone(rows, weight):
    demands = [Demand.from_quantiles(q[None], LEVELS, p_zero=p, mean_units=m) for q, p, m in rows]
    together = Demand.from_quantiles(
        np.array([q for q, _, _ in rows]),
        LEVELS,
        p_zero=[p for _, p, _ in rows],
        mean_units=[m for _, _, m in rows],
    )
    mixed = Demand.mix([weight, 1 - weight], [together, together.scale(2)])
    for i, alone in enumerate(demands):
        assert together.quantile(0.95)[i] == alone.quantile(0.95)[0]
        assert together.take([i]).expected_shortage(3)[0] == pytest.approx(alone.expected_shortage(3)[0])
        own = Demand.mix([weight, 1 - weight], [alone, alone.scale(2)])
        assert mixed.quantile(0.9)[i] == own.quantile(0.9)[0]
        assert mixed.cdf(5)[i] == pytest.approx(weight * alone.cdf(5)[0] + (1 - weight) * alone.scale(2).cdf(5)[0])


@given(forecasts(), st.sampled_from([0.25, 0.5, 1.0, 1.7, 3.0]))
@settings(max_examples=60, deadline=None)
def test_scaling_moves_the_quantiles_and_keeps_the_chance_of_no_demand(forecast, factor):
    quantiles, p_zero, mean = forecast
    demand = Demand.from_quantiles(quantiles[None], LEVELS, p_zero=p_zero, mean_units=mean)
    scaled = demand.scale(factor)
    assert scaled.cdf(0)[0] == pytest.approx(demand.cdf(0)[0])
    for p in (0.5, 0.9, 0.975):
        before = demand.quantile(p)[0]
        assert before * factor - 1e-3 <= scaled.quantile(p)[0] + (0 if p in LEVELS else 1)
        assert scaled.quantile(p)[0] <= max(np.ceil(before * factor), 1)


def test_scaling_brings_the_mean_along_and_factor_zero_is_no_demand():
    demand = stored(stats.poisson(20), mean=20)
    assert demand.scale(1.5).mean[0] == pytest.approx(30)
    assert demand.scale(0).mean[0] == 0
    assert demand.scale(0).quantile(0.99).tolist() == [0]


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.4, 5, 40])
@pytest.mark.parametrize(("stored_days", "days"), [(3, 1), (7, 2), (14, 10), (28, 20), (7, 14)])
def test_a_part_of_the_days_has_its_mean_and_chance_of_no_demand(rate, stored_days, days):
    truth = stats.poisson(rate * days)
    part = stored(stats.poisson(rate * stored_days), mean=rate * stored_days).part(days / stored_days)
    assert part.mean[0] == pytest.approx(truth.mean(), rel=0.06)
    assert part.cdf(0)[0] == pytest.approx(truth.cdf(0), abs=1e-6)
    points = np.arange(int(truth.ppf(0.999)) + 1)
    assert np.abs(part.cdf(points[None])[0] - truth.cdf(points)).max() < 0.17


def test_all_days_are_the_whole_and_no_days_are_no_demand():
    demand = stored(stats.poisson([0.2]), mean=0.2)
    points = np.arange(4)[None]
    assert demand.part(1).cdf(points).tolist() == demand.cdf(points).tolist()
    assert demand.part(0).mean[0] == 0 and demand.part(0).cdf(0)[0] == 1


@pytest.mark.parametrize(
    ("quantiles", "mean", "message"),
    [
        ([3.0] * 9 + [2.0], 3, "lower than the one before"),
        ([-1.0] + [2.0] * 9, 3, "negative"),
        ([np.nan] + [2.0] * 9, 3, "missing"),
        ([2.0] * 10, np.nan, "mean_units"),
    ],
)
def test_impossible_quantiles_are_refused(quantiles, mean, message):
    with pytest.raises(ValueError, match=message):
        Demand.from_quantiles([quantiles], LEVELS, p_zero=0.0, mean_units=mean)


def test_wrong_questions_are_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        Demand.from_pmf([0.5, 0.4])
    with pytest.raises(ValueError, match="between 0 and 1"):
        poisson(2).quantile(1.0)
    with pytest.raises(ValueError, match="weights"):
        Demand.mix([0.5, 0.6], [poisson(2), poisson(3)])
    with pytest.raises(ValueError, match="same lattice"):
        Demand.mix([0.5, 0.5], [poisson(2), Demand.from_pmf([0.5, 0.5], unit_step=0.1)])
