"""Forecasts from averages freed of the season: the organiser's, and one whose weeks fade instead of ending.

One season serves all series: the mean of all sales in stock by ISO week, over its own mean. Weeks that were not in
stock throughout count nowhere.
"""

import numpy as np

from bench.vn2_data import WeeklySales
from retail_assets.arrays import Array

AVERAGED_WEEKS = 13
WEIGHT_KEPT = 0.93
"""Of a week's weight when one more has passed: a mean age of 13 weeks. 0.90 and 0.97 are as good in most windows."""


def season_factors(sales: WeeklySales, ahead: int) -> Array:
    """(t + ahead,) factor of each known and coming week; 1 for an ISO week nobody has seen."""
    iso = sales.iso_weeks(ahead)
    weekly, seen = mean_known(sales.in_stock_units, axis=0), iso[: sales.week_count]
    known = np.isfinite(weekly)
    count = np.bincount(seen[known], minlength=54)
    total = np.bincount(seen[known], weights=weekly[known], minlength=54)
    mean = float((total[count > 0] / count[count > 0]).mean())
    factor = np.where(count > 0, total / np.maximum(count, 1), mean) / mean
    return factor[iso]


def seasonal_average(sales: WeeklySales, ahead: int) -> Array:
    """(n, ahead) expected units by the organiser: the mean of the last 13 weeks; 0 where none was in stock."""
    factor = season_factors(sales, ahead)
    recent = slice(max(sales.week_count - AVERAGED_WEEKS, 0), sales.week_count)
    level = mean_known(_freed(sales, factor)[:, recent], axis=1)
    return np.nan_to_num(level)[:, None] * factor[None, sales.week_count :]


def faded_average(sales: WeeklySales, ahead: int) -> Array:
    """(n, ahead) expected units: the mean of all weeks, each with 0.93 of the weight of the one after it."""
    factor = season_factors(sales, ahead)
    freed = _freed(sales, factor)
    weight = np.isfinite(freed) * WEIGHT_KEPT ** np.arange(sales.week_count)[::-1]
    level = (weight * np.nan_to_num(freed)).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return level[:, None] * factor[None, sales.week_count :]


def _freed(sales: WeeklySales, factor: Array) -> Array:
    """(n, t) units over the factor of their week; NaN out of stock, and in an ISO week in which nothing ever sold."""
    known = factor[None, : sales.week_count]
    return np.divide(sales.in_stock_units, known, out=np.full(sales.units.shape, np.nan), where=known > 0)


def mean_known(values: Array, axis: int) -> Array:
    """Mean of what is not NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
