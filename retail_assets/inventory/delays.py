"""How late suppliers deliver: the distribution of receipt - promised date, as known on a day.

Counting from the promised date keeps the supplier's calendar out of the variability. What a delay means for demand
belongs to the plan.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array

FULL_WEIGHT_RECEIPTS = 20
"""From this many receipts a supplier's own distribution stands alone."""


def delivery_delays(
    purchase_orders: pd.DataFrame,
    as_of: date,
    *,
    supplier_ids: Iterable[str | None] = (),
    delay_days_max: int = 14,
) -> pd.DataFrame:
    """Distribution of the delay of each supplier, from events on or before `as_of`.

    Early receipts count as no delay. Lines still open after their promised day are right-censored (Kaplan & Meier
    1958); a cancelled line is censored when it was cancelled. Delays beyond `delay_days_max` count as that many days,
    because the plan stops counting such lines. With n < 20 receipts a supplier's distribution has weight n / 20 and
    that of all suppliers the rest; without any receipt there is no delay.

    Args:
        purchase_orders: supplier_id, ordered_date, promised_date, received_date, cancelled_date; a line each.
        as_of: last closed day.
        supplier_ids: suppliers that need an answer even if they have no line; a missing one is nobody.
        delay_days_max: longest delay told apart.

    Returns:
        supplier_id, delay_days, probability; ascending, probabilities of a supplier sum to 1.
    """
    lines = _known_lines(purchase_orders, as_of, delay_days_max=delay_days_max)
    asked = pd.Series(list(supplier_ids), dtype=object).dropna().astype(str)
    suppliers = sorted({*asked, *lines["supplier_id"]})
    everyone = _kaplan_meier(lines, delay_days_max)
    rows = []
    for supplier in suppliers:
        own = lines.loc[lines["supplier_id"] == supplier]
        weight = min(int(own["is_received"].sum()) / FULL_WEIGHT_RECEIPTS, 1.0)
        probabilities = weight * _kaplan_meier(own, delay_days_max) + (1 - weight) * everyone
        rows += [(supplier, int(days), float(probabilities[days])) for days in np.flatnonzero(probabilities > 0)]
    frame = pd.DataFrame(rows, columns=pd.Index(["supplier_id", "delay_days", "probability"]))
    return frame.astype({"supplier_id": object, "delay_days": "int64", "probability": "float64"})


def _known_lines(purchase_orders: pd.DataFrame, as_of: date, *, delay_days_max: int) -> pd.DataFrame:
    """supplier_id, delay_days, is_received: a delay, or the greatest delay that is known not to have sufficed."""
    today = np.datetime64(as_of, "D")
    ordered, promised, received, cancelled = (
        _dates(purchase_orders[name]) for name in ("ordered_date", "promised_date", "received_date", "cancelled_date")
    )
    is_received = received <= today
    last_seen = np.where(cancelled <= today, cancelled - np.timedelta64(1, "D"), today)
    days = (np.where(is_received, received, last_seen) - promised).astype("timedelta64[D]")
    frame = pd.DataFrame(
        {
            "supplier_id": purchase_orders["supplier_id"].astype(str).to_numpy(),
            "delay_days": np.where(np.isnat(days), -1, days.astype(np.int64)),
            "is_received": is_received,
        }
    )
    frame["delay_days"] = np.where(is_received, np.maximum(frame["delay_days"], 0), frame["delay_days"])
    frame["delay_days"] = np.minimum(frame["delay_days"], delay_days_max)
    return frame.loc[(ordered <= today) & ~np.isnat(promised) & (frame["delay_days"] >= 0)]


def _kaplan_meier(lines: pd.DataFrame, delay_days_max: int) -> Array:
    """P(delay = 0 … delay_days_max); what outlasted every observation is put one day after the last censored one."""
    delays = lines["delay_days"].to_numpy(dtype=np.int64)
    received = lines["is_received"].to_numpy(dtype=bool)
    if not received.any():
        return np.eye(delay_days_max + 1)[0]
    events = np.bincount(delays[received], minlength=delay_days_max + 1)
    seen = np.bincount(delays, minlength=delay_days_max + 1)
    at_risk = seen[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / np.maximum(at_risk, 1))
    probabilities = -np.diff(survival, prepend=1.0)
    probabilities[min(int(delays.max()) + 1, delay_days_max)] += survival[-1]
    return np.where(probabilities > 1e-12, probabilities, 0.0) / probabilities[probabilities > 1e-12].sum()


def _dates(column: Any) -> NDArray[np.datetime64]:
    return pd.to_datetime(column).to_numpy().astype("datetime64[D]")
