"""Daily and weekly partitions, from the first business date of the settings.

A week starts on Monday and its model knows the days before it; the open week exists, so that today's
forecast finds its model.
"""

import dagster as dg

from retail_assets.settings import Settings
from retail_assets.tables.contract import Partitioning

MONDAY = 1


def partitions(settings: Settings, timezone: str) -> dict[Partitioning, dg.PartitionsDefinition | None]:
    """The partitions definition of each kind of table."""
    start = settings.first_date.isoformat()
    return {
        Partitioning.NONE: None,
        Partitioning.DAILY: dg.DailyPartitionsDefinition(start_date=start, timezone=timezone),
        Partitioning.WEEKLY: dg.WeeklyPartitionsDefinition(
            start_date=start, timezone=timezone, day_offset=MONDAY, end_offset=1
        ),
    }
