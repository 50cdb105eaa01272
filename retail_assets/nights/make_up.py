"""Makes up between two nights what failed in passing or never started: the night, its plans, the week's training.

One sensor looks every five minutes at what is due and missing, for any reason: an outage, a daemon that was not
running, a Sunday that came late. It asks at growing intervals and a limited number of times; what a person must mend or
has cancelled it leaves alone. What is missing comes from missed.py, the requests from nights.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from retail_assets.failures import RetailError
from retail_assets.graph import jobs
from retail_assets.graph.schedules import NIGHTLY, TRAINING
from retail_assets.nights import missed
from retail_assets.nights.due import Look, Want
from retail_assets.nights.missed_alerts import Alert, alerts
from retail_assets.resources.notifier import Notifier
from retail_assets.resources.source import Source
from retail_assets.retailer import Calendar
from retail_assets.settings import Settings

_EVERY_SECONDS = 300
_GRACE = timedelta(minutes=10)
"""From the first look that misses something to the first request: schedules and other sensors come first."""

_PAUSES = [timedelta(minutes=minutes) for minutes in (5, 10, 20, 40, 60)]
"""From the end of a failed run to the next request; the last one is repeated."""

MOST_ASKS = 12
"""Requests for one night, one night's plans or one training: with the pauses they reach over eight hours."""


@dataclass(frozen=True)
class Asked:
    """How often something was asked for, and when it may be asked for next."""

    count: int
    next_at: datetime


@dataclass(frozen=True)
class Memory:
    """What the sensor keeps from look to look.

    Args:
        asked: by what is missing, such as `ingest 2025-05-06`.
        owed: days an alert named as missing, until they are made up.
        given_up: what an alert named as given up.
    """

    asked: Mapping[str, Asked] = field(default_factory=dict)
    owed: frozenset[date] = frozenset()
    given_up: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cursor: str | None) -> "Memory":
        kept = json.loads(cursor) if cursor else {}
        asked = {key: Asked(count, datetime.fromisoformat(at)) for key, (count, at) in kept.get("asked", {}).items()}
        return cls(asked, frozenset(map(date.fromisoformat, kept.get("owed", []))), frozenset(kept.get("given_up", [])))

    def cursor(self) -> str:
        asked = {key: (one.count, one.next_at.isoformat()) for key, one in self.asked.items()}
        return json.dumps({"asked": asked, "owed": sorted(map(str, self.owed)), "given_up": sorted(self.given_up)})


def next_asked(before: Asked | None, want: Want, now: datetime) -> Asked | None:
    """What is known of a want after this look; a larger count than before means: ask now."""
    count = before.count if before else 0
    pause = _PAUSES[min(count, len(_PAUSES) - 1)]
    if want.is_busy:
        return Asked(count, now + pause)
    if before is None or not want.days:
        return Asked(count, now + _GRACE) if before or want.days else None
    if now < before.next_at or count >= MOST_ASKS:
        return before
    return Asked(count + 1, now + pause)


def make_up_missed(settings: Settings) -> dg.SensorDefinition:
    """Asks again for what is due and missing while the schedules are switched on; somebody hears of missed days."""

    @dg.sensor(
        name="make_up_missed",
        description="Asks again for nights, plans and trainings that are due and missing, and alerts.",
        jobs=[jobs.JOBS_BY_NAME[name] for name in (jobs.INGEST, jobs.PUBLISH, jobs.TRAIN)],
        minimum_interval_seconds=_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        source: dg.ResourceParam[Source],
        calendar: dg.ResourceParam[Calendar],
        notifier: dg.ResourceParam[Notifier],
    ) -> dg.SensorResult:
        switched_on = _switched_on(context.instance)
        if not switched_on & {NIGHTLY, TRAINING}:
            return dg.SensorResult(skip_reason=f"The schedules {NIGHTLY} and {TRAINING} are switched off.")
        look = Look(context.instance, settings, calendar.zone, _now(), switched_on)
        memory, requests, reasons = _ask(look, Memory.of(context.cursor), source)
        memory, news = _tell(look, memory)
        for alert in news:
            context.log.warning(f"{alert.title}: {alert.text}")
            notifier.send(alert.title, alert.text, facts=alert.facts)
        reason = " ".join(reasons) or "Nothing that is due is missing, or a run is about it."
        skipped = None if requests else reason
        return dg.SensorResult(run_requests=requests or None, skip_reason=skipped, cursor=memory.cursor())

    return sensor


def _now() -> datetime:
    return datetime.now(UTC)


def _switched_on(instance: dg.DagsterInstance) -> frozenset[str]:
    return frozenset(state.instigator_name for state in instance.all_instigator_state() if state.is_running)


def _ask(look: Look, memory: Memory, source: Source) -> tuple[Memory, list[dg.RunRequest], list[str]]:
    """What this look asks for, and why it does not ask for the rest."""
    asked, owed, requests, reasons = {}, memory.owed, [], []
    for want in look.wants:
        before = memory.asked.get(want.key)
        after = next_asked(before, want, look.now)
        if after is None:
            continue
        if after.count == (before.count if before else 0):
            reasons += _waiting(want, after)
        elif reason := _unreadable(source, want):
            reasons.append(reason)
            after = before or Asked(0, look.now)
        else:
            requests += look.requests(want, count=after.count)
            owed |= set(want.days) if want.job != jobs.TRAIN else set()
        asked[want.key] = after
    return replace(memory, asked=asked, owed=owed), requests, reasons


def _waiting(want: Want, asked: Asked) -> list[str]:
    if not want.days or want.is_busy:
        return []
    if asked.count >= MOST_ASKS:
        return [f"{want.key} was asked for {MOST_ASKS} times and not again."]
    return [f"{want.key} is asked for from {asked.next_at:%H:%M} UTC on."]


def _unreadable(source: Source, want: Want) -> str | None:
    """Why the source cannot be read now: then no run starts, and this look does not count as one that asked."""
    if want.job != jobs.INGEST:
        return None
    try:
        source.check_reachable(want.days[-1])
    except RetailError as error:
        return str(error)
    return None


def _tell(look: Look, memory: Memory) -> tuple[Memory, list[Alert]]:
    """What no alert has named yet, and what alerts have named after it."""
    if NIGHTLY not in look.switched_on:
        return memory, []
    lost = missed.given_up_days(look.instance, jobs.INGEST, look.missing_days)
    new = [day for day in look.late_days() if day not in memory.owed | lost][-missed.MOST_DAYS :]
    owed = memory.owed | set(new)
    made = sorted(owed - {*look.missing_days, *look.missing_plans})
    gone = _given_up(look, memory, lost)
    news = alerts(missing=new, made_up=made, given_up=sorted(gone - memory.given_up))
    return replace(memory, owed=owed - set(made) - lost, given_up=gone), list(news)


def _given_up(look: Look, memory: Memory, lost: set[date]) -> frozenset[str]:
    """What is not asked for again by itself."""
    plans = missed.given_up_days(look.instance, jobs.PUBLISH, look.missing_plans)
    still = {want.key for want in look.wants if want.days and not want.is_busy}
    ended = {key for key, one in memory.asked.items() if one.count >= MOST_ASKS and look.now >= one.next_at}
    return frozenset({f"ingest {day}" for day in lost} | {f"publish {day}" for day in plans} | (still & ended))
