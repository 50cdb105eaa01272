"""The dense view of demand all forecasting reads: series by days, and what is known of the days ahead.

Rows become arrays here and nowhere else, so that the mathematics never groups frames. Models, features
and scores do not belong here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from retail_assets.demand.bulk_sales import without_bulk
from retail_assets.demand.plan_lead import IN_TIME, PlanLead, carried
from retail_assets.failures import PermanentFailure
from retail_assets.tables.silver import EVERY

SERIES_COLUMNS = ("store_id", "product_id", "region", "department", "category")
DEMAND_COLUMNS = (
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
)
_FUTURE_COLUMNS = ("business_date", "store_id", "product_id", "unit_price", "discount_rate", "is_open")
_EVENT_COLUMNS = ("event_date", "event_name", "event_type", "region")
_LEAST_UNITS = 1e-6
"""Less is nothing: sources hold thousandths, and what a division leaves behind must not be a product's level."""
_SETTLING_DAYS = 56
"""Zeros before the first sale count as demand only this far back: longer ones are a product not yet launched."""

_RHYTHM_SHARE = 0.1
"""Types of events on more than this share of all days, as benefit days, are no reason to sell five times as much."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Demand of n series on T days to `as_of`, and their regressors on the `horizon` days H after it.

    `units` (n, T) is NaN on days that say nothing of demand: not ranged, closed, feed missing. `price`,
    `discount_rate` and `is_open` are (n, T + H). `events` holds past and coming events; region `*` is every one.
    `lead` (n, T + H) says how long ahead the plan of each day was known; without it all were known in time.
    """

    series: pd.DataFrame
    first_date: date
    as_of: date
    horizon: int
    units: np.ndarray
    is_censored: np.ndarray
    price: np.ndarray
    discount_rate: np.ndarray
    is_open: np.ndarray
    events: pd.DataFrame
    lead: PlanLead | None = None

    @property
    def series_count(self) -> int:
        return self.units.shape[0]

    @property
    def day_count(self) -> int:
        return self.units.shape[1]

    @property
    def dates(self) -> np.ndarray:
        """All T + H days as datetime64[D]."""
        return np.datetime64(self.first_date) + np.arange(self.day_count + self.horizon)

    @property
    def future_is_open(self) -> np.ndarray:
        return self.is_open[:, self.day_count :]

    @cached_property
    def demand(self) -> np.ndarray:
        """`units` without the zeros before a product was launched and without sales in bulk."""
        sold = self.units > 0
        first_sale = np.where(sold.any(axis=1), sold.argmax(axis=1), self.day_count)
        start = np.minimum(first_sale, max(self.day_count - _SETTLING_DAYS, 0))
        launched = np.where(np.arange(self.day_count) < start[:, None], np.nan, self.units)
        is_promoted = self.discount_rate[:, : self.day_count] > 0
        return without_bulk(launched, is_explained=is_promoted | _occasions(self))

    def through(self, day: date) -> "Panel":
        """The panel as it was when `day` was the last closed one; what follows is future, as it was planned then."""
        days = (day - self.first_date).days + 1
        if not 1 <= days <= self.day_count:
            raise ValueError(f"{day} lies outside the panel's history {self.first_date} to {self.as_of}")
        known = slice(days + self.horizon)
        price, discount = self.planned(days)
        return replace(
            self,
            as_of=day,
            units=self.units[:, :days],
            is_censored=self.is_censored[:, :days],
            price=price,
            discount_rate=discount,
            is_open=self.is_open[:, known],
            lead=self.lead and self.lead.of(slice(None), known),
        )

    def planned(self, origin: int, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Price and discount of some series as known when `origin` days had closed, both (rows, origin + H)."""
        known = slice(origin + self.horizon)
        price, discount = self.price[rows, known], self.discount_rate[rows, known]
        if self.lead is None:
            return price, discount
        return self.lead.of(rows, known).seen(price, discount, origin=origin)

    def take(self, rows: np.ndarray) -> "Panel":
        """The panel of the chosen series."""
        arrays = ("units", "is_censored", "price", "discount_rate", "is_open")
        chosen = {name: getattr(self, name)[rows] for name in arrays}
        series = self.series.iloc[rows].reset_index(drop=True)
        return replace(self, series=series, lead=self.lead and self.lead.of(rows), **chosen)

    def last_days(self, days: int) -> "Panel":
        """The panel with at most `days` days of history."""
        cut = max(self.day_count - days, 0)
        return replace(
            self,
            first_date=self.first_date + timedelta(days=cut),
            units=self.units[:, cut:],
            is_censored=self.is_censored[:, cut:],
            price=self.price[:, cut:],
            discount_rate=self.discount_rate[:, cut:],
            is_open=self.is_open[:, cut:],
            lead=self.lead and self.lead.of(slice(None), slice(cut, None)),
        )


def _occasions(panel: Panel) -> np.ndarray:
    """Days of a known event in the series' region, (n, T), but for types on more than a tenth of all days."""
    region, names = pd.factorize(panel.series["region"].astype(str))
    days = panel.dates[: panel.day_count]
    found = np.zeros((len(names), len(days)), dtype=bool)
    for _, events in panel.events.groupby("event_type"):
        on = pd.to_datetime(events["event_date"]).to_numpy().astype("datetime64[D]")
        if np.isin(days, on).mean() <= _RHYTHM_SHARE:
            for number, name in enumerate(names):
                found[number] |= np.isin(days, on[events["region"].isin([EVERY, name]).to_numpy()])
    return found[region]


@dataclass(frozen=True)
class _Grid:
    """Where a row of a frame belongs in the arrays."""

    stores: pd.Index
    products: pd.Index
    row_of: np.ndarray
    first_date: np.datetime64

    @classmethod
    def of(cls, series: pd.DataFrame, first_date: np.datetime64) -> "_Grid":
        stores, products = pd.Index(series["store_id"].unique()), pd.Index(series["product_id"].unique())
        row_of = np.full((len(stores) + 1, len(products) + 1), -1, dtype=np.int32)
        row_of[stores.get_indexer(series["store_id"]), products.get_indexer(series["product_id"])] = range(len(series))
        return cls(stores, products, row_of, first_date)

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        return self.row_of[_codes(frame, "store_id", self.stores), _codes(frame, "product_id", self.products)]

    def days(self, frame: pd.DataFrame) -> np.ndarray:
        return (_days(frame) - self.first_date).astype(np.int64)


def _codes(frame: pd.DataFrame, column: str, index: pd.Index) -> np.ndarray:
    """Positions in `index`; -1, the spare last cell of the grid, for a value that is not in it."""
    values = pd.Series(frame[column])
    if isinstance(values.dtype, pd.CategoricalDtype):
        return np.append(index.get_indexer(values.cat.categories), -1)[values.cat.codes.to_numpy()]
    return index.get_indexer(pd.Index(values))


def _days(frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(pd.to_datetime(frame["business_date"])).astype("datetime64[D]")


def build_panel(
    demand: pd.DataFrame,
    *,
    series: pd.DataFrame,
    future: pd.DataFrame,
    events: pd.DataFrame,
    as_of: date,
    horizon: int,
) -> Panel:
    """Turns rows of gold.demand_daily up to `as_of` and the plan of the coming days into a panel.

    Rows of series that are not in `series` (no longer ranged) and days after `as_of` are left out.

    Raises:
        PermanentFailure: a frame lacks columns, or there is no series or no day of history.
    """
    _require(demand, DEMAND_COLUMNS, "demand")
    _require(series, SERIES_COLUMNS, "series")
    _require(future, _FUTURE_COLUMNS, "future")
    _require(events, _EVENT_COLUMNS, "events")
    series = _clean_series(series)
    days = _days(demand)
    known = days <= np.datetime64(as_of)
    if series.empty or not known.any():
        raise PermanentFailure(
            f"There is nothing to forecast as of {as_of}: {len(series)} series and {int(known.sum())} rows of "
            "gold/demand_daily; materialise gold/demand_daily for earlier days first."
        )
    first = days[known].min()
    grid = _Grid.of(series, first)
    day_count = int((np.datetime64(as_of) - first).astype(int)) + 1
    cells = _cells(grid, demand, limit=day_count)
    ahead = _cells(grid, future, limit=day_count + horizon)
    shape = (len(series), day_count + horizon)
    is_open = _open_days(cells, ahead, shape)
    units, is_censored = _observed(cells, is_open[:, :day_count])
    return Panel(
        series=series,
        first_date=first.astype(date),
        as_of=as_of,
        horizon=horizon,
        units=units,
        is_censored=is_censored,
        price=_prices(cells, ahead, shape),
        discount_rate=_discounts(cells, ahead, shape),
        is_open=is_open,
        events=_clean_events(events),
    )


def with_plan_lead(panel: Panel, *, discounts: pd.DataFrame, prices: Sequence[pd.DataFrame]) -> Panel:
    """The panel whose earlier views do not see plans that came late.

    Args:
        panel: what is known now.
        discounts: business_date, store_id, product_id and known_on, the first as-of day that knew, of the promoted
            days planned late; all others were planned in time.
        prices: the same of days with prices, in any number of frames.
    """
    if all(rows.empty for rows in (discounts, *prices)):
        return panel
    return replace(panel, lead=PlanLead(_lead_days(panel, [discounts]), _lead_days(panel, prices)))


def _lead_days(panel: Panel, late: Sequence[pd.DataFrame]) -> np.ndarray:
    grid = _Grid.of(panel.series, np.datetime64(panel.first_date))
    lead = np.full(panel.price.shape, IN_TIME, dtype=np.int8)
    for rows in late:
        cells = _cells(grid, rows, limit=len(panel.dates))
        known_on = np.asarray(pd.to_datetime(rows["known_on"])).astype("datetime64[D]")[cells.kept]
        lead[cells.row, cells.day] = np.clip((panel.dates[cells.day] - known_on).astype(np.int64), 0, IN_TIME)
    return lead


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise PermanentFailure(f"The {name} rows given to the forecast lack {', '.join(missing)}; add these columns.")


def _clean_series(series: pd.DataFrame) -> pd.DataFrame:
    named = series.loc[:, list(SERIES_COLUMNS)].astype(object)
    return named.where(named.notna(), "").drop_duplicates(["store_id", "product_id"]).reset_index(drop=True)


def _clean_events(events: pd.DataFrame) -> pd.DataFrame:
    named = events.loc[:, list(_EVENT_COLUMNS)].copy()
    named["event_date"] = pd.to_datetime(named["event_date"])
    named["region"] = named["region"].fillna(EVERY).replace("", EVERY)
    named["event_type"] = named["event_type"].fillna("event").astype(str)
    named["event_name"] = named["event_name"].astype(str)
    return named.sort_values(["event_date", "event_name", "region"], ignore_index=True)


@dataclass(frozen=True)
class _Cells:
    """The rows of a frame that fall inside the arrays, and where."""

    frame: pd.DataFrame
    kept: np.ndarray
    row: np.ndarray
    day: np.ndarray

    def values(self, column: str) -> np.ndarray:
        return np.asarray(pd.to_numeric(self.frame[column], errors="coerce"), dtype=np.float64)[self.kept]

    def flags(self, column: str) -> np.ndarray:
        return self.frame[column].fillna(False).to_numpy(dtype=bool)[self.kept]


def _cells(grid: _Grid, frame: pd.DataFrame, *, limit: int) -> _Cells:
    row, day = grid.rows(frame), grid.days(frame)
    kept = np.flatnonzero((row >= 0) & (day >= 0) & (day < limit))
    return _Cells(frame, kept, row[kept], day[kept])


def _open_days(cells: _Cells, ahead: _Cells, shape: tuple[int, int]) -> np.ndarray:
    """A day nobody speaks of counts as open: a forecast too many is seen, a missing one is not."""
    is_open = np.ones(shape, dtype=bool)
    for part in (ahead, cells):
        is_open[part.row, part.day] = part.flags("is_open")
    return is_open


def _observed(cells: _Cells, is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sold, demanded = cells.values("sold_units"), cells.values("unconstrained_units")
    value = np.where(np.isfinite(demanded), demanded, sold)
    says_nothing = ~np.isfinite(value) | cells.flags("is_feed_missing")
    units = np.full(is_open.shape, np.nan)
    units[cells.row, cells.day] = np.where(says_nothing, np.nan, np.where(value < _LEAST_UNITS, 0.0, value))
    units[~is_open] = np.nan
    is_censored = np.zeros(is_open.shape, dtype=bool)
    is_censored[cells.row, cells.day] = cells.frame["censoring"].isin(("partial", "full")).to_numpy()[cells.kept]
    return units, is_censored


def _prices(cells: _Cells, ahead: _Cells, shape: tuple[int, int]) -> np.ndarray:
    """Prices carried forward over days without one, then back to days before the first."""
    price = np.full(shape, np.nan, dtype=np.float32)
    for part in (ahead, cells):
        values = part.values("unit_price")
        price[part.row, part.day] = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    forward = carried(price)
    return carried(forward[:, ::-1])[:, ::-1]


def _discounts(cells: _Cells, ahead: _Cells, shape: tuple[int, int]) -> np.ndarray:
    discount = np.zeros(shape, dtype=np.float32)
    for part in (ahead, cells):
        discount[part.row, part.day] = np.clip(np.nan_to_num(part.values("discount_rate")), 0.0, 1.0)
    return discount
