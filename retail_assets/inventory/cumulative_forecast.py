"""The stored forecast as `Demand` over the days each series needs: exact, mixed over delays, or the nearest horizon.

Which days an order must cover is order_days.py's answer; what follows from its distribution is the plan's.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Days
from retail_assets.failures import PermanentFailure
from retail_assets.inventory.distribution import Demand
from retail_assets.tables.forecast import QUANTILE_LEVELS


@dataclass(frozen=True)
class CumulativeForecast:
    """Cumulative distributions of n series at h stored horizons, the first of them 0 days without demand.

    A series that lacks a stored horizon, or a number of one, has no forecast (`is_known` is False) and no demand.
    `selling` (n, d + 1), where given, counts the days among the first 0 … d on which a series sells: between stored
    horizons demand is spread over these alone.
    """

    horizons: Days
    mean_units: Array
    p_zero: Array
    quantiles: NDArray[np.float32]
    unit_step: Array
    is_known: NDArray[np.bool_]
    supplier_ids: NDArray[Any]
    selling: Days | None = None

    @classmethod
    def of(
        cls, cumulative: pd.DataFrame, series: pd.MultiIndex, *, unit_step: Array, supplier_ids: NDArray[Any]
    ) -> Self:
        """Distributions of `series` (store_id, product_id), one supplier and unit step each."""
        horizons = np.unique(np.append(cumulative["horizon_days"].to_numpy(dtype=np.int64), 0))
        shape = (len(series), len(horizons))
        row = series.get_indexer(series_index(cumulative))
        wanted = row >= 0
        place = row[wanted], np.searchsorted(horizons, cumulative["horizon_days"].to_numpy(dtype=np.int64)[wanted])
        mean, p_zero = np.zeros(shape), np.ones(shape)
        quantiles = np.zeros((*shape, len(QUANTILE_LEVELS)), dtype=np.float32)
        mean[place] = cumulative["mean_units"].to_numpy(dtype=np.float64)[wanted]
        p_zero[place] = cumulative["p_zero"].to_numpy(dtype=np.float64)[wanted]
        quantiles[place] = cumulative[list(QUANTILE_LEVELS)].to_numpy(dtype=np.float32)[wanted]
        is_number = np.isfinite(mean) & np.isfinite(p_zero) & np.isfinite(quantiles).all(axis=2)
        seen = np.zeros(shape, dtype=bool)
        seen[:, 0] = True
        seen[place] = is_number[place]
        forecast = cls(horizons, mean, p_zero, quantiles, unit_step, seen[:, 0], supplier_ids)
        return forecast.without(~seen.all(axis=1) | np.full(len(series), len(horizons) == 1))

    def take(self, rows: NDArray[Any]) -> Self:
        """These series only."""
        names = ("mean_units", "p_zero", "quantiles", "unit_step", "is_known", "supplier_ids")
        selling = None if self.selling is None else self.selling[rows]
        taken = {name: getattr(self, name)[rows] for name in names}
        return type(self)(horizons=self.horizons, **taken, selling=selling)

    def without(self, rows: NDArray[np.bool_]) -> Self:
        """The same, with no forecast for these series: their demand is not known."""
        keep = self.is_known & ~rows
        return replace(
            self,
            mean_units=np.where(keep[:, None], self.mean_units, 0.0),
            p_zero=np.where(keep[:, None], self.p_zero, 1.0),
            quantiles=np.where(keep[:, None, None], self.quantiles, np.float32(0)),
            is_known=keep,
        )

    def exact(self, days: Days) -> Demand:
        """Demand over the next `days` (n,) days of each series.

        Raises:
            PermanentFailure: a series with a forecast needs a horizon that is not stored; its supplier is named.
        """
        column = np.minimum(np.searchsorted(self.horizons, days), len(self.horizons) - 1)
        missing = (self.horizons[column] != days) & self.is_known
        if missing.any():
            row = int(np.flatnonzero(missing)[np.argmax(days[missing])])
            raise PermanentFailure(
                f"The cumulative forecast has no horizon of {int(days[row])} days, which supplier "
                f"{self.supplier_ids[row]} needs: forecast again with the present supplier calendars, delays "
                "and policies."
            )
        return self._at(column)

    def by_delay(self, days: Days, probabilities: Array) -> list[Demand]:
        """F_{days + d} for d = 0 … k - 1; where a delay is impossible, that of the first possible one."""
        return [
            self.exact(days + np.where(probabilities[:, delay] > 0, delay, _first(probabilities)))
            for delay in range(probabilities.shape[1])
        ]

    def daily_mean(self, days: int) -> Array:
        """(n, days) expected demand of each day: what a stored horizon adds to the one before, spread evenly."""
        reached = np.minimum(np.arange(days + 1), self.horizons[-1])
        upper = np.maximum(np.searchsorted(self.horizons, reached), 1)
        lower = upper - 1
        share = self._share(reached[None], self.horizons[lower][None], self.horizons[upper][None])
        total = self.mean_units[:, lower] * (1 - share) + self.mean_units[:, upper] * share
        return np.maximum(np.diff(total, axis=1), 0.0)

    def reach(self, days: Days) -> Days:
        """(n,) first stored horizon of at least `days`; where none is so long, `days` themselves."""
        column = np.minimum(np.searchsorted(self.horizons, days), len(self.horizons) - 1)
        return np.maximum(self.horizons[column], days)

    def mean_within(self, days: Days) -> Array:
        """(n, m) expected demand of the next `days` (n, m), evenly between stored horizons and on beyond the last."""
        upper = np.clip(np.searchsorted(self.horizons, days), 1, len(self.horizons) - 1)
        start, end = self.horizons[upper - 1], self.horizons[upper]
        before, after = (np.take_along_axis(self.mean_units, column, axis=1) for column in (upper - 1, upper))
        return before + np.maximum(after - before, 0.0) * self._share(days, start, end)

    def within(self, days: Days) -> Demand:
        """Demand over `days`, as a part of the next longer stored horizon, or the longest, where not stored."""
        column = np.minimum(np.searchsorted(self.horizons, days), len(self.horizons) - 1)
        days, stored = self._selling_days(days[:, None]), self._selling_days(self.horizons[column][:, None])
        return self._at(column).part(np.divide(days, stored, out=np.zeros(days.shape), where=stored > 0)[:, 0])

    def selling_except(self, closed_days: pd.DataFrame, series: pd.MultiIndex, *, as_of: date) -> Self:
        """The same for series that do not sell on `closed_days` (store_id, product_id, business_date) after `as_of`."""
        row = series.get_indexer(series_index(closed_days))
        dates = pd.to_datetime(closed_days["business_date"]).to_numpy().astype("datetime64[D]")
        ahead = (dates - np.datetime64(as_of, "D")).astype(np.int64)
        inside = (row >= 0) & (ahead > 0)
        if not inside.any():
            return self
        sells = np.ones((len(series), int(ahead[inside].max()) + 1), dtype=np.int64)
        sells[row[inside], ahead[inside]] = 0
        sells[:, 0] = 0
        return replace(self, selling=np.cumsum(sells, axis=1))

    def _selling_days(self, days: Days) -> Days:
        """(n, m) days on which each series sells among the first `days` (n or 1, m)."""
        if self.selling is None:
            return days
        rows = np.broadcast_to(days, (len(self.selling), days.shape[1]))
        inside = np.clip(rows, 0, self.selling.shape[1] - 1)
        return np.take_along_axis(self.selling, inside, axis=1) + rows - inside

    def _share(self, days: Days, start: Days, end: Days) -> Array:
        """(n, m) part of what sells from `start` to `end` that sells up to `days`; 0 where nothing does."""
        first, reached, last = (self._selling_days(values) for values in (start, days, end))
        return np.divide(reached - first, last - first, out=np.zeros(first.shape), where=last > first)

    def _at(self, column: Days) -> Demand:
        row = np.arange(len(column))
        return Demand.from_quantiles(
            self.quantiles[row, column],
            list(QUANTILE_LEVELS.values()),
            p_zero=self.p_zero[row, column],
            mean_units=self.mean_units[row, column],
            unit_step=self.unit_step,
        )


def series_index(frame: pd.DataFrame) -> pd.MultiIndex:
    """(store_id, product_id) of each row."""
    return pd.MultiIndex.from_arrays([frame["store_id"].astype(str), frame["product_id"].astype(str)])


def delay_probabilities(delays: pd.DataFrame, supplier_ids: NDArray[Any]) -> Array:
    """(n, k) probability of 0 … k - 1 days of delay; a supplier without rows is never late."""
    suppliers, position = np.unique(np.asarray(supplier_ids, dtype=str), return_inverse=True)
    days = delays["delay_days"].to_numpy(dtype=np.int64)
    known = pd.Index(suppliers).get_indexer(delays["supplier_id"].astype(str))
    table = np.zeros((len(suppliers), int(days.max(initial=0)) + 1))
    np.add.at(
        table, (known[known >= 0], days[known >= 0]), delays["probability"].to_numpy(dtype=np.float64)[known >= 0]
    )
    table[table.sum(axis=1) == 0, 0] = 1.0
    return table[position]


def _first(probabilities: Array) -> Days:
    """Smallest possible delay of each row: its horizon is stored."""
    return (probabilities > 0).argmax(axis=1)
