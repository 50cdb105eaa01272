"""Demand behind stock-outs on real grocery sales: days that were never out of stock are masked and estimated.

Usage: python -m bench.censoring [FOLDER] [--series N]

FOLDER holds daily.parquet of FreshRetailNet-50K. A masked day sells at most what another full day of its series sold,
so the truth is known. Days that really were short of stock are treated as the pipeline treats them, but not scored.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.figures import Figure, publish
from retail_assets.demand.censoring import Censoring, Codes, Floats, unconstrain

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "freshretailnet"
SERIES = 5_000
_TRADING_HOURS = 16
_STEPS = 10
"""Sales are published in tenths; the counts behind them are taken as whole tenths."""
_MASKED_SHARE = 0.15
_FIRST_SCORED_DAY = 28
_SHARD = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--series", type=int, default=SERIES)
    options = parser.parse_args()
    if not (options.folder / "daily.parquet").exists():
        raise SystemExit(f"There is no daily.parquet in {options.folder}; name the folder that holds it.")
    publish("censoring", figures(options.folder, options.series))


def figures(folder: Path, series: int) -> list[Figure]:
    """Bias of the masked days that hit their cap: as sold, as the mean of full days says, as estimated."""
    units, hours, weekday = _panel(folder, series)
    parts = [
        _scored(units[start : start + _SHARD], hours[start : start + _SHARD], weekday, seed=start)
        for start in range(0, len(units), _SHARD)
    ]
    truth, sold, mean, estimate, error = np.concatenate(parts, axis=1)
    rows = [("as sold", sold), ("mean of the days in stock", mean), ("unconstrained", estimate)]
    return [
        Figure("series", len(units), ""),
        Figure("masked days that hit their cap", len(truth), ""),
        *(Figure(f"bias, {name}", round(100 * (v.sum() / truth.sum() - 1), 2), "%") for name, v in rows),
        *(Figure(f"absolute error, {name}", round(_wape(v, truth), 4), "WAPE") for name, v in rows),
        Figure("root mean square of error / stated sd", round(float(np.sqrt(np.mean(error**2))), 3), ""),
    ]


def _wape(values: Floats, truth: Floats) -> float:
    return float(np.abs(values - truth).sum() / truth.sum())


def _panel(folder: Path, series: int) -> tuple[Floats, Floats, NDArray[np.integer]]:
    """Units and hours without stock, (series, days), and the days' ISO weekdays; series drawn with a fixed seed."""
    columns = ["store_id", "product_id", "dt", "sale_amount", "stockout_hours_6_21"]
    rows = pd.read_parquet(folder / "daily.parquet", columns=columns)
    wide = rows.pivot(index=["store_id", "product_id"], columns="dt", values=columns[3:])
    chosen = np.random.default_rng(5).permutation(len(wide))[:series]
    units, hours = (wide[name].to_numpy(dtype=np.float64)[chosen] for name in columns[3:])
    weekday = np.array([date.fromisoformat(str(day)).isoweekday() for day in wide["sale_amount"].columns])
    return np.round(units * _STEPS).astype(np.float64), hours, weekday


def _scored(units: Floats, hours: Floats, weekday: NDArray[np.integer], *, seed: int) -> NDArray[np.float64]:
    """Truth, sales, mean of full days, estimate and standardised error of the masked days, (5, days)."""
    masked, cap = _mask(units, hours, np.random.default_rng([11, seed]))
    code = np.where(hours > 0, Censoring.PARTIAL, Censoring.NONE).astype(np.int8)
    code[masked] = Censoring.FULL
    sold = np.where(masked, np.minimum(units, cap), units)
    share = np.where(masked, np.nan, 1 - np.clip(hours, 0, _TRADING_HOURS) / _TRADING_HOURS)
    estimate, sd = unconstrain(sold, censoring=code, weekday=weekday, available_rate=share)
    mean = _mean_in_stock(sold, code)[:, None] + np.zeros_like(units)
    kept = masked & np.isfinite(estimate) & np.isfinite(mean)
    error = (estimate[kept] - units[kept]) / np.maximum(sd[kept], 1e-9)
    return np.stack([units[kept], sold[kept], np.maximum(mean, sold)[kept], estimate[kept], error])


def _mask(units: Floats, hours: Floats, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Floats]:
    """Full days whose sales reach a cap drawn from the other full days of their series; and the caps."""
    full = (hours == 0) & np.isfinite(units)
    drawn = np.where(full, rng.random(units.shape), -1.0)
    source = np.take_along_axis(np.argsort(-drawn, axis=1), _positions(full, rng), axis=1)
    cap = np.take_along_axis(units, source, axis=1)
    candidate = full & (rng.random(units.shape) < _MASKED_SHARE) & (units >= cap)
    candidate &= source != np.arange(units.shape[1])
    candidate[:, :_FIRST_SCORED_DAY] = False
    return candidate, cap


def _positions(full: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """For every cell the rank of one full day of its series."""
    count = np.maximum(full.sum(axis=1, keepdims=True), 1)
    return np.floor(rng.random(full.shape) * count).astype(np.int64)


def _mean_in_stock(sold: Floats, code: Codes) -> Floats:
    observed = np.where(code == Censoring.NONE, sold, np.nan)
    with np.errstate(invalid="ignore"):
        return np.nansum(observed, axis=1) / np.isfinite(observed).sum(axis=1)


if __name__ == "__main__":
    main()
