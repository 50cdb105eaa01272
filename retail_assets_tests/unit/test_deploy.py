"""The files of deploy/ agree with the settings, with each other and with what the graph relies on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from retail_assets.runs.run_launcher import WatchedRunLauncher
from retail_assets.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
VARIABLES = {"MLFLOW_TRACKING_URI"} | {f"RETAIL_{name.upper()}" for name in Settings.model_fields}
INSTANCES = ("azure/dagster.yaml", "compose/dagster.yaml")


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", ["Dockerfile", "compose.yaml", "azure/main.bicep", "../docs/operations.md"])
def test_every_setting_named_is_one_the_code_reads(path: str) -> None:
    named = set(re.findall(r"\b(?:RETAIL|MLFLOW)_[A-Z_]*[A-Z]\b", (DEPLOY / path).read_text(encoding="utf-8")))
    assert named
    assert named - VARIABLES - {"MLFLOW_DISABLE_TELEMETRY"} == set()


@pytest.mark.parametrize("path", INSTANCES)
def test_an_instance_has_one_writer_a_table_and_no_retry_of_permanent_failures(path: str) -> None:
    instance = read(path)
    assert instance["concurrency"]["pools"] == {"default_limit": 1}
    assert instance["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert instance["telemetry"] == {"enabled": False}
    assert instance["storage"]["postgres"]["postgres_url"] == {"env": "DAGSTER_POSTGRES_URL"}


@pytest.mark.parametrize("path", [*INSTANCES, "../dagster.yaml"])
def test_an_instance_notices_a_lost_process_within_minutes_and_frees_what_it_held(path: str) -> None:
    instance = read(path)
    launcher, monitoring = instance["run_launcher"], instance["run_monitoring"]
    assert (launcher["module"], launcher["class"]) == (WatchedRunLauncher.__module__, WatchedRunLauncher.__name__)
    assert monitoring["enabled"] is True
    assert launcher["config"]["silent_seconds"] + 2 * monitoring["poll_interval_seconds"] <= 5 * 60
    assert 0 < monitoring["free_slots_after_run_end_seconds"] <= 60
    assert (instance["run_retries"]["enabled"], instance["run_retries"]["max_retries"]) == (True, 2)


@pytest.mark.parametrize("path", [*INSTANCES, "../dagster.yaml"])
def test_a_run_waits_two_hours_for_a_code_location_that_is_away(path: str) -> None:
    queue = read(path)["run_queue"]
    assert queue["max_user_code_failure_retries"] * queue["user_code_failure_retry_delay"] == 2 * 60 * 60


@pytest.mark.parametrize("path", INSTANCES)
def test_a_step_that_hangs_costs_one_night_at_most(path: str) -> None:
    assert read(path)["run_monitoring"]["max_runtime_seconds"] == 24 * 60 * 60


def test_compose_starts_the_five_services_from_one_image() -> None:
    services = read("compose.yaml")["services"]
    assert set(services) == {"postgres", "code", "webserver", "daemon", "dashboard"}
    assert {service["image"] for name, service in services.items() if name != "postgres"} == {"retail-assets"}
    assert services["code"]["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}


def test_nothing_without_a_sign_in_is_reachable_from_outside() -> None:
    ports = [port for service in read("compose.yaml")["services"].values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_every_file_that_is_mounted_or_copied_exists() -> None:
    volumes = [volume for service in read("compose.yaml")["services"].values() for volume in service["volumes"]]
    mounted = {volume.split(":")[0] for volume in volumes if volume.startswith(".")}
    assert mounted and all((DEPLOY / path).is_file() for path in mounted)
    bicep = (DEPLOY / "azure/main.bicep").read_text(encoding="utf-8")
    loaded = re.findall(r"loadTextContent\('([^']+)'\)", bicep)
    assert loaded and all((DEPLOY / "azure" / path).is_file() for path in loaded)
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert copied and all((DEPLOY.parent / path).exists() for line in copied for path in line.split())


def test_the_code_location_has_one_name_and_port_everywhere() -> None:
    (location,) = read("compose/workspace.yaml")["load_from"]
    assert location["grpc_server"] == {"host": "code", "port": 4000, "location_name": "retail_assets"}
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert '"--location-name", "retail_assets"' in dockerfile and '"--port", "4000"' in dockerfile
    (local,) = yaml.safe_load((DEPLOY.parent / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    assert local["python_module"]["location_name"] == "retail_assets"


def test_azure_gives_the_identity_the_two_roles_and_no_storage_key() -> None:
    bicep = (DEPLOY / "azure/main.bicep").read_text(encoding="utf-8")
    # Storage Blob Data Contributor and Key Vault Secrets User, the built-in roles' fixed ids.
    assert bicep.count("principalId: identity.properties.principalId") == 2
    assert "ba92f5b4-2d11-453d-a403-e96b0029c9fe" in bicep and "4633458b-17de-408a-b874-0445c86b69e6" in bicep
    assert "allowSharedKeyAccess: false" in bicep and "isHnsEnabled: true" in bicep


def test_azure_hands_the_instance_every_variable_it_reads() -> None:
    instance = (DEPLOY / "azure/dagster.yaml").read_text(encoding="utf-8")
    bicep = (DEPLOY / "azure/main.bicep").read_text(encoding="utf-8")
    wanted = re.findall(r"env: (\w+)", instance)
    assert len(wanted) == 3 and all(f"name: '{variable}'" in bicep for variable in wanted)
