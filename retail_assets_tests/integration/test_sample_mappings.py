"""The mappings of Microsoft's samples read every entity they bind, from the documented tables, to the cent."""

import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
import sqlalchemy as sa

from retail_assets.resources.source import Source
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import entities
from retail_assets.tables.entities import Entity
from retail_assets_tests.integration.postgresql import running_postgresql
from retail_assets_tests.sample_databases import ADVENTUREWORKS, NORTHWIND

FIRST, LAST = dt.date(1990, 1, 1), dt.date(2020, 1, 1)


@pytest.fixture(scope="module")
def server():
    with running_postgresql() as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(NORTHWIND)
            connection.exec_driver_sql(ADVENTUREWORKS)
        engine.dispose()
        yield url


@pytest.fixture(params=["postgresql", "sqlite"])
def northwind(request, tmp_path):
    if request.param == "postgresql":
        return Source(request.getfixturevalue("server"), load_mapping("northwind"))
    with closing(sqlite3.connect(tmp_path / "northwind.db")) as database:
        database.executescript(NORTHWIND)
    return Source(f"sqlite:///{tmp_path / 'northwind.db'}", load_mapping("northwind"))


@pytest.fixture
def adventureworks(server):
    return Source(server, load_mapping("adventureworks"))


def _rows(source: Source, entity: Entity, *columns: str) -> list[tuple]:
    """The wanted columns, ordered by the key; nothing may have failed to convert."""
    table = source.read_days(entity, FIRST, LAST).read_all() if entity.is_daily else source.read_snapshot(entity)
    assert table.column("unparsed").null_count == table.num_rows, entity.name
    rows = sorted(table.to_pylist(), key=lambda row: [str(row[name]) for name in entity.key])
    return [tuple(row[name] for name in columns) for row in rows]


def test_northwind_sells_from_one_store(northwind):
    assert _rows(northwind, entities.STORES, "store_id", "store_name", "opened_date") == [
        ("1", "Northwind Traders", dt.date(1996, 7, 4))
    ]
    columns = ("sale_line_id", "sale_id", "business_date", "store_id", "product_id", "customer_id", "quantity")
    assert _rows(northwind, entities.SALES, *columns, "unit_price", "discount_value") == [
        ("1024800001", "10248", dt.date(1996, 7, 4), "1", "1", "ALPHA", 12, Decimal("14.4"), 0),
        ("1024800003", "10248", dt.date(1996, 7, 4), "1", "3", "ALPHA", 10, Decimal("9.8"), Decimal("14.7")),
        # 17.0667 * 9 * 0.05 = 7.680015
        ("1024900003", "10249", dt.date(1996, 7, 5), "1", "3", "BETAS", 9, Decimal("17.0667"), Decimal("7.68")),
        ("1025000001", "10250", dt.date(1996, 7, 8), "1", "1", None, 35, Decimal("15.2"), Decimal("133")),
    ]


def test_a_day_of_northwind_is_read_alone(northwind):
    day = dt.date(1996, 7, 5)
    assert northwind.read_days(entities.SALES, day, day).read_all().column("sale_id").to_pylist() == ["10249"]
    assert northwind.read_days(entities.INVENTORY, day, day).read_all().num_rows == 0


def test_northwind_products_know_their_category_and_their_end(northwind):
    columns = ("product_id", "product_name", "department", "list_price", "unit_step", "discontinued_date")
    assert _rows(northwind, entities.PRODUCTS, *columns) == [
        ("1", "Black Tea", "Drinks", 18, 1.0, None),
        ("2", "Green Tea", "Drinks", 19, 1.0, None),
        ("3", "Hot Sauce", "Sauces", Decimal("21.35"), 1.0, dt.date(1996, 7, 5)),
        ("4", "Gift Box", None, None, 1.0, None),
    ]


def test_northwind_stock_is_that_of_the_newest_day(northwind):
    newest = dt.date(1996, 7, 8)
    assert _rows(northwind, entities.INVENTORY, "business_date", "store_id", "product_id", "on_hand_units") == [
        (newest, "1", "1", 39),
        (newest, "1", "3", 0),
        (newest, "1", "4", 5),
    ]


def test_northwind_suppliers_and_customers(northwind):
    assert _rows(northwind, entities.SUPPLIERS, "supplier_name", "lead_time_days") == [
        ("Harbour Teas", 7),
        ("Hot Bayou", 7),
    ]
    assert _rows(northwind, entities.SOURCING, "product_id", "source_id", "pack_units") == [
        ("1", "1", 1.0),
        ("2", "1", 1.0),
        ("3", "2", 1.0),
    ]
    assert _rows(northwind, entities.CUSTOMERS, "customer_id", "region") == [("ALPHA", "Germany"), ("BETAS", "USA")]


def test_adventureworks_sells_in_territories(adventureworks):
    assert _rows(adventureworks, entities.STORES, "store_id", "store_name", "region", "store_format") == [
        ("1", "Northwest", "North America", "territory"),
        ("6", "Canada", "North America", "territory"),
        ("plant", "Plant and warehouse", None, "plant"),
    ]
    columns = ("sale_line_id", "sale_id", "business_date", "store_id", "product_id", "customer_id", "quantity")
    assert _rows(adventureworks, entities.SALES, *columns, "unit_price", "discount_value") == [
        # 20.1865 * 3 * 0.1 = 6.05595, half up
        ("1", "43659", dt.date(2011, 5, 31), "6", "707", "2", 3, Decimal("20.1865"), Decimal("6.0560")),
        ("353", "43697", dt.date(2011, 6, 1), "1", "771", "1", 1, Decimal("3399.99"), 0),
    ]
    columns = ("customer_id", "customer_segment", "region")
    assert _rows(adventureworks, entities.CUSTOMERS, *columns) == [
        ("1", "individual", "Northwest"),
        ("2", "reseller", "Canada"),
    ]


def test_adventureworks_products_their_prices_and_offers(adventureworks):
    columns = ("product_id", "department", "category", "list_price", "unit_cost", "discontinued_date")
    assert _rows(adventureworks, entities.PRODUCTS, *columns) == [
        ("1", None, None, 0, 0, None),
        ("707", "Helmets", "Accessories", Decimal("34.99"), Decimal("13.0863"), None),
        ("771", "Mountain Bikes", "Bikes", Decimal("3399.99"), Decimal("1912.1544"), dt.date(2012, 5, 29)),
    ]
    assert _rows(adventureworks, entities.PRICES, "store_id", "product_id", "valid_from", "unit_price") == [
        (None, "707", dt.date(2011, 5, 31), Decimal("33.6442")),
        (None, "707", dt.date(2012, 5, 30), Decimal("34.99")),
    ]
    columns = ("promotion_id", "store_id", "product_id", "start_date", "end_date", "discount_rate")
    assert _rows(adventureworks, entities.PROMOTIONS, *columns) == [
        ("7", None, "707", dt.date(2011, 5, 31), dt.date(2011, 6, 30), 0.1)
    ]


def test_adventureworks_buys_for_the_plant(adventureworks):
    assert _rows(adventureworks, entities.SUPPLIERS, "supplier_id", "supplier_name", "lead_time_days") == [
        ("1492", "Austral Bike Retailer", 19),
        ("1494", "Allenson Cycles", 14),
    ]
    assert _rows(adventureworks, entities.SOURCING, "product_id", "source_id", "moq_units", "unit_cost") == [
        ("1", "1492", 1.0, Decimal("47.87")),
        ("707", "1492", 100.0, Decimal("9.25")),
    ]
    columns = ("purchase_order_line_id", "supplier_id", "store_id", "product_id", "ordered_date", "promised_date")
    events = ("received_date", "cancelled_date", "ordered_units", "received_units")
    ordered, due, cancelled = (dt.date(2011, 4, day) for day in (16, 30, 26))
    assert _rows(adventureworks, entities.PURCHASE_ORDERS, *columns, *events) == [
        ("1", "1492", "plant", "1", ordered, due, due, None, 4, 2),
        ("2", "1492", "plant", "707", dt.date(2011, 4, 17), dt.date(2011, 5, 1), None, cancelled, 3, None),
    ]
    assert _rows(adventureworks, entities.INVENTORY, "business_date", "store_id", "product_id", "on_hand_units") == [
        (dt.date(2011, 6, 1), "plant", "1", 732),
        (dt.date(2011, 6, 1), "plant", "707", 288),
    ]


@pytest.mark.parametrize("name", ["northwind", "adventureworks"])
def test_the_check_is_content(server, name):
    checks = Source(server, load_mapping(name)).check()
    assert {check.entity: check.problems for check in checks if check.problems} == {}
