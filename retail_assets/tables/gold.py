"""Gold: the star schema and the dense demand table that forecasting and planning read."""

from dataclasses import replace

from retail_assets.tables import entities
from retail_assets.tables.contract import (
    COUNT,
    DATE,
    DAYS,
    EXTRACTED_AT,
    FLAG,
    KEY_TEXT,
    LONG_TEXT,
    MONEY,
    NULLABLE,
    QUANTITY,
    RATE,
    SHORT_TEXT,
    UNITS,
    Column,
    Layout,
    Partitioning,
    Reference,
    Table,
    at_least_zero,
    code,
    described,
    series_order,
)

_STORE = Reference("store_id", "gold/dim_store", "store_id")
_PRODUCT = Reference("product_id", "gold/dim_product", "product_id")
CENSORINGS = ("none", "partial", "full", "unknown")
PRICES, LIST_PRICE, SALE_LINES = "prices", "list_price", "sale_lines"
PRICE_SOURCES = (PRICES, LIST_PRICE, SALE_LINES)
NO_SALE = "none"
DEMAND_CLASSES = ("smooth", "erratic", "intermittent", "lumpy", NO_SALE)
INTERVAL_LIMIT_DAYS, SQUARED_VARIATION_LIMIT = 1.32, 0.49
"""Between demand classes, by days between demands and by CV²: Syntetos, Boylan & Croston 2005."""

SHARE_A, SHARE_B = 0.8, 0.95
"""Of the sales value: a series is A where its first unit falls below the one, B below the other, else C."""

_VALIDITY = described(
    ("valid_from", DATE, "First day this version holds."),
    ("valid_to", DATE, "Last day this version holds; open when empty.", "", NULLABLE),
    ("is_current", FLAG, "The newest version."),
    ("is_reconstructed", FLAG, "Holds for days before the first snapshot, as the earliest known version."),
)


def _daily(name: str, meaning: str, grain: str, key: tuple[str, ...], columns: tuple[Column, ...], **kwargs) -> Table:
    sort_by = kwargs.pop("sort_by", series_order(*key))
    return Table(
        layer="gold",
        name=name,
        meaning=meaning,
        grain=grain,
        key=key,
        columns=columns,
        partition_column="business_date",
        partitioning=Partitioning.DAILY,
        layout=Layout.MONTH,
        sort_by=sort_by,
        personal=kwargs.pop("personal", ()),
        references=tuple(r for r in (_STORE, _PRODUCT) if r.column in {column.name for column in columns}),
    )


def _dimension(
    name: str, meaning: str, key_column: str, columns: tuple[Column, ...], *, personal: tuple[str, ...] = ()
) -> Table:
    return Table(
        layer="gold",
        name=name,
        meaning=f"{meaning} Type 2: one row a version, derived from the history of snapshots.",
        grain=f"{key_column.removesuffix('_id')} and version",
        key=(key_column, "valid_from"),
        columns=(*columns, *_VALIDITY),
        sort_by=(key_column, "valid_from"),
        is_replicated=True,
        personal=personal,
    )


FACT_SALES = _daily(
    "fact_sales",
    "Sales and returns.",
    "sale line",
    ("business_date", "sale_line_id"),
    (
        *described(
            ("sale_line_id", KEY_TEXT, "Sale line."),
            ("sale_id", KEY_TEXT, "Basket.", "", NULLABLE),
            ("business_date", DATE, "Trading day."),
            ("store_id", KEY_TEXT, "Store."),
            ("product_id", KEY_TEXT, "Product."),
            ("customer_id", KEY_TEXT, "Customer, when known.", "", NULLABLE),
            ("quantity", QUANTITY, "Units, negative for a return.", "units"),
        ),
        *at_least_zero(("unit_price", MONEY, "Price before discount.", "currency")),
        *described(
            ("gross_value", MONEY, "Quantity times price.", "currency"),
            ("discount_value", MONEY, "Discount.", "currency"),
            ("net_value", MONEY, "Gross less discount.", "currency"),
            ("is_return", FLAG, "The customer brought goods back."),
        ),
        EXTRACTED_AT,
    ),
    personal=entities.SALES.personal,
)
FACT_INVENTORY = _daily(
    "fact_inventory",
    "Closing stock and its value.",
    "store, product and day",
    ("business_date", "store_id", "product_id"),
    (
        *described(
            ("business_date", DATE, "Trading day."),
            ("store_id", KEY_TEXT, "Store."),
            ("product_id", KEY_TEXT, "Product."),
            ("on_hand_units", QUANTITY, "Stock at closing; may be negative in the source.", "units"),
            ("stock_value", MONEY, "Stock at cost; empty without a cost.", "currency", NULLABLE),
            ("stock_out_hours", UNITS, "Trading hours without stock.", "hours", NULLABLE),
        ),
        EXTRACTED_AT,
    ),
)
DEMAND_DAILY = _daily(
    "demand_daily",
    "Demand, dense: every day of every product a store carries, zeros filled, missing feeds flagged and not zeroed.",
    "store, product and day",
    ("business_date", "store_id", "product_id"),
    (
        *described(
            ("business_date", DATE, "Trading day."),
            ("store_id", KEY_TEXT, "Store."),
            ("product_id", KEY_TEXT, "Product."),
        ),
        *at_least_zero(
            ("sold_units", UNITS, "Units sold, returns apart; empty when the feed is missing.", "units", NULLABLE),
            ("returned_units", UNITS, "Units brought back; empty when the feed is missing.", "units", NULLABLE),
        ),
        *described(
            ("net_value", MONEY, "Sales less discounts and returns.", "currency", NULLABLE),
            ("unit_price", UNITS, "Price asked that day.", "currency", NULLABLE),
        ),
        replace(
            code(
                "price_source",
                "Where the price comes from: prices, list_price, or sale_lines, the median of recent sale lines; empty "
                "without a price.",
                *PRICE_SOURCES,
            ),
            nullable=NULLABLE,
        ),
        *described(
            ("discount_rate", RATE, "Promotion discount that day, 0 without one.", "0–1"),
            ("is_promoted", FLAG, "A promotion ran."),
            ("is_open", FLAG, "The store traded."),
            ("is_feed_missing", FLAG, "No sale of the whole store arrived although it was open."),
            ("on_hand_units", UNITS, "Stock at closing; empty without stock data.", "units", NULLABLE),
        ),
        code("censoring", "none, partial, full or unknown: did stock limit the sales?", *CENSORINGS),
        *described(
            ("available_rate", RATE, "Share of the trading day with stock; empty when unknown.", "0–1", NULLABLE),
        ),
        *at_least_zero(
            ("unconstrained_units", UNITS, "Estimated demand; never below sales.", "units", NULLABLE),
            ("unconstrained_sd", UNITS, "Standard deviation of that estimate, 0 when observed.", "units", NULLABLE),
        ),
    ),
)
SALES_SUMMARY = _daily(
    "sales_summary",
    "Sales by store and department.",
    "store, department and day",
    ("business_date", "store_id", "department"),
    described(
        ("business_date", DATE, "Trading day."),
        ("store_id", KEY_TEXT, "Store."),
        ("department", KEY_TEXT, "Department."),
        ("line_count", COUNT, "Sale lines."),
        ("basket_count", COUNT, "Baskets."),
        ("sold_units", UNITS, "Units sold.", "units"),
        ("returned_units", UNITS, "Units brought back.", "units"),
        ("gross_value", MONEY, "Sales before discounts.", "currency"),
        ("discount_value", MONEY, "Discounts.", "currency"),
        ("net_value", MONEY, "Sales less discounts and returns.", "currency"),
    ),
    sort_by=("store_id", "department", "business_date"),
)
DIM_DATE = Table(
    layer="gold",
    name="dim_date",
    meaning="Calendar with holidays of the retailer's country and the source's events, a year beyond the history.",
    grain="day",
    key=("date",),
    columns=described(
        ("date", DATE, "Day."),
        ("year", DAYS, "Year."),
        ("month", DAYS, "Month of the year."),
        ("week", DAYS, "ISO week."),
        ("weekday", DAYS, "1 Monday … 7 Sunday.", "ISO weekday"),
        ("day_of_year", DAYS, "Day of the year."),
        ("is_weekend", FLAG, "Saturday or Sunday."),
        ("holiday_name", SHORT_TEXT, "Public holiday.", "", NULLABLE),
        ("event_names", LONG_TEXT, "The source's events, joined by `; `.", "", NULLABLE),
    ),
    sort_by=("date",),
    is_replicated=True,
)
DIM_STORE = _dimension(
    "dim_store",
    "Stores.",
    "store_id",
    described(
        ("store_id", KEY_TEXT, "Store."),
        ("store_name", SHORT_TEXT, "Name."),
        ("region", SHORT_TEXT, "Region or state.", "", NULLABLE),
        ("store_format", SHORT_TEXT, "Format.", "", NULLABLE),
        ("opened_date", DATE, "First trading day.", "", NULLABLE),
        ("closed_date", DATE, "Last trading day.", "", NULLABLE),
    ),
)
DIM_PRODUCT = _dimension(
    "dim_product",
    "Products.",
    "product_id",
    described(
        ("product_id", KEY_TEXT, "Product."),
        ("product_name", SHORT_TEXT, "Name."),
        ("department", SHORT_TEXT, "Department."),
        ("category", SHORT_TEXT, "Category."),
        ("list_price", MONEY, "Regular price.", "currency", NULLABLE),
        ("unit_cost", MONEY, "Cost of one unit.", "currency", NULLABLE),
        ("unit_step", UNITS, "Smallest step of quantity.", "units"),
        ("introduced_date", DATE, "First day on sale.", "", NULLABLE),
        ("discontinued_date", DATE, "Last day on sale.", "", NULLABLE),
    ),
)
DIM_SUPPLIER = _dimension(
    "dim_supplier",
    "Suppliers.",
    "supplier_id",
    described(
        ("supplier_id", KEY_TEXT, "Supplier."),
        ("supplier_name", SHORT_TEXT, "Name."),
        ("lead_time_days", DAYS, "Promised days from order to delivery.", "days"),
        ("min_order_value", MONEY, "Least value of one order to one store.", "currency", NULLABLE),
    ),
)
DIM_CUSTOMER = _dimension(
    "dim_customer",
    "Customers, without names or addresses.",
    "customer_id",
    described(
        ("customer_id", KEY_TEXT, "Customer."),
        ("customer_segment", SHORT_TEXT, "Segment.", "", NULLABLE),
        ("region", SHORT_TEXT, "Region.", "", NULLABLE),
        ("joined_date", DATE, "First day known.", "", NULLABLE),
    ),
    personal=entities.CUSTOMERS.personal,
)
PRODUCT_SEGMENTS = Table(
    layer="gold",
    name="product_segments",
    meaning="Segments of every month, from the 365 days before it: readable as of any date without look-ahead.",
    grain="store, product and month",
    key=("valid_from", "store_id", "product_id"),
    columns=(
        *described(
            ("valid_from", DATE, "First day of the month the segments hold for."),
            ("store_id", KEY_TEXT, "Store."),
            ("product_id", KEY_TEXT, "Product."),
        ),
        code("abc_class", "A, B or C: first 80 %, next 15 %, last 5 % of sales value.", "A", "B", "C"),
        code("xyz_class", "X, Y or Z: coefficient of variation of monthly demand up to 0.5, up to 1, above.", *"XYZ"),
        code(
            "demand_class",
            "smooth, erratic, intermittent or lumpy by ADI 1.32 and CV² 0.49, or none.",
            *DEMAND_CLASSES,
        ),
        *at_least_zero(
            ("mean_daily_units", UNITS, "Mean demand a day.", "units"),
            ("average_demand_interval_days", UNITS, "Days between days with demand (ADI).", "days", NULLABLE),
            ("squared_variation", UNITS, "CV² of the non-zero demands.", "", NULLABLE),
        ),
        *described(("net_value", MONEY, "Sales value of the window.", "currency")),
    ),
    references=(_STORE, _PRODUCT),
    sort_by=("valid_from", "store_id", "product_id"),
)
DAILY = (FACT_SALES, FACT_INVENTORY, DEMAND_DAILY, SALES_SUMMARY)
DIMENSIONS = (DIM_STORE, DIM_PRODUCT, DIM_SUPPLIER, DIM_CUSTOMER)
TABLES = (*DAILY, DIM_DATE, *DIMENSIONS, PRODUCT_SEGMENTS)
