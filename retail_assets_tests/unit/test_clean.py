"""`make clean` deletes planners' decisions, so it asks before it does."""

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the Makefile, decisions and an environment."""
    shutil.copy(MAKEFILE, tmp_path)
    for name in (".retail/demo/application.db", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("kept", encoding="utf-8")
    return tmp_path


def decisions_and_environment(folder: Path) -> list[bool]:
    return [(folder / name).exists() for name in (".retail/demo/application.db", ".venv/bin/python")]


def clean(folder: Path, *, stdin: int, confirm: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("CONFIRM", "MAKEFLAGS")}
    if confirm is not None:
        environment["CONFIRM"] = confirm
    return subprocess.run(
        ["make", "clean"], cwd=folder, stdin=stdin, env=environment, capture_output=True, text=True, check=False
    )


def clean_on_a_terminal(folder: Path, answer: bytes) -> subprocess.CompletedProcess[str]:
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answer)
        return clean(folder, stdin=terminal)
    finally:
        os.close(keyboard)
        os.close(terminal)


@pytest.mark.parametrize("confirm", [None, "", "y", "no"])
def test_without_a_terminal_it_refuses(copy: Path, confirm: str | None):
    done = clean(copy, stdin=subprocess.DEVNULL, confirm=confirm)
    assert done.returncode == 2
    assert decisions_and_environment(copy) == [True, True]
    assert done.stderr.splitlines()[0] == (
        "make clean deletes .retail with the planners' decisions and the environment: set CONFIRM=yes to agree."
    )


def test_without_a_terminal_it_does_what_confirm_says(copy: Path):
    assert clean(copy, stdin=subprocess.DEVNULL, confirm="yes").returncode == 0
    assert decisions_and_environment(copy) == [False, False]


@pytest.mark.parametrize("answer", [b"\n", b"y\n", b"no\n", b"YES\n", b"\x04"])
def test_on_a_terminal_anything_but_yes_deletes_nothing(copy: Path, answer: bytes):
    done = clean_on_a_terminal(copy, answer)
    assert "Type yes to go on" in done.stdout
    assert "Nothing was deleted." in done.stderr
    assert (done.returncode, decisions_and_environment(copy)) == (2, [True, True])


def test_on_a_terminal_yes_deletes(copy: Path):
    assert clean_on_a_terminal(copy, b"yes\n").returncode == 0
    assert decisions_and_environment(copy) == [False, False]
