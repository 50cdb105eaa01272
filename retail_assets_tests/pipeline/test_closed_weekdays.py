"""Shops that are closed on some weekdays and never say so: learnt from their sales, named, and no demand there."""

import datetime as dt
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from retail_assets.tables import forecast, gold
from retail_assets_tests.pipeline.shop import LAST, Shop, command

DAYS = 200
FIRST = LAST - dt.timedelta(days=DAYS - 1)
PRODUCTS = [f"P{n:02}" for n in range(20)]
CLOSED = {"SUN": {7}, "WEEKEND": {6, 7}, "GIVEN": {1, 7}, "ALWAYS": set()}
"""ISO weekdays; WEEKEND reports its stock every day, GIVEN names its weekdays in the mapping."""
DAILY_UNITS = 5.0
MAPPING = """
name: closed
timezone: UTC
country: DE
currency: EUR
entities:
  stores:
    source_tables: [store]
    query: SELECT store_id, store_id AS store_name, opening_weekdays FROM store
  products:
    source_tables: [product]
    query: SELECT product_id, product_id AS product_name, 2.0 AS list_price FROM product
  sales:
    source_tables: [sale]
    query: |
      SELECT line_id AS sale_line_id, business_date, store_id, product_id, quantity, 2.0 AS unit_price
      FROM sale WHERE business_date BETWEEN :start AND :end
  inventory:
    source_tables: [stock]
    query: |
      SELECT business_date, store_id, product_id, on_hand_units FROM stock
      WHERE business_date BETWEEN :start AND :end
"""


@dataclass(frozen=True)
class Run:
    """The shop after its run, and what was printed."""

    shop: Shop
    printed: str

    def weekdays_with(self, column: str, store: str, since: dt.date) -> set[int]:
        """ISO weekdays of the store's rows of gold/demand_daily on which the column is true."""
        rows = self.shop.rows(gold.DEMAND_DAILY)
        mine = rows.filter((pc.field("store_id") == store) & pc.field(column) & (pc.field("business_date") >= since))
        return {day.isoweekday() for day in mine["business_date"].to_pylist()}

    def forecasts(self, store: str) -> pa.Table:
        rows = self.shop.rows(forecast.DEMAND_FORECAST)
        return rows.filter((pc.field("store_id") == store) & (pc.field("as_of_date") == LAST))


def _rows() -> tuple[list[tuple], list[tuple]]:
    """Sales and closing stock; the stock of WEEKEND is reported on its closed days too, that of others never."""
    rng, sales, stock = np.random.default_rng(3), [], []
    for day in (FIRST + dt.timedelta(days=n) for n in range(DAYS)):
        for store, closed in CLOSED.items():
            units = rng.poisson(DAILY_UNITS, len(PRODUCTS)) if day.isoweekday() not in closed else []
            named = zip(PRODUCTS, units, strict=False)
            sales += [(f"{day}-{store}-{p}", str(day), store, p, int(u)) for p, u in named if u]
            stock += [(str(day), store, p, 100) for p in PRODUCTS if store == "WEEKEND"]
    return sales, stock


def _database(path: Path) -> None:
    sales, stock = _rows()
    with sqlite3.connect(path) as source:
        source.executescript(
            "CREATE TABLE store (store_id TEXT, opening_weekdays TEXT); CREATE TABLE product (product_id TEXT);"
            "CREATE TABLE sale (line_id TEXT, business_date TEXT, store_id TEXT, product_id TEXT, quantity REAL);"
            "CREATE TABLE stock (business_date TEXT, store_id TEXT, product_id TEXT, on_hand_units REAL);"
        )
        source.executemany(
            "INSERT INTO store VALUES (?, ?)", [(s, "Tue-Sat" if s == "GIVEN" else None) for s in CLOSED]
        )
        source.executemany("INSERT INTO product VALUES (?)", [(p,) for p in PRODUCTS])
        source.executemany("INSERT INTO sale VALUES (?, ?, ?, ?, ?)", sales)
        source.executemany("INSERT INTO stock VALUES (?, ?, ?, ?)", stock)
    source.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("closed")
    shop = Shop(folder, first=FIRST, retailer="closed")
    _database(shop.source)
    mapping = folder / "closed.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    variables = {"RETAIL_SOURCE_MAPPING": str(mapping), "RETAIL_FORECAST_BACKFILL_DAYS": "1"}
    done = command("run", environment=shop.environment | variables)
    assert done.returncode == 0, done.stderr[-2000:]
    return Run(shop, done.stdout)


def test_closed_days_are_closed_and_no_feed_is_missing(run):
    learnt_by = FIRST + dt.timedelta(days=60)
    for store, closed in CLOSED.items():
        since = FIRST if store == "GIVEN" else learnt_by
        assert run.weekdays_with("is_open", store, since) == set(range(1, 8)) - closed, store
        assert run.weekdays_with("is_feed_missing", store, since) == set(), store


def test_nothing_is_expected_on_closed_days_and_the_whole_week_on_the_others(run):
    for store, closed in CLOSED.items():
        rows = run.forecasts(store)
        off = pa.array([day.isoweekday() in closed for day in rows["target_date"].to_pylist()])
        for column in ("mean_units", "q995"):
            assert pc.sum(rows.filter(off)[column]).as_py() in (0, None), (store, column)
        week = pc.sum(rows.filter(pc.less_equal(rows["horizon_days"], 28))["mean_units"]).as_py() / 4 / len(PRODUCTS)
        assert week == pytest.approx(DAILY_UNITS * (7 - len(closed)), rel=0.05), store


def test_a_model_was_trained_and_learnt_weekdays_are_named(run):
    assert run.shop.rows(forecast.DEMAND_MODEL).num_rows > 0
    (note,) = [line for line in run.printed.splitlines() if "sold nothing for weeks" in line]
    assert "SUN (Sunday)" in note and "WEEKEND (Saturday, Sunday)" in note
    assert "GIVEN" not in note and "ALWAYS" not in note
