"""When a snapshot table was first read and had no rows, kept as a property of the Delta table.

Rows cannot say it, and the log's history ends after a month. It is written once and outlives every overwrite.
"""

from datetime import datetime

from retail_assets.engines.writing.committing import committed
from retail_assets.engines.writing.delta import lost_races, prepared
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table

_PROPERTY = "retail.firstEmptyReading"


def first_empty_reading(lake: Lake, table: Table, read_at: datetime | None) -> datetime | None:
    """The moment, UTC; None where the table never read as empty before it had rows.

    Args:
        read_at: the moment to keep where none is kept yet: a reading without rows; None for one with rows.

    Raises:
        PermanentFailure, TransientFailure: the storage refuses or cannot be reached.
    """
    delta = lake.open(table)
    kept = delta.metadata().configuration.get(_PROPERTY) if delta else None
    if kept is not None:
        return datetime.fromisoformat(kept)
    if read_at is not None:
        committed(table, lambda: _keep(lake, table, read_at))
    return read_at


def _keep(lake: Lake, table: Table, read_at: datetime) -> None:
    with lake.errors(table), lost_races():
        properties = {_PROPERTY: read_at.isoformat()}
        prepared(lake, table).alter.set_table_properties(properties, raise_if_not_exists=False)
