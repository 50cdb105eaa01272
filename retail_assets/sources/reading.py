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

from retail_assets.addresses import place
from retail_assets.database_errors import DRIVER_ERRORS, ConnectionRefused
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.record_batches import gathered
from retail_assets.sources.backends.batches import Backend, Parameters, RawBatch, RawBatches
from retail_assets.sources.conversion import Values, convert
from retail_assets.sources.dialects import first_rows, quoted
from retail_assets.sources.mapping import EntityBinding
from retail_assets.sources.operational_database import operational_database
from retail_assets.sources.statement import Statement
from retail_assets.tables.bronze import UNPARSED
from retail_assets.tables.entities import Entity
from retail_assets.windows import Window

BATCH_ROWS = 65_000


def parameters_of(window: Window | None) -> Parameters:
    """The window as a statement is sent it, both ends included; nothing for rows without days."""
    return {} if window is None else {"start": window.first, "end": window.last}


def reading_schema(entity: Entity) -> pa.Schema:
    """Every entity column, nullable, and `unparsed`."""
    return pa.schema([pa.field(column.name, column.type) for column in (*entity.columns, UNPARSED)])


@dataclass(frozen=True)
class EntityReader:
    """One entity of one mapping on one database; `url` is for messages and the dialect."""

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
        return self._raw_batches(self.binding.statement, window, batch_rows=batch_rows)

    def sample(self, window: Window | None, *, rows: int) -> RawBatch:
        """At most so many rows, limited by the database where the query can be a derived table.

        Raises:
            PermanentFailure, TransientFailure: as `raw_batches`, of the query as it is written.
        """
        before, after = first_rows(rows, self.dialect)
        try:
            return self._first(self.binding.statement.within(before, after), window, rows=rows)
        except ConnectionRefused:
            raise
        except RetailError:  # SQL Server takes no WITH, ORDER BY or unnamed column in a derived table
            return self._first(self.binding.statement, window, rows=rows)

    def day_span(self, window: Window) -> tuple[dt.date, dt.date, int] | None:
        """Oldest and newest business date and the number of days with rows; None when the database cannot say."""
        column = quoted(self.binding.source_column("business_date"), self.dialect)
        before = "SELECT MIN(%) AS oldest_date, MAX(%) AS newest_date, COUNT(DISTINCT %) AS day_count FROM ("
        try:
            raw = self._first(self.binding.statement.within(before, ") counted", quoted=column), window, rows=1)
        except ConnectionRefused:
            raise
        except RetailError:
            return None
        oldest, newest = (convert(values, pa.date32()).array[0].as_py() for values in raw.columns[:2])
        count = convert(raw.columns[2], pa.int64()).array[0].as_py()
        return (oldest, newest, count) if oldest and newest else None

    def day_counts(self, window: Window) -> dict[dt.date, int]:
        """Rows by business date of what the query gives for the window, counted by the database where it can.

        Raises:
            PermanentFailure, TransientFailure: as `raw_batches`.
        """
        column = quoted(self.binding.source_column("business_date"), self.dialect)
        before = "SELECT counted_day, COUNT(*) AS row_count FROM (SELECT % AS counted_day FROM ("
        counting = self.binding.statement.within(before, ") counted) days GROUP BY counted_day", quoted=column)
        try:
            with closing(self._raw_batches(counting, window, batch_rows=BATCH_ROWS)) as counted:
                return _summed((raw.columns[0], raw.columns[1]) for raw in counted)
        except ConnectionRefused:
            raise
        except RetailError:  # as of `sample`
            with closing(self.raw_batches(window)) as rows:
                return _summed((self._column(raw, "business_date"), [1] * raw.row_count) for raw in rows)

    def _column(self, raw: RawBatch, name: str) -> Values:
        return raw.columns[self.positions(raw.names)[name]]

    @property
    def dialect(self) -> str:
        return self.url.get_backend_name()

    def _first(self, statement: Statement, window: Window | None, *, rows: int) -> RawBatch:
        """The first batch with rows, else the empty one, which still has the columns' names."""
        with closing(self._raw_batches(statement, window, batch_rows=rows)) as raw_batches:
            first = next(raw_batches)
            return first if first.row_count else next(raw_batches, first)

    def _raw_batches(
        self, statement: Statement, window: Window | None, *, batch_rows: int, by_days: bool = False
    ) -> RawBatches:
        parameters = parameters_of(window)
        self._check_reading(statement, "the query")
        try:
            yield from self.backend.batches(statement, parameters, batch_rows=batch_rows, by_days=by_days)
        except PermanentFailure as error:  # what a backend says itself (no file, no driver) is true of every query
            raise ConnectionRefused(str(error)) from None
        except DRIVER_ERRORS as error:
            raise self._failure(error, reading=self.label) from None

    def _failure(self, error: Exception, *, reading: str) -> RetailError:
        if "too large to be written into the allocated buffer" in str(error):
            return PermanentFailure(f"{reading}: a text is longer than 4096 bytes; shorten it in the query with CAST.")
        refusal = f"{reading}: the database {place(self.url)} refuses the query"
        return operational_database(self.url).failure(error, refusal=refusal)

    def _check_reading(self, statement: Statement, what: str) -> None:
        """Nothing is sent that is not proven to only read in the dialect of the database."""
        try:
            statement.check_reading(self.dialect)
        except ValueError as error:
            raise PermanentFailure(f"{self.label}: {what} {error}.") from None

    def batches(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        """Rows with `reading_schema`; at least one batch.

        Raises:
            PermanentFailure: as `raw_batches`; also a column is missing or business dates are unusable.
        """
        is_daily = window is not None
        found = self._raw_batches(self.binding.statement, window, batch_rows=BATCH_ROWS, by_days=is_daily)
        with closing(found) as raw_batches:
            typed = (self._dated(raw, window) if window else self.typed(raw) for raw in raw_batches)
            yield from gathered(typed, BATCH_ROWS)

    def _dated(self, raw: RawBatch, window: Window) -> pa.RecordBatch:
        """A raw batch as `typed`; its days are those that were asked for, lest two parts of a range share rows."""
        batch = self.typed(raw)
        if batch.num_rows:
            self._check_dates(batch, Window(raw.asked["start"], raw.asked["end"]) if raw.asked else window)
        return batch

    def changed_days(self, since: dt.datetime, window: Window) -> list[dt.date]:
        """Business dates in the window of rows modified at or after `since` (UTC), ascending.

        Raises:
            PermanentFailure: as `raw_batches`; also the mapping cannot tell, or the query gives no dates.
        """
        statement = self.binding.changes
        if statement is None:
            raise PermanentFailure(f"{self.label}: there is no modified_at to tell changed days by; give changed_days.")
        self._check_reading(statement, "the query of changed_days")
        # whole seconds, so that the text in SQLite sorts before the same second with a fraction
        moment = since.astimezone(dt.UTC).replace(tzinfo=None, microsecond=0)
        given: Parameters = {"since": moment, **parameters_of(window)}
        parameters = {name: given[name] for name in statement.parameters}
        found: set[dt.date] = set()
        try:
            with closing(self.backend.batches(statement, parameters, batch_rows=BATCH_ROWS)) as raw_batches:
                for raw in raw_batches:
                    found |= self._days(raw)
        except DRIVER_ERRORS as error:
            raise self._failure(error, reading=f"{self.label}, changed_days") from None
        return sorted(day for day in found if window.first <= day <= window.last)

    def _days(self, raw: RawBatch) -> set[dt.date]:
        converted = convert(raw.columns[0], pa.date32())
        if len(raw.names) != 1 or converted.unparsed:
            raise PermanentFailure(
                f"{self.label}: the query of changed_days must give one column of dates (YYYY-MM-DD); it gives "
                f"{', '.join(raw.names)}."
            )
        return set(converted.array.drop_null().to_pylist())

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
        if bounds["min"] < window.first or bounds["max"] > window.last:
            raise PermanentFailure(
                f"{self.label}: asked for {window.first} to {window.last}, the query gives business "
                f"dates from {bounds['min']} to {bounds['max']}; compare that same column with "
                ":start and :end."
            )


def _places(wanted: str, names: Sequence[str]) -> list[int]:
    """Positions of a name; databases that fold case (Oracle, Snowflake) are met by ignoring it when need be."""
    exact = [position for position, name in enumerate(names) if name == wanted]
    return exact or [position for position, name in enumerate(names) if name.lower() == wanted.lower()]


def _summed(parts: Iterable[tuple[Values, Values]]) -> dict[dt.date, int]:
    """Counts by date, from pairs of dates and counts; what is no date belongs to no day."""
    found: dict[dt.date, int] = {}
    for days, counts in parts:
        dates, numbers = convert(days, pa.date32()).array.to_pylist(), convert(counts, pa.int64()).array.to_pylist()
        for day, number in zip(dates, numbers, strict=True):
            if day is not None:
                found[day] = found.get(day, 0) + number
    return found


def _unparsed(faults: dict[int, dict[str, str]], *, row_count: int) -> pa.Array:
    if not faults:
        return pa.nulls(row_count, UNPARSED.type)
    texts: list[str | None] = [None] * row_count
    for row, fault in faults.items():
        texts[row] = json.dumps(fault, ensure_ascii=False)
    return pa.array(texts, UNPARSED.type)
