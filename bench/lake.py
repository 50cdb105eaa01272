# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""The lake in one run: partition writes and reads beside bare delta-rs, transforms beside bare SQL, Spark beside both.

Usage: python -m bench.lake [--m5 FOLDER] [--lines N] [--only storage|transforms]

Times are medians of repeats taken in turn. Bare delta-rs leaves the same sorted files under the same predicate and
compression; the figures say where it does less.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, WriterProperties, write_deltalake

from bench.figures import Figure, interleaved, publish, ratio
from bench.lake_data import DEMAND, Demand
from bench.sales_data import write_m5, write_synthetic
from bench.stores import Store, azurite_store, folder_store
from bench.transforms import transform_figures
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import MONTH_COLUMN
from retail_assets.windows import Window

TARGET = 1.15
M5 = Path(__file__).parent.parent.parent / "shared" / "data" / "m5"
LINES = 10_000_000
SPARK_LINES = 1_000_000
"""A local Spark hands more rows than that to Python for longer than the rest of the run takes."""
_HISTORY = Window(date(2015, 10, 1), date(2016, 3, 31))
_MONTH = Window(date(2016, 3, 1), date(2016, 3, 31))
_DAY = Window(date(2016, 3, 17), date(2016, 3, 17))
_REPEATS, _READ_REPEATS = 5, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--m5", type=Path, default=M5)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--only", choices=["storage", "transforms"])
    options = parser.parse_args()
    figures = []
    if options.only != "transforms":
        figures += storage()
    if options.only != "storage":
        figures += transforms(options.m5, options.lines)
    publish("lake", figures)


def storage() -> list[Figure]:
    """Writes and reads of 30,490 series, in a folder and on Azurite."""
    data, figures = Demand(), []
    with ExitStack() as stack:
        for opened in (folder_store, azurite_store):
            if store := stack.enter_context(opened()):
                figures += _Comparison(store, data).figures()
    return figures


def transforms(m5: Path, lines: int) -> list[Figure]:
    """Transforms of the M5 folder and of a synthetic year."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as name:
        folder = Path(name)
        if m5.exists():
            lake = Lake(str(folder / "m5"))
            figures += transform_figures("M5", lake, lambda e: write_m5(e, m5), folder=folder / "spill", repeats=5)
        else:
            print(f"No M5 folder at {m5}: its transforms are left out; name one with --m5.")
        label, lake = f"{lines / 1e6:g} million lines", Lake(str(folder / "synthetic"))
        figures += transform_figures(
            label,
            lake,
            lambda e: write_synthetic(e, lines),
            folder=folder / "spill",
            repeats=2,
            beside=lines <= SPARK_LINES,
        )
    return figures


class _Comparison:
    """Two tables of the same rows in one store: ours, and one that bare delta-rs writes and reads."""

    def __init__(self, store: Store, data: Demand) -> None:
        self._store, self._spill = store, tempfile.TemporaryDirectory(prefix="retail-bench-")
        self._engine = DuckDBEngine(store.lake, memory_limit="2GB", temp_folder=Path(self._spill.name))
        self._bare = _BareTable(store.uri_of("bare"), store.options)
        self._month, self._day = data.of(_MONTH), data.of(_DAY)
        self._without_day = self._month.filter(pc.not_equal(self._month.column("business_date"), _DAY.first))
        self._bare.create()
        for month in _HISTORY.by_month():
            rows = data.of(month)
            self._ours(rows, month)
            self._bare.write_month(rows, month)

    def figures(self) -> list[Figure]:
        try:
            return [*self._writes(), *self._reads()]
        finally:
            self._engine.close()
            self._spill.cleanup()

    def _writes(self) -> list[Figure]:
        where, bare = self._store.name, self._bare
        month = interleaved(self._our_month, self._bare_month, repeats=_REPEATS)
        day = self._day_after(self._month, bare.merge_day)
        figures = [
            *ratio(f"{where}, write a month", month, target=TARGET),
            *ratio(f"{where}, overwrite a day in a sorted month", day, target=TARGET),
        ]
        less = {
            "write a month, bare unsorted": interleaved(
                self._our_month, lambda: bare.write(self._month, _month_predicate(_MONTH)), repeats=_REPEATS
            ),
            "overwrite a day, bare unsorted": self._day_after(self._month, bare.write_day),
            "add a day, bare as a file of its own": self._day_after(self._without_day, bare.write_day),
        }
        for name, timings in less.items():
            figures += ratio(f"{where}, {name}", timings)
        return [*figures, *self._file_counts()]

    def _day_after(self, month: pa.Table, write: Callable[[pa.Table, Window], None]) -> tuple[float, float]:
        """A day written into a month that is there."""
        return interleaved(
            lambda: _after(lambda: self._ours(month, _MONTH), lambda: self._ours(self._day, _DAY)),
            lambda: _after(lambda: self._bare.write_month(month, _MONTH), lambda: write(self._day, _DAY)),
            repeats=_REPEATS,
        )

    def _file_counts(self) -> list[Figure]:
        """Of the month, after a day was added to it."""
        ours, bare = self._store.lake.require(DEMAND), self._bare.open()
        name = f"{self._store.name}, files of a month after a day was added"
        return [
            Figure(f"{name}: {side}", len(table.file_uris(file_pruning_predicate=_folder(_MONTH))), "")
            for side, table in (("ours", ours), ("bare", bare))
        ]

    def _reads(self) -> list[Figure]:
        self._our_month()
        self._bare_month()
        figures = []
        for name, window in (("a day", _DAY), ("a month", _MONTH)):
            self._check(window)
            timings = interleaved(
                lambda w=window: self._scanned_anew(w), lambda w=window: self._bare.read(w), repeats=_READ_REPEATS
            )
            figures += ratio(f"{self._store.name}, read {name}", timings, target=TARGET)
        return figures

    def _check(self, window: Window) -> None:
        ours, theirs = (_sorted(rows.cast(DEMAND.schema)) for rows in (self._scan(window), self._bare.read(window)))
        if not ours.num_rows or ours != theirs:
            raise SystemExit(f"{self._store.name}: our rows of {window} are not those that bare delta-rs reads.")

    def _our_month(self) -> None:
        self._ours(self._month, _MONTH)

    def _bare_month(self) -> None:
        self._bare.write_month(self._month, _MONTH)

    def _ours(self, rows: pa.Table, window: Window) -> None:
        self._engine.overwrite_window(DEMAND, rows, window)

    def _scanned_anew(self, window: Window) -> float:
        """Seconds of a scan that finds no file fetched by an earlier one."""
        self._engine.close()
        _ = self._engine.connection
        return _after(lambda: None, lambda: self._scan(window))

    def _scan(self, window: Window) -> pa.Table:
        return self._engine.scan(DEMAND, [window]).to_pyarrow()


@dataclass(frozen=True)
class _BareTable:
    """What somebody writes who uses delta-rs alone, for exactly this table."""

    uri: str
    options: dict[str, str] | None

    def open(self) -> DeltaTable:
        return DeltaTable(self.uri, storage_options=self.options)

    def create(self) -> None:
        schema = DEMAND.schema.append(pa.field(MONTH_COLUMN, pa.string()))
        write_deltalake(
            self.uri,
            schema.empty_table(),
            partition_by=[MONTH_COLUMN],
            configuration={"delta.checkpointInterval": "10"},
            storage_options=self.options,
        )

    def write(self, rows: pa.Table, predicate: str) -> None:
        """Rows of one month, in their order."""
        month = pa.repeat(pa.scalar(f"{rows.column('business_date')[0].as_py():%Y-%m}"), rows.num_rows)
        write_deltalake(
            self.open(),
            rows.append_column(MONTH_COLUMN, month),
            mode="overwrite",
            predicate=predicate,
            writer_properties=WriterProperties(compression="ZSTD", max_row_group_size=131_072),
        )

    def write_month(self, rows: pa.Table, month: Window) -> None:
        self.write(_sorted(rows), _month_predicate(month))

    def write_day(self, rows: pa.Table, day: Window) -> None:
        """The day's file joins the rewritten rest of the month."""
        self.write(_sorted(rows), f"{_month_predicate(day)} AND business_date = DATE '{day.first}'")

    def merge_day(self, rows: pa.Table, day: Window) -> None:
        """The month's other rows and the day's as one sorted file."""
        month = self.open().to_pyarrow_table(columns=DEMAND.column_names, filters=_folder(day))
        others = month.filter(pc.not_equal(month.column("business_date"), day.first))
        self.write_month(pa.concat_tables([others, rows]), day)

    def read(self, window: Window) -> pa.Table:
        dates = [("business_date", ">=", window.first), ("business_date", "<=", window.last)]
        return self.open().to_pyarrow_table(columns=DEMAND.column_names, filters=[*_folder(window), *dates])


def _after(prepare: Callable[[], object], action: Callable[[], object]) -> float:
    """Seconds of the action alone."""
    prepare()
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in DEMAND.sort_by])


def _month_predicate(days: Window) -> str:
    return f"{MONTH_COLUMN} = '{days.first:%Y-%m}'"


def _folder(days: Window) -> list[tuple[str, str, str]]:
    return [(MONTH_COLUMN, "=", f"{days.first:%Y-%m}")]


if __name__ == "__main__":
    main()
