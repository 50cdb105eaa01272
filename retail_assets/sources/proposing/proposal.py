"""Which tables of a database probably hold which canonical entities: a first mapping for a person to correct.

Pure: inspected tables in, a `Proposal` out; `proposal_text` writes it as YAML. How well a name fits is decided in
`matching`, by the words of `vocabulary`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from retail_assets.sources.proposing.inspection import Kind, SourceTable
from retail_assets.sources.proposing.matching import SURE, Match, matches, name_score, reaches, with_implied_keys
from retail_assets.sources.proposing.vocabulary import words
from retail_assets.tables import entities
from retail_assets.tables.contract import Column
from retail_assets.tables.entities import Entity

ONE_STORE = "1"
"""Identifier of the only store, where a database has no stores."""

_DIMENSIONS = (entities.PRODUCTS, entities.SUPPLIERS, entities.CUSTOMERS, entities.STORES)
_IDENTIFIERS = {
    "products": ("product_id",),
    "suppliers": ("supplier_id", "source_id"),
    "customers": ("customer_id",),
    "stores": ("store_id", "location_id"),
}
_VITAL_OF_SALES = {"business_date", "product_id", "quantity"}
_NAME_WEIGHT = 0.4


@dataclass(frozen=True)
class ProposedBinding:
    """One entity: where its columns come from; without a base nothing was found and the query is a form to fill."""

    entity: Entity
    base: SourceTable | None
    matches: dict[str, Match] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    score: float = 0.0
    is_distinct: bool = False
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Columns that must be given and were not found."""
        given = {*self.matches, *self.constants}
        return [column.name for column in self.entity.columns if not column.nullable and column.name not in given]

    @property
    def guesses(self) -> list[str]:
        return [name for name, match in self.matches.items() if match.score < SURE]

    @property
    def tables(self) -> list[SourceTable]:
        """Base and joined tables, each once."""
        found = [self.base] if self.base else []
        for match in self.matches.values():
            for reach in match.reach.way:
                if all(reach.table.key != other.key for other in found):
                    found.append(reach.table)
        return found

    @property
    def confidence(self) -> str:
        if not self.matches:
            return "assumed" if self.constants else "nothing found"
        return "sure" if self.score >= 0.85 else "likely" if self.score >= 0.65 else "a guess"


@dataclass(frozen=True)
class Proposal:
    """Bindings in the order of the contracts; `absent` says why an entity is not bound."""

    bindings: tuple[ProposedBinding, ...]
    absent: dict[str, str]
    unused: tuple[SourceTable, ...]

    def binding(self, name: str) -> ProposedBinding | None:
        return next((binding for binding in self.bindings if binding.entity.name == name), None)


def propose(tables: Sequence[SourceTable]) -> Proposal:
    """The likeliest binding of every entity; the required ones are always there, as forms when nothing was found."""
    search = _Search(with_implied_keys([_printable(table) for table in tables if table.label.isprintable()]))
    search.find_dimensions()
    search.find_sales()
    search.settle_stores()
    search.find_others()
    bound = [search.bindings[entity.name] for entity in entities.SOURCE_ENTITIES if entity.name in search.bindings]
    used = {table.key for binding in bound for table in binding.tables}
    return Proposal(
        bindings=tuple(replace(binding, notes=tuple(_notes(binding))) for binding in bound),
        absent={name: why for name, why in search.absent.items() if name not in search.bindings},
        unused=tuple(table for table in search.tables.values() if table.key not in used),
    )


def _printable(table: SourceTable) -> SourceTable:
    """A name with a line break in it could leave its quotes and its comment."""
    return replace(table, columns=tuple(column for column in table.columns if column.name.isprintable()))


class _Search:
    """The state of one proposal: what is bound, and by that taken from the others."""

    def __init__(self, tables: Iterable[SourceTable]) -> None:
        self.tables = {table.key: table for table in tables}
        self.bindings: dict[str, ProposedBinding] = {}
        self.absent: dict[str, str] = {}
        self.known: dict[str, SourceTable] = {}
        self._popularity = {key: 0 for key in self.tables}
        for table in self.tables.values():
            for key in table.foreign_keys:
                self._popularity[key.table] = self._popularity.get(key.table, 0) + 1

    def find_dimensions(self) -> None:
        self._assign(_DIMENSIONS)
        for name, binding in self.bindings.items():
            for identifier in _IDENTIFIERS[name]:
                if binding.base is not None:
                    self.known[identifier] = binding.base

    def find_sales(self) -> None:
        found = [binding for table in self._free() if (binding := self._tried(entities.SALES, table))]
        found = [binding for binding in found if set(binding.matches) >= _VITAL_OF_SALES]
        named = [binding for binding in found if binding.base and name_score("sales", binding.base)]
        best = max(named or found, key=lambda binding: binding.score, default=None)
        self.bindings["sales"] = best or ProposedBinding(entities.SALES, None)

    def settle_stores(self) -> None:
        """Stores are what sales name; without that, the values in the sales, else one store for everything."""
        sales = self.bindings["sales"]
        match = sales.matches.get("store_id")
        table = self._referred(match) if match else None
        if match and table and (stores := self._tried(entities.STORES, table)):
            self._bind_stores(stores)
        elif match and "stores" not in self.bindings:
            self.bindings["stores"] = _distinct(entities.STORES, "store", sales, match)
        elif match is None and sales.base is not None:
            self._bind_one_store(sales)
        if "stores" not in self.bindings:
            self.bindings["stores"] = ProposedBinding(entities.STORES, None)
        self._derive_products(sales)

    def find_others(self) -> None:
        self._assign([entity for entity in entities.SOURCE_ENTITIES if entity.name not in self.bindings])

    def _bind_stores(self, stores: ProposedBinding) -> None:
        self.bindings["stores"] = stores
        for identifier in _IDENTIFIERS["stores"]:
            if stores.base is not None:
                self.known[identifier] = stores.base

    def _bind_one_store(self, sales: ProposedBinding) -> None:
        for identifier in _IDENTIFIERS["stores"]:
            self.known.pop(identifier, None)
        self.bindings["sales"] = replace(sales, constants={**sales.constants, "store_id": ONE_STORE})
        self.bindings["stores"] = ProposedBinding(
            entities.STORES, sales.base, constants={"store_id": ONE_STORE, "store_name": "All sales"}
        )

    def _derive_products(self, sales: ProposedBinding) -> None:
        match = sales.matches.get("product_id")
        if "products" not in self.bindings and match:
            self.bindings["products"] = _distinct(entities.PRODUCTS, "product", sales, match)
        self.bindings.setdefault("products", ProposedBinding(entities.PRODUCTS, None))

    def _referred(self, match: Match) -> SourceTable | None:
        names = tuple(source.name for source in match.sources)
        keys = [key for key in match.reach.table.foreign_keys if key.columns == names]
        found = [self.tables[key.table] for key in keys if key.table in self.tables]
        return next((table for table in found if name_score("stores", table)), None)

    def _assign(self, wanted: Sequence[Entity]) -> None:
        """Best pairs of entity and table first; each table serves one entity."""
        pairs = [
            binding
            for entity in wanted
            for table in self.tables.values()
            if name_score(entity.name, table) and (binding := self._tried(entity, table))
        ]
        for binding in sorted(pairs, key=self._rank, reverse=True):
            is_free = binding.base is not None and binding.base.key in {table.key for table in self._free()}
            if binding.entity.name in self.bindings or not is_free:
                continue
            lacking = _vital(binding.entity) - {*binding.matches, *self._defaults(binding)}
            if not lacking:
                self.bindings[binding.entity.name] = replace(binding, constants=self._defaults(binding))
            elif binding.base is not None:
                why = f"{binding.base.label} looks like it, but nothing in it gives {', '.join(sorted(lacking))}"
                self.absent.setdefault(binding.entity.name, why)
        for entity in wanted:
            self.absent.setdefault(entity.name, "no table is called like it")

    def _rank(self, binding: ProposedBinding) -> tuple[float, int]:
        assert binding.base is not None
        return round(binding.score, 2), self._popularity[binding.base.key]

    def _free(self) -> list[SourceTable]:
        taken = {table.key for binding in self.bindings.values() for table in binding.tables if binding.matches}
        return [table for table in self.tables.values() if table.key not in taken]

    def _tried(self, entity: Entity, table: SourceTable) -> ProposedBinding | None:
        own = {known.key for known in self.known.values() if known.key != table.key}
        found = matches(entity, reaches(entity.name, table, self.tables, barred=own), self.known)
        wanted = [found[column.name].score if column.name in found else 0.0 for column in _needed(entity)]
        score = _NAME_WEIGHT * min(1.0, name_score(entity.name, table)) + (1 - _NAME_WEIGHT) * fmean(wanted)
        return ProposedBinding(entity, table, found, score=score) if found else None

    def _defaults(self, binding: ProposedBinding) -> dict[str, str]:
        """The only store, where rows must name one and the database has none."""
        stores = self.bindings.get("stores")
        needs = any(column.name == "store_id" for column in _needed(binding.entity))
        is_one = stores is not None and stores.constants.get("store_id") == ONE_STORE
        return {"store_id": ONE_STORE} if needs and is_one and "store_id" not in binding.matches else {}


def _needed(entity: Entity) -> list[Column]:
    return [column for column in entity.columns if not column.nullable]


def _vital(entity: Entity) -> set[str]:
    """Columns without which a binding makes no rows that could be used."""
    needed = {column.name for column in _needed(entity)}
    return needed & {*entity.key, "business_date"}


def _distinct(entity: Entity, noun: str, sales: ProposedBinding, match: Match) -> ProposedBinding:
    """Every value that sales name, where no table describes it."""
    identifier, name = f"{noun}_id", f"{noun}_name"
    return ProposedBinding(entity, sales.base, {identifier: match, name: match}, score=0.5, is_distinct=True)


def _notes(binding: ProposedBinding) -> Iterator[str]:
    """What a person must decide, in whole sentences."""
    if binding.base is None:
        yield "No table was recognised; write the query."
        return
    if ONE_STORE in binding.constants.values() and binding.entity is entities.STORES:
        yield "No stores were recognised in the sales, so everything is sold by one; give the stores if there are."
    elif "store_id" in binding.constants:
        yield "There is one store only, see stores."
    if binding.is_distinct:
        yield "No table describes them, so they are the values found in the sales."
    yield from _join_notes(binding)
    date = binding.matches.get("business_date")
    if date and date.kind is Kind.MOMENT:
        yield f"{date.sources[0].name} is a moment; its date must be the trading day in the stores' time zone."
    yield from _discount_notes(binding)


def _join_notes(binding: ProposedBinding) -> Iterator[str]:
    steps = {reach.by: reach for match in binding.matches.values() for reach in match.reach.way}
    for key, reach in steps.items():
        if key is not None and key.is_implied and reach.parent is not None:
            yield (
                f"{reach.parent.table.label} and {reach.table.label} are joined by {', '.join(key.columns)}, by its "
                "name only; no foreign key says so."
            )


def _discount_notes(binding: ProposedBinding) -> Iterator[str]:
    if binding.entity is not entities.SALES or binding.base is None or "discount_value" in binding.matches:
        return
    for column in binding.base.columns:
        if "discount" in words(column.name):
            yield (
                f"{column.name} may be discount_value when it is money, or quantity * unit price times it when it is "
                "a rate."
            )
