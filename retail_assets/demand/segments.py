"""Demand classes as of a panel's last day: the segments models compete in.

Cut-offs of Syntetos, Boylan & Croston (2005): demand interval 1.32 days, squared variation 0.49. The monthly
segments of gold.product_segments, which planners see, are made elsewhere.
"""

import numpy as np

from retail_assets.demand.panel import Panel

NO_SALE = "none"
DEMAND_CLASSES = ("smooth", "erratic", "intermittent", "lumpy", NO_SALE)
_INTERVAL_DAYS, _SQUARED_VARIATION, _MEMORY_DAYS = 1.32, 0.49, 365


def demand_class(panel: Panel) -> np.ndarray:
    """Class name of each series, (n,), from the last 365 days; none without a sale."""
    history = panel.demand[:, -_MEMORY_DAYS:]
    sold = history > 0
    days, sales = (~np.isnan(history)).sum(axis=1), sold.sum(axis=1)
    mean = np.where(sold, history, 0.0).sum(axis=1) / np.maximum(sales, 1)
    squares = np.where(sold, (np.nan_to_num(history) - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(sales, 1)
    is_rare = days > _INTERVAL_DAYS * sales
    is_wild = squares > _SQUARED_VARIATION * mean**2
    names = np.array([["smooth", "erratic"], ["intermittent", "lumpy"]], dtype=object)
    return np.where(sales > 0, names[is_rare.astype(int), is_wild.astype(int)], NO_SALE)
