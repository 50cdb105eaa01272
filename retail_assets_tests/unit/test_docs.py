"""The documents say what the code does."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.forecast import PARTS
from docs.generate_tables import DOCUMENTS, settings_table
from retail_assets.settings import Settings, example_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = sorted(file for folder in ("retail_assets", "dashboards", "bench") for file in (ROOT / folder).rglob("*.py"))
BANNED = ("is told", "is said", "are told", "are said", "whatever", "is none of")


@pytest.mark.parametrize("target", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_generated_is_fresh(target):
    assert target.read_text(encoding="utf-8") == DOCUMENTS[target](), "run make docs"


def test_each_figure_of_the_forecasts_belongs_to_one_part_of_their_bench():
    rows = json.loads((ROOT / "bench" / "results" / "forecast.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in rows if sum(row["name"].startswith(names) for names in PARTS.values()) != 1] == []


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


@pytest.mark.parametrize("document", DOCUMENTED, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    text = document.read_text(encoding="utf-8")
    dead = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not _leads_somewhere(document, link)]
    assert dead == []


def _leads_somewhere(document: Path, link: str) -> bool:
    """True for other sites; a file has to exist, and a heading of it where the link names one."""
    if link.startswith(("https://", "http://")):
        return True
    path, _, heading = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not heading or heading in _anchors(target.read_text(encoding="utf-8")))


def _anchors(text: str) -> set[str]:
    """Names of headings as GitHub makes them: small letters, no punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# A heading, with (signs)\n```\n# no heading\n```\n", encoding="utf-8")
    document = tmp_path / "page.md"
    assert _leads_somewhere(document, "other.md#a-heading-with-signs")
    assert not _leads_somewhere(document, "other.md#no-heading")
    assert not _leads_somewhere(document, "missing.md")


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTED, ROOT / "CHANGELOG.md"],
    ids=lambda path: path.name,
)
def test_documents_use_plain_sentences(document):
    text = " ".join(document.read_text(encoding="utf-8").lower().split())
    assert [phrase for phrase in BANNED if re.search(rf"\b{phrase}\b", text)] == []


def test_code_and_its_messages_use_plain_sentences():
    used = {path.name: set(re.findall(rf"\b({'|'.join(BANNED)})\b", _flat(path))) for path in CODE}
    assert {name: phrases for name, phrases in used.items() if phrases} == {}


def _flat(path):
    return " ".join(path.read_text(encoding="utf-8").lower().split())


@pytest.mark.parametrize("document", DOCUMENTED, ids=lambda path: path.name)
def test_no_block_to_paste_deletes_decisions(document):
    blocks = re.findall(r"^ *```.*?^ *```", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if "make clean" in block] == []


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
