"""The scorecard of a backtest: every contender by segment, horizon and metric, one figure a row.

Contenders run in `backtest`; quantiles are calibrated on other blocks of it than they are scored on. Choosing a model
from the figures belongs in `tournament`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from retail_assets.demand import metrics
from retail_assets.demand.calibration.backtest import Fold, cross_calibrated, daily_buckets
from retail_assets.demand.calibration.conformal import Errors, distribution
from retail_assets.demand.panel import Panel
from retail_assets.demand.scores.competition_scores import competition_scores
from retail_assets.demand.segments import abc_class
from retail_assets.demand.tournament import CHOSEN, Tournament
from retail_assets.tables.contract import ALL
from retail_assets.tables.forecast import BUCKET_DAYS, NAIVE, QUANTILE_LEVELS

DAILY, CUMULATIVE = "daily", "cumulative"
COLUMNS = ("model_name", "segment_kind", "segment", "kind", "horizon", "metric", "level", "value", "cell_count")
TOTAL_DAYS = (3, 7, 14, 21)


@dataclass(frozen=True, eq=False)
class FoldQuantiles:
    """What one contender thought likely at one origin: quantiles of each day, (n, H, levels), and of totals.

    `totals` holds (n, levels) of the total demand over the first so many days.
    """

    daily: np.ndarray
    totals: Mapping[int, np.ndarray] = field(default_factory=dict)


def fold_segments(panel: Panel, folds: Sequence[Fold]) -> dict[str, list[np.ndarray]]:
    """Demand class and ABC class of each series as of each fold."""
    pasts = [panel.through(panel.dates[fold.origin - 1].astype(object)) for fold in folds]
    return {"demand_class": [fold.profile.segment for fold in folds], "abc_class": [abc_class(past) for past in pasts]}


def fold_quantiles(folds: Sequence[Fold], name: str) -> list[FoldQuantiles]:
    """What a contender would have thought likely at each origin, calibrated on the other blocks; QUANTILE_LEVELS."""
    daily = [np.empty((*fold.actual.shape, len(QUANTILE_LEVELS)), dtype=np.float32) for fold in folds]
    for days in daily_buckets(folds[0].actual.shape[1]):
        for found, made in zip(daily, _made(folds, lambda fold, days=days: fold.daily_errors(name, days)), strict=True):
            found[:, days] = made.reshape(found[:, days].shape)
    spans = [days for days in TOTAL_DAYS if days <= folds[0].actual.shape[1]]
    totals = {days: _made(folds, lambda fold, days=days: fold.total_errors(name, days), days=days) for days in spans}
    return [
        FoldQuantiles(made, {days: found[number] for days, found in totals.items()})
        for number, made in enumerate(daily)
    ]


def _made(folds: Sequence[Fold], errors: Callable[[Fold], Errors], *, days: int = 1) -> list[np.ndarray]:
    levels = tuple(QUANTILE_LEVELS.values())
    asked = zip(map(errors, folds), cross_calibrated(folds, errors), strict=True)
    return [
        distribution(here.mean, here.profile, calibration=calibration, levels=levels, days=days).quantiles
        for here, calibration in asked
    ]


def card_of(found: Tournament) -> pd.DataFrame:
    """The scorecard of a tournament: all contenders' means, the distributions of the winners and of the naive."""
    folds, names = found.folds, sorted(found.folds[0].means)
    judged = {name: fold_quantiles(folds, name) for name in (CHOSEN, NAIVE)}
    card = scorecard(folds, names, segments=fold_segments(found.sample, folds), quantiles=judged)
    count = sum(_count(fold.scored) for fold in folds)
    official = [
        (name, ALL, ALL, DAILY, ALL, metric, np.nan, value, count)
        for name in judged
        for metric, value in competition_scores(found.sample, folds, name).items()
    ]
    return pd.concat([card, pd.DataFrame(official, columns=pd.Index(COLUMNS))], ignore_index=True)


def scorecard(
    folds: Sequence[Fold],
    names: Sequence[str],
    *,
    segments: Mapping[str, Sequence[np.ndarray]] | None = None,
    quantiles: Mapping[str, Sequence[FoldQuantiles]] | None = None,
    levels: Sequence[float] = tuple(QUANTILE_LEVELS.values()),
) -> pd.DataFrame:
    """Scores contenders over all folds together; columns `COLUMNS`.

    Censored and closed days are not scored, except in the bias and in totals, which are of all known demand.

    Args:
        folds: origins, each with the means of all `names`.
        names: contenders.
        segments: for each kind of segment the label of every series, (n,), as of each fold; `all` is always there.
        quantiles: for each contender that has distributions, its quantiles at each fold.
        levels: probabilities of the last axis of `quantiles`.

    Returns:
        One row for each contender, segment, horizon (days from-to), metric and, where it has one, probability
        `level`. `kind` says whether single days or their total was scored, `cell_count` how many of them.
    """
    parts = list(_parts(folds, segments or {}))
    rows: list[tuple[object, ...]] = []
    for name in names:
        cells = _Cells.of(folds, name, (quantiles or {}).get(name))
        for segment_kind, segment, kept in parts:
            for score in _scores(cells.where(kept), np.asarray(levels)):
                rows.append((name, segment_kind, segment, *score))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _parts(
    folds: Sequence[Fold], segments: Mapping[str, Sequence[np.ndarray]]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Kind and label of every segment, and the rows of the stacked folds that belong to it."""
    yield ALL, ALL, np.arange(sum(len(fold.actual) for fold in folds))
    for kind, labels in segments.items():
        label = np.concatenate([np.asarray(part).astype(str) for part in labels])
        for name in np.unique(label):
            yield kind, str(name), np.flatnonzero(label == name)


@dataclass(frozen=True, eq=False)
class _Cells:
    """One contender's folds under each other: a row is a series at an origin."""

    mean: np.ndarray
    scored: np.ndarray
    known: np.ndarray
    step: np.ndarray
    season_step: np.ndarray
    daily: np.ndarray | None
    totals: dict[int, np.ndarray]

    @classmethod
    def of(cls, folds: Sequence[Fold], name: str, quantiles: Sequence[FoldQuantiles] | None) -> "_Cells":
        made = quantiles or ()
        spans = [days for days in TOTAL_DAYS if made and all(days in part.totals for part in made)]
        return cls(
            mean=np.concatenate([fold.means[name] for fold in folds]),
            scored=np.concatenate([fold.scored for fold in folds]),
            known=np.concatenate([fold.actual for fold in folds]),
            step=np.concatenate([fold.step for fold in folds]),
            season_step=np.concatenate([fold.season_step for fold in folds]),
            daily=np.concatenate([part.daily for part in made]) if made else None,
            totals={days: np.concatenate([part.totals[days] for part in made]) for days in spans},
        )

    def where(self, rows: np.ndarray) -> "_Cells":
        return _Cells(
            mean=self.mean[rows],
            scored=self.scored[rows],
            known=self.known[rows],
            step=self.step[rows],
            season_step=self.season_step[rows],
            daily=None if self.daily is None else self.daily[rows],
            totals={days: values[rows] for days, values in self.totals.items()},
        )


_Score = tuple[str, str, str, float, float, int]
"""kind, horizon, metric, level, value, cell_count"""


def _scores(cells: _Cells, levels: np.ndarray) -> Iterator[_Score]:
    for label, days in _buckets(cells.mean.shape[1]):
        yield from _of_means(cells, label, days)
        if cells.daily is not None:
            yield from _of_quantiles(DAILY, label, cells.scored[:, days], cells.daily[:, days], levels)
    for days, quantiles in cells.totals.items():
        total = cells.known[:, :days].sum(axis=1)
        yield from _of_quantiles(CUMULATIVE, f"1-{days}", total, quantiles, levels)


def _buckets(horizon: int) -> Iterator[tuple[str, slice]]:
    for low in range(0, horizon, BUCKET_DAYS):
        high = min(low + BUCKET_DAYS, horizon)
        yield f"{low + 1}-{high}", slice(low, high)
    yield ALL, slice(0, horizon)


def _of_means(cells: _Cells, label: str, days: slice) -> Iterator[_Score]:
    mean, scored, known = cells.mean[:, days], cells.scored[:, days], cells.known[:, days]
    found = {
        "wape": metrics.wape(scored, mean),
        "bias": metrics.bias(known, mean),
        "rmsse": _finite_mean(metrics.series_rmsse(scored, mean, scale=cells.step)),
        "mase": _finite_mean(metrics.series_mase(scored, mean, scale=cells.season_step)),
    }
    for metric, value in found.items():
        yield DAILY, label, metric, np.nan, value, _count(known if metric == "bias" else scored)


def _of_quantiles(
    kind: str, label: str, actual: np.ndarray, quantiles: np.ndarray, levels: np.ndarray
) -> Iterator[_Score]:
    count = _count(actual)
    yield kind, label, "scaled_pinball", np.nan, metrics.scaled_pinball(actual, quantiles, levels=levels), count
    for number, level in enumerate(levels):
        quantile = quantiles[..., number]
        below, up_to = metrics.coverage(actual, quantile)
        found = {
            "pinball": metrics.pinball(actual, quantile[..., None], levels=levels[number : number + 1]),
            "coverage_below": below,
            "coverage_up_to": up_to,
            "coverage_deviation": metrics.discrete_coverage(actual, quantile, level=float(level)),
        }
        for metric, value in found.items():
            yield kind, label, metric, float(level), value, count


def _count(actual: np.ndarray) -> int:
    return int((~np.isnan(actual)).sum())


def _finite_mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
