"""Scores of a replay: the same cycles, weeks and fill rates are compared, and a rule is tuned on the past only."""

import numpy as np
import pytest

from bench.inventory_scores import (
    GRIDS,
    Scored,
    Weeks,
    _at_fill,
    _tuned,
    against_rules,
    calibration,
)
from retail_assets.inventory.replay.replay import Replay
from retail_assets.inventory.replay.world import ReplayInputs
from retail_assets_tests.unit.replay_frames import poisson_retailer


@pytest.fixture(scope="module")
def figures():
    frames = poisson_retailer(60, 140, mean=2.0, horizons=[3], order_weekdays=[])
    scored = Scored.of(Replay.of(ReplayInputs(**frames)))
    made = [*calibration(scored, name="shop"), *against_rules(scored, name="shop", by_value=True)]
    return {figure.name: figure for figure in made}


def test_a_true_forecast_is_calibrated_and_says_over_how_many_weeks(figures):
    assert figures["shop: weeks scored"].value >= 16
    for group in ("A", "B", "all"):
        gap = figures[f"shop, target 0.95, class {group}: achieved less predicted service"]
        assert gap.met and abs(gap.value) < 1.5
        low, high = (figures[f"{gap.name}, 95% {side}"].value for side in ("from", "to"))
        assert low <= gap.value <= high


def test_weeks_of_tuning_and_of_comparison_are_apart(figures):
    tuned, compared = figures["shop: weeks the rules are tuned on"].value, figures["shop: weeks compared"].value
    assert tuned >= 2 and tuned + compared == figures["shop: weeks scored"].value


def test_against_steady_demand_a_rule_of_thumb_can_be_as_good(figures):
    """Poisson demand that never changes: the forecast knows nothing the mean of four weeks does not."""
    saved = figures["shop, days_of_cover: less stock at equal fill rate"].value
    assert -25 < saved < 25


def test_a_rule_takes_the_least_stock_that_reaches_the_fill_rate():
    def weeks(unmet, stock):
        return Weeks(
            {"demand": np.full((2, 1), 10.0), "unmet": np.full((2, 1), unmet), "stock": np.full((2, 1), stock)}
        )

    tried = {(0.0, 0.0): weeks(2.0, 10.0), (1.0, 0.0): weeks(1.0, 20.0), (2.0, 0.0): weeks(0.5, 40.0)}
    assert _tuned(tried, np.array([0.85])) == [(1.0, 0.0)]
    assert _tuned(tried, np.array([0.99])) == [(2.0, 0.0)]
    assert len(GRIDS["min_max"]) > 5


def test_stock_is_read_where_the_curve_has_the_fill_rate():
    fills = np.array([0.8, 0.9, 1.0]).reshape(3, 1, 1)
    held = np.array([10.0, 20.0, 40.0]).reshape(3, 1, 1)
    found = _at_fill(fills, held, np.array([[0.95]]))
    assert found[0, 0] == pytest.approx(30)
    assert _at_fill(fills, held, np.array([[0.5]]))[0, 0] == 10
