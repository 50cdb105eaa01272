"""Which runs a command executes in its own process, and whether a command is at work in a home of Dagster now.

A lock tells, which the system takes back when the process ends. A process id would be given to another process some
day; the lock of a killed process, or of a machine that lost power, is gone at once.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

LAUNCHED_BY = {"retail/launched-by": "command line"}
_FILE = "command.lock"


def runs_in_a_command(run: dg.DagsterRun) -> bool:
    """Whether a command executes the run in its own process; a run that the UI makes of it has the same tags."""
    return LAUNCHED_BY.items() <= run.tags.items() and run.remote_job_origin is None


@contextmanager
def at_work(home: Path) -> Iterator[None]:
    """Held by a command while it executes runs in this process.

    Raises:
        OSError: the folder cannot be written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / _FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the daemon holds it for a moment when it looks
        yield


def is_at_work(home: Path) -> bool:
    """Whether a command holds the lock; where none ever did, there is no file."""
    try:
        with (home / _FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
