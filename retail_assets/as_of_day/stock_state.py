# pyright: reportOperatorIssue=false
# Ibis types columns too widely for operators of their own type
"""From the lake's tables to what orders of a day need: what the inventory assets and what-if runs share.

Everything is read as it was known when the day had closed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pandas as pd

from retail_assets.as_of_day.snapshot import AsOfSnapshot, expected_dates, open_orders
from retail_assets.demand.effects.promotion_response import deepest_seen
from retail_assets.inventory.delays import delivery_delays
from retail_assets.inventory.experience import EXPERIENCE_DAYS
from retail_assets.inventory.health import StockInputs
from retail_assets.inventory.order_days import next_delivery_days
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.replay.world import ReplayInputs
from retail_assets.tables.gold import SALE_LINES
from retail_assets.transforms.days import within
from retail_assets.windows import LONGEST_FORECAST_DAYS, Window

LAST_SALE_DAYS = EXPERIENCE_DAYS
_DECISION_COLUMNS = ["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date", "decided_at"]
_SERIES = ["store_id", "product_id"]
_WEEK = 7


@dataclass(frozen=True)
class SupplySnapshot:
    """How goods come, as known on a day."""

    terms: pd.DataFrame
    order_days: pd.DataFrame
    delays: pd.DataFrame
    open_orders: pd.DataFrame
    receipts: pd.DataFrame

    @classmethod
    def of(cls, snapshot: AsOfSnapshot) -> "SupplySnapshot":
        orders, terms = snapshot.purchase_orders(), snapshot.supply_terms()
        delays = delivery_delays(orders, snapshot.as_of, supplier_ids=terms["supplier_id"].unique())
        receipts = orders.loc[orders["received_date"].notna(), [*_SERIES, "received_date", "received_units"]]
        return cls(terms, snapshot.order_days(), delays, open_orders(orders), receipts)


@dataclass(frozen=True)
class DayState:
    """Forecast, stock, terms and prices of one as-of day."""

    as_of: date
    cumulative: pd.DataFrame
    on_hand: pd.DataFrame
    supply: SupplySnapshot
    products: pd.DataFrame
    decisions: pd.DataFrame
    approved_proposals: frozenset[str]
    segments: pd.DataFrame
    closed_days: pd.DataFrame
    past_sales: pd.DataFrame
    promotions: pd.DataFrame

    @classmethod
    def of(
        cls,
        snapshot: AsOfSnapshot,
        *,
        cumulative: ibis.Table,
        stock: ibis.Table,
        demand_rows: ibis.Table,
        segments: ibis.Table,
    ) -> "DayState":
        """The tables are gold and forecast ones, of this and other days."""
        window = Window(snapshot.as_of, snapshot.as_of)
        supply = SupplySnapshot.of(snapshot)
        today = within(stock, window)
        on_hand = today.select(*_SERIES, on_hand_units=today.on_hand_units.cast("float64"))
        sold = past_sales(demand_rows, window, departments=snapshot.departments())
        known = segments.filter(segments.valid_from <= snapshot.as_of, segments.abc_class.notnull())
        newest = known.select(*_SERIES, "abc_class", "valid_from").order_by("valid_from").to_pandas()
        return cls(
            as_of=snapshot.as_of,
            cumulative=within(cumulative, window, "as_of_date").to_pandas(),
            on_hand=on_hand.to_pandas(),
            supply=supply,
            products=_products(snapshot, supply, sold),
            decisions=snapshot.decisions().loc[:, _DECISION_COLUMNS],
            approved_proposals=snapshot.approved_proposals(),
            segments=newest.drop_duplicates(_SERIES, keep="last"),
            closed_days=snapshot.closed_days(LONGEST_FORECAST_DAYS),
            past_sales=sold,
            promotions=snapshot.promotions(LONGEST_FORECAST_DAYS),
        )

    @property
    def stock(self) -> StockInputs:
        """What health and transfers need."""
        return StockInputs(
            as_of=self.as_of,
            cumulative=self.cumulative,
            on_hand=self.on_hand,
            open_orders=self.supply.open_orders,
            products=self.products,
            receipts=self.supply.receipts,
            closed_days=self.closed_days,
        )

    @property
    def plan(self) -> PlanInputs:
        """What the plan needs beside its policies."""
        return PlanInputs(
            as_of=self.as_of,
            cumulative=self.cumulative,
            on_hand=self.on_hand,
            open_orders=self.supply.open_orders,
            decisions=self.decisions,
            approved_proposals=self.approved_proposals,
            terms=self.supply.terms,
            order_days=self.supply.order_days,
            delays=self.supply.delays,
            prices=self.products.loc[:, [*_SERIES, "unit_price", "price_source", "unit_step"]],
            receipts=self.supply.receipts,
            segments=self.segments,
            closed_days=self.closed_days,
            past_sales=self.past_sales,
            promotions=self.promotions,
        )


def past_sales(demand_rows: ibis.Table, days: Window, *, departments: pd.DataFrame) -> pd.DataFrame:
    """What each series did in the year up to `days`, and on them, from rows of gold/demand_daily.

    Returns:
        store_id, product_id, sold_units, stock_days (open, with a feed and not empty all day), last_sale_date,
        line_price (the newest price of its sale lines, where one served),
        deepest_discount_rate of its department as the forecast counts it (`deepest_seen`).
    """
    rows = within(demand_rows, days.extended(days_before=LAST_SALE_DAYS))
    has_stock = ibis.and_(rows.is_open, ~rows.is_feed_missing, rows.censoring != "full")
    by_series = rows.group_by(*_SERIES).aggregate(
        sold_units=rows.sold_units.cast("float64").sum().fill_null(0.0),
        stock_days=has_stock.fill_null(False).cast("float64").sum(),
        last_sale_date=rows.business_date.max(where=(rows.sold_units > 0).fill_null(False)),
        line_price=rows.unit_price.argmax(rows.business_date, where=rows.price_source == SALE_LINES),
        own_discount_rate=rows.discount_rate.cast("float64").max().fill_null(0.0),
    )
    found = by_series.order_by(*_SERIES).to_pandas().merge(departments, on="product_id", how="left")
    if found.empty:
        return found.assign(deepest_discount_rate=np.zeros(0))
    department = pd.factorize(found["department"].fillna(""))[0]
    return found.assign(deepest_discount_rate=deepest_seen(found[["own_discount_rate"]].to_numpy(), department))


def replay_inputs(
    known_on: Callable[[date], AsOfSnapshot],
    demand: pd.DataFrame,
    cumulative: pd.DataFrame,
    *,
    last: date,
    stock: ibis.Table,
    segments: ibis.Table,
) -> ReplayInputs:
    """What a replay of `demand` under the forecasts `cumulative` knows.

    All is as of the first forecast, so that nothing looks ahead, except that a product launched later enters with the
    terms known on the day of its own first forecast. The purchase orders are those of the last day: their receipts
    are what really happened.

    Args:
        known_on: what was known when a day had closed; an answer holds until the next question.
        demand: as `ReplayInputs` has it, with unit_price and price_source where prices of sale lines are known.
        cumulative: forecasts of all as-of days.
        last: last day replayed.
        stock, segments: gold/fact_inventory and gold/product_segments.
    """
    seen = cumulative.groupby(_SERIES, observed=True, as_index=False)["as_of_date"].min()
    days: list[date] = sorted(set(seen["as_of_date"]))
    first, orders = days[0], known_on(last).purchase_orders()
    terms = [_terms_of(known_on(day), seen.loc[seen["as_of_date"] == day, _SERIES], demand) for day in days]
    supply = SupplySnapshot.of(known_on(first))
    opening = within(stock, Window(first, first))
    known = segments.filter(segments.valid_from <= first, segments.abc_class.notnull())
    return ReplayInputs(
        demand=demand,
        cumulative=cumulative,
        opening=opening.select(*_SERIES, on_hand_units=opening.on_hand_units.cast("float64")).to_pandas(),
        purchase_orders=orders.assign(promised_date=expected_dates(orders)),
        terms=pd.concat(terms, ignore_index=True),
        order_days=supply.order_days,
        delays=supply.delays,
        segments=known.to_pandas(),
    )


def _terms_of(snapshot: AsOfSnapshot, keys: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    rows = demand.reindex(columns=[*_SERIES, "business_date", "unit_price", "price_source"])
    known = (pd.to_datetime(rows["business_date"]) <= pd.Timestamp(snapshot.as_of)) & (
        rows["price_source"] == SALE_LINES
    )
    newest = rows[known].sort_values("business_date").drop_duplicates(_SERIES, keep="last")
    prices = _with_line_prices(snapshot.prices(), newest.rename(columns={"unit_price": "line_price"}))
    return snapshot.supply_terms().merge(prices, on=_SERIES).merge(keys, on=_SERIES)


def _with_line_prices(prices: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The prices of the next day; where the source gives none, the newest one of the series' sale lines.

    Args:
        prices: as `AsOfSnapshot.prices` has them.
        lines: store_id, product_id, line_price: one row a series.
    """
    joined = prices.merge(lines[[*_SERIES, "line_price"]].astype({"line_price": "float64"}), on=_SERIES, how="left")
    is_taken = joined["unit_price"].isna() & joined["line_price"].notna()
    return joined.assign(
        unit_price=joined["unit_price"].astype("float64").where(~is_taken, joined["line_price"]),
        price_source=joined["price_source"].astype(object).where(~is_taken, SALE_LINES),
    ).drop(columns="line_price")


def _products(snapshot: AsOfSnapshot, supply: SupplySnapshot, sold: pd.DataFrame) -> pd.DataFrame:
    """What health and transfers ask of every series carried; a week to the next delivery without a known supplier."""
    last_sale = sold.loc[sold["last_sale_date"].notna(), [*_SERIES, "last_sale_date"]]
    arrival = supply.terms[[*_SERIES, "unit_cost", "shelf_life_days"]].assign(
        next_delivery_days=next_delivery_days(snapshot.as_of, supply.terms, supply.order_days)
    )
    rows = _with_line_prices(snapshot.prices(), sold[sold["line_price"].notna()])
    rows = rows.merge(arrival, on=_SERIES, how="left").merge(last_sale, on=_SERIES, how="left")
    return rows.fillna({"next_delivery_days": _WEEK})
