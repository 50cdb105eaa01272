"""One LightGBM for all series that forecasts a day ahead and feeds its forecasts back as the next day's past.

Fitting shares rows, objective and plan regressors with `global_model`; what differs is the short memory that a
step updates in place. Regressors that count days without a sale stay out: a mean forecast is never exactly 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retail_assets.demand.models.baselines import like_level
from retail_assets.demand.models.features import (
    CATEGORICAL,
    LEVEL_SMOOTHING,
    FeatureSource,
    View,
    Vocabulary,
    calendar,
    plans,
)
from retail_assets.demand.models.global_model import Boosting, load_ensemble, save_ensemble
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import ordinary_day

if TYPE_CHECKING:
    import lightgbm as lgb

_NAME = "recursive_model"
_WINDOWS = (7, 28, 112, 364)
_MEMORY = max(_WINDOWS)
_LAGS = (1, 7, 14, 28)
_SMOOTHINGS = (0.3, 0.1, LEVEL_SMOOTHING, 0.01)
_WARM_UP_DAYS = 28
_PRIOR_DAYS = 2.0
_UNREACHED = ("horizon",)


@dataclass(frozen=True, eq=False)
class _Memory:
    """What a step needs of the days before it, for r rows (series or groups); updated in place.

    Attributes:
        values, seen: the last 364 days and room for those to come, (r, 364 + H); unseen days are 0.
        smoothed, weight: exponentially weighted sums of both, by smoothing, (4, r).
        sums, counts: sums over the last 7, 28, 112 and 364 days, (4, r).
    """

    values: np.ndarray
    seen: np.ndarray
    smoothed: np.ndarray
    weight: np.ndarray
    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def before(cls, values: np.ndarray, seen: np.ndarray, *, origin: int, steps: int) -> "_Memory":
        past = slice(max(origin - _MEMORY, 0), origin)
        old, old_seen = values[:, past], seen[:, past]
        decay = [(1 - smoothing) ** np.arange(old.shape[1] - 1, -1, -1, dtype=np.float32) for smoothing in _SMOOTHINGS]
        room = ((0, 0), (max(_MEMORY - old.shape[1], 0), steps))
        return cls(
            values=np.pad(old[:, -_MEMORY:], room),
            seen=np.pad(old_seen[:, -_MEMORY:], room),
            smoothed=np.stack([old @ weight for weight in decay]),
            weight=np.stack([old_seen @ weight for weight in decay]),
            sums=np.stack([old[:, -days:].sum(axis=1) for days in _WINDOWS]),
            counts=np.stack([old_seen[:, -days:].sum(axis=1) for days in _WINDOWS]),
        )

    def add(self, value: np.ndarray, seen: np.ndarray, *, step: int) -> None:
        """Takes in the day `step` after the origin; costs the same for every length of history."""
        now = _MEMORY + step
        self.values[:, now], self.seen[:, now] = value, seen
        for number, days in enumerate(_WINDOWS):
            self.sums[number] += value - self.values[:, now - days]
            self.counts[number] += seen - self.seen[:, now - days]
        for number, smoothing in enumerate(_SMOOTHINGS):
            self.smoothed[number] = self.smoothed[number] * (1 - smoothing) + value
            self.weight[number] = self.weight[number] * (1 - smoothing) + seen

    def lag(self, days: int, *, step: int) -> np.ndarray:
        at = _MEMORY + step - days
        return np.where(self.seen[:, at] > 0, self.values[:, at], np.nan)

    def same_weekday(self, weeks: int, *, step: int) -> np.ndarray:
        at = slice(_MEMORY + step - 7 * weeks, _MEMORY + step, 7)
        return _over(self.values[:, at].sum(axis=1), self.seen[:, at].sum(axis=1))

    def year_ago(self, step: int) -> np.ndarray:
        """Mean of the week around the same weekday 52 weeks before, as far as it is remembered."""
        at = slice(max(_MEMORY + step - 367, 0), _MEMORY + step - 360)
        return _over(self.values[:, at].sum(axis=1), self.seen[:, at].sum(axis=1))

    def mean(self, number: int) -> np.ndarray:
        return _over(np.maximum(self.sums[number], 0), self.counts[number])

    def smooth(self, number: int) -> np.ndarray:
        return _over(self.smoothed[number], self.weight[number])


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan, dtype=np.float32), where=bottom > 1e-4)


@dataclass(frozen=True, eq=False)
class _SeriesMemory:
    """Memory of some series and of the groups they belong to, and the level that like series lend the short ones.

    `so_far` (2, r, 1) holds each series' total and known days: what bounds its say in the groups.
    """

    source: FeatureSource
    rows: np.ndarray
    origin: int
    own: _Memory
    groups: dict[str, _Memory]
    prior: np.ndarray
    so_far: np.ndarray

    @classmethod
    def at(cls, source: FeatureSource, origin: int, *, rows: np.ndarray, steps: int) -> "_SeriesMemory":
        own = _Memory.before(source.filled[rows], source.seen[rows], origin=origin, steps=steps)
        groups = {name: _group_memory(mean, origin, steps) for name, mean in source.group_means.items()}
        recent, price = source.demand[:, max(origin - 28, 0) : origin], source.panel.price[:, origin - 1]
        prior = like_level(recent, price, source.departments)[rows]
        past = source.demand[rows, :origin]
        so_far = np.stack([np.nansum(past, axis=1, keepdims=True), (~np.isnan(past)).sum(axis=1, keepdims=True)])
        return cls(source, rows, origin, own, groups, prior, so_far)

    def level(self) -> np.ndarray:
        """Demand a day the ratios of the coming step refer to, never 0, (r,)."""
        number = _SMOOTHINGS.index(LEVEL_SMOOTHING)
        total, count = self.own.smoothed[number], self.own.weight[number]
        return np.maximum((total + _PRIOR_DAYS * self.prior) / (count + _PRIOR_DAYS), 0.01)

    def columns(self, step: int) -> dict[str, np.ndarray]:
        """Regressors of the day `step` after the origin, each (r,)."""
        view = View(self.source, self.origin + step, self.rows, 1)
        planned = {**plans(view), **calendar(view)}
        flat = {name: np.broadcast_to(column, (len(self.rows), 1))[:, 0] for name, column in planned.items()}
        for name in _UNREACHED:
            del flat[name]
        return {**_own_columns(self.own, self.level(), step), **self._group_columns(step), **flat}

    def _group_columns(self, step: int) -> dict[str, np.ndarray]:
        out: dict[str, np.ndarray] = {}
        for name, memory in self.groups.items():
            usual = np.maximum(memory.mean(_WINDOWS.index(28)), 1e-4)
            columns = {
                f"{name}_level": np.log(usual),
                f"{name}_lag_1": memory.lag(1, step=step) / usual,
                f"{name}_lag_7": memory.lag(7, step=step) / usual,
                f"{name}_mean_7": memory.mean(_WINDOWS.index(7)) / usual,
                f"{name}_smoothed_0.1": memory.smooth(_SMOOTHINGS.index(0.1)) / usual,
                f"{name}_smoothed_0.01": memory.smooth(_SMOOTHINGS.index(0.01)) / usual,
                f"{name}_mean_112": memory.mean(_WINDOWS.index(112)) / usual,
                f"{name}_weekday": memory.same_weekday(16, step=step) / usual,
                f"{name}_year_ago": memory.year_ago(step) / usual,
            }
            code = self.source.groups[name][self.rows]
            out |= {name: column[code] for name, column in columns.items()}
        return out

    def add(self, mean: np.ndarray, *, step: int) -> None:
        """Takes a day's forecast of every series for what happened; closed days, NaN, are not seen."""
        seen = np.isfinite(mean).astype(np.float32)
        value = np.nan_to_num(mean).astype(np.float32)
        self.own.add(value, seen, step=step)
        self.so_far[:] += np.stack([value, seen])[:, :, None]
        for name, memory in self.groups.items():
            code, size = self.source.groups[name][self.rows], len(memory.values)
            count = np.bincount(code, seen, size)
            held = ordinary_day(mean[:, None], total=self.so_far[0], days=self.so_far[1], code=code)[:, 0]
            total = np.bincount(code, np.nan_to_num(held), size)
            found = np.divide(total, count, out=np.zeros(size), where=count > 0)
            memory.add(found.astype(np.float32), (count > 0).astype(np.float32), step=step)


def _group_memory(mean: np.ndarray, origin: int, steps: int) -> _Memory:
    known = np.isfinite(mean)
    filled = np.where(known, mean, 0.0).astype(np.float32)
    return _Memory.before(filled, known.astype(np.float32), origin=origin, steps=steps)


def _own_columns(own: _Memory, level: np.ndarray, step: int) -> dict[str, np.ndarray]:
    amounts = {f"lag_{days}": own.lag(days, step=step) for days in _LAGS}
    amounts |= {f"mean_{days}": own.mean(number) for number, days in enumerate(_WINDOWS)}
    amounts |= {f"smoothed_{smoothing}": own.smooth(number) for number, smoothing in enumerate(_SMOOTHINGS)}
    amounts |= {f"weekday_mean_{weeks}": own.same_weekday(weeks, step=step) for weeks in (4, 26)}
    return {"log_level": np.log(level), **{name: amount / level for name, amount in amounts.items()}}


def _table(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(columns.values()), axis=-1, dtype=np.float32, casting="unsafe")


@dataclass(frozen=True, eq=False)
class RecursiveModel:
    """A fitted day-ahead ensemble and the numbers it gave to events."""

    booster: "lgb.Booster"
    vocabulary: Vocabulary
    threads: int

    def predict(self, panel: Panel) -> np.ndarray:
        """Mean demand of the coming days, (n, H); 0 on closed days.

        Groups take in every series' forecast, so all series go step by step together.
        """
        source = FeatureSource(panel, self.vocabulary)
        state = _SeriesMemory.at(source, panel.day_count, rows=np.arange(panel.series_count), steps=panel.horizon)
        out = np.zeros((panel.series_count, panel.horizon))
        for step in range(panel.horizon):
            level = state.level()
            table = _table(state.columns(step))
            log_ratio = np.asarray(self.booster.predict(table, raw_score=True, num_threads=self.threads))
            mean = np.where(panel.future_is_open[:, step], np.exp(log_ratio) * level, np.nan)
            state.add(mean, step=step)
            out[:, step] = np.nan_to_num(mean)
        return out

    def save(self, folder: Path) -> None:
        """Writes LightGBM text and JSON into `folder`."""
        save_ensemble(folder / _NAME, self.booster, self.vocabulary, threads=self.threads)


def load_recursive(folder: Path) -> RecursiveModel:
    """Reads what `RecursiveModel.save` wrote."""
    return RecursiveModel(*load_ensemble(folder / _NAME))


def fit_recursive(panel: Panel, boosting: Boosting) -> RecursiveModel:
    """Fits on single days of the panel's history, each seen from the evening before."""
    import lightgbm as lgb

    vocabulary = Vocabulary.of(panel)
    source = FeatureSource(panel, vocabulary)
    parts = list(_training_parts(source, boosting))
    tables, demand, level, age = (list(column) for column in zip(*parts, strict=True))
    names = list(_SeriesMemory.at(source, panel.day_count, rows=np.arange(1), steps=1).columns(0))
    rows = lgb.Dataset(
        np.concatenate(tables),
        label=np.concatenate(demand),
        weight=0.5 ** (np.concatenate(age) / boosting.half_life_days),
        init_score=np.log(np.concatenate(level)),
        feature_name=names,
        categorical_feature=list(CATEGORICAL),
    )
    booster = lgb.train(boosting.parameters, rows, num_boost_round=boosting.trees)
    return RecursiveModel(lgb.Booster(model_str=booster.model_to_string()), vocabulary, boosting.threads)


def _training_parts(source: FeatureSource, boosting: Boosting) -> Iterator[tuple[np.ndarray, ...]]:
    """Regressors, demand, level and age in days of the sampled cells of each day learned from."""
    panel, rng = source.panel, np.random.default_rng(boosting.seed)
    newest, reach = panel.day_count, boosting.max_origins * boosting.origin_step_days
    days = np.arange(max(newest - reach, min(_WARM_UP_DAYS, newest - 1), 1), newest)
    share = min(1.0, boosting.rows_of(panel.series_count) / (len(days) * panel.series_count))
    for day in days.tolist():
        demand = source.demand[:, day]
        rows = np.flatnonzero(np.isfinite(demand) & (rng.random(panel.series_count) < share))
        state = _SeriesMemory.at(source, day, rows=rows, steps=1)
        yield _table(state.columns(0)), demand[rows], state.level(), np.full(len(rows), newest - day)
