"""What every page of one running application shares: settings, reader, application database, cached answers.

Answers are cached by the versions of the tables they read, so a page is fast and never shows yesterday's table.
"""

import functools
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import streamlit as st

from dashboards import queries
from dashboards.queries import LakeReader
from retail_assets.failures import PermanentFailure, RetailError
from retail_assets.lake.lake import open_lake
from retail_assets.resources.app_database import AppDatabase
from retail_assets.settings import Settings, load_settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables.contract import Table

_VERSION_SECONDS = 10
_CACHED_ANSWERS = 500
_DONE = "notices_done"
_REFUSED = "notices_refused"
Answer = TypeVar("Answer")


class NothingThere(PermanentFailure):
    """A table is missing or empty; the message says which asset fills it."""


@st.cache_resource(show_spinner=False)
def settings() -> Settings:
    return load_settings()


@st.cache_resource(show_spinner=False, ttl=timedelta(days=1))
def reader() -> LakeReader:
    """A new one every day: files it fetched of a remote lake go with it, and a night replaces most of them."""
    return LakeReader(open_lake(settings()), settings().memory_limit, temp_folder=settings().folder / "tmp")


@st.cache_resource(show_spinner=False)
def currency() -> str:
    """Currency code of every money column."""
    return load_mapping(settings().source_mapping).currency


@st.cache_resource(show_spinner=False)
def zone() -> ZoneInfo:
    """Time zone of business dates."""
    return settings().zone(load_mapping(settings().source_mapping).timezone)


def today() -> date:
    """The day it is where the stores are; the newest closed one is the day before."""
    return datetime.now(zone()).date()


@st.cache_resource(show_spinner=False)
def database() -> AppDatabase:
    """The application database, its tables made."""
    made = AppDatabase(settings().app_database_secret)
    made.create()
    return made


def answer(question: Callable[..., Answer], **filters: Any) -> Answer:
    """The answer of a question of queries.py, from the cache while its tables stay as they are."""
    tables: tuple[Table, ...] = question.__dict__["tables"]
    versions = tuple(_version(table.path, _table=table) for table in tables)
    return _answer(question.__name__, versions, _question=question, **filters)


def has(table: Table) -> bool:
    """Whether a table has been made."""
    return _version(table.path, _table=table) is not None


def need(*tables: Table) -> None:
    """Refuse to go on without these tables.

    Raises:
        NothingThere: naming the first missing one and the asset that fills it.
    """
    for table in tables:
        if not has(table):
            raise NothingThere(
                f"{table.path} has not been made yet: materialise the asset {table.path} in Dagster"
                " (or run `make run`), then reload this page."
            )


def show_short_history() -> None:
    """What forecasts while the history is short, and from when on more will."""
    note = answer(queries.short_history)
    if note:
        st.info(f"{note[0].upper()}{note[1:]}.", icon=":material/info:")


def tell(message: str) -> None:
    """Show a message on the next run, after the page has been drawn anew."""
    st.session_state.setdefault(_DONE, []).append(message)


def warn(message: str) -> None:
    """As `tell`, for what was refused."""
    st.session_state.setdefault(_REFUSED, []).append(message)


def show_notices() -> None:
    for message in st.session_state.pop(_DONE, []):
        st.success(message, icon=":material/check_circle:")
    for message in st.session_state.pop(_REFUSED, []):
        st.error(message, icon=":material/block:")


def tells_failures(page: Callable[[], None]) -> Callable[[], None]:
    """Show an expected failure as its one sentence instead of a traceback."""

    @functools.wraps(page)
    def told() -> None:
        try:
            page()
        except NothingThere as note:
            st.info(str(note), icon=":material/hourglass_empty:")
        except RetailError as failure:
            st.error(str(failure), icon=":material/error:")

    return told


@st.cache_data(ttl=_VERSION_SECONDS, show_spinner=False)
def _version(path: str, *, _table: Table) -> int | None:
    return reader().version(_table)


@st.cache_data(max_entries=_CACHED_ANSWERS, show_spinner=False)
def _answer(name: str, versions: tuple[int | None, ...], *, _question: Callable[..., Any], **filters: Any) -> Any:
    return _question(reader(), **filters)
