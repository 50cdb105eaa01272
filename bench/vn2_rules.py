"""Rules that play the VN2 game: the organiser's, base stock on the position, and two that project lost sales."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.vn2_data import WeeklySales
from bench.vn2_paths import Dispersion
from bench.vn2_projection import UnitCost, least_cost_order, lost_sales_order, periods_ahead
from bench.vn2_seasonal import seasonal_average
from bench.vn2_simulator import HOLDING_COST, LEAD_WEEKS, SHORTAGE_COST, Rule, State
from retail_assets.arrays import Array

RATIO = SHORTAGE_COST / (SHORTAGE_COST + HOLDING_COST)
"""Newsvendor of the week an order serves: the last unit costs 0.2 where it is left and saves 1.0 where it is not."""
COVERED_WEEKS, REVIEW_WEEKS = 4, 1
WEEKS_AHEAD = periods_ahead(LEAD_WEEKS, REVIEW_WEEKS)
PATHS = 300
Means = Callable[[WeeklySales, int], Array]


def organisers_rule(known: WeeklySales, state: State) -> Array:
    """Orders up to the organiser's forecast of four weeks, rounded."""
    return np.round(np.maximum(seasonal_average(known, COVERED_WEEKS).sum(axis=1) - position(state), 0.0))


def position(state: State) -> Array:
    """(n,) units on hand and on order."""
    return state.on_hand + state.on_order.sum(axis=1)


@dataclass(frozen=True)
class DemandPaths:
    """A forecaster's sample paths; the same weeks known give the same paths."""

    means: Means
    dispersion: Dispersion

    def of(self, known: WeeklySales) -> Array:
        """(p, n, weeks) of the coming weeks."""
        rng = np.random.default_rng(known.week_count)
        return self.dispersion.paths(self.means(known, WEEKS_AHEAD), PATHS, rng)


def base_stock(demand: DemandPaths) -> Rule:
    """Position raised to the quantile of demand over lead time and review, the plan's order by cycle service."""

    def rule(known: WeeklySales, state: State) -> Array:
        total = demand.of(known)[:, :, : LEAD_WEEKS + REVIEW_WEEKS].sum(axis=2)
        level = np.quantile(total, RATIO, axis=0, method="inverted_cdf")
        return np.maximum(level - position(state), 0.0)

    return rule


def projected(demand: DemandPaths) -> Rule:
    """Stock projected with lost sales, then the newsvendor's quantile of what the week of arrival needs."""

    def rule(known: WeeklySales, state: State) -> Array:
        return lost_sales_order(
            demand.of(known),
            on_hand=state.on_hand,
            arrivals=_arrivals(state),
            lead=LEAD_WEEKS,
            review=REVIEW_WEEKS,
            ratio=RATIO,
        )

    return rule


def least_cost(demand: DemandPaths) -> Rule:
    """Stock projected with lost sales, at the ratio that costs each series least until a later order can react."""

    def rule(known: WeeklySales, state: State) -> Array:
        return least_cost_order(
            demand.of(known),
            on_hand=state.on_hand,
            arrivals=_arrivals(state),
            lead=LEAD_WEEKS,
            review=REVIEW_WEEKS,
            unit_cost=UnitCost(HOLDING_COST, SHORTAGE_COST),
        )

    return rule


def _arrivals(state: State) -> Array:
    """(n, weeks ahead) units on order by the week of arrival."""
    coming = np.zeros((len(state.on_hand), WEEKS_AHEAD))
    coming[:, :LEAD_WEEKS] = state.on_order
    return coming
