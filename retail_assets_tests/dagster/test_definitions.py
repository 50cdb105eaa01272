"""The graph loads, is the one in review, and keeps the rules of partitions, policies and look-ahead."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from retail_assets.graph import jobs
from retail_assets.graph.specs import Systems
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import catalog
from retail_assets.tables.contract import Partitioning
from retail_assets_tests.dagster import snapshot


@pytest.fixture(scope="module")
def found() -> dg.Definitions:
    return snapshot.definitions()


def test_the_graph_is_the_one_in_review(found):
    stored = json.loads(snapshot.FILE.read_text(encoding="utf-8"))
    assert snapshot.graph(found) == stored, "refresh with: python -m retail_assets_tests.dagster.snapshot"


def test_dagster_accepts_the_definitions(found):
    dg.Definitions.validate_loadable(found)


def test_building_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snapshot.definitions(tmp_path / "home").get_repository_def()
    assert list(tmp_path.iterdir()) == []


def test_every_table_of_the_catalogue_is_an_asset_and_the_rest_are_sources(found):
    keys = {"/".join(spec.key.path) for spec in found.resolve_all_asset_specs()}
    sources = {key for key in keys if key.startswith("source/")}
    assert keys - sources == set(catalog.BY_PATH)
    assert "source/pos_sale_line" in sources


@pytest.mark.parametrize("mapping", ["northwind", "adventureworks"])
def test_a_source_table_may_have_a_schema_and_any_name(mapping, tmp_path):
    built = snapshot.definitions(tmp_path, source_mapping=mapping)
    described = {"/".join(spec.key.path): spec.description or "" for spec in built.resolve_all_asset_specs()}
    sources = {key: text for key, text in described.items() if key.startswith("source/")}
    tables = {name for binding in load_mapping(mapping).entities.values() for name in binding.source_tables}
    assert len(sources) == len(tables)
    assert [name for name in tables if not any(f"Table {name} of" in text for text in sources.values())] == []
    graph = built.resolve_asset_graph()
    parent = {"northwind": "Order_Details", "adventureworks": "Sales_SalesOrderDetail"}[mapping]
    assert dg.AssetKey(["source", parent]) in graph.get(dg.AssetKey(["bronze", "sales"])).parent_keys


def test_partitions_follow_the_contract(found):
    kinds = {dg.DailyPartitionsDefinition: Partitioning.DAILY, dg.WeeklyPartitionsDefinition: Partitioning.WEEKLY}
    for spec in found.resolve_all_asset_specs():
        if spec.key.path[0] == "source":
            continue
        table = catalog.table_at("/".join(spec.key.path))
        assert kinds.get(type(spec.partitions_def), Partitioning.NONE) is table.partitioning, table.path


def test_every_asset_takes_a_range_as_one_run(found):
    graph = found.resolve_asset_graph()
    policies = {graph.get(key).backfill_policy for key in graph.materializable_asset_keys}
    assert policies == {dg.BackfillPolicy.single_run()}


def test_every_table_belongs_to_one_job(found):
    of_job = [table.path for name in jobs.TABLES_OF_JOB for table in jobs.TABLES_OF_JOB[name]]
    assert sorted(of_job) == sorted(catalog.BY_PATH)
    for name, tables in jobs.TABLES_OF_JOB.items():
        keys = {"/".join(key.path) for key in found.resolve_job_def(name).asset_layer.selected_asset_keys}
        assert keys == {table.path for table in tables}


def test_a_job_has_at_most_one_kind_of_partitions():
    for tables in jobs.TABLES_OF_JOB.values():
        assert len({table.partitioning for table in tables} - {Partitioning.NONE}) <= 1


def test_lineage_starts_at_the_source_and_ends_in_the_warehouse(found):
    graph = found.resolve_asset_graph()
    above = {key.to_user_string() for key in graph.get_ancestor_asset_keys(dg.AssetKey(["warehouse", "fact_sales"]))}
    assert {"source/pos_sale_line", "bronze/sales", "silver/sales", "gold/fact_sales"} <= above


def test_every_asset_says_what_it_is_whose_it_is_and_where_it_lies(found):
    for spec in found.resolve_all_asset_specs():
        name, layer = spec.key.to_user_string(), spec.key.path[0]
        assert spec.group_name == spec.tags["retail/layer"] == layer, name
        assert spec.description and spec.owners, name
        assert 2 <= len(spec.kinds) <= 3, f"{name}: Dagster shows three at most"
        assert spec.metadata["documentation"].value.startswith("docs/"), name


def test_layers_have_their_medals_and_systems_their_own_icons(found):
    kinds = {spec.key.to_user_string(): spec.kinds for spec in found.resolve_all_asset_specs()}
    assert kinds["silver/sales"] == {"silver", "deltalake", "duckdb"}
    assert kinds["forecast/demand_model"] == {"deltalake", "duckdb", "mlflow"}
    assert kinds["warehouse/fact_sales"] == {"table", "duckdb"}
    assert kinds["source/pos_sale_line"] == {"source", "sqlite"}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("mssql+pyodbc://loader:secret@tills/erp", "sqlserver"),
        ("mssql+pyodbc://loader:secret@pool.sql.azuresynapse.net/retail", "synapse"),
        ("postgresql+psycopg://loader:secret@server/warehouse", "postgresql"),
        ("duckdb:////data/warehouse.duckdb", "duckdb"),
        ("kv:warehouse-url", "sql"),
    ],
)
def test_the_icon_of_a_database_follows_its_address_and_fetches_no_secret(url, kind):
    settings = Settings(_env_file=None, start_date=dt.date(2025, 1, 1), source_url=url, warehouse_url=url)
    assert Systems.of(settings) == Systems(kind, "duckdb", kind)


def test_columns_say_their_type_limits_and_whether_they_tell_of_a_person(found):
    metadata = {spec.key.to_user_string(): spec.metadata for spec in found.resolve_all_asset_specs()}
    for table in catalog.TABLES:
        shown = metadata[table.path]["dagster/column_schema"]
        assert [column.name for column in shown.columns] == table.column_names
        assert {column.name for column in shown.columns if "personal" in column.tags} == set(table.personal)
        assert all(column.description and column.type for column in shown.columns), table.path
    weekday = next(c for c in metadata["gold/dim_date"]["dagster/column_schema"].columns if c.name == "weekday")
    assert weekday.constraints.other == ["at least 1", "at most 7"]


def test_every_job_schedule_and_sensor_has_a_description(found):
    named = [*found.jobs, *found.schedules, *found.sensors]
    assert len(named) > 10 and [item.name for item in named if not item.description] == []


def test_assets_declare_columns_that_exist(found):
    """In the input's metadata, as for other IO managers of Dagster."""
    declared = []
    for assets in found.assets:
        if not isinstance(assets, dg.AssetsDefinition):
            continue
        for given in assets.op.input_defs:
            for column in given.metadata.get("columns", []):
                declared.append(("/".join(assets.keys_by_input_name[given.name].path), column))
    assert ("gold/product_segments", "abc_class") in declared
    assert [(path, column) for path, column in declared if column not in catalog.table_at(path).column_names] == []


def _parents(found: dg.Definitions, child: list[str], parent: list[str], *, key: str, now: dt.datetime) -> list[str]:
    """Partition keys of `parent` that the partition `key` of `child` reads."""
    graph = found.resolve_asset_graph()
    reading, read = (graph.get(dg.AssetKey(path)) for path in (child, parent))
    mapping = graph.get_partition_mapping(reading.key, read.key)
    asked = reading.partitions_def.empty_subset().with_partition_keys([key])
    result = mapping.get_upstream_mapped_partitions_result_for_partitions(
        asked, reading.partitions_def, read.partitions_def, current_time=now
    )
    return sorted(result.partitions_subset.get_partition_keys())


NOW = dt.datetime(2025, 6, 5, 3, tzinfo=dt.UTC)


@pytest.mark.parametrize(("horizon", "train"), [(28, 730), (60, 100), (7, 1000)])
def test_lineage_reaches_as_far_as_the_settings_say(horizon, train):
    found = snapshot.definitions(horizon_days=horizon, train_days=train, start_date=dt.date(2020, 1, 1))
    day, demand = "2025-06-04", ["gold", "demand_daily"]
    scored = _parents(found, ["forecast", "forecast_accuracy"], ["forecast", "demand_forecast"], key=day, now=NOW)
    assert (scored[0], len(scored)) == (str(dt.date(2025, 6, 4) - dt.timedelta(days=horizon)), horizon)
    read = _parents(found, ["forecast", "demand_forecast"], demand, key=day, now=NOW)
    assert read[0] == str(dt.date(2025, 6, 4) - dt.timedelta(days=train))
    learnt = _parents(found, ["forecast", "demand_model"], demand, key="2025-06-02", now=NOW)
    assert (
        dt.timedelta(0)
        <= dt.date(2025, 6, 2) - dt.timedelta(days=train) - dt.date.fromisoformat(learnt[0])
        < dt.timedelta(7)
    )


@pytest.mark.parametrize("monday", ["2025-01-06", "2025-03-31", "2025-06-02"])
def test_a_training_never_sees_its_own_week(found, monday):
    days = _parents(found, ["forecast", "demand_model"], ["gold", "demand_daily"], key=monday, now=NOW)
    assert days == [] or days[-1] == str(dt.date.fromisoformat(monday) - dt.timedelta(days=1))
    assert all(day < monday for day in days)


def test_the_open_week_and_no_later_one_exists(found):
    weeks = found.resolve_asset_graph().get(dg.AssetKey(["forecast", "demand_model"])).partitions_def
    keys = weeks.get_partition_keys(current_time=NOW)
    assert (keys[0], keys[-1]) == ("2025-01-06", "2025-06-02")


@pytest.mark.parametrize(
    ("child", "parent", "first"),
    [
        (["forecast", "demand_forecast"], ["gold", "demand_daily"], "2025-01-01"),
        (["inventory", "replenishment_plan"], ["forecast", "cumulative_forecast"], "2025-06-01"),
        (["inventory", "replenishment_plan"], ["gold", "fact_inventory"], "2025-06-01"),
        (["gold", "fact_sales"], ["silver", "sales"], "2025-06-01"),
    ],
)
def test_a_day_reads_nothing_after_itself(found, child, parent, first):
    days = _parents(found, child, parent, key="2025-06-01", now=NOW)
    assert (days[0], days[-1]) == (first, "2025-06-01")


def test_accuracy_of_a_day_reads_the_forecasts_made_before_it(found):
    days = _parents(
        found, ["forecast", "forecast_accuracy"], ["forecast", "demand_forecast"], key="2025-06-01", now=NOW
    )
    assert (days[0], days[-1], len(days)) == ("2025-05-04", "2025-05-31", 28)


def test_the_graph_does_not_depend_on_the_engine(found, tmp_path):
    assert snapshot.graph(snapshot.definitions(tmp_path, engine="spark")) == snapshot.graph(found)


def test_dagster_finds_the_definitions_of_the_workspace(tmp_path):
    """As the webserver and the daemon load them; without a home Dagster makes one in the repository."""
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    root, environment = Path(__file__).parents[2], {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
