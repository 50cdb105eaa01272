"""Questions the pages ask of the lake: filters in, frame out, no widgets.

A question names the tables it reads with `@reads`; the caller may cache its answer by their versions.
Files and row groups are pruned by the filters, columns by the SELECT.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import duckdb
import pandas as pd
import pyarrow as pa

from retail_assets.demand.model_versions import version_in_force
from retail_assets.demand.short_history import short_history_note
from retail_assets.engines.lake_reading import LakeReading
from retail_assets.lake.lake import Lake
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import ALL, Table
from retail_assets.tables.entities import APPROVED, REJECTED
from retail_assets.tables.forecast import (
    DEMAND_FORECAST,
    DEMAND_MODEL,
    FORECAST_ACCURACY,
    FORECAST_DRIVERS,
    HIERARCHY_FORECAST,
    HIERARCHY_QUANTILES,
    MODEL_VERSIONS,
    NAIVE,
    PROMOTION_UPLIFT,
    QUANTILE_LEVELS,
)
from retail_assets.tables.gold import DEMAND_DAILY, DIM_PRODUCT, DIM_STORE, DIM_SUPPLIER, FACT_INVENTORY
from retail_assets.tables.inventory import REPLENISHMENT_PLAN
from retail_assets.tables.silver import EVERY

PROMOTIONS = table_at("silver/promotions")
ROLLING_DAYS = 7
PAGE_ROWS = 200
Question = TypeVar("Question", bound=Callable[..., Any])


@dataclass(frozen=True)
class Scan:
    """One table of the lake, with the SQL predicate that skips whole files."""

    table: Table
    files_where: str | None = None


@dataclass(frozen=True)
class Slice:
    """Which series; None stands for every store, department, product, region or category."""

    store_id: str | None = None
    department: str | None = None
    product_id: str | None = None
    region: str | None = None
    category: str | None = None

    @property
    def is_one_series(self) -> bool:
        return self.store_id is not None and self.product_id is not None

    @property
    def group(self) -> dict[str, str] | None:
        """Attributes of the group of forecast.hierarchy_forecast that the slice is; None where it is none.

        A store lies in one region and a department in one category, so the narrower of two says it all.
        """
        if self.product_id is not None:
            return None
        place = ("store_id", self.store_id) if self.store_id else ("region", self.region)
        goods = ("department", self.department) if self.department else ("category", self.category)
        return {name: value for name, value in (place, goods) if value is not None}


@dataclass(frozen=True)
class PlanFilter:
    """Which lines of the plan; None and empty stand for every one."""

    store_id: str | None = None
    supplier_id: str | None = None
    department: str | None = None
    status: str | None = None
    search: str = ""
    only_exceptions: bool = False


class LakeReader:
    """Reads the lake's tables with DuckDB; safe to share between threads.

    Args:
        lake: where the tables are.
        memory_limit: of all questions that are asked at once.
        temp_folder: where DuckDB spills, and where files of a remote lake are kept.
    """

    def __init__(self, lake: Lake, memory_limit: str = "2GB", *, temp_folder: Path | None = None) -> None:
        self.lake = lake
        folder = temp_folder or Path(tempfile.gettempdir())
        self._reading = LakeReading(lake, memory_limit=memory_limit, temp_folder=folder)

    def version(self, table: Table) -> int | None:
        """Newest version of a table, None where it does not exist."""
        delta = self.lake.open(table)
        return None if delta is None else delta.version()

    def dates(self, table: Table) -> list[date]:
        """Partition dates of a table laid out by day, newest first; metadata only."""
        delta = self.lake.open(table)
        column = str(table.partition_column)
        found = [] if delta is None else [str(partition[column]) for partition in delta.partitions()]
        return sorted({date.fromisoformat(text) for text in found}, reverse=True)

    def frame(self, sql: str, parameters: Mapping[str, object] = MappingProxyType({}), **scans: Scan) -> pd.DataFrame:
        """Answer of one SELECT over the named tables."""
        return self.arrow(sql, parameters, **scans).to_pandas()

    def arrow(self, sql: str, parameters: Mapping[str, object] = MappingProxyType({}), **scans: Scan) -> pa.Table:
        """The same as an Arrow table.

        Raises:
            PermanentFailure: a stored table does not fit its contract, or the storage refuses.
            TransientFailure: the storage cannot be reached, or files are gone.
        """
        reading = self._reading
        try:
            for name, scan in scans.items():
                reading.make_view(name, scan.table, self.lake.open(scan.table), files=scan.files_where)
            with reading.errors(*(scan.table for scan in scans.values())):
                return reading.connection.sql(sql, params=dict(parameters)).to_arrow_table()
        finally:
            for name in scans:
                reading.drop_view(name)


def reads(*tables: Table) -> Callable[[Question], Question]:
    """Name the tables a question reads, so that its answer can be cached by their versions."""

    def named(question: Question) -> Question:
        question.__dict__["tables"] = tables
        return question

    return named


@reads(DEMAND_FORECAST)
def forecast_dates(reader: LakeReader) -> list[date]:
    """As-of dates of the forecasts kept, newest first."""
    return reader.dates(DEMAND_FORECAST)


@reads(REPLENISHMENT_PLAN)
def plan_dates(reader: LakeReader) -> list[date]:
    """As-of dates of the plans kept, newest first."""
    return reader.dates(REPLENISHMENT_PLAN)


@reads(DIM_STORE)
def stores(reader: LakeReader) -> pd.DataFrame:
    """store_id, store_name, region of today's stores."""
    sql = "SELECT store_id, store_name, region FROM store WHERE is_current ORDER BY store_name, store_id"
    return reader.frame(sql, store=Scan(DIM_STORE))


@reads(DIM_PRODUCT)
def departments(reader: LakeReader) -> pd.DataFrame:
    """category, department of today's products."""
    sql = "SELECT DISTINCT category, department FROM product WHERE is_current ORDER BY 2, 1"
    return reader.frame(sql, product=Scan(DIM_PRODUCT))


_TODAY = """
    product AS (SELECT * FROM all_products WHERE is_current),
    store AS (SELECT * FROM all_stores WHERE is_current)
"""
"""What `_where` looks departments, categories and regions up in."""


@reads(DEMAND_FORECAST, DIM_PRODUCT, DIM_STORE)
def products(reader: LakeReader, *, as_of_date: date, slice_: Slice) -> pd.DataFrame:
    """product_id, product_name, department of what was forecast, highest expected sales value first."""
    where, parameters = _where(slice_, as_of_date=as_of_date)
    sql = f"""
        WITH {_TODAY},
        expected AS (SELECT product_id, sum(mean_units) AS mean_units FROM forecast WHERE {where} GROUP BY product_id)
        SELECT product_id, coalesce(product_name, product_id) AS product_name, department
        FROM expected LEFT JOIN product USING (product_id)
        ORDER BY mean_units * coalesce(list_price, 1) DESC, product_id
    """
    return reader.frame(sql, parameters, forecast=_forecasts(as_of_date), **_dimensions())


@reads(DEMAND_FORECAST, HIERARCHY_FORECAST, DIM_PRODUCT, DIM_STORE)
def forecast(reader: LakeReader, *, as_of_date: date, slice_: Slice) -> pd.DataFrame:
    """Demand expected of a slice on every coming day, as known on as_of_date.

    One series comes with its quantiles. A group of forecast.hierarchy_forecast comes with that table's mean, its
    quantiles and what the group's own model expects. Every other slice is the sum of its means with empty
    quantiles: those of single series do not add up.
    """
    where, parameters = _where(slice_, as_of_date=as_of_date)
    group_where, group_parameters = _group_where(slice_)
    quantile = "any_value({0})" if slice_.is_one_series else "NULL::FLOAT"
    quantiles = ", ".join(f"{quantile.format(name)} AS {name}" for name in ("p_zero", *QUANTILE_LEVELS))
    stored = ("mean_units", *HIERARCHY_QUANTILES)
    sql = f"""
        WITH {_TODAY},
        summed AS (
            SELECT target_date, any_value(horizon_days) AS horizon_days, sum(mean_units) AS mean_units, {quantiles},
                count(*) AS series_count,
                string_agg(DISTINCT model_name, ', ' ORDER BY model_name) AS model_name,
                string_agg(DISTINCT model_version, ', ' ORDER BY model_version) AS model_version,
                string_agg(DISTINCT origin, ', ' ORDER BY origin) AS origin
            FROM forecast WHERE {where} GROUP BY target_date
        ),
        stored AS (SELECT * FROM hierarchy WHERE as_of_date = $as_of_date AND {group_where})
        SELECT summed.* REPLACE ({", ".join(f"coalesce(stored.{n}, summed.{n}) AS {n}" for n in stored)}),
            stored.target_date IS NOT NULL AS is_group, stored.model_units,
            CASE WHEN stored.model_units IS NOT NULL THEN stored.model_name END AS group_model_name
        FROM summed LEFT JOIN stored USING (target_date) ORDER BY target_date
    """
    scans = {"forecast": _forecasts(as_of_date), "hierarchy": Scan(HIERARCHY_FORECAST, f"as_of_date = '{as_of_date}'")}
    return reader.frame(sql, parameters | group_parameters, **scans, **_dimensions())


@reads(FORECAST_DRIVERS)
def drivers(reader: LakeReader, *, as_of_date: date, store_id: str, product_id: str) -> pd.DataFrame:
    """Rows of forecast.forecast_drivers of one series, a row a week ahead on which its store is open."""
    sql = """
        SELECT * FROM driver WHERE as_of_date = $as_of_date AND store_id = $store_id AND product_id = $product_id
        ORDER BY week_number
    """
    parameters = {"as_of_date": as_of_date, "store_id": store_id, "product_id": product_id}
    return reader.frame(sql, parameters, driver=Scan(FORECAST_DRIVERS, f"as_of_date = '{as_of_date}'"))


@reads(DEMAND_DAILY, DIM_PRODUCT, DIM_STORE)
def history(reader: LakeReader, *, from_date: date, to_date: date, slice_: Slice) -> pd.DataFrame:
    """What a slice sold and would have sold on each day, with the days that were short of stock or promoted.

    short_count and promoted_count are series; a day without any feed has empty units.
    """
    where, parameters = _where(slice_)
    sql = f"""
        WITH {_TODAY}
        SELECT business_date, sum(sold_units) AS sold_units, sum(unconstrained_units) AS unconstrained_units,
            sum(net_value)::DOUBLE AS net_value, avg(unit_price) AS unit_price, sum(on_hand_units) AS on_hand_units,
            count(*) AS series_count,
            count(*) FILTER (censoring IN ('partial', 'full')) AS short_count,
            count(*) FILTER (is_promoted) AS promoted_count,
            count(*) FILTER (is_feed_missing) AS feed_missing_count
        FROM demand WHERE business_date BETWEEN $from_date AND $to_date AND {where}
        GROUP BY business_date ORDER BY business_date
    """
    parameters |= {"from_date": from_date, "to_date": to_date}
    days = f"business_date >= '{from_date}' AND business_date <= '{to_date}'"
    return reader.frame(sql, parameters, demand=Scan(DEMAND_DAILY, days), **_dimensions())


@reads(PROMOTIONS)
def planned_promotions(reader: LakeReader, *, from_date: date, to_date: date, slice_: Slice) -> pd.DataFrame:
    """start_date, end_date, discount_rate of the promotions of one series that touch a period."""
    sql = """
        WITH newest AS (
            SELECT * FROM promotion
            QUALIFY row_number() OVER (PARTITION BY promotion_id, store_id, product_id ORDER BY first_seen_at DESC) = 1
        )
        SELECT start_date, end_date, max(discount_rate) AS discount_rate FROM newest
        WHERE NOT is_deleted AND store_id IN ($store_id, $every) AND product_id IN ($product_id, $every)
            AND start_date <= $to_date AND end_date >= $from_date
        GROUP BY ALL ORDER BY start_date
    """
    scope = {"store_id": slice_.store_id, "product_id": slice_.product_id, "every": EVERY}
    return reader.frame(sql, {**scope, "from_date": from_date, "to_date": to_date}, promotion=Scan(PROMOTIONS))


@reads(FORECAST_ACCURACY)
def horizon_buckets(reader: LakeReader, *, from_date: date, to_date: date) -> pd.DataFrame:
    """One column, horizon_bucket: the weeks ahead that were scored in a period, the nearest first."""
    sql = """
        SELECT DISTINCT horizon_bucket FROM accuracy WHERE target_date BETWEEN $from_date AND $to_date
        ORDER BY CAST(split_part(horizon_bucket, '-', 1) AS INTEGER)
    """
    days = f"target_date >= '{from_date}' AND target_date <= '{to_date}'"
    return reader.frame(sql, {"from_date": from_date, "to_date": to_date}, accuracy=Scan(FORECAST_ACCURACY, days))


@reads(FORECAST_ACCURACY)
def accuracy(reader: LakeReader, *, from_date: date, to_date: date, horizon_bucket: str) -> pd.DataFrame:
    """Rolling weekly WAPE and bias of the whole company's forecasts beside the seasonal naive's WAPE.

    Errors and actuals are summed over the week before they are divided.
    """
    sql = f"""
        WITH daily AS (
            SELECT target_date, sum(absolute_error_units) AS absolute_error, sum(error_units) AS error,
                sum(naive_absolute_error_units) AS naive_absolute_error, sum(actual_units) AS actual
            FROM accuracy
            WHERE segment = $segment AND horizon_bucket = $bucket AND target_date BETWEEN $first AND $to_date
            GROUP BY target_date
        ),
        rolling AS (
            SELECT target_date,
                sum(absolute_error) OVER week / nullif(sum(actual) OVER week, 0) AS wape,
                sum(naive_absolute_error) OVER week / nullif(sum(actual) OVER week, 0) AS naive_wape,
                sum(error) OVER week / nullif(sum(actual) OVER week, 0) AS bias
            FROM daily WINDOW week AS (
                ORDER BY target_date RANGE BETWEEN INTERVAL {ROLLING_DAYS - 1} DAY PRECEDING AND CURRENT ROW
            )
        )
        SELECT * FROM rolling WHERE target_date >= $from_date ORDER BY target_date
    """
    first = from_date - timedelta(days=ROLLING_DAYS - 1)
    parameters = {"segment": ALL, "bucket": horizon_bucket, "first": first}
    days = f"target_date >= '{first}' AND target_date <= '{to_date}'"
    return reader.frame(
        sql, {**parameters, "from_date": from_date, "to_date": to_date}, accuracy=Scan(FORECAST_ACCURACY, days)
    )


@reads(FORECAST_ACCURACY)
def accuracy_total(reader: LakeReader, *, from_date: date, to_date: date, horizon_bucket: str) -> pd.DataFrame:
    """One row: wape, naive_wape, bias and value added of a period; empty values where nothing was scored."""
    sql = """
        SELECT sum(absolute_error_units) / nullif(sum(actual_units), 0) AS wape,
            sum(naive_absolute_error_units) / nullif(sum(actual_units), 0) AS naive_wape,
            sum(error_units) / nullif(sum(actual_units), 0) AS bias,
            1 - sum(absolute_error_units) / nullif(sum(naive_absolute_error_units), 0) AS forecast_value_added,
            sum(series_days) AS series_days, sum(excluded_days) AS excluded_days
        FROM accuracy
        WHERE segment = $segment AND horizon_bucket = $bucket AND target_date BETWEEN $from_date AND $to_date
    """
    parameters = {"segment": ALL, "bucket": horizon_bucket, "from_date": from_date, "to_date": to_date}
    days = f"target_date >= '{from_date}' AND target_date <= '{to_date}'"
    return reader.frame(sql, parameters, accuracy=Scan(FORECAST_ACCURACY, days))


@reads(FORECAST_ACCURACY)
def accuracy_by_origin(reader: LakeReader, *, day_count: int) -> pd.DataFrame:
    """Error of live and of backfilled forecasts, all days ahead, on the last scored days; most scored days first.

    Columns: origin, from_date, to_date, scored_days, wape, naive_wape, bias.
    """
    sql = """
        SELECT origin, min(target_date) AS from_date, max(target_date) AS to_date,
            count(DISTINCT target_date) AS scored_days,
            sum(absolute_error_units) / nullif(sum(actual_units), 0) AS wape,
            sum(naive_absolute_error_units) / nullif(sum(actual_units), 0) AS naive_wape,
            sum(error_units) / nullif(sum(actual_units), 0) AS bias
        FROM accuracy
        WHERE segment = $segment AND target_date > (SELECT max(target_date) FROM accuracy) - $day_count::INTEGER
        GROUP BY origin ORDER BY scored_days DESC, origin DESC
    """
    parameters = {"segment": ALL, "day_count": day_count}
    return reader.frame(sql, parameters, accuracy=Scan(FORECAST_ACCURACY))


@reads(MODEL_VERSIONS)
def model_versions(reader: LakeReader) -> pd.DataFrame:
    """Rows of forecast.model_versions, oldest training first."""
    return reader.frame("SELECT * FROM version ORDER BY week_start_date, model_version", version=Scan(MODEL_VERSIONS))


@reads(DEMAND_DAILY, MODEL_VERSIONS)
def short_history(reader: LakeReader) -> str | None:
    """What forecasts a short history and from when on more will; None where there is nothing to say."""
    days = reader.arrow(
        "SELECT min(business_date) AS first, max(business_date) AS newest FROM demand", demand=Scan(DEMAND_DAILY)
    )
    (ends,) = days.to_pylist()
    if ends["newest"] is None:
        return None
    version = version_in_force(model_versions(reader), ends["newest"])
    return short_history_note(ends["first"], ends["newest"], is_model_in_force=version is not None)


@reads(DEMAND_MODEL)
def training_weeks(reader: LakeReader) -> list[date]:
    """Weeks with a training, newest first."""
    return reader.dates(DEMAND_MODEL)


@reads(DEMAND_MODEL)
def contenders(reader: LakeReader, *, week_start_date: date) -> pd.DataFrame:
    """Scores of every contender in every demand class, classes of most demand and lowest losses first.

    Beside the columns of forecast.demand_model: naive_scaled_pinball, of the seasonal naive in the same class.
    """
    sql = """
        WITH week AS (SELECT * FROM model WHERE week_start_date = $week_start_date),
        naive AS (
            SELECT segment, scaled_pinball AS naive_scaled_pinball FROM week WHERE model_name = $naive
        )
        SELECT week.*, naive_scaled_pinball FROM week LEFT JOIN naive USING (segment)
        ORDER BY max(actual_units) OVER (PARTITION BY segment) DESC, segment, scaled_pinball, model_name
    """
    week = Scan(DEMAND_MODEL, f"week_start_date = '{week_start_date}'")
    return reader.frame(sql, {"week_start_date": week_start_date, "naive": NAIVE}, model=week)


@reads(PROMOTION_UPLIFT, DIM_PRODUCT)
def promotion_uplift(reader: LakeReader, *, by_product: bool) -> pd.DataFrame:
    """What promotions brought as of the newest training, by department or by product, most units first."""
    name = "coalesce(product_name, product_id)" if by_product else "uplift.department"
    sql = f"""
        WITH product AS (SELECT product_id, product_name FROM all_products WHERE is_current),
        newest AS (SELECT * FROM uplift WHERE week_start_date = (SELECT max(week_start_date) FROM uplift))
        SELECT {name} AS name, any_value(uplift.department) AS department, sum(promoted_days) AS promoted_days,
            sum(mean_discount_rate * promoted_days) / sum(promoted_days) AS mean_discount_rate,
            sum(usual_units) AS usual_units, sum(uplift_units) AS uplift_units,
            sum(demand_units) / sum(usual_units) AS lift,
            sum(expected_lift * usual_units) / sum(usual_units) AS expected_lift
        FROM newest AS uplift LEFT JOIN product USING (product_id)
        GROUP BY 1 ORDER BY uplift_units DESC, name
    """
    return reader.frame(sql, uplift=Scan(PROMOTION_UPLIFT), all_products=Scan(DIM_PRODUCT))


@reads(REPLENISHMENT_PLAN, DIM_STORE, DIM_PRODUCT, DIM_SUPPLIER)
def plan(reader: LakeReader, *, as_of_date: date) -> pa.Table:
    """Every line of one day's plan with the names of store, product and supplier; money as floats."""
    sql = """
        SELECT plan.* REPLACE (unit_cost::DOUBLE AS unit_cost, order_value::DOUBLE AS order_value,
                lost_margin_avoided_value::DOUBLE AS lost_margin_avoided_value),
            coalesce(store_name, plan.store_id) AS store_name,
            coalesce(product_name, plan.product_id) AS product_name,
            coalesce(department, 'Unknown') AS department,
            coalesce(supplier_name, nullif(plan.supplier_id, ''), 'No supplier') AS supplier_name
        FROM plan
        LEFT JOIN (SELECT store_id, store_name FROM store WHERE is_current) AS store USING (store_id)
        LEFT JOIN (SELECT product_id, product_name, department FROM product WHERE is_current) AS product
            USING (product_id)
        LEFT JOIN (SELECT supplier_id, supplier_name FROM supplier WHERE is_current) AS supplier USING (supplier_id)
        WHERE as_of_date = $as_of_date
    """
    return reader.arrow(
        sql,
        {"as_of_date": as_of_date},
        plan=Scan(REPLENISHMENT_PLAN, f"as_of_date = '{as_of_date}'"),
        store=Scan(DIM_STORE),
        product=Scan(DIM_PRODUCT),
        supplier=Scan(DIM_SUPPLIER),
    )


@reads(FACT_INVENTORY, DIM_SUPPLIER)
def missing_inputs(reader: LakeReader) -> pd.DataFrame:
    """input: what a plan needs and the source does not deliver."""
    sql = """
        SELECT 'daily stock' AS input WHERE NOT EXISTS (SELECT 1 FROM inventory)
        UNION ALL SELECT 'suppliers' WHERE NOT EXISTS (SELECT 1 FROM supplier)
    """
    return reader.frame(sql, inventory=Scan(FACT_INVENTORY), supplier=Scan(DIM_SUPPLIER))


_WORK = """
    WITH work AS (
        SELECT plan.*, decided.decision, decided.decided_by, decided.decided_at, decided.exported_at,
            decided.reason AS decision_reason,
            coalesce(decided.order_units, plan.order_units) AS final_units,
            coalesce(decided.order_units, plan.order_units) * plan.unit_cost AS final_value,
            CASE WHEN decided.exported_at IS NOT NULL THEN 'exported' WHEN decided.decision IS NOT NULL
                THEN decided.decision WHEN plan.order_units > 0 THEN 'to decide' ELSE 'no order' END AS status
        FROM plan LEFT JOIN decided USING (proposal_id)
    ),
    chosen AS (SELECT * FROM work WHERE {where})
"""
STATUSES = ("to decide", APPROVED, REJECTED, "exported", "no order")


def worklist(lines: pa.Table, decided: pa.Table, *, chosen: PlanFilter, page: int) -> pd.DataFrame:
    """One page of plan lines, those that save most margin first, then those that would miss most units.

    `page` counts from 1.
    """
    where, parameters = _plan_where(chosen)
    sql = f"""{_WORK.format(where=where)}
        SELECT * FROM chosen ORDER BY lost_margin_avoided_value DESC, expected_shortage_units DESC, proposal_id
        LIMIT {PAGE_ROWS} OFFSET {PAGE_ROWS * (page - 1)}
    """
    return _ask(sql, parameters, {"plan": lines, "decided": decided}).to_pandas()


def plan_totals(lines: pa.Table, decided: pa.Table, *, chosen: PlanFilter) -> pd.DataFrame:
    """One row: lines, and count, value and margin of what is open and of what is approved."""
    where, parameters = _plan_where(chosen)
    sql = f"""{_WORK.format(where=where)}
        SELECT count(*) AS line_count,
            count(*) FILTER (status = 'to decide') AS open_count,
            coalesce(sum(final_value) FILTER (status = 'to decide'), 0) AS open_value,
            coalesce(sum(lost_margin_avoided_value) FILTER (status = 'to decide'), 0) AS open_margin_value,
            count(*) FILTER (status IN ('approved', 'exported')) AS approved_count,
            coalesce(sum(final_value) FILTER (status IN ('approved', 'exported')), 0) AS approved_value,
            count(*) FILTER (exception IS NOT NULL) AS exception_count
        FROM chosen
    """
    return _ask(sql, parameters, {"plan": lines, "decided": decided}).to_pandas()


def supplier_totals(lines: pa.Table, decided: pa.Table, *, chosen: PlanFilter) -> pd.DataFrame:
    """Orders to each supplier by delivery date, rejected lines left out, dearest first."""
    where, parameters = _plan_where(chosen)
    sql = f"""{_WORK.format(where=where)}
        SELECT supplier_name, order_date, expected_delivery_date, count(DISTINCT store_id) AS store_count,
            count(*) AS line_count, count(*) FILTER (status IN ('approved', 'exported')) AS approved_count,
            sum(final_units) AS order_units, sum(final_value) AS order_value,
            sum(lost_margin_avoided_value) AS lost_margin_avoided_value
        FROM chosen WHERE status NOT IN ('rejected', 'no order')
        GROUP BY ALL ORDER BY order_value DESC NULLS LAST, supplier_name, expected_delivery_date
    """
    return _ask(sql, parameters, {"plan": lines, "decided": decided}).to_pandas()


def plan_choices(lines: pa.Table, *, column: str) -> list[tuple[str, str]]:
    """(identifier, name) pairs that occur in a plan, for `store`, `supplier` or `department`."""
    names = (column, column) if column == "department" else (f"{column}_id", f"{column}_name")
    sql = f"SELECT DISTINCT {names[0]}, {names[1]} FROM plan WHERE {names[0]} IS NOT NULL ORDER BY 2, 1"
    table = _ask(sql, {}, {"plan": lines})
    return list(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))


def _ask(sql: str, parameters: Mapping[str, object], sources: Mapping[str, pa.Table]) -> pa.Table:
    """Answer of one SELECT over frames in memory, on a connection of its own."""
    config = {"memory_limit": "2GB", "autoinstall_known_extensions": False, "python_enable_replacements": False}
    with duckdb.connect(config=config) as connection:
        for name, source in sources.items():
            connection.register(name, source)
        return connection.sql(sql, params=dict(parameters)).to_arrow_table()


def _forecasts(as_of_date: date) -> Scan:
    return Scan(DEMAND_FORECAST, f"as_of_date = '{as_of_date}'")


def _dimensions() -> dict[str, Scan]:
    return {"all_products": Scan(DIM_PRODUCT), "all_stores": Scan(DIM_STORE)}


def _where(slice_: Slice, **equal: object) -> tuple[str, dict[str, object]]:
    """Condition and parameters of a slice; what series do not carry is looked up in the tables of `_TODAY`."""
    parameters = {"store_id": slice_.store_id, "product_id": slice_.product_id, **equal}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    conditions = [f"{name} = ${name}" for name in parameters]
    lookups = {"department": "product", "category": "product", "region": "store"}
    for name, table in lookups.items():
        if (value := getattr(slice_, name)) is not None:
            conditions.append(f"{table}_id IN (SELECT {table}_id FROM {table} WHERE {name} = ${name})")
            parameters[name] = value
    return " AND ".join(conditions) or "TRUE", parameters


def _group_where(slice_: Slice) -> tuple[str, dict[str, object]]:
    """Condition and parameters of the group of forecast.hierarchy_forecast that a slice is."""
    group = slice_.group
    if group is None:
        return "FALSE", {}
    level = "_".join(name.removesuffix("_id") for name in group) or "total"
    conditions = ["level = $level", *(f"{name} = ${name}" for name in group)]
    return " AND ".join(conditions), {"level": level, **group}


def _plan_where(chosen: PlanFilter) -> tuple[str, dict[str, object]]:
    names = ("store_id", "supplier_id", "department", "status")
    parameters: dict[str, object] = {n: getattr(chosen, n) for n in names if getattr(chosen, n) is not None}
    conditions = [f"{name} = ${name}" for name in parameters]
    if chosen.only_exceptions:
        conditions.append("exception IS NOT NULL")
    if chosen.search.strip():
        conditions.append("contains(lower(product_name || ' ' || product_id), lower($search))")
        parameters["search"] = chosen.search.strip()
    return " AND ".join(conditions) or "TRUE", parameters
