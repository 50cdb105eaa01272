"""Synthetic rows for the benchmarks of the lake: deterministic, day by day, in the proportions of real shops.

Every day is drawn from its own seed, so that a night writes the very rows a whole month would hold.
"""

from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from retail_assets.tables.contract import (
    DATE,
    FLAG,
    NULLABLE,
    TEXT,
    UNITS,
    Layout,
    Partitioning,
    Table,
    described,
)
from retail_assets.windows import Window

HISTORY = Window(date(2011, 1, 29), date(2016, 5, 22))
"""1,941 days, those of the M5 competition."""

STORES = [f"{state}_{number}" for state, count in (("CA", 4), ("TX", 3), ("WI", 3)) for number in range(1, count + 1)]
PRODUCTS = 3_049

DEMAND = Table(
    layer="bench",
    name="demand_daily",
    meaning="Eight columns of gold/demand_daily.",
    grain="store, product and day",
    key=("business_date", "store_id", "product_id"),
    columns=described(
        ("store_id", TEXT, "Store."),
        ("product_id", TEXT, "Product."),
        ("business_date", DATE, "Trading day."),
        ("sold_units", UNITS, "Units sold.", "units"),
        ("on_hand_units", UNITS, "Stock at closing.", "units", NULLABLE),
        ("unit_price", UNITS, "Price asked.", "currency"),
        ("is_promoted", FLAG, "A promotion ran."),
        ("unconstrained_units", UNITS, "Estimated demand.", "units"),
    ),
    partition_column="business_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.MONTH,
    sort_by=("store_id", "product_id", "business_date"),
)


class Demand:
    """Dense demand of every product in every store; most days of most series sell nothing.

    Args:
        products: products a store carries; the stores are ten.
    """

    def __init__(self, products: int = PRODUCTS) -> None:
        names = [f"{('FOODS', 'HOBBIES', 'HOUSEHOLD')[n % 3]}_{n % 7 + 1}_{n:04d}" for n in range(products)]
        self.series = len(STORES) * products
        self._store = pa.array(np.repeat(np.arange(len(STORES), dtype=np.int32), products))
        self._product = pa.array(np.tile(np.arange(products, dtype=np.int32), len(STORES)))
        self._names = pa.array(names)
        rng = np.random.default_rng(20)
        self._rate = np.minimum(rng.lognormal(-0.9, 1.3, self.series), 60.0)
        self._cycle = rng.integers(7, 29, self.series)
        self._phase = rng.integers(0, 28, self.series)
        self._price = np.tile(np.round(rng.lognormal(1.2, 0.7, products) + 0.5, 2), len(STORES))
        self.example = (STORES[4], names[products // 2])

    def of(self, days: Window) -> pa.Table:
        """The rows of the days, day by day, as a source delivers them."""
        return pa.concat_tables([self._day(day) for day in days.days()]).combine_chunks()

    def _day(self, day: date) -> pa.Table:
        rng = np.random.default_rng([20, day.toordinal()])
        weekday = 1.35 if day.isoweekday() >= 6 else 0.87
        promoted = self._promoted(day)
        wanted = self._rate * weekday * np.where(promoted, 1.6, 1.0)
        sold = rng.poisson(wanted).astype(float)
        left = self._cycle - (day.toordinal() + self._phase) % self._cycle - 1
        stock = np.where(left == 0, 0.0, np.ceil(self._rate * left) + 1)
        price = self._price * (1 + 0.05 * ((day.toordinal() // 91 + self._phase) % 3)) * np.where(promoted, 0.8, 1.0)
        demand = np.where(stock > 0, sold, np.maximum(sold, np.round(wanted, 3)))
        columns = [
            pa.DictionaryArray.from_arrays(self._store, pa.array(STORES)).cast(TEXT),
            pa.DictionaryArray.from_arrays(self._product, self._names).cast(TEXT),
            pa.array(np.full(self.series, np.datetime64(day))),
            *(pa.array(values) for values in (sold, stock, np.round(price, 2), promoted, demand)),
        ]
        return pa.Table.from_arrays(columns, schema=DEMAND.schema)

    def _promoted(self, day: date) -> NDArray[np.bool_]:
        """One product in twenty, for a week, in every store."""
        count = self.series // len(STORES)
        rng = np.random.default_rng([21, day.toordinal() // 7])
        return np.tile(rng.random(count) < 0.05, len(STORES))
