"""What operational databases call the canonical entities and columns, and how a name becomes comparable words.

Add a word here when a database uses another one. An entity or column that is not listed is known by its own name,
so that a new one of the contracts needs no entry. Matching belongs to `matching`.
"""

import re
from functools import cache, lru_cache

STORE = ("store", "shop", "branch", "outlet", "site", "location", "warehouse", "territory")
PRODUCT = ("product", "item", "article", "sku", "stock item", "material", "goods", "merchandise")
SUPPLIER = ("supplier", "vendor", "creditor", "source", "manufacturer")
CUSTOMER = ("customer", "client", "member", "shopper", "account", "debtor")
_PROMOTION = ("promotion", "promo", "offer", "special offer", "campaign", "deal")
_SALE = ("sale", "order", "sales order", "invoice", "receipt", "transaction", "basket", "ticket", "bill", "check")
_PURCHASE = ("purchase order", "po", "purchase", "supplier order", "replenishment order", "order")
_LINE = ("line", "detail", "item", "position", "row", "entry")

ID_NOUNS: dict[str, tuple[str, ...]] = {
    "store_id": STORE,
    "location_id": STORE,
    "product_id": PRODUCT,
    "supplier_id": SUPPLIER,
    "source_id": SUPPLIER,
    "customer_id": CUSTOMER,
    "promotion_id": _PROMOTION,
    "sale_id": _SALE,
    "purchase_order_id": _PURCHASE,
    "sale_line_id": (*(f"{sale} {line}" for line in _LINE for sale in _SALE), "line", "detail"),
    "purchase_order_line_id": (*(f"{order} {line}" for line in _LINE for order in _PURCHASE), "line", "detail"),
}
"""Columns that identify something, and the nouns for it."""

_ID_WORDS = ("id", "code", "number", "key", "")

ENTITY_NAMES: dict[str, tuple[str, ...]] = {
    "stores": STORE,
    "products": PRODUCT,
    "suppliers": SUPPLIER,
    "customers": CUSTOMER,
    "sales": (
        *("sales line", "sales order detail", "sales order line", "order line", "order detail", "order item"),
        *("sales detail", "sales item", "pos line", "pos sales line", "invoice line", "receipt line", "basket line"),
        *("transaction line", "transaction item", "transaction detail", "ticket line", "invoice item", "line item"),
        *("bill line", "receipt item", "invoice detail", "pos", "sale", "transaction", "order"),
    ),
    "inventory": (
        *("inventory", "stock", "stock on hand", "on hand", "stock level", "closing stock", "stock closing"),
        *("inventory level", "daily stock", "stock snapshot", "inventory snapshot", "product inventory"),
    ),
    "purchase_orders": (
        *("purchase order line", "purchase order detail", "purchase order item", "po line", "purchase line"),
        *("supplier order line", "replenishment order line", "purchase order", "po", "purchase", "supplier order"),
    ),
    "sourcing": (*(f"{product} {supplier}" for product in PRODUCT for supplier in SUPPLIER), "supply agreement"),
    "supplier_calendar": (
        *("supplier calendar", "supplier order day", "order day", "order calendar", "delivery schedule"),
        *("vendor calendar", "supplier schedule", "vendor order day"),
    ),
    "assortment": (
        *("assortment", "range", "listing", "ranging", "planogram"),
        *(f"{store} {product}" for store in STORE for product in PRODUCT),
    ),
    "prices": (
        *("price", "price list", "product price", "item price", "price history", "list price history"),
        *("selling price", "sales price", "price change", "product list price history"),
    ),
    "promotions": (
        *("promotion item", "promotion product", "special offer product", "offer product", "promo item"),
        *("campaign product", "promotion", "promo", "special offer", "campaign", "deal"),
    ),
    "events": ("event", "holiday", "calendar event", "store event", "public holiday", "closing day"),
    "stock_movements": ("stock movement", "inventory movement", "stock transaction", "inventory transaction"),
}
_LESS_LIKELY = {"territory", "location", "warehouse", "source", "manufacturer", "account", "order", "transaction"}

FOREIGN_WORDS: dict[str, tuple[str, ...]] = {
    "stores": ("product", "item", "order", "event", "assortment", "price", "history"),
    "products": ("supplier", "vendor", "inventory", "stock", "price", "cost", "order", "sale", "category", "model"),
    "suppliers": ("product", "item", "order", "calendar", "day"),
    "customers": ("order", "sale", "type"),
    "sales": ("purchase", "po", "supplier", "vendor", "replenishment", "return", "tax", "quota", "person", "event"),
    "inventory": ("movement", "transaction", "transfer", "count"),
    "purchase_orders": ("sale", "customer"),
    "prices": ("cost", "purchase", "supplier", "vendor"),
    "events": ("log", "audit"),
}
"""Words in a table's name that make it something else."""

PARENT_WORDS: dict[str, tuple[str, ...]] = {
    "sales": (
        "sale",
        "order",
        "header",
        "head",
        "invoice",
        "receipt",
        "transaction",
        "basket",
        "ticket",
        "bill",
        "pos",
    ),
    "purchase_orders": ("purchase", "order", "po", "header", "head", "supplier", "vendor", "replenishment"),
    "promotions": ("promotion", "promo", "offer", "special", "campaign", "deal", "discount", "header"),
    "products": (
        *("product", "item", "article", "category", "sub", "subcategory", "department", "group", "family", "class"),
        *("division", "section", "hierarchy"),
    ),
}
"""Words of tables a row may be completed from: the header of a line, the category of a product."""

_NAME_WORDS = ("name", "title", "label", "company name", "description")
_START = ("start date", "valid from", "from date", "date from", "effective date", "effective from", "begin date")
_END = ("end date", "valid to", "to date", "date to", "effective to", "until", "expiry date")

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "business_date": (
        *("business day", "trading date", "trading day", "sale date", "order date", "transaction date"),
        *("invoice date", "receipt date", "posting date", "stock date", "closing date", "snapshot date", "date", "day"),
        *("sold at", "sold on", "ordered at", "order time", "transaction time", "created at", "timestamp"),
    ),
    "quantity": (
        "qty",
        "order qty",
        "units",
        "units sold",
        "qty sold",
        "quantity sold",
        "sales qty",
        "pieces",
        "count",
    ),
    "unit_price": ("price", "sell price", "selling price", "sale price", "list price", "net price", "retail price"),
    "discount_value": ("discount amount", "line discount", "discount total"),
    "modified_at": (
        *("updated at", "changed at", "last modified", "modified date", "modified", "updated", "last update"),
        *("change date", "last updated", "date modified", "update date"),
    ),
    "on_hand_units": (
        *("on hand", "units in stock", "qty on hand", "on hand qty", "stock on hand", "closing stock", "stock qty"),
        *("stock", "quantity", "stock level", "available", "units"),
    ),
    "store_name": _NAME_WORDS,
    "product_name": _NAME_WORDS,
    "supplier_name": _NAME_WORDS,
    "event_name": ("name", "title", "holiday", "description"),
    "event_date": ("date", "day", "holiday date"),
    "event_type": ("type", "kind"),
    "region": ("state", "province", "country", "area", "county", "district", "group", "territory", "zone", "city"),
    "store_format": ("format", "store type", "type", "banner", "concept"),
    "opened_date": ("opening date", "open date", "opened", "opened at", "opened on", "start date"),
    "closed_date": ("closing date", "close date", "closed", "closed at", "closed on", "end date"),
    "department": ("department name", "subcategory", "subcategory name", "product group", "family"),
    "category": ("category name", "main category", "division", "section"),
    "list_price": ("unit price", "price", "retail price", "regular price", "selling price", "rrp", "msrp"),
    "unit_cost": ("cost", "standard cost", "cost price", "purchase price", "standard price", "buying price"),
    "introduced_date": ("introduction date", "launch date", "sell start date", "available from", "start date"),
    "discontinued_date": ("sell end date", "delisted date", "end date", "discontinued"),
    "lead_time_days": ("lead time", "average lead time", "lead days", "delivery days", "delivery time"),
    "min_order_value": ("min order amount", "minimum order", "min order"),
    "order_weekday": ("iso weekday", "weekday", "day of week", "order day"),
    "priority": ("rank", "supplier rank", "source rank", "preference", "supplier priority", "source priority"),
    "pack_units": ("pack size", "case size", "case pack", "units per pack", "units per case", "pack qty", "carton qty"),
    "min_order_units": ("min order qty", "moq", "minimum order quantity", "min qty"),
    "moq_units": ("min order units", "min order qty", "moq", "minimum order quantity", "min qty"),
    "max_stock_units": ("max stock", "shelf max units", "shelf capacity"),
    "shelf_max_units": ("max stock units", "max stock", "shelf capacity"),
    "shelf_life_days": ("shelf life", "days of life"),
    "valid_from": (*_START, "price date", "listed from", "date"),
    "valid_to": (*_END, "listed to"),
    "start_date": _START,
    "end_date": _END,
    "customer_segment": ("segment", "customer type", "customer group", "tier", "type"),
    "joined_date": (
        "join date",
        "registered at",
        "registration date",
        "member since",
        "joined at",
        "joined on",
        "signup date",
        "created at",
    ),
    "ordered_date": ("order date", "po date", "purchase date", "ordered at", "ordered on", "created at", "date"),
    "promised_date": ("due date", "expected date", "expected delivery date", "required date", "delivery date", "eta"),
    "received_date": ("receipt date", "delivered date", "arrival date", "received at", "received on"),
    "cancelled_date": ("canceled date", "cancellation date", "cancelled at", "cancelled on"),
    "ordered_units": ("order qty", "ordered qty", "qty ordered", "quantity ordered", "quantity", "units"),
    "received_units": ("received qty", "qty received", "quantity received", "received"),
    "movement_type": ("type", "transaction type", "reason", "movement reason"),
    "cutoff_time": ("cut off", "cut off time", "order until"),
    "order_date": ("date", "calendar date"),
    "discount_rate": ("discount pct", "discount percent", "discount percentage", "discount"),
}

_NAMES_OF: dict[tuple[str, str], tuple[str, ...]] = {
    ("purchase_orders", "unit_cost"): ("unit price", "cost", "price", "purchase price"),
}

_SHORT = {
    "qty": "quantity",
    "qnty": "quantity",
    "amt": "amount",
    "no": "number",
    "nr": "number",
    "num": "number",
    "cd": "code",
    "dt": "date",
    "desc": "description",
    "dept": "department",
    "cat": "category",
    "prod": "product",
    "cust": "customer",
    "supp": "supplier",
    "loc": "location",
    "whse": "warehouse",
    "txn": "transaction",
    "trx": "transaction",
    "trans": "transaction",
    "hdr": "header",
    "dtl": "detail",
    "minimum": "min",
    "maximum": "max",
    "avg": "average",
    "prc": "price",
    "snap": "snapshot",
    "percentage": "percent",
}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")

Words = tuple[str, ...]


@lru_cache(maxsize=10_000)
def words(name: str) -> Words:
    """A name in comparable words: `OrderDetails`, `order_details` and `orderdetail` are all (order, detail)."""
    plain = [_plain(word.lower()) for word in _WORD.findall(name)]
    return tuple(part for word in plain for part in _split(word))


def column_phrases(entity: str, column: str) -> dict[Words, float]:
    """Names a column of an entity may have, each with how telling it is (0–1)."""
    found = {words(column): 1.0}
    for place, noun in enumerate(ID_NOUNS.get(column, ())):
        likely = max(0.87, 0.97 - 0.01 * place)
        for word in _ID_WORDS:
            found.setdefault(words(f"{noun} {word}"), likely if word else likely - 0.1)
    for place, name in enumerate(_NAMES_OF.get((entity, column), COLUMN_NAMES.get(column, ()))):
        found.setdefault(words(name), max(0.6, 0.95 - 0.01 * place))
    return found


def table_phrases(entity: str) -> list[tuple[Words, float]]:
    """Names a table of an entity may have, each with how telling it is (0–1)."""
    phrases = dict.fromkeys(map(words, (entity, *ENTITY_NAMES.get(entity, ()))))
    return [(phrase, 0.6 if set(phrase) <= _LESS_LIKELY else 1.0) for phrase in phrases]


def _plain(word: str) -> str:
    word = _SHORT.get(word, word)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is", "pos")) else word


def _split(word: str) -> Words:
    """Names that lost their capitals, such as `orderdate`, in known words; else the word itself."""
    known = _known_words()
    if word in known:
        return (word,)
    for end in range(len(word) - 2, 1, -1):
        if _plain(word[:end]) in known and len(word) - end >= 2:
            rest = _split(_plain(word[end:]))
            if all(part in known for part in rest):
                return (_plain(word[:end]), *rest)
    return (word,)


@cache
def _known_words() -> frozenset[str]:
    lists = (ENTITY_NAMES, COLUMN_NAMES, ID_NOUNS, PARENT_WORDS)
    phrases = [*_ID_WORDS, *_SHORT, *(name for names in lists for name in names)]
    phrases += [phrase for names in lists for listed in names.values() for phrase in listed]
    return frozenset(_plain(word) for phrase in phrases for word in re.findall(r"[a-z]+", phrase))
