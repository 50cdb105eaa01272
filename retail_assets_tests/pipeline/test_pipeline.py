"""The whole graph by its one command: what it leaves, what a second run does, and what a killed one loses."""

import datetime as dt
import json
import sqlite3
from decimal import Decimal, InvalidOperation

import dagster as dg
import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from retail_assets.graph.build import build_definitions
from retail_assets.settings import Settings
from retail_assets.tables import bronze, catalog, forecast, gold, inventory, operations, silver
from retail_assets.tables.contract import Layout, Partitioning
from retail_assets.tables.warehouse import PUBLISHED, load_contract
from retail_assets.windows import Window
from retail_assets_tests.pipeline.shop import FIRST, FORECAST_DAYS, LAST, NOT_COMPARED, Shop, command

HISTORY = set(Window(FIRST, LAST).days())
AS_OF = set(Window(LAST - dt.timedelta(days=FORECAST_DAYS - 1), LAST).days())
EVERY_DAY = (
    *(bronze.SALES, bronze.INVENTORY, bronze.EXTRACTED_DAYS, silver.SALES, silver.INVENTORY),
    *gold.DAILY,
)
HORIZON = 28
LAKE_TABLES = tuple(table for table in catalog.LAKE_TABLES if table not in operations.TABLES)
"""Those a run makes; the maintenance has a schedule of its own."""


def _days(shop: Shop, table) -> set[dt.date]:
    return set(shop.rows(table).column(table.partition_column).to_pylist())


def _instance(shop: Shop) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(shop.home / "dagster"))


def _run_count(shop: Shop) -> int:
    with _instance(shop) as instance:
        return instance.get_runs_count()


@pytest.mark.parametrize("table", LAKE_TABLES, ids=lambda table: table.path)
def test_every_table_has_the_schema_of_its_contract(finished, table):
    month = [pa.field("month", pa.string(), nullable=False)] if table.layout is Layout.MONTH else []
    found = pa.schema(finished.delta(table).schema().to_arrow())
    assert [(f.name, f.type, f.nullable) for f in found] == [
        (f.name, f.type, f.nullable) for f in [*table.schema, *month]
    ]


def test_every_table_that_the_shop_feeds_has_rows(finished):
    empty = {table.path for table in LAKE_TABLES if finished.rows(table).num_rows == 0}
    undecided = {"forecast_overrides", "order_decisions"}
    assert empty <= {
        *(f"{layer}/{name}" for layer in ("bronze", "silver") for name in undecided),
        "silver/rejected_snapshot_rows",
        "inventory/transfer_proposals",
        "inventory/policy_replay",  # three forecasts complete no order cycle
        "forecast/forecast_drivers",  # the model of 97 days is not promoted, and the naive has no reasons
    }


@pytest.mark.parametrize("table", EVERY_DAY, ids=lambda table: table.path)
def test_every_day_of_the_history_is_there(finished, table):
    has_sales = {
        dt.date.fromisoformat(day) for (day,) in finished.sql("SELECT DISTINCT business_date FROM pos_sale_line")
    }
    is_of_sales = table.name in ("sales", "fact_sales", "sales_summary")
    assert _days(finished, table) == (has_sales if is_of_sales else HISTORY)


@pytest.mark.parametrize(
    "table",
    [forecast.DEMAND_FORECAST, forecast.CUMULATIVE_FORECAST, inventory.REPLENISHMENT_PLAN, inventory.INVENTORY_HEALTH],
    ids=lambda table: table.path,
)
def test_the_last_days_are_published(finished, table):
    assert _days(finished, table) == AS_OF


def test_the_backtest_scores_every_contender_and_stores_nothing(finished, tmp_path):
    shop = finished.copy(tmp_path / "shop")
    before, wanted = shop.versions(LAKE_TABLES), tmp_path / "card.csv"
    done = command("backtest", "--to", str(wanted), environment=shop.environment)
    assert done.returncode == 0, done.stderr[-2000:]
    card = pd.read_csv(wanted)
    whole = card.query("segment_kind == 'all' and horizon == 'all' and kind == 'daily'").set_index("model_name")
    assert {"seasonal_naive", "tsb", "lightgbm", "mean_of_best", "chosen"} <= set(whole.index)
    assert whole.query("metric in ('wape', 'bias', 'rmsse', 'mase')")["value"].notna().all()
    official = whole.query("metric in ('wrmsse', 'wspl')")
    assert official.groupby("model_name").size().to_dict() == {"chosen": 2, "seasonal_naive": 2}
    assert set(card["segment_kind"]) == {"all", "demand_class", "abc_class"}
    assert "wspl" in done.stdout
    assert shop.versions(LAKE_TABLES) == before


@pytest.mark.parametrize("table", [t for t in LAKE_TABLES if t.key], ids=lambda table: table.path)
def test_keys_are_unique(finished, table):
    rows = finished.rows(table)
    keys = rows.select(list(table.key)).group_by(list(table.key)).aggregate([])
    assert keys.num_rows == rows.num_rows


def _number(text: str | None) -> Decimal | None:
    try:
        return Decimal(text) if text is not None else None
    except InvalidOperation:
        return None


def _source_money(shop: Shop) -> tuple[int, Decimal]:
    """Lines and net money by hand: the last revision of each line that was not refused by name."""
    rejected = shop.rows(silver.REJECTED_ROWS).to_pylist()
    earlier = ("duplicate", "superseded")
    refused = {row["row_key"] for row in rejected if row["rule"] not in earlier}
    query = "SELECT line_id, quantity, unit_price, discount_value FROM pos_sale_line ORDER BY line_id, modified_at"
    newest = {line: values for line, *values in shop.sql(query) if f"sale_line_id={line}" not in refused}
    money = Decimal(0)
    for quantity, price, discount in newest.values():
        money += round(_number(quantity) * _number(price), 4) - Decimal(str(discount))
    return len(newest), money


def test_money_of_source_gold_and_warehouse_agree(finished):
    lines, money = _source_money(finished)
    facts = finished.rows(gold.FACT_SALES)
    assert lines > 1000
    assert (facts.num_rows, pc.sum(facts["net_value"]).as_py()) == (lines, money)
    with duckdb.connect(str(finished.home / "warehouse.duckdb"), read_only=True) as warehouse:
        held = warehouse.execute("SELECT count(*), sum(net_value) FROM retail.fact_sales").fetchone()
        report = warehouse.execute("SELECT sum(line_count), sum(net_value) FROM retail.sales_summary").fetchone()
    assert held == (lines, money)
    assert report == (lines, money)


def test_every_line_of_the_source_is_kept_or_refused_with_a_reason(finished):
    [(lines,)] = finished.sql("SELECT count(*) FROM pos_sale_line")
    assert finished.rows(bronze.SALES).num_rows == lines
    refused = [r for r in finished.rows(silver.REJECTED_ROWS).to_pylist() if r["table_name"] == "bronze/sales"]
    assert finished.rows(silver.SALES).num_rows + len(refused) == lines
    assert all(row["rule"] and row["explanation"] and row["row_content"] for row in refused)


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_the_warehouse_holds_the_rows_of_the_lake(finished, table):
    with duckdb.connect(str(finished.home / "warehouse.duckdb"), read_only=True) as warehouse:
        [held] = warehouse.execute(f"SELECT count(*) FROM retail.{table.name}").fetchone() or [None]
    assert held == finished.rows(table).num_rows


def _carried(shop: Shop, day: dt.date) -> set[tuple[str, str]]:
    """Store and product of the source's list that are on sale on the day, in stores that are open."""
    return set(
        shop.sql(
            "SELECT a.store_id, a.product_id FROM store_assortment a JOIN store s ON s.store_id = a.store_id "
            f"WHERE a.valid_from <= '{day}' AND coalesce(a.valid_to, '9999-12-31') >= '{day}' "
            f"AND s.opened_date <= '{day}'"
        )
    )


def test_every_series_carried_is_forecast_for_every_coming_day(finished):
    rows = finished.rows(forecast.DEMAND_FORECAST).to_pylist()
    for as_of in AS_OF:
        found = {(r["store_id"], r["product_id"], r["target_date"]) for r in rows if r["as_of_date"] == as_of}
        coming = [as_of + dt.timedelta(days=n) for n in range(1, HORIZON + 1)]
        assert found == {(*series, day) for series in _carried(finished, as_of) for day in coming}


def test_quantiles_ascend_and_nothing_is_missing(finished):
    for table in (forecast.DEMAND_FORECAST, forecast.CUMULATIVE_FORECAST):
        rows = finished.rows(table)
        assert sum(column.null_count for column in rows.columns) == 0
        names = list(forecast.QUANTILE_LEVELS)
        for lower, higher in zip(names[:-1], names[1:], strict=True):
            assert pc.all(pc.less_equal(rows[lower], rows[higher])).as_py(), (table.path, lower)


def test_the_newest_forecast_is_made_by_the_trained_model(finished):
    newest = finished.rows(forecast.DEMAND_FORECAST).filter(pc.field("as_of_date") == LAST)
    versions = finished.rows(forecast.MODEL_VERSIONS).to_pylist()
    in_force = {v["model_version"] for v in versions if v["promoted_on"] is not None and v["promoted_on"] <= LAST}
    assert set(newest["model_version"].to_pylist()) <= (in_force or {"seasonal_naive"})


def test_orders_are_whole_packs_and_every_line_says_why(finished):
    plan = finished.rows(inventory.REPLENISHMENT_PLAN).to_pylist()
    assert any(line["order_units"] > 0 for line in plan)
    for line in plan:
        assert line["order_units"] % line["pack_units"] == 0, line
        assert line["reason"]
        assert line["as_of_date"] < line["order_date"] <= line["expected_delivery_date"]
    assert len({line["proposal_id"] for line in plan if line["as_of_date"] == LAST}) == sum(
        line["as_of_date"] == LAST for line in plan
    )


def test_health_says_what_expires_of_what_spoils(finished):
    spoiling = {row[0] for row in finished.sql("SELECT product_id FROM product WHERE shelf_life_days IS NOT NULL")}
    rows = finished.rows(inventory.INVENTORY_HEALTH).to_pylist()
    carried = {day: _carried(finished, day) for day in AS_OF}
    told = [row for row in rows if row["expiring_units"] is not None]
    assert told
    for row in rows:
        is_carried = (row["store_id"], row["product_id"]) in carried[row["as_of_date"]]
        assert (row["expiring_units"] is not None) == (is_carried and row["product_id"] in spoiling), row
    for row in told:
        assert 0 <= row["expiring_units"] <= max(row["on_hand_units"], 0) + 1e-9
        assert row["expiring_value"] is not None


def test_the_registry_has_the_versions_and_no_open_run(finished):
    versions = set(finished.rows(forecast.MODEL_VERSIONS)["model_version"].to_pylist())
    with sqlite3.connect(finished.home / "mlflow.db") as registry:
        aliases = {row[0] for row in registry.execute("SELECT alias FROM registered_model_aliases")}
        states = {row[0] for row in registry.execute("SELECT status FROM runs")}
    registry.close()
    assert versions
    assert {f"trained-{version}" for version in versions} <= aliases
    assert states == {"FINISHED"}


def test_the_instance_knows_every_partition(finished):
    wanted = {Partitioning.DAILY: {str(day) for day in HISTORY}}
    published = {table.path for table in (*forecast.TABLES, *inventory.TABLES)}
    with _instance(finished) as instance:
        for table in (*LAKE_TABLES, *map(load_contract, PUBLISHED)):
            key = dg.AssetKey(table.asset_key)
            known = instance.get_materialized_partitions(key)
            assert instance.get_latest_materialization_event(key) is not None, table.path
            if table.partitioning is Partitioning.DAILY:
                is_published = f"{table.layer}/{table.name}" in published or table.name in {
                    path.split("/")[1] for path in published
                }
                assert known == ({str(day) for day in AS_OF} if is_published else wanted[Partitioning.DAILY]), (
                    table.path
                )


def test_every_check_was_evaluated_and_only_the_missing_feed_or_chance_is_warned_of(finished):
    settings = Settings(home=finished.folder / "home", start_date=FIRST)
    declared = {
        (json.dumps(key.asset_key.path), key.name)
        for key in build_definitions(settings).resolve_asset_graph().asset_check_keys
    }
    index = finished.home / "dagster" / "history" / "runs" / "index.db"
    with sqlite3.connect(index) as storage:
        query = "SELECT asset_key, check_name, execution_status FROM asset_check_executions"
        rows = set(storage.execute(f"{query} WHERE execution_status <> 'PLANNED'").fetchall())
    storage.close()
    maintained = {(json.dumps(table.asset_key), "every_table_was_maintained") for table in operations.TABLES}
    assert {(asset, name) for asset, name, _ in rows} == declared - maintained
    failed = {(asset, name) for asset, name, status in rows if status != "SUCCEEDED"}
    # which of two forecasts is nearer on three days of twelve products differs with the day the demo ends on
    chance = ('["forecast", "forecast_accuracy"]', "better_than_naive")
    assert failed <= {('["bronze", "sales"]', "sales_arrived"), chance}


def test_every_run_succeeded(finished):
    with _instance(finished) as instance:
        runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert {run.job_name for run in runs} == {"ingest", "train", "publish"}


def test_a_second_run_does_nothing_twice(finished, tmp_path):
    shop = finished.copy(tmp_path / "shop")
    before, count = shop.versions(LAKE_TABLES), _run_count(shop)
    assert "nothing was missing" in shop.succeed()
    assert (shop.versions(LAKE_TABLES), _run_count(shop)) == (before, count)


def test_the_next_day_reads_the_trailing_days_again(finished, tmp_path):
    """Late and corrected lines arrive, older days stay as they were read, one more day is published."""
    shop, today = finished.copy(tmp_path / "shop"), LAST + dt.timedelta(days=1)
    read_before = _read_at(shop)
    shop.live_to(today)
    late = LAST - dt.timedelta(days=1)
    shop.sql(
        "INSERT INTO pos_sale_line SELECT max(feed_id) + 900000, max(line_id) + 900000, 0, max(sale_id) + 900000, "
        f"'{late}', 'S001', min(product_id), NULL, '3', '7.25', 0, '{today} 12:00:00.000000' FROM pos_sale_line "
        f"WHERE business_date = '{late}' AND store_id = 'S001'"
    )
    shop.succeed()
    again = {day for day, at in _read_at(shop).items() if at != read_before.get(day)}
    assert again == set(Window(today - dt.timedelta(days=3), today).days())
    assert (shop.rows(gold.FACT_SALES).num_rows, pc.sum(shop.rows(gold.FACT_SALES)["net_value"]).as_py()) == (
        _source_money(shop)
    )
    arrived = shop.rows(gold.FACT_SALES).filter(pc.field("net_value") == Decimal("21.75")).to_pylist()
    assert [row["business_date"] for row in arrived if row["unit_price"] == Decimal("7.25")] == [late]
    assert _days(shop, forecast.DEMAND_FORECAST) == AS_OF | {today}
    assert set(_origins(shop)[today]) == {"live"}


def _read_at(shop: Shop) -> dict[dt.date, set[dt.datetime]]:
    found: dict[dt.date, set[dt.datetime]] = {}
    for row in shop.rows(bronze.SALES).select(["business_date", "extracted_at"]).to_pylist():
        found.setdefault(row["business_date"], set()).add(row["extracted_at"])
    return found


def _origins(shop: Shop) -> dict[dt.date, set[str]]:
    found: dict[dt.date, set[str]] = {}
    for row in shop.rows(forecast.DEMAND_FORECAST).select(["as_of_date", "origin"]).to_pylist():
        found.setdefault(row["as_of_date"], set()).add(row["origin"])
    return found


def _job_runs(shop: Shop, name: str) -> bool:
    """A run of the job has begun; read from the runs that the command itself records."""
    runs = shop.home / "dagster" / "history" / "runs.db"
    if not runs.exists():
        return False
    try:
        with sqlite3.connect(f"file:{runs}?mode=ro", uri=True, timeout=5) as storage:
            return bool(
                storage.execute("SELECT 1 FROM runs WHERE pipeline_name = ? AND status = 'STARTED'", [name]).fetchone()
            )
    except sqlite3.OperationalError:
        return False


KILLS = (
    ("while silver is written", lambda shop: shop.has(silver.SALES)),
    ("while a model is trained", lambda shop: _job_runs(shop, "train")),
    ("between forecast and plan", lambda shop: shop.has(forecast.CUMULATIVE_FORECAST)),
)


def test_a_run_killed_again_and_again_ends_like_one_that_was_not(finished, source_only, tmp_path):
    shop = source_only.copy(tmp_path / "shop")
    for _moment, when in KILLS:
        shop.killed(when)
    assert "An interrupted run was closed" in shop.succeed()
    _assert_equal(shop, finished, LAKE_TABLES)
    with _instance(shop) as instance:
        left = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    assert left == []
    with duckdb.connect(str(shop.home / "warehouse.duckdb"), read_only=True) as warehouse:
        for table in PUBLISHED:
            assert warehouse.execute(f"SELECT count(*) FROM retail.{table.name}").fetchone() == (
                shop.rows(table).num_rows,
            )


def _assert_equal(shop: Shop, other: Shop, tables) -> None:
    for table in tables:
        assert shop.comparable(table) == other.comparable(table), table.path


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of ibis on this DuckDB
def test_days_made_one_by_one_equal_the_range(finished, tmp_path):
    """Three days are taken out of the lake and made again, each in a run of its own as the UI starts it."""
    shop = finished.copy(tmp_path / "shop")
    days = [LAST - dt.timedelta(days=n) for n in (40, 1, 0)]
    daily = [*bronze.DAILY, bronze.EXTRACTED_DAYS, *silver.DAILY, *gold.DAILY]
    for table in daily:
        for day in days:
            shop.delta(table).delete(f"{table.partition_column} = CAST('{day}' AS DATE)")
    assert not set(days) & _days(shop, gold.FACT_SALES)
    settings = Settings(home=shop.folder / "home", start_date=FIRST, source_url=shop.environment["RETAIL_SOURCE_URL"])  # pyright: ignore
    job = build_definitions(settings).resolve_job_def("ingest")
    paths = [dg.AssetKey(table.asset_key) for table in daily]
    with _instance(shop) as instance:
        for day in days:
            done = job.execute_in_process(instance=instance, partition_key=str(day), asset_selection=paths)
            assert done.success
    _assert_equal(shop, finished, daily)


def test_what_happens_after_a_day_leaves_its_forecast_and_plan_alone(finished, tmp_path):
    """No look-ahead: sales, stock and orders of later days are changed, and the earlier day is made again."""
    shop, day = finished.copy(tmp_path / "shop"), min(AS_OF)
    [(order,)] = shop.sql(f"SELECT max(purchase_order_id) FROM purchase_order WHERE ordered_date <= '{day}'")
    shop.sql(
        f"UPDATE pos_sale_line SET quantity = '9' WHERE business_date > '{day}' AND quantity > '0'",
        f"UPDATE stock_closing SET on_hand_units = 0, stock_out_hours = 12 WHERE business_date > '{day}'",
        f"UPDATE purchase_order_line SET ordered_units = 500 WHERE purchase_order_id > {order}",
    )
    shop.succeed("--from", str(day), "--again")
    assert shop.comparable(gold.FACT_SALES) != finished.comparable(gold.FACT_SALES)
    tables = (forecast.DEMAND_FORECAST, forecast.CUMULATIVE_FORECAST, inventory.REPLENISHMENT_PLAN)
    for table in (*tables, inventory.INVENTORY_HEALTH, inventory.TRANSFER_PROPOSALS):
        assert _of_day(shop, table, day) == _of_day(finished, table, day), table.path
    later = LAST
    assert _of_day(shop, forecast.DEMAND_FORECAST, later) != _of_day(finished, forecast.DEMAND_FORECAST, later)


def _of_day(shop: Shop, table, day: dt.date) -> list[tuple]:
    rows = shop.rows(table).filter(pc.field("as_of_date") == day)
    kept = [name for name in table.column_names if name not in NOT_COMPARED]
    return sorted((tuple(row.values()) for row in rows.select(kept).to_pylist()), key=repr)
