"""The dense demand table by hand, and over a small demo retailer whose truth is known."""

import sqlite3
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from retail_assets.demo.retailer import write_days
from retail_assets.demo.till import MISSING_FEED_FIRST
from retail_assets.demo.world import DemoSize
from retail_assets.resources.source import Source
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables import bronze, entities, gold, silver
from retail_assets.tables.entities import Entity
from retail_assets.tables.validation import conform
from retail_assets.transforms import as_of, demand
from retail_assets.transforms import gold as to_gold
from retail_assets.transforms import silver as to_silver
from retail_assets.transforms.days import within
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import MOMENT, table_of

DAY = date(2025, 3, 1)
TABLES = {"assortment", "stores", "products", "prices", "promotions", "events"}
KEY = ["business_date", "store_id", "product_id"]
Given = Mapping[str, list[dict[str, Any]]]


def _day(number: int) -> date:
    return DAY + timedelta(days=number)


def _tables(given: Given) -> dict[str, ibis.Table]:
    base: Given = {
        "stores": [{"store_id": "S1", "store_name": "A", "region": "North"}],
        "products": [{"product_id": p, "product_name": p, "list_price": Decimal("9.0000")} for p in ("P1", "P2")],
        "assortment": [{"store_id": "S1", "product_id": p, "valid_from": _day(-300)} for p in ("P1", "P2")],
    }
    contracts = {table.name: table for table in silver.SNAPSHOTS if table.name in TABLES}
    return {name: table_of(table, {**base, **given}.get(name, [])) for name, table in contracts.items()}


def _demand(days: Window, sales: list[dict[str, Any]], stock: list[dict[str, Any]] | None = None, **given: Any) -> Any:
    line = {"store_id": "S1", "product_id": "P1", "quantity": 1, "unit_price": 2, "business_date": DAY}
    lines = [line | {"sale_line_id": str(number)} | row for number, row in enumerate(sales)]
    wide = days.extended(days_before=demand.LOOKBACK_DAYS)
    known = [row for row in lines if row["business_date"] in wide]
    exact = [row | {k: Decimal(row[k]) for k in ("quantity", "unit_price")} for row in known]
    seen = demand.observed_demand(
        days,
        sales=to_gold.fact_sales(table_of(silver.SALES, exact)),
        inventory=table_of(gold.FACT_INVENTORY, [row for row in stock or [] if row["business_date"] in wide]),
        offer=demand.Offer(**_tables(given)),
    )
    rows = pa.Table.from_pandas(demand.unconstrained(seen.to_pandas(), days), preserve_index=False)
    return conform(gold.DEMAND_DAILY, rows).to_pandas().set_index(["business_date", "product_id"]).sort_index()


def test_days_without_a_sale_are_zero_where_the_feed_came_and_empty_where_it_did_not() -> None:
    found = _demand(Window(_day(0), _day(1)), [{"quantity": 3}, {"quantity": -1}])
    sold = found.loc[(DAY, "P1")]
    assert (sold.sold_units, sold.returned_units, sold.net_value) == (3, 1, Decimal("4.0000"))
    idle = found.loc[(DAY, "P2")]
    assert (idle.sold_units, idle.returned_units, idle.net_value, idle.is_feed_missing) == (0, 0, 0, False)
    silent = found.loc[_day(1)]
    assert len(silent) == 2 and silent.is_feed_missing.all() and silent.is_open.all()
    assert silent[["sold_units", "returned_units", "net_value", "unconstrained_units"]].isna().all(axis=None)


def test_a_closed_day_is_neither_missing_nor_an_estimate() -> None:
    closed = [{"event_date": _day(1), "event_name": "Closed", "event_type": "closed", "region": "*"}]
    found = _demand(Window(_day(1), _day(1)), [], events=closed)
    assert not found.is_open.any() and not found.is_feed_missing.any()
    assert (found[["sold_units", "unconstrained_units", "unconstrained_sd"]] == 0).all(axis=None)


def test_an_event_closes_the_stores_of_its_region_only() -> None:
    stores = [{"store_id": s, "store_name": s, "region": region} for s, region in (("S1", "North"), ("S2", "South"))]
    carried = [{"store_id": s, "product_id": "P1", "valid_from": DAY} for s in ("S1", "S2")]
    events = [
        {"event_date": DAY, "event_name": "Strike", "event_type": "closed", "region": "South"},
        {"event_date": DAY, "event_name": "Fair", "event_type": "local", "region": "North"},
    ]
    found = _demand(Window(DAY, DAY), [{}], stores=stores, assortment=carried, events=events)
    assert dict(zip(found.store_id, found.is_open, strict=True)) == {"S1": True, "S2": False}


def test_a_product_is_there_from_its_first_day_to_its_last_whatever_ends_it() -> None:
    stores = [{"store_id": "S1", "store_name": "A", "opened_date": _day(1), "closed_date": _day(8)}]
    products = [
        {"product_id": "P1", "product_name": "P1", "introduced_date": _day(2)},
        {"product_id": "P2", "product_name": "P2", "discontinued_date": _day(5)},
        {"product_id": "P3", "product_name": "P3"},
    ]
    carried = [
        {"store_id": "S1", "product_id": "P1", "valid_from": _day(0)},
        {"store_id": "S1", "product_id": "P2", "valid_from": _day(3), "valid_to": _day(7)},
        {"store_id": "S1", "product_id": "P3", "valid_from": _day(0), "valid_to": _day(4)},
        {"store_id": "S1", "product_id": "P3", "valid_from": _day(3), "valid_to": _day(3)},
        {"store_id": "S9", "product_id": "P3", "valid_from": _day(0)},
    ]
    found = _demand(Window(_day(0), _day(9)), [], stores=stores, products=products, assortment=carried).reset_index()
    spans = found.groupby("product_id")["business_date"].agg(["min", "max", "count"])
    assert spans.loc["P1"].tolist() == [_day(2), _day(8), 7]
    assert spans.loc["P2"].tolist() == [_day(3), _day(5), 3]
    assert spans.loc["P3"].tolist() == [_day(1), _day(4), 4]
    assert set(found.store_id) == {"S1"}


def test_sales_of_what_is_not_carried_are_kept() -> None:
    sales = [{"product_id": "P2", "quantity": 4}, {"product_id": "P9", "quantity": 2}, {"store_id": "S7"}]
    carried = [{"store_id": "S1", "product_id": "P1", "valid_from": _day(-300)}]
    found = _demand(Window(_day(0), _day(1)), sales, assortment=carried).reset_index()
    kept = found[found.sold_units > 0]
    assert set(zip(kept.store_id, kept.product_id, kept.sold_units, strict=True)) == {
        ("S1", "P2", 4.0),
        ("S1", "P9", 2.0),
        ("S7", "P1", 1.0),
    }
    assert (kept.unit_price == 2).tolist() == (kept.product_id == "P9").tolist(), "only nobody knows P9: its line says"
    assert len(found) == 5, "the carried one on both days, the others on the day they sold"


def test_sales_on_a_closed_day_are_kept_as_they_are() -> None:
    closed = [{"event_date": DAY, "event_name": "Closed", "event_type": "closed", "region": "*"}]
    found = _demand(Window(DAY, DAY), [{"quantity": 5}], events=closed)
    row = found.loc[(DAY, "P1")]
    assert (row.is_open, row.sold_units, row.unconstrained_units, row.unconstrained_sd) == (False, 5, 5, 0)


def test_a_price_of_the_store_stands_before_one_for_all_and_changes_on_its_day() -> None:
    prices = [
        {"store_id": "*", "product_id": "P1", "valid_from": _day(-9), "unit_price": Decimal("3.0000")},
        {"store_id": "*", "product_id": "P1", "valid_from": _day(2), "unit_price": Decimal("4.0000")},
        {"store_id": "S1", "product_id": "P1", "valid_from": _day(3), "unit_price": Decimal("3.5000")},
        {"store_id": "S2", "product_id": "P1", "valid_from": _day(-9), "unit_price": Decimal("1.0000")},
    ]
    found = _demand(Window(_day(0), _day(4)), [], prices=prices)["unit_price"].unstack()
    assert found["P1"].tolist() == [3.0, 3.0, 4.0, 3.5, 3.5]
    assert (found["P2"] == 9.0).all(), "the list price where no price is known"


UNPRICED = [{"product_id": p, "product_name": p} for p in ("P1", "P2")]
BOTH_STORES = {
    "stores": [{"store_id": s, "store_name": s} for s in ("S1", "S2")],
    "assortment": [
        {"store_id": s, "product_id": p, "valid_from": _day(-300)} for s in ("S1", "S2") for p in ("P1", "P2")
    ],
}
SOLD_AT = {
    "one line": ([(0, 3.0)], 3.0),
    "the first day of the look-back": ([(-63, 3.0)], 3.0),
    "the day before it": ([(-64, 3.0)], None),
    "later lines": ([(1, 3.0), (0, 4.0), (2, 3.0)], 4.0),
    "nothing but later lines": ([(1, 3.0)], None),
    "the middle of two days": ([(-2, 3.0), (-1, 4.0)], 3.5),
    "a promotion that sells many lines": ([*[(-1, 1.0)] * 9, (-3, 3.0), (-2, 3.0)], 3.0),
    "a new price on 15 of the last 28 days": ([(n, 4.0 if n > -15 else 3.0) for n in range(-50, 1)], 4.0),
    "a new price on 13 of the last 28 days": ([(n, 4.0 if n > -13 else 3.0) for n in range(-50, 1)], 3.0),
    "days without a sale do not count": ([(2 * n, 4.0 if n > -15 else 3.0) for n in range(-31, 1)], 4.0),
    "lines for nothing": ([(-1, 3.0), (0, 0.0), (-2, 0.0)], 3.0),
    "nothing at all": ([], None),
}


@pytest.mark.parametrize("case", SOLD_AT)
def test_where_the_source_gives_no_price_the_median_of_recent_sale_lines_stands_for_it(case: str) -> None:
    lines, price = SOLD_AT[case]
    sales = [{"business_date": _day(n), "unit_price": value} for n, value in lines]
    returned = [{"business_date": _day(n), "unit_price": 99, "quantity": -1} for n in (-3, -2, -1)]
    row = _demand(Window(_day(-2), _day(16)), [*sales, *returned], products=UNPRICED).loc[(DAY, "P1")]
    found = None if pd.isna(row.unit_price) else row.unit_price
    assert (found, row.price_source) == (price, gold.SALE_LINES if price else None)


def test_the_discount_of_a_line_does_not_lower_the_price() -> None:
    sales = [{"unit_price": 5, "discount_value": Decimal("2.0000")}]
    row = _demand(Window(DAY, DAY), sales, products=UNPRICED).loc[(DAY, "P1")]
    assert (row.unit_price, row.net_value) == (5.0, 3)


def test_lines_of_the_own_store_stand_before_those_of_all_stores() -> None:
    sales = [
        {"store_id": "S1", "business_date": _day(-30), "unit_price": 3},
        *({"store_id": "S2", "business_date": _day(-n), "unit_price": 5} for n in range(9)),
        {"store_id": "S2", "product_id": "P2", "unit_price": 7},
    ]
    rows = _demand(Window(DAY, DAY), sales, products=UNPRICED, **BOTH_STORES).reset_index()
    found = rows.set_index(["store_id", "product_id"]).unit_price
    assert found.to_dict() == {("S1", "P1"): 3.0, ("S2", "P1"): 5.0, ("S1", "P2"): 7.0, ("S2", "P2"): 7.0}


def test_a_price_of_the_source_is_never_that_of_sale_lines() -> None:
    prices = [{"store_id": "S1", "product_id": "P1", "valid_from": _day(1), "unit_price": Decimal("3.0000")}]
    sales = [{"business_date": _day(n), "product_id": p, "unit_price": 6} for n in (-1, 0, 1) for p in ("P1", "P2")]
    products = [{"product_id": "P1", "product_name": "A"}, {"product_id": "P2", "product_name": "B", "list_price": 9}]
    exact = [row | {"list_price": Decimal("9.0000")} if "list_price" in row else row for row in products]
    found = _demand(Window(_day(0), _day(1)), sales, prices=prices, products=exact)[["unit_price", "price_source"]]
    assert [tuple(row) for row in found.to_numpy().tolist()] == [
        (6.0, gold.SALE_LINES),
        (9.0, gold.LIST_PRICE),
        (3.0, gold.PRICES),
        (9.0, gold.LIST_PRICE),
    ]


def test_promotions_run_from_their_first_day_to_their_last_and_the_deepest_counts() -> None:
    offer = {"product_id": "P1", "start_date": _day(1), "end_date": _day(2)}
    promotions = [
        offer | {"promotion_id": "A", "store_id": "*", "discount_rate": 0.2},
        offer | {"promotion_id": "B", "store_id": "*", "discount_rate": 0.3, "start_date": _day(2)},
        offer | {"promotion_id": "C", "store_id": "S2", "discount_rate": 0.9},
        offer | {"promotion_id": "D", "store_id": "S1", "product_id": "P2", "discount_rate": None},
    ]
    found = _demand(Window(_day(0), _day(3)), [], promotions=promotions)
    assert found.discount_rate.unstack()["P1"].tolist() == [0.0, 0.2, 0.3, 0.0]
    assert found.is_promoted.unstack()["P1"].tolist() == [False, True, True, False]
    assert found.is_promoted.unstack()["P2"].tolist() == [False, True, True, False], "a promotion without a rate"
    assert (found.discount_rate.unstack()["P2"] == 0).all()


def _stock(days: range, units: Mapping[int, int], **row: Any) -> list[dict[str, Any]]:
    count = {"store_id": "S1", "product_id": "P1"} | row
    return [count | {"business_date": _day(n), "on_hand_units": Decimal(units.get(n, 50))} for n in days]


def test_a_sold_out_day_is_estimated_above_its_sales_and_others_are_as_sold() -> None:
    days = range(-40, 1)
    sales = [{"business_date": _day(n), "quantity": 5 + n % 3} for n in days]
    found = _demand(Window(_day(-1), _day(0)), sales, _stock(days, {0: 0}))
    sold_out, usual = found.loc[(_day(0), "P1")], found.loc[(_day(-1), "P1")]
    assert (sold_out.censoring, usual.censoring) == ("full", "none")
    assert sold_out.unconstrained_units > sold_out.sold_units and sold_out.unconstrained_sd > 0
    assert (usual.unconstrained_units, usual.unconstrained_sd, usual.available_rate) == (usual.sold_units, 0, 1)
    assert found.loc[(_day(0), "P2")].censoring == "unknown", "no stock data"


def test_no_rows_at_all_are_an_empty_table() -> None:
    assert len(_demand(Window(DAY, DAY), [], assortment=[])) == 0


WEEKS = Window(_day(-70), _day(6))
"""Eleven weeks; DAY is a Saturday, so that they end on a Friday."""


def _trading(weekdays: set[int], *, products: int = 20, days: Window = WEEKS, **row: Any) -> list[dict[str, Any]]:
    """A line of each product on every day of these ISO weekdays."""
    names = [f"P{n}" for n in range(products)]
    open_days = [day for day in days.days() if day.isoweekday() in weekdays]
    return [{"business_date": day, "product_id": name} | row for day in open_days for name in names]


def _open_weekdays(found: pd.DataFrame, column: str = "is_open") -> set[int]:
    return {day.isoweekday() for day, _ in found[found[column]].index}


LAST_WEEK = Window(_day(0), _day(6))


def test_a_weekday_without_a_sale_for_weeks_is_closed_and_no_feed_is_missing() -> None:
    stock = [{"store_id": "S1", "product_id": "P1", "business_date": d, "on_hand_units": 9} for d in WEEKS.days()]
    found = _demand(LAST_WEEK, _trading({1, 2, 3, 4, 5}), stock)
    assert _open_weekdays(found) == {1, 2, 3, 4, 5} and not found.is_feed_missing.any()
    off = found[~found.is_open]
    assert len(off) and (off[["sold_units", "unconstrained_units", "unconstrained_sd"]] == 0).all(axis=None)


def test_a_weekday_is_not_closed_before_it_was_empty_for_weeks() -> None:
    two_weeks = _trading(set(range(1, 7)), days=Window(_day(-14), _day(6)))
    found = _demand(LAST_WEEK, two_weeks)
    assert _open_weekdays(found) == set(range(1, 8)) and _open_weekdays(found, "is_feed_missing") == {7}


def test_four_mondays_whose_feed_is_missing_are_not_a_closed_weekday() -> None:
    missing = {_day(2) - timedelta(days=7 * n) for n in range(4)}
    sales = [row for row in _trading(set(range(1, 8))) if row["business_date"] not in missing]
    found = _demand(LAST_WEEK, sales)
    assert found.is_open.all() and _open_weekdays(found, "is_feed_missing") == {1}


def test_a_sale_opens_a_closed_weekday_that_day_and_from_then_on() -> None:
    sunday = _day(1)
    sales = [*_trading(set(range(1, 7))), *_trading({7}, days=Window(sunday, sunday))]
    assert _demand(Window(sunday, sunday), sales).is_open.all()
    after = _demand(Window(sunday + timedelta(days=7), sunday + timedelta(days=7)), sales)
    assert after.is_open.all() and after.is_feed_missing.all()


def test_the_weekdays_of_the_source_stand_before_what_is_learnt() -> None:
    stores = [{"store_id": "S1", "store_name": "A", "region": "North", "opening_weekdays": "124567"}]
    found = _demand(LAST_WEEK, _trading(set(range(1, 7))), stores=stores)
    assert found.is_open.all(), "Sunday is given, and on Wednesday the store sold"
    assert _open_weekdays(found, "is_feed_missing") == {7}
    idle = _demand(LAST_WEEK, _trading({1, 2, 4, 5, 6, 7}), stores=stores)
    assert _open_weekdays(idle) == {1, 2, 4, 5, 6, 7} and not idle.is_feed_missing.any()


def test_closed_weekdays_of_a_range_are_those_of_each_day_alone() -> None:
    """On the third of four Sundays the store sells for the first time."""
    sundays = [_day(n) for n in (1, 8, 15, 22)]
    sales = _trading(set(range(1, 7)), days=Window(_day(-60), _day(27))) + _trading({7}, days=Window(*[sundays[2]] * 2))
    at_once = _demand(Window(_day(0), _day(27)), sales)
    some = [_day(2), *sundays]
    alone = pd.concat([_demand(Window(day, day), sales) for day in sorted(some)])
    pd.testing.assert_frame_equal(at_once.loc[sorted(some)], alone, check_exact=True)
    assert set(at_once.loc[~at_once.is_open].index.get_level_values(0)) == set(sundays[:2])


def _short(step: float, hours: float | None = None, **product: Any) -> pd.DataFrame:
    """Nine weeks that sell 29, 20, 11 steps a day, then a day that had sold 11 when stock ran out for 8 hours."""
    days = range(-63, 1)
    kilos = [Decimal(str(round(step * (11 if n == 0 else (29, 20, 11)[n % 3]), 3))) for n in days]
    sales = [{"business_date": _day(n), "quantity": kilos[n + 63]} for n in days]
    stock = [row | {"stock_out_hours": 8.0 if row["business_date"] == DAY else 0.0} for row in _stock(days, {0: 0})]
    products = [{"product_id": p, "product_name": p, "list_price": Decimal(9)} | product for p in ("P1", "P2")]
    stores = [{"store_id": "S1", "store_name": "A", "region": "North", "trading_hours": hours}]
    return _demand(Window(DAY, DAY), sales, stock, products=products, stores=stores).loc[(DAY, "P1")]


@pytest.mark.parametrize("step", [0.5, 0.1, 0.001])
def test_demand_of_weighed_goods_is_counted_in_their_steps(step: float) -> None:
    whole = _short(1.0, unit_step=1.0)
    for product in ({"unit_step": step}, {}, {"unit_step": 1.0 if step < 0.5 else step}):
        weighed = _short(step, **product)
        assert weighed.unconstrained_units == pytest.approx(whole.unconstrained_units * step, rel=1e-6), product
        assert weighed.unconstrained_sd == pytest.approx(whole.unconstrained_sd * step, rel=1e-6)


def test_the_hours_of_the_store_say_how_much_of_the_day_was_seen() -> None:
    assert _short(1.0, 16.0).available_rate == 0.5
    assert _short(1.0, 24.0).available_rate == pytest.approx(2 / 3)
    assert _short(1.0).available_rate == pytest.approx(1 - 8 / 14), "nothing is known of the hours"


START, THROUGH = date(2025, 10, 1), date(2026, 1, 4)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "source.db"
    size = DemoSize(stores=3, products=18, customers=30, opening_after_days=40)
    write_days(f"sqlite:///{path}", start=START, through=THROUGH, size=size)
    return path


def _known(source: Source, entity: Entity) -> ibis.Table:
    current = ibis.memtable(source.read_snapshot(entity))
    raw = next(table for table in bronze.SNAPSHOTS if table.name == entity.name)
    columns = [*entity.column_names, "unparsed"]
    versions = as_of.append_changes(table_of(raw, []), current, key=entity.key, columns=columns, seen_at=MOMENT)
    return to_silver.validated_snapshot(ibis.memtable(versions.to_pyarrow()), entity).drop("broken_rule")


@pytest.fixture(scope="module")
def inputs(database: Path) -> dict[str, ibis.Table]:
    source = Source(f"sqlite:///{database}", load_mapping("demo"))
    versions = {e.name: ibis.memtable(_known(source, e).to_pyarrow()) for e in entities.SNAPSHOTS if e.name in TABLES}
    known = {e.name: as_of.newest(versions[e.name], key=e.key) for e in entities.SNAPSHOTS if e.name in TABLES}
    daily = {e.name: ibis.memtable(source.read_days(e, START, THROUGH).read_all()) for e in entities.DAILY}
    reference = {"stores": versions["stores"], "products": versions["products"]}
    sales = to_silver.sales(to_silver.validated_sales(daily["sales"], **reference))
    stock = to_silver.inventory(to_silver.validated_inventory(daily["inventory"], **reference))
    products = to_gold.dimension(versions["products"], entities.PRODUCTS, gold.DIM_PRODUCT)
    facts = {"sales": to_gold.fact_sales(sales), "inventory": to_gold.fact_inventory(stock, products)}
    return {name: ibis.memtable(rows.to_pyarrow()) for name, rows in {**known, **facts}.items()}


def _made(inputs: dict[str, ibis.Table], days: Window) -> pd.DataFrame:
    wide = days.extended(days_before=demand.LOOKBACK_DAYS)
    cut = {name: within(inputs[name], wide) for name in ("sales", "inventory")}
    offer = demand.Offer(**{name: inputs[name] for name in TABLES})
    frame = demand.unconstrained(demand.observed_demand(days, **cut, offer=offer).to_pandas(), days)
    rows = conform(gold.DEMAND_DAILY, pa.Table.from_pandas(frame, preserve_index=False))
    return rows.to_pandas().sort_values(KEY, ignore_index=True)


@pytest.fixture(scope="module")
def whole(inputs: dict[str, ibis.Table]) -> pd.DataFrame:
    return _made(inputs, Window(START, THROUGH))


def _without_prices(inputs: dict[str, ibis.Table]) -> dict[str, ibis.Table]:
    products = inputs["products"].mutate(list_price=ibis.null("decimal(18, 4)"))
    return inputs | {"products": products, "prices": inputs["prices"].limit(0)}


def test_sale_lines_show_the_prices_of_a_source_that_gives_none(
    inputs: dict[str, ibis.Table], whole: pd.DataFrame
) -> None:
    """Everything else of the table stays as it is; prices that changed lately are late by some days."""
    month = Window(date(2025, 12, 1), date(2025, 12, 31))
    found = _made(_without_prices(inputs), month)
    given = whole[whole.business_date.isin(list(month.days()))].reset_index(drop=True)
    assert set(given.price_source) <= {gold.PRICES, gold.LIST_PRICE} and set(found.price_source) == {gold.SALE_LINES}
    pd.testing.assert_frame_equal(
        found.drop(columns=["unit_price", "price_source"]), given.drop(columns=["unit_price", "price_source"])
    )
    assert (found.unit_price == given.unit_price).mean() > 0.9
    day = date(2025, 12, 14)
    alone = _made(_without_prices(inputs), Window(day, day))
    expected = found[found.business_date == day].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=True)


def test_prices_of_the_source_are_as_they_were_before_sale_lines_had_any(
    inputs: dict[str, ibis.Table], whole: pd.DataFrame
) -> None:
    silent = inputs | {
        "sales": inputs["sales"].mutate(unit_price=ibis.literal(Decimal("0.0001")).cast("decimal(18, 4)"))
    }
    month = Window(date(2025, 12, 1), date(2025, 12, 31))
    given = whole[whole.business_date.isin(list(month.days()))].reset_index(drop=True)
    assert given.unit_price.notna().all()
    pd.testing.assert_frame_equal(_made(silent, month), given, check_exact=True)


def _query(database: Path, sql: str) -> pd.DataFrame:
    with sqlite3.connect(database) as connection:
        return pd.read_sql_query(sql, connection)


def test_a_month_at_once_is_each_day_alone(inputs: dict[str, ibis.Table]) -> None:
    month = Window(date(2025, 12, 1), date(2025, 12, 31))
    at_once = _made(inputs, month)
    days = [Window(day, day) for day in month.days() if day.day in (1, 2, 14, 25, 31)]
    alone = pd.concat([_made(inputs, day) for day in days], ignore_index=True)
    some = at_once[at_once.business_date.isin([day.first for day in days])].reset_index(drop=True)
    assert (some.censoring == "full").any()
    pd.testing.assert_frame_equal(some, alone, check_exact=True)


def test_no_day_depends_on_a_later_one(inputs: dict[str, ibis.Table], whole: pd.DataFrame) -> None:
    last = date(2025, 12, 10)
    cut = {name: within(inputs[name], Window(START, last)) for name in ("sales", "inventory")}
    found = _made({**inputs, **cut}, Window(last, last))
    wanted = whole[whole.business_date == last].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)


def test_there_is_a_row_for_every_day_of_every_carried_product(database: Path, whole: pd.DataFrame) -> None:
    truth = _query(database, "SELECT business_date, store_id, product_id FROM true_demand")
    wanted = set(zip(pd.to_datetime(truth.business_date).dt.date, truth.store_id, truth.product_id, strict=True))
    found = list(zip(whole.business_date, whole.store_id, whole.product_id, strict=True))
    assert len(found) == len(set(found)) and set(found) == wanted


def test_sales_are_those_of_the_truth_where_lines_were_sound(database: Path, whole: pd.DataFrame) -> None:
    """Rows that a fault touches are left out: their line was refused or has not arrived."""
    truth = _query(database, "SELECT *, demanded_units - lost_units AS sold FROM true_demand")
    faults = _query(database, "SELECT * FROM injected_fault")
    for frame in (truth, faults):
        frame["business_date"] = pd.to_datetime(frame["business_date"]).dt.date
    joined = whole.merge(truth, on=KEY, validate="one_to_one", suffixes=("", "_true"))
    spoiled = pd.MultiIndex.from_frame(faults[KEY])
    sound = joined[~pd.MultiIndex.from_frame(joined[KEY]).isin(spoiled) & ~joined.is_feed_missing]
    assert len(sound) > 0.95 * len(joined) > 3000
    assert (sound.sold_units == sound.sold).all() and (sound.returned_units == sound.returned_units_true).all()


def test_the_missing_feed_is_flagged_and_only_that(database: Path, whole: pd.DataFrame) -> None:
    fault = _query(database, "SELECT * FROM injected_fault WHERE fault_class = 'missing_feed'").iloc[0]
    missing = whole[whole.is_feed_missing]
    assert fault.business_date == str(START + timedelta(days=MISSING_FEED_FIRST))
    assert {(str(day), store) for day, store in zip(missing.business_date, missing.store_id, strict=True)} == {
        (fault.business_date, fault.store_id)
    }
    assert missing[["sold_units", "returned_units", "net_value", "unconstrained_units"]].isna().all(axis=None)
    known = whole[~whole.is_feed_missing]
    assert known[["sold_units", "returned_units", "net_value", "unit_price"]].notna().all(axis=None)


def test_christmas_is_closed(whole: pd.DataFrame) -> None:
    assert set(whole.loc[~whole.is_open, "business_date"]) == {date(2025, 12, 25)}


def test_units_and_money_are_those_of_the_facts(inputs: dict[str, ibis.Table], whole: pd.DataFrame) -> None:
    facts = inputs["sales"].to_pandas()
    assert whole.net_value.dropna().sum() == facts.net_value.sum()
    assert (whole.sold_units - whole.returned_units).sum() == float(facts.quantity.sum())


def test_prices_and_promotions_are_those_at_the_till(inputs: dict[str, ibis.Table], whole: pd.DataFrame) -> None:
    """A correction may change a price at the till by a whole unit; all other lines carry the plan's."""
    facts = inputs["sales"].to_pandas()
    facts["business_date"] = facts["business_date"].dt.date
    lines = facts[facts.quantity > 0].merge(whole, on=KEY, validate="many_to_one", suffixes=("_line", ""))
    same_price = np.isclose(lines.unit_price_line.astype(float), lines.unit_price)
    assert same_price.mean() > 0.998
    value = (lines.gross_value.astype(float) * lines.discount_rate)[same_price]
    off = np.abs(value - lines.discount_value.astype(float)[same_price])
    assert (off < 0.0051).mean() > 0.998 and lines.is_promoted.mean() > 0.02
    assert ((lines.discount_rate > 0) == lines.is_promoted).all()


def test_demand_is_at_least_sales_and_unknown_only_where_it_may_be(whole: pd.DataFrame) -> None:
    known = whole[~whole.is_feed_missing]
    assert (known.unconstrained_units.fillna(np.inf) >= known.sold_units).all()
    observed = known[known.censoring == "none"]
    assert (observed.unconstrained_units == observed.sold_units).all() and (observed.unconstrained_sd == 0).all()
    blind = known[known.unconstrained_units.isna()]
    assert set(blind.censoring) <= {"full", "partial"} and len(blind) < 0.01 * len(whole)
    assert set(whole.censoring) <= {"none", "partial", "full", "unknown"}
    assert whole.available_rate.dropna().between(0, 1).all()
