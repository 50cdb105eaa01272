"""One day after another in many shops at once: receive, order, sell, age and waste, close.

The same simulator runs every policy, textbook cases included; stock is conserved every day. What the policies know,
and how runs are scored, belongs to replay.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from retail_assets.arrays import Array, Days, Flags

UnmetDemand = Literal["lost", "backorder"]


@dataclass(frozen=True)
class Morning:
    """What a policy sees of n shops on the morning of day `day`, after the receipts; arrays (n,) in units."""

    day: int
    on_hand: Array
    on_order: Array
    backlog: Array
    can_order: Flags

    @property
    def position(self) -> Array:
        return self.on_hand + self.on_order - self.backlog


Policy = Callable[[Morning], Array]
"""Orders (n,) in units for the day; asked every day, counted only where `can_order`."""


@dataclass(frozen=True)
class Trace:
    """What happened, (n, days) in units.

    `unmet` is demand of the day not served from stock that day, `backlog` what waits at closing, `position` stock and
    orders less backlog right after ordering. opening + received - issued - wasted = closing; `issued` also holds
    what served the backlog.
    """

    received: Array
    ordered: Array
    position: Array
    issued: Array
    unmet: Array
    backlog: Array
    wasted: Array
    closing: Array

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> "Trace":
        return cls(**{name: np.zeros(shape) for name in cls.__dataclass_fields__})

    @property
    def has_failed(self) -> Flags:
        """(n, days) whether a customer went or waits without goods at closing."""
        return (self.unmet > 0) | (self.backlog > 0)


@dataclass(frozen=True)
class Supply:
    """When orders can leave and how long they take.

    `can_order` and `lead_days` are (n, days): an order of day t arrives on day t + lead_days[t], before opening, and
    0 means at once. `arriving` (n, days) is on its way already and comes; `expected` (n, days) is what
    the policies believe of it on each morning, after the receipts.
    """

    can_order: Flags
    lead_days: Days
    arriving: Array
    expected: Array


@dataclass(frozen=True)
class OpeningStock:
    """Stock before the first day, and how long it keeps.

    `units` (n,) count as fresh without `batches` (n, k), units that can be sold for 1 … k days more, k at least the
    longest life. A unit can be sold for `shelf_life_days` (n,), the day of receipt included; NaN for ever. The oldest
    is sold first.
    """

    units: Array
    shelf_life_days: Array | None = None
    batches: Array | None = None


def simulate(
    demand: Array,
    opening: OpeningStock,
    *,
    supply: Supply,
    policy: Policy,
    unmet_demand: UnmetDemand = "lost",
) -> Trace:
    """Run a policy over the days.

    Args:
        demand: (n, days) what customers want.
        opening: stock before the first day.
        supply: order days, lead times and what is on its way.
        policy: asked for orders every morning.
        unmet_demand: customers go (`lost`) or wait (`backorder`).
    """
    count, days = demand.shape
    trace = Trace.empty((count, days))
    shelf = _Shelf(opening)
    coming = np.concatenate([supply.arriving, np.zeros((count, int(supply.lead_days.max(initial=0)) + 1))], axis=1)
    on_order = np.zeros(count)
    backlog = np.zeros(count)
    rows = np.arange(count)
    for day in range(days):
        received = coming[:, day].copy()
        on_order = on_order - (received - supply.arriving[:, day])
        shelf.receive(received)
        served = shelf.issue(np.minimum(backlog, shelf.stock))
        state = Morning(
            day, shelf.stock.copy(), on_order + supply.expected[:, day], backlog - served, supply.can_order[:, day]
        )
        ordered = np.where(state.can_order, np.maximum(policy(state), 0.0), 0.0)
        lead = supply.lead_days[:, day]
        coming[rows, day + lead] += ordered
        at_once = np.where(lead == 0, ordered, 0.0)
        shelf.receive(at_once)
        on_order = on_order + ordered - at_once
        backlog = backlog - served
        late = shelf.issue(np.minimum(backlog, shelf.stock))
        sold = shelf.issue(np.minimum(demand[:, day], shelf.stock))
        missing = demand[:, day] - sold
        backlog = backlog - late + (missing if unmet_demand == "backorder" else 0.0)
        trace.received[:, day], trace.ordered[:, day] = received + at_once, ordered
        trace.position[:, day] = state.position + ordered
        trace.issued[:, day], trace.unmet[:, day] = served + late + sold, missing
        trace.wasted[:, day] = shelf.age()
        trace.backlog[:, day], trace.closing[:, day] = backlog, shelf.stock
    return trace


class _Shelf:
    """Stock, kept by remaining days of life where it spoils."""

    def __init__(self, opening: OpeningStock) -> None:
        self.stock = opening.units.astype(np.float64)
        life = np.full(len(self.stock), np.nan) if opening.shelf_life_days is None else opening.shelf_life_days
        self._rows = np.flatnonzero(np.isfinite(life))
        self._newest = np.maximum(life[self._rows].astype(np.int64), 1) - 1
        self._batches = np.zeros((len(self._rows), int(self._newest.max(initial=0)) + 1))
        if opening.batches is None:
            self._put(opening.units)
        else:
            self._batches[:] = opening.batches[self._rows, : self._batches.shape[1]]

    def receive(self, units: Array) -> None:
        self.stock = self.stock + units
        self._put(units)

    def issue(self, units: Array) -> Array:
        """Take units, oldest first; the caller asks for no more than there is."""
        self.stock = self.stock - units
        if len(self._rows):
            left = np.maximum(np.cumsum(self._batches, axis=1) - units[self._rows, None], 0.0)
            self._batches = np.diff(left, axis=1, prepend=0.0)
        return units

    def age(self) -> Array:
        """Close the day: what has no day of life left is wasted."""
        wasted = np.zeros(len(self.stock))
        if len(self._rows):
            wasted[self._rows] = self._batches[:, 0]
            self._batches = np.pad(self._batches[:, 1:], ((0, 0), (0, 1)))
            self.stock = np.maximum(self.stock - wasted, 0.0)
        return wasted

    def _put(self, units: Array) -> None:
        self._batches[np.arange(len(self._rows)), self._newest] += units[self._rows]
