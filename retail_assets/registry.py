"""Every asset and check of the graph, listed by hand: nothing is found by scanning folders."""

from retail_assets.assets import bronze, forecast, gold, inventory, maintenance, silver, warehouse
from retail_assets.checks import bronze as bronze_checks
from retail_assets.checks import forecast as forecast_checks
from retail_assets.checks import gold as gold_checks
from retail_assets.checks import inventory as inventory_checks
from retail_assets.checks import silver as silver_checks

ASSETS = [
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
    forecast.training,
    forecast.model_versions,
    forecast.forecasts,
    forecast.forecast_accuracy,
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
