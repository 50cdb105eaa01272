"""Carries out a command-line run with progress, and starts the webserver and the daemon."""

import hashlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from rich.console import Console
from sqlalchemy import event

from retail_assets.checks.failed import FailedCheck
from retail_assets.command_line.planner import Planner, Step, close_abandoned, execute, in_order
from retail_assets.command_line.report import report
from retail_assets.command_line.terminal import WriteProgress, print_report, print_warnings
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.graph import jobs
from retail_assets.graph.build import build_definitions
from retail_assets.graph.wiring import calendar_of, resources_of
from retail_assets.resources.source import Source
from retail_assets.runs.at_work import at_work
from retail_assets.runs.event_batches import store_event_batch
from retail_assets.runs.slots import visible_waits
from retail_assets.settings import Settings, plan_ranges_at_once, store_ranges_at_once
from retail_assets.sources.mapping import load_mapping
from retail_assets.windows import Window


def wanted_window(settings: Settings, *, first: date | None, last: date | None) -> Window:
    """The business dates to run: what was asked, inside what the source has.

    Raises:
        PermanentFailure: a date outside the history, or a source without sales.
    """
    mapping = load_mapping(settings.source_mapping)
    source = Source(settings.source_secret, mapping)
    newest, closed = source.newest_business_date(), calendar_of(settings, mapping).newest_closed_day()
    if newest is None:
        raise PermanentFailure(
            f"The source {source.place} holds no sales: check the mapping with retail-assets check-source."
        )
    if min(newest, closed) < settings.first_date:
        raise PermanentFailure(
            f"The source {source.place} has no closed day from RETAIL_START_DATE {settings.first_date} on; "
            f"its newest is {min(newest, closed)}."
        )
    history = Window(settings.first_date, min(newest, closed))
    for option, day in (("--from", first), ("--to", last)):
        if day is not None and day not in history:
            raise PermanentFailure(f"{option} {day} is outside the history {history}; choose a day inside it.")
    if first and last and last < first:
        raise PermanentFailure(f"--to {last} is before --from {first}; swap them.")
    return Window(first or history.first, last or history.last)


def launch(
    settings: Settings, window: Window, *, console: Console, again: bool, restate: bool, accept_empty: bool
) -> None:
    """Run the stages that have something to do, then print the report.

    Raises:
        PermanentFailure, TransientFailure: the first failure; finished partitions stay.
    """
    resources = resources_of(settings, load_mapping(settings.source_mapping))
    resources["lake"].check_writable()
    _same_places(settings)
    definitions = build_definitions(settings, overrides=resources)
    plan_ranges_at_once()
    store_ranges_at_once()
    with (
        at_work(settings.dagster_home),
        _quick_event_log(),
        _instance(settings) as instance,
        closing(resources["engine"]),
        visible_waits(instance, partial(console.print, soft_wrap=True)),
    ):
        if close_abandoned(instance):
            console.print("An interrupted run was closed; carrying on.")
        planner = Planner(instance, settings, window, again=again, restate=restate, accept_empty=accept_empty)
        warned: list[FailedCheck] = []
        try:
            spent, failed = _stages(planner, definitions, console=console, warn=warned.append)
            print_report(report(resources["engine"]), settings, console=console)
        finally:
            print_warnings(warned, console=console)
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in spent.items())
    console.print(f"stages: {stages or 'nothing was missing'}")
    if failed:
        raise failed


def serve_ui(settings: Settings, *, port: int, console: Console) -> None:
    """Webserver and daemon until interrupted; both end together."""
    with _instance(settings):
        pass  # prepares the home folder
    commands = (
        ["dagster-webserver", "-w", str(_shipped("workspace.yaml")), "-p", str(port)],
        ["dagster-daemon", "run", "-w", str(_shipped("workspace.yaml"))],
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


def _shipped(name: str) -> Path:
    """A file of the repository's root; a wheel holds it beside this module."""
    beside = Path(__file__).with_name(name)
    return beside if beside.exists() else Path(__file__).parents[2] / name


def _instance(settings: Settings) -> dg.DagsterInstance:
    """The persistent instance of this retailer, with the repository's dagster.yaml."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_shipped("dagster.yaml"), home / "dagster.yaml")
    return dg.DagsterInstance.from_config(str(home))


@contextmanager
def _quick_event_log() -> Iterator[None]:
    """Dagster's SQLite event log, written without waiting for the disk and without a new engine at every event.

    A batch of events is one write; see `event_batches`.

    Dagster opens and closes a database several times an event. In write-ahead mode a commit with NORMAL waits for
    nothing, a killed process loses nothing and a power cut at most the last events, which a rerun makes again; but
    closing the last connection moves everything into the database and waits, so one stays open for each file.
    https://www.sqlite.org/pragma.html#pragma_synchronous, https://www.sqlite.org/wal.html#ckpt

    An engine keeps the statements it has compiled; Dagster makes one for each connection and compiles all anew.
    """
    held: dict[str, sqlite3.Connection] = {}

    def relax(connection: object, _record: object) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        [mode] = connection.execute("PRAGMA journal_mode").fetchone()
        [_, _, file] = connection.execute("PRAGMA database_list").fetchone()
        if mode == "wal" and file not in held:
            held[file] = sqlite3.connect(file, check_same_thread=False)
            held[file].execute("SELECT count(*) FROM sqlite_master").fetchone()  # it counts as open once it has read

    event.listen(sa.Engine, "connect", relax)
    try:
        with (
            patch.object(sqlite_event_log, "create_engine", _one_engine_a_database()),
            patch.object(SqliteEventLogStorage, "store_event_batch", store_event_batch),
        ):
            yield
    finally:
        event.remove(sa.Engine, "connect", relax)
        for connection in held.values():
            connection.close()


def _one_engine_a_database() -> Callable[..., sa.Engine]:
    """`create_engine` that gives the engine of a URL again."""
    engines: dict[str, sa.Engine] = {}

    def create(url: str, **options: object) -> sa.Engine:
        if url not in engines:
            engines[url] = sa.create_engine(url, **options)
        return engines[url]

    return create


def _same_places(settings: Settings) -> None:
    """What was materialised is known per folder, so a folder belongs to one lake and one warehouse.

    Passwords may change, and a folder may move with what lies in it.

    Raises:
        PermanentFailure: the folder knows runs into another place.
    """
    warehouse = sa.make_url(settings.warehouse_secret).set(username=None, password=None)
    places = {"RETAIL_LAKE_URI": settings.lake, "RETAIL_WAREHOUSE_URL": str(warehouse)}
    inside = str(settings.folder)
    marks = {name: hashlib.sha256(place.replace(inside, "").encode()).hexdigest() for name, place in places.items()}
    record = settings.folder / "places.json"
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else marks
    moved = [name for name, mark in marks.items() if known.get(name) != mark]
    if moved:
        raise PermanentFailure(
            f"{settings.folder} holds the runs of another {' and '.join(moved)}: set it back, or give the new place a "
            "RETAIL_HOME of its own."
        )
    record.write_text(json.dumps(marks), encoding="utf-8")


def _stages(
    planner: Planner, definitions: dg.Definitions, *, console: Console, warn: Callable[[FailedCheck], None]
) -> tuple[dict[str, float], RetailError | None]:
    """Seconds of each stage that had something to do, and the failure of a training.

    A training that fails does not stop the forecast: the version in force serves on.
    """
    spent: dict[str, float] = {}
    failed: RetailError | None = None
    for name, plan in in_order(planner):
        started = time.monotonic()
        steps = plan()
        for step in steps:
            try:
                _run(step, planner, definitions, console=console, warn=warn)
            except RetailError as error:
                if step.job != jobs.TRAIN:
                    raise
                console.print(f"{error} The version in force serves on.", soft_wrap=True)
                failed = error
        if steps:
            spent[name] = time.monotonic() - started
    return spent, failed


def _run(
    step: Step,
    planner: Planner,
    definitions: dg.Definitions,
    *,
    console: Console,
    warn: Callable[[FailedCheck], None],
) -> None:
    with console.status(f"{step.title} …") as status, WriteProgress(status, step.title):
        begun = time.monotonic()
        execute(step, planner, definitions, warn=warn)
    console.print(f"{step.title}: {time.monotonic() - begun:.1f} s")
