"""A first mapping from nothing but tables: what is recognised, what is left to a person, and that it is safe SQL."""

import datetime as dt
import io
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlglot
import yaml
from rich.console import Console

from retail_assets.command_line.terminal import print_proposal
from retail_assets.resources.source import Source
from retail_assets.sources.dialects import quoted
from retail_assets.sources.mapping import load_mapping
from retail_assets.sources.proposing.inspection import ForeignKey, Kind, SourceColumn, SourceTable
from retail_assets.sources.proposing.matching import name_score
from retail_assets.sources.proposing.new_mapping import write_mapping
from retail_assets.sources.proposing.proposal import propose
from retail_assets.sources.proposing.proposal_text import mapping_text
from retail_assets.sources.proposing.vocabulary import words
from retail_assets.tables import entities
from retail_assets_tests.unit.inspected import table

KIND_OF = {"string": Kind.TEXT, "date32[day]": Kind.DATE, "timestamp[us, tz=UTC]": Kind.MOMENT, "int32": Kind.INTEGER}


def _text(proposal, dialect="mssql"):
    return mapping_text(proposal, name="mine", place="db", dialect=dialect, quote=lambda name: quoted(name, dialect))


def _loaded(proposal, folder, dialect="mssql"):
    path = folder / "mine.yaml"
    path.write_text(_text(proposal, dialect), encoding="utf-8")
    return load_mapping(str(path))


def _columns(binding):
    return {name: [source.name for source in match.sources] for name, match in binding.matches.items()}


@pytest.mark.parametrize(
    "names",
    [
        ["OrderDetails", "order_details", "Order Details", "orderdetails", "ORDER_DETAIL", "OrderDetail"],
        ["ProductID", "product_id", "productid", "Product-Id", "PRODUCT_ID", "ProdID"],
        ["UnitsInStock", "units_in_stock", "unitsinstock"],
        ["OrderQty", "order_quantity", "orderqty"],
    ],
)
def test_spellings_of_one_name_are_the_same_words(names):
    assert len({words(name) for name in names}) == 1, [words(name) for name in names]


def test_every_contract_is_recognised_by_its_own_names():
    """A new entity or column needs no word in the vocabulary."""
    tables = [
        SourceTable(
            entity.name,
            tuple(SourceColumn(c.name, KIND_OF.get(str(c.type), Kind.NUMBER), c.nullable) for c in entity.columns),
            primary_key=entity.key,
        )
        for entity in entities.SOURCE_ENTITIES
    ]
    proposal = propose(tables)
    assert {b.entity.name: b.base.name for b in proposal.bindings if b.base} == {t.name: t.name for t in tables}
    for binding in proposal.bindings:
        assert {name: found[0] for name, found in _columns(binding).items()} == {
            name: name for name in binding.entity.column_names
        }
        assert binding.confidence == "sure"
    assert proposal.absent == {} and proposal.unused == ()


WEB_SHOP = (
    table("shops", "id int", "name text", "city text", key="id"),
    table("products", "id int", "title text", "price number", "brand_id int", key="id"),
    table("customers", "id int", "email text", "created_at moment", key="id"),
    table("orders", "id int", "shop_id int", "customer_id int", "created_at moment", "status text", key="id"),
    table("order_items", "id int", "order_id int", "product_id int", "qty int", "price number", key="id"),
    table("audit_events", "id int", "date date", "name text", key="id"),
)


def test_a_web_shop_without_foreign_keys_is_joined_by_its_names(tmp_path):
    proposal = propose(WEB_SHOP)
    sales = proposal.binding("sales")
    assert sales is not None and sales.base is not None and sales.base.name == "order_items"
    assert _columns(sales) == {
        "sale_line_id": ["id"],
        "sale_id": ["order_id"],
        "business_date": ["created_at"],
        "store_id": ["shop_id"],
        "product_id": ["product_id"],
        "customer_id": ["customer_id"],
        "quantity": ["qty"],
        "unit_price": ["price"],
    }
    assert any("order_items and orders are joined by order_id, by its name only" in note for note in sales.notes)
    assert any("created_at is a moment" in note for note in sales.notes)
    bound = {b.entity.name: b.base.name for b in proposal.bindings if b.base}
    assert bound == {"sales": "order_items", "stores": "shops", "products": "products", "customers": "customers"}
    query = _loaded(proposal, tmp_path).entities["sales"].query
    assert 'CAST(t2."created_at" AS DATE) AS business_date' in query
    assert 'WHERE CAST(t2."created_at" AS DATE) BETWEEN :start AND :end' in query
    assert 'LEFT JOIN "orders" t2 ON t2."id" = t1."order_id"' in query


def test_a_till_without_any_other_table(tmp_path):
    till = table("pos", "date date", "branch text", "article text", "units number", "price number", "receipt_no text")
    proposal = propose([till])
    stores, products = proposal.binding("stores"), proposal.binding("products")
    assert stores is not None and products is not None and stores.is_distinct and products.is_distinct
    mapping = _loaded(proposal, tmp_path)
    assert " ".join(mapping.entities["stores"].query.split()) == (
        'SELECT DISTINCT "branch" AS store_id, "branch" AS store_name FROM "pos"'
    )
    assert "NULL AS sale_line_id,  -- TODO: nothing was found, and it must be given" in mapping.entities["sales"].query
    assert 'WHERE "date" BETWEEN :start AND :end' in mapping.entities["sales"].query


def test_purchases_are_not_sales():
    header = table("purchase_order", "id int", "vendor_id int", "order_date date", "due_date date", key="id")
    line = table("purchase_order_line", "id int", "purchase_order_id int", "item_id int", "qty int", "price number")
    items = table("item", "id int", "name text", key="id")
    vendors = table("vendor", "id int", "name text", "lead_time int", key="id")
    proposal = propose([header, line, items, vendors])
    orders, sales = proposal.binding("purchase_orders"), proposal.binding("sales")
    assert sales is not None and sales.base is None
    assert orders is not None
    found = _columns(orders)
    assert (found["supplier_id"], found["ordered_date"], found["promised_date"]) == (
        ["vendor_id"],
        ["order_date"],
        ["due_date"],
    )
    assert orders.missing == ["store_id"]


def test_abbreviations_of_an_old_system_are_read():
    tables = (
        table(
            "POS_TRANS_LINES", "TRX_ID int", "LINE_NO int", "STORE_CD text", "SKU text", "SALE_DT date", "QTY number"
        ),
        table("STOCK_ITEM", "STOCK_ITEM_NO text", "ITEM_DESC text", "DEPT_CD text", key="STOCK_ITEM_NO"),
        table("SITE_MASTER", "SITE_CD text", "SITE_NAME text", key="SITE_CD"),
        table("INV_ON_HAND", "SITE_CD text", "ITEM_NO text", "SNAP_DT date", "ON_HAND_QTY number"),
    )
    proposal = propose(tables)
    sales, inventory = proposal.binding("sales"), proposal.binding("inventory")
    assert {b.entity.name: b.base.name for b in proposal.bindings if b.base} == {
        "sales": "POS_TRANS_LINES",
        "products": "STOCK_ITEM",
        "stores": "SITE_MASTER",
        "inventory": "INV_ON_HAND",
    }
    assert sales is not None and _columns(sales)["business_date"] == ["SALE_DT"]
    assert inventory is not None and inventory.missing == []


def test_a_line_is_known_by_its_whole_key_where_it_has_no_own(tmp_path):
    line = table(
        "sales_line", "receipt text", "line_no_ int", "day date", "sku text", "qty int", key="receipt line_no_"
    )
    query = _loaded(propose([line]), tmp_path).entities["sales"].query
    assert """CONCAT("receipt", '-', "line_no_") AS sale_line_id""" in query


def test_stock_without_a_day_is_named_and_left_out():
    stock = table("stock", "product_id int", "store_id int", "quantity int", "modified_date moment")
    proposal = propose([*WEB_SHOP, stock])
    assert proposal.binding("inventory") is None
    assert proposal.absent["inventory"] == "stock looks like it, but nothing in it gives business_date"
    assert "#   inventory: stock looks like it" in _text(proposal)
    assert "#   stock (product_id, store_id, quantity, modified_date)" in _text(proposal)


def test_a_table_goes_before_a_view_of_the_same_name():
    columns = (SourceColumn("product_id", Kind.INTEGER), SourceColumn("product_name", Kind.TEXT))
    view = SourceTable("products", columns, schema="reporting", is_view=True)
    kept = SourceTable("products", columns, schema="shop")
    assert name_score("products", view) < name_score("products", kept)
    binding = propose([view, kept]).binding("products")
    assert binding is not None and binding.base == kept


def test_a_key_that_is_called_otherwise_is_followed():
    key = ForeignKey(("made_by",), (None, "vendor"), ("entity",))
    vendor = table("vendor", "entity int", "name text", "lead_time_days int", key="entity")
    columns = (*(SourceColumn(name, Kind.INTEGER) for name in ("product_id", "made_by", "pack_size")),)
    binding = propose([vendor, SourceTable("product_vendor", columns, foreign_keys=(key,))]).binding("sourcing")
    assert binding is not None
    supplier = next(name for name in binding.matches if name in ("supplier_id", "source_id"))
    assert _columns(binding)[supplier] == ["made_by"]


def test_a_text_where_a_number_is_wanted_is_marked():
    lines = table("sales", "line_id int", "day date", "store_id int", "product_id int", "quantity text", "price number")
    assert '"quantity" AS quantity,  -- TODO: a text, where a number is wanted' in _text(propose([lines]))


def test_a_discount_that_may_be_a_rate_is_asked_about():
    lines = table(
        "sales", "line_id int", "day date", "store_id int", "product_id int", "quantity int", "discount number"
    )
    proposal = propose([lines])
    sales = proposal.binding("sales")
    assert sales is not None and "discount_value" not in sales.matches
    assert "discount may be discount_value when it is money" in _text(proposal)


@pytest.mark.parametrize("tables", [[], [table("notes", "id int", "body text")]])
def test_a_database_that_is_not_understood_gives_a_form_that_loads(tables, tmp_path):
    proposal = propose(tables)
    assert [(b.entity.name, b.confidence) for b in proposal.bindings] == [
        ("sales", "nothing found"),
        ("stores", "nothing found"),
        ("products", "nothing found"),
    ]
    mapping = _loaded(proposal, tmp_path)
    assert mapping.entities["sales"].statement.parameters == ("start", "end")
    assert "No table was recognised; write the query." in _text(proposal)


@pytest.mark.parametrize("dialect", ["mssql", "postgresql", "mysql", "sqlite"])
def test_what_is_proposed_is_sql_of_the_dialect(dialect, tmp_path):
    name = {"mssql": "tsql", "postgresql": "postgres"}.get(dialect, dialect)
    for binding in _loaded(propose(WEB_SHOP), tmp_path, dialect).entities.values():
        (parsed,) = sqlglot.parse(binding.statement.rendered(lambda _: "'2024-01-01'"), read=name)
        assert isinstance(parsed, sqlglot.exp.Select)


def test_a_name_of_a_table_is_no_markup_of_the_terminal():
    shown = Console(width=200, record=True, file=io.StringIO())
    odd = table("[/red]sale", "line_id int", "day date", "store_id int", "product_id int", "quantity int")
    print_proposal(propose([odd]), Path("[/b].yaml"), console=shown)
    assert "[/red]sale" in shown.export_text(clear=False)
    assert "Wrote [/b].yaml." in shown.export_text()


def test_names_with_anything_in_them_stay_names(tmp_path):
    """Quotes, colons, comment marks and statements in a name are read as the name they are."""
    path = tmp_path / "odd.db"
    hostile = 'sale"; DROP TABLE sale --'
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"""
            CREATE TABLE {quoted(hostile, "sqlite")} ("line id" INTEGER PRIMARY KEY, "day" DATE, "store:id" TEXT,
              "product [id]" TEXT, "qty'" INTEGER, "price /* */" NUMERIC, [a
b] TEXT);
            INSERT INTO {quoted(hostile, "sqlite")} VALUES (1, '2024-05-01', 'S', 'P', 2, 1.5, NULL);
            CREATE TABLE "odd
table" (id INTEGER);
        """)
    write_mapping(f"sqlite:///{path}", tmp_path / "odd.yaml")
    mapping = load_mapping(str(tmp_path / "odd.yaml"))
    day = dt.date(2024, 5, 1)
    (row,) = Source(f"sqlite:///{path}", mapping).read_days(entities.SALES, day, day).read_all().to_pylist()
    assert (row["sale_line_id"], row["store_id"], row["product_id"], row["quantity"]) == ("1", "S", "P", 2)
    assert not re.search(r"^\S*table", (tmp_path / "odd.yaml").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_file_names_its_schema_and_its_todos():
    lines = _text(propose(WEB_SHOP)).splitlines()
    assert lines[0] == "# yaml-language-server: $schema=mapping.schema.json"
    content = yaml.safe_load("\n".join(lines))
    assert (content["name"], content["timezone"]) == ("mine", "UTC")
    assert sum("TODO" in line for line in lines) >= 5
