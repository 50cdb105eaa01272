"""The coverage that the bench of forecasts measures, against laws that are known."""

import numpy as np
import pytest
from scipy import stats

from bench import coverage


@pytest.mark.parametrize("mean", [0.3, 0.7, 4.0])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.75, 0.9, 0.975])
def test_a_right_forecast_of_whole_units_covers_exactly_its_level(mean, level):
    """Its rounded quantile covers more: at 0.3 a day, 0 is right for every level up to 0.74."""
    units = np.arange(60)
    below, chance = stats.poisson.cdf(units - 1, mean), stats.poisson.pmf(units, mean)
    tied = int(np.argmax(below + chance >= level))
    quantile = 0.0 if tied == 0 else tied - 1 + (level - below[tied]) / chance[tied]
    share = coverage.covered(units * 1.0, np.full(60, quantile), np.full(60, chance[0]), level=level)
    assert share @ chance == pytest.approx(level)
    wrong = coverage.covered(units * 1.0, np.full(60, quantile + 0.5), np.full(60, chance[0]), level=level)
    assert wrong @ chance > level + 0.004
    assert np.isnan(coverage.covered(np.array([np.nan]), np.ones(1), np.zeros(1), level=level)).all()
