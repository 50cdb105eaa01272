"""The source on a real PostgreSQL: exact types by SQLAlchemy and by ODBC, windows bound, errors in one sentence."""

import datetime as dt
import glob
import time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from retail_assets.demo.m5 import load_m5
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.source import Source
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


def _price(kind, value, *, plain="1.5"):
    """A product of a price of that type, after 20,000 of a plain one: a driver may judge a column by its first rows."""
    return (
        f"SELECT i::text AS product_id, 'a' AS product_name, CASE WHEN i > 20000 THEN {value}::{kind} "
        f"ELSE {plain}::{kind} END AS list_price FROM generate_series(1, 20001) i ORDER BY i"
    )


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("numeric", "20099.5678", (Decimal("20099.5678"), None)),
        ("numeric", "20099.56789", (None, '{"list_price": "20099.56789"}')),
        ("numeric(12, 2)", "'NaN'", (None, '{"list_price": "NaN"}')),
        ("numeric(50, 10)", "0.25", (Decimal("0.25"), None)),
        ("oid", "3000000000", (Decimal(3_000_000_000), None)),
    ],
)
def test_a_number_is_exact_whatever_the_rows_before_it(url, kind, value, expected):
    query = _price(kind, value, plain="7")
    own = EntityBinding(query=query, source_tables=["item"])
    mapping = MAPPING.model_copy(update={"entities": MAPPING.entities | {"products": own}})
    rows = _source(url, mapping).read_snapshot(entities.PRODUCTS).to_pylist()
    assert len(rows) == 20_001 and rows[0]["list_price"] == Decimal(7)
    assert (rows[-1]["list_price"], rows[-1]["unparsed"]) == expected


@pytest.mark.parametrize("day", ["infinity", "20244-03-15"])
def test_a_day_no_calendar_has_is_kept_as_text_by_odbc(server, day):
    """Psycopg refuses the whole query; psqlODBC would give today."""
    query = f"SELECT 'S' AS store_id, 'a' AS store_name, date '{day}' AS opened_date"
    [row] = _source(_odbc(server), _with_stores(query)).read_snapshot(entities.STORES).to_pylist()
    assert row["opened_date"] is None and "opened_date" in row["unparsed"]


def test_a_text_column_without_a_length_holds_what_others_hold(url):
    query = "SELECT 'S' AS store_id, CASE WHEN true THEN repeat('é', 2000) END::varchar AS store_name"
    [row] = _source(url, _with_stores(query)).read_snapshot(entities.STORES).to_pylist()
    assert row["store_name"] == "é" * 2000


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
    assert str(raised.value).startswith("The operational database 127.0.0.1:1/postgres cannot be used now: ")
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


def _run(server, *statements):
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_the_session_is_read_only(server, url):
    """A function of the database's own may write; no parser can see that."""
    _run(
        server,
        "CREATE SEQUENCE IF NOT EXISTS counter",
        "CREATE OR REPLACE FUNCTION numbered() RETURNS text LANGUAGE sql AS 'SELECT nextval(''counter'')::text'",
    )
    source = _source(url, _with_stores("SELECT numbered() AS store_id, 'a' AS store_name"))
    with pytest.raises(PermanentFailure, match="read-only transaction"):
        source.read_snapshot(entities.STORES)


def test_a_read_is_of_one_moment(url):
    query = "SELECT current_setting('transaction_isolation') AS store_id, 'a' AS store_name"
    assert _source(url, _with_stores(query)).read_snapshot(entities.STORES)["store_id"].to_pylist() == [
        "repeatable read"
    ]


def test_what_is_committed_during_a_read_is_not_seen(server, url):
    """Rows arrive batch by batch; a change between two of them belongs to the next read."""
    _run(
        server,
        "DROP TABLE IF EXISTS moving",
        "CREATE TABLE moving AS SELECT i AS id, date '2024-05-01' AS day, 1 AS qty FROM generate_series(1, 200000) i",
    )
    query = (
        "SELECT id AS sale_line_id, day AS business_date, 'N' AS store_id, '1' AS product_id, qty AS quantity, "
        "1.00 AS unit_price FROM moving WHERE day BETWEEN :start AND :end"
    )
    reader = _source(url, _with_sales(query)).read_days(entities.SALES, MAY_1, MAY_1)
    first = reader.read_next_batch()
    _run(server, "UPDATE moving SET qty = 2", "INSERT INTO moving VALUES (0, '2024-05-01', 5)")
    rest = reader.read_all()
    assert first.num_rows + rest.num_rows == 200_000
    assert set(first["quantity"].to_pylist()) | set(rest["quantity"].to_pylist()) == {Decimal(1)}


MONTH = MAY_1, dt.date(2024, 5, 31)
MONTHLY = (
    "SELECT i AS sale_line_id, date '2024-05-01' + i % 31 AS business_date, 'N' AS store_id, '1' AS product_id, "
    "(SELECT max(seen) FROM noted) AS quantity, 1.00 AS unit_price FROM generate_series(0, 199999) i "
    "WHERE date '2024-05-01' + i % 31 BETWEEN :start AND :end"
)
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@pytest.fixture
def monthly(server):
    _run(server, "DROP TABLE IF EXISTS noted", "CREATE TABLE noted AS SELECT 1 AS seen")
    return MONTHLY


def _sessions(server):
    """Those that read, without the one that asks."""
    engine = sa.create_engine(server)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f"{SESSIONS} AND pid <> pg_backend_pid()").scalar_one()
    engine.dispose()
    return found


def _sessions_end(server):
    """A session ends a moment after its connection was closed."""
    for _ in range(100):
        if not _sessions(server):
            return True
        time.sleep(0.1)
    return False


def test_a_month_through_odbc_is_read_by_two_sessions_as_of_one_moment(server, monthly):
    reader = _source(_odbc(server), _with_sales(monthly)).read_days(entities.SALES, *MONTH)
    assert _sessions(server) == 2
    _run(server, "UPDATE noted SET seen = 2")
    rows = reader.read_all()
    assert sorted(map(int, rows["sale_line_id"].to_pylist())) == list(range(200_000)), "every row, and each once"
    assert set(rows["quantity"].to_pylist()) == {Decimal(1)}
    assert _sessions_end(server)


def test_both_sessions_of_a_month_see_the_moment_of_the_first(server):
    query = (
        "SELECT business_date::text AS sale_line_id, business_date::date, pg_current_snapshot()::text AS store_id, "
        "current_setting('transaction_read_only') AS product_id, 1 AS quantity, 1.00 AS unit_price "
        "FROM generate_series(CAST(:start AS timestamp), CAST(:end AS timestamp), '1 day') business_date"
    )
    rows = _source(_odbc(server), _with_sales(query)).read_days(entities.SALES, *MONTH).read_all()
    assert (rows.num_rows, len(set(rows["store_id"].to_pylist()))) == (31, 1)
    assert set(rows["product_id"].to_pylist()) == {"on"}


def test_a_user_of_one_connection_reads_a_month_all_the_same(server, monthly):
    _run(server, "DROP ROLE IF EXISTS narrow", "CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 1")
    _run(server, "GRANT SELECT ON noted TO narrow")
    url = _odbc(server).set(username="narrow", password="narrow")
    reader = _source(url, _with_sales(monthly)).read_days(entities.SALES, *MONTH)
    assert _sessions(server) == 1
    assert sum(batch.num_rows for batch in reader) == 200_000
    _run(server, "REVOKE ALL ON noted FROM narrow", "DROP ROLE narrow")


def test_a_server_that_shares_no_moment_is_read_by_one_session(server, monthly):
    _run(server, "REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC", "DROP ROLE IF EXISTS other")
    _run(server, "CREATE ROLE other LOGIN PASSWORD 'other'", "GRANT SELECT ON noted TO other")
    url = _odbc(server).set(username="other", password="other")
    reader = _source(url, _with_sales(monthly)).read_days(entities.SALES, *MONTH)
    assert _sessions(server) == 1
    assert sum(batch.num_rows for batch in reader) == 200_000
    _run(server, "REVOKE ALL ON noted FROM other", "DROP ROLE other")


def test_days_that_both_halves_of_a_month_give_are_refused(server, monthly):
    """One day too many is no other month's day here, so only the halves tell it."""
    query = f"{monthly} + 1"
    with pytest.raises(PermanentFailure, match=r"asked for 2024-05-01 to 2024-05-16, the query gives .* to 2024-05-17"):
        _source(_odbc(server), _with_sales(query)).read_days(entities.SALES, *MONTH).read_all()


@pytest.mark.parametrize("ending", ["pg_terminate_backend", "pg_cancel_backend"])
def test_a_month_that_loses_one_of_its_sessions_fails_as_a_whole(server, monthly, ending):
    many = monthly.replace("199999", "1999999")
    reader = _source(_odbc(server), _with_sales(many)).read_days(entities.SALES, *MONTH)
    _run(
        server,
        f"SELECT {ending}(max(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = "
        "'client backend'",
    )
    if ending == "pg_terminate_backend":
        with pytest.raises(TransientFailure, match="cannot be used now: "):
            reader.read_all()
        return
    try:  # a session that was just waiting for its client is not cancelled
        rows = sum(batch.num_rows for batch in reader)
    except TransientFailure:
        return
    assert rows == 2_000_000


def test_a_read_that_is_given_up_or_fails_leaves_no_session(server, monthly):
    failing = monthly.replace("1.00 AS unit_price", "1 / (i - 190000) AS unit_price")
    reader = _source(_odbc(server), _with_sales(failing)).read_days(entities.SALES, *MONTH)
    with pytest.raises(PermanentFailure, match="division by zero") as kept:
        reader.read_all()
    assert _sessions_end(server), f"while the error is kept: {kept.value}"
    given_up = _source(_odbc(server), _with_sales(monthly)).read_days(entities.SALES, *MONTH)
    given_up.close()
    del given_up
    assert _sessions_end(server)


def _with_sales(query):
    binding = EntityBinding(query=query, source_tables=["line"])
    return MAPPING.model_copy(update={"entities": MAPPING.entities | {"sales": binding}})


LETTERS = ["🥦🧑‍🌾", "مرحبا", "e\u0301", "𠜎", "Żółć", "'; --", "tab\there", "x" * 4000]


def test_every_letter_survives(server, url):
    values = ", ".join(f"({number}, {_quoted(text)})" for number, text in enumerate(LETTERS))
    query = f"SELECT id::text AS store_id, name AS store_name FROM (VALUES {values}) AS v(id, name) ORDER BY id"
    assert _source(url, _with_stores(query)).read_snapshot(entities.STORES)["store_name"].to_pylist() == LETTERS


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"


def test_identifiers_flags_and_small_numbers_become_text(url):
    query = """SELECT '6F1C0B1E-0000-4000-8000-00000000000A'::uuid AS store_id, 'a' AS store_name,
                      42::smallint AS region, 9223372036854775807::bigint AS store_format"""
    [row] = _source(url, _with_stores(query)).read_snapshot(entities.STORES).to_pylist()
    assert row["store_id"].lower() == "6f1c0b1e-0000-4000-8000-00000000000a", "psqlODBC gives capitals"
    assert row["region"] == "42"


@pytest.mark.parametrize("day", ["2024-03-31", "2024-10-27"], ids=["clocks go forward", "clocks go back"])
def test_a_late_sale_lands_on_its_local_day_when_the_clocks_change(url, day):
    """The mapping computes the business date in the stores' zone; a moment with an offset is in UTC in bronze."""
    at = f"timestamp '{day} 23:30' AT TIME ZONE 'Europe/London'"
    query = (
        f"SELECT '1' AS sale_line_id, (sold_at AT TIME ZONE 'Europe/London')::date AS business_date, 'N' AS store_id, "
        f"'1' AS product_id, 1 AS quantity, 1.00 AS unit_price, sold_at AS modified_at FROM (SELECT {at} AS sold_at) s "
        "WHERE (sold_at AT TIME ZONE 'Europe/London')::date BETWEEN :start AND :end"
    )
    local = dt.date.fromisoformat(day)
    [row] = _source(url, _with_sales(query)).read_days(entities.SALES, local, local).read_all().to_pylist()
    expected = dt.datetime.combine(local, dt.time(23, 30), ZoneInfo("Europe/London")).astimezone(dt.UTC)
    assert (row["business_date"], row["modified_at"]) == (local, expected)


def test_a_moment_is_no_business_date(url):
    """Which day a moment belongs to depends on the stores' zone, so the mapping has to say it."""
    query = (
        "SELECT '1' AS sale_line_id, timestamptz '2024-05-01 23:30+00' AS business_date, 'N' AS store_id, "
        "'1' AS product_id, 1 AS quantity, 1.00 AS unit_price WHERE :start <= :end"
    )
    with pytest.raises(PermanentFailure, match="1 rows have no readable business_date"):
        _source(url, _with_sales(query)).read_days(entities.SALES, MAY_1, MAY_2)


def test_a_server_that_ends_the_session_midway_may_come_back(server, url):
    query = (
        "SELECT i AS sale_line_id, date '2024-05-01' AS business_date, repeat('N', 100) AS store_id, "
        "'1' AS product_id, 1 AS quantity, 1.00 AS unit_price FROM generate_series(1, 2000000) i WHERE :start <= :end"
    )
    reader = _source(url, _with_sales(query)).read_days(entities.SALES, MAY_1, MAY_1)
    _run(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = "
        "'client backend'",
    )
    with pytest.raises(TransientFailure, match="cannot be used now: "):
        reader.read_all()


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
