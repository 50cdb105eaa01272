"""Demand: what will be sold, how sure that is and why, how right it was, and where the planner knows better.

Inputs, then questions to queries.py, then charts of charts.py; decisions go through decisions.py.
"""

from datetime import date, timedelta
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from dashboards import access, charts, decisions, model_names, queries, reasons, session
from dashboards.decisions import Override
from dashboards.queries import Slice
from dashboards.views import demand_inputs
from dashboards.views.demand_inputs import View
from retail_assets.failures import RetailError
from retail_assets.tables.forecast import (
    BACKFILL,
    DEMAND_FORECAST,
    FORECAST_ACCURACY,
    FORECAST_DRIVERS,
    HIERARCHY_FORECAST,
    LIVE,
    horizon_bucket,
)
from retail_assets.tables.gold import DEMAND_DAILY, DIM_PRODUCT, DIM_STORE

HISTORY_DAYS = 70
ACCURACY_DAYS = 28
RECENT_DAYS = 28
WEEK_DAYS = 7
Figure = tuple[str, str, str, str]
"""Label, value, note and explanation of one figure on top of the page."""


class AccuracyTotal(NamedTuple):
    """How far the whole company's forecast was off over a period; the fields are those of `queries.accuracy_total`."""

    wape: float
    naive_wape: float
    bias: float
    forecast_value_added: float
    series_days: float
    excluded_days: float


_ORIGINS = {
    LIVE: "made live",
    BACKFILL: "backfilled: made later from data up to that day, corrections included",
}


@session.tells_failures
def page() -> None:
    st.title("Demand")
    session.need(DEMAND_FORECAST, DEMAND_DAILY, DIM_STORE, DIM_PRODUCT)
    session.show_notices()
    session.show_short_history()
    view = demand_inputs.view()
    forecast = session.answer(queries.forecast, as_of_date=view.as_of_date, slice_=view.slice_)
    if forecast.empty:
        raise session.NothingThere(
            f"{view.title} has no forecast as of {view.as_of_date}: choose another product or day."
        )
    period = {"from_date": view.as_of_date - timedelta(days=HISTORY_DAYS - 1), "to_date": forecast["target_date"].max()}
    history = session.answer(queries.history, slice_=view.slice_, **period)
    overrides = _overrides(view.slice_)
    _figures(view, history=history, forecast=forecast)
    _chart(view, history=history, forecast=forecast, overrides=overrides)
    if view.slice_.is_one_series:
        _why(view, forecast)
    table, form = st.columns([3, 2], gap="large")
    with table:
        _coming_days(view, forecast)
    with form:
        _override(view, forecast=forecast, overrides=overrides)
    _accuracy(view)


def _overrides(slice_: Slice) -> pd.DataFrame:
    if not _can_override(slice_):
        return pd.DataFrame(columns=decisions.OVERRIDE_COLUMNS)
    return decisions.overrides(session.database(), store_id=slice_.store_id, product_id=slice_.product_id)


def _can_override(slice_: Slice) -> bool:
    return slice_ != Slice() and slice_ == Slice(store_id=slice_.store_id, product_id=slice_.product_id)


def _figures(view: View, *, history: pd.DataFrame, forecast: pd.DataFrame) -> None:
    known = history.query("business_date <= @view.as_of_date")
    expected = float(forecast["mean_units"].head(WEEK_DAYS).sum())
    figures = (
        _expected_figure(expected, float(known["sold_units"].tail(WEEK_DAYS).sum())),
        _value_figure(expected, known.tail(RECENT_DAYS)),
        _short_figure(known),
        _error_figure(_accuracy_total(view, horizon_bucket(0))),
    )
    for column, (label, value, note, explained) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            label, value, note, delta_color="off", delta_arrow="off", border=True, help=explained, height="stretch"
        )


def _expected_figure(expected: float, last_week: float) -> Figure:
    # Zero is added so that a change that rounds to nothing has no minus
    note = (
        f"{round(expected / last_week - 1, 2) + 0.0:+.0%} on the last 7 days"
        if last_week
        else "nothing sold in the last 7 days"
    )
    return "Expected, next 7 days", f"{expected:,.0f} units", note, "Sum of the mean forecasts, before overrides."


def _value_figure(expected: float, recent: pd.DataFrame) -> Figure:
    label, explained = (
        "Expected sales value",
        "Expected units of the next 7 days at the average price of the last 4 weeks.",
    )
    units = float(recent["sold_units"].sum())
    if units <= 0:
        return label, "–", "no recent price", explained
    price = float(recent["net_value"].sum()) / units
    return label, f"{session.currency()} {expected * price:,.0f}", f"{price:,.2f} a unit", explained


def _short_figure(known: pd.DataFrame) -> Figure:
    lost = float((known["unconstrained_units"] - known["sold_units"]).clip(lower=0).sum())
    note = f"about {lost:,.0f} units not sold"
    explained = (
        f"Last {HISTORY_DAYS // WEEK_DAYS} weeks: days on which stock ran out, and the demand estimated beyond sales."
    )
    short_days, series_days = int(known["short_count"].sum()), int(known["series_count"].sum())
    if series_days <= len(known):
        return "Days short of stock", f"{short_days:,} of {len(known)}", note, explained
    return "Product days short of stock", f"{short_days / series_days:.1%}", note, explained


def _error_figure(total: AccuracyTotal | None) -> Figure:
    label = f"Forecast error, last {ACCURACY_DAYS} days"
    explained = "Whole company, 1–7 days ahead: sum of absolute errors over demand."
    if total is None:
        return label, "–", "not scored yet", explained
    return label, f"{total.wape:.0%}", f"{total.naive_wape:.0%} by repeating last week", explained


def _accuracy_total(view: View, bucket: str) -> AccuracyTotal | None:
    from_date = view.as_of_date - timedelta(days=ACCURACY_DAYS - 1)
    period = {"from_date": from_date, "to_date": view.as_of_date}
    found = session.answer(queries.accuracy_total, horizon_bucket=bucket, **period).iloc[0]
    total = AccuracyTotal(*(found[name] for name in AccuracyTotal._fields))
    return None if pd.isna(total.wape) or pd.isna(total.forecast_value_added) else total


def _chart(view: View, *, history: pd.DataFrame, forecast: pd.DataFrame, overrides: pd.DataFrame) -> None:
    st.subheader(view.title)
    st.caption(_provenance(forecast))
    shown = overrides[overrides["to_date"] > view.as_of_date].iloc[::-1]
    figure = charts.fan_chart(
        history, forecast, as_of_date=view.as_of_date, promotions=_promotions(view, forecast), overrides=shown
    )
    st.plotly_chart(figure, key="demand_fan_chart", config={"displaylogo": False})
    if not view.slice_.is_one_series:
        st.caption(_whose(view, forecast))


def _whose(view: View, forecast: pd.DataFrame) -> str:
    """Whose forecast of many series is drawn, and where its band comes from or why there is none."""
    line = "The line is the sum of the expected demand of every product in every store chosen."
    if view.slice_.group is None:
        return (
            f"{line} Bands are shown for one product in one store and for groups of products: the quantiles of single"
            " series do not add up."
        )
    if not bool(forecast["is_group"].all()):
        return f"{line} {_no_band(view.as_of_date)}"
    return f"{line} The band comes from the errors of such sums in the backtest. {_own_model(forecast)}"


def _no_band(as_of_date: date) -> str:
    path = HIERARCHY_FORECAST.path
    if session.has(HIERARCHY_FORECAST):
        return f"There is no band: {path} has no forecast of this group made after {as_of_date:%d %b %Y}."
    return f"There is no band yet: {path}, which holds it, is made with the next forecast."


def _own_model(forecast: pd.DataFrame) -> str:
    own = forecast.loc[forecast["model_units"].notna()].head(WEEK_DAYS)
    if own.empty:
        return "No model of the group's own total was chosen beside the sum."
    name = str(own["group_model_name"].iloc[0])
    return (
        f"The group's own model, {model_names.described(name)}, is drawn beside it: {own['model_units'].sum():,.0f}"
        f" units in the next {len(own)} days against {own['mean_units'].sum():,.0f}. Orders follow the sum."
    )


def _why(view: View, forecast: pd.DataFrame) -> None:
    st.subheader("Why this forecast")
    series = {"store_id": view.slice_.store_id, "product_id": view.slice_.product_id}
    weeks = session.answer(queries.drivers, as_of_date=view.as_of_date, **series)
    if weeks.empty:
        st.caption(_no_reasons(forecast))
        return
    week = _week(weeks)
    st.markdown(f"**{reasons.sentence(week)}**")
    table, chart = st.columns([2, 3], gap="large")
    with table:
        _weeks_table(weeks)
        st.caption("Means of the days the store is open. Hover over a bar for what it stands for.")
    with chart:
        figure = charts.reasons_chart(reasons.steps(week))
        st.plotly_chart(figure, key="demand_reasons_chart", config={"displaylogo": False})


def _no_reasons(forecast: pd.DataFrame) -> str:
    if model_names.NAIVE in set(forecast["model_version"]):
        return (
            "No trained model was promoted when this forecast was made: it repeats the same weekday of last week"
            " (seasonal naive), so there is no other reason to show."
        )
    if not session.has(FORECAST_DRIVERS):
        return f"No reasons yet: {FORECAST_DRIVERS.path}, which holds them, is made with the next forecast."
    return f"{FORECAST_DRIVERS.path} holds no reasons for this product in this store on that day."


def _week(weeks: pd.DataFrame) -> dict[str, Any]:
    by_number = {int(week["week_number"]): week for week in weeks.to_dict("records")}
    chosen = st.segmented_control(
        "Week ahead",
        list(by_number),
        default=next(iter(by_number)),
        required=True,
        format_func=lambda number: _days(by_number[number]),
        key="demand_reasons_week",
    )
    return by_number[int(chosen or next(iter(by_number)))]


def _days(week: dict[str, Any]) -> str:
    return f"{week['first_date']:%d %b} – {week['last_date']:%d %b}"


def _weeks_table(weeks: pd.DataFrame) -> None:
    shown = {f"{week['first_date']:%d %b}": reasons.column(week) for week in weeks.to_dict("records")}
    st.table(pd.DataFrame(shown).rename_axis("Week of"), border="horizontal")


def _promotions(view: View, forecast: pd.DataFrame) -> pd.DataFrame:
    if not view.slice_.is_one_series:
        return pd.DataFrame({"start_date": [], "end_date": []})
    first, last = forecast["target_date"].min(), forecast["target_date"].max()
    planned = session.answer(queries.planned_promotions, from_date=first, to_date=last, slice_=view.slice_)
    inside = {"start_date": planned["start_date"].clip(lower=first), "end_date": planned["end_date"].clip(upper=last)}
    return pd.DataFrame(inside)


def _provenance(forecast: pd.DataFrame) -> str:
    first = forecast.to_dict("records")[0]
    series = f" · {first['series_count']:,} series" if first["series_count"] > 1 else ""
    origin = _ORIGINS.get(first["origin"], first["origin"])
    made_by = model_names.described(first["model_name"])
    return f"Model {made_by}, version **{first['model_version']}** · {origin}{series}"


def _coming_days(view: View, forecast: pd.DataFrame) -> None:
    st.subheader("Coming days")
    columns = {
        "target_date": st.column_config.DateColumn("Day", format="ddd D MMM"),
        "mean_units": st.column_config.NumberColumn("Expected", format="%.1f", help="Mean demand, units."),
    }
    if bool(forecast["q500"].notna().any()):
        columns |= {
            "q100": st.column_config.NumberColumn("Quiet day", format="%.0f", help="One day in ten sells less."),
            "q500": st.column_config.NumberColumn("Typical", format="%.0f", help="Half of the days sell less."),
            "q900": st.column_config.NumberColumn("Busy day", format="%.0f", help="One day in ten sells more."),
        }
    if view.slice_.is_one_series:
        columns["p_zero"] = st.column_config.NumberColumn("No sale", format="percent", help="Chance to sell nothing.")
    st.dataframe(
        forecast,
        column_order=list(columns),
        column_config=columns,
        hide_index=True,
        height=380,
        key="demand_coming_days",
    )


def _override(view: View, *, forecast: pd.DataFrame, overrides: pd.DataFrame) -> None:
    st.subheader("Override")
    if not _can_override(view.slice_):
        st.caption("Overrides are set for a product, a store, or a product in a store: choose one of these levels.")
        return
    if view.is_newest:
        # What was saved leaves the form empty: the next override has other keys
        scope = f"{view.slice_.store_id}_{view.slice_.product_id}_{len(overrides)}"
        _override_form(view, forecast, scope=scope)
    else:
        st.caption("This is a past forecast: choose the newest day to override the demand ahead.")
    if not overrides.empty:
        _past_overrides(overrides)


def _override_form(view: View, forecast: pd.DataFrame, *, scope: str) -> None:
    targets: list[date] = forecast["target_date"].tolist()
    first, last = targets[0], targets[-1]
    with st.form("demand_override"):
        st.caption(
            f"Do you know better for **{view.title}**? It is kept with your name and reason, and shown beside the "
            "forecast; orders do not follow it yet."
        )
        left, right = st.columns(2)
        days: dict[str, Any] = {"min_value": first, "max_value": last, "format": "DD/MM/YYYY"}
        from_date = left.date_input("From", first, key=f"override_from_{scope}", **days)
        week_end = min(last, first + timedelta(days=WEEK_DAYS - 1))
        to_date = right.date_input("To", week_end, key=f"override_to_{scope}", **days)
        usual = round(float(forecast["mean_units"].head(WEEK_DAYS).mean()), 1)
        mean_units = st.number_input(
            _units_label(view.slice_),
            min_value=0.0,
            value=usual,
            step=1.0,
            format="%.1f",
            key=f"override_units_{scope}",
        )
        reason = st.text_input("Reason", key=f"override_reason_{scope}", placeholder="local fair, competitor closed …")
        is_sent = st.form_submit_button("Save override", type="primary", key="override_save")
    if is_sent:
        override = Override(view.slice_.store_id, view.slice_.product_id, from_date, to_date, mean_units, reason)
        _save(override, view.title)


def _units_label(slice_: Slice) -> str:
    """What the planner's number counts: overrides of many series are their total, split by the pipeline."""
    if slice_.is_one_series:
        return "Units a day"
    return "Units a day, all stores together" if slice_.product_id else "Units a day, all products together"


def _save(override: Override, title: str) -> None:
    try:
        decisions.save_override(session.database(), override, who=access.planner())
    except RetailError as refusal:
        st.error(str(refusal))
        return
    days = f"{override.from_date:%d %b} – {override.to_date:%d %b}"
    session.tell(f"Override saved for {title}: {override.mean_units:g} units a day, {days}.")
    st.rerun()


def _past_overrides(overrides: pd.DataFrame) -> None:
    st.caption("Overrides here, newest first; where they overlap the newest counts.")
    columns = {
        "from_date": st.column_config.DateColumn("From", format="D MMM"),
        "to_date": st.column_config.DateColumn("To", format="D MMM"),
        "mean_units": st.column_config.NumberColumn("Units a day", format="%.1f"),
        "reason": st.column_config.TextColumn("Reason"),
        "decided_by": st.column_config.TextColumn("By"),
        "decided_at": st.column_config.DatetimeColumn("When", format="D MMM, HH:mm"),
    }
    st.dataframe(
        overrides, column_order=list(columns), column_config=columns, hide_index=True, key="demand_past_overrides"
    )


def _accuracy(view: View) -> None:
    st.subheader("Was the forecast right?")
    session.need(FORECAST_ACCURACY)
    period = {"from_date": view.as_of_date - timedelta(days=HISTORY_DAYS - 1), "to_date": view.as_of_date}
    buckets = session.answer(queries.horizon_buckets, **period)["horizon_bucket"].tolist() or [horizon_bucket(0)]
    bucket = st.segmented_control("Days ahead", buckets, default=buckets[0], required=True, key="demand_horizon_bucket")
    scored = session.answer(queries.accuracy, horizon_bucket=bucket, **period)
    if scored.empty:
        st.caption("No forecast of this distance has met its day yet.")
        return
    chart, words = st.columns([3, 1], gap="large", vertical_alignment="center")
    with chart:
        st.plotly_chart(charts.accuracy_chart(scored), key="demand_accuracy_chart", config={"displaylogo": False})
    with words:
        _verdict(_accuracy_total(view, str(bucket)))


def _verdict(total: AccuracyTotal | None) -> None:
    if total is None:
        return
    added, bias = total.forecast_value_added, total.bias
    better = "smaller" if added >= 0 else "larger"
    side = "above" if bias >= 0 else "below"
    excluded = total.excluded_days / (total.excluded_days + total.series_days)
    st.markdown(
        f"Over the last {ACCURACY_DAYS} days the error was **{abs(added):.0%} {better}** than by repeating the same day"
        f" of the week before. On average we were **{abs(bias):.1%} {side}** demand."
    )
    st.caption(f"Whole company; {excluded:.0%} of the product days are left out because stock limited the sales.")
