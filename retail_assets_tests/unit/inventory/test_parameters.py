"""Order parameters by scope: the narrowest wins, and what is wrong is one sentence."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from retail_assets.failures import PermanentFailure
from retail_assets.graph.policy_file import policies_of
from retail_assets.inventory.parameters import PlanPolicy, PlanRules, Policies

SERIES = pd.MultiIndex.from_tuples([("S1", "P1"), ("S1", "P2"), ("S2", "P1")], names=["store_id", "product_id"])


def of_lines(read):
    return Policies.of(read).of_lines(
        SERIES, supplier_ids=np.array(["V1", "V2", "V1"]), classes=np.array(["A", "", "A"], dtype=object)
    )


def test_the_narrowest_scope_that_names_a_parameter_wins():
    found = of_lines(
        {
            "default": {"service_level": 0.9, "holding_rate": 0.3},
            "classes": {"A": {"service_level": 0.91, "goodwill_value": 1}},
            "suppliers": {"V1": {"service_level": 0.92}, "V2": {"service_level": "critical_ratio"}},
            "stores": {"S2": {"service_level": 0.93}},
            "products": {"P2": {"min_remaining_days": 2, "service_measure": "fill"}},
        }
    )
    assert found.service_level[[0, 2]].tolist() == [0.92, 0.93] and np.isnan(found.service_level[1])
    assert found.holding_rate.tolist() == [0.3] * 3 and found.goodwill_value.tolist() == [1, 0, 1]
    assert found.min_remaining_days.tolist() == [0, 2, 0] and found.is_fill.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("read", "measure"),
    [
        (None, "cycle"),
        ({"default": {"service_measure": "fill"}}, "fill"),
        ({"stores": {"S1": {"holding_rate": 0.3}, "S3": {"service_measure": "fill"}}}, "fill"),
        ({"stores": {"S1": {"service_measure": "cycle"}}}, "cycle"),
        ({"default": {"service_measure": "fill"}, "stores": {"S1": {"service_measure": "cycle"}}}, "fill"),
    ],
)
def test_the_whole_plan_needs_the_horizons_of_a_fill_rate_where_one_line_may(read, measure):
    assert Policies.of(read).service_measure == measure


def test_nothing_given_is_the_default():
    assert of_lines(None).service_level.tolist() == [0.95] * 3


def test_every_parameter_has_limits_and_its_default_keeps_them():
    plan = dataclasses.asdict(PlanPolicy())
    assert set(PlanRules.__annotations__) == set(plan)
    assert Policies.of({"default": plan}).plan == PlanPolicy()


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        ([1], "The policies are wrong: the policies must be a mapping, got [1]."),
        ({"class": {}}, "The policies have no part class: known are default, classes, suppliers, stores, products."),
        ({"classes": ["A"]}, "The policies are wrong: classes must be a mapping, got ['A']."),
        ({"stores": {"S1": 3}}, "The policies are wrong: stores S1 must be a mapping, got 3."),
        (
            {"suppliers": {"V1": {"service_level": 1.2}}},
            "The policies are wrong: service_level of suppliers V1 is 1.2, wanted a number from 0.5 to 0.9999 or "
            "critical_ratio.",
        ),
        (
            {"default": {"service_measure": "both"}},
            "The policies are wrong: service_measure of default is 'both', wanted cycle or fill.",
        ),
        (
            {"products": {"P1": {"shelf_life_cap": "none"}}},
            "The policies are wrong: shelf_life_cap of products P1 is 'none', wanted paying or target.",
        ),
        (
            {"default": {"min_remaining_days": 1.5}},
            "The policies are wrong: min_remaining_days of default is 1.5, wanted a whole number from 0 to 365.",
        ),
        (
            {"products": {"P1": {"budget_value": 5}}},
            "The policies are wrong: products P1 knows no budget_value, only service_level, service_measure, "
            "holding_rate, goodwill_value, salvage_rate, min_remaining_days, shelf_life_cap, expedite_probability.",
        ),
        (
            {"products": {8: {"service_level": 0.9}}},
            "The policies are wrong: products has the identifier 8, which is no text: put every identifier in quotes.",
        ),
        (
            {"stores": {False: {"service_level": 0.9}}},
            "The policies are wrong: stores has the identifier False, which is no text: "
            "put every identifier in quotes.",
        ),
        (
            {"default": {"service_level": None}},
            "The policies are wrong: service_level of default is None, wanted a number from 0.5 to 0.9999 or "
            "critical_ratio.",
        ),
        (
            {"default": {"budget_value": float("nan")}},
            "The policies are wrong: budget_value of default is nan, wanted a number from 0 to 1e+12.",
        ),
        ({"default": {"holding_rate": True}}, "The policies are wrong: holding_rate of default is True, wanted a "
         "number from 0 to 5."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, sentence):
    with pytest.raises(PermanentFailure) as failure:
        Policies.of(read)
    assert str(failure.value) == sentence


def test_the_file_stands_over_the_setting(tmp_path):
    file = tmp_path / "policies.yaml"
    file.write_text("suppliers:\n  V1: {service_level: 0.99}\n", encoding="utf-8")
    found = policies_of(file, service_level=0.9)
    assert found.plan.service_level == 0.9 and found.scopes["suppliers"]["V1"] == {"service_level": 0.99}
    assert policies_of(None, service_level=0.9).scopes == {}


def test_identifiers_of_digits_are_quoted(tmp_path):
    """YAML reads 010 as the number 8: its parameters would be those of another product, or of none."""
    file = tmp_path / "policies.yaml"
    file.write_text("products:\n  010: {service_level: 0.99}\n", encoding="utf-8")
    with pytest.raises(PermanentFailure, match=r"products has the identifier 8, which is no text: put every"):
        policies_of(file, service_level=0.9)
    file.write_text('products:\n  "010": {service_level: 0.99}\n', encoding="utf-8")
    assert list(policies_of(file, service_level=0.9).scopes["products"]) == ["010"]


def test_a_file_that_is_not_utf8_is_one_sentence(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes("stores:\n  'Köln': {service_level: 0.9}\n".encode("latin-1"))
    with pytest.raises(PermanentFailure) as failure:
        policies_of(file, service_level=0.9)
    assert str(failure.value) == f"The policies {file} are not UTF-8 at byte 13: save the file as UTF-8."


def test_what_matches_nothing_is_known_scope_by_scope():
    given = Policies.of(
        {"classes": {"A": {}, "Z": {}}, "stores": {"P1": {"service_level": 0.9}}, "products": {"P1": {}}}
    )
    known = {"classes": {"A"}, "suppliers": {"V1"}, "stores": {"S1"}, "products": {"P1"}}
    assert given.unmatched(known) == ("classes Z", "stores P1")
    assert given.own_levels() == 1 and Policies().unmatched(known) == ()


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(PermanentFailure, match=r"The policies .*none.yaml cannot be read: No such file or directory\."):
        policies_of(tmp_path / "none.yaml", service_level=0.9)
    file = tmp_path / "bad.yaml"
    file.write_text("classes: {A: [", encoding="utf-8")
    with pytest.raises(PermanentFailure, match=r"The policies .*bad.yaml are not YAML in line 1\."):
        policies_of(file, service_level=0.9)
