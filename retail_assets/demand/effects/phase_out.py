"""Products on their way out: what may still be expected of a series that stands unsold against all its past.

Ends that are known (assortment, closing stores) come with the panel's future opening days; this is about those nobody
told.
"""

import numpy as np

from retail_assets.demand.panel import Panel

_PAST_DAYS = 112
_MISSED_UNITS = 32.0
_LEFT = 0.05


def most_expected(panel: Panel) -> np.ndarray:
    """Ceiling of mean demand a day, (n,); infinite for series that sell.

    A series that has sold nothing on days that would have brought 32 units or more by the 112 days before its last
    sale keeps a twentieth of that demand: of 471 such moments in the first 1,913 days of the M5 data the next four
    weeks brought 5.0 % of it, and nothing at all in 60 % of them. Days that were short of stock are no silence.
    """
    demand = panel.demand
    seen, sold = ~np.isnan(demand), np.nan_to_num(demand) > 0
    has_sold = sold.any(axis=1)
    last = demand.shape[1] - 1 - sold[:, ::-1].argmax(axis=1)
    day = np.arange(demand.shape[1])[None, :]
    is_silent = seen & (day > last[:, None])
    is_past = seen & (day <= last[:, None]) & (day > last[:, None] - _PAST_DAYS)
    before = np.where(is_past, np.nan_to_num(demand), 0.0).sum(axis=1) / np.maximum(is_past.sum(axis=1), 1)
    is_out = has_sold & (before * is_silent.sum(axis=1) >= _MISSED_UNITS)
    return np.where(is_out, _LEFT * before, np.inf)
