"""README, docs/first-run.md and their pictures show one recorded run."""

import re

import pytest

from docs.recorded_run import (
    EXCERPTS,
    FIRST_RUN,
    IMAGES,
    README,
    RUN,
    WHAT_IF,
    RecordedRun,
    excerpt_of_run,
    excerpt_of_what_if,
    fingerprint,
    first_run,
    read_record,
    readme_with,
    show_order,
    write_record,
)

RECORD = read_record()
TEXT = README.read_text(encoding="utf-8")
LARGEST_PICTURE_BYTES = 300_000


def test_the_readme_shows_the_recorded_run():
    assert readme_with(RECORD, TEXT) == TEXT, "make pictures records text and pictures together"


def test_every_console_block_of_the_readme_is_recorded():
    blocks = re.findall(r"^```text\n(?:\$ (.*)\n)?", TEXT, flags=re.MULTILINE)
    assert sorted(blocks) == sorted(EXCERPTS)


def test_the_page_of_the_first_run_is_fresh():
    assert FIRST_RUN.read_text(encoding="utf-8") == first_run(RECORD)


def test_the_pictures_are_those_of_the_record():
    assert {name: fingerprint(IMAGES / name) for name in RECORD.pictures} == RECORD.pictures
    assert {path.name for path in IMAGES.glob("*.png")} - RECORD.pictures.keys() == {"cost_service.png"}


def test_the_picture_explains_the_order_that_the_text_names_first():
    first = next(line for line in RECORD.outputs[RUN].splitlines() if line.startswith(" 1. "))
    assert RECORD.first_order.startswith("Position ")
    assert first.endswith(RECORD.first_order)


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("*.png")), ids=lambda path: path.name)
def test_pictures_are_small(picture):
    assert picture.stat().st_size < LARGEST_PICTURE_BYTES


RUN_OUTPUT = """\
demo retailer: 400 new days to 2026-11-29, 9.0 s
Rows per table
│ bronze/sales │ 5 │
Forecast beside the seasonal naive
│ all │ 0.573 │
The most urgent orders as of 2026-11-29
 1. S1 P1: order 24. Position 3 is at or below the reorder point 9.
 2. S1 P2: order 12. Position 1 is at or below the reorder point 4.
stages: ingest 95 s
"""
WHAT_IF_OUTPUT = """\
Plan as of 2026-11-29: as set, and as tried
┏━━━┓
┃ a ┃
┡━━━┩
│ SUP1 │ as set │ 4 │
│ total │ as set │ 9 │
└───┘
7 lines change. Nothing was stored.
"""


def record_of(run_output: str) -> RecordedRun:
    return RecordedRun(outputs={RUN: run_output, WHAT_IF: WHAT_IF_OUTPUT}, pictures={}, first_order="")


def test_the_excerpt_of_a_run_leaves_out_tables_and_further_orders():
    kept = excerpt_of_run(RUN_OUTPUT).splitlines()
    assert [line.split()[0] for line in kept] == ["demo", "…", "Forecast", "│", "The", "1.", "…", "stages:"]


def test_the_excerpt_of_what_if_keeps_head_and_totals():
    assert excerpt_of_what_if(WHAT_IF_OUTPUT).splitlines()[4:6] == ["…", "│ total │ as set │ 9 │"]


def test_a_changed_figure_changes_the_readme():
    before = readme_with(record_of(RUN_OUTPUT), TEXT)
    after = readme_with(record_of(RUN_OUTPUT.replace("reorder point 9", "reorder point 8")), TEXT)
    assert "reorder point 9" in before and before.replace("reorder point 9", "reorder point 8") == after


def test_a_readme_without_the_block_is_refused():
    with pytest.raises(ValueError, match=r"one console block that begins with `\$ retail-assets run`; it has 0"):
        readme_with(record_of(RUN_OUTPUT), "# Nothing here\n")


def test_output_without_an_order_is_refused():
    with pytest.raises(ValueError, match=r"begins with ' 1\. '"):
        excerpt_of_run(RUN_OUTPUT.replace(" 1. ", ""))


def test_the_command_shows_the_most_urgent_order():
    shown = "retail-assets show inventory/replenishment_plan"
    assert show_order(RUN_OUTPUT) == f"{shown} --where as_of_date=2026-11-29 --where store_id=S1 --where product_id=P1"
    with pytest.raises(ValueError, match="no order"):
        show_order("stages: ingest 95 s\n")


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = record_of(RUN_OUTPUT)
    write_record(record, tmp_path / "run.json")
    assert read_record(tmp_path / "run.json") == record
