"""`retail-assets new-mapping` on real databases: what it writes loads, and reads the rows a person would choose."""

import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest
import sqlalchemy as sa
import yaml

from retail_assets.demo.retailer import write_days
from retail_assets.demo.world import DemoSize
from retail_assets.resources.source import Source
from retail_assets.sources.mapping import load_mapping
from retail_assets.sources.mapping_schema import mapping_schema, schema_text
from retail_assets.tables import entities
from retail_assets.tables.entities import Entity
from retail_assets_tests.integration.postgresql import PASSWORD, running_postgresql
from retail_assets_tests.sample_databases import ADVENTUREWORKS, NORTHWIND

START = dt.date(2025, 11, 24)
FIRST, LAST = dt.date(1990, 1, 1), dt.date(2030, 1, 1)
DEMO_ENTITIES = (
    *(entities.SALES, entities.STORES, entities.PRODUCTS, entities.INVENTORY),
    *(entities.SUPPLIERS, entities.CUSTOMERS, entities.PURCHASE_ORDERS),
)


@pytest.fixture
def command(tmp_path, monkeypatch, typed):
    """Runs new-mapping in an empty folder; gives exit code, what it printed and its error."""

    def call(url: str | None, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        if url is not None:
            monkeypatch.setenv("RETAIL_SOURCE_URL", url)
        code, printed, error = typed("new-mapping", *arguments)
        assert PASSWORD not in printed + error
        return code, printed, error

    return call


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('demo') / 'shop.db'}"
    size = DemoSize(stores=2, products=10, customers=20, opening_after_days=15)
    write_days(url, start=START, through=START + dt.timedelta(days=20), size=size)
    return url


@pytest.fixture(scope="module")
def server():
    with running_postgresql() as url:
        parts = sa.make_url(url)
        engine = sa.create_engine(parts)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name, script in {"northwind": NORTHWIND, "adventureworks": ADVENTUREWORKS, "nothing": ""}.items():
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
                own = sa.create_engine(parts.set(database=name))
                with own.begin() as inside:
                    inside.exec_driver_sql(script)
                own.dispose()
        engine.dispose()
        yield parts


def _on(server: sa.URL, database: str) -> str:
    return server.set(database=database).render_as_string(hide_password=False)


def _rows(source: Source, entity: Entity) -> list[dict]:
    table = source.read_days(entity, FIRST, LAST).read_all() if entity.is_daily else source.read_snapshot(entity)
    rows = [{k: v for k, v in row.items() if k != "extracted_at"} for row in table.to_pylist()]
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def test_the_demo_is_read_like_by_its_own_mapping(command, demo, tmp_path):
    code, printed, error = command(demo, "--to", "shop.yaml")
    assert (code, error) == (0, "")
    assert "RETAIL_SOURCE_MAPPING=shop.yaml retail-assets check-source" in printed
    proposed, shipped = Source(demo, load_mapping(str(tmp_path / "shop.yaml"))), Source(demo, load_mapping("demo"))
    for entity in DEMO_ENTITIES:
        rows = _rows(proposed, entity)
        assert rows, entity.name
        assert rows == _rows(shipped, entity), entity.name
    content = yaml.safe_load((tmp_path / "shop.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(content, mapping_schema())
    assert (tmp_path / "mapping.schema.json").read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_northwind_sells_its_order_lines_from_one_store(command, server, kind, tmp_path):
    url = _on(server, "northwind")
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'northwind.db'}"
        with closing(sqlite3.connect(tmp_path / "northwind.db")) as database:
            database.executescript(NORTHWIND)
    code, printed, _ = command(url)
    assert code == 0
    assert "lead_time_days not found" in printed
    source = Source(url, load_mapping(str(tmp_path / "mapping.yaml")))
    assert [(row["store_id"], row["store_name"]) for row in _rows(source, entities.STORES)] == [("1", "All sales")]
    assert [(row["product_id"], row["department"]) for row in _rows(source, entities.PRODUCTS)] == [
        ("1", "Drinks"),
        ("2", "Drinks"),
        ("3", "Sauces"),
        ("4", None),
    ]
    first = _rows(source, entities.SALES)[0]
    assert (first["sale_line_id"], first["business_date"], first["store_id"]) == ("10248-1", dt.date(1996, 7, 4), "1")
    assert (first["customer_id"], first["quantity"], first["unit_price"]) == ("ALPHA", 12, Decimal("14.4"))
    assert len(_rows(source, entities.SALES)) == 4
    assert len(_rows(source, entities.SUPPLIERS)) == len(_rows(source, entities.CUSTOMERS)) == 2


def test_adventureworks_sells_in_territories(command, server, tmp_path):
    url = _on(server, "adventureworks")
    code, printed, _ = command(url)
    assert code == 0
    sentence = "Production.ProductInventory looks like it, but nothing in it gives business_date."
    assert f"Not bound: inventory: {sentence}" in printed
    source = Source(url, load_mapping(str(tmp_path / "mapping.yaml")))
    assert {row["store_id"]: row["store_name"] for row in _rows(source, entities.STORES)} == {
        "1": "Northwest",
        "6": "Canada",
    }
    shipped = Source(url, load_mapping("adventureworks"))
    left_to_a_person = {"discount_value", "modified_at", "unit_step", "discontinued_date"}
    for entity in (entities.SALES, entities.PRODUCTS, entities.PRICES):
        columns = [name for name in entity.column_names if name not in left_to_a_person]
        found, wanted = ([[row[c] for c in columns] for row in _rows(origin, entity)] for origin in (source, shipped))
        assert found == wanted, entity.name
    assert len(_rows(source, entities.PURCHASE_ORDERS)) == 2


def test_a_file_is_never_overwritten(command, demo, tmp_path):
    (tmp_path / "shop.yaml").write_text("mine", encoding="utf-8")
    (tmp_path / "mapping.schema.json").write_text("mine too", encoding="utf-8")
    code, _, error = command(demo, "--to", "shop.yaml")
    assert (code, error) == (2, "shop.yaml exists already and is left alone; give another file with --to.")
    assert command(demo, "--to", "other.yaml")[0] == 0
    assert (tmp_path / "shop.yaml").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "mapping.schema.json").read_text(encoding="utf-8") == "mine too"


def test_a_folder_that_is_not_there(command, demo):
    code, _, error = command(demo, "--to", "absent/shop.yaml")
    assert (code, error) == (
        2,
        "absent/shop.yaml cannot be written: No such file or directory; give another file with --to.",
    )


def test_without_a_database(command):
    code, _, error = command(None)
    assert code == 2
    assert error.startswith("RETAIL_SOURCE_URL is missing: new-mapping looks at the tables of your own database;")


def test_a_file_that_is_not_there_is_not_made(command, tmp_path):
    code, _, error = command("sqlite:///absent.db")
    assert (code, error) == (2, "There is no database at absent.db; correct RETAIL_SOURCE_URL.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "nonsense",
            "RETAIL_SOURCE_URL is not a SQLAlchemy URL; write it like postgresql+psycopg://user:…@host/database.",
        ),
        ("oracle+oracledb://u:pw@h/d", "RETAIL_SOURCE_URL needs the Python package oracledb, which is not installed"),
        ("nosuchdb://u:pw@h/d", "RETAIL_SOURCE_URL names nosuchdb, for which no SQLAlchemy dialect is installed"),
    ],
)
def test_a_wrong_url(command, url, sentence):
    code, _, error = command(url)
    assert code == 2
    assert error.startswith(sentence)


def test_an_empty_database(command, server):
    code, _, error = command(_on(server, "nothing"))
    assert (code, error) == (
        2,
        f"The database 127.0.0.1:{server.port}/nothing shows this login no tables; name the right database in "
        "RETAIL_SOURCE_URL, or let the login SELECT them.",
    )


def test_a_wrong_password(command, server):
    code, _, error = command(server.set(password="s3cr;t").render_as_string(hide_password=False))
    assert code == 2
    assert "password authentication failed" in error and "s3cr" not in error
    assert error.endswith("correct RETAIL_SOURCE_URL.")


def test_a_server_that_is_down(command, server, tmp_path: Path):
    code, _, error = command(server.set(port=1).render_as_string(hide_password=False))
    assert code == 75
    assert error.endswith("Try again later.")
    assert list(tmp_path.iterdir()) == []
