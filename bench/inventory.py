"""Orders: textbook values, achieved against predicted service, stock against simpler rules, and speed.

Usage: python -m bench.inventory [--m5 FOLDER] [--home HOME] [--keep FOLDER] [--stored]

HOME is the RETAIL_HOME of a finished `make run` of the demo retailer; without one the demo is run first.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from bench import inventory_demo, inventory_m5, inventory_scale, inventory_values
from bench.figures import Figure, keep, publish
from bench.forecast import FOLDER, finished_demo
from bench.inventory_scores import FRESH, Scored, against_rules, calibration
from retail_assets.inventory.replay.replay import Replay
from retail_assets.inventory.replay.world import ReplayInputs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--m5", type=Path, default=FOLDER)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--keep", type=Path, help="folder that keeps the forecasts for another run")
    parser.add_argument(
        "--stored", action="store_true", help="replay the demo's stored forecasts: weeks, not half a year"
    )
    options = parser.parse_args()
    if not options.m5.exists():
        raise SystemExit(f"There is no folder {options.m5}; name the M5 folder with --m5.")
    figures = [*inventory_values.figures(), *inventory_scale.figures()]
    keep("inventory", figures)
    demo, m5 = (options.keep and options.keep / f"{name}.parquet" for name in ("demo", "m5"))
    with finished_demo(options.home) as home:
        inputs = inventory_demo.replay_inputs(home, kept=demo, is_stored=options.stored)
    figures += demo_figures(inputs)
    keep("inventory", figures)
    figures += m5_figures(inventory_m5.replay_inputs(options.m5, kept=m5))
    publish("inventory", figures)


def demo_figures(inputs: ReplayInputs) -> Iterator[Figure]:
    """By ABC class where service is judged, by supplier where stock is compared: each rule is tuned for a supplier."""
    scored = Scored.of(Replay.of(inputs))
    yield from calibration(scored, name="demo")
    suppliers = scored.grouped(scored.replay.world.supplier_ids)
    yield from against_rules(suppliers, name="demo", by_value=True)
    fresh = suppliers.with_fresh_goods_to_the_target()
    yield from against_rules(fresh, name=FRESH, by_value=True)


def m5_figures(inputs: ReplayInputs) -> Iterator[Figure]:
    """Lead times are assumed; rules are tuned for each class."""
    scored = Scored.of(Replay.of(inputs))
    yield from calibration(scored, name="M5, assumed lead time 7 days")
    yield from against_rules(scored, name="M5, assumed lead time 7 days", by_value=False)


if __name__ == "__main__":
    main()
