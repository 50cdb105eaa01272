"""Tags of runs: the partitions a run is for, and who asked for it when it was not the clock.

Everything that starts runs or reads their tags takes them from here; what a run does belongs to the jobs.
"""

from datetime import date

import dagster as dg

from retail_assets.windows import Window

RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
ASKED_BY = "retail/asked-by"
MISSED = {ASKED_BY: "missed days"}
"""Of runs that make days up which an earlier night missed."""

AGAIN = {ASKED_BY: "night again"}
"""Of runs that try the newest night, its publishing or its training again."""

LATE_TAG = "retail/late"
"""Of a publishing that comes later than the night of its day; its value says when it was asked for."""


def range_tags(window: Window) -> dict[str, str]:
    """Tags of one run over a range of daily partitions."""
    return dict(zip(RANGE_TAGS, (window.first.isoformat(), window.last.isoformat()), strict=True))


def window_of(run: dg.DagsterRun) -> Window | None:
    """The partitions a run was for; None for a run without any."""
    single = run.tags.get("dagster/partition")
    first, last = (single, single) if single else (run.tags.get(tag) for tag in RANGE_TAGS)
    return Window(date.fromisoformat(first), date.fromisoformat(last)) if first and last else None
