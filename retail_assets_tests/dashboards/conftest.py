"""A lake and an application database for each test, reached through the settings like in production."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from dashboards import session
from retail_assets.resources.app_database import AppDatabase
from retail_assets_tests.dashboards.lake_data import TODAY, write_lake


@pytest.fixture(autouse=True)
def _own_main_module() -> Iterator[None]:
    """Streamlit's page tests put their script in the place of the main module, which new processes would then run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def lake_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    write_lake(folder)
    return folder


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An empty lake and a fresh application database behind the settings, no cached answer, and the day of the plan."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RETAIL_LAKE_URI", str(tmp_path / "empty_lake"))
    monkeypatch.setenv("RETAIL_SOURCE_MAPPING", "demo")
    monkeypatch.setattr(session, "today", lambda: TODAY)
    _forget()
    yield monkeypatch
    _forget()


@pytest.fixture
def planning(application: pytest.MonkeyPatch, lake_folder: Path) -> AppDatabase:
    """The same with a filled lake; the application database to look into."""
    application.setenv("RETAIL_LAKE_URI", str(lake_folder))
    return session.database()


def _forget() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
