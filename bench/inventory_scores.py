"""From weekly sums of a replay to judged figures: calibration of service, and stock against simpler rules.

Intervals are those of a bootstrap that draws whole weeks, so that what happens to many series at once stays together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.figures import Figure, at_least, within
from retail_assets.arrays import Array
from retail_assets.inventory.replay.replay import Replay
from retail_assets.inventory.replay.run import PolicyName, Run
from retail_assets.tables.contract import ALL

Pair = tuple[float, float]

TARGETS = (0.90, 0.95, 0.98)
LEVELS = (0.3, 0.5, 0.65, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
PLANNED_LEVEL = 0.95
GRIDS: dict[PolicyName, tuple[float, ...]] = {
    "days_of_cover": (-2, -1, 0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 21),
    "min_max": (0.3, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0),
}
LOT_DAYS: dict[PolicyName, tuple[float, ...]] = {"days_of_cover": (0.0,), "min_max": (0.0, 1.0, 3.0, 7.0)}
"""Both parameters of min/max are tuned: where to order, and how many days' demand above that."""
FRESH = "demo, fresh goods to the target"
NO_CLASS = "none, new products"
"""Launched after the replay began: they have no ABC class."""
GAP_LIMIT, SAVING_LIMIT = 1.5, 15.0
TUNED_SHARE = 0.25
"""Of the weeks, the first that the rules are tuned on."""
RESAMPLES, CONFIDENCE = 1000, 0.95
_SUMS = ["cycles", "failures", "predicted", "demand", "unmet", "stock", "value", "wasted"]


@dataclass(frozen=True)
class Weeks:
    """Sums of one policy and parameter, (weeks, groups) each by name."""

    sums: dict[str, Array]

    @classmethod
    def of(cls, frame: pd.DataFrame, weeks: pd.Index, groups: Sequence[str]) -> "Weeks":
        wide = frame.pivot(index="week", columns="abc_class", values=_SUMS).reindex(weeks)
        wanted = pd.MultiIndex.from_product([_SUMS, groups])
        values = wide.reindex(wanted, axis="columns").fillna(0.0).to_numpy(dtype=float)
        by_name = values.reshape(len(weeks), len(_SUMS), len(groups))
        return cls({name: by_name[:, number] for number, name in enumerate(_SUMS)})

    def total(self, name: str, counts: Array) -> Array:
        """(resamples, groups) sums, each week as often as `counts` (resamples, weeks) says."""
        return counts @ self.sums[name]

    def fill(self, counts: Array) -> Array:
        wanted = self.total("demand", counts)
        return 1 - self.total("unmet", counts) / np.maximum(wanted, 1e-9)


@dataclass(frozen=True)
class Scored:
    """A replay with its chunks."""

    replay: Replay
    runs: list[Run]

    @classmethod
    def of(cls, replay: Replay) -> "Scored":
        return cls(replay, list(replay.runs()))

    def grouped(self, names: NDArray[np.object_]) -> "Scored":
        """The same with other groups of series."""
        return replace(self, replay=replace(self.replay, classes=names))

    def with_fresh_goods_to_the_target(self) -> "Scored":
        """The same with `shelf_life_cap: target`."""
        every = np.ones(len(self.replay.world), dtype=bool)
        rules = replace(self.replay.rules, caps_at_target=every)
        return replace(self, runs=[replace(run, rules=rules.take(run.rows)) for run in self.runs])

    def frames(self, policy: PolicyName, parameter: float, *, lot_days: float = 0.0) -> pd.DataFrame:
        """Sums by group and week, the first and the last week left out: they lack days."""
        return self._whole_weeks(
            [self.replay.weeks(run, run.trace(policy, parameter, lot_days=lot_days)) for run in self.runs]
        )

    def predicted_frames(self, target: float) -> pd.DataFrame:
        """The same of the forecast policy, with what its orders promised."""
        traces = [run.trace("forecast", target) for run in self.runs]
        pairs = zip(self.runs, traces, strict=True)
        return self._whole_weeks([self.replay.weeks(run, trace, run.predicted(trace)) for run, trace in pairs])

    def _whole_weeks(self, parts: list[pd.DataFrame]) -> pd.DataFrame:
        sums = pd.concat(parts).groupby(["abc_class", "week"], as_index=False).sum()
        return sums.loc[(sums["week"] > sums["week"].min()) & (sums["week"] < sums["week"].max())]


def calibration(scored: Scored, *, name: str) -> Iterator[Figure]:
    """Achieved against predicted cycle service by class, with intervals, and against nominal beside it."""
    for target in TARGETS:
        frame = scored.predicted_frames(target)
        frame["abc_class"] = frame["abc_class"].replace("None", NO_CLASS)
        whole = frame.groupby("week", as_index=False)[_SUMS].sum().assign(abc_class=ALL)
        both = pd.concat([frame, whole])
        weeks, groups = pd.Index(sorted(set(both["week"]))), sorted(both["abc_class"].unique())
        counts = _resampled(len(weeks))
        sums = Weeks.of(both, weeks, groups)
        if target == TARGETS[0]:
            yield Figure(f"{name}: weeks scored", len(weeks), "weeks")
        cycles = sums.total("cycles", counts)
        achieved, predicted = 1 - sums.total("failures", counts) / cycles, sums.total("predicted", counts) / cycles
        for number, group in enumerate(groups):
            label = f"{name}, target {target:.2f}, class {group}"
            gap = 100 * (achieved - predicted)[:, number]
            text, found = f"{label}: achieved less predicted service", round(float(gap[0]), 2)
            yield within(text, found, "points", GAP_LIMIT)
            yield from _interval(text, gap, "points")
            yield Figure(f"{label}: achieved cycle service", round(float(achieved[0, number]), 4), "")
            off = 100 * (achieved[0, number] - target)
            yield Figure(f"{label}: achieved less nominal", round(float(off), 2), "points")


def against_rules(scored: Scored, *, name: str, by_value: bool) -> Iterator[Figure]:
    """Stock of the policy and of each rule at the fill rate the rule achieves, group by group.

    A group whose rule achieves more than our curve reaches at any level is not compared; how much of the demand is
    compared is a figure.

    On the weeks before the scored ones each rule gets, in each group, the parameter with which it reached the fill
    rate of our policy there. On the scored weeks our stock is read from our curve at the fill rate the rule achieved.
    """
    ours = {level: scored.frames("forecast", level) for level in LEVELS}
    weeks = pd.Index(sorted(set(ours[PLANNED_LEVEL]["week"])))
    groups = sorted(ours[PLANNED_LEVEL]["abc_class"].unique())
    tuned_weeks = max(int(len(weeks) * TUNED_SHARE), 2)
    past, later = weeks[:tuned_weeks], weeks[tuned_weeks:]
    counts = _resampled(len(later))
    curve = [Weeks.of(frame, later, groups) for frame in ours.values()]
    wanted = Weeks.of(ours[PLANNED_LEVEL], past, groups).fill(np.ones((1, len(past))))[0]
    days = len(later) * 7
    yield Figure(f"{name}: weeks the rules are tuned on", len(past), "weeks")
    yield Figure(f"{name}: weeks compared", len(later), "weeks")
    yield from _curve(curve, counts, days, name=name)
    for rule, grid in GRIDS.items():
        pairs = list(product(grid, LOT_DAYS[rule]))
        tried = {pair: scored.frames(rule, pair[0], lot_days=pair[1]) for pair in pairs}
        chosen = _tuned({value: Weeks.of(frame, past, groups) for value, frame in tried.items()}, wanted)
        parts = [frame.loc[frame["abc_class"].isin(_named(groups, chosen, value))] for value, frame in tried.items()]
        tuned = Weeks.of(pd.concat(parts), later, groups)
        yield from _compared(curve, tuned, counts, days, name=f"{name}, {rule}", by_value=by_value)
    if scored.replay.world.has_orders:
        real = Weeks.of(scored.frames("history", np.nan), later, groups)
        yield from _point(real, counts, days, name=f"{name}, history")


def _named(groups: Sequence[str], chosen: list[Pair], value: Pair) -> list[str]:
    return [group for group, own in zip(groups, chosen, strict=True) if own == value]


def _tuned(tried: dict[Pair, Weeks], wanted: Array) -> list[Pair]:
    """Of each group the parameter with the least stock that reaches the fill rate, else the highest fill rate."""
    ones = np.ones((1, len(next(iter(tried.values())).sums["demand"])))
    fill = np.stack([weeks.fill(ones)[0] for weeks in tried.values()])
    stock = np.stack([weeks.total("stock", ones)[0] for weeks in tried.values()])
    is_enough = fill >= wanted - 1e-12
    least = np.where(is_enough, stock, np.inf).argmin(axis=0)
    best = np.where(is_enough.any(axis=0), least, fill.argmax(axis=0))
    pairs = list(tried)
    return [pairs[number] for number in best]


def _curve(curve: list[Weeks], counts: Array, days: int, *, name: str) -> Iterator[Figure]:
    for level, weeks in zip(LEVELS, curve, strict=True):
        yield from _point(weeks, counts, days, name=f"{name}, service level {level:g}")


def _point(weeks: Weeks, counts: Array, days: int, *, name: str) -> Iterator[Figure]:
    """Where a policy lies on the plane of fill rate and stock, all groups together."""
    sums = {key: float(weeks.total(key, counts[:1]).sum()) for key in ("demand", "unmet", "stock", "value", "wasted")}
    yield Figure(f"{name}: fill rate", round(1 - sums["unmet"] / sums["demand"], 4), "")
    yield Figure(f"{name}: average stock", round(sums["stock"] / days, 1), "units")
    if sums["value"]:
        yield Figure(f"{name}: average stock at cost", round(sums["value"] / days, 1), "currency")
    if sums["wasted"]:
        yield Figure(f"{name}: waste", round(100 * sums["wasted"] / sums["demand"], 2), "% of demand")


def _compared(
    curve: list[Weeks], tuned: Weeks, counts: Array, days: int, *, name: str, by_value: bool
) -> Iterator[Figure]:
    yield from _point(tuned, counts, days, name=name)
    fill, ours = tuned.fill(counts), np.stack([weeks.fill(counts) for weeks in curve])
    is_reached = fill[0] <= ours[:, 0].max(axis=0)
    share = tuned.total("demand", counts[:1])[0]
    label = f"{name}: demand of groups whose fill rate our curve reaches"
    yield Figure(label, round(100 * float((share * is_reached).sum() / share.sum()), 1), "%")
    measures = {"stock": "stock", "wasted": "waste", **({"value": "stock at cost"} if by_value else {})}
    for measure, label in measures.items():
        theirs = tuned.total(measure, counts)[:, is_reached]
        if not theirs.any():
            continue
        held = np.stack([weeks.total(measure, counts) for weeks in curve])
        matched = _at_fill(ours, held, fill)[:, is_reached]
        saved = 100 * (1 - matched.sum(axis=1) / theirs.sum(axis=1))
        text = f"{name}: less {label} at equal fill rate"
        found = round(float(saved[0]), 2)
        yield at_least(text, found, "%", SAVING_LIMIT) if measure == "stock" else Figure(text, found, "%")
        yield from _interval(text, saved, "%")


def _at_fill(fills: Array, held: Array, wanted: Array) -> Array:
    """(resamples, groups) our stock where our curve has the wanted fill rate; its nearest end beyond it.

    Args:
        fills, held: (levels, resamples, groups), the levels ascending.
        wanted: (resamples, groups).
    """
    found = np.empty(wanted.shape)
    for sample, group in np.ndindex(*wanted.shape):
        order = np.argsort(fills[:, sample, group], kind="stable")
        found[sample, group] = np.interp(wanted[sample, group], fills[order, sample, group], held[order, sample, group])
    return found


def _resampled(weeks: int) -> Array:
    """(1 + resamples, weeks) how often each week counts; the first row is the weeks as they were."""
    drawn = np.random.default_rng(7).multinomial(weeks, np.full(weeks, 1 / weeks), RESAMPLES)
    return np.vstack([np.ones((1, weeks)), drawn]).astype(float)


def _interval(label: str, values: Array, unit: str) -> Iterator[Figure]:
    low, high = np.quantile(values[1:], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    yield Figure(f"{label}, {CONFIDENCE:.0%} from", round(float(low), 2), unit)
    yield Figure(f"{label}, {CONFIDENCE:.0%} to", round(float(high), 2), unit)
