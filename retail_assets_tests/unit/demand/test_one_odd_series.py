"""One series in a group of 180 sells whatever it likes: its neighbours' forecasts and orders stay where they were."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail_assets.demand.calibration.conformal import dispersion
from retail_assets.demand.effects.known_effects import known_effects
from retail_assets.demand.forecasting import forecast
from retail_assets.demand.models.baselines import borrowed_level, store_calendar_tsb, weekday_profile
from retail_assets.demand.models.features import FeatureSource, Vocabulary
from retail_assets.demand.models.global_model import Boosting, training_rows
from retail_assets.demand.panel import Panel, build_panel
from retail_assets.demand.totals.aggregate import fit_pull, nudge
from retail_assets.demand.tournament import TrainingConfig, run_tournament
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.tables.forecast import QUANTILE_LEVELS
from retail_assets_tests.unit.demand_frames import AS_OF, demand_rows, future_rows, no_events
from retail_assets_tests.unit.inventory.test_plan import TERMS

COUNT, DAYS, HORIZON = 180, 200, 14
ODD = COUNT - 1
ORDINARY = np.random.default_rng(7).poisson(1.6, (COUNT, DAYS)).astype(float)
TIGHT = 0.01


def _days(**units: float) -> np.ndarray:
    row = ORDINARY[ODD].copy()
    for day, value in units.items():
        row[-int(day[1:])] = value
    return row


def _sparse(every: int, units: float, other: float) -> np.ndarray:
    row = np.full(DAYS, other)
    row[::every] = units
    return row


SHAPES: dict[str, np.ndarray] = {
    "two spikes": _days(d30=3000.0, d28=3000.0),
    "one spike": _days(d20=1e6),
    "constant": np.full(DAYS, 500.0),
    "hardly known": _sparse(40, 7.0, np.nan),
    "one sale": np.where(np.arange(DAYS) == 150, 10_000.0, 0.0),
    "alternating": _sparse(2, 2000.0, 0.0),
    "growing": np.arange(DAYS) ** 2.0,
    "young": np.where(np.arange(DAYS) < DAYS - 10, np.nan, 400.0),
    "risen lately": np.where(np.arange(DAYS) < DAYS - 10, 1.0, 800.0),
    "nothing": np.zeros(DAYS),
}


def _series() -> pd.DataFrame:
    number = range(COUNT)
    constant = {"store_id": "S", "region": "north", "department": "D", "category": "food"}
    return pd.DataFrame({"product_id": [f"P{n:03d}" for n in number], **constant})


def _panel(odd: np.ndarray | None = None, *, units: np.ndarray = ORDINARY) -> Panel:
    units = units.copy()
    if odd is not None:
        units[ODD] = odd
    series = _series()
    return build_panel(
        demand_rows(units, series=series),
        series=series,
        future=future_rows(series, horizon=HORIZON),
        events=no_events(),
        as_of=AS_OF,
        horizon=HORIZON,
    )


COLUMNS = ["mean_units", "p_zero", *QUANTILE_LEVELS]


def _others(frame: pd.DataFrame) -> np.ndarray:
    """Mean, probability of nothing and quantiles of all series but the odd one."""
    kept = frame.loc[frame["product_id"] != f"P{ODD:03d}"]
    return kept.sort_values(["product_id", "horizon_days"])[COLUMNS].to_numpy(dtype=float)


def _moved(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Every other series within 1 %, or a unit where units are whole, and their sums within 1 %.

    Sums of the low quantiles within 2 %: like series cross a whole unit together, and it is a larger part of few units.
    """
    old, new = _others(before), _others(after)
    np.testing.assert_allclose(new[:, 0], old[:, 0], rtol=TIGHT)
    np.testing.assert_allclose(new[:, 1], old[:, 1], atol=TIGHT)
    assert (np.abs(new[:, 2:] - old[:, 2:]) <= np.maximum(1.0, TIGHT * old[:, 2:])).all()
    many = old[:, 2:].sum(axis=0) > len(old) / 2
    off = np.abs(new[:, 2:].sum(axis=0)[many] / old[:, 2:].sum(axis=0)[many] - 1)
    is_low = np.array(list(QUANTILE_LEVELS.values()))[many] < 0.5
    assert (off <= np.where(is_low, 2 * TIGHT, TIGHT)).all()


@pytest.fixture(scope="module")
def ordinary():
    return forecast(_panel(), None, horizons=[7, 14])


@pytest.mark.parametrize("name", SHAPES)
def test_without_a_model_no_neighbour_moves(ordinary, name):
    found = forecast(_panel(SHAPES[name]), None, horizons=[7, 14])
    _moved(ordinary.cumulative, found.cumulative)
    _moved(ordinary.daily, found.daily)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.integers(1, 60),
    st.sampled_from([np.nan, 0.0, 1.0, 90.0]),
    st.integers(1, 180),
)
def test_without_a_model_no_neighbour_moves_whatever_one_series_sells(ordinary, spike, level, every, other, since):
    row = _sparse(every, np.round(spike), other)
    row[since:] = np.where(np.isnan(row[since:]), np.nan, np.maximum(row[since:], np.round(level)))
    if np.isnan(row).all():
        row[0] = 1.0
    found = forecast(_panel(row), None, horizons=[7, 14])
    _moved(ordinary.cumulative, found.cumulative)


def test_a_series_beside_an_odd_one_keeps_the_quantiles_of_its_own():
    rng = np.random.default_rng(3)
    units = np.where(np.arange(COUNT)[:, None] == 0, rng.poisson(5.0, DAYS), ORDINARY)
    steady = forecast(_panel(units=units), None, horizons=[14]).cumulative
    beside = forecast(_panel(SHAPES["two spikes"], units=units), None, horizons=[14]).cumulative
    for frame in (steady, beside):
        frame.set_index("product_id", inplace=True)
    assert abs(beside.loc["P000", "q950"] - steady.loc["P000", "q950"]) <= 1
    assert beside.loc["P000", "q950"] < 100


@pytest.mark.parametrize("count", [2, 3, 6])
def test_even_of_two_series_the_odd_one_does_not_own_the_spread(count):
    units = ORDINARY[:count].copy()
    units[-1] = SHAPES["two spikes"]
    series = _series().iloc[:count]
    panel = build_panel(
        demand_rows(units, series=series),
        series=series,
        future=future_rows(series, horizon=HORIZON),
        events=no_events(),
        as_of=AS_OF,
        horizon=HORIZON,
    )
    assert dispersion(panel)[0] < 2.0


ESTIMATES: dict[str, Callable[[Panel], np.ndarray]] = {
    "level lent to new products": borrowed_level,
    "weekdays": weekday_profile,
    "calendar of the store": store_calendar_tsb,
    "spread": dispersion,
}


@pytest.mark.parametrize("name", ["two spikes", "constant", "alternating", "growing", "nothing"])
@pytest.mark.parametrize("estimate", ESTIMATES)
def test_no_pooled_estimate_belongs_to_one_series(estimate, name):
    # A series counts as one of 60 in its band of prices: the floor of any mean.
    floor = 0.012 if estimate == "level lent to new products" else TIGHT
    before, after = (ESTIMATES[estimate](panel)[:ODD] for panel in (_panel(), _panel(SHAPES[name])))
    np.testing.assert_allclose(after, before, rtol=floor)


@pytest.mark.parametrize("name", ["two spikes", "constant", "alternating", "growing"])
def test_the_pull_towards_a_department_does_not_follow_one_series(name):
    flat = np.full((COUNT, HORIZON), 1.6)
    moved = {}
    for label, row in {"before": None, "after": SHAPES[name]}.items():
        panel, mean = _panel(row), flat.copy()
        mean[ODD] = np.nanmean(panel.demand[ODD, -28:])
        moved[label] = nudge(mean, panel, fit_pull(panel))[:ODD]
    np.testing.assert_allclose(moved["after"], moved["before"], rtol=TIGHT)


@pytest.mark.parametrize("name", ["two spikes", "alternating"])
def test_no_day_of_one_series_pulls_the_global_model(name):
    panel = _panel(SHAPES[name])
    source = FeatureSource(panel, Vocabulary.of(panel))
    _, demand, level, weight = training_rows(source, Boosting(max_origins=8, least_rows=100_000))
    gradient = weight * np.abs(demand - level) / np.sqrt(level)
    assert gradient.max() < 60.0


def test_a_large_series_weighs_no_more_than_the_next_largest():
    panel = _panel(SHAPES["constant"])
    source = FeatureSource(panel, Vocabulary.of(panel))
    _, _, level, weight = training_rows(source, Boosting(max_origins=1, least_rows=100_000))
    said = weight * np.sqrt(level)
    assert said[level > 100].max() <= 1.01 * said[level < 100].max()


def test_a_series_draws_the_same_cells_whichever_others_there_are():
    whole = _panel()
    part = whole.take(np.arange(ODD))
    boosting = Boosting(max_origins=8, least_rows=0, rows_per_series=20)
    drawn = [training_rows(FeatureSource(each, Vocabulary.of(each)), boosting)[1] for each in (whole, part)]
    of_one = len(drawn[0]) - len(drawn[1])
    assert 5 <= of_one <= 60
    counts = [np.bincount(demand.astype(int), minlength=12) for demand in drawn]
    assert (counts[0] >= counts[1]).all() and (counts[0] - counts[1]).sum() == of_one


def test_the_choice_of_contenders_is_not_that_of_one_series():
    config = TrainingConfig(horizon=HORIZON, trees=15, leaves=7, max_train_rows=8000, backtest_days=42, threads=1)
    scores = {}
    for label, row in {"before": None, "after": SHAPES["two spikes"]}.items():
        found = run_tournament(_panel(row), config)
        scores[label] = found.scores.set_index(["segment", "model_name"])
    kept = scores["before"].index.intersection(scores["after"].index)
    kept = kept[kept.get_level_values(0) == "smooth"]
    before, after = (scores[label].loc[kept] for label in ("before", "after"))
    is_kept = after["bias_factor"] == before["bias_factor"]  # else by as much as the bias, as one is kept or not
    np.testing.assert_allclose(after["scaled_pinball"][is_kept], before["scaled_pinball"][is_kept], rtol=0.02)
    np.testing.assert_allclose(after["scaled_pinball"], before["scaled_pinball"], rtol=0.03)
    np.testing.assert_allclose(after["bias"][is_kept], before["bias"][is_kept], atol=0.01)


def _orders(cumulative: pd.DataFrame) -> pd.Series:
    keys = _series().loc[:, ["store_id", "product_id"]]
    lacking = {
        "open_orders": ["store_id", "product_id", "supplier_id", "ordered_date", "promised_date", "open_units"],
        "decisions": ["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"],
        "order_days": ["supplier_id", "order_weekday"],
        "delays": ["supplier_id", "delay_days", "probability"],
    }
    frames: dict[str, Any] = {name: pd.DataFrame(columns=columns) for name, columns in lacking.items()}
    plan = replenishment_plan(
        PlanInputs(
            as_of=AS_OF,
            cumulative=cumulative,
            on_hand=keys.assign(on_hand_units=0.0),
            terms=keys.assign(**TERMS),
            prices=keys.assign(unit_price=3.5, unit_step=1.0),
            **frames,
        )
    )
    return plan.set_index("product_id")["order_units"].astype(float).drop(f"P{ODD:03d}")


@pytest.mark.parametrize("name", ["two spikes", "constant", "alternating", "growing"])
def test_no_neighbour_is_ordered_more_of(name):
    horizons = list(range(1, HORIZON + 1))
    before = _orders(forecast(_panel(), None, horizons=horizons).cumulative)
    after = _orders(forecast(_panel(SHAPES[name]), None, horizons=horizons).cumulative)
    assert before.sum() > 0
    assert (after - before).abs().max() <= 1.0
    assert after.sum() == pytest.approx(before.sum(), rel=TIGHT)


def test_a_day_of_a_known_event_is_no_sale_in_bulk():
    units = np.random.default_rng(4).poisson(5.0, (COUNT, 520)).astype(float)
    first = AS_OF - pd.Timedelta(days=519)
    peaks = [np.datetime64("2024-02-14"), np.datetime64("2025-02-14")]
    at = [int((peak - np.datetime64(first)).astype(int)) for peak in peaks]
    units[0, at] = 300.0
    events = pd.DataFrame({"event_date": peaks, "event_name": "Valentine", "event_type": "feast", "region": "*"})
    series = _series()
    common = {
        "series": series,
        "future": future_rows(series, horizon=HORIZON),
        "as_of": AS_OF,
        "horizon": HORIZON,
    }
    known = build_panel(demand_rows(units, series=series), events=events, **common)
    assert known.demand[0, at].tolist() == [300.0, 300.0]
    elsewhere = build_panel(demand_rows(units, series=series), events=events.assign(region="south"), **common)
    assert elsewhere.demand[0, at].max() < 20.0
    daily = pd.DataFrame({"event_date": known.dates, "event_name": "x", "event_type": "rhythm", "region": "*"})
    assert build_panel(demand_rows(units, series=series), events=daily, **common).demand[0, at].max() < 20.0


@pytest.mark.parametrize(("seen", "most"), [(0.0, 3.0), (0.2, 3.0), (0.5, 8.0)])
def test_a_discount_deeper_than_any_seen_lifts_no_more_than_those_seen(seen, most):
    panel = _panel()
    panel.discount_rate[1, 100:110] = seen
    panel.units[1, 100:110] *= 1 + 4 * seen
    panel.discount_rate[0, DAYS:] = 0.9
    lift = known_effects(panel).applied(np.ones((COUNT, HORIZON)))[0]
    assert (lift > 1.0).all() and (lift <= most).all()
