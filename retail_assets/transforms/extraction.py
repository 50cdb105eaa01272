# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Counts what the source gives, day by day, while it passes to the writer: the first column of the reconciliation.

Computed with Arrow on the batches as they came, apart from the Ibis expressions that it is compared with.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.tables import bronze
from retail_assets.tables.contract import Table
from retail_assets.transforms.limits import MAX_LINE_UNITS, MAX_LINE_VALUE, MAX_PRICE
from retail_assets.windows import Window

ACCEPT_EMPTY_TAG = "retail/accept-empty"
"""Of a run that empties stored days of which the source gives no row any more; else they are kept."""

_DAYS_NAMED = 31
_Counts = tuple[int, Decimal]
_WIDE_MONEY = pa.decimal128(30, 4)


@dataclass
class Tally:
    """Rows and money by table and day, of everything that passed through `counted`."""

    _counts: dict[tuple[str, date], _Counts] = field(default_factory=dict)
    _kept: dict[tuple[str, date], datetime] = field(default_factory=dict)

    def counted(self, table: Table, days: Window, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same rows, counted while they are read; a window that is read again is counted anew."""
        for day in days.days():
            self._counts[table.path, day] = (0, Decimal(0))
            self._kept.pop((table.path, day), None)
        yield from self._counting(table, rows)

    def emptied(self, table: Table, days: Window) -> list[date]:
        """Days of the window of which no row came."""
        return [day for day in days.days() if self._counts[table.path, day][0] == 0]

    def ends_thin(self, table: Table, days: Window) -> bool:
        """Whether less than half of a usual day of the window came on its last day, or nothing."""
        *before, last = [self._counts[table.path, day][0] for day in days.days()]
        return last == 0 or 2 * last * len(before) < sum(before)

    def kept(self, table: Table, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same stored rows, counted as what their own extraction gave."""
        for batch in self._counting(table, rows):
            read = pa.table({name: batch.column(name) for name in ("business_date", "extracted_at")})
            for row in read.group_by("business_date").aggregate([("extracted_at", "max")]).to_pylist():
                self._kept[table.path, row["business_date"]] = row["extracted_at_max"]
            yield batch

    def kept_days(self, table: Table, days: Window) -> list[date]:
        """Days of the window whose stored rows were kept."""
        return [day for day in days.days() if (table.path, day) in self._kept]

    def rows(self, days: Window, *, at: datetime) -> pa.Table:
        """Rows of bronze/extracted_days for the window."""
        found = [
            {
                "business_date": day,
                "table_name": path,
                "row_count": rows,
                "net_value": value,
                "extracted_at": self._kept.get((path, day), at),
                "kept_at": at if (path, day) in self._kept else None,
            }
            for (path, day), (rows, value) in sorted(self._counts.items())
            if day in days
        ]
        return pa.Table.from_pylist(found, schema=bronze.EXTRACTED_DAYS.schema)

    def _counting(self, table: Table, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            for day, count, value in _by_day(batch):
                known_count, known_value = self._counts[table.path, day]
                self._counts[table.path, day] = (known_count + count, known_value + value)
            yield batch


def _by_day(batch: pa.RecordBatch) -> Iterator[tuple[date, int, Decimal]]:
    dates = batch.column("business_date")
    rows = pa.table({"business_date": dates, "value": _values(batch)})
    grouped = rows.group_by("business_date").aggregate([([], "count_all"), ("value", "sum")])
    for row in grouped.to_pylist():
        yield row["business_date"], row["count_all"], row["value_sum"] or Decimal(0)


def _values(batch: pa.RecordBatch) -> pa.Array:
    """Money of each sales line, rounded half up to four places; null where the source gives neither it nor a price."""
    if "unit_price" not in batch.schema.names:
        return pa.nulls(batch.num_rows, _WIDE_MONEY)
    units, price = (batch.column(name) for name in ("quantity", "unit_price"))
    discount = pc.fill_null(batch.column("discount_value"), Decimal(0))
    is_told = pc.and_(_within(units, MAX_LINE_UNITS), _within(price, MAX_PRICE))
    is_told = pc.and_(is_told, _within(discount, MAX_LINE_VALUE))
    product = pc.multiply(pc.if_else(is_told, units, None), price)
    gross = pc.round(product, ndigits=4, round_mode="half_towards_infinity").cast(_WIDE_MONEY)
    return pc.subtract(gross, pc.if_else(is_told, discount, None)).cast(_WIDE_MONEY)


def _within(values: pa.Array, limit: int) -> pa.Array:
    return pc.less_equal(pc.abs(values), pa.scalar(Decimal(limit), pa.decimal128(18, 4)))


def kept_sentence(table: Table, days: Sequence[date]) -> str:
    """Which days were kept and how to empty them on purpose."""
    named = ", ".join(map(str, days[:_DAYS_NAMED])) + (" …" if len(days) > _DAYS_NAMED else "")
    return (
        f"The source gives no row any more of {len(days)} days of {table.path} ({named}); what is stored was kept. If "
        f"they are to be empty: retail-assets run --again --accept-empty for these days, or the run tag "
        f"{ACCEPT_EMPTY_TAG}=true."
    )
