"""Every check with rows that pass and rows that do not, and a failed one that stops what comes after it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pyarrow as pa
import pytest

from retail_assets import registry
from retail_assets.build import build_definitions
from retail_assets.checks import bronze as bronze_checks
from retail_assets.checks import forecast as forecast_checks
from retail_assets.checks import gold as gold_checks
from retail_assets.checks import inventory as inventory_checks
from retail_assets.checks import silver as silver_checks
from retail_assets.checks.contract import key_is_unique, unique_keys
from retail_assets.checks.declare import Finding, Rows
from retail_assets.engines.protocol import Frame, WriteResult
from retail_assets.settings import Settings
from retail_assets.tables import bronze, forecast, gold, inventory, silver
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms.days import within
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

    def kept(self, rows: ibis.Table) -> AbstractContextManager[ibis.Table]:
        raise NotImplementedError

    def overwrite_window(self, table: Table, frame: Frame, window: Window) -> WriteResult:
        raise AssertionError("a check writes nothing")

    def overwrite(self, table: Table, frame: Frame) -> WriteResult:
        raise AssertionError("a check writes nothing")


def _find(find: Callable[[Rows], Finding], given: Given, windows: Sequence[Window] | None = None) -> Finding:
    return find(Rows(LakeInMemory(given), windows))


LINE = {"business_date": DAY, "sale_line_id": "L1", "store_id": "S1", "product_id": "P1"}
SOLD = LINE | {"quantity": Decimal("2.000"), "unit_price": Decimal("1.5000"), "discount_value": Decimal("0.1000")}
FACT = SOLD | {"net_value": Decimal("2.9000")}
DEMAND = {"business_date": DAY, "sold_units": 2.0, "returned_units": 0.0, "unconstrained_units": 2.5}
PLAN = {"as_of_date": DAY, "order_units": 12.0, "pack_units": 6.0, "reason": "Runs out on Monday."}
QUANTILES = {name: float(number) for number, name in enumerate(forecast.QUANTILE_LEVELS)} | {"mean_units": 3.0}
SCORE = {"segment": "all", "absolute_error_units": 5.0, "naive_absolute_error_units": 5.0}


def _forecast(product: str, days: int) -> list[dict[str, Any]]:
    series = {"as_of_date": DAY, "store_id": "S1", "product_id": product}
    return [series | {"target_date": DAY + timedelta(days=n + 1)} for n in range(days)]


_FEW = silver_checks.refusals_are_few(bronze.SALES, silver.SALES).find
_LOST = silver_checks.nothing_is_lost(bronze.SALES, silver.SALES).find
_FIT = bronze_checks.values_fit(bronze.SALES).find
_ORDERED = forecast_checks.quantiles_are_ordered(forecast.DEMAND_FORECAST).find
_REFUSAL = {"business_date": DAY, "table_name": "bronze/sales", "rule": "duplicate"}
_MISFIT = LINE | {"unparsed": "{}"}

PASSING: list[tuple[str, Callable[[Rows], Finding], Given, str]] = [
    ("misfits at the limit", _FIT, {bronze.SALES: [LINE] * 19 + [_MISFIT]}, "On 0 days more than 5%"),
    ("no rows to misfit", _FIT, {}, "On 0 days"),
    ("all rows arrive", _LOST, {bronze.SALES: [LINE] * 2, silver.SALES: [LINE], silver.REJECTED_ROWS: [_REFUSAL]},
     "2 rows in bronze, 1 taken over, 1 refused."),
    ("few refused", _FEW, {bronze.SALES: [LINE] * 50, silver.REJECTED_ROWS: [_REFUSAL]}, "2.00% of 50 rows"),
    ("other tables' refusals", _FEW,
     {bronze.SALES: [LINE], silver.REJECTED_ROWS: [_REFUSAL | {"table_name": "bronze/inventory"}]}, "0.00% of 1"),
    ("no rows to refuse", _FEW, {}, "0.00% of 0 rows"),
    ("money arrives", gold_checks.money_arrives, {silver.SALES: [SOLD], gold.FACT_SALES: [FACT]},
     "silver: 1 rows worth 2.90; fact: 1 rows worth 2.90."),
    ("no money", gold_checks.money_arrives, {}, "silver: 0 rows worth 0.00; fact: 0 rows worth 0.00."),
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
    ("no worse than naive", forecast_checks.better_than_naive, {forecast.FORECAST_ACCURACY: [SCORE]},
     "Absolute error 5 units, seasonal naive 5."),
    ("segments are not counted twice", forecast_checks.better_than_naive,
     {forecast.FORECAST_ACCURACY: [SCORE, SCORE | {"segment": "A", "absolute_error_units": 99.0}]},
     "Absolute error 5 units"),
    ("nothing scored", forecast_checks.better_than_naive, {}, "Absolute error 0 units"),
    ("whole packs", inventory_checks.orders_are_packs,
     {inventory.REPLENISHMENT_PLAN: [PLAN, PLAN | {"order_units": 0.3, "pack_units": 0.1}]},
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
    ("many refused", _FEW, {bronze.SALES: [LINE] * 4, silver.REJECTED_ROWS: [_REFUSAL]}, "25.00% of 4 rows"),
    ("a cent lost", gold_checks.money_arrives,
     {silver.SALES: [SOLD], gold.FACT_SALES: [FACT | {"net_value": Decimal("2.8900")}]}, "worth 2.89."),
    ("a line doubled", gold_checks.money_arrives, {silver.SALES: [SOLD], gold.FACT_SALES: [FACT] * 2}, "2 rows worth"),
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
    ("no forecast at all", forecast_checks.every_day_is_forecast, {}, "0 series forecast 0 days ahead"),
    ("half a pack", inventory_checks.orders_are_packs,
     {inventory.REPLENISHMENT_PLAN: [PLAN | {"order_units": 9.0}]}, "1 orders are not whole packs."),
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


class FakeSource:
    """A source whose sales have the given share of values of a wrong type."""

    def __init__(self, misfits: int) -> None:
        self._misfits = misfits

    def read_days(self, entity: Entity, start: date, end: date) -> pa.RecordBatchReader:
        if entity.name != "sales":
            return frame_of(bronze.INVENTORY, []).to_reader()
        rows = [SOLD | {"sale_line_id": str(n)} for n in range(20)]
        spoiled = [row | {"unparsed": "{}"} if n < self._misfits else row for n, row in enumerate(rows)]
        return frame_of(bronze.SALES, spoiled).to_reader()


def _run(home: Path, misfits: int) -> dg.ExecuteInProcessResult:
    """Bronze and silver of one day with their checks, with the real engine, writer and definitions."""
    settings = Settings(_env_file=None, home=home, start_date=snapshot.START)  # pyright: ignore[reportCallIssue]
    built = build_definitions(settings, overrides={"source": FakeSource(misfits)})
    engine = (built.resources or {})["engine"]
    version = {"is_deleted": False, "first_seen_at": MOMENT}
    engine.overwrite(silver.STORES, frame_of(silver.STORES, [version | {"store_id": "S1", "store_name": "A"}]))
    engine.overwrite(silver.PRODUCTS, frame_of(silver.PRODUCTS, [version | {"product_id": "P1", "product_name": "P"}]))
    chosen = dg.AssetSelection.assets(*(t.asset_key for t in (*bronze.DAILY, *silver.DAILY)))
    job = dg.define_asset_job("some", chosen, executor_def=dg.in_process_executor)
    resolved = dg.Definitions.merge(built, dg.Definitions(jobs=[job])).resolve_job_def("some")
    with dg.DagsterInstance.ephemeral() as instance, closing(engine):
        return resolved.execute_in_process(partition_key=str(DAY), instance=instance, raise_on_error=False)


def _made(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {"/".join(event.asset_key.path) for event in events if event.asset_key}


def test_a_day_of_misfits_stops_before_silver(tmp_path: Path) -> None:
    result = _run(tmp_path, misfits=4)
    assert not result.success
    assert _made(result) == {"bronze/sales", "bronze/inventory"}
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [
        ("values_fit_their_types", dg.AssetCheckSeverity.ERROR)
    ]
    assert failed[0].description == "On 1 days more than 5% of the rows hold a misfit, the first on 2025-03-01."


def test_a_day_with_one_misfit_goes_on_with_a_warning(tmp_path: Path) -> None:
    result = _run(tmp_path, misfits=1)
    assert result.success
    assert _made(result) == {table.path for table in (*bronze.DAILY, *silver.DAILY)}
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [
        ("refusals_are_few", dg.AssetCheckSeverity.WARN)
    ]
