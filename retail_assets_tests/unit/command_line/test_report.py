"""What a run reports, from a lake in memory: counts, refusals, accuracy, urgent orders, and what is missing."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pytest

from retail_assets.command_line.report import NAMED_COUNT, URGENT_COUNT, report
from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.tables import catalog, entities, forecast, gold, inventory, silver
from retail_assets.tables.contract import Table
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import table_of

DAY = date(2025, 3, 1)
Given = Mapping[str, Sequence[dict[str, Any]]]


class LakeInMemory:
    """Only what a report needs: every table exists, most are empty."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def scan_or_empty(self, table: Table) -> ibis.Table:
        return table_of(table, self._given.get(table.path, []))

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        raise AssertionError(f"{table.path} may not exist yet")

    def cached(self, rows: ibis.Table) -> AbstractContextManager[ibis.Table]:
        raise NotImplementedError

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        raise AssertionError("a report writes nothing")

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        raise AssertionError("a report writes nothing")


def _scored(segment: str, actual: float, error: float, *, naive: float) -> dict[str, Any]:
    return {
        "segment": segment,
        "target_date": DAY,
        "actual_units": actual,
        "error_units": -error,
        "absolute_error_units": error,
        "naive_absolute_error_units": naive,
    }


def test_orders_that_may_not_come_are_named() -> None:
    def line(number: int, exception: str | None, day: date = DAY) -> dict[str, Any]:
        return {"as_of_date": day, "store_id": "S1", "product_id": f"P{number:02}", "exception": exception}

    lapsed = [line(n, "approved order no longer counted; overdue order") for n in range(NAMED_COUNT + 2)]
    others = [
        line(20, "expedite; approved order not in the purchase orders"),
        line(21, "open order without a promised date"),
        line(22, "open order with less than nothing received"),
        line(23, None),
        line(24, "approved order no longer counted", DAY - timedelta(days=1)),
    ]
    found = report(LakeInMemory({inventory.REPLENISHMENT_PLAN.path: [*lapsed, *others]})).notes
    names = ", ".join(f"P{n:02} in S1" for n in range(NAMED_COUNT))
    assert [note for note in found if "of the plan" in note] == [
        "1 line of the plan have an approved order that no purchase order answers; it stops counting overdue_days_max "
        "days after its delivery date: P20 in S1",
        "12 lines of the plan had an approved order that never became a purchase order; it no longer counts: "
        f"{names} and 2 more",
        "1 line of the plan have an open order without a promised date, which is expected after the supplier's lead "
        "time: P21 in S1",
        "1 line of the plan have an open order with less than nothing received, which is taken as nothing: P22 in S1",
    ]


def test_every_table_is_counted() -> None:
    found = report(LakeInMemory({silver.STORES.path: [{"store_id": "S1"}, {"store_id": "S2"}]})).rows
    assert found["table"].tolist() == [table.path for table in catalog.LAKE_TABLES]
    assert found.set_index("table")["rows"].loc[lambda rows: rows > 0].to_dict() == {"silver/stores": 2}


def test_refusals_are_counted_by_table_and_rule_with_the_most_first() -> None:
    daily = [("bronze/sales", "duplicate"), ("bronze/sales", "wrong_type"), ("bronze/sales", "duplicate")]
    rows = [{"table_name": table, "rule": rule, "business_date": DAY} for table, rule in daily]
    prices = [{"table_name": "bronze/prices", "rule": "negative_money"}] * 3
    given = {silver.REJECTED_ROWS.path: rows, silver.REJECTED_SNAPSHOT_ROWS.path: prices}
    assert report(LakeInMemory(given)).refused.values.tolist() == [
        ["bronze/prices", "negative_money", 3],
        ["bronze/sales", "duplicate", 2],
        ["bronze/sales", "wrong_type", 1],
    ]


def test_accuracy_is_of_sums_not_a_mean_of_ratios_and_all_stands_first() -> None:
    rows = [
        _scored("A", 100.0, 10.0, naive=20.0),
        _scored("A", 300.0, 90.0, naive=80.0),
        _scored("all", 500.0, 200.0, naive=400.0),
    ]
    found = report(LakeInMemory({forecast.FORECAST_ACCURACY.path: rows})).accuracy
    assert found["segment"].tolist() == ["all", "A"]
    assert found["wape"].tolist() == pytest.approx([0.4, 0.25])
    assert found["naive_wape"].tolist() == pytest.approx([0.8, 0.25])
    assert found["bias"].tolist() == pytest.approx([-0.4, -0.25])
    assert found["forecast_value_added"].tolist() == pytest.approx([0.5, 0.0])


def _order(product: int, *, saved: str, day: int = 2, units: float = 6.0) -> dict[str, Any]:
    return {
        "as_of_date": date(2025, 3, day),
        "store_id": "S1",
        "product_id": f"P{product:02d}",
        "order_units": units,
        "lost_margin_avoided_value": Decimal(saved),
        "reason": f"because {product}",
    }


def test_the_urgent_orders_are_the_newest_plans_that_save_most() -> None:
    plan = [
        _order(1, saved="999.0000", day=1),
        _order(2, saved="500.0000", units=0.0),
        *(_order(n, saved=f"{n}.5000") for n in range(10, 25)),
    ]
    found = report(LakeInMemory({inventory.REPLENISHMENT_PLAN.path: plan})).urgent
    assert found["product_id"].tolist() == [f"P{n}" for n in range(24, 24 - URGENT_COUNT, -1)]
    assert found["reason"].tolist()[0] == "because 24"


def test_while_no_margin_is_known_the_urgent_orders_are_those_that_would_miss_most_units() -> None:
    plan = [_order(n, saved="0.0000") | {"expected_shortage_units": float(n)} for n in range(10, 25)]
    found = report(LakeInMemory({inventory.REPLENISHMENT_PLAN.path: plan})).urgent
    assert found["product_id"].tolist() == [f"P{n}" for n in range(24, 24 - URGENT_COUNT, -1)]


def test_prices_of_sale_lines_are_named() -> None:
    def row(product: str, source: str | None, day: date = DAY) -> dict[str, Any]:
        return {"store_id": "S1", "product_id": product, "business_date": day, "price_source": source}

    days = [row("P3", gold.SALE_LINES, DAY - timedelta(days=1)), row("P1", gold.SALE_LINES), row("P2", None)]
    twice = [row("P1", gold.SALE_LINES) | {"store_id": "S2"}, row("P3", gold.LIST_PRICE)]
    found = report(LakeInMemory({gold.DEMAND_DAILY.path: [*days, *twice]})).notes
    assert [note for note in found if "price" in note] == [
        "no price of 1 of 3 products in prices or list_price: the median of their recent sale lines stands for it"
    ]
    assert not [note for note in report(LakeInMemory({gold.DEMAND_DAILY.path: twice[1:]})).notes if "price" in note]


def _sold(store: str, weekdays: set[int]) -> list[dict[str, Any]]:
    """Twelve products sold on each of the last eight weeks' days of these ISO weekdays."""
    days = [DAY - timedelta(days=n) for n in range(56)]
    line = {"store_id": store, "quantity": Decimal(1)}
    return [
        line | {"business_date": d, "product_id": f"P{n}"}
        for d in days
        if d.isoweekday() in weekdays
        for n in range(12)
    ]


def test_learnt_weekdays_are_named_and_those_of_the_source_are_not() -> None:
    sales = [*_sold("S1", {1, 2, 3, 4, 5}), *_sold("S2", {1, 2, 3, 4, 5, 6, 7}), *_sold("S3", {1, 2, 3, 4, 5, 6})]
    given = {
        gold.DEMAND_DAILY.path: [{"store_id": "S1", "business_date": DAY}],
        gold.FACT_SALES.path: sales,
        silver.STORES.path: [{"store_id": "S3", "opening_weekdays": "123456"}],
    }
    (note,) = [note for note in report(LakeInMemory(given)).notes if "weekdays" in note]
    assert note == (
        "no demand is expected on weekdays that sold nothing for weeks: S1 (Saturday, Sunday); "
        "where a store trades on them, give its opening_weekdays"
    )


def _history_notes(days: int, *, promoted_on: date | None = None) -> list[str]:
    """Of a retailer whose first day is 1 December 2024, a Sunday, and its newest that many days later."""
    version = {"model_version": "v1", "promoted_on": promoted_on, "trained_through_date": date(2024, 12, 29)}
    first = date(2024, 12, 1)
    given = {
        gold.DEMAND_DAILY.path: [{"business_date": first + timedelta(days=n)} for n in (0, days - 1)],
        forecast.MODEL_VERSIONS.path: [version],
    }
    return [note for note in report(LakeInMemory(given)).notes if "Monday" in note]


def test_a_short_history_is_named_with_what_serves_and_the_monday_that_ends_it() -> None:
    (naive,) = _history_notes(20)
    assert naive.startswith("the seasonal naive forecasts: 20 days of history are there")
    assert "from Monday 2024-12-30 on" in naive and naive.endswith("from Monday 2025-02-24 on")
    (trained,) = _history_notes(60, promoted_on=date(2024, 12, 30))
    assert trained.startswith("a model trained on a short history forecasts: 60 days are there")
    (refused,) = _history_notes(60)
    assert refused.startswith("the seasonal naive forecasts: no model trained on the 60 days of history is in force")
    assert _history_notes(86, promoted_on=date(2024, 12, 30)) == []


def test_what_is_switched_off_is_said_and_nothing_else() -> None:
    everything = report(LakeInMemory({}))
    assert len(everything.accuracy) == len(everything.urgent) == len(everything.refused) == 0
    assert everything.notes == (
        "no stock data: orders, stock health, transfers and stock-out correction are switched off",
        "no suppliers: no orders; the replay assumes lead times",
        "no purchase orders: nothing counts as on order, delays are unknown",
        "no customers: dim_customer is empty",
        "no promotions: the forecast knows none",
    )
    some = report(LakeInMemory({"bronze/inventory": [{"store_id": "S1"}], "bronze/customers": [{"region": "N"}]}))
    assert [note.split(":")[0] for note in some.notes] == ["no suppliers", "no purchase orders", "no promotions"]


def _terms_of(*suppliers: str, location: str = "*") -> list[dict[str, Any]]:
    held = {"product_id": "P1", "location_id": location, "source_type": "supplier", "valid_from": entities.ALWAYS}
    return [held | {"source_id": supplier} for supplier in suppliers]


def _weekly(supplier: str, *, location: str = "*", single_day: date = entities.ALWAYS) -> dict[str, Any]:
    return {"source_id": supplier, "location_id": location, "order_date": single_day, "order_weekday": 1}


def _daily_notes(suppliers: Sequence[str], calendar: Sequence[dict[str, Any]], *, planned: bool = True) -> list[str]:
    lake = {
        inventory.REPLENISHMENT_PLAN.path: [_order(1, saved="1.0000")] if planned else [],
        silver.STORES.path: [{"store_id": "S1"}, {"store_id": "S2"}],
        silver.SOURCING.path: _terms_of(*suppliers),
        silver.SUPPLIER_CALENDAR.path: calendar,
    }
    return [note for note in report(LakeInMemory(lake)).notes if "order days" in note]


def test_suppliers_without_order_days_are_named_once_with_their_number() -> None:
    calendar = [_weekly("U1"), _weekly("U2", location="S1"), _weekly("U4", single_day=DAY)]
    assert _daily_notes(["U1", "U2", "U3", "U4"], calendar) == [
        "3 of 4 suppliers without order days for some store or all, where orders are planned for every day: U2, U3, U4"
    ]
    assert _daily_notes(["U1"], calendar) == []


def test_many_suppliers_without_order_days_are_counted() -> None:
    [note] = _daily_notes([f"U{n:02d}" for n in range(NAMED_COUNT + 4)], [_weekly("U00")])
    assert note.startswith(f"{NAMED_COUNT + 3} of {NAMED_COUNT + 4} suppliers without order days")
    assert note.endswith(f", U{NAMED_COUNT:02d} and 3 more")


def test_a_source_without_any_calendar_is_told_once_and_only_where_orders_are_planned() -> None:
    said = ["no order days of any supplier: orders are planned for every day"]
    assert _daily_notes(["U1", "U2"], []) == said
    assert _daily_notes(["U1", "U2"], [], planned=False) == _daily_notes([], []) == []
