"""Windows against plain sets of days."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.windows import Window, runs_of

DAYS = st.dates(date(2019, 11, 1), date(2024, 3, 31))
WINDOWS = st.builds(lambda first, more: Window(first, first + timedelta(days=more)), DAYS, st.integers(0, 130))


def days_of(windows: list[Window]) -> list[date]:
    return [day for window in windows for day in window.days()]


@given(WINDOWS)
def test_months_partition_the_window(window: Window) -> None:
    parts = window.by_month()
    assert days_of(parts) == list(window.days())
    assert all(part.first.replace(day=1) == part.last.replace(day=1) for part in parts)
    assert window.months() == sorted({day.isoformat()[:7] for day in window.days()})
    assert len(parts) == len(window.months())


@given(WINDOWS)
def test_days_are_windows_of_one_day(window: Window) -> None:
    assert [(w.first, w.last) for w in window.by_day()] == [(day, day) for day in window.days()]
    assert len(window) == len(list(window.days())) == (window.last.toordinal() - window.first.toordinal() + 1)


@given(st.lists(st.dates(date(2024, 2, 20), date(2024, 3, 10)), max_size=25))
def test_runs_keep_every_day_and_every_gap(days: list[date]) -> None:
    runs = runs_of(days)
    assert days_of(runs) == sorted(set(days))
    gaps = [(after.first - before.last).days for before, after in zip(runs, runs[1:], strict=False)]
    assert all(gap > 1 for gap in gaps)


def test_a_leap_february_and_a_year_end() -> None:
    window = Window(date(2023, 12, 31), date(2024, 3, 1))
    assert [str(part) for part in window.by_month()] == [
        "2023-12-31",
        "2024-01-01 … 2024-01-31",
        "2024-02-01 … 2024-02-29",
        "2024-03-01",
    ]


def test_contains_both_ends_and_nothing_else() -> None:
    window = Window(date(2024, 2, 28), date(2024, 3, 1))
    inside = [day for day in (date(2024, 2, 26) + timedelta(days=n) for n in range(8)) if day in window]
    assert inside == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]


def test_extended_on_both_sides() -> None:
    window = Window(date(2024, 3, 1), date(2024, 3, 2))
    assert window.extended(days_before=2, days_after=1) == Window(date(2024, 2, 28), date(2024, 3, 3))
    assert window.extended() == window


def test_a_window_that_ends_before_it_starts() -> None:
    with pytest.raises(ValueError, match="^window ends 2024-01-01 before it starts 2024-01-02$"):
        Window(date(2024, 1, 2), date(2024, 1, 1))
