"""Stock by the days it can still be sold, and how much of it expires unsold when nothing is done.

The age of stock follows from receipts, oldest sold first. What an order adds to the waste belongs to prospects.py.
"""

from datetime import date

import numpy as np
import pandas as pd

from retail_assets.arrays import Array, Days
from retail_assets.inventory.cumulative_forecast import CumulativeForecast, series_index
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.draws import Draws, Keys, running_total

_LINES_AT_ONCE = 200
_LEVELS, _SPLITS = 32, 4
"""Totals of demand drawn for each series, and how often each is split over the days."""
_NOTHING = 1e-9  # what subtracting weighed receipts leaves behind


def batches_by_age(
    as_of: date, series: pd.MultiIndex, *, on_hand: Array, shelf_life_days: Array, receipts: pd.DataFrame | None
) -> Array:
    """(n, k) units of each series that can be sold for 1 … k days after `as_of`; of those that keep, no meaning.

    Args:
        as_of: closed day.
        series: (n,) store_id and product_id.
        on_hand: (n,) units, none negative.
        shelf_life_days: (n,) days a unit can be sold, the day of receipt included; NaN for ever.
        receipts: store_id, product_id, received_date, received_units; a series without any is fresh.
    """
    back = int(np.nanmax(shelf_life_days, initial=1)) if np.isfinite(shelf_life_days).any() else 1
    received = np.zeros((len(series), back))
    if receipts is None or receipts.empty:
        received[:, -1] = on_hand
        return stock_batches(on_hand, received, shelf_life_days)
    row = series.get_indexer(series_index(receipts))
    days = pd.to_datetime(receipts["received_date"]).to_numpy().astype("datetime64[D]")
    age = (np.datetime64(as_of, "D") - days).astype(np.int64)
    units = np.nan_to_num(receipts["received_units"].to_numpy(dtype=np.float64, na_value=np.nan))
    # what is older than goods can be is left out: longer lives of other series must not change the sums of this one
    inside = (row >= 0) & (age >= 0) & (age < np.nan_to_num(shelf_life_days)[row] - 1)
    order = np.lexsort([units, age, row])
    order = order[inside[order]]
    np.add.at(received, (row[order], back - 2 - age[order]), units[order])
    unseen = np.setdiff1d(np.arange(len(series)), row)
    received[unseen, -1] = on_hand[unseen]
    return stock_batches(on_hand, received, shelf_life_days)


def stock_batches(on_hand: Array, received: Array, shelf_life_days: Array) -> Array:
    """(n, k) units that can be sold for 1 … k days more, k the longest life; oldest sold first.

    What is on hand are the last receipts; what they do not explain is taken as about to expire.

    Args:
        on_hand: (n,) units.
        received: (n, d) units received on the last d days, the newest last; those of the last column are fresh.
        shelf_life_days: (n,) days a unit can be sold, the day of receipt included; NaN for ever.
    """
    life = np.where(np.isfinite(shelf_life_days), shelf_life_days, 0).astype(np.int64)
    batches = np.zeros((len(on_hand), max(int(life.max(initial=0)), 1)))
    left = on_hand.astype(np.float64).copy()
    rows = np.arange(len(on_hand))
    for age, units in enumerate(received.T[::-1]):
        taken = np.minimum(units, left)
        remaining = np.clip(life - age, 1, batches.shape[1])
        batches[rows, remaining - 1] += taken
        left -= taken
    batches[:, 0] += left
    return batches


def expiring_units(batches: Array, forecast: CumulativeForecast, *, keys: Keys) -> Array:
    """(n,) units on hand that are expected to expire unsold, oldest sold first.

    With B_k units that can be sold for at most k days more and D_k the demand of k days, what has expired by day k is
    W_k = max(W_{k-1}, B_k - D_k): stock that comes later is sold later and changes nothing. The answer is the mean of
    max_k (B_k - D_k)+ over sampled demand. The total up to the first stored horizon at or after the last expiry is
    drawn from its distribution, in equal slices, and split over the days by their expected shares: exact for Poisson
    demand with an unknown level, a little low where days scatter more. Beyond the last horizon demand goes on like it.

    Args:
        batches: (n, k) units that can be sold for 1 … k days more.
        forecast: forecasts of the n series.
        keys: (n,) of draws.py; a series gets the same answer beside any others.
    """
    days, stock = _expiries(batches)
    reach = forecast.reach(days[:, -1])
    demand = forecast.within(reach)
    mean = forecast.mean_within(np.column_stack([days, reach]))
    total = mean[:, -1:]
    share = np.minimum(np.divide(mean[:, :-1], total, out=np.zeros_like(stock), where=total > 0), 1.0)
    parts = [
        _expired(demand.take(rows), stock[rows], np.maximum.accumulate(share[rows], axis=1), keys=keys[rows])
        for rows in np.split(np.arange(len(stock)), range(_LINES_AT_ONCE, len(stock), _LINES_AT_ONCE))
    ]
    return np.concatenate(parts)


def _expiries(batches: Array) -> tuple[Days, Array]:
    """(n, m) days, ascending, on which some stock expires, and what expires by then unless sold; the last repeated."""
    is_expiry = batches > _NOTHING
    count = max(int(is_expiry.sum(axis=1).max(initial=0)), 1)
    first = np.argsort(~is_expiry, axis=1, kind="stable")[:, :count]
    last = np.where(is_expiry.any(axis=1), batches.shape[1] - 1 - is_expiry[:, ::-1].argmax(axis=1), 0)
    place = np.where(np.take_along_axis(is_expiry, first, axis=1), first, last[:, None])
    return (place + 1).astype(np.int64), np.take_along_axis(np.cumsum(batches, axis=1), place, axis=1)


def _expired(demand: Demand, stock: Array, share: Array, *, keys: Keys) -> Array:
    """(n,) mean of max_k (B_k - D_k)+; `share` (n, m) is the part of the total that each D_k is expected to be."""
    paths = _LEVELS * _SPLITS
    draws, row = Draws.of(keys, paths), np.repeat(np.arange(len(stock)), paths)
    number = np.tile(np.arange(paths), len(stock))
    # the splits of a level share its total
    total_of = Draws.of(keys, _LEVELS).uniform(0).reshape(len(stock), _LEVELS)[row, number // _SPLITS]
    level = np.clip((number // _SPLITS + total_of) / _LEVELS, 1e-9, 1 - 1e-9)
    total, step = demand.take(row).quantile(level), demand.unit_step[row]
    is_lattice, scale = step > 0, np.where(step > 0, step, 1.0)
    steps = np.where(is_lattice, np.round(total / scale), 0.0).astype(np.int64)
    whole = draws.split(steps, share[row]) * scale[:, None]
    sold = np.where(is_lattice[:, None], whole, total[:, None] * share[row])
    expired = np.maximum(stock[row] - sold, 0.0).max(axis=1).reshape(len(stock), paths)
    return running_total(expired) / paths
