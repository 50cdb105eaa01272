"""Which trained version may forecast which day: decided from the stored scores, in any order of runs.

A version is promoted on the Monday of its week when its chosen contenders beat the seasonal naive, are hardly biased,
and beat the version in force on the weeks both were scored on. What a tie does is in `_against_champion` and in
docs/decisions/0009-a-version-in-force-is-beaten-on-shared-weeks.md.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from retail_assets.demand.noise import LEAST_WEEKS, Weekly, gap
from retail_assets.tables.forecast import MODEL_VERSIONS, NAIVE

BIAS_LIMIT = 0.10
NOISE_ERRORS = 2.0
"""Standard errors of a difference up to which it may be chance."""
FIT_DAYS = 56
"""Days for which one fit serves in the backtest: no version in force older than that has a measured loss."""
RESTATED_LIMIT = 0.10
"""Share by which the demand of the same weeks may have changed between two trainings that are compared."""
_VERSION = ["week_start_date", "model_version", "trained_through_date"]


@dataclass(frozen=True)
class Training:
    """What one training says of itself: its version, and the scores of its chosen contenders over all classes.

    `contenders` names the winner of each class; a mean of the best three is the same one whichever three they are.
    """

    model_version: str
    week_start_date: date
    trained_through_date: date
    scaled_pinball: float
    bias: float
    naive_scaled_pinball: float
    contenders: dict[str, str]

    @property
    def columns(self) -> dict[str, object]:
        """Those of forecast/model_versions that the training itself decides."""
        return {name: value for name, value in vars(self).items() if name != "contenders"}


@dataclass(frozen=True)
class Compared:
    """A version beside the one in force, on the origins both backtests hold.

    `scaled` and `champion_scaled` are the losses over demand, `error` the standard error of their difference: infinite
    with fewer than 4 origins. `restated` is the share by which the demand of these origins differs. Without `is_kept`
    one of the two has no stored losses. `champion_origins` are all that the backtest of the one in force holds.
    """

    champion: Training
    is_kept: bool
    origins: int
    scaled: float
    champion_scaled: float
    error: float
    restated: float
    champion_origins: int

    @property
    def off(self) -> float:
        return self.scaled - self.champion_scaled


@dataclass(frozen=True)
class Decision:
    """Whether a version is promoted, and the words for it."""

    is_promoted: bool
    cause: str = ""


def model_versions(trainings: pd.DataFrame, losses: pd.DataFrame) -> pd.DataFrame:
    """Rows of forecast/model_versions.

    Args:
        trainings: forecast/demand_model, all weeks.
        losses: forecast/backtest_losses, all weeks. Trainings older than that table have none: they are compared
            with the seasonal naive alone.
    """
    rows: list[dict[str, object]] = []
    champion: Training | None = None
    for _, scores in trainings.groupby(["week_start_date", "model_version"], sort=True):
        training = _training(scores)
        found = None if champion is None else compared(training, champion, losses)
        decision = _decision(training, found)
        rows.append(training.columns | _decided(training, found, decision))
        champion = training if decision.is_promoted else champion
    return pd.DataFrame(rows, columns=pd.Index(MODEL_VERSIONS.column_names))


def version_in_force(versions: pd.DataFrame, as_of: date) -> str | None:
    """The newest version promoted on or before `as_of` and trained on days before it; None when there is none."""
    promoted_on, trained_through = (pd.to_datetime(versions[name]) for name in ("promoted_on", "trained_through_date"))
    day = pd.Timestamp(as_of)
    usable = versions.assign(promoted_on=promoted_on).loc[(promoted_on <= day) & (trained_through < day)]
    if usable.empty:
        return None
    return str(usable.sort_values("promoted_on", kind="stable")["model_version"].iloc[-1])


def compared(version: Training, champion: Training, losses: pd.DataFrame) -> Compared:
    """Both on the origins and horizons that the backtests of both weeks hold.

    Each origin was forecast by contenders fitted before it, in both backtests, so neither has seen the days it is
    judged on. Both losses were stored by their own training: what changed in between, data or code, shows.
    """
    weeks = pd.to_datetime(losses["week_start_date"])
    kept = ["origin_date", "horizon_days", "actual_units", "loss_units"]
    own, other = (
        losses.loc[weeks == pd.Timestamp(training.week_start_date), kept].assign(
            origin_date=lambda frame: pd.to_datetime(frame["origin_date"])
        )
        for training in (version, champion)
    )
    both = own.merge(other, on=["origin_date", "horizon_days"], suffixes=("", "_champion"))
    by_origin = both.groupby("origin_date", sort=True).sum()
    mine = Weekly(*(by_origin[name].to_numpy(dtype=float) for name in ("loss_units", "actual_units")))
    theirs = Weekly(*(by_origin[f"{name}_champion"].to_numpy(dtype=float) for name in ("loss_units", "actual_units")))
    _, error = gap(mine, theirs, lag=int(both["horizon_days"].max()) // 7 if len(both) else 0)
    return Compared(
        champion=champion,
        is_kept=len(own) > 0 and len(other) > 0,
        origins=len(by_origin),
        scaled=mine.scaled,
        champion_scaled=theirs.scaled,
        error=error,
        restated=_restated(mine.units, theirs.units),
        champion_origins=other["origin_date"].nunique(),
    )


def _restated(units: np.ndarray, before: np.ndarray) -> float:
    return float(np.abs(units - before).sum() / before.sum()) if before.sum() > 0 else 0.0


def _training(scores: pd.DataFrame) -> Training:
    """From the scores of its contenders."""
    first, chosen = scores.iloc[0], scores.loc[scores["is_chosen"].astype(bool)]
    own, naive = _weighted(chosen), _weighted(scores.loc[scores["model_name"] == NAIVE])
    return Training(
        model_version=first["model_version"],
        week_start_date=first["week_start_date"],
        trained_through_date=first["trained_through_date"],
        scaled_pinball=own["scaled_pinball"],
        bias=own["bias"],
        naive_scaled_pinball=naive["scaled_pinball"],
        contenders=dict(zip(chosen["segment"], chosen["model_name"], strict=True)),
    )


def _weighted(scores: pd.DataFrame) -> dict[str, float]:
    """Scores over all segments, by the demand each stands for."""
    weight = scores["actual_units"] / scores["actual_units"].sum()
    return {name: float((scores[name] * weight).sum()) for name in ("scaled_pinball", "bias")}


def _decision(version: Training, found: Compared | None) -> Decision:
    decision = _alone(version)
    return _against_champion(version, found) if decision.is_promoted and found is not None else decision


def _decided(version: Training, found: Compared | None, decision: Decision) -> dict[str, object]:
    """The columns that hold the decision on a version."""
    reason = f"{'Promoted' if decision.is_promoted else 'Not promoted'}{decision.cause}: {_figures(version)}"
    promoted_on = version.week_start_date if decision.is_promoted else None
    if found is None:
        return {"promoted_on": promoted_on, "reason": f"{reason}.", "champion_version": None}
    return {
        "promoted_on": promoted_on,
        "reason": f"{reason}. {_shared_figures(found)}",
        "champion_version": found.champion.model_version,
        "shared_origins": found.origins,
        "shared_scaled_pinball": found.scaled,
        "champion_scaled_pinball": found.champion_scaled,
        "gap_error": found.error if np.isfinite(found.error) else np.nan,
    }


def _alone(version: Training) -> Decision:
    """What a version must be whichever is in force."""
    if not version.scaled_pinball < version.naive_scaled_pinball:
        return Decision(False, ", not better than the seasonal naive")
    if not abs(version.bias) <= BIAS_LIMIT:
        return Decision(False, ", too biased")
    return Decision(True)


def _against_champion(version: Training, found: Compared) -> Decision:
    """A better version is promoted, a worse one is not; a tie keeps the old one unless the new one is its refit.

    So that no model grows stale, three ties promote: the same contenders won in every class, which is the same model
    fitted on newer days; the version in force learnt from so short a history that hardly any weeks could judge it; or
    it is older than any fit the backtest has judged.
    """
    if not found.is_kept:
        return Decision(True, ", without losses by week to compare with the version in force")
    if found.restated > RESTATED_LIMIT:
        return Decision(False, _restated_cause(found))
    if found.off > NOISE_ERRORS * found.error:
        return Decision(False, ", worse than the version in force")
    if found.off < -NOISE_ERRORS * found.error:
        return Decision(True, ", better than the version in force")
    if version.contenders == found.champion.contenders:
        return Decision(True, ", as good as the version in force and the same contenders fitted on newer days")
    if found.champion_origins <= LEAST_WEEKS:
        weeks = "1 week" if found.champion_origins == 1 else f"{found.champion_origins} weeks"
        return Decision(True, f", as good as the version in force, which a short history judged on {weeks} only")
    age = (pd.Timestamp(version.trained_through_date) - pd.Timestamp(found.champion.trained_through_date)).days
    if age >= FIT_DAYS:
        return Decision(True, f", as good as the version in force, whose data end {age} days earlier")
    return Decision(False, ", not better than the version in force beyond noise")


def _restated_cause(found: Compared) -> str:
    week = pd.Timestamp(found.champion.week_start_date).date()
    return (
        f", the demand of the same weeks changed by {found.restated:.0%} since the version in force was trained (check"
        f" the source; if the new figures are right, train the week of {week} again)"
    )


def _figures(version: Training) -> str:
    loss, naive = version.scaled_pinball, version.naive_scaled_pinball
    return (
        f"scaled pinball {loss:.4f} against {naive:.4f} of the seasonal naive,"
        f" bias {version.bias:+.1%} (limit {BIAS_LIMIT:.0%})"
    )


def _shared_figures(found: Compared) -> str:
    name = found.champion.model_version
    if not found.is_kept:
        return f"Version {name} was in force."
    if found.origins < LEAST_WEEKS:
        return f"Only {found.origins} weeks were scored for version {name} as well, too few to compare."
    return (
        f"On the {found.origins} weeks scored for both: {found.scaled:.4f} against {found.champion_scaled:.4f} of"
        f" version {name}, standard error {found.error:.4f}."
    )
