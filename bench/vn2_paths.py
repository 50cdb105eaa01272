"""Sample paths of weekly demand around a forecast: how far past forecasts were off, and how much of that lasted.

Demand is Poisson around the mean times two gamma factors of mean 1, one for all weeks of a path and one a week: a
negative binomial each week, with weeks that share the error of the level.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bench.vn2_data import WeeklySales
from bench.vn2_seasonal import faded_average
from retail_assets.arrays import Array

_ORIGINS, _STEP, _AHEAD = 20, 2, 3
_BANDS = (0.2, 0.4, 0.6, 0.8, 0.95)
_POOLED_WEEKS = 18.0
"""Weeks that the errors of a series' band of sales weigh beside its own."""
_LEAST, _MOST = 0.02, 3.0
_MOST_LASTING = 0.8


@dataclass(frozen=True)
class Dispersion:
    """Of n series, (n,) each: the variance of a week is mean + `weekly` mean², and `lasting` of two weeks together.

    `weekly` is the squared coefficient of variation beyond Poisson, `lasting` the part of it that weeks share.
    """

    weekly: Array
    lasting: Array

    @classmethod
    def of(cls, sales: WeeklySales) -> Self:
        """By moments of the faded average's errors from 20 origins of the last 41 weeks, pooled by level of sales.

        Raises:
            ValueError: there are no weeks before the first of these origins.
        """
        if sales.week_count <= _ORIGINS * _STEP + _AHEAD:
            raise ValueError(f"errors need more than {_ORIGINS * _STEP + _AHEAD} weeks, not {sales.week_count}")
        forecast, actual = _walk(sales)
        known = np.isfinite(actual)
        error = np.where(known, actual - forecast, 0.0)
        excess = (error**2 - np.where(known, forecast, 0.0)).sum(axis=(0, 2))
        square = np.where(known, forecast**2, 0.0).sum(axis=(0, 2))
        level = forecast.mean(axis=(0, 2))
        band = np.digitize(level, np.quantile(level, _BANDS))
        pooled = np.maximum(_ratio(excess, square, band), _LEAST)
        together = _ratio(
            (error[..., 0] * error[..., -1]).sum(axis=0), (forecast[..., 0] * forecast[..., -1]).sum(axis=0), band
        )
        week = square / np.maximum(known.sum(axis=(0, 2)), 1) + 1e-6
        weekly = (excess + _POOLED_WEEKS * pooled[band] * week) / (square + _POOLED_WEEKS * week)
        weekly = np.clip(weekly, _LEAST, _MOST)
        return cls(weekly, weekly * np.clip(together / pooled, 0.0, _MOST_LASTING)[band])

    def paths(self, means: Array, count: int, rng: np.random.Generator) -> Array:
        """(count, n, weeks) whole units around the means (n, weeks)."""
        lasting = np.maximum(self.lasting, 1e-3)[:, None]
        alone = np.maximum((self.weekly[:, None] - lasting) / (1 + lasting), 1e-3)
        shared = rng.gamma(1 / lasting, lasting, size=(count, len(means), 1))
        weekly = rng.gamma(1 / alone, alone, size=(count, *means.shape))
        return rng.poisson(means * shared * weekly).astype(np.float64)


def _walk(sales: WeeklySales) -> tuple[Array, Array]:
    """Forecasts and demand, (origins, n, 3), of past origins; NaN where a week was not in stock."""
    origins = range(sales.week_count - _AHEAD, sales.week_count - _AHEAD - _ORIGINS * _STEP, -_STEP)
    forecast = np.stack([faded_average(sales.before(origin), _AHEAD) for origin in origins])
    actual = np.stack([sales.in_stock_units[:, origin : origin + _AHEAD] for origin in origins])
    return forecast, actual


def _ratio(top: Array, bottom: Array, band: np.ndarray) -> Array:
    """(bands,) sum over sum."""
    size = len(_BANDS) + 1
    over, under = (np.bincount(band, weights=values, minlength=size) for values in (top, bottom))
    return over / np.maximum(under, 1e-9)
