"""The sentence that says why a quantity is ordered, built from the numbers of the line so that it adds up.

Numbers are shown as they were used, without rounding that would break the sum; deciding anything does not belong here.
"""

from typing import Any

_WASTE_SAID = 0.05


def reason(line: dict[str, Any]) -> str:
    """Why this quantity.

    Args:
        line: the columns of a replenishment_plan row, `blocked` (why nothing could be computed, or empty),
            `is_margin_known` and `has_order_days` of the supplier; optionally `end` (the last day carried, in words,
            where it matters), `is_over` (no day carried is left from the delivery on), `sells_nothing`,
            `source_choice`, why this supplier of several, `is_price_of_lines` (the price is that of sale lines),
            `is_beyond_sales` with `sold_units` and `is_promoted`, and `is_discount_beyond` with `discount`,
            `discount_date` and `deepest_discount`.

    >>> reason({
    ...     "blocked": "", "inventory_position_units": 7, "on_hand_units": 5, "on_order_counted_units": 2,
    ...     "on_order_beyond_units": 0, "reorder_point_units": 11, "protection_days": 6, "demand_mean_units": 8.4,
    ...     "qty_need_units": 5, "qty_after_minimum_units": 5, "qty_after_pack_units": 12, "qty_after_cap_units": 12,
    ...     "qty_after_supplier_minimum_units": 12, "qty_after_budget_units": 12, "order_units": 12,
    ...     "expected_waste_units": 0, "pack_units": 12, "service_measure": "cycle",
    ...     "predicted_service_rate": 0.956, "target_service_rate": 0.95, "lost_margin_avoided_value": 4.2,
    ...     "is_margin_known": True, "has_order_days": True})
    'Position 7 (on hand 5, on order 2) is at or below the reorder point 11 for 6 days of demand (expected 8.4): \
need 5, 1 pack of 12 = 12; cycle service 0.956 of target 0.95; saves 4.20 of margin.'
    """
    if line["blocked"]:
        return f"No order could be computed: {line['blocked']}."
    if line.get("is_over"):
        return f"Nothing is ordered: {line['end']}, and the delivery would come on {line['expected_delivery_date']}."
    if line.get("sells_nothing"):
        came = line["expected_delivery_date"]
        return f"Nothing is ordered: no demand is expected from the delivery on {came} to the next one."
    return _ordered(line) + _beyond_sales(line) + _beyond_discounts(line)


def _ordered(line: dict[str, Any]) -> str:
    if line["qty_need_units"] > 0:
        steps = ", ".join([f"need {number(line['qty_need_units'])}", *_steps(line)])
        return f"{_position(line)} is at or below {_level(line)}: {steps}; {_effect(line)}.{_supply(line)}"
    if line["order_units"] > 0:
        steps = ", ".join(_steps(line))
        return f"{_position(line)} is above {_level(line)}: {steps}; {_effect(line)}.{_supply(line)}"
    return f"{_position(line)} is above {_level(line)}: nothing to order; {_service(line)}."


def _beyond_sales(line: dict[str, Any]) -> str:
    if not line.get("is_beyond_sales"):
        return ""
    wanted, sold = number(line["qty_after_pack_units"]), number(line["sold_units"])
    decided = "a promotion is planned" if line["is_promoted"] else "a planner decides on more"
    return f" {wanted} is more than the {sold} sold here in a year: {decided}."


def _beyond_discounts(line: dict[str, Any]) -> str:
    if not line.get("is_discount_beyond"):
        return ""
    planned, deepest = f"{line['discount']:.0%}", f"{line['deepest_discount']:.0%}"
    known = f"a year of experience reaches {deepest}, and nobody knows what deeper ones bring"
    return f" A discount of {planned} is planned from {line['discount_date']}: {known}."


def number(value: float) -> str:
    """Up to three decimals, none when whole.

    >>> number(12.0), number(0.35)
    ('12', '0.35')
    """
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _position(line: dict[str, Any]) -> str:
    on_hand = number(line["on_hand_units"]) + (" counted as 0" if line["on_hand_units"] < 0 else "")
    later = line["on_order_beyond_units"]
    beyond = f", {number(later)} more arriving later" if later > 0 else ""
    parts = f"on hand {on_hand}, on order {number(line['on_order_counted_units'])}{beyond}"
    return f"Position {number(line['inventory_position_units'])} ({parts})"


def _level(line: dict[str, Any]) -> str:
    days = int(line["protection_days"])
    window = f"{days} day{'' if days == 1 else 's'} of demand (expected {number(line['demand_mean_units'])})"
    return f"the reorder point {number(line['reorder_point_units'])} for {window}"


def _steps(line: dict[str, Any]) -> list[str]:
    """The steps that changed the quantity, each with the quantity after it."""
    need, minimum, pack, cap, supplier, budget = (
        line[f"qty_{step}_units"]
        for step in ("need", "after_minimum", "after_pack", "after_cap", "after_supplier_minimum", "after_budget")
    )
    parts = []
    if minimum != need:
        parts.append(f"line minimum {number(minimum)}")
    if pack > 0:
        count = round(pack / line["pack_units"])
        parts.append(f"{count} pack{'' if count == 1 else 's'} of {number(line['pack_units'])} = {number(pack)}")
    if cap != pack:
        parts.append(_limit(line, number(cap)))
    if supplier != cap:
        parts.append(f"the supplier minimum adds {number(supplier - cap)} = {number(supplier)}")
    if budget != supplier:
        parts.append(f"the budget allows {number(budget)}")
    return parts


def _limit(line: dict[str, Any], cap: str) -> str:
    if line.get("end"):
        return f"{line['end']}: at most {cap}"
    is_held = line.get("is_beyond_sales") and not line["is_promoted"]
    return f"{cap} without a planner" if is_held else f"the maximum allows {cap}"


def _effect(line: dict[str, Any]) -> str:
    if line["order_units"] <= 0:
        return _service(line)
    if line["expected_waste_units"] >= _WASTE_SAID:
        waste = f"; {number(line['expected_waste_units'])} likely to spoil before the next delivery"
    else:
        waste = ""
    if not line["is_margin_known"]:
        return f"{_service(line)}; the margin it saves is unknown{waste}"
    price = " at the median price of recent sale lines" if line.get("is_price_of_lines") else ""
    return f"{_service(line)}; saves {line['lost_margin_avoided_value']:.2f} of margin{price}{waste}"


def _supply(line: dict[str, Any]) -> str:
    is_chosen = line["order_units"] > 0 and line.get("source_choice")
    chosen = f" Ordered from {line['supplier_id']}, {line['source_choice']}." if is_chosen else ""
    return chosen + _order_days(line)


def _order_days(line: dict[str, Any]) -> str:
    is_assumed = line["order_units"] > 0 and not line["has_order_days"]
    return " No order days of the supplier are known: taken as every day." if is_assumed else ""


def _service(line: dict[str, Any]) -> str:
    predicted, target = line["predicted_service_rate"], line["target_service_rate"]
    return f"{line['service_measure']} service {predicted:.3f} of target {number(target)}"
