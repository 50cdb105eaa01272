"""Demand behind sales that stock limited: which days are censored, and what would have been sold.

Arrays in, arrays out: one row a series, one column a day, days consecutive. Forecasting and the reading of
tables do not belong here.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammainc, gammaln

from retail_assets.arrays import Array
from retail_assets.demand.opening import USUAL_HOURS
from retail_assets.tables.gold import CENSORINGS

Codes = NDArray[np.int8]

NAMES = CENSORINGS
"""Text of each code in gold/demand_daily."""
WINDOW_DAYS = 56
_WEEKDAY_PRIOR_UNITS = 60.0
_PANEL_PRIOR_UNITS = 30.0
_EXPOSURE_PRIOR_UNITS = 10.0
_LEVEL_PRIOR_DAYS = 0.25
_MAX_DISPERSION = 4.0
_MOST_TIMES_SEEN = 3.0
"""Where most days of a window are lower bounds the likelihood hardly falls towards any demand whatsoever."""
_POISSON_BELOW = 1e-3
"""Dispersion × mean below which the variance counts as the mean."""
_STEP_DIGITS = 6
"""Digits of a number of steps: 0.3 / 0.1 is a little less than 3."""
_SETTLED_DAYS = 7
_ENOUGH_OBSERVED_DAYS = 14
_ITERATIONS = 15
_LEAST_EXPONENT = 0.05
_TOLERANCE = 5e-4
_KINDS = 3
"""Of days with known hours: empty at some hour, at the end by other than sales, at the end by its sales."""
_MOST_MISSING = 0.7


class Censoring(IntEnum):
    """Did stock limit the sales of a day? The value is the position in `NAMES`."""

    NONE = 0
    PARTIAL = 1
    FULL = 2
    UNKNOWN = 3


def censoring_of(
    on_hand_units: Array,
    sold_units: Array,
    *,
    previous_on_hand_units: Array | None = None,
    stock_out_hours: Array | None = None,
    trading_hours: float | Array = USUAL_HOURS,
) -> tuple[Codes, Array]:
    """Censoring code and available share of the day of every cell.

    The rule, first match first (all arrays of one shape, NaN = not known):

    1. no closing stock: `partial` if stock-out hours are known and positive, `none` if known to be 0, else `unknown`;
    2. units were sold although the stock was at or below 0 before and nothing came: the record is wrong, `unknown`;
    3. closing stock ≤ 0: `full`, sales are a lower bound, days that opened empty included;
    4. stock-out hours > 0: `partial`;
    5. otherwise `none`.

    The available share is 1 − stock-out hours / trading hours, 0 on a day that opened empty, stayed empty and
    sold nothing, 1 on uncensored days, NaN otherwise and where it would be 0 although something was sold.
    """
    closing = np.asarray(on_hand_units, dtype=float)
    sold = np.asarray(sold_units, dtype=float)
    before = np.full(closing.shape, np.nan) if previous_on_hand_units is None else np.asarray(previous_on_hand_units)
    hours = np.full(closing.shape, np.nan) if stock_out_hours is None else np.asarray(stock_out_hours, dtype=float)
    is_wrong = (before <= 0) & (sold > 0) & (closing <= before - sold)
    code = np.select(
        [np.isnan(closing) & (hours > 0), np.isnan(closing) & (hours <= 0), np.isnan(closing) | is_wrong]
        + [closing <= 0, hours > 0],
        [Censoring.PARTIAL, Censoring.NONE, Censoring.UNKNOWN, Censoring.FULL, Censoring.PARTIAL],
        default=Censoring.NONE,
    ).astype(np.int8)
    is_empty_all_day = (code == Censoring.FULL) & (before <= 0) & (sold == 0) & np.isnan(hours)
    available = np.clip(1 - hours / trading_hours, 0, 1)
    available = _believed(np.where(is_empty_all_day, 0.0, available), sold)
    return code, np.where((code == Censoring.NONE) & np.isnan(available), 1.0, available)


@dataclass(frozen=True, eq=False)
class TradingDays:
    """What is known of series on consecutive days, (series, days) each unless an attribute says otherwise.

    Args:
        sales: units sold; NaN where the store was closed or the feed is missing.
        censoring: codes of `Censoring`; `unknown` is taken as observed.
        weekday: ISO weekday 1 … 7 of each day, (days,).
        available_rate: share of the day with stock, NaN when not known.
        lift: what promotions make of usual demand on each day, as known on that day; 1 when None.
        unit_step: smallest step of each series' quantities, (series,): 0.1 for what is sold by 100 g; 1 when None.
        is_sold_out: days whose stock the sales themselves used up; all of censoring `full` when None.
    """

    sales: Array
    censoring: Codes
    weekday: NDArray[np.integer]
    available_rate: Array | None = None
    lift: Array | None = None
    unit_step: Array | None = None
    is_sold_out: NDArray[np.bool_] | None = None

    def of(self, series: NDArray[np.intp]) -> "TradingDays":
        """Those of some series."""
        return TradingDays(
            self.sales[series],
            self.censoring[series],
            self.weekday,
            available_rate=_taken(self.available_rate, series),
            lift=_taken(self.lift, series),
            unit_step=_taken(self.unit_step, series),
            is_sold_out=_taken(self.is_sold_out, series),
        )

    @property
    def is_limited(self) -> NDArray[np.bool_]:
        """Whether stock limited the sales of the day."""
        return np.isin(self.censoring, (Censoring.FULL, Censoring.PARTIAL))

    @property
    def available(self) -> Array:
        """The share of the day with stock, NaN where it is not known."""
        unknown = np.full(np.shape(self.sales), np.nan)
        return unknown if self.available_rate is None else np.asarray(self.available_rate, dtype=float)


def _taken(values: NDArray | None, series: NDArray[np.intp]) -> NDArray | None:
    return None if values is None else values[series]


def unconstrain(
    days: TradingDays, *, window_days: int = WINDOW_DAYS, dispersion: float | None = None, first_day: int = 0
) -> tuple[Array, Array]:
    """Estimated demand and its standard deviation, both (series, days from `first_day` on).

    Demand of a series, counted in its steps of quantity, is level × weekday pattern × lift, Poisson or negative
    binomial with variance mean + dispersion × mean², fitted by maximum likelihood to the trailing `window_days` up to
    the day itself, so no value depends on later days; the last week only counts while history is short
    (`_last_fitted`). A censored day counts as demand ≥ sales; where the available share of the day is known, as demand
    seen for that share. Weekday pattern and dispersion of a series lean on those of the other series censored on the
    same day, the less the more it sells.

    Args:
        dispersion: fixed dispersion, 0 for Poisson; estimated when None.
        first_day: first column wanted; those before are history only, and cost nothing.

    Returns:
        Demand in units (sales where observed, else E[D | D ≥ sales], at most three times the most that a day of the
        window sold; NaN where sales are, or where the window holds no information) and its sd.

    >>> sold = np.array([[4.0, 2.0, 5.0, 3.0, 5.0, 5.0, 1.0]])
    >>> week = TradingDays(sold, np.where(sold == 5, 2, 0).astype(np.int8), np.arange(1, 8))
    >>> units, sd = unconstrain(week, dispersion=0.0)
    >>> bool((units[sold == 5] > 5).all()), float(units[0, 0]), float(sd[0, 0])
    (True, 4.0, 0.0)
    >>> weighed = TradingDays(sold / 10, week.censoring, week.weekday, unit_step=np.array([0.1]))
    >>> bool(np.allclose(unconstrain(weighed, dispersion=0.0)[0], units / 10))
    True
    """
    sold, step = np.asarray(days.sales, dtype=float), _steps(days)
    units, sd = sold.copy(), np.where(np.isnan(sold), np.nan, 0.0)
    counted = _counted(days, step)
    row, day = np.nonzero(counted.limited)
    at = (row[day >= first_day], day[day >= first_day])
    if len(at[0]):
        mean, variance = _fit(_window(counted, at=at, length=window_days), dispersion)
        ceiling = _MOST_TIMES_SEEN * _most_sold(counted.sales / counted.lift, at=at, days=window_days)
        units[at] = np.maximum(np.minimum(mean, ceiling * counted.lift[at]) * step[at[0]], sold[at])
        sd[at] = np.sqrt(variance) * step[at[0]]
    return units[:, first_day:], sd[:, first_day:]


def _steps(days: TradingDays) -> Array:
    return np.ones(len(days.sales)) if days.unit_step is None else np.asarray(days.unit_step, dtype=float)


def _counted(days: TradingDays, step: Array) -> "_Days":
    """The days with sales counted in steps, and what is not known filled in."""
    sales = np.round(np.asarray(days.sales, dtype=float) / step[:, None], _STEP_DIGITS)
    available = _believed(days.available, sales)
    limited = days.is_limited & np.isfinite(sales) & ~(available >= 1)
    is_full = limited & (days.censoring == Censoring.FULL)
    return _Days(
        sales=sales,
        limited=limited,
        is_full=is_full,
        is_sold_out=is_full if days.is_sold_out is None else is_full & days.is_sold_out,
        lift=np.ones(sales.shape) if days.lift is None else np.asarray(days.lift, dtype=float),
        available=available,
        weekday=np.asarray(days.weekday),
    )


def _believed(available: Array, sold: Array) -> Array:
    """The available share, not known where units were sold although the hours say that there was never any stock.

    Real records do (FreshRetailNet-50K: one empty day in five sold something), and a share of 0 would make any
    demand whatsoever as likely as any other.
    """
    return np.where((available <= 0) & (sold > 0), np.nan, available)


_Cells = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class _Days:
    """What is known of every cell, (series, days) each; the weekdays are (days,)."""

    sales: Array
    limited: NDArray[np.bool_]
    is_full: NDArray[np.bool_]
    is_sold_out: NDArray[np.bool_]
    lift: Array
    available: Array
    weekday: NDArray[np.integer]

    @property
    def observed(self) -> NDArray[np.bool_]:
        return np.isfinite(self.sales) & ~self.limited


@dataclass(frozen=True)
class _Window:
    """Trailing windows of the censored cells: observed days summed by weekday, censored days as pairs.

    Of the observed days `count` sums the lifts, `count_square` their squares, `total` the sales, `cross` sales ×
    lift and `square` the squared sales. A pair joins a cell with one censored day of its window; the last pair of a
    cell is the cell itself. `pair_weight` is 1 on the days the parameters are fitted on and 0 on others.
    """

    day: NDArray[np.int64]
    count: Array
    count_square: Array
    total: Array
    cross: Array
    square: Array
    pair_weight: Array
    pair_cell: NDArray[np.int64]
    pair_weekday: NDArray[np.int64]
    pair_sales: Array
    pair_available: Array
    pair_lift: Array
    pair_is_full: NDArray[np.bool_]
    pair_is_sold_out: NDArray[np.bool_]
    last_pair: NDArray[np.int64]

    @property
    def size(self) -> int:
        return len(self.day)

    def by_weekday(self, values: Array) -> Array:
        """Sums of pair values, (cells, 7)."""
        key = self.pair_cell * 7 + self.pair_weekday
        sums = np.bincount(key, values * self.pair_weight, minlength=self.size * 7)
        return sums.reshape(self.size, 7).astype(np.float64)

    @cached_property
    def days(self) -> Array:
        """Days by weekday, observed and censored, each as often as its lift."""
        return self.count + self.by_weekday(self.pair_lift)

    def of_pairs(self, expected: Array) -> Array:
        """Expected demand (cells, 7) without lift, as that of each pair with its own."""
        return expected[self.pair_cell, self.pair_weekday] * self.pair_lift


def _window(days: _Days, *, at: _Cells, length: int) -> _Window:
    row, day = np.nonzero(days.limited)
    width = days.sales.shape[1]
    key = row * width + day
    first = np.searchsorted(key, at[0] * width + np.maximum(at[1] - length + 1, 0))
    pairs = np.searchsorted(key, at[0] * width + at[1]) - first + 1
    cell = np.repeat(np.arange(len(at[0])), pairs)
    source = np.arange(len(cell)) - np.repeat(np.cumsum(pairs) - pairs, pairs) + first[cell]
    last = _last_fitted(days.observed, at=at, days=length)
    span = (np.maximum(at[1] - length, -1), last)
    return _Window(
        day=at[1],
        **_observed_sums(days, row=at[0], span=span),
        pair_weight=(day[source] <= last[cell]).astype(float),
        pair_cell=cell,
        pair_weekday=days.weekday[day[source]].astype(np.int64) - 1,
        pair_sales=days.sales[row, day][source],
        pair_available=days.available[row, day][source],
        pair_lift=days.lift[row, day][source],
        pair_is_full=days.is_full[row, day][source],
        pair_is_sold_out=days.is_sold_out[row, day][source],
        last_pair=np.cumsum(pairs) - 1,
    )


def _most_sold(sales: Array, *, at: _Cells, days: int) -> Array:
    """Most units of one day in the trailing window of each cell."""
    from scipy.ndimage import maximum_filter1d

    size = min(days, sales.shape[1])
    filled = np.nan_to_num(sales, nan=0.0)
    most = maximum_filter1d(filled, size, axis=1, mode="constant", origin=(size - 1) // 2)
    return most[at].astype(np.float64)


def _last_fitted(observed: NDArray[np.bool_], *, at: _Cells, days: int) -> NDArray[np.int64]:
    """Last day each cell's parameters are fitted on: a week before the cell, or the cell where history is short.

    A stock-out follows days of high demand, and stock-outs choose the cells we look at: fitted on those days as well,
    level, pattern and dispersion come out high (simulated: 3.4 % instead of 1.6 % at 5 units a day).
    """
    running = np.pad(np.cumsum(observed, axis=1), ((0, 0), (1, 0)))
    row, day = at
    settled = np.maximum(day - _SETTLED_DAYS, -1)
    count = running[row, settled + 1] - running[row, np.minimum(np.maximum(day - days + 1, 0), settled + 1)]
    return np.where(count >= _ENOUGH_OBSERVED_DAYS, settled, day)


def _observed_sums(days: _Days, *, row: NDArray[np.int64], span: _Cells) -> dict[str, Array]:
    """Sums over the observed days after span[0] up to span[1] of each cell, (cells, 7), by field of `_Window`."""
    value, lift = np.where(days.observed, days.sales, 0.0), np.where(days.observed, days.lift, 0.0)
    terms = {"count": lift, "count_square": lift**2, "total": value, "cross": value * lift, "square": value**2}
    sums = {name: np.zeros((len(row), 7)) for name in terms}
    for number in range(7):
        columns = np.nonzero(days.weekday == number + 1)[0]
        stop = np.searchsorted(columns, span[1], side="right")
        start = np.searchsorted(columns, span[0], side="right")
        for name, term in terms.items():
            running = np.zeros((value.shape[0], len(columns) + 1))
            np.cumsum(term[:, columns], axis=1, out=running[:, 1:])
            sums[name][:, number] = running[row, stop] - running[row, start]
    return sums


def _fit(window: _Window, dispersion: float | None) -> tuple[Array, Array]:
    """Conditional mean and variance of the cells at the maximum of the likelihood, by safeguarded Newton steps.

    Each day stops by itself when its cells have settled, so that no day's values depend on which others are asked.
    """
    level, prior = _start(window)
    pattern, exposure = _Pattern(window.size), _Exposure(window)
    spread = np.full(window.size, dispersion or 0.0)
    group = np.unique(window.day, return_inverse=True)[1]
    moves = np.ones(window.size, dtype=bool)
    for _ in range(_ITERATIONS):
        expected = level[:, None] * pattern.factors
        moments = _conditional(window, expected, spread, seen=exposure.seen)
        step = _level_step(window, expected, spread=spread, moments=moments, anchors=(level, prior))
        if dispersion is None:
            spread = np.where(moves, _dispersion(window, expected, moments=moments, old=spread), spread)
        pattern.update(window, level=level, spread=spread, moments=moments, moves=moves)
        exposure.update(expected, spread=spread, moves=moves)
        level = np.where(moves, level * np.exp(step), level)
        furthest = np.zeros(group.max() + 1)
        np.maximum.at(furthest, group, np.abs(step))
        moves = moves & (furthest >= _TOLERANCE)[group]
        if not moves.any():
            break
    mean, variance = _conditional(window, level[:, None] * pattern.factors, spread, seen=exposure.seen)
    is_blind = prior <= 0
    last = window.last_pair
    return np.where(is_blind, np.nan, mean[last]), np.where(is_blind, np.nan, variance[last])


def _start(window: _Window) -> tuple[Array, Array]:
    """Mean of the uncensored days (of all days where there is none) and mean sales of the window, the weak prior.

    The prior is a quarter of a day: it only matters in windows with next to no observed day, where the likelihood
    alone would run to infinity.
    """
    seen = np.nan_to_num(window.pair_available, nan=1.0)
    informative = np.bincount(window.pair_cell, seen * window.pair_lift * window.pair_weight, minlength=window.size)
    sold = np.bincount(window.pair_cell, window.pair_sales * window.pair_weight, minlength=window.size)
    count, total = window.count.sum(axis=1), window.total.sum(axis=1)
    prior = (total + sold) / np.maximum(count + informative, 1e-9)
    has_observed = count > 0
    prior = np.where(has_observed & (prior <= 0), 1e-6, prior)
    start = np.where(total > 0, total / np.maximum(count, 1e-9), prior)
    return np.maximum(start, 1e-6), prior


def _conditional(window: _Window, mean: Array, spread: Array, *, seen: Array) -> tuple[Array, Array]:
    """Mean and variance of each pair's demand given what was sold and the share of demand that was seen."""
    expected = window.of_pairs(mean)
    phi = spread[window.pair_cell]
    sold, share = window.pair_sales, seen
    is_timed = np.isfinite(share)
    first, second = np.empty_like(sold), np.empty_like(sold)
    first[is_timed], second[is_timed] = _rest_of_day(
        expected[is_timed], phi[is_timed], sold=sold[is_timed], share=share[is_timed]
    )
    open_ended = ~is_timed
    first[open_ended], second[open_ended] = _above(expected[open_ended], phi[open_ended], sold=sold[open_ended])
    return first, second


def _rest_of_day(mean: Array, phi: Array, *, sold: Array, share: Array) -> tuple[Array, Array]:
    """Demand when the day was seen for a share: sales plus the rest at the rate that share suggests.

    The likelihood of a Poisson process seen for a share of the day is the same whether the share was fixed or ended
    when stock ran out; with overdispersion the day's gamma factor is updated by what was sold.
    """
    rest = mean * (1 - share)
    factor = (1 + phi * sold) / (1 + phi * mean * share)
    return sold + rest * factor, rest * factor + rest**2 * phi * factor / (1 + phi * mean * share)


def _above(mean: Array, phi: Array, *, sold: Array) -> tuple[Array, Array]:
    """E[D | D ≥ s] and Var[D | D ≥ s], Poisson or negative binomial, in closed form.

    From d·f(d) = q(d − 1 + r)·f(d − 1): E[D | D ≥ s] = μ + s(1 + φμ)·f(s)/P(D ≥ s), and likewise for D².
    """
    hazard = np.empty_like(mean)
    is_poisson = phi * np.maximum(mean, 1.0) < _POISSON_BELOW
    hazard[is_poisson] = _poisson_hazard(mean[is_poisson], sold[is_poisson])
    other = ~is_poisson
    hazard[other] = _negative_binomial_hazard(mean[other], phi[other], sold=sold[other])
    phi = np.where(is_poisson, 0.0, phi)
    inverse = 1 + phi * mean
    first = np.maximum(mean + sold * inverse * hazard, sold)
    second = mean * ((1 + phi) * first + 1) + inverse * sold**2 * hazard
    return first, np.maximum(second - first**2, 0.0)


def _poisson_hazard(mean: Array, sold: Array) -> Array:
    """f(s)/P(D ≥ s); the tail is the regularised incomplete gamma function."""
    log_mass = sold * np.log(mean) - mean - gammaln(sold + 1)
    return _ratio(log_mass, np.where(sold > 0, gammainc(np.maximum(sold, 1e-9), mean), 1.0), limit=1.0)


def _negative_binomial_hazard(mean: Array, phi: Array, *, sold: Array) -> Array:
    size = 1 / phi
    odds = mean * phi
    log_q, log_p = np.log(odds) - np.log1p(odds), -np.log1p(odds)
    positive = np.maximum(sold, 1e-9)
    log_mass = sold * log_q + size * log_p - betaln(positive, size) - np.log(positive)
    log_mass = np.where(sold > 0, log_mass, size * log_p)
    tail = np.where(sold > 0, betainc(positive, size, odds / (1 + odds)), 1.0)
    return _ratio(log_mass, tail, limit=1.0)


def _ratio(log_mass: Array, tail: Array, *, limit: float) -> Array:
    """Mass over tail; far out, where the tail underflows, nearly all of it is the mass itself."""
    safe = tail > 1e-290
    ratio = np.exp(np.minimum(log_mass - np.log(np.where(safe, tail, 1.0)), 0.0))
    return np.where(safe, ratio, limit)


def _level_step(
    window: _Window, expected: Array, *, spread: Array, moments: tuple[Array, Array], anchors: tuple[Array, Array]
) -> Array:
    """Newton step of the log level; the score is Σ v(E[D] − μ) with v = 1/(1 + φμ)."""
    mean, variance = moments
    level, prior = anchors
    weight = 1 / (1 + spread[:, None] * expected)
    gap = window.total + window.by_weekday(mean) - window.days * expected
    anchor = _LEVEL_PRIOR_DAYS / (1 + spread * level)
    score = (weight * gap).sum(axis=1) + anchor * (prior - level)
    full = (weight * window.days * expected).sum(axis=1) + anchor * level
    known = full - (weight**2 * window.by_weekday(variance)).sum(axis=1)
    return np.clip(score / np.maximum(known, 0.05 * full), -1.0, 1.0)


class _Pattern:
    """Weekday factors with mean 1: each series leans on the panel of its day, the panel on a flat week."""

    def __init__(self, size: int) -> None:
        self.factors = np.ones((size, 7))
        self._panel = np.ones((1, 7))

    def update(
        self,
        window: _Window,
        *,
        level: Array,
        spread: Array,
        moments: tuple[Array, Array],
        moves: NDArray[np.bool_],
    ) -> None:
        weight = (1 / (1 + spread * level))[:, None]
        mean, variance = moments
        demand = (window.total + window.by_weekday(mean)) * weight
        seen = window.days * level[:, None] * weight
        guessed = window.by_weekday(variance) * weight**2
        self._panel, group = self._pooled(window.day, demand, seen, guessed)
        target = (demand + _WEEKDAY_PRIOR_UNITS * self._panel[group]) / (seen + _WEEKDAY_PRIOR_UNITS)
        factors = _relaxed(self.factors, target, guessed=guessed, full=seen + _WEEKDAY_PRIOR_UNITS)
        self.factors = np.where(moves[:, None], factors, self.factors)

    def _pooled(self, day: NDArray[np.int64], *sums: Array) -> tuple[Array, NDArray[np.int64]]:
        days, group = np.unique(day, return_inverse=True)
        demand, seen, guessed = (_grouped(values, group, size=len(days)) for values in sums)
        target = (demand + _PANEL_PRIOR_UNITS) / (seen + _PANEL_PRIOR_UNITS)
        old = np.broadcast_to(self._panel, target.shape)
        return _relaxed(old, target, guessed=guessed, full=seen + _PANEL_PRIOR_UNITS), group


class _Exposure:
    """The share of a day's demand that a share of its hours shows: hours ** γ, one γ for all cells and kind of a day.

    Customers do not come evenly and stock runs out late: on FreshRetailNet-50K days with half of their hours empty sold
    0.9 of a full day, and taking hours for demand put the level 24 % too high. γ is fitted by maximum likelihood from
    an even day (γ = 1). Where a day ended because its sales used up the stock, the moment itself tells of γ: the
    density of the last sale is γ·t^(γ − 1), which adds 1/γ to the score; without it fast days, which are the ones that
    sell out, would read as days whose demand comes early. A moment that sales did not choose (goods taken off the
    shelf) tells nothing, and counted all the same it put demand 18 % too high. Days empty at some hour lose other hours
    than days empty at their end, so each of the three kinds has a γ of its own.
    """

    def __init__(self, window: _Window) -> None:
        self._window = window
        share = window.pair_available
        self._timed = np.nonzero((share > 0) & (share < 1))[0]
        day = np.unique(window.day, return_inverse=True)[1][window.pair_cell[self._timed]]
        kind = window.pair_is_full[self._timed].astype(int) + window.pair_is_sold_out[self._timed]
        self._group = _KINDS * day + kind
        self._exponent = np.ones(_KINDS * len(np.unique(window.day)))
        self._log = np.log(share[self._timed])
        self._stops = window.pair_is_sold_out[self._timed].astype(float)
        self.seen = share.copy()

    def update(self, expected: Array, *, spread: Array, moves: NDArray[np.bool_]) -> None:
        """One Newton step of the exponents whose cells still move."""
        window, timed, group, size = self._window, self._timed, self._group, len(self._exponent)
        cell = window.pair_cell[timed]
        mean = window.of_pairs(expected)[timed] * self.seen[timed]
        weight = window.pair_weight[timed] / (1 + spread[cell] * mean)
        gap = window.pair_sales[timed] - mean
        stops = np.bincount(group, self._stops * window.pair_weight[timed], minlength=size)
        score = np.bincount(group, weight * self._log * gap, minlength=size) + stops / self._exponent
        known = np.bincount(group, weight * self._log**2 * mean, minlength=size) + stops / self._exponent**2
        step = (score + _EXPOSURE_PRIOR_UNITS * (1 - self._exponent)) / (known + _EXPOSURE_PRIOR_UNITS)
        moved = np.clip(self._exponent + np.clip(step, -0.5, 0.5), _LEAST_EXPONENT, 2.0)
        moving = np.zeros(size, dtype=bool)
        moving[group[moves[cell]]] = True
        self._exponent = np.where(moving, moved, self._exponent)
        self.seen[timed] = np.exp(self._log * self._exponent[group])


def _grouped(values: Array, group: NDArray[np.int64], *, size: int) -> Array:
    sums = [np.bincount(group, values[:, number], minlength=size) for number in range(7)]
    return np.stack(sums, axis=1).astype(np.float64)


def _relaxed(old: Array, target: Array, *, guessed: Array, full: Array) -> Array:
    """The EM step from old to target, lengthened by the share of information that is missing, mean 1."""
    missing = np.clip(guessed / np.maximum(full * old, 1e-9), 0.0, _MOST_MISSING)
    step = np.log(target / target.mean(axis=1, keepdims=True) / old) / (1 - missing)
    moved = old * np.exp(np.clip(step, -0.3, 0.3))
    return moved / moved.mean(axis=1, keepdims=True)


def _dispersion(window: _Window, expected: Array, *, moments: tuple[Array, Array], old: Array) -> Array:
    """Excess variance over mean², from observed days and the conditional moments of the censored ones.

    Uncensored days alone would understate it: stock cuts off the high ones. A series leans on the panel of its day
    in proportion to how little its own window says.
    """
    mean, variance = moments
    pair_mean = window.of_pairs(expected)
    spread_of_pairs = window.by_weekday(variance + (mean - pair_mean) ** 2)
    squares = window.square - 2 * expected * window.cross + window.count_square * expected**2 + spread_of_pairs
    lifted_squares = (window.count_square + window.by_weekday(window.pair_lift**2)) * expected**2
    number = np.maximum(window.days.sum(axis=1), 1)
    freedom = np.maximum(number - _parameters(expected, days=window.days, spread=old), 1) / number
    excess = squares.sum(axis=1) / freedom - (window.days * expected).sum(axis=1)
    scale = np.maximum(lifted_squares.sum(axis=1), 1e-9)
    group = np.unique(window.day, return_inverse=True)[1]
    pooled = np.clip(np.bincount(group, excess) / np.bincount(group, scale), 0, _MAX_DISPERSION)[group]
    own = np.clip(excess / scale, 0, _MAX_DISPERSION)
    noise = 2 * (1 + pooled * expected.mean(axis=1)) ** 2 / scale
    prior = np.maximum(pooled, 0.05) ** 2
    return pooled + prior / (prior + noise) * (own - pooled)


def _parameters(expected: Array, *, days: Array, spread: Array) -> Array:
    """Parameters a window really fits: the level and the part of six weekday factors its own sales decide."""
    information = days * expected / (1 + spread[:, None] * expected)
    return 1 + 6 * (information / (information + _WEEKDAY_PRIOR_UNITS)).mean(axis=1)
