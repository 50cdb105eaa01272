"""What the models see: nothing late, everything planned, and the effects that were put in."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from retail_assets.demand.aggregate import AggregateModel, fit_aggregate, group_totals, load_aggregate, nudge
from retail_assets.demand.baselines import moving_mean
from retail_assets.demand.features import FeatureSource, Vocabulary, design, feature_names
from retail_assets.demand.global_model import Boosting, fit_global
from retail_assets.demand.panel import Panel
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of, retailer

SMALL = Boosting(trees=60, leaves=15, threads=1)


def _event(days_from_as_of: int, *, name: str = "Fair", kind: str = "fair", region: str = "*") -> dict[str, object]:
    day = pd.Timestamp(AS_OF) + pd.Timedelta(days=days_from_as_of)
    return {"event_date": day, "event_name": name, "event_type": kind, "region": region}


def _table(panel: Panel, origin: int, horizon: int = 14) -> dict[str, np.ndarray]:
    source = FeatureSource(panel, Vocabulary.of(panel))
    values, _ = design(source, origin, rows=np.arange(panel.series_count), horizon=horizon)
    return {name: values[..., number] for number, name in enumerate(feature_names(source))}


def test_demand_from_the_origin_on_changes_no_feature():
    units = retailer(12, 420)
    changed = units.copy()
    changed[:, 400:] = 500.0
    one, other = (_table(panel_of(each), 400) for each in (units, changed))
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_the_same_origin_looks_the_same_from_a_later_panel():
    panel = panel_of(retailer(12, 420))
    early = panel.through(AS_OF - timedelta(days=20))
    one, other = _table(panel, 400), _table(early, 400)
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], rtol=1e-4, err_msg=name)


def test_amounts_are_means_over_the_level():
    panel = panel_of(np.stack([np.full(100, 4.0), np.tile([0.0, 8.0], 50)]))
    table = _table(panel, 100)
    assert table["mean_28"][0, 0] == pytest.approx(1.0, abs=0.1)
    assert table["sold_share_28"][:, 0].tolist() == [1.0, 0.5]
    assert table["weekday_mean_1"][1].tolist() == pytest.approx((8 * np.tile([1, 0], 7)[:14] / 4).tolist(), abs=3)
    assert table["days_since_sale"][:, 0].tolist() == [0.0, 0.0]


def test_prices_promotions_and_events_of_coming_days_are_seen():
    events = pd.DataFrame([_event(5), _event(3, name="Market day", kind="market", region="north")])
    panel = panel_of(retailer(4, 100), events=events)
    panel.price[1, 100 + 6] = panel.price[1, 0] / 2
    panel.discount_rate[1, 100 + 6] = 0.5
    table = _table(panel, 100)
    assert table["price_ratio"][1, 6] == pytest.approx(0.5) and table["price_ratio"][1, 5] == pytest.approx(1)
    assert table["discount"][1, 6] == pytest.approx(0.5)
    south, north = 0, 1
    assert table["days_to_event"][south, :6].tolist() == [4, 3, 2, 1, 0, 15]
    assert table["days_to_event"][north, :4].tolist() == [2, 1, 0, 1]
    assert table["event_name"][south, 4] == table["event_name"][north, 4] != 0
    assert table["event_name"][south, 2] == 0 != table["event_name"][north, 2]


def test_a_price_change_is_dated_and_its_direction_told():
    panel = panel_of(retailer(4, 100))
    panel.price[1, 90:] = panel.price[1, 0] * 1.5
    panel.price[1, 105:] = panel.price[1, 0]
    panel.price[2, 100:] = np.nan
    table = _table(panel, 100)
    assert table["days_since_price_change"][1, [0, 4, 5, 6]].tolist() == [10, 14, 0, 1]
    assert table["last_price_change"][1, [4, 5]] == pytest.approx([np.log(1.5), -np.log(1.5)])
    assert set(table["days_since_price_change"][[0, 2]].ravel()) == {182}
    assert (table["last_price_change"][[0, 2]] == 0).all()


def test_a_promotion_has_a_day_an_end_and_an_aftermath():
    panel = panel_of(retailer(3, 100))
    panel.discount_rate[1, 98:103] = 0.2
    panel.discount_rate[2, 112:] = 0.2
    table = _table(panel, 100)
    assert table["promotion_day"][1, :5].tolist() == [3, 4, 5, 0, 0]
    assert table["promotion_days_left"][1, :5].tolist() == [3, 2, 1, 0, 0]
    assert table["days_since_promotion"][1, :5].tolist() == [0, 0, 0, 1, 2]
    assert table["promotion_days_left"][2, 11:].tolist() == [0, 2, 1], "nothing beyond the horizon is looked at"
    assert set(table["days_since_promotion"][0]) == {28}


def test_benefit_days_lift_the_series_that_they_lifted_before():
    days = [_event(day, name="Benefit", kind="benefit") for day in range(-200, 15, 5)]
    units = np.full((2, 200), 4.0)
    units[0, [199 + day for day in range(-195, 1, 5)]] = 8.0
    lift = _table(panel_of(units, events=pd.DataFrame(days)), 200)["event_lift"]
    assert lift[0, 4] > 0.3 and lift[0, 3] == 0
    assert lift[1, 4] == pytest.approx(0.0, abs=1e-6)


def test_shares_compare_product_with_department_and_series_with_product():
    units = np.full((8, 60), 2.0)
    units[0] = 6.0
    table = _table(panel_of(units), 60)
    assert table["store_share"][[0, 1], 0] == pytest.approx([1.5, 0.5])
    assert table["product_share"][0, 0] == pytest.approx(4.0 / 3.0)


def test_the_global_model_learns_a_promotion_it_was_told_of():
    rng = np.random.default_rng(4)
    promoted = rng.random((30, 314)) < 0.15
    units = rng.poisson(np.where(promoted[:, :300], 9.0, 3.0)) * 1.0
    panel = panel_of(units)
    panel.discount_rate[:] = np.where(promoted, 0.3, 0.0)
    mean = fit_global(panel, SMALL).predict(panel)
    ahead = promoted[:, 300:]
    assert mean[ahead].mean() == pytest.approx(9.0, rel=0.15)
    assert mean[~ahead].mean() == pytest.approx(3.0, rel=0.15)


def test_a_store_never_seen_in_training_is_forecast_too():
    units = retailer(20, 200)
    model = fit_global(panel_of(units), SMALL)
    elsewhere = panel_of(units)
    elsewhere.series["store_id"] = elsewhere.series["store_id"] + "-new"
    mean = model.predict(elsewhere)
    assert np.isfinite(mean).all()
    assert mean.mean() == pytest.approx(model.predict(panel_of(units)).mean(), rel=0.2)


def _seasonal_total(days: int, *, seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weekday = np.where(np.arange(days) % 7 == 3, 1.8, 1.0)
    return rng.poisson(20 * weekday * np.ones((10, 1))) * 1.0


def test_the_total_follows_weekday_and_promotion():
    units = _seasonal_total(300)
    rng = np.random.default_rng(0)
    promoted = rng.random(314) < 0.2
    units[:, promoted[:300]] *= 1.5
    panel = panel_of(units)
    panel.discount_rate[:] = np.where(promoted, 0.25, 0.0)
    total = group_totals(panel, fit_aggregate(panel))["total", ""]
    expected = 200 * np.where((300 + np.arange(14)) % 7 == 3, 1.8, 1.0) * np.where(promoted[300:], 1.5, 1.0)
    np.testing.assert_allclose(total, expected, rtol=0.06)


def test_series_move_half_way_towards_the_total_and_keep_their_shares():
    panel = panel_of(_seasonal_total(300))
    model = fit_aggregate(panel)
    total = group_totals(panel, model)["total", ""]
    flat = moving_mean(panel)
    nudged = nudge(flat, panel, model)
    np.testing.assert_allclose(nudged.sum(axis=0), np.sqrt(flat.sum(axis=0) * total))
    np.testing.assert_allclose(nudged / nudged.sum(axis=0), flat / flat.sum(axis=0))
    np.testing.assert_allclose(nudge(flat, panel, model, strength=1.0).sum(axis=0), total)


def test_a_total_gone_astray_cannot_more_than_double_a_series():
    panel = panel_of(_seasonal_total(300))
    tiny = moving_mean(panel) / 100
    np.testing.assert_allclose(nudge(tiny, panel, fit_aggregate(panel)), tiny * np.sqrt(2))


@pytest.mark.parametrize("units", [np.full((4, 120), 3.0), np.zeros((4, 120)), retailer(4, 40)])
def test_totals_without_anything_to_learn_do_not_break(units):
    panel = panel_of(units)
    model = fit_aggregate(panel)
    assert np.isfinite(nudge(moving_mean(panel), panel, model)).all()


def test_missing_days_of_the_total_are_bridged():
    units = _seasonal_total(300)
    units[:, 150] = np.nan
    units[:, 290:292] = np.nan
    panel = panel_of(units)
    assert group_totals(panel, fit_aggregate(panel))["total", ""].mean() == pytest.approx(200 * 7.8 / 7, rel=0.05)


def test_the_aggregate_model_comes_back_from_disk(tmp_path):
    panel = panel_of(_seasonal_total(200), events=pd.DataFrame([_event(2), _event(-30)]))
    model = fit_aggregate(panel)
    model.save(tmp_path)
    read = load_aggregate(tmp_path)
    assert isinstance(read, AggregateModel) and read == model
    np.testing.assert_array_equal(group_totals(panel, read)["total", ""], group_totals(panel, model)["total", ""])
