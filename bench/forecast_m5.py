"""The forecasts on an M5 folder: every contender on the last 28 days, sums, distributions on unseen windows.

The last 28 days are never trained on and nothing was chosen by them; the coverage is that of trainings 56 days
apart, each judged on the four weeks after it only.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from bench.coverage import covered
from bench.figures import Figure, at_most, within
from bench.m5_panel import m5_panel
from retail_assets.demand import metrics
from retail_assets.demand.calibration.conformal import SeriesProfile
from retail_assets.demand.calibration.cumulative import cumulative_distributions
from retail_assets.demand.forecasting import forecast
from retail_assets.demand.models.baselines import seasonal_naive
from retail_assets.demand.models.contenders import BLENDS, FAMILIES, SINGLE, contender_means, fit_family
from retail_assets.demand.panel import Panel
from retail_assets.demand.scores.competition_scores import competition_scores
from retail_assets.demand.segments import abc_class
from retail_assets.demand.totals.aggregate import fit_pull
from retail_assets.demand.tournament import CHOSEN, TrainingConfig, run_tournament
from retail_assets.demand.training import TrainedModel, train
from retail_assets.tables.forecast import NAIVE, QUANTILE_LEVELS

HORIZON, TRAIN_DAYS = 28, 730
RMSSE_LIMIT, WAPE_LIMIT = 0.785, 0.42
TOTALS = (3, 7, 14, 21)
JUDGED = ("q900", "q950", "q975")
COVERAGE_TRAININGS, COVERAGE_STEP = 8, 56
_REFERENCES = {"naive": (0.971, 0.538), "28-day mean": (0.821, 0.442), "published submission, rank 46": (0.809, 0.430)}


def figures(folder: Path) -> list[Figure]:
    sales = pd.read_parquet(folder / "sales.parquet", columns=["date"])
    end = pd.to_datetime(sales["date"]).max().date()
    whole = m5_panel(folder, last_date=end, horizon=HORIZON)
    past = _known(whole, HORIZON)
    history = whole.units[:, :-HORIZON]
    model = train(past, TrainingConfig(horizon=HORIZON))
    actual = whole.units[:, -HORIZON:]
    return [
        *_validation(past, model, actual=actual, history=history),
        *_contenders(past, actual, scale=metrics.rmsse_scale(history)),
        *_backtest(past),
        *_sums(past, model, actual=actual, history=history),
        *_coverage(whole),
    ]


def _known(whole: Panel, days_before_end: int) -> Panel:
    """As of some days before the end, with the history a training reads."""
    return whole.through(whole.as_of - timedelta(days=days_before_end)).last_days(TRAIN_DAYS)


def _means(past: Panel, model: TrainedModel) -> np.ndarray:
    return forecast(past, model, horizons=TOTALS).daily["mean_units"].to_numpy().reshape(-1, past.horizon)


def _validation(past: Panel, model: TrainedModel, *, actual: np.ndarray, history: np.ndarray) -> list[Figure]:
    """Errors are scaled by the whole history from the first sale on, as in the competition."""
    mean, scale = _means(past, model), metrics.rmsse_scale(history)
    value = metrics.recent_value(past.units, price=past.price[:, : past.day_count])
    judged = {"series": past.series, "history": history, "value": value}
    return [
        at_most("M5 validation: mean RMSSE", metrics.rmsse(actual, mean, scale=scale), "", RMSSE_LIMIT),
        at_most("M5 validation: WAPE", metrics.wape(actual, mean), "", WAPE_LIMIT),
        Figure("M5 validation: bias", round(metrics.bias(actual, mean), 4), ""),
        Figure("M5 validation: WRMSSE of these series", round(metrics.wrmsse(actual, mean, **judged), 4), ""),
        *(Figure(f"M5 validation: mean RMSSE, reference {name}", found[0], "") for name, found in _REFERENCES.items()),
        *(Figure(f"M5 validation: WAPE, reference {name}", found[1], "") for name, found in _REFERENCES.items()),
    ]


def _contenders(past: Panel, actual: np.ndarray, *, scale: np.ndarray) -> Iterator[Figure]:
    """Every contender alone on the validation window, all fitted on the same past."""
    config = TrainingConfig(horizon=HORIZON)
    fitted = {name: fit_family(name, past, config.boosting) for name in FAMILIES}
    totals = fit_pull(past)
    means = contender_means(past, SINGLE, fitted=fitted, aggregate=totals).by_name
    for name in SINGLE:
        label = f"contender {name}" + (" (mean of families)" if name in BLENDS else "")
        yield Figure(f"{label}: mean RMSSE", round(metrics.rmsse(actual, means[name], scale=scale), 4), "")
        yield Figure(f"{label}: WAPE", round(metrics.wape(actual, means[name]), 4), "")
        yield Figure(f"{label}: bias", round(metrics.bias(actual, means[name]), 4), "")


def _backtest(past: Panel) -> Iterator[Figure]:
    """The table of all contenders' scores by segment, as a training keeps it; and the competition's own scores."""
    found = run_tournament(past, TrainingConfig(horizon=HORIZON), every_family=True)
    for name in (CHOSEN, NAIVE):
        for metric, value in competition_scores(found.sample, found.folds, name).items():
            yield Figure(f"backtest, {name}: {metric.upper()}", round(value, 4), "")
    for row in found.scores.to_dict(orient="records"):
        label = f"backtest {row['segment']}, {row['model_name']}" + (", chosen" if row["is_chosen"] else "")
        yield Figure(f"{label}: scaled pinball", round(row["scaled_pinball"], 4), "")
        yield Figure(f"{label}: bias", round(row["bias"], 4), "")


def _sums(past: Panel, model: TrainedModel, *, actual: np.ndarray, history: np.ndarray) -> list[Figure]:
    """Errors of sums by store and department on the validation window."""
    code = past.series.groupby(["store_id", "department"]).ngroup().to_numpy()
    scale = metrics.rmsse_scale(_summed(history, code))
    made = {
        "ours": _means(past, model),
        "ETS bottom-up": _ets(past),
        "seasonal naive": seasonal_naive(past),
    }
    error = {
        name: metrics.rmsse(_summed(actual, code), _summed(mean, code), scale=scale) for name, mean in made.items()
    }
    best = min(error["ETS bottom-up"], error["seasonal naive"])
    return [
        Figure("store × department sums: mean RMSSE, ETS bottom-up", round(error["ETS bottom-up"], 4), ""),
        Figure("store × department sums: mean RMSSE, seasonal naive", round(error["seasonal naive"], 4), ""),
        at_most("store × department sums: mean RMSSE, ours", error["ours"], "", round(best, 4)),
    ]


def _summed(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    total = np.zeros((code.max() + 1, values.shape[1]))
    np.add.at(total, code, np.nan_to_num(values))
    return total


def _ets(past: Panel) -> np.ndarray:
    """Holt–Winters without trend, weekly additive season, fitted a series at a time by statsmodels."""
    made = [
        ExponentialSmoothing(
            row[np.isfinite(row)], seasonal="add", seasonal_periods=7, initialization_method="heuristic"
        )
        .fit()
        .forecast(past.horizon)
        for row in past.units
    ]
    return np.where(past.future_is_open, np.maximum(np.array(made), 0.0), 0.0)


def _coverage(whole: Panel) -> Iterator[Figure]:
    """Deviation of coverage from nominal, in points, with its standard error: overall and by ABC class."""
    judged = [
        row.assign(training=number)
        for number in range(COVERAGE_TRAININGS)
        for row in _judged_after(whole, HORIZON + COVERAGE_STEP * number)
    ]
    frame = pd.concat(judged, ignore_index=True)
    for name in JUDGED:
        for days in TOTALS:
            rows = frame.loc[frame["days"] == days]
            yield from _covered(rows, name, label=f"coverage {name}, {days} days", limit=1.5)
            for abc, part in rows.groupby("abc"):
                yield from _covered(part, name, label=f"coverage {name}, {days} days, class {abc}", limit=3.0)


def _judged_after(whole: Panel, days_before_end: int) -> Iterator[pd.DataFrame]:
    """How much of each total lies within its quantiles; forecast on a training's day and one, two, three weeks later.

    The distributions are those of `forecast`, before they are rounded to whole units.
    """
    trained_on = _known(whole, days_before_end)
    model = train(trained_on, TrainingConfig(horizon=HORIZON))
    levels = {name: QUANTILE_LEVELS[name] for name in JUDGED}
    for later in (0, 7, 14, 21):
        if days_before_end - later < max(TOTALS):
            continue
        past = _known(whole, days_before_end - later)
        profile = SeriesProfile.of(past)
        found = cumulative_distributions(
            _means(past, model),
            replace(profile, is_whole=np.zeros(past.series_count, dtype=bool)),
            calibration=model.calibration,
            reach=np.full(past.series_count, past.horizon),
            horizons=TOTALS,
            levels=tuple(levels.values()),
        )
        known = whole.day_count - (days_before_end - later)
        abc = abc_class(past)
        for days, made in found.items():
            actual = whole.units[:, known : known + days].sum(axis=1)
            within_quantile = {
                name: covered(actual, made.quantiles[:, number], made.p_zero, level=level)
                for number, (name, level) in enumerate(levels.items())
            }
            yield pd.DataFrame({"days": days, "abc": abc, **within_quantile})


def _covered(rows: pd.DataFrame, name: str, *, label: str, limit: float) -> Iterator[Figure]:
    """Trainings are the unit of the standard error: weeks and series of one share its faults."""
    off = pd.Series(100 * (rows[name].to_numpy(dtype=float) - QUANTILE_LEVELS[name]))
    of_training = off.groupby(rows["training"].to_numpy()).mean()
    count = len(of_training)
    yield within(label, float(off.mean()), f"points from nominal, {count} trainings", limit)
    error = float(of_training.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    yield Figure(f"{label}: standard error", round(error, 2), "points")
