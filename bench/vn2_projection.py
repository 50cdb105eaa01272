"""Orders from sample paths of demand whose stock is projected with lost sales.

An order-up-to level on the inventory position lets demand that finds no stock weigh on later stock, as if customers
came back. Where they do not, stock is floored at zero period by period until the order arrives (Zipkin 2008, Old and
new methods for lost-sales inventory systems, "myopic" policy).
"""

from typing import NamedTuple

import numpy as np

from retail_assets.arrays import Array

RATIOS = (0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)


class UnitCost(NamedTuple):
    """Money a unit costs: left at the end of a period, or lost."""

    holding: float
    shortage: float


def lost_sales_order(
    paths: Array, *, on_hand: Array, arrivals: Array, lead: int, review: int, ratio: float | Array
) -> Array:
    """(n,) units: the smallest order, at least 0, with no shortage in the periods it serves on `ratio` of the paths.

    Periods are counted from the decision, 0 for the first. The order arrives at the start of period `lead` and the next
    one `review` periods later. A critical ratio for `ratio` gives the newsvendor's order for those periods: for one
    period, shortage over shortage plus holding cost of a unit.

    Args:
        paths: (p, n, m) demand by period, m >= lead + review.
        on_hand: (n,) units at the end of the period before.
        arrivals: (n, m) units already ordered, by the period at whose start they arrive.
        lead: periods until the order arrives, >= 0.
        review: periods between orders, >= 1.
        ratio: (n,) or one probability, above 0, at most 1.

    Raises:
        ValueError: the paths or arrivals end before the periods that the order serves.

    >>> paths = np.array([[[4.0, 2.0]], [[0.0, 3.0]], [[1.0, 5.0]]])
    >>> arrivals = np.zeros((1, 2))
    >>> lost_sales_order(paths, on_hand=np.array([3.0]), arrivals=arrivals, lead=1, review=1, ratio=0.6)
    array([2.])
    """
    end = lead + review
    if min(paths.shape[2], arrivals.shape[1]) < end:
        raise ValueError(f"an order that serves the periods to {end} needs paths and arrivals of {end} periods")
    stock = _projected(paths, on_hand, arrivals, periods=lead)
    return _least_covering(_need(stock, paths[:, :, lead:end], arrivals[:, lead:end]), ratio)


def least_cost_order(
    paths: Array, *, on_hand: Array, arrivals: Array, lead: int, review: int, unit_cost: UnitCost
) -> Array:
    """(n,) units: `lost_sales_order` at the ratio of RATIOS whose orders cost least on the paths, series by series.

    With lost sales the newsvendor's ratio of one period orders too much. A unit that saves a sale is gone afterwards,
    and may be missed before an order can make up for it; a unit that does not is no reason for the next orders to be
    smaller, because those are decided by the paths on which it was sold. So orders at one ratio are followed until the
    first one that is decided knowing what this order met, and all their costs count. Orders in between are decided for
    all paths at once, as they know little more than this one. Zipkin (2008) compares policies that look one period
    further ("myopic 2").

    Args:
        paths: (p, n, m) demand by period, m >= `periods_ahead(lead, review)`.
        on_hand: (n,) units at the end of the period before.
        arrivals: (n, m) units already ordered, by the period at whose start they arrive.
        lead: periods until the order arrives, >= 0.
        review: periods between orders, >= 1.
        unit_cost: of holding for a period and of a lost sale.

    Raises:
        ValueError: the paths or arrivals end before the last period that is followed.
    """
    end = periods_ahead(lead, review)
    if min(paths.shape[2], arrivals.shape[1]) < end:
        raise ValueError(f"orders followed to period {end} need paths and arrivals of {end} periods")
    stock = _projected(paths, on_hand, arrivals, periods=lead)
    after, coming = paths[:, :, lead:end], arrivals[:, lead:end]
    tried = [_followed(stock, after, coming, review=review, ratio=ratio, unit_cost=unit_cost) for ratio in RATIOS]
    best = np.array([cost for _, cost in tried]).argmin(axis=0)
    return np.array([order for order, _ in tried])[best, np.arange(len(best))]


def periods_ahead(lead: int, review: int) -> int:
    """Periods that `least_cost_order` follows: to the arrival of the first order decided after this one was used.

    >>> periods_ahead(2, 1)
    5
    """
    decided_after = -(-(lead + review) // review) * review
    return decided_after + lead


def _projected(paths: Array, on_hand: Array, arrivals: Array, *, periods: int) -> Array:
    """(p, n) units at the end of some periods."""
    stock = np.broadcast_to(on_hand, paths.shape[:2])
    for period in range(periods):
        stock = np.maximum(stock + arrivals[:, period] - paths[:, :, period], 0.0)
    return stock


def _need(stock: Array, paths: Array, arrivals: Array) -> Array:
    """(p, n) units missing at the worst moment of some periods."""
    net = np.cumsum(paths - arrivals, axis=2).max(axis=2)
    return np.maximum(net - stock, 0.0)


def _followed(
    stock: Array, paths: Array, arrivals: Array, *, review: int, ratio: float, unit_cost: UnitCost
) -> tuple[Array, Array]:
    """The first order at a ratio, and the cost of all periods when every order keeps to it, (n,) each."""
    orders, cost = [], np.zeros(stock.shape[1])
    for period in range(paths.shape[2]):
        if period % review == 0:
            cycle = slice(period, period + review)
            orders.append(_least_covering(_need(stock, paths[:, :, cycle], arrivals[:, cycle]), ratio))
            stock = stock + orders[-1]
        net = stock + arrivals[:, period] - paths[:, :, period]
        stock = np.maximum(net, 0.0)
        cost += (unit_cost.holding * stock + unit_cost.shortage * (stock - net)).mean(axis=0)
    return orders[0], cost


def _least_covering(need: Array, ratio: float | Array) -> Array:
    """(n,) the smallest of the needs (p, n) that is at least `ratio` of them."""
    count = len(need)
    place = np.ceil(np.asarray(ratio, dtype=np.float64) * count - 1e-9).astype(np.int64)
    place = np.broadcast_to(np.clip(place, 1, count) - 1, need.shape[1:])
    return np.take_along_axis(np.sort(need, axis=0), place[None], axis=0)[0]
