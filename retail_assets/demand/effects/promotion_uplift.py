"""What past promotions brought, product by product: units sold beyond usual demand, beside what the model expects.

Days without a discount before the day give the usual demand. How forecasts use promotions is in `known_effects`.
"""

import numpy as np
import pandas as pd

from retail_assets.demand.effects.known_effects import PROMOTION_MEMORY_DAYS, known_effects, usual_demand
from retail_assets.demand.models.baselines import group_codes
from retail_assets.demand.panel import Panel

COLUMNS = (
    "product_id",
    "department",
    "promoted_days",
    "mean_discount_rate",
    "demand_units",
    "usual_units",
    "uplift_units",
    "lift",
    "expected_lift",
)


def promotion_uplift(panel: Panel) -> pd.DataFrame:
    """One row for each product that was promoted in the last year, `COLUMNS`.

    `lift` is demand on promoted days over usual demand of the same days, `expected_lift` what the model expected of
    them before their week. Series without usual days before a promotion are left out, as are days whose stock says
    nothing of demand.
    """
    days = slice(max(panel.day_count - PROMOTION_MEMORY_DAYS, 0), panel.day_count)
    demand, discount = panel.demand[:, days], panel.discount_rate[:, days]
    usual = usual_demand(panel)[:, days]
    effects = known_effects(panel).past
    expected = usual if effects is None else usual * effects[:, days]
    is_promoted = (discount > 0) & np.isfinite(demand) & (np.nan_to_num(usual) > 0)
    product = group_codes(panel.series, ["product_id"])
    sums = {
        "promoted_days": is_promoted.sum(axis=1).astype(float),
        "mean_discount_rate": np.where(is_promoted, discount, 0.0).sum(axis=1),
        "demand_units": np.where(is_promoted, demand, 0.0).sum(axis=1),
        "usual_units": np.where(is_promoted, usual, 0.0).sum(axis=1),
        "expected_units": np.where(is_promoted, expected, 0.0).sum(axis=1),
    }
    by_product = pd.DataFrame({name: np.bincount(product, values) for name, values in sums.items()})
    names = panel.series.loc[:, ["product_id", "department"]].groupby(product).first()
    return _rates(pd.concat([names, by_product], axis=1).loc[by_product["promoted_days"] > 0])


def _rates(rows: pd.DataFrame) -> pd.DataFrame:
    made = rows.assign(
        mean_discount_rate=rows["mean_discount_rate"] / rows["promoted_days"],
        uplift_units=rows["demand_units"] - rows["usual_units"],
        lift=rows["demand_units"] / rows["usual_units"],
        expected_lift=rows["expected_units"] / rows["usual_units"],
    )
    return made.loc[:, list(COLUMNS)].reset_index(drop=True)
