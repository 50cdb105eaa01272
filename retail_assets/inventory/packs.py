"""Rounding to the packs that a supplier delivers."""

import numpy as np
from numpy.typing import ArrayLike

from retail_assets.arrays import Array

_SLACK = 1e-9
"""Packs that a rounding error exceeds by so little are not another one."""


def whole_packs(units: ArrayLike, pack_units: ArrayLike) -> Array:
    """The fewest whole packs that hold the units, in units.

    >>> whole_packs(np.array([1.0, 12.0, 13.0]), 12)
    array([12., 12., 24.])
    """
    units, pack_units = np.asarray(units, dtype=float), np.asarray(pack_units, dtype=float)
    return np.ceil(units / pack_units - _SLACK) * pack_units


def least_order(pack_units: ArrayLike, line_minimum_units: ArrayLike) -> Array:
    """One pack, or as many as hold the line minimum, in units.

    >>> least_order(6, np.array([0.0, 6.0, 7.0]))
    array([ 6.,  6., 12.])
    """
    return whole_packs(np.maximum(line_minimum_units, pack_units), pack_units)
