"""Maintenance and time travel on a real blob service; what is left is read with Microsoft's client and pyarrow."""

import io
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import ContainerClient
from deltalake import write_deltalake

from retail_assets.engines import maintenance
from retail_assets.engines.maintenance import Retention, maintain_table
from retail_assets.engines.time_travel import past
from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table
from retail_assets.windows import Window
from retail_assets_tests.integration.azurite import Azurite
from retail_assets_tests.unit.lake_frames import DAILY, rows

CONTAINER = "maintenance"
DAY = timedelta(days=1)
SPAN = Window(date(2024, 1, 29), date(2024, 2, 18))
KEEPING = replace(DAILY, retention_days=10)
KEEP = Retention(history_days=30)
KEPT = {SPAN.last - n * DAY for n in range(11)} | {date(2024, 2, 4)}


@pytest.fixture
def client(azurite: Azurite) -> ContainerClient:
    return azurite.container(CONTAINER)


@pytest.fixture
def lake(azurite: Azurite) -> Lake:
    """A day a commit, and the last day in three files."""
    lake = azurite.lake(CONTAINER)
    overwrite_window(lake, KEEPING, rows(SPAN.days()), SPAN)
    for number in (5, 6):
        write_deltalake(lake.require(KEEPING), rows([SPAN.last], count=number).cast(KEEPING.schema), mode="append")
    return lake


def data_files(client: ContainerClient, table: Table) -> dict[str, int]:
    """Every data file there is, of whatever version, with its size."""
    blobs = client.list_blobs(name_starts_with=f"retail/{table.path}/")
    return {blob.name: blob.size for blob in blobs if "_delta_log" not in blob.name and blob.name.endswith(".parquet")}


def newest(client: ContainerClient, lake: Lake, table: Table) -> dict[date, list[pa.Table]]:
    """The files of the newest version by the day of their folder."""
    found: dict[date, list[pa.Table]] = {}
    for uri in lake.require(table).file_uris():
        folder, file = uri.rsplit("/", 2)[1:]
        blob = client.download_blob(f"retail/{table.path}/{folder}/{file}").readall()
        day = date.fromisoformat(folder.removeprefix("business_date="))
        found.setdefault(day, []).append(pq.ParquetFile(io.BytesIO(blob)).read())
    return found


def test_a_remote_table_is_maintained_and_read_as_it_was(
    lake: Lake, client: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = lake.require(KEEPING).version()
    client.upload_blob(f"retail/{KEEPING.path}/part-orphan.parquet", b"uncommitted")
    original = maintenance.write_deltalake

    def beside(*arguments: object, **options: object) -> None:
        """A writer of another day commits between read and commit."""
        overwrite_window(lake, KEEPING, rows([SPAN.first], count=9), Window(SPAN.first, SPAN.first))
        original(*arguments, **options)  # pyright: ignore

    monkeypatch.setattr(maintenance, "write_deltalake", beside)
    figures = maintain_table(lake, KEEPING, KEEP) or {}
    monkeypatch.undo()
    assert "problem" not in figures, figures["problem"]
    found = newest(client, lake, KEEPING)
    assert found.keys() == KEPT | {SPAN.first}
    assert {len(files) for files in found.values()} == {1}
    assert sorted(found[SPAN.last][0].column("line_count").to_pylist()) == [1, 1, 5, 5, 6, 6]
    assert (figures["files_before"], figures["files_after"], figures["vacuumed_files"]) == (23, len(found), 0)
    assert (figures["expired_partitions"], figures["compacted_partitions"]) == (21 - len(KEPT), 1)
    assert figures["checkpoint_version"] == figures["delta_version"]
    log = [blob.name for blob in client.list_blobs(name_starts_with=f"retail/{KEEPING.path}/_delta_log/")]
    assert figures["log_files"] == len(log)

    before = past(lake, KEEPING, version=version)
    assert sum(batch.num_rows for batch in before.batches()) == before.row_count == 2 * len(SPAN) + 4


def test_remote_files_that_no_version_needs_are_deleted(azurite: Azurite) -> None:
    """The server dates files itself, so the history is no day long instead of the files old."""
    lake, client = azurite.lake("vacuum"), azurite.container("vacuum")
    for number in range(3):
        overwrite_window(lake, DAILY, rows(SPAN.days(), count=number), SPAN)
    before = data_files(client, DAILY)
    figures = maintain_table(lake, DAILY, Retention(history_days=0)) or {}
    assert "problem" not in figures, figures["problem"]
    after = data_files(client, DAILY)
    gone = before.keys() - after.keys()
    assert (len(gone), len(after)) == (2 * len(SPAN), len(SPAN))
    assert (figures["vacuumed_files"], figures["vacuumed_bytes"]) == (len(gone), sum(before[name] for name in gone))
    found = newest(client, lake, DAILY)
    assert {day: file.column("line_count").to_pylist() for day, [file] in found.items()} == {
        day: [2, 2] for day in SPAN.days()
    }
