"""Forecasts that need no training: the yardsticks of the tournament and what everything falls back to.

Each takes a panel and returns the mean demand of its coming days, (n, H), finite and not negative, 0 on
closed days; `BASELINES` names them all. Recursions on bare arrays belong in `intermittent` and `smoothing`, what
is fitted and stored in `global_model` or `aggregate`.
"""

import numpy as np
import pandas as pd

from retail_assets.demand.models import intermittent, smoothing
from retail_assets.demand.models.store_calendar import store_calendar_index
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import within_reach
from retail_assets.tables.forecast import NAIVE

WEEK = 7
_LEVEL_SMOOTHING = 0.03
_WEEKDAY_WEEKS = 26
_PRICE_BANDS = 3


def seasonal_naive(panel: Panel) -> np.ndarray:
    """The last observed value of the same weekday."""
    history = panel.demand[:, -8 * WEEK :]
    last = np.full((panel.series_count, WEEK), np.nan)
    for back in range(history.shape[1], 0, -1):
        slot = (-back) % WEEK
        value = history[:, -back]
        last[:, slot] = np.where(np.isnan(value), last[:, slot], value)
    return _finished(panel, last[:, np.arange(panel.horizon) % WEEK])


def moving_mean(panel: Panel, days: int = 28) -> np.ndarray:
    """The mean of the last `days` observed days, flat."""
    return _flat(panel, _mean(panel.demand[:, -days:]))


def croston(panel: Panel) -> np.ndarray:
    """Croston (1972): smoothed size over smoothed interval, flat."""
    return _flat(panel, intermittent.croston(panel.demand))


def sba(panel: Panel) -> np.ndarray:
    """Syntetos & Boylan (2005): Croston without its bias, flat."""
    return _flat(panel, intermittent.sba(panel.demand))


def tsb(panel: Panel, smoothing: float = intermittent.TSB_SMOOTHING) -> np.ndarray:
    """Teunter, Syntetos & Babai (2011): probability of demand, which fades without sales, times size, flat."""
    return _flat(panel, intermittent.tsb(panel.demand, smoothing=smoothing))


def adida(panel: Panel) -> np.ndarray:
    """Nikolopoulos et al. (2011): smoothed sums over the mean interval between sales, flat."""
    return _flat(panel, intermittent.adida(panel.demand))


def imapa(panel: Panel) -> np.ndarray:
    """Petropoulos & Kourentzes (2015): the mean over sums of one day to the longest interval, flat."""
    return _flat(panel, intermittent.imapa(panel.demand))


def store_calendar_tsb(panel: Panel) -> np.ndarray:
    """The level by TSB on every day times what the calendar does to the store."""
    level = intermittent.tsb(panel.demand)
    return _finished(panel, level[:, None] * store_calendar_index(panel))


def ets(panel: Panel) -> np.ndarray:
    """Exponential smoothing in the form that suits each series: level, weekday, damped trend."""
    return _finished(panel, smoothing.ets(panel.demand, panel.horizon))


def theta(panel: Panel) -> np.ndarray:
    """Assimakopoulos & Nikolopoulos (2000): half the trend on a smoothed level, times the weekday if it shows."""
    return _finished(panel, smoothing.theta(panel.demand, panel.horizon))


def seasonal_smoothing(panel: Panel) -> np.ndarray:
    """A smoothed level times a weekday profile that leans on the store and department where the series is thin."""
    level = smoothed_level(panel)
    profile = weekday_profile(panel)
    weekday = (panel.day_count + np.arange(panel.horizon)) % WEEK
    return _finished(panel, level[:, None] * profile[:, weekday])


def smoothed_level(panel: Panel, smoothing: float = _LEVEL_SMOOTHING, days: int = 224) -> np.ndarray:
    """Exponentially weighted mean of observed days, (n,); NaN without any."""
    history = panel.demand[:, -days:]
    weight = (1 - smoothing) ** np.arange(history.shape[1] - 1, -1, -1)
    return _ratio(np.nan_to_num(history) @ weight, (~np.isnan(history)) @ weight)


def weekday_profile(panel: Panel, prior_weeks: float = 8.0) -> np.ndarray:
    """Demand of each weekday slot (day number modulo 7) over the mean, (n, 7), shrunk to store and department."""
    days = min(_WEEKDAY_WEEKS * WEEK, panel.day_count)
    history = panel.demand[:, -days:]
    slot = (panel.day_count - days + np.arange(days)) % WEEK
    hot = (slot[:, None] == np.arange(WEEK)).astype(float)
    total, count = np.nan_to_num(history) @ hot, (~np.isnan(history)) @ hot
    group = group_codes(panel.series, ["store_id", "department"])
    usual = np.nan_to_num(within_reach(_ratio(total, count), group))
    pooled = _shares(_summed(usual * count, group), _summed(count, group))[group]
    level = _ratio(total.sum(axis=1), count.sum(axis=1))[:, None]
    prior = prior_weeks
    expected = np.nan_to_num(level)
    shrunk = _ratio(total + prior * pooled * expected, (count + prior) * expected)
    return np.where(np.isfinite(shrunk), shrunk, pooled)


def _shares(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    mean = _ratio(total, count)
    shares = _ratio(mean, np.nan_to_num(_mean(mean))[:, None])
    return np.where(np.isfinite(shares), shares, 1.0)


def group_codes(series: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Number of each series' group, ascending by name, from 0."""
    return series.groupby(columns, sort=True).ngroup().to_numpy()


def _summed(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    out = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(out, group, values)
    return out


def borrowed_level(panel: Panel) -> np.ndarray:
    """Recent mean demand a day of series like each one, (n,)."""
    return like_level(panel.demand[:, -28:], panel.price[:, panel.day_count - 1], panel.series["department"].to_numpy())


def like_level(recent: np.ndarray, price: np.ndarray, department: np.ndarray) -> np.ndarray:
    """Mean of recent demand over the same department and price band, else the department, else everything, (n,).

    No series has the say in a mean: the highest and lowest count as the next ones (`pooling.within_reach`).
    """
    frame = pd.DataFrame({"department": department, "level": _mean(recent)})
    rank = pd.Series(price).groupby(frame["department"]).rank(pct=True)
    frame["band"] = np.ceil(rank.fillna(0.5) * _PRICE_BANDS)
    like = _mean_of_like(frame, ["department", "band"]).fillna(_mean_of_like(frame, ["department"]))
    return like.fillna(_mean_of_like(frame.assign(all=0), ["all"])).fillna(0.0).to_numpy()


def _mean_of_like(frame: pd.DataFrame, columns: list[str]) -> pd.Series:
    group = frame.groupby(columns, dropna=False).ngroup()
    level = pd.Series(within_reach(frame["level"].to_numpy(dtype=float), group.to_numpy()), index=frame.index)
    return pd.Series(level.groupby(group).transform("mean"))


def _flat(panel: Panel, level: np.ndarray) -> np.ndarray:
    return _finished(panel, np.repeat(level[:, None], panel.horizon, axis=1))


def _finished(panel: Panel, mean: np.ndarray) -> np.ndarray:
    """Fills what a series without history leaves empty from like series; closed days are 0."""
    if np.isnan(mean).any():
        weekday = (panel.day_count + np.arange(panel.horizon)) % WEEK
        like = borrowed_level(panel)[:, None] * weekday_profile(panel)[:, weekday]
        own = smoothed_level(panel)[:, None]
        mean = np.where(np.isnan(mean), np.where(np.isnan(own), like, own), mean)
    return np.where(panel.future_is_open, np.maximum(mean, 0.0), 0.0)


def _mean(values: np.ndarray) -> np.ndarray:
    seen = ~np.isnan(values)
    return _ratio(np.where(seen, values, 0.0).sum(axis=1), seen.sum(axis=1))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    bottom = np.broadcast_to(bottom, np.broadcast_shapes(np.shape(top), np.shape(bottom)))
    return np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)


BASELINES = {
    NAIVE: seasonal_naive,
    "moving_mean": moving_mean,
    "tsb": tsb,
    "seasonal_smoothing": seasonal_smoothing,
    "croston": croston,
    "sba": sba,
    "adida": adida,
    "imapa": imapa,
    "ets": ets,
    "theta": theta,
    "store_calendar_tsb": store_calendar_tsb,
}
