"""A product whose last day is known: the forecast, the orders and the state of the stock end with it.

Every product sells five units a day, and ten are left when Saturday 1 March 2025 closes; orders leave every day, come
three days later in packs of six.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from retail_assets.as_of_day.history import History, Snapshots
from retail_assets.as_of_day.snapshot import SNAPSHOTS, ends_of
from retail_assets.as_of_day.stock_state import DayState, SupplySnapshot
from retail_assets.command_line.what_if import compare
from retail_assets.demand import forecasting
from retail_assets.demand.calibration.conformal import guessed
from retail_assets.demand.forecasting import forecast
from retail_assets.inventory.health import StockInputs, inventory_health
from retail_assets.inventory.order_days import horizons_in_use
from retail_assets.inventory.parameters import Policies
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.transfers import transfer_proposals
from retail_assets.retailer import Calendar
from retail_assets.tables import forecast as forecast_tables
from retail_assets.tables import gold
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets.windows import Window
from retail_assets_tests.unit.as_of_day.test_planning import CARRIED, PRODUCT, STORE, SUPPLIER, TERMS, A, LakeInMemory
from retail_assets_tests.unit.ibis_frames import MOMENT, frame_of

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

HORIZON, HISTORY = 28, 90
CALENDAR = Calendar(A - timedelta(days=400), "GB", ZoneInfo("UTC"))
PRICED = PRODUCT | {"list_price": Decimal("3.0000"), "unit_cost": Decimal("2.0000")}


def day(number: int) -> date:
    """This day of March 2025; the as-of day is the first."""
    return A + timedelta(days=number - 1)


def _product(name: str, **given: Any) -> dict[str, Any]:
    return PRICED | {"product_id": name} | given


def _carried(product: str, store: str = "S1", **given: Any) -> dict[str, Any]:
    return CARRIED | {"product_id": product, "store_id": store} | given


def _terms(product: str, **given: Any) -> dict[str, Any]:
    return TERMS | {"product_id": product} | given


KNOWN_LATER = {"first_seen_at": MOMENT + timedelta(days=2)}
"""Seen by the snapshot that speaks for the day after."""
PRODUCTS = [
    *(_product(name) for name in ("GOES", "ASSORTED", "STORED", "SPANS", "GAP", "WEEKLY", "REBUILT", "LEARNT")),
    *(_product(name, discontinued_date=day(3)) for name in ("ENDS", "AMPLE", "TAKEN BACK", "EARLIEST")),
    *(_product(f"DAY{last}", discontinued_date=day(last)) for last in (5, 6, 8)),
    _product("BIG PACK", discontinued_date=day(6)),
    _product("TODAY", discontinued_date=A),
    _product("YESTERDAY", discontinued_date=A - timedelta(days=1)),
    _product("LEARNT", discontinued_date=day(3), **KNOWN_LATER),
    _product("TAKEN BACK", **KNOWN_LATER),
]
NAMES = list(dict.fromkeys(row["product_id"] for row in PRODUCTS))
STORE_OF = {"STORED": "S2", "REBUILT": "S3", "EARLIEST": "S4"}
LAST_CARRIED = {name: day(3) for name in ("ASSORTED", "SPANS", "GAP", "WEEKLY")} | {"EARLIEST": day(20)}
STOCK = {"AMPLE": 100.0, "TODAY": 0.0, "WEEKLY": 0.0, "DAY5": 0.0, "DAY6": 0.0, "DAY8": 0.0, "REBUILT": 9.0}
GIVEN = {
    "stores": [
        STORE,
        STORE | {"store_id": "S2", "closed_date": day(3)},
        STORE | {"store_id": "S3", "region": "Rebuilt"},
        STORE | {"store_id": "S4", "closed_date": day(9)},
    ],
    "products": PRODUCTS,
    "suppliers": [SUPPLIER | {"supplier_id": name, "lead_time_days": 3} for name in ("U1", "W1")],
    "supplier_calendar": [{"source_id": "W1", "location_id": "*", "order_date": date(1900, 1, 1), "order_weekday": 1}],
    "assortment": [
        *(_carried(name, STORE_OF.get(name, "S1"), valid_to=LAST_CARRIED.get(name)) for name in NAMES),
        _carried("SPANS", valid_from=day(4)),
        *(_carried(name, valid_from=day(9)) for name in ("GAP", "WEEKLY")),
        _carried("GAP", valid_from=date(1, 1, 1), valid_to=day(2)),
    ],
    "sourcing": [
        *(_terms(name, pack_units=100.0 if name == "BIG PACK" else 6.0) for name in NAMES if name != "WEEKLY"),
        _terms("WEEKLY", source_id="W1"),
    ],
    "events": [
        {"event_date": day(number), "event_name": "Rebuilding", "event_type": "closed", "region": "Rebuilt"}
        for number in range(4, 25)
    ],
}
ENDS = ("ASSORTED", "ENDS", "STORED", "EARLIEST", "TAKEN BACK")
"""By the assortment, the product, the store, the earliest of three, and one that is taken back a day later."""


class Night:
    """The forecast and the plan of the as-of day, made as the assets make them."""

    def __init__(self, **given: Sequence[dict[str, Any]]) -> None:
        rows = {**GIVEN, **given}
        tables = {t.path: frame_of(t, rows.get(name, [])) for name, t in SNAPSHOTS.items()}
        series = [{"store_id": STORE_OF.get(name, "S1"), "product_id": name} for name in NAMES]
        sold = {"is_open": True, "is_feed_missing": False, "censoring": "none", "discount_rate": 0.0}
        sold |= {"sold_units": 5.0, "unconstrained_units": 5.0, "unit_price": 3.0}
        days = [{"business_date": A - timedelta(days=back)} for back in range(HISTORY)]
        stock = {name: Decimal(str(STOCK.get(name, 10.0))) for name in NAMES}
        seen = {
            gold.DEMAND_DAILY: [key | sold | one for key in series for one in days],
            gold.FACT_INVENTORY: [
                key | {"business_date": A, "on_hand_units": stock[key["product_id"]]} for key in series
            ],
            gold.PRODUCT_SEGMENTS: [],
            gold.FACT_SALES: [key | {"business_date": day(-40)} for key in series],
        }
        self.engine = LakeInMemory(tables | {table.path: frame_of(table, rows) for table, rows in seen.items()})
        self.snapshots = Snapshots(self.engine)
        history = History.of(
            self.engine.scan(gold.DEMAND_DAILY),
            Window(A, A),
            snapshots=self.snapshots,
            calendar=CALENDAR,
            horizon_days=HORIZON,
            history_days=HISTORY,
        )
        self.panel, self.snapshot = history.panel(A)
        supply = SupplySnapshot.of(self.snapshot)
        horizons = horizons_in_use(supply.terms, supply.delays, horizon_days=HORIZON, order_days=supply.order_days)
        self.forecast = forecast(self.panel, None, horizons=horizons)
        table, cumulative = forecast_tables.CUMULATIVE_FORECAST, self.forecast.cumulative.assign(origin="live")
        self.engine.tables[table.path] = frame_of(table, cumulative.to_dict("records"))
        self.state = DayState.of(
            self.snapshot,
            cumulative=self.engine.scan(table),
            stock=self.engine.scan(gold.FACT_INVENTORY),
            demand_rows=self.engine.scan(gold.DEMAND_DAILY),
            segments=self.engine.scan(gold.PRODUCT_SEGMENTS),
        )
        self.plan = replenishment_plan(self.state.plan)

    def line(self, product: str) -> dict[str, Any]:
        (row,) = self.plan.loc[self.plan["product_id"] == product].to_dict("records")
        return row

    def daily(self, product: str) -> pd.DataFrame:
        """The daily forecast of a product by target date."""
        rows = self.forecast.daily
        return rows.loc[rows["product_id"] == product].set_index("target_date")

    def total_means(self, product: str) -> set[float]:
        rows = self.forecast.cumulative
        return set(rows.loc[rows["product_id"] == product, "mean_units"])


@pytest.fixture(scope="module")
def night() -> Night:
    return Night()


@pytest.mark.parametrize("product", ["GOES", "SPANS", "LEARNT"])
def test_without_an_end_known_on_the_day_the_product_is_ordered(night: Night, product: str) -> None:
    """One never ends, one is listed again from the day after, of one the end is learnt a day later."""
    assert night.daily(product)["mean_units"].tolist() == [5.0] * HORIZON
    assert night.line(product)["order_units"] == night.line("GOES")["order_units"] > 0
    assert night.line(product)["reason"] == night.line("GOES")["reason"]
    assert night.line(product)["expected_delivery_date"] == day(5)


@pytest.mark.parametrize("product", ENDS)
def test_the_forecast_is_certainly_nothing_after_the_last_day(night: Night, product: str) -> None:
    daily = night.daily(product)
    assert daily["mean_units"].tolist() == [5.0, 5.0] + [0.0] * (HORIZON - 2)
    after = daily.loc[daily.index > day(3)]
    assert (after["p_zero"] == 1).all() and (after[list(QUANTILE_LEVELS)] == 0).all(axis=None)
    assert (daily.loc[daily.index <= day(3), "p_zero"] < 0.1).all()
    assert night.total_means(product) == {10.0}


def test_totals_of_all_stores_end_with_their_products(night: Night) -> None:
    whole = night.forecast.hierarchy.loc[night.forecast.hierarchy["level"] == "total"].set_index("target_date")
    means = night.forecast.daily.groupby("target_date")["mean_units"].sum()
    assert whole["mean_units"].tolist() == means.tolist() and means.iloc[3] < means.iloc[0] - 5 * len(ENDS)


@pytest.mark.parametrize("product", ENDS)
def test_no_order_comes_after_the_last_day_and_the_plan_says_so(night: Night, product: str) -> None:
    line = night.line(product)
    assert line["expected_delivery_date"] == day(5)
    assert (line["order_units"], line["order_value"], line["lost_margin_avoided_value"]) == (0, 0, 0)
    assert line["exception"] == "carried until 2025-03-03"
    assert line["reason"] == "Nothing is ordered: carried until 2025-03-03, and the delivery would come on 2025-03-05."


def test_an_end_that_the_stock_outlasts_needs_nobody(night: Night) -> None:
    assert "AMPLE" not in set(night.plan["product_id"])


@pytest.mark.parametrize(("last", "rest"), [(5, 1), (6, 2), (8, 4)])
def test_what_comes_before_the_last_day_sells_before_it(night: Night, last: int, rest: int) -> None:
    """`rest` days of demand are left from the delivery on, and the shelf is empty."""
    line = night.line(f"DAY{last}")
    assert line["expected_delivery_date"] == day(5)
    assert 0 < line["order_units"] < 5 * rest + 6, "less than a pack more than the mean"


def test_an_order_limited_by_the_end_says_so(night: Night) -> None:
    line = night.line("DAY5")
    assert line["qty_after_pack_units"] > line["order_units"] == 6, "one day is left, the others would be lost"
    assert "carried until 2025-03-05" in line["exception"]
    assert "carried until 2025-03-05: at most 6" in line["reason"]


def test_a_pack_that_cannot_sell_before_the_end_is_not_ordered(night: Night) -> None:
    line = night.line("BIG PACK")
    assert line["order_units"] == 0 and "carried until 2025-03-06" in line["exception"]
    assert "maximum leaves no room" not in line["exception"]


def test_an_end_on_the_as_of_day_leaves_nothing_to_expect_or_order(night: Night) -> None:
    assert (night.daily("TODAY")["mean_units"] == 0).all() and (night.daily("TODAY")["p_zero"] == 1).all()
    assert night.total_means("TODAY") == {0.0}
    assert (night.line("TODAY")["order_units"], night.line("TODAY")["exception"]) == (0, "carried until 2025-03-01")


def test_an_end_before_the_as_of_day_leaves_no_row(night: Night) -> None:
    assert night.daily("YESTERDAY").empty and "YESTERDAY" not in set(night.plan["product_id"])


def test_a_gap_is_not_ordered_for_and_the_days_after_it_are(night: Night) -> None:
    means = night.daily("GAP")["mean_units"]
    assert means.tolist() == [5.0, 5.0] + [0.0] * 5 + [5.0] * (HORIZON - 7)
    assert night.line("GAP")["order_units"] == 0 and night.line("GAP")["exception"] == "carried until 2025-03-03"
    line = night.line("WEEKLY")
    assert (line["expected_delivery_date"], line["next_delivery_date"]) == (day(6), day(13))
    assert line["order_units"] >= 20, "four days from the ninth on, before the next delivery"


def test_days_on_which_the_store_is_closed_are_no_end_and_not_ordered_for(night: Night) -> None:
    """Rebuilt from Tuesday on for three weeks: the delivery would come on the second day of them."""
    assert night.daily("REBUILT")["mean_units"].tolist() == [5.0, 5.0] + [0.0] * 21 + [5.0] * 5
    line = night.line("REBUILT")
    assert line["order_units"] == 0
    assert line["exception"].endswith("; no demand from the delivery to the next one")
    assert "no demand is expected from the delivery on 2025-03-05 to the next one" in line["reason"]


def test_an_assumed_assortment_ends_with_the_product() -> None:
    night = Night(assortment=[])
    assert night.daily("ENDS")["mean_units"].tolist() == [5.0, 5.0] + [0.0] * (HORIZON - 2)
    assert night.line("ENDS")["exception"] == "carried until 2025-03-03" and night.line("ENDS")["order_units"] == 0
    assert night.line("ASSORTED")["order_units"] > 0


def test_the_totals_up_to_an_end_have_the_spread_of_its_days(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of totals over d days were up to d times the scale here: those of four weeks say nothing of two days."""
    known = guessed(HORIZON)
    wider = tuple(replace(of, table=of.table * days) for days, of in enumerate(known.cumulative, start=1))
    monkeypatch.setattr(forecasting, "naive_calibration", lambda panel: replace(known, cumulative=wider))
    made = forecast(night.panel, None, horizons=[4, 7, 14, 28]).cumulative.set_index(["product_id", "horizon_days"])
    columns = ["mean_units", "p_zero", *QUANTILE_LEVELS]
    rows, going = made.loc["ENDS", columns], made.loc["GOES", columns]
    assert (rows == rows.iloc[0]).all(axis=None), "28 days hold no more than two"
    assert rows.loc[28, "q950"] > 10 and going["q950"].is_monotonic_increasing and going["q950"].nunique() == 4


def test_stock_that_will_not_sell_before_the_end_is_excess(night: Night) -> None:
    health = inventory_health(night.state.stock).set_index("product_id")
    assert health.loc["AMPLE", "status"] == "excess" and 80 <= health.loc["AMPLE", "excess_units"] <= 90
    assert health.loc["GOES", "excess_units"] == 0
    assert health.loc["ENDS", "expected_lost_units"] < 1, "ten are on hand for the two days that are left"
    assert health.loc["GOES", "expected_lost_units"] > 4


def test_a_store_is_given_no_more_than_it_sells_before_the_end(night: Night) -> None:
    """Its supplier delivers on Wednesday, but the product ends on Monday, and one store of two holds 200."""
    rows = {
        name: frame.loc[frame["product_id"] == "ENDS"]
        for name, frame in vars(night.state.stock).items()
        if name != "as_of"
    }
    other = {name: pd.concat([frame, frame.assign(store_id="S9")]) for name, frame in rows.items()}
    other["on_hand"] = other["on_hand"].assign(on_hand_units=[200.0, 0.0])
    other["products"] = other["products"].assign(unit_price=Decimal(9))
    (move,) = transfer_proposals(StockInputs(A, **other)).to_dict("records")
    assert 10 <= move["transfer_units"] < 15


def test_a_what_if_run_orders_nothing_after_the_end_either(night: Night) -> None:
    tried = Policies.of({"default": {"service_level": 0.99}})
    found = compare(night.engine, CALENDAR, before=Policies(), after=tried, as_of=A)
    orders = replenishment_plan(night.state.plan, policies=tried).set_index("product_id")["order_units"]
    assert (orders.loc[list(ENDS)] == 0).all()
    assert found.totals["order_units_after"].iloc[-1] == orders.sum()


def test_spans_are_joined_in_any_order(night: Night) -> None:
    ends = night.snapshot.ends().set_index("product_id")
    assert "GOES" not in ends.index and "SPANS" not in ends.index
    assert ends.loc["GAP", "carried_until"] == pd.Timestamp(day(3))
    assert ends.loc["GAP", "carried_again_from"] == pd.Timestamp(day(9))
    spans = [(4, 6), (1, 3), (9, 12), (7, 7), (14, 20)]
    rows = [{"store_id": "S", "product_id": "P", "first": day(first), "last": day(last)} for first, last in spans]
    for order in (rows, rows[::-1]):
        (found,) = ends_of(pd.DataFrame(order), A).to_dict("records")
        assert (found["carried_until"], found["carried_again_from"]) == (pd.Timestamp(day(7)), pd.Timestamp(day(9)))
