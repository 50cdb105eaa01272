"""What a run says of its tables: where each column comes from, what it holds, and a few rows without people."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from retail_assets.graph import jobs
from retail_assets.io_managers.described import COLUMNS, LINEAGE, SAMPLE
from retail_assets.tables import bronze, catalog, entities, gold, silver
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.windows import Window
from retail_assets_tests.dagster import snapshot
from retail_assets_tests.dagster.test_checks import House, _lines
from retail_assets_tests.unit.ibis_frames import frame_of

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

DAY = date(2025, 3, 1)
DAYS = Window(DAY, DAY + timedelta(days=1))
_MADE = (*silver.TABLES, *gold.TABLES)
_RUN = (*bronze.DAILY, bronze.EXTRACTED_DAYS, *_MADE)
Metadata = dict[str, Any]


class Run:
    """The metadata of every materialisation of one run of silver and gold, by table and partition."""

    def __init__(self, result: dg.ExecuteInProcessResult) -> None:
        events = [event.materialization for event in result.get_asset_materialization_events()]
        self.by_partition = {("/".join(e.asset_key.path), e.partition): dict(e.metadata) for e in events}

    def of(self, table: Table) -> Metadata:
        """Of the newest partition."""
        partition = str(DAYS.last) if table.partitioning is not Partitioning.NONE else None
        return self.by_partition[table.path, partition]

    def sources(self, table: Table) -> dict[str, set[str]]:
        lineage = self.of(table)[LINEAGE].value if LINEAGE in self.of(table) else dg.TableColumnLineage({})
        return {
            name: {f"{'/'.join(dep.asset_key.path)}.{dep.column_name}" for dep in deps}
            for name, deps in lineage.deps_by_column.items()
        }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    line = _lines()
    buyer = [row | {"customer_id": "Anna", "sale_id": "B1"} for row in line]
    house = House(tmp_path_factory.mktemp("home"), {day: buyer for day in DAYS.days()}, _RUN)
    with closing(house.engine):
        for table in bronze.SNAPSHOTS:
            house.engine.overwrite(table, frame_of(table, []))
        known = {"is_deleted": False, "first_seen_at": house.source.read_at}
        for entity, row in (
            (entities.STORES, {"store_id": "S1", "store_name": "A"}),
            (entities.PRODUCTS, {"product_id": "P1", "product_name": "P"}),
        ):
            table = next(table for table in bronze.SNAPSHOTS if table.name == entity.name)
            house.engine.overwrite(table, frame_of(table, [known | row]))
        result = house.run(DAYS)
        made = {event.asset_key.path[-1] for event in result.get_asset_materialization_events() if event.asset_key}
        assert {table.name for table in _MADE} <= made, [
            (check.check_name, check.description) for check in result.get_asset_check_evaluations() if not check.passed
        ]
        yield Run(result)


def test_demand_comes_from_the_columns_of_the_facts_that_it_is_computed_from(run: Run) -> None:
    found = run.sources(gold.DEMAND_DAILY)
    is_missing = {"gold/fact_sales.store_id", "silver/events.region"}  # nothing of an open store arrived: no value
    assert found["net_value"] == {"gold/fact_sales.net_value", *is_missing}
    assert found["sold_units"] == {"gold/fact_sales.quantity", *is_missing}
    assert found["discount_rate"] == {"silver/promotions.discount_rate"}
    assert found["censoring"] == found["sold_units"] | {
        "gold/fact_inventory.on_hand_units",
        "gold/fact_inventory.stock_out_hours",
    }
    assert found["unconstrained_units"] == found["censoring"] | {
        "silver/promotions.discount_rate",
        "silver/stores.trading_hours",
        "silver/products.unit_step",
    }
    assert run.sources(gold.FACT_SALES)["net_value"] == {
        "silver/sales.quantity",
        "silver/sales.unit_price",
        "silver/sales.discount_value",
    }


def test_every_source_is_a_column_of_a_table_that_the_asset_depends_on(run: Run) -> None:
    graph = snapshot.definitions().resolve_asset_graph()
    for table in _MADE:
        parents = {key.to_user_string() for key in graph.get(dg.AssetKey(table.asset_key)).parent_keys}
        for name, sources in run.sources(table).items():
            assert name in table.column_names
            for path, column in (source.split(".") for source in sources):
                assert path in parents, f"{table.path}.{name} reads {path}"
                assert column in catalog.table_at(path).column_names


def test_no_table_of_silver_and_gold_is_without_lineage(run: Run) -> None:
    assert [table.path for table in _MADE if not run.sources(table)] == []


def test_only_the_newest_day_of_a_range_carries_it(run: Run) -> None:
    """The events of a range of years would be larger than its tables."""
    first = run.by_partition[gold.FACT_SALES.path, str(DAYS.first)]
    assert {LINEAGE, COLUMNS, SAMPLE} & set(first) == set() and first["rows_in_run"].value == 40


def _records(value: Any) -> list[dict[str, Any]]:
    return [dict(record.data) for record in value.records]


def test_columns_show_their_sources_and_the_figures_of_the_log(run: Run) -> None:
    columns = {row["name"]: row for row in _records(run.of(gold.FACT_SALES)[COLUMNS])}
    assert list(columns) == gold.FACT_SALES.column_names
    assert columns["business_date"] == {
        "name": "business_date",
        "comes_from": "silver/sales.business_date",
        "empty": 0,
        "least": str(DAYS.first),
        "greatest": str(DAYS.last),
    }
    assert columns["quantity"]["least"] == columns["quantity"]["greatest"] == "2.000"


def test_no_value_of_a_person_is_shown_anywhere(run: Run) -> None:
    columns = {row["name"]: row for row in _records(run.of(gold.FACT_SALES)[COLUMNS])}
    assert (columns["customer_id"]["least"], columns["customer_id"]["empty"]) == ("not shown", 0)
    sample = _records(run.of(gold.FACT_SALES)[SAMPLE])
    assert len(sample) == 5 and list(sample[0]) == gold.FACT_SALES.shown_names
    assert "Anna" not in str([metadata for metadata in run.by_partition.values()])


def test_a_copy_in_the_warehouse_says_so_before_any_run() -> None:
    specs = {"/".join(spec.key.path): spec for spec in snapshot.definitions().resolve_all_asset_specs()}
    copies = [path for path in jobs_of_the_warehouse() if LINEAGE not in specs[path].metadata]
    assert copies == []
    lineage = specs["warehouse/fact_sales"].metadata[LINEAGE].value
    assert set(lineage.deps_by_column) == set(gold.FACT_SALES.column_names)
    [dep] = lineage.deps_by_column["net_value"]
    assert (dep.asset_key.to_user_string(), dep.column_name) == ("gold/fact_sales", "net_value")


def jobs_of_the_warehouse() -> list[str]:
    return [table.path for of_job in jobs.TABLES_OF_JOB.values() for table in of_job if table.layer == "warehouse"]
