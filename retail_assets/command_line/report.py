# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false
# Ibis types columns too widely for operators and methods of their own type
"""What a run leaves behind, for a planner's eyes: rows, refusals, accuracy, the most urgent orders."""

from dataclasses import dataclass
from datetime import timedelta

import ibis
import pandas as pd

from retail_assets.as_of_day.snapshot import KEYS, SNAPSHOTS, AsOfSnapshot
from retail_assets.demand.model_versions import version_in_force
from retail_assets.demand.opening import LEARNING_DAYS
from retail_assets.demand.short_history import short_history_note
from retail_assets.engines.protocol import Engine
from retail_assets.inventory.order_days import are_order_days_known
from retail_assets.inventory.plan.rows import LAPSED, MISBOOKED, UNDATED, UNMATCHED
from retail_assets.tables import catalog, forecast, gold, inventory, silver
from retail_assets.tables.contract import ALL
from retail_assets.transforms.as_of import newest
from retail_assets.transforms.days import within
from retail_assets.transforms.demand import given_closed_weekdays, learnt_closed_weekdays, products_sold
from retail_assets.windows import Window

URGENT_COUNT = 10
_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMED_COUNT = 10
"""Suppliers or stores that a note names; of more it says how many there are."""


@dataclass(frozen=True)
class Report:
    """Frames ready to print.

    Attributes:
        rows: table, rows; only tables that exist.
        refused: table, rule, rows.
        accuracy: segment, wape, naive_wape, bias, forecast_value_added; of all scored days.
        urgent: the ten orders of the newest plan that save most margin; where no margin is known, those without which
            most units would be missing.
        notes: what is switched off or assumed for want of data.
    """

    rows: pd.DataFrame
    refused: pd.DataFrame
    accuracy: pd.DataFrame
    urgent: pd.DataFrame
    notes: tuple[str, ...]


def report(engine: Engine) -> Report:
    """Reads the lake."""
    rows = _row_counts(engine)
    assumed = (*_learnt_closed(engine), *_line_prices(engine), *_assumed_daily(engine))
    notes = (*_notes(rows), *_short_history(engine), *assumed, *_doubtful_orders(engine))
    return Report(rows, _refused(engine), _accuracy(engine), _urgent(engine), notes)


def _row_counts(engine: Engine) -> pd.DataFrame:
    counts = [
        {"table": table.path, "rows": int(engine.scan_or_empty(table).count().to_pyarrow().as_py())}
        for table in catalog.LAKE_TABLES
    ]
    return pd.DataFrame(counts)


def _refused(engine: Engine) -> pd.DataFrame:
    parts = []
    for table in (silver.REJECTED_ROWS, silver.REJECTED_SNAPSHOT_ROWS):
        rows = engine.scan_or_empty(table)
        parts.append(rows.group_by("table_name", "rule").aggregate(rows=rows.count()).to_pandas())
    return pd.concat(parts, ignore_index=True).sort_values("rows", ascending=False, ignore_index=True)


def _accuracy(engine: Engine) -> pd.DataFrame:
    scored = engine.scan_or_empty(forecast.FORECAST_ACCURACY)
    sums = scored.group_by("segment").aggregate(
        actual=scored.actual_units.sum(),
        error=scored.error_units.sum(),
        absolute=scored.absolute_error_units.sum(),
        naive=scored.naive_absolute_error_units.sum(),
    )
    found = sums.filter(sums.actual > 0).to_pandas()
    found = found.sort_values("segment", key=lambda names: names.replace(ALL, ""))
    return pd.DataFrame(
        {
            "segment": found["segment"],
            "wape": found["absolute"] / found["actual"],
            "naive_wape": found["naive"] / found["actual"],
            "bias": found["error"] / found["actual"],
            "forecast_value_added": 1 - found["absolute"] / found["naive"],
        }
    )


def _urgent(engine: Engine) -> pd.DataFrame:
    plan = engine.scan_or_empty(inventory.REPLENISHMENT_PLAN)
    newest = plan.filter(plan.as_of_date == plan.as_of_date.max(), plan.order_units > 0)
    saved = (newest.lost_margin_avoided_value.desc(), newest.expected_shortage_units.desc())
    ranked = newest.order_by(*saved, "store_id", "product_id").limit(URGENT_COUNT)
    columns = ["as_of_date", "store_id", "product_id", "supplier_id", "order_date", "expected_delivery_date"]
    return ranked.select(*columns, "order_units", "order_value", "lost_margin_avoided_value", "reason").to_pandas()


def _notes(rows: pd.DataFrame) -> tuple[str, ...]:
    """One sentence for every feature that lacks its data."""
    empty = set(rows.loc[rows["rows"] == 0, "table"])
    needs = (
        (
            "bronze/inventory",
            "no stock data: orders, stock health, transfers and stock-out correction are switched off",
        ),
        ("bronze/suppliers", "no suppliers: no orders; the replay assumes lead times"),
        ("bronze/purchase_orders", "no purchase orders: nothing counts as on order, delays are unknown"),
        ("bronze/customers", "no customers: dim_customer is empty"),
        ("bronze/promotions", "no promotions: the forecast knows none"),
    )
    return tuple(sentence for table, sentence in needs if table in empty)


def _doubtful_orders(engine: Engine) -> tuple[str, ...]:
    """A sentence for every kind of order that the newest plan names because it may not come, with the first lines."""
    plan = engine.scan_or_empty(inventory.REPLENISHMENT_PLAN)
    named = plan.filter(plan.as_of_date == plan.as_of_date.max(), plan.exception.notnull())
    lines = named.select("store_id", "product_id", "exception").order_by("store_id", "product_id").to_pandas()
    kinds = (
        (UNMATCHED, "have an approved order that no purchase order answers; it stops counting overdue_days_max days "
         "after its delivery date"),
        (LAPSED, "had an approved order that never became a purchase order; it no longer counts"),
        (UNDATED, "have an open order without a promised date, which is expected after the supplier's lead time"),
        (MISBOOKED, "have an open order with less than nothing received, which is taken as nothing"),
    )  # fmt: skip
    exceptions = lines["exception"].str.split("; ")
    found = ((lines.loc[[kind in words for words in exceptions]], text) for kind, text in kinds)
    return tuple(f"{_counted(some)} {text}: {_listed(some)}" for some, text in found if len(some))


def _counted(lines: pd.DataFrame) -> str:
    return "1 line of the plan" if len(lines) == 1 else f"{len(lines)} lines of the plan"


def _listed(lines: pd.DataFrame) -> str:
    names = [f"{row.product_id} in {row.store_id}" for row in lines.head(NAMED_COUNT).itertuples()]
    more = f" and {len(lines) - NAMED_COUNT} more" if len(lines) > NAMED_COUNT else ""
    return ", ".join(names) + more


def _assumed_daily(engine: Engine) -> tuple[str, ...]:
    """A sentence that names the suppliers whose orders are planned for every day because no order days are known."""
    plan = engine.scan_or_empty(inventory.REPLENISHMENT_PLAN)
    planned_on = plan.as_of_date.max().to_pyarrow().as_py()
    if planned_on is None:
        return ()
    known = AsOfSnapshot(
        planned_on, {name: _newest(engine, name) for name in ("sourcing", "supplier_calendar", "stores")}
    )
    served = known.served_stores()
    is_known = are_order_days_known(known.order_days(), served["supplier_id"], served["store_id"])
    daily = sorted(served.loc[~is_known, "supplier_id"].unique())
    if not daily:
        return ()
    if not is_known.any():
        return ("no order days of any supplier: orders are planned for every day",)
    more = f" and {len(daily) - NAMED_COUNT} more" if len(daily) > NAMED_COUNT else ""
    return (
        f"{len(daily)} of {served['supplier_id'].nunique()} suppliers without order days for some store or all, where "
        f"orders are planned for every day: {', '.join(daily[:NAMED_COUNT])}{more}",
    )


def _line_prices(engine: Engine) -> tuple[str, ...]:
    """A sentence on the products whose price was that of their sale lines on the newest day."""
    rows = engine.scan_or_empty(gold.DEMAND_DAILY)
    today = rows.filter(rows.business_date == rows.business_date.max())
    of_lines = today.filter(today.price_source == gold.SALE_LINES)
    found, every = (some.product_id.nunique().to_pyarrow().as_py() for some in (of_lines, today))
    if not found:
        return ()
    products = f"{found} of {every} products"
    return (f"no price of {products} in prices or list_price: the median of their recent sale lines stands for it",)


def _short_history(engine: Engine) -> tuple[str, ...]:
    """A sentence that says what forecasts a short history and from when on more will."""
    days = engine.scan_or_empty(gold.DEMAND_DAILY).business_date
    first, newest = (day.to_pyarrow().as_py() for day in (days.min(), days.max()))
    if newest is None:
        return ()
    version = version_in_force(engine.scan_or_empty(forecast.MODEL_VERSIONS).to_pandas(), newest)
    note = short_history_note(first, newest, is_model_in_force=version is not None)
    return (note,) if note else ()


def _learnt_closed(engine: Engine) -> tuple[str, ...]:
    """A sentence that names the weekdays on which stores are taken for closed because they sold nothing on them."""
    newest_day = engine.scan_or_empty(gold.DEMAND_DAILY).business_date.max().to_pyarrow().as_py()
    if newest_day is None:
        return ()
    days = Window(newest_day - timedelta(days=LEARNING_DAYS - 1), newest_day)
    sold = products_sold(within(engine.scan_or_empty(gold.FACT_SALES), days))
    given = given_closed_weekdays(_newest(engine, "stores"))
    learnt = {store: days for store, days in learnt_closed_weekdays(sold, newest_day).items() if store not in given}
    if not learnt:
        return ()
    named = [f"{store} ({', '.join(_DAY_NAMES[n - 1] for n in sorted(learnt[store]))})" for store in sorted(learnt)]
    more = f" and {len(named) - NAMED_COUNT} more" if len(named) > NAMED_COUNT else ""
    return (
        f"no demand is expected on weekdays that sold nothing for weeks: {'; '.join(named[:NAMED_COUNT])}{more}; "
        "where a store trades on them, give its opening_weekdays",
    )


def _newest(engine: Engine, name: str) -> ibis.Table:
    return newest(engine.scan_or_empty(SNAPSHOTS[name]), key=KEYS[name])
