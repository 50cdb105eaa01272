"""Walmart-shaped data from folder to forecast: a source without stock, customers, suppliers or promotions."""

import dagster as dg
import pyarrow.compute as pc
import pytest

from retail_assets.tables import catalog, forecast, gold
from retail_assets_tests.pipeline.walmart import AS_OF, DAYS, FIRST, SERIES, units

MISSING = ("suppliers", "supplier_calendar", "sourcing", "customers", "purchase_orders", "promotions")


def test_nothing_after_the_last_day_asked_for_is_read(walmart):
    days = walmart.rows(gold.FACT_SALES.path)["business_date"]
    assert (pc.min(days).as_py(), pc.max(days).as_py()) == (FIRST, AS_OF)


def test_units_arrive_as_in_the_folder(walmart):
    sold = sum(units(*series, day) for series in SERIES for day in DAYS if day <= AS_OF)
    assert pc.sum(walmart.rows(gold.FACT_SALES.path)["quantity"]).as_py() == sold


def test_every_series_is_forecast_for_the_28_days_held_back(walmart):
    rows = walmart.rows(forecast.DEMAND_FORECAST.path).to_pylist()
    assert {row["as_of_date"] for row in rows} == {AS_OF}
    found = [(row["store_id"], row["product_id"], row["target_date"]) for row in rows]
    assert sorted(found) == sorted((*series, day) for series in SERIES for day in DAYS[-28:])


def test_the_forecast_is_near_the_demand_it_could_see(walmart):
    rows = walmart.rows(forecast.DEMAND_FORECAST.path).to_pylist()
    mean = sum(row["mean_units"] for row in rows)
    sold = sum(units(*series, day) for series in SERIES for day in DAYS[-28:])
    assert 0.8 * sold < mean < 1.2 * sold


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_entity_is_an_empty_table_that_says_so(walmart, name):
    for layer in ("bronze", "silver"):
        table = catalog.table_at(f"{layer}/{name}")
        rows = walmart.rows(table.path)
        assert (rows.num_rows, rows.schema.names) == (0, table.column_names)
    with dg.DagsterInstance.from_config(str(walmart.home / "dagster")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["bronze", name]))
    assert event.asset_materialization.metadata["available"].value is False


def test_stock_that_is_unknown_does_not_count_as_none(walmart):
    demand = walmart.rows(gold.DEMAND_DAILY.path)
    assert demand["on_hand_units"].null_count == demand.num_rows
    assert set(demand["censoring"].to_pylist()) == {"unknown"}


def test_the_command_notes_what_is_switched_off(walmart):
    notes = [line for line in walmart.printed.splitlines() if line.startswith("Note: ")]
    assert notes
    assert any("stock" in note for note in notes), notes


def test_the_command_and_the_stored_forecast_say_what_serves_a_short_history(walmart):
    (note,) = [line for line in walmart.printed.splitlines() if line.startswith("Note: ") and "history" in line]
    assert "44 days" in note and note.endswith("all contenders compete from Monday 2015-05-25 on.")
    assert walmart.rows(forecast.DEMAND_MODEL.path).num_rows > 0, "a training took place"
    served = set(walmart.rows(forecast.DEMAND_FORECAST.path)["model_version"].to_pylist())
    assert note.startswith("Note: the seasonal naive" if served == {forecast.NAIVE} else "Note: a model trained on")
    with dg.DagsterInstance.from_config(str(walmart.home / "dagster")) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(forecast.DEMAND_FORECAST.asset_key))
    assert note == f"Note: {event.asset_materialization.metadata['note'].value}."


def test_a_first_forecast_of_one_day_has_no_replay_yet(walmart):
    assert walmart.rows("inventory/policy_replay").num_rows == 0
