"""The cost–service curve of bench/results/inventory.json as docs/images/cost_service.png.

Usage: python -m bench.inventory_curve     (after bench.inventory)
"""

import json
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from bench.figures import RESULTS
from bench.inventory_scores import FRESH

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "cost_service.png"
_RULES = {"days_of_cover": "fixed days of cover", "min_max": "min/max", "history": "what the retailer did"}
_MARKS = {"days_of_cover": "s", "min_max": "^", "history": "x"}


def main() -> None:
    figures = json.loads((RESULTS / "inventory.json").read_text(encoding="utf-8"))
    values = {figure["name"]: figure["value"] for figure in figures}
    _, axes = plt.subplots(figsize=(7.5, 4.2), dpi=120)
    levels = sorted({float(found[1]) for name in values if (found := re.match(r"demo, service level ([\d.]+):", name))})
    ours = [_point(values, f"demo, service level {level:g}") for level in levels]
    axes.plot(*zip(*ours, strict=True), marker="o", color="#1f5aa6", label="forecast distribution")
    fresh = [_point(values, f"{FRESH}, service level {level:g}") for level in levels]
    axes.plot(*zip(*fresh, strict=True), marker=".", linestyle="--", color="#1f5aa6", label="fresh goods to the target")
    for level, point in zip(levels, ours, strict=True):
        if level in (0.8, 0.9, 0.95, 0.98, 0.99):
            axes.annotate(f"{level:g}", point, textcoords="offset points", xytext=(6, -12), fontsize=8)
    for rule, label in _RULES.items():
        names = [f"{run}, {rule}" for run in ("demo", FRESH) if f"{run}, {rule}: fill rate" in values]
        points = [_point(values, name) for name in names]
        axes.plot(*zip(*points, strict=True), marker=_MARKS[rule], linestyle="", markersize=9, label=label)
    title = f"Demo retailer, {values['demo: weeks compared']:g} weeks"
    axes.set(xlabel="share of demand served", ylabel="average stock at cost", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    plt.tight_layout()
    plt.savefig(PICTURE)


def _point(values: dict[str, float], name: str) -> tuple[float, float]:
    return values[f"{name}: fill rate"], values[f"{name}: average stock at cost"]


if __name__ == "__main__":
    main()
