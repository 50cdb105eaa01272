"""Estimates that many series share, in which no single series has the say.

Every number here stays near what it would be without any one of the series, even one with absurd sales; it equals the
plain mean, sum or quantile wherever no series stands out. What is pooled, and for whom, belongs to the callers.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_TAIL_RATE = 0.01
"""Share of a group's series at each end that count as the next ones inwards; one series at least."""
_LEAST_MEMBERS = 5
"""Smaller groups stay as they are: there are too few others to compare with."""
_TIMES_USUAL, _SHARE_OF_TOTAL = (3.0, 10.0), 0.02
"""One series of a total may have 2 % of it on a day, but three times a mean in small groups and ten in large ones."""
_TIMES_TYPICAL = 9.0

Codes = NDArray[np.integer]


def grouped_median(values: np.ndarray, weight: np.ndarray, code: Codes, *, usual: float) -> np.ndarray:
    """Weighted median of each group, (groups,); the median of everything counts in each as one more series.

    Args:
        values: (n,).
        weight: how much a value is known, (n,), never negative; values of weight 0 say nothing.
        code: number of each series' group, (n,).
        usual: counts as one more series of everything, so that an odd one among two has no say either.

    >>> grouped_median(np.array([1.0, 2.0, 90.0, 3.0]), np.ones(4), np.zeros(4, dtype=int), usual=1.0)
    array([2.])
    """
    known = weight > 0
    found = np.full(int(code.max(initial=-1)) + 1, usual)
    if not known.any():
        return found
    every = _median_with(values[known], weight[known], usual)
    found[:] = every
    order = np.argsort(code[known], kind="stable")
    of, value, heavy = code[known][order], values[known][order], weight[known][order]
    for start, stop in _runs(of):
        found[of[start]] = _median_with(value[start:stop], heavy[start:stop], every)
    return found


def _median_with(values: np.ndarray, weight: np.ndarray, one_more: float) -> float:
    heavy = np.append(weight, np.median(weight))
    return float(quantiles(np.append(values, one_more), heavy, np.array([0.5]))[0])


def _runs(sorted_codes: np.ndarray) -> list[tuple[int, int]]:
    starts = np.flatnonzero(np.diff(sorted_codes, prepend=-1))
    return list(pairwise([*starts.tolist(), len(sorted_codes)]))


def quantiles(values: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Weighted quantiles of values (m,), linear between the middles of their weights (Hazen's for equal ones).

    >>> quantiles(np.array([3.0, 1.0, 2.0, 900.0]), np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.5, 0.9]))
    array([2., 3.])
    """
    order = np.argsort(values, kind="stable")
    return sorted_quantiles(values[order], weight[order], levels)


def sorted_quantiles(values: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """`quantiles` of values that ascend already."""
    kept = weight > 0
    heavy = weight[kept]
    total = np.cumsum(heavy)
    return np.interp(levels, (total - heavy / 2) / total[-1], values[kept])


def within_reach(values: np.ndarray, code: Codes) -> np.ndarray:
    """Values (n,) or (n, k) in which the highest and lowest 1 % of a group, at least one, count as the next ones.

    NaN stays NaN, and so do groups of fewer than five known values.

    >>> within_reach(np.array([1.0, 2.0, 3.0, 4.0, 900.0]), np.zeros(5, dtype=int))
    array([2., 2., 3., 4., 4.])
    """
    flat = values[:, None] if values.ndim == 1 else values
    bounded = flat.astype(float)
    order = np.argsort(code, kind="stable")
    for start, stop in _runs(code[order]):
        rows = order[start:stop]
        if len(rows) >= _LEAST_MEMBERS:
            bounded[rows] = _clipped(flat[rows])
    return bounded.reshape(values.shape)


def _clipped(values: np.ndarray) -> np.ndarray:
    """Of one group's values (members, k)."""
    ranked = np.sort(values, axis=0)
    count = (~np.isnan(values)).sum(axis=0)
    out = np.ceil(_TAIL_RATE * count).astype(int)
    column = np.arange(values.shape[1])
    low, high = ranked[np.minimum(out, len(values) - 1), column], ranked[np.maximum(count - 1 - out, 0), column]
    enough = count >= _LEAST_MEMBERS
    return np.where(enough, np.clip(values, np.where(enough, low, -np.inf), np.where(enough, high, np.inf)), values)


def ordinary_days(values: np.ndarray, code: Codes) -> np.ndarray:
    """Days (n, T) in which no series counts for more than its group knows besides it.

    The limit of a day is what the second highest series of the group has on it, or 2 % of what the group sells a day up
    to then (three to ten times the mean of its series), whichever is more: sums over a group follow what its series
    have in common, and ordinary demand stays as it is. NaN stays NaN; groups of fewer than five series stay as they
    are. `code` numbers the groups without gaps.

    >>> days = np.array([[1.0, 2.0, 1.0], [2.0, 1.0, 900.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [2.0, 1.0, 2.0]])
    >>> ordinary_days(days, np.zeros(5, dtype=int))[1].round(1)
    array([2. , 1. , 4.8])
    """
    total = np.cumsum(np.where(np.isnan(values), 0.0, values), axis=1, dtype=np.float64)
    return ordinary_day(values, total=total, days=np.cumsum(~np.isnan(values), axis=1), code=code)


def ordinary_day(values: np.ndarray, *, total: np.ndarray, days: np.ndarray, code: Codes) -> np.ndarray:
    """Like `ordinary_days`, of values (n, k) whose series' totals and known days so far, (n, k) each, are at hand."""
    members = np.bincount(code)
    times = np.clip(_SHARE_OF_TOTAL * members, *_TIMES_USUAL)[:, None]
    shared = _group_sums(np.minimum(total, second_highest(total, code)[code]), code)
    usual = shared / np.maximum(_group_sums(days, code), 1)
    limit = np.maximum(second_highest(values, code), times * usual)
    limit[members < _LEAST_MEMBERS] = np.inf
    return np.minimum(values, limit[code])


def _group_sums(values: np.ndarray, code: Codes) -> np.ndarray:
    return _of_groups(values, code, lambda rows: rows.sum(axis=0))


def _of_groups(values: np.ndarray, code: Codes, summed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a function makes of the rows of each group, (groups, T): whole blocks are faster than `reduceat`."""
    order = np.argsort(code, kind="stable")
    ranked, runs = values[order], _runs(code[order])
    found = np.empty((len(runs), values.shape[1]))
    for number, (start, stop) in enumerate(runs):
        found[number] = summed(ranked[start:stop])
    return found


def second_highest(values: np.ndarray, code: Codes) -> np.ndarray:
    """Second highest known value of each group, (groups, T); 0 where fewer than two are known or both are negative."""
    return _of_groups(values, code, lambda rows: _second_of(np.where(rows > 0, rows, 0.0)))


def _second_of(rows: np.ndarray) -> np.ndarray:
    highest = rows.max(axis=0)
    is_highest = rows == highest
    others = np.where(is_highest, 0.0, rows).max(axis=0)
    return np.where(is_highest.sum(axis=0) > 1, highest, others)


def say_of_errors(scaled: np.ndarray, series: Codes) -> np.ndarray:
    """Weight of each error (m,) in a pool, 0 … 1, by how unlike the others the errors of its series are.

    A series whose mean squared error is more than nine times the median series', and more than that of the next series
    below the highest 1 %, counts the less the wilder it is, by the square: errors of one product that forecasts cannot
    follow say nothing of the others' tails. A pool may be empty.

    >>> say_of_errors(np.array([1.0, -1.0, 1.0, 6.0]), np.array([0, 1, 2, 3]))
    array([1.    , 1.    , 1.    , 0.0625])
    """
    if not len(scaled):
        return np.ones(0)
    _, code = np.unique(series, return_inverse=True)
    square = np.bincount(code, scaled**2) / np.bincount(code)
    ranked, out = np.sort(square), int(np.ceil(_TAIL_RATE * len(square)))
    typical, ordinary = ranked[(len(ranked) - 1) // 2], ranked[max(len(ranked) - 1 - out, 0)]
    most = max(_TIMES_TYPICAL * float(typical), float(ordinary))
    return (np.divide(most, square, out=np.ones(len(square)), where=square > most) ** 2)[code]


def shared_ratio(top: np.ndarray, bottom: np.ndarray) -> float:
    """Sum of (n,) over sum of (n,), in which the highest and lowest 1 % of either count as the next; NaN over 0.

    >>> shared_ratio(np.array([1.0, 2.0, 2.0, 2.0, 900.0]), np.array([2.0, 4.0, 4.0, 4.0, 4.0]))
    0.5
    """
    over, under = shared_sum(top), shared_sum(bottom)
    return over / under if under > 0 else float("nan")


def shared_sum(values: np.ndarray) -> float:
    """Sum of (n,), in which the highest and lowest 1 %, at least one, count as the next.

    >>> shared_sum(np.array([1.0, 2.0, 2.0, 2.0, 900.0]))
    10.0
    """
    return float(np.sum(within_reach(values, np.zeros(len(values), dtype=int))))


def say_of_totals(totals: np.ndarray) -> np.ndarray:
    """Weight of each series (n,), 0 … 1: those of the highest 1 %, at least one, count as the next one does.

    A series counts alike in all its weeks, so that products whose big weeks differ keep their say.

    >>> say_of_totals(np.array([1.0, 2.0, 2.0, 4.0, 400.0]))
    array([1.  , 1.  , 1.  , 1.  , 0.01])
    """
    bounded = within_reach(totals, np.zeros(len(totals), dtype=int))
    return np.divide(bounded, totals, out=np.ones(len(totals)), where=totals > bounded)
