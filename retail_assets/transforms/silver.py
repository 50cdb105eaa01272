"""Bronze to silver: judge rows, keep the newest of each key, conform codes.

Add a rule here when the source can deliver something gold must not see. Every rule has a name and a
sentence that a person at the source understands.
"""

from collections.abc import Sequence

import ibis
import pyarrow as pa

from retail_assets.tables import bronze, entities, silver
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms import as_of
from retail_assets.transforms.rules import BROKEN_RULE, Rule, accepted, judge, refused

MAX_LINE_UNITS = 10_000
"""More than this on one line, or in one stock count of a store, is a typing error."""

WRONG_TYPE = Rule("wrong_type", "A value does not have its column's type.", lambda t: t.unparsed.notnull())
DUPLICATE = Rule("duplicate", "The same row was delivered again.", lambda t: t.is_repeated)
SUPERSEDED = Rule("superseded", "A later version of the same row replaced it.", lambda t: t.is_older)


def _missing(entity: Entity) -> Rule:
    required = [column.name for column in entity.columns if not column.nullable]
    names = ", ".join(required)
    return Rule("missing_value", f"One of {names} is empty.", lambda t: ibis.or_(*(t[n].isnull() for n in required)))


SALES_RULES = (
    WRONG_TYPE,
    _missing(entities.SALES),
    Rule("unknown_store", "The store is not among the stores.", lambda t: ~t.is_known_store),
    Rule("unknown_product", "The product is not among the products.", lambda t: ~t.is_known_product),
    Rule("negative_price", "The price is below zero.", lambda t: t.unit_price < 0),
    Rule("zero_quantity", "The quantity is zero.", lambda t: t.quantity == 0),
    Rule("absurd_quantity", f"The quantity is beyond {MAX_LINE_UNITS}.", lambda t: t.quantity.abs() > MAX_LINE_UNITS),
    DUPLICATE,
    SUPERSEDED,
)
INVENTORY_RULES = (
    WRONG_TYPE,
    _missing(entities.INVENTORY),
    Rule("unknown_store", "The store is not among the stores.", lambda t: ~t.is_known_store),
    Rule("unknown_product", "The product is not among the products.", lambda t: ~t.is_known_product),
    Rule(
        "absurd_quantity",
        "The stock is beyond a hundred line limits.",
        lambda t: t.on_hand_units.abs() > MAX_LINE_UNITS * 100,
    ),
    DUPLICATE,
    SUPERSEDED,
)


def judged_sales(sales: ibis.Table, *, stores: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Bronze sales with `broken_rule`.

    Args:
        sales: bronze.sales of whole days.
        stores: any rows with store_id that are known.
        products: any rows with product_id that are known.
    """
    return _judged(_normal_ids(sales), entities.SALES, SALES_RULES, stores, products)


def judged_inventory(inventory: ibis.Table, *, stores: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Bronze inventory with `broken_rule`."""
    return _judged(_normal_ids(inventory), entities.INVENTORY, INVENTORY_RULES, stores, products)


def sales(judged: ibis.Table) -> ibis.Table:
    return accepted(judged).select(silver.SALES.column_names)


def inventory(judged: ibis.Table) -> ibis.Table:
    return accepted(judged).select(silver.INVENTORY.column_names)


def rejected_rows(sales: ibis.Table, inventory: ibis.Table) -> ibis.Table:
    """Refused rows of both daily tables, from their judged rows."""
    parts = (
        refused(_delivered(sales), SALES_RULES, table_name=bronze.SALES.path, key=("sale_line_id",)),
        refused(
            _delivered(inventory), INVENTORY_RULES, table_name=bronze.INVENTORY.path, key=("store_id", "product_id")
        ),
    )
    return ibis.union(*(part.select(silver.REJECTED_ROWS.column_names) for part in parts))


def judged_snapshot(versions: ibis.Table, entity: Entity) -> ibis.Table:
    """A bronze snapshot with every version judged and empty key parts filled with `*`.

    Of rows that share key and moment a sound one is kept, and one that is there before one that is gone: an
    identifier that lost its blanks is gone and there at once.
    """
    rules = snapshot_rules(entity)
    judged = judge(_fill_keys(_normal_ids(versions), entity), [rule for rule in rules if rule is not DUPLICATE])
    best_first = [judged[BROKEN_RULE].notnull(), "is_deleted", *_content(entity)]
    same = ibis.window(group_by=[*entity.key, "first_seen_at"], order_by=best_first)
    ranked = judged.mutate(is_repeated=ibis.row_number().over(same) > 0).drop(BROKEN_RULE)
    return judge(ranked, rules).drop("is_repeated")


def snapshot_rules(entity: Entity) -> tuple[Rule, ...]:
    return (WRONG_TYPE, _missing(entity), *_money_rules(entity), DUPLICATE)


def snapshot(judged: ibis.Table, table: Table) -> ibis.Table:
    return accepted(judged).select(table.column_names)


def rejected_snapshot_rows(judged: Sequence[tuple[Entity, ibis.Table]]) -> ibis.Table:
    """Refused versions of every snapshot entity."""
    parts = [
        refused(rows, snapshot_rules(entity), table_name=f"bronze/{entity.name}", key=entity.key)
        for entity, rows in judged
    ]
    return ibis.union(*(part.select(silver.REJECTED_SNAPSHOT_ROWS.column_names) for part in parts))


def open_orders(purchase_orders: ibis.Table) -> ibis.Table:
    """Lines of the newest snapshot that are neither received nor cancelled."""
    lines = as_of.newest(purchase_orders, key=entities.PURCHASE_ORDERS.key)
    open_lines = lines.filter(lines.received_date.isnull(), lines.cancelled_date.isnull())
    left = open_lines.ordered_units - open_lines.received_units.fill_null(0)
    return open_lines.mutate(open_units=left.cast("decimal(18, 3)")).select(silver.OPEN_ORDERS.column_names)


def _judged(
    rows: ibis.Table, entity: Entity, rules: Sequence[Rule], stores: ibis.Table, products: ibis.Table
) -> ibis.Table:
    known = _with_known(_with_known(rows, stores, "store_id"), products, "product_id")
    without_repeats = [rule for rule in rules if rule not in (DUPLICATE, SUPERSEDED)]
    first = judge(known, without_repeats)
    return judge(_with_repeats(first, entity), rules)


def _with_known(rows: ibis.Table, reference: ibis.Table, column: str) -> ibis.Table:
    flag = f"is_known_{column.removesuffix('_id')}"
    ids = reference.select(known_id=reference[column]).distinct()
    joined = rows.left_join(ids, rows[column] == ids.known_id)
    return joined.mutate(**{flag: joined.known_id.notnull()}).drop("known_id")


def _with_repeats(judged: ibis.Table, entity: Entity) -> ibis.Table:
    """Marks all but the newest sound row of each key: repeats of it, and older versions."""
    key = dict.fromkeys(("business_date", *entity.key))
    newest = ibis.window(
        group_by=[*key, judged[BROKEN_RULE].isnull()],
        order_by=[ibis.desc("modified_at", nulls_first=False), ibis.desc("extracted_at"), *_content(entity)],
    )
    marked = judged.mutate(
        position=ibis.row_number().over(newest),
        **{f"kept_{name}": judged[name].first(include_null=True).over(newest) for name in _content(entity)},
    )
    same = ibis.and_(*(marked[name].identical_to(marked[f"kept_{name}"]) for name in _content(entity)))
    is_extra = ibis.and_(marked.position > 0, marked[BROKEN_RULE].isnull())
    flagged = marked.mutate(is_repeated=ibis.and_(is_extra, same), is_older=ibis.and_(is_extra, ~same))
    return flagged.drop(BROKEN_RULE, "position", *(f"kept_{name}" for name in _content(entity)))


def _content(entity: Entity) -> list[str]:
    return [name for name in entity.column_names if name not in ("business_date", "modified_at", *entity.key)]


def _delivered(judged: ibis.Table) -> ibis.Table:
    """Without the working columns, so that the content shown is what the source delivered."""
    return judged.drop("is_known_store", "is_known_product", "is_repeated", "is_older")


def _normal_ids(rows: ibis.Table) -> ibis.Table:
    """Identifiers without surrounding blanks; an empty one is missing."""
    ids = [name for name in rows.columns if name.endswith("_id") and rows[name].type().is_string()]
    return rows.mutate(**{name: rows[name].strip().nullif("") for name in ids})


def _fill_keys(rows: ibis.Table, entity: Entity) -> ibis.Table:
    optional = [c.name for c in entity.columns if c.name in entity.key and c.nullable and c.type == pa.string()]
    return rows.mutate(**{name: rows[name].nullif("").fill_null(silver.EVERY) for name in optional})


def _money_rules(entity: Entity) -> tuple[Rule, ...]:
    money = [
        column.name for column in entity.columns if pa.types.is_decimal(column.type) and "units" not in column.name
    ]
    if not money:
        return ()
    breaks = lambda t: ibis.or_(*(t[name] < 0 for name in money))  # noqa: E731
    return (Rule("negative_money", f"{', '.join(money)} is below zero.", breaks),)
