"""A plan with other parameters beside the stored day's own: totals by supplier, and nothing in the lake is touched.

Both plans are computed anew from the same inputs, so that they differ in the parameters alone.
"""

from dataclasses import dataclass
from datetime import date

import ibis
import pandas as pd

from retail_assets.as_of_day.history import Snapshots
from retail_assets.as_of_day.stock_state import DayState
from retail_assets.engines.protocol import Engine
from retail_assets.failures import PermanentFailure
from retail_assets.inventory.parameters import Policies
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.retailer import Calendar
from retail_assets.tables import forecast, gold

TOTAL = "total"
_MONEY = ("order_value", "lost_margin_avoided_value")


@dataclass(frozen=True)
class Comparison:
    """Totals before and after, by supplier and in all.

    `totals` has supplier_id and, each as `before` and `after`, lines, order_units, order_value,
    lost_margin_avoided_value, expected_waste_units and predicted_service_rate (mean over ordered lines). `unmatched`
    are the scopes of the parameters tried that no line belongs to.
    """

    as_of: date
    totals: pd.DataFrame
    changed_lines: int
    unmatched: tuple[str, ...] = ()


def compare(
    engine: Engine, calendar: Calendar, *, before: Policies, after: Policies, as_of: date | None = None
) -> Comparison:
    """The plan of a day, the newest forecast one by default, under both sets of parameters.

    Raises:
        PermanentFailure: there is no forecast of that day, or nothing to plan with.
    """
    cumulative = engine.scan_or_empty(forecast.CUMULATIVE_FORECAST)
    day = _planned_day(cumulative, as_of)
    snapshots = Snapshots(engine, calendar.zone)  # what it read lives as long as it does
    state = DayState.of(
        snapshots.on(day),
        cumulative=cumulative,
        stock=engine.scan_or_empty(gold.FACT_INVENTORY),
        demand_rows=engine.scan_or_empty(gold.DEMAND_DAILY),
        segments=engine.scan_or_empty(gold.PRODUCT_SEGMENTS),
    )
    if state.on_hand.empty or state.supply.terms.empty:
        raise PermanentFailure(f"There is nothing to plan as of {day}: the source delivers no stock or no suppliers.")
    plans = [replenishment_plan(state.plan, policies) for policies in (before, after)]
    return Comparison(day, totals(*plans), changed_lines(*plans), after.unmatched(_identifiers(state)))


def _identifiers(state: DayState) -> dict[str, set[str]]:
    """What the lines of a plan can be addressed by, for each scope of the parameters."""
    terms = state.supply.terms
    columns = {"suppliers": "supplier_id", "stores": "store_id", "products": "product_id"}
    classes = state.segments.merge(terms[["store_id", "product_id"]])["abc_class"]
    found = {scope: terms[column].dropna() for scope, column in columns.items()} | {"classes": classes}
    return {scope: set(values.astype(str)) for scope, values in found.items()}


def _planned_day(cumulative: ibis.Table, as_of: date | None) -> date:
    """Raises: PermanentFailure: there is no forecast of the day asked for, or of any."""
    forecast_days = cumulative if as_of is None else cumulative.filter(cumulative.as_of_date == as_of)
    day = forecast_days.as_of_date.max().to_pyarrow().as_py()
    if day is None:
        raise PermanentFailure(
            f"There is no forecast as of {as_of or 'any day'} to plan with: run retail-assets run first."
        )
    return day


def totals(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Sums of both plans by supplier, the last row for all."""
    both = _by_supplier(before).join(_by_supplier(after), how="outer", lsuffix="_before", rsuffix="_after")
    both = both.reindex([*sorted(both.index.drop(TOTAL)), TOTAL])
    return both.rename_axis("supplier_id").reset_index()


def changed_lines(before: pd.DataFrame, after: pd.DataFrame) -> int:
    """Lines whose order differs, those in one plan only included."""
    units = [plan.set_index("proposal_id")["order_units"].astype(float) for plan in (before, after)]
    first, second = units[0].align(units[1], fill_value=0.0)
    return int((first != second).sum())


def _by_supplier(plan: pd.DataFrame) -> pd.DataFrame:
    ordered = plan.loc[plan["order_units"] > 0]
    twice = pd.concat([ordered, ordered.assign(supplier_id=TOTAL)])
    groups = twice.groupby("supplier_id")
    sums = {
        name: groups[name].apply(lambda values: sum(value for value in values if value is not None)) for name in _MONEY
    }
    found = pd.DataFrame(
        {
            "lines": groups.size(),
            "order_units": groups["order_units"].sum(),
            **sums,
            "expected_waste_units": groups["expected_waste_units"].sum(),
            "predicted_service_rate": groups["predicted_service_rate"].mean(),
        }
    )
    return found if TOTAL in found.index else found.reindex([*found.index, TOTAL])
