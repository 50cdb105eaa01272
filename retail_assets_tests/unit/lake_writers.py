"""Writers that run in processes of their own; a light module, because a fork server imports it before it forks."""

import multiprocessing
import tempfile
from collections.abc import Iterable
from datetime import date
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

from retail_assets.engines.writing import spool
from retail_assets.engines.writing.delta import overwrite_window
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Layout, Table
from retail_assets.windows import ONE_DAY, Window
from retail_assets_tests.unit.lake_frames import MONTHLY, rows

FIRST = date(2024, 1, 29)
SIXTY_DAYS = Window(FIRST, FIRST + 59 * ONE_DAY)
PRODUCTS = [f"p{n:03}" for n in range(40)]


def processes() -> ForkServerContext:
    """Processes start in milliseconds: the server they are forked from has imported everything and used nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "pytest"])
    return context


def ended(children: Iterable[ForkServerProcess]) -> list[int | None]:
    """Exit codes, when all have ended."""
    children = list(children)
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def write_days(uri: str, credentials: str | None, days: list[date], count: int) -> None:
    """One commit a day."""
    lake = Lake(uri, credentials)
    for day in days:
        overwrite_window(lake, MONTHLY, rows([day], count=count), Window(day, day))


def stream_days(uri: str, credentials: str | None, days: list[date], count: int) -> None:
    """One commit a day, its rows through files however few they are."""
    spool.MANY_ROWS = 1
    lake = Lake(uri, credentials)
    with tempfile.TemporaryDirectory() as folder:
        for day in days:
            reader = rows([day], count=count).to_reader()
            overwrite_window(lake, MONTHLY, reader, Window(day, day), folder=Path(folder))


def write_one_day(uri: str, credentials: str | None, turns: Barrier, counts: list[int]) -> None:
    """The same day again and again, each time when the other is about to write it too."""
    lake = Lake(uri, credentials)
    for count in counts:
        turns.wait()
        overwrite_window(lake, MONTHLY, rows([FIRST], count=count, products=PRODUCTS), Window(FIRST, FIRST))
        turns.wait()


def write_sixty_days(uri: str, table: Table, count: int, begun: Event) -> None:
    """Part after part, as a range run does."""
    parts = SIXTY_DAYS.by_day() if table.layout is Layout.DAY else SIXTY_DAYS.by_month()
    begun.set()
    for part in parts:
        overwrite_window(Lake(uri), table, rows(part.days(), count=count, products=PRODUCTS), part)
