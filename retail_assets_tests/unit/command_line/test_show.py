"""`retail-assets show`: a table now and as it was, on the terminal and in files, and every way it can say no."""

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from deltalake import DeltaTable

from retail_assets.command_line import cli
from retail_assets.command_line.show import condition
from retail_assets.engines.maintenance import Retention, maintain_table
from retail_assets.engines.time_travel import past
from retail_assets.engines.writing.delta import overwrite, overwrite_window
from retail_assets.lake.lake import Lake
from retail_assets.tables.gold import DIM_PRODUCT, FACT_SALES
from retail_assets.windows import Window
from retail_assets_tests.unit.aged_tables import age
from retail_assets_tests.unit.warehouse_frames import FIRST, frame_of

MEND = 2
NOW = datetime.now(UTC)
LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """dim_product with 1, 2 and 3 rows: written 40 days, 10 days and no time ago."""
    folder = tmp_path / "lake"
    monkeypatch.setenv("RETAIL_LAKE_URI", str(folder))
    monkeypatch.setenv("RETAIL_TIMEZONE", "Europe/London")
    monkeypatch.chdir(tmp_path)
    for count, days_until_next in ((1, 30), (2, 10), (3, 0)):
        overwrite(Lake(str(folder)), DIM_PRODUCT, frame_of(DIM_PRODUCT, rows=count))
        age(folder / DIM_PRODUCT.path, days=days_until_next)
    return folder


@pytest.fixture
def show(lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls the command, which must succeed; gives what it printed."""

    def call(*arguments: str, width: int = 400) -> str:
        monkeypatch.setattr(cli.console, "_width", width)
        monkeypatch.setattr(sys, "argv", ["retail-assets", "show", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        assert (stopped.value.code or 0, said.err) == (0, "")
        return said.out

    return call


@pytest.fixture
def refused(lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls the command, which must fail; gives its one sentence."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["retail-assets", "show", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr().err
        assert stopped.value.code == MEND
        assert said.count("\n") == 1 and "Traceback" not in said
        return said.strip()

    return call


def ago(**units: float) -> str:
    """A moment so long ago, as a person in London types it."""
    return f"{(NOW - timedelta(**units)).astimezone(LONDON):%Y-%m-%dT%H:%M}"


def products(printed: str) -> list[str]:
    """Of the printed grid."""
    return [cell.strip() for line in printed.splitlines() for cell in line.split("│")[1:2] if cell.strip()]


def test_the_newest_rows(show: Callable[..., str]) -> None:
    printed = show("gold/dim_product")
    today = f"{datetime.now(LONDON):%Y-%m-%d}"
    assert printed.startswith(f"gold/dim_product, version 3 of {today}") and ", 3 rows\n" in printed
    assert products(printed) == ["prod-0", "prod-1", "prod-2"]
    assert "naïve" not in printed and 'with "quotes"' in printed


@pytest.mark.parametrize(
    ("moment", "rows"),
    [(ago(days=39), 1), (ago(days=11), 1), (ago(days=9), 2), (ago(hours=1), 2), (ago(days=-1), 3)],
    ids=["just after the first", "just before the second", "just after it", "before the third", "tomorrow"],
)
def test_rows_as_of_a_moment(show: Callable[..., str], moment: str, rows: int) -> None:
    assert products(show("gold/dim_product", "--as-of", moment)) == [f"prod-{n}" for n in range(rows)]


def test_a_moment_is_the_stores_unless_it_says_otherwise(
    lake: Path, show: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = datetime.fromtimestamp(DeltaTable(lake / DIM_PRODUCT.path).history()[0]["timestamp"] / 1000, UTC)
    monkeypatch.setenv("RETAIL_TIMEZONE", "Pacific/Auckland")
    there = changed.astimezone(ZoneInfo("Pacific/Auckland"))
    for seconds, rows in ((-1, 2), (1, 3)):
        for moment in (there.replace(tzinfo=None), changed):
            said = show("gold/dim_product", "--as-of", (moment + timedelta(seconds=seconds)).isoformat())
            assert len(products(said)) == rows


@pytest.mark.parametrize(("version", "rows"), [(1, 1), (2, 2), (3, 3)])
def test_rows_of_a_version(show: Callable[..., str], version: int, rows: int) -> None:
    printed = show("gold/dim_product", "--version", str(version))
    assert f"version {version} of " in printed and len(products(printed)) == rows


def test_twenty_rows_are_shown_or_as_many_as_are_asked_for(show: Callable[..., str], lake: Path) -> None:
    overwrite(Lake(str(lake)), DIM_PRODUCT, frame_of(DIM_PRODUCT, rows=50))
    assert len(products(show("gold/dim_product"))) == 20
    assert products(show("gold/dim_product", "--limit", "2")) == ["prod-0", "prod-1"]
    assert len(products(show("gold/dim_product", "--limit", "60"))) == 50


def test_a_narrow_terminal_gets_a_line_a_value(show: Callable[..., str]) -> None:
    lines = show("gold/dim_product", "--version", "1", width=60).splitlines()
    assert lines[1:3] == ["row 1", "  product_id         prod-0"]
    assert len(lines) == 2 + len(DIM_PRODUCT.columns)


def test_the_month_of_the_files_is_not_shown(show: Callable[..., str], lake: Path) -> None:
    window = Window(FIRST, FIRST + timedelta(days=2))
    overwrite_window(Lake(str(lake)), FACT_SALES, frame_of(FACT_SALES, rows=3), window)
    shown = [line.split()[0] for line in show("gold/fact_sales", "--limit", "1", width=40).splitlines()[2:]]
    assert shown == FACT_SALES.column_names


@pytest.mark.parametrize(("ending", "reader"), [("parquet", "read_parquet"), ("csv", "read_csv")])
def test_rows_are_written_to_a_file(
    show: Callable[..., str], tmp_path: Path, lake: Path, ending: str, reader: str
) -> None:
    overwrite(Lake(str(lake)), DIM_PRODUCT, frame_of(DIM_PRODUCT, rows=50))
    file = tmp_path / f"products.{ending}"
    assert show("gold/dim_product", "--to", str(file)).endswith(f"50 rows written to {file}\n")
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT product_id, list_price FROM {reader}($1)", params=[str(file)]).fetchall()
    expected = frame_of(DIM_PRODUCT, rows=50).sort_by("product_id").to_pylist()
    assert [(name, None if price is None else float(price)) for name, price in found] == [
        (row["product_id"], None if row["list_price"] is None else float(row["list_price"])) for row in expected
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", file.name]


def test_no_text_of_a_csv_runs_as_a_formula_and_a_parquet_file_keeps_it(
    show: Callable[..., str], tmp_path: Path, lake: Path
) -> None:
    names = ["=cmd|' /C calc'!A0", "\t=1", "Milk", " @x"]
    frame = frame_of(DIM_PRODUCT, rows=4)
    at = frame.column_names.index("product_name")
    overwrite(Lake(str(lake)), DIM_PRODUCT, frame.set_column(at, "product_name", pa.array(names)))
    for ending in ("csv", "parquet"):
        show("gold/dim_product", "--to", str(tmp_path / f"products.{ending}"))
    written = pyarrow.csv.read_csv(tmp_path / "products.csv")["product_name"].to_pylist()
    assert sorted(written) == sorted(["'=cmd|' /C calc'!A0", "'\t=1", "Milk", "' @x"])
    assert sorted(pyarrow.parquet.read_table(tmp_path / "products.parquet")["product_name"].to_pylist()) == sorted(
        names
    )


def test_a_past_table_is_written_and_limited_too(show: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    show("gold/dim_product", "--version", "2", "--limit", "1", "--to", str(file))
    assert [line.split(",")[0] for line in file.read_text("utf-8").splitlines()] == ['"product_id"', '"prod-0"']


@pytest.mark.parametrize(
    ("conditions", "left"),
    [
        (["product_id=prod-1"], ["prod-1"]),
        (["product_id!=prod-1"], ["prod-0", "prod-2"]),
        (["product_id!=prod-1", "product_id!=prod-0"], ["prod-2"]),
        (["product_id="], []),
        (["product_id!="], ["prod-0", "prod-1", "prod-2"]),
    ],
)
def test_only_the_rows_of_the_conditions_are_shown_and_written(
    show: Callable[..., str], tmp_path: Path, conditions: list[str], left: list[str]
) -> None:
    options = [part for text in conditions for part in ("--where", text)]
    printed = show("gold/dim_product", *options)
    assert [name for name in ("prod-0", "prod-1", "prod-2") if name in printed] == left
    show("gold/dim_product", *options, "--to", "rows.csv")
    written = (tmp_path / "rows.csv").read_text("utf-8").splitlines()[1:]
    assert [line.split(",")[0].strip('"') for line in written] == left


def test_a_condition_is_read_in_the_type_of_its_column() -> None:
    schema = pa.schema([("day", pa.date32()), ("units", pa.decimal128(18, 3)), ("text", pa.string())])
    rows = pa.table({"day": [date(2026, 1, 2), None], "units": [Decimal("1.500"), None], "text": ["a=b", None]}, schema)
    for text in ("day=2026-01-02", "units=1.5", "text=a=b", "day!=", "text!="):
        assert rows.filter(condition(text, schema)).num_rows == 1, text
    assert rows.filter(condition("day=", schema)).num_rows == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gold/dim_product", "--where", "prod-1"], "--where is wrong: got 'prod-1', wanted COLUMN=VALUE, such as "),
        (
            ["gold/dim_product", "--where", "produkt_id=A"],
            "--where is wrong: there is no column produkt_id; did you mean product_id?",
        ),
        (
            ["gold/dim_product", "--where", "list_price=dear"],
            "--where is wrong: 'dear' is no decimal128(18, 4) of list_",
        ),
        (["gold/dim_produkt"], "There is no table 'gold/dim_produkt' in the lake: did you mean gold/dim_product"),
        (["dim_product"], "There is no table 'dim_product' in the lake: did you mean gold/dim_product"),
        (["warehouse/dim_product"], "There is no table 'warehouse/dim_product' in the lake: did you mean "),
        (["zzz"], "There is no table 'zzz' in the lake: name a layer (bronze, silver, gold, forecast, inventory, "),
        (["gold/dim_store"], "The table gold/dim_store does not exist in "),
        (["gold/dim_product", "--as-of", "yesterday"], "--as-of is wrong: got 'yesterday', wanted a time such as "),
        (["gold/dim_product", "--version", "9"], "gold/dim_product has no version 9: the log knows 0 of "),
        (["gold/dim_product", "--version", "1", "--as-of", "2026-01-31"], "--as-of and --version name a version each"),
        (["gold/dim_product", "--to", "rows.xlsx"], "--to is wrong: got 'rows.xlsx', wanted a file that ends in "),
        (["gold/dim_product", "--to", "nowhere/rows.csv"], "--to nowhere/rows.csv cannot be written: No such file "),
    ],
)
def test_what_cannot_be_shown(refused: Callable[..., str], arguments: list[str], sentence: str) -> None:
    assert refused(*arguments).startswith(sentence)


def test_a_moment_before_the_first_version(refused: Callable[..., str]) -> None:
    said = refused("gold/dim_product", "--as-of", "2001-07-01T12:00")
    assert said.startswith("gold/dim_product cannot be read as of 2001-07-01 11:00:00 UTC: its oldest version is 0 of ")


def test_a_version_whose_files_are_gone(refused: Callable[..., str], lake: Path, tmp_path: Path) -> None:
    maintain_table(Lake(str(lake)), DIM_PRODUCT, Retention(history_days=7))
    for target in ([], ["--to", "past.csv"]):
        said = refused("gold/dim_product", "--version", "1", *target)
        assert said.startswith("Version 1 of ") and "its files were vacuumed" in said and "RETAIL_HISTORY_DAYS" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake"]


def test_an_empty_version(show: Callable[..., str], tmp_path: Path) -> None:
    assert ", 0 rows\n" in show("gold/dim_product", "--version", "0")
    show("gold/dim_product", "--version", "0", "--to", "none.parquet")
    assert DeltaTable.is_deltatable(str(tmp_path)) is False
    with duckdb.connect() as connection:
        assert connection.sql("SELECT * FROM 'none.parquet'").columns == DIM_PRODUCT.column_names


def test_commits_made_while_the_log_is_read_do_not_shift_the_numbers(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, waiting = DeltaTable.history, [4, 5]

    def late(delta: DeltaTable, limit: int | None = None) -> list[dict[str, Any]]:
        if waiting and delta.version() >= 3:
            overwrite_rows = waiting.pop(0)
            monkeypatch.setattr(DeltaTable, "history", original)
            overwrite(Lake(str(lake)), DIM_PRODUCT, frame_of(DIM_PRODUCT, rows=overwrite_rows))
            monkeypatch.setattr(DeltaTable, "history", late)
        return original(delta, limit)

    monkeypatch.setattr(DeltaTable, "history", late)
    found = past(Lake(str(lake)), DIM_PRODUCT, moment=NOW - timedelta(days=9))
    assert (found.commit.version, found.row_count) == (2, 2)
    assert not waiting


def test_a_version_whose_log_is_gone(refused: Callable[..., str], lake: Path) -> None:
    """Another tool's clean-up may leave commits whose beginnings are gone."""
    DeltaTable(lake / DIM_PRODUCT.path).create_checkpoint()
    (lake / DIM_PRODUCT.path / "_delta_log" / f"{0:020}.json").unlink()
    said = refused("gold/dim_product", "--version", "2")
    assert said.startswith("Version 2 of ") and said.endswith("any more: the log before it was cleaned up.")
