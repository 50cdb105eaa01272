"""What holds for every test: the environment of the developer does not leak in, and CI allows no skip."""

import os
from collections.abc import Iterator

import pytest

from retail_assets.failures import PermanentFailure
from retail_assets.resources.spark import SparkSessions
from retail_assets.settings import prepare_for_spark

ON_CI = os.environ.get("CI", "").lower() == "true"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No RETAIL_ variable and no .env of the developer; everything embedded lies in a temporary folder."""
    for name in [name for name in os.environ if name.startswith("RETAIL_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path_factory.mktemp("home")))
    yield


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSessions]:
    """One local Spark for all tests; the jars come from Maven the first time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYSPARK_PYTHON", raising=False)
        prepare_for_spark()
        sessions = SparkSessions("local[2]", {}, memory="2GB")
        try:
            session = sessions()
        except PermanentFailure as failure:
            pytest.skip(str(failure))
        yield sessions
        session.stop()


GROUPS = {"azurite": "azurite", **dict.fromkeys(("spark", "finished", "source_only", "walmart"), "runs")}
"""Tests on what is dear to make, or busy, stay in one of the processes when several run; by fixture."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says to xdist what stays together: the groups above, first because they take longest, and else each file."""
    order = {"runs": 0, "azurite": 1}
    groups = {item: _group(item) for item in items}
    items.sort(key=lambda item: order.get(groups[item], len(order)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))


def _group(item: pytest.Item) -> str:
    found = {group for fixture, group in GROUPS.items() if fixture in getattr(item, "fixturenames", ())}
    return max(found) if found else item.nodeid.split("::")[0]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """On CI everything a test needs is installed, so that a skip is a failure."""
    outcome = yield
    report = outcome.get_result()  # pyright: ignore[reportAttributeAccessIssue]
    if ON_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped on CI: {report.longrepr}"
