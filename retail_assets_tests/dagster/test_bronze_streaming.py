"""The daily bronze assets in Dagster: one query a month; a database that fails in the midst of one is asked again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.plan import active

from retail_assets.engines.writing import spool
from retail_assets.graph.build import build_definitions
from retail_assets.lake.lake import Lake
from retail_assets.resources.source import Source
from retail_assets.settings import Settings
from retail_assets.sources.backends.backends import SqliteBackend
from retail_assets.sources.backends.batches import RawBatch
from retail_assets.sources.mapping import EntityBinding, Mapping
from retail_assets.tables import bronze
from retail_assets.transforms.extraction import ACCEPT_EMPTY_TAG
from retail_assets_tests.own_time import own_time
from retail_assets_tests.unit.lake_frames import held_by

FIRST, LAST = date(2025, 1, 20), date(2025, 3, 5)
QUERY = (
    "SELECT id AS sale_line_id, day AS business_date, 'N' AS store_id, 'A' AS product_id, 1 AS quantity, "
    "2 AS unit_price FROM line WHERE day BETWEEN :start AND :end"
)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE line (id INTEGER, day TEXT)")
        days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
        connection.executemany("INSERT INTO line VALUES (?, ?)", [(n, str(days[n % len(days)])) for n in range(450)])
        connection.commit()
    binding = EntityBinding(query=QUERY, source_tables=["line"])
    mapping = Mapping(name="mine", timezone="UTC", country="GB", currency="GBP", entities={"sales": binding})
    return Source(f"sqlite:///{path}", mapping)


class Watched:
    """Counts the queries of SQLite and lets some fail after their first rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, failing: tuple[int, ...] = ()) -> None:
        self.asked: list[tuple[date, date]] = []
        original = SqliteBackend.batches

        def batches(
            backend: SqliteBackend, statement: Any, parameters: Any, *, batch_rows: int, **_: Any
        ) -> Iterator[RawBatch]:
            self.asked.append((parameters["start"], parameters["end"]))
            number = len(self.asked)
            for place, batch in enumerate(original(backend, statement, parameters, batch_rows=10)):
                if number in failing and place == 3:
                    raise sqlite3.OperationalError("database is locked")
                yield batch

        monkeypatch.setattr(SqliteBackend, "batches", batches)
        monkeypatch.setattr("retail_assets.sources.reading.BATCH_ROWS", 20)
        monkeypatch.setattr(spool, "MANY_ROWS", 30)


CHECK = "days_did_not_come_empty"


def _run(home: Path, source: Source, **own: str) -> tuple[dg.ExecuteInProcessResult, Lake]:
    settings = Settings(_env_file=None, home=home, start_date=FIRST)  # pyright: ignore[reportCallIssue]
    built = build_definitions(settings, overrides={"source": source})
    resources = built.resources or {}
    step = dg.AssetSelection.assets(bronze.SALES.asset_key).required_multi_asset_neighbors()
    job = dg.define_asset_job("some", step, executor_def=dg.in_process_executor)
    resolved = dg.Definitions.merge(built, dg.Definitions(jobs=[job])).resolve_job_def("some")
    tags = {"dagster/asset_partition_range_start": str(FIRST), "dagster/asset_partition_range_end": str(LAST)} | own
    with dg.DagsterInstance.ephemeral() as instance, closing(resources["engine"]):
        return resolved.execute_in_process(tags=tags, instance=instance, raise_on_error=False), resources["lake"]


def _lines(lake: Lake) -> list[str]:
    return sorted(row[0] for row in held_by(lake, bronze.SALES))


ALL = sorted(str(number) for number in range(450))
MONTHS = [
    (FIRST, date(2025, 1, 31)),
    (date(2025, 2, 1), date(2025, 2, 28)),
    (date(2025, 3, 1), LAST),
]


def test_a_range_asks_one_query_a_month(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    result, lake = _run(tmp_path / "home", source)
    assert result.success
    assert watched.asked == MONTHS
    assert _lines(lake) == ALL


def test_a_database_that_fails_midway_is_asked_again_and_leaves_nothing_half_written(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_time(monkeypatch, active, sleep=lambda _: None)
    watched = Watched(monkeypatch, failing=(2,))
    result, lake = _run(tmp_path / "home", source)
    assert result.success
    assert watched.asked == [*MONTHS[:2], *MONTHS], "the whole step again; the finished month is the same again"
    assert _lines(lake) == ALL
    commits = [commit["operation"] for commit in lake.require(bronze.SALES).history()]
    assert commits.count("WRITE") == 4, "the first month twice, the others once"
    assert not list((tmp_path / "home").rglob("rows-*"))


def test_a_history_that_the_source_purged_stays_in_the_lake_month_by_month(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    Watched(monkeypatch)
    _run(tmp_path / "home", source)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("DELETE FROM line WHERE day < '2025-02-27' OR day = '2025-03-02'")
        connection.commit()
    result, lake = _run(tmp_path / "home", source)
    assert result.success and _lines(lake) == ALL
    warned = {
        check.description
        for check in result.get_asset_check_evaluations()
        if check.check_name == CHECK and not check.passed
    }
    assert [str(text)[:77] for text in warned] == [
        "The source gives no row any more of 39 days of bronze/sales (2025-01-20, 2025"
    ]
    assert all("2025-02-19 …)" in str(text) for text in warned), "31 of them"
    days = lake.require(bronze.EXTRACTED_DAYS).to_pyarrow_table(columns=["table_name", "kept_at"]).to_pylist()
    assert sum(row["kept_at"] is not None for row in days if row["table_name"] == "bronze/sales") == 39


def _stock(condition: str) -> EntityBinding:
    columns = "day AS business_date, 'N' AS store_id, id AS product_id, 1 AS on_hand_units"
    query = f"SELECT {columns} FROM line WHERE day BETWEEN :start AND :end AND {condition}"
    return EntityBinding(query=query, source_tables=["line"])


def test_a_stock_that_the_source_purged_stays_as_well_and_goes_when_the_run_accepts_it(
    tmp_path: Path, source: Source
) -> None:
    source.mapping.entities["inventory"] = _stock("id < 400")
    _run(tmp_path / "home", source)
    source.mapping.entities["inventory"] = _stock("id < 0")
    _, lake = _run(tmp_path / "home", source)
    assert len(held_by(lake, bronze.INVENTORY)) == 400 and len(held_by(lake, bronze.SALES)) == 450
    _, lake = _run(tmp_path / "home", source, **{ACCEPT_EMPTY_TAG: "true"})
    assert len(held_by(lake, bronze.INVENTORY)) == 0 and len(held_by(lake, bronze.SALES)) == 450


def test_a_database_that_keeps_failing_fails_the_step_in_its_words(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_time(monkeypatch, active, sleep=lambda _: None)
    watched = Watched(monkeypatch, failing=tuple(range(2, 99)))
    result, lake = _run(tmp_path / "home", source)
    assert not result.success
    assert len(watched.asked) == 2 + 3, "three retries"
    [failed] = result.get_step_failure_events()
    assert "cannot be used now: database is locked" in str(failed.step_failure_data.error)
    assert {row[2] for row in held_by(lake, bronze.SALES)} <= {FIRST + timedelta(days=n) for n in range(12)}
