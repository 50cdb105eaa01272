"""Servers that several modules of integration tests share; a test keeps to a container of its own."""

import sys
from collections.abc import Callable, Iterator

import pytest

from retail_assets.command_line import cli
from retail_assets_tests.integration.azurite import Azurite, running_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as server:
        yield server


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Types a command in this process; gives its exit code, what it printed, and its error, which is one line."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["retail-assets", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capfd.readouterr()
        assert captured.err.count("\n") <= 1, captured.err
        return int(stopped.value.code or 0), captured.out, captured.err.strip()

    return call
