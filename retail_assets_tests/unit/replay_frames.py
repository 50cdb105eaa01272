"""Frames of a Poisson retailer whose forecast is the truth, as the replay reads them."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy import stats

from retail_assets.tables.forecast import QUANTILE_LEVELS

MONDAY = date(2025, 1, 6)
ORDER_COLUMNS = ["ordered_date", "promised_date", "received_date", "cancelled_date", "ordered_units", "received_units"]


def poisson_retailer(
    series, days, *, mean, horizons, order_weekdays, lead=2, pack=1.0, delays=((0, 1.0),), stores=7, seed=5
):
    """Keyword arguments of `policy_replay`; order_weekdays empty means every day."""
    keys = pd.DataFrame(
        {
            "store_id": [f"s{i % stores}" for i in range(series)],
            "product_id": [f"p{i // stores}" for i in range(series)],
        }
    )
    units = np.random.default_rng(seed).poisson(mean, (series, 28 + days)).astype(float)
    dates = [MONDAY + timedelta(days=offset - 28) for offset in range(28 + days)]
    demand = keys.loc[keys.index.repeat(len(dates))].assign(
        business_date=dates * series, unconstrained_units=units.ravel()
    )
    return {
        "demand": demand.reset_index(drop=True),
        "cumulative": forecasts(keys, days, mean=mean, horizons=horizons),
        "opening": keys.assign(on_hand_units=np.ceil(mean * 8)),
        "purchase_orders": pd.DataFrame(columns=["store_id", "product_id", "supplier_id", *ORDER_COLUMNS]),
        "terms": keys.assign(
            supplier_id="x", pack_units=pack, moq_units=0.0, lead_time_days=lead, unit_cost=2.0, unit_price=3.0
        ),
        "order_days": pd.DataFrame({"supplier_id": "x", "order_weekday": list(order_weekdays)}),
        "delays": pd.DataFrame(
            {"supplier_id": "x", "delay_days": [d for d, _ in delays], "probability": [p for _, p in delays]}
        ),
        "segments": keys.assign(abc_class=np.where(np.arange(series) % 3 == 0, "A", "B")),
    }


def forecasts(keys, days, *, mean, horizons, every=7):
    """The true distribution, as stored, from the eve of the replay on."""
    parts = []
    for offset in range(-1, days - 1, every):
        for horizon in horizons:
            total = stats.poisson(mean * horizon)
            quantiles = {name: np.float32(total.ppf(level)) for name, level in QUANTILE_LEVELS.items()}
            made = MONDAY + timedelta(days=offset)
            parts.append(
                keys.assign(
                    as_of_date=made, horizon_days=horizon, mean_units=mean * horizon, p_zero=total.pmf(0), **quantiles
                )
            )
    return pd.concat(parts, ignore_index=True)
