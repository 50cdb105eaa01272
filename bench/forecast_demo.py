"""The demo retailer's stored forecasts beside an oracle that knows the simulator's expected demand.

Usage: python -m bench.forecast_demo HOME     (HOME is the RETAIL_HOME of a finished `make run`)

What the oracle gets wrong is chance, so the ratio of errors says how much a better forecast could still gain.
"""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from deltalake import DeltaTable

from bench.figures import Figure, at_most, publish, within

LIMIT = 1.05
NEW_DAYS = 28
SETTLED_DAYS = 63
_KEYS = ["store_id", "product_id"]


def figures(home: Path) -> list[Figure]:
    """Errors over all as-of days and horizons that a `make run` in `home` stored and whose demand has come."""
    rows = _segmented(_judged(home), home)
    return [
        *_unconstrained(home),
        *_ratios(rows, "all", np.full(len(rows), "all")),
        *_ratios(rows, "ABC class", rows["abc_class"]),
    ] + [
        *_ratios(rows, "age", np.where(rows["age_days"] <= NEW_DAYS, "new products", "known products")),
        *_ratios(rows, "horizon", "days " + rows["bucket"]),
    ]


def _unconstrained(home: Path) -> list[Figure]:
    """Estimated against true demand of the days that stock limited, after the first weeks."""
    columns = ["business_date", *_KEYS, "censoring", "sold_units", "unconstrained_units", "discount_rate"]
    rows = DeltaTable(str(home / "demo/lake/gold/demand_daily")).to_pandas(columns=columns)
    limited = rows.loc[rows["censoring"].isin(["full", "partial"])].rename(columns={"business_date": "target_date"})
    limited["target_date"] = pd.to_datetime(limited["target_date"])
    known = limited.merge(_truth(home), on=["target_date", *_KEYS])
    known = known.loc[known["target_date"] >= known["target_date"].min() + pd.Timedelta(days=SETTLED_DAYS)]
    kinds = {"all": known, "promoted": known.query("discount_rate > 0"), "plain": known.query("discount_rate == 0")}
    figures = []
    for name, part in kinds.items():
        bias = part[["sold_units", "unconstrained_units"]].astype(float).sum() / part["demanded_units"].sum() - 1
        label = f"demo, stock-out days, {name}: bias of"
        figures.append(Figure(f"{label} sales", round(100 * bias["sold_units"], 2), "%"))
        figures.append(within(f"{label} unconstrained demand", 100 * bias["unconstrained_units"], "%", 2.0))
    return figures


def _truth(home: Path) -> pd.DataFrame:
    query = "SELECT business_date AS target_date, store_id, product_id, expected_units, demanded_units FROM true_demand"
    with sqlite3.connect(home / "demo/source.db") as database:
        truth = pd.read_sql_query(query, database)
    return truth.assign(target_date=pd.to_datetime(truth["target_date"]))


def _judged(home: Path) -> pd.DataFrame:
    columns = ["as_of_date", "store_id", "product_id", "target_date", "horizon_days", "mean_units"]
    made = DeltaTable(str(home / "demo/lake/forecast/demand_forecast")).to_pandas(columns=columns)
    truth = _truth(home)
    for name in ("as_of_date", "target_date"):
        made[name] = pd.to_datetime(made[name])
    first = truth.groupby(_KEYS, as_index=False).agg(first_day=("target_date", "min"))
    known = made.merge(truth, on=["target_date", *_KEYS]).merge(pd.DataFrame(first), on=_KEYS)
    return known.assign(
        age_days=(known["as_of_date"] - known["first_day"]).dt.days + 1,
        bucket=np.array(["1-7", "8-14", "15-21", "22-28"])[np.minimum((known["horizon_days"] - 1) // 7, 3)],
    )


def _segmented(rows: pd.DataFrame, home: Path) -> pd.DataFrame:
    """The ABC class of each series as of its forecast."""
    columns = ["valid_from", *_KEYS, "abc_class"]
    classes: pd.DataFrame = DeltaTable(str(home / "demo/lake/gold/product_segments")).to_pandas(columns=columns)
    classes = classes.assign(valid_from=pd.to_datetime(classes["valid_from"])).sort_values(by="valid_from")
    found = pd.merge_asof(
        rows.sort_values("as_of_date"),
        classes,
        left_on="as_of_date",
        right_on="valid_from",
        by=_KEYS,
    )
    return found.assign(abc_class=found["abc_class"].fillna("not classed"))


def _ratios(rows: pd.DataFrame, kind: str, label) -> Iterator[Figure]:
    squares = pd.DataFrame(
        {
            "ours": (rows["mean_units"] - rows["demanded_units"]) ** 2,
            "oracle": (rows["expected_units"] - rows["demanded_units"]) ** 2,
            "error": rows["mean_units"] - rows["expected_units"],
            "expected": rows["expected_units"],
        }
    )
    for name, part in squares.groupby(np.asarray(label)):
        ratio = float(np.sqrt(part["ours"].sum() / part["oracle"].sum()))
        yield at_most(f"demo, {kind} {name}: root mean squared error / oracle's", ratio, "ratio", LIMIT)
        yield Figure(
            f"demo, {kind} {name}: bias against expected", round(part["error"].sum() / part["expected"].sum(), 4), ""
        )


if __name__ == "__main__":
    publish("forecast_demo", figures(Path(sys.argv[1])))
