"""Who competes to forecast a segment: simple methods, fitted families, means of families, series scaled to totals.

A new contender has its mathematics in a module beside this one (a simple method of one series in `BASELINES` of
baselines.py), an entry in a table here, and a place in `SIMPLEST_FIRST`. `tournament` scores and chooses them.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from retail_assets.demand.effects.known_effects import NO_EFFECTS, KnownEffects, known_effects
from retail_assets.demand.effects.phase_out import most_expected
from retail_assets.demand.effects.silence import expected_return
from retail_assets.demand.models.baselines import BASELINES, seasonal_naive
from retail_assets.demand.models.features import FeatureSource
from retail_assets.demand.models.global_model import Boosting, GlobalModel, fit_global, load_global, shards
from retail_assets.demand.models.pooled_regression import (
    fit_pooled_histogram,
    fit_pooled_linear,
    load_pooled_histogram,
    load_pooled_linear,
)
from retail_assets.demand.models.recursive import fit_recursive, load_recursive
from retail_assets.demand.models.store_calendar import CALENDAR_DAYS
from retail_assets.demand.panel import Panel
from retail_assets.demand.totals.aggregate import TOTALS_DAYS, AggregateModel, nudge
from retail_assets.tables.forecast import NAIVE

UNSCORED = "moving_mean"
GLOBAL, RECURSIVE = "lightgbm", "lightgbm_recursive"
_LOG = logging.getLogger(__name__)


Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Results of a function on each of some parts, in their order, as `map` gives them."""


class Fitted(Protocol):
    """A family fitted on a panel, which forecasts any later one."""

    def predict(self, panel: Panel) -> np.ndarray:
        """Mean demand of the coming days, (n, H)."""
        ...

    def save(self, folder: Path) -> None:
        """Writes text, JSON or Parquet into an existing folder."""
        ...


@dataclass(frozen=True)
class Family:
    """How a family is fitted and read back.

    A family that is `refused` for a measured reason (docs/forecasting.md) is fitted by bench/forecast_m5.py only, and
    named in every training.
    """

    fit: Callable[[Panel, Boosting], Fitted]
    load: Callable[[Path], Fitted]
    refused: str = ""


FAMILIES: dict[str, Family] = {
    GLOBAL: Family(fit_global, load_global),
    RECURSIVE: Family(
        fit_recursive,
        load_recursive,
        refused="ties with lightgbm on M5, also in their mean, at three times the cost",
    ),
    "pooled_linear": Family(fit_pooled_linear, load_pooled_linear, refused="loses to lightgbm on M5"),
    "pooled_histogram": Family(
        fit_pooled_histogram,
        load_pooled_histogram,
        refused="ties with lightgbm on M5 and takes several times as long to fit",
    ),
}
BLENDS: dict[str, tuple[str, ...]] = {"lightgbm_mean": (GLOBAL, RECURSIVE)}
"""The mean of several families."""
PULLED: dict[str, str] = {"lightgbm_pulled": GLOBAL, "lightgbm_mean_pulled": "lightgbm_mean"}
"""Another contender, moved towards the forecast totals of departments."""
YARDSTICKS = (NAIVE, UNSCORED)
"""They forecast demand as it was, the others plain demand times what promotions and launches are known to do, and
hardly anything where a product is on its way out."""
SINGLE = (*BASELINES, *FAMILIES, *BLENDS, *PULLED)
SIMPLEST_FIRST = (
    NAIVE,
    UNSCORED,
    "croston",
    "sba",
    "tsb",
    "adida",
    "imapa",
    "seasonal_smoothing",
    "ets",
    "theta",
    "store_calendar_tsb",
    "pooled_linear",
    GLOBAL,
    "pooled_histogram",
    RECURSIVE,
    *BLENDS,
    *PULLED,
)
"""Every contender: averages, methods of one series, one with its store's calendar, models of all series, what is made
of several of these. Of those that tie the first serves."""


NEEDED_DAYS = {"store_calendar_tsb": CALENDAR_DAYS, **dict.fromkeys(PULLED, TOTALS_DAYS)}
"""Days of history below which a contender is its plain form under another name."""


def families_of(names: Iterable[str]) -> tuple[str, ...]:
    """The fitted families that `names` are made of."""
    found: set[str] = set()
    for name in names:
        base = PULLED.get(name, name)
        found |= set(BLENDS.get(base, (base,)))
    return tuple(name for name in FAMILIES if name in found)


@dataclass
class Means:
    """Mean demand (n, H) by contender, which series of each contender failed (n,), and why; effects that are in it."""

    by_name: dict[str, np.ndarray] = field(default_factory=dict)
    has_failed: dict[str, np.ndarray] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    effects: KnownEffects = NO_EFFECTS

    def note(self, failure: str) -> None:
        _LOG.warning(failure)
        self.failures.append(failure)


@dataclass(frozen=True, eq=False)
class _Silence:
    """What is known of series that stopped selling: a ceiling (n, 1), and what returns bring (n, H), NaN for others."""

    ceiling: np.ndarray
    returning: np.ndarray

    def applied(self, mean: np.ndarray) -> np.ndarray:
        """Means (n, H); failed ones stay NaN."""
        return np.where(np.isnan(self.returning) | np.isnan(mean), np.minimum(mean, self.ceiling), self.returning)


def contender_means(
    panel: Panel,
    names: Iterable[str],
    *,
    fitted: Mapping[str, Fitted],
    aggregate: AggregateModel | None,
    in_parts: Mapper = map,
) -> Means:
    """Forecasts by every contender in `names`; where one fails the seasonal naive stands in and is counted.

    `in_parts` maps a function over the shards of the panel, in order, here or in other processes.
    """
    wanted, means = tuple(dict.fromkeys(names)), Means()
    naive = seasonal_naive(panel)
    effects = means.effects = _effects(panel, means)
    plain, bounds = effects.without(panel), _Silence(most_expected(panel)[:, None], expected_return(panel))
    for name in wanted:
        if name in YARDSTICKS:
            _add(means, name, _guarded(means, name, lambda name=name: BASELINES[name](panel), naive), naive=naive)
        elif name in BASELINES:
            mean = _guarded(means, name, lambda name=name: BASELINES[name](plain), naive)
            _add(means, name, bounds.applied(effects.applied(mean)), naive=naive)
    for name in families_of(wanted):
        mean = _family_mean(plain, name, fitted, means, in_parts=in_parts)
        _add(means, name, bounds.applied(effects.applied(mean)), naive=naive)
    for name in _blends_of(wanted):
        _add_blend(means, name)
    for name in wanted:
        if name in PULLED:
            _add_pulled(means, name, panel, aggregate, naive=naive)
    return means


def fit_family(name: str, panel: Panel, boosting: Boosting) -> Fitted:
    """Fits a family on plain demand, as `contender_means` will use it."""
    return FAMILIES[name].fit(known_effects(panel).without(panel), boosting)


def _effects(panel: Panel, means: Means) -> KnownEffects:
    try:
        return known_effects(panel)
    except Exception as error:
        means.note(f"the effects of promotions and launches could not be estimated: {error}")
        return NO_EFFECTS


def _blends_of(names: Iterable[str]) -> list[str]:
    bases = {PULLED.get(name, name) for name in names}
    return [name for name in BLENDS if name in bases]


def _guarded(means: Means, name: str, make: Callable[[], np.ndarray], naive: np.ndarray) -> np.ndarray:
    try:
        return make()
    except Exception as error:
        means.note(f"{name} failed for all {len(naive)} series: {error}")
        return np.full(naive.shape, np.nan)


def _add(means: Means, name: str, mean: np.ndarray, *, naive: np.ndarray) -> None:
    failed = np.isfinite(mean).min(axis=1) == 0
    means.by_name[name] = np.where(failed[:, None], naive, mean)
    means.has_failed[name] = failed


def _family_mean(
    panel: Panel, name: str, fitted: Mapping[str, Fitted], means: Means, *, in_parts: Mapper
) -> np.ndarray:
    """NaN in the rows of a shard that fails."""
    mean = np.full((panel.series_count, panel.horizon), np.nan)
    try:
        model = fitted[name]
        if not isinstance(model, GlobalModel):
            return model.predict(panel)
        parts = model.parts(panel)
    except Exception as error:
        means.note(f"{name} failed for all {panel.series_count} series: {error}")
        return mean
    for rows, found in zip(shards(panel.series_count), in_parts(partial(_attempted, model), parts), strict=True):
        if isinstance(found, str):
            means.note(f"{name} failed for {len(rows)} series: {found}")
        else:
            mean[rows] = found
    return mean


def _attempted(model: GlobalModel, part: FeatureSource) -> np.ndarray | str:
    """The forecast of a shard, or why there is none: a failure in another process must not end the others."""
    try:
        return model.predict_part(part)
    except Exception as error:
        return str(error)


def _add_blend(means: Means, name: str) -> None:
    parts = BLENDS[name]
    means.by_name[name] = np.mean([means.by_name[part] for part in parts], axis=0)
    means.has_failed[name] = np.stack([means.has_failed[part] for part in parts]).max(axis=0)


def _add_pulled(means: Means, name: str, panel: Panel, aggregate: AggregateModel | None, *, naive: np.ndarray) -> None:
    base = PULLED[name]
    mean = np.full(naive.shape, np.nan)
    if aggregate is not None:
        mean = _guarded(means, name, lambda: nudge(means.by_name[base], panel, aggregate), naive)
    _add(means, name, mean, naive=naive)
    means.has_failed[name] |= means.has_failed[base]
