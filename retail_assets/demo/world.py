"""The demo retailer that stands still: stores, products, suppliers, customers and who carries what.

Everything follows from seed, first day and size. What changes by plan (prices, promotions, events) is in
plans.py; what happens day by day is in simulation.py.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from retail_assets.demo.randomness import Stream, random_stream
from retail_assets.failures import PermanentFailure

FOREVER = date(9000, 1, 1).toordinal()
KEY_FACTOR = 10**7
"""Numbers of one day: day number × factor + running number, so that a key never depends on other days."""

SLOW_SHARE = 0.25
CARRIED_SHARE = {"hyper": 1.0, "super": 0.94, "city": 0.76}
SIZE_FACTOR = {"hyper": 1.75, "super": 1.1, "city": 0.6}
FORMATS = ("super", "hyper", "city", "super", "city")
REGIONS = ("London", "Midlands", "North", "Scotland")
TOWNS = ("Ashford", "Bexley", "Corby", "Dunmore", "Elland", "Farnley", "Girvan", "Hexley", "Ilford", "Jarrow")
SEGMENTS = ("family", "single", "senior", "business")


@dataclass(frozen=True)
class DemoSize:
    """How large a retailer to simulate; the last store opens `opening_after_days` after the first day."""

    stores: int = 10
    products: int = 100
    customers: int = 500
    opening_after_days: int = 150

    def __post_init__(self) -> None:
        allowed = {
            "stores": (1, 900),
            "products": (len(DEPARTMENTS), 9000),
            "customers": (1, 90_000),
            "opening_after_days": (1, 3650),
        }
        for name, (least, most) in allowed.items():
            if not least <= getattr(self, name) <= most:
                raise PermanentFailure(
                    f"The demo's size is wrong: got {getattr(self, name)} {name}, give {least} to {most}."
                )


@dataclass(frozen=True)
class Department:
    """`weekend` tilts the week, `season` is the yearly amplitude with its peak day, `festive` the Christmas uplift."""

    department_id: str
    name: str
    category: str
    product_share: float
    prices: tuple[float, float]
    volume: float
    shelf_life_days: tuple[int, int] | None
    weekend: float
    season: float
    peak_day: int
    festive: float
    suppliers: tuple[int, ...]
    articles: tuple[str, ...]


DEPARTMENTS = (
    Department("FRV", "Fruit and vegetables", "Fresh food", 0.18, (0.6, 3.2), 2.1, (5, 9), 0.9, 0.12, 190, 0.35, (0,),
               ("Apples", "Carrots", "Bananas", "Potatoes", "Tomatoes", "Lettuce", "Pears", "Onions")),
    Department("BAK", "Bakery", "Fresh food", 0.12, (0.8, 3.6), 1.9, (3, 4), 1.2, 0.05, 340, 0.30, (1,),
               ("White loaf", "Rye loaf", "Rolls", "Croissants", "Muffins", "Bagels")),
    Department("DAI", "Dairy and chilled", "Fresh food", 0.18, (0.9, 5.0), 1.8, (10, 21), 0.8, 0.06, 350, 0.40, (2,),
               ("Milk", "Butter", "Yoghurt", "Cheddar", "Cream", "Hummus", "Eggs")),
    Department("GRO", "Grocery", "Ambient food", 0.24, (0.6, 6.5), 1.25, None, 0.7, 0.08, 330, 0.35, (3, 4),
               ("Pasta", "Rice", "Tea", "Coffee", "Flour", "Honey", "Soup", "Oats", "Biscuits")),
    Department("DRI", "Drinks", "Ambient food", 0.14, (0.9, 14.0), 1.3, None, 1.6, 0.25, 195, 0.80, (5,),
               ("Cola", "Lemonade", "Ale", "Cider", "Sparkling water", "Red wine", "Squash")),
    Department("HOU", "Household and care", "Non-food", 0.14, (1.5, 16.0), 0.7, None, 1.0, 0.04, 90, 0.15, (6, 7),
               ("Detergent", "Kitchen roll", "Soap", "Shampoo", "Toothpaste", "Candles", "Bin bags")),
)  # fmt: skip


@dataclass(frozen=True)
class Supplier:
    supplier_id: str
    name: str
    lead_time_days: int
    order_weekdays: tuple[int, ...]
    min_order_value: float
    on_time_rate: float

    @property
    def review_days(self) -> int:
        """Longest wait between two order days."""
        days = [*self.order_weekdays, self.order_weekdays[0] + 7]
        return max(later - earlier for earlier, later in zip(days[:-1], days[1:], strict=True))


SUPPLIERS = (
    Supplier("SUP1", "Orchard Growers", 1, (1, 2, 3, 4, 5, 6), 20.0, 0.93),
    Supplier("SUP2", "Millstone Bakers", 1, (1, 2, 3, 4, 5, 6, 7), 15.0, 0.96),
    Supplier("SUP3", "Meadow Dairies", 2, (1, 3, 5, 6), 25.0, 0.92),
    Supplier("SUP4", "Harbour Foods", 3, (1, 4), 40.0, 0.88),
    Supplier("SUP5", "Granary Wholesale", 4, (2, 5), 40.0, 0.84),
    Supplier("SUP6", "Spring Beverages", 5, (1, 4), 50.0, 0.82),
    Supplier("SUP7", "Brightside Home", 6, (2,), 50.0, 0.80),
    Supplier("SUP8", "Clearwater Care", 7, (3,), 40.0, 0.76),
)


@dataclass(frozen=True)
class Store:
    store_id: str
    name: str
    region: str
    store_format: str
    size: float
    opened: int


@dataclass(frozen=True)
class Product:
    """Rates are units a day in a store of size one; `introduced` and `discontinued` are day numbers."""

    product_id: str
    name: str
    department: int
    supplier: int
    list_price: float
    unit_cost: float
    daily_rate: float
    dispersion: float
    elasticity: float
    yearly_growth: float
    pack_units: int
    min_order_units: int
    max_stock_units: int | None
    shelf_life_days: int | None
    introduced: int
    discontinued: int


@dataclass(frozen=True)
class Customer:
    customer_id: str
    segment: str
    home_store: int
    joined: int


@dataclass(frozen=True)
class Series:
    """Every store-product pair ever carried, sorted by store then product; one array element a pair."""

    store: np.ndarray
    product: np.ndarray
    valid_from: np.ndarray
    valid_to: np.ndarray
    daily_rate: np.ndarray

    def __len__(self) -> int:
        return len(self.store)

    def carried(self, day: int) -> np.ndarray:
        return (self.valid_from <= day) & (day <= self.valid_to)


@dataclass(frozen=True)
class World:
    seed: int
    start: int
    size: DemoSize
    stores: tuple[Store, ...]
    products: tuple[Product, ...]
    customers: tuple[Customer, ...]
    series: Series

    def of_products(self, attribute: str) -> np.ndarray:
        """One attribute of each series' product."""
        return np.array([getattr(product, attribute) for product in self.products])[self.series.product]

    def of_stores(self, attribute: str) -> np.ndarray:
        """One attribute of each series' store."""
        return np.array([getattr(store, attribute) for store in self.stores])[self.series.store]


def build_world(seed: int, start: date, *, size: DemoSize) -> World:
    first = start.toordinal()
    stores = _stores(seed, first, size=size)
    products = _products(seed, first, size=size)
    series = _series(seed, stores, products=products)
    return World(seed, first, size, stores, products, _customers(seed, first, size=size), series)


def _stores(seed: int, start: int, *, size: DemoSize) -> tuple[Store, ...]:
    rng = random_stream(seed, Stream.STORES)
    return tuple(
        _store(rng, n, opens_late=n == size.stores - 1 > 0, start=start, size=size) for n in range(size.stores)
    )


def _store(rng: np.random.Generator, n: int, *, opens_late: bool, start: int, size: DemoSize) -> Store:
    store_format = FORMATS[n % len(FORMATS)]
    years_open = 365 * int(rng.integers(2, 15)) + int(rng.integers(365))
    return Store(
        store_id=f"S{n + 1:03d}",
        name=f"{TOWNS[n % len(TOWNS)]} {store_format}" + (f" {n // len(TOWNS) + 1}" if n >= len(TOWNS) else ""),
        region=REGIONS[n % len(REGIONS)],
        store_format=store_format,
        size=SIZE_FACTOR[store_format] * float(rng.uniform(0.85, 1.2)),
        opened=start + size.opening_after_days if opens_late else start - years_open,
    )


def _department_of(n_products: int) -> list[int]:
    """Department of each product: in proportion, and no department empty."""
    shares = np.array([department.product_share for department in DEPARTMENTS])
    counts = np.maximum(1, np.floor(shares * n_products)).astype(int)
    while counts.sum() < n_products:
        counts[np.argmin(counts / (shares * n_products))] += 1
    while counts.sum() > n_products:
        counts[np.argmax(counts)] -= 1
    return np.repeat(np.arange(len(DEPARTMENTS)), counts).tolist()


def _launches(start: int, n_products: int, *, rng: np.random.Generator) -> dict[int, tuple[int, int]]:
    """Introduced and discontinued day of the products that come or go during the first four hundred days."""
    n_new, n_old = max(1, round(0.08 * n_products)), max(1, round(0.06 * n_products))
    chosen = rng.permutation(n_products)[: n_new + n_old].tolist()
    new = {product: (start + 24 + 340 * k // n_new, FOREVER) for k, product in enumerate(chosen[:n_new])}
    old = {product: (0, start + 45 + 330 * k // n_old) for k, product in enumerate(chosen[n_new:])}
    return new | old


def _products(seed: int, start: int, *, size: DemoSize) -> tuple[Product, ...]:
    rng = random_stream(seed, Stream.PRODUCTS)
    departments = _department_of(size.products)
    launches = _launches(start, size.products, rng=rng)
    slow = set(rng.permutation(size.products)[: round(SLOW_SHARE * size.products)].tolist())
    return tuple(
        _product(rng, n, department=departments[n], is_slow=n in slow, life=launches.get(n), start=start)
        for n in range(size.products)
    )


def _product(
    rng: np.random.Generator, n: int, *, department: int, is_slow: bool, life: tuple[int, int] | None, start: int
) -> Product:
    kind = DEPARTMENTS[department]
    price = shelf_price(float(np.exp(rng.uniform(*np.log(kind.prices)))))
    rate = float(rng.uniform(0.04, 0.3) if is_slow else min(15.0, kind.volume * rng.lognormal(0.25, 0.75)))
    pack = int(rng.choice(_packs(rate)))
    introduced, discontinued = life or (0, FOREVER)
    is_bulky = kind.department_id == "HOU" and rng.random() < 0.4
    return Product(
        product_id=f"P{n + 1:04d}",
        name=f"{kind.articles[n % len(kind.articles)]} {100 + 7 * n}",
        department=department,
        supplier=kind.suppliers[n % len(kind.suppliers)],
        list_price=price,
        unit_cost=round(price * float(rng.uniform(0.55, 0.75)), 2),
        daily_rate=rate,
        dispersion=float(rng.uniform(0.4, 1.0) if is_slow else rng.uniform(3.0, 9.0)),
        elasticity=float(rng.uniform(1.2, 3.2)),
        yearly_growth=float(rng.normal(0.02, 0.08)),
        pack_units=pack,
        min_order_units=pack * int(rng.choice([1, 1, 1, 2])),
        max_stock_units=pack * (int(rate * 60 / pack) + 3) if is_bulky else None,
        shelf_life_days=int(rng.integers(*kind.shelf_life_days, endpoint=True)) if kind.shelf_life_days else None,
        introduced=introduced or start - int(rng.integers(200, 2500)),
        discontinued=discontinued,
    )


def _packs(rate: float) -> list[int]:
    if rate < 0.5:
        return [1, 1, 6]
    return [1, 6, 6] if rate < 1.5 else [6, 12, 12, 24]


def shelf_price(price: float) -> float:
    """The nearest price that ends in 9 pence, at least 0.29."""
    return max(0.29, round(round(price, 1) - 0.01, 2))


def _series(seed: int, stores: tuple[Store, ...], *, products: tuple[Product, ...]) -> Series:
    rng = random_stream(seed, Stream.ASSORTMENT)
    shape = (len(stores), len(products))
    share = np.array([CARRIED_SHARE[store.store_format] for store in stores])[:, None]
    carried = rng.random(shape) < share
    carried[0] |= ~carried.any(axis=0)
    taste = rng.lognormal(0.0, 0.3, shape)
    store, product = np.nonzero(carried)
    opened, introduced = np.array([s.opened for s in stores]), np.array([p.introduced for p in products])
    valid_to = np.array([p.discontinued for p in products])[product]
    ever = np.maximum(opened[store], introduced[product]) <= valid_to
    store, product, valid_to = store[ever], product[ever], valid_to[ever]
    rate = np.array([p.daily_rate for p in products])[product] * np.array([s.size for s in stores])[store]
    return Series(
        store=store,
        product=product,
        valid_from=np.maximum(opened[store], introduced[product]),
        valid_to=valid_to,
        daily_rate=rate * taste[store, product],
    )


def _customers(seed: int, start: int, *, size: DemoSize) -> tuple[Customer, ...]:
    """Three in four are known before the first day, the others join during the first year and a half."""
    rng = random_stream(seed, Stream.CUSTOMERS)
    joined = np.where(
        rng.random(size.customers) < 0.75,
        start - rng.integers(1, 1500, size.customers),
        start + rng.integers(0, 540, size.customers),
    )
    segments = rng.choice(len(SEGMENTS), size.customers, p=[0.4, 0.3, 0.2, 0.1])
    return tuple(
        Customer(f"C{n + 1:05d}", SEGMENTS[segments[n]], n % size.stores, int(joined[n])) for n in range(size.customers)
    )
