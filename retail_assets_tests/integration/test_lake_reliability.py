"""Many writers at once and writers that die: nothing is lost, nothing is mixed, nothing half is ever read."""

import random
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest
from deltalake import DeltaTable

from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table
from retail_assets.windows import ONE_DAY, Window
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, held, held_by, held_in_files, rows
from retail_assets_tests.unit.lake_writers import (
    FIRST,
    PRODUCTS,
    SIXTY_DAYS,
    ended,
    processes,
    stream_days,
    write_days,
    write_one_day,
    write_sixty_days,
)

WRITERS, DAYS_EACH = 8, 50
DUELS = 25
Place = tuple[str, str | None]
"""URI and credentials of an empty lake."""


@pytest.fixture(params=["local", "azurite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "local":
        return str(tmp_path / "lake"), None
    azurite = request.getfixturevalue("azurite")
    return azurite.lake(f"writers-{uuid4().hex}").uri, azurite.credentials


def _days_of(writer: int) -> list[date]:
    """Every eighth day, so that all writers share the month files; each goes through them in an order of its own."""
    days = [FIRST + (writer + WRITERS * number) * ONE_DAY for number in range(DAYS_EACH)]
    random.Random(writer).shuffle(days)
    return days


@pytest.mark.parametrize(
    ("place", "ways"),
    [("local", [write_days]), ("local", [write_days, stream_days]), ("azurite", [write_days, stream_days])],
    indirect=["place"],
    ids=["local, in memory", "local, half through files", "azurite, half through files"],
)
def test_eight_writers_of_fifty_days_each_lose_nothing(place: Place, ways: list[Callable[..., None]]) -> None:
    """The table does not exist when they start, so its creation is raced for too."""
    days = {writer: _days_of(writer) for writer in range(WRITERS)}
    context = processes()
    writers = [
        context.Process(target=ways[n % len(ways)], args=(*place, days[n], n), name=f"writer {n}")
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    assert ended(writers) == [0] * WRITERS
    expected = sorted((day, p, n, n / 2) for n, chosen in days.items() for day in chosen for p in "ab")
    assert len(expected) == 2 * 400 and held_by(Lake(*place), MONTHLY) == expected
    months = [file.split("month=")[1][:7] for file in Lake(*place).require(MONTHLY).file_uris()]
    assert sorted(months) == Window(FIRST, FIRST + 399 * ONE_DAY).months(), "a month is one file"


def test_two_writers_of_the_same_day_leave_one_of_the_two_results(place: Place) -> None:
    """A neighbour of the day lies in the same file and stays."""
    neighbour, lake = FIRST + ONE_DAY, Lake(*place)
    overwrite_window(lake, MONTHLY, rows([neighbour], count=-1), Window(neighbour, neighbour))
    context = processes()
    turns = context.Barrier(3, timeout=120)
    counts = [list(range(n, 2 * DUELS, 2)) for n in (0, 1)]
    writers = [context.Process(target=write_one_day, args=(*place, turns, mine)) for mine in counts]
    for writer in writers:
        writer.start()
    for pair in zip(*counts, strict=True):
        turns.wait()  # both write
        turns.wait()  # both have written
        found = held_by(lake, MONTHLY)
        winner = found[0][2]
        assert winner in pair
        assert found[:-2] == [(FIRST, product, winner, winner / 2) for product in PRODUCTS]
        assert found[-2:] == [(neighbour, p, -1, -0.5) for p in "ab"]
    assert ended(writers) == [0, 0]


def _marks(found: list[tuple]) -> dict[date, set[int]]:
    """Who wrote each day.

    Raises:
        AssertionError: a day is not there with each of its products once.
    """
    products: dict[date, list[str]] = defaultdict(list)
    marks: dict[date, set[int]] = defaultdict(set)
    for day, product, count, _ in found:
        products[day].append(product)
        marks[day].add(count)
    assert all(names == PRODUCTS for names in products.values()), "a day is whole or not there"
    return marks


def _killed(folder: Path, table: Table, count: int, *, when: Callable[[], None]) -> bool:
    """Starts the sixty days and kills them without warning; whether they were still at work."""
    context = processes()
    begun = context.Event()
    writer = context.Process(target=write_sixty_days, args=(str(folder), table, count, begun))
    writer.start()
    begun.wait(60)
    when()
    writer.kill()
    [code] = ended([writer])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _data_files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.parquet"))


def _moments(folder: Path, table: Table, *, seconds: float) -> Iterator[Callable[[], None]]:
    """Random moments of the whole course, and in between moments when a data file is there and its commit is not."""
    dice = random.Random(table.name)
    parts = 60 if table is DAILY else 3
    while True:
        yield lambda: _until_a_data_file(folder, more=dice.randint(1, parts), patience=4 * seconds)
        yield lambda: time.sleep(dice.uniform(0, seconds))
        yield lambda: time.sleep(dice.uniform(0, seconds))


def _until_a_data_file(folder: Path, *, more: int, patience: float) -> None:
    wanted, deadline = _data_files(folder) + more, time.monotonic() + patience
    while _data_files(folder) < wanted and time.monotonic() < deadline:
        pass


def _seconds_of_a_whole_write(folder: Path, table: Table) -> float:
    context = processes()
    begun = context.Event()
    writer = context.Process(target=write_sixty_days, args=(str(folder), table, 0, begun))
    writer.start()
    begun.wait(60)
    started = time.monotonic()
    assert ended([writer]) == [0]
    return time.monotonic() - started


def _assert_whole_days_of(known: set[int], folder: Path, table: Table) -> None:
    if not DeltaTable.is_deltatable(str(folder / table.path)):
        return
    found = held_in_files(folder, table)
    assert found == held(folder, table)
    marks = _marks(found)
    assert all(len(mark) == 1 and mark <= known for mark in marks.values()), "a day is of one writer"
    assert set(marks) <= set(SIXTY_DAYS.days())


@pytest.mark.parametrize(("table", "wanted"), [(MONTHLY, 30), (DAILY, 15)], ids=["month", "day"])
def test_a_killed_range_write_leaves_whole_days_and_a_rerun_completes(
    tmp_path: Path, table: Table, wanted: int
) -> None:
    """A third of the kills hits an empty lake, where a day is absent until it is whole."""
    folder, kills, known = tmp_path / "lake", 0, set()
    moments = _moments(folder, table, seconds=_seconds_of_a_whole_write(tmp_path / "measured", table))
    for count in range(1, 4 * wanted):
        if kills < wanted // 3:
            shutil.rmtree(folder, ignore_errors=True)
            known = set()
        known.add(count)
        kills += _killed(folder, table, count, when=next(moments))
        _assert_whole_days_of(known, folder, table)
        if kills == wanted:
            break
    assert kills == wanted
    for part in SIXTY_DAYS.by_month():
        overwrite_window(Lake(str(folder)), table, rows(part.days(), count=99, products=PRODUCTS), part)
    assert _marks(held_in_files(folder, table)) == {day: {99} for day in SIXTY_DAYS.days()}
    in_use = len(DeltaTable(str(folder / table.path)).file_uris())
    assert _data_files(folder) > in_use, "files of older versions and of killed writers are there, and are not read"
