"""The replay against textbook service, hand-made histories, and the promise that no policy looks ahead."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.inventory.replay import replay
from retail_assets.inventory.replay.replay import Replay, policy_replay
from retail_assets.inventory.replay.world import ReplayInputs, days_of, replay_world, rows_of
from retail_assets.tables.inventory import POLICY_REPLAY
from retail_assets_tests.unit.replay_frames import MONDAY, poisson_retailer


def row_of(frame, policy, target=0.95, abc_class="all"):
    found = frame[
        (frame["policy"] == policy) & (frame["target_service_rate"] == target) & (frame["abc_class"] == abc_class)
    ]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(("unmet_demand", "cycle", "fill"), [("backorder", 0.9574, 0.9634), ("lost", 0.9688, 0.9751)])
def test_forecast_policy_gives_the_textbook_service(unmet_demand, cycle, fill):
    """Poisson 2 a day, daily orders, lead time 2: the level for 0.95 is 10."""
    frames = poisson_retailer(1500, 120, mean=2.0, horizons=[3], order_weekdays=[])
    found = row_of(policy_replay(ReplayInputs(**frames), targets=[0.95], unmet_demand=unmet_demand), "forecast")
    assert found["achieved_cycle_rate"] == pytest.approx(cycle, abs=0.003)
    assert found["achieved_fill_rate"] == pytest.approx(fill, abs=0.003)
    assert found["predicted_service_rate"] == pytest.approx(cycle, abs=0.008)


def test_packs_keep_the_target_instead_of_overshooting():
    """Weekly orders of packs of 12 against mean 10: (R, nQ) with s = 11 achieves 0.956, not 0.991."""
    frames = poisson_retailer(1500, 112, mean=10 / 7, horizons=[7], order_weekdays=[1], lead=0, pack=12.0)
    found = row_of(policy_replay(ReplayInputs(**frames), targets=[0.95], unmet_demand="backorder"), "forecast")
    assert found["achieved_cycle_rate"] == pytest.approx(0.955763, abs=0.006)


def test_late_deliveries_are_mixed_into_the_level():
    """Predicted and achieved agree when a fifth of the lorries is three days late."""
    frames = poisson_retailer(
        1500, 112, mean=8.0, horizons=[9, 12], order_weekdays=[3], delays=((0, 0.8), (3, 0.2)), stores=1500
    )
    found = row_of(policy_replay(ReplayInputs(**frames), targets=[0.9], unmet_demand="backorder"), "forecast", 0.9)
    assert found["predicted_service_rate"] >= 0.9
    assert found["achieved_cycle_rate"] == pytest.approx(found["predicted_service_rate"], abs=0.01)


def test_higher_target_costs_stock_and_saves_sales():
    frames = poisson_retailer(200, 84, mean=2.0, horizons=[9, 14], order_weekdays=[2])
    rows = [row_of(policy_replay(ReplayInputs(**frames)), "forecast", target) for target in replay.TARGETS]
    assert [row["mean_stock_units"] for row in rows] == sorted(row["mean_stock_units"] for row in rows)
    assert [row["lost_units"] for row in rows] == sorted((row["lost_units"] for row in rows), reverse=True)
    assert rows[0]["assumptions"] == "nothing on order at the start"


def test_frame_keeps_the_contract_and_classes_add_up():
    frames = poisson_retailer(60, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    found = policy_replay(ReplayInputs(**frames))
    table = pa.Table.from_pandas(found, schema=POLICY_REPLAY.schema, preserve_index=False)
    assert table.num_rows == 3 * 3 * len(replay.TARGETS)
    assert not found.duplicated(list(POLICY_REPLAY.key)).any()
    classes = [row_of(found, "forecast", 0.95, name) for name in ("A", "B")]
    whole = row_of(found, "forecast")
    for name in ("series_count", "cycle_count", "mean_stock_units", "lost_units", "order_count", "holding_cost_value"):
        assert float(whole[name]) == pytest.approx(sum(float(row[name]) for row in classes), abs=2e-4)
    parts = ("holding_cost_value", "ordering_cost_value", "wasted_value", "lost_margin_value")
    assert whole["total_cost_value"] == sum(whole[name] for name in parts)


def test_order_lines_cost_what_they_are_said_to():
    frames = poisson_retailer(20, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    found = row_of(policy_replay(ReplayInputs(**frames), order_line_value=0.25), "forecast")
    assert found["ordering_cost_value"] == Decimal("0.25") * int(found["order_count"]) > 0


def test_predicted_service_knows_waste():
    """Bread: four days of life, packs of six, orders twice a week: without waste the formula would promise 0.95."""
    frames = poisson_retailer(600, 84, mean=1.0, horizons=[5, 6, 8], order_weekdays=[2, 5], lead=2, pack=6.0)
    frames["terms"] = frames["terms"].assign(shelf_life_days=4.0, unit_price=8.0)
    found = row_of(policy_replay(ReplayInputs(**frames)), "forecast")
    assert found["wasted_units"] > 500 and found["wasted_value"] == Decimal("2") * int(found["wasted_units"])
    assert found["achieved_cycle_rate"] < 0.9
    assert found["predicted_service_rate"] == pytest.approx(found["achieved_cycle_rate"], abs=0.015)


def test_no_more_than_the_shelf_holds():
    frames = poisson_retailer(50, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    free = row_of(policy_replay(ReplayInputs(**frames)), "forecast")
    bound = row_of(
        policy_replay(ReplayInputs(**(frames | {"terms": frames["terms"].assign(shelf_max_units=12.0)}))), "forecast"
    )
    assert bound["mean_stock_units"] < 12 * 50 < free["mean_stock_units"] * 1.5
    assert bound["lost_units"] > 5 * free["lost_units"]


def test_weeks_add_up_to_the_table():
    frames = poisson_retailer(60, 70, mean=2.0, horizons=[9], order_weekdays=[2])
    past = Replay.of(ReplayInputs(**frames))
    (run,) = past.runs()
    trace = run.trace("forecast", 0.95)
    weeks = past.weeks(run, trace, run.predicted(trace))
    row = row_of(policy_replay(ReplayInputs(**frames)), "forecast")
    assert weeks["cycles"].sum() == row["cycle_count"] and weeks["unmet"].sum() == row["lost_units"]
    assert 1 - weeks["failures"].sum() / weeks["cycles"].sum() == pytest.approx(row["achieved_cycle_rate"])
    days = (row["to_date"] - row["from_date"]).days + 1
    assert weeks["stock"].sum() / days == pytest.approx(row["mean_stock_units"])
    assert weeks["predicted"].sum() / weeks["cycles"].sum() == pytest.approx(row["predicted_service_rate"])
    assert set(weeks["week"].dt.dayofweek) == {0}
    own = np.where(past.classes == "A", 0.99, 0.6)
    high, low, mixed = (
        past.weeks(run, run.trace("forecast", level)).groupby("abc_class")["stock"].sum() for level in (0.99, 0.6, own)
    )
    assert mixed["A"] == high["A"] and mixed["B"] == low["B"]


def test_result_depends_on_the_seed_and_only_sampled_paths_on_chunks(monkeypatch):
    frames = poisson_retailer(60, 56, mean=2.0, horizons=[9, 12], order_weekdays=[2], delays=((0, 0.5), (3, 0.5)))
    whole = policy_replay(ReplayInputs(**frames), seed=1)
    monkeypatch.setattr(replay, "_CHUNK_SERIES", 7)
    parts = policy_replay(ReplayInputs(**frames), seed=1)
    pd.testing.assert_frame_equal(*(frame.drop(columns="predicted_service_rate") for frame in (whole, parts)))
    assert whole["predicted_service_rate"].dropna().to_numpy() == pytest.approx(
        parts["predicted_service_rate"].dropna().to_numpy(), abs=0.01
    )
    pd.testing.assert_frame_equal(parts, policy_replay(ReplayInputs(**frames), seed=1))
    assert not whole.equals(policy_replay(ReplayInputs(**frames), seed=2))


def test_score_starts_after_first_arrival_and_protection():
    """Orders on Tuesdays, lead 2: first arrival Thursday day 3, protection 9, so cycles from day 17 on."""
    frames = poisson_retailer(10, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    found = row_of(policy_replay(ReplayInputs(**frames)), "forecast")
    assert found["from_date"] == MONDAY + timedelta(days=17)
    assert found["to_date"] == MONDAY + timedelta(days=51)
    assert found["cycle_count"] == 10 * 5


def test_too_short_a_past_gives_no_rows():
    frames = poisson_retailer(10, 18, mean=2.0, horizons=[9], order_weekdays=[2])
    assert policy_replay(ReplayInputs(**frames)).empty
    assert policy_replay(ReplayInputs(**(frames | {"demand": frames["demand"].iloc[:0]}))).empty
    assert list(policy_replay(ReplayInputs(**(frames | {"cumulative": frames["cumulative"].iloc[:0]}))).columns) == (
        POLICY_REPLAY.column_names
    )


def history_lines(rows):
    columns = ["store_id", "product_id", "ordered", "promised", "received", "ordered_units", "received_units"]
    lines = pd.DataFrame(rows, columns=columns)
    for name in ("ordered", "promised", "received"):
        lines[f"{name}_date"] = [None if pd.isna(day) else MONDAY + timedelta(days=int(day)) for day in lines[name]]
    return lines.assign(supplier_id="x", cancelled_date=None)


def test_history_is_the_real_receipts():
    frames = poisson_retailer(1, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    frames["demand"]["unconstrained_units"] = 2.0
    frames["opening"]["on_hand_units"] = 40.0
    frames["purchase_orders"] = history_lines(
        [
            ("s0", "p0", -3, 2, 5, 6.0, 6.0),
            ("s0", "p0", 18, 20, 30, 50.0, 40.0),
            ("s0", "p0", 53, 60, None, 9.0, np.nan),
        ]
    )
    found = row_of(policy_replay(ReplayInputs(**frames), policies=Policies(PlanPolicy(holding_rate=0.365))), "history")
    stock, unmet, closing = 40.0, [], []
    for day in range(56):
        stock += {5: 6.0, 30: 40.0}.get(day, 0.0)
        sold = min(stock, 2.0)
        stock -= sold
        unmet.append(2.0 - sold)
        closing.append(stock)
    scored = slice(17, 52)
    assert found["lost_units"] == sum(unmet[scored]) > 0
    assert found["mean_stock_units"] == pytest.approx(np.mean(closing[scored]))
    assert found["order_count"] == 1
    assert found["holding_cost_value"] == pytest.approx(Decimal(str(round(sum(closing[scored]) * 2 * 0.001, 4))))
    assert found["lost_margin_value"] == Decimal("1") * int(sum(unmet[scored]))
    assert found["achieved_cycle_rate"] == pytest.approx(
        1 - np.mean([any(unmet[start : start + 7]) for start in range(17, 52, 7)])
    )


def world_of(frames, seed=0):
    return replay_world(ReplayInputs(**frames), seed=seed)


def test_open_orders_arrive_when_they_really_did_and_late_promises_do_not_count():
    frames = poisson_retailer(1, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    frames["purchase_orders"] = history_lines(
        [
            ("s0", "p0", -3, 2, 4, 6.0, 6.0),
            ("s0", "p0", -9, -4, -2, 5.0, 5.0),
            ("s0", "p0", -2, 30, 31, 7.0, 7.0),
            ("s0", "p0", -5, -1, None, 3.0, np.nan),
        ]
    )
    world = world_of(frames)
    assert world.supply.arriving[0, 4] == 6 and world.supply.arriving[0, 31] == 7 and world.supply.arriving.sum() == 13
    # 6 until they come on day 4, 7 all the time to day 30, 3 until they are 14 days overdue on day 14
    assert world.supply.expected[0, [0, 3, 4, 13, 14, 30, 31]].tolist() == [16, 16, 10, 10, 7, 7, 0]
    assert world.beyond[0, [0, 10, 29, 31]].tolist() == [7, 7, 0, 0]


def test_policies_count_on_what_was_promised_not_on_what_came_of_it():
    frames = poisson_retailer(1, 56, mean=2.0, horizons=[3], order_weekdays=[])
    frames["opening"] = frames["opening"].assign(on_hand_units=6.0)
    fates = {
        "whole": [("s0", "p0", -3, 2, 4, 12.0, 12.0)],
        "short": [("s0", "p0", -3, 2, 4, 12.0, 2.0)],
        "never": [("s0", "p0", -3, 2, None, 12.0, np.nan)],
        "early": [("s0", "p0", -3, 25, 4, 12.0, 12.0)],
    }
    orders = {}
    for name, lines in fates.items():
        run = only_run(frames | {"purchase_orders": history_lines(lines)})
        orders[name] = run.trace("forecast", 0.95).ordered[0]
    cancelled = history_lines(fates["never"]).assign(cancelled_date=MONDAY + timedelta(days=4))
    orders["cancelled"] = only_run(frames | {"purchase_orders": cancelled}).trace("forecast", 0.95).ordered[0]
    for name in ("short", "never", "cancelled"):
        np.testing.assert_array_equal(orders[name][:4], orders["whole"][:4])
    assert orders["short"][4] > orders["whole"][4]
    # promised for day 25 nobody counts on it, and once it has come early nobody subtracts it any more
    assert orders["early"][0] > orders["whole"][0] and orders["early"][4:10].sum() <= orders["whole"][4:10].sum()


def test_what_was_received_of_a_line_closed_short_still_arrives():
    frames = poisson_retailer(1, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    lines = history_lines([("s0", "p0", -3, 2, 4, 6.0, 5.0), ("s0", "p0", -3, 2, None, 6.0, 0.0)])
    frames["purchase_orders"] = lines.assign(cancelled_date=MONDAY + timedelta(days=4))
    world = world_of(frames)
    assert world.supply.arriving[0, 4] == 5 == world.supply.arriving.sum()


def test_a_pack_or_life_below_one_day_or_step_is_none():
    frames = poisson_retailer(6, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    wrong = frames["terms"].assign(pack_units=[0.0, -6.0, None, 1.0, 1.0, 1.0], shelf_life_days=0)
    right = frames["terms"].assign(pack_units=1.0, shelf_life_days=1)
    pd.testing.assert_frame_equal(
        *(policy_replay(ReplayInputs(**(frames | {"terms": terms}))) for terms in (wrong, right))
    )


def test_opening_stock_that_is_not_known_does_not_follow_from_later_demand():
    frames = poisson_retailer(5, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    frames["opening"] = frames["opening"].iloc[:0]
    frames["demand"] = frames["demand"].loc[frames["demand"]["business_date"] >= MONDAY]
    assert world_of(frames).opening.tolist() == [0.0] * 5


def test_nothing_known_still_replays_and_says_what_was_assumed():
    frames = poisson_retailer(20, 84, mean=2.0, horizons=[7, 14, 28], order_weekdays=[2])
    empty = {name: frames[name].iloc[:0] for name in ("opening", "terms", "order_days", "delays", "segments")}
    found = policy_replay(ReplayInputs(**(frames | empty)))
    row = row_of(found, "forecast")
    assert set(found["abc_class"]) == {"all"} and set(found["policy"]) == {"forecast", "days_of_cover", "min_max"}
    assert row["total_cost_value"] == 0 and row["achieved_cycle_rate"] > 0.85
    assert row["assumptions"] == (
        "lead time 7 days and orders on Mondays for 20 of 20 series without a supplier; "
        "opening stock of 21 days' demand for 20 of 20 series without stock data; nothing on order at the start; "
        "no money for 20 of 20 series without cost or price"
    )


def test_scaled_horizons_and_missing_forecasts_are_said():
    frames = poisson_retailer(20, 84, mean=2.0, horizons=[7, 14], order_weekdays=[2])
    last = frames["cumulative"]["product_id"] == "p0"
    frames["cumulative"] = frames["cumulative"][~last | (frames["cumulative"]["as_of_date"] < MONDAY)]
    said = row_of(policy_replay(ReplayInputs(**frames)), "forecast")["assumptions"]
    assert "demand scaled from the nearest stored horizon" in said
    assert "no forecast orders for series and days without a forecast" in said


def test_series_without_any_forecast_are_counted():
    frames = poisson_retailer(20, 84, mean=2.0, horizons=[9], order_weekdays=[2])
    frames["cumulative"] = frames["cumulative"].loc[frames["cumulative"]["product_id"] != "p0"]
    row = row_of(policy_replay(ReplayInputs(**frames)), "forecast")
    assert row["series_count"] == 13 and "7 of 20 series left out without a forecast" in row["assumptions"]


def test_no_policy_looks_ahead():
    """What becomes known from day 40 on changes no order before it."""
    frames = poisson_retailer(30, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    later = frames | {"demand": frames["demand"].copy(), "cumulative": frames["cumulative"].copy()}
    cut = MONDAY + timedelta(days=40)
    later["demand"].loc[later["demand"]["business_date"] >= cut, "unconstrained_units"] += 50
    numbers = ["mean_units", *[name for name in later["cumulative"] if name.startswith("q")]]
    later["cumulative"].loc[later["cumulative"]["as_of_date"] >= cut, numbers] *= 3
    orders = [orders_until(one, 40) for one in (frames, later)]
    for before, after in zip(*orders, strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.sum() > 0


def orders_until(frames, day):
    run = only_run(frames)
    policies = [("forecast", 0.9), ("forecast", 0.98), ("days_of_cover", 7), ("min_max", 1.5)]
    return [run.trace(policy, parameter).ordered[:, :day] for policy, parameter in policies]


def only_run(frames, **policies):
    return next(Replay.of(ReplayInputs(**frames), policies=Policies(PlanPolicy(**policies))).runs())


def test_cycles_without_a_forecast_are_scored_under_no_policy():
    frames = poisson_retailer(40, 56, mean=2.0, horizons=[3], order_weekdays=[])
    ended = frames["cumulative"]["product_id"] == "p0"
    is_late = frames["cumulative"]["as_of_date"] > MONDAY + timedelta(days=20)
    some = frames | {"cumulative": frames["cumulative"].loc[~(ended & is_late)]}
    all_scored, fewer = policy_replay(ReplayInputs(**frames)), policy_replay(ReplayInputs(**some))
    assert fewer["cycle_count"].nunique() == all_scored["cycle_count"].nunique()
    assert (fewer["cycle_count"] < all_scored["cycle_count"]).any()
    assert "cycles without a forecast are not scored" in row_of(fewer, "min_max")["assumptions"]
    assert "not scored" not in (row_of(all_scored, "min_max")["assumptions"] or "")
    past = Replay.of(ReplayInputs(**some))
    (run,) = past.runs()
    trace = run.trace("forecast", 0.95)
    promised = run.predicted(trace)
    assert past.weeks(run, trace, promised)["cycles"].sum() == len(promised) and not np.isnan(promised).any()


def test_lines_by_fill_rate_are_ordered_by_fill_rate():
    """Poisson 2 a day, daily orders, lead time 2: position 10 gives fill 0.9634, 9 gives 0.9255."""
    frames = poisson_retailer(20, 56, mean=2.0, horizons=[2, 3], order_weekdays=[])
    by_cycle, by_fill = (only_run(frames, service_measure=measure) for measure in ("cycle", "fill"))
    for target, cycle, fill in ((0.93, 10, 9), (0.95, 10, 10)):
        positions = [run.trace("forecast", target).position[:, 20:].max() for run in (by_cycle, by_fill)]
        assert positions == [cycle, fill]


def test_the_shelf_life_cap_follows_the_margin_or_the_target():
    frames = poisson_retailer(20, 56, mean=2.0, horizons=[1, 2, 3, 4, 5, 6], order_weekdays=[])
    terms = frames["terms"].assign(shelf_life_days=4.0, unit_cost=3.0, unit_price=3.1)
    runs = {
        name: only_run(frames | {"terms": terms}, **given)
        for name, given in {
            "paying": {},
            "target": {"shelf_life_cap": "target"},
            "goodwill": {"goodwill_value": 300.0},
        }.items()
    }
    traces = {name: run.trace("forecast", 0.98) for name, run in runs.items()}
    wasted = {name: trace.wasted.sum() for name, trace in traces.items()}
    held = {name: trace.position.mean() for name, trace in traces.items()}
    assert wasted["paying"] < min(wasted["target"], wasted["goodwill"])
    assert held["paying"] < min(held["target"], held["goodwill"])


@pytest.mark.parametrize(("policy", "parameter"), [("forecast", 0.98), ("days_of_cover", 9), ("min_max", 2.0)])
def test_every_policy_knows_what_the_shelf_holds_and_how_long_goods_keep(policy, parameter):
    frames = poisson_retailer(20, 56, mean=2.0, horizons=[2, 3, 4, 5, 6], order_weekdays=[])
    free = only_run(frames).trace(policy, parameter)
    small = only_run(frames | {"terms": frames["terms"].assign(shelf_max_units=7.0)}).trace(policy, parameter)
    assert small.position[:, 12:].max() <= 7 < free.position[:, 12:].max()
    short = only_run(frames | {"terms": frames["terms"].assign(shelf_life_days=2.0)}).trace(policy, parameter)
    assert short.position[:, 12:].mean() < free.position[:, 12:].mean()


def test_min_and_max_may_lie_a_unit_apart():
    frames = poisson_retailer(20, 56, mean=2.0, horizons=[3], order_weekdays=[])
    run = only_run(frames)
    none, week = (run.trace("min_max", 1.2, lot_days=days) for days in (0.0, 7.0))
    assert (none.ordered > 0).sum() > 2 * (week.ordered > 0).sum()
    assert none.closing[:, 12:].mean() < week.closing[:, 12:].mean() - 4


def test_receipts_after_trading_arrive_a_day_later():
    frames = poisson_retailer(5, 56, mean=2.0, horizons=[3, 4], order_weekdays=[])
    early, late = (only_run(frames, receipt_delay_days=days).world for days in (0, 1))
    np.testing.assert_array_equal(late.supply.lead_days, early.supply.lead_days + 1)
    np.testing.assert_array_equal(late.lead_time_days, early.lead_time_days + 1)


def test_censored_demand_is_drawn_above_sales():
    frames = poisson_retailer(400, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    frames["demand"] = frames["demand"].assign(sold_units=3.0, unconstrained_units=5.5, unconstrained_sd=1.5)
    drawn = world_of(frames).demand
    assert drawn.min() >= 3 and (drawn == np.round(drawn)).all()
    assert drawn.mean() == pytest.approx(5.5, abs=0.03) and drawn.std() == pytest.approx(1.5, abs=0.12)
    observed = frames["demand"].assign(unconstrained_units=3.0, unconstrained_sd=0.0)
    assert (world_of(frames | {"demand": observed}).demand == 3).all()


def test_drawn_demand_depends_on_no_order_of_rows_and_leaves_the_frame_alone():
    frames = poisson_retailer(10, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    given = frames["demand"].assign(sold_units=2.0, unconstrained_units=4.5, unconstrained_sd=1.5)
    kept = given.copy()
    orders = (given, given.sample(frac=1, random_state=1))
    np.testing.assert_array_equal(*(world_of(frames | {"demand": demand}).demand for demand in orders))
    pd.testing.assert_frame_equal(given, kept)


def test_lines_find_their_series():
    series = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")], names=["store_id", "product_id"])
    lines = pd.DataFrame({"store_id": ["b", "b", "a", "z"], "product_id": ["x", "y", "y", "x"]})
    assert rows_of(lines, series).tolist() == [2, -1, 1, -1]
    assert days_of(pd.Series([MONDAY, None, MONDAY])).tolist() == [20094, -1, 20094]


def test_exact_decimals_and_missing_values_are_read():
    """Frames as they come from the lake: decimals, None, several months of segments."""
    frames = poisson_retailer(20, 56, mean=2.0, horizons=[9], order_weekdays=[2])
    expected = policy_replay(ReplayInputs(**frames))
    exact = frames["terms"].assign(unit_cost=[Decimal("2.0000")] * 20, unit_price=[Decimal("3.0000")] * 20)
    exact = exact.assign(moq_units=None, pack_units=None, shelf_life_days=None)
    older = frames["segments"].assign(abc_class="C", valid_from=MONDAY - timedelta(days=60))
    segments = pd.concat([frames["segments"].assign(valid_from=MONDAY), older])
    stock = frames["opening"].assign(on_hand_units=[Decimal("16.000")] * 20)
    found = policy_replay(ReplayInputs(**(frames | {"terms": exact, "segments": segments, "opening": stock})))
    pd.testing.assert_frame_equal(found, expected)
