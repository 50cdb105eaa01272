"""What becomes of an order until the next one arrives: service, waste and losses on sampled paths of demand.

The closed formula F(position) knows neither customers who leave nor stock that spoils; here the simulator says how
much they change it. Which order to place is the policies' question. What a line gets depends on its own numbers and
key alone, to the last bit: sums run from the first day on, because rows beside it may need more days or delays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array, Days, Flags
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.draws import Draws, Keys, running_total
from retail_assets.inventory.simulator import OpeningStock, Supply, Trace, UnmetDemand, simulate

_ROWS_AT_ONCE = 20_000
_LEVEL, _LATE, _START, _COMING = 0, 1, 2, 3
"""Numbers of a path: of its total, of the delays of the next order and of this one, of each line under way."""


@dataclass(frozen=True)
class Prospect:
    """n orders placed on day 0, the first day after the forecast was made.

    `batches` (n, k) is the stock that can be sold for 1 … k days more. `coming` (n, j) units are promised for the
    days `promised` (n, j), below 0 when overdue. The order arrives on day `arrival` and the next one on day
    `next_arrival` (n,), unless late. `daily_mean` (n, t) is the expected demand of the days.
    """

    on_hand: Array
    batches: Array
    coming: Array
    promised: Days
    order_units: Array
    arrival: Days
    next_arrival: Days
    delay_probabilities: Array
    shelf_life_days: Array
    daily_mean: Array

    def take(self, rows: NDArray[np.intp]) -> "Prospect":
        return Prospect(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def within_days(self) -> "Prospect":
        """The same with lives cut to a day more than is simulated: nothing beyond spoils, and years would be arrays."""
        most = self.daily_mean.shape[1] + 1
        batches = self.batches[:, :most].copy()
        batches[:, -1] += self.batches[:, most:].sum(axis=1)
        return replace(self, batches=batches, shelf_life_days=np.minimum(self.shelf_life_days, most))

    @property
    def position(self) -> Array:
        """What the order and the stock are up against: everything promised before the next arrival."""
        is_counted = self.promised < self.next_arrival[:, None]
        return self.on_hand + running_total(np.where(is_counted, self.coming, 0.0)) + self.order_units


@dataclass(frozen=True)
class Outlook:
    """Of each order (n,), until the next one arrives.

    `service_change` is what lost sales and waste add to or take from P(D <= position), `fill_change` from the share of
    the demand between the two arrivals that stock and orders could serve if nobody left and nothing spoiled.
    """

    service_change: Array
    fill_change: Array
    wasted_units: Array
    lost_units: Array


def outlook(
    prospect: Prospect,
    demands: Sequence[Demand],
    *,
    paths: int,
    keys: Keys,
    unmet_demand: UnmetDemand = "lost",
) -> Outlook:
    """Means over `paths` paths of each order; `keys` (n,) are those of draws.py.

    The total until the next arrival is drawn from its distribution: half of the paths from equal slices of what the
    position covers and half from those of what it does not, each with its weight, because that is where service is
    lost. It is split over the days by their expected shares: exact for Poisson demand with an unknown level, too even
    where days scatter more. `demands[d]` is the demand up to the next arrival when that comes d days late.
    """
    prospect = prospect.within_days()
    sums = np.zeros((6, len(prospect.on_hand)))
    at_once = max(_ROWS_AT_ONCE // paths, 1)
    for days in np.unique(prospect.next_arrival):
        same = np.flatnonzero(prospect.next_arrival == days)
        for rows in np.split(same, range(at_once, len(same), at_once)):
            repeated, draws = np.repeat(rows, paths), Draws.of(keys[rows], paths)
            found = _simulated_paths(
                prospect.take(repeated),
                [demand.take(repeated) for demand in demands],
                (np.tile(np.arange(paths), len(rows)) + draws.uniform(_LEVEL)) / paths,
                draws=draws,
                unmet_demand=unmet_demand,
            )
            sums[:, rows] = np.cumsum(found.reshape(6, len(rows), paths), axis=2)[..., -1]
    cycles, service, wasted, lost, demanded, served = sums
    fill = np.divide(served, demanded, out=np.zeros_like(served), where=demanded > 0)
    return Outlook(service / np.maximum(cycles, 1e-9), fill, wasted / paths, lost / paths)


def _simulated_paths(
    prospect: Prospect,
    demands: Sequence[Demand],
    level: Array,
    *,
    draws: Draws,
    unmet_demand: UnmetDemand,
) -> Array:
    """Weights of what one path brought, (6, n).

    They are the cycle, what simulation adds to the formula's success, wasted and lost units, the demand of the cycle
    and what simulation adds to the units of it that the formula serves.
    """
    count = len(level)
    late = _delays(prospect.delay_probabilities, draws.uniform(_LATE))
    start = prospect.arrival + _delays(prospect.delay_probabilities, draws.uniform(_START))
    end = prospect.next_arrival + late
    total, weight = np.zeros(count), np.zeros(count)
    for delay in np.unique(late):
        rows = np.flatnonzero(late == delay)
        demand, position = demands[delay].take(rows), prospect.position[rows]
        drawn, weight[rows] = _levels(level[rows], demand.cdf(position))
        total[rows] = demand.quantile(drawn)
    day = np.arange(int(end.max()))
    daily = _split(total, prospect, day < end[:, None], demands[0].unit_step, draws=draws)
    trace = _simulated(prospect, daily, start=start, draws=draws, unmet_demand=unmet_demand)
    is_cycle = (day >= start[:, None]) & (day < end[:, None])
    has_days = end > start
    is_served = ~(trace.has_failed & is_cycle).any(axis=1)
    is_expected = total <= prospect.position + 1e-9
    before_end = day < end[:, None]
    wasted, lost = (running_total(units * before_end) for units in (trace.wasted, trace.unmet))
    demanded, unmet = (running_total(units * is_cycle) for units in (daily, trace.unmet))
    before_start = running_total(daily * (day < start[:, None]))
    position = prospect.position
    expected_unmet = np.maximum(total - position, 0.0) - np.maximum(before_start - position, 0.0)
    change = has_days * (is_served.astype(np.float64) - is_expected)
    served = np.where(has_days, expected_unmet - unmet, 0.0)
    return weight * np.stack([has_days.astype(np.float64), change, wasted, lost, demanded, served])


def _levels(even: Array, covered: Array) -> tuple[Array, Array]:
    """Probability levels and weights: the lower half of `even` (0 … 1) within what is covered, the upper beyond it."""
    is_covered = even < 0.5
    level = np.where(is_covered, 2 * even * covered, covered + (2 * even - 1) * (1 - covered))
    return np.clip(level, 1e-9, 1 - 1e-9), 2 * np.where(is_covered, covered, 1 - covered)


def _simulated(prospect: Prospect, daily: Array, *, start: Days, draws: Draws, unmet_demand: UnmetDemand) -> Trace:
    count, days = daily.shape
    arriving = np.zeros((count, days + 1))
    rows = np.arange(count)
    for number, (units, promised) in enumerate(zip(prospect.coming.T, prospect.promised.T, strict=True)):
        overdue = np.maximum(-promised, 0)
        late = _delays(prospect.delay_probabilities, draws.uniform(_COMING + number), at_least=overdue)
        arriving[rows, np.clip(promised + late, 0, days)] += units
    arriving[rows, np.minimum(start, days)] += prospect.order_units
    nothing = np.zeros(count)
    return simulate(
        daily,
        OpeningStock(prospect.on_hand, prospect.shelf_life_days, prospect.batches),
        supply=Supply(
            np.zeros((count, days), dtype=bool), np.zeros((count, days), int), arriving[:, :-1], np.zeros((count, days))
        ),
        policy=lambda state: nothing,
        unmet_demand=unmet_demand,
    )


def _delays(probabilities: Array, luck: Array, *, at_least: Days | None = None) -> Days:
    """Days late drawn from `probabilities` (n, k), no fewer than `at_least` where that is possible."""
    reached = np.cumsum(probabilities, axis=1)
    if at_least is not None:
        past = running_total(np.where(np.arange(probabilities.shape[1]) < at_least[:, None], probabilities, 0.0))
        luck = past + luck * (1 - past)
    longest = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(axis=1)
    return np.minimum((luck[:, None] >= reached[:, :-1] - 1e-12).sum(axis=1), longest)


def _split(total: Array, prospect: Prospect, is_inside: Flags, step: Array, *, draws: Draws) -> Array:
    """Total over the days that count, the first ones, in whole steps where the product has any."""
    mean = np.where(is_inside, prospect.daily_mean[:, : is_inside.shape[1]], 0.0)
    is_flat = mean.sum(axis=1) <= 0
    share = np.where(is_flat[:, None], is_inside, mean)
    share = share / running_total(share)[:, None]
    is_lattice, scale = step > 0, np.where(step > 0, step, 1.0)
    is_last = np.arange(share.shape[1]) >= is_inside.sum(axis=1, keepdims=True) - 1
    reached = np.where(is_last, 1.0, np.minimum(np.cumsum(share, axis=1), 1.0))
    steps = np.where(is_lattice, np.round(total / scale), 0.0).astype(np.int64)
    whole = np.diff(draws.split(steps, reached), axis=1, prepend=0) * scale[:, None]
    return np.where(is_lattice[:, None], whole, total[:, None] * share)
