"""One decision of an order: the plan of a night and the first morning of a replay order the same units."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from retail_assets.inventory.order_levels import Caps, OrderLevels
from retail_assets.inventory.parameters import PlanPolicy, Policies
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.inventory.replay.replay import Replay
from retail_assets.inventory.replay.world import ReplayInputs
from retail_assets_tests.unit.replay_frames import MONDAY, poisson_retailer

TARGET = 0.9
EVE = MONDAY - timedelta(days=1)


def ordered_by_the_plan(inputs: ReplayInputs, policies: Policies) -> pd.Series:
    cumulative = inputs.cumulative
    plan = replenishment_plan(
        PlanInputs(
            as_of=EVE,
            cumulative=cumulative.loc[cumulative["as_of_date"] == EVE],
            on_hand=inputs.opening,
            open_orders=pd.DataFrame(
                columns=["store_id", "product_id", "supplier_id", "ordered_date", "promised_date", "open_units"]
            ),
            decisions=pd.DataFrame(
                columns=["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"]
            ),
            terms=inputs.terms.assign(min_order_value=None),
            order_days=inputs.order_days.assign(location_id="*"),
            delays=inputs.delays,
            prices=inputs.terms[["store_id", "product_id", "unit_price"]].assign(unit_step=1.0),
            past_sales=inputs.past_sales,
        ),
        policies,
    )
    return plan.set_index(["store_id", "product_id"])["order_units"]


@pytest.mark.parametrize(
    ("terms", "policy"),
    [
        ({}, {}),
        ({"pack_units": 12.0}, {}),
        ({"moq_units": 10.0, "pack_units": 4.0}, {}),
        ({"shelf_max_units": 7.0}, {}),
        ({"presentation_min_units": 15.0}, {}),
        ({"shelf_life_days": 3.0, "unit_price": 2.2}, {}),
        ({"shelf_life_days": 3.0, "unit_price": 2.2}, {"min_remaining_days": 1, "shelf_life_cap": "target"}),
        ({"pack_units": 6.0}, {"service_measure": "fill"}),
    ],
)
def test_plan_and_replay_order_the_same(terms, policy):
    frames = poisson_retailer(14, 42, mean=2.0, horizons=list(range(1, 9)), order_weekdays=[])
    columns = {"shelf_life_days": None, "shelf_max_units": None, "presentation_min_units": None} | terms
    frames["terms"] = frames["terms"].assign(**columns)
    frames["opening"] = frames["opening"].assign(on_hand_units=np.arange(14.0) % 9)
    inputs, policies = ReplayInputs(**frames), Policies(PlanPolicy(service_level=TARGET, **policy))
    run = next(Replay.of(inputs, policies=policies).runs())
    replayed = pd.Series(run.trace("forecast", TARGET).ordered[:, 0], index=run.world.series)
    planned = ordered_by_the_plan(inputs, policies).reindex(replayed.index, fill_value=0.0)
    assert replayed.sum() > 0
    assert planned.to_dict() == replayed.to_dict()


def test_caps_round_down_to_packs_and_never_below_the_line_minimum():
    levels = OrderLevels(
        trigger=np.array([9.0, 9.0, 9.0, -np.inf]),
        up_to=np.full(4, 10.0),
        caps=Caps(np.array([np.inf, 8.0, 8.0, np.inf]), np.full(4, np.inf)),
    )
    steps = levels.quantities(
        np.full(4, 1.0), pack_units=np.full(4, 3.0), line_minimum_units=np.array([0.0, 0.0, 7.0, 0.0])
    )
    assert steps.need.tolist() == [9, 9, 9, 0]
    assert steps.after_pack.tolist() == [9, 9, 9, 0]
    assert steps.after_cap.tolist() == [9, 6, 0, 0]
