"""The lines of a plan as arrays: their terms, the demand they must cover and the level that covers it.

Frames in, arrays out. plan.py orders, rows.py shows what was ordered.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Dates, Days, Flags
from retail_assets.inventory.cumulative_forecast import CumulativeForecast, delay_probabilities, series_index
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.order_days import Opportunities, are_order_days_known
from retail_assets.inventory.order_levels import Caps, ExpiringDemand, OrderLevels, OrderTerms, reorder_points
from retail_assets.inventory.parameters import LineParameters
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.position import Position
from retail_assets.inventory.policies import (
    CRITICAL_RATIO_LIMITS,
    critical_ratio,
)
from retail_assets.tables.gold import SALE_LINES

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
    is_price_of_lines: Flags

    @property
    def unit_margin(self) -> Array:
        return np.maximum(self.unit_price - self.unit_cost, 0.0)

    @property
    def lead_times(self) -> dict[str, float]:
        """Known lead time of each supplier."""
        pairs = zip(self.supplier_ids.tolist(), self.lead_time_days.tolist(), strict=True)
        return {supplier: days for supplier, days in pairs if not np.isnan(days)}

    def order_terms(self, rules: LineParameters) -> OrderTerms:
        return OrderTerms(
            pack_units=self.safe_pack,
            line_minimum_units=self.line_minimum_units,
            unit_step=self.unit_step,
            presentation_min_units=self.presentation_min_units,
            unit_cost=self.unit_cost,
            unit_margin=self.unit_margin,
            rules=rules,
        )

    @property
    def can_pack(self) -> Flags:
        return self.pack_units > 0

    @property
    def safe_pack(self) -> Array:
        """Pack, or one step where it is missing: such lines are not ordered anyway."""
        return np.where(self.can_pack, self.pack_units, np.where(self.unit_step > 0, self.unit_step, 1.0))


@dataclass(frozen=True)
class LineLevels:
    """Demand up to the next delivery, also for each delay of it, and the level that covers it.

    `levels` trigger at the reorder point; their caps are what the shelf holds and what sells before the order expires,
    or before the last day the product is carried; `ends_first` where that comes first. `is_over` where no day carried
    is left from this delivery to the next, `sells_nothing` where nothing is expected to sell then, `would_order` where
    the position would not last until the next delivery if the product went on as it does.
    """

    demand: Demand
    by_delay: list[Demand]
    delay_probabilities: Array
    daily_mean: Array
    before_delivery: Demand
    levels: OrderLevels
    nominal: Array
    target: Array
    is_known: Flags
    empties_early: Flags
    ends_first: Flags
    is_over: Flags
    sells_nothing: Flags
    would_order: Flags

    @property
    def reorder_point(self) -> Array:
        return self.levels.trigger

    @property
    def cycle_mean(self) -> Array:
        """Expected demand from this delivery to the next."""
        return self.demand.mean - self.before_delivery.mean


def lines_of(terms: pd.DataFrame, prices: pd.DataFrame, order_days: pd.DataFrame) -> Lines:
    """The terms in the order of stores and products; the rows may come in any order.

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
        is_price_of_lines=np.append(_are_of_lines(prices), False)[row],
    )


def _are_of_lines(prices: pd.DataFrame) -> Flags:
    return (prices.reindex(columns=["price_source"])["price_source"] == SALE_LINES).to_numpy(dtype=bool)


def classes_of(segments: pd.DataFrame | None, series: pd.MultiIndex) -> NDArray[np.object_]:
    """ABC class of each line, empty where unknown."""
    classes = np.full(len(series), "", dtype=object)
    if segments is None or segments.empty:
        return classes
    row = series_index(segments).get_indexer(series)
    classes[row >= 0] = segments["abc_class"].to_numpy(dtype=object)[row[row >= 0]]
    return classes


def forecast_of(inputs: PlanInputs, lines: Lines) -> CumulativeForecast:
    """The forecast of each line; a line without lead time has no days to read it for."""
    forecast = CumulativeForecast.of(
        inputs.cumulative, lines.series, unit_step=lines.unit_step, supplier_ids=lines.supplier_ids
    )
    if inputs.closed_days is not None:
        forecast = forecast.selling_except(inputs.closed_days, lines.series, as_of=inputs.as_of)
    return forecast.without(np.isnan(lines.lead_time_days))


def levels_of(
    lines: Lines,
    opportunities: Opportunities,
    position: Position,
    *,
    forecast: CumulativeForecast,
    delays: pd.DataFrame,
    rules: LineParameters,
) -> LineLevels:
    probabilities = delay_probabilities(delays, lines.supplier_ids)
    by_delay = forecast.by_delay(opportunities.protection_days, probabilities)
    demand = by_delay[0] if len(by_delay) == 1 else Demand.mix(probabilities, by_delay)
    before = forecast.within(opportunities.before_delivery_days)
    nominal = _nominal_service(lines, opportunities, rules)
    target = np.where(np.isnan(rules.service_level), np.clip(nominal, *CRITICAL_RATIO_LIMITS), nominal)
    late = [forecast.within(opportunities.before_delivery_days + delay) for delay in range(probabilities.shape[1])]
    before_mixed = late[0] if len(late) == 1 else Demand.mix(probabilities, late)
    terms = lines.order_terms(rules)
    by_fill = before_mixed.take(np.flatnonzero(rules.is_fill)) if rules.is_fill.any() else None
    point = reorder_points(demand, terms, target=target, before_delivery=by_fill)
    early = before.cdf(position.usable_on_hand + position.before_delivery)
    to_end = _days_to_end(lines, opportunities)
    caps = _caps(
        lines,
        forecast,
        terms,
        target=target,
        before_delivery_days=opportunities.before_delivery_days,
        life_days=np.fmin(lines.shelf_life_days - rules.min_remaining_days, to_end),
    )
    is_over = to_end <= 0
    return LineLevels(
        demand=demand,
        by_delay=by_delay,
        delay_probabilities=probabilities,
        daily_mean=forecast.daily_mean(int(opportunities.protection_days.max()) + probabilities.shape[1] - 1),
        before_delivery=before_mixed,
        levels=OrderLevels(point, point + lines.unit_step, caps),
        nominal=nominal,
        target=target,
        is_known=forecast.is_known,
        empties_early=forecast.is_known & position.has_stock & ~is_over & (1 - early > rules.expedite_probability),
        ends_first=np.isfinite(to_end) & ~(lines.shelf_life_days - rules.min_remaining_days < to_end),
        is_over=is_over,
        sells_nothing=_sells_nothing(lines, opportunities, forecast=forecast, delay_probabilities=probabilities),
        would_order=_would_order(position, point, demand=demand, opportunities=opportunities, to_end=to_end),
    )


def _days_to_end(lines: Lines, opportunities: Opportunities) -> Array:
    """(n,) days carried from this delivery on; infinite without a known end, or when it is carried again in time."""
    days = (lines.carried_until - opportunities.expected_delivery_date).astype(np.float64) + 1
    is_again = lines.carried_again_from < opportunities.next_delivery_date
    return np.where(np.isnat(lines.carried_until) | is_again, np.inf, days)


def _sells_nothing(
    lines: Lines, opportunities: Opportunities, *, forecast: CumulativeForecast, delay_probabilities: Array
) -> Flags:
    """Lines that are expected to sell nothing from this delivery to the next, however late, with no shelf to fill."""
    latest = delay_probabilities.shape[1] - 1 - (delay_probabilities[:, ::-1] > 0).argmax(axis=1)
    days = np.column_stack([opportunities.before_delivery_days, opportunities.protection_days + latest])
    before, reached = forecast.mean_within(np.maximum(days, 0)).T
    return forecast.is_known & (reached - before <= _NO_UNITS) & ~(lines.presentation_min_units > 0)


def _would_order(
    position: Position, reorder_point: Array, *, demand: Demand, opportunities: Opportunities, to_end: Array
) -> Flags:
    """Lines whose position is at or below the reorder point, or what the protection takes at the rate up to the end."""
    protection = opportunities.protection_days
    left = np.clip(opportunities.before_delivery_days + np.fmin(to_end, protection), 0, protection)
    rate = np.divide(demand.mean, left, out=np.zeros(len(left)), where=left > 0)
    return position.inventory_position <= np.maximum(reorder_point, rate * protection) + _NO_UNITS


def _nominal_service(lines: Lines, opportunities: Opportunities, rules: LineParameters) -> Array:
    """The set level, or the critical ratio; a line without cost or price takes the upper limit of the ratio."""
    is_perishable = lines.shelf_life_days <= opportunities.protection_days
    held = lines.unit_cost * rules.holding_rate * opportunities.review_period_days / 365
    overage = np.where(is_perishable, lines.unit_cost * (1 - rules.salvage_rate), held)
    ratio = critical_ratio(lines.unit_margin, overage, goodwill=rules.goodwill_value)
    ratio = np.where(np.isnan(ratio), CRITICAL_RATIO_LIMITS[1], ratio)
    return np.where(np.isnan(rules.service_level), ratio, rules.service_level)


def _caps(
    lines: Lines,
    forecast: CumulativeForecast,
    terms: OrderTerms,
    *,
    target: Array,
    before_delivery_days: Days,
    life_days: Array,
) -> Caps:
    """What the shelf holds, and what sells within the life of the order; infinite without a limit."""
    most = np.where(np.isnan(lines.shelf_max_units), np.inf, lines.shelf_max_units)
    lot = np.full(len(lines.series), np.inf)
    rows = np.flatnonzero(np.isfinite(life_days))
    if len(rows):
        expiring = ExpiringDemand.of(
            forecast.take(rows),
            before_delivery_days=before_delivery_days[rows],
            life_days=life_days[rows].astype(np.int64),
        )
        paying = expiring.caps(terms.take(rows), target[rows])
        most[rows], lot[rows] = np.fmin(most[rows], paying.position), paying.order
    return Caps(most, lot)


def _dates(terms: pd.DataFrame, name: str) -> Dates:
    if name not in terms:
        return np.full(len(terms), "NaT", dtype="datetime64[D]")
    return pd.to_datetime(terms[name]).to_numpy().astype("datetime64[D]")


def _numbers(column: Any) -> Array:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
