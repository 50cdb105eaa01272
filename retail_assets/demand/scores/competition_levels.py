"""The twelve levels at which the M5 competition adds series up, from the total down to the product in its store.

Rows of every result are the groups of the first level, then of the second and so on, ascending by name within a
level. Scores belong in `metrics`.
"""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

LEVELS: tuple[tuple[str, ...], ...] = (
    (),
    ("region",),
    ("store_id",),
    ("category",),
    ("department",),
    ("region", "category"),
    ("region", "department"),
    ("store_id", "category"),
    ("store_id", "department"),
    ("product_id",),
    ("product_id", "region"),
    ("product_id", "store_id"),
)


def groups(series: pd.DataFrame) -> pd.DataFrame:
    """Level number from 1 and the attributes of each row of `aggregated`; "" where a level does not tell them."""
    named = [_named(series, list(columns)).assign(level=number) for number, columns in enumerate(LEVELS, start=1)]
    columns = ["level", "region", "store_id", "category", "department", "product_id"]
    return pd.concat(named, ignore_index=True).reindex(columns=columns).fillna("")


def _named(series: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    if not columns:
        return pd.DataFrame(index=pd.Index([0]))
    return series.loc[:, columns].drop_duplicates().sort_values(columns)


def aggregated(values: np.ndarray, *, series: pd.DataFrame) -> np.ndarray:
    """Sums of the observed values (n, T) or (n,) of each group, (N, T) or (N,); NaN where none was observed."""
    members = _members(series)
    seen = ~np.isnan(values)
    total = members @ np.where(seen, values, 0.0)
    return total if seen.all() else np.where(members @ seen.astype(np.float32) > 0, total, np.nan)


def _members(series: pd.DataFrame) -> csr_array:
    """1 where a series (column) belongs to a group (row)."""
    code, first = [], 0
    for columns in LEVELS:
        number = series.groupby(list(columns), sort=True).ngroup().to_numpy() if columns else np.zeros(len(series), int)
        code.append(first + number)
        first = int(code[-1].max()) + 1
    rows, columns = np.concatenate(code), np.tile(np.arange(len(series)), len(LEVELS))
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(first, len(series)))
