"""Every benchmark that this machine has data for.

Usage: python bench/run_all.py [--m5 FOLDER] [--fresh FOLDER] [--vn2 FOLDER] [--layout]

bench/layout.py writes 59 million rows a dozen times: an hour or two on two cores, so it runs only when asked for.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--m5", type=Path, default=HERE.parent.parent / "shared" / "data" / "m5")
    parser.add_argument("--fresh", type=Path, default=HERE.parent.parent / "shared" / "data" / "freshretailnet")
    parser.add_argument("--vn2", type=Path, default=HERE.parent.parent / "shared" / "data" / "vn2")
    parser.add_argument("--layout", action="store_true", help="the physical layouts too")
    options = parser.parse_args()
    jobs = [["demo.py"], ["source.py"], ["lake.py", "--m5", str(options.m5)]]
    if options.m5.exists():
        jobs += [["m5.py", str(options.m5)], ["forecast.py", "--m5", str(options.m5)]]
        jobs.append(["inventory.py", "--m5", str(options.m5)])
    else:
        print(f"No M5 folder at {options.m5}: m5.py, forecast.py and inventory.py are left out; name one with --m5.")
    if options.fresh.exists():
        jobs.append(["censoring.py", str(options.fresh)])
    else:
        print(f"No FreshRetailNet folder at {options.fresh}: censoring.py is left out; name one with --fresh.")
    if options.vn2.exists():
        jobs.append(["vn2.py", str(options.vn2)])
    else:
        print(f"No VN2 folder at {options.vn2}: vn2.py is left out; name one with --vn2.")
    if options.layout:
        jobs.append(["layout.py"])
    for script, *arguments in jobs:
        subprocess.run([sys.executable, "-m", f"bench.{Path(script).stem}", *arguments], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    main()
