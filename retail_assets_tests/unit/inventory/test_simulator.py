"""The simulator against textbook service levels, a plain loop and the conservation of stock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.inventory.simulator import OpeningStock, Supply, simulate

SHOPS, DAYS, WARM_UP = 2000, 260, 20


def always(count, days, *, review=1, lead=0):
    """Shops that order every `review` days with a constant lead time and nothing under way."""
    can_order = np.zeros((count, days), dtype=bool)
    can_order[:, ::review] = True
    return Supply(can_order, np.full((count, days), lead), np.zeros((count, days)), np.zeros((count, days)))


def base_stock(level):
    return lambda state: level - state.position


def long_run(mean, *, level, review, lead, unmet_demand):
    """Cycle service and fill rate of a base-stock policy under Poisson demand."""
    demand = np.random.default_rng(11).poisson(mean, (SHOPS, DAYS)).astype(float)
    trace = simulate(
        demand,
        OpeningStock(np.full(SHOPS, float(level))),
        supply=always(SHOPS, DAYS, review=review, lead=lead),
        policy=base_stock(level),
        unmet_demand=unmet_demand,
    )
    first = WARM_UP // review * review + lead
    ends = range(first + review, DAYS, review)
    failed = np.array([trace.has_failed[:, end - review : end].any(axis=1) for end in ends])
    scored = slice(first, ends[-1])
    return 1 - failed.mean(), 1 - trace.unmet[:, scored].sum() / demand[:, scored].sum()


@pytest.mark.parametrize(
    ("level", "review", "unmet_demand", "cycle", "fill"),
    [
        (9, 1, "backorder", 0.9161, 0.9255),
        (10, 1, "backorder", 0.9574, 0.9634),
        (9, 1, "lost", 0.9420, 0.9525),
        (10, 1, "lost", 0.9688, 0.9751),
        (15, 3, "backorder", 0.9513, None),
        (14, 3, "backorder", 0.9165, None),
    ],
)
def test_poisson_2_a_day_with_lead_time_2(level, review, unmet_demand, cycle, fill):
    """Inventory spec rows 6 and 7; Poisson 10 is at most 14 with probability 0.9165, 15 with 0.9513."""
    found = long_run(2, level=level, review=review, lead=2, unmet_demand=unmet_demand)
    assert found[0] == pytest.approx(cycle, abs=0.002)
    if fill is not None:
        assert found[1] == pytest.approx(fill, abs=0.002)


@pytest.mark.parametrize("unmet_demand", ["lost", "backorder"])
def test_without_lead_time_every_day_is_a_newsvendor(unmet_demand):
    found = long_run(6, level=8, review=1, lead=0, unmet_demand=unmet_demand)
    assert found == (pytest.approx(0.847237, abs=0.002), pytest.approx(0.947663, abs=0.002))


def one_shop(demand, *, opening, orders, leads, life):
    """Oldest-first stock of one shop as a list of batches, lost sales."""
    batches = [[life, opening]] if opening else []
    coming = {}
    rows = []
    for day, wanted in enumerate(demand):
        received = coming.pop(day, 0)
        if leads[day] == 0:
            received += orders[day]
        else:
            coming[day + leads[day]] = coming.get(day + leads[day], 0) + orders[day]
        if received:
            batches.append([life, received])
        sold = 0
        for batch in batches:
            take = min(batch[1], wanted - sold)
            batch[1] -= take
            sold += take
        for batch in batches:
            batch[0] -= 1
        wasted = sum(units for days, units in batches if days == 0)
        batches = [batch for batch in batches if batch[0] > 0 and batch[1] > 0]
        rows.append((received, sold, wanted - sold, wasted, sum(units for _, units in batches)))
    return np.array(rows, dtype=float).T


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4, np.inf]))
def test_batches_and_arrivals_equal_a_plain_loop(seed, life):
    rng = np.random.default_rng(seed)
    demand = rng.poisson(3, (3, 25)).astype(float)
    orders = rng.integers(0, 8, (3, 25)).astype(float)
    leads = rng.integers(0, 5, (3, 25))
    opening = rng.integers(0, 9, 3).astype(float)
    supply = Supply(np.ones((3, 25), dtype=bool), leads, np.zeros((3, 25)), np.zeros((3, 25)))
    trace = simulate(
        demand,
        OpeningStock(opening, np.full(3, np.nan if np.isinf(life) else life)),
        supply=supply,
        policy=lambda state: orders[:, state.day],
    )
    for shop in range(3):
        expected = one_shop(demand[shop], opening=opening[shop], orders=orders[shop], leads=leads[shop], life=life)
        found = [getattr(trace, name)[shop] for name in ("received", "issued", "unmet", "wasted", "closing")]
        np.testing.assert_allclose(found, expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["lost", "backorder"]), st.booleans())
def test_stock_is_conserved_every_day(seed, unmet_demand, perishable):
    rng = np.random.default_rng(seed)
    shape = (5, 30)
    demand, arriving = rng.poisson(4, shape).astype(float), rng.poisson(0.5, shape).astype(float)
    opening = rng.integers(0, 20, 5).astype(float)
    supply = Supply(
        rng.random(shape) < 0.4, rng.integers(0, 6, shape), arriving, rng.integers(0, 5, shape).astype(float)
    )
    trace = simulate(
        demand,
        OpeningStock(opening, np.array([3, np.nan, 7, np.nan, 1]) if perishable else None),
        supply=supply,
        policy=base_stock(18),
        unmet_demand=unmet_demand,
    )
    before = np.column_stack([opening, trace.closing[:, :-1]])
    np.testing.assert_allclose(before + trace.received - trace.issued - trace.wasted, trace.closing)
    assert (trace.closing >= 0).all() and (trace.wasted >= 0).all() and (trace.unmet >= 0).all()
    assert (trace.ordered[~supply.can_order] == 0).all()
    if unmet_demand == "backorder":
        waiting = np.cumsum(demand, axis=1) - np.cumsum(trace.issued, axis=1)
        np.testing.assert_allclose(waiting, trace.backlog)
    else:
        np.testing.assert_allclose(demand - trace.unmet, trace.issued)
        assert (trace.backlog == 0).all()
