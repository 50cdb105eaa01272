"""Forecast accuracy against plain loops, and the days that must not be scored."""

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retail_assets.demand.scores.accuracy import NAIVE_DAYS, score_forecasts
from retail_assets.tables.forecast import DEMAND_FORECAST, FORECAST_ACCURACY, QUANTILE_LEVELS

FIRST = date(2025, 3, 3)
HISTORY_DAYS = 28 + NAIVE_DAYS
SERIES = [("s1", "p1"), ("s1", "p2"), ("s2", "p1")]
SEGMENTS = pd.DataFrame(
    [
        (date(2025, 1, 1), "s1", "p1", "A"),
        (date(2025, 4, 1), "s1", "p1", "B"),
        (date(2025, 1, 1), "s1", "p2", "B"),
        (date(2025, 4, 20), "s2", "p1", "A"),
    ],
    columns=["valid_from", "store_id", "product_id", "abc_class"],
)


@pytest.fixture(scope="module")
def actuals():
    rng = np.random.default_rng(3)
    rows = []
    for store, product in SERIES:
        for offset in range(HISTORY_DAYS + 40):
            sold = float(rng.poisson(3))
            censoring = rng.choice(["none", "unknown", "partial", "full"], p=[0.7, 0.1, 0.1, 0.1])
            missing, is_open = rng.random() < 0.05, rng.random() > 0.05
            units = math.nan if missing or not is_open else sold + (1.5 if censoring in ("full", "partial") else 0)
            sold = math.nan if missing or not is_open else sold
            day = FIRST + timedelta(days=offset)
            rows.append((day, store, product, sold, is_open, missing, censoring, units))
    names = ["business_date", "store_id", "product_id", "sold_units", "is_open", "is_feed_missing"]
    return pd.DataFrame(rows, columns=[*names, "censoring", "unconstrained_units"])


@pytest.fixture(scope="module")
def forecasts():
    rng = np.random.default_rng(4)
    rows = []
    for store, product in [*SERIES, ("s9", "new")]:
        for offset in range(HISTORY_DAYS, HISTORY_DAYS + 42):
            for horizon in range(1, 29, 3):
                target = FIRST + timedelta(days=offset)
                quantiles = np.sort(rng.poisson(3, len(QUANTILE_LEVELS))).astype(np.float32)
                made = target - timedelta(days=horizon)
                origin = "live" if made > date(2025, 5, 1) else "backfill"
                rows.append(
                    (made, store, product, target, horizon, "m", 2 + 2 * rng.random(), 0.1, *quantiles, "1", origin)
                )
    return pd.DataFrame(rows, columns=DEMAND_FORECAST.column_names)


def oracle(forecasts, actuals, segments):
    """The definitions, one forecast at a time."""
    demand = {(r.store_id, r.product_id, r.business_date): r for r in actuals.itertuples()}
    groups = {}
    for f in forecasts.to_dict("records"):
        held = segments[(segments.store_id == f["store_id"]) & (segments.product_id == f["product_id"])]
        held = held[held.valid_from <= f["as_of_date"]].sort_values("valid_from")
        names = ["all"] + ([held.abc_class.iloc[-1]] if len(held) else [])
        bucket = ["1-7", "8-14", "15-21", "22-28"][(f["horizon_days"] - 1) // 7]
        row = demand.get((f["store_id"], f["product_id"], f["target_date"]))
        naive_day = f["target_date"] - timedelta(days=7)
        naive = 0.0
        while naive_day >= FIRST:
            past = demand.get((f["store_id"], f["product_id"], naive_day))
            if naive_day <= f["as_of_date"] and past is not None and not math.isnan(past.unconstrained_units):
                naive = past.unconstrained_units
                break
            naive_day -= timedelta(days=7)
        for name in names:
            group = groups.setdefault((f["target_date"], bucket, name, f["origin"]), {"out": 0, "rows": []})
            if row is None or math.isnan(row.sold_units) or not row.is_open or row.censoring in ("full", "partial"):
                group["out"] += 1
            else:
                group["rows"].append((f, row.sold_units, naive))
    return {key: group for key, group in groups.items() if group["rows"]}


def test_scores_equal_plain_loops(forecasts, actuals):
    scores = score_forecasts(forecasts, actuals, segments=SEGMENTS)
    expected = oracle(forecasts, actuals, SEGMENTS)
    found = {(r["target_date"], r["horizon_bucket"], r["segment"], r["origin"]): r for r in scores.to_dict("records")}
    assert set(found) == set(expected) and len(found) == len(scores)
    for key, group in expected.items():
        row, rows = found[key], group["rows"]
        errors = [f["mean_units"] - y for f, y, _ in rows]
        naive = [n - y for _, y, n in rows]
        total = sum(y for _, y, _ in rows)
        pinballs = [
            level * (y - f[q]) if y > f[q] else (1 - level) * (f[q] - y)
            for f, y, _ in rows
            for q, level in QUANTILE_LEVELS.items()
        ]
        assert (row["series_days"], row["excluded_days"], row["actual_units"]) == (len(rows), group["out"], total)
        assert row["absolute_error_units"] == pytest.approx(sum(map(abs, errors)))
        assert row["error_units"] == pytest.approx(sum(errors))
        assert row["naive_absolute_error_units"] == pytest.approx(sum(map(abs, naive)))
        assert row["pinball"] == pytest.approx(sum(pinballs) / len(pinballs))
        for name in ("q500", "q900", "q950", "q975"):
            assert row[f"coverage_{name}"] == pytest.approx(sum(y <= f[name] for f, y, _ in rows) / len(rows))
        assert_ratio(row["wape"], sum(map(abs, errors)), total)
        assert_ratio(row["bias"], sum(errors), total)
        assert_ratio(row["rmsse"] ** 2, sum(e * e for e in errors), sum(e * e for e in naive))
        assert_ratio(1 - row["forecast_value_added"], sum(map(abs, errors)), sum(map(abs, naive)))


def assert_ratio(value, part, whole):
    if whole == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(part / whole)


def test_days_of_a_longer_horizon_have_buckets_of_their_own(forecasts, actuals):
    """With 28 days named, a day 35 or 60 ahead was counted among those 22 to 28 ahead, or never read."""
    target = forecasts["target_date"].iloc[0]
    some = forecasts.loc[(forecasts["target_date"] == target) & (forecasts["store_id"] == "s2")].iloc[:4]
    far = some.assign(horizon_days=[28, 29, 35, 60], as_of_date=FIRST)
    open_day = actuals.assign(
        sold_units=3.0, unconstrained_units=3.0, is_open=True, is_feed_missing=False, censoring="none"
    )
    scores = score_forecasts(far, open_day, segments=SEGMENTS)
    days = scores.loc[scores["segment"] == "all"].groupby("horizon_bucket")["series_days"].sum()
    assert days.to_dict() == {"22-28": 1, "29-35": 2, "57-63": 1}


def test_frame_keeps_the_contract(forecasts, actuals):
    scores = score_forecasts(forecasts, actuals, segments=SEGMENTS)
    table = pa.Table.from_pandas(scores, schema=FORECAST_ACCURACY.schema, preserve_index=False)
    assert table.schema.equals(FORECAST_ACCURACY.schema)
    assert not scores.duplicated(list(FORECAST_ACCURACY.key)).any()
    empty = score_forecasts(forecasts.iloc[:0], actuals, segments=SEGMENTS)
    assert list(empty.columns) == FORECAST_ACCURACY.column_names and empty.empty


def test_without_segments_only_all_is_scored(forecasts, actuals):
    scores = score_forecasts(forecasts, actuals, segments=SEGMENTS.iloc[:0])
    assert set(scores["segment"]) == {"all"}


def test_naive_does_not_look_past_the_as_of_date(forecasts, actuals):
    """Changing a day after as_of changes no naive of that as-of date, only what is scored."""
    one = forecasts[forecasts["horizon_days"] == 10]
    target = one["target_date"].min()
    one = one[one["target_date"] == target]
    changed = actuals.copy()
    changed.loc[changed["business_date"] == target - timedelta(days=7), "unconstrained_units"] += 100
    before = score_forecasts(one, actuals, segments=SEGMENTS)
    pd.testing.assert_frame_equal(before, score_forecasts(one, changed, segments=SEGMENTS))


def test_dates_as_timestamps_give_the_same_scores(forecasts, actuals):
    stamped = forecasts.assign(
        as_of_date=pd.to_datetime(forecasts["as_of_date"]), target_date=pd.to_datetime(forecasts["target_date"])
    )
    pd.testing.assert_frame_equal(
        score_forecasts(stamped, actuals, segments=SEGMENTS), score_forecasts(forecasts, actuals, segments=SEGMENTS)
    )
