"""A shop with a short history: a model from four weeks on, what serves before, and the sentence that says so."""

from datetime import date, timedelta

import numpy as np
import pytest

from retail_assets.demand import metrics
from retail_assets.demand.calibration.backtest import Fold, calibration_set
from retail_assets.demand.calibration.conformal import GRID, Errors, SeriesProfile, calibrate
from retail_assets.demand.forecasting import forecast
from retail_assets.demand.models.baselines import moving_mean, seasonal_naive
from retail_assets.demand.models.contenders import NEEDED_DAYS
from retail_assets.demand.short_history import short_history_note, training_monday
from retail_assets.demand.tournament import TrainingConfig, backtest_origins, run_tournament
from retail_assets.demand.training import TrainedModel, train
from retail_assets.failures import PermanentFailure
from retail_assets.windows import FULL_TRAINING_DAYS, MIN_TRAINING_DAYS
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of, retailer

CONFIG = TrainingConfig(horizon=14, trees=20, leaves=15, max_train_rows=20_000, tournament_sample=30, threads=1)
FIRST = date(2025, 1, 1)
"""A Wednesday."""


def _trained(days: int) -> tuple[TrainedModel, np.ndarray]:
    """A model that learnt from that many days, and its panel's errors on the next 14: its own, naive's, the mean's."""
    units = retailer(40, days + 14, seed=3)
    panel = panel_of(units).through(AS_OF - timedelta(days=14))
    model = train(panel, CONFIG)
    means = [forecast(panel, each, horizons=[14]).daily["mean_units"].to_numpy() for each in (model, None)]
    scale = metrics.rmsse_scale(panel.units)
    errors = [
        metrics.rmsse(units[:, days:], mean.reshape(40, 14), scale=scale) for mean in (*means, moving_mean(panel))
    ]
    return model, np.array(errors)


@pytest.mark.parametrize("days", [MIN_TRAINING_DAYS, 35, 60])
def test_a_short_history_has_a_model_that_beats_the_naive_on_days_it_has_not_seen(days):
    model, (own, naive, mean) = _trained(days)
    assert model.trained_through == AS_OF - timedelta(days=14)
    assert own < 0.9 * naive and own < 1.02 * mean
    assert model.scaled_pinball < model.naive_scaled_pinball
    assert {"moving_mean", "tsb", "croston", "ets", "seasonal_smoothing", "lightgbm"} <= set(model.scores["model_name"])
    for name in ("store_calendar_tsb", "lightgbm_pulled"):
        assert model.excluded[name].startswith("it needs 56 days before the first week it is scored on, and ")
        assert name not in set(model.scores["model_name"])


@pytest.mark.parametrize(("days", "weeks"), [(28, 2), (35, 2), (42, 3), (56, 4), (84, 4), (105, 5), (900, 24)])
def test_a_short_history_is_scored_on_as_many_weeks_as_it_holds_up_to_four(days, weeks):
    origins = backtest_origins(days, CONFIG)
    assert len(origins) == weeks and origins[0] >= 14


def test_the_weeks_of_a_short_history_are_of_several_fits():
    """So that no week is calibrated on itself."""
    assert [fold.block for fold in run_tournament(panel_of(retailer(6, 28)), CONFIG).folds] == [0, 1]


def test_every_contender_competes_from_twelve_weeks_on():
    assert not set(NEEDED_DAYS) & set(run_tournament(panel_of(retailer(12, FULL_TRAINING_DAYS)), CONFIG).excluded) - {
        "lightgbm_mean_pulled"
    }
    assert "store_calendar_tsb" in run_tournament(panel_of(retailer(12, FULL_TRAINING_DAYS - 7)), CONFIG).excluded


def test_days_to_come_change_nothing_of_a_training():
    units = retailer(10, 49)
    after = units.copy()
    after[:, 35:] *= 9
    one, other = (train(panel_of(each).through(AS_OF - timedelta(days=14)), CONFIG) for each in (units, after))
    assert one.version == other.version


def test_less_than_four_weeks_are_refused_with_the_number_needed():
    with pytest.raises(PermanentFailure, match="needs 28 days of gold/demand_daily, and 2025-06-30 ends only 27;"):
        train(panel_of(retailer(4, 27)), CONFIG)


def test_products_back_from_silence_are_not_the_tail_of_all_others():
    """Five of 285 sold 150 where nothing was expected; the q990 of a product that sells 100 had been 44 times that."""
    rng, expected = np.random.default_rng(1), np.repeat([100.0, 0.0], [280, 5])
    came = np.where(expected > 0, rng.poisson(expected), 150.0)
    profile = SeriesProfile(np.full(285, "smooth"), np.ones(285), np.ones(285, bool), np.arange(285))
    found = calibrate(Errors(expected, came, profile)).errors_of(np.array([100.0]), np.array(["smooth"]))[0]
    assert 1.5 < found[np.searchsorted(GRID, 0.99)] < 5 and (np.diff(found) >= 0).all()


def _folds(weeks: int, *, known_days: int = 14) -> list[Fold]:
    """Of 300 series that sell 4 a day, forecast at 4 by the contender `mean`."""
    rng, profile = np.random.default_rng(weeks), SeriesProfile(np.full(300, "smooth"), np.ones(300), np.ones(300, bool))
    made = []
    for week in range(weeks):
        actual = rng.poisson(4.0, (300, 14)).astype(float)
        actual[:, known_days:] = np.nan
        steps = np.ones(300)
        made.append(
            Fold(7 * week, actual, actual, profile, steps, steps, {"mean": np.full((300, 14), 4.0)}, block=week)
        )
    return made


def _width(table: np.ndarray) -> float:
    """Of the middle 90 % of totals of the size of 14 days, in the class."""
    low, high = np.searchsorted(GRID, [0.05, 0.95])
    return float(table[0, -1, high] - table[0, -1, low])


def test_few_weeks_make_quantiles_wider():
    two, eight = (calibration_set(_folds(weeks), "mean", horizon=14).of_total(14).table for weeks in (2, 8))
    assert _width(two) == pytest.approx(np.sqrt(1.5) * _width(eight), rel=0.08)


def test_a_total_longer_than_every_scored_week_leans_on_the_longest_that_was_scored():
    found = calibration_set(_folds(4, known_days=7), "mean", horizon=14)
    widths = [_width(found.of_total(days).table) for days in range(7, 15)]
    assert np.all(np.diff(widths) > 0)
    assert widths[-1] == pytest.approx(widths[0] * np.sqrt((1 + 14 / 28) / (1 + 7 / 28)))
    np.testing.assert_array_equal(found.of_day(14).table, found.of_day(7).table)


@pytest.mark.parametrize(("days", "monday"), [(28, date(2025, 2, 3)), (84, date(2025, 3, 31)), (33, date(2025, 2, 3))])
def test_the_training_monday_is_the_first_with_enough_days_before_it(days, monday):
    assert training_monday(FIRST, days) == monday
    assert monday.isoweekday() == 1 and 0 <= (monday - FIRST).days - days < 7


def _note(days: int, *, is_model_in_force: bool = False) -> str | None:
    return short_history_note(FIRST, FIRST + timedelta(days=days - 1), is_model_in_force=is_model_in_force)


def test_the_note_says_what_serves_why_and_from_when_more_will():
    assert _note(1) == ("nothing is forecast yet: 1 day of history is there, the forecast starts with 7, on 2025-01-07")
    assert _note(20) == (
        "the seasonal naive forecasts: 20 days of history are there, and a training needs 28 before its Monday; models "
        "of a short history compete from Monday 2025-02-03 on, all contenders compete from Monday 2025-03-31 on"
    )
    assert _note(60) == (
        "the seasonal naive forecasts: no model trained on the 60 days of history is in force; the training tries "
        "again every Monday, all contenders compete from Monday 2025-03-31 on"
    )
    assert _note(60, is_model_in_force=True) == (
        "a model trained on a short history forecasts: 60 days are there, and contenders that need more are left out; "
        "all contenders compete from Monday 2025-03-31 on"
    )


@pytest.mark.parametrize("is_model_in_force", [True, False])
def test_the_note_ends_on_the_monday_that_it_names(is_model_in_force):
    assert _note(89, is_model_in_force=is_model_in_force)
    assert _note(90, is_model_in_force=is_model_in_force) is None


def test_without_a_model_the_naive_serves_a_history_of_a_week():
    panel = panel_of(retailer(4, 7))
    found = forecast(panel, None, horizons=[7]).daily
    np.testing.assert_allclose(found["mean_units"].to_numpy().reshape(4, 14), seasonal_naive(panel))
