"""Which approved proposals a purchase order answers although it does not carry their name.

Many purchasing systems return no proposal_id. Frames in, names out; matching by name is planning.py's.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

DAYS_BEFORE, DAYS_AFTER = 1, 7
"""A purchase order is dated from a day before the approval or order date, whichever is first, to a week after it."""
APPROVED_EARLY_DAYS = 31
"""No approval this long before its order date is looked at for the start of the window."""
UNITS_TOLERANCE = 0.5
"""Share of the approved units by which a purchase order may differ where none has exactly as many."""
_EQUAL = 1e-6
_SERIES = ["store_id", "product_id"]


@dataclass(frozen=True)
class _Approval:
    last: date
    first: date
    order_date: date
    proposal_id: str
    supplier_id: str | None
    units: float


@dataclass(frozen=True)
class _Line:
    ordered_date: date
    line_id: str
    supplier_id: str
    units: float


def answered(decisions: pd.DataFrame, lines: pd.DataFrame) -> frozenset[str]:
    """proposal_id of the approvals that one of the purchase order lines answers.

    Source, store and product are the same and the order day lies in the window of `DAYS_BEFORE` and `DAYS_AFTER`. Each
    line answers at most one approval: first those of equal units, by date of the line, each the approval whose window
    ends first, which leaves the fewest without an answer; then the nearest in units within `UNITS_TOLERANCE`. The
    order of the rows changes nothing.

    Args:
        decisions: approved: proposal_id, store_id, product_id, supplier_id (missing: any), order_units, order_date,
            decided_at (as the zone of the stores counts days).
        lines: without the name of a proposal: purchase_order_line_id, store_id, product_id, supplier_id, ordered_date,
            ordered_units.
    """
    by_series = {key: [_line(row) for row in rows] for key, rows in _grouped(lines)}
    found: set[str] = set()
    for key, rows in _grouped(decisions):
        if key in by_series:
            found |= _matched(sorted(map(_approval, rows), key=_by_end), sorted(by_series[key], key=_by_day))
    return frozenset(found)


def _grouped(frame: pd.DataFrame) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    for key, rows in frame.groupby(_SERIES, observed=True):
        yield key, rows.to_dict("records")


def _line(row: dict[str, Any]) -> _Line:
    name, supplier = row["purchase_order_line_id"], row["supplier_id"]
    return _Line(pd.Timestamp(row["ordered_date"]).date(), str(name), str(supplier), float(row["ordered_units"]))


def _approval(row: dict[str, Any]) -> _Approval:
    leaves = pd.Timestamp(row["order_date"]).date()
    approved = max(pd.Timestamp(row["decided_at"]).date(), leaves - timedelta(days=APPROVED_EARLY_DAYS))
    return _Approval(
        last=leaves + timedelta(days=DAYS_AFTER),
        first=min(leaves, approved) - timedelta(days=DAYS_BEFORE),
        order_date=leaves,
        proposal_id=str(row["proposal_id"]),
        supplier_id=None if pd.isna(row["supplier_id"]) else str(row["supplier_id"]),
        units=float(row["order_units"]),
    )


def _by_end(approval: _Approval) -> tuple[date, date, str]:
    return approval.last, approval.first, approval.proposal_id


def _by_day(line: _Line) -> tuple[date, str]:
    return line.ordered_date, line.line_id


def _matched(approvals: list[_Approval], lines: list[_Line]) -> set[str]:
    """Names of the approvals of a series that its lines answer; both are sorted."""
    found, left = set(), []
    for line in lines:
        equal = (a for a in _possible(approvals, line) if abs(a.units - line.units) <= _EQUAL)
        first = next((a for a in equal if a.proposal_id not in found), None)
        if first is None:
            left.append(line)
        else:
            found.add(first.proposal_id)
    return found | _nearest([a for a in approvals if a.proposal_id not in found], left)


def _nearest(approvals: list[_Approval], lines: list[_Line]) -> set[str]:
    pairs = [
        (abs(a.units - line.units), abs(line.ordered_date - a.order_date), *_by_end(a), *_by_day(line))
        for line in lines
        for a in _possible(approvals, line)
        if abs(a.units - line.units) <= UNITS_TOLERANCE * a.units
    ]
    found, used = set(), set()
    for *_, name, _, line_id in sorted(pairs):
        if name not in found and line_id not in used:
            found.add(name)
            used.add(line_id)
    return found


def _possible(approvals: list[_Approval], line: _Line) -> Iterator[_Approval]:
    """Those of the line's source whose window holds its day."""
    most = timedelta(days=APPROVED_EARLY_DAYS + DAYS_BEFORE + DAYS_AFTER)
    start = bisect_left(approvals, line.ordered_date, key=lambda a: a.last)
    end = bisect_right(approvals, line.ordered_date + most, key=lambda a: a.last)
    for approval in approvals[start:end]:
        if approval.first <= line.ordered_date and approval.supplier_id in (None, line.supplier_id):
            yield approval
