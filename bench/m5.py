"""M5: the pipeline's forecast of the last 28 days, trained only on earlier days, beside reference scores.

Usage: python bench/m5.py FOLDER [--home HOME]

Loads the folder, runs the graph up to 28 days before its end and scores forecast/demand_forecast of that
as-of date on the days after it. A home that holds the run already is only scored.
"""

import argparse
import os
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from deltalake import DeltaTable

from bench.figures import Figure, Measured, at_most, measure, publish
from retail_assets.demand import metrics

HORIZON = 28
# From the README of the data set: mean RMSSE and WAPE of these 280 series on these 28 days.
REFERENCES = {
    "naive": (0.971, 0.538),
    "seasonal naive (7)": (0.987, 0.502),
    "mean of the last 28 days": (0.821, 0.442),
    "published submission, rank 46": (0.809, 0.430),
}
SECONDS_LIMIT = 600
RMSSE_LIMIT = 0.821


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, default=Path(".retail/bench"))
    options = parser.parse_args()
    sales = pd.read_parquet(options.folder / "sales.parquet")
    sales["date"] = pd.to_datetime(sales["date"])
    first, as_of = sales["date"].min().date(), sales["date"].max().date() - timedelta(days=HORIZON)
    run = pipeline(options.folder, options.home, window=(first, as_of))
    forecast = stored_forecast(options.home / "m5" / "lake" / "forecast" / "demand_forecast", as_of)
    publish("m5", [*scores(sales, forecast, as_of), *timing(run)])


def pipeline(folder: Path, home: Path, *, window: tuple[date, date]) -> Measured:
    """Load and run, as a user does."""
    environment = {**os.environ, "RETAIL_HOME": str(home), "RETAIL_SOURCE_MAPPING": "m5"}
    command = str(Path(sys.executable).parent / "retail-assets")
    measure([command, "load-m5", str(folder)], environment)
    first, last = (day.isoformat() for day in window)
    return measure([command, "run", "--from", first, "--to", last], environment)


def stored_forecast(table: Path, as_of: date) -> pd.DataFrame:
    """Mean demand by series (rows) and target date (columns).

    Raises:
        SystemExit: a series, a target date or a value is missing.
    """
    columns = ["store_id", "product_id", "target_date", "mean_units"]
    rows = DeltaTable(str(table)).to_pandas(partitions=[("as_of_date", "=", as_of.isoformat())], columns=columns)
    wide = rows.pivot(index=["store_id", "product_id"], columns="target_date", values="mean_units").sort_index()
    if wide.shape[1] != HORIZON or wide.isna().to_numpy().any():
        raise SystemExit(f"forecast/demand_forecast of {as_of} is incomplete: {wide.shape}")
    return wide


def scores(sales: pd.DataFrame, forecast: pd.DataFrame, as_of: date) -> list[Figure]:
    """Mean RMSSE and WAPE of the stored forecast, of simple ones computed here, and of the references."""
    wide = sales.pivot(index=["store_id", "item_id"], columns="date", values="units").sort_index().fillna(0.0)
    if list(wide.index) != list(forecast.index):
        raise SystemExit(f"{len(wide)} series sold and {len(forecast)} were forecast")
    known = wide.columns <= pd.Timestamp(as_of)
    history, actual = wide.loc[:, known].to_numpy(), wide.loc[:, ~known].to_numpy()
    scale = metrics.rmsse_scale(history)

    def mean_rmsse(made: np.ndarray) -> float:
        return float(metrics.series_rmsse(actual, made, scale=scale).mean())

    ours = forecast.to_numpy()
    week = np.tile(history[:, -7:], HORIZON // 7)
    moving = np.repeat(history[:, -28:].mean(axis=1, keepdims=True), HORIZON, axis=1)
    made_here = {"seasonal naive computed here": week, "28-day mean computed here": moving}
    return [
        at_most("mean RMSSE", mean_rmsse(ours), "", RMSSE_LIMIT),
        Figure("WAPE", round(metrics.wape(actual, ours), 4), ""),
        Figure("bias", round(metrics.bias(actual, ours), 4), ""),
        *(Figure(f"mean RMSSE, {name}", round(mean_rmsse(made), 4), "") for name, made in made_here.items()),
        *(Figure(f"WAPE, {name}", round(metrics.wape(actual, made), 4), "") for name, made in made_here.items()),
        *(Figure(f"mean RMSSE, reference {name}", value[0], "") for name, value in REFERENCES.items()),
        *(Figure(f"WAPE, reference {name}", value[1], "") for name, value in REFERENCES.items()),
    ]


def timing(run: Measured) -> list[Figure]:
    """Only of a run that had something to do."""
    if "nothing was missing" in run.output:
        return []
    return [
        at_most("whole run", run.seconds, "s", SECONDS_LIMIT),
        Figure("peak memory of one process", round(run.peak_gib, 2), "GiB"),
    ]


if __name__ == "__main__":
    main()
