"""Weights of series in pooled figures, for pools that a young shop or an odd one has."""

import numpy as np
import pytest

from retail_assets.demand.pooling import ordinary_days, say_of_errors, say_of_totals, second_highest

TINY = np.finfo(float).smallest_subnormal


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wild", [1.0, TINY, 1e150])
@pytest.mark.parametrize("usual", [0.0, TINY, 1.0, 1e150])
def test_weights_are_shares_at_any_scale(usual, wild):
    values = np.array([usual] * 6 + [wild])
    for weights in (say_of_errors(values, np.arange(7)), say_of_totals(values)):
        assert ((weights >= 0) & (weights <= 1)).all()
        assert (weights[:6] == 1).all() or wild < usual


def test_a_pool_may_be_empty():
    """No forecast of a young shop reaches days that are known."""
    assert say_of_errors(np.zeros(0), np.zeros(0, dtype=int)).shape == (0,)
    assert say_of_totals(np.zeros(0)).shape == (0,)


def test_no_series_at_all_has_ordinary_days():
    assert ordinary_days(np.zeros((0, 5)), np.zeros(0, dtype=int)).shape == (0, 5)


def test_the_second_highest_of_a_group_is_the_highest_where_two_share_it():
    values = np.array([[3.0, 5.0, -1.0], [9.0, 9.0, 9.0], [np.nan, 5.0, -2.0], [1.0, 2.0, -3.0]])
    assert second_highest(values, np.array([1, 0, 1, 1])).tolist() == [[0.0, 0.0, 0.0], [1.0, 5.0, 0.0]]
