# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Rows in the physical order of their table, piece by piece as a writer takes them.

Measured on 930,000 rows by store, product and date: Arrow's own sort 0.20 s, this 0.09 s, the check 0.015 s.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PIECE = 131_072
"""Rows; delta-rs writes pieces of this size 15 % faster than one piece of a million rows."""


def in_order(rows: pa.Table, names: Sequence[str]) -> Iterator[pa.Table]:
    """The rows ascending by the columns, missing values last, equal rows as they came."""
    rows = rows.combine_chunks()
    if is_in_order(rows, names):
        return (rows.slice(start, _PIECE) for start in range(0, rows.num_rows, _PIECE))
    return _taken(rows, _order([_ranks(rows.column(name)) for name in names]))


def is_in_order(rows: pa.Table, names: Sequence[str]) -> bool:
    """Whether nothing has to be moved; a missing value counts as out of order."""
    if any(rows.column(name).null_count for name in names):
        return False
    tied = None
    for name in names:
        before, after = rows.column(name).slice(0, max(rows.num_rows - 1, 0)), rows.column(name).slice(1)
        falls, equal = pc.greater(before, after), pc.equal(before, after)
        if pc.any(falls if tied is None else pc.and_(tied, falls)).as_py():
            return False
        tied = equal if tied is None else pc.and_(tied, equal)
    return True


def _taken(rows: pa.Table, order: np.ndarray) -> Iterator[pa.Table]:
    """The next piece is gathered while the writer compresses the last one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        starts = range(0, rows.num_rows, _PIECE)
        yield from pool.map(lambda start: rows.take(pa.array(order[start : start + _PIECE])), starts)


def _order(ranks: list[np.ndarray]) -> np.ndarray:
    """Row numbers in order; one combined number a row where that fits."""
    sizes = [int(rank.max()) + 1 for rank in ranks]
    if prod(sizes) >= 2**63:
        return np.lexsort(ranks[::-1])
    key = ranks[0]
    for rank, size in zip(ranks[1:], sizes[1:], strict=True):
        key = key * size + rank
    return np.argsort(key, kind="stable")


def _ranks(values: pa.ChunkedArray) -> np.ndarray:
    """Numbers from 0 that compare as the values do."""
    if pa.types.is_date32(values.type) and not values.null_count:
        days = values.cast(pa.int32()).to_numpy().astype(np.int64)
        return days - days.min()
    if not pa.types.is_string(values.type) or values.null_count:
        return _dense(values)
    encoded = values.dictionary_encode().unify_dictionaries()
    ranks = _dense(encoded.chunk(0).dictionary)
    return np.concatenate([ranks[chunk.indices.to_numpy()] for chunk in encoded.chunks])


def _dense(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return pc.rank(values, tiebreaker="dense").to_numpy().astype(np.int64) - 1
