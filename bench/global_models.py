"""Pooled models side by side on M5: one for all days, recursive, scikit-learn, their mean, and one a store.

`python -m bench.global_models FOLDER` prints RMSSE, WAPE and bias over five origins, 28 days ahead.
"""

import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from bench.m5_panel import m5_panel
from retail_assets.demand import metrics
from retail_assets.demand.models.global_model import Boosting, fit_global
from retail_assets.demand.models.pooled_regression import fit_pooled_histogram, fit_pooled_linear
from retail_assets.demand.models.recursive import fit_recursive
from retail_assets.demand.panel import Panel

ORIGINS = (date(2015, 7, 5), date(2015, 10, 4), date(2015, 12, 13), date(2016, 2, 21), date(2016, 3, 27))
Contender = Callable[[Panel], np.ndarray]


def contenders(boosting: Boosting) -> dict[str, Contender]:
    return {
        "lightgbm": lambda panel: fit_global(panel, boosting).predict(panel),
        "recursive": lambda panel: fit_recursive(panel, boosting).predict(panel),
        "linear": lambda panel: fit_pooled_linear(panel, boosting).predict(panel),
        "histogram": lambda panel: fit_pooled_histogram(panel, boosting).predict(panel),
        "lightgbm a store": lambda panel: _by_store(panel, boosting),
    }


def _by_store(panel: Panel, boosting: Boosting) -> np.ndarray:
    store, out = panel.series["store_id"].to_numpy(), np.empty((panel.series_count, panel.horizon))
    for name in np.unique(store):
        part = panel.take(np.flatnonzero(store == name))
        out[store == name] = fit_global(part, boosting).predict(part)
    return out


def scores(folder: Path, origins: tuple[date, ...], boosting: Boosting) -> dict[str, np.ndarray]:
    """(origins, 3) of each contender: RMSSE, WAPE, bias."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for origin in origins:
        panel = m5_panel(folder, last_date=origin, days=730)
        actual = m5_panel(folder, last_date=origin + timedelta(days=panel.horizon)).units[:, -panel.horizon :]
        scale = metrics.rmsse_scale(panel.demand)
        means = {name: contender(panel) for name, contender in contenders(boosting).items()}
        means["lightgbm + recursive"] = (means["lightgbm"] + means["recursive"]) / 2
        for name, mean in means.items():
            row = metrics.rmsse(actual, mean, scale=scale), metrics.wape(actual, mean), metrics.bias(actual, mean)
            found.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in found.items()}


if __name__ == "__main__":
    for name, rows in scores(Path(sys.argv[1]), ORIGINS, Boosting()).items():
        rmsse, wape, bias = rows.mean(axis=0)
        print(f"{name:22} RMSSE {rmsse:.4f}  WAPE {wape:.4f}  bias {bias:+.3f}")
