"""Carries out a command-line run with progress, and starts the webserver and the daemon."""

import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd
import sqlalchemy as sa
from rich.console import Console
from rich.status import Status
from rich.table import Table as Grid

from retail_assets.definitions import build_definitions
from retail_assets.failures import PermanentFailure
from retail_assets.io_managers.delta import PROGRESS
from retail_assets.report import Report, report
from retail_assets.resources.lake import open_lake
from retail_assets.resources.source import Source
from retail_assets.runs import Planner, close_abandoned, execute, in_order
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.windows import Window
from retail_assets.wiring import engine_of

_REPOSITORY = Path(__file__).parent.parent


def wanted_window(settings: Settings, *, first: date | None, last: date | None) -> Window:
    """The business dates to run: what was asked, inside what the source has.

    Raises:
        PermanentFailure: a date outside the history, or a source without sales.
    """
    source = Source(settings.source_secret, load_mapping(settings.source_mapping))
    newest = source.newest_business_date()
    if newest is None:
        raise PermanentFailure(
            f"The source {source.place} holds no sales: check the mapping with retail-assets check-source."
        )
    history = Window(min(settings.first_date, newest), newest)
    for option, day in (("--from", first), ("--to", last)):
        if day is not None and day not in history:
            raise PermanentFailure(f"{option} {day} is outside the history {history}; choose a day inside it.")
    if first and last and last < first:
        raise PermanentFailure(f"--to {last} is before --from {first}; swap them.")
    return Window(first or history.first, last or history.last)


def launch(settings: Settings, window: Window, *, console: Console, again: bool) -> None:
    """Run the stages that have something to do, then print the report.

    Raises:
        PermanentFailure, TransientFailure: the first failure; finished partitions stay.
    """
    lake = open_lake(settings)
    lake.check_writable()
    definitions = build_definitions(settings)
    _relax_sqlite()
    with _instance(settings) as instance:
        if close_abandoned(instance):
            console.print("An interrupted run was closed; carrying on.")
        planner = Planner(instance, settings, window, again=again)
        spent = _stages(planner, definitions, instance, console=console)
    _print_report(report(engine_of(settings, lake)), settings, console=console)
    console.print(
        f"stages: {', '.join(f'{name} {seconds:.0f} s' for name, seconds in spent.items()) or 'nothing was missing'}"
    )


def serve_ui(settings: Settings, *, port: int, console: Console) -> None:
    """Webserver and daemon until interrupted; both end together."""
    with _instance(settings):
        pass  # prepares the home folder
    commands = (
        ["dagster-webserver", "-w", str(_REPOSITORY / "workspace.yaml"), "-p", str(port)],
        ["dagster-daemon", "run", "-w", str(_REPOSITORY / "workspace.yaml")],
    )
    environment = settings.child_environment()
    bin_folder = Path(sys.executable).parent
    children = [subprocess.Popen([str(bin_folder / c[0]), *c[1:]], env=environment) for c in commands]
    console.print(f"Dagster UI on http://localhost:{port}; stop with Ctrl-C.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


def _instance(settings: Settings) -> dg.DagsterInstance:
    """The persistent instance of this retailer, with the repository's dagster.yaml."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_REPOSITORY / "dagster.yaml", home / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(home))


def _relax_sqlite() -> None:
    """Commit without waiting for the disk.

    Dagster's SQLite event log commits several times an asset partition, in write-ahead mode: with NORMAL a
    killed process loses nothing and a power cut at most the last events, which a rerun makes again. Measured
    on a busy disk: 1,200 asset partitions 23 s instead of 154 s.
    https://www.sqlite.org/pragma.html#pragma_synchronous
    """

    @sa.event.listens_for(sa.Engine, "connect")
    def relax(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = NORMAL")


def _stages(
    planner: Planner, definitions: dg.Definitions, instance: dg.DagsterInstance, *, console: Console
) -> dict[str, float]:
    spent: dict[str, float] = {}
    for name, plan in in_order(planner):
        started = time.monotonic()
        steps = plan()
        for step in steps:
            with console.status(f"{step.title} …") as status, _shown(status, step.title):
                begun = time.monotonic()
                execute(step, definitions, instance)
            console.print(f"{step.title}: {time.monotonic() - begun:.1f} s")
        if steps:
            spent[name] = time.monotonic() - started
    return spent


class _shown(logging.Handler):
    """Shows the table and days being written in the status line, while used as a context."""

    def __init__(self, status: Status, title: str) -> None:
        super().__init__(logging.INFO)
        self._status, self._title = status, title

    def emit(self, record: logging.LogRecord) -> None:
        self._status.update(f"{self._title}: {record.getMessage()}")

    def __enter__(self) -> "_shown":
        PROGRESS.setLevel(logging.INFO)
        PROGRESS.propagate = False
        PROGRESS.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        PROGRESS.removeHandler(self)


def _print_report(found: Report, settings: Settings, *, console: Console) -> None:
    console.print(_grid("Rows per table", found.rows[found.rows["rows"] > 0]))
    console.print(_grid("Rows refused, each kept in silver/rejected_rows with its reason", found.refused))
    for note in found.notes:
        console.print(f"Note: {note}.")
    console.print(_grid("Forecast accuracy beside the seasonal naive", found.accuracy))
    if len(found.urgent):
        console.print(_grid("The most urgent orders", found.urgent.drop(columns=["as_of_date", "reason"])))
        for line in found.urgent.itertuples():
            console.print(f"  {line.store_id} {line.product_id}: {line.reason}")
    console.print(
        f"Lake: {settings.lake}\nNext: make ui (Dagster, every run and table) and make dashboard (planners' pages)."
    )


def _grid(title: str, frame: pd.DataFrame) -> Grid:
    grid = Grid(*frame.columns, title=title, title_justify="left")
    for row in frame.itertuples(index=False):
        grid.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    return grid
