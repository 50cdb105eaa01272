"""From the lake's tables to the panel of a day: what the forecast and training assets share.

Reads are lazy and pruned; one `History` serves all as-of days of a run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import pandas as pd

from retail_assets.calendar import Calendar
from retail_assets.demand.panel import Panel, build_panel
from retail_assets.transforms.days import within
from retail_assets.transforms.planning import Knowledge
from retail_assets.windows import Window

_COLUMNS = [
    "business_date",
    "store_id",
    "product_id",
    "sold_units",
    "unconstrained_units",
    "unit_price",
    "discount_rate",
    "is_open",
    "is_feed_missing",
    "censoring",
]


@dataclass(frozen=True)
class History:
    """Demand rows of a run's as-of days and the training days before them, in memory once."""

    demand: pd.DataFrame
    snapshots: Mapping[str, ibis.Table]
    calendar: Calendar
    horizon_days: int
    history_days: int

    @classmethod
    def of(
        cls,
        demand: ibis.Table,
        as_of: Window,
        *,
        snapshots: Mapping[str, ibis.Table],
        calendar: Calendar,
        horizon_days: int,
        history_days: int,
    ) -> "History":
        """Loads the demand of the as-of days and of `history_days` before the first of them."""
        rows = within(demand, as_of.extended(days_before=history_days - 1)).select(_COLUMNS).to_pandas()
        for column in ("store_id", "product_id"):
            rows[column] = rows[column].astype("category")
        rows["business_date"] = pd.to_datetime(rows["business_date"])
        return cls(rows, snapshots, calendar, horizon_days, history_days)

    def panel(self, as_of: date) -> tuple[Panel, Knowledge]:
        """The panel of an as-of day, and what else was known then."""
        knowledge = Knowledge.on(as_of, self.snapshots)
        first = as_of - timedelta(days=self.history_days - 1)
        days = self.demand["business_date"]
        panel = build_panel(
            self.demand[days.between(pd.Timestamp(first), pd.Timestamp(as_of))],
            series=knowledge.series(),
            future=knowledge.plan(self.horizon_days),
            events=knowledge.events(self.calendar.holidays(first, as_of + timedelta(days=self.horizon_days))),
            as_of=as_of,
            horizon=self.horizon_days,
        )
        return panel, knowledge
