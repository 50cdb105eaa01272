"""The Models page as a data scientist meets it, and the words of its verdict."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboards.views.models import Evidence, nearest_simple, verdict
from retail_assets.demand.model_versions import model_versions
from retail_assets.tables.catalog import table_at
from retail_assets_tests.dashboards.lake_data import AS_OF, LOSSES, TRAINED, TRAININGS, build_frames, write_table

SECONDS = 60
CHOSEN_LOSS, NAIVE_LOSS = 0.75 * 0.040 + 0.25 * 0.058, 0.75 * 0.080 + 0.25 * 0.110


def _models() -> AppTest:
    def script() -> None:
        from dashboards.views import models

        models.page()

    return _again(AppTest.from_function(script, default_timeout=SECONDS))


def _again(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception
    return app


def _told(app: AppTest) -> str:
    return "\n".join(text.value for text in [*app.markdown, *app.caption, *app.warning])


def _lake_of(folder, trainings: pd.DataFrame) -> None:
    write_table(folder, table_at("forecast/demand_model"), trainings)
    losses = build_frames()["forecast/backtest_losses"]
    write_table(folder, table_at("forecast/model_versions"), model_versions(trainings, losses))


def _evidence(*, chosen: float = 0.04, naive: float = 0.08, wape: float | None = 0.5) -> Evidence:
    version = {"scaled_pinball": chosen, "naive_scaled_pinball": naive}
    scores = pd.DataFrame(
        {"segment": ["smooth"], "scaled_pinball": [chosen], "naive_scaled_pinball": [naive], "is_chosen": [True]}
    )
    real = {"origin": "live", "from_date": date(2026, 2, 2), "to_date": date(2026, 3, 1), "wape": wape}
    return Evidence(version, scores, None if wape is None else real | {"naive_wape": 0.8})


def test_an_empty_lake_shows_which_asset_is_missing(application):
    assert "forecast/model_versions has not been made yet: materialise the asset" in _models().info[0].value


def test_a_short_history_is_named_also_before_any_training(application, tmp_path):
    demand = build_frames()["gold/demand_daily"]
    days = sorted(demand["business_date"].unique())[-20:]
    write_table(tmp_path / "empty_lake", table_at("gold/demand_daily"), demand[demand["business_date"].isin(days)])
    note, missing = (info.value for info in _models().info)
    assert note.startswith("The seasonal naive forecasts: 20 days of history are there, and a training needs 28")
    assert "forecast/model_versions has not been made yet" in missing


def test_a_lake_without_a_training_says_what_to_run(application, tmp_path):
    frames = build_frames()
    for path in ("forecast/demand_model", "forecast/model_versions"):
        write_table(tmp_path / "empty_lake", table_at(path), frames[path].iloc[0:0])
    assert "No model has been trained yet: run the job `train` in Dagster" in _models().info[0].value


def test_the_first_words_say_whether_it_beats_the_naive_with_figures(planning):
    app = _models()
    told = app.markdown[0].value
    assert told.startswith(
        f"##### Better than naive: yes. In the backtest its loss is {1 - CHOSEN_LOSS / NAIVE_LOSS:.0%}"
    )
    assert f"scaled pinball {CHOSEN_LOSS:.4f} against {NAIVE_LOSS:.4f}" in told
    assert "better in 2 of 2 demand classes" in told
    scored = build_frames()["forecast/forecast_accuracy"].query("origin == 'backfill'")
    scored = scored[scored["target_date"] > AS_OF - timedelta(days=28)]
    wape, naive = (
        scored[column].sum() / scored["actual_units"].sum()
        for column in ("absolute_error_units", "naive_absolute_error_units")
    )
    assert f"by forecasts backfilled, all days ahead, the error was {1 - wape / naive:.0%} smaller" in told
    assert f"(WAPE {wape:.1%} against {naive:.1%})" in told


def test_the_low_bar_is_named(planning):
    best_simple = 0.75 * LOSSES["smooth"]["theta"] + 0.25 * LOSSES["lumpy"]["theta"]
    assert f"is **{best_simple / CHOSEN_LOSS - 1:.1%} larger** than that of the chosen" in _told(_models())


def test_the_model_in_force_says_why_and_who_serves(planning):
    told = _told(_models())
    assert (
        "Trained through 22 Feb 2026. Promoted, better than the version in force: scaled pinball 0.0445 against 0.0875"
        " of the seasonal naive" in told
    )
    assert "On the 22 weeks scored for both: 0.0450 against 0.0500 of version 2026-02-09" in told
    assert "**LightGBM** (`lightgbm`) for smooth; **LightGBM towards totals** (`lightgbm_pulled`) for lumpy." in told


def test_a_newest_training_that_was_refused_leaves_the_older_one_in_force(application, tmp_path):
    trainings = build_frames()["forecast/demand_model"]
    _lake_of(tmp_path / "empty_lake", trainings[trainings["week_start_date"] < TRAINED])
    app = _models()
    assert "of the week of 16 Feb 2026, was not promoted, so the older version stays in force" in app.warning[0].value
    assert "too biased" in app.warning[0].value
    assert {metric.label: metric.value for metric in app.metric}["In force since"] == "09 Feb 2026"
    assert "no forecast has met its day yet" in _told(app)


def test_without_a_promoted_version_the_page_says_that_the_naive_forecasts(application, tmp_path):
    trainings = build_frames()["forecast/demand_model"].assign(bias=0.5)
    _lake_of(tmp_path / "empty_lake", trainings)
    app = _models()
    assert "No model is in force: the seasonal naive forecasts." in app.warning[0].value
    assert "Not promoted, too biased" in app.warning[0].value
    assert len(app.dataframe) == 2


def test_every_training_is_listed_with_its_decision_newest_first(planning):
    table = _models().dataframe[0].value
    assert table["week_start_date"].tolist() == sorted(TRAININGS, reverse=True)
    assert table["promoted_on"].notna().tolist() == [True, False, True]
    assert table["reason"].iloc[1].startswith("Not promoted, too biased")
    newest = table.iloc[0]
    assert (newest["champion_version"], newest["shared_origins"]) == ("2026-02-09", 22)
    assert newest["shared_scaled_pinball"] == pytest.approx(0.045)
    assert newest["champion_scaled_pinball"] == pytest.approx(0.05)
    assert newest["gap_error"] == pytest.approx(0.0)


def test_a_training_of_an_older_release_is_shown_without_a_comparison(application, tmp_path):
    """Its lake has neither losses by week nor the columns of the decision."""
    frames = build_frames()
    old = frames["forecast/demand_model"].assign(parts=None, bias_factor=np.nan, gap_error=np.nan)
    empty = frames["forecast/backtest_losses"].iloc[0:0]
    write_table(tmp_path / "empty_lake", table_at("forecast/demand_model"), old)
    write_table(tmp_path / "empty_lake", table_at("forecast/model_versions"), model_versions(old, empty))
    assert "Promoted, without losses by week to compare with the version in force" in _told(_models())


def test_contenders_of_a_week_and_a_class_are_compared(planning):
    app = _models()
    assert len(app.dataframe[1].value) == 8
    app.selectbox(key="models_week").set_value(min(TRAININGS))
    app.button_group(key="models_segment").set_value("lumpy")
    _again(app)
    table = app.dataframe[1].value
    assert table["week_start_date"].unique().tolist() == [min(TRAININGS)]
    assert table["model_name"].tolist() == ["lightgbm_pulled", "theta", "lightgbm", "seasonal_naive"]
    assert table["contender"].iloc[0] == "LightGBM towards totals"
    assert table["is_chosen"].tolist() == [True, False, False, False]
    assert table["against_naive_pct"].iloc[0] == pytest.approx((0.058 / 0.110 - 1) * 100)
    assert table["wape_pct"].iloc[0] == pytest.approx(58.0)


@pytest.mark.parametrize(
    ("evidence", "answer"),
    [
        (_evidence(), "Better than naive: yes."),
        (_evidence(wape=0.9), "Better than naive in the backtest only."),
        (_evidence(chosen=0.09), "Better than naive on real days only."),
        (_evidence(chosen=0.09, wape=0.9), "Better than naive: no."),
        (_evidence(wape=None), "Better than naive so far."),
        (_evidence(chosen=0.09, wape=None), "Not better than naive."),
    ],
)
def test_the_answer_follows_from_backtest_and_real_days(evidence, answer):
    assert verdict(evidence).startswith(answer)


def test_a_worse_error_on_real_days_is_called_larger():
    told = verdict(_evidence(wape=0.9))
    assert "by forecasts made live, all days ahead, the error was 12% larger (WAPE 90.0% against 80.0%)" in told


def test_a_simple_method_that_would_have_been_better_is_admitted():
    scores = build_frames()["forecast/demand_model"].query("week_start_date == @TRAINED")
    better = scores.assign(scaled_pinball=scores["scaled_pinball"].where(scores["model_name"] != "theta", 0.03))
    assert "smaller** than that of the chosen" in nearest_simple(better)
    alone = scores[scores["model_name"] != "theta"]
    assert nearest_simple(alone) == "No simple method competed beside the seasonal naive."


def test_promotions_are_summed_by_department_or_product_of_the_newest_training(planning):
    app = _models()
    assert "Promoted days sold **2.3 times** their usual demand, +190 units; the forecast had expected 2.2 times." in (
        _told(app)
    )
    shown = app.dataframe[-1].value
    assert shown["name"].tolist() == ["Grocery", "Frozen"]
    assert shown["uplift_units"].tolist() == [200.0, -10.0]
    assert shown["lift"].tolist() == [3.0, 0.8]
