"""How long a replay of 91 days and a night's plan take for 30,000 series.

The demand is negative binomial and the forecast the truth: what is measured is time, not service.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.figures import Figure, at_most, seconds
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.replay.replay import policy_replay
from retail_assets.inventory.replay.world import ReplayInputs
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.tables.silver import EVERY

SERIES, STORES, DAYS = 30_000, 100, 91
REPLAY_LIMIT, PLAN_LIMIT = 60.0, 20.0
TARGETS = (0.90, 0.95, 0.98)
_FIRST = date(2025, 1, 6)
_MEANS = np.round(np.geomspace(0.05, 40, 60), 3)
_HORIZONS = (7, 9, 10, 14)
_DISPERSION = 0.3


def figures() -> list[Figure]:
    keys, frames = _frames()
    plan = _plan_frames(keys, frames)
    replay = seconds(lambda: policy_replay(ReplayInputs(**frames), targets=TARGETS))
    planned = seconds(lambda: replenishment_plan(PlanInputs(as_of=_FIRST, **plan)))
    return [
        Figure("scale: series", SERIES, ""),
        at_most(f"scale: replay of {DAYS} days, three targets and two rules", replay, "s", REPLAY_LIMIT),
        at_most("scale: plan of one night", planned, "s", PLAN_LIMIT),
    ]


def _frames() -> tuple[pd.DataFrame, dict[str, Any]]:
    rng = np.random.default_rng(3)
    number = np.arange(SERIES)
    keys = pd.DataFrame(
        {
            "store_id": [f"S{n % STORES:03d}" for n in number],
            "product_id": [f"P{n // STORES:04d}" for n in number],
            "kind": rng.integers(0, len(_MEANS), SERIES),
        }
    )
    mean = _MEANS[keys["kind"]]
    dates = [_FIRST + timedelta(days=offset - 28) for offset in range(28 + DAYS)]
    size, chance = 1 / _DISPERSION, 1 / (1 + _DISPERSION * mean[:, None])
    units = rng.negative_binomial(size, chance, (SERIES, len(dates))).astype(float)
    series = keys.loc[:, ["store_id", "product_id"]]
    demand = series.loc[series.index.repeat(len(dates))].reset_index(drop=True)
    frames = {
        "demand": demand.assign(
            business_date=np.tile(np.array(dates, "datetime64[D]"), SERIES), unconstrained_units=units.ravel()
        ),
        "cumulative": _forecasts(keys),
        "opening": series.assign(on_hand_units=np.ceil(mean * 12)),
        "purchase_orders": pd.DataFrame(columns=pd.Index(["store_id", "product_id", "supplier_id", *_ORDER_COLUMNS])),
        "terms": series.assign(
            supplier_id=[f"SUP{n % 8}" for n in number],
            pack_units=rng.choice([1.0, 6.0, 12.0], SERIES),
            moq_units=0.0,
            lead_time_days=2,
            unit_cost=2.0,
            unit_price=3.0,
            shelf_life_days=np.where(number % 5 == 0, 14.0, np.nan),
        ),
        "order_days": pd.DataFrame({"supplier_id": [f"SUP{n}" for n in range(8)], "order_weekday": 2}),
        "delays": pd.DataFrame(
            {
                "supplier_id": [f"SUP{n}" for n in range(8) for _ in range(2)],
                "delay_days": [0, 1] * 8,
                "probability": [0.9, 0.1] * 8,
            }
        ),
        "segments": series.assign(abc_class=np.array(["A", "B", "C"])[number % 3]),
    }
    return keys, frames


_ORDER_COLUMNS = (
    *("ordered_date", "promised_date", "received_date", "cancelled_date"),
    *("ordered_units", "received_units"),
)


_OPEN_COLUMNS = ("store_id", "product_id", "supplier_id", "ordered_date", "promised_date", "open_units")
_DECISION_COLUMNS = ("proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date")


def _forecasts(keys: pd.DataFrame) -> pd.DataFrame:
    """Weekly, from the eve of the first day on; a total over h days has h times the mean and the size."""
    parts = []
    for days in _HORIZONS:
        total = stats.nbinom(days / _DISPERSION, 1 / (1 + _DISPERSION * _MEANS))
        columns = {name: total.ppf(level).astype(np.float32) for name, level in QUANTILE_LEVELS.items()}
        known = pd.DataFrame({"horizon_days": days, "mean_units": _MEANS * days, "p_zero": total.cdf(0), **columns})
        rows = known.iloc[keys["kind"].to_numpy()].reset_index(drop=True)
        parts.append(pd.concat([keys[["store_id", "product_id"]], rows], axis=1))
    one = pd.concat(parts, ignore_index=True)
    as_ofs = [_FIRST + timedelta(days=offset) for offset in range(-1, DAYS - 1, 7)]
    return pd.concat([one.assign(as_of_date=day) for day in as_ofs], ignore_index=True)


def _plan_frames(keys: pd.DataFrame, frames: dict[str, Any]) -> dict[str, Any]:
    cumulative = frames["cumulative"]
    on_hand = frames["opening"].assign(on_hand_units=lambda rows: np.floor(rows["on_hand_units"] / 3))
    empty = pd.DataFrame(columns=pd.Index(_OPEN_COLUMNS))
    decisions = pd.DataFrame(columns=pd.Index(_DECISION_COLUMNS))
    return {
        "cumulative": cumulative.loc[cumulative["as_of_date"] == cumulative["as_of_date"].iloc[0]],
        "on_hand": on_hand,
        "open_orders": empty,
        "decisions": decisions,
        "terms": frames["terms"].assign(shelf_max_units=np.nan, min_order_value=20.0),
        "order_days": frames["order_days"].assign(location_id=EVERY),
        "delays": frames["delays"],
        "prices": keys[["store_id", "product_id"]].assign(unit_price=3.0, unit_step=1.0),
    }
