"""What the planner looks at: a level, the filters that make sense there, and the day the forecast was made.

A slice is a place (every store, a region, a store) and goods (everything, a category, a department, a product).
"""

from dataclasses import dataclass, replace
from datetime import date

import pandas as pd
import streamlit as st

from dashboards import queries, session
from dashboards.queries import Slice

PRODUCT, DEPARTMENT, CATEGORY, STORE, REGION, COMPANY = (
    "Product",
    "Department",
    "Category",
    "Store",
    "Region",
    "Company",
)
LEVELS = (PRODUCT, DEPARTMENT, CATEGORY, STORE, REGION, COMPANY)
EVERYTHING = Slice()
EVERY_STORE = "All stores"
EVERY_PRODUCT = "All products"
EVERY_DEPARTMENT = "All departments"

Names = dict[str, str]
"""Identifier to name, in the order to show."""


@dataclass(frozen=True)
class View:
    """What the planner looks at."""

    slice_: Slice
    title: str
    as_of_date: date
    is_newest: bool


@dataclass(frozen=True)
class Catalogue:
    """What can be chosen, in the order to show."""

    stores: Names
    regions: list[str]
    departments: list[str]
    categories: list[str]


def view() -> View:
    """The choice, from widgets drawn here."""
    catalogue = _catalogue()
    level = st.segmented_control("Level", _levels(catalogue), default=PRODUCT, required=True, key="demand_level")
    columns = st.columns([2, 2, 3, 2])
    with columns[3]:
        as_of_date, is_newest = _as_of_date()
    with columns[0]:
        place = _place(str(level), catalogue)
    with columns[1]:
        goods = _goods(str(level), catalogue)
    slice_ = replace(place, department=goods.department, category=goods.category)
    if level != PRODUCT:
        return View(slice_, _title(slice_, catalogue, {}), as_of_date, is_newest)
    products = _names(session.answer(queries.products, as_of_date=as_of_date, slice_=slice_), "product")
    with columns[2]:
        slice_ = replace(place, product_id=_product(products))
    return View(slice_, _title(slice_, catalogue, products), as_of_date, is_newest)


def _catalogue() -> Catalogue:
    stores, goods = session.answer(queries.stores), session.answer(queries.departments)
    return Catalogue(
        stores=_names(stores, "store"),
        regions=_distinct(stores, "region"),
        departments=_distinct(goods, "department"),
        categories=_distinct(goods, "category"),
    )


def _levels(catalogue: Catalogue) -> list[str]:
    """Every level but the region where no store has one."""
    return [level for level in LEVELS if level != REGION or catalogue.regions]


def _as_of_date() -> tuple[date, bool]:
    dates = session.answer(queries.forecast_dates)
    chosen = st.selectbox(
        "Forecast made after",
        dates,
        format_func=lambda day: f"{day:%d %b %Y}{' · newest' if day == dates[0] else ''}",
        key="demand_as_of_date",
        help="The last day the forecast knew. Choose an earlier one to see what was expected then.",
    )
    return chosen, chosen == dates[0]


def _place(level: str, catalogue: Catalogue) -> Slice:
    stores = [Slice(store_id=store_id) for store_id in catalogue.stores]
    regions = [Slice(region=region) for region in catalogue.regions]
    if level == COMPANY:
        return EVERYTHING
    if level == REGION:
        return st.selectbox("Region", regions, format_func=lambda place: place.region, key="demand_region")
    # One key: the store stays chosen from level to level
    is_store = level == STORE
    return st.selectbox(
        "Store" if is_store else "Store or region",
        stores if is_store else [EVERYTHING, *regions, *stores],
        index=0 if is_store else min(1 + len(regions), len(regions) + len(stores)),
        format_func=lambda place: _place_name(place, catalogue),
        key="demand_place",
    )


def _place_name(place: Slice, catalogue: Catalogue) -> str:
    if place.region is not None:
        return f"{place.region} · region"
    return EVERY_STORE if place.store_id is None else _named(place.store_id, catalogue.stores)


def _goods(level: str, catalogue: Catalogue) -> Slice:
    if level == COMPANY:
        return EVERYTHING
    categories = [Slice(category=category) for category in catalogue.categories]
    departments = [Slice(department=department) for department in catalogue.departments]
    label, options = {
        PRODUCT: ("Department", [EVERYTHING, *departments]),
        DEPARTMENT: ("Department", departments),
        CATEGORY: ("Category", categories),
    }.get(level, ("Products", [EVERYTHING, *categories, *departments]))
    every = EVERY_DEPARTMENT if level == PRODUCT else EVERY_PRODUCT
    is_mixed = level in (STORE, REGION)
    return st.selectbox(
        label,
        options,
        format_func=lambda goods: _goods_name(goods, every=every, note=" · category" if is_mixed else ""),
        key=f"demand_goods_{'mixed' if is_mixed else level.lower()}",
    )


def _goods_name(goods: Slice, *, every: str, note: str) -> str:
    if goods.category is not None:
        return f"{goods.category}{note}"
    return every if goods.department is None else goods.department


def _product(names: Names) -> str:
    if not names:
        raise session.NothingThere("Nothing was forecast here on that day: choose another store, department or day.")
    return st.selectbox(
        "Product",
        list(names),
        format_func=lambda key: _named(key, names),
        key="demand_product",
        help="Highest expected sales value first; type to search.",
    )


def _title(slice_: Slice, catalogue: Catalogue, products: Names) -> str:
    if slice_ == EVERYTHING:
        return "Whole company"
    if slice_.store_id:
        where = catalogue.stores.get(slice_.store_id, slice_.store_id)
    else:
        where = f"region {slice_.region}" if slice_.region else EVERY_STORE.lower()
    what = products.get(slice_.product_id, slice_.product_id) if slice_.product_id else None
    what = what or slice_.department or slice_.category
    return f"{what} in {where}" if what else where[0].upper() + where[1:]


def _names(frame: pd.DataFrame, what: str) -> Names:
    return dict(zip(frame[f"{what}_id"], frame[f"{what}_name"], strict=True))


def _named(key: str, names: Names) -> str:
    name = names.get(key, key)
    return key if name == key else f"{name} · {key}"


def _distinct(frame: pd.DataFrame, column: str) -> list[str]:
    return sorted({str(value) for value in frame[column].dropna() if str(value)})
