"""The scorecard against figures picked out of the folds by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from retail_assets.demand.calibration.backtest import Fold, rolling_origin
from retail_assets.demand.models.baselines import moving_mean, seasonal_naive
from retail_assets.demand.panel import Panel
from retail_assets.demand.scores.scorecard import COLUMNS, FoldQuantiles, fold_segments, scorecard
from retail_assets.demand.segments import abc_class, demand_class
from retail_assets_tests.unit.demand_frames import panel_of, retailer

CONTENDERS = {"moving_mean": moving_mean, "seasonal_naive": seasonal_naive}
ORIGINS = (150, 165)
LEVELS = (0.5, 0.9)


@pytest.fixture(scope="module")
def panel() -> Panel:
    made = panel_of(retailer(30, 200), horizon=28)
    made.is_censored[4, 152] = True
    return made


@pytest.fixture(scope="module")
def folds(panel: Panel) -> list[Fold]:
    return rolling_origin(panel, CONTENDERS, origins=ORIGINS)


def figure(card: pd.DataFrame, **chosen: object) -> float:
    kept = card
    for column, value in chosen.items():
        kept = kept[kept[column] == value]
    assert len(kept) == 1, f"{len(kept)} rows for {chosen}"
    return float(kept["value"].iloc[0])


def test_errors_are_those_of_the_bucket_and_the_segment(panel, folds):
    card = scorecard(folds, list(CONTENDERS), segments=fold_segments(panel, folds))
    assert tuple(card.columns) == COLUMNS
    assert set(card["horizon"]) == {"1-7", "8-14", "15-21", "22-28", "all"}
    absolute, units, days = 0.0, 0.0, 0
    for fold, origin in zip(folds, ORIGINS, strict=True):
        past = panel.through(panel.dates[origin - 1].astype(object))
        for row in np.flatnonzero(demand_class(past) == "smooth"):
            for day in range(7, 14):
                if not panel.is_censored[row, origin + day]:
                    absolute += abs(fold.means["seasonal_naive"][row, day] - panel.units[row, origin + day])
                    units += panel.units[row, origin + day]
                    days += 1
    chosen = {"model_name": "seasonal_naive", "segment": "smooth", "horizon": "8-14", "metric": "wape"}
    assert figure(card, **chosen) == pytest.approx(absolute / units)
    counted = card[(card["segment"] == "smooth") & (card["horizon"] == "8-14") & (card["metric"] == "wape")]
    assert set(counted["cell_count"]) == {days}


def test_a_censored_day_counts_in_the_bias_alone(panel, folds):
    card = scorecard(folds, ["moving_mean"]).query("horizon == '1-7'").set_index("metric")
    assert card.loc["wape", "cell_count"] == 2 * 30 * 7 - 1
    assert card.loc["bias", "cell_count"] == 2 * 30 * 7


def test_scaled_errors_are_means_over_series(panel, folds):
    card = scorecard(folds, ["moving_mean"])
    root, absolute = [], []
    for fold, origin in zip(folds, ORIGINS, strict=True):
        for row, history in enumerate(panel.through(panel.dates[origin - 1].astype(object)).demand):
            sold = history[np.flatnonzero(np.nan_to_num(history))[0] :]
            error = (fold.scored[row] - fold.means["moving_mean"][row])[: 200 - origin]
            error = error[~np.isnan(error)]
            root.append(np.sqrt((error**2).mean() / (np.diff(sold) ** 2).mean()))
            absolute.append(np.abs(error).mean() / np.abs(sold[7:] - sold[:-7]).mean())
    assert figure(card, horizon="all", metric="rmsse") == pytest.approx(np.mean(root))
    assert figure(card, horizon="all", metric="mase") == pytest.approx(np.mean(absolute))


def quantiles_of(fold: Fold) -> FoldQuantiles:
    mean = fold.means["moving_mean"]
    factors = np.array([1.0, 1.5])
    totals = {days: np.round(mean[:, :days].sum(axis=1)[:, None] * factors) for days in (3, 7)}
    return FoldQuantiles(np.round(mean[:, :, None] * factors), totals)


def test_distributions_are_scored_by_day_and_by_total(panel, folds):
    made = {"moving_mean": [quantiles_of(fold) for fold in folds]}
    card = scorecard(folds, list(CONTENDERS), quantiles=made, levels=LEVELS)
    assert set(card[card["kind"] == "cumulative"]["horizon"]) == {"1-3", "1-7"}
    assert not card[card["model_name"] == "seasonal_naive"]["metric"].str.contains("pinball").any()
    total = np.concatenate([fold.actual[:, :3].sum(axis=1) for fold in folds])
    high = np.concatenate([part.totals[3][:, 1] for part in made["moving_mean"]])
    at = {"kind": "cumulative", "horizon": "1-3", "level": 0.9}
    below, up_to = (total < high).mean(), (total <= high).mean()
    assert figure(card, metric="coverage_below", **at) == pytest.approx(below)
    assert figure(card, metric="coverage_up_to", **at) == pytest.approx(up_to)
    deviation = 0.0 if below <= 0.9 <= up_to else min(below - 0.9, up_to - 0.9, key=abs)
    assert figure(card, metric="coverage_deviation", **at) == pytest.approx(deviation)
    loss = np.where(total >= high, 0.9 * (total - high), 0.1 * (high - total)).mean()
    assert figure(card, metric="pinball", **at) == pytest.approx(loss)
    both = card[(card["kind"] == "cumulative") & (card["horizon"] == "1-3") & (card["metric"] == "pinball")]
    scaled = figure(card, kind="cumulative", horizon="1-3", metric="scaled_pinball")
    assert scaled == pytest.approx(both["value"].mean() / total.mean())


def test_segments_are_as_of_the_fold(panel, folds):
    labels = fold_segments(panel, folds)
    assert set(labels) == {"demand_class", "abc_class"}
    for number, origin in enumerate(ORIGINS):
        past = panel.through(panel.dates[origin - 1].astype(object))
        assert labels["abc_class"][number].tolist() == abc_class(past).tolist()
    card = scorecard(folds, ["moving_mean"], segments=labels)
    counts = card[(card["metric"] == "bias") & (card["horizon"] == "all")].groupby("segment_kind")["cell_count"].sum()
    assert counts["all"] == counts["demand_class"] == counts["abc_class"]


def test_what_cannot_be_scored_is_unknown_and_raises_nothing(folds):
    nobody = [np.where(np.arange(30) < 1, "empty", "rest") for _ in folds]
    unknown = (np.arange(30) < 1)[:, None]
    blank = [
        replace(fold, scored=np.where(unknown, np.nan, fold.scored), actual=np.where(unknown, np.nan, fold.actual))
        for fold in folds
    ]
    card = scorecard(blank, ["moving_mean"], segments={"mine": nobody})
    empty = card[card["segment"] == "empty"]
    assert empty["value"].isna().all() and (empty["cell_count"] == 0).all()
