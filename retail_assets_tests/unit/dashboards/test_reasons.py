"""The reasons of a forecast in words: what is shown adds up as shown."""

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import model_names, reasons
from retail_assets.demand.models.contenders import SINGLE
from retail_assets.demand.totals.group_models import MODELS
from retail_assets.tables.forecast import FORECAST_DRIVERS, MEAN_OF_BEST

FACTORS = [column.name for column in FORECAST_DRIVERS.columns if column.name.endswith("_factor")]


def _week(level_units: float, *, main_driver: str = "promotion", **factors: float) -> dict[str, Any]:
    every = dict.fromkeys(FACTORS, 1.0) | {f"{name}_factor": value for name, value in factors.items()}
    mean = level_units * math.prod(every.values())
    return {"level_units": level_units, "mean_units": mean, "main_driver": main_driver, **every}


def test_one_sentence_multiplies_the_causes_and_names_the_main_one():
    week = _week(4.2, trend=1.05, season=0.93, promotion=1.6)
    told = "Usual 4.2 a day × trend 1.05 × season 0.93 × promotion 1.60 = 6.6 a day; promotion is the main reason."
    assert reasons.sentence(week) == told


@pytest.mark.parametrize(
    ("main_driver", "words"),
    [
        ("level", "nothing moves it by 2 % or more"),
        ("holiday", "holidays are the main reason"),
        ("adjustment", "other models are the main reason"),
        ("season", "season is the main reason"),
    ],
)
def test_every_main_driver_has_words(main_driver, words):
    assert reasons.sentence(_week(3.0, main_driver=main_driver)) == f"Usual 3.0 a day = 3.0 a day; {words}."


def test_every_factor_and_every_main_driver_of_the_table_has_a_word():
    (allowed,) = (column.allowed for column in FORECAST_DRIVERS.columns if column.name == "main_driver")
    assert set(allowed) == {*reasons.CAUSES, "level"}
    assert {f"{name}_factor" for name in reasons.CAUSES} == set(FACTORS)


def test_slow_sellers_keep_two_digits():
    assert reasons.units(0.0345) == "0.035"
    assert reasons.units(0.5) == "0.50"
    assert reasons.units(12.34) == "12.3"
    assert reasons.units(0.0) == "0"


def test_digits_are_added_until_the_product_is_right():
    week = _week(15.19, trend=1.1304, season=1.0354, price=1.0062)
    assert reasons.product(week) == "Usual 15.19 a day × trend 1.130 × season 1.035 × price 1.006 = 17.9 a day"


def test_what_cannot_add_up_is_called_rounded():
    week = _week(1000.0, trend=1.00049)
    assert reasons.product(week) == "Usual 1,000.0 a day ≈ 1,000.5 a day (rounded)"


def test_small_factors_are_shown_where_they_add_up_to_something():
    week = _week(100.0, trend=1.004, season=1.004, price=1.004)
    assert reasons.product(week) == "Usual 100.00 a day × trend 1.004 × season 1.004 × price 1.004 = 101.2 a day"


@given(
    level=st.floats(0.01, 5000),
    factors=st.lists(st.floats(0.3, 3), min_size=len(FACTORS), max_size=len(FACTORS)),
)
def test_an_equals_sign_is_true_of_the_figures_beside_it(level, factors):
    week = _week(level, **dict(zip(reasons.CAUSES, factors, strict=True)))
    text = reasons.product(week).replace(",", "")
    left, sign, right = re.split(r" ([=≈]) ", text)
    product = math.prod(float(number) for number in re.findall(r"\d+\.?\d*", left))
    if sign == "=":
        assert reasons.units(product).replace(",", "") == right.removesuffix(" a day")
    else:
        assert right.endswith("(rounded)")


def test_the_steps_add_up_to_the_forecast():
    week = _week(4.0, trend=1.25, promotion=2.0, price=0.9)
    steps = reasons.steps(week)
    assert steps["label"].tolist() == ["usual", *reasons.CAUSES.values(), "forecast"]
    assert steps["change"].sum() == pytest.approx(week["mean_units"])
    assert steps["units"].iloc[-1] == pytest.approx(steps["units"].iloc[-2])
    assert steps["text"].iloc[1] == "× 1.25"
    assert steps["meaning"].iloc[0].startswith("Usual demand a day")


def test_every_contender_and_group_model_has_a_readable_name():
    names = {*SINGLE, MEAN_OF_BEST, *MODELS, "bottom_up"}
    assert names - set(model_names.LABELS) == set()
    assert set(model_names.SIMPLE) < set(SINGLE)


def test_an_unknown_model_keeps_its_technical_name():
    assert model_names.label("brand_new") == "brand_new"
    assert model_names.described("lightgbm_pulled, theta") == (
        "**LightGBM towards totals** (`lightgbm_pulled`), **Theta** (`theta`)"
    )
