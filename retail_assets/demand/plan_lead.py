"""How long ahead the plan of each day was known, and what a forecast origin therefore did not see.

This is the one rule that backtests and training rows share. Which plans came late is read from the versions of the
source in `transforms/late_plans.py`.
"""

from dataclasses import dataclass

import numpy as np

IN_TIME = 127
"""Lead of a plan known further ahead than any forecast looks."""


@dataclass(frozen=True, eq=False)
class PlanLead:
    """Days from the first as-of day that knew of a day's discount, and of its price, to that day; 0 for later ones.

    Both are (n, days) of int8, `IN_TIME` at most.
    """

    discount: np.ndarray
    price: np.ndarray

    def of(self, rows: np.ndarray | slice, days: slice = slice(None)) -> "PlanLead":
        """The leads of some series on some days."""
        return PlanLead(self.discount[rows, days], self.price[rows, days])

    def seen(self, price: np.ndarray, discount: np.ndarray, *, origin: int) -> tuple[np.ndarray, np.ndarray]:
        """Prices and discounts, both (n, days), as known when `origin` days had closed.

        A discount not yet planned is 0, a price not yet planned the last one known before it. Days before the origin
        stay as they were.
        """
        ahead = np.arange(1, price.shape[1] - origin + 1)
        is_unplanned, is_unpriced = self.discount[:, origin:] < ahead, self.price[:, origin:] < ahead
        if is_unplanned.any():
            planned = np.where(is_unplanned, discount.dtype.type(0), discount[:, origin:])
            discount = np.concatenate([discount[:, :origin], planned], axis=1)
        if is_unpriced.any():
            asked = np.where(is_unpriced, price.dtype.type(np.nan), price[:, origin:])
            price = np.concatenate([price[:, :origin], carried(np.hstack([price[:, [origin - 1]], asked]))[:, 1:]], 1)
        return price, discount


def carried(values: np.ndarray) -> np.ndarray:
    """The values (n, days) with the last one before it in place of a NaN; the first NaNs stay."""
    known = np.where(np.isfinite(values), np.arange(values.shape[1], dtype=np.int32), 0)
    return np.take_along_axis(values, np.maximum.accumulate(known, axis=1), axis=1)
