"""One complete run, made once a session; tests that change something work on copies of it."""

import pytest

from retail_assets_tests.pipeline.shop import LAST, Shop
from retail_assets_tests.pipeline.walmart import Walmart, run_walmart


@pytest.fixture(scope="session")
def source_only(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop's database, and no home yet."""
    folder = tmp_path_factory.mktemp("source") / "shop"
    folder.mkdir()
    shop = Shop(folder)
    shop.live_to(LAST)
    return shop


@pytest.fixture(scope="session")
def finished(source_only: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop after `retail-assets run`; nobody changes it."""
    shop = source_only.copy(tmp_path_factory.mktemp("finished") / "shop")
    shop.succeed()
    return shop


@pytest.fixture(scope="session")
def walmart(tmp_path_factory: pytest.TempPathFactory) -> Walmart:
    """A Walmart-shaped folder after `load-m5` and `run`; nobody changes it."""
    return run_walmart(tmp_path_factory.mktemp("m5"))
