"""Every mistake a user can make with the command: one sentence on standard error, an exit code, nothing half made.

The command is called in this process, as its console script does; once as a subprocess, to see all it prints.
"""

import datetime as dt
import sqlite3
import sys
from pathlib import Path

import pytest

from retail_assets.command_line import cli
from retail_assets_tests.pipeline.shop import Shop, command

LAST = dt.date.today() - dt.timedelta(days=2)
FIRST = LAST - dt.timedelta(days=4)
PASSWORD = "c4n4ry-pa55word"
MEND, TRY_AGAIN = 2, 75


@pytest.fixture(scope="module")
def five_days(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("five") / "shop"
    folder.mkdir()
    shop = Shop(folder, first=FIRST)
    shop.live_to(LAST)
    return shop


@pytest.fixture
def shop(five_days: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A copy whose settings are this process's environment."""
    copied = five_days.copy(tmp_path / "shop")
    for name, value in copied.environment.items():
        if name.startswith("RETAIL_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return copied


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Calls the command, which must fail; gives its exit code and its one sentence."""

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["retail-assets", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        errors = capfd.readouterr().err
        assert errors.endswith("\n")
        assert errors.count("\n") == 1, errors
        assert "Traceback" not in errors
        assert PASSWORD not in errors
        return int(stopped.value.code or 0), errors.strip()

    return call


def _tables(shop: Shop) -> list[str]:
    return sorted(str(path.parent.relative_to(shop.home / "lake")) for path in shop.home.rglob("_delta_log"))


def test_a_database_that_does_not_answer(shop, refused, monkeypatch):
    pytest.importorskip("psycopg", reason="pip install 'retail-assets[postgres]'")
    monkeypatch.setenv("RETAIL_SOURCE_URL", f"postgresql+psycopg://reader:{PASSWORD}@127.0.0.1:1/shop")
    code, sentence = refused("run")
    assert code == TRY_AGAIN
    assert "127.0.0.1" in sentence
    assert sentence.endswith("Try again later.")
    assert _tables(shop) == []


def _mapping(folder: Path, *, entity: str, column: str) -> str:
    """The demo's mapping with one column that the database does not have."""
    shipped = (Path(cli.__file__).parents[1] / "sources" / "demo.yaml").read_text(encoding="utf-8")
    start = shipped.index(f"\n  {entity}:")
    changed = shipped[:start] + shipped[start:].replace(column, f"no_such_{column}", 1)
    file = folder / "mine.yaml"
    file.write_text(changed, encoding="utf-8")
    return str(file)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # of ibis, met when a run begins
def test_a_mapping_that_names_a_missing_column(shop, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", _mapping(tmp_path, entity="stores", column="store_format"))
    code, sentence = refused("run")
    assert code == MEND
    assert "no_such_store_format" in sentence
    assert "stores" in sentence
    assert not (shop.folder / "home" / "mine" / "lake" / "bronze" / "stores" / "_delta_log").exists()


def test_a_mapping_whose_sales_name_a_missing_column(shop, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", _mapping(tmp_path, entity="sales", column="customer_id"))
    code, sentence = refused("run")
    assert (code, "no_such_customer_id" in sentence, "sales" in sentence) == (MEND, True, True)


def test_a_mapping_file_that_is_not_there(shop, refused, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", str(tmp_path / "absent.yaml"))
    code, sentence = refused("run")
    assert code == MEND
    assert str(tmp_path / "absent.yaml") in sentence
    assert _tables(shop) == []


def test_a_lake_where_a_file_stands(shop, refused, monkeypatch, tmp_path):
    (tmp_path / "lake").write_text("notes")
    monkeypatch.setenv("RETAIL_LAKE_URI", str(tmp_path / "lake"))
    code, sentence = refused("run")
    assert code == MEND
    assert sentence == (
        f"RETAIL_LAKE_URI {tmp_path / 'lake'} cannot be written: File exists; choose a folder you may write to."
    )
    assert (tmp_path / "lake").read_text() == "notes"


def test_a_home_where_a_file_stands(refused, monkeypatch, tmp_path):
    (tmp_path / "home").write_text("notes")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    code, sentence = refused("run")
    assert code == MEND
    assert sentence.startswith(f"RETAIL_HOME {tmp_path / 'home' / 'demo'} cannot be written: Not a directory;")


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("day", [FIRST - dt.timedelta(days=1), LAST + dt.timedelta(days=1)])
def test_a_date_outside_the_history(shop, refused, option, day):
    code, sentence = refused("run", option, str(day))
    assert code == MEND
    assert sentence == f"{option} {day} is outside the history {FIRST} … {LAST}; choose a day inside it."
    assert _tables(shop) == []


def test_an_end_before_the_start(shop, refused):
    code, sentence = refused("run", "--from", str(LAST), "--to", str(FIRST))
    assert (code, sentence) == (MEND, f"--to {FIRST} is before --from {LAST}; swap them.")
    assert _tables(shop) == []


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("text", ["yesterday", "2025-02-30", "01/02/2025"])
def test_a_malformed_date(shop, refused, option, text):
    code, sentence = refused("run", option, text)
    assert (code, sentence) == (MEND, f"{option} is wrong: got {text!r}, wanted a date such as 2026-01-31.")


def test_a_misspelt_variable(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAIL_LAKE_URL", "lake")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    code, sentence = refused("run")
    assert (code, sentence) == (MEND, "RETAIL_LAKE_URL is not a setting: did you mean RETAIL_LAKE_URI?")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RETAIL_START_DATE", "soon", "RETAIL_START_DATE is wrong: got 'soon'"),
        ("RETAIL_HORIZON_DAYS", "400", "RETAIL_HORIZON_DAYS is wrong: got '400'"),
        ("RETAIL_TIMEZONE", "Europe/Nowhere", "RETAIL_TIMEZONE is wrong: got 'Europe/Nowhere'"),
        ("RETAIL_ENGINE", "polars", "RETAIL_ENGINE is wrong: got 'polars'"),
        ("RETAIL_MEMORY_LIMIT", "much", "RETAIL_MEMORY_LIMIT is wrong: got 'much'"),
        ("RETAIL_SERVICE_LEVEL", "95", "RETAIL_SERVICE_LEVEL is wrong: got '95'"),
    ],
)
def test_a_wrong_value_is_named_with_an_example(refused, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    code, sentence = refused("run")
    assert code == MEND
    assert sentence.startswith(words)
    assert f"for example {name}=" in sentence


def test_an_own_source_without_its_first_day(refused, monkeypatch):
    monkeypatch.setenv("RETAIL_SOURCE_URL", f"postgresql+psycopg://reader:{PASSWORD}@server/shop")
    code, sentence = refused("run")
    assert code == MEND
    assert sentence.startswith("RETAIL_START_DATE is missing: RETAIL_SOURCE_URL is set")


def test_a_source_without_sales(shop, refused):
    shop.sql("DELETE FROM pos_sale_line")
    code, sentence = refused("run")
    assert code == MEND
    assert "holds no sales" in sentence
    assert _tables(shop) == []


def test_a_source_that_is_no_database_of_the_mapping(shop, refused):
    shop.source.unlink()
    with sqlite3.connect(shop.source) as empty:
        empty.execute("CREATE TABLE something (else_ INTEGER)")
    empty.close()
    code, sentence = refused("run")
    assert code == MEND
    assert "pos_sale_line" in sentence


def test_an_m5_folder_that_is_not_there(refused, tmp_path):
    code, sentence = refused("load-m5", str(tmp_path / "absent"))
    assert code == MEND
    assert sentence.startswith(f"There is no M5 folder {tmp_path / 'absent'}; give one that holds sales.parquet")


def test_another_command_at_work(shop, refused):
    import fcntl

    shop.home.mkdir(parents=True)
    with (shop.home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, sentence = refused("run")
    assert code == TRY_AGAIN
    assert sentence == f"Another retail-assets command is at work in {shop.home}. Try again later."


def test_a_backtest_of_a_lake_that_is_not_there_yet(shop, refused):
    code, sentence = refused("backtest")
    assert (code, "gold/demand_daily" in sentence) == (MEND, True)


def test_a_backtest_into_a_file_of_no_kind(shop, refused, tmp_path):
    code, sentence = refused("backtest", "--to", str(tmp_path / "card.txt"))
    assert code == MEND
    assert sentence.startswith("--to is wrong")
    assert list(tmp_path.glob("card*")) == []


def test_check_source_says_what_is_missing_and_fails(shop, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", _mapping(tmp_path, entity="stores", column="store_format"))
    monkeypatch.setattr(sys, "argv", ["retail-assets", "check-source"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == MEND
    assert "store_format" in capfd.readouterr().out


def test_check_source_is_content_with_the_demo(shop, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["retail-assets", "check-source"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code in (0, None)
    assert "sales" in capfd.readouterr().out


def test_the_installed_command_prints_nothing_but_the_sentence(five_days, tmp_path):
    environment = five_days.environment | {"RETAIL_HOME": str(tmp_path / "home")}
    done = command("run", "--from", "yesterday", environment=environment)
    assert (done.returncode, done.stderr) == (
        MEND,
        "--from is wrong: got 'yesterday', wanted a date such as 2026-01-31.\n",
    )
