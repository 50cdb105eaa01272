"""The levels between a store's product and everything: their groups, their sums, and ways to make sums agree.

A new level is one more entry in `LEVELS`. Every reconciliation returns the bottom, (n, H), never negative: sums of it
are coherent by construction. Models of totals belong in `aggregate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from retail_assets.tables.contract import ALL

NO_VALUE = "(none)"
_JOINT = " / "
_LIMIT = 2.0


@dataclass(frozen=True)
class HierarchyLevel:
    """Series with the same values of `columns` are one group."""

    name: str
    columns: tuple[str, ...]


LEVELS = (
    HierarchyLevel("total", ()),
    HierarchyLevel("region", ("region",)),
    HierarchyLevel("store", ("store_id",)),
    HierarchyLevel("category", ("category",)),
    HierarchyLevel("department", ("department",)),
    HierarchyLevel("region_category", ("region", "category")),
    HierarchyLevel("region_department", ("region", "department")),
    HierarchyLevel("store_category", ("store_id", "category")),
    HierarchyLevel("store_department", ("store_id", "department")),
)
"""Top down, without the bottom, which is forecast.demand_forecast."""
BY_NAME = {level.name: level for level in LEVELS}


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of one level: `keys` has a row a group and the level's columns, `code` (n,) each series' row in it."""

    level: HierarchyLevel
    keys: pd.DataFrame
    code: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def names(self) -> tuple[str, ...]:
        """Readable and in order, such as `CA_1 / FOODS_1`."""
        if not self.level.columns:
            return (ALL,)
        return tuple(_JOINT.join(str(value) or NO_VALUE for value in row) for row in self.keys.to_numpy(dtype=object))

    @property
    def sizes(self) -> np.ndarray:
        """Series of each group, (groups,)."""
        return np.bincount(self.code, minlength=len(self))

    @property
    def members(self) -> sparse.csr_matrix:
        """1 where a series belongs to a group, (groups, n)."""
        count = len(self.code)
        return sparse.csr_matrix((np.ones(count), (self.code, np.arange(count))), shape=(len(self), count))

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sums of (n, ...) over the groups, (groups, ...)."""
        return self.members @ values


def groups_of(series: pd.DataFrame, level: HierarchyLevel) -> Groups:
    """Groups of one level, ascending by name; `series` holds a row a series."""
    if not level.columns:
        return Groups(level, pd.DataFrame(index=range(1)), np.zeros(len(series), dtype=np.int64))
    keyed = series.loc[:, list(level.columns)].astype(str)
    code = keyed.groupby(list(level.columns), sort=True).ngroup().to_numpy()
    keys = keyed.assign(code=code).drop_duplicates("code").sort_values("code").drop(columns="code")
    return Groups(level, keys.reset_index(drop=True), code)


def coherent(
    bottom: np.ndarray, series: pd.DataFrame, levels: Sequence[HierarchyLevel] = LEVELS
) -> dict[str, np.ndarray]:
    """Sums of the bottom forecast (n, H) at every level, (groups, H) by the level's name."""
    return {level.name: groups_of(series, level).summed(bottom) for level in levels}


@dataclass(frozen=True, eq=False)
class Target:
    """What a level's groups should sum to, (groups, H); NaN asks for nothing."""

    groups: Groups
    totals: np.ndarray


def reconciled(bottom: np.ndarray, targets: Sequence[Target], *, strength: float, limit: float = _LIMIT) -> np.ndarray:
    """Scales series so that their sums move towards each target in turn by ratio ** strength.

    Strength 1 meets the last target exactly where the ratio is within `limit` and something is forecast. The limit is
    there because a total gone astray must not multiply orders.
    """
    moved = bottom.copy()
    for target in targets:
        own = target.groups.summed(moved)
        ratio = np.divide(target.totals, own, out=np.ones_like(own), where=(own > 0) & np.isfinite(target.totals))
        moved *= (np.clip(ratio, 1 / limit, limit) ** strength)[target.groups.code]
    return moved
