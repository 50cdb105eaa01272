"""Steps of quantity, given and read off what was sold."""

import numpy as np
import pytest

from retail_assets.demand.quantity_steps import STEPS, unit_steps

NAN = np.nan


def _step(sold: list[float], given: float = NAN) -> float:
    return float(unit_steps(np.array([given]), np.array([sold]), product=np.array([0]), days=len(sold))[0, 0])


@pytest.mark.parametrize("step", STEPS)
def test_the_step_is_the_widest_that_all_quantities_are_whole_numbers_of(step: float) -> None:
    sold = [round(step * count, 3) for count in (1, 2, 3, 7, 11, 101)]
    assert _step([*sold, 0.0, NAN]) == step
    assert _step(sold, given=step) == step


def test_a_given_step_holds_unless_the_quantities_contradict_it() -> None:
    assert _step([1.0, 2.0, 3.0], given=0.1) == 0.1
    assert _step([6.0, 12.0], given=6.0) == 6.0
    assert _step([0.3, 1.2, 5.5], given=1.0) == 0.1
    assert _step([0.0, NAN], given=0.25) == 0.25
    assert _step([0.0, NAN]) == 1.0


def test_one_odd_quantity_in_two_hundred_does_not_make_grams() -> None:
    assert _step([3.0] * 200 + [0.337]) == 1.0
    assert _step([3.0] * 20 + [0.337]) == 0.001


def test_stores_share_a_products_step_and_each_day_looks_back_alone() -> None:
    sold = np.array([[1.0, 1, 1, 1, 1, 1], [2.5, 2, 2, 2, 2, 2.5], [1.5, 1.5, 1.5, 1.5, 1.5, 1.5]])
    steps = unit_steps(np.full(3, NAN), sold, product=np.array([0, 0, 1]), days=3)
    assert steps.tolist() == [[0.5, 1.0, 1.0, 0.5], [0.5, 1.0, 1.0, 0.5], [0.5] * 4]
