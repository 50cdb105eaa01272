"""A frame against its contract: what becomes the contract's type without loss, and what is refused with which words."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.tables.contract import (
    COUNT,
    DATE,
    DAYS,
    FLAG,
    MONEY,
    NULLABLE,
    QUANTILE,
    TEXT,
    TIMESTAMP,
    UNITS,
    ContractViolation,
    Table,
    described,
)
from retail_assets.tables.validation import conform

EMPTY = Table(layer="test", name="kinds", meaning="m", grain="g", key=(), columns=())
DAY, MOMENT = date(2024, 2, 29), datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)


def _of(kind: pa.DataType, *, nullable: bool = True) -> Table:
    return replace(EMPTY, columns=described(("value", kind, "Value.", "", nullable)))


def _conformed(kind: pa.DataType, values: Any) -> list[Any]:
    found = conform(_of(kind), pa.table({"value": values}))
    assert found.schema.field("value").type == kind
    return found["value"].to_pylist()


ACCEPTED = [
    (COUNT, pa.array([1.0, -3.0, None]), [1, -3, None]),
    (COUNT, pa.array([5], pa.uint8()), [5]),
    (DAYS, pa.array([2**31 - 1], pa.int64()), [2**31 - 1]),
    (COUNT, pa.array([Decimal("4.000")]), [4]),
    (UNITS, pa.array([7], pa.int64()), [7.0]),
    (UNITS, pa.array([Decimal("1.25")]), [1.25]),
    (UNITS, pa.array([1.5, float("nan")]), [1.5, None]),
    (QUANTILE, pa.array([0.1], pa.float64()), [pytest.approx(0.1, rel=1e-7)]),
    (MONEY, pa.array([Decimal("12.30")]), [Decimal("12.3000")]),
    (MONEY, pa.array([12], pa.int32()), [Decimal("12.0000")]),
    (TEXT, pa.array(["é", None], pa.large_string()), ["é", None]),
    (TEXT, pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
    (TEXT, pa.array(["x"], pa.string_view()), ["x"]),
    (DATE, pa.array([datetime(2024, 2, 29)], pa.timestamp("ns")), [DAY]),
    (DATE, pa.array([DAY], pa.date64()), [DAY]),
    (TIMESTAMP, pa.array([MOMENT], pa.timestamp("us", tz="Europe/London")), [MOMENT]),
    (TIMESTAMP, pa.array([MOMENT], pa.timestamp("ns", tz="UTC")), [MOMENT]),
    (FLAG, pa.array([True, None]), [True, None]),
    *((kind, pa.nulls(2), [None, None]) for kind in (COUNT, UNITS, MONEY, TEXT, DATE, TIMESTAMP, FLAG)),
]


@pytest.mark.parametrize(("kind", "values", "expected"), ACCEPTED, ids=lambda value: str(getattr(value, "type", value)))
def test_what_fits_without_loss_takes_the_contracts_type(kind: pa.DataType, values: Any, expected: list) -> None:
    assert _conformed(kind, values) == expected


REFUSED = [
    (COUNT, pa.array([1.7]), "double does not fit int64 without loss (Float value 1.700000 was truncated"),
    (DAYS, pa.array([2**31], pa.int64()), "int64 does not fit int32 without loss (Integer value 2147483648 not in"),
    (COUNT, pa.array([Decimal("1.5")]), "decimal128(2, 1) does not fit int64 without loss"),
    (COUNT, pa.array([2**64 - 1], pa.uint64()), "uint64 does not fit int64 without loss"),
    (MONEY, pa.array([Decimal("0.00001")]), "does not fit decimal128(18, 4) without loss"),
    (MONEY, pa.array([Decimal("123456789012345")]), "does not fit decimal128(18, 4) without loss"),
    (
        DATE,
        pa.array([datetime(2024, 2, 29, 12)], pa.timestamp("us")),
        "date32[day] without loss (it holds times of day)",
    ),
    (DATE, pa.array([datetime(2024, 2, 29, 0, 0, 0, 1)], pa.timestamp("us")), "(it holds times of day)"),
    (TIMESTAMP, pa.array([datetime(2024, 1, 1)], pa.timestamp("us")), "is timestamp[us], the contract says timestamp"),
    (COUNT, pa.array(["1"]), "is string, the contract says int64."),
    (TEXT, pa.array([1]), "is int64, the contract says string."),
    (DATE, pa.array(["2024-01-01"]), "is string, the contract says date32[day]."),
    (DATE, pa.array([20240101]), "is int64, the contract says date32[day]."),
    (FLAG, pa.array([1]), "is int64, the contract says bool."),
    (COUNT, pa.array([True]), "is bool, the contract says int64."),
    (MONEY, pa.array(["1.00"]), "is string, the contract says decimal128(18, 4)."),
]


@pytest.mark.parametrize(("kind", "values", "message"), REFUSED, ids=lambda value: str(getattr(value, "type", value)))
def test_what_would_lose_something_is_refused(kind: pa.DataType, values: Any, message: str) -> None:
    with pytest.raises(ContractViolation) as raised:
        _conformed(kind, values)
    assert str(raised.value).startswith("test/kinds.value: ") and message in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6).map(float), min_size=1, max_size=6))
def test_a_float_becomes_an_integer_only_when_it_is_one(values: list[float]) -> None:
    table = pa.array(values, pa.float64())
    if all(value.is_integer() for value in values):
        assert _conformed(COUNT, table) == [int(value) for value in values]
    else:
        with pytest.raises(ContractViolation, match="without loss"):
            _conformed(COUNT, table)


@pytest.mark.parametrize("values", [pa.array([1.0, None]), pa.array([1.0, float("nan")]), pa.array([1, None])])
def test_a_required_value_that_is_missing(values: pa.Array) -> None:
    with pytest.raises(ContractViolation, match=r"^test/kinds\.value: 1 of 2 values are missing\.$"):
        conform(_of(UNITS, nullable=False), pa.table({"value": values}))


@pytest.mark.parametrize("kind", [UNITS, QUANTILE, COUNT, MONEY])
@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_an_infinite_number_never_leaves_bronze(kind: pa.DataType, value: float) -> None:
    rows = pa.table({"value": pa.array([value, 1.0, None])})
    with pytest.raises(ContractViolation, match=r"^test/kinds\.value: 1 of 3 values are infinite\.$"):
        conform(_of(kind), rows)


def test_bronze_holds_an_infinite_number_until_silver_refuses_its_row() -> None:
    found = conform(replace(_of(UNITS), layer="bronze"), pa.table({"value": [float("inf"), 1.0]}))
    assert found["value"].to_pylist() == [float("inf"), 1.0]


TWO = replace(EMPTY, columns=described(("a", COUNT, "A."), ("b", TEXT, "B.", "", NULLABLE)))


def test_columns_come_out_in_the_contracts_order_and_nullability() -> None:
    found = conform(TWO, pa.table({"b": ["x"], "a": [1]}))
    assert found.schema.equals(TWO.schema)
    assert found.to_pylist() == [{"a": 1, "b": "x"}]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], "test/kinds: missing columns ['b'], unexpected columns []."),
        (["a", "b", "z"], "test/kinds: missing columns [], unexpected columns ['z']."),
        (["A", "b"], "test/kinds: missing columns ['a'], unexpected columns ['A']."),
        (["a", "b", "a"], "test/kinds: repeated columns ['a']."),
        ([], "test/kinds: missing columns ['a', 'b'], unexpected columns []."),
    ],
)
def test_other_columns_than_the_contracts(names: list[str], message: str) -> None:
    frame = pa.Table.from_arrays([pa.array([1]) for _ in names], names=names)
    with pytest.raises(ContractViolation) as raised:
        conform(TWO, frame)
    assert str(raised.value) == message


def test_a_pandas_frame_of_integers_with_gaps_keeps_them_integers() -> None:
    """Pandas turns integers with gaps into floats; the contract turns them back."""
    frame = pa.Table.from_pandas(pd.DataFrame({"value": [1, None, 3]}), preserve_index=False)
    assert conform(_of(COUNT), frame)["value"].to_pylist() == [1, None, 3]


def test_an_empty_frame_of_untyped_columns() -> None:
    frame = pa.table({"a": pa.nulls(0), "b": pa.nulls(0)})
    assert conform(TWO, frame).schema.equals(TWO.schema)
