"""Money for orders is short: whole packs, never beyond the budget, and where they save most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.quantity import OrderLines, within_budget


def lines(means, *, packs, costs, margins, minimums=None, groups=None, cycle_means=None):
    count = len(means)
    pmf = np.array([stats.poisson.pmf(np.arange(200), mean) for mean in means])
    return OrderLines(
        group=np.zeros(count, dtype=np.int64) if groups is None else np.array(groups),
        demand=Demand.from_pmf(pmf / pmf.sum(axis=1, keepdims=True)),
        cycle_mean=np.full(count, np.inf) if cycle_means is None else np.array(cycle_means),
        position=np.zeros(count),
        pack_units=np.array(packs, dtype=float),
        line_minimum_units=np.zeros(count) if minimums is None else np.array(minimums, dtype=float),
        room_units=np.full(count, np.inf),
        unit_cost=np.array(costs, dtype=float),
        unit_margin=np.array(margins, dtype=float),
    )


def test_the_pack_that_saves_most_for_its_money_comes_first():
    """Packs of 5, cost 1 each unit: the first packs save 4.97 and 4.97 × 0.5, so 10 of money buys A twice."""
    some = lines([12.0, 12.0], packs=[5, 5], costs=[1, 1], margins=[1.0, 0.5])
    assert within_budget(some, np.array([15.0, 15.0]), budget_value=10).tolist() == [10, 0]
    assert within_budget(some, np.array([15.0, 15.0]), budget_value=30).tolist() == [15, 15]


def test_no_order_saves_what_is_lost_before_it_arrives():
    """A sells 12 of which 2 after the delivery, B 6 all after it: the second pack goes to B."""
    some = lines([12.0, 6.0], packs=[2, 2], costs=[1, 1], margins=[1.0, 0.5], cycle_means=[2.0, 6.0])
    assert within_budget(some, np.array([8.0, 8.0]), budget_value=4).tolist() == [2, 2]
    assert some.margin_avoided(np.array([8.0, 6.0]))[0] == 2.0


def test_a_first_order_below_the_minimum_is_not_made():
    some = lines([12.0], packs=[5], costs=[1], margins=[1.0], minimums=[10])
    assert within_budget(some, np.array([15.0]), budget_value=9).tolist() == [0]
    assert within_budget(some, np.array([15.0]), budget_value=14).tolist() == [10]


def test_each_day_has_its_own_budget_and_unknown_costs_are_kept():
    some = lines([9.0] * 3, packs=[5] * 3, costs=[1, 1, np.nan], margins=[1.0] * 3, groups=[0, 1, 0])
    assert within_budget(some, np.array([10.0, 10.0, 10.0]), budget_value=5).tolist() == [5, 5, 10]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.1, 30), st.integers(1, 12), st.floats(0.1, 9), st.integers(0, 6)), min_size=1, max_size=8
    ),
    st.floats(0, 200),
)
def test_whole_packs_within_the_budget_and_everything_when_it_is_enough(rows, budget):
    means, packs, costs, counts = (list(column) for column in zip(*rows, strict=True))
    some = lines(means, packs=packs, costs=costs, margins=costs)
    wanted = np.array(packs, dtype=float) * counts
    kept = within_budget(some, wanted, budget_value=budget)
    assert (kept <= wanted + 1e-9).all() and (kept >= 0).all()
    assert kept / some.pack_units == pytest.approx(np.round(kept / some.pack_units))
    assert kept @ some.unit_cost <= max(budget, 0) + 1e-6 or kept @ some.unit_cost == pytest.approx(0)
    if budget >= wanted @ some.unit_cost + 1e-6:
        assert kept.tolist() == wanted.tolist()
    assert within_budget(some, wanted, budget_value=budget + 1e9).tolist() == wanted.tolist()
