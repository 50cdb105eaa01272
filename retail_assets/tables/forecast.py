"""Forecast: distributions of demand per store and product, their accuracy and the models behind them."""

from retail_assets.tables.contract import (
    AS_OF_RETENTION_DAYS,
    DATE,
    DAYS,
    FLAG,
    KEY_TEXT,
    NULLABLE,
    QUANTILE,
    RATE,
    SERIES_COLUMNS,
    SHORT_TEXT,
    TEXT,
    UNITS,
    Column,
    Layout,
    Partitioning,
    Table,
    code,
    described,
)

QUANTILE_LEVELS: dict[str, float] = {
    "q025": 0.025,
    "q100": 0.1,
    "q250": 0.25,
    "q500": 0.5,
    "q750": 0.75,
    "q900": 0.9,
    "q950": 0.95,
    "q975": 0.975,
    "q990": 0.99,
    "q995": 0.995,
}
"""Column name to probability, ascending."""

HIERARCHY_QUANTILES = {name: QUANTILE_LEVELS[name] for name in ("q100", "q500", "q900")}
"""Those of forecast.hierarchy_forecast."""

BUCKET_DAYS = 7
"""Errors are kept by weeks ahead."""


def horizon_bucket(number: int) -> str:
    """Name of the days ahead in a bucket: `1-7` of bucket 0, `8-14` of bucket 1, …

    >>> horizon_bucket(3)
    '22-28'
    """
    return f"{number * BUCKET_DAYS + 1}-{(number + 1) * BUCKET_DAYS}"


NAIVE, MEAN_OF_BEST, BOTTOM_UP = "seasonal_naive", "mean_of_best", "bottom_up"
"""What is compared with every contender, a mean of several contenders, and a group's forecast without a model."""

LIVE, BACKFILL = "live", "backfill"
"""Origin of a forecast: made for the newest closed day, or later for an earlier one."""

HIERARCHY_LEVELS = (
    "total",
    "region",
    "store",
    "category",
    "department",
    "region_category",
    "region_department",
    "store_category",
    "store_department",
)
"""Levels above store and product, top down."""
_ORIGIN = code("origin", "live, or backfill: business dates up to as_of_date with later corrections.", LIVE, BACKFILL)
_VERSION = (
    *described(("model_version", SHORT_TEXT, "Model that made it, or seasonal_naive when none was promoted yet.")),
    _ORIGIN,
)
_DISTRIBUTION = (
    Column("mean_units", UNITS, "Expected demand.", "units"),
    Column("p_zero", QUANTILE, "Probability of no demand.", "0–1"),
    *(
        Column(name, QUANTILE, f"Demand not exceeded with probability {p}.", "units")
        for name, p in QUANTILE_LEVELS.items()
    ),
    *_VERSION,
)
_AS_OF = Column("as_of_date", DATE, "Last closed day the forecast knew.")
_HORIZON = Column("horizon_days", DAYS, "Days after as_of_date.", "days")

DEMAND_FORECAST = Table(
    layer="forecast",
    name="demand_forecast",
    meaning="Demand of each coming day as a distribution.",
    grain="as-of date, store, product and target date",
    key=("as_of_date", "store_id", "product_id", "target_date"),
    columns=(
        _AS_OF,
        *SERIES_COLUMNS,
        Column("target_date", DATE, "Day forecast."),
        _HORIZON,
        *described(("model_name", SHORT_TEXT, "Contender that was chosen for the series' segment.")),
        *_DISTRIBUTION,
    ),
    partition_column="as_of_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.DAY,
    sort_by=("store_id", "product_id", "target_date"),
    retention_days=AS_OF_RETENTION_DAYS,
)
CUMULATIVE_FORECAST = Table(
    layer="forecast",
    name="cumulative_forecast",
    meaning="Total demand over the days as_of_date + 1 … as_of_date + horizon_days as a distribution.",
    grain="as-of date, store, product and horizon",
    key=("as_of_date", "store_id", "product_id", "horizon_days"),
    columns=(_AS_OF, *SERIES_COLUMNS, _HORIZON, *_DISTRIBUTION),
    partition_column="as_of_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.DAY,
    sort_by=("store_id", "product_id", "horizon_days"),
    retention_days=AS_OF_RETENTION_DAYS,
)
HIERARCHY_FORECAST = Table(
    layer="forecast",
    name="hierarchy_forecast",
    meaning="Demand of each coming day at every level above store and product.",
    grain="as-of date, level, group and target date",
    key=("as_of_date", "level", "group_name", "target_date"),
    columns=(
        _AS_OF,
        code("level", "What is summed: everything, or the series that share these attributes.", *HIERARCHY_LEVELS),
        Column("group_name", TEXT, "The group's attributes, such as `CA_1 / FOODS_1`; `all` at the top."),
        Column("region", TEXT, "Region of the group where its level has one.", nullable=True),
        Column("store_id", TEXT, "Store of the group where its level has one.", nullable=True),
        Column("category", TEXT, "Category of the group where its level has one.", nullable=True),
        Column("department", TEXT, "Department of the group where its level has one.", nullable=True),
        Column("target_date", DATE, "Day forecast."),
        _HORIZON,
        Column("mean_units", UNITS, "Expected demand: the sum over its series of demand_forecast.", "units"),
        Column("model_units", UNITS, "What the group's own model expects; empty without one.", "units", nullable=True),
        Column("model_name", TEXT, "The group's own model, or bottom_up."),
        *(
            Column(name, QUANTILE, f"Demand not exceeded with probability {p}.", "units")
            for name, p in HIERARCHY_QUANTILES.items()
        ),
        *_VERSION,
    ),
    partition_column="as_of_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.DAY,
    sort_by=("level", "group_name", "target_date"),
    retention_days=AS_OF_RETENTION_DAYS,
)
FORECAST_ACCURACY = Table(
    layer="forecast",
    name="forecast_accuracy",
    meaning="How good forecasts were on uncensored days, beside the seasonal naive of the same as-of date.",
    grain="target date, horizon bucket, segment and origin",
    key=("target_date", "horizon_bucket", "segment", "origin"),
    columns=described(
        ("target_date", DATE, "Day that was forecast."),
        ("horizon_bucket", KEY_TEXT, "Horizon in days, by weeks: 1-7, 8-14 and so on."),
        ("segment", KEY_TEXT, "ABC class as of the forecast, or all."),
        ("origin", KEY_TEXT, "live or backfill."),
        ("series_days", UNITS, "Forecasts scored.", "series × days"),
        ("excluded_days", UNITS, "Left out because stock limited sales or the feed was missing.", "series × days"),
        ("actual_units", UNITS, "Demand scored.", "units"),
        ("absolute_error_units", UNITS, "Sum of absolute errors of the mean.", "units"),
        ("error_units", UNITS, "Sum of forecast minus actual.", "units"),
        ("naive_absolute_error_units", UNITS, "Sum of absolute errors of the seasonal naive.", "units"),
        ("wape", RATE, "Absolute error over actual.", "", NULLABLE),
        ("bias", RATE, "Error over actual.", "", NULLABLE),
        ("rmsse", RATE, "Root of mean squared error over the naive's mean squared error.", "", NULLABLE),
        ("pinball", UNITS, "Mean pinball loss over the quantiles.", "units", NULLABLE),
        ("coverage_q500", RATE, "Share of actuals not above q500.", "0–1", NULLABLE),
        ("coverage_q900", RATE, "Share of actuals not above q900.", "0–1", NULLABLE),
        ("coverage_q950", RATE, "Share of actuals not above q950.", "0–1", NULLABLE),
        ("coverage_q975", RATE, "Share of actuals not above q975.", "0–1", NULLABLE),
        ("forecast_value_added", RATE, "1 − absolute error / absolute error of the seasonal naive.", "", NULLABLE),
    ),
    partition_column="target_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.MONTH,
    sort_by=("target_date", "segment", "horizon_bucket"),
)
DEMAND_MODEL = Table(
    layer="forecast",
    name="demand_model",
    meaning="What each weekly training found: every contender's backtest scores by segment, and who was chosen.",
    grain="week, segment and contender",
    key=("week_start_date", "segment", "model_name"),
    columns=described(
        ("week_start_date", DATE, "Monday of the week; trained on data before it."),
        ("segment", TEXT, "Demand class."),
        ("model_name", TEXT, "Contender."),
        ("model_version", TEXT, "Version trained."),
        ("trained_through_date", DATE, "Last day of training data."),
        ("scaled_pinball", RATE, "Pinball loss of cumulative demand at protection horizons over mean demand."),
        ("bias", RATE, "Sum of errors over actual, after the correction that other weeks of the backtest tell."),
        ("wape", RATE, "Sum of absolute errors over actual; reported, not used for the choice."),
        ("rmsse", RATE, "Mean root of scaled squared errors."),
        ("series_count", UNITS, "Series backtested.", "series"),
        ("actual_units", UNITS, "Demand backtested.", "units"),
        ("is_chosen", FLAG, "Makes the forecast of the segment."),
        ("parts", TEXT, "Contenders whose mean it is, by comma: itself, or the best three.", "", NULLABLE),
        ("bias_factor", RATE, "What its forecasts of coming days are multiplied by, against bias.", "", NULLABLE),
        (
            "gap_error",
            RATE,
            "Standard error of its scaled pinball less that of the chosen; empty with too few weeks to know.",
            "",
            NULLABLE,
        ),
    ),
    partition_column="week_start_date",
    partitioning=Partitioning.WEEKLY,
    layout=Layout.DAY,
    sort_by=("segment", "model_name"),
)
BACKTEST_LOSSES = Table(
    layer="forecast",
    name="backtest_losses",
    meaning="What the chosen contenders of each weekly training lost at each origin of its backtest.",
    grain="week, origin and protection horizon",
    key=("week_start_date", "origin_date", "horizon_days"),
    columns=described(
        ("week_start_date", DATE, "Monday of the week; trained on data before it."),
        ("origin_date", DATE, "Last day known to the forecasts that were scored."),
        ("horizon_days", DAYS, "Days after origin_date whose total demand was forecast.", "days"),
        ("series_count", UNITS, "Series scored.", "series"),
        ("actual_units", UNITS, "Their demand, as the training knew it.", "units"),
        ("loss_units", UNITS, "Pinball loss of the chosen contenders, summed over series.", "units"),
        ("naive_loss_units", UNITS, "The same of the seasonal naive.", "units"),
    ),
    partition_column="week_start_date",
    partitioning=Partitioning.WEEKLY,
    layout=Layout.DAY,
    sort_by=("origin_date", "horizon_days"),
)
PROMOTION_UPLIFT = Table(
    layer="forecast",
    name="promotion_uplift",
    meaning="What the promotions of the year before a training brought, by product.",
    grain="week and product",
    key=("week_start_date", "product_id"),
    columns=described(
        ("week_start_date", DATE, "Monday of the training; promotions before it count."),
        ("product_id", TEXT, "Product."),
        ("department", TEXT, "Its department."),
        ("promoted_days", UNITS, "Days of its series with a discount and with usual demand to compare.", "days"),
        ("mean_discount_rate", RATE, "Mean discount of these days.", "0–1"),
        ("demand_units", UNITS, "Demand on these days, unconstrained by stock.", "units"),
        ("usual_units", UNITS, "What they would have brought by the days without a discount before them.", "units"),
        ("uplift_units", UNITS, "Demand beyond the usual; below 0 where a discount brought less.", "units"),
        ("lift", RATE, "Demand over usual demand."),
        ("expected_lift", RATE, "What the forecast's promotion model expected of these days before their week."),
    ),
    partition_column="week_start_date",
    partitioning=Partitioning.WEEKLY,
    layout=Layout.DAY,
    sort_by=("product_id",),
)
MODEL_VERSIONS = Table(
    layer="forecast",
    name="model_versions",
    meaning="Which model may forecast which day: the newest promoted on or before it and trained before it.",
    grain="model version",
    key=("model_version",),
    columns=described(
        ("model_version", TEXT, "Version; the registered model carries it as an alias."),
        ("week_start_date", DATE, "Week of the training."),
        ("trained_through_date", DATE, "Last day of training data."),
        ("promoted_on", DATE, "First day it may forecast; empty when it was not promoted.", "", NULLABLE),
        ("scaled_pinball", RATE, "Score of the chosen contenders on the backtest."),
        ("bias", RATE, "Their bias."),
        ("naive_scaled_pinball", RATE, "Score of the seasonal naive on the same backtest."),
        (
            "champion_scaled_pinball",
            RATE,
            "Score of the version in force before, on the origins both backtests hold.",
            "",
            NULLABLE,
        ),
        ("reason", TEXT, "Why it was promoted or not."),
        ("champion_version", TEXT, "Version in force before, which it was compared with.", "", NULLABLE),
        ("shared_origins", UNITS, "Weekly origins both backtests hold.", "weeks", NULLABLE),
        ("shared_scaled_pinball", RATE, "Its own score on these origins.", "", NULLABLE),
        (
            "gap_error",
            RATE,
            "Standard error of shared_scaled_pinball less champion_scaled_pinball; empty with too few origins to know.",
            "",
            NULLABLE,
        ),
    ),
    sort_by=("week_start_date",),
)
FORECAST_DRIVERS = Table(
    layer="forecast",
    name="forecast_drivers",
    meaning="Why the forecast of a week is what it is: a level times a factor for each group of causes.",
    grain="as-of date, store, product and week ahead",
    key=("as_of_date", "store_id", "product_id", "week_number"),
    columns=(
        _AS_OF,
        *SERIES_COLUMNS,
        *described(
            ("week_number", DAYS, "1 for the seven days after as_of_date, 2 for the next seven and so on.", "weeks"),
            ("first_date", DATE, "First day of the week."),
            ("last_date", DATE, "Last day of the week."),
            ("open_days", DAYS, "Days of the week on which the store is open; a week without one has no row.", "days"),
            ("mean_units", UNITS, "Expected demand a day over the open days: level_units times all factors.", "units"),
            ("level_units", UNITS, "Usual demand a day of the series, by its recent past and what it is.", "units"),
            ("trend_factor", RATE, "Recent weeks against the level: series, store, department, product."),
            ("season_factor", RATE, "Weekday, day of the month and time of the year."),
            ("price_factor", RATE, "Price against its usual, its last and the department's."),
            ("promotion_factor", RATE, "Discounts planned, and those just past."),
            ("holiday_factor", RATE, "Holidays and events on the days or near them."),
            (
                "adjustment_factor",
                RATE,
                "What other models, totals, planners and the correction of bias add to the global model; else 1.",
            ),
        ),
        code(
            "main_driver",
            "Cause whose factor is furthest from 1; level when none moves the forecast by 2 %.",
            "level",
            "trend",
            "season",
            "price",
            "promotion",
            "holiday",
            "adjustment",
        ),
        Column("model_version", TEXT, "Model that is explained."),
        _ORIGIN,
    ),
    partition_column="as_of_date",
    partitioning=Partitioning.DAILY,
    layout=Layout.DAY,
    sort_by=("store_id", "product_id", "week_number"),
    retention_days=AS_OF_RETENTION_DAYS,
)
DAILY_FORECASTS = (DEMAND_FORECAST, CUMULATIVE_FORECAST, HIERARCHY_FORECAST, FORECAST_DRIVERS)
"""What one computation makes for each as-of date."""
TABLES = (
    *DAILY_FORECASTS,
    FORECAST_ACCURACY,
    DEMAND_MODEL,
    BACKTEST_LOSSES,
    PROMOTION_UPLIFT,
    MODEL_VERSIONS,
)
