"""Which approvals are answered by purchase orders without their name: windows, units, one to one, in any row order."""

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pandas as pd
import pytest

from retail_assets.transforms.approvals import answered

LEAVES = date(2025, 3, 3)
"""The order date of the approvals."""
DAY = timedelta(days=1)


def approval(name: str, leaves: date = LEAVES, units: float = 12.0, **changes: Any) -> dict[str, Any]:
    decided = datetime(leaves.year, leaves.month, leaves.day, 9, tzinfo=UTC)
    row = {"proposal_id": name, "store_id": "S1", "product_id": "P1", "supplier_id": "U1", "order_units": units}
    return row | {"order_date": leaves, "decided_at": decided} | changes


def line(name: str, ordered: date = LEAVES, units: float = 12.0, **changes: Any) -> dict[str, Any]:
    row = {"purchase_order_line_id": name, "store_id": "S1", "product_id": "P1", "supplier_id": "U1"}
    return row | {"ordered_date": ordered, "ordered_units": units} | changes


def found(approvals: list[dict[str, Any]], lines: list[dict[str, Any]]) -> list[str]:
    decisions, orders = pd.DataFrame(approvals), pd.DataFrame(lines, columns=list(line("")))
    answers = {
        answered(decisions.iloc[list(first)], orders.iloc[list(second)])
        for first in list(permutations(range(len(decisions))))[:4]
        for second in list(permutations(range(len(orders))))[:4]
    }
    (answer,) = answers
    return sorted(answer)


@pytest.mark.parametrize(("days", "is_found"), [(-2, False), (-1, True), (0, True), (7, True), (8, False)])
def test_a_line_answers_from_a_day_before_to_a_week_after(days: int, is_found: bool) -> None:
    assert found([approval("X1")], [line("L1", LEAVES + days * DAY)]) == ["X1"] * is_found


def test_what_was_approved_early_may_have_been_ordered_at_once() -> None:
    early = {"decided_at": datetime(2025, 2, 27, 9, tzinfo=UTC)}
    assert found([approval("X1", **early)], [line("L1", LEAVES - 4 * DAY)]) == ["X1"]
    assert found([approval("X1", **early)], [line("L1", LEAVES - 6 * DAY)]) == []
    assert found([approval("X1", decided_at=datetime(2024, 1, 1, tzinfo=UTC))], [line("L1", LEAVES - 40 * DAY)]) == []


@pytest.mark.parametrize("other", [{"supplier_id": "U2"}, {"store_id": "S2"}, {"product_id": "P2"}])
def test_source_store_and_product_are_the_same(other: dict[str, str]) -> None:
    assert found([approval("X1")], [line("L1", **other)]) == []
    if "supplier_id" in other:
        assert found([approval("X1", supplier_id=None)], [line("L1", **other)]) == ["X1"], "kept before it was stored"


@pytest.mark.parametrize(("units", "is_found"), [(5.9, False), (6.0, True), (12.0, True), (18.0, True), (18.1, False)])
def test_units_may_differ_by_half(units: float, is_found: bool) -> None:
    assert found([approval("X1")], [line("L1", units=units)]) == ["X1"] * is_found


def test_equal_units_come_before_near_ones_and_near_ones_before_far_ones() -> None:
    two = [approval("X1"), approval("X2", units=14.0)]
    assert found(two, [line("L1", units=14.0)]) == ["X2"]
    assert found(two, [line("L1", units=15.0)]) == ["X2"]
    assert found(two, [line("L1", units=12.5)]) == ["X1"]


def test_a_line_answers_one_approval_only_and_an_approval_one_line() -> None:
    days = [LEAVES + n * DAY for n in range(3)]
    three = [approval(f"X{n}", day) for n, day in enumerate(days)]
    assert found(three, [line("L0"), line("L1", days[1])]) == ["X0", "X1"]
    assert found(three[:1], [line("L0"), line("L1", days[1])]) == ["X0"]


def test_as_many_as_can_be_are_answered() -> None:
    """The line of day 7 could answer both; only the later approval can take the line of day 9."""
    two = [approval("X1"), approval("X2", LEAVES + 6 * DAY)]
    assert found(two, [line("L1", LEAVES + 7 * DAY), line("L2", LEAVES + 9 * DAY)]) == ["X1", "X2"]


def test_nothing_answers_nothing() -> None:
    assert found([approval("X1")], []) == []
    assert answered(pd.DataFrame([approval("X1")]).iloc[:0], pd.DataFrame([line("L1")])) == frozenset()
