"""What forecasting and ordering know on a day: series carried, plans of days to come, terms, open orders.

Everything is read as it was known when the as-of day had closed; nothing that happened later shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo

import ibis
import pandas as pd

from retail_assets.inventory.sourcing import LONGEST_WAIT_DAYS, best_offers, valid_when_ordered
from retail_assets.tables import entities, silver
from retail_assets.transforms.approvals import answered
from retail_assets.transforms.as_of import end_of_day
from retail_assets.transforms.days import day_table
from retail_assets.transforms.demand import (
    ClosedWeekdays,
    carried,
    carried_spans,
    given_closed_weekdays,
    planned_days_off,
    with_promotions,
    with_terms,
)
from retail_assets.windows import Window

SNAPSHOTS = {
    table.name: table
    for table in (
        silver.STORES,
        silver.PRODUCTS,
        silver.SUPPLIERS,
        silver.SUPPLIER_CALENDAR,
        silver.SOURCING,
        silver.ASSORTMENT,
        silver.PURCHASE_ORDERS,
        silver.PRICES,
        silver.PROMOTIONS,
        silver.EVENTS,
        silver.ORDER_DECISIONS,
    )
}
KEYS = {entity.name: entity.key for entity in (*entities.SNAPSHOTS, *entities.APPLICATION_ENTITIES)}
_SERIES = ["store_id", "product_id"]
_PROMISE_DAYS_MAX = 3650
"""A promise further ahead of the order, like one before it, stands for none: systems fill in 9999 or 1900."""
_APPROVAL_DAYS = 400
"""Approved lines expected longer ago count nowhere: more than a plan's overdue_days_max (365 at most) and a month."""
_NAMES = ("supplier_id", "source_type", "source_choice")
_TERMS = (
    *("supplier_id", "source_type", "pack_units", "moq_units", "shelf_max_units", "presentation_min_units"),
    *("shelf_life_days", "lead_time_days", "min_order_value", "unit_cost"),
)
_ENDS_KNOWN_DAYS = 366
"""Ends further ahead change no plan."""


@dataclass(frozen=True)
class AsOfSnapshot:
    """The snapshots as known when `as_of` had closed, without version columns.

    `is_assortment_assumed`: the source does not say what stores carry, what they ever sold stands for it.
    `learnt_closed`: weekdays on which stores sold nothing for weeks; those that the source gives stand before them.
    """

    as_of: date
    tables: Mapping[str, ibis.Table]
    zone: tzinfo = UTC
    is_assortment_assumed: bool = False
    learnt_closed: ClosedWeekdays = field(default_factory=dict)

    def series(self) -> pd.DataFrame:
        """store_id, product_id, region, department, category of what is carried on `as_of`."""
        rows = self._carried(Window(self.as_of, self.as_of))
        stores = self.tables["stores"].select("store_id", "region")
        products = self.tables["products"].select("product_id", "department", "category")
        named = rows.left_join(stores, "store_id").left_join(products, "product_id")
        return named.select(*_SERIES, "region", "department", "category").order_by(*_SERIES).to_pandas()

    def plan(self, horizon_days: int) -> pd.DataFrame:
        """is_open, unit_price, price_source, discount_rate, is_promoted by business_date, store_id and product_id.

        They are those of the days to come. Every series carried on `as_of` has all of the days; one that ends before
        them is not open on the rest. Prices are those of the source: a panel carries that of sale lines forward.
        """
        days = self._days_ahead(horizon_days)
        terms = {name: self.tables[name] for name in ("prices", "promotions", "products")}
        return with_terms(self._every_day(days), days, **terms).order_by(*_SERIES, "business_date").to_pandas()

    def closed_weekdays(self) -> ClosedWeekdays:
        """Weekdays on which stores do not trade, given or learnt."""
        return {**self.learnt_closed, **given_closed_weekdays(self.tables["stores"])}

    def closed_days(self, horizon_days: int) -> pd.DataFrame:
        """store_id, product_id, business_date of the days to come on which a series carried on `as_of` does not sell.

        Its store is closed, or does not carry it on that day.
        """
        rows = self._every_day(self._days_ahead(horizon_days))
        return (
            rows.filter(~rows.is_open).select(*_SERIES, "business_date").order_by(*_SERIES, "business_date").to_pandas()
        )

    def promotions(self, horizon_days: int) -> pd.DataFrame:
        """store_id, product_id, business_date, discount_rate of the promoted days to come of what is carried."""
        days, planned = self._days_ahead(horizon_days), self.tables["promotions"]
        near = planned.filter(planned.start_date <= days.last, planned.end_date >= days.first)
        rows = self._carried(days, planned_days_off(days, self.closed_weekdays())).semi_join(near, "product_id")
        marked = with_promotions(rows.filter(rows.is_open), days, promotions=near)
        promoted = marked.filter(marked.is_promoted).select(*_SERIES, "business_date", "discount_rate")
        return promoted.order_by(*_SERIES, "business_date").to_pandas()

    def departments(self) -> pd.DataFrame:
        """product_id, department."""
        return self.tables["products"].select("product_id", "department").to_pandas()

    def ends(self) -> pd.DataFrame:
        """store_id, product_id, carried_until, carried_again_from of what is carried on `as_of` and ends within a year.

        Spans that follow each other without a day between are one; `carried_again_from` is missing where none follows.
        """
        names, known_until = ("assortment", "stores", "products"), self.as_of + timedelta(days=_ENDS_KNOWN_DAYS)
        spans = carried_spans(**{name: self.tables[name] for name in names})
        spans = spans.filter(spans.first <= ibis.least(spans.last, known_until), spans.last >= self.as_of)
        ending = spans.filter(spans.last <= known_until).select(*_SERIES).distinct()
        # pandas knows neither the year 1 nor 9999, which sources write for always and never
        near = spans.mutate(
            first=ibis.greatest(spans.first, self.as_of), last=ibis.least(spans.last, known_until + timedelta(days=1))
        )
        found = ends_of(near.semi_join(ending, _SERIES).select(*_SERIES, "first", "last").to_pandas(), self.as_of)
        return found.loc[found["carried_until"] <= pd.Timestamp(known_until)].reset_index(drop=True)

    def events(self, holidays: Mapping[date, str]) -> pd.DataFrame:
        """event_date, event_name, event_type, region: the source's events and the public holidays."""
        columns = ["event_date", "event_name", "event_type", "region"]
        own = self.tables["events"].select(columns).to_pandas()
        public = [(day, name, "holiday", silver.EVERY) for day, name in holidays.items()]
        return pd.DataFrame([*own.itertuples(index=False), *public], columns=pd.Index(columns))

    def supply_terms(self) -> pd.DataFrame:
        """One row a series carried: source, pack, minimum, maximum, cost, shelf life, lead time, and why this source.

        The terms are those of the day the order leaves, of the best source that can deliver (`best_offers`). The source
        is called `supplier_id`, as in the plan; a distribution centre has no lead time among the suppliers. A series
        that nobody supplies has no `supplier_id`. It has no row at all where the source knows no sourcing, or where the
        assortment is assumed: what was sold once and is not sourced has probably left the range. `carried_until` and
        `carried_again_from` are those of `ends`.
        """
        is_named = not self.is_assortment_assumed and self._count("sourcing") > 0
        best = best_offers(self._offers(), self.order_days(), as_of=self.as_of)
        carried_today = self._carried(Window(self.as_of, self.as_of)).select(*_SERIES)
        series = carried_today.left_join(self._product_costs(), "product_id").select(*_SERIES, "product_cost")
        terms = series.to_pandas().merge(best, on=_SERIES, how="left" if is_named else "inner")
        named = {name: terms[name].astype(object).where(terms[name].notna(), None) for name in _NAMES}
        cost = terms["unit_cost"].where(terms["unit_cost"].notna(), terms["product_cost"])
        full = terms.assign(**named, unit_cost=cost).merge(self.ends(), on=_SERIES, how="left")
        columns = [*_SERIES, *_TERMS, "source_choice", "carried_until", "carried_again_from"]
        return full[columns].sort_values(_SERIES, ignore_index=True)

    def _offers(self) -> pd.DataFrame:
        """What `best_offers` chooses from: every source of every series carried, its lead time, and the product's cost.

        That is taken where the terms have none.
        """
        series, sourcing = self._carried(Window(self.as_of, self.as_of)).select(*_SERIES), self._sourcing()
        suppliers = self.tables["suppliers"].mutate(source_type=ibis.literal("supplier"))
        serves = ibis.or_(sourcing.location_id == series.store_id, sourcing.location_id == silver.EVERY)
        joined = series.join(sourcing, [series.product_id == sourcing.product_id, serves])
        full = joined.left_join(suppliers, ["supplier_id", "source_type"]).left_join(
            self._product_costs(), "product_id"
        )
        cost = ibis.coalesce(full.unit_cost, full.product_cost)
        names = [name for name in _TERMS if name != "unit_cost"]
        return full.select(
            *_SERIES, "location_id", "valid_from", "valid_to", "priority", *names, unit_cost=cost
        ).to_pandas()

    def _product_costs(self) -> ibis.Table:
        return self.tables["products"].select("product_id", product_cost="unit_cost")

    def prices(self) -> pd.DataFrame:
        """store_id, product_id, unit_price, price_source, unit_step of the next day for every series carried."""
        tomorrow = Window(self.as_of + timedelta(days=1), self.as_of + timedelta(days=1))
        today = self._carried(Window(self.as_of, self.as_of)).mutate(business_date=ibis.literal(tomorrow.first))
        terms = {name: self.tables[name] for name in ("prices", "promotions", "products")}
        priced = with_terms(today, tomorrow, **terms)
        steps = self.tables["products"].select("product_id", "unit_step")
        joined = priced.left_join(steps, "product_id")
        found = joined.select(*_SERIES, "unit_price", "price_source", unit_step=joined.unit_step.fill_null(1.0))
        return found.order_by(*_SERIES).to_pandas()

    def order_days(self) -> pd.DataFrame:
        """supplier_id, location_id (`*` for every store), order_weekday; single days are not planned with."""
        calendar = self.tables["supplier_calendar"]
        weekly = calendar.filter(calendar.order_date == entities.ALWAYS)
        return weekly.select("location_id", "order_weekday", supplier_id=weekly.source_id)[
            ["supplier_id", "location_id", "order_weekday"]
        ].to_pandas()

    def served_stores(self) -> pd.DataFrame:
        """supplier_id, store_id of every pair of a supplier and a store it has terms for when the next order leaves."""
        terms, stores = self._sourcing(), self.tables["stores"]
        columns = ["supplier_id", "valid_from", "valid_to"]
        sourcing = terms.filter(terms.source_type == "supplier").select(*columns, "location_id").distinct()
        serves = ibis.or_(sourcing.location_id == stores.store_id, sourcing.location_id == silver.EVERY)
        known = sourcing.join(stores, serves).select(*columns, "store_id").to_pandas()
        pairs = known.loc[valid_when_ordered(known, self.order_days(), as_of=self.as_of), ["supplier_id", "store_id"]]
        return pairs.drop_duplicates().sort_values(["supplier_id", "store_id"], ignore_index=True)

    def purchase_orders(self) -> pd.DataFrame:
        """Lines known when `as_of` had closed, with what happened to them later taken away.

        `promised_date` is the source's, missing where it gave none; `lead_time_days` the supplier's, where known.
        """
        lead = self.tables["suppliers"].select("supplier_id", "lead_time_days")
        known = self._known_orders().left_join(lead, "supplier_id")
        is_received = known.received_date <= self.as_of
        # goods booked in before the line is closed; a later snapshot cannot say when that was
        is_begun = ibis.and_(known.received_date.isnull(), ~known.is_reconstructed)
        ordered, booked = (known[name].cast("float64") for name in ("ordered_units", "received_units"))
        units = ibis.ifelse(booked < 0, 0.0, booked)
        seen = known.select(
            *_SERIES,
            "supplier_id",
            "ordered_date",
            promised_date=_promise(known),
            ordered_units=ordered,
            received_units=ibis.cases(
                (is_received, units.fill_null(ordered)), (is_begun, units.fill_null(0.0)), else_=0.0
            ),
            received_date=ibis.ifelse(is_received, known.received_date, ibis.null("date")),
            cancelled_date=ibis.ifelse(known.cancelled_date <= self.as_of, known.cancelled_date, ibis.null("date")),
            lead_time_days=known.lead_time_days.cast("float64"),
            is_misbooked=ibis.and_((booked < 0).fill_null(False), ibis.or_(is_received, is_begun).fill_null(False)),
        )
        return seen.to_pyarrow().to_pandas(date_as_object=False)

    def decisions(self) -> pd.DataFrame:
        """Approved proposals, decided by the end of `as_of` (in the zone), without a purchase order.

        A purchase order that names no proposal answers one by source, store, product, day and units (approvals.py).
        """
        approved, first = self._approved(), self.as_of - timedelta(days=_APPROVAL_DAYS)
        recent = approved.filter(approved.expected_delivery_date >= first)
        waiting = recent.anti_join(self._carrying_proposals(), "proposal_id").to_pandas()
        waiting["decided_at"] = pd.to_datetime(waiting["decided_at"], utc=True).dt.tz_convert(self.zone)
        if waiting.empty:
            return waiting
        has_order = waiting["proposal_id"].isin(answered(waiting, self._nameless_orders()))
        return waiting.loc[~has_order].reset_index(drop=True)

    def approved_proposals(self) -> frozenset[str]:
        """proposal_id of everything approved by the end of `as_of` or on a purchase order."""
        names = (rows.select("proposal_id") for rows in (self._approved(), self._carrying_proposals()))
        return frozenset(ibis.union(*names, distinct=True).to_pyarrow()["proposal_id"].to_pylist())

    def _count(self, name: str) -> int:
        return self.tables[name].count().to_pyarrow().as_py()

    def _approved(self) -> ibis.Table:
        decided = self.tables["order_decisions"]
        return decided.filter(decided.decision == entities.APPROVED, decided.decided_at < self._closed)

    @property
    def _closed(self) -> ibis.Value:
        return ibis.literal(end_of_day(self.as_of, self.zone)).cast("timestamp('UTC', 6)")

    def _carrying_proposals(self) -> ibis.Table:
        """Purchase order lines known when `as_of` had closed that came from a proposal."""
        orders = self._known_orders()
        return orders.filter(orders.proposal_id.notnull())

    def _nameless_orders(self) -> pd.DataFrame:
        """Lines known when `as_of` had closed that carry the name of no proposal decided on."""
        decided = self.tables["order_decisions"].select("proposal_id")
        lines = self._known_orders().anti_join(decided, "proposal_id")
        names = ("purchase_order_line_id", *_SERIES, "supplier_id", "ordered_date")
        return lines.select(*names, ordered_units=lines.ordered_units.cast("float64")).to_pandas()

    def _known_orders(self) -> ibis.Table:
        """Purchase order lines known when `as_of` had closed.

        One dated later is known where a snapshot that speaks for `as_of` has it; not one from a later snapshot, and
        not the order of a proposal approved only then.
        """
        lines = self.tables["purchase_orders"]
        decided = self.tables["order_decisions"]
        later = decided.filter(decided.decided_at >= self._closed).select("proposal_id").distinct()
        dated = lines.filter(lines.ordered_date <= self.as_of)
        ahead = lines.filter(lines.ordered_date > self.as_of, ~lines.is_reconstructed).anti_join(later, "proposal_id")
        return dated.union(ahead)

    def _sourcing(self) -> ibis.Table:
        """The terms that hold on some day on which the next order to their source may leave."""
        terms, last = self.tables["sourcing"], self.as_of + timedelta(days=LONGEST_WAIT_DAYS)
        has_ended = (terms.valid_to <= self.as_of).fill_null(False)
        known = terms.filter(terms.valid_from <= last, ~has_ended).rename(supplier_id="source_id")
        # pandas knows neither the year 1 nor 9999, which sources write for always and never
        ends = ibis.least(known.valid_to.fill_null(last), last)
        return known.mutate(valid_from=ibis.greatest(known.valid_from, entities.ALWAYS), valid_to=ends)

    def _days_ahead(self, count: int) -> Window:
        return Window(self.as_of + timedelta(days=1), self.as_of + timedelta(days=count))

    def _every_day(self, days: Window) -> ibis.Table:
        """What is carried on the days, and what is carried on `as_of` but no longer then, as not open."""
        known = self._carried(days, planned_days_off(days, self.closed_weekdays()))
        today = self._carried(Window(self.as_of, self.as_of)).select(*_SERIES)
        wanted = today.cross_join(day_table(days)).select("business_date", *_SERIES)
        ended = wanted.anti_join(known, ["business_date", *_SERIES]).mutate(is_open=ibis.literal(False))
        return ibis.union(known.select("business_date", *_SERIES, "is_open"), ended)

    def _carried(self, days: Window, off: ibis.Table | None = None) -> ibis.Table:
        names = ("assortment", "stores", "products", "events")
        return carried(days, **{name: self.tables[name] for name in names}, off=off)


def _promise(lines: ibis.Table) -> ibis.Value:
    latest = lines.ordered_date + ibis.interval(days=_PROMISE_DAYS_MAX)
    is_one = ibis.and_(lines.promised_date >= lines.ordered_date, lines.promised_date <= latest)
    return ibis.ifelse(is_one, lines.promised_date, ibis.null("date"))


def expected_dates(purchase_orders: pd.DataFrame) -> pd.Series:
    """The promised date, or the order day plus the supplier's lead time; missing where neither is known."""
    lead = pd.to_timedelta(purchase_orders["lead_time_days"].round(), unit="D")
    usual = pd.to_datetime(purchase_orders["ordered_date"]) + lead
    return pd.to_datetime(purchase_orders["promised_date"]).fillna(usual)


def ends_of(spans: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """store_id, product_id, carried_until, carried_again_from (datetime64) of each series of the spans.

    Args:
        spans: store_id, product_id, first, last (included) of spans that end on `as_of` or later, in any order.
        as_of: the day from which on a span without a gap counts.
    """
    known = spans.assign(**{name: pd.to_datetime(spans[name]) for name in ("first", "last")})
    known["until"] = pd.Timestamp(as_of)
    while True:
        is_joined = known["first"] <= known["until"] + pd.Timedelta(days=1)
        reached = known["last"].where(is_joined, known["until"]).groupby([known[name] for name in _SERIES])
        until = reached.transform("max")
        if (until == known["until"]).all():
            break
        known["until"] = until
    known["again"] = known["first"].where(~is_joined)
    columns = {"carried_until": ("until", "first"), "carried_again_from": ("again", "min")}
    return known.groupby(_SERIES, as_index=False).agg(**columns)


def open_orders(purchase_orders: pd.DataFrame) -> pd.DataFrame:
    """Lines still expected: store_id, product_id, supplier_id, ordered_date, promised_date, open_units and two flags.

    `promised_date` is that of `expected_dates`; `is_undated` says that nobody promised it, `is_misbooked` that less
    than nothing was booked as received, which is taken as nothing.
    """
    waiting = purchase_orders[purchase_orders["received_date"].isna() & purchase_orders["cancelled_date"].isna()]
    left = waiting["ordered_units"] - waiting["received_units"].fillna(0.0)
    return (
        waiting[[*_SERIES, "supplier_id", "ordered_date", "is_misbooked"]]
        .assign(promised_date=expected_dates(waiting), open_units=left, is_undated=waiting["promised_date"].isna())
        .loc[left > 0]
    )
