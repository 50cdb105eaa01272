"""The source on SQLite: exact rows, nothing lost, nothing written, no password shown, errors in one sentence."""

import datetime as dt
import sqlite3
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.source import Source
from retail_assets.sources.mapping import EntityBinding, Mapping, load_mapping
from retail_assets.sources.operational_database import operational_database
from retail_assets.sources.reading import BATCH_ROWS
from retail_assets.tables import bronze, entities

NOW = dt.datetime(2024, 6, 1, 4, 30, tzinfo=dt.UTC)
MAY_1, MAY_2, MAY_3 = (dt.date(2024, 5, day) for day in (1, 2, 3))
QUERIES = {
    "stores": "SELECT id AS store_id, name AS store_name FROM shop",
    "products": "SELECT id AS product_id, name AS product_name, price AS list_price FROM item",
    "sales": "SELECT id, day AS business_date, shop AS store_id, item AS product_id, qty AS quantity, "
    "price AS unit_price, changed AS modified_at FROM line WHERE day BETWEEN :start AND :end",
}
LINES = [
    (1, "2024-05-01", 1, "A", 2, 1.99, "2024-05-01 21:00:00"),
    (2, "2024-05-02", 1, "A", 0.35, 10, None),
    (3, "2024-05-02", 2, "B", "two", 2.675, "yesterday"),
    (4, "2024-05-03", 2, "Łódź 🥦", -1, "1,50", "2024-05-03T21:00:00+02:00"),
]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE shop (id INTEGER, name TEXT);
        CREATE TABLE item (id TEXT, name TEXT, price NUMERIC);
        CREATE TABLE line (id INTEGER, day TEXT, shop INTEGER, item TEXT, qty, price, changed TEXT);
        INSERT INTO shop VALUES (1, 'North'), (2, NULL);
        INSERT INTO item VALUES ('A', 'Apple', 1.99), ('B', 'Bread', 3);
    """)
    connection.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", LINES)
    connection.commit()
    connection.close()
    return path


def _mapping(queries=None, columns=None):
    bindings = {
        name: EntityBinding(query=query, source_tables=[name], columns=(columns or {}).get(name, {}))
        for name, query in (QUERIES | (queries or {})).items()
    }
    return Mapping(name="mine", timezone="UTC", country="GB", currency="GBP", entities=bindings)


def _source(path, queries=None, columns=None):
    columns = {"sales": {"sale_line_id": "id"}} if columns is None else columns
    return Source(f"sqlite:///{path}", _mapping(queries, columns), clock=lambda: NOW)


def test_days_come_with_the_bronze_schema_and_nothing_else(database):
    table = _source(database).read_days(entities.SALES, MAY_1, MAY_2).read_all()
    assert table.schema == bronze.SALES.schema
    rows = {row["sale_line_id"]: row for row in table.to_pylist()}
    assert sorted(rows) == ["1", "2", "3"]
    assert rows["1"] == {
        "sale_line_id": "1",
        "sale_id": None,
        "business_date": MAY_1,
        "store_id": "1",
        "product_id": "A",
        "customer_id": None,
        "quantity": Decimal("2.000"),
        "unit_price": Decimal("1.9900"),
        "discount_value": None,
        "currency": None,
        "modified_at": dt.datetime(2024, 5, 1, 21, tzinfo=dt.UTC),
        "unparsed": None,
        "extracted_at": NOW,
    }
    assert (rows["2"]["quantity"], rows["2"]["unit_price"]) == (Decimal("0.350"), Decimal("10.0000"))


def test_what_does_not_convert_is_kept_as_text_in_its_row(database):
    rows = _source(database).read_days(entities.SALES, MAY_2, MAY_3).read_all().to_pylist()
    assert {row["sale_line_id"]: row["unparsed"] for row in rows} == {
        "2": None,
        "3": '{"quantity": "two", "modified_at": "yesterday"}',
        "4": '{"unit_price": "1,50"}',
    }
    assert rows[-1]["product_id"] == "Łódź 🥦"
    assert rows[-1]["modified_at"] == dt.datetime(2024, 5, 3, 19, tzinfo=dt.UTC)


def test_a_snapshot_comes_whole_without_version_columns(database):
    table = _source(database).read_snapshot(entities.PRODUCTS)
    assert table.column_names == [*entities.PRODUCTS.column_names, "unparsed"]
    assert table.column("list_price").to_pylist() == [Decimal("1.9900"), Decimal("3.0000")]
    assert table.column("unit_cost").to_pylist() == [None, None]


def test_an_entity_that_is_not_bound_is_empty(database):
    source = _source(database)
    assert source.available(entities.SALES)
    assert not source.available(entities.INVENTORY)
    assert source.source_tables(entities.SALES) == ["sales"]
    assert source.source_tables(entities.INVENTORY) == []
    assert source.read_days(entities.INVENTORY, MAY_1, MAY_2).read_all() == bronze.INVENTORY.schema.empty_table()
    assert source.read_snapshot(entities.EVENTS).num_rows == 0


def test_a_window_without_rows_is_empty(database):
    table = _source(database).read_days(entities.SALES, dt.date(2020, 1, 1), dt.date(2020, 1, 2)).read_all()
    assert (table.num_rows, table.schema) == (0, bronze.SALES.schema)


def test_a_daily_entity_is_not_a_snapshot(database):
    with pytest.raises(ValueError, match="read_days"):
        _source(database).read_snapshot(entities.SALES)


def test_many_rows_come_in_bounded_batches(database):
    wanted = 2 * BATCH_ROWS + 7
    query = f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {wanted})
        SELECT i AS id, '2024-05-01' AS business_date, 1 AS store_id, 2 AS product_id, i AS quantity, 1.5 AS unit_price
        FROM n WHERE '2024-05-01' BETWEEN :start AND :end"""
    sizes, total = [], Decimal(0)
    for batch in _source(database, {"sales": query}).read_days(entities.SALES, MAY_1, MAY_1):
        sizes.append(batch.num_rows)
        total += sum(batch.column("quantity").to_pylist())
    assert sum(sizes) == wanted
    assert max(sizes) < 1.1 * BATCH_ROWS
    assert total == Decimal(wanted) * (wanted + 1) / 2


def test_the_newest_and_the_oldest_day(database):
    source = _source(database)
    assert (source.oldest_business_date(), source.newest_business_date()) == (MAY_1, MAY_3)
    nothing = _source(database, {"sales": QUERIES["sales"] + " AND 1 = 0"})
    assert (nothing.oldest_business_date(), nothing.newest_business_date()) == (None, None)


def test_reading_cannot_write(database):
    before = database.read_bytes()
    source = _source(database, {"stores": "DELETE FROM shop RETURNING id AS store_id, name AS store_name"})
    with pytest.raises(ValueError, match="give exactly one SELECT"):
        source.read_snapshot(entities.STORES)
    assert database.read_bytes() == before


def test_a_missing_file_is_not_created(tmp_path):
    path = tmp_path / "no.db"
    with pytest.raises(PermanentFailure) as raised:
        _source(path).read_snapshot(entities.STORES)
    assert str(raised.value) == (
        f"There is no database at {path}; run `retail-assets demo` to fill the embedded one, or set RETAIL_SOURCE_URL."
    )
    assert not path.exists()


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "no.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(PermanentFailure, match="refuses the connection: file is not a database; correct RETAIL_SOURC"):
        _source(path).read_snapshot(entities.STORES)


def test_a_locked_database_may_pass(database, monkeypatch):
    impatient = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: impatient(*args, timeout=0, **options))
    with closing(impatient(database)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientFailure, match=r"cannot be used now: database is locked; try again"):
            _source(database).read_snapshot(entities.STORES)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT id AS store_id FROM shop",
            "mapping mine, entity stores: the query gives no column store_name; it gives store_id.",
        ),
        (
            "SELECT id AS store_id, name AS store_name, id AS store_id FROM shop",
            "mapping mine, entity stores: the query gives the column store_id 2 times; name each column once.",
        ),
        ("SELECT * FROM shops", "no such table: shops; correct the query in the mapping."),
        ("SELECT nam FROM shop", "no such column: nam; correct the query in the mapping."),
        (
            "SELECT id AS store_id\nFROM shop WHERE",
            "the query cannot be read as SQL of SQLite in its line 2 near WHERE; correct it there, or, where the "
            "database takes it as it is, put it into a view and select from the view.",
        ),
    ],
)
def test_a_wrong_query_says_what_is_wrong(database, query, message):
    with pytest.raises(PermanentFailure) as raised:
        _source(database, {"stores": query}).read_snapshot(entities.STORES)
    assert str(raised.value).startswith("mapping mine, entity stores: ")
    assert str(raised.value).endswith(message)
    assert "\n" not in str(raised.value)


def test_a_failure_midway_keeps_its_kind(database):
    query = f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {BATCH_ROWS + 10})
        SELECT i AS id, CASE WHEN i > {BATCH_ROWS + 1} THEN 'soon' ELSE '2024-05-01' END AS business_date,
               1 AS store_id, 2 AS product_id, 3 AS quantity, 4 AS unit_price
        FROM n WHERE '2024-05-01' BETWEEN :start AND :end"""
    reader = _source(database, {"sales": query}).read_days(entities.SALES, MAY_1, MAY_1)
    assert reader.read_next_batch().num_rows == BATCH_ROWS
    with pytest.raises(PermanentFailure, match="9 rows have no readable business_date"):
        reader.read_next_batch()


def test_names_match_whatever_their_case(database):
    table = _source(database, {"stores": "SELECT id AS STORE_ID, name AS Store_Name FROM shop"})
    assert table.read_snapshot(entities.STORES).column("store_id").to_pylist() == ["1", "2"]


def test_a_renamed_column_that_is_absent_is_told_even_when_optional(database):
    source = _source(database, columns={"stores": {"region": "area"}})
    with pytest.raises(PermanentFailure, match="gives no column area; it gives store_id, store_name"):
        source.read_snapshot(entities.STORES)


def test_rows_that_belong_to_no_day_are_refused(database):
    query = QUERIES["sales"].replace("day AS", "'1 May' AS")
    with pytest.raises(PermanentFailure, match="entity sales: 1 rows have no readable business_date, so they belong"):
        _source(database, {"sales": query}).read_days(entities.SALES, MAY_1, MAY_1)


def test_rows_of_other_days_are_refused(database):
    query = QUERIES["sales"].split(" WHERE")[0] + " WHERE :start <= :end"
    with pytest.raises(PermanentFailure) as raised:
        _source(database, {"sales": query}).read_days(entities.SALES, MAY_1, MAY_2)
    assert str(raised.value) == (
        "mapping mine, entity sales: asked for 2024-05-01 to 2024-05-02, the query gives business dates from "
        "2024-05-01 to 2024-05-03; compare that same column with :start and :end."
    )


SECRET = "s3cr;t&word"
REMOTE = "mssql+pyodbc://reader:s3cr%3Bt%26word@db.example:1433/shop?driver=No+Such+Driver"


def test_the_password_is_shown_nowhere():
    source = Source(REMOTE, _mapping())
    assert repr(source) == "Source(db.example:1433/shop, mapping mine)"
    with pytest.raises(PermanentFailure) as raised:
        source.read_snapshot(entities.STORES)
    shown = repr(source) + str(raised.value) + repr(raised.value.__cause__)
    assert SECRET not in shown and "s3cr%3B" not in shown
    assert "The operational database db.example:1433/shop cannot be opened: " in str(raised.value)
    assert str(raised.value).endswith("install the driver, or name another one in RETAIL_SOURCE_URL.")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"not a url {SECRET}", "RETAIL_SOURCE_URL is not a SQLAlchemy URL; write it like postgresql+psycopg://"),
        (
            f"nosuchdb://u:{SECRET}@h/d",
            "RETAIL_SOURCE_URL names nosuchdb, for which no SQLAlchemy dialect is installed",
        ),
        ("oracle+oracledb://u:pw@h/d", "RETAIL_SOURCE_URL needs the Python package oracledb, which is not installed"),
        ("oracle+oracledb://u:pw@h/d", "RETAIL_SOURCE_URL needs the Python package oracledb, which is not installed"),
    ],
)
def test_a_wrong_url_is_told_without_repeating_it(url, message):
    with pytest.raises(PermanentFailure) as raised:
        Source(url, _mapping()).read_snapshot(entities.STORES)
    assert str(raised.value).startswith(message)
    assert SECRET not in str(raised.value)


def test_check_reports_every_entity(database):
    found = {check.entity: check for check in _source(database).check()}
    assert list(found) == [entity.name for entity in entities.SOURCE_ENTITIES]
    assert not found["inventory"].is_mapped and found["inventory"].is_ok
    assert found["products"].is_ok and found["products"].sampled_rows == 2
    sales = found["sales"]
    assert (sales.is_required, sales.oldest_date, sales.newest_date, sales.sampled_rows) == (True, MAY_1, MAY_3, 1)
    assert sales.day_count == 3
    assert sales.absent_columns == ("sale_id", "customer_id", "discount_value", "currency")
    assert sales.problems == (
        "mapping mine, entity sales: 1 sampled values of unit_price are not decimal numbers of at most 4 places, for "
        "example '1,50'; use CAST(unit_price AS DECIMAL(18, 4)) in the query.",
    )
    assert found["stores"].problems == (
        "mapping mine, entity stores: 1 sampled rows have no store_name, which must be there; such rows will be "
        "rejected, so give a value in the query.",
    )


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (
            "'soon' AS opened_date",
            "opened_date are not dates (YYYY-MM-DD), for example 'soon'; use date(opened_date)",
        ),
        ("x'ff' AS region", "region are not text, for example '0xff'; use CAST(region AS VARCHAR(100))"),
    ],
)
def test_check_hints_at_the_cast(database, column, problem):
    source = _source(database, {"stores": f"SELECT id AS store_id, id AS store_name, {column}, 1 AS more FROM shop"})
    stores = next(check for check in source.check() if check.entity == "stores")
    assert stores.problems == (f"mapping mine, entity stores: 2 sampled values of {problem} in the query.",)
    assert stores.extra_columns == ("more",)


def test_check_goes_on_after_a_broken_entity(database):
    source = _source(database, {"stores": "SELECT 1 FROM shops", "products": "SELECT * FROM item WHERE 1 = 0"})
    found = {check.entity: check for check in source.check()}
    assert "no such table: shops" in found["stores"].problems[0]
    assert "the query gives no column product_id" in found["products"].problems[0]
    empty = _source(database, {"products": QUERIES["products"] + " WHERE 1 = 0"}).check()
    problems = next(check.problems for check in empty if check.entity == "products")
    assert problems == ("mapping mine, entity products: the query gives no rows; check its tables and conditions.",)


def test_a_machine_without_odbc_reads_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel of arrow-odbc needs the system's driver manager as soon as it is imported."""
    (tmp_path / "arrow_odbc.py").write_text("raise OSError('libodbc.so.2: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "arrow_odbc", raising=False)
    source = Source("mssql+pyodbc://reader:secret@127.0.0.1/shop?driver=x", load_mapping("demo"))
    with pytest.raises(PermanentFailure) as raised:
        source.newest_business_date()
    assert str(raised.value) == (
        "RETAIL_SOURCE_URL names an ODBC driver, but the driver manager is not installed: install unixODBC "
        "(apt-get install unixodbc, brew install unixodbc) and the driver."
    )


def _changed(path, since, *, query=QUERIES["sales"], changed_days=None, columns=None):
    binding = EntityBinding(query=query, source_tables=["line"], columns=columns or {}, changed_days=changed_days)
    mapping = _mapping().model_copy(update={"entities": {"sales": binding}})
    source = Source(f"sqlite:///{path}", mapping)
    return source.changed_days(entities.SALES, since=since, start=MAY_1, end=MAY_3)


@pytest.mark.parametrize(
    ("since", "days"),
    [
        (dt.datetime(2024, 5, 1, 20, 59, 59, tzinfo=dt.UTC), [MAY_1, MAY_2, MAY_3]),
        (dt.datetime(2024, 5, 1, 21, 0, 0, 999, tzinfo=dt.UTC), [MAY_1, MAY_2, MAY_3]),
        (dt.datetime(2024, 5, 1, 23, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), [MAY_2, MAY_3]),
    ],
    ids=["before", "the same second", "after, in another zone"],
)
def test_the_days_of_rows_modified_since(database, since, days):
    """The third line's moment is no moment and sorts after all: such a day is read again, not forgotten."""
    assert _changed(database, since) == days
    own = "SELECT day FROM line WHERE changed >= :since AND day BETWEEN :start AND :end"
    assert _changed(database, since, changed_days=own) == days
    assert _changed(database, since, changed_days="SELECT '1999-01-01' FROM line WHERE changed >= :since") == []


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        (
            {"query": "SELECT * FROM line WHERE day BETWEEN :start AND :end"},
            "there is no modified_at to tell changed days",
        ),
        ({"changed_days": "SELECT day, shop FROM line WHERE changed >= :since"}, "must give one column of dates"),
        ({"changed_days": "SELECT item FROM line WHERE changed >= :since"}, "must give one column of dates"),
        ({"changed_days": "SELECT d FROM line WHERE changed >= :since"}, "entity sales, changed_days: "),
    ],
)
def test_a_query_of_changed_days_that_gives_none(database, binding, message):
    with pytest.raises(PermanentFailure) as raised:
        _changed(database, NOW.replace(year=2020), **binding)
    assert message in str(raised.value)


def test_a_source_says_whether_it_can_tell_changes(database):
    source = _source(database)
    assert source.tells_changes(entities.SALES)
    assert not source.tells_changes(entities.INVENTORY), "it is not bound"


@pytest.mark.parametrize(
    "url",
    [
        "mssql+pyodbc://reader:p%40ss%2Fw@host/shop?driver=x",
        "mssql+pyodbc://?odbc_connect=DRIVER%3Dx%3BUID%3Dreader%3BPWD%3Dp%40ss%2Fw",
        "mssql+pyodbc://host/shop?driver=x&UID=reader&PWD=p%40ss%2Fw",
        "postgresql+psycopg://reader@host/shop?sslpassword=p%40ss%2Fw",
    ],
)
def test_no_driver_can_repeat_a_secret_of_the_url(url: str) -> None:
    said = "Login failed with p@ss/w, that is p%40ss%2Fw; DRIVER=x;UID=reader;PWD=p@ss/w"
    shown = operational_database(sa.make_url(url)).message(Exception(said))
    assert "p@ss/w" not in shown
    assert "reader" in shown or "odbc_connect" in url
