"""The JSON Schema of a mapping file, by which editors complete and check it while it is written.

Derived from the models of `mapping` and the entity contracts; nothing is listed here a second time. What a
schema cannot say (one SELECT, :start and :end) stays with `load_mapping`.
"""

import copy
import json
from typing import Any

import pyarrow as pa

from retail_assets.sources.mapping import EntityBinding, Mapping
from retail_assets.tables import entities
from retail_assets.tables.contract import Column
from retail_assets.tables.entities import Entity

SCHEMA_NAME = "mapping.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def mapping_schema() -> dict[str, Any]:
    """The whole schema."""
    schema = Mapping.model_json_schema()
    schema.pop("$defs")
    own = {
        "title": "Mapping of an operational database",
        "description": "Binds the tables of a database to the canonical entities, by one SELECT each.",
        "properties": schema["properties"] | {"entities": _entities()},
    }
    return {"$schema": _DIALECT} | schema | own


def schema_text() -> str:
    """The file's content."""
    return json.dumps(mapping_schema(), indent=2, ensure_ascii=False) + "\n"


def type_name(kind: pa.DataType) -> str:
    """A contract's type in the words of this project's documents."""
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if pa.types.is_integer(kind):
        return "integer"
    return "number" if pa.types.is_floating(kind) else "text"


def _entities() -> dict[str, Any]:
    return {
        "type": "object",
        "description": Mapping.model_fields["entities"].description,
        "properties": {entity.name: _entity(entity) for entity in entities.SOURCE_ENTITIES},
        "required": [entity.name for entity in entities.REQUIRED_ENTITIES],
        "additionalProperties": False,
    }


def _entity(entity: Entity) -> dict[str, Any]:
    schema = copy.deepcopy(EntityBinding.model_json_schema())
    if not entity.is_daily:  # days change only where rows have one
        schema["properties"].pop("changed_days", None)
    schema["title"] = entity.name
    schema["description"] = _about(entity)
    schema["properties"]["columns"] = {
        "type": "object",
        "description": EntityBinding.model_fields["columns"].description,
        "properties": {column.name: _column(column) for column in entity.columns},
        "additionalProperties": False,
    }
    return schema


def _about(entity: Entity) -> str:
    wanted = "Required. " if entity in entities.REQUIRED_ENTITIES else ""
    needed = ", ".join(column.name for column in entity.columns if not column.nullable)
    optional = ", ".join(column.name for column in entity.columns if column.nullable)
    read = "Daily: the query filters by :start and :end." if entity.is_daily else "Read whole, without parameters."
    also = f" It may give {optional}." if optional else ""
    return f"{entity.meaning} {wanted}One row: {entity.grain}. {read} The query gives {needed}.{also}"


def _column(column: Column) -> dict[str, Any]:
    unit = f" ({column.unit})" if column.unit else ""
    needed = "may be absent" if column.nullable else "required"
    return {"type": "string", "description": f"{type_name(column.type)}{unit}, {needed}. {column.meaning}"}
