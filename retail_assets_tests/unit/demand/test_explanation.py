"""Factors multiply to the forecast, name the cause that was put in, and cover every regressor once."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from retail_assets.demand.models.explanation import FACTORS, GROUPS, explain, group_numbers
from retail_assets.demand.models.features import FeatureSource, Vocabulary, feature_names
from retail_assets.demand.models.global_model import Boosting, GlobalModel, fit_global
from retail_assets.demand.panel import Panel
from retail_assets.tables.forecast import FORECAST_DRIVERS
from retail_assets_tests.unit.demand_frames import panel_of, retailer

SMALL = Boosting(trees=60, leaves=15, threads=1)
_PRODUCT = ["level_units", *FACTORS, "adjustment_factor"]


def _promoted() -> Panel:
    rng = np.random.default_rng(4)
    promoted = rng.random((30, 314)) < 0.15
    promoted[:, 300:] = False
    promoted[:15, 300:307] = True
    panel = panel_of(rng.poisson(np.where(promoted[:, :300], 9.0, 3.0)) * 1.0)
    panel.discount_rate[:] = np.where(promoted, 0.3, 0.0)
    return panel


@pytest.fixture(scope="module")
def panel() -> Panel:
    return _promoted()


@pytest.fixture(scope="module")
def model(panel) -> GlobalModel:
    return fit_global(panel, SMALL)


def _by_week(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1, 7).mean(axis=2).ravel()


def test_every_regressor_is_in_exactly_one_group(panel):
    names = feature_names(FeatureSource(panel, Vocabulary.of(panel)))
    group_numbers(names)
    assert sorted(names) == sorted(name for members in GROUPS.values() for name in members)


def test_a_regressor_without_a_group_is_named():
    with pytest.raises(ValueError, match="put each of moon_phase in exactly one group"):
        group_numbers(["discount", "moon_phase"])


def test_the_product_is_the_mean_of_the_week(model, panel):
    found = explain(model, panel)
    np.testing.assert_allclose(found["mean_units"], found[_PRODUCT].prod(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found["mean_units"], _by_week(model.predict(panel)), rtol=1e-6)
    assert found["adjustment_factor"].to_numpy() == pytest.approx(1.0)


def test_columns_are_the_contract(model, panel):
    found = explain(model, panel)
    assert {*found.columns, "model_version", "origin"} == set(FORECAST_DRIVERS.column_names)
    assert not found.duplicated(["store_id", "product_id", "week_number"]).any()
    first = found.iloc[0]
    assert ((first["last_date"] - first["first_date"]).days, first["open_days"]) == (6, 7)


def test_a_promotion_is_found_in_its_week_and_only_there(model, panel):
    found = explain(model, panel).merge(panel.series[["store_id", "product_id"]].reset_index())
    promoted = (found["index"] < 15) & (found["week_number"] == 1)
    assert found.loc[promoted, "promotion_factor"].min() > 1.6
    assert found.loc[~promoted, "promotion_factor"].max() < 1.1
    assert set(found.loc[promoted, "main_driver"]) == {"promotion"}


def test_a_weekday_season_leaves_other_causes_near_one():
    panel = panel_of(retailer(30, 300))
    found = explain(fit_global(panel, SMALL), panel)
    for name in ("price_factor", "promotion_factor", "holiday_factor"):
        assert found[name].between(0.85, 1.18).all(), name


def test_an_adjusted_forecast_is_the_model_times_the_adjustment(model, panel):
    published = 1.5 * model.predict(panel)
    found = explain(model, panel, published=published)
    assert found["adjustment_factor"].to_numpy() == pytest.approx(1.5)
    np.testing.assert_allclose(found["mean_units"], _by_week(published), rtol=1e-6)
    np.testing.assert_allclose(found["mean_units"], found[_PRODUCT].prod(axis=1), rtol=1e-9)


def test_closed_days_do_not_count_and_a_closed_week_has_no_row(model, panel):
    is_open = panel.is_open.copy()
    is_open[:, panel.day_count + 1] = False
    is_open[3, panel.day_count : panel.day_count + 7] = False
    closed = replace(panel, is_open=is_open)
    found = explain(model, closed)
    assert len(found) == 2 * 30 - 1
    first = found.loc[found["week_number"] == 1]
    assert set(first["open_days"]) == {6}
    mean = model.predict(closed)[:, :7].sum(axis=1) / 6
    np.testing.assert_allclose(first["mean_units"], np.delete(mean, 3), rtol=1e-6)


def test_odd_series_are_explained_with_finite_factors(model, panel):
    units = panel.units.copy()
    units[0], units[1, :-1], units[2] = 0.0, np.nan, np.nan
    units[3, 5] = 1e9
    odd = replace(panel, units=units)
    numbers = explain(model, odd)[[*_PRODUCT, "mean_units"]].to_numpy()
    assert np.isfinite(numbers).all() and (numbers >= 0).all()


def test_a_shorter_last_week_is_explained_too():
    panel = panel_of(retailer(6, 120), horizon=10)
    found = explain(fit_global(panel, SMALL), panel)
    assert pd.Series(found["week_number"]).value_counts().to_dict() == {1: 6, 2: 6}
    assert set(found.loc[found["week_number"] == 2, "open_days"]) == {3}
