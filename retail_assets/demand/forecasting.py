"""The forecast of one day: means by the chosen contenders, distributions around them, rows for the lake.

What fails for a series falls back to the seasonal baseline and is counted. Nothing is searched or fitted here
except, without a model, the spread of the baseline's own past errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd

from retail_assets.demand.calibration.backtest import calibration_set, daily_buckets, fold_origins, rolling_origin
from retail_assets.demand.calibration.conformal import (
    CalibrationSet,
    Distribution,
    SeriesProfile,
    distribution,
    guessed,
)
from retail_assets.demand.calibration.cumulative import cumulative_distributions
from retail_assets.demand.models.baselines import seasonal_naive
from retail_assets.demand.models.contenders import Mapper, Means, contender_means
from retail_assets.demand.models.explanation import explain
from retail_assets.demand.panel import Panel
from retail_assets.demand.totals.aggregate import AggregateModel, hierarchy_rows
from retail_assets.demand.training import TrainedModel
from retail_assets.failures import PermanentFailure
from retail_assets.tables.forecast import FORECAST_DRIVERS, NAIVE, QUANTILE_LEVELS
from retail_assets.tables.gold import DEMAND_CLASSES

_LEVELS = tuple(QUANTILE_LEVELS.values())
_ERROR_DAYS = 63


@dataclass(frozen=True, eq=False)
class Forecast:
    """Frames in the columns of the forecast tables of the same names, without `origin`.

    `drivers` is empty without a model. `fallback_count` series were made by the seasonal baseline because
    the model failed for them; `failures` says why.
    """

    daily: pd.DataFrame
    cumulative: pd.DataFrame
    hierarchy: pd.DataFrame
    drivers: pd.DataFrame
    fallback_count: int
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Expected:
    """Means (n, H) with the name of the contender that made each series' (n,), and how demand spreads around them."""

    mean: np.ndarray
    name: np.ndarray
    profile: SeriesProfile
    calibration: CalibrationSet
    version: str


def forecast(panel: Panel, model: TrainedModel | None, *, horizons: Sequence[int], in_parts: Mapper = map) -> Forecast:
    """Demand of every coming day of every series, and of the totals over each of `horizons` days.

    Without a model, or where it fails, the seasonal naive serves. `in_parts` as in `contender_means`.
    """
    naive, profile = seasonal_naive(panel), SeriesProfile.of(panel)
    if model is None:
        name, found = np.full(panel.series_count, NAIVE, dtype=object), naive_calibration(panel)
        made = _Expected(naive, name, profile=profile, calibration=found, version=NAIVE)
        return _result(panel, made, horizons=horizons, aggregate=None)
    wanted = sorted({part for parts in model.parts.values() for part in parts})
    means = contender_means(panel, wanted, fitted=model.fitted, aggregate=model.aggregate, in_parts=in_parts)
    mean, name, failed = _chosen_means(means, model, segment=profile.segment, naive=naive)
    made = _Expected(mean, name, profile=profile, calibration=model.calibration, version=model.version)
    result = _result(panel, made, horizons=horizons, aggregate=model.aggregate)
    drivers = _drivers(panel, mean, model, means=means)
    return replace(result, drivers=drivers, fallback_count=int(failed.sum()), failures=tuple(means.failures))


def _drivers(panel: Panel, mean: np.ndarray, model: TrainedModel, *, means: Means) -> pd.DataFrame:
    """Why the forecast is what it is; a missing reason stops no forecast."""
    try:
        explained = explain(model.global_model, panel, effects=means.effects, published=mean)
    except Exception as error:
        means.note(f"the drivers of the forecast could not be computed: {error}")
        return _no_drivers()
    return explained.assign(model_version=model.version)


def _no_drivers() -> pd.DataFrame:
    return FORECAST_DRIVERS.schema.empty_table().to_pandas().drop(columns="origin")


def _chosen_means(
    means: Means, model: TrainedModel, *, segment: np.ndarray, naive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and contender's name of each series, and which fell back."""
    mean, name = naive.copy(), np.full(len(segment), NAIVE, dtype=object)
    failed = np.zeros(len(segment), dtype=bool)
    for kind in DEMAND_CLASSES:
        parts = model.parts[kind]
        has_failed = np.stack([means.has_failed[part] for part in parts]).max(axis=0)
        sound = np.flatnonzero(np.equal(segment, kind) & ~has_failed)
        plain = np.mean([means.by_name[part][sound] for part in parts], axis=0)
        mean[sound] = plain * model.factors.get(kind, 1.0)
        name[sound] = model.chosen[kind]
        failed |= np.equal(segment, kind) & has_failed
    return np.maximum(mean, 0.0), name, failed


def naive_calibration(panel: Panel) -> CalibrationSet:
    """Spread of the seasonal naive around what came, in the panel's last nine weeks."""
    origins = fold_origins(panel.day_count, window=_ERROR_DAYS) if panel.day_count >= 14 else []
    if not origins:
        return guessed(panel.horizon)
    folds = rolling_origin(panel, {NAIVE: seasonal_naive}, origins=origins)
    return calibration_set(folds, NAIVE, horizon=panel.horizon)


def _series_columns(panel: Panel, repeat: int) -> dict[str, object]:
    ids = {name: np.repeat(panel.series[name].to_numpy(), repeat) for name in ("store_id", "product_id")}
    return {"as_of_date": panel.as_of, **ids}


def _distribution_columns(mean: np.ndarray, found: Distribution) -> dict[str, np.ndarray]:
    quantiles = found.quantiles.astype(np.float32)
    columns = {name: quantiles[:, number] for number, name in enumerate(QUANTILE_LEVELS)}
    return {"mean_units": mean, "p_zero": found.p_zero.astype(np.float32), **columns}


def _daily_frame(panel: Panel, made: _Expected) -> pd.DataFrame:
    count, horizon = made.mean.shape
    found = _daily_distribution(made.mean, made.profile, made.calibration)
    dates = np.array([panel.as_of + timedelta(days=day) for day in range(1, horizon + 1)], dtype=object)
    return pd.DataFrame(
        {
            **_series_columns(panel, horizon),
            "target_date": np.tile(dates, count),
            "horizon_days": np.tile(np.arange(1, horizon + 1, dtype=np.int32), count),
            "model_name": np.repeat(made.name, horizon),
            **_distribution_columns(made.mean.ravel(), found),
        }
    )


def _daily_distribution(mean: np.ndarray, profile: SeriesProfile, calibration: CalibrationSet) -> Distribution:
    count, horizon = mean.shape
    quantiles, p_zero = np.empty((count, horizon, len(_LEVELS))), np.empty((count, horizon))
    for days in daily_buckets(horizon):
        part, spread = mean[:, days].ravel(), profile.for_days(days.stop - days.start)
        found = distribution(part, spread, calibration=calibration.of_day(days.stop), levels=_LEVELS)
        quantiles[:, days] = found.quantiles.reshape(count, days.stop - days.start, -1)
        p_zero[:, days] = found.p_zero.reshape(count, -1)
    return Distribution(quantiles.reshape(count * horizon, -1), p_zero.ravel())


def _total_frame(panel: Panel, made: _Expected, *, horizons: Sequence[int]) -> pd.DataFrame:
    """Totals over each of `horizons` days; one of a series that ends before them is as uncertain as its own days."""
    unknown = [days for days in horizons if not 1 <= days <= panel.horizon]
    if unknown:
        raise PermanentFailure(
            f"A total over {unknown[0]} days was asked for, but the forecast reaches {panel.horizon} days ahead; "
            "raise RETAIL_HORIZON_DAYS or shorten the protection period."
        )
    reach = np.clip(_last_open_day(panel), 1, panel.horizon)
    found = cumulative_distributions(
        made.mean, made.profile, calibration=made.calibration, reach=reach, horizons=horizons, levels=_LEVELS
    )
    total = made.mean.cumsum(axis=1)
    series = _series_columns(panel, 1)
    parts = [
        pd.DataFrame(
            {
                **series,
                "horizon_days": np.full(len(total), days, dtype=np.int32),
                **_distribution_columns(total[:, days - 1], found[days]),
            }
        )
        for days in horizons
    ]
    return pd.concat(parts, ignore_index=True)


def _last_open_day(panel: Panel) -> np.ndarray:
    """(n,) number of the last coming day on which each series sells, 1 … H; 0 for no day."""
    numbers = np.arange(1, panel.horizon + 1)
    return np.where(panel.future_is_open, numbers, 0).max(axis=1, initial=0)


def _result(panel: Panel, made: _Expected, *, horizons: Sequence[int], aggregate: AggregateModel | None) -> Forecast:
    daily = _daily_frame(panel, made)
    cumulative = _total_frame(panel, made, horizons=sorted(set(horizons)))
    for frame in (daily, cumulative):
        frame["model_version"] = made.version
    hierarchy = hierarchy_rows(panel, made.mean, aggregate, version=made.version)
    return Forecast(daily, cumulative, hierarchy, _no_drivers(), 0)
