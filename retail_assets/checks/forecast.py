"""Forecast: every series has every day, quantiles are ordered, and models beat doing nothing."""

import ibis

from retail_assets.checks.contract import contract_checks
from retail_assets.checks.declare import Finding, Rows, TableCheck, failing_rows, layer_checks
from retail_assets.tables import forecast
from retail_assets.tables.contract import ALL, Table


def quantiles_are_ordered(table: Table) -> TableCheck:
    """No quantile is negative or above the next one."""

    def find(rows: Rows) -> Finding:
        made = rows.of(table)
        names = list(forecast.QUANTILE_LEVELS)
        crossing = [made[low] > made[high] for low, high in zip(names[:-1], names[1:], strict=True)]
        wrong = made.filter(ibis.or_(*crossing, made[names[0]] < 0, made.mean_units < 0))
        count = wrong.count().to_pyarrow().as_py()
        return Finding(
            passed=count == 0,
            sentence=f"{count} rows cross or are negative.",
            figures={"wrong_rows": count},
            failing=failing_rows(wrong, table, "mean_units", *names) if count else (),
        )

    return TableCheck(table, "quantiles_are_ordered", "Quantiles rise and are not negative.", find)


def every_day_is_forecast(rows: Rows) -> Finding:
    """Each series of each as-of date has every target date."""
    made = rows.of(forecast.DEMAND_FORECAST)
    series = made.group_by("as_of_date", "store_id", "product_id").aggregate(days=made.target_date.nunique())
    counts = series.group_by("days").aggregate(series=series.count()).to_pandas()
    longest, total = int(counts["days"].max()) if len(counts) else 0, int(counts["series"].sum())
    short = int(counts.loc[counts["days"] < longest, "series"].sum())
    return Finding(
        passed=total > 0 and short == 0,
        sentence=f"{total} series forecast {longest} days ahead, {short} of them not fully.",
        figures={"series": total, "incomplete_series": short},
    )


def better_than_naive(rows: Rows) -> Finding:
    """The absolute error of all segments is below the seasonal naive's: a warning when it is not."""
    scored = rows.of(forecast.FORECAST_ACCURACY)
    every = scored.filter(scored.segment == ALL)
    sums = (
        every.aggregate(ours=every.absolute_error_units.sum(), naive=every.naive_absolute_error_units.sum())
        .to_pyarrow()
        .to_pylist()[0]
    )
    ours, naive = sums["ours"] or 0.0, sums["naive"] or 0.0
    return Finding(
        passed=ours <= naive,
        sentence=f"Absolute error {ours:.0f} units, seasonal naive {naive:.0f}.",
        is_serious=False,
        figures={"absolute_error_units": ours, "naive_absolute_error_units": naive},
    )


def levels_add_up(rows: Rows) -> Finding:
    """The total of the hierarchy is the sum of the series' forecasts on every as-of and target date."""
    day = ["as_of_date", "target_date"]
    bottom = rows.of(forecast.DEMAND_FORECAST).group_by(day).agg(series_units=ibis._.mean_units.sum())
    levels = rows.of(forecast.HIERARCHY_FORECAST)
    total = levels.filter(levels.level == "total").select(*day, total_units=levels.mean_units)
    found = bottom.left_join(total, day).select("series_units", "total_units").to_pandas()
    gap = (found["series_units"] - found["total_units"]).abs()
    off = int((~(gap <= 1e-6 * found["series_units"].abs() + 1e-6)).sum())
    return Finding(
        passed=off == 0,
        sentence=f"{off} of {len(found)} days whose total is not the sum of its series.",
        figures={"days": len(found), "days_off": off},
    )


CHECKS = [
    layer_checks(
        "forecast_checks",
        [
            *contract_checks(*forecast.TABLES),
            *(quantiles_are_ordered(table) for table in (forecast.DEMAND_FORECAST, forecast.CUMULATIVE_FORECAST)),
            TableCheck(
                forecast.DEMAND_FORECAST, "every_day_is_forecast", "No series misses a day.", every_day_is_forecast
            ),
            TableCheck(forecast.HIERARCHY_FORECAST, "levels_add_up", "All levels are one forecast.", levels_add_up),
            TableCheck(
                forecast.FORECAST_ACCURACY, "better_than_naive", "The forecast beats the naive.", better_than_naive
            ),
        ],
    )
]
