"""One training: fit, backtest every contender, choose by segment, calibrate; and the folder a model is kept in.

`train` is the weekly job's whole mathematics; a new contender is one more entry in `contenders`. What a
trained model does on a given day belongs in `forecasting`.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from retail_assets.demand import metrics
from retail_assets.demand.aggregate import AggregateModel, fit_aggregate, fit_pull, load_aggregate
from retail_assets.demand.backtest import Contenders, Fold, calibration_set, fold_origins, joined, rolling_origin
from retail_assets.demand.conformal import CalibrationSet, calibrate, distribution, load_calibration
from retail_assets.demand.contenders import (
    BLENDS,
    FAMILIES,
    GLOBAL,
    NAIVE,
    PULLED,
    SINGLE,
    UNSCORED,
    Fitted,
    contender_means,
    families_of,
    fit_family,
)
from retail_assets.demand.global_model import Boosting, GlobalModel
from retail_assets.demand.panel import Panel
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
_LOG = logging.getLogger(__name__)
_MODEL_FILE, _SCORES_FILE = "model.json", "scores.parquet"


@dataclass(frozen=True)
class TrainingConfig:
    """What a training may cost and what it is judged by.

    Attributes:
        horizon: days forecast ahead.
        protection_horizons: days over which total demand is scored.
        max_train_origins: forecast origins the global model learns from.
        max_train_rows: cells it learns from, at most.
        tournament_sample: series per segment in the backtest.
        backtest_days: days before the last one that the backtest covers.
        backtest_fits: how often contenders are fitted anew inside it.
    """

    horizon: int = 28
    protection_horizons: tuple[int, ...] = (7, 14)
    max_train_origins: int = 52
    max_train_rows: int = 150_000
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
class TrainedModel:
    """Everything a forecast needs, and what the tournament found.

    `chosen` names the contender of each demand class, `parts` those whose mean its forecast is (itself, or the
    best three). `fitted` holds the families these need, and always the global one. `excluded` names contenders that
    could not compete and why.
    """

    trained_through: date
    scores: pd.DataFrame
    chosen: dict[str, str]
    parts: dict[str, tuple[str, ...]]
    calibration: CalibrationSet
    fitted: dict[str, Fitted]
    aggregate: AggregateModel | None
    scaled_pinball: float
    naive_scaled_pinball: float
    bias: float
    horizon: int
    excluded: dict[str, str] = field(default_factory=dict)
    version: str = ""

    @property
    def global_model(self) -> GlobalModel:
        found = self.fitted[GLOBAL]
        assert isinstance(found, GlobalModel)
        return found

    def save(self, folder: Path) -> None:
        """Writes LightGBM text, JSON and Parquet into `folder`, which is made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        described = {
            "version": self.version,
            "trained_through": self.trained_through.isoformat(),
            "chosen": self.chosen,
            "parts": self.parts,
            "scaled_pinball": self.scaled_pinball,
            "naive_scaled_pinball": self.naive_scaled_pinball,
            "bias": self.bias,
            "horizon": self.horizon,
            "excluded": self.excluded,
            "fitted": list(self.fitted),
            "has_aggregate": self.aggregate is not None,
        }
        (folder / _MODEL_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")
        self.scores.to_parquet(folder / _SCORES_FILE, index=False)
        self.calibration.save(folder)
        for name, fitted in self.fitted.items():
            (folder / name).mkdir(exist_ok=True)
            fitted.save(folder / name)
        if self.aggregate is not None:
            self.aggregate.save(folder)


def load_model(folder: Path) -> TrainedModel:
    """Reads what `TrainedModel.save` wrote.

    Raises:
        PermanentFailure: the folder holds no model.
    """
    try:
        read = json.loads((folder / _MODEL_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PermanentFailure(f"{folder} holds no demand model, {_MODEL_FILE} is missing; train one first.") from error
    return TrainedModel(
        trained_through=date.fromisoformat(read["trained_through"]),
        scores=pd.read_parquet(folder / _SCORES_FILE),
        chosen=read["chosen"],
        parts={name: tuple(parts) for name, parts in read["parts"].items()},
        calibration=load_calibration(folder),
        fitted={name: FAMILIES[name].load(folder / name) for name in read["fitted"]},
        aggregate=load_aggregate(folder) if read["has_aggregate"] else None,
        scaled_pinball=read["scaled_pinball"],
        naive_scaled_pinball=read["naive_scaled_pinball"],
        bias=read["bias"],
        horizon=read["horizon"],
        excluded=read["excluded"],
        version=read["version"],
    )


def train(panel: Panel, config: TrainingConfig) -> TrainedModel:
    """Fits, lets all contenders compete on the panel's last weeks, chooses by segment and calibrates.

    The backtest's models are fitted before its first origin; the model returned is fitted on everything.

    Raises:
        PermanentFailure: the panel holds too few days, no sale, or nothing that forecasts could be scored on.
    """
    _refuse_too_little(panel)
    panel = _with_horizon(panel, config.horizon)
    excluded = {name: family.refused for name, family in FAMILIES.items() if family.refused}
    folds, earliest = _folds(panel, config, excluded=excluded)
    scores, best = _tournament(folds, config)
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
    every = {name: _segment_scores(folds, name, _losses(folds, name, config), segment=None) for name in (CHOSEN, NAIVE)}
    needed = [name for names in parts.values() for name in names]
    model = TrainedModel(
        trained_through=panel.as_of,
        scores=scores,
        chosen=chosen,
        parts=parts,
        calibration=calibration_set(folds, CHOSEN, horizon=config.horizon),
        fitted={name: fit_family(name, panel, config.boosting) for name in families_of([GLOBAL, *needed])},
        aggregate=_hierarchy(panel, earliest),
        scaled_pinball=every[CHOSEN]["scaled_pinball"],
        naive_scaled_pinball=every[NAIVE]["scaled_pinball"],
        bias=every[CHOSEN]["bias"],
        horizon=config.horizon,
        excluded=excluded,
    )
    return replace(model, version=_version(model))


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


def _with_horizon(panel: Panel, horizon: int) -> Panel:
    if horizon > panel.horizon:
        raise ValueError(f"the panel knows {panel.horizon} days ahead, the training wants {horizon}")
    known = panel.day_count + horizon
    arrays = {name: getattr(panel, name)[:, :known] for name in ("price", "discount_rate", "is_open")}
    return replace(panel, horizon=horizon, **arrays)


def _folds(panel: Panel, config: TrainingConfig, *, excluded: dict[str, str]) -> tuple[list[Fold], dict[str, Fitted]]:
    """Origins in blocks: contenders are fitted anew before each, or old fits would lose to fresh baselines.

    The families fitted before the first origin come with the folds.
    """
    origins = fold_origins(panel.day_count, window=min(config.backtest_days, panel.day_count // 3))
    sample = panel.take(_sample(_before(panel, origins[0]), config))
    folds: list[Fold] = []
    earliest: dict[str, Fitted] = {}
    for block in np.array_split(origins, min(config.backtest_fits, len(origins))):
        past = _before(panel, int(block[0]))
        fitted = _fitted_families(past, config, excluded)
        folds += rolling_origin(sample, _contenders(past, fitted, excluded), origins=block.tolist())
        earliest = earliest or fitted
    return folds, earliest


def _before(panel: Panel, origin: int) -> Panel:
    return panel.through(panel.dates[origin - 1].astype(object))


def _sample(panel: Panel, config: TrainingConfig) -> np.ndarray:
    """Rows of at most `tournament_sample` series of each segment."""
    segment, rng = demand_class(panel), np.random.default_rng(config.seed)
    drawn = [rng.permutation(np.flatnonzero(segment == name))[: config.tournament_sample] for name in DEMAND_CLASSES]
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


def _hierarchy(panel: Panel, earliest: Mapping[str, Fitted]) -> AggregateModel | None:
    """Models of all levels, and what the series are pulled towards; a failure leaves sums alone to speak.

    The sums they compete with are those of the global model fitted before the backtest: a later one knows its days.
    """

    def bottom(past: Panel) -> np.ndarray:
        return contender_means(past, [GLOBAL], fitted=earliest, aggregate=None).by_name[GLOBAL]

    try:
        return fit_aggregate(panel, bottom=bottom)
    except Exception as error:
        _LOG.warning(f"models of totals failed: {error}")
        return None


def _tournament(folds: Sequence[Fold], config: TrainingConfig) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
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
        "bias": metrics.bias(known, mean),
        "wape": metrics.wape(scored, mean),
        "rmsse": _finite_mean(metrics.series_rmsse(scored, mean, scale=step)),
        "series_count": float(np.any(kept, axis=0).sum()),
        "actual_units": float(np.nansum(known)),
    }


def _finite_mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _total_pinball(losses: _Losses, segment: str | None) -> float:
    """Of total demand at the protection horizons over its mean."""
    loss = weight = 0.0
    for fold, lost, actual in losses:
        kept = np.isfinite(actual) & (True if segment is None else fold.nature.segment == segment)
        loss, weight = loss + lost[kept].sum(), weight + actual[kept].sum()
    return float(loss / weight) if weight > 0 else float("nan")


def _losses(folds: Sequence[Fold], name: str, config: TrainingConfig) -> _Losses:
    """For all segments at once: each fold is calibrated on the other folds, whatever the segment."""
    found: _Losses = []
    for days in config.protection_horizons:
        errors = [fold.total_errors(name, days) for fold in folds]
        for number, here in enumerate(errors):
            others = joined([part for other, part in enumerate(errors) if other != number] or [here])
            made = distribution(here.mean, here.nature, calibration=calibrate(others), levels=_LEVELS)
            gap = here.actual[:, None] - made.quantiles
            found.append((folds[number], np.maximum(_LEVELS * gap, (_LEVELS - 1) * gap).mean(axis=1), here.actual))
    return found


def _choice(scores: pd.DataFrame) -> dict[str, str]:
    """The least scaled pinball of each segment.

    Every point of bias beyond 5 % costs a per cent of it, and whoever would replace the global model must win by
    3 %: smaller leads do not last into the next month. Segments without demand to score keep the moving mean.
    """
    excess = (scores["bias"].abs() - _BIAS_LIMIT).clip(lower=0.0)
    handicap = np.where(scores["model_name"].isin(_GLOBAL_ONES), 0.0, _MARGIN)
    ranked = scores.assign(cost=scores["scaled_pinball"] * (1 + excess + handicap)).sort_values("cost", kind="stable")
    chosen = ranked.drop_duplicates("segment").set_index("segment")["model_name"].to_dict()
    return {segment: chosen.get(segment, UNSCORED) for segment in DEMAND_CLASSES}


def _assembled(fold: Fold, parts: dict[str, tuple[str, ...]]) -> np.ndarray:
    mean = np.zeros(fold.actual.shape)
    for segment, names in parts.items():
        rows = fold.nature.segment == segment
        mean[rows] = np.mean([fold.means[name][rows] for name in names], axis=0)
    return mean


def _version(model: TrainedModel) -> str:
    content = hashlib.sha256()
    content.update(model.global_model.booster.model_to_string().encode())
    content.update(repr((model.chosen, model.parts, model.aggregate)).encode())
    content.update(model.calibration.frame().to_csv(float_format="%.6g").encode())
    return f"{model.trained_through:%Y%m%d}-{content.hexdigest()[:8]}"
