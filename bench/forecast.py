"""Forecasts: accuracy, coverage and cost in one run, with every contender's row.

Usage: python -m bench.forecast [--m5 FOLDER] [--home HOME]

HOME is the RETAIL_HOME of a finished `make run` of the demo retailer; without one the demo is run first.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import forecast_demo, forecast_m5, forecast_scale
from bench.figures import keep, measure, publish

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "m5"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--m5", type=Path, default=FOLDER)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    if not options.m5.exists():
        raise SystemExit(f"There is no folder {options.m5}; name the M5 folder with --m5.")
    figures = forecast_scale.figures(options.m5)
    keep("forecast", figures)
    figures += forecast_m5.figures(options.m5)
    keep("forecast", figures)
    with finished_demo(options.home) as home:
        figures += forecast_demo.figures(home)
    publish("forecast", figures)


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
