"""Questions to the lake, answered a second time with pandas from the frames the lake was written from."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from dashboards import queries
from dashboards.decisions import DECISIONS_SCHEMA
from dashboards.queries import LakeReader, PlanFilter, Slice
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import table_at
from retail_assets.tables.forecast import MODEL_VERSIONS
from retail_assets.tables.gold import DEMAND_DAILY
from retail_assets_tests.dashboards.lake_data import (
    AS_OF,
    EARLIER_AS_OF,
    LOSSES,
    TRAINED,
    TRAININGS,
    build_frames,
    write_lake,
    write_table,
)

DAIRY = ("P01", "P02", "P03")
DRINKS = ("P04", "P05")
ONE_SERIES = Slice("S01", None, "P01")
FROM = AS_OF - timedelta(days=40)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> tuple[LakeReader, dict[str, pd.DataFrame]]:
    folder = tmp_path_factory.mktemp("lake")
    written = write_lake(folder)
    return LakeReader(Lake(str(folder))), written


def _of(frame: pd.DataFrame, slice_: Slice) -> pd.DataFrame:
    keep = pd.Series(data=True, index=frame.index)
    if slice_.store_id:
        keep &= frame["store_id"] == slice_.store_id
    if slice_.product_id:
        keep &= frame["product_id"] == slice_.product_id
    if slice_.department:
        keep &= frame["product_id"].isin(DAIRY)
    if slice_.category:
        keep &= ~frame["product_id"].isin(DRINKS)
    if slice_.region:
        keep &= frame["store_id"].isin(["S01", "S02"])
    return frame.loc[keep]


SLICES = [ONE_SERIES, Slice("S01"), Slice(None, "Dairy"), Slice("S02", "Dairy"), Slice(None, None, "P01"), Slice()]
SLICES += [Slice(region="North"), Slice(category="Food"), Slice(region="North", product_id="P01")]


def test_a_short_history_is_named_with_the_model_in_force(frames, tmp_path):
    written = frames[1]
    days = sorted(written[DEMAND_DAILY.path]["business_date"].unique())[-40:]
    demand = written[DEMAND_DAILY.path]
    write_table(tmp_path, DEMAND_DAILY, demand[demand["business_date"].isin(days)])
    reader = LakeReader(Lake(str(tmp_path)))
    naive = queries.short_history(reader)
    assert naive and naive.startswith("the seasonal naive forecasts")
    write_table(tmp_path, MODEL_VERSIONS, written[MODEL_VERSIONS.path])
    trained = queries.short_history(reader)
    assert trained and trained.startswith("a model trained on a short history forecasts: 40 days are there")
    assert queries.short_history(LakeReader(Lake(str(tmp_path / "nothing")))) is None


@pytest.mark.parametrize("slice_", SLICES)
def test_forecast_sums_the_means_of_its_series(frames, slice_):
    reader, written = frames
    answer = queries.forecast(reader, as_of_date=AS_OF, slice_=slice_)
    rows = _of(written["forecast/demand_forecast"].query("as_of_date == @AS_OF"), slice_)
    expected = rows.groupby("target_date")["mean_units"].sum()
    assert answer["target_date"].tolist() == expected.index.tolist()
    assert answer["mean_units"].tolist() == pytest.approx(expected.tolist())
    assert set(answer["series_count"]) == {len(rows) / len(expected)}


def test_only_one_series_has_quantiles(frames):
    reader, written = frames
    answer = queries.forecast(reader, as_of_date=EARLIER_AS_OF, slice_=ONE_SERIES)
    rows = _of(written["forecast/demand_forecast"].query("as_of_date == @EARLIER_AS_OF"), ONE_SERIES)
    assert answer["q900"].tolist() == rows["q900"].tolist()
    assert answer["origin"].unique().tolist() == ["backfill"]
    product_everywhere = queries.forecast(reader, as_of_date=AS_OF, slice_=Slice(product_id="P01"))
    assert product_everywhere["q900"].count() == 0
    assert not product_everywhere["is_group"].any()


@pytest.mark.parametrize(
    ("slice_", "level", "group_name"),
    [
        (Slice(), "total", "all"),
        (Slice(region="North"), "region", "North"),
        (Slice("S03"), "store", "S03"),
        (Slice(category="Drinks"), "category", "Drinks"),
        (Slice(department="Pantry"), "department", "Pantry"),
        (Slice(region="South", category="Food"), "region_category", "South / Food"),
        (Slice(region="North", department="Dairy"), "region_department", "North / Dairy"),
        (Slice("S02", category="Food"), "store_category", "S02 / Food"),
        (Slice("S02", "Dairy"), "store_department", "S02 / Dairy"),
        (Slice("S02", "Dairy", region="North", category="Food"), "store_department", "S02 / Dairy"),
    ],
)
def test_a_group_comes_with_the_quantiles_of_its_level(frames, slice_, level, group_name):
    reader, written = frames
    answer = queries.forecast(reader, as_of_date=EARLIER_AS_OF, slice_=slice_)
    rows = written["forecast/hierarchy_forecast"].query("level == @level and group_name == @group_name")
    rows = rows[rows["as_of_date"] == EARLIER_AS_OF].sort_values("target_date")
    assert len(rows) == 28
    for name in ("mean_units", "q100", "q500", "q900"):
        assert answer[name].tolist() == pytest.approx(rows[name].tolist())
    assert answer["q250"].count() == 0
    assert answer["is_group"].all()


def test_a_groups_own_model_is_named_only_where_there_is_one(frames):
    reader, _ = frames
    own = queries.forecast(reader, as_of_date=AS_OF, slice_=Slice(department="Dairy"))
    assert own["model_units"].tolist() == pytest.approx((own["mean_units"] * 1.1).tolist())
    assert set(own["group_model_name"]) == {"arima"}
    assert queries.forecast(reader, as_of_date=AS_OF, slice_=Slice(department="Drinks"))["model_units"].count() == 0


def test_a_lake_without_groups_still_sums_its_series(tmp_path):
    frames = build_frames()
    for path in ("forecast/demand_forecast", "gold/dim_store", "gold/dim_product"):
        write_table(tmp_path, table_at(path), frames[path])
    answer = queries.forecast(LakeReader(Lake(str(tmp_path))), as_of_date=AS_OF, slice_=Slice(region="North"))
    assert set(answer["series_count"]) == {16}
    assert answer["q500"].count() == 0
    assert not answer["is_group"].any()


def test_drivers_are_the_weeks_of_one_series(frames):
    reader, written = frames
    answer = queries.drivers(reader, as_of_date=AS_OF, store_id="S02", product_id="P01")
    rows = written["forecast/forecast_drivers"].query("store_id == 'S02' and product_id == 'P01'")
    assert answer["week_number"].tolist() == [1, 2, 3, 4]
    assert answer["mean_units"].tolist() == pytest.approx(rows["mean_units"].tolist())
    assert queries.drivers(reader, as_of_date=EARLIER_AS_OF, store_id="S02", product_id="P01").empty


@pytest.mark.parametrize("slice_", SLICES)
def test_history_sums_sales_demand_and_short_days(frames, slice_):
    reader, written = frames
    answer = queries.history(reader, from_date=FROM, to_date=AS_OF, slice_=slice_)
    rows = _of(written["gold/demand_daily"].query("@FROM <= business_date <= @AS_OF"), slice_)
    expected = rows.groupby("business_date").agg(
        sold=("sold_units", "sum"),
        wanted=("unconstrained_units", "sum"),
        short=("censoring", lambda values: (values == "partial").sum()),
        promoted=("is_promoted", "sum"),
        value=("net_value", lambda values: float(sum(values))),
    )
    assert answer["business_date"].tolist() == expected.index.tolist()
    assert answer["sold_units"].tolist() == pytest.approx(expected["sold"].tolist())
    assert answer["unconstrained_units"].tolist() == pytest.approx(expected["wanted"].tolist())
    assert answer["short_count"].tolist() == expected["short"].tolist()
    assert answer["promoted_count"].tolist() == expected["promoted"].tolist()
    assert answer["net_value"].tolist() == pytest.approx(expected["value"].tolist())


def test_products_come_dearest_expectation_first_with_todays_name(frames):
    reader, written = frames
    answer = queries.products(reader, as_of_date=AS_OF, slice_=Slice("S01", "Dairy"))
    rows = written["forecast/demand_forecast"].query("as_of_date == @AS_OF and store_id == 'S01'")
    price = written["gold/dim_product"].query("is_current").set_index("product_id")["list_price"].astype(float)
    value = rows.groupby("product_id")["mean_units"].sum() * price
    assert answer["product_id"].tolist() == value[list(DAIRY)].sort_values(ascending=False).index.tolist()
    assert "Whole milk 1 l" in answer["product_name"].tolist()
    assert "Milk, old label" not in answer["product_name"].tolist()


def test_accuracy_divides_the_sums_of_seven_days(frames):
    reader, written = frames
    answer = queries.accuracy(reader, from_date=FROM, to_date=AS_OF, horizon_bucket="8-14")
    rows = written["forecast/forecast_accuracy"].query("horizon_bucket == '8-14'")
    for day, wape, naive, bias in answer.itertuples(index=False):
        week = rows[(rows["target_date"] > day - timedelta(days=7)) & (rows["target_date"] <= day)]
        assert len(week) == 7
        actual = week["actual_units"].sum()
        assert wape == pytest.approx(week["absolute_error_units"].sum() / actual)
        assert naive == pytest.approx(week["naive_absolute_error_units"].sum() / actual)
        assert bias == pytest.approx(week["error_units"].sum() / actual)
    assert answer["target_date"].tolist()[0] == FROM


def test_accuracy_total_is_the_ratio_of_the_sums(frames):
    reader, written = frames
    total = queries.accuracy_total(reader, from_date=FROM, to_date=AS_OF, horizon_bucket="1-7").iloc[0]
    rows = written["forecast/forecast_accuracy"].query("horizon_bucket == '1-7' and target_date >= @FROM")
    errors, naive = rows["absolute_error_units"].sum(), rows["naive_absolute_error_units"].sum()
    assert total["wape"] == pytest.approx(errors / rows["actual_units"].sum())
    assert total["forecast_value_added"] == pytest.approx(1 - errors / naive)


def test_accuracy_by_origin_covers_the_last_scored_days_of_every_horizon(frames):
    reader, written = frames
    answer = queries.accuracy_by_origin(reader, day_count=28).set_index("origin")
    rows = written["forecast/forecast_accuracy"]
    rows = rows[rows["target_date"] > AS_OF - timedelta(days=28)]
    assert answer.index.tolist() == ["backfill", "live"]
    assert answer["scored_days"].tolist() == [18, 10]
    for origin, part in rows.groupby("origin"):
        expected = part["naive_absolute_error_units"].sum() / part["actual_units"].sum()
        assert answer.loc[str(origin), "naive_wape"] == pytest.approx(expected)
        assert answer.loc[str(origin), "to_date"] == part["target_date"].max()


def test_contenders_stand_beside_the_naive_of_their_class(frames):
    reader, _ = frames
    answer = queries.contenders(reader, week_start_date=TRAINED)
    assert answer["segment"].unique().tolist() == ["smooth", "lumpy"]
    for segment, losses in LOSSES.items():
        part = answer[answer["segment"] == segment]
        assert part["scaled_pinball"].tolist() == sorted(losses.values())
        assert set(part["naive_scaled_pinball"]) == {losses["seasonal_naive"]}


def test_trainings_come_with_their_decisions(frames):
    reader, _ = frames
    assert queries.training_weeks(reader) == sorted(TRAININGS, reverse=True)
    versions = queries.model_versions(reader)
    assert versions["week_start_date"].tolist() == sorted(TRAININGS)
    assert versions["promoted_on"].notna().tolist() == [True, False, True]


def test_nothing_scored_gives_empty_figures(frames):
    reader, _ = frames
    future = {"from_date": AS_OF + timedelta(days=1), "to_date": AS_OF + timedelta(days=9)}
    assert queries.accuracy_total(reader, horizon_bucket="1-7", **future)["wape"].count() == 0
    assert queries.accuracy(reader, horizon_bucket="1-7", **future).empty


def test_planned_promotions_use_the_newest_version_and_forget_withdrawn_ones(frames):
    reader, _ = frames
    ahead = {"from_date": AS_OF + timedelta(days=1), "to_date": AS_OF + timedelta(days=28)}
    moved = queries.planned_promotions(reader, slice_=ONE_SERIES, **ahead)
    assert moved[["start_date", "end_date"]].values.tolist() == [[date(2026, 3, 7), date(2026, 3, 13)]]
    assert queries.planned_promotions(reader, slice_=Slice("S01", None, "P04"), **ahead).empty


def test_dates_are_the_partitions_newest_first(frames):
    reader, _ = frames
    assert queries.forecast_dates(reader) == [AS_OF, EARLIER_AS_OF]
    assert queries.plan_dates(reader) == [AS_OF]


def test_a_missing_table_has_no_version_and_no_rows(tmp_path: Path):
    reader = LakeReader(Lake(str(tmp_path)))
    assert reader.version(DEMAND_DAILY) is None
    assert queries.plan_dates(reader) == []
    assert queries.stores(reader).empty
    assert queries.plan(reader, as_of_date=AS_OF).num_rows == 0
    assert queries.missing_inputs(reader)["input"].tolist() == ["daily stock", "suppliers"]


def test_every_question_of_the_lake_names_the_tables_it_reads():
    asked = [queries.forecast, queries.history, queries.products, queries.accuracy, queries.plan, queries.stores]
    asked += [queries.drivers, queries.contenders, queries.model_versions, queries.training_weeks]
    assert all(question.__dict__["tables"] for question in asked)


@pytest.fixture(scope="module")
def lines(frames) -> pa.Table:
    return queries.plan(frames[0], as_of_date=AS_OF)


def _decided(**values) -> pa.Table:
    row = dict.fromkeys(DECISIONS_SCHEMA.names) | {"decided_by": "Ana", **values}
    return pa.Table.from_pylist([row], schema=DECISIONS_SCHEMA)


def test_the_plan_keeps_every_line_and_learns_names(frames, lines):
    written = frames[1]["inventory/replenishment_plan"]
    assert lines.num_rows == len(written)
    assert set(lines["supplier_name"].to_pylist()) <= {"Meadow Dairies", "Northern Drinks", "Casa Foods"}
    assert sum(lines["order_value"].to_pylist()) == pytest.approx(float(sum(written["order_value"])))


@pytest.mark.parametrize(
    ("chosen", "condition"),
    [
        (PlanFilter(), "index >= 0"),
        (PlanFilter(store_id="S03"), "store_id == 'S03'"),
        (PlanFilter(supplier_id="SUP2"), "supplier_id == 'SUP2'"),
        (PlanFilter(department="Dairy"), "product_id in @DAIRY"),
        (PlanFilter(search="MILK"), "product_id == 'P01'"),
        (PlanFilter(only_exceptions=True), "exception.notna()"),
        (PlanFilter(status="to decide"), "order_units > 0"),
        (PlanFilter(store_id="S01", department="Dairy"), "store_id == 'S01' and product_id in @DAIRY"),
    ],
)
def test_filters_keep_exactly_the_lines_asked_for(frames, lines, chosen, condition):
    answer = queries.worklist(lines, DECISIONS_SCHEMA.empty_table(), chosen=chosen, page=1)
    expected = frames[1]["inventory/replenishment_plan"].query(condition)
    assert len(expected) > 0
    assert set(answer["proposal_id"]) == set(expected["proposal_id"])
    saved = answer["lost_margin_avoided_value"].tolist()
    assert saved == sorted(saved, reverse=True)


def test_while_no_margin_is_known_the_lines_that_would_miss_most_units_come_first(lines):
    place = lines.schema.get_field_index("lost_margin_avoided_value")
    unknown = lines.set_column(place, "lost_margin_avoided_value", pa.array([0.0] * lines.num_rows))
    answer = queries.worklist(unknown, DECISIONS_SCHEMA.empty_table(), chosen=PlanFilter(), page=1)
    missed = answer["expected_shortage_units"].tolist()
    assert len(set(missed)) > 1 and missed == sorted(missed, reverse=True)


def test_pages_of_the_worklist_partition_it(lines, monkeypatch):
    monkeypatch.setattr(queries, "PAGE_ROWS", 5)
    pages = [
        queries.worklist(lines, DECISIONS_SCHEMA.empty_table(), chosen=PlanFilter(), page=number)
        for number in range(1, lines.num_rows // 5 + 2)
    ]
    ids = [proposal for page in pages for proposal in page["proposal_id"]]
    assert len(ids) == len(set(ids)) == lines.num_rows
    assert all(len(page) == 5 for page in pages[:-1])


def test_a_decision_changes_status_quantity_and_totals(frames, lines):
    plan = frames[1]["inventory/replenishment_plan"]
    line = plan[plan["order_units"] > 0].iloc[0]
    approved = _decided(proposal_id=line["proposal_id"], decision="approved", order_units=6.0)
    totals = queries.plan_totals(lines, approved, chosen=PlanFilter()).iloc[0]
    others = plan[(plan["order_units"] > 0) & (plan["proposal_id"] != line["proposal_id"])]
    assert totals["open_count"] == len(others)
    assert totals["open_value"] == pytest.approx(float(others["order_value"].sum()))
    assert totals["approved_value"] == pytest.approx(6.0 * float(line["unit_cost"]))
    shown = queries.worklist(lines, approved, chosen=PlanFilter(status="approved"), page=1)
    assert shown[["proposal_id", "final_units"]].values.tolist() == [[line["proposal_id"], 6.0]]


def test_supplier_totals_add_up_and_leave_rejected_lines_out(frames, lines):
    plan = frames[1]["inventory/replenishment_plan"]
    ordered = plan[plan["order_units"] > 0]
    refused = ordered.iloc[0]
    decided = _decided(proposal_id=refused["proposal_id"], decision="rejected", order_units=0.0)
    answer = queries.supplier_totals(lines, decided, chosen=PlanFilter()).set_index("supplier_name")
    kept = ordered[ordered["proposal_id"] != refused["proposal_id"]]
    assert answer["line_count"].sum() == len(kept)
    assert answer["order_units"].sum() == pytest.approx(kept["order_units"].sum())
    dairy = kept[kept["supplier_id"] == "SUP1"]
    assert answer.loc["Meadow Dairies", "order_value"] == pytest.approx(float(dairy["order_value"].sum()))


def test_an_unreadable_table_is_one_sentence(tmp_path: Path):
    log = tmp_path / table_at("gold/dim_store").path / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("not a log")
    with pytest.raises(Exception, match="gold/dim_store"):
        queries.stores(LakeReader(Lake(str(tmp_path))))
