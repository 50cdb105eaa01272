"""Training and forecasting end to end on a small retailer: honest, complete, and back from disk the same."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retail_assets.demand import forecasting, metrics, tournament, training
from retail_assets.demand.calibration.backtest import fold_origins, rolling_origin
from retail_assets.demand.forecasting import forecast
from retail_assets.demand.model_versions import model_versions
from retail_assets.demand.models import contenders
from retail_assets.demand.models.baselines import moving_mean, seasonal_naive
from retail_assets.demand.models.global_model import GlobalModel
from retail_assets.demand.panel import Panel
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.demand.training import TrainedModel, load_model, train
from retail_assets.failures import PermanentFailure
from retail_assets.tables.forecast import (
    BACKTEST_LOSSES,
    CUMULATIVE_FORECAST,
    DEMAND_FORECAST,
    DEMAND_MODEL,
    FORECAST_DRIVERS,
    HIERARCHY_FORECAST,
    QUANTILE_LEVELS,
)
from retail_assets.tables.gold import DEMAND_CLASSES
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of, retailer

CONFIG = TrainingConfig(horizon=14, trees=40, leaves=15, max_train_rows=30_000, tournament_sample=30, threads=1)
DAYS = 260


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(retailer(40, DAYS + 14, seed=3)).through(AS_OF - timedelta(days=14))


@pytest.fixture(scope="module")
def model(panel: Panel) -> TrainedModel:
    return train(panel, CONFIG)


def _columns(table, *without: str) -> set[str]:
    return set(table.column_names) - set(without)


def _is_sound(found: forecasting.Forecast, panel: Panel, horizons: list[int]) -> None:
    assert set(found.daily.columns) == _columns(DEMAND_FORECAST, "origin")
    assert set(found.cumulative.columns) == _columns(CUMULATIVE_FORECAST, "origin")
    assert len(found.daily) == panel.series_count * panel.horizon
    assert len(found.cumulative) == panel.series_count * len(horizons)
    for frame in (found.daily, found.cumulative):
        numbers = frame[["mean_units", "p_zero", *QUANTILE_LEVELS]].to_numpy(dtype=float)
        assert np.isfinite(numbers).all() and (numbers >= 0).all()
        assert (np.diff(numbers[:, 2:], axis=1) >= 0).all()
        assert (frame["p_zero"] <= 1).all()
    totals = (
        found.daily[found.daily["horizon_days"] <= horizons[-1]].groupby(["store_id", "product_id"])["mean_units"].sum()
    )
    longest = found.cumulative[found.cumulative["horizon_days"] == horizons[-1]].set_index(["store_id", "product_id"])
    pd.testing.assert_series_equal(totals.sort_index(), longest["mean_units"].sort_index(), check_exact=False)


def test_every_series_and_day_gets_a_distribution(panel, model):
    found = forecast(panel, model, horizons=[7, 14])
    _is_sound(found, panel, [7, 14])
    assert found.fallback_count == 0 and not found.failures
    assert set(found.daily["model_version"]) == {model.version}
    first = found.daily[(found.daily["store_id"] == "S0") & (found.daily["product_id"] == "P000")]
    assert first["target_date"].tolist() == [panel.as_of + timedelta(days=day) for day in range(1, 15)]


def test_every_level_and_the_reasons_come_with_the_forecast(panel, model):
    found = forecast(panel, model, horizons=[14])
    assert set(found.hierarchy.columns) == _columns(HIERARCHY_FORECAST, "origin")
    total = found.hierarchy.loc[found.hierarchy["level"] == "total"].set_index("target_date")["mean_units"]
    sums = found.daily.groupby("target_date")["mean_units"].sum()
    np.testing.assert_allclose(total.sort_index(), sums.sort_index())
    drivers = found.drivers
    assert set(drivers.columns) == _columns(FORECAST_DRIVERS, "origin")
    assert len(drivers) == panel.series_count * 2
    factors = drivers.filter(like="_factor").prod(axis=1)
    np.testing.assert_allclose(drivers["level_units"] * factors, drivers["mean_units"], rtol=1e-9)
    first = found.daily.loc[found.daily["horizon_days"] <= 7].groupby(["store_id", "product_id"])["mean_units"].mean()
    week = drivers.loc[drivers["week_number"] == 1].set_index(["store_id", "product_id"])["mean_units"]
    np.testing.assert_allclose(week.sort_index(), first.sort_index())
    assert forecast(panel, None, horizons=[14]).drivers.empty


def test_without_a_model_the_seasonal_naive_serves_with_its_own_errors(panel):
    found = forecast(panel, None, horizons=[7, 14])
    _is_sound(found, panel, [7, 14])
    assert set(found.daily["model_version"]) == {"seasonal_naive"} == set(found.daily["model_name"])
    np.testing.assert_allclose(found.daily["mean_units"].to_numpy().reshape(40, 14), seasonal_naive(panel))


def test_the_model_beats_the_naive_on_days_it_has_not_seen(panel, model):
    actual = retailer(40, DAYS + 14, seed=3)[:, -14:]
    scale = metrics.rmsse_scale(panel.units)
    mean = forecast(panel, model, horizons=[14]).daily["mean_units"].to_numpy().reshape(40, 14)
    naive = metrics.rmsse(actual, seasonal_naive(panel), scale=scale)
    assert metrics.rmsse(actual, mean, scale=scale) < 0.9 * naive
    assert metrics.rmsse(actual, mean, scale=scale) < metrics.rmsse(actual, moving_mean(panel), scale=scale)


def test_total_quantiles_hold_over_many_forecast_days(model):
    units = retailer(40, DAYS + 150, seed=3)
    whole = panel_of(units)
    below, not_above = [], []
    for back in range(14, 140, 9):
        past = whole.through(AS_OF - timedelta(days=back))
        total = forecast(past, model, horizons=[7]).cumulative["q900"].to_numpy()
        came = units[:, past.day_count : past.day_count + 7].sum(axis=1)
        below.append(came < total)
        not_above.append(came <= total)
    assert np.mean(below) - 0.03 <= 0.9 <= np.mean(not_above) + 0.03


def test_scores_are_the_contract_and_name_one_winner_a_segment(model):
    assert set(model.scores.columns) == _columns(DEMAND_MODEL, "week_start_date", "model_version")
    assert model.scores.groupby("segment")["is_chosen"].sum().eq(1).all()
    assert not model.scores.isna().any().any()
    for _, names in model.scores.groupby("segment")["model_name"]:
        assert {"seasonal_naive", "moving_mean", "lightgbm", "lightgbm_pulled", "mean_of_best"} <= set(names)
    assert set(model.chosen) == set(DEMAND_CLASSES)
    assert model.scaled_pinball < model.naive_scaled_pinball


def test_a_model_comes_back_from_disk_and_forecasts_the_same(tmp_path, panel, model):
    model.save(tmp_path / "new" / "folder")
    read = load_model(tmp_path / "new" / "folder")
    one, other = (forecast(panel, each, horizons=[3, 14]) for each in (model, read))
    pd.testing.assert_frame_equal(one.daily, other.daily)
    pd.testing.assert_frame_equal(one.cumulative, other.cumulative)
    assert (read.version, read.chosen, read.parts) == (model.version, model.chosen, model.parts)
    assert {path.suffix for path in (tmp_path / "new" / "folder").rglob("*.*")} == {
        ".txt",
        ".json",
        ".parquet",
    }


def test_the_same_data_give_the_same_version_and_other_data_another(panel, model):
    assert train(panel, CONFIG).version == model.version
    assert model.version.startswith(f"{panel.as_of:%Y%m%d}-")
    assert train(panel, replace(CONFIG, seed=1)).version != model.version


def test_nothing_after_the_last_day_changes_the_model(model):
    units = retailer(40, DAYS + 14, seed=3)
    units[:, -14:] = 999.0
    assert train(panel_of(units).through(AS_OF - timedelta(days=14)), CONFIG).version == model.version


def test_a_contender_sees_nothing_after_its_origin(panel):
    seen: list[tuple[int, float]] = []

    def spy(past: Panel) -> np.ndarray:
        seen.append((past.day_count, float(np.nansum(past.units))))
        return moving_mean(past)

    origins = fold_origins(panel.day_count, window=40)
    folds = rolling_origin(panel, {"spy": spy}, origins=origins)
    assert seen == [(origin, float(np.nansum(panel.units[:, :origin]))) for origin in origins]
    np.testing.assert_array_equal(folds[0].actual, panel.units[:, origins[0] : origins[0] + 14])
    assert np.isnan(folds[-1].actual[:, panel.day_count - origins[-1] :]).all()


def test_a_failing_model_falls_back_to_the_naive_and_is_counted(panel, model, monkeypatch):
    def broken(self, part):
        raise RuntimeError("no memory")

    monkeypatch.setattr(GlobalModel, "predict_part", broken)
    everything = replace(model, parts=dict.fromkeys(DEMAND_CLASSES, ("lightgbm",)))
    found = forecast(panel, everything, horizons=[14])
    assert found.fallback_count == 40
    assert found.failures == ("lightgbm failed for 40 series: no memory",)
    np.testing.assert_allclose(found.daily["mean_units"].to_numpy().reshape(40, 14), seasonal_naive(panel))
    assert set(found.daily["model_name"]) == {"seasonal_naive"}


def test_features_that_fail_and_an_arima_that_fails_are_counted_too(panel, model, monkeypatch):
    def broken(*args, **kwargs):
        raise ValueError("bad plan")

    nudged = replace(model, parts=dict.fromkeys(DEMAND_CLASSES, ("lightgbm_pulled",)))
    with monkeypatch.context() as patch:
        patch.setattr(contenders, "nudge", broken)
        found = forecast(panel, nudged, horizons=[14])
    assert (found.fallback_count, found.failures) == (40, ("lightgbm_pulled failed for all 40 series: bad plan",))
    monkeypatch.setattr(GlobalModel, "parts", broken)
    found = forecast(panel, nudged, horizons=[14])
    assert found.fallback_count == 40 and found.failures[0] == "lightgbm failed for all 40 series: bad plan"
    _is_sound(found, panel, [14])


def test_series_the_model_cannot_do_are_counted_one_by_one(panel, model, monkeypatch):
    honest = GlobalModel.predict_part

    def partly(self, part):
        mean = honest(self, part)
        mean[5] = np.nan
        return mean

    monkeypatch.setattr(GlobalModel, "predict_part", partly)
    found = forecast(panel, replace(model, parts=dict.fromkeys(DEMAND_CLASSES, ("lightgbm",))), horizons=[14])
    assert found.fallback_count == 1
    _is_sound(found, panel, [14])


def test_closed_days_expect_nothing_and_add_nothing_to_totals(panel, model):
    is_open = panel.is_open.copy()
    is_open[:, panel.day_count + 2] = False
    closed = replace(panel, is_open=is_open)
    for each in (model, None):
        found = forecast(closed, each, horizons=[2, 3])
        third = found.daily[found.daily["horizon_days"] == 3]
        assert (third[["mean_units", *QUANTILE_LEVELS]] == 0).all(axis=None) and (third["p_zero"] == 1).all()
        two, three = (found.cumulative[found.cumulative["horizon_days"] == days]["mean_units"] for days in (2, 3))
        np.testing.assert_allclose(two, three)


@pytest.mark.parametrize("name", ["price", "discount_rate"])
def test_a_plan_that_lacks_a_day_gives_a_forecast_and_never_a_gap(panel, model, name):
    told = getattr(panel, name).copy()
    told[::2, panel.day_count + 3] = np.nan
    told[1, panel.day_count :] = np.nan
    for each in (model, None):
        found = forecast(replace(panel, **{name: told}), each, horizons=[7, 14])
        _is_sound(found, panel, [7, 14])
        assert found.fallback_count == 0


def test_a_product_on_its_way_out_fades_and_one_that_ends_stops(panel, model):
    units = panel.units.copy()
    units[-1, -42:] = 0.0  # the fastest one has stood unsold for six weeks
    is_open = panel.is_open.copy()
    is_open[-2, panel.day_count + 5 :] = False  # the next one leaves the range after five days
    for each in (model, None):
        found = forecast(replace(panel, units=units, is_open=is_open), each, horizons=[5, 14])
        mean = found.daily["mean_units"].to_numpy().reshape(40, 14)
        assert mean[-1].mean() < 0.1 * panel.units[-1].mean()
        assert (mean[-2, :5] > 0).all() and (mean[-2, 5:] == 0).all()
        five, fortnight = (found.cumulative.query(f"horizon_days == {days}")["mean_units"].iloc[-2] for days in (5, 14))
        assert five == fortnight


def test_the_factor_of_a_class_is_in_every_forecast_and_in_the_reasons(tmp_path, panel, model):
    """A winner is corrected in service as it was when it won; where a model fails the naive stays as it is."""
    factors = dict.fromkeys(DEMAND_CLASSES, 1.2)
    plain = forecast(panel, replace(model, factors={}), horizons=[7, 14])
    raised = replace(model, factors=factors)
    raised.save(tmp_path)
    found = forecast(panel, load_model(tmp_path), horizons=[7, 14])
    for one, other in ((found.daily, plain.daily), (found.cumulative, plain.cumulative)):
        np.testing.assert_allclose(one["mean_units"], 1.2 * other["mean_units"])
    _is_sound(found, panel, [7, 14])
    total = found.hierarchy.loc[found.hierarchy["level"] == "total"].set_index("target_date")["mean_units"]
    np.testing.assert_allclose(total.sort_index(), found.daily.groupby("target_date")["mean_units"].sum().sort_index())
    drivers = found.drivers
    product = drivers["level_units"] * drivers.filter(like="_factor").prod(axis=1)
    np.testing.assert_allclose(product, drivers["mean_units"], rtol=1e-9)
    np.testing.assert_allclose(drivers["adjustment_factor"], 1.2 * plain.drivers["adjustment_factor"])


def test_a_model_saved_before_there_were_factors_forecasts_as_it_did(tmp_path, panel, model):
    replace(model, factors={}).save(tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    del described["factors"]
    (tmp_path / "model.json").write_text(json.dumps(described))
    read = load_model(tmp_path)
    assert read.factors == {}
    one, other = (forecast(panel, each, horizons=[14]).daily for each in (read, replace(model, factors={})))
    pd.testing.assert_frame_equal(one, other)


def test_a_factor_changes_the_version(panel, model):
    other = replace(model, factors=dict.fromkeys(DEMAND_CLASSES, 1.1))
    assert training._version(other) != training._version(model)


def test_losses_by_origin_sum_up_to_the_score(model):
    assert set(model.losses.columns) == _columns(BACKTEST_LOSSES, "week_start_date")
    assert model.losses.groupby(["origin_date", "horizon_days"]).size().eq(1).all()
    assert model.losses["origin_date"].max() == model.trained_through - timedelta(days=7)
    total = model.losses[["loss_units", "naive_loss_units", "actual_units"]].sum()
    assert total["loss_units"] / total["actual_units"] == pytest.approx(model.scaled_pinball)
    assert total["naive_loss_units"] / total["actual_units"] == pytest.approx(model.naive_scaled_pinball)


def _training(*, damaged: bool, days_back: int) -> TrainedModel:
    """Trained some days before the end; `damaged` history is that of other products until the backtest begins."""
    units = retailer(40, DAYS + 14, seed=3)
    if damaged:
        units[:, :170] = units[::-1, :170]
    return train(panel_of(units).through(AS_OF - timedelta(days=days_back)), CONFIG)


@pytest.mark.parametrize("damaged_first", [False, True])
def test_a_training_on_damaged_data_never_replaces_a_sound_one_and_gives_way_to_it(model, damaged_first):
    first = _training(damaged=True, days_back=14) if damaged_first else model
    second = _training(damaged=not damaged_first, days_back=7)
    made = {each.trained_through + timedelta(days=1): each for each in (first, second)}
    scores = [each.scores.assign(week_start_date=week, model_version=each.version) for week, each in made.items()]
    losses = [each.losses.assign(week_start_date=week) for week, each in made.items()]
    versions = model_versions(pd.concat(scores, ignore_index=True), pd.concat(losses, ignore_index=True))
    assert versions["model_version"].tolist() == [first.version, second.version]
    assert versions["promoted_on"].notna().tolist() == [True, damaged_first], versions["reason"].tolist()
    cause = "better than the version in force" if damaged_first else "worse than the version in force"
    assert cause in versions["reason"].iloc[1]


def test_a_sample_is_of_the_same_series_whatever_their_order_and_company(panel):
    config = replace(CONFIG, tournament_sample=5)
    drawn = [set(_names(panel.take(rows))) for rows in (tournament._sample(panel, config),)][0]
    order = np.random.default_rng(1).permutation(panel.series_count)
    shuffled = panel.take(order)
    assert set(_names(shuffled.take(tournament._sample(shuffled, config)))) == drawn
    fewer = panel.take(np.flatnonzero([name in drawn for name in _names(panel)]))
    assert set(_names(fewer.take(tournament._sample(fewer, config)))) == drawn
    assert set(_names(panel.take(tournament._sample(panel, replace(config, seed=1))))) != drawn


def _names(panel: Panel) -> list[str]:
    return (panel.series["store_id"].astype(str) + "/" + panel.series["product_id"].astype(str)).tolist()


def _oddities(days: int) -> np.ndarray:
    units = retailer(40, days, seed=3)
    units[0] = 0.0
    units[1] = 5.0
    units[2] = np.nan
    units[3, :-1] = np.nan
    units[4, 10] = 1e7
    units[5, ::3] = np.nan
    units[6] = np.round(units[6]) * 0.37
    units[7, -100:] = 0.0
    return units


def test_odd_series_get_a_forecast_and_do_not_spoil_the_others(model):
    odd = panel_of(_oddities(DAYS))
    for each in (model, None):
        found = forecast(odd, each, horizons=[7, 14])
        _is_sound(found, odd, [7, 14])
    assert found.daily["mean_units"].to_numpy().reshape(40, 14)[2].mean() > 0, "a new product borrows from like ones"


def test_odd_series_can_be_trained_on():
    odd = panel_of(_oddities(DAYS))
    _is_sound(forecast(odd, train(odd, CONFIG), horizons=[14]), odd, [14])


@settings(max_examples=10, deadline=None)
@given(
    arrays(
        float,
        st.tuples(st.integers(1, 4), st.integers(1, 80)),
        elements=st.one_of(st.floats(0, 1e6), st.just(np.nan), st.just(0.0)),
    )
)
def test_any_history_can_be_forecast(model, units):
    units[0, -1] = 1.0
    for each in (model, None):
        _is_sound(forecast(panel_of(units), each, horizons=[1, 14]), panel_of(units), [1, 14])


def test_a_history_without_a_sale_says_what_to_check():
    with pytest.raises(PermanentFailure, match="Nothing was sold in the 100 days to 2025-06-30"):
        train(panel_of(np.zeros((4, 100))), CONFIG)


def test_weeks_in_which_nothing_can_be_scored_say_so():
    """Sold for a month, then never again: every series is without a sale where forecasts would be scored."""
    units = retailer(4, 126)
    units[:, 30:] = 0.0
    with pytest.raises(PermanentFailure, match="No forecast can be scored on the weeks before 2025-06-30"):
        train(panel_of(units), CONFIG)


def test_a_total_beyond_the_horizon_names_the_setting(panel):
    with pytest.raises(PermanentFailure, match="reaches 14 days ahead; raise RETAIL_HORIZON_DAYS"):
        forecast(panel, None, horizons=[15])


def test_a_folder_without_a_model_says_so(tmp_path):
    with pytest.raises(PermanentFailure, match="holds no demand model, model.json is missing; train one first"):
        load_model(tmp_path)
