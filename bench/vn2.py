"""Orders in money: the VN2 Inventory Planning Challenge (SupChains, 2025) on six windows before its own weeks.

Usage: python -m bench.vn2 [FOLDER]

FOLDER holds sales.csv, in_stock.csv and master.csv of the challenge's week 0. Every rule meets every forecast; models
are trained on what was known when a window begins, and later weeks are known as the rule's own stock let them sell.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.coverage import covered
from bench.figures import Figure, at_least, at_most, publish, within
from bench.vn2_boosting import BoostedModel
from bench.vn2_data import WeeklySales, read_sales
from bench.vn2_paths import Dispersion
from bench.vn2_rules import DemandPaths, Means, base_stock, least_cost, organisers_rule, projected
from bench.vn2_seasonal import faded_average, seasonal_average
from bench.vn2_simulator import DEVELOPMENT_STARTS, LEAD_WEEKS, ORDERS, Costs, development_game, play

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "vn2"
PUBLISHED = (4215, 4345, 4786, 8919, 4593, 4064)
"""Cost of the organiser's rule in the windows, as the data folder's description gives it."""
RULES = {"base stock": base_stock, "projected": projected, "least cost": least_cost}
OURS_FORECAST = "boosted + faded"
OURS = f"least cost, {OURS_FORECAST}"
COST_LIMIT, WINDOWS_WON, SECONDS_LIMIT, COVERAGE_LIMIT = 4700, 5, 60.0, 2.0
_COVERAGE_LEVELS = (0.75, 0.833, 0.95)
Played = dict[str, list[Costs]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    publish("vn2", figures(read_sales(parser.parse_args().folder)))


def figures(sales: WeeklySales) -> list[Figure]:
    played: Played = {}
    judged: dict[str, list[Figure]] = {}
    for start in DEVELOPMENT_STARTS:
        shown, hidden = (development_game(sales, start, shows_demand=shows) for shows in (True, False))
        _add(played, "organiser's rule, demand shown", play(shown, organisers_rule))
        _add(played, "organiser's rule", play(hidden, organisers_rule))
        dispersion = Dispersion.of(hidden.known)
        forecasters_of = forecasters(hidden.known)
        for name, means in forecasters_of.items():
            demand = DemandPaths(means, dispersion)
            for label, rule in RULES.items():
                _add(played, f"{label}, {name}", play(hidden, rule(demand)))
            for figure in _accuracy(sales, start, demand):
                judged.setdefault(f"{name}: {figure.name}", []).append(figure)
        ours = DemandPaths(forecasters_of[OURS_FORECAST], dispersion)
        _add(played, f"{OURS}, demand shown", play(shown, least_cost(ours)))
    return [*_summary(played), *_mean_figures(judged), _first_order(sales), *_costs(played)]


def forecasters(known: WeeklySales) -> dict[str, Means]:
    """Ways to forecast, trained on what is known."""
    boosted = BoostedModel.fit(known)
    return {
        "seasonal average": seasonal_average,
        "faded average": faded_average,
        "boosted": boosted.means,
        OURS_FORECAST: lambda sales, ahead: (boosted.means(sales, ahead) + faded_average(sales, ahead)) / 2,
    }


def _add(played: Played, name: str, costs: Costs) -> None:
    played.setdefault(name, []).append(costs)


def _summary(played: Played) -> Iterator[Figure]:
    organiser = np.array([costs.score for costs in played["organiser's rule, demand shown"]])
    ours = np.array([costs.score for costs in played[OURS]])
    off = float(np.abs(organiser.round() - PUBLISHED).max())
    yield within("organiser's rule, demand shown: largest difference from its known cost", off, "", 0.0)
    yield at_most(f"{OURS}: mean cost", round(float(ours.mean()), 1), "", COST_LIMIT)
    yield at_least(f"{OURS}: windows won against the organiser", float((ours < organiser).sum()), "of 6", WINDOWS_WON)


def _costs(played: Played) -> Iterator[Figure]:
    """Mean over the windows, then cost, holding and shortage of each."""
    for name, windows in played.items():
        yield Figure(f"{name}: mean of windows", round(float(np.mean([costs.score for costs in windows])), 1), "")
        for start, costs in zip(DEVELOPMENT_STARTS, windows, strict=True):
            yield Figure(f"{name}, week {start}: cost", round(costs.score, 1), "")
            yield Figure(f"{name}, week {start}: holding", round(costs.scored_holding, 1), "")
            yield Figure(f"{name}, week {start}: shortage", round(costs.scored_shortage, 1), "")


def _accuracy(sales: WeeklySales, start: int, demand: DemandPaths) -> Iterator[Figure]:
    """Error of the third week's mean, and coverage of the third week and of three weeks, over a window's origins."""
    actual, mean, paths = [], [], []
    for origin in range(start, start + ORDERS):
        known = sales.before(origin)
        actual.append(sales.units[:, origin : origin + LEAD_WEEKS + 1])
        mean.append(demand.means(known, LEAD_WEEKS + 1)[:, -1])
        paths.append(demand.of(known)[:, :, : LEAD_WEEKS + 1])
    week = np.array(actual)[..., -1]
    yield Figure("WAPE of week 3", float(np.abs(week - mean).sum() / week.sum()), "")
    yield Figure("bias of week 3", float(np.sum(mean) / week.sum() - 1), "")
    for level in _COVERAGE_LEVELS:
        pairs = list(zip(actual, paths, strict=True))
        for name, part in (("week 3", slice(LEAD_WEEKS, None)), ("3 weeks", slice(None))):
            share = np.mean([_coverage(a[:, part].sum(axis=1), p[:, :, part].sum(axis=2), level) for a, p in pairs])
            yield Figure(f"coverage {level:g} of {name}", float(100 * (share - level)), "points from nominal")


def _coverage(actual: np.ndarray, paths: np.ndarray, level: float) -> float:
    """Share of whole quantities within the quantile of the paths, each unit spread evenly over the unit below it."""
    top = np.quantile(paths, level, axis=0, method="inverted_cdf")
    below, up_to = ((paths < top).mean(axis=0), (paths <= top).mean(axis=0))
    tied = np.where(top > 0, top - 1 + (level - below) / np.maximum(up_to - below, 1e-9), 0.0)
    return float(covered(actual, tied, (paths == 0).mean(axis=0), level=level).mean())


def _mean_figures(judged: dict[str, list[Figure]]) -> Iterator[Figure]:
    for name, found in judged.items():
        value = float(np.mean([figure.value for figure in found]))
        if "coverage" in name and name.startswith(OURS_FORECAST):
            yield within(name, value, found[0].unit, COVERAGE_LIMIT)
        else:
            yield Figure(name, round(value, 4), found[0].unit)


def _first_order(sales: WeeklySales) -> Figure:
    """Training, dispersion, paths and the first order from all weeks of the folder."""
    started = time.monotonic()
    game = development_game(sales, sales.week_count)
    demand = DemandPaths(forecasters(game.known)[OURS_FORECAST], Dispersion.of(game.known))
    least_cost(demand)(game.known, game.opening)
    return at_most("time to the first order", time.monotonic() - started, "s", SECONDS_LIMIT)


if __name__ == "__main__":
    main()
