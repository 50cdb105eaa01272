"""Each way of signing in, as delta-rs and Hadoop take it, and the sentence for each way to write it wrong."""

import json
import re
import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from deltalake import DeltaTable

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.lake.azure.credentials import (
    AccountKey,
    Identity,
    ManagedIdentity,
    SasToken,
    ServicePrincipal,
    lake_credentials,
)
from retail_assets.lake.azure.store import RETRIES
from retail_assets.lake.lake import Lake
from retail_assets_tests.unit.lake_frames import WHOLE

CANARY = "c4n4ry"
KEY = "YzRuNHJ5LWtleQ=="
HOST = "acme.dfs.core.windows.net"
AZURE = f"abfss://lake@{HOST}/retail"
PRINCIPAL = {"tenant_id": "t", "client_id": "c", "client_secret": CANARY}


class FakeCredential:
    """azure-identity's part that is used: a new token for every request, or a failure."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.scopes: list[str] = []
        self.failure = failure

    def get_token(self, scope: str) -> Any:
        self.scopes.append(scope)
        if self.failure:
            raise self.failure
        return SimpleNamespace(token=f"{CANARY}-{len(self.scopes)}")


@pytest.mark.parametrize(
    ("given", "sign_in", "delta"),
    [
        ({"account_key": KEY}, AccountKey(KEY), {"account_key": KEY}),
        ({"sas_token": f"?sig={CANARY}"}, SasToken(f"?sig={CANARY}"), {"sas_token": f"sig={CANARY}"}),
        (
            PRINCIPAL,
            ServicePrincipal("t", "c", CANARY),
            {**PRINCIPAL, "authority_host": "https://login.microsoftonline.com"},
        ),
        (
            {**PRINCIPAL, "authority_host": "https://login.chinacloudapi.cn"},
            ServicePrincipal("t", "c", CANARY, "https://login.chinacloudapi.cn"),
            {**PRINCIPAL, "authority_host": "https://login.chinacloudapi.cn"},
        ),
    ],
    ids=["account key", "SAS", "principal", "principal of another cloud"],
)
def test_what_delta_rs_is_given(given: dict[str, str], sign_in: object, delta: dict[str, str]) -> None:
    assert lake_credentials(json.dumps(given)).sign_in == sign_in
    assert Lake(AZURE, json.dumps(given)).storage_options == {**RETRIES, "account_name": "acme", **delta}


@pytest.mark.parametrize(
    ("given", "sign_in"),
    [
        (None, Identity()),
        ("{}", Identity()),
        ('{"account_name": "acme"}', Identity()),
        ('{"managed_identity": true}', ManagedIdentity()),
        ('{"managed_identity": "true", "client_id": "c"}', ManagedIdentity("c")),
    ],
)
def test_which_identity_is_asked_for_a_token(given: str | None, sign_in: Identity) -> None:
    found = lake_credentials(given).sign_in
    assert (type(found), found) == (type(sign_in), sign_in)


OAUTH = "org.apache.hadoop.fs.azurebfs.oauth2"
HADOOP = [
    ({"account_key": KEY}, {"account.auth.type": "SharedKey", "account.key": KEY}),
    ({"sas_token": f"?sig={CANARY}"}, {"account.auth.type": "SAS", "sas.fixed.token": f"sig={CANARY}"}),
    (
        PRINCIPAL,
        {
            "account.auth.type": "OAuth",
            "account.oauth.provider.type": f"{OAUTH}.ClientCredsTokenProvider",
            "account.oauth2.client.endpoint": "https://login.microsoftonline.com/t/oauth2/token",
            "account.oauth2.client.id": "c",
            "account.oauth2.client.secret": CANARY,
        },
    ),
    ({}, {"account.auth.type": "OAuth", "account.oauth.provider.type": f"{OAUTH}.MsiTokenProvider"}),
    (
        {"managed_identity": True, "client_id": "c"},
        {
            "account.auth.type": "OAuth",
            "account.oauth.provider.type": f"{OAUTH}.MsiTokenProvider",
            "account.oauth2.client.id": "c",
        },
    ),
]


ALWAYS = {
    "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|account[.]key",
    "spark.hadoop.fs.azure.io.retry.max.retries": "6",
}


@pytest.mark.parametrize("given", [row[0] for row in HADOOP], ids=["key", "SAS", "principal", "default", "managed"])
def test_spark_hides_every_setting_that_holds_a_secret(given: dict[str, Any]) -> None:
    options = Lake(AZURE, json.dumps(given)).hadoop_options
    shown = [value for name, value in options.items() if not re.search(options["spark.redaction.regex"], name)]
    assert not [value for value in shown if CANARY in value or KEY in value]


def test_what_spark_is_given_for_an_emulator() -> None:
    given = {"account_key": KEY, "account_name": "dev", "endpoint": "http://127.0.0.1:1/dev", "allow_http": True}
    lake = Lake("az://lake/retail", json.dumps(given))
    host = "dev.dfs.core.windows.net"
    assert lake.hadoop_options == {
        **ALWAYS,
        "spark.hadoop.fs.azure.abfs.endpoint": "127.0.0.1:1",
        "spark.hadoop.fs.azure.always.use.https": "false",
        "spark.hadoop.fs.azure.account.hns.enabled": "false",
        "spark.hadoop.fs.azure.fns.account.service.type": "BLOB",
        "spark.hadoop.fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
        f"spark.hadoop.fs.azure.account.auth.type.{host}": "SharedKey",
        f"spark.hadoop.fs.azure.account.key.{host}": KEY,
    }
    assert lake.spark_table_uri(WHOLE) == f"abfs://lake@{host}/retail/test/whole"


def test_another_cloud() -> None:
    given = {"account_key": KEY, "account_name": "acme", "endpoint": "https://acme.blob.core.chinacloudapi.cn"}
    lake = Lake("az://lake/retail", json.dumps(given))
    host = "acme.dfs.core.chinacloudapi.cn"
    assert lake.spark_table_uri(WHOLE) == f"abfss://lake@{host}/retail/test/whole"
    assert lake.hadoop_options == {
        **ALWAYS,
        f"spark.hadoop.fs.azure.account.auth.type.{host}": "SharedKey",
        f"spark.hadoop.fs.azure.account.key.{host}": KEY,
    }
    assert (lake.storage_options or {})["azure_endpoint"] == "https://acme.blob.core.chinacloudapi.cn"


@pytest.mark.parametrize(("given", "settings"), HADOOP, ids=["key", "SAS", "principal", "default", "managed"])
def test_what_spark_is_given(given: dict[str, Any], settings: dict[str, str]) -> None:
    """Every setting names the account, so that another account of the same session is not touched."""
    expected = {f"spark.hadoop.fs.azure.{name}.{HOST}": value for name, value in settings.items()}
    assert Lake(AZURE, json.dumps(given)).hadoop_options == {**ALWAYS, **expected}


def test_a_folder_needs_no_options() -> None:
    lake = Lake("/data/lake", "not even JSON")
    assert (lake.storage_options, lake.hadoop_options) == (None, {})


@pytest.mark.parametrize("name", ["endpoint", "azure_endpoint"])
def test_another_address_of_the_storage(name: str) -> None:
    given = {"account_key": KEY, "account_name": "dev", name: "http://127.0.0.1:1/dev/", "allow_http": True}
    options = Lake("az://lake", json.dumps(given)).storage_options
    assert options == {
        **RETRIES,
        "account_name": "dev",
        "account_key": KEY,
        "azure_endpoint": "http://127.0.0.1:1/dev",
        "allow_http": "true",
    }


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], FakeCredential]]:
    """What was made of azure-identity, by name and arguments."""
    identity = pytest.importorskip("azure.identity", reason="pip install 'retail-assets[azure]'")
    made: list[tuple[str, dict[str, Any], FakeCredential]] = []

    def fake(name: str) -> Any:
        def make(**arguments: Any) -> FakeCredential:
            made.append((name, arguments, FakeCredential()))
            return made[-1][2]

        return make

    for name in ("DefaultAzureCredential", "ManagedIdentityCredential"):
        monkeypatch.setattr(identity, name, fake(name))
    return made


@pytest.mark.parametrize(
    ("credentials", "name", "arguments"),
    [
        (None, "DefaultAzureCredential", {}),
        ('{"managed_identity": true}', "ManagedIdentityCredential", {"client_id": None}),
        ('{"managed_identity": true, "client_id": "c"}', "ManagedIdentityCredential", {"client_id": "c"}),
    ],
)
def test_one_credential_a_lake_is_asked_for_a_token_at_every_opening(
    identities: list, credentials: str | None, name: str, arguments: dict[str, Any]
) -> None:
    lake = Lake(AZURE, credentials)
    tokens = [(lake.storage_options or {})["bearer_token"] for _ in range(3)]
    assert tokens == [f"{CANARY}-1", f"{CANARY}-2", f"{CANARY}-3"]
    [(made, given, credential)] = identities
    assert (made, given) == (name, arguments)
    assert set(credential.scopes) == {"https://storage.azure.com/.default"}


def test_without_any_identity_one_sentence_says_what_to_do() -> None:
    exceptions = pytest.importorskip("azure.core.exceptions", reason="pip install 'retail-assets[azure]'")
    failure = exceptions.ClientAuthenticationError(f"DefaultAzureCredential failed\nmany lines {CANARY}")
    with pytest.raises(PermanentFailure) as raised:
        Identity(credential_factory=lambda: FakeCredential(failure)).delta_options()
    assert str(raised.value) == (
        "The lake cannot be reached: the default Azure credential gives no token; sign in with az login, give the "
        "machine a managed identity, or set RETAIL_LAKE_CREDENTIALS."
    )


def test_an_identity_that_does_not_answer_may_answer_later() -> None:
    exceptions = pytest.importorskip("azure.core.exceptions", reason="pip install 'retail-assets[azure]'")
    failure = exceptions.ServiceRequestError(f"no route {CANARY}")
    with pytest.raises(TransientFailure) as raised:
        ManagedIdentity(credential_factory=lambda: FakeCredential(failure)).delta_options()
    assert str(raised.value) == (
        "The lake cannot be reached: a managed identity gives no token now (ServiceRequestError); try again."
    )


CHOICE = (
    "give one of account_key; sas_token; tenant_id, client_id and client_secret; managed_identity (with a client_id "
    "where there are several)"
)
KNOWN = (
    "known are account_key, account_name, allow_http, authority_host, azure_endpoint, client_id, client_secret, "
    "endpoint, managed_identity, sas_token, tenant_id"
)
WRONG = [
    ({"acount_key": CANARY}, f"acount_key is not a key of it; {KNOWN}"),
    ({CANARY + "/+==": ""}, f"(hidden) is not a key of it; {KNOWN}"),
    ({"account_key": KEY, "sas_token": CANARY}, f"account_key, sas_token is not one whole way of signing in; {CHOICE}"),
    ({"client_secret": CANARY}, f"client_secret is not one whole way of signing in; {CHOICE}"),
    (
        {"tenant_id": "t", "client_id": CANARY},
        f"client_id, tenant_id is not one whole way of signing in; {CHOICE}",
    ),
    ({"managed_identity": False}, f"managed_identity is not one whole way of signing in; {CHOICE}"),
    ({"managed_identity": CANARY}, "managed_identity is neither true nor false"),
    ({"account_key": ""}, "account_key is empty"),
    ({"account_key": 5}, "account_key is not a text"),
    ({**PRINCIPAL, "client_secret": " "}, "client_secret is empty"),
    (
        {"account_key": KEY, "endpoint": "a", "azure_endpoint": "b"},
        "endpoint and azure_endpoint are the same; give one",
    ),
    (
        {"account_key": KEY, "endpoint": "http://127.0.0.1"},
        'the endpoint is http://, which needs "allow_http": true',
    ),
]


@pytest.mark.parametrize(("given", "what"), WRONG, ids=lambda value: str(value)[:20] if isinstance(value, str) else "")
def test_wrong_credentials_name_keys_and_never_values(given: dict[str, Any], what: str) -> None:
    with pytest.raises(PermanentFailure) as raised:
        lake_credentials(json.dumps(given))
    said = str(raised.value)
    assert said == f'RETAIL_LAKE_CREDENTIALS is wrong: {what}; for example {{"account_key": "…"}}.'
    assert CANARY not in said and KEY not in said


@pytest.mark.parametrize(
    "given",
    [
        json.dumps({"account_key": [CANARY]}),
        json.dumps({"managed_identity": CANARY}),
        json.dumps({CANARY * 20: CANARY}),
        json.dumps([CANARY]),
        f'{{"account_key": "{CANARY}',
    ],
    ids=["not a text", "not a truth", "not a key", "not an object", "not JSON"],
)
def test_not_even_a_traceback_shows_what_was_given(given: str) -> None:
    with pytest.raises(PermanentFailure) as raised:
        lake_credentials(given)
    assert CANARY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"account_key": f"{CANARY}*"}, "account_key is not base64"),
        ({"sas_token": CANARY}, "sas_token has no signature"),
    ],
)
def test_a_secret_that_cannot_be_one_is_found_before_it_is_used(given: dict[str, str], what: str) -> None:
    with pytest.raises(PermanentFailure, match=f"^RETAIL_LAKE_CREDENTIALS is wrong: {what}; copy") as raised:
        lake_credentials(json.dumps(given))
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    "given", [{"account_key": KEY}, {"sas_token": f"sig={CANARY}"}, PRINCIPAL], ids=["key", "SAS", "principal"]
)
def test_a_secret_is_not_printed(given: dict[str, str]) -> None:
    found = lake_credentials(json.dumps(given))
    printed = f"{found!r} {found.sign_in!r} {found} {Lake(AZURE, json.dumps(given))!r}"
    assert CANARY not in printed and KEY not in printed


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"account_key": KEY}, "GET http://127.0.0.1:1/acme/lake/t/"),
        ({"sas_token": "sig=x"}, "GET REDACTED"),
        ({**PRINCIPAL, "authority_host": "http://127.0.0.1:1"}, "POST http://127.0.0.1:1/t/oauth2"),
    ],
    ids=["key", "SAS", "principal"],
)
def test_delta_rs_knows_every_option(given: dict[str, str], asked: str) -> None:
    """It passes over what it does not know in silence and tries the machine's identity; nobody listens here."""
    storage = {"account_name": "acme", "endpoint": "http://127.0.0.1:1/acme", "allow_http": True}
    options = Lake("az://lake", json.dumps({**given, **storage})).storage_options or {}
    with pytest.raises(OSError) as raised:
        DeltaTable("az://lake/t", storage_options={**options, "max_retries": "0"})
    assert asked in str(raised.value)
