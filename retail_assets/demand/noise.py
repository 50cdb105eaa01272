"""How far two losses may lie apart by chance: standard errors of weekly figures whose neighbours share days.

Weeks are the unit, because a week's weather or holiday moves all series at once. What is made of a difference belongs
in `tournament` and `promotion`.
"""

from dataclasses import dataclass

import numpy as np

LEAST_WEEKS = 4
"""Fewer say nothing about noise: the standard error is infinite."""


@dataclass(frozen=True, eq=False)
class Weekly:
    """Of each weekly origin, (m,): what a forecast lost, and the demand it was of, both in units."""

    loss: np.ndarray
    units: np.ndarray

    @property
    def scaled(self) -> float:
        """Loss over demand, all origins together."""
        return _ratio(self.loss, self.units)


def standard_error(values: np.ndarray, *, lag: int) -> float:
    """Of the mean of weekly values (m,) that share days with up to `lag` weeks before them.

    The long-run variance of Newey & West (1987) with Bartlett weights, never less than that of independent weeks:
    a few weeks are no proof that errors cancel.

    >>> round(standard_error(np.array([1.0, -1.0, 1.0, -1.0]), lag=1), 4)
    0.5774
    >>> round(standard_error(np.array([1.0, 1.0, -1.0, -1.0]), lag=1), 4)
    0.6455
    """
    count = len(values)
    if count < LEAST_WEEKS:
        return float("inf")
    off = values - values.mean()
    own = float(off @ off)
    shared = sum((1 - step / (lag + 1)) * float(off[step:] @ off[:-step]) for step in range(1, min(lag, count - 1) + 1))
    return float(np.sqrt(max(own + 2 * shared, own) / (count * (count - 1))))


def ratio_error(top: np.ndarray, bottom: np.ndarray, *, lag: int) -> float:
    """Standard error of sum(top) / sum(bottom) over weeks (m,), by its linear expansion (Cochran 1977, 6.5)."""
    return standard_error(_deviation(top, bottom), lag=lag)


def gap(one: Weekly, other: Weekly, *, lag: int) -> tuple[float, float]:
    """How much more `one` loses than `other` on the same weeks, over demand, and the standard error of that.

    >>> weeks = np.full(4, 10.0)
    >>> found = gap(Weekly(np.array([3.0, 2.0, 3.0, 2.0]), weeks), Weekly(np.full(4, 2.0), weeks), lag=0)
    >>> [round(value, 4) for value in found]
    [0.05, 0.0289]
    """
    off = _deviation(one.loss, one.units) - _deviation(other.loss, other.units)
    return one.scaled - other.scaled, standard_error(off, lag=lag)


def _deviation(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """What each week adds to the ratio of the sums, (m,), over the mean week."""
    mean = float(bottom.mean()) if len(bottom) else 0.0
    return (top - _ratio(top, bottom) * bottom) / mean if mean > 0 else np.zeros(len(top))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> float:
    units = float(bottom.sum())
    return float(top.sum()) / units if units > 0 else float("nan")
