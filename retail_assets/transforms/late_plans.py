"""Plans that came late: promoted and priced days to come that the source did not hold a horizon ahead of them.

What a plan says belongs in `demand`, which versions there are in `as_of`. A new kind of plan gets a function here.
"""

from datetime import UTC, timedelta, tzinfo

import ibis

from retail_assets.tables.silver import EVERY
from retail_assets.transforms.as_of import first_known
from retail_assets.transforms.days import day_table
from retail_assets.transforms.demand import by_store, prices_in_force
from retail_assets.windows import Window

_SERIES = ["store_id", "product_id"]


def late_discounts(
    days: Window, *, series: ibis.Table, promotions: ibis.Table, horizon_days: int, zone: tzinfo = UTC
) -> ibis.Table:
    """The promoted days that were planned less than `horizon_days` ahead.

    A day was planned when any promotion of the product in the store first covered it, at this discount or another.

    Args:
        days: days looked at.
        series: store_id, product_id of the series looked at.
        promotions: versions of silver.promotions.
        horizon_days: how far ahead forecasts look.
        zone: whose days the versions hold from.

    Returns:
        business_date, store_id, product_id and `known_on`, the first as-of day that knew of a promotion; unique.
        Days of which the first snapshot knew were planned in time: nothing says since when it had known.
    """
    known = _known(promotions, days, horizon_days=horizon_days, zone=zone)
    some = _of_late_products(known, "start_date", days, horizon_days)
    on = day_table(days)
    on = on.join(some, [on.business_date >= some.start_date, on.business_date <= some.end_date])
    on = on.select("business_date", "known_on", place_id="store_id", promoted_id="product_id")
    here = [series.product_id == on.promoted_id, ibis.or_(on.place_id == series.store_id, on.place_id == EVERY)]
    joined = series.join(on, here)
    first = joined.group_by("business_date", *_SERIES).aggregate(known_on=joined.known_on.min())
    return _late(first, "business_date", horizon_days)


def late_prices(
    days: Window, *, series: ibis.Table, prices: ibis.Table, horizon_days: int, zone: tzinfo = UTC
) -> ibis.Table:
    """The days whose price was planned less than `horizon_days` ahead; arguments and result as in `late_discounts`.

    A price was planned when its row first had it: one that is written over counts from then on. `prices` are versions
    of silver.prices.
    """
    known = _known(prices, days, horizon_days=horizon_days, zone=zone)
    said = known.group_by(*_SERIES, "valid_from", "unit_price").aggregate(known_on=known.known_on.min())
    rows = said.group_by(*_SERIES, "valid_from").aggregate(known_on=said.known_on.max())
    some = _of_late_products(rows, "valid_from", days, horizon_days)
    wanted = series.semi_join(some, "product_id").select(*_SERIES).cross_join(day_table(days))
    in_force = prices_in_force(day_table(days), some).select("business_date", *_SERIES, "known_on")
    return _late(by_store(wanted, in_force, "known_on"), "business_date", horizon_days).select(
        "business_date", *_SERIES, "known_on"
    )


def _known(versions: ibis.Table, days: Window, *, horizon_days: int, zone: tzinfo) -> ibis.Table:
    return first_known(versions, before=days.first - timedelta(days=horizon_days), zone=zone)


def _of_late_products(rows: ibis.Table, begins: str, days: Window, horizon_days: int) -> ibis.Table:
    """All rows of the products of which one row came late: most products have none."""
    dated = rows.filter(rows.known_on > days.first - timedelta(days=horizon_days))
    return rows.semi_join(_late(dated, begins, horizon_days), "product_id")


def _late(rows: ibis.Table, day: str, horizon_days: int) -> ibis.Table:
    return rows.filter(rows.known_on + ibis.interval(days=horizon_days) > rows[day])
