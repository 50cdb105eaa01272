"""A plan that came late is not seen before it came: by earlier views, by the backtest, by what models learn from."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from retail_assets.demand.calibration.backtest import Fold, rolling_origin
from retail_assets.demand.effects.known_effects import known_effects
from retail_assets.demand.models.contenders import contender_means, fit_family
from retail_assets.demand.models.features import FeatureSource, Vocabulary, design, feature_names
from retail_assets.demand.models.global_model import Boosting, training_rows
from retail_assets.demand.panel import Panel, with_plan_lead
from retail_assets.demand.plan_lead import IN_TIME, PlanLead
from retail_assets.demand.tournament import with_horizon
from retail_assets_tests.unit.demand_frames import AS_OF, panel_of, retailer

DAYS, HORIZON = 120, 14
PROMOTED = 100
"""The day of the promotion, and of a new price, of series 1."""
SMALL = Boosting(trees=20, leaves=7, max_origins=8, threads=1)


def _day(number: int) -> date:
    return AS_OF - timedelta(days=DAYS - 1 - number)


def _rows(known_on: date, days: range, series: int = 1) -> pd.DataFrame:
    """Late cells of a series."""
    found = pd.DataFrame({"business_date": [_day(n) for n in days], "known_on": known_on})
    return found.assign(store_id=f"S{series % 2}", product_id=f"P{series // 2:03d}")


def _planned(known_on: date | None, *, last: int = PROMOTED) -> Panel:
    """Series 1 is promoted on the days PROMOTED … last and dearer from the first on; both known from `known_on`."""
    panel = panel_of(retailer(4, DAYS), horizon=HORIZON)
    panel.discount_rate[1, PROMOTED : last + 1] = 0.3
    panel.price[1, PROMOTED:] = 9.0
    if known_on is None:
        return panel
    prices = _rows(known_on, range(PROMOTED, DAYS + HORIZON))
    return with_plan_lead(panel, discounts=_rows(known_on, range(PROMOTED, last + 1)), prices=[prices])


def _ahead(panel: Panel, day: int, *, ahead: int) -> tuple[float, float]:
    """Discount and price of series 1 on a day, as seen so many days before."""
    past = panel.through(_day(day - ahead))
    return past.discount_rate[1, day].round(3), past.price[1, day]


def test_a_promotion_known_the_day_before_is_not_seen_two_days_before() -> None:
    panel = _planned(_day(PROMOTED - 1))
    assert _ahead(panel, PROMOTED, ahead=2) == pytest.approx((0.0, 3.0)), "the last price known"
    assert _ahead(panel, PROMOTED, ahead=1) == pytest.approx((0.3, 9.0))
    assert _ahead(panel, PROMOTED, ahead=0) == pytest.approx((0.3, 9.0)), "the past is as it was"
    assert _ahead(_planned(None), PROMOTED, ahead=HORIZON) == pytest.approx((0.3, 9.0))


def test_a_plan_that_came_after_its_day_is_seen_by_no_origin_before_it() -> None:
    panel = _planned(_day(PROMOTED + 3))
    assert [_ahead(panel, PROMOTED, ahead=n)[0] for n in (14, 1, 0)] == pytest.approx([0.0, 0.0, 0.3])
    assert [_ahead(panel, PROMOTED + 5, ahead=n)[1] for n in (3, 2)] == pytest.approx([9.0, 9.0]), "of the past by then"
    assert [_ahead(panel, PROMOTED + 5, ahead=n)[1] for n in (14, 6)] == pytest.approx([3.0, 3.0])


def test_the_last_known_price_of_a_late_change_is_the_one_planned_before() -> None:
    panel = _planned(None)
    panel.price[1, PROMOTED + 3 :] = 12.0
    panel = with_plan_lead(
        panel,
        discounts=_rows(AS_OF, range(0)),
        prices=[_rows(_day(PROMOTED + 2), range(PROMOTED + 3, DAYS + HORIZON))],
    )
    past = panel.through(_day(PROMOTED - 2))
    assert past.price[1, PROMOTED - 2 : PROMOTED + 6].tolist() == [3.0, 3.0, *[9.0] * 6]


def test_other_series_and_the_panel_itself_stay_as_they_were() -> None:
    late, plain = _planned(_day(PROMOTED - 1)), _planned(None)
    one, other = (panel.through(_day(PROMOTED - 2)) for panel in (late, plain))
    np.testing.assert_array_equal(one.price[[0, 2, 3]], other.price[[0, 2, 3]])
    np.testing.assert_array_equal(one.discount_rate[[0, 2, 3]], other.discount_rate[[0, 2, 3]])
    np.testing.assert_array_equal(late.discount_rate, plain.discount_rate)
    np.testing.assert_array_equal(late.price, plain.price)


def test_the_folds_of_the_backtest_see_what_was_known_at_their_origin() -> None:
    panel = _planned(_day(PROMOTED - 1))
    seen: dict[int, float] = {}

    def ahead(past: Panel) -> np.ndarray:
        seen[past.day_count] = past.discount_rate[1, past.day_count :].max()
        return np.ones((past.series_count, past.horizon))

    folds = rolling_origin(panel, {"any": ahead}, origins=[PROMOTED - 7, PROMOTED - 1, PROMOTED])
    assert seen == pytest.approx({PROMOTED - 7: 0.0, PROMOTED - 1: 0.0, PROMOTED: 0.3})
    np.testing.assert_array_equal(folds[0].actual[1, :HORIZON], panel.demand[1, PROMOTED - 7 : PROMOTED - 7 + HORIZON])


def test_effects_of_past_days_are_those_of_what_happened() -> None:
    late, plain = (known_effects(_planned(known_on)) for known_on in (_day(PROMOTED - 1), None))
    assert late.past is not None and plain.past is not None
    np.testing.assert_array_equal(late.past, plain.past)


def _columns(panel: Panel, origin: int) -> dict[str, np.ndarray]:
    source = FeatureSource(panel, Vocabulary.of(panel))
    values, _ = design(source, origin, rows=np.array([3, 1]), horizon=panel.horizon)
    return {name: values[1, :, number] for number, name in enumerate(feature_names(source))}


@pytest.mark.parametrize("lead", [1, 3])
def test_regressors_of_a_past_origin_know_no_late_plan(lead: int) -> None:
    panel, never = _planned(_day(PROMOTED - lead), last=PROMOTED + 2), panel_of(retailer(4, DAYS), horizon=HORIZON)
    before, without = (_columns(each, PROMOTED - lead) for each in (panel, never))
    for name, values in before.items():
        np.testing.assert_array_equal(values, without[name], err_msg=name)
    at = _columns(panel, PROMOTED - lead + 1)
    told, plain = at, _columns(_planned(None, last=PROMOTED + 2), PROMOTED - lead + 1)
    for name, values in told.items():
        np.testing.assert_array_equal(values, plain[name], err_msg=name)
    assert at["discount"][lead - 1] == pytest.approx(0.3) and at["promotion_days_left"][lead - 1] == 3


def test_the_rows_a_model_learns_from_know_no_late_plan() -> None:
    """Promoted in each week on the day that each origin forecasts first, and planned the day before or never told."""
    units = retailer(40, DAYS)
    told, late = (panel_of(units, horizon=HORIZON) for _ in range(2))
    days = range(DAYS - 5, 30, -7)
    for panel in (told, late):
        panel.discount_rate[:, list(days)] = 0.3
    discounts = pd.concat([_rows(_day(day - 1), range(day, day + 1), series=n) for n in range(40) for day in days])
    late = with_plan_lead(late, discounts=discounts, prices=[])
    found = {}
    for name, panel in {"told": told, "late": late}.items():
        source = FeatureSource(panel, Vocabulary.of(panel))
        table, demand, _, _ = training_rows(source, SMALL)
        found[name] = table[:, feature_names(source).index("discount")], demand
    np.testing.assert_array_equal(found["told"][1], found["late"][1])
    assert (found["told"][0] > 0).any() and not (found["late"][0] > 0).any()


def _promoted_shop(lead: int | None) -> Panel:
    """30 series that sell four times as much on the 15 % of days with a promotion, planned `lead` days ahead."""
    rng = np.random.default_rng(7)
    promoted = rng.random((30, DAYS + HORIZON)) < 0.15
    panel = panel_of(rng.poisson(np.where(promoted[:, :DAYS], 12.0, 3.0)) * 1.0, horizon=HORIZON)
    panel.discount_rate[:] = np.where(promoted, 0.3, 0.0)
    shape = panel.price.shape
    if lead is None:
        return panel
    return replace(panel, lead=PlanLead(np.full(shape, lead, np.int8), np.full(shape, lead, np.int8)))


def _folds(panel: Panel) -> list[Fold]:
    def contenders(past: Panel) -> dict[str, np.ndarray]:
        return contender_means(past, ["tsb"], fitted={}, aggregate=None).by_name

    return rolling_origin(panel, contenders, origins=[90, 97, 104])


def _squared_error(folds: list[Fold]) -> float:
    return float(np.mean([np.nanmean((fold.means["tsb"] - fold.actual) ** 2) for fold in folds]))


def test_the_backtest_of_a_shop_that_plans_late_is_worse() -> None:
    in_time, late = (_squared_error(_folds(_promoted_shop(lead))) for lead in (None, 0))
    assert late > 1.5 * in_time


def test_a_shop_that_plans_in_time_is_trained_and_tested_as_before_to_the_last_bit() -> None:
    plain, early = (_promoted_shop(lead) for lead in (None, HORIZON))
    for one, other in zip(_folds(plain), _folds(early), strict=True):
        np.testing.assert_array_equal(one.means["tsb"], other.means["tsb"])
        np.testing.assert_array_equal(one.actual, other.actual)
    one, other = (training_rows(FeatureSource(each, Vocabulary.of(each)), SMALL) for each in (plain, early))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
    one, other = (fit_family("lightgbm", each, SMALL).predict(each) for each in (plain, early))
    np.testing.assert_array_equal(one, other)


def test_without_late_plans_the_panel_is_the_same_object() -> None:
    panel, none = _planned(None), _rows(AS_OF, range(0))
    assert with_plan_lead(panel, discounts=none, prices=[none]) is panel


def test_plans_of_other_series_and_days_outside_the_panel_are_left_out() -> None:
    rows = pd.concat([_rows(AS_OF, range(-3, DAYS + HORIZON + 3)), _rows(AS_OF, range(5), series=9)])
    lead = with_plan_lead(_planned(None), discounts=rows, prices=[]).lead
    assert lead is not None and (lead.price == IN_TIME).all()
    assert (lead.discount[[0, 2, 3]] == IN_TIME).all()
    assert lead.discount[1].tolist() == [0] * DAYS + list(range(1, HORIZON + 1)), "what is planned now is seen now"


@pytest.mark.parametrize("ahead", [2, 10])
@pytest.mark.parametrize(
    "part",
    [
        pytest.param(lambda panel: panel.take(np.array([3, 1])), id="take"),
        pytest.param(lambda panel: panel.last_days(60), id="last_days"),
        pytest.param(lambda panel: panel.through(_day(PROMOTED)), id="through"),
        pytest.param(lambda panel: with_horizon(panel, 12), id="with_horizon"),
    ],
)
def test_a_part_of_a_panel_sees_at_an_origin_what_the_whole_saw(part: Callable[[Panel], Panel], ahead: int) -> None:
    """In its last 12 days ahead, on which the promotion was not planned yet and the price had not changed."""
    whole, origin = _planned(_day(PROMOTED - 1), last=PROMOTED + 5), _day(PROMOTED - ahead)
    past = part(whole).through(origin)
    row = past.series.index[past.series["store_id"].eq("S1") & past.series["product_id"].eq("P000")][0]
    days = slice(past.day_count, past.day_count + 12)
    assert past.discount_rate[row, days].tolist() == [0.0] * 12
    assert past.price[row, days].tolist() == [3.0] * 12
