"""What `pip install` of the wheel gives: every command and the code location, from another working folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from retail_assets.tables import gold
from retail_assets.windows import ONE_DAY
from retail_assets_tests.pipeline.shop import FIRST, Shop

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages and commands; what they depend on comes from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT], check=True)
    [wheel] = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def _python(installed: Path, shop: Shop, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = shop.environment | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=shop.folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_run_carries_on_with_the_installed_command(installed, finished, tmp_path):
    shop = finished.copy(tmp_path / "shop")
    done = _python(installed, shop, str(installed / "bin" / "retail-assets"), "run")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "nothing was missing" in done.stdout
    assert (shop.home / "dagster" / "dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


def test_a_first_run_of_the_installed_command_fills_a_lake(installed, source_only, tmp_path):
    shop, days = source_only.copy(tmp_path / "shop"), ["--from", str(FIRST), "--to", str(FIRST + ONE_DAY)]
    done = _python(installed, shop, str(installed / "bin" / "retail-assets"), "run", *days)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(shop.rows(gold.FACT_SALES)["business_date"].to_pylist()) == {FIRST, FIRST + ONE_DAY}


def test_the_code_location_of_the_installed_workspace_loads(installed, source_only, tmp_path):
    [workspace] = installed.rglob("workspace.yaml")
    program = "import sys, retail_assets; from dagster._cli import main; print(retail_assets.__file__); main()"
    shop = source_only.copy(tmp_path / "shop")
    done = _python(installed, shop, "-c", program, "definitions", "validate", "-w", str(workspace))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(str(installed))
