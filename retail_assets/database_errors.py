"""What a database's error means: who must change what, or that trying again may help; one sentence without secrets.

Source, warehouse, application database and demo all ask here, so the same error has the same class and exit code
everywhere. A code or a message that is judged wrongly is corrected in the tables below.
"""

import re
import sqlite3
from dataclasses import dataclass
from enum import Enum

import duckdb
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from retail_assets.addresses import without_secrets
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure, first_line


class OdbcError(Exception):
    """What arrow-odbc says; that library is loaded only when ODBC is used."""


class ConnectionRefused(PermanentFailure):
    """The database cannot be used at all as its setting stands; another statement would meet the same."""


DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, duckdb.Error, OdbcError, ImportError)


class Cause(Enum):
    """Why a database fails; the value is what to do about it, where `{setting}` names the database."""

    BUSY = "try again"
    AWAY = "try again, and if it stays check {setting} and the network"
    FIREWALL = "let the server admit this machine and this user, or correct {setting}"
    ADDRESS = "correct {setting}"
    DRIVER = "install the driver, or name another one in {setting}"
    ENCRYPTION = "correct the certificate of the server or the encryption options in {setting}"
    FILE = "let its file be read and written, with room on the disk, or correct {setting}"
    PERMISSION = "grant this right to the user of {setting}"
    STATEMENT = "change the statement"


_PASSING = (Cause.BUSY, Cause.AWAY)
_REFUSED = (Cause.FIREWALL, Cause.ADDRESS, Cause.ENCRYPTION)
_UNOPENED = (Cause.DRIVER, Cause.FILE)

# https://www.postgresql.org/docs/current/errcodes-appendix.html; ODBC's own: HYT, IM, 01002, 08
_STATES = {
    "42501": Cause.PERMISSION,
    "55P03": Cause.BUSY,  # lock not available
    "55006": Cause.BUSY,  # object in use
    "25P03": Cause.BUSY,  # idle in transaction
    "25P04": Cause.BUSY,  # transaction too long
    "57P04": Cause.ADDRESS,  # database dropped
    "01002": Cause.AWAY,
}
_CERTAIN_CLASSES = {
    "22": Cause.STATEMENT,
    "23": Cause.STATEMENT,
    "42": Cause.STATEMENT,
    "28": Cause.ADDRESS,
    "3D": Cause.ADDRESS,
    "IM": Cause.DRIVER,
}
_AWAY_CLASSES = ("08",)
_BUSY_CLASSES = ("40", "53", "57", "58", "HYT")

# https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
# https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
_SQL_SERVER = {
    Cause.BUSY: (
        *(701, 802, 8628, 8645),  # memory
        *(921, 922, 927, 952, 978, 982, 983, 4221),  # a database that recovers, is restored or changes replicas
        *(1204, 1205, 1221, 1222, 3960, 3966, 41301, 41302, 41305, 41325, 41839),  # locks, deadlock, conflicts
        *(17142, 17197, 17809, 18401, 18451, 18458, 18459, 18461),  # a server that is paused, upgraded or full
        *(10928, 10929, 10936, 40143, 40166, 40197, 40501, 40540, 40613, 40627, 49918, 49919, 49920),  # Azure SQL
        *(42108, 42109),  # a Synapse pool that is paused or warms up
    ),
    Cause.AWAY: (64, 121, 233, 258, 10053, 10054, 10060, 10061, 11001),
    Cause.FIREWALL: (40615, 40914, 47073),
    Cause.ADDRESS: (
        *(911, 4060, 4063, 4064, 40532),
        *(18450, 18452, 18456, 18470, 18486, 18487, 18488),
    ),
    Cause.PERMISSION: (229, 230, 262, 297, 300, 916, 15247),
}
# https://dev.mysql.com/doc/mysql-errors/8.4/en/
_MYSQL = {
    Cause.BUSY: (1040, 1053, 1203, 1205, 1213, 1226, 1317, 3024),
    Cause.AWAY: (2002, 2003, 2005, 2006, 2013, 2055),
    Cause.FIREWALL: (1129, 1130),
    Cause.ADDRESS: (1044, 1045, 1049),
    Cause.ENCRYPTION: (2026,),
    Cause.PERMISSION: (1142, 1143, 1227, 1370),
}
_NUMBERS = {"mssql": _SQL_SERVER, "mysql": _MYSQL, "mariadb": _MYSQL}

# Of an attempt to connect, which PostgreSQL's client and psqlODBC report without the server's SQLSTATE.
_CONNECTING = (
    (
        Cause.BUSY,
        r"starting up|shutting down|in recovery mode|not (yet|currently) accepting|too many (clients|connections)"
        r"|connection slots",
    ),
    (Cause.ENCRYPTION, r"certificate|does not support ssl|ssl routines|ssl security error|sslmode"),
    (Cause.FIREWALL, r"pg_hba\.conf|is not allowed to (connect|access)"),
    (Cause.PERMISSION, r"permission denied for database"),
    (
        Cause.ADDRESS,
        r"authentication failed|no password supplied|login failed|access denied|not permitted to log in"
        r"|(database|role) .* does not exist|unknown database|cannot open database"
        r"|invalid .*(option|value|attribute|port)",
    ),
    (Cause.DRIVER, r"can't open lib|data source name not found|file not found"),
)
_SQLITE = (
    (Cause.BUSY, r"^database .*is (locked|busy)"),
    (Cause.ADDRESS, r"^file is not a database"),
    (
        Cause.FILE,
        r"^(unable to open database|attempt to write a readonly|database or disk is full|disk I/O|database disk image)",
    ),
)
_UNIX_ODBC = "unixODBC (apt-get install unixodbc, brew install unixodbc) and the driver"
_THERE_ALREADY = ("42P06", "42P07", "42710", "42S01", "23505")

_NATIVE = re.compile(r"Native error: (\d+)|\((\d+)\)(?= \(SQL\w+\)|; \[|$)")
_STATE = re.compile(r"State: (\w{5})")
_ODBC_WRAPPING = re.compile(r"^(\[[^]]*]\s*)+|\s*\(-?\d+\)(\s*\(SQL\w+\))?$")
_PREFIXES = re.compile(r"^(connection failed: |connection is bad: )+|\b(ERROR|FATAL):\s+")
_ONE_OF_MANY = re.compile(r"^- host: .*?: (?=connection )", re.MULTILINE)


@dataclass(frozen=True)
class Database:
    """A database as a sentence names it.

    Args:
        label: what and where it is, such as `application database server/shop`; never a password.
        setting: the setting that names it.
        url: its address, to know its codes by and to keep its secrets out of every sentence; None for a DuckDB file.
        advice: what to do when it refuses a statement.
    """

    label: str
    setting: str
    url: URL | None = None
    advice: str = Cause.STATEMENT.value

    def cause(self, error: Exception) -> Cause:
        return cause_of(error, kind=self.url.get_backend_name() if self.url else "duckdb")

    def may_pass(self, error: Exception) -> bool:
        """Whether the same statement may succeed later."""
        return self.cause(error) in _PASSING

    def failure(self, error: Exception, *, refusal: str | None = None) -> RetailError:
        """The failure to raise for an error of the driver.

        Args:
            refusal: how the sentence begins that says which statement was refused.

        Returns:
            TransientFailure where trying again may help, ConnectionRefused where the setting, the server or this
            machine must change first, PermanentFailure where the statement or a right must.
        """
        if isinstance(error, ImportError | NoSuchModuleError):
            return ConnectionRefused(self._missing(error))
        cause, message = self.cause(error), self.message(error)
        advice = self.advice if cause is Cause.STATEMENT else cause.value.format(setting=self.setting)
        if cause in _PASSING:
            return TransientFailure(f"The {self.label} cannot be used now: {message}; {advice}.")
        if cause in _UNOPENED:
            return ConnectionRefused(f"The {self.label} cannot be opened: {message}; {advice}.")
        if cause in _REFUSED or _is_connecting(error):
            return ConnectionRefused(f"The {self.label} refuses the connection: {message}; {advice}.")
        return PermanentFailure(f"{refusal or f'The {self.label} refused'}: {message}; {advice}.")

    def message(self, error: Exception) -> str:
        """The database's own words: one line, without SQL, codes, secrets and closing punctuation."""
        text = _text(error)
        several = _ONE_OF_MANY.split(text)  # psycopg tried every address of the host
        text = several[-1].partition("Message: ")[2] or several[-1]  # arrow-odbc puts states and numbers before it
        line = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
        message = _PREFIXES.sub("", _ODBC_WRAPPING.sub("", line.strip())).rstrip(" ;.")
        return without_secrets(message, self.url.render_as_string(hide_password=False)) if self.url else message

    def _missing(self, error: Exception) -> str:
        driver = self.url.drivername if self.url else "duckdb"
        if isinstance(error, ModuleNotFoundError):
            return f"{self.setting} needs the Python package {error.name}, which is not installed; install it."
        if isinstance(error, ImportError):
            needed = _UNIX_ODBC if driver.endswith("+pyodbc") else f"what {driver} needs"
            return f"{self.setting} needs a driver that cannot be loaded: {first_line(error)}; install {needed}."
        return (
            f"{self.setting} names {driver}, for which no SQLAlchemy dialect is installed; install it or use "
            "mssql+pyodbc, postgresql+psycopg or sqlite."
        )


def cause_of(error: Exception, *, kind: str) -> Cause:
    """Why a database failed: by its own number, by SQLSTATE, by the words of a refused connection, in this order.

    Args:
        kind: SQLAlchemy's name of the database, such as `mssql`, as numbers mean different things elsewhere.
    """
    if isinstance(error, ImportError | NoSuchModuleError):
        return Cause.DRIVER
    original = _original(error)
    if isinstance(original, duckdb.Error):
        return _of_duckdb(original)
    if isinstance(original, sqlite3.Error):
        return _by_words(_SQLITE, str(original)) or Cause.STATEMENT
    return _of_number(original, kind) or _of_state(error) or _otherwise(error)


def is_there_already(error: Exception) -> bool:
    """Whether another process made the same table or schema between a look and its creation."""
    return _state(error) in _THERE_ALREADY or "already exists" in _text(error)


def _of_number(original: BaseException, kind: str) -> Cause | None:
    numbers = _numbers(original)
    return next((cause for cause, known in _NUMBERS.get(kind, {}).items() if numbers.intersection(known)), None)


def _of_state(error: Exception) -> Cause | None:
    state = _state(error) or ""
    certain = _STATES.get(state) or _CERTAIN_CLASSES.get(state[:2])
    if certain:
        return certain
    passing = state.startswith(_AWAY_CLASSES + _BUSY_CLASSES)
    if _is_connecting(error):
        return _by_words(_CONNECTING, _text(error)) or (Cause.AWAY if passing else None)
    if passing:
        return Cause.AWAY if state.startswith(_AWAY_CLASSES) else Cause.BUSY
    return None


def _otherwise(error: Exception) -> Cause:
    is_unnamed = _state(error) is None and isinstance(error, OperationalError | InterfaceError)
    if is_unnamed or getattr(error, "connection_invalidated", False):
        return Cause.AWAY
    return Cause.ADDRESS if _is_connecting(error) else Cause.STATEMENT


def _of_duckdb(error: duckdb.Error) -> Cause:
    if isinstance(error, duckdb.TransactionException):
        return Cause.BUSY
    if isinstance(error, duckdb.IOException):
        return Cause.BUSY if "lock" in str(error).lower() else Cause.FILE
    return Cause.STATEMENT


def _by_words(causes: tuple[tuple[Cause, str], ...], text: str) -> Cause | None:
    return next((cause for cause, words in causes if re.search(words, text, re.IGNORECASE)), None)


def _original(error: Exception) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _arguments(original: BaseException) -> tuple[object, ...]:
    """State or number, and text; pymssql puts both into one."""
    one = original.args[0] if len(original.args) == 1 else None
    return one if isinstance(one, tuple) else original.args


def _text(error: Exception) -> str:
    """The driver's text; pyodbc, PyMySQL and pymssql give it after a state or a number."""
    original = _original(error)
    texts = [part.decode(errors="replace") if isinstance(part, bytes) else part for part in _arguments(original)[1:]]
    return next((text for text in texts if isinstance(text, str)), str(original))


def _numbers(original: BaseException) -> set[int]:
    arguments = _arguments(original)
    found = {int(first or second) for first, second in _NATIVE.findall(" ".join(map(str, arguments)))}
    return found | {part for part in arguments[:1] if isinstance(part, int)}


def _state(error: Exception) -> str | None:
    """SQLSTATE as psycopg, psycopg2, pyodbc or arrow-odbc gives it."""
    original = _original(error)
    known = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    first = original.args[0] if len(original.args) > 1 else None
    if known is None and isinstance(first, str) and re.fullmatch(r"\w{5}", first):
        return first
    found = _STATE.search(str(original))
    return known or (found.group(1) if found else None)


def _is_connecting(error: Exception) -> bool:
    """Whether no statement was sent yet. An error at commit has no statement either, but a state."""
    if "SQLDriverConnect" in str(_original(error)):
        return True
    return isinstance(error, DBAPIError) and error.statement is None and _state(error) is None
