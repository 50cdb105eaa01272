"""What planners decide, written to the application database: who, when, why.

Rules of a decision (a reason, whole packs, a day to come, one decision per proposal, one export per line) are here;
tables and connections belong to retail_assets/resources/app_database.py, widgets to the pages.
"""

import csv
import io
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from retail_assets.command_line.spreadsheet import safe_cells
from retail_assets.failures import PermanentFailure
from retail_assets.resources.app_database import FORECAST_OVERRIDES, ORDER_DECISIONS, AppDatabase
from retail_assets.tables.entities import APPROVED, PLANNER_TEXT, REJECTED
from retail_assets.transforms.limits import MAX_LINE_UNITS, MAX_STOCK_UNITS

REASON_LENGTH = PLANNER_TEXT.length
OVERRIDE_COLUMNS = pd.Index([column.name for column in FORECAST_OVERRIDES.c])
_DECISION_COLUMNS = (
    "proposal_id",
    "decision",
    "order_units",
    "reason",
    "decided_by",
    "decided_at",
    "exported_at",
    "exported_by",
)
DECISIONS_SCHEMA = pa.schema(
    [(name, pa.float64() if name == "order_units" else pa.string()) for name in _DECISION_COLUMNS if "_at" not in name]
    + [(name, pa.timestamp("us", tz="UTC")) for name in _DECISION_COLUMNS if "_at" in name]
)
EXPORT_COLUMNS = (
    "supplier_id",
    "store_id",
    "product_id",
    "order_units",
    "unit_cost",
    "order_date",
    "expected_delivery_date",
    "proposal_id",
    "decided_by",
)


@dataclass(frozen=True)
class Override:
    """Mean units a day a planner expects of a store, a product, or one product in one store."""

    store_id: str | None
    product_id: str | None
    from_date: date
    to_date: date
    mean_units: float
    reason: str


@dataclass(frozen=True)
class Proposal:
    """A line of the replenishment plan, as far as a decision needs it."""

    proposal_id: str
    store_id: str
    product_id: str
    supplier_id: str
    order_units: float
    pack_units: float
    unit_cost: float | None
    order_date: date
    expected_delivery_date: date


def save_override(database: AppDatabase, override: Override, *, who: str) -> str:
    """Write one override and return its identifier.

    Raises:
        PermanentFailure: something is missing or impossible; one sentence.
    """
    _need_name(who)
    _need_reason(override.reason, "An override")
    if override.store_id is None and override.product_id is None:
        raise PermanentFailure("An override needs a store or a product: choose one above the chart.")
    if override.from_date > override.to_date:
        raise PermanentFailure(
            f"The override ends ({override.to_date}) before it starts ({override.from_date}): swap the two days."
        )
    if not -MAX_LINE_UNITS <= override.mean_units <= MAX_LINE_UNITS:
        raise PermanentFailure(
            f"{_said(override.mean_units)} is no demand: enter a number of units a day up to {MAX_LINE_UNITS:,}."
        )
    if override.mean_units < 0:
        raise PermanentFailure(f"Demand cannot be negative, got {override.mean_units:g}: enter 0 or more units a day.")
    override_id = str(uuid4())
    row = {**vars(override), "reason": override.reason.strip(), "override_id": override_id, **_signature(who)}
    with database.transaction() as connection:
        connection.execute(sa.insert(FORECAST_OVERRIDES).values(row))
    return override_id


def overrides(database: AppDatabase, *, store_id: str | None, product_id: str | None) -> pd.DataFrame:
    """Overrides set on exactly this scope, newest first."""
    table = FORECAST_OVERRIDES
    scope = (_same(table.c.store_id, store_id), _same(table.c.product_id, product_id))
    query = sa.select(table).where(*scope).order_by(table.c.decided_at.desc())
    with database.transaction() as connection:
        return pd.DataFrame(connection.execute(query).mappings().all(), columns=OVERRIDE_COLUMNS)


def approve(
    database: AppDatabase, proposal: Proposal, *, order_units: float, reason: str, who: str, today: date
) -> None:
    """Approve a proposal, as proposed or with another quantity.

    Args:
        today: the day it is where the stores are; an order of an earlier day cannot leave any more.

    Raises:
        PermanentFailure: no supplier or pack, a past order date, no possible quantity, not whole packs, a changed
            quantity without a reason, or somebody decided before.
    """
    _need_name(who)
    _need_supply(proposal)
    _need_day_to_come(proposal, today)
    _need_possible_units(proposal, order_units)
    _need_whole_packs(proposal, order_units)
    if order_units != proposal.order_units:
        _need_reason(reason, f"Ordering {order_units:g} instead of {proposal.order_units:g} units")
    _decide(database, proposal, decision=APPROVED, order_units=order_units, reason=reason, who=who)


def reject(database: AppDatabase, proposal: Proposal, *, reason: str, who: str) -> None:
    """Refuse a proposal for this order cycle.

    Raises:
        PermanentFailure: no reason, or somebody decided before.
    """
    _need_name(who)
    _need_reason(reason, "A rejection")
    _decide(database, proposal, decision=REJECTED, order_units=0.0, reason=reason, who=who)


def decided(database: AppDatabase, *, from_order_date: date) -> pa.Table:
    """Decisions on orders that leave on or after a day, in DECISIONS_SCHEMA."""
    table = ORDER_DECISIONS
    query = sa.select(*(table.c[name] for name in DECISIONS_SCHEMA.names)).where(table.c.order_date >= from_order_date)
    with database.transaction() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return pa.Table.from_pylist(rows, schema=DECISIONS_SCHEMA)


def waiting_for_export(database: AppDatabase) -> pd.DataFrame:
    """Approved lines that were not exported yet."""
    return _lines(database, sa.and_(ORDER_DECISIONS.c.decision == APPROVED, ORDER_DECISIONS.c.exported_at.is_(None)))


def export_approved(database: AppDatabase, *, who: str) -> str:
    """Mark every waiting line as exported, once, and return the export's identifier.

    Two planners exporting at the same time get disjoint lines: the mark and the choice are one statement.

    Raises:
        PermanentFailure: nothing is waiting.
    """
    _need_name(who)
    table, export_id, now = ORDER_DECISIONS, str(uuid4()), datetime.now(UTC)
    waiting = sa.and_(table.c.decision == APPROVED, table.c.exported_at.is_(None))
    mark = sa.update(table).where(waiting).values(export_id=export_id, exported_by=who, exported_at=now)
    with database.transaction() as connection:
        if connection.execute(mark).rowcount == 0:
            raise PermanentFailure("Nothing is waiting for export: approve lines first, or fetch an earlier export.")
    return export_id


def exports(database: AppDatabase) -> pd.DataFrame:
    """Exports made so far, newest first: export_id, exported_at, exported_by, line_count."""
    table = ORDER_DECISIONS
    grouped = (table.c.export_id, table.c.exported_at, table.c.exported_by)
    query = (
        sa.select(*grouped, sa.func.count().label("line_count"))
        .where(table.c.export_id.is_not(None))
        .group_by(*grouped)
        .order_by(table.c.exported_at.desc())
    )
    names = pd.Index(["export_id", "exported_at", "exported_by", "line_count"])
    with database.transaction() as connection:
        return pd.DataFrame(connection.execute(query).mappings().all(), columns=names)


def export_csv(database: AppDatabase, export_id: str) -> bytes:
    """The lines of one export as UTF-8 CSV; the same bytes every time it is fetched.

    No id or name can run as a formula where a spreadsheet opens the file (retail_assets/command_line/spreadsheet.py).
    """
    lines = _lines(database, ORDER_DECISIONS.c.export_id == export_id)
    rows = safe_cells(pa.Table.from_pandas(lines[list(EXPORT_COLUMNS)], preserve_index=False))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(EXPORT_COLUMNS)
    writer.writerows(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    return text.getvalue().encode("utf-8")


def _lines(database: AppDatabase, condition: sa.ColumnElement[bool]) -> pd.DataFrame:
    table = ORDER_DECISIONS
    columns = [table.c[name] for name in EXPORT_COLUMNS]
    query = sa.select(*columns).where(condition).order_by(table.c.supplier_id, table.c.store_id, table.c.product_id)
    with database.transaction() as connection:
        return pd.DataFrame(connection.execute(query).mappings().all(), columns=pd.Index(EXPORT_COLUMNS))


def _decide(
    database: AppDatabase, proposal: Proposal, *, decision: str, order_units: float, reason: str, who: str
) -> None:
    row = {
        "decision_id": str(uuid4()),
        "proposal_id": proposal.proposal_id,
        "store_id": proposal.store_id,
        "product_id": proposal.product_id,
        "supplier_id": proposal.supplier_id,
        "order_date": proposal.order_date,
        "expected_delivery_date": proposal.expected_delivery_date,
        "proposed_units": proposal.order_units,
        "unit_cost": proposal.unit_cost,
        "decision": decision,
        "order_units": order_units,
        "reason": reason.strip() or None,
        **_signature(who),
    }
    try:
        with database.transaction() as connection:
            connection.execute(sa.insert(ORDER_DECISIONS).values(row))
    except IntegrityError:
        raise _already_decided(database, proposal) from None


def _already_decided(database: AppDatabase, proposal: Proposal) -> PermanentFailure:
    table = ORDER_DECISIONS
    with database.transaction() as connection:
        row = connection.execute(sa.select(table).where(table.c.proposal_id == proposal.proposal_id)).mappings().one()
    return PermanentFailure(
        f"{proposal.product_id} for {proposal.store_id} was already {row['decision']} by {row['decided_by']}"
        f" on {row['decided_at']:%Y-%m-%d at %H:%M} UTC ({row['order_units']:g} units): nothing was changed."
    )


def _signature(who: str) -> dict[str, object]:
    return {"decided_by": who.strip(), "decided_at": datetime.now(UTC)}


def _same(column: sa.Column, value: str | None) -> sa.ColumnElement[bool]:
    return column.is_(None) if value is None else column == value


def _need_name(who: str) -> None:
    if not who.strip():
        raise PermanentFailure("Decisions are signed: enter your name in the sidebar first.")


def _need_reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise PermanentFailure(f"{what} needs a reason: write a few words, they are kept with the decision.")
    if len(reason) > REASON_LENGTH:
        raise PermanentFailure(f"The reason has {len(reason)} characters: keep it below {REASON_LENGTH}.")


def _need_supply(proposal: Proposal) -> None:
    if not proposal.supplier_id or proposal.pack_units <= 0:
        raise PermanentFailure(
            f"{proposal.product_id} for {proposal.store_id} has no supplier or no pack size: "
            "add it to the sourcing of the source, then the next plan can order it."
        )


def _need_day_to_come(proposal: Proposal, today: date) -> None:
    if proposal.order_date < today:
        raise PermanentFailure(
            f"The order of {proposal.product_id} for {proposal.store_id} should have left on {proposal.order_date}, "
            f"and today is {today}: nothing was approved. Decide on tonight's plan, which orders what is still needed."
        )


def _need_possible_units(proposal: Proposal, order_units: float) -> None:
    """A receipt of more than MAX_STOCK_UNITS would be refused as a typing error, and so is its order."""
    line = f"{proposal.product_id} for {proposal.store_id}"
    if not math.isfinite(order_units):
        raise PermanentFailure(f"{order_units} is no number of units: enter how many units of {line} to order.")
    if order_units > MAX_STOCK_UNITS:
        raise PermanentFailure(
            f"{_said(order_units)} units of {line} are more than the {MAX_STOCK_UNITS:,} that one line can hold: "
            "check the number for zeros too many."
        )


def _said(units: float) -> str:
    return f"{units:,.0f}"


def _need_whole_packs(proposal: Proposal, order_units: float) -> None:
    if order_units <= 0:
        raise PermanentFailure(f"An approved order has units, got {order_units:g}: reject the line to order nothing.")
    packs = order_units / proposal.pack_units
    if abs(packs - round(packs)) < 1e-6:
        return
    below, above = int(packs) * proposal.pack_units, (int(packs) + 1) * proposal.pack_units
    near = f"{below:g} or {above:g}" if below > 0 else f"{above:g}"
    raise PermanentFailure(f"{order_units:g} units are not whole packs of {proposal.pack_units:g}: order {near} units.")
