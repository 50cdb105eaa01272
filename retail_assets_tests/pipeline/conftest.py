"""One complete run, made once for all workers; tests that change something work on copies of it."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from retail_assets_tests.pipeline.shop import LAST, Shop
from retail_assets_tests.pipeline.walmart import Walmart, run_walmart, walmart_at

OnceForAll = Callable[[str, Callable[[Path], object]], Path]
"""Takes the name of a folder and what fills it; gives the folder."""


@pytest.fixture(scope="session")
def once_for_all(tmp_path_factory: pytest.TempPathFactory) -> OnceForAll:
    """The first worker that asks for a folder fills it, the others wait until it has."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        folder, is_filled = shared / name, shared / f"{name}.filled"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_filled.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
                folder.mkdir()
                fill(folder)
                is_filled.touch()
        return folder

    return filled


@pytest.fixture(scope="session")
def source_only(once_for_all: OnceForAll) -> Shop:
    """The shop's database, and no home yet; nobody changes it."""
    return Shop(once_for_all("source", lambda folder: Shop(folder).live_to(LAST)))


@pytest.fixture(scope="session")
def finished(source_only: Shop, once_for_all: OnceForAll) -> Shop:
    """The shop after `retail-assets run`; nobody changes it or works in it, because others copy it meanwhile."""
    folder = once_for_all("finished", lambda folder: source_only.copy(folder / "shop").succeed())
    return Shop(folder / "shop")


@pytest.fixture(scope="session")
def walmart(once_for_all: OnceForAll) -> Walmart:
    """A Walmart-shaped folder after `load-m5` and `run`; nobody changes it."""
    return walmart_at(once_for_all("m5", run_walmart))
