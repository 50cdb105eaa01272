"""Transforms of silver sales through an engine, beside hand-written DuckDB SQL that gives the same rows.

Each result is materialised whole, as a temporary table. DuckDB's are compared with the SQL's row by row; those of
other engines by their count here, value by value in the tests.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
from duckdb import DuckDBPyConnection

from bench import bare_sql
from bench.figures import Figure, interleaved, ratio, seconds
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.protocol import Engine
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables import gold, silver
from retail_assets.tables.contract import Table
from retail_assets.transforms import demand
from retail_assets.transforms import gold as to_gold
from retail_assets.transforms import silver as to_silver
from retail_assets.transforms.rules import BROKEN_RULE
from retail_assets.windows import Window

TARGET = 1.5
MEMORY = "5GB"


Tables = Mapping[Table, ibis.Table]


@dataclass(frozen=True)
class Case:
    """One transform: as an expression of an engine's tables, and as SQL on views of the same files."""

    name: str
    expression: Callable[[Tables], ibis.Table]
    sql: str


def cases(window: Window) -> list[Case]:
    wide = window.extended(days_before=demand.LOOKBACK_DAYS)
    return [
        Case("validated sales", _judged, bare_sql.JUDGED_SALES),
        Case("fact_sales", _fact_sales, bare_sql.FACT_SALES),
        Case("sales_summary", _summary, bare_sql.SALES_SUMMARY),
        Case("dense demand", lambda tables: _dense(tables, window), bare_sql.observed_demand(wide)),
    ]


def transform_figures(
    label: str, lake: Lake, write: Callable[[Engine], Window], *, folder: Path, repeats: int, beside: bool = True
) -> list[Figure]:
    """Every transform on the tables that `write` makes, through DuckDB, bare SQL and, when `beside`, other engines."""
    with _duckdb(lake, folder) as engine:
        window = write(engine)
        figures = _beside_sql(engine, label, cases(window), repeats=repeats)
    for name, opened in OTHER_ENGINES.items() if beside else ():
        with opened(lake) as other:
            figures += _others(other, f"{label}, {{}}: {name}", cases(window)) if other else []
    return figures


def _beside_sql(engine: DuckDBEngine, label: str, asked: Sequence[Case], *, repeats: int) -> list[Figure]:
    """Each transform's ratio, and that of all together, which is what the target is for."""
    bare, tables = _bare(engine), _tables(engine)
    figures, totals = [], [0.0, 0.0]
    for case in asked:
        _compare(engine, tables, bare, case)
        if case.sql == bare_sql.JUDGED_SALES:
            _compare_faults(engine, tables, bare, case)
        timings = interleaved(lambda c=case: _ours(engine, tables, c), lambda c=case: _theirs(bare, c), repeats=repeats)
        figures += ratio(f"{label}, {case.name}", timings)
        totals = [total + value for total, value in zip(totals, timings, strict=True)]
    return [*figures, *ratio(f"{label}, all transforms", (totals[0], totals[1]), target=TARGET)]


def _others(engine: Engine, label: str, asked: Sequence[Case]) -> list[Figure]:
    tables = _tables(engine)
    taken = {case.name: seconds(lambda c=case: _ours(engine, tables, c)) for case in asked}
    return [Figure(label.format(name), round(value, 1), "s") for name, value in taken.items()]


def _tables(engine: Engine) -> Tables:
    return {table: engine.scan_or_empty(table) for table in bare_sql.VIEWS.values()}


@contextlib.contextmanager
def _duckdb(lake: Lake, folder: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(lake, memory_limit=MEMORY, temp_folder=folder)
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def _spark(lake: Lake) -> Iterator[Engine | None]:
    """None where Spark is not installed or does not start."""
    try:
        from retail_assets.engines.spark.engine import SparkEngine
        from retail_assets.resources.spark import SparkSessions
    except ModuleNotFoundError as missing:
        print(f"Spark is left out: there is no {missing.name}; install the extra `spark`.")
        yield None
        return
    engine = SparkEngine(lake, SparkSessions("local[*]", {}, memory="4GB"))
    try:
        engine.session.range(1).count()
    except PermanentFailure as reason:
        print(f"Spark is left out: {reason}")
        yield None
        return
    try:
        yield engine
    finally:
        engine.close()


OTHER_ENGINES = {"Spark": _spark}


def _judged(tables: Tables) -> ibis.Table:
    delivered = tables[silver.SALES].mutate(unparsed=ibis.null("string"))
    validated = to_silver.validated_sales(delivered, stores=tables[silver.STORES], products=tables[silver.PRODUCTS])
    return validated.select(*silver.SALES.column_names, BROKEN_RULE)


def _fact_sales(tables: Tables) -> ibis.Table:
    return to_gold.fact_sales(tables[silver.SALES])


def _summary(tables: Tables) -> ibis.Table:
    products = tables[silver.PRODUCTS].mutate(is_current=ibis.literal(True))
    return to_gold.sales_summary(_fact_sales(tables), products)


def _dense(tables: Tables, window: Window) -> ibis.Table:
    offer = demand.Offer(**{table.name: rows for table, rows in tables.items() if table in silver.SNAPSHOTS})
    inventory = tables[gold.FACT_INVENTORY]
    return demand.observed_demand(window, sales=_fact_sales(tables), inventory=inventory, offer=offer)


def _ours(engine: Engine, tables: Tables, case: Case) -> None:
    with engine.cached(case.expression(tables)) as rows:
        rows.count().to_pyarrow()


def _theirs(bare: DuckDBPyConnection, case: Case) -> None:
    bare.execute(f"CREATE TEMP TABLE bare_result AS {case.sql}")
    bare.execute("SELECT count(*) FROM bare_result").fetchall()
    bare.execute("DROP TABLE bare_result")


def _bare(engine: DuckDBEngine) -> DuckDBPyConnection:
    """The engine's own connection, with a view of every table's files: same settings, same reader."""
    connection = engine.connection.con
    for name, table in bare_sql.VIEWS.items():
        delta = engine.lake.open(table)
        files = ", ".join(f"'{uri.removeprefix('file://')}'" for uri in delta.file_uris()) if delta else ""
        rows = f"SELECT * FROM read_parquet([{files}])"
        if not files:
            connection.register(f"{name}_empty", table.schema.empty_table())
            rows = f"SELECT * FROM {name}_empty"
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {rows}")
    return connection


def _compare(engine: DuckDBEngine, tables: Tables, bare: DuckDBPyConnection, case: Case) -> None:
    """Rows, and the sum of a hash of every row, which sees any differing value or type."""
    with engine.cached(case.expression(tables)) as rows:
        names = ", ".join(rows.columns)
        mine = bare.execute(_FINGERPRINT.format(names=names, rows=rows.get_name())).fetchall()
    theirs = bare.execute(_FINGERPRINT.format(names=names, rows=f"({case.sql})")).fetchall()
    if mine != theirs:
        raise SystemExit(f"{case.name}: the transform gives {mine}, the SQL {theirs} (rows, sum of row hashes).")


def _compare_faults(engine: DuckDBEngine, tables: Tables, bare: DuckDBPyConnection, case: Case) -> None:
    """The same of lines that break the rules and respell ids, which those that are timed hardly do."""
    bare.execute(f"CREATE TEMP TABLE faulty_sales AS {bare_sql.FAULTY_SALES}")
    faulty = {**tables, silver.SALES: engine.connection.table("faulty_sales")}
    sql = case.sql.replace("bare_sales", "faulty_sales")
    _compare(engine, faulty, bare, replace(case, name=f"faulty {case.name}", sql=sql))
    bare.execute("DROP TABLE faulty_sales")


_FINGERPRINT = "SELECT count(*), sum(hash({names})::HUGEINT) FROM {rows}"
