"""Reading a Delta table as it was: the version that a number or a moment names, and its rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from retail_assets.failures import PermanentFailure
from retail_assets.lake.lake import Lake
from retail_assets.tables.contract import Table


@dataclass(frozen=True)
class Commit:
    version: int
    committed_at: datetime

    def __str__(self) -> str:
        return f"{self.version} of {self.committed_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Past:
    """A table in one version."""

    lake: Lake
    table: Table
    commit: Commit
    delta: DeltaTable

    @property
    def row_count(self) -> int:
        return self.delta.count()

    @property
    def schema(self) -> pa.Schema:
        """The contract's columns that this version has."""
        held = pa.schema(self.delta.schema().to_arrow())
        return pa.schema([held.field(name) for name in self.table.column_names if name in held.names])

    def batches(self, limit: int | None = None, where: pc.Expression | None = None) -> Iterator[pa.RecordBatch]:
        """The rows that the condition holds for, or the first `limit` of them.

        Raises:
            PermanentFailure: files of this version were vacuumed.
        """
        with self.lake.errors(self.table):
            try:
                scanner = self.delta.to_pyarrow_dataset().scanner(columns=self.schema.names, filter=where)
                yield from scanner.to_batches() if limit is None else _first(scanner.to_batches(), limit)
            except FileNotFoundError:
                raise PermanentFailure(
                    f"Version {self.commit} of {self.table.path} cannot be read any more: its files were vacuumed; "
                    "what is kept says RETAIL_HISTORY_DAYS."
                ) from None


def _first(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, limit)
        limit -= min(limit, batch.num_rows)
        if not limit:
            return


def past(lake: Lake, table: Table, *, version: int | None = None, moment: datetime | None = None) -> Past:
    """The table in the given version, in the one in force at the moment, or in the newest.

    delta-rs's own search by time gives the oldest version for every moment before it, without a word.

    Raises:
        PermanentFailure: never written, no such version, or the moment is before the oldest version.
    """
    delta = lake.require(table)
    with lake.errors(table):
        commit = _chosen(table, _commits(delta), version=version, moment=moment)
        try:
            delta.load_as_version(commit.version)
        except DeltaError:
            raise PermanentFailure(
                f"Version {commit} of {table.path} cannot be read any more: the log before it was cleaned up."
            ) from None
    return Past(lake, table, commit, delta)


def _commits(delta: DeltaTable) -> list[Commit]:
    """Commits in the log, newest first.

    delta-rs lists what others committed meanwhile too, numbered down from the version in hand: so that no number is
    wrong, the list counts only when it ends where the log ends.
    """
    while True:
        listed = delta.history()
        newest = delta.version()
        delta.update_incremental()
        if delta.version() == newest:
            return [Commit(c["version"], datetime.fromtimestamp(c["timestamp"] / 1000, UTC)) for c in listed]


def _chosen(table: Table, commits: list[Commit], *, version: int | None, moment: datetime | None) -> Commit:
    newest, oldest = commits[0], commits[-1]
    if version is not None:
        found = next((commit for commit in commits if commit.version == version), None)
        if found is None:
            raise PermanentFailure(f"{table.path} has no version {version}: the log knows {oldest} to {newest}.")
        return found
    if moment is None:
        return newest
    found = next((commit for commit in commits if commit.committed_at <= moment), None)
    if found is None:
        raise PermanentFailure(
            f"{table.path} cannot be read as of {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: its oldest version is "
            f"{oldest}."
        )
    return found
