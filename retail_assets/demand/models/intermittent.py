"""Levels of demand that comes now and then: demand (n, T) in, mean units a day (n,) out, flat by definition.

NaN is a day nobody observed and is left out as if it had not been. A series without an observed day comes out as
NaN, one without a sale as 0; turning levels into contenders belongs in `baselines`.
"""

import numpy as np

from retail_assets.demand.models.smoothing import by_block, ses

SMOOTHING = 0.1
TSB_SMOOTHING = 0.05
SES_LEVELS = (0.05, 0.1, 0.2, 0.3)


def croston(demand: np.ndarray, *, smoothing: float = SMOOTHING) -> np.ndarray:
    """Smoothed size over smoothed interval of demand (Croston 1972), both begun with their first values.

    >>> croston(np.array([[0.0, 3.0, 0.0, 0.0, 6.0]]), smoothing=0.5)
    array([1.8])
    """
    return by_block(lambda values: _croston_block(values, smoothing), demand)


def _croston_block(values: np.ndarray, smoothing: float) -> np.ndarray:
    seen, filled = ~np.isnan(values), np.nan_to_num(values)
    size, interval, waited = np.zeros((3, values.shape[1]))
    has_sold = np.zeros(values.shape[1], dtype=bool)
    for day in range(len(values)):
        waited += seen[day]
        sold = filled[day] > 0
        weight = np.where(has_sold, smoothing, 1.0) * sold
        size += weight * (filled[day] - size)
        interval += weight * (waited - interval)
        waited[sold] = 0
        has_sold |= sold
    level = np.divide(size, interval, out=np.zeros_like(size), where=interval > 0)
    return np.where(seen.any(axis=0), level, np.nan)


def sba(demand: np.ndarray, *, smoothing: float = SMOOTHING) -> np.ndarray:
    """Croston's level without its bias, times 1 - smoothing / 2 (Syntetos & Boylan 2005).

    >>> sba(np.array([[0.0, 3.0, 0.0, 0.0, 6.0]]), smoothing=0.5)
    array([1.35])
    """
    return (1 - smoothing / 2) * croston(demand, smoothing=smoothing)


def tsb(demand: np.ndarray, *, smoothing: float = TSB_SMOOTHING) -> np.ndarray:
    """Smoothed probability of demand, which fades without sales, times smoothed size (Teunter, Syntetos & Babai 2011).

    Both begin with their means over the whole history.

    >>> tsb(np.array([[0.0, 4.0]]), smoothing=0.5)
    array([2.5])
    """
    return by_block(lambda values: _tsb_block(values, smoothing), demand)


def _tsb_block(values: np.ndarray, smoothing: float) -> np.ndarray:
    seen, filled = ~np.isnan(values), np.nan_to_num(values)
    days, sales = seen.sum(axis=0), (filled > 0).sum(axis=0)
    rate, size = sales / np.maximum(days, 1), filled.sum(axis=0) / np.maximum(sales, 1)
    for day in range(len(values)):
        sold = filled[day] > 0
        rate += smoothing * seen[day] * (sold - rate)
        size += smoothing * sold * (filled[day] - size)
    return np.where(days > 0, rate * size, np.nan)


def adida(demand: np.ndarray, *, levels: tuple[float, ...] = SES_LEVELS) -> np.ndarray:
    """Simple smoothing of sums over the mean interval between sales, spread evenly (Nikolopoulos et al. 2011).

    >>> adida(np.array([[0.0, 4.0, 0.0, 8.0]]), levels=(0.5,))
    array([3.])
    """
    return by_block(lambda values: _adida_block(values, levels), demand)


def _adida_block(values: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    recent = _newest_first(values)
    days, sales = (~np.isnan(recent)).sum(axis=0), (recent > 0).sum(axis=0)
    interval = np.rint(days / np.maximum(sales, 1)).astype(int)
    interval = np.where(sales > 0, np.minimum(interval, _longest(days)), 1)
    found = np.full(values.shape[1], np.nan)
    for length in np.unique(interval):
        rows = np.flatnonzero(interval == length)
        found[rows] = _summed_level(recent[:, rows], int(length), levels)
    return found


def imapa(demand: np.ndarray, *, levels: tuple[float, ...] = SES_LEVELS) -> np.ndarray:
    """Mean of the levels by simple smoothing of sums over 1, 2, … days up to the longest interval between sales.

    Petropoulos & Kourentzes (2015), who combine what each time frame shows.

    >>> imapa(np.array([[0.0, 4.0, 0.0, 8.0]]), levels=(0.5,))
    array([3.75])
    """
    return by_block(lambda values: _imapa_block(values, levels), demand)


def _imapa_block(values: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    recent = _newest_first(values)
    days = (~np.isnan(recent)).sum(axis=0)
    longest = np.where((recent > 0).any(axis=0), np.minimum(_longest_interval(recent), _longest(days)), 1)
    total = np.zeros(values.shape[1])
    for length in range(1, int(longest.max(initial=1)) + 1):
        rows = np.flatnonzero(longest >= length)
        total[rows] += _summed_level(recent[:, rows], length, levels)
    return total / longest


def _longest(days: np.ndarray) -> np.ndarray:
    """Days that fit twice into the history, at least 1: a single sum has nothing to be smoothed with."""
    return np.maximum(days // 2, 1)


def _newest_first(values: np.ndarray) -> np.ndarray:
    """The observed days alone, newest in row 0; NaN below the oldest."""
    backwards = values[::-1]
    order = np.isnan(backwards).argsort(axis=0, kind="stable")
    return np.take_along_axis(backwards, order, axis=0)


def _longest_interval(recent: np.ndarray) -> np.ndarray:
    """Days from sale to sale, and from the first day to the first sale, at most, (n,); 0 without a sale."""
    longest, waited = np.zeros((2, recent.shape[1]), dtype=int)
    for row in recent[::-1]:
        waited += ~np.isnan(row)
        sold = row > 0
        longest[sold] = np.maximum(longest, waited)[sold]
        waited[sold] = 0
    return longest


def _summed_level(recent: np.ndarray, length: int, levels: tuple[float, ...]) -> np.ndarray:
    """Smoothed sums over `length` days, counted back from the newest, over `length`; the odd oldest days are left."""
    whole = len(recent) // length * length
    sums = recent[:whole].reshape(-1, length, recent.shape[1]).sum(axis=1)
    return ses(sums[::-1], levels)[0] / length
