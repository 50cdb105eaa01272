"""Forecast assets: the weekly training, the daily distributions, and how good they were."""

import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import dagster as dg
import ibis
import pandas as pd

from retail_assets.as_of_day.history import History, training_panel
from retail_assets.as_of_day.plan_settings import PlanSettings
from retail_assets.as_of_day.snapshot import SNAPSHOTS, AsOfSnapshot
from retail_assets.assets.declare import Columns, Days, follows, outputs, reads, table_asset
from retail_assets.assets.restating import refuse_restating
from retail_assets.demand.effects.promotion_uplift import promotion_uplift
from retail_assets.demand.forecasting import forecast
from retail_assets.demand.model_versions import model_versions as versions_of
from retail_assets.demand.model_versions import version_in_force
from retail_assets.demand.scores.accuracy import NAIVE_DAYS, score_forecasts
from retail_assets.demand.short_history import short_history_note
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.demand.training import TrainedModel, load_model, train
from retail_assets.engines.protocol import Engine, Spilled
from retail_assets.inventory.delays import delivery_delays
from retail_assets.inventory.order_days import horizons_in_use
from retail_assets.io_managers.chunks import Chunks, SharedOutputs, asked_windows, by_day
from retail_assets.resources.mlflow import ModelRegistry, TrainingRecord, fail_training_run
from retail_assets.retailer import Calendar
from retail_assets.tables import forecast as tables
from retail_assets.tables import gold
from retail_assets.transforms.days import within
from retail_assets.windows import ONE_DAY, Window

_TRAINED = (tables.DEMAND_MODEL, tables.BACKTEST_LOSSES, tables.PROMOTION_UPLIFT)
_SCORED_BY = (
    "business_date",
    "store_id",
    "product_id",
    "sold_units",
    "is_open",
    "is_feed_missing",
    "censoring",
    "unconstrained_units",
)
"""What `score_forecasts` reads of the demand: exact money takes longer to convert than all of the rest."""
_CLASSED_BY = ("valid_from", "store_id", "product_id", "abc_class")


def training_asset(*, train_days: int) -> dg.AssetsDefinition:
    """One model a week, from the `train_days` before it."""
    weeks = -(-train_days // 7)

    @dg.multi_asset(
        name="training",
        outs=outputs(*_TRAINED),
        deps=[
            dg.AssetDep(
                gold.DEMAND_DAILY.asset_key,
                # weeks before the trained one; the default mapping would hand a week its own days
                partition_mapping=dg.TimeWindowPartitionMapping(
                    start_offset=-weeks, end_offset=-1, allow_nonexistent_upstream_partitions=True
                ),
            ),
            *follows(*SNAPSHOTS.values()),
        ],
        hooks={fail_training_run},
    )
    def training(
        context: dg.AssetExecutionContext,
        engine: dg.ResourceParam[Engine],
        calendar: dg.ResourceParam[Calendar],
        plan_settings: dg.ResourceParam[PlanSettings],
        mlflow: dg.ResourceParam[ModelRegistry],
    ):
        known = _Trainings.of(engine)

        def week(window: Window) -> dict[str, Spilled]:
            panel = training_panel(
                engine,
                window.first - ONE_DAY,
                calendar=calendar,
                horizon_days=plan_settings.horizon_days,
                history_days=plan_settings.train_days,
            )
            trained = train(panel, TrainingConfig(horizon=plan_settings.horizon_days))
            scores = trained.scores.assign(week_start_date=window.first, model_version=trained.version)
            losses = trained.losses.assign(week_start_date=window.first)
            promoted = known.promotes(scores, losses, week=window.first)
            with mlflow.training_run(context, name=f"train {window.first}"):
                _register(mlflow, trained, promoted=promoted)
            frames = (scores, losses, promotion_uplift(panel).assign(week_start_date=window.first))
            return {
                table.name: engine.spill(frame.loc[:, table.column_names])
                for table, frame in zip(_TRAINED, frames, strict=True)
            }

        mondays = [date.fromisoformat(key) for key in context.partition_keys]
        windows, shared = [Window(monday, monday) for monday in mondays], SharedOutputs(week)
        return tuple(shared.chunks(windows, table.name) for table in _TRAINED)

    return training


class _Trainings:
    """The trainings stored when a run began and those it has made since: what a new one is compared with.

    They decide only which alias MLflow gives; forecast/model_versions decides again from all that is stored.
    """

    def __init__(self, scores: pd.DataFrame, losses: pd.DataFrame) -> None:
        self._scores, self._losses = scores, losses

    @classmethod
    def of(cls, engine: Engine) -> "_Trainings":
        scores, losses = (
            _dated(engine.scan_or_empty(table).to_pandas()) for table in (tables.DEMAND_MODEL, tables.BACKTEST_LOSSES)
        )
        return cls(scores, losses)

    def promotes(self, scores: pd.DataFrame, losses: pd.DataFrame, *, week: date) -> bool:
        """Whether the training of a week is promoted, by the trainings of the weeks before it."""
        self._scores = _instead(self._scores, scores, week)
        self._losses = _instead(self._losses, losses, week)
        versions = versions_of(self._scores.loc[self._scores["week_start_date"] <= week], self._losses)
        return bool(versions["promoted_on"].notna().iloc[-1])


def _dated(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(week_start_date=pd.to_datetime(rows["week_start_date"]).dt.date)


def _instead(rows: pd.DataFrame, new: pd.DataFrame, week: date) -> pd.DataFrame:
    """The rows with those of one week replaced."""
    kept = rows.loc[rows["week_start_date"] != week]
    return pd.concat([kept, new.loc[:, rows.columns]], ignore_index=True) if len(kept) else new


def _register(mlflow: ModelRegistry, trained: TrainedModel, *, promoted: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="retail-model-") as folder:
        saved = Path(folder) / trained.version
        trained.save(saved)
        record = TrainingRecord(
            version=trained.version,
            trained_through=trained.trained_through,
            scores=trained.scores,
            metrics={
                "scaled_pinball": trained.scaled_pinball,
                "bias": trained.bias,
                "naive_scaled_pinball": trained.naive_scaled_pinball,
            },
            params={"trained_through": trained.trained_through.isoformat()},
        )
        mlflow.log_training(saved, record, promoted=promoted)


@dg.asset(
    key=tables.MODEL_VERSIONS.asset_key, ins=reads(trainings=tables.DEMAND_MODEL), deps=follows(tables.BACKTEST_LOSSES)
)
def model_versions(trainings: pd.DataFrame, engine: dg.ResourceParam[Engine]) -> pd.DataFrame:
    # a lake of an older release has no such losses before its next training
    return versions_of(trainings, engine.scan_or_empty(tables.BACKTEST_LOSSES).to_pandas())


def forecasts_asset(*, train_days: int) -> dg.AssetsDefinition:
    """The forecasts of a day, from the `train_days` up to it and the model in force."""

    @dg.multi_asset(
        name="forecasts",
        outs=outputs(*tables.DAILY_FORECASTS),
        deps=follows(Days(gold.DEMAND_DAILY, before=train_days), tables.MODEL_VERSIONS, *SNAPSHOTS.values()),
    )
    def forecasts(
        context: dg.AssetExecutionContext,
        engine: dg.ResourceParam[Engine],
        calendar: dg.ResourceParam[Calendar],
        plan_settings: dg.ResourceParam[PlanSettings],
        mlflow: dg.ResourceParam[ModelRegistry],
    ):
        windows = [day for window in asked_windows(context) for day in window.by_day()]
        span = Window(windows[0].first, windows[-1].first)
        newest_closed = calendar.newest_closed_day()
        refuse_restating(engine, tables.DEMAND_FORECAST, span, newest_closed=newest_closed, tags=context.run.tags)
        history = History.read(
            engine,
            span,
            calendar=calendar,
            horizon_days=plan_settings.horizon_days,
            history_days=plan_settings.train_days,
        )
        versions = engine.scan_or_empty(tables.MODEL_VERSIONS).to_pandas()
        model_of = _models(mlflow)
        note = _short_history(history, span.last, versions=versions)
        if note:
            context.log.info(f"Note: {note}.")
            context.add_output_metadata({"note": note}, output_name=tables.DEMAND_FORECAST.name)

        def day(window: Window) -> dict[str, Spilled]:
            panel, snapshot = history.panel(window.first)
            version = version_in_force(versions, window.first)
            model = model_of(version) if version else None
            made = forecast(panel, model, horizons=_horizons(snapshot, plan_settings), in_parts=engine.in_parts)
            if made.fallback_count:
                context.log.warning(
                    f"{made.fallback_count} series fell back to the seasonal naive: {made.failures[:3]}"
                )
            origin = tables.LIVE if window.first >= newest_closed else tables.BACKFILL
            frames = (made.daily, made.cumulative, made.hierarchy, made.drivers)
            return {
                table.name: engine.spill(frame.assign(origin=origin)[table.column_names])
                for table, frame in zip(tables.DAILY_FORECASTS, frames, strict=True)
            }

        shared = SharedOutputs(day)
        return tuple(shared.chunks(windows, table.name) for table in tables.DAILY_FORECASTS)

    return forecasts


def _short_history(history: History, newest: date, *, versions: pd.DataFrame) -> str | None:
    """The sentence of `short_history_note` as of the newest day of a run."""
    first = pd.to_datetime(history.demand["business_date"]).min().date()
    return short_history_note(first, newest, is_model_in_force=version_in_force(versions, newest) is not None)


def accuracy_asset(*, horizon_days: int) -> dg.AssetsDefinition:
    """Scores of a day, for which forecasts were made on the `horizon_days` before it."""
    history_days = horizon_days + NAIVE_DAYS

    @table_asset(
        tables.FORECAST_ACCURACY,
        forecast_rows=Days(tables.DEMAND_FORECAST, before=horizon_days, after=-1),
        demand_rows=Columns(Days(gold.DEMAND_DAILY, before=history_days), _SCORED_BY),
        segments=Columns(gold.PRODUCT_SEGMENTS, _CLASSED_BY),
    )
    def forecast_accuracy(
        context: dg.AssetExecutionContext, forecast_rows: ibis.Table, demand_rows: ibis.Table, segments: pd.DataFrame
    ) -> Chunks:
        def day(window: Window) -> pd.DataFrame:
            before = Window(window.first - timedelta(days=horizon_days), window.first - ONE_DAY)
            known = within(forecast_rows, before, "as_of_date")
            made = known.filter(known.target_date == window.first).to_pandas()
            actual = within(demand_rows, window.extended(days_before=history_days)).to_pandas()
            return score_forecasts(made, actual, segments=segments)

        return by_day(context, day)

    return forecast_accuracy


def _models(mlflow: ModelRegistry) -> Callable[[str], TrainedModel]:
    return lru_cache(maxsize=2)(lambda version: load_model(mlflow.fetch(version)))


def _horizons(snapshot: AsOfSnapshot, plan_settings: PlanSettings) -> list[int]:
    terms = snapshot.supply_terms()
    delays = delivery_delays(snapshot.purchase_orders(), snapshot.as_of, supplier_ids=terms["supplier_id"].unique())
    return horizons_in_use(
        terms,
        delays,
        horizon_days=plan_settings.horizon_days,
        order_days=snapshot.order_days(),
        service_measure=plan_settings.policies.service_measure,
        receipt_delay_days=plan_settings.policies.plan.receipt_delay_days,
    )
