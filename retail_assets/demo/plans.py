"""What the retailer plans ahead: prices, promotions and events, each known before the day it holds.

Plans follow from the world alone, month by month or week by week, so a longer plan only ever adds rows to
a shorter one. Demand reacts to them in demand.py.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import holidays
import numpy as np

from retail_assets.demo.randomness import Stream, random_stream
from retail_assets.demo.world import DEPARTMENTS, REGIONS, World, shelf_price

PLAN_AHEAD_DAYS = 42
EVENT_AHEAD_DAYS = 100
LOCAL_PRICE_FACTOR = 1.08
PRICE_CHANGE_RATE = 0.06
DISCOUNTS = (0.10, 0.15, 0.20, 0.25, 0.33)
LOCAL_EVENTS = ("Street festival", "Half marathon", "Food fair", "County show")


@dataclass(frozen=True)
class Promotion:
    """`region` None runs in every store."""

    promotion_id: str
    name: str
    first: int
    last: int
    products: tuple[int, ...]
    region: str | None
    discount_rate: float


@dataclass(frozen=True)
class PriceChange:
    day: int
    product: int
    price: float


@dataclass(frozen=True)
class Event:
    day: int
    name: str
    kind: str
    region: str | None


@dataclass(frozen=True)
class Plans:
    world: World
    promotions: tuple[Promotion, ...]
    price_changes: tuple[PriceChange, ...]
    events: tuple[Event, ...]

    @cached_property
    def closed_days(self) -> frozenset[int]:
        return frozenset(event.day for event in self.events if event.kind == "closed")

    @cached_property
    def holidays(self) -> frozenset[int]:
        return frozenset(event.day for event in self.events if event.kind == "holiday")

    @cached_property
    def has_local_price(self) -> np.ndarray:
        """City stores ask more for every fifth product."""
        return (self.world.of_stores("store_format") == "city") & (self.world.series.product % 5 == 2)

    def product_prices(self, day: int) -> np.ndarray:
        prices = np.array([product.list_price for product in self.world.products])
        for change in self.price_changes:
            if change.day <= day:
                prices[change.product] = change.price
        return prices

    def prices(self, day: int) -> np.ndarray:
        """Price of each series that day, before discount."""
        general = self.product_prices(day)
        local = np.array([local_price(price) for price in general])
        chosen = self.world.series.product
        return np.where(self.has_local_price, local[chosen], general[chosen])

    def discounts(self, day: int) -> np.ndarray:
        """Discount rate of each series that day, 0 without a promotion."""
        rates = np.zeros(len(self.world.series))
        regions = self.world.of_stores("region")
        for promotion in self.promotions:
            if promotion.first <= day <= promotion.last:
                here = np.isin(self.world.series.product, promotion.products)
                here &= (regions == promotion.region) | (promotion.region is None)
                rates[here] = promotion.discount_rate
        return rates

    def local_event_regions(self, day: int) -> set[str]:
        return {event.region for event in self.events if event.day == day and event.region is not None}


def build_plans(world: World, until: int) -> Plans:
    """Plans for every day up to the day number `until`."""
    promotions = tuple(p for week in range(world.start // 7 - 2, until // 7 + 1) for p in _promotions(world, week))
    return Plans(world, promotions, _price_changes(world, until), _events(world, until))


def local_price(price: float) -> float:
    return shelf_price(price * LOCAL_PRICE_FACTOR)


def _promotions(world: World, week: int) -> list[Promotion]:
    """Promotions that start in a week, without the products that are still on promotion from the week before."""
    busy = {product for promotion in _drafts(world, week - 1) for product in promotion.products}
    kept = []
    for draft in _drafts(world, week):
        products = tuple(
            n
            for n in draft.products
            if n not in busy
            and world.products[n].introduced <= draft.first
            and world.products[n].discontinued >= draft.last
        )
        if products and draft.last >= world.start:
            kept.append(Promotion(**{**draft.__dict__, "products": products}))
    return kept


def _drafts(world: World, week: int) -> list[Promotion]:
    rng = random_stream(world.seed, Stream.PROMOTIONS, step=week)
    chosen = rng.permutation(len(DEPARTMENTS))[:2].tolist()
    return [_draft(world, week, rng=rng, department=department) for department in chosen]


def _draft(world: World, week: int, *, rng: np.random.Generator, department: int) -> Promotion:
    candidates = [n for n, product in enumerate(world.products) if product.department == department]
    count = max(1, round(0.3 * len(candidates)))
    first = week * 7 + 4
    rate = float(rng.choice(DISCOUNTS))
    return Promotion(
        promotion_id=f"PR{week}{DEPARTMENTS[department].department_id}",
        name=f"{DEPARTMENTS[department].name} {rate:.0%} off",
        first=first,
        last=first + int(rng.choice([6, 6, 9])),
        products=tuple(sorted(rng.permutation(candidates)[:count].tolist())),
        region=str(rng.choice(REGIONS)) if rng.random() < 0.25 else None,
        discount_rate=rate,
    )


def _price_changes(world: World, until: int) -> tuple[PriceChange, ...]:
    prices = [product.list_price for product in world.products]
    changes = []
    for month in range(_month(world.start), _month(until) + 1):
        rng = random_stream(world.seed, Stream.PRICES, step=month)
        first = date(month // 12, month % 12 + 1, 1).toordinal()
        changed = np.flatnonzero(rng.random(len(prices)) < PRICE_CHANGE_RATE).tolist()
        days = first + rng.integers(0, 28, len(prices))
        steps = rng.choice([-0.06, 0.04, 0.06, 0.08, 0.1], len(prices))
        for n in changed:
            change = _change(world, n, day=int(days[n]), price=shelf_price(prices[n] * (1 + steps[n])))
            if change is not None and change.price != prices[n]:
                prices[n] = change.price
                changes.append(change)
    return tuple(sorted((c for c in changes if c.day <= until), key=lambda change: (change.day, change.product)))


def _change(world: World, product: int, *, day: int, price: float) -> PriceChange | None:
    sold = world.products[product]
    is_possible = max(world.start, sold.introduced) < day <= sold.discontinued and price > sold.unit_cost
    return PriceChange(day, product, price) if is_possible else None


def _events(world: World, until: int) -> tuple[Event, ...]:
    first, last = date.fromordinal(world.start), date.fromordinal(until)
    calendar = holidays.country_holidays("GB", years=range(first.year, last.year + 1))
    events = [Event(day.toordinal(), name, "holiday", None) for day, name in calendar.items()]
    for year in range(first.year, last.year + 1):
        events.append(Event(date(year, 12, 25).toordinal(), "Stores closed", "closed", None))
    for month in range(_month(world.start), _month(until) + 1):
        events.extend(_local_events(world, month))
    return tuple(sorted((e for e in events if world.start <= e.day <= until), key=lambda e: (e.day, e.name)))


def _local_events(world: World, month: int) -> list[Event]:
    rng = random_stream(world.seed, Stream.LOCAL_EVENTS, step=month)
    if rng.random() > 0.45:
        return []
    day = date(month // 12, month % 12 + 1, 1) + timedelta(days=int(rng.integers(0, 20)))
    saturday = day.toordinal() + (5 - day.weekday()) % 7
    name, region = str(rng.choice(LOCAL_EVENTS)), str(rng.choice(REGIONS[: max(1, world.size.stores)]))
    return [Event(saturday, name, "local", region), Event(saturday + 1, name, "local", region)]


def _month(day: int) -> int:
    moment = date.fromordinal(day)
    return moment.year * 12 + moment.month - 1
