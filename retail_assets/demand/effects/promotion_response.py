"""How much more a discount sells: one price elasticity a product, pooled over its stores and leaning on all others.

Arrays in, arrays out. Which days are promoted is read elsewhere; what is done with the lift belongs to the callers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array
from retail_assets.demand.pooling import within_reach

_FIRST_GUESS = np.array([0.1, 1.5])
_FIRST_WEIGHTS = np.array([50.0, 2.0])
_PRODUCT_SPREAD = 1.0
_DISPERSION = 2.0
_DAY_NOISE = 0.3
_HALF, _LEAST = 0.5, 1e-9
_STEPS = 8
_MAX_ELASTICITY = 6.0
_MAX_DISCOUNT = 0.9
_UNSEEN_DISCOUNT = 0.3
"""The deepest discount that is believed where nobody ever gave one."""
_FAR = 5.0
"""Deviations beyond which sales of one day say no more."""


def depth(discount_rate: Array) -> Array:
    """Minus the log of the share of the price still asked, 0 without a discount."""
    return -np.log1p(-np.clip(np.nan_to_num(discount_rate), 0.0, _MAX_DISCOUNT))


def deepest_seen(discount_rate: Array, department: NDArray[np.integer]) -> Array:
    """Deepest discount of each series' department so far, (n,), of (n, days); nobody knows what deeper ones would do.

    A department that never gave one takes the deepest of all, and 30 % counts as seen where nobody did.

    >>> deepest_seen(np.array([[0.0, 0.2], [0.0, 0.0], [0.0, 0.0]]), np.array([0, 0, 1]))
    array([0.2, 0.2, 0.2])
    """
    own = np.zeros(int(department.max()) + 1)
    np.maximum.at(own, department, np.nan_to_num(discount_rate).max(axis=1, initial=0.0))
    every = own.max() or _UNSEEN_DISCOUNT
    return np.where(own > 0, own, every)[department]


def weekday_sums(values: Array, slot: NDArray[np.integer]) -> Array:
    """Sums of (n, days) over series and the days of each of seven slots, (7,); no series has the say in one."""
    sums = np.stack([values[:, slot == number].sum(axis=1) for number in range(7)], axis=1)
    return within_reach(sums, np.zeros(len(values), dtype=int)).sum(axis=0)


@dataclass(frozen=True)
class Response:
    """log(sales / usual) = display + elasticity × depth on promoted days; elasticity (n,) is that of the product."""

    display: float
    elasticity: Array

    def log_lift(self, discount_rate: Array) -> Array:
        """Of series (n,) on discounts (n,) or (n, days); 0 without a discount."""
        elasticity = self.elasticity if discount_rate.ndim == 1 else self.elasticity[:, None]
        return np.where(discount_rate > 0, self.display + elasticity * depth(discount_rate), 0.0)


def response(
    sales: Array, usual: Array, *, discount_rate: Array, exposure: Array, product: NDArray[np.integer]
) -> Response:
    """What discounts did so far, by quasi-likelihood on the sums over a product's stores on a day.

    Variance is that of an overdispersed count and of a day's own noise. Being on display is worth the
    same for all products; a product's elasticity leans on the pooled one, which leans on 1.5 as long as little was
    promoted, by normal priors. No one buys less for a discount: elasticities are never below 0.

    Args:
        sales: (n, days), what was sold; NaN counts as not seen.
        usual: expected sales without a discount, broadcastable to (n, days).
        discount_rate: (n, days), 0–1.
        exposure: share of the day that sales show, (n, days): 1 in stock, 0 not to be used.
        product: number of each series' product, (n,), 0 … products − 1.

    >>> sold, usual = np.array([[800.0, 200.0]]), np.array([[100.0, 100.0]])
    >>> found = response(
    ...     sold, usual, discount_rate=np.array([[0.5, 0.0]]), exposure=np.ones((1, 2)), product=np.array([0])
    ... )
    >>> bool(2.0 < np.exp(found.log_lift(np.array([0.5])))[0] < 8.0)
    True
    """
    promoted = (discount_rate > 0) & (exposure > 0) & np.isfinite(sales)
    row, day = np.nonzero(promoted)
    usual = np.broadcast_to(usual, sales.shape)[row, day] * exposure[row, day]
    cell, place = np.unique(product[row] * sales.shape[1] + day, return_inverse=True)
    sold, expected = (np.bincount(place, units).astype(np.float64) for units in (sales[row, day], usual))
    depths = np.bincount(place, depth(discount_rate[row, day])) / np.maximum(np.bincount(place), 1)
    told = _Told(sold, expected, depths)
    display, pooled = _pooled(told, cell // sales.shape[1])
    elasticity = _of_products(told, cell // sales.shape[1], display=display, pooled=pooled, count=product.max() + 1)
    return Response(display, elasticity[product])


@dataclass(frozen=True)
class _Told:
    """Sales, usual sales and depth of each promoted product and day."""

    sold: Array
    usual: Array
    depth: Array

    def gap(self, display: float, elasticity: Array | float) -> tuple[Array, Array]:
        """Sales beyond what was expected, and expected sales, both over dispersion + a day's own noise.

        Sales more than five deviations off count as five (Huber 1964): one bulk buyer tells nothing of a discount.
        """
        expected = self.usual * np.exp(display + elasticity * self.depth)
        known = expected / (_DISPERSION + _DAY_NOISE**2 * expected)
        deviation = np.sqrt(np.maximum(expected, _LEAST) * (_DISPERSION + _DAY_NOISE**2 * expected))
        off = np.clip((self.sold - expected) / deviation, -_FAR, _FAR)
        return off * np.sqrt(known), known


def _pooled(told: _Told, product: NDArray[np.integer]) -> tuple[float, float]:
    """Display and elasticity of all products together, leaning on a first guess, by Newton's method."""
    design = np.stack([np.ones_like(told.depth), told.depth])
    found, number = _FIRST_GUESS.copy(), np.unique(product, return_inverse=True)[1]
    for _ in range(_STEPS):
        gap, expected = told.gap(found[0], found[1])
        say = _say(expected, number)
        gap, expected = gap * say, expected * say
        known = (design * expected) @ design.T + np.diag(_FIRST_WEIGHTS)
        step = np.linalg.solve(known, design @ gap + _FIRST_WEIGHTS * (_FIRST_GUESS - found))
        found = np.clip(found + np.clip(step, -1.0, 1.0), 0.0, _MAX_ELASTICITY)
    return float(found[0]), float(found[1])


def _say(known: Array, product: NDArray[np.integer]) -> Array:
    """What each day counts, 0 … 1, so that no product knows more than the next one does."""
    own = np.bincount(product, known)
    bounded = within_reach(own, np.zeros(len(own), dtype=int))
    return np.minimum(bounded / np.maximum(own, _LEAST), 1.0)[product]


def _of_products(told: _Told, product: NDArray[np.integer], *, display: float, pooled: float, count: int) -> Array:
    """Elasticity of each product, leaning on the pooled one."""
    prior, found = 1 / _PRODUCT_SPREAD**2, np.full(count, pooled)
    for _ in range(_STEPS):
        gap, expected = told.gap(display, found[product])
        score = np.bincount(product, told.depth * gap, minlength=count) + prior * (pooled - found)
        known = np.bincount(product, told.depth**2 * expected, minlength=count) + prior
        found = np.clip(found + np.clip(score / known, -1.0, 1.0), 0.0, _MAX_ELASTICITY)
    return found


def lifts(
    sales: Array,
    *,
    discount_rate: Array,
    exposure: Array,
    weekday: NDArray[np.integer],
    product: NDArray[np.integer],
) -> Array:
    """How many times usual demand each day's discount brings, (n, days), as told by all the days given.

    Usual sales of a series are its sales for each day in stock without a discount times the weekday pattern of all
    series. Arguments as in `response`; weekday is the ISO weekday of each day.
    """
    if not (discount_rate > 0).any():
        return np.ones(sales.shape)
    usual = _usual(sales, discount_rate, exposure=exposure, weekday=weekday)
    found = response(sales, usual, discount_rate=discount_rate, exposure=exposure, product=product)
    return np.exp(found.log_lift(discount_rate))


def _usual(sales: Array, discount_rate: Array, *, exposure: Array, weekday: NDArray[np.integer]) -> Array:
    """Expected sales without a discount, (n, days)."""
    plain = (discount_rate <= 0) & (exposure > 0) & np.isfinite(sales)
    sold, seen = np.where(plain, sales, 0.0), np.where(plain, exposure, 0.0)
    level = sold.sum(axis=1) / np.maximum(seen.sum(axis=1), _HALF)
    number = weekday.astype(int) - 1
    profile = (weekday_sums(sold, number) + _HALF) / (weekday_sums(seen * level[:, None], number) + _HALF)
    return level[:, None] * profile[number]
