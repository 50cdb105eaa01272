"""What discounts do, told by sales: the elasticity a simulation was given, and demand behind sold-out promotions."""

import numpy as np
import pytest

from retail_assets.demand.effects.censoring import TradingDays
from retail_assets.demand.effects.promotion_response import lifts, response
from retail_assets.transforms.demand import LOOKBACK_DAYS, unconstrained_day

DAYS, STORES, PRODUCTS = 240, 8, 30


def _chain(seed: int) -> dict[str, np.ndarray]:
    """Poisson demand of products with an elasticity each, promoted a week in five at a discount each."""
    rng = np.random.default_rng(seed)
    product = np.repeat(np.arange(PRODUCTS), STORES)
    elasticity = rng.uniform(1.0, 4.0, PRODUCTS)
    week = np.arange(DAYS) // 7
    rate = np.where(
        (week[None, :] + np.arange(PRODUCTS)[:, None]) % 5 == 0, rng.choice([0.1, 0.2, 0.3], (PRODUCTS, 1)), 0.0
    )
    weekday = np.arange(DAYS) % 7 + 1
    usual = rng.lognormal(0.8, 0.5, (len(product), 1)) * np.where(weekday >= 5, 1.3, 0.8)[None, :]
    discount = rate[product]
    mean = usual * (1 - discount) ** -elasticity[product][:, None]
    demand = rng.poisson(mean).astype(float)
    return {
        "product": product,
        "elasticity": elasticity,
        "discount": discount,
        "weekday": weekday,
        "usual": usual,
        "mean": mean,
        "demand": demand,
    }


def test_the_elasticity_of_each_product_is_found():
    chain = _chain(1)
    found = response(
        chain["demand"],
        chain["usual"],
        discount_rate=chain["discount"],
        exposure=np.ones(chain["demand"].shape),
        product=chain["product"],
    )
    error = np.log(chain["mean"] / chain["usual"]) - found.log_lift(chain["discount"])
    promoted = chain["discount"] > 0
    assert abs(error[promoted].mean()) < 0.02 and np.abs(error[promoted]).mean() < 0.06
    assert (error[~promoted] == 0).all()


def test_lifts_need_no_knowledge_of_usual_sales_and_are_one_without_a_discount():
    chain = _chain(2)
    seen = np.ones(chain["demand"].shape)
    known = {"exposure": seen, "weekday": chain["weekday"], "product": chain["product"]}
    found = lifts(chain["demand"], discount_rate=chain["discount"], **known)
    promoted = chain["discount"] > 0
    assert (chain["usual"] * found)[promoted].sum() == pytest.approx(chain["mean"][promoted].sum(), rel=0.03)
    assert (found[~promoted] == 1).all()
    assert (lifts(chain["demand"], discount_rate=np.zeros(seen.shape), **known) == 1).all()


def test_nothing_sold_or_seen_leaves_the_first_guess_and_no_one_buys_less_for_a_discount():
    sold, rate = np.zeros((2, 10)), np.full((2, 10), 0.2)
    unseen = response(sold, sold + 1, discount_rate=rate, exposure=np.zeros((2, 10)), product=np.array([0, 1]))
    assert unseen.elasticity == pytest.approx([1.5, 1.5])
    worse = response(sold, sold + 50, discount_rate=rate, exposure=np.ones((2, 10)), product=np.array([0, 1]))
    assert (worse.elasticity >= 0).all() and (worse.log_lift(rate) >= 0).all()


def test_demand_of_sold_out_days_is_unbiased_with_promotions_and_without():
    """Stock for the usual day runs out when the last unit is sold, at a moment the record tells."""
    chain, rng = _chain(3), np.random.default_rng(4)
    demand, stock = chain["demand"], np.maximum(rng.poisson(chain["usual"] * 1.3), 1.0)
    stock = np.where(rng.random(stock.shape) < 0.3, stock, np.inf)
    sold, is_out = np.minimum(demand, stock), demand >= stock
    share = np.where(is_out, rng.beta(np.where(is_out, sold, 1), np.where(is_out, demand - sold, 0) + 1), 1.0)
    code = np.where(is_out, 2, 0).astype(np.int8)
    units = np.full(demand.shape, np.nan)
    for day in range(LOOKBACK_DAYS, DAYS):
        past = slice(day - LOOKBACK_DAYS, day + 1)
        days = TradingDays(sold[:, past], code[:, past], chain["weekday"][past], available_rate=share[:, past])
        units[:, [day]], _ = unconstrained_day(days, discount=chain["discount"][:, past], product=chain["product"])
    scored = is_out & np.isfinite(units)
    promoted = chain["discount"] > 0
    for kind in (scored, scored & ~promoted, scored & promoted):
        assert units[kind].sum() / demand[kind].sum() == pytest.approx(1, abs=0.02)
    assert (units[scored] >= sold[scored]).all()
    assert sold[scored].sum() / demand[scored].sum() < 0.8
