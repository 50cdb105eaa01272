"""Distributions of the total over 1 … H days: more days never bring less, at any probability.

Each number of days is calibrated on errors of its own totals, so their estimates cross here and there. Sorting what the
numbers of days say, at each probability, takes the crossings out and brings no estimate further from a truth that
rises (Chernozhukov, Fernández-Val & Galichon 2009, rearrangement).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from retail_assets.demand.calibration.conformal import GRID, CalibrationSet, Distribution, SeriesProfile, along

_CHUNK_ROWS = 2048


def cumulative_distributions(
    mean: np.ndarray,
    profile: SeriesProfile,
    *,
    calibration: CalibrationSet,
    reach: np.ndarray,
    horizons: Sequence[int],
    levels: Sequence[float],
) -> Mapping[int, Distribution]:
    """Of the total over each of `horizons` days, (n, levels): quantiles never fall with the days, p_zero never rises.

    Args:
        mean: expected demand of each day, (n, H).
        profile: of the n series.
        calibration: of totals over 1 … H days.
        reach: last day on which each series sells, (n,), 1 … H; totals beyond it are those of its own days.
        horizons: numbers of days, 1 … H.
        levels: probabilities of the quantiles.
    """
    parts: dict[int, list[Distribution]] = {days: [] for days in horizons}
    for start in range(0, len(mean), _CHUNK_ROWS):
        rows = np.arange(start, min(start + _CHUNK_ROWS, len(mean)))
        total = mean[rows].cumsum(axis=1)
        here = profile.take(rows)
        curves = _rising(total, here, calibration=calibration, reach=reach[rows])
        for days in horizons:
            expected = total[:, days - 1]
            own_days = np.minimum(reach[rows], days)
            found = along(curves[:, days - 1], expected, is_whole=here.is_whole, levels=levels, days=own_days)
            parts[days].append(found)
    return {days: _joined(found) for days, found in parts.items()}


def _rising(total: np.ndarray, profile: SeriesProfile, *, calibration: CalibrationSet, reach: np.ndarray) -> np.ndarray:
    """Quantile functions of totals (n, H) on GRID, (n, H, len(GRID)), sorted along the days a series sells on."""
    curves = np.empty((*total.shape, len(GRID)), dtype=np.float32)
    for days in range(1, total.shape[1] + 1):
        curves[:, days - 1] = calibration.of_total(days).curve(total[:, days - 1], profile)
    for last in np.unique(reach).tolist():
        rows = np.flatnonzero(reach == last)
        own = np.sort(curves[rows, :last], axis=1)
        curves[rows, :last], curves[rows, last:] = own, own[:, -1:]
    return curves


def _joined(parts: Sequence[Distribution]) -> Distribution:
    return Distribution(
        np.concatenate([part.quantiles for part in parts]), np.concatenate([part.p_zero for part in parts])
    )
