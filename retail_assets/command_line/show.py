"""What `retail-assets show` does: a table of the lake, now or as it was, on the terminal or in a file."""

import difflib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from retail_assets.command_line.spreadsheet import safe_cells
from retail_assets.engines.time_travel import Past, past
from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import open_lake
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables.catalog import LAKE_TABLES
from retail_assets.tables.contract import Table

SHOWN_ROWS = 20
_CONDITION = re.compile(r"(\w+)(!?=)(.*)", re.DOTALL)
_BY_PATH = {table.path: table for table in LAKE_TABLES}


@dataclass(frozen=True)
class Selection:
    """Rows of one version of a table.

    Args:
        path: layer and name of the table.
        as_of: a time at which it stood so, as typed; the newest version where neither it nor `version` is given.
        version: number of the Delta version.
        where: conditions that all hold, as `condition` reads them.
        limit: most rows.
    """

    path: str
    as_of: str | None = None
    version: int | None = None
    where: Sequence[str] = ()
    limit: int | None = None


def show(settings: Settings, wanted: Selection, *, to: Path | None, console: Console) -> None:
    """Print the first rows of a table, or write all of them to a file.

    Raises:
        PermanentFailure: no such table, version or column, a time that is none, or a file that cannot be written.
    """
    table = _table(wanted.path)
    if wanted.as_of is not None and wanted.version is not None:
        raise PermanentFailure("--as-of and --version name a version each; give one of them.")
    zone = settings.zone(load_mapping(settings.source_mapping).timezone)
    found = past(open_lake(settings), table, version=wanted.version, moment=_moment(wanted.as_of, zone))
    at = found.commit.committed_at.astimezone(zone)
    console.print(
        f"{table.path}, version {found.commit.version} of {at:%Y-%m-%d %H:%M:%S %Z}, {found.row_count} rows",
        soft_wrap=True,
    )
    chosen = _all_of([condition(text, found.schema) for text in wanted.where])
    if to is None:
        _print(found, wanted.limit or SHOWN_ROWS, where=chosen, console=console)
        return
    written = write_batches(found.batches(wanted.limit, chosen), found.schema, to)
    console.print(f"{written} rows written to {to}", soft_wrap=True)


def _table(path: str) -> Table:
    """Raises: PermanentFailure: no such table, with what is meant perhaps."""
    if path in _BY_PATH:
        return _BY_PATH[path]
    names = {name: table.path for table in LAKE_TABLES for name in (table.path, table.name)}
    close = dict.fromkeys(names[name] for name in difflib.get_close_matches(path.lower(), names, n=3))
    layers = ", ".join(dict.fromkeys(table.layer for table in LAKE_TABLES))
    hint = f"did you mean {' or '.join(close)}?" if close else f"name a layer ({layers}) and a table of docs/tables.md."
    raise PermanentFailure(f"There is no table {path!r} in the lake: {hint}")


def _moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    """A time without an offset is the stores'; a date is its first moment, as in SQL.

    Raises:
        PermanentFailure: not a time.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PermanentFailure(f"--as-of is wrong: got {text!r}, wanted a time such as 2026-01-31T06:00.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def condition(text: str, schema: pa.Schema) -> pc.Expression:
    """`COLUMN=VALUE` or `COLUMN!=VALUE` on rows of the schema; without a value the column is empty, or is not.

    Raises:
        PermanentFailure: no such column, or a value of another type.
    """
    given = _CONDITION.fullmatch(text)
    if given is None:
        raise PermanentFailure(f"--where is wrong: got {text!r}, wanted COLUMN=VALUE, such as rule=unknown_product.")
    name, operator, value = given.groups()
    if name not in schema.names:
        close = difflib.get_close_matches(name, schema.names, n=1) or schema.names
        raise PermanentFailure(f"--where is wrong: there is no column {name}; did you mean {' or '.join(close)}?")
    column = pc.field(name)
    if not value:
        return column.is_null() if operator == "=" else ~column.is_null()
    try:
        wanted = pa.scalar(value).cast(schema.field(name).type)
    except pa.ArrowInvalid:
        raise PermanentFailure(f"--where is wrong: {value!r} is no {schema.field(name).type} of {name}.") from None
    return column == wanted if operator == "=" else column != wanted


def _all_of(conditions: Sequence[pc.Expression]) -> pc.Expression | None:
    return reduce(and_, conditions) if conditions else None


def _print(found: Past, limit: int, *, where: pc.Expression | None, console: Console) -> None:
    """As a grid where the terminal is wide enough, else a line a value."""
    rows = [row for batch in found.batches(limit, where) for row in batch.to_pylist()]
    grid = Grid(*found.schema.names)
    for row in rows:
        grid.add_row(*(Text(_text(value)) for value in row.values()))
    if Measurement.get(console, console.options.update(max_width=10_000), grid).maximum <= console.width:
        console.print(grid)
        return
    broad = max(map(len, found.schema.names))
    for number, row in enumerate(rows, start=1):
        console.print(f"row {number}")
        for name, value in row.items():
            console.print(Text(f"  {name:{broad}}  {_text(value)}"), soft_wrap=True)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def check_file(to: Path) -> None:
    """Raises: PermanentFailure: a file of a kind that cannot be written."""
    if to.suffix not in _WRITERS:
        raise PermanentFailure(f"--to is wrong: got {str(to)!r}, wanted a file that ends in .parquet or .csv.")


def write_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, to: Path) -> int:
    """Rows written; the file is complete or not there. In a CSV no text can run as a formula (spreadsheet.py).

    Raises:
        PermanentFailure: the file cannot be written.
    """
    check_file(to)
    part = to.with_name(f"{to.name}.part")
    try:
        with part.open("wb") as file, _WRITERS[to.suffix](file, schema) as writer:
            written = sum(_appended(writer, _PREPARED[to.suffix](batch)) for batch in batches)
        part.replace(to)
    except OSError as error:
        raise PermanentFailure(
            f"--to {to} cannot be written: {error.strerror}; choose a folder you may write to."
        ) from None
    finally:
        with suppress(OSError):
            part.unlink()
    return written


def _appended(writer: Any, batch: pa.RecordBatch) -> int:
    writer.write_batch(batch)
    return batch.num_rows


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def _safe(batch: pa.RecordBatch) -> pa.RecordBatch:
    (safe,) = safe_cells(pa.Table.from_batches([batch])).combine_chunks().to_batches() or [batch]
    return safe


_WRITERS: dict[str, type[pyarrow.parquet.ParquetWriter] | type[pyarrow.csv.CSVWriter]] = {
    ".parquet": pyarrow.parquet.ParquetWriter,
    ".csv": pyarrow.csv.CSVWriter,
}
_PREPARED = {".parquet": _as_it_is, ".csv": _safe}
