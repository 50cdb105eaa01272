"""Rows that take the way through files: the same file as in memory, the same promises, and nothing left behind."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.schema import Field, PrimitiveType
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.engines.writing import bands, committing, delta, file_statistics, sorted_file, sorter, spool
from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables import bronze
from retail_assets.tables.contract import (
    COUNT,
    DATE,
    FLAG,
    NULLABLE,
    TEXT,
    TIMESTAMP,
    ContractViolation,
    Layout,
    Partitioning,
    Table,
    described,
)
from retail_assets.windows import ONE_DAY, Window
from retail_assets_tests.own_time import own_time
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, files_of, held, held_in_files, rows

FIRST = date(2024, 1, 29)
SPAN = Window(FIRST, FIRST + 5 * ONE_DAY)
PRODUCTS = [f"p{number:03}" for number in range(40)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def lake(folder: Path) -> Lake:
    return Lake(str(folder))


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    return tmp_path / "temporary"


@pytest.fixture(autouse=True)
def everything_is_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows go the way of millions."""
    monkeypatch.setattr(spool, "MANY_ROWS", 1)
    monkeypatch.setattr(spool, "PIECE_ROWS", 7)
    monkeypatch.setattr(sorter, "PIECE_ROWS", 7)
    monkeypatch.setattr(sorted_file, "GROUP_ROWS", 50)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    own_time(monkeypatch, committing, sleep=waits.append)
    return waits


def _reader(frame: pa.Table, *, size: int = 11, seed: int = 1) -> pa.RecordBatchReader:
    numbers = random.Random(seed).sample(range(frame.num_rows), frame.num_rows)
    return frame.take(pa.array(numbers, pa.int64())).to_reader(max_chunksize=size)


def _only(day: date) -> Window:
    return Window(day, day)


def _sales(count: int, *, seed: int, days: int = 31) -> pa.Table:
    """Sale lines with every type of the contract, many of one key, and missing values in the sort order."""
    draw = random.Random(seed)
    stores = [None, "S1", "S2", "Żabka 🥦", ""]
    records = [
        {
            "sale_line_id": f"{seed}-{number}",
            "business_date": date(2024, 1, 1) + draw.randrange(days) * ONE_DAY,
            "store_id": draw.choice(stores),
            "product_id": draw.choice(["A", "B", None, "مرحبا", "e\u0301"]),
            "quantity": draw.choice([None, 1, 250]),
            "unit_price": draw.randrange(100),
            "extracted_at": 1_704_067_200_000_000 + number,
        }
        for number in range(count)
    ]
    columns = [
        pa.array([record.get(field.name) for record in records]).cast(field.type)
        if not pa.types.is_decimal(field.type)
        else pa.array([record.get(field.name) for record in records], pa.int64())
        .cast(pa.decimal128(field.type.precision + 9, field.type.scale))
        .cast(field.type)
        for field in bronze.SALES.schema
    ]
    return pa.Table.from_arrays(columns, schema=bronze.SALES.schema)


def _stored_files(folder: Path, table: Table) -> dict[str, list[pa.Table]]:
    return {
        name: [file.select(table.column_names) for file in files] for name, files in files_of(folder, table).items()
    }


@pytest.fixture(params=[1, 9])
def many_bands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the rows are gone through and sorted in part."""
    counted: list[int] = []

    def count(given: sorter.Sorter, *of: Any) -> Iterator[pa.RecordBatch]:
        counted.append(1)
        return original(given, *of)

    original = sorter.Sorter._sorted
    monkeypatch.setattr(sorter.Sorter, "_sorted", count)
    if request.param > 1:
        monkeypatch.setattr(bands, "_SAMPLE_EVERY", 3)
        monkeypatch.setattr(sorter, "_BAND_BYTES", 15_000)
    yield request.param
    assert (len(counted) > 10) == (request.param > 1)


@pytest.mark.usefixtures("many_bands")
def test_a_month_is_the_file_that_the_way_in_memory_gives(tmp_path: Path, temporary: Path) -> None:
    """Content and order, equal rows as they came, missing values last, then part of the month again."""
    streamed, remembered = tmp_path / "streamed", tmp_path / "remembered"
    january, middle = Window(date(2024, 1, 1), date(2024, 1, 31)), Window(date(2024, 1, 9), date(2024, 1, 11))
    for window, frame in ((january, _sales(700, seed=1)), (middle, _sales(90, seed=2, days=1))):
        if window is middle:
            place = frame.column_names.index("business_date")
            frame = frame.set_column(place, frame.schema.field(place), pa.array([window.first] * 90))
        result = overwrite_window(
            Lake(str(streamed)), bronze.SALES, frame.to_reader(max_chunksize=64), window, folder=temporary
        )
        overwrite_window(Lake(str(remembered)), bronze.SALES, frame, window)
        found, expected = (_stored_files(place, bronze.SALES) for place in (streamed, remembered))
        assert list(found) == ["month=2024-01"]
        assert found == expected
        assert result.rows == frame.num_rows
    assert list(temporary.iterdir()) == []


@settings(max_examples=10, deadline=None)
@given(
    writes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=4),
    daily=st.booleans(),
)
def test_each_day_holds_the_last_rows_written_for_it(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, int, int]], daily: bool
) -> None:
    folder, table = tmp_path_factory.mktemp("lake"), DAILY if daily else MONTHLY
    expected: dict[date, list[tuple]] = {}
    for number, (start, more, empty_every) in enumerate(writes):
        window = Window(FIRST + start * ONE_DAY, FIRST + (start + (more % 6 if daily else more)) * ONE_DAY)
        filled = [day for day in window.days() if not empty_every or day.day % (empty_every + 1)]
        frame = _reader(rows(filled, count=number))
        written = overwrite_window(Lake(str(folder)), table, frame, window, folder=folder / "temporary")
        assert written.rows == 2 * len(filled)
        expected |= {day: [] for day in window.days()}
        expected |= {day: [(day, product, number, number / 2) for product in "ab"] for day in filled}
    everything = sorted(row for day in expected.values() for row in day)
    assert held(folder, table) == held_in_files(folder, table) == everything
    assert all(len(files) == 1 for files in files_of(folder, table).values())


def test_groups_and_types_lie_as_in_the_other_files(lake: Lake, folder: Path, temporary: Path) -> None:
    overwrite_window(lake, bronze.SALES, _sales(120, seed=1).to_reader(), _month(), folder=temporary)
    [uri] = DeltaTable(str(folder / bronze.SALES.path)).file_uris()
    metadata = pq.ParquetFile(uri).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [50, 50, 20]
    assert {metadata.row_group(0).column(n).compression for n in range(metadata.num_columns)} == {"ZSTD"}
    assert "month" not in pq.ParquetFile(uri).schema_arrow.names


def _month() -> Window:
    return Window(date(2024, 1, 1), date(2024, 1, 31))


def test_the_log_knows_the_file_so_that_readers_may_skip_it(lake: Lake, folder: Path, temporary: Path) -> None:
    frame = rows(SPAN.days(), count=3, products=PRODUCTS)
    overwrite_window(lake, MONTHLY, _reader(frame), SPAN, folder=temporary)
    actions = pa.table(DeltaTable(str(folder / MONTHLY.path)).get_add_actions(flatten=True)).to_pylist()
    january = next(action for action in actions if action["partition.month"] == "2024-01")
    assert (january["num_records"], january["min.product_id"], january["max.product_id"]) == (120, "p000", "p039")
    assert (january["min.business_date"], january["max.business_date"]) == (FIRST, date(2024, 1, 31))
    assert january["null_count.sold_units"] == 0
    dataset = DeltaTable(str(folder / MONTHLY.path)).to_pyarrow_dataset()
    assert dataset.count_rows(filter=ds.field("product_id") == "p007") == 6
    assert dataset.count_rows(filter=ds.field("business_date") == date(2024, 2, 1)) == 40


def test_a_filter_on_any_column_finds_the_rows(lake: Lake, folder: Path, temporary: Path) -> None:
    """delta-rs's dataset skips a file whose statistics lack a bound of a column that has values."""
    frame = _every_type()
    overwrite_window(lake, EVERY_TYPE, frame.to_reader(max_chunksize=3), _month(), folder=temporary)
    dataset = DeltaTable(str(folder / EVERY_TYPE.path)).to_pyarrow_dataset()
    for name in frame.column_names:
        for value in pa.compute.unique(frame.column(name)):
            condition = ds.field(name).is_null() if not value.is_valid else ds.field(name) == value
            found = dataset.to_table(filter=condition, columns=["number"]).num_rows
            assert found == sum(value.equals(other) for other in frame.column(name)), (name, value)


EVERY_TYPE = Table(
    layer="test",
    name="every_type",
    meaning="Rows of a test.",
    grain="number",
    key=(),
    columns=described(
        ("business_date", DATE, "Day."),
        ("number", COUNT, "Number."),
        ("text", TEXT, "Texts longer than a statistic, and one longer than a page's.", "", NULLABLE),
        ("huge", TEXT, "Text.", "", NULLABLE),
        ("money", pa.decimal128(18, 4), "Money.", "", NULLABLE),
        ("share", pa.float64(), "Share.", "", NULLABLE),
        ("quantile", pa.float32(), "Quantile.", "", NULLABLE),
        ("moment", TIMESTAMP, "Moment.", "UTC", NULLABLE),
        ("is_open", FLAG, "Flag.", "", NULLABLE),
        ("days", pa.int32(), "Days.", "", NULLABLE),
        ("nothing", TEXT, "Always missing.", "", NULLABLE),
    ),
    partition_column="business_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.MONTH,
    sort_by=("number",),
)


def _every_type() -> pa.Table:
    records = [
        {
            "business_date": date(2024, 1, 1 + number),
            "number": number * 2**40,
            "text": ["é" * 40 + str(number), "􏿿" * 33, ""][number % 3],
            "huge": "x" * 5000 + str(number),
            "money": Decimal("99999999999999.9999") - number,
            "share": [1e300, -0.0, 1e-300, -1e300][number % 4],
            "quantile": number / 7,
            "moment": datetime(2024, 1, 1, 0, 0, 0, 999_999 - number, UTC),
            "is_open": bool(number % 2),
            "days": -number,
        }
        for number in range(20)
    ]
    records.append({"business_date": date(2024, 1, 31), "number": -1})
    columns = [pa.array([record.get(field.name) for record in records], field.type) for field in EVERY_TYPE.schema]
    return pa.Table.from_arrays(columns, schema=EVERY_TYPE.schema)


def test_a_month_that_is_emptied_has_no_file(
    lake: Lake, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite_window(lake, MONTHLY, rows([FIRST]), _only(FIRST))
    monkeypatch.setattr(delta, "_MANY_IN_MEMORY", 1)
    overwrite_window(lake, MONTHLY, rows([]), _only(FIRST), folder=temporary)
    assert held(folder, MONTHLY) == []
    assert DeltaTable(str(folder / MONTHLY.path)).file_uris() == []


def test_few_rows_join_a_large_month_out_of_core(
    lake: Lake, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite_window(lake, MONTHLY, rows(SPAN.days(), products=PRODUCTS), SPAN)
    monkeypatch.setattr(delta, "_MANY_IN_MEMORY", 100)
    monkeypatch.setattr(delta, "write_deltalake", lambda *_, **__: pytest.fail("the month went through memory"))
    overwrite_window(lake, MONTHLY, rows([FIRST], count=9), _only(FIRST), folder=temporary)
    found = [row for row in held_in_files(folder, MONTHLY) if row[0] == FIRST]
    assert found == [(FIRST, product, 9, 4.5) for product in "ab"]
    assert len(held(folder, MONTHLY)) == 2 + 5 * 40


def test_a_month_that_others_left_in_files_of_another_shape_becomes_one(
    lake: Lake, folder: Path, temporary: Path
) -> None:
    overwrite_window(lake, MONTHLY, rows([FIRST]), _only(FIRST))
    small = rows([FIRST + ONE_DAY], count=4).append_column("month", [["2024-01"] * 2])
    write_deltalake(str(folder / MONTHLY.path), small.select(small.column_names[::-1]), mode="append")
    overwrite_window(lake, MONTHLY, _reader(rows([FIRST], count=7)), _only(FIRST), folder=temporary)
    [file] = files_of(folder, MONTHLY)["month=2024-01"]
    assert [(row["product_id"], row["line_count"]) for row in file.to_pylist()] == [
        ("a", 7),
        ("a", 4),
        ("b", 7),
        ("b", 4),
    ]


BAD_BATCHES = {
    "outside": (rows([FIRST + 9 * ONE_DAY]), "2 rows have a business_date outside 2024-01-29 … 2024-02-03."),
    "null": (
        rows([FIRST]).set_column(1, pa.field("product_id", pa.string()), pa.array(["a", None])),
        "product_id: 1 of 2 values are missing.",
    ),
}


@pytest.mark.parametrize("case", BAD_BATCHES)
def test_one_bad_batch_among_many_changes_nothing(lake: Lake, folder: Path, temporary: Path, case: str) -> None:
    overwrite_window(lake, MONTHLY, rows(SPAN.days(), count=7), SPAN)
    version = DeltaTable(str(folder / MONTHLY.path)).version()
    bad, message = BAD_BATCHES[case]
    batches = [*rows(SPAN.days()).to_batches(), *bad.cast(rows([]).schema).to_batches()]
    with pytest.raises(ContractViolation) as raised:
        overwrite_window(lake, MONTHLY, pa.RecordBatchReader.from_batches(bad.schema, batches), SPAN, folder=temporary)
    assert message in str(raised.value)
    assert DeltaTable(str(folder / MONTHLY.path)).version() == version
    assert list(temporary.iterdir()) == []


def test_an_empty_reader_keeps_the_contract_too(lake: Lake, folder: Path, temporary: Path) -> None:
    overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)
    overwrite_window(lake, MONTHLY, rows([]).to_reader(), _only(FIRST), folder=temporary)
    assert {row[0] for row in held(folder, MONTHLY)} == set(SPAN.days()) - {FIRST}
    with pytest.raises(ContractViolation, match=r"missing columns \['line_count'\]"):
        overwrite_window(
            lake, MONTHLY, rows([]).drop_columns(["line_count"]).to_reader(), _only(FIRST), folder=temporary
        )


@pytest.mark.parametrize("after", [0, 3])
def test_a_reader_that_fails_midway_leaves_nothing(lake: Lake, folder: Path, temporary: Path, after: int) -> None:
    overwrite_window(lake, MONTHLY, rows(SPAN.days(), count=7), SPAN)
    before = held(folder, MONTHLY)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from rows(SPAN.days()).to_batches(max_chunksize=2)[:after]
        raise TransientFailure("the database went away")

    reader = pa.RecordBatchReader.from_batches(rows([]).schema, batches())
    with pytest.raises(TransientFailure, match="^the database went away$"):
        overwrite_window(lake, MONTHLY, reader, SPAN, folder=temporary)
    assert held(folder, MONTHLY) == held_in_files(folder, MONTHLY) == before
    assert not temporary.exists() or list(temporary.iterdir()) == []


OTHER, FAR = FIRST + ONE_DAY, FIRST + 40 * ONE_DAY
INTRUDERS: dict[str, Callable[[Lake], object]] = {
    "a neighbour in the month": lambda lake: overwrite_window(lake, MONTHLY, rows([OTHER], count=5), _only(OTHER)),
    "the same day": lambda lake: overwrite_window(lake, MONTHLY, rows([FIRST], count=5), _only(FIRST)),
    "an append": lambda lake: write_deltalake(
        lake.require(MONTHLY), rows([OTHER], count=5).append_column("month", [["2024-01"] * 2]), mode="append"
    ),
    "another month": lambda lake: overwrite_window(lake, MONTHLY, rows([FAR], count=5), _only(FAR)),
    "a column": lambda lake: lake.require(MONTHLY).alter.add_columns(Field("late", PrimitiveType("string"))),
}


def _intruding(monkeypatch: pytest.MonkeyPatch, lake: Lake, intruder: Callable[[Lake], object]) -> list[str]:
    """Somebody else commits once, after the month was read and its new file written; gives the files written."""
    written: list[str] = []
    original = delta.written_file

    def write(*args: Any) -> sorted_file.SortedFile:
        file = original(*args)
        written.append(file.path)
        if len(written) == 1:
            intruder(lake)
        return file

    monkeypatch.setattr(delta, "written_file", write)
    return written


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("others", [[], [OTHER]], ids=["first of its month", "with others"])
@pytest.mark.parametrize("case", [name for name in INTRUDERS if name != "a column"])
def test_what_is_committed_between_reading_and_writing_is_kept(
    lake: Lake, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, case: str, others: list[date]
) -> None:
    """The source is read once: a reader cannot be read again, the spool can."""
    without = Lake(f"{lake.uri}-without")
    for place in (lake, without):
        overwrite_window(place, MONTHLY, rows(others), _only(OTHER))
    INTRUDERS[case](without)
    written = _intruding(monkeypatch, lake, INTRUDERS[case])
    overwrite_window(lake, MONTHLY, _reader(rows([FIRST], count=9)), _only(FIRST), folder=temporary)
    kept = [row for row in held(Path(without.uri), MONTHLY) if row[0] != FIRST]
    assert held_in_files(folder, MONTHLY) == sorted([(FIRST, p, 9, 4.5) for p in "ab"] + kept)
    assert len(written) == (1 if case == "another month" else 2)
    left = {path.name for path in (folder / MONTHLY.path).rglob("*.parquet")}
    assert Path(written[0]).name in left or case != "another month"
    assert case == "another month" or Path(written[0]).name not in left, "a file nobody will commit is taken away"


@pytest.mark.usefixtures("no_waiting")
def test_a_column_added_meanwhile_is_noticed(
    lake: Lake, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overwrite_window(lake, MONTHLY, rows([OTHER]), _only(OTHER))
    _intruding(monkeypatch, lake, INTRUDERS["a column"])
    with pytest.raises(PermanentFailure, match="late is not in the contract"):
        overwrite_window(lake, MONTHLY, _reader(rows([FIRST])), _only(FIRST), folder=temporary)
    assert held_in_files(folder, MONTHLY) == [(OTHER, "a", 1, 0.5), (OTHER, "b", 1, 0.5)]


def _failing_commit(monkeypatch: pytest.MonkeyPatch, error: Exception, *, after: bool) -> list[int]:
    calls: list[int] = []
    original = DeltaTable.create_write_transaction

    def commit(table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        calls.append(len(calls))
        if after or len(calls) > 1:
            original(table, *args, **kwargs)
        if len(calls) == 1:
            raise error

    monkeypatch.setattr(DeltaTable, "create_write_transaction", commit)
    return calls


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("after", [False, True], ids=["nothing was committed", "only the answer was lost"])
@pytest.mark.parametrize(
    ("error", "tries"),
    [(OSError("connection reset by peer"), 2), (CommitFailedError("Failed to commit transaction: 0"), None)],
    ids=["storage", "race"],
)
def test_a_fault_while_committing_is_mended(
    lake: Lake,
    folder: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
    error: Exception,
    tries: int,
) -> None:
    overwrite_window(lake, MONTHLY, rows([OTHER]), _only(OTHER))
    calls = _failing_commit(monkeypatch, error, after=after)
    overwrite_window(lake, MONTHLY, _reader(rows([FIRST], count=4)), _only(FIRST), folder=temporary)
    assert len(calls) == (tries or (1 if after else 2))
    assert [row[2] for row in held_in_files(folder, MONTHLY)] == [4, 4, 1, 1]


def test_a_band_grows_only_where_one_key_fills_it(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one key fills cannot be parted, so its memory follows its size."""
    monkeypatch.setattr(bands, "_SAMPLE_EVERY", 1)
    monkeypatch.setattr(sorter, "_BAND_BYTES", 60_000)
    monkeypatch.setattr(sorter, "_SORT_MB_A_ROOT", 200)
    many = _sales(5_000, seed=3)
    needed = {}
    for name, frame in {"many": many, "one": many.take(pa.array([0] * 5_000))}.items():
        given = sorter.Sorter(bronze.SALES, temporary, bytes=frame.nbytes)
        memory = []
        for batch in given.batches(lambda frame=frame: iter(frame.to_batches())):
            memory += [given._memory_mb] * batch.num_rows
        assert len(memory) == 5_000
        needed[name] = max(memory)
    assert needed["many"] == 64
    assert needed["one"] > 100
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("no_waiting")
def test_rows_lost_on_the_way_are_noticed(
    lake: Lake, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = sorter.Sorter.batches

    def losing(given: sorter.Sorter, rows: sorter.Rows) -> Iterator[pa.RecordBatch]:
        found = original(given, rows)
        next(found)
        return found

    monkeypatch.setattr(sorter.Sorter, "batches", losing)
    with pytest.raises(TransientFailure, match=r"^test/monthly: 240 rows were handed over, 233 were committed\.$"):
        overwrite_window(lake, MONTHLY, _reader(rows([FIRST], products=PRODUCTS * 6)), _month(), folder=temporary)
    assert held(folder, MONTHLY) == []


@pytest.mark.usefixtures("no_waiting")
def test_a_storage_that_fails_while_the_month_is_read_is_told_as_such(
    lake: Lake, folder: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised inside DuckDB and must come out as what it was."""
    overwrite_window(lake, MONTHLY, rows(SPAN.days()), SPAN)

    def broken(*_: Any) -> Iterator[pa.RecordBatch]:
        raise OSError("Generic MicrosoftAzure error: connection reset by peer")
        yield

    monkeypatch.setattr(delta, "_rest_batches", broken)
    with pytest.raises(TransientFailure, match="failed on test/monthly: the connection was cut.$"):
        overwrite_window(lake, MONTHLY, _reader(rows([FIRST])), _only(FIRST), folder=temporary)
    assert len(held(folder, MONTHLY)) == 12


def test_a_folder_that_cannot_be_written_is_told(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PermanentFailure) as raised:
        overwrite_window(lake, MONTHLY, _reader(rows([FIRST])), _only(FIRST), folder=tmp_path / "file" / "folder")
    assert str(raised.value) == (
        f"The folder for temporary files {tmp_path}/file/folder cannot be written (Not a directory); free space on "
        "its disk or set RETAIL_HOME."
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (duckdb.OutOfMemoryException("Out of Memory Error: x"), "64 MB do not suffice to sort its rows; write fewer"),
        (OSError("IO Error: No space left on device"), r"cannot be sorted in .* \(IO Error: No space left on device\)"),
    ],
)
def test_a_sort_that_lacks_room_says_which(
    lake: Lake, temporary: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def failing(_: sorter.Sorter) -> None:
        raise error

    monkeypatch.setattr(sorter.Sorter, "_connected", failing)
    with pytest.raises(PermanentFailure, match=message):
        overwrite_window(lake, MONTHLY, _reader(rows([FIRST])), _only(FIRST), folder=temporary)


def test_moments_of_any_year_have_bounds_that_readers_understand() -> None:
    """Written as year 1, delta-rs takes the bound for missing, and its dataset a missing one for "no row"."""
    assert file_statistics._plain(datetime(1, 1, 1, tzinfo=UTC)) == '"0001-01-01T00:00:00.000000Z"'
