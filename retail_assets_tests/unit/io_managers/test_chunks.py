"""Windows of a run, and shared that are computed once a window and leave nothing behind."""

import gc
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest

from retail_assets.engines.protocol import Spilled
from retail_assets.engines.spilled import in_file
from retail_assets.failures import PermanentFailure
from retail_assets.io_managers.chunks import Chunks, SharedOutputs, asked_windows, by_day, by_month
from retail_assets.windows import Window

MONTHS = Window(date(2024, 1, 30), date(2024, 3, 2)).by_month()


def _context(first: str, last: str, keys: list[str] | None = None) -> Any:
    """What a check's context shows of a run over first … last."""
    days = [str(day) for day in Window(date.fromisoformat(first), date.fromisoformat(last)).days()]
    run = SimpleNamespace(
        partition_key_range=dg.PartitionKeyRange(first, last), partition_keys=days if keys is None else keys
    )
    return SimpleNamespace(op_execution_context=run)


@pytest.mark.parametrize(("first", "last"), [("2024-01-30", "2024-01-30"), ("2024-01-30", "2024-02-02")])
def test_the_keys_of_a_run_are_its_days(first: str, last: str) -> None:
    assert asked_windows(_context(first, last)) == [Window(date.fromisoformat(first), date.fromisoformat(last))]


@pytest.mark.parametrize("keys", [[], ["2024-01-30"], ["2024-01-31", "2024-02-01"]])
def test_a_range_beyond_the_partitions_is_refused(keys: list[str]) -> None:
    with pytest.raises(PermanentFailure) as raised:
        asked_windows(_context("2024-01-30", "2024-02-01", keys))
    assert str(raised.value) == (
        f"The run asks for 2024-01-30 … 2024-02-01, of which only {len(keys)} partitions exist: a day must be closed "
        "and not before RETAIL_START_DATE."
    )


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (by_month, ["2024-01-30 … 2024-01-31", "2024-02-01 … 2024-02-02"]),
        (by_day, ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"]),
    ],
)
def test_a_run_is_cut_and_computed_piece_after_piece(cut: Callable, expected: list[str]) -> None:
    computed: list[str] = []

    def compute(window: Window) -> Window:
        computed.append(str(window))
        return window

    chunks = iter(cut(_context("2024-01-30", "2024-02-02"), compute))
    assert computed == [], "nothing is computed before it is written"
    window, frame = next(chunks)
    assert window is frame and computed == expected[:1], "the second waits until the first was taken"
    assert [str(window) for window, _ in chunks] == expected[1:] and computed == expected


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


class Twins:
    """Two tables from one computation that counts itself."""

    def __init__(self) -> None:
        self.computed: list[Window] = []

    def __call__(self, window: Window) -> dict[str, Spilled]:
        self.computed.append(window)
        left = pd.DataFrame({"day": [window.first], "rows": [len(self.computed)]})
        right = pa.table({"day": [window.last], "rows": [-len(self.computed)]})
        return {"left": in_file(left), "right": in_file(right)}


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _days(table: Any) -> list[date]:
    return table["day"].to_pylist()


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
def test_siblings_compute_each_window_once(scratch: Path, order: tuple[str, str]) -> None:
    twins = Twins()
    shared = SharedOutputs(twins)
    chunks = {name: shared.chunks(MONTHS, name) for name in ("left", "right")}
    found = {name: [(window, _days(frame())) for window, frame in chunks[name]] for name in order}
    assert twins.computed == MONTHS
    assert found["left"] == [(month, [month.first]) for month in MONTHS]
    assert found["right"] == [(month, [month.last]) for month in MONTHS]
    assert files_in(scratch) == []


def test_waiting_frames_lie_in_files_and_not_in_memory(scratch: Path) -> None:
    shared = SharedOutputs(Twins())
    for _, frame in shared.chunks(MONTHS, "left"):
        frame()
    assert len(files_in(scratch)) == len(MONTHS)


def test_siblings_in_step_hold_one_file_at_a_time(scratch: Path) -> None:
    twins = Twins()
    shared = SharedOutputs(twins)
    for pair in zip(shared.chunks(MONTHS, "left"), shared.chunks(MONTHS, "right"), strict=True):
        for _, frame in pair:
            frame()
        assert files_in(scratch) == []
    assert twins.computed == MONTHS


@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_a_failure_half_way_leaves_no_files(scratch: Path) -> None:
    def compute(window: Window) -> dict[str, Spilled]:
        if window == MONTHS[1]:
            raise ZeroDivisionError
        return Twins()(window)

    def run() -> None:
        for _, frame in SharedOutputs(compute).chunks(MONTHS, "left"):
            frame()
            assert len(files_in(scratch)) == 1

    with pytest.raises(ZeroDivisionError):
        run()
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_chunks_of_no_windows_compute_nothing() -> None:
    assert list(Chunks([], Twins())) == []
