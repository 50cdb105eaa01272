"""Why the global model expects what it expects: its forecast of a week as a level times a factor per group of causes.

Contributions follow the path of each day through every tree: a split adds the change in the mean of the training
rows it makes, to the group of its regressor; Shapley values agree (correlation 0.84 to 0.99 by group) at hundreds
of times the cost. Choosing words for planners belongs in the dashboard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from retail_assets.demand.effects.known_effects import NO_EFFECTS, KnownEffects
from retail_assets.demand.models.baselines import WEEK
from retail_assets.demand.models.features import EVENT_TYPES, design, feature_names
from retail_assets.demand.models.global_model import GlobalModel, shards
from retail_assets.demand.panel import Panel

if TYPE_CHECKING:
    import lightgbm as lgb

GROUPS: dict[str, tuple[str, ...]] = {
    "level": (
        "log_level",
        "mean_28",
        "mean_56",
        "smoothed_0.1",
        "smoothed_0.03",
        "deviation_28",
        "deviation_112",
        "sold_share_28",
        "sold_share_112",
        "days_since_sale",
        "age_days",
        "store_level",
        "department_level",
        "store_department_level",
        "product_level",
        "product_share",
        "store_share",
        "store_code",
        "department_code",
    ),
    "trend": (
        "mean_7",
        "mean_14",
        "mean_112",
        "mean_364",
        "smoothed_0.3",
        "smoothed_0.01",
        "last_day",
        "horizon",
        *(f"{group}_trend_{d}" for group in ("store", "department", "store_department", "product") for d in (7, 28)),
    ),
    "season": (
        "weekday",
        "day_of_month",
        "day_of_year",
        "own_year_ago",
        *(f"weekday_mean_{weeks}" for weeks in (1, 4, 8, 26, 52)),
        *(f"{group}_weekday" for group in ("store_department", "product")),
        *(f"{group}_year_ago" for group in ("department", "store_department", "product")),
    ),
    "price": ("price_ratio", "price_step", "price_level", "days_since_price_change", "last_price_change"),
    "promotion": (
        "discount",
        "discount_last",
        "discount_28",
        "promoted_share",
        "days_since_promotion",
        "promotion_day",
        "promotion_days_left",
    ),
    "holiday": (
        *(f"event_type_{number}" for number in range(EVENT_TYPES)),
        "event_name",
        "event_lift",
        "days_to_event",
        "days_since_event",
    ),
}
"""Regressors by cause: every regressor of the global model is in exactly one group."""

FACTORS = tuple(f"{name}_factor" for name in GROUPS if name != "level")
_LEVEL, _PROMOTION = list(GROUPS).index("level"), list(GROUPS).index("promotion")
_NOTABLE = 0.02
_CACHED_ROWS = 4096


def group_numbers(names: Sequence[str]) -> np.ndarray:
    """Position in `GROUPS` of each regressor.

    Raises:
        ValueError: a regressor is in no group, or in several.
    """
    found = {name: [number for number, members in enumerate(GROUPS.values()) if name in members] for name in names}
    wrong = [name for name, numbers in found.items() if len(numbers) != 1]
    if wrong:
        raise ValueError(f"put each of {', '.join(wrong)} in exactly one group of the explanation")
    return np.array([numbers[0] for numbers in found.values()])


def explain(
    model: GlobalModel, panel: Panel, *, effects: KnownEffects = NO_EFFECTS, published: np.ndarray | None = None
) -> pd.DataFrame:
    """The forecast of each series and week ahead as a product; a week without an open day has no row.

    `mean_units`, demand a day over the week's open days, is `level_units` times every factor. All days of the week
    are explained; their log contributions are averaged with the weights of the logarithmic mean index (Ang 2004),
    which leave no remainder.

    Args:
        effects: what the model's plain demand was multiplied by; it counts as promotion.
        published: the forecast (n, H) given out, when it is not the model's own: `adjustment_factor` is what it
            adds to the model (totals, other contenders, planners); else 1.
    """
    parts = [_week(panel, week, found) for week, found in _weeks(model, panel, effects, published=published)]
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


@dataclass(frozen=True, eq=False)
class _Explained:
    """Of all series in one week: base (n,), log factors (n, groups), mean units given out (n,), open days (n,)."""

    base: np.ndarray
    logs: np.ndarray
    mean: np.ndarray
    open_days: np.ndarray


def _weeks(
    model: GlobalModel, panel: Panel, effects: KnownEffects, *, published: np.ndarray | None
) -> Iterator[tuple[range, _Explained]]:
    base, contributions = contributions_of(model, effects.without(panel))
    if effects.ahead is not None:
        contributions[..., _PROMOTION] += np.log(effects.ahead)
    for first in range(0, panel.horizon, WEEK):
        week = range(first, min(first + WEEK, panel.horizon))
        inside = slice(week.start, week.stop)
        is_open = panel.future_is_open[:, inside]
        logs, ratio = _combined(contributions[:, inside], is_open)
        days = is_open.sum(axis=1)
        mean = base * ratio
        if published is not None:
            mean = (published[:, inside] * is_open).sum(axis=1) / np.maximum(days, 1)
        yield week, _Explained(base, logs, mean, days)


def _combined(contributions: np.ndarray, is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log factors (n, groups) of the mean of open days, from logs by day (n, days, groups); and that mean's ratio."""
    days = np.maximum(is_open.sum(axis=1), 1)
    total = contributions.sum(axis=-1)
    ratio = np.where(is_open, np.exp(total), 0.0).sum(axis=1) / days
    ratio = np.where(is_open.any(axis=1), ratio, 1.0)
    weight = np.where(is_open, _log_mean(total), 0.0) / (days * _log_mean(np.log(ratio)))[:, None]
    return np.einsum("nd,ndg->ng", weight, contributions), ratio


def _log_mean(log_ratio: np.ndarray) -> np.ndarray:
    """Logarithmic mean of exp(x) and 1: (exp(x) − 1) / x."""
    is_flat = np.abs(log_ratio) < 1e-8
    return np.where(is_flat, 1.0, np.expm1(log_ratio) / np.where(is_flat, 1.0, log_ratio))


def contributions_of(model: GlobalModel, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Base demand a day (n,) and log contributions (n, H, groups): base × exp(sum of them) is the model's mean."""
    source = model.source(panel)
    base = np.empty(panel.series_count)
    out = np.empty((panel.series_count, panel.horizon, len(GROUPS)))
    numbers = group_numbers(feature_names(source))
    paths = Paths.of(model.booster, numbers)
    for rows in shards(panel.series_count):
        table, level = design(source, panel.day_count, rows=rows, horizon=panel.horizon)
        base[rows] = level * np.exp(paths.expected)
        flat = table.reshape(-1, table.shape[-1])
        leaves = np.asarray(model.booster.predict(flat, pred_leaf=True, num_threads=model.threads), dtype=np.int32)
        out[rows] = paths.contributions(leaves.reshape(len(flat), -1)).reshape(len(rows), panel.horizon, -1)
    return base, out


@dataclass(frozen=True, eq=False)
class Paths:
    """What each leaf of each tree adds, by group: `steps` is (leaves of all trees, groups)."""

    expected: float
    steps: np.ndarray
    first_leaf: np.ndarray

    @classmethod
    def of(cls, booster: "lgb.Booster", groups: np.ndarray) -> "Paths":
        trees = [_Tree(tree["tree_structure"], groups) for tree in booster.dump_model()["tree_info"]]
        leaves = np.cumsum([0, *(len(tree.steps) for tree in trees)])
        return cls(
            sum(tree.expected for tree in trees),
            np.concatenate([tree.steps for tree in trees]),
            leaves[:-1].astype(np.int32),
        )

    def contributions(self, leaves: np.ndarray) -> np.ndarray:
        """(rows, groups) of rows that end in `leaves` (rows, trees)."""
        out = np.zeros((len(leaves), self.steps.shape[1]))
        for start in range(0, len(leaves), _CACHED_ROWS):
            part = out[start : start + _CACHED_ROWS]
            for leaf in np.ascontiguousarray(leaves[start : start + _CACHED_ROWS].T) + self.first_leaf[:, None]:
                part += self.steps.take(leaf, axis=0)
        return out


class _Tree:
    """Mean and path sums of one tree; a node's value is the mean of the training rows' leaves below it."""

    def __init__(self, root: dict, groups: np.ndarray) -> None:
        self._groups = groups
        self._found: dict[int, np.ndarray] = {}
        self.expected = _mean_below(root)[1]
        self._walk(root, np.zeros(len(GROUPS)))
        self.steps = np.stack([self._found[leaf] for leaf in range(len(self._found))])

    def _walk(self, node: dict, so_far: np.ndarray) -> None:
        if "split_feature" not in node:
            self._found[node.get("leaf_index", 0)] = so_far
            return
        here = _mean_below(node)[1]
        for side in ("left_child", "right_child"):
            step = so_far.copy()
            step[self._groups[node["split_feature"]]] += _mean_below(node[side])[1] - here
            self._walk(node[side], step)


def _mean_below(node: dict) -> tuple[float, float]:
    """Training rows below a node and the mean of their leaves."""
    if "split_feature" not in node:
        return max(node.get("leaf_count", 1), 1), node["leaf_value"]
    (left, low), (right, high) = _mean_below(node["left_child"]), _mean_below(node["right_child"])
    return left + right, (left * low + right * high) / (left + right)


def _week(panel: Panel, week: range, found: _Explained) -> pd.DataFrame:
    factors = np.exp(found.logs)
    modelled = found.base * factors.prod(axis=1)
    columns = {f"{name}_factor": factors[:, number] for number, name in enumerate(GROUPS) if number != _LEVEL}
    frame = pd.DataFrame(
        {
            "as_of_date": panel.as_of,
            "store_id": panel.series["store_id"].to_numpy(),
            "product_id": panel.series["product_id"].to_numpy(),
            "week_number": np.int32(week.start // WEEK + 1),
            "first_date": panel.as_of + timedelta(days=week.start + 1),
            "last_date": panel.as_of + timedelta(days=week.stop),
            "open_days": found.open_days.astype(np.int32),
            "mean_units": found.mean,
            "level_units": found.base * factors[:, _LEVEL],
            **columns,
            "adjustment_factor": found.mean / modelled,
        }
    )
    frame["main_driver"] = _main_driver(frame)
    return frame.loc[found.open_days > 0]


def _main_driver(frame: pd.DataFrame) -> np.ndarray:
    """The cause whose factor is furthest from 1; level when none moves the forecast by 2 %."""
    named = [*FACTORS, "adjustment_factor"]
    size = np.abs(np.log(np.maximum(frame[named].to_numpy(), 1e-9)))
    names = np.array([name.removesuffix("_factor") for name in named], dtype=object)
    return np.where(size.max(axis=1) >= np.log1p(_NOTABLE), names[size.argmax(axis=1)], "level")
