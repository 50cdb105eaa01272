"""A code location that dies in the middle of a night, with the instance of deploy/compose: what the daemon makes of it.

Real processes on a real PostgreSQL: the daemon, and the code location as a gRPC server, killed without warning.
"""

import contextlib
import http.server
import json
import os
import re
import signal
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

from retail_assets import jobs
from retail_assets_tests.integration.postgresql import running_postgresql

DEPLOY = Path(__file__).parents[2] / "deploy"
LOCATION = Path(__file__).with_name("night_location.py")
BINARIES = Path(sys.executable).parent
PATIENCE_SECONDS = 300
QUICK = {"silent_seconds": 9, "poll_interval_seconds": 1, "free_slots_after_run_end_seconds": 1}
"""In the place of minutes: what test_deploy.py reads in the shipped files."""


@pytest.fixture
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
        children = psutil.Process(server.pid).children(recursive=True)
        for process in (server, *(children if worker else ())):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        server.wait()

    def stop(self) -> None:
        for process in self._processes.values():
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.kill()
            process.wait()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()

    def wait_for(self, what: str, found: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (result := found()):
            assert time.monotonic() < deadline, f"{what} never happened:\n{self._logs()}"
            time.sleep(0.2)
        return result

    def _logs(self) -> str:
        return "\n".join(file.read_text()[-4000:] for file in self.folder.glob("*.log"))


@pytest.fixture
def deployment(
    tmp_path: Path, webhook: tuple[str, list], monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> Iterator[Deployment]:
    with running_postgresql() as url:
        address = make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", address)
        (tmp_path / "dagster.yaml").write_text(_quick((DEPLOY / "compose/dagster.yaml").read_text(), tmp_path))
        made = Deployment(tmp_path, webhook[0], unused_port)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _quick(shipped: str, folder: Path) -> str:
    for name, value in QUICK.items():
        shipped = re.sub(rf"\b{name}: \d+", f"{name}: {value}", shipped)
    return shipped.replace("/data/", f"{folder}/")


def _runs(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    """Oldest first."""
    return instance.get_runs(filters=dg.RunsFilter(job_name=job))[::-1]


def _outcomes(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRunStatus]:
    return [run.status for run in _runs(instance, job)]


SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def test_a_code_location_killed_with_its_worker_costs_neither_the_plan_nor_the_next_night(
    deployment: Deployment, webhook: tuple[str, list]
) -> None:
    hang, alerts = deployment.folder / "hang-publish", webhook[1]
    hang.touch()
    deployment.start_code()
    deployment.start_daemon()
    with dg.DagsterInstance.from_config(str(deployment.folder)) as instance:
        (deployment.folder / "asked-2026-05-06").touch()
        deployment.wait_for("the plan's step", (deployment.folder / "began-publish").exists)
        deployment.kill_code(worker=True)
        hang.unlink()
        deployment.start_code()
        deployment.wait_for("the retry", lambda: _outcomes(instance, jobs.PUBLISH) == [FAILURE, SUCCESS])
        lost, again = _runs(instance, jobs.PUBLISH)
        assert again.tags["dagster/partition"] == "2026-05-06" and again.parent_run_id == lost.run_id
        assert instance.get_materialized_partitions(dg.AssetKey("plan")) == {"2026-05-06"}
        deployment.wait_for("the alert", lambda: alerts)
        (deployment.folder / "asked-2026-05-07").touch()
        deployment.wait_for("the next night", lambda: _outcomes(instance, jobs.PUBLISH)[2:] == [SUCCESS])
    assert [alert["summary"] for alert in alerts] == ["publish failed, and is tried again"]
    told = json.dumps(alerts[0])
    assert lost.run_id in told and "2026-05-06" in told
    assert "gave no sign of life" in told and "another alert follows if it gives up" in told
