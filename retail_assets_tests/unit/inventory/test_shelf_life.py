"""What expires unsold: one batch against the Poisson sum, several against shops that live day by day, and batches."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from retail_assets.inventory.cumulative_forecast import CumulativeForecast
from retail_assets.inventory.draws import line_keys
from retail_assets.inventory.shelf_life import batches_by_age, expiring_units, stock_batches
from retail_assets.tables.forecast import QUANTILE_LEVELS

AS_OF = date(2025, 3, 10)


def series(count):
    return pd.MultiIndex.from_arrays([["s"] * count, [f"p{n}" for n in range(count)]])


def keys(count):
    return line_keys(AS_OF, series(count))


def poisson_windows(means, *, horizons=(2, 7, 14), step=1.0):
    """Forecasts of products that sell Poisson `means` steps a day."""
    rows = []
    for number, mean in enumerate(means):
        for days in horizons:
            total = stats.poisson(mean * days)
            quantiles = {name: total.ppf(level) * step for name, level in QUANTILE_LEVELS.items()}
            key = {"store_id": "s", "product_id": f"p{number}", "horizon_days": days}
            rows.append(key | {"mean_units": mean * days * step, "p_zero": total.pmf(0)} | quantiles)
    nobody = np.full(len(means), "", dtype=object)
    return CumulativeForecast.of(
        pd.DataFrame(rows), series(len(means)), unit_step=np.full(len(means), step), supplier_ids=nobody
    )


def expected(batches, means, **forecast):
    """The answer for rows of {days left: units}."""
    table = np.zeros((len(batches), max(max(row, default=1) for row in batches)))
    for number, row in enumerate(batches):
        for days, units in row.items():
            table[number, days - 1] = units
    return expiring_units(table, poisson_windows(means, **forecast), keys=keys(len(table)))


def expected_leftover(stock, mean):
    """E(B - D)+ by hand."""
    units = np.arange(int(stock) + 1)
    return float(((stock - units) * stats.poisson.pmf(units, mean)).sum())


def lived(batches, mean, *, shops=40_000):
    """Mean units thrown away by shops that sell one unit after the other, the oldest first."""
    rng = np.random.default_rng(11)
    left = {days: np.full(shops, float(units)) for days, units in sorted(batches.items())}
    wasted = np.zeros(shops)
    for day in range(1, max(left) + 1):
        wanted = rng.poisson(mean, shops).astype(float)
        for days, stock in left.items():
            if days >= day:
                sold = np.minimum(stock, wanted)
                stock -= sold
                wanted -= sold
        if day in left:
            wasted += left.pop(day)
    return wasted.mean()


@pytest.mark.parametrize(
    ("mean", "stock", "days"), [(5, 40, 7), (5, 20, 3), (2, 8, 5), (0.3, 3, 7), (40, 300, 7), (1.4, 10, 6), (3, 60, 14)]
)
def test_one_batch_loses_what_demand_leaves(mean, stock, days):
    """Whether its last day is a stored horizon (7, 14) or lies between two (3, 5, 6)."""
    copies = expected([{days: stock}] * 20, [mean] * 20)
    assert copies.mean() == pytest.approx(expected_leftover(stock, mean * days), rel=0.03, abs=0.05)
    assert copies.std() < 0.05 * stock


@pytest.mark.parametrize(
    ("mean", "batches"),
    [
        (2.0, {1: 3, 5: 9}),
        (5.0, {2: 12, 7: 30}),
        (0.4, {3: 2, 10: 4}),
        (3.0, {1: 6, 2: 2, 6: 12}),
        (8.0, {3: 10, 4: 40}),
    ],
)
def test_several_batches_lose_what_shops_throw_away(mean, batches):
    copies = expected([batches] * 20, [mean] * 20)
    assert copies.mean() == pytest.approx(lived(batches, mean), rel=0.03, abs=0.05)


def test_it_is_no_less_than_each_bound_and_no_more_than_the_stock():
    batches, mean = {2: 12, 7: 30}, 5.0
    [found] = expected([batches], [mean])
    bounds = expected_leftover(12, mean * 2), expected_leftover(42, mean * 7)
    assert max(bounds) < found < sum(bounds)


def test_without_demand_everything_expires_and_without_stock_nothing():
    assert expected([{3: 4, 9: 2}, {}], [0.0, 5.0]).tolist() == [6, 0]


def test_a_series_without_forecast_has_no_demand():
    known = poisson_windows([5.0]).without(np.array([True]))
    assert expiring_units(np.array([[0.0, 4.0]]), known, keys=keys(1)).tolist() == [4]
    empty = pd.DataFrame(columns=["store_id", "product_id", "horizon_days", "mean_units", "p_zero", *QUANTILE_LEVELS])
    none = CumulativeForecast.of(empty, series(1), unit_step=np.ones(1), supplier_ids=np.array([""]))
    assert expiring_units(np.array([[0.0, 4.0]]), none, keys=keys(1)).tolist() == [4]


def test_demand_goes_on_beyond_the_last_horizon():
    """60 days at 2 a day are 120; the forecast ends after 14."""
    soon, late = expected([{14: 100}, {60: 100}], [2.0, 2.0])
    assert soon == pytest.approx(72, abs=1)
    assert late < 5


def test_weighed_goods_count_in_their_step():
    units = expected([{3: 20}] * 20, [5.0] * 20)
    weighed = expected([{3: 2.0}] * 20, [5.0] * 20, step=0.1)
    assert weighed.mean() == pytest.approx(units.mean() / 10, rel=0.03)


def test_continuous_goods_lose_the_same():
    fine = poisson_windows([50.0] * 20)
    smooth = CumulativeForecast(**{**vars(fine), "unit_step": np.zeros(20)})
    batches = np.zeros((20, 7))
    batches[:, 6] = 355
    found = expiring_units(batches, smooth, keys=keys(len(batches)))
    assert found.mean() == pytest.approx(expected_leftover(355, 350), rel=0.05)


def test_the_same_random_numbers_give_the_same_answer():
    batches = [{2: 12, 7: 30}, {1: 4}]
    assert expected(batches, [5.0, 2.0]).tolist() == expected(batches, [5.0, 2.0]).tolist()


@given(st.dictionaries(st.integers(1, 14), st.integers(0, 40), max_size=5), st.sampled_from([0.0, 0.3, 2.0, 9.0]))
@settings(max_examples=40, deadline=None)
def test_waste_lies_between_nothing_and_the_stock(batches, mean):
    [found] = expected([batches], [mean])
    assert 0 <= found <= sum(batches.values()) + 1e-9


def test_batches_are_the_last_receipts():
    """Nine on hand, five came today, six the day before yesterday; life four days, so those have two left."""
    received = np.array([[1.0, 6.0, 0.0, 5.0], [0.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.0, 0.0]])
    found = stock_batches(np.array([9.0, 7.0, 3.0]), received, np.array([4.0, 4.0, np.nan]))
    assert found.tolist()[:2] == [[0, 4, 0, 5], [5, 0, 0, 2]]
    assert found[2].sum() == 3


def received(*lines):
    rows = [("s", product, AS_OF - timedelta(days=ago), units) for product, ago, units in lines]
    return pd.DataFrame(rows, columns=["store_id", "product_id", "received_date", "received_units"])


def test_receipts_of_today_have_sold_one_day_of_their_life():
    """Five days of life: of today 4 are left, of yesterday 3; what is older than the life explains nothing.

    A product without any receipt on record is taken as fresh.
    """
    lines = received(("p0", 0, 2.0), ("p0", 1, 3.0), ("p0", 1, 1.0), ("p0", 30, 50.0), ("other", 0, 9.0))
    life = np.array([5.0, 5.0])
    found = batches_by_age(AS_OF, series(2), on_hand=np.array([7.0, 4.0]), shelf_life_days=life, receipts=lines)
    assert found.tolist() == [[1, 0, 4, 2, 0], [0, 0, 0, 0, 4]]


@pytest.mark.parametrize("receipts", [None, received()])
def test_without_receipts_the_stock_is_fresh(receipts):
    life = np.array([3.0, np.nan])
    found = batches_by_age(AS_OF, series(2), on_hand=np.array([7.0, 4.0]), shelf_life_days=life, receipts=receipts)
    assert found[0].tolist() == [0, 0, 7]


def test_batches_of_a_series_are_the_same_beside_longer_lives():
    """Receipts older than it can be must not take part in its sums, which weighed goods would show."""
    rng = np.random.default_rng(3)
    both, count = series(2), 60
    for _ in range(50):
        received = pd.DataFrame(
            {
                "store_id": "s",
                "product_id": "p0",
                "received_date": [AS_OF - timedelta(days=int(day)) for day in rng.integers(0, 30, count)],
                "received_units": np.round(rng.gamma(1.0, 0.3, count), 3),
            }
        )
        on_hand = np.round(rng.uniform(0, 12), 3)
        alone = batches_by_age(
            AS_OF, both[:1], on_hand=np.array([on_hand]), shelf_life_days=np.array([6.0]), receipts=received
        )
        beside = batches_by_age(
            AS_OF, both, on_hand=np.array([on_hand, 1.0]), shelf_life_days=np.array([6.0, 30.0]), receipts=received
        )
        assert beside[0, :6].tolist() == alone[0].tolist()
