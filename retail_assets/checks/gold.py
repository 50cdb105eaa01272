"""Gold: contracts, and the money and rows of the source arrive in the facts to the cent."""

from decimal import Decimal

import ibis

from retail_assets.checks.contract import contract_checks
from retail_assets.checks.declare import Finding, Rows, TableCheck, failing_rows, layer_checks
from retail_assets.checks.reconciliation import rows_reconcile, sales_reconcile
from retail_assets.tables import bronze, gold, silver


def report_adds_up(rows: Rows) -> Finding:
    """The report's money is the fact's."""
    facts, report = rows.of(gold.FACT_SALES), rows.of(gold.SALES_SUMMARY)
    there = report.aggregate(rows=report.line_count.sum(), value=report.net_value.sum()).to_pyarrow().to_pylist()[0]
    found = (int(there["rows"] or 0), Decimal(there["value"] or 0))
    return _equal(_counted(facts, facts.net_value), found, names=("fact", "report"))


def demand_holds_all_sales(rows: Rows) -> Finding:
    """Units sold and brought back are those of the fact."""
    facts, demand = rows.of(gold.FACT_SALES), rows.of(gold.DEMAND_DAILY)
    sold = facts.quantity.cast("float64").sum().to_pyarrow().as_py() or 0.0
    held = (demand.sold_units - demand.returned_units).sum().to_pyarrow().as_py() or 0.0
    return Finding(
        passed=abs(sold - held) <= 1e-6 * max(abs(sold), 1.0),
        sentence=f"{sold:.3f} units in fact_sales, {held:.3f} in demand_daily.",
        figures={"fact_units": sold, "demand_units": held},
    )


def demand_covers_sales(rows: Rows) -> Finding:
    """Unconstrained demand is never below what was sold."""
    demand = rows.of(gold.DEMAND_DAILY)
    below = demand.filter(demand.unconstrained_units < demand.sold_units)
    count = below.count().to_pyarrow().as_py()
    return Finding(
        passed=count == 0,
        sentence=f"{count} rows have less demand than sales.",
        figures={"rows_below": count},
        failing=failing_rows(below, gold.DEMAND_DAILY, "sold_units", "unconstrained_units") if count else (),
    )


def _counted(rows: ibis.Table, value: ibis.Value) -> tuple[int, Decimal]:
    found = rows.aggregate(rows=rows.count(), value=value.sum()).to_pyarrow().to_pylist()[0]
    return int(found["rows"]), Decimal(found["value"] or 0)


def _equal(left: tuple[int, Decimal], right: tuple[int, Decimal], *, names: tuple[str, str]) -> Finding:
    return Finding(
        passed=left == right,
        sentence=f"{names[0]}: {left[0]} rows worth {left[1]:.2f}; {names[1]}: {right[0]} rows worth {right[1]:.2f}.",
        figures={f"{names[0]}_value": str(left[1]), f"{names[1]}_value": str(right[1])},
    )


CHECKS = [
    layer_checks(
        "gold_checks",
        [
            *contract_checks(*gold.TABLES),
            sales_reconcile(),
            rows_reconcile(bronze.INVENTORY, silver.INVENTORY, gold.FACT_INVENTORY),
            TableCheck(
                gold.SALES_SUMMARY, "report_adds_up", "Rows and money of fact and report are equal.", report_adds_up
            ),
            TableCheck(
                gold.DEMAND_DAILY,
                "demand_holds_all_sales",
                "Units of fact and demand are equal.",
                demand_holds_all_sales,
            ),
            TableCheck(gold.DEMAND_DAILY, "demand_covers_sales", "Demand is at least sales.", demand_covers_sales),
        ],
    )
]
