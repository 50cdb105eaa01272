"""Shards of a forecast: each carries what it needs, wherever it is computed, and none stops the others."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import pytest

from retail_assets.demand.models import contenders, global_model
from retail_assets.demand.models.contenders import contender_means
from retail_assets.demand.models.global_model import Boosting, GlobalModel, fit_global
from retail_assets.demand.panel import Panel
from retail_assets.engines.parallel import in_processes
from retail_assets_tests.unit.demand_frames import panel_of, retailer

TWO = partial(in_processes, count=2)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return panel_of(retailer(30, 200), horizon=14)


@pytest.fixture(scope="module")
def model(panel: Panel) -> GlobalModel:
    return fit_global(panel, Boosting(trees=20, leaves=7, threads=1))


@pytest.fixture
def whole(panel: Panel, model: GlobalModel) -> np.ndarray:
    return model.predict(panel)


@pytest.fixture
def three_shards(whole: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(global_model, "_PREDICT_ROWS", 10)


@pytest.mark.usefixtures("three_shards")
@pytest.mark.parametrize("in_parts", [map, TWO], ids=["in turn", "in processes"])
def test_shards_forecast_what_the_whole_does(panel, model, whole, in_parts):
    found = contender_means(panel, ["lightgbm"], fitted={"lightgbm": model}, aggregate=None, in_parts=in_parts)
    np.testing.assert_array_equal(found.by_name["lightgbm"], whole)
    assert found.failures == []


@pytest.mark.usefixtures("three_shards")
def test_a_shard_that_fails_leaves_the_others(panel, model, whole, monkeypatch):
    honest = GlobalModel.predict_part

    def breaks_on_the_second(self, part):
        if part.panel.series["product_id"].iloc[0] == panel.series["product_id"].iloc[10]:
            raise MemoryError("too large")
        return honest(self, part)

    monkeypatch.setattr(GlobalModel, "predict_part", breaks_on_the_second)
    found = contender_means(panel, ["lightgbm"], fitted={"lightgbm": model}, aggregate=None)
    assert found.failures == ["lightgbm failed for 10 series: too large"]
    assert found.has_failed["lightgbm"].tolist() == [False] * 10 + [True] * 10 + [False] * 10
    np.testing.assert_array_equal(found.by_name["lightgbm"][20:], whole[20:])


@pytest.mark.usefixtures("three_shards")
def test_a_failure_in_another_process_is_told_as_here(panel, model):
    broken = GlobalModel(model.booster, model.vocabulary, threads="many")  # type: ignore[arg-type]
    here, there = (
        list(in_parts(partial(contenders._attempted, broken), broken.parts(panel))) for in_parts in (map, TWO)
    )
    assert len(there) == 3 and all(isinstance(found, str) for found in there)
    assert there == here


def _double(number: int) -> int:
    return 2 * number


def _killed(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_order_with_few_parts_on_their_way():
    made: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(20):
            made.append(number)
            yield number

    results = in_processes(_double, parts(), count=2)
    assert next(results) == 0
    assert len(made) <= 5
    assert list(results) == [2 * number for number in range(1, 20)]


def test_a_killed_process_is_not_passed_over():
    with pytest.raises(BrokenProcessPool):
        list(in_processes(_killed, range(4), count=2))


def test_a_single_part_stays_here():
    assert list(in_processes(lambda part: part + 1, [1], count=2)) == [2]
    assert list(in_processes(lambda part: part + 1, [], count=2)) == []
