"""The decision of an order: the level that triggers it, the level it reaches, what caps it, and the packs that follow.

Plan, what-if and replay all decide here, so the policy that a replay scores is the one that orders tonight. Which
demand a line must cover comes from the plan's and the replay's own readers of the forecast.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array, Days, Flags
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.experience import SalesSoFar
from retail_assets.inventory.packs import whole_packs
from retail_assets.inventory.parameters import LineParameters
from retail_assets.inventory.policies import reorder_point_fill, reorder_point_with_packs, shelf_life_limit

_SLACK = 1e-9
_DECIMALS = 6
"""Digits of a reorder point in units: finer ones are noise of floating point."""


@dataclass(frozen=True)
class OrderTerms:
    """What supplier, shelf and policy ask of the orders of n lines, (n,) each; units and money as floats.

    `pack_units` is above 0, `unit_step` 0 for goods sold by weight, `presentation_min_units` 0 for none.
    """

    pack_units: Array
    line_minimum_units: Array
    unit_step: Array
    presentation_min_units: Array
    unit_cost: Array
    unit_margin: Array
    rules: LineParameters

    def take(self, rows: NDArray[np.intp] | Days) -> Self:
        taken = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "rules"}
        return type(self)(**taken, rules=self.rules.take(np.asarray(rows, dtype=np.int64)))


class ForecastOfLines(Protocol):
    """The cumulative forecast of n lines, read at any number of days ahead."""

    def within(self, days: Days) -> Demand:
        """Demand over the next `days` (n,) days."""
        ...

    def mean_within(self, days: Days) -> Array:
        """(n, m) expected demand over the next `days` (n, m) days."""
        ...


class Caps(NamedTuple):
    """The most a line may have on hand and on order, and the most one order may hold; (n,) units, inf for no cap."""

    position: Array
    order: Array


@dataclass(frozen=True)
class ExpiringDemand:
    """Demand until an order expires, and the part of it from the delivery on."""

    until_expiry: Demand
    from_delivery: Demand

    @classmethod
    def of(cls, forecast: ForecastOfLines, *, before_delivery_days: Days, life_days: Days) -> Self:
        """Demand of orders that arrive after `before_delivery_days` (n,) and sell for `life_days` (n,).

        Demand from the delivery on is that of the first days, as many, times the ratio of the means.
        """
        days = np.column_stack([before_delivery_days, before_delivery_days + life_days, life_days])
        before, reached, life = np.maximum(days, 0).T
        sold, total, first = forecast.mean_within(np.column_stack([before, reached, life])).T
        ratio = np.divide(np.maximum(total - sold, 0.0), first, out=np.zeros_like(first), where=first > 0)
        return cls(forecast.within(reached), forecast.within(life).scale(ratio))

    def caps(self, terms: OrderTerms, target: Array) -> Caps:
        """Position and order whose last pack still pays before the order expires.

        The position alone is not enough: what sells before the delivery makes no room for goods that come with it.
        """
        ratio = terms.rules.shelf_life_ratio(margin=terms.unit_margin, unit_cost=terms.unit_cost, target=target)
        return Caps(
            *(
                shelf_life_limit(demand, terms.pack_units, line_minimum_units=terms.line_minimum_units, ratio=ratio)
                for demand in (self.until_expiry, self.from_delivery)
            )
        )


class Quantities(NamedTuple):
    """Units after each step of an order, (n,) each; `is_beyond_sales` where the need exceeds everything sold."""

    need: Array
    after_minimum: Array
    after_pack: Array
    after_cap: Array
    is_beyond_sales: Flags


@dataclass(frozen=True)
class OrderLevels:
    """Of n lines, units (n,) each: at or below `trigger` an order reaches `up_to`, as far as the caps let it.

    `trigger` is -inf for a line that must not be ordered. `sales` measure the orders; without them nothing does.
    """

    trigger: Array
    up_to: Array
    caps: Caps
    sales: SalesSoFar | None = None

    def room(self, position: Array, *, pack_units: Array, line_minimum_units: Array) -> Array:
        """What the caps, and the sales so far, still allow an order to hold."""
        allowed = np.maximum(np.minimum(self.caps.position - position, self.caps.order), 0.0)
        if self.sales is None:
            return allowed
        need = self._need(position)
        measured = self.sales.room(need, position, pack_units=pack_units, line_minimum_units=line_minimum_units)
        return np.minimum(allowed, measured)

    def _need(self, position: Array) -> Array:
        return np.where(position <= self.trigger + _SLACK, self.up_to - position, 0.0)

    def quantities(self, position: Array, *, pack_units: Array, line_minimum_units: Array) -> Quantities:
        """Need, line minimum, packs, caps.

        The fewest packs that reach `up_to` are ordered. A cap rounds down to packs; what remains below the line
        minimum is not ordered at all.
        """
        is_due, need = position <= self.trigger + _SLACK, self._need(position)
        room = self.room(position, pack_units=pack_units, line_minimum_units=line_minimum_units)
        after_minimum = np.where(is_due, np.maximum(need, line_minimum_units), 0.0)
        after_pack = whole_packs(after_minimum, pack_units)
        capped = np.minimum(after_pack, np.floor(room / pack_units + _SLACK) * pack_units)
        after_cap = np.where(capped + _SLACK >= line_minimum_units, capped, 0.0)
        is_beyond = np.zeros(len(need), dtype=bool)
        if self.sales is not None:
            is_beyond = self.sales.is_exceeded(need, position, pack_units=pack_units)
        return Quantities(need, after_minimum, after_pack, after_cap, is_beyond)


def reorder_points(demand: Demand, terms: OrderTerms, *, target: Array, before_delivery: Demand | None) -> Array:
    """(n,) units: the smallest reorder point that reaches the target service, and what the shelf must present.

    Args:
        demand: up to the day before the next delivery.
        terms: of the lines.
        target: (n,) service, each by the measure of its line.
        before_delivery: demand up to this delivery of the lines that are ordered by fill rate, in their order; None
            without any.
    """
    point = reorder_point_with_packs(demand, terms.pack_units, target=target)
    rows = np.flatnonzero(terms.rules.is_fill)
    if before_delivery is not None and len(rows):
        point[rows] = reorder_point_fill(
            demand.take(rows), before_delivery, pack_units=terms.pack_units[rows], target=target[rows]
        )
    shelf = terms.presentation_min_units
    shown = np.where(shelf > 0, shelf - terms.unit_step, point)
    return np.round(np.maximum(point, shown), _DECIMALS).astype(np.float64)
