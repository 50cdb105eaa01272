"""Ibis's Spark backend with Arrow in and out, so that decimals, dates and missing integers survive the driver.

Ibis 12 goes through pandas in both directions and takes every timestamp for one without a zone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.backends.pyspark import Backend
from ibis.expr.operations import InMemoryTable
from ibis.formats.pandas import PandasData
from pyspark.sql import DataFrame

_MOMENT = dt.Timestamp(timezone="UTC", scale=6)


class ArrowBackend(Backend):
    """Ibis on a Spark session."""

    def dataframe(self, rows: ir.Table) -> DataFrame:
        """The rows as a lazy Spark frame."""
        self._run_pre_execute_hooks(rows)
        return self.raw_sql(self.compile(rows))

    def get_schema(self, table_name: str, *, catalog: str | None = None, database: str | None = None) -> sch.Schema:
        found = super().get_schema(table_name, catalog=catalog, database=database)
        return sch.schema({name: _MOMENT if kind.is_timestamp() else kind for name, kind in found.items()})

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> pa.Table:
        found = self._collected(expr.as_table(), params=params, limit=limit, **kwargs)
        return expr.__pyarrow_result__(found)  # pyright: ignore[reportAttributeAccessIssue]

    def execute(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        table = expr.as_table()
        found = self._collected(table, params=params, limit=limit, **kwargs)
        frame = pd.DataFrame({name: _values(found.column(name)) for name in found.column_names})
        converted = PandasData.convert_table(frame, table.schema())
        return expr.__pandas_result__(converted)  # pyright: ignore[reportAttributeAccessIssue]

    def _collected(self, table: ir.Table, **options: Any) -> pa.Table:
        self._run_pre_execute_hooks(table)
        return self.raw_sql(self.compile(table, **options)).toArrow()

    def _register_in_memory_table(self, op: InMemoryTable) -> None:
        rows = op.data.to_pyarrow(op.schema)
        self._session.createDataFrame(rows).createOrReplaceTempView(op.name)

    @contextmanager
    def _safe_raw_sql(self, query: str) -> Iterator[Any]:
        yield self.raw_sql(query)


def _values(column: pa.ChunkedArray) -> Any:
    """As ibis reads DuckDB: whole columns at once, missing values one by one."""
    return column.to_pylist() if column.null_count else column.to_pandas()
