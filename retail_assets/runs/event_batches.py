"""Stores the events that Dagster hands over as a batch: the materialisations of a range, one a partition and table.

Dagster's SQLite storage takes a batch apart and, for each event, opens both databases and looks up their columns.
"""

from collections.abc import Sequence

from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from sqlalchemy import Connection


def store_event_batch(storage: SqliteEventLogStorage, events: Sequence[EventLogEntry]) -> None:
    """`SqliteEventLogStorage.store_event_batch` with one transaction in the run's database and one in the index.

    The rows are those that `store_event` writes for each event. Of an asset the index keeps the last event only, so
    it is written once.

    Args:
        events: of one run.
    """
    with storage.run_connection(events[0].run_id) as connection:
        _inserted(storage, connection, events)
    with storage.index_transaction() as connection:
        numbers = _inserted(storage, connection, events)
        numbered = [(e, n) for e, n in zip(events, numbers, strict=True) if e.dagster_event_type in ASSET_EVENTS]
        storage._store_asset_event_tags(connection, [e for e, _ in numbered], [n for _, n in numbered])
        for event, number in {e.get_dagster_event().asset_key: (e, n) for e, n in numbered}.values():
            storage._store_asset_event(connection, event, number)
    for event, number in zip(events, numbers, strict=True):
        if event.dagster_event_type in ASSET_CHECK_EVENTS:
            storage.store_asset_check_event(event, number)


def _inserted(storage: SqliteEventLogStorage, connection: Connection, events: Sequence[EventLogEntry]) -> list[int]:
    """The numbers of the rows."""
    insert = SqlEventLogStorageTable.insert()
    return [
        number
        for event in events
        for number in connection.execute(insert, storage._event_to_row(event)).inserted_primary_key or ()
    ]
