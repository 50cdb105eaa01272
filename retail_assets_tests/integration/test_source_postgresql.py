"""The source on a real PostgreSQL: exact types by SQLAlchemy and by ODBC, windows bound, errors in one sentence."""

import datetime as dt
import glob
from decimal import Decimal

import pytest
import sqlalchemy as sa

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.source import Source
from retail_assets.sources.m5 import load_m5
from retail_assets.sources.mapping import EntityBinding, Mapping, load_mapping
from retail_assets.tables import bronze, entities
from retail_assets_tests.integration.postgresql import PASSWORD, running_postgresql
from retail_assets_tests.unit.m5_folder import SALE_LINES, m5_folder

ODBC_DRIVERS = "/usr/lib/*/odbc/psqlodbcw.so"
MAY_1, MAY_2 = dt.date(2024, 5, 1), dt.date(2024, 5, 2)
SCHEMA = """
    CREATE TABLE shop (id uuid, name text, code varchar(20), opened date);
    INSERT INTO shop VALUES ('6f1c0b1e-0000-4000-8000-00000000000a', 'Łódź 🥦 ''North''', 'N', '2020-02-29'),
                            (NULL, NULL, NULL, NULL);
    CREATE TABLE item (id bigint, name text, price numeric, cost money, weight float8, fresh boolean);
    INSERT INTO item VALUES (9007199254740993, 'Apple', 1.2345, '$1,234.50', 0.1, true),
                            (2, 'Bread', 1.23456789, NULL, 0.25, NULL);
    CREATE TABLE line (id bigint, day date, shop text, item int, qty numeric(12, 3), price numeric(12, 2), off float8,
                       changed timestamptz);
    INSERT INTO line VALUES (1, '2024-05-01', 'N', 7, 2.125, 1.99, 0.1, '2024-05-01 21:00:00.123456+02'),
                            (2, '2024-05-02', 'N', 7, -1, NULL, NULL, NULL);
    INSERT INTO line SELECT i, '2023-01-01', 'N', 7, i, 0.5, NULL, NULL FROM generate_series(1000, 40999) i;
    ALTER DATABASE postgres SET timezone TO 'America/New_York';
"""
MAPPING = Mapping(
    name="mine",
    timezone="UTC",
    country="GB",
    currency="GBP",
    entities={
        "stores": EntityBinding(
            source_tables=["shop"],
            query="SELECT code AS store_id, name AS store_name, opened AS opened_date FROM shop ORDER BY code",
        ),
        "products": EntityBinding(
            source_tables=["item"],
            query="""SELECT id AS product_id, name AS product_name, fresh::text AS category, price AS list_price,
                            cost::numeric AS unit_cost, weight AS unit_step
                     FROM item ORDER BY name""",
        ),
        "sales": EntityBinding(
            source_tables=["line"],
            query="SELECT * FROM line WHERE day BETWEEN :start AND :end AND shop <> ':end'",
            columns={
                "sale_line_id": "id",
                "business_date": "day",
                "store_id": "shop",
                "product_id": "item",
                "quantity": "qty",
                "unit_price": "price",
                "discount_value": "off",
                "modified_at": "changed",
            },
        ),
    },
)


@pytest.fixture(scope="module")
def server():
    with running_postgresql() as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(SCHEMA)
        engine.dispose()
        yield sa.make_url(url)


def _odbc(url):
    drivers = glob.glob(ODBC_DRIVERS)
    if not drivers:
        pytest.skip("psqlODBC is not installed; install it with: apt-get install odbc-postgresql")
    return url.set(drivername="postgresql+pyodbc", query={"driver": drivers[0]})


@pytest.fixture(params=["sqlalchemy", "odbc"])
def url(request, server):
    return server if request.param == "sqlalchemy" else _odbc(server)


def _source(url, mapping=MAPPING):
    return Source(url.render_as_string(hide_password=False), mapping)


def test_days_keep_their_types(url):
    table = _source(url).read_days(entities.SALES, MAY_1, MAY_2).read_all()
    assert table.schema == bronze.SALES.schema
    first, second = sorted(table.to_pylist(), key=lambda row: row["sale_line_id"])
    assert (first["sale_line_id"], first["business_date"], first["product_id"]) == ("1", MAY_1, "7")
    assert (first["quantity"], first["unit_price"]) == (Decimal("2.125"), Decimal("1.99"))
    assert first["discount_value"] == Decimal("0.1")
    assert first["modified_at"] == dt.datetime(2024, 5, 1, 19, 0, 0, 123456, dt.UTC), "whatever the session's zone"
    assert (second["quantity"], second["unit_price"], second["modified_at"]) == (Decimal(-1), None, None)
    assert table.column("unparsed").null_count == 2


@pytest.mark.parametrize("column", ["changed", "changed AT TIME ZONE 'UTC'"], ids=["with zone", "without zone"])
@pytest.mark.parametrize(("minute", "days"), [(59, [MAY_1]), (60, [])], ids=["before", "after"])
def test_changed_days_are_told_in_utc_whatever_the_zone_of_the_session(url, column, minute, days):
    """The line was changed at 19:00 UTC; the database speaks of New York."""
    since = dt.datetime(2024, 5, 1, 18, tzinfo=dt.UTC) + dt.timedelta(minutes=minute, seconds=1)
    for changed_days in (None, f"SELECT DISTINCT day FROM line WHERE {column} >= :since"):
        query = f"SELECT day, {column} AS modified_at FROM line WHERE day BETWEEN :start AND :end"
        columns = {"business_date": "day"}
        own = EntityBinding(query=query, source_tables=["line"], columns=columns, changed_days=changed_days)
        found = _source(url, MAPPING.model_copy(update={"entities": {"sales": own}}))
        assert found.changed_days(entities.SALES, since=since, start=MAY_1, end=MAY_2) == days


def test_a_long_window_streams_every_row(url):
    day = dt.date(2023, 1, 1)
    quantities = [
        value
        for batch in _source(url).read_days(entities.SALES, day, day)
        for value in batch.column("quantity").to_pylist()
    ]
    assert sorted(quantities) == [Decimal(i) for i in range(1000, 41000)]


def test_text_is_unicode_and_nulls_stay(url):
    named, empty = _source(url).read_snapshot(entities.STORES).to_pylist()
    assert (named["store_id"], named["store_name"]) == ("N", "Łódź 🥦 'North'")
    assert named["opened_date"] == dt.date(2020, 2, 29)
    assert set(empty.values()) == {None}


def test_numeric_and_money_are_exact_or_kept_as_text(url):
    apple, bread = _source(url).read_snapshot(entities.PRODUCTS).to_pylist()
    assert (apple["product_id"], apple["category"]) == ("9007199254740993", "true")
    assert (apple["list_price"], apple["unit_cost"]) == (Decimal("1.2345"), Decimal("1234.5"))
    assert (apple["unit_step"], bread["unit_step"]) == (0.1, 0.25), "no single precision on the way"
    assert (bread["list_price"], bread["unparsed"]) == (None, '{"list_price": "1.23456789"}')


def _with_stores(query):
    return MAPPING.model_copy(
        update={"entities": MAPPING.entities | {"stores": EntityBinding(query=query, source_tables=["shop"])}}
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM shops", 'relation "shops" does not exist; correct the query in the mapping.'),
        ("SELECT idx FROM shop", 'column "idx" does not exist; correct the query in the mapping.'),
        ("SELECT code AS store_id FROM shop", "the query gives no column store_name; it gives store_id."),
        ("SELECT 1 / 0 AS store_id, 'a' AS store_name", "division by zero; correct the query in the mapping."),
    ],
)
def test_a_wrong_query_says_what_is_wrong(url, query, message):
    with pytest.raises(PermanentFailure) as raised:
        _source(url, _with_stores(query)).read_snapshot(entities.STORES)
    assert str(raised.value).startswith("mapping mine, entity stores: ")
    assert str(raised.value).endswith(message)
    assert "\n" not in str(raised.value)


def test_a_text_beyond_the_odbc_buffer_is_refused_rather_than_cut(server):
    source = _source(_odbc(server), _with_stores("SELECT repeat('x', 5000) AS store_id, 'a' AS store_name"))
    with pytest.raises(PermanentFailure, match="entity stores: a text is longer than 4096 bytes; shorten it"):
        source.read_snapshot(entities.STORES)


def test_a_stopped_server_may_come_back(url):
    with pytest.raises(TransientFailure) as raised:
        _source(url.set(port=1)).read_snapshot(entities.STORES)
    assert str(raised.value).startswith("The operational database 127.0.0.1:1/postgres cannot be read now: ")
    assert "\n" not in str(raised.value) and PASSWORD not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "wrong;secret"}, "password authentication failed"),
        ({"database": "nothing"}, 'database "nothing" does not exist'),
    ],
)
def test_a_refused_connection_needs_a_person(url, change, message):
    with pytest.raises(PermanentFailure) as raised:
        _source(url.set(**change)).read_snapshot(entities.STORES)
    assert message in str(raised.value)
    assert str(raised.value).endswith("correct RETAIL_SOURCE_URL.")
    assert PASSWORD not in str(raised.value) and "wrong;secret" not in str(raised.value)


def test_the_session_is_read_only(server):
    source = _source(server, _with_stores("SELECT nextval('counter') AS store_id, 'a' AS store_name"))
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE counter")
    engine.dispose()
    with pytest.raises(PermanentFailure, match="read-only transaction"):
        source.read_snapshot(entities.STORES)


def test_check_finds_dates_and_faults(url):
    found = {check.entity: check for check in _source(url).check()}
    assert (found["sales"].oldest_date, found["sales"].newest_date) == (dt.date(2023, 1, 1), MAY_2)
    assert found["products"].problems == (
        "mapping mine, entity products: 1 sampled values of list_price are not decimal numbers of at most 4 places, "
        "for example '1.23456789'; use CAST(list_price AS DECIMAL(18, 4)) in the query.",
    )


def test_m5_loads_into_a_server_and_replaces_itself(tmp_path, server):
    folder = m5_folder(tmp_path / "m5")
    address = server.render_as_string(hide_password=False)
    load_m5(folder, address)
    first, last = load_m5(folder, address)
    table = Source(address, load_mapping("m5")).read_days(entities.SALES, first, last).read_all()
    assert table.num_rows == SALE_LINES
    assert table.column("unparsed").null_count == SALE_LINES
    assert Decimal("2.7500") in table.column("unit_price").to_pylist()
