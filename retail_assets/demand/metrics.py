"""Scores of forecasts, every one `score(actual, forecast, **context) -> float` over the cells that were observed.

Arrays share one shape, series in rows; NaN in `actual` is not scored. Choosing a model does not belong here.
"""

import numpy as np
import pandas as pd

from retail_assets.demand.scores.competition_levels import LEVELS, aggregated

RECENT_DAYS = 28


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

    >>> rmsse_scale(np.array([[0.0, 0.0, 3.0, 5.0, 4.0]]))
    array([2.5])
    """
    return _row_mean(_steps(history, 1) ** 2)


def step_scale(history: np.ndarray) -> np.ndarray:
    """Mean absolute one-step difference from the first sale on, (n,): the denominator of M5's quantile losses.

    >>> step_scale(np.array([[0.0, 0.0, 3.0, 5.0, 4.0]]))
    array([1.5])
    """
    return _row_mean(np.abs(_steps(history, 1)))


def mase_scale(history: np.ndarray, *, season: int = 7) -> np.ndarray:
    """Mean absolute difference to `season` days before, from the first sale on, (n,): what a naive forecast errs.

    >>> mase_scale(np.array([[0.0, 1.0, 2.0, 4.0, 3.0]]), season=2)
    array([2.])
    """
    return _row_mean(np.abs(_steps(history, season)))


def _steps(history: np.ndarray, days: int) -> np.ndarray:
    started = np.maximum.accumulate(np.nan_to_num(history) > 0, axis=1)
    known = np.where(started, history, np.nan)
    return known[:, days:] - known[:, :-days]


def _row_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the known values of each row, (n,); NaN without one."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    return np.divide(np.where(seen, values, 0.0).sum(axis=1), count, out=np.full(len(values), np.nan), where=count > 0)


def rmsse(actual: np.ndarray, forecast: np.ndarray, *, scale: np.ndarray) -> float:
    """Mean over series of the root of mean squared error over `scale` (n,); series without a scale are left out."""
    return float(np.nanmean(series_rmsse(actual, forecast, scale=scale)))


def series_rmsse(actual: np.ndarray, forecast: np.ndarray, *, scale: np.ndarray) -> np.ndarray:
    """Root mean squared scaled error of each series, (n,); NaN without a scale or without an observed day."""
    return np.sqrt(_scaled(_row_mean((actual - forecast) ** 2), scale))


def mase(actual: np.ndarray, forecast: np.ndarray, *, scale: np.ndarray) -> float:
    """Mean over series of mean absolute error over `scale` (n,), of `mase_scale` (Hyndman & Koehler 2006).

    >>> mase(np.array([[2.0, 4.0]]), np.array([[3.0, 6.0]]), scale=np.array([3.0]))
    0.5
    """
    return float(np.nanmean(series_mase(actual, forecast, scale=scale)))


def series_mase(actual: np.ndarray, forecast: np.ndarray, *, scale: np.ndarray) -> np.ndarray:
    """Mean absolute scaled error of each series, (n,); NaN without a scale or without an observed day."""
    return _scaled(_row_mean(np.abs(actual - forecast)), scale)


def _scaled(error: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.divide(error, scale, out=np.full(len(error), np.nan), where=np.nan_to_num(scale) > 0)


def recent_value(history: np.ndarray, *, price: np.ndarray) -> np.ndarray:
    """Money each series sold in the last 28 days of history (n, T) at prices (n, T), (n,): the weights of M5."""
    return np.nansum(history[:, -RECENT_DAYS:] * price[:, -RECENT_DAYS:], axis=1)


def wrmsse(
    actual: np.ndarray, forecast: np.ndarray, *, series: pd.DataFrame, history: np.ndarray, value: np.ndarray
) -> float:
    """RMSSE of the sums at the twelve levels of M5, weighted by money sold and with levels alike.

    (Makridakis, Spiliotis & Assimakopoulos 2022, equation 2.) `history` (n, T) gives the scales, `value` (n,) is
    `recent_value` and `series` has the columns of `competition_levels.LEVELS`. Sums are compared over observed cells;
    sums that never moved have no scale and are left out.

    >>> one = pd.DataFrame([["N", "S", "food", "D", "P"]])
    >>> one.columns = ["region", "store_id", "category", "department", "product_id"]
    >>> actual, forecast, history = np.array([[2.0]]), np.array([[5.0]]), np.array([[0.0, 1.0, 3.0]])
    >>> wrmsse(actual, forecast, series=one, history=history, value=np.array([9.0]))
    1.5
    """
    forecast = np.where(np.isnan(actual), np.nan, forecast)
    scale = rmsse_scale(aggregated(history, series=series))
    errors = series_rmsse(aggregated(actual, series=series), aggregated(forecast, series=series), scale=scale)
    return _weighted(errors, aggregated(value, series=series))


def wspl(
    actual: np.ndarray,
    quantiles: np.ndarray,
    *,
    levels: np.ndarray,
    series: pd.DataFrame,
    history: np.ndarray,
    value: np.ndarray,
) -> float:
    """Pinball loss of the sums at the twelve levels of M5 over `step_scale`, weighted as in `wrmsse`.

    (Makridakis et al. 2022, The M5 uncertainty competition, equations 1 and 2.) Quantiles of a sum are no sums of
    quantiles: `quantiles` (N, H, levels) has one row for each of `competition_levels.groups`.
    """
    scale = step_scale(aggregated(history, series=series))
    gap = aggregated(actual, series=series)[:, :, None] - quantiles
    loss = _row_mean(np.maximum(levels * gap, (levels - 1) * gap).mean(axis=2))
    return _weighted(_scaled(loss, scale), aggregated(value, series=series))


def _weighted(errors: np.ndarray, value: np.ndarray) -> float:
    """Every level holds the whole value once, so the levels weigh alike."""
    return _over(float(np.nansum(errors * value)), float(value[0] * len(LEVELS)))


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


def discrete_coverage(actual: np.ndarray, quantile: np.ndarray, *, level: float) -> float:
    """How far the quantile of probability `level` is off, as a probability; more than 0 when it is too high.

    It is right, 0, when P(actual < quantile) ≤ level ≤ P(actual ≤ quantile), else the distance to the nearer one.

    >>> actual = np.array([[0.0, 0.0, 1.0, 3.0]])
    >>> [discrete_coverage(actual, np.full((1, 4), units), level=0.75) for units in (0.0, 1.0)]
    [-0.25, 0.0]
    >>> discrete_coverage(actual, np.full((1, 4), 2.0), level=0.5)
    0.25
    """
    below, up_to = coverage(actual, quantile)
    return max(below - level, 0.0) + min(up_to - level, 0.0)


def _over(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else float("nan")
