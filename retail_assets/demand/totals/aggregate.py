"""Which model forecasts the totals of each level, how far the series move towards it, and the rows of the hierarchy.

Everything that costs is fitted, judged and stored by `fit_aggregate`; on the day of a forecast the stored fits only
run over the newest days. Single models of a total belong in `group_models`, sums and reconciliation in `hierarchy`.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

from retail_assets.demand.calibration.backtest import Contender
from retail_assets.demand.metrics import bias, rmsse_scale, series_rmsse
from retail_assets.demand.models.baselines import seasonal_naive, seasonal_smoothing
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import ordinary_days, shared_ratio
from retail_assets.demand.totals.group_models import MODELS, Fit, Order, fitted, forecast, searched_order
from retail_assets.demand.totals.group_series import CalendarRegressors, GroupSeries, group_series
from retail_assets.demand.totals.hierarchy import (
    BY_NAME,
    LEVELS,
    HierarchyLevel,
    Target,
    coherent,
    groups_of,
    reconciled,
)
from retail_assets.tables.forecast import BOTTOM_UP, HIERARCHY_QUANTILES, MEAN_OF_BEST

AGGREGATE_FILE = "aggregate_models.json"
ORIGINS = 3
RECONCILED_LEVELS = ("department",)
PULL_MODELS = ("ets_effects", "regression", "arima")
STRENGTH = 1 / 3
"""Series move a third of the way, in logs, to the plain mean of three unlike models of their department: a model chosen
anew each time moved them worse (docs/forecasting.md)."""
TOTALS_DAYS = 56
_COSTLY = {"arma": 0, "arima": 1}
_COSTLY_GROUPS = {True: 40, False: 1}
"""Groups of a level up to which ARIMA competes, by whether series are reconciled towards the level."""
_BEST_COUNT = 3
_PRIOR_ERRORS = 28
_GUESSED_SPREAD = 0.25
_PROBABILITIES = np.array(list(HIERARCHY_QUANTILES.values()))
_PULLED = tuple(BY_NAME[name] for name in RECONCILED_LEVELS)
_COLUMNS = ("region", "store_id", "category", "department")
# The matrices of an ARIMA are tiny: threads that wait for each other made fitting three times as slow.
_ONE_THREAD = threadpool_limits.wrap(limits=1)
_LOG = logging.getLogger(__name__)
Series = dict[str, list[GroupSeries]]


@dataclass(frozen=True)
class Score:
    """What a model reached on the backtest: mean RMSSE over groups and origins, and bias of the level's sum."""

    rmsse: float
    bias: float

    @property
    def cost(self) -> float:
        """A total that is off in one direction is off for every order: each point of bias costs a per cent."""
        return self.rmsse * (1 + abs(self.bias))


@dataclass(frozen=True)
class Spread:
    """How far coherent forecasts of a level were off: `scale` of a group's relative error, `quantiles` in units of it.

    `level_scale` serves groups that the backtest did not know.
    """

    level_scale: float = _GUESSED_SPREAD
    scale: dict[str, float] = field(default_factory=dict)
    quantiles: tuple[float, ...] = tuple(float(value) for value in ndtri(_PROBABILITIES))


@dataclass(frozen=True)
class LevelModel:
    """One level: `chosen` did best in the backtest; it is bottom_up where sums of the series did.

    `fits` holds, by group, the fits whose mean the chosen model is, `pull_fits` those the series must sum to;
    a group that could not be fitted is in neither.
    """

    level: str
    chosen: str
    scores: dict[str, Score]
    fits: dict[str, tuple[Fit, ...]]
    pull_fits: dict[str, tuple[Fit, ...]]
    spread: Spread


@dataclass(frozen=True)
class AggregateModel:
    """All levels, top down; `failures` says which groups have no model of their own and why."""

    levels: tuple[LevelModel, ...]
    calendar: CalendarRegressors
    failures: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """Level and name of every group that has a model of its own."""
        return tuple((level.level, name) for level in self.levels for name in level.fits | level.pull_fits)

    def level(self, name: str) -> LevelModel | None:
        return next((level for level in self.levels if level.level == name), None)

    def save(self, folder: Path) -> None:
        (folder / AGGREGATE_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


def load_aggregate(folder: Path) -> AggregateModel:
    """Reads what `AggregateModel.save` wrote."""
    read = json.loads((folder / AGGREGATE_FILE).read_text(encoding="utf-8"))
    calendar = CalendarRegressors(tuple(read["calendar"]["event_types"]), read["calendar"]["is_yearly"])
    return AggregateModel(tuple(_read_level(level) for level in read["levels"]), calendar, tuple(read["failures"]))


def _read_level(read: dict) -> LevelModel:
    spread = read["spread"]
    return LevelModel(
        level=read["level"],
        chosen=read["chosen"],
        scores={name: Score(**score) for name, score in read["scores"].items()},
        fits=_read_fits(read["fits"]),
        pull_fits=_read_fits(read["pull_fits"]),
        spread=Spread(spread["level_scale"], spread["scale"], tuple(spread["quantiles"])),
    )


def _read_fits(read: dict) -> dict[str, tuple[Fit, ...]]:
    return {name: tuple(_read_fit(fit) for fit in fits) for name, fits in read.items()}


def _read_fit(read: dict) -> Fit:
    order = (read["order"][0], read["order"][1], read["order"][2])
    return Fit(read["model"], read["unit"], tuple(read["effects"]), order, tuple(read["params"]), read["variance"])


@dataclass(frozen=True, eq=False)
class _Fold:
    """One past origin: what a model could see, the sums of the bottom forecast and what came, by level."""

    panel: Panel
    bottom: np.ndarray
    series: Series
    actual: dict[str, np.ndarray]
    means: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


@_ONE_THREAD
def fit_aggregate(
    panel: Panel,
    *,
    bottom: Contender = seasonal_smoothing,
    models: Sequence[str] = tuple(MODELS),
    origins: int = ORIGINS,
) -> AggregateModel:
    """Lets the models of totals compete at each level on the panel's last months, and fits the best on everything.

    Args:
        panel: demand and what is known ahead.
        bottom: forecast of the series at a past origin; fitted before the oldest of them, or its sums look too good.
        models: names in `MODELS` that may compete.
        origins: how many horizons back the backtest goes.
    """
    calendar = CalendarRegressors.of(panel)
    starts = [panel.day_count - back * panel.horizon for back in range(origins, 0, -1)]
    starts = [start for start in starts if start >= TOTALS_DAYS]
    if not starts:
        return fit_pull(panel)
    now, failures = _by_level(panel, calendar), []
    shared = _by_level(_ordinary(panel), calendar, _PULLED)
    folds = [_fold(panel, start, calendar=calendar, bottom=bottom, now=now) for start in starts]
    orders = _orders(folds[0].series, models)
    levels: list[LevelModel] = []
    for level, groups in now.items():
        able = _able(models, level, len(groups))
        scores, parts = _judged(folds, level, models=able, orders=orders)
        fits = _fits(groups, parts, orders=orders, failures=failures)
        towards = [name for name in PULL_MODELS if name in able and level in RECONCILED_LEVELS]
        pull_fits = _fits(shared.get(level, ()), towards, orders=orders, failures=failures)
        name = MEAN_OF_BEST if len(parts) > 1 else (parts or (BOTTOM_UP,))[0]
        levels.append(LevelModel(level, name, scores, fits, pull_fits, Spread()))
    spreads = _spreads(folds)
    found = tuple(replace(level, spread=spreads[level.level]) for level in levels)
    return AggregateModel(found, calendar, tuple(dict.fromkeys(failures)))


@_ONE_THREAD
def fit_pull(panel: Panel) -> AggregateModel:
    """Only what `nudge` needs, without a backtest: for contenders, and for histories too short for one."""
    calendar, failures = CalendarRegressors.of(panel), []
    if panel.day_count < TOTALS_DAYS:
        return AggregateModel((), calendar)
    now = _by_level(_ordinary(panel), calendar)
    orders, levels = _orders(now, PULL_MODELS), []
    for level in RECONCILED_LEVELS:
        able = _able(PULL_MODELS, level, len(now[level]))
        fits = _fits(now[level], able, orders=orders, failures=failures)
        levels.append(LevelModel(level, BOTTOM_UP, {}, {}, fits, Spread()))
    return AggregateModel(tuple(levels), calendar, tuple(failures))


def _able(models: Sequence[str], level: str, count: int) -> tuple[str, ...]:
    few = count <= _COSTLY_GROUPS[level in RECONCILED_LEVELS]
    return tuple(name for name in models if few or name not in _COSTLY)


def _ordinary(panel: Panel) -> Panel:
    """The panel in which no series has the say in its department's total: what others are reconciled towards."""
    return replace(panel, units=ordinary_days(panel.demand, _pulled_groups(panel)))


def _pulled_groups(panel: Panel) -> np.ndarray:
    return groups_of(panel.series, _PULLED[-1]).code


def _by_level(panel: Panel, calendar: CalendarRegressors, levels: tuple[HierarchyLevel, ...] = LEVELS) -> Series:
    found: Series = {level.name: [] for level in levels}
    for group in group_series(panel, levels, calendar):
        found[group.level].append(group)
    return found


def _fold(panel: Panel, start: int, *, calendar: CalendarRegressors, bottom: Contender, now: Series) -> _Fold:
    past, ahead = panel.through(panel.dates[start - 1].astype(object)), slice(start, start + panel.horizon)
    actual = {
        level: np.stack([group.total[ahead] * group.open_share[ahead] for group in groups])
        for level, groups in now.items()
    }
    mean = bottom(past)
    means = {level: {BOTTOM_UP: sums} for level, sums in coherent(mean, past.series).items()}
    return _Fold(past, mean, _by_level(past, calendar), actual, means)


def _orders(series: Series, models: Sequence[str]) -> dict[str, Order]:
    """Of the ARIMA errors, searched on the total of everything and used at every level."""
    orders: dict[str, Order] = {}
    for name, difference in _COSTLY.items():
        if name in models:
            try:
                orders[name] = searched_order(series["total"][0], difference=difference)
            except Exception as error:
                _LOG.warning(f"no order found for {name}, (1, {difference}, 1) serves: {error}")
                orders[name] = (1, difference, 1)
    return orders


def _judged(
    folds: Sequence[_Fold], level: str, *, models: Sequence[str], orders: Mapping[str, Order]
) -> tuple[dict[str, Score], tuple[str, ...]]:
    """Scores of every model and of the mean of the best, and the models the winner is made of: none when sums win.

    A model is fitted before the oldest origin and run again at each: fitting anew would cost what it cannot change.
    """
    for name in models:
        fits = _fits(folds[0].series[level], (name,), orders=orders, failures=[])
        for fold in folds:
            fold.means[level][name] = _totals(fold.series[level], fits, instead=fold.means[level][BOTTOM_UP])
    scores = _finite({name: _score(folds, level, name) for name in (BOTTOM_UP, *models)})
    best = tuple(sorted((name for name in scores if name != BOTTOM_UP), key=lambda name: scores[name].cost))
    best = best[:_BEST_COUNT]
    if len(best) > 1:
        for fold in folds:
            fold.means[level][MEAN_OF_BEST] = np.mean([fold.means[level][name] for name in best], axis=0)
        scores |= _finite({MEAN_OF_BEST: _score(folds, level, MEAN_OF_BEST)})
    winner = min(scores, key=lambda name: scores[name].cost, default=BOTTOM_UP)
    parts = {BOTTOM_UP: (), MEAN_OF_BEST: best}
    return scores, parts.get(winner, (winner,))


def _finite(scores: Mapping[str, Score]) -> dict[str, Score]:
    return {name: score for name, score in scores.items() if np.isfinite(score.cost)}


def _score(folds: Sequence[_Fold], level: str, name: str) -> Score:
    actual = np.concatenate([fold.actual[level] for fold in folds])
    mean = np.concatenate([fold.means[level][name] for fold in folds])
    scale = np.concatenate([rmsse_scale(np.stack([group.total for group in fold.series[level]])) for fold in folds])
    errors = series_rmsse(actual, mean, scale=scale)
    errors = errors[np.isfinite(errors)]
    return Score(float(errors.mean()) if len(errors) else float("nan"), bias(actual, mean))


def _fits(
    groups: Sequence[GroupSeries], models: Sequence[str], *, orders: Mapping[str, Order], failures: list[str]
) -> dict[str, tuple[Fit, ...]]:
    """By group; a model that fails for a group is named in `failures`, and the group left out when none is left."""
    found: dict[str, tuple[Fit, ...]] = {}
    for group in groups:
        fits: list[Fit] = []
        for name in models:
            try:
                fit = fitted(name, group, order=orders.get(name, (1, 0, 1)))
                forecast(fit, group)
                fits.append(fit)
            except Exception as error:
                failures.append(f"{name} of {group.level} {group.name} failed: {error}")
        if fits:
            found[group.name] = tuple(fits)
    return found


def _totals(groups: Sequence[GroupSeries], fits: Mapping[str, tuple[Fit, ...]], *, instead: np.ndarray) -> np.ndarray:
    """Forecast of each group, (groups, H): the mean of its fits, or the row of `instead` where none serves."""
    totals = instead.copy()
    for row, group in enumerate(groups):
        found = [total for fit in fits.get(group.name, ()) if (total := _forecast(fit, group)) is not None]
        if found:
            totals[row] = np.mean(found, axis=0)
    return totals


def _forecast(fit: Fit, group: GroupSeries) -> np.ndarray | None:
    try:
        return forecast(fit, group)
    except Exception as error:
        _LOG.warning(f"{fit.model} of {group.level} {group.name} failed: {error}")
        return None


def _spreads(folds: Sequence[_Fold]) -> dict[str, Spread]:
    """Relative errors of what would have been published: sums of the series after they were reconciled."""
    errors: dict[str, list[np.ndarray]] = {level.name: [] for level in LEVELS}
    for fold in folds:
        series = fold.panel.series
        targets = [
            Target(groups_of(series, BY_NAME[level]), _reconciling_mean(fold.means[level]))
            for level in RECONCILED_LEVELS
        ]
        for level, mean in coherent(reconciled(fold.bottom, targets, strength=STRENGTH), series).items():
            gap = fold.actual[level] - mean
            errors[level].append(np.divide(gap, mean, out=np.full_like(mean, np.nan), where=mean > 0))
    names = {level: [group.name for group in groups] for level, groups in folds[-1].series.items()}
    return {level: _spread(np.concatenate(found, axis=1), names[level]) for level, found in errors.items()}


def _reconciling_mean(means: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.mean([means[name] for name in PULL_MODELS if name in means] or [means[BOTTOM_UP]], axis=0)


def _spread(errors: np.ndarray, names: Sequence[str]) -> Spread:
    """Of relative errors (groups, days): each group's scale is shrunk to the level's."""
    seen = np.isfinite(errors)
    if not seen.any():
        return Spread()
    squares, count = np.where(seen, errors, 0.0) ** 2, seen.sum(axis=1)
    known = count > 0
    pooled = max(shared_ratio(squares.sum(axis=1)[known], count[known].astype(float)), 1e-8)
    scale = np.sqrt((squares.sum(axis=1) + _PRIOR_ERRORS * pooled) / (count + _PRIOR_ERRORS))
    scaled = (errors / scale[:, None])[seen]
    quantiles = np.quantile(scaled, _PROBABILITIES)
    by_name = {name: float(value) for name, value in zip(names, scale, strict=True)}
    return Spread(float(np.sqrt(pooled)), by_name, tuple(float(value) for value in quantiles))


def group_totals(panel: Panel, model: AggregateModel) -> dict[tuple[str, str], np.ndarray]:
    """What the chosen model of each level says of the coming days, (H,), by level and group name.

    Levels whose sums did better, and groups without a model, are not in it.
    """
    return _said(panel, model.calendar, {level.level: level.fits for level in model.levels})


@_ONE_THREAD
def _said(
    panel: Panel, calendar: CalendarRegressors, fits: Mapping[str, Mapping[str, tuple[Fit, ...]]]
) -> dict[tuple[str, str], np.ndarray]:
    levels = tuple(BY_NAME[level] for level, of_level in fits.items() if of_level)
    found: dict[tuple[str, str], np.ndarray] = {}
    for group in group_series(panel, levels, calendar) if levels else ():
        total = _totals([group], fits[group.level], instead=np.full((1, panel.horizon), np.nan))[0]
        if np.isfinite(total).all():
            found[group.level, group.name] = total
    return found


def nudge(mean: np.ndarray, panel: Panel, model: AggregateModel, *, strength: float = STRENGTH) -> np.ndarray:
    """Moves the series (n, H) so that department sums come nearer to what models of the departments say.

    Sums and models both leave out what no second series of a department comes near.
    """
    shared = ordinary_days(mean, _pulled_groups(panel))
    moved = reconciled(shared, reconciliation_targets(panel, model), strength=strength)
    return mean * np.divide(moved, shared, out=np.ones_like(shared), where=shared > 0)


def reconciliation_targets(panel: Panel, model: AggregateModel) -> list[Target]:
    """What `nudge` moves the series towards, level by level."""
    fits = {level.level: level.pull_fits for level in model.levels if level.level in RECONCILED_LEVELS}
    totals = _said(_ordinary(panel), model.calendar, fits)
    return [_target(panel, level, totals) for level in RECONCILED_LEVELS]


def _target(panel: Panel, level: str, totals: Mapping[tuple[str, str], np.ndarray]) -> Target:
    groups = groups_of(panel.series, BY_NAME[level])
    nothing = np.full(panel.horizon, np.nan)
    return Target(groups, np.stack([totals.get((level, name), nothing) for name in groups.names]))


def hierarchy_rows(
    panel: Panel, bottom_mean: np.ndarray, model: AggregateModel | None, *, version: str
) -> pd.DataFrame:
    """Rows of forecast.hierarchy_forecast without `origin`.

    Args:
        panel: the day's panel.
        bottom_mean: (n, H), the `mean_units` published in forecast.demand_forecast; sums of it are the means here.
        model: of the training; without one the spread is that of the seasonal naive's sums.
        version: of the model, as in forecast.demand_forecast.
    """
    if model is None:
        model = fit_aggregate(panel, bottom=seasonal_naive, models=())
    totals = group_totals(panel, model)
    sums = coherent(bottom_mean, panel.series)
    parts = [_level_rows(panel, sums[level], _target(panel, level, totals), model.level(level)) for level in sums]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(as_of_date=panel.as_of, model_version=version)


def _level_rows(panel: Panel, mean: np.ndarray, target: Target, model: LevelModel | None) -> pd.DataFrame:
    groups, horizon = target.groups, panel.horizon
    spread, chosen = (model.spread, model.chosen) if model else (Spread(), BOTTOM_UP)
    name = np.where(np.isfinite(target.totals).all(axis=1), chosen, BOTTOM_UP).astype(object)
    scale = np.array([spread.scale.get(group, spread.level_scale) for group in groups.names])
    quantiles = np.maximum(mean[..., None] * (1 + scale[:, None, None] * np.array(spread.quantiles)), 0.0)
    dates = np.array([panel.as_of + timedelta(days=day) for day in range(1, horizon + 1)], dtype=object)
    keys = {column: groups.keys.get(column) for column in _COLUMNS}
    columns: dict[str, object] = {
        "level": groups.level.name,
        "group_name": np.repeat(np.array(groups.names, dtype=object), horizon),
        **{
            column: None if key is None else np.repeat(key.to_numpy(dtype=object), horizon)
            for column, key in keys.items()
        },
        "target_date": np.tile(dates, len(groups)),
        "horizon_days": np.tile(np.arange(1, horizon + 1, dtype=np.int32), len(groups)),
        "mean_units": mean.ravel(),
        "model_units": target.totals.ravel(),
        "model_name": np.repeat(name, horizon),
    }
    columns |= {
        name: quantiles[..., number].ravel().astype(np.float32) for number, name in enumerate(HIERARCHY_QUANTILES)
    }
    return pd.DataFrame(columns)
