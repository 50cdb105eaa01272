"""Values of a source become contract types exactly, or stay as text; Python's own types are the oracle."""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal

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


def test_one_bad_value_leaves_its_neighbours_alone():
    values, unparsed = _plain(["1.50", "free", None, "2"], MONEY)
    assert values == [Decimal("1.5000"), None, None, Decimal("2.0000")]
    assert unparsed == {1: "free"}


def test_arrow_columns_convert_like_python_values():
    nanoseconds = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    assert convert(nanoseconds, TIMESTAMP).array.to_pylist() == [dt.datetime(2023, 11, 14, 22, 13, 20, 123456, dt.UTC)]
    zoned_midnight = pa.array([0], pa.timestamp("us", "Europe/London"))
    assert convert(zoned_midnight, DATE).array.to_pylist() == [None]


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
