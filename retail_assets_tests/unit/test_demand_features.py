"""What the models see: nothing late, everything planned, and the effects that were put in."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

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
