"""Order policies on the parameters of a distribution, as textbooks give them, each with its source.

The plan orders by `policies`; these are what a reader compares with.

Sources: Snyder & Shen, Fundamentals of Supply Chain Theory (S&S); Chopra & Meindl, Supply Chain Management (C&M);
Hadley & Whitin, Analysis of Inventory Systems (H&W).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


class CostedLevel(NamedTuple):
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


def newsvendor_normal(overage: float, underage: float, *, mean: float, sd: float) -> CostedLevel:
    """Best stock for one period of normal demand: S = μ + σ z, cost (Co + Cu) σ φ(z); S&S (4.24), (4.30).

    >>> newsvendor_normal(0.18, 0.70, mean=50, sd=8)
    CostedLevel(level_units=56.60395592743389, cost_value=1.9976051931766445)
    """
    z = stats.norm.ppf(underage / (underage + overage))
    return CostedLevel(float(mean + z * sd), float((overage + underage) * sd * stats.norm.pdf(z)))


def newsvendor_poisson(overage: float, underage: float, *, mean: float) -> CostedLevel:
    """Best stock for one period of Poisson demand: smallest S with F(S) >= Cu / (Cu + Co); S&S chapter 4.

    >>> best = newsvendor_poisson(0.18, 0.70, mean=50)
    >>> best.level_units, round(best.cost_value, 6)
    (56.0, 1.797235)
    """
    level = stats.poisson.ppf(underage / (underage + overage), mean)
    return CostedLevel(float(level), float(_poisson_cost(level, overage, underage, mean=mean)))


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


def _poisson_cost(level: ArrayLike, overage: float, underage: float, *, mean: float) -> NDArray[np.float64]:
    """Co E(S - D)+ + Cu E(D - S)+ with E(D - S)+ = (μ - S) (1 - F(S)) + μ f(S); S&S chapter 4."""
    stock = np.asarray(level, dtype=np.float64)
    short = (mean - stock) * stats.poisson.sf(stock, mean) + mean * stats.poisson.pmf(stock, mean)
    return overage * (short + stock - mean) + underage * short


def _next_renewal(density: list[float], mean: float) -> float:
    """m(j) = Σ_{i=1..j} f(i) m(j - i) / (1 - f(0))."""
    j = len(density)
    chances = stats.poisson.pmf(np.arange(1, j + 1), mean)
    return float(np.dot(chances, density[::-1]) / (1 - math.exp(-mean)))
