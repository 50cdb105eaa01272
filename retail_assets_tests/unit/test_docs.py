"""The documents say what the code does."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate_tables import DOCUMENTS, settings_table
from retail_assets.settings import Settings, example_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_generated_is_fresh(target):
    assert target.read_text(encoding="utf-8") == DOCUMENTS[target](), "run make docs"


def test_the_table_of_settings_has_a_row_with_limits_default_and_example_for_each():
    rows = [line for line in settings_table().splitlines() if line.startswith("| `")]
    names = [f"RETAIL_{name.upper()}" for name in Settings.model_fields if name != "mlflow_tracking_uri"]
    assert sorted(row.split("`")[1] for row in rows) == sorted([*names, "MLFLOW_TRACKING_URI"])
    assert "| `RETAIL_HORIZON_DAYS` | `28` | Days forecast ahead. At least 7 and at most 90. | `28` |" in rows
    assert any("| `duckdb` | Engine" in row and "One of `duckdb`, `spark`." in row for row in rows)
    assert any(row.startswith("| `RETAIL_WAREHOUSE_URL` | DuckDB file |") for row in rows)


def test_every_setting_has_an_example():
    assert [name for name in Settings.model_fields if example_of(name) == "…"] == []


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^make ([a-z]+)", README, flags=re.MULTILINE))))
def test_the_readme_names_targets_that_exist(command):
    found = subprocess.run(["make", "--dry-run", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("command", sorted(set(re.findall(r"retail-assets [a-z0-9-]+", README))))
def test_the_readme_names_subcommands_that_exist(command):
    program, subcommand = shlex.split(command)
    installed = str(Path(sys.executable).with_name(program))
    found = subprocess.run([installed, subcommand, "--help"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_the_pictures_of_the_readme_exist():
    missing = [name for name in re.findall(r"\]\((docs/images/[^)]+)\)", README) if not (ROOT / name).exists()]
    assert missing == []


def test_no_document_names_a_folder_of_a_machine():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert [path.name for path in texts if re.search(r"/(work|tmp|root|home)/", path.read_text(encoding="utf-8"))] == []


def test_the_files_of_the_three_walks_exist():
    walks = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Three walks")[1]
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", walks)
    assert len(named) > 20
    places = [
        (ROOT if name.startswith(("dashboards", "retail_assets")) else ROOT / "retail_assets") / name for name in named
    ]
    assert [str(place) for place in places if not place.exists()] == []
