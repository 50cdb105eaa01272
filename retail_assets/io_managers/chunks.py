"""What a partitioned asset returns: its windows, and how to compute one of them.

The IO manager computes, validates, writes and commits window after window, so memory is bounded, a crash
keeps the finished windows, and a rerun converges.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg

from retail_assets.engines.protocol import Frame, Spilled
from retail_assets.failures import PermanentFailure
from retail_assets.windows import Window, runs_of


@dataclass(frozen=True)
class Chunks:
    """Windows of a partitioned table and the function that gives the rows of one."""

    windows: Sequence[Window]
    compute: Callable[[Window], Frame | Spilled]

    def __iter__(self) -> Iterator[tuple[Window, Frame | Spilled]]:
        return ((window, self.compute(window)) for window in self.windows)


def asked_windows(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[Window]:
    """The partition keys of the run as runs of days; keys of weeks are their Mondays.

    Raises:
        PermanentFailure: the run asks for days that are no partitions.
    """
    step = context if isinstance(context, dg.AssetExecutionContext) else context.op_execution_context
    keys, asked = step.partition_keys, step.partition_key_range
    if not keys or keys[-1] != asked.end or keys[0] != asked.start:
        raise PermanentFailure(
            f"The run asks for {asked.start} … {asked.end}, of which only {len(keys)} partitions exist: a day must be "
            "closed and not before RETAIL_START_DATE."
        )
    return runs_of(date.fromisoformat(key) for key in keys)


def by_month(context: dg.AssetExecutionContext, compute: Callable[[Window], Frame | Spilled]) -> Chunks:
    """The run's days, a month at a time."""
    return Chunks([part for window in asked_windows(context) for part in window.by_month()], compute)


def by_day(context: dg.AssetExecutionContext, compute: Callable[[Window], Frame | Spilled]) -> Chunks:
    """The run's days, one at a time."""
    return Chunks([part for window in asked_windows(context) for part in window.by_day()], compute)


@dataclass
class SharedOutputs:
    """Several tables from one computation, without holding all windows of all tables in memory.

    The first table that is written computes; the engine spills the frames of the others until they are written.

    Args:
        compute: gives, for one window, the spilled frame of each table, by table name.
    """

    compute: Callable[[Window], dict[str, Spilled]]
    _waiting: dict[tuple[Window, str], Spilled] = field(default_factory=dict)

    def chunks(self, windows: Sequence[Window], name: str) -> Chunks:
        return Chunks(windows, lambda window: self._frame(window, name))

    def _frame(self, window: Window, name: str) -> Spilled:
        if (window, name) not in self._waiting:
            self._waiting |= {(window, table): spilled for table, spilled in self.compute(window).items()}
        return self._waiting.pop((window, name))
