"""Series that have stood unsold for two months: how much of their demand before is still to be expected.

They come back more often than models that follow the newest days expect: goods that were out of stock or off the shelf
where nobody counts stock. Known ends come with the panel's future opening days, shorter silence is the matter of the
models and of `phase_out`. Days that were short of stock are no silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from retail_assets.arrays import Array, Days, Flags
from retail_assets.demand.panel import Panel

_PAST_DAYS, _SILENT_DAYS = 112, 56
_MISSED_SALES = 8.0
"""A series is silent when it would have sold on 8 days since its last sale: by chance once in 3,000 times, e ** -8."""
_EDGES = np.array([112])
_USUAL_RATES = np.array([0.011, 0.005])
"""Returns a day of silent series, up to 112 days of silence and beyond: the 280 M5 series before 2014."""
_USUAL_DAYS = 200.0
"""Days of silence that the usual rates count as, beside those of the panel."""
_LEVEL_AFTER = 0.85
"""What a series sells in the four weeks from its return on, of what it sold before: the same series and days."""


@dataclass
class _State:
    """Of n series at the end of a day, (n,): days of silence, and what the 112 days before it brought.

    `before` is demand a day, `sale_share` the share of days with a sale.
    """

    silent_days: Array
    before: Array
    sale_share: Array

    @property
    def is_silent(self) -> Flags:
        return (self.silent_days >= _SILENT_DAYS) & (self.silent_days * self.sale_share >= _MISSED_SALES)

    @property
    def length(self) -> Days:
        """Number of the rate that holds for the silence."""
        return np.searchsorted(_EDGES, self.silent_days, side="right")


def expected_return(panel: Panel) -> Array:
    """Mean demand (n, H) of series that stopped selling; NaN for those that sell, or have only just stopped.

    A silent series comes back on any day with a probability that falls with the days of silence (a discrete hazard, as
    in a life table; Kalbfleisch & Prentice 2002, section 1.2.3), and sells then nearly what it sold in the 112 days
    before its last sale. The rates are those of all series of the panel, in which none counts for more than one return
    at a length, leaning on the usual ones.
    """
    state, rates = _learnt(panel.demand)
    chance = rates[state.length][:, None]
    back = 1 - (1 - chance) ** np.arange(1, panel.horizon + 1)
    mean = np.where(panel.future_is_open, _LEVEL_AFTER * state.before[:, None] * back, 0.0)
    return np.where(state.is_silent[:, None], mean, np.nan)


def _learnt(demand: Array) -> tuple[_State, Array]:
    """The state after the last day, and returns a day by length of silence, (lengths,)."""
    rows, shape = np.arange(len(demand)), (len(demand), len(_USUAL_RATES))
    at_risk, returns = np.zeros(shape), np.zeros(shape)
    state = _State(*np.zeros((3, len(demand))))
    for today in _days(demand, state):
        risk, length = state.is_silent & ~np.isnan(today), state.length
        came = risk & (today > 0)
        at_risk[rows[risk], length[risk]] += 1
        returns[rows[came], length[came]] += 1
    each = np.maximum(returns, 1.0)
    came_back = (returns / each).sum(axis=0) + _USUAL_RATES * _USUAL_DAYS
    return state, came_back / ((at_risk / each).sum(axis=0) + _USUAL_DAYS)


def _days(demand: Array, state: _State) -> Iterator[Array]:
    """Each day's demand, (n,); when it is asked for, `state` is that of the evening before."""
    units, sales, known = np.zeros((3, len(demand)))
    has_sold = np.zeros(len(demand), dtype=bool)
    for day in range(demand.shape[1]):
        today = demand[:, day]
        yield today
        for column, sign in ((day, 1), (day - _PAST_DAYS, -1)):
            if column >= 0:
                past = np.nan_to_num(demand[:, column])
                units += sign * past
                sales += sign * (past > 0)
                known += sign * ~np.isnan(demand[:, column])
        sold = today > 0
        has_sold |= sold
        state.before = np.where(sold, units / np.maximum(known, 1), state.before)
        state.sale_share = np.where(sold, sales / np.maximum(known, 1), state.sale_share)
        state.silent_days = np.where(sold, 0.0, state.silent_days + (has_sold & ~np.isnan(today)))
