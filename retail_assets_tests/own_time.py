"""A `time` of a module's own: a test that shortens its waits leaves the waits of all other threads as they are."""

import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest


def own_time(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **functions: Callable[..., object]) -> None:
    """Let `module` alone see these functions in place of those of `time`."""
    monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), **functions}))
