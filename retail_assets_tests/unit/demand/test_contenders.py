"""Recursive and pooled contenders: no look-ahead, the same again, odd series, and back from disk."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skops import io as skops_io

from retail_assets.demand.models import recursive
from retail_assets.demand.models.features import FeatureSource, Vocabulary
from retail_assets.demand.models.global_model import Boosting
from retail_assets.demand.models.pooled_regression import (
    HISTOGRAM_FILE,
    LINEAR_FILE,
    fit_pooled_histogram,
    fit_pooled_linear,
    load_pooled_histogram,
    load_pooled_linear,
)
from retail_assets.demand.models.recursive import fit_recursive, load_recursive
from retail_assets.demand.panel import Panel
from retail_assets.failures import PermanentFailure
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of, retailer

SMALL = Boosting(trees=30, leaves=15, max_rows=20_000, threads=1)
DAYS = 200


@dataclass(frozen=True)
class Kind:
    fit: Any
    load: Any
    suffixes: frozenset[str]


KINDS = {
    "recursive": Kind(fit_recursive, load_recursive, frozenset({".txt", ".json"})),
    "linear": Kind(fit_pooled_linear, load_pooled_linear, frozenset({".json"})),
    "histogram": Kind(fit_pooled_histogram, load_pooled_histogram, frozenset({".skops", ".json"})),
}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(retailer(20, DAYS))


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def model(kind, panel):
    return kind.fit(panel, SMALL)


def test_level_and_weekday_are_learned(model, panel):
    mean = model.predict(panel)
    level = panel.units[:, -56:].mean(axis=1)
    np.testing.assert_allclose(mean[10:].mean(axis=1), level[10:], rtol=0.3)
    is_saturday = np.array([(AS_OF + timedelta(days=day)).weekday() == 5 for day in range(1, 15)])
    assert mean[10:, is_saturday].mean() > 1.7 * mean[10:, ~is_saturday].mean()


def test_demand_after_the_origin_changes_nothing(kind):
    units = retailer(12, DAYS)
    changed = units.copy()
    changed[:, -14:] = 777.0
    early = AS_OF - timedelta(days=14)
    one, other = (panel_of(each).through(early) for each in (units, changed))
    np.testing.assert_array_equal(kind.fit(one, SMALL).predict(one), kind.fit(other, SMALL).predict(other))


def test_the_same_seed_gives_the_same_forecast(kind, model, panel):
    np.testing.assert_array_equal(kind.fit(panel, SMALL).predict(panel), model.predict(panel))


def test_a_contender_comes_back_from_disk(kind, model, panel, tmp_path):
    model.save(tmp_path)
    np.testing.assert_allclose(kind.load(tmp_path).predict(panel), model.predict(panel), rtol=1e-6)
    assert {path.suffix for path in tmp_path.iterdir()} == kind.suffixes


def _odd(days: int) -> Panel:
    units = retailer(20, days)
    units[0] = 0.0
    units[1] = 5.0
    units[2] = np.nan
    units[3, :-1] = np.nan
    units[4, 10] = 1e9
    units[5, ::3] = np.nan
    panel = panel_of(units)
    panel.price[6, panel.day_count :] = np.nan
    panel.price[7] = np.nan
    is_open = panel.is_open.copy()
    is_open[:, panel.day_count + 2] = False
    is_open[8] = False
    return replace(panel, is_open=is_open)


@pytest.mark.parametrize("days", [20, DAYS])
def test_odd_series_are_finite_and_closed_days_zero(model, kind, days):
    odd = _odd(days)
    for each in (model, kind.fit(odd, SMALL)):
        mean = each.predict(odd)
        assert mean.shape == (20, 14)
        assert np.isfinite(mean).all() and (mean >= 0).all()
        assert (mean[:, 2] == 0).all() and (mean[8] == 0).all()
        assert mean[0].mean() < mean[1].mean()


def test_a_step_updates_the_memory_to_what_a_fresh_look_gives():
    """After three known days have been added one by one, every regressor is what it would be seen from there."""
    whole = panel_of(retailer(12, DAYS))
    early = whole.through(AS_OF - timedelta(days=3))
    vocabulary, rows = Vocabulary.of(whole), np.arange(12)
    state = recursive._SeriesMemory.at(FeatureSource(early, vocabulary), early.day_count, rows=rows, steps=4)
    for step in range(3):
        state.add(whole.units[:, early.day_count + step], step=step)
    fresh = recursive._SeriesMemory.at(FeatureSource(whole, vocabulary), whole.day_count, rows=rows, steps=1)
    stepped, seen = state.columns(3), fresh.columns(0)
    assert list(stepped) == list(seen)
    for name, values in seen.items():
        if name != "log_level" and "mean" not in name and "smoothed" not in name and "lag" not in name:
            np.testing.assert_allclose(stepped[name], values, rtol=2e-3, atol=2e-3, err_msg=name)
    for memory, other in ((state.own, fresh.own), *((state.groups[name], fresh.groups[name]) for name in fresh.groups)):
        np.testing.assert_allclose(memory.sums, other.sums, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(memory.smoothed, other.smoothed, rtol=5e-2, atol=1e-2)
        np.testing.assert_allclose(memory.same_weekday(4, step=3), other.same_weekday(4, step=0), rtol=1e-4)


def test_the_recursive_model_counts_no_days_without_a_sale(panel):
    names = fit_recursive(panel, SMALL).booster.feature_name()
    assert not {"days_since_sale", "sold_share_28", "sold_share_112"} & set(names)
    assert "horizon" not in names


def test_linear_coefficients_are_readable_and_make_the_forecast(panel, tmp_path):
    model = fit_pooled_linear(panel, SMALL)
    model.save(tmp_path)
    read = json.loads((tmp_path / LINEAR_FILE).read_text())
    width = len(read["center"]) + sum(len(values) for values in read["categories"].values())
    assert len(read["coefficients"]) == width
    assert read["vocabulary"]["stores"] == ["S0", "S1"]


def test_a_histogram_file_with_foreign_types_is_refused(panel, tmp_path):
    fit_pooled_histogram(panel, SMALL).save(tmp_path)
    skops_io.dump({"model": Path("x").joinpath}, tmp_path / HISTOGRAM_FILE)
    with pytest.raises(
        PermanentFailure, match="pooled_histogram.skops holds .*, which no such model consists of; train"
    ):
        load_pooled_histogram(tmp_path)
