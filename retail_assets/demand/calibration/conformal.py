"""Quantiles of a day's and of several days' total demand, from how far past forecasts of the same kind were off.

An error is measured in units of `scale(mean)` = √(dispersion · mean) and pooled by segment and size of the
forecast; quantiles of a sum come from errors of sums, never from adding daily quantiles.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from retail_assets.demand.models.baselines import borrowed_level, group_codes
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import grouped_median, say_of_errors, say_of_totals, sorted_quantiles
from retail_assets.demand.segments import demand_class
from retail_assets.tables.forecast import BUCKET_DAYS, QUANTILE_LEVELS

CALIBRATION_FILE = "calibration.parquet"
SIZES = (0.15, 0.55, 1.7, 5.5, 17.0, 55.0)
"""Means around which errors are pooled; in between, a spread is a mixture of the next two, linear in logs."""
DAILY_BUCKETS = tuple(BUCKET_DAYS * weeks for weeks in (1, 2, 3))
GRID = np.unique(np.round([*np.arange(0.01, 1.0, 0.02), *QUANTILE_LEVELS.values()], 3))
_MIN_ERRORS = 200
_TAIL_ERRORS = 10
_FEW_SERIES = 20
"""Errors of so many series count half, beside those of a wider pool."""
_NEGLIGIBLE, _NEAR_SIZES = 0.001, 3
"""A size leans on those one and two steps from it, and only then on everything."""
_OFFSETS = (1 / 6, 1 / 2, 5 / 6)
_DISPERSION_DAYS = 112
_PRIOR_DAYS = 28.0
_LEAST_MEAN = 0.02


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


def _between_sizes(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For means (m,) the number of the next smaller of `SIZES`, and the way from it to the next larger, 0 … 1."""
    at = np.interp(np.log(np.maximum(mean, SIZES[0])), np.log(SIZES), np.arange(len(SIZES)))
    low = np.minimum(at.astype(int), len(SIZES) - 2)
    return low, at - low


@dataclass(frozen=True)
class Calibration:
    """Quantiles of scaled errors, (segments, len(SIZES), len(GRID)), for one kind: a bucket of days or one sum."""

    segments: tuple[str, ...]
    table: np.ndarray

    def errors_of(self, mean: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """Quantiles of the scaled error on GRID for each forecast, (m, len(GRID)); smooth in the mean."""
        number = np.full(segment.shape, len(self.segments))
        for known, name in enumerate(self.segments):
            number[segment == name] = known
        low, part = _between_sizes(mean)
        return self.table[number, low] * (1 - part[:, None]) + self.table[number, low + 1] * part[:, None]

    def curve(self, mean: np.ndarray, profile: SeriesProfile) -> np.ndarray:
        """Quantile function of demand on GRID around each mean, (m, len(GRID)), before it is cut to whole units.

        −1 and less is no demand: whole units are spread over the unit below them.
        """
        width = scale(mean, profile.dispersion)[:, None]
        found = np.maximum(mean[:, None] + width * self.errors_of(mean, profile.segment), -1.0)
        return np.where(mean[:, None] > 0, found, -1.0)


def calibrate(errors: Errors) -> Calibration:
    """Pools by segment and size; a thin cell leans on its size, a thin size on those beside it, then on everything.

    An error counts at the two sizes beside its mean, the more the nearer. A cell stands on its own errors the more,
    the more series they come from, so that no series has the say in it.
    """
    known = errors.where(np.isfinite(errors.actual) & np.isfinite(errors.mean))
    pool, segment = _Pool.of(known), known.profile.segment
    segments = tuple(sorted(set(segment.tolist())))
    near = _nearness(known.mean) * pool.say[:, None]
    every = pool.drawn_out() if len(segment) >= _MIN_ERRORS else ndtri(GRID)
    table = np.empty((len(segments) + 1, len(SIZES), len(GRID)))
    for number in range(len(SIZES)):
        widening = (near[:, max(number - steps, 0) : number + steps + 1].sum(axis=1) for steps in range(_NEAR_SIZES))
        table[-1, number] = pool.leaning(widening, every)
        for row, name in enumerate(segments):
            table[row, number] = pool.leaning([near[:, number] * (segment == name)], table[-1, number])
    return Calibration(segments, table)


def _nearness(mean: np.ndarray) -> np.ndarray:
    """What each error counts at each size, (m, len(SIZES)); 1 in sum."""
    low, part = _between_sizes(mean)
    found = np.zeros((len(mean), len(SIZES)))
    rows = np.arange(len(mean))
    found[rows, low], found[rows, low + 1] = 1 - part, part
    return found


@dataclass(frozen=True, eq=False)
class _Pool:
    """Scaled errors in ascending order and the number of the error each belongs to, (3 m,) each; of m errors.

    `say` is what an error counts against unlike ones, `series` numbers the series they are of, (m,) each.
    """

    ascending: np.ndarray
    error: np.ndarray
    say: np.ndarray
    series: np.ndarray

    @classmethod
    def of(cls, errors: Errors) -> "_Pool":
        scaled, series = errors.scaled, errors.profile.series
        say = np.ones(len(scaled)) if series is None else say_of_errors(scaled[:, 1], series)
        flat = scaled.ravel()
        order = np.argsort(flat, kind="stable")
        number = np.arange(len(scaled)) if series is None else np.unique(series, return_inverse=True)[1]
        return cls(flat[order], order // len(_OFFSETS), say, number)

    def leaning(self, weights: Iterable[np.ndarray], last: np.ndarray) -> np.ndarray:
        """Quantiles of the errors of each weight (m,) in turn, as far as those before it left something open.

        Errors of other sizes are scaled alike but not shaped alike: those of products that hardly sell are mostly
        nothing and seldom much, and say little of products that sell daily. So near ones come first, `last` last.
        """
        found, left = np.zeros(len(GRID)), 1.0
        for weight in weights:
            own = self._own_share(weight)
            if own > 0:
                found += left * own * self.quantiles(weight)
                left *= 1 - own
            if left < _NEGLIGIBLE:
                break
        return found + left * last

    def quantiles(self, weight: np.ndarray) -> np.ndarray:
        """On GRID; a series that lies nearer than all others counts as the next nearest does."""
        total = np.bincount(self.series, weight)
        say = np.ones(len(total))
        say[total > 0] = say_of_totals(total[total > 0])
        return sorted_quantiles(self.ascending, (weight * say[self.series])[self.error], GRID)

    def drawn_out(self) -> np.ndarray:
        """Quantiles of all errors; above the last level that ten errors exceed, the normal law goes on from there.

        Two products that came back from silence would else be the 0.99 of every product of a short history.
        """
        found, normal = self.quantiles(self.say), ndtri(GRID)
        sure = np.flatnonzero((1 - GRID) * len(self.say) >= _TAIL_ERRORS)[-1]
        middle = np.searchsorted(GRID, 0.5)
        slope = (found[sure] - found[middle]) / (normal[sure] - normal[middle])
        return np.where(GRID[sure] < GRID, found[sure] + slope * (normal - normal[sure]), found)

    def _own_share(self, weight: np.ndarray) -> float:
        """How far errors stand for themselves, 0 … 1: not at all where few, little where of few series."""
        of_errors = np.clip(weight.sum() / _MIN_ERRORS - 1, 0.0, 1.0)
        most = np.zeros(int(self.series.max(initial=-1)) + 1)
        np.maximum.at(most, self.series, weight)
        series = float(most.sum())
        return float(of_errors * series**2 / (series**2 + _FEW_SERIES**2))


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

    Where demand comes in whole units a quantile is the least whole quantity that holds the probability.
    """
    return along(calibration.curve(mean, profile), mean, is_whole=profile.is_whole, levels=levels, days=days)


def along(
    curve: np.ndarray,
    mean: np.ndarray,
    *,
    is_whole: np.ndarray,
    levels: Sequence[float] | np.ndarray,
    days: int | np.ndarray,
) -> Distribution:
    """The distribution along a quantile function on GRID, (m, len(GRID)), as `Calibration.curve` draws it.

    No quantile exceeds what the mean allows by Markov's inequality, P(D >= x) <= mean / x: pooled errors of products
    that came back from silence would else promise hundreds of units of one that hardly sells. A quantile is 0 up to
    the probability of no demand, and more above it.
    """
    levels, expected = np.asarray(levels), np.maximum(mean, _LEAST_MEAN * days)
    at = np.interp(levels, GRID, np.arange(len(GRID)))
    low, part = np.floor(at).astype(int), at - np.floor(at)
    chosen = curve[:, low] * (1 - part) + curve[:, np.minimum(low + 1, len(GRID) - 1)] * part
    most = expected[:, None] / (1 - levels)
    amount = np.minimum(np.maximum.accumulate(np.maximum(chosen, 0.0), axis=1), most)
    whole = np.minimum(np.ceil(np.maximum(chosen, 0.0)), np.floor(most + 1e-9))
    quantiles = np.where(is_whole[:, None], np.maximum.accumulate(whole, axis=1), amount)
    p_zero = np.maximum(_probability_of_nothing(curve), np.where(is_whole, 1 - expected, 0.0))
    return Distribution(np.where(mean[:, None] > 0, quantiles, 0.0), np.where(mean > 0, p_zero, 1.0))


def _probability_of_nothing(curve: np.ndarray) -> np.ndarray:
    """Where quantile functions (m, len(GRID)) reach 0, linear between GRID; below it e times less for each unit."""
    below = (curve <= 0).sum(axis=-1)
    low, high = np.clip(below - 1, 0, len(GRID) - 1), np.clip(below, 0, len(GRID) - 1)
    left, right = (np.take_along_axis(curve, column[:, None], axis=-1)[:, 0] for column in (low, high))
    part = np.divide(-left, right - left, out=np.zeros_like(left), where=right > left)
    inside = GRID[low] + part * (GRID[high] - GRID[low])
    return np.where(below == 0, GRID[0] * np.exp(-curve[:, 0]), np.where(below == len(GRID), 1.0, inside))


def guessed(horizon: int) -> "CalibrationSet":
    """Normal errors of the scale itself, for a history too short to have been wrong in."""
    normal = np.broadcast_to(ndtri(GRID), (1, len(SIZES), len(GRID)))
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
    segment, size = np.divmod(np.arange(len(names) * (len(SIZES))), len(SIZES))
    keys = {"kind": kind, "number": number, "segment": np.array(names, dtype=object)[segment], "size": size}
    values = calibration.table.reshape(-1, len(GRID))
    return pd.concat([pd.DataFrame(keys), pd.DataFrame(values, columns=pd.Index([f"{p:.3f}" for p in GRID]))], axis=1)


def load_calibration(folder: Path) -> CalibrationSet:
    """Reads what `CalibrationSet.save` wrote."""
    frame = pd.read_parquet(folder / CALIBRATION_FILE)
    kinds: dict[str, list[Calibration]] = {"daily": [], "cumulative": []}
    for key, rows in frame.groupby(["kind", "number"], sort=True):
        names = list(dict.fromkeys(rows["segment"]))
        table = rows.iloc[:, 4:].to_numpy().reshape(len(names), len(SIZES), len(GRID))
        kinds[str(np.asarray(key, dtype=object)[0])].append(Calibration(tuple(names[:-1]), table))
    return CalibrationSet(tuple(kinds["daily"]), tuple(kinds["cumulative"]))
