"""The tournament: every contender on a panel's last weeks, scored by segment, and who is chosen for each.

Contenders are entries of `contenders`, past origins are run by `backtest`. What is made of the winners belongs in
`training`, every other score of them in `scorecard`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import pandas as pd

from retail_assets.demand import metrics
from retail_assets.demand.bias_correction import CORRECTED_CLASSES, Factors, corrected
from retail_assets.demand.calibration.backtest import Contenders, Fold, cross_calibrated, fold_origins, rolling_origin
from retail_assets.demand.calibration.conformal import distribution
from retail_assets.demand.models.contenders import (
    BLENDS,
    FAMILIES,
    GLOBAL,
    NEEDED_DAYS,
    PULLED,
    SIMPLEST_FIRST,
    SINGLE,
    UNSCORED,
    Fitted,
    contender_means,
    families_of,
    fit_family,
)
from retail_assets.demand.models.global_model import Boosting
from retail_assets.demand.noise import Weekly, gap, standard_error
from retail_assets.demand.panel import Panel
from retail_assets.demand.pooling import say_of_totals, shared_ratio
from retail_assets.demand.segments import demand_class
from retail_assets.demand.totals.aggregate import AggregateModel, fit_pull
from retail_assets.failures import PermanentFailure
from retail_assets.tables.forecast import MEAN_OF_BEST, NAIVE, QUANTILE_LEVELS
from retail_assets.tables.gold import DEMAND_CLASSES
from retail_assets.windows import MIN_TRAINING_DAYS

CHOSEN = "chosen"
_BEST_COUNT = 3
_LEAST_BACKTEST_DAYS = 28
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

    `sample` holds the series that took part and `folds` their forecasts by every contender and by `CHOSEN`, corrected
    for the bias of the other blocks where that pays.
    `scores` has a row for each segment and contender; `chosen` names the winner of each demand class, `parts` the
    contenders whose mean it is (itself, or the best three), `factors` what that mean is multiplied by on days to come.
    `losses` has a row for each origin and protection horizon. `earliest` are the families fitted before the first
    origin, `excluded` names contenders that could not compete and why.
    """

    sample: Panel
    folds: list[Fold]
    scores: pd.DataFrame
    chosen: dict[str, str]
    parts: dict[str, tuple[str, ...]]
    factors: Factors
    losses: pd.DataFrame
    earliest: dict[str, Fitted]
    excluded: dict[str, str]
    config: TrainingConfig

    def score(self, name: str) -> dict[str, float]:
        """A contender's scores, or those of `CHOSEN`, over all segments together."""
        return _segment_scores(self.folds, name, _losses(self.folds, name, self.config), segment=None)


def run_tournament(panel: Panel, config: TrainingConfig, *, every_family: bool = False) -> Tournament:
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
    field = _judged(folds, config)
    if field.scores.empty:
        raise PermanentFailure(
            f"No forecast can be scored on the weeks before {panel.as_of}: hardly anything was sold in them with stock "
            "throughout in gold/demand_daily; train on a later week."
        )
    chosen = {kind: field.winners.get(kind, UNSCORED) for kind in DEMAND_CLASSES}
    parts = {kind: field.best[kind] if name == MEAN_OF_BEST else (name,) for kind, name in chosen.items()}
    _assemble(field.folds, CHOSEN, lambda fold, kind: fold.means[chosen[kind]])
    scores = field.scores.assign(
        is_chosen=[chosen[kind] for kind in field.scores["segment"]] == field.scores["model_name"]
    )
    scores.insert(2, "trained_through_date", panel.as_of)
    return Tournament(
        sample,
        field.folds,
        scores,
        chosen,
        parts,
        factors={kind: field.factors.get(name, {}).get(kind, 1.0) for kind, name in chosen.items()},
        losses=_origin_losses(sample, field.folds, config),
        earliest=earliest,
        excluded=excluded,
        config=config,
    )


def _refuse_too_little(panel: Panel) -> None:
    if panel.day_count < MIN_TRAINING_DAYS:
        raise PermanentFailure(
            f"A demand model needs {MIN_TRAINING_DAYS} days of gold/demand_daily, and {panel.as_of} ends only "
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
    known = slice(panel.day_count + horizon)
    arrays = {name: getattr(panel, name)[:, known] for name in ("price", "discount_rate", "is_open")}
    return replace(panel, horizon=horizon, lead=panel.lead and panel.lead.of(slice(None), known), **arrays)


def _folds(
    panel: Panel, config: TrainingConfig, *, excluded: dict[str, str]
) -> tuple[Panel, list[Fold], dict[str, Fitted]]:
    """Origins in blocks: contenders are fitted anew before each, or old fits would lose to fresh baselines.

    With the folds come the series they are of, and the families fitted before the first origin.
    """
    origins = backtest_origins(panel.day_count, config)
    excluded.update(_too_young(origins[0]))
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


def backtest_origins(day_count: int, config: TrainingConfig) -> list[int]:
    """Days known at each weekly origin of the backtest, oldest first.

    They lie in the last third of a history; of a short one in the last four weeks, at most its half, or too few weeks
    would be scored to choose by.

    >>> backtest_origins(60, TrainingConfig())
    [32, 39, 46, 53]
    """
    window = max(day_count // 3, min(_LEAST_BACKTEST_DAYS, day_count // 2))
    return fold_origins(day_count, window=min(config.backtest_days, window))


def _too_young(first_origin: int) -> dict[str, str]:
    """Contenders that need more days than lie before the first origin, and why they cannot compete."""
    return {
        name: f"it needs {days} days before the first week it is scored on, and {first_origin} are there"
        for name, days in NEEDED_DAYS.items()
        if days > first_origin
    }


def _before(panel: Panel, origin: int) -> Panel:
    return panel.through(panel.dates[origin - 1].astype(object))


def _sample(panel: Panel, config: TrainingConfig) -> np.ndarray:
    """Rows of at most `tournament_sample` series of each segment, drawn by their names.

    So trainings of other weeks are scored on the same series, but for those that are new, gone or of another class.
    """
    names = panel.series["store_id"].astype(str) + "\n" + panel.series["product_id"].astype(str)
    draw = [blake2b(f"{config.seed}\n{name}".encode(), digest_size=8).digest() for name in names]
    segment, order = demand_class(panel), np.argsort(np.array(draw), kind="stable")
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
    """What the series are reconciled towards, for the backtest."""
    if set(PULLED) <= set(excluded):
        return None
    try:
        totals = fit_pull(panel)
    except Exception as error:
        excluded.update({name: f"models of totals failed: {error}" for name in PULLED})
        return None
    if not totals.groups:
        excluded.update({name: "too few days of totals" for name in PULLED})
        return None
    return totals


@dataclass(frozen=True, eq=False)
class _Field:
    """All contenders, judged: corrected folds, scores, the winner and the best three of each class, factors."""

    folds: list[Fold]
    scores: pd.DataFrame
    winners: dict[str, str]
    best: dict[str, tuple[str, ...]]
    factors: dict[str, Factors]


def _judged(folds: Sequence[Fold], config: TrainingConfig) -> _Field:
    """Corrects, scores and compares all contenders; the mean of each class's best three competes as well."""
    single = [name for name in folds[0].means if all(name in fold.means for fold in folds)]
    ready, losses, factors = list(folds), {}, {}
    for name in single:
        ready, losses[name], factors[name] = _entered(ready, name, config)
    scores = {kind: _sound_scores(ready, losses, kind) for kind in CORRECTED_CLASSES}
    scores = {kind: found for kind, found in scores.items() if found}
    best = {kind: _best(found) for kind, found in scores.items()}
    ready, losses[MEAN_OF_BEST], factors[MEAN_OF_BEST] = _entered(_with_blend(folds, ready, best), MEAN_OF_BEST, config)
    winners, rows = {}, []
    for kind, found in scores.items():
        found[MEAN_OF_BEST] = _segment_scores(ready, MEAN_OF_BEST, losses[MEAN_OF_BEST], segment=kind)
        weekly = {name: _weekly(losses[name], kind) for name in found}
        winners[kind] = choice(weekly, lag=_weeks_shared(config))
        for name, score in found.items():
            _, error = gap(weekly[name], weekly[winners[kind]], lag=_weeks_shared(config))
            parts = ", ".join(best[kind] if name == MEAN_OF_BEST else (name,))
            factor = factors.get(name, {}).get(kind, 1.0)
            known = error if np.isfinite(error) else np.nan
            described = {"parts": parts, "bias_factor": factor, "gap_error": known}
            rows.append({"segment": kind, "model_name": name, **score, **described})
    return _Field(ready, pd.DataFrame(rows), winners, best, factors)


def _sound_scores(folds: Sequence[Fold], losses: Mapping[str, "_Losses"], kind: str) -> dict[str, dict[str, float]]:
    """Scores of the contenders that have all of them in a class."""
    found = {name: _segment_scores(folds, name, lost, segment=kind) for name, lost in losses.items()}
    return {name: score for name, score in found.items() if np.isfinite(list(score.values())).all()}


def _best(found: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """The three contenders with the least loss, by name."""
    return tuple(sorted(sorted(found, key=lambda name: found[name]["scaled_pinball"])[:_BEST_COUNT]))


def _entered(folds: Sequence[Fold], name: str, config: TrainingConfig) -> tuple[list[Fold], "_Losses", Factors]:
    """The folds with a contender as it competes, its losses, and its factors for days to come.

    It is corrected in the classes in which that pays, and competes as it is elsewhere. The seasonal naive is the
    yardstick, and stands in where a contender fails: it always stays as it is.
    """
    kinds = [] if name == NAIVE else _paying(folds, name, config)
    ready, factors = corrected(folds, name, kinds) if kinds else (list(folds), {})
    return ready, _losses(ready, name, config), factors


def _paying(folds: Sequence[Fold], name: str, config: TrainingConfig) -> list[str]:
    """Classes in which the factors of other blocks lower the error of totals by more than one standard error.

    Squared, so that the mean is what is judged: quantiles are calibrated on past errors and hide a steady bias.
    """
    tried, _ = corrected(folds, name, CORRECTED_CLASSES)
    gained = _square_errors(folds, name, config) - _square_errors(tried, name, config)
    lag = _weeks_shared(config)
    return [
        kind
        for kind, weeks in zip(CORRECTED_CLASSES, gained.T, strict=True)
        if weeks.mean() > standard_error(weeks, lag=lag)
    ]


def _square_errors(folds: Sequence[Fold], name: str, config: TrainingConfig) -> np.ndarray:
    """Of totals at the protection horizons, scaled as in RMSSE and summed over each class, (folds, classes)."""
    found = np.zeros((len(folds), len(CORRECTED_CLASSES)))
    for row, fold in enumerate(folds):
        for days in config.protection_horizons:
            errors = fold.total_errors(name, days)
            square = (errors.actual - errors.mean) ** 2 / np.where(fold.step > 0, fold.step * days, np.nan)
            found[row] += [np.nansum(square[fold.profile.segment == kind]) for kind in CORRECTED_CLASSES]
    return found


def _with_blend(raw: Sequence[Fold], ready: Sequence[Fold], best: Mapping[str, tuple[str, ...]]) -> list[Fold]:
    """The folds with the mean of each class's best three, which is corrected as a contender of its own."""
    blended = [replace(fold, means=dict(fold.means)) for fold in raw]
    _assemble(
        blended,
        MEAN_OF_BEST,
        lambda fold, kind: np.mean([fold.means[name] for name in best.get(kind, (UNSCORED,))], axis=0),
    )
    both = zip(ready, blended, strict=True)
    return [replace(fold, means={**fold.means, MEAN_OF_BEST: other.means[MEAN_OF_BEST]}) for fold, other in both]


def choice(weekly: Mapping[str, Weekly], *, lag: int) -> str:
    """Who forecasts a class, by what each contender lost in each week.

    Of the single contenders the simplest serves whose loss lies within one standard error of the least (Breiman et al.
    1984, the 1 SE rule). The better blend takes its place unless the single one beats it by more than one standard
    error: a blend wins ties. Where too few weeks were scored to know noise, all tie.
    """
    blends = [name for name in weekly if name == MEAN_OF_BEST or name in BLENDS]
    single = _simplest({name: found for name, found in weekly.items() if name not in blends}, lag=lag)
    if not blends:
        return single
    blend = min(blends, key=lambda name: weekly[name].scaled)
    behind, error = gap(weekly[blend], weekly[single], lag=lag)
    return single if behind > error else blend


def _simplest(weekly: Mapping[str, Weekly], *, lag: int) -> str:
    """The simplest contender within one standard error of the least loss."""
    least = min(weekly, key=lambda name: weekly[name].scaled)
    gaps = {name: gap(found, weekly[least], lag=lag) for name, found in weekly.items()}
    return min((name for name, (behind, error) in gaps.items() if behind <= error), key=SIMPLEST_FIRST.index)


def _weekly(losses: "_Losses", segment: str) -> Weekly:
    """Of each origin, all protection horizons together; no series has the say."""
    loss_say, units_say = _says(losses, segment)
    lost: dict[int, np.ndarray] = {}
    for fold, loss, actual in losses:
        kept = np.isfinite(actual) & (fold.profile.segment == segment)
        found = [loss[kept] @ loss_say[kept], actual[kept] @ units_say[kept]]
        lost[fold.origin] = lost.get(fold.origin, np.zeros(2)) + found
    return Weekly(*np.array([lost[origin] for origin in sorted(lost)]).T)


def _weeks_shared(config: TrainingConfig) -> int:
    return max(config.protection_horizons) // 7


def _assemble(folds: Sequence[Fold], name: str, mean_of: Callable[[Fold, str], np.ndarray]) -> None:
    """Adds a contender whose series take the mean that belongs to their class."""
    for fold in folds:
        mean = np.zeros(fold.actual.shape)
        for kind in DEMAND_CLASSES:
            rows = fold.profile.segment == kind
            mean[rows] = mean_of(fold, kind)[rows]
        fold.means[name] = mean


def _origin_losses(sample: Panel, folds: Sequence[Fold], config: TrainingConfig) -> pd.DataFrame:
    """What the chosen and the seasonal naive lost at each origin and protection horizon, columns of BACKTEST_LOSSES.

    A later training compares its own chosen contenders with these on the origins both know. No series has the say in
    any sum.
    """
    chosen, naive = (_losses(folds, name, config) for name in (CHOSEN, NAIVE))
    (say, units_say), (naive_say, _) = (_says(losses, None) for losses in (chosen, naive))
    spans = np.repeat(config.protection_horizons, len(folds))
    rows = []
    for (fold, loss, actual), (_, naive_loss, _), days in zip(chosen, naive, spans, strict=True):
        known = np.isfinite(actual)
        found = {"series_count": known.sum(), "actual_units": actual[known] @ units_say[known]}
        found |= {"loss_units": loss[known] @ say[known], "naive_loss_units": naive_loss[known] @ naive_say[known]}
        origin = {"origin_date": sample.dates[fold.origin - 1].astype(object), "horizon_days": days}
        rows.append({**origin, **found})
    return pd.DataFrame(rows).query("series_count > 0").sort_values(["origin_date", "horizon_days"], ignore_index=True)


_Losses = list[tuple[Fold, np.ndarray, np.ndarray]]
"""Of each fold and protection horizon: mean quantile loss of each series' total, (n,), and what came, (n,)."""


def _segment_scores(folds: Sequence[Fold], name: str, losses: _Losses, *, segment: str | None) -> dict[str, float]:
    kept = [np.full(len(fold.actual), segment is None) | (fold.profile.segment == segment) for fold in folds]
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
    loss, units, _ = _series_totals(losses, segment)
    loss_say, units_say = _says(losses, segment)
    came = float(units @ units_say)
    return float(loss @ loss_say) / came if came > 0 else float("nan")


def _says(losses: _Losses, segment: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the series, (n,), in sums of losses and of demand, 0 … 1; no series has the say in either."""
    loss, units, took_part = _series_totals(losses, segment)
    says = np.ones((2, len(loss)))
    says[0, took_part], says[1, took_part] = say_of_totals(loss[took_part]), say_of_totals(units[took_part])
    return says[0], says[1]


def _series_totals(losses: _Losses, segment: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each series lost and sold, (n,), all origins and horizons together, and whether it was ever scored."""
    loss, units = np.zeros((2, len(losses[0][2])))
    took_part = np.zeros(len(loss), dtype=bool)
    for fold, lost, actual in losses:
        kept = np.isfinite(actual) & (True if segment is None else fold.profile.segment == segment)
        loss[kept] += lost[kept]
        units[kept] += actual[kept]
        took_part |= kept
    return loss, units, took_part


def _losses(folds: Sequence[Fold], name: str, config: TrainingConfig) -> _Losses:
    """For all segments at once: each fold is calibrated on the other blocks of every segment."""
    found: _Losses = []
    for days in config.protection_horizons:
        calibrations = cross_calibrated(folds, lambda fold, days=days: fold.total_errors(name, days))
        for fold, calibration in zip(folds, calibrations, strict=True):
            here = fold.total_errors(name, days)
            made = distribution(here.mean, here.profile, calibration=calibration, levels=_LEVELS, days=days)
            gap = here.actual[:, None] - made.quantiles
            found.append((fold, np.maximum(_LEVELS * gap, (_LEVELS - 1) * gap).mean(axis=1), here.actual))
    return found
