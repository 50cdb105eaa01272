"""Estimates that many series share, in which no single series has the say.

Every number here stays near what it would be without any one of the series, whatever that series sold; it equals the
plain mean, sum or quantile wherever no series stands out. What is pooled, and for whom, belongs to the callers.
"""

import numpy as np
from numpy.typing import NDArray

_TAIL_RATE = 0.01
"""Share of a group's series at each end that count as the next ones inwards; one series at least."""
_LEAST_MEMBERS = 3
_TIMES_USUAL = 10.0
_TIMES_TYPICAL = 9.0

Codes = NDArray[np.integer]


def grouped_median(values: np.ndarray, weight: np.ndarray, code: Codes) -> np.ndarray:
    """Weighted median of each group, (groups,); the median of all groups' series counts in each as one more series.

    A group's own series of weight 0 say nothing; without any weight at all every group gets NaN.

    Args:
        values: (n,).
        weight: how much a value is known, (n,), never negative.
        code: number of each series' group, (n,).

    >>> grouped_median(np.array([1.0, 2.0, 90.0, 3.0]), np.ones(4), np.zeros(4, dtype=int))
    array([2.25])
    """
    known = weight > 0
    count = int(code.max(initial=-1)) + 1
    if not known.any():
        return np.full(count, np.nan)
    every = float(quantiles(values[known], weight[known], np.array([0.5]))[0])
    found = np.full(count, every)
    order = np.argsort(code[known], kind="stable")
    of, value, heavy = code[known][order], values[known][order], weight[known][order]
    for start, stop in _runs(of):
        lent = float(np.median(heavy[start:stop]))
        own = np.append(value[start:stop], every), np.append(heavy[start:stop], lent)
        found[of[start]] = quantiles(*own, np.array([0.5]))[0]
    return found


def _runs(sorted_codes: np.ndarray) -> list[tuple[int, int]]:
    starts = np.flatnonzero(np.diff(sorted_codes, prepend=-1))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(sorted_codes)], strict=True))


def quantiles(values: np.ndarray, weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Weighted quantiles of values (m,), linear between the middles of their weights (Hazen's for equal ones).

    >>> quantiles(np.array([3.0, 1.0, 2.0, 900.0]), np.array([1.0, 1.0, 1.0, 0.0]), np.array([0.5, 0.9]))
    array([2., 3.])
    """
    kept = weight > 0
    order = np.argsort(values[kept], kind="stable")
    sorted_values, heavy = values[kept][order], weight[kept][order]
    total = np.cumsum(heavy)
    return np.interp(levels, (total - heavy / 2) / total[-1], sorted_values)


def within_reach(values: np.ndarray, code: Codes) -> np.ndarray:
    """Values (n,) or (n, k) in which the highest and lowest 1 % of a group, at least one, count as the next ones.

    NaN stays NaN. Groups of fewer than three known values stay as they are: there is nobody to compare with.

    >>> within_reach(np.array([1.0, 2.0, 3.0, 900.0]), np.zeros(4, dtype=int))
    array([2., 2., 3., 3.])
    """
    flat = values.reshape(len(values), -1)
    bounded = flat.copy()
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

    The limit of a day is what the second highest series of the group has on it, or ten times the usual mean of the
    group's series, whichever is more: sums over a group follow what its series have in common, and ordinary demand
    stays as it is. NaN stays NaN.

    >>> days = np.array([[1.0, 2.0, 1.0], [2.0, 1.0, 900.0], [1.0, 2.0, 3.0]])
    >>> ordinary_days(days, np.zeros(3, dtype=int))[1].round(1)
    array([ 2. ,  1. , 15.6])
    """
    seen = ~np.isnan(values)
    own = np.divide(np.nansum(values, axis=1), seen.sum(axis=1), out=np.full(len(values), np.nan), where=seen.any(axis=1))
    limit = np.maximum(second_highest(values, code), _TIMES_USUAL * grouped_mean(own, code)[:, None])
    return np.minimum(values, limit[code])


def grouped_mean(values: np.ndarray, code: Codes) -> np.ndarray:
    """Mean of the known values (n,) of each group, (groups,), as `within_reach` bounds them; 0 without any."""
    bounded = within_reach(values, code)
    seen = np.isfinite(bounded)
    size = int(code.max(initial=-1)) + 1
    total = np.bincount(code[seen], bounded[seen], minlength=size)
    return total / np.maximum(np.bincount(code[seen], minlength=size), 1)


def second_highest(values: np.ndarray, code: Codes) -> np.ndarray:
    """Second highest known value of each group, (groups, T); 0 where fewer than two are known or both are negative."""
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    sizes = np.diff([*starts, len(order)])
    ranked = np.maximum(np.nan_to_num(values[order]), 0.0)
    highest = np.maximum.reduceat(ranked, starts, axis=0)
    is_highest = ranked == np.repeat(highest, sizes, axis=0)
    is_shared = np.add.reduceat(is_highest, starts, axis=0, dtype=np.int32) > 1
    ranked[is_highest] = 0.0
    return np.where(is_shared, highest, np.maximum.reduceat(ranked, starts, axis=0))


def say_of_errors(scaled: np.ndarray, series: Codes) -> np.ndarray:
    """Weight of each error (m,) in a pool, 0 … 1, by how unlike the others the errors of its series are.

    A series whose mean squared error is more than nine times the median series', and more than that of the next series
    below the highest 1 %, counts the less the wilder it is, by the square: errors of one product that forecasts cannot
    follow say nothing of the others' tails.

    >>> say_of_errors(np.array([1.0, -1.0, 1.0, 30.0]), np.array([0, 1, 2, 3]))
    array([1.  , 1.  , 1.  , 0.0001])
    """
    _, code = np.unique(series, return_inverse=True)
    square = np.bincount(code, scaled**2) / np.bincount(code)
    out = int(np.ceil(_TAIL_RATE * len(square)))
    ordinary = np.sort(square)[max(len(square) - 1 - out, 0)]
    most = max(_TIMES_TYPICAL * float(np.median(square)), float(ordinary), np.finfo(float).tiny)
    return (np.minimum(1.0, most / np.maximum(square, np.finfo(float).tiny)) ** 2)[code]
