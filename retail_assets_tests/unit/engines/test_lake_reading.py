"""The one way to read the lake: a connection a thread, views that end with their question, errors as sentences."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from dashboards.queries import LakeReader, Scan
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.lake_reading import LakeReading
from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import TEXT, Column
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, rows

FIRST = date(2024, 1, 29)
SPAN = Window(FIRST, FIRST + timedelta(days=9))
COUNT = "SELECT count(*) AS line_count, min(business_date) AS first_date FROM rows"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    for table in (MONTHLY, DAILY):
        overwrite_window(lake, table, rows(SPAN.days()), SPAN)
    return lake


@pytest.fixture
def reading(lake: Lake, tmp_path: Path) -> Iterator[LakeReading]:
    reading = LakeReading(lake, memory_limit="256 MB", temp_folder=tmp_path / "scratch")
    yield reading
    reading.close()


@pytest.fixture
def reader(lake: Lake, tmp_path: Path) -> LakeReader:
    return LakeReader(lake, "256 MB", temp_folder=tmp_path / "scratch")


def _views(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [
        name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    ]


def test_a_thread_keeps_its_connection_and_shares_it_with_nobody(reading: LakeReading, lake: Lake) -> None:
    barrier = threading.Barrier(3, timeout=30)

    def ask(_: int) -> tuple[int, list[str]]:
        first = reading.connection
        reading.make_view(f"of_{threading.get_ident()}", MONTHLY, lake.open(MONTHLY))
        barrier.wait()  # all three are open at once
        assert reading.connection is first
        found = _views(first)
        barrier.wait()
        return id(first), found

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, range(3)))
    assert len({connection for connection, _ in answers}) == 3
    assert all(len(views) == 1 for _, views in answers)


def test_all_connections_have_one_limit_of_memory_and_utc(reading: LakeReading) -> None:
    query = "SELECT current_setting('memory_limit'), current_setting('TimeZone'), current_setting('temp_directory')"
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: reading.connection.execute(query).fetchall()).result()
    assert reading.connection.execute(query).fetchall() == other
    assert other[0][:2] == ("244.1 MiB", "UTC")


def test_questions_of_many_threads_do_not_meet_each_other(reader: LakeReader) -> None:
    """They use one name for different files."""
    days = list(SPAN.days())

    def ask(number: int) -> tuple[int, date]:
        day = days[number % len(days)]
        answer = reader.frame(COUNT, rows=Scan(DAILY, f"business_date = '{day}'"))
        return int(answer["line_count"].iloc[0]), answer["first_date"].iloc[0]

    a_day = len(rows([FIRST]))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [(a_day, days[number % len(days)]) for number in range(40)]


def test_nothing_of_a_question_is_left(reader: LakeReader) -> None:
    reader.frame(COUNT, rows=Scan(MONTHLY))
    with pytest.raises(duckdb.BinderException):
        reader.frame("SELECT no_such_column FROM rows", rows=Scan(MONTHLY))
    assert _views(reader._reading.connection) == []


def test_engine_and_pages_give_null_for_a_column_that_files_are_too_old_for(
    lake: Lake, reader: LakeReader, tmp_path: Path
) -> None:
    newer = replace(MONTHLY, columns=(*MONTHLY.columns, Column("colour", TEXT, "new", nullable=True)))
    engine = DuckDBEngine(lake, memory_limit="256 MB", temp_folder=tmp_path / "scratch")
    found = engine.scan(newer).to_pyarrow()
    answer = reader.arrow("SELECT * FROM rows", rows=Scan(newer))
    assert answer.column_names == found.column_names == newer.column_names
    assert answer["colour"].null_count == found["colour"].null_count == answer.num_rows > 0
    assert str(answer["colour"].type) == str(found["colour"].type) == "string"
    engine.close()


def test_engine_and_pages_refuse_a_table_of_another_contract_alike(
    lake: Lake, reader: LakeReader, tmp_path: Path
) -> None:
    other = replace(MONTHLY, columns=(*MONTHLY.columns, Column("colour", TEXT, "new")))
    engine = DuckDBEngine(lake, memory_limit="256 MB", temp_folder=tmp_path / "scratch")
    with pytest.raises(PermanentFailure, match="the required column colour is new") as by_engine:
        engine.scan(other)
    with pytest.raises(PermanentFailure) as by_page:
        reader.frame(COUNT, rows=Scan(other))
    assert str(by_page.value) == str(by_engine.value)
    engine.close()


def test_engine_and_pages_say_alike_that_files_are_gone(lake: Lake, reader: LakeReader, tmp_path: Path) -> None:
    """As when maintenance removes them between a look at the table and the reading."""
    for file in Path(lake.table_uri(MONTHLY)).rglob("*.parquet"):
        file.unlink()
    engine = DuckDBEngine(lake, memory_limit="256 MB", temp_folder=tmp_path / "scratch")
    with pytest.raises(TransientFailure, match=f"^The lake .* failed on {MONTHLY.path}: ") as by_engine:
        engine.scan(MONTHLY)
    with pytest.raises(TransientFailure) as by_page:
        reader.frame(COUNT, rows=Scan(MONTHLY))
    assert str(by_page.value) == str(by_engine.value)
    engine.close()


def test_files_that_go_while_a_question_is_answered(lake: Lake, reading: LakeReading) -> None:
    reading.make_view("rows", MONTHLY, lake.open(MONTHLY))
    for file in Path(lake.table_uri(MONTHLY)).rglob("*.parquet"):
        file.unlink()
    with pytest.raises(TransientFailure, match=f"failed on {MONTHLY.path}: "), reading.errors(DAILY, MONTHLY):
        reading.connection.sql("SELECT * FROM rows").fetchall()


def test_closing_ends_the_connections_of_all_threads(reading: LakeReading) -> None:
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(lambda: reading.connection).result()
        ours = reading.connection
        reading.close()
        for connection in (theirs, ours):
            with pytest.raises(duckdb.ConnectionException):
                connection.execute("SELECT 1")
        assert pool.submit(lambda: reading.connection.execute("SELECT 1").fetchall()).result() == [(1,)]
