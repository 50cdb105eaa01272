"""What-if runs: totals of two plans beside each other, and a lake that stays as it was."""

from decimal import Decimal
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

from retail_assets.command_line.terminal import print_what_if
from retail_assets.command_line.what_if import Comparison, changed_lines, totals
from retail_assets.failures import PermanentFailure
from retail_assets.graph.policy_file import tried
from retail_assets.settings import Settings


def plan(rows):
    columns = ["proposal_id", "supplier_id", "order_units", "order_value", "lost_margin_avoided_value"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(expected_waste_units=0.5, predicted_service_rate=0.95)


BEFORE = plan(
    [
        ("a", "V1", 6.0, Decimal("10.10"), Decimal("1.00")),
        ("b", "V1", 2.0, Decimal("0.20"), Decimal("0.50")),
        ("c", "V2", 0.0, None, Decimal("0.00")),
    ]
)
AFTER = plan([("a", "V1", 12.0, Decimal("20.20"), Decimal("1.50")), ("c", "V2", 4.0, None, Decimal("0.25"))])


def test_totals_by_supplier_and_in_all_are_exact():
    found = totals(BEFORE, AFTER).set_index("supplier_id")
    assert found.index.tolist() == ["V1", "V2", "total"]
    assert found.loc["total", "order_value_before"] == Decimal("10.30")
    assert found.loc["total", "order_value_after"] == Decimal("20.20")
    assert found.loc["V1", ["lines_before", "lines_after"]].tolist() == [2, 1]
    assert pd.isna(found.loc["V2", "lines_before"]) and found.loc["V2", "order_units_after"] == 4


def test_a_line_of_one_plan_alone_has_changed():
    assert changed_lines(BEFORE, AFTER) == 3 and changed_lines(BEFORE, BEFORE) == 0


def test_nothing_ordered_still_has_a_total():
    empty = BEFORE.loc[[]]
    assert totals(empty, empty)["supplier_id"].tolist() == ["total"]


def test_the_terminal_says_what_was_not_stored():
    text = StringIO()
    found = Comparison(pd.Timestamp("2026-01-31").date(), totals(BEFORE, AFTER), 3)
    print_what_if(found, console=Console(file=text, width=120))
    assert "as tried" in text.getvalue() and "20.20" in text.getvalue()
    assert "3 lines change. Nothing was stored." in text.getvalue()


@pytest.mark.parametrize(
    ("unmatched", "own_levels", "lines"),
    [
        ((), 0, []),
        (("stores S9",), 0, ["1 part of the policies matches no line of this plan: stores S9."]),
        (
            tuple(f"products [P{n}]" for n in range(7)),
            0,
            [
                "7 parts of the policies match no line of this plan: products [P0], products [P1], products [P2], "
                "products [P3], products [P4], …."
            ],
        ),
        (
            (),
            1,
            [
                "The level tried does not reach 1 class, supplier, store or product that sets its own service level in "
                "the policies."
            ],
        ),
        (
            (),
            3,
            [
                "The level tried does not reach 3 classes, suppliers, stores or products that set their own service "
                "level in the policies."
            ],
        ),
    ],
)
def test_the_terminal_says_which_parameters_did_nothing(unmatched, own_levels, lines):
    text = StringIO()
    found = Comparison(pd.Timestamp("2026-01-31").date(), totals(BEFORE, AFTER), 3, unmatched)
    print_what_if(found, console=Console(file=text, width=120), own_levels=own_levels)
    said = text.getvalue().splitlines()
    assert said[said.index("3 lines change. Nothing was stored.") + 1 :] == lines


def test_a_tried_level_stands_over_the_setting_and_beside_the_file(tmp_path):
    file = tmp_path / "policies.yaml"
    file.write_text("stores:\n  S1: {service_level: 0.9}\n", encoding="utf-8")
    found = tried(Settings(policies=file), file=None, service_level=0.98)
    assert found.plan.service_level == 0.98 and found.scopes["stores"]["S1"] == {"service_level": 0.9}
    assert tried(Settings(), file=file, service_level=None).plan.service_level == 0.95
    with pytest.raises(PermanentFailure, match=r"service_level of default is 1\.5, wanted a number"):
        tried(Settings(), file=None, service_level=1.5)
