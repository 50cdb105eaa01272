"""Record one run of the demo for the documents: console text and pictures together.

`python docs/screenshots.py HOME` makes the run in the folder HOME, or takes the finished one whose output HOME/run.txt
holds. It writes docs/images, docs/first-run.md and the console blocks of the README (docs/recorded_run.py).
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # started as a file, only docs/ is on the path

from docs.recorded_run import (  # noqa: E402
    FIRST_RUN,
    IMAGES,
    README,
    RUN,
    RecordedRun,
    commands_after,
    fingerprint,
    first_run,
    readme_with,
    write_record,
)

TAKEN = ("order.png", "replenishment.png", "demand.png", "models.png", "asset_graph.png")
WIDTH = 1280
START_SECONDS = 300
SETTLE_MILLISECONDS = 2500
WAIT_MILLISECONDS = 120_000
TERMINAL_COLUMNS = "100"
BORDER_PIXELS = 6
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="folder of the run, as RETAIL_HOME names it")
    home = parser.parse_args().home.resolve()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: install it with `apt-get install chromium`", file=sys.stderr)
        return 1
    made = output_of_run(home)
    outputs = {RUN: made} | {command: output_of(command, home) for command in commands_after(made)}
    with browser_page(chromium) as page:
        first_order = photograph_pages(page, home)
        photograph_graph(page, home)
    for name in TAKEN:
        keep_small(IMAGES / name)
    pictures = {name: fingerprint(IMAGES / name) for name in TAKEN}
    record = RecordedRun(outputs=outputs, pictures=pictures, first_order=first_order)
    write_record(record)
    FIRST_RUN.write_text(first_run(record), encoding="utf-8")
    README.write_text(readme_with(record, README.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def output_of_run(home: Path) -> str:
    """What `retail-assets run` printed when it filled the home; runs it where HOME/run.txt is missing."""
    kept = home / "run.txt"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        kept.write_text(output_of(RUN, home), encoding="utf-8")
    return without_home(kept.read_text(encoding="utf-8"), home)


def output_of(command: str, home: Path) -> str:
    """What a command prints on a terminal of 100 columns.

    Raises:
        CalledProcessError: the command failed.
    """
    done = subprocess.run(program(command), cwd=ROOT, env=environment(home), stdout=subprocess.PIPE, check=True)
    return without_home(done.stdout.decode("utf-8"), home)


def without_home(text: str, home: Path) -> str:
    """No document names a folder of this machine."""
    return "\n".join(line.rstrip() for line in text.replace(str(home), "…/.retail").splitlines())


def program(command: str) -> list[str]:
    name, *arguments = command.split()
    return [str(Path(sys.executable).with_name(name)), *arguments]


def environment(home: Path) -> dict[str, str]:
    """This process's, with the home as the only setting."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_")}
    return kept | {"RETAIL_HOME": str(home), "COLUMNS": TERMINAL_COLUMNS}


@contextmanager
def served(command: str, home: Path, *, health: str) -> Iterator[str]:
    """Address of a server of the command line, which ends with the context."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            program(f"{command} --port {port}"), cwd=ROOT, env=environment(home), stdout=log, stderr=log
        )
        try:
            wait_until_healthy(process, f"http://127.0.0.1:{port}{health}")
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(process: subprocess.Popen[bytes], address: str) -> None:
    """Raises: RuntimeError: the server ended, or did not answer in time."""
    for _ in range(START_SECONDS * 2):
        if process.poll() is not None:
            raise RuntimeError(f"the server of {address} ended with {process.returncode} before it answered")
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"{address} did not answer within {START_SECONDS} s")


@contextmanager
def browser_page(chromium: str) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, headless=True, args=ARGUMENTS, viewport={"width": WIDTH, "height": 1000}
        )
        context.set_default_timeout(WAIT_MILLISECONDS)
        yield context.new_page()
        context.close()


def photograph_pages(page: Page, home: Path) -> str:
    """Pictures of the planners' pages; returns the sentence of the order that Replenishment explains."""
    with served("retail-assets dashboard", home, health="/_stcore/health") as address:
        show_whole(page, address, ready="[data-testid=stDataFrame] canvas")
        page.screenshot(path=IMAGES / "replenishment.png")
        sentence = photograph_order(page)
        for name in ("demand", "models"):
            show_whole(page, f"{address}/{name}", ready="[data-testid=stPlotlyChart] svg")
            page.screenshot(path=IMAGES / f"{name}.png")
    return sentence


def show_whole(page: Page, address: str, *, ready: str) -> None:
    """Open a Streamlit page; it scrolls inside itself, so the window grows to its height."""
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(address)
    page.wait_for_selector(ready)
    page.wait_for_selector("[data-testid=stStatusWidget]", state="detached")
    fold_menu(page)
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": int(height)})
    page.wait_for_timeout(SETTLE_MILLISECONDS)


def fold_menu(page: Page) -> None:
    """Leave the width to the page; the browser remembers it for the next one."""
    menu = page.get_by_test_id("stSidebar")
    if menu.get_attribute("data-collapsed") != "true":
        menu.hover()
        page.get_by_test_id("stSidebarCollapseButton").locator("button").click()


def photograph_order(page: Page) -> str:
    """The panel that explains the first order; returns its sentence."""
    panel = page.get_by_test_id("stVerticalBlock").filter(has=page.get_by_role("heading", name="Why ")).last
    page.screenshot(path=IMAGES / "order.png", clip=with_border(panel))
    return panel.get_by_text("Position ").first.inner_text()


def with_border(panel: Locator) -> dict[str, float]:
    box = panel.bounding_box()
    if box is None:
        raise RuntimeError("the panel of the first order is not on the page")
    return {
        "x": box["x"] - BORDER_PIXELS,
        "y": box["y"] - BORDER_PIXELS,
        "width": box["width"] + 2 * BORDER_PIXELS,
        "height": box["height"] + 2 * BORDER_PIXELS,
    }


def keep_small(picture: Path) -> None:
    """256 colours are enough for a page, and a third of the bytes."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


def photograph_graph(page: Page, home: Path) -> None:
    with served("retail-assets ui", home, health="/server_info") as address:
        page.set_viewport_size({"width": WIDTH, "height": 560})
        page.goto(f"{address}/asset-groups")
        page.get_by_text("warehouse").last.wait_for()
        page.wait_for_timeout(4 * SETTLE_MILLISECONDS)
        page.get_by_text("Hide navigation").click()
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        page.screenshot(path=IMAGES / "asset_graph.png")


if __name__ == "__main__":
    sys.exit(main())
