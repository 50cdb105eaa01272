"""What is in stock and on order for each series, and which of it the next decision may count on.

Open lines of the ERP and approved proposals that it does not show yet count once each; the size of the order does
not belong here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Dates, Days, Flags
from retail_assets.inventory.cumulative_forecast import delay_probabilities, series_index
from retail_assets.inventory.order_days import Opportunities
from retail_assets.inventory.plan.inputs import PlanInputs

UNMATCHED_DAYS = 2
"""Days after its approval from which a proposal without a purchase order is named."""
LAPSED_NAMED_DAYS = 14
"""Days for which an approved proposal is named after it stopped counting."""


@dataclass(frozen=True)
class Position:
    """Stock and orders of n series, in units.

    on order = counted + beyond + stopped; late is the part of it that is overdue; `before_delivery` arrives before
    the order decided now. `coming` (n, j) are the dated lines of which any is counted or beyond, promised for day
    `promised` (n, j) after the first day to come, below 0 when overdue; the earliest comes first. An approved proposal
    that lapsed is nowhere among them, `has_lapsed` names it.
    """

    on_hand: Array
    has_stock: Flags
    on_order: Array
    counted: Array
    late: Array
    beyond: Array
    stopped: Array
    before_delivery: Array
    has_unmatched: Flags
    has_undated: Flags
    has_lapsed: Flags
    has_misbooked: Flags
    coming: Array
    promised: Days

    @property
    def usable_on_hand(self) -> Array:
        """A negative stock is a booking error: it counts as none."""
        return np.maximum(self.on_hand, 0.0)

    @property
    def inventory_position(self) -> Array:
        return self.usable_on_hand + self.counted


def stock_position(
    inputs: PlanInputs,
    series: pd.MultiIndex,
    opportunities: Opportunities,
    *,
    overdue_days_max: int,
    lead_times: Mapping[str, float],
) -> Position:
    """Position of each series.

    Open lines count when they are expected before the next delivery. Overdue ones keep their quantity and are
    expected at the median of their supplier's delays beyond today; after `overdue_days_max` they stop counting. Lines
    without a promised date are taken as promised after the lead time of their supplier (`lead_times`, days); where that
    is unknown, they never come before the next delivery.
    Approved proposals count from their expected date until `overdue_days_max` after it, then they lapse; unmatched
    means that the date has passed, or that the decision (`decided_at`, where given) is two days old at closing.
    The order of the rows changes nothing, to the last bit.
    """
    as_of = inputs.as_of
    lines = _expected_lines(
        inputs.open_orders,
        as_of,
        delays=inputs.delays,
        overdue_days_max=overdue_days_max,
        lead_times=lead_times,
    )
    approved = _approved_lines(inputs.decisions, as_of)
    ago = (np.datetime64(as_of, "D") - _dates(approved["arrives"])).astype(np.int64) - overdue_days_max
    incoming, row = _in_order(series, pd.concat([lines, approved.loc[ago <= 0]], ignore_index=True))
    lapsed = series.get_indexer(series_index(approved.loc[(ago > 0) & (ago <= LAPSED_NAMED_DAYS)]))
    units, arrives = incoming["units"].to_numpy(dtype=np.float64), _dates(incoming["arrives"])
    is_stopped, is_late = incoming["is_stopped"].to_numpy(dtype=bool), incoming["is_late"].to_numpy(dtype=bool)
    in_time = ~is_stopped & (arrives < opportunities.next_delivery_date[row])

    def total(mask: Flags) -> Array:
        return np.bincount(row[mask], weights=units[mask], minlength=len(series)).astype(np.float64)

    stock, has_stock = _stock(series, inputs.on_hand)
    is_coming = ~is_stopped & incoming["promised"].notna().to_numpy()
    return Position(
        on_hand=stock,
        has_stock=has_stock,
        on_order=total(np.ones(len(row), dtype=bool)),
        counted=total(in_time),
        late=total(is_late),
        beyond=total(~is_stopped & ~in_time),
        stopped=total(is_stopped),
        before_delivery=total(~is_stopped & (arrives < opportunities.expected_delivery_date[row])),
        has_unmatched=total(incoming["is_unmatched"].to_numpy(dtype=bool)) > 0,
        has_undated=total(incoming["is_undated"].to_numpy(dtype=bool)) > 0,
        has_lapsed=np.isin(np.arange(len(series)), lapsed),
        has_misbooked=total(incoming["is_misbooked"].to_numpy(dtype=bool)) > 0,
        **_coming(incoming.loc[is_coming], row[is_coming], as_of, count=len(series)),
    )


def _in_order(series: pd.MultiIndex, lines: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """The lines of the series and the row of each, in an order that their content alone gives."""
    row = series.get_indexer(series_index(lines))
    keys = ("is_late", "is_stopped", "arrives", "units", "promised")
    order = np.lexsort([*(lines[name].to_numpy() for name in keys), row])
    order = order[row[order] >= 0]
    return lines.iloc[order], row[order]


def _coming(lines: pd.DataFrame, row: NDArray[np.intp], as_of: date, *, count: int) -> dict[str, Any]:
    """The lines of each series side by side."""
    place = pd.Series(row).groupby(row).cumcount().to_numpy()
    shape = (count, int(place.max(initial=-1)) + 1)
    coming, promised = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    coming[row, place] = lines["units"].to_numpy(dtype=np.float64)
    first = np.datetime64(as_of, "D") + 1
    promised[row, place] = (_dates(lines["promised"]) - first).astype(np.int64)
    return {"coming": coming, "promised": promised}


def _stock(series: pd.MultiIndex, on_hand: pd.DataFrame) -> tuple[Array, Flags]:
    units = on_hand["on_hand_units"].to_numpy(dtype=np.float64, na_value=np.nan)
    row = series.get_indexer(series_index(on_hand))
    stock = np.full(len(series), np.nan)
    stock[row[row >= 0]] = units[row >= 0]
    return np.nan_to_num(stock), ~np.isnan(stock)


def _expected_lines(
    open_orders: pd.DataFrame,
    as_of: date,
    *,
    delays: pd.DataFrame,
    overdue_days_max: int,
    lead_times: Mapping[str, float],
) -> pd.DataFrame:
    today = np.datetime64(as_of, "D")
    given = _dates(open_orders["promised_date"])
    promised = np.where(np.isnat(given), _usual_promise(open_orders, lead_times), given)
    overdue = np.where(np.isnat(promised), -1, (today - promised).astype(np.int64))
    is_late = overdue >= 0
    delay = _median_delay(delays, open_orders["supplier_id"].to_numpy(), overdue=np.maximum(overdue, 0))
    arrives = np.where(is_late, promised + delay.astype("timedelta64[D]"), promised)
    return pd.DataFrame(
        {
            "store_id": open_orders["store_id"].to_numpy(),
            "product_id": open_orders["product_id"].to_numpy(),
            "units": open_orders["open_units"].to_numpy(dtype=np.float64),
            "arrives": arrives.astype("datetime64[s]"),
            "promised": promised.astype("datetime64[s]"),
            "is_late": is_late,
            "is_stopped": overdue > overdue_days_max,
            "is_unmatched": False,
            "is_undated": np.isnat(given) | _flag(open_orders, "is_undated"),
            "is_misbooked": _flag(open_orders, "is_misbooked"),
        }
    )


def _usual_promise(open_orders: pd.DataFrame, lead_times: Mapping[str, float]) -> Dates:
    """Order day plus the supplier's lead time; no date where that is unknown."""
    days = np.array([lead_times.get(str(name), np.nan) for name in open_orders["supplier_id"]], dtype=np.float64)
    whole = np.where(np.isnan(days), np.timedelta64("NaT", "D"), np.nan_to_num(days).astype("timedelta64[D]"))
    return _dates(open_orders["ordered_date"]) + whole


def _approved_lines(decisions: pd.DataFrame, as_of: date) -> pd.DataFrame:
    arrives, today = _dates(decisions["expected_delivery_date"]), np.datetime64(as_of, "D")
    return pd.DataFrame(
        {
            "store_id": decisions["store_id"].to_numpy(),
            "product_id": decisions["product_id"].to_numpy(),
            "units": decisions["order_units"].to_numpy(dtype=np.float64),
            "arrives": arrives.astype("datetime64[s]"),
            "promised": arrives.astype("datetime64[s]"),
            "is_late": False,
            "is_stopped": False,
            "is_unmatched": (arrives <= today) | (_decision_days(decisions) <= today - UNMATCHED_DAYS),
            "is_undated": False,
            "is_misbooked": False,
        }
    )


def _flag(lines: pd.DataFrame, name: str) -> Flags:
    return lines[name].to_numpy(dtype=bool) if name in lines else np.zeros(len(lines), dtype=bool)


def _decision_days(decisions: pd.DataFrame) -> Dates:
    """The day of `decided_at`, as its zone counts; none where it is not given."""
    if "decided_at" not in decisions or decisions.empty:
        return np.full(len(decisions), "NaT", dtype="datetime64[D]")
    return _dates(pd.to_datetime(decisions["decided_at"]).dt.tz_localize(None))


def _median_delay(delays: pd.DataFrame, supplier_ids: NDArray[Any], *, overdue: NDArray[np.int64]) -> NDArray[np.int64]:
    """Median delay of lines that are already `overdue` days late and have not come, at least a day more."""
    probabilities = delay_probabilities(delays, supplier_ids)
    reached = np.cumsum(probabilities, axis=1)
    days = np.arange(probabilities.shape[1])
    so_far = np.where(days <= overdue[:, None], probabilities, 0.0).sum(axis=1, keepdims=True)
    is_median = (days > overdue[:, None]) & (reached >= so_far + 0.5 * (1 - so_far) - 1e-12)
    is_known = is_median.any(axis=1) & (so_far[:, 0] < 1 - 1e-9)
    return np.where(is_known, is_median.argmax(axis=1), overdue + 1)


def _dates(column: Any) -> Dates:
    return pd.to_datetime(column).to_numpy().astype("datetime64[D]")
