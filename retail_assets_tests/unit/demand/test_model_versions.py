"""Which version may forecast which day, by hand and in any order of trainings."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.demand.model_versions import BIAS_LIMIT, model_versions, version_in_force
from retail_assets.tables.forecast import BACKTEST_LOSSES, DEMAND_MODEL, MODEL_VERSIONS, NAIVE
from retail_assets.tables.validation import conform

MONDAY = date(2025, 3, 3)


def _scores(
    week: int, *, pinball: float = 0.2, bias: float = 0.0, naive: float = 0.3, winner: str = "lightgbm"
) -> list[dict[str, Any]]:
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
        row | {"model_name": winner, "scaled_pinball": pinball, "bias": bias, "is_chosen": True},
        row | {"model_name": "theta", "scaled_pinball": 9.0, "bias": 0.9, "is_chosen": False},
        row | {"model_name": NAIVE, "scaled_pinball": naive, "bias": 0.5, "is_chosen": False},
    ]


def _trainings(*rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in rows for row in part], columns=pd.Index(DEMAND_MODEL.column_names))


def _losses(week: int, losses: Sequence[float], *, units: float = 100.0) -> list[dict[str, Any]]:
    """What a training lost at each of the weekly origins before it, the newest last; two horizons alike."""
    monday = MONDAY + timedelta(weeks=week)
    return [
        {
            "week_start_date": monday,
            "origin_date": monday - timedelta(days=1 + 7 * (len(losses) - number)),
            "horizon_days": days,
            "series_count": 10.0,
            "actual_units": units,
            "loss_units": loss * units,
            "naive_loss_units": 0.3 * units,
        }
        for number, loss in enumerate(losses)
        for days in (7, 14)
    ]


def _lost(*rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([row for part in rows for row in part], columns=pd.Index(BACKTEST_LOSSES.column_names))


def _versions(*rows: Sequence[dict[str, Any]], losses: pd.DataFrame | None = None) -> pd.DataFrame:
    made = model_versions(_trainings(*rows), _lost() if losses is None else losses)
    found = pa.Table.from_pandas(made, preserve_index=False)
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


def test_without_losses_by_week_only_the_naive_decides_and_the_reason_says_so() -> None:
    """Trainings of a release that stored none keep their decisions."""
    found = _versions(_scores(0, pinball=0.25), _scores(1, pinball=0.29), _scores(2, pinball=0.5))
    assert found["promoted_on"].notna().tolist() == [True, True, False]
    assert "without losses by week to compare with the version in force" in found.loc["v1", "reason"]
    assert found["champion_version"].tolist() == [None, "v0", "v1"]
    assert found["champion_scaled_pinball"].isna().all()


WAVES = np.tile([0.19, 0.21, 0.2, 0.22, 0.18], 5)[:24]
"""Losses of 24 weeks; those of the next training on the same weeks begin one week later."""


def _next_week(change: Sequence[float] | float = 0.0) -> np.ndarray:
    return np.append(WAVES[1:], 0.2) + change


def _second(change: Sequence[float] | float, *, winner: str = "lightgbm", units: float = 100.0) -> pd.Series:
    """The second of two trainings a week apart, by what it lost more than the first on each week."""
    losses = _lost(_losses(0, WAVES), _losses(1, _next_week(change), units=units))
    return _versions(_scores(0), _scores(1, winner=winner), losses=losses).loc["v1"]


NOISE = np.tile([0.02, -0.02, -0.02, 0.02], 6)


def test_a_worse_version_does_not_replace_the_one_in_force_though_it_beats_the_naive() -> None:
    for winner in ("lightgbm", "theta"):
        version = _second(0.01 + 0.1 * NOISE, winner=winner)
        assert version["promoted_on"] is None
        assert version["reason"].startswith("Not promoted, worse than the version in force: scaled pinball 0.2000")
        assert (
            "On the 23 weeks scored for both: 0.2112 against 0.2013 of version v0, standard error" in version["reason"]
        )
        assert (version["champion_version"], version["shared_origins"]) == ("v0", 23)


def test_a_better_version_replaces_it_and_the_decision_is_stored() -> None:
    version = _second(-0.01 + 0.1 * NOISE, winner="theta")
    assert version["promoted_on"] == MONDAY + timedelta(weeks=1)
    assert version["reason"].startswith("Promoted, better than the version in force: scaled pinball")
    off = (-0.01 + 0.1 * NOISE)[:23]
    assert version["champion_scaled_pinball"] == pytest.approx(WAVES[1:].mean())
    assert version["shared_scaled_pinball"] == pytest.approx(WAVES[1:].mean() + off.mean())
    own, second, third = (float((off - off.mean())[lag:] @ (off - off.mean())[: 23 - lag]) for lag in (0, 1, 2))
    variance = max(own + 2 * (2 / 3 * second + 1 / 3 * third), own) / (23 * 22)
    assert version["gap_error"] == pytest.approx(variance**0.5)


def test_a_tie_keeps_the_version_in_force_and_says_why() -> None:
    for change in (NOISE, -0.001 + NOISE):
        version = _second(change, winner="theta")
        assert version["promoted_on"] is None
        assert version["reason"].startswith(
            "Not promoted, not better than the version in force beyond noise: scaled pinball"
        )


def test_the_same_contenders_on_newer_days_take_over_when_they_tie() -> None:
    version = _second(0.001 + NOISE)
    assert version["promoted_on"] == MONDAY + timedelta(weeks=1)
    assert "as good as the version in force and the same contenders fitted on newer days" in version["reason"]


@pytest.mark.parametrize(("weeks", "is_promoted"), [(7, False), (8, True)])
def test_a_tie_takes_over_from_a_version_older_than_any_fit_of_the_backtest(weeks: int, is_promoted: bool) -> None:
    later = np.append(WAVES[weeks:], np.full(weeks, 0.2)) + NOISE
    losses = _lost(_losses(0, WAVES), _losses(weeks, later))
    version = _versions(_scores(0), _scores(weeks, winner="theta"), losses=losses).loc[f"v{weeks}"]
    assert (version["promoted_on"] is not None) == is_promoted
    assert not is_promoted or "as good as the version in force, whose data end 56 days earlier" in version["reason"]


def test_a_worse_version_stays_out_however_old_the_one_in_force_is() -> None:
    later = np.append(WAVES[16:], np.full(16, 0.2)) + 0.02
    losses = _lost(_losses(0, WAVES), _losses(16, later))
    version = _versions(_scores(0), _scores(16), losses=losses).loc["v16"]
    assert version["promoted_on"] is None and version["shared_origins"] == 8


def test_too_few_shared_weeks_are_a_tie() -> None:
    losses = _lost(_losses(0, WAVES[:5]), _losses(1, np.full(4, 0.01)))
    version = _versions(_scores(0), _scores(1, winner="theta"), losses=losses).loc["v1"]
    assert version["promoted_on"] is None and np.isnan(version["gap_error"])
    assert "Only 3 weeks were scored for version v0 as well, too few to compare." in version["reason"]


@pytest.mark.parametrize("units", [50.0, 200.0])
def test_weeks_whose_demand_has_changed_are_no_proof(units: float) -> None:
    """Sales read twice, or half lost: the loss over demand looks the same or better, of another truth."""
    version = _second(-0.05, units=units)
    assert version["promoted_on"] is None
    assert "the demand of the same weeks changed by" in version["reason"]
    assert "check the source; if the new figures are right, train the week of 2025-03-03 again" in version["reason"]


def test_a_version_that_was_not_promoted_is_never_compared_with() -> None:
    losses = _lost(_losses(0, WAVES), _losses(1, _next_week(0.02)), _losses(2, np.append(WAVES[2:], [0.2, 0.2]) - 0.01))
    found = _versions(_scores(0), _scores(1), _scores(2), losses=losses)
    assert found["promoted_on"].notna().tolist() == [True, False, True]
    assert found["champion_version"].tolist() == [None, "v0", "v0"]


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


_PARAMETERS = st.tuples(
    st.sampled_from([0.1, 0.2, 0.4]), st.sampled_from([0.0, 0.2]), st.sampled_from(["ets", "theta"])
)


@settings(deadline=None)
@given(st.lists(_PARAMETERS, min_size=1, max_size=5), st.randoms(use_true_random=False), st.integers(-3, 40))
def test_the_order_of_trainings_and_later_ones_do_not_matter(
    weeks: list[tuple[float, float, str]], random, day: int
) -> None:
    """The oracle walks the weeks in order; rows come shuffled, as backfills leave them."""
    as_of = MONDAY + timedelta(days=day)
    rows = [
        row for n, (loss, bias, name) in enumerate(weeks) for row in _scores(n, pinball=loss, bias=bias, winner=name)
    ]
    lost = [row for n, (loss, *_) in enumerate(weeks) for row in _losses(n, np.full(24, loss))]
    random.shuffle(rows)
    random.shuffle(lost)
    wanted = champion = None
    for number, (loss, bias, name) in enumerate(weeks):
        is_sound = loss < 0.3 and abs(bias) <= BIAS_LIMIT
        if is_sound and (champion is None or loss < champion[0] or (loss, name) == champion):
            champion = loss, name
            wanted = f"v{number}" if MONDAY + timedelta(weeks=number) <= as_of else wanted
    every = model_versions(_trainings(rows), _lost(lost))
    then = [[row for row in part if row["week_start_date"] <= as_of] for part in (rows, lost)]
    known = model_versions(_trainings(then[0]), _lost(then[1]))
    assert version_in_force(every, as_of) == wanted == version_in_force(known, as_of)


@pytest.mark.parametrize("weeks", [2, 4])
def test_a_version_of_a_short_history_makes_way_for_one_that_ties_with_it(weeks: int) -> None:
    """Judged on two to four weeks; a week later hardly any week is shared, and it would have stayed for 56 days."""
    trainings = (_scores(0, winner="mean_of_best"), _scores(1))
    short, longer = _losses(0, [0.2] * weeks), _losses(1, [0.2, 0.21, 0.19, 0.2, 0.2])
    newest = _versions(*trainings, losses=_lost(short, longer)).iloc[-1]
    assert newest["promoted_on"] == MONDAY + timedelta(weeks=1)
    assert f"which a short history judged on {weeks} weeks only" in newest["reason"]


def test_a_version_judged_on_five_weeks_is_kept_by_a_tie() -> None:
    trainings = (_scores(0, winner="mean_of_best"), _scores(1))
    losses = _lost(_losses(0, [0.2, 0.21, 0.19, 0.2, 0.2]), _losses(1, [0.2, 0.21, 0.19, 0.2, 0.2]))
    assert pd.isna(_versions(*trainings, losses=losses).iloc[-1]["promoted_on"])
