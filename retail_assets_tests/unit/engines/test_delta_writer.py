"""What the writer promises: exactly the window is replaced, by rows that keep the contract, whoever else writes."""

import random
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.schema import Field, PrimitiveType
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.engines.writing import committing, delta
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import ContractViolation, Table
from retail_assets.windows import Window, runs_of
from retail_assets_tests.own_time import own_time
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, files_of, held, held_in_files, rows
from retail_assets_tests.unit.lake_writers import FIRST

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
@given(writes=st.lists(st.tuples(st.integers(0, 70), st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=6))
def test_each_day_holds_the_last_frame_written_for_it(table: Table, writes: list[tuple[int, int, int]]) -> None:
    """Windows overlap, leave gaps, come in any order and may hold empty days."""
    expected: dict[date, list[tuple]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number, (start, more, empty_every) in enumerate(writes):
            more = more if table is MONTHLY else more % 8  # each of its days is a commit
            window = Window(FIRST + start * DAY, FIRST + (start + more) * DAY)
            filled = [day for day in window.days() if not empty_every or day.day % (empty_every + 1)]
            frame = _shuffled(rows(filled, count=number), seed=number)
            written = overwrite_window(Lake(name), table, frame, window)
            assert written.rows == frame.num_rows
            expected |= {day: [] for day in window.days()}
            expected |= {day: [(day, product, number, number / 2) for product in "ab"] for day in filled}
        everything = sorted(row for day in expected.values() for row in day)
        assert held(Path(name), table) == held_in_files(Path(name), table) == everything
        _assert_one_sorted_file_a_folder(Path(name), table)


def _assert_one_sorted_file_a_folder(folder: Path, table: Table) -> None:
    """The month or the day of a folder is one file, in the contract's order."""
    order = [name for name in table.sort_by if table is MONTHLY or name != table.partition_column]
    for files in files_of(folder, table).values():
        stored = [tuple(row.values()) for file in files for row in file.select(order).to_pylist()]
        assert len(files) == 1 and stored == sorted(stored)


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
        _assert_one_sorted_file_a_folder(Path(name), MONTHLY)
    assert found == {day: 2 if day in chosen else 1 for day in span.days()}


def _shuffled(frame: pa.Table, *, seed: int) -> pa.Table:
    numbers = random.Random(seed).sample(range(frame.num_rows), frame.num_rows)
    return frame.take(pa.array(numbers, pa.int64()))


def test_a_month_that_others_left_in_small_files_becomes_one_sorted_file(lake: Lake, folder: Path) -> None:
    """As Spark leaves them: several files, unsorted, and columns in another order."""
    overwrite_window(lake, MONTHLY, rows([FIRST]), Window(FIRST, FIRST))
    for number in (1, 2):
        small = _shuffled(rows([FIRST + number * DAY], count=number), seed=1).append_column("month", [["2024-01"] * 2])
        write_deltalake(str(folder / MONTHLY.path), small.select(small.column_names[::-1]), mode="append")
    assert len(files_of(folder, MONTHLY)["month=2024-01"]) == 3
    written = overwrite_window(lake, MONTHLY, rows([FIRST], count=7), Window(FIRST, FIRST))
    assert written.rows == 2, "what was merged does not count as written"
    _assert_one_sorted_file_a_folder(folder, MONTHLY)
    assert [row[2] for row in held_in_files(folder, MONTHLY)] == [7, 7, 1, 1, 2, 2]


def test_more_rows_than_a_writer_takes_at_once_stay_sorted(lake: Lake, folder: Path) -> None:
    products = [f"p{number:05}" for number in range(30_000)]
    for seed in (1, 2):
        days = [FIRST + DAY, FIRST] if seed == 1 else [FIRST + 2 * DAY]
        frame = _shuffled(rows(days, count=seed, products=products), seed=seed)
        overwrite_window(lake, MONTHLY, frame, Window(min(days), max(days)))
    [file] = files_of(folder, MONTHLY)["month=2024-01"]
    assert file.select(["product_id", "business_date", "line_count"]).to_pylist() == [
        {"product_id": product, "business_date": FIRST + n * DAY, "line_count": 2 if n == 2 else 1}
        for product in products
        for n in range(3)
    ]


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
    own_time(monkeypatch, committing, sleep=waits.append)
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


OTHER = FIRST + DAY
INTRUDERS = {
    "a neighbour in the month": lambda lake: overwrite_window(lake, MONTHLY, rows([OTHER], count=5), _only(OTHER)),
    "a neighbour emptied": lambda lake: overwrite_window(lake, MONTHLY, rows([]), _only(OTHER)),
    "the same day": lambda lake: overwrite_window(lake, MONTHLY, rows([FIRST], count=5), _only(FIRST)),
    "the month in another way": lambda lake: lake.require(MONTHLY).delete("month = '2024-01'"),
    "an append": lambda lake: write_deltalake(
        lake.require(MONTHLY), rows([OTHER], count=5).append_column("month", [["2024-01"] * 2]), mode="append"
    ),
    "a column": lambda lake: lake.require(MONTHLY).alter.add_columns(Field("late", PrimitiveType("string"))),
}


def _only(day: date) -> Window:
    return Window(day, day)


def _intruding(monkeypatch: pytest.MonkeyPatch, lake: Lake, intruder: Callable[[Lake], object]) -> list[int]:
    """Somebody else commits after the month was read and before it is written; gives the versions written on."""
    versions: list[int] = []
    original = delta.write_deltalake

    def write(table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        versions.append(table.version())
        if len(versions) == 1:
            intruder(lake)
        original(table, *args, **kwargs)

    monkeypatch.setattr(delta, "write_deltalake", write)
    return versions


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("others", [[], [OTHER]], ids=["first of its month", "with others"])
@pytest.mark.parametrize("case", [name for name in INTRUDERS if name != "a column"])
def test_what_is_committed_between_reading_and_writing_is_kept(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, case: str, others: list[date]
) -> None:
    overwrite_window(lake, MONTHLY, rows(others, count=1), _only(OTHER))
    without = Lake(f"{lake.uri}-without")
    overwrite_window(without, MONTHLY, rows(others, count=1), _only(OTHER))
    INTRUDERS[case](without)
    versions = _intruding(monkeypatch, lake, INTRUDERS[case])
    overwrite_window(lake, MONTHLY, rows([FIRST], count=9), _only(FIRST))
    kept = [row for row in held(Path(without.uri), MONTHLY) if row[0] != FIRST]
    assert held_in_files(folder, MONTHLY) == sorted([(FIRST, p, 9, 4.5) for p in "ab"] + kept)
    is_unnoticed = not others and case in ("a neighbour emptied", "the month in another way")
    assert len(versions) >= (1 if is_unnoticed else 2), "delta-rs wrote on another version than was read"


@pytest.mark.usefixtures("no_waiting")
def test_a_column_added_between_reading_and_writing_is_noticed(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite_window(lake, MONTHLY, rows([OTHER]), _only(OTHER))
    _intruding(monkeypatch, lake, INTRUDERS["a column"])
    with pytest.raises(PermanentFailure, match="late is not in the contract"):
        overwrite_window(lake, MONTHLY, rows([FIRST]), _only(FIRST))
    assert held_in_files(folder, MONTHLY) == [(OTHER, "a", 1, 0.5), (OTHER, "b", 1, 0.5)]


def test_another_month_is_no_race(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = FIRST + 40 * DAY
    overwrite_window(lake, MONTHLY, rows([OTHER]), _only(OTHER))
    versions = _intruding(
        monkeypatch, lake, lambda lake: overwrite_window(lake, MONTHLY, rows([far], count=5), _only(far))
    )
    overwrite_window(lake, MONTHLY, rows([FIRST]), _only(FIRST))
    assert len(versions) == 2, "the intruder's own and ours, each once"
    assert [row[0] for row in held_in_files(folder, MONTHLY)] == [FIRST, FIRST, OTHER, OTHER, far, far]


def test_a_race_that_is_always_lost_ends_in_a_sentence(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    calls = _losing(monkeypatch, times=999)
    with pytest.raises(TransientFailure) as raised:
        overwrite_window(lake, MONTHLY, rows([FIRST]), SPAN)
    assert str(raised.value) == "Other writers kept changing test/monthly; the write was given up after 100 tries."
    assert len(calls) == 100 and len(no_waiting) == 99 and max(no_waiting) <= 2


def _failing(monkeypatch: pytest.MonkeyPatch, error: Exception, *, times: int, after: bool = False) -> list[int]:
    """The storage fails the first `times` commits, before or after they are there."""
    calls: list[int] = []
    original = delta.write_deltalake

    def write(*args: Any, **kwargs: Any) -> None:
        calls.append(len(calls))
        if after or len(calls) > times:
            original(*args, **kwargs)
        if len(calls) <= times:
            raise error

    monkeypatch.setattr(delta, "write_deltalake", write)
    return calls


RESET = OSError("Generic MicrosoftAzure error: connection reset by peer")


@pytest.mark.parametrize("after", [False, True], ids=["nothing was written", "only the answer was lost"])
def test_a_passing_fault_of_the_storage_is_tried_again(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float], after: bool
) -> None:
    overwrite_window(lake, MONTHLY, rows([OTHER], count=1), _only(OTHER))
    calls = _failing(monkeypatch, RESET, times=2, after=after)
    assert overwrite_window(lake, MONTHLY, rows([FIRST], count=4), _only(FIRST)).rows == 2
    assert len(calls) == 3 and len(no_waiting) == 2
    assert [row[2] for row in held_in_files(folder, MONTHLY)] == [4, 4, 1, 1]
    _assert_one_sorted_file_a_folder(folder, MONTHLY)


def test_a_lasting_fault_ends_in_a_sentence(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    overwrite_window(lake, MONTHLY, rows([OTHER], count=1), _only(OTHER))
    calls = _failing(monkeypatch, RESET, times=99)
    with pytest.raises(TransientFailure, match="failed on test/monthly: the connection was cut.$"):
        overwrite_window(lake, MONTHLY, rows([FIRST], count=4), _only(FIRST))
    assert len(calls) == 3 and len(no_waiting) == 2 and max(no_waiting) <= 2
    assert [row[2] for row in held_in_files(folder, MONTHLY)] == [1, 1]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("status 403 Forbidden: AuthorizationFailure"), PermanentFailure),
        (CommitFailedError("Log storage error: status 403 Forbidden: AuthorizationFailure"), PermanentFailure),
        (ZeroDivisionError("a mistake of ours"), ZeroDivisionError),
    ],
    ids=["refused", "refused while committing", "programming"],
)
def test_what_will_not_pass_is_not_tried_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float], error: Exception, kind: type[Exception]
) -> None:
    calls = _failing(monkeypatch, error, times=99)
    with pytest.raises(kind):
        overwrite_window(lake, MONTHLY, rows([FIRST]), _only(FIRST))
    assert len(calls) == 1 and no_waiting == []


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


def _files(folder: Path, table: Table) -> list[str]:
    return DeltaTable(str(folder / table.path)).file_uris()


def test_two_first_writers_of_a_whole_table_do_not_both_stay(
    lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: list[float]
) -> None:
    """The other one commits after this one has opened the table, which has no file yet."""
    original, sneaked = delta.prepared, []

    def prepared(*args: Any) -> DeltaTable:
        opened = original(*args)
        if not sneaked:
            sneaked.append(True)
            overwrite(lake, WHOLE, rows([FIRST], count=1))
        return opened

    monkeypatch.setattr(delta, "prepared", prepared)
    overwrite(lake, WHOLE, rows([FIRST], count=2))
    assert held_in_files(folder, WHOLE) == [(FIRST, "a", 2, 1.0), (FIRST, "b", 2, 1.0)]
    assert len(no_waiting) == 1
