"""The history of snapshots against a plain list of what each snapshot held."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.transforms.as_of import append_changes, known_on, known_until, newest, validity
from retail_assets_tests.unit.ibis_frames import records

KEY, COLUMNS = ("product_id", "store_id"), ("product_id", "store_id", "price")
SINCE = date(1900, 1, 1)
DAY_ONE = date(2025, 3, 10)
_ROWS = pa.schema([("product_id", pa.string()), ("store_id", pa.string()), ("price", pa.int64())])
_VERSIONS = pa.schema([*_ROWS, ("is_deleted", pa.bool_()), ("first_seen_at", pa.timestamp("us", tz="UTC"))])

Row = tuple[str | None, str | None, int | None]
Snapshot = tuple[datetime, list[Row]]


def _at(day: int, hour: int = 4) -> datetime:
    return datetime.combine(DAY_ONE, datetime.min.time(), UTC) + timedelta(days=day, hours=hour)


def _rows(rows: Sequence[Row]) -> ibis.Table:
    return ibis.memtable(pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], schema=_ROWS))


def _history(snapshots: Sequence[Snapshot], *, tells_absence: bool = False) -> pa.Table:
    versions = pa.Table.from_pylist([], schema=_VERSIONS)
    absent_at = snapshots[0][0] if snapshots and tells_absence and not snapshots[0][1] else None
    for seen_at, rows in snapshots:
        absent = None if versions.num_rows else absent_at
        appended = append_changes(
            ibis.memtable(versions), _rows(rows), key=KEY, columns=COLUMNS, seen_at=seen_at, absent_at=absent
        )
        versions = appended.to_pyarrow().cast(_VERSIONS)
    return versions


def _known(versions: pa.Table, as_of: date) -> list[tuple[Any, ...]]:
    return records(known_on(ibis.memtable(versions), key=KEY, as_of=as_of), *COLUMNS)


def _plain(rows: Sequence[Row]) -> list[Row]:
    return sorted(set(rows), key=repr)


def test_the_same_rows_again_add_nothing() -> None:
    rows: list[Row] = [("P1", "S1", 1), ("P1", None, 2), ("P2", "S1", None)]
    once = _history([(_at(0), rows)])
    assert records(_history([(_at(0), rows), (_at(1), rows), (_at(2), rows[::-1])])) == records(once)


def test_changed_new_gone_and_returning_rows_get_a_version_and_others_none() -> None:
    first: list[Row] = [("P1", "S1", 1), ("P2", "S1", 5), ("P3", "S1", 7)]
    second: list[Row] = [("P1", "S1", 2), ("P3", "S1", 7), ("P4", "S1", 9)]
    third: list[Row] = [*second, ("P2", "S1", 5)]
    versions = _history([(_at(0), first), (_at(1), second), (_at(2), third)])
    added = [row for row in versions.to_pylist() if row["first_seen_at"] > _at(0)]
    assert sorted((r["product_id"], r["price"], r["is_deleted"], r["first_seen_at"]) for r in added) == [
        ("P1", 2, False, _at(1)),
        ("P2", 5, False, _at(2)),
        ("P2", 5, True, _at(1)),
        ("P4", 9, False, _at(1)),
    ]


def test_a_row_that_stays_away_is_told_gone_once() -> None:
    versions = _history([(_at(0), [("P1", "S1", 1)]), (_at(1), []), (_at(2), []), (_at(3), [])])
    assert records(versions, "first_seen_at", "is_deleted") == [(_at(0), False), (_at(1), True)]
    assert newest(ibis.memtable(versions), key=KEY).count().to_pyarrow().as_py() == 0


def test_missing_key_parts_are_equal_and_differ_from_a_store() -> None:
    versions = _history([(_at(0), [("P1", None, 1), ("P1", "S1", 3)]), (_at(1), [("P1", None, 2), ("P1", "S1", 3)])])
    assert versions.num_rows == 3
    assert records(newest(ibis.memtable(versions), key=KEY)) == [("P1", "S1", 3), ("P1", None, 2)]


def test_a_missing_key_part_keeps_its_place() -> None:
    versions = _history([(_at(0), [("X", None, 1), (None, "X", 2)]), (_at(1), [("X", None, 1)])])
    assert records(newest(ibis.memtable(versions), key=KEY)) == [("X", None, 1)]
    assert versions.num_rows == 3


def test_rows_that_share_a_key_change_together() -> None:
    both: list[Row] = [("P1", "S1", 1), ("P1", "S1", 2)]
    versions = _history([(_at(0), [*both, ("P1", "S1", 1)]), (_at(1), both), (_at(2), [("P1", "S1", 2)])])
    assert versions.num_rows == 3, "two at first (an exact copy is one), nothing new, then the one that is left"
    assert _known(versions, DAY_ONE) == [("P1", "S1", 1), ("P1", "S1", 2)]
    assert _known(versions, DAY_ONE + timedelta(days=1)) == [("P1", "S1", 2)]


def test_the_snapshot_of_the_day_after_speaks_for_a_day() -> None:
    versions = _history([(_at(0), [("P1", "S1", 1)]), (_at(1, 23), [("P1", "S1", 2)]), (_at(2, 0), [("P1", "S1", 3)])])
    assert known_until(DAY_ONE) == _at(2, 0)
    assert _known(versions, DAY_ONE) == [("P1", "S1", 2)]
    assert _known(versions, DAY_ONE + timedelta(days=1)) == [("P1", "S1", 3)]


def test_before_the_first_snapshot_the_first_serves_and_says_so() -> None:
    versions = ibis.memtable(_history([(_at(0), [("P1", "S1", 1)]), (_at(5), [("P1", "S1", 2), ("P9", "S1", 4)])]))
    for days, is_reconstructed, expected in ((-400, True, 1), (-2, True, 1), (-1, False, 1), (3, False, 1)):
        rows = known_on(versions, key=KEY, as_of=DAY_ONE + timedelta(days=days)).to_pyarrow().to_pylist()
        assert rows == [{"product_id": "P1", "store_id": "S1", "price": expected, "is_reconstructed": is_reconstructed}]
    assert _known(versions.to_pyarrow(), DAY_ONE + timedelta(days=4)) == [("P1", "S1", 2), ("P9", "S1", 4)]


def test_a_row_that_came_after_a_reading_without_rows_was_not_known_before() -> None:
    snapshots: list[Snapshot] = [(_at(0), []), (_at(2), []), (_at(5), [("P1", "S1", 2)])]
    versions = _history(snapshots, tells_absence=True)
    for days in (-400, -1, 0, 3):
        assert _known(versions, DAY_ONE + timedelta(days=days)) == []
    known = known_on(ibis.memtable(versions), key=KEY, as_of=DAY_ONE + timedelta(days=4))
    assert records(known, "price", "is_reconstructed") == [(2, False)]
    ranges = validity(ibis.memtable(versions), key=KEY, since=SINCE)
    assert records(ranges, "price", "valid_from", "is_reconstructed") == [(2, DAY_ONE + timedelta(days=4), False)]


def test_an_empty_history_knows_nothing() -> None:
    empty = ibis.memtable(_history([]))
    assert known_on(empty, key=KEY, as_of=DAY_ONE).count().to_pyarrow().as_py() == 0
    assert validity(empty, key=KEY, since=SINCE).count().to_pyarrow().as_py() == 0


def test_validity_of_changes_a_gap_and_two_snapshots_on_one_day() -> None:
    snapshots: list[Snapshot] = [
        (_at(0, 4), [("P1", "S1", 1), ("P2", "S1", 8)]),
        (_at(3, 4), [("P1", "S1", 2)]),
        (_at(3, 9), [("P1", "S1", 3)]),
        (_at(6, 4), [("P1", "S1", 3), ("P2", "S1", 8)]),
    ]
    rows = validity(ibis.memtable(_history(snapshots)), key=KEY, since=SINCE)
    second, sixth = DAY_ONE + timedelta(days=2), DAY_ONE + timedelta(days=5)
    columns = ("product_id", "price", "valid_from", "valid_to", "is_current", "is_reconstructed")
    assert records(rows, *columns) == [
        ("P1", 1, SINCE, second - timedelta(days=1), False, True),
        ("P1", 3, second, None, True, False),
        ("P2", 8, SINCE, second - timedelta(days=1), False, True),
        ("P2", 8, sixth, None, True, False),
    ]


def test_versions_hold_from_days_of_the_stores_zone() -> None:
    """Two in the morning in Tokyo is the day before in UTC."""
    zone = ZoneInfo("Asia/Tokyo")
    night = [datetime(2025, 3, day, 2, tzinfo=zone).astimezone(UTC) for day in (5, 11)]
    versions = ibis.memtable(_history([(night[0], [("P1", "S1", 1)]), (night[1], [("P1", "S1", 2)])]))
    assert records(validity(versions, key=KEY, since=SINCE, zone=zone), "price", "valid_from") == [
        (1, SINCE),
        (2, date(2025, 3, 10)),
    ]
    for day, price in ((9, 1), (10, 2)):
        known = known_on(versions, key=KEY, as_of=date(2025, 3, day), zone=zone)
        assert records(known, "price") == [(price,)]


_ROW = st.tuples(st.sampled_from(["P1", "P2"]), st.sampled_from(["S1", None]), st.integers(0, 2))
_UNIQUE_KEYS = st.lists(_ROW, max_size=4, unique_by=lambda row: row[:2])
_MOMENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 23)), min_size=1, max_size=4, unique=True).map(sorted)


@st.composite
def _snapshots(draw: st.DrawFn) -> list[Snapshot]:
    return [(_at(day, hour), draw(_UNIQUE_KEYS)) for day, hour in draw(_MOMENTS)]


@settings(max_examples=12, deadline=None)
@given(_snapshots(), st.integers(-3, 6), st.booleans())
def test_what_is_known_is_what_the_last_snapshot_held(snapshots: list[Snapshot], days: int, is_told: bool) -> None:
    """The oracle is the list of snapshots itself; the first one stands for what was before.

    Where its lack of rows is not told it is as if it had not been taken.
    """
    as_of = DAY_ONE + timedelta(days=days)
    begun = snapshots if is_told else [each for each in snapshots if each[1]][:1] or snapshots[:1]
    seen = [rows for seen_at, rows in snapshots if begun[0][0] <= seen_at < known_until(as_of)]
    versions = _history(snapshots, tells_absence=is_told)
    assert _known(versions, as_of) == _plain(seen[-1] if seen else begun[0][1])


@settings(max_examples=12, deadline=None)
@given(_snapshots(), st.booleans())
def test_the_dimension_says_on_every_day_what_was_known_then(snapshots: list[Snapshot], is_told: bool) -> None:
    versions = _history(snapshots, tells_absence=is_told)
    ranges = validity(ibis.memtable(versions), key=KEY, since=SINCE).to_pyarrow().to_pylist()
    for days in range(-3, 7):
        as_of = DAY_ONE + timedelta(days=days)
        holding = [r for r in ranges if r["valid_from"] <= as_of and (r["valid_to"] is None or as_of <= r["valid_to"])]
        assert _plain([(r["product_id"], r["store_id"], r["price"]) for r in holding]) == _known(versions, as_of)
