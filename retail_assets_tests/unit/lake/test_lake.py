"""Where the lake lies, what reaches delta-rs, and the sentence for each way it can fail."""

from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from retail_assets.engines.writing import delta
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure
from retail_assets.lake import lake as lake_module
from retail_assets.lake.azure.store import AzureStore
from retail_assets.lake.lake import Lake, open_lake, store_of
from retail_assets.lake.local import LocalStore
from retail_assets.settings import load_settings
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import MONTHLY, WHOLE, rows
from retail_assets_tests.unit.lake_writers import FIRST

AZURE = "abfss://lake@acme.dfs.core.windows.net/retail"
CANARY = "c4n4ry"
KEY = "YzRuNHJ5LWtleQ=="
CREDENTIALS = f'{{"account_key": "{KEY}"}}'


@pytest.mark.parametrize(
    ("uri", "is_local", "table_uri"),
    [
        ("/data/lake/", True, "/data/lake/test/whole"),
        ("lake", True, "lake/test/whole"),
        ("file:///data/lake", True, "file:///data/lake/test/whole"),
        (AZURE, False, f"{AZURE}/test/whole"),
        ("az://lake/retail/", False, "az://lake/retail/test/whole"),
    ],
)
def test_where_a_table_lies(uri: str, is_local: bool, table_uri: str) -> None:
    assert (Lake(uri).is_local, Lake(uri).table_uri(WHOLE)) == (is_local, table_uri)


@pytest.mark.parametrize("credentials", [CANARY, f'"{CANARY}"', f'["{CANARY}"]', "5", "null", ""])
def test_credentials_that_are_no_json_object(credentials: str) -> None:
    with pytest.raises(PermanentFailure) as raised:
        _ = Lake(AZURE, credentials).storage_options
    assert str(raised.value) == ('RETAIL_LAKE_CREDENTIALS is not a JSON object; for example {"account_key": "…"}.')


def test_credentials_are_not_printed() -> None:
    assert repr(Lake(AZURE, CREDENTIALS)) == f"Lake('{AZURE}')"


def test_a_table_that_was_never_written(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert lake.open(WHOLE) is None
    with pytest.raises(PermanentFailure) as raised:
        lake.require(WHOLE)
    assert str(raised.value) == f"The table test/whole does not exist in {tmp_path} yet: materialise it first."


def test_the_newest_version_is_opened(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for count in (1, 2):
        overwrite(lake, WHOLE, rows([FIRST], count=count))
    opened = lake.require(WHOLE)
    assert isinstance(opened, DeltaTable) and opened.version() == 2


def _file_in_the_way(tmp_path: Path, at: str) -> Lake:
    place = tmp_path / "lake" / at
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("not a folder")
    return Lake(str(tmp_path / "lake"))


@pytest.mark.parametrize("at", ["", "test", "test/whole"])
def test_a_file_where_a_folder_belongs(tmp_path: Path, at: str) -> None:
    lake = _file_in_the_way(tmp_path, at)
    with pytest.raises(PermanentFailure) as raised:
        overwrite(lake, WHOLE, rows([FIRST]))
    assert str(raised.value) == (
        f"A file stands where test/whole belongs in the lake {lake.uri}: move it or change RETAIL_LAKE_URI."
    )
    assert (tmp_path / "lake" / at).read_text() == "not a folder"


def test_a_file_where_the_lake_belongs_is_found_at_the_start(tmp_path: Path) -> None:
    lake = _file_in_the_way(tmp_path, "")
    with pytest.raises(PermanentFailure) as raised:
        lake.check_writable()
    assert str(raised.value) == (
        f"RETAIL_LAKE_URI {lake.uri} cannot be written: File exists; choose a folder you may write to."
    )


def test_a_folder_without_permission_is_found_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permission bits do not bind root, so the refusal itself is played."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(PermanentFailure) as raised:
        Lake(str(tmp_path)).check_writable()
    assert str(raised.value) == (
        f"RETAIL_LAKE_URI {tmp_path} cannot be written: Permission denied; choose a folder you may write to."
    )


@pytest.mark.parametrize("sign", list("[]^|%#?"))
def test_a_folder_delta_cannot_hold_is_refused_at_the_start(tmp_path: Path, sign: str) -> None:
    lake = Lake(f"{tmp_path}/shop{sign}1")
    with pytest.raises(PermanentFailure) as raised:
        lake.check_writable()
    assert str(raised.value) == (
        f"RETAIL_LAKE_URI {lake.uri} contains {sign}, which Delta tables cannot have in their path; "
        "choose another folder."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_good_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    for uri in (f"{tmp_path}/new/lake", f"file://{tmp_path}/other/lake"):
        Lake(uri).check_writable()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "new",
        "new/lake",
        "other",
        "other/lake",
    ]


def _delta_rs(*lines: str) -> str:
    """A text as delta-rs 1.6 prints it: every cause deeper, behind an arrow in colour."""
    return "".join(f"\n{' ' * n}\x1b[31m↳\x1b[0m {line}" if n else line for n, line in enumerate(lines))


def _azure(status: str, code: str, message: str = "") -> str:
    """What Azure answered, as delta-rs passes it on; the request's id and port hold digits that mean nothing."""
    return _delta_rs(
        "Kernel error -> Generic MicrosoftAzure error",
        f"Error performing GET https://acme.blob.core.windows.net:14031/lake?sv=1&sig={CANARY} in 4.027064ms - "
        "Server returned non-2xx status code",
        status,
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Error>\n  <Code>{code}</Code>\n  <Message>{message}'
        f"\nRequestId:4015034-404-403\nTime:2026-11-25T21:43:18.334Z</Message>\n</Error>\n",
    )


def _network(*causes: str) -> str:
    return _delta_rs(
        "Kernel error -> Generic MicrosoftAzure error",
        f"Error performing GET https://acme.blob.core.windows.net:14031/lake/t?sig={CANARY} in 1.79s, after 8 retries, "
        "max_retries",
        "8, retry_timeout",
        "45s  - HTTP error",
        "error sending request",
        *causes,
    )


NO_SUCH_KEY = "Server failed to authenticate the request. Make sure the value of the Authorization header is formed"
SIGN_IN = (
    f"The lake {AZURE} refuses the sign-in with an account key: it is wrong, expired or of another account; correct "
    "RETAIL_LAKE_CREDENTIALS."
)
REFUSED = (
    f"No permission on test/monthly in the lake {AZURE} for an account key: let this network through the firewall of "
    "the storage account."
)
GONE = f"The lake {AZURE} does not exist: create the container or change RETAIL_LAKE_URI."


def _passing(cause: str) -> str:
    return f"The lake {AZURE} failed on test/monthly: {cause}."


FAILURES = [
    (PermissionError(13, "Permission denied"), PermanentFailure, REFUSED),
    (OSError("Generic error: Permission denied (os error 13)"), PermanentFailure, REFUSED),
    (DeltaError("Client error with status 403 Forbidden: who knows"), PermanentFailure, REFUSED),
    (OSError(_azure("403 Forbidden", "AuthorizationPermissionMismatch")), PermanentFailure, REFUSED),
    (OSError(_azure("403 Forbidden", "AuthorizationFailure", NO_SUCH_KEY)), PermanentFailure, SIGN_IN),
    (OSError(_azure("403 Forbidden", "AuthenticationFailed", NO_SUCH_KEY)), PermanentFailure, SIGN_IN),
    (OSError(_azure("401 Unauthorized", "InvalidAuthenticationInfo")), PermanentFailure, SIGN_IN),
    (OSError(_delta_rs("Error performing token request", f"AADSTS7000215: {CANARY}")), PermanentFailure, SIGN_IN),
    (
        OSError(
            _azure("401 Unauthorized", "InvalidAuthenticationInfo", "Lifetime validation failed. The token is expired")
        ),
        TransientFailure,
        f"The sign-in to the lake {AZURE} ran out during work on test/monthly; try again.",
    ),
    (OSError(_azure("404 Not Found", "ContainerNotFound")), PermanentFailure, GONE),
    (DeltaError("The specified container does not exist."), PermanentFailure, GONE),
    (
        OSError(_delta_rs("Generic MicrosoftAzure error", "URL did not match any known pattern for scheme", AZURE)),
        PermanentFailure,
        f"The lake {AZURE} has an address that is not understood: write RETAIL_LAKE_URI as az://lake/path and give "
        "account_name and endpoint in RETAIL_LAKE_CREDENTIALS.",
    ),
    (
        OSError(_network("client error (Connect)", "tcp connect error", "Connection refused (os error 111)")),
        TransientFailure,
        _passing("the connection was refused"),
    ),
    (
        OSError(_network("client error (Connect)", "dns error", "failed to lookup address information")),
        TransientFailure,
        _passing("the host is not known"),
    ),
    (OSError(_network("operation timed out")), TransientFailure, _passing("no answer came in time")),
    (OSError(_network("Connection reset by peer")), TransientFailure, _passing("the connection was cut")),
    (OSError(_network()), TransientFailure, _passing("the connection failed")),
    (
        OSError(_azure("503 Service Unavailable", "ServerBusy", "The server is busy.")),
        TransientFailure,
        _passing("it answered 503 Service Unavailable"),
    ),
    (OSError("429 Too Many Requests: wait"), TransientFailure, _passing("it answered 429 Too Many Requests")),
    (
        OSError(_delta_rs("No space left", "on device")),
        TransientFailure,
        _passing("No space left"),
    ),
    (
        DeltaError(f"https://acme.blob.core.windows.net/lake?sv=1&sig={CANARY}\nsv=1&sig={CANARY}\nthe rest"),
        TransientFailure,
        _passing("the rest"),
    ),
    (OSError("\x1b[31m↳\x1b[0m something \x1b[31mnew\x1b[0m"), TransientFailure, _passing("something new")),
    (OSError(""), TransientFailure, _passing("without a reason")),
]


@pytest.mark.parametrize(("error", "kind", "message"), FAILURES, ids=lambda value: type(value).__name__)
def test_each_failure_of_the_storage_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[RetailError], message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(lake_module, "DeltaTable", fail)
    with pytest.raises(kind) as raised:
        Lake(AZURE, CREDENTIALS).open(MONTHLY)
    assert str(raised.value) == message and raised.value.__suppress_context__


def test_how_each_way_of_signing_in_is_given_access() -> None:
    said = {
        credentials: str(Lake(AZURE, credentials).failure(MONTHLY, "403 Forbidden").args[0]).split("retail ")[1]
        for credentials in ('{"sas_token": "sig=x"}', '{"managed_identity": true}', "{}")
    }
    role = "give it the role Storage Blob Data Contributor, or let this network through the account's firewall."
    assert list(said.values()) == [
        "for a SAS token: make a SAS that allows read, add, create, write, delete and list.",
        f"for a managed identity: {role}",
        f"for the default Azure credential: {role}",
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            'Operation failed: "Server failed to authenticate the request.", 403, GET, https://acme.dfs.core.windows.net/'
            f"lake?sig={CANARY}, AuthenticationFailed",
            PermanentFailure,
        ),
        ('Operation failed: "This request is not authorized.", 403, HEAD, https://acme', PermanentFailure),
        ('Operation failed: "The specified filesystem does not exist.", 404, HEAD, https://acme', PermanentFailure),
        ("java.net.UnknownHostException: acme.dfs.core.windows.net", TransientFailure),
    ],
)
def test_the_errors_of_sparks_driver_are_understood(text: str, kind: type[RetailError]) -> None:
    failure = Lake(AZURE, CREDENTIALS).failure(MONTHLY, text)
    assert type(failure) is kind and CANARY not in str(failure)


@pytest.mark.parametrize("error", [row[0] for row in FAILURES[:2]], ids=["python", "delta-rs"])
def test_a_write_that_is_refused_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(delta, "write_deltalake", fail)
    with pytest.raises(PermanentFailure) as raised:
        overwrite_window(Lake(str(tmp_path)), MONTHLY, rows([FIRST]), Window(FIRST, FIRST))
    assert str(raised.value) == (
        f"No permission on test/monthly in the lake {tmp_path}: grant write access or change RETAIL_LAKE_URI."
    )


def test_a_failed_commit_that_nobody_retries_may_pass() -> None:
    with pytest.raises(TransientFailure, match="failed on test/monthly: conflict.$"), Lake(AZURE).errors(MONTHLY):
        raise CommitFailedError("conflict")


def test_a_missing_table_where_none_was_expected_missing() -> None:
    with pytest.raises(TransientFailure, match="failed on test/monthly: no log.$"), Lake(AZURE).errors(MONTHLY):
        raise TableNotFoundError("no log")


def test_programming_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), Lake(AZURE).errors(MONTHLY):
        raise ZeroDivisionError


def test_the_lake_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_LAKE_URI", AZURE)
    monkeypatch.setenv("RETAIL_LAKE_CREDENTIALS", CREDENTIALS)
    lake = open_lake(load_settings())
    assert (lake.uri, (lake.storage_options or {})["account_key"]) == (AZURE, KEY)


@pytest.mark.parametrize(
    "uri", ["lake", "/a b/lake?", "file:///data/lake", AZURE, "abfss://lake@acme.dfs.core.windows.net", "az://lake/a/b"]
)
def test_addresses_a_lake_may_have(uri: str) -> None:
    assert load_settings(lake_uri=uri).lake == uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://bucket/lake", "s3://bucket/lake"),
        ("az://", "az://"),
        ("abfss://lake/retail", "abfss://lake/retail"),
        ("abfss://lake@acme.blob.core.windows.net/retail", "abfss://lake@acme.blob.core.windows.net/retail"),
        (f"https://acme.blob.core.windows.net/lake?sv=1&sig={CANARY}", "https://acme.blob.core.windows.net/lake?…"),
        (f"az://lake/retail?sig={CANARY}", "az://lake/retail?…"),
    ],
)
def test_an_address_no_lake_has(uri: str, shown: str) -> None:
    """A SAS token pasted with the address is not repeated."""
    with pytest.raises(PermanentFailure) as raised:
        load_settings(lake_uri=uri)
    assert str(raised.value) == (
        f"RETAIL_LAKE_URI is wrong: got '{shown}', is neither a folder nor an address like abfss://… or "
        f"az://lake/retail; for example RETAIL_LAKE_URI={AZURE.replace('acme', 'account')}."
    )


def test_an_address_without_account_needs_its_name() -> None:
    with pytest.raises(PermanentFailure) as raised:
        _ = Lake("az://lake/retail", CREDENTIALS).storage_options
    assert str(raised.value) == (
        "RETAIL_LAKE_URI az://lake/retail names no storage account: add account_name to RETAIL_LAKE_CREDENTIALS, or "
        "write abfss://lake@account.dfs.core.windows.net/retail."
    )


def test_an_address_of_another_store_is_refused_by_the_lake_too() -> None:
    with pytest.raises(
        PermanentFailure, match="^RETAIL_LAKE_URI is wrong: got 's3://bucket/lake'; write it like abfss"
    ):
        Lake("s3://bucket/lake").check_writable()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/data/lake", "/data/lake/test/whole"),
        (AZURE, f"{AZURE}/test/whole"),
        ("abfss://lake@acme.dfs.core.windows.net", "abfss://lake@acme.dfs.core.windows.net/test/whole"),
        ("az://lake/retail", f"{AZURE}/test/whole"),
        ("az://lake", "abfss://lake@acme.dfs.core.windows.net/test/whole"),
    ],
)
def test_where_spark_finds_a_table(uri: str, expected: str) -> None:
    lake = Lake(uri, f'{{"account_key": "{KEY}", "account_name": "acme"}}')
    assert lake.spark_table_uri(WHOLE) == expected


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("/srv/lake", LocalStore),
        ("file:///srv/lake", LocalStore),
        ("az://lake/retail", AzureStore),
        ("abfss://lake@account.dfs.core.windows.net/retail", AzureStore),
    ],
)
def test_the_scheme_chooses_the_store_and_no_store_shows_its_credentials(uri: str, kind: type) -> None:
    store = store_of(uri, '{"account_key": "c2VjcmV0"}')
    assert isinstance(store, kind)
    assert "c2VjcmV0" not in repr(store)
