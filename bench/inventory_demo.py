"""The demo retailer as the replay sees it: true demand, real terms and delays, forecasts made as of every day.

A finished `make run` keeps the forecasts of 56 days; the replay wants half a year, so they are made anew over a
longer past, by the functions of the pipeline on the pipeline's tables.
"""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd

from bench.inventory_forecasts import Rounds, as_of_forecasts, cached_or_made
from retail_assets.as_of_day import stock_state
from retail_assets.as_of_day.history import History, Snapshots
from retail_assets.as_of_day.stock_state import SupplySnapshot
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.engines.protocol import Engine
from retail_assets.graph.wiring import calendar_of, engine_of
from retail_assets.inventory.order_days import horizons_in_use
from retail_assets.inventory.replay.world import ReplayInputs
from retail_assets.lake.lake import open_lake
from retail_assets.retailer import Calendar
from retail_assets.settings import load_settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import forecast, gold
from retail_assets.windows import Window

FIRST_TRAINING_DAYS = 126
"""Days the first model learns from; what remains of 400 days is replayed."""
TRAINED_EVERY_DAYS, TRAIN_DAYS, HORIZON = 56, 730, 28


def replay_inputs(home: Path, *, kept: Path | None = None, is_stored: bool = False) -> ReplayInputs:
    """Inputs of the replay; demand is what customers wanted, which only the simulator knows.

    Args:
        home: RETAIL_HOME of a finished run.
        kept: file that keeps the forecasts for another run.
        is_stored: the forecasts the run stored, of fewer days.
    """
    settings, mapping = load_settings(home=home), load_mapping("demo")
    engine, calendar = engine_of(settings, open_lake(settings)), calendar_of(settings, mapping)
    span = _span(engine)
    stored = engine.scan(forecast.CUMULATIVE_FORECAST)
    began = stored.as_of_date.min().to_pyarrow().as_py()
    first = began if is_stored else span.first + timedelta(days=FIRST_TRAINING_DAYS)
    snapshots = Snapshots(engine, calendar.zone)

    def made() -> pd.DataFrame:
        window = Window(first, span.last)
        return _forecasts(engine, calendar, snapshots, span=window, supply=SupplySnapshot.of(snapshots.on(first)))

    cumulative = stored.to_pandas() if is_stored else cached_or_made(kept, made)
    inputs = stock_state.replay_inputs(
        snapshots.on,
        _true_demand(home),
        cumulative,
        last=span.last,
        stock=engine.scan(gold.FACT_INVENTORY),
        segments=engine.scan(gold.PRODUCT_SEGMENTS),
    )
    eve = pd.to_datetime(cumulative["as_of_date"]).min().date()
    departments = snapshots.on(eve).departments()
    before = stock_state.past_sales(engine.scan(gold.DEMAND_DAILY), Window(eve, eve), departments=departments)
    return replace(inputs, past_sales=before)


def _span(engine: Engine) -> Window:
    days = engine.scan(gold.DEMAND_DAILY).business_date
    return Window(days.min().to_pyarrow().as_py(), days.max().to_pyarrow().as_py())


def _true_demand(home: Path) -> pd.DataFrame:
    query = "SELECT business_date, store_id, product_id, demanded_units AS unconstrained_units FROM true_demand"
    with sqlite3.connect(home / "demo/source.db") as database:
        rows = pd.read_sql_query(query, database)
    return rows.assign(business_date=pd.to_datetime(rows["business_date"]))


def _forecasts(
    engine: Engine, calendar: Calendar, snapshots: Snapshots, *, span: Window, supply: SupplySnapshot
) -> pd.DataFrame:
    """Daily, because some suppliers take orders every day."""
    history = History.of(
        engine.scan(gold.DEMAND_DAILY),
        Window(span.first - timedelta(days=1), span.last),
        snapshots=snapshots,
        calendar=calendar,
        horizon_days=HORIZON,
        history_days=TRAIN_DAYS,
    )
    horizons = horizons_in_use(supply.terms, supply.delays, horizon_days=HORIZON, order_days=supply.order_days)
    rounds = Rounds(span.first, span.last - timedelta(days=1), every_days=1, trained_every_days=TRAINED_EVERY_DAYS)
    config = TrainingConfig(horizon=HORIZON)
    return as_of_forecasts(lambda day: history.panel(day)[0], rounds, horizons=tuple(horizons), config=config)
