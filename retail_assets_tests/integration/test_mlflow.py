"""Trainings logged to a real MLflow on sqlite, read back with SQL and with MLflow's own loader."""

import json
import multiprocessing
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from retail_assets.demand.forecasting import forecast
from retail_assets.demand.panel import Panel, build_panel
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.demand.training import TrainedModel, load_model, train
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources.mlflow import MODEL_NAME, ModelRegistry, TrainingRecord, fail_training_run, quiet_mlflow

AS_OF = date(2025, 6, 30)
HORIZON = 7
SCORES = pd.DataFrame(
    {
        "segment": ["smooth", "lumpy", "smooth"],
        "model_name": ["lightgbm", "lightgbm", "seasonal_naive"],
        "scaled_pinball": [0.2, 0.3, 0.4],
        "bias": [0.01, -0.02, 0.03],
        "wape": [0.5, 0.6, 0.7],
        "rmsse": [0.8, 0.9, 1.0],
        "series_count": [2.0, 1.0, 2.0],
        "is_chosen": [True, False, False],
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow") / "new"


def _open(folder: str) -> None:
    ModelRegistry(f"sqlite:///{folder}/mlflow.db", Path(folder))._client()


@pytest.fixture(scope="module")
def first_starts(folder: Path) -> list[int | None]:
    """Exit codes of two processes that start on the empty database at once; its tables are made only here."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(str(folder),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


@pytest.fixture(scope="module")
def registry(folder: Path, first_starts: list[int | None]) -> ModelRegistry:
    return ModelRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "model.json").write_text('{"version": "x"}')
    return made


def query(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return connection.execute(statement).fetchall()


def log(registry: ModelRegistry, model_folder: Path, version: str, **changes: Any) -> Any:
    facts: dict[str, Any] = {
        "trained_through": AS_OF,
        "scores": SCORES,
        "metrics": {"scaled_pinball": 0.25},
        "params": {"trees": 5},
    }
    promoted = changes.pop("promoted", True)
    return registry.log_training(model_folder, TrainingRecord(version, **{**facts, **changes}), promoted=promoted)


def aliases(folder: Path) -> dict[str, int]:
    return dict(query(folder, "SELECT alias, version FROM registered_model_aliases"))


def test_a_training_is_one_run_with_a_nested_run_a_contender(
    registry: ModelRegistry, folder: Path, model_folder: Path
) -> None:
    logged = log(registry, model_folder, "first")
    assert query(folder, f"SELECT key, value FROM metrics WHERE run_uuid = '{logged.run_id}'") == [
        ("scaled_pinball", 0.25)
    ]
    children = query(
        folder,
        "SELECT r.name, r.status, p.value FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
        "JOIN params p ON p.run_uuid = r.run_uuid AND p.key = 'chosen_for' "
        f"WHERE t.key = 'mlflow.parentRunId' AND t.value = '{logged.run_id}' ORDER BY r.name",
    )
    assert children == [("lightgbm", "FINISHED", "smooth"), ("seasonal_naive", "FINISHED", "no segment")]
    scores = query(
        folder, "SELECT m.key, m.value FROM metrics m JOIN runs r USING (run_uuid) WHERE r.name = 'lightgbm'"
    )
    assert ("lumpy.wape", 0.6) in scores and ("smooth.bias", 0.01) in scores and len(scores) == 10


def test_a_registered_version_is_fetched_where_it_lies(
    registry: ModelRegistry, folder: Path, model_folder: Path
) -> None:
    log(registry, model_folder, "fetched")
    found = registry.fetch("fetched")
    assert (found / "model.json").read_text() == '{"version": "x"}'
    assert found.is_relative_to(folder) and registry.fetch("fetched") == found
    assert not [file for file in found.parents[1].rglob("*") if file.suffix in (".pkl", ".pickle")]


def test_logging_a_version_again_stores_it_once(registry: ModelRegistry, folder: Path, model_folder: Path) -> None:
    first, again = log(registry, model_folder, "twice"), log(registry, model_folder, "twice")
    assert again.number == first.number and again.run_id != first.run_id
    tagged = "SELECT count(*) FROM model_version_tags WHERE key = 'model_version' AND value = 'twice'"
    assert query(folder, tagged) == [(1,)]


def test_a_version_whose_files_are_gone_is_named_and_can_be_logged_again(
    registry: ModelRegistry, model_folder: Path
) -> None:
    log(registry, model_folder, "lost")
    (registry.fetch("lost") / "model.json").unlink()
    registry.fetch("lost").rmdir()
    with pytest.raises(PermanentFailure, match="^The files of model version lost are gone from .* its week again.$"):
        registry.fetch("lost")
    log(registry, model_folder, "lost")
    assert (registry.fetch("lost") / "model.json").exists()


def test_aliases_mirror_the_newest_champion_and_challenger(
    registry: ModelRegistry, folder: Path, model_folder: Path
) -> None:
    late = AS_OF + timedelta(days=28)
    newest = log(registry, model_folder, "newest", trained_through=late)
    backfilled = log(registry, model_folder, "backfilled", trained_through=late - timedelta(days=7))
    challenger = log(registry, model_folder, "challenger", trained_through=late, promoted=False)
    found = aliases(folder)
    assert found["champion"] == int(newest.number)  # a backfill of an older week must not take the title
    assert found["challenger"] == int(challenger.number)
    assert found["trained-backfilled"] == int(backfilled.number)


def test_an_unknown_version_is_one_sentence(registry: ModelRegistry, folder: Path) -> None:
    with pytest.raises(PermanentFailure) as caught:
        registry.fetch("20990101-nothing")
    assert str(caught.value) == (
        f"Model version 20990101-nothing is not registered in MLflow at {folder / 'mlflow.db'}: "
        "materialise forecast/demand_model for its week, or mend MLFLOW_TRACKING_URI."
    )


def test_a_training_that_cannot_be_logged_leaves_no_open_run(
    registry: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(PermanentFailure, match=r"^MLflow at .* refused: "):
        log(registry, tmp_path / "nowhere", "broken")
    assert query(folder, "SELECT status FROM runs WHERE name = 'training broken'") == [("FAILED",)]
    assert query(folder, "SELECT count(*) FROM runs WHERE status = 'RUNNING'") == [(0,)]
    assert quiet_mlflow().active_run() is None


def materialise(
    registry: ModelRegistry, body: Callable[[], None], *, instance: dg.DagsterInstance, **resources: Any
) -> Any:
    @dg.asset(hooks={fail_training_run})
    def demand_model(context: dg.AssetExecutionContext, mlflow: dg.ResourceParam[ModelRegistry]) -> int:
        with mlflow.training_run(context, name="week 2025-07-07"):
            body()
        return 1

    return dg.materialize(
        [demand_model], resources={"mlflow": registry, **resources}, instance=instance, raise_on_error=False
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run_of(folder: Path, dagster_run_id: str) -> tuple[Any, ...]:
    (found,) = query(
        folder,
        "SELECT r.name, r.status FROM runs r JOIN tags t USING (run_uuid) "
        f"WHERE t.key = 'dagster_run_id' AND t.value = '{dagster_run_id}'",
    )
    return found


def test_an_asset_that_succeeds_has_a_finished_run_with_its_training(
    registry: ModelRegistry, folder: Path, model_folder: Path, instance: dg.DagsterInstance
) -> None:
    result = materialise(registry, lambda: log(registry, model_folder, "from-asset"), instance=instance)
    assert result.success
    assert run_of(folder, result.run_id) == ("week 2025-07-07", "FINISHED")
    assert query(folder, "SELECT count(*) FROM runs WHERE name = 'training from-asset'") == [(0,)]


def test_an_asset_that_fails_has_a_failed_run(
    registry: ModelRegistry, folder: Path, instance: dg.DagsterInstance
) -> None:
    def fail() -> None:
        raise ValueError("no convergence")

    result = materialise(registry, fail, instance=instance)
    assert not result.success
    assert run_of(folder, result.run_id)[1] == "FAILED"
    assert quiet_mlflow().active_run() is None


class RefusingIOManager(dg.IOManager):
    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        raise PermanentFailure("the lake is full")

    def load_input(self, context: dg.InputContext) -> Any:
        raise NotImplementedError


def test_an_asset_whose_output_cannot_be_written_has_a_failed_run(
    registry: ModelRegistry, folder: Path, instance: dg.DagsterInstance
) -> None:
    result = materialise(registry, lambda: None, instance=instance, io_manager=RefusingIOManager())
    assert not result.success
    assert run_of(folder, result.run_id)[1] == "FAILED"


def test_a_stopped_step_has_a_killed_run(registry: ModelRegistry, folder: Path, instance: dg.DagsterInstance) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    stopped = materialise(registry, stop, instance=instance)
    assert run_of(folder, stopped.run_id)[1] == "KILLED"


def test_the_run_of_a_process_that_was_killed_is_ended_by_the_next(
    registry: ModelRegistry, folder: Path, instance: dg.DagsterInstance
) -> None:
    over = materialise(registry, lambda: None, instance=instance)
    client = quiet_mlflow().MlflowClient()
    experiment = client.get_experiment_by_name("retail-demand").experiment_id
    client.create_run(experiment, run_name="abandoned", tags={"dagster_run_id": over.run_id})
    client.create_run(experiment, run_name="somebody else's", tags={"dagster_run_id": "unknown here"})
    materialise(registry, lambda: None, instance=instance)
    assert query(
        folder, "SELECT name, status FROM runs WHERE name IN ('abandoned', 'somebody else''s') ORDER BY 1"
    ) == [
        ("abandoned", "KILLED"),
        ("somebody else's", "RUNNING"),
    ]


def test_two_processes_may_start_on_an_empty_database(first_starts: list[int | None], folder: Path) -> None:
    assert first_starts == [0, 0]
    assert query(folder, "SELECT count(*) FROM experiments WHERE name = 'retail-demand'") == [(1,)]


def test_an_unreachable_server_is_a_transient_failure_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    unreachable = ModelRegistry("http://loader:c4n4ry@127.0.0.1:1", tmp_path)
    with pytest.raises(TransientFailure) as caught:
        unreachable.fetch("any")
    assert str(caught.value).startswith("MLflow at 127.0.0.1:1 cannot be reached: ")
    assert "c4n4ry" not in str(caught.value) + repr(unreachable)


def demand_rows(first: date, days: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    dates = [first + timedelta(days=n) for n in range(days)]
    rows = [(day, store, product) for day in dates for store in ("S1", "S2") for product in ("P1", "P2")]
    frame = pd.DataFrame.from_records(rows, columns=["business_date", "store_id", "product_id"])
    sold = rng.poisson(4, len(frame)).astype(float)
    return frame.assign(
        region="north",
        department="dairy",
        category="milk",
        sold_units=sold,
        unconstrained_units=sold,
        unit_price=2.5,
        discount_rate=0.0,
        is_open=True,
        is_feed_missing=False,
        censoring="none",
    )


def panel_of(rows: pd.DataFrame) -> Panel:
    events = pd.DataFrame({"event_date": [], "event_name": [], "event_type": [], "region": []})
    return build_panel(rows, series=rows, future=rows.head(0), events=events, as_of=AS_OF, horizon=HORIZON)


@pytest.fixture(scope="module")
def served(registry: ModelRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TrainedModel, Any]]:
    model_folder = tmp_path_factory.mktemp("trained") / "model"
    config = TrainingConfig(horizon=HORIZON, protection_horizons=(7,), trees=5, backtest_days=28, threads=1)
    train(panel_of(demand_rows(AS_OF - timedelta(days=119), 120)), config).save(model_folder)
    model = load_model(model_folder)
    log(registry, model_folder, model.version, trained_through=AS_OF + timedelta(days=365))
    yield model, quiet_mlflow().pyfunc.load_model(f"models:/{MODEL_NAME}@trained-{model.version}")


def request_rows() -> pd.DataFrame:
    rows = demand_rows(AS_OF - timedelta(days=89), 90)
    return rows.assign(business_date=rows["business_date"].astype(str))


def test_the_served_model_forecasts_like_the_nightly_run(served: tuple[TrainedModel, Any]) -> None:
    model, loaded = served
    answer = loaded.predict(request_rows())
    rows = request_rows()
    expected = forecast(panel_of(rows), model, horizons=(HORIZON,)).daily
    pd.testing.assert_frame_equal(answer, expected)
    assert len(answer) == 4 * HORIZON and set(answer["model_version"]) == {model.version}


def post(server: Any, body: dict[str, Any]) -> Any:
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_the_served_model_answers_over_rest(served: tuple[TrainedModel, Any]) -> None:
    import uvicorn
    from mlflow.pyfunc.scoring_server import init

    server = uvicorn.Server(uvicorn.Config(init(served[1]), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        answer = post(server, {"dataframe_split": request_rows().to_dict("split", index=False)})
    finally:
        server.should_exit = True
        thread.join()
    first = answer["predictions"][0]
    assert (first["store_id"], first["product_id"], first["horizon_days"]) == ("S1", "P1", 1)
    assert 0 <= first["q500"] <= first["q950"]


def test_a_request_without_history_is_told_what_to_send(served: tuple[TrainedModel, Any]) -> None:
    from mlflow.exceptions import MlflowException

    rows = request_rows().head(4)
    rows["sold_units"] = np.nan
    with pytest.raises(MlflowException, match="No row of the request has sold_units, so there is no history"):
        served[1].predict(rows)
