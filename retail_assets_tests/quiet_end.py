"""How a worker of pytest-xdist ends: at once, as the command does.

DuckDB's binding lists on standard error every object that is alive when the interpreter is torn down.
"""

import atexit
import os
import sys

import pytest


def end_workers_at_once(config: pytest.Config) -> None:
    """A worker has reported everything when its exit functions run; those registered later run before this one."""
    if hasattr(config, "workerinput"):
        atexit.register(_end)


def _end() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
