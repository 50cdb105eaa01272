"""One recorded run of the demo: what the commands printed and which pictures show it.

README's console blocks and docs/first-run.md are made from the record in docs/images/run.json, so that text and
pictures agree. Recording belongs in screenshots.py; this module reads no lake and starts no browser.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
RECORD = IMAGES / "run.json"
README = DOCS.parent / "README.md"
FIRST_RUN = DOCS / "first-run.md"

RUN = "retail-assets run"
WHAT_IF = "retail-assets what-if --service-level 0.98"
SHOW_REJECTED = "retail-assets show silver/rejected_rows --where rule=negative_price --limit 1"

_SHOW_PLAN = "retail-assets show inventory/replenishment_plan"
_CONDITIONS = " --where as_of_date={} --where store_id={} --where product_id={}"
_FIRST_ORDER = re.compile(r"^The most urgent orders as of (\S+)\n 1\. (\S+) (\S+):", flags=re.MULTILINE)
_LEFT_OUT = "…"
_BLOCK = "```text\n$ {command}\n{text}\n```"


@dataclass(frozen=True)
class RecordedRun:
    """A run of the demo and what came of it.

    Attributes:
        outputs: what each command printed, by command.
        pictures: SHA-256 of each picture, by file name.
        first_order: the order that the Replenishment page explained when it was photographed, as its page puts it.
    """

    outputs: dict[str, str]
    pictures: dict[str, str]
    first_order: str


def read_record(path: Path = RECORD) -> RecordedRun:
    return RecordedRun(**json.loads(path.read_text(encoding="utf-8")))


def write_record(record: RecordedRun, path: Path = RECORD) -> None:
    path.write_text(json.dumps(asdict(record), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def fingerprint(picture: Path) -> str:
    """SHA-256 of a picture's bytes."""
    return hashlib.sha256(picture.read_bytes()).hexdigest()


def commands_after(run_output: str) -> tuple[str, ...]:
    """What is run on the finished home: output of `RUN` names the order to show."""
    return (SHOW_REJECTED, show_order(run_output), WHAT_IF)


def show_order(run_output: str) -> str:
    """The command that shows the most urgent order of a run.

    Raises:
        ValueError: the run has no order.
    """
    found = _FIRST_ORDER.search(run_output)
    if found is None:
        raise ValueError("the recorded run has no order")
    return _SHOW_PLAN + _CONDITIONS.format(*found.groups())


def excerpt_of_run(output: str) -> str:
    """Stages, accuracy, the most urgent order and the total of a run's output."""
    lines = output.splitlines()
    tables, accuracy = (_place(lines, start) for start in ("Rows per table", "Forecast beside"))
    order = _place(lines, " 1. ")
    return "\n".join([*lines[:tables], _LEFT_OUT, *lines[accuracy : order + 1], _LEFT_OUT, lines[-1]])


def excerpt_of_what_if(output: str) -> str:
    """Title, head and totals of the output of what-if."""
    lines = output.splitlines()
    head, total = _place(lines, "┡"), _place(lines, "│ total")
    return "\n".join([*lines[: head + 1], _LEFT_OUT, *lines[total:]])


EXCERPTS: dict[str, Callable[[str], str]] = {RUN: excerpt_of_run, WHAT_IF: excerpt_of_what_if}
"""The console blocks of the README: command, and the part of its output that is shown there."""


def block(command: str, text: str) -> str:
    """A console block of a document."""
    return _BLOCK.format(command=command, text=text)


def readme_with(record: RecordedRun, readme: str) -> str:
    """The README with the recorded figures in its console blocks.

    Raises:
        ValueError: the README has no block of a command, or two.
    """
    for command, excerpt in EXCERPTS.items():
        found = re.compile(rf"^```text\n\$ {re.escape(command)}\n.*?^```$", flags=re.MULTILINE | re.DOTALL)
        fresh = block(command, excerpt(record.outputs[command]))
        readme, count = found.subn(lambda _, fresh=fresh: fresh, readme)
        if count != 1:
            raise ValueError(f"README.md needs one console block that begins with `$ {command}`; it has {count}")
    return readme


def first_run(record: RecordedRun) -> str:
    """docs/first-run.md: everything the run printed, and the pages on its tables."""
    shown = {command: block(command, output) for command, output in record.outputs.items()}
    return f"""# What the first run gives

`make pictures` makes this page, the console blocks of the README and their pictures from one run of the demo; do not
edit them. The demo ends yesterday, so your dates and figures differ.

## On the terminal

`make run` is `retail-assets run` in the project's environment.

{shown[RUN]}

`gold/demand_daily` and the forecasts hold every product of every store, sold or not. A refused row keeps its content
and the rule it broke:

{shown[SHOW_REJECTED]}

The most urgent order, with every number that its sentence uses ([what each means](inventory.md)):

{shown[show_order(record.outputs[RUN])]}

The same night with another service level. The command stores nothing:

{shown[WHAT_IF]}

## Replenishment

The worklist of orders, those that save most margin first, and the reason of the one you select. A planner approves,
changes or rejects each line, and exports what is approved.

![The Replenishment page](images/replenishment.png)

## Demand

The forecast of a product in a store as bands, the days that ran out of stock, the reasons of each week, and how right
the forecasts of the last weeks were.

![The Demand page](images/demand.png)

## Models

Whether the model in force beats the seasonal naive, and how every training and contender did.

![The Models page](images/models.png)

## Dagster

Every group opens to its tables, with their partitions, checks, columns and runs.

![The asset graph in Dagster](images/asset_graph.png)
"""


def _place(lines: list[str], start: str) -> int:
    """Index of the first line that begins with `start`.

    Raises:
        ValueError: no line does.
    """
    for place, line in enumerate(lines):
        if line.startswith(start):
            return place
    raise ValueError(f"the recorded output has no line that begins with {start!r}")
