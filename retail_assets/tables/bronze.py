"""Bronze: rows as the source gave them, one table an entity.

Values that do not fit their column's type are kept as text in `unparsed`, so that no row is lost before
silver can name the fault. Daily tables hold one business date a partition; snapshots append changed rows.
"""

from dataclasses import replace

from retail_assets.tables import entities
from retail_assets.tables.contract import (
    COUNT,
    DATE,
    EXTRACTED_AT,
    FLAG,
    MONEY,
    NULLABLE,
    SERIES_ORDER,
    TEXT,
    TIMESTAMP,
    Column,
    Layout,
    Partitioning,
    Table,
    described,
)
from retail_assets.tables.entities import Entity

UNPARSED = Column(
    "unparsed",
    TEXT,
    "JSON object of column name to original text, for values that do not fit their type.",
    "",
    NULLABLE,
)
VERSION_COLUMNS = (
    Column("is_deleted", FLAG, "The row was gone from the source when this version was seen."),
    Column("first_seen_at", TIMESTAMP, "When this version of the row was first seen.", "UTC"),
)


def _nullable(entity: Entity) -> tuple[Column, ...]:
    """Bronze accepts what silver will judge: only the business date must be there."""
    return tuple(replace(column, nullable=column.name != "business_date") for column in entity.columns)


def _personal(entity: Entity) -> tuple[str, ...]:
    """Those of the entity, and what did not fit one of them; a text always fits."""
    may_misfit = any(column.name in entity.personal and column.type != TEXT for column in entity.columns)
    return (*entity.personal, UNPARSED.name) if may_misfit else entity.personal


def _daily(entity: Entity) -> Table:
    return Table(
        layer="bronze",
        name=entity.name,
        meaning=entity.meaning,
        grain=f"{entity.grain}, as delivered",
        key=(),
        columns=(*_nullable(entity), UNPARSED, EXTRACTED_AT),
        partition_column="business_date",
        partitioning=Partitioning.DAILY,
        layout=Layout.MONTH,
        sort_by=SERIES_ORDER,
        personal=_personal(entity),
    )


def _snapshot(entity: Entity) -> Table:
    return Table(
        layer="bronze",
        name=entity.name,
        meaning=f"{entity.meaning} Changed rows are appended: read it as of a date.",
        grain=f"{entity.grain} and version",
        key=(),
        columns=(*_nullable(entity), UNPARSED, *VERSION_COLUMNS),
        sort_by=("first_seen_at", *entity.key),
        personal=_personal(entity),
    )


EXTRACTED_DAYS = Table(
    layer="bronze",
    name="extracted_days",
    meaning="What the source gave of each daily table and day, counted as it came and before it was written.",
    grain="table and day",
    key=("business_date", "table_name"),
    columns=(
        *described(
            ("business_date", DATE, "Trading day."),
            ("table_name", TEXT, "Bronze table the rows went to."),
            ("row_count", COUNT, "Rows the source gave.", "rows"),
            (
                "net_value",
                MONEY,
                "Money of the sales lines among them; a line that cannot be read, or is beyond all limits, counts 0.",
                "currency",
            ),
        ),
        EXTRACTED_AT,
        Column(
            "kept_at",
            TIMESTAMP,
            "When the source gave no row of the day any more and the stored ones were kept; row_count is theirs.",
            "UTC",
            NULLABLE,
        ),
    ),
    partition_column="business_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.MONTH,
    sort_by=("table_name", "business_date"),
)
SALES = _daily(entities.SALES)
INVENTORY = _daily(entities.INVENTORY)
STOCK_MOVEMENTS = _daily(entities.STOCK_MOVEMENTS)
DAILY = (SALES, INVENTORY, STOCK_MOVEMENTS)
SNAPSHOTS = tuple(_snapshot(entity) for entity in (*entities.SNAPSHOTS, *entities.APPLICATION_ENTITIES))
TABLES = (*DAILY, EXTRACTED_DAYS, *SNAPSHOTS)
