"""Ibis's DuckDB backend, reading into Arrow in batches of a row group.

Ibis 12 asks for batches of a million rows: their buffers are so large that malloc takes each from the system and gives
it back, and a month of 30,000 series takes half as long again (`python -m bench.lake`).
"""

from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend
from ibis.backends.duckdb.converter import DuckDBPyArrowData

BATCH_ROWS = 131_072


class ArrowBackend(Backend):
    """Ibis on a DuckDB connection of its own."""

    def to_pyarrow(self, expr: ir.Expr, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> pa.Table:
        relation = self._to_duckdb_relation(expr, params=params, limit=limit, **kwargs)
        found = relation.to_arrow_table(BATCH_ROWS)
        return expr.__pyarrow_result__(  # pyright: ignore[reportAttributeAccessIssue]
            found, data_mapper=DuckDBPyArrowData
        )
