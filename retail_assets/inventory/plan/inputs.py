"""What a plan is made from: frames as of one closed day."""

from dataclasses import dataclass
from datetime import date

import pandas as pd


@dataclass(frozen=True)
class PlanInputs:
    """Everything the plan of a day knows beside its policies; all frames are as of `as_of`.

    Attributes:
        as_of: last closed day.
        cumulative: store_id, product_id, horizon_days, mean_units, p_zero, q025 … q995.
        on_hand: store_id, product_id, on_hand_units.
        open_orders: store_id, product_id, supplier_id, ordered_date, promised_date, open_units; optionally is_undated
            (the date is assumed) and is_misbooked, which are named.
        decisions: approved, without a purchase order yet: store_id, product_id, order_units, expected_delivery_date;
            with decided_at, in the zone of the stores, they are named two days after it at the latest.
        terms: a row for each series carried, those without a supplier cannot be ordered: store_id, product_id,
            supplier_id, pack_units, moq_units, shelf_max_units, unit_cost, shelf_life_days, lead_time_days,
            min_order_value; optionally presentation_min_units, and carried_until and carried_again_from, the last day
            the series is carried and the first day it is carried again, missing where no end is known, and
            source_choice, why this supplier, for the reason.
        order_days: supplier_id, location_id, order_weekday.
        delays: supplier_id, delay_days, probability.
        prices: store_id, product_id, unit_price, unit_step; optionally price_source, for the reason.
        receipts: store_id, product_id, received_date, received_units: the age of the stock; without them it is fresh.
        segments: store_id, product_id, abc_class.
        closed_days: store_id, product_id, business_date of days to come on which a series does not sell; between the
            stored horizons of the forecast its demand falls on the other days.
        past_sales: store_id, product_id, sold_units of the last year, stock_days of it, days on which it could be
            bought, and deepest_discount_rate, the deepest discount its department gave; without them no order is
            measured by what was sold, and no discount by what was given.
        promotions: store_id, product_id, business_date, discount_rate of the promoted days to come.
        approved_proposals: proposal_ids that are approved or on a purchase order: their names are not given again.
    """

    as_of: date
    cumulative: pd.DataFrame
    on_hand: pd.DataFrame
    open_orders: pd.DataFrame
    decisions: pd.DataFrame
    terms: pd.DataFrame
    order_days: pd.DataFrame
    delays: pd.DataFrame
    prices: pd.DataFrame
    receipts: pd.DataFrame | None = None
    segments: pd.DataFrame | None = None
    closed_days: pd.DataFrame | None = None
    past_sales: pd.DataFrame | None = None
    promotions: pd.DataFrame | None = None
    approved_proposals: frozenset[str] = frozenset()
