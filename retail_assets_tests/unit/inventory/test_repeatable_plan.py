"""A day gives the same plan, health and transfers to the last bit: in any order of rows, with others or without."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retail_assets.inventory.health import StockInputs, inventory_health
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.transfers import TransferCosts, transfer_proposals
from retail_assets.tables.forecast import QUANTILE_LEVELS

AS_OF = date(2025, 3, 1)
DAY = timedelta(days=1)
LEVELS = np.array(list(QUANTILE_LEVELS.values()))
SUPPLIERS = {"V1": (2, [0.7, 0.2, 0.1]), "V2": (5, [0.5] + [0.05] * 10), "V3": (1, [1.0])}
COUNT = 36


@pytest.fixture(scope="module")
def case() -> dict[str, pd.DataFrame]:
    """Two shops, fast and slow products, weighed goods, fresh ones, late suppliers, and several orders under way."""
    rng = np.random.default_rng(5)
    keys = pd.DataFrame(
        {"store_id": ["S1", "S2"] * (COUNT // 2), "product_id": [f"P{n // 2:02}" for n in range(COUNT)]}
    )
    supplier = np.array(list(SUPPLIERS))[rng.integers(0, 3, COUNT)]
    step = np.where(np.arange(COUNT) % 5 == 0, 0.1, 1.0)
    mean = rng.gamma(1.0, 3.0, COUNT) + 0.1
    return {
        "keys": keys,
        "cumulative": _cumulative(keys, mean, step),
        "on_hand": keys.assign(on_hand_units=np.round(mean * rng.uniform(0, 4, COUNT) / step) * step),
        "open_orders": _lines(keys, supplier, mean, rng, step=step),
        "receipts": _receipts(keys, mean, rng, step=step),
        "terms": keys.assign(
            supplier_id=supplier,
            pack_units=np.where(step < 1, 0.5, rng.integers(1, 7, COUNT)),
            moq_units=0.0,
            shelf_max_units=None,
            unit_cost=Decimal("2.0000"),
            shelf_life_days=pd.Series(np.where(np.arange(COUNT) % 3 == 0, rng.integers(2, 12, COUNT), np.nan)),
            lead_time_days=[SUPPLIERS[name][0] for name in supplier],
            min_order_value=None,
        ),
        "prices": keys.assign(unit_price=Decimal("3.5000"), unit_step=step),
        "delays": pd.DataFrame(
            [(name, day, p) for name, (_, chances) in SUPPLIERS.items() for day, p in enumerate(chances)],
            columns=["supplier_id", "delay_days", "probability"],
        ),
    }


def _cumulative(keys: pd.DataFrame, mean: np.ndarray, step: np.ndarray) -> pd.DataFrame:
    rows = []
    for key, daily, smallest in zip(keys.itertuples(index=False), mean, step, strict=True):
        for days in range(1, 29):
            truth = stats.nbinom(2.0 * days, 2.0 / (2.0 + daily / smallest))
            quantiles = dict(zip(QUANTILE_LEVELS, truth.ppf(LEVELS) * smallest, strict=True))
            rows.append((*key, days, daily * days, float(truth.pmf(0)), *quantiles.values()))
    columns = ["store_id", "product_id", "horizon_days", "mean_units", "p_zero", *QUANTILE_LEVELS]
    return pd.DataFrame(rows, columns=columns).astype({name: "float32" for name in QUANTILE_LEVELS})


def _lines(keys, supplier, mean, rng, *, step) -> pd.DataFrame:
    row = rng.integers(0, COUNT, 3 * COUNT)
    units = np.maximum(np.round(mean[row] * rng.uniform(0.2, 1.0, len(row)) / step[row]), 1) * step[row]
    promised = [AS_OF + DAY * int(days) for days in rng.integers(-4, 9, len(row))]
    lines = keys.iloc[row].assign(supplier_id=supplier[row], ordered_date=AS_OF - 20 * DAY, promised_date=promised)
    return lines.assign(open_units=units).reset_index(drop=True)


def _receipts(keys, mean, rng, *, step) -> pd.DataFrame:
    row = rng.integers(0, COUNT, 4 * COUNT)
    units = np.maximum(np.round(mean[row] / step[row]), 1) * step[row]
    received = [AS_OF - DAY * int(days) for days in rng.integers(0, 12, len(row))]
    return keys.iloc[row].assign(received_date=received, received_units=units).reset_index(drop=True)


def plan_of(case: dict[str, pd.DataFrame]) -> pd.DataFrame:
    none = pd.DataFrame(columns=["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"])
    frames = {name: frame for name, frame in case.items() if name != "keys"}
    order_days = pd.DataFrame({"supplier_id": ["V1"] * 2, "location_id": "*", "order_weekday": [1, 4]})
    return replenishment_plan(PlanInputs(as_of=AS_OF, decisions=none, order_days=order_days, **frames))


def health_of(case: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return inventory_health(StockInputs(AS_OF, **_stock(case), receipts=case["receipts"]))


def transfers_of(case: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The first shop has far too much, the second nothing."""
    stock = _stock(case)
    is_full = stock["on_hand"]["store_id"] == "S1"
    stock["on_hand"] = stock["on_hand"].assign(on_hand_units=np.where(is_full, 400.0, 0.0))
    return transfer_proposals(StockInputs(AS_OF, **stock), costs=TransferCosts(line_value=0.5))


def _stock(case: dict[str, pd.DataFrame]) -> dict[str, Any]:
    terms = case["terms"][["store_id", "product_id", "unit_cost", "shelf_life_days"]]
    products = case["prices"].merge(terms).assign(next_delivery_days=5, last_sale_date=AS_OF)
    return {name: case[name] for name in ("on_hand", "open_orders", "cumulative")} | {"products": products}


def shuffled(case: dict[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    return {name: frame.sample(frac=1, random_state=seed + n) for n, (name, frame) in enumerate(case.items())}


def only(case: dict[str, pd.DataFrame], keys: pd.DataFrame) -> dict[str, pd.DataFrame]:
    wanted = pd.MultiIndex.from_frame(keys)
    return {
        name: frame if name == "delays" else frame.loc[pd.MultiIndex.from_frame(frame[keys.columns]).isin(wanted)]
        for name, frame in case.items()
    }


def assert_same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)


@pytest.mark.parametrize("made", [plan_of, health_of, transfers_of])
def test_the_order_of_the_rows_changes_nothing(case, made):
    wanted = made(case)
    assert len(wanted) > 3
    for seed in (1, 2, 3):
        assert_same(made(shuffled(case, seed)), wanted)


def test_the_case_has_what_draws_decide(case):
    plan = plan_of(case)
    assert (plan["expected_waste_units"] > 0).sum() > 3
    assert health_of(case)["expiring_units"].gt(0).sum() > 3
    level = plan["predicted_service_rate"]
    assert level.nunique() > 15 and ((level > 0.5) & (level < 0.999)).sum() > 10


def test_a_line_is_the_same_alone_and_with_any_others(case):
    """Others bring longer lives, delays, protections and more orders under way."""
    plan = plan_of(case).set_index(["store_id", "product_id"]).sort_index()
    health = health_of(case).set_index(["store_id", "product_id"])
    parts = [case["keys"].iloc[rows] for rows in ([0], [1], [7, 3], range(4, 16), range(16, COUNT))]
    for keys in parts:
        some = only(case, keys)
        found = plan_of(some).set_index(["store_id", "product_id"]).sort_index()
        assert_same(found, plan.loc[plan.index.isin(pd.MultiIndex.from_frame(keys))])
        fewer = health_of(some).set_index(["store_id", "product_id"])
        assert_same(fewer, health.loc[health.index.isin(fewer.index)])


def test_planned_four_times_in_one_process_and_in_small_pieces(case, monkeypatch):
    plans = [plan_of(case) for _ in range(4)]
    for plan in plans[1:]:
        assert_same(plan, plans[0])
    health = health_of(case)
    monkeypatch.setattr("retail_assets.inventory.prospects._ROWS_AT_ONCE", 100)
    monkeypatch.setattr("retail_assets.inventory.shelf_life._LINES_AT_ONCE", 3)
    assert_same(plan_of(case), plans[0])
    assert_same(health_of(case), health)


def test_another_day_has_other_draws(case):
    frames = {name: frame for name, frame in case.items() if name != "keys"}
    none = pd.DataFrame(columns=["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"])
    days = pd.DataFrame(columns=["supplier_id", "location_id", "order_weekday"])
    weekly = [
        replenishment_plan(
            PlanInputs(as_of=AS_OF + 7 * n * DAY, decisions=none, order_days=days, **frames | {"receipts": None})
        )
        for n in range(2)
    ]
    waste = [plan.set_index(["store_id", "product_id"])["expected_waste_units"] for plan in weekly]
    assert (waste[0].reindex(waste[1].index) != waste[1]).any()
