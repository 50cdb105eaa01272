"""Planted secrets appear nowhere a person can look: snapshot, run events, logs, error sentences."""

import json
import logging
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap  # what the webserver is sent
from dagster._serdes import serialize_value

from retail_assets.command_line import cli
from retail_assets.lake.azure.store import RETRIES
from retail_assets.resources.notifier import Notifier
from retail_assets.tables import bronze, forecast
from retail_assets_tests.dagster import snapshot

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of ibis on this DuckDB
CANARIES = {
    "source": "c4n4ry-source",
    "warehouse": "c4n4ry-warehouse",
    "app_database": "c4n4ry-decisions",
    "mlflow": "c4n4ry-mlflow",
    "lake": "c4n4ry-lake",
    "webhook": "c4n4ry-webhook",
}
KEY = "YzRuNHJ5LWxha2U="
SETTINGS = {
    "source_url": f"postgresql+psycopg://reader:{CANARIES['source']}@127.0.0.1:1/shop",
    "warehouse_url": f"postgresql+psycopg://loader:{CANARIES['warehouse']}@127.0.0.1:1/warehouse",
    "app_database_url": f"postgresql+psycopg://planner:{CANARIES['app_database']}@127.0.0.1:1/decisions",
    "mlflow_tracking_uri": f"http://tracker:{CANARIES['mlflow']}@127.0.0.1:1",
    "lake_credentials": json.dumps({"sas_token": f"sv=1&sig={CANARIES['lake']}"}),
    "alert_webhook_url": f"http://127.0.0.1:1/hook/{CANARIES['webhook']}",
}


def _variable(setting: str) -> str:
    return "MLFLOW_TRACKING_URI" if setting == "mlflow_tracking_uri" else f"RETAIL_{setting.upper()}"


@pytest.fixture
def planted(tmp_path, monkeypatch) -> dg.Definitions:
    """Definitions whose every secret is a canary, built as Dagster does from the environment."""
    for setting, value in SETTINGS.items():
        monkeypatch.setenv(_variable(setting), value)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_START_DATE", str(snapshot.START))
    from retail_assets import definitions

    return definitions.defs


def _found(text: str) -> list[str]:
    return [name for name, canary in CANARIES.items() if canary in text]


def _files(folder: Path) -> str:
    return "\n".join(p.read_bytes().decode("utf-8", "replace") for p in folder.rglob("*") if p.is_file())


BRONZE_DAILY = [dg.AssetKey(table.asset_key) for table in (*bronze.DAILY, bronze.EXTRACTED_DAYS)]
TRAINED = [
    dg.AssetKey(table.asset_key)
    for table in (forecast.DEMAND_MODEL, forecast.BACKTEST_LOSSES, forecast.PROMOTION_UPLIFT)
]
"""One step makes the first, another the second."""


def test_the_search_finds_what_is_there():
    assert _found(f"a log with {CANARIES['source']} in it") == ["source"]


@pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`:DeprecationWarning")  # of Dagster
def test_the_snapshot_the_webserver_shows_holds_no_secret(planted):
    shown = serialize_value(RepositorySnap.from_def(planted.get_repository_def()))
    assert len(shown) > 100_000
    assert _found(shown) == []


def test_no_resource_shows_its_secret_when_printed(planted):
    for name, resource in (planted.resources or {}).items():
        assert _found(repr(resource) + str(resource)) == [], name


def test_no_settings_error_shows_a_secret(monkeypatch, capsys):
    """Every secret setting at once, and another variable that is wrong."""
    for setting, value in SETTINGS.items():
        monkeypatch.setenv(_variable(setting), value)
    monkeypatch.setattr(sys, "argv", ["retail-assets", "run"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert "RETAIL_START_DATE is missing" in said.err
    assert _found(said.out + said.err) == []


@pytest.mark.parametrize("path", ["bronze/sales", "bronze/stores", "bronze/order_decisions", "forecast/demand_model"])
def test_a_failing_run_leaves_no_secret(planted, path, tmp_path, capfd, caplog):
    """The database does not answer: events, stored logs and printed logs are searched."""
    pytest.importorskip("psycopg", reason="pip install 'retail-assets[postgres]'")
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        done = _executed(planted, instance, path)
        events = "\n".join(serialize_value(entry) for entry in instance.all_logs(done.run_id))
    assert not done.success
    assert "STEP_FAILURE" in events
    printed = capfd.readouterr()
    assert _found(events + _files(home) + printed.out + printed.err + caplog.text) == []


def _executed(planted: dg.Definitions, instance: dg.DagsterInstance, path: str) -> dg.ExecuteInProcessResult:
    job = planted.resolve_job_def("train" if path.startswith("forecast") else "ingest")
    day = "2025-01-06"
    together = {"bronze/sales": BRONZE_DAILY, "forecast/demand_model": TRAINED}
    keys = together.get(path, [dg.AssetKey(path.split("/"))])
    return job.execute_in_process(instance=instance, partition_key=day, asset_selection=keys, raise_on_error=False)


def test_a_succeeding_run_leaves_no_secret(tmp_path, capfd):
    """The source is a file whose URL carries a password; the warehouse and the application's are files too."""
    from retail_assets_tests.pipeline.shop import Shop

    shop = Shop(tmp_path, first=snapshot.START)
    shop.live_to(snapshot.START)
    home = tmp_path / "dagster"
    home.mkdir()
    found = snapshot.definitions(
        tmp_path / "home",
        **{
            **SETTINGS,
            "source_url": f"sqlite:///{shop.source}?password={CANARIES['source']}",
            "app_database_url": f"sqlite:///{tmp_path / 'decisions.db'}?password={CANARIES['app_database']}",
            "warehouse_url": f"duckdb:///{tmp_path / 'warehouse.duckdb'}?password={CANARIES['warehouse']}",
        },
    )
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        done = found.resolve_job_def("ingest").execute_in_process(
            instance=instance,
            partition_key=str(snapshot.START),
            asset_selection=BRONZE_DAILY,
        )
        events = "\n".join(serialize_value(entry) for entry in instance.all_logs(done.run_id))
    assert "ASSET_MATERIALIZATION" in events
    printed = capfd.readouterr()
    assert _found(events + _files(home) + printed.out + printed.err) == []


def test_the_lake_keeps_its_key_out_of_its_errors(planted):
    lake = (planted.resources or {})["lake"]
    assert _found(repr(lake) + repr(vars(lake).get("uri"))) == []


@pytest.mark.parametrize(
    "sign_in",
    [
        {"account_key": KEY},
        {"sas_token": f"sv=1&sig={CANARIES['lake']}"},
        {
            "tenant_id": "tenant",
            "client_id": "client",
            "client_secret": CANARIES["lake"],
            "authority_host": "http://127.0.0.1:1",
        },
    ],
    ids=["key", "SAS", "principal"],
)
def test_a_lake_that_does_not_answer_leaves_no_secret(sign_in, tmp_path, monkeypatch, capfd, caplog):
    """The run reads its source and fails when it writes: events, stored logs and printed logs are searched."""
    from retail_assets_tests.pipeline.shop import Shop

    caplog.set_level(logging.DEBUG)
    monkeypatch.setitem(RETRIES, "max_retries", "0")
    shop = Shop(tmp_path, first=snapshot.START)
    shop.live_to(snapshot.START)
    home = tmp_path / "dagster"
    home.mkdir()
    storage = {"account_name": "acme", "endpoint": "http://127.0.0.1:1/acme", "allow_http": True}
    found = snapshot.definitions(
        tmp_path / "home",
        source_url=f"sqlite:///{shop.source}",
        lake_uri="az://lake/retail",
        lake_credentials=json.dumps({**sign_in, **storage}),
    )
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        done = found.resolve_job_def("ingest").execute_in_process(
            instance=instance,
            partition_key=str(snapshot.START),
            asset_selection=[dg.AssetKey(["bronze", "stores"])],
            raise_on_error=False,
        )
        events = "\n".join(serialize_value(entry) for entry in instance.all_logs(done.run_id))
    assert "The lake az://lake/retail failed on bronze/stores: the connection was refused." in events
    printed = capfd.readouterr()
    everything = events + _files(home) + printed.out + printed.err + caplog.text
    assert _found(everything) == [] and KEY not in everything


def test_an_alert_that_cannot_be_sent_hides_its_address(caplog):
    assert Notifier(SETTINGS["alert_webhook_url"]).send("ingest failed", "why", facts={}) is False
    assert "was not delivered" in caplog.text
    assert _found(caplog.text) == []
