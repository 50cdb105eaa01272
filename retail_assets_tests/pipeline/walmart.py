"""Walmart-shaped data of two stores, and the command run on it as a user does."""

import datetime as dt
import math
import os
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from retail_assets_tests.pipeline.shop import command
from retail_assets_tests.unit.m5_folder import CALENDAR_COLUMNS, PRICE_COLUMNS, SALES_COLUMNS, write

FIRST = dt.date(2015, 3, 2)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(72)]
AS_OF = DAYS[-1] - dt.timedelta(days=28)
_PRINTED = "printed.txt"
SERIES = {(store, item) for store in ("CA_1", "TX_1") for item in ("BREAD_1", "MILK_1", "SOAP_1")}


def units(store: str, item: str, day: dt.date) -> int:
    """A weekly wave of a different height each, without a random number."""
    height = 4 + len(store + item) % 3 + ord(item[0]) % 5
    return max(0, round(height + 3 * math.sin(2 * math.pi * day.toordinal() / 7) + (day.day % 3) - 1))


@dataclass(frozen=True)
class Walmart:
    home: Path
    printed: str

    def rows(self, path: str):
        return DeltaTable(str(self.home / "lake" / path)).to_pyarrow_table()


def walmart_at(base: Path) -> Walmart:
    """What `run_walmart` left in the folder."""
    return Walmart(base / "home" / "m5", (base / _PRINTED).read_text(encoding="utf-8"))


def run_walmart(base: Path) -> None:
    """Writes the folder, loads it and runs the graph up to 28 days before its end."""
    folder = base / "m5"
    folder.mkdir()
    sales = [(s, s[:2], i, i[:4], "FOODS", day, units(s, i, day)) for s, i in sorted(SERIES) for day in DAYS]
    prices = [(s, i, FIRST - dt.timedelta(days=2), 2.5) for s, i in sorted(SERIES)]
    write(folder, "sales.parquet", columns=SALES_COLUMNS, rows=sales)
    write(folder, "sell_prices.parquet", columns=PRICE_COLUMNS, rows=prices)
    write(folder, "calendar.csv", columns=CALENDAR_COLUMNS, rows=[(str(DAYS[9]), "Parade", "", 1, 0)])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RETAIL_", "MLFLOW_"))} | {
        "RETAIL_HOME": str(base / "home"),
        "RETAIL_FORECAST_BACKFILL_DAYS": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    loaded = command("load-m5", str(folder), environment=environment)
    assert loaded.returncode == 0, loaded.stderr
    assert f"Loaded {FIRST} … {DAYS[-1]}" in loaded.stdout
    mapped = environment | {"RETAIL_SOURCE_MAPPING": "m5"}
    ran = command("run", "--from", str(FIRST), "--to", str(AS_OF), environment=mapped)
    assert ran.returncode == 0, ran.stderr
    (base / _PRINTED).write_text(ran.stdout, encoding="utf-8")
