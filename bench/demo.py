"""The demo retailer: `retail-assets run` from nothing and once more, as whole processes.

Usage: python bench/demo.py
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from bench.figures import Figure, at_most, measure, publish

SECONDS_LIMIT, PEAK_LIMIT_GIB = 300, 3.0


def main() -> None:
    command = [str(Path(sys.executable).parent / "retail-assets"), "run"]
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as home:
        environment = {**os.environ, "RETAIL_HOME": home}
        first = measure(command, environment)
        second = measure(command, environment)
    stages = re.findall(r"(\w+) (\d+) s", first.output.splitlines()[-1])
    publish(
        "demo",
        [
            at_most("first run", first.seconds, "s", SECONDS_LIMIT),
            at_most("peak memory of one process", first.peak_gib, "GiB", PEAK_LIMIT_GIB),
            *(Figure(f"stage {name}", float(seconds), "s") for name, seconds in stages),
            Figure("second run, nothing missing", round(second.seconds, 1), "s"),
            Figure("second run / first run", round(second.seconds / first.seconds, 3), "ratio"),
        ],
    )


if __name__ == "__main__":
    main()
