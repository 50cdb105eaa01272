"""A small, consistent lake for the dashboard's tests: three stores, eight products, twelve weeks.

Frames are built from seeded randomness in the shape of the contracts, so that a changed column fails here.
"""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import write_deltalake
from scipy import stats

from retail_assets.demand.model_versions import model_versions
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import MONTH_COLUMN, Layout, Table
from retail_assets.tables.forecast import HIERARCHY_LEVELS, QUANTILE_LEVELS

AS_OF = date(2026, 3, 1)
TODAY = AS_OF + timedelta(days=1)
"""The morning after the plan was made, when its orders leave."""
EARLIER_AS_OF = AS_OF - timedelta(days=14)
HISTORY_DAYS = 84
HORIZON_DAYS = 28
PROTECTION_DAYS = 5
STORES = {"S01": "City Centre", "S02": "Harbour", "S03": "Station"}
REGIONS = {"S01": "North", "S02": "North", "S03": "South"}
CATEGORIES = {"Dairy": "Food", "Pantry": "Food", "Drinks": "Drinks"}
TRAINED = date(2026, 2, 23)
TRAININGS = {TRAINED - timedelta(days=14): 0.01, TRAINED - timedelta(days=7): 0.2, TRAINED: -0.02}
"""Week to the bias of what it chose: the second one is not promoted."""

LOSSES = {
    "smooth": {"lightgbm": 0.040, "theta": 0.042, "lightgbm_pulled": 0.041, "seasonal_naive": 0.080},
    "lumpy": {"lightgbm": 0.061, "theta": 0.060, "lightgbm_pulled": 0.058, "seasonal_naive": 0.110},
}
OWN_MODEL_OF = "Dairy"
"""The department whose total has a model of its own."""

PRODUCTS = {
    "P01": ("Whole milk 1 l", "Dairy", "SUP1", 1.29, 0.84, 14.0),
    "P02": ("Greek yoghurt 500 g", "Dairy", "SUP1", 2.49, 1.55, 7.0),
    "P03": ("Butter 250 g", "Dairy", "SUP1", 2.79, 1.9, 5.0),
    "P04": ("Orange juice 1 l", "Drinks", "SUP2", 2.19, 1.2, 9.0),
    "P05": ("Sparkling water 6 × 1.5 l", "Drinks", "SUP2", 3.49, 2.1, 4.0),
    "P06": ("Ground coffee 500 g", "Pantry", "SUP2", 6.99, 4.8, 3.0),
    "P07": ("Spaghetti 500 g", "Pantry", "SUP3", 1.49, 0.7, 6.0),
    "P08": ("Olive oil 750 ml", "Pantry", "SUP3", 8.99, 6.2, 0.6),
}
SUPPLIERS = {"SUP1": "Meadow Dairies", "SUP2": "Northern Drinks", "SUP3": "Casa Foods"}
WEEKDAY_FACTORS = np.array([0.8, 0.85, 0.9, 1.0, 1.25, 1.4, 0.8])
PACK_UNITS = 6.0


def write_lake(folder: Path) -> dict[str, pd.DataFrame]:
    """Write every table the pages read and return the frames by table path."""
    frames = build_frames()
    for path, frame in frames.items():
        write_table(folder, table_at(path), frame)
    return frames


def build_frames() -> dict[str, pd.DataFrame]:
    demand = _demand_daily()
    forecasts = pd.concat(
        [_demand_forecast(EARLIER_AS_OF, "backfill"), _demand_forecast(AS_OF, "live")], ignore_index=True
    )
    trainings, losses = _demand_model(), _backtest_losses()
    return {
        **_dimensions(),
        "gold/demand_daily": demand,
        "gold/fact_inventory": _fact_inventory(demand),
        "forecast/demand_forecast": forecasts,
        "forecast/hierarchy_forecast": _hierarchy_forecast(forecasts),
        "forecast/forecast_drivers": _forecast_drivers(),
        "forecast/demand_model": trainings,
        "forecast/backtest_losses": losses,
        "forecast/model_versions": model_versions(trainings, losses),
        "forecast/promotion_uplift": _promotion_uplift(),
        "forecast/forecast_accuracy": _forecast_accuracy(),
        "inventory/replenishment_plan": _replenishment_plan(),
        "silver/promotions": _promotions(),
    }


def write_table(folder: Path, table: Table, frame: pd.DataFrame) -> None:
    """Append a frame to a Delta table, laid out as its contract says."""
    arrow = pa.Table.from_pandas(frame[table.column_names], schema=table.schema, preserve_index=False)
    partition_by = None
    if table.layout is Layout.DAY:
        partition_by = [str(table.partition_column)]
    elif table.layout is Layout.MONTH:
        months = [day.strftime("%Y-%m") for day in arrow[str(table.partition_column)].to_pylist()]
        arrow = arrow.append_column(MONTH_COLUMN, pa.array(months))
        partition_by = [MONTH_COLUMN]
    write_deltalake(str(folder / table.path), arrow, mode="append", partition_by=partition_by)


def mean_units(store_id: str, product_id: str, day: date) -> float:
    """The demand every frame here is drawn from."""
    size = {"S01": 1.4, "S02": 1.0, "S03": 0.7}[store_id]
    return PRODUCTS[product_id][5] * size * float(WEEKDAY_FACTORS[day.weekday()])


def _series() -> list[tuple[str, str]]:
    return [(store, product) for store in STORES for product in PRODUCTS]


def _validity() -> dict[str, object]:
    return {"valid_from": date(2025, 1, 1), "valid_to": None, "is_current": True, "is_reconstructed": False}


def _money(value: float | None, places: int = 4):
    return None if value is None else Decimal(f"{value:.{places}f}")


def _dimensions() -> dict[str, pd.DataFrame]:
    store_rows = [
        {"store_id": s, "store_name": n, "region": REGIONS[s], "store_format": "city", "opened_date": None}
        | {"closed_date": None, **_validity()}
        for s, n in STORES.items()
    ]
    product_rows = [
        {"product_id": p, "product_name": name, "department": department, "category": CATEGORIES[department]}
        | {"list_price": _money(price), "unit_cost": _money(cost), "unit_step": 1.0}
        | {"introduced_date": None, "discontinued_date": None, **_validity()}
        for p, (name, department, _, price, cost, _) in PRODUCTS.items()
    ]
    old_name = {**product_rows[0], "product_name": "Milk, old label", "is_current": False}
    old_name |= {"valid_from": date(2024, 1, 1), "valid_to": date(2024, 12, 31)}
    supplier_rows = [
        {"supplier_id": s, "supplier_name": n, "lead_time_days": 2, "min_order_value": None, **_validity()}
        for s, n in SUPPLIERS.items()
    ]
    rows = {"dim_store": store_rows, "dim_product": [old_name, *product_rows], "dim_supplier": supplier_rows}
    return {f"gold/{name}": pd.DataFrame(values) for name, values in rows.items()}


def _demand_daily() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    days = [AS_OF - timedelta(days=back) for back in range(HISTORY_DAYS - 1, -1, -1)]
    return pd.DataFrame([_day_of(series, day, rng) for series in _series() for day in days])


def _day_of(series: tuple[str, str], day: date, rng: np.random.Generator) -> dict[str, object]:
    price = PRODUCTS[series[1]][3]
    is_promoted = series[1] in ("P01", "P04") and 20 <= (AS_OF - day).days < 27
    wanted = float(rng.poisson(mean_units(*series, day) * (1.8 if is_promoted else 1.0)))
    is_short = rng.random() < 0.05 and wanted > 1
    sold = float(np.floor(wanted / 2)) if is_short else wanted
    discount_rate = 0.2 if is_promoted else 0.0
    return {
        "business_date": day,
        "store_id": series[0],
        "product_id": series[1],
        "sold_units": sold,
        "returned_units": 0.0,
        "net_value": _money(sold * price * (1 - discount_rate)),
        "unit_price": price,
        "price_source": "list_price",
        "discount_rate": discount_rate,
        "is_promoted": is_promoted,
        "is_open": True,
        "is_feed_missing": False,
        "on_hand_units": 0.0 if is_short else 20.0,
        "censoring": "partial" if is_short else "none",
        "available_rate": 0.5 if is_short else 1.0,
        "unconstrained_units": wanted,
        "unconstrained_sd": 1.0 if is_short else 0.0,
    }


def _fact_inventory(demand: pd.DataFrame) -> pd.DataFrame:
    last = demand.query("business_date == @AS_OF")
    frame = last.filter(["business_date", "store_id", "product_id"]).assign(stock_value=None, stock_out_hours=None)
    frame["on_hand_units"] = [Decimal(f"{units:.3f}") for units in last["on_hand_units"]]
    return frame.assign(extracted_at=pd.Timestamp(AS_OF, tz="UTC"))


def _demand_forecast(as_of: date, origin: str) -> pd.DataFrame:
    rows = []
    for store, product in _series():
        for horizon in range(1, HORIZON_DAYS + 1):
            target = as_of + timedelta(days=horizon)
            mean = mean_units(store, product, target)
            row = {"as_of_date": as_of, "store_id": store, "product_id": product, "target_date": target}
            row |= {"horizon_days": horizon, "mean_units": mean, "p_zero": float(np.exp(-mean))}
            row |= {name: float(stats.poisson.ppf(level, mean)) for name, level in QUANTILE_LEVELS.items()}
            model = "theta" if product in ("P06", "P08") else "lightgbm"
            rows.append(row | {"model_name": model, "model_version": "2026-02-23", "origin": origin})
    return pd.DataFrame(rows)


def _hierarchy_forecast(forecasts: pd.DataFrame) -> pd.DataFrame:
    department = forecasts["product_id"].map({product: values[1] for product, values in PRODUCTS.items()})
    told = forecasts.assign(
        region=forecasts["store_id"].map(REGIONS), department=department, category=department.map(CATEGORIES)
    )
    return pd.concat([_level(told, level) for level in HIERARCHY_LEVELS], ignore_index=True)


def _level(told: pd.DataFrame, level: str) -> pd.DataFrame:
    """Sums of one level; its band is a fifth of the mean to each side."""
    attributes = ["region", "store_id", "category", "department"]
    columns = [name for name in attributes if name.removesuffix("_id") in level.split("_")]
    keys = ["as_of_date", "target_date", "horizon_days", "model_version", "origin", *columns]
    rows = told.groupby(keys, as_index=False)["mean_units"].sum().reindex(columns=[*keys, "mean_units", *attributes])
    rows = rows.loc[:, ~rows.columns.duplicated()].replace({np.nan: None})
    mean = rows["mean_units"].astype(float)
    own = (rows["department"] == OWN_MODEL_OF) & (level == "department")
    return rows.assign(
        level=level,
        group_name=rows[columns].agg(" / ".join, axis=1) if columns else "all",
        model_units=(mean * 1.1).where(own),
        model_name=np.where(own, "arima", "bottom_up"),
        mean_units=mean,
        q100=mean * 0.8,
        q500=mean,
        q900=mean * 1.2,
    )


def _forecast_drivers() -> pd.DataFrame:
    return pd.DataFrame([_reasons(series, week) for series in _series() for week in range(1, 5)])


def _reasons(series: tuple[str, str], week: int) -> dict[str, object]:
    first = AS_OF + timedelta(days=7 * week - 6)
    mean = float(np.mean([mean_units(*series, first + timedelta(days=day)) for day in range(7)]))
    is_promoted = series[1] == "P01" and week == 2
    factors = {"trend_factor": 1.05, "season_factor": 0.93, "promotion_factor": 1.6 if is_promoted else 1.0}
    others = dict.fromkeys(("price_factor", "holiday_factor", "adjustment_factor"), 1.0)
    return {
        "as_of_date": AS_OF,
        "store_id": series[0],
        "product_id": series[1],
        "week_number": week,
        "first_date": first,
        "last_date": first + timedelta(days=6),
        "open_days": 7,
        "mean_units": mean,
        "level_units": mean / float(np.prod(list(factors.values()))),
        **factors,
        **others,
        "main_driver": "promotion" if is_promoted else "season",
        "model_version": f"{TRAINED}",
        "origin": "live",
    }


def _demand_model() -> pd.DataFrame:
    rows = [
        _contender(week, segment, name) for week in TRAININGS for segment, losses in LOSSES.items() for name in losses
    ]
    return pd.DataFrame(rows)


def _promotion_uplift() -> pd.DataFrame:
    """P01 gained 200 units on 100 usual ones in the newest week, P02 lost 10 on 50; an earlier week tells less."""
    newest, earlier = max(TRAININGS), min(TRAININGS)
    rows = [
        (newest, "P01", "Grocery", 20.0, 0.25, 300.0, 100.0, 2.8),
        (newest, "P02", "Frozen", 10.0, 0.1, 40.0, 50.0, 1.1),
        (earlier, "P01", "Grocery", 5.0, 0.25, 60.0, 20.0, 2.0),
    ]
    names = ["week_start_date", "product_id", "department", "promoted_days", "mean_discount_rate"]
    frame = pd.DataFrame(rows, columns=[*names, "demand_units", "usual_units", "expected_lift"])
    uplift = frame["demand_units"] - frame["usual_units"]
    return frame.assign(uplift_units=uplift, lift=frame["demand_units"] / frame["usual_units"])


def _contender(week: date, segment: str, name: str) -> dict[str, object]:
    chosen = {"smooth": "lightgbm", "lumpy": "lightgbm_pulled"}[segment]
    loss = LOSSES[segment][name]
    return {
        "week_start_date": week,
        "segment": segment,
        "model_name": name,
        "model_version": f"{week}",
        "trained_through_date": week - timedelta(days=1),
        "scaled_pinball": loss,
        "bias": TRAININGS[week],
        "wape": loss * 10,
        "rmsse": loss * 15,
        "series_count": {"smooth": 18.0, "lumpy": 6.0}[segment],
        "actual_units": {"smooth": 3000.0, "lumpy": 1000.0}[segment],
        "is_chosen": name == chosen,
        "parts": name,
        "bias_factor": 1.05 if name == chosen else 1.0,
        "gap_error": 0.002,
    }


def _backtest_losses() -> pd.DataFrame:
    """24 weeks before each training; the newest loses a tenth less than the others did on the same weeks."""
    rows = [
        (week, week - timedelta(days=1 + 7 * back), days, 24.0, 400.0, 20.0 if week < TRAINED else 18.0, 36.0)
        for week in TRAININGS
        for back in range(1, 25)
        for days in (7, 14)
    ]
    names = ["week_start_date", "origin_date", "horizon_days", "series_count", "actual_units", "loss_units"]
    return pd.DataFrame(rows, columns=[*names, "naive_loss_units"])


def _forecast_accuracy() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    days = [AS_OF - timedelta(days=back) for back in range(70, -1, -1)]
    buckets = ("1-7", "8-14", "15-21", "22-28")
    return pd.DataFrame([_scored(day, bucket, rng) for day in days for bucket in buckets])


def _scored(day: date, bucket: str, rng: np.random.Generator) -> dict[str, object]:
    actual = float(rng.integers(110, 190))
    error = actual * rng.uniform(0.22, 0.32)
    naive_error = actual * rng.uniform(0.36, 0.5)
    signed = actual * rng.uniform(-0.06, 0.05)
    return {
        "target_date": day,
        "horizon_bucket": bucket,
        "segment": "all",
        "origin": "live" if (AS_OF - day).days < 10 else "backfill",
        "series_days": 24.0,
        "excluded_days": 1.0,
        "actual_units": actual,
        "absolute_error_units": error,
        "error_units": signed,
        "naive_absolute_error_units": naive_error,
        "wape": error / actual,
        "bias": signed / actual,
        "rmsse": 0.8,
        "pinball": 0.9,
        "coverage_q500": 0.55,
        "coverage_q900": 0.91,
        "coverage_q950": 0.955,
        "coverage_q975": 0.98,
        "forecast_value_added": 1 - error / naive_error,
    }


def _replenishment_plan() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    lines = [_plan_line(store, product, rng) for store, product in _series()]
    return pd.DataFrame([line for line in lines if line["order_units"] or line["exception"]])


def plan_made_after(as_of: date) -> pd.DataFrame:
    """The plan as it would be made after another day, with orders of the day after tomorrow and names of its own."""
    plan = _replenishment_plan()
    later = as_of - AS_OF + timedelta(days=1)
    dates = ["order_date", "expected_delivery_date", "next_order_date", "next_delivery_date"]
    moved = {name: plan[name].map(lambda day: day + later) for name in dates}
    return plan.assign(as_of_date=as_of, proposal_id=plan["proposal_id"] + f" {as_of}", **moved)


def _plan_line(store: str, product: str, rng: np.random.Generator) -> dict[str, object]:
    _, _, supplier, price, cost, _ = PRODUCTS[product]
    mean = sum(mean_units(store, product, AS_OF + timedelta(days=d)) for d in range(1, PROTECTION_DAYS + 1))
    reorder_point = float(stats.poisson.ppf(0.95, mean)) - 1
    on_hand = float(np.floor(reorder_point * rng.uniform(0.1, 1.2)))
    counted = PACK_UNITS if rng.random() < 0.3 else 0.0
    position = on_hand + counted
    need = max(0.0, reorder_point + 1 - position)
    after_minimum = max(need, 12.0) if need else 0.0
    after_pack = float(np.ceil(after_minimum / PACK_UNITS) * PACK_UNITS)
    order = min(after_pack, 60.0)
    shortage = float(np.clip(np.arange(200) - position, 0, None) @ stats.poisson.pmf(np.arange(200), mean))
    order_date = AS_OF + timedelta(days=1)
    exception = "overdue order: 6 units are late" if counted and on_hand < 3 else None
    return {
        "as_of_date": AS_OF,
        "store_id": store,
        "product_id": product,
        "supplier_id": supplier,
        "proposal_id": str(uuid5(NAMESPACE_URL, f"{store}/{product}/{supplier}/{order_date}")),
        "order_date": order_date,
        "expected_delivery_date": order_date + timedelta(days=2),
        "next_order_date": order_date + timedelta(days=3),
        "next_delivery_date": order_date + timedelta(days=5),
        "lead_time_days": 2,
        "review_period_days": 3,
        "protection_days": PROTECTION_DAYS,
        "service_measure": "cycle",
        "service_level": 0.95,
        "target_service_rate": 0.95,
        "predicted_service_rate": float(stats.poisson.cdf(position + order, mean)),
        "expected_waste_units": 0.0,
        "on_hand_units": on_hand,
        "on_order_units": counted,
        "on_order_counted_units": counted,
        "on_order_late_units": 0.0,
        "on_order_beyond_units": 0.0,
        "inventory_position_units": position,
        "demand_mean_units": mean,
        "reorder_point_units": reorder_point,
        "order_up_to_units": position + order,
        "safety_stock_units": reorder_point + 1 - mean,
        "pack_units": PACK_UNITS,
        "qty_need_units": need,
        "qty_after_minimum_units": after_minimum,
        "qty_after_pack_units": after_pack,
        "qty_after_cap_units": order,
        "qty_after_supplier_minimum_units": order,
        "qty_after_budget_units": order,
        "order_units": order,
        "unit_cost": _money(cost),
        "order_value": _money(order * cost),
        "expected_shortage_units": shortage,
        "lost_margin_avoided_value": _money((price - cost) * shortage if order else 0.0),
        "reason": _reason(position, reorder_point, order),
        "exception": exception,
    }


def _reason(position: float, reorder_point: float, order: float) -> str:
    if not order:
        return f"Position {position:g} is above the reorder point {reorder_point:g}: nothing to order."
    return f"Position {position:g} is at or below the reorder point {reorder_point:g}: order {order:g} in packs of 6."


def _promotions() -> pd.DataFrame:
    base = {"promotion_id": "PR1", "store_id": "*", "product_id": "P01", "discount_rate": 0.2, "is_deleted": False}
    planned = {"start_date": AS_OF + timedelta(days=6), "end_date": AS_OF + timedelta(days=12)}
    first = {"first_seen_at": pd.Timestamp("2026-01-01", tz="UTC")}
    moved = {**base, **planned, "first_seen_at": pd.Timestamp("2026-02-01", tz="UTC")}
    outdated = {**base, "start_date": AS_OF + timedelta(days=1), "end_date": AS_OF + timedelta(days=3), **first}
    withdrawn = {**base, **planned, **first, "promotion_id": "PR2", "product_id": "P04", "is_deleted": True}
    return pd.DataFrame([outdated, moved, withdrawn])
