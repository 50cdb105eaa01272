"""The application in a real browser: it starts as documented, draws its charts and keeps a decision."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from retail_assets.resources.app_database import AppDatabase
from retail_assets.tables import entities
from retail_assets.tables.inventory import REPLENISHMENT_PLAN
from retail_assets_tests.dashboards.lake_data import plan_made_after, write_table

ROOT = Path(__file__).parents[2]
START_SECONDS = 60
WAIT_MILLISECONDS = 60_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def fresh_lake(lake_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a plan of last night: an older one takes no approval."""
    folder = tmp_path_factory.mktemp("fresh") / "lake"
    shutil.copytree(lake_folder, folder)
    last_night = datetime.now(ZoneInfo("Europe/London")).date() - timedelta(days=1)
    write_table(folder, REPLENISHMENT_PLAN, plan_made_after(last_night))
    return folder


@pytest.fixture(scope="module")
def address(fresh_lake: Path, home: Path) -> Iterator[str]:
    """Address of the running application, started by the function the command line calls."""
    port = _free_port()
    own = {"RETAIL_HOME": str(home), "RETAIL_LAKE_URI": str(fresh_lake), "RETAIL_SOURCE_MAPPING": "demo"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_")} | own
    start = f"from dashboards.app import launch; launch(port={port}, address='127.0.0.1')"
    with (home / "streamlit.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", start], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_healthy(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            headless=True,
            args=ARGUMENTS,
            viewport={"width": 1500, "height": 1400},
        )
        context.set_default_timeout(WAIT_MILLISECONDS)
        expect.set_options(timeout=WAIT_MILLISECONDS)
        yield context.new_page()
        context.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(process: subprocess.Popen, port: int) -> None:
    for _ in range(START_SECONDS * 4):
        if process.poll() is not None:
            raise RuntimeError(f"streamlit ended with {process.returncode} before it answered")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
            return
        except (URLError, OSError):
            time.sleep(0.25)
    raise RuntimeError(f"streamlit did not answer on port {port} within {START_SECONDS} s")


def _no_failure(page: Page) -> None:
    text = page.inner_text("body")
    assert "Traceback" not in text
    assert "Error" not in text
    assert "Page not found" not in text
    expect(page.get_by_test_id("stException")).to_have_count(0)


def _picture(page: Page, path: Path) -> None:
    """A screenshot that shows more than an empty page."""
    image = page.screenshot(path=path)
    assert len(image) > 30_000


def test_a_link_to_demand_draws_the_fan_chart(page: Page, address: str, tmp_path: Path):
    page.goto(f"{address}/demand")
    charts = page.get_by_test_id("stPlotlyChart")  # they are drawn in any order
    fan = charts.filter(has=page.locator(".legendtext", has_text="5 of 10 days"))
    expect(fan.locator(".scatterlayer .trace").first).to_be_visible()
    for name in ("8 of 10 days", "5 of 10 days", "Median", "Expected demand", "Sold"):
        expect(fan.locator(".legendtext", has_text=name).first).to_be_visible()
    expect(page.get_by_text("Was the forecast right?")).to_be_visible()
    expect(page.get_by_text("is the main reason")).to_be_visible()
    expect(page.locator(".waterfalllayer .point").first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(3)
    _no_failure(page)
    _picture(page, tmp_path / "demand.png")


def test_a_region_is_drawn_with_the_band_of_its_total(page: Page, address: str):
    page.goto(f"{address}/demand")
    page.get_by_role("radio", name="Region").click()
    expect(page.get_by_text("Region North")).to_be_visible()
    chart = page.get_by_test_id("stPlotlyChart").first
    expect(chart.locator(".legendtext", has_text="5 of 10 days")).to_have_count(0)
    expect(chart.locator(".legendtext", has_text="8 of 10 days")).to_be_visible()
    _no_failure(page)


def test_a_link_to_models_answers_before_it_draws(page: Page, address: str, tmp_path: Path):
    page.goto(f"{address}/models")
    expect(page.get_by_text("Better than naive: yes.")).to_be_in_viewport()
    trainings, contenders = (page.get_by_test_id("stPlotlyChart").nth(number) for number in (0, 1))
    expect(trainings.locator(".legendtext", has_text="Not promoted")).to_be_visible()
    expect(contenders.locator(".barlayer .point")).to_have_count(4)
    page.get_by_role("radio", name="Lumpy").click()
    expect(contenders.get_by_text("0.0580")).to_be_visible()
    _no_failure(page)
    _picture(page, tmp_path / "models.png")


def test_the_worklist_explains_a_line_and_keeps_its_approval(page: Page, address: str, home: Path, tmp_path: Path):
    page.goto(address)
    expect(page.get_by_test_id("stDataFrame").first.locator("canvas").first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart")).to_have_count(2)
    expect(page.locator(".waterfalllayer .point").first).to_be_visible()
    _no_failure(page)
    _picture(page, tmp_path / "replenishment.png")
    name = page.get_by_role("textbox", name="Your name")
    name.fill("Ana")
    name.press("Enter")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Approved:", exact=False)).to_be_visible()
    _no_failure(page)
    database = AppDatabase(f"sqlite:///{home / 'demo' / 'application.db'}")
    (row,) = database.read(entities.ORDER_DECISIONS).to_pylist()
    assert (row["decision"], row["decided_by"]) == ("approved", "Ana")
