"""Canonical entities: what a source mapping must deliver from any operational database.

Bronze and silver tables are derived from them. An entity that a source lacks becomes an empty table.
"""

from dataclasses import dataclass
from datetime import date

from retail_assets.tables.contract import (
    DATE,
    DAYS,
    MONEY,
    NULLABLE,
    QUANTITY,
    RATE,
    TEXT,
    TIMESTAMP,
    UNITS,
    Column,
    Text,
    bounded,
    described,
)

_LEAST_STEP = 0.001
"""No pack and no step is smaller: a gram of what is sold by the kilogram."""

_MOST_DAYS = 3650

PLANNER_ID = Text(100)
PLANNER_TEXT = Text(1000)
"""Of what planners decide: the columns of the application database have these lengths."""

ALWAYS = date(1900, 1, 1)
"""Stands in key columns for "since always", and in a calendar for "every week"."""


@dataclass(frozen=True)
class Entity:
    """One canonical entity; `daily` ones are read by business date, the others whole.

    Columns that are not nullable must be delivered; of the others silver fills those that have a default. The key is
    unique after silver. `personal` names the columns that tell something of a person.
    """

    name: str
    meaning: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    personal: tuple[str, ...] = ()

    @property
    def is_daily(self) -> bool:
        return any(column.name == "business_date" for column in self.columns)

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]


SALES = Entity(
    "sales",
    "Sales lines as the source recorded them.",
    "sale line as delivered",
    ("sale_line_id",),
    described(
        ("sale_line_id", TEXT, "Identifier of the sale line; a corrected line keeps it."),
        ("sale_id", TEXT, "Basket the line belongs to.", "", NULLABLE),
        ("business_date", DATE, "Trading day in the store's time zone."),
        ("store_id", TEXT, "Store."),
        ("product_id", TEXT, "Product."),
        ("customer_id", TEXT, "Customer, when known.", "", NULLABLE),
        ("quantity", QUANTITY, "Units sold; negative for a return.", "units"),
        ("unit_price", MONEY, "Price asked for one unit before discount.", "currency"),
        ("discount_value", MONEY, "Discount on the line.", "currency", NULLABLE),
        ("currency", TEXT, "ISO code of the money, where the source holds several; else the mapping's.", "", NULLABLE),
        ("modified_at", TIMESTAMP, "Last change in the source.", "UTC", NULLABLE),
    ),
    personal=("customer_id", "sale_id"),
)
INVENTORY = Entity(
    "inventory",
    "Closing stock as the source recorded it.",
    "store, product and day as delivered",
    ("business_date", "store_id", "product_id"),
    described(
        ("business_date", DATE, "Trading day whose closing stock this is."),
        ("store_id", TEXT, "Store."),
        ("product_id", TEXT, "Product."),
        ("on_hand_units", QUANTITY, "Stock at closing.", "units"),
        ("stock_out_hours", UNITS, "Trading hours without stock, when the source knows.", "hours", NULLABLE),
        ("modified_at", TIMESTAMP, "Last change in the source.", "UTC", NULLABLE),
    ),
)
STOCK_MOVEMENTS = Entity(
    "stock_movements",
    "Stock movements other than sales and returns as the source recorded them.",
    "movement as delivered",
    ("movement_id",),
    (
        *described(
            ("movement_id", TEXT, "Identifier of the movement; a corrected one keeps it."),
            ("business_date", DATE, "Trading day in the store's time zone."),
            ("store_id", TEXT, "Store."),
            ("product_id", TEXT, "Product."),
        ),
        Column(
            "movement_type",
            TEXT,
            "receipt, waste, count or transfer.",
            allowed=("receipt", "waste", "count", "transfer"),
        ),
        *described(
            (
                "quantity",
                QUANTITY,
                "Units into the store's stock, negative out of it; of a count the correction, 0 when the books agreed.",
                "units",
            ),
            ("modified_at", TIMESTAMP, "Last change in the source.", "UTC", NULLABLE),
        ),
    ),
)
STORES = Entity(
    "stores",
    "Stores.",
    "store",
    ("store_id",),
    bounded(
        {"trading_hours": (1, 24)},
        ("store_id", TEXT, "Store."),
        ("store_name", TEXT, "Name."),
        ("region", TEXT, "Region or state.", "", NULLABLE),
        ("store_format", TEXT, "Format, such as city or hyper.", "", NULLABLE),
        ("opened_date", DATE, "First trading day.", "", NULLABLE),
        ("closed_date", DATE, "Last trading day.", "", NULLABLE),
        (
            "opening_weekdays",
            TEXT,
            "Weekdays it trades: ISO numbers such as 123456, or names such as Mon-Sat; empty to learn them from sales.",
            "",
            NULLABLE,
        ),
        ("trading_hours", UNITS, "Hours a day it trades, 24 around the clock; empty to learn them.", "hours", NULLABLE),
    ),
)
PRODUCTS = Entity(
    "products",
    "Products.",
    "product",
    ("product_id",),
    bounded(
        {"unit_step": (_LEAST_STEP, None)},
        ("product_id", TEXT, "Product."),
        ("product_name", TEXT, "Name."),
        ("department", TEXT, "Department.", "", NULLABLE),
        ("category", TEXT, "Category, above department.", "", NULLABLE),
        ("list_price", MONEY, "Regular price of one unit.", "currency", NULLABLE),
        ("unit_cost", MONEY, "Cost of one unit.", "currency", NULLABLE),
        ("unit_step", UNITS, "Smallest step of quantity: 1, or the weight step of weighed goods.", "units", NULLABLE),
        ("introduced_date", DATE, "First day on sale.", "", NULLABLE),
        ("discontinued_date", DATE, "Last day on sale.", "", NULLABLE),
    ),
)
SUPPLIERS = Entity(
    "suppliers",
    "Suppliers and their promised lead times.",
    "supplier",
    ("supplier_id",),
    bounded(
        {"lead_time_days": (0, _MOST_DAYS)},
        ("supplier_id", TEXT, "Supplier."),
        ("supplier_name", TEXT, "Name."),
        ("lead_time_days", DAYS, "Promised days from order to delivery.", "days"),
        ("min_order_value", MONEY, "Least value of one order to one store.", "currency", NULLABLE),
    ),
)
SUPPLIER_CALENDAR = Entity(
    "supplier_calendar",
    "When a source takes orders, by weekday or on single days; one without rows takes them every day.",
    "source, location and weekday or day",
    ("source_id", "location_id", "order_date", "order_weekday"),
    (
        *described(
            ("source_id", TEXT, "Supplier or distribution centre."),
            ("location_id", TEXT, "Store served; empty for every store.", "", NULLABLE),
        ),
        Column(
            "order_date",
            DATE,
            "Single day an order can leave; empty for every week. Plans use weekdays only.",
            nullable=True,
            default=ALWAYS,
        ),
        Column(
            "order_weekday",
            DAYS,
            "Weekday an order can leave, 1 Monday … 7 Sunday; of a single day its own.",
            "ISO weekday",
            nullable=True,
        ),
        Column(
            "delivery_days",
            DAYS,
            "Days from this order to its delivery; empty for the supplier's lead time. Not used by plans.",
            "days",
            nullable=True,
            least=0,
        ),
        Column(
            "cutoff_time",
            TEXT,
            "Latest time to order on that day, HH:MM where the stores are; empty for midnight. Not used by plans.",
            nullable=True,
        ),
    ),
)
SOURCING = Entity(
    "sourcing",
    "Which supplier or distribution centre serves a product, and on what terms.",
    "product, location, source and start",
    ("product_id", "location_id", "source_id", "valid_from"),
    (
        *described(
            ("product_id", TEXT, "Product."),
            ("location_id", TEXT, "Store served; empty for every store.", "", NULLABLE),
            ("source_id", TEXT, "Supplier or distribution centre."),
        ),
        Column("source_type", TEXT, "supplier or dc.", nullable=True, default="supplier", allowed=("supplier", "dc")),
        Column(
            "priority",
            DAYS,
            "Rank of the source for this product, 1 first; empty after all others. Sources alike in it are ranked by "
            "unit cost, then lead time.",
            "rank",
            nullable=True,
            least=1,
        ),
        Column(
            "pack_units",
            UNITS,
            "Units in one pack; orders are whole packs.",
            "units",
            nullable=True,
            default=1.0,
            least=_LEAST_STEP,
        ),
        Column("moq_units", UNITS, "Least units on one order line.", "units", nullable=True, default=0.0, least=0),
        Column("unit_cost", MONEY, "Purchase cost of one unit; empty for the product's.", "currency", nullable=True),
        Column(
            "shelf_life_days",
            DAYS,
            "Days a unit can be sold after receipt; empty for no limit.",
            "days",
            nullable=True,
            least=0,
        ),
        Column(
            "presentation_min_units",
            UNITS,
            "Units that must lie on the shelf for it to look right; plans order when the position falls below them.",
            "units",
            nullable=True,
            default=0.0,
            least=0,
        ),
        Column(
            "shelf_max_units",
            UNITS,
            "Most units the shelf and back room hold; empty for no limit.",
            "units",
            nullable=True,
            least=0,
        ),
        Column("valid_from", DATE, "First day of these terms; empty for always.", nullable=True, default=ALWAYS),
        Column("valid_to", DATE, "Last day of these terms; empty for no end.", nullable=True),
    ),
)
ASSORTMENT = Entity(
    "assortment",
    "When a store carries a product.",
    "store, product and start",
    ("store_id", "product_id", "valid_from"),
    described(
        ("store_id", TEXT, "Store."),
        ("product_id", TEXT, "Product."),
        ("valid_from", DATE, "First day carried."),
        ("valid_to", DATE, "Last day carried, when ended.", "", NULLABLE),
    ),
)
CUSTOMERS = Entity(
    "customers",
    "Customers, without names or addresses.",
    "customer",
    ("customer_id",),
    described(
        ("customer_id", TEXT, "Customer."),
        ("customer_segment", TEXT, "Segment.", "", NULLABLE),
        ("region", TEXT, "Region.", "", NULLABLE),
        ("joined_date", DATE, "First day known.", "", NULLABLE),
    ),
    personal=("customer_id", "customer_segment", "region", "joined_date"),
)
PURCHASE_ORDERS = Entity(
    "purchase_orders",
    "Purchase order lines with the dates of their events.",
    "purchase order line",
    ("purchase_order_line_id",),
    bounded(
        {"ordered_units": (0, None)},
        ("purchase_order_line_id", TEXT, "Purchase order line."),
        ("purchase_order_id", TEXT, "Purchase order."),
        ("supplier_id", TEXT, "Supplier."),
        ("store_id", TEXT, "Store that receives."),
        ("product_id", TEXT, "Product."),
        ("ordered_date", DATE, "Day the order left."),
        (
            "promised_date",
            DATE,
            "Day the supplier promised delivery; empty for the order day plus the supplier's lead time.",
            "",
            NULLABLE,
        ),
        (
            "received_date",
            DATE,
            "Day of the last receipt; it closes the line, and units not received by then are no longer expected.",
            "",
            NULLABLE,
        ),
        ("cancelled_date", DATE, "Day it was cancelled.", "", NULLABLE),
        ("ordered_units", QUANTITY, "Units ordered.", "units"),
        (
            "received_units",
            QUANTITY,
            "Units received so far; empty on a closed line for all that was ordered, below 0 taken as none.",
            "units",
            NULLABLE,
        ),
        ("unit_cost", MONEY, "Agreed cost of one unit.", "currency", NULLABLE),
        (
            "proposal_id",
            TEXT,
            "The replenishment proposal it came from; without it the line is matched by source, store, product, day "
            "and units.",
            "",
            NULLABLE,
        ),
    ),
)
PRICES = Entity(
    "prices",
    "Selling prices from the day they hold, planned ones included.",
    "store, product and start",
    ("store_id", "product_id", "valid_from"),
    described(
        ("store_id", TEXT, "Store; empty for every store.", "", NULLABLE),
        ("product_id", TEXT, "Product."),
        ("valid_from", DATE, "First day of the price."),
        ("unit_price", MONEY, "Price of one unit.", "currency"),
    ),
)
PROMOTIONS = Entity(
    "promotions",
    "Promotions, planned ones included.",
    "promotion, store and product",
    ("promotion_id", "store_id", "product_id"),
    described(
        ("promotion_id", TEXT, "Promotion."),
        ("store_id", TEXT, "Store; empty for every store.", "", NULLABLE),
        ("product_id", TEXT, "Product."),
        ("start_date", DATE, "First day."),
        ("end_date", DATE, "Last day."),
        ("discount_rate", RATE, "Share of the price taken off.", "0–1", NULLABLE),
    ),
)
EVENTS = Entity(
    "events",
    "Holidays and local events; the type `closed` means that stores do not trade.",
    "day, event and region",
    ("event_date", "event_name", "region"),
    described(
        ("event_date", DATE, "Day."),
        ("event_name", TEXT, "Name."),
        ("event_type", TEXT, "Kind: holiday, closed, or the source's own.", "", NULLABLE),
        ("region", TEXT, "Region concerned; empty for every region.", "", NULLABLE),
    ),
)
FORECAST_OVERRIDES = Entity(
    "forecast_overrides",
    "Target means planners set in the application.",
    "override",
    ("override_id",),
    described(
        ("override_id", PLANNER_ID, "Override."),
        ("store_id", PLANNER_ID, "Store; empty for every store.", "", NULLABLE),
        ("product_id", PLANNER_ID, "Product; empty for every product.", "", NULLABLE),
        ("from_date", DATE, "First target day."),
        ("to_date", DATE, "Last target day."),
        ("mean_units", UNITS, "Mean demand a day the planner expects.", "units"),
        ("reason", PLANNER_TEXT, "Why."),
        ("decided_by", PLANNER_TEXT, "Who."),
        ("decided_at", TIMESTAMP, "When.", "UTC"),
    ),
    personal=("decided_by", "reason"),
)
APPROVED, REJECTED = "approved", "rejected"
ORDER_DECISIONS = Entity(
    "order_decisions",
    "What planners decided on proposed orders.",
    "decision",
    ("decision_id",),
    described(
        ("decision_id", PLANNER_ID, "Decision."),
        ("proposal_id", PLANNER_ID, "Proposal decided on."),
        ("store_id", PLANNER_ID, "Store."),
        ("product_id", PLANNER_ID, "Product."),
        ("supplier_id", PLANNER_ID, "Supplier or distribution centre ordered from.", "", NULLABLE),
        ("decision", PLANNER_TEXT, "approved or rejected."),
        ("order_units", UNITS, "Units approved.", "units"),
        ("order_date", DATE, "Day the order leaves."),
        ("expected_delivery_date", DATE, "Day it is expected."),
        ("reason", PLANNER_TEXT, "Why, when changed.", "", NULLABLE),
        ("decided_by", PLANNER_TEXT, "Who."),
        ("decided_at", TIMESTAMP, "When.", "UTC"),
    ),
    personal=("decided_by", "reason"),
)

DAILY = (SALES, INVENTORY, STOCK_MOVEMENTS)
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
)
SOURCE_ENTITIES = (*DAILY, *SNAPSHOTS)
"""Read from the operational database through a mapping."""

APPLICATION_ENTITIES = (FORECAST_OVERRIDES, ORDER_DECISIONS)
"""Read from the application database: what planners decided."""

REQUIRED_ENTITIES = (STORES, PRODUCTS, SALES)
"""A mapping must bind these; any other may be missing and gives an empty table."""
