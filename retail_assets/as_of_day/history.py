"""From the lake's tables to the panel of a day: what the forecast and training assets share.

Reads are lazy and pruned; one `History` serves all as-of days of a run.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

import ibis
import numpy as np
import pandas as pd

from retail_assets.as_of_day.snapshot import KEYS, SNAPSHOTS, AsOfSnapshot
from retail_assets.demand.opening import LEARNING_DAYS
from retail_assets.demand.panel import DEMAND_COLUMNS, Panel, build_panel, with_plan_lead
from retail_assets.engines.protocol import Engine
from retail_assets.failures import PermanentFailure
from retail_assets.retailer import Calendar
from retail_assets.tables.gold import DEMAND_DAILY, FACT_SALES, LIST_PRICE, SALE_LINES
from retail_assets.transforms.as_of import known_on, known_until, seen_by
from retail_assets.transforms.days import within
from retail_assets.transforms.demand import ClosedWeekdays, assortment_from_sales, learnt_closed_weekdays
from retail_assets.transforms.late_plans import late_discounts, late_prices
from retail_assets.windows import Window

_READ = (*DEMAND_COLUMNS, "price_source")


class Snapshots:
    """The snapshots as known on any day, computed once for all days that saw the same versions."""

    def __init__(self, engine: Engine, zone: tzinfo = UTC) -> None:
        self._engine, self._zone = engine, zone
        self._versions = {name: engine.scan(table) for name, table in SNAPSHOTS.items()}
        self._seen = {name: _seen(rows) for name, rows in self._versions.items()}
        self._key: tuple[int, ...] | None = None
        self._tables: Mapping[str, ibis.Table] = {}
        self._is_assortment_assumed = False
        self._kept = ExitStack()

    def on(self, as_of: date) -> AsOfSnapshot:
        """What was known when `as_of` had closed."""
        end = known_until(as_of, self._zone)
        key = tuple(bisect_left(seen, end) for seen in self._seen.values())
        if key != self._key:
            self._kept.close()
            self._tables = _WhenAsked(list(self._versions), lambda name: self._known(name, as_of))
            _ = self._tables["assortment"]  # computing it says whether it is assumed
            self._key = key
        return AsOfSnapshot(as_of, self._tables, self._zone, self._is_assortment_assumed)

    def late_plans(self, panel: Panel) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The promoted and the priced days of a panel planned late, from the versions that its last day had seen.

        Both have business_date, store_id, product_id and known_on, the first as-of day that knew.
        """
        days = Window(panel.first_date, panel.as_of + timedelta(days=panel.horizon))
        series = ibis.memtable(panel.series[["store_id", "product_id"]])
        asked = {"series": series, "horizon_days": panel.horizon, "zone": self._zone}
        seen = {name: seen_by(self._versions[name], panel.as_of, self._zone) for name in ("promotions", "prices")}
        discounts = late_discounts(days, promotions=seen["promotions"], **asked)
        prices = late_prices(days, prices=seen["prices"], **asked)
        return discounts.to_pandas(), prices.to_pandas()

    def _known(self, name: str, as_of: date) -> ibis.Table:
        known = known_on(self._versions[name], key=KEYS[name], as_of=as_of, zone=self._zone)
        rows = self._kept.enter_context(self._engine.cached(known))
        if name != "assortment":
            return rows
        self._is_assortment_assumed = not rows.count().to_pyarrow().as_py()  # there was none then
        if not self._is_assortment_assumed:
            return rows
        sold = assortment_from_sales(self._engine.scan(FACT_SALES))
        return self._kept.enter_context(self._engine.cached(sold))


class _WhenAsked(Mapping[str, ibis.Table]):
    """Tables by name, each computed when it is first asked for: a forecast asks for no purchase orders."""

    def __init__(self, names: Sequence[str], compute: Callable[[str], ibis.Table]) -> None:
        self._names, self._compute = names, compute
        self._computed: dict[str, ibis.Table] = {}

    def __getitem__(self, name: str) -> ibis.Table:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._computed:
            self._computed[name] = self._compute(name)
        return self._computed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _seen(versions: ibis.Table) -> list[datetime]:
    """The moments at which versions were first seen, ascending."""
    moments = versions.select("first_seen_at").distinct().to_pyarrow().column("first_seen_at")
    return sorted(moment.astimezone(UTC) for moment in moments.to_pylist())


def training_panel(engine: Engine, through: date, *, calendar: Calendar, horizon_days: int, history_days: int) -> Panel:
    """What a training whose last day is `through` learns from.

    Raises:
        PermanentFailure: the day was not ingested.
    """
    as_of = Window(through, through)
    history = History.read(engine, as_of, calendar=calendar, horizon_days=horizon_days, history_days=history_days)
    return history.training_panel(through)


@dataclass(frozen=True)
class History:
    """Demand rows of a run's as-of days and the training days before them, in memory once."""

    demand: pd.DataFrame
    snapshots: Snapshots
    calendar: Calendar
    horizon_days: int
    history_days: int

    @classmethod
    def read(
        cls, engine: Engine, as_of: Window, *, calendar: Calendar, horizon_days: int, history_days: int
    ) -> "History":
        """As `of`, from the tables of the lake."""
        return cls.of(
            engine.scan(DEMAND_DAILY, [as_of.extended(days_before=history_days)]),
            as_of,
            snapshots=Snapshots(engine, calendar.zone),
            calendar=calendar,
            horizon_days=horizon_days,
            history_days=history_days,
        )

    @classmethod
    def of(
        cls,
        demand: ibis.Table,
        as_of: Window,
        *,
        snapshots: Snapshots,
        calendar: Calendar,
        horizon_days: int,
        history_days: int,
    ) -> "History":
        """Loads the demand of the as-of days and of `history_days` before the first of them."""
        table = within(demand, as_of.extended(days_before=history_days - 1)).select(*_READ).to_pyarrow()
        for place, column in enumerate(_READ):
            if column in ("store_id", "product_id", "censoring", "price_source"):
                table = table.set_column(place, column, table.column(column).dictionary_encode())
        rows = table.to_pandas(date_as_object=False)
        return cls(rows, snapshots, calendar, horizon_days, history_days)

    def panel(self, as_of: date) -> tuple[Panel, AsOfSnapshot]:
        """The panel of an as-of day, and what else was known then.

        Raises:
            PermanentFailure: the day was not ingested.
        """
        snapshot = replace(self.snapshots.on(as_of), learnt_closed=learnt_closed_weekdays(self._sold(as_of), as_of))
        first = as_of - timedelta(days=self.history_days - 1)
        days = self.demand["business_date"]
        if not (days == pd.Timestamp(as_of)).any():
            raise PermanentFailure(f"gold/demand_daily has no rows of {as_of}: ingest that day before it is forecast.")
        panel = build_panel(
            self.demand.loc[days.between(pd.Timestamp(first), pd.Timestamp(as_of))],
            series=snapshot.series(),
            future=snapshot.plan(self.horizon_days),
            events=snapshot.events(self.calendar.holidays(first, as_of + timedelta(days=self.horizon_days))),
            as_of=as_of,
            horizon=self.horizon_days,
        )
        return closed_before(panel, snapshot.closed_weekdays()), snapshot

    def training_panel(self, as_of: date) -> Panel:
        """The panel of an as-of day that knows how long ahead its plans were known; raises what `panel` raises.

        Nobody plans the prices that come from sale lines or product lists: they are known on their day.
        """
        panel, _ = self.panel(as_of)
        discounts, prices = self.snapshots.late_plans(panel)
        is_unplanned = self.demand["price_source"].isin([SALE_LINES, LIST_PRICE])
        unplanned = self.demand.loc[is_unplanned, ["business_date", "store_id", "product_id"]]
        unplanned = unplanned[unplanned["business_date"] <= pd.Timestamp(as_of)]
        days = unplanned.assign(known_on=unplanned["business_date"])
        return with_plan_lead(panel, discounts=discounts, prices=[prices, days])

    def _sold(self, as_of: date) -> pd.DataFrame:
        """business_date, store_id and sold_products of the days that closed weekdays are learnt from."""
        days, units = self.demand["business_date"], self.demand["sold_units"]
        first = pd.Timestamp(as_of - timedelta(days=LEARNING_DAYS - 1))
        rows = self.demand.loc[days.between(first, pd.Timestamp(as_of)) & (units > 0), ["business_date", "store_id"]]
        counts = rows.groupby(["business_date", "store_id"], observed=True).size().reset_index(name="sold_products")
        return counts.astype({"store_id": str})


def closed_before(panel: Panel, closed: ClosedWeekdays) -> Panel:
    """The panel in which a weekday closed now was closed since its last sale, also before that could be learnt.

    gold.demand_daily calls the first such days a missing feed. Left unknown, no week with one could be scored.
    """
    if not closed:
        return panel
    store = panel.series["store_id"].to_numpy()
    weekday = (panel.dates[: panel.day_count].astype("datetime64[D]").astype(int) + 3) % 7 + 1
    is_open = panel.is_open.copy()
    for name, weekdays in closed.items():
        rows = np.flatnonzero(store == name)
        sold = np.any(panel.units[rows] > 0, axis=0)
        for number in weekdays:
            days = np.flatnonzero(weekday == number)
            last = np.max(days[np.take(sold, days)], initial=-1)
            is_open[np.ix_(rows, days[days > last])] = False
    is_open[:, : panel.day_count] |= np.isfinite(panel.units)
    return replace(panel, is_open=is_open)
