"""Order policies against stockpyl, textbook values and sums by hand."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench import textbook
from retail_assets.inventory import policies
from retail_assets.inventory.distribution import Demand

with warnings.catch_warnings():
    # its docstrings hold escape sequences that Python warns of when it compiles them
    warnings.simplefilter("ignore")
    from stockpyl import eoq as oracle_eoq
    from stockpyl import newsvendor as oracle_newsvendor
    from stockpyl.rq import r_q_poisson_exact
    from stockpyl.ss import s_s_discrete_exact

POINTS = np.arange(400)


def poisson(mean: float) -> Demand:
    pmf = stats.poisson.pmf(POINTS, mean)
    return Demand.from_pmf(pmf / pmf.sum())


@pytest.mark.parametrize(
    ("over", "under", "mean", "sd", "level", "cost"),
    [(0.18, 0.70, 50, 8, 56.603956, 1.997605), (2, 18, 120, 10, 132.815516, 35.099666)],
)
def test_newsvendor_normal(over, under, mean, sd, level, cost):
    best = textbook.newsvendor_normal(over, under, mean=mean, sd=sd)
    assert best == pytest.approx((level, cost), abs=1e-6)
    assert best == pytest.approx(oracle_newsvendor.newsvendor_normal(over, under, mean, sd))


@pytest.mark.parametrize(
    ("over", "under", "mean", "level", "cost"), [(0.18, 0.70, 50, 56, 1.797235), (1, 4, 6, 8, 3.570107)]
)
def test_newsvendor_poisson(over, under, mean, level, cost):
    best = textbook.newsvendor_poisson(over, under, mean=mean)
    assert best == pytest.approx((level, cost), abs=1e-6)
    assert best == pytest.approx(oracle_newsvendor.newsvendor_poisson(over, under, mean))


def test_s_S_textbook_value():
    best = textbook.s_S_poisson(1, 4, order_cost=5, mean=6)
    assert best == pytest.approx((4, 10, 8.034112), abs=1e-6)


@pytest.mark.parametrize("case", [(1, 4, 5, 6), (0.5, 20, 10, 3), (1, 4, 0.01, 6), (2, 3, 30, 0.4)])
def test_s_S_agrees_with_the_oracle(case):
    holding, shortage, order, mean = case
    best = textbook.s_S_poisson(holding, shortage, order_cost=order, mean=mean)
    assert best == pytest.approx(s_s_discrete_exact(holding, shortage, order, True, mean))


@pytest.mark.parametrize("case", [(20, 150, 100, 1.5, 2), (1, 9, 64, 5, 3), (3, 5, 0.1, 7, 1)])
def test_r_Q_agrees_with_the_oracle(case):
    holding, shortage, order, rate, lead = case
    best = textbook.r_Q_poisson(holding, shortage, order_cost=order, demand_rate=rate, lead_time=lead)
    assert best == pytest.approx(r_q_poisson_exact(*case))
    if case[0] == 20:
        assert best == pytest.approx((3, 5, 107.923581), abs=1e-6)


def test_economic_order_quantity():
    best = textbook.economic_order_quantity(8, 0.225, demand_rate=1300)
    assert best.order_units == pytest.approx(304.04678, abs=1e-5)
    assert best == pytest.approx(oracle_eoq.economic_order_quantity(8, 0.225, 1300))


@pytest.mark.parametrize("breaks", [[(0, 0.75), (400, 0.72), (800, 0.68)], [(0, 0.75), (200, 0.72), (1500, 0.68)]])
def test_quantity_breaks(breaks):
    best = textbook.economic_order_quantity_with_breaks(8, 0.3, demand_rate=1300, breaks=breaks)
    oracle = oracle_eoq.economic_order_quantity_with_all_units_discounts(
        8, 0.3, 1300, [q for q, _ in breaks], [c for _, c in breaks]
    )
    assert best == pytest.approx((oracle[0], oracle[2]))


def test_periodic_review_and_reorder_point():
    level = textbook.periodic_order_up_to(0.90, demand_mean=2500, demand_sd=500, review=4, lead_time=2)
    assert level == pytest.approx((16569.57, 1569.57), abs=0.01)
    service = textbook.cycle_service_normal(6000, order_units=10000, demand_mean=2500, demand_sd=500, lead_time=2)
    assert service == pytest.approx((0.92135, 25.127, 0.997487), abs=5e-4)
    assert service.fill_rate == pytest.approx(0.997487, abs=1e-6)


def test_safety_stock_covers_both_variabilities():
    draws = np.random.default_rng(7)
    lead = np.maximum(draws.normal(10, 2, 400_000), 0)
    demand = draws.normal(20 * lead, 5 * np.sqrt(lead))
    simulated = np.quantile(demand, 0.95) - demand.mean()
    stock = textbook.safety_stock(0.95, demand_mean=20, demand_sd=5, lead_time=10, lead_time_sd=2)
    assert stock == pytest.approx(simulated, rel=0.02)


def test_packs_belong_to_the_reorder_point():
    demand = poisson(10)
    assert policies.reorder_point_with_packs(demand, 12, target=0.95).tolist() == [11]
    reached = stats.poisson.cdf(np.arange(12, 24), 10).mean()
    assert policies.mean_cycle_service(demand, 12, reorder_point=11)[0] == pytest.approx(reached)
    assert reached == pytest.approx(0.955763, abs=1e-6)
    rounded_up = np.mean([stats.poisson.cdf(y, 10) for y in range(15, 27)])
    assert policies.order_up_to_cycle(demand, 0.95).tolist() == [15]
    assert rounded_up == pytest.approx(0.991377, abs=1e-6)


def test_positions_after_ordering_packs_are_uniform():
    draws, position, seen = np.random.default_rng(1), 12, []
    for demand in draws.poisson(10, 60_000):
        position -= demand
        if position <= 11:
            position += 12 * int(np.ceil((12 - position) / 12))
        seen.append(position)
    shares = np.bincount(seen, minlength=24)[12:24] / len(seen)
    assert min(seen) == 12 and max(seen) == 23
    assert shares == pytest.approx(np.full(12, 1 / 12), abs=0.005)


@given(st.floats(0.02, 60), st.integers(1, 40), st.floats(0.3, 0.995))
@settings(max_examples=60, deadline=None)
def test_reorder_point_is_the_smallest_that_reaches_the_target(mean, pack, target):
    found = policies.reorder_point_with_packs(poisson(mean), pack, target=target)[0]
    reached = {s: stats.poisson.cdf(np.arange(s + 1, s + pack + 1), mean).mean() for s in (found, found - 1)}
    assert reached[found] >= target - 1e-9
    assert reached[found - 1] < target + 1e-9


@given(st.floats(0.02, 60), st.integers(1, 40), st.floats(0.3, 0.99), st.floats(0, 0.009))
@settings(max_examples=60, deadline=None)
def test_levels_never_fall_when_the_target_rises(mean, pack, target, more):
    demand = poisson(mean)
    low, high = (policies.reorder_point_with_packs(demand, pack, target=t)[0] for t in (target, target + more))
    assert low <= high
    assert policies.order_up_to_cycle(demand, target)[0] <= policies.order_up_to_cycle(demand, target + more)[0]


def test_one_unit_packs_are_order_up_to():
    demand = poisson(7.3)
    level = policies.order_up_to_cycle(demand, 0.9)
    assert policies.reorder_point_with_packs(demand, 1, target=0.9)[0] == level[0] - 1


def fill_by_hand(level: int, mean: float, before: float) -> float:
    unmet = [np.sum(np.maximum(POINTS - level, 0) * stats.poisson.pmf(POINTS, m)) for m in (mean, before)]
    return 1 - (unmet[0] - unmet[1]) / (mean - before)


def test_fill_rate_levels_are_the_smallest_that_reach_the_target():
    demand, before = poisson(6), poisson(4)
    for target in (0.6, 0.9, 0.925, 0.99):
        level = int(policies.order_up_to_fill(demand, before, target=target)[0])
        assert fill_by_hand(level, 6, 4) >= target > fill_by_hand(level - 1, 6, 4)
    assert policies.fill_rate(demand, before, position=9)[0] == pytest.approx(0.9255, abs=1e-4)
    assert policies.fill_rate(demand, before, position=10)[0] == pytest.approx(0.9634, abs=1e-4)


def test_fill_rate_of_packs_is_averaged_over_the_positions():
    demand, before = poisson(6), poisson(4)
    for pack in (1, 5, 12, 60):
        point = int(policies.reorder_point_fill(demand, before, pack_units=pack, target=0.95)[0])
        mean = {s: np.mean([fill_by_hand(s + j, 6, 4) for j in range(1, pack + 1)]) for s in (point, point - 1)}
        assert mean[point] >= 0.95 > mean[point - 1]


def test_fill_rate_without_demand_is_full():
    none = Demand.from_pmf([1.0])
    assert policies.fill_rate(none, none, position=0).tolist() == [1.0]


def test_a_weighed_product_orders_on_its_step():
    demand = Demand.from_pmf(stats.poisson.pmf(np.arange(60), 10), unit_step=0.1)
    assert policies.reorder_point_with_packs(demand, 1.2, target=0.95)[0] == pytest.approx(1.1)


def test_critical_ratio():
    ratio = policies.critical_ratio([4.0, -1.0, np.nan], [1.0, 1.0, 1.0], goodwill=0)
    assert ratio[:2].tolist() == [0.8, 0.0]
    assert np.isnan(ratio[2])
    assert policies.critical_ratio([0.0], [0.0]).tolist() == [0.0]
