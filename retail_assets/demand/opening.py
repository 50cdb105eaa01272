"""When stores trade: the weekdays on which they never do, and the hours of a day, learnt from what they report.

Arrays in, arrays out. Weekdays and hours that the source gives stand before what is learnt; they belong to the callers.
"""

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array

WEEKS = 8
LEARNING_DAYS = 7 * WEEKS
"""Days that decide whether a weekday is one on which a store does not trade."""
_LEAST_WEEKS = 6
"""Of these weeks the store must have sold something in so many: holidays of two weeks change nothing."""
_STRAY_SHARE = 0.02
"""A day that sells this share of the usual number of products, or less, does not count as a day of trade."""
_WEAK_DAY_SHARE = 0.2
_CHANCE = 1e-4
"""A weekday with a fifth of the sales of others would show this many empty days in a row with this probability."""
_POISSON_BELOW = 1e-6

USUAL_HOURS = 14.0
"""Hours a day where nothing else is known."""
_MOST_HOURS = 24.0
_ENOUGH_REPORTS = 3
"""So many days must report as many hours: one wrong figure changes nothing."""


def closed_weekdays(sold: Array, *, weekday: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each store is closed on Monday … Sunday, (stores, 7).

    A weekday is closed when the last eight of it sold nothing, in at least six weeks in which the store sold on other
    days, and so many empty days would be a rare chance even for a weekday with a fifth of the sales of the others
    (negative binomial, with the dispersion of the other days). One day of trade on the weekday opens it again.

    Args:
        sold: number of products each store sold on each of the `LEARNING_DAYS` days up to now, (stores, 56).
        weekday: ISO weekday of each of these days.

    >>> week = np.tile([20.0, 18, 22, 25, 30, 41, 0], 8)
    >>> closed_weekdays(week[None, :], weekday=np.tile(np.arange(1, 8), 8))[0].tolist()
    [False, False, False, False, False, False, True]
    """
    usual = np.nan_to_num(_median_of_positive(sold))[:, None]
    days = np.where(sold > _STRAY_SHARE * usual, sold, 0.0).reshape(len(sold), WEEKS, 7)
    empty = (days == 0).all(axis=1)
    weeks = (days > 0).any(axis=2).sum(axis=1)
    others = np.where(empty[:, None, :], np.nan, days).reshape(len(sold), LEARNING_DAYS)
    log_chance = weeks * _log_chance_of_none(others)
    found = empty & ((weeks >= _LEAST_WEEKS) & (log_chance < np.log(_CHANCE)))[:, None]
    closed = np.zeros(found.shape, dtype=bool)
    closed[:, np.asarray(weekday[-7:], dtype=int) - 1] = found
    return closed


def _median_of_positive(values: Array) -> Array:
    ordered = np.sort(np.where(values > 0, values, np.inf), axis=1)
    count = (values > 0).sum(axis=1)
    return np.where(count > 0, ordered[np.arange(len(values)), np.maximum(count - 1, 0) // 2], 0.0)


def _log_chance_of_none(others: Array) -> Array:
    """Log of the probability that a weak weekday sells nothing once; NaN entries are days that do not count."""
    count = np.maximum(np.isfinite(others).sum(axis=1), 1)
    mean = np.nansum(others, axis=1) / count
    variance = np.nansum((others - mean[:, None]) ** 2, axis=1) / count
    dispersion = np.maximum((variance - mean) / np.maximum(mean, 1e-9) ** 2, _POISSON_BELOW)
    return -np.log1p(dispersion * _WEAK_DAY_SHARE * mean) / dispersion


def trading_hours(given: Array, stock_out_hours: Array, *, was_empty: NDArray[np.bool_], store: NDArray) -> Array:
    """Hours a day that the store of each series trades, (series,).

    Hours the source gives stand. Else days that were empty throughout report all hours there are; where too few did,
    14 are taken. No store trades fewer hours than its products were reported out of stock.

    Args:
        given: hours by the source, (series,), NaN when not known.
        stock_out_hours: hours without stock, (series, days), NaN when not known.
        was_empty: days that opened and ended empty and sold nothing, (series, days).
        store: number of each series' store, (series,).
    """
    reported = np.where((stock_out_hours > 0) & (stock_out_hours <= _MOST_HOURS), stock_out_hours, 0.0)
    idle = np.where(was_empty, reported, 0.0)
    hours = np.full(int(store.max(initial=-1)) + 1, USUAL_HOURS)
    for number in np.unique(store[(reported > 0).any(axis=1) & np.isnan(given)]):
        mine = store == number
        whole, most = _nth_largest(idle[mine]), _nth_largest(reported[mine])
        hours[number] = max(whole or USUAL_HOURS, most)
    return np.where(np.isnan(given), hours[store], given)


def _nth_largest(values: Array) -> float:
    flat = values.ravel()
    return float(np.partition(flat, -_ENOUGH_REPORTS)[-_ENOUGH_REPORTS]) if flat.size >= _ENOUGH_REPORTS else 0.0
