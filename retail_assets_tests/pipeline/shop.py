"""A small shop with its own database and home, the command run on it, and its lake read by other readers.

Runs are subprocesses, as a user starts them; what they leave is read with delta-rs, DuckDB and SQLite.
"""

import datetime as dt
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from retail_assets.demo.retailer import write_days
from retail_assets.demo.world import DemoSize
from retail_assets.tables.contract import MONTH_COLUMN, Table

COMMAND = str(Path(sys.executable).with_name("retail-assets"))
SIZE = DemoSize(stores=2, products=12, customers=30, opening_after_days=40)
HISTORY_DAYS = 97
FORECAST_DAYS = 3
LAST = dt.date.today() - dt.timedelta(days=2)
FIRST = LAST - dt.timedelta(days=HISTORY_DAYS - 1)
NOT_COMPARED = {"extracted_at", "first_seen_at"}
"""When something was read differs from run to run."""


@dataclass(frozen=True)
class Shop:
    """One retailer: its folder holds the source database and RETAIL_HOME; `retailer` is the name of its mapping."""

    folder: Path
    first: dt.date = FIRST
    retailer: str = "demo"

    @property
    def source(self) -> Path:
        return self.folder / "shop.db"

    @property
    def home(self) -> Path:
        return self.folder / "home" / self.retailer

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RETAIL_", "DAGSTER_", "MLFLOW_"))
        }
        return kept | {
            "RETAIL_HOME": str(self.folder / "home"),
            "RETAIL_SOURCE_URL": f"sqlite:///{self.source}",
            "RETAIL_START_DATE": str(self.first),
            "RETAIL_FORECAST_BACKFILL_DAYS": str(FORECAST_DAYS),
            "OMP_NUM_THREADS": "1",
        }

    def live_to(self, day: dt.date) -> None:
        write_days(f"sqlite:///{self.source}", start=self.first, through=day, size=SIZE)

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`retail-assets run` to its end."""
        return command("run", *options, environment=self.environment | variables)

    def succeed(self, *options: str) -> str:
        done = self.run(*options)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def killed(self, when: Callable[["Shop"], bool]) -> None:
        """`retail-assets run`, killed with all its children as soon as `when` holds."""
        process = subprocess.Popen(
            [COMMAND, "run"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while process.poll() is None and not when(self):
            time.sleep(0.02)
        was_running = process.poll() is None
        if was_running:
            os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        assert was_running, f"the run ended before it was killed: {errors[-2000:]}"

    def copy(self, folder: Path) -> "Shop":
        """The same shop elsewhere, as it is while no command is at work in it; tests may read it meanwhile."""
        shutil.copytree(self.folder, folder, copy_function=_copied)
        return replace(self, folder=folder)

    def sql(self, *statements: str) -> list[tuple]:
        """Statements on the source; the rows of the last."""
        rows: list[tuple] = []
        with sqlite3.connect(self.source) as source:
            for statement in statements:
                rows = source.execute(statement).fetchall()
        source.close()
        return rows

    def has(self, table: Table) -> bool:
        """The table has rows of at least one commit beside its creation."""
        return (self.home / "lake" / table.path / "_delta_log" / f"{1:020}.json").exists()

    def delta(self, table: Table) -> DeltaTable:
        return DeltaTable(str(self.home / "lake" / table.path))

    def rows(self, table: Table) -> pa.Table:
        """All rows as the contract orders columns, read by delta-rs."""
        return self.delta(table).to_pyarrow_table().select(table.column_names)

    def comparable(self, table: Table) -> list[tuple]:
        """Rows without the moments of reading, in an order of their own."""
        rows = self.rows(table).drop_columns(sorted(NOT_COMPARED & set(table.column_names)))
        return sorted((tuple(row.values()) for row in rows.to_pylist()), key=repr)

    def versions(self, tables: tuple[Table, ...]) -> dict[str, int]:
        return {table.path: self.delta(table).version() for table in tables}

    def folders(self, table: Table) -> set[str]:
        return {field for field in self.delta(table).schema().to_arrow().names if field == MONTH_COLUMN}


def _copied(source: str, target: str) -> None:
    """A file of a shop that others read: SQLite takes its log away when the last reader has gone."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        if not source.endswith(("-wal", "-shm")):
            raise


def command(
    *arguments: str, environment: dict[str, str], cwd: Path | None = None, timeout: int = 600
) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder without a .env."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        cwd=cwd or Path(environment["RETAIL_HOME"]).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
