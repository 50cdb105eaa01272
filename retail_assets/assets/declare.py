"""How an asset of the lake is declared: its contract, and the tables it reads.

Partitions, groups, descriptions and policies are attached from the contracts when the definitions are
built, so nothing but names and reads stands here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from retail_assets.failures import TransientFailure
from retail_assets.io_managers.delta import COLUMNS
from retail_assets.tables.contract import Partitioning, Table


@dataclass(frozen=True)
class Days:
    """Reads a daily table from `before` days before a partition to `after` days after it (negative: earlier)."""

    table: Table
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Columns:
    """Reads only the named columns."""

    read: Table | Days
    names: Sequence[str]


Read = Table | Days | Columns


def reads(**inputs: Read) -> dict[str, dg.AssetIn]:
    """Asset inputs by argument name."""
    return {name: _asset_in(read) for name, read in inputs.items()}


def follows(*tables: Read) -> list[dg.AssetDep]:
    """Dependencies whose rows the asset fetches itself."""
    return [dg.AssetDep(_table(read).asset_key, partition_mapping=_mapping(read)) for read in tables]


def table_asset(table: Table, **inputs: Read) -> Callable[..., Any]:
    """`dg.asset` for one table of the catalogue, reading the given ones under the argument names."""
    return dg.asset(key=table.asset_key, ins=reads(**inputs))


def outputs(*tables: Table) -> Mapping[str, dg.AssetOut]:
    """Outputs of one computation that gives several tables, by table name."""
    return {table.name: dg.AssetOut(key=table.asset_key) for table in tables}


@contextmanager
def transient_retried() -> Iterator[None]:
    """What may pass by itself is tried again by Dagster after a pause; nothing else is."""
    try:
        yield
    except TransientFailure as error:
        raise dg.RetryRequested(max_retries=3, seconds_to_wait=10) from error


def _table(read: Read) -> Table:
    days = read.read if isinstance(read, Columns) else read
    return days.table if isinstance(days, Days) else days


def _asset_in(read: Read) -> dg.AssetIn:
    metadata = {COLUMNS: list(read.names)} if isinstance(read, Columns) else None
    return dg.AssetIn(key=_table(read).asset_key, partition_mapping=_mapping(read), metadata=metadata)


def _mapping(read: Read) -> dg.PartitionMapping | None:
    if isinstance(read, Columns):
        return _mapping(read.read)
    if isinstance(read, Table) or read.table.partitioning is Partitioning.NONE:
        return None
    return dg.TimeWindowPartitionMapping(
        start_offset=-read.before, end_offset=read.after, allow_nonexistent_upstream_partitions=True
    )
