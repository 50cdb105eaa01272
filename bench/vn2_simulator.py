"""The VN2 game: an order at the end of a week is on the way for two weeks, demand that finds no stock is lost.

Each week opens with the stock left over and the order that arrives; what is left at its end costs 0.2 a unit, what was
asked for and not there 1.0. Six orders are given over eight weeks; the score is the cost of weeks 3 to 8, since no
order reaches the first two. Rules that decide orders belong in vn2_rules.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bench.vn2_data import WeeklySales
from retail_assets.arrays import Array

HOLDING_COST, SHORTAGE_COST = 0.2, 1.0
"""Of a unit left at the end of a week, and of a unit lost."""
LEAD_WEEKS, ORDERS, WEEKS, FIRST_SCORED = 2, 6, 8, 3
DEVELOPMENT_STARTS = (109, 117, 125, 133, 141, 149)
"""Weeks known when a window of development begins; its eight weeks follow."""
_OPENING_WEEKS = 13


@dataclass(frozen=True)
class State:
    """Of n series at the end of a week: units on hand (n,), and (n, 2) on order by the week of arrival."""

    on_hand: Array
    on_order: Array


class Rule(Protocol):
    """Decides the orders of a week."""

    def __call__(self, known: WeeklySales, state: State) -> Array:
        """(n,) whole units ordered, with what has been sold so far."""
        ...


@dataclass(frozen=True)
class Game:
    """A start, and the eight weeks that follow, whose sales are the demand (n, 8); `known` ends with week 0.

    With `shows_demand` rules see these weeks as they are, as for the published figures of the organiser's rule; else
    what was sold from the rule's own stock, and where none was left.
    """

    known: WeeklySales
    future: WeeklySales
    opening: State
    shows_demand: bool = False

    def known_after(self, known: WeeklySales, *, sold: Array, left: Array) -> WeeklySales:
        """What is known when one more week has passed."""
        week = known.week_count - self.known.week_count
        if self.shows_demand:
            return known.after(self.future.units[:, week], self.future.in_stock[:, week])
        return known.after(sold, left > 0)


@dataclass(frozen=True)
class Costs:
    """Cost of holding and of shortage in each week, (8,)."""

    holding: Array
    shortage: Array

    @property
    def scored_holding(self) -> float:
        return float(self.holding[FIRST_SCORED - 1 :].sum())

    @property
    def scored_shortage(self) -> float:
        return float(self.shortage[FIRST_SCORED - 1 :].sum())

    @property
    def score(self) -> float:
        return self.scored_holding + self.scored_shortage


def development_game(sales: WeeklySales, start: int, *, shows_demand: bool = False) -> Game:
    """The weeks from `start` on; stock and both orders on the way are the rounded mean of the 13 weeks before."""
    known = sales.before(start)
    level = np.round(known.units[:, -_OPENING_WEEKS:].mean(axis=1))
    opening = State(level, np.column_stack([level] * LEAD_WEEKS))
    return Game(known, sales.between(start, start + WEEKS), opening, shows_demand)


def play(game: Game, rule: Rule) -> Costs:
    """Costs of the rule's orders.

    Raises:
        ValueError: an order is negative or no whole number.
    """
    costs = np.array(list(_weeks(game, rule)))
    return Costs(HOLDING_COST * costs[:, 0], SHORTAGE_COST * costs[:, 1])


def _weeks(game: Game, rule: Rule) -> Iterator[tuple[float, float]]:
    """Units left and units lost of each week."""
    known, state = game.known, game.opening
    for week in range(WEEKS):
        order = _checked(rule(known, state)) if week < ORDERS else np.zeros(len(state.on_hand))
        stock, demand = state.on_hand + state.on_order[:, 0], game.future.units[:, week]
        sold = np.minimum(stock, demand)
        left = stock - sold
        yield float(left.sum()), float((demand - sold).sum())
        state = State(left, np.column_stack([state.on_order[:, 1:], order]))
        known = game.known_after(known, sold=sold, left=left)


def _checked(order: Array) -> Array:
    if not (np.isfinite(order).all() and (order >= 0).all() and (order == np.round(order)).all()):
        raise ValueError("an order is negative or not a whole number of units")
    return order
