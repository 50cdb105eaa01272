"""Which trained version may forecast which day: decided from the stored scores, in any order of runs.

A version is promoted on the Monday of its week when its chosen contenders beat the seasonal naive on the
same backtest with a bias inside the limit; otherwise the version in force stays.
"""

from datetime import date

import pandas as pd

from retail_assets.tables.forecast import MODEL_VERSIONS

NAIVE = "seasonal_naive"
BIAS_LIMIT = 0.10
_VERSION = ["week_start_date", "model_version", "trained_through_date"]


def model_versions(trainings: pd.DataFrame) -> pd.DataFrame:
    """Rows of forecast/model_versions.

    Args:
        trainings: forecast/demand_model, all weeks.
    """
    rows = [_version(scores) for _, scores in trainings.groupby(["week_start_date", "model_version"], sort=True)]
    versions = pd.DataFrame(rows, columns=pd.Index(MODEL_VERSIONS.column_names))
    in_force = versions["scaled_pinball"].where(versions["promoted_on"].notna()).ffill().shift()
    return versions.assign(champion_scaled_pinball=in_force)


def version_in_force(versions: pd.DataFrame, as_of: date) -> str | None:
    """The newest version promoted on or before `as_of` and trained on days before it; None when there is none."""
    promoted_on, trained_through = (pd.to_datetime(versions[name]) for name in ("promoted_on", "trained_through_date"))
    day = pd.Timestamp(as_of)
    usable = versions.assign(promoted_on=promoted_on).loc[(promoted_on <= day) & (trained_through < day)]
    if usable.empty:
        return None
    return str(usable.sort_values("promoted_on", kind="stable")["model_version"].iloc[-1])


def _version(scores: pd.DataFrame) -> dict[str, object]:
    """The row of one training from its contenders' scores."""
    first = scores.iloc[0]
    chosen = _weighted(scores.loc[scores["is_chosen"].astype(bool)])
    naive = _weighted(scores.loc[scores["model_name"] == NAIVE])
    is_better = chosen["scaled_pinball"] < naive["scaled_pinball"]
    is_unbiased = abs(chosen["bias"]) <= BIAS_LIMIT
    return {
        "model_version": first["model_version"],
        "week_start_date": first["week_start_date"],
        "trained_through_date": first["trained_through_date"],
        "promoted_on": first["week_start_date"] if is_better and is_unbiased else None,
        "scaled_pinball": chosen["scaled_pinball"],
        "bias": chosen["bias"],
        "naive_scaled_pinball": naive["scaled_pinball"],
        "reason": _reason(chosen, naive, is_better=is_better, is_unbiased=is_unbiased),
    }


def _weighted(scores: pd.DataFrame) -> dict[str, float]:
    """Scores over all segments, by the demand each stands for."""
    weight = scores["actual_units"] / scores["actual_units"].sum()
    return {name: float((scores[name] * weight).sum()) for name in ("scaled_pinball", "bias")}


def _reason(chosen: dict[str, float], naive: dict[str, float], *, is_better: bool, is_unbiased: bool) -> str:
    figures = (
        f"scaled pinball {chosen['scaled_pinball']:.4f} against {naive['scaled_pinball']:.4f} of the seasonal naive"
    )
    bias = f"bias {chosen['bias']:+.1%} (limit {BIAS_LIMIT:.0%})"
    if is_better and is_unbiased:
        return f"Promoted: {figures}, {bias}."
    cause = "not better than the seasonal naive" if not is_better else "too biased"
    return f"Not promoted, {cause}: {figures}, {bias}."
