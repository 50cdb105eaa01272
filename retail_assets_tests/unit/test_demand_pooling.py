"""Weights of series in pooled figures, for pools that a young shop or an odd one has."""

import numpy as np
import pytest

from retail_assets.demand.pooling import say_of_errors, say_of_totals

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
