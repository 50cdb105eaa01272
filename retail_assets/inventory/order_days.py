"""When an order can leave and arrive, and how many days of demand it must therefore cover.

Dates in, dates and horizons out, many rows at once. The start-up check that the forecast reaches far enough lives
here too; how late suppliers are belongs to delays.py.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from retail_assets.arrays import Dates, Days
from retail_assets.failures import PermanentFailure
from retail_assets.tables.silver import EVERY
from retail_assets.windows import LONGEST_FORECAST_DAYS

Weekdays = NDArray[np.bool_]


REPORTED_HORIZONS = (7, 14, 28)
"""Horizons that pages and accuracy use with any supplier calendar."""


@dataclass(frozen=True)
class Opportunities:
    """The next opportunity to order of each row and the one after it; arrays (n,), dates as datetime64[D].

    `protection_days` is next delivery - 1 - as_of: what is ordered now must last until the day before that delivery.
    """

    order_date: Dates
    expected_delivery_date: Dates
    next_order_date: Dates
    next_delivery_date: Dates
    review_period_days: Days
    protection_days: Days
    before_delivery_days: Days


def order_opportunities(
    as_of: date, weekdays: Weekdays, *, lead_time_days: ArrayLike, receipt_delay_days: int = 0
) -> Opportunities:
    """The next two opportunities to order of each row.

    Args:
        as_of: closed day; an order leaves on the next day at the earliest.
        weekdays: (n, 7) Monday first, whether the supplier takes orders; a row without any takes them every day.
        lead_time_days: (n,) or one, promised days from order to delivery.
        receipt_delay_days: days from delivery to sale: 0 when goods arrive before opening, 1 when after trading.
    """
    lead = np.broadcast_to(np.asarray(lead_time_days, dtype=np.int64), (len(weekdays),)) + receipt_delay_days
    today = np.datetime64(as_of, "D")
    first = 1 + _wait(weekdays, np.full(len(weekdays), as_of.weekday() + 1))
    second = first + 1 + _wait(weekdays, as_of.weekday() + first + 1)
    return Opportunities(
        order_date=today + first,
        expected_delivery_date=today + first + lead,
        next_order_date=today + second,
        next_delivery_date=today + second + lead,
        review_period_days=second - first,
        protection_days=second + lead - 1,
        before_delivery_days=first + lead - 1,
    )


def next_delivery_days(as_of: date, terms: pd.DataFrame, order_days: pd.DataFrame) -> pd.Series:
    """Days from `as_of` until what is ordered at the next opportunity arrives, for each row of `terms` with a supplier.

    Args:
        as_of: closed day.
        terms: supplier_id, lead_time_days (missing counts as 0).
        order_days: supplier_id, location_id, order_weekday.
    """
    lead = terms["lead_time_days"].fillna(0).astype(np.int64)
    weekdays = order_weekdays(order_days, terms["supplier_id"], terms["store_id"])
    chance = order_opportunities(as_of, weekdays, lead_time_days=lead)
    return pd.Series(chance.before_delivery_days + 1, index=terms.index).where(terms["supplier_id"].notna())


def order_weekdays(
    order_days: pd.DataFrame, supplier_ids: ArrayLike, location_ids: ArrayLike | None = None
) -> Weekdays:
    """(n, 7) Monday first, whether the supplier of each row takes orders; suppliers without rows do every day.

    Rows for a store stand in place of the supplier's rows for every store.

    Args:
        order_days: supplier_id, order_weekday (ISO, 1 Monday … 7 Sunday), and location_id where stores differ: `*` or
            nothing means every store.
        supplier_ids: (n,).
        location_ids: (n,) stores; without them only rows for every store count.

    Raises:
        PermanentFailure: a weekday is not 1 … 7.
    """
    wrong = order_days[~order_days["order_weekday"].isin(range(1, 8))]
    if len(wrong):
        row = wrong.iloc[0]
        raise PermanentFailure(
            f"Supplier {row['supplier_id']} has order weekday {row['order_weekday']}: "
            "supplier_calendar needs 1 (Monday) to 7 (Sunday)."
        )
    taken = _known_weekdays(order_days, supplier_ids, location_ids)
    taken[~taken.any(axis=1)] = True
    return taken


def are_order_days_known(
    order_days: pd.DataFrame, supplier_ids: ArrayLike, location_ids: ArrayLike
) -> NDArray[np.bool_]:
    """(n,) whether `order_weekdays` knows the days of each row's supplier, or takes it for one without."""
    return np.asarray(_known_weekdays(order_days, supplier_ids, location_ids).any(axis=1))


def _known_weekdays(order_days: pd.DataFrame, supplier_ids: ArrayLike, location_ids: ArrayLike | None) -> Weekdays:
    """(n, 7) the weekdays of the row's own store, else those for every store, else none."""
    suppliers = np.asarray(supplier_ids, dtype=str)
    places = np.full(len(suppliers), EVERY) if location_ids is None else np.asarray(location_ids, dtype=str)
    general = _taken(order_days, pd.MultiIndex.from_arrays([suppliers, np.full(len(suppliers), EVERY)]))
    own = _taken(order_days, pd.MultiIndex.from_arrays([suppliers, places]))
    return np.where(own.any(axis=1, keepdims=True), own, general)


def _taken(order_days: pd.DataFrame, wanted: pd.MultiIndex) -> Weekdays:
    """(n, 7) the weekdays that order_days has for each pair of supplier and location."""
    places = order_days["location_id"] if "location_id" in order_days else pd.Series(EVERY, order_days.index)
    if wanted.empty:
        return np.zeros((0, 7), dtype=bool)
    position, pairs = wanted.factorize()
    given = pd.MultiIndex.from_arrays([order_days["supplier_id"].astype(str), places.astype(str)])
    known = pairs.get_indexer(given)
    taken = np.zeros((len(pairs), 7), dtype=bool)
    taken[known[known >= 0], order_days["order_weekday"].to_numpy(dtype=np.int64)[known >= 0] - 1] = True
    return taken[position]


def horizons_in_use(
    sourcing: pd.DataFrame,
    delays: pd.DataFrame,
    *,
    horizon_days: int,
    order_days: pd.DataFrame,
    service_measure: Literal["cycle", "fill"] = "cycle",
    receipt_delay_days: int = 0,
) -> list[int]:
    """Horizons the cumulative forecast must keep, ascending: what any plan on any weekday can ask for, and 7, 14, 28.

    A fill rate also needs demand up to the first delivery, a shelf life demand up to the day the order expires and
    over the days it can be sold; of these only what the forecast reaches.

    Args:
        sourcing: supplier_id, lead_time_days, and shelf_life_days and store_id when there is one; unknown lead times
            are left out.
        delays: supplier_id, delay_days, probability.
        horizon_days: days forecast ahead.
        order_days: supplier_id, location_id, order_weekday.
        service_measure: what the plan targets.
        receipt_delay_days: as in `order_opportunities`.

    Raises:
        PermanentFailure: a supplier's longest protection and delay exceed the forecast; it is named.
    """
    # any week does: only the weekday of the closed day matters
    rows = pd.concat(
        [
            _windows(date(2024, 1, day), sourcing, order_days, receipt_delay_days=receipt_delay_days)
            for day in range(1, 8)
        ]
    ).drop_duplicates()
    known = delays.loc[delays["probability"] > 0, ["supplier_id", "delay_days"]].astype({"delay_days": np.float64})
    late = rows.merge(known, on="supplier_id", how="left")
    days_late = late["delay_days"].fillna(0.0).to_numpy(dtype=np.int64)
    protection, before = (late[name].to_numpy(dtype=np.int64) for name in ("protection_days", "before_delivery_days"))
    _refuse_short_forecast(late, protection + days_late, horizon_days=horizon_days)
    shelf = rows[["shelf_days", "shelf_life_days"]].to_numpy(dtype=np.float64).ravel()
    wanted = {*REPORTED_HORIZONS, *shelf[~np.isnan(shelf)].astype(np.int64)}
    wanted = {days for days in wanted if days <= horizon_days} | set(protection + days_late)
    if service_measure == "fill":
        wanted |= set(before + days_late)
    return sorted(int(days) for days in wanted if days > 0)


def _windows(
    closed: date, sourcing: pd.DataFrame, order_days: pd.DataFrame, *, receipt_delay_days: int
) -> pd.DataFrame:
    """Distinct supplier, lead time, protection, days before delivery, until an order expires and of its life."""
    columns = ["supplier_id", "lead_time_days", "shelf_life_days", "store_id"]
    terms = sourcing.reindex(columns=columns).dropna(subset=columns[:2]).drop_duplicates()
    chance = order_opportunities(
        closed,
        order_weekdays(order_days, terms["supplier_id"].to_numpy(), terms["store_id"].to_numpy()),
        lead_time_days=terms["lead_time_days"].to_numpy(dtype=np.int64),
        receipt_delay_days=receipt_delay_days,
    )
    shelf = terms["shelf_life_days"].to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.DataFrame(
        {
            "supplier_id": terms["supplier_id"].to_numpy(),
            "lead_time_days": terms["lead_time_days"].to_numpy(dtype=np.int64),
            "protection_days": chance.protection_days,
            "before_delivery_days": chance.before_delivery_days,
            "shelf_days": chance.before_delivery_days + shelf,
            "shelf_life_days": shelf,
        }
    )


def _refuse_short_forecast(windows: pd.DataFrame, reach: Days, *, horizon_days: int) -> None:
    """Raises: PermanentFailure: of the suppliers whose orders reach beyond the forecast, the furthest is named."""
    if not (reach > horizon_days).any():
        return
    worst = int(reach.argmax())
    supplier, lead, cover, late = windows.iloc[worst][
        ["supplier_id", "lead_time_days", "protection_days", "delay_days"]
    ]
    past = f" and deliveries were up to {late:.0f} days late" if late > 0 else ""
    way_out = f"set RETAIL_HORIZON_DAYS to at least {reach[worst]}"
    if reach[worst] > LONGEST_FORECAST_DAYS:
        way_out = f"correct its lead time, for RETAIL_HORIZON_DAYS goes up to {LONGEST_FORECAST_DAYS}"
    raise PermanentFailure(
        f"The forecast of {horizon_days} days is too short for supplier {supplier}: with a lead time of {lead} days an "
        f"order must cover {cover} days{past}; {way_out}."
    )


def _wait(weekdays: Weekdays, start: Days) -> Days:
    """Days from weekday `start` (0 Monday, counted on past 6) to the first order weekday at or after it."""
    open_days = weekdays | ~weekdays.any(axis=1, keepdims=True)
    ahead = (start[:, None] + np.arange(7)) % 7
    return np.take_along_axis(open_days, ahead, axis=1).argmax(axis=1).astype(np.int64)
