"""`Demand`: the distribution of demand of many series at once, and the only place that interpolates quantiles.

Add here what asks a distribution a question (probability, quantile, shortage) or makes one of others (mix, scale).
What is done with the answers (policies, plan, replay, health) does not belong here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retail_assets.arrays import Array

_LEVEL_TOLERANCE = 1e-6  # levels and p_zero are stored as float32
_STEP_TOLERANCE = 1e-4  # a stored quantile this close to a lattice point, relative to its size, is that point
_EQUAL = 1e-12
_ON_LATTICE = 1e-9
_PREFERRED_SHAPE, _POSSIBLE_SHAPE = (0.25, 0.75), (0.02, 0.98)
_TAIL_STRETCH = 4.0
_ASKED_AT_ONCE = 20_000  # few series, many points: one pass; many series: a pass a point, to bound memory


@dataclass(frozen=True)
class Demand:
    """Demand of n series, each a mixture of C components with K pieces.

    Piece i of a component covers [knots[i], knots[i + 1]) and rises from `low[i]` towards `high[i]`; two knots at
    one place are a jump; the last piece is an exponential tail of mean excess `tail`. Knots count steps of the
    lattice (units for a continuous product). On the lattice the distribution function is the mean of the
    continuous curve over the cell [k, k + 1), so that means and shortages have closed forms, and the stored
    quantiles come back exactly. Within a piece the curve is low + (high - low) u^(1/shape - 1), u from 0 to 1: its
    mean is low + (high - low) shape, and one `shape` a component, 0.5 when linear, brings the mean to the stored one.

    Build it with `from_quantiles`, `from_pmf` or `mix`. Answers have shape (n,), or (n, m) when asked with (n, m).
    """

    knots: Array
    low: Array
    high: Array
    shape: Array
    tail: Array
    weights: Array
    unit_step: Array

    @classmethod
    def from_quantiles(
        cls,
        quantiles: ArrayLike,
        levels: ArrayLike,
        *,
        p_zero: ArrayLike,
        mean_units: ArrayLike,
        unit_step: ArrayLike = 1.0,
    ) -> Self:
        """Distribution through stored quantiles.

        P(D = 0) is `p_zero` and wins over a quantile that contradicts it. Quantiles off the lattice move up to it.
        The mean is `mean_units` wherever some distribution with these quantiles has that mean: first the shape
        between the quantiles gives way, then the tail; where none has it the quantiles win.

        Args:
            quantiles: (n, q) in units, never falling along a row.
            levels: (q,) ascending probabilities of the columns.
            p_zero: (n,) probability of no demand.
            mean_units: (n,) expected demand.
            unit_step: (n,) or one smallest step of quantity; 0 for a truly continuous product.

        Raises:
            ValueError: a quantile is missing, negative or crosses another.
        """
        given, probability = (
            np.atleast_2d(np.asarray(quantiles, dtype=np.float64)),
            np.asarray(levels, dtype=np.float64),
        )
        rows = len(given)
        zero, mean, step = (_column(values, rows) for values in (p_zero, mean_units, unit_step))
        _check_quantiles(given, np.column_stack([zero, mean, step]))
        knots, level = _knots_from_quantiles(_steps(given, step), probability, zero=zero, first=_first_point(step))
        low = np.column_stack([zero, level])
        high = np.column_stack([zero, level[:, 1:], np.ones(rows)])
        knots = np.column_stack([np.zeros(rows), knots])
        tail = _tail_from_quantiles(knots[:, 3:], probability, _first_point(step))
        shape, tail = _fit_mean(knots, low, high, tail=tail, mean=mean / _divisor(step))
        return cls._single(knots, low, high, shape=shape, tail=tail, step=step)

    @classmethod
    def from_pmf(cls, pmf: ArrayLike, *, unit_step: ArrayLike = 1.0) -> Self:
        """Distribution with probabilities `pmf` (n, k) or (k,) at 0, 1, … k - 1 steps.

        >>> float(Demand.from_pmf([0.5, 0.25, 0.25]).quantile(0.6)[0])
        1.0
        """
        mass = np.atleast_2d(np.asarray(pmf, dtype=np.float64))
        if not (mass >= 0).all() or not np.allclose(mass.sum(axis=1), 1, atol=1e-6):
            raise ValueError("the probabilities of a series must be positive and sum to 1")
        rows, points = mass.shape
        level = np.minimum(np.cumsum(mass, axis=1), 1.0)
        level[:, -1] = 1.0
        knots = np.broadcast_to(np.arange(points, dtype=np.float64), mass.shape)
        half, none = np.full(rows, 0.5), np.zeros(rows)
        return cls._single(knots, level, level, shape=half, tail=none, step=_column(unit_step, rows))

    @classmethod
    def mix(cls, weights: ArrayLike, demands: Sequence[Self]) -> Self:
        """Mixture: F = Σ weight · F of the demands, series by series.

        Args:
            weights: (c,) or (n, c), one for each demand; they sum to 1.
            demands: distributions of the same n series on the same lattice.
        """
        first = demands[0]
        share = np.broadcast_to(np.asarray(weights, dtype=np.float64), (len(first), len(demands)))
        if any(len(d) != len(first) or not np.array_equal(d.unit_step, first.unit_step) for d in demands):
            raise ValueError("demands to mix must be of the same series on the same lattice")
        if (share < 0).any() or not np.allclose(share.sum(axis=1), 1, atol=1e-6):
            raise ValueError("the weights of a mixture must be positive and sum to 1")
        share = share / np.cumsum(share, axis=1)[:, -1:]
        pieces = max(d.knots.shape[2] for d in demands)
        return cls(
            knots=np.concatenate([_padded(d.knots, pieces) for d in demands], axis=1),
            low=np.concatenate([_padded(d.low, pieces) for d in demands], axis=1),
            high=np.concatenate([_padded(d.high, pieces) for d in demands], axis=1),
            shape=np.concatenate([d.shape for d in demands], axis=1),
            tail=np.concatenate([d.tail for d in demands], axis=1),
            weights=np.concatenate([share[:, [i]] * d.weights for i, d in enumerate(demands)], axis=1),
            unit_step=first.unit_step,
        )

    def __len__(self) -> int:
        return len(self.unit_step)

    def take(self, rows: ArrayLike) -> Self:
        """The series at these positions (integers or a mask), in this order."""
        index = np.asarray(rows)
        return type(self)(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})

    @cached_property
    def mean(self) -> Array:
        """(n,) expected demand in units."""
        return self._mixed(self._area_after[..., 0] + self._area[..., 0]) * _divisor(self.unit_step)

    def cdf(self, units: ArrayLike) -> Array:
        """P(D <= units)."""
        return self._answers(Demand._cdf_steps, units)

    def expected_shortage(self, units: ArrayLike) -> Array:
        """E(D - units)+ in units."""
        return self._answers(Demand._shortage_steps, units) * self._scale_like(units)

    def quantile(self, level: ArrayLike) -> Array:
        """Smallest lattice point with P(D <= it) >= level, in units; 0 < level < 1."""
        probability = np.asarray(level, dtype=np.float64)
        if not ((probability > 0) & (probability < 1)).all():
            raise ValueError("a quantile is asked for a probability between 0 and 1")
        if probability.ndim == 2:
            return np.column_stack([self.quantile(column) for column in probability.T])
        wanted = _column(probability, len(self))
        below, reached = self._bracket(wanted)
        return self.smallest(lambda steps: self._cdf_steps(steps) >= wanted - _EQUAL, below, reached)

    def smallest(self, is_enough: Callable[[Array], NDArray[np.bool_]], below: Array, reached: Array) -> Array:
        """(n,) smallest point, in units, where a rising condition holds.

        Args:
            is_enough: from positions (n,) in steps to truth (n,); once true it stays true above.
            below: (n,) in steps, where it does not hold.
            reached: (n,) in steps, where it holds.
        """
        is_lattice = self.unit_step > 0
        while True:
            gap = reached - below
            is_open = np.where(is_lattice, gap > 1, gap > 1e-9 * np.maximum(1.0, np.abs(reached)))
            if not is_open.any():
                return reached * _divisor(self.unit_step)
            middle = (below + reached) / 2
            middle = np.where(is_lattice, np.floor(middle), middle)
            holds = is_enough(middle)
            reached = np.where(is_open & holds, middle, reached)
            below = np.where(is_open & ~holds, middle, below)

    def scale(self, factor: ArrayLike) -> Self:
        """Demand times `factor` (n,) or one: mean times factor, knots moved up to the lattice, p_zero kept.

        Factor 0 is no demand at all.
        """
        moved = self.knots * _column(factor, len(self))[:, None, None]
        return self._stretched(factor, np.ceil(moved - _STEP_TOLERANCE * np.maximum(1.0, moved)))

    def _stretched(self, factor: ArrayLike, places: Array) -> Self:
        """Demand times `factor` with its knots at `places`, in steps of the lattice."""
        times = _column(factor, len(self))[:, None]
        moved, lattice = self.knots * times[..., None], np.maximum(places, 1.0)
        knots = np.where(self.knots <= 0, 0.0, np.where(self.unit_step[:, None, None] > 0, lattice, moved))
        # a discrete distribution gets room between its points, or the mean could not follow
        following = np.concatenate([self.low[..., 1:], self.high[..., -1:]], axis=2)
        high = np.where(self.knots <= 0, self.high, np.maximum(self.high, following))
        means = (self._area_after[..., 0] + self._area[..., 0]) * times
        shape, tail = _fit_mean(knots, self.low, high, tail=self.tail * times, mean=means)
        is_none = (times == 0)[..., None]
        same = times == 1
        return type(self)(
            knots=np.where(same[..., None], self.knots, knots),
            low=np.where(is_none, 1.0, self.low),
            high=np.where(same[..., None], self.high, np.where(is_none, 1.0, high)),
            shape=np.where(same, self.shape, shape),
            tail=np.where(same, self.tail, tail),
            weights=self.weights,
            unit_step=self.unit_step,
        )

    def part(self, share: ArrayLike) -> Self:
        """Demand of a `share` (n,) or one of the days, all alike and independent: mean times share, P(D = 0) ** share.

        Scaling alone would keep P(D = 0), and a slow seller could not have the smaller mean: a shorter time first
        means fewer sales, and only of a fast seller smaller ones.
        """
        times, zero = _column(share, len(self)), self.cdf(0.0)
        is_some = (zero < 1) & (times > 0)
        kept = np.where(is_some, (1 - zero**times) / np.where(is_some, 1 - zero, 1.0), times)
        low, high = (1 - (1 - values) * kept[:, None, None] for values in (self.low, self.high))
        factor = np.where(is_some, times / np.where(kept > 0, kept, 1.0), times)
        places = np.round(self.knots * factor[:, None, None])
        return replace(self, low=low, high=high)._stretched(factor, places)

    @classmethod
    def _single(cls, knots: Array, low: Array, high: Array, *, shape: Array, tail: Array, step: Array) -> Self:
        one = np.ones((len(step), 1))
        pieces = (np.ascontiguousarray(values)[:, None, :] for values in (knots, low, high))
        return cls(*pieces, shape=shape[:, None], tail=tail[:, None], weights=one, unit_step=step)

    @cached_property
    def _area(self) -> Array:
        """(n, C, K) integral of 1 - F over each piece, in steps."""
        width = np.diff(self.knots, axis=2)
        rise = (self.high - self.low)[..., :-1]
        inner = width * (1 - self.low[..., :-1] - rise * self.shape[..., None])
        last = (1 - self.low[..., -1]) * self.tail
        return np.concatenate([inner, last[..., None]], axis=2)

    @cached_property
    def _area_after(self) -> Array:
        """(n, C, K) integral of 1 - F over all later pieces, in steps."""
        return np.cumsum(self._area[..., ::-1], axis=2)[..., ::-1] - self._area

    def _mixed(self, values: Array) -> Array:
        # one component after the other: those that other series of a mixture need weigh 0 here and change no bit
        return np.cumsum(values * self.weights, axis=1)[:, -1]

    def _scale_like(self, units: ArrayLike) -> Array:
        scale = _divisor(self.unit_step)
        return scale[:, None] if np.ndim(units) == 2 else scale

    def _answers(self, question: Callable[["Demand", Array], Array], units: ArrayLike) -> Array:
        asked = np.asarray(units, dtype=np.float64)
        if asked.ndim < 2:
            return question(self, _column(asked, len(self)) / _divisor(self.unit_step))
        table = np.broadcast_to(asked, (len(self), asked.shape[1]))
        if table.size > _ASKED_AT_ONCE:
            return np.column_stack([self._answers(question, column) for column in table.T])
        repeated = self.take(np.repeat(np.arange(len(self)), table.shape[1]))
        return repeated._answers(question, table.ravel()).reshape(table.shape)

    def _piece(self, steps: Array) -> tuple[NDArray[np.intp], Array, Array, Array]:
        """Index of the piece at `steps` (n,), its start, width and low level, each (n, C)."""
        index = np.maximum((self.knots <= steps[:, None, None]).sum(axis=2) - 1, 0)
        start = _at(self.knots, index)
        end = _at(self.knots, np.minimum(index + 1, self.knots.shape[2] - 1))
        return index, start, end - start, _at(self.low, index)

    def _cdf_steps(self, steps: Array) -> Array:
        is_lattice = (self.unit_step > 0)[:, None]
        place = np.where(is_lattice[:, 0], np.floor(steps + _ON_LATTICE * np.maximum(1.0, np.abs(steps))), steps)
        index, start, width, low = self._piece(place)
        offset = np.maximum(place[:, None] - start, 0.0)
        is_tail = index == self.knots.shape[2] - 1
        rise = np.where(is_tail, 0.0, _at(self.high, index) - low)
        inside = low + rise * _curve(offset, np.where(width > 0, width, 1.0), self.shape, is_lattice=is_lattice)
        beyond = 1 - (1 - low) * _survival(offset, self.tail, is_lattice=is_lattice)
        value = self._mixed(np.where(is_tail, beyond, inside))
        return np.where(place < 0, 0.0, value)

    def _shortage_steps(self, steps: Array) -> Array:
        is_lattice = self.unit_step > 0
        place = np.where(is_lattice, np.floor(steps + _ON_LATTICE * np.maximum(1.0, np.abs(steps))), steps)
        place = np.maximum(place, 0.0)
        index, start, width, low = self._piece(place)
        offset = place[:, None] - start
        used = np.clip(offset / np.where(width > 0, width, 1.0), 0.0, 1.0)
        rise = _at(self.high, index) - low
        remaining = (width - offset) * (1 - low) - rise * width * self.shape * (1 - used ** (1 / self.shape))
        is_tail = index == self.knots.shape[2] - 1
        beyond = (1 - low) * self.tail * np.exp(-offset / np.where(self.tail > 0, self.tail, 1.0))
        at_place = self._mixed(np.where(is_tail, beyond, remaining + _at(self._area_after, index)))
        beside = steps - place
        if not (beside > 0).any():
            return np.maximum(at_place - beside, 0.0)  # below 0 every unit is missing
        slope = np.where(beside < 0, 1.0, 1 - self._cdf_steps(place))
        return np.maximum(at_place - slope * beside, 0.0)

    def _bracket(self, level: Array) -> tuple[Array, Array]:
        """Points in steps below which, and at which at the latest, the level is reached."""
        wanted = level[:, None, None]
        is_used = self.weights > 0
        ends = np.where(self.low >= wanted - _EQUAL, self.knots, np.inf).min(axis=2)
        left = np.maximum(1 - self.low[..., -1], 0.0)
        excess = self.tail * np.log(np.maximum(left / (1 - level)[:, None], 1.0))
        beyond = np.ceil(self.knots[..., -1] + excess) + 1
        reached = np.where(is_used, np.where(np.isfinite(ends), ends, beyond), 0.0).max(axis=1)
        is_lattice = self.unit_step > 0
        is_none = ~is_lattice & (self._cdf_steps(np.zeros(len(self))) >= level - _EQUAL)
        return np.where(is_lattice, -1.0, 0.0), np.where(is_none, 0.0, reached)


def _column(values: ArrayLike, rows: int) -> Array:
    return np.broadcast_to(np.asarray(values, dtype=np.float64), (rows,))


def _divisor(step: Array) -> Array:
    return np.where(step > 0, step, 1.0)


def _first_point(step: Array) -> Array:
    """Smallest positive demand in steps; a continuous product has none."""
    return np.where(step > 0, 1.0, 0.0)


def _steps(units: Array, step: Array) -> Array:
    """Units as steps of the lattice, rounded up; unchanged for continuous products."""
    counted = units / _divisor(step)[:, None]
    up = np.ceil(counted - _STEP_TOLERANCE * np.maximum(1.0, counted * 1e-3))
    return np.where(step[:, None] > 0, np.maximum(up, 0.0), counted)


def _check_quantiles(quantiles: Array, others: Array) -> None:
    if not np.isfinite(quantiles).all() or not np.isfinite(others).all():
        raise ValueError("a quantile, p_zero, mean_units or unit_step is missing or not finite")
    if (quantiles < 0).any() or (np.diff(quantiles, axis=1) < 0).any():
        raise ValueError("a quantile is negative or lower than the one before it")


def _knots_from_quantiles(steps: Array, levels: Array, *, zero: Array, first: Array) -> tuple[Array, Array]:
    """Knots and the level each starts at: where positive demand begins, the foot of the left tail, the quantiles.

    The left tail is as wide as an exponential one that continues the slope of the first two quantiles would be deep.
    """
    is_zero = levels <= zero[:, None] + _LEVEL_TOLERANCE
    places = np.where(is_zero, first[:, None], np.maximum(steps, first[:, None]))
    start = np.column_stack([zero, zero, np.where(is_zero, zero[:, None], levels)])
    mean_depth = (places[:, 1] - places[:, 0]) / np.log(levels[1] / levels[0])
    foot = places[:, 0] - 2 * mean_depth
    foot = np.clip(np.where(first > 0, np.round(foot), foot), first, places[:, 0])
    return np.column_stack([first, foot, places]), start


def _tail_from_quantiles(knots: Array, levels: Array, first: Array) -> Array:
    """Mean excess beyond the last quantile: the average slope of the last quantiles on an exponential scale."""
    near = slice(-5, -1)
    scale = np.log((1 - levels[near]) / (1 - levels[-1]))
    slopes = (knots[:, [-1]] - knots[:, near]) / scale
    floor = np.where(first > 0, 0.25, 1e-6 * np.maximum(knots[:, -1], 1e-6))
    return np.maximum(slopes.mean(axis=1), floor)


def _fit_mean(knots: Array, low: Array, high: Array, *, tail: Array, mean: Array) -> tuple[Array, Array]:
    """Shape and tail that give the mean: a plausible shape, then a plausible tail, then any that is possible."""
    width = np.diff(knots, axis=-1)
    most = (width * (1 - low[..., :-1])).sum(axis=-1)
    room = (width * (high - low)[..., :-1]).sum(axis=-1)
    left = 1 - low[..., -1]

    def shape_for(tail: Array, limits: tuple[float, float]) -> Array:
        wanted = (most + left * tail - mean) / np.where(room > 0, room, 1.0)
        return np.where(room > 0, np.clip(wanted, *limits), 0.5)

    def tail_for(shape: Array, least: ArrayLike, greatest: ArrayLike) -> Array:
        wanted = (mean - most + shape * room) / np.where(left > 0, left, 1.0)
        return np.where(left > 0, np.clip(wanted, least, greatest), 0.0)

    shape = shape_for(tail, _PREFERRED_SHAPE)
    fitted = tail_for(shape, tail / _TAIL_STRETCH, tail * _TAIL_STRETCH)
    shape = shape_for(fitted, _POSSIBLE_SHAPE)
    return shape, tail_for(shape, 0.0, np.inf)


def _padded(values: Array, pieces: int) -> Array:
    """The first piece repeated in front: pieces without width change nothing."""
    missing = pieces - values.shape[2]
    return np.concatenate([np.repeat(values[..., :1], missing, axis=2), values], axis=2)


def _at(values: Array, index: NDArray[np.intp]) -> Array:
    return np.take_along_axis(values, index[..., None], axis=2)[..., 0]


def _curve(offset: Array, width: Array, shape: Array, *, is_lattice: NDArray[np.bool_]) -> Array:
    """Height 0 … 1 inside a piece: on the lattice the mean over the cell, else the point."""
    power = 1 / shape
    begin = np.clip(offset / width, 0.0, 1.0)
    end = np.clip((offset + 1) / width, 0.0, 1.0)
    cell = width * shape * (end**power - begin**power)
    return np.where(is_lattice, cell, begin ** (power - 1))


def _survival(offset: Array, tail: Array, *, is_lattice: NDArray[np.bool_]) -> Array:
    """Share of the tail's probability above a point, `offset` beyond the last knot."""
    safe = np.where(tail > 0, tail, 1.0)
    cell = np.where(is_lattice, -np.expm1(-1 / safe) * safe, 1.0)
    return np.where(tail > 0, np.exp(-offset / safe) * cell, 0.0)
