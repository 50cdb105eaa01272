"""Training and a night's forecast of a whole chain: 30,490 series × 1,941 days drawn from an M5 folder.

Usage: python -m bench.forecast_scale FOLDER     (one process, so that its peak memory is its own)
"""

import json
import os
import sys
import time
import warnings
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pmdarima

from bench.figures import Figure, at_least, at_most, measure
from bench.m5_panel import m5_panel, resampled
from retail_assets.demand.forecasting import forecast
from retail_assets.demand.panel import Panel
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.demand.training import train
from retail_assets.settings import Settings

PRODUCTS, HORIZON = 3049, 28
TRAIN_LIMIT, SCORE_LIMIT, PEAK_LIMIT_GIB, RATIO = 900, 60, 8.0, 1000
LOOPED_SERIES = 4


def figures(folder: Path) -> list[Figure]:
    """Runs itself in a process of its own."""
    run = measure([sys.executable, "-m", "bench.forecast_scale", str(folder)], dict(os.environ))
    found = json.loads(run.output.strip().splitlines()[-1])
    series = found["series"]
    ours = (found["train_seconds"] + found["score_seconds"]) / series
    label = "seasonal pmdarima loop / ours, training and forecast, per series"
    return [
        Figure("chain: series", series, ""),
        Figure("chain: days", found["days"], ""),
        at_most("chain: training", found["train_seconds"], "s", TRAIN_LIMIT),
        at_most("chain: a night's forecast", found["score_seconds"], "s", SCORE_LIMIT),
        at_most("chain: peak memory", run.peak_gib, "GiB", PEAK_LIMIT_GIB),
        Figure("seasonal pmdarima, one series, all days", round(found["loop_seconds"], 2), "s"),
        Figure(f"seasonal pmdarima, one series, {found['kept_days']} days", round(found["short_loop_seconds"], 2), "s"),
        at_least(f"{label}, both given all days", found["loop_seconds"] / ours, "ratio", RATIO),
        Figure(f"{label}, both on {found['kept_days']} days", round(found["short_loop_seconds"] / ours, 1), "ratio"),
    ]


def main() -> None:
    folder = Path(sys.argv[1])
    panel = resampled(m5_panel(folder, last_date=_last_date(folder)), products=PRODUCTS)
    started = time.perf_counter()
    kept = panel.last_days(Settings.model_fields["train_days"].default)
    model = train(kept.through(kept.as_of - timedelta(days=1)), TrainingConfig(horizon=HORIZON))
    trained = time.perf_counter()
    made = forecast(kept, model, horizons=(3, 7, 14, 21, 28))
    scored = time.perf_counter()
    if made.fallback_count:
        raise SystemExit(f"{made.fallback_count} series fell back: {made.failures[:3]}")
    print(
        json.dumps(
            {
                "series": panel.series_count,
                "days": panel.day_count,
                "kept_days": kept.day_count,
                "train_seconds": trained - started,
                "score_seconds": scored - trained,
                "loop_seconds": _loop(panel),
                "short_loop_seconds": _loop(kept),
            }
        )
    )


def _last_date(folder: Path) -> date:
    return pd.to_datetime(pd.read_parquet(folder / "sales.parquet", columns=["date"])["date"]).max().date()


def _loop(panel: Panel) -> float:
    """Seconds a series of what a loop over series does: a seasonal order searched by pmdarima, then a forecast."""
    rows = np.linspace(0, panel.series_count - 1, LOOPED_SERIES).astype(int)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in panel.units[rows]:
            pmdarima.auto_arima(row[np.isfinite(row)], m=7, error_action="ignore").predict(HORIZON)
    return (time.perf_counter() - started) / LOOPED_SERIES


if __name__ == "__main__":
    main()
