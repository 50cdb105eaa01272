"""Charts: a frame in, a Plotly figure out; no widgets, no queries.

Colours mean the same on every page: blue is expected, black was sold, orange needs attention.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from dashboards.model_names import label
from retail_assets.tables.forecast import NAIVE

EXPECTED = "#1f5fbf"
BAND_WIDE = "rgba(31, 95, 191, 0.14)"
BAND_NARROW = "rgba(31, 95, 191, 0.26)"
SOLD = "#222b38"
WANTED = "#7a8699"
ATTENTION = "#d9730d"
GOOD = "#2e8b57"
PROMOTION = "rgba(240, 180, 41, 0.16)"
GRID = "rgba(122, 134, 153, 0.18)"
OTHERS = "#b9c6dc"
_MANY_WEEKS = 12


class Stroke(NamedTuple):
    """How a line is drawn; `width` in pixels."""

    colour: str
    dash: str = "solid"
    width: float = 2


_FORECAST = Stroke(EXPECTED, width=2.5)
_NAIVE = Stroke(WANTED, dash="dot")


def fan_chart(
    history: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    as_of_date: date,
    promotions: pd.DataFrame,
    overrides: pd.DataFrame,
) -> go.Figure:
    """Sales until now and demand ahead with its uncertainty.

    Args:
        history: business_date, sold_units, unconstrained_units, short_count, promoted_count.
        forecast: target_date, mean_units, quantile columns and model_units; what is empty is not drawn.
        as_of_date: Last day the forecast knew.
        promotions: start_date, end_date of planned promotions.
        overrides: from_date, to_date, mean_units, oldest first.
    """
    figure = go.Figure()
    if bool(forecast["q500"].notna().any()):
        _band(figure, forecast, low="q100", high="q900", name="8 of 10 days", colour=BAND_WIDE)
        if bool(forecast["q250"].notna().any()):
            _band(figure, forecast, low="q250", high="q750", name="5 of 10 days", colour=BAND_NARROW)
        median = Stroke(EXPECTED, dash="dot", width=1.5)
        _line(figure, forecast["target_date"], forecast["q500"], name="Median", stroke=median)
    if bool(forecast["model_units"].notna().any()):
        _line(
            figure, forecast["target_date"], forecast["model_units"], name="Own model", stroke=Stroke(GOOD, dash="dash")
        )
    _line(figure, forecast["target_date"], forecast["mean_units"], name="Expected demand", stroke=_FORECAST)
    _sales(figure, history)
    if (history["series_count"] == 1).all():
        _shade_promotions(figure, pd.concat([promoted_periods(history), promotions], ignore_index=True))
    for override in overrides.itertuples():
        _override(figure, override)
    _mark_day(figure, as_of_date)
    return _styled(figure, y_title="units a day", height=430).update_yaxes(rangemode="tozero")


def promoted_periods(history: pd.DataFrame) -> pd.DataFrame:
    """start_date, end_date of the runs of promoted days in a history."""
    days = pd.to_datetime(history.loc[history["promoted_count"] > 0, "business_date"]).sort_values()
    runs = days.groupby((days.diff() != pd.Timedelta(days=1)).cumsum())
    return pd.DataFrame({"start_date": runs.min().dt.date, "end_date": runs.max().dt.date})


def accuracy_chart(accuracy: pd.DataFrame) -> go.Figure:
    """Rolling weekly error of the forecast beside the seasonal naive's.

    Args:
        accuracy: target_date, wape, naive_wape.
    """
    figure = go.Figure()
    _line(figure, accuracy["target_date"], accuracy["naive_wape"], name="Same day last week", stroke=_NAIVE)
    _line(figure, accuracy["target_date"], accuracy["wape"], name="Our forecast", stroke=_FORECAST)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return _styled(figure, y_title="error as a share of demand", height=300)


def reasons_chart(steps: pd.DataFrame) -> go.Figure:
    """From the usual demand a day to the forecast, cause by cause.

    Args:
        steps: label, units (after the step), change, text and meaning; the first row is usual, the last the forecast.
    """
    inner = len(steps) - 2
    figure = go.Figure(
        go.Waterfall(
            x=steps["label"],
            y=[*steps["change"].iloc[:-1], steps["units"].iloc[-1]],
            measure=["absolute", *["relative"] * inner, "total"],
            text=steps["text"],
            customdata=steps[["meaning", "change"]],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]:+.3~f} units a day<extra></extra>",
            textposition="outside",
            cliponaxis=False,
            connector={"line": {"color": GRID}},
            increasing={"marker": {"color": GOOD}},
            decreasing={"marker": {"color": WANTED}},
            totals={"marker": {"color": EXPECTED}},
        )
    )
    figure.update_yaxes(range=[0, max(float(steps["units"].max()), 1e-9) * 1.2])
    return _styled(figure, y_title="units a day", height=330).update_layout(
        uniformtext={"minsize": 11, "mode": "show"}, hovermode="closest"
    )


def training_chart(versions: pd.DataFrame) -> go.Figure:
    """What every training scored on its backtest, and whether it was promoted.

    Args:
        versions: Rows of forecast.model_versions, oldest first.
    """
    figure, weeks = go.Figure(), versions["week_start_date"]
    _line(figure, weeks, versions["naive_scaled_pinball"], name=label(NAIVE), stroke=_NAIVE)
    before = versions["champion_scaled_pinball"]
    _line(figure, weeks, before, name="Version in force before", stroke=Stroke(GOOD, dash="dash"))
    _line(figure, weeks, versions["scaled_pinball"], name="Chosen contenders", stroke=_FORECAST)
    is_promoted = versions["promoted_on"].notna()
    _decided(figure, versions.loc[is_promoted], name="Promoted", marker={"color": EXPECTED, "size": 9})
    _decided(
        figure, versions.loc[~is_promoted], name="Not promoted", marker={"color": ATTENTION, "symbol": "x", "size": 10}
    )
    if len(versions) <= _MANY_WEEKS:
        figure.update_xaxes(tickvals=weeks, tickformat="%d %b %Y")
    figure.update_yaxes(rangemode="tozero", tickformat=".3f")
    return _styled(figure, y_title="scaled pinball loss", height=300)


def contenders_chart(scores: pd.DataFrame) -> go.Figure:
    """Contenders of one demand class, or of all, the smallest loss on top.

    Args:
        scores: model_name, scaled_pinball, is_chosen; a row a contender.
    """
    ordered = scores.sort_values("scaled_pinball", ascending=False)
    figure = go.Figure(
        go.Bar(
            y=ordered["model_name"].map(label),
            x=ordered["scaled_pinball"],
            orientation="h",
            marker_color=[_bar_colour(*row) for row in ordered[["model_name", "is_chosen"]].itertuples(index=False)],
            text=[f"{loss:.4f}" for loss in ordered["scaled_pinball"]],
            textposition="outside",
            cliponaxis=False,
            customdata=ordered["model_name"],
            hovertemplate="%{customdata}: %{x:.4f}<extra></extra>",
        )
    )
    styled = _styled(figure, y_title="", height=70 + 26 * len(ordered)).update_layout(hovermode="closest", bargap=0.25)
    top = float(ordered["scaled_pinball"].max())
    return styled.update_xaxes(title="scaled pinball loss, smaller is better", range=[0, top * 1.08]).update_yaxes(
        showgrid=False, ticksuffix="  "
    )


def _bar_colour(model_name: str, is_chosen: bool) -> str:
    return EXPECTED if is_chosen else WANTED if model_name == NAIVE else OTHERS


def _decided(figure: go.Figure, versions: pd.DataFrame, *, name: str, marker: dict[str, Any]) -> None:
    if not versions.empty:
        figure.add_scatter(
            x=versions["week_start_date"],
            y=versions["scaled_pinball"],
            mode="markers",
            name=name,
            marker=marker,
            customdata=versions["reason"],
            hovertemplate="%{customdata}<extra></extra>",
        )


def quantity_chart(steps: pd.DataFrame) -> go.Figure:
    """How the need becomes the order, step by step.

    Args:
        steps: label, units (after the step), change, in order; the first row is the need, the last the order.
    """
    measures = ["absolute", *["relative"] * (len(steps) - 2), "total"]
    figure = go.Figure(
        go.Waterfall(
            x=steps["label"],
            y=[steps["units"].iloc[0], *steps["change"].iloc[1:-1], steps["units"].iloc[-1]],
            measure=measures,
            text=_step_texts(steps),
            textposition="outside",
            cliponaxis=False,
            connector={"line": {"color": GRID}},
            increasing={"marker": {"color": ATTENTION}},
            decreasing={"marker": {"color": WANTED}},
            textfont={"size": 12},
            totals={"marker": {"color": EXPECTED}},
        )
    )
    figure.update_yaxes(range=[0, max(float(steps["units"].max()), 1) * 1.2])
    return _styled(figure, y_title="units", height=270).update_layout(
        uniformtext={"minsize": 11, "mode": "show"}, hovermode=False
    )


def stock_chart(line: Mapping[str, Any]) -> go.Figure:
    """Stock and orders on the way against what the protection period needs.

    Args:
        line: One line of the plan.
    """
    figure = go.Figure()
    parts = (
        ("on hand", line["on_hand_units"], SOLD),
        ("on the way", line["on_order_counted_units"], WANTED),
        ("this order", line["final_units"], EXPECTED),
    )
    for name, units, colour in parts:
        figure.add_bar(
            y=[""],
            x=[units],
            name=name,
            orientation="h",
            marker_color=colour,
            width=0.5,
            text=f"{name} {units:,.0f}" if units else "",
            textposition="inside",
            textangle=0,
            insidetextanchor="middle",
            textfont={"color": "white", "size": 13},
        )
    _level(figure, line["demand_mean_units"], text="expected demand", colour=GOOD, y=1.0)
    _level(figure, line["reorder_point_units"], text="order at or below", colour=ATTENTION, y=0.0)
    # A text that does not fit its part of the bar is left out instead of shrunk or turned
    figure.update_layout(barmode="stack", showlegend=False, uniformtext={"minsize": 11, "mode": "hide"})
    styled = _styled(figure, y_title="", height=150)
    return styled.update_xaxes(rangemode="tozero", showticklabels=False).update_layout(margin={"t": 26, "b": 26})


def _level(figure: go.Figure, units: float, *, text: str, colour: str, y: float) -> None:
    """A marked level, its text above (y = 1) or below (y = 0) the bar so that two close levels stay readable."""
    figure.add_shape(type="line", x0=units, x1=units, y0=0, y1=1, yref="paper", line={"color": colour, "width": 2.5})
    figure.add_annotation(
        x=units,
        y=y,
        yref="paper",
        text=f"{text} {units:,.0f}",
        showarrow=False,
        yanchor="bottom" if y else "top",
        font={"color": colour, "size": 12},
    )


def _step_texts(steps: pd.DataFrame) -> list[str]:
    inner = [f"{change:+,.0f}" if change else "no change" for change in steps["change"].iloc[1:-1]]
    return [f"{steps['units'].iloc[0]:,.0f}", *inner, f"{steps['units'].iloc[-1]:,.0f}"]


def _band(figure: go.Figure, frame: pd.DataFrame, *, low: str, high: str, name: str, colour: str) -> None:
    edge = {"mode": "lines", "line": {"width": 0}, "legendgroup": name, "x": frame["target_date"]}
    figure.add_scatter(y=frame[low], showlegend=False, hoverinfo="skip", **edge)
    label = f"{name}: %{{customdata:.0f}} – %{{y:.0f}}<extra></extra>"
    figure.add_scatter(
        y=frame[high], fill="tonexty", fillcolor=colour, name=name, customdata=frame[low], hovertemplate=label, **edge
    )


def _line(figure: go.Figure, x, y, *, name: str, stroke: Stroke) -> None:
    line = {"color": stroke.colour, "dash": stroke.dash, "width": stroke.width}
    figure.add_scatter(x=x, y=y, mode="lines", name=name, line=line)


def _sales(figure: go.Figure, history: pd.DataFrame) -> None:
    days = history["business_date"]
    if (history["unconstrained_units"] > history["sold_units"]).any():
        estimated = Stroke(WANTED, dash="dot", width=1.5)
        _line(figure, days, history["unconstrained_units"], name="Estimated demand", stroke=estimated)
    _line(figure, days, history["sold_units"], name="Sold", stroke=Stroke(SOLD, width=1.8))
    short = history[history["short_count"] > 0]
    if len(short) and (history["series_count"] == 1).all():
        marker = {"color": ATTENTION, "symbol": "x", "size": 9}
        figure.add_scatter(
            x=short["business_date"], y=short["sold_units"], mode="markers", name="Ran out of stock", marker=marker
        )


def _shade_promotions(figure: go.Figure, periods: pd.DataFrame) -> None:
    half_day = pd.Timedelta(hours=12)
    for number, (first, last) in enumerate(zip(periods["start_date"], periods["end_date"], strict=True)):
        start, end = pd.Timestamp(first) - half_day, pd.Timestamp(last) + half_day
        figure.add_vrect(
            x0=start,
            x1=end,
            fillcolor=PROMOTION,
            line_width=0,
            layer="below",
            name="Promotion",
            legendgroup="promotion",
            showlegend=number == 0,
        )


def _override(figure: go.Figure, override) -> None:
    days = [override.from_date, override.to_date]
    if override.from_date == override.to_date:
        days = [
            pd.Timestamp(override.from_date) - pd.Timedelta(hours=10),
            pd.Timestamp(override.to_date) + pd.Timedelta(hours=10),
        ]
    name = f"Override by {override.decided_by}"
    _line(figure, days, [override.mean_units] * 2, name=name, stroke=Stroke(ATTENTION, width=3))


def _mark_day(figure: go.Figure, day: date) -> None:
    line = {"color": WANTED, "dash": "dash", "width": 1}
    figure.add_shape(type="line", x0=day, x1=day, y0=0, y1=1, yref="paper", line=line)
    figure.add_annotation(
        x=day,
        y=1.0,
        yref="paper",
        text="known until here",
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
        font={"size": 11, "color": WANTED},
    )


def _styled(figure: go.Figure, *, y_title: str, height: int) -> go.Figure:
    legend = {"orientation": "h", "yanchor": "top", "y": -0.12, "x": 0}
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 24, "b": 10},
        legend=legend,
        hovermode="x unified",
        separators=".,",
    )
    figure.update_xaxes(showgrid=False)
    return figure.update_yaxes(title=y_title, gridcolor=GRID, zeroline=False)
