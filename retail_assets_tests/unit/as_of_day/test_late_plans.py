"""A promotion and a price that reached the source the day before: who knew of them, and since when."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from retail_assets.as_of_day.history import History, Snapshots, training_panel
from retail_assets.as_of_day.snapshot import SNAPSHOTS
from retail_assets.demand.panel import Panel
from retail_assets.demand.plan_lead import IN_TIME
from retail_assets.tables import gold
from retail_assets.windows import Window
from retail_assets_tests.unit.as_of_day.test_ends import CALENDAR
from retail_assets_tests.unit.as_of_day.test_planning import BASE, LakeInMemory
from retail_assets_tests.unit.ibis_frames import MOMENT, frame_of

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

HORIZON, HISTORY = 7, 60
FIRST = MOMENT.date()
PROMOTED = FIRST + timedelta(days=20)
NEWEST = PROMOTED + timedelta(days=10)


def _extracted_on(day: date) -> dict[str, object]:
    """In the snapshot that is taken on a day, which speaks for the day before."""
    return {"first_seen_at": MOMENT + (day - FIRST)}


def _promotion(extracted_on: date) -> dict[str, object]:
    row = {"promotion_id": "X", "store_id": "*", "product_id": "P1", "discount_rate": 0.25}
    return row | {"start_date": PROMOTED, "end_date": PROMOTED} | _extracted_on(extracted_on)


def _price(extracted_on: date) -> dict[str, object]:
    row = {"store_id": "*", "product_id": "P1", "valid_from": PROMOTED, "unit_price": Decimal("8.0000")}
    return row | _extracted_on(extracted_on)


def _lake(extracted_on: date, price_source: str = gold.PRICES) -> LakeInMemory:
    """Of one series whose promotion and new price of PROMOTED came on a day; gold holds all that became known."""
    other = {"promotion_id": "W", "store_id": "*", "product_id": "P0", "start_date": FIRST, "end_date": FIRST}
    always = {"store_id": "*", "product_id": "P1", "valid_from": date(2020, 1, 1), "unit_price": Decimal("5.0000")}
    plans = {"promotions": [other, _promotion(extracted_on)], "prices": [always, _price(extracted_on)]}
    given = {**BASE, **plans}
    row = {"store_id": "S1", "product_id": "P1", "is_open": True, "is_feed_missing": False, "censoring": "none"}
    days = [NEWEST - timedelta(days=back) for back in range(HISTORY)]
    sold = [
        row
        | {"business_date": day, "sold_units": 5.0, "unconstrained_units": 5.0}
        | {"unit_price": 8.0 if day >= PROMOTED else 5.0, "discount_rate": 0.25 if day == PROMOTED else 0.0}
        | {"price_source": price_source}
        for day in days
    ]
    tables = {table.path: frame_of(table, given.get(name, [])) for name, table in SNAPSHOTS.items()}
    return LakeInMemory(tables | {gold.DEMAND_DAILY.path: frame_of(gold.DEMAND_DAILY, sold)})


def _forecast_panel(lake: LakeInMemory, as_of: date) -> Panel:
    """What the nightly forecast of a day is made from."""
    return _history(lake, Window(as_of, as_of)).panel(as_of)[0]


def _history(lake: LakeInMemory, days: Window) -> History:
    return History.of(
        lake.scan(gold.DEMAND_DAILY),
        days,
        snapshots=Snapshots(lake),
        calendar=CALENDAR,
        horizon_days=HORIZON,
        history_days=30,
    )


def _training_panel(lake: LakeInMemory, through: date = NEWEST) -> Panel:
    return training_panel(lake, through, calendar=CALENDAR, horizon_days=HORIZON, history_days=40)


def _planned(panel: Panel, day: date = PROMOTED) -> tuple[float, float]:
    at = (day - panel.first_date).days
    return float(panel.discount_rate[0, at]), float(panel.price[0, at])


@pytest.mark.parametrize("extracted_ahead", [0, 1, 3])
def test_the_backtest_sees_at_each_origin_what_the_forecast_of_that_day_saw(extracted_ahead: int) -> None:
    """Extracted on the day t − 1, the promotion of t is known when t − 2 has closed: its night's forecast has it."""
    lake = _lake(PROMOTED - timedelta(days=extracted_ahead))
    panel = _training_panel(lake)
    for is_known, ahead in ((True, extracted_ahead + 1), (False, extracted_ahead + 2)):
        origin = PROMOTED - timedelta(days=ahead)
        forecast, past = _forecast_panel(lake, origin), panel.through(origin)
        assert _planned(forecast) == _planned(past) == ((0.25, 8.0) if is_known else (0.0, 5.0))
        np.testing.assert_array_equal(forecast.price[:, -HORIZON:], past.price[:, -HORIZON:])


def test_the_panel_says_from_when_on_a_plan_was_known() -> None:
    panel = _training_panel(_lake(PROMOTED - timedelta(days=1)))
    assert panel.lead is not None
    at = (PROMOTED - panel.first_date).days
    assert panel.lead.discount[0, at - 1 : at + 2].tolist() == [IN_TIME, 2, IN_TIME]
    assert panel.lead.price[0, at - 1 : at + 7].tolist() == [IN_TIME, 2, 3, 4, 5, 6, IN_TIME, IN_TIME]
    assert _planned(panel) == (0.25, 8.0), "the past is as it was"


def test_a_promotion_planned_in_time_or_known_to_the_first_snapshot_leaves_the_panel_as_it_was() -> None:
    for extracted_on in (PROMOTED - timedelta(days=HORIZON - 1), FIRST):
        assert _training_panel(_lake(extracted_on)).lead is None


def test_versions_of_later_nights_do_not_show_in_a_training() -> None:
    """Trained again later: the row was written over since, which the training of the day did not know."""
    lake = _lake(PROMOTED - timedelta(days=HORIZON - 1))
    later = _price(NEWEST + timedelta(days=5)) | {"unit_price": Decimal("9.0000")}
    rows = [*lake.tables["silver/prices"].to_pylist(), later]
    lake.tables["silver/prices"] = frame_of(SNAPSHOTS["prices"], rows)
    assert _training_panel(lake).lead is None
    assert _training_panel(lake, NEWEST - timedelta(days=1)).lead is None


def test_the_plan_of_days_to_come_is_seen_whole() -> None:
    through = PROMOTED - timedelta(days=2)
    panel = _training_panel(_lake(PROMOTED - timedelta(days=1)), through)
    assert panel.lead is not None and _planned(panel) == (0.25, 8.0)
    assert _planned(panel.through(through)) == (0.25, 8.0)
    assert _planned(panel.through(through - timedelta(days=1))) == (0.0, 5.0)


@pytest.mark.parametrize("source", [gold.SALE_LINES, gold.LIST_PRICE])
def test_prices_that_nobody_plans_are_those_of_the_origin(source: str) -> None:
    panel = _training_panel(_lake(FIRST, source))
    assert panel.lead is not None and (panel.lead.discount == IN_TIME).all()
    assert _planned(panel.through(PROMOTED - timedelta(days=1))) == (0.25, 5.0)
    assert _planned(panel.through(PROMOTED)) == (0.25, 8.0)
    assert _planned(panel, NEWEST + timedelta(days=1)) == _planned(panel.through(NEWEST), NEWEST + timedelta(days=1))


def test_days_after_the_training_hide_nothing_of_its_plan() -> None:
    through = PROMOTED - timedelta(days=1)
    history = _history(_lake(FIRST, gold.SALE_LINES), Window(through, NEWEST))
    panel = history.training_panel(through)
    assert _planned(panel) == _planned(panel.through(through)) == (0.25, 8.0)
