"""A small folder in the shape of M5 becomes an operational database that the m5 mapping reads."""

import datetime as dt
import sqlite3
from decimal import Decimal

import pyarrow.parquet
import pytest

from retail_assets.demo import m5
from retail_assets.demo.m5 import load_m5
from retail_assets.failures import PermanentFailure
from retail_assets.resources.source import Source
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import entities
from retail_assets_tests.unit.m5_folder import (
    CLOSED,
    FIRST,
    LAST,
    PRICE_ROWS,
    SALE_LINES,
    SALES_COLUMNS,
    m5_folder,
    sales_rows,
    write,
)


@pytest.fixture
def folder(tmp_path):
    return m5_folder(tmp_path / "it's m5")


@pytest.fixture
def database(tmp_path):
    return tmp_path / "new folder" / "m5.db"


def _loaded(folder, database):
    assert load_m5(folder, f"sqlite:///{database}") == (FIRST, LAST)
    return Source(f"sqlite:///{database}", load_mapping("m5"))


def _rows(source, entity):
    return source.read_snapshot(entity).to_pylist()


def test_sales_are_the_days_with_units_at_the_price_of_their_week(folder, database):
    table = _loaded(folder, database).read_days(entities.SALES, FIRST, LAST).read_all()
    assert table.column("unparsed").null_count == table.num_rows == SALE_LINES
    sold = {(r["store_id"], r["product_id"], r["business_date"]): r for r in table.to_pylist()}
    bread = sold["CA_1", "BREAD_1", dt.date(2023, 12, 8)]
    assert (bread["sale_line_id"], bread["quantity"]) == ("CA_1|BREAD_1|2023-12-08", Decimal(30))
    assert bread["unit_price"] == Decimal("2.5")
    assert sold["CA_1", "BREAD_1", dt.date(2023, 12, 9)]["unit_price"] == Decimal("2.75")
    assert sold["TX_1", "BREAD_1", LAST]["unit_price"] == Decimal("2.4"), "the nearest earlier price holds on"
    assert sold["CA_1", "TEA_1", dt.date(2023, 12, 10)]["unit_price"] == Decimal("4.1"), "else the nearest later one"
    assert ("TX_1", "TEA_1", LAST) not in sold


def test_stores_and_products(folder, database):
    source = _loaded(folder, database)
    assert [(r["store_id"], r["region"]) for r in _rows(source, entities.STORES)] == [("CA_1", "CA"), ("TX_1", "TX")]
    products = [
        (r["product_id"], r["department"], r["category"], r["list_price"]) for r in _rows(source, entities.PRODUCTS)
    ]
    assert products == [("BREAD_1", "BAKERY_1", "FOOD", None), ("TEA_1", "DRINKS_1", "FOOD", None)]


def test_prices_are_the_days_on_which_they_change(folder, database):
    prices = _rows(_loaded(folder, database), entities.PRICES)
    assert [(r["store_id"], r["product_id"], r["valid_from"], r["unit_price"]) for r in prices] == [
        ("CA_1", "BREAD_1", dt.date(2023, 11, 25), Decimal("2.5")),
        ("CA_1", "BREAD_1", dt.date(2023, 12, 9), Decimal("2.75")),
        ("CA_1", "TEA_1", dt.date(2023, 12, 16), Decimal("4.1")),
        ("TX_1", "BREAD_1", dt.date(2023, 11, 25), Decimal("2.4")),
    ]


def test_a_product_is_ranged_from_its_first_sale_in_the_store(folder, database):
    ranged = _rows(_loaded(folder, database), entities.ASSORTMENT)
    assert [(r["store_id"], r["product_id"], r["valid_from"], r["valid_to"]) for r in ranged] == [
        ("CA_1", "BREAD_1", FIRST, None),
        ("CA_1", "TEA_1", dt.date(2023, 12, 10), None),
        ("TX_1", "BREAD_1", FIRST, None),
    ]


def test_events_snap_days_by_state_and_days_the_chain_was_closed(folder, database):
    events = _rows(_loaded(folder, database), entities.EVENTS)
    assert [(r["event_date"], r["event_name"], r["event_type"], r["region"]) for r in events] == [
        (FIRST, "SNAP", "snap", "CA"),
        (CLOSED, "Christmas", "event", None),
        (CLOSED, "Closed", "closed", None),
        (dt.date(2024, 1, 1), "NewYear", "event", None),
        (dt.date(2024, 1, 1), "Parade", "event", None),
        (dt.date(2024, 1, 1), "SNAP", "snap", "TX"),
    ]


def test_a_chain_that_sells_little_is_not_closed_on_a_quiet_day(folder, database):
    rows = [(*row[:6], 1 if row[6] == 30 else 0) for row in sales_rows()]
    write(folder, "sales.parquet", columns=SALES_COLUMNS, rows=rows)
    kinds = {row["event_type"] for row in _rows(_loaded(folder, database), entities.EVENTS)}
    assert kinds == {"event", "snap"}


def test_entities_m5_lacks_are_not_available(folder, database):
    source = _loaded(folder, database)
    bound = {entity.name for entity in entities.SOURCE_ENTITIES if source.available(entity)}
    assert bound == {"sales", "stores", "products", "prices", "assortment", "events"}
    assert all(check.is_ok for check in source.check())
    assert (source.oldest_business_date(), source.newest_business_date()) == (FIRST, LAST)


def test_loading_again_replaces(folder, database):
    _loaded(folder, database)
    before = _loaded(folder, database).read_days(entities.SALES, FIRST, LAST).read_all()
    assert before.num_rows == SALE_LINES
    assert [path.name for path in database.parent.iterdir()] == ["m5.db"]


def test_an_interrupted_load_leaves_the_old_data(folder, database, monkeypatch):
    source = _loaded(folder, database)
    before = database.read_bytes()
    copy = m5._copy

    def interrupted(rows, connection, *, table):
        if table.name == "m5_event":
            raise KeyboardInterrupt
        copy(rows, connection, table=table)

    monkeypatch.setattr(m5, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_m5(folder, f"sqlite:///{database}")
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["m5.db"]
    assert len(_rows(source, entities.STORES)) == 2


def test_a_database_of_somebody_else_is_not_replaced(folder, tmp_path):
    path = tmp_path / "books.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE ledger (id)")
    connection.close()
    with pytest.raises(PermanentFailure) as raised:
        load_m5(folder, f"sqlite:///{path}")
    message = f"{path} already holds ledger, which is not M5 data and would be lost; give another path."
    assert str(raised.value) == message


def _complaint(folder, url="sqlite://"):
    with pytest.raises(PermanentFailure) as raised:
        load_m5(folder, url)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_that_is_not_there(tmp_path):
    complaint = _complaint(tmp_path / "no")
    files = "sales.parquet, sell_prices.parquet, calendar.csv"
    assert complaint == f"There is no M5 folder {tmp_path / 'no'}; give one that holds {files}."


@pytest.mark.parametrize("name", ["sales.parquet", "sell_prices.parquet", "calendar.csv"])
def test_a_file_that_is_not_there(folder, name):
    (folder / name).unlink()
    assert _complaint(folder).startswith(f"The M5 folder {folder} has no {name}; it needs sales.parquet, ")


def test_a_column_that_is_not_there(folder):
    columns = ["store_id", "item_id", "week", "sell_price"]
    write(folder, "sell_prices.parquet", columns=columns, rows=PRICE_ROWS)
    complaint = _complaint(folder)
    assert complaint.endswith(
        "sell_prices.parquet has no column week_start; it has store_id, item_id, week, sell_price."
    )


def test_a_file_that_is_damaged(folder):
    (folder / "sales.parquet").write_bytes(b"PAR1 not really")
    assert _complaint(folder).startswith(f"The M5 folder {folder} cannot be read: ")


ROW = ("CA_1", "CA", "BREAD_1", "BAKERY_1", "FOOD", FIRST, 3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, ROW], "sales.parquet repeats 1 times a store_id, item_id and date; keep one row each."),
        ([ROW, (None, *ROW[1:])], "sales.parquet has 1 rows without store_id, item_id or date; complete them."),
    ],
)
def test_sales_that_are_not_one_row_a_day(folder, rows, message):
    write(folder, "sales.parquet", columns=SALES_COLUMNS, rows=rows)
    assert _complaint(folder) == message


def test_no_sales(folder):
    sales = pyarrow.parquet.read_table(folder / "sales.parquet")
    pyarrow.parquet.write_table(sales.slice(0, 0), folder / "sales.parquet")
    assert _complaint(folder) == "sales.parquet has no rows; give at least one day of sales."


def test_a_database_url_that_is_none(folder):
    complaint = _complaint(folder, "secret words")
    assert complaint == "The database to fill has no SQLAlchemy URL; write it like sqlite:///m5.db."


def test_a_path_that_cannot_be_written(folder):
    url = f"sqlite:///{folder}/calendar.csv/m5.db"
    assert _complaint(folder, url) == (
        f"The database {folder}/calendar.csv/m5.db cannot be filled: File exists; give a path that can be written."
    )


def test_a_database_without_a_driver(folder):
    complaint = _complaint(folder, "oracle+oracledb://loader:hidden@host/m5")
    assert complaint.startswith("RETAIL_SOURCE_URL needs the Python package oracledb, which is not installed")
