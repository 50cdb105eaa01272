"""A contract that changed against tables that are there: what is added by itself, what is refused and the way out."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.writing import committing, delta
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.engines.writing.evolution import evolved
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import LAKE_TABLES
from retail_assets.tables.contract import (
    COUNT,
    DATE,
    MONEY,
    NULLABLE,
    QUANTITY,
    TEXT,
    TIMESTAMP,
    UNITS,
    Column,
    Layout,
    Table,
    described,
)
from retail_assets.windows import ONE_DAY, Window
from retail_assets_tests.own_time import own_time
from retail_assets_tests.unit.lake_frames import DAILY, MONTHLY, WHOLE, rows
from retail_assets_tests.unit.lake_writers import FIRST
from retail_assets_tests.unit.warehouse_frames import FIRST as FRAMES_FIRST
from retail_assets_tests.unit.warehouse_frames import frame_of

TABLES = pytest.mark.parametrize("table", [MONTHLY, DAILY, WHOLE], ids=["month", "day", "whole"])
NEXT = FIRST + 5 * ONE_DAY
NEW = described(
    ("colour", TEXT, "Colour.", "", NULLABLE),
    ("price_value", MONEY, "Price.", "", NULLABLE),
    ("weight", QUANTITY, "Weight.", "", NULLABLE),
    ("changed_at", TIMESTAMP, "Change.", "", NULLABLE),
    ("until_date", DATE, "End.", "", NULLABLE),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def engine(lake: Lake, tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(lake, memory_limit="256MB", temp_folder=tmp_path / "scratch")
    yield engine
    engine.close()


def _grown(table: Table, *, at: int = 1) -> Table:
    """The contract with new nullable columns in the midst of the old ones."""
    return replace(table, columns=(*table.columns[:at], *NEW, *table.columns[at:]))


def _write(lake: Lake, table: Table, frame: pa.Table) -> None:
    if table.partition_column is None:
        overwrite(lake, table, frame)
        return
    days = frame.column(table.partition_column).to_pylist()
    overwrite_window(lake, table, frame, Window(min(days), max(days)))


def _with_new(frame: pa.Table, colour: str) -> pa.Table:
    frame = frame.append_column("colour", pa.array([colour] * frame.num_rows))
    for column in NEW[1:]:
        frame = frame.append_column(column.name, pa.nulls(frame.num_rows, column.type))
    return frame


def _colours(lake: Lake, table: Table) -> list[tuple]:
    """By DuckDB, from the files of the newest version; files from before the column have none."""
    files = lake.require(table).file_uris()
    with duckdb.connect() as connection:
        query = "SELECT business_date, colour FROM read_parquet($1, union_by_name = true, hive_partitioning = true)"
        return sorted(connection.execute(query, [files]).fetchall(), key=str)


@TABLES
def test_new_nullable_columns_are_added_by_the_next_write(lake: Lake, table: Table) -> None:
    _write(lake, table, rows([FIRST], products=["a"]))
    new = _with_new(rows([NEXT], products=["b"]), "red")
    _write(lake, _grown(table), new)
    expected = [(FIRST, None), (NEXT, "red")] if table.partition_column else [(NEXT, "red")]
    assert _colours(lake, table) == expected
    stored = {field.name: (str(field.type), field.nullable) for field in lake.require(table).schema().fields}
    assert [stored[column.name] for column in NEW] == [
        ('PrimitiveType("string")', True),
        ('PrimitiveType("decimal(18,4)")', True),
        ('PrimitiveType("decimal(18,3)")', True),
        ('PrimitiveType("timestamp")', True),
        ('PrimitiveType("date")', True),
    ]


@TABLES
def test_a_column_that_is_no_longer_required_may_be_missing_from_the_next_write_on(lake: Lake, table: Table) -> None:
    _write(lake, table, rows([FIRST], products=["a"]))
    freed = _column(table, "line_count", nullable=True)
    freed = replace(freed, columns=(*freed.columns, NEW[0]))
    new = rows([NEXT], products=["b"]).append_column("colour", pa.array(["red"]))
    at = new.column_names.index("line_count")
    new = new.set_column(at, "line_count", pa.nulls(1, new.schema.field(at).type))
    for _ in range(2):
        _write(lake, freed, new)
    stored = {field.name: field.nullable for field in lake.require(table).schema().fields}
    assert stored["line_count"] and not stored["product_id"]
    with duckdb.connect() as connection:
        query = "SELECT line_count FROM read_parquet($1, union_by_name = true, hive_partitioning = true)"
        found = connection.execute(query, [lake.require(table).file_uris()]).fetchall()
    assert sorted(found, key=str) == ([(1,), (None,)] if table.partition_column else [(None,)])


@pytest.mark.parametrize("table", [MONTHLY], ids=["month"])
def test_older_days_of_a_month_keep_nulls_when_it_is_merged(lake: Lake, table: Table) -> None:
    _write(lake, table, rows([FIRST], products=["a"]))
    _write(lake, _grown(table), _with_new(rows([FIRST + ONE_DAY], products=["b"]), "red"))
    assert _colours(lake, table) == [(FIRST, None), (FIRST + ONE_DAY, "red")]


@TABLES
@pytest.mark.parametrize("is_local", [True, False], ids=["local", "remote"])
def test_an_older_table_is_scanned_with_nulls(
    engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch, table: Table, is_local: bool
) -> None:
    """Before any write of the new contract: nobody has the column yet."""
    _write(engine.lake, table, rows([FIRST]))
    if not is_local:
        monkeypatch.setattr(Lake, "is_local", False)
        monkeypatch.setattr(Lake, "storage_options", None)
    grown = _grown(table)
    found = engine.scan(grown).to_pyarrow()
    assert found.column_names == grown.column_names
    assert {column.name: found.schema.field(column.name).type for column in NEW} == {c.name: c.type for c in NEW}
    assert all(found.column(column.name).null_count == 2 for column in NEW)
    assert DeltaTable(engine.lake.table_uri(table)).version() == 1, "reading changes nothing"


@pytest.mark.parametrize("table", [MONTHLY, DAILY], ids=["month", "day"])
def test_windows_from_before_the_column_are_scanned_with_nulls(engine: DuckDBEngine, table: Table) -> None:
    """The table has the column, none of the files that are opened does."""
    _write(engine.lake, table, rows([FIRST]))
    _write(engine.lake, _grown(table), _with_new(rows([NEXT]), "red"))
    scanned = {
        day: engine.scan(_grown(table), [Window(day, day)]).colour.to_pyarrow().to_pylist() for day in (FIRST, NEXT)
    }
    assert scanned == {FIRST: [None, None], NEXT: ["red", "red"]}


def test_an_older_program_reads_a_table_that_a_newer_one_has_grown(engine: DuckDBEngine) -> None:
    _write(engine.lake, _grown(MONTHLY), _with_new(rows([FIRST]), "red"))
    assert engine.scan(MONTHLY).count().to_pyarrow().as_py() == 2


def test_the_order_of_columns_does_not_matter(lake: Lake, engine: DuckDBEngine) -> None:
    _write(lake, MONTHLY, rows([FIRST], count=3))
    turned = replace(MONTHLY, columns=MONTHLY.columns[::-1])
    _write(lake, turned, rows([FIRST + ONE_DAY], count=4))
    assert sorted(engine.scan(turned).line_count.to_pyarrow().to_pylist()) == [3, 3, 4, 4]
    assert lake.require(MONTHLY).schema().fields[0].name == "business_date"


def test_a_column_that_two_writers_add_is_added_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one adds it after this one has looked."""
    own_time(monkeypatch, committing, sleep=lambda _: None)
    _write(lake, MONTHLY, rows([FIRST], products=["a"]))
    original, tables = delta.evolved, []

    def later(lake: Lake, table: Table, opened: DeltaTable) -> DeltaTable:
        tables.append(opened)
        if len(tables) == 1:
            _write(lake, _grown(MONTHLY), _with_new(rows([NEXT], products=["b"]), "red"))
        return original(lake, table, opened)

    monkeypatch.setattr(delta, "evolved", later)
    _write(lake, _grown(MONTHLY), _with_new(rows([FIRST + ONE_DAY], products=["c"]), "blue"))
    assert _colours(lake, MONTHLY) == [(FIRST, None), (FIRST + ONE_DAY, "blue"), (NEXT, "red")]
    names = [field.name for field in lake.require(MONTHLY).schema().fields]
    assert len(names) == len(set(names)) == len(MONTHLY.columns) + len(NEW) + 1


def test_who_evolves_a_table_that_others_have_changed_is_told(lake: Lake) -> None:
    _write(lake, MONTHLY, rows([FIRST]))
    opened = lake.require(MONTHLY)
    evolved(lake, _grown(MONTHLY), lake.require(MONTHLY))
    with pytest.raises(CommitFailedError):
        evolved(lake, _grown(MONTHLY), opened)


@pytest.mark.parametrize("table", LAKE_TABLES, ids=lambda table: table.path)
def test_a_table_made_from_its_contract_needs_nothing(lake: Lake, table: Table) -> None:
    frame = frame_of(table, rows=9)
    if table.partition_column is None:
        overwrite(lake, table, frame)
    else:
        overwrite_window(lake, table, frame, Window(FRAMES_FIRST, FRAMES_FIRST + 2 * ONE_DAY))
    opened = lake.require(table)
    assert evolved(lake, table, opened) is opened


def _column(table: Table, name: str, /, **changes: object) -> Table:
    columns = tuple(replace(c, **changes) if c.name == name else c for c in table.columns)  # pyright: ignore
    return replace(table, columns=columns)


def _without(table: Table, name: str) -> Table:
    return replace(table, columns=tuple(column for column in table.columns if column.name != name))


REQUIRED = Column("colour", TEXT, "Colour.")
REFUSED = {
    "new required": (lambda t: replace(t, columns=(*t.columns, REQUIRED)), "the required column colour is new", True),
    "removed": (lambda t: _without(t, "sold_units"), "sold_units is not in the contract", False),
    "another type": (
        lambda t: _column(t, "sold_units", type=COUNT),
        "sold_units is double there and int64 in the contract",
        True,
    ),
    "narrower text": (
        lambda t: _column(t, "line_count", type=TEXT),
        "line_count is int64 there and string in the contract",
        True,
    ),
    "now required": (
        lambda t: _column(t, "sold_units", nullable=False),
        "sold_units is nullable there and required in the contract",
        False,
    ),
    "renamed": (
        lambda t: _column(t, "sold_units", name="units"),
        "sold_units is not in the contract",
        False,
    ),
    "several": (
        lambda t: _column(replace(t, columns=(*t.columns, REQUIRED)), "sold_units", type=COUNT),
        "sold_units is double there and int64 in the contract; the required column colour is new",
        True,
    ),
}


def _frame_of(table: Table) -> pa.Table:
    values = {"colour": "red", "sold_units": 1, "units": 1, "line_count": 1, "product_id": "a", "business_date": FIRST}
    columns = [pa.array([values[c.name]]).cast(c.type) for c in table.columns]
    return pa.Table.from_arrays(columns, names=table.column_names)


@TABLES
@pytest.mark.parametrize("case", REFUSED)
def test_any_other_change_is_refused_and_nothing_is_changed(lake: Lake, table: Table, case: str) -> None:
    change, difference, _ = REFUSED[case]
    _write(lake, table, rows([FIRST, NEXT], count=3))
    before = _everything(lake, table)
    with pytest.raises(PermanentFailure) as raised:
        _write(lake, change(table), _frame_of(change(table)))
    uri, days = lake.table_uri(table), f" --from {FIRST} --to {NEXT}" if table.partition_column else ""
    assert str(raised.value) == (
        f"The table {table.path} in {lake.uri} was made from another contract ({difference}) and was left as it is: "
        f"move {uri} aside and make it again with retail-assets run --again{days}."
    )
    assert _everything(lake, table) == before


def _everything(lake: Lake, table: Table) -> tuple[int, list[str], list[str]]:
    opened = lake.require(table)
    rows_of_files = [str(row) for row in opened.to_pyarrow_table().to_pylist()]
    return opened.version(), sorted(opened.file_uris()), sorted(rows_of_files)


@pytest.mark.parametrize("case", REFUSED)
def test_a_scan_is_refused_only_where_it_cannot_give_the_columns(engine: DuckDBEngine, case: str) -> None:
    change, difference, hinders_reading = REFUSED[case]
    _write(engine.lake, MONTHLY, rows([FIRST]))
    if hinders_reading:
        with pytest.raises(PermanentFailure, match=f"test/monthly .*{re.escape(difference)}.*--again"):
            engine.scan(change(MONTHLY))
    else:
        assert engine.scan(change(MONTHLY)).count().to_pyarrow().as_py() == 2


def test_another_layout_is_refused(lake: Lake) -> None:
    _write(lake, MONTHLY, rows([FIRST]))
    with pytest.raises(PermanentFailure, match="folders are by month and by business_date in the layout"):
        _write(lake, replace(MONTHLY, layout=Layout.DAY), rows([FIRST]))


def test_history_that_the_source_no_longer_has_is_not_thrown_away(lake: Lake) -> None:
    snapshot = replace(WHOLE, layer="bronze")
    _write(lake, snapshot, rows([FIRST]))
    with pytest.raises(PermanentFailure) as raised:
        _write(lake, _column(snapshot, "sold_units", type=COUNT), rows([FIRST], count=2))
    assert str(raised.value).endswith(
        "the source no longer has the history it holds, so take the change back or rewrite its rows with "
        f"deltalake.write_deltalake('{lake.uri}/bronze/whole', rows, mode='overwrite', schema_mode='overwrite')."
    )


def test_what_was_published_live_is_said_to_become_backfill(lake: Lake) -> None:
    names = {"business_date": "as_of_date"}
    columns = tuple(replace(c, name=names.get(c.name, c.name)) for c in DAILY.columns)
    published = replace(
        DAILY, columns=columns, key=("as_of_date",), partition_column="as_of_date", sort_by=("product_id",)
    )
    _write(lake, published, rows([FIRST, NEXT]).rename_columns([names.get(n, n) for n in DAILY.column_names]))
    with pytest.raises(PermanentFailure) as raised:
        _write(
            lake,
            _column(published, "sold_units", type=UNITS, nullable=False),
            rows([FIRST]).rename_columns([names.get(n, n) for n in DAILY.column_names]),
        )
    assert str(raised.value).endswith(
        f"retail-assets run --again --from {FIRST} --to {NEXT} --restate, which makes live forecasts anew as backfill."
    )


def test_an_empty_table_of_another_contract_names_no_days(lake: Lake) -> None:
    _write(lake, MONTHLY, rows([FIRST]))
    overwrite_window(lake, MONTHLY, rows([]), Window(FIRST, FIRST))
    with pytest.raises(PermanentFailure, match=r"retail-assets run --again\.$"):
        _write(lake, _without(MONTHLY, "sold_units"), rows([FIRST]).drop_columns(["sold_units"]))
