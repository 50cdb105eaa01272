"""The textbook cases of the inventory mathematics: what comes out beside what must come out, and beside stockpyl.

Closed forms are judged to the digits of the textbook, simulations within their chance.
"""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
from scipy import stats

from bench import textbook
from bench.figures import Figure
from retail_assets.arrays import Array
from retail_assets.demand.effects.censoring import Censoring, TradingDays, unconstrain
from retail_assets.inventory import policies
from retail_assets.inventory.distribution import Demand
from retail_assets.inventory.simulator import OpeningStock, Supply, UnmetDemand, simulate

ORACLE_LIMIT = 1e-6
_SIMULATED = 0.003
_SHOPS, _DAYS, _WARM_UP = 3000, 300, 21


def figures() -> list[Figure]:
    return [*_newsvendor(), *_order_policies(), *_service(), *_simulations(), *_distributions(), *_oracle()]


def equal(name: str, value: float, expected: float, *, within: float) -> Figure:
    """A value that must come out; `target` is what the textbook says."""
    met = bool(abs(value - expected) <= within)
    return Figure(name, round(float(value), 6), "", expected, met, f"±{within:g} of")


def _newsvendor() -> Iterator[Figure]:
    normal = (((0.18, 0.70, 50, 8), (56.603956, 1.997605)), ((2, 18, 120, 10), (132.815516, 35.099666)))
    for (over, under, mean, sd), expected in normal:
        best = textbook.newsvendor_normal(over, under, mean=mean, sd=sd)
        yield from _pair(f"1 newsvendor N({mean}, {sd})", best, expected)
    for (over, under, mean), expected in (((0.18, 0.70, 50), (56, 1.797235)), ((1, 4, 6), (8, 3.570107))):
        best = textbook.newsvendor_poisson(over, under, mean=mean)
        yield from _pair(f"2 newsvendor Poisson({mean})", best, expected)


def _pair(name: str, found: tuple[float, float], expected: tuple[float, float]) -> Iterator[Figure]:
    for what, value, wanted in zip(("level", "cost"), found, expected, strict=True):
        yield equal(f"{name}: {what}", value, wanted, within=1e-6)


def _order_policies() -> Iterator[Figure]:
    best = textbook.s_S_poisson(1, 4, order_cost=5, mean=6)
    for what, value, wanted in zip(("s", "S", "cost"), best, (4, 10, 8.034112), strict=True):
        yield equal(f"3 (s, S) Poisson(6): {what}", value, wanted, within=1e-6)
    exact = textbook.r_Q_poisson(20, 150, order_cost=100, demand_rate=1.5, lead_time=2)
    for what, value, wanted in zip(("r", "Q", "cost"), exact, (3, 5, 107.923581), strict=True):
        yield equal(f"4 (r, Q) Poisson: {what}", value, wanted, within=1e-6)
    quantity = textbook.economic_order_quantity(8, 0.225, demand_rate=1300).order_units
    yield equal("4 EOQ", quantity, 304.04678, within=1e-5)


def _service() -> Iterator[Figure]:
    periodic = textbook.periodic_order_up_to(0.90, demand_mean=2500, demand_sd=500, review=4, lead_time=2)
    yield equal("5 (R, S): safety stock", periodic.safety_stock_units, 1569.57, within=0.005)
    yield equal("5 (R, S): S", periodic.order_up_to_units, 16569.57, within=0.005)
    service = textbook.cycle_service_normal(6000, order_units=10000, demand_mean=2500, demand_sd=500, lead_time=2)
    for what, value, wanted, limit in zip(
        ("cycle service", "shortage", "fill rate"),
        service,
        (0.92135, 25.127, 0.997487),
        (5e-6, 5e-4, 5e-7),
        strict=True,
    ):
        yield equal(f"5 reorder point: {what}", value, wanted, within=limit)


def _simulations() -> Iterator[Figure]:
    cases: tuple[tuple[str, int, UnmetDemand, float, float], ...] = (
        ("6", 9, "backorder", 0.9161, 0.9255),
        ("6", 10, "backorder", 0.9574, 0.9634),
        ("7", 9, "lost", 0.9420, 0.9525),
        ("7", 10, "lost", 0.9688, 0.9751),
    )
    for row, level, unmet, cycle, fill in cases:
        found = _long_run(2, level=level, review=1, lead=2, unmet_demand=unmet)
        yield equal(f"{row} Poisson 2 a day, S {level}, {unmet}: cycle service", found[0], cycle, within=_SIMULATED)
        yield equal(f"{row} Poisson 2 a day, S {level}, {unmet}: fill rate", found[1], fill, within=_SIMULATED)
    level = _poisson(2 * 5).quantile(0.95)[0]
    yield equal("6 R 3, L 2: smallest S for 0.95", level, 15, within=0)
    found = _long_run(2, level=15, review=3, lead=2, unmet_demand="backorder")
    yield equal("6 R 3, L 2, S 15: cycle service", found[0], 0.9513, within=_SIMULATED)
    for unmet in ("backorder", "lost"):
        found = _long_run(6, level=8, review=1, lead=0, unmet_demand=unmet)
        yield equal(f"7 L 0, S 8, λ 6, {unmet}: cycle service", found[0], 0.847237, within=_SIMULATED)
        yield equal(f"7 L 0, S 8, λ 6, {unmet}: fill rate", found[1], 0.947663, within=_SIMULATED)


def _long_run(mean: float, *, level: int, review: int, lead: int, unmet_demand: UnmetDemand) -> tuple[float, float]:
    """Cycle service and fill rate of a base-stock policy under Poisson demand."""
    demand = np.random.default_rng(11).poisson(mean, (_SHOPS, _DAYS)).astype(float)
    can_order = np.zeros(demand.shape, dtype=bool)
    can_order[:, ::review] = True
    trace = simulate(
        demand,
        OpeningStock(np.full(_SHOPS, float(level))),
        supply=Supply(can_order, np.full(demand.shape, lead), np.zeros(demand.shape), np.zeros(demand.shape)),
        policy=lambda state: level - state.position,
        unmet_demand=unmet_demand,
    )
    first = _WARM_UP // review * review + lead
    ends = range(first + review, _DAYS, review)
    failed = np.array([trace.has_failed[:, end - review : end].any(axis=1) for end in ends])
    scored = slice(first, ends[-1])
    return float(1 - failed.mean()), float(1 - trace.unmet[:, scored].sum() / demand[:, scored].sum())


def _distributions() -> Iterator[Figure]:
    ten = _poisson(10)
    yield equal(
        "8 (R, nQ) Poisson 10, Q 12: s", policies.reorder_point_with_packs(ten, 12, target=0.95)[0], 11, within=0
    )
    yield equal("8 its service", policies.mean_cycle_service(ten, 12, reorder_point=11)[0], 0.955763, within=1e-6)
    rounded_up = policies.mean_cycle_service(ten, 12, reorder_point=14)[0]
    yield equal("8 S 15 rounded up to packs: service", rounded_up, 0.991377, within=1e-6)
    late = Demand.mix([0.8, 0.2], [_poisson(12), _poisson(24)])
    yield equal("9 delay mixture: S", late.quantile(0.95)[0], 27, within=0)
    yield equal("9 delay mixture: F(27)", late.cdf(27)[0], 0.953504, within=1e-6)
    normal = stats.norm.ppf(0.95, 14.4, np.sqrt(14.4 + 16 * 9 * 0.16))
    yield equal("9 normal moments would give", round(float(normal), 1), 24.5, within=0)
    yield equal("9 demand at the mean horizon would give", _poisson(14.4).quantile(0.95)[0], 21, within=0)
    start, estimate = _censored()
    yield equal("10 Poisson 5 capped at 5: mean of uncensored days", start, 3.008, within=0.002)
    yield equal("10 Poisson 5 capped at 5: maximum likelihood", estimate, 5.0, within=0.002)
    yield equal("10 seven daily q95 of Poisson 2", 7 * _poisson(2).quantile(0.95)[0], 35, within=0)
    yield equal("10 cumulative q95 of the same week", _poisson(14).quantile(0.95)[0], 20, within=0)


def _censored() -> tuple[float, float]:
    """The same quantiles of Poisson 5 on every weekday; the last days hold nothing but their level."""
    count = 277
    values = stats.poisson.ppf((np.arange(count) + 0.5) / count, 5)
    demand = np.repeat(np.random.default_rng(0).permutation(values), 7)
    sales = np.append(np.minimum(demand, 5), np.zeros(8))[None, :]
    code = np.append(np.where(demand >= 5, Censoring.FULL, Censoring.NONE), [Censoring.FULL] * 8)[None, :]
    weekday = np.arange(sales.shape[1]) % 7 + 1
    units, _ = unconstrain(TradingDays(sales, code.astype(np.int8), weekday), window_days=10**6, dispersion=0.0)
    return float(values[values < 5].mean()), float(units[0, -1])


def _oracle() -> Iterator[Figure]:
    """Largest relative difference to stockpyl over its published instances; without it, a figure that says so."""
    if find_spec("stockpyl") is None:
        yield Figure("stockpyl is not installed: compared with its published figures only", 0, "")
        return
    with warnings.catch_warnings():
        # its docstrings hold escape sequences that Python warns of when it compiles them
        warnings.simplefilter("ignore")
        pairs = list(_oracle_pairs())
    gaps = [np.max(np.abs(np.asarray(ours) - theirs) / np.maximum(np.abs(theirs), 1)) for ours, theirs in pairs]
    worst = float(max(gaps))
    yield Figure("stockpyl: values compared", sum(len(np.atleast_1d(theirs)) for _, theirs in pairs), "")
    yield Figure("stockpyl: largest difference", worst, "", ORACLE_LIMIT, worst <= ORACLE_LIMIT)


def _oracle_pairs() -> Iterator[tuple[Array, Array]]:
    from stockpyl import eoq, newsvendor
    from stockpyl.rq import r_q_poisson_exact
    from stockpyl.ss import s_s_discrete_exact

    for over, under, mean, sd in ((0.18, 0.70, 50, 8), (2, 18, 120, 10)):
        ours = textbook.newsvendor_normal(over, under, mean=mean, sd=sd)
        yield np.array(ours), np.array(newsvendor.newsvendor_normal(over, under, mean, sd))
    for over, under, mean in ((0.18, 0.70, 50), (1, 4, 6)):
        ours = textbook.newsvendor_poisson(over, under, mean=mean)
        yield np.array(ours), np.array(newsvendor.newsvendor_poisson(over, under, mean))
    for held, short, fixed, mean in ((1, 4, 5, 6), (0.5, 20, 10, 3), (2, 3, 30, 0.4)):
        pair = textbook.s_S_poisson(held, short, order_cost=fixed, mean=mean)
        yield np.array(pair), np.array(s_s_discrete_exact(held, short, fixed, True, mean))
    for held, short, fixed, rate, lead in ((20, 150, 100, 1.5, 2), (1, 9, 64, 5, 3)):
        exact = textbook.r_Q_poisson(held, short, order_cost=fixed, demand_rate=rate, lead_time=lead)
        yield np.array(exact), np.array(r_q_poisson_exact(held, short, fixed, rate, lead))
    found = textbook.economic_order_quantity(8, 0.225, demand_rate=1300)
    yield np.array(found), np.array(eoq.economic_order_quantity(8, 0.225, 1300))
    breaks = [(0, 0.75), (400, 0.72), (800, 0.68)]
    best = textbook.economic_order_quantity_with_breaks(8, 0.3, demand_rate=1300, breaks=breaks)
    theirs = eoq.economic_order_quantity_with_all_units_discounts(8, 0.3, 1300, [0, 400, 800], [0.75, 0.72, 0.68])
    yield np.array(best), np.array([theirs[0], theirs[2]])


def _poisson(mean: float) -> Demand:
    pmf = stats.poisson.pmf(np.arange(400), mean)
    return Demand.from_pmf(pmf / pmf.sum())
