"""Scores of random panels against those of utilsforecast, another project's computation of the same definitions."""

import numpy as np
import pandas as pd
import pytest
from utilsforecast import losses

from retail_assets.demand import metrics
from retail_assets.demand.scores import competition_levels

LEVELS = np.array([0.1, 0.5, 0.9, 0.975])
QUANTILES = [f"q{index}" for index in range(len(LEVELS))]
SERIES, HISTORY_DAYS, HORIZON = 12, 90, 28
CASES = pytest.mark.parametrize("seed", range(5))


class Panel:
    """Series that start on different days, some of them slow; a fifth of the days to score was not observed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rate = rng.gamma(1.0, 4.0, (SERIES, 1)) + 0.2
        self.history = rng.poisson(rate, (SERIES, HISTORY_DAYS)).astype(float)
        self.starts = rng.integers(0, 40, SERIES)
        for row, start in enumerate(self.starts):
            self.history[row, :start] = 0.0
            self.history[row, start] = 1.0
        self.actual = rng.poisson(rate, (SERIES, HORIZON)).astype(float)
        self.actual[rng.random(self.actual.shape) < 0.2] = np.nan
        self.forecast = rate * rng.uniform(0.5, 1.5, (SERIES, HORIZON))
        self.quantiles = np.sort(rng.poisson(rate[:, :, None], (SERIES, HORIZON, len(LEVELS))).astype(float), axis=2)

    def scored(self, *, as_one: bool = False) -> pd.DataFrame:
        """The observed days in the long form of utilsforecast, as one series where a score is not one of each."""
        frame = pd.DataFrame(
            {"unique_id": np.repeat(np.arange(SERIES), HORIZON), "ds": np.tile(np.arange(HORIZON), SERIES)}
        ).assign(y=self.actual.ravel(), forecast=self.forecast.ravel())
        for index, name in enumerate(QUANTILES):
            frame[name] = self.quantiles[:, :, index].ravel()
        return frame.assign(unique_id=0 if as_one else frame["unique_id"]).dropna(ignore_index=True)

    def trained(self) -> pd.DataFrame:
        """History from the first sale on."""
        rows = [
            pd.DataFrame({"unique_id": row, "ds": np.arange(start, HISTORY_DAYS), "y": self.history[row, start:]})
            for row, start in enumerate(self.starts)
        ]
        return pd.concat(rows, ignore_index=True)


def only(frame: pd.DataFrame, column: str = "forecast") -> float:
    [value] = frame[column]
    return float(value)


@CASES
def test_errors_of_the_mean(seed):
    panel = Panel(seed)
    scored, total = panel.scored(as_one=True), np.nansum(panel.actual)
    error = only(losses.bias(scored, ["forecast"])) * len(scored) / total
    assert metrics.wape(panel.actual, panel.forecast) == pytest.approx(only(losses.nd(scored, ["forecast"])))
    assert metrics.bias(panel.actual, panel.forecast) == pytest.approx(error)


@CASES
@pytest.mark.parametrize(
    ("ours", "theirs", "scale", "season"),
    [
        (metrics.series_rmsse, losses.rmsse, metrics.rmsse_scale, 1),
        (metrics.series_mase, losses.mase, metrics.mase_scale, 7),
        (metrics.series_mase, losses.mase, metrics.step_scale, 1),
    ],
    ids=["RMSSE", "MASE", "MASE of one step"],
)
def test_scaled_errors_of_each_series(seed, ours, theirs, scale, season):
    panel = Panel(seed)
    expected = theirs(panel.scored(), ["forecast"], seasonality=season, train_df=panel.trained())["forecast"]
    assert ours(panel.actual, panel.forecast, scale=scale(panel.history)) == pytest.approx(expected.to_numpy())


@CASES
def test_means_over_series(seed):
    panel = Panel(seed)
    scored, trained = panel.scored(), panel.trained()
    rmsse = losses.rmsse(scored, ["forecast"], seasonality=1, train_df=trained)["forecast"].mean()
    mase = losses.mase(scored, ["forecast"], seasonality=7, train_df=trained)["forecast"].mean()
    rmsse_scale, mase_scale = metrics.rmsse_scale(panel.history), metrics.mase_scale(panel.history)
    assert metrics.rmsse(panel.actual, panel.forecast, scale=rmsse_scale) == pytest.approx(rmsse)
    assert metrics.mase(panel.actual, panel.forecast, scale=mase_scale) == pytest.approx(mase)


@CASES
def test_pinball_losses(seed):
    panel = Panel(seed)
    scored = panel.scored(as_one=True)
    expected = only(losses.mqloss(scored, {"forecast": QUANTILES}, quantiles=LEVELS))
    assert metrics.pinball(panel.actual, panel.quantiles, levels=LEVELS) == pytest.approx(expected)
    scaled = metrics.scaled_pinball(panel.actual, panel.quantiles, levels=LEVELS)
    assert scaled == pytest.approx(expected / scored["y"].mean())


@CASES
def test_the_share_of_actuals_not_above_a_quantile(seed):
    panel = Panel(seed)
    shares = losses.calibration(panel.scored(as_one=True), {name: name for name in QUANTILES})
    for index, name in enumerate(QUANTILES):
        _, up_to = metrics.coverage(panel.actual, panel.quantiles[:, :, index])
        assert up_to == pytest.approx(only(shares, name))


@CASES
def test_the_scores_of_the_competition_of_a_single_series(seed):
    """All twelve levels are that series then, so the weighted scores are its own."""
    panel = Panel(seed)
    row = int(np.argmax(np.nansum(panel.actual, axis=1)))
    series = pd.DataFrame([["N", "S", "food", "D", "P"]])
    series.columns = ["region", "store_id", "category", "department", "product_id"]
    scored, trained = (frame[frame["unique_id"] == row] for frame in (panel.scored(), panel.trained()))
    seen = ~np.isnan(panel.actual[row])
    actual, history, value = panel.actual[[row]][:, seen], panel.history[[row]], np.array([5.0])
    sums = len(competition_levels.groups(series))
    wrmsse = metrics.wrmsse(actual, panel.forecast[[row]][:, seen], series=series, history=history, value=value)
    wspl = metrics.wspl(
        actual,
        np.repeat(panel.quantiles[[row]][:, seen], sums, axis=0),
        levels=LEVELS,
        series=series,
        history=history,
        value=value,
    )
    assert wrmsse == pytest.approx(only(losses.rmsse(scored, ["forecast"], seasonality=1, train_df=trained)))
    expected = losses.scaled_mqloss(scored, {"forecast": QUANTILES}, quantiles=LEVELS, seasonality=1, train_df=trained)
    assert wspl == pytest.approx(only(expected))
