"""Silver: every rule by its name, nothing lost, the newest sound row kept, and every fault of the demo found."""

import sqlite3
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.demo.retailer import write_days
from retail_assets.demo.world import DemoSize
from retail_assets.resources.source import Source
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import bronze, entities, silver
from retail_assets.tables.entities import ALWAYS
from retail_assets.tables.validation import conform
from retail_assets.transforms import as_of
from retail_assets.transforms import silver as to_silver
from retail_assets.transforms.days import day_starts
from retail_assets.transforms.gold import fact_sales
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import MOMENT, records, table_of

DAY = date(2025, 3, 1)
LINE: dict[str, Any] = {
    "sale_line_id": "L1",
    "sale_id": "B1",
    "business_date": DAY,
    "store_id": "S1",
    "product_id": "P1",
    "quantity": Decimal("2.000"),
    "unit_price": Decimal("1.5000"),
    "discount_value": Decimal("0.1000"),
    "modified_at": MOMENT,
}
COUNT: dict[str, Any] = {
    "business_date": DAY,
    "store_id": "S1",
    "product_id": "P1",
    "on_hand_units": Decimal("4.000"),
    "modified_at": MOMENT,
}
MOVEMENT: dict[str, Any] = {
    "movement_id": "M1",
    "business_date": DAY,
    "store_id": "S1",
    "product_id": "P1",
    "movement_type": "receipt",
    "quantity": Decimal("6.000"),
    "modified_at": MOMENT,
}
STORES = ibis.memtable({"store_id": ["S1", "S2"]})
PRODUCTS = ibis.memtable({"product_id": ["P1", "P2"]})
LATER = MOMENT + timedelta(hours=1)


def _judged_sales(*lines: dict[str, Any]) -> ibis.Table:
    rows = table_of(bronze.SALES, [LINE | line for line in lines])
    return ibis.memtable(to_silver.validated_sales(rows, stores=STORES, products=PRODUCTS).to_pyarrow())


def _judged_inventory(*counts: dict[str, Any]) -> ibis.Table:
    rows = table_of(bronze.INVENTORY, [COUNT | count for count in counts])
    return ibis.memtable(to_silver.validated_inventory(rows, stores=STORES, products=PRODUCTS).to_pyarrow())


def _judged_movements(*movements: dict[str, Any]) -> ibis.Table:
    rows = table_of(bronze.STOCK_MOVEMENTS, [MOVEMENT | movement for movement in movements])
    return ibis.memtable(to_silver.validated_stock_movements(rows, stores=STORES, products=PRODUCTS).to_pyarrow())


def _rejected(
    sales: ibis.Table, inventory: ibis.Table | None = None, movements: ibis.Table | None = None
) -> list[dict[str, Any]]:
    stock = _judged_inventory().filter(False) if inventory is None else inventory
    moved = _judged_movements().filter(False) if movements is None else movements
    found = conform(silver.REJECTED_ROWS, to_silver.rejected_rows(sales, stock, moved).to_pyarrow())
    return found.to_pylist()


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ({"quantity": None, "unparsed": '{"quantity": "two"}'}, "wrong_type"),
        ({"sale_line_id": None}, "missing_value"),
        ({"sale_line_id": "  "}, "missing_value"),
        ({"store_id": None}, "missing_value"),
        ({"product_id": ""}, "missing_value"),
        ({"quantity": None}, "missing_value"),
        ({"unit_price": None}, "missing_value"),
        ({"store_id": "S9"}, "unknown_store"),
        ({"product_id": "P9"}, "unknown_product"),
        ({"unit_price": Decimal("-0.0001")}, "negative_price"),
        ({"quantity": Decimal("0.000")}, "zero_quantity"),
        ({"quantity": Decimal("10000.001")}, "absurd_quantity"),
        ({"quantity": Decimal("-10001.000")}, "absurd_quantity"),
        ({"store_id": "S9", "product_id": "P9", "quantity": Decimal(0)}, "unknown_store"),
    ],
)
def test_a_faulty_line_is_refused_by_the_first_rule_it_breaks(fault: dict[str, Any], rule: str) -> None:
    validated = _judged_sales(fault, {"sale_line_id": "sound"})
    assert records(to_silver.sales(validated), "sale_line_id") == [("sound",)]
    (refusal,) = _rejected(validated)
    assert (refusal["rule"], refusal["table_name"], refusal["business_date"]) == (rule, "bronze/sales", DAY)
    sentences = {r.name: r.explanation for r in to_silver.SALES_RULES}
    assert refusal["explanation"] == sentences[rule] and refusal["explanation"].endswith(".")


@pytest.mark.parametrize(
    "line",
    [
        {"quantity": Decimal("10000.000")},
        {"quantity": Decimal("-3.000")},
        {"unit_price": Decimal("0.0000")},
        {"discount_value": None, "customer_id": None, "sale_id": None, "modified_at": None},
        {"store_id": " S1 ", "product_id": "P1  "},
    ],
)
def test_a_sound_line_at_the_limits_is_taken_over(line: dict[str, Any]) -> None:
    validated = _judged_sales(line)
    kept = conform(silver.SALES, to_silver.sales(validated).to_pyarrow()).to_pylist()
    assert [(row["store_id"], row["product_id"]) for row in kept] == [("S1", "P1")] and not _rejected(validated)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ({"unparsed": "{}"}, "wrong_type"),
        ({"on_hand_units": None}, "missing_value"),
        ({"store_id": "S9"}, "unknown_store"),
        ({"product_id": "P9"}, "unknown_product"),
        ({"on_hand_units": Decimal("1000000.001")}, "absurd_quantity"),
        ({"on_hand_units": Decimal("-1000001.000")}, "absurd_quantity"),
    ],
)
def test_a_faulty_stock_count_is_refused(fault: dict[str, Any], rule: str) -> None:
    validated = _judged_inventory(fault, {"store_id": "S2", "on_hand_units": Decimal("-4.000")})
    kept = conform(silver.INVENTORY, to_silver.inventory(validated).to_pyarrow())
    assert records(kept, "store_id", "on_hand_units") == [("S2", Decimal("-4.000"))], "records below zero are kept"
    refusals = _rejected(_judged_sales().filter(False), validated)
    assert [(row["table_name"], row["rule"]) for row in refusals] == [("bronze/inventory", rule)]


@pytest.mark.parametrize("hours", [float("inf"), float("-inf")])
def test_an_infinite_number_of_a_daily_row_is_refused_like_one_that_cannot_be_read(hours: float) -> None:
    validated = _judged_inventory({"stock_out_hours": hours}, {"store_id": "S2", "stock_out_hours": 2.5})
    assert records(to_silver.inventory(validated), "store_id") == [("S2",)]
    assert [row["rule"] for row in _rejected(_judged_sales().filter(False), validated)] == ["wrong_type"]


_AROUND = [
    "\u00a0",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\u2003\t",
    "\r\n",
    "\u0085",
    "\u2028",
    "\u200e \v\f",
    "\u180e\u2060",
]


@pytest.mark.parametrize("blank", _AROUND, ids=ascii)
def test_no_blank_of_unicode_stays_around_an_id(blank: str) -> None:
    line = {"store_id": f"{blank}S1", "product_id": f"P1{blank}", "sale_id": blank, "customer_id": f"{blank}a{blank}b"}
    kept = to_silver.sales(_judged_sales(line | {"sale_line_id": f"{blank}L1{blank}", "currency": f"GBP{blank}"}))
    found = records(kept, "sale_line_id", "store_id", "product_id", "sale_id", "customer_id", "currency")
    assert found == [("L1", "S1", "P1", None, f"a{blank}b", "GBP")]


@pytest.mark.parametrize("blank", _AROUND, ids=ascii)
def test_no_blank_of_unicode_stays_around_a_name_or_a_code(blank: str) -> None:
    store = {
        "store_id": "S1",
        "store_name": f"{blank}Ash ford{blank}",
        "region": f"North{blank}",
        "store_format": blank,
    }
    taken, refused = _snapshot(entities.STORES, store)
    assert (taken[0]["store_name"], taken[0]["region"], taken[0]["store_format"]) == ("Ash ford", "North", None)
    codes, _ = _snapshot(entities.SOURCING, TERMS | {"source_type": f"{blank}DC{blank}"})
    assert codes[0]["source_type"] == "dc" and not refused


def test_a_refusal_shows_key_and_content_as_delivered() -> None:
    (refusal,) = _rejected(_judged_sales({"product_id": "P9", "customer_id": None}))
    assert refusal["row_key"] == "sale_line_id=L1"
    assert "product_id=P9" in refusal["row_content"] and "unit_price=1.5" in refusal["row_content"]
    assert "customer_id=∅" in refusal["row_content"]
    assert "is_known" not in refusal["row_content"] and "is_repeated" not in refusal["row_content"]


def test_a_correction_supersedes_and_an_equal_row_repeats() -> None:
    validated = _judged_sales(
        {"sale_id": "wrong", "quantity": Decimal("5.000")},
        {"sale_id": "right", "modified_at": LATER},
        {"sale_id": "right", "modified_at": MOMENT - timedelta(hours=1)},
    )
    assert records(to_silver.sales(validated), "sale_id", "modified_at") == [("right", LATER)]
    assert Counter(row["rule"] for row in _rejected(validated)) == {"superseded": 1, "duplicate": 1}


def test_a_broken_newest_correction_leaves_the_sound_one_in_force() -> None:
    validated = _judged_sales(
        {"sale_id": "first"},
        {"sale_id": "second", "modified_at": LATER},
        {"sale_id": "third", "modified_at": LATER + timedelta(hours=1), "quantity": Decimal(0)},
    )
    assert records(to_silver.sales(validated), "sale_id") == [("second",)]
    found = {row["rule"]: row["row_content"] for row in _rejected(validated)}
    assert set(found) == {"superseded", "zero_quantity"}
    assert "sale_id=first" in found["superseded"] and "sale_id=third" in found["zero_quantity"]


def test_a_row_with_a_moment_is_newer_than_one_without_and_the_last_read_wins_a_tie() -> None:
    timeless = _judged_sales({"sale_id": "timeless", "modified_at": None}, {"sale_id": "timed"})
    assert records(to_silver.sales(timeless), "sale_id") == [("timed",)]
    tied = _judged_sales({"sale_id": "early"}, {"sale_id": "late", "extracted_at": LATER})
    assert records(to_silver.sales(tied), "sale_id") == [("late",)]


def test_the_same_line_number_on_two_days_is_two_lines() -> None:
    validated = _judged_sales({}, {"business_date": DAY + timedelta(days=1)})
    assert to_silver.sales(validated).count().to_pyarrow().as_py() == 2


_LINES = st.lists(
    st.fixed_dictionaries(
        {
            "sale_line_id": st.sampled_from(["L1", "L2", None, " "]),
            "store_id": st.sampled_from(["S1", "S9", None]),
            "product_id": st.sampled_from(["P1", "P9"]),
            "quantity": st.sampled_from([Decimal(1), Decimal(2), Decimal(0), Decimal(20000), None]),
            "unit_price": st.sampled_from([Decimal(1), Decimal(-1), None]),
            "modified_at": st.sampled_from([MOMENT, LATER, None]),
            "unparsed": st.sampled_from([None, None, None, "{}"]),
        }
    ),
    max_size=12,
)


@settings(max_examples=3, deadline=None)
@given(st.lists(_LINES, min_size=30, max_size=30))
def test_every_row_is_either_taken_over_once_or_refused_with_a_reason(days: list[list[dict[str, Any]]]) -> None:
    """Each day is a case of its own: one query judges thirty of them."""
    lines = [line | {"business_date": DAY + timedelta(days=number)} for number, day in enumerate(days) for line in day]
    validated = _judged_sales(*lines)
    kept = conform(silver.SALES, to_silver.sales(validated).to_pyarrow())
    refusals = _rejected(validated)
    given_by_day = Counter(line["business_date"] for line in lines)
    assert (
        Counter(kept.column("business_date").to_pylist()) + Counter(r["business_date"] for r in refusals)
        == given_by_day
    )
    keys = records(kept, "business_date", "sale_line_id")
    sound = {(line["business_date"], line["sale_line_id"]) for line in lines if _is_sound(line)}
    assert len(set(keys)) == len(keys) and set(keys) == sound, "each line with a sound row once, and no other"


def _is_sound(line: dict[str, Any]) -> bool:
    return (
        line["unparsed"] is None
        and (line["sale_line_id"] or "").strip() != ""
        and (line["store_id"], line["product_id"]) == ("S1", "P1")
        and line["quantity"] in (1, 2)
        and line["unit_price"] == 1
    )


LISTS = {
    silver.STORES: ibis.memtable({"store_id": ["S1", "S2", "S1"], "region": ["North", "South", "North"]}),
    silver.PRODUCTS: ibis.memtable({"product_id": ["P1", "P2"]}),
    silver.SUPPLIERS: ibis.memtable({"supplier_id": ["U1"]}),
}


def _snapshot(entity: entities.Entity, *rows: dict[str, Any]) -> tuple[list[dict[str, Any]], Counter[str]]:
    raw = next(table for table in bronze.SNAPSHOTS if table.name == entity.name)
    kept = next(table for table in silver.SNAPSHOTS if table.name == entity.name)
    known = to_silver.known_of(kept, LISTS.__getitem__)
    validated = to_silver.validated_snapshot(table_of(raw, rows), entity, known)
    refused = conform(
        silver.REJECTED_SNAPSHOT_ROWS, to_silver.rejected_snapshot_rows([(entity, validated)]).to_pyarrow()
    )
    taken = conform(kept, to_silver.snapshot(validated, kept).to_pyarrow()).to_pylist()
    assert len(taken) + refused.num_rows == len(rows)
    return taken, Counter(refused.column("rule").to_pylist())


PRICE: dict[str, Any] = {"product_id": "P1", "valid_from": DAY, "unit_price": Decimal("2.0000")}


def test_empty_key_parts_become_a_star() -> None:
    taken, refused = _snapshot(entities.PRICES, PRICE, PRICE | {"product_id": "P2", "store_id": " "})
    assert [row["store_id"] for row in taken] == ["*", "*"] and not refused
    events, _ = _snapshot(
        entities.EVENTS, {"event_date": DAY, "event_name": "Fair", "region": ""}, {"event_date": DAY, "event_name": "X"}
    )
    assert [row["region"] for row in events] == ["*", "*"]


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ({"unparsed": '{"unit_price": "n/a"}', "unit_price": None}, "wrong_type"),
        ({"product_id": " "}, "missing_value"),
        ({"unit_price": None}, "missing_value"),
        ({"unit_price": Decimal("-1.0000")}, "negative_money"),
    ],
)
def test_a_faulty_snapshot_row_is_refused(fault: dict[str, Any], rule: str) -> None:
    taken, refused = _snapshot(entities.PRICES, PRICE | fault, PRICE | {"store_id": "S1"})
    assert [row["store_id"] for row in taken] == ["S1"] and refused == {rule: 1}


def test_of_snapshot_rows_with_one_key_the_sound_one_is_kept() -> None:
    taken, refused = _snapshot(
        entities.PRICES, PRICE | {"unit_price": Decimal("-9.0000")}, PRICE, PRICE | {"unit_price": Decimal("3.0000")}
    )
    assert [row["unit_price"] for row in taken] == [Decimal("2.0000")]
    assert refused == {"negative_money": 1, "duplicate": 1}


def test_an_identifier_that_loses_its_blanks_does_not_vanish() -> None:
    store = {"store_name": "Ashford"}
    taken, refused = _snapshot(
        entities.STORES,
        store | {"store_id": "S1 "},
        store | {"store_id": "S1 ", "is_deleted": True, "first_seen_at": LATER},
        store | {"store_id": "S1", "first_seen_at": LATER},
    )
    assert [(row["store_id"], row["is_deleted"]) for row in taken] == [("S1", False), ("S1", False)]
    assert refused == {"duplicate": 1}


def test_a_deletion_is_taken_over_although_the_version_it_ends_was_refused() -> None:
    promotion = {"promotion_id": "X", "product_id": "P1", "start_date": DAY, "end_date": DAY + timedelta(days=9)}
    ends_early = {"end_date": DAY - timedelta(days=1), "first_seen_at": LATER}
    for fault in (ends_early, {"end_date": None, "unparsed": '{"end_date": "soon"}', "first_seen_at": LATER}):
        gone = {"is_deleted": True, "first_seen_at": LATER + timedelta(days=1)}
        taken, refused = _snapshot(entities.PROMOTIONS, promotion, promotion | fault, promotion | fault | gone)
        assert sorted(row["is_deleted"] for row in taken) == [False, True] and refused.total() == 1
        versions = table_of(silver.PROMOTIONS, taken)
        assert as_of.newest(versions, key=entities.PROMOTIONS.key).count().to_pyarrow().as_py() == 0


_ORDER: dict[str, Any] = {
    "purchase_order_line_id": "o1",
    "purchase_order_id": "O1",
    "ordered_date": DAY,
    "promised_date": DAY,
    "ordered_units": Decimal(1),
}


@pytest.mark.parametrize(
    ("entity", "row", "spelled"),
    [
        (entities.ASSORTMENT, {"store_id": "s1", "product_id": " p1", "valid_from": DAY}, ("S1", "P1")),
        (entities.PRICES, {"store_id": "s2", "product_id": "p2", "valid_from": DAY, "unit_price": 1}, ("S2", "P2")),
        (
            entities.PROMOTIONS,
            {"promotion_id": "x", "store_id": "s1", "product_id": "p1", "start_date": DAY, "end_date": DAY},
            ("x", "S1", "P1"),
        ),
        (entities.SOURCING, {"product_id": "p1", "location_id": "s1", "source_id": "u1"}, ("P1", "S1", "U1")),
        (entities.SOURCING, {"product_id": "p1", "source_id": "u1"}, ("P1", "*", "U1")),
        (entities.SUPPLIER_CALENDAR, {"source_id": "u1", "location_id": "s2", "order_weekday": 1}, ("U1", "S2")),
        (
            entities.PURCHASE_ORDERS,
            _ORDER | {"supplier_id": "u1", "store_id": "s1", "product_id": "p1"},
            ("o1", "O1", "U1", "S1", "P1"),
        ),
        (entities.EVENTS, {"event_date": DAY, "event_name": "fair", "region": "north"}, ("fair", None, "North")),
        (entities.EVENTS, {"event_date": DAY, "event_name": "fair"}, ("fair", None, "*")),
    ],
)
def test_a_snapshot_takes_the_spelling_of_the_lists_it_refers_to(
    entity: entities.Entity, row: dict[str, Any], spelled: tuple[str | None, ...]
) -> None:
    (taken,), refused = _snapshot(entity, row)
    texts = [c.name for c in entity.columns if c.name.endswith(("_id", "_name", "region")) or c.name == "event_type"]
    assert tuple(taken[name] for name in texts if name != "proposal_id") == spelled and not refused


def test_a_snapshot_row_about_what_is_not_known_is_taken_over_as_it_is() -> None:
    taken, refused = _snapshot(entities.PRICES, PRICE | {"store_id": "s9"}, PRICE | {"product_id": "p9"})
    assert {(row["store_id"], row["product_id"]) for row in taken} == {("s9", "P1"), ("*", "p9")} and not refused


def test_an_id_that_takes_the_spelling_of_the_list_does_not_vanish() -> None:
    row = {"store_id": "S1", "product_id": "P1", "valid_from": DAY}
    taken, refused = _snapshot(
        entities.ASSORTMENT,
        row | {"store_id": "s1"},
        row | {"store_id": "s1", "is_deleted": True, "first_seen_at": LATER},
        row | {"first_seen_at": LATER},
    )
    assert [(r["store_id"], r["is_deleted"]) for r in taken] == [("S1", False), ("S1", False)]
    assert refused == {"duplicate": 1}


def test_an_order_without_a_promised_date_is_taken_over() -> None:
    ids = {"supplier_id": "U1", "store_id": "S1", "product_id": "P1"}
    (taken,), refused = _snapshot(entities.PURCHASE_ORDERS, _ORDER | ids | {"promised_date": None})
    assert taken["promised_date"] is None and not refused


def test_event_types_ignore_case_and_blanks() -> None:
    taken, _ = _snapshot(entities.EVENTS, {"event_date": DAY, "event_name": "Inventory", "event_type": " Closed"})
    assert [row["event_type"] for row in taken] == ["closed"]


def test_open_orders_are_the_newest_lines_neither_received_nor_cancelled() -> None:
    line = {
        "purchase_order_id": "O1",
        "supplier_id": "U1",
        "store_id": "S1",
        "product_id": "P1",
        "ordered_date": DAY,
        "promised_date": DAY + timedelta(days=2),
        "ordered_units": Decimal("12.000"),
    }
    rows = [
        line | {"purchase_order_line_id": "waiting"},
        line | {"purchase_order_line_id": "begun", "received_units": Decimal("5.000")},
        line | {"purchase_order_line_id": "misbooked", "received_units": Decimal("-20.000"), "promised_date": None},
        line | {"purchase_order_line_id": "arrived"},
        line | {"purchase_order_line_id": "arrived", "received_date": DAY, "first_seen_at": LATER},
        line | {"purchase_order_line_id": "cancelled", "cancelled_date": DAY},
        line | {"purchase_order_line_id": "erased"},
        line | {"purchase_order_line_id": "erased", "is_deleted": True, "first_seen_at": LATER},
    ]
    found = to_silver.open_orders(table_of(silver.PURCHASE_ORDERS, rows)).to_pyarrow()
    open_lines = conform(silver.OPEN_ORDERS, found)
    assert records(open_lines, "purchase_order_line_id", "open_units") == [
        ("begun", Decimal("7.000")),
        ("misbooked", Decimal("12.000")),
        ("waiting", Decimal("12.000")),
    ]


def _judged_in_sydney(read_at: datetime, **line: Any) -> ibis.Table:
    rows = table_of(bronze.SALES, [LINE | {"extracted_at": read_at} | line])
    starts = day_starts(Window(DAY, DAY + timedelta(days=2)), ZoneInfo("Australia/Sydney"))
    validated = to_silver.validated_sales(rows, stores=STORES, products=PRODUCTS, day_starts=starts)
    return ibis.memtable(validated.to_pyarrow())


@pytest.mark.parametrize(
    ("read_at", "is_future"),
    [
        (datetime(2025, 2, 28, 12, 59, 59, tzinfo=UTC), True),
        (datetime(2025, 2, 28, 13, 0, tzinfo=UTC), False),
        (datetime(2025, 3, 2, tzinfo=UTC), False),
    ],
    ids=["a second before midnight in Sydney", "midnight there", "a day later"],
)
def test_a_day_that_had_not_begun_in_the_stores_zone_is_a_future_one(read_at: datetime, is_future: bool) -> None:
    refused = [row["rule"] for row in _rejected(_judged_in_sydney(read_at))]
    assert refused == (["future_date"] if is_future else [])


@pytest.mark.parametrize(("currency", "rules"), [("EUR", ["foreign_currency"]), (" gbp ", []), ("GBP", []), (None, [])])
def test_money_of_another_currency_is_refused(currency: str | None, rules: list[str]) -> None:
    rows = table_of(bronze.SALES, [LINE | {"currency": currency}])
    validated = to_silver.validated_sales(rows, stores=STORES, products=PRODUCTS, currency="GBP")
    assert [row["rule"] for row in _rejected(ibis.memtable(validated.to_pyarrow()))] == rules


def test_ids_take_the_spelling_of_the_list_where_only_case_and_blanks_differ() -> None:
    stores = ibis.memtable({"store_id": ["S1", "s2", "S2", "Straße"]})
    lines = [{"store_id": name, "sale_line_id": name} for name in (" s1", "s2", "S2", "STRASSE", "S9")]
    rows = table_of(bronze.SALES, [LINE | {"product_id": "p1 "} | line for line in lines])
    validated = ibis.memtable(to_silver.validated_sales(rows, stores=stores, products=PRODUCTS).to_pyarrow())
    kept = records(to_silver.sales(validated), "sale_line_id", "store_id", "product_id")
    assert kept[:3] == [("S2", "S2", "P1"), ("s1", "S1", "P1"), ("s2", "s2", "P1")], "exact spellings stand first"
    assert "S9" in {row["row_key"].removeprefix("sale_line_id=") for row in _rejected(validated)}


def test_an_id_that_two_known_ids_resemble_is_unknown() -> None:
    stores = ibis.memtable({"store_id": ["Sa", "sA"]})
    rows = table_of(bronze.SALES, [LINE | {"store_id": "SA"}])
    validated = to_silver.validated_sales(rows, stores=stores, products=PRODUCTS)
    assert [row["rule"] for row in _rejected(ibis.memtable(validated.to_pyarrow()))] == ["unknown_store"]


def test_a_refusal_shows_conformed_ids_as_they_came() -> None:
    (refusal,) = _rejected(_judged_sales({"store_id": "s1 ", "product_id": " P1", "quantity": Decimal(0)}))
    assert "store_id=S1; product_id=P1" in refusal["row_content"]
    assert refusal["row_content"].endswith(
        "; as delivered sale_line_id=L1; sale_id=B1; store_id=s1 ; product_id= P1; customer_id=∅"
    )
    (plain,) = _rejected(_judged_sales({"quantity": Decimal(0)}))
    assert "as delivered" not in plain["row_content"]


@pytest.mark.parametrize(
    ("fault", "rule", "value"),
    [
        ({"quantity": Decimal(10**14)}, "absurd_quantity", None),
        ({"unit_price": Decimal(10**9) + Decimal("0.0001")}, "absurd_money", None),
        ({"discount_value": Decimal(-(10**13)) - 1}, "absurd_money", None),
        ({"quantity": None}, "missing_value", None),
        ({"store_id": "S9"}, "unknown_store", Decimal("2.9000")),
    ],
)
def test_the_money_of_a_refused_line_is_told_where_it_can_be(
    fault: dict[str, Any], rule: str, value: Decimal | None
) -> None:
    (refusal,) = _rejected(_judged_sales(fault))
    assert (refusal["rule"], refusal["net_value"]) == (rule, value)


@pytest.mark.parametrize(
    "line",
    [
        {"unit_price": Decimal(10**9)},
        {"discount_value": Decimal("3.1000")},
        {"discount_value": Decimal("-0.5000")},
        {"unit_price": Decimal(0), "discount_value": Decimal("1.5000")},
    ],
    ids=["the dearest price", "a discount beyond the value", "a surcharge", "a free article"],
)
def test_money_that_is_only_unusual_is_taken_over(line: dict[str, Any]) -> None:
    assert not _rejected(_judged_sales(line))


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ({"unparsed": "{}", "quantity": None}, "wrong_type"),
        ({"movement_id": " "}, "missing_value"),
        ({"movement_type": None}, "missing_value"),
        ({"movement_type": "theft"}, "unknown_code"),
        ({"store_id": "S9"}, "unknown_store"),
        ({"product_id": "P9"}, "unknown_product"),
        ({"quantity": Decimal(0)}, "zero_quantity"),
        ({"quantity": Decimal("1000000.001")}, "absurd_quantity"),
        ({"quantity": Decimal(10**9)}, "absurd_quantity"),
    ],
)
def test_a_faulty_stock_movement_is_refused(fault: dict[str, Any], rule: str) -> None:
    validated = _judged_movements(fault, {"movement_id": "sound", "movement_type": " Waste ", "quantity": Decimal(-2)})
    kept = conform(silver.STOCK_MOVEMENTS, to_silver.stock_movements(validated).to_pyarrow())
    assert records(kept, "movement_id", "movement_type", "quantity") == [("sound", "waste", Decimal("-2.000"))]
    refusals = _rejected(_judged_sales().filter(False), None, validated)
    assert [(row["table_name"], row["rule"]) for row in refusals] == [("bronze/stock_movements", rule)]


def test_a_count_may_find_what_the_books_say_and_a_corrected_movement_supersedes() -> None:
    validated = _judged_movements(
        {"movement_type": "count", "quantity": Decimal(0)},
        {"movement_type": "count", "quantity": Decimal(1), "modified_at": LATER},
        {"movement_type": "count", "quantity": Decimal(1), "modified_at": LATER},
    )
    assert records(to_silver.stock_movements(validated), "quantity") == [(Decimal("1.000"),)]
    rules = Counter(row["rule"] for row in _rejected(_judged_sales().filter(False), None, validated))
    assert rules == {"superseded": 1, "duplicate": 1}


TERMS: dict[str, Any] = {"product_id": "P1", "source_id": "U1"}


def test_what_sourcing_leaves_out_stands_for_its_default() -> None:
    (row,), refused = _snapshot(entities.SOURCING, TERMS)
    assert not refused and (row["location_id"], row["valid_from"], row["source_type"]) == ("*", ALWAYS, "supplier")
    assert (row["pack_units"], row["moq_units"], row["presentation_min_units"]) == (1.0, 0.0, 0.0)
    assert (row["unit_cost"], row["shelf_life_days"], row["shelf_max_units"], row["valid_to"]) == (None,) * 4


def test_terms_of_two_times_are_two_rows() -> None:
    taken, refused = _snapshot(entities.SOURCING, TERMS, TERMS | {"valid_from": DAY, "source_type": "DC"})
    assert {(row["valid_from"], row["source_type"]) for row in taken} == {(ALWAYS, "supplier"), (DAY, "dc")}
    assert not refused


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("1234567", "1234567"),
        (" Mon-Sat ", "123456"),
        ("monday - FRIDAY, Sun", "123457"),
        ("sat–mon", "167"),
        ("Tue/Thurs; Fri", "245"),
        ("1-6", "123456"),
        ("765", "567"),
        ("", None),
        (None, None),
    ],
)
def test_the_weekdays_of_a_store_are_read_as_people_write_them(written: str | None, taken: str | None) -> None:
    rows, refused = _snapshot(entities.STORES, {"store_id": "S1", "store_name": "A", "opening_weekdays": written})
    assert not refused and [row["opening_weekdays"] for row in rows] == [taken]


def test_an_order_day_is_a_weekday_or_a_date_with_its_weekday() -> None:
    order = {"source_id": "U1"}
    taken, refused = _snapshot(
        entities.SUPPLIER_CALENDAR, order | {"order_weekday": 1}, order | {"order_date": date(2025, 3, 2)}, order
    )
    assert {(row["order_date"], row["order_weekday"]) for row in taken} == {(ALWAYS, 1), (date(2025, 3, 2), 7)}
    assert refused == {"no_order_day": 1}


@pytest.mark.parametrize(
    ("entity", "row", "rule"),
    [
        (entities.SOURCING, TERMS | {"source_type": "aunt"}, "unknown_code"),
        (entities.SOURCING, TERMS | {"moq_units": -1.0}, "out_of_range"),
        (entities.SOURCING, TERMS | {"pack_units": 1e9}, "absurd_quantity"),
        (entities.SOURCING, TERMS | {"pack_units": 0.0}, "out_of_range"),
        (entities.SOURCING, TERMS | {"shelf_life_days": -3}, "out_of_range"),
        (entities.SOURCING, TERMS | {"unit_cost": Decimal("99999999999.0000")}, "absurd_money"),
        (entities.SUPPLIERS, {"supplier_id": "U1", "supplier_name": "U", "lead_time_days": -7}, "out_of_range"),
        (entities.SUPPLIERS, {"supplier_id": "U1", "supplier_name": "U", "lead_time_days": 10**9}, "out_of_range"),
        (entities.PRODUCTS, {"product_id": "P1", "product_name": "P", "unit_step": 0.0}, "out_of_range"),
        (entities.STORES, {"store_id": "S1", "store_name": "A", "opening_weekdays": "Mon-Xyz"}, "wrong_weekdays"),
        (entities.STORES, {"store_id": "S1", "store_name": "A", "opening_weekdays": "0-6"}, "wrong_weekdays"),
        (entities.STORES, {"store_id": "S1", "store_name": "A", "trading_hours": 25.0}, "out_of_range"),
        (entities.STORES, {"store_id": "S1", "store_name": "A", "trading_hours": 0.0}, "out_of_range"),
        (entities.SOURCING, TERMS | {"shelf_max_units": float("inf")}, "wrong_type"),
        (entities.SOURCING, TERMS | {"moq_units": float("-inf")}, "wrong_type"),
        (
            entities.PROMOTIONS,
            {
                "promotion_id": "X",
                "product_id": "P1",
                "start_date": DAY,
                "end_date": DAY,
                "discount_rate": float("inf"),
            },
            "wrong_type",
        ),
        (entities.SOURCING, TERMS | {"valid_from": DAY, "valid_to": DAY - timedelta(days=1)}, "ends_before_it_starts"),
        (entities.SUPPLIER_CALENDAR, {"source_id": "U1", "order_weekday": 8}, "out_of_range"),
        (
            entities.SUPPLIER_CALENDAR,
            {"source_id": "U1", "order_weekday": 1, "cutoff_time": "25:00"},
            "wrong_time",
        ),
        (
            entities.PROMOTIONS,
            {"promotion_id": "X", "product_id": "P1", "start_date": DAY, "end_date": DAY, "discount_rate": 20.0},
            "out_of_range",
        ),
        (
            entities.ASSORTMENT,
            {"store_id": "S1", "product_id": "P1", "valid_from": DAY, "valid_to": DAY - timedelta(days=1)},
            "ends_before_it_starts",
        ),
    ],
)
def test_a_snapshot_row_that_contradicts_its_contract_is_refused(
    entity: entities.Entity, row: dict[str, Any], rule: str
) -> None:
    taken, refused = _snapshot(entity, row)
    assert not taken and refused == {rule: 1}
    sentences = {r.name: r.explanation for r in to_silver.snapshot_rules(entity)}
    assert sentences[rule].endswith(".")


@pytest.mark.parametrize("time", ["00:00", "23:59", "09:30:00", None])
def test_a_time_of_day_is_taken_over(time: str | None) -> None:
    taken, refused = _snapshot(entities.SUPPLIER_CALENDAR, {"source_id": "U1", "order_weekday": 7, "cutoff_time": time})
    assert len(taken) == 1 and not refused


START, THROUGH = date(2025, 11, 10), date(2026, 1, 4)
RULE_OF_FAULT = {
    "duplicate": "duplicate",
    "corrected": "superseded",
    "unknown_product": "unknown_product",
    "unknown_store": "unknown_store",
    "negative_price": "negative_price",
    "wrong_type": "wrong_type",
    "missing_quantity": "missing_value",
    "zero_quantity": "zero_quantity",
    "absurd_quantity": "absurd_quantity",
}


RETAILERS = {
    "small": (7, DemoSize(stores=4, products=36, customers=60, opening_after_days=15)),
    "other seed and size": (23, DemoSize(stores=5, products=48, customers=90, opening_after_days=30)),
}


@pytest.fixture(scope="module", params=list(RETAILERS))
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "source.db"
    seed, size = RETAILERS[request.param]
    write_days(f"sqlite:///{path}", start=START, through=THROUGH, seed=seed, size=size)
    return path


def _query(path: Path, sql: str) -> pd.DataFrame:
    with sqlite3.connect(path) as connection:
        return pd.read_sql_query(sql, connection)


@pytest.fixture(scope="module")
def validated(demo: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Sales, inventory and stock movements of the demo, validated as the pipeline does."""
    source = Source(f"sqlite:///{demo}", load_mapping("demo"))
    daily = [ibis.memtable(source.read_days(entity, START, THROUGH).read_all()) for entity in entities.DAILY]
    known: dict[str, ibis.Table] = {
        entity.name: ibis.memtable(source.read_snapshot(entity)) for entity in (entities.STORES, entities.PRODUCTS)
    }
    known["day_starts"] = day_starts(Window(START, THROUGH), ZoneInfo("Europe/London"))
    sales = to_silver.validated_sales(daily[0], currency="GBP", **known)
    stock, moves = (
        to_silver.validated_inventory(daily[1], **known),
        to_silver.validated_stock_movements(daily[2], **known),
    )
    return sales.to_pyarrow(), stock.to_pyarrow(), moves.to_pyarrow()


def test_every_injected_fault_is_refused_by_its_rule_and_nothing_else_is(
    demo: Path, validated: tuple[pa.Table, pa.Table, pa.Table]
) -> None:
    """Faults that have not arrived yet cannot be seen: a correction under way leaves the wrong line in force."""
    arrived = f"SELECT fault_class, line_id FROM injected_fault WHERE arrival_date <= '{THROUGH}'"
    faults = _query(demo, f"{arrived} AND fault_class <> 'missing_feed'")
    wanted = Counter(
        (RULE_OF_FAULT[row.fault_class], f"sale_line_id={row.line_id}")
        for row in faults.itertuples()
        if row.fault_class in RULE_OF_FAULT
    )
    rows = _rejected(*map(ibis.memtable, validated))
    assert {rule for rule, _ in wanted} == set(RULE_OF_FAULT.values()), "the demo is too small to hold every class"
    assert Counter((row["rule"], row["row_key"]) for row in rows) == wanted
    assert set(faults["fault_class"]) - set(RULE_OF_FAULT) == {"late"}


def test_what_is_not_refused_is_taken_over_row_by_row(validated: tuple[pa.Table, pa.Table, pa.Table]) -> None:
    sales, stock, moves = map(ibis.memtable, validated)
    taken = (to_silver.sales(sales), to_silver.inventory(stock), to_silver.stock_movements(moves))
    counts = [rows.count().to_pyarrow().as_py() for rows in taken]
    assert counts == [validated[0].num_rows - len(_rejected(sales)), validated[1].num_rows, validated[2].num_rows]
    assert min(counts) > 200


def test_the_feed_that_never_came_is_the_only_open_store_without_lines(
    demo: Path, validated: tuple[pa.Table, pa.Table, pa.Table]
) -> None:
    """No row can be refused for it: it shows as a store that had stock, and sold in truth, without a line."""
    silent = _query(demo, "SELECT business_date, store_id FROM injected_fault WHERE fault_class = 'missing_feed'")
    sold = _query(
        demo,
        "SELECT DISTINCT business_date, store_id FROM true_demand WHERE demanded_units - lost_units > 0",
    )
    kept = to_silver.sales(ibis.memtable(validated[0])).select("business_date", "store_id").distinct().to_pyarrow()
    heard = {(str(row["business_date"]), row["store_id"]) for row in kept.to_pylist()}
    missing = {tuple(row) for row in sold.itertuples(index=False)} - heard
    assert missing == {tuple(row) for row in silent.itertuples(index=False)} and missing


def test_late_lines_are_taken_over(demo: Path, validated: tuple[pa.Table, pa.Table, pa.Table]) -> None:
    faults = _query(demo, f"SELECT * FROM injected_fault WHERE arrival_date <= '{THROUGH}' AND fault_class = 'late'")
    kept = {key for (key,) in records(to_silver.sales(ibis.memtable(validated[0])), "sale_line_id")}
    assert len(faults) > 5 and set(faults["line_id"].astype(str)) <= kept


def test_silver_holds_the_true_lines(demo: Path, validated: tuple[pa.Table, pa.Table, pa.Table]) -> None:
    """What a correction brought is what the till really sold."""
    faults = _query(
        demo, f"SELECT * FROM injected_fault WHERE arrival_date <= '{THROUGH}' AND fault_class = 'corrected'"
    )
    kept = to_silver.sales(ibis.memtable(validated[0])).to_pandas().set_index("sale_line_id")
    found = kept.loc[faults["line_id"].astype(str)]
    assert len(found) > 5
    assert found["quantity"].astype(float).tolist() == faults["true_quantity"].tolist()
    assert found["unit_price"].astype(float).tolist() == pytest.approx(faults["true_unit_price"].tolist(), abs=1e-9)


def test_the_money_of_the_source_arrives_to_the_cent(
    demo: Path, validated: tuple[pa.Table, pa.Table, pa.Table]
) -> None:
    """Summed by hand over the till's sound rows, each line's newest revision, in exact decimals."""
    bad = "', '".join(c for c in RULE_OF_FAULT if c not in ("duplicate", "corrected"))
    rows = _query(
        demo,
        f"""
        SELECT line_id, revision, quantity, unit_price, discount_value FROM pos_sale_line
        WHERE line_id NOT IN (SELECT line_id FROM injected_fault WHERE fault_class IN ('{bad}'))
        """,
    )
    newest = rows.sort_values("revision").drop_duplicates("line_id", keep="last")
    money = sum(
        Decimal(line.quantity) * Decimal(line.unit_price) - Decimal(repr(line.discount_value))
        for line in newest.itertuples()
    )
    facts = fact_sales(to_silver.sales(ibis.memtable(validated[0])))
    found = facts.aggregate(lines=facts.count(), value=facts.net_value.sum()).to_pyarrow().to_pylist()[0]
    assert found == {"lines": len(newest), "value": money}


def test_times_of_the_contract_are_utc() -> None:
    kept = to_silver.sales(_judged_sales({"modified_at": datetime(2025, 3, 1, 23, tzinfo=UTC)})).to_pyarrow()
    assert conform(silver.SALES, kept).column("modified_at").to_pylist() == [datetime(2025, 3, 1, 23, tzinfo=UTC)]
