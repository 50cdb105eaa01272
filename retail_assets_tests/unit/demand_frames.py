"""Small made-up retailers for the tests of the forecasting core."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from retail_assets.demand.panel import Panel, build_panel

AS_OF = date(2025, 6, 30)


def series_frame(count: int) -> pd.DataFrame:
    number = np.arange(count)
    return pd.DataFrame(
        {
            "store_id": [f"S{n % 2}" for n in number],
            "product_id": [f"P{n // 2:03d}" for n in number],
            "region": ["north" if n % 2 else "south" for n in number],
            "department": [f"D{(n // 2) % 3}" for n in number],
            "category": "food",
        }
    )


def no_events() -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(dtype=object) for name in ("event_date", "event_name", "event_type", "region")}
    )


def demand_rows(units: np.ndarray, *, as_of: date = AS_OF, series: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows of gold.demand_daily for units (n, T) that end on `as_of`; a NaN gives no row."""
    count, days = units.shape
    series = series_frame(count) if series is None else series
    row, day = np.nonzero(~np.isnan(units))
    first = as_of - timedelta(days=days - 1)
    return pd.DataFrame(
        {
            "business_date": pd.to_datetime(first) + pd.to_timedelta(day, unit="D"),
            "store_id": series["store_id"].to_numpy()[row],
            "product_id": series["product_id"].to_numpy()[row],
            "sold_units": units[row, day],
            "unconstrained_units": units[row, day],
            "unit_price": 2.0 + row,
            "discount_rate": 0.0,
            "is_open": True,
            "is_feed_missing": False,
            "censoring": "none",
        }
    )


def future_rows(series: pd.DataFrame, *, horizon: int, as_of: date = AS_OF) -> pd.DataFrame:
    days = pd.to_datetime(as_of) + pd.to_timedelta(np.arange(1, horizon + 1), unit="D")
    ahead = series[["store_id", "product_id"]].merge(pd.DataFrame({"business_date": days}), how="cross")
    return ahead.assign(unit_price=np.nan, discount_rate=0.0, is_open=True)


def panel_of(units: np.ndarray, *, horizon: int = 14, events: pd.DataFrame | None = None) -> Panel:
    series = series_frame(len(units))
    return build_panel(
        demand_rows(units, series=series),
        series=series,
        future=future_rows(series, horizon=horizon),
        events=no_events() if events is None else events,
        as_of=AS_OF,
        horizon=horizon,
    )


def retailer(count: int = 40, days: int = 200, seed: int = 1) -> np.ndarray:
    """Poisson demand (count, days) with levels from 0.1 to 12 and a strong Saturday."""
    rng = np.random.default_rng(seed)
    level = np.geomspace(0.1, 12, count)
    first = AS_OF - timedelta(days=days - 1)
    weekday = (first.weekday() + np.arange(days)) % 7
    return rng.poisson(level[:, None] * np.where(weekday == 5, 2.2, 0.8)).astype(float)
