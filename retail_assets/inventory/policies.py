"""Order policies in closed or exact form: textbook ones on parameters, and those of the plan on `Demand`.

Every function is a formula with its source; a level for many series at once takes and returns arrays.
Positions, packs to order and reasons belong to plan.py.

Sources: Snyder & Shen, Fundamentals of Supply Chain Theory (S&S); Chopra & Meindl, Supply Chain Management (C&M);
Hadley & Whitin, Analysis of Inventory Systems (H&W).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from retail_assets.inventory.distribution import Demand

Array = NDArray[np.float64]
Service = Callable[[Array], Array]

CRITICAL_RATIO_LIMITS = (0.80, 0.99)
_SUMMED_POSITIONS = 64


class Level(NamedTuple):
    """A stock level and the expected cost a period."""

    level_units: float
    cost_value: float


class OrderQuantity(NamedTuple):
    """An order quantity and the expected cost a unit of time."""

    order_units: float
    cost_value: float


class PeriodicLevel(NamedTuple):
    """Order-up-to level of a periodic review and the safety stock in it."""

    order_up_to_units: float
    safety_stock_units: float


class OrderUpTo(NamedTuple):
    """(s, S): at or below s order up to S."""

    reorder_point_units: int
    order_up_to_units: int
    cost_value: float


class ReorderQuantity(NamedTuple):
    """(r, Q): at r order Q."""

    reorder_point_units: int
    order_units: int
    cost_value: float


class CycleService(NamedTuple):
    """What a reorder point and an order quantity give."""

    cycle_service_rate: float
    shortage_units: float
    fill_rate: float


def newsvendor_normal(overage: float, underage: float, *, mean: float, sd: float) -> Level:
    """Best stock for one period of normal demand: S = μ + σ z, cost (Co + Cu) σ φ(z); S&S (4.24), (4.30).

    >>> newsvendor_normal(0.18, 0.70, mean=50, sd=8)
    Level(level_units=56.60395592743389, cost_value=1.9976051931766445)
    """
    z = stats.norm.ppf(underage / (underage + overage))
    return Level(float(mean + z * sd), float((overage + underage) * sd * stats.norm.pdf(z)))


def newsvendor_poisson(overage: float, underage: float, *, mean: float) -> Level:
    """Best stock for one period of Poisson demand: smallest S with F(S) >= Cu / (Cu + Co); S&S chapter 4.

    >>> best = newsvendor_poisson(0.18, 0.70, mean=50)
    >>> best.level_units, round(best.cost_value, 6)
    (56.0, 1.797235)
    """
    level = stats.poisson.ppf(underage / (underage + overage), mean)
    return Level(float(level), float(_poisson_cost(level, overage, underage, mean=mean)))


def economic_order_quantity(order_cost: float, holding_cost: float, *, demand_rate: float) -> OrderQuantity:
    """EOQ: Q = √(2 K λ / h), cost √(2 K λ h); S&S (3.4), (3.5).

    >>> economic_order_quantity(8, 0.225, demand_rate=1300).order_units
    304.0467800264368
    """
    quantity = math.sqrt(2 * order_cost * demand_rate / holding_cost)
    return OrderQuantity(quantity, math.sqrt(2 * order_cost * demand_rate * holding_cost))


def economic_order_quantity_with_breaks(
    order_cost: float, holding_rate: float, *, demand_rate: float, breaks: Sequence[tuple[float, float]]
) -> OrderQuantity:
    """EOQ when the price of all units falls with the quantity: the best of each price's own EOQ; S&S section 3.3.

    Args:
        order_cost: cost of one order.
        holding_rate: holding cost as a share of the unit cost.
        demand_rate: units a unit of time.
        breaks: (least quantity, unit cost) ascending, the first from 0.

    >>> best = economic_order_quantity_with_breaks(
    ...     8, 0.3, demand_rate=1300, breaks=[(0, 0.75), (400, 0.72), (800, 0.68)])
    >>> best.order_units, round(best.cost_value, 4)
    (800.0, 978.6)
    """

    def cost(quantity: float, price: float) -> float:
        return order_cost * demand_rate / quantity + holding_rate * price * quantity / 2 + price * demand_rate

    choices = []
    for least, price in breaks:
        own = economic_order_quantity(order_cost, holding_rate * price, demand_rate=demand_rate).order_units
        quantity = max(own, float(least))
        choices.append(OrderQuantity(quantity, cost(quantity, price)))
    ends = [least for least, _ in breaks[1:]] + [math.inf]
    return min((c for c, end in zip(choices, ends, strict=True) if c.order_units < end), key=lambda c: c.cost_value)


def safety_stock(
    service_level: float, *, demand_mean: float, demand_sd: float, lead_time: float, lead_time_sd: float = 0.0
) -> float:
    """z √(L σ² + μ² σ_L²), demand and lead time independent; C&M chapter 12.

    >>> round(safety_stock(0.90, demand_mean=2500, demand_sd=500, lead_time=6), 2)
    1569.57
    """
    variance = lead_time * demand_sd**2 + demand_mean**2 * lead_time_sd**2
    return float(stats.norm.ppf(service_level) * math.sqrt(variance))


def periodic_order_up_to(
    service_level: float, *, demand_mean: float, demand_sd: float, review: float, lead_time: float
) -> PeriodicLevel:
    """(R, S) for normal demand: S = μ (R + L) + z σ √(R + L); C&M chapter 12.

    >>> round(periodic_order_up_to(0.90, demand_mean=2500, demand_sd=500, review=4, lead_time=2).order_up_to_units, 2)
    16569.57
    """
    protection = review + lead_time
    extra = safety_stock(service_level, demand_mean=demand_mean, demand_sd=demand_sd, lead_time=protection)
    return PeriodicLevel(demand_mean * protection + extra, extra)


def cycle_service_normal(
    reorder_point: float, *, order_units: float, demand_mean: float, demand_sd: float, lead_time: float
) -> CycleService:
    """Service of (r, Q) with normal demand: Φ(z), σ (φ(z) - z (1 - Φ(z))), 1 - shortage / Q; C&M chapter 12.

    >>> service = cycle_service_normal(6000, order_units=10000, demand_mean=2500, demand_sd=500, lead_time=2)
    >>> [round(rate, 6) for rate in service]
    [0.92135, 25.127271, 0.997487]
    """
    sd = demand_sd * math.sqrt(lead_time)
    z = (reorder_point - demand_mean * lead_time) / sd
    shortage = float(sd * (stats.norm.pdf(z) - z * stats.norm.sf(z)))
    return CycleService(float(stats.norm.cdf(z)), shortage, 1 - shortage / order_units)


def s_S_poisson(holding_cost: float, shortage_cost: float, *, order_cost: float, mean: float) -> OrderUpTo:
    """Exact (s, S) for Poisson demand a period, review every period, no lead time, backorders.

    Cost of a pair: (K + Σ_{j < S-s} m(j) G(S - j)) / M(S - s), m the renewal density, S&S (4.71)-(4.75); searched
    as in Zheng & Federgruen (1991): s falls while it lowers the cost at S, S rises while G(S) is below the best cost.

    >>> best = s_S_poisson(1, 4, order_cost=5, mean=6)
    >>> best.reorder_point_units, best.order_up_to_units, round(best.cost_value, 6)
    (4, 10, 8.034112)
    """
    start = int(newsvendor_poisson(holding_cost, shortage_cost, mean=mean).level_units)
    renewal = [1 / (1 - math.exp(-mean))]

    def one_period(y: int) -> float:
        return float(_poisson_cost(y, holding_cost, shortage_cost, mean=mean))

    def cost(s: int, S: int) -> float:
        while len(renewal) < S - s:
            renewal.append(_next_renewal(renewal, mean))
        density = renewal[: S - s]
        return (order_cost + sum(m * one_period(S - j) for j, m in enumerate(density))) / sum(density)

    best_s, best_S = start - 1, start
    while cost(best_s, best_S) > one_period(best_s):
        best_s -= 1
    best, S = cost(best_s, best_S), start + 1
    while one_period(S) <= best:
        if cost(best_s, S) < best:
            best_S = S
            while cost(best_s, S) <= one_period(best_s + 1):
                best_s += 1
            best = cost(best_s, S)
        S += 1
    return OrderUpTo(best_s, best_S, best)


def r_Q_poisson(
    holding_cost: float, shortage_cost: float, *, order_cost: float, demand_rate: float, lead_time: float
) -> ReorderQuantity:
    """Exact (r, Q), continuous review, Poisson demand, backorders: least (K λ + Σ_{y=r+1}^{r+Q} g(y)) / Q; S&S (5.48).

    g has one valley, so the best Q positions are the Q cheapest (Federgruen & Zheng 1992).

    >>> best = r_Q_poisson(20, 150, order_cost=100, demand_rate=1.5, lead_time=2)
    >>> best.reorder_point_units, best.order_units, round(best.cost_value, 6)
    (3, 5, 107.923581)
    """
    mean = demand_rate * lead_time
    width = economic_order_quantity(order_cost, holding_cost, demand_rate=demand_rate).order_units
    reach = int(4 * width + 10 * math.sqrt(mean) + 20)
    positions = np.arange(math.floor(mean) - reach, math.ceil(mean) + reach)
    costs = _poisson_cost(positions, holding_cost, shortage_cost, mean=mean)
    cheapest = np.argsort(costs, kind="stable")
    average = (order_cost * demand_rate + np.cumsum(costs[cheapest])) / np.arange(1, len(costs) + 1)
    count = int(np.argmin(average)) + 1
    return ReorderQuantity(int(positions[cheapest[:count]].min()) - 1, count, float(average[count - 1]))


def critical_ratio(margin: ArrayLike, overage: ArrayLike, *, goodwill: ArrayLike = 0.0) -> Array:
    """Cu / (Cu + Co) before clamping, Cu = margin + goodwill; NaN where a cost is unknown, 0 without any margin."""
    under = np.maximum(np.asarray(margin, dtype=np.float64) + np.asarray(goodwill, dtype=np.float64), 0.0)
    total = under + np.asarray(overage, dtype=np.float64)
    return np.where(total > 0, under / np.where(total > 0, total, 1.0), np.where(np.isnan(total), np.nan, 0.0))


def order_up_to_cycle(demand: Demand, target: ArrayLike) -> Array:
    """Smallest S with F_H(S) >= target, the level of a base-stock policy by cycle service.

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
    least = np.ceil(np.maximum(_rows(line_minimum_units, demand) / pack, 1.0) - 1e-9) * pack
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


def _poisson_cost(level: ArrayLike, overage: float, underage: float, *, mean: float) -> Array:
    """Co E(S - D)+ + Cu E(D - S)+ with E(D - S)+ = (μ - S) (1 - F(S)) + μ f(S); S&S chapter 4."""
    stock = np.asarray(level, dtype=np.float64)
    short = (mean - stock) * stats.poisson.sf(stock, mean) + mean * stats.poisson.pmf(stock, mean)
    return overage * (short + stock - mean) + underage * short


def _next_renewal(density: list[float], mean: float) -> float:
    """m(j) = Σ_{i=1..j} f(i) m(j - i) / (1 - f(0))."""
    j = len(density)
    chances = stats.poisson.pmf(np.arange(1, j + 1), mean)
    return float(np.dot(chances, density[::-1]) / (1 - math.exp(-mean)))
