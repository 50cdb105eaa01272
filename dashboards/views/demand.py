"""Demand: what will be sold, how sure that is, how right it was, and where the planner knows better.

Inputs, then questions to queries.py, then charts of charts.py; decisions go through decisions.py.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import access, charts, decisions, queries, session
from dashboards.decisions import Override
from dashboards.queries import Slice
from retail_assets.failures import RetailError
from retail_assets.tables.forecast import DEMAND_FORECAST, FORECAST_ACCURACY
from retail_assets.tables.gold import DEMAND_DAILY, DIM_PRODUCT, DIM_STORE

LEVELS = ("Product", "Department", "Store", "Company")
EVERY_STORE = "All stores"
EVERY_DEPARTMENT = "All departments"
HISTORY_DAYS = 70
ACCURACY_DAYS = 28
RECENT_DAYS = 28
WEEK_DAYS = 7
Figure = tuple[str, str, str, str]
"""Label, value, note and explanation of one figure on top of the page."""

Names = dict[str, str]
"""Identifier to name, in the order to show."""

_ORIGINS = {
    "live": "made live",
    "backfill": "backfilled: made later from data up to that day, corrections included",
}


@dataclass(frozen=True)
class View:
    """What the planner looks at."""

    slice_: Slice
    title: str
    as_of_date: date
    is_newest: bool


@session.tells_failures
def page() -> None:
    st.title("Demand")
    session.need(DEMAND_FORECAST, DEMAND_DAILY, DIM_STORE, DIM_PRODUCT)
    session.show_notices()
    view = _inputs()
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
    table, form = st.columns([3, 2], gap="large")
    with table:
        _coming_days(view, forecast)
    with form:
        _override(view, forecast=forecast, overrides=overrides)
    _accuracy(view)


def _inputs() -> View:
    level = st.segmented_control("Level", LEVELS, default=LEVELS[0], required=True, key="demand_level")
    columns = st.columns([2, 2, 3, 2])
    dates = session.answer(queries.forecast_dates)
    with columns[3]:
        as_of_date = st.selectbox(
            "Forecast made after",
            dates,
            format_func=lambda day: f"{day:%d %b %Y}{' · newest' if day == dates[0] else ''}",
            key="demand_as_of_date",
            help="The last day the forecast knew. Choose an earlier one to see what was expected then.",
        )
    with columns[0]:
        store_id = _store(str(level))
    with columns[1]:
        department = _department(str(level))
    if level != LEVELS[0]:
        slice_ = Slice(store_id, department)
        return View(slice_, _title(slice_, {}), as_of_date, as_of_date == dates[0])
    filters = {"as_of_date": as_of_date, "store_id": store_id, "department": department}
    products = _names(session.answer(queries.products, **filters), "product_id", "product_name")
    with columns[2]:
        slice_ = Slice(store_id, None, _product(products))
    return View(slice_, _title(slice_, products), as_of_date, as_of_date == dates[0])


def _store(level: str) -> str | None:
    names = _names(session.answer(queries.stores), "store_id", "store_name")
    options = list(names) if level == "Store" else [*names, EVERY_STORE]
    if level == "Company":
        return None
    chosen = st.selectbox("Store", options, format_func=lambda key: _named(key, names), key="demand_store")
    return None if chosen == EVERY_STORE else chosen


def _department(level: str) -> str | None:
    if level not in ("Product", "Department"):
        return None
    names = session.answer(queries.departments)["department"].tolist()
    options = names if level == "Department" else [EVERY_DEPARTMENT, *names]
    chosen = st.selectbox("Department", options, key=f"demand_department_{level.lower()}")
    return None if chosen == EVERY_DEPARTMENT else chosen


def _product(names: Names) -> str:
    if not names:
        raise session.NothingThere("Nothing was forecast here on that day: choose another store, department or day.")
    return st.selectbox(
        "Product",
        list(names),
        format_func=lambda key: _named(key, names),
        key="demand_product",
        help="Highest expected sales value first; type to search.",
    )


def _names(frame: pd.DataFrame, key: str, name: str) -> Names:
    return dict(zip(frame[key], frame[name], strict=True))


def _named(key: str, names: Names) -> str:
    name = names.get(key, key)
    return key if name == key else f"{name} · {key}"


def _title(slice_: Slice, products: Names) -> str:
    stores = _names(session.answer(queries.stores), "store_id", "store_name")
    where = stores.get(slice_.store_id, slice_.store_id) if slice_.store_id else EVERY_STORE.lower()
    what = products.get(slice_.product_id, slice_.product_id) if slice_.product_id else slice_.department
    return f"{what} in {where}" if what else where[0].upper() + where[1:]


def _overrides(slice_: Slice) -> pd.DataFrame:
    if not _can_override(slice_):
        return pd.DataFrame(columns=decisions.OVERRIDE_COLUMNS)
    return decisions.overrides(session.database(), store_id=slice_.store_id, product_id=slice_.product_id)


def _can_override(slice_: Slice) -> bool:
    return slice_.department is None and slice_ != Slice()


def _figures(view: View, *, history: pd.DataFrame, forecast: pd.DataFrame) -> None:
    known = history.query("business_date <= @view.as_of_date")
    expected = float(forecast["mean_units"].head(WEEK_DAYS).sum())
    figures = (
        _expected_figure(expected, float(known["sold_units"].tail(WEEK_DAYS).sum())),
        _value_figure(expected, known.tail(RECENT_DAYS)),
        _short_figure(known),
        _error_figure(_accuracy_total(view, queries.HORIZON_BUCKETS[0])),
    )
    for column, (label, value, note, explained) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            label, value, note, delta_color="off", delta_arrow="off", border=True, help=explained, height="stretch"
        )


def _expected_figure(expected: float, last_week: float) -> Figure:
    note = f"{expected / last_week - 1:+.0%} on the last 7 days" if last_week else "nothing sold in the last 7 days"
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


def _error_figure(total: dict[str, Any] | None) -> Figure:
    label = f"Forecast error, last {ACCURACY_DAYS} days"
    explained = "Whole company, 1–7 days ahead: sum of absolute errors over demand."
    if total is None:
        return label, "–", "not scored yet", explained
    return label, f"{total['wape']:.0%}", f"{total['naive_wape']:.0%} by repeating last week", explained


def _accuracy_total(view: View, bucket: str) -> dict[str, Any] | None:
    from_date = view.as_of_date - timedelta(days=ACCURACY_DAYS - 1)
    period = {"from_date": from_date, "to_date": view.as_of_date}
    total = session.answer(queries.accuracy_total, horizon_bucket=bucket, **period).to_dict("records")[0]
    return None if pd.isna(total["wape"]) or pd.isna(total["forecast_value_added"]) else total


def _chart(view: View, *, history: pd.DataFrame, forecast: pd.DataFrame, overrides: pd.DataFrame) -> None:
    st.subheader(view.title)
    st.caption(_provenance(forecast))
    shown = overrides[overrides["to_date"] > view.as_of_date].iloc[::-1]
    figure = charts.fan_chart(
        history, forecast, as_of_date=view.as_of_date, promotions=_promotions(view, forecast), overrides=shown
    )
    st.plotly_chart(figure, key="demand_fan_chart", config={"displaylogo": False})
    if not view.slice_.is_one_series:
        st.caption(
            "The line is the sum of the expected demand of every product in every store chosen. Bands are shown for one"
            " product in one store only: the quantiles of single series do not add up."
        )


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
    return f"Model **{first['model_name']}**, version **{first['model_version']}** · {origin}{series}"


def _coming_days(view: View, forecast: pd.DataFrame) -> None:
    st.subheader("Coming days")
    columns = {
        "target_date": st.column_config.DateColumn("Day", format="ddd D MMM"),
        "mean_units": st.column_config.NumberColumn("Expected", format="%.1f", help="Mean demand, units."),
    }
    if view.slice_.is_one_series:
        columns |= {
            "q100": st.column_config.NumberColumn("Quiet day", format="%.0f", help="One day in ten sells less."),
            "q500": st.column_config.NumberColumn("Typical", format="%.0f", help="Half of the days sell less."),
            "q900": st.column_config.NumberColumn("Busy day", format="%.0f", help="One day in ten sells more."),
            "p_zero": st.column_config.NumberColumn("No sale", format="percent", help="Chance to sell nothing."),
        }
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
    bucket = st.segmented_control(
        "Days ahead", queries.HORIZON_BUCKETS, default="1-7", required=True, key="demand_horizon_bucket"
    )
    period = {"from_date": view.as_of_date - timedelta(days=HISTORY_DAYS - 1), "to_date": view.as_of_date}
    scored = session.answer(queries.accuracy, horizon_bucket=bucket, **period)
    if scored.empty:
        st.caption("No forecast of this distance has met its day yet.")
        return
    chart, words = st.columns([3, 1], gap="large", vertical_alignment="center")
    with chart:
        st.plotly_chart(charts.accuracy_chart(scored), key="demand_accuracy_chart", config={"displaylogo": False})
    with words:
        _verdict(_accuracy_total(view, str(bucket)))


def _verdict(total: dict[str, Any] | None) -> None:
    if total is None:
        return
    added, bias = total["forecast_value_added"], total["bias"]
    better = "smaller" if added >= 0 else "larger"
    side = "above" if bias >= 0 else "below"
    excluded = total["excluded_days"] / (total["excluded_days"] + total["series_days"])
    st.markdown(
        f"Over the last {ACCURACY_DAYS} days the error was **{abs(added):.0%} {better}** than by repeating the same day"
        f" of the week before. On average we were **{abs(bias):.1%} {side}** demand."
    )
    st.caption(f"Whole company; {excluded:.0%} of the product days are left out because stock limited the sales.")
