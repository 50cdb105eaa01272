"""What is known to multiply demand on a day, so that models can forecast the rest: promotions, and a product's launch.

Only the days before its week give the effects of a day, in the past as ahead. How models use what is left
belongs to them.
"""

from dataclasses import dataclass, replace

import numpy as np

from retail_assets.demand.effects.promotion_response import Response, deepest_seen, response, weekday_sums
from retail_assets.demand.models.baselines import WEEK, group_codes
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import within_reach

PROMOTION_MEMORY_DAYS = 364
_LEVEL_SMOOTHING = 0.03
_LAUNCH_WEEKS = 8
_SETTLED_DAYS = 28
_PRIOR_UNITS = 50.0
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class KnownEffects:
    """How many times plain demand each day brings: `past` (n, T) and `ahead` (n, H); None where nothing is known."""

    past: np.ndarray | None
    ahead: np.ndarray | None

    def without(self, panel: Panel) -> Panel:
        """The panel of plain demand: what these models are fitted on and start from."""
        return panel if self.past is None else replace(panel, units=panel.units / self.past)

    def applied(self, mean: np.ndarray) -> np.ndarray:
        """Demand (n, H) from plain demand."""
        return mean if self.ahead is None else mean * self.ahead


NO_EFFECTS = KnownEffects(None, None)


def known_effects(panel: Panel) -> KnownEffects:
    """Lifts of promotions by product, and the growth of a launched product towards its settled demand."""
    promoted, launched = (panel.discount_rate > 0).any(), _launch_age(panel)
    is_young = (launched >= 0) & (launched < _LAUNCH_WEEKS * WEEK)
    if not promoted and not is_young.any():
        return NO_EFFECTS
    every = np.ones(panel.discount_rate.shape, dtype=np.float32)
    if is_young.any():
        every *= _launch_factors(panel, launched)
    if promoted:
        every *= _promotion_factors(panel, panel.demand / every[:, : panel.day_count])
    return KnownEffects(every[:, : panel.day_count], every[:, panel.day_count :])


def _weeks(panel: Panel) -> list[int]:
    """Days from which on effects are estimated anew, newest (the first day ahead) last."""
    return list(range(panel.day_count % WEEK + WEEK, panel.day_count + 1, WEEK))


def _promotion_factors(panel: Panel, demand: np.ndarray) -> np.ndarray:
    """(n, T + H); a discount deeper than any its department has seen counts as the deepest seen."""
    product = group_codes(panel.series, ["product_id"])
    discount, factors = panel.discount_rate, np.ones(panel.discount_rate.shape)
    department = group_codes(panel.series, ["department"])
    level = _levels(demand, discount[:, : panel.day_count])
    for week in _weeks(panel):
        days = slice(week, week + WEEK if week < panel.day_count else None)
        asked = discount[:, days]
        if (asked > 0).any():
            past = slice(max(week - PROMOTION_MEMORY_DAYS, 0), week)
            found = _response(panel, demand[:, past], level[:, past], discount=discount[:, past], product=product)
            most = deepest_seen(discount[:, :week], department)
            factors[:, days] = np.exp(found.log_lift(np.minimum(asked, most[:, None])))
    return factors


def usual_demand(panel: Panel) -> np.ndarray:
    """Demand without a discount, (n, T): the level before the day times the weekday pattern of all series.

    NaN before the first day without a discount.
    """
    discount = panel.discount_rate[:, : panel.day_count]
    level = _levels(panel.demand, discount)
    return _usual(panel.demand, level, discount=discount)


def _response(
    panel: Panel, demand: np.ndarray, level: np.ndarray, *, discount: np.ndarray, product: np.ndarray
) -> Response:
    usual = np.nan_to_num(_usual(demand, level, discount=discount))
    exposure = np.isfinite(level).astype(float)
    return response(demand, usual, discount_rate=discount, exposure=exposure, product=product)


def _usual(demand: np.ndarray, level: np.ndarray, *, discount: np.ndarray) -> np.ndarray:
    plain = np.isfinite(demand) & (discount <= 0) & np.isfinite(level)
    slot = np.arange(demand.shape[1]) % WEEK
    sold, expected = (weekday_sums(np.where(plain, part, 0.0), slot) for part in (demand, level))
    profile = (sold + _HALF) / (expected + _HALF)
    return level * profile[slot]


def _levels(demand: np.ndarray, discount: np.ndarray) -> np.ndarray:
    """Smoothed demand of the days without a discount before each day, (n, T); NaN before the first."""
    total, weight = np.zeros(len(demand)), np.zeros(len(demand))
    levels = np.full(demand.shape, np.nan)
    for day in range(demand.shape[1]):
        np.divide(total, weight, out=levels[:, day], where=weight > 0)
        seen = np.isfinite(demand[:, day]) & (discount[:, day] <= 0)
        keep = np.where(seen, 1 - _LEVEL_SMOOTHING, 1.0)
        total = total * keep + np.where(seen, demand[:, day], 0.0)
        weight = weight * keep + seen
    return levels


def _launch_age(panel: Panel) -> np.ndarray:
    """Days since the first observed one, (n, T + H); -1 where the product was there when the history begins."""
    observed = np.isfinite(panel.demand)
    first = np.where(observed.any(axis=1), observed.argmax(axis=1), panel.day_count)
    age = np.arange(panel.day_count + panel.horizon)[None, :] - first[:, None]
    return np.where((first < _SETTLED_DAYS)[:, None] | (age < 0), -1, age)


def _launch_factors(panel: Panel, age: np.ndarray) -> np.ndarray:
    """Demand at an age over settled demand, (n, T + H), from the growth of earlier launches from week to week."""
    rows = np.flatnonzero(age[:, -1] >= 0)
    sums = _weekly_sums(panel, age, rows)
    complete = panel.day_count + panel.horizon - age[rows, -1] - 1
    factors = np.ones(age.shape, dtype=np.float32)
    for week in _weeks(panel):
        days = slice(week, week + WEEK if week < panel.day_count else None)
        here = age[rows, days]
        if (here < _LAUNCH_WEEKS * WEEK).any():
            curve = _launch_curve(sums, known_weeks=(week - complete) // WEEK)
            factors[rows, days] = curve[np.clip(here // WEEK, 0, _LAUNCH_WEEKS)]
    factors[rows] = np.where(age[rows] < 0, 1.0, factors[rows])
    return factors


def _weekly_sums(panel: Panel, age: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean demand of each launched series in each week of its age, (rows, weeks + 1); NaN where nothing was seen."""
    past, sums = age[rows, : panel.day_count], np.full((len(rows), _LAUNCH_WEEKS + 1), np.nan)
    for week in range(_LAUNCH_WEEKS + 1):
        inside = np.where(past // WEEK == week, panel.demand[rows], np.nan)
        seen = np.isfinite(inside)
        sums[:, week] = np.where(seen.any(axis=1), np.nansum(inside, axis=1) / np.maximum(seen.sum(axis=1), 1), np.nan)
    return sums * WEEK


def _launch_curve(sums: np.ndarray, *, known_weeks: np.ndarray) -> np.ndarray:
    """Share of settled demand by week of age, (weeks + 1,), 1 at the end; from weeks that had ended, never above 1."""
    known = np.where(np.arange(sums.shape[1])[None, :] < known_weeks[:, None], sums, np.nan)
    both = np.isfinite(known[:, 1:]) & np.isfinite(known[:, :-1])
    everyone = np.zeros(len(known), dtype=int)
    later, sooner = (
        np.nansum(within_reach(np.where(both, part, np.nan), everyone), axis=0) + _PRIOR_UNITS
        for part in (known[:, 1:], known[:, :-1])
    )
    share = np.append(np.cumprod((sooner / later)[::-1])[::-1], 1.0)
    return np.clip(share, 0.1, 1.0)
