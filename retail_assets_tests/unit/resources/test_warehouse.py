"""The DuckDB file read back with DuckDB itself, the statements meant for SQL Server and Synapse, and every refusal."""

import multiprocessing
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError

from retail_assets.database_errors import ConnectionRefused
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.warehouse import LoadResult, Warehouse
from retail_assets.resources.warehouses import duckdb as duckdb_warehouse
from retail_assets.resources.warehouses.duckdb import DuckDBTransaction
from retail_assets.resources.warehouses.relational import sql_table
from retail_assets.resources.warehouses.rows import CHUNK_ROWS, CheckedRows, check_lengths
from retail_assets.resources.warehouses.sqlserver import SQLServer, SQLServerTransaction
from retail_assets.resources.warehouses.staging import LakeStaging, lake_staging
from retail_assets.resources.warehouses.synapse import (
    ServerlessTransaction,
    SynapseDedicated,
    SynapseServerless,
    layout_clause,
)
from retail_assets.tables.contract import Table
from retail_assets.tables.forecast import FORECAST_ACCURACY
from retail_assets.tables.gold import DIM_DATE, DIM_STORE, FACT_SALES, PRODUCT_SEGMENTS, SALES_SUMMARY
from retail_assets.tables.inventory import POLICY_REPLAY, REPLENISHMENT_PLAN
from retail_assets.tables.warehouse import PUBLISHED, load_contract
from retail_assets.windows import Window
from retail_assets_tests.own_time import own_time
from retail_assets_tests.unit.warehouse_frames import FIRST, frame_of

DAY = timedelta(days=1)
WINDOW = Window(FIRST, FIRST + 2 * DAY)
STAGING = LakeStaging(account="acme", container="lake", folder="retail")
SECRET = "c4n4ry"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "warehouse.duckdb"


@pytest.fixture
def warehouse(file: Path) -> Warehouse:
    return Warehouse(f"duckdb:///{file}", lock_wait_seconds=0)


def held(file: Path, table: Table) -> pa.Table:
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        order = ", ".join(table.key)
        return connection.sql(f"SELECT * FROM retail.{table.name} ORDER BY {order}").to_arrow_table()


def in_key_order(table: Table, frame: pa.Table) -> pa.Table:
    return frame.sort_by([(name, "ascending") for name in table.key])


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_every_published_table_comes_back_as_it_went_in(warehouse: Warehouse, file: Path, table: Table) -> None:
    frame = frame_of(table, rows=20)
    assert warehouse.load(table, frame, window=None) == LoadResult(rows=20, deleted_rows=0)
    assert held(file, table).cast(table.schema).equals(in_key_order(table, frame))


def test_the_warehouse_contract_of_a_table_loads_into_the_same_table(warehouse: Warehouse, file: Path) -> None:
    warehouse.load(load_contract(DIM_STORE), frame_of(DIM_STORE, rows=2), window=None)
    assert held(file, DIM_STORE).num_rows == 2


def test_a_window_is_replaced_and_its_neighbours_stay(warehouse: Warehouse, file: Path) -> None:
    frame = frame_of(FACT_SALES, rows=30, days=5)
    warehouse.load(FACT_SALES, frame, window=Window(FIRST, FIRST + 4 * DAY))
    middle = frame_of(FACT_SALES, rows=4, first=FIRST + DAY, days=2)
    result = warehouse.load(FACT_SALES, middle, window=Window(FIRST + DAY, FIRST + 2 * DAY))
    assert result == LoadResult(rows=4, deleted_rows=12)
    days = held(file, FACT_SALES)["business_date"].to_pylist()
    assert [days.count(FIRST + n * DAY) for n in range(5)] == [6, 2, 2, 6, 6]


def test_loading_again_changes_nothing(warehouse: Warehouse, file: Path) -> None:
    frame = frame_of(REPLENISHMENT_PLAN, rows=9)
    warehouse.load(REPLENISHMENT_PLAN, frame, window=WINDOW)
    before = held(file, REPLENISHMENT_PLAN)
    assert warehouse.load(REPLENISHMENT_PLAN, frame, window=WINDOW) == LoadResult(rows=9, deleted_rows=9)
    assert held(file, REPLENISHMENT_PLAN).equals(before)


def test_an_empty_frame_empties_its_window(warehouse: Warehouse) -> None:
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=6), window=WINDOW)
    empty = FACT_SALES.schema.empty_table()
    assert warehouse.load(FACT_SALES, empty, window=Window(FIRST, FIRST)) == LoadResult(rows=0, deleted_rows=2)
    assert warehouse.row_count(FACT_SALES, None) == 4


def test_a_stream_loads_like_a_table_in_bounded_pieces(warehouse: Warehouse, file: Path) -> None:
    frame = frame_of(DIM_DATE, rows=50)
    stream = pa.RecordBatchReader.from_batches(frame.schema, frame.to_batches(max_chunksize=7))
    assert warehouse.load(DIM_DATE, stream, window=None).rows == 50
    assert held(file, DIM_DATE).cast(DIM_DATE.schema).equals(frame)


def test_small_batches_are_joined_and_large_tables_are_cut() -> None:
    days = pa.array([FIRST] * (2 * CHUNK_ROWS + 5))
    one = frame_of(DIM_DATE, rows=1).set_column(0, DIM_DATE.schema.field(0), days.slice(0, 1))
    large = one.take(pa.array([0] * len(days)))
    batches = pa.RecordBatchReader.from_batches(large.schema, large.to_batches(max_chunksize=1000))
    for frame in (large, batches):
        sizes = [chunk.num_rows for chunk in CheckedRows(DIM_DATE, frame, window=None).chunks()]
        assert sum(sizes) == len(days)
        assert all(CHUNK_ROWS <= size < 2 * CHUNK_ROWS for size in sizes[:-1]) and len(sizes) > 1


def test_counts_are_asked_by_window_and_nothing_loaded_counts_zero(warehouse: Warehouse) -> None:
    assert warehouse.row_count(FACT_SALES, None) == 0
    warehouse.load(DIM_STORE, frame_of(DIM_STORE, rows=1), window=None)
    assert warehouse.row_count(FACT_SALES, None) == 0
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=7), window=WINDOW)
    assert warehouse.row_count(FACT_SALES, Window(FIRST, FIRST)) == 3
    assert warehouse.row_count(FACT_SALES, None) == 7


def test_rows_outside_the_window_are_refused_and_the_old_ones_stay(warehouse: Warehouse) -> None:
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=6), window=WINDOW)
    with pytest.raises(PermanentFailure) as caught:
        warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=4, days=4), window=WINDOW)
    assert str(caught.value) == (
        "The warehouse cannot take the frame: fact_sales.business_date runs from 2025-03-01 to 2025-03-04, "
        "outside the window 2025-03-01 … 2025-03-03."
    )
    assert warehouse.row_count(FACT_SALES, None) == 6


def test_a_crash_between_delete_and_insert_leaves_the_old_rows(warehouse: Warehouse, file: Path) -> None:
    old = frame_of(FACT_SALES, rows=6)
    warehouse.load(FACT_SALES, old, window=WINDOW)

    def dying() -> Iterator[pa.RecordBatch]:
        raise RuntimeError("the reader died")
        yield  # a generator that never gives anything

    with pytest.raises(RuntimeError, match="the reader died"):
        warehouse.load(FACT_SALES, pa.RecordBatchReader.from_batches(old.schema, dying()), window=WINDOW)
    assert held(file, FACT_SALES).cast(FACT_SALES.schema).equals(in_key_order(FACT_SALES, old))


def _die_after_delete(url: str) -> None:
    import os

    DuckDBTransaction.insert = lambda self, table, rows: os._exit(9)  # type: ignore[method-assign]
    Warehouse(url).load(FACT_SALES, frame_of(FACT_SALES, rows=1), window=WINDOW)


def test_a_process_killed_between_delete_and_insert_leaves_the_old_rows(warehouse: Warehouse, file: Path) -> None:
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=6), window=WINDOW)
    process = multiprocessing.get_context("spawn").Process(target=_die_after_delete, args=(f"duckdb:///{file}",))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert warehouse.row_count(FACT_SALES, WINDOW) == 6


def test_a_count_that_differs_undoes_the_load(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=6), window=WINDOW)
    insert = DuckDBTransaction.insert

    def insert_and_lose_one(self: DuckDBTransaction, table: Table, rows: CheckedRows) -> None:
        insert(self, table, rows)
        self._connection.execute("DELETE FROM retail.fact_sales WHERE sale_line_id = 'sale-0'")

    monkeypatch.setattr(DuckDBTransaction, "insert", insert_and_lose_one)
    with pytest.raises(PermanentFailure) as caught:
        warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=3), window=WINDOW)
    assert str(caught.value) == (
        "Warehouse table fact_sales holds 2 rows for 2025-03-01 … 2025-03-03 after 3 were loaded, so the load was "
        "undone; look for a trigger, a rule or another writer on that table."
    )
    assert warehouse.row_count(FACT_SALES, WINDOW) == 6


def _hold(path: str, opened: Any, release: Any) -> None:
    with duckdb.connect(path):
        opened.set()
        release.wait()


@pytest.fixture
def holder(file: Path) -> Iterator[Any]:
    """Another process that has the file open; setting the event lets it go."""
    context = multiprocessing.get_context("spawn")
    file.parent.mkdir()
    opened, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(file), opened, release))
    process.start()
    assert opened.wait(timeout=60)
    yield SimpleNamespace(release=release.set)
    release.set()
    process.join()


def test_a_file_open_elsewhere_is_a_transient_failure_then_waited_for(
    warehouse: Warehouse, file: Path, holder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frame_of(DIM_STORE, rows=1)
    with pytest.raises(TransientFailure) as caught:
        warehouse.load(DIM_STORE, frame, window=None)
    assert str(caught.value) == (f"The DuckDB file {file} is open in another process; close it there and load again.")
    own_time(monkeypatch, duckdb_warehouse, sleep=lambda _: holder.release())
    assert Warehouse(f"duckdb:///{file}", lock_wait_seconds=60).load(DIM_STORE, frame, window=None).rows == 1


def test_a_file_that_is_no_database_is_refused(warehouse: Warehouse, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("not a database, but long enough to be looked at" * 200)
    with pytest.raises(PermanentFailure, match=r"^The DuckDB file .*warehouse\.duckdb cannot be opened: .*\.$"):
        warehouse.load(DIM_STORE, frame_of(DIM_STORE, rows=1), window=None)


def test_a_table_of_another_contract_is_named_with_its_columns(warehouse: Warehouse, file: Path) -> None:
    file.parent.mkdir()
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA retail")
        columns = ", ".join(f"{name} VARCHAR" for name in DIM_DATE.column_names if name != "week")
        connection.execute(f"CREATE TABLE retail.dim_date ({columns}, season VARCHAR)")
    with pytest.raises(PermanentFailure) as caught:
        warehouse.load(DIM_DATE, frame_of(DIM_DATE, rows=1), window=None)
    assert str(caught.value) == (
        "Warehouse table retail.dim_date lacks the columns ['week'] and has the unknown columns ['season']; "
        "drop it and load its dates again."
    )


def test_a_nullable_column_that_is_new_in_the_contract_is_added_and_old_rows_stay(
    warehouse: Warehouse, file: Path
) -> None:
    frame = frame_of(FACT_SALES, rows=9, days=3)
    older = replace(FACT_SALES, columns=tuple(c for c in FACT_SALES.columns if c.name != "customer_id"), personal=())
    warehouse.load(older, frame.drop_columns(["customer_id"]), window=WINDOW)
    warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=4, days=1), window=Window(FIRST, FIRST))
    rows = held(file, FACT_SALES).sort_by("business_date")
    assert set(rows.column_names) == set(FACT_SALES.column_names)
    assert rows.num_rows == 10
    later = [day > FIRST for day in rows["business_date"].to_pylist()]
    assert all(value is None for value, is_old in zip(rows["customer_id"].to_pylist(), later, strict=True) if is_old)


def test_the_databases_of_microsoft_add_nullable_columns_and_make_a_view_anew() -> None:
    customer = [column for column in FACT_SALES.columns if column.name == "customer_id"]
    added = ["ALTER TABLE retail.fact_sales ADD customer_id NVARCHAR(128) NULL"]
    assert sql_server().add_statements(FACT_SALES, customer) == added
    dedicated = SynapseDedicated(make_url("mssql+pyodbc://u:p@acme.sql.azuresynapse.net/d?driver=x"), staging=STAGING)
    assert dedicated.add_statements(FACT_SALES, customer) == added
    serverless = SynapseServerless(
        make_url("mssql+pyodbc://u:p@acme-ondemand.sql.azuresynapse.net/d?driver=x"), staging=STAGING
    )
    gone, made = serverless.add_statements(FACT_SALES, customer)
    assert gone == "DROP VIEW [retail].[fact_sales]" and made.startswith("CREATE VIEW [retail].[fact_sales]")
    assert serverless.add_statements(FACT_SALES, []) == []


def test_a_frame_that_breaks_its_contract_is_refused_even_when_empty(warehouse: Warehouse) -> None:
    empty = DIM_DATE.schema.empty_table().drop_columns(["week"])
    with pytest.raises(PermanentFailure, match=r"The warehouse cannot take the frame: .*missing columns \['week'\]"):
        warehouse.load(DIM_DATE, empty, window=None)


def test_an_unpartitioned_table_has_no_window(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="not partitioned"):
        warehouse.load(DIM_DATE, frame_of(DIM_DATE, rows=1), window=WINDOW)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "RETAIL_WAREHOUSE_URL is not a database URL; for example postgresql+psycopg://"),
        ("mysql://u:c4n4ry@h/d", "RETAIL_WAREHOUSE_URL has the scheme mysql, but must start with duckdb://"),
        ("duckdb://", "RETAIL_WAREHOUSE_URL names no file after duckdb:///"),
        ("duckdb:///:memory:", "RETAIL_WAREHOUSE_URL names no file after duckdb:///"),
        ("mssql+pyodbc://u:c4n4ry@h/d?synapse=big", "RETAIL_WAREHOUSE_URL says synapse=big, but a Synapse pool is"),
        (
            "mssql+pyodbc://u:c4n4ry@acme.sql.azuresynapse.net/d",
            "The Synapse warehouse at acme.sql.azuresynapse.net reads files of the lake, but RETAIL_LAKE_URI",
        ),
    ],
)
def test_a_wrong_url_is_one_sentence_without_the_password(url: str, message: str) -> None:
    with pytest.raises(PermanentFailure, match=re.escape(message)) as caught:
        Warehouse(url)
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("postgresql+psycopg://u:c4n4ry@db.acme/w", "postgresql warehouse at db.acme:5432/w"),
        ("mssql+pyodbc://u:c4n4ry@db.acme:1444/w?driver=D", "mssql warehouse at db.acme:1444/w"),
        (
            "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BSERVER%3Dtcp%3Adb.acme%2C1433%3BPWD%3Dc4n4ry",
            "mssql warehouse at db.acme",
        ),
    ],
)
def test_the_text_of_a_warehouse_names_the_host_and_no_password(address: str, place: str) -> None:
    assert repr(Warehouse(address)) == f"Warehouse({place})"


@pytest.mark.parametrize(
    ("address", "backend"),
    [
        ("mssql+pyodbc://u:p@acme.sql.azuresynapse.net/pool?driver=D", SynapseDedicated),
        ("mssql+pyodbc://u:p@acme-ondemand.sql.azuresynapse.net/views?driver=D", SynapseServerless),
        ("mssql+pyodbc://u:p@private.link/pool?driver=D&synapse=dedicated", SynapseDedicated),
        ("mssql+pyodbc://u:p@private.link/views?driver=D&synapse=serverless", SynapseServerless),
        ("mssql+pyodbc://u:p@acme.database.windows.net/pool?driver=D", SQLServer),
    ],
)
def test_host_or_query_decides_among_microsofts_databases(address: str, backend: type) -> None:
    chosen: Any = Warehouse(address, staging=STAGING)._backend
    assert type(chosen) is backend
    assert "synapse" not in chosen._url.query  # it would end up in the ODBC connection string


def test_an_unreachable_server_is_a_transient_failure_that_names_it() -> None:
    warehouse = Warehouse("postgresql+psycopg://loader:c4n4ry@127.0.0.1:1/warehouse?connect_timeout=5")
    with pytest.raises(TransientFailure) as caught:
        warehouse.load(DIM_STORE, frame_of(DIM_STORE, rows=1), window=None)
    message = str(caught.value)
    assert message.startswith("The postgresql warehouse at 127.0.0.1:1/warehouse cannot be used now: ")
    assert SECRET not in message and "\n" not in message


@pytest.mark.parametrize(
    ("state", "text", "expected"),
    [
        (
            "HYT00",
            "[HYT00] [Microsoft][ODBC Driver 18 for SQL Server]Login timeout expired (0) (SQLDriverConnect)",
            TransientFailure(
                "The mssql warehouse at h/d cannot be used now: Login timeout expired; try again, and if it stays "
                "check RETAIL_WAREHOUSE_URL and the network."
            ),
        ),
        (
            "28000",
            "[28000] [Microsoft][ODBC Driver 18][SQL Server]Login failed for user 'u'. (18456) (SQLDriverConnect)",
            ConnectionRefused(
                "The mssql warehouse at h/d refuses the connection: Login failed for user 'u'; correct "
                "RETAIL_WAREHOUSE_URL."
            ),
        ),
        (
            "01000",
            "[01000] [unixODBC][Driver Manager]Can't open lib 'D' : file not found (0) (SQLDriverConnect)",
            ConnectionRefused(
                "The mssql warehouse at h/d cannot be opened: Can't open lib 'D' : file not found; install the driver, "
                "or name another one in RETAIL_WAREHOUSE_URL."
            ),
        ),
        (
            "40001",
            "[40001] [Microsoft][ODBC Driver 18][SQL Server]Transaction was deadlocked. (1205) (SQLExecDirectW)",
            TransientFailure("The mssql warehouse at h/d cannot be used now: Transaction was deadlocked; try again."),
        ),
    ],
)
def test_what_the_odbc_driver_says_becomes_one_sentence(
    state: str, text: str, expected: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse("mssql+pyodbc://u:c4n4ry@h/d?driver=D")

    def refuse() -> None:
        raise OperationalError("SELECT 1", None, Exception(state, text))

    monkeypatch.setattr(warehouse._backend, "_connect", refuse)
    with pytest.raises(type(expected)) as caught:
        warehouse.load(DIM_STORE, frame_of(DIM_STORE, rows=1), window=None)
    assert str(caught.value) == str(expected)


def sql_server() -> SQLServer:
    return SQLServer(make_url("mssql+pyodbc://u:p@h/d?driver=D"))


def test_sql_server_ddl_has_indexable_keys_and_no_unbounded_text() -> None:
    (ddl,) = sql_server().create_statements(REPLENISHMENT_PLAN)
    lines = [line.strip().rstrip(",") for line in ddl.splitlines()]
    assert lines[0] == "CREATE TABLE retail.replenishment_plan ("
    assert "as_of_date DATE NOT NULL" in lines
    assert "store_id NVARCHAR(128) NOT NULL" in lines
    assert "supplier_id NVARCHAR(128) NOT NULL" in lines
    assert "service_measure NVARCHAR(256) NOT NULL" in lines
    assert "reason NVARCHAR(4000) NOT NULL" in lines
    assert "unit_cost NUMERIC(18, 4) NULL" in lines
    assert "lead_time_days INTEGER NOT NULL" in lines
    assert "CONSTRAINT pk_replenishment_plan PRIMARY KEY (as_of_date, store_id, product_id)" in lines


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_no_sql_server_key_is_wider_than_an_index_takes(table: Table) -> None:
    types: dict[str, Any] = {column.name: column.type for column in sql_table(table).columns}
    widths = [2 * types[name].length if hasattr(types[name], "length") else 17 for name in table.key]
    assert sum(widths) <= 900  # bytes of a clustered key
    (ddl,) = sql_server().create_statements(table)
    assert "max" not in ddl.lower().replace("max_", "") and "IDENTITY" not in ddl


class RecordingConnection:
    """Takes statements instead of a server."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any]] = []

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        self.seen.append((statement, parameters))
        return SimpleNamespace(rowcount=5)

    def text(self, position: int) -> str:
        statement = self.seen[position][0]
        dialect = sql_server()._connect().dialect
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).replace("\n", "")


def test_sql_server_deletes_by_date_and_inserts_arrays_of_rows() -> None:
    connection = RecordingConnection()
    transaction = SQLServerTransaction(connection)  # type: ignore[arg-type]
    assert transaction.delete(FACT_SALES, WINDOW) == 5
    frame = frame_of(FACT_SALES, rows=3)
    transaction.insert(FACT_SALES, CheckedRows(FACT_SALES, frame, window=WINDOW))
    assert connection.text(0) == (
        "DELETE FROM retail.fact_sales WHERE retail.fact_sales.business_date BETWEEN '2025-03-01' AND '2025-03-03'"
    )
    assert isinstance(connection.seen[1][0], sa.Insert)
    sent = connection.seen[1][1]
    assert [row["sale_line_id"] for row in sent] == frame["sale_line_id"].to_pylist()
    assert sent[0]["extracted_at"] == frame["extracted_at"][0].as_py().replace(tzinfo=None)


def test_sql_server_sends_arrays_not_single_rows() -> None:
    assert sql_server()._connect().dialect.fast_executemany  # type: ignore[attr-defined]


def with_segment(text: str) -> pa.Table:
    frame = frame_of(FORECAST_ACCURACY, rows=1)
    return frame.set_column(frame.column_names.index("segment"), "segment", pa.array([text]))


TOO_LONG = (
    "Warehouse table forecast_accuracy cannot take a text of 129 characters in segment: its limit there is 128; "
    "shorten it in the source."
)


@pytest.mark.parametrize("text", ["ü" * 129, "🍎" * 64 + "x"], ids=["letters", "characters of two code units"])
def test_a_text_too_long_for_its_column_is_refused_by_name(text: str) -> None:
    """The databases of Microsoft count UTF-16 code units: an emoji is two of them."""
    check_lengths(FORECAST_ACCURACY, with_segment(text[:-1]))
    with pytest.raises(PermanentFailure) as caught:
        check_lengths(FORECAST_ACCURACY, with_segment(text))
    assert str(caught.value) == TOO_LONG


@pytest.mark.parametrize("transaction", [SQLServerTransaction, ServerlessTransaction], ids=lambda kind: kind.__name__)
def test_a_text_too_long_stops_the_load_before_its_rows_are_sent(transaction: type) -> None:
    connection = RecordingConnection()
    rows = CheckedRows(FORECAST_ACCURACY, with_segment("x" * 129), window=None)
    with pytest.raises(PermanentFailure) as caught:
        transaction(connection).insert(FORECAST_ACCURACY, rows)
    assert str(caught.value) == TOO_LONG and connection.seen == []


def test_a_text_too_long_reaches_neither_the_staging_nor_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    synapse = FakeSynapse(monkeypatch)
    with pytest.raises(PermanentFailure) as caught:
        synapse.warehouse(monkeypatch).load(FORECAST_ACCURACY, with_segment("x" * 129), window=None)
    assert str(caught.value) == TOO_LONG
    assert synapse.files == {} and "DELETE" not in synapse.log


def test_a_file_of_duckdb_takes_a_text_of_any_length(warehouse: Warehouse) -> None:
    assert warehouse.load(FORECAST_ACCURACY, with_segment("x" * 9000), window=None).rows == 1


def test_a_text_without_a_length_in_its_contract_makes_no_column() -> None:
    boundless = replace(DIM_STORE, columns=tuple(replace(column, length=None) for column in DIM_STORE.columns))
    with pytest.raises(ValueError, match="store_id: a text of a warehouse table states its length in the contract"):
        sql_table(boundless)


@pytest.mark.parametrize(
    ("table", "distribution"),
    [
        (FACT_SALES, "HASH([product_id])"),
        (PRODUCT_SEGMENTS, "HASH([product_id])"),
        (DIM_STORE, "REPLICATE"),
        (POLICY_REPLAY, "REPLICATE"),
        (SALES_SUMMARY, "ROUND_ROBIN"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_dedicated_pool_spreads_facts_and_copies_dimensions(table: Table, distribution: str) -> None:
    assert layout_clause(table) == f"WITH (CLUSTERED COLUMNSTORE INDEX, DISTRIBUTION = {distribution})"


class FakeSynapse:
    """Records statements in order and the files that were in the lake while COPY ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.files: dict[str, pa.Table] = {}
        self.count = 0
        self.fail_on = "nothing"
        monkeypatch.setattr(LakeStaging, "upload", lambda _, file, *, path: self._upload(file, path))
        monkeypatch.setattr(LakeStaging, "remove", lambda _, path: self.log.append(f"remove {path}"))

    def _upload(self, file: Path, path: str) -> None:
        self.log.append(f"upload {path}")
        self.files[path] = pyarrow.parquet.read_table(file)

    def exec_driver_sql(self, statement: str) -> None:
        self.log.append(re.sub(r"\s+", " ", statement))
        if self.fail_on in statement:
            raise ProgrammingError(statement, None, Exception("COPY was refused"))

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        self.log.append(str(statement).split()[0])
        return SimpleNamespace(rowcount=2, scalar_one=lambda: self.count)

    def __enter__(self) -> "FakeSynapse":
        self.log.append("open")
        return self

    def __exit__(self, *error: object) -> None:
        self.log.append("undo" if error[0] else "close")

    def warehouse(self, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
        found = Warehouse("mssql+pyodbc://u:p@acme.sql.azuresynapse.net/pool?driver=D", staging=STAGING)
        backend: Any = found._backend
        dialect = backend._connect().dialect
        fake = SimpleNamespace(dialect=dialect, begin=lambda: self, connect=lambda: self)
        fake.execution_options = lambda isolation_level: fake
        monkeypatch.setattr(backend, "_engine", fake)
        monkeypatch.setattr(backend, "prepare", lambda table: self.log.append("prepare"))
        return found


def unnumbered(log: list[str]) -> list[str]:
    return [re.sub(r"_[0-9a-f]{8}\b", "_N", entry) for entry in log]


def test_a_dedicated_pool_copies_before_the_transaction_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    synapse = FakeSynapse(monkeypatch)
    synapse.count = 3
    warehouse = synapse.warehouse(monkeypatch)
    frame = frame_of(FACT_SALES, rows=3)
    assert warehouse.load(FACT_SALES, frame, window=WINDOW) == LoadResult(rows=3, deleted_rows=2)
    log = unnumbered(synapse.log)
    names = ", ".join(f"[{name}]" for name in FACT_SALES.column_names)
    assert log[:3] == ["prepare", "upload _staging/warehouse/staging_fact_sales_N/rows.parquet", "open"]
    assert log[3].startswith("CREATE TABLE retail.staging_fact_sales_N ( sale_line_id NVARCHAR(128) NOT NULL,")
    assert log[3].endswith("WITH (HEAP, DISTRIBUTION = ROUND_ROBIN)") and "PRIMARY KEY" not in log[3]
    assert log[4:] == [
        "COPY INTO [retail].[staging_fact_sales_N] FROM 'https://acme.dfs.core.windows.net/lake/retail/_staging/"
        "warehouse/staging_fact_sales_N/*.parquet' WITH (FILE_TYPE = 'PARQUET', "
        "CREDENTIAL = (IDENTITY = 'Managed Identity'), MAXERRORS = 0)",
        "close",
        "open",
        "DELETE",
        f"INSERT INTO [retail].[fact_sales] ({names}) SELECT {names} FROM [retail].[staging_fact_sales_N]",
        "SELECT",
        "close",
        "open",
        "IF OBJECT_ID('retail.staging_fact_sales_N') IS NOT NULL DROP TABLE [retail].[staging_fact_sales_N]",
        "close",
        "remove _staging/warehouse/staging_fact_sales_N",
    ]
    (staged,) = synapse.files.values()
    assert staged.column_names == FACT_SALES.column_names  # COPY INTO matches by position
    assert staged["net_value"].equals(frame["net_value"])


def test_a_failed_copy_is_one_sentence_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    synapse = FakeSynapse(monkeypatch)
    synapse.fail_on = "COPY INTO"
    with pytest.raises(PermanentFailure) as caught:
        synapse.warehouse(monkeypatch).load(FACT_SALES, frame_of(FACT_SALES, rows=3), window=WINDOW)
    assert (
        str(caught.value)
        == "The mssql warehouse at acme.sql.azuresynapse.net/pool refused: COPY was refused; compare the tables of its "
        "schema retail with docs/tables.md."
    )
    assert "DELETE" not in synapse.log
    assert unnumbered(synapse.log)[-1] == "remove _staging/warehouse/staging_fact_sales_N"


def test_a_dedicated_pool_count_that_differs_undoes_the_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    synapse = FakeSynapse(monkeypatch)
    synapse.count = 2
    with pytest.raises(PermanentFailure, match="holds 2 rows .* after 3 were loaded, so the load was undone"):
        synapse.warehouse(monkeypatch).load(FACT_SALES, frame_of(FACT_SALES, rows=3), window=WINDOW)
    assert synapse.log.count("undo") == 1


def test_a_serverless_pool_shows_the_lake_with_the_contracts_types() -> None:
    backend = SynapseServerless(make_url("mssql+pyodbc://u:p@h/d?driver=D"), staging=STAGING)
    (statement,) = backend.create_statements(load_contract(DIM_DATE))
    assert statement.startswith("CREATE VIEW [retail].[dim_date] AS SELECT [date], [year], ")
    assert (
        "FROM OPENROWSET(BULK 'https://acme.dfs.core.windows.net/lake/retail/gold/dim_date/', FORMAT = 'DELTA') "
        "WITH ([date] DATE, [year] INTEGER," in statement
    )
    assert "[event_names] NVARCHAR(4000)) AS lake_rows" in statement


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("abfss://lake@acme.dfs.core.windows.net/retail", LakeStaging("acme", "lake", "retail")),
        ("abfss://lake@acme.dfs.core.windows.net", LakeStaging("acme", "lake", "")),
        (
            "abfss://lake@acme.dfs.core.chinacloudapi.cn/a/b/",
            LakeStaging("acme", "lake", "a/b", endpoint_suffix="core.chinacloudapi.cn"),
        ),
        ("/data/lake", None),
        ("az://lake/retail", None),
    ],
)
def test_staging_is_found_in_the_lakes_address(uri: str, expected: LakeStaging | None) -> None:
    assert lake_staging(uri) == expected


def test_staging_writes_and_removes_through_the_adls2_resource(tmp_path: Path) -> None:
    calls: list[tuple[str, Any]] = []

    class Files:
        def get_file_client(self, path: str) -> Any:
            def keep(stream: Any, *, overwrite: bool) -> None:
                calls.append((path, (stream.read(), overwrite)))

            return SimpleNamespace(upload_data=keep)

        def delete_directory(self, path: str) -> None:
            calls.append((path, "deleted"))

    client = SimpleNamespace(get_file_system_client=lambda container: {"lake": Files()}[container])
    resource: Any = SimpleNamespace(adls2_client=client)
    staging = LakeStaging("acme", "lake", "retail", resource=resource)
    file = tmp_path / "rows"
    file.write_bytes(b"rows")
    staging.upload(file, path="_staging/x/rows.parquet")
    staging.remove("_staging/x")
    assert calls == [("retail/_staging/x/rows.parquet", (b"rows", True)), ("retail/_staging/x", "deleted")]


def test_staging_signs_in_with_the_default_azure_credential() -> None:
    pytest.importorskip("dagster_azure", reason="pip install 'retail-assets[azure]'")
    resource = STAGING._default_resource()
    assert resource.storage_account == "acme"
    assert resource.credential.credential_type == "default_azure_credential"


def test_a_window_of_one_day_is_enough(warehouse: Warehouse) -> None:
    one_day = Window(FIRST, FIRST)
    assert warehouse.load(FACT_SALES, frame_of(FACT_SALES, rows=4, days=1), window=one_day).rows == 4
