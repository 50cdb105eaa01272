"""What is still expected of series that stopped selling, by hand."""

import numpy as np
import pytest

from retail_assets.demand.effects.phase_out import most_expected
from retail_assets_tests.unit.demand_frames import panel_of

DAYS = 200


def _ceiling(row: np.ndarray) -> float:
    return float(most_expected(panel_of(row[None, :]))[0])


def test_a_product_that_would_have_sold_32_units_since_its_last_sale_keeps_a_twentieth():
    row = np.full(DAYS, 2.0)
    row[-16:] = 0.0
    assert _ceiling(row) == pytest.approx(0.05 * 2.0)


def test_a_day_less_says_nothing_yet():
    row = np.full(DAYS, 2.0)
    row[-15:] = 0.0
    assert _ceiling(row) == np.inf


def test_only_the_112_days_before_the_last_sale_count():
    row = np.full(DAYS, 50.0)
    row[-130:-18] = 1.0
    row[-18:] = 0.0
    assert _ceiling(row) == np.inf


def test_days_that_say_nothing_are_no_silence():
    row = np.full(DAYS, 4.0)
    row[-20:] = 0.0
    assert _ceiling(row) == pytest.approx(0.2)
    row[-20:-5] = np.nan
    assert _ceiling(row) == np.inf


@pytest.mark.parametrize("units", [0.0, np.nan])
def test_a_product_that_never_sold_has_no_ceiling(units):
    both = np.stack([np.full(DAYS, units), np.ones(DAYS)])
    assert most_expected(panel_of(both)).tolist() == [np.inf, np.inf]
