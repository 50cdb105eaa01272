"""The pages as a planner meets them, without a browser."""

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import decisions, session
from dashboards.queries import Slice
from dashboards.views import replenishment
from retail_assets.resources.app_database import AppDatabase
from retail_assets.tables import entities
from retail_assets.tables.catalog import table_at
from retail_assets_tests.dashboards.lake_data import AS_OF, EARLIER_AS_OF, TODAY, build_frames, mean_units, write_table

SECONDS = 60


def _demand() -> AppTest:
    def script() -> None:
        from dashboards.views import demand

        demand.page()

    return _run(AppTest.from_function(script, default_timeout=SECONDS))


def _replenishment() -> AppTest:
    def script() -> None:
        from dashboards.views import replenishment

        replenishment.page()

    return _run(AppTest.from_function(script, default_timeout=SECONDS))


def _run(app: AppTest) -> AppTest:
    app.session_state["planner_name"] = "Ana"
    return _again(app)


def _again(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def _metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def _worklist(app: AppTest):
    return app.dataframe[0].value


def _captions(app: AppTest, text: str) -> list[str]:
    return [caption.value for caption in app.caption if text in caption.value]


def _by_prefix(widgets, prefix: str):
    return next(widget for widget in widgets if str(widget.key).startswith(prefix))


@pytest.mark.parametrize("page", [_demand, _replenishment])
def test_an_empty_lake_shows_which_asset_is_missing(application, page):
    app = page()
    assert "has not been made yet: materialise the asset" in app.info[0].value
    assert not app.error


def test_a_source_without_stock_and_suppliers_says_why_there_is_no_plan(application, tmp_path):
    lake = tmp_path / "empty_lake"
    frames = build_frames()
    for path in ("gold/fact_inventory", "gold/dim_supplier"):
        write_table(lake, table_at(path), frames[path].iloc[0:0])
    app = _replenishment()
    assert "the source delivers no daily stock and no suppliers" in app.info[0].value


def test_a_wrong_setting_is_one_sentence_on_the_page(application):
    application.setenv("RETAIL_HORIZON_DAYS", "3")
    assert "RETAIL_HORIZON_DAYS is wrong" in _demand().error[0].value


def test_demand_shows_one_series_with_its_uncertainty_and_origin(planning):
    app = _demand()
    assert [button.label for button in app.button] == ["Save override"]
    table = app.dataframe[0].value
    assert len(table) == 28
    assert not table["q100"].hasnans
    assert any("made live" in caption.value for caption in app.caption)
    assert _metrics(app)["Expected sales value"].startswith("GBP ")


LEVEL_TITLES = {
    "Department": "Dairy in City Centre",
    "Category": "Drinks in City Centre",
    "Store": "City Centre",
    "Region": "Region North",
    "Company": "Whole company",
}


@pytest.mark.parametrize("level", LEVEL_TITLES)
def test_demand_of_a_group_has_the_band_of_its_own_total(planning, level):
    app = _demand()
    assert app.button_group(key="demand_level").label == "Level"
    app.button_group(key="demand_level").set_value(level)
    _again(app)
    assert app.subheader[0].value == LEVEL_TITLES[level]
    table = app.dataframe[0].value
    assert table["q100"].tolist() == pytest.approx((table["mean_units"] * 0.8).tolist())
    assert table["q900"].tolist() == pytest.approx((table["mean_units"] * 1.2).tolist())
    assert any("The band comes from the errors of such sums" in caption.value for caption in app.caption)
    assert not any(header.value == "Why this forecast" for header in app.subheader)


def test_filters_left_at_all_give_the_crossings(planning):
    app = _demand()
    app.button_group(key="demand_level").set_value("Region")
    _again(app)
    app.selectbox(key="demand_region").set_value(Slice(region="South"))
    app.selectbox(key="demand_goods_mixed").set_value(Slice(category="Food"))
    _again(app)
    assert app.subheader[0].value == "Food in region South"
    rows = build_frames()["forecast/hierarchy_forecast"].query("group_name == 'South / Food'")
    expected = rows.loc[rows["as_of_date"] == AS_OF, "q900"].tolist()
    assert app.dataframe[0].value["q900"].tolist() == pytest.approx(expected)


def test_the_store_stays_chosen_from_level_to_level(planning):
    app = _demand()
    app.selectbox(key="demand_place").set_value(Slice("S03"))
    _again(app)
    app.button_group(key="demand_level").set_value("Store")
    assert _again(app).subheader[0].value == "Station"


def test_a_groups_own_model_is_named_beside_the_sum(planning):
    app = _demand()
    app.button_group(key="demand_level").set_value("Department")
    app.selectbox(key="demand_place").set_value(Slice())
    _again(app)
    (told,) = [caption.value for caption in app.caption if "own model" in caption.value]
    assert "The group's own model, **Regression with ARIMA errors** (`arima`), is drawn beside it" in told
    means = app.dataframe[0].value["mean_units"].head(7).sum()
    assert f"{means * 1.1:,.0f} units in the next 7 days against {means:,.0f}" in told


def test_a_product_in_many_stores_has_no_band_and_says_why(planning):
    app = _demand()
    app.selectbox(key="demand_place").set_value(Slice())
    _again(app)
    assert app.dataframe[0].value["q100"].count() == 0
    assert any("quantiles of single series do not add up" in caption.value for caption in app.caption)


def _old_lake(folder: Path, **changed: pd.DataFrame) -> None:
    """A lake from before groups and reasons were stored."""
    frames = build_frames()
    for path in ("gold/demand_daily", "gold/dim_store", "gold/dim_product", "forecast/demand_forecast"):
        write_table(folder, table_at(path), changed.get(path.split("/")[1], frames[path]))


def test_an_old_lake_says_once_that_bands_and_reasons_are_to_come(application, tmp_path):
    _old_lake(tmp_path / "empty_lake")
    app = _demand()
    assert _captions(
        app, "No reasons yet: forecast/forecast_drivers, which holds them, is made with the next forecast."
    )
    app.button_group(key="demand_level").set_value("Store")
    _again(app)
    assert app.dataframe[0].value["q100"].count() == 0
    note = "There is no band yet: forecast/hierarchy_forecast, which holds it, is made with the next forecast."
    assert len(_captions(app, note)) == 1


def test_without_a_promoted_model_the_reason_is_last_week(application, tmp_path):
    naive = build_frames()["forecast/demand_forecast"].assign(
        model_name="seasonal_naive", model_version="seasonal_naive"
    )
    _old_lake(tmp_path / "empty_lake", demand_forecast=naive)
    app = _demand()
    assert _captions(app, "No trained model was promoted when this forecast was made: it repeats the same weekday")


def test_a_day_whose_groups_and_reasons_were_not_kept_says_so(planning):
    app = _demand()
    app.selectbox(key="demand_as_of_date").set_value(EARLIER_AS_OF)
    _again(app)
    assert _captions(app, "forecast/forecast_drivers holds no reasons for this product in this store on that day.")


def test_a_day_without_groups_has_no_band_and_says_so(application, tmp_path):
    lake, groups = tmp_path / "empty_lake", build_frames()["forecast/hierarchy_forecast"]
    _old_lake(lake)
    write_table(lake, table_at("forecast/hierarchy_forecast"), groups[groups["as_of_date"] == EARLIER_AS_OF])
    app = _demand()
    app.button_group(key="demand_level").set_value("Company")
    _again(app)
    assert _captions(app, "forecast/hierarchy_forecast has no forecast of this group made after 01 Mar 2026")


def test_stores_without_a_region_offer_no_region(application, tmp_path):
    _old_lake(tmp_path / "empty_lake", dim_store=build_frames()["gold/dim_store"].assign(region=None))
    offered = _demand().button_group(key="demand_level").options
    assert offered == ["Product", "Department", "Category", "Store", "Company"]


def test_the_reason_of_the_chosen_week_is_one_sentence(planning):
    app = _demand()
    app.selectbox(key="demand_product").set_value("P01")
    _again(app)
    app.button_group(key="demand_reasons_week").set_value(2)
    _again(app)
    (told,) = [text.value for text in app.markdown if "Usual" in text.value]
    mean = np.mean([mean_units("S01", "P01", AS_OF + timedelta(days=day)) for day in range(8, 15)])
    assert f"× trend 1.05 × season 0.93 × promotion 1.60 = {mean:.1f} a day; promotion is the main reason." in told
    weeks = app.table[0].value
    assert weeks.columns.tolist() == ["02 Mar", "09 Mar", "16 Mar", "23 Mar"]
    assert weeks.loc["Promotion"].tolist() == ["× 1.00", "× 1.60", "× 1.00", "× 1.00"]


def test_the_maker_of_a_forecast_is_named_with_its_technical_name(planning):
    app = _demand()
    app.selectbox(key="demand_product").set_value("P01")
    assert _captions(_again(app), "Model **LightGBM** (`lightgbm`), version **2026-02-23**")


def test_company_demand_is_the_sum_of_its_series(planning, lake_folder):
    app = _demand()
    app.button_group(key="demand_level").set_value("Company")
    shown = _again(app).dataframe[0].value["mean_units"].sum()
    forecast = build_frames()["forecast/demand_forecast"]
    assert shown == pytest.approx(forecast.loc[forecast["as_of_date"] == AS_OF, "mean_units"].sum())


def test_a_past_forecast_stays_readable_and_cannot_be_overridden(planning):
    app = _demand()
    app.selectbox(key="demand_as_of_date").set_value(EARLIER_AS_OF)
    _again(app)
    assert app.dataframe[0].value["target_date"].min() == EARLIER_AS_OF + timedelta(days=1)
    assert any("backfilled" in caption.value for caption in app.caption)
    assert not app.button


def test_an_override_is_saved_with_who_when_and_why(planning: AppDatabase):
    app = _demand()
    app.selectbox(key="demand_product").set_value("P01")
    _again(app)
    _by_prefix(app.number_input, "override_units").set_value(30.0)
    _by_prefix(app.text_input, "override_reason").set_value("Street fair")
    app.button(key="override_save").click()
    _again(app)
    (row,) = planning.read(entities.FORECAST_OVERRIDES).to_pylist()
    assert (row["store_id"], row["product_id"], row["mean_units"]) == ("S01", "P01", 30.0)
    assert (row["reason"], row["decided_by"]) == ("Street fair", "Ana")
    assert (row["from_date"], row["to_date"]) == (AS_OF + timedelta(days=1), AS_OF + timedelta(days=7))
    assert "Override saved for Whole milk 1 l in City Centre" in app.success[0].value
    assert app.dataframe[1].value["reason"].tolist() == ["Street fair"]


def test_an_override_without_a_reason_is_refused_on_the_page(planning: AppDatabase):
    app = _demand()
    app.button(key="override_save").click()
    assert "needs a reason" in _again(app).error[0].value
    assert planning.read(entities.FORECAST_OVERRIDES).num_rows == 0


def test_the_worklist_is_sorted_by_the_margin_it_saves(planning):
    saved = _worklist(_replenishment())["lost_margin_avoided_value"].tolist()
    assert len(saved) > 10
    assert saved == sorted(saved, reverse=True)


def test_filters_narrow_the_worklist_and_the_figures(planning):
    app = _replenishment()
    everything = int(_metrics(app)["Lines to decide"])
    app.selectbox(key="plan_store").set_value("S02")
    app.selectbox(key="plan_supplier").set_value("SUP1")
    app.selectbox(key="plan_department").set_value("Dairy")
    _again(app)
    shown = _worklist(app)
    assert set(shown["store_id"]) == {"S02"}
    assert set(shown["supplier_id"]) == {"SUP1"}
    assert int(_metrics(app)["Lines to decide"]) == len(shown) < everything


def test_only_exceptions_leaves_what_needs_a_person(planning):
    app = _replenishment()
    app.button_group(key="plan_status").set_value("All")
    app.toggle(key="plan_only_exceptions").set_value(True)
    shown = _worklist(_again(app))
    assert len(shown) == int(_metrics(app)["Exceptions"]) > 0
    assert shown["exception"].count() == len(shown)


def test_filters_without_a_match_say_so(planning):
    app = _replenishment()
    app.text_input(key="plan_search").set_value("no such thing")
    assert "No line of the plan matches" in _again(app).info[0].value


def test_every_step_from_need_to_order_adds_up(planning):
    for line in _worklist(_replenishment()).to_dict("records"):
        steps = replenishment.step_frame(line)
        assert steps["change"].iloc[:-1].sum() == pytest.approx(line["order_units"])
        assert steps["units"].iloc[-1] == line["order_units"]


def test_approving_the_explained_line_writes_the_decision(planning: AppDatabase):
    app = _replenishment()
    first = _worklist(app).iloc[0]
    app.button(key="plan_approve").click()
    _again(app)
    (row,) = planning.read(entities.ORDER_DECISIONS).to_pylist()
    assert row["proposal_id"] == first["proposal_id"]
    assert (row["decision"], row["order_units"], row["decided_by"]) == ("approved", first["order_units"], "Ana")
    assert first["proposal_id"] not in set(_worklist(app)["proposal_id"])
    app.button_group(key="plan_status").set_value("approved")
    _again(app)
    assert _worklist(app)["proposal_id"].tolist() == [first["proposal_id"]]
    assert any(text.value.startswith("Approved · ") for text in app.success)


def test_a_changed_quantity_needs_whole_packs_and_a_reason(planning: AppDatabase):
    app = _replenishment()
    units = _by_prefix(app.number_input, "plan_units")
    units.set_value(13.0)
    app.button(key="plan_approve").click()
    assert "13 units are not whole packs of 6: order 12 or 18 units." in _again(app).error[0].value
    _by_prefix(app.number_input, "plan_units").set_value(12.0)
    app.button(key="plan_approve").click()
    assert "needs a reason" in _again(app).error[0].value
    _by_prefix(app.text_input, "plan_reason").set_value("fair in town")
    app.button(key="plan_approve").click()
    _again(app)
    (row,) = planning.read(entities.ORDER_DECISIONS).to_pylist()
    assert (row["order_units"], row["reason"]) == (12.0, "fair in town")


def test_a_line_that_nobody_supplies_says_so_instead_of_asking_for_packs(application, lake_folder, tmp_path):
    """A copy of the lake with a product that is carried, has no sourcing and therefore no pack."""
    folder = tmp_path / "lake"
    shutil.copytree(lake_folder, folder)
    plan = build_frames()["inventory/replenishment_plan"]
    unknown = {"product_id": "P99", "proposal_id": "p99", "supplier_id": "", "pack_units": 0.0, "order_units": 0.0}
    line = plan.iloc[:1].assign(**unknown, unit_cost=None, order_value=None, exception="missing supplier")
    write_table(folder, table_at("inventory/replenishment_plan"), line)
    application.setenv("RETAIL_LAKE_URI", str(folder))
    app = _replenishment()
    app.button_group(key="plan_status").set_value("All")
    app.text_input(key="plan_search").set_value("P99")
    (shown,) = _worklist(_again(app)).to_dict("records")
    assert (shown["supplier_name"], shown["exception"]) == ("No supplier", "missing supplier")
    assert _captions(app, "Nothing can be ordered before the source names its supplier and pack.")
    assert not [widget for widget in app.number_input if str(widget.key).startswith("plan_units")]


def test_ticked_lines_are_approved_together(planning: AppDatabase):
    app = _replenishment()
    shown = _worklist(app)
    ticked = {"selection": {"rows": [1, 3], "columns": [], "cells": []}}
    app.session_state[replenishment.lines_key(shown)] = ticked
    _again(app)
    app.button(key="plan_approve_many").click()
    _again(app)
    written = {row["proposal_id"] for row in planning.read(entities.ORDER_DECISIONS).to_pylist()}
    assert written == {shown["proposal_id"].iloc[1], shown["proposal_id"].iloc[3]}
    assert "2 lines approved." in app.success[0].value


def test_the_second_planner_is_told_who_was_first(planning: AppDatabase):
    first, second = _replenishment(), _replenishment()
    second.session_state["planner_name"] = "Ben"
    first.button(key="plan_approve").click()
    _again(first)
    second.button(key="plan_approve").click()
    _again(second)
    assert "was already approved by Ana" in second.error[0].value
    assert planning.read(entities.ORDER_DECISIONS).num_rows == 1


def test_nobody_decides_without_a_name(planning: AppDatabase):
    app = _replenishment()
    app.session_state["planner_name"] = " "
    app.button(key="plan_approve").click()
    assert "enter your name in the sidebar" in _again(app).error[0].value
    assert planning.read(entities.ORDER_DECISIONS).num_rows == 0


def test_a_rejection_needs_a_reason_and_leaves_the_orders(planning: AppDatabase):
    app = _replenishment()
    app.button(key="plan_reject").click()
    assert "A rejection needs a reason" in _again(app).error[0].value
    _by_prefix(app.text_input, "plan_reason").set_value("delisted")
    app.button(key="plan_reject").click()
    _again(app)
    (row,) = planning.read(entities.ORDER_DECISIONS).to_pylist()
    assert (row["decision"], row["order_units"], row["reason"]) == ("rejected", 0.0, "delisted")


def test_approved_lines_are_exported_once_and_can_be_downloaded_again(planning: AppDatabase):
    app = _replenishment()
    app.button(key="plan_approve").click()
    _again(app)
    app.button(key="plan_export").click()
    _again(app)
    assert app.button(key="plan_export").disabled
    (export_id,) = decisions.exports(planning)["export_id"]
    csv = decisions.export_csv(planning, export_id)
    assert len(csv.decode().splitlines()) == 2
    assert decisions.export_csv(planning, export_id) == csv
    app.button_group(key="plan_status").set_value("exported")
    assert len(_worklist(_again(app))) == 1


def test_a_past_plan_is_read_only(application, tmp_path):
    lake = tmp_path / "empty_lake"
    frames = build_frames()
    for path, frame in frames.items():
        write_table(lake, table_at(path), frame)
    earlier = frames["inventory/replenishment_plan"].assign(as_of_date=EARLIER_AS_OF)
    write_table(lake, table_at("inventory/replenishment_plan"), earlier)
    app = _replenishment()
    app.selectbox(key="plan_as_of_date").set_value(EARLIER_AS_OF)
    _again(app)
    assert [button.key for button in app.button if str(button.key).startswith("plan_approve")] == ["plan_approve_many"]
    assert any("past plan" in caption.value for caption in app.caption)


def _on(application, day):
    application.setattr(session, "today", lambda: day)


@pytest.mark.parametrize(
    ("day", "age"), [(TODAY + timedelta(days=1), "1 day"), (TODAY + timedelta(days=11), "11 days")]
)
def test_a_plan_that_is_not_last_nights_says_its_age_first_and_takes_no_approval(planning, application, day, age):
    _on(application, day)
    app = _replenishment()
    assert app.error[0].value.startswith(
        f"**The newest plan is {age} old.** It was made after Sunday 01 March 2026 and knows no "
        "sale, stock or order since."
    )
    shown = [element.type for element in app.main]
    assert shown[shown.index("title") + 1] == "error"
    assert app.selectbox(key="plan_as_of_date").options[0] == "01 Mar 2026"
    assert _captions(app, "This order should have left on Monday 02 March 2026 and can no longer be approved")
    assert not [button for button in app.button if button.key == "plan_approve"]
    app.session_state[replenishment.lines_key(_worklist(app))] = {
        "selection": {"rows": [0, 1], "columns": [], "cells": []}
    }
    _again(app)
    assert app.button(key="plan_approve_many").disabled
    assert _captions(app, "2 lines should have left before today.")


def test_last_nights_plan_says_no_age(planning):
    app = _replenishment()
    assert not app.error
    assert app.selectbox(key="plan_as_of_date").options[0] == "01 Mar 2026"


def test_a_page_left_open_over_midnight_approves_nothing_of_yesterday(planning: AppDatabase, application):
    app, many = _replenishment(), _replenishment()
    many.session_state[replenishment.lines_key(_worklist(many))] = {
        "selection": {"rows": [0, 2], "columns": [], "cells": []}
    }
    _again(many)
    _on(application, TODAY + timedelta(days=1))
    app.button(key="plan_approve").click()
    many.button(key="plan_approve_many").click()
    refusal = "should have left on 2026-03-02, and today is 2026-03-03: nothing was approved."
    assert [refusal in error.value for error in _again(app).error] == [False, True]
    assert [refusal in error.value for error in _again(many).error] == [False, True, True]
    assert planning.read(entities.ORDER_DECISIONS).num_rows == 0


def test_approved_lines_that_nobody_exported_in_time_are_named(planning: AppDatabase, application):
    app = _replenishment()
    app.button(key="plan_approve").click()
    assert not _again(app).warning or "waiting" not in app.warning[-1].value
    _on(application, TODAY + timedelta(days=1))
    assert "1 line waiting should have left before today" in _again(app).warning[-1].value


def test_a_typing_error_of_nine_zeros_is_refused_on_the_page(planning: AppDatabase):
    app = _replenishment()
    _by_prefix(app.number_input, "plan_units").set_value(12e9)
    _by_prefix(app.text_input, "plan_reason").set_value("fair in town")
    app.button(key="plan_approve").click()
    assert "are more than the 1,000,000 that one line can hold" in _again(app).error[0].value
    assert planning.read(entities.ORDER_DECISIONS).num_rows == 0


def test_the_application_names_its_pages_and_asks_who_decides(planning):
    app = AppTest.from_file(str(Path(replenishment.__file__).parents[1] / "app.py"), default_timeout=SECONDS)
    _again(app)
    assert app.title[0].value == "Replenishment"
    assert app.sidebar.text_input(key="planner_name").label == "Your name"


def test_bronze_can_read_back_what_a_page_wrote(planning: AppDatabase):
    app = _replenishment()
    app.button(key="plan_approve").click()
    _again(app)
    table = planning.read(entities.ORDER_DECISIONS)
    assert table.column_names == [*entities.ORDER_DECISIONS.column_names, "unparsed"]
    assert table.schema.field("decided_at").type == pa.timestamp("us", tz="UTC")


def test_what_the_pages_fetched_is_let_go_of_after_a_day(planning, monkeypatch):
    now = 0.0
    monkeypatch.setattr("streamlit.runtime.caching.cache_utils.TTLCACHE_TIMER", lambda: now)
    first = session.reader()
    assert session.reader() is first
    now = timedelta(hours=25).total_seconds()
    assert session.reader() is not first
