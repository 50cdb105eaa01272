"""How good stored forecasts were, beside the seasonal naive that knew the same days.

Frames of the contracts in, rows of forecast/forecast_accuracy out. The choice between contenders is made elsewhere,
on backtests; here only what was published is judged.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Counts
from retail_assets.tables.contract import ALL
from retail_assets.tables.forecast import BUCKET_DAYS, FORECAST_ACCURACY, QUANTILE_LEVELS, horizon_bucket

NAIVE_DAYS = 35
"""Days of actuals before the oldest forecast, so that the naive can step over missing days."""
_COVERAGES = ("q500", "q900", "q950", "q975")
_LIMITED = ("full", "partial")


def score_forecasts(forecasts: pd.DataFrame, actuals: pd.DataFrame, *, segments: pd.DataFrame) -> pd.DataFrame:
    """Rows of forecast/forecast_accuracy for the target dates of `forecasts`.

    A day counts when it was open, its feed arrived and stock did not limit its sales; the others, and days that
    `actuals` lacks, are counted in `excluded_days`. A group of which nothing counts gives no row. The seasonal naive
    is the demand of the last same weekday up to `as_of_date`, an earlier one where that is missing, 0 where there is
    none in `actuals`. The mean squared errors of forecast and naive are taken over the same days (rmsse).

    Args:
        forecasts: rows of forecast/demand_forecast.
        actuals: business_date, store_id, product_id, sold_units, is_open, is_feed_missing, censoring,
            unconstrained_units; the target dates, and the horizon and `NAIVE_DAYS` before the first of them.
        segments: valid_from, store_id, product_id, abc_class; read as of `as_of_date`.

    Returns:
        A row for each target date, horizon bucket, segment (`all` and the ABC classes) and origin.
    """
    if forecasts.empty:
        return FORECAST_ACCURACY.schema.empty_table().to_pandas()
    panel = _Panel.of(actuals, forecasts)
    as_of, target = _days(forecasts["as_of_date"]), _days(forecasts["target_date"])
    actual, is_scored = panel.actual(target)
    naive = panel.naive(as_of, target)
    classes, names = _classes(segments, forecasts, as_of=as_of)
    groups = _Groups.of(forecasts, target=target, classes=classes, class_names=names)
    return groups.scores(forecasts, actual=actual, is_scored=is_scored, naive=naive)


@dataclass(frozen=True)
class _Panel:
    """Demand of each series and day, NaN where unknown, and which days may be scored; `row` places each forecast."""

    first_day: int
    demand: Array
    is_scored: NDArray[np.bool_]
    row: Counts

    @classmethod
    def of(cls, actuals: pd.DataFrame, forecasts: pd.DataFrame) -> "_Panel":
        known, row = _series_rows(actuals, forecasts)
        day = _days(actuals["business_date"])
        first = int(day.min()) if len(day) else 0
        shape = (int(max(known.max(initial=-1), row.max(initial=-1))) + 1, int(day.max(initial=first)) - first + 1)
        demand, is_scored = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        demand[known, day - first] = actuals["unconstrained_units"].to_numpy(dtype=np.float64, na_value=np.nan)
        is_scored[known, day - first] = _scored(actuals)
        return cls(first, demand, is_scored, row)

    def actual(self, target: Counts) -> tuple[Array, NDArray[np.bool_]]:
        column = target - self.first_day
        is_inside = (column >= 0) & (column < self.demand.shape[1])
        column = np.where(is_inside, column, 0)
        value = self.demand[self.row, column]
        return value, is_inside & self.is_scored[self.row, column] & ~np.isnan(value)

    def naive(self, as_of: Counts, target: Counts) -> Array:
        """Demand of the last same weekday known at `as_of`, stepping back over missing weeks."""
        column = target - 7 * np.maximum(-((as_of - target) // 7), 1) - self.first_day
        value = np.full(len(column), np.nan)
        open_rows = np.flatnonzero((column >= 0) & (column < self.demand.shape[1]))
        while len(open_rows):
            value[open_rows] = self.demand[self.row[open_rows], column[open_rows]]
            open_rows = open_rows[np.isnan(value[open_rows])]
            column[open_rows] -= 7
            open_rows = open_rows[column[open_rows] >= 0]
        return np.nan_to_num(value, nan=0.0)


@dataclass(frozen=True)
class _Groups:
    """Number of each forecast's group: target date × bucket × class × origin, the last class being none."""

    number: Counts
    dates: Counts
    bucket_count: int
    class_names: list[str]
    origins: list[str]

    @classmethod
    def of(cls, forecasts: pd.DataFrame, *, target: Counts, classes: Counts, class_names: list[str]) -> "_Groups":
        dates, date_number = np.unique(target, return_inverse=True)
        origin_number, origins = pd.factorize(forecasts["origin"], sort=True)
        bucket = (forecasts["horizon_days"].to_numpy(dtype=np.int64) - 1) // BUCKET_DAYS
        bucket_count = int(bucket.max()) + 1
        shape = (len(dates), bucket_count, len(class_names) + 1, len(origins))
        number = np.ravel_multi_index((date_number, bucket, classes, origin_number), shape)
        return cls(number, dates, bucket_count, class_names, [str(name) for name in origins])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.dates), self.bucket_count, len(self.class_names) + 1, len(self.origins)

    def scores(
        self, forecasts: pd.DataFrame, *, actual: Array, is_scored: NDArray[np.bool_], naive: Array
    ) -> pd.DataFrame:
        kept = np.flatnonzero(is_scored)
        number, truth = self.number[kept], actual[kept]
        error = forecasts["mean_units"].to_numpy(dtype=np.float64)[kept] - truth
        naive_error = naive[kept] - truth
        sums = {
            "series_days": self._sum(number, np.ones(len(kept))),
            "excluded_days": self._sum(self.number, (~is_scored).astype(np.float64)),
            "actual_units": self._sum(number, truth),
            "absolute_error_units": self._sum(number, np.abs(error)),
            "error_units": self._sum(number, error),
            "naive_absolute_error_units": self._sum(number, np.abs(naive_error)),
            "squared": self._sum(number, error**2),
            "naive_squared": self._sum(number, naive_error**2),
            **self._quantile_sums(forecasts, kept, truth),
        }
        return _finished(pd.DataFrame({name: values.ravel() for name, values in sums.items()}), self)

    def _quantile_sums(self, forecasts: pd.DataFrame, kept: Counts, truth: Array) -> dict[str, Array]:
        number = self.number[kept]
        pinball = np.zeros(len(kept))
        sums = {}
        for name, level in QUANTILE_LEVELS.items():
            over = forecasts[name].to_numpy(dtype=np.float64)[kept] - truth
            pinball += np.maximum((1 - level) * over, -level * over)
            if name in _COVERAGES:
                sums[f"coverage_{name}"] = self._sum(number, (over >= 0).astype(np.float64))
        return {"pinball": self._sum(number, pinball / len(QUANTILE_LEVELS)), **sums}

    def _sum(self, number: Counts, values: Array) -> Array:
        """(date, bucket, segment, origin); segment 0 is all, the others are the classes."""
        total = np.bincount(number, values, minlength=int(np.prod(self.shape))).reshape(self.shape)
        return np.concatenate([total.sum(axis=2, keepdims=True), total[:, :, :-1]], axis=2).astype(np.float64)

    def labels(self) -> pd.DataFrame:
        date, bucket, segment, origin = (place.ravel() for place in np.indices(self.shape))
        days = self.dates.astype("datetime64[D]").astype(object)
        return pd.DataFrame(
            {
                "target_date": days[date],
                "horizon_bucket": np.array([horizon_bucket(n) for n in range(self.bucket_count)], dtype=object)[bucket],
                "segment": np.array([ALL, *self.class_names], dtype=object)[segment],
                "origin": np.array(self.origins, dtype=object)[origin],
            }
        )


def _finished(sums: pd.DataFrame, groups: _Groups) -> pd.DataFrame:
    frame = pd.concat([groups.labels(), sums], axis=1)
    frame = frame.loc[frame["series_days"] > 0].reset_index(drop=True)
    for name in ("pinball", *(f"coverage_{quantile}" for quantile in _COVERAGES)):
        frame[name] /= frame["series_days"]
    frame["wape"] = _ratio(frame["absolute_error_units"], frame["actual_units"])
    frame["bias"] = _ratio(frame["error_units"], frame["actual_units"])
    frame["rmsse"] = np.sqrt(_ratio(frame["squared"], frame["naive_squared"]))
    frame["forecast_value_added"] = 1 - _ratio(frame["absolute_error_units"], frame["naive_absolute_error_units"])
    return frame.reindex(columns=FORECAST_ACCURACY.column_names).sort_values(
        list(FORECAST_ACCURACY.key), ignore_index=True
    )


def _ratio(part: Any, whole: Any) -> Any:
    return part / whole.where(whole > 0)


def _scored(actuals: pd.DataFrame) -> NDArray[np.bool_]:
    is_limited = actuals["censoring"].isin(_LIMITED).to_numpy()
    is_seen = actuals["sold_units"].notna().to_numpy() & ~actuals["is_feed_missing"].to_numpy(dtype=bool)
    return is_seen & ~is_limited & actuals["is_open"].to_numpy(dtype=bool)


def _classes(segments: pd.DataFrame, forecasts: pd.DataFrame, *, as_of: Counts) -> tuple[Counts, list[str]]:
    """Class number of each forecast as of its own date; the number after the last name where there is none."""
    segments = segments.loc[segments["abc_class"].notna()]
    code, names = pd.factorize(segments["abc_class"], sort=True)
    starts, column = np.unique(_days(segments["valid_from"]), return_inverse=True)
    known, row = _series_rows(segments, forecasts)
    table = np.full((int(max(known.max(initial=-1), row.max(initial=-1))) + 1, len(starts) + 1), -1)
    table[known, column + 1] = code
    for place in range(1, table.shape[1]):
        table[:, place] = np.where(table[:, place] < 0, table[:, place - 1], table[:, place])
    found = table[row, np.searchsorted(starts, as_of, side="right")]
    return np.where(found < 0, len(names), found), [str(name) for name in names]


def _series_rows(first: pd.DataFrame, second: pd.DataFrame) -> tuple[Counts, Counts]:
    """Number of each row's store and product, the same in both frames."""
    number = np.zeros(len(first) + len(second), dtype=np.int64)
    for column in ("store_id", "product_id"):
        code, values = pd.factorize(np.concatenate([first[column].to_numpy(object), second[column].to_numpy(object)]))
        number = number * max(len(values), 1) + code
    series = pd.factorize(number)[0]
    return series[: len(first)], series[len(first) :]


def _days(dates: Any) -> Counts:
    """Days since 1970; each distinct date is converted once."""
    code, values = pd.factorize(dates)
    return pd.to_datetime(values).to_numpy().astype("datetime64[D]").astype(np.int64)[code]
