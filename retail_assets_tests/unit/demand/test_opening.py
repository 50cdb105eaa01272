"""When stores trade, against weeks drawn at random and by hand."""

import numpy as np
import pytest

from retail_assets.demand.opening import LEARNING_DAYS, USUAL_HOURS, closed_weekdays, trading_hours

WEEKDAY = np.tile(np.arange(1, 8), LEARNING_DAYS // 7)
BUSY = [20.0, 18, 20, 22, 25, 30, 12]


def _closed(*weeks: list[float], stores: int = 1, clumping: float = 0.0) -> np.ndarray:
    """Share of stores closed on each weekday when products sold are Poisson around these weeks, repeated."""
    mean = np.tile(np.concatenate(weeks), (stores, LEARNING_DAYS // 7 // len(weeks)))
    rng = np.random.default_rng(5)
    rate = mean * rng.gamma(1 / clumping, clumping, mean.shape) if clumping else mean
    return closed_weekdays(rng.poisson(rate).astype(float), weekday=WEEKDAY).mean(axis=0)


@pytest.mark.parametrize("closed", [{7}, {6, 7}, {1}, {1, 2, 3, 4, 5, 7}])
def test_weekdays_without_a_sale_in_eight_weeks_are_closed(closed: set[int]) -> None:
    week = [0.0 if n + 1 in closed else units for n, units in enumerate(BUSY)]
    assert {n + 1 for n, share in enumerate(_closed(week, stores=200)) if share == 1} == closed
    assert set(_closed(week, stores=200)) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("week", "clumping"),
    [
        ([1.5] * 7, 0.0),
        ([2.0] * 6 + [0.3], 0.0),
        ([3.0] * 6 + [0.2], 0.0),
        ([10.0] * 6 + [2.0], 3.0),
    ],
)
def test_a_weekday_that_sells_little_is_not_closed_by_chance(week: list[float], clumping: float) -> None:
    assert _closed(week, stores=5_000, clumping=clumping).max() < 0.001


def test_too_few_weeks_of_trade_say_nothing() -> None:
    """Five weeks of history prove nothing, nor does a shop that opens again after seven."""
    week = 50 * np.array([*BUSY[:6], 0.0])
    for weeks, is_closed in ((5, False), (6, True), (8, True)):
        sold = np.zeros((1, LEARNING_DAYS))
        sold[0, LEARNING_DAYS - 7 * weeks :] = np.tile(week, weeks)
        assert closed_weekdays(sold, weekday=WEEKDAY)[0, 6] == is_closed
    reopened = np.zeros((1, LEARNING_DAYS))
    reopened[0, -4:] = 1000.0
    assert not closed_weekdays(reopened, weekday=WEEKDAY).any()
    assert not closed_weekdays(np.zeros((2, LEARNING_DAYS)), weekday=WEEKDAY).any()


def test_a_stray_sale_is_no_day_of_trade_in_a_big_store_and_one_in_a_small_one() -> None:
    for usual, is_closed in ((100.0, True), (20.0, False)):
        sold = np.tile([usual] * 6 + [0.0], 8)
        sold[27] = 1.0
        assert closed_weekdays(sold[None, :], weekday=WEEKDAY)[0, 6] == is_closed


def test_weekdays_are_those_of_the_calendar_whatever_day_is_the_newest() -> None:
    for shift in range(7):
        weekday = (np.arange(LEARNING_DAYS) + shift) % 7 + 1
        closed = closed_weekdays(np.where(weekday == 7, 0.0, 20.0)[None, :], weekday=weekday)
        assert closed[0].tolist() == [False] * 6 + [True]


NAN = np.nan
HOURS = np.full((4, 20), NAN)


def _hours(reported: np.ndarray, given: float = NAN, *, was_empty: bool = False) -> list[float]:
    store = np.array([0, 0, 1, 1])
    empty = np.full(reported.shape, was_empty)
    return trading_hours(np.full(4, given), reported, was_empty=empty, store=store).tolist()


def test_hours_are_given_or_those_of_days_that_were_empty_throughout_or_assumed() -> None:
    reported = HOURS.copy()
    reported[0, :5] = 10.0
    assert _hours(HOURS) == [USUAL_HOURS] * 4
    assert _hours(reported, given=24.0) == [24.0] * 4
    assert _hours(reported, was_empty=True) == [10.0, 10.0, USUAL_HOURS, USUAL_HOURS]
    assert _hours(reported) == [USUAL_HOURS] * 4, "out of stock for ten hours, in stock for some more"


def test_no_store_trades_fewer_hours_than_its_products_were_missing() -> None:
    reported = HOURS.copy()
    reported[3, :5] = 22.0
    reported[1, :2] = 23.0
    reported[0, :5] = 240.0
    assert _hours(reported) == [USUAL_HOURS, USUAL_HOURS, 22.0, 22.0], "wrong and impossible figures change none"
