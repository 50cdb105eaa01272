"""The organiser's forecast: a 13-week average of weeks in stock, freed of the season and given that of the coming weeks.

One season serves all series: the mean of all sales in stock by ISO week, over its own mean.
"""

import warnings

import numpy as np

from bench.vn2_data import WeeklySales
from retail_assets.arrays import Array

AVERAGED_WEEKS = 13


def season_factors(sales: WeeklySales, ahead: int) -> Array:
    """(t + ahead,) factor of each known and coming week; 1 for an ISO week nobody has seen."""
    iso = sales.iso_weeks(ahead)
    weekly, seen = mean_known(sales.in_stock_units, axis=0), iso[: sales.week_count]
    by_week = {week: float(np.mean(weekly[seen == week])) for week in np.unique(seen)}
    mean = float(np.mean(list(by_week.values())))
    return np.array([by_week.get(int(week), mean) / mean for week in iso])


def seasonal_average(sales: WeeklySales, ahead: int) -> Array:
    """(n, ahead) expected units of the coming weeks; 0 for a series that was not in stock in the 13 weeks."""
    factor = season_factors(sales, ahead)
    recent = slice(max(sales.week_count - AVERAGED_WEEKS, 0), sales.week_count)
    level = mean_known(sales.in_stock_units[:, recent] / factor[recent], axis=1)
    return np.nan_to_num(level)[:, None] * factor[None, sales.week_count :]


def mean_known(values: Array, axis: int) -> Array:
    """Mean of what is not NaN; NaN where nothing is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)
