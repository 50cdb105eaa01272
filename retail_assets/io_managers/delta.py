"""The Delta IO manager: assets return frames, it writes them into the lake under their contract.

A partitioned output replaces exactly the partitions of the run; an unpartitioned one the whole table.
Inputs arrive as their annotation asks (`ibis.Table`, `pandas.DataFrame`, `pyarrow.Table`), pruned to the
partitions the mapping names and to the columns that the input's metadata names.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg
import ibis
import pandas as pd
import pyarrow as pa

from retail_assets.engines.protocol import Engine, Frame, Spilled, WriteResult
from retail_assets.engines.writing.delta import of_all
from retail_assets.failures import PermanentFailure, first_line
from retail_assets.io_managers import described
from retail_assets.io_managers.chunks import Chunks
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.transforms.lineage import ColumnSources
from retail_assets.windows import Window, runs_of

COLUMNS = "columns"
"""Metadata of an input: the names of the columns that the asset reads; all of them without it."""

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
        result, sources = self._write(context, table, obj)
        context.add_output_metadata(self._metadata(context, table, result, time.monotonic() - started))
        context.step_context.add_asset_metadata(
            self._described(context, table, result, sources), context.asset_key, _newest_partition(context)
        )

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an upstream table, as the consumer's annotation asks.

        Raises:
            PermanentFailure: the input asks for a column that the table does not have.
        """
        table = table_at("/".join(context.asset_key.path))
        rows = self._engine.scan(table, self._input_windows(context, table))
        wanted = _wanted_columns(context, table)
        return _as_asked(rows.select(wanted) if wanted else rows, context.dagster_type.typing_type)

    def _write(self, context: dg.OutputContext, table: Table, obj: Any) -> tuple[WriteResult, ColumnSources]:
        """What was written, and where the columns come from: of the first window, as all are computed alike."""
        if table.partitioning is Partitioning.NONE:
            return self._engine.overwrite(table, obj), self._sources(context, table, obj)
        results: list[WriteResult] = []
        sources: ColumnSources = {}
        for window, made in _chunks(table, _windows(context.asset_partition_keys), obj):
            frame = made() if isinstance(made, Spilled) else made
            sources = sources or self._sources(context, table, made)
            results.append(self._engine.overwrite_window(table, frame, window))
            PROGRESS.info("%s %s", table.path, window)
        return of_all(results), sources

    def _sources(self, context: dg.OutputContext, table: Table, made: Frame | Spilled) -> ColumnSources:
        with _warned(context, table):
            return made.sources() if isinstance(made, Spilled) else self._engine.sources(made)
        return {}

    def _described(
        self, context: dg.OutputContext, table: Table, result: WriteResult, sources: ColumnSources
    ) -> described.Metadata:
        with _warned(context, table):
            return self._description(context, table, result, sources)
        return {}

    def _description(
        self, context: dg.OutputContext, table: Table, result: WriteResult, sources: ColumnSources
    ) -> described.Metadata:
        """Of the newest partition alone: Dagster shows the last event, and a range has hundreds of them."""
        delta = result.delta or self._lake.require(table)
        found = {**described.lineage(table, sources), **described.columns(table, sources, delta)}
        if not self._lake.is_local:  # another one fetches whole files for a few rows
            return found
        newest = _newest_partition(context)
        return {**found, **described.sample(table, delta, date.fromisoformat(newest) if newest else None)}

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


@contextmanager
def _warned(context: dg.OutputContext, table: Table) -> Iterator[None]:
    """A fault in what the UI shows of a table is a warning: it costs no night its rows."""
    try:
        yield
    except Exception as error:
        context.log.warning(f"{table.path}: the UI cannot describe it: {first_line(error)}")


def _newest_partition(context: dg.OutputContext) -> str | None:
    return context.asset_partition_keys[-1] if context.has_asset_partitions else None


def _wanted_columns(context: dg.InputContext, table: Table) -> list[str]:
    wanted = list((context.definition_metadata or {}).get(COLUMNS, ()))
    unknown = [name for name in wanted if name not in table.column_names]
    if unknown:
        raise PermanentFailure(
            f"{_reader(context)} reads the column {', '.join(unknown)} of {table.path}, which does not exist; its "
            f"columns are {', '.join(table.column_names)}."
        )
    return wanted


def _reader(context: dg.InputContext) -> str:
    asset = context.step_context.assets_def
    keys = asset.keys if asset else ()
    return ", ".join(sorted("/".join(key.path) for key in keys))


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
