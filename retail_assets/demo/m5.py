"""Builds an operational database from a folder in the shape of the M5 data, for the `m5` mapping.

The folder holds sales.parquet, sell_prices.parquet and calendar.csv of any dates and size. What is derived
(price of a sale, price changes, ranging, closed days) is derived here once, not in the mapping's queries.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import sqlalchemy as sa
from sqlalchemy import exc

from retail_assets.addresses import place
from retail_assets.database_errors import DRIVER_ERRORS, Database
from retail_assets.failures import PermanentFailure

_SALES, _PRICES, _CALENDAR = "sales.parquet", "sell_prices.parquet", "calendar.csv"
_REQUIRED_COLUMNS = {
    _SALES: ("store_id", "state_id", "item_id", "dept_id", "cat_id", "date", "units"),
    _PRICES: ("store_id", "item_id", "week_start", "sell_price"),
    _CALENDAR: ("date",),
}
_MEMORY_LIMIT = "500MB"
_CHUNK_ROWS = 10_000

# Real closing days are not quite zero (a few units are booked on Christmas Day), and a chain that sells little
# has empty days by chance: a day is closed when it sells at most 5 % of its surroundings' median of 10 or more.
_CLOSED_SHARE = 0.05
_CLOSED_MEDIAN_UNITS = 10
_SURROUNDING_DAYS = 28

_metadata = sa.MetaData()


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.String(120))


def _number(name: str, *, places: int) -> sa.Column:
    return sa.Column(name, sa.Numeric(18, places, asdecimal=False))


def _table(name: str, *columns: sa.Column, query: str) -> tuple[sa.Table, str]:
    return sa.Table(name, _metadata, *columns), query


_TABLES = (
    _table(
        "m5_store",
        _text("store_id"),
        _text("state_id"),
        query="SELECT store_id, min(state_id) FROM sales GROUP BY store_id ORDER BY store_id",
    ),
    _table(
        "m5_product",
        _text("item_id"),
        _text("dept_id"),
        _text("cat_id"),
        query="SELECT item_id, min(dept_id), min(cat_id) FROM sales GROUP BY item_id ORDER BY item_id",
    ),
    _table(
        "m5_sale_line",
        sa.Column("sale_line_id", sa.String(200), primary_key=True),
        sa.Column("business_date", sa.Date, index=True),
        _text("store_id"),
        _text("item_id"),
        _number("units", places=3),
        _number("sell_price", places=4),
        query="""
            WITH first_prices AS (
                SELECT store_id, item_id, arg_min(sell_price, week_start) AS sell_price
                FROM prices GROUP BY store_id, item_id
            )
            SELECT concat_ws('|', s.store_id, s.item_id, s.date), s.date, s.store_id, s.item_id, s.units,
                   coalesce(p.sell_price, f.sell_price)
            FROM sales s
            ASOF LEFT JOIN prices p
                ON s.store_id = p.store_id AND s.item_id = p.item_id AND s.date >= p.week_start
            LEFT JOIN first_prices f ON s.store_id = f.store_id AND s.item_id = f.item_id
            WHERE s.units <> 0
            ORDER BY s.date, s.store_id, s.item_id""",
    ),
    _table(
        "m5_price",
        _text("store_id"),
        _text("item_id"),
        sa.Column("valid_from", sa.Date),
        _number("sell_price", places=4),
        query="""
            SELECT store_id, item_id, week_start, sell_price FROM prices
            QUALIFY sell_price IS DISTINCT FROM
                lag(sell_price) OVER (PARTITION BY store_id, item_id ORDER BY week_start)
            ORDER BY store_id, item_id, week_start""",
    ),
    _table(
        "m5_assortment",
        _text("store_id"),
        _text("item_id"),
        sa.Column("valid_from", sa.Date),
        query="""
            SELECT store_id, item_id, min(date) FROM sales WHERE units > 0
            GROUP BY store_id, item_id ORDER BY store_id, item_id""",
    ),
    _table(
        "m5_event",
        sa.Column("event_date", sa.Date),
        _text("event_name"),
        _text("event_type"),
        _text("region"),
        query="SELECT event_date, event_name, event_type, region FROM events ORDER BY ALL",
    ),
)


def load_m5(folder: Path, url: str) -> tuple[date, date]:
    """Fill the database with the folder's retailer, replacing an earlier load as a whole.

    Returns:
        First and last date of the sales.

    Raises:
        PermanentFailure: the folder, a file, a column or the database is not usable; one sentence.
        TransientFailure: the database cannot be reached now.
    """
    _check_folder(folder)
    try:
        with TemporaryDirectory(prefix="m5-") as spill_folder, closing(_opened(folder, Path(spill_folder))) as data:
            _check_sales(data)
            span = data.execute("SELECT min(date), max(date) FROM sales").fetchone()
            _write(data, _parsed(url))
    except duckdb.Error as error:
        raise PermanentFailure(f"The M5 folder {folder} cannot be read: {_first_line(error)}; correct it.") from None
    assert span is not None
    return span[0], span[1]


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise PermanentFailure(f"There is no M5 folder {folder}; give one that holds {', '.join(_REQUIRED_COLUMNS)}.")
    missing = [name for name in _REQUIRED_COLUMNS if not (folder / name).is_file()]
    if missing:
        raise PermanentFailure(f"The M5 folder {folder} has no {missing[0]}; it needs {', '.join(_REQUIRED_COLUMNS)}.")


def _opened(folder: Path, spill_folder: Path) -> duckdb.DuckDBPyConnection:
    """The folder as the views sales, prices and events."""
    data = duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "threads": 2, "temp_directory": str(spill_folder)})
    calendar = _columns(data, folder, _CALENDAR)
    for name in (_SALES, _PRICES):
        _columns(data, folder, name)
    data.execute(f"""
        CREATE TEMP VIEW sales AS
        SELECT store_id, state_id, item_id, dept_id, cat_id, CAST(date AS DATE) AS date, CAST(units AS DOUBLE) AS units
        FROM {_scan(folder, _SALES)}""")
    data.execute(f"""
        CREATE TEMP VIEW prices AS
        SELECT store_id, item_id, CAST(week_start AS DATE) AS week_start, CAST(sell_price AS DOUBLE) AS sell_price
        FROM {_scan(folder, _PRICES)} WHERE sell_price IS NOT NULL""")
    data.execute(f"CREATE TEMP VIEW events AS {_events_query(_scan(folder, _CALENDAR), calendar)}")
    return data


def _scan(folder: Path, name: str) -> str:
    reader = "read_csv" if name.endswith(".csv") else "read_parquet"
    quoted = str(folder / name).replace("'", "''")
    return f"{reader}('{quoted}', all_varchar = true)" if reader == "read_csv" else f"{reader}('{quoted}')"


def _columns(data: duckdb.DuckDBPyConnection, folder: Path, name: str) -> list[str]:
    found = [row[0] for row in data.execute(f"DESCRIBE SELECT * FROM {_scan(folder, name)}").fetchall()]
    missing = [column for column in _REQUIRED_COLUMNS[name] if column not in found]
    if missing:
        raise PermanentFailure(f"{folder / name} has no column {missing[0]}; it has {', '.join(found)}.")
    return found


def _events_query(calendar: str, columns: list[str]) -> str:
    parts = [
        f"SELECT CAST(date AS DATE), {column}, 'event', NULL FROM {calendar} WHERE {column} <> ''"
        for column in columns
        if column.startswith("event_name")
    ]
    parts += [
        f"SELECT CAST(date AS DATE), 'SNAP', 'snap', '{column.removeprefix('snap_')}' "
        f"FROM {calendar} WHERE {column} = '1'"
        for column in columns
        if column.startswith("snap_")
    ]
    parts.append(f"""
        SELECT day.date, 'Closed', 'closed', NULL
        FROM (SELECT date, sum(units) AS units FROM sales GROUP BY date) day
        JOIN (SELECT date, sum(units) AS units FROM sales GROUP BY date) near
            ON near.date BETWEEN day.date - {_SURROUNDING_DAYS} AND day.date + {_SURROUNDING_DAYS}
        GROUP BY day.date, day.units
        HAVING median(near.units) >= {_CLOSED_MEDIAN_UNITS}
            AND day.units <= {_CLOSED_SHARE} * median(near.units)""")
    union = " UNION ".join(parts)
    return f"SELECT * FROM ({union}) AS e(event_date, event_name, event_type, region)"


def _check_sales(data: duckdb.DuckDBPyConnection) -> None:
    row = data.execute("""
        SELECT sum(n), sum(n - 1), sum(n) FILTER (WHERE store_id IS NULL OR item_id IS NULL OR date IS NULL)
        FROM (SELECT store_id, item_id, date, count(*) AS n FROM sales GROUP BY ALL)""").fetchone()
    rows, repeated, incomplete = row or (0, 0, 0)
    if not rows:
        raise PermanentFailure(f"{_SALES} has no rows; give at least one day of sales.")
    if incomplete:
        raise PermanentFailure(f"{_SALES} has {incomplete} rows without store_id, item_id or date; complete them.")
    if repeated:
        raise PermanentFailure(f"{_SALES} repeats {repeated} times a store_id, item_id and date; keep one row each.")


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise PermanentFailure("The database to fill has no SQLAlchemy URL; write it like sqlite:///m5.db.") from None


def _write(data: duckdb.DuckDBPyConnection, url: sa.URL) -> None:
    writer: Callable[[duckdb.DuckDBPyConnection, sa.URL], None] = _write_in_one_transaction
    if url.get_backend_name() == "sqlite" and url.database:
        writer = _write_new_file
    try:
        writer(data, url)
    except DRIVER_ERRORS as error:
        database = Database(f"database {place(url)}", "RETAIL_SOURCE_URL", url, "give the URL of an empty database")
        raise database.failure(error, refusal=f"The database {place(url)} cannot be filled") from None
    except OSError as error:
        raise PermanentFailure(
            f"The database {place(url)} cannot be filled: {error.strerror}; give a path that can be written."
        ) from None


def _write_new_file(data: duckdb.DuckDBPyConnection, url: sa.URL) -> None:
    """A new file beside the old one takes its name when complete: readers never meet half a load."""
    path = Path(url.database or "")
    _refuse_foreign(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        _write_in_one_transaction(data, url.set(database=str(new)))
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _refuse_foreign(path: Path) -> None:
    if not path.exists():
        return
    with _engine(sa.URL.create("sqlite", database=str(path))) as engine:
        try:
            foreign = sorted(set(sa.inspect(engine).get_table_names()) - set(_metadata.tables))
        except exc.DatabaseError:
            foreign = ["something that is no SQLite database"]
    if foreign:
        raise PermanentFailure(
            f"{path} already holds {foreign[0]}, which is not M5 data and would be lost; give another path."
        )


def _write_in_one_transaction(data: duckdb.DuckDBPyConnection, url: sa.URL) -> None:
    with _engine(url) as engine, engine.begin() as connection:
        _metadata.drop_all(connection)
        _metadata.create_all(connection)
        for table, query in _TABLES:
            _copy(data.execute(query), connection, table=table)


def _copy(rows: duckdb.DuckDBPyConnection, connection: sa.Connection, *, table: sa.Table) -> None:
    names = [column.name for column in table.columns]
    while chunk := rows.fetchmany(_CHUNK_ROWS):
        connection.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in chunk])


@contextmanager
def _engine(url: sa.URL) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(" .;")
