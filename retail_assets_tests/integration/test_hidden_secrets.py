"""No piece of a password is printed, however badly its address is written: objects, exceptions, and every command."""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.addresses import HIDDEN, database_url, shown, without_secrets
from retail_assets.demo.database import demo_database
from retail_assets.failures import RetailError
from retail_assets.lake.azure.address import azure_address
from retail_assets.lake.lake import Lake
from retail_assets.resources.app_database import AppDatabase
from retail_assets.resources.mlflow import ModelRegistry
from retail_assets.resources.notifier import Notifier
from retail_assets.resources.secrets import read_secret
from retail_assets.resources.source import Source
from retail_assets.resources.spark import SparkSessions
from retail_assets.resources.warehouse import Warehouse
from retail_assets.settings import load_settings
from retail_assets.sources.mapping import load_mapping
from retail_assets_tests.pipeline.shop import LAST, Shop

PASSWORDS = [
    "Kx9q@Vw3z",
    "Kx9q/Vw3z",
    "Kx9q@Vw3z/Tb8y",
    "Kx9q/Vw3z@Tb8y",
    "Kx9q:Vw3z@Tb8y",
    "Kx9q@Vw3z:Tb8y",
    "Kx9q@Vw3z?Tb8y",
    "Kx9q@Vw3z?Tb=8yJq",
    "Kx9q#Vw3z@Tb8y",
    "@Kx9qVw3z",
    "Kx9qVw3z@",
    "Kx9q@Vw3z@Tb8y",
    "Kx9q[Vw3z]@Tb8y",
    "Kx9q Vw3z@Tb8y",
    "Kx9q%Vw3z@Tb8y",
    "12/Vw3zKx9q",
    "Kx9q\\Vw3z@Tb8y",
    "Kx9q;Vw3z@Tb8y",
]
SHAPES = [
    "{scheme}://reader:{password}@db.example/shop",
    "{scheme}://reader:{password}@db.example:5432/shop?x=1",
    "{scheme}:///reader:{password}@db.example/shop",
    "{scheme}:/reader:{password}@db.example/shop",
    "{scheme}//reader:{password}@db.example/shop",
    "{scheme}://reader/me:{password}@db.example/shop",
    '"{scheme}://reader:{password}@db.example/shop"',
    "reader:{password}@db.example/shop",
]


def _pieces(password: str) -> set[str]:
    """Every four signs in a row; three of them letters or digits, so that nothing else is mistaken for one."""
    found = {password[n : n + 4] for n in range(len(password) - 3)}
    return {piece for piece in found if sum(sign.isalnum() for sign in piece) >= 3}


def _leaks(text: str, password: str) -> list[str]:
    return sorted(piece for piece in _pieces(password) if piece in text)


def _told(make: Callable[[], object]) -> str:
    """What an object shows of itself, or the error with its whole chain as a log would print it."""
    try:
        made = make()
    except RetailError as error:
        return str(error) + "".join(traceback.format_exception(error)).split("Traceback", 1)[-1].rsplit("Error", 1)[-1]
    return repr(made) + str(made)


def _demo(url: str) -> None:
    with demo_database(url):
        pass


def _objects(url: str) -> dict[str, Callable[[], object]]:
    return {
        "source": lambda: Source(url, load_mapping("demo")),
        "warehouse": lambda: Warehouse(url),
        "decisions": lambda: AppDatabase(url),
        "models": lambda: ModelRegistry(url, Path("models")),
        "lake": lambda: Lake(url),
        "lake address": lambda: azure_address(url),
        "lake setting": lambda: load_settings(lake_uri=url).lake,
        "home": lambda: load_settings(home=url).folder,
        "mapping": lambda: load_mapping(url),
        "vault": lambda: read_secret(url, "name"),
        "vault setting": lambda: load_settings(key_vault_url=url).key_vault_url,
        "webhook": lambda: Notifier(url),
        "spark": lambda: SparkSessions(url, {}, memory="1GB"),
        "engine": lambda: load_settings(engine=url),
        "shown": lambda: shown(url),
    }


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mssql+pyodbc", "sqlite", "duckdb", "https", "abfss", "sc"])
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_shows_a_piece_of_a_password_that_is_not_escaped(scheme, shape, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for password in PASSWORDS:
        url = shape.format(scheme=scheme, password=password)
        found = {name: _leaks(_told(make), password) for name, make in _objects(url).items()}
        assert {name: leaks for name, leaks in found.items() if leaks} == {}, url
    assert list(tmp_path.iterdir()) == []


ANY_PASSWORD = st.text("QXZVKJ0189@/:?#[]%&=;.", min_size=6, max_size=16)


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "sqlite", "https", "abfss"])
def test_no_password_is_shown_whatever_its_signs_are(scheme):
    @given(ANY_PASSWORD)
    def shows_nothing(password: str) -> None:
        for shape in SHAPES[:2]:
            url = shape.format(scheme=scheme, password=password)
            found = {name: _leaks(_told(make), password) for name, make in _objects(url).items()}
            assert {name: leaks for name, leaks in found.items() if leaks} == {}, url

    shows_nothing()


def test_the_sentence_says_how_to_write_the_signs():
    with pytest.raises(RetailError) as raised:
        Source("postgresql+psycopg://reader:p@ss/word@host/shop", load_mapping("demo"))
    assert str(raised.value) == (
        "RETAIL_SOURCE_URL cannot be read as an address, got postgresql+psycopg://…; write @ in a user or password as "
        "%40, / as %2F, : as %3A, ? as %3F, # as %23."
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader:p%40ss%2Fword@host/shop",
        "postgresql+psycopg://me%40server:pw@host:5432/shop",
        "postgresql+psycopg://reader:pass/word@host/shop",  # what SQLAlchemy reads right
        "postgresql+psycopg://reader:pw@[::1]:5432/shop",
        "postgresql+psycopg://reader@/shop?host=/var/run/postgresql",
        "mssql+pyodbc://reader:pw@server\\SQLEXPRESS/shop?driver=ODBC+Driver+18+for+SQL+Server",
        "mssql+pyodbc:///?odbc_connect=DRIVER=FreeTDS;SERVER=h;UID=me@d;PWD=p@ss",
        "sqlite:////data/with@sign/shop.db",
        "sqlite:///C:/data/shop.db",
        "duckdb:///md:shop?motherduck_token=x",
    ],
)
def test_an_address_that_is_right_is_read(url):
    assert database_url(url, variable="RETAIL_SOURCE_URL")


@pytest.mark.parametrize(
    "address",
    [
        "/data/lake",
        "lake",
        "C:/lake",
        "abfss://lake@account.dfs.core.windows.net/retail",
        "az://lake/retail",
        "file:///data/lake",
        "Europe/London",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(address):
    assert shown(address) == address


def test_the_words_of_other_libraries_lose_every_way_of_writing_a_secret():
    url = "mssql+pyodbc://reader:p%40ss%2Fword@host/shop?token=t0k3n&odbc_connect=UID%3Dme%3BPWD%3Dh1dd3n"
    said = "p@ss/word p%40ss%2Fword t0k3n h1dd3n reader host"
    assert without_secrets(said, url) == f"{HIDDEN} {HIDDEN} {HIDDEN} {HIDDEN} reader host"
    assert without_secrets("https://t0k3n@host refused", "https://t0k3n@host") == f"https://{HIDDEN} refused"


COMMANDS = (
    ("run",),
    ("check-source",),
    ("new-mapping",),
    ("demo",),
    ("show", "gold/fact_sales"),
    ("what-if", "--service-level", "0.9"),
    ("backtest",),
)
VARIABLES = {
    "RETAIL_SOURCE_URL": "postgresql+psycopg",
    "RETAIL_WAREHOUSE_URL": "postgresql+psycopg",
    "RETAIL_APP_DATABASE_URL": "postgresql+psycopg",
    "MLFLOW_TRACKING_URI": "https",
    "RETAIL_LAKE_URI": "https",
    "RETAIL_KEY_VAULT_URL": "https",
    "RETAIL_ALERT_WEBHOOK_URL": "https",
    "RETAIL_SOURCE_MAPPING": "https",
    "RETAIL_HOME": "https",
}


@pytest.fixture(scope="module")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A shop of one day, so that commands come as far as their own addresses."""
    shop = Shop(tmp_path_factory.mktemp("shop"), first=LAST)
    shop.live_to(LAST)
    return f"sqlite:///{shop.source}"


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.parametrize("variable", VARIABLES)
def test_no_command_prints_a_piece_of_it(variable, small_source, typed, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETAIL_START_DATE", "2026-01-01")
    monkeypatch.setenv("RETAIL_SOURCE_URL", small_source)
    for password in ("Kx9q@Vw3z/Tb8y", "Kx9q/Vw3z@Tb8y"):
        monkeypatch.setenv(variable, SHAPES[0].format(scheme=VARIABLES[variable], password=password))
        for command in COMMANDS:
            if variable in ("RETAIL_ALERT_WEBHOOK_URL", "RETAIL_KEY_VAULT_URL") and command == ("run",):
                continue  # it would run to its end; its log is searched in dagster/test_secrets.py
            code, printed, error = typed(*command)
            assert _leaks(printed + error + caplog.text, password) == [], command
            assert code in (0, 2), (command, error)
    assert not [path for path in tmp_path.rglob("*") if "Kx9q" in str(path)]
