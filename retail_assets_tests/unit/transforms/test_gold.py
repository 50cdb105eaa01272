"""Facts, dimensions, calendar and segments against SQL, pandas and arithmetic by hand."""

import sqlite3
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from retail_assets.tables import entities, gold, silver
from retail_assets.tables.validation import conform
from retail_assets.transforms import gold as to_gold
from retail_assets.transforms.days import day_table, within
from retail_assets.windows import Window
from retail_assets_tests.unit.ibis_frames import MOMENT, records, table_of

DAY = date(2025, 3, 1)
LATER = MOMENT + timedelta(days=4)
LINE: dict[str, Any] = {
    "sale_line_id": "L1",
    "sale_id": "B1",
    "business_date": DAY,
    "store_id": "S1",
    "product_id": "P1",
    "quantity": Decimal("3.000"),
    "unit_price": Decimal("0.3333"),
}


def _facts(*lines: dict[str, Any]) -> ibis.Table:
    sold = [LINE | {"sale_line_id": str(number)} | line for number, line in enumerate(lines)]
    return to_gold.fact_sales(table_of(silver.SALES, sold))


def _products(*rows: dict[str, Any]) -> ibis.Table:
    product = {"product_id": "P1", "product_name": "Pear"}
    versions = table_of(silver.PRODUCTS, [product | row for row in rows])
    return to_gold.dimension(versions, entities.PRODUCTS, gold.DIM_PRODUCT)


def test_line_values_are_exact_decimals() -> None:
    lines = (
        {"discount_value": Decimal("0.0999")},
        {"quantity": Decimal("-2.000"), "unit_price": Decimal("19.9900")},
        {"quantity": Decimal("0.125"), "unit_price": Decimal("0.0400")},
    )
    facts = conform(gold.FACT_SALES, _facts(*lines).to_pyarrow())
    assert records(facts, "gross_value", "discount_value", "net_value", "is_return") == sorted(
        [
            (Decimal("0.9999"), Decimal("0.0999"), Decimal("0.9000"), False),
            (Decimal("-39.9800"), Decimal("0.0000"), Decimal("-39.9800"), True),
            (Decimal("0.0050"), Decimal("0.0000"), Decimal("0.0050"), False),
        ],
        key=repr,
    )


def test_products_with_seven_places_are_rounded_half_up() -> None:
    lines = (
        {"quantity": Decimal("0.333"), "unit_price": Decimal("1.2345")},  # 0.4110885
        {"quantity": Decimal("-0.005"), "unit_price": Decimal("0.0100")},  # -0.00005
        {"quantity": Decimal("99999999.999"), "unit_price": Decimal("999.9999")},  # 99,999,989,999.0000001
        {"quantity": Decimal("10000.000"), "unit_price": Decimal("1000000000.0000")},  # the limits of silver
    )
    facts = conform(gold.FACT_SALES, _facts(*lines).to_pyarrow())
    assert records(facts, "gross_value") == [
        (Decimal("-0.0001"),),
        (Decimal("0.4111"),),
        (Decimal("10000000000000.0000"),),
        (Decimal("99999989999.0000"),),
    ]
    for units, cost, value in (
        ("0.333", "1.2345", Decimal("0.4111")),
        ("999999.000", "100001.0000", Decimal("100000899999.0000")),
        ("1000000.000", "1000000000.0000", None),  # fits no column
    ):
        stock = {"business_date": DAY, "store_id": "S1", "product_id": "P1", "on_hand_units": Decimal(units)}
        priced = _products({"unit_cost": Decimal(cost)})
        held = to_gold.fact_inventory(table_of(silver.INVENTORY, [stock]), priced).to_pyarrow()
        assert records(conform(gold.FACT_INVENTORY, held), "stock_value") == [(value,)]


def test_stock_is_valued_at_the_cost_that_held_on_its_day() -> None:
    products = _products(
        {"unit_cost": Decimal("2.0000")},
        {"unit_cost": Decimal("3.0000"), "first_seen_at": LATER},
    )
    change = LATER.date() - timedelta(days=1)
    days = [change - timedelta(days=1), change]
    rows = [
        {"business_date": day, "store_id": "S1", "product_id": product, "on_hand_units": Decimal("4.000")}
        for day in days
        for product in ("P1", "P2")
    ]
    facts = conform(
        gold.FACT_INVENTORY, to_gold.fact_inventory(table_of(silver.INVENTORY, rows), products).to_pyarrow()
    )
    assert records(facts, "business_date", "product_id", "stock_value") == [
        (days[0], "P1", Decimal("8.0000")),
        (days[0], "P2", None),
        (days[1], "P1", Decimal("12.0000")),
        (days[1], "P2", None),
    ]


def test_the_summary_counts_lines_baskets_units_and_money() -> None:
    """Against a GROUP BY in SQLite over the same lines."""
    rng = np.random.default_rng(3)
    lines = [
        {
            "sale_id": f"B{rng.integers(4)}",
            "store_id": f"S{rng.integers(2)}",
            "product_id": f"P{rng.integers(1, 4)}",
            "business_date": DAY + timedelta(days=int(rng.integers(2))),
            "quantity": Decimal(int(rng.integers(-2, 5)) or 1),
            "unit_price": Decimal(int(rng.integers(1, 900))) / 100,
            "discount_value": Decimal(int(rng.integers(0, 20))) / 100,
        }
        for _ in range(60)
    ]
    products = _products({"department": "Fruit"}, {"product_id": "P2", "department": "Fruit"}, {"product_id": "P3"})
    report = to_gold.sales_summary(_facts(*lines), products).to_pyarrow()
    with sqlite3.connect(":memory:") as database:
        columns = list(lines[0])
        database.execute(f"CREATE TABLE sales ({', '.join(columns)})")
        cells = [[float(v) if isinstance(v, Decimal) else str(v) for v in line.values()] for line in lines]
        database.executemany(f"INSERT INTO sales VALUES ({', '.join('?' * len(columns))})", cells)
        wanted = database.execute(
            """
            SELECT business_date, store_id, CASE WHEN product_id = 'P3' THEN 'unknown' ELSE 'Fruit' END AS department,
                   COUNT(*), COUNT(DISTINCT sale_id), SUM(MAX(quantity, 0)), SUM(MAX(-quantity, 0)),
                   ROUND(SUM(quantity * unit_price), 4), ROUND(SUM(discount_value), 4),
                   ROUND(SUM(quantity * unit_price - discount_value), 4)
            FROM sales GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """
        ).fetchall()
    found = sorted(tuple(row.values()) for row in conform(gold.SALES_SUMMARY, report).to_pylist())
    for mine, theirs in zip(found, wanted, strict=True):
        assert (str(mine[0]), *mine[1:3]) == theirs[:3]
        assert [float(value) for value in mine[3:]] == pytest.approx(theirs[3:], abs=1e-6)


def test_a_product_without_names_of_its_groups_gets_them() -> None:
    rows = _products({"department": "Fruit"}, {"product_id": "P2"}, {"product_id": "P3", "category": "Fresh"})
    found = conform(gold.DIM_PRODUCT, rows.to_pyarrow())
    assert records(found, "product_id", "department", "category", "unit_step") == [
        ("P1", "Fruit", "Fruit", 1.0),
        ("P2", "unknown", "unknown", 1.0),
        ("P3", "unknown", "Fresh", 1.0),
    ]


def test_a_dimension_keeps_what_was_and_ends_what_is_gone() -> None:
    store = {"store_id": "S1", "store_name": "Old"}
    versions = table_of(
        silver.STORES,
        [
            store,
            store | {"store_name": "New", "first_seen_at": LATER},
            store | {"store_id": "S2"},
            store | {"store_id": "S2", "is_deleted": True, "first_seen_at": LATER},
        ],
    )
    found = conform(gold.DIM_STORE, to_gold.dimension(versions, entities.STORES, gold.DIM_STORE).to_pyarrow())
    change = LATER.date() - timedelta(days=1)
    last = change - timedelta(days=1)
    assert records(found, "store_id", "store_name", "valid_from", "valid_to", "is_current", "is_reconstructed") == [
        ("S1", "New", change, None, True, False),
        ("S1", "Old", entities.ALWAYS, last, False, True),
        ("S2", "Old", entities.ALWAYS, last, False, True),
    ]


def test_the_calendar_has_iso_weeks_holidays_and_named_events() -> None:
    first, last = date(2024, 12, 28), date(2026, 1, 3)
    events = [
        {"event_date": date(2025, 7, 12), "event_name": "Street fair", "region": "North"},
        {"event_date": date(2025, 7, 12), "event_name": "Street fair", "region": "South"},
        {"event_date": date(2025, 7, 12), "event_name": "Marathon", "region": "*"},
        {"event_date": date(2025, 7, 13), "event_name": "Food stamps", "event_type": "snap", "region": "*"},
        {"event_date": date(2030, 1, 1), "event_name": "Too late", "region": "*"},
    ]
    holidays = {date(2025, 1, 1): "New Year's Day"}
    found = to_gold.dim_date(first=first, last=last, holidays=holidays, events=table_of(silver.EVENTS, events))
    rows = {row["date"]: row for row in conform(gold.DIM_DATE, found.to_pyarrow()).to_pylist()}
    assert len(rows) == (last - first).days + 1
    for day, row in rows.items():
        assert (row["year"], row["month"], row["day_of_year"]) == (day.year, day.month, day.timetuple().tm_yday)
        assert (row["week"], row["weekday"]) == day.isocalendar()[1:]
        assert row["is_weekend"] == (day.weekday() >= 5)
    assert {day: row["holiday_name"] for day, row in rows.items() if row["holiday_name"]} == holidays
    assert {day: row["event_names"] for day, row in rows.items() if row["event_names"]} == {
        date(2025, 7, 12): "Marathon; Street fair"
    }


def _demand(frame: pd.DataFrame) -> ibis.Table:
    return table_of(gold.DEMAND_DAILY, frame.to_dict("records"))


def _random_demand() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    days = pd.date_range("2024-02-10", "2025-05-20")
    parts = []
    for number in range(12):
        kept = days[number * 20 :] if number % 3 else days
        sells = rng.random(len(kept)) < [1.0, 0.5, 0.1, 0.0][number % 4]
        units = np.where(sells, rng.poisson(1 + number, len(kept)) * [1, 4][number % 2], 0).astype(float)
        units *= rng.choice([1, 9], len(kept), p=[0.9, 0.1]) if number == 8 else 1
        units[rng.random(len(kept)) < 0.02] = np.nan
        value = [None if np.isnan(u) else Decimal(int(u)) * (number + 1) for u in units]
        series = {"store_id": f"S{number % 2}", "product_id": f"P{number}", "business_date": kept.date}
        parts.append(pd.DataFrame({**series, "unconstrained_units": units, "net_value": value}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(
        unconstrained_units=frame.unconstrained_units.astype(object).where(frame.unconstrained_units.notna(), None)
    )


def _segments_by_hand(frame: pd.DataFrame, month: pd.Timestamp) -> pd.DataFrame:
    day = pd.to_datetime(frame["business_date"])
    rows = frame[(day < month) & (day >= month - pd.DateOffset(months=12))]
    rows = rows.assign(units=rows["unconstrained_units"].astype(float), month=day.dt.to_period("M"))
    found = []
    for (store, product), mine in rows.groupby(["store_id", "product_id"]):
        known = mine["units"].dropna()
        sold = known[known > 0]
        months = mine.groupby("month")["units"].sum()
        interval = len(known) / len(sold) if len(sold) else np.nan
        cv2 = sold.var(ddof=0) / sold.mean() ** 2 if len(sold) else np.nan
        variation = months.std(ddof=0) / months.mean() if months.mean() else np.inf
        kinds = {
            (True, True): "smooth",
            (True, False): "erratic",
            (False, True): "intermittent",
            (False, False): "lumpy",
        }
        found.append(
            {
                "store_id": store,
                "product_id": product,
                "xyz_class": "X" if variation <= 0.5 else "Y" if variation <= 1 else "Z",
                "demand_class": kinds[(interval <= 1.32, cv2 <= 0.49)] if len(sold) else "none",
                "mean_daily_units": known.mean(),
                "average_demand_interval_days": interval,
                "squared_variation": cv2,
                "net_value": float(sum(v for v in mine["net_value"] if v is not None)),
            }
        )
    ranked = pd.DataFrame(found).sort_values(["net_value", "store_id", "product_id"], ascending=[False, True, True])
    before = (ranked["net_value"].cumsum() - ranked["net_value"]) / ranked["net_value"].sum()
    ranked["abc_class"] = np.select([before < 0.8, before < 0.95], ["A", "B"], "C")
    return ranked


def test_segments_are_those_pandas_finds_month_by_month() -> None:
    frame = _random_demand()
    found = conform(gold.PRODUCT_SEGMENTS, to_gold.product_segments(_demand(frame)).to_pyarrow()).to_pandas()
    months = pd.date_range("2024-03-01", "2025-06-01", freq="MS")
    assert sorted(set(pd.to_datetime(found["valid_from"]))) == list(months)
    found["net_value"] = found["net_value"].astype(float)
    for month in months:
        mine = found[pd.to_datetime(found["valid_from"]) == month].set_index(["store_id", "product_id"]).sort_index()
        wanted = _segments_by_hand(frame, month).set_index(["store_id", "product_id"]).sort_index()
        pd.testing.assert_frame_equal(mine[wanted.columns], wanted, check_dtype=False, rtol=1e-9)
    assert set(found["demand_class"]) == {"smooth", "erratic", "intermittent", "lumpy", "none"}


def test_segments_of_a_month_do_not_depend_on_what_came_later() -> None:
    frame = _random_demand()
    month = date(2025, 2, 1)
    known = frame[frame["business_date"] < month]
    whole, past = (to_gold.product_segments(_demand(rows)) for rows in (frame, known))
    before = [records(rows.filter(rows.valid_from <= month)) for rows in (whole, past)]
    assert before[0] == before[1]


def test_the_product_that_reaches_eighty_per_cent_is_the_last_a() -> None:
    """80, 15 and 5 of 100: the next one starts where the share of those before has reached the limit."""
    rows = [
        {
            "business_date": DAY,
            "store_id": "S1",
            "product_id": p,
            "unconstrained_units": 1.0,
            "net_value": Decimal(value),
        }
        for p, value in (("P1", 79), ("P2", 15), ("P3", 4), ("P4", 2), ("P5", 0))
    ]
    found = to_gold.product_segments(table_of(gold.DEMAND_DAILY, rows))
    assert dict(records(found, "product_id", "abc_class")) == {"P1": "A", "P2": "A", "P3": "B", "P4": "C", "P5": "C"}


def test_without_any_value_all_products_are_c() -> None:
    rows = [{"business_date": DAY, "store_id": "S1", "product_id": "P1", "unconstrained_units": 0.0}]
    found = to_gold.product_segments(table_of(gold.DEMAND_DAILY, rows))
    assert records(found, "abc_class", "demand_class", "xyz_class") == [("C", "none", "Z")]


def test_days_within_one_window_several_and_none() -> None:
    days = day_table(Window(DAY, DAY + timedelta(days=9)))
    middle, end = (Window(DAY + timedelta(days=n), DAY + timedelta(days=n + 1)) for n in (3, 8))
    assert sorted(row[0] for row in records(within(days, middle))) == list(middle.days())
    assert sorted(row[0] for row in records(within(days, [middle, end]))) == [*middle.days(), *end.days()]
    assert records(within(days, [])) == []


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="window ends 2025-02-28 before it starts 2025-03-01"):
        Window(DAY, DAY - timedelta(days=1))
