"""Values of a source become contract types exactly, or stay as text; Python's own types are the oracle."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.sources.conversion import convert
from retail_assets.tables.contract import DATE, DAYS, FLAG, MONEY, QUANTITY, TEXT, TIMESTAMP, UNITS

NOON = dt.datetime(2024, 5, 1, 12, 0, tzinfo=dt.UTC)


def _plain(values, target):
    converted = convert(values, target)
    assert converted.array.type == target
    assert len(converted.array) == len(values)
    return converted.array.to_pylist(), converted.unparsed


@pytest.mark.parametrize(
    ("values", "target", "expected"),
    [
        ([7, None], TEXT, ["7", None]),
        ([Decimal("7"), Decimal("9007199254740993")], TEXT, ["7", "9007199254740993"]),
        ([7.0, "A 1 ", True], TEXT, ["7", "A 1 ", "true"]),
        ([dt.date(2024, 2, 29)], DATE, [dt.date(2024, 2, 29)]),
        (["2024-02-29", "2024-03-01 00:00:00.000"], DATE, [dt.date(2024, 2, 29), dt.date(2024, 3, 1)]),
        ([dt.datetime(2024, 2, 29)], DATE, [dt.date(2024, 2, 29)]),
        ([dt.datetime(2024, 5, 1, 12)], TIMESTAMP, [NOON]),
        ([dt.datetime(2024, 5, 1, 14, tzinfo=dt.timezone(dt.timedelta(hours=2)))], TIMESTAMP, [NOON]),
        (["2024-05-01 12:00:00", "2024-05-01T12:00"], TIMESTAMP, [NOON, NOON]),
        (["2024-05-01T14:00:00+02:00", "2024-05-01 12:00:00Z"], TIMESTAMP, [NOON, NOON]),
        (["2024-05-01 12:00:00", "2024-05-01T14:00:00+02:00"], TIMESTAMP, [NOON, NOON]),
        ([dt.date(2024, 5, 1)], TIMESTAMP, [NOON.replace(hour=0)]),
        ([dt.datetime(9999, 12, 31)], TIMESTAMP, [dt.datetime(9999, 12, 31, tzinfo=dt.UTC)]),
        ([Decimal("1.25"), Decimal("-0.0001")], MONEY, [Decimal("1.2500"), Decimal("-0.0001")]),
        ([3, 2.5], MONEY, [Decimal("3.0000"), Decimal("2.5000")]),
        (["12.5", "-3"], QUANTITY, [Decimal("12.500"), Decimal("-3.000")]),
        ([Decimal("3.0")], DAYS, [3]),
        (["14"], DAYS, [14]),
        ([1, Decimal("0.5"), "2.25"], UNITS, [1.0, 0.5, 2.25]),
        ([None, None], MONEY, [None, None]),
        ([], DATE, []),
    ],
)
def test_a_value_that_fits_becomes_its_type(values, target, expected):
    assert _plain(values, target) == (expected, {})


@pytest.mark.parametrize(
    ("value", "target", "kept"),
    [
        ("2023-02-29", DATE, "2023-02-29"),
        ("01/02/2024", DATE, "01/02/2024"),
        (20240501, DATE, "20240501"),
        (dt.datetime(2024, 5, 1, 9, 30), DATE, "2024-05-01T09:30:00"),
        ("2024-05-01 25:00:00", TIMESTAMP, "2024-05-01 25:00:00"),
        (1714564800, TIMESTAMP, "1714564800"),
        ("1,50", MONEY, "1,50"),
        ("1e3", MONEY, "1e3"),
        (" 5", MONEY, " 5"),
        ("$1,234.50", MONEY, "$1,234.50"),
        (Decimal("1.23456"), MONEY, "1.23456"),
        (Decimal("NaN"), MONEY, "NaN"),
        (10**14, MONEY, "100000000000000"),
        (float("nan"), QUANTITY, "nan"),
        (True, QUANTITY, "True"),
        (float("inf"), UNITS, "inf"),
        ("many", UNITS, "many"),
        (2**53 + 1, UNITS, "9007199254740993"),
        (2.5, DAYS, "2.5"),
        (2**31, DAYS, "2147483648"),
        (b"\x00\xff", TEXT, "0x00ff"),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_kept_as_text(value, target, kept):
    assert _plain([value, None], target) == ([None, None], {0: kept})


SHIFTS = {
    "+00:00": 0,
    "Z": 0,
    "+05:30": 19_800,
    "+0530": 19_800,
    "-0800": -28_800,
    "-08:00": -28_800,
    "+01": 3_600,
    "+14:00": 50_400,
    "-05:30": -19_800,
    "+05:53:28": 21_208,
}
"""Seconds of an offset; the last is Calcutta's before 1906, as PostgreSQL writes it."""


@pytest.mark.parametrize("offset", SHIFTS)
@pytest.mark.parametrize("blank", ["", " ", "  "])
def test_a_moment_with_an_offset_becomes_utc(offset, blank):
    """SQL Server writes DATETIMEOFFSET with a blank and seven digits; what is below a microsecond is cut off."""
    for separator, digits in product(" T", ["", "1", "12", "1234", "123456", "1234567", "123456789"]):
        text = f"2026-01-02{separator}03:04:05{'.' if digits else ''}{digits}{blank}{offset}"
        moment = dt.datetime(2026, 1, 2, 3, 4, 5, int(digits[:6].ljust(6, "0")), dt.UTC)
        expected = moment - dt.timedelta(seconds=SHIFTS[offset])
        assert _plain([text, None], TIMESTAMP) == ([expected, None], {})
        assert convert(pa.array([text]), TIMESTAMP).array.to_pylist() == [expected]
        assert _plain([text, "2026-01-02"], TIMESTAMP)[0][0] == expected, "beside a moment without one"


@pytest.mark.parametrize("offset", ["+25:00", "+05:75", "+5", "UTC", "CEST", "+", "Z Z"])
def test_what_is_no_offset_is_kept_as_text(offset):
    text = f"2026-01-02 03:04:05 {offset}"
    assert _plain([text, None], TIMESTAMP) == ([None, None], {0: text})


@given(
    st.lists(
        st.none()
        | st.datetimes(dt.datetime(1900, 1, 1), timezones=st.none() | st.timezones()).filter(lambda m: m.year < 9990),
        min_size=1,
    )
)
def test_moments_of_drivers_become_utc_whatever_zones_come_together(moments):
    """pyodbc and pytds give datetimes with a zone of their own each; one without a zone counts as UTC."""
    expected = [m and (m.replace(tzinfo=dt.UTC) if m.tzinfo is None else m.astimezone(dt.UTC)) for m in moments]
    assert _plain(moments, TIMESTAMP) == (expected, {})


def test_one_bad_value_leaves_its_neighbours_alone():
    values, unparsed = _plain(["1.50", "free", None, "2"], MONEY)
    assert values == [Decimal("1.5000"), None, None, Decimal("2.0000")]
    assert unparsed == {1: "free"}


def test_arrow_columns_convert_like_python_values():
    nanoseconds = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    assert convert(nanoseconds, TIMESTAMP).array.to_pylist() == [dt.datetime(2023, 11, 14, 22, 13, 20, 123456, dt.UTC)]
    zoned_midnight = pa.array([0], pa.timestamp("us", "Europe/London"))
    assert convert(zoned_midnight, DATE).array.to_pylist() == [None]


YEAR_10000 = 253_402_300_800
YEAR_0 = -62_135_596_801
AN_HOUR_BEHIND = dt.timezone(-dt.timedelta(hours=1))
NEAR_THE_END = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_moments_outside_the_years_1_to_9999_are_kept_as_text(unit: str, zone: str | None) -> None:
    seconds = pa.array([YEAR_10000, YEAR_10000 - 1, None, YEAR_0], pa.timestamp("s")).cast(pa.timestamp(unit))
    moments = seconds.view(pa.timestamp(unit, zone))
    found = convert(moments, TIMESTAMP)
    assert found.array.to_pylist() == [None, NEAR_THE_END, None, None]
    assert set(found.unparsed) == {0, 3} and found.unparsed[0].startswith("10000-01-01 ")


def test_a_moment_that_would_overflow_on_the_way_to_microseconds_is_kept_as_text() -> None:
    found = convert(pa.array([2**62, 0], pa.timestamp("s")), TIMESTAMP)
    assert found.array.to_pylist() == [None, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)] and set(found.unparsed) == {0}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("9999-12-31T23:30:00-01:00", "9999-12-31T23:30:00-01:00"),
        ("0001-01-01 00:30:00+01:00", "0001-01-01 00:30:00+01:00"),
        ("0000-06-01 00:00:00", "0000-06-01 00:00:00"),
        (
            dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.timezone(-dt.timedelta(hours=1))),
            "9999-12-31 23:30:00.000000-0100",
        ),
    ],
)
def test_a_moment_that_the_shift_to_utc_takes_out_of_the_calendar_is_kept_as_text(value, kept) -> None:
    assert _plain([value, None], TIMESTAMP) == ([None, None], {0: kept})


@pytest.mark.parametrize("target", [DATE, TIMESTAMP, TEXT, MONEY])
def test_days_outside_the_years_1_to_9999_are_kept_as_text(target) -> None:
    found = convert(pa.array([2_932_897, None, -719_163], pa.date32()), target)
    assert found.array.to_pylist() == [None] * 3
    assert found.unparsed == {0: "10000-01-01", 2: "0000-12-31"}
    assert _plain(["0000-06-01"], DATE) == ([None], {0: "0000-06-01"})


def test_a_zone_whose_clock_is_past_the_calendar_does_not_end_the_reading() -> None:
    tokyo = pa.array([YEAR_10000 - 1], pa.timestamp("s", "Asia/Tokyo"))
    assert convert(tokyo, DATE).unparsed == {0: "9999-12-31T23:59:59+00:00"}


@pytest.mark.parametrize("target", [MONEY, QUANTITY, UNITS, DAYS])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_an_infinite_number_of_an_arrow_column_is_kept_as_text(target, kind) -> None:
    found = convert(pa.array([float("inf"), 2, float("-inf")], kind), target)
    assert found.array.to_pylist() == [None, 2, None] and found.unparsed == {0: "inf", 2: "-inf"}


def test_only_types_of_source_columns_are_known():
    with pytest.raises(TypeError, match="bool"):
        convert([True], FLAG)


@given(st.lists(st.floats(-1e12, 1e12), min_size=1))
def test_a_float_is_rounded_half_even_at_the_scale(values):
    expected = [Decimal(repr(value)).quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN) for value in values]
    assert _plain(values, MONEY) == (expected, {})


@given(st.lists(st.integers(-(10**9), 10**9).map(lambda n: (2 * n + 1) / 20000), min_size=1))
def test_ties_are_judged_by_the_shortest_decimal_form(values):
    expected = [Decimal(repr(value)).quantize(Decimal("0.001"), rounding=ROUND_HALF_EVEN) for value in values]
    assert _plain(values, QUANTITY) == (expected, {})


@given(st.lists(st.none() | st.decimals(-(10**12), 10**12, places=4), min_size=1))
def test_decimals_survive_as_numbers_and_as_text(values):
    expected = [None if value is None else value for value in values]
    assert _plain(values, MONEY) == (expected, {})
    assert _plain([None if value is None else f"{value:f}" for value in values], MONEY) == (expected, {})


@given(st.lists(st.none() | st.dates() | st.text() | st.integers() | st.floats() | st.binary(), min_size=1))
def test_nothing_is_lost_whatever_comes(values):
    for target in (TEXT, DATE, TIMESTAMP, MONEY, UNITS, DAYS):
        converted = convert(values, target)
        lost = [
            position
            for position, value in enumerate(values)
            if value is not None and converted.array[position].as_py() is None and position not in converted.unparsed
        ]
        assert lost == []


@pytest.mark.parametrize("target", [pa.decimal128(18, 4), pa.float64(), pa.int32(), pa.string()], ids=str)
def test_an_infinite_decimal_is_kept_as_text(target: pa.DataType) -> None:
    """PostgreSQL's numeric holds one; Arrow raises a TypeError for it."""
    found = convert([Decimal("1"), Decimal("Infinity")], target)
    is_text = pa.types.is_string(target)
    assert found.unparsed == ({} if is_text else {1: "Infinity"})
    assert found.array.to_pylist() == (["1", "Infinity"] if is_text else [1, None])
