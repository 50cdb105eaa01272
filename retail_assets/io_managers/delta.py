"""The Delta IO manager: assets return frames, it writes them into the lake under their contract.

A partitioned output replaces exactly the partitions of the run; an unpartitioned one the whole table.
Inputs arrive as their annotation asks (`ibis.Table`, `pandas.DataFrame`, `pyarrow.Table`), pruned to the
partitions the mapping names.
"""

import logging
import time
from datetime import date
from typing import Any

import dagster as dg
import ibis
import pandas as pd
import pyarrow as pa

from retail_assets.engines.protocol import Engine, WriteResult
from retail_assets.io_managers.chunks import Chunks
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.windows import Window, runs_of

PROGRESS = logging.getLogger("retail_assets.progress")
"""Says which window of which table was written; the command line shows it."""


class DeltaTableIOManager(dg.IOManager):
    """Reads and writes the tables of the catalogue through an engine."""

    def __init__(self, engine: Engine, lake: Lake) -> None:
        self._engine = engine
        self._lake = lake

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write an asset's output.

        Raises:
            ContractViolation: the frame breaks the contract, or has rows outside the run's partitions.
        """
        table = table_at("/".join(context.asset_key.path))
        started = time.monotonic()
        result = self._write(context, table, obj)
        context.add_output_metadata(self._metadata(context, table, result, time.monotonic() - started))

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an upstream table, as the consumer's annotation asks."""
        table = table_at("/".join(context.asset_key.path))
        rows = self._engine.scan(table, self._input_windows(context, table))
        return _as_asked(rows, context.dagster_type.typing_type)

    def _write(self, context: dg.OutputContext, table: Table, obj: Any) -> WriteResult:
        if table.partitioning is Partitioning.NONE:
            return self._engine.overwrite(table, obj)
        windows = _windows(context.asset_partition_keys)
        results = []
        for window, frame in _chunks(table, windows, obj):
            results.append(self._engine.overwrite_window(table, frame, window))
            PROGRESS.info("%s %s", table.path, window)
        return WriteResult(
            rows=sum(r.rows for r in results), bytes=sum(r.bytes for r in results), version=results[-1].version
        )

    def _input_windows(self, context: dg.InputContext, table: Table) -> list[Window] | None:
        if table.partitioning is Partitioning.NONE or not context.has_asset_partitions:
            return None
        if not context.has_partition_key and not _downstream_is_partitioned(context):
            return None
        return _windows(context.asset_partition_keys)

    def _metadata(
        self, context: dg.OutputContext, table: Table, result: WriteResult, seconds: float
    ) -> dict[str, dg.MetadataValue]:
        rows_key = "dagster/row_count"
        if context.has_asset_partitions:
            rows_key = "dagster/partition_row_count" if len(context.asset_partition_keys) == 1 else "rows_in_run"
        return {
            rows_key: dg.MetadataValue.int(result.rows),
            "delta_version": dg.MetadataValue.int(result.version),
            "bytes_in_memory": dg.MetadataValue.int(result.bytes),
            "dagster/uri": dg.MetadataValue.text(self._lake.table_uri(table)),
            "seconds": dg.MetadataValue.float(round(seconds, 3)),
        }


def _windows(keys: Any) -> list[Window]:
    return runs_of(date.fromisoformat(key) for key in keys)


def _chunks(table: Table, windows: list[Window], obj: Any) -> Chunks:
    if isinstance(obj, Chunks):
        return obj
    if len(windows) != 1:
        raise TypeError(f"{table.path}: an asset of several partitions returns Chunks, not one frame.")
    return Chunks(windows, lambda _: obj)


def _downstream_is_partitioned(context: dg.InputContext) -> bool:
    return bool(context.step_context.has_partition_key or context.step_context.has_partition_key_range)


def _as_asked(rows: ibis.Table, kind: Any) -> Any:
    if kind is pd.DataFrame:
        return rows.to_pandas()
    return rows.to_pyarrow() if kind is pa.Table else rows
