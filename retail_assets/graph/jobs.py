"""The three jobs of a night, ingest, train and publish, and the weekly maintenance of the lake.

One job cannot hold assets of different partitions, nor can one range run; assets without partitions may
join any. A warehouse load belongs to the job of its table.
"""

import dagster as dg

from retail_assets.runs.heartbeat import in_process_with_heartbeat
from retail_assets.tables import bronze, forecast, gold, inventory, operations, silver
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.tables.warehouse import PUBLISHED, load_contract

_TRAINED = (
    forecast.DEMAND_MODEL,
    forecast.BACKTEST_LOSSES,
    forecast.PROMOTION_UPLIFT,
    forecast.MODEL_VERSIONS,
)
_INGESTED = (*bronze.TABLES, *silver.TABLES, *gold.TABLES)
_PUBLISHED = (*forecast.DAILY_FORECASTS, forecast.FORECAST_ACCURACY, *inventory.TABLES)

INGEST, TRAIN, PUBLISH, MAINTAIN = "ingest", "train", "publish", "maintain"


def _with_loads(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    return (*tables, *(load_contract(table) for table in PUBLISHED if table in tables))


TABLES_OF_JOB: dict[str, tuple[Table, ...]] = {
    INGEST: _with_loads(_INGESTED),
    TRAIN: _with_loads(_TRAINED),
    PUBLISH: _with_loads(_PUBLISHED),
    MAINTAIN: operations.TABLES,
}

DEMAND = _with_loads((gold.DEMAND_DAILY,))
"""Tables of `ingest` whose days look back on earlier days."""

AFTER_DAYS = _with_loads((gold.PRODUCT_SEGMENTS,))
"""Tables of `ingest` without partitions that are made from daily ones."""


def before_days() -> list[Table]:
    """Tables of `ingest` without partitions that daily ones are made from, or that stand alone."""
    whole = (table for table in TABLES_OF_JOB[INGEST] if table.partitioning is Partitioning.NONE)
    return [table for table in whole if table not in AFTER_DAYS]


def partitioned(job: str) -> list[Table]:
    """The tables of a job that have partitions."""
    return [table for table in TABLES_OF_JOB[job] if table.partitioning is not Partitioning.NONE]


_DESCRIPTIONS = {
    INGEST: "Source to bronze, silver, gold and the warehouse's facts, for a range of business dates.",
    TRAIN: "The weekly training and the list of versions that may forecast.",
    PUBLISH: "Forecast, plan, health, transfers and replay of an as-of date, loaded into the warehouse.",
    MAINTAIN: "Expiry, compaction, vacuum and checkpoints of every table of the lake.",
}


def _job(name: str):
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*(table.asset_key for table in TABLES_OF_JOB[name])),
        description=_DESCRIPTIONS[name],
        executor_def=in_process_with_heartbeat,
        tags={"retail/job": name},
    )


JOBS_BY_NAME = {name: _job(name) for name in TABLES_OF_JOB}
JOBS = list(JOBS_BY_NAME.values())
