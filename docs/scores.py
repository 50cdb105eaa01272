"""The block of docs/forecasting.md that shows what `make bench-forecast` measured, from bench/results/forecast.json."""

import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE, RESULTS = ROOT / "docs" / "forecasting.md", ROOT / "bench" / "results" / "forecast.json"
START, END = "<!-- scores: made by `make docs` from bench/results/forecast.json -->", "<!-- end of scores -->"
_REFERENCES = ("naive", "28-day mean", "published submission, rank 46")
_COMPARED = ("ours", "seasonal naive", "ETS bottom-up")
_NAMED = {"naive": "naive: the last day again", "28-day mean": "mean of 28 days"}


def page_with_scores() -> str:
    """docs/forecasting.md with its block made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{block(_values())}\n{END}{after}"


def _values() -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(RESULTS.read_text(encoding="utf-8"))}


def block(rows: dict[str, dict]) -> str:
    """Tables of the validation window, of coverage, of the demo and of cost."""
    parts = [_validation(rows), _sums(rows), _coverage(rows), _demo(rows), _cost(rows), _missed(rows)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _validation(rows: dict[str, dict]) -> Iterator[str]:
    def value(name: str) -> float:
        return rows[name]["value"]

    yield "| validation window | mean RMSSE | WAPE |"
    yield "| --- | --- | --- |"
    chosen = value("M5 validation: mean RMSSE"), value("M5 validation: WAPE")
    yield f"| **chosen by the backtest** | **{chosen[0]:.4f}** | **{chosen[1]:.4f}** |"
    for name in _REFERENCES:
        error, share = (value(f"M5 validation: {kind}, reference {name}") for kind in ("mean RMSSE", "WAPE"))
        yield f"| reference, {_NAMED.get(name, name)} | {error:.3f} | {share:.3f} |"
    names = [name.removesuffix(": mean RMSSE") for name in rows if name.startswith("contender ") and "RMSSE" in name]
    for name in sorted(names, key=lambda name: value(f"{name}: mean RMSSE")):
        label = name.removeprefix("contender ").removesuffix(" (mean of families)")
        naive = ": the last same weekday again" if label == "seasonal_naive" else ""
        yield f"| {label} alone{naive} | {value(f'{name}: mean RMSSE'):.4f} | {value(f'{name}: WAPE'):.4f} |"


def _sums(rows: dict[str, dict]) -> Iterator[str]:
    yield "| the same days, and the backtest before them | ours | seasonal naive | ETS bottom-up |"
    yield "| --- | --- | --- | --- |"
    sums = [rows[f"store × department sums: mean RMSSE, {name}"]["value"] for name in _COMPARED]
    yield f"| sums by store and department: mean RMSSE | {sums[0]:.4f} | {sums[1]:.4f} | {sums[2]:.4f} |"
    yield f"| WRMSSE of these series | {rows['M5 validation: WRMSSE of these series']['value']:.4f} | | |"
    for score in ("WRMSSE", "WSPL"):
        ours, naive = (rows[f"backtest, {name}: {score}"]["value"] for name in ("chosen", "seasonal_naive"))
        yield f"| backtest: {score} | {ours:.4f} | {naive:.4f} | |"


def _coverage(rows: dict[str, dict]) -> Iterator[str]:
    names = [name for name in rows if name.startswith("coverage ") and "standard error" not in name]
    classes = ("", ", class A", ", class B", ", class C")
    yield "| coverage, points from nominal (standard error) | all | A | B | C |"
    yield "| --- | --- | --- | --- | --- |"
    for name in (name for name in names if ", class" not in name):
        yield f"| {name.removeprefix('coverage ')} | " + " | ".join(_off(rows, name + part) for part in classes) + " |"


def _off(rows: dict[str, dict], name: str) -> str:
    found, error = rows.get(name), rows.get(f"{name}: standard error")
    if found is None:
        return ""
    return (
        f"{found['value']:+.2f}" + (f" ({error['value']:.2f})" if error else "") + ("" if found["met"] else " **no**")
    )


def _demo(rows: dict[str, dict]) -> Iterator[str]:
    ending = ": root mean squared error / oracle's"
    yield "| demo retailer, all horizons | error / oracle's | bias, % |"
    yield "| --- | --- | --- |"
    for name in (name.removesuffix(ending) for name in rows if name.startswith("demo, ") and name.endswith(ending)):
        label = name.removeprefix("demo, ").replace("all all", "everything")
        bias = 100 * rows[f"{name}: bias against expected"]["value"]
        yield f"| {label} | {rows[name + ending]['value']:.3f} | {bias:+.1f} |"


def _cost(rows: dict[str, dict]) -> Iterator[str]:
    yield "| cost | measured | target |"
    yield "| --- | --- | --- |"
    for name, row in rows.items():
        if name.startswith(("chain: ", "seasonal pmdarima")):
            target = "" if row["target"] is None else f"{row['target']:g}"
            yield f"| {name} | {row['value']:,.6g} {row['unit']} | {target} |".replace("  |", " |")


def _missed(rows: dict[str, dict]) -> Iterator[str]:
    names = [name for name, row in rows.items() if row["met"] is False]
    yield "Targets missed in this run: " + ("; ".join(f"**{name}**" for name in names) or "none") + "."
