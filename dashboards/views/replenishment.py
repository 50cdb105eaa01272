"""Replenishment: what to order today, what it saves, why this quantity, and the planner's decision on it.

Inputs, then questions to queries.py, then charts of charts.py; decisions go through decisions.py.
"""

from dataclasses import dataclass, replace
from datetime import date
from math import ceil
from typing import Any
from zlib import crc32

import pandas as pd
import pyarrow as pa
import streamlit as st

from dashboards import access, charts, decisions, queries, session
from dashboards.decisions import Proposal
from dashboards.queries import PlanFilter
from retail_assets.failures import RetailError
from retail_assets.tables.gold import DIM_SUPPLIER, FACT_INVENTORY
from retail_assets.tables.inventory import REPLENISHMENT_PLAN
from retail_assets.windows import ONE_DAY

EVERYTHING = "All"
_STEPS = (
    ("Need", "qty_need_units"),
    ("Line minimum", "qty_after_minimum_units"),
    ("Whole packs", "qty_after_pack_units"),
    ("Shelf limit", "qty_after_cap_units"),
    ("Supplier minimum", "qty_after_supplier_minimum_units"),
    ("Budget", "qty_after_budget_units"),
    ("Order", "order_units"),
)
Line = dict[str, Any]
"""One line of the worklist by column name."""


@dataclass(frozen=True)
class Plan:
    """One day's plan with what was decided on it."""

    as_of_date: date
    is_newest: bool
    lines: pa.Table
    decided: pa.Table


@session.tells_failures
def page() -> None:
    st.title("Replenishment")
    dates = session.answer(queries.plan_dates)
    _say_age(dates)
    session.show_notices()
    if not dates:
        raise session.NothingThere(_why_no_plan())
    plan, chosen = _inputs(dates)
    _figures(plan, chosen)
    explained = _worklist(plan, chosen)
    if explained is not None:
        _detail(plan, explained)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _suppliers(plan, chosen)
    with right:
        _export()


def _age_days(as_of_date: date) -> int:
    """Days that closed after the plan was made: 0 for last night's."""
    return max((session.today() - ONE_DAY - as_of_date).days, 0)


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def _say_age(dates: list[date]) -> None:
    """Nothing while the newest plan is last night's."""
    if dates and (age := _age_days(dates[0])):
        st.error(
            f"**The newest plan is {_days(age)} old.** It was made after {dates[0]:%A %d %B %Y} and knows no sale,"
            " stock or order since. Lines whose order date has passed cannot be approved. Find out in Dagster why no"
            " later night was planned, or run `retail-assets run`.",
            icon=":material/history:",
        )


def _why_no_plan() -> str:
    session.need(FACT_INVENTORY, DIM_SUPPLIER)
    missing = session.answer(queries.missing_inputs)["input"].tolist()
    if missing:
        return (
            f"There is nothing to replenish here: the source delivers no {' and no '.join(missing)}. Bind them in the"
            " source mapping and orders will appear; forecasts on the Demand page need neither."
        )
    return (
        f"{REPLENISHMENT_PLAN.path} has not been made yet: materialise the asset {REPLENISHMENT_PLAN.path} in Dagster"
        " (or run `make run`), then reload this page."
    )


def _inputs(dates: list[date]) -> tuple[Plan, PlanFilter]:
    columns = st.columns([2, 2, 2, 2, 2])
    with columns[4]:
        day = st.selectbox(
            "Plan made after",
            dates,
            # The same in every run: the choice of a page left open over midnight still names a plan
            format_func=lambda value: f"{value:%d %b %Y}",
            key="plan_as_of_date",
            help="The newest comes first; only that one can be decided on.",
        )
    lines = session.answer(queries.plan, as_of_date=day)
    with columns[0]:
        store_id = _choice("Store", lines, "store")
    with columns[1]:
        supplier_id = _choice("Supplier", lines, "supplier")
    with columns[2]:
        department = _choice("Department", lines, "department")
    with columns[3]:
        search = st.text_input("Product", key="plan_search", placeholder="name or number")
    status, only_exceptions = _second_row()
    chosen = PlanFilter(store_id, supplier_id, department, status, search, only_exceptions)
    decided = decisions.decided(session.database(), from_order_date=day)
    return Plan(day, day == dates[0], lines, decided), chosen


def _second_row() -> tuple[str | None, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        status = st.segmented_control(
            "Show",
            [*queries.STATUSES, EVERYTHING],
            default=queries.STATUSES[0],
            required=True,
            format_func=str.capitalize,
            key="plan_status",
        )
        only_exceptions = st.toggle("Only exceptions", key="plan_only_exceptions", help="Lines that need a person.")
    return (None if status == EVERYTHING else status), only_exceptions


def _choice(label: str, lines: pa.Table, column: str) -> str | None:
    names = dict(queries.plan_choices(lines, column=column))
    chosen = st.selectbox(
        label, [EVERYTHING, *names], format_func=lambda key: str(names.get(key, key)), key=f"plan_{column}"
    )
    return None if chosen == EVERYTHING else chosen


def _figures(plan: Plan, chosen: PlanFilter) -> None:
    totals = queries.plan_totals(plan.lines, plan.decided, chosen=replace(chosen, status=None)).to_dict("records")[0]
    figures = (
        ("Lines to decide", f"{totals['open_count']:,.0f}", "Proposed orders nobody approved or rejected yet."),
        ("Their order value", _money(totals["open_value"]), "At cost."),
        ("Margin they save", _money(totals["open_margin_value"]), "Margin on sales expected to be lost without them."),
        ("Exceptions", f"{totals['exception_count']:,.0f}", "Lines that need a person: late orders, missing data."),
        ("Approved", _money(totals["approved_value"]), f"{totals['approved_count']:,.0f} lines, at cost."),
    )
    for column, (label, value, note) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, value, help=note, border=True)


def _worklist(plan: Plan, chosen: PlanFilter) -> Line | None:
    """Show one page of lines and return the one to explain: the first ticked, else the first."""
    frame = queries.worklist(plan.lines, plan.decided, chosen=chosen, page=_page_number(plan, chosen))
    if frame.empty:
        st.info("No line of the plan matches: change the filters above.", icon=":material/done_all:")
        return None
    shown = st.dataframe(
        frame.round({"lost_margin_avoided_value": 2, "final_value": 2, "demand_mean_units": 1}),
        column_order=list(_columns(chosen)),
        column_config=_columns(chosen),
        hide_index=True,
        height=min(420, 38 + 35 * len(frame)),
        on_select="rerun",
        selection_mode="multi-row",
        key=lines_key(frame),
        placeholder="–",
    )
    lines: list[Line] = frame.to_dict("records")
    ticked = [lines[row] for row in shown["selection"]["rows"]]
    _approve_many_button(plan, ticked)
    return ticked[0] if ticked else lines[0]


def _page_number(plan: Plan, chosen: PlanFilter) -> int:
    counted = queries.plan_totals(plan.lines, plan.decided, chosen=chosen).to_dict("records")[0]
    pages = max(1, ceil(counted["line_count"] / queries.PAGE_ROWS))
    if pages == 1:
        return 1
    return st.selectbox("Page", range(1, pages + 1), format_func=lambda n: f"{n} of {pages}", key="plan_page")


def lines_key(frame: pd.DataFrame) -> str:
    """Widget key of the worklist: other lines get another key, so that a selection never slides to another line."""
    return f"plan_lines_{crc32(' '.join(frame['proposal_id']).encode())}"


def _columns(chosen: PlanFilter) -> dict[str, Any]:
    text = st.column_config.TextColumn
    return {
        "lost_margin_avoided_value": _money_column("Saves", "Margin lost without the order."),
        "product_name": text("Product"),
        "store_name": text("Store"),
        "on_hand_units": _number("On hand", "Units at closing."),
        "on_order_counted_units": _number("On the way", "Units arriving before the next delivery."),
        "demand_mean_units": _number("Demand", "Units expected until the next delivery arrives."),
        "final_units": _number("Order", "Units proposed, or approved."),
        "final_value": _money_column("Value", "Order at cost."),
        "supplier_name": text("Supplier"),
        "expected_delivery_date": st.column_config.DateColumn("Arrives", format="ddd D MMM"),
        **({} if chosen.status else {"status": text("Status")}),
        "exception": text("Exception"),
    }


def _number(label: str, explained: str) -> Any:
    return st.column_config.NumberColumn(label, help=explained, format="localized")


def _money_column(label: str, explained: str) -> Any:
    return st.column_config.NumberColumn(f"{label}, {session.currency()}", help=explained, format="accounting")


def _approve_many_button(plan: Plan, ticked: list[Line]) -> None:
    undecided = [line for line in ticked if line["status"] == "to decide"]
    open_lines = [line for line in undecided if not _has_passed(line)]
    with st.container(horizontal=True, vertical_alignment="center"):
        # The proposals are bound here: what was on the screen is approved, even if it changed since
        st.button(
            f"Approve {len(open_lines)} as proposed" if len(open_lines) else "Approve as proposed",
            type="primary",
            disabled=not open_lines or not plan.is_newest,
            key="plan_approve_many",
            on_click=_approve_many,
            args=([_proposal(line) for line in open_lines],),
        )
        late = len(undecided) - len(open_lines)
        st.caption(f"{_counted(late)} should have left before today. " * bool(late) + _sum_of(open_lines))


def _has_passed(line: Line) -> bool:
    """Whether the order should have left on an earlier day."""
    return line["order_date"] < session.today()


def _sum_of(lines: list[Line]) -> str:
    if not lines:
        return "Tick lines to approve them together; the first ticked line is explained below."
    value = sum(line["final_value"] for line in lines if not pd.isna(line["final_value"]))
    return f"{_money(value)} at cost, {sum(line['final_units'] for line in lines):,.0f} units"


def _approve_many(proposals: list[Proposal]) -> None:
    refusals = [sentence for proposal in proposals if (sentence := _approved(proposal, proposal.order_units, ""))]
    done = len(proposals) - len(refusals)
    if done:
        session.tell(f"{_counted(done)} approved.")
    for sentence in refusals:
        session.warn(sentence)


def _approved(proposal: Proposal, order_units: float, reason: str) -> str | None:
    """Approve, or say why not."""
    try:
        decisions.approve(
            session.database(),
            proposal,
            order_units=order_units,
            reason=reason,
            who=access.planner(),
            today=session.today(),
        )
    except RetailError as refusal:
        return str(refusal)
    return None


def _detail(plan: Plan, line: Line) -> None:
    with st.container(border=True):
        st.subheader(f"Why {line['order_units']:,.0f} units of {line['product_name']} for {line['store_name']}?")
        st.markdown(line["reason"])
        if line["exception"]:
            st.warning(line["exception"], icon=":material/warning:")
        why, decision = st.columns([7, 3], gap="large")
        with why:
            _stock(line)
            _steps(line)
        with decision:
            _decision(plan, line)
            st.markdown("**In figures**")
            st.table(_position(line), hide_header=True, hide_index=True, border="horizontal")


def _stock(line: Line) -> None:
    st.markdown(f"**What we have and what {line['protection_days']:.0f} days need**")
    st.plotly_chart(charts.stock_chart(line), key="plan_stock_chart", config={"displayModeBar": False})


def _position(line: Line) -> pd.DataFrame:
    days = f"{line['protection_days']:.0f} days"
    rows = (
        ("On hand and on the way", f"{line['inventory_position_units']:,.0f}"),
        (f"Expected demand, {days}", f"{line['demand_mean_units']:,.1f}"),
        ("Safety stock", f"{line['safety_stock_units']:,.1f}"),
        ("Order at or below", f"{line['reorder_point_units']:,.0f}"),
        ("Service with this order", f"{line['predicted_service_rate']:.1%}"),
        ("Service wanted", f"{line['target_service_rate']:.1%}"),
        *_waste(line),
    )
    return pd.DataFrame([{"fact": fact, "value": value} for fact, value in rows])


def _waste(line: Line) -> list[tuple[str, str]]:
    """Plans made before waste was expected have none to show."""
    units = line["expected_waste_units"]
    return [] if pd.isna(units) else [("Likely to spoil", f"{units:,.1f}")]


def _steps(line: Line) -> None:
    st.markdown("**From the need to the order**")
    st.plotly_chart(charts.quantity_chart(step_frame(line)), key="plan_step_chart", config={"displayModeBar": False})
    st.caption(
        f"Packs of {line['pack_units']:g}. Leaves {line['order_date']:%a %d %b}, sold from"
        f" {line['expected_delivery_date']:%a %d %b}; the next chance arrives {line['next_delivery_date']:%a %d %b}."
        f" Without it {line['expected_shortage_units']:,.1f} units would be missing."
    )


def step_frame(line: Line) -> pd.DataFrame:
    """label, units after the step and change of every step from the need to the order; changes add up exactly."""
    known = [(label, line[column]) for label, column in _STEPS if pd.notna(line[column])]
    frame = pd.DataFrame([{"label": label, "units": float(units)} for label, units in known])
    return frame.assign(change=frame["units"].diff().fillna(frame["units"]))


def _decision(plan: Plan, line: Line) -> None:
    st.markdown("**Your decision**")
    if line["decision"]:
        _decided(line)
    elif not plan.is_newest:
        st.caption("This is a past plan: choose the newest one to decide.")
    elif not line["supplier_id"] or line["pack_units"] <= 0:
        st.caption("Nothing can be ordered before the source names its supplier and pack.")
    elif _has_passed(line):
        st.caption(
            f"This order should have left on {line['order_date']:%A %d %B %Y} and can no longer be approved:"
            " tonight's plan orders what is still needed."
        )
    else:
        _decision_inputs(_proposal(line))


def _decided(line: Line) -> None:
    units = f" · {line['final_units']:,.0f} units" if line["decision"] == decisions.APPROVED else ""
    st.success(f"{line['decision'].capitalize()}{units}", icon=":material/task_alt:")
    st.caption(f"by {line['decided_by']}, {line['decided_at']:%d %b %Y %H:%M} UTC")
    if line["decision_reason"]:
        st.markdown(f"“{line['decision_reason']}”")
    if pd.notna(line["exported_at"]):
        st.caption(f"Exported {line['exported_at']:%d %b %Y %H:%M} UTC")


def _decision_inputs(proposal: Proposal) -> None:
    units_key, reason_key = f"plan_units_{proposal.proposal_id}", f"plan_reason_{proposal.proposal_id}"
    start = proposal.order_units or proposal.pack_units
    st.number_input("Units to order", 0.0, value=start, step=proposal.pack_units, format="%.0f", key=units_key)
    st.text_input("Reason", key=reason_key, placeholder="needed when you change or reject")
    with st.container(horizontal=True):
        bound: dict[str, Any] = {"args": (proposal, units_key, reason_key)}
        st.button("Approve", type="primary", key="plan_approve", on_click=_approve_one, **bound)
        st.button("Reject", key="plan_reject", on_click=_reject_one, **bound)


def _approve_one(proposal: Proposal, units_key: str, reason_key: str) -> None:
    units = float(st.session_state[units_key] or 0)
    refusal = _approved(proposal, units, st.session_state[reason_key])
    if refusal:
        session.warn(refusal)
    else:
        session.tell(f"Approved: {units:g} units of {proposal.product_id} for {proposal.store_id}.")


def _reject_one(proposal: Proposal, units_key: str, reason_key: str) -> None:
    try:
        decisions.reject(session.database(), proposal, reason=st.session_state[reason_key], who=access.planner())
    except RetailError as refusal:
        session.warn(str(refusal))
        return
    session.tell(f"Rejected: {proposal.product_id} for {proposal.store_id}.")


def _proposal(line: Line) -> Proposal:
    return Proposal(
        proposal_id=line["proposal_id"],
        store_id=line["store_id"],
        product_id=line["product_id"],
        supplier_id=line["supplier_id"],
        order_units=float(line["order_units"]),
        pack_units=float(line["pack_units"]),
        unit_cost=None if pd.isna(line["unit_cost"]) else float(line["unit_cost"]),
        order_date=line["order_date"],
        expected_delivery_date=line["expected_delivery_date"],
    )


def _suppliers(plan: Plan, chosen: PlanFilter) -> None:
    st.subheader("Orders by supplier and delivery")
    totals = queries.supplier_totals(plan.lines, plan.decided, chosen=replace(chosen, status=None))
    columns = {
        "supplier_name": st.column_config.TextColumn("Supplier"),
        "expected_delivery_date": st.column_config.DateColumn("Arrives", format="ddd D MMM"),
        "store_count": _number("Stores", "Stores that receive."),
        "line_count": _number("Lines", "Lines of the order."),
        "approved_count": _number("Approved", "Lines approved so far."),
        "order_units": _number("Units", "Units proposed or approved."),
        "order_value": _money_column("Value", "At cost."),
        "lost_margin_avoided_value": _money_column("Saves", "Margin lost without the order."),
    }
    st.dataframe(
        totals.round(2), column_order=list(columns), column_config=columns, hide_index=True, key="plan_supplier_totals"
    )


def _export() -> None:
    st.subheader("Export")
    waiting = decisions.waiting_for_export(session.database())
    late = int((pd.to_datetime(waiting["order_date"]) < pd.Timestamp(session.today())).sum())
    st.caption("Approved lines leave once, as a CSV file for the purchasing system.")
    if late:
        st.warning(f"{_counted(late)} waiting should have left before today: agree on a new day with the supplier.")
    st.button(
        f"Export {_counted(len(waiting))}" if len(waiting) else "Nothing to export",
        type="primary",
        disabled=waiting.empty,
        key="plan_export",
        on_click=_export_now,
    )
    past = decisions.exports(session.database())
    if past.empty:
        return
    names = {row["export_id"]: _export_name(row) for row in past.to_dict("records")}
    export_id = str(
        st.selectbox("Exports so far", list(names), format_func=lambda key: names[key], key="plan_export_id")
    )
    st.download_button(
        "Download CSV",
        decisions.export_csv(session.database(), export_id),
        file_name=f"orders_{export_id[:8]}.csv",
        mime="text/csv",
        icon=":material/download:",
        key="plan_download",
        on_click="ignore",
    )


def _export_name(row: dict[Any, Any]) -> str:
    return f"{row['exported_at']:%d %b %Y %H:%M} UTC · {_counted(row['line_count'])} · {row['exported_by']}"


def _export_now() -> None:
    try:
        export_id = decisions.export_approved(session.database(), who=access.planner())
    except RetailError as refusal:
        session.warn(str(refusal))
        return
    st.session_state["plan_export_id"] = export_id
    session.tell("The approved lines are marked as exported: download the file below.")


def _counted(lines: int) -> str:
    return "1 line" if lines == 1 else f"{lines:,} lines"


def _money(value: float) -> str:
    return f"{session.currency()} {value:,.0f}"
