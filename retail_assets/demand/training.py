"""One training: the tournament, its winners fitted and calibrated; and the folder a model is kept in.

`train` is the weekly job's whole mathematics. Who competes is in `contenders`, who wins in `tournament`; what a
trained model does on a given day belongs in `forecasting`.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from retail_assets.demand.calibration.backtest import calibration_set
from retail_assets.demand.calibration.conformal import CalibrationSet, load_calibration
from retail_assets.demand.models.contenders import FAMILIES, GLOBAL, Fitted, contender_means, families_of, fit_family
from retail_assets.demand.models.global_model import GlobalModel
from retail_assets.demand.panel import Panel
from retail_assets.demand.totals.aggregate import AggregateModel, fit_aggregate, load_aggregate
from retail_assets.demand.tournament import CHOSEN, TrainingConfig, run_tournament, with_horizon
from retail_assets.failures import PermanentFailure
from retail_assets.tables.forecast import NAIVE

_LOG = logging.getLogger(__name__)
_MODEL_FILE, _SCORES_FILE = "model.json", "scores.parquet"


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Everything a forecast needs, and what the tournament found.

    `chosen` names the contender of each demand class, `parts` those whose mean its forecast is (itself, or the
    best three), `factors` what that mean is multiplied by, against bias. `fitted` holds the families these need, and
    always the global one. `excluded` names contenders that could not compete and why. `losses` of each origin of the
    backtest are stored in the lake: a model that comes back from its folder has none.
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
    factors: dict[str, float] = field(default_factory=dict)
    losses: pd.DataFrame = field(default_factory=pd.DataFrame)
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
            "factors": self.factors,
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
        factors=read.get("factors", {}),  # models trained before there were any
        version=read["version"],
    )


def train(panel: Panel, config: TrainingConfig) -> TrainedModel:
    """Lets all contenders compete on the panel's last weeks, calibrates the winners and fits them on everything.

    Raises:
        PermanentFailure: the panel holds too few days, no sale, or nothing that forecasts could be scored on.
    """
    found = run_tournament(panel, config)
    panel = with_horizon(panel, config.horizon)
    needed = [name for names in found.parts.values() for name in names]
    chosen, naive = found.score(CHOSEN), found.score(NAIVE)
    model = TrainedModel(
        trained_through=panel.as_of,
        scores=found.scores,
        chosen=found.chosen,
        parts=found.parts,
        calibration=calibration_set(found.folds, CHOSEN, horizon=config.horizon),
        fitted={name: fit_family(name, panel, config.boosting) for name in families_of([GLOBAL, *needed])},
        aggregate=_hierarchy(panel, found.earliest),
        scaled_pinball=chosen["scaled_pinball"],
        naive_scaled_pinball=naive["scaled_pinball"],
        bias=chosen["bias"],
        horizon=config.horizon,
        excluded=found.excluded,
        factors=found.factors,
        losses=found.losses,
    )
    return replace(model, version=_version(model))


def _hierarchy(panel: Panel, earliest: Mapping[str, Fitted]) -> AggregateModel | None:
    """Models of all levels, and what the series are reconciled towards; a failure leaves sums alone to speak.

    The sums they compete with are those of the global model fitted before the backtest: a later one knows its days.
    """

    def bottom(past: Panel) -> np.ndarray:
        return contender_means(past, [GLOBAL], fitted=earliest, aggregate=None).by_name[GLOBAL]

    try:
        return fit_aggregate(panel, bottom=bottom)
    except Exception as error:
        _LOG.warning(f"models of totals failed: {error}")
        return None


def _version(model: TrainedModel) -> str:
    content = hashlib.sha256()
    content.update(model.global_model.booster.model_to_string().encode())
    content.update(repr((model.chosen, model.parts, model.factors, model.aggregate)).encode())
    content.update(model.calibration.frame().to_csv(float_format="%.6g").encode())
    return f"{model.trained_through:%Y%m%d}-{content.hexdigest()[:8]}"
