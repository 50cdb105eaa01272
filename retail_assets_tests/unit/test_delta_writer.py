"""What the writer promises: exactly the window is replaced, by rows that keep the contract, whoever else writes."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.engines import delta
from retail_assets.engines.delta import overwrite, overwrite_window
from retail_assets.failures import TransientFailure
from retail_assets.resources.lake import Lake
from retail_assets.tables.contract import ContractViolation, Table
from retail_assets.windows import Window, runs_of
from retail_assets_tests.unit import lake_writers
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, held, held_in_files, rows
from retail_assets_tests.unit.lake_writers import DAYS_EACH, FIRST, PRODUCTS, WRITERS, YEAR, write_own_days, write_year

DAY = timedelta(days=1)
SPAN = Window(FIRST, FIRST + 5 * DAY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(str(folder))


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
@settings(max_examples=12, deadline=None)
@given(writes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=6))
def test_each_day_holds_the_last_frame_written_for_it(table: Table, writes: list[tuple[int, int, int]]) -> None:
    """Windows overlap, leave gaps, come in any order and may hold empty days."""
    expected: dict[date, list[tuple]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number, (start, more, empty_every) in enumerate(writes):
            window = Window(FIRST + start * DAY, FIRST + (start + more) * DAY)
            filled = [day for day in window.days() if not empty_every or day.day % (empty_every + 1)]
            frame = rows(filled, count=number)
            written = overwrite_window(Lake(name), table, frame, window)
            assert written.rows == frame.num_rows
            expected |= {day: [] for day in window.days()}
            expected |= {day: [(day, product, number, number / 2) for product in "ab"] for day in filled}
        everything = sorted(row for day in expected.values() for row in day)
        assert held(Path(name), table) == everything
        if everything:
            assert held_in_files(Path(name), table) == everything


@settings(max_examples=8, deadline=None)
@given(days=st.sets(st.integers(0, 70), min_size=1, max_size=20), seed=st.integers(0, 9))
def test_gaps_between_partitions_stay_as_they_were(days: set[int], seed: int) -> None:
    span = Window(FIRST, FIRST + 70 * DAY)
    chosen = {FIRST + n * DAY for n in days}
    with tempfile.TemporaryDirectory() as name:
        overwrite_window(Lake(name), MONTHLY, rows(span.days(), count=1), span)
        runs = runs_of(chosen)
        random.Random(seed).shuffle(runs)
        for window in runs:
            overwrite_window(Lake(name), MONTHLY, rows(window.days(), count=2), window)
        found = {row[0]: row[2] for row in held(Path(name), MONTHLY)}
    assert found == {day: 2 if day in chosen else 1 for day in span.days()}


def test_writing_again_changes_nothing(lake: Lake, folder: Path) -> None:
    first = overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)
    before = held(folder, MONTHLY)
    again = overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)
    assert held(folder, MONTHLY) == before
    assert (first.rows, again.rows) == (12, 12)
    assert again.version > first.version == 2


def test_an_empty_frame_empties_its_window_only(lake: Lake, folder: Path) -> None:
    overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)
    written = overwrite_window(lake, MONTHLY, rows([]), Window(FIRST + DAY, FIRST + 2 * DAY))
    assert written.rows == 0
    assert {row[0] for row in held(folder, MONTHLY)} == {FIRST + n * DAY for n in (0, 3, 4, 5)}


def test_files_lie_as_the_layout_says_and_sorted(lake: Lake, folder: Path) -> None:
    shuffled = rows(SPAN.days()).take(random.Random(1).sample(range(12), 12))
    for table in (MONTHLY, DAILY):
        overwrite_window(lake, table, shuffled, SPAN)
    overwrite(lake, WHOLE, shuffled)
    folders = {table: sorted({Path(uri).parent.name for uri in _files(folder, table)}) for table in (MONTHLY, DAILY)}
    assert folders[MONTHLY] == ["month=2024-01", "month=2024-02"]
    assert folders[DAILY] == [f"business_date={day}" for day in SPAN.days()]
    stored = pq.ParquetFile(_files(folder, WHOLE)[0]).read(["product_id", "business_date"]).to_pylist()
    assert stored == sorted(stored, key=lambda row: (row["product_id"], row["business_date"]))


def test_the_table_carries_name_meaning_and_required_columns(lake: Lake, folder: Path) -> None:
    overwrite(lake, WHOLE, rows([FIRST]))
    table = DeltaTable(str(folder / WHOLE.path))
    assert (table.metadata().name, table.metadata().description) == ("whole", "Rows of a test.")
    assert {field.name: field.nullable for field in table.schema().fields} == {
        "business_date": False,
        "product_id": False,
        "line_count": False,
        "sold_units": True,
    }


@pytest.mark.parametrize("kind", ["pandas", "arrow", "ibis", "reader"])
def test_every_kind_of_frame_is_written(lake: Lake, folder: Path, kind: str) -> None:
    frame = rows(SPAN.days(), count=3)
    given_as: dict[str, Any] = {
        "pandas": frame.to_pandas(),
        "arrow": frame,
        "ibis": ibis.memtable(frame),
        "reader": frame.to_reader(max_chunksize=5),
    }
    overwrite_window(lake, MONTHLY, given_as[kind], SPAN)
    assert held(folder, MONTHLY) == sorted((day, p, 3, 1.5) for day in SPAN.days() for p in "ab")


def _with(**columns: pa.Array) -> pa.Table:
    frame = rows([FIRST])
    for name, values in columns.items():
        present = name in frame.column_names
        place = frame.column_names.index(name) if present else 0
        frame = frame.set_column(place, name, values) if present else frame.append_column(name, values)
    return frame


BAD_FRAMES = {
    "outside": (rows([FIRST, FIRST + 9 * DAY]), "2 rows have a business_date outside 2024-01-29 … 2024-02-03."),
    "before": (rows([FIRST - DAY]), "2 rows have a business_date outside 2024-01-29 … 2024-02-03."),
    "float": (
        _with(line_count=pa.array([1.7, 2.0])),
        "line_count: double does not fit int64 without loss (Float value",
    ),
    "text": (_with(line_count=pa.array(["1", "2"])), "line_count: is string, the contract says int64."),
    "null key": (_with(product_id=pa.array(["a", None])), "product_id: 1 of 2 values are missing."),
    "null date": (_with(business_date=pa.array([FIRST, None])), "business_date: 1 of 2 values are missing."),
    "null": (_with(line_count=pa.array([None, None], pa.int64())), "line_count: 2 of 2 values are missing."),
    "nan": (_with(line_count=pa.array([1.0, float("nan")])), "line_count: 1 of 2 values are missing."),
    "missing": (rows([FIRST]).drop_columns(["line_count"]), "missing columns ['line_count'], unexpected columns []."),
    "extra": (_with(colour=pa.array(["red", "blue"])), "missing columns [], unexpected columns ['colour']."),
}


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
@pytest.mark.parametrize("case", BAD_FRAMES)
def test_a_frame_that_breaks_the_contract_changes_nothing(lake: Lake, folder: Path, table: Table, case: str) -> None:
    frame, message = BAD_FRAMES[case]
    kept = overwrite_window(lake, table, rows(SPAN.days(), count=7), SPAN)
    before = held(folder, table)
    with pytest.raises(ContractViolation) as raised:
        overwrite_window(lake, table, frame, SPAN)
    assert str(raised.value).startswith(table.path) and message in str(raised.value)
    assert held(folder, table) == before
    assert DeltaTable(str(folder / table.path)).version() == kept.version


def test_a_frame_that_breaks_the_contract_creates_no_table(lake: Lake, folder: Path) -> None:
    with pytest.raises(ContractViolation, match=r"test/whole\.line_count: double does not fit int64"):
        overwrite(lake, WHOLE, BAD_FRAMES["float"][0])
    assert not folder.exists()


def test_whole_tables_and_windows_do_not_mix(lake: Lake, folder: Path) -> None:
    overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)
    with pytest.raises(ContractViolation, match="^test/monthly is partitioned: it is never overwritten as a whole.$"):
        overwrite(lake, MONTHLY, rows([FIRST]))
    with pytest.raises(ContractViolation, match="^test/whole has no partitions: a window of it cannot be replaced.$"):
        overwrite_window(lake, WHOLE, rows([FIRST]), SPAN)
    assert len(held(folder, MONTHLY)) == 12


def test_a_whole_table_is_replaced(lake: Lake, folder: Path) -> None:
    overwrite(lake, WHOLE, rows(SPAN.days(), count=1))
    result = overwrite(lake, WHOLE, rows([FIRST], count=2))
    assert held(folder, WHOLE) == [(FIRST, "a", 2, 1.0), (FIRST, "b", 2, 1.0)]
    assert (result.rows, result.version) == (2, 2) and result.bytes > 0


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(delta.time, "sleep", waits.append)
    return waits


def _losing(monkeypatch: pytest.MonkeyPatch, *, times: int) -> list[int]:
    """The first `times` commits lose against another writer."""
    calls: list[int] = []
    original = delta.write_deltalake

    def write(*args: Any, **kwargs: Any) -> None:
        calls.append(len(calls))
        if len(calls) <= times:
            raise CommitFailedError("a concurrent transaction deleted data this operation read")
        original(*args, **kwargs)

    monkeypatch.setattr(delta, "write_deltalake", write)
    return calls


def test_a_lost_race_is_run_again(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    calls = _losing(monkeypatch, times=3)
    reader = rows([FIRST], count=4).to_reader()
    assert overwrite_window(lake, MONTHLY, reader, SPAN).rows == 2
    assert len(calls) == 3 + 2 and len(no_waiting) == 3, "three lost, then one commit for each of two months"
    assert held(folder, MONTHLY) == [(FIRST, "a", 4, 2.0), (FIRST, "b", 4, 2.0)]


def test_a_race_that_is_always_lost_ends_in_a_sentence(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    calls = _losing(monkeypatch, times=999)
    with pytest.raises(TransientFailure) as raised:
        overwrite_window(lake, MONTHLY, rows([FIRST]), SPAN)
    assert str(raised.value) == "Other writers kept changing test/monthly; the write was given up after 100 tries."
    assert len(calls) == 100 and len(no_waiting) == 99 and max(no_waiting) <= 2


@pytest.mark.usefixtures("no_waiting")
def test_rows_lost_on_the_way_are_noticed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    original = delta.write_deltalake
    monkeypatch.setattr(
        delta, "write_deltalake", lambda t, data, **kwargs: original(t, data.read_all().slice(1), **kwargs)
    )
    with pytest.raises(TransientFailure, match="^test/whole: 12 rows were handed over, 11 were committed.$"):
        overwrite(lake, WHOLE, rows(SPAN.days()))


@pytest.mark.usefixtures("no_waiting")
def test_a_commit_that_left_no_trace_is_noticed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta, "write_deltalake", lambda *_, **__: None)
    with pytest.raises(TransientFailure) as raised:
        overwrite(lake, WHOLE, rows([FIRST]))
    assert str(raised.value) == "test/whole: the commit that was just made is not in the table's recent history."


def test_writers_of_different_days_lose_nothing(folder: Path) -> None:
    """The table does not exist when they start, so its creation is raced for too."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_own_days, args=(str(folder), n)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    days = [FIRST + n * DAY for n in range(WRITERS * DAYS_EACH)]
    expected = [(day, p, n % WRITERS, n % WRITERS / 2) for n, day in enumerate(days) for p in "ab"]
    assert held(folder, MONTHLY) == held_in_files(folder, MONTHLY) == expected


def _killed_after(folder: Path, *, months: int, count: int) -> int:
    """Starts the year's write, kills it without warning once so many months were announced; gives how many were."""
    command = [sys.executable, "-m", lake_writers.__name__, str(folder), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(months)]
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return len([line for line in said if line.strip()])


def _counts_by_month(folder: Path) -> list[dict[int, int]]:
    """For each month, how many rows carry which mark."""
    found: list[dict[int, int]] = [{} for _ in range(12)]
    for day, _, count, _ in held(folder, MONTHLY):
        month = found[day.month - 1]
        month[count] = month.get(count, 0) + 1
    return found


def test_a_killed_range_write_keeps_finished_months_whole_and_a_rerun_completes(folder: Path) -> None:
    write_year(Lake(str(folder)), count=0)
    full = [len(month) * len(PRODUCTS) for month in YEAR.by_month()]
    for attempt, months in enumerate((1, 4, 7), start=1):
        announced = _killed_after(folder, months=months, count=attempt)
        after = _counts_by_month(folder)
        assert [sum(month.values()) for month in after] == full
        assert all(len(month) == 1 for month in after), "a month is either old or new, never a mixture"
        renewed = [attempt in month for month in after]
        assert renewed[:announced] == [True] * announced and not all(renewed)
    write_year(Lake(str(folder)), count=9)
    assert _counts_by_month(folder) == [{9: rows_of_month} for rows_of_month in full]


def _files(folder: Path, table: Table) -> list[str]:
    return DeltaTable(str(folder / table.path)).file_uris()
