"""Fetched files and spilled rows are gone with their process, however it ended, and a full disk is named as one."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Barrier

import pyarrow as pa
import pytest

from retail_assets.engines import fetched, spilled, temporary
from retail_assets.engines.fetched import FetchedFiles
from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.engines.writing.spool import Spool
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables import bronze
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import MONTHLY, rows

JANUARY = Window(date(2024, 1, 1), date(2024, 1, 31))
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
_HOLDING = """
import sys, time
from pathlib import Path
from retail_assets.engines.fetched import FetchedFiles
from retail_assets.lake.lake import Lake
files = FetchedFiles(Lake("unused"), Path(sys.argv[1]))
print(files._folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Local files that count as remote ones."""
    lake = Lake(str(tmp_path / "lake"))
    overwrite_window(
        lake, MONTHLY, rows([date(2024, 1, 5), date(2024, 2, 5)]), Window(JANUARY.first, date(2024, 2, 29))
    )
    monkeypatch.setattr(Lake, "is_local", False)
    monkeypatch.setattr(Lake, "storage_options", None)
    return lake


@pytest.fixture
def temp_folder(tmp_path: Path) -> Path:
    return tmp_path / "temporary"


def _fetch(files: FetchedFiles, lake: Lake) -> list[str] | None:
    delta = lake.require(MONTHLY)
    return files.of(MONTHLY, delta, delta.file_uris())


def test_a_full_disk_while_fetching_is_no_fault_of_the_lake(
    lake: Lake, temp_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, write = FetchedFiles(lake, temp_folder), Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:10])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PermanentFailure) as raised:
        _fetch(files, lake)
    assert str(raised.value) == (
        f"The folder for temporary files {temp_folder} cannot be written (No space left on device); free space on its "
        "disk or set RETAIL_HOME."
    )
    assert not [path for path in temp_folder.rglob("*") if path.is_file()], "nothing half written"
    monkeypatch.setattr(Path, "write_bytes", write)
    assert len(_fetch(files, lake) or []) == 2, "with space again it goes on"
    files.close()


def test_a_fault_of_the_storage_while_fetching_is_one_of_the_lake(lake: Lake, temp_folder: Path) -> None:
    delta = lake.require(MONTHLY)
    uris = delta.file_uris()
    Path(uris[0].removeprefix("file://")).unlink()
    with pytest.raises(Exception, match="test/monthly") as raised:
        FetchedFiles(lake, temp_folder).of(MONTHLY, delta, uris)
    assert "temporary files" not in str(raised.value)


def test_threads_share_one_folder_and_fetch_each_file_once(
    lake: Lake, temp_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, started, original = FetchedFiles(lake, temp_folder), Barrier(8), FetchedFiles._fetch
    fetches: list[str] = []

    def counted(found: FetchedFiles, storage: object, table: object, name: str, path: Path) -> None:
        fetches.append(name)
        original(found, storage, table, name, path)  # pyright: ignore[reportArgumentType]

    def read(_: int) -> list[str] | None:
        started.wait()
        return _fetch(files, lake)

    monkeypatch.setattr(FetchedFiles, "_fetch", counted)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))
    assert len(fetches) == len(set(fetches)) == 2
    assert all(sorted(each or []) == sorted(found[0] or []) for each in found)
    assert len(list(temp_folder.iterdir())) == 1
    assert files._held_bytes == sum(Path(path).stat().st_size for path in found[0] or [])
    files.close()
    assert list(temp_folder.iterdir()) == []


def test_what_does_not_fit_beside_the_others_is_left_to_the_dataset(
    lake: Lake, temp_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "_FOLDER_BYTES", 1)
    assert _fetch(FetchedFiles(lake, temp_folder), lake) is None


def _holding(folder: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process that fetched, and its folder."""
    command = [sys.executable, "-c", _HOLDING, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_killed_process_leaves_its_files_to_the_next_one(temp_folder: Path) -> None:
    killed, left = _holding(temp_folder)
    running, used = _holding(temp_folder)
    (left / "file.parquet").touch()
    killed.kill()
    killed.communicate()
    assert left.is_dir()
    rows_left = temp_folder / left.name.replace("fetched-", "rows-")
    rows_left.touch()
    others = [temp_folder / name for name in ("fetched-elsewhere-1-x", "fetched-old", "mine")]
    for path in others:
        path.mkdir()
    next_one = FetchedFiles(Lake("unused"), temp_folder)
    expected = sorted([used, next_one._folder, *others])
    assert sorted(temp_folder.iterdir()) == expected
    next_one.close()
    running.communicate("")
    assert not used.exists(), "a process that ends by itself takes its files with it"


def test_a_full_disk_while_rows_are_spilled_is_named(temp_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(spilled.pyarrow.feather, "write_feather", full)
    with pytest.raises(PermanentFailure, match="cannot be written .No space left on device.; free space on its disk"):
        spilled.in_file(pa.table({"a": [1]}), temp_folder)


@pytest.mark.parametrize("at", ["write_table", "close"])
def test_a_full_disk_while_rows_are_spooled_is_told(
    temp_folder: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Some systems tell it only when the file is closed."""

    class Full:
        def write_table(self, *_: object, **__: object) -> None:
            if at == "write_table":
                raise FULL

        def close(self) -> None:
            raise FULL

    monkeypatch.setattr(pa.ipc, "new_stream", lambda *_, **__: Full())
    pieces = [bronze.SALES.schema.empty_table()]
    with (
        pytest.raises(PermanentFailure, match="cannot be written .No space left on device.; free space on its disk"),
        Spool(bronze.SALES, temp_folder).filled(pieces),
    ):
        raise AssertionError("not reached")
    assert list(temp_folder.iterdir()) == []


def test_what_the_rows_raise_while_they_are_spooled_is_no_fault_of_the_folder(temp_folder: Path) -> None:
    def pieces():
        yield bronze.SALES.schema.empty_table()
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"), Spool(bronze.SALES, temp_folder).filled(pieces()):
        raise AssertionError("not reached")
    assert list(temp_folder.iterdir()) == []


def test_another_users_process_counts_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert temporary._is_running(1)
