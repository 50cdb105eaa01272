"""What a product sold so far, and up to which order that speaks for itself.

Plan and replay measure orders by it in order_levels.py. What is forecast does not belong here.
"""

from dataclasses import dataclass

import numpy as np

from retail_assets.arrays import Array, Days, Flags
from retail_assets.inventory.packs import least_order, whole_packs

EXPERIENCE_DAYS = 365
"""Days back that count as everything a product ever sold."""
_LEAST_DAYS, _PROTECTIONS = 28, 4
"""A history speaks from so many days with stock on, and from as many times the days an order must cover."""
_SLACK = 1e-9


def has_history(stock_days: Array, protection_days: Days) -> Flags:
    """Series whose sales speak: a launched product's do not yet, nor those of a few days with stock.

    Over a protection of half the history the reorder point of an ordinary slow product exceeds everything it sold, over
    a fourth only that of one that sold once or twice.

    >>> has_history(np.array([27.0, 28.0, 28.0]), np.array([5, 7, 8])).tolist()
    [False, True, False]
    """
    return stock_days >= np.maximum(_LEAST_DAYS, _PROTECTIONS * protection_days)


@dataclass(frozen=True)
class SalesSoFar:
    """What orders of n lines are measured by, (n,) each.

    `sold_units` is everything sold, infinite where the history does not speak. `shelf_units` is what the retailer
    wants to show, however little sells. `is_promoted` where a promotion explains a larger order.
    """

    sold_units: Array
    shelf_units: Array
    is_promoted: Flags

    def is_exceeded(self, need: Array, position: Array, *, pack_units: Array) -> Flags:
        """Needs above everything sold, in whole packs, and above one pack and what the shelf lacks."""
        return whole_packs(need, pack_units) > self._most(position, pack_units) + _SLACK

    def room(self, need: Array, position: Array, *, pack_units: Array, line_minimum_units: Array) -> Array:
        """(n,) the most that is ordered without a planner.

        A need above everything sold is worth one pack, or the least the supplier delivers, until the position holds as
        much as was sold; and the shelf is filled.
        """
        least = least_order(pack_units, line_minimum_units)
        trial = np.where(position + _SLACK < np.maximum(self.sold_units, pack_units), least, 0.0)
        held = np.maximum(trial, self._to_shelf(position, pack_units))
        is_held = self.is_exceeded(need, position, pack_units=pack_units)
        usual = np.maximum(self._most(position, pack_units), least)
        return np.where(self.is_promoted, np.inf, np.where(is_held, held, usual))

    def _most(self, position: Array, pack_units: Array) -> Array:
        sold = least_order(pack_units, self.sold_units)
        return np.maximum(sold, self._to_shelf(position, pack_units))

    def _to_shelf(self, position: Array, pack_units: Array) -> Array:
        return whole_packs(np.maximum(self.shelf_units - position, 0.0), pack_units)
