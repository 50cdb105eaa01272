"""Figures of a benchmark: printed as a table and written as bench/results/NAME.json."""

import json
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from retail_assets.settings import let_idle_threads_sleep

let_idle_threads_sleep()
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One measured value; `target` is None for a reference, `met` says whether the target was reached.

    `better` says on which side of the target it should be.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    met: bool | None = None
    better: str = "≤"


def at_least(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, round(value, 4), unit, target, value >= target, "≥")


def at_most(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, round(value, 4), unit, target, value <= target)


def within(name: str, value: float, unit: str, target: float) -> Figure:
    """Not further from 0 than the target, on either side."""
    return Figure(name, round(float(value), 2), unit, target, bool(abs(value) <= target), "±")


def publish(name: str, figures: Sequence[Figure]) -> None:
    """Print the figures and write bench/results/NAME.json."""
    grid = Table("figure", "value", "unit", "target", "met", title=name, title_justify="left")
    for figure in figures:
        target = "" if figure.target is None else f"{figure.better} {figure.target:g}"
        met = {True: "yes", False: "NO", None: ""}[figure.met]
        grid.add_row(figure.name, f"{figure.value:g}", figure.unit, target, met)
    Console(width=110).print(grid)
    keep(name, figures)


def keep(name: str, figures: Sequence[Figure]) -> None:
    """Write bench/results/NAME.json; a long run calls it as it goes."""
    RESULTS.mkdir(exist_ok=True)
    kept = [{name: value for name, value in asdict(figure).items() if name != "better"} for figure in figures]
    text = json.dumps(kept, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def kept_figures(name: str, beginnings: tuple[str, ...]) -> list[Figure]:
    """The figures of bench/results/NAME.json whose names begin so, as `keep` wrote them."""
    rows = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return [Figure(**row) for row in rows if row["name"].startswith(beginnings)]


def interleaved(ours: Callable[[], object], bare: Callable[[], object], *, repeats: int) -> tuple[float, float]:
    """Median seconds of two ways to do the same, taken in turn so that a busy moment hits both.

    An action that returns a float times itself. Warm both up before.
    """
    pairs = [(seconds(ours), seconds(bare)) for _ in range(repeats)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def seconds(action: Callable[[], object]) -> float:
    """How long the action took, or says that it took."""
    started = time.monotonic()
    stated = action()
    return stated if isinstance(stated, float) else time.monotonic() - started


def ratio(name: str, timings: tuple[float, float], *, target: float | None = None) -> list[Figure]:
    """Ours, bare, and ours / bare beside its target."""
    ours, bare = timings
    value = round(ours / bare, 3)
    judged = at_most(f"{name}: ratio", value, "ratio", target) if target else Figure(f"{name}: ratio", value, "ratio")
    return [Figure(f"{name}: ours", round(ours, 3), "s"), Figure(f"{name}: bare", round(bare, 3), "s"), judged]


@dataclass(frozen=True)
class Measured:
    """A finished command: wall-clock seconds, peak memory of the largest process so far, its output."""

    seconds: float
    peak_gib: float
    output: str


def measure(command: Sequence[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end.

    Raises:
        SystemExit: the command failed; its output is shown.
    """
    started = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return Measured(time.monotonic() - started, peak, done.stdout)
