"""The command in the background of a script, where the shell lets it ignore Ctrl-C: SIGTERM ends it all the same."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

_COMMAND = [str(Path(sys.executable).with_name("retail-assets"))]
_PATIENCE_SECONDS = 300
_IN_A_RUN = """
import os, signal
from dagster._utils.interrupts import capture_interrupts
from retail_assets.command_line.cli import end_when_terminated
end_when_terminated()
with capture_interrupts():
    pass  # Dagster gives SIGTERM the handler that SIGINT had before
os.kill(os.getpid(), signal.SIGINT)
print("Ctrl-C is ignored", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
print("SIGTERM is ignored", flush=True)
"""


def _in_background(command: list[str], *, output: int | IO[str]) -> "subprocess.Popen[str]":
    """As `command &` in a script: a shell without job control lets it ignore SIGINT."""
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    return subprocess.Popen(ignoring, stdout=output, stderr=subprocess.STDOUT, text=True)


def test_between_two_steps_sigterm_interrupts_a_run() -> None:
    process = _in_background([sys.executable, "-c", _IN_A_RUN], output=subprocess.PIPE)
    printed, _ = process.communicate(timeout=_PATIENCE_SECONDS)
    assert "Ctrl-C is ignored" in printed
    assert "SIGTERM is ignored" not in printed
    assert "KeyboardInterrupt" in printed


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _kill(processes: set[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def ui(tmp_path: Path):
    """The UI's processes once its webserver answers; what a failed test leaves is killed."""
    port, printed = _free_port(), tmp_path / "printed.txt"
    with printed.open("w", encoding="utf-8") as output:
        process = _in_background([*_COMMAND, "ui", "--port", str(port)], output=output)
    parent, family = psutil.Process(process.pid), []
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not _listens(port):
            assert process.poll() is None and time.monotonic() < until, printed.read_text(encoding="utf-8")
            time.sleep(0.2)
        family = [parent, *parent.children(recursive=True)]
        yield process, family
    finally:
        _kill({*family, parent, *(parent.children(recursive=True) if parent.is_running() else [])})
        process.wait()


def test_sigterm_ends_the_ui_with_its_webserver_and_daemon(ui) -> None:
    process, family = ui
    assert len(family) >= 3
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=_PATIENCE_SECONDS)
    assert alive == []
