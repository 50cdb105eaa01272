"""MLflow behind one object: a run for each training, ended in every path, and one registered model for all series.

The table forecast/model_versions is the truth of what may forecast which day; aliases here only mirror it. MLflow is
imported when it is used, because that takes seconds and every Dagster process loads the definitions.
"""

import logging
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import dagster as dg
import pandas as pd
from sqlalchemy.exc import SADeprecationWarning

from retail_assets.addresses import database_url, shown, unreadable, web_address, without_secrets
from retail_assets.failures import PermanentFailure, RetailError, TransientFailure

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "retail-demand"
MODEL_NAME = "retail-demand"
SERVED_PACKAGES = ("retail-assets", "mlflow", "lightgbm", "numpy", "pandas", "pyarrow", "scipy", "statsmodels")
REQUEST_COLUMNS = {
    "business_date": "string",
    "store_id": "string",
    "product_id": "string",
    "region": "string",
    "department": "string",
    "category": "string",
    "sold_units": "double",
    "unconstrained_units": "double",
    "unit_price": "double",
    "discount_rate": "double",
    "is_open": "boolean",
    "is_feed_missing": "boolean",
    "censoring": "string",
}
_OPTIONAL = {"sold_units", "unconstrained_units", "unit_price", "region"}
_SCORES = ("scaled_pinball", "bias", "wape", "rmsse", "series_count")
_FIRST_START_SECONDS = 300
_SERVERS = ("http", "https")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_UNREACHABLE = re.compile(r"Max retries|Connection|timed out|too many 50|error code 50|OperationalError", re.IGNORECASE)


@dataclass(frozen=True)
class RegisteredModel:
    """`number` is MLflow's own version number; `run_id` the run that logged the training."""

    version: str
    number: str
    run_id: str


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """What is kept of one training beside its model.

    Args:
        version: the model version of forecast/model_versions.
        trained_through: last day of training data.
        scores: rows of forecast/demand_model; each contender becomes a nested run.
        metrics: numbers of the training as a whole.
        params: its settings.
    """

    version: str
    trained_through: date
    scores: pd.DataFrame
    metrics: Mapping[str, float]
    params: Mapping[str, str | int | float]


class ModelRegistry:
    """The tracking server or database, and the registered model in it.

    Hand it over as resource `mlflow`, a `dg.ResourceParam[ModelRegistry]`: the address may hold a password.
    """

    def __init__(self, tracking_uri: str, artifact_folder: Path) -> None:
        """
        Args:
            tracking_uri: sqlite or another database URL, or the address of an MLflow server.
            artifact_folder: where artifacts of an own database lie, and where those of a server are kept once fetched.

        Raises:
            PermanentFailure: a part of the address is none, as where its password is not escaped.
        """
        _refuse_unreadable(tracking_uri)
        self._uri = tracking_uri
        self._folder = artifact_folder
        self._experiment_id = ""  # known once the store was opened
        self._runs_of_dagster_run: dict[str, str] = {}

    @property
    def place(self) -> str:
        return f"MLflow at {self._sqlite_file or _host(self._uri) or _kind(self._uri) or shown(self._uri)}"

    def __repr__(self) -> str:
        return f"ModelRegistry({self.place})"

    @contextmanager
    def training_run(self, context: dg.AssetExecutionContext, *, name: str) -> Iterator[str]:
        """An MLflow run tied to the Dagster run by dagster-mlflow; yields its id.

        It ends FINISHED, FAILED when the block raises, KILLED when the step is stopped. What fails after the block,
        such as writing the output, is the business of the hook `fail_training_run`.

        Raises:
            TransientFailure: MLflow cannot be reached.
        """
        with self._errors():
            client = self._client()
            self._end_abandoned(client, context.instance)
            run_id = self._new_run(client, name)
        self._runs_of_dagster_run[context.run.run_id] = run_id
        with self._ended(run_id), self._dagster_mlflow(context, run_id):
            client.update_run(run_id, name=name)  # dagster-mlflow renames the run to the job
            yield run_id

    def end_run(self, *, dagster_run_id: str, status: str) -> None:
        """Set the last word on the MLflow run of a Dagster run; nothing happens when it has none."""
        run_id = self._runs_of_dagster_run.pop(dagster_run_id, None)
        if run_id is not None:
            with self._errors():
                self._client().set_terminated(run_id, status=status)

    def log_training(self, model_folder: Path, training: TrainingRecord, *, promoted: bool) -> RegisteredModel:
        """Log one training in the active run, or in one of its own, and register its model.

        A version that is registered already is not stored again. `champion` and `challenger` never move to a model
        that was trained on less than the one they name.

        Args:
            model_folder: what `TrainedModel.save` wrote.
            training: logged as the run, its metrics and its parameters.
            promoted: whether it is the new champion; otherwise it is the challenger.

        Raises:
            TransientFailure: MLflow cannot be reached.
        """
        version = training.version
        with self._errors(), self._active_run(f"training {version}") as run_id:
            client = self._client()
            params = {**training.params, "model_version": version, "promoted": promoted}
            _log(client, run_id, metrics=training.metrics, params=params)
            self._log_contenders(client, training.scores, parent=run_id)
            number = self._registered(version) or self._register(client, model_folder, training, run_id=run_id)
            alias = "champion" if promoted else "challenger"
            if _may_move(client, alias, training.trained_through):
                client.set_registered_model_alias(MODEL_NAME, alias, number)
        return RegisteredModel(version=version, number=number, run_id=run_id)

    def fetch(self, version: str) -> Path:
        """Folder of a registered model; where it lies on this machine, it is not copied.

        Raises:
            PermanentFailure: the version was never registered.
            TransientFailure: MLflow cannot be reached.
        """
        with self._errors():
            found = _aliased(self._client(), f"trained-{version}")
            if found is None:
                raise PermanentFailure(
                    f"Model version {version} is not registered in {self.place}: "
                    "materialise forecast/demand_model for its week, or mend MLFLOW_TRACKING_URI."
                )
            folder = self._local_folder(found) or self._downloaded(found)
        if not folder.exists():
            raise PermanentFailure(
                f"The files of model version {version} are gone from {folder}: "
                "materialise forecast/demand_model for its week again."
            )
        return folder

    def _address(self, found: "ModelVersion") -> str:
        stored = self._client().get_model_version_download_uri(MODEL_NAME, found.version)
        return f"{stored}/artifacts/{found.tags['folder']}"

    def _local_folder(self, found: "ModelVersion") -> Path | None:
        parts = urlsplit(self._address(found))
        return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None

    def _downloaded(self, found: "ModelVersion") -> Path:
        """Complete or absent: a download that broke off leaves no folder of that name."""
        kept = self._folder / "fetched" / found.tags["model_version"]
        if kept.exists():
            return kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=kept.parent) as folder:
            fresh = self._mlflow().artifacts.download_artifacts(artifact_uri=self._address(found), dst_path=folder)
            Path(fresh).rename(kept)
        return kept

    def _registered(self, version: str) -> str | None:
        """MLflow's number of a version whose files are still there."""
        found = _aliased(self._client(), f"trained-{version}")
        if found is None:
            return None
        folder = self._local_folder(found)
        return None if folder is not None and not folder.exists() else str(found.version)

    def _register(self, client: "MlflowClient", model_folder: Path, training: TrainingRecord, *, run_id: str) -> str:
        info = self._log_model(model_folder)
        _create_registered_model(client)
        tags = {
            "model_version": training.version,
            "trained_through_date": training.trained_through.isoformat(),
            "folder": model_folder.name,  # MLflow keeps the name of a folder it stores
        }
        created = client.create_model_version(
            MODEL_NAME, source=info.model_uri, run_id=run_id, tags=tags, model_id=info.model_id
        )
        client.set_registered_model_alias(MODEL_NAME, f"trained-{training.version}", created.version)
        return str(created.version)

    def _log_model(self, model_folder: Path) -> Any:
        mlflow = self._mlflow()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice on type hints and input examples
            return mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("served_model.py")),
                artifacts={"model": str(model_folder)},
                pip_requirements=[f"{name}=={installed_version(name)}" for name in SERVED_PACKAGES],
                signature=_signature(),
            )

    def _log_contenders(self, client: "MlflowClient", scores: pd.DataFrame, *, parent: str) -> None:
        for name, rows in scores.groupby("model_name", sort=True):
            with self._ended(self._new_run(client, str(name), parent=parent)) as run_id:
                found = {
                    f"{row['segment']}.{score}": float(row[score])
                    for row in rows.to_dict("records")
                    for score in _SCORES
                }
                chosen = ", ".join(rows.loc[rows["is_chosen"], "segment"])
                _log(client, run_id, metrics=found, params={"chosen_for": chosen or "no segment"})

    def _new_run(self, client: "MlflowClient", name: str, *, parent: str | None = None) -> str:
        tags = {"mlflow.parentRunId": parent} if parent else {}
        return client.create_run(self._experiment_id, run_name=name, tags=tags).info.run_id

    @contextmanager
    def _ended(self, run_id: str) -> Iterator[str]:
        """The run ends with the block, however that ends; the block's own error is the one that is seen."""
        try:
            yield run_id
        except BaseException as error:
            with suppress(RetailError):
                self._end(run_id, status="FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        self._end(run_id, status="FINISHED")

    def _end(self, run_id: str, *, status: str) -> None:
        with self._errors():
            mlflow = self._mlflow()
            active = mlflow.active_run()
            if active is not None and active.info.run_id == run_id:
                mlflow.end_run(status)
            else:
                mlflow.MlflowClient().set_terminated(run_id, status=status)

    @contextmanager
    def _active_run(self, name: str) -> Iterator[str]:
        mlflow = self._mlflow()
        active = mlflow.active_run()
        if active is not None:
            yield active.info.run_id
            return
        with self._ended(self._new_run(self._client(), name)) as run_id:
            mlflow.start_run(run_id=run_id)
            yield run_id

    @contextmanager
    def _dagster_mlflow(self, context: dg.AssetExecutionContext, run_id: str) -> Iterator[None]:
        """dagster-mlflow's resource makes the run the active one and tags it with the Dagster run.

        It is built here and not in the definitions: its configuration, with the address, would be shown in the UI.
        """
        config = {"experiment_name": EXPERIMENT, "mlflow_run_id": run_id, "env": {}, "extra_tags": _tags(context)}
        with ExitStack() as stack:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", dg.BetaWarning)
                warnings.simplefilter("ignore", DeprecationWarning)  # dagster-mlflow reads context.dagster_run
                from dagster_mlflow import mlflow_tracking

                resources = dg.build_resources(
                    {"mlflow": mlflow_tracking},
                    instance=context.instance,
                    resource_config={"mlflow": {"config": config}},
                    dagster_run=context.run,
                    log_manager=context.log,
                )
                stack.enter_context(resources)
            yield

    def _end_abandoned(self, client: "MlflowClient", instance: dg.DagsterInstance) -> None:
        """End runs of Dagster runs that are over: a process that was killed could not do it itself."""
        for run in client.search_runs([self._experiment_id], "attributes.status = 'RUNNING'"):
            found = instance.get_run_by_id(run.data.tags.get("dagster_run_id", ""))
            if found is not None and found.is_finished:
                client.set_terminated(run.info.run_id, status="KILLED")

    @property
    def _sqlite_file(self) -> str | None:
        return self._uri.removeprefix("sqlite:///") if self._uri.startswith("sqlite:///") else None

    def _client(self) -> "MlflowClient":
        return self._mlflow().MlflowClient()

    def _mlflow(self) -> Any:
        mlflow = quiet_mlflow()
        mlflow.set_tracking_uri(self._uri)
        mlflow.set_registry_uri(self._uri)
        if not self._experiment_id:
            with self._first_start_lock(), warnings.catch_warnings():
                warnings.simplefilter("ignore", SADeprecationWarning)  # of SQLAlchemy 2.1, to MLflow 3.17
                self._experiment_id = self._experiment(mlflow.MlflowClient())
        return mlflow

    def _experiment(self, client: "MlflowClient") -> str:
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return found.experiment_id
        is_database = _kind(self._uri) in _DATABASES  # a server decides for itself
        location = (self._folder / "artifacts").absolute().as_uri() if is_database else None
        return client.create_experiment(EXPERIMENT, artifact_location=location)

    @contextmanager
    def _first_start_lock(self) -> Iterator[None]:
        """One process at a time creates the tables: MLflow itself fails when two find an empty database."""
        if self._sqlite_file is None:
            yield
            return
        file = Path(f"{self._sqlite_file}.lock")
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=_FIRST_START_SECONDS, isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        mlflow = quiet_mlflow()
        try:
            yield
        except mlflow.MlflowException as error:
            reason = self._without_secrets(str(error).splitlines()[0])
            if _UNREACHABLE.search(str(error)):
                raise TransientFailure(f"{self.place} cannot be reached: {reason[:200]}") from None
            raise PermanentFailure(f"{self.place} refused: {reason[:300]}") from None

    def _without_secrets(self, text: str) -> str:
        return without_secrets(text, self._uri)


def _refuse_unreadable(uri: str) -> None:
    """Raises PermanentFailure for an address whose parts would be taken for others; nothing of it is repeated."""
    if _kind(uri) in _SERVERS:
        web_address(uri, variable=_VARIABLE)
    elif _kind(uri) in _DATABASES:
        database_url(uri, variable=_VARIABLE)
    elif shown(uri) != uri:
        raise unreadable(uri, _VARIABLE)


def _kind(uri: str) -> str:
    """The scheme without a driver; empty for a folder."""
    return uri.partition("://")[0].split("+")[0].lower() if "://" in uri else ""


def _host(uri: str) -> str | None:
    """Host and port of a server's address or a database's."""
    if _kind(uri) not in (*_SERVERS, *_DATABASES):
        return None
    parts = urlsplit(uri) if _kind(uri) in _SERVERS else database_url(uri, variable=_VARIABLE)
    host = parts.hostname if isinstance(parts, SplitResult) else parts.host
    return f"{host}:{parts.port}" if parts.port else host


@dg.failure_hook(required_resource_keys={"mlflow"})
def fail_training_run(context: dg.HookContext) -> None:
    """For `hooks=` of an asset that uses `training_run`: a step that fails later still has a FAILED MLflow run."""
    context.resources.mlflow.end_run(dagster_run_id=context.run_id, status="FAILED")


def quiet_mlflow() -> Any:
    """The module mlflow, which neither chats in the log nor reports its use to anybody."""
    import mlflow
    import mlflow.telemetry
    from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY, MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR

    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    if not MLFLOW_DISABLE_TELEMETRY.get():
        MLFLOW_DISABLE_TELEMETRY.set(True)
        mlflow.telemetry.set_telemetry_client()
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def _tags(context: dg.AssetExecutionContext) -> dict[str, str]:
    return {"dagster_job": context.run.job_name, "dagster_step": context.op_execution_context.op.name}


def _log(client: "MlflowClient", run_id: str, *, metrics: Mapping[str, float], params: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    client.log_batch(
        run_id,
        metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items()],
        params=[Param(key, str(value)) for key, value in params.items()],
    )


def _aliased(client: "MlflowClient", alias: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(MODEL_NAME, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # no such model, no such alias
            return None
        raise


def _may_move(client: "MlflowClient", alias: str, trained_through: date) -> bool:
    held = _aliased(client, alias)
    return held is None or date.fromisoformat(held.tags["trained_through_date"]) <= trained_through


def _create_registered_model(client: "MlflowClient") -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            MODEL_NAME, description="Demand of every store and product; one model serves all."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    columns: list[Any] = [ColSpec(kind, name, required=name not in _OPTIONAL) for name, kind in REQUEST_COLUMNS.items()]
    return ModelSignature(inputs=Schema(columns))
