"""Levels add up, whatever moves the series; and each way of moving them does what its formula says."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.demand.totals.hierarchy import BY_NAME, LEVELS, HierarchyLevel, Target, coherent, groups_of
from retail_assets.demand.totals.hierarchy import reconciled as pulled_towards
from retail_assets.tables.forecast import HIERARCHY_LEVELS
from retail_assets_tests.unit.demand_frames import series_frame


def _chosen(seed: int, count: int) -> tuple[pd.DataFrame, np.ndarray, list[Target]]:
    rng = np.random.default_rng(seed)
    series, bottom = series_frame(count), rng.gamma(0.5, 4.0, (count, 5))
    bottom[rng.random(bottom.shape) < 0.2] = 0.0
    targets = [
        Target(groups, groups.summed(bottom) * rng.uniform(0.3, 3.0, (len(groups), 1)))
        for groups in (groups_of(series, BY_NAME[name]) for name in ("store", "department", "total"))
    ]
    return series, bottom, targets


def _total(series: pd.DataFrame, bottom: np.ndarray, level: HierarchyLevel) -> pd.DataFrame:
    """The sums of a level by pandas, in the order of the group's names."""
    columns = [series[name] for name in level.columns] or [pd.Series(0, index=series.index)]
    return pd.DataFrame(bottom).groupby(columns).sum()


def test_the_contract_knows_the_levels():
    assert tuple(level.name for level in LEVELS) == HIERARCHY_LEVELS


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), strength=st.floats(0, 1))
def test_after_any_reconciliation_every_level_is_the_sum_of_its_series(seed, count, strength):
    series, bottom, targets = _chosen(seed, count)
    moved = pulled_towards(bottom, targets, strength=strength)
    assert np.isfinite(moved).all() and (moved >= 0).all()
    sums = coherent(moved, series)
    for level in LEVELS:
        np.testing.assert_allclose(sums[level.name], _total(series, moved, level), atol=1e-9)
        np.testing.assert_allclose(sums[level.name].sum(axis=0), sums["total"][0], atol=1e-9)


def test_groups_carry_names_and_sizes():
    groups = groups_of(series_frame(5).assign(department=["A", "", "B", "A", "B"]), BY_NAME["store_department"])
    assert groups.names == ("S0 / A", "S0 / B", "S1 / (none)", "S1 / A")
    assert groups.sizes.tolist() == [1, 2, 1, 1]
    assert groups_of(series_frame(3), BY_NAME["total"]).names == ("all",)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), strength=st.floats(0, 1))
def test_no_series_moves_further_than_the_limit(seed, strength):
    _, bottom, targets = _chosen(seed, 12)
    moved = pulled_towards(bottom, targets[:1], strength=strength, limit=2.0)
    assert (moved <= bottom * 2.0**strength + 1e-12).all() and (moved >= bottom / 2.0**strength - 1e-12).all()


def test_one_level_is_met_exactly_at_full_strength():
    groups = groups_of(series_frame(12), BY_NAME["store"])
    bottom = np.random.default_rng(3).uniform(1, 5, (12, 4))
    wanted = groups.summed(bottom) * np.array([[1.7], [0.6]])
    np.testing.assert_allclose(
        groups.summed(pulled_towards(bottom, [Target(groups, wanted)], strength=1.0)), wanted, rtol=1e-12
    )
    half = groups.summed(pulled_towards(bottom, [Target(groups, wanted)], strength=0.5))
    np.testing.assert_allclose(half, np.sqrt(groups.summed(bottom) * wanted))


def test_a_group_without_a_target_or_a_forecast_stays():
    groups = groups_of(series_frame(4), BY_NAME["store"])
    bottom = np.array([[1.0, 0.0], [2.0, 2.0], [3.0, 0.0], [4.0, 4.0]])
    wanted = np.array([[np.nan, 9.0], [3.0, np.nan]])
    moved = pulled_towards(bottom, [Target(groups, wanted)], strength=1.0)
    np.testing.assert_allclose(moved, [[1.0, 0.0], [1.0, 2.0], [3.0, 0.0], [2.0, 4.0]])
