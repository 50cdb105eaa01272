"""Bronze assets: what the source and the application database hold, unjudged.

Daily tables read a range of days with one query a month, and what came is counted before it is written; a stored day
that comes empty is kept. Snapshots append what changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

import dagster as dg
import ibis
import pyarrow as pa

from retail_assets.assets.declare import outputs, transient_retried
from retail_assets.engines.first_reading import first_empty_reading
from retail_assets.engines.protocol import Engine
from retail_assets.failures import PermanentFailure
from retail_assets.io_managers.chunks import by_month
from retail_assets.lake.lake import Lake
from retail_assets.resources.app_database import AppDatabase
from retail_assets.resources.source import Source
from retail_assets.tables import bronze, entities, layered
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms import as_of
from retail_assets.transforms.days import within
from retail_assets.transforms.extraction import ACCEPT_EMPTY_TAG, Tally, kept_sentence
from retail_assets.windows import Window, runs_of

_MAY_RUN_OUT = (entities.SUPPLIER_CALENDAR, entities.PROMOTIONS, entities.EVENTS)
"""Entities that may have rows today and none tomorrow."""

_POOL = "source"
"""One at a time: a snapshot reads its own past and writes it again with what changed."""


@dg.multi_asset(name="bronze_daily", outs=outputs(*bronze.DAILY, bronze.EXTRACTED_DAYS), pool=_POOL)
def daily(
    context: dg.AssetExecutionContext,
    source: dg.ResourceParam[Source],
    engine: dg.ResourceParam[Engine],
    lake: dg.ResourceParam[Lake],
):
    """One step, because the last table holds the counts of the others; they are written in this order."""
    reading = _Reading(context, source, engine, lake, Tally())
    rows = [by_month(context, partial(reading.rows, row.entity, row.bronze)) for row in layered.DAILY]
    return (*rows, by_month(context, lambda days: reading.tally.rows(days, at=datetime.now(UTC))))


@dataclass(frozen=True)
class _Reading:
    """The reading of one run."""

    context: dg.AssetExecutionContext
    source: Source
    engine: Engine
    lake: Lake
    tally: Tally

    def rows(self, entity: Entity, table: Table, days: Window) -> pa.RecordBatchReader:
        """Rows as they come, never a month in memory; the database may also fail in the midst of them."""
        with transient_retried():
            given = self.source.read_days(entity, days.first, days.last)
        counted = self._without_loss(entity, table, days, self.tally.counted(table, days, _retried(given)))
        may_be_empty = ACCEPT_EMPTY_TAG in self.context.run.tags or not self.source.available(entity)
        return pa.RecordBatchReader.from_batches(
            given.schema, counted if may_be_empty else self._with_kept_days(table, days, counted)
        )

    def _without_loss(
        self, entity: Entity, table: Table, days: Window, given: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """The rows; a last day that came thin is counted by the database, as no later night may read it again."""
        yield from given
        if self.tally.ends_thin(table, days):
            with transient_retried():
                self.source.refuse_lost_rows(entity, days.last)

    def _with_kept_days(self, table: Table, days: Window, given: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from given
        emptied = self.tally.emptied(table, days)
        yield from self.tally.kept(table, _stored(self.engine, self.lake, table, emptied))
        kept = self.tally.kept_days(table, days)
        if kept:
            self.context.log.warning(kept_sentence(table, kept))


def _stored(engine: Engine, lake: Lake, table: Table, days: Sequence[date]) -> Iterator[pa.RecordBatch]:
    """What the lake holds of these days, a day at a time; nothing of days that were never stored with rows."""
    if not days or lake.open(table) is None:
        return
    held = engine.scan(table, runs_of(days))
    for day in days:
        rows = within(held, Window(day, day)).select(table.column_names).to_pyarrow()
        yield from rows.cast(table.schema).to_batches()


def _retried(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with transient_retried():
        yield from rows


def _source_snapshot(entity: Entity, table: Table) -> dg.AssetsDefinition:
    @dg.asset(key=table.asset_key, pool=_POOL)
    def snapshot(
        context: dg.AssetExecutionContext, source: dg.ResourceParam[Source], engine: dg.ResourceParam[Engine]
    ) -> ibis.Table:
        context.add_output_metadata({"available": source.available(entity)})
        with transient_retried():
            current = source.read_snapshot(entity)
        must_have_rows = source.available(entity) and entity not in _MAY_RUN_OUT
        tells_absence = source.available(entity) and entity not in entities.REQUIRED_ENTITIES
        return _appended(engine, table, entity, current, must_have_rows=must_have_rows, tells_absence=tells_absence)

    return snapshot


def _application_snapshot(entity: Entity, table: Table) -> dg.AssetsDefinition:
    @dg.asset(key=table.asset_key, pool=_POOL)
    def snapshot(app_database: dg.ResourceParam[AppDatabase], engine: dg.ResourceParam[Engine]) -> ibis.Table:
        return _appended(engine, table, entity, app_database.read(entity))

    return snapshot


def _appended(
    engine: Engine,
    table: Table,
    entity: Entity,
    current: pa.Table,
    *,
    must_have_rows: bool = False,
    tells_absence: bool = True,
) -> ibis.Table:
    """All versions so far and what changed since; the table's own past is read here, not through the graph.

    Args:
        must_have_rows: a reading without rows after one with some is a fault of the source.
        tells_absence: a first reading without rows means that there were none then, not that they are not loaded yet.

    Raises:
        PermanentFailure: one that must have rows and had some reads as empty, as while its table is loaded anew.
    """
    known, read_at, absent_at = engine.scan_or_empty(table), datetime.now(UTC), None
    if must_have_rows and current.num_rows == 0 and as_of.newest(known, key=entity.key).count().to_pyarrow().as_py():
        raise PermanentFailure(
            f"The source gives no {entity.name} although it had some; nothing was changed, read it again when they are "
            "back, or take the entity out of the mapping when there are none any more."
        )
    if tells_absence and not known.count().to_pyarrow().as_py():
        absent_at = first_empty_reading(engine.lake, table, read_at if current.num_rows == 0 else None)
    return as_of.append_changes(
        known,
        ibis.memtable(current),
        key=entity.key,
        columns=[*entity.column_names, "unparsed"],
        seen_at=read_at,
        absent_at=absent_at,
    )


def snapshots() -> list[dg.AssetsDefinition]:
    """An asset for every snapshot entity."""
    return [
        *(_source_snapshot(row.entity, row.bronze) for row in layered.SOURCE_SNAPSHOTS),
        *(_application_snapshot(row.entity, row.bronze) for row in layered.APPLICATION_SNAPSHOTS),
    ]
