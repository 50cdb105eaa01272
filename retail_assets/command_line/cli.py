"""The `retail-assets` command: connect a source, run the graph, look at the result, try other parameters."""

import atexit
import fcntl
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.settings import Settings, let_idle_threads_sleep, load_settings

EXIT_MEND, EXIT_TRY_AGAIN, EXIT_INTERRUPTED = 2, 75, 130
_INTERRUPTED = "Interrupted; what was finished is kept, the same command carries on."

_HELP = "\n\n".join(
    (
        "Forecasts demand and plans orders from a retailer's sales and stock.",
        "To try it: run fills a demo retailer and makes everything; dashboard opens the planners' pages, ui Dagster.",
        "With your own data: new-mapping proposes a mapping, check-source compares it with the database; then run.",
        "Before you change parameters or models: what-if and backtest.",
        "An error is one sentence on standard error. Exit codes: 0 done, 2 fix what the sentence names and run again, "
        "75 the same command may work later, 130 interrupted; it carries on when you run it again.",
    )
)
_SOURCE, _RUN, _LOOK, _TRY = "Connect a source", "Run", "Look at the result", "Try before you change"


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=_HELP,
)
console = Console(highlight=False)


def entry_point() -> None:
    """The console command.

    The process ends without tearing the interpreter down: DuckDB's binding would list every object that is still
    alive on standard error.
    """
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    atexit._run_exitfuncs()  # temporary folders, MLflow's and Dagster's own
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    """Parse, run, and turn failures into a sentence and an exit code."""
    end_when_terminated()
    let_idle_threads_sleep()
    warnings.filterwarnings("ignore", message=".*backfill_policy.*|.*is currently in (beta|preview).*")
    try:
        app()
    except SystemExit as end:  # the command-line library has caught the interrupt already
        if end.code == EXIT_INTERRUPTED:
            _stop(_INTERRUPTED, EXIT_INTERRUPTED)
        raise
    except PermanentFailure as error:
        _stop(str(error), EXIT_MEND)
    except TransientFailure as error:
        _stop(f"{error} Try again later.", EXIT_TRY_AGAIN)
    except KeyboardInterrupt:
        _stop(_INTERRUPTED, EXIT_INTERRUPTED)


def end_when_terminated() -> None:
    """Let SIGTERM end this process, and those it starts, also where Ctrl-C is ignored.

    A script's background job starts with SIGINT ignored, children inherit that, and Dagster gives SIGTERM the handler
    of SIGINT (dagster/_utils/interrupts.py): only SIGKILL would end a run, the webserver or the daemon.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt_unless_asked_to_ignore)


def _interrupt_unless_asked_to_ignore(number: int, _frame: FrameType | None) -> None:
    if number != signal.SIGINT:
        raise KeyboardInterrupt


@app.command(rich_help_panel=_RUN)
def run(
    from_day: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First business date.")] = None,
    to_day: Annotated[str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last business date.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also make again what is there.")] = False,
    restate: Annotated[bool, typer.Option("--restate", help="Also overwrite forecasts published live.")] = False,
    accept_empty: Annotated[
        bool, typer.Option("--accept-empty", help="Also empty stored days that the source no longer has.")
    ] = False,
) -> None:
    """Ingest, train and publish what is missing, then say what came out."""
    from retail_assets.command_line.launch import launch, wanted_window  # loads Dagster

    settings = load_settings()
    with _alone(settings):
        _fill_demo(settings)
        window = wanted_window(settings, first=_day("--from", from_day), last=_day("--to", to_day))
        launch(settings, window, console=console, again=again, restate=restate, accept_empty=accept_empty)


@app.command(rich_help_panel=_RUN)
def demo(
    through: Annotated[str | None, typer.Option("--through", metavar="YYYY-MM-DD", help="Last day.")] = None,
) -> None:
    """Let the demo retailer live on, to yesterday or to the day given."""
    settings = load_settings()
    with _alone(settings):
        _write_demo(settings, _day("--through", through) or _closed_day(settings))


@app.command("load-m5", rich_help_panel=_SOURCE)
def load_m5(folder: Annotated[Path, typer.Argument(help="Folder with sales, sell_prices and calendar.")]) -> None:
    """Build the source database of the mapping m5 from a folder of Walmart data."""
    from retail_assets.demo.m5 import load_m5 as load

    settings = load_settings(source_mapping="m5", source_url=None)
    with _alone(settings):
        first, last = load(folder, settings.source_secret)
        settings.start_date_file.write_text(f"{first}\n", encoding="utf-8")
    console.print(f"Loaded {first} … {last} into {settings.embedded_source}.")
    console.print("Next: RETAIL_SOURCE_MAPPING=m5 retail-assets run")


@app.command("new-mapping", rich_help_panel=_SOURCE)
def new_mapping(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="File to write.")] = Path("mapping.yaml"),
) -> None:
    """Look at the tables of RETAIL_SOURCE_URL and write a first mapping of them, for you to correct."""
    from retail_assets.command_line.terminal import print_proposal
    from retail_assets.sources.proposing.new_mapping import write_mapping

    settings = _source_settings()
    if settings.source_url is None:
        raise PermanentFailure(
            "RETAIL_SOURCE_URL is missing: new-mapping looks at the tables of your own database; for example "
            "RETAIL_SOURCE_URL=postgresql+psycopg://reader:…@server/shop."
        )
    print_proposal(write_mapping(settings.source_secret, to), to, console=console)


@app.command("check-source", rich_help_panel=_SOURCE)
def check_source() -> None:
    """Compare the mapping with the live database and say what is found, missing or mistyped."""
    from retail_assets.command_line.terminal import print_checks
    from retail_assets.resources.source import Source
    from retail_assets.sources.mapping import load_mapping

    settings = _source_settings()
    checks = Source(settings.source_secret, load_mapping(settings.source_mapping)).check()
    if not print_checks(checks, console=console):
        raise typer.Exit(EXIT_MEND)
    oldest = next((check.oldest_date for check in checks if check.entity == "sales"), None)
    if settings.source_url is not None:
        console.print(f"Next: RETAIL_START_DATE={oldest} retail-assets run", soft_wrap=True)


@app.command(rich_help_panel=_LOOK)
def show(
    table: Annotated[str, typer.Argument(help="Layer and name, such as gold/fact_sales.")],
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="YYYY-MM-DDTHH:MM", help="As it was at this time of the stores.")
    ] = None,
    version: Annotated[int | None, typer.Option("--version", min=0, help="As it was in this Delta version.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows at most; 20 on the terminal.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write to a .parquet or .csv file.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="COLUMN=VALUE", help="Only such rows; also COLUMN!=VALUE, and several."),
    ] = None,
) -> None:
    """Print a table of the lake, or write it to a file: now, or as it was."""
    from retail_assets.command_line.show import Selection  # loads Arrow
    from retail_assets.command_line.show import show as show_table

    wanted = Selection(table, as_of=as_of, version=version, where=where or (), limit=limit)
    show_table(load_settings(), wanted, to=to, console=console)


@app.command("what-if", rich_help_panel=_TRY)
def what_if(
    policies: Annotated[
        Path | None, typer.Option("--policies", metavar="FILE", help="Parameters to try; see docs/inventory.md.")
    ] = None,
    service_level: Annotated[float | None, typer.Option("--service-level", help="Service level to try.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="YYYY-MM-DD", help="Day to plan; the newest by default.")
    ] = None,
) -> None:
    """Plan a day with other parameters and print the totals beside those of today's parameters."""
    from retail_assets.command_line.terminal import print_what_if
    from retail_assets.command_line.what_if import compare  # loads Ibis
    from retail_assets.graph.policy_file import policies_of, tried

    settings = load_settings()
    if policies is None and service_level is None:
        raise PermanentFailure("what-if needs parameters to try: give --service-level or --policies FILE.")
    after = tried(settings, file=policies, service_level=service_level)
    found = compare(
        *_lake_and_calendar(settings),
        before=policies_of(settings.policies, service_level=settings.service_level),
        after=after,
        as_of=_day("--as-of", as_of),
    )
    print_what_if(found, console=console, own_levels=0 if service_level is None else after.own_levels())


@app.command(rich_help_panel=_TRY)
def backtest(
    through: Annotated[
        str | None, typer.Option("--through", metavar="YYYY-MM-DD", help="Last day; the newest by default.")
    ] = None,
    every_family: Annotated[bool, typer.Option("--every-family", help="Also contenders refused for cost.")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write every figure to a .parquet or .csv file.")
    ] = None,
) -> None:
    """Score all forecasters on the last weeks of the lake: by class, by days ahead, and how sure they may be."""
    from retail_assets.command_line.backtest import backtest as score  # loads LightGBM

    score(load_settings(), through=_day("--through", through), every_family=every_family, to=to, console=console)


@app.command(rich_help_panel=_LOOK)
def ui(port: Annotated[int, typer.Option(help="Port of the webserver.")] = 3000) -> None:
    """Start the Dagster webserver and daemon on the instance that `run` fills."""
    from retail_assets.command_line.launch import serve_ui

    serve_ui(load_settings(), port=port, console=console)


@app.command(rich_help_panel=_LOOK)
def dashboard(port: Annotated[int, typer.Option(help="Port of the application.")] = 8501) -> None:
    """Start the planners' application."""
    from dashboards.app import launch

    load_settings()
    launch(port=port)


def _source_settings() -> Settings:
    """Settings of a command that only looks at the source, whose first day is not known yet."""
    return load_settings(start_date=date.today())


def _fill_demo(settings: Settings) -> None:
    """The demo retailer lives to yesterday whenever its own embedded database is the source."""
    if settings.source_mapping == "demo" and settings.source_url is None:
        _write_demo(settings, _closed_day(settings))


def _lake_and_calendar(settings: Settings):
    """The engine on the lake, and the calendar of the mapping."""
    from retail_assets.graph.wiring import calendar_of, engine_of
    from retail_assets.lake.lake import open_lake
    from retail_assets.sources.mapping import load_mapping

    return engine_of(settings, open_lake(settings)), calendar_of(settings, load_mapping(settings.source_mapping))


def _closed_day(settings: Settings) -> date:
    """Yesterday where the stores are; partitions of later days do not exist."""
    from retail_assets.graph.wiring import calendar_of
    from retail_assets.sources.mapping import load_mapping

    return calendar_of(settings, load_mapping(settings.source_mapping)).newest_closed_day()


def _write_demo(settings: Settings, through: date) -> None:
    from retail_assets.demo.retailer import write_days

    started = time.monotonic()
    settings.folder.mkdir(parents=True, exist_ok=True)
    if settings.source_url is None and not settings.start_date_file.exists():
        settings.start_date_file.write_text(f"{settings.first_date}\n", encoding="utf-8")
    with console.status("The demo retailer opens its shops …") as status:
        days = write_days(
            settings.source_secret,
            start=settings.first_date,
            through=through,
            progress=lambda day: status.update(f"The demo retailer has sold until {day} …"),
        )
    console.print(f"demo retailer: {days} new days to {through}, {time.monotonic() - started:.1f} s")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One command at a time writes the folder.

    Raises:
        PermanentFailure: the folder cannot be written.
        TransientFailure: another command is at work.
    """
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        lock = (settings.folder / "lock").open("w")
    except OSError as error:
        raise PermanentFailure(
            f"RETAIL_HOME {settings.folder} cannot be written: {error.strerror}; choose a folder you may write to."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TransientFailure(f"Another retail-assets command is at work in {settings.folder}.") from None
        yield


def _day(option: str, text: str | None) -> date | None:
    """Raises: PermanentFailure: not a date."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise PermanentFailure(f"{option} is wrong: got {text!r}, wanted a date such as 2026-01-31.") from None


def _stop(sentence: str, code: int) -> None:
    print(sentence, file=sys.stderr)
    sys.exit(code)
