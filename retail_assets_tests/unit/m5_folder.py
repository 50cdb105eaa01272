"""A small folder in the shape of the M5 data, for every test that loads one."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

FIRST, LAST, CLOSED = dt.date(2023, 12, 1), dt.date(2023, 12, 31), dt.date(2023, 12, 25)
SALES_COLUMNS = ["store_id", "state_id", "item_id", "dept_id", "cat_id", "date", "units"]
PRICE_COLUMNS = ["store_id", "item_id", "week_start", "sell_price"]
CALENDAR_COLUMNS = ["date", "event_name_1", "event_name_2", "snap_CA", "snap_TX"]
SALE_LINES = 31 + 31 + 21
DAYS = [FIRST + dt.timedelta(days) for days in range(31)]


def sales_rows() -> Iterator[tuple]:
    """Two stores: bread sells 30 a day everywhere but hardly on the 25th, tea sells 1 from the 10th in one store."""
    for store, state in (("CA_1", "CA"), ("TX_1", "TX")):
        for day in DAYS:
            yield store, state, "BREAD_1", "BAKERY_1", "FOOD", day, 30 if day != CLOSED else 1
            tea = 1 if store == "CA_1" and day >= dt.date(2023, 12, 10) and day != CLOSED else 0
            yield store, state, "TEA_1", "DRINKS_1", "FOOD", day, tea


PRICE_ROWS = [
    ("CA_1", "BREAD_1", dt.date(2023, 11, 25), 2.5),
    ("CA_1", "BREAD_1", dt.date(2023, 12, 2), 2.5),
    ("CA_1", "BREAD_1", dt.date(2023, 12, 9), 2.75),
    ("CA_1", "TEA_1", dt.date(2023, 12, 16), 4.1),
    ("TX_1", "BREAD_1", dt.date(2023, 11, 25), 2.4),
]
CALENDAR_ROWS = [
    ("2023-12-01", "", "", 1, 0),
    ("2023-12-25", "Christmas", "", 0, 0),
    ("2024-01-01", "NewYear", "Parade", 0, 1),
]


def write(folder: Path, name: str, *, columns: list[str], rows: list[tuple]) -> None:
    """One file of the folder, replacing what is there."""
    table = pa.table({column: list(values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)})
    if name.endswith(".csv"):
        pyarrow.csv.write_csv(table, folder / name)
    else:
        pyarrow.parquet.write_table(table, folder / name)


def m5_folder(folder: Path) -> Path:
    """Create and fill the folder."""
    folder.mkdir()
    write(folder, "sales.parquet", columns=SALES_COLUMNS, rows=list(sales_rows()))
    write(folder, "sell_prices.parquet", columns=PRICE_COLUMNS, rows=PRICE_ROWS)
    write(folder, "calendar.csv", columns=CALENDAR_COLUMNS, rows=CALENDAR_ROWS)
    return folder
