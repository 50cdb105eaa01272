"""Models of totals find the effects that were put in, fail one by one, and give coherent rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from retail_assets.demand.models.baselines import moving_mean, seasonal_smoothing
from retail_assets.demand.panel import Panel
from retail_assets.demand.totals import group_models
from retail_assets.demand.totals.aggregate import (
    AggregateModel,
    fit_aggregate,
    fit_pull,
    group_totals,
    hierarchy_rows,
    load_aggregate,
    nudge,
    reconciliation_targets,
)
from retail_assets.demand.totals.group_models import MODELS, exponential_smoothing, fitted, forecast
from retail_assets.demand.totals.group_series import CalendarRegressors, GroupSeries, group_series
from retail_assets.demand.totals.hierarchy import LEVELS
from retail_assets.tables.forecast import BOTTOM_UP, HIERARCHY_FORECAST
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of, retailer

CHEAP = ("seasonal_naive", "ets", "ets_effects", "regression")


def _event(days_from_as_of: int) -> dict[str, object]:
    day = pd.Timestamp(AS_OF) + pd.Timedelta(days=days_from_as_of)
    return {"event_date": day, "event_name": "Fair", "event_type": "fair", "region": "*"}


def _weekly(days: int, *, seed: int = 2) -> np.ndarray:
    """Ten series of 20 a day, 36 on every seventh."""
    rng = np.random.default_rng(seed)
    weekday = np.where(np.arange(days) % 7 == 3, 1.8, 1.0)
    return rng.poisson(20 * weekday * np.ones((10, 1))) * 1.0


def _too_little(panel: Panel) -> np.ndarray:
    return moving_mean(panel) / 3


def _total(panel: Panel) -> GroupSeries:
    return next(group_series(panel, LEVELS[:1], CalendarRegressors.of(panel)))


@pytest.mark.parametrize("model", ["ets_effects", "regression", "arma", "arima"])
def test_a_total_follows_weekday_and_promotion(model):
    units = _weekly(300)
    promoted = np.random.default_rng(0).random(314) < 0.2
    units[:, promoted[:300]] *= 1.5
    panel = panel_of(units)
    panel.discount_rate[:] = np.where(promoted, 0.25, 0.0)
    found = forecast(fitted(model, _total(panel)), _total(panel))
    expected = 200 * np.where((300 + np.arange(14)) % 7 == 3, 1.8, 1.0) * np.where(promoted[300:], 1.5, 1.0)
    np.testing.assert_allclose(found, expected, rtol=0.1)


@pytest.mark.parametrize("model", list(MODELS))
def test_every_model_knows_the_weekday(model):
    total = _total(panel_of(_weekly(200)))
    found = forecast(fitted(model, total), total)
    assert found.argmax() == np.flatnonzero((200 + np.arange(14)) % 7 == 3)[0] or found.max() < 1.05 * found[6]
    assert found.mean() == pytest.approx(200 * 7.8 / 7, rel=0.06)


def test_smoothing_is_that_of_statsmodels():
    values = np.log(_weekly(150).sum(axis=0))
    known = {"initial_level": values[:56].mean()}
    start = np.array([values[:56][slot::7].mean() - values[:56].mean() for slot in range(7)])
    peer = ETSModel(
        values, seasonal="add", seasonal_periods=7, initialization_method="known", initial_seasonal=start, **known
    )
    names = {"smoothing_level": 0.1, "smoothing_seasonal": 0.05, "initial_level": known["initial_level"]}
    names |= {f"initial_seasonal.{slot}": start[slot] for slot in range(7)}
    run = peer.smooth([names.get(name, 0.0) for name in peer.param_names])
    level, season, errors = exponential_smoothing(values, np.array([0.1]), np.array([0.05]))
    ahead = level[0] + season[0, (150 + np.arange(14)) % 7]
    np.testing.assert_allclose(errors[0], run.resid, atol=1e-9)
    np.testing.assert_allclose(ahead, run.forecast(14), atol=1e-9)


def test_a_rare_group_keeps_its_mean():
    """The log would leave out the days without a sale."""
    total = _total(panel_of(np.random.default_rng(5).poisson(0.3, (2, 300)).astype(float)))
    for model in ("ets", "regression"):
        assert forecast(fitted(model, total), total).mean() == pytest.approx(0.6, rel=0.35)


def test_a_total_misses_what_closed_stores_and_lost_feeds_would_have_added():
    units = _weekly(120)
    units[::2, 50] = np.nan
    panel = panel_of(units)
    total = _total(panel).total
    assert total[50] == pytest.approx(2 * np.nansum(units[:, 50]), rel=0.05)
    np.testing.assert_allclose(np.delete(total, 50), np.delete(units.sum(axis=0), 50))
    units[:, 60] = np.nan
    assert np.isnan(_total(panel_of(units)).total[60])


def test_stores_that_will_be_closed_are_left_out_of_the_total():
    panel = panel_of(_weekly(200))
    panel.is_open[::2, 205] = False
    panel.is_open[:, 206] = False
    total = _total(panel)
    for model in ("ets", "regression", "seasonal_naive"):
        found = forecast(fitted(model, total), total)
        everywhere = forecast(fitted(model, total), replace(total, open_share=np.ones(214)))
        assert found[5] == pytest.approx(everywhere[5] / 2, rel=0.1) and found[6] == 0


def test_what_explodes_is_refused_in_a_sentence():
    total = _total(panel_of(_weekly(200)))
    fit = replace(fitted("ets", total), variance=9.0)
    with pytest.raises(ValueError, match=r"it expects .* on a day, and .* would be 5 times the record"):
        forecast(fit, total)
    with pytest.raises(ValueError, match="no demand"):
        fitted("ets", replace(total, total=np.zeros(200)))


def test_the_better_model_of_a_level_is_found():
    """Promotions that only the regressors know decide between the two."""
    units = _weekly(300)
    promoted = np.random.default_rng(0).random(314) < 0.3
    units[:, promoted[:300]] *= 2
    panel = panel_of(units)
    panel.discount_rate[:] = np.where(promoted, 0.5, 0.0)
    level = fit_aggregate(panel, models=("seasonal_naive", "regression")).level("total")
    assert level is not None and level.chosen == "regression"
    assert level.scores["regression"].rmsse < 0.5 * level.scores["seasonal_naive"].rmsse
    assert level.scores["regression"].rmsse < level.scores[BOTTOM_UP].rmsse


def test_sums_of_the_series_stay_where_no_model_of_totals_beats_them():
    panel = panel_of(_weekly(300))
    model = fit_aggregate(panel, bottom=seasonal_smoothing, models=("seasonal_naive",))
    assert {level.chosen for level in model.levels} == {BOTTOM_UP}
    assert group_totals(panel, model) == {}


def test_series_move_by_the_ratio_to_the_strength_and_keep_their_shares():
    panel = panel_of(_weekly(300))
    model = fit_aggregate(panel, models=CHEAP)
    flat = moving_mean(panel)
    groups = panel.series["department"].to_numpy()
    moved = nudge(flat, panel, model, strength=0.5)
    for name in np.unique(groups):
        rows = groups == name
        total = reconciliation_targets(panel, model)[0].totals[["D0", "D1", "D2"].index(name)]
        np.testing.assert_allclose(moved[rows].sum(axis=0), np.sqrt(flat[rows].sum(axis=0) * total))
        np.testing.assert_allclose(moved[rows] / moved[rows].sum(axis=0), flat[rows] / flat[rows].sum(axis=0))


@pytest.mark.parametrize(
    "units", [np.full((4, 120), 3.0), np.zeros((4, 120)), retailer(4, 40), retailer(1, 150), np.full((3, 130), np.nan)]
)
def test_panels_without_anything_to_learn_do_not_break(units):
    if np.isnan(units).all():
        units[0, :2] = 1.0
        units[0, -1] = 0.0
    panel = panel_of(units)
    model = fit_aggregate(panel, models=CHEAP)
    mean = moving_mean(panel)
    assert np.isfinite(nudge(mean, panel, model)).all()
    rows = hierarchy_rows(panel, mean, model, version="v1")
    assert np.isfinite(rows[["mean_units", "q100", "q500", "q900"]].to_numpy()).all()


def test_what_moves_the_series_can_be_had_without_a_backtest():
    panel = panel_of(_weekly(120))
    model = fit_pull(panel)
    assert model.groups == (("department", "D0"), ("department", "D1"), ("department", "D2"))
    assert group_totals(panel, model) == {}
    flat = moving_mean(panel)
    moved = nudge(flat, panel, model, strength=1.0)
    expected = np.where((120 + np.arange(14)) % 7 == 3, 360, 200)
    np.testing.assert_allclose(moved.sum(axis=0), expected, rtol=0.12)


def test_a_group_whose_model_fails_is_named_and_summed_up(monkeypatch):
    whole = group_models.MODELS["ets"].fit

    def fails_for_one(group, unit, order):
        if group.name == "D1":
            raise np.linalg.LinAlgError("singular")
        return whole(group, unit, order)

    monkeypatch.setitem(group_models.MODELS, "ets", replace(MODELS["ets"], fit=fails_for_one))
    panel = panel_of(_weekly(200))
    model = fit_aggregate(panel, bottom=_too_little, models=("ets",))
    assert "ets of department D1 failed: singular" in model.failures
    rows = hierarchy_rows(panel, moving_mean(panel), model, version="v1")
    level = rows.loc[rows["level"] == "department"].groupby("group_name")
    assert level["model_name"].first().to_dict() == {"D0": "ets", "D1": BOTTOM_UP, "D2": "ets"}
    assert level["model_units"].count().to_dict() == {"D0": 14, "D1": 0, "D2": 14}


def test_the_model_comes_back_from_disk(tmp_path):
    panel = panel_of(_weekly(120)[:2], events=pd.DataFrame([_event(2), _event(-30)]))
    model = fit_aggregate(panel, bottom=_too_little, models=("ets_effects", "arima"), origins=1)
    model.save(tmp_path)
    read = load_aggregate(tmp_path)
    assert isinstance(read, AggregateModel) and read == model
    before, after = (hierarchy_rows(panel, moving_mean(panel), each, version="v1") for each in (model, read))
    pd.testing.assert_frame_equal(before, after)


def test_the_same_panel_gives_the_same_model():
    panel = panel_of(_weekly(120)[:2])
    assert fit_aggregate(panel, origins=1) == fit_aggregate(panel, origins=1)


def test_days_after_the_last_known_one_change_nothing():
    units = retailer(12, 240)
    changed = units.copy()
    changed[:, 220:] = 500.0
    cut = panel_of(units).dates[219].astype(object)
    one, other = (fit_aggregate(panel_of(each).through(cut), models=CHEAP) for each in (units, changed))
    assert one == other


def test_rows_keep_the_contract_and_add_up_to_the_series():
    panel = panel_of(retailer(30, 200))
    mean = moving_mean(panel)
    rows = hierarchy_rows(panel, mean, fit_aggregate(panel, models=CHEAP), version="v1").assign(origin="live")
    table = pa.Table.from_pandas(rows, schema=HIERARCHY_FORECAST.schema, preserve_index=False)
    assert table.num_rows == len(rows[list(HIERARCHY_FORECAST.key)].drop_duplicates())
    assert set(rows["level"]) == set(HIERARCHY_FORECAST.columns[1].allowed)
    wide = pd.concat([panel.series, pd.DataFrame(mean)], axis=1)
    for level in LEVELS:
        mine = rows.loc[rows["level"] == level.name]
        by = list(level.columns) or [pd.Series("all", index=wide.index)]
        expected = wide.groupby(by)[list(range(14))].sum()
        np.testing.assert_allclose(mine["mean_units"].to_numpy().reshape(-1, 14), expected, rtol=1e-12)
        assert mine[list(level.columns)].notna().all(axis=None)
    assert (rows["q100"] <= rows["q500"]).all() and (rows["q500"] <= rows["q900"]).all() and (rows["q100"] >= 0).all()


def test_quantiles_of_a_level_hold_what_they_promise():
    panel = panel_of(_weekly(328))
    past = panel.through(panel.dates[313].astype(object))
    rows = hierarchy_rows(past, seasonal_smoothing(past), fit_aggregate(past, models=CHEAP), version="v1")
    stores = rows.loc[rows["level"] == "store"]
    actual = np.concatenate([panel.units[::2, 314:].sum(axis=0), panel.units[1::2, 314:].sum(axis=0)])
    assert 0.75 <= (actual <= stores["q900"].to_numpy()).mean() <= 1.0
    assert 0.0 <= (actual <= stores["q100"].to_numpy()).mean() <= 0.25


def test_without_a_model_the_rows_come_with_the_spread_of_the_naive():
    panel = panel_of(_weekly(200))
    rows = hierarchy_rows(panel, moving_mean(panel), None, version="seasonal_naive")
    assert set(rows["model_name"]) == {BOTTOM_UP} and rows["model_units"].isna().all()
    total = rows.loc[rows["level"] == "total"]
    assert (total["q900"] < 1.5 * total["mean_units"]).all() and (total["q900"] > total["q100"]).all()
