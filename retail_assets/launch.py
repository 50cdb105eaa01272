"""Carries out a command-line run with progress, and starts the webserver and the daemon."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from rich.console import Console
from sqlalchemy import event

from retail_assets.definitions import build_definitions
from retail_assets.failures import PermanentFailure
from retail_assets.report import report
from retail_assets.resources.source import Source
from retail_assets.runs import Planner, close_abandoned, execute, in_order
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.terminal import WriteProgress, print_report
from retail_assets.windows import Window
from retail_assets.wiring import resources_of

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
    resources = resources_of(settings, load_mapping(settings.source_mapping))
    resources["lake"].check_writable()
    definitions = build_definitions(settings, overrides=resources)
    _relax_sqlite()
    with _instance(settings) as instance, closing(resources["engine"]):
        if close_abandoned(instance):
            console.print("An interrupted run was closed; carrying on.")
        planner = Planner(instance, settings, window, again=again)
        spent = _stages(planner, definitions, instance, console=console)
        print_report(report(resources["engine"]), settings, console=console)
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items())
    console.print(f"stages: {stages or 'nothing was missing'}")


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

    @event.listens_for(sa.Engine, "connect")
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
            with console.status(f"{step.title} …") as status, WriteProgress(status, step.title):
                begun = time.monotonic()
                execute(step, definitions, instance)
            console.print(f"{step.title}: {time.monotonic() - begun:.1f} s")
        if steps:
            spent[name] = time.monotonic() - started
    return spent
