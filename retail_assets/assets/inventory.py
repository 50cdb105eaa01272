"""Inventory assets: what to order and why, the state of the stock, transfers, and the replay."""

from dataclasses import dataclass

import dagster as dg
import ibis
import pandas as pd

from retail_assets.assets.declare import Days, follows, outputs, reads
from retail_assets.assets.restating import refuse_restating
from retail_assets.calendar import Calendar
from retail_assets.engines.protocol import Engine, SetAside
from retail_assets.forecasting import Snapshots
from retail_assets.inventory.calendar import next_delivery_days
from retail_assets.inventory.delays import delivery_delays
from retail_assets.inventory.health import inventory_health
from retail_assets.inventory.plan import replenishment_plan
from retail_assets.inventory.replay import policy_replay as replay
from retail_assets.inventory.transfers import transfer_proposals
from retail_assets.io_managers.chunks import Siblings, asked_windows
from retail_assets.plan_settings import PlanSettings
from retail_assets.tables import forecast, gold
from retail_assets.tables import inventory as tables
from retail_assets.transforms.days import within
from retail_assets.transforms.planning import SNAPSHOTS, Knowledge, open_orders
from retail_assets.windows import Window

_DECISION_COLUMNS = ["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"]
_SERIES = ["store_id", "product_id"]
_LAST_SALE_DAYS = 365
_WEEK = 7
_DAYS_BEFORE_REPLAY = 28
_TABLES = (tables.REPLENISHMENT_PLAN, tables.INVENTORY_HEALTH, tables.TRANSFER_PROPOSALS)


@dg.multi_asset(
    name="inventory_decisions",
    outs=outputs(*_TABLES),
    ins=reads(
        cumulative=forecast.CUMULATIVE_FORECAST,
        stock=gold.FACT_INVENTORY,
        demand_rows=Days(gold.DEMAND_DAILY, before=_LAST_SALE_DAYS),
    ),
    deps=follows(*SNAPSHOTS.values()),
)
def decisions(
    context: dg.AssetExecutionContext,
    engine: dg.ResourceParam[Engine],
    plan_settings: dg.ResourceParam[PlanSettings],
    calendar: dg.ResourceParam[Calendar],
    cumulative: ibis.Table,
    stock: ibis.Table,
    demand_rows: ibis.Table,
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

    def day(window: Window) -> dict[str, SetAside]:
        knowledge = snapshots.on(window.first)
        supply = _Supply.known(knowledge)
        state = _state(within(cumulative, window, "as_of_date"), within(stock, window), supply)
        sold = within(demand_rows, window.extended(days_before=_LAST_SALE_DAYS))
        products = _products(knowledge, supply, sold)
        plan = replenishment_plan(
            as_of=window.first,
            **state,
            decisions=knowledge.decisions().loc[:, _DECISION_COLUMNS],
            terms=supply.terms,
            order_days=supply.order_days,
            delays=supply.delays,
            prices=products.loc[:, [*_SERIES, "unit_price", "unit_step"]],
            policy=plan_settings.policy,
        )
        health = inventory_health(window.first, **state, products=products)
        moves = transfer_proposals(
            window.first,
            on_hand=state["on_hand"],
            open_orders=state["open_orders"],
            cumulative=state["cumulative"],
            products=products,
        )
        aside = map(engine.set_aside, (plan, health, moves))
        return dict(zip((table.name for table in _TABLES), aside, strict=True))

    siblings = Siblings(day)
    return tuple(siblings.chunks(windows, table.name) for table in _TABLES)


@dg.asset(
    key=tables.POLICY_REPLAY.asset_key,
    ins=reads(
        cumulative=forecast.CUMULATIVE_FORECAST,
        stock=gold.FACT_INVENTORY,
        demand_rows=gold.DEMAND_DAILY,
        segments=gold.PRODUCT_SEGMENTS,
    ),
    deps=follows(*SNAPSHOTS.values()),
)
def policy_replay(
    engine: dg.ResourceParam[Engine],
    calendar: dg.ResourceParam[Calendar],
    cumulative: ibis.Table,
    stock: ibis.Table,
    demand_rows: ibis.Table,
    segments: ibis.Table,
) -> pd.DataFrame:
    """All that is known is taken as of the first forecast, so that the replay does not look ahead."""
    first = cumulative.as_of_date.min().to_pyarrow().as_py()
    last = demand_rows.business_date.max().to_pyarrow().as_py()
    snapshots = Snapshots(engine, calendar.zone)
    later_orders = snapshots.on(last).purchase_orders()
    knowledge = snapshots.on(first)
    supply = _Supply.known(knowledge)
    opening = within(stock, Window(first, first))
    seen = within(demand_rows, Window(first, last).extended(days_before=_DAYS_BEFORE_REPLAY))
    return replay(
        seen.select(*_SERIES, "business_date", "sold_units", "unconstrained_units", "unconstrained_sd").to_pandas(),
        cumulative.to_pandas(),
        opening=opening.select(*_SERIES, on_hand_units=opening.on_hand_units.cast("float64")).to_pandas(),
        purchase_orders=later_orders,
        terms=supply.terms.merge(knowledge.prices(), on=_SERIES),
        order_days=supply.order_days,
        delays=supply.delays,
        segments=segments.filter(segments.valid_from <= first).to_pandas(),
    )


@dataclass(frozen=True)
class _Supply:
    """How goods come, as known on a day."""

    terms: pd.DataFrame
    order_days: pd.DataFrame
    delays: pd.DataFrame
    open_orders: pd.DataFrame

    @classmethod
    def known(cls, knowledge: Knowledge) -> "_Supply":
        orders, terms = knowledge.purchase_orders(), knowledge.supply_terms()
        delays = delivery_delays(orders, knowledge.as_of, supplier_ids=terms["supplier_id"].unique())
        return cls(terms, knowledge.order_days(), delays, open_orders(orders))


def _state(cumulative: ibis.Table, stock: ibis.Table, supply: _Supply) -> dict[str, pd.DataFrame]:
    """Forecast, stock and open orders, by the argument names of the inventory functions."""
    on_hand = stock.select(*_SERIES, on_hand_units=stock.on_hand_units.cast("float64"))
    return {
        "cumulative": cumulative.to_pandas(),
        "on_hand": on_hand.to_pandas(),
        "open_orders": supply.open_orders,
    }


def _products(knowledge: Knowledge, supply: _Supply, sold: ibis.Table) -> pd.DataFrame:
    """Price, cost, step, last sale and next delivery of every series carried; a week where no supplier is known."""
    sale_days = sold.filter(ibis._.sold_units > 0)
    last_sale = sale_days.group_by(*_SERIES).aggregate(last_sale_date=sale_days.business_date.max())
    arrival = supply.terms[[*_SERIES, "unit_cost"]].assign(
        next_delivery_days=next_delivery_days(knowledge.as_of, supply.terms, supply.order_days)
    )
    rows = (
        knowledge.prices().merge(arrival, on=_SERIES, how="left").merge(last_sale.to_pandas(), on=_SERIES, how="left")
    )
    return rows.fillna({"next_delivery_days": _WEEK})
