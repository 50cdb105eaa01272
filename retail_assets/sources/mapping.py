"""A mapping binds the canonical entities to SELECT statements of one operational database.

Add a source by writing a YAML file like the shipped ones; nothing else changes. Running the statements
belongs to `retail_assets.resources.source`.
"""

import difflib
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from retail_assets.addresses import shown
from retail_assets.failures import PermanentFailure
from retail_assets.sources.statement import Statement, select_statement
from retail_assets.tables import entities
from retail_assets.tables.entities import Entity

_SHIPPED_FOLDER = Path(__file__).parent
_ENTITIES = {entity.name: entity for entity in entities.SOURCE_ENTITIES}
_WINDOW = ("start", "end")
_SINCE = "since"
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")


class EntityBinding(BaseModel):
    """How one entity is read; `columns` renames canonical column: column of the query.

    `changed_days` gives the business dates of rows modified at or after `:since` (UTC), one column.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    query: str = Field(description="One SELECT that gives the entity's columns by name.")
    source_tables: list[str] = Field(min_length=1, description="Tables the query reads, for lineage.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="Where the query's column has another name: column of the entity: its name."
    )
    changed_days: str | None = Field(
        default=None, description="One SELECT that gives the business dates of rows modified since :since."
    )

    @cached_property
    def statement(self) -> Statement:
        return select_statement(self.query)

    @cached_property
    def changes(self) -> Statement | None:
        """The statement that tells changed days: the one given, else one around a plain query with modified_at."""
        if self.changed_days:
            return select_statement(self.changed_days)
        day, moment = self.source_column("business_date"), self.source_column("modified_at")
        words = [part.text.upper() for part in self.statement.parts if part.kind == "word"]
        is_plain = words[0] == "SELECT" and "ORDER" not in words
        if not is_plain or moment.upper() not in words or not all(map(_PLAIN_NAME.fullmatch, (day, moment))):
            return None
        query = self.statement.rendered(lambda name: f":{name}")
        return select_statement(f"SELECT DISTINCT c.{day} FROM ({query}) c WHERE c.{moment} >= :{_SINCE}")

    def source_column(self, column: str) -> str:
        return self.columns.get(column, column)


class Mapping(BaseModel):
    """A validated mapping; get one with `load_mapping`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(min_length=1, description="Name of the mapping in messages.")
    timezone: str = Field(description="IANA time zone of the stores, such as Europe/London; it decides business dates.")
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO country of the public holidays, such as GB.")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO currency of every price and cost, such as GBP.")
    entities: dict[str, EntityBinding] = Field(description="How each entity is read; what is missing reads as empty.")

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is not an IANA time zone such as Europe/London")
        return value

    def binds(self, entity: Entity) -> bool:
        return entity.name in self.entities


def shipped_mappings() -> list[str]:
    return sorted(path.stem for path in _SHIPPED_FOLDER.glob("*.yaml"))


def load_mapping(name_or_path: str) -> Mapping:
    """The shipped mapping of that name, or the one in that YAML file.

    Raises:
        PermanentFailure: one sentence naming the file, the entity and what to do.
    """
    path = _path(name_or_path)
    content = _content(path)
    try:
        mapping = Mapping.model_validate(content)
    except ValidationError as error:
        raise PermanentFailure(f"{path.name}: {_sentence(error)}") from None
    _refuse_unknown_entities(path.name, mapping)
    _refuse_missing_entities(path.name, mapping)
    for name, binding in mapping.entities.items():
        _check_binding(f"{path.name}, entity {name}", binding, entity=_ENTITIES[name])
    return mapping


def _path(name_or_path: str) -> Path:
    if name_or_path in shipped_mappings():
        return _SHIPPED_FOLDER / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = ", ".join(shipped_mappings())
    raise PermanentFailure(
        f"RETAIL_SOURCE_MAPPING names no mapping: got {shown(name_or_path)!r}, which is neither a shipped one "
        f"({shipped}) nor the path of a YAML file."
    )


class _EachKeyOnce(yaml.SafeLoader):
    """YAML without repeated keys, of which the plain loader silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for position, (key, _) in enumerate(node.value):
            if key.value in keys[:position]:
                problem = f"the key {key.value} is given twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _content(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_EachKeyOnce)
    except OSError as error:
        raise PermanentFailure(f"{path.name} cannot be read: {error.strerror}; check its permissions.") from None
    except UnicodeDecodeError:
        raise PermanentFailure(f"{path.name} is not UTF-8 text; save it as UTF-8 YAML.") from None
    except yaml.YAMLError as error:
        raise PermanentFailure(f"{path.name} is not readable YAML{_where(error)}; correct it there.") from None


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "unexpected text"
    return f": {problem} in line {mark.line + 1}" if mark else ""


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    where = ".".join(location) or "the file"
    known = EntityBinding.model_fields if len(location) > 1 else Mapping.model_fields
    if first["type"] == "missing":
        return f"{where} is missing; there must be {', '.join(n for n, f in known.items() if f.is_required())}."
    if first["type"] == "extra_forbidden":
        return f"{where} is not known here; {_hint(location[-1], known)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where} is wrong: got {first['input']!r}, {message[0].lower()}{message[1:]}."


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}."


def _refuse_unknown_entities(file: str, mapping: Mapping) -> None:
    for name in mapping.entities:
        if name not in _ENTITIES:
            raise PermanentFailure(f"{file}: there is no entity {name}; {_hint(name, _ENTITIES)}")


def _refuse_missing_entities(file: str, mapping: Mapping) -> None:
    missing = [entity.name for entity in entities.REQUIRED_ENTITIES if not mapping.binds(entity)]
    if missing:
        raise PermanentFailure(
            f"{file}: the required entity {missing[0]} is not bound; add a query for it below `entities`."
        )


def _check_binding(where: str, binding: EntityBinding, *, entity: Entity) -> None:
    try:
        statement = binding.statement
    except ValueError as error:
        raise PermanentFailure(f"{where}: the query {error}.") from None
    for column in binding.columns:
        if column not in entity.column_names:
            raise PermanentFailure(
                f"{where}: columns renames {column}, which is not a column of it; {_hint(column, entity.column_names)}"
            )
    _check_parameters(where, statement, entity=entity)
    if binding.changed_days is not None:
        _check_changed_days(where, binding.changed_days, entity=entity)


def _check_parameters(where: str, statement: Statement, *, entity: Entity) -> None:
    wanted = _WINDOW if entity.is_daily else ()
    missing = [f":{name}" for name in wanted if name not in statement.parameters]
    if missing:
        raise PermanentFailure(
            f"{where}: the query lacks {' and '.join(missing)}; a daily entity is read by business date, so add "
            "WHERE … BETWEEN :start AND :end."
        )
    unknown = [f":{name}" for name in statement.parameters if name not in wanted]
    if unknown:
        known = "only :start and :end are given" if wanted else "it is read whole, without parameters"
        raise PermanentFailure(f"{where}: the query has the parameter {unknown[0]}, but {known}; remove it.")


def _check_changed_days(where: str, query: str, *, entity: Entity) -> None:
    if not entity.is_daily:
        raise PermanentFailure(f"{where}: changed_days is only for daily entities, this one is read whole; remove it.")
    try:
        statement = select_statement(query)
    except ValueError as error:
        raise PermanentFailure(f"{where}: the query of changed_days {error}.") from None
    if _SINCE not in statement.parameters:
        raise PermanentFailure(
            f"{where}: the query of changed_days lacks :since; it tells the days of rows modified since then, so add "
            "WHERE … >= :since."
        )
    unknown = [f":{name}" for name in statement.parameters if name not in (*_WINDOW, _SINCE)]
    if unknown:
        raise PermanentFailure(
            f"{where}: the query of changed_days has the parameter {unknown[0]}, but only :since, :start and :end are "
            "given; remove it."
        )
