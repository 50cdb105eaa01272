"""Physical layouts of a daily fact at 59 million rows, in a folder and on Azurite: how fast each is written and read.

Usage: python -m bench.layout [--products N] [--layouts NAME …] [--stores folder azurite]

Every layout holds the same rows: the history up to four weeks before its end in one range write, then 28 nights,
once as small files and once merged into the folder's one file.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Schema, WriterProperties, write_deltalake

from bench.figures import Figure, keep, publish
from bench.lake_data import DEMAND, HISTORY, PRODUCTS, Demand
from bench.stores import Store, azurite_store, folder_store
from retail_assets.windows import Window

NIGHTS = 28
PART = "part"
BY_SERIES = ("store_id", "product_id", "business_date")
BY_DAY = ("business_date", "store_id", "product_id")
_SAMPLES = 5


@dataclass(frozen=True)
class Layout:
    """A folder for every value of `folder`, a strftime format of the date; rows sorted inside a file."""

    name: str
    folder: str
    sort_by: tuple[str, ...]
    row_group: int | None = None
    checkpoint: int | None = None

    def parts(self, days: Window) -> list[str]:
        return sorted({day.strftime(self.folder) for day in days.days()})

    def chunks(self, days: Window) -> list[Window]:
        """What one commit of a range write holds: a month, or the folder where that is longer."""
        if self.folder != "%Y":
            return days.by_month()
        years = range(days.first.year, days.last.year + 1)
        starts = [max(days.first, days.first.replace(year, 1, 1)) for year in years]
        return [Window(start, min(days.last, start.replace(month=12, day=31))) for start in starts]


LAYOUTS = (
    Layout("day", "%Y-%m-%d", ("store_id", "product_id")),
    Layout("month by series", "%Y-%m", BY_SERIES),
    Layout("month by series, 128k groups", "%Y-%m", BY_SERIES, 131_072),
    Layout("month by series, 32k groups", "%Y-%m", BY_SERIES, 32_768),
    Layout("month by day, 128k groups", "%Y-%m", BY_DAY, 131_072),
    Layout("year by series, 128k groups", "%Y", BY_SERIES, 131_072),
    Layout("month by series, 128k groups, checkpoint every 10", "%Y-%m", BY_SERIES, 131_072, checkpoint=10),
)


@dataclass(frozen=True)
class Trial:
    """One layout in one store."""

    layout: Layout
    store: Store
    data: Demand

    @property
    def uri(self) -> str:
        return self.store.uri_of(self.layout.name.replace(" ", "-").replace(",", ""))

    def open(self) -> DeltaTable:
        return DeltaTable(self.uri, storage_options=self.store.options)

    def create(self) -> None:
        DeltaTable.create(
            self.uri,
            schema=Schema.from_arrow(DEMAND.schema.append(pa.field(PART, pa.string(), nullable=False))),
            partition_by=[PART],
            configuration={"delta.checkpointInterval": str(self.layout.checkpoint)} if self.layout.checkpoint else None,
            storage_options=self.store.options,
        )

    def replace(self, rows: pa.Table, predicate: str) -> None:
        """One commit."""
        if self.layout.sort_by:
            rows = rows.sort_by([(name, "ascending") for name in self.layout.sort_by])
        parts = pc.strftime(rows.column("business_date"), self.layout.folder)  # pyright: ignore[reportAttributeAccessIssue]
        properties = WriterProperties(compression="ZSTD", max_row_group_size=self.layout.row_group)
        rows = rows.append_column(PART, parts)
        write_deltalake(self.open(), rows, mode="overwrite", predicate=predicate, writer_properties=properties)

    def replace_days(self, rows: pa.Table, days: Window) -> None:
        """The days alone: their rows become files of their own."""
        self.replace(rows, f"{self._folders(days)} AND {_dates(days)}")

    def merge_days(self, rows: pa.Table, days: Window) -> None:
        """The days' folders anew, from their other rows and the new ones: one file stays in each."""
        files = self.open().to_pyarrow_dataset(file_pruning_predicate=self._folders(days))
        date = pc.field("business_date")
        others = files.to_table(DEMAND.column_names, filter=(date < days.first) | (date > days.last))
        self.replace(pa.concat_tables([others, rows]), self._folders(days))

    def scan(self, connection: duckdb.DuckDBPyConnection, days: Window | None) -> duckdb.DuckDBPyRelation:
        """As the DuckDB engine reads: Parquet files in a folder, an Arrow dataset from object storage."""
        table = self.open()
        if self.store.options:
            dataset = table.to_pyarrow_dataset()
            rows = connection.from_arrow(dataset)
        else:
            uris = table.file_uris(file_pruning_predicate=self._folders(days) if days else None)
            files = [unquote(uri).removeprefix("file://") for uri in uris]
            rows = connection.read_parquet(files, union_by_name=True, hive_partitioning=True)
        return rows.filter(_dates(days)) if days else rows

    def _folders(self, days: Window) -> str:
        return f"{PART} IN ({', '.join(repr(part) for part in self.layout.parts(days))})"


def _dates(days: Window) -> str:
    return f"business_date >= DATE '{days.first}' AND business_date <= DATE '{days.last}'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=PRODUCTS)
    parser.add_argument("--layouts", nargs="*", default=[layout.name for layout in LAYOUTS])
    parser.add_argument("--stores", nargs="*", default=["folder", "azurite"])
    options = parser.parse_args()
    data, figures = Demand(options.products), []
    with ExitStack() as stack:
        opened = {"folder": folder_store, "azurite": azurite_store}
        stores = [store for name in options.stores if (store := stack.enter_context(opened[name]()))]
        for layout in LAYOUTS:
            if layout.name in options.layouts:
                for store in stores:
                    figures += measured(Trial(layout, store, data))
                    keep("layout", figures)
    publish("layout", figures)


def measured(trial: Trial) -> list[Figure]:
    """All figures of one layout in one store."""
    print(f"{trial.store.name}: {trial.layout.name}", flush=True)
    nights = [Window(day, day) for day in list(HISTORY.days())[-NIGHTS:]]
    history = Window(HISTORY.first, nights[0].first - timedelta(days=1))
    trial.create()
    figures = [*_history(trial, history), *_files(trial, "history")]
    before = trial.open().version()
    for name, write in (("small files", trial.replace_days), ("merged", trial.merge_days)):
        if name == "small files" and trial.layout.folder == "%Y-%m-%d":
            continue  # a night has its folder for itself
        figures += [*_nights(trial, nights, name, write), *_files(trial, name), *_reads(trial, name)]
        trial.open().restore(before)
    prefix = f"{trial.store.name}; {trial.layout.name}; "
    return [Figure(prefix + figure.name, figure.value, figure.unit) for figure in figures]


def _history(trial: Trial, history: Window) -> list[Figure]:
    taken = _Taken(0, 0, 0)
    for chunk in trial.layout.chunks(history):
        rows = trial.data.of(chunk)
        taken += _timed(trial, lambda rows=rows, chunk=chunk: trial.replace_days(rows, chunk))
    return taken.figures("range write")


def _files(trial: Trial, state: str) -> list[Figure]:
    sizes = pa.table(trial.open().get_add_actions(flatten=True)).column("size_bytes").to_pylist()
    return [
        Figure(f"files, {state}", len(sizes), ""),
        Figure(f"size, {state}", round(sum(sizes) / 1e6, 1), "MB"),
    ]


def _nights(
    trial: Trial, nights: Sequence[Window], name: str, write: Callable[[pa.Table, Window], None]
) -> list[Figure]:
    rows = [trial.data.of(night) for night in nights]
    timings = [_timed(trial, lambda n=n: write(rows[n], nights[n])) for n in range(len(nights))]
    return _summary(f"a night, {name}", timings)


def _reads(trial: Trial, state: str) -> list[Figure]:
    days = [HISTORY.last - timedelta(days=n) for n in (3, 200, 700, 1200, 1800)]
    one_day = [Window(day, day) for day in days]
    months = [window.by_month()[0] for window in (Window(day.replace(day=1), HISTORY.last) for day in days)]
    store_id, product_id = trial.data.example
    series = f"store_id = '{store_id}' AND product_id = '{product_id}'"
    count = trial.data.series
    read = {
        "open": [trial.open] * _SAMPLES,
        "one day": [lambda d=d: _fetch(trial, d, expected=count) for d in one_day],
        "one month": [lambda m=m: _fetch(trial, m, expected=count * len(m)) for m in months],
        "one series": [lambda: _fetch(trial, None, where=series, expected=len(HISTORY))] * _SAMPLES,
        "everything": [lambda: _aggregate(trial, count * len(HISTORY))] * 2,
    }
    figures = []
    for name, actions in read.items():
        figures += _summary(f"{name}, {state}", [_timed(trial, action) for action in actions])
    return figures


def _fetch(trial: Trial, days: Window | None, *, expected: int, where: str = "true") -> None:
    with duckdb.connect() as connection:
        rows = trial.scan(connection, days).filter(where).to_arrow_table()
    if rows.num_rows != expected:
        raise SystemExit(f"{trial.layout.name}: {rows.num_rows} rows were read instead of {expected}.")


def _aggregate(trial: Trial, expected: int) -> None:
    """Three columns summed by store and month, over all rows."""
    with duckdb.connect() as connection:
        rows = trial.scan(connection, None)
        sums = "count(*) AS n, sum(sold_units), sum(sold_units * unit_price), sum(unconstrained_units)"
        groups = rows.aggregate(f"store_id, date_trunc('month', business_date), {sums}").fetchall()
    if (found := sum(group[2] for group in groups)) != expected:
        raise SystemExit(f"{trial.layout.name}: {found} rows were read instead of {expected}.")


@dataclass(frozen=True)
class _Taken:
    """What an action took; the processor's time is this process's and does not see a busy machine."""

    seconds: float
    cpu: float
    requests: float

    def __add__(self, other: "_Taken") -> "_Taken":
        return _Taken(self.seconds + other.seconds, self.cpu + other.cpu, self.requests + other.requests)

    def figures(self, name: str) -> list[Figure]:
        values = {"s": round(self.seconds, 3), "CPU s": round(self.cpu, 3), "requests": self.requests}
        return [Figure(name, value, unit) for unit, value in values.items() if value or unit != "requests"]


def _timed(trial: Trial, action: Callable[[], object]) -> _Taken:
    requests, started, cpu = trial.store.requests(), time.monotonic(), time.process_time()
    action()
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    return _Taken(seconds, cpu, trial.store.requests() - requests)


def _summary(name: str, taken: Sequence[_Taken]) -> list[Figure]:
    medians = (
        statistics.median(values) for values in zip(*((t.seconds, t.cpu, t.requests) for t in taken), strict=True)
    )
    return _Taken(*medians).figures(name)


if __name__ == "__main__":
    main()
