"""Text that a spreadsheet would run: marked in every CSV, and only there."""

import pyarrow as pa
import pytest

from retail_assets.command_line.spreadsheet import safe_cells

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\rx",
    "\nx",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    '"=1',
    "'-1",
]
FORMULAS += ["''  @x", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "\u201c=1", "\u200b=1", "  \t -1"]
PLAIN = ["Milk", "A-1", "1+1", "a@b.c", "", " ", "'", '"quoted"', "5 % off", "ö=", "#REF", "Café\t=1"]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_what_a_spreadsheet_would_run_is_marked_as_text(type_: pa.DataType) -> None:
    rows = pa.table({"name": pa.array([*FORMULAS, *PLAIN, None], type_)})
    found = safe_cells(rows)
    assert found["name"].to_pylist() == [*(f"'{text}" for text in FORMULAS), *PLAIN, None]
    assert found.schema == rows.schema


def test_numbers_dates_and_flags_stay_what_they_are() -> None:
    rows = pa.table({"units": [-1.5, None], "count": [-1, 2], "flag": [True, None], "name": ["-1", "x"]})
    found = safe_cells(rows)
    assert found.drop_columns("name").equals(rows.drop_columns("name")) and found["name"].to_pylist() == ["'-1", "x"]


def test_no_rows_are_no_rows() -> None:
    empty = pa.table({"name": pa.array([], pa.string())})
    assert safe_cells(empty).equals(empty)
