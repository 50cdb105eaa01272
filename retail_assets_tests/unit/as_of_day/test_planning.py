"""What is known on a day: plans, terms, open orders and decisions, and nothing that came later."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from retail_assets.as_of_day.history import History, Snapshots
from retail_assets.as_of_day.snapshot import SNAPSHOTS, AsOfSnapshot, open_orders
from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.inventory.delays import delivery_delays
from retail_assets.inventory.sourcing import best_offers
from retail_assets.retailer import Calendar
from retail_assets.tables import entities, gold
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import ALWAYS
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import MOMENT, frame_of, records

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

A = MOMENT.date()
"""The as-of day: the first snapshot is taken during it, so that it is known, not reconstructed."""
TOMORROW, NEXT = A + timedelta(days=1), MOMENT + timedelta(days=1)
LATER = MOMENT + timedelta(days=2)
"""A snapshot of then speaks for the day after A."""
Given = Mapping[str, Sequence[dict[str, Any]]]


class LakeInMemory:
    """An engine over Arrow tables; it keeps what a test put in and counts what was kept."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self.tables = dict(tables)
        self.kept_count = 0
        self._connection = ibis.duckdb.connect()
        self._names = (f"t{number}" for number in count())

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        name = next(self._names)
        self._connection.con.register(name, self.tables[table.path])
        return self._connection.table(name)

    def scan_or_empty(self, table: Table) -> ibis.Table:
        return self.scan(table)

    @contextmanager
    def cached(self, rows: ibis.Table) -> Iterator[ibis.Table]:
        name = next(self._names)
        self.kept_count += 1
        yield self._connection.create_table(name, obj=rows, temp=True)
        self._connection.raw_sql(f"DROP TABLE {name}")

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        raise NotImplementedError

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        raise NotImplementedError


STORE = {"store_id": "S1", "store_name": "A", "region": "North"}
PRODUCT = {
    "product_id": "P1",
    "product_name": "Pear",
    "department": "Fruit",
    "category": "Fresh",
    "list_price": Decimal("5.0000"),
    "unit_cost": Decimal("2.0000"),
}
SUPPLIER = {"supplier_id": "U1", "supplier_name": "Orchard", "lead_time_days": 2}
CARRIED = {"store_id": "S1", "product_id": "P1", "valid_from": A - timedelta(days=90)}
TERMS = {
    "product_id": "P1",
    "location_id": "*",
    "source_id": "U1",
    "source_type": "supplier",
    "pack_units": 6.0,
    "valid_from": ALWAYS,
}
EVERY_WEEK = {"source_id": "U1", "location_id": "*", "order_date": ALWAYS}
ORDER = {
    "purchase_order_line_id": "L1",
    "purchase_order_id": "O1",
    "supplier_id": "U1",
    "store_id": "S1",
    "product_id": "P1",
    "ordered_date": A - timedelta(days=3),
    "promised_date": A + timedelta(days=1),
    "ordered_units": Decimal("12.000"),
}
DECISION = {
    "decision_id": "D1",
    "proposal_id": "X1",
    "store_id": "S1",
    "product_id": "P1",
    "decision": "approved",
    "order_units": 6.0,
    "order_date": A,
    "expected_delivery_date": TOMORROW,
    "decided_by": "Ann",
    "decided_at": MOMENT,
}
BASE: Given = {
    "stores": [STORE],
    "products": [PRODUCT],
    "suppliers": [SUPPLIER],
    "assortment": [CARRIED],
    "sourcing": [TERMS],
    "purchase_orders": [ORDER],
    "order_decisions": [DECISION],
    "supplier_calendar": [EVERY_WEEK | {"order_weekday": 1}],
}


def _snapshots(**given: Sequence[dict[str, Any]]) -> Snapshots:
    rows = {**BASE, **given}
    return Snapshots(LakeInMemory({t.path: frame_of(t, rows.get(name, [])) for name, t in SNAPSHOTS.items()}))


def _known(as_of: date = A, **given: Sequence[dict[str, Any]]) -> AsOfSnapshot:
    return _snapshots(**given).on(as_of)


def test_the_series_are_those_carried_on_the_day_with_their_groups() -> None:
    carried = [
        CARRIED,
        CARRIED | {"product_id": "P2", "valid_to": A - timedelta(days=1)},
        CARRIED | {"product_id": "P3", "valid_from": TOMORROW},
    ]
    products = [PRODUCT, PRODUCT | {"product_id": "P2"}, PRODUCT | {"product_id": "P3", "department": None}]
    known = _known(assortment=carried, products=products)
    assert known.series().to_dict("records") == [
        {"store_id": "S1", "product_id": "P1", "region": "North", "department": "Fruit", "category": "Fresh"}
    ]
    assert set(known.plan(2)["product_id"]) == {"P1", "P3"}, "what comes tomorrow is planned"


def test_while_the_assortment_was_read_as_empty_stores_carry_what_they_sold() -> None:
    """Its rows came later: on earlier days the sales stood in for it, and do so when those days are planned again."""
    later = MOMENT + timedelta(days=20)
    carried = [
        CARRIED | {"is_deleted": True, "first_seen_at": MOMENT - timedelta(days=9)},
        CARRIED | {"first_seen_at": later},
    ]
    sold = frame_of(gold.FACT_SALES, [{"store_id": "S1", "product_id": "P7", "business_date": A - timedelta(days=30)}])
    given = {**BASE, "assortment": carried, "products": [PRODUCT, PRODUCT | {"product_id": "P7"}]}
    tables = {t.path: frame_of(t, given.get(name, [])) for name, t in SNAPSHOTS.items()}
    snapshots = Snapshots(LakeInMemory(tables | {gold.FACT_SALES.path: sold}))
    assert snapshots.on(A).series()["product_id"].tolist() == ["P7"]
    assert snapshots.on(later.date()).series()["product_id"].tolist() == ["P1"]


def test_the_plan_has_the_prices_promotions_and_closed_days_to_come() -> None:
    day = [A + timedelta(days=n) for n in range(5)]
    known = _known(
        prices=[
            {"store_id": "*", "product_id": "P1", "valid_from": day[0], "unit_price": Decimal("4.0000")},
            {"store_id": "*", "product_id": "P1", "valid_from": day[3], "unit_price": Decimal("4.5000")},
        ],
        promotions=[
            {
                "promotion_id": "X",
                "store_id": "S1",
                "product_id": "P1",
                "start_date": day[2],
                "end_date": day[3],
                "discount_rate": 0.25,
            }
        ],
        events=[{"event_date": day[4], "event_name": "Closed", "event_type": "closed", "region": "North"}],
    )
    plan = known.plan(4).sort_values("business_date")
    assert pd.to_datetime(plan["business_date"]).dt.date.tolist() == day[1:]
    assert plan["unit_price"].tolist() == [4.0, 4.0, 4.5, 4.5]
    assert plan["discount_rate"].tolist() == [0.0, 0.25, 0.25, 0.0]
    assert plan["is_promoted"].tolist() == [False, True, True, False]
    assert plan["is_open"].tolist() == [True, True, True, False]


def test_the_plan_is_closed_on_the_weekdays_of_the_source_and_on_those_learnt() -> None:
    given = _known(stores=[STORE | {"opening_weekdays": "12345"}]).plan(14)
    learnt = replace(_known(), learnt_closed={"S1": {6, 7}, "S9": {1}}).plan(14)
    both = replace(_known(stores=[STORE | {"opening_weekdays": "12345"}]), learnt_closed={"S1": {1}}).plan(14)
    for plan in (given, learnt, both):
        weekday = pd.to_datetime(plan["business_date"]).dt.dayofweek + 1
        assert len(plan) == 14 and (plan["is_open"] == (weekday <= 5)).all()
    assert _known().plan(14)["is_open"].all()


def test_the_prices_are_those_of_the_next_day() -> None:
    prices = [{"store_id": "*", "product_id": "P1", "valid_from": TOMORROW, "unit_price": Decimal("4.0000")}]
    found = _known(prices=prices, products=[PRODUCT | {"unit_step": 0.5}]).prices()
    columns = ["unit_price", "price_source", "unit_step"]
    assert found[columns].to_numpy().tolist() == [[4.0, gold.PRICES, 0.5]]
    assert _known().prices()[columns].iloc[0].tolist() == [5.0, gold.LIST_PRICE, 1.0]


def test_events_are_the_sources_and_the_public_holidays() -> None:
    known = _known(events=[{"event_date": A, "event_name": "Fair", "event_type": "local", "region": "North"}])
    found = known.events({TOMORROW: "New Year"})
    assert found.assign(event_date=pd.to_datetime(found["event_date"]).dt.date).values.tolist() == [
        [A, "Fair", "local", "North"],
        [TOMORROW, "New Year", "holiday", "*"],
    ]


def test_terms_of_the_store_stand_before_terms_for_all() -> None:
    sourcing = [
        TERMS | {"source_id": "U2", "pack_units": 2.0},
        TERMS,
        TERMS | {"location_id": "S1", "source_id": "U9", "pack_units": 9.0, "unit_cost": Decimal("1.5000")},
        TERMS | {"location_id": "S2", "source_id": "U0"},
    ]
    suppliers = [SUPPLIER, SUPPLIER | {"supplier_id": "U9", "min_order_value": Decimal("40.0000")}]
    own = _known(sourcing=sourcing, suppliers=suppliers).supply_terms()
    assert own[["supplier_id", "pack_units", "unit_cost", "min_order_value"]].values.tolist() == [
        ["U9", 9.0, Decimal("1.5000"), Decimal("40.0000")]
    ]
    general = _known(sourcing=sourcing[:2]).supply_terms()
    assert general[["supplier_id", "pack_units", "lead_time_days", "unit_cost"]].values.tolist() == [
        ["U1", 6.0, 2, Decimal("2.0000")]
    ], "the first supplier by its id, at the product's cost"
    (elsewhere,) = _known(sourcing=sourcing[3:]).supply_terms().to_dict("records")
    assert elsewhere["supplier_id"] is None, "terms of another store are not its own"
    assert _known().order_days().values.tolist() == [["U1", "*", 1]]


def test_what_is_carried_without_a_supplier_has_a_row_that_says_so() -> None:
    products = [PRODUCT, PRODUCT | {"product_id": "P2"}]
    found = _known(assortment=[CARRIED, CARRIED | {"product_id": "P2"}], products=products).supply_terms()
    assert found["product_id"].tolist() == ["P1", "P2"]
    assert found["supplier_id"].tolist() == ["U1", None]
    empty = ["source_type", "pack_units", "moq_units", "shelf_life_days", "lead_time_days", "min_order_value"]
    assert found.loc[1, empty].isna().all()
    assert found["unit_cost"].tolist() == [Decimal("2.0000")] * 2, "the product's cost is known"


def test_a_source_without_any_sourcing_gives_no_terms() -> None:
    assert _known(sourcing=[]).supply_terms().empty


def test_what_is_carried_by_assumption_alone_is_not_missed_when_nobody_supplies_it() -> None:
    """Without an assortment all that ever sold is taken as carried; most of what is not sourced has left the range."""
    products = [PRODUCT, PRODUCT | {"product_id": "P7"}]
    day = {"store_id": "S1", "business_date": A - timedelta(days=30)}
    sold = frame_of(gold.FACT_SALES, [day | {"product_id": name} for name in ("P1", "P7")])
    given = {**BASE, "assortment": [], "products": products}
    tables = {t.path: frame_of(t, given.get(name, [])) for name, t in SNAPSHOTS.items()}
    known = Snapshots(LakeInMemory(tables | {gold.FACT_SALES.path: sold})).on(A)
    assert known.series()["product_id"].tolist() == ["P1", "P7"]
    assert known.supply_terms()[["product_id", "supplier_id"]].values.tolist() == [["P1", "U1"]]


def test_terms_hold_from_their_first_to_their_last_day() -> None:
    sourcing = [
        TERMS | {"valid_to": A - timedelta(days=1)},
        TERMS | {"valid_from": A, "valid_to": A, "pack_units": 8.0},
        TERMS | {"valid_from": TOMORROW, "pack_units": 9.0},
    ]
    days, daily = (A - timedelta(days=1), A), {"supplier_calendar": []}
    packs = {day: _known(day, sourcing=sourcing, **daily).supply_terms()["pack_units"].tolist() for day in days}
    assert packs == {days[0]: [8.0], A: [9.0]}, "of the day the order leaves, the day after"
    assert _known(days[0], sourcing=sourcing).supply_terms()["pack_units"].tolist() == [9.0], "it leaves on Monday"
    assert _known(A, sourcing=sourcing[:1]).supply_terms()["supplier_id"].tolist() == [None]
    later = [TERMS, TERMS | {"valid_from": A - timedelta(days=9), "pack_units": 7.0}]
    assert _known(A, sourcing=later).supply_terms()["pack_units"].tolist() == [7.0], "the later of two that hold"


def _suppliers(**lead_days: int) -> list[dict[str, Any]]:
    return [SUPPLIER | {"supplier_id": name, "lead_time_days": days} for name, days in lead_days.items()]


def _chosen(*sourcing: dict[str, Any], suppliers: Sequence[dict[str, Any]], **given: Any) -> tuple[Any, ...]:
    """supplier_id and source_choice of the one series, whatever the order of the sourcing rows."""
    rows = {**BASE, "suppliers": suppliers, **given, "sourcing": sourcing[::-1]}
    tables = {name: ibis.memtable(frame_of(table, rows.get(name, []))) for name, table in SNAPSHOTS.items()}
    known = AsOfSnapshot(A, tables)
    (row,) = known.supply_terms().to_dict("records")
    offers, days = known._offers(), known.order_days()
    (again,) = best_offers(offers[::-1], days, as_of=A).to_dict("records")
    assert (again["supplier_id"], again["source_choice"] or None) == (row["supplier_id"], row["source_choice"])
    return row["supplier_id"], row["source_choice"]


def _offer(name: str, cost: str | None = None, **given: Any) -> dict[str, Any]:
    return TERMS | {"source_id": name, "unit_cost": cost and Decimal(cost)} | given


def test_the_cheapest_supplier_gets_the_order_not_the_first_of_the_alphabet() -> None:
    offers = (_offer("B", "9.0000"), _offer("Z", "1.0000"))
    assert _chosen(*offers, suppliers=_suppliers(B=30, Z=1)) == ("Z", "the cheapest of 2")


def test_a_priority_comes_before_the_cost_and_none_after_all_others() -> None:
    offers = (_offer("B", "9.0000", priority=2), _offer("Y", "8.0000", priority=10), _offer("Z", "1.0000"))
    assert _chosen(*offers, suppliers=_suppliers(B=30, Y=1, Z=1)) == ("B", "first by priority of 3")


def test_at_equal_cost_the_fastest_gets_the_order_and_then_the_first_by_name() -> None:
    offers = (_offer("B"), _offer("Z"))
    assert _chosen(*offers, suppliers=_suppliers(B=3, Z=2)) == ("Z", "the fastest of 2")
    assert _chosen(*offers, suppliers=_suppliers(B=2, Z=2)) == ("B", "the first by name of 2")


def test_a_source_that_cannot_deliver_blocks_no_other() -> None:
    offers = (_offer("A"), _offer("D1", source_type="dc", priority=1), _offer("Z", location_id="*"))
    assert _chosen(*offers, suppliers=_suppliers(Z=2)) == ("Z", "the only one of 3 that can deliver")
    own = (_offer("A", location_id="S1"), _offer("Z"))
    assert _chosen(*own, suppliers=_suppliers(Z=2)) == ("Z", "the only one of 2 that can deliver")
    assert _chosen(*own, suppliers=_suppliers(A=9, Z=2)) == ("A", None), "the store's own terms are no choice"
    unpacked = (_offer("A", "1.0000", pack_units=None), _offer("Z", "2.0000"))
    assert _chosen(*unpacked, suppliers=_suppliers(A=2, Z=2)) == ("Z", "the only one of 2 that can deliver")
    supplier, choice = _chosen(*offers[:2], suppliers=_suppliers(Z=2))
    assert (supplier, choice) == ("D1", None), "none can: the plan names what is missing"


def test_terms_hold_on_the_day_on_which_the_order_of_their_own_supplier_leaves() -> None:
    """U1's terms end today and U2's begin tomorrow; those that begin on Monday wait for the order of Monday."""
    changing = (_offer("U1", valid_to=A), _offer("U2", valid_from=TOMORROW))
    assert _chosen(*changing, suppliers=_suppliers(U1=2, U2=2), supplier_calendar=[]) == ("U2", None)
    monday = A + timedelta(days=2)
    later = (_offer("U1", "3.0000"), _offer("U2", "1.0000", valid_from=monday))
    suppliers = _suppliers(U1=2, U2=2)
    assert _chosen(*later, suppliers=suppliers, supplier_calendar=[])[0] == "U1", "U2 takes orders tomorrow, too early"
    on_monday = [EVERY_WEEK | {"source_id": "U2", "order_weekday": 1}]
    assert _chosen(*later, suppliers=suppliers, supplier_calendar=on_monday) == ("U2", "the cheapest of 2")
    own_day = [*on_monday, EVERY_WEEK | {"source_id": "U2", "location_id": "S1", "order_weekday": 7}]
    assert _chosen(*later, suppliers=suppliers, supplier_calendar=own_day)[0] == "U1", "this store orders on Sunday"
    ending = (_offer("U1", "1.0000", valid_to=TOMORROW), _offer("U2", "3.0000"))
    assert _chosen(*ending, suppliers=suppliers, supplier_calendar=[])[0] == "U1", "it leaves on their last day"
    u1_on_monday = [EVERY_WEEK | {"source_id": "U1", "order_weekday": 1}]
    assert _chosen(*ending, suppliers=suppliers, supplier_calendar=u1_on_monday)[0] == "U2", "it would leave after it"


def test_of_two_price_lists_of_a_supplier_the_later_one_holds() -> None:
    always = {"valid_from": date(1, 1, 1), "valid_to": date(9999, 12, 31)}
    lists = (
        _offer("U1", "1.0000", **always),
        _offer("U1", "4.0000", valid_from=A - timedelta(days=9)),
        _offer("U2", "2.0000"),
    )
    assert _chosen(*lists, suppliers=_suppliers(U1=2, U2=2)) == ("U2", "the cheapest of 2")


def test_a_distribution_centre_has_no_lead_time_of_a_supplier_with_its_name() -> None:
    (row,) = _known(sourcing=[TERMS | {"source_type": "dc"}]).supply_terms().to_dict("records")
    assert (row["supplier_id"], row["source_type"]) == ("U1", "dc") and pd.isna(row["lead_time_days"])


def test_who_serves_which_store_follows_from_the_terms_that_hold() -> None:
    sourcing = [
        TERMS,
        TERMS | {"product_id": "P2"},
        TERMS | {"location_id": "S2", "source_id": "U2"},
        TERMS | {"location_id": "S9", "source_id": "U3"},
        TERMS | {"source_id": "U4", "valid_to": A - timedelta(days=1)},
        TERMS | {"source_id": "D1", "source_type": "dc"},
    ]
    known = _known(sourcing=sourcing, stores=[STORE, STORE | {"store_id": "S2"}])
    assert known.served_stores().values.tolist() == [["U1", "S1"], ["U1", "S2"], ["U2", "S2"]]


def test_single_order_days_are_not_taken_for_weekly_ones() -> None:
    calendar = [
        EVERY_WEEK | {"order_date": A, "order_weekday": 3},
        EVERY_WEEK | {"location_id": "S1", "order_weekday": 2},
    ]
    assert _known(supplier_calendar=calendar).order_days().values.tolist() == [["U1", "S1", 2]]


def _orders(as_of: date = A, **changes: Any) -> dict[str, Any]:
    (row,) = _known(as_of, purchase_orders=[ORDER | changes]).purchase_orders().to_dict("records")
    return row


def test_a_receipt_or_cancellation_after_the_day_has_not_happened_yet() -> None:
    received = {"received_date": TOMORROW, "received_units": Decimal("12.000")}
    before = _orders(A, **received)
    assert pd.isna(before["received_date"]) and before["received_units"] == 0
    assert _orders(TOMORROW, **received)["received_units"] == 12
    assert pd.isna(_orders(A, cancelled_date=TOMORROW)["cancelled_date"])
    assert _orders(TOMORROW, cancelled_date=TOMORROW)["cancelled_date"] == pd.Timestamp(TOMORROW)


def test_an_order_dated_tomorrow_counts_tonight_where_tonights_snapshot_has_it() -> None:
    lines = [ORDER | {"ordered_date": TOMORROW, "promised_date": TOMORROW + timedelta(days=2)}]
    assert open_orders(_known(A, purchase_orders=lines).purchase_orders())["open_units"].tolist() == [12.0]
    other = ORDER | {"purchase_order_line_id": "L0", "ordered_date": A - timedelta(days=9), "received_date": A}
    late = [other, *(line | {"first_seen_at": LATER} for line in lines)]
    assert open_orders(_known(A, purchase_orders=late).purchase_orders()).empty, "nobody knew of it"
    assert len(open_orders(_known(TOMORROW, purchase_orders=late).purchase_orders())) == 1


def test_an_order_dated_later_is_not_read_into_days_before_the_first_snapshot() -> None:
    before = A - timedelta(days=5)
    lines = [ORDER | {"ordered_date": A}, ORDER | {"purchase_order_line_id": "L2", "ordered_date": before}]
    known = _known(before, purchase_orders=lines)
    assert known.purchase_orders()["ordered_date"].tolist() == [pd.Timestamp(before)]


def test_the_order_of_a_proposal_approved_after_closing_is_not_known_at_closing() -> None:
    """The evening after, the day is planned again: what its own plan brought about must not change it."""
    approved = DECISION | {"decided_at": NEXT, "order_date": TOMORROW}
    lines = [ORDER | {"ordered_date": TOMORROW, "proposal_id": "X1"}]
    known = {day: _known(day, order_decisions=[approved], purchase_orders=lines) for day in (A, TOMORROW)}
    assert known[A].purchase_orders().empty and known[A].approved_proposals() == frozenset()
    assert len(known[TOMORROW].purchase_orders()) == 1


UNDATED = ORDER | {"promised_date": None}


def test_an_open_order_without_a_promised_date_is_expected_after_the_lead_time() -> None:
    (row,) = open_orders(_known(A, purchase_orders=[UNDATED]).purchase_orders()).to_dict("records")
    assert row["promised_date"] == pd.Timestamp(A - timedelta(days=1)) and row["open_units"] == 12
    assert (row["is_undated"], row["is_misbooked"]) == (True, False)
    (row,) = open_orders(_known(A).purchase_orders()).to_dict("records")
    assert (row["is_undated"], row["promised_date"]) == (False, pd.Timestamp(TOMORROW))
    nobody = open_orders(_known(A, purchase_orders=[UNDATED | {"supplier_id": "U9"}]).purchase_orders())
    assert nobody["promised_date"].isna().all() and nobody["open_units"].tolist() == [12.0]


@pytest.mark.parametrize("promised", [date(1900, 1, 1), A - timedelta(days=4), date(9999, 12, 31)])
def test_a_promise_that_cannot_be_one_stands_for_none(promised: date) -> None:
    orders = _known(A, purchase_orders=[ORDER | {"promised_date": promised}]).purchase_orders()
    assert orders["promised_date"].isna().all() and open_orders(orders)["is_undated"].tolist() == [True]


def test_delays_are_those_of_promises_that_were_made() -> None:
    received = {"received_date": A, "received_units": Decimal("12.000")}
    made, none = (
        delivery_delays(_known(A, purchase_orders=[line | received]).purchase_orders(), A, supplier_ids=["U1"])
        for line in (ORDER | {"promised_date": A - timedelta(days=2)}, UNDATED)
    )
    assert made["delay_days"].tolist() == [2] and none["delay_days"].tolist() == [0]


def test_less_than_nothing_received_is_nothing_and_named() -> None:
    lines = _known(A, purchase_orders=[ORDER | {"received_units": Decimal("-20.000")}]).purchase_orders()
    (row,) = open_orders(lines).to_dict("records")
    assert (row["open_units"], row["is_misbooked"]) == (12.0, True)
    closed = _known(A, purchase_orders=[ORDER | {"received_units": Decimal("-20.000"), "received_date": A}])
    assert closed.purchase_orders()["received_units"].tolist() == [0.0]
    before = A - timedelta(days=2)
    assert (
        not _known(before, purchase_orders=[ORDER | {"received_units": Decimal(-1)}])
        .purchase_orders()["is_misbooked"]
        .any()
    ), "nobody knows when it was booked"


def test_goods_booked_in_before_a_line_is_closed_are_no_longer_on_order() -> None:
    begun = {"received_units": Decimal("5.000")}
    lines = _known(A, purchase_orders=[ORDER | begun]).purchase_orders()
    assert open_orders(lines)["open_units"].tolist() == [7.0]
    long_ago = A - timedelta(days=2)
    reconstructed = _known(long_ago, purchase_orders=[ORDER | begun]).purchase_orders()
    assert open_orders(reconstructed)["open_units"].tolist() == [12.0], "nobody knows when they were booked in"


def test_a_received_line_without_units_brought_what_was_ordered() -> None:
    received = _orders(A, received_date=A)
    assert (received["received_units"], received["ordered_units"]) == (12.0, 12.0)
    assert _orders(A, received_date=TOMORROW)["received_units"] == 0
    assert _orders(A)["received_units"] == 0, "nothing was booked in yet"
    assert _orders(A, received_date=A, received_units=Decimal("0.000"))["received_units"] == 0, "nothing came"


def test_the_date_of_receipt_closes_a_line_whatever_came() -> None:
    short = {"received_date": A, "received_units": Decimal("5.000")}
    lines = _known(A, purchase_orders=[ORDER | short]).purchase_orders()
    assert lines["received_units"].tolist() == [5.0] and open_orders(lines).empty
    said = {column.name: column.meaning for column in entities.PURCHASE_ORDERS.columns}
    assert "no longer expected" in said["received_date"]


def test_open_orders_leave_out_what_is_received_cancelled_or_complete() -> None:
    lines = [
        ORDER,
        ORDER | {"purchase_order_line_id": "L2", "received_date": A, "received_units": Decimal("12.000")},
        ORDER | {"purchase_order_line_id": "L3", "cancelled_date": A},
        ORDER | {"purchase_order_line_id": "L4", "received_units": Decimal("12.000")},
    ]
    found = open_orders(_known(purchase_orders=lines).purchase_orders())
    assert found[["store_id", "product_id", "supplier_id", "open_units"]].values.tolist() == [["S1", "P1", "U1", 12.0]]


def test_decisions_are_the_approved_ones_of_the_day_that_no_order_carries() -> None:
    rows = [
        DECISION,
        DECISION | {"decision_id": "D2", "proposal_id": "X2", "decision": "rejected"},
        DECISION | {"decision_id": "D3", "proposal_id": "X3"},
        DECISION | {"decision_id": "D4", "proposal_id": "X4"},
        DECISION | {"decision_id": "D5", "proposal_id": "X5", "decided_at": NEXT},
    ]
    orders = [
        ORDER | {"proposal_id": "X3"},
        ORDER | {"purchase_order_line_id": "L2", "proposal_id": "X4", "ordered_date": TOMORROW},
        ORDER | {"purchase_order_line_id": "L3"},
    ]
    today, tomorrow = (_known(day, order_decisions=rows, purchase_orders=orders).decisions() for day in (A, TOMORROW))
    assert sorted(today["proposal_id"]) == ["X1"], "the order of X4 is dated tomorrow and known tonight"
    assert sorted(tomorrow["proposal_id"]) == ["X1", "X5"]


def test_the_day_of_a_decision_is_that_of_the_zone() -> None:
    late = datetime(A.year, A.month, A.day, 23, tzinfo=UTC) - timedelta(days=3)
    decision = DECISION | {"decided_at": late}
    east = AsOfSnapshot(A, _known(order_decisions=[decision]).tables, ZoneInfo("Asia/Tokyo"))
    assert east.decisions()["decided_at"].dt.date.tolist() == [A - timedelta(days=2)]
    assert east.decisions()["decided_at"].tolist() == [pd.Timestamp(late)], "the same moment"


def test_proposals_that_are_approved_or_on_an_order_are_known_to_be_as_of_the_day() -> None:
    rows = [
        DECISION,
        DECISION | {"decision_id": "D2", "proposal_id": "X2", "decision": "rejected"},
        DECISION | {"decision_id": "D3", "proposal_id": "X3"},
        DECISION | {"decision_id": "D5", "proposal_id": "X5", "decided_at": NEXT},
    ]
    orders = [
        ORDER | {"proposal_id": "X3"},
        ORDER | {"purchase_order_line_id": "L2", "proposal_id": "X4"},
        ORDER | {"purchase_order_line_id": "L3", "proposal_id": "X6", "ordered_date": TOMORROW},
    ]
    known = {day: _known(day, order_decisions=rows, purchase_orders=orders) for day in (A, TOMORROW)}
    assert known[A].approved_proposals() == {"X1", "X3", "X4", "X6"}
    assert known[TOMORROW].approved_proposals() == {"X1", "X3", "X4", "X5", "X6"}


def _waiting(*lines: dict[str, Any], as_of: date = A, **decision: Any) -> list[str]:
    known = _known(as_of, order_decisions=[DECISION | decision], purchase_orders=list(lines))
    return sorted(known.decisions()["proposal_id"])


def test_an_approval_whose_order_came_back_without_its_name_no_longer_waits() -> None:
    same = ORDER | {"ordered_date": A, "ordered_units": Decimal("6.000")}
    assert _waiting(same) == []
    assert _waiting(same | {"received_date": A, "received_units": Decimal("6.000")}) == [], "ordered, received, sold"
    assert _waiting(same | {"cancelled_date": A}) == [], "the purchasing system says that it does not come"
    assert _waiting(same | {"proposal_id": "X1-of-another-system"}) == [], "no name that anybody gave"
    assert _waiting(same | {"proposal_id": "X7"}) == []
    assert _waiting(same | {"product_id": "P2"}) == ["X1"]
    assert _waiting(same, supplier_id="U1") == [] and _waiting(same, supplier_id="U2") == ["X1"]
    assert _waiting(same | {"ordered_date": A - timedelta(days=3)}) == ["X1"], "it was there before"


def test_the_order_of_another_proposal_answers_none_beside_it() -> None:
    other = DECISION | {"decision_id": "D2", "proposal_id": "X2"}
    named = ORDER | {"ordered_date": A, "ordered_units": Decimal("6.000"), "proposal_id": "X2"}
    known = _known(A, order_decisions=[DECISION, other], purchase_orders=[named])
    assert known.decisions()["proposal_id"].tolist() == ["X1"]


def test_approvals_of_years_ago_are_not_looked_at() -> None:
    assert _waiting(expected_delivery_date=A - timedelta(days=401), order_date=A - timedelta(days=403)) == []
    assert _waiting(expected_delivery_date=A - timedelta(days=399), order_date=A - timedelta(days=403)) == ["X1"]


def test_a_decision_taken_later_does_not_show_on_days_before_the_first_snapshot() -> None:
    assert _known(A - timedelta(days=30)).decisions().empty


_OUTPUTS = {
    "series": lambda known: known.series(),
    "plan": lambda known: known.plan(3),
    "prices": lambda known: known.prices(),
    "terms": lambda known: known.supply_terms(),
    "served_stores": lambda known: known.served_stores(),
    "order_days": lambda known: known.order_days(),
    "orders": lambda known: known.purchase_orders(),
    "decisions": lambda known: known.decisions(),
    "approved": lambda known: pd.DataFrame({"proposal_id": sorted(known.approved_proposals())}),
    "events": lambda known: known.events({}),
}
_LATER_CHANGES: Given = {
    "stores": [STORE | {"region": "South"}],
    "products": [PRODUCT | {"department": "Nuts", "list_price": Decimal("7.0000"), "discontinued_date": A}],
    "suppliers": [SUPPLIER | {"lead_time_days": 9}],
    "assortment": [CARRIED | {"valid_to": A}, CARRIED | {"product_id": "P8"}],
    "sourcing": [TERMS | {"pack_units": 1.0}, TERMS | {"location_id": "S1", "source_id": "U5"}],
    "purchase_orders": [ORDER | {"received_date": A, "received_units": Decimal("12.000")}],
    "order_decisions": [DECISION | {"decision": "rejected"}, DECISION | {"decision_id": "D2", "proposal_id": "X2"}],
    "supplier_calendar": [EVERY_WEEK | {"order_weekday": 5}],
    "prices": [{"store_id": "*", "product_id": "P1", "valid_from": A, "unit_price": Decimal("1.0000")}],
    "promotions": [{"promotion_id": "X", "store_id": "*", "product_id": "P1", "start_date": A, "end_date": TOMORROW}],
    "events": [{"event_date": TOMORROW, "event_name": "Closed", "event_type": "closed", "region": "*"}],
}


_OTHER = {
    "prices": [{"store_id": "*", "product_id": "P0", "valid_from": A, "unit_price": Decimal("1.0000")}],
    "promotions": [{"promotion_id": "W", "store_id": "*", "product_id": "P0", "start_date": A, "end_date": TOMORROW}],
    "events": [{"event_date": A, "event_name": "Fair", "event_type": "local", "region": "*"}],
}
"""So that every table has a first snapshot: a table that begins later speaks for the days before it."""


def test_what_later_snapshots_say_changes_nothing_of_the_day_and_all_of_the_next() -> None:
    first = {**BASE, **_OTHER}
    changed = {
        name: [*first[name], *(row | {"first_seen_at": LATER} for row in rows)] for name, rows in _LATER_CHANGES.items()
    }
    assert set(changed) == set(SNAPSHOTS)
    before, after, then = _known(A, **first), _known(A, **changed), _known(TOMORROW, **changed)
    for name, read in _OUTPUTS.items():
        wanted = read(before)
        pd.testing.assert_frame_equal(wanted, read(after), check_exact=True)
        assert not wanted.equals(read(then)), f"{name} does not show the change even when it is known"


def test_snapshots_are_computed_once_for_days_that_saw_the_same() -> None:
    changed = [STORE, STORE | {"region": "South", "first_seen_at": LATER + timedelta(days=10)}]
    rows = {**BASE, "stores": changed}
    lake = LakeInMemory({t.path: frame_of(t, rows.get(name, [])) for name, t in SNAPSHOTS.items()})
    snapshots = Snapshots(lake)
    known = [snapshots.on(A + timedelta(days=n)) for n in (0, 10)]
    assert all(set(dict(day.tables)) == set(SNAPSHOTS) for day in known)
    assert lake.kept_count == len(SNAPSHOTS)
    regions = []
    for n in range(14):
        day = snapshots.on(A + timedelta(days=n))
        assert len(dict(day.tables)) == len(SNAPSHOTS)
        regions += day.series()["region"].tolist()
    assert regions == ["North"] * 11 + ["South"] * 3
    assert lake.kept_count == 2 * len(SNAPSHOTS)
    assert snapshots.on(A).series()["region"].tolist() == ["North"], "an earlier day again"


def test_a_snapshot_that_nobody_asks_for_is_not_computed() -> None:
    lake = LakeInMemory({t.path: frame_of(t, BASE.get(name, [])) for name, t in SNAPSHOTS.items()})
    known = Snapshots(lake).on(A)
    known.series()
    before = lake.kept_count
    assert 0 < before < len(SNAPSHOTS) / 2
    for _ in range(2):
        known.tables["purchase_orders"]
    assert lake.kept_count == before + 1
    with pytest.raises(KeyError):
        known.tables["tills"]


def _history(days: Window, frame: pd.DataFrame) -> History:
    rows = ibis.memtable(frame_of(gold.DEMAND_DAILY, frame.to_dict("records")))
    calendar = Calendar(A - timedelta(days=400), "GB", ZoneInfo("Europe/London"))
    return History.of(rows, days, snapshots=_snapshots(), calendar=calendar, horizon_days=7, history_days=30)


def _sold() -> pd.DataFrame:
    days = [A + timedelta(days=n) for n in range(-60, 5)]
    row = {"store_id": "S1", "product_id": "P1", "is_open": True, "is_feed_missing": False, "censoring": "none"}
    return pd.DataFrame(
        [
            row | {"business_date": d, "sold_units": float(n), "unconstrained_units": float(n), "unit_price": 5.0}
            for n, d in enumerate(days)
        ]
    ).assign(discount_rate=0.0)


def test_the_panel_ends_on_the_day_and_starts_where_history_begins() -> None:
    """61 days are sold as 0, 1, 2 …; the as-of day is the 61st."""
    panel, snapshot = _history(Window(A, A), _sold()).panel(A)
    assert snapshot.as_of == A and panel.as_of == A and panel.horizon == 7
    assert panel.day_count == 30 and panel.units[0].tolist() == [float(n) for n in range(31, 61)]


def test_the_panel_of_a_day_does_not_change_with_what_follows_or_with_the_run_it_is_in() -> None:
    sold = _sold()
    short = sold[sold["business_date"] <= A]
    alone, _ = _history(Window(A, A), short).panel(A)
    among, _ = _history(Window(A - timedelta(days=9), A + timedelta(days=4)), sold).panel(A)
    assert alone.units.tolist() == among.units.tolist() and alone.price.tolist() == among.price.tolist()


def test_moments_are_compared_in_utc() -> None:
    assert isinstance(MOMENT, datetime) and MOMENT.utcoffset() == timedelta(0)
    assert records(_snapshots().on(A).tables["stores"], "store_id", "is_reconstructed") == [("S1", False)]
