"""Scores of forecasts, every one `score(actual, forecast, **context) -> float` over the cells that were observed.

Arrays share one shape, series in rows; NaN in `actual` is not scored. Choosing a model does not belong here.
"""

import numpy as np


def wape(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Sum of absolute errors over the sum of actual demand.

    >>> wape(np.array([[2.0, 4.0]]), np.array([[1.0, 5.0]]))
    0.3333333333333333
    """
    seen = ~np.isnan(actual)
    return _over(np.abs(forecast[seen] - actual[seen]).sum(), actual[seen].sum())


def bias(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Sum of forecast minus actual over the sum of actual demand.

    >>> bias(np.array([[2.0, 4.0]]), np.array([[3.0, 6.0]]))
    0.5
    """
    seen = ~np.isnan(actual)
    return _over((forecast[seen] - actual[seen]).sum(), actual[seen].sum())


def rmsse_scale(history: np.ndarray) -> np.ndarray:
    """Mean squared one-step difference from the first sale on, (n,), of history (n, T); NaN where undefined.

    The denominator of the M5 competition (Makridakis, Spiliotis & Assimakopoulos 2022, equation 1).
    """
    started = np.maximum.accumulate(np.nan_to_num(history) > 0, axis=1)
    steps = np.diff(np.where(started, history, np.nan), axis=1)
    seen = ~np.isnan(steps)
    squares = np.where(seen, steps, 0.0) ** 2
    count = seen.sum(axis=1)
    return np.divide(squares.sum(axis=1), count, out=np.full(len(history), np.nan), where=count > 0)


def rmsse(actual: np.ndarray, forecast: np.ndarray, *, scale: np.ndarray) -> float:
    """Mean over series of the root of mean squared error over `scale` (n,); series without a scale are left out."""
    return float(np.nanmean(series_rmsse(actual, forecast, scale=scale)))


def series_rmsse(actual: np.ndarray, forecast: np.ndarray, *, scale: np.ndarray) -> np.ndarray:
    """Root mean squared scaled error of each series, (n,); NaN without a scale or without an observed day."""
    seen = ~np.isnan(actual)
    squares = np.where(seen, np.nan_to_num(actual) - forecast, 0.0) ** 2
    count = seen.sum(axis=1)
    usable = (count > 0) & (np.nan_to_num(scale) > 0)
    mean = np.divide(squares.sum(axis=1), count, out=np.full(len(actual), np.nan), where=usable)
    return np.sqrt(np.divide(mean, scale, out=np.full(len(actual), np.nan), where=usable))


def pinball(actual: np.ndarray, quantiles: np.ndarray, *, levels: np.ndarray) -> float:
    """Mean quantile loss; `quantiles` has one more, last axis than `actual`: the probabilities `levels`."""
    seen = ~np.isnan(actual)
    gap = actual[seen][:, None] - quantiles[seen]
    return float(np.maximum(levels * gap, (levels - 1) * gap).mean()) if seen.any() else float("nan")


def scaled_pinball(actual: np.ndarray, quantiles: np.ndarray, *, levels: np.ndarray) -> float:
    """Pinball loss over the mean of the actual demand, so that segments of different size compare."""
    seen = ~np.isnan(actual)
    return _over(pinball(actual, quantiles, levels=levels), float(actual[seen].mean()) if seen.any() else 0.0)


def coverage(actual: np.ndarray, quantile: np.ndarray) -> tuple[float, float]:
    """Shares of actuals below, and not above, the quantile.

    Whole units make the two differ; a quantile of probability p is right when p lies between them.
    """
    seen = ~np.isnan(actual)
    if not seen.any():
        return float("nan"), float("nan")
    return float((actual[seen] < quantile[seen]).mean()), float((actual[seen] <= quantile[seen]).mean())


def _over(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else float("nan")
