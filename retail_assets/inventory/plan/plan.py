"""The replenishment plan: one row for each store and product that needs an order or a person, with every step stored.

Tables in as of the day, table out; the definitions are those of the contract of `inventory/replenishment_plan`.
Terms and demand come from lines.py, levels and packs from order_levels.py, rows and reasons from rows.py.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Flags
from retail_assets.inventory.draws import line_keys
from retail_assets.inventory.order_days import Opportunities, order_opportunities, order_weekdays
from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.inventory.plan.beyond import Experience
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.lines import LineLevels, Lines, classes_of, forecast_of, levels_of, lines_of
from retail_assets.inventory.plan.position import Position, stock_position
from retail_assets.inventory.plan.rows import PlannedLines, plan_rows, with_free_names
from retail_assets.inventory.prospects import Outlook, Prospect, outlook
from retail_assets.inventory.quantity import (
    OrderLines,
    PlannedOrder,
    below_minimum,
    cost_of,
    filled_to_supplier_minimum,
    minimum_unchecked,
    within_budget,
)
from retail_assets.inventory.shelf_life import batches_by_age
from retail_assets.tables.inventory import REPLENISHMENT_PLAN

_PATHS, _SPOILING_PATHS = 32, 128
"""Sampled paths of demand of a line: they only say what lost sales change, and waste where a product spoils."""


def replenishment_plan(inputs: PlanInputs, policies: Policies | None = None) -> pd.DataFrame:
    """What to order at the next opportunity, why, and what needs a person; columns of REPLENISHMENT_PLAN.

    Rows are ordered by the margin the order saves. Without any stock data the plan is empty.

    Raises:
        PermanentFailure: the forecast lacks a horizon that a supplier's protection and delay need.
        ValueError: a series has more than one row of terms.
    """
    if inputs.on_hand.empty or inputs.terms.empty:
        return pd.DataFrame(columns=pd.Index(REPLENISHMENT_PLAN.column_names))
    given = policies or Policies()
    lines = lines_of(inputs.terms, inputs.prices, inputs.order_days)
    classes = classes_of(inputs.segments, lines.series)
    rules = given.of_lines(lines.series, supplier_ids=lines.supplier_ids, classes=classes)
    opportunities = _opportunities(inputs, lines, given.plan)
    position = stock_position(
        inputs, lines.series, opportunities, overdue_days_max=given.plan.overdue_days_max, lead_times=lines.lead_times
    )
    forecast = forecast_of(inputs, lines)
    levels = levels_of(lines, opportunities, position, forecast=forecast, delays=inputs.delays, rules=rules)
    experience = Experience.of(inputs, lines.series, opportunities)
    order = _order(lines, opportunities, position, levels=levels, experience=experience, plan=given.plan)
    planned = PlannedLines(inputs.as_of, lines, opportunities, position, levels, order, experience)
    rows = plan_rows(planned, _outlook(planned, inputs.receipts), is_fill=rules.is_fill)
    return with_free_names(rows, inputs.approved_proposals)


def _opportunities(inputs: PlanInputs, lines: Lines, plan: PlanPolicy) -> Opportunities:
    return order_opportunities(
        inputs.as_of,
        order_weekdays(inputs.order_days, lines.supplier_ids, lines.series.get_level_values(0)),
        lead_time_days=np.nan_to_num(lines.lead_time_days).astype(np.int64),
        receipt_delay_days=plan.receipt_delay_days,
    )


def _order(
    lines: Lines,
    opportunities: Opportunities,
    position: Position,
    *,
    levels: LineLevels,
    experience: Experience,
    plan: PlanPolicy,
) -> PlannedOrder:
    stock = position.inventory_position
    can_order = _can_order(lines, position, levels)
    decided = replace(
        levels.levels,
        trigger=np.where(can_order, levels.reorder_point, -np.inf),
        sales=experience.sales(lines.presentation_min_units),
    )
    sizes = {"pack_units": lines.safe_pack, "line_minimum_units": lines.line_minimum_units}
    quantities = decided.quantities(stock, **sizes)
    stores = pd.factorize(pd.MultiIndex.from_arrays([lines.series.get_level_values(0), lines.supplier_ids]))[0]
    offered = OrderLines(
        group=stores.astype(np.int64),
        demand=levels.demand,
        cycle_mean=levels.cycle_mean,
        position=stock,
        room_units=np.where(can_order, decided.room(stock, **sizes), 0.0),
        unit_cost=lines.unit_cost,
        unit_margin=lines.unit_margin,
        **sizes,
    )
    least = _group_greatest(lines.min_order_value, stores)
    filled, is_below = filled_to_supplier_minimum(offered, quantities.after_cap, minimum_value=least)
    units = filled
    if plan.budget_value is not None:
        days = np.unique(opportunities.order_date, return_inverse=True)[1]
        units = within_budget(replace(offered, group=days), filled, budget_value=plan.budget_value)
        is_below = below_minimum(offered.group, cost_of(units, lines.unit_cost), least) & (units > 0)
    is_unchecked = minimum_unchecked(offered.group, cost_of(units, lines.unit_cost), least) & (units > 0)
    return PlannedOrder(quantities, filled, units, is_below, is_unchecked)


def _outlook(planned: PlannedLines, receipts: pd.DataFrame | None) -> Outlook:
    """What lost sales and waste do until the next delivery; nothing for lines without a window."""
    lines, position, levels = planned.lines, planned.position, planned.levels
    change = Outlook(*(np.zeros(len(lines.series)) for _ in range(4)))
    spoils, keys = np.isfinite(lines.shelf_life_days), line_keys(planned.as_of, lines.series)
    on_hand, life = position.usable_on_hand, lines.shelf_life_days
    prospect = Prospect(
        on_hand=on_hand,
        batches=batches_by_age(planned.as_of, lines.series, on_hand=on_hand, shelf_life_days=life, receipts=receipts),
        coming=position.coming,
        promised=position.promised,
        order_units=planned.order.units,
        arrival=planned.opportunities.before_delivery_days,
        next_arrival=planned.opportunities.protection_days,
        delay_probabilities=levels.delay_probabilities,
        shelf_life_days=life,
        daily_mean=levels.daily_mean,
    )
    for kind, paths in ((~spoils, _PATHS), (spoils, _SPOILING_PATHS)):
        rows = np.flatnonzero(kind & _can_order(lines, position, levels))
        demands = [demand.take(rows) for demand in levels.by_delay]
        found = outlook(prospect.take(rows), demands, paths=paths, keys=keys[rows])
        for name in ("service_change", "fill_change", "wasted_units", "lost_units"):
            getattr(change, name)[rows] = getattr(found, name)
    return change


def _can_order(lines: Lines, position: Position, levels: LineLevels) -> Flags:
    return (
        lines.can_pack
        & ~np.isnan(lines.lead_time_days)
        & levels.is_known
        & position.has_stock
        & (lines.supplier_ids != "")
        & ~levels.sells_nothing
    )


def _group_greatest(values: Array, group: NDArray[np.intp]) -> Array:
    greatest = np.zeros(int(group.max()) + 1)
    np.maximum.at(greatest, group, values)
    return greatest[group]
