"""The VN2 game of the bench: its weeks and costs by hand, what a rule may know, and orders against brute force."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.vn2_boosting import BoostedModel
from bench.vn2_data import WeeklySales, read_sales
from bench.vn2_features import Features
from bench.vn2_paths import Dispersion
from bench.vn2_projection import UnitCost, least_cost_order, lost_sales_order, periods_ahead
from bench.vn2_rules import DemandPaths, base_stock, least_cost, organisers_rule, projected
from bench.vn2_seasonal import faded_average, season_factors, seasonal_average
from bench.vn2_simulator import Game, State, development_game, play

MONDAY = np.datetime64("2023-01-02")


def weekly_sales(units, in_stock=None) -> WeeklySales:
    """Series of one store and three products in turn; all in stock unless told otherwise."""
    units = np.asarray(units, dtype=np.float64)
    count, weeks = units.shape
    names = ["Store", "ProductGroup", "Division", "Department", "DepartmentGroup", "StoreFormat", "Format"]
    groups = pd.DataFrame(dict.fromkeys(names, np.zeros(count, dtype=int))).assign(Product=np.arange(count) % 3)
    flags = np.ones(units.shape, dtype=bool) if in_stock is None else np.asarray(in_stock)
    return WeeklySales(units, flags, MONDAY + 7 * np.arange(weeks) * np.timedelta64(1, "D"), groups)


def poisson_sales(count=30, weeks=90, *, seed=1) -> WeeklySales:
    rng = np.random.default_rng(seed)
    return weekly_sales(rng.poisson(rng.gamma(2.0, 2.0, size=(count, 1)), size=(count, weeks)))


def constant(order):
    return lambda known, state: np.full(len(state.on_hand), float(order))


def one_series(demand, *, on_hand, on_order, shows_demand=False) -> Game:
    whole = weekly_sales([[2, *demand]])
    opening = State(np.array([float(on_hand)]), np.array([on_order], dtype=float))
    return Game(whole.before(1), whole.between(1, 9), opening, shows_demand)


def test_the_weeks_of_a_game_by_hand():
    """Opening 3, two on the way of 1 and 4, three ordered every week: the orders arrive in weeks 3 to 8."""
    costs = play(one_series([2, 5, 1, 6, 4, 3, 0, 9], on_hand=3, on_order=[1, 4]), constant(3))
    left = [2, 1, 3, 0, 0, 0, 3, 0]
    lost = [0, 0, 0, 0, 1, 0, 0, 3]
    np.testing.assert_allclose(costs.holding, 0.2 * np.array(left))
    np.testing.assert_allclose(costs.shortage, lost)
    assert costs.scored_holding == pytest.approx(0.2 * 6)
    assert costs.scored_shortage == pytest.approx(4)
    assert costs.score == pytest.approx(5.2)


def test_six_orders_are_asked_for_and_know_only_what_was_sold():
    asked = []

    def rule(known, state):
        asked.append((known.units[0].tolist(), known.in_stock[0].tolist()))
        return np.zeros(1)

    play(one_series([2, 5, 9, 9, 9, 9, 9, 9], on_hand=3, on_order=[1, 4]), rule)
    assert len(asked) == 6
    assert asked[0] == ([2], [True])
    assert asked[3] == ([2, 2, 5, 1], [True, True, True, False])
    asked.clear()
    play(one_series([2, 5, 9, 9, 9, 9, 9, 9], on_hand=3, on_order=[1, 4], shows_demand=True), rule)
    assert asked[3] == ([2, 2, 5, 9], [True, True, True, True])


@pytest.mark.parametrize("order", [-1, 0.5, float("inf")])
def test_an_order_that_cannot_be_given_is_refused(order):
    with pytest.raises(ValueError, match="an order is negative or not a whole number of units"):
        play(one_series([1] * 8, on_hand=3, on_order=[1, 4]), constant(order))


def test_a_window_opens_with_the_rounded_mean_of_thirteen_weeks():
    sales = weekly_sales([np.arange(40)])
    game = development_game(sales, 20)
    assert game.known.week_count == 20
    assert game.opening.on_hand.tolist() == [13]
    assert game.opening.on_order.tolist() == [[13, 13]]
    assert game.future.units[0].tolist() == list(range(20, 28))


def test_the_organisers_rule_covers_four_weeks_less_what_is_coming():
    """Without a season: a mean of 3 over the weeks in stock, 12 units to cover, 5 of them there."""
    units, flags = np.full((1, 20), 3.0), np.ones((1, 20), dtype=bool)
    units[0, 15], flags[0, 15] = 0.0, False
    known = weekly_sales(units, flags)
    assert seasonal_average(known, 4).tolist() == [[3, 3, 3, 3]]
    state = State(np.array([2.0]), np.array([[1.0, 2.0]]))
    assert organisers_rule(known, state).tolist() == [7]
    assert organisers_rule(known, replace(state, on_hand=np.array([90.0]))).tolist() == [0]


def test_the_season_is_a_weeks_mean_over_the_mean_of_all_weeks():
    units = np.full((1, 104), 2.0)
    units[0, [9, 61]] = 8.0
    known = weekly_sales(units)
    factor = season_factors(known, 10)
    assert factor[9] == pytest.approx(8 / ((51 * 2 + 8) / 52))
    assert factor[113] == pytest.approx(factor[9])
    np.testing.assert_allclose(faded_average(known, 10)[0, [0, 9]], [2, 8])
    np.testing.assert_allclose(seasonal_average(known, 10)[0, [0, 9]], [2, 8])


def test_weeks_fade_and_weeks_out_of_stock_count_nowhere():
    """The newest of thirty weeks has the weight of 1 in 1 + 0.93 + 0.93² + …; alone in stock it is all there is."""
    units, flags = np.ones((20, 30)), np.ones((20, 30), dtype=bool)
    units[:2, :29], flags[0, :29] = 0.0, False
    known = weekly_sales(units, flags)
    levels = faded_average(known, 1)[:, 0] / season_factors(known, 1)[-1]
    share = 0.07 / (1 - 0.93**30) / season_factors(known, 0)[29]
    np.testing.assert_allclose(levels[:2], [1 / season_factors(known, 0)[29], share])


def test_a_week_in_which_nothing_ever_sold_tells_no_level():
    units = np.full((2, 20), 3.0)
    units[:, 12] = 0.0
    known = weekly_sales(units)
    np.testing.assert_allclose(seasonal_average(known, 1), faded_average(known, 1))
    np.testing.assert_allclose(faded_average(known, 1), 3 * 19 / 20)


def test_stock_is_floored_at_zero_on_the_way():
    """Nine units asked for in week 1 find three: the other six are gone, and the week after starts from nothing."""
    paths = np.array([[[9.0, 0.0, 2.0]]])
    arrivals = np.array([[0.0, 1.0, 0.0]])
    order = lost_sales_order(paths, on_hand=np.array([3.0]), arrivals=arrivals, lead=2, review=1, ratio=0.8)
    assert order.tolist() == [1]


def test_an_order_covers_the_worst_moment_until_the_next_one():
    """Two periods to serve, and six units that come only in the second of them."""
    paths = np.array([[[1.0, 5.0, 4.0]]])
    arrivals = np.array([[0.0, 0.0, 6.0]])
    order = lost_sales_order(paths, on_hand=np.array([2.0]), arrivals=arrivals, lead=1, review=2, ratio=1.0)
    assert order.tolist() == [4]


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75, 0.833, 1.0])
def test_the_order_is_the_smallest_that_serves_its_share_of_paths(ratio):
    rng = np.random.default_rng(3)
    paths = rng.poisson(2.0, size=(40, 12, 4)).astype(float)
    on_hand, arrivals = rng.integers(0, 4, 12).astype(float), rng.integers(0, 3, (12, 4)).astype(float)
    found = lost_sales_order(paths, on_hand=on_hand, arrivals=arrivals, lead=2, review=2, ratio=ratio)
    for series in range(12):
        kept = [served_share(paths[:, series], on_hand[series], arrivals[series], order) for order in range(20)]
        assert found[series] == np.argmax(np.array(kept) >= ratio - 1e-9)


def served_share(paths, on_hand, arrivals, order) -> float:
    """Share of paths without a shortage in periods 2 and 3 after an order that comes in period 2."""
    served = 0
    for path in paths:
        stock, is_short = on_hand, False
        for period, demand in enumerate(path):
            stock += arrivals[period] + (order if period == 2 else 0)
            is_short |= period >= 2 and demand > stock
            stock = max(stock - demand, 0)
        served += not is_short
    return served / len(paths)


def test_paths_that_end_early_are_refused():
    paths, none = np.ones((3, 1, 2)), np.zeros((1, 2))
    with pytest.raises(ValueError, match="periods to 3 needs paths and arrivals of 3 periods"):
        lost_sales_order(paths, on_hand=np.ones(1), arrivals=none, lead=2, review=1, ratio=0.5)
    with pytest.raises(ValueError, match="followed to period 5 need paths and arrivals of 5 periods"):
        least_cost_order(
            paths, on_hand=np.ones(1), arrivals=none, lead=2, review=1, unit_cost=UnitCost(holding=0.2, shortage=1.0)
        )


@pytest.mark.parametrize(("lead", "review", "periods"), [(0, 1, 1), (1, 1, 3), (2, 1, 5), (2, 4, 10), (7, 7, 21)])
def test_orders_are_followed_to_the_first_that_can_react(lead, review, periods):
    """Decided every `review` periods; the first at which the cycle of this order is over arrives `lead` later."""
    decided = next(day for day in range(review, 99, review) if day >= lead + review)
    assert periods_ahead(lead, review) == periods == decided + lead


def least_cost_of(paths, *, on_hand=0.0, shortage=1.0, holding=0.2):
    count, ahead = paths.shape[1:]
    return least_cost_order(
        paths,
        on_hand=np.full(count, on_hand),
        arrivals=np.zeros((count, ahead)),
        lead=1,
        review=1,
        unit_cost=UnitCost(holding=holding, shortage=shortage),
    )


def test_known_demand_is_ordered_exactly():
    paths = np.repeat(np.array([[[2.0, 3.0, 4.0], [0.0, 0.0, 5.0]]]), 20, axis=0)
    assert least_cost_of(paths, on_hand=2.0).tolist() == [3, 0]


def test_the_least_cost_order_holds_less_than_the_newsvendors_and_more_where_a_sale_is_dear():
    rng = np.random.default_rng(2)
    paths = rng.poisson(rng.gamma(2.0, 2.0, size=(400, 30, 1)), size=(400, 30, 3)).astype(float)
    stock = {"on_hand": np.zeros(30), "arrivals": np.zeros((30, 3))}
    newsvendor = lost_sales_order(paths, **stock, lead=1, review=1, ratio=1 / 1.2)
    cheap, dear = least_cost_of(paths), least_cost_of(paths, shortage=8.0)
    assert cheap.mean() < newsvendor.mean() < dear.mean()


def test_the_least_cost_ratio_is_the_best_in_a_long_run_of_orders():
    """Poisson demand that is known to be so: its cost lies within 1 % of the best single ratio's."""
    rng = np.random.default_rng(5)
    paths = rng.poisson(1.5, size=(400, 1, 5)).astype(float)
    demand = rng.poisson(1.5, size=(400, 40))

    def cost(decide) -> float:
        on_hand, coming = np.full(400, 2.0), np.full((400, 2), 1.0)
        total, table = 0.0, {}
        for week in demand.T:
            stock = [(on_hand[i], *coming[i]) for i in range(400)]
            order = np.array([table.setdefault(s, decide(s)) if s not in table else table[s] for s in stock])
            net = on_hand + coming[:, 0] - week
            total += 0.2 * np.maximum(net, 0).sum() + np.maximum(-net, 0).sum()
            on_hand, coming = np.maximum(net, 0), np.column_stack([coming[:, 1], order])
        return total

    def arrivals(stock):
        return {"on_hand": np.array(stock[:1]), "arrivals": np.array([[*stock[1:], 0.0, 0.0, 0.0]])}

    def at(ratio):
        return lambda s: lost_sales_order(paths, **arrivals(s), lead=2, review=1, ratio=ratio)[0]

    ours = cost(lambda s: least_cost_order(paths, **arrivals(s), lead=2, review=1, unit_cost=UnitCost(0.2, 1.0))[0])
    assert ours <= 1.01 * min(cost(at(ratio)) for ratio in (0.6, 0.7, 0.75, 0.8, 1 / 1.2, 0.9))


def test_dispersion_of_poisson_sales_is_small_and_paths_keep_their_means():
    known = poisson_sales()
    found = Dispersion.of(known)
    assert np.median(found.weekly) < 0.1 and (found.lasting <= 0.8 * found.weekly + 1e-9).all()
    means = np.full((30, 3), 4.0)
    wide = Dispersion(np.full(30, 0.6), np.full(30, 0.3))
    paths = wide.paths(means, 20_000, np.random.default_rng(1))
    np.testing.assert_allclose(paths.mean(axis=(0, 1)), 4.0, rtol=0.02)
    assert paths.var(axis=0).mean() == pytest.approx(4 + 0.6 * 16, rel=0.05)
    first, last = paths[:, :, 0], paths[:, :, 2]
    assert (first * last).mean() - first.mean() * last.mean() == pytest.approx(0.3 * 16, rel=0.1)


def test_level_errors_that_last_are_found():
    rng = np.random.default_rng(7)
    level = np.repeat(rng.gamma(4.0, 1.0, size=(60, 30)), 3, axis=1)
    found = Dispersion.of(weekly_sales(rng.poisson(6 * level)))
    steady = Dispersion.of(weekly_sales(rng.poisson(24.0, size=(60, 90))))
    assert np.median(found.lasting) > 0.05 > 2 * np.median(steady.lasting)


def test_the_boosted_model_follows_a_product_and_sees_nothing_later():
    sales = poisson_sales(40, 120)
    model = BoostedModel.fit(sales.before(110))
    means = model.means(sales.before(112), 5)
    assert means.shape == (40, 5) and (means > 0).all()
    assert np.corrcoef(means.mean(axis=1), sales.units.mean(axis=1))[0, 1] > 0.9
    early = Features.of(sales).rows(105, 3)
    np.testing.assert_array_equal(early, Features.of(sales.before(105)).rows(105, 3))
    with pytest.raises(ValueError, match="forecasts 5 weeks, not 6"):
        model.means(sales, 6)


def test_too_few_weeks_are_refused():
    with pytest.raises(ValueError, match="needs more than 60 weeks, not 60"):
        BoostedModel.fit(poisson_sales(5, 60))
    with pytest.raises(ValueError, match="need more than 43 weeks, not 43"):
        Dispersion.of(poisson_sales(5, 43))


@pytest.mark.parametrize("rule", [base_stock, projected, least_cost])
def test_a_game_is_the_same_again_and_better_than_no_orders(rule):
    sales = poisson_sales()
    game = development_game(sales, 80)
    demand = DemandPaths(faded_average, Dispersion.of(game.known))
    score = play(game, rule(demand)).score
    assert play(game, rule(demand)).score == score < play(game, constant(0)).score / 2


def test_projection_beats_the_position_where_sales_are_lost():
    sales = poisson_sales(60)
    scores = dict.fromkeys((base_stock, least_cost), 0.0)
    for start, rule in product((60, 70, 80), scores):
        game = development_game(sales, start)
        scores[rule] += play(game, rule(DemandPaths(faded_average, Dispersion.of(game.known)))).score
    assert scores[least_cost] < scores[base_stock]


def folder_of(sales: WeeklySales, folder: Path) -> Path:
    keys = sales.groups[["Store", "Product"]]
    names = [str(week) for week in sales.weeks]
    for name, values in {"sales": sales.units, "in_stock": sales.in_stock}.items():
        pd.concat([keys, pd.DataFrame(values, columns=pd.Index(names))], axis=1).to_csv(
            folder / f"{name}.csv", index=False
        )
    sales.groups.to_csv(folder / "master.csv", index=False)
    return folder


def test_a_folder_is_read_and_later_flags_are_left_alone(tmp_path):
    sales = weekly_sales([[1, 2, 0], [3, 0, 1]], [[True, True, False], [True, True, True]])
    folder_of(sales, tmp_path)
    flags = pd.read_csv(tmp_path / "in_stock.csv").assign(**{"2023-01-23": False})
    flags.to_csv(tmp_path / "in_stock.csv", index=False)
    found = read_sales(tmp_path)
    np.testing.assert_array_equal(found.units, sales.units)
    np.testing.assert_array_equal(found.in_stock, sales.in_stock)
    np.testing.assert_array_equal(found.weeks, sales.weeks)
    assert found.iso_weeks(1).tolist() == [1, 2, 3, 4]


def test_a_folder_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"^There is no sales.csv, no in_stock.csv, no master.csv in .*; name the"):
        read_sales(tmp_path)
    folder_of(weekly_sales([[1, 2, 0], [3, 0, 1]]), tmp_path)
    whole = pd.read_csv(tmp_path / "sales.csv")
    whole.replace(2, -2).to_csv(tmp_path / "sales.csv", index=False)
    with pytest.raises(SystemExit, match="a week without a number of units of at least 0"):
        read_sales(tmp_path)
    whole.assign(**{"2023-01-23": 1}).to_csv(tmp_path / "sales.csv", index=False)
    with pytest.raises(SystemExit, match=r"in_stock.csv in .* lacks the week 2023-01-23 of sales.csv"):
        read_sales(tmp_path)
    whole.iloc[::-1].to_csv(tmp_path / "sales.csv", index=False)
    with pytest.raises(SystemExit, match="not of the same series in the same order"):
        read_sales(tmp_path)
