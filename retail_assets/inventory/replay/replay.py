"""Replay of past weeks: what service, stock and cost each order policy would have given, and the real orders gave.

Frames in, rows of inventory/policy_replay out, or sums by week for whoever wants intervals. The days themselves are
run by replay_run.py and simulator.py on the arrays of replay_world.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array
from retail_assets.inventory.money import money
from retail_assets.inventory.parameters import LineParameters, Policies
from retail_assets.inventory.replay.forecasts import Forecasts
from retail_assets.inventory.replay.run import PolicyName, Run
from retail_assets.inventory.replay.world import ReplayInputs, World, days_of, replay_world, rows_of
from retail_assets.inventory.simulator import Trace, UnmetDemand
from retail_assets.tables.contract import ALL
from retail_assets.tables.inventory import POLICY_REPLAY

TARGETS = (0.80, 0.90, 0.95, 0.98, 0.99)
"""Service levels of the cost-service curve."""
COVER_SAFETY_DAYS = 7
"""`days_of_cover` orders up to the mean daily demand of the last 28 days times protection days plus these."""
MINIMUM_FACTOR = 1.5
"""`min_max` orders at this multiple of mean demand over the protection, up to a week's more."""
_CHUNK_SERIES = 4000
_SUMS = (
    "cycles",
    "failures",
    "predicted",
    "demand",
    "unmet",
    "stock",
    "value",
    "margin",
    "orders",
    "holding",
    "wasted",
    "wasted_value",
)


@dataclass(frozen=True)
class Replay:
    """A past ready to be replayed: the world of all series, their forecasts and classes (None where unknown)."""

    world: World
    book: Forecasts
    classes: NDArray[np.object_]
    rules: LineParameters
    unmet_demand: UnmetDemand = "lost"
    seed: int = 0

    @classmethod
    def of(
        cls,
        inputs: ReplayInputs,
        *,
        policies: Policies | None = None,
        seed: int = 0,
        unmet_demand: UnmetDemand = "lost",
    ) -> Self:
        """The past of `inputs`; what a replay draws depends on `seed` alone."""
        given = policies or Policies()
        world = replay_world(inputs, plan=given.plan, seed=seed)
        book, classes = Forecasts.of(inputs.cumulative, world.series), _classes(inputs.segments, world.series)
        rules = given.of_lines(world.series, supplier_ids=world.supplier_ids, classes=classes)
        return cls(world, book, classes, rules, unmet_demand, seed)

    def runs(self) -> Iterator[Run]:
        """Chunks of series, so that many of them fit into memory."""
        for start in range(0, len(self.world), _CHUNK_SERIES):
            rows = np.arange(start, min(start + _CHUNK_SERIES, len(self.world)))
            yield Run.of(
                self.world.take(rows),
                self.book,
                rules=self.rules.take(rows),
                rows=rows,
                unmet_demand=self.unmet_demand,
                seed=self.seed,
            )

    def weeks(self, run: Run, trace: Trace, predicted: Array | None = None) -> pd.DataFrame:
        """Sums by class and week of what a policy did to one chunk.

        Args:
            run: the chunk.
            trace: what happened.
            predicted: what each scored cycle promised, as `run.predicted` says it.

        Returns:
            abc_class, week (Monday), cycles, failures, predicted, demand, unmet, stock, value, wasted; stock and value
            are summed over series and days, predicted over cycles.
        """
        cycles, scored = run.cycles(trace), run.scored_days()
        week_of = (run.world.first_day + np.arange(run.world.days) + 3) // 7
        weeks, code = np.unique(week_of, return_inverse=True)
        names, group = np.unique(self.classes[run.rows].astype(str), return_inverse=True)
        shape = (len(names), len(weeks))

        def by_day(values: Array) -> Array:
            place = group[:, None] * shape[1] + code
            return np.bincount(place.ravel(), (values * scored).ravel(), minlength=shape[0] * shape[1]).astype(
                np.float64
            )

        place = group[cycles.row] * shape[1] + code[cycles.start]

        def by_cycle(values: Array) -> Array:
            return np.bincount(place, values, minlength=shape[0] * shape[1]).astype(np.float64)

        cost = np.nan_to_num(run.world.unit_cost)[:, None]
        frame = pd.DataFrame(
            {
                "abc_class": np.repeat(names, shape[1]),
                "week": np.tile((weeks * 7 - 3).astype("datetime64[D]"), shape[0]),
                "cycles": by_cycle(np.ones(len(place))),
                "failures": by_cycle(cycles.has_failed.astype(float)),
                "predicted": by_cycle(np.zeros(len(place)) if predicted is None else predicted),
                "demand": by_day(run.world.demand),
                "unmet": by_day(trace.unmet),
                "stock": by_day(trace.closing),
                "value": by_day(trace.closing * cost),
                "wasted": by_day(trace.wasted),
            }
        )
        is_scored = by_day(np.ones_like(run.world.demand)) > 0
        return frame.loc[is_scored].reset_index(drop=True)


def policy_replay(
    inputs: ReplayInputs,
    *,
    targets: Sequence[float] = TARGETS,
    policies: Policies | None = None,
    seed: int = 0,
    unmet_demand: UnmetDemand = "lost",
    order_line_value: float = 0.0,
) -> pd.DataFrame:
    """Rows of inventory/policy_replay: every policy and target, by ABC class and for all.

    The replay runs from the day after the first `as_of_date` to the last day of demand; orders follow the newest
    forecast made before the order day. A series is scored from its first arrival plus its longest protection, in
    cycles from one lorry to the next; a cycle fails when a customer goes or waits without goods, unfinished ones are
    left out. The simple rules and history do not know the target: their rows are the same for each. Predicted service
    is F_H at the position right after ordering, changed by what lost sales and waste do on sampled paths of demand.
    What is not known is assumed, and `assumptions` lists it.

    Args:
        inputs: the past.
        targets: service levels of the forecast policy.
        policies: costs, service measure and shelf-life cap of each line; its service levels give way to `targets`.
        seed: of drawn demand, delays and paths.
        order_line_value: cost of one order line.

    Returns:
        No rows when nothing can be scored: no common series, or fewer days than the protection takes.
    """
    if inputs.demand.empty or inputs.cumulative.empty or not _has_days(inputs.demand, inputs.cumulative):
        return _empty()
    replay = Replay.of(inputs, policies=policies, seed=seed, unmet_demand=unmet_demand)
    return _rows(replay, targets, order_line_value=order_line_value)


def _rows(replay: Replay, targets: Sequence[float], *, order_line_value: float) -> pd.DataFrame:
    scores: list[pd.DataFrame] = []
    notes: set[str] = set()
    for run in replay.runs():
        scores += _scores(run, targets, has_orders=replay.world.has_orders)
        notes |= set(run.notes)
    if not scores:
        return _empty()
    return _summary(
        pd.concat(scores),
        replay.classes,
        first_day=replay.world.first_day,
        assumptions="; ".join([*replay.world.assumptions, *sorted(notes)]),
        order_line_value=order_line_value,
    )


def _has_days(demand: pd.DataFrame, cumulative: pd.DataFrame) -> bool:
    """Demand is known after the first forecast; a first run that forecasts one day has nothing to replay yet."""
    return bool(days_of(demand["business_date"]).max() > days_of(cumulative["as_of_date"]).min())


def _scores(run: Run, targets: Sequence[float], *, has_orders: bool) -> list[pd.DataFrame]:
    """Sums of each series by policy and target."""
    frames = [_sums(run, "forecast", target, trace=run.trace("forecast", target)) for target in targets]
    rules: list[tuple[PolicyName, float]] = [("days_of_cover", COVER_SAFETY_DAYS), ("min_max", MINIMUM_FACTOR)]
    if has_orders:
        rules.append(("history", np.nan))
    for policy, parameter in rules:
        sums = _sums(run, policy, np.nan, trace=run.trace(policy, parameter))
        frames += [sums.assign(target_service_rate=target) for target in targets]
    return [frame for frame in frames if len(frame)]


def _sums(run: Run, policy: PolicyName, target: float, *, trace: Trace) -> pd.DataFrame:
    world, cycles, scored = run.world, run.cycles(trace), run.scored_days()
    predicted = run.predicted(trace) if policy == "forecast" else np.zeros(len(cycles.row))
    count = len(world)
    cost, margin = np.nan_to_num(world.unit_cost), np.nan_to_num(world.unit_price - world.unit_cost)
    stock, unmet, wasted = ((units * scored).sum(axis=1) for units in (trace.closing, trace.unmet, trace.wasted))
    length = np.maximum(scored.sum(axis=1), 1)
    frame = pd.DataFrame(
        {
            "policy": policy,
            "target_service_rate": target,
            "row": run.rows,
            "first": scored.argmax(axis=1),
            "last": scored.argmax(axis=1) + length,
            "cycles": np.bincount(cycles.row, minlength=count),
            "failures": np.bincount(cycles.row, cycles.has_failed, minlength=count),
            "predicted": np.bincount(cycles.row, predicted, minlength=count),
            "demand": (world.demand * scored).sum(axis=1),
            "unmet": unmet,
            "stock": stock / length,
            "value": stock / length * cost,
            "margin": unmet * np.maximum(margin, 0.0),
            "orders": ((trace.ordered > 0) & scored).sum(axis=1),
            "holding": stock * cost * run.rules.holding_rate / 365,
            "wasted": wasted,
            "wasted_value": wasted * cost,
        }
    )
    return frame.loc[frame["cycles"] > 0]


def _classes(segments: pd.DataFrame, series: pd.MultiIndex) -> NDArray[np.object_]:
    known = segments.loc[segments["abc_class"].notna()] if len(segments) else segments
    known = known.sort_values("valid_from", kind="stable") if "valid_from" in known else known
    row = rows_of(known, series)
    classes = np.full(len(series), None, dtype=object)
    classes[row[row >= 0]] = known["abc_class"].to_numpy(dtype=object)[row >= 0]
    return classes


def _summary(
    scores: pd.DataFrame,
    classes: NDArray[np.object_],
    *,
    first_day: int,
    assumptions: str,
    order_line_value: float,
) -> pd.DataFrame:
    own = scores.assign(abc_class=classes[scores["row"].to_numpy()])
    both = pd.concat([own.loc[own["abc_class"].notna()], scores.assign(abc_class=ALL)])
    groups = both.groupby(list(POLICY_REPLAY.key), sort=True)
    sums = groups[list(_SUMS)].sum()
    frame = sums.reset_index()
    dates = [groups["first"].min().to_numpy() + first_day, groups["last"].max().to_numpy() + first_day - 1]
    frame["from_date"], frame["to_date"] = (day.astype("datetime64[D]").astype(object) for day in dates)
    frame["series_count"] = groups.size().to_numpy()
    frame["cycle_count"], frame["order_count"] = frame["cycles"].astype(int), frame["orders"].astype(int)
    frame["predicted_service_rate"] = np.where(
        frame["policy"] == "forecast", frame["predicted"] / frame["cycles"], np.nan
    )
    frame["achieved_cycle_rate"] = 1 - frame["failures"] / frame["cycles"]
    wanted = frame["demand"].to_numpy()
    frame["achieved_fill_rate"] = 1 - frame["unmet"].to_numpy() / np.where(wanted > 0, wanted, 1.0)
    units = {"mean_stock_units": "stock", "lost_units": "unmet", "wasted_units": "wasted"}
    frame = frame.assign(**{name: frame[column] for name, column in units.items()})
    return frame.assign(**_money_columns(frame, order_line_value), assumptions=assumptions or None).reindex(
        columns=POLICY_REPLAY.column_names
    )


def _money_columns(frame: pd.DataFrame, order_line_value: float) -> dict[str, list]:
    ordering = frame["orders"] * order_line_value
    values = {
        "mean_stock_value": frame["value"],
        "lost_margin_value": frame["margin"],
        "wasted_value": frame["wasted_value"],
        "holding_cost_value": frame["holding"],
        "ordering_cost_value": ordering,
        "total_cost_value": frame["holding"] + frame["margin"] + frame["wasted_value"] + ordering,
    }
    return {name: money(value) for name, value in values.items()}


def _empty() -> pd.DataFrame:
    return POLICY_REPLAY.schema.empty_table().to_pandas()
