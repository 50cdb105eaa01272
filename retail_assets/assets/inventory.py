"""Inventory assets: what to order and why, the state of the stock, transfers, and the replay."""

from dataclasses import replace

import dagster as dg
import ibis
import pandas as pd

from retail_assets.as_of_day.history import Snapshots
from retail_assets.as_of_day.plan_settings import PlanSettings
from retail_assets.as_of_day.snapshot import SNAPSHOTS
from retail_assets.as_of_day.stock_state import LAST_SALE_DAYS, DayState, past_sales, replay_inputs
from retail_assets.assets.declare import Columns, Days, follows, outputs, reads
from retail_assets.assets.restating import refuse_restating
from retail_assets.engines.protocol import Engine, Spilled
from retail_assets.inventory.health import inventory_health
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.replay.replay import policy_replay as replay
from retail_assets.inventory.transfers import transfer_proposals
from retail_assets.io_managers.chunks import SharedOutputs, asked_windows
from retail_assets.retailer import Calendar
from retail_assets.tables import forecast, gold
from retail_assets.tables import inventory as tables
from retail_assets.transforms.days import within
from retail_assets.windows import Window

_SERIES_DAY = ("store_id", "product_id", "business_date")
_REPLAYED = (
    *_SERIES_DAY,
    "sold_units",
    "unconstrained_units",
    "unconstrained_sd",
    "censoring",
    "discount_rate",
    "is_open",
    "unit_price",
    "price_source",
)
_DAYS_BEFORE_REPLAY = 28
_TABLES = (tables.REPLENISHMENT_PLAN, tables.INVENTORY_HEALTH, tables.TRANSFER_PROPOSALS)


@dg.multi_asset(
    name="inventory_decisions",
    outs=outputs(*_TABLES),
    ins=reads(
        cumulative=forecast.CUMULATIVE_FORECAST,
        stock=gold.FACT_INVENTORY,
        demand_rows=Days(gold.DEMAND_DAILY, before=LAST_SALE_DAYS),
        segments=gold.PRODUCT_SEGMENTS,
    ),
    deps=follows(*SNAPSHOTS.values()),
)
def decisions(
    context: dg.AssetExecutionContext,
    engine: dg.ResourceParam[Engine],
    plan_settings: dg.ResourceParam[PlanSettings],
    calendar: dg.ResourceParam[Calendar],
    **tables_read: ibis.Table,
):
    windows = [part for window in asked_windows(context) for part in window.by_day()]
    refuse_restating(
        engine,
        tables.REPLENISHMENT_PLAN,
        Window(windows[0].first, windows[-1].last),
        newest_closed=calendar.newest_closed_day(),
        tags=context.run.tags,
    )
    snapshots = Snapshots(engine, calendar.zone)

    def day(window: Window) -> dict[str, Spilled]:
        state = DayState.of(snapshots.on(window.first), **tables_read)
        plan = replenishment_plan(state.plan, plan_settings.policies)
        health = inventory_health(state.stock)
        moves = transfer_proposals(state.stock)
        spilled = map(engine.spill, (plan, health, moves))
        return dict(zip((table.name for table in _TABLES), spilled, strict=True))

    shared = SharedOutputs(day)
    return tuple(shared.chunks(windows, table.name) for table in _TABLES)


@dg.asset(
    key=tables.POLICY_REPLAY.asset_key,
    ins=reads(
        cumulative=forecast.CUMULATIVE_FORECAST,
        stock=gold.FACT_INVENTORY,
        demand_rows=Columns(gold.DEMAND_DAILY, (*_REPLAYED, "is_feed_missing")),
        segments=gold.PRODUCT_SEGMENTS,
    ),
    deps=follows(*SNAPSHOTS.values()),
)
def policy_replay(
    engine: dg.ResourceParam[Engine],
    plan_settings: dg.ResourceParam[PlanSettings],
    calendar: dg.ResourceParam[Calendar],
    cumulative: ibis.Table,
    demand_rows: ibis.Table,
    **known: ibis.Table,
) -> pd.DataFrame:
    last = demand_rows.business_date.max().to_pyarrow().as_py()
    first = cumulative.as_of_date.min().to_pyarrow().as_py()
    snapshots = Snapshots(engine, calendar.zone)
    seen = within(demand_rows, Window(first, last).extended(days_before=_DAYS_BEFORE_REPLAY))
    departments = snapshots.on(first).departments()
    inputs = replay_inputs(
        snapshots.on,
        seen.select(*_REPLAYED).to_pandas(),
        cumulative.to_pandas(),
        last=last,
        **known,
    )
    before = past_sales(demand_rows, Window(first, first), departments=departments)
    return replay(replace(inputs, past_sales=before), policies=plan_settings.policies)
