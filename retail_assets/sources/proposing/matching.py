"""How well tables and columns of a database fit the canonical entities: a score from 0 to 1 by name, type and key.

Pure: inspected tables in, matches out. Which table serves which entity is decided in `proposal`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt

import pyarrow as pa

from retail_assets.sources.proposing.inspection import ForeignKey, Kind, SourceColumn, SourceTable
from retail_assets.sources.proposing.vocabulary import (
    FOREIGN_WORDS,
    ID_NOUNS,
    PARENT_WORDS,
    column_phrases,
    table_phrases,
    words,
)
from retail_assets.tables.contract import Column
from retail_assets.tables.entities import Entity

LEAST = 0.5
"""A column below this is no match."""

SURE = 0.8
"""A column below this is marked for a person to look at."""

TableKey = tuple[str | None, str]

_LEVEL = 0.97
_OWN_KEY = 0.85
_LABEL = 0.8
_DEPTH = 2


@dataclass(frozen=True)
class Reach:
    """A table that gives columns to a row of the base table: the base itself, or a parent by foreign keys."""

    table: SourceTable
    parent: "Reach | None" = None
    by: ForeignKey | None = None

    @property
    def way(self) -> "tuple[Reach, ...]":
        """From the base to here, both included."""
        return (self,) if self.parent is None else (*self.parent.way, self)

    @property
    def depth(self) -> int:
        return len(self.way) - 1

    @cached_property
    def is_certain(self) -> bool:
        """Every row of the base has its row here, so that an inner join loses nothing."""
        if self.parent is None or self.by is None:
            return True
        return self.parent.is_certain and not any(
            self.parent.table.column(name).is_nullable for name in self.by.columns
        )


@dataclass(frozen=True)
class Match:
    """Where a canonical column comes from: columns of a reached table, joined to one value when several."""

    column: Column
    reach: Reach
    sources: tuple[SourceColumn, ...]
    score: float

    @property
    def kind(self) -> Kind:
        return self.sources[0].kind if len(self.sources) == 1 else Kind.TEXT


def with_implied_keys(tables: Sequence[SourceTable]) -> list[SourceTable]:
    """The tables with the foreign keys that only names tell: a column called like another table's key."""
    owners: dict[str, list[SourceTable]] = {}
    for table in tables:
        if len(table.primary_key) == 1:
            for name in _key_names(table):
                owners.setdefault(name, []).append(table)
    return [
        replace(table, foreign_keys=(*table.foreign_keys, *_implied(table, owners))) if not table.is_view else table
        for table in tables
    ]


def _key_names(table: SourceTable) -> set[str]:
    """`CustomerID`, and for the key `id` of `customers` also customer_id."""
    key = table.primary_key[0]
    names = {" ".join((*words(table.name), "id"))}
    return names if words(key) == ("id",) else {*names, " ".join(words(key))}


def _implied(table: SourceTable, owners: dict[str, list[SourceTable]]) -> Iterator[ForeignKey]:
    declared = {name for key in table.foreign_keys for name in key.columns}
    for column in table.columns:
        found = [owner for owner in owners.get(" ".join(words(column.name)), ()) if owner.key != table.key]
        is_own_key = table.primary_key == (column.name,)
        if column.name not in declared and not is_own_key and len(found) == 1:
            yield ForeignKey((column.name,), found[0].key, found[0].primary_key, is_implied=True)


def name_score(entity: str, table: SourceTable) -> float:
    """How much a table's name sounds like the entity."""
    own = words(table.name)
    foreign = set(FOREIGN_WORDS.get(entity, ()))
    scores = [
        weight * max(0.8, 1 - 0.01 * place) * sqrt(len(phrase) / len(own))
        for place, (phrase, weight) in enumerate(table_phrases(entity))
        if own and set(phrase) <= set(own) and not foreign & (set(own) - set(phrase))
    ]
    return max(scores, default=0.0) * (0.8 if table.is_view else 1.0)


def reaches(
    entity: str, base: SourceTable, tables: Mapping[TableKey, SourceTable], *, barred: Collection[TableKey]
) -> list[Reach]:
    """The base and the parents its rows may be completed from; `barred` tables are other entities' own."""
    found = [Reach(base)]
    allowed = {word for name in PARENT_WORDS.get(entity, ()) for word in words(name)}
    for reach in found:
        for key in reach.table.foreign_keys if reach.depth < _DEPTH else ():
            parent = tables.get(key.table)
            is_new = parent is not None and all(parent.key != other.table.key for other in found)
            if parent is not None and is_new and parent.key not in barred and set(words(parent.name)) <= allowed:
                found.append(Reach(parent, reach, key))
    return found


def matches(entity: Entity, sources: Sequence[Reach], known: dict[str, SourceTable]) -> dict[str, Match]:
    """The best source of each canonical column, each source used once; `known` tables make their keys certain."""
    candidates = [
        Match(column, reach, (source,), score)
        for column in entity.columns
        for reach in sources
        for source in reach.table.columns
        if (score := _score(entity, column, reach, source, known)) >= LEAST
    ]
    chosen: dict[str, Match] = {}
    used: set[tuple] = set()
    for match in sorted(candidates, key=lambda match: (-match.score, match.column.nullable)):
        place = (match.reach.table.key, match.sources[0].name)
        if match.column.name not in chosen and place not in used:
            chosen[match.column.name] = match
            used.add(place)
    if entity.name == "products":
        chosen = _with_levels(entity, sources, chosen)
    return chosen | _composed_key(entity, sources[0], chosen)


def _score(entity: Entity, column: Column, reach: Reach, source: SourceColumn, known: dict[str, SourceTable]) -> float:
    score = max(_by_name(entity.name, column.name, reach.table, source), _by_key(entity, column, reach, source, known))
    return score * _fit(column.type, source.kind, is_identifier=column.name in ID_NOUNS) * _LEVEL**reach.depth


def _by_name(entity: str, column: str, table: SourceTable, source: SourceColumn) -> float:
    full = words(source.name)
    short = tuple(word for word in full if word not in words(table.name))
    best = 0.0
    for phrase, likely in column_phrases(entity, column).items():
        if phrase == full:
            best = max(best, likely)
        elif short and phrase == short:
            best = max(best, likely * 0.95)
    return best


def _by_key(entity: Entity, column: Column, reach: Reach, source: SourceColumn, known: dict[str, SourceTable]) -> float:
    target = known.get(column.name)
    for key in reach.table.foreign_keys:
        if target is not None and key.columns == (source.name,) and key.table == target.key:
            return 0.9 if key.is_implied else 1.0
    is_key = reach.table.primary_key == (source.name,) or words(source.name) == ("id",)
    return _OWN_KEY if is_key and reach.parent is None and entity.key == (column.name,) else 0.0


def _fit(wanted: pa.DataType, kind: Kind, *, is_identifier: bool) -> float:
    if pa.types.is_date(wanted):
        return {Kind.DATE: 1.0, Kind.MOMENT: 0.97, Kind.TEXT: 0.75}.get(kind, 0.0)
    if pa.types.is_timestamp(wanted):
        return {Kind.MOMENT: 1.0, Kind.DATE: 0.7, Kind.TEXT: 0.75}.get(kind, 0.0)
    if pa.types.is_string(wanted):
        if is_identifier:
            return {Kind.DATE: 0.0, Kind.MOMENT: 0.0, Kind.FLAG: 0.0}.get(kind, 1.0)
        return {Kind.TEXT: 1.0, Kind.OTHER: 0.6, Kind.INTEGER: 0.6}.get(kind, 0.0)
    return {Kind.INTEGER: 1.0, Kind.NUMBER: 1.0, Kind.TEXT: 0.75, Kind.OTHER: 0.6}.get(kind, 0.0)


def _with_levels(entity: Entity, sources: Sequence[Reach], chosen: dict[str, Match]) -> dict[str, Match]:
    """The names of a product's parents are its department and, one level up, its category; one level is department."""
    levels = {column.name: column for column in entity.columns if column.name in ("department", "category")}
    if "category" in chosen and "department" not in chosen:
        moved = replace(chosen["category"], column=levels["department"])
        return {name: match for name, match in chosen.items() if name != "category"} | {"department": moved}
    if "department" in chosen:
        return chosen
    found: dict[str, Match] = {}
    for reach in sources[1:]:
        label = next((c for c in reach.table.columns if words(c.name)[-1:] == ("name",) and c.kind is Kind.TEXT), None)
        column = levels[("department", "category")[reach.depth - 1]]
        if label:
            found.setdefault(column.name, Match(column, reach, (label,), _LABEL))
    return chosen | found


def _composed_key(entity: Entity, base: Reach, chosen: dict[str, Match]) -> dict[str, Match]:
    """A line without an identifier of its own is known by its whole primary key; numbers count within a receipt."""
    name = entity.key[0]
    key = base.table.primary_key
    source = chosen[name].sources[0].name if name in chosen else None
    is_own = source is not None and (source not in key or words(source)[-1] == "id")
    if len(entity.key) > 1 or is_own or len(key) < 2:
        return {}
    column = next(column for column in entity.columns if column.name == name)
    return {name: Match(column, base, tuple(map(base.table.column, key)), SURE)}
