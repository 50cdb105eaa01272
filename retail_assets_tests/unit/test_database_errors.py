"""What errors of every driver mean, by number, SQLSTATE and words, and the sentence each becomes."""

import sqlite3

import duckdb
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, NoSuchModuleError, OperationalError

from retail_assets.database_errors import Cause, ConnectionRefused, Database, OdbcError, cause_of, is_there_already
from retail_assets.failures import PermanentFailure, TransientFailure

SECRET = "c4n4ry"
SERVER = sa.make_url(f"mssql+pyodbc://reader:{SECRET}@host/shop?driver=x")
POSTGRESQL = sa.make_url(f"postgresql+psycopg://reader:{SECRET}@host/shop")
WRAPPING = "[Microsoft][ODBC Driver 18 for SQL Server]"

SQL_SERVER_NUMBERS = {
    **dict.fromkeys((10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920), Cause.BUSY),
    **dict.fromkeys((1205, 1222, 3960, 8645, 17809, 18401, 42108, 42109), Cause.BUSY),
    **dict.fromkeys((64, 121, 233, 10054, 10060, 11001), Cause.AWAY),
    **dict.fromkeys((911, 4060, 4064, 18452, 18456, 18470, 18486, 18487, 18488, 40532), Cause.ADDRESS),
    **dict.fromkeys((40615, 40914, 47073), Cause.FIREWALL),
    **dict.fromkeys((229, 230, 262, 916), Cause.PERMISSION),
    **dict.fromkeys((102, 207, 208, 515, 2627, 2628), Cause.STATEMENT),
}


class SqlStateError(Exception):
    """As psycopg's errors."""

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def by_pyodbc(state: str, *records: str, statement: str | None = "SELECT 1") -> DBAPIError:
    text = "; ".join(f"[{state}] {WRAPPING}{record}" for record in records)
    return DBAPIError(statement, None, Exception(state, text))


def by_psycopg(text: str, state: str | None = None, *, statement: str | None = None) -> OperationalError:
    return OperationalError(statement, None, SqlStateError(text, state))


@pytest.mark.parametrize(("number", "cause"), SQL_SERVER_NUMBERS.items())
def test_a_number_of_sql_server_means_the_same_by_every_driver(number, cause):
    """42000 is the state that pyodbc gives for most of them; FreeTDS and Azure give others."""
    odbc = f"[SQL Server]It failed. ({number}) (SQLExecDirectW)"
    errors = [
        by_pyodbc("42000", odbc),
        OdbcError(
            f"ODBC emitted an error calling 'SQLExecDirect':\nState: 42000, Native error: {number}, Message: No."
        ),
        DBAPIError("SELECT 1", None, Exception((number, b"It failed.DB-Lib error message 20018"))),
    ]
    assert [cause_of(error, kind="mssql") for error in errors] == [cause] * 3


def test_a_refused_login_that_names_a_reason_that_passes_may_pass():
    records = ("[SQL Server]Login failed. (18456) (SQLDriverConnect)", "[SQL Server]Not available. (40613)")
    assert cause_of(by_pyodbc("28000", *records, statement=None), kind="mssql") is Cause.BUSY


def test_numbers_mean_what_their_own_database_means_by_them():
    unknown = OperationalError(None, None, Exception(1049, "Unknown database 'shop'"))
    assert cause_of(unknown, kind="mysql") is Cause.ADDRESS
    full = OperationalError(None, None, Exception(1040, "Too many connections"))
    assert (cause_of(full, kind="mysql"), cause_of(full, kind="mariadb")) == (Cause.BUSY, Cause.BUSY)


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        *[(state, Cause.ADDRESS) for state in ("28000", "28P01", "3D000", "57P04")],
        *[(state, Cause.BUSY) for state in ("40001", "40P01", "53300", "55P03", "55006", "57014", "57P01", "57P03")],
        *[(state, Cause.AWAY) for state in ("08001", "08003", "08006", "08S01")],
        *[(state, Cause.STATEMENT) for state in ("42P01", "42703", "42601", "22012", "23505", "55000", "0A000")],
        ("42501", Cause.PERMISSION),
        ("HYT00", Cause.BUSY),
        ("IM002", Cause.DRIVER),
    ],
)
def test_a_sqlstate_means_the_same_by_every_driver(state, cause):
    """Whichever class of error a driver makes of it."""
    errors = [
        by_psycopg("no", state, statement="SELECT 1"),
        IntegrityError(None, None, SqlStateError("no certificate", state)),  # as at a commit
        by_pyodbc(state, "no (0) (SQLExecDirectW)"),
        OdbcError(f"State: {state}, Native error: 0, Message: no"),
    ]
    assert {cause_of(error, kind="postgresql") for error in errors} == {cause}


FAILED = 'connection failed: connection to server at "::1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ('FATAL:  password authentication failed for user "reader"', Cause.ADDRESS),
        ("fe_sendauth: no password supplied", Cause.ADDRESS),
        ('FATAL:  database "shop" does not exist', Cause.ADDRESS),
        ('FATAL:  role "reader" does not exist', Cause.ADDRESS),
        ('FATAL:  role "reader" is not permitted to log in', Cause.ADDRESS),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "reader", database "shop"', Cause.FIREWALL),
        ('FATAL:  permission denied for database "shop"', Cause.PERMISSION),
        ("server does not support SSL, but SSL was required", Cause.ENCRYPTION),
        ("SSL error: certificate verify failed", Cause.ENCRYPTION),
        ("FATAL:  the database system is starting up", Cause.BUSY),
        ("FATAL:  sorry, too many clients already", Cause.BUSY),
        ("FATAL:  remaining connection slots are reserved for roles", Cause.BUSY),
        ("Connection refused\n\tIs the server running on that host?", Cause.AWAY),
        ("timeout expired", Cause.AWAY),
        ("SSL SYSCALL error: EOF detected", Cause.AWAY),
        ("server closed the connection unexpectedly", Cause.AWAY),
    ],
)
def test_the_words_of_a_refused_connection_of_postgresql(said, cause):
    """Its client reports no SQLSTATE then, and psqlODBC 08001 for all of them."""
    by_odbc = OdbcError(f"error calling 'SQLDriverConnect':\nState: 08001, Native error: 101, Message: {said}")
    found = [cause_of(error, kind="postgresql") for error in (by_psycopg(FAILED + said), by_odbc)]
    assert found == [cause, cause]


@pytest.mark.parametrize(
    ("state", "said", "cause"),
    [
        ("HYT00", "Login timeout expired (0) (SQLDriverConnect)", Cause.AWAY),
        ("08001", "TCP Provider: Error code 0x2749 (10057) (SQLDriverConnect)", Cause.AWAY),
        ("08001", "SSL Provider: [error:0A000086:SSL routines::certificate verify failed:self-signed certificate] (-1) "
         "(SQLDriverConnect)", Cause.ENCRYPTION),
        ("01000", "Can't open lib 'D' : file not found (0) (SQLDriverConnect)", Cause.DRIVER),
        ("IM002", "Data source name not found and no default driver specified (0) (SQLDriverConnect)", Cause.DRIVER),
        ("HY000", "Nobody knows (0) (SQLDriverConnect)", Cause.ADDRESS),
    ],
)  # fmt: skip
def test_what_odbc_says_of_a_connection(state, said, cause):
    assert cause_of(by_pyodbc(state, said, statement=None), kind="mssql") is cause


def test_a_connection_that_is_lost_during_a_statement_may_pass():
    lost = DBAPIError("SELECT 1", None, Exception("gone"), connection_invalidated=True)
    assert cause_of(lost, kind="postgresql") is Cause.AWAY
    assert cause_of(InterfaceError("SELECT 1", None, Exception("connection already closed")), kind="x") is Cause.AWAY


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (sqlite3.OperationalError("database is locked"), Cause.BUSY),
        (sqlite3.OperationalError("database table is locked: line"), Cause.BUSY),
        (sqlite3.DatabaseError("file is not a database"), Cause.ADDRESS),
        (sqlite3.OperationalError("unable to open database file"), Cause.FILE),
        (sqlite3.OperationalError("attempt to write a readonly database"), Cause.FILE),
        (sqlite3.OperationalError("database or disk is full"), Cause.FILE),
        (sqlite3.OperationalError("no such table: locked"), Cause.STATEMENT),
        (sqlite3.OperationalError("no such column: disk"), Cause.STATEMENT),
        (duckdb.TransactionException("Conflict on update"), Cause.BUSY),
        (duckdb.IOException("Could not set lock on file"), Cause.BUSY),
        (duckdb.IOException("not a valid DuckDB database file"), Cause.FILE),
        (duckdb.CatalogException("Table does not exist"), Cause.STATEMENT),
        (ModuleNotFoundError("No module named 'x'", name="x"), Cause.DRIVER),
        (ImportError("libodbc.so.2: cannot open shared object file"), Cause.DRIVER),
        (NoSuchModuleError("nosuch"), Cause.DRIVER),
    ],
)
def test_files_and_drivers(error, cause):
    assert cause_of(error, kind="sqlite") is cause
    if isinstance(error, sqlite3.Error):
        assert cause_of(OperationalError("SELECT 1", None, error), kind="sqlite") is cause


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            by_psycopg(f"{FAILED}Connection refused\n\tIs the server running?"),
            TransientFailure,
            'The shop cannot be used now: connection to server at "::1", port 5432 failed: Connection refused; '
            "try again, and if it stays check RETAIL_X_URL and the network.",
        ),
        (
            by_psycopg("deadlock detected\nDETAIL: Process 1 waits", "40P01", statement="DELETE"),
            TransientFailure,
            "The shop cannot be used now: deadlock detected; try again.",
        ),
        (
            by_psycopg(f'{FAILED}FATAL:  password authentication failed, not "{SECRET}"'),
            ConnectionRefused,
            'The shop refuses the connection: connection to server at "::1", port 5432 failed: '
            'password authentication failed, not "***"; correct RETAIL_X_URL.',
        ),
        (
            by_psycopg(f'{FAILED}FATAL:  permission denied for database "shop"\nDETAIL:  No CONNECT privilege.'),
            ConnectionRefused,
            'The shop refuses the connection: connection to server at "::1", port 5432 failed: '
            'permission denied for database "shop"; grant this right to the user of RETAIL_X_URL.',
        ),
        (
            by_psycopg("permission denied for table line", "42501", statement="SELECT"),
            PermanentFailure,
            "The shop refused: permission denied for table line; grant this right to the user of RETAIL_X_URL.",
        ),
        (
            by_psycopg('relation "line" does not exist', "42P01", statement="SELECT"),
            PermanentFailure,
            'The shop refused: relation "line" does not exist; make it.',
        ),
        (
            by_psycopg(
                "Multiple connection attempts failed. All failures were:\n"
                "- host: 'host', port: 5432, hostaddr: '::1': connection failed: connection is bad: no\n"
                "- host: 'host', port: 5432, hostaddr: '10.0.0.5': connection failed: timeout expired"
            ),
            TransientFailure,
            "The shop cannot be used now: timeout expired; try again, and if it stays check RETAIL_X_URL and the "
            "network.",
        ),
    ],
)
def test_a_sentence_says_what_where_and_what_to_do(error, kind, sentence):
    failure = Database("shop", "RETAIL_X_URL", POSTGRESQL, "make it").failure(error)
    assert (type(failure), str(failure)) == (kind, sentence)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            by_pyodbc(
                "42000", "[SQL Server]Client with IP address '1.2.3.4' is not allowed. (40615) (SQLDriverConnect)"
            ),
            "The shop refuses the connection: Client with IP address '1.2.3.4' is not allowed; let the server admit "
            "this machine and this user, or correct RETAIL_X_URL.",
        ),
        (
            by_pyodbc("08001", "SSL Provider: [certificate verify failed] (-1) (SQLDriverConnect)"),
            "The shop refuses the connection: SSL Provider: [certificate verify failed]; correct the certificate of "
            "the server or the encryption options in RETAIL_X_URL.",
        ),
        (
            ImportError(f"libodbc.so.2: cannot open shared object file\n{SECRET}"),
            "RETAIL_X_URL needs a driver that cannot be loaded: libodbc.so.2: cannot open shared object file; install "
            "unixODBC (apt-get install unixodbc, brew install unixodbc) and the driver.",
        ),
    ],
)
def test_what_a_person_must_change_for_sql_server(error, sentence):
    failure = Database("shop", "RETAIL_X_URL", SERVER).failure(error)
    assert (type(failure), str(failure)) == (ConnectionRefused, sentence)


def test_what_another_process_made_meanwhile():
    made = [
        by_psycopg('relation "line" already exists', "42P07", statement="CREATE"),
        IntegrityError("CREATE", None, SqlStateError("duplicate key of pg_type", "23505")),
        by_pyodbc("42S01", "[SQL Server]There is already an object named 'line'. (2714) (SQLExecDirectW)"),
        OperationalError("CREATE", None, sqlite3.OperationalError("table line already exists")),
    ]
    assert all(map(is_there_already, made))
    assert not is_there_already(by_psycopg("permission denied", "42501", statement="CREATE"))
