"""Every entity with its bronze and its silver table, one row each: what goes through the layers iterates these.

Tables are found by the name of the entity, so the order in which contracts are listed ties nothing together.
"""

from collections.abc import Sequence
from typing import NamedTuple

from retail_assets.tables import bronze, entities, silver
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity


class Layered(NamedTuple):
    """An entity, the table of its rows as delivered, and the table of its validated rows."""

    entity: Entity
    bronze: Table
    silver: Table


def layered(of: Sequence[Entity], raw: Sequence[Table], conformed: Sequence[Table]) -> tuple[Layered, ...]:
    """A row for each entity.

    Raises:
        LookupError: an entity lacks one of its tables.
    """
    return tuple(
        Layered(entity, _table_of(entity, raw, "bronze"), _table_of(entity, conformed, "silver")) for entity in of
    )


def _table_of(entity: Entity, tables: Sequence[Table], layer: str) -> Table:
    for table in tables:
        if table.name == entity.name:
            return table
    raise LookupError(f"The entity {entity.name} has no {layer} table; add it to tables/{layer}.py.")


DAILY = layered(entities.DAILY, bronze.DAILY, silver.DAILY)
SOURCE_SNAPSHOTS = layered(entities.SNAPSHOTS, bronze.SNAPSHOTS, silver.SNAPSHOTS)
APPLICATION_SNAPSHOTS = layered(entities.APPLICATION_ENTITIES, bronze.SNAPSHOTS, silver.SNAPSHOTS)
SNAPSHOTS = (*SOURCE_SNAPSHOTS, *APPLICATION_SNAPSHOTS)
