"""The resources of the graph, built from the settings. An object that holds a secret is a plain one.

Nothing connects here: systems are reached when an asset first uses them.
"""

import os
from typing import Any

from retail_assets.as_of_day.plan_settings import PlanSettings
from retail_assets.engines.duckdb import DuckDBEngine
from retail_assets.engines.maintenance import Retention
from retail_assets.engines.protocol import Engine
from retail_assets.failures import PermanentFailure
from retail_assets.graph.policy_file import policies_of
from retail_assets.io_managers.delta import DeltaTableIOManager
from retail_assets.lake.lake import Lake, open_lake
from retail_assets.resources.app_database import AppDatabase
from retail_assets.resources.mlflow import ModelRegistry
from retail_assets.resources.notifier import Notifier
from retail_assets.resources.source import Source
from retail_assets.resources.warehouse import Warehouse
from retail_assets.resources.warehouses.staging import lake_staging
from retail_assets.retailer import Calendar, Market
from retail_assets.settings import Settings, prepare_for_spark
from retail_assets.sources.mapping import Mapping


def resources_of(settings: Settings, mapping: Mapping) -> dict[str, Any]:
    """Resources by the names the assets ask for."""
    lake = open_lake(settings)
    engine = engine_of(settings, lake)
    return {
        "io_manager": DeltaTableIOManager(engine, lake),
        "engine": engine,
        "lake": lake,
        "retention": Retention(settings.history_days),
        "source": Source(settings.source_secret, mapping),
        "app_database": AppDatabase(settings.app_database_secret),
        "calendar": calendar_of(settings, mapping),
        "market": Market(mapping.currency, settings.zone(mapping.timezone)),
        "plan_settings": PlanSettings(
            horizon_days=settings.horizon_days,
            train_days=settings.train_days,
            policies=policies_of(settings.policies, service_level=settings.service_level),
        ),
        "mlflow": ModelRegistry(settings.mlflow_secret, settings.folder / "models"),
        "notifier": Notifier(settings.alert_webhook_secret, ui_url=settings.ui_url),
        "warehouse": Warehouse(
            settings.warehouse_secret, staging=lake_staging(settings.lake, settings.lake_credentials_secret)
        ),
    }


def calendar_of(settings: Settings, mapping: Mapping) -> Calendar:
    return Calendar(settings.first_date, mapping.country, settings.zone(mapping.timezone))


def engine_of(settings: Settings, lake: Lake) -> Engine:
    """The engine RETAIL_ENGINE names.

    Raises:
        PermanentFailure: the Spark extra is not installed.
    """
    if settings.engine == "spark":
        return _spark_engine(settings, lake)
    # a model predicts with two threads
    return DuckDBEngine(
        lake,
        memory_limit=settings.memory_limit,
        temp_folder=settings.folder / "tmp",
        processes=max((os.cpu_count() or 1) // 2, 1),
    )


def _spark_engine(settings: Settings, lake: Lake) -> Engine:
    try:
        from retail_assets.engines.spark.engine import SparkEngine  # an extra, and slow to import
        from retail_assets.resources.spark import SparkSessions
    except ModuleNotFoundError as error:
        raise PermanentFailure(
            f"RETAIL_ENGINE=spark needs the package {error.name}: pip install 'retail-assets[spark]'."
        ) from None
    prepare_for_spark()
    return SparkEngine(
        lake, SparkSessions(settings.spark_remote_secret, lake.hadoop_options, memory=settings.memory_limit)
    )
