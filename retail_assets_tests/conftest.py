"""What holds for every test: the environment of the developer does not leak in, and CI allows no skip."""

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from retail_assets.failures import PermanentFailure
from retail_assets.resources.spark import SparkSessions
from retail_assets.settings import let_idle_threads_sleep, prepare_for_spark
from retail_assets_tests.quiet_end import end_workers_at_once

let_idle_threads_sleep()
gc.set_threshold(50_000, 20, 50)  # Ibis makes many small objects that live on; looking through them took 7 % of a test
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")  # a busy machine is no failure
ON_CI = os.environ.get("CI", "").lower() == "true"


def pytest_configure(config: pytest.Config) -> None:
    end_workers_at_once(config)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No RETAIL_ variable and no .env of the developer; everything embedded lies in a temporary folder."""
    for name in [name for name in os.environ if name.startswith("RETAIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path_factory.mktemp("home")))
    yield


SHORT_LIVED = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""Code that runs a few times is not worth Java's second compiler, which took most of the time of the Spark tests."""


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSessions]:
    """One local Spark for all tests; the jars come from Maven the first time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYSPARK_PYTHON", raising=False)
        prepare_for_spark()
        sessions = SparkSessions("local[2]", SHORT_LIVED, memory="2GB")
        try:
            session = sessions()
        except PermanentFailure as failure:
            pytest.skip(str(failure))
        yield sessions
        session.stop()


GROUPS = {
    "pipeline/test_pipeline.py": "whole run",
    "integration/test_lake_": "azurite",
    "integration/test_maintenance_azurite.py": "azurite",
    "integration/test_spark_engine.py": "spark",
    "pipeline/test_engines_agree.py": "spark",
    "pipeline/test_run_on_spark.py": "spark",
}
"""Files on what is dear to start (Spark) or busy (Azurite): each group stays in one process."""


ORDER = [*dict.fromkeys(GROUPS.values())]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The groups come first, then what else runs the graph, because they take longest."""
    items.sort(key=lambda item: _place(_group(item.nodeid)))


def _place(group: str) -> int:
    return ORDER.index(group) if group in ORDER else len(ORDER) + ("retail_assets_tests/pipeline/" not in group)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals out groups, and else files; xdist's own groups have no effect on pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return GroupScheduling(config, log)


def _group(nodeid: str) -> str:
    path = nodeid.split("::")[0]
    return next((group for start, group in GROUPS.items() if f"retail_assets_tests/{start}" in path), path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """On CI everything a test needs is installed, so that a skip is a failure."""
    outcome = yield
    report = outcome.get_result()  # pyright: ignore[reportAttributeAccessIssue]
    if ON_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped on CI: {report.longrepr}"
