"""What is due at a moment and missing: the night, the plans, the week's training, and the runs that make each up.

The clock of the stores decides what is due, missed.py what is missing. Whether this is the moment to ask belongs to
make_up.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cached_property

import dagster as dg

from retail_assets.graph import jobs
from retail_assets.graph.schedules import NIGHTLY, NIGHTLY_AT, TRAINING, TRAINING_AT, trailing
from retail_assets.nights import missed
from retail_assets.nights.requests import ingests_of_missed, late_tags, plans_of, training_of
from retail_assets.runs.run_tags import AGAIN, range_tags
from retail_assets.settings import Settings
from retail_assets.transforms.demand import LOOKBACK_DAYS
from retail_assets.windows import MIN_TRAINING_DAYS, ONE_DAY, Window

_LATE_AFTER = timedelta(minutes=30)
"""A night without any run by then was missed."""


@dataclass(frozen=True)
class Want:
    """Something due that is missing.

    Args:
        job: what makes it.
        day: the due partition, which names the want.
        days: partitions that may be asked for now, ascending.
        is_busy: a run is about some of it.
    """

    job: str
    day: date
    days: tuple[date, ...]
    is_busy: bool

    @property
    def key(self) -> str:
        return f"{self.job} {self.day}"


@dataclass(frozen=True)
class Look:
    """One look at the instance."""

    instance: dg.DagsterInstance
    settings: Settings
    zone: tzinfo
    now: datetime
    switched_on: frozenset[str]

    @property
    def closed(self) -> date:
        """The newest day whose night has begun."""
        today = self.now.astimezone(self.zone).date()
        return today - (ONE_DAY if self._is_past(today, NIGHTLY_AT) else 2 * ONE_DAY)

    @property
    def monday(self) -> date:
        """The newest Monday whose training has begun."""
        today = self.now.astimezone(self.zone).date()
        monday = today - timedelta(days=today.weekday())
        return monday if self._is_past(monday, TRAINING_AT) else monday - timedelta(weeks=1)

    def late_days(self) -> list[date]:
        """Missed days, ascending: those before the newest, and the newest when its night began late."""
        before = [day for day in self.missing_days if day != self.closed]
        return [*before, self.closed] if self.closed in self.missing_days and self._began_late() else before

    def _began_late(self) -> bool:
        latest = datetime.combine(self.closed + ONE_DAY, NIGHTLY_AT, self.zone) + _LATE_AFTER
        return self.now >= latest and not missed.was_begun(self.instance, jobs.INGEST, self.closed, before=latest)

    def _is_past(self, day: date, at: time) -> bool:
        return self.now >= datetime.combine(day, at, self.zone)

    @cached_property
    def ingested(self) -> missed.Made:
        return missed.ingested(self.instance)

    @cached_property
    def missing_days(self) -> list[date]:
        if self.settings.first_date > self.closed:
            return []
        return self.ingested.missing(Window(self.settings.first_date, self.closed))

    @cached_property
    def missing_plans(self) -> list[date]:
        backfill_days = self.settings.forecast_backfill_days
        return missed.missing_plans(self.instance, self.ingested, backfill_days=backfill_days)

    @cached_property
    def wants(self) -> list[Want]:
        """What may be asked for, of the schedules that are switched on."""
        night = [(jobs.INGEST, self.closed, self.missing_days), (jobs.PUBLISH, self.closed, self.missing_plans)]
        week = [(jobs.TRAIN, self.monday, self._untrained())] if TRAINING in self.switched_on else []
        return [self._want(*row) for row in [*(night if NIGHTLY in self.switched_on else []), *week]]

    def _untrained(self) -> list[date]:
        """The Monday, when it has no training and everything that its training needs."""
        first = self.ingested.first
        if first is None or (self.monday - first).days < MIN_TRAINING_DAYS:
            return []
        if self.monday in missed.materialised_days(self.instance, jobs.partitioned(jobs.TRAIN)):
            return []
        return [] if missed.awaited_days(self.instance, self.ingested, self.monday) else [self.monday]

    def _want(self, job: str, day: date, missing: list[date]) -> Want:
        open_days = missed.open_days(self.instance, job, missing)
        stopped = missed.stopped_days(self.instance, job, open_days)
        is_busy = bool(set(missing) & missed.busy_days(self.instance, job))
        return Want(job, day, tuple(d for d in open_days if d not in stopped), is_busy)

    def requests(self, want: Want, *, count: int) -> list[dg.RunRequest]:
        """Runs for the want, each with a key of its own for each time of asking."""
        asked = f"again {want.day} #{count}"
        if want.job == jobs.TRAIN:
            found = [training_of(want.day, asked=asked)]
        elif want.job == jobs.PUBLISH:
            found = plans_of(self.instance, want.days, asked=asked, tags={**AGAIN, **late_tags()})
        else:
            found = self._ingests(want, asked=asked)
        return [request.with_replaced_attrs(job_name=want.job) for request in found]

    def _ingests(self, want: Want, *, asked: str) -> list[dg.RunRequest]:
        """Missed days, and the night with its trailing days when it is among them."""
        if want.day not in want.days:
            return ingests_of_missed(self.instance, want.days, asked=asked)
        night = trailing(want.day, trailing_days=self.settings.trailing_days, first_date=self.settings.first_date)
        before = [day for day in want.days if day not in night]
        return [
            *ingests_of_missed(self.instance, before, asked=asked),
            dg.RunRequest(run_key=f"ingest {want.day} {asked}", tags={**range_tags(night), **AGAIN}),
        ]


def demand_days_after(ingested: Window, there: Iterable[date]) -> list[date]:
    """Days after the window, of those that are there, whose demand is estimated from days of the window too.

    Making them again gives the table that one range would have given; days may be ingested in any order.
    """
    last = ingested.last + timedelta(days=LOOKBACK_DAYS)
    return sorted(day for day in there if ingested.last < day <= last)
