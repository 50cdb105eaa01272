"""Charts: what a frame must show, and what it must not."""

from datetime import date, timedelta
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboards import charts

AS_OF = date(2026, 3, 1)
NO_PROMOTIONS = pd.DataFrame({"start_date": [], "end_date": []})
NO_OVERRIDES = pd.DataFrame({"from_date": [], "to_date": [], "mean_units": [], "decided_by": []})


def _history(*, series_count: int = 1) -> pd.DataFrame:
    days = [AS_OF - timedelta(days=back) for back in range(9, -1, -1)]
    frame = pd.DataFrame({"business_date": days, "sold_units": 5.0, "unconstrained_units": 5.0})
    frame["short_count"] = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    frame["promoted_count"] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    frame.loc[2, "unconstrained_units"] = 8.0
    return frame.assign(series_count=series_count)


def _forecast(*, median: float | None) -> pd.DataFrame:
    days = [AS_OF + timedelta(days=ahead) for ahead in range(1, 4)]
    quantiles = {"q100": 1.0, "q250": 2.0, "q500": median, "q750": 6.0, "q900": 8.0}
    return pd.DataFrame({"target_date": days, "mean_units": 4.0, "model_units": None}).assign(**quantiles)


def _fan(history: pd.DataFrame, forecast: pd.DataFrame, **more: pd.DataFrame) -> go.Figure:
    frames = {"promotions": NO_PROMOTIONS, "overrides": NO_OVERRIDES, **more}
    return charts.fan_chart(history, forecast, as_of_date=AS_OF, **frames)


def _traces(figure: go.Figure) -> list[Any]:
    return list(figure.select_traces())


def _trace(figure: go.Figure, name: str) -> Any:
    return next(trace for trace in _traces(figure) if trace.name == name)


def _names(figure: go.Figure) -> set[str]:
    return {trace.name for trace in _traces(figure) if trace.name}


def _layout(figure: go.Figure) -> Any:
    return figure.layout


def test_bands_lie_between_the_quantiles_they_are_named_after():
    figure = _fan(_history(), _forecast(median=4.0))
    assert list(_trace(figure, "8 of 10 days").y) == [8.0] * 3
    assert list(_trace(figure, "8 of 10 days").customdata) == [1.0] * 3
    assert list(_trace(figure, "5 of 10 days").y) == [6.0] * 3


def test_a_sum_of_series_has_no_band_no_stock_out_day_and_no_promotion():
    figure = _fan(_history(series_count=3), _forecast(median=None))
    assert _names(figure) == {"Expected demand", "Estimated demand", "Sold"}
    assert not [shape for shape in _layout(figure).shapes if shape.type == "rect"]


def test_a_group_has_the_wide_band_alone_and_its_own_model_beside_it():
    forecast = _forecast(median=4.0).assign(q250=None, q750=None, model_units=4.5)
    figure = _fan(_history(series_count=3), forecast)
    assert _names(figure) == {"8 of 10 days", "Median", "Expected demand", "Own model", "Estimated demand", "Sold"}
    assert list(_trace(figure, "Own model").y) == [4.5] * 3


def test_days_that_ran_out_are_marked_at_what_was_sold():
    marked = _trace(_fan(_history(), _forecast(median=4.0)), "Ran out of stock")
    assert list(marked.x) == [AS_OF - timedelta(days=7)]
    assert list(marked.y) == [5.0]


def test_estimated_demand_is_left_out_where_stock_never_limited_sales():
    history = _history().assign(short_count=0, unconstrained_units=5.0)
    assert "Estimated demand" not in _names(_fan(history, _forecast(median=4.0)))


def test_promoted_days_become_runs():
    runs = charts.promoted_periods(_history())
    first = AS_OF - timedelta(days=8)
    assert runs["start_date"].tolist() == [first, AS_OF - timedelta(days=4)]
    assert runs["end_date"].tolist() == [first + timedelta(days=1), AS_OF - timedelta(days=4)]
    assert charts.promoted_periods(_history().assign(promoted_count=0)).empty


def test_past_and_planned_promotions_are_shaded():
    planned = pd.DataFrame({"start_date": [AS_OF + timedelta(days=2)], "end_date": [AS_OF + timedelta(days=3)]})
    figure = _fan(_history(), _forecast(median=4.0), promotions=planned)
    assert len([shape for shape in _layout(figure).shapes if shape.type == "rect"]) == 3


def test_an_override_is_drawn_with_its_author_even_for_one_day():
    day = AS_OF + timedelta(days=1)
    override = pd.DataFrame({"from_date": [day], "to_date": [day], "mean_units": [9.0], "decided_by": ["Ana"]})
    drawn = _trace(_fan(_history(), _forecast(median=4.0), overrides=override), "Override by Ana")
    assert list(drawn.y) == [9.0, 9.0]
    assert drawn.x[0] < drawn.x[1]


def test_the_steps_of_a_quantity_add_up_in_the_waterfall():
    units = [7.0, 12.0, 12.0, 10.0, 16.0, 16.0]
    frame = pd.DataFrame({"label": list("abcdef"), "units": units})
    frame["change"] = frame["units"].diff().fillna(frame["units"])
    (waterfall,) = _traces(charts.quantity_chart(frame))
    assert list(waterfall.y[:1]) + list(waterfall.y[1:-1]) == [7.0, 5.0, 0.0, -2.0, 6.0]
    assert sum(waterfall.y[:-1]) == waterfall.y[-1] == 16.0
    assert list(waterfall.text) == ["7", "+5", "no change", "-2", "+6", "16"]
    assert waterfall.measure == ("absolute", "relative", "relative", "relative", "relative", "total")


def test_the_stock_bar_shows_position_order_and_both_levels():
    line = {"on_hand_units": 3.0, "on_order_counted_units": 0.0, "final_units": 12.0}
    figure = charts.stock_chart({**line, "demand_mean_units": 8.0, "reorder_point_units": 11.0})
    assert [bar.x[0] for bar in _traces(figure)] == [3.0, 0.0, 12.0]
    assert [note.text for note in _layout(figure).annotations] == ["expected demand 8", "order at or below 11"]


def test_the_naive_forecast_is_named_in_plain_words():
    frame = pd.DataFrame({"target_date": [AS_OF], "wape": [0.2], "naive_wape": [0.4]})
    figure = charts.accuracy_chart(frame)
    assert list(_trace(figure, "Same day last week").y) == [0.4]
    assert list(_trace(figure, "Our forecast").y) == [0.2]


def test_reasons_lead_from_the_usual_level_to_the_forecast():
    steps = pd.DataFrame({"label": ["usual", "trend", "promotion", "forecast"], "units": [4.0, 5.0, 10.0, 10.0]})
    steps = steps.assign(change=[4.0, 1.0, 5.0, 0.0], text=["4.0", "× 1.25", "× 2.00", "10.0"], meaning="m")
    (waterfall,) = _traces(charts.reasons_chart(steps))
    assert list(waterfall.y) == [4.0, 1.0, 5.0, 10.0]
    assert sum(waterfall.y[:-1]) == waterfall.y[-1]
    assert waterfall.measure == ("absolute", "relative", "relative", "total")


def _versions(*, is_promoted: list[bool]) -> pd.DataFrame:
    weeks = [AS_OF + timedelta(weeks=number) for number in range(len(is_promoted))]
    frame = pd.DataFrame({"week_start_date": weeks, "reason": "because"})
    frame["promoted_on"] = [week if yes else None for week, yes in zip(weeks, is_promoted, strict=True)]
    return frame.assign(scaled_pinball=0.04, naive_scaled_pinball=0.08, champion_scaled_pinball=0.041)


def test_trainings_show_chosen_naive_and_champion_and_who_was_refused():
    figure = charts.training_chart(_versions(is_promoted=[True, False, True]))
    assert list(_trace(figure, "Chosen contenders").y) == [0.04] * 3
    assert list(_trace(figure, "Seasonal naive").y) == [0.08] * 3
    assert list(_trace(figure, "Version in force before").y) == [0.041] * 3
    assert list(_trace(figure, "Not promoted").x) == [AS_OF + timedelta(weeks=1)]
    assert "Not promoted" not in _names(charts.training_chart(_versions(is_promoted=[True])))


def test_contenders_are_ordered_named_and_coloured():
    names = ["seasonal_naive", "lightgbm_pulled", "theta"]
    scores = pd.DataFrame({"model_name": names, "scaled_pinball": [0.09, 0.04, 0.05]})
    (bars,) = _traces(charts.contenders_chart(scores.assign(is_chosen=[False, True, False])))
    assert list(bars.y) == ["Seasonal naive", "Theta", "LightGBM towards totals"]
    assert list(bars.customdata) == ["seasonal_naive", "theta", "lightgbm_pulled"]
    assert list(bars.marker.color) == [charts.WANTED, charts.OTHERS, charts.EXPECTED]
