"""Quantiles of a day's and of several days' total demand, from how far past forecasts of the same kind were off.

An error is measured in units of `scale(mean)` = √(dispersion · mean) and pooled by segment and size of the
forecast; quantiles of a sum come from errors of sums, never from adding daily quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from retail_assets.demand.models.baselines import borrowed_level, group_codes
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import grouped_median, quantiles, say_of_errors
from retail_assets.demand.segments import demand_class
from retail_assets.tables.forecast import BUCKET_DAYS, QUANTILE_LEVELS

CALIBRATION_FILE = "calibration.parquet"
SIZE_EDGES = (0.3, 1.0, 3.0, 10.0, 30.0)
DAILY_BUCKETS = tuple(BUCKET_DAYS * weeks for weeks in (1, 2, 3))
GRID = np.unique(np.round([*np.arange(0.01, 1.0, 0.02), *QUANTILE_LEVELS.values()], 3))
_MIN_ERRORS = 200
_TAIL_ERRORS = 10
_FEW_SERIES = 20
"""Errors of so many series count half, beside those of a wider pool."""
_OFFSETS = (1 / 6, 1 / 2, 5 / 6)
_DISPERSION_DAYS = 112
_PRIOR_DAYS = 28.0
_LEAST_MEAN = 0.02
_STEEPEST = 1e6


def dispersion(panel: Panel) -> np.ndarray:
    """Variance over mean of daily demand in the last 112 days, (n,), shrunk to the department's; always > 0.

    The department's is the weighted median of its series': sums would belong to whoever sells or swings most.
    """
    history = panel.demand[:, -_DISPERSION_DAYS:]
    seen = ~np.isnan(history)
    count = seen.sum(axis=1)
    mean = np.nansum(history, axis=1) / np.maximum(count, 1)
    squares = np.nansum(np.where(seen, history - mean[:, None], 0.0) ** 2, axis=1)
    expected = np.maximum(np.where(count > 0, mean, borrowed_level(panel)), _LEAST_MEAN)
    code = group_codes(panel.series, ["department"])
    own = squares / np.maximum((count - 1) * expected, _LEAST_MEAN)
    known = np.minimum(count - 1, count * mean).clip(min=0)
    pooled = np.maximum(grouped_median(own, known, code, usual=1.0), _LEAST_MEAN)[code]
    return np.maximum((squares + _PRIOR_DAYS * pooled * expected) / ((count + _PRIOR_DAYS) * expected), 1e-3)


def is_integer_like(panel: Panel) -> np.ndarray:
    """Series whose observed, uncensored demand comes in whole units, (n,)."""
    known = np.where(panel.is_censored, np.nan, panel.units)
    return (np.isnan(known) | (known == np.round(known))).all(axis=1)


@dataclass(frozen=True, eq=False)
class SeriesProfile:
    """What decides how wide a series' errors are pooled and drawn, (n,) each, as of one day.

    `series` numbers the series, so that none has the say in a pool; without it every row is a series of its own.
    """

    segment: np.ndarray
    dispersion: np.ndarray
    is_whole: np.ndarray
    series: np.ndarray | None = None

    @classmethod
    def of(cls, panel: Panel) -> "SeriesProfile":
        number = np.arange(panel.series_count)
        return cls(demand_class(panel), dispersion(panel), is_integer_like(panel), number)

    def take(self, rows: np.ndarray) -> "SeriesProfile":
        series = None if self.series is None else self.series[rows]
        return SeriesProfile(self.segment[rows], self.dispersion[rows], self.is_whole[rows], series)

    def for_days(self, days: int) -> "SeriesProfile":
        """Each series `days` times: the order of a raveled (n, days) array."""
        return self.take(np.repeat(np.arange(len(self.segment)), days))


@dataclass(frozen=True, eq=False)
class Errors:
    """Past forecasts of one kind and what came: flat arrays of the same length."""

    mean: np.ndarray
    actual: np.ndarray
    profile: SeriesProfile

    def where(self, kept: np.ndarray) -> "Errors":
        return Errors(self.mean[kept], self.actual[kept], self.profile.take(kept))

    @property
    def scaled(self) -> np.ndarray:
        """Errors in units of scale, (m, 3): whole units are spread evenly below themselves.

        Then the distribution function read at a whole unit is right, and a quantile rounded up to the next
        whole unit is exact; errors of the bare values rounded up would hold too much.
        """
        offset = np.where(self.profile.is_whole[:, None], np.array(_OFFSETS)[None, :], 0.0)
        width = scale(self.mean, self.profile.dispersion)[:, None]
        return (self.actual[:, None] - offset - self.mean[:, None]) / width


def scale(mean: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    return np.sqrt(dispersion * np.maximum(mean, _LEAST_MEAN))


def size_bin(mean: np.ndarray) -> np.ndarray:
    return np.searchsorted(SIZE_EDGES, mean)


@dataclass(frozen=True)
class Calibration:
    """Quantiles of scaled errors, (segments, size bins, len(GRID)), for one kind: a bucket of days or one sum."""

    segments: tuple[str, ...]
    table: np.ndarray

    def errors_of(self, mean: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """Quantiles of the scaled error on GRID for each forecast, (..., len(GRID))."""
        number = np.full(segment.shape, len(self.segments))
        for known, name in enumerate(self.segments):
            number[segment == name] = known
        return self.table[number, size_bin(mean)]


def calibrate(errors: Errors) -> Calibration:
    """Pools by segment and size; thin cells lean on the size's errors of all segments, those on everything's.

    A cell stands on its own errors the more, the more series they come from, so that no series has the say in it.
    """
    kept = np.isfinite(errors.actual) & np.isfinite(errors.mean)
    pool = _Pool.of(errors.where(kept))
    segment, size = pool.errors.profile.segment, size_bin(pool.errors.mean)
    segments = tuple(sorted(set(segment.tolist())))
    every = pool.drawn_out() if len(segment) >= _MIN_ERRORS else ndtri(GRID)
    table = np.empty((len(segments) + 1, len(SIZE_EDGES) + 1, len(GRID)))
    for number in range(len(SIZE_EDGES) + 1):
        of_size = pool.where(size == number)
        table[-1, number] = of_size.leaning_on(every)
        for row, name in enumerate(segments):
            of_cell = of_size.where(of_size.errors.profile.segment == name)
            table[row, number] = of_cell.leaning_on(table[-1, number])
    return Calibration(segments, table)


@dataclass(frozen=True, eq=False)
class _Pool:
    """Errors and their scaled values (m, 3), and what each of them counts, (m,)."""

    errors: Errors
    scaled: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, errors: Errors) -> "_Pool":
        scaled, series = errors.scaled, errors.profile.series
        weight = np.ones(len(scaled)) if series is None else say_of_errors(scaled[:, 1], series)
        return cls(errors, scaled, weight)

    def where(self, kept: np.ndarray) -> "_Pool":
        return _Pool(self.errors.where(kept), self.scaled[kept], self.weight[kept])

    def quantiles(self) -> np.ndarray:
        return quantiles(self.scaled.ravel(), np.repeat(self.weight, len(_OFFSETS)), GRID)

    def drawn_out(self) -> np.ndarray:
        """Quantiles; above the last level that ten errors exceed, the normal law goes on from there and the median.

        Two products that came back from silence would else be the 0.99 of every product of a short history.
        """
        found, normal = self.quantiles(), ndtri(GRID)
        sure = np.flatnonzero((1 - GRID) * len(self.weight) >= _TAIL_ERRORS)[-1]
        middle = np.searchsorted(GRID, 0.5)
        slope = (found[sure] - found[middle]) / (normal[sure] - normal[middle])
        return np.where(GRID[sure] < GRID, found[sure] + slope * (normal - normal[sure]), found)

    @property
    def series_count(self) -> int:
        series = self.errors.profile.series
        return len(self.weight) if series is None else len(np.unique(series))

    def leaning_on(self, wider: np.ndarray) -> np.ndarray:
        """The pool's quantiles, and those of a wider one as far as this one is of few errors or few series."""
        of_errors = np.clip(len(self.weight) / _MIN_ERRORS - 1, 0.0, 1.0)
        of_series = self.series_count**2 / (self.series_count**2 + _FEW_SERIES**2)
        own = of_errors * of_series
        return own * self.quantiles() + (1 - own) * wider if own > 0 else wider


@dataclass(frozen=True)
class Distribution:
    """Quantiles at the asked levels, (..., levels), and the probability of no demand, (...)."""

    quantiles: np.ndarray
    p_zero: np.ndarray


def distribution(
    mean: np.ndarray,
    profile: SeriesProfile,
    *,
    calibration: Calibration,
    levels: Sequence[float] | np.ndarray,
    days: int = 1,
) -> Distribution:
    """What may come around `mean` (m,) of `days` days: monotone, never negative; a mean of 0 means certainly nothing.

    Where demand comes in whole units a quantile is the least whole quantity that holds the probability. No quantile
    exceeds what the mean allows by Markov's inequality, P(D >= x) <= mean / x: pooled errors of products that came
    back from silence would else promise hundreds of units of one that hardly sells.
    """
    steps = calibration.errors_of(mean, profile.segment)
    width = scale(mean, profile.dispersion)
    nothing = mean <= 0
    at = np.interp(np.asarray(levels), GRID, np.arange(len(GRID)))
    low, part = np.floor(at).astype(int), at - np.floor(at)
    high = np.minimum(low + 1, len(GRID) - 1)
    chosen = steps[..., low] * (1 - part) + steps[..., high] * part
    quantiles = np.maximum(mean[..., None] + width[..., None] * chosen, 0.0)
    quantiles = np.where(nothing[..., None], 0.0, np.maximum.accumulate(quantiles, axis=-1))
    most = np.maximum(mean, _LEAST_MEAN * days)[..., None] / (1 - np.asarray(levels))
    whole = np.minimum(np.ceil(quantiles), np.floor(most + 1e-9))
    quantiles = np.where(profile.is_whole[..., None], whole, np.minimum(quantiles, most))
    p_zero = np.where(nothing, 1.0, _probability_below(steps, -mean / width))
    return Distribution(quantiles, p_zero)


def _probability_below(steps: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The distribution function of the scaled error at `point`, linear between GRID and on to 0 below it, 1 above."""
    below = (steps <= point[..., None]).sum(axis=-1)
    low, high = np.clip(below - 1, 0, len(GRID) - 1), np.clip(below, 0, len(GRID) - 1)
    left = np.take_along_axis(steps, low[..., None], axis=-1)[..., 0]
    right = np.take_along_axis(steps, high[..., None], axis=-1)[..., 0]
    part = np.divide(point - left, right - left, out=np.zeros_like(left), where=right > left)
    slope = (GRID[1] - GRID[0]) / np.maximum(steps[..., 1] - steps[..., 0], np.finfo(float).tiny)
    under = np.maximum(GRID[0] - np.minimum(slope, _STEEPEST) * (steps[..., 0] - point), 0.0)
    return np.where(below == 0, under, np.where(below == len(GRID), 1.0, GRID[low] + part * (GRID[high] - GRID[low])))


def guessed(horizon: int) -> "CalibrationSet":
    """Normal errors of the scale itself, for a history too short to have been wrong in."""
    normal = np.broadcast_to(ndtri(GRID), (1, len(SIZE_EDGES) + 1, len(GRID)))
    return CalibrationSet((Calibration((), normal),), (Calibration((), normal),) * horizon)


@dataclass(frozen=True)
class CalibrationSet:
    """Calibrations of a day by bucket of horizons, and of the total over each number of days."""

    daily: tuple[Calibration, ...]
    cumulative: tuple[Calibration, ...]

    def of_day(self, horizon: int) -> Calibration:
        return self.daily[min(int(np.searchsorted(DAILY_BUCKETS, horizon)), len(self.daily) - 1)]

    def of_total(self, days: int) -> Calibration:
        return self.cumulative[min(days, len(self.cumulative)) - 1]

    def frame(self) -> pd.DataFrame:
        parts = []
        for kind, calibrations in (("daily", self.daily), ("cumulative", self.cumulative)):
            for number, calibration in enumerate(calibrations):
                parts.append(_calibration_rows(kind, number, calibration))
        return pd.concat(parts, ignore_index=True)

    def save(self, folder: Path) -> None:
        self.frame().to_parquet(folder / CALIBRATION_FILE, index=False)


def _calibration_rows(kind: str, number: int, calibration: Calibration) -> pd.DataFrame:
    names = [*calibration.segments, "*"]
    segment, size = np.divmod(np.arange(len(names) * (len(SIZE_EDGES) + 1)), len(SIZE_EDGES) + 1)
    keys = {"kind": kind, "number": number, "segment": np.array(names, dtype=object)[segment], "size": size}
    values = calibration.table.reshape(-1, len(GRID))
    return pd.concat([pd.DataFrame(keys), pd.DataFrame(values, columns=pd.Index([f"{p:.3f}" for p in GRID]))], axis=1)


def load_calibration(folder: Path) -> CalibrationSet:
    """Reads what `CalibrationSet.save` wrote."""
    frame = pd.read_parquet(folder / CALIBRATION_FILE)
    kinds: dict[str, list[Calibration]] = {"daily": [], "cumulative": []}
    for key, rows in frame.groupby(["kind", "number"], sort=True):
        names = list(dict.fromkeys(rows["segment"]))
        table = rows.iloc[:, 4:].to_numpy().reshape(len(names), len(SIZE_EDGES) + 1, len(GRID))
        kinds[str(np.asarray(key, dtype=object)[0])].append(Calibration(tuple(names[:-1]), table))
    return CalibrationSet(tuple(kinds["daily"]), tuple(kinds["cumulative"]))
