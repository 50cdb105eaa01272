"""Every asset and check of the graph, listed by hand: nothing is found by scanning folders."""

import dagster as dg

from retail_assets.assets import bronze, forecast, gold, inventory, maintenance, silver, warehouse
from retail_assets.checks import bronze as bronze_checks
from retail_assets.checks import forecast as forecast_checks
from retail_assets.checks import gold as gold_checks
from retail_assets.checks import inventory as inventory_checks
from retail_assets.checks import silver as silver_checks


def assets(*, horizon_days: int, train_days: int) -> list[dg.AssetsDefinition]:
    """Every asset.

    Args:
        horizon_days: days forecast ahead.
        train_days: days of history that forecasts and trainings read.
    """
    return [
        bronze.daily,
        *bronze.snapshots(),
        silver.daily,
        *silver.snapshots(),
        silver.rejected_snapshot_rows,
        silver.open_orders,
        gold.fact_sales,
        gold.fact_inventory,
        gold.demand_daily,
        gold.sales_summary,
        gold.dim_date,
        *gold.dimensions(),
        gold.product_segments,
        forecast.training_asset(train_days=train_days),
        forecast.model_versions,
        forecast.forecasts_asset(train_days=train_days),
        forecast.accuracy_asset(horizon_days=horizon_days),
        inventory.decisions,
        inventory.policy_replay,
        *warehouse.loads(),
        maintenance.lake_maintenance,
    ]


CHECKS = [
    *bronze_checks.CHECKS,
    *silver_checks.CHECKS,
    *gold_checks.CHECKS,
    *forecast_checks.CHECKS,
    *inventory_checks.CHECKS,
]
