"""Exact conversion of a source's values to the types of the contracts.

Whole columns are cast by Arrow; only a column whose cast fails goes value by value. What does not convert
without loss becomes null and keeps its original text, so that no row is lost before silver judges it.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow makes its compute functions while it is imported: no type checker sees them)

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?$"
_INTEGER = r"^[+-]?[0-9]+$"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00(:00(\.0+)?)?)?$"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_OFFSET = r" *(Z|[+-][0-9]{2}(:?[0-5][0-9](:?[0-5][0-9])?)?)"
_MOMENT = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_TIME}({_OFFSET})?)?$"
_BEFORE_OFFSET = r" +([Z+-])"
"""A blank that no moment of ISO 8601 has, but SQL Server's DATETIMEOFFSET."""
_BELOW_MICROSECONDS = r"(\.[0-9]{6})[0-9]+"
_MIXABLE = ({int, float}, {int, Decimal})

_FIRST_DAY = (dt.date.min - dt.date(1970, 1, 1)).days
_AFTER_LAST_DAY = (dt.date.max - dt.date(1970, 1, 1)).days + 1
_PER_DAY = {"date32[day]": 1, "date64[ms]": 86_400_000, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000}
"""Units of a column's integers in a day; nanoseconds reach from 1677 to 2262."""

Values = pa.Array | Sequence[Any]


@dataclass(frozen=True)
class Converted:
    """A column in its target type; `unparsed` holds the original text by row position."""

    array: pa.Array
    unparsed: dict[int, str]


def convert(values: Values, target: pa.DataType) -> Converted:
    """Convert one column; rows keep their order and number.

    Raises:
        TypeError: no contract of a source entity has the type `target`.
    """
    kind = _kind(target)
    array = values if isinstance(values, pa.Array) else _inferred(values)
    if array is not None:
        if pa.types.is_null(array.type):
            return Converted(pa.nulls(len(array), target), {})
        is_beyond = _is_beyond_calendar(array)
        if is_beyond is not None:
            return _without(array, is_beyond, target)
        cast = _quick(array, target, cast=kind.cast)
        if cast is not None:
            return Converted(cast, {})
    plain = _plain(values) if isinstance(values, pa.Array) else values
    return _by_value(plain, target, parse=kind.parse)


@dataclass(frozen=True)
class _Kind:
    """Two ways to one target: `cast` gives None for what only `parse` can do, `parse` raises ValueError."""

    cast: Callable[[pa.Array, Any], pa.Array | None]
    parse: Callable[[Any, Any], Any]


def _inferred(values: Sequence[Any]) -> pa.Array | None:
    """An Arrow array when all values are of one kind; a mixture would be bent by inference."""
    kinds = set(map(type, values)) - {type(None)}
    if len(kinds) > 1 and kinds not in _MIXABLE:
        return None
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError):
        return None  # a TypeError of Arrow means an infinite decimal


def _quick(array: pa.Array, target: pa.DataType, *, cast: Callable[..., pa.Array | None]) -> pa.Array | None:
    try:
        return cast(array, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _is_beyond_calendar(array: pa.Array) -> pa.Array | None:
    """Which dates and moments lie outside the years 1 to 9999, which Python cannot hold; None where all are inside."""
    per_day = _PER_DAY.get(getattr(array.type, "unit", str(array.type)))
    if per_day is None or not pa.types.is_temporal(array.type):
        return None
    counted = array.view(pa.int32() if pa.types.is_date32(array.type) else pa.int64())
    first, after_last = _FIRST_DAY * per_day, _AFTER_LAST_DAY * per_day
    is_beyond = pc.or_(pc.less(counted, first), pc.greater_equal(counted, after_last))
    return pc.fill_null(is_beyond, False) if pc.any(is_beyond).as_py() else None


def _without(array: pa.Array, is_beyond: pa.Array, target: pa.DataType) -> Converted:
    """The column converted, where the marked values are null and kept as text."""
    kept = convert(pc.if_else(is_beyond, pa.scalar(None, array.type), array), target)
    positions = pc.indices_nonzero(is_beyond).to_pylist()
    texts = array.filter(is_beyond).cast(pa.string()).to_pylist()
    return Converted(kept.array, kept.unparsed | dict(zip(positions, texts, strict=True)))


def _plain(array: pa.Array) -> list[Any]:
    try:
        return array.to_pylist()
    except OverflowError:  # a zone's clock stands in the year 10000 or 0 although the moment does not
        return array.cast(pa.timestamp(array.type.unit, "UTC")).to_pylist()


def _by_value(values: Sequence[Any], target: pa.DataType, *, parse: Callable[[Any, Any], Any]) -> Converted:
    parsed: list[Any] = []
    unparsed: dict[int, str] = {}
    for position, value in enumerate(values):
        try:
            parsed.append(None if value is None else parse(value, target))
        except (ValueError, OverflowError, InvalidOperation):
            parsed.append(None)
            unparsed[position] = _original(value)
    return Converted(pa.array(parsed, target), unparsed)


def _original(value: Any) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _is_text(array: pa.Array) -> bool:
    return pa.types.is_string(array.type) or pa.types.is_large_string(array.type)


def _all_match(array: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(array, pattern)).as_py() is not False


def _all_finite(array: pa.Array) -> bool:
    return pc.all(pc.is_finite(array)).as_py() is not False


def _cast_text(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    source = array.type
    is_whole = pa.types.is_decimal(source) and source.scale == 0
    if _is_text(array) or pa.types.is_integer(source) or pa.types.is_date(source) or is_whole:
        return array.cast(target)
    return None


def _parse_text(value: Any, target: pa.DataType) -> str:
    if isinstance(value, bytes):
        raise ValueError("binary")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return _original(value)


def _cast_date(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    if pa.types.is_date(array.type):
        return array.cast(target)
    if _is_text(array) and _all_match(array, _DAY):
        days = pc.utf8_slice_codeunits(array, 0, 10).cast(target)
        return days if _is_beyond_calendar(days) is None else None
    if pa.types.is_timestamp(array.type) and array.type.tz is None:
        days = array.cast(target, safe=False)
        return days if pc.all(pc.equal(days.cast(array.type), array)).as_py() is not False else None
    return None


def _parse_date(value: Any, target: pa.DataType) -> dt.date:
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None or value.time() != dt.time():
            raise ValueError("has a time of day")
        return value.date()
    if isinstance(value, dt.date):
        return value
    if isinstance(value, str) and re.fullmatch(_DAY, value):
        return dt.date.fromisoformat(value[:10])
    raise ValueError("is not a date")


def _cast_timestamp(array: pa.Array, target: Any) -> pa.Array | None:
    naive = pa.timestamp(target.unit)
    if pa.types.is_timestamp(array.type):
        if array.type.tz is not None:
            return array.cast(target, safe=False)
        return pc.assume_timezone(array.cast(naive, safe=False), "UTC")
    if pa.types.is_date(array.type):
        return pc.assume_timezone(array.cast(naive), "UTC")
    if not _is_text(array) or not _all_match(array, _MOMENT):
        return None
    texts = _tidy_moments(array)
    is_zoned = _all_match(texts, r"(Z|[T ].*[+-][0-9:]+)$")
    moments = texts.cast(target) if is_zoned else pc.assume_timezone(texts.cast(naive), "UTC")
    return moments if _is_beyond_calendar(moments) is None else None


def _tidy_moments(texts: pa.Array) -> pa.Array:
    """Moments as Arrow reads them: no blank before the offset, and no digit below a microsecond."""
    cut = pc.replace_substring_regex(texts, _BELOW_MICROSECONDS, r"\1")
    return pc.replace_substring_regex(cut, _BEFORE_OFFSET, r"\1")


def _parse_timestamp(value: Any, target: pa.DataType) -> dt.datetime:
    if isinstance(value, str) and re.fullmatch(_MOMENT, value):
        value = dt.datetime.fromisoformat(re.sub(_BEFORE_OFFSET, r"\1", value))
    elif isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise ValueError("is not a moment")
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _cast_decimal(array: pa.Array, target: Any) -> pa.Array | None:
    source = array.type
    if pa.types.is_decimal(source) or (_is_text(array) and _all_match(array, _NUMBER)):
        return array.cast(target)
    if pa.types.is_integer(source):
        return array.cast(pa.decimal128(20 + target.scale, target.scale)).cast(target)
    return _rounded(array.cast(pa.float64()), target) if pa.types.is_floating(source) else None


def _rounded(array: pa.Array, target: Any) -> pa.Array | None:
    """Half-even at the target's scale; doubles next to a tie are exact by their shortest decimal form."""
    if not _all_finite(array):
        return None
    scaled = pc.multiply(array, float(10**target.scale))
    from_tie = pc.abs(pc.subtract(pc.subtract(scaled, pc.floor(scaled)), 0.5))
    # The product's own error stays below 2**-12 for magnitudes below 2**40.
    is_doubtful = pc.or_(pc.greater(pc.abs(scaled), 2.0**40), pc.less(from_tie, 2.0**-10))
    is_doubtful = pc.fill_null(is_doubtful, False)
    if not pc.any(is_doubtful).as_py():
        return array.cast(target)
    exact = _by_value(array.filter(is_doubtful).to_pylist(), target, parse=_parse_decimal)
    if exact.unparsed:
        return None
    return pc.replace_with_mask(array.cast(target, safe=False), is_doubtful, exact.array)


def _parse_decimal(value: Any, target: Any) -> Decimal:
    step = Decimal(1).scaleb(-target.scale)
    with localcontext() as context:
        context.prec = 60
        if isinstance(value, float):
            return _fitting(Decimal(repr(value)).quantize(step, rounding=ROUND_HALF_EVEN), target)
        number = _number(value)
        rescaled = number.quantize(step)
        if rescaled != number:
            raise ValueError("has more decimal places than its column")
        return _fitting(rescaled, target)


def _fitting(number: Decimal, target: Any) -> Decimal:
    if not number.is_finite() or abs(number) >= Decimal(10) ** (target.precision - target.scale):
        raise ValueError("does not fit its column")
    return number


def _number(value: Any) -> Decimal:
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        return Decimal(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    raise ValueError("is not a number")


def _cast_float(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    if _is_text(array) and not _all_match(array, _NUMBER):
        return None
    if not (_is_text(array) or _is_numeric(array.type)):
        return None
    cast = array.cast(target)
    return cast if _all_finite(cast) else None


def _is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _parse_float(value: Any, target: pa.DataType) -> float:
    number = value if isinstance(value, float) else float(_number(value))
    is_changed = isinstance(value, int) and int(number) != value
    if not math.isfinite(number) or is_changed:
        raise ValueError("is not a finite number of this precision")
    return number


def _cast_integer(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    if _is_text(array):
        return array.cast(target) if _all_match(array, _INTEGER) else None
    return array.cast(target) if _is_numeric(array.type) else None


def _parse_integer(value: Any, target: Any) -> int:
    number = value if isinstance(value, float) else _number(value)
    if not math.isfinite(number) or number != int(number):
        raise ValueError("is not a whole number")
    if not -(2 ** (target.bit_width - 1)) <= number < 2 ** (target.bit_width - 1):
        raise ValueError("is too large")
    return int(number)


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], _Kind], ...] = (
    (pa.types.is_string, _Kind(_cast_text, _parse_text)),
    (pa.types.is_date, _Kind(_cast_date, _parse_date)),
    (pa.types.is_timestamp, _Kind(_cast_timestamp, _parse_timestamp)),
    (pa.types.is_decimal, _Kind(_cast_decimal, _parse_decimal)),
    (pa.types.is_floating, _Kind(_cast_float, _parse_float)),
    (pa.types.is_integer, _Kind(_cast_integer, _parse_integer)),
)


def _kind(target: pa.DataType) -> _Kind:
    for is_kind, kind in _KINDS:
        if is_kind(target):
            return kind
    raise TypeError(f"a source column has no type {target}")
