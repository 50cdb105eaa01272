"""Files and folders that end with their process: named by it, and taken away by the next one where it was killed.

Code that writes to the folder for temporary files does so within `writing`, so that a full disk is reported as one.
"""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retail_assets.failures import PermanentFailure

_NAME = re.compile(r"(?:bands|fetched|rows)-(?P<host>.+)-(?P<process>[0-9]+)-[^-]+")


def prefix(kind: str) -> str:
    """How a name begins; the host is in it because containers that share a folder have the same process ids."""
    return f"{kind}-{socket.gethostname()}-{os.getpid()}-"


def prepared(folder: Path) -> Path:
    """The folder, made, without what processes of this host left behind when they were killed."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        found = _NAME.fullmatch(path.name)
        if found and found["host"] == socket.gethostname() and not _is_running(int(found["process"])):
            _remove(path)
    return folder


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises:
    PermanentFailure: the folder cannot be written, as when its disk is full.
    """
    try:
        yield
    except OSError as error:
        raise PermanentFailure(
            f"The folder for temporary files {folder} cannot be written ({error.strerror or error}); "
            "free space on its disk or set RETAIL_HOME."
        ) from None


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it is another user's
    return True


def _remove(path: Path) -> None:
    """As well as it goes: another process may do the same."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()
