"""What in the days an order covers lies beyond anything seen: orders above all sales, discounts deeper than any.

Frames in, arrays in the order of the lines out. What an order may hold is decided in order_levels.py.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from retail_assets.arrays import Array, Dates, Flags
from retail_assets.inventory.cumulative_forecast import series_index
from retail_assets.inventory.experience import SalesSoFar, has_history
from retail_assets.inventory.order_days import Opportunities
from retail_assets.inventory.plan.inputs import PlanInputs

_DISCOUNT_SLACK = 0.005
"""Discounts differ by rounding without being deeper."""


@dataclass(frozen=True)
class Experience:
    """Of n lines, (n,) each: what was sold in a year, infinite where that does not speak, and planned discounts.

    `discount` is the deepest planned until the next delivery, first on `discount_date`, 0 without one;
    `deepest_discount` is the deepest given so far, NaN where nobody knows.
    """

    sold_units: Array
    is_promoted: Flags
    discount: Array
    discount_date: Dates
    deepest_discount: Array

    @classmethod
    def of(cls, inputs: PlanInputs, series: pd.MultiIndex, opportunities: Opportunities) -> Self:
        """The lines of `series`, each until the day before its next delivery."""
        sold, stock_days, deepest = _past(inputs.past_sales, series)
        known = ~np.isnan(sold) & has_history(np.nan_to_num(stock_days), opportunities.protection_days)
        discount, day, is_promoted = _ahead(inputs.promotions, series, opportunities)
        return cls(np.where(known, sold, np.inf), is_promoted, discount, day, deepest)

    @property
    def is_discount_beyond(self) -> Flags:
        return self.discount > self.deepest_discount + _DISCOUNT_SLACK

    def sales(self, shelf_units: Array) -> SalesSoFar:
        """What the orders of the lines are measured by."""
        return SalesSoFar(self.sold_units, shelf_units, self.is_promoted)


def _past(past_sales: pd.DataFrame | None, series: pd.MultiIndex) -> tuple[Array, Array, Array]:
    names = ("sold_units", "stock_days", "deepest_discount_rate")
    if past_sales is None or past_sales.empty:
        sold, days, deepest = np.full((3, len(series)), np.nan)
        return sold, days, deepest
    row = series_index(past_sales).get_indexer(series)
    sold, days, deepest = (
        np.where(row >= 0, past_sales[name].to_numpy(dtype=np.float64, na_value=np.nan)[row], np.nan) for name in names
    )
    return sold, days, deepest


def _ahead(
    promotions: pd.DataFrame | None, series: pd.MultiIndex, opportunities: Opportunities
) -> tuple[Array, Dates, Flags]:
    """Deepest discount planned before the next delivery, its first day, and whether any promotion runs until then."""
    discount, day = np.zeros(len(series)), np.full(len(series), "NaT", dtype="datetime64[D]")
    is_promoted = np.zeros(len(series), dtype=bool)
    if promotions is None or promotions.empty:
        return discount, day, is_promoted
    row = series.get_indexer(series_index(promotions))
    dates = pd.to_datetime(promotions["business_date"]).to_numpy().astype("datetime64[D]")
    rates = promotions["discount_rate"].to_numpy(dtype=np.float64, na_value=0.0)
    kept = np.flatnonzero((row >= 0) & (dates < opportunities.next_delivery_date[row]))
    kept = kept[np.lexsort((dates[kept], -rates[kept], row[kept]))]
    first = kept[np.unique(row[kept], return_index=True)[1]]
    discount[row[first]], day[row[first]], is_promoted[row[first]] = rates[first], dates[first], True
    return discount, day, is_promoted
