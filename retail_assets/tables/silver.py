"""Silver: typed, deduplicated, conformed rows; what was refused is in the rejected tables with its reason.

Snapshots keep their versions: `first_seen_at` orders them, transforms read them as of a date.
"""

from dataclasses import replace

from retail_assets.tables import bronze, entities
from retail_assets.tables.contract import (
    DATE,
    EXTRACTED_AT,
    MONEY,
    NULLABLE,
    QUANTITY,
    TEXT,
    TIMESTAMP,
    Column,
    Layout,
    Partitioning,
    Quality,
    Reference,
    Table,
    described,
    series_order,
)
from retail_assets.tables.entities import Entity

EVERY = "*"
"""Stands in key columns for "every store", "every product" or "every region"."""


_USUAL = Quality(warn_rate=0.02, stop_rate=0.2)
_REQUIRED = Quality(warn_rate=0.01, stop_rate=0.1)
"""Of stores and products: the rows of every other table hang on them."""


_STORE = Reference("store_id", "silver/stores", "store_id")
_LOCATION = Reference("location_id", "silver/stores", "store_id")
_PRODUCT = Reference("product_id", "silver/products", "product_id")
_SUPPLIER = Reference("supplier_id", "silver/suppliers", "supplier_id")
_SOURCE = Reference("source_id", "silver/suppliers", "supplier_id")
_REGION = Reference("region", "silver/stores", "region")


def _filled(entity: Entity) -> tuple[Column, ...]:
    """Parts of the key and columns with a default are filled."""
    return tuple(
        replace(c, nullable=c.nullable and c.default is None and c.name not in entity.key) for c in entity.columns
    )


def _daily(entity: Entity, quality: Quality = _USUAL) -> Table:
    return Table(
        layer="silver",
        name=entity.name,
        meaning=entity.meaning.replace(" as the source recorded it", ", judged and typed"),
        grain=entity.grain.replace(" as delivered", ""),
        key=entity.key if "business_date" in entity.key else ("business_date", *entity.key),
        columns=(*_filled(entity), EXTRACTED_AT),
        partition_column="business_date",
        partitioning=Partitioning.DAILY,
        layout=Layout.MONTH,
        sort_by=series_order(*entity.key),
        quality=quality,
        personal=entity.personal,
    )


def _snapshot(entity: Entity, *references: Reference, quality: Quality = _USUAL) -> Table:
    return Table(
        layer="silver",
        name=entity.name,
        meaning=entity.meaning,
        grain=f"{entity.grain} and version",
        key=(*entity.key, "first_seen_at"),
        columns=(*_filled(entity), *bronze.VERSION_COLUMNS),
        sort_by=(*entity.key, "first_seen_at"),
        quality=quality,
        references=references,
        personal=entity.personal,
    )


_REJECTION = described(
    ("table_name", TEXT, "Bronze table the row came from."),
    ("rule", TEXT, "Name of the first rule the row broke."),
    ("explanation", TEXT, "The rule in words."),
    ("row_key", TEXT, "Key values of the row."),
    ("row_content", TEXT, "The row as it was, column=value; ids that were conformed follow as delivered."),
)
REJECTED_ROWS = Table(
    layer="silver",
    name="rejected_rows",
    meaning="Daily rows that were not taken over, each with the rule it broke and its original content.",
    grain="refused row",
    key=(),
    columns=(
        Column("business_date", DATE, "Business date of the row."),
        *_REJECTION,
        Column("net_value", MONEY, "Money of a sales line; empty without money or price.", "currency", NULLABLE),
        EXTRACTED_AT,
    ),
    partition_column="business_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.MONTH,
    sort_by=("table_name", "rule", "row_key", "business_date", "row_content", "extracted_at"),
    personal=("row_content",),
)
REJECTED_SNAPSHOT_ROWS = Table(
    layer="silver",
    name="rejected_snapshot_rows",
    meaning="Snapshot rows that were not taken over, each with the rule it broke and its original content.",
    grain="refused row version",
    key=(),
    columns=(*_REJECTION, Column("first_seen_at", TIMESTAMP, "When this version of the row was first seen.", "UTC")),
    sort_by=("table_name", "rule", "row_key"),
    personal=("row_key", "row_content"),
)
OPEN_ORDERS = Table(
    layer="silver",
    name="open_orders",
    meaning="Purchase order lines still expected, as of the newest snapshot.",
    grain="purchase order line",
    key=("purchase_order_line_id",),
    columns=described(
        ("purchase_order_line_id", TEXT, "Purchase order line."),
        ("supplier_id", TEXT, "Supplier."),
        ("store_id", TEXT, "Store that receives."),
        ("product_id", TEXT, "Product."),
        ("ordered_date", DATE, "Day the order left."),
        ("promised_date", DATE, "Day the supplier promised delivery, where one is promised.", "", NULLABLE),
        ("open_units", QUANTITY, "Units ordered and not yet received, never more than ordered.", "units"),
    ),
    sort_by=("store_id", "product_id", "promised_date"),
)
SALES = _daily(entities.SALES)
INVENTORY = _daily(entities.INVENTORY)
STOCK_MOVEMENTS = _daily(entities.STOCK_MOVEMENTS)
DAILY = (SALES, INVENTORY, STOCK_MOVEMENTS, REJECTED_ROWS)
STORES = _snapshot(entities.STORES, quality=_REQUIRED)
PRODUCTS = _snapshot(entities.PRODUCTS, quality=_REQUIRED)
SUPPLIERS = _snapshot(entities.SUPPLIERS)
SUPPLIER_CALENDAR = _snapshot(entities.SUPPLIER_CALENDAR, _SOURCE, _LOCATION)
SOURCING = _snapshot(entities.SOURCING, _PRODUCT, _LOCATION, _SOURCE)
ASSORTMENT = _snapshot(entities.ASSORTMENT, _STORE, _PRODUCT)
CUSTOMERS = _snapshot(entities.CUSTOMERS)
PURCHASE_ORDERS = _snapshot(entities.PURCHASE_ORDERS, _SUPPLIER, _STORE, _PRODUCT)
PRICES = _snapshot(entities.PRICES, _STORE, _PRODUCT)
PROMOTIONS = _snapshot(entities.PROMOTIONS, _STORE, _PRODUCT)
EVENTS = _snapshot(entities.EVENTS, _REGION)
FORECAST_OVERRIDES = _snapshot(entities.FORECAST_OVERRIDES)
ORDER_DECISIONS = _snapshot(entities.ORDER_DECISIONS)
SNAPSHOTS = (
    STORES,
    PRODUCTS,
    SUPPLIERS,
    SUPPLIER_CALENDAR,
    SOURCING,
    ASSORTMENT,
    CUSTOMERS,
    PURCHASE_ORDERS,
    PRICES,
    PROMOTIONS,
    EVENTS,
    FORECAST_OVERRIDES,
    ORDER_DECISIONS,
)
TABLES = (*DAILY, *SNAPSHOTS, REJECTED_SNAPSHOT_ROWS, OPEN_ORDERS)
