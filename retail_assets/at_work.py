"""Whether a command executes runs in a home of Dagster now: a lock the system takes back when the process ends.

A process id would be given to another process some day; the lock of a killed process, or of a machine that lost
power, is gone at once. Everything that decides whether a run of the command line was abandoned asks here.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = "command.lock"


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
