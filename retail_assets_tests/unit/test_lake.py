"""Where the lake lies, what reaches delta-rs, and the sentence for each way it can fail."""

from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from retail_assets.engines import delta
from retail_assets.engines.delta import overwrite, overwrite_window
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure
from retail_assets.resources import lake as lake_module
from retail_assets.resources.lake import Lake, open_lake
from retail_assets.settings import load_settings
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import MONTHLY, WHOLE, rows
from retail_assets_tests.unit.lake_writers import FIRST

AZURE = "abfss://lake@acme.dfs.core.windows.net/retail"
CANARY = "c4n4ry"


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


def test_storage_options() -> None:
    assert Lake("/data/lake", f'{{"account_key": "{CANARY}"}}').storage_options is None
    assert Lake(AZURE).storage_options == {"use_azure_cli": "false"}
    assert Lake(AZURE, '{"account_key": "k", "timeout": 30}').storage_options == {"account_key": "k", "timeout": "30"}


@pytest.mark.parametrize("credentials", [CANARY, f'"{CANARY}"', f'["{CANARY}"]', "5", "null", ""])
def test_credentials_that_are_no_json_object(credentials: str) -> None:
    with pytest.raises(PermanentFailure) as raised:
        _ = Lake(AZURE, credentials).storage_options
    assert str(raised.value) == ('RETAIL_LAKE_CREDENTIALS is not a JSON object; for example {"account_key": "…"}.')


def test_credentials_are_not_printed() -> None:
    assert repr(Lake(AZURE, f'{{"account_key": "{CANARY}"}}')) == f"Lake('{AZURE}')"


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


def test_a_remote_lake_is_not_tried_at_the_start() -> None:
    Lake(AZURE).check_writable()


REFUSED = f"No permission on test/monthly in the lake {AZURE}: grant write access or change RETAIL_LAKE_URI."
GONE = f"The lake {AZURE} does not exist: create the container or change RETAIL_LAKE_URI."
FAILURES = [
    (PermissionError(13, "Permission denied"), PermanentFailure, REFUSED),
    (OSError("Generic error: Permission denied (os error 13)"), PermanentFailure, REFUSED),
    (DeltaError("Client error with status 403 Forbidden: AuthorizationFailure"), PermanentFailure, REFUSED),
    (OSError("AuthenticationFailed: Server failed to authenticate the request"), PermanentFailure, REFUSED),
    (OSError("404 Not Found: ContainerNotFound"), PermanentFailure, GONE),
    (DeltaError("The specified container does not exist."), PermanentFailure, GONE),
    (
        OSError("error sending request: connection refused\nand many more lines"),
        TransientFailure,
        f"The lake {AZURE} failed on test/monthly: error sending request: connection refused",
    ),
]


@pytest.mark.parametrize(("error", "kind", "message"), FAILURES, ids=lambda value: type(value).__name__)
def test_each_failure_of_the_storage_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[RetailError], message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(lake_module, "DeltaTable", fail)
    with pytest.raises(kind) as raised:
        Lake(AZURE, f'{{"account_key": "{CANARY}"}}').open(MONTHLY)
    assert str(raised.value) == message and raised.value.__suppress_context__


@pytest.mark.parametrize(("error", "kind", "message"), FAILURES[:2], ids=["python", "delta-rs"])
def test_a_write_that_is_refused_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[RetailError], message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(delta, "write_deltalake", fail)
    with pytest.raises(kind) as raised:
        overwrite_window(Lake(str(tmp_path)), MONTHLY, rows([FIRST]), Window(FIRST, FIRST))
    assert str(raised.value) == message.replace(AZURE, str(tmp_path))


def test_a_failed_commit_that_nobody_retries_may_pass() -> None:
    with pytest.raises(TransientFailure, match="failed on test/monthly: conflict$"), Lake(AZURE).errors(MONTHLY):
        raise CommitFailedError("conflict")


def test_a_missing_table_where_none_was_expected_missing() -> None:
    with pytest.raises(TransientFailure, match="failed on test/monthly: no log$"), Lake(AZURE).errors(MONTHLY):
        raise TableNotFoundError("no log")


def test_programming_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), Lake(AZURE).errors(MONTHLY):
        raise ZeroDivisionError


def test_the_lake_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_LAKE_URI", AZURE)
    monkeypatch.setenv("RETAIL_LAKE_CREDENTIALS", '{"account_key": "k"}')
    lake = open_lake(load_settings())
    assert (lake.uri, lake.storage_options) == (AZURE, {"account_key": "k"})
