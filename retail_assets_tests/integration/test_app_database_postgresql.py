"""The application database on a real PostgreSQL server: decisions are kept once and read back by the pipeline."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier

import psycopg
import pytest
import sqlalchemy as sa

from dashboards import decisions
from dashboards.decisions import Override, Proposal
from retail_assets.failures import PermanentFailure
from retail_assets.resources.app_database import AppDatabase
from retail_assets.tables import entities
from retail_assets_tests.integration.postgresql import running_postgresql

PROPOSAL = Proposal("proposal-1", "S01", "P01", "SUP1", 24.0, 6.0, 0.84, date(2026, 3, 2), date(2026, 3, 4))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_postgresql() as address:
        yield address


def test_before_anything_was_decided_there_are_no_rows(url: str):
    assert AppDatabase(url).read(entities.ORDER_DECISIONS).num_rows == 0


def test_one_of_many_planners_wins_and_the_pipeline_reads_the_decision(url: str):
    database, barrier = AppDatabase(url), Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: AppDatabase(url).create(), range(4)))

    def decide(name: str) -> bool:
        barrier.wait()
        try:
            decisions.approve(database, PROPOSAL, order_units=24.0, reason="", who=name, today=PROPOSAL.order_date)
        except PermanentFailure as refusal:
            return "was already approved by" not in str(refusal)
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(decide, ["Ana", "Ben", "Çağla", "Дмитрий"]))
    assert sum(won) == 1
    (row,) = database.read(entities.ORDER_DECISIONS).to_pylist()
    assert row["decided_by"] == ["Ana", "Ben", "Çağla", "Дмитрий"][won.index(True)]
    export_id = decisions.export_approved(database, who="Ana")
    assert b"proposal-1" in decisions.export_csv(database, export_id)


def test_moments_keep_their_zone_in_the_database(url: str):
    database = AppDatabase(url)
    database.create()
    before = datetime.now(UTC)
    override = Override("S01", None, date(2026, 3, 2), date(2026, 3, 3), 10.0, "Fair")
    override_id = decisions.save_override(database, override, who="Ana")
    address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        query = "SELECT decided_at FROM forecast_overrides WHERE override_id = %s"
        (decided_at,) = connection.execute(query, (override_id,)).fetchone() or (None,)
    assert decided_at is not None
    assert before <= decided_at <= datetime.now(UTC)
