# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Rows parted into files by ranges of their keys, so that each range can be sorted alone.

A key is the values of the columns a table is sorted by; a missing value is greater than all others.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.record_batches import gathered

Key = tuple[pa.Scalar, ...]

_SAMPLE_EVERY = 1024
_PARTED_ROWS = 32_768
"""At once; parts of less are too small for their file."""


def band_ends(batches: Iterator[pa.RecordBatch], columns: Sequence[str], *, count: int) -> list[Key]:
    """The last keys of all bands but the last, by a sample of the rows; fewer where a key fills more than a band."""
    sample = _sampled(batches, columns)
    if not sample:
        return []
    keys = pa.Table.from_batches(sample).sort_by([(name, "ascending") for name in columns])
    places = [keys.num_rows * number // count for number in range(1, count)]
    return list(dict.fromkeys(tuple(column[place] for column in keys.columns) for place in places))


def _sampled(batches: Iterator[pa.RecordBatch], columns: Sequence[str]) -> list[pa.RecordBatch]:
    """Keys of some rows of each batch; by chance, since a fixed step may meet the same ones again and again."""
    chance = np.random.default_rng(0)
    return [
        batch.select(list(columns)).take(
            pa.array(chance.integers(0, batch.num_rows, ceil(batch.num_rows / _SAMPLE_EVERY)))
        )
        for batch in batches
        if batch.num_rows
    ]


class Bands:
    """Files of a folder, one a band.

    Args:
        columns: what makes the key.
        ends: the last keys of all bands but the last, ascending.
    """

    def __init__(self, folder: Path, schema: pa.Schema, columns: Sequence[str], ends: Sequence[Key]) -> None:
        self._schema, self._columns, self._ends = schema, columns, ends
        self._paths = [folder / f"{number}.arrow" for number in range(len(ends) + 1)]
        self.bytes = [0] * len(self._paths)

    def write(self, batches: Iterator[pa.RecordBatch]) -> None:
        with ExitStack() as stack:
            writers = [stack.enter_context(self._writer(stack, path)) for path in self._paths]
            for piece in gathered(batches, _PARTED_ROWS):
                for number, part in enumerate(self._parts(piece, self._ends)):
                    if part.num_rows:
                        writers[number].write_batch(part)
                        self.bytes[number] += part.nbytes
        pa.default_memory_pool().release_unused()

    def batches(self, number: int) -> Iterator[pa.RecordBatch]:
        """A band's rows as they came; its file goes with them."""
        with pa.OSFile(str(self._paths[number]), "rb") as source, pa.ipc.open_stream(source) as stored:
            yield from stored
        self._paths[number].unlink()

    def _writer(self, stack: ExitStack, path: Path) -> pa.RecordBatchStreamWriter:
        sink = stack.enter_context(pa.OSFile(str(path), "wb"))
        return pa.ipc.new_stream(sink, self._schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    def _parts(self, batch: pa.RecordBatch, ends: Sequence[Key]) -> list[pa.RecordBatch]:
        """The batch's rows of each band, halved again and again, so that many bands cost little more than a few."""
        if not ends:
            return [batch]
        middle = len(ends) // 2
        is_lower = _not_greater(batch, self._columns, ends[middle])
        lower, upper = batch.filter(is_lower), batch.filter(pc.invert(is_lower))
        return [*self._parts(lower, ends[:middle]), *self._parts(upper, ends[middle + 1 :])]


def _not_greater(batch: pa.RecordBatch, columns: Sequence[str], key: Key) -> pa.BooleanArray:
    found: Any = pa.repeat(True, batch.num_rows)
    for name, end in reversed(list(zip(columns, key, strict=True))):
        values = batch.column(name)
        if end.is_valid:
            is_less, is_same = (pc.fill_null(compare(values, end), False) for compare in (pc.less, pc.equal))
        else:
            is_less, is_same = values.is_valid(), values.is_null()
        found = pc.or_(is_less, pc.and_(is_same, found))
    return found
