"""Staged files reach the lake's account signed in as the lake does."""

import json
from pathlib import Path
from typing import Any

import pytest

from retail_assets.resources.warehouses.staging import LakeStaging, lake_staging

pytest.importorskip("dagster_azure", reason="pip install 'retail-assets[azure]'")
LAKE = "abfss://lake@acme.dfs.core.windows.net/retail"
CANARY = "c4n4ry"
KEY = "YzRuNHJ5LWtleQ=="


def _staging(given: dict[str, Any] | None) -> LakeStaging:
    found = lake_staging(LAKE, None if given is None else json.dumps(given))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("given", "credential"),
    [
        (None, {"credential_type": "default_azure_credential", "kwargs": {}}),
        ({"managed_identity": True}, {"credential_type": "default_azure_credential", "kwargs": {}}),
        (
            {"managed_identity": True, "client_id": "c"},
            {"credential_type": "default_azure_credential", "kwargs": {"managed_identity_client_id": "c"}},
        ),
        ({"account_key": KEY}, {"credential_type": "key", "key": KEY}),
        ({"sas_token": f"?sv=1&sig={CANARY}"}, {"credential_type": "sas", "token": f"sv=1&sig={CANARY}"}),
    ],
    ids=["default", "managed", "managed by name", "key", "SAS"],
)
def test_the_resource_signs_in_as_the_lake_does(given: dict[str, Any] | None, credential: dict[str, Any]) -> None:
    resource = _staging(given)._default_resource()
    assert (resource.storage_account, resource.credential.model_dump()) == ("acme", credential)


def test_a_sas_is_part_of_every_address_the_client_asks() -> None:
    assert _staging({"sas_token": f"sv=1&sig={CANARY}"})._files.url.endswith(f"/lake?sv=1&sig={CANARY}")


def test_a_service_principal_signs_in_with_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Principal:
        def __init__(self, *arguments: str, **named: str) -> None:
            asked.append((arguments, named))

        def get_token(self, *_: str, **__: str) -> None:
            raise AssertionError("nothing connects")

    monkeypatch.setattr("azure.identity.ClientSecretCredential", Principal)
    staging = _staging({"tenant_id": "t", "client_id": "c", "client_secret": CANARY})
    assert staging._files.url == "https://acme.dfs.core.windows.net/lake"
    assert asked == [(("t", "c", CANARY), {"authority": "https://login.microsoftonline.com"})]


@pytest.mark.parametrize("given", [{"account_key": KEY}, {"sas_token": f"sig={CANARY}"}])
def test_a_secret_of_the_staging_is_not_printed(given: dict[str, str]) -> None:
    assert CANARY not in repr(_staging(given)) and KEY not in repr(_staging(given))


def test_a_file_lies_below_the_folder_of_the_lake(tmp_path: Path) -> None:
    from dagster_azure.fakes import FakeADLS2Resource

    resource: Any = FakeADLS2Resource(account_name="acme")
    staging = LakeStaging("acme", "lake", "retail", resource=resource)
    file = tmp_path / "rows.parquet"
    file.write_bytes(b"rows")
    staging.upload(file, path="_staging/x/rows.parquet")
    container = resource.adls2_client.get_file_system_client("lake")
    assert list(container.keys()) == ["retail/_staging/x/rows.parquet"]
    assert container.get_file_client("retail/_staging/x/rows.parquet").contents.name == str(file)
