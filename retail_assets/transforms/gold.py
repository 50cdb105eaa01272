"""Silver to gold: facts, type 2 dimensions, segments and reports. Demand has a module of its own."""

from datetime import UTC, date, tzinfo

import ibis
from ibis.expr.types import NumericValue

from retail_assets.tables import gold
from retail_assets.tables.contract import Table
from retail_assets.tables.entities import ALWAYS, Entity
from retail_assets.transforms import as_of
from retail_assets.transforms.days import day_table
from retail_assets.transforms.limits import MAX_LINE_UNITS, MAX_LINE_VALUE, MAX_PRICE, MAX_VALUE
from retail_assets.windows import Window

MONEY = "decimal(18, 4)"
UNKNOWN = "unknown"
_SEGMENT_MONTHS = 12
_EXACT, _WIDE = "decimal(18, 6)", "decimal(19, 6)"  # wider than 18 digits is not multiplied in 64 bits


def fact_sales(sales: ibis.Table) -> ibis.Table:
    """Silver sales with their values in money, exact to four places."""
    gross = value_of(sales.quantity, sales.unit_price)
    discount = sales.discount_value.fill_null(0).cast(MONEY)
    valued = sales.mutate(
        gross_value=gross,
        discount_value=discount,
        net_value=(gross - discount).cast(MONEY),
        is_return=sales.quantity < 0,
    )
    return valued.select(gold.FACT_SALES.column_names)


def value_of(units: NumericValue, price: NumericValue) -> NumericValue:
    """Units × price, rounded half up to four places."""
    # Of 18 digits each, DuckDB multiplies in 64 bits and overflows at 10¹¹; of 19 and 18 both engines give 38 digits.
    # ibis takes the product for one of four places already and would leave the rounding out; engines give seven.
    return (units.cast("decimal(18, 3)") * price.cast("decimal(19, 4)")).cast("decimal(37, 7)").cast(MONEY)


def net_value_of(lines: ibis.Table) -> NumericValue:
    """Net value of sales lines, sound or not; null where quantity or price is missing or beyond all limits."""
    is_told = ibis.and_(
        lines.quantity.abs() <= MAX_LINE_UNITS,
        lines.unit_price.abs() <= MAX_PRICE,
        lines.discount_value.fill_null(0).abs() <= MAX_LINE_VALUE,
    )
    # what is beyond is emptied before it is multiplied: its product would fit no type
    units, price, discount = (
        ibis.ifelse(is_told, lines[name], ibis.null(kind))
        for name, kind in (("quantity", "decimal(18, 3)"), ("unit_price", MONEY), ("discount_value", MONEY))
    )
    return (value_of(units, price) - discount.fill_null(0).cast(MONEY)).cast(MONEY)


def fact_inventory(inventory: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Silver inventory with the stock's value at the cost of the day."""
    cost = products.select("product_id", "unit_cost", "valid_from", "valid_to")
    joined = inventory.left_join(
        cost,
        [
            inventory.product_id == cost.product_id,
            inventory.business_date >= cost.valid_from,
            ibis.or_(cost.valid_to.isnull(), inventory.business_date <= cost.valid_to),
        ],
    )
    fits = joined.on_hand_units.cast("float64").abs() * joined.unit_cost.cast("float64").abs() < MAX_VALUE
    value = value_of(ibis.ifelse(fits, joined.on_hand_units, ibis.null("decimal(18, 3)")), joined.unit_cost)
    return joined.mutate(stock_value=value).select(gold.FACT_INVENTORY.column_names)


def sales_summary(sales: ibis.Table, products: ibis.Table) -> ibis.Table:
    """Sales by store, department and day."""
    departments = products.filter(products.is_current).select("product_id", "department")
    lines = sales.left_join(departments, "product_id").mutate(
        department=departments.department.fill_null(UNKNOWN), units=sales.quantity.cast("float64")
    )
    grouped = lines.group_by("business_date", "store_id", "department").aggregate(
        line_count=lines.count(),
        basket_count=lines.sale_id.nunique(),
        sold_units=lines.units.sum(where=~lines.is_return).fill_null(0),
        returned_units=(-lines.units.sum(where=lines.is_return)).fill_null(0),
        gross_value=lines.gross_value.sum().cast(MONEY),
        discount_value=lines.discount_value.sum().cast(MONEY),
        net_value=lines.net_value.sum().cast(MONEY),
    )
    return grouped.select(gold.SALES_SUMMARY.column_names)


def dimension(versions: ibis.Table, entity: Entity, table: Table, *, zone: tzinfo = UTC) -> ibis.Table:
    """The type 2 dimension of an entity, from all its versions, by days of the stores' zone."""
    rows = as_of.validity(versions, key=entity.key, since=ALWAYS, zone=zone)
    if table is gold.DIM_PRODUCT:
        rows = rows.mutate(
            department=rows.department.fill_null(UNKNOWN),
            category=rows.category.fill_null(rows.department).fill_null(UNKNOWN),
            unit_step=rows.unit_step.fill_null(1.0),
        )
    return rows.select(table.column_names)


def dim_date(*, first: date, last: date, holidays: dict[date, str], events: ibis.Table) -> ibis.Table:
    """The calendar of first … last.

    Args:
        first: first day.
        last: last day.
        holidays: public holidays by day.
        events: silver.events as known now.
    """
    days = day_table(Window(first, last), "date")
    known = events.filter(events.event_type.fill_null("") != "snap").select("event_date", "event_name").distinct()
    named = known.group_by("event_date").aggregate(
        event_names=ibis.literal("; ").join(known.event_name.collect().sort())
    )
    listed = ibis.memtable(
        {"holiday_date": list(holidays), "holiday_name": list(holidays.values())},
        schema={"holiday_date": "date", "holiday_name": "string"},
    )
    joined = days.left_join(listed, days.date == listed.holiday_date)
    joined = joined.left_join(named, joined.date == named.event_date)
    weekday = (joined.date.day_of_week.index() + 1).cast("int32")
    return joined.mutate(
        year=joined.date.year(),
        month=joined.date.month(),
        week=joined.date.week_of_year(),
        weekday=weekday,
        day_of_year=joined.date.day_of_year(),
        is_weekend=weekday >= 6,
    ).select(gold.DIM_DATE.column_names)


def product_segments(demand: ibis.Table) -> ibis.Table:
    """Segments of each month from the twelve months before it.

    Args:
        demand: gold.demand_daily, any days.

    Returns:
        A row per month, store and product that was carried in the twelve months before the month.
    """
    months = _monthly(demand)
    valid = months.select(valid_from=months.month_start + ibis.interval(months=1)).distinct()
    window = valid.join(
        months,
        [
            months.month_start < valid.valid_from,
            months.month_start >= valid.valid_from - ibis.interval(months=_SEGMENT_MONTHS),
        ],
    )
    totals = window.group_by("valid_from", "store_id", "product_id").aggregate(
        days=window.days.sum(),
        demand_days=window.demand_days.sum(),
        units=window.units.sum().cast("float64"),
        squares=window.squares.sum().cast("float64"),
        net_value=window.net_value.sum().cast(MONEY),
        months=window.count(),
        month_squares=(window.units.cast(_WIDE) * window.units.cast(_WIDE)).sum().cast("float64"),
    )
    return _classified(totals).select(gold.PRODUCT_SEGMENTS.column_names)


def _monthly(demand: ibis.Table) -> ibis.Table:
    month_start = demand.business_date.truncate("M").cast("date")
    # sums of decimals do not depend on the order in which threads add, those of floats do
    rows = demand.mutate(month_start=month_start, units_known=demand.unconstrained_units.cast(_EXACT))
    return rows.group_by("month_start", "store_id", "product_id").aggregate(
        days=rows.units_known.count(),
        demand_days=(rows.units_known > 0).sum().fill_null(0),
        units=rows.units_known.sum().fill_null(0).cast(_EXACT),
        squares=(rows.units_known.cast(_WIDE) * rows.units_known.cast(_WIDE)).sum().fill_null(0),
        net_value=rows.net_value.sum().fill_null(0).cast(MONEY),
    )


def _classified(totals: ibis.Table) -> ibis.Table:
    size = totals.units / totals.demand_days.nullif(0)
    cv2 = (totals.squares / totals.demand_days.nullif(0) - size * size) / (size * size)
    interval = totals.days / totals.demand_days.nullif(0)
    month_mean = totals.units / totals.months
    month_sd = ibis.greatest(totals.month_squares / totals.months - month_mean * month_mean, 0.0).sqrt()
    ranked = totals.mutate(
        average_demand_interval_days=interval,
        # greatest skips nulls: a series without demand would show the variation of a steady one
        squared_variation=ibis.ifelse(totals.demand_days > 0, ibis.greatest(cv2, 0.0), ibis.null("float64")),
        mean_daily_units=(totals.units / totals.days.nullif(0)).fill_null(0.0),
        # half the months without demand is exactly 1, or the last digit beside it, as engines divide differently
        variation=(month_sd / month_mean.nullif(0)).round(9),
        value_share=_share_before(totals),
    )
    smooth_times = ranked.average_demand_interval_days <= gold.INTERVAL_LIMIT_DAYS
    smooth_sizes = ranked.squared_variation.round(9) <= gold.SQUARED_VARIATION_LIMIT
    return ranked.mutate(
        abc_class=ibis.cases(
            (ranked.value_share < gold.SHARE_A, "A"), (ranked.value_share < gold.SHARE_B, "B"), else_="C"
        ),
        xyz_class=ibis.cases((ranked.variation <= 0.5, "X"), (ranked.variation <= 1.0, "Y"), else_="Z"),
        demand_class=ibis.cases(
            (ranked.demand_days == 0, gold.NO_SALE),
            (smooth_times & smooth_sizes, "smooth"),
            (smooth_times, "erratic"),
            (smooth_sizes, "intermittent"),
            else_="lumpy",
        ),
    )


def _share_before(totals: ibis.Table) -> ibis.Value:
    """Share of the month's value that products of higher value make; the first product has 0."""
    value = totals.net_value
    ranking = ibis.window(
        group_by="valid_from", order_by=[ibis.desc(value), "store_id", "product_id"], preceding=None, following=0
    )
    whole = value.sum().over(ibis.window(group_by="valid_from"))
    before = (value.sum().over(ranking) - value).cast("float64")
    return (before / whole.cast("float64").nullif(0)).fill_null(1.0)
