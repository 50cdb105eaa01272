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
    rows = [_version(*key, scores=scores) for key, scores in trainings.groupby(_VERSION, sort=True)]
    versions = pd.DataFrame(rows, columns=pd.Index(MODEL_VERSIONS.column_names))
    promoted = versions["scaled_pinball"].where(versions["promoted_on"].notna()).ffill().shift()
    return versions.assign(champion_scaled_pinball=promoted)


def version_in_force(versions: pd.DataFrame, as_of: date) -> str | None:
    """The newest version promoted on or before `as_of` and trained on days before it; None when there is none."""
    promoted = versions[versions["promoted_on"].notna()]
    known = promoted[(_dates(promoted["promoted_on"]) <= as_of) & (_dates(promoted["trained_through_date"]) < as_of)]
    if known.empty:
        return None
    return str(known.sort_values("promoted_on", kind="stable")["model_version"].iloc[-1])


def _dates(values: pd.Series) -> pd.Series:
    return pd.to_datetime(values).dt.date


def _version(week: date, version: str, trained_through: date, *, scores: pd.DataFrame) -> dict[str, object]:
    chosen = _weighted(scores[scores["is_chosen"]])
    naive = _weighted(scores[scores["model_name"] == NAIVE])
    is_better = chosen["scaled_pinball"] < naive["scaled_pinball"]
    is_unbiased = abs(chosen["bias"]) <= BIAS_LIMIT
    return {
        "model_version": version,
        "week_start_date": week,
        "trained_through_date": trained_through,
        "promoted_on": week if is_better and is_unbiased else None,
        "scaled_pinball": chosen["scaled_pinball"],
        "bias": chosen["bias"],
        "naive_scaled_pinball": naive["scaled_pinball"],
        "reason": _reason(chosen, naive, is_better=is_better, is_unbiased=is_unbiased),
    }


def _weighted(scores: pd.DataFrame) -> dict[str, float]:
    """Scores over all segments, by their number of series."""
    weight = scores["series_count"] / scores["series_count"].sum()
    return {name: float((scores[name] * weight).sum()) for name in ("scaled_pinball", "bias")}


def _reason(chosen: dict[str, float], naive: dict[str, float], *, is_better: bool, is_unbiased: bool) -> str:
    figures = f"scaled pinball {chosen['scaled_pinball']:.4f} against {naive['scaled_pinball']:.4f} of the seasonal naive"
    bias = f"bias {chosen['bias']:+.1%} (limit {BIAS_LIMIT:.0%})"
    if is_better and is_unbiased:
        return f"Promoted: {figures}, {bias}."
    cause = "not better than the seasonal naive" if not is_better else "too biased"
    return f"Not promoted, {cause}: {figures}, {bias}."
