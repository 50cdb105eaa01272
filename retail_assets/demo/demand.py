"""What customers want: the mean of each series and day, and the draw from it.

The mean is a product of factors that depend on the day alone, never on the past, so any day can be drawn
first. What stock leaves of it is stock.py.
"""

from datetime import date
from functools import cache

import numpy as np

from retail_assets.demo.plans import Plans
from retail_assets.demo.randomness import Stream, random_stream
from retail_assets.demo.world import DEPARTMENTS, World

WEEK = np.array([0.84, 0.83, 0.90, 1.00, 1.21, 1.36, 0.86])
LEVEL_MEMORY, LEVEL_STEPS, LEVEL_SPREAD = 0.75, 10, 0.06
LOCAL_EVENT_FACTOR = 1.3
LAUNCH_DAYS, FADE_DAYS, OPENING_DAYS = 28, 35, 56


class Demand:
    """Expected and drawn demand of every series of a world under its plans."""

    def __init__(self, world: World, plans: Plans) -> None:
        self.world, self.plans = world, plans
        self._department = world.of_products("department")
        self._dispersion = world.of_products("dispersion")
        self._elasticity = world.of_products("elasticity")
        self._growth = world.of_products("yearly_growth")
        self._list_price = np.array([product.list_price for product in world.products])
        self._week = self._week_profiles()
        self._level_at = cache(self._level_of_month)

    def expected(self, day: int) -> np.ndarray:
        """Mean units of each series; 0 where the store is closed or does not carry the product."""
        if day in self.plans.closed_days:
            return np.zeros(len(self.world.series))
        moment = date.fromordinal(day)
        mean = self.world.series.daily_rate * self._week[:, moment.weekday()] * self._level(moment)
        mean = mean * self._department_factors(moment)[self._department] * self._life_factors(day)
        mean = mean * self._price_factors(day) * self._event_factors(day)
        return np.where(self.world.series.carried(day), mean, 0.0)

    def draw(self, day: int, expected: np.ndarray) -> np.ndarray:
        """Negative binomial units: variance = mean + mean² / dispersion."""
        rng = random_stream(self.world.seed, Stream.DEMAND, step=day)
        rate = expected * rng.gamma(self._dispersion) / self._dispersion
        return rng.poisson(rate)

    def _week_profiles(self) -> np.ndarray:
        """Weekday factors of each series, mean 1: departments differ in their weekend, city stores are flatter."""
        tilt = np.array([department.weekend for department in DEPARTMENTS])[self._department]
        tilt = tilt * np.where(self.world.of_stores("store_format") == "city", 0.5, 1.0)
        profile = WEEK[None, :] ** tilt[:, None]
        return profile / profile.mean(axis=1, keepdims=True)

    def _level(self, moment: date) -> np.ndarray:
        """Slow wandering between monthly knots, and yearly growth."""
        month, share = moment.year * 12 + moment.month - 1, (moment.day - 1) / 31
        wander = (1 - share) * self._level_at(month) + share * self._level_at(month + 1)
        years = (moment.toordinal() - self.world.start) / 365.25
        return np.exp(wander + self._growth * years)

    def _level_of_month(self, month: int) -> np.ndarray:
        """A moving sum of past shocks: an autoregression cut off where it no longer matters."""
        total = np.zeros(len(self.world.series))
        for age in range(LEVEL_STEPS):
            shock = random_stream(self.world.seed, Stream.LEVEL, step=month - age)
            total += LEVEL_MEMORY**age * shock.normal(0.0, LEVEL_SPREAD, len(total))
        return total

    def _department_factors(self, moment: date) -> np.ndarray:
        season = np.array([d.season for d in DEPARTMENTS])
        peak = np.array([d.peak_day for d in DEPARTMENTS])
        yearly = 1 + season * np.cos(2 * np.pi * (moment.timetuple().tm_yday - peak) / 365.25)
        return (
            yearly * (1 + np.array([d.festive for d in DEPARTMENTS]) * _festivity(moment)) * self._bank_holiday(moment)
        )

    def _bank_holiday(self, moment: date) -> float:
        day = moment.toordinal()
        if day in self.plans.holidays:
            return 0.8
        return 1.18 if {day + 1, day + 2} & self.plans.holidays else 1.0

    def _life_factors(self, day: int) -> np.ndarray:
        """A launch rises over four weeks from its start, a delisted product fades, a new store gains custom."""
        world, introduced = self.world, self.world.of_products("introduced")
        factors = np.clip(0.4 + 0.6 * (day - introduced) / LAUNCH_DAYS, 0.4, 1.0)
        factors *= np.clip(0.3 + 0.7 * (world.series.valid_to - day) / FADE_DAYS, 0.3, 1.0)
        return factors * np.clip(0.6 + 0.4 * (day - world.of_stores("opened")) / OPENING_DAYS, 0.6, 1.0)

    def _price_factors(self, day: int) -> np.ndarray:
        """Half the elasticity for a lasting change; a promotion also gets its own display uplift."""
        ratio = (self.plans.product_prices(day) / self._list_price)[self.world.series.product]
        discount = self.plans.discounts(day)
        lift = (1 - discount) ** (-1.6 * self._elasticity) + np.where(discount > 0, 0.15, 0.0)
        return ratio ** (-0.5 * self._elasticity) * lift

    def _event_factors(self, day: int) -> np.ndarray:
        regions = self.plans.local_event_regions(day)
        if not regions:
            return np.ones(len(self.world.series))
        return np.where(np.isin(self.world.of_stores("region"), sorted(regions)), LOCAL_EVENT_FACTOR, 1.0)


def _festivity(moment: date) -> float:
    """0 in ordinary weeks, up to 1.6 before Christmas, negative in the first half of January."""
    if moment.month == 12 and moment.day < 25:
        return max(0.0, (moment.day - 4) / 12.5)
    if moment.month == 1 and moment.day <= 14:
        return -0.35
    return 0.0
