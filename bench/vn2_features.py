"""What the boosted model of the VN2 weeks sees: a series' own past, the recent weeks and the last years of its groups.

No feature names the week or tells how all series together sold: with three years there are two of each ISO week, and
trees would learn these weeks by heart. The season of all series is in the level the model starts from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.vn2_data import WeeklySales
from retail_assets.arrays import Array, Counts

_GROUPS = ("Product", "ProductGroup", "Division", "Department", "Store")
_CATEGORIES = ("ProductGroup", "Division", "Department", "DepartmentGroup", "StoreFormat")
_AVERAGES = (1, 2, 3, 4, 6, 8, 13, 26, 52)
_YEARS = (52, 104)
_SHORT, _QUARTER, _YEAR = 4, 13, 52
_LEAST = 0.05
"""Units a week added before a logarithm."""
_MOST_AGE_WEEKS, _MOST_SILENCE_WEEKS = 104, 60


@dataclass(frozen=True)
class _Sums:
    """Running sums of rows over weeks in stock, (rows, t + 1): units, squared units, weeks, weeks without a sale."""

    units: Array
    squares: Array
    weeks: Array
    silent: Array

    @classmethod
    def of(cls, units: Array, weeks: Array, *, squares: Array, silent: Array) -> Self:
        made = (np.pad(np.cumsum(part, axis=1), ((0, 0), (1, 0))) for part in (units, squares, weeks, silent))
        return cls(*made)

    def over(self, part: Array, first: int, end: int) -> Array:
        last = part.shape[1] - 1
        low, high = min(max(first, 0), last), min(max(end, 0), last)
        return part[:, high] - part[:, low]

    def mean(self, first: int, end: int) -> Array:
        """(rows,) mean of the weeks in stock from `first` up to `end`; NaN without one."""
        count = self.over(self.weeks, first, end)
        return np.where(count > 0, self.over(self.units, first, end) / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Features:
    """Features of the weeks after any origin, from sales before it."""

    own: _Sums
    groups: dict[str, tuple[_Sums, NDArray[np.intp]]]
    categories: Array
    first_week: Counts
    last_sale: Counts

    @classmethod
    def of(cls, sales: WeeklySales) -> Self:
        units, weeks = np.where(sales.in_stock, sales.units, 0.0), sales.in_stock.astype(np.float64)
        silent = (sales.in_stock & (sales.units <= 0)).astype(np.float64)
        made = {"units": units, "weeks": weeks, "squares": units**2, "silent": silent}
        codes = {name: pd.factorize(sales.groups[name])[0] for name in (*_GROUPS, *_CATEGORIES)}
        sold = np.where(units > 0, np.arange(sales.week_count), -1)
        return cls(
            own=_Sums.of(**made),
            groups={name: (_Sums.of(**_grouped(made, codes[name])), codes[name]) for name in _GROUPS},
            categories=np.column_stack([codes[name] for name in _CATEGORIES]).astype(np.float64),
            first_week=sales.in_stock.argmax(axis=1),
            last_sale=np.maximum.accumulate(sold, axis=1),
        )

    def rows(self, origin: int, ahead: int) -> Array:
        """(n, ahead, features) of the weeks `origin`, `origin` + 1, … from the weeks before `origin`."""
        base = self._base(origin)
        known = np.column_stack([*self._own(origin, base), *self._recent(origin, base), self.categories])
        weeks = [self._last_years(origin, origin + step, base) for step in range(ahead)]
        steps = [np.column_stack([known, np.full(len(base), step), *week]) for step, week in enumerate(weeks)]
        return np.stack(steps, axis=1)

    def _base(self, origin: int) -> Array:
        """The level that every other figure is compared with."""
        year = np.nan_to_num(self.own.mean(origin - _YEAR, origin))
        recent, half = (self.own.mean(origin - weeks, origin) for weeks in (8, 26))
        return (np.where(np.isnan(recent), year, recent) + np.where(np.isnan(half), year, half)) / 2 + _LEAST

    def _own(self, origin: int, base: Array) -> Iterator[Array]:
        own = self.own
        yield np.log(base)
        for weeks in _AVERAGES:
            yield np.log((own.mean(origin - weeks, origin) + _LEAST) / base)
        for weeks in (_QUARTER, _YEAR):
            count = np.maximum(own.over(own.weeks, origin - weeks, origin), 1)
            yield own.over(own.silent, origin - weeks, origin) / count
        square = own.over(own.squares, origin - _YEAR, origin) / count
        yield np.sqrt(np.maximum(square - np.nan_to_num(own.mean(origin - _YEAR, origin)) ** 2, 0.0)) / base
        for weeks in (_SHORT, _QUARTER):
            yield own.over(own.weeks, origin - weeks, origin)
        yield np.minimum(origin - self.first_week, _MOST_AGE_WEEKS)
        yield np.minimum(origin - 1 - self.last_sale[:, origin - 1], _MOST_SILENCE_WEEKS)

    def _recent(self, origin: int, base: Array) -> Iterator[Array]:
        """The last week and month of each group beside its quarter, and the quarter beside its year."""
        for name in _GROUPS:
            quarter = self._group(name, origin - _QUARTER, origin)
            for weeks in (1, _SHORT):
                yield np.log((self._group(name, origin - weeks, origin) + _LEAST) / (quarter + _LEAST))
            yield np.log((quarter + _LEAST) / (self._group(name, origin - _YEAR, origin) + _LEAST))
        yield np.log((self._group("Product", origin - _QUARTER, origin) + _LEAST) / base)

    def _last_years(self, origin: int, week: int, base: Array) -> Iterator[Array]:
        """The same week one and two years ago, alone and with its neighbours, beside the two months before."""
        for years in _YEARS:
            there, before = week - years, self.own.mean(origin - years - 8, origin - years)
            for first, end in ((there, there + 1), (there - 1, there + 2)):
                yield np.log((self.own.mean(first, end) + _LEAST) / base)
                yield np.log((self.own.mean(first, end) + 2 * _LEAST) / (before + 2 * _LEAST))
                for name in _GROUPS:
                    past = self._group(name, origin - years - 8, origin - years)
                    yield np.log((self._group(name, first, end) + _LEAST) / (past + _LEAST))

    def _group(self, name: str, first: int, end: int) -> Array:
        sums, codes = self.groups[name]
        return sums.mean(first, end)[codes]


def _grouped(parts: dict[str, Array], code: NDArray[np.intp]) -> dict[str, Array]:
    made = {}
    for name, values in parts.items():
        made[name] = np.zeros((code.max() + 1, values.shape[1]))
        np.add.at(made[name], code, values)
    return made
