"""Writers that run in processes of their own; a light module, because each process imports it afresh."""

import sys
from datetime import date, timedelta

from retail_assets.engines.delta import overwrite_window
from retail_assets.resources.lake import Lake
from retail_assets.windows import Window
from retail_assets_tests.unit.lake_frames import MONTHLY, rows

FIRST = date(2024, 1, 29)
WRITERS, DAYS_EACH = 4, 10
YEAR = Window(date(2024, 1, 1), date(2024, 12, 31))
PRODUCTS = [f"p{n}" for n in range(40)]


def write_own_days(folder: str, writer: int) -> None:
    """Days writer, writer + 4, … so that all writers share the month files."""
    for number in range(DAYS_EACH):
        day = FIRST + timedelta(days=writer + WRITERS * number)
        overwrite_window(Lake(folder), MONTHLY, rows([day], count=writer), Window(day, day))


def write_year(lake: Lake, *, count: int) -> None:
    """Month after month, as a range run does; says when each is committed."""
    for month in YEAR.by_month():
        overwrite_window(lake, MONTHLY, rows(month.days(), count=count, products=PRODUCTS), month)
        print(month, flush=True)


if __name__ == "__main__":
    write_year(Lake(sys.argv[1]), count=int(sys.argv[2]))
