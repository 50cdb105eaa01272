"""What becomes of an order, against sums by hand and the long run of the simulator."""

import numpy as np
import pytest
from scipy import stats

from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.prospects import Prospect, outlook


def poisson(mean):
    pmf = stats.poisson.pmf(np.arange(200), mean)
    return Demand.from_pmf(pmf / pmf.sum())


def prospect(**changes):
    """Two days until the order of 6 comes, two more until the next; 1.5 units a day, 4 in stock."""
    given = {
        "on_hand": 4.0,
        "batches": [0.0],
        "coming": [0.0],
        "promised": [0],
        "order_units": 6.0,
        "arrival": 2,
        "next_arrival": 4,
        "delay_probabilities": [1.0],
        "shelf_life_days": np.nan,
        "daily_mean": [1.5] * 7,
    }
    return Prospect(**{name: np.array([value]) for name, value in (given | changes).items()})


def look(some, *, means, unmet="lost", paths=20_000):
    return outlook(
        some, [poisson(mean) for mean in means], paths=paths, keys=np.array([1], dtype=np.uint64), unmet_demand=unmet
    )


def test_lost_sales_leave_more_for_the_cycle():
    before, left = np.arange(40), np.maximum(4 - np.arange(40), 0) + 6
    served = np.sum(stats.poisson.pmf(before, 3) * stats.poisson.cdf(left, 3))
    found = look(prospect(), means=[6.0])
    assert found.service_change[0] == pytest.approx(served - stats.poisson.cdf(10, 6), abs=0.004)
    lost = np.sum(stats.poisson.pmf(before, 3) * np.maximum(before - 4, 0))
    assert found.lost_units[0] == pytest.approx(lost + 0.01, abs=0.03)
    assert look(prospect(), means=[6.0], unmet="backorder").service_change[0] == 0


def test_what_is_already_coming_counts_from_its_day():
    late, soon = (look(prospect(coming=[5.0], promised=[day]), means=[6.0]).lost_units[0] for day in (3, 0))
    assert late > 0.3 > 0.05 > soon


def test_overdue_goods_come_on_a_day_that_is_still_possible():
    some = prospect(coming=[5.0], promised=[-1], delay_probabilities=[0.5, 0.25, 0.25])
    same = prospect(coming=[5.0], promised=[0], delay_probabilities=[0.5, 0.25, 0.25])
    assert some.position[0] == same.position[0] == 15
    found, on_time = (look(one, means=[6.0, 7.5, 9.0]).lost_units[0] for one in (some, same))
    assert found == pytest.approx(on_time, abs=0.12) and found > 0


def test_delays_move_the_delivery_and_the_next_one():
    """One day late or not, each with its own demand: the cycle may have from one to three days."""
    found = look(prospect(on_hand=40.0, order_units=0.0, delay_probabilities=[0.5, 0.5]), means=[6.0, 7.5])
    assert found.service_change[0] == 0 and found.lost_units[0] == 0


def test_stock_that_spoils_is_wasted_and_missed():
    """Four units on their last day: what the first day leaves is gone."""
    some = prospect(batches=[4.0, 0, 0, 0, 0], shelf_life_days=5.0, daily_mean=[1.5] * 4)
    found = look(some, means=[6.0])
    first = np.arange(20)
    wasted = np.sum(stats.poisson.pmf(first, 1.5) * np.maximum(4 - first, 0))
    assert found.wasted_units[0] == pytest.approx(wasted, abs=0.03)
    served = stats.poisson.cdf(6, 3)
    assert found.service_change[0] == pytest.approx(served - stats.poisson.cdf(10, 6), abs=0.004)
