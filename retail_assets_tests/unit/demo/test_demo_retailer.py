"""The demo's database as a whole: continued equals written at once, whole blocks only, and no harm to others."""

import sqlite3
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from retail_assets.demo.retailer import write_days
from retail_assets.demo.schema import metadata
from retail_assets.demo.world import DemoSize
from retail_assets.failures import PermanentFailure, TransientFailure

START = date(2025, 11, 3)
SMALL = DemoSize(stores=3, products=12, customers=40, opening_after_days=25)


def _url(path: Path) -> str:
    return f"sqlite:///{path}"


def _write(path: Path, through: date, **options) -> int:
    return write_days(_url(path), start=START, through=through, **{"size": SMALL, **options})


def _contents(path: Path) -> dict[str, list[tuple]]:
    """Every row of every table, each table in the order of its first columns."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "at_once.db"
    assert _write(path, START + timedelta(days=69)) == 70
    return path


def test_days_written_one_call_after_the_other_equal_days_written_at_once(at_once: Path, tmp_path: Path) -> None:
    path = tmp_path / "continued.db"
    lengths = [1, 6, 22, 36, 37, 38, 70]  # the first day alone, within a block, over an opening, day after day
    written = [_write(path, START + timedelta(days=length - 1)) for length in lengths]
    assert written == [1, 5, 16, 14, 1, 1, 32]
    assert _contents(path) == _contents(at_once)


def test_the_start_of_a_later_call_is_ignored_and_nothing_is_written_twice(at_once: Path) -> None:
    before = _contents(at_once)
    assert write_days(_url(at_once), start=date(2030, 1, 1), through=START + timedelta(days=69), size=SMALL) == 0
    assert _contents(at_once) == before


def test_another_seed_gives_other_sales(at_once: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    _write(path, START + timedelta(days=3), seed=8)
    with sqlite3.connect(at_once) as one, sqlite3.connect(path) as other:
        query = "SELECT demanded_units FROM true_demand WHERE business_date = ?"
        day = START.isoformat()
        assert one.execute(query, [day]).fetchall() != other.execute(query, [day]).fetchall()


def test_an_interrupted_run_leaves_whole_blocks_and_the_next_call_finishes(at_once: Path, tmp_path: Path) -> None:
    path, seen = tmp_path / "interrupted.db", []

    def stop_at_the_second_block(day: date) -> None:
        seen.append(day)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _write(path, START + timedelta(days=69), progress=stop_at_the_second_block)
    with sqlite3.connect(path) as connection:
        last = connection.execute("SELECT MAX(business_date) FROM stock_closing").fetchone()[0]
    assert last == seen[-1].isoformat() < (START + timedelta(days=69)).isoformat()
    rest = (START + timedelta(days=69) - seen[-1]).days
    assert _write(path, START + timedelta(days=69)) == rest
    assert _contents(path) == _contents(at_once)


def test_a_failure_within_a_block_leaves_the_block_out(tmp_path: Path) -> None:
    path = tmp_path / "failed.db"
    _write(path, START + timedelta(days=4))
    before = _contents(path)
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON till_queue BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    with pytest.raises(IntegrityError, match="refused"):
        _write(path, START + timedelta(days=12))
    assert _contents(path) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seed": 8}, "The database already holds a demo retailer of seed 7, not 8: give seed 7 again"),
        (
            {"size": DemoSize(4, 12, 40, 25)},
            "a demo retailer of size 3x12x40x25, not 4x12x40x25: give size 3x12x40x25 again or use an empty database.",
        ),
    ],
)
def test_another_demo_in_the_same_database_is_refused(at_once: Path, options: dict, sentence: str) -> None:
    with pytest.raises(PermanentFailure) as caught:
        _write(at_once, START + timedelta(days=90), **options)
    assert sentence in str(caught.value)


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE store (id INTEGER)")
    with pytest.raises(PermanentFailure, match="already holds tables, such as store, that are not the demo's"):
        _write(path, START)
    assert list(_contents(path)) == ["store"]


def test_a_creation_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "half.db"
    engine = sa.create_engine(_url(path))
    metadata.tables["demo_setting"].create(engine)
    engine.dispose()
    assert _write(path, START) == 1


def test_a_locked_database_is_a_transient_failure(tmp_path: Path) -> None:
    path = tmp_path / "locked.db"
    _write(path, START)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientFailure, match=r"cannot be used now: database is locked; try again"):
            write_days(f"{_url(path)}?timeout=0.05", start=START, through=START + timedelta(days=1), size=SMALL)
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("not a url", "its address is not an SQLAlchemy URL; give a URL such as sqlite:///demo.db."),
        ("oracle+cx_oracle://u:secret-word@server/x", "its driver is not installed (No module named 'cx_Oracle')"),
    ],
)
def test_a_wrong_address_is_named_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(PermanentFailure) as caught:
        write_days(url, start=START, through=START, size=SMALL)
    assert sentence in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PermanentFailure, match=r"its folder .*file.* cannot be made"):
        write_days(_url(tmp_path / "file" / "source.db"), start=START, through=START, size=SMALL)


def test_an_end_before_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="cannot end on 2025-11-01 before it starts on 2025-11-03"):
        _write(tmp_path / "new.db", date(2025, 11, 1))


@pytest.mark.parametrize(
    ("size", "sentence"),
    [({"stores": 0}, "got 0 stores, give 1 to 900"), ({"products": 3}, "got 3 products, give 6 to 9000")],
)
def test_an_impossible_size_is_refused(size: dict[str, int], sentence: str) -> None:
    with pytest.raises(PermanentFailure, match=sentence):
        DemoSize(**size)


def test_the_tables_can_be_made_on_sql_server_and_postgresql() -> None:
    for table in metadata.sorted_tables:
        on_sql_server = str(CreateTable(table).compile(dialect=mssql.dialect()))
        on_postgresql = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "IDENTITY" not in on_sql_server and "SERIAL" not in on_postgresql, table.name
        assert "[" not in on_sql_server and '"' not in on_postgresql, f"{table.name} has a name that needs quoting"
    feed = str(CreateTable(metadata.tables["pos_sale_line"]).compile(dialect=mssql.dialect()))
    assert "quantity VARCHAR(20) NULL" in feed and "modified_at DATETIME2(6) NOT NULL" in feed
    assert "discount_value NUMERIC(18, 4) NOT NULL" in feed and "feed_id BIGINT NOT NULL" in feed
