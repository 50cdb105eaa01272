"""Demand and ABC classes as of a panel's last day: the segments models compete in and are judged by.

Cut-offs of Syntetos, Boylan & Croston (2005): demand interval 1.32 days, squared variation 0.49. The monthly
segments of gold.product_segments, which planners see, are made elsewhere.
"""

import numpy as np

from retail_assets.demand.panel import Panel
from retail_assets.tables.gold import INTERVAL_LIMIT_DAYS, NO_SALE, SHARE_A, SHARE_B, SQUARED_VARIATION_LIMIT

_MEMORY_DAYS = 365
_VALUE_DAYS = 91


def demand_class(panel: Panel) -> np.ndarray:
    """Class name of each series, (n,), from the last 365 days; none without a sale."""
    history = panel.demand[:, -_MEMORY_DAYS:]
    sold = history > 0
    days, sales = (~np.isnan(history)).sum(axis=1), sold.sum(axis=1)
    mean = np.where(sold, history, 0.0).sum(axis=1) / np.maximum(sales, 1)
    squares = np.where(sold, (np.nan_to_num(history) - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(sales, 1)
    is_rare = days > INTERVAL_LIMIT_DAYS * sales
    is_wild = squares > SQUARED_VARIATION_LIMIT * mean**2
    names = np.array([["smooth", "erratic"], ["intermittent", "lumpy"]], dtype=object)
    return np.where(sales > 0, names[is_rare.astype(int), is_wild.astype(int)], NO_SALE)


def abc_class(panel: Panel) -> np.ndarray:
    """A, B or C of each series, (n,): the first 80 %, next 15 % and last 5 % of demand's value in the last 91 days.

    A series belongs to the class its first unit falls into, as in gold.product_segments; those without value are C.
    """
    units = np.nan_to_num(panel.demand[:, -_VALUE_DAYS:])
    days = slice(panel.day_count - units.shape[1], panel.day_count)
    value = (units * np.nan_to_num(panel.price[:, days])).sum(axis=1)
    order = np.argsort(-value, kind="stable")
    before = np.empty(len(value))
    before[order] = np.cumsum(value[order]) - value[order]
    share = np.round(before / max(value.sum(), np.finfo(float).tiny), 9)
    return np.where(value <= 0, "C", np.where(share < SHARE_A, "A", np.where(share < SHARE_B, "B", "C")))
