"""The VN2 Inventory Planning Challenge (SupChains, 2025) as arrays: weekly sales, flags of stock, groups of products.

What a deciding week may read belongs here; rules, forecasts and costs do not.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from retail_assets.arrays import Array, Dates, Flags

FILES = ("sales.csv", "in_stock.csv", "master.csv")
_KEYS = ["Store", "Product"]


@dataclass(frozen=True)
class WeeklySales:
    """Sales of n series over t weeks, and how they are grouped.

    `units` (n, t) sold; `in_stock` (n, t) false where demand may have been higher; `weeks` (t,) Mondays; `groups` (n,)
    rows with the columns of master.csv, store and product included.
    """

    units: Array
    in_stock: Flags
    weeks: Dates
    groups: pd.DataFrame

    @property
    def week_count(self) -> int:
        return len(self.weeks)

    @property
    def in_stock_units(self) -> Array:
        """(n, t) units, NaN where the week was not in stock throughout."""
        return np.where(self.in_stock, self.units, np.nan)

    def iso_weeks(self, ahead: int = 0) -> np.ndarray:
        """(t + ahead,) ISO week numbers, those of the coming weeks at the end."""
        days = self.weeks[0] + 7 * np.arange(self.week_count + ahead) * np.timedelta64(1, "D")
        return pd.DatetimeIndex(days).isocalendar().week.to_numpy(dtype=np.int64)

    def before(self, week: int) -> Self:
        """What was known when `week` weeks had passed."""
        return self.between(0, week)

    def between(self, first: int, end: int) -> Self:
        """The weeks from `first` up to, not with, `end`."""
        part = slice(first, end)
        return replace(self, units=self.units[:, part], in_stock=self.in_stock[:, part], weeks=self.weeks[part])

    def after(self, sold: Array, in_stock: Flags) -> Self:
        """The same with one more week, (n,) units sold and whether stock was left."""
        return replace(
            self,
            units=np.column_stack([self.units, sold]),
            in_stock=np.column_stack([self.in_stock, in_stock]),
            weeks=np.append(self.weeks, self.weeks[-1] + np.timedelta64(7, "D")),
        )


def read_sales(folder: Path) -> WeeklySales:
    """The folder's sales through its week 0; flags of later weeks, which in_stock.csv holds, are not used.

    Raises:
        SystemExit: a file is missing, the files are of different series or weeks, or a sale is no number of units.
    """
    missing = [name for name in FILES if not (folder / name).exists()]
    if missing:
        raise SystemExit(f"There is no {', no '.join(missing)} in {folder}; name the folder that holds the VN2 files.")
    sales, flags, groups = (pd.read_csv(folder / name).set_index(_KEYS, drop=False) for name in FILES)
    if not (sales.index.equals(flags.index) and sales.index.equals(groups.index)):
        raise SystemExit(f"The files in {folder} are not of the same series in the same order.")
    weeks = [column for column in sales.columns if column not in _KEYS]
    if absent := [week for week in weeks if week not in flags.columns]:
        raise SystemExit(f"in_stock.csv in {folder} lacks the week {absent[0]} of sales.csv.")
    if not (sales[weeks] >= 0).all(axis=None):
        raise SystemExit(f"sales.csv in {folder} has a week without a number of units of at least 0.")
    return WeeklySales(
        units=sales[weeks].to_numpy(dtype=np.float64),
        in_stock=flags[weeks].to_numpy(dtype=bool),
        weeks=np.array(weeks, dtype="datetime64[D]"),
        groups=groups.reset_index(drop=True),
    )
