"""One chunk of series through the replay: orders of each policy, what the simulator made of them, and the sums.

Every policy meets the same demand, stock, orders and delays. Frames and classes belong to replay.py.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.draws import row_keys
from retail_assets.inventory.parameters import LineParameters
from retail_assets.inventory.policies import reorder_point_fill, reorder_point_with_packs, shelf_life_limit
from retail_assets.inventory.prospects import Prospect, outlook
from retail_assets.inventory.replay.forecasts import Forecasts, Needs
from retail_assets.inventory.replay.world import World
from retail_assets.inventory.shelf_life import stock_batches
from retail_assets.inventory.simulator import DayState, Policy, Supply, Trace, UnmetDemand, simulate

Array = NDArray[np.float64]
Days = NDArray[np.int64]
Flags = NDArray[np.bool_]
PolicyName = Literal["forecast", "days_of_cover", "min_max", "history"]

MIN_MAX_LOT_DAYS = 7.0
_STALE_DAYS = 7
_PATHS_LEAST, _PATHS_MOST, _PATH_DAYS = 4, 32, 2_000_000
"""Paths of each order: as many as fit into these series-days, within limits; only their mean is asked for."""


@dataclass(frozen=True)
class Levels:
    """A policy: at or below `trigger`, order the fewest packs that reach `up_to`.

    They are rounded down so that the position stays within `most` and the order within `lot`. All (n, days), `trigger`
    -inf for no order; `beyond` is on order but promised too late to count.
    """

    trigger: Array
    up_to: Array
    most: Array
    lot: Array
    beyond: Array
    pack_units: Array
    moq_units: Array

    def __call__(self, state: DayState) -> Array:
        position = state.position - self.beyond[:, state.day]
        is_due = position <= self.trigger[:, state.day]
        need = np.where(is_due, self.up_to[:, state.day] - position, 0.0)
        packs = np.ceil(np.maximum(need, self.moq_units) / self.pack_units - 1e-9)
        left = np.minimum(self.most[:, state.day] - position, self.lot[:, state.day])
        room = np.where(is_due, np.maximum(left, 0.0), 0.0)
        units = np.minimum(packs, np.floor(room / self.pack_units + 1e-9)) * self.pack_units
        return np.where(is_due & (units + 1e-9 >= self.moq_units), units, 0.0)


@dataclass(frozen=True)
class Chances:
    """Chances to order, one after another: series, day and protection.

    The cycle of a chance runs from the day its lorry came, late or not, to the day before the next one came: that is
    what the order protects. Cycles whose lorries overtake each other have no days and are not scored; nor are, under
    any policy, those without a forecast.
    """

    row: Days
    day: Days
    protection: Days
    start: Days
    end: Days
    is_scored: Flags

    @classmethod
    def of(cls, world: World) -> "Chances":
        row, day = np.nonzero(world.supply.can_order)
        lead, following = world.lead_time_days[row], world.next_order[row, day]
        next_promised = following + lead
        start = day + world.supply.lead_days[row, day]
        is_inside = following < world.days
        next_lead = world.supply.lead_days[row, np.minimum(following, world.days - 1)]
        end = following + np.where(is_inside, next_lead, lead)
        longest, first = np.zeros(len(world), dtype=np.int64), np.full(len(world), 2 * world.days)
        np.maximum.at(longest, row, next_promised - day)
        np.minimum.at(first, row, day + lead)
        is_scored = (start >= (first + longest)[row]) & (end <= world.days) & (end > start)
        return cls(row, day, next_promised - day, start, end, is_scored)

    def take(self, rows: Days) -> "Chances":
        return Chances(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class Cycles:
    """Scored cycles, one after another: series, first day, whether a customer went or waited without goods."""

    row: Days
    start: Days
    has_failed: Flags


@dataclass(frozen=True)
class Run:
    """A chunk of series: its world, chances to order and the demand each order must cover.

    `needs` are distinct (series, as-of date, protection); `need` numbers them for each chance, -1 without a forecast.
    `before` is the demand up to the delivery of those ordered by fill rate; of goods that spoil `shelf` is the demand
    until the order expires and `shelf_order` that of the days in which it can be sold.
    """

    world: World
    rules: LineParameters
    chances: Chances
    rows: Days
    unmet_demand: UnmetDemand
    needs: Needs | None
    need: Days
    need_row: Days
    before: "_Part"
    shelf: "_Part"
    shelf_order: "_Part"
    notes: tuple[str, ...]
    seed: int

    @classmethod
    def of(
        cls, world: World, book: Forecasts, *, rules: LineParameters, rows: Days, unmet_demand: UnmetDemand, seed: int
    ) -> "Run":
        """`rows` are the numbers of the series of `world` and `rules` in the book."""
        chances = Chances.of(world)
        as_of = np.searchsorted(book.as_ofs, world.first_day + chances.day, side="left") - 1
        line, _ = book.find(rows[chances.row], as_of, chances.protection)
        key = (chances.row * len(book.as_ofs) + as_of) * (
            int(chances.protection.max(initial=0)) + 1
        ) + chances.protection
        unforeseen = (line < 0) & chances.is_scored
        chances = replace(chances, is_scored=chances.is_scored & (line >= 0))
        _, first, need = np.unique(np.where(line >= 0, key, -1), return_index=True, return_inverse=True)
        first, need = (first[1:], need - 1) if (line < 0).any() else (first, need)
        reader = _Reader(world, rules, book, chances.take(first), as_of=as_of[first], rows=rows)
        needs = reader.needs()
        age = world.first_day + chances.day - 1 - book.as_ofs[np.maximum(as_of, 0)]
        notes = [
            (needs is not None and needs.is_scaled, "demand scaled from the nearest stored horizon"),
            (bool((age[line >= 0] > _STALE_DAYS).any()), f"forecasts more than {_STALE_DAYS} days old"),
            (bool((line < 0).any()), "no forecast orders for series and days without a forecast"),
            (bool(unforeseen.any()), "cycles without a forecast are not scored"),
        ]
        said = tuple(text for applies, text in notes if applies)
        before, (shelf, shelf_order) = reader.before(), reader.shelf()
        return cls(
            world,
            rules,
            chances,
            rows,
            unmet_demand,
            needs,
            need,
            chances.row[first],
            before,
            shelf,
            shelf_order,
            said,
            seed,
        )

    def trace(self, policy: PolicyName, parameter: ArrayLike, *, lot_days: float = MIN_MAX_LOT_DAYS) -> Trace:
        """What happens under a policy.

        Args:
            policy: `forecast` with the target service as parameter, `days_of_cover` with days beyond the
                protection, `min_max` with the multiple of mean demand over the protection to order at, or `history`.
            parameter: (n,) or one.
            lot_days: `min_max` orders up to these days of mean demand above the level it orders at.
        """
        if policy == "history":
            return self._history()
        values = np.broadcast_to(np.asarray(parameter, dtype=np.float64), (len(self.world),))
        if policy == "min_max":
            return self._simulated(self._min_max(values, lot_days))
        return self._simulated(self._forecast(values) if policy == "forecast" else self._cover(values))

    def cycles(self, trace: Trace) -> Cycles:
        """The scored cycles."""
        kept = np.flatnonzero(self.chances.is_scored)
        row, start, end = self.chances.row[kept], self.chances.start[kept], self.chances.end[kept]
        failures = np.pad(np.cumsum(trace.has_failed, axis=1), ((0, 0), (1, 0)))
        return Cycles(row, start, failures[row, end] > failures[row, start])

    def scored_days(self) -> Flags:
        """(n, days) from the first day of a series' first scored cycle to the last of its last."""
        kept = np.flatnonzero(self.chances.is_scored)
        row, days = self.chances.row[kept], self.world.days
        first, last = np.full(len(self.world), days), np.zeros(len(self.world), dtype=np.int64)
        np.minimum.at(first, row, self.chances.start[kept])
        np.maximum.at(last, row, self.chances.end[kept])
        day = np.arange(days)
        return (day >= first[:, None]) & (day < last[:, None])

    def _simulated(self, policy: Policy, supply: Supply | None = None) -> Trace:
        return simulate(
            self.world.demand,
            opening=self.world.opening,
            supply=supply or self.world.supply,
            policy=policy,
            unmet_demand=self.unmet_demand,
            shelf_life_days=self.world.shelf_life_days,
        )

    def _history(self) -> Trace:
        """The real receipts, whatever they were ordered for."""
        real = self.world.supply
        supply = Supply(
            np.zeros_like(real.can_order), real.lead_days, self.world.received, np.zeros_like(self.world.received)
        )
        return replace(self._simulated(lambda state: np.zeros(len(self.world)), supply), ordered=self.world.ordered)

    def _levels(self, trigger: Array, up_to: Array, most: Array, lot: ArrayLike) -> Levels:
        """Levels from values for each chance."""
        world, at = self.world, (self.chances.row, self.chances.day)
        given = {
            "trigger": (-np.inf, trigger),
            "up_to": (-np.inf, up_to),
            "most": (np.inf, most),
            "lot": (np.inf, lot),
        }
        grids = {}
        for name, (empty, values) in given.items():
            grids[name] = np.full(world.demand.shape, empty)
            grids[name][at] = values
        return Levels(**grids, beyond=world.beyond, pack_units=world.pack_units, moq_units=world.moq_units)

    def _forecast(self, target: Array) -> Levels:
        trigger, lot = np.full(len(self.need), -np.inf), np.full(len(self.need), np.inf)
        most = self.world.shelf_max_units[self.chances.row]
        if self.needs is not None:
            known = self.need >= 0
            wanted = target[self.need_row]
            trigger[known] = self._reorder_point(self.needs.demand, wanted)[self.need[known]]
            most = np.where(known, np.fmin(most, self._shelf_limit(self.shelf, wanted)[self.need]), most)
            lot = np.where(known, self._shelf_limit(self.shelf_order, wanted)[self.need], lot)
        return self._levels(trigger, trigger + self._step, most, lot)

    def _reorder_point(self, demand: Demand, target: Array) -> Array:
        pack = self.world.pack_units[self.need_row]
        point = reorder_point_with_packs(demand, pack, target=target)
        by_fill, before = self.before.rows, self.before.demand
        if before is not None:
            point[by_fill] = reorder_point_fill(
                demand.take(by_fill), before, pack_units=pack[by_fill], target=target[by_fill]
            )
        return point

    def _shelf_limit(self, shelf: "_Part", target: Array) -> Array:
        """The most that sells of a demand before it spoils, for each need; infinite without a life."""
        limit, spoils = np.full(len(self.need_row), np.inf), shelf.rows
        if shelf.demand is None:
            return limit
        some, world = self.need_row[spoils], self.world
        margin = np.maximum(world.unit_price[some] - world.unit_cost[some], 0.0)
        limit[spoils] = shelf_life_limit(
            shelf.demand,
            world.pack_units[some],
            line_minimum_units=world.moq_units[some],
            ratio=self.rules.take(some).shelf_life_ratio(
                margin=margin, unit_cost=world.unit_cost[some], target=target[spoils]
            ),
        )
        return limit

    def _cover(self, safety_days: Array) -> Levels:
        days = self.chances.protection + safety_days[self.chances.row]
        return self._rule(up_to=self._mean_daily * days)

    def _min_max(self, factor: Array, lot_days: float) -> Levels:
        lowest = self._rounded(self._mean_daily * self.chances.protection * factor[self.chances.row])
        lot = self._rounded(self._mean_daily * lot_days)
        return self._rule(up_to=lowest + lot + self._step, lowest=lowest)

    def _rule(self, *, up_to: Array, lowest: Array | None = None) -> Levels:
        """A rule of thumb: up to no more days of mean demand than an order can be sold, and what the shelf holds."""
        row = self.chances.row
        sellable = self._mean_daily * (self.world.lead_time_days + self.world.shelf_life_days)[row]
        most = self._rounded(np.fmin(up_to, sellable))
        trigger = most - self._step if lowest is None else np.minimum(lowest, most - self._step)
        return self._levels(trigger, most, self.world.shelf_max_units[row], np.inf)

    @property
    def _step(self) -> Array:
        return self.world.unit_step[self.chances.row]

    @property
    def _mean_daily(self) -> Array:
        return self.world.mean_daily[self.chances.row, self.chances.day]

    def _rounded(self, units: Array) -> Array:
        step = np.where(self._step > 0, self._step, 1e-6)
        return np.ceil(units / step - 1e-9) * step

    def predicted(self, trace: Trace) -> Array:
        """What the order of each scored cycle promised; all of them have a forecast.

        P(D <= position) right after ordering, changed by what lost sales and waste do on sampled paths.
        """
        kept = np.flatnonzero(self.chances.is_scored)
        if self.needs is None or not len(kept):
            return np.zeros(0)
        chances, need = self.chances.take(kept), self.need[kept]
        position = (trace.position - self.world.beyond)[chances.row, chances.day]
        rate = self.needs.demand.take(need).cdf(position)
        if self.unmet_demand == "lost" or np.isfinite(self.world.shelf_life_days).any():
            rate = np.clip(rate + self._service_change(chances, need, trace), 0.0, 1.0)
        return rate

    def _service_change(self, chances: Chances, need: Days, trace: Trace) -> Array:
        assert self.needs is not None
        prospect = self._prospect(chances, trace, daily_mean=self.needs.daily_mean[need])
        cells = len(need) * float(np.mean(chances.protection))
        found = outlook(
            prospect,
            [demand.take(need) for demand in self.needs.by_delay],
            paths=int(np.clip(_PATH_DAYS / max(cells, 1.0), _PATHS_LEAST, _PATHS_MOST)),
            keys=row_keys(self.seed, self.rows[chances.row], chances.day),
            unmet_demand=self.unmet_demand,
        )
        return found.service_change

    def _prospect(self, chances: Chances, trace: Trace, *, daily_mean: Array) -> Prospect:
        """Stock, batches and orders under way on the morning of each chance, after the receipts."""
        world, row, day = self.world, chances.row, chances.day
        ordered, lead = trace.ordered, world.supply.lead_days
        at_once = np.where(lead[row, day] == 0, ordered[row, day], 0.0)
        closing = np.column_stack([world.opening, trace.closing])
        on_hand = closing[row, day] + trace.received[row, day] - at_once
        life = world.shelf_life_days
        back = int(np.nanmax(life, initial=0)) if np.isfinite(life).any() else 0
        receipts = np.pad(trace.received, ((0, 0), (back, 0)))
        receipts[:, back] += world.opening
        window = receipts[row[:, None], day[:, None] + np.arange(1, back + 1)]
        if back:
            window[:, -1] -= at_once
        ago = np.arange(1, int(lead.max(initial=0)) + 1)
        then = np.maximum(day[:, None] - ago, 0)
        is_under_way = (day[:, None] >= ago) & (lead[row[:, None], then] > ago)
        return Prospect(
            on_hand=on_hand,
            batches=stock_batches(on_hand, window, life[row]),
            coming=np.where(is_under_way, ordered[row[:, None], then], 0.0),
            promised=world.lead_time_days[row][:, None] - ago,
            order_units=ordered[row, day],
            arrival=world.lead_time_days[row],
            next_arrival=chances.protection,
            delay_chances=world.delay_chances[row],
            shelf_life_days=life[row],
            daily_mean=daily_mean,
        )


@dataclass(frozen=True)
class _Part:
    """Demand of some needs only, by their numbers; none when `rows` is empty."""

    rows: Days
    demand: Demand | None


@dataclass(frozen=True)
class _Reader:
    """The demands that the chances of a run ask of the book."""

    world: World
    rules: LineParameters
    book: Forecasts
    chances: Chances
    as_of: Days
    rows: Days

    def needs(self) -> Needs | None:
        """Demand up to the next delivery."""
        every = np.arange(len(self.chances.row))
        return self._read(every, self.chances.protection) if len(every) else None

    def before(self) -> _Part:
        """Demand up to the delivery of the order itself, of lines ordered by fill rate."""
        some = np.flatnonzero(self.rules.is_fill[self.chances.row])
        lead = self.world.lead_time_days[self.chances.row[some]]
        return _Part(some, self._read(some, lead).demand if len(some) else None)

    def shelf(self) -> tuple[_Part, _Part]:
        """Of goods that spoil: demand until the order expires, and the part of it after the delivery."""
        row = self.chances.row
        spoils = np.flatnonzero(np.isfinite(self.world.shelf_life_days[row]))
        if not len(spoils):
            return _Part(spoils, None), _Part(spoils, None)
        some, as_of = row[spoils], self.as_of[spoils]
        life = self.world.shelf_life_days[some].astype(np.int64) - self.rules.min_remaining_days[some]
        life = np.maximum(life, 0)
        lead, step = self.world.lead_time_days[some], self.world.unit_step[some]
        days = lead + life
        row = self.rows[some]
        sold, total, first = (self.book.mean_within(row, as_of, reach) for reach in (lead, days, life))
        ratio = np.divide(np.maximum(total - sold, 0.0), first, out=np.zeros_like(first), where=first > 0)
        whole, own = (self.book.within(row, as_of, reach, unit_step=step) for reach in (days, life))
        return _Part(spoils, whole), _Part(spoils, own.scale(ratio))

    def _read(self, some: Days, days: Days) -> Needs:
        row = self.chances.row[some]
        return self.book.needs(
            self.rows[row],
            self.as_of[some],
            days,
            delay_chances=self.world.delay_chances[row],
            unit_step=self.world.unit_step[row],
        )
