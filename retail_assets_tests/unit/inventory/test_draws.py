"""Numbers keyed by line and day: uniform, independent, the same beside any others, and splits that are multinomial."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from retail_assets.inventory.draws import _FEW_UNITS, Draws, line_keys, row_keys, running_total

DAY = date(2025, 3, 1)


def keys_of(*products: str, day: date = DAY) -> np.ndarray:
    return line_keys(day, pd.MultiIndex.from_arrays([["S1"] * len(products), list(products)]))


def test_a_line_has_its_key_wherever_it_stands_and_another_on_another_day():
    one, two, three = keys_of("P1", "P2", "P3")
    assert keys_of("P3", "P1").tolist() == [three, one]
    assert len({one, two, three, *keys_of("P1", day=date(2025, 3, 2))}) == 4
    swapped = line_keys(DAY, pd.MultiIndex.from_arrays([["a", "ab"], ["bc", "c"]]))
    assert swapped[0] != swapped[1]


def test_numbers_are_uniform_and_those_of_other_paths_and_numbers_are_unrelated():
    draws = Draws.of(keys_of(*(f"P{n}" for n in range(200))), 100)
    table = np.stack([draws.uniform(number) for number in range(4)])
    assert all(stats.kstest(values, "uniform").pvalue > 0.001 for values in table)
    beside = np.stack([*table, np.roll(table[0], 1), np.roll(table[0], 100)])
    correlation = np.corrcoef(beside) - np.eye(len(beside))
    assert np.abs(correlation).max() < 0.03
    assert len(np.unique(table)) == table.size


@pytest.mark.parametrize("units", [3, _FEW_UNITS, _FEW_UNITS + 1, 1000])
def test_splits_are_multinomial(units):
    shares = np.array([0.1, 0.0, 0.4, 0.3])
    draws = Draws.of(keys_of("P1", "P2"), 20_000)
    count = len(draws.paths)
    below = draws.split(np.full(count, units), np.tile(np.cumsum(shares), (count, 1)))
    parts = np.diff(below, axis=1, prepend=0, append=units)
    assert (parts >= 0).all() and (parts[:, 1] == 0).all()
    wanted = np.append(shares, 0.2)
    error = np.sqrt(units * wanted * (1 - wanted) / count)
    assert np.all(np.abs(parts.mean(axis=0) - units * wanted) <= 4 * error + 1e-12)
    assert parts.var(axis=0) == pytest.approx(units * wanted * (1 - wanted), rel=0.05)
    assert np.cov(parts[:, 2], parts[:, 3])[0, 1] == pytest.approx(-units * 0.4 * 0.3, rel=0.1)


@pytest.mark.parametrize("units", [5, 500])
def test_a_split_is_the_same_beside_others_and_with_more_columns(units):
    keys = keys_of("P1", "P2", "P3")
    shares = np.array([[0.2, 0.7, 1.0], [0.1, 0.1, 0.4], [0.5, 1.0, 1.0]])
    counts = np.array([units, units + 1, units + 2])
    every = Draws.of(keys, 8).split(np.repeat(counts, 8), np.repeat(shares, 8, axis=0)).reshape(3, 8, 3)
    wider = np.column_stack([shares, shares[:, -1:], shares[:, -1:]])
    for row in (2, 0, 1):
        alone = Draws.of(keys[[row]], 8).split(np.repeat(counts[row], 8), np.repeat(wider[[row]], 8, axis=0))
        assert np.array_equal(alone[:, :3], every[row]) and np.array_equal(alone[:, 3], every[row][:, 2])
    assert Draws.of(keys, 8).split(np.zeros(24, dtype=np.int64), np.repeat(shares, 8, axis=0)).sum() == 0


def test_rows_are_keyed_by_what_they_are():
    series, day = np.array([0, 0, 1, 7]), np.array([0, 1, 0, 7])
    keys = row_keys(3, series, day)
    assert len(set(keys.tolist())) == 4 and set(row_keys(4, series, day).tolist()).isdisjoint(keys.tolist())
    assert row_keys(3, series[::-1], day[::-1]).tolist() == keys[::-1].tolist()


def test_a_running_total_does_not_change_with_zeros_behind_it():
    values = np.random.default_rng(1).random((50, 13)) * 0.1
    wider = np.pad(values, ((0, 0), (0, 9)))
    assert np.array_equal(running_total(values), running_total(wider))
    assert np.array_equal(running_total(values[7:8]), running_total(values)[7:8])
    assert running_total(np.zeros((3, 0))).tolist() == [0, 0, 0]
