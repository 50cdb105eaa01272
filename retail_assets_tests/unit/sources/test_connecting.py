"""The commands of docs/connecting-a-source.md do what it says, typed one after the other in an empty folder."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from retail_assets.sources.mapping import load_mapping, shipped_mappings
from retail_assets.sources.statement import select_statement
from retail_assets.tables import catalog

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "connecting-a-source.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
COMMANDS = next(text for kind, text in BLOCKS if not kind and text.startswith("export RETAIL_SOURCE_URL"))

# Declared as a small till system would, with the names the document shows
SHOP = """
    CREATE TABLE branch (branch_no INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, opened_on DATE);
    CREATE TABLE article (sku TEXT PRIMARY KEY, description TEXT, dept TEXT, retail_price NUMERIC, cost_price NUMERIC);
    CREATE TABLE vendor (vendor_no INTEGER PRIMARY KEY, name TEXT NOT NULL, lead_time INTEGER NOT NULL);
    CREATE TABLE vendor_article (vendor_no INTEGER REFERENCES vendor (vendor_no), sku TEXT REFERENCES article (sku),
      case_size INTEGER, cost NUMERIC, PRIMARY KEY (vendor_no, sku));
    CREATE TABLE ticket (ticket_id INTEGER PRIMARY KEY, branch_no INTEGER NOT NULL REFERENCES branch (branch_no),
      sold_at DATETIME NOT NULL);
    CREATE TABLE ticket_line (ticket_id INTEGER NOT NULL REFERENCES ticket (ticket_id), line_no INTEGER NOT NULL,
      sku TEXT NOT NULL REFERENCES article (sku), qty NUMERIC NOT NULL, price NUMERIC NOT NULL,
      PRIMARY KEY (ticket_id, line_no));
    CREATE TABLE stock_level (stock_date DATE, branch_no INTEGER, sku TEXT, on_hand INTEGER);
    INSERT INTO branch VALUES (1, 'North', 'Leeds', '2020-01-01');
    INSERT INTO article VALUES ('A1', 'Apple', 'Fruit', 1.2, 0.8);
    INSERT INTO vendor VALUES (1, 'Orchard', 2);
    INSERT INTO vendor_article VALUES (1, 'A1', 12, 0.8);
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 176)
      INSERT INTO ticket SELECT i, 1, date('2026-06-01', i || ' days') || ' 10:30:00' FROM n;
    INSERT INTO ticket_line SELECT ticket_id, 1, 'A1', 2, 1.2 FROM ticket;
    INSERT INTO stock_level SELECT date(sold_at), 1, 'A1', 9 FROM ticket;
"""


def _run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RETAIL_")}
    search = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    environment = kept | {"PATH": search, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(
        ["sh", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_commands_work_one_after_the_other(tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.executescript(SHOP)
    lines = COMMANDS.splitlines()
    assert lines[-1].startswith("retail-assets run "), "the last one takes minutes and has tests of its own"
    done = _run("\n".join(lines[:-1]), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for shown in (text for kind, text in BLOCKS if not kind and text.startswith("┏")):
        assert shown in done.stdout, "what the document shows is printed"
    assert "177 from 2026-06-01 to 2026-11-24" in done.stdout
    assert "Next: RETAIL_START_DATE=2026-06-01 retail-assets run" in done.stdout
    assert load_mapping(str(tmp_path / "shop.yaml")).name == "shop"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^retail-assets .+$", DOCUMENT, flags=re.MULTILINE))))
def test_every_command_and_option_exists(command, tmp_path):
    _, subcommand, *arguments = command.split()
    known = _run(f"retail-assets {subcommand} --help", tmp_path)
    assert known.returncode == 0, known.stderr
    assert [option for option in arguments if option.startswith("--") and option not in known.stdout] == []


def test_every_table_and_mapping_it_names_exists():
    tables = {table.path for table in catalog.LAKE_TABLES}
    named = set(re.findall(r"\b(?:bronze|silver|gold)/\w+", DOCUMENT))
    assert named and named <= tables
    assert {"northwind", "adventureworks", "demo", "m5"} <= set(shipped_mappings())
    for path in re.findall(r"\]\(([\w./-]+\.\w+)", DOCUMENT):
        assert (ROOT / "docs" / path).exists(), path


def test_the_example_is_a_query_a_mapping_takes():
    text = next(text for kind, text in BLOCKS if kind == "yaml")
    query = text.split("query: |")[1].replace("…", "1 AS quantity")
    assert set(select_statement(query).parameters) == {"start", "end"}
