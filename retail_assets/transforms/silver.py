"""Bronze to silver: validate rows, keep the newest of each key, conform codes.

Add a rule here when the source can deliver something gold must not see. Every rule has a name and a
sentence that a person at the source understands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import ibis
import pyarrow as pa

from retail_assets.tables import bronze, entities, silver
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Column, Table
from retail_assets.tables.entities import ALWAYS, Entity
from retail_assets.transforms import as_of, weekdays
from retail_assets.transforms.gold import net_value_of
from retail_assets.transforms.limits import MAX_LINE_UNITS, MAX_LINE_VALUE, MAX_PRICE, MAX_STOCK_UNITS, MAX_UNITS
from retail_assets.transforms.rules import (
    BROKEN_RULE,
    Rule,
    accepted,
    any_breaks,
    code_tests,
    range_tests,
    refused,
    stripped,
    validate,
    with_ids_as_delivered,
)

Known = Mapping[str, ibis.Table]

_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.0+)?)?$"
_SPANS = (("valid_from", "valid_to"), ("start_date", "end_date"), ("from_date", "to_date"))

FUTURE_DATE = Rule(
    "future_date",
    "The business date had not begun where the stores are when the row was read.",
    lambda t: t.extracted_at < t.begins_at,
)
UNKNOWN_STORE = Rule("unknown_store", "The store is not among the stores.", lambda t: ~t.is_known_store)
UNKNOWN_PRODUCT = Rule("unknown_product", "The product is not among the products.", lambda t: ~t.is_known_product)
DUPLICATE = Rule("duplicate", "The same row was delivered again.", lambda t: t.is_repeated)
SUPERSEDED = Rule("superseded", "A later version of the same row replaced it.", lambda t: t.is_older)


def _wrong_type(entity: Entity) -> Rule:
    """An infinite number cannot be read as one either."""
    floats = [column.name for column in entity.columns if pa.types.is_floating(column.type)]
    breaks = lambda t: ibis.or_(t.unparsed.notnull(), *(t[n].isinf().fill_null(False) for n in floats))  # noqa: E731
    return Rule("wrong_type", "A value does not have its column's type.", breaks)


def _missing(entity: Entity) -> Rule:
    required = [column.name for column in entity.columns if not column.nullable]
    names = ", ".join(required)
    return Rule("missing_value", f"One of {names} is empty.", lambda t: ibis.or_(*(t[n].isnull() for n in required)))


def _unknown_codes(entity: Entity) -> tuple[Rule, ...]:
    tests = [test for column in entity.columns for test in code_tests(column)]
    if not tests:
        return ()
    codes = [column for column in entity.columns if column.allowed]
    sentence = "; ".join(f"{column.name} is not one of {', '.join(column.allowed)}" for column in codes)
    return (Rule("unknown_code", f"{sentence}.", lambda t: any_breaks(t, tests)),)


def _out_of_range(entity: Entity) -> tuple[Rule, ...]:
    tests = [test for column in entity.columns for test in range_tests(column)]
    if not tests:
        return ()
    bounded = [column for column in entity.columns if column.bounds != (None, None)]
    sentence = "; ".join(f"{column.name} is not {_range(column)}" for column in bounded)
    return (Rule("out_of_range", f"{sentence}.", lambda t: any_breaks(t, tests)),)


def _range(column: Column) -> str:
    least, most = column.bounds
    if most is None:
        return f"at least {least:g}"
    return f"at most {most:g}" if least is None else f"from {least:g} to {most:g}"


def _daily_rules(entity: Entity, *own: Rule) -> tuple[Rule, ...]:
    common = (_wrong_type(entity), _missing(entity), FUTURE_DATE, UNKNOWN_STORE, UNKNOWN_PRODUCT)
    return (*common, *_unknown_codes(entity), *_out_of_range(entity), *own, DUPLICATE, SUPERSEDED)


SALES_RULES = _daily_rules(
    entities.SALES,
    Rule("foreign_currency", "The currency is not the mapping's.", lambda t: t.is_foreign_currency),
    Rule("negative_price", "The price is below zero.", lambda t: t.unit_price < 0),
    Rule("zero_quantity", "The quantity is zero.", lambda t: t.quantity == 0),
    Rule("absurd_quantity", f"The quantity is beyond {MAX_LINE_UNITS}.", lambda t: t.quantity.abs() > MAX_LINE_UNITS),
    Rule(
        "absurd_money",
        f"The price is beyond {MAX_PRICE}, or the discount beyond what a line can be worth.",
        lambda t: ibis.or_(t.unit_price > MAX_PRICE, (t.discount_value.abs() > MAX_LINE_VALUE).fill_null(False)),
    ),
)
INVENTORY_RULES = _daily_rules(
    entities.INVENTORY,
    Rule(
        "absurd_quantity",
        f"The stock is beyond {MAX_STOCK_UNITS}.",
        lambda t: t.on_hand_units.abs() > MAX_STOCK_UNITS,
    ),
)
STOCK_MOVEMENT_RULES = _daily_rules(
    entities.STOCK_MOVEMENTS,
    Rule(
        "zero_quantity",
        "The quantity is zero, which only a count may find.",
        lambda t: ibis.and_(t.quantity == 0, t.movement_type != "count"),
    ),
    Rule("absurd_quantity", f"The quantity is beyond {MAX_STOCK_UNITS}.", lambda t: t.quantity.abs() > MAX_STOCK_UNITS),
)


def validated_sales(
    sales: ibis.Table,
    *,
    stores: ibis.Table,
    products: ibis.Table,
    day_starts: ibis.Table | None = None,
    currency: str | None = None,
) -> ibis.Table:
    """Bronze sales with `broken_rule`.

    Args:
        sales: bronze.sales of whole days.
        stores: any rows with store_id that are known.
        products: any rows with product_id that are known.
        day_starts: business_date and begins_at, as `days.day_starts` gives them; without it no day is a future one.
        currency: ISO code of the money the mapping promises; without it no currency is a foreign one.
    """
    given = stripped(sales.currency).upper().nullif("")
    is_foreign = (given != currency.upper()).fill_null(False) if currency else ibis.literal(False)
    rows = sales.mutate(currency=given, is_foreign_currency=is_foreign)
    return _judged(rows, entities.SALES, SALES_RULES, stores=stores, products=products, day_starts=day_starts)


def validated_inventory(
    inventory: ibis.Table, *, stores: ibis.Table, products: ibis.Table, day_starts: ibis.Table | None = None
) -> ibis.Table:
    """Bronze inventory with `broken_rule`."""
    known = {"stores": stores, "products": products, "day_starts": day_starts}
    return _judged(inventory, entities.INVENTORY, INVENTORY_RULES, **known)


def validated_stock_movements(
    stock_movements: ibis.Table, *, stores: ibis.Table, products: ibis.Table, day_starts: ibis.Table | None = None
) -> ibis.Table:
    """Bronze stock movements with `broken_rule`."""
    known = {"stores": stores, "products": products, "day_starts": day_starts}
    return _judged(stock_movements, entities.STOCK_MOVEMENTS, STOCK_MOVEMENT_RULES, **known)


def sales(validated: ibis.Table) -> ibis.Table:
    return accepted(validated).select(silver.SALES.column_names)


def inventory(validated: ibis.Table) -> ibis.Table:
    return accepted(validated).select(silver.INVENTORY.column_names)


def stock_movements(validated: ibis.Table) -> ibis.Table:
    return accepted(validated).select(silver.STOCK_MOVEMENTS.column_names)


def rejected_rows(sales: ibis.Table, inventory: ibis.Table, stock_movements: ibis.Table) -> ibis.Table:
    """Refused rows of the daily tables, from their validated rows."""
    parts = (
        _refused_daily(sales, SALES_RULES, bronze.SALES, key=("sale_line_id",)),
        _refused_daily(inventory, INVENTORY_RULES, bronze.INVENTORY, key=("store_id", "product_id")),
        _refused_daily(stock_movements, STOCK_MOVEMENT_RULES, bronze.STOCK_MOVEMENTS, key=("movement_id",)),
    )
    return ibis.union(*parts)


def _refused_daily(validated: ibis.Table, rules: Sequence[Rule], table: Table, *, key: Sequence[str]) -> ibis.Table:
    rows = refused(_delivered(validated), rules, table_name=table.path, key=key)
    value = net_value_of(rows) if table is bronze.SALES else ibis.null("decimal(18, 4)")
    return rows.mutate(net_value=value).select(silver.REJECTED_ROWS.column_names)


def validated_snapshot(versions: ibis.Table, entity: Entity, known: Known | None = None) -> ibis.Table:
    """A bronze snapshot with every version validated and missing key parts filled: `*`, or the column's default.

    Of rows that share key and moment a sound one is kept, and one that is there before one that is gone: an
    identifier that lost its blanks, or took the spelling of the list, is gone and there at once.

    Args:
        versions: the bronze table.
        entity: whose rows they are.
        known: by column, rows that hold the ids it refers to, as `known_of` gives them; ids that differ from a single
            one of them in case only take its spelling, and unknown ones stay.
    """
    rules = snapshot_rules(entity)
    texts = _normal_weekdays(_normal_texts(_gone_without_gaps(versions, entity), entity), entity)
    given = _with_given_ids(_normal_codes(texts, entity))
    normal = with_ids_as_delivered(_spelled(_normal_ids(given), known or {}), _given(given))
    validated = validate(_fill_keys(normal, entity), [rule for rule in rules if rule is not DUPLICATE])
    best_first = [validated[BROKEN_RULE].notnull(), "is_deleted", *_content(entity)]
    same = ibis.window(group_by=[*entity.key, "first_seen_at"], order_by=best_first)
    ranked = validated.mutate(is_repeated=ibis.row_number().over(same) > 0).drop(BROKEN_RULE)
    return validate(ranked, rules).drop("is_repeated")


def known_of(table: Table, scan: Callable[[Table], ibis.Table]) -> Known:
    """By column of a table, the rows of the table that it refers to; `scan` reads one."""
    return {
        reference.column: scan(table_at(reference.path)).select(known_id=reference.target)
        for reference in table.references
    }


def _spelled(rows: ibis.Table, known: Known) -> ibis.Table:
    for column, reference in known.items():
        rows = _with_known(rows, reference.rename(**{column: "known_id"}), column).drop(_flag(column))
    return rows


def _gone_without_gaps(versions: ibis.Table, entity: Entity) -> ibis.Table:
    """What must be there is filled in rows that are gone: nobody reads it, and a refused deletion would be lost."""
    required = [column for column in entity.columns if not column.nullable and column.name not in entity.key]
    values = {column.name: versions[column.name] for column in required}
    filled = {
        c.name: ibis.ifelse(versions.is_deleted, values[c.name].fill_null(_nothing(c)), values[c.name])
        for c in required
    }
    return versions.mutate(**filled) if filled else versions


def _nothing(column: Column) -> str | float | date | datetime:
    if pa.types.is_string(column.type):
        return ""
    if pa.types.is_date(column.type):
        return ALWAYS
    return datetime(1970, 1, 1, tzinfo=UTC) if pa.types.is_timestamp(column.type) else 0


def _of_living(rule: Rule) -> Rule:
    """A deletion carries the content of the version it ends, which may have been faulty."""
    return replace(rule, breaks=lambda rows: ibis.and_(rule.breaks(rows), ~rows.is_deleted))


def snapshot_rules(entity: Entity) -> tuple[Rule, ...]:
    generic = (*_unknown_codes(entity), *_out_of_range(entity), *_money_rules(entity), *_unit_rules(entity))
    of_content = (_wrong_type(entity), *generic, *_span_rules(entity), *_CALENDAR_RULES.get(entity.name, ()))
    first, *rest = map(_of_living, of_content)
    return (first, _missing(entity), *rest, DUPLICATE)


def snapshot(validated: ibis.Table, table: Table) -> ibis.Table:
    """The accepted versions; what a missing value stands for is filled in here and nowhere else."""
    rows = accepted(validated)
    defaults = {column.name: column.default for column in table.columns if column.default is not None}
    return rows.mutate(**{name: rows[name].fill_null(value) for name, value in defaults.items()}).select(
        table.column_names
    )


def rejected_snapshot_rows(validated: Sequence[tuple[Entity, ibis.Table]]) -> ibis.Table:
    """Refused versions of every snapshot entity."""
    parts = [
        refused(rows, snapshot_rules(entity), table_name=f"bronze/{entity.name}", key=entity.key)
        for entity, rows in validated
    ]
    return ibis.union(*(part.select(silver.REJECTED_SNAPSHOT_ROWS.column_names) for part in parts))


def open_orders(purchase_orders: ibis.Table) -> ibis.Table:
    """Lines of the newest snapshot that are neither received nor cancelled."""
    lines = as_of.newest(purchase_orders, key=entities.PURCHASE_ORDERS.key)
    open_lines = lines.filter(lines.received_date.isnull(), lines.cancelled_date.isnull())
    left = open_lines.ordered_units - ibis.greatest(open_lines.received_units.fill_null(0), 0)
    return open_lines.mutate(open_units=left.cast("decimal(18, 3)")).select(silver.OPEN_ORDERS.column_names)


def _judged(
    rows: ibis.Table,
    entity: Entity,
    rules: Sequence[Rule],
    *,
    stores: ibis.Table,
    products: ibis.Table,
    day_starts: ibis.Table | None,
) -> ibis.Table:
    given = _with_given_ids(_normal_codes(rows, entity))
    known = _with_known(_with_known(_normal_ids(given), stores, "store_id"), products, "product_id")
    dated = _with_day_starts(with_ids_as_delivered(known, _given(known)), day_starts)
    without_repeats = [rule for rule in rules if rule not in (DUPLICATE, SUPERSEDED)]
    first = validate(dated, without_repeats)
    return validate(_with_repeats(first, entity), rules)


def _with_known(rows: ibis.Table, reference: ibis.Table, column: str) -> ibis.Table:
    """Whether the id is known; one that differs in case from a single known id takes its spelling."""
    flag = _flag(column)
    ids = reference.select(known_id=reference[column]).distinct()
    folded = ids.group_by(folded_id=ids.known_id.upper()).aggregate(spelling=ids.known_id.min(), spellings=ids.count())
    joined = rows.left_join(ids, rows[column] == ids.known_id)
    alike = folded.filter(folded.spellings == 1).drop("spellings")
    unknown = ibis.ifelse(joined.known_id.isnull(), joined[column].upper(), ibis.null("string"))
    joined = joined.left_join(alike, unknown == alike.folded_id)
    found = ibis.coalesce(joined.known_id, joined.spelling)
    spelled = joined.mutate(**{flag: found.notnull(), column: ibis.coalesce(found, joined[column])})
    return spelled.drop("known_id", "folded_id", "spelling")


def _flag(column: str) -> str:
    return f"is_known_{column.removesuffix('_id')}"


def _with_day_starts(rows: ibis.Table, day_starts: ibis.Table | None) -> ibis.Table:
    if day_starts is None:
        return rows.mutate(begins_at=ibis.null("timestamp('UTC', 6)"))
    starts = day_starts.rename(starting_date="business_date")
    return rows.left_join(starts, rows.business_date == starts.starting_date).drop("starting_date")


def _with_repeats(validated: ibis.Table, entity: Entity) -> ibis.Table:
    """Marks all but the newest sound row of each key: repeats of it, and older versions."""
    key = dict.fromkeys(("business_date", *entity.key))
    newest = ibis.window(
        group_by=[*key, validated[BROKEN_RULE].isnull()],
        order_by=[ibis.desc("modified_at", nulls_first=False), ibis.desc("extracted_at"), *_content(entity)],
    )
    content = ibis.struct({name: validated[name] for name in _content(entity)})
    marked = validated.mutate(
        position=ibis.row_number().over(newest), content=content, kept=content.first().over(newest)
    )
    same = marked.content.identical_to(marked.kept)
    is_extra = ibis.and_(marked.position > 0, marked[BROKEN_RULE].isnull())
    flagged = marked.mutate(is_repeated=ibis.and_(is_extra, same), is_older=ibis.and_(is_extra, ~same))
    return flagged.drop(BROKEN_RULE, "position", "content", "kept")


def _content(entity: Entity) -> list[str]:
    return [name for name in entity.column_names if name not in ("business_date", "modified_at", *entity.key)]


def _delivered(validated: ibis.Table) -> ibis.Table:
    """Without the working columns, so that the content shown is what the source delivered."""
    working = ("is_known_store", "is_known_product", "is_repeated", "is_older", "begins_at", "is_foreign_currency")
    return validated.drop(*(name for name in working if name in validated.columns))


def _ids(rows: ibis.Table) -> list[str]:
    return [
        name
        for name in rows.columns
        if name.endswith("_id") and not name.startswith(_GIVEN) and rows[name].type().is_string()
    ]


_GIVEN = "given_"


def _with_given_ids(rows: ibis.Table) -> ibis.Table:
    return rows.mutate(**{f"{_GIVEN}{name}": rows[name] for name in _ids(rows)})


def _given(rows: ibis.Table) -> dict[str, str]:
    return {name: f"{_GIVEN}{name}" for name in _ids(rows)}


def _normal_ids(rows: ibis.Table) -> ibis.Table:
    """Identifiers without surrounding blanks; an empty one is missing."""
    return rows.mutate(**{name: stripped(rows[name]).nullif("") for name in _ids(rows)})


def _normal_texts(rows: ibis.Table, entity: Entity) -> ibis.Table:
    """Names without surrounding blanks; an empty one is missing where it may be."""
    ids = _ids(rows)
    texts = [c for c in entity.columns if pa.types.is_string(c.type) and c.name not in ids]
    bare = {c.name: stripped(rows[c.name]) for c in texts}
    return rows.mutate(**{c.name: bare[c.name].nullif("") if c.nullable else bare[c.name] for c in texts})


def _normal_weekdays(rows: ibis.Table, entity: Entity) -> ibis.Table:
    """`opening_weekdays` as ISO numbers in order; what names no weekdays stays as it is."""
    if entity is not entities.STORES:
        return rows
    return rows.mutate(opening_weekdays=weekdays.normal(rows.opening_weekdays))


def _normal_codes(rows: ibis.Table, entity: Entity) -> ibis.Table:
    """Codes of a fixed list in lower case and without blanks; an empty one is missing."""
    codes = [column.name for column in entity.columns if column.allowed or column.name == "event_type"]
    return rows.mutate(**{name: stripped(rows[name]).lower().nullif("") for name in codes}) if codes else rows


def _fill_keys(rows: ibis.Table, entity: Entity) -> ibis.Table:
    """Missing key parts: `*` for a name, else the column's default; a single order day has its own weekday."""
    if entity is entities.SUPPLIER_CALENDAR:
        own = (rows.order_date.day_of_week.index() + 1).cast("int32")
        rows = rows.mutate(order_weekday=ibis.coalesce(rows.order_weekday, own))
    optional = [column for column in entity.columns if column.name in entity.key and column.nullable]
    names = {c.name: rows[c.name].nullif("").fill_null(silver.EVERY) for c in optional if c.type == pa.string()}
    others = {c.name: rows[c.name].fill_null(c.default) for c in optional if c.default is not None}
    return rows.mutate(**names, **others)


def _money_rules(entity: Entity) -> tuple[Rule, ...]:
    money = [
        column.name for column in entity.columns if pa.types.is_decimal(column.type) and "units" not in column.name
    ]
    if not money:
        return ()
    below = Rule("negative_money", f"{', '.join(money)} is below zero.", lambda t: ibis.or_(*(t[n] < 0 for n in money)))
    prices = [name for name in money if name.endswith(("_price", "_cost"))]
    if not prices:
        return (below,)
    absurd = lambda t: ibis.or_(*((t[name] > MAX_PRICE).fill_null(False) for name in prices))  # noqa: E731
    return (below, Rule("absurd_money", f"{', '.join(prices)} is beyond {MAX_PRICE}.", absurd))


def _unit_rules(entity: Entity) -> tuple[Rule, ...]:
    units = [column.name for column in entity.columns if column.unit == "units" or column.name.endswith("_units")]
    if not units:
        return ()
    breaks = lambda t: ibis.or_(*((t[name].abs() >= MAX_UNITS).fill_null(False) for name in units))  # noqa: E731
    return (Rule("absurd_quantity", f"{', '.join(units)} is {MAX_UNITS} or more.", breaks),)


def _span_rules(entity: Entity) -> tuple[Rule, ...]:
    spans = [(first, last) for first, last in _SPANS if {first, last} <= set(entity.column_names)]
    return tuple(
        Rule("ends_before_it_starts", f"{last} is before {first}.", lambda t, f=first, e=last: t[e] < t[f])
        for first, last in spans
    )


_CALENDAR_RULES = {
    entities.STORES.name: (
        Rule(
            "wrong_weekdays",
            "opening_weekdays is neither ISO weekdays such as 123456 nor names such as Mon-Sat.",
            lambda t: ~t.opening_weekdays.re_search(weekdays.NORMAL),
        ),
    ),
    entities.SUPPLIER_CALENDAR.name: (
        Rule("no_order_day", "Neither order_date nor order_weekday is given.", lambda t: t.order_weekday.isnull()),
        Rule("wrong_time", "cutoff_time is not HH:MM.", lambda t: ~t.cutoff_time.re_search(_TIME)),
    ),
}
