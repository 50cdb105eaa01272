"""The tournament: every contender on a panel's last weeks, scored by segment, and who is chosen for each.

Contenders are entries of `contenders`, past origins are run by `backtest`. What is made of the winners belongs in
`training`, every other score of them in `scorecard`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from retail_assets.demand import metrics
from retail_assets.demand.aggregate import AggregateModel, fit_pull
from retail_assets.demand.backtest import Contenders, Fold, cross_calibrated, fold_origins, rolling_origin
from retail_assets.demand.conformal import distribution
from retail_assets.demand.contenders import (
    BLENDS,
    FAMILIES,
    GLOBAL,
    PULLED,
    SINGLE,
    UNSCORED,
    Fitted,
    contender_means,
    families_of,
    fit_family,
)
from retail_assets.demand.global_model import Boosting
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import shared_ratio
from retail_assets.demand.segments import DEMAND_CLASSES, NO_SALE, demand_class
from retail_assets.failures import PermanentFailure
from retail_assets.tables.forecast import QUANTILE_LEVELS

MEAN_OF_BEST, CHOSEN = "mean_of_best", "chosen"
MIN_TRAIN_DAYS = 70
_BIAS_LIMIT = 0.05
_MARGIN = 0.03
_BEST_COUNT = 3
_GLOBAL_ONES = (GLOBAL, *(name for name in (*BLENDS, *PULLED) if GLOBAL in families_of([name])))
_LEVELS = np.array(list(QUANTILE_LEVELS.values()))


@dataclass(frozen=True)
class TrainingConfig:
    """What a training may cost and what it is judged by.

    Attributes:
        horizon: days forecast ahead.
        protection_horizons: days over which total demand is scored.
        max_train_origins: forecast origins the global model learns from.
        max_train_rows: cells it learns from, at most; fewer for few series.
        tournament_sample: series per segment in the backtest.
        backtest_days: days before the last one that the backtest covers.
        backtest_fits: how often contenders are fitted anew inside it.
    """

    horizon: int = 28
    protection_horizons: tuple[int, ...] = (7, 14)
    max_train_origins: int = 52
    max_train_rows: int = 400_000
    tournament_sample: int = 500
    backtest_days: int = 168
    backtest_fits: int = 3
    trees: int = 200
    leaves: int = 31
    learning_rate: float = 0.05
    seed: int = 20260
    threads: int = 2

    @property
    def boosting(self) -> Boosting:
        return Boosting(
            trees=self.trees,
            leaves=self.leaves,
            learning_rate=self.learning_rate,
            max_origins=self.max_train_origins,
            max_rows=self.max_train_rows,
            seed=self.seed,
            threads=self.threads,
        )


@dataclass(frozen=True, eq=False)
class Tournament:
    """What was found on the last weeks of a panel.

    `sample` holds the series that took part and `folds` their forecasts by every contender and by `CHOSEN`.
    `scores` has a row for each segment and contender; `chosen` names the winner of each demand class, `parts` the
    contenders whose mean it is (itself, or the best three). `earliest` are the families fitted before the first
    origin, `excluded` names contenders that could not compete and why.
    """

    sample: Panel
    folds: list[Fold]
    scores: pd.DataFrame
    chosen: dict[str, str]
    parts: dict[str, tuple[str, ...]]
    earliest: dict[str, Fitted]
    excluded: dict[str, str]
    config: TrainingConfig

    def score(self, name: str) -> dict[str, float]:
        """A contender's scores, or those of `CHOSEN`, over all segments together."""
        return _segment_scores(self.folds, name, _losses(self.folds, name, self.config), segment=None)


def play(panel: Panel, config: TrainingConfig, *, every_family: bool = False) -> Tournament:
    """Lets all contenders compete on the panel's last weeks, each origin with contenders fitted before it.

    Args:
        panel: with plans for `config.horizon` days ahead at least.
        every_family: also those refused for their cost or their scores.

    Raises:
        PermanentFailure: the panel holds too few days, no sale, or nothing that forecasts could be scored on.
    """
    _refuse_too_little(panel)
    panel = with_horizon(panel, config.horizon)
    excluded = {name: family.refused for name, family in FAMILIES.items() if family.refused and not every_family}
    sample, folds, earliest = _folds(panel, config, excluded=excluded)
    scores, best = _scored(folds, config)
    if scores.empty:
        raise PermanentFailure(
            f"No forecast can be scored on the weeks before {panel.as_of}: hardly anything was sold in them with stock "
            "throughout in gold/demand_daily; train on a later week."
        )
    chosen = _choice(scores)
    parts = {kind: best[kind] if name == MEAN_OF_BEST else (name,) for kind, name in chosen.items()}
    for fold in folds:
        fold.means[CHOSEN] = _assembled(fold, parts)
    scores["is_chosen"] = [chosen[kind] for kind in scores["segment"]] == scores["model_name"]
    scores.insert(2, "trained_through_date", panel.as_of)
    return Tournament(sample, folds, scores, chosen, parts, earliest, excluded, config)


def _refuse_too_little(panel: Panel) -> None:
    if panel.day_count < MIN_TRAIN_DAYS:
        raise PermanentFailure(
            f"A demand model needs {MIN_TRAIN_DAYS} days of gold/demand_daily, and {panel.as_of} ends only "
            f"{panel.day_count}; train on a later week."
        )
    if not (panel.units > 0).any():
        raise PermanentFailure(
            f"Nothing was sold in the {panel.day_count} days to {panel.as_of} in gold/demand_daily, so there is "
            "nothing to learn; check the source's sales of those days."
        )


def with_horizon(panel: Panel, horizon: int) -> Panel:
    """The panel with plans for that many days ahead only."""
    if horizon > panel.horizon:
        raise ValueError(f"the panel knows {panel.horizon} days ahead, the training wants {horizon}")
    known = panel.day_count + horizon
    arrays = {name: getattr(panel, name)[:, :known] for name in ("price", "discount_rate", "is_open")}
    return replace(panel, horizon=horizon, **arrays)


def _folds(
    panel: Panel, config: TrainingConfig, *, excluded: dict[str, str]
) -> tuple[Panel, list[Fold], dict[str, Fitted]]:
    """Origins in blocks: contenders are fitted anew before each, or old fits would lose to fresh baselines.

    With the folds come the series they are of, and the families fitted before the first origin.
    """
    origins = fold_origins(panel.day_count, window=min(config.backtest_days, panel.day_count // 3))
    sample = panel.take(_sample(_before(panel, origins[0]), config))
    folds: list[Fold] = []
    earliest: dict[str, Fitted] = {}
    for number, block in enumerate(np.array_split(origins, min(config.backtest_fits, len(origins)))):
        past = _before(panel, int(block[0]))
        fitted = _fitted_families(past, config, excluded)
        contenders = _contenders(past, fitted, excluded)
        folds += rolling_origin(sample, contenders, origins=block.tolist(), block=number)
        earliest = earliest or fitted
    return sample, folds, earliest


def _before(panel: Panel, origin: int) -> Panel:
    return panel.through(panel.dates[origin - 1].astype(object))


def _sample(panel: Panel, config: TrainingConfig) -> np.ndarray:
    """Rows of at most `tournament_sample` series of each segment, those whose names' hashes come first.

    So whether a series is drawn does not depend on which others there are, but for the last places.
    """
    names = panel.series.loc[:, ["store_id", "product_id"]].astype(str)
    place = pd.util.hash_pandas_object(names, index=False, hash_key=f"{config.seed:016d}"[-16:]).to_numpy()
    segment, order = demand_class(panel), np.argsort(place, kind="stable")
    drawn = [order[segment[order] == name][: config.tournament_sample] for name in DEMAND_CLASSES]
    return np.sort(np.concatenate(drawn))


def _fitted_families(panel: Panel, config: TrainingConfig, excluded: dict[str, str]) -> dict[str, Fitted]:
    """What cannot be fitted is left out and named; without the global model there is no training."""
    fitted: dict[str, Fitted] = {}
    for name in (name for name in FAMILIES if name not in excluded):
        try:
            fitted[name] = fit_family(name, panel, config.boosting)
        except Exception as error:
            if name == GLOBAL:
                raise
            excluded[name] = f"fitting failed: {error}"
    return fitted


def _contenders(panel: Panel, fitted: Mapping[str, Fitted], excluded: dict[str, str]) -> Contenders:
    """Everything that can compete at origins after `panel`."""
    aggregate = _fitted_totals(panel, excluded)
    possible = [name for name in SINGLE if name not in excluded and set(families_of([name])) <= set(fitted)]
    return lambda past: contender_means(past, possible, fitted=fitted, aggregate=aggregate).by_name


def _fitted_totals(panel: Panel, excluded: dict[str, str]) -> AggregateModel | None:
    """What the series are pulled towards, for the backtest."""
    try:
        totals = fit_pull(panel)
    except Exception as error:
        excluded.update({name: f"models of totals failed: {error}" for name in PULLED})
        return None
    if not totals.groups:
        excluded.update({name: "too few days of totals" for name in PULLED})
        return None
    return totals


def _scored(folds: Sequence[Fold], config: TrainingConfig) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Scores of every contender by segment, and the best three of each segment, whose mean competes too."""
    single = [name for name in folds[0].means if all(name in fold.means for fold in folds)]
    losses = {name: _losses(folds, name, config) for name in single}
    rows: list[dict[str, object]] = []
    parts: dict[str, tuple[str, ...]] = {}
    for segment in (kind for kind in DEMAND_CLASSES if kind != NO_SALE):
        found = {name: _segment_scores(folds, name, losses[name], segment=segment) for name in single}
        found = {name: score for name, score in found.items() if np.isfinite(list(score.values())).all()}
        if not found:
            continue
        best = sorted(found, key=lambda name: found[name]["scaled_pinball"])[:_BEST_COUNT]
        parts[segment] = tuple(sorted(best))
        for fold in folds:
            fold.means[MEAN_OF_BEST] = np.mean([fold.means[name] for name in best], axis=0)
        mean_losses = _losses(folds, MEAN_OF_BEST, config)
        found[MEAN_OF_BEST] = _segment_scores(folds, MEAN_OF_BEST, mean_losses, segment=segment)
        rows += [{"segment": segment, "model_name": name, **score} for name, score in found.items()]
    return pd.DataFrame(rows), parts


_Losses = list[tuple[Fold, np.ndarray, np.ndarray]]
"""Of each fold and protection horizon: mean quantile loss of each series' total, (n,), and what came, (n,)."""


def _segment_scores(folds: Sequence[Fold], name: str, losses: _Losses, *, segment: str | None) -> dict[str, float]:
    kept = [np.full(len(fold.actual), segment is None) | (fold.nature.segment == segment) for fold in folds]
    scored = np.concatenate([fold.scored[rows] for fold, rows in zip(folds, kept, strict=True)])
    known = np.concatenate([fold.actual[rows] for fold, rows in zip(folds, kept, strict=True)])
    mean = np.concatenate([fold.means[name][rows] for fold, rows in zip(folds, kept, strict=True)])
    step = np.concatenate([fold.step[rows] for fold, rows in zip(folds, kept, strict=True)])
    return {
        "scaled_pinball": _total_pinball(losses, segment),
        "bias": _bias(folds, name, kept),
        "wape": metrics.wape(scored, mean),
        "rmsse": _finite_mean(metrics.series_rmsse(scored, mean, scale=step)),
        "series_count": float(np.any(kept, axis=0).sum()),
        "actual_units": float(np.nansum(known)),
    }


def _bias(folds: Sequence[Fold], name: str, kept: Sequence[np.ndarray]) -> float:
    """Sum of forecast minus actual over the sum of actual demand; no series has the say in either."""
    gap, actual = np.zeros((2, len(kept[0])))
    for fold, rows in zip(folds, kept, strict=True):
        gap[rows] += np.nansum(fold.means[name] - fold.actual, axis=1)[rows]
        actual[rows] += np.nansum(fold.actual, axis=1)[rows]
    took_part = np.any(kept, axis=0)
    return shared_ratio(gap[took_part], actual[took_part])


def _finite_mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _total_pinball(losses: _Losses, segment: str | None) -> float:
    """Of total demand at the protection horizons over its mean."""
    loss, weight = np.zeros((2, len(losses[0][2])))
    took_part = np.zeros(len(loss), dtype=bool)
    for fold, lost, actual in losses:
        kept = np.isfinite(actual) & (True if segment is None else fold.nature.segment == segment)
        loss[kept] += lost[kept]
        weight[kept] += actual[kept]
        took_part |= kept
    return shared_ratio(loss[took_part], weight[took_part])


def _losses(folds: Sequence[Fold], name: str, config: TrainingConfig) -> _Losses:
    """For all segments at once: each fold is calibrated on the other blocks, whatever the segment."""
    found: _Losses = []
    for days in config.protection_horizons:
        calibrations = cross_calibrated(folds, lambda fold, days=days: fold.total_errors(name, days))
        for fold, calibration in zip(folds, calibrations, strict=True):
            here = fold.total_errors(name, days)
            made = distribution(here.mean, here.nature, calibration=calibration, levels=_LEVELS, days=days)
            gap = here.actual[:, None] - made.quantiles
            found.append((fold, np.maximum(_LEVELS * gap, (_LEVELS - 1) * gap).mean(axis=1), here.actual))
    return found


def _choice(scores: pd.DataFrame) -> dict[str, str]:
    """The least scaled pinball of each segment among those with a bias of at most 5 %.

    Where all are more biased, every point beyond costs a per cent. Whoever would replace the global model must win by
    3 %: smaller leads do not last into the next month. Segments without demand to score keep the moving mean.
    """
    excess = (scores["bias"].abs() - _BIAS_LIMIT).clip(lower=0.0)
    handicap = np.where(scores["model_name"].isin(_GLOBAL_ONES), 0.0, _MARGIN)
    ranked = scores.assign(is_biased=excess > 0, cost=scores["scaled_pinball"] * (1 + excess + handicap))
    ranked = ranked.sort_values(["is_biased", "cost"], kind="stable")
    chosen = ranked.drop_duplicates("segment").set_index("segment")["model_name"].to_dict()
    return {segment: chosen.get(segment, UNSCORED) for segment in DEMAND_CLASSES}


def _assembled(fold: Fold, parts: dict[str, tuple[str, ...]]) -> np.ndarray:
    mean = np.zeros(fold.actual.shape)
    for segment, names in parts.items():
        rows = fold.nature.segment == segment
        mean[rows] = np.mean([fold.means[name][rows] for name in names], axis=0)
    return mean
