"""What a driver's error means to the user: mend something, or try again; always one sentence without secrets."""

import re
import sqlite3

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from retail_assets.addresses import without_secrets
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure


class OdbcError(Exception):
    """What arrow-odbc says; that library is loaded only when ODBC is used."""


class ConnectionRefused(PermanentFailure):
    """The database cannot be used at all as RETAIL_SOURCE_URL stands; another query would meet the same."""


DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, OdbcError, ModuleNotFoundError)

_TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "HYT")
# https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues, and 1205 deadlock victim
_AZURE_TRANSIENT = {"40197", "40501", "40613", "49918", "49919", "49920", "10928", "10929", "1205"}
_NEVER_PASSING = ("authentication failed", "does not exist", "login failed", "access denied", "not permitted")


def place(url: URL) -> str:
    """Printable address of a database: host and name, or the file; never the user or the password."""
    if url.host:
        port = f":{url.port}" if url.port else ""
        return f"{url.host}{port}/{url.database or ''}"
    return url.database or url.get_backend_name()


def failure(error: Exception, url: URL, *, reading: str) -> RetailError:
    """The failure to raise for a driver's error met while `reading` (mapping and entity)."""
    if isinstance(error, ModuleNotFoundError):
        return ConnectionRefused(
            f"RETAIL_SOURCE_URL needs the Python package {error.name}, which is not installed; install it."
        )
    if isinstance(error, NoSuchModuleError):
        return ConnectionRefused(
            f"RETAIL_SOURCE_URL names {url.drivername}, for which no SQLAlchemy dialect is "
            "installed; install it or use mssql+pyodbc, postgresql+psycopg or sqlite."
        )
    message = short_message(error, url)
    if "too large to be written into the allocated buffer" in message:
        return PermanentFailure(f"{reading}: a text is longer than 4096 bytes; shorten it in the query with CAST.")
    if may_pass(error):
        return TransientFailure(
            f"The operational database {place(url)} cannot be read now: {message}; try again, and if it stays "
            "check RETAIL_SOURCE_URL and the network."
        )
    if _is_connecting(error):
        return ConnectionRefused(
            f"The operational database {place(url)} refuses the connection: {message}; correct RETAIL_SOURCE_URL."
        )
    return PermanentFailure(
        f"{reading}: the database {place(url)} refuses the query: {message}; correct the query in the mapping."
    )


def _text(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) and error.orig is not None else error)


def short_message(error: Exception, url: URL) -> str:
    """The database's own words: first line, without SQL, state numbers, secrets and closing punctuation."""
    text = _text(error)
    if "Message: " in text:
        text = text.split("Message: ", 1)[1]
    line = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    message = re.sub(r"^(connection failed: |ERROR:\s*|FATAL:\s*)+", "", line.strip()).rstrip(" ;.")
    return without_secrets(message, url.render_as_string(hide_password=False))


def _state(error: Exception) -> str | None:
    found = re.search(r"State: (\w{5})", _text(error))
    if found:
        return found.group(1)
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def may_pass(error: Exception) -> bool:
    """Whether the same statement may succeed later: network, lock, overload; not a wrong password or name."""
    text = _text(error).lower()
    if any(words in text for words in _NEVER_PASSING):
        return False
    native = re.search(r"native error: (\d+)", text)
    if native and native.group(1) in _AZURE_TRANSIENT:
        return True
    state = _state(error)
    if state:
        return state.startswith(_TRANSIENT_CLASSES)
    if isinstance(getattr(error, "orig", error), sqlite3.Error):
        return "locked" in text or "busy" in text
    return isinstance(error, OperationalError | InterfaceError)


def _is_connecting(error: Exception) -> bool:
    if isinstance(error, OdbcError):
        return "SQLDriverConnect" in str(error)
    if "file is not a database" in _text(error):
        return True
    return isinstance(error, OperationalError) and getattr(error, "statement", None) is None
