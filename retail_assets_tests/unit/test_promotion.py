"""Which version may forecast which day, by hand and in any order of trainings."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail_assets.demand.promotion import BIAS_LIMIT, NAIVE, model_versions, version_in_force
from retail_assets.tables.forecast import DEMAND_MODEL, MODEL_VERSIONS
from retail_assets.tables.validation import conform

MONDAY = date(2025, 3, 3)


def _scores(week: int, *, pinball: float = 0.2, bias: float = 0.0, naive: float = 0.3) -> list[dict[str, Any]]:
    """A training of one segment: a chosen contender, one that lost, and the naive."""
    monday = MONDAY + timedelta(weeks=week)
    row = {
        "week_start_date": monday,
        "segment": "smooth",
        "model_version": f"v{week}",
        "trained_through_date": monday - timedelta(days=1),
        "wape": 0.5,
        "rmsse": 0.8,
        "series_count": 10.0,
        "actual_units": 100.0,
    }
    return [
        row | {"model_name": "lightgbm", "scaled_pinball": pinball, "bias": bias, "is_chosen": True},
        row | {"model_name": "theta", "scaled_pinball": 9.0, "bias": 0.9, "is_chosen": False},
        row | {"model_name": NAIVE, "scaled_pinball": naive, "bias": 0.5, "is_chosen": False},
    ]


def _trainings(*rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in rows for row in part], columns=pd.Index(DEMAND_MODEL.column_names))


def _versions(*rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    found = pa.Table.from_pandas(model_versions(_trainings(*rows)), preserve_index=False)
    return conform(MODEL_VERSIONS, found).to_pandas().set_index("model_version", drop=False)


def test_a_version_that_beats_the_naive_without_bias_is_promoted_on_its_monday() -> None:
    version = _versions(_scores(0, pinball=0.2, bias=-0.03)).loc["v0"]
    assert version["promoted_on"] == MONDAY and version["trained_through_date"] == MONDAY - timedelta(days=1)
    assert (version["scaled_pinball"], version["naive_scaled_pinball"], version["bias"]) == (0.2, 0.3, -0.03)
    assert version["reason"] == (
        "Promoted: scaled pinball 0.2000 against 0.3000 of the seasonal naive, bias -3.0% (limit 10%)."
    )


@pytest.mark.parametrize(
    ("scores", "cause"),
    [
        ({"pinball": 0.3}, "not better than the seasonal naive"),
        ({"pinball": 0.4, "bias": 0.5}, "not better than the seasonal naive"),
        ({"bias": BIAS_LIMIT + 0.001}, "too biased"),
        ({"bias": -BIAS_LIMIT - 0.001}, "too biased"),
    ],
)
def test_a_version_that_is_no_better_or_biased_is_not_promoted_and_says_why(
    scores: dict[str, float], cause: str
) -> None:
    version = _versions(_scores(0, **scores)).loc["v0"]
    assert version["promoted_on"] is None
    assert version["reason"].startswith(f"Not promoted, {cause}: scaled pinball")


def test_segments_count_by_their_demand_not_by_their_series() -> None:
    """A thousand series that sell nearly nothing do not hide the bias of the few that sell."""
    few = [row | {"series_count": 10.0, "actual_units": 900.0} for row in _scores(0, bias=0.2)]
    many = [
        row | {"segment": "lumpy", "series_count": 1000.0, "actual_units": 100.0}
        for row in _scores(0, pinball=0.1, bias=-0.1, naive=0.9)
    ]
    version = _versions([*few, *many]).loc["v0"]
    assert version["bias"] == pytest.approx((0.2 * 900 - 0.1 * 100) / 1000)
    assert version["scaled_pinball"] == pytest.approx((0.2 * 900 + 0.1 * 100) / 1000)
    assert version["naive_scaled_pinball"] == pytest.approx((0.3 * 900 + 0.9 * 100) / 1000)
    assert version["promoted_on"] is None and "too biased" in version["reason"]


def test_the_score_of_the_version_in_force_stands_beside_each_later_one() -> None:
    found = _versions(_scores(0, pinball=0.25), _scores(1, pinball=0.5), _scores(2, pinball=0.2), _scores(3))
    assert found["champion_scaled_pinball"].fillna(-1).tolist() == [-1, 0.25, 0.25, 0.2]


def test_without_trainings_there_is_no_version() -> None:
    found = _versions([])
    assert len(found) == 0 and version_in_force(found, MONDAY) is None


def test_the_version_in_force_was_promoted_by_the_day_and_trained_before_it() -> None:
    versions = _versions(_scores(0), _scores(1, pinball=0.5), _scores(2))
    assert version_in_force(versions, MONDAY - timedelta(days=1)) is None
    assert version_in_force(versions, MONDAY) == "v0"
    assert version_in_force(versions, MONDAY + timedelta(days=13)) == "v0", "the second one was not promoted"
    assert version_in_force(versions, MONDAY + timedelta(days=14)) == "v2"
    assert version_in_force(versions, MONDAY + timedelta(days=400)) == "v2"


def test_a_version_trained_on_the_day_itself_may_not_forecast_it() -> None:
    versions = _versions(_scores(0)).assign(trained_through_date=MONDAY)
    assert version_in_force(versions, MONDAY) is None
    assert version_in_force(versions, MONDAY + timedelta(days=1)) == "v0"


def test_dates_read_from_the_lake_as_timestamps_are_understood() -> None:
    versions = _versions(_scores(0), _scores(1, pinball=0.5))
    for column in ("promoted_on", "trained_through_date"):
        versions[column] = pd.to_datetime(versions[column])
    assert version_in_force(versions, MONDAY + timedelta(days=8)) == "v0"


_PARAMETERS = st.tuples(st.sampled_from([0.1, 0.2, 0.4]), st.sampled_from([0.0, 0.2]))


@given(st.lists(_PARAMETERS, min_size=1, max_size=5), st.randoms(use_true_random=False), st.integers(-3, 40))
def test_the_order_of_trainings_and_later_ones_do_not_matter(weeks: list[tuple[float, float]], random, day) -> None:
    """The oracle walks the weeks in order; rows come shuffled, as backfills leave them."""
    as_of = MONDAY + timedelta(days=day)
    rows = [row for n, (pinball, bias) in enumerate(weeks) for row in _scores(n, pinball=pinball, bias=bias)]
    random.shuffle(rows)
    wanted = None
    for number, (pinball, bias) in enumerate(weeks):
        if pinball < 0.3 and abs(bias) <= BIAS_LIMIT and MONDAY + timedelta(weeks=number) <= as_of:
            wanted = f"v{number}"
    every, known = model_versions(_trainings(rows)), [row for row in rows if row["week_start_date"] <= as_of]
    assert version_in_force(every, as_of) == wanted == version_in_force(model_versions(_trainings(known)), as_of)
