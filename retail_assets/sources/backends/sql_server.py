"""What SQL Server alone needs: an ODBC driver that is there, and a snapshot where the database allows one."""

import logging
import platform
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from retail_assets.failures import PermanentFailure

_LOG = logging.getLogger(__name__)
_PREFERRED = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")
_WHEEL = "mssql_python_odbc"

SNAPSHOT_ALLOWED = "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()"
"""1 where ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON was run."""
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"
READ_COMMITTED = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"


def driver(installed: Sequence[str], wheel: Path | None) -> str:
    """The ODBC driver to use where the URL names none: Microsoft's from its wheel, else one of the system.

    Args:
        installed: names of the system's drivers.
        wheel: folder of the package mssql_python_odbc.

    Raises:
        PermanentFailure: there is none.
    """
    bundled = _bundled(wheel) if wheel else None
    found = bundled or next((name for name in _PREFERRED if name in installed), None)
    if found is None:
        raise PermanentFailure(
            "RETAIL_SOURCE_URL names no ODBC driver and none for SQL Server is installed: "
            "pip install mssql-python-odbc, or install Microsoft's ODBC Driver 18 for SQL Server or FreeTDS."
        )
    return found


def wheel_folder() -> Path | None:
    """Where the package with Microsoft's driver lies; it is looked for and not imported."""
    spec = find_spec(_WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else None


def _bundled(wheel: Path) -> str | None:
    """The wheel has a library for each family of systems; its own package picks in native code we do not load."""
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    found = [path for path in sorted(wheel.rglob("libmsodbcsql*18*")) if machine in path.parts]
    return str(min(found, key=lambda path: _family() not in path.parts)) if found else None


def _family() -> str:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return ""
    names = {system.get("ID", ""), *system.get("ID_LIKE", "").split()}
    if names & {"rhel", "fedora", "centos"}:
        return "rhel"
    return "suse" if names & {"suse", "sles", "opensuse"} else "debian_ubuntu"


@cache
def say_read_committed(place: str) -> None:
    """Once a process and database."""
    _LOG.warning(
        "%s allows no snapshot isolation: rows that change during a read may be seen before or after their change; "
        "ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON gives reads of one moment.",
        place,
    )
