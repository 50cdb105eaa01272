"""Servers that several modules of integration tests share; a test keeps to a container of its own."""

from collections.abc import Iterator

import pytest

from retail_assets_tests.integration.azurite import Azurite, running_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as server:
        yield server
