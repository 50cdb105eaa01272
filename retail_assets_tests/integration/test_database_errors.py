"""One kind of error has one class and one exit code, whichever of our databases meets it, on a real PostgreSQL."""

import sys
from collections.abc import Callable, Iterator
from datetime import date

import psycopg
import pytest
import sqlalchemy as sa

from retail_assets.command_line import cli
from retail_assets.database_errors import ConnectionRefused
from retail_assets.demo.retailer import write_days
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.app_database import METADATA, AppDatabase
from retail_assets.resources.source import Source
from retail_assets.resources.warehouse import Warehouse
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import entities
from retail_assets.tables.gold import DIM_STORE
from retail_assets_tests.integration.postgresql import PASSWORD, running_postgresql

WRONG = "wr0ng;w0rd"
DAY = date(2026, 3, 2)


def _source(url: str) -> None:
    Source(url, load_mapping("demo")).read_snapshot(entities.STORES)


def _warehouse(url: str) -> None:
    Warehouse(url).row_count(DIM_STORE, None)


def _decisions(url: str) -> None:
    AppDatabase(url).read(entities.ORDER_DECISIONS)


def _application(url: str) -> None:
    AppDatabase(url).create()


def _demo(url: str) -> None:
    write_days(url, start=DAY, through=DAY)


USERS = [
    (_source, "operational database", "RETAIL_SOURCE_URL"),
    (_warehouse, "postgresql warehouse", "RETAIL_WAREHOUSE_URL"),
    (_decisions, "application database", "RETAIL_APP_DATABASE_URL"),
    (_application, "application database", "RETAIL_APP_DATABASE_URL"),
    (_demo, "demo's database", "RETAIL_SOURCE_URL"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[sa.URL]:
    with running_postgresql() as address:
        yield sa.make_url(address)


@pytest.fixture
def administered(server: sa.URL) -> Iterator[Callable[[str], None]]:
    """Sends statements to the server, each on its own."""
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield lambda statement: connection.execute(statement.encode()) and None


def _exit_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], body: Callable[[], None]
) -> tuple[int, str]:
    """Of the console command, were this its body; and what it prints."""
    monkeypatch.setattr(cli, "app", body)
    monkeypatch.setattr(sys, "argv", ["retail-assets"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0), capfd.readouterr().err


@pytest.mark.parametrize(("use", "name", "setting"), USERS, ids=lambda value: getattr(value, "__name__", None))
@pytest.mark.parametrize(
    ("change", "kind", "code", "says", "advice"),
    [
        ({"password": WRONG}, ConnectionRefused, 2, "password authentication failed", "correct {}."),
        ({"database": "nothing"}, ConnectionRefused, 2, '"nothing" does not exist', "correct {}."),
        ({"query": {"sslmode": "require"}}, ConnectionRefused, 2, "does not support SSL", "encryption options in {}."),
        ({"query": {"sslmode": "perhaps"}}, ConnectionRefused, 2, "invalid sslmode", "encryption options in {}."),
        ({"port": 1}, TransientFailure, 75, "Connection refused", "check {} and the network."),
        ({"host": "no-such-host.invalid"}, TransientFailure, 75, "resolve host", "check {} and the network."),
    ],
    ids=["password", "database", "encryption", "option", "port", "host"],
)
def test_the_same_error_means_the_same_everywhere(
    server, monkeypatch, capfd, use, name, setting, change, kind, code, says, advice
):
    url = server.set(**change).render_as_string(hide_password=False)
    with pytest.raises((PermanentFailure, TransientFailure)) as raised:
        use(url)
    sentence = str(raised.value)
    assert type(raised.value) is kind, sentence
    assert sentence.startswith(f"The {name} ")
    assert says in sentence
    assert sentence.endswith(advice.format(setting))
    assert not any(secret in sentence for secret in (PASSWORD, WRONG, "\n"))
    left, printed = _exit_code(monkeypatch, capfd, lambda: use(url))
    assert (left, sentence in printed) == (code, True)


def test_a_user_who_may_not_connect_needs_a_grant(server, administered):
    for statement in ("CREATE ROLE guest LOGIN PASSWORD 'guest'", "CREATE DATABASE closed"):
        administered(statement)
    administered("REVOKE CONNECT ON DATABASE closed FROM public")
    url = server.set(username="guest", password="guest", database="closed").render_as_string(hide_password=False)
    for use, _, setting in USERS:
        with pytest.raises(ConnectionRefused, match=f"permission denied .* grant this right to the user of {setting}"):
            use(url)


def test_a_user_who_may_not_write_needs_a_grant(server, administered):
    for statement in ("CREATE ROLE reader LOGIN PASSWORD 'reader'", "CREATE DATABASE kept"):
        administered(statement)
    url = server.set(username="reader", password="reader", database="kept").render_as_string(hide_password=False)
    for use, name, setting in USERS[3:]:
        with pytest.raises(PermanentFailure, match="permission denied .* grant this right") as raised:
            use(url)
        assert type(raised.value) is PermanentFailure
        assert str(raised.value).startswith(f"The {name} ")
        assert str(raised.value).endswith(f"the user of {setting}.")


def test_a_server_without_a_free_connection_may_have_one_later(server, administered):
    administered("CREATE ROLE alone LOGIN PASSWORD 'alone' CONNECTION LIMIT 0")
    url = server.set(username="alone", password="alone").render_as_string(hide_password=False)
    for use, name, _ in USERS:
        with pytest.raises(TransientFailure, match=f"^The {name} .* cannot be used now: .*too many connections"):
            use(url)


def test_tables_that_are_not_the_applications_need_a_person(server, administered):
    """A column that is not there was a reason to try again."""
    administered("CREATE DATABASE strange")
    url = server.set(database="strange")
    with psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)) as connection:
        for table in METADATA.tables:
            connection.execute(f"CREATE TABLE {table} (id int)".encode())
    database = AppDatabase(url.render_as_string(hide_password=False))
    with pytest.raises(PermanentFailure, match="does not exist; give the application a database of its own in RETAIL"):
        database.read(entities.ORDER_DECISIONS)
