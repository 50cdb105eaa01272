"""Take the README's pictures from running applications into docs/images/.

Start the planner's application (and Dagster, for the asset graph) on real data first, then run
`python docs/screenshots.py --dashboard http://localhost:8501 --dagster http://localhost:3000`.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDTH = 1500
SETTLE_MILLISECONDS = 2500
WAIT_MILLISECONDS = 60_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dashboard", help="address of the planner's application")
    parser.add_argument("--dagster", help="address of the Dagster webserver")
    addresses = parser.parse_args()
    if not (addresses.dashboard or addresses.dagster):
        parser.error("nothing to photograph: give --dashboard, --dagster or both")
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: install it with `apt-get install chromium`", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with browser_page(chromium) as page:
        if addresses.dashboard:
            photograph_page(page, addresses.dashboard, name="replenishment", ready="[data-testid=stDataFrame] canvas")
            for name in ("demand", "models"):
                photograph_page(
                    page, f"{addresses.dashboard}/{name}", name=name, ready="[data-testid=stPlotlyChart] svg"
                )
        if addresses.dagster:
            photograph_graph(page, addresses.dagster)
    return 0


@contextmanager
def browser_page(chromium: str) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, headless=True, args=ARGUMENTS, viewport={"width": WIDTH, "height": 1000}
        )
        yield context.new_page()
        context.close()


def photograph_page(page: Page, address: str, *, name: str, ready: str) -> None:
    """A Streamlit page from top to bottom; it scrolls inside itself, so the window grows to its height."""
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(address)
    page.wait_for_selector(ready, timeout=WAIT_MILLISECONDS)
    page.wait_for_selector("[data-testid=stStatusWidget]", state="detached", timeout=WAIT_MILLISECONDS)
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": int(height)})
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=IMAGES / f"{name}.png")


def photograph_graph(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1800, "height": 1000})
    page.goto(f"{address}/asset-groups")
    page.get_by_text("warehouse").last.wait_for(timeout=WAIT_MILLISECONDS)
    page.wait_for_timeout(4 * SETTLE_MILLISECONDS)
    page.screenshot(path=IMAGES / "asset_graph.png")


if __name__ == "__main__":
    sys.exit(main())
