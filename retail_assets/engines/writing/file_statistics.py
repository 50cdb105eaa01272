"""What the log says of a file's values, so that readers may skip it; from the file's own footer.

Every column with values needs both bounds: delta-rs's dataset takes a missing one for "no row matches" and skips the
file. Texts are cut at 32 characters, the upper bound upwards.
"""

import json
import math
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow.parquet as pq

_LONGEST_TEXT = 32
_GREATEST_LETTER = "\U0010ffff"


def statistics_json(footer: pq.FileMetaData) -> str:
    """Delta's statistics of a file: rows, bounds and nulls by column."""
    least: dict[str, str] = {}
    greatest: dict[str, str] = {}
    nulls: dict[str, str] = {}
    for place in range(footer.num_columns):
        chunks = [footer.row_group(group).column(place).statistics for group in range(footer.num_row_groups)]
        name = footer.schema.column(place).name
        nulls[name] = str(sum(chunk.null_count for chunk in chunks))
        bounds = _bounds([chunk for chunk in chunks if chunk.num_values])
        if bounds is not None:
            least[name], greatest[name] = bounds
    return (
        f'{{"numRecords": {footer.num_rows}, "minValues": {_object(least)}, "maxValues": {_object(greatest)}, '
        f'"nullCount": {_object(nulls)}}}'
    )


def _bounds(chunks: list[pq.Statistics]) -> tuple[str, str] | None:
    """JSON of the least and the greatest value; None for a column without values."""
    if not chunks:
        return None
    if not all(chunk.has_min_max for chunk in chunks):  # texts beyond the 4096 bytes that Arrow keeps
        return _json(""), _json(_GREATEST_LETTER)
    return _lower(min(chunk.min for chunk in chunks)), _upper(max(chunk.max for chunk in chunks))


def _lower(value: Any) -> str:
    return _json(value[:_LONGEST_TEXT]) if isinstance(value, str) else _plain(value)


def _upper(value: Any) -> str:
    if isinstance(value, str):
        cut = value[:_LONGEST_TEXT] + _GREATEST_LETTER
        return _json(cut if len(value) > _LONGEST_TEXT and cut > value else value)
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return _json(f"{value.replace(tzinfo=None).isoformat(timespec='microseconds')}Z")  # %Y writes year 1 as 1
    if isinstance(value, date):
        return _json(value.isoformat())
    if isinstance(value, Decimal):
        return f"{value:f}"  # a float would round from 16 digits on
    if isinstance(value, float) and math.isinf(value):
        value = math.copysign(sys.float_info.max, value)
    return _json(value)


def _json(value: Any) -> str:
    """Letters as they are: delta-rs reads an escaped pair of surrogates as another letter."""
    return json.dumps(value, ensure_ascii=False)


def _object(members: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_json(name)}: {value}" for name, value in members.items()) + "}"
