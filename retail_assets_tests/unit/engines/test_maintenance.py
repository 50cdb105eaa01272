"""What maintenance promises: the same rows in fewer, sorted files, no version within the history lost, writers win."""

import multiprocessing
import os
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.engines import maintenance
from retail_assets.engines.maintenance import Retention, expired_dates, maintain, maintain_table
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import LAKE_TABLES
from retail_assets.tables.contract import MONTH_COLUMN, Layout, Table
from retail_assets.tables.operations import LAKE_MAINTENANCE
from retail_assets.windows import Window
from retail_assets_tests.unit.aged_tables import age
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, held, held_in_files, rows

FIRST = date(2024, 1, 29)
DAY = timedelta(days=1)
KEEP = Retention(history_days=30)
SPAN = Window(FIRST, FIRST + 5 * DAY)
NOTHING = {
    "expired_partitions": 0,
    "expired_rows": 0,
    "compacted_partitions": 0,
    "skipped_partitions": 0,
    "vacuumed_files": 0,
    "vacuumed_bytes": 0,
}
LAYOUTS = pytest.mark.parametrize("table", [MONTHLY, DAILY, WHOLE], ids=["month", "day", "whole"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(str(folder))


def appended(folder: Path, table: Table, frame: pa.Table) -> None:
    """By bare delta-rs, as any other writer would; the first one creates the table with the contract's columns."""
    frame, columns = frame.cast(table.schema), []
    if table.layout is Layout.MONTH:
        columns = [MONTH_COLUMN]
        months = [f"{day:%Y-%m}" for day in frame.column("business_date").to_pylist()]
        frame = frame.append_column(pa.field(MONTH_COLUMN, pa.string(), nullable=False), pa.array(months))
    elif table.layout is Layout.DAY:
        columns = ["business_date"]
    write_deltalake(folder / table.path, frame, mode="append", partition_by=columns or None)


def fragmented(folder: Path, table: Table) -> list[tuple]:
    """Thirty commits of a few unsorted rows each; gives all rows."""
    chance = random.Random(7)
    for number in range(30):
        days = [chance.choice(list(SPAN.days())) for _ in range(3)]
        appended(folder, table, rows(days, count=number, products=chance.sample("abcdefgh", 3)))
    return held_in_files(folder, table)


def files_by_folder(folder: Path, table: Table) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for uri in DeltaTable(str(folder / table.path)).file_uris():
        file = Path(unquote(uri))
        found.setdefault(file.parent.name, []).append(file)
    return found


def on_disk(folder: Path, table: Table) -> dict[Path, int]:
    """Every data file there is, of whatever version, with its size."""
    return {
        path: path.stat().st_size for path in (folder / table.path).rglob("*.parquet") if "_delta_log" not in str(path)
    }


def retention_of(folder: Path, table: Table) -> dict[str, str]:
    """Of the table's properties, those that any Delta writer reads."""
    properties = DeltaTable(folder / table.path).metadata().configuration
    return {name: value for name, value in properties.items() if name.endswith(("RetentionDuration", "LogCleanup"))}


def done(figures: dict[str, Any] | None) -> dict[str, int]:
    assert figures is not None
    assert "problem" not in figures, figures
    return {name: figures[name] for name in NOTHING}


@LAYOUTS
def test_a_folder_becomes_one_sorted_file_of_the_same_rows(lake: Lake, folder: Path, table: Table) -> None:
    before = fragmented(folder, table)
    sizes = sum(on_disk(folder, table).values())
    figures = maintain_table(lake, table, KEEP) or {}
    folders = files_by_folder(folder, table)
    assert done(figures) == NOTHING | {"compacted_partitions": len(folders)}
    assert held_in_files(folder, table) == held(folder, table) == before
    for [file] in folders.values():
        stored = pq.ParquetFile(file).read().to_pylist()
        columns = [name for name in table.sort_by if name in stored[0]]
        assert stored == sorted(stored, key=lambda row: [row[name] for name in columns])
    assert (figures["row_count"], figures["files_after"]) == (len(before), len(folders))
    assert figures["bytes_before"] == sizes
    assert figures["bytes_after"] == sum(file.stat().st_size for [file] in folders.values()) < sizes


@LAYOUTS
def test_a_second_maintenance_finds_nothing_to_do(lake: Lake, folder: Path, table: Table) -> None:
    fragmented(folder, table)
    first = maintain_table(lake, table, KEEP) or {}
    there = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = maintain_table(lake, table, KEEP) or {}
    assert done(again) == NOTHING
    assert again["delta_version"] == first["delta_version"] == DeltaTable(folder / table.path).version()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == there


def test_days_written_night_after_night_become_a_file_a_month(lake: Lake, folder: Path) -> None:
    nights = Window(date(2024, 1, 20), date(2024, 3, 10))
    for day in nights.days():
        again = Window(max(nights.first, day - 3 * DAY), day)
        overwrite_window(lake, MONTHLY, rows(again.days(), count=day.day), again)
    before = held_in_files(folder, MONTHLY)
    assert len(before) == 2 * len(nights)
    maintain_table(lake, MONTHLY, KEEP)
    folders = files_by_folder(folder, MONTHLY)
    assert {name: len(files) for name, files in folders.items()} == {
        "month=2024-01": 1,
        "month=2024-02": 1,
        "month=2024-03": 1,
    }
    assert held_in_files(folder, MONTHLY) == before


def test_a_column_that_older_files_lack_stays_empty_there(lake: Lake, folder: Path) -> None:
    appended(folder, WHOLE, rows([FIRST]))
    more = rows([FIRST + DAY]).append_column("shelf_units", pa.array([1.5, 2.5]))
    write_deltalake(folder / WHOLE.path, more, mode="append", schema_mode="merge")
    assert done(maintain_table(lake, WHOLE, KEEP))["compacted_partitions"] == 1
    [[file]] = files_by_folder(folder, WHOLE).values()
    assert pq.ParquetFile(file).read(["product_id", "shelf_units"]).to_pylist() == [
        {"product_id": "a", "shelf_units": None},
        {"product_id": "a", "shelf_units": 1.5},
        {"product_id": "b", "shelf_units": None},
        {"product_id": "b", "shelf_units": 2.5},
    ]


def test_one_small_file_beside_full_ones_is_left(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appended(folder, WHOLE, rows(SPAN.days(), products=[f"p{n}" for n in range(500)]))
    appended(folder, WHOLE, rows([FIRST]))
    sizes = sorted(on_disk(folder, WHOLE).values())
    monkeypatch.setattr(maintenance, "TARGET_FILE_BYTES", sizes[1])
    assert done(maintain_table(lake, WHOLE, KEEP)) == NOTHING
    appended(folder, WHOLE, rows([FIRST + DAY]))
    assert done(maintain_table(lake, WHOLE, KEEP)) == NOTHING | {"compacted_partitions": 1}


def test_a_folder_is_one_file_whatever_size_the_table_asks_for(lake: Lake, folder: Path) -> None:
    chance = random.Random(3)
    for _ in range(2):
        appended(folder, WHOLE, rows([FIRST], products=[str(chance.random()) for _ in range(70_000)]))
    DeltaTable(folder / WHOLE.path).alter.set_table_properties({"delta.targetFileSize": "100000"})
    maintain_table(lake, WHOLE, KEEP)
    [[file]] = files_by_folder(folder, WHOLE).values()
    assert file.stat().st_size > 700_000
    products = pq.ParquetFile(file).read(["product_id"]).column(0).to_pylist()
    assert (len(products), products) == (140_000, sorted(products))
    assert pq.ParquetFile(file).metadata.num_row_groups == 2, "groups as small as the writer makes them"


def meanwhile(monkeypatch: pytest.MonkeyPatch, write: Callable[[], Any]) -> None:
    """Another writer commits after the first folder was read and before it is written."""
    original, waiting = maintenance.write_deltalake, [write]

    def late(*arguments: Any, **options: Any) -> None:
        if waiting:
            waiting.pop()()
        original(*arguments, **options)

    monkeypatch.setattr(maintenance, "write_deltalake", late)


@LAYOUTS
def test_a_writer_between_read_and_commit_wins(
    lake: Lake, folder: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fragmented(folder, table)
    folders = len(files_by_folder(folder, table))
    if table is WHOLE:
        expected = sorted((FIRST, product, 99, 49.5) for product in "ab")
        meanwhile(monkeypatch, lambda: overwrite(lake, table, rows([FIRST], count=99)))
    else:
        kept = [row for row in before if row[0] != FIRST]
        expected = sorted([*kept, *((FIRST, product, 99, 49.5) for product in "ab")])
        meanwhile(monkeypatch, lambda: overwrite_window(lake, table, rows([FIRST], count=99), Window(FIRST, FIRST)))
    assert done(maintain_table(lake, table, KEEP)) == NOTHING | {
        "skipped_partitions": 1,
        "compacted_partitions": folders - 1,
    }
    assert held_in_files(folder, table) == held(folder, table) == expected
    maintain_table(lake, table, KEEP)
    assert {len(files) for files in files_by_folder(folder, table).values()} == {1}
    assert held_in_files(folder, table) == expected


@LAYOUTS
def test_rows_added_between_read_and_commit_stay(
    lake: Lake, folder: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fragmented(folder, table)
    meanwhile(monkeypatch, lambda: appended(folder, table, rows([FIRST], count=99)))
    figures = maintain_table(lake, table, KEEP) or {}
    assert "problem" not in figures
    assert held_in_files(folder, table) == sorted([*before, *((FIRST, product, 99, 49.5) for product in "ab")])


def test_a_writer_of_another_month_disturbs_nothing(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fragmented(folder, MONTHLY)
    far = FIRST + 90 * DAY
    meanwhile(monkeypatch, lambda: overwrite_window(lake, MONTHLY, rows([far]), Window(far, far)))
    assert done(maintain_table(lake, MONTHLY, KEEP)) == NOTHING | {"compacted_partitions": 2}
    assert held_in_files(folder, MONTHLY) == [*before, *held_in_files(folder, MONTHLY)[-2:]]
    assert {row[0] for row in held(folder, MONTHLY)} >= {far}


def test_properties_are_set_beside_a_writer(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overwrite(lake, WHOLE, rows([FIRST]))
    original, waiting = maintenance._set_properties, [1, 2, 3]

    def late(delta: DeltaTable, retention: Retention) -> None:
        if waiting:
            overwrite(lake, WHOLE, rows([FIRST], count=waiting.pop(0)))
        original(delta, retention)

    monkeypatch.setattr(maintenance, "_set_properties", late)
    assert done(maintain_table(lake, WHOLE, KEEP)) == NOTHING
    assert retention_of(folder, WHOLE) == KEEP.table_properties
    assert held_in_files(folder, WHOLE) == [(FIRST, "a", 3, 1.5), (FIRST, "b", 3, 1.5)]


def test_files_are_deleted_beside_a_writer(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        overwrite(lake, WHOLE, rows([FIRST], count=number))
    age(folder / WHOLE.path, days=31)
    old, original, waiting = on_disk(folder, WHOLE), DeltaTable.vacuum, [7, 8]

    def late(delta: DeltaTable, *arguments: Any, dry_run: bool, **options: Any) -> list[str]:
        found = original(delta, *arguments, dry_run=dry_run, **options)
        if dry_run and waiting:
            overwrite(lake, WHOLE, rows([FIRST], count=waiting.pop(0)))
        return found

    monkeypatch.setattr(DeltaTable, "vacuum", late)
    assert done(maintain_table(lake, WHOLE, KEEP))["vacuumed_files"] == 2
    assert len(old.keys() - on_disk(folder, WHOLE).keys()) == 2
    assert held_in_files(folder, WHOLE) == [(FIRST, "a", 8, 4.0), (FIRST, "b", 8, 4.0)]


def write_days(folder: str, days: list[date], count: int) -> None:
    for day in days:
        overwrite_window(Lake(folder), MONTHLY, rows([day], count=count), Window(day, day))


def test_maintenance_beside_writers_in_other_processes_loses_nothing(lake: Lake, folder: Path) -> None:
    days = [[FIRST + (2 * k + n) * DAY for k in range(12)] for n in range(2)]
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_days, args=(str(folder), days[n], n)) for n in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        figures = maintain_table(lake, MONTHLY, KEEP)
        assert figures is None or "problem" not in figures, figures["problem"]
    assert [writer.exitcode for writer in writers] == [0, 0]
    expected = sorted((day, product, n, n / 2) for n in range(2) for day in days[n] for product in "ab")
    assert held(folder, MONTHLY) == held_in_files(folder, MONTHLY) == expected


def test_a_file_that_does_not_hold_what_the_log_counts_is_not_rewritten(lake: Lake, folder: Path) -> None:
    fragmented(folder, WHOLE)
    commit = folder / WHOLE.path / "_delta_log" / f"{3:020}.json"
    commit.write_text(commit.read_text("utf-8").replace('numRecords\\":9', 'numRecords\\":10'), "utf-8")
    version = DeltaTable(folder / WHOLE.path).version()
    figures = maintain_table(lake, WHOLE, KEEP) or {}
    assert figures["problem"].startswith("test/whole: the log counts 271 rows, the files hold 270; they were left")
    assert DeltaTable(folder / WHOLE.path).version() == version + 1, "the properties, nothing else"
    assert figures["files_before"] == 30


def test_rows_lost_on_the_way_are_noticed(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fragmented(folder, WHOLE)
    original = maintenance.write_deltalake
    monkeypatch.setattr(
        maintenance, "write_deltalake", lambda t, data, **kw: original(t, data.read_all().slice(1), **kw)
    )
    figures = maintain_table(lake, WHOLE, KEEP) or {}
    assert figures["problem"] == "test/whole: of 270 rows 269 were written; restore version 30 and report it."


def test_files_older_than_the_history_go_and_versions_within_it_can_be_read(lake: Lake, folder: Path) -> None:
    table = folder / WHOLE.path
    for number, days_until_next in enumerate((20, 15, 25, 0)):  # 60, 40, 25 and 0 days old in the end
        overwrite(lake, WHOLE, rows([FIRST + number * DAY], count=number))
        age(table, days=days_until_next)
    first = DeltaTable(table).version() - 3
    before = on_disk(folder, WHOLE)
    orphans = {name: table / f"part-{name}.parquet" for name in ("old", "young")}
    for orphan in orphans.values():
        orphan.write_bytes(b"uncommitted")
    age_of_orphan = datetime.now(UTC).timestamp() - 31 * 86_400
    os.utime(orphans["old"], (age_of_orphan, age_of_orphan))

    figures = done(maintain_table(lake, WHOLE, KEEP))
    after = on_disk(folder, WHOLE)
    gone = before.keys() - after.keys()
    assert len(gone) == 1, "only what was replaced more than 30 days ago"
    assert not orphans["old"].exists() and orphans["young"].exists()
    assert figures == NOTHING | {
        "vacuumed_files": 2,
        "vacuumed_bytes": sum(before[path] for path in gone) + len(b"uncommitted"),
    }
    for number in (1, 2, 3):
        past = DeltaTable(table, version=first + number).to_pyarrow_table()
        assert past.column("line_count").to_pylist() == [number, number]
    with pytest.raises(FileNotFoundError):
        DeltaTable(table, version=first).to_pyarrow_table()


def test_files_of_a_writer_that_died_go_when_they_are_old(lake: Lake, folder: Path) -> None:
    overwrite(lake, WHOLE, rows([FIRST]))
    orphan = folder / WHOLE.path / "part-never-committed.parquet"
    orphan.write_bytes(b"uncommitted")
    assert done(maintain_table(lake, WHOLE, KEEP)) == NOTHING
    age(folder / WHOLE.path, days=31)
    assert done(maintain_table(lake, WHOLE, KEEP)) == NOTHING | {"vacuumed_files": 1, "vacuumed_bytes": 11}
    assert not orphan.exists()
    assert held_in_files(folder, WHOLE) == [(FIRST, "a", 1, 0.5), (FIRST, "b", 1, 0.5)]


def test_what_was_in_force_when_the_history_begins_stays_readable(lake: Lake, folder: Path) -> None:
    """A file that is years old and was replaced yesterday is needed; checkpoints and clean-ups do not forget it."""
    table = folder / WHOLE.path
    overwrite(lake, WHOLE, rows([FIRST], count=1))
    version = DeltaTable(table).version()
    age(table, days=45)
    overwrite(lake, WHOLE, rows([FIRST], count=2))
    for _ in range(3):
        assert done(maintain_table(lake, WHOLE, KEEP)) == NOTHING
    assert DeltaTable(table, version=version).to_pyarrow_table().column("line_count").to_pylist() == [1, 1]


def test_a_table_that_was_idle_for_long_keeps_the_version_it_had(lake: Lake, folder: Path) -> None:
    """It was the newest until a moment ago, however old its commit."""
    table = folder / WHOLE.path
    overwrite(lake, WHOLE, rows([FIRST], count=1))
    maintain_table(lake, WHOLE, KEEP)
    version = DeltaTable(table).version()
    age(table, days=90)
    overwrite(lake, WHOLE, rows([FIRST], count=2))
    maintain_table(lake, WHOLE, KEEP)
    assert DeltaTable(table, version=version).to_pyarrow_table().column("line_count").to_pylist() == [1, 1]


def test_the_log_is_cut_at_twice_the_history_and_the_table_still_read(lake: Lake, folder: Path) -> None:
    log = folder / WHOLE.path / "_delta_log"
    for number in range(6):
        overwrite(lake, WHOLE, rows([FIRST], count=number))
    first = maintain_table(lake, WHOLE, KEEP) or {}
    assert (first["checkpoint_version"], (log / f"{0:020}.json").exists()) == (first["delta_version"], True)
    age(folder / WHOLE.path, days=61)
    overwrite(lake, WHOLE, rows([FIRST], count=4))
    age(folder / WHOLE.path, days=40)
    overwrite(lake, WHOLE, rows([FIRST], count=5))
    figures = maintain_table(lake, WHOLE, KEEP) or {}
    assert figures["checkpoint_version"] == figures["delta_version"] > first["delta_version"]
    assert not (log / f"{0:020}.json").exists()
    assert figures["log_files"] == len([path for path in log.iterdir() if path.is_file()]) < first["log_files"]
    assert held_in_files(folder, WHOLE) == held(folder, WHOLE) == [(FIRST, "a", 5, 2.5), (FIRST, "b", 5, 2.5)]


def test_the_table_itself_tells_other_writers_its_retention(lake: Lake, folder: Path) -> None:
    overwrite(lake, WHOLE, rows([FIRST]))
    for days in (30, 14):
        maintain_table(lake, WHOLE, Retention(days))
        assert retention_of(folder, WHOLE) == {
            "delta.deletedFileRetentionDuration": f"interval {days} days",
            "delta.logRetentionDuration": f"interval {2 * days} days",
            "delta.enableExpiredLogCleanup": "false",
        }


@pytest.mark.parametrize("more", range(10))
def test_writers_after_a_long_pause_do_not_cut_the_log(lake: Lake, folder: Path, more: int) -> None:
    """Wherever the next checkpoint falls, the version that was in force during the pause stays."""
    overwrite(lake, WHOLE, rows([FIRST]))
    maintain_table(lake, WHOLE, KEEP)
    for number in range(more + 1):
        overwrite(lake, WHOLE, rows([FIRST], count=number))
    in_force = DeltaTable(folder / WHOLE.path).version()
    age(folder / WHOLE.path, days=100)
    for _ in range(10):
        overwrite(lake, WHOLE, rows([FIRST], count=99))
    past = DeltaTable(folder / WHOLE.path, version=in_force).to_pyarrow_table()
    assert past.column("line_count").to_pylist() == [more, more]


@given(
    ages=st.sets(st.integers(0, 400), min_size=1, max_size=60),
    newest=st.dates(date(2023, 1, 1), date(2026, 1, 1)),
    keep=st.integers(1, 120),
)
def test_everything_younger_and_every_sunday_stays(ages: set[int], newest: date, keep: int) -> None:
    dates = {newest - n * DAY for n in ages} | {newest}
    kept = dates - set(expired_dates(dates, keep))
    assert kept == {day for day in dates if day >= newest - keep * DAY or f"{day:%A}" == "Sunday"}


def test_expiry_takes_whole_days_in_one_commit(lake: Lake, folder: Path) -> None:
    keeping = replace(DAILY, retention_days=10)
    span = Window(FIRST, FIRST + 30 * DAY)
    overwrite_window(lake, keeping, rows(span.days()), span)
    before = held_in_files(folder, DAILY)
    version = DeltaTable(folder / DAILY.path).version()
    figures = done(maintain_table(lake, keeping, KEEP))
    last_days = {span.last - n * DAY for n in range(11)}
    sundays = {date(2024, 2, 4), date(2024, 2, 11), date(2024, 2, 18)}
    assert held_in_files(folder, DAILY) == [row for row in before if row[0] in last_days | sundays]
    assert figures == NOTHING | {"expired_partitions": 31 - 13, "expired_rows": 2 * (31 - 13)}
    assert DeltaTable(folder / DAILY.path).version() == version + 2, "the properties and the expiry"
    assert done(maintain_table(lake, keeping, KEEP)) == NOTHING
    past = DeltaTable(folder / DAILY.path, version=version)
    assert past.to_pyarrow_table().num_rows == len(before), "yesterday's table still has them"


def test_a_day_written_again_while_it_expires_stays(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = replace(DAILY, retention_days=10)
    span = Window(FIRST, FIRST + 30 * DAY)
    overwrite_window(lake, keeping, rows(span.days()), span)
    before = held_in_files(folder, DAILY)

    def late(dates: Any, keep_days: int) -> list[date]:
        overwrite_window(lake, keeping, rows([FIRST], count=99), Window(FIRST, FIRST))
        return expired_dates(dates, keep_days)

    monkeypatch.setattr(maintenance, "expired_dates", late)
    assert done(maintain_table(lake, keeping, KEEP)) == NOTHING | {"skipped_partitions": 18}
    assert held_in_files(folder, DAILY) == [*((FIRST, product, 99, 49.5) for product in "ab"), *before[2:]]


def test_a_table_that_fails_is_named_and_the_others_are_maintained(lake: Lake, folder: Path) -> None:
    for table in (MONTHLY, DAILY, WHOLE):
        fragmented(folder, table)
    for file in [path for files in files_by_folder(folder, DAILY).values() for path in files]:
        file.unlink()
    found = maintain(lake, (MONTHLY, DAILY, WHOLE), KEEP).to_pylist()
    assert [row["table_path"] for row in found] == ["test/monthly", "test/daily", "test/whole"]
    assert [row["problem"] is None for row in found] == [True, False, True]
    assert "test/daily" in found[1]["problem"] and "\n" not in found[1]["problem"]
    assert (found[1]["files_before"] or 0) > 1 and found[1]["files_after"] is None
    assert (found[0]["compacted_partitions"], found[2]["compacted_partitions"]) == (2, 1)


def test_a_log_that_cannot_be_read_is_a_problem_of_its_table_alone(lake: Lake, folder: Path) -> None:
    fragmented(folder, WHOLE)
    fragmented(folder, DAILY)
    (folder / WHOLE.path / "_delta_log" / f"{3:020}.json").write_text("{", encoding="utf-8")
    broken, fine = maintain(lake, (WHOLE, DAILY), KEEP).to_pylist()
    assert broken["problem"] and broken["files_before"] is None
    assert fine["problem"] is None and fine["compacted_partitions"] == 6


def test_tables_that_were_never_written_have_no_row(lake: Lake, folder: Path) -> None:
    assert maintain(lake, LAKE_TABLES, KEEP).num_rows == 0
    assert not folder.exists()


def test_the_figures_keep_their_contract(lake: Lake, folder: Path) -> None:
    fragmented(folder, WHOLE)
    found = maintain(lake, (WHOLE,), KEEP)
    assert found.schema == LAKE_MAINTENANCE.schema
    assert overwrite(lake, LAKE_MAINTENANCE, found).rows == 1
