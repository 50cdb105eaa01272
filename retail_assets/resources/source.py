"""The operational database as bronze sees it: canonical entities, read-only, in exact Arrow types.

A plain object, injected as a resource parameter, because a configurable resource would show its URL (and
the password in it) in the UI. What a mapping is belongs to `retail_assets.sources`.
"""

import datetime as dt
from collections.abc import Callable, Iterator

import pyarrow as pa
from sqlalchemy import exc

from retail_assets.addresses import database_url, place
from retail_assets.failures import PermanentFailure
from retail_assets.sources.backends.backends import backend_for
from retail_assets.sources.day_check import count_day, lost_sentence
from retail_assets.sources.mapping import Mapping
from retail_assets.sources.reading import EntityReader, reading_schema
from retail_assets.sources.source_check import EntityCheck, check_entity, known_ids, newest_date, oldest_date, unmapped
from retail_assets.tables import bronze, entities
from retail_assets.tables.entities import Entity
from retail_assets.windows import Window

_DAILY_SCHEMAS = {table.name: table.schema for table in bronze.DAILY}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Source:
    """Reads the entities of one mapping from one database.

    Args:
        url: SQLAlchemy URL; it may hold a password and is never shown.
        mapping: which SELECT gives which entity.
        clock: the moment of extraction, UTC.

    Raises:
        PermanentFailure: the URL is not a SQLAlchemy URL.
    """

    def __init__(self, url: str, mapping: Mapping, *, clock: Callable[[], dt.datetime] = _now) -> None:
        try:
            self._url = database_url(url, variable="RETAIL_SOURCE_URL")
        except exc.ArgumentError:
            raise PermanentFailure(
                "RETAIL_SOURCE_URL is not a SQLAlchemy URL; write it like postgresql+psycopg://user:…@host/database."
            ) from None
        self.mapping = mapping
        self._clock = clock

    def __repr__(self) -> str:
        return f"Source({self.place}, mapping {self.mapping.name})"

    @property
    def place(self) -> str:
        """Host and database, or the file; safe to show."""
        return place(self._url)

    def available(self, entity: Entity) -> bool:
        """Whether the mapping binds the entity; one that is not bound reads as empty."""
        return self.mapping.binds(entity)

    def read_days(self, entity: Entity, start: dt.date, end: dt.date) -> pa.RecordBatchReader:
        """Rows of a daily entity from `start` to `end` inclusive, in bounded memory, in no order.

        The schema is that of the entity's bronze table. The first batch is fetched before this returns, so a wrong
        URL, query or column raises here.

        Raises:
            PermanentFailure: connection, query, columns or business dates are wrong.
            TransientFailure: the database cannot be read now.
        """
        schema = _DAILY_SCHEMAS[entity.name]
        if not self.available(entity):
            return pa.RecordBatchReader.from_batches(schema, iter(()))
        batches = self._reader(entity).batches(Window(start, end))
        stamped = _stamped(batches, schema, extracted_at=self._clock())
        first = next(stamped)
        return pa.RecordBatchReader.from_batches(schema, _chained(first, stamped))

    def refuse_lost_rows(self, entity: Entity, day: dt.date) -> None:
        """Two counting queries that show whether the query of a daily entity gives all rows of a day.

        Raises:
            PermanentFailure: it gives fewer for the day alone than for its neighbours too; the cause and the mend.
            TransientFailure: the database cannot be read now.
        """
        if not self.available(entity):
            return
        reader = self._reader(entity)
        sentence = lost_sentence(reader, [count_day(reader, day)])
        if sentence:
            raise PermanentFailure(sentence)

    def read_snapshot(self, entity: Entity) -> pa.Table:
        """All rows of an entity that is not daily: its columns and `unparsed`.

        Raises:
            PermanentFailure: connection, query or columns are wrong.
            TransientFailure: the database cannot be read now.
        """
        if entity.is_daily:
            raise ValueError(f"{entity.name} is daily: use read_days")
        schema = reading_schema(entity)
        if not self.available(entity):
            return schema.empty_table()
        return pa.Table.from_batches(self._reader(entity).batches(None), schema)

    def tells_changes(self, entity: Entity) -> bool:
        """Whether the mapping can tell which days of a daily entity changed."""
        return self.available(entity) and self.mapping.entities[entity.name].changes is not None

    def changed_days(self, entity: Entity, *, since: dt.datetime, start: dt.date, end: dt.date) -> list[dt.date]:
        """Business dates from `start` to `end` of rows modified at or after `since`, ascending.

        Raises:
            PermanentFailure: connection or query are wrong.
            TransientFailure: the database cannot be read now.
        """
        return self._reader(entity).changed_days(since, Window(start, end))

    def check_reachable(self, day: dt.date) -> None:
        """Asks for one sales line of the day, as a sign that the database answers.

        Raises:
            PermanentFailure: connection or query are wrong.
            TransientFailure: the database cannot be read now.
        """
        self._reader(entities.SALES).has_rows(Window(day, day))

    def newest_business_date(self) -> dt.date | None:
        """Newest day with sales; None for an empty source."""
        return newest_date(self._reader(entities.SALES))

    def oldest_business_date(self) -> dt.date | None:
        """Oldest day with sales; None for an empty source."""
        return oldest_date(self._reader(entities.SALES))

    def check(self) -> list[EntityCheck]:
        """One finding an entity, in the order of the contracts.

        Raises:
            TransientFailure: the database cannot be read now.
        """
        lists = {"store_id": entities.STORES, "product_id": entities.PRODUCTS}
        known = {column: known_ids(self._reader(entity)) for column, entity in lists.items()}
        return [
            check_entity(self._reader(entity), known if entity.is_daily else {})
            if self.available(entity)
            else unmapped(entity)
            for entity in entities.SOURCE_ENTITIES
        ]

    def source_tables(self, entity: Entity) -> list[str]:
        """Tables of the operational database an entity is read from; empty when it is not bound."""
        return self.mapping.entities[entity.name].source_tables if self.available(entity) else []

    def _reader(self, entity: Entity) -> EntityReader:
        return EntityReader(
            backend=backend_for(self._url),
            url=self._url,
            mapping_name=self.mapping.name,
            entity=entity,
            binding=self.mapping.entities[entity.name],
        )


def _stamped(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, *, extracted_at: dt.datetime
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        stamp = pa.repeat(pa.scalar(extracted_at, schema.field("extracted_at").type), batch.num_rows)
        yield pa.RecordBatch.from_arrays([*batch.columns, stamp], schema=schema)


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
