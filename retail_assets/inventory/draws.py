"""Random numbers that belong to a line: keyed by what the line is called and the day, not by its place among others.

A line of a plan gets the same numbers in any order of rows, beside any other lines, in any part of the work and in any
process. What is drawn, and from which distribution, belongs to the caller.
"""

from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Counts

Keys = NDArray[np.uint64]

_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_BITS_30, _BITS_27, _BITS_31, _BITS_11 = (np.uint64(n) for n in (30, 27, 31, 11))
_SPLITTING = 1 << 32
"""Number from which on units of a split are drawn; single numbers stay below it."""
_FEW_UNITS = 64
"""Up to so many units a split draws the day of each unit; beyond, binomials of a generator of the line are faster."""


def line_keys(as_of: date, series: pd.MultiIndex) -> Keys:
    """(n,) key of each (store_id, product_id) on a day."""
    day = as_of.isoformat()
    names = (f"{day}\x1f{store}\x1f{product}".encode() for store, product in series)
    return np.array([int.from_bytes(blake2b(name, digest_size=8).digest(), "big") for name in names], dtype=np.uint64)


def row_keys(seed: int, *parts: NDArray[np.int64]) -> Keys:
    """(n,) key of each row from whole numbers (n,) that say what it is, such as a series and a day."""
    keys = np.full(len(parts[0]), seed, dtype=np.uint64)
    for part in parts:
        keys = _mixed(keys + (part.astype(np.uint64) + np.uint64(1)) * _GOLDEN)
    return keys


@dataclass(frozen=True)
class Draws:
    """Numbers of the paths of some lines, the paths of a line beside each other."""

    lines: Keys
    paths: Keys

    @classmethod
    def of(cls, keys: Keys, paths: int) -> Self:
        """`paths` paths of each of the lines with these keys."""
        number = np.arange(1, paths + 1, dtype=np.uint64)
        return cls(np.repeat(keys, paths), _mixed(keys[:, None] + number * _GOLDEN).ravel())

    def uniform(self, number: int) -> Array:
        """(rows,) the uniform number 0 … 1 of each path that has this number."""
        return _fraction(self.paths, np.array([number + 1], dtype=np.uint64))

    def split(self, units: Counts, cumulative: Array) -> Counts:
        """(rows, m) how many of `units` (rows,) fall below each of the rising shares `cumulative` (rows, m), 0 … 1.

        Multinomial: the units of a path are independent. More columns that repeat the last share change nothing.
        """
        below = np.zeros(cumulative.shape, dtype=np.int64)
        few = np.flatnonzero((units > 0) & (units <= _FEW_UNITS))
        below[few] = self._one_by_one(few, units[few], cumulative[few])
        many = np.flatnonzero(units > _FEW_UNITS)
        for rows in np.split(many, np.flatnonzero(np.diff(self.lines[many])) + 1) if len(many) else ():
            below[rows] = self._at_once(rows[0], units[rows], cumulative[rows])
        return below

    def _one_by_one(self, rows: NDArray[np.intp], units: Counts, cumulative: Array) -> Counts:
        row = np.repeat(np.arange(len(rows)), units)
        number = np.arange(len(row)) - np.repeat(np.cumsum(units) - units, units)
        luck = _fraction(self.paths[rows][row], (number + _SPLITTING).astype(np.uint64))
        below = [np.bincount(row[luck < share[row]], minlength=len(rows)) for share in cumulative.T]
        return np.stack(below, axis=1)

    def _at_once(self, row: int, units: Counts, cumulative: Array) -> Counts:
        generator = np.random.Generator(np.random.Philox(key=int(self.lines[row])))
        shares = np.maximum(np.diff(cumulative, axis=1, prepend=0.0, append=1.0), 0.0)
        return np.cumsum(generator.multinomial(units, shares)[:, :-1], axis=1)


def running_total(values: Array) -> Array:
    """(n,) sums of (n, m), added from the first to the last: zeros behind, or other rows, change no bit of them."""
    return np.cumsum(values, axis=1)[:, -1] if values.shape[1] else np.zeros(len(values))


def _fraction(keys: Keys, number: Keys) -> Array:
    return (_mixed(keys + number * _GOLDEN) >> _BITS_11).astype(np.float64) * 2.0**-53


def _mixed(state: Keys) -> Keys:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): neighbouring states give unrelated numbers."""
    state = (state ^ (state >> _BITS_30)) * _FIRST
    state = (state ^ (state >> _BITS_27)) * _SECOND
    return state ^ (state >> _BITS_31)
