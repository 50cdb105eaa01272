"""One chunk of series through the replay: orders of each policy, what the simulator made of them, and the sums.

Every policy meets the same demand, stock, orders and delays. Frames and classes belong to replay.py.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from retail_assets.arrays import Array, Days, Flags
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.draws import row_keys
from retail_assets.inventory.experience import SalesSoFar, has_history
from retail_assets.inventory.order_levels import Caps, ExpiringDemand, OrderLevels, OrderTerms, reorder_points
from retail_assets.inventory.parameters import LineParameters
from retail_assets.inventory.prospects import Prospect, outlook
from retail_assets.inventory.replay.forecasts import Forecasts, LinesOfBook, Needs
from retail_assets.inventory.replay.world import World
from retail_assets.inventory.shelf_life import stock_batches
from retail_assets.inventory.simulator import Morning, OpeningStock, Policy, Supply, Trace, UnmetDemand, simulate

PolicyName = Literal["forecast", "days_of_cover", "min_max", "history"]

MIN_MAX_LOT_DAYS = 7.0
_STALE_DAYS = 7
_PATHS_LEAST, _PATHS_MOST, _PATH_DAYS = 4, 32, 2_000_000
"""Paths of each order: as many as fit into these series-days, within limits; only their mean is asked for."""


@dataclass(frozen=True)
class LevelPolicy:
    """The order levels of each day, (n, days) each; `beyond` is on order but promised too late to count.

    `sold_units` (n, days) are what orders are measured by, infinite where nothing does; without them none is.
    `shelf_units` is (n,).
    """

    levels: OrderLevels
    beyond: Array
    shelf_units: Array
    pack_units: Array
    line_minimum_units: Array
    sold_units: Array | None = None

    def __call__(self, morning: Morning) -> Array:
        day, caps = morning.day, self.levels.caps
        today = OrderLevels(
            self.levels.trigger[:, day],
            self.levels.up_to[:, day],
            Caps(caps.position[:, day], caps.order[:, day]),
            self._sales(day),
        )
        position = morning.position - self.beyond[:, day]
        steps = today.quantities(position, pack_units=self.pack_units, line_minimum_units=self.line_minimum_units)
        return steps.after_cap

    def _sales(self, day: int) -> SalesSoFar | None:
        if self.sold_units is None:
            return None
        sold = self.sold_units[:, day]
        return SalesSoFar(sold, self.shelf_units, np.zeros(len(sold), dtype=bool))


@dataclass(frozen=True)
class ReplayOpportunities:
    """Opportunities to order, one after another: series, day and protection.

    The cycle of an opportunity runs from the day its lorry came, late or not, to the day before the next one came:
    that is what the order protects. Cycles whose lorries overtake each other have no days and are not scored; nor are,
    under any policy, those without a forecast.
    """

    row: Days
    day: Days
    protection: Days
    start: Days
    end: Days
    is_scored: Flags

    @classmethod
    def of(cls, world: World) -> "ReplayOpportunities":
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

    def take(self, rows: Days) -> "ReplayOpportunities":
        return ReplayOpportunities(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class Cycles:
    """Scored cycles, one after another: series, first day, whether a customer went or waited without goods."""

    row: Days
    start: Days
    has_failed: Flags


@dataclass(frozen=True)
class Run:
    """A chunk of series: its world, opportunities to order and the demand each order must cover.

    `needs` are distinct (series, as-of date, protection); `need` numbers them for each opportunity, -1 where there is
    no forecast.
    `before_delivery` is the demand up to the delivery of those ordered by fill rate, `expiring` that of goods that
    spoil; None without any.
    """

    world: World
    rules: LineParameters
    opportunities: ReplayOpportunities
    rows: Days
    unmet_demand: UnmetDemand
    needs: Needs | None
    need: Days
    need_row: Days
    before_delivery: Demand | None
    expiring: ExpiringDemand | None
    notes: tuple[str, ...]
    seed: int

    @classmethod
    def of(
        cls, world: World, book: Forecasts, *, rules: LineParameters, rows: Days, unmet_demand: UnmetDemand, seed: int
    ) -> "Run":
        """`rows` are the numbers of the series of `world` and `rules` in the book."""
        opportunities = ReplayOpportunities.of(world)
        as_of = np.searchsorted(book.as_ofs, world.first_day + opportunities.day, side="left") - 1
        line, _ = book.find(rows[opportunities.row], as_of, opportunities.protection)
        key = (opportunities.row * len(book.as_ofs) + as_of) * (
            int(opportunities.protection.max(initial=0)) + 1
        ) + opportunities.protection
        unforeseen = (line < 0) & opportunities.is_scored
        opportunities = replace(opportunities, is_scored=opportunities.is_scored & (line >= 0))
        _, first, need = np.unique(np.where(line >= 0, key, -1), return_index=True, return_inverse=True)
        first, need = (first[1:], need - 1) if (line < 0).any() else (first, need)
        asked = _Asked(world, rules, book, opportunities.take(first), as_of=as_of[first], rows=rows)
        needs = asked.needs()
        age = world.first_day + opportunities.day - 1 - book.as_ofs[np.maximum(as_of, 0)]
        notes = [
            (needs is not None and needs.is_scaled, "demand scaled from the nearest stored horizon"),
            (bool((age[line >= 0] > _STALE_DAYS).any()), f"forecasts more than {_STALE_DAYS} days old"),
            (bool((line < 0).any()), "no forecast orders for series and days without a forecast"),
            (bool(unforeseen.any()), "cycles without a forecast are not scored"),
        ]
        return cls(
            world=world,
            rules=rules,
            opportunities=opportunities,
            rows=rows,
            unmet_demand=unmet_demand,
            needs=needs,
            need=need,
            need_row=opportunities.row[first],
            before_delivery=asked.before_delivery(),
            expiring=asked.expiring(),
            notes=tuple(text for applies, text in notes if applies),
            seed=seed,
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
        kept = np.flatnonzero(self.opportunities.is_scored)
        row, start, end = self.opportunities.row[kept], self.opportunities.start[kept], self.opportunities.end[kept]
        failures = np.pad(np.cumsum(trace.has_failed, axis=1), ((0, 0), (1, 0)))
        return Cycles(row, start, failures[row, end] > failures[row, start])

    def scored_days(self) -> Flags:
        """(n, days) from the first day of a series' first scored cycle to the last of its last."""
        kept = np.flatnonzero(self.opportunities.is_scored)
        row, days = self.opportunities.row[kept], self.world.days
        first, last = np.full(len(self.world), days), np.zeros(len(self.world), dtype=np.int64)
        np.minimum.at(first, row, self.opportunities.start[kept])
        np.maximum.at(last, row, self.opportunities.end[kept])
        day = np.arange(days)
        return (day >= first[:, None]) & (day < last[:, None])

    def _simulated(self, policy: Policy, supply: Supply | None = None) -> Trace:
        return simulate(
            self.world.demand,
            OpeningStock(self.world.opening, self.world.shelf_life_days),
            supply=supply or self.world.supply,
            policy=policy,
            unmet_demand=self.unmet_demand,
        )

    def _history(self) -> Trace:
        """The real receipts; orders of the replay do not matter."""
        real = self.world.supply
        supply = Supply(
            np.zeros_like(real.can_order), real.lead_days, self.world.received, np.zeros_like(self.world.received)
        )
        return replace(self._simulated(lambda state: np.zeros(len(self.world)), supply), ordered=self.world.ordered)

    def _policy(
        self, trigger: Array, up_to: Array, most: Array, lot: ArrayLike, *, sold: Array | None = None
    ) -> LevelPolicy:
        """A policy from values for each opportunity; no order on other days."""
        world, at = self.world, (self.opportunities.row, self.opportunities.day)

        def daily(values: ArrayLike, without: float) -> Array:
            grid = np.full(world.demand.shape, without)
            grid[at] = values
            return grid

        caps = Caps(daily(most, np.inf), daily(lot, np.inf))
        levels = OrderLevels(daily(trigger, -np.inf), daily(up_to, -np.inf), caps)
        sold_units = None if sold is None else daily(sold, np.inf)
        shelf = world.presentation_min_units
        return LevelPolicy(levels, world.beyond, shelf, world.pack_units, world.moq_units, sold_units)

    def _forecast(self, target: Array) -> LevelPolicy:
        trigger, lot = np.full(len(self.need), -np.inf), np.full(len(self.need), np.inf)
        most = self.world.shelf_max_units[self.opportunities.row]
        if self.needs is not None:
            known = self.need >= 0
            terms, wanted = self.world.order_terms(self.rules).take(self.need_row), target[self.need_row]
            point = reorder_points(self.needs.demand, terms, target=wanted, before_delivery=self.before_delivery)
            caps = self._caps(terms, wanted)
            trigger[known] = point[self.need[known]]
            most = np.where(known, np.fmin(most, caps.position[self.need]), most)
            lot = np.where(known, caps.order[self.need], lot)
        return self._policy(trigger, trigger + self._step, most, lot, sold=self._sold_so_far())

    def _sold_so_far(self) -> Array:
        """Everything sold before each opportunity; infinite where the history is short or a promotion is planned."""
        world, row, day = self.world, self.opportunities.row, self.opportunities.day
        protection = self.opportunities.protection
        promoted = np.pad(np.cumsum(world.is_promoted, axis=1), ((0, 0), (1, 0)))
        is_promoted = promoted[row, np.minimum(day + protection, world.days)] > promoted[row, day]
        speaks = has_history(world.stock_days_so_far[row, day], protection) & ~is_promoted
        return np.where(speaks, world.sold_so_far[row, day], np.inf)

    def _caps(self, terms: OrderTerms, target: Array) -> Caps:
        """What sells of each need before it spoils; infinite without a life."""
        found = Caps(*np.full((2, len(target)), np.inf))
        if self.expiring is not None:
            rows = np.flatnonzero(np.isfinite(self.world.shelf_life_days[self.need_row]))
            for cap, own in zip(found, self.expiring.caps(terms.take(rows), target[rows]), strict=True):
                cap[rows] = own
        return found

    def _cover(self, safety_days: Array) -> LevelPolicy:
        days = self.opportunities.protection + safety_days[self.opportunities.row]
        return self._rule(up_to=self._mean_daily * days)

    def _min_max(self, factor: Array, lot_days: float) -> LevelPolicy:
        lowest = self._rounded(self._mean_daily * self.opportunities.protection * factor[self.opportunities.row])
        lot = self._rounded(self._mean_daily * lot_days)
        return self._rule(up_to=lowest + lot + self._step, lowest=lowest)

    def _rule(self, *, up_to: Array, lowest: Array | None = None) -> LevelPolicy:
        """A rule of thumb: up to no more days of mean demand than an order can be sold, and what the shelf holds."""
        row = self.opportunities.row
        sellable = self._mean_daily * (self.world.lead_time_days + self.world.shelf_life_days)[row]
        most = self._rounded(np.fmin(up_to, sellable))
        trigger = most - self._step if lowest is None else np.minimum(lowest, most - self._step)
        return self._policy(trigger, most, self.world.shelf_max_units[row], np.inf)

    @property
    def _step(self) -> Array:
        return self.world.unit_step[self.opportunities.row]

    @property
    def _mean_daily(self) -> Array:
        return self.world.mean_daily[self.opportunities.row, self.opportunities.day]

    def _rounded(self, units: Array) -> Array:
        step = np.where(self._step > 0, self._step, 1e-6)
        return np.ceil(units / step - 1e-9) * step

    def predicted(self, trace: Trace) -> Array:
        """What the order of each scored cycle promised; all of them have a forecast.

        P(D <= position) right after ordering, changed by what lost sales and waste do on sampled paths.
        """
        kept = np.flatnonzero(self.opportunities.is_scored)
        if self.needs is None or not len(kept):
            return np.zeros(0)
        opportunities, need = self.opportunities.take(kept), self.need[kept]
        position = (trace.position - self.world.beyond)[opportunities.row, opportunities.day]
        rate = self.needs.demand.take(need).cdf(position)
        if self.unmet_demand == "lost" or np.isfinite(self.world.shelf_life_days).any():
            rate = np.clip(rate + self._service_change(opportunities, need, trace), 0.0, 1.0)
        return rate

    def _service_change(self, opportunities: ReplayOpportunities, need: Days, trace: Trace) -> Array:
        assert self.needs is not None
        prospect = self._prospect(opportunities, trace, daily_mean=self.needs.daily_mean[need])
        cells = len(need) * float(np.mean(opportunities.protection))
        found = outlook(
            prospect,
            [demand.take(need) for demand in self.needs.by_delay],
            paths=int(np.clip(_PATH_DAYS / max(cells, 1.0), _PATHS_LEAST, _PATHS_MOST)),
            keys=row_keys(self.seed, self.rows[opportunities.row], opportunities.day),
            unmet_demand=self.unmet_demand,
        )
        return found.service_change

    def _prospect(self, opportunities: ReplayOpportunities, trace: Trace, *, daily_mean: Array) -> Prospect:
        """Stock, batches and orders under way on the morning of each opportunity, after the receipts."""
        world, row, day = self.world, opportunities.row, opportunities.day
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
            next_arrival=opportunities.protection,
            delay_probabilities=world.delay_probabilities[row],
            shelf_life_days=life[row],
            daily_mean=daily_mean,
        )


@dataclass(frozen=True)
class _Asked:
    """The demands that the opportunities of a run ask of the book."""

    world: World
    rules: LineParameters
    book: Forecasts
    opportunities: ReplayOpportunities
    as_of: Days
    rows: Days

    def needs(self) -> Needs | None:
        """Demand up to the next delivery."""
        every = np.arange(len(self.opportunities.row))
        return self._read(every, self.opportunities.protection) if len(every) else None

    def before_delivery(self) -> Demand | None:
        """Demand up to the delivery of the order itself, of lines ordered by fill rate."""
        some = np.flatnonzero(self.rules.is_fill[self.opportunities.row])
        lead = self.world.lead_time_days[self.opportunities.row[some]]
        return self._read(some, lead).demand if len(some) else None

    def expiring(self) -> ExpiringDemand | None:
        """Demand until the order expires, of goods that spoil."""
        row = self.opportunities.row
        spoils = np.flatnonzero(np.isfinite(self.world.shelf_life_days[row]))
        if not len(spoils):
            return None
        some = row[spoils]
        life = self.world.shelf_life_days[some].astype(np.int64) - self.rules.min_remaining_days[some]
        forecast = LinesOfBook(self.book, self.rows[some], self.as_of[spoils], self.world.unit_step[some])
        lead = self.world.lead_time_days[some]
        return ExpiringDemand.of(forecast, before_delivery_days=lead, life_days=life)

    def _read(self, some: Days, days: Days) -> Needs:
        row = self.opportunities.row[some]
        return self.book.needs(
            self.rows[row],
            self.as_of[some],
            days,
            delay_probabilities=self.world.delay_probabilities[row],
            unit_step=self.world.unit_step[row],
        )
