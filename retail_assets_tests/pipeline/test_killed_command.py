"""A command killed in a step that holds a pool's slot; the slot of somebody alive, and Ctrl-C while waiting for it."""

import datetime as dt
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from retail_assets.tables import bronze, gold
from retail_assets_tests.pipeline.shop import COMMAND, Shop, command

REPOSITORY = Path(__file__).parents[2]
LAST = dt.date.today() - dt.timedelta(days=2)
FIRST = LAST - dt.timedelta(days=4)
PATIENCE_SECONDS = 600
INTERRUPTED = 130
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def five_days(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("five") / "shop"
    folder.mkdir()
    shop = Shop(folder, first=FIRST)
    shop.live_to(LAST)
    return shop


@pytest.fixture
def shop(five_days: Shop, tmp_path: Path) -> Shop:
    return five_days.copy(tmp_path / "shop")


def _slots(shop: Shop) -> list[tuple[str, str]]:
    """Run and pool of every slot that is taken, as the database of Dagster says."""
    file = shop.home / "dagster" / "history" / "runs" / "index.db"
    if not file.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            return database.execute(
                "SELECT run_id, concurrency_key FROM concurrency_slots WHERE run_id IS NOT NULL"
            ).fetchall()
    except sqlite3.OperationalError:  # its tables are not made yet
        return []


def _holds(pool: str) -> Callable[[Shop], bool]:
    return lambda shop: any(key == pool for _, key in _slots(shop))


@pytest.mark.parametrize("pool", ["source", "warehouse"])
def test_a_command_killed_while_it_holds_a_slot_is_carried_on_by_the_same_command(shop: Shop, pool: str) -> None:
    shop.killed(_holds(pool))
    [(run_id, _)] = _slots(shop)
    done = _again(shop)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "An interrupted run was closed; carrying on." in done.stdout
    assert _slots(shop) == []
    assert shop.rows(bronze.SALES).num_rows and shop.rows(gold.FACT_SALES).num_rows
    with _instance(shop) as instance:
        killed = instance.get_run_by_id(run_id)
        assert killed and killed.status is dg.DagsterRunStatus.CANCELED


def _again(shop: Shop) -> subprocess.CompletedProcess[str]:
    return command("run", environment=shop.environment, timeout=PATIENCE_SECONDS)


def _instance(shop: Shop) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(shop.home / "dagster"))


HOLDER = "0f0e0d0c-0000-4000-8000-000000000000"


def _held_by_somebody_alive(shop: Shop, pool: str) -> None:
    """A run of the daemon that holds the only slot of a pool, as far as the database shows it."""
    with _instance(shop) as instance:
        instance.add_run(dg.DagsterRun(job_name="ingest", run_id=HOLDER, status=dg.DagsterRunStatus.STARTED))
        instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
        assert instance.event_log_storage.claim_concurrency_slot(pool, HOLDER, "bronze_daily").is_claimed


class Waiting:
    """The command, read line by line until it says that it waits."""

    def __init__(self, shop: Shop) -> None:
        self.process = subprocess.Popen(
            [COMMAND, "run"], env=shop.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.sentence = next((line for line in self.process.stdout if " waits: " in line), "")

    def end(self) -> tuple[int, str, str]:
        rest, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, rest, errors


@pytest.fixture
def started(shop: Shop) -> Shop:
    """The shop with a home of Dagster that knows its pools, and no run yet."""
    home = shop.home / "dagster"
    home.mkdir(parents=True)
    shutil.copy(REPOSITORY / "dagster.yaml", home)
    return shop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_slot_of_somebody_alive_is_named_and_the_wait_for_it_can_be_interrupted(started: Shop, number: int) -> None:
    _held_by_somebody_alive(started, "source")
    waiting = Waiting(started)
    said = re.fullmatch(
        rf"\S+ waits: run {HOLDER} \(ingest\) has held the slot of the pool source for \d+ (seconds|minutes), "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d UTC; stop that run in make ui, or press Ctrl-C\.\n",
        waiting.sentence,
    )
    assert said, waiting.sentence
    waiting.process.send_signal(number)
    code, _, errors = waiting.end()
    assert (code, errors) == (INTERRUPTED, "Interrupted; what was finished is kept, the same command carries on.\n")
    assert _slots(started) == [(HOLDER, "source")]
    with _instance(started) as instance:
        [ended, holder] = instance.get_runs()
        assert ended.is_finished and holder.status is dg.DagsterRunStatus.STARTED


def test_the_command_carries_on_when_the_other_run_is_over_although_nobody_freed_its_slot(started: Shop) -> None:
    _held_by_somebody_alive(started, "source")
    waiting = Waiting(started)
    with _instance(started) as instance:
        holder = instance.get_run_by_id(HOLDER)
        assert holder
        instance.report_run_failed(holder)
    code, _, errors = waiting.end()
    assert code == 0, errors[-2000:]
    assert _slots(started) == []
