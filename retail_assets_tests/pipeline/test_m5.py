"""Walmart-shaped data from folder to forecast: a source without stock, customers, suppliers or promotions."""

import datetime as dt
import math
import os
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from retail_assets.tables import catalog, forecast, gold
from retail_assets_tests.pipeline.shop import command
from retail_assets_tests.unit.m5_folder import CALENDAR_COLUMNS, PRICE_COLUMNS, SALES_COLUMNS, write

FIRST = dt.date(2015, 3, 2)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(72)]
AS_OF = DAYS[-1] - dt.timedelta(days=28)
SERIES = {(store, item) for store in ("CA_1", "TX_1") for item in ("BREAD_1", "MILK_1", "SOAP_1")}
MISSING = ("suppliers", "supplier_calendar", "sourcing", "customers", "purchase_orders", "promotions")


def _units(store: str, item: str, day: dt.date) -> int:
    """A weekly wave of a different height each, without a random number."""
    height = 4 + len(store + item) % 3 + ord(item[0]) % 5
    return max(0, round(height + 3 * math.sin(2 * math.pi * day.toordinal() / 7) + (day.day % 3) - 1))


@dataclass(frozen=True)
class Done:
    home: Path
    printed: str

    def rows(self, path: str):
        return DeltaTable(str(self.home / "lake" / path)).to_pyarrow_table()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    base = tmp_path_factory.mktemp("m5")
    folder = base / "m5"
    folder.mkdir()
    sales = [(s, s[:2], i, i[:4], "FOODS", day, _units(s, i, day)) for s, i in sorted(SERIES) for day in DAYS]
    prices = [(s, i, FIRST - dt.timedelta(days=2), 2.5) for s, i in sorted(SERIES)]
    write(folder, "sales.parquet", columns=SALES_COLUMNS, rows=sales)
    write(folder, "sell_prices.parquet", columns=PRICE_COLUMNS, rows=prices)
    write(folder, "calendar.csv", columns=CALENDAR_COLUMNS, rows=[(str(DAYS[9]), "Parade", "", 1, 0)])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RETAIL_", "MLFLOW_"))} | {
        "RETAIL_HOME": str(base / "home"),
        "RETAIL_FORECAST_BACKFILL_DAYS": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    loaded = command("load-m5", str(folder), environment=environment)
    assert loaded.returncode == 0, loaded.stderr
    assert f"Loaded {FIRST} … {DAYS[-1]}" in loaded.stdout
    mapped = environment | {"RETAIL_SOURCE_MAPPING": "m5"}
    ran = command("run", "--from", str(FIRST), "--to", str(AS_OF), environment=mapped)
    assert ran.returncode == 0, ran.stderr
    return Done(base / "home" / "m5", ran.stdout)


def test_nothing_after_the_last_day_asked_for_is_read(done):
    days = done.rows(gold.FACT_SALES.path)["business_date"]
    assert (pc.min(days).as_py(), pc.max(days).as_py()) == (FIRST, AS_OF)


def test_units_arrive_as_in_the_folder(done):
    sold = sum(_units(*series, day) for series in SERIES for day in DAYS if day <= AS_OF)
    assert pc.sum(done.rows(gold.FACT_SALES.path)["quantity"]).as_py() == sold


def test_every_series_is_forecast_for_the_28_days_held_back(done):
    rows = done.rows(forecast.DEMAND_FORECAST.path).to_pylist()
    assert {row["as_of_date"] for row in rows} == {AS_OF}
    found = [(row["store_id"], row["product_id"], row["target_date"]) for row in rows]
    assert sorted(found) == sorted((*series, day) for series in SERIES for day in DAYS[-28:])


def test_the_forecast_is_near_the_demand_it_could_see(done):
    rows = done.rows(forecast.DEMAND_FORECAST.path).to_pylist()
    mean = sum(row["mean_units"] for row in rows)
    sold = sum(_units(*series, day) for series in SERIES for day in DAYS[-28:])
    assert 0.8 * sold < mean < 1.2 * sold


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_entity_is_an_empty_table_that_says_so(done, name):
    for layer in ("bronze", "silver"):
        table = catalog.table_at(f"{layer}/{name}")
        rows = done.rows(table.path)
        assert (rows.num_rows, rows.schema.names) == (0, table.column_names)
    with dg.DagsterInstance.from_config(str(done.home / "dagster")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["bronze", name]))
    assert event.asset_materialization.metadata["available"].value is False


def test_stock_that_is_unknown_does_not_count_as_none(done):
    demand = done.rows(gold.DEMAND_DAILY.path)
    assert demand["on_hand_units"].null_count == demand.num_rows
    assert set(demand["censoring"].to_pylist()) == {"unknown"}


def test_the_command_notes_what_is_switched_off(done):
    notes = [line for line in done.printed.splitlines() if line.startswith("Note: ")]
    assert notes
    assert any("stock" in note for note in notes), notes


def test_a_first_forecast_of_one_day_has_no_replay_yet(done):
    assert done.rows("inventory/policy_replay").num_rows == 0
