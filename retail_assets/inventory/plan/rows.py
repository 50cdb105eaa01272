"""The plan as people read it: columns of the contract, what needs a person, a reason and a name for each row.

Arrays of plan.py in, rows of `inventory/replenishment_plan` out.
"""

import uuid
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Flags
from retail_assets.inventory.order_days import Opportunities
from retail_assets.inventory.plan.beyond import Experience
from retail_assets.inventory.plan.lines import LineLevels, Lines
from retail_assets.inventory.plan.position import Position
from retail_assets.inventory.plan.reasons import reason
from retail_assets.inventory.policies import fill_rate
from retail_assets.inventory.prospects import Outlook
from retail_assets.inventory.quantity import PlannedOrder, shortage_avoided
from retail_assets.tables.inventory import REPLENISHMENT_PLAN

Columns = dict[str, NDArray]

_PROPOSALS = uuid.uuid5(uuid.NAMESPACE_URL, "retail-assets:replenishment-proposal")
_CENTS = Decimal("0.0001")

UNMATCHED = "approved order not in the purchase orders"
LAPSED = "approved order no longer counted"
UNDATED = "open order without a promised date"
MISBOOKED = "open order with less than nothing received"
BEYOND_SALES = "order larger than everything sold"
BEYOND_DISCOUNTS = "discount beyond experience"


@dataclass(frozen=True)
class PlannedLines:
    """The lines of a plan with what was decided about each of them."""

    as_of: date
    lines: Lines
    opportunities: Opportunities
    position: Position
    levels: LineLevels
    order: PlannedOrder
    experience: Experience


def plan_rows(planned: PlannedLines, future: Outlook, *, is_fill: Flags) -> pd.DataFrame:
    """Rows that order or need a person: by the margin they save, then by the units that would be missing without."""
    lines, position, levels = planned.lines, planned.position, planned.levels
    blocked = _joined(_blocking(lines, position, levels))
    attention = _joined(_attention(planned))
    is_stopped = levels.would_order & position.has_stock & levels.is_known
    ends = _ends(planned, is_stopped=is_stopped)
    frame = pd.DataFrame(
        {
            "as_of_date": planned.as_of,
            "store_id": lines.series.get_level_values(0),
            "product_id": lines.series.get_level_values(1),
            "supplier_id": lines.supplier_ids,
            **_calendar_columns(planned),
            **_service_columns(planned, future, is_fill=is_fill),
            **_position_columns(position),
            **_quantity_columns(planned),
            "has_order_days": lines.has_order_days,
            "source_choice": lines.source_choice,
            "is_price_of_lines": lines.is_price_of_lines,
            **_experience_columns(planned),
            "blocked": blocked,
            "end": ends,
            "is_over": levels.is_over & (ends != ""),
            "sells_nothing": levels.sells_nothing & is_stopped,
            "exception": ["; ".join(filter(None, all_)) or None for all_ in zip(blocked, ends, attention, strict=True)],
        }
    )
    frame = frame.loc[(frame["order_units"] > 0) | frame["exception"].notna()]
    keys = {"lost_margin_avoided_value": False, "expected_shortage_units": False, "store_id": True, "product_id": True}
    return _finished(frame.sort_values(list(keys), ascending=list(keys.values()), ignore_index=True))


def _calendar_columns(planned: PlannedLines) -> Columns:
    opportunities = planned.opportunities
    dates = ("order_date", "expected_delivery_date", "next_order_date", "next_delivery_date")
    return {
        **{name: getattr(opportunities, name).astype(object) for name in dates},
        "lead_time_days": np.nan_to_num(planned.lines.lead_time_days).astype(np.int32),
        "review_period_days": opportunities.review_period_days.astype(np.int32),
        "protection_days": opportunities.protection_days.astype(np.int32),
    }


def _service_columns(planned: PlannedLines, future: Outlook, *, is_fill: Flags) -> Columns:
    levels = planned.levels
    after = planned.position.inventory_position + planned.order.units
    fill = fill_rate(levels.demand, levels.before_delivery, position=after)
    formula = np.where(is_fill, fill, levels.demand.cdf(after))
    predicted = formula + np.where(is_fill, future.fill_change, future.service_change)
    return {
        "service_measure": np.where(is_fill, "fill", "cycle"),
        "service_level": levels.nominal,
        "target_service_rate": levels.target,
        "predicted_service_rate": np.round(np.where(levels.is_known, np.clip(predicted, 0.0, 1.0), 0.0), 9),
        "expected_waste_units": future.wasted_units,
    }


def _position_columns(position: Position) -> Columns:
    return {
        "on_hand_units": position.on_hand,
        "on_order_units": position.on_order,
        "on_order_counted_units": position.counted,
        "on_order_late_units": position.late,
        "on_order_beyond_units": position.beyond,
        "inventory_position_units": position.inventory_position,
    }


def _quantity_columns(planned: PlannedLines) -> Columns:
    lines, levels, order = planned.lines, planned.levels, planned.order
    stock, steps = planned.position.inventory_position, order.quantities
    avoided = shortage_avoided(levels.demand, levels.cycle_mean, position=stock, order_units=order.units)
    return {
        "demand_mean_units": levels.demand.mean,
        "reorder_point_units": levels.reorder_point,
        "order_up_to_units": stock + order.units,
        "safety_stock_units": levels.reorder_point + lines.unit_step - levels.demand.mean,
        "pack_units": np.where(lines.can_pack, lines.pack_units, 0.0),
        "qty_need_units": steps.need,
        "qty_after_minimum_units": steps.after_minimum,
        "qty_after_pack_units": steps.after_pack,
        "qty_after_cap_units": steps.after_cap,
        "qty_after_supplier_minimum_units": order.after_supplier_minimum,
        "qty_after_budget_units": order.units,
        "order_units": order.units,
        "unit_cost": lines.unit_cost,
        "expected_shortage_units": levels.demand.expected_shortage(stock),
        "lost_margin_avoided_value": np.nan_to_num(lines.unit_margin) * avoided,
        "is_margin_known": ~np.isnan(lines.unit_margin),
    }


def _experience_columns(planned: PlannedLines) -> Columns:
    """What the reason says of orders and discounts beyond anything seen."""
    experience = planned.experience
    return {
        "is_beyond_sales": planned.order.quantities.is_beyond_sales,
        "sold_units": experience.sold_units,
        "is_promoted": experience.is_promoted,
        "is_discount_beyond": experience.is_discount_beyond,
        "discount": experience.discount,
        "discount_date": experience.discount_date.astype(object),
        "deepest_discount": experience.deepest_discount,
    }


def _blocking(lines: Lines, position: Position, levels: LineLevels) -> dict[str, Flags]:
    """Why nothing can be ordered, with the word a person searches for."""
    has_supplier, has_lead_time = lines.supplier_ids != "", ~np.isnan(lines.lead_time_days)
    return {
        "missing supplier": ~has_supplier,
        "missing lead time": has_supplier & ~has_lead_time,
        "missing pack size": has_supplier & ~lines.can_pack,
        "missing stock": ~position.has_stock,
        "missing forecast": has_lead_time & ~levels.is_known,
    }


def _ends(planned: PlannedLines, *, is_stopped: Flags) -> NDArray[np.object_]:
    """`carried until` and the last day, where that day stops an order or makes it smaller; else nothing."""
    lines, level, steps = planned.lines, planned.levels, planned.order.quantities
    is_named = np.where(level.is_over, is_stopped, level.ends_first & (steps.after_cap < steps.after_pack))
    return np.where(is_named, "carried until " + lines.carried_until.astype(str).astype(object), "")


def _attention(planned: PlannedLines) -> dict[str, Flags]:
    """What needs a person although a quantity was computed."""
    lines, position, level, order = planned.lines, planned.position, planned.levels, planned.order
    is_ordered, steps = order.units > 0, order.quantities
    return {
        "negative stock counted as 0": position.on_hand < 0,
        "expedite: likely to run out before an order can arrive": level.empties_early,
        "overdue order": (position.late > 0) & (position.stopped < position.late),
        "overdue order no longer counted": position.stopped > 0,
        UNMATCHED: position.has_unmatched,
        LAPSED: position.has_lapsed,
        UNDATED: position.has_undated,
        MISBOOKED: position.has_misbooked,
        "maximum leaves no room for the order": (
            (steps.after_pack > 0)
            & (steps.after_cap <= 0)
            & ~is_ordered
            & ~level.ends_first
            & (planned.experience.is_promoted | ~steps.is_beyond_sales)
        ),
        BEYOND_SALES: steps.is_beyond_sales,
        BEYOND_DISCOUNTS: planned.experience.is_discount_beyond & level.is_known,
        "no demand from the delivery to the next one": (
            level.sells_nothing & ~level.is_over & (position.inventory_position <= level.reorder_point)
        ),
        "supplier minimum not reached": order.is_below_supplier_minimum,
        "supplier minimum not checked: missing cost": order.is_supplier_minimum_unchecked,
        "cut by the budget": order.units < order.after_supplier_minimum,
        "missing cost": is_ordered & np.isnan(lines.unit_cost),
        "missing price": is_ordered & np.isnan(lines.unit_price),
    }


def _joined(flags: dict[str, Flags]) -> list[str]:
    """The words that hold of each row, joined."""
    rows = np.array(list(flags.values())).T
    words = list(flags)
    return ["; ".join(word for word, holds in zip(words, row, strict=True) if holds) for row in rows.tolist()]


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
    """Types of the contract: money as exact decimals, units without floating noise; names and reasons added."""
    units = [name for name in frame.columns if name.endswith("_units")]
    frame[units] = frame[units].round(6) + 0.0
    frame["unit_cost"] = [None if np.isnan(value) else _money(value) for value in frame["unit_cost"].astype(float)]
    frame["order_value"] = [
        None if cost is None else (cost * Decimal(repr(float(units)))).quantize(_CENTS)
        for cost, units in zip(frame["unit_cost"], frame["order_units"], strict=True)
    ]
    frame["reason"] = [reason(line) for line in frame.to_dict("records")]
    frame["lost_margin_avoided_value"] = [_money(value) for value in frame["lost_margin_avoided_value"].astype(float)]
    names = zip(frame["store_id"], frame["product_id"], frame["supplier_id"], frame["order_date"], strict=True)
    frame["proposal_id"] = [proposal_id(*name) for name in names]
    return frame.loc[:, REPLENISHMENT_PLAN.column_names]


def _money(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(_CENTS)


def proposal_id(store_id: str, product_id: str, supplier_id: str, order_date: date, *, number: int = 1) -> str:
    """Stable name of the proposal of an order cycle; `number` counts what is added to it after an approval."""
    parts = (str(store_id), str(product_id), str(supplier_id), order_date.isoformat())
    added = () if number == 1 else (str(number),)
    return str(uuid.uuid5(_PROPOSALS, "\x1f".join((*parts, *added))))


def with_free_names(plan: pd.DataFrame, approved: frozenset[str]) -> pd.DataFrame:
    """The same with the first name of each order cycle that is not approved: it could not be decided again."""
    taken = plan["proposal_id"].isin(list(approved))
    keys = plan.loc[taken, ["store_id", "product_id", "supplier_id", "order_date"]].itertuples(index=False)
    names = ((proposal_id(*key, number=number) for number in count(2)) for key in keys)
    plan.loc[taken, "proposal_id"] = [next(name for name in own if name not in approved) for own in names]
    return plan
