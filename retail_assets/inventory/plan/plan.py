"""The replenishment plan: one row for each store and product that needs an order or a person, with every step stored.

Tables in as of the day, table out; the definitions are those of the contract of `inventory/replenishment_plan`.
Terms and levels come from plan_lines.py, rows and reasons are made by plan_rows.py; this one decides.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.inventory.draws import line_keys
from retail_assets.inventory.order_days import Opportunities, order_opportunities, order_weekdays
from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.inventory.plan.lines import Level, Lines, classes_of, level_of, lines_of, windows_of
from retail_assets.inventory.plan.position import Position, stock_position
from retail_assets.inventory.plan.rows import plan_rows, with_free_names
from retail_assets.inventory.prospects import Outlook, Prospect, outlook
from retail_assets.inventory.quantity import (
    OrderLines,
    PlannedOrder,
    below_minimum,
    cost_of,
    filled_to_supplier_minimum,
    minimum_unchecked,
    ordered_quantities,
    within_budget,
)
from retail_assets.inventory.shelf_life import batches_by_age
from retail_assets.tables.inventory import REPLENISHMENT_PLAN

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PATHS, _SPOILING_PATHS = 32, 128
"""Sampled paths of demand of a line: they only say what lost sales change, and waste where a product spoils."""


def replenishment_plan(
    *,
    as_of: date,
    cumulative: pd.DataFrame,
    on_hand: pd.DataFrame,
    open_orders: pd.DataFrame,
    decisions: pd.DataFrame,
    terms: pd.DataFrame,
    order_days: pd.DataFrame,
    delays: pd.DataFrame,
    prices: pd.DataFrame,
    receipts: pd.DataFrame | None = None,
    segments: pd.DataFrame | None = None,
    policies: Policies | None = None,
    closed_days: pd.DataFrame | None = None,
    approved_proposals: Collection[str] = (),
) -> pd.DataFrame:
    """What to order on the next chance, why, and what needs a person; columns of REPLENISHMENT_PLAN.

    Rows are ordered by the margin the order saves. Without any stock data the plan is empty.

    Args:
        as_of: last closed day; all frames are as of it.
        cumulative: store_id, product_id, horizon_days, mean_units, p_zero, q025 … q995.
        on_hand: store_id, product_id, on_hand_units.
        open_orders: store_id, product_id, supplier_id, ordered_date, promised_date, open_units; optionally is_undated
            (the date is assumed) and is_misbooked, which are named.
        decisions: approved, without a purchase order yet: store_id, product_id, order_units, expected_delivery_date;
            with decided_at, in the zone of the stores, they are named two days after it at the latest.
        terms: a row for each series carried, those without a supplier cannot be ordered: store_id, product_id,
            supplier_id, pack_units, moq_units, shelf_max_units, unit_cost, shelf_life_days, lead_time_days,
            min_order_value; optionally presentation_min_units, and carried_until and carried_again_from, the last day
            the series is carried and the first day it is carried again, missing where no end is known, and
            source_choice, why this supplier, for the reason.
        order_days: supplier_id, location_id, order_weekday.
        delays: supplier_id, delay_days, probability.
        prices: store_id, product_id, unit_price, unit_step.
        receipts: store_id, product_id, received_date, received_units: the age of the stock; without them it is fresh.
        segments: store_id, product_id, abc_class; policies: targets and costs.
        closed_days: store_id, product_id, business_date of days to come on which a series does not sell; between the
            stored horizons of the forecast its demand falls on the other days.
        approved_proposals: proposal_ids that are approved or on a purchase order: their names are not given again.

    Raises:
        PermanentFailure: the forecast lacks a horizon that a supplier's protection and delay need.
        ValueError: a series has more than one row of terms.
    """
    if on_hand.empty or terms.empty:
        return pd.DataFrame(columns=pd.Index(REPLENISHMENT_PLAN.column_names))
    given, lines = policies or Policies(), lines_of(terms, prices, order_days)
    rules = given.of_lines(lines.series, supplier_ids=lines.supplier_ids, classes=classes_of(segments, lines.series))
    chance = _chance(as_of, lines, order_days, given.plan)
    frames = {"on_hand": on_hand, "open_orders": open_orders, "decisions": decisions, "delays": delays}
    position = _position(as_of, lines, chance, given.plan, **frames)
    windows = windows_of(cumulative, lines, closed_days, as_of=as_of)
    level = level_of(lines, chance, position, windows=windows, delays=delays, rules=rules)
    order = _order(lines, position, level, chance=chance, plan=given.plan)
    held = {"position": position, "level": level, "order": order}
    future = _outlook(as_of, lines, chance, **held, receipts=receipts)
    rows = plan_rows(as_of, lines, chance, **held, future=future, is_fill=rules.is_fill)
    return with_free_names(rows, frozenset(approved_proposals))


def _chance(as_of: date, lines: Lines, order_days: pd.DataFrame, plan: PlanPolicy) -> Opportunities:
    return order_opportunities(
        as_of,
        order_weekdays(order_days, lines.supplier_ids, lines.series.get_level_values(0)),
        lead_time_days=np.nan_to_num(lines.lead_time_days).astype(np.int64),
        receipt_delay_days=plan.receipt_delay_days,
    )


def _position(as_of: date, lines: Lines, chance: Opportunities, plan: PlanPolicy, **frames: pd.DataFrame) -> Position:
    return stock_position(
        lines.series,
        as_of,
        expected_delivery=chance.expected_delivery_date,
        next_delivery=chance.next_delivery_date,
        overdue_days_max=plan.overdue_days_max,
        lead_times=lines.lead_times,
        **frames,
    )


def _order(lines: Lines, position: Position, level: Level, *, chance: Opportunities, plan: PlanPolicy) -> PlannedOrder:
    stock = position.inventory_position
    can_order = _can_order(lines, position, level)
    maximum = np.fmin(np.where(np.isnan(lines.shelf_max_units), np.inf, lines.shelf_max_units), level.shelf)
    room = np.where(can_order, np.maximum(np.minimum(maximum - stock, level.shelf_order), 0.0), 0.0)
    quantities = ordered_quantities(
        stock,
        np.where(can_order, level.reorder_point, -np.inf),
        step=lines.unit_step,
        pack_units=lines.safe_pack,
        line_minimum_units=lines.line_minimum_units,
        room_units=room,
    )
    stores = pd.factorize(pd.MultiIndex.from_arrays([lines.series.get_level_values(0), lines.supplier_ids]))[0]
    offered = OrderLines(
        group=stores.astype(np.int64),
        demand=level.demand,
        cycle_mean=level.cycle_mean,
        position=stock,
        pack_units=lines.safe_pack,
        line_minimum_units=lines.line_minimum_units,
        room_units=room,
        unit_cost=lines.unit_cost,
        unit_margin=lines.unit_margin,
    )
    least = _group_greatest(lines.min_order_value, stores)
    filled, is_below = filled_to_supplier_minimum(offered, quantities.after_cap, minimum_value=least)
    units = filled
    if plan.budget_value is not None:
        days = np.unique(chance.order_date, return_inverse=True)[1]
        units = within_budget(replace(offered, group=days), filled, budget_value=plan.budget_value)
        is_below = below_minimum(offered.group, cost_of(units, lines.unit_cost), least) & (units > 0)
    is_unchecked = minimum_unchecked(offered.group, cost_of(units, lines.unit_cost), least) & (units > 0)
    return PlannedOrder(quantities, filled, units, is_below, is_unchecked)


def _outlook(
    as_of: date,
    lines: Lines,
    chance: Opportunities,
    *,
    position: Position,
    level: Level,
    order: PlannedOrder,
    receipts: pd.DataFrame | None,
) -> Outlook:
    """What lost sales and waste do until the next delivery; nothing for lines without a window."""
    change = Outlook(*(np.zeros(len(lines.series)) for _ in range(4)))
    spoils, keys = np.isfinite(lines.shelf_life_days), line_keys(as_of, lines.series)
    on_hand, life = position.usable_on_hand, lines.shelf_life_days
    prospect = Prospect(
        on_hand=on_hand,
        batches=batches_by_age(as_of, lines.series, on_hand=on_hand, shelf_life_days=life, receipts=receipts),
        coming=position.coming,
        promised=position.promised,
        order_units=order.units,
        arrival=chance.before_delivery_days,
        next_arrival=chance.protection_days,
        delay_chances=level.delay_chances,
        shelf_life_days=life,
        daily_mean=level.daily_mean,
    )
    for kind, paths in ((~spoils, _PATHS), (spoils, _SPOILING_PATHS)):
        rows = np.flatnonzero(kind & _can_order(lines, position, level))
        demands = [demand.take(rows) for demand in level.by_delay]
        found = outlook(prospect.take(rows), demands, paths=paths, keys=keys[rows])
        for name in ("service_change", "fill_change", "wasted_units", "lost_units"):
            getattr(change, name)[rows] = getattr(found, name)
    return change


def _can_order(lines: Lines, position: Position, level: Level) -> Flags:
    return (
        lines.can_pack
        & ~np.isnan(lines.lead_time_days)
        & level.is_known
        & position.has_stock
        & (lines.supplier_ids != "")
        & ~level.sells_nothing
    )


def _group_greatest(values: Array, group: NDArray[np.intp]) -> Array:
    greatest = np.zeros(int(group.max()) + 1)
    np.maximum.at(greatest, group, values)
    return greatest[group]
