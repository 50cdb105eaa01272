"""A proposal as the YAML of a mapping, with a TODO wherever a person must look.

Identifiers are quoted for the dialect; what it writes loads with `load_mapping`.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
import yaml

from retail_assets.sources.dialects import as_day, joined
from retail_assets.sources.mapping_schema import SCHEMA_NAME
from retail_assets.sources.proposing.inspection import Kind, SourceTable
from retail_assets.sources.proposing.matching import SURE, Match, Reach
from retail_assets.sources.proposing.proposal import Proposal, ProposedBinding
from retail_assets.sources.proposing.vocabulary import words
from retail_assets.tables.contract import Column

_SHOWN_COLUMNS = 8


def mapping_text(proposal: Proposal, *, name: str, place: str, dialect: str, quote: Callable[[str], str]) -> str:
    """The whole file; `place` says in its head where the tables were seen."""
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_NAME}",
        f"# Proposed from the tables of {' '.join(place.split())}.",
        "# Look at every TODO, then: retail-assets check-source",
        f"name: {yaml.safe_dump(name, width=1000).splitlines()[0]}",
        "timezone: UTC  # TODO: of the stores, such as Europe/London",
        "country: US  # TODO: of the public holidays",
        "currency: USD  # TODO: of prices and costs",
        "entities:",
    ]
    for binding in proposal.bindings:
        lines += _binding(binding, dialect, quote)
    return "\n".join([*lines, *_rest(proposal)]) + "\n"


def _binding(binding: ProposedBinding, dialect: str, quote: Callable[[str], str]) -> Iterator[str]:
    for note in binding.notes:
        yield f"  # TODO: {note}"
    yield f"  {binding.entity.name}:"
    labels = [table.label for table in binding.tables] or ["TODO"]
    yield f"    source_tables: {yaml.safe_dump(labels, default_flow_style=True, width=10_000).strip()}"
    yield "    query: |"
    for line in _Query(binding, dialect, quote).lines():
        yield f"      {line}"


def _rest(proposal: Proposal) -> Iterator[str]:
    if proposal.absent:
        yield "# Not bound, and read as empty:"
        yield from (f"#   {name}: {why}" for name, why in proposal.absent.items())
    if proposal.unused:
        yield "# Tables that are not used:"
        yield from (_described(table) for table in proposal.unused)


def _described(table: SourceTable) -> str:
    names = [column.name for column in table.columns]
    more = ", …" if len(names) > _SHOWN_COLUMNS else ""
    return f"#   {table.label} ({', '.join(names[:_SHOWN_COLUMNS])}{more})"


class _Query:
    """The SELECT of one binding."""

    def __init__(self, binding: ProposedBinding, dialect: str, quote: Callable[[str], str]) -> None:
        self._binding, self._dialect, self._quote = binding, dialect, quote
        self._reaches = _joined_reaches(binding)

    def lines(self) -> Iterator[str]:
        columns = list(self._columns())
        for place, (text, comment) in enumerate(columns):
            start = ("SELECT DISTINCT " if self._binding.is_distinct else "SELECT ") if place == 0 else "       "
            comma = "," if place < len(columns) - 1 else ""
            yield f"{start}{text}{comma}{f'  -- TODO: {comment}' if comment else ''}"
        if self._reaches:
            yield f"FROM {self._table(self._reaches[0])}"
        for reach in self._reaches[1:]:
            yield self._join(reach)
        yield from self._where()

    def _columns(self) -> Iterator[tuple[str, str]]:
        for column in self._binding.entity.columns:
            match = self._binding.matches.get(column.name)
            constant = self._binding.constants.get(column.name)
            if match:
                yield f"{self._expression(match)} AS {column.name}", _doubt(column, match)
            elif constant is not None:
                yield f"'{constant}' AS {column.name}", ""
            elif not column.nullable:
                yield f"NULL AS {column.name}", "nothing was found, and it must be given"

    def _expression(self, match: Match) -> str:
        names = [self._name(match.reach, source.name) for source in match.sources]
        text = joined(names, self._dialect)
        return as_day(text, self._dialect) if _is_cut(match) else text

    def _where(self) -> Iterator[str]:
        date = self._binding.matches.get("business_date")
        if date:
            yield f"WHERE {self._expression(date)} BETWEEN :start AND :end"
        elif self._binding.entity.is_daily:
            yield "WHERE :start > :end  -- TODO: compare the business date"
        elif self._binding.base is None:
            yield "WHERE 1 = 0"

    def _table(self, reach: Reach) -> str:
        names = [reach.table.schema, reach.table.name] if reach.table.schema else [reach.table.name]
        alias = f" {self._alias(reach)}" if len(self._reaches) > 1 else ""
        return ".".join(map(self._quote, names)) + alias

    def _join(self, reach: Reach) -> str:
        assert reach.parent is not None and reach.by is not None
        pairs = zip(reach.by.columns, reach.by.referred, strict=True)
        on = " AND ".join(f"{self._name(reach, far)} = {self._name(reach.parent, near)}" for near, far in pairs)
        return f"{'JOIN' if reach.is_certain else 'LEFT JOIN'} {self._table(reach)} ON {on}"

    def _name(self, reach: Reach, column: str) -> str:
        prefix = f"{self._alias(reach)}." if len(self._reaches) > 1 else ""
        return prefix + self._quote(column)

    def _alias(self, reach: Reach) -> str:
        return f"t{[other.table.key for other in self._reaches].index(reach.table.key) + 1}"


def _joined_reaches(binding: ProposedBinding) -> list[Reach]:
    """The base and every table on the way to a used column, parents first."""
    found: dict[tuple, Reach] = {}
    for match in binding.matches.values():
        for reach in match.reach.way:
            found.setdefault(reach.table.key, reach)
    return sorted(found.values(), key=lambda reach: reach.depth)


def _is_cut(match: Match) -> bool:
    return match.kind is Kind.MOMENT and pa.types.is_date(match.column.type)


def _doubt(column: Column, match: Match) -> str:
    is_number = not pa.types.is_string(column.type) and not pa.types.is_temporal(column.type)
    if match.kind is Kind.TEXT and is_number:
        return "a text, where a number is wanted"
    if match.score < SURE:
        return f"is this it? {column.meaning}"
    if pa.types.is_timestamp(column.type):
        return "in UTC?"
    is_share = column.unit == "0–1" and words(match.sources[0].name) != words(column.name)
    return "a share of 0–1, or divide it by 100?" if is_share else ""
