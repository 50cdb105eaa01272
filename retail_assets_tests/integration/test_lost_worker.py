"""A code location that dies in the middle of a night, with the instance of deploy/compose: what the daemon makes of it.

Real processes on a real PostgreSQL: the daemon, and the code location as a gRPC server, killed without warning.
"""

import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from sqlalchemy.engine import make_url

from retail_assets.graph import jobs
from retail_assets.runs.run_launcher import BEATS, last_beat
from retail_assets_tests.integration.postgresql import running_postgresql

DEPLOY = Path(__file__).parents[2] / "deploy"
LOCATION = Path(__file__).with_name("night_location.py")
BINARIES = Path(sys.executable).parent
PATIENCE_SECONDS = 600
pytestmark = pytest.mark.timeout(1800)
QUICK = {"silent_seconds": 9, "poll_interval_seconds": 1, "free_slots_after_run_end_seconds": 1}
"""In the place of minutes: what test_deploy.py reads in the shipped files."""


@pytest.fixture(scope="module")
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a receiver, and what it got."""
    got: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/alerts", got
        server.shutdown()
        thread.join()


class Deployment:
    """A home with the instance of deploy/compose, a daemon, and a code location that can be killed and started."""

    def __init__(self, folder: Path, webhook: str, port: int) -> None:
        self.folder, self._port = folder, port
        self._environment = os.environ | {
            "DAGSTER_HOME": str(folder),
            "NIGHT_FOLDER": str(folder),
            "NIGHT_WEBHOOK": webhook,
            "PYTHONPATH": str(LOCATION.parents[2]),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._orphans: list[psutil.Process] = []

    def start_code(self) -> None:
        options = ["-f", str(LOCATION), "--host", "127.0.0.1", "--port", str(self._port)]
        self._start("code", "dagster", "api", "grpc", *options, "--location-name", "retail_assets")

    def start_daemon(self) -> None:
        server = {"host": "127.0.0.1", "port": self._port, "location_name": "retail_assets"}
        (self.folder / "workspace.yaml").write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        self._start("daemon", "dagster-daemon", "run", "-w", str(self.folder / "workspace.yaml"))

    def _start(self, name: str, command: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(BINARIES / command), *arguments], env=self._environment, cwd=self.folder, stdout=log, stderr=log
            )

    def kill_code(self, *, worker: bool) -> None:
        """The code location without warning, and with it, or not, the processes it started."""
        server = self._processes.pop("code")
        self._orphans += psutil.Process(server.pid).children(recursive=True)
        server.kill()
        server.wait()
        if worker:
            self._kill_orphans()

    def stop(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                self._orphans += psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
        self._kill_orphans()

    def _kill_orphans(self) -> None:
        for process in self._orphans:
            with contextlib.suppress(psutil.NoSuchProcess):  # psutil knows a process by its start too
                process.kill()

    def wait_for(self, what: str, found: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (result := found()):
            assert time.monotonic() < deadline, f"{what} never happened:\n{self._logs()}"
            time.sleep(0.2)
        return result

    def _logs(self) -> str:
        return "\n".join(file.read_text()[-4000:] for file in self.folder.glob("*.log"))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, webhook: tuple[str, list]) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    with running_postgresql() as url, pytest.MonkeyPatch.context() as patch:
        address = make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
        patch.setenv("DAGSTER_POSTGRES_URL", address)
        (folder / "dagster.yaml").write_text(_quick((DEPLOY / "compose/dagster.yaml").read_text(), folder))
        made = Deployment(folder, webhook[0], _free_port())
        try:
            made.start_code()
            made.start_daemon()
            yield made
        finally:
            made.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _quick(shipped: str, folder: Path) -> str:
    for name, value in QUICK.items():
        shipped = re.sub(rf"\b{name}: \d+", f"{name}: {value}", shipped)
    return shipped.replace("/data/", f"{folder}/")


SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


class Night:
    """One night of the deployment, whose plan hangs until it is let go."""

    def __init__(self, deployment: Deployment, day: str) -> None:
        self.deployment, self.day = deployment, day
        self._hang, self._began = deployment.folder / "hang-publish", deployment.folder / "began-publish"

    def begin(self) -> None:
        self._began.unlink(missing_ok=True)
        self._hang.touch()
        self.ask()
        self.deployment.wait_for("the plan's step", self._began.exists)

    def ask(self) -> None:
        (self.deployment.folder / f"asked-{self.day}").touch()

    def let_go(self) -> None:
        self._hang.unlink()

    def plans(self, instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
        """Runs of `publish` for the day, the oldest first."""
        of_day = dg.RunsFilter(job_name=jobs.PUBLISH, tags={"dagster/partition": self.day})
        return instance.get_runs(filters=of_day)[::-1]

    def wait_for(self, instance: dg.DagsterInstance, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        self.deployment.wait_for(
            f"{self.day}: {statuses}", lambda: [run.status for run in self.plans(instance)] == [*statuses]
        )
        return self.plans(instance)


def test_a_code_location_killed_with_its_worker_costs_neither_the_plan_nor_the_next_night(
    deployment: Deployment, webhook: tuple[str, list]
) -> None:
    night, alerts = Night(deployment, "2026-05-06"), webhook[1]
    with dg.DagsterInstance.from_config(str(deployment.folder)) as instance:
        night.begin()
        deployment.kill_code(worker=True)
        night.let_go()
        deployment.start_code()
        lost, again = night.wait_for(instance, FAILURE, SUCCESS)
        assert again.parent_run_id == lost.run_id
        assert "2026-05-06" in instance.get_materialized_partitions(dg.AssetKey("plan"))
        deployment.wait_for("the alert", lambda: alerts)
        following = Night(deployment, "2026-05-07")
        following.ask()
        following.wait_for(instance, SUCCESS)
    assert [alert["summary"] for alert in alerts] == ["publish failed, and is tried again"]
    told = json.dumps(alerts[0])
    assert lost.run_id in told and "2026-05-06" in told
    assert "gave no sign of life" in told and "another alert follows if it gives up" in told


def test_a_worker_that_outlives_its_code_location_finishes_the_night_alone(deployment: Deployment) -> None:
    """Else two processes would write the same tables."""
    night = Night(deployment, "2026-05-08")
    with dg.DagsterInstance.from_config(str(deployment.folder)) as instance:
        night.begin()
        deployment.kill_code(worker=False)
        deployment.start_code()
        [run] = night.plans(instance)
        signs = {None}
        while len(signs) < 4 * BEATS:  # of four times the silence that would have cost the run
            deployment.wait_for("a sign of life", lambda: last_beat(instance, run.run_id) not in signs)
            signs.add(last_beat(instance, run.run_id))
        night.let_go()
        night.wait_for(instance, SUCCESS)
