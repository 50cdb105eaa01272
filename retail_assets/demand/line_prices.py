"""The price of a product as its sale lines show it, for sources that give no price of their own."""

import numpy as np
from numpy.typing import NDArray

PRICE_DAYS = 28
"""Days with a sale whose prices count, the last ones of a product in a store."""


def line_prices(prices: NDArray[np.float64], *, product: NDArray[np.int64]) -> NDArray[np.float64]:
    """The price of each series on the last of the days, (series,); NaN where no store sold the product.

    It is the median over the last `PRICE_DAYS` days on which the store sold the product, else over those of all stores.
    A day counts once however much it sold, so a promotion becomes the price only when it lasts for half of them.

    Args:
        prices: currency, (series, days), one value for each day that sold something; NaN on others.
        product: number of each series' product, (series,).

    >>> line_prices(np.array([[3.0, np.nan, 2.0, 3.0], [np.nan] * 4]), product=np.array([0, 0]))
    array([3., 3.])
    """
    known = np.isfinite(prices)
    is_recent = np.cumsum(known[:, ::-1], axis=1)[:, ::-1] <= PRICE_DAYS
    recent = np.where(is_recent, prices, np.nan)
    own = _medians(recent, np.arange(len(prices)))
    return np.where(np.isfinite(own), own, _medians(recent, product))


def _medians(prices: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each row the median of the known prices of all rows of its group; NaN where there is none."""
    row, day = np.nonzero(np.isfinite(prices))
    order = np.lexsort((prices[row, day], group[row]))
    ascending = prices[row, day][order]
    count = np.bincount(group[row], minlength=int(group.max(initial=-1)) + 1)
    first, is_known = np.cumsum(count) - count, count > 0
    middle = [first[is_known] + place[is_known] for place in ((count - 1) // 2, count // 2)]
    medians = np.full(len(count), np.nan)
    medians[is_known] = (ascending[middle[0]] + ascending[middle[1]]) / 2
    return medians[group]
