"""Coverage of whole quantities by quantiles that are not rounded yet."""

import numpy as np


def covered(actual: np.ndarray, quantile: np.ndarray, p_zero: np.ndarray, *, level: float) -> np.ndarray:
    """How much of each whole quantity lies within a quantile that is not rounded, (m,), 0 … 1; NaN where unknown.

    Whole units are spread evenly over the unit below them, nothing over what p_zero holds: then `level` of a right
    forecast is covered, exactly, where a rounded quantile covers more. The mean of it is the share of randomised
    probability integral transforms up to `level` (Czado, Gneiting & Held 2009), without the chance in them.

    Args:
        actual: whole units, (m,); NaN where unknown.
        quantile: of probability `level`, not rounded, (m,); 0 where `level` is not above p_zero.
        p_zero: probability of no demand, (m,).
        level: probability.

    >>> covered(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 1.25), np.full(4, 0.4), level=0.75)
    array([1.  , 1.  , 0.25, 0.  ])
    >>> covered(np.array([0.0, 1.0]), np.zeros(2), np.full(2, 0.8), level=0.6)
    array([0.75, 0.  ])
    """
    up_to = np.ceil(quantile)
    tied = np.where(quantile > 0, quantile - up_to + 1, level / np.maximum(p_zero, level))
    found = np.where(actual < up_to, 1.0, np.where(actual > up_to, 0.0, tied))
    return np.where(np.isnan(actual), np.nan, found)
