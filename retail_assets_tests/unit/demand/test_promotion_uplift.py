"""What promotions brought, against shops whose demand on promoted days is known."""

from dataclasses import replace

import numpy as np
import pytest

from retail_assets.demand.effects.promotion_uplift import COLUMNS, promotion_uplift
from retail_assets.demand.panel import Panel
from retail_assets_tests.unit.demand_frames import panel_of

DAYS, TIMES = 280, 3


@pytest.fixture
def panel() -> Panel:
    """Four products of ten units a day; the first two sell three times as much on every tenth day, at a quarter off."""
    made = panel_of(np.full((4, DAYS), 10.0), horizon=14)
    discount = np.zeros(made.discount_rate.shape)
    discount[:2, 40:DAYS:10] = 0.25
    units = np.where(discount[:, :DAYS] > 0, TIMES * 10.0, 10.0)
    series = made.series.assign(product_id=["P0", "P1", "P2", "P3"])
    return replace(made, series=series, discount_rate=discount, units=units)


def test_units_gained_are_those_beyond_usual_demand(panel):
    found = promotion_uplift(panel).set_index("product_id")
    assert tuple(promotion_uplift(panel).columns) == COLUMNS
    assert list(found.index) == panel.series["product_id"].tolist()[:2]
    promoted = len(range(40, DAYS, 10))
    assert found["promoted_days"].tolist() == [promoted] * 2
    assert found["mean_discount_rate"].tolist() == pytest.approx([0.25] * 2)
    assert found["demand_units"].tolist() == [promoted * 30.0] * 2
    assert found["uplift_units"].tolist() == pytest.approx([promoted * 20.0] * 2, rel=0.01)
    assert found["lift"].tolist() == pytest.approx([TIMES] * 2, rel=0.01)
    assert (found["expected_lift"] > 2).all()


def test_days_without_a_feed_are_not_counted(panel):
    panel.units[0, 50] = np.nan
    assert promotion_uplift(panel)["promoted_days"].iloc[0] == len(range(40, DAYS, 10)) - 1


def test_a_series_promoted_from_its_first_day_has_nothing_usual(panel):
    panel.discount_rate[1, :DAYS] = 0.1
    found = promotion_uplift(panel)
    assert found["product_id"].tolist() == panel.series["product_id"].tolist()[:1]


def test_without_promotions_there_is_nothing_to_report(panel):
    panel.discount_rate[:] = 0.0
    found = promotion_uplift(panel)
    assert (len(found), tuple(found.columns)) == (0, COLUMNS)
