"""Where the lake's benchmarks put their tables: a temporary folder, and an Azurite server of their own.

Both are empty at the start and gone at the end; a machine without Azurite measures the folder alone.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from retail_assets.lake.lake import Lake

_CONTAINER = "bench"


@dataclass(frozen=True)
class Store:
    """A place for Delta tables.

    Args:
        log: access log of the server, a line a request; None for a folder.
    """

    name: str
    lake: Lake
    log: Path | None = None

    @property
    def options(self) -> dict[str, str] | None:
        """For delta-rs."""
        return self.lake.storage_options

    def uri_of(self, table: str) -> str:
        return f"{self.lake.uri}/{table}"

    def requests(self) -> int:
        """Requests served so far; 0 for a folder."""
        return 0 if self.log is None else self.log.read_bytes().count(b"HTTP/1.1")


@contextlib.contextmanager
def folder_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as folder:
        yield Store("folder", Lake(folder))


@contextlib.contextmanager
def azurite_store() -> Iterator[Store | None]:
    """The server of the integration tests; None where it cannot be started."""
    with contextlib.ExitStack() as stack:
        try:
            from retail_assets_tests.integration.azurite import running_azurite

            server = stack.enter_context(running_azurite())
        except pytest.skip.Exception as reason:
            print(f"The folder alone is measured: {reason}")
            yield None
            return
        yield Store("azurite", server.lake(_CONTAINER), server.log)
