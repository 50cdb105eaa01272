"""Sales in bulk: single days on which one customer bought what the product else sells in months.

Arrays in, arrays out. Each series is judged by its own days alone, so it gives the same in any shard of a panel.
"""

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array, Flags

WINDOW_DAYS = 182
"""Days before and after a day among which no other comes near a sale in bulk."""
_LEAST_RATIO = 5.0
_CHANCE = 0.001
"""A day is in bulk when the product's own days make its distance to the next highest less likely than this."""
_TAIL, _TAIL_WEIGHT = 4.7, 4
"""Tail index of the 749 half years of M5 series whose highest day stands alone, and what it counts in days."""
_TAIL_DAYS = 10
_ONE_CUSTOMER = 1.0
_BLOCK_DAYS = WINDOW_DAYS // 2


def without_bulk(demand: Array, *, is_explained: Flags) -> Array:
    """Demand (n, T) in which a day that no other day within half a year comes near counts as the highest of those.

    One customer who buys 600 units of what sells 4 a week, or 7 of what nobody else bought, says nothing of next
    week; left in, such a day moves the forecast and, through the pooled errors, the upper quantiles of others for
    months. A sale in bulk has more than five times every other day. Where the tail of daily quantities falls as
    x ** -a, the highest day has more than r times the next one with probability r ** -a at any level of demand (Rényi
    1953); a is the Hill estimate (1975) of the product's other days, leaning on that of others. So a product that
    sells in lumps keeps them. A product that takes off has a second such day at once, and then all count. At least
    the unit of one customer stays.

    Args:
        demand: units, NaN where unknown.
        is_explained: (n, T) days whose sales have a reason, a promotion or an event; they stay.

    >>> days = np.zeros((1, 300))
    >>> days[0, [40, 120]] = 1, 7
    >>> without_bulk(days, is_explained=np.zeros(days.shape, dtype=bool))[0, [40, 120]]
    array([1., 1.])
    """
    units = np.nan_to_num(demand)
    ordinary = demand.copy()
    for row, day in zip(*_standing_out(units), strict=True):
        near = np.delete(units[row, max(day - WINDOW_DAYS, 0) : day + WINDOW_DAYS + 1], min(day, WINDOW_DAYS))
        usual = max(near.max(initial=0.0), _ONE_CUSTOMER)
        ratio = units[row, day] / usual
        if ratio > _LEAST_RATIO and not is_explained[row, day] and ratio ** -_tail_index(near) < _CHANCE:
            ordinary[row, day] = usual
    return ordinary


def _standing_out(units: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and day of the highest days of each quarter that have five times the highest of the quarters beside it.

    Those quarters lie within the window of any of its days, so no sale in bulk is missing.
    """
    padded = np.pad(units, ((0, 0), (0, -units.shape[1] % _BLOCK_DAYS)))
    blocks = padded.reshape(len(units), -1, _BLOCK_DAYS)
    highest = np.pad(blocks.max(axis=2, initial=0.0), ((0, 0), (1, 1)))
    beside = np.maximum(np.maximum(highest[:, :-2], highest[:, 2:]), _ONE_CUSTOMER)
    row, block = np.nonzero(highest[:, 1:-1] > _LEAST_RATIO * beside)
    return row, block * _BLOCK_DAYS + blocks[row, block].argmax(axis=1)


def _tail_index(units: Array) -> float:
    """Hill's estimate from the higher half of the days with a sale, ten at most, leaning on that of all products."""
    sold = np.sort(units[units > 0])[::-1] + _ONE_CUSTOMER  # from one unit to two is no long tail
    count = min(_TAIL_DAYS, len(sold) // 2)
    spread = np.log(sold[:count] / sold[count]).sum() if count else 0.0
    return float((count + _TAIL_WEIGHT) / (_TAIL_WEIGHT / _TAIL + spread))
