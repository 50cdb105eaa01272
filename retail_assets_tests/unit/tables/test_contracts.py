"""What every contract of the catalogue keeps: names, types, units, keys and layouts that fit together."""

import re
from collections import Counter, defaultdict
from dataclasses import replace

import pyarrow as pa
import pytest

from retail_assets.tables import catalog
from retail_assets.tables.catalog import BY_PATH, LAKE_TABLES, TABLES, table_at
from retail_assets.tables.contract import (
    KEY_TEXT,
    MONTH_COLUMN,
    TEXT,
    UNITS,
    Column,
    Layout,
    Partitioning,
    Table,
    described,
)
from retail_assets.tables.forecast import (
    BACKTEST_LOSSES,
    DEMAND_FORECAST,
    DEMAND_MODEL,
    PROMOTION_UPLIFT,
    QUANTILE_LEVELS,
)
from retail_assets.tables.warehouse import PUBLISHED
from retail_assets_tests.unit.lake_frames import MONTHLY

EVERY_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.path)
WITHOUT_KEY = [table for table in TABLES if table.layer == "bronze" or table.name.startswith("rejected_")]
"""Rows as delivered, or refused: the same one may come twice."""
EVERY_COLUMN = [(table, column) for table in TABLES for column in table.columns]


def test_paths_are_unique_and_found() -> None:
    assert max(Counter(table.path for table in TABLES).values()) == 1
    assert all(table_at(table.path) is table for table in TABLES)
    assert set(BY_PATH) == {table.path for table in TABLES}


def test_an_unknown_table_names_the_layers_tables() -> None:
    with pytest.raises(KeyError, match=r"no table 'gold/fact_sale'; known: gold/demand_daily, .*gold/fact_sales, "):
        table_at("gold/fact_sale")
    with pytest.raises(KeyError, match=r"no table 'golden/fact_sales'; known: bronze/.*warehouse/"):
        table_at("golden/fact_sales")


@EVERY_TABLE
def test_names_are_plain_and_everything_is_described(table: Table) -> None:
    assert re.fullmatch(r"[a-z]+", table.layer) and re.fullmatch(r"[a-z_]+", table.name)
    assert table.meaning.endswith(".") and table.grain and not table.grain.endswith(".")
    for column in table.columns:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name) and column.name != "ds"
        assert column.meaning.endswith((".", "?")), column.name
    assert table.asset_key == table.path.split("/")


@EVERY_TABLE
def test_the_key_is_never_null_outside_bronze(table: Table) -> None:
    nullable = {column.name for column in table.columns if column.nullable}
    if table not in WITHOUT_KEY:
        assert table.key and not nullable & set(table.key)
    assert table.partition_column not in nullable


@EVERY_TABLE
def test_partitioning_layout_and_columns_fit(table: Table) -> None:
    assert (table.layout is Layout.WHOLE) == (table.partitioning is Partitioning.NONE)
    if table.partition_column is None:
        return
    column = next(column for column in table.columns if column.name == table.partition_column)
    assert column.type == pa.date32()
    assert table.partition_column in table.key or table in WITHOUT_KEY
    assert table.layout is not Layout.MONTH or MONTH_COLUMN not in table.column_names


@EVERY_TABLE
def test_a_table_laid_out_by_day_has_something_left_to_sort_and_store(table: Table) -> None:
    assert table.sort_by or table.layer == "bronze"
    assert set(table.sort_by) <= set(table.column_names)


TYPE_OF_ENDING = {
    "_id": pa.types.is_string,
    "_date": pa.types.is_date,
    "_at": pa.types.is_timestamp,
    "_value": lambda kind: pa.types.is_decimal(kind) or pa.types.is_floating(kind),
    "_units": lambda kind: pa.types.is_decimal(kind) or pa.types.is_floating(kind),
    "_rate": pa.types.is_floating,
    "_count": pa.types.is_integer,
}


@pytest.mark.parametrize("ending", TYPE_OF_ENDING)
def test_a_name_tells_the_type(ending: str) -> None:
    ending_with = [(t.path, c) for t, c in EVERY_COLUMN if c.name.endswith(ending) and t.layer != "bronze"]
    wrong = [(path, c.name, str(c.type)) for path, c in ending_with if not TYPE_OF_ENDING[ending](c.type)]
    assert ending_with
    assert [row for row in wrong if row[1:] != ("series_count", "double")] == []


def test_flags_are_boolean_and_timestamps_have_a_zone() -> None:
    for table, column in EVERY_COLUMN:
        if column.name.startswith(("is_", "has_")):
            assert pa.types.is_boolean(column.type), (table.path, column.name)
        if pa.types.is_timestamp(column.type):
            assert (column.type.tz, column.type.unit) == ("UTC", "us"), (table.path, column.name)


def test_a_quantity_has_one_kind_of_type_wherever_it_appears() -> None:
    """Text stays text and a date a date; a number may be exact in a fact and a float in an estimate."""
    families: dict[str, set[str]] = defaultdict(set)
    for _, column in EVERY_COLUMN:
        is_number = pa.types.is_decimal(column.type) or pa.types.is_floating(column.type)
        families[column.name].add("number" if is_number or pa.types.is_integer(column.type) else str(column.type))
    assert {name: kinds for name, kinds in families.items() if len(kinds) > 1} == {}


def test_the_fixed_columns_of_the_forecast_are_there() -> None:
    names = "as_of_date store_id product_id target_date horizon_days model_name mean_units p_zero"
    quantiles = "q025 q100 q250 q500 q750 q900 q950 q975 q990 q995"
    assert DEMAND_FORECAST.column_names == [*names.split(), *quantiles.split(), "model_version", "origin"]
    assert list(QUANTILE_LEVELS) == quantiles.split()
    assert [round(level * 1000) for level in QUANTILE_LEVELS.values()] == [int(name[1:]) for name in QUANTILE_LEVELS]


def test_only_what_a_training_makes_is_weekly() -> None:
    assert [table for table in LAKE_TABLES if table.partitioning is Partitioning.WEEKLY] == [
        DEMAND_MODEL,
        BACKTEST_LOSSES,
        PROMOTION_UPLIFT,
    ]


def test_every_layer_is_in_the_catalogue() -> None:
    layers = {table.layer for table in TABLES}
    assert layers == {"bronze", "silver", "gold", "forecast", "inventory", "operations", "warehouse"}
    assert {table.layer for table in LAKE_TABLES} == layers - {"warehouse"}
    assert len(catalog.TABLES) == len(LAKE_TABLES) + len(PUBLISHED)


def test_only_tables_laid_out_by_day_expire() -> None:
    """Whole folders leave, which takes no row to be rewritten."""
    keeping = [table for table in LAKE_TABLES if table.retention_days is not None]
    assert keeping
    assert {table.layout for table in keeping} == {Layout.DAY}


def test_a_published_table_keeps_its_contract() -> None:
    for table in PUBLISHED:
        assert replace(table_at(f"warehouse/{table.name}"), layer=table.layer) == table


def test_every_text_of_a_published_table_has_a_length_and_a_key_is_short() -> None:
    for table in PUBLISHED:
        for column in table.columns:
            assert (column.length is not None) == (column.type == TEXT), (table.path, column.name)
            assert column.name not in table.key or (column.length or 0) <= KEY_TEXT.length, (table.path, column.name)


def test_only_a_text_has_a_length() -> None:
    with pytest.raises(ValueError, match="order_units: only a text has a length, not double"):
        Column("order_units", UNITS, "Units.", length=5)


def test_the_schema_is_made_of_the_columns_and_hides_the_month() -> None:
    assert MONTHLY.schema == pa.schema(
        [
            pa.field("business_date", pa.date32(), nullable=False),
            pa.field("product_id", pa.string(), nullable=False),
            pa.field("line_count", pa.int64(), nullable=False),
            pa.field("sold_units", pa.float64(), nullable=True),
        ]
    )


def test_rows_become_columns() -> None:
    assert described(("a", pa.string(), "A."), ("b", pa.int64(), "B.", "units", True)) == (
        Column("a", pa.string(), "A."),
        Column("b", pa.int64(), "B.", unit="units", nullable=True),
    )
    assert described(("c", KEY_TEXT, "C.")) == (Column("c", TEXT, "C.", length=128),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": ("nobody",)}, "test/monthly: unknown or repeated columns ['nobody']"),
        ({"sort_by": ("nobody",)}, "test/monthly: unknown or repeated columns ['nobody']"),
        ({"partition_column": "nobody"}, "test/monthly: unknown or repeated columns ['nobody']"),
        ({"columns": MONTHLY.columns * 2}, "unknown or repeated columns ['business_date', 'product_id', 'line_count'"),
        ({"partition_column": None}, "test/monthly: a partitioned table names its partition column, another does not"),
        ({"partitioning": Partitioning.NONE}, "a partitioned table names its partition column, another does not"),
    ],
)
def test_a_contract_that_contradicts_itself(changes: dict, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        replace(MONTHLY, **changes)
    assert message in str(raised.value)


@EVERY_TABLE
def test_who_bought_and_who_decided_is_personal_wherever_it_stands(table: Table) -> None:
    """A column that is copied on keeps its name; a table of customers or refused rows holds more of them."""
    of_people = {"customer_id", "sale_id", "decided_by", "row_content"} & set(table.column_names)
    assert of_people <= set(table.personal)
    assert set(table.shown_names) == set(table.column_names) - set(table.personal)


def test_a_contract_names_no_personal_column_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"test/monthly: unknown or repeated columns \['phone'\]"):
        replace(MONTHLY, personal=("phone",))


def test_a_misfit_of_a_person_is_personal_and_that_of_a_sale_is_not() -> None:
    assert "unparsed" in table_at("bronze/customers").personal
    assert "unparsed" not in table_at("bronze/sales").personal
