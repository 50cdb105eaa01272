"""Silver tables for the benchmarks of transforms: from an M5 folder, and synthetic ones of any number of lines.

Both are written by the engine under their contracts, as the graph would. Quantities are quarters of a unit, so
that sums of them are exact in any order and results can be compared to the last bit.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from bench.lake_data import STORES
from retail_assets.engines.protocol import Engine
from retail_assets.tables import gold, silver
from retail_assets.tables.contract import Table
from retail_assets.windows import Window

_SEEN = datetime(2016, 6, 1, tzinfo=UTC)
_PRODUCTS = 1_000
_LAST = date(2016, 5, 22)
_DAYS = 365
_FAULTS_EVERY = 1_000
_REGIONS = [store[:2] for store in STORES]


def write_synthetic(engine: Engine, lines: int) -> Window:
    """A year of a thousand products in ten stores; one line in a thousand breaks a rule of silver."""
    window = Window(_LAST - timedelta(days=_DAYS - 1), _LAST)
    products = [f"P{number:05d}" for number in range(_PRODUCTS)]
    _write_snapshots(engine, products, window)
    for month in window.by_month():
        engine.overwrite_window(
            silver.SALES, pa.concat_tables(_sales(day, lines // _DAYS, products) for day in month.days()), month
        )
        engine.overwrite_window(
            gold.FACT_INVENTORY, pa.concat_tables(_inventory(day, products) for day in month.days()), month
        )
    return window


def write_m5(engine: Engine, folder: Path) -> Window:
    """The folder's retailer as the `m5` mapping would bring it to silver."""
    with duckdb.connect() as source:
        for name, query in _M5_VIEWS.items():
            source.execute(f"CREATE VIEW {name} AS {query.format(folder=str(folder).replace(chr(39), chr(39) * 2))}")
        for table, query in _M5_TABLES.items():
            engine.overwrite(table, snapshot(table, source.execute(query).to_arrow_table()))
        window = Window(*source.execute("SELECT min(date), max(date) FROM m5_sales").fetchall()[0])
        for month in window.by_month():
            rows = source.execute(_M5_LINES, {"first": month.first, "last": month.last}).to_arrow_table()
            engine.overwrite_window(silver.SALES, completed(silver.SALES, rows, extracted_at=_SEEN), month)
    return window


def snapshot(table: Table, rows: pa.Table) -> pa.Table:
    return completed(table, rows, is_deleted=False, first_seen_at=_SEEN)


def completed(table: Table, rows: pa.Table, **constants: object) -> pa.Table:
    """The contract's columns: given, constant, or empty."""
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.column_names
        else pa.repeat(pa.scalar(constants.get(field.name), field.type), rows.num_rows)
        for field in table.schema
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _write_snapshots(engine: Engine, products: list[str], window: Window) -> None:
    series = [(store, product) for store in STORES for product in products]
    numbers = np.arange(len(products))
    starts = [window.first + timedelta(days=91 * quarter - 30) for quarter in range(4)]
    prices = [
        (store, product, start, round(1 + number % 37 + 0.05 * quarter, 2))
        for store in (*STORES[:5], silver.EVERY)
        for number, product in enumerate(products)
        for quarter, start in enumerate(starts)
    ]
    promotions = [
        (f"R{number:05d}", store, products[number % len(products)], day, day + timedelta(days=6), 0.2)
        for number, (store, day) in enumerate(
            (store, window.first + timedelta(days=7 * week))
            for week in range(52)
            for store in (*STORES, silver.EVERY) * 4
        )
    ]
    rows = {
        silver.STORES: {"store_id": STORES, "store_name": STORES, "region": _REGIONS},
        silver.PRODUCTS: {
            "product_id": products,
            "product_name": products,
            "department": [f"D{number % 8}" for number in numbers],
            "category": [f"C{number % 3}" for number in numbers],
            "list_price": pa.array([float(1 + number % 37) for number in numbers]),
            "unit_step": [1.0] * len(products),
        },
        silver.ASSORTMENT: {
            **_columns(series, "store_id", "product_id"),
            "valid_from": [window.first + timedelta(days=number % 90) for number in range(len(series))],
        },
        silver.PRICES: _columns(prices, "store_id", "product_id", "valid_from", "unit_price"),
        silver.PROMOTIONS: _columns(
            promotions, "promotion_id", "store_id", "product_id", "start_date", "end_date", "discount_rate"
        ),
        silver.EVENTS: {
            "event_date": [date(2015, 12, 25), date(2016, 1, 1), date(2016, 2, 7)],
            "event_name": ["Christmas", "New Year", "Storm"],
            "event_type": ["closed", "closed", "closed"],
            "region": [silver.EVERY, silver.EVERY, "WI"],
        },
    }
    for table, columns in rows.items():
        engine.overwrite(table, snapshot(table, pa.table(columns)))


def _columns(rows: list[tuple], *names: str) -> dict[str, list]:
    return {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _sales(day: date, count: int, products: list[str]) -> pa.Table:
    rng = np.random.default_rng([22, day.toordinal()])
    product = (len(products) * rng.random(count) ** 2).astype(np.int32)
    quantity = np.where(rng.random(count) < 0.02, -1.0, rng.integers(1, 13, count) / 4)
    is_fault = np.arange(count) % _FAULTS_EVERY == 0
    quantity[is_fault & (product % 2 == 0)] = 0
    line = np.where(is_fault & (product % 2 == 1), np.maximum(np.arange(count) - 1, 0), np.arange(count))
    numbers = pa.array(day.toordinal() * 100_000 + line).cast(pa.string())
    rows = {
        "sale_line_id": numbers,
        "sale_id": pa.array(day.toordinal() * 100_000 + np.arange(count) // 4).cast(pa.string()),
        "business_date": pa.array(np.full(count, np.datetime64(day))),
        "store_id": _named(rng.integers(0, len(STORES), count), STORES),
        "product_id": _named(product, products),
        "customer_id": _named(rng.integers(0, 5_000, count), [f"C{n:06d}" for n in range(5_000)]),
        "quantity": pa.array(quantity),
        "unit_price": pa.array(1.0 + product % 37),
        "discount_value": pa.array(np.where(rng.random(count) < 0.1, 0.25, 0.0)),
    }
    return completed(silver.SALES, pa.table(rows), extracted_at=_SEEN)


def _inventory(day: date, products: list[str]) -> pa.Table:
    rng = np.random.default_rng([23, day.toordinal()])
    count = len(STORES) * len(products)
    rows = {
        "business_date": pa.array(np.full(count, np.datetime64(day))),
        "store_id": _named(np.repeat(np.arange(len(STORES)), len(products)), STORES),
        "product_id": _named(np.tile(np.arange(len(products)), len(STORES)), products),
        "on_hand_units": pa.array(rng.integers(0, 40, count).astype(float)),
    }
    return completed(gold.FACT_INVENTORY, pa.table(rows), extracted_at=_SEEN)


def _named(codes: np.ndarray, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names)).cast(pa.string())


_M5_VIEWS = {
    "m5_sales": "SELECT * REPLACE (CAST(date AS DATE) AS date) FROM read_parquet('{folder}/sales.parquet')",
    "m5_prices": """
        SELECT * REPLACE (CAST(week_start AS DATE) AS week_start) FROM read_parquet('{folder}/sell_prices.parquet')""",
    "m5_days": "SELECT date, sum(units) AS units FROM m5_sales GROUP BY date",
}
_M5_TABLES = {
    silver.STORES: """
        SELECT store_id, store_id AS store_name, min(state_id) AS region FROM m5_sales GROUP BY store_id""",
    silver.PRODUCTS: """
        SELECT item_id AS product_id, item_id AS product_name, min(dept_id) AS department, min(cat_id) AS category,
               1.0::DOUBLE AS unit_step
        FROM m5_sales GROUP BY item_id""",
    silver.ASSORTMENT: """
        SELECT store_id, item_id AS product_id, min(date) AS valid_from FROM m5_sales WHERE units > 0 GROUP BY ALL""",
    silver.PRICES: """
        SELECT store_id, item_id AS product_id, week_start AS valid_from, sell_price AS unit_price FROM m5_prices
        QUALIFY sell_price IS DISTINCT FROM
            lag(sell_price) OVER (PARTITION BY store_id, item_id ORDER BY week_start)""",
    silver.PROMOTIONS: """
        SELECT '' AS promotion_id, '' AS store_id, '' AS product_id, DATE '2000-01-01' AS start_date,
               DATE '2000-01-01' AS end_date WHERE false""",
    silver.EVENTS: f"""
        SELECT date AS event_date, 'Closed' AS event_name, 'closed' AS event_type, '{silver.EVERY}' AS region
        FROM m5_days WHERE units < 0.05 * (SELECT median(units) FROM m5_days)""",
}
_M5_LINES = """
    SELECT concat_ws('|', s.store_id, s.item_id, s.date) AS sale_line_id, s.date AS business_date, s.store_id,
           s.item_id AS product_id, s.units AS quantity, coalesce(p.sell_price, 1) AS unit_price
    FROM m5_sales s
    ASOF LEFT JOIN m5_prices p ON s.store_id = p.store_id AND s.item_id = p.item_id AND s.date >= p.week_start
    WHERE s.units <> 0 AND s.date BETWEEN $first AND $last"""
