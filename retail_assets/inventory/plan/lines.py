"""The lines of a plan as arrays: their terms, the demand they must cover and the level that covers it.

Frames in, arrays out. What is then ordered is plan.py's, how it is shown plan_rows.py's.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.order_days import Opportunities, are_order_days_known
from retail_assets.inventory.parameters import LineParameters
from retail_assets.inventory.plan.position import Position
from retail_assets.inventory.policies import (
    CRITICAL_RATIO_LIMITS,
    critical_ratio,
    reorder_point_fill,
    reorder_point_with_packs,
    shelf_life_limit,
)
from retail_assets.inventory.protection import Windows, delay_chances, series_index

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Dates = NDArray[np.datetime64]

_NO_UNITS = 1e-6


@dataclass(frozen=True)
class Lines:
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
    carried_until: Dates
    carried_again_from: Dates
    source_choice: NDArray[np.object_]

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
class Level:
    """Demand up to the next delivery, also for each delay of it, and the level that covers it.

    `shelf` is the position, `shelf_order` the order that sells before the order expires, or before the last day the
    product is carried; `ends_first` where that comes first. `is_over` where no day carried is left from this delivery
    to the next, `sells_nothing` where nothing is expected to sell then, `would_order` where the position would not
    last until the next delivery if the product went on as it does.
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
    ends_first: Flags
    is_over: Flags
    sells_nothing: Flags
    would_order: Flags

    @property
    def cycle_mean(self) -> Array:
        """Expected demand from this delivery to the next."""
        return self.demand.mean - self.before_delivery.mean


def lines_of(terms: pd.DataFrame, prices: pd.DataFrame, order_days: pd.DataFrame) -> Lines:
    """The terms in the order of stores and products, whatever the order of the rows.

    Raises:
        ValueError: a series has more than one row.
    """
    terms = terms.sort_values(["store_id", "product_id"], ignore_index=True)
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
    return Lines(
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
        **{name: _dates(terms, name) for name in ("carried_until", "carried_again_from")},
        source_choice=terms.reindex(columns=["source_choice"])["source_choice"].fillna("").to_numpy(dtype=object),
    )


def classes_of(segments: pd.DataFrame | None, series: pd.MultiIndex) -> NDArray[np.object_]:
    """ABC class of each line, empty where unknown."""
    classes = np.full(len(series), "", dtype=object)
    if segments is None or segments.empty:
        return classes
    row = series_index(segments).get_indexer(series)
    classes[row >= 0] = segments["abc_class"].to_numpy(dtype=object)[row[row >= 0]]
    return classes


def windows_of(cumulative: pd.DataFrame, lines: Lines, closed_days: pd.DataFrame | None, *, as_of: date) -> Windows:
    """The forecasts; a line without lead time has no window to read."""
    windows = Windows.from_forecast(
        cumulative, lines.series, unit_step=lines.unit_step, supplier_ids=lines.supplier_ids
    )
    if closed_days is not None:
        windows = windows.selling_except(closed_days, lines.series, as_of=as_of)
    return windows.without(np.isnan(lines.lead_time_days))


def level_of(
    lines: Lines,
    chance: Opportunities,
    position: Position,
    *,
    windows: Windows,
    delays: pd.DataFrame,
    rules: LineParameters,
) -> Level:
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
    to_end = _days_to_end(lines, chance)
    life = np.fmin(lines.shelf_life_days - rules.min_remaining_days, to_end)
    shelf, shelf_order = _shelf_limits(lines, chance, windows=windows, target=target, rules=rules, life=life)
    is_over, point = to_end <= 0, np.round(point, 6).astype(np.float64)
    return Level(
        demand=demand,
        by_delay=by_delay,
        delay_chances=chances,
        daily_mean=windows.daily_mean(int(chance.protection_days.max()) + chances.shape[1] - 1),
        before_delivery=before_mixed,
        shelf=shelf,
        shelf_order=shelf_order,
        nominal=nominal,
        target=target,
        reorder_point=point,
        is_known=windows.is_known,
        empties_early=windows.is_known & position.has_stock & ~is_over & (1 - early > rules.expedite_probability),
        ends_first=np.isfinite(to_end) & ~(lines.shelf_life_days - rules.min_remaining_days < to_end),
        is_over=is_over,
        sells_nothing=_sells_nothing(lines, chance, windows=windows, delay_chances=chances),
        would_order=_would_order(position, point, demand=demand, chance=chance, to_end=to_end),
    )


def _days_to_end(lines: Lines, chance: Opportunities) -> Array:
    """(n,) days carried from this delivery on; infinite without a known end, or when it is carried again in time."""
    days = (lines.carried_until - chance.expected_delivery_date).astype(np.float64) + 1
    is_again = lines.carried_again_from < chance.next_delivery_date
    return np.where(np.isnat(lines.carried_until) | is_again, np.inf, days)


def _sells_nothing(lines: Lines, chance: Opportunities, *, windows: Windows, delay_chances: Array) -> Flags:
    """Lines that are expected to sell nothing from this delivery to the next, however late, with no shelf to fill."""
    latest = delay_chances.shape[1] - 1 - (delay_chances[:, ::-1] > 0).argmax(axis=1)
    days = np.column_stack([chance.before_delivery_days, chance.protection_days + latest])
    before, reached = windows.mean_within(np.maximum(days, 0)).T
    return windows.is_known & (reached - before <= _NO_UNITS) & ~(lines.presentation_min_units > 0)


def _would_order(
    position: Position, reorder_point: Array, *, demand: Demand, chance: Opportunities, to_end: Array
) -> Flags:
    """Lines whose position is at or below the reorder point, or what the protection takes at the rate up to the end."""
    left = np.clip(chance.before_delivery_days + np.fmin(to_end, chance.protection_days), 0, chance.protection_days)
    rate = np.divide(demand.mean, left, out=np.zeros(len(left)), where=left > 0)
    return position.inventory_position <= np.maximum(reorder_point, rate * chance.protection_days) + _NO_UNITS


def _nominal_service(lines: Lines, chance: Opportunities, rules: LineParameters) -> Array:
    """The set level, or the critical ratio; a line without cost or price takes the upper limit of the ratio."""
    is_perishable = lines.shelf_life_days <= chance.protection_days
    held = lines.unit_cost * rules.holding_rate * chance.review_period_days / 365
    overage = np.where(is_perishable, lines.unit_cost * (1 - rules.salvage_rate), held)
    ratio = critical_ratio(lines.unit_margin, overage, goodwill=rules.goodwill_value)
    ratio = np.where(np.isnan(ratio), CRITICAL_RATIO_LIMITS[1], ratio)
    return np.where(np.isnan(rules.service_level), ratio, rules.service_level)


def _shelf_limits(
    lines: Lines, chance: Opportunities, *, windows: Windows, target: Array, rules: LineParameters, life: Array
) -> tuple[Array, Array]:
    """Position and order whose last pack still pays within the `life` of the order, days; infinite without one.

    The position alone is not enough: what sells before the delivery makes no room for goods that come with it. Demand
    from the delivery on is that of the first days, as many, times the ratio of the means.
    """
    limits = np.full((2, len(lines.series)), np.inf)
    rows = np.flatnonzero(np.isfinite(life))
    if not len(rows):
        return limits[0], limits[1]
    days = life[rows].astype(np.int64)
    ratio = rules.take(rows).shelf_life_ratio(
        margin=lines.unit_margin[rows], unit_cost=lines.unit_cost[rows], target=target[rows]
    )
    before, known = chance.before_delivery_days[rows], windows.take(rows)
    whole, first_days = known.nearest(np.maximum(before + days, 0)), known.nearest(np.maximum(days, 0))
    sold, total, first = known.mean_within(np.maximum(np.column_stack([before, before + days, days]), 0)).T
    own = first_days.scale(np.divide(np.maximum(total - sold, 0.0), first, out=np.zeros_like(first), where=first > 0))
    for limit, demand in zip(limits, (whole, own), strict=True):
        limit[rows] = shelf_life_limit(
            demand, lines.safe_pack[rows], line_minimum_units=lines.line_minimum_units[rows], ratio=ratio
        )
    return limits[0], limits[1]


def _dates(terms: pd.DataFrame, name: str) -> Dates:
    if name not in terms:
        return np.full(len(terms), "NaT", dtype="datetime64[D]")
    return pd.to_datetime(terms[name]).to_numpy().astype("datetime64[D]")


def _numbers(column: Any) -> Array:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
