"""Which source a series is ordered from: the best of those that can deliver, on the terms of the day the order leaves.

Offers in, one row of terms a series out. When an order leaves is calendar.py's answer; what is ordered is the plan's.
"""

from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.inventory.order_days import order_opportunities, order_weekdays
from retail_assets.tables.silver import EVERY

LONGEST_WAIT_DAYS = 7
"""Days after the as-of day by which every source has taken an order: calendars are weekly."""

_SERIES = ["store_id", "product_id"]
_VALIDITY = ("valid_from", "valid_to")
_RANKED_BY = {"_priority": "first by priority of", "_cost": "the cheapest of", "_lead": "the fastest of"}
"""What ranks the sources of a series, the first that differs decides, and how a reason says so."""


def valid_when_ordered(offers: pd.DataFrame, order_days: pd.DataFrame, *, as_of: date) -> NDArray[np.bool_]:
    """(n,) offers whose terms hold on the day the next order to their source leaves.

    Args:
        offers: store_id, supplier_id, valid_from, valid_to (missing for no end).
        order_days: supplier_id, location_id, order_weekday, as `order_weekdays` takes them.
        as_of: closed day.

    Raises:
        PermanentFailure: a weekday is not 1 … 7.
    """
    weekdays = order_weekdays(order_days, offers["supplier_id"], offers["store_id"])
    leaves = order_opportunities(as_of, weekdays, lead_time_days=0).order_date
    first, last = (pd.to_datetime(offers[name]).to_numpy().astype("datetime64[D]") for name in _VALIDITY)
    return (first <= leaves) & (np.isnat(last) | (last >= leaves))


def best_offers(offers: pd.DataFrame, order_days: pd.DataFrame, *, as_of: date) -> pd.DataFrame:
    """The offer to order by of each series that has any, with `source_choice`: why this one, empty without a choice.

    Only sources that can deliver, with a lead time and a pack, are compared; where none can, the first of all stands
    for them, so that the plan names what is missing. Terms of the store come before terms for every store, then a
    lower `priority` (missing ones last), a lower unit cost, a shorter lead time, and the name, so that the order of
    rows decides nothing. Of several terms of a source the ones that began last hold.

    Args:
        offers: store_id, product_id, location_id (`*` for every store), supplier_id, source_type, valid_from, valid_to,
            priority, unit_cost, lead_time_days (missing where the source is no known supplier), pack_units, and more.
        order_days, as_of: as in `valid_when_ordered`.
    """
    valid = offers.loc[valid_when_ordered(offers, order_days, as_of=as_of)]
    source = [*_SERIES, "location_id", "supplier_id", "source_type"]
    newest = valid.sort_values([*source, "valid_from"]).drop_duplicates(source, keep="last")
    ranked = _ranked(newest)
    best = ranked.drop_duplicates(_SERIES)
    chosen = best.assign(source_choice=_choices(ranked, best))
    return chosen.drop(columns=[name for name in chosen.columns if name.startswith("_")])


def _ranked(offers: pd.DataFrame) -> pd.DataFrame:
    """The offers, the best of each series first, with the numbers they are ranked by."""
    lead, pack = (offers[name].astype(np.float64) for name in ("lead_time_days", "pack_units"))
    rows = offers.assign(
        _cannot=~(lead.notna() & (pack > 0)),
        _is_general=offers["location_id"] == EVERY,
        _priority=offers["priority"].astype(np.float64).fillna(np.inf),
        _cost=offers["unit_cost"].astype(np.float64).fillna(np.inf),
        _lead=lead.fillna(np.inf),
    )
    return rows.sort_values([*_SERIES, "_cannot", "_is_general", *_RANKED_BY, "supplier_id", "source_type"])


def _choices(ranked: pd.DataFrame, best: pd.DataFrame) -> list[str | None]:
    """Why each best offer stands first, in words; None where it had no rival."""
    first = best.set_index(_SERIES)
    own = first.loc[pd.MultiIndex.from_frame(ranked.loc[:, _SERIES])]
    able = ranked.loc[~ranked["_cannot"]]
    is_rival = ~ranked["_cannot"].to_numpy() & (ranked["_is_general"].to_numpy() == own["_is_general"].to_numpy())
    rivals = ranked.loc[is_rival].groupby(_SERIES)
    second = rivals.nth(1).set_index(_SERIES).reindex(first.index)
    frame = pd.DataFrame(
        {
            "sources": ranked.groupby(_SERIES)["supplier_id"].nunique(),
            "able": able.groupby(_SERIES)["supplier_id"].nunique(),
            "rivals": rivals.size(),
        }
    ).reindex(first.index)
    differs = {name: (first[name] < second[name]).to_numpy() for name in _RANKED_BY}
    words = np.select(list(differs.values()), list(_RANKED_BY.values()), default="the first by name of").astype(object)
    told = zip(words, *(frame[name].fillna(0).astype(int) for name in ("rivals", "able", "sources")), strict=True)
    return [_choice(word, rivals=count, able=able, sources=sources) for word, count, able, sources in told]


def _choice(word: str, *, rivals: int, able: int, sources: int) -> str | None:
    if rivals > 1:
        return f"{word} {rivals}"
    return f"the only one of {sources} that can deliver" if able == 1 and sources > 1 else None
