"""A PostgreSQL server of its own for a test module: loopback, free port, temporary folder, gone afterwards.

Belongs to tests that need the real database. A machine without PostgreSQL skips them with the install command.
"""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

INSTALL = "apt-get install postgresql"
USER = "retail"
PASSWORD = "p@ss/w:rd"
_START_SECONDS = 60


@contextlib.contextmanager
def running_postgresql() -> Iterator[str]:
    """Start a server, yield the SQLAlchemy URL (psycopg) of its empty database, stop the server.

    The password needs quoting in a URL on purpose: whoever builds URLs by hand is found out.
    """
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="retail-postgresql-"))
    try:
        _create_cluster(binaries, folder)
        port = _free_port()
        server = _start(binaries, folder, port=port)
        try:
            _wait_until_ready(server, folder, port=port)
            yield f"postgresql+psycopg://{USER}:p%40ss%2Fw%3Ard@127.0.0.1:{port}/postgres"
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = shutil.which("postgres")
    if found:
        return Path(found).resolve().parent
    versions = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: Path(path).parts[4].zfill(4))
    if not versions:
        pytest.skip(f"PostgreSQL is not installed; install it with: {INSTALL}")
    return Path(versions[-1]).parent


def _account() -> str | None:
    """PostgreSQL refuses to run as root, so root hands it to an ordinary account."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _create_cluster(binaries: Path, folder: Path) -> None:
    password_file = folder / "password"
    password_file.write_text(PASSWORD, encoding="utf-8")
    account = _account()
    if account:
        owner = pwd.getpwnam(account)
        for path in (folder, password_file):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    command = [binaries / "initdb", "--pgdata", folder / "data", "--username", USER, "--pwfile", password_file]
    options = ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
    subprocess.run([*command, *options], check=True, capture_output=True, cwd=folder, user=account)


def _start(binaries: Path, folder: Path, *, port: int) -> subprocess.Popen[bytes]:
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "fsync": "off",
        "max_connections": 40,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", folder / "data", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            user=_account(),
        )


def _wait_until_ready(server: subprocess.Popen[bytes], folder: Path, *, port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres").close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'server.log').read_text(encoding='utf-8')}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # "fast" shutdown: open sessions are ended
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
