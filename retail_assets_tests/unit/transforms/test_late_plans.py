"""Which planned days came late, against versions given by hand."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pytest

from retail_assets.tables import silver
from retail_assets.transforms.late_plans import late_discounts, late_prices
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import MOMENT, records, table_of

# ibis 12 calls fetch_arrow_table, which DuckDB 2 renamed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

FIRST = MOMENT.date()
DAYS = Window(FIRST - timedelta(days=20), FIRST + timedelta(days=40))
SERIES = ibis.memtable({"store_id": ["S1", "S2", "S1"], "product_id": ["P1", "P1", "P2"]})
Given = Sequence[dict[str, Any]]


def _at(night: int) -> datetime:
    """The moment of the snapshot that speaks for the day `night` days after the first snapshot's own."""
    return MOMENT + timedelta(days=night + 1)


def _day(number: int) -> date:
    return FIRST + timedelta(days=number)


def _promotion(start: int, end: int, seen: int | None, **other: Any) -> dict[str, Any]:
    row = {"promotion_id": "X", "store_id": "*", "product_id": "P1", "discount_rate": 0.2}
    first_seen = MOMENT if seen is None else _at(seen)
    return row | {"start_date": _day(start), "end_date": _day(end), "first_seen_at": first_seen} | other


def _price(start: int, value: str, seen: int | None, **other: Any) -> dict[str, Any]:
    row = {"store_id": "*", "product_id": "P1", "valid_from": _day(start), "unit_price": Decimal(value)}
    return row | {"first_seen_at": MOMENT if seen is None else _at(seen)} | other


OTHER_PROMOTION = _promotion(1, 3, None, promotion_id="FIRST", product_id="P9")
"""So that the table has a first snapshot, which cannot tell since when it knew."""
OTHER_PRICE = _price(-90, "5.0000", None, product_id="P9")


def _discounts(rows: Given, horizon_days: int = 7, **zone: Any) -> list[tuple[Any, ...]]:
    """Day, store, product and first day that knew, as numbers of days after the first snapshot's."""
    versions = table_of(silver.PROMOTIONS, [OTHER_PROMOTION, *rows])
    return _numbered(late_discounts(DAYS, series=SERIES, promotions=versions, horizon_days=horizon_days, **zone))


def _prices(rows: Given, horizon_days: int = 7) -> list[tuple[Any, ...]]:
    versions = table_of(silver.PRICES, [OTHER_PRICE, *rows])
    return _numbered(late_prices(DAYS, series=SERIES, prices=versions, horizon_days=horizon_days))


def _numbered(late: ibis.Table) -> list[tuple[Any, ...]]:
    found = records(late, "business_date", "store_id", "product_id", "known_on")
    return sorted(((day - FIRST).days, store, product, (known - FIRST).days) for day, store, product, known in found)


def test_a_promotion_is_late_on_the_days_it_was_not_planned_a_horizon_ahead_of() -> None:
    """Known at the end of day 9, promoted on days 14 to 20: seven days ahead is day 16 and later."""
    late = _discounts([_promotion(14, 20, seen=9)])
    assert late == [(day, store, "P1", 9) for day in (14, 15) for store in ("S1", "S2")]
    assert _discounts([_promotion(14, 20, seen=7)]) == []


def test_what_the_first_snapshot_knew_was_in_time() -> None:
    assert _discounts([_promotion(-15, 20, seen=None)]) == []
    assert _prices([_price(-300, "4.0000", None), _price(2, "6.0000", None)]) == []


def test_a_promotion_entered_after_its_days_is_late_on_all_of_them() -> None:
    assert _discounts([_promotion(2, 4, seen=9, store_id="S1")]) == [(day, "S1", "P1", 9) for day in (2, 3, 4)]


def test_the_first_promotion_planned_for_a_day_counts_whatever_its_discount_and_store() -> None:
    early = _promotion(14, 15, seen=2, store_id="S1", promotion_id="Y")
    late = _discounts([early, _promotion(14, 15, seen=12), early | {"discount_rate": 0.5, "first_seen_at": _at(13)}])
    assert late == [(day, "S2", "P1", 12) for day in (14, 15)]


def test_days_added_to_a_promotion_are_late_and_its_others_are_not() -> None:
    assert _discounts([_promotion(14, 15, seen=2), _promotion(14, 17, seen=14)]) == [
        (day, store, "P1", 14) for day in (16, 17) for store in ("S1", "S2")
    ]


def test_a_promotion_that_left_the_source_after_its_days_was_still_planned_when_it_was() -> None:
    gone = _promotion(14, 15, seen=20) | {"is_deleted": True}
    assert _discounts([_promotion(14, 15, seen=2), gone]) == []
    assert [row[3] for row in _discounts([_promotion(14, 14, seen=12), gone])] == [12, 12]


def test_days_begin_where_the_stores_are() -> None:
    """Read at 05:00 UTC: on the evening before in Los Angeles, so that it speaks for the day before that."""
    promotion = [_promotion(14, 14, seen=12, store_id="S1")]
    assert _discounts(promotion, zone=ZoneInfo("America/Los_Angeles")) == [(14, "S1", "P1", 11)]


def test_a_price_is_late_until_it_was_known_a_horizon_ahead() -> None:
    late = _prices([_price(-90, "4.0000", None), _price(10, "6.0000", seen=9)])
    assert late == [(day, store, "P1", 9) for day in range(10, 16) for store in ("S1", "S2")]


def test_a_price_of_the_store_stands_before_one_for_all() -> None:
    own = [_price(-90, "4.0000", None, store_id="S1"), _price(-90, "4.0000", None)]
    assert {row[1] for row in _prices([*own, _price(10, "6.0000", seen=9)])} == {"S2"}
    assert {row[1] for row in _prices([*own, _price(10, "6.0000", seen=9, store_id="S1")])} == {"S1"}


def test_a_price_written_over_counts_from_then_on_and_the_same_one_again_does_not() -> None:
    planned = _price(10, "6.0000", seen=1)
    assert _prices([planned, planned | {"first_seen_at": _at(8)}]) == []
    over = _prices([planned, planned | {"unit_price": Decimal("7.0000"), "first_seen_at": _at(8)}])
    assert {(row[0], row[3]) for row in over} == {(day, 8) for day in range(10, 15)}


def test_a_table_without_rows_has_no_late_plans() -> None:
    none = table_of(silver.PROMOTIONS, [])
    assert records(late_discounts(DAYS, series=SERIES, promotions=none, horizon_days=7)) == []
    assert records(late_prices(DAYS, series=SERIES, prices=table_of(silver.PRICES, []), horizon_days=7)) == []
