"""WRMSSE and WSPL of a backtest against sums, scales and quantiles picked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from retail_assets.demand import metrics
from retail_assets.demand.calibration.backtest import Fold, cross_calibrated, joined, rolling_origin
from retail_assets.demand.calibration.conformal import Errors, calibrate, distribution
from retail_assets.demand.models.baselines import moving_mean, seasonal_naive
from retail_assets.demand.panel import Panel
from retail_assets.demand.scores.competition_levels import LEVELS, groups
from retail_assets.demand.scores.competition_scores import QUANTILE_LEVELS, competition_scores
from retail_assets_tests.unit.demand_frames import panel_of, retailer

CONTENDERS = {"moving_mean": moving_mean, "seasonal_naive": seasonal_naive}
DAYS = 28


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(retailer(24, 240), horizon=DAYS)


@pytest.fixture(scope="module")
def folds(panel: Panel) -> list[Fold]:
    first = rolling_origin(panel, CONTENDERS, origins=(150, 157), block=0)
    return first + rolling_origin(panel, CONTENDERS, origins=(190, 212), block=1)


def _past(panel: Panel, fold: Fold) -> Panel:
    return panel.through(panel.dates[fold.origin - 1].astype(object))


def _first_week(fold: Fold) -> Errors:
    return fold.daily_errors("moving_mean", slice(0, 7))


def test_a_fold_is_calibrated_on_the_other_blocks_only(folds):
    found = cross_calibrated(folds, _first_week)
    more = [replace(fold, actual=fold.actual + 10, scored=fold.scored + 10) for fold in folds[2:]]
    again = cross_calibrated([*folds[:2], *more], _first_week)
    np.testing.assert_array_equal(found[2].table, again[2].table)
    np.testing.assert_array_equal(found[3].table, again[3].table)
    assert (again[0].table > found[0].table).mean() > 0.5


def test_a_single_block_is_calibrated_on_itself(folds):
    alone = folds[:2]
    found = cross_calibrated(alone, _first_week)
    np.testing.assert_array_equal(found[0].table, calibrate(joined([_first_week(fold) for fold in alone])).table)


def test_wrmsse_is_the_mean_over_the_folds(panel, folds):
    each = []
    for fold in folds:
        past = _past(panel, fold)
        value = (past.units[:, -28:] * past.price[:, past.day_count - 28 : past.day_count]).sum(axis=1)
        known = {"series": panel.series, "history": past.units, "value": value}
        each.append(metrics.wrmsse(fold.scored, fold.means["moving_mean"], **known))
    assert competition_scores(panel, folds, "moving_mean")["wrmsse"] == pytest.approx(np.mean(each))


def test_wspl_reads_quantiles_of_sums_from_the_other_block(panel, folds):
    """By hand: the total's and one series' losses, put into the weighted sum of all."""
    levels, level = np.array(QUANTILE_LEVELS), groups(panel.series)["level"].to_numpy()
    pasts = [_past(panel, fold) for fold in folds]
    expected = []
    for number, fold in enumerate(folds):
        others = [other for other, candidate in enumerate(folds) if candidate.block != fold.block]
        made = np.empty((len(level), DAYS, len(levels)))
        for days in (slice(0, 7), slice(7, 14), slice(14, 21), slice(21, 28)):
            for kind in range(1, 12):
                rows = level == kind
                scaled = [_scaled(panel, folds[other], pasts[other])[rows, days].ravel() for other in others]
                spread = np.quantile(np.concatenate(scaled), levels)
                mean, step = _mean_and_step(panel, fold, pasts[number])
                made[rows, days] = mean[rows, days, None] + step[rows, None, None] * spread
            single = _single(folds, number, days, others)
            by_product = panel.series.reset_index(drop=True).sort_values(["product_id", "store_id"]).index.to_numpy()
            made[level == 12, days] = single[by_product]
        past = pasts[number]
        value = metrics.recent_value(past.units, price=past.price[:, : past.day_count])
        expected.append(
            metrics.wspl(
                fold.scored,
                np.maximum(made, 0.0),
                levels=levels,
                series=panel.series,
                history=past.units,
                value=value,
            )
        )
    assert competition_scores(panel, folds, "moving_mean")["wspl"] == pytest.approx(np.mean(expected))


def _single(folds, number, days, others):
    told = joined([folds[other].daily_errors("moving_mean", days) for other in others])
    here = folds[number].daily_errors("moving_mean", days)
    found = distribution(here.mean, here.profile, calibration=calibrate(told), levels=QUANTILE_LEVELS)
    return found.quantiles.reshape(-1, days.stop - days.start, len(QUANTILE_LEVELS))


def _sums(panel, values):
    """Sums of every level by pandas, in the order of `groups`."""
    frame, series = pd.DataFrame(values), panel.series.reset_index(drop=True)
    parts = [frame.groupby([series[name] for name in columns], sort=True).sum() for columns in LEVELS[1:]]
    return np.concatenate([values.sum(axis=0, keepdims=True), *parts])


def _mean_and_step(panel, fold, past):
    sold = [row[np.flatnonzero(row)[0] :] for row in _sums(panel, past.units)]
    return _sums(panel, fold.means["moving_mean"]), np.array([np.abs(np.diff(row)).mean() for row in sold])


def _scaled(panel, fold, past):
    mean, step = _mean_and_step(panel, fold, past)
    return (_sums(panel, fold.scored) - mean) / step[:, None]
