"""The demo retailer's operational database: one normalised schema for SQLite, PostgreSQL and SQL Server.

Money is Numeric(18, 4); SQLite has no decimal type and keeps it as a float. `true_demand` and
`injected_fault` hold what no retailer knows, for tests to compare with, and no mapping reads them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
)
from sqlalchemy.dialects import mssql

metadata = MetaData()

_MONEY = Numeric(18, 4, asdecimal=False)
_CODE = String(20)
_NAME = String(80)
# SQL Server's DATETIME rounds to 1/300 second; all moments are UTC without an offset.
_MOMENT = DateTime().with_variant(mssql.DATETIME2(6), "mssql")


def _id(name: str) -> Column:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _reference(target: str, **options) -> Column:
    return Column(target.split(".")[1], _CODE, ForeignKey(target), **options)


department = Table(
    "department",
    metadata,
    Column("department_id", _CODE, primary_key=True),
    Column("department_name", _NAME, nullable=False),
    Column("category_name", _NAME, nullable=False),
)
store = Table(
    "store",
    metadata,
    Column("store_id", _CODE, primary_key=True),
    Column("store_name", _NAME, nullable=False),
    Column("region", _NAME, nullable=False),
    Column("store_format", _CODE, nullable=False),
    Column("opened_date", Date, nullable=False),
    Column("closed_date", Date),
)
product = Table(
    "product",
    metadata,
    Column("product_id", _CODE, primary_key=True),
    Column("product_name", _NAME, nullable=False),
    _reference("department.department_id", nullable=False),
    Column("list_price", _MONEY, nullable=False),
    Column("unit_cost", _MONEY, nullable=False),
    Column("unit_step", Double, nullable=False),
    Column("shelf_life_days", Integer),
    Column("introduced_date", Date, nullable=False),
    Column("discontinued_date", Date),
)
supplier = Table(
    "supplier",
    metadata,
    Column("supplier_id", _CODE, primary_key=True),
    Column("supplier_name", _NAME, nullable=False),
    Column("lead_time_days", Integer, nullable=False),
    Column("min_order_value", _MONEY, nullable=False),
)
supplier_order_day = Table(
    "supplier_order_day",
    metadata,
    _reference("supplier.supplier_id", primary_key=True),
    Column("iso_weekday", Integer, primary_key=True, autoincrement=False),
)
product_supplier = Table(
    "product_supplier",
    metadata,
    _reference("product.product_id", primary_key=True),
    _reference("supplier.supplier_id", primary_key=True),
    Column("pack_units", Integer, nullable=False),
    Column("min_order_units", Integer, nullable=False),
    Column("max_stock_units", Integer),
    Column("unit_cost", _MONEY, nullable=False),
)
store_assortment = Table(
    "store_assortment",
    metadata,
    _reference("store.store_id", primary_key=True),
    _reference("product.product_id", primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("valid_to", Date),
)
customer = Table(
    "customer",
    metadata,
    Column("customer_id", _CODE, primary_key=True),
    Column("customer_segment", _NAME, nullable=False),
    Column("region", _NAME, nullable=False),
    Column("joined_date", Date, nullable=False),
)
price_list = Table(
    "price_list",
    metadata,
    _id("price_id"),
    _reference("store.store_id"),
    _reference("product.product_id", nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("unit_price", _MONEY, nullable=False),
)
promotion = Table(
    "promotion",
    metadata,
    Column("promotion_id", _CODE, primary_key=True),
    Column("promotion_name", _NAME, nullable=False),
    Column("start_date", Date, nullable=False),
    Column("end_date", Date, nullable=False),
)
promotion_item = Table(
    "promotion_item",
    metadata,
    _id("promotion_item_id"),
    _reference("promotion.promotion_id", nullable=False),
    _reference("store.store_id"),
    _reference("product.product_id", nullable=False),
    Column("discount_rate", Double, nullable=False),
)
store_event = Table(
    "store_event",
    metadata,
    _id("store_event_id"),
    Column("event_date", Date, nullable=False),
    Column("event_name", _NAME, nullable=False),
    Column("event_type", _CODE, nullable=False),
    Column("region", _NAME),
)
purchase_order = Table(
    "purchase_order",
    metadata,
    _id("purchase_order_id"),
    _reference("supplier.supplier_id", nullable=False),
    _reference("store.store_id", nullable=False),
    Column("ordered_date", Date, nullable=False),
    Column("promised_date", Date, nullable=False),
)
purchase_order_line = Table(
    "purchase_order_line",
    metadata,
    _id("purchase_order_line_id"),
    Column("purchase_order_id", BigInteger, ForeignKey("purchase_order.purchase_order_id"), nullable=False),
    _reference("product.product_id", nullable=False),
    Column("ordered_units", Integer, nullable=False),
    Column("unit_cost", _MONEY, nullable=False),
    Column("received_units", Integer),
    Column("received_date", Date),
    Column("cancelled_date", Date),
    Column("proposal_id", String(36)),
)
stock_closing = Table(
    "stock_closing",
    metadata,
    Column("business_date", Date, primary_key=True),
    _reference("store.store_id", primary_key=True),
    _reference("product.product_id", primary_key=True),
    Column("on_hand_units", Integer, nullable=False),
    Column("stock_out_hours", Double, nullable=False),
    Column("modified_at", _MOMENT, nullable=False),
    sqlite_with_rowid=False,
)
stock_movement = Table(
    "stock_movement",
    metadata,
    _id("movement_id"),
    Column("business_date", Date, nullable=False),
    _reference("store.store_id", nullable=False),
    _reference("product.product_id", nullable=False),
    Column("movement_type", _CODE, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("modified_at", _MOMENT, nullable=False),
    Index("ix_stock_movement_business_date", "business_date"),
)


def _till_columns() -> list[Column]:
    """Tills send what the cashier keyed: quantity and price are text, and no foreign key holds."""
    return [
        _id("feed_id"),
        Column("line_id", BigInteger, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("sale_id", BigInteger, nullable=False),
        Column("business_date", Date, nullable=False),
        Column("store_id", _CODE, nullable=False),
        Column("product_id", _CODE, nullable=False),
        Column("customer_id", _CODE),
        Column("quantity", _CODE),
        Column("unit_price", _CODE),
        Column("discount_value", _MONEY, nullable=False),
        Column("modified_at", _MOMENT, nullable=False),
    ]


pos_sale_line = Table(
    "pos_sale_line",
    metadata,
    *_till_columns(),
    Index("ix_pos_sale_line_business_date", "business_date"),
)
till_queue = Table("till_queue", metadata, *_till_columns(), Column("arrival_date", Date, nullable=False))
true_demand = Table(
    "true_demand",
    metadata,
    Column("business_date", Date, primary_key=True),
    Column("store_id", _CODE, primary_key=True),
    Column("product_id", _CODE, primary_key=True),
    Column("expected_units", Double, nullable=False),
    Column("demanded_units", Integer, nullable=False),
    Column("lost_units", Integer, nullable=False),
    Column("returned_units", Integer, nullable=False),
    sqlite_with_rowid=False,
)
injected_fault = Table(
    "injected_fault",
    metadata,
    _id("fault_id"),
    Column("fault_class", String(30), nullable=False),
    Column("table_name", _NAME, nullable=False),
    Column("feed_id", BigInteger),
    Column("line_id", BigInteger),
    Column("business_date", Date, nullable=False),
    Column("arrival_date", Date, nullable=False),
    Column("store_id", _CODE, nullable=False),
    Column("product_id", _CODE),
    Column("true_quantity", Integer),
    Column("true_unit_price", _MONEY),
)
demo_setting = Table(
    "demo_setting",
    metadata,
    Column("setting_name", _CODE, primary_key=True),
    Column("setting_value", _NAME, nullable=False),
)
