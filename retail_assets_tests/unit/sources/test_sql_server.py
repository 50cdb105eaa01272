"""SQL Server through ODBC without a server: which driver, what is said to the session, and how statements read."""

import datetime as dt
import logging
import platform
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from retail_assets.failures import PermanentFailure
from retail_assets.sources.backends import odbc, sql_server
from retail_assets.sources.backends.batches import Parameters, RawBatch
from retail_assets.sources.backends.odbc import OdbcBackend, connection_string
from retail_assets.sources.statement import select_statement

MAY_1 = dt.date(2024, 5, 1)
URL = sa.make_url("mssql+pyodbc://reader:s3cr%3Bt@db.example:1433/shop?driver=FreeTDS")
STATEMENT = select_statement(
    "SELECT id, CAST(sold_at AT TIME ZONE 'GMT Standard Time' AS date) AS [day] FROM dbo.[line] -- all\n"
    "WHERE sold_at >= :start AND sold_at < DATEADD(day, 1, :end) AND note <> ':start';"
)


def _wheel(folder: Path, *families: str, machine: str | None = None) -> Path:
    wheel = folder / "mssql_python_odbc"
    for family in families:
        library = wheel / "libs" / "linux" / family / (machine or _machine()) / "lib" / "libmsodbcsql-18.6.so.2.1"
        library.parent.mkdir(parents=True)
        library.touch()
    return wheel


def _machine() -> str:
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


def test_the_driver_of_the_wheel_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = _wheel(tmp_path, "debian_ubuntu", "rhel", "suse")
    for system, family in (({"ID": "ubuntu", "ID_LIKE": "debian"}, "debian_ubuntu"), ({"ID": "rhel"}, "rhel")):
        monkeypatch.setattr(platform, "freedesktop_os_release", lambda system=system: system)
        found = Path(sql_server.driver(["FreeTDS"], wheel))
        assert found.is_file() and family in found.parts


def test_a_wheel_for_another_machine_does_not_count(tmp_path: Path) -> None:
    assert sql_server.driver(["FreeTDS"], _wheel(tmp_path, "debian_ubuntu", machine="other")) == "FreeTDS"


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        (
            ["FreeTDS", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server"],
            "ODBC Driver 18 for SQL Server",
        ),
        (["PostgreSQL Unicode", "FreeTDS", "ODBC Driver 17 for SQL Server"], "ODBC Driver 17 for SQL Server"),
        (["PostgreSQL Unicode", "FreeTDS"], "FreeTDS"),
    ],
)
def test_then_the_systems_best(installed: list[str], expected: str) -> None:
    assert sql_server.driver(installed, None) == expected


def test_no_driver_is_a_sentence() -> None:
    with pytest.raises(PermanentFailure) as raised:
        sql_server.driver(["PostgreSQL Unicode"], None)
    assert str(raised.value) == (
        "RETAIL_SOURCE_URL names no ODBC driver and none for SQL Server is installed: pip install mssql-python-odbc, "
        "or install Microsoft's ODBC Driver 18 for SQL Server or FreeTDS."
    )


def test_a_url_without_a_driver_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_server, "wheel_folder", lambda: None)
    monkeypatch.setattr("pyodbc.drivers", lambda: ["ODBC Driver 18 for SQL Server"])
    text = connection_string(sa.make_url("mssql+pyodbc://reader:secret@db.example:1433/shop?Encrypt=yes"))
    assert text.split(";")[0] == "DRIVER={ODBC Driver 18 for SQL Server}"
    assert "Server=db.example,1433" in text and "Encrypt=yes" in text


def test_the_connection_says_that_it_only_reads() -> None:
    assert connection_string(URL).endswith(";ApplicationIntent=ReadOnly")
    wanted = URL.update_query_dict({"ApplicationIntent": "ReadWrite"})
    assert "ReadOnly" not in connection_string(wanted), "what the URL says stays"


def test_a_data_source_brings_its_driver() -> None:
    assert connection_string(sa.make_url("mssql+pyodbc://reader:secret@shop")).startswith("dsn=shop;")
    raw = URL.set(query={"odbc_connect": "DSN=shop;UID=reader"})
    assert connection_string(raw) == "DSN=shop;UID=reader"


class FakeOdbc:
    """Stands for arrow-odbc: gives one row, remembers what was asked."""

    class Error(Exception):
        pass

    class TextEncoding:
        AUTO, UTF16 = "auto", "utf16"

    def __init__(self, snapshot_state: int) -> None:
        self.said: list[str] = []
        self.options: dict[str, Any] = {}
        self._state = snapshot_state

    def connect(self, text: str) -> "FakeOdbc":
        self.said.append(text)
        return self

    def execute(self, query: str) -> None:
        self.said.append(query)

    def read_arrow_batches(self, query: str, **options: Any) -> pa.RecordBatchReader:
        self.said.append(query)
        self.options = options
        column = self._state if query == sql_server.SNAPSHOT_ALLOWED else 7
        return pa.table({"id": [column]}).to_reader()


def _read(monkeypatch: pytest.MonkeyPatch, fake: FakeOdbc, url: sa.URL = URL) -> list[RawBatch]:
    monkeypatch.setattr(odbc, "_arrow_odbc", lambda: fake)
    return list(OdbcBackend(url).batches(STATEMENT, {"start": MAY_1, "end": MAY_1}, batch_rows=10))


def test_a_statement_is_bound_in_the_words_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOdbc(1)
    empty, full = _read(monkeypatch, fake)
    assert (empty.row_count, full.row_count) == (0, 1)
    assert " ".join(fake.said[-1].split()) == (
        "SELECT id, CAST(sold_at AT TIME ZONE 'GMT Standard Time' AS date) AS [day] FROM dbo.[line] "
        "WHERE sold_at >= CAST(? AS date) AND sold_at < DATEADD(day, 1, CAST(? AS date)) AND note <> ':start'"
    )
    assert fake.options["parameters"] == ["2024-05-01", "2024-05-01"]
    assert fake.options["payload_text_encoding"] == "utf16", "any letter, whatever the locale"


def test_a_database_that_allows_it_is_read_as_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOdbc(1)
    _read(monkeypatch, fake)
    assert fake.said[1:3] == [sql_server.SNAPSHOT_ALLOWED, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"]


def test_another_is_read_committed_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sql_server.say_read_committed.cache_clear()
    fake = FakeOdbc(0)
    with caplog.at_level(logging.WARNING):
        _read(monkeypatch, fake)
        _read(monkeypatch, fake)
    assert fake.said[2] == "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    [record] = caplog.records
    assert record.getMessage().startswith("db.example:1433/shop allows no snapshot isolation: ")
    assert "s3cr" not in record.getMessage()


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_mysql_through_odbc_only_reads(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    fake = FakeOdbc(1)
    _read(monkeypatch, fake, sa.make_url(f"{kind}+pyodbc://reader:secret@db.example/shop?driver=MySQL"))
    assert "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY" in fake.said
    assert fake.options["payload_text_encoding"] == "auto"


def test_a_moment_is_bound_in_the_words_of_mysql(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOdbc(1)
    monkeypatch.setattr(odbc, "_arrow_odbc", lambda: fake)
    url = sa.make_url("mysql+pyodbc://reader:secret@db.example/shop?driver=MySQL")
    since: Parameters = {"since": dt.datetime(2024, 5, 1, 18)}
    statement = select_statement("SELECT day FROM line WHERE changed >= :since")
    list(OdbcBackend(url).batches(statement, since, batch_rows=10))
    assert fake.said[-1].endswith("changed >= CAST(? AS datetime(6))")
    assert fake.options["parameters"] == ["2024-05-01 18:00:00"]
