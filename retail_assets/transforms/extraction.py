# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported
"""Counts what the source gives, day by day, while it passes to the writer: the first column of the reconciliation.

Computed with Arrow on the batches as they came, apart from the Ibis expressions that it is compared with.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from retail_assets.tables import bronze
from retail_assets.tables.contract import Table
from retail_assets.transforms.limits import MAX_LINE_UNITS, MAX_LINE_VALUE, MAX_PRICE
from retail_assets.windows import Window

_Counts = tuple[int, Decimal]
_WIDE_MONEY = pa.decimal128(30, 4)


@dataclass
class Tally:
    """Rows and money by table and day, of everything that passed through `counted`."""

    _counts: dict[tuple[str, date], _Counts] = field(default_factory=dict)

    def counted(self, table: Table, days: Window, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The same rows, counted while they are read; a window that is read again is counted anew."""
        self._counts |= {(table.path, day): (0, Decimal(0)) for day in days.days()}
        return pa.RecordBatchReader.from_batches(rows.schema, self._counting(table, rows))

    def rows(self, days: Window, *, at: datetime) -> pa.Table:
        """Rows of bronze/extracted_days for the window."""
        found = [
            {"business_date": day, "table_name": path, "row_count": rows, "net_value": value, "extracted_at": at}
            for (path, day), (rows, value) in sorted(self._counts.items())
            if day in days
        ]
        return pa.Table.from_pylist(found, schema=bronze.EXTRACTED_DAYS.schema)

    def _counting(self, table: Table, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
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
    """Money of each sales line, rounded half up to four places; null where it cannot be told."""
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
