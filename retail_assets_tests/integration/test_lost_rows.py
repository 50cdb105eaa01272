"""A moment compared with two dates loses the newest day and every month's last: check-source refuses it by its cause,
and an ingest stops before a day is lost. SQLite needs no server; PostgreSQL is a real one."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
import yaml

from retail_assets.command_line import cli
from retail_assets_tests.integration.postgresql import PASSWORD, running_postgresql

FIRST, LAST = date(2026, 9, 20), date(2026, 10, 5)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
SALES = (
    "SELECT id AS sale_line_id, day AS business_date, 'N' AS store_id, item AS product_id, 1 AS quantity, 2 AS "
    "unit_price FROM line WHERE {} "
)
MOVED = "SELECT id AS movement_id, {day} AS business_date, 'N' AS store_id, 'A' AS product_id, 'receipt' AS "
MOVED += "movement_type, 1 AS quantity, moved_at AS modified_at FROM movement m WHERE {where}"
STOCK = "SELECT StockDate AS business_date, 'N' AS store_id, 'A' AS product_id, 5 AS on_hand_units FROM stock WHERE {}"
QUERIES = {
    "stores": "SELECT 'N' AS store_id, 'North' AS store_name",
    "products": "SELECT 'A' AS product_id, 'Apple' AS product_name",
    "sales": SALES.format("day BETWEEN :start AND :end"),
}
DAY_OF = {"sqlite": "date(moved_at)", "postgresql": "moved_at::date"}


def _mapping(path: Path, **queries: str) -> None:
    bound = {name: {"query": query, "source_tables": [name]} for name, query in (QUERIES | queries).items()}
    content = {"name": "mine", "timezone": "UTC", "country": "GB", "currency": "GBP", "entities": bound}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def _moments(day: date) -> list[datetime]:
    """Four a day, none of them at midnight."""
    return [datetime(day.year, day.month, day.day, hour, 15) for hour in (7, 11, 16, 22)]


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE line (id INTEGER PRIMARY KEY, day TEXT, item TEXT);
            CREATE TABLE movement (id INTEGER PRIMARY KEY, moved_at TEXT);
            CREATE TABLE stock (StockDate TEXT);
        """)
        connection.executemany("INSERT INTO line (day, item) VALUES (?, 'A')", [(str(day),) for day in DAYS * 30])
        moments = [(str(moment),) for day in DAYS for moment in _moments(day)]
        connection.executemany("INSERT INTO movement (moved_at) VALUES (?)", moments)
        connection.executemany("INSERT INTO stock VALUES (?)", [(f"{day} 00:00:00",) for day in DAYS])
        connection.commit()
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def postgresql_url():
    with running_postgresql() as url:
        parts = sa.make_url(url)
        with psycopg.connect(
            host=parts.host, port=parts.port, user=parts.username, password=PASSWORD, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute("CREATE TABLE line (id serial, day date, item text)")
            connection.execute("CREATE TABLE movement (id serial, moved_at timestamp)")
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO line (day, item) VALUES (%s, 'A')", [(day,) for day in DAYS])
                moments = [(moment,) for day in DAYS for moment in _moments(day)]
                cursor.executemany("INSERT INTO movement (moved_at) VALUES (%s)", moments)
        yield parts.render_as_string(hide_password=False)


@pytest.fixture
def url(request) -> str:
    return request.getfixturevalue(f"{request.param}_url")


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path, monkeypatch, typed) -> Command:
    """Runs a command on a mapping of these queries; gives its exit code, what it printed and its error."""

    def call(*arguments: str, url: str, **queries: str) -> tuple[int, str, str]:
        _mapping(tmp_path / "mine.yaml", **queries)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("RETAIL_SOURCE_MAPPING", "mine.yaml")
        monkeypatch.setenv("RETAIL_SOURCE_URL", url)
        monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
        monkeypatch.setattr(cli.console, "width", 200)
        return typed(*arguments)

    return call


MENDS = {
    "sqlite": "moved_at >= :start AND moved_at < date(:end, '+1 day')",
    "postgresql": "moved_at >= :start AND moved_at < :end + INTERVAL '1 day'",
}


@pytest.mark.parametrize("url", MENDS, indirect=True)
@pytest.mark.parametrize(
    "where",
    [
        "moved_at BETWEEN :start AND :end",
        "moved_at >= :start AND moved_at <= :end",
        ":start <= moved_at AND :end >= moved_at",
    ],
)
def test_a_moment_compared_with_two_dates_is_refused_with_the_cause_and_the_mend(command, url, where):
    dialect = sa.make_url(url).get_backend_name()
    code, printed, _ = command("check-source", url=url, stock_movements=MOVED.format(day=DAY_OF[dialect], where=where))
    assert code == 2
    assert (
        "mapping mine, entity stock_movements: the newest day 2026-10-05 has 4 rows but the query returns none of them "
        f"when it is asked for that day alone: `moved_at` is a moment, compare its date: {MENDS[dialect]}." in printed
    )
    assert "Next:" not in printed


@pytest.mark.parametrize("url", MENDS, indirect=True)
@pytest.mark.parametrize("where", [None, "{day} BETWEEN :start AND :end", "{day} >= :start AND {day} <= :end"])
def test_the_mend_and_other_whole_days_are_good(command, url, where):
    dialect = sa.make_url(url).get_backend_name()
    day = DAY_OF[dialect]
    query = MOVED.format(day=day, where=where.format(day=day) if where else MENDS[dialect])
    code, printed, _ = command("check-source", url=url, stock_movements=query)
    assert (code, "is a moment" in printed) == (0, False), printed


def test_the_end_left_out_is_named_as_such(command, sqlite_url):
    query = SALES.format("day >= :start AND day < :end")
    code, printed, _ = command("check-source", url=sqlite_url, sales=query)
    assert code == 2
    assert (
        "entity sales: the newest day 2026-10-05 has 30 rows but the query returns none of them when it is asked for "
        "that day alone: :end is included but the query stops before it; write day >= :start AND day < "
        "date(:end, '+1 day')." in printed
    )
    assert "the query gives no rows" not in printed


def test_stock_dates_with_a_time_in_their_text_are_refused(command, sqlite_url):
    code, printed, _ = command(
        "check-source", url=sqlite_url, inventory=STOCK.format("StockDate BETWEEN :start AND :end")
    )
    assert code == 2
    assert "the newest day 2026-10-05 has 1 rows but the query returns none of them" in printed
    assert (
        "`StockDate` is a moment, compare its date: StockDate >= :start AND StockDate < date(:end, '+1 day')" in printed
    )


def test_rows_at_midnight_do_not_hide_the_loss(command, sqlite_url):
    """A day that comes in part: some movements are booked at midnight."""
    day = "CASE WHEN id % 4 = 0 THEN date(moved_at) ELSE moved_at END"
    query = MOVED.format(day=DAY_OF["sqlite"], where=f"{day} BETWEEN :start AND :end")
    code, printed, _ = command("check-source", url=sqlite_url, stock_movements=query)
    assert code == 2
    assert (
        "the newest day 2026-10-05 has 4 rows but the query returns 1 of them when it is asked for that day" in printed
    )


def test_days_of_another_zone_than_the_comparison_are_refused(command, sqlite_url):
    """Business dates two hours ahead of the moments that are compared."""
    query = MOVED.format(day="date(moved_at, '+2 hours')", where="date(moved_at) BETWEEN :start AND :end")
    code, printed, _ = command("check-source", url=sqlite_url, stock_movements=query)
    assert code == 2
    assert (
        "the newest day 2026-10-06 has 1 rows but the query returns none of them when it is asked for that day alone: "
        "it compares :start and :end with something else than the date it gives as business_date; compare that date."
        in printed
    )


@pytest.mark.parametrize(
    "where",
    [
        "date(moved_at) BETWEEN :start AND :end AND moved_at < '2026-10-04'",  # nothing on the newest days of sales
        "date(moved_at) BETWEEN :start AND :end AND date(moved_at) IN ('2026-09-21', '2026-10-02')",
        "date(moved_at) BETWEEN :start AND :end AND 1 = 0",
    ],
)
def test_days_without_rows_are_no_loss(command, sqlite_url, where):
    code, printed, _ = command(
        "check-source", url=sqlite_url, stock_movements=MOVED.format(day=DAY_OF["sqlite"], where=where)
    )
    assert (code, "has" in printed and "rows but" in printed) == (0, False), printed


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of ibis, met when a run begins
def test_an_ingest_stops_before_a_day_is_lost(command, sqlite_url, monkeypatch):
    """The mapping was never checked: September's last day would be lost for ever."""
    monkeypatch.setenv("RETAIL_START_DATE", str(FIRST))
    query = MOVED.format(day=DAY_OF["sqlite"], where="moved_at BETWEEN :start AND :end")
    code, _, error = command("run", url=sqlite_url, stock_movements=query)
    assert code == 2
    assert (
        "mapping mine, entity stock_movements: 2026-09-30 has 4 rows but the query returns none of them when it is "
        f"asked for that day alone: `moved_at` is a moment, compare its date: {MENDS['sqlite']}." in error
    )
