"""The warehouse on a real PostgreSQL, read back with psycopg."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from retail_assets.failures import PermanentFailure
from retail_assets.resources.warehouse import LoadResult, Warehouse
from retail_assets.tables.contract import Table
from retail_assets.tables.gold import DIM_STORE, FACT_SALES
from retail_assets.tables.warehouse import PUBLISHED
from retail_assets.windows import Window
from retail_assets_tests.integration.postgresql import running_postgresql
from retail_assets_tests.unit.warehouse_frames import FIRST, frame_of

WINDOW = Window(FIRST, FIRST + timedelta(days=2))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_postgresql() as url:
        yield url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    yield server
    query(server, "DROP SCHEMA IF EXISTS retail CASCADE")


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def rows_of(table: Table, frame: pa.Table) -> list[tuple[Any, ...]]:
    ordered = frame.sort_by([(name, "ascending") for name in table.key])
    return [tuple(row.values()) for row in ordered.to_pylist()]


def test_a_nullable_column_that_is_new_in_the_contract_is_added_and_old_rows_stay(url: str) -> None:
    frame = frame_of(FACT_SALES, rows=9, days=3)
    older = replace(FACT_SALES, columns=tuple(c for c in FACT_SALES.columns if c.name != "customer_id"), personal=())
    Warehouse(url).load(older, frame.drop_columns(["customer_id"]), window=WINDOW)
    first = frame_of(FACT_SALES, rows=4, days=1)
    Warehouse(url).load(FACT_SALES, first, window=Window(FIRST, FIRST))
    found = query(url, "SELECT business_date, customer_id FROM retail.fact_sales ORDER BY business_date")
    assert len(found) == 10 and {customer for day, customer in found if day > FIRST} == {None}
    assert {customer for day, customer in found if day == FIRST} == set(first["customer_id"].to_pylist())


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_every_published_table_comes_back_as_it_went_in(url: str, table: Table) -> None:
    frame = frame_of(table, rows=20)
    assert Warehouse(url).load(table, frame, window=None) == LoadResult(rows=20, deleted_rows=0)
    order = ", ".join(
        f'"{name}" COLLATE "C"' if table.schema.field(name).type == pa.string() else f'"{name}"' for name in table.key
    )
    held = query(url, f"SELECT * FROM retail.{table.name} ORDER BY {order}")
    assert [normal(row) for row in held] == [normal(row) for row in rows_of(table, frame)]


def normal(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """32-bit floats print with 7 digits in PostgreSQL and come back from Arrow with all of them."""
    return tuple(pytest.approx(value, rel=1e-6) if isinstance(value, float) else value for value in row)


def test_a_window_is_replaced_again_and_again(url: str) -> None:
    warehouse = Warehouse(url)
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=10, days=5), window=Window(FIRST, FIRST + timedelta(days=4)))
    for deleted in (6, 3):
        result = warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=3), window=WINDOW)
        assert result == LoadResult(rows=3, deleted_rows=deleted)
    assert query(url, "SELECT count(*) FROM retail.fact_sales") == [(7,)]
    assert warehouse.row_count(FACT_SALES, WINDOW) == 3


def test_a_crash_between_delete_and_insert_leaves_the_old_rows(url: str) -> None:
    warehouse = Warehouse(url)
    old = frame_of(FACT_SALES, rows=6)
    warehouse.load(FACT_SALES, old, window=WINDOW)

    def dying() -> Iterator[pa.RecordBatch]:
        raise RuntimeError("the reader died")
        yield  # a generator that never gives anything

    with pytest.raises(RuntimeError, match="the reader died"):
        warehouse.load(FACT_SALES, pa.RecordBatchReader.from_batches(old.schema, dying()), window=WINDOW)
    assert query(url, "SELECT count(*) FROM retail.fact_sales") == [(6,)]


def test_rows_that_a_trigger_swallows_undo_the_load(url: str) -> None:
    warehouse = Warehouse(url)
    warehouse.load(DIM_STORE, frame_of(DIM_STORE, rows=5), window=None)
    query(
        url,
        "CREATE FUNCTION retail.swallow() RETURNS trigger AS 'BEGIN RETURN NULL; END' LANGUAGE plpgsql; "
        "CREATE TRIGGER swallow BEFORE INSERT ON retail.dim_store FOR EACH ROW "
        "WHEN (NEW.store_id = 'stor-0') EXECUTE FUNCTION retail.swallow()",
    )
    with pytest.raises(PermanentFailure, match="Warehouse table dim_store holds 1 rows for all dates after 2 were"):
        warehouse.load(DIM_STORE, frame_of(DIM_STORE, rows=2), window=None)
    assert query(url, "SELECT count(*) FROM retail.dim_store") == [(5,)]


def test_a_repeated_key_is_refused_in_one_sentence(url: str) -> None:
    frame = frame_of(DIM_STORE, rows=1)
    with pytest.raises(PermanentFailure) as caught:
        Warehouse(url).load(DIM_STORE, pa.concat_tables([frame, frame]), window=None)
    message = str(caught.value)
    assert 'refused: duplicate key value violates unique constraint "pk_dim_store"' in message and "\n" not in message


def test_first_loads_at_the_same_time_do_not_trip_over_each_other(url: str) -> None:
    failures: list[BaseException] = []

    def load(table: Table) -> None:
        try:
            Warehouse(url).load(table, frame_of(table, rows=2), window=None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=load, args=(table,)) for table in PUBLISHED]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    held = query(url, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'retail'")
    assert held == [(len(PUBLISHED),)]


def test_a_wrong_password_is_permanent_and_not_repeated_in_the_message(url: str) -> None:
    wrong = make_url(url).set(password="c4n4ry").render_as_string(hide_password=False)
    with pytest.raises(PermanentFailure) as caught:
        Warehouse(wrong).row_count(DIM_STORE, None)
    message = str(caught.value)
    assert "password authentication failed" in message
    assert "c4n4ry" not in message and "\n" not in message


def test_a_database_that_does_not_exist_is_permanent(url: str) -> None:
    missing = make_url(url).set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(PermanentFailure, match='"nowhere" does not exist'):
        Warehouse(missing).row_count(DIM_STORE, None)
