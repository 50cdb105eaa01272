"""What the models see: nothing late, everything planned, and the effects that were put in."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from retail_assets.demand.models.features import FeatureSource, Vocabulary, design, feature_names
from retail_assets.demand.models.global_model import Boosting, fit_global
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
