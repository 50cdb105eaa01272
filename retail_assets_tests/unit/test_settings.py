"""Settings: defaults, every sentence about a wrong value, Key Vault values, and secrets that are never printed."""

import importlib.util
import re
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from retail_assets import settings as settings_module
from retail_assets.failures import PermanentFailure
from retail_assets.resources import secrets
from retail_assets.settings import Settings, load_settings

CANARY = "c4n4ry"
SECRETS = {
    "RETAIL_SOURCE_URL": "source_secret",
    "RETAIL_WAREHOUSE_URL": "warehouse_secret",
    "RETAIL_APP_DATABASE_URL": "app_database_secret",
    "MLFLOW_TRACKING_URI": "mlflow_secret",
    "RETAIL_ALERT_WEBHOOK_URL": "alert_webhook_secret",
    "RETAIL_LAKE_CREDENTIALS": "lake_credentials_secret",
}


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without a .env file of its own, and the home in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))


def sentence(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PermanentFailure) as raised:
        load_settings()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_any_variable_everything_lies_in_one_folder(tmp_path: Path) -> None:
    settings = load_settings()
    folder = tmp_path / "home" / "demo"
    assert settings.folder == folder
    assert settings.lake == str(folder / "lake")
    assert settings.source_secret == f"sqlite:///{folder}/source.db"
    assert settings.warehouse_secret == f"duckdb:///{folder}/warehouse.duckdb"
    assert settings.app_database_secret == f"sqlite:///{folder}/application.db"
    assert settings.mlflow_secret == f"sqlite:///{folder}/mlflow.db"
    assert settings.dagster_home == folder / "dagster"
    assert (settings.alert_webhook_secret, settings.lake_credentials_secret) == (None, None)
    assert (settings.engine, settings.horizon_days, settings.service_level) == ("duckdb", 28, 0.95)
    assert not (tmp_path / "home").exists(), "reading settings writes nothing"


def test_the_home_is_absolute_and_named_after_the_mapping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETAIL_HOME", "relative")
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", "mappings/our_shop.yaml")
    assert load_settings().folder == tmp_path / "relative" / "our_shop"


def test_variables_win_over_the_env_file_and_that_over_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("RETAIL_HORIZON_DAYS=14\nRETAIL_TRAILING_DAYS=9\n", encoding="utf-8")
    monkeypatch.setenv("RETAIL_HORIZON_DAYS", "21")
    settings = load_settings()
    assert (settings.horizon_days, settings.trailing_days, settings.train_days) == (21, 9, 730)


WRONG = [
    ("RETAIL_START_DATE", "gestern", "input should be a valid date or datetime, input is too short", "2025-01-01"),
    ("RETAIL_START_DATE", "", "input should be a valid date or datetime, input is too short", "2025-01-01"),
    ("RETAIL_HORIZON_DAYS", "abc", "input should be a valid integer, unable to parse string as an integer", "28"),
    ("RETAIL_HORIZON_DAYS", "6", "input should be greater than or equal to 7", "28"),
    ("RETAIL_HORIZON_DAYS", "91", "input should be less than or equal to 90", "28"),
    ("RETAIL_TRAILING_DAYS", "-1", "input should be greater than or equal to 0", "3"),
    ("RETAIL_TRAILING_DAYS", "61", "input should be less than or equal to 60", "3"),
    ("RETAIL_TRAIN_DAYS", "89", "input should be greater than or equal to 90", "730"),
    ("RETAIL_FORECAST_BACKFILL_DAYS", "0", "input should be greater than or equal to 1", "56"),
    ("RETAIL_HISTORY_DAYS", "6", "input should be greater than or equal to 7", "30"),
    ("RETAIL_ENGINE", "polars", "input should be 'duckdb' or 'spark'", "duckdb"),
    ("RETAIL_TIMEZONE", "Mars/Base", "is not an IANA time zone", "Europe/London"),
    ("RETAIL_MEMORY_LIMIT", "lots", r"string should match pattern '^\d+(\.\d+)?\s*(MB|GB)$'", "2GB"),
    ("RETAIL_SERVICE_LEVEL", "95", "input should be less than 1", "0.95"),
    ("RETAIL_SERVICE_LEVEL", "0.5", "input should be greater than 0.5", "0.95"),
]


@pytest.mark.parametrize(("variable", "got", "reason", "example"), WRONG)
def test_a_wrong_value(monkeypatch: pytest.MonkeyPatch, variable: str, got: str, reason: str, example: str) -> None:
    said = sentence(monkeypatch, **{variable: got})
    assert said == f"{variable} is wrong: got {got!r}, {reason}; for example {variable}={example}."


@pytest.mark.parametrize("variable", sorted({row[0] for row in WRONG}))
def test_the_example_of_a_wrong_value_is_right(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    wrong, example = next((row[1], row[3]) for row in WRONG if row[0] == variable)
    said = sentence(monkeypatch, **{variable: wrong})
    monkeypatch.setenv(variable, example)
    load_settings()
    assert f"{variable}={example}." in said


def test_every_setting_with_limits_is_tried_wrong() -> None:
    """A new limited setting without a sentence above fails here."""
    free_text = (Path, Path | None, str, str | None, SecretStr | None)
    fields = Settings.model_fields.items()
    limited = {f"RETAIL_{name.upper()}" for name, f in fields if f.metadata or f.annotation not in free_text}
    assert limited | {"RETAIL_TIMEZONE"} == {row[0] for row in WRONG}


def test_an_own_source_needs_its_first_day(monkeypatch: pytest.MonkeyPatch) -> None:
    said = sentence(monkeypatch, RETAIL_SOURCE_URL=f"mssql+pyodbc://reader:{CANARY}@shop/erp")
    assert said == (
        "RETAIL_START_DATE is missing: RETAIL_SOURCE_URL is set and has no recorded first day; "
        "for example RETAIL_START_DATE=2025-01-01."
    )


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("RETAIL_LAKE_URL", "RETAIL_LAKE_URI"),
        ("RETAIL_HORIZON_DAY", "RETAIL_HORIZON_DAYS"),
        ("RETAIL_SOURCE_MAPING", "RETAIL_SOURCE_MAPPING"),
        ("RETAIL_SERVICELEVEL", "RETAIL_SERVICE_LEVEL"),
    ],
)
def test_a_misspelt_variable_names_the_right_one(monkeypatch: pytest.MonkeyPatch, variable: str, hint: str) -> None:
    assert sentence(monkeypatch, **{variable: CANARY}) == f"{variable} is not a setting: did you mean {hint}?"


def test_a_misspelt_line_of_the_env_file_is_found_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"RETAIL_LAKE_URL={CANARY}\n", encoding="utf-8")
    with pytest.raises(PermanentFailure) as raised:
        load_settings()
    assert str(raised.value) == "RETAIL_LAKE_URL is not a setting: did you mean RETAIL_LAKE_URI?"


def test_a_variable_unlike_any_lists_all(monkeypatch: pytest.MonkeyPatch) -> None:
    said = sentence(monkeypatch, RETAIL_=CANARY)
    known = re.findall(r"RETAIL_[A-Z_]+", said.split("known are")[-1])
    assert said.startswith("RETAIL_ is not a setting: ") and CANARY not in said
    assert known == sorted(known)


@pytest.mark.parametrize("variable", ["RETAIL_SOURCE_URL", "MLFLOW_TRACKING_URI"])
def test_a_wrong_secret_is_not_repeated(variable: str) -> None:
    name = variable.removeprefix("RETAIL_").lower() if variable.startswith("RETAIL_") else variable
    with pytest.raises(PermanentFailure) as raised:
        load_settings(**{name: [CANARY]}, start_date="2025-01-01")
    said = str(raised.value)
    assert said.startswith(f"{variable} is wrong: got a hidden value, input should be a valid string; for example ")
    assert CANARY not in said


def test_secrets_are_read_but_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_START_DATE", "2025-01-01")
    for variable in SECRETS:
        monkeypatch.setenv(variable, f"scheme://user:{CANARY}{variable}@host/db")
    settings = load_settings()
    for variable, secret in SECRETS.items():
        assert getattr(settings, secret) == f"scheme://user:{CANARY}{variable}@host/db"
    printed = (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        str(settings.model_dump()),
        f"{settings!r:>3}",
    )
    assert not any(CANARY in text for text in printed)


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str]]:
    """What was asked of which vault; every secret's value is its name in capitals."""
    asked: list[tuple[str | None, str]] = []

    def read(vault_url: str | None, name: str) -> str:
        asked.append((vault_url, name))
        return name.upper()

    monkeypatch.setattr(secrets, "read_secret", read)
    return asked


@pytest.mark.parametrize(("variable", "secret"), SECRETS.items())
def test_a_value_from_the_vault(monkeypatch: pytest.MonkeyPatch, vault: list, variable: str, secret: str) -> None:
    monkeypatch.setenv("RETAIL_START_DATE", "2025-01-01")
    monkeypatch.setenv("RETAIL_KEY_VAULT_URL", "https://shop.vault.azure.net")
    monkeypatch.setenv(variable, "kv:retail-secret")
    settings = load_settings()
    assert vault == [], "the vault is asked only when the value is needed"
    assert getattr(settings, secret) == "RETAIL-SECRET"
    assert vault == [("https://shop.vault.azure.net", "retail-secret")]


def test_a_vault_that_holds_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the real reader, with a client of our own in place of Azure's."""
    if importlib.util.find_spec("azure.core") is None:
        pytest.skip("pip install 'retail-assets[azure]'")
    client = SimpleNamespace(get_secret=lambda name: SimpleNamespace(value=f"value of {name}"))
    monkeypatch.setattr(secrets, "_default_client", lambda _: client)
    monkeypatch.setenv("RETAIL_KEY_VAULT_URL", "https://shop.vault.azure.net")
    monkeypatch.setenv("RETAIL_WAREHOUSE_URL", "kv:warehouse")
    assert load_settings().warehouse_secret == "value of warehouse"


def test_a_vault_value_without_a_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_WAREHOUSE_URL", "kv:warehouse")
    with pytest.raises(
        PermanentFailure, match="^kv:warehouse needs RETAIL_KEY_VAULT_URL, which is not set; for example"
    ):
        _ = load_settings().warehouse_secret


def test_the_first_date(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert settings.first_date == date.today() - timedelta(days=settings_module.DEMO_HISTORY_DAYS)
    settings.folder.mkdir(parents=True)
    settings.start_date_file.write_text("2024-03-05\n", encoding="utf-8")
    assert load_settings().first_date == date(2024, 3, 5)
    monkeypatch.setenv("RETAIL_START_DATE", "2023-01-02")
    assert load_settings().first_date == date(2023, 1, 2)


def test_the_time_zone_is_the_mappings_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().zone("Europe/London").key == "Europe/London"
    monkeypatch.setenv("RETAIL_TIMEZONE", "America/Chicago")
    assert load_settings().zone("Europe/London").key == "America/Chicago"


def test_children_find_the_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_OTHER", "kept")
    settings = load_settings()
    environment = settings.child_environment()
    assert (environment["DAGSTER_HOME"], environment["SOME_OTHER"]) == (str(settings.dagster_home), "kept")


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")] == []


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().horizon_days = 7  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("end", ["", ";BlobEndpoint=https://acme.blob.core.windows.net"])
def test_a_connection_string_is_refused_without_showing_its_key(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setenv("RETAIL_LAKE_URI", f"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c4n4ry=={end}")
    with pytest.raises(PermanentFailure) as raised:
        load_settings()
    assert str(raised.value).startswith("RETAIL_LAKE_URI is wrong: got '…', is a connection string; its key belongs")
    assert "c4n4ry" not in str(raised.value)
