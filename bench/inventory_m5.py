"""An M5 folder as the replay sees it: sales taken as demand, and, as it holds no suppliers, assumed lead times.

The replay's own assumption serves: seven days, orders on Mondays, three weeks of stock to begin with.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from bench.inventory_forecasts import Rounds, as_of_forecasts, cached_or_made
from bench.m5_panel import m5_panel
from retail_assets.demand.panel import Panel
from retail_assets.demand.segments import abc_class
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.inventory.replay.world import ReplayInputs

TRAIN_DAYS, TRAINED_EVERY_DAYS = 730, 56
"""Days the models learn from, as set for every run; all days after the first of them are replayed."""
HORIZONS = (7, 14)
_EMPTY = {
    "opening": ["store_id", "product_id", "on_hand_units"],
    "purchase_orders": [
        *("store_id", "product_id", "supplier_id", "ordered_date", "promised_date", "received_date", "cancelled_date"),
        *("ordered_units", "received_units"),
    ],
    "order_days": ["supplier_id", "order_weekday"],
    "delays": ["supplier_id", "delay_days", "probability"],
}


def replay_inputs(folder: Path, *, kept: Path | None = None) -> ReplayInputs:
    """Inputs of the replay, orders on the day after each Sunday."""
    sales = pd.read_parquet(folder / "sales.parquet", columns=["date"])
    end = pd.to_datetime(sales["date"]).max().date()
    whole = m5_panel(folder, last_date=end)
    first = end - timedelta(days=whole.day_count - TRAIN_DAYS)
    first += timedelta(days=6 - first.weekday())

    def known(day: date) -> Panel:
        """Series not ranged yet are left out, as the pipeline does."""
        panel = whole.through(day).last_days(TRAIN_DAYS)
        return panel.take(np.flatnonzero((~np.isnan(panel.units)).any(axis=1)))

    def made() -> pd.DataFrame:
        rounds = Rounds(first, end - timedelta(days=1), every_days=7, trained_every_days=TRAINED_EVERY_DAYS)
        return as_of_forecasts(known, rounds, horizons=HORIZONS, config=TrainingConfig())

    ranged = known(first)
    return ReplayInputs(
        demand=_demand(whole),
        cumulative=cached_or_made(kept, made),
        segments=ranged.series.loc[:, ["store_id", "product_id"]].assign(abc_class=abc_class(ranged)),
        terms=_prices(whole, first.toordinal() - end.toordinal()),
        **{name: pd.DataFrame(columns=pd.Index(columns)) for name, columns in _EMPTY.items()},
    )


def _demand(panel: Panel) -> pd.DataFrame:
    count, days = panel.units.shape
    keys = panel.series.loc[:, ["store_id", "product_id"]]
    frame = keys.loc[keys.index.repeat(days)].reset_index(drop=True)
    frame = frame.assign(business_date=np.tile(panel.dates[:days], count), unconstrained_units=panel.units.ravel())
    return frame.dropna(subset=["unconstrained_units"])


def _prices(panel: Panel, day: int) -> pd.DataFrame:
    """The price of the first day; the folder holds no cost, so there are no figures of money."""
    columns = ["supplier_id", "pack_units", "moq_units", "lead_time_days", "unit_cost"]
    keys = panel.series.loc[:, ["store_id", "product_id"]].reset_index(drop=True)
    price = panel.price[:, panel.day_count + day - 1]
    return keys.assign(unit_price=price, **dict.fromkeys(columns))
