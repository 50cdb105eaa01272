"""Panels straight from a folder in the shape of the M5 data, for benches of forecasting alone.

The same rows as the `m5` mapping gives the pipeline: a product is ranged from its first price on, benefit days are
events of a state, a day on which hardly anything is sold anywhere is closed.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from retail_assets.demand.panel import Panel, build_panel
from retail_assets.tables.silver import EVERY

_CLOSED_SHARE = 0.05


def m5_panel(folder: Path, *, last_date: date, days: int | None = None, horizon: int = 28) -> Panel:
    """Demand of every series through `last_date`; nothing after it is read but prices, events and opening."""
    sales = pd.read_parquet(folder / "sales.parquet")
    sales["business_date"] = pd.to_datetime(sales["date"])
    prices = _prices(folder)
    end = np.datetime64(last_date)
    rows = sales.loc[sales["business_date"] <= end].merge(
        prices, on=["store_id", "item_id", "business_date"], how="left"
    )
    first_price = prices.groupby(["store_id", "item_id"], as_index=False).agg(ranged_from=("business_date", "min"))
    rows = rows.merge(first_price, on=["store_id", "item_id"])
    rows = rows.loc[rows["business_date"] >= rows["ranged_from"]].rename(columns={"item_id": "product_id"})
    total = rows.groupby("business_date")["units"].transform("sum")
    demand = rows.assign(
        sold_units=rows["units"],
        unconstrained_units=rows["units"],
        discount_rate=0.0,
        is_open=total > _CLOSED_SHARE * total.median(),
        is_feed_missing=False,
        censoring="unknown",
    )
    panel = build_panel(
        demand,
        series=_series(sales),
        future=_future(prices, end, horizon),
        events=_events(folder),
        as_of=last_date,
        horizon=horizon,
    )
    return panel if days is None else panel.last_days(days)


def _prices(folder: Path) -> pd.DataFrame:
    """The price of each day: a week's price holds for its seven days."""
    weekly = pd.read_parquet(folder / "sell_prices.parquet")
    start = pd.to_datetime(weekly["week_start"])
    parts = [weekly.assign(business_date=start + pd.Timedelta(days=day)) for day in range(7)]
    daily = pd.concat(parts, ignore_index=True).rename(columns={"sell_price": "unit_price"})
    return daily.loc[:, ["store_id", "item_id", "business_date", "unit_price"]]


def _series(sales: pd.DataFrame) -> pd.DataFrame:
    columns = {"store_id": "store_id", "item_id": "product_id", "state_id": "region", "dept_id": "department"}
    columns |= {"cat_id": "category"}
    named = sales.loc[:, list(columns)].drop_duplicates().rename(columns=columns)
    return named.sort_values(by=["store_id", "product_id"])


def _future(prices: pd.DataFrame, end: np.datetime64, horizon: int) -> pd.DataFrame:
    inside = (prices["business_date"] > end) & (prices["business_date"] <= end + np.timedelta64(horizon, "D"))
    return prices.loc[inside].rename(columns={"item_id": "product_id"}).assign(discount_rate=0.0, is_open=True)


def _events(folder: Path) -> pd.DataFrame:
    calendar = pd.read_csv(folder / "calendar.csv", parse_dates=["date"])
    named = [
        calendar.loc[calendar[f"event_name_{number}"].notna()].assign(
            event_name=calendar[f"event_name_{number}"], event_type=calendar[f"event_type_{number}"], region=EVERY
        )
        for number in (1, 2)
    ]
    benefit = [
        calendar.loc[calendar[f"snap_{state}"] == 1].assign(event_name="SNAP", event_type="snap", region=state)
        for state in ("CA", "TX", "WI")
    ]
    events = pd.concat([*named, *benefit], ignore_index=True).rename(columns={"date": "event_date"})
    return events.loc[:, ["event_date", "event_name", "event_type", "region"]]


def resampled(panel: Panel, *, products: int, seed: int = 1) -> Panel:
    """A panel of `products` products in the same stores, drawn from the given ones, each with a level of its own."""
    rng = np.random.default_rng(seed)
    known = np.unique(panel.series["product_id"].to_numpy(dtype=str))
    drawn = rng.choice(known, products)
    rows = pd.Series(np.arange(panel.series_count)).groupby(panel.series["product_id"]).apply(np.array)
    take = np.concatenate([rows[name] for name in drawn])
    names = np.repeat([f"P{number:05d}" for number in range(products)], [len(rows[name]) for name in drawn])
    factor = np.repeat(rng.lognormal(0.0, 0.5, products), [len(rows[name]) for name in drawn])
    made = panel.take(take)
    units = rng.poisson(np.nan_to_num(made.units) * factor[:, None]).astype(float)
    units[np.isnan(made.units)] = np.nan
    return replace(made, series=made.series.assign(product_id=names), units=units)
