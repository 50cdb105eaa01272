"""Extraction from PostgreSQL through ODBC: beside bare arrow-odbc, and with the bronze write in a process of its own.

Usage: python -m bench.source [--rows N] [--more-rows N]

Times are medians of repeats taken in turn. The bare side reads the same query with the same driver settings, default
buffers of arrow-odbc, and converts nothing.
"""

import argparse
import glob
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from bench.figures import Figure, at_least, at_most, interleaved, publish, ratio
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.lake.lake import Lake
from retail_assets.resources.source import Source
from retail_assets.sources.backends.odbc import connection_string
from retail_assets.sources.mapping import EntityBinding, Mapping
from retail_assets.tables import bronze, entities
from retail_assets.windows import Window

DRIVERS = "/usr/lib/*/odbc/psqlodbcw.so"
ROWS, MORE_ROWS = 2_000_000, 10_000_000
RATIO, ROWS_A_SECOND, PEAK_MB = 1.3, 400_000, 500
_REPEATS = 5
_MONTH = Window(date(2024, 1, 1), date(2024, 1, 31))
_QUERY = "SELECT * FROM line WHERE business_date BETWEEN :start AND :end"
_TABLE = """
    CREATE UNLOGGED TABLE line (
        sale_line_id varchar(20), sale_id varchar(20), business_date date, store_id varchar(10),
        product_id varchar(20), customer_id varchar(20), quantity numeric(12, 3), unit_price numeric(12, 4),
        discount_value numeric(12, 4), modified_at timestamptz, sold_at timestamp, note varchar(40))"""
_FILL = """
    INSERT INTO line SELECT
        'L' || lpad(i::text, 9, '0'), 'B' || (i / 4), date '2024-01-01' + (i %% 31)::int, 'S' || i * 7919 %% 100,
        'P' || i * 104729 %% 30000, CASE WHEN i %% 3 > 0 THEN 'C' || i %% 50000 END, 1 + i %% 7, 0.99 + i %% 90,
        CASE WHEN i %% 5 = 0 THEN 0.5 END, timestamptz '2024-02-01 03:00Z' + i %% 86400 * interval '1 second',
        timestamp '2024-01-01 08:00:00.123456' + i %% 86400 * interval '1 second', 'Łódź 🥦 ' || i %% 1000
    FROM generate_series({start}::bigint, {end} - 1) i"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--more-rows", type=int, default=MORE_ROWS)
    parser.add_argument("--write", help="read that URL and write it into a lake, then say how it went")
    options = parser.parse_args()
    if options.write:
        print(json.dumps(_written(options.write)))
        return
    drivers = glob.glob(DRIVERS)
    if not drivers:
        raise SystemExit("psqlODBC is not installed; install it with: apt-get install odbc-postgresql")
    from retail_assets_tests.integration.postgresql import running_postgresql  # not in the process that is measured

    with running_postgresql() as server:
        odbc = sa.make_url(server).set(drivername="postgresql+pyodbc", query={"driver": drivers[0]})
        _fill(server, 0, options.rows)
        figures = [*_reading(odbc, options.rows), *_writing(odbc, options.rows)]
        _fill(server, options.rows, options.more_rows)
        figures += _writing(odbc, options.more_rows)
    publish("source", figures)


def _reading(url: sa.URL, rows: int) -> list[Figure]:
    name = f"read {rows / 1e6:g} million rows"
    timings = interleaved(lambda: _ours(url, rows), lambda: _bare(url, rows), repeats=_REPEATS)
    ours, bare = timings
    return [
        *ratio(name, timings, target=RATIO),
        at_least(f"{name}: ours", round(rows / ours), "rows/s", ROWS_A_SECOND),
        Figure(f"{name}: bare arrow-odbc", round(rows / bare), "rows/s"),
    ]


def _writing(url: sa.URL, rows: int) -> list[Figure]:
    """Extraction and bronze write in a process that does only this."""
    command = [sys.executable, "-m", "bench.source", "--write", url.render_as_string(hide_password=False)]
    found = []
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"writing {rows} rows ended with {done.returncode}: {done.stderr[-2000:]}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
        if found[-1]["rows"] != rows:
            raise SystemExit(f"{rows} rows were to be written, {found[-1]['rows']} were.")
    name = f"read and write {rows / 1e6:g} million rows"
    seconds = statistics.median(each["seconds"] for each in found)
    return [
        Figure(name, round(rows / seconds), "rows/s"),
        at_most(f"{name}: peak memory", max(each["peak_mb"] for each in found), "MB", PEAK_MB),
        Figure(f"{name}: memory before", found[0]["before_mb"], "MB"),
    ]


def _fill(url: str, start: int, end: int) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for words in ([] if start else [_TABLE]) + [_FILL.format(start=start, end=end), "VACUUM ANALYZE line"]:
            connection.exec_driver_sql(words)
    engine.dispose()


def _source(url: sa.URL) -> Source:
    binding = EntityBinding(query=_QUERY, source_tables=["line"])
    mapping = Mapping(name="bench", timezone="UTC", country="GB", currency="GBP", entities={"sales": binding})
    return Source(url.render_as_string(hide_password=False), mapping)


def _ours(url: sa.URL, rows: int) -> None:
    reader = _source(url).read_days(entities.SALES, _MONTH.first, _MONTH.last)
    _check(sum(batch.num_rows for batch in reader), rows)


def _bare(url: sa.URL, rows: int) -> None:
    import arrow_odbc

    reader = arrow_odbc.read_arrow_batches_from_odbc(
        _QUERY.replace(":start", "CAST(? AS date)").replace(":end", "CAST(? AS date)"),
        connection_string(url),
        parameters=[str(_MONTH.first), str(_MONTH.last)],
    )
    _check(sum(batch.num_rows for batch in reader), rows)


def _check(found: int, rows: int) -> None:
    if found != rows:
        raise SystemExit(f"{rows} rows were to be read, {found} were.")


def _written(url: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as folder:
        engine = DuckDBEngine(Lake(f"{folder}/lake"), memory_limit="2GB", temp_folder=Path(folder) / "tmp")
        before, started = _memory_mb("VmRSS"), time.monotonic()
        reader = _source(sa.make_url(url)).read_days(entities.SALES, _MONTH.first, _MONTH.last)
        written = engine.overwrite_window(bronze.SALES, reader, _MONTH)
        seconds = time.monotonic() - started
    return {"rows": written.rows, "seconds": seconds, "before_mb": before, "peak_mb": _memory_mb("VmHWM")}


def _memory_mb(what: str) -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)]
    return round(int(line.split()[1]) / 1024)


if __name__ == "__main__":
    main()
