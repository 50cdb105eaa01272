"""Inventory: orders are whole packs, steps add up, nothing is ordered without a reason."""

import ibis

from retail_assets.checks.contract import contract_checks
from retail_assets.checks.declare import Finding, Rows, TableCheck, failing_rows, layer_checks
from retail_assets.tables import inventory


def orders_are_packs(rows: Rows) -> Finding:
    plan = rows.of(inventory.REPLENISHMENT_PLAN)
    packs = plan.order_units / plan.pack_units.nullif(0.0)  # what nobody supplies has no pack, and no order
    is_broken = ibis.or_((packs - packs.round()).abs() > 1e-6, ibis.and_(plan.order_units > 0, packs.isnull()))
    wrong = plan.filter(is_broken.fill_null(False))
    return _finding(wrong, "orders are not whole packs", "order_units", "pack_units")


def every_line_says_why(rows: Rows) -> Finding:
    plan = rows.of(inventory.REPLENISHMENT_PLAN)
    silent = ibis.and_(plan.order_units == 0, plan.exception.isnull())
    wrong = plan.filter(ibis.or_(plan.reason == "", silent))
    return _finding(wrong, "lines have neither order nor exception", "order_units", "exception", "reason")


def _finding(wrong: ibis.Table, fault: str, *values: str) -> Finding:
    """Of the lines of the plan that are wrong."""
    count = wrong.count().to_pyarrow().as_py()
    return Finding(
        passed=count == 0,
        sentence=f"{count} {fault}.",
        figures={"wrong_rows": count},
        failing=failing_rows(wrong, inventory.REPLENISHMENT_PLAN, *values) if count else (),
    )


CHECKS = [
    layer_checks(
        "inventory_checks",
        [
            *contract_checks(*inventory.TABLES),
            TableCheck(inventory.REPLENISHMENT_PLAN, "orders_are_packs", "Orders are whole packs.", orders_are_packs),
            TableCheck(
                inventory.REPLENISHMENT_PLAN, "every_line_says_why", "No silent zero order.", every_line_says_why
            ),
        ],
    )
]
