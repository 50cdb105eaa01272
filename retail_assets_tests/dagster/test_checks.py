"""Every check with rows that pass and rows that do not, and a failed one that stops what comes after it."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from retail_assets.checks import bronze as bronze_checks
from retail_assets.checks import contract, declare, moved, reconciliation
from retail_assets.checks import forecast as forecast_checks
from retail_assets.checks import gold as gold_checks
from retail_assets.checks import inventory as inventory_checks
from retail_assets.checks import silver as silver_checks
from retail_assets.checks.contract import key_is_unique, unique_keys
from retail_assets.checks.declare import Finding, Rows
from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.graph import registry
from retail_assets.graph.build import build_definitions
from retail_assets.runs.run_tags import range_tags
from retail_assets.settings import Settings
from retail_assets.tables import bronze, entities, forecast, gold, inventory, silver
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms.days import within
from retail_assets.transforms.extraction import ACCEPT_EMPTY_TAG
from retail_assets.windows import Window
from retail_assets_tests.dagster import snapshot
from retail_assets_tests.unit.ibis_frames import frame_of, table_of

DAY = date(2025, 3, 1)
MOMENT = datetime(2025, 3, 2, 4, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
Given = Mapping[Table, Sequence[Mapping[str, Any]]]
# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")


class LakeInMemory:
    """An engine that only scans what a test put in."""

    def __init__(self, given: Given) -> None:
        self._given = {table.path: rows for table, rows in given.items()}

    def scan(self, table: Table, windows: Sequence[Window] | None = None) -> ibis.Table:
        rows = table_of(table, self._given.get(table.path, []))
        return rows if windows is None else within(rows, windows, str(table.partition_column))

    def scan_or_empty(self, table: Table) -> ibis.Table:
        return self.scan(table)

    def cached(self, rows: ibis.Table) -> AbstractContextManager[ibis.Table]:
        raise NotImplementedError

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        raise AssertionError("a check writes nothing")

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        raise AssertionError("a check writes nothing")


def _find(find: Callable[[Rows], Finding], given: Given, windows: Sequence[Window] | None = None) -> Finding:
    return find(Rows(LakeInMemory(given), windows))


LINE = {"business_date": DAY, "sale_line_id": "L1", "store_id": "S1", "product_id": "P1"}
SOLD = LINE | {"quantity": Decimal("2.000"), "unit_price": Decimal("1.5000"), "discount_value": Decimal("0.1000")}
EXTRACTED = {"business_date": DAY, "table_name": "bronze/sales", "row_count": 2, "net_value": Decimal("5.8000")}
COUNT = {"business_date": DAY, "store_id": "S1", "product_id": "P1", "on_hand_units": Decimal(4)}
SEGMENT = {
    "valid_from": DAY,
    "store_id": "S1",
    "product_id": "P1",
    "abc_class": "A",
    "xyz_class": "Z",
    "demand_class": "none",
    "mean_daily_units": 0.0,
    "net_value": Decimal(-1),
}
RAW_PRICES = next(table for table in bronze.SNAPSHOTS if table.name == "prices")
VERSION = {"is_deleted": False, "first_seen_at": MOMENT}
PRICE = VERSION | {"store_id": "*", "product_id": "P1", "valid_from": DAY, "unit_price": Decimal(2)}
RAW_ORDERS = next(table for table in bronze.SNAPSHOTS if table.name == "purchase_orders")
BOUGHT = VERSION | {"purchase_order_id": "O1", "supplier_id": "U1", "store_id": "S1", "product_id": "P1"}
BOUGHT |= {"ordered_date": DAY, "ordered_units": Decimal(1)}
CLOSED = [BOUGHT | {"purchase_order_line_id": f"C{n}", "received_date": DAY} for n in range(980)]
OPEN = [BOUGHT | {"purchase_order_line_id": f"O{n}"} for n in range(20)]
FAULTY = [line | {"ordered_date": None} for line in OPEN]
MENDED = PRICE | {"first_seen_at": MOMENT + timedelta(days=1)}
FACT = SOLD | {"net_value": Decimal("2.9000")}
STAGES: dict[Table, list[dict[str, Any]]] = {
    bronze.EXTRACTED_DAYS: [EXTRACTED],
    bronze.SALES: [SOLD, SOLD | {"sale_line_id": "L2"}],
    silver.SALES: [SOLD],
    silver.REJECTED_ROWS: [
        {"business_date": DAY, "table_name": "bronze/sales", "rule": "duplicate", "net_value": Decimal("2.9000")}
    ],
    gold.FACT_SALES: [FACT],
}
KNOWN = {gold.DIM_STORE: [{"store_id": "S1"}], gold.DIM_PRODUCT: [{"product_id": "P1"}]}
DEMAND = {"business_date": DAY, "sold_units": 2.0, "returned_units": 0.0, "unconstrained_units": 2.5}
PLAN = {"as_of_date": DAY, "order_units": 12.0, "pack_units": 6.0, "reason": "Runs out on Monday."}
QUANTILES = {name: float(number) for number, name in enumerate(forecast.QUANTILE_LEVELS)} | {"mean_units": 3.0}
SCORE = {"segment": "all", "absolute_error_units": 5.0, "naive_absolute_error_units": 5.0}


FORECAST = {
    column.name: {
        pa.string(): "x",
        pa.date32(): DAY,
        pa.int32(): 1,
    }.get(column.type, 0.5)
    for column in forecast.DEMAND_FORECAST.columns
} | {"origin": "live"}


def _forecast(product: str, days: int) -> list[dict[str, Any]]:
    series = {"as_of_date": DAY, "store_id": "S1", "product_id": product}
    return [series | {"target_date": DAY + timedelta(days=n + 1), "mean_units": 1.0} for n in range(days)]


def _total(days: int, units: float) -> list[dict[str, Any]]:
    levels = ({"level": "total", "group_name": "all"}, {"level": "store", "group_name": "S1"})
    made = {"as_of_date": DAY, "mean_units": units}
    return [made | level | {"target_date": DAY + timedelta(days=n + 1)} for level in levels for n in range(days)]


_FEW = silver_checks.refusals_are_few(bronze.SALES, silver.SALES).find
_LOST = silver_checks.nothing_is_lost(bronze.SALES, silver.SALES).find
_FIT = bronze_checks.values_fit(bronze.SALES).find
_ORDERED = forecast_checks.quantiles_are_ordered(forecast.DEMAND_FORECAST).find
_REFUSAL = {
    "business_date": DAY,
    "table_name": "bronze/sales",
    "rule": "duplicate",
    "explanation": "The same row was delivered again.",
    "row_key": "sale_line_id=L1",
    "row_content": "sale_line_id=L1; sale_id=B1; business_date=2025-03-01; customer_id=C1; quantity=2.000; currency=∅",
}
_MISFIT = LINE | {"unparsed": "{}"}

_SALES = reconciliation.sales_reconcile().find
_STOCK = reconciliation.rows_reconcile(bronze.INVENTORY, silver.INVENTORY, gold.FACT_INVENTORY).find
_DISCOUNT = silver_checks.discounts_stay_within_the_value
_REFERENCES = contract.references_exist(gold.FACT_SALES).find
_PRICES = silver_checks.snapshot_refusals_are_few(entities.PRICES, RAW_PRICES, silver.PRICES).find

_BOUGHT = silver_checks.snapshot_refusals_are_few(entities.PURCHASE_ORDERS, RAW_ORDERS, silver.PURCHASE_ORDERS).find

PASSING: list[tuple[str, Callable[[Rows], Finding], Given, str]] = [
    ("misfits at the limit", _FIT, {bronze.SALES: [LINE] * 19 + [_MISFIT]}, "On 0 days more than 5%"),
    ("no rows to misfit", _FIT, {}, "On 0 days"),
    ("all rows arrive", _LOST, {bronze.SALES: [LINE] * 2, silver.SALES: [LINE], silver.REJECTED_ROWS: [_REFUSAL]},
     "2 rows in bronze, 1 taken over, 1 refused."),
    ("few refused", _FEW, {bronze.SALES: [LINE] * 50, silver.REJECTED_ROWS: [_REFUSAL]}, "2.00% of 50 rows"),
    ("other tables' refusals", _FEW,
     {bronze.SALES: [LINE], silver.REJECTED_ROWS: [_REFUSAL | {"table_name": "bronze/inventory"}]}, "0.00% of 1"),
    ("no rows to refuse", _FEW, {}, "0.00% of 0 rows"),
    ("nothing to reconcile", _SALES, {}, "0 days agree: 0 rows taken over, 0 rows refused."),
    ("all stages agree", _SALES, STAGES, 
     "1 days agree: 1 rows worth 2.90 taken over, 1 rows worth 2.90 refused."),
    ("a day read before days were counted", _SALES, STAGES | {bronze.EXTRACTED_DAYS: []}, "1 days agree"),
    ("stock agrees", _STOCK, {bronze.INVENTORY: [COUNT], silver.INVENTORY: [COUNT], gold.FACT_INVENTORY: [COUNT],
     bronze.EXTRACTED_DAYS: [EXTRACTED | {"table_name": "bronze/inventory", "row_count": 1, "net_value": 0}]},
     "1 days agree"),
    ("a discount of the whole value", _DISCOUNT, {silver.SALES: [SOLD | {"discount_value": Decimal(3)}]},
     "0 lines have a discount beyond their value, by 0.00."),
    ("values in order", contract.values_keep_the_contract(gold.PRODUCT_SEGMENTS).find,
     {gold.PRODUCT_SEGMENTS: [SEGMENT]}, "Every value keeps the contract."),
    ("no values", contract.values_keep_the_contract(gold.PRODUCT_SEGMENTS).find, {}, "Every value keeps"),
    ("a rate at its end, as floats are", contract.values_keep_the_contract(forecast.DEMAND_FORECAST).find,
     {forecast.DEMAND_FORECAST: [FORECAST | {"p_zero": 1.0000001}]}, "Every value keeps"),
    ("known references", _REFERENCES, KNOWN | {gold.FACT_SALES: [FACT]}, "Every reference is known."),
    ("nothing to refer to yet", _REFERENCES, {gold.FACT_SALES: [FACT]}, "Every reference is known."),
    ("nothing refused of a snapshot", _PRICES, {RAW_PRICES: [PRICE], silver.PRICES: [PRICE]}, "0.00% of 1 rows"),
    ("open lines without a promised date", _BOUGHT,
     {RAW_ORDERS: CLOSED + OPEN, silver.PURCHASE_ORDERS: CLOSED}, "0.00% of 1000 rows refused"),
    ("a mended fault", _PRICES, {RAW_PRICES: [PRICE | {"unit_price": Decimal(-1)}, MENDED], silver.PRICES: [MENDED]},
     "0.00% of 1 rows"),
    ("report adds up", gold_checks.report_adds_up,
     {gold.FACT_SALES: [FACT, FACT], gold.SALES_SUMMARY: [{"line_count": 2, "net_value": Decimal("5.8000")}]},
     "fact: 2 rows worth 5.80; report: 2 rows worth 5.80."),
    ("no report", gold_checks.report_adds_up, {}, "report: 0 rows worth 0.00."),
    ("units arrive", gold_checks.demand_holds_all_sales, {gold.FACT_SALES: [FACT], gold.DEMAND_DAILY: [DEMAND]},
     "2.000 units in fact_sales, 2.000 in demand_daily."),
    ("demand covers sales", gold_checks.demand_covers_sales,
     {gold.DEMAND_DAILY: [DEMAND, DEMAND | {"unconstrained_units": None}]}, "0 rows have less demand than sales."),
    ("quantiles rise", _ORDERED, {forecast.DEMAND_FORECAST: [QUANTILES]}, "0 rows cross or are negative."),
    ("every day", forecast_checks.every_day_is_forecast,
     {forecast.DEMAND_FORECAST: _forecast("P1", 3) + _forecast("P2", 3)},
     "2 series forecast 3 days ahead, 0 of them not fully."),
    ("levels add up", forecast_checks.levels_add_up,
     {forecast.DEMAND_FORECAST: _forecast("P1", 3) + _forecast("P2", 3), forecast.HIERARCHY_FORECAST: _total(3, 2.0)},
     "0 of 3 days whose total is not the sum of its series."),
    ("no worse than naive", forecast_checks.better_than_naive, {forecast.FORECAST_ACCURACY: [SCORE]},
     "Absolute error 5 units, seasonal naive 5."),
    ("segments are not counted twice", forecast_checks.better_than_naive,
     {forecast.FORECAST_ACCURACY: [SCORE, SCORE | {"segment": "A", "absolute_error_units": 99.0}]},
     "Absolute error 5 units"),
    ("nothing scored", forecast_checks.better_than_naive, {}, "Absolute error 0 units"),
    ("whole packs", inventory_checks.orders_are_packs,
     {inventory.REPLENISHMENT_PLAN: [PLAN, PLAN | {"order_units": 0.3, "pack_units": 0.1}]},
     "0 orders are not whole packs."),
    ("no pack and no order", inventory_checks.orders_are_packs,
     {inventory.REPLENISHMENT_PLAN: [PLAN, PLAN | {"order_units": 0.0, "pack_units": 0.0}]},
     "0 orders are not whole packs."),
    ("reasons", inventory_checks.every_line_says_why,
     {inventory.REPLENISHMENT_PLAN: [PLAN, PLAN | {"order_units": 0.0, "exception": "expedite"}]},
     "0 lines have neither order nor exception."),
]  # fmt: skip
FAILING: list[tuple[str, Callable[[Rows], Finding], Given, str]] = [
    ("misfits beyond the limit", _FIT, {bronze.SALES: [LINE] * 18 + [_MISFIT]}, "On 1 days more than 5%"),
    ("a day of misfits among good ones", _FIT, {bronze.SALES: [LINE] * 90 + [_MISFIT | {"business_date": NEXT}]},
     "On 1 days more than 5% of the rows hold a misfit, the first on 2025-03-02."),
    ("a row lost", _LOST, {bronze.SALES: [LINE] * 2, silver.SALES: [LINE]}, "1 taken over, 0 refused"),
    ("many refused", _FEW, {bronze.SALES: [LINE] * 20, silver.REJECTED_ROWS: [_REFUSAL] * 5}, "25.00% of 20 rows"),
    ("a bad day among good ones", _FEW,
     {bronze.SALES: [LINE] * 900 + [LINE | {"business_date": NEXT}] * 20,
      silver.REJECTED_ROWS: [_REFUSAL | {"business_date": NEXT}] * 5},
     "0.54% of 920 rows refused, at worst 25.00% on 2025-03-02 (warning 2%, stop 20%)."),
    ("a snapshot of nonsense", _PRICES, {RAW_PRICES: [PRICE | {"product_id": f"P{n}", "unit_price": Decimal(n - 9)}
     for n in range(20)], silver.PRICES: [PRICE] * 11}, "45.00% of 20 rows refused (warning 2%, stop 20%)."),
    ("all open lines, two of a hundred in all", _BOUGHT, {RAW_ORDERS: CLOSED + FAULTY, silver.PURCHASE_ORDERS: CLOSED},
     "Of the open lines 100.00% of 20 rows refused (warning 2%, stop 20%)."),
    ("half of the closed lines", _BOUGHT,
     {RAW_ORDERS: [line | {"ordered_date": None} for line in CLOSED[:490]] + CLOSED[490:] + OPEN,
      silver.PURCHASE_ORDERS: OPEN}, "49.00% of 1000 rows refused"),
    ("a row lost before bronze", _SALES, STAGES | {bronze.EXTRACTED_DAYS: [EXTRACTED | {"row_count": 3}]},
     "1 of 1 days do not agree, the worst 2025-03-01: extracted 3 rows worth 5.80, bronze 2 rows worth 5.80"),
    ("a row lost in silver", _SALES, STAGES | {silver.SALES: [], gold.FACT_SALES: []},
     "silver 0 rows, refused 1 rows worth 2.90, fact 0 rows."),
    ("a cent lost in the fact", _SALES, STAGES | {gold.FACT_SALES: [FACT | {"net_value": Decimal("2.8900")}]},
     "the worst 2025-03-01"),
    ("a hundredth of a cent lost", _SALES, STAGES | {gold.FACT_SALES: [FACT | {"net_value": Decimal("2.8999")}]},
     "the worst 2025-03-01"),
    ("a line doubled in bronze", _SALES, STAGES | {bronze.SALES: [SOLD] * 3}, "bronze 3 rows worth 8.70"),
    ("a line doubled in the fact", _SALES, STAGES | {gold.FACT_SALES: [FACT] * 2}, "fact 2 rows worth 5.80."),
    ("a price changed on the way to bronze", _SALES,
     STAGES | {bronze.SALES: [SOLD, SOLD | {"unit_price": Decimal(2)}]}, "bronze 2 rows worth 6.80"),
    ("a price changed in silver", _SALES, STAGES | {silver.SALES: [SOLD | {"unit_price": Decimal(2)}]},
     "silver 1 rows worth 3.90"),
    ("a day that never came to bronze", _SALES,
     STAGES | {bronze.EXTRACTED_DAYS: [EXTRACTED, EXTRACTED | {"business_date": NEXT}]},
     "1 of 2 days do not agree, the worst 2025-03-02"),
    ("a stock count lost", _STOCK, {bronze.INVENTORY: [COUNT], silver.INVENTORY: [COUNT]}, "fact 0 rows"),
    ("values against the contract", contract.values_keep_the_contract(gold.PRODUCT_SEGMENTS).find,
     {gold.PRODUCT_SEGMENTS: [SEGMENT, SEGMENT | {"abc_class": "D", "mean_daily_units": -1.0, "store_id": None}]},
     "store_id is empty in 1 rows; abc_class is not one of A, B, C in 1 rows; mean_daily_units is below 0 in 1 rows."),
    ("a rate beyond its end", contract.values_keep_the_contract(forecast.DEMAND_FORECAST).find,
     {forecast.DEMAND_FORECAST: [FORECAST | {"p_zero": 1.1}]}, "p_zero is above 1 in 1 rows."),
    ("an unknown store", _REFERENCES, KNOWN | {gold.FACT_SALES: [FACT, FACT | {"store_id": "S7"}]},
     "1 values of store_id are not in gold/dim_store, such as S7."),
    ("report lacks a line", gold_checks.report_adds_up,
     {gold.FACT_SALES: [FACT], gold.SALES_SUMMARY: [{"line_count": 0, "net_value": Decimal("2.9000")}]},
     "report: 0 rows worth 2.90."),
    ("units lost", gold_checks.demand_holds_all_sales,
     {gold.FACT_SALES: [FACT], gold.DEMAND_DAILY: [DEMAND | {"returned_units": 0.5}]}, "1.500 in demand_daily."),
    ("less demand than sales", gold_checks.demand_covers_sales,
     {gold.DEMAND_DAILY: [DEMAND | {"unconstrained_units": 1.9}]}, "1 rows have less demand than sales."),
    ("quantiles cross", _ORDERED, {forecast.DEMAND_FORECAST: [QUANTILES | {"q500": 99.0}]}, "1 rows cross"),
    ("a negative quantile", _ORDERED, {forecast.DEMAND_FORECAST: [QUANTILES | {"q025": -0.5}]}, "1 rows cross"),
    ("a negative mean", _ORDERED, {forecast.DEMAND_FORECAST: [QUANTILES | {"mean_units": -1.0}]}, "1 rows cross"),
    ("a day missing", forecast_checks.every_day_is_forecast,
     {forecast.DEMAND_FORECAST: _forecast("P1", 3) + _forecast("P2", 2)}, "3 days ahead, 1 of them not fully."),
    ("a total of its own", forecast_checks.levels_add_up,
     {forecast.DEMAND_FORECAST: _forecast("P1", 3) + _forecast("P2", 3), forecast.HIERARCHY_FORECAST: _total(3, 2.1)},
     "3 of 3 days"),
    ("a day without a total", forecast_checks.levels_add_up,
     {forecast.DEMAND_FORECAST: _forecast("P1", 3), forecast.HIERARCHY_FORECAST: _total(2, 1.0)}, "1 of 3 days"),
    ("no forecast at all", forecast_checks.every_day_is_forecast, {}, "0 series forecast 0 days ahead"),
    ("half a pack", inventory_checks.orders_are_packs,
     {inventory.REPLENISHMENT_PLAN: [PLAN | {"order_units": 9.0}]}, "1 orders are not whole packs."),
    ("an order without a pack", inventory_checks.orders_are_packs,
     {inventory.REPLENISHMENT_PLAN: [PLAN, PLAN | {"pack_units": 0.0}]}, "1 orders are not whole packs."),
    ("no reason", inventory_checks.every_line_says_why,
     {inventory.REPLENISHMENT_PLAN: [PLAN | {"reason": ""}]}, "1 lines have neither"),
    ("a silent zero", inventory_checks.every_line_says_why,
     {inventory.REPLENISHMENT_PLAN: [PLAN | {"order_units": 0.0}]}, "1 lines have neither"),
]  # fmt: skip


@pytest.mark.parametrize(("find", "given", "sentence"), [case[1:] for case in PASSING], ids=[c[0] for c in PASSING])
def test_a_check_passes(find: Callable[[Rows], Finding], given: Given, sentence: str) -> None:
    finding = _find(find, given)
    assert finding.passed and sentence in finding.sentence


@pytest.mark.parametrize(("find", "given", "sentence"), [case[1:] for case in FAILING], ids=[c[0] for c in FAILING])
def test_a_check_fails_says_how_many_and_stops_downstream(
    find: Callable[[Rows], Finding], given: Given, sentence: str
) -> None:
    finding = _find(find, given)
    assert not finding.passed and finding.is_serious and sentence in finding.sentence


def test_a_few_refusals_too_many_are_a_warning() -> None:
    finding = _find(_FEW, {bronze.SALES: [LINE] * 10, silver.REJECTED_ROWS: [_REFUSAL]})
    assert not finding.passed and not finding.is_serious
    assert finding.sentence == "10.00% of 10 rows refused (warning 2%, stop 20%)."


def test_refused_rows_are_shown_by_the_commonest_rule_of_the_worst_day_and_without_the_customer() -> None:
    other = _REFUSAL | {"business_date": NEXT, "rule": "zero_quantity", "explanation": "The quantity is zero."}
    finding = _find(_FEW, {bronze.SALES: [LINE] * 20, silver.REJECTED_ROWS: [*[_REFUSAL] * 4, other]})
    assert finding.examples == (
        "on 2025-03-01 4 rows break duplicate: The same row was delivered again, such as "
        + ", ".join(["(sale_line_id=L1; quantity=2.000)"] * 3)
    )
    assert finding.rows_at == (
        "silver/rejected_rows --where table_name=bronze/sales --where rule=duplicate --where business_date=2025-03-01"
    )


def test_a_newest_day_without_stock_is_a_warning_and_a_stock_that_never_came_is_none() -> None:
    find = bronze_checks.newest_day_arrived(bronze.INVENTORY).find
    late = _find(find, {bronze.INVENTORY: [COUNT]}, [Window(DAY, NEXT)])
    assert not late.passed and not late.is_serious
    assert late.sentence == "No row arrived for 2025-03-02; the newest with rows is 2025-03-01."
    assert _find(find, {bronze.INVENTORY: [COUNT]}, [Window(DAY, DAY)]).passed
    assert _find(find, {}, [Window(DAY, NEXT)]).passed


def _weeks(*, without: Collection[int] = (), last: int, rows: int = 10) -> list[dict[str, Any]]:
    """Movements of the days 0 … `last` from DAY on, a Saturday."""
    days = [day for day in range(last + 1) if day not in without]
    return [COUNT | {"business_date": DAY + timedelta(days=day)} for day in days for _ in range(rows)]


@pytest.mark.parametrize(
    ("given", "newest", "is_late"),
    [
        (_weeks(last=20), 21, True),
        (_weeks(last=18), 21, True),
        (_weeks(last=20, without=[9]), 21, True),
        (_weeks(last=20, without=[3, 9, 11]), 21, False),
        (_weeks(last=21, without=[1, 8, 15]), 22, False),
        (_weeks(last=22, without=[1, 8, 15, 22]), 23, True),
        (_weeks(last=21), 21, False),
        (_weeks(last=20, rows=9), 21, False),
    ],
    ids=["newest", "three", "once", "sparse", "Sundays", "Monday after Sundays", "there", "few"],
)
def test_a_day_without_rows_is_late_only_where_such_days_have_rows(given, newest, is_late) -> None:
    find = bronze_checks.STOCK_MOVEMENTS_ARRIVED.find
    of_the_night = [Window(DAY + timedelta(days=newest - 2), DAY + timedelta(days=newest))]
    assert _find(find, {bronze.STOCK_MOVEMENTS: given}, of_the_night).passed is not is_late


def test_a_forecast_worse_than_the_naive_is_a_warning() -> None:
    worse = SCORE | {"absolute_error_units": 6.0}
    finding = _find(forecast_checks.better_than_naive, {forecast.FORECAST_ACCURACY: [worse]})
    assert not finding.passed and not finding.is_serious


def test_a_day_without_sales_is_a_warning_and_other_days_are_not_looked_at() -> None:
    given = {bronze.SALES: [LINE, LINE | {"business_date": DAY + timedelta(days=9)}]}
    complete = _find(bronze_checks.sales_arrived, given, [Window(DAY, DAY)])
    assert complete.passed and complete.sentence == "Sales arrived for 1 of 1 days."
    gap = _find(bronze_checks.sales_arrived, given, [Window(DAY, NEXT)])
    assert not gap.passed and not gap.is_serious and gap.sentence == "Sales arrived for 1 of 2 days."


_KEYED = [t for t in (*silver.TABLES, *gold.TABLES, *forecast.TABLES, *inventory.TABLES) if t.key]


@pytest.mark.parametrize("table", _KEYED, ids=lambda table: table.path)
def test_a_repeated_key_fails_and_keys_that_differ_in_one_part_pass(table: Table) -> None:
    """Rows of nothing but the key, so that a missing part of it would be seen."""
    values = {pa.string(): ("a", "b"), pa.date32(): (DAY, NEXT), pa.int32(): (1, 2)}
    values[pa.timestamp("us", tz="UTC")] = (MOMENT, MOMENT + timedelta(hours=1))
    values[pa.float64()] = (0.9, 0.95)
    types = {column.name: column.type for column in table.columns}
    row = {name: values[types[name]][0] for name in table.key}
    others = [row | {name: values[types[name]][1]} for name in table.key]
    check = key_is_unique(table).find
    assert _find(check, {table: [row, *others]}).passed
    repeated = _find(check, {table: [row, *others, row]})
    assert not repeated.passed and repeated.sentence == f"1 keys ({', '.join(table.key)}) occur more than once."


def test_keys_are_only_asked_of_tables_that_have_one() -> None:
    assert (
        unique_keys(silver.REJECTED_ROWS, silver.SALES) == []
        or len(unique_keys(silver.REJECTED_ROWS, silver.SALES)) == 1
    )
    assert [check.table for check in unique_keys(silver.REJECTED_ROWS, silver.SALES)] == [silver.SALES]


def test_every_check_blocks_and_every_table_with_a_key_is_asked_for_it() -> None:
    specs = [spec for checks in registry.CHECKS for spec in checks.check_specs]
    assert specs and all(spec.blocking for spec in specs)
    asked = {"/".join(spec.asset_key.path) for spec in specs if spec.name == "key_is_unique"}
    unasked = {table.path for table in _KEYED} - asked
    assert unasked == {silver.OPEN_ORDERS.path}, "made from the newest purchase orders, whose key is asked"


def test_the_days_are_shown_with_the_worst_first_and_no_more_than_a_month() -> None:
    days = [DAY + timedelta(days=n) for n in range(40)]
    held = [EXTRACTED | {"business_date": day, "row_count": 1, "net_value": Decimal("2.9000")} for day in days]
    sold = [SOLD | {"business_date": day} for day in days]
    facts = [FACT | {"business_date": day} for day in days]
    cheaper = {days[3]: Decimal("0.9000"), days[7]: Decimal("2.8999")}
    changed = [line | {"net_value": cheaper.get(line["business_date"], line["net_value"])} for line in facts]
    given = {bronze.EXTRACTED_DAYS: held, bronze.SALES: sold, silver.SALES: sold, gold.FACT_SALES: changed}
    finding = _find(_SALES, given)
    assert finding.sentence.startswith("2 of 40 days do not agree, the worst 2025-03-04: extracted 1 rows worth 2.90")
    lines = finding.shown["days"].splitlines()
    assert len(lines) == 2 + 31
    assert lines[2] == ("| 2025-03-04 | 1 | 2.90 | 1 | 2.90 | 1 | 2.90 | 0 | 0.00 | 1 | 0.90 | **no** |")
    assert [line[2:12] for line in lines[2:6]] == ["2025-03-04", "2025-03-08", str(days[-1]), str(days[-2])]
    assert {line.count("|") for line in lines} == {13}


def test_a_discount_beyond_the_value_is_a_warning() -> None:
    beyond = SOLD | {"discount_value": Decimal("3.2500")}
    finding = _find(_DISCOUNT, {silver.SALES: [SOLD, beyond, beyond | {"quantity": Decimal(-2)}]})
    assert not finding.passed and not finding.is_serious
    assert finding.sentence == "2 lines have a discount beyond their value, by 0.50, the last on 2025-03-01."


_KNOWN_LISTS = {silver.STORES: [VERSION | {"store_id": "S1"}], silver.PRODUCTS: [VERSION | {"product_id": "P1"}]}
_OF_PRICES = silver_checks.snapshot_references_are_known(entities.PRICES, silver.PRICES).find
_OF_SOURCING = silver_checks.snapshot_references_are_known(entities.SOURCING, silver.SOURCING).find


def test_snapshot_rows_about_what_is_not_known_are_a_warning_from_a_share_on() -> None:
    others = [PRICE | {"valid_from": DAY + timedelta(days=n)} for n in range(1, 99)]
    lost = [PRICE | {"store_id": "S9"}, PRICE | {"product_id": "P9"}, PRICE | {"product_id": "P8"}]
    few = _find(_OF_PRICES, _KNOWN_LISTS | {silver.PRICES: [*others, *lost[:2]]})
    assert few.passed and few.sentence == (
        "Of 100 rows these are not known: 1 store_id (such as S9), 1 product_id (such as P9) (warning 2%)."
    )
    many = _find(_OF_PRICES, _KNOWN_LISTS | {silver.PRICES: [*others[:20], *lost]})
    assert not many.passed and not many.is_serious and "2 product_id (such as P8)" in many.sentence


def test_nothing_is_compared_with_a_list_that_has_no_rows_or_with_rows_that_are_gone() -> None:
    none = "rows these are not known: none (warning 2%)."
    unlisted = _find(_OF_PRICES, {silver.PRICES: [PRICE | {"store_id": "S9"}]})
    assert unlisted.passed and none in unlisted.sentence
    gone = PRICE | {"product_id": "P9", "is_deleted": True}
    assert _find(_OF_PRICES, _KNOWN_LISTS | {silver.PRICES: [PRICE, gone]}).sentence == f"Of 1 {none}"
    assert _find(_OF_PRICES, _KNOWN_LISTS).passed


def test_a_distribution_centre_is_known_by_its_own_row_of_sourcing() -> None:
    suppliers = {silver.SUPPLIERS: [VERSION | {"supplier_id": "U1"}]}
    terms = VERSION | {"product_id": "P1", "location_id": "*", "valid_from": DAY}
    of_both = [terms | {"source_id": "U1", "source_type": "supplier"}, terms | {"source_id": "D", "source_type": "dc"}]
    assert _find(_OF_SOURCING, _KNOWN_LISTS | suppliers | {silver.SOURCING: of_both}).passed
    unknown = [terms | {"source_id": "U2", "source_type": "supplier"}]
    assert not _find(_OF_SOURCING, _KNOWN_LISTS | suppliers | {silver.SOURCING: unknown}).passed


def test_days_kept_because_they_came_empty_are_a_warning() -> None:
    find = bronze_checks.days_did_not_come_empty(bronze.SALES).find
    of_stock = EXTRACTED | {"table_name": "bronze/inventory", "kept_at": MOMENT}
    sound = _find(find, {bronze.EXTRACTED_DAYS: [EXTRACTED, of_stock]}, [Window(DAY, NEXT)])
    assert sound.passed and sound.sentence == "No day with stored rows came empty."
    kept = [EXTRACTED | {"kept_at": MOMENT}, EXTRACTED | {"kept_at": MOMENT, "business_date": NEXT}]
    finding = _find(find, {bronze.EXTRACTED_DAYS: kept}, [Window(DAY, NEXT)])
    assert not finding.passed and not finding.is_serious
    assert finding.sentence == (
        "The source gives no row any more of 2 days of bronze/sales (2025-03-01, 2025-03-02); what is stored was kept. "
        "If they are to be empty: retail-assets run --again --accept-empty for these days, or the run tag "
        "retail/accept-empty=true."
    )
    assert finding.listed == {"kept_days": {"days": ["2025-03-01", "2025-03-02"]}}


READ_BEFORE = MOMENT - timedelta(days=3)
OLD = SOLD | {"business_date": DAY - timedelta(days=9), "extracted_at": READ_BEFORE}
_MOVED = moved.lines_are_on_one_day().find
_WRITTEN = [Window(DAY, NEXT)]


def test_a_line_that_moved_to_a_written_day_names_the_day_it_was_on_and_warns() -> None:
    there = SOLD | {"extracted_at": MOMENT}
    other = {"sale_line_id": "L2"}
    lines = [there, OLD, there | other, OLD | other | {"business_date": DAY - timedelta(days=2)}]
    finding = _find(_MOVED, {silver.SALES: [*lines, OLD | {"sale_line_id": "L3"}]}, _WRITTEN)
    assert not finding.passed and not finding.is_serious
    assert finding.sentence == "2 lines also lie on 2 days that were read earlier (2025-02-20, 2025-02-27)."
    assert finding.figures == {"lines": 2, "days": 2}
    assert finding.listed[moved.OLDER_DAYS] == {
        "2025-02-20": {"lines": 1, "first": "L1", "last": "L1"},
        "2025-02-27": {"lines": 1, "first": "L2", "last": "L2"},
    }


@pytest.mark.parametrize(
    "old",
    [
        OLD | {"store_id": "S2"},
        OLD | {"product_id": "P2"},
        OLD | {"extracted_at": MOMENT},
        OLD | {"extracted_at": MOMENT + timedelta(hours=1)},
        OLD | {"business_date": DAY - timedelta(days=93)},
    ],
    ids=["another store", "another product", "read together", "read later", "long ago"],
)
def test_a_line_number_that_is_used_again_or_was_read_again_did_not_move(old: dict[str, Any]) -> None:
    finding = _find(_MOVED, {silver.SALES: [SOLD | {"extracted_at": MOMENT}, old]}, [Window(DAY, DAY)])
    assert finding.passed and finding.sentence == "0 lines also lie on 0 days that were read earlier."
    assert finding.listed[moved.OLDER_DAYS] == {}


def test_months_that_one_run_read_one_after_the_other_are_not_compared() -> None:
    february = SOLD | {"business_date": DAY - timedelta(days=9), "extracted_at": MOMENT - timedelta(hours=3)}
    given = {silver.SALES: [SOLD | {"extracted_at": MOMENT}, february]}
    assert _find(_MOVED, given, [Window(DAY - timedelta(days=9), DAY)]).passed
    assert not _find(_MOVED, given, [Window(DAY, DAY)]).passed


def test_days_that_were_not_written_are_not_looked_at() -> None:
    stored = [SOLD | {"extracted_at": MOMENT}, OLD]
    assert _find(_MOVED, {silver.SALES: stored}, [Window(NEXT, NEXT)]).passed
    assert _find(_MOVED, {silver.SALES: stored}).passed, "a run without partitions wrote no day"


def test_a_line_that_moved_within_a_long_range_is_found_and_no_more_than_a_month_of_days_is_named() -> None:
    days = [DAY - timedelta(days=n) for n in range(40)]
    old = [OLD | {"business_date": day, "sale_line_id": str(day)} for day in days]
    new = [line | {"business_date": NEXT, "extracted_at": MOMENT} for line in old]
    finding = _find(_MOVED, {silver.SALES: [*old, *new]}, [Window(days[-1], NEXT)])
    assert finding.figures == {"lines": 40, "days": 40} and finding.sentence.endswith("2025-02-20 …).")
    assert list(finding.listed[moved.OLDER_DAYS]) == [str(day) for day in sorted(days)[:31]]


_SEGMENTS = contract.values_keep_the_contract(gold.PRODUCT_SEGMENTS)
_SEGMENT_KEY = {"valid_from": DAY, "store_id": "S1", "product_id": "P1"}
_CUSTOMER = {"customer_id": "C1", "valid_from": DAY, "is_current": True, "is_reconstructed": False}


def test_broken_values_show_a_few_rows_with_key_fault_and_value_and_every_fault_among_them() -> None:
    worse = [SEGMENT | {"product_id": f"P{n}", "abc_class": "D"} for n in range(7)]
    finding = _find(_SEGMENTS.find, {gold.PRODUCT_SEGMENTS: [*worse, SEGMENT | {"mean_daily_units": -1.0}]})
    assert finding.failing == [
        _SEGMENT_KEY | {"product_id": "P0", "fault": "abc_class is not one of A, B, C", "value": "D"},
        _SEGMENT_KEY | {"fault": "mean_daily_units is below 0", "value": -1.0},
        *(
            _SEGMENT_KEY | {"product_id": f"P{n}", "fault": "abc_class is not one of A, B, C", "value": "D"}
            for n in range(1, 4)
        ),
    ]


def test_repeated_keys_show_the_keys_and_how_often_they_occur() -> None:
    finding = _find(key_is_unique(gold.PRODUCT_SEGMENTS).find, {gold.PRODUCT_SEGMENTS: [SEGMENT] * 3})
    assert finding.failing == [_SEGMENT_KEY | {"copies": 3}]


def test_unknown_references_show_the_rows_that_name_them() -> None:
    strange = FACT | {"sale_line_id": "L7", "store_id": "S7"}
    finding = _find(_REFERENCES, KNOWN | {gold.FACT_SALES: [FACT, strange]})
    assert finding.failing == [
        {"business_date": DAY, "sale_line_id": "L7", "fault": "store_id is not in gold/dim_store", "value": "S7"}
    ]


@pytest.mark.parametrize(
    ("find", "given", "shown"),
    [
        (
            gold_checks.demand_covers_sales,
            {gold.DEMAND_DAILY: [DEMAND | {"store_id": "S1", "product_id": "P1", "unconstrained_units": 1.9}]},
            {
                "business_date": DAY,
                "store_id": "S1",
                "product_id": "P1",
                "sold_units": 2.0,
                "unconstrained_units": 1.9,
            },
        ),
        (
            inventory_checks.orders_are_packs,
            {inventory.REPLENISHMENT_PLAN: [PLAN | {"order_units": 9.0}]},
            {"order_units": 9.0, "pack_units": 6.0},
        ),
        (
            inventory_checks.every_line_says_why,
            {inventory.REPLENISHMENT_PLAN: [PLAN | {"order_units": 0.0}]},
            {"order_units": 0.0, "exception": None, "reason": "Runs out on Monday."},
        ),
        (_ORDERED, {forecast.DEMAND_FORECAST: [QUANTILES | {"q025": -0.5}]}, {"q025": -0.5, "mean_units": 3.0}),
    ],
    ids=["demand", "packs", "reasons", "quantiles"],
)
def test_a_check_of_rows_shows_the_values_it_refuses(
    find: Callable[[Rows], Finding], given: Given, shown: dict[str, Any]
) -> None:
    [row] = _find(find, given).failing
    assert shown.items() <= row.items()


def test_a_sound_table_shows_no_rows() -> None:
    assert _find(_SEGMENTS.find, {gold.PRODUCT_SEGMENTS: [SEGMENT]}).failing == []
    assert _find(key_is_unique(gold.PRODUCT_SEGMENTS).find, {gold.PRODUCT_SEGMENTS: [SEGMENT]}).failing == ()


def test_no_check_shows_who_a_customer_is() -> None:
    customers = {gold.DIM_CUSTOMER: [_CUSTOMER, _CUSTOMER]}
    twice = _find(key_is_unique(gold.DIM_CUSTOMER).find, customers)
    assert twice.failing == [{"valid_from": DAY, "copies": 2}] and twice.examples == f"valid_from={DAY}"
    nobody = {gold.DIM_CUSTOMER: [_CUSTOMER | {"is_current": None}]}
    [row] = _find(contract.values_keep_the_contract(gold.DIM_CUSTOMER).find, nobody).failing
    assert row == {"valid_from": DAY, "fault": "is_current is empty", "value": None}
    personal = replace(gold.PRODUCT_SEGMENTS, personal=("abc_class",))
    [row] = _find(
        contract.values_keep_the_contract(personal).find, {personal: [SEGMENT | {"abc_class": "Anna"}]}
    ).failing
    assert row["value"] is None and "Anna" not in str(row)


def test_failing_rows_reach_the_metadata_of_the_check() -> None:
    finding = _find(key_is_unique(gold.PRODUCT_SEGMENTS).find, {gold.PRODUCT_SEGMENTS: [SEGMENT] * 2})
    shown = declare._result(key_is_unique(gold.PRODUCT_SEGMENTS), finding).metadata["failing rows"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [dict(record.data) for record in shown.records] == [
        {"valid_from": str(DAY), "store_id": "S1", "product_id": "P1", "copies": "2"}
    ]


def test_refused_rows_are_counted_by_rule() -> None:
    refusals = [_REFUSAL, _REFUSAL, _REFUSAL | {"rule": "zero_quantity"}]
    finding = _find(_FEW, {bronze.SALES: [LINE] * 3, silver.REJECTED_ROWS: refusals})
    assert finding.shown["rules"].splitlines()[2:] == ["| duplicate | 2 |", "| zero_quantity | 1 |"]
    assert not finding.is_serious, "a day of three rows stops nothing"


def test_every_table_of_silver_says_how_many_refusals_are_too_many() -> None:
    validated = [*silver.SNAPSHOTS, silver.SALES, silver.INVENTORY, silver.STOCK_MOVEMENTS]
    assert all(table.quality and 0 < table.quality.warn_rate < table.quality.stop_rate < 1 for table in validated)
    with pytest.raises(ValueError, match="gold/fact_sales does not say how many refused rows are too many"):
        silver_checks.refusals_are_few(bronze.SALES, gold.FACT_SALES)


class FakeSource:
    """A source that gives the same sale lines every day, or what a test says of a day."""

    def __init__(self, lines: Mapping[date, Sequence[Mapping[str, Any]]]) -> None:
        self._lines = lines
        self.read_at = MOMENT + timedelta(days=7)

    def available(self, entity: Entity) -> bool:
        return entity.name == "sales"

    def refuse_lost_rows(self, entity: Entity, day: date) -> None:
        """Its queries lose nothing."""

    def read_days(self, entity: Entity, start: date, end: date) -> pa.RecordBatchReader:
        table = next(table for table in bronze.DAILY if table.name == entity.name)
        if entity.name != "sales":
            return frame_of(table, []).to_reader()
        days = Window(start, end).days()
        read = {"extracted_at": self.read_at}
        rows = [line | read | {"business_date": day} for day in days for line in self._lines.get(day, _lines())]
        return frame_of(table, rows).to_reader()


def _lines(count: int = 20, *, wrong: int = 0, **fault: Any) -> list[dict[str, Any]]:
    return [SOLD | {"sale_line_id": str(n)} | (fault if n < wrong else {}) for n in range(count)]


class House:
    """The real definitions, engine and writer over a lake in a folder, with a fake source."""

    def __init__(self, home: Path, lines: dict[date, list[dict[str, Any]]], tables: Sequence[Table]) -> None:
        self.lines = lines
        settings = Settings(_env_file=None, home=home, start_date=snapshot.START)  # pyright: ignore[reportCallIssue]
        self.source = FakeSource(lines)
        built = build_definitions(settings, overrides={"source": self.source})
        self.engine = (built.resources or {})["engine"]
        self._fill(silver.STORES, {"store_id": "S1", "store_name": "A"})
        self._fill(silver.PRODUCTS, {"product_id": "P1", "product_name": "P"})
        chosen = dg.AssetSelection.assets(*(t.asset_key for t in tables))
        job = dg.define_asset_job("some", chosen, executor_def=dg.in_process_executor)
        self.job = dg.Definitions.merge(built, dg.Definitions(jobs=[job])).resolve_job_def("some")

    def _fill(self, table: Table, row: dict[str, Any]) -> None:
        self.engine.overwrite(table, frame_of(table, [VERSION | row]))

    def run(self, days: Window, **tags: str) -> dg.ExecuteInProcessResult:
        one = len(days) == 1
        with dg.DagsterInstance.ephemeral() as instance:
            return self.job.execute_in_process(
                partition_key=str(days.first) if one else None,
                tags=({} if one else range_tags(days)) | tags,
                instance=instance,
                raise_on_error=False,
            )

    def days_of(self, table: Table) -> list[str]:
        """Business dates of a table, read by delta-rs."""
        found = DeltaTable(self.engine.lake.table_uri(table)).to_pyarrow_table(columns=["business_date"])
        return sorted({str(day) for day in found.column("business_date").to_pylist()})


_LAYERS = (*bronze.DAILY, bronze.EXTRACTED_DAYS, *silver.DAILY)


def _run(home: Path, misfits: int) -> dg.ExecuteInProcessResult:
    """Bronze and silver of one day with their checks."""
    house = House(home, {DAY: _lines(wrong=misfits, unparsed="{}")}, _LAYERS)
    with closing(house.engine):
        return house.run(Window(DAY, DAY))


def _made(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {"/".join(event.asset_key.path) for event in events if event.asset_key}


def test_a_day_of_misfits_stops_before_silver(tmp_path: Path) -> None:
    result = _run(tmp_path, misfits=4)
    assert not result.success
    assert _made(result) == {table.path for table in (*bronze.DAILY, bronze.EXTRACTED_DAYS)}
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [
        ("values_fit_their_types", dg.AssetCheckSeverity.ERROR)
    ]
    assert failed[0].description == "On 1 days more than 5% of the rows hold a misfit, the first on 2025-03-01."


def test_a_day_with_one_misfit_goes_on_with_a_warning(tmp_path: Path) -> None:
    result = _run(tmp_path, misfits=1)
    assert result.success
    assert _made(result) == {table.path for table in _LAYERS}
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [
        ("refusals_are_few", dg.AssetCheckSeverity.WARN)
    ]


THREE_DAYS = [DAY + timedelta(days=n) for n in range(3)]
_TO_GOLD = (*_LAYERS, gold.FACT_SALES)


def test_a_bad_day_of_three_stops_before_gold_and_the_others_arrive(tmp_path: Path) -> None:
    house = House(tmp_path, {THREE_DAYS[1]: _lines(wrong=6, product_id="P9")}, _TO_GOLD)
    with closing(house.engine):
        results = [house.run(Window(day, day)) for day in THREE_DAYS]
        assert [result.success for result in results] == [True, False, True]
        assert house.days_of(silver.SALES) == [str(day) for day in THREE_DAYS], "kept to be looked at"
        assert house.days_of(gold.FACT_SALES) == [str(THREE_DAYS[0]), str(THREE_DAYS[2])]
        failed = [check for check in results[1].get_asset_check_evaluations() if not check.passed]
        assert [(check.check_name, check.severity.value) for check in failed] == [("refusals_are_few", "ERROR")]
        assert failed[0].description == (
            "30.00% of 20 rows refused, at worst 30.00% on 2025-03-02 (warning 2%, stop 20%)."
        )
        shown = failed[0].metadata["rules"]
        assert isinstance(shown, dg.MarkdownMetadataValue) and "| unknown_product | 6 |" in (shown.md_str or "")


def test_a_bad_day_stops_the_range_it_is_in(tmp_path: Path) -> None:
    house = House(tmp_path, {THREE_DAYS[1]: _lines(wrong=6, product_id="P9")}, _TO_GOLD)
    with closing(house.engine):
        result = house.run(Window(THREE_DAYS[0], THREE_DAYS[2]))
        assert not result.success and "gold/fact_sales" not in _made(result)
        [failed] = [check for check in result.get_asset_check_evaluations() if not check.passed]
        assert "at worst 30.00% on 2025-03-02" in str(failed.description)
        house.lines[THREE_DAYS[1]] = _lines()
        assert house.run(Window(THREE_DAYS[0], THREE_DAYS[2])).success, "mended, the same range arrives"
        assert house.days_of(gold.FACT_SALES) == [str(day) for day in THREE_DAYS]


def test_what_the_source_no_longer_has_is_gone_after_the_day_is_read_again(tmp_path: Path) -> None:
    house = House(tmp_path, {}, _TO_GOLD)
    with closing(house.engine):
        assert house.run(Window(THREE_DAYS[0], THREE_DAYS[2])).success
        house.lines[THREE_DAYS[1]] = _lines(5)
        result = house.run(Window(THREE_DAYS[1], THREE_DAYS[1]))
        assert result.success
        held = DeltaTable(house.engine.lake.table_uri(gold.FACT_SALES)).to_pyarrow_table(columns=["business_date"])
        counts = Counter(held.column("business_date").to_pylist())
        assert counts == {THREE_DAYS[0]: 20, THREE_DAYS[1]: 5, THREE_DAYS[2]: 20}


_EMPTIED = {day: [] for day in THREE_DAYS[:2]}


def _warnings(result: dg.ExecuteInProcessResult) -> dict[str, str | None]:
    return {c.check_name: c.description for c in result.get_asset_check_evaluations() if not c.passed}


def test_stored_days_that_come_empty_are_kept_through_every_layer_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    others = [line | {"sale_line_id": f"third {line['sale_line_id']}"} for line in _lines()]
    house = House(tmp_path, {THREE_DAYS[2]: others}, _TO_GOLD)
    with closing(house.engine):
        assert house.run(Window(THREE_DAYS[0], THREE_DAYS[2])).success
        house.lines |= _EMPTIED
        house.source.read_at += timedelta(days=1)
        result = house.run(Window(THREE_DAYS[0], THREE_DAYS[2]))
        assert result.success and set(_warnings(result)) == {"days_did_not_come_empty"}
        named = "2 days of bronze/sales (2025-03-01, 2025-03-02); what is stored was kept."
        assert named in str(_warnings(result)["days_did_not_come_empty"])
        assert [line for line in capfd.readouterr().err.splitlines() if "WARNING" in line and named in line]
        for table in (bronze.SALES, silver.SALES, gold.FACT_SALES):
            assert house.days_of(table) == [str(day) for day in THREE_DAYS]
        counted = DeltaTable(house.engine.lake.table_uri(bronze.EXTRACTED_DAYS)).to_pyarrow_table().to_pylist()
        of_sales = sorted((r for r in counted if r["table_name"] == "bronze/sales"), key=lambda r: r["business_date"])
        first_read = MOMENT + timedelta(days=7)
        assert [(r["row_count"], r["extracted_at"] == first_read, bool(r["kept_at"])) for r in of_sales] == [
            (20, True, True),
            (20, True, True),
            (20, False, False),
        ]


def test_a_run_that_accepts_it_empties_the_days(tmp_path: Path) -> None:
    house = House(tmp_path, {}, _TO_GOLD)
    with closing(house.engine):
        assert house.run(Window(THREE_DAYS[0], THREE_DAYS[2])).success
        house.lines |= _EMPTIED
        assert house.run(Window(THREE_DAYS[0], THREE_DAYS[0])).success
        result = house.run(Window(THREE_DAYS[0], THREE_DAYS[2]), **{ACCEPT_EMPTY_TAG: "true"})
        assert result.success and set(_warnings(result)) == {"sales_arrived"}
        assert house.days_of(gold.FACT_SALES) == house.days_of(bronze.SALES) == [str(THREE_DAYS[2])]


def test_a_day_that_is_empty_when_it_is_first_read_stays_so_and_may_fill_later(tmp_path: Path) -> None:
    house = House(tmp_path, {THREE_DAYS[0]: []}, _TO_GOLD)
    with closing(house.engine):
        result = house.run(Window(THREE_DAYS[0], THREE_DAYS[1]))
        assert result.success and set(_warnings(result)) == {"sales_arrived"}
        assert house.days_of(silver.SALES) == [str(THREE_DAYS[1])]
        house.lines[THREE_DAYS[0]] = _lines(3)
        assert not _warnings(house.run(Window(THREE_DAYS[0], THREE_DAYS[1])))


def test_an_entity_that_the_mapping_no_longer_binds_is_emptied(tmp_path: Path) -> None:
    house = House(tmp_path, {}, _LAYERS)
    with closing(house.engine):
        stock = COUNT | {"extracted_at": MOMENT}
        house.engine.overwrite_window(bronze.INVENTORY, frame_of(bronze.INVENTORY, [stock]), Window(DAY, DAY))
        assert house.run(Window(DAY, DAY)).success
        assert house.days_of(bronze.INVENTORY) == []


def test_days_kept_singly_and_in_a_range_are_the_same(tmp_path: Path) -> None:
    held = []
    for name, runs in (("range", [(0, 2)]), ("singly", [(2, 2), (0, 0), (1, 1), (0, 0)])):
        house = House(tmp_path / name, {}, _TO_GOLD)
        with closing(house.engine):
            assert house.run(Window(THREE_DAYS[0], THREE_DAYS[2])).success
            house.lines |= _EMPTIED
            for first, last in runs:
                assert house.run(Window(THREE_DAYS[first], THREE_DAYS[last])).success
            tables = (*bronze.DAILY, *silver.DAILY, gold.FACT_SALES)
            found = [DeltaTable(house.engine.lake.table_uri(table)) for table in tables]
            held.append([[pq.read_table(file, partitioning=None) for file in sorted(d.file_uris())] for d in found])
    assert held[0] == held[1]


def test_a_line_that_moved_is_warned_of_and_gone_when_its_old_day_is_read_again(tmp_path: Path) -> None:
    house = House(tmp_path, {THREE_DAYS[0]: _lines(2), THREE_DAYS[2]: []}, _TO_GOLD)
    with closing(house.engine):
        house.source.read_at = MOMENT
        assert house.run(Window(THREE_DAYS[0], THREE_DAYS[0])).success
        line = _lines(2)[1]
        house.lines |= {THREE_DAYS[0]: _lines(1), THREE_DAYS[1]: [], THREE_DAYS[2]: [line]}
        house.source.read_at = MOMENT + timedelta(days=2)
        result = house.run(Window(THREE_DAYS[1], THREE_DAYS[2]))
        assert result.success, "nothing stops"
        [found] = [check for check in result.get_asset_check_evaluations() if check.check_name == moved.CHECK_NAME]
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        older = found.metadata[moved.OLDER_DAYS]
        assert isinstance(older, dg.JsonMetadataValue)
        assert older.data == {str(THREE_DAYS[0]): {"lines": 1, "first": "1", "last": "1"}}
        house.source.read_at = MOMENT + timedelta(days=3)
        healed = house.run(Window(THREE_DAYS[0], THREE_DAYS[0]))
        assert all(
            check.passed for check in healed.get_asset_check_evaluations() if check.check_name == moved.CHECK_NAME
        )
        held = DeltaTable(house.engine.lake.table_uri(gold.FACT_SALES)).to_pyarrow_table()
        where = sorted(zip(held["sale_line_id"].to_pylist(), held["business_date"].to_pylist(), strict=True))
        assert where == [("0", THREE_DAYS[0]), ("1", THREE_DAYS[2])]


def test_the_reconciliation_of_a_run_is_shown_day_by_day(tmp_path: Path) -> None:
    house = House(tmp_path, {THREE_DAYS[1]: _lines(wrong=1, quantity=Decimal(0))}, _TO_GOLD)
    with closing(house.engine):
        result = house.run(Window(THREE_DAYS[0], THREE_DAYS[2]))
        found = {check.check_name: check for check in result.get_asset_check_evaluations()}
        shown = found["every_day_reconciles"].metadata["days"]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        assert (shown.md_str or "").splitlines()[3] == (
            "| 2025-03-02 | 20 | 55.00 | 20 | 55.00 | 19 | 55.10 | 1 | -0.10 | 19 | 55.10 | yes |"
        )
