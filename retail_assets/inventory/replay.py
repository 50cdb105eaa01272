"""Replay of past weeks: what service, stock and cost each order policy would have given, and the real orders gave.

Frames in, rows of inventory/policy_replay out; every policy meets the same demand, stock, orders and delays. The
days themselves are run by simulator.py on the arrays of replay_world.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.money import money
from retail_assets.inventory.policies import reorder_point_with_packs
from retail_assets.inventory.replay_world import World, days_of, replay_world, rows_of
from retail_assets.inventory.simulator import DayState, Policy, Supply, Trace, UnmetDemand, simulate
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.tables.inventory import POLICY_REPLAY

Array = NDArray[np.float64]
Days = NDArray[np.int64]
Flags = NDArray[np.bool_]

TARGETS = (0.90, 0.95, 0.98)
COVER_SAFETY_DAYS = 7
"""`days_of_cover` orders up to the mean daily demand of the last 28 days times protection days plus these."""
MINIMUM_FACTOR = 1.5
"""`min_max` orders at this multiple of mean demand over the protection, up to a week or a review more."""
ALL = "all"
_CHUNK_SERIES = 4000
_STALE_DAYS = 7
_SUMS = (
    "cycles",
    "failures",
    "predicted",
    "predicted_cycles",
    "demand",
    "unmet",
    "stock",
    "value",
    "margin",
    "orders",
    "holding",
)


@dataclass(frozen=True)
class Levels:
    """A policy: at or below `trigger`, order the fewest packs that reach `up_to`; both (n, days), -inf for no order.

    `beyond` (n, days) is on order but promised too late to count.
    """

    trigger: Array
    up_to: Array
    beyond: Array
    pack_units: Array
    moq_units: Array

    def __call__(self, state: DayState) -> Array:
        position = state.position - self.beyond[:, state.day]
        is_due = position <= self.trigger[:, state.day]
        need = np.where(is_due, self.up_to[:, state.day] - position, 0.0)
        packs = np.ceil(np.maximum(need, self.moq_units) / self.pack_units - 1e-9)
        return np.where(is_due, packs * self.pack_units, 0.0)


def policy_replay(
    demand: pd.DataFrame,
    cumulative: pd.DataFrame,
    *,
    opening: pd.DataFrame,
    purchase_orders: pd.DataFrame,
    terms: pd.DataFrame,
    order_days: pd.DataFrame,
    delays: pd.DataFrame,
    segments: pd.DataFrame,
    targets: Sequence[float] = TARGETS,
    seed: int = 0,
    unmet_demand: UnmetDemand = "lost",
    holding_rate: float = 0.25,
) -> pd.DataFrame:
    """Rows of inventory/policy_replay: every policy and target, by ABC class and for all.

    The replay runs from the day after the first `as_of_date` to the last day of demand; orders follow the newest
    forecast made before the order day. A series is scored from its first arrival plus its longest protection, in
    cycles from one lorry to the next; a cycle fails when a customer goes or waits without goods, unfinished ones are
    left out. The simple rules and history do not know the target: their rows are the same for each. Predicted service
    is F_H at the position right after ordering: the backorder formula, a little pessimistic where sales are lost.
    Every frame but the first two may be empty; what is assumed instead is said in `assumptions`.

    Args:
        demand: store_id, product_id, business_date, unconstrained_units, from 28 days before the replay on; with
            sold_units and unconstrained_sd, demand of censored days is drawn above sales.
        cumulative: forecast/cumulative_forecast; a horizon that is not stored is scaled from the next longer one.
        opening: store_id, product_id, on_hand_units at closing of the first as-of date.
        purchase_orders: silver/purchase_orders, the newest version of each line.
        terms: store_id, product_id, supplier_id, pack_units, moq_units, lead_time_days, unit_cost, unit_price;
            optionally unit_step and shelf_life_days.
        order_days, delays: as in the plan; segments: store_id, product_id, abc_class and perhaps valid_from, of
            which the newest counts; all as of the first as-of date.
        seed: of drawn demand and delays.
        holding_rate: cost of holding stock for a year over its value.

    Returns:
        No rows when nothing can be scored: no common series, or fewer days than the protection takes.
    """
    if demand.empty or cumulative.empty or not _has_days(demand, cumulative):
        return _empty()
    world = replay_world(
        demand,
        cumulative,
        opening=opening,
        purchase_orders=purchase_orders,
        terms=terms,
        order_days=order_days,
        delays=delays,
        seed=seed,
    )
    classes = _classes(segments, world.series)
    return _replayed(world, cumulative, classes, targets=targets, unmet_demand=unmet_demand, holding_rate=holding_rate)


def _has_days(demand: pd.DataFrame, cumulative: pd.DataFrame) -> bool:
    """Demand is known after the first forecast; a first run that forecasts one day has nothing to replay yet."""
    return bool(days_of(demand["business_date"]).max() > days_of(cumulative["as_of_date"]).min())


def _replayed(
    world: World,
    cumulative: pd.DataFrame,
    classes: NDArray[np.object_],
    *,
    targets: Sequence[float],
    unmet_demand: UnmetDemand,
    holding_rate: float,
) -> pd.DataFrame:
    book = _Forecasts.of(cumulative, world.series)
    scores: list[pd.DataFrame] = []
    notes: set[str] = set()
    for start in range(0, len(world), _CHUNK_SERIES):
        rows = np.arange(start, min(start + _CHUNK_SERIES, len(world)))
        run = _Run.of(world.take(rows), book, rows=rows, unmet_demand=unmet_demand)
        scores += run.scores(targets, holding_rate)
        notes |= set(run.notes)
    if not scores:
        return _empty()
    assumptions = "; ".join([*world.assumptions, *sorted(notes)])
    return _summary(pd.concat(scores), classes, first_day=world.first_day, assumptions=assumptions)


@dataclass(frozen=True)
class _Forecasts:
    """The cumulative forecast, found by series, as-of date and horizon."""

    frame: pd.DataFrame
    as_ofs: Days
    horizons: Days
    keys: Days
    order: Days

    @classmethod
    def of(cls, cumulative: pd.DataFrame, series: pd.MultiIndex) -> "_Forecasts":
        row = rows_of(cumulative, series)
        day, horizon = days_of(cumulative["as_of_date"]), cumulative["horizon_days"].to_numpy(dtype=np.int64)
        as_ofs, horizons = np.unique(day), np.unique(horizon)
        shape = (len(series) + 1, len(as_ofs), len(horizons))
        place = (np.where(row < 0, len(series), row), np.searchsorted(as_ofs, day), np.searchsorted(horizons, horizon))
        keys = np.ravel_multi_index(place, shape)
        order = np.argsort(keys, kind="stable")
        return cls(cumulative, as_ofs, horizons, keys[order], order)

    def find(self, row: Days, as_of: Days, horizon: Days) -> tuple[Days, Array]:
        """Line of the frame, -1 where there is none, and the factor from its horizon to the one wanted."""
        column = np.minimum(np.searchsorted(self.horizons, horizon), len(self.horizons) - 1)
        key = (row * len(self.as_ofs) + np.maximum(as_of, 0)) * len(self.horizons) + column
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        is_found = (self.keys[at] == key) & (as_of >= 0)
        return np.where(is_found, self.order[at], -1), horizon / self.horizons[column]

    def demand(self, line: Days, factor: Array, *, unit_step: Array) -> Demand:
        columns = {name: self.frame[name].to_numpy() for name in ("mean_units", "p_zero", *QUANTILE_LEVELS)}
        made = Demand.from_quantiles(
            np.column_stack([columns[name][line] for name in QUANTILE_LEVELS]),
            list(QUANTILE_LEVELS.values()),
            p_zero=columns["p_zero"][line],
            mean_units=columns["mean_units"][line],
            unit_step=unit_step,
        )
        return made if (factor == 1).all() else made.scale(factor)


@dataclass(frozen=True)
class _Chances:
    """Chances to order, one after another: series, day, protection and the promised arrival of the next one.

    The cycle of a chance runs from the day its lorry came, late or not, to the day before the next one came: that is
    what the order protects. Cycles whose lorries overtake each other have no days and are not scored.
    """

    row: Days
    day: Days
    protection: Days
    review: Days
    next_promised: Days
    start: Days
    end: Days
    is_scored: Flags

    @classmethod
    def of(cls, world: World) -> "_Chances":
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
        return cls(row, day, next_promised - day, following - day, next_promised, start, end, is_scored)


@dataclass(frozen=True)
class _Run:
    """One chunk of series: its world, chances to order and the demand each order must cover.

    `needs` are distinct (series, as-of date, protection); `need` numbers them for each chance, -1 without a forecast.
    """

    world: World
    chances: _Chances
    rows: Days
    unmet_demand: UnmetDemand
    needs: Demand | None
    need: Days
    need_row: Days
    notes: tuple[str, ...]

    @classmethod
    def of(cls, world: World, book: _Forecasts, *, rows: Days, unmet_demand: UnmetDemand) -> "_Run":
        chances = _Chances.of(world)
        as_of = np.searchsorted(book.as_ofs, world.first_day + chances.day, side="left") - 1
        line, factor = book.find(rows[chances.row], as_of, chances.protection)
        key = (chances.row * len(book.as_ofs) + as_of) * (
            int(chances.protection.max(initial=0)) + 1
        ) + chances.protection
        _, first, need = np.unique(np.where(line >= 0, key, -1), return_index=True, return_inverse=True)
        first, need = (first[1:], need - 1) if (line < 0).any() else (first, need)
        needs, is_scaled = _delayed(world, book, chances, as_of=as_of, rows=rows, chosen=first)
        age = world.first_day + chances.day - 1 - book.as_ofs[np.maximum(as_of, 0)]
        notes = [
            (is_scaled, "demand scaled from the nearest stored horizon"),
            (bool((age[line >= 0] > _STALE_DAYS).any()), f"forecasts more than {_STALE_DAYS} days old"),
            (bool((line < 0).any()), "no forecast orders for series and days without a forecast"),
        ]
        said = tuple(text for applies, text in notes if applies)
        return cls(world, chances, rows, unmet_demand, needs, need, chances.row[first], said)

    def scores(self, targets: Sequence[float], holding_rate: float) -> list[pd.DataFrame]:
        """Sums of each series by policy and target."""
        scored = [
            self._sums(policy, target, trace, holding_rate)
            for policy, target, trace in self._traces(targets)
        ]  # fmt: skip
        return [frame for frame in scored if len(frame)]

    def _traces(self, targets: Sequence[float]) -> Iterator[tuple[str, float, Trace]]:
        for target in targets:
            yield "forecast", target, self._simulated(self._forecast_levels(target))
        rules = {"days_of_cover": self._cover_levels(), "min_max": self._min_max_levels()}
        traces = {name: self._simulated(levels) for name, levels in rules.items()}
        if self.world.has_orders:
            traces["history"] = self._history()
        for name, trace in traces.items():
            for target in targets:
                yield name, target, trace

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
        supply = Supply(np.zeros_like(real.can_order), real.lead_days, self.world.received, np.zeros(len(self.world)))
        return replace(self._simulated(lambda state: np.zeros(len(self.world)), supply), ordered=self.world.ordered)

    def _levels(self, trigger: Array, up_to: Array) -> Levels:
        """Levels from values for each chance."""
        world, at = self.world, (self.chances.row, self.chances.day)
        grids = [
            np.full(world.demand.shape, -np.inf),
            np.full(world.demand.shape, -np.inf),
            np.zeros(world.demand.shape),
        ]
        reach = np.minimum(self.chances.next_promised, world.promised_after.shape[1] - 1)
        for grid, values in zip(grids, (trigger, up_to, world.promised_after[self.chances.row, reach]), strict=True):
            grid[at] = values
        return Levels(grids[0], grids[1], grids[2], world.pack_units, world.moq_units)

    def _forecast_levels(self, target: float) -> Levels:
        trigger = np.full(len(self.need), -np.inf)
        if self.needs is not None:
            found = reorder_point_with_packs(self.needs, self.world.pack_units[self.need_row], target=target)
            trigger[self.need >= 0] = found[self.need[self.need >= 0]]
        return self._levels(trigger, trigger + self._step)

    def _cover_levels(self) -> Levels:
        days = self.chances.protection + COVER_SAFETY_DAYS
        up_to = self._rounded(self._mean_daily * days)
        return self._levels(up_to - self._step, up_to)

    def _min_max_levels(self) -> Levels:
        lowest = self._rounded(self._mean_daily * self.chances.protection * MINIMUM_FACTOR)
        review = self.chances.review
        return self._levels(lowest, lowest + self._rounded(self._mean_daily * np.maximum(review, 7)) + self._step)

    @property
    def _step(self) -> Array:
        return self.world.unit_step[self.chances.row]

    @property
    def _mean_daily(self) -> Array:
        return self.world.mean_daily[self.chances.row, self.chances.day]

    def _rounded(self, units: Array) -> Array:
        step = np.where(self._step > 0, self._step, 1e-6)
        return np.ceil(units / step - 1e-9) * step

    def _sums(self, policy: str, target: float, trace: Trace, holding_rate: float) -> pd.DataFrame:
        world, chances = self.world, self.chances
        kept = np.flatnonzero(chances.is_scored)
        row, start, end = chances.row[kept], chances.start[kept], chances.end[kept]
        failures = np.pad(np.cumsum(trace.has_failed, axis=1), ((0, 0), (1, 0)))
        has_failed = failures[row, end] > failures[row, start]
        first, last = np.full(len(world), world.days), np.zeros(len(world), dtype=np.int64)
        np.minimum.at(first, row, start)
        np.maximum.at(last, row, end)
        stock, unmet = _between(trace.closing, first, last), _between(trace.unmet, first, last)
        cost, margin = np.nan_to_num(world.unit_cost), np.nan_to_num(world.unit_price - world.unit_cost)
        length = np.maximum(last - first, 1)
        predicted = self._predicted(kept, trace) if policy == "forecast" else np.full(len(kept), np.nan)
        frame = pd.DataFrame(
            {
                "policy": policy,
                "target_service_rate": target,
                "row": self.rows,
                "first": first,
                "last": last,
                "cycles": np.bincount(row, minlength=len(world)),
                "failures": np.bincount(row, has_failed, minlength=len(world)),
                "predicted": np.bincount(row, np.nan_to_num(predicted), minlength=len(world)),
                "predicted_cycles": np.bincount(row, ~np.isnan(predicted), minlength=len(world)),
                "demand": _between(world.demand, first, last),
                "unmet": unmet,
                "stock": stock / length,
                "value": stock / length * cost,
                "margin": unmet * np.maximum(margin, 0.0),
                "orders": _between((trace.ordered > 0).astype(float), first, last),
                "holding": stock * cost * holding_rate / 365,
            }
        )
        return frame.loc[frame["cycles"] > 0]

    def _predicted(self, kept: Days, trace: Trace) -> Array:
        """F_H at the position right after each scored cycle's order."""
        need = self.need[kept]
        rate = np.full(len(kept), np.nan)
        if self.needs is None:
            return rate
        row, day = self.chances.row[kept], self.chances.day[kept]
        reach = np.minimum(self.chances.next_promised[kept], self.world.promised_after.shape[1] - 1)
        position = trace.position[row, day] - self.world.promised_after[row, reach]
        known = np.flatnonzero(need >= 0)
        rate[known] = self.needs.take(need[known]).cdf(position[known])
        return rate


def _delayed(
    world: World, book: _Forecasts, chances: _Chances, *, as_of: Days, rows: Days, chosen: Days
) -> tuple[Demand | None, bool]:
    """Demand up to the next delivery at these chances, mixed over its delay, and whether a horizon was scaled."""
    if not len(chosen):
        return None, False
    row = chances.row[chosen]
    weights = world.delay_chances[row]
    demands, used, is_scaled = [], [], False
    for delay in np.flatnonzero((weights > 0).any(axis=0)):
        line, factor = book.find(rows[row], as_of[chosen], chances.protection[chosen] + delay)
        fallback, scale = book.find(rows[row], as_of[chosen], chances.protection[chosen])
        is_scaled |= bool(((factor != 1) & (weights[:, delay] > 0)).any())
        line, factor = np.where(line >= 0, line, fallback), np.where(line >= 0, factor, scale)
        demands.append(book.demand(line, factor, unit_step=world.unit_step[row]))
        used.append(delay)
    return (demands[0] if len(demands) == 1 else Demand.mix(weights[:, used], demands)), is_scaled


def _between(values: Array, first: Days, last: Days) -> Array:
    """Sum of each row over its days first … last - 1."""
    day = np.arange(values.shape[1])
    return np.where((day >= first[:, None]) & (day < last[:, None]), values, 0.0).sum(axis=1)


def _classes(segments: pd.DataFrame, series: pd.MultiIndex) -> NDArray[np.object_]:
    known = segments.loc[segments["abc_class"].notna()] if len(segments) else segments
    known = known.sort_values("valid_from", kind="stable") if "valid_from" in known else known
    row = rows_of(known, series)
    classes = np.full(len(series), None, dtype=object)
    classes[row[row >= 0]] = known["abc_class"].to_numpy(dtype=object)[row >= 0]
    return classes


def _summary(scores: pd.DataFrame, classes: NDArray[np.object_], *, first_day: int, assumptions: str) -> pd.DataFrame:
    own = scores.assign(abc_class=classes[scores["row"].to_numpy()])
    both = pd.concat([own.loc[own["abc_class"].notna()], scores.assign(abc_class=ALL)])
    groups = both.groupby(list(POLICY_REPLAY.key), sort=True)
    sums = groups[list(_SUMS)].sum()
    frame = sums.reset_index()
    dates = [groups["first"].min().to_numpy() + first_day, groups["last"].max().to_numpy() + first_day - 1]
    frame["from_date"], frame["to_date"] = (day.astype("datetime64[D]").astype(object) for day in dates)
    frame["series_count"] = groups.size().to_numpy()
    frame["cycle_count"], frame["order_count"] = frame["cycles"].astype(int), frame["orders"].astype(int)
    frame["predicted_service_rate"] = frame["predicted"] / frame["predicted_cycles"].replace(0, np.nan)
    frame["achieved_cycle_rate"] = 1 - frame["failures"] / frame["cycles"]
    wanted = frame["demand"].to_numpy()
    frame["achieved_fill_rate"] = 1 - frame["unmet"].to_numpy() / np.where(wanted > 0, wanted, 1.0)
    frame["mean_stock_units"], frame["lost_units"] = frame["stock"], frame["unmet"]
    values = {
        "mean_stock_value": frame["value"],
        "lost_margin_value": frame["margin"],
        "holding_cost_value": frame["holding"],
    }
    values["total_cost_value"] = frame["holding"] + frame["margin"]
    frame = frame.assign(**{name: money(value) for name, value in values.items()}, assumptions=assumptions or None)
    return frame.reindex(columns=POLICY_REPLAY.column_names)


def _empty() -> pd.DataFrame:
    return POLICY_REPLAY.schema.empty_table().to_pandas()
