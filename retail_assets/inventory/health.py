"""Health of the stock: what runs out before help can come, what lies too long or expires, what is probably not there.

Frames as of a day in, rows of inventory/inventory_health out. What to do about it is the plan's and the transfers'.
"""

from dataclasses import dataclass, fields
from datetime import date
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Days
from retail_assets.inventory.cumulative_forecast import CumulativeForecast, series_index
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.draws import line_keys
from retail_assets.inventory.money import money
from retail_assets.inventory.shelf_life import batches_by_age, expiring_units
from retail_assets.tables.inventory import INVENTORY_HEALTH

ASSUMED_DELIVERY_DAYS = 14
"""Days to the next possible delivery of series whose supplier is not known."""
COVER_DAYS = 28
EXCESS_LEVEL = 0.99
AT_RISK_PROBABILITY = 0.10
PHANTOM_PROBABILITY = 0.01
PHANTOM_DAYS_MIN = 4
DEAD_DAYS = 90
DEAD_DEMAND_UNITS = 1.0
_SERIES = ["store_id", "product_id"]
_OF_PRODUCTS = [
    *("next_delivery_days", "unit_cost", "unit_price", "unit_step"),
    *("last_sale_date", "in_stock_days", "shelf_life_days"),
]


@dataclass(frozen=True)
class StockInputs:
    """What health and transfers of a day are made from.

    Attributes:
        as_of: last closed day.
        on_hand: store_id, product_id, on_hand_units.
        open_orders: store_id, product_id, promised_date, open_units.
        cumulative: rows of forecast/cumulative_forecast of this as-of date; a series without any has no demand.
        products: store_id, product_id, next_delivery_days (days from `as_of` to the arrival of an order placed at
            the next opportunity), unit_cost, unit_price, unit_step, last_sale_date; optionally in_stock_days, the days
            in a row with stock up to `as_of`, and shelf_life_days, without which nothing expires.
        receipts: store_id, product_id, received_date, received_units: the age of the stock; without any it is fresh.
        closed_days: store_id, product_id, business_date of days to come on which a series does not sell.
    """

    as_of: date
    on_hand: pd.DataFrame
    open_orders: pd.DataFrame
    cumulative: pd.DataFrame
    products: pd.DataFrame
    receipts: pd.DataFrame | None = None
    closed_days: pd.DataFrame | None = None

    def held(self) -> pd.DataFrame:
        """The series whose stock is known, sorted."""
        return self.on_hand.loc[self.on_hand["on_hand_units"].notna()].sort_values(_SERIES)


def inventory_health(inputs: StockInputs) -> pd.DataFrame:
    """Rows of inventory/inventory_health, one for each row of `on_hand` with a stock.

    Status, the first that applies:

    1. out_of_stock: nothing on hand;
    2. phantom_suspected: no sale for at least 4 days (of those in stock, where known) although the chance of no
       demand for so long is below 0.01: the stock is probably not there or not on the shelf;
    3. dead: no sale for 90 days, or none known, and less than one unit expected in 28 days;
    4. at_risk: runs out before the next possible delivery with a probability above 0.10;
    5. excess: more than the 0.99 quantile of 28 days' demand;
    6. healthy.

    Orders promised before the next possible delivery count from their day; overdue ones are not relied on. What is
    expected to expire unsold has columns of its own and changes no status.
    """
    if inputs.held().empty:
        return INVENTORY_HEALTH.schema.empty_table().to_pandas()
    state = StockState.of(inputs)
    probability, lost = state.shortage()
    expiring = _expiring_units(inputs.as_of, state, inputs.receipts)
    return _table(inputs.as_of, state, probability=probability, lost=lost, expiring=expiring)


@dataclass(frozen=True)
class StockState:
    """n series: stock, what comes when, and their demand."""

    series: pd.MultiIndex
    stock: Array
    on_order: Array
    arrivals: list[tuple[Days, Array]]
    delivery_days: Days
    forecast: CumulativeForecast
    unit_cost: Array
    unit_price: Array
    days_since_sale: Array
    in_stock_days: Array
    shelf_life_days: Array

    @classmethod
    def of(cls, inputs: StockInputs) -> Self:
        as_of, products, held = inputs.as_of, inputs.products, inputs.held()
        series = series_index(held)
        known = products.drop_duplicates(_SERIES)
        row = series_index(known).get_indexer(series)
        own = known.reindex(columns=_OF_PRODUCTS).reset_index(drop=True).reindex(row)
        delivery = own["next_delivery_days"].astype(float).fillna(ASSUMED_DELIVERY_DAYS).to_numpy(dtype=np.int64)
        sold = pd.to_datetime(own["last_sale_date"]).to_numpy().astype("datetime64[D]")
        since = np.where(np.isnat(sold), np.nan, (np.datetime64(as_of, "D") - sold).astype(np.float64))
        step = own["unit_step"].astype(float).fillna(1.0).to_numpy()
        nobody = np.full(len(series), "", dtype=object)
        on_order, arrivals = _arrivals(as_of, inputs.open_orders, series, delivery_days=delivery)
        forecast = CumulativeForecast.of(inputs.cumulative, series, unit_step=step, supplier_ids=nobody)
        if inputs.closed_days is not None:
            forecast = forecast.selling_except(inputs.closed_days, series, as_of=as_of)
        return cls(
            series=series,
            stock=held["on_hand_units"].to_numpy(dtype=np.float64),
            on_order=on_order,
            arrivals=arrivals,
            delivery_days=delivery,
            forecast=forecast,
            unit_cost=own["unit_cost"].to_numpy(dtype=np.float64, na_value=np.nan),
            unit_price=own["unit_price"].to_numpy(dtype=np.float64, na_value=np.nan),
            days_since_sale=since,
            in_stock_days=own["in_stock_days"].to_numpy(dtype=np.float64, na_value=np.nan),
            shelf_life_days=own["shelf_life_days"].to_numpy(dtype=np.float64, na_value=np.nan),
        )

    def take(self, rows: Days) -> Self:
        """These series only."""
        taken = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("arrivals", "forecast")}
        return type(self)(
            arrivals=[(days[rows], units[rows]) for days, units in self.arrivals],
            forecast=self.forecast.take(rows),
            **{name: value[rows] for name, value in taken.items()},
        )

    @property
    def arriving(self) -> Array:
        """Units that come before the next possible delivery."""
        return sum((units for _, units in self.arrivals), np.zeros(len(self.series)))

    def shortage(self, extra: Array | float = 0.0) -> tuple[Array, Array]:
        """Probability to run out before the next possible delivery and the units lost, the worst over the arrivals.

        Before each arrival the stock of then, and `extra` on top, must last; taking the worst of these moments is a
        little too low.
        """
        stock = np.maximum(self.stock, 0.0) + extra
        probability, lost = np.zeros(len(stock)), np.zeros(len(stock))
        for days, units in [*self.arrivals, (self.delivery_days, np.zeros(len(stock)))]:
            demand = self.forecast.within(np.maximum(np.minimum(days, self.delivery_days) - 1, 0))
            probability = np.maximum(probability, 1 - demand.cdf(stock))
            lost = np.maximum(lost, demand.expected_shortage(stock))
            stock = stock + units
        return np.where(self.stock + extra <= 0, 1.0, probability), lost

    def delivery_demand(self) -> Demand:
        """Demand before the next possible delivery."""
        return self.forecast.within(np.maximum(self.delivery_days - 1, 0))

    def cover_demand(self) -> Demand:
        return self.forecast.within(np.full(len(self.series), COVER_DAYS))


def _arrivals(
    as_of: date, open_orders: pd.DataFrame, series: pd.MultiIndex, *, delivery_days: Days
) -> tuple[Array, list[tuple[Days, Array]]]:
    """Everything on order, and the first, second, … arrival of each series before its next possible delivery."""
    row = series.get_indexer(series_index(open_orders))
    units = open_orders["open_units"].to_numpy(dtype=np.float64, na_value=np.nan)
    promised = pd.to_datetime(open_orders["promised_date"]).to_numpy().astype("datetime64[D]")
    wait = (promised - np.datetime64(as_of, "D")).astype(np.int64)
    lines = pd.DataFrame({"row": row, "wait": wait, "units": units}).loc[row >= 0]
    on_order = np.bincount(lines["row"], lines["units"], minlength=len(series))
    in_time = lines.loc[(lines["wait"] > 0) & (lines["wait"] < delivery_days[lines["row"]])]
    daily = in_time.groupby(["row", "wait"], as_index=False)["units"].sum()
    place = daily.groupby("row").cumcount()
    arrivals = []
    for number in range(int(place.max() + 1) if len(daily) else 0):
        chosen = daily.loc[place == number]
        days, amount = delivery_days.copy(), np.zeros(len(series))
        days[chosen["row"]], amount[chosen["row"]] = chosen["wait"], chosen["units"]
        arrivals.append((days, amount))
    return on_order.astype(np.float64), arrivals


def excess_units(state: StockState, cover_demand: Demand) -> Array:
    """Stock above the 0.99 quantile of 28 days' demand."""
    return np.maximum(state.stock - cover_demand.quantile(EXCESS_LEVEL), 0.0)


def _expiring_units(as_of: date, state: StockState, receipts: pd.DataFrame | None) -> Array:
    """(n,) units on hand that are expected to expire unsold; NaN for products that keep."""
    units = np.full(len(state.series), np.nan)
    rows = np.flatnonzero(np.isfinite(state.shelf_life_days))
    if not len(rows):
        return units
    some = state.take(rows)
    batches = batches_by_age(
        as_of,
        some.series,
        on_hand=np.maximum(some.stock, 0.0),
        shelf_life_days=some.shelf_life_days,
        receipts=receipts,
    )
    units[rows] = expiring_units(batches, some.forecast, keys=line_keys(as_of, some.series))
    return units


def _table(as_of: date, state: StockState, *, probability: Array, lost: Array, expiring: Array) -> pd.DataFrame:
    demand = state.cover_demand()
    daily = demand.mean / COVER_DAYS
    excess = excess_units(state, demand)
    frame = pd.DataFrame(
        {
            "as_of_date": as_of,
            "store_id": state.series.get_level_values(0),
            "product_id": state.series.get_level_values(1),
            "on_hand_units": state.stock,
            "on_order_units": state.on_order,
            "stock_value": money(state.stock * state.unit_cost),
            "mean_daily_units": daily,
            "days_of_cover": np.where(
                daily > 0, np.maximum(state.stock, 0.0) / np.where(daily > 0, daily, 1.0), np.nan
            ),
            "stock_out_probability": probability,
            "expected_lost_units": lost,
            "expected_lost_value": money(lost * np.nan_to_num(state.unit_price)),
            "excess_units": excess,
            "excess_value": money(excess * state.unit_cost),
            "expiring_units": expiring,
            "expiring_value": money(expiring * state.unit_cost),
            "days_since_sale": pd.array(state.days_since_sale, dtype="Int32"),
            "status": _status(state, demand, probability=probability, excess=excess),
        }
    )
    return frame.sort_values(_SERIES, ignore_index=True)


def _status(state: StockState, demand: Demand, *, probability: Array, excess: Array) -> NDArray[np.object_]:
    quiet = np.fmin(state.days_since_sale, state.in_stock_days)
    silence = demand.cdf(0.0) ** (np.nan_to_num(quiet) / COVER_DAYS)
    is_phantom = (quiet >= PHANTOM_DAYS_MIN) & (silence < PHANTOM_PROBABILITY)
    is_unsold = np.isnan(state.days_since_sale) | (state.days_since_sale >= DEAD_DAYS)
    rules = {
        "out_of_stock": state.stock <= 0,
        "phantom_suspected": is_phantom,
        "dead": is_unsold & (demand.mean < DEAD_DEMAND_UNITS),
        "at_risk": probability > AT_RISK_PROBABILITY,
        "excess": excess > 0,
    }
    return np.select(list(rules.values()), list(rules), default="healthy").astype(object)
