"""Forecasts: accuracy, coverage and cost in one run, with every contender's row.

Usage: python -m bench.forecast [--m5 FOLDER] [--home HOME] [--only chain|m5|demo]

With --only one part is measured and its rows replaced; those of the other parts stay as they were kept.
HOME is the RETAIL_HOME of a finished `make run` of the demo retailer; without one the demo is run first.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from bench import forecast_demo, forecast_m5, forecast_scale
from bench.figures import Figure, keep, kept_figures, measure, publish

PARTS = {
    "chain": ("chain: ", "seasonal pmdarima"),
    "m5": ("M5 ", "contender ", "backtest", "store × department", "coverage "),
    "demo": ("demo, ",),
}
"""What the names of each part's figures begin with."""
FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "m5"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--m5", type=Path, default=FOLDER)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    if not options.m5.exists():
        raise SystemExit(f"There is no folder {options.m5}; name the M5 folder with --m5.")
    figures = {part: [] if options.only is None else kept_figures("forecast", PARTS[part]) for part in PARTS}
    for part in PARTS if options.only is None else (options.only,):
        figures[part] = _measured(part, options)
        keep("forecast", list(chain(*figures.values())))
    publish("forecast", list(chain(*figures.values())))


def _measured(part: str, options: argparse.Namespace) -> list[Figure]:
    if part == "demo":
        with finished_demo(options.home) as home:
            return forecast_demo.figures(home)
    return forecast_scale.figures(options.m5) if part == "chain" else forecast_m5.figures(options.m5)


@contextmanager
def finished_demo(home: Path | None) -> Iterator[Path]:
    """The given home, or that of a demo run from nothing, taken away afterwards."""
    if home is not None:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as made:
        measure([str(Path(sys.executable).parent / "retail-assets"), "run"], {**os.environ, "RETAIL_HOME": made})
        yield Path(made)


if __name__ == "__main__":
    main()
