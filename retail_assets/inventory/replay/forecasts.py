"""The stored forecasts as the replay asks for them: by series, as-of date and days, exact or scaled.

Only reading belongs here; what a policy makes of a distribution is replay_run.py's.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from retail_assets.arrays import Array, Days
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.replay.world import days_of, rows_of
from retail_assets.tables.forecast import QUANTILE_LEVELS


@dataclass(frozen=True)
class Needs:
    """Demand of n (series, as-of date) pairs up to the next delivery.

    `by_delay[d]` is the demand when that delivery is d days late, `demand` their mixture; `daily_mean` (n, t) is the
    expected demand of each day.
    """

    demand: Demand
    by_delay: tuple[Demand, ...]
    daily_mean: Array
    is_scaled: bool


@dataclass(frozen=True)
class Forecasts:
    """The cumulative forecast, found by series, as-of date and horizon."""

    frame: pd.DataFrame
    as_ofs: Days
    horizons: Days
    keys: Days
    order: Days

    @classmethod
    def of(cls, cumulative: pd.DataFrame, series: pd.MultiIndex) -> "Forecasts":
        row = rows_of(cumulative, series)
        day, horizon = days_of(cumulative["as_of_date"]), cumulative["horizon_days"].to_numpy(dtype=np.int64)
        as_ofs, horizons = np.unique(day), np.unique(horizon)
        shape = (len(series) + 1, len(as_ofs), len(horizons))
        place = (np.where(row < 0, len(series), row), np.searchsorted(as_ofs, day), np.searchsorted(horizons, horizon))
        keys = np.ravel_multi_index(place, shape)
        order = np.argsort(keys, kind="stable")
        return cls(cumulative, as_ofs, horizons, keys[order], order)

    def find(self, row: Days, as_of: Days, horizon: Days) -> tuple[Days, Array]:
        """Line of the frame, -1 where there is none, and the factor from its horizon to the one wanted."""
        column = np.minimum(np.searchsorted(self.horizons, horizon), len(self.horizons) - 1)
        key = (row * len(self.as_ofs) + np.maximum(as_of, 0)) * len(self.horizons) + column
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        is_found = (self.keys[at] == key) & (as_of >= 0)
        return np.where(is_found, self.order[at], -1), horizon / self.horizons[column]

    def demand(self, line: Days, factor: Array, *, unit_step: Array) -> Demand:
        columns = {name: self.frame[name].to_numpy() for name in ("mean_units", "p_zero", *QUANTILE_LEVELS)}
        made = Demand.from_quantiles(
            np.column_stack([columns[name][line] for name in QUANTILE_LEVELS]),
            list(QUANTILE_LEVELS.values()),
            p_zero=columns["p_zero"][line],
            mean_units=columns["mean_units"][line],
            unit_step=unit_step,
        )
        return made if (factor == 1).all() else made.part(factor)

    def within(self, row: Days, as_of: Days, days: Days, *, unit_step: Array) -> Demand:
        """Demand over `days`, which every pair has a forecast for."""
        line, factor = self.find(row, as_of, np.maximum(days, 1))
        return self.demand(line, factor, unit_step=unit_step)

    def mean_within(self, row: Days, as_of: Days, days: Days) -> Array:
        """(n,) expected demand over the next `days` (n,)."""
        daily = self._daily_mean(row, as_of, max(int(days.max(initial=0)), 1))
        return np.where(np.arange(daily.shape[1]) < days[:, None], daily, 0.0).sum(axis=1)

    def needs(self, row: Days, as_of: Days, protection: Days, *, delay_probabilities: Array, unit_step: Array) -> Needs:
        """Demand over the protection days and those a delivery may be late.

        Where the days of a delay are not stored for a pair, those without it stand in.
        """
        fallback, scale = self.find(row, as_of, protection)
        demands, is_scaled = [], False
        for delay in range(delay_probabilities.shape[1]):
            line, factor = self.find(row, as_of, protection + delay)
            is_scaled |= bool(((factor != 1) & (delay_probabilities[:, delay] > 0)).any())
            line, factor = np.where(line >= 0, line, fallback), np.where(line >= 0, factor, scale)
            demands.append(self.demand(line, factor, unit_step=unit_step))
        mixed = demands[0] if len(demands) == 1 else Demand.mix(delay_probabilities, demands)
        reach = int(protection.max()) + delay_probabilities.shape[1] - 1
        return Needs(mixed, tuple(demands), self._daily_mean(row, as_of, reach), is_scaled)

    def _daily_mean(self, row: Days, as_of: Days, days: int) -> Array:
        """(n, days) means between the stored horizons, spread evenly; the last goes on."""
        mean = self.frame["mean_units"].to_numpy(dtype=np.float64)
        daily, before, reached = np.zeros((len(row), days)), np.zeros(len(row)), 0
        rate = before
        for horizon in self.horizons.tolist():
            line, _ = self.find(row, as_of, np.full(len(row), horizon))
            total = np.where(line >= 0, mean[line], before)
            rate = np.maximum(total - before, 0.0) / (horizon - reached)
            daily[:, reached:horizon] = rate[:, None]
            before, reached = total, horizon
        daily[:, reached:] = rate[:, None]
        return daily


@dataclass(frozen=True)
class LinesOfBook:
    """The forecasts of n (series, as-of date) pairs, read at any number of days ahead."""

    book: Forecasts
    row: Days
    as_of: Days
    unit_step: Array

    def within(self, days: Days) -> Demand:
        """Demand over `days` (n,)."""
        return self.book.within(self.row, self.as_of, days, unit_step=self.unit_step)

    def mean_within(self, days: Days) -> Array:
        """(n, m) expected demand over the next `days` (n, m)."""
        return np.column_stack([self.book.mean_within(self.row, self.as_of, column) for column in days.T])
