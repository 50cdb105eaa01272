"""Trying a commit until it is made: replacing a window is the same the second time.

Lost races are tried again soon and often, faults of the storage a few times with longer pauses, nothing else.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from retail_assets.failures import TransientFailure
from retail_assets.tables.contract import Table

_Result = TypeVar("_Result")
_RACES, _FAULTS = 100, 3
_LONGEST_PAUSE = 2.0


class LostRace(TransientFailure):
    """Another writer's commit was first; nothing was written."""


def committed(table: Table, attempt: Callable[[], _Result]) -> _Result:
    """The result of the first attempt that goes through.

    Raises:
        TransientFailure: other writers kept winning, or the storage kept failing.
        PermanentFailure: what an attempt says trying again cannot mend.
    """
    races = faults = 0
    while True:
        started = time.monotonic()
        try:
            return attempt()
        except LostRace:
            races += 1
            if races == _RACES:
                raise TransientFailure(
                    f"Other writers kept changing {table.path}; the write was given up after {races} tries."
                ) from None
            # as long as the others need for theirs, on any storage, and longer the more of them there are
            _pause(min(_LONGEST_PAUSE, (time.monotonic() - started) * 2**races))
        except TransientFailure:
            faults += 1
            if faults == _FAULTS:
                raise
            _pause(2**faults / 2)  # the storage client has tried for most of a minute before


def _pause(seconds: float) -> None:
    time.sleep(seconds * random.uniform(0.2, 1))
