"""Making the application's tables: another process may be at it, and a refusal is met once."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from retail_assets.database_errors import ConnectionRefused
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.resources import app_database
from retail_assets.resources.app_database import AppDatabase
from retail_assets_tests.own_time import own_time

MADE_MEANWHILE = OperationalError("CREATE", None, sqlite3.OperationalError("table order_decisions already exists"))
LOCKED = OperationalError("CREATE", None, sqlite3.OperationalError("database is locked"))
REFUSED = OperationalError(None, None, Exception('FATAL:  password authentication failed for user "planner"'))
FULL = OperationalError("CREATE", None, sqlite3.OperationalError("database or disk is full"))


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes the tables while these errors are met; gives how often it was tried before it worked."""
    own_time(monkeypatch, app_database, sleep=lambda _: None)

    def call(*errors: DBAPIError) -> int:
        left = list(errors)

        def create(_: AppDatabase) -> None:
            if left:
                raise left.pop(0)

        monkeypatch.setattr(AppDatabase, "_create_all", create)
        try:
            AppDatabase(f"sqlite:///{tmp_path / 'application.db'}").create()
        except (PermanentFailure, TransientFailure) as failure:
            failure.add_note(f"left {len(left)}")
            raise
        return len(errors) + 1

    return call


@pytest.mark.parametrize("error", [MADE_MEANWHILE, LOCKED], ids=["made meanwhile", "locked"])
def test_what_passes_is_tried_again(tried, error):
    assert tried(error) == 2
    assert tried(error, error) == 3


def test_a_lock_that_stays_may_be_gone_later(tried):
    with pytest.raises(TransientFailure, match="database is locked; try again"):
        tried(*[LOCKED] * 3)


@pytest.mark.parametrize("error", [REFUSED, FULL], ids=["refused", "full"])
def test_a_refusal_is_met_once(tried, error):
    """Accounts are locked after a few wrong passwords."""
    with pytest.raises(ConnectionRefused) as raised:
        tried(error, error)
    assert raised.value.__notes__ == ["left 1"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("notes")
    path = tmp_path / "file" / "application.db"
    with pytest.raises(PermanentFailure) as raised:
        AppDatabase(f"sqlite:///{path}").create()
    assert str(raised.value) == (
        f"The folder of the application database {path} cannot be made: File exists; correct RETAIL_APP_DATABASE_URL."
    )
