"""Reads one bound entity as Arrow batches of its contract: columns by name, exact types, nothing lost.

Knows mapping, entity and backend; versions, extraction time and partitions are the callers' business.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow makes its compute functions while it is imported: no type checker sees them)

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from retail_assets.failures import PermanentFailure
from retail_assets.sources.batches import Backend, Parameters, RawBatch, RawBatches
from retail_assets.sources.conversion import convert
from retail_assets.sources.database_errors import DRIVER_ERRORS, failure
from retail_assets.sources.mapping import EntityBinding
from retail_assets.tables.bronze import UNPARSED
from retail_assets.tables.entities import Entity

BATCH_ROWS = 65_000


@dataclass(frozen=True)
class Window:
    """Business dates, both ends included."""

    start: dt.date
    end: dt.date

    @property
    def parameters(self) -> Parameters:
        return {"start": self.start, "end": self.end}


def reading_schema(entity: Entity) -> pa.Schema:
    """Every entity column, nullable, and `unparsed`."""
    return pa.schema([pa.field(column.name, column.type) for column in (*entity.columns, UNPARSED)])


@dataclass(frozen=True)
class EntityReader:
    """One entity of one mapping on one database; `url` is for messages only."""

    backend: Backend
    url: sa.URL
    mapping_name: str
    entity: Entity
    binding: EntityBinding

    @property
    def label(self) -> str:
        return f"mapping {self.mapping_name}, entity {self.entity.name}"

    def raw_batches(self, window: Window | None, *, batch_rows: int = BATCH_ROWS) -> RawBatches:
        """The query's own columns; at least one batch.

        Raises:
            PermanentFailure: the query or the connection is wrong.
            TransientFailure: the database cannot be read now.
        """
        parameters = window.parameters if window else {}
        try:
            yield from self.backend.batches(self.binding.statement, parameters, batch_rows=batch_rows)
        except DRIVER_ERRORS as error:
            raise failure(error, self.url, reading=self.label) from None

    def batches(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Rows with `reading_schema`; at least one batch.

        Raises:
            PermanentFailure: as `raw_batches`; also a column is missing or business dates are unusable.
        """
        with closing(self.raw_batches(window)) as raw_batches:
            for batch in _gathered(map(self.typed, raw_batches)):
                if window and batch.num_rows:
                    self._check_dates(batch, window)
                yield batch

    def has_rows(self, window: Window | None) -> bool:
        with closing(self.raw_batches(window, batch_rows=1)) as raw_batches:
            return any(raw.row_count for raw in raw_batches)

    def typed(self, raw: RawBatch) -> pa.RecordBatch:
        """A raw batch as `reading_schema`; what does not convert is null and kept in `unparsed`."""
        positions = self.positions(raw.names)
        arrays = []
        faults: dict[int, dict[str, str]] = {}
        for column in self.entity.columns:
            if column.name not in positions:
                arrays.append(pa.nulls(raw.row_count, column.type))
                continue
            converted = convert(raw.columns[positions[column.name]], column.type)
            arrays.append(converted.array)
            for row, text in converted.unparsed.items():
                faults.setdefault(row, {})[column.name] = text
        arrays.append(_unparsed(faults, row_count=raw.row_count))
        return pa.RecordBatch.from_arrays(arrays, schema=reading_schema(self.entity))

    def positions(self, names: Sequence[str]) -> dict[str, int]:
        """Where each column of the entity is in the query; columns that may be absent are left out.

        Raises:
            PermanentFailure: a column that must be there is not, or is there twice.
        """
        found: dict[str, int] = {}
        for column in self.entity.columns:
            wanted = self.binding.source_column(column.name)
            places = _places(wanted, names)
            if len(places) > 1:
                raise PermanentFailure(
                    f"{self.label}: the query gives the column {wanted} {len(places)} times; name each column once."
                )
            if places:
                found[column.name] = places[0]
            elif not column.nullable or column.name in self.binding.columns:
                raise PermanentFailure(
                    f"{self.label}: the query gives no column {wanted}; it gives {', '.join(names)}."
                )
        return found

    def _check_dates(self, batch: pa.RecordBatch, window: Window) -> None:
        dates = batch.column("business_date")
        if dates.null_count:
            raise PermanentFailure(
                f"{self.label}: {dates.null_count} rows have no readable business_date, so they "
                "belong to no day; let the query give it as a date (YYYY-MM-DD)."
            )
        bounds = pc.min_max(dates).as_py()
        if bounds["min"] < window.start or bounds["max"] > window.end:
            raise PermanentFailure(
                f"{self.label}: asked for {window.start} to {window.end}, the query gives business "
                f"dates from {bounds['min']} to {bounds['max']}; compare that same column with "
                ":start and :end."
            )


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about BATCH_ROWS, whatever pieces a backend delivers."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(piece.num_rows for piece in waiting) >= BATCH_ROWS:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _places(wanted: str, names: Sequence[str]) -> list[int]:
    """Positions of a name; databases that fold case (Oracle, Snowflake) are met by ignoring it when need be."""
    exact = [position for position, name in enumerate(names) if name == wanted]
    return exact or [position for position, name in enumerate(names) if name.lower() == wanted.lower()]


def _unparsed(faults: dict[int, dict[str, str]], *, row_count: int) -> pa.Array:
    if not faults:
        return pa.nulls(row_count, UNPARSED.type)
    texts: list[str | None] = [None] * row_count
    for row, fault in faults.items():
        texts[row] = json.dumps(fault, ensure_ascii=False)
    return pa.array(texts, UNPARSED.type)
