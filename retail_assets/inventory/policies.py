"""Order policies of the plan in exact form, for many series at once: they take a `Demand` and return arrays.

Levels and packs of a line are decided in order_levels.py; bench/textbook.py has policies on parameters, for comparison.

Sources: Snyder & Shen, Fundamentals of Supply Chain Theory (S&S); Hadley & Whitin, Analysis of Inventory Systems (H&W).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retail_assets.arrays import Array
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.packs import least_order

Service = Callable[[Array], Array]

CRITICAL_RATIO_LIMITS = (0.80, 0.99)
_SUMMED_POSITIONS = 64


def critical_ratio(margin: ArrayLike, overage: ArrayLike, *, goodwill: ArrayLike = 0.0) -> Array:
    """Cu / (Cu + Co) before clamping, Cu = margin + goodwill; NaN where a cost is unknown, 0 without any margin."""
    under = np.maximum(np.asarray(margin, dtype=np.float64) + np.asarray(goodwill, dtype=np.float64), 0.0)
    total = under + np.asarray(overage, dtype=np.float64)
    return np.where(total > 0, under / np.where(total > 0, total, 1.0), np.where(np.isnan(total), np.nan, 0.0))


def order_up_to_cycle(demand: Demand, target: ArrayLike) -> Array:
    """Smallest S with F_H(S) >= target, the level of a base-stock policy by cycle service.

    >>> from scipy import stats
    >>> pmf = stats.poisson.pmf(np.arange(30), 0.5)
    >>> order_up_to_cycle(Demand.from_pmf(pmf), 0.95).tolist()
    [2.0]
    """
    return demand.quantile(target)


def fill_rate(demand: Demand, before_delivery: Demand, *, position: ArrayLike) -> Array:
    """Share served from stock of the demand between delivery and the next one, at a position after ordering.

    1 - [E(D_{a→e′-1} - S)+ - E(D_{a→e-1} - S)+] / E(D_{e→e′-1}); H&W chapter 5. 1 without demand.

    Args:
        demand: demand up to the next delivery.
        before_delivery: demand up to this delivery, which the order cannot serve.
        position: (n,) or one, units.
    """
    cycle = demand.mean - before_delivery.mean
    unmet = demand.expected_shortage(position) - before_delivery.expected_shortage(position)
    return np.where(cycle > 0, 1 - np.maximum(unmet, 0.0) / np.where(cycle > 0, cycle, 1.0), 1.0)


def order_up_to_fill(demand: Demand, before_delivery: Demand, *, target: ArrayLike) -> Array:
    """Smallest S whose fill rate reaches the target."""
    return reorder_point_fill(demand, before_delivery, pack_units=demand.unit_step, target=target) + demand.unit_step


def reorder_point_with_packs(demand: Demand, pack_units: ArrayLike, *, target: ArrayLike) -> Array:
    """(R, nQ): smallest s with (1/Q) Σ_{j=1..Q} F_H(s + j) >= target.

    The position after ordering is uniform on s + 1 … s + Q (H&W chapter 5), so this is the mean cycle service. Sums
    of 1 - F are differences of expected shortages; with Q = 1 step the result is the order-up-to level less one step.

    >>> from scipy import stats
    >>> pmf = stats.poisson.pmf(np.arange(60), 10)
    >>> reorder_point_with_packs(Demand.from_pmf(pmf), 12, target=0.95).tolist()
    [11.0]

    Args:
        demand: demand over the protection days.
        pack_units: (n,) or one, > 0.
        target: (n,) or one.
    """

    def service(s: Array) -> Array:
        return mean_cycle_service(demand, pack_units, reorder_point=s)

    return _smallest_position(demand, pack_units, target=target, service=service)


def mean_cycle_service(demand: Demand, pack_units: ArrayLike, *, reorder_point: ArrayLike) -> Array:
    """(1/Q) Σ_{j=1..Q} F(s + j), the integral for continuous products: cycle service of (R, nQ) in the long run."""
    low = np.asarray(reorder_point, dtype=np.float64) + demand.unit_step
    pack = _whole_pack(demand, pack_units)
    return 1 - (demand.expected_shortage(low) - demand.expected_shortage(low + pack)) / pack


def shelf_life_limit(
    demand: Demand, pack_units: ArrayLike, *, line_minimum_units: ArrayLike, ratio: ArrayLike
) -> Array:
    """Highest position after ordering that still makes sense before the order expires.

    Single units: the newsvendor quantile of the critical ratio, clamped as targets are (S&S chapter 4). Rounding that
    down to packs would never order a product whose pack exceeds it, although most of the pack may sell. The j-th unit
    of a position sells in time with probability 1 - F(j - 1), so a pack on top of position P pays for itself while
    (1/Q) Σ_{j=0..Q-1} F(P + j) < Cu / (Cu + Co), not clamped; up to there packs are allowed too.

    >>> from scipy import stats
    >>> pmf = stats.poisson.pmf(np.arange(60), 4)
    >>> demand = Demand.from_pmf(pmf / pmf.sum())
    >>> [float(shelf_life_limit(demand, pack, line_minimum_units=0, ratio=0.6)[0]) for pack in (1, 6, 12)]
    [6.0, 7.0, 11.0]

    Args:
        demand: demand over the days until the order expires.
        pack_units: (n,) or one, > 0.
        line_minimum_units: (n,) or one, least order; packs come at least in this number.
        ratio: (n,) or one critical ratio of a unit wasted.
    """
    pack, own = _rows(pack_units, demand), _rows(ratio, demand)
    least = least_order(pack, _rows(line_minimum_units, demand))
    paying = reorder_point_with_packs(demand, least, target=np.clip(own, 1e-6, CRITICAL_RATIO_LIMITS[1])) + least
    return np.maximum(demand.quantile(np.clip(own, *CRITICAL_RATIO_LIMITS)), paying)


def reorder_point_fill(demand: Demand, before_delivery: Demand, *, pack_units: ArrayLike, target: ArrayLike) -> Array:
    """(R, nQ): smallest s whose fill rate, averaged over the positions s + 1 … s + Q, reaches the target.

    Packs of more than 64 steps are averaged at 64 evenly spread positions.
    """
    pack, scale = _whole_pack(demand, pack_units), np.where(demand.unit_step > 0, demand.unit_step, 1.0)
    wanted = _rows(target, demand)
    count = np.where(demand.unit_step > 0, np.minimum(np.round(pack / scale), _SUMMED_POSITIONS), _SUMMED_POSITIONS)
    single = _smallest_position(
        demand, pack, target=wanted, service=lambda s: fill_rate(demand, before_delivery, position=s)
    )
    point = np.empty(len(demand))
    for positions in np.unique(count):
        rows = np.flatnonzero(count == positions)
        of, before = demand.take(rows), before_delivery.take(rows)
        service = _mean_fill(of, before, pack=pack[rows], positions=int(positions))
        # one position above s reaches the target at the latest when all do, and at the earliest when the last does
        first, last = (single[rows] - pack[rows]) / scale[rows] - 1, single[rows] / scale[rows]
        enough = _reaches(service, wanted[rows], scale[rows])
        point[rows] = of.smallest(enough, first, last)
    return point


def _mean_fill(demand: Demand, before_delivery: Demand, *, pack: Array, positions: int) -> Service:
    """Fill rate averaged over evenly spread positions from s, excluded, to s + Q."""

    def service(s: Array) -> Array:
        rates = (fill_rate(demand, before_delivery, position=s + pack * j / positions) for j in range(1, positions + 1))
        return np.sum(list(rates), axis=0) / positions

    return service


def _smallest_position(demand: Demand, pack_units: ArrayLike, *, target: ArrayLike, service: Service) -> Array:
    """Smallest s, from -Q up, whose service reaches the target; `service` takes positions in units."""
    scale = np.where(demand.unit_step > 0, demand.unit_step, 1.0)
    enough = _reaches(service, _rows(target, demand), scale)
    below = -np.floor(_whole_pack(demand, pack_units) / scale) - 1
    reached = demand.quantile(np.maximum(_rows(target, demand), 0.5)) / scale
    while not (is_reached := enough(reached)).all():
        reached = np.where(is_reached, reached, 2 * reached + 1)
    return demand.smallest(enough, below, reached)


def _reaches(service: Service, target: Array, scale: Array) -> Callable[[Array], NDArray[np.bool_]]:
    return lambda steps: service(steps * scale) >= target - 1e-12


def _rows(values: ArrayLike, demand: Demand) -> Array:
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (len(demand),))


def _whole_pack(demand: Demand, pack_units: ArrayLike) -> Array:
    """Pack in units, a whole number of lattice steps."""
    pack = np.broadcast_to(np.asarray(pack_units, dtype=np.float64), (len(demand),))
    step = np.where(demand.unit_step > 0, demand.unit_step, 1.0)
    whole = np.maximum(np.round(pack / step), 1.0) * step
    return np.where(demand.unit_step > 0, whole, np.where(pack > 0, pack, 1e-6))
