"""What lines share: the supplier's minimum, filled with the packs that save most, and the budget of a day.

What each line asks for alone is order_levels.py's; reasons are written in plan/reasons.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array, Flags
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.order_levels import Quantities
from retail_assets.inventory.packs import least_order

_SLACK = 1e-9
_LATER_WEIGHT = 1e-3


@dataclass(frozen=True)
class PlannedOrder:
    """What becomes of the quantities of a plan's lines, (n,) each."""

    quantities: Quantities
    after_supplier_minimum: Array
    units: Array
    is_below_supplier_minimum: Flags
    is_supplier_minimum_unchecked: Flags


@dataclass(frozen=True)
class OrderLines:
    """What the supplier minimum needs to know of n lines; `group` numbers supplier and store.

    `demand` is that up to the next delivery, `cycle_mean` the expected part of it after this one. `room_units` is what
    the maximum still allows in all, `line_minimum_units` the least order of a line.
    """

    group: NDArray[np.int64]
    demand: Demand
    cycle_mean: Array
    position: Array
    pack_units: Array
    line_minimum_units: Array
    room_units: Array
    unit_cost: Array
    unit_margin: Array

    def take(self, rows: NDArray[np.intp]) -> "OrderLines":
        return OrderLines(
            demand=self.demand.take(rows),
            **{name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "demand"},
        )

    def margin_avoided(self, order_units: Array, *, ordered_units: Array | float = 0.0) -> Array:
        """What `order_units` on top of `ordered_units` save."""
        before, after = (
            shortage_avoided(self.demand, self.cycle_mean, position=self.position, order_units=units)
            for units in (ordered_units, ordered_units + order_units)
        )
        return np.nan_to_num(self.unit_margin) * np.maximum(after - before, 0.0)


def shortage_avoided(demand: Demand, cycle_mean: Array, *, position: Array, order_units: Array | float) -> Array:
    """E shortage before the next delivery without the order - with it, at most the demand after this delivery.

    Who found nothing before the order arrived has gone to another shop: no order can serve those.
    """
    saved = demand.expected_shortage(position) - demand.expected_shortage(position + order_units)
    return np.clip(saved, 0.0, np.maximum(cycle_mean, 0.0))


def filled_to_supplier_minimum(lines: OrderLines, order_units: Array, *, minimum_value: Array) -> tuple[Array, Flags]:
    """Packs added, one at a time where they save most margin per money, until each order reaches its minimum value.

    An order with a line of unknown cost may be worth enough already: it is neither filled up nor called too small.

    Args:
        lines: all lines a supplier could deliver to a store, ordered or not.
        order_units: (n,) after the cap.
        minimum_value: (n,) least value of the order a line belongs to; 0 for none.

    Returns:
        (n,) units ordered, and (n,) True for lines of an order that stays below its minimum.
    """
    order = order_units.copy()
    is_short = below_minimum(lines.group, cost_of(order, lines.unit_cost), minimum_value)
    rows = np.flatnonzero(is_short)
    rows = rows[np.argsort(lines.group[rows], kind="stable")]
    if len(rows):
        order[rows] = _add_packs(lines.take(rows), order[rows], minimum_value=minimum_value[rows])
    return order, below_minimum(lines.group, cost_of(order, lines.unit_cost), minimum_value) & (order > 0)


def within_budget(lines: OrderLines, order_units: Array, *, budget_value: float) -> Array:
    """Units that the budget of each group pays for: the packs that save most margin for their money come first.

    Every further pack of a line saves less than the one before, so the order of value over money never leaves a gap
    in a line; a first order below the line minimum is not made. Lines without a cost are kept: they cannot be weighed.

    Args:
        lines: the ordered lines; `group` numbers the orders that share a budget.
        order_units: (n,) units wanted.
        budget_value: what each group may cost.
    """
    cost = np.nan_to_num(lines.unit_cost)
    spent = np.bincount(lines.group, order_units * cost)[lines.group]
    rows = np.flatnonzero((spent > budget_value + _SLACK) & (order_units > 0) & (cost > 0))
    kept = order_units.copy()
    if len(rows):
        kept[rows] = _best_packs(lines.take(rows), order_units[rows], budget_value=budget_value)
    return kept


def _best_packs(lines: OrderLines, order_units: Array, *, budget_value: float) -> Array:
    first = least_order(lines.pack_units, lines.line_minimum_units)
    first = np.minimum(first, order_units)
    count = 1 + np.round((order_units - first) / lines.pack_units).astype(np.int64)
    row = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    units = np.where(number == 0, first[row], lines.pack_units[row])
    before = np.where(number == 0, 0.0, first[row] + (number - 1) * lines.pack_units[row])
    some = lines.take(row)
    saved = some.margin_avoided(units, ordered_units=before)
    price = units * some.unit_cost
    best = np.lexsort((number, row, -saved / price))
    left, is_cut = {}, np.zeros(len(count), dtype=bool)
    kept = np.zeros(len(count))
    for at in best.tolist():
        group, line = int(some.group[at]), int(row[at])
        rest = left.get(group, budget_value)
        if is_cut[line] or price[at] > rest + _SLACK:
            is_cut[line] = True
            continue
        left[group] = rest - price[at]
        kept[line] += units[at]
    return kept


def cost_of(order_units: Array, unit_cost: Array) -> Array:
    """(n,) value of each line at cost; NaN where something is ordered at a cost nobody knows."""
    return np.where(order_units > 0, order_units * unit_cost, 0.0)


def below_minimum(group: NDArray[np.int64], value: Array, minimum_value: Array) -> Flags:
    """(n,) lines of an order that is worth something, but less than its minimum; not where a value is unknown."""
    totals = np.bincount(group, weights=value)[group]
    return (totals > 0) & (totals < minimum_value - _SLACK)


def minimum_unchecked(group: NDArray[np.int64], value: Array, minimum_value: Array) -> Flags:
    """(n,) lines of an order that has a minimum and a line of unknown value."""
    return np.isnan(np.bincount(group, weights=value)[group]) & (minimum_value > 0)


def _add_packs(lines: OrderLines, order: Array, *, minimum_value: Array) -> Array:
    """Greedy rounds, one addition an order and round; rows are sorted by group."""
    starts = np.flatnonzero(np.diff(lines.group, prepend=-1))
    position_of = np.cumsum(np.diff(lines.group, prepend=-1) != 0) - 1
    every = np.arange(len(order))
    added, gain = _next_addition(lines, order)
    while True:
        totals = np.add.reduceat(order * np.nan_to_num(lines.unit_cost), starts)
        is_open = totals < np.maximum.reduceat(minimum_value, starts) - _SLACK
        best = np.maximum.reduceat(gain, starts)
        is_best = (gain == best[position_of]) & (gain > 0) & is_open[position_of]
        if not is_best.any():
            return order
        candidates = every[is_best]
        chosen = candidates[np.unique(position_of[candidates], return_index=True)[1]]
        order[chosen] += added[chosen]
        added[chosen], gain[chosen] = _next_addition(lines.take(chosen), order[chosen])


def _next_addition(lines: OrderLines, order: Array) -> tuple[Array, Array]:
    """Units of the next addition to each line, and margin saved per money; 0 where it is not possible.

    What an addition saves only later, because this cycle is served already, decides among those that save nothing now.
    """
    first = least_order(lines.pack_units, lines.line_minimum_units)
    units = np.where(order > 0, lines.pack_units, first)
    endless = replace(lines, cycle_mean=np.full(len(order), np.inf))
    later = endless.margin_avoided(units, ordered_units=order)
    saved = lines.margin_avoided(units, ordered_units=order) + _LATER_WEIGHT * later
    is_possible = (order + units <= lines.room_units + _SLACK) & (np.nan_to_num(lines.unit_cost) > 0)
    return units, np.where(is_possible, saved / np.where(is_possible, units * lines.unit_cost, 1.0), 0.0)
