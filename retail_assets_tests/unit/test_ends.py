"""A product whose last day is known: the forecast, the orders and the state of the stock end with it.

One store sells five units a day and closes on Saturday 1 March 2025 with ten; orders leave every day, come three days
later in packs of six.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from retail_assets.calendar import Calendar
from retail_assets.demand import forecasting
from retail_assets.demand.conformal import guessed
from retail_assets.demand.forecasting import Forecast, forecast
from retail_assets.forecasting import History, Snapshots
from retail_assets.inventory.calendar import horizons_in_use
from retail_assets.inventory.health import inventory_health
from retail_assets.inventory.parameters import Policies
from retail_assets.inventory.plan import replenishment_plan
from retail_assets.inventory.transfers import transfer_proposals
from retail_assets.ordering import DayState, SupplyKnowledge
from retail_assets.tables import forecast as forecast_tables
from retail_assets.tables import gold
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.transforms.planning import SNAPSHOTS
from retail_assets.what_if import compare
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import MOMENT, frame_of
from retail_assets_tests.unit.test_planning import BASE, CARRIED, PRODUCT, STORE, SUPPLIER, TERMS, A, LakeInMemory

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

HORIZON, HISTORY = 28, 90
CALENDAR = Calendar(A - timedelta(days=400), "GB", ZoneInfo("UTC"))
PRICED = PRODUCT | {"list_price": Decimal("3.0000"), "unit_cost": Decimal("2.0000")}
GIVEN = BASE | {
    "products": [PRICED],
    "suppliers": [SUPPLIER | {"lead_time_days": 3}],
    "supplier_calendar": [],
    "purchase_orders": [],
    "order_decisions": [],
}
Rows = Sequence[dict[str, Any]]


def day(number: int) -> date:
    """This day of March 2025; the as-of day is the first."""
    return A + timedelta(days=number - 1)


BY_ASSORTMENT = {"assortment": [CARRIED | {"valid_to": day(3)}]}
BY_PRODUCT = {"products": [PRICED | {"discontinued_date": day(3)}]}
BY_STORE = {"stores": [STORE | {"closed_date": day(3)}]}
LATER = {
    "assortment": [CARRIED | {"valid_to": day(20)}],
    "products": [PRICED | {"discontinued_date": day(3)}],
    "stores": [STORE | {"closed_date": day(9)}],
}
ENDS = {"assortment": BY_ASSORTMENT, "product": BY_PRODUCT, "store": BY_STORE, "the earliest of three": LATER}


class Night:
    """The forecast, plan, health and transfers of the as-of day, made as the assets make them."""

    def __init__(self, *, stock: float = 10.0, keys: Sequence[str] = ("S1",), **given: Rows) -> None:
        rows: dict[str, Rows] = {**GIVEN, **given}
        tables = {t.path: frame_of(t, rows.get(name, [])) for name, t in SNAPSHOTS.items()}
        series = [{"store_id": name, "product_id": "P1"} for name in keys]
        sold = {"is_open": True, "is_feed_missing": False, "censoring": "none", "discount_rate": 0.0}
        sold |= {"sold_units": 5.0, "unconstrained_units": 5.0, "unit_price": 3.0}
        days = [{"business_date": A - timedelta(days=back)} for back in range(HISTORY)]
        demand = frame_of(gold.DEMAND_DAILY, [key | sold | one for key in series for one in days])
        held = [key | {"business_date": A, "on_hand_units": Decimal(str(stock))} for key in series]
        tables |= {
            gold.DEMAND_DAILY.path: demand,
            gold.FACT_INVENTORY.path: frame_of(gold.FACT_INVENTORY, held),
            gold.PRODUCT_SEGMENTS.path: frame_of(gold.PRODUCT_SEGMENTS, []),
            gold.FACT_SALES.path: frame_of(gold.FACT_SALES, [key | {"business_date": day(-40)} for key in series]),
        }
        self.engine = LakeInMemory(tables)
        self.snapshots = Snapshots(self.engine)
        self.forecast = self._forecast()
        cumulative = self.forecast.cumulative.assign(origin="live")
        table = forecast_tables.CUMULATIVE_FORECAST
        self.engine.tables[table.path] = frame_of(table, cumulative.to_dict("records"))

    def _forecast(self) -> Forecast:
        history = History.of(
            self.engine.scan(gold.DEMAND_DAILY),
            Window(A, A),
            snapshots=self.snapshots,
            calendar=CALENDAR,
            horizon_days=HORIZON,
            history_days=HISTORY,
        )
        panel, knowledge = history.panel(A)
        supply = SupplyKnowledge.of(knowledge)
        horizons = horizons_in_use(supply.terms, supply.delays, horizon_days=HORIZON, order_days=supply.order_days)
        return forecast(panel, None, horizons=horizons)

    @property
    def state(self) -> DayState:
        return DayState.of(
            self.snapshots.on(A),
            cumulative=self.engine.scan(forecast_tables.CUMULATIVE_FORECAST),
            stock=self.engine.scan(gold.FACT_INVENTORY),
            demand_rows=self.engine.scan(gold.DEMAND_DAILY),
            segments=self.engine.scan(gold.PRODUCT_SEGMENTS),
        )

    @property
    def plan(self) -> pd.DataFrame:
        return replenishment_plan(**self.state.plan)

    @property
    def line(self) -> dict[str, Any]:
        (row,) = self.plan.to_dict("records")
        return row

    def daily(self) -> pd.DataFrame:
        """The daily forecast by target date."""
        return self.forecast.daily.set_index("target_date")


def test_without_an_end_the_product_is_ordered() -> None:
    night = Night()
    assert night.daily()["mean_units"].tolist() == [5.0] * HORIZON
    assert night.line["order_units"] > 0 and "carried" not in (night.line["exception"] or "")
    assert night.line["expected_delivery_date"] == day(5)


@pytest.mark.parametrize("known", ENDS)
def test_the_forecast_is_certainly_nothing_after_the_last_day(known: str) -> None:
    night = Night(**ENDS[known])
    daily = night.daily()
    assert daily["mean_units"].tolist() == [5.0, 5.0] + [0.0] * (HORIZON - 2)
    after = daily.loc[daily.index > day(3)]
    assert (after["p_zero"] == 1).all() and (after[list(QUANTILE_LEVELS)] == 0).all(axis=None)
    assert (daily.loc[daily.index <= day(3), "p_zero"] < 0.1).all()
    totals = night.forecast.cumulative.set_index("horizon_days")
    assert set(totals["mean_units"]) == {10.0}
    whole = night.forecast.hierarchy.loc[night.forecast.hierarchy["level"] == "total"].set_index("target_date")
    assert whole["mean_units"].tolist() == [5.0, 5.0] + [0.0] * (HORIZON - 2)


@pytest.mark.parametrize("known", ENDS)
def test_no_order_comes_after_the_last_day_and_the_plan_says_so(known: str) -> None:
    line = Night(**ENDS[known]).line
    assert line["expected_delivery_date"] == day(5)
    assert (line["order_units"], line["order_value"], line["lost_margin_avoided_value"]) == (0, 0, 0)
    assert line["exception"] == "carried until 2025-03-03"
    assert line["reason"] == "Nothing is ordered: carried until 2025-03-03, and the delivery would come on 2025-03-05."


def test_an_end_that_the_stock_outlasts_needs_nobody() -> None:
    assert Night(stock=100.0, **BY_PRODUCT).plan.empty


@pytest.mark.parametrize(("last", "rest"), [(5, 1), (6, 2), (8, 4)])
def test_what_comes_before_the_last_day_sells_before_it(last: int, rest: int) -> None:
    """`rest` days of demand are left from the delivery on; without an end 24 units would be ordered."""
    line = Night(products=[PRICED | {"discontinued_date": day(last)}], stock=0.0).line
    assert line["expected_delivery_date"] == day(5)
    assert 0 < line["order_units"] <= 5 * rest + 6, "up to a pack more than the mean"
    if line["order_units"] < line["qty_after_pack_units"]:
        assert f"carried until 2025-03-0{last}" in line["exception"]
        assert f"carried until 2025-03-0{last}: at most {line['order_units']:g}" in line["reason"]


def test_a_pack_that_cannot_sell_before_the_end_is_not_ordered() -> None:
    given = {"sourcing": [TERMS | {"pack_units": 100.0}], "products": [PRICED | {"discontinued_date": day(6)}]}
    line = Night(**given).line
    assert line["order_units"] == 0 and "carried until 2025-03-06" in line["exception"]


def test_an_end_on_the_as_of_day_leaves_nothing_to_expect_or_order() -> None:
    night = Night(products=[PRICED | {"discontinued_date": A}], stock=0.0)
    assert (night.daily()["mean_units"] == 0).all() and (night.daily()["p_zero"] == 1).all()
    assert (night.forecast.cumulative["mean_units"] == 0).all()
    assert night.plan["order_units"].sum() == 0


def test_an_end_before_the_as_of_day_leaves_no_row() -> None:
    products = [PRICED, PRICED | {"product_id": "P2", "discontinued_date": A - timedelta(days=1)}]
    night = Night(products=products, assortment=[CARRIED, CARRIED | {"product_id": "P2"}])
    assert set(night.forecast.daily["product_id"]) == {"P1"} and set(night.plan["product_id"]) == {"P1"}


def test_spans_without_a_day_between_are_no_end() -> None:
    carried = [CARRIED | {"valid_to": day(3)}, CARRIED | {"valid_from": day(4)}]
    night = Night(assortment=carried)
    assert (night.daily()["mean_units"] == 5).all()
    assert night.line["order_units"] > 0 and "carried" not in (night.line["exception"] or "")


def test_a_gap_is_not_ordered_for_and_the_days_after_it_are() -> None:
    carried = [CARRIED | {"valid_to": day(3)}, CARRIED | {"valid_from": day(9)}]
    night = Night(assortment=carried)
    means = night.daily()["mean_units"]
    assert (means[(means.index > day(3)) & (means.index < day(9))] == 0).all()
    assert (means[means.index >= day(9)] == 5).all()
    assert night.line["order_units"] == 0 and night.line["exception"] == "carried until 2025-03-03"
    weekly = [{"source_id": "U1", "location_id": "*", "order_date": date(1900, 1, 1), "order_weekday": 1}]
    line = Night(assortment=carried, supplier_calendar=weekly, stock=0.0).line
    assert (line["expected_delivery_date"], line["next_delivery_date"]) == (day(6), day(13))
    assert line["order_units"] >= 20, "four days from the ninth on, before the next delivery"


def test_days_on_which_the_store_is_closed_are_no_end_and_not_ordered_for() -> None:
    """Rebuilt from Tuesday on for three weeks: only the order that comes before it sells again is made."""
    closed = [
        {"event_date": day(number), "event_name": "Rebuilding", "event_type": "closed", "region": "*"}
        for number in range(4, 25)
    ]
    night = Night(events=closed)
    assert night.daily()["mean_units"].tolist() == [5.0, 5.0] + [0.0] * 21 + [5.0] * 5
    line = night.line
    assert line["order_units"] == 0
    assert line["exception"] == "no demand from the delivery to the next one"
    assert "no demand is expected from the delivery on 2025-03-05 to the next one" in line["reason"]


def test_an_assumed_assortment_ends_with_the_product() -> None:
    night = Night(assortment=[], **BY_PRODUCT)
    assert night.daily()["mean_units"].tolist() == [5.0, 5.0] + [0.0] * (HORIZON - 2)
    assert night.line["exception"] == "carried until 2025-03-03" and night.line["order_units"] == 0


def test_an_end_that_was_learnt_later_changes_nothing_of_the_day() -> None:
    moved = [PRICED, PRICED | {"discontinued_date": day(3), "first_seen_at": MOMENT + timedelta(days=2)}]
    pd.testing.assert_frame_equal(Night(products=moved).plan, Night().plan)
    given = [PRICED | {"discontinued_date": day(3)}, PRICED | {"first_seen_at": MOMENT + timedelta(days=2)}]
    assert Night(products=given).line["exception"] == "carried until 2025-03-03", "taken back a day later"


def test_the_totals_up_to_an_end_have_the_spread_of_its_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of totals over d days were up to d times the scale here: those of four weeks say nothing of two days."""
    known = guessed(HORIZON)
    wider = tuple(replace(of, table=of.table * days) for days, of in enumerate(known.cumulative, start=1))
    monkeypatch.setattr(forecasting, "naive_calibration", lambda panel: replace(known, cumulative=wider))
    columns = ["mean_units", "p_zero", *QUANTILE_LEVELS]
    rows, going = (
        night.forecast.cumulative.set_index("horizon_days")[columns] for night in (Night(**BY_PRODUCT), Night())
    )
    assert len(rows) > 3 and (rows == rows.iloc[0]).all(axis=None), "28 days hold no more than two"
    assert rows.loc[28, "q950"] > 10 and going["q950"].is_monotonic_increasing and going["q950"].nunique() > 3


def test_stock_that_will_not_sell_before_the_end_is_excess() -> None:
    state = Night(stock=100.0, **BY_PRODUCT).state
    health = inventory_health(A, **state.stock).iloc[0]
    assert health["status"] == "excess" and 70 <= health["excess_units"] < 90
    assert inventory_health(A, **Night(stock=100.0).state.stock).iloc[0]["excess_units"] == 0
    short = inventory_health(A, **Night(**BY_PRODUCT).state.stock).iloc[0]
    assert short["expected_lost_units"] < 3, "two days of demand are left, not three"


def test_a_store_is_given_no_more_than_it_sells_before_the_end() -> None:
    """One store holds 200, the other nothing; both stop on Monday."""
    stores = [STORE, STORE | {"store_id": "S2"}]
    carried = [CARRIED | {"valid_to": day(3)}, CARRIED | {"store_id": "S2", "valid_to": day(3)}]
    state = Night(keys=("S1", "S2"), assortment=carried, stores=stores).state
    held = state.on_hand.assign(on_hand_units=[200.0, 0.0])
    costs = {**state.stock, "on_hand": held, "products": state.products.assign(unit_price=9.0)}
    (move,) = transfer_proposals(A, **costs).to_dict("records")
    assert 8 <= move["transfer_units"] <= 20


def test_a_what_if_run_orders_nothing_after_the_end_either() -> None:
    night = Night(**BY_STORE)
    found = compare(
        night.engine, CALENDAR, before=Policies(), after=Policies.of({"default": {"service_level": 0.99}}), as_of=A
    )
    assert found.totals["order_units_after"].fillna(0).sum() == 0
