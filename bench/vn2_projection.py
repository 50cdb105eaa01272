"""Orders from sample paths of demand whose stock is projected with lost sales.

An order-up-to level on the inventory position lets demand that finds no stock weigh on later stock, as if customers came
back. Where they do not, stock is floored at zero period by period until the order arrives (Zipkin 2008, Old and new
methods for lost-sales inventory systems, "myopic" policy).
"""

import numpy as np

from retail_assets.arrays import Array


def lost_sales_order(
    paths: Array, *, on_hand: Array, arrivals: Array, lead: int, review: int, ratio: float | Array
) -> Array:
    """(n,) units: the smallest order, at least 0, after which the periods it serves see no shortage in `ratio` of paths.

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
    stock = np.broadcast_to(on_hand, paths.shape[:2])
    for period in range(lead):
        stock = np.maximum(stock + arrivals[:, period] - paths[:, :, period], 0.0)
    net = np.cumsum(paths[:, :, lead:end] - arrivals[None, :, lead:end], axis=2)
    need = np.maximum(net.max(axis=2) - stock, 0.0)
    return _least_covering(need, ratio)


def _least_covering(need: Array, ratio: float | Array) -> Array:
    """(n,) the smallest of the needs (p, n) that is at least `ratio` of them."""
    count = len(need)
    place = np.ceil(np.asarray(ratio, dtype=np.float64) * count - 1e-9).astype(np.int64)
    place = np.broadcast_to(np.clip(place, 1, count) - 1, need.shape[1:])
    return np.take_along_axis(np.sort(need, axis=0), place[None], axis=0)[0]
