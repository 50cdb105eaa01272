"""Tries a mapping on the live database and says what is found, missing or mistyped, with a hint for each.

Feeds `retail-assets check-source`; it reads a few rows of every entity and changes nothing.
"""

import datetime as dt
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from retail_assets.database_errors import ConnectionRefused
from retail_assets.failures import PermanentFailure
from retail_assets.sources.day_check import count_day, days_to_count, lost_sentence
from retail_assets.sources.dialects import cast
from retail_assets.sources.reading import EntityReader
from retail_assets.tables import entities, silver
from retail_assets.tables.contract import Column, Quality
from retail_assets.tables.entities import Entity
from retail_assets.windows import Window

SAMPLE_ROWS = 1000
_QUALITIES = {table.name: table.quality for table in silver.TABLES}
_HANDFUL = 5
KnownIds = Mapping[str, str]
"""Ids of a list by what a run takes for the same."""
_EARLIEST = dt.date(1970, 1, 1)
_LATEST = dt.date(2100, 1, 1)


@dataclass(frozen=True)
class EntityCheck:
    """What checking one entity found; `problems` are whole sentences, empty when all is well.

    `refusals` are sentences on faulty rows so few that a run refuses them, keeps their content and goes on.
    `day_count` is the number of days with rows, None when it is not daily or the database could not count them.
    """

    entity: str
    is_required: bool
    is_mapped: bool
    source_tables: tuple[str, ...] = ()
    oldest_date: dt.date | None = None
    newest_date: dt.date | None = None
    day_count: int | None = None
    sampled_rows: int = 0
    found_columns: tuple[str, ...] = ()
    absent_columns: tuple[str, ...] = ()
    extra_columns: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        return not self.problems


def unmapped(entity: Entity) -> EntityCheck:
    return EntityCheck(entity.name, is_required=entity in entities.REQUIRED_ENTITIES, is_mapped=False)


def check_entity(reader: EntityReader, known: Mapping[str, KnownIds] | None = None) -> EntityCheck:
    """Sample one bound entity.

    Args:
        known: by column, the ids of the list that it refers to.

    Raises:
        ConnectionRefused: no query can be tried.
        TransientFailure: the database cannot be read now, which says nothing about the mapping.
    """
    entity = reader.entity
    bare = EntityCheck(
        entity.name,
        is_required=entity in entities.REQUIRED_ENTITIES,
        is_mapped=True,
        source_tables=tuple(reader.binding.source_tables),
    )
    try:
        return _sampled(reader, bare, known or {})
    except ConnectionRefused:  # once, not once an entity: accounts are locked after a few wrong passwords
        raise
    except PermanentFailure as error:
        return replace(bare, problems=(str(error),))


def newest_date(reader: EntityReader) -> dt.date | None:
    """Newest business date, by halving: about fifteen one-row queries, each cheap on an indexed date."""
    return _last_true(lambda day: reader.has_rows(Window(day, _LATEST)))


def oldest_date(reader: EntityReader) -> dt.date | None:
    """Oldest business date, found like the newest."""
    span = _EARLIEST.toordinal() + _LATEST.toordinal()
    mirrored = _last_true(lambda day: reader.has_rows(Window(_EARLIEST, dt.date.fromordinal(span - day.toordinal()))))
    return dt.date.fromordinal(span - mirrored.toordinal()) if mirrored else None


def _last_true(holds: Callable[[dt.date], bool]) -> dt.date | None:
    """Last day on which `holds`, given that it holds up to some day and never after."""
    if not holds(_EARLIEST):
        return None
    low, high = _EARLIEST.toordinal(), _LATEST.toordinal()
    while low < high:
        middle = (low + high + 1) // 2
        if holds(dt.date.fromordinal(middle)):
            low = middle
        else:
            high = middle - 1
    return dt.date.fromordinal(low)


def _sampled(reader: EntityReader, bare: EntityCheck, known: Mapping[str, KnownIds]) -> EntityCheck:
    span = _span(reader) if reader.entity.is_daily else None
    raw = reader.sample(_newest_day(reader.entity, span), rows=SAMPLE_ROWS)
    positions = reader.positions(raw.names)
    sample = reader.typed(raw)
    lost = _lost_rows(reader, span)
    wrong, refused = _faults(reader, sample)
    problems = (*lost, *wrong, *_strangers(reader, sample, known))
    if bare.is_required and not sample.num_rows and not lost:
        problems = (f"{reader.label}: the query gives no rows; check its tables and conditions.",)
    return replace(
        bare,
        oldest_date=span[0] if span else None,
        newest_date=span[1] if span else None,
        day_count=span[2] if span else None,
        sampled_rows=sample.num_rows,
        found_columns=tuple(positions),
        absent_columns=tuple(name for name in reader.entity.column_names if name not in positions),
        extra_columns=tuple(name for place, name in enumerate(raw.names) if place not in positions.values()),
        problems=problems,
        refusals=refused,
    )


def _span(reader: EntityReader) -> tuple[dt.date, dt.date, int | None] | None:
    counted = reader.day_span(Window(_EARLIEST, _LATEST))
    if counted:
        return counted
    newest = newest_date(reader)
    return (oldest_date(reader) or newest, newest, None) if newest else None


def _newest_day(entity: Entity, span: tuple[dt.date, dt.date, int | None] | None) -> Window | None:
    """The newest day is what the next run reads; without rows any day shows the columns."""
    if not entity.is_daily:
        return None
    day = span[1] if span else _LATEST
    return Window(day, day)


def known_ids(reader: EntityReader) -> KnownIds:
    """Every id of a list, read whole as a run reads it; none where it cannot be read, which its own check says.

    Raises:
        ConnectionRefused, TransientFailure: as `check_entity`.
    """
    column = reader.entity.key[0]
    found: dict[str, str] = {}
    try:
        for batch in reader.batches(None):
            found |= {_alike(text): text for text in batch.column(column).drop_null().to_pylist()}
    except ConnectionRefused:
        raise
    except PermanentFailure:
        return {}
    return found


def _alike(text: str) -> str:
    """What a run takes for the same id: other case, and blanks around it."""
    return unicodedata.normalize("NFC", text).strip().strip("\u200b\u200c\u200d\u2060\ufeff").strip().upper()


def _are_too_many(strangers: int, given: int, quality: Quality | None) -> bool:
    """Whether a run would stop; of a handful of rows only when every one is a stranger."""
    if quality is not None and given >= quality.least_rows:
        return strangers > quality.stop_rate * given
    return given >= _HANDFUL and strangers == given


def _strangers(reader: EntityReader, sample: pa.RecordBatch, known: Mapping[str, KnownIds]) -> list[str]:
    """A sentence for each column most of whose ids are in no list, so that the run would stop."""
    quality = _QUALITIES.get(reader.entity.name)
    sentences = []
    for column, ids in known.items():
        given = sample.column(column).drop_null().to_pylist() if column in sample.schema.names else []
        strangers = [text for text in given if _alike(text) not in ids]
        if ids and _are_too_many(len(strangers), len(given), quality):
            name, plural = column.removesuffix("_id"), f"{column.removesuffix('_id')}s"
            sentences.append(
                f"{reader.label}: {len(given) - len(strangers)} of {len(given)} sampled {name} ids are among {plural}, "
                f"for example {strangers[0]!r} is not, where {plural} have {min(ids.values())!r}; give both queries "
                "the same ids."
            )
    return sentences


def _lost_rows(reader: EntityReader, span: tuple[dt.date, dt.date, int | None] | None) -> tuple[str, ...]:
    """A sentence when a day asked for alone comes with fewer rows than it has."""
    if span is None:
        return ()
    oldest, newest, _ = span
    counts = [count_day(reader, day) for day in days_to_count(oldest, newest)]
    sentence = lost_sentence(reader, counts, newest=newest)
    return (sentence,) if sentence else ()


def _faults(reader: EntityReader, sample: pa.RecordBatch) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences on columns with values that cannot be read or are missing: what must be mended, and what may stay.

    Few of many rows may stay: a run would refuse them and go on.
    """
    faults = [json.loads(text) for text in sample.column("unparsed").drop_null().to_pylist()]
    quality = _QUALITIES.get(reader.entity.name)
    wrong, refused = [], []
    for column in reader.entity.columns:
        for count, sentence in (*_mistyped(reader, column, faults=faults), *_empty(reader, column, sample=sample)):
            (refused if _are_few(count, sample.num_rows, quality) else wrong).append(sentence)
    return tuple(wrong), tuple(refused)


def _are_few(faulty: int, rows: int, quality: Quality | None) -> bool:
    return quality is not None and rows >= quality.least_rows and faulty <= quality.stop_rate * rows


def _mistyped(reader: EntityReader, column: Column, *, faults: list[dict[str, str]]) -> list[tuple[int, str]]:
    """How many values of a column are not of its type, and the sentence on them; none without one."""
    texts = [fault[column.name] for fault in faults if column.name in fault]
    if not texts:
        return []
    source_column = reader.binding.source_column(column.name)
    sentence = (
        f"{reader.label}: {len(texts)} sampled values of {column.name} are not {_wanted(column.type)}, for "
        f"example {texts[0]!r}; use {cast(source_column, column.type, reader.dialect)} in the query."
    )
    return [(len(texts), sentence)]


def _empty(reader: EntityReader, column: Column, *, sample: pa.RecordBatch) -> list[tuple[int, str]]:
    """How many rows lack a column that must be there, and the sentence on them; none without one."""
    values, unparsed = sample.column(column.name), sample.column("unparsed")
    if column.nullable or values.null_count == 0 or unparsed.null_count < len(unparsed):
        return []
    sentence = (
        f"{reader.label}: {values.null_count} sampled rows have no {column.name}, which must be there; such rows "
        "will be rejected, so give a value in the query."
    )
    return [(values.null_count, sentence)]


def _wanted(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal numbers of at most {kind.scale} places"
    if pa.types.is_date(kind):
        return "dates (YYYY-MM-DD)"
    if pa.types.is_timestamp(kind):
        return "timestamps (YYYY-MM-DD HH:MM:SS)"
    if pa.types.is_integer(kind):
        return "whole numbers"
    return "numbers" if pa.types.is_floating(kind) else "text"
