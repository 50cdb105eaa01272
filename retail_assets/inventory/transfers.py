"""Transfers between stores: excess of one against the shortage another cannot order away in time.

Frames as of a day in, rows of inventory/transfer_proposals out. What counts as excess and as risk is health.py's.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retail_assets.arrays import Array, Days
from retail_assets.inventory.health import AT_RISK_PROBABILITY, COVER_DAYS, StockInputs, StockState, excess_units
from retail_assets.inventory.money import money
from retail_assets.tables.inventory import TRANSFER_PROPOSALS


@dataclass(frozen=True)
class TransferCosts:
    """What moving costs, in the currency of the prices."""

    line_value: float = 5.0
    unit_value: float = 0.10


def transfer_proposals(inputs: StockInputs, costs: TransferCosts | None = None) -> pd.DataFrame:
    """Rows of inventory/transfer_proposals, the most rewarding first.

    A store gives only what it holds above the 0.99 quantile of its 28 days' demand; a store receives when it would run
    out before its next possible delivery with a probability above 0.10. Goods move overnight. The quantity is where
    one more unit no longer pays; a move is proposed when the margin it saves exceeds its cost. Greedy by net benefit:
    in each round every product makes its best move, from the store with the most to give.
    """
    if inputs.held().empty:
        return TRANSFER_PROPOSALS.schema.empty_table().to_pandas()
    market = _Market.of(StockState.of(inputs), costs or TransferCosts())
    while market.trade():
        pass
    return market.proposals(inputs.as_of)


@dataclass
class _Market:
    """Givers with what is left, receivers with what they got; `giver_product` and `product` number the products."""

    receivers: StockState
    costs: TransferCosts
    product: Days
    margin: Array
    wanted: Array
    got: Array
    giver_store: NDArray[np.object_]
    giver_product: Days
    left: Array
    moves: list[pd.DataFrame] = field(default_factory=list)

    @classmethod
    def of(cls, state: StockState, costs: TransferCosts) -> "_Market":
        product = np.asarray(state.series.codes[1], dtype=np.int64)
        margin = np.nan_to_num(state.unit_price - state.unit_cost)
        step = _step(state)
        spare = np.floor(excess_units(state, state.cover_demand()) / step + 1e-9) * step
        giving = np.flatnonzero(spare > 0)
        is_short = (state.shortage()[0] > AT_RISK_PROBABILITY) & (margin > costs.unit_value) & (spare <= 0)
        receiving = np.flatnonzero(is_short & np.isin(product, product[giving]))
        receivers = state.take(receiving)
        return cls(
            receivers=receivers,
            costs=costs,
            product=product[receiving],
            margin=margin[receiving],
            wanted=_wanted(receivers, margin[receiving], costs),
            got=np.zeros(len(receiving)),
            giver_store=state.series.get_level_values(0).to_numpy(dtype=object)[giving],
            giver_product=product[giving],
            left=spare[giving],
        )

    def trade(self) -> bool:
        """Make the best move of every product; False when none pays."""
        giver = self._fullest_giver()
        open_rows = np.flatnonzero((self.wanted > self.got) & (self.left[giver] > 0)) if len(giver) else giver
        if not len(open_rows):
            return False
        giver = giver[open_rows]
        units = np.minimum(self.wanted[open_rows] - self.got[open_rows], self.left[giver])
        some = self.receivers.take(open_rows)
        before, after = some.shortage(self.got[open_rows])[1], some.shortage(self.got[open_rows] + units)[1]
        saved = self.margin[open_rows] * (before - after)
        cost = self.costs.line_value + self.costs.unit_value * units
        moves = pd.DataFrame({"receiver": open_rows, "giver": giver, "units": units, "saved": saved, "cost": cost})
        moves = moves.assign(net=saved - cost, lost=before, spare=self.left[giver], product=self.product[open_rows])
        best = moves.loc[moves["net"] > 0].sort_values("net", ascending=False, kind="stable").drop_duplicates("product")
        self.got[best["receiver"]] += best["units"]
        self.left[best["giver"]] -= best["units"]
        self.moves.append(best)
        return len(best) > 0

    def _fullest_giver(self) -> Days:
        """Giver of each receiver's product with the most left."""
        order = np.lexsort((-self.left, self.giver_product))
        first = order[np.searchsorted(self.giver_product[order], self.product)] if len(order) else order
        return first.astype(np.int64)

    def proposals(self, as_of: date) -> pd.DataFrame:
        moves = pd.concat(self.moves) if self.moves else pd.DataFrame()
        if moves.empty:
            return TRANSFER_PROPOSALS.schema.empty_table().to_pandas()
        moves = moves.sort_values("net", ascending=False, kind="stable", ignore_index=True)
        receiver, giver = moves["receiver"].to_numpy(), moves["giver"].to_numpy()
        series = self.receivers.series.take(receiver)
        frame = pd.DataFrame(
            {
                "as_of_date": as_of,
                "product_id": series.get_level_values(1),
                "from_store_id": self.giver_store[giver],
                "to_store_id": series.get_level_values(0),
                "transfer_units": moves["units"],
                "lost_margin_avoided_value": money(moves["saved"]),
                "transfer_cost_value": money(moves["cost"]),
            }
        )
        frame["net_benefit_value"] = frame["lost_margin_avoided_value"] - frame["transfer_cost_value"]
        delivery = [as_of + timedelta(days=int(days)) for days in self.receivers.delivery_days[receiver]]
        told = zip(frame["to_store_id"], moves["lost"], delivery, frame["from_store_id"], moves["spare"], strict=True)
        frame["reason"] = [
            f"{to} would lose {lost:.1f} units before a delivery on {day}; "
            f"{giving} holds {spare:g} more than {COVER_DAYS} days need."
            for to, lost, day, giving, spare in told
        ]
        return frame


def _step(state: StockState) -> Array:
    """Whole units also for goods sold by weight: nobody moves half a crate for its fraction."""
    return np.maximum(state.forecast.unit_step, 1.0)


def _wanted(receivers: StockState, margin: Array, costs: TransferCosts) -> Array:
    """Units up to which one more pays: the stock where P(D > stock) falls to cost over margin."""
    if not len(margin):
        return margin
    level = np.clip(1 - costs.unit_value / margin, 1e-6, 1 - 1e-6)
    target = receivers.delivery_demand().quantile(level)
    missing = target - np.maximum(receivers.stock, 0.0) - receivers.arriving
    step = _step(receivers)
    return np.maximum(np.floor(missing / step + 1e-9) * step, 0.0)
