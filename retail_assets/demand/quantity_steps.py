"""In which steps quantities come: whole units, halves, tenths of a kilogram, grams.

Arrays in, arrays out. What is counted in these steps belongs to the callers.
"""

import numpy as np
from numpy.typing import NDArray

from retail_assets.arrays import Array

STEPS = (1.0, 0.5, 0.25, 0.2, 0.1, 0.05, 0.01, 0.005, 0.001)
"""Steps that quantities are tried by, the widest first; the source's quantities have three decimals."""
_MOST_SHARE = 0.99
"""So many quantities must be whole steps; the rest are taken for wrong ones."""
_PRECISION = 1e-6


def unit_steps(given: Array, sold: Array, *, product: NDArray[np.integer], days: int) -> Array:
    """The step of each series' quantities on each day from the quantities of the `days` days up to it.

    A given step holds as long as the quantities sold are whole steps of it. Else the widest of `STEPS` does in which
    nearly all quantities of the product, over all its stores, are whole steps.

    Args:
        given: step by the source, (series,), NaN when not known.
        sold: units sold, (series, T), NaN when not known.
        product: number of each series' product, (series,), 0 … products − 1, each there at least once.
        days: days to look back, the day itself included.

    Returns:
        Steps, (series, T − days + 1): of the last days, each with a full look-back.

    >>> unit_steps(np.array([np.nan]), np.array([[1.2, 0.0, 3.5, 0.7]]), product=np.array([0]), days=3).tolist()
    [[0.1, 0.1]]
    """
    sold = np.where(np.isfinite(sold) & (sold > 0), sold, 0.0)
    count = int(product.max(initial=-1)) + 1
    own = np.nan_to_num(_first(given, product, count=count), nan=STEPS[0])
    sales = _in_window(sold > 0, product, days=days)
    steps = np.full(sales.shape, STEPS[-1])
    for step in reversed(STEPS):
        whole = _in_window((sold > 0) & _is_whole(sold, step), product, days=days)
        steps = np.where(whole >= _MOST_SHARE * sales, step, steps)
    whole = _in_window((sold > 0) & _is_whole(sold, own[product][:, None]), product, days=days)
    return np.where(whole >= _MOST_SHARE * sales, own[:, None], steps)[product]


def _first(given: Array, product: NDArray[np.integer], *, count: int) -> Array:
    """The given step of each product."""
    steps = np.full(count, np.nan)
    known = np.isfinite(given) & (given > 0)
    steps[product[known]] = given[known]
    return steps


def _is_whole(values: Array, step: Array | float) -> NDArray[np.bool_]:
    steps = values / step
    return np.abs(steps - np.round(steps)) * step < _PRECISION


def _in_window(flags: NDArray[np.bool_], product: NDArray[np.integer], *, days: int) -> NDArray[np.int64]:
    """How many of a product's flags are set in the `days` days up to each of the last days, (products, …)."""
    order = np.argsort(product, kind="stable")
    starts = np.flatnonzero(np.diff(product[order], prepend=-1))
    sums = np.add.reduceat(flags[order], starts, axis=0, dtype=np.int64)
    running = np.pad(np.cumsum(sums, axis=1), ((0, 0), (1, 0)))
    return running[:, days:] - running[:, :-days]
