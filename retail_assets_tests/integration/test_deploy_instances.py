"""The Dagster instances of deploy/ loaded by Dagster on a real PostgreSQL; Azure's log container is not reached."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.engine import make_url

from retail_assets_tests.integration.postgresql import running_postgresql

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgresql() as url:
        yield make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def instance_of(path: str, folder: Path) -> dg.DagsterInstance:
    shutil.copy(DEPLOY / path, folder / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(folder))


def test_the_azure_instance_keeps_runs_in_postgresql_and_logs_in_blobs(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dagster_azure", reason="pip install 'retail-assets[azure]'")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", server)
    monkeypatch.setenv("DAGSTER_LOGS_ACCOUNT", "acme")
    monkeypatch.setenv("DAGSTER_LOGS_CONTAINER", "dagster-logs")
    with instance_of("azure/dagster.yaml", tmp_path) as instance:
        assert instance.get_runs() == []
        assert type(instance.event_log_storage).__module__.startswith("dagster_postgres.")
        assert type(instance.compute_log_manager).__name__ == "AzureBlobComputeLogManager"
        assert instance.run_retries_enabled
        assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False
        assert instance.global_op_concurrency_default_limit == 1


@dg.asset
def count() -> int:
    return 41


def test_a_run_of_the_compose_instance_is_seen_by_a_second_process_s_instance(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", server)
    text = (DEPLOY / "compose/dagster.yaml").read_text(encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text(text.replace("/data/", f"{tmp_path}/"), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as writer:
        result = dg.materialize([count], instance=writer)
    with dg.DagsterInstance.from_config(str(tmp_path)) as reader:
        assert [(run.run_id, run.status) for run in reader.get_runs()] == [(result.run_id, dg.DagsterRunStatus.SUCCESS)]
        assert reader.get_latest_materialization_event(dg.AssetKey("count")) is not None


def test_without_its_variables_the_instance_says_which_one_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_POSTGRES_URL", raising=False)
    with pytest.raises(Exception, match="DAGSTER_POSTGRES_URL"):
        instance_of("compose/dagster.yaml", tmp_path)
