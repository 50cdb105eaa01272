"""The replenishment plan: one row for each store and product that needs an order or a person, with every step stored.

Tables in as of the day, table out; the definitions are those of the contract of `inventory/replenishment_plan`.
Order policies, positions and sentences have their own modules; this one puts them in order.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.inventory.calendar import (
    Opportunities,
    are_order_days_known,
    order_opportunities,
    order_weekdays,
)
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.parameters import LineParameters, PlanPolicy, Policies
from retail_assets.inventory.policies import (
    CRITICAL_RATIO_LIMITS,
    critical_ratio,
    fill_rate,
    reorder_point_fill,
    reorder_point_with_packs,
    shelf_life_limit,
)
from retail_assets.inventory.position import Position, stock_position
from retail_assets.inventory.prospects import Outlook, Prospect, outlook
from retail_assets.inventory.quantity import (
    OrderLines,
    Quantities,
    below_minimum,
    cost_of,
    filled_to_supplier_minimum,
    minimum_unchecked,
    ordered_quantities,
    shortage_avoided,
    within_budget,
)
from retail_assets.inventory.reasons import reason
from retail_assets.inventory.shelf_life import batches_by_age
from retail_assets.inventory.windows import Windows, delay_chances, series_index
from retail_assets.tables.inventory import REPLENISHMENT_PLAN

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_PROPOSALS = uuid.uuid5(uuid.NAMESPACE_URL, "retail-assets:replenishment-proposal")
_CENTS = Decimal("0.0001")
_PATHS, _SPOILING_PATHS = 32, 128
"""Sampled paths of demand of a line: they only say what lost sales change, and waste where a product spoils."""


@dataclass(frozen=True)
class _Terms:
    """The terms of n series as arrays; what is missing is NaN."""

    series: pd.MultiIndex
    supplier_ids: NDArray[Any]
    lead_time_days: Array
    pack_units: Array
    line_minimum_units: Array
    shelf_max_units: Array
    unit_cost: Array
    unit_price: Array
    unit_step: Array
    shelf_life_days: Array
    min_order_value: Array
    presentation_min_units: Array
    has_order_days: Flags

    @property
    def unit_margin(self) -> Array:
        return np.maximum(self.unit_price - self.unit_cost, 0.0)

    @property
    def lead_times(self) -> dict[str, float]:
        """Known lead time of each supplier."""
        pairs = zip(self.supplier_ids.tolist(), self.lead_time_days.tolist(), strict=True)
        return {supplier: days for supplier, days in pairs if not np.isnan(days)}

    @property
    def can_pack(self) -> Flags:
        return self.pack_units > 0

    @property
    def safe_pack(self) -> Array:
        """Pack, or one step where it is missing: such lines are not ordered anyway."""
        return np.where(self.can_pack, self.pack_units, np.where(self.unit_step > 0, self.unit_step, 1.0))


@dataclass(frozen=True)
class _Level:
    """Demand up to the next delivery, also for each delay of it, and the level that covers it.

    `shelf` is the position, `shelf_order` the order that sells before the order expires.
    """

    demand: Demand
    by_delay: list[Demand]
    delay_chances: Array
    daily_mean: Array
    before_delivery: Demand
    shelf: Array
    shelf_order: Array
    nominal: Array
    target: Array
    reorder_point: Array
    is_known: Flags
    empties_early: Flags

    @property
    def cycle_mean(self) -> Array:
        """Expected demand from this delivery to the next."""
        return self.demand.mean - self.before_delivery.mean


@dataclass(frozen=True)
class _Order:
    quantities: Quantities
    room: Array
    after_supplier_minimum: Array
    units: Array
    is_below_supplier_minimum: Flags
    is_supplier_minimum_unchecked: Flags


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
    approved_proposals: Collection[str] = (),
) -> pd.DataFrame:
    """What to order on the next chance, why, and what needs a person; columns of REPLENISHMENT_PLAN.

    Rows are ordered by the margin the order saves. Without any stock data the plan is empty.

    Args:
        as_of: last closed day; all frames are as of it.
        cumulative: store_id, product_id, horizon_days, mean_units, p_zero, q025 … q995.
        on_hand: store_id, product_id, on_hand_units.
        open_orders: store_id, product_id, supplier_id, ordered_date, promised_date, open_units.
        decisions: approved, without a purchase order yet: store_id, product_id, order_units, expected_delivery_date;
            with decided_at, in the zone of the stores, they are named two days after it at the latest.
        terms: a row for each series carried, those without a supplier cannot be ordered: store_id, product_id,
            supplier_id, pack_units, moq_units, shelf_max_units, unit_cost, shelf_life_days, lead_time_days,
            min_order_value; optionally presentation_min_units.
        order_days: supplier_id, location_id, order_weekday.
        delays: supplier_id, delay_days, probability.
        prices: store_id, product_id, unit_price, unit_step.
        receipts: store_id, product_id, received_date, received_units: the age of the stock; without them it is fresh.
        segments: store_id, product_id, abc_class; policies: targets and costs.
        approved_proposals: proposal_ids that are approved or on a purchase order: their names are not given again.

    Raises:
        PermanentFailure: the forecast lacks a horizon that a supplier's protection and delay need.
        ValueError: a series has more than one row of terms.
    """
    if on_hand.empty or terms.empty:
        return pd.DataFrame(columns=pd.Index(REPLENISHMENT_PLAN.column_names))
    ordered = terms.sort_values(["store_id", "product_id"], ignore_index=True)
    lines = _terms(ordered, prices, order_days)
    given = policies or Policies()
    rules = given.of_lines(lines.series, supplier_ids=lines.supplier_ids, classes=_classes(segments, lines.series))
    chance = _chance(as_of, lines, order_days, given.plan)
    position = stock_position(
        lines.series,
        as_of,
        on_hand=on_hand,
        open_orders=open_orders,
        decisions=decisions,
        delays=delays,
        expected_delivery=chance.expected_delivery_date,
        next_delivery=chance.next_delivery_date,
        overdue_days_max=given.plan.overdue_days_max,
        lead_times=lines.lead_times,
    )
    windows = _windows(cumulative, lines)
    level = _level(lines, chance, position, windows=windows, delays=delays, rules=rules)
    plan = _decided(
        as_of, lines, chance, position=position, level=level, receipts=receipts, plan=given.plan, is_fill=rules.is_fill
    )
    return _with_free_names(plan, frozenset(approved_proposals))


def _chance(as_of: date, lines: _Terms, order_days: pd.DataFrame, plan: PlanPolicy) -> Opportunities:
    return order_opportunities(
        as_of,
        order_weekdays(order_days, lines.supplier_ids, lines.series.get_level_values(0)),
        lead_time_days=np.nan_to_num(lines.lead_time_days).astype(np.int64),
        receipt_delay_days=plan.receipt_delay_days,
    )


def _decided(
    as_of: date,
    lines: _Terms,
    chance: Opportunities,
    *,
    position: Position,
    level: _Level,
    receipts: pd.DataFrame | None,
    plan: PlanPolicy,
    is_fill: Flags,
) -> pd.DataFrame:
    order = _order(lines, position, level, chance=chance, plan=plan)
    batches = batches_by_age(
        as_of,
        lines.series,
        on_hand=position.usable_on_hand,
        shelf_life_days=lines.shelf_life_days,
        receipts=receipts,
    )
    future = _outlook(as_of, lines, chance, position=position, level=level, order=order, batches=batches)
    return _table(as_of, lines, chance, position=position, level=level, order=order, future=future, is_fill=is_fill)


def proposal_id(store_id: str, product_id: str, supplier_id: str, order_date: date, *, number: int = 1) -> str:
    """Stable name of the proposal of an order cycle; `number` counts what is added to it after an approval."""
    parts = (str(store_id), str(product_id), str(supplier_id), order_date.isoformat())
    added = () if number == 1 else (str(number),)
    return str(uuid.uuid5(_PROPOSALS, "\x1f".join((*parts, *added))))


def _with_free_names(plan: pd.DataFrame, approved: frozenset[str]) -> pd.DataFrame:
    """The same with the first name of each order cycle that is not approved: it could not be decided again."""
    taken = plan["proposal_id"].isin(list(approved))
    keys = plan.loc[taken, ["store_id", "product_id", "supplier_id", "order_date"]].itertuples(index=False)
    names = ((proposal_id(*key, number=number) for number in count(2)) for key in keys)
    plan.loc[taken, "proposal_id"] = [next(name for name in own if name not in approved) for own in names]
    return plan


def _terms(terms: pd.DataFrame, prices: pd.DataFrame, order_days: pd.DataFrame) -> _Terms:
    series = series_index(terms)
    if series.has_duplicates:
        store, product = series[series.duplicated()][0]
        raise ValueError(f"terms has more than one row for store {store} and product {product}")
    row = series_index(prices).get_indexer(series)
    unit_price, unit_step = (
        np.where(row >= 0, np.append(_numbers(prices[name]), np.nan)[row], np.nan)
        for name in ("unit_price", "unit_step")
    )
    suppliers = terms["supplier_id"].fillna("").astype(str).to_numpy()
    return _Terms(
        series=series,
        supplier_ids=suppliers,
        lead_time_days=_numbers(terms["lead_time_days"]),
        pack_units=_numbers(terms["pack_units"]),
        line_minimum_units=np.nan_to_num(_numbers(terms["moq_units"])),
        shelf_max_units=_numbers(terms["shelf_max_units"]),
        unit_cost=_numbers(terms["unit_cost"]),
        unit_price=unit_price,
        unit_step=np.where(np.isnan(unit_step), 1.0, unit_step),
        shelf_life_days=np.maximum(_numbers(terms["shelf_life_days"]), 1.0),  # the day of receipt at least
        min_order_value=np.nan_to_num(_numbers(terms["min_order_value"])),
        presentation_min_units=np.nan_to_num(
            _numbers(terms.get("presentation_min_units", terms["moq_units"] * np.nan))
        ),
        has_order_days=are_order_days_known(order_days, suppliers, series.get_level_values(0)),
    )


def _classes(segments: pd.DataFrame | None, series: pd.MultiIndex) -> NDArray[np.object_]:
    """ABC class of each line, empty where unknown."""
    classes = np.full(len(series), "", dtype=object)
    if segments is None or segments.empty:
        return classes
    row = series_index(segments).get_indexer(series)
    classes[row >= 0] = segments["abc_class"].to_numpy(dtype=object)[row[row >= 0]]
    return classes


def _windows(cumulative: pd.DataFrame, lines: _Terms) -> Windows:
    """The forecasts; a line without lead time has no window to read."""
    windows = Windows.from_forecast(
        cumulative, lines.series, unit_step=lines.unit_step, supplier_ids=lines.supplier_ids
    )
    return windows.without(np.isnan(lines.lead_time_days))


def _level(
    lines: _Terms,
    chance: Opportunities,
    position: Position,
    *,
    windows: Windows,
    delays: pd.DataFrame,
    rules: LineParameters,
) -> _Level:
    chances = delay_chances(delays, lines.supplier_ids)
    by_delay = windows.by_delay(chance.protection_days, chances)
    demand = by_delay[0] if len(by_delay) == 1 else Demand.mix(chances, by_delay)
    before = windows.nearest(chance.before_delivery_days)
    nominal = _nominal_service(lines, chance, rules)
    target = np.where(np.isnan(rules.service_level), np.clip(nominal, *CRITICAL_RATIO_LIMITS), nominal)
    late = [windows.nearest(chance.before_delivery_days + delay) for delay in range(chances.shape[1])]
    before_mixed = late[0] if len(late) == 1 else Demand.mix(chances, late)
    point = reorder_point_with_packs(demand, lines.safe_pack, target=target)
    rows = np.flatnonzero(rules.is_fill)
    if len(rows):
        point[rows] = reorder_point_fill(
            demand.take(rows), before_mixed.take(rows), pack_units=lines.safe_pack[rows], target=target[rows]
        )
    point = np.maximum(
        point, np.where(lines.presentation_min_units > 0, lines.presentation_min_units - lines.unit_step, point)
    )
    early = before.cdf(position.usable_on_hand + position.before_delivery)
    shelf, shelf_order = _shelf_limits(lines, chance, windows=windows, target=target, rules=rules)
    return _Level(
        demand=demand,
        by_delay=by_delay,
        delay_chances=chances,
        daily_mean=windows.daily_mean(int(chance.protection_days.max()) + chances.shape[1] - 1),
        before_delivery=before_mixed,
        shelf=shelf,
        shelf_order=shelf_order,
        nominal=nominal,
        target=target,
        reorder_point=np.round(point, 6).astype(np.float64),
        is_known=windows.is_known,
        empties_early=windows.is_known & position.has_stock & (1 - early > rules.expedite_probability),
    )


def _nominal_service(lines: _Terms, chance: Opportunities, rules: LineParameters) -> Array:
    """The set level, or the critical ratio; a line without cost or price takes the upper limit of the ratio."""
    is_perishable = lines.shelf_life_days <= chance.protection_days
    held = lines.unit_cost * rules.holding_rate * chance.review_period_days / 365
    overage = np.where(is_perishable, lines.unit_cost * (1 - rules.salvage_rate), held)
    ratio = critical_ratio(lines.unit_margin, overage, goodwill=rules.goodwill_value)
    ratio = np.where(np.isnan(ratio), CRITICAL_RATIO_LIMITS[1], ratio)
    return np.where(np.isnan(rules.service_level), ratio, rules.service_level)


def _shelf_limits(
    lines: _Terms, chance: Opportunities, *, windows: Windows, target: Array, rules: LineParameters
) -> tuple[Array, Array]:
    """Position and order whose last pack still pays before the order expires; infinite without a life.

    The position alone is not enough: what sells before the delivery makes no room for goods that come with it. Demand
    from the delivery on is that of the first days, as many, times the ratio of the means.
    """
    limits = np.full((2, len(lines.series)), np.inf)
    rows = np.flatnonzero(lines.shelf_life_days > 0)
    if not len(rows):
        return limits[0], limits[1]
    life = lines.shelf_life_days[rows].astype(np.int64) - rules.min_remaining_days[rows]
    ratio = rules.take(rows).shelf_life_ratio(
        margin=lines.unit_margin[rows], unit_cost=lines.unit_cost[rows], target=target[rows]
    )
    before, known = chance.before_delivery_days[rows], windows.take(rows)
    whole, first_days = known.nearest(np.maximum(before + life, 0)), known.nearest(np.maximum(life, 0))
    sold, total, first = known.mean_within(np.maximum(np.column_stack([before, before + life, life]), 0)).T
    own = first_days.scale(np.divide(np.maximum(total - sold, 0.0), first, out=np.zeros_like(first), where=first > 0))
    for limit, demand in zip(limits, (whole, own), strict=True):
        limit[rows] = shelf_life_limit(
            demand, lines.safe_pack[rows], line_minimum_units=lines.line_minimum_units[rows], ratio=ratio
        )
    return limits[0], limits[1]


def _order(lines: _Terms, position: Position, level: _Level, *, chance: Opportunities, plan: PlanPolicy) -> _Order:
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
    return _Order(quantities, room, filled, units, is_below, is_unchecked)


def _outlook(
    as_of: date,
    lines: _Terms,
    chance: Opportunities,
    *,
    position: Position,
    level: _Level,
    order: _Order,
    batches: Array,
) -> Outlook:
    """What lost sales and waste do until the next delivery; nothing for lines without a window."""
    change = Outlook(*(np.zeros(len(lines.series)) for _ in range(4)))
    spoils, rng = np.isfinite(lines.shelf_life_days), np.random.default_rng(as_of.toordinal())
    prospect = Prospect(
        on_hand=position.usable_on_hand,
        batches=batches,
        coming=position.coming,
        promised=position.promised,
        order_units=order.units,
        arrival=chance.before_delivery_days,
        next_arrival=chance.protection_days,
        delay_chances=level.delay_chances,
        shelf_life_days=lines.shelf_life_days,
        daily_mean=level.daily_mean,
    )
    for kind, paths in ((~spoils, _PATHS), (spoils, _SPOILING_PATHS)):
        rows = np.flatnonzero(kind & _can_order(lines, position, level))
        demands = [demand.take(rows) for demand in level.by_delay]
        found = outlook(prospect.take(rows), demands, paths=paths, rng=rng)
        for name in ("service_change", "fill_change", "wasted_units", "lost_units"):
            getattr(change, name)[rows] = getattr(found, name)
    return change


def _can_order(lines: _Terms, position: Position, level: _Level) -> Flags:
    return (
        lines.can_pack
        & ~np.isnan(lines.lead_time_days)
        & level.is_known
        & position.has_stock
        & (lines.supplier_ids != "")
    )


def _group_greatest(values: Array, group: NDArray[np.intp]) -> Array:
    greatest = np.zeros(int(group.max()) + 1)
    np.maximum.at(greatest, group, values)
    return greatest[group]


def _table(
    as_of: date,
    lines: _Terms,
    chance: Opportunities,
    *,
    position: Position,
    level: _Level,
    order: _Order,
    future: Outlook,
    is_fill: Flags,
) -> pd.DataFrame:
    """Rows that order or need a person, ordered by the margin they save."""
    blocked = _joined(_blocking(lines, position, level))
    attention = _joined(_attention(lines, position, level=level, order=order))
    frame = pd.DataFrame(
        {
            "as_of_date": as_of,
            "store_id": lines.series.get_level_values(0),
            "product_id": lines.series.get_level_values(1),
            "supplier_id": lines.supplier_ids,
            **_calendar_columns(lines, chance),
            **_service_columns(position, level, order=order, future=future, is_fill=is_fill),
            **_position_columns(position),
            **_quantity_columns(lines, position, level=level, order=order),
            "has_order_days": lines.has_order_days,
            "blocked": blocked,
            "exception": ["; ".join(filter(None, both)) or None for both in zip(blocked, attention, strict=True)],
        }
    )
    frame = frame.loc[(frame["order_units"] > 0) | frame["exception"].notna()]
    keys = {"lost_margin_avoided_value": False, "expected_shortage_units": False, "store_id": True, "product_id": True}
    return _finished(frame.sort_values(list(keys), ascending=list(keys.values()), ignore_index=True))


def _calendar_columns(lines: _Terms, chance: Opportunities) -> dict[str, Any]:
    dates = ("order_date", "expected_delivery_date", "next_order_date", "next_delivery_date")
    return {
        **{name: getattr(chance, name).astype(object) for name in dates},
        "lead_time_days": np.nan_to_num(lines.lead_time_days).astype(np.int32),
        "review_period_days": chance.review_period_days.astype(np.int32),
        "protection_days": chance.protection_days.astype(np.int32),
    }


def _service_columns(
    position: Position, level: _Level, *, order: _Order, future: Outlook, is_fill: Flags
) -> dict[str, Any]:
    after = position.inventory_position + order.units
    formula = np.where(is_fill, fill_rate(level.demand, level.before_delivery, position=after), level.demand.cdf(after))
    predicted = formula + np.where(is_fill, future.fill_change, future.service_change)
    return {
        "service_measure": np.where(is_fill, "fill", "cycle"),
        "service_level": level.nominal,
        "target_service_rate": level.target,
        "predicted_service_rate": np.where(level.is_known, np.clip(predicted, 0.0, 1.0), 0.0),
        "expected_waste_units": future.wasted_units,
    }


def _position_columns(position: Position) -> dict[str, Any]:
    return {
        "on_hand_units": position.on_hand,
        "on_order_units": position.on_order,
        "on_order_counted_units": position.counted,
        "on_order_late_units": position.late,
        "on_order_beyond_units": position.beyond,
        "inventory_position_units": position.inventory_position,
    }


def _quantity_columns(lines: _Terms, position: Position, *, level: _Level, order: _Order) -> dict[str, Any]:
    stock, steps = position.inventory_position, order.quantities
    avoided = shortage_avoided(level.demand, level.cycle_mean, position=stock, order_units=order.units)
    return {
        "demand_mean_units": level.demand.mean,
        "reorder_point_units": level.reorder_point,
        "order_up_to_units": stock + order.units,
        "safety_stock_units": level.reorder_point + lines.unit_step - level.demand.mean,
        "pack_units": np.where(lines.can_pack, lines.pack_units, 0.0),
        "qty_need_units": steps.need,
        "qty_after_minimum_units": steps.after_minimum,
        "qty_after_pack_units": steps.after_pack,
        "qty_after_cap_units": steps.after_cap,
        "qty_after_supplier_minimum_units": order.after_supplier_minimum,
        "qty_after_budget_units": order.units,
        "order_units": order.units,
        "unit_cost": lines.unit_cost,
        "expected_shortage_units": level.demand.expected_shortage(stock),
        "lost_margin_avoided_value": np.nan_to_num(lines.unit_margin) * avoided,
        "is_margin_known": ~np.isnan(lines.unit_margin),
    }


def _blocking(lines: _Terms, position: Position, level: _Level) -> dict[str, Flags]:
    """Why nothing can be ordered, with the word a person searches for."""
    has_supplier, has_lead_time = lines.supplier_ids != "", ~np.isnan(lines.lead_time_days)
    return {
        "missing supplier": ~has_supplier,
        "missing lead time": has_supplier & ~has_lead_time,
        "missing pack size": has_supplier & ~lines.can_pack,
        "missing stock": ~position.has_stock,
        "missing forecast": has_lead_time & ~level.is_known,
    }


def _attention(lines: _Terms, position: Position, *, level: _Level, order: _Order) -> dict[str, Flags]:
    """What needs a person although a quantity was computed."""
    is_ordered, steps = order.units > 0, order.quantities
    return {
        "negative stock counted as 0": position.on_hand < 0,
        "expedite: likely to run out before an order can arrive": level.empties_early,
        "overdue order": (position.late > 0) & (position.stopped < position.late),
        "overdue order no longer counted": position.stopped > 0,
        "approved order not in the purchase orders": position.has_unmatched,
        "open order without a promised date": position.has_undated,
        "maximum leaves no room for the order": (steps.after_pack > 0) & (steps.after_cap <= 0) & ~is_ordered,
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


def _numbers(column: Any) -> Array:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
