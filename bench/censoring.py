"""Demand behind stock-outs on real grocery sales: days in stock are cut short, and estimated as the pipeline does.

Usage: python -m bench.censoring [FOLDER] [--series N]

FOLDER holds daily.parquet of FreshRetailNet-50K, whose publisher gives sales in tenths. Days in stock are shortened in
two ways, so the truth is known: `cut` takes the goods away at a random hour, and each tenth sold that day came before
with the share of hours that had passed; `cap` has stock for what another day in stock of the series sold, and no hours.
The rows then go through the transform of gold/demand_daily, with the step and the trading hours a retailer would give.
Days that really were short keep their hours, with no closing stock, and are not scored. Scored are the last days, each
with the full look-back of the pipeline.
"""

import argparse
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.figures import Figure, publish
from retail_assets.arrays import Array
from retail_assets.transforms.demand import LOOKBACK_DAYS, unconstrained
from retail_assets.windows import Window

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "freshretailnet"
SERIES = 5_000
_STEP = 0.1
_TRADING_HOURS = 16
_PLENTY = 1_000.0
_SHORTENED_SHARE = 0.15
_SHARD = 1_000
_KINDS = ("cut", "cap")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--series", type=int, default=SERIES)
    options = parser.parse_args()
    if not (options.folder / "daily.parquet").exists():
        raise SystemExit(f"There is no daily.parquet in {options.folder}; name the folder that holds it.")
    publish("censoring", figures(options.folder, options.series))


def figures(folder: Path, series: int) -> list[Figure]:
    """Bias and error of the shortened days: as sold, as the mean of days in stock says, as estimated."""
    sales = _sales(folder, series)
    return [Figure("series", len(sales.units), ""), *(figure for kind in _KINDS for figure in _of_kind(sales, kind))]


@dataclass(frozen=True)
class _Sales:
    """Units and hours without stock, (series, days), from `first` on."""

    units: Array
    hours: Array
    first: date

    def part(self, start: int) -> "_Sales":
        rows = slice(start, start + _SHARD)
        return _Sales(self.units[rows], self.hours[rows], self.first)


def _sales(folder: Path, series: int) -> _Sales:
    """Series drawn with a fixed seed."""
    columns = ["store_id", "product_id", "dt", "sale_amount", "stockout_hours_6_21"]
    rows = pd.read_parquet(folder / "daily.parquet", columns=columns)
    wide = rows.pivot(index=["store_id", "product_id"], columns="dt", values=columns[3:])
    chosen = np.random.default_rng(5).permutation(len(wide))[:series]
    units, hours = (wide[name].to_numpy(dtype=np.float64)[chosen] for name in columns[3:])
    first = date.fromisoformat(str(wide["sale_amount"].columns[0])[:10])
    return _Sales(np.round(units / _STEP) * _STEP, hours, first)


def _of_kind(sales: _Sales, kind: str) -> list[Figure]:
    parts = [_scored(sales.part(start), kind, seed=start) for start in range(0, len(sales.units), _SHARD)]
    truth, sold, mean, estimate, error = np.concatenate(parts, axis=1)
    rows = [("as sold", sold), ("mean of the days in stock", mean), ("unconstrained", estimate)]
    return [
        Figure(f"{kind}: days shortened", len(truth), ""),
        *(Figure(f"{kind}: bias, {name}", round(100 * (v.sum() / truth.sum() - 1), 2), "%") for name, v in rows),
        *(Figure(f"{kind}: absolute error, {name}", round(_wape(v, truth), 4), "WAPE") for name, v in rows),
        Figure(f"{kind}: root mean square of error / stated sd", round(float(np.sqrt(np.mean(error**2))), 3), ""),
    ]


def _wape(values: Array, truth: Array) -> float:
    return float(np.abs(values - truth).sum() / truth.sum())


def _scored(sales: _Sales, kind: str, *, seed: int) -> NDArray[np.float64]:
    """Truth, sales, mean of days in stock, estimate and standardised error of the shortened days, (5, days)."""
    rng = np.random.default_rng([11, seed])
    short, sold, hours = (_cut if kind == "cut" else _capped)(sales, rng)
    estimate, sd = _estimated(sales, short, sold=sold, hours=hours)
    with np.errstate(invalid="ignore"):
        in_stock = np.where(short | (sales.hours > 0), np.nan, sold)
        mean = np.nansum(in_stock, axis=1) / np.isfinite(in_stock).sum(axis=1)
    shown = np.maximum(mean[:, None], sold)[:, -estimate.shape[1] :]
    truth, seen, short = (v[:, -estimate.shape[1] :] for v in (sales.units, sold, short))
    kept = short & np.isfinite(estimate) & np.isfinite(shown)
    error = (estimate[kept] - truth[kept]) / np.maximum(sd[kept], 1e-9)
    columns = (truth[kept], seen[kept], shown[kept], estimate[kept], error)
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns])


def _drawn(sales: _Sales, rng: np.random.Generator) -> NDArray[np.bool_]:
    return (sales.hours == 0) & np.isfinite(sales.units) & (rng.random(sales.units.shape) < _SHORTENED_SHARE)


def _cut(sales: _Sales, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Array, Array]:
    """Days whose goods are gone from a random hour on, what they sold, and the hours of all days."""
    short, open_hours = _drawn(sales, rng), rng.integers(1, _TRADING_HOURS, sales.units.shape)
    steps = np.round(np.nan_to_num(sales.units) / _STEP).astype(np.int64)
    before = rng.binomial(steps, open_hours / _TRADING_HOURS) * _STEP
    return short, np.where(short, before, sales.units), np.where(short, _TRADING_HOURS - open_hours, sales.hours)


def _capped(sales: _Sales, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Array, Array]:
    """Days that reached a cap, what they sold, and the hours of all days, not known where it was reached."""
    full = (sales.hours == 0) & np.isfinite(sales.units)
    ranked = np.argsort(-np.where(full, rng.random(full.shape), -1.0), axis=1)
    place = np.floor(rng.random(full.shape) * np.maximum(full.sum(axis=1, keepdims=True), 1)).astype(np.int64)
    source = np.take_along_axis(ranked, place, axis=1)
    cap = np.take_along_axis(sales.units, source, axis=1)
    short = _drawn(sales, rng) & (sales.units >= cap) & (source != np.arange(full.shape[1]))
    return short, np.where(short, cap, sales.units), np.where(short, np.nan, sales.hours)


def _estimated(sales: _Sales, short: NDArray[np.bool_], *, sold: Array, hours: Array) -> tuple[Array, Array]:
    """Demand and its standard deviation of the last days, (series, days), through the pipeline's transform."""
    count, days = sold.shape
    first = sales.first + timedelta(days=LOOKBACK_DAYS)
    window = Window(first, sales.first + timedelta(days=days - 1))
    rows = _rows(sales, short, sold=sold, hours=hours)
    found = unconstrained(rows, window).sort_values(["product_id", "business_date"])
    shape = (count, len(window))
    units, sd = (found[f"unconstrained_{name}"].to_numpy(dtype=np.float64) for name in ("units", "sd"))
    return units.reshape(shape), sd.reshape(shape)


def _rows(sales: _Sales, short: NDArray[np.bool_], *, sold: Array, hours: Array) -> pd.DataFrame:
    """What the transform gets; every series is a product of its own, as they share no discounts here."""
    count, days = sold.shape
    stock = np.where(short, 0.0, np.where(sales.hours > 0, np.nan, _PLENTY))
    # the day before a cap was reached ended with no more than what the next one sold
    stock[:, :-1] = np.where(short[:, 1:] & np.isnan(hours[:, 1:]) & (stock[:, :-1] > 0), sold[:, 1:], stock[:, :-1])
    names = np.array([f"P{n:06}" for n in range(count)])
    return pd.DataFrame(
        {
            "business_date": np.tile(np.datetime64(sales.first) + np.arange(days), count),
            "store_id": "S1",
            "product_id": np.repeat(names, days),
            "sold_units": sold.ravel(),
            "returned_units": 0.0,
            "net_value": 0.0,
            "unit_price": np.nan,
            "line_price": np.nan,
            "price_source": None,
            "discount_rate": 0.0,
            "is_promoted": False,
            "is_open": True,
            "is_feed_missing": ~np.isfinite(sold.ravel()),
            "on_hand_units": stock.ravel(),
            "stock_out_hours": hours.ravel(),
            "unit_step": _STEP,
            "trading_hours": float(_TRADING_HOURS),
        }
    )


if __name__ == "__main__":
    main()
