"""Snapshots as they were known: versions appended on change, read as of a date.

The snapshot taken on the day after D closes speaks for D. Days before the first snapshot are served by
the first one, which makes what is read there a reconstruction; a first one without rows knew of none.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

import ibis
import pyarrow as pa

_SPEAKS_FOR = timedelta(days=1)


def append_changes(
    known: ibis.Table,
    current: ibis.Table,
    *,
    key: Sequence[str],
    columns: Sequence[str],
    seen_at: datetime,
    absent_at: datetime | None = None,
) -> ibis.Table:
    """The known versions plus one for every key whose rows are new, changed or gone.

    Args:
        known: all versions so far: `columns`, is_deleted, first_seen_at; may be empty.
        current: the source's rows now: `columns`.
        key: what identifies a row; rows that share a key (faults of the source) change together.
        columns: what a version consists of.
        seen_at: when `current` was read, UTC.
        absent_at: when the table was first read and had no rows, where nothing is known yet: the rows of `current`
            were gone then.

    Returns:
        The known rows untouched, then the added ones. The same `current` again adds nothing.
    """
    now = _keyed(current.select(*columns).distinct(), key)
    latest = _latest(_keyed(known, key))
    before = latest.filter(~latest.is_deleted).select(*columns, "row_key")
    differing = ibis.union(now.difference(before), before.difference(now)).select("row_key").distinct()
    changed = _version(now.semi_join(differing, "row_key"), columns, seen_at, is_deleted=ibis.literal(False))
    gone = _version(before.anti_join(now, "row_key"), columns, seen_at, is_deleted=ibis.literal(True))
    versions = [known.select(*columns, "is_deleted", "first_seen_at"), changed, gone]
    if absent_at is not None:
        versions.append(_version(now, columns, absent_at, is_deleted=ibis.literal(True)))
    return ibis.union(*versions)


def known_on(versions: ibis.Table, *, key: Sequence[str], as_of: date, zone: tzinfo = UTC) -> ibis.Table:
    """The rows of a snapshot table as they were known when `as_of`, a day of the zone, had closed.

    Returns:
        The columns of `versions` without is_deleted and first_seen_at, plus `is_reconstructed`.
    """
    latest = _latest(_keyed(seen_by(versions, as_of, zone), key))
    end = _moment(known_until(as_of, zone))
    kept = latest.filter(~latest.is_deleted).mutate(is_reconstructed=latest.first_seen_at >= end)
    return kept.drop("is_deleted", "first_seen_at", "row_key")


def seen_by(versions: ibis.Table, as_of: date, zone: tzinfo = UTC) -> ibis.Table:
    """The versions that speak for `as_of`, a day of the zone, or for days before it."""
    first = versions.first_seen_at.min().as_scalar()
    end = _moment(known_until(as_of, zone))
    return versions.filter(ibis.or_(versions.first_seen_at < end, versions.first_seen_at == first))


def first_known(versions: ibis.Table, *, before: date, zone: tzinfo = UTC) -> ibis.Table:
    """The rows that every snapshot added or changed, with the day from which on they were known.

    Args:
        versions: a snapshot table.
        before: the day that stands for what the first snapshot knew; it cannot tell since when.
        zone: whose days the versions hold from; the same as `known_on` is given.

    Returns:
        The entity's columns and `known_on`, the first day that a snapshot with the row speaks for.
    """
    first = versions.first_seen_at.min().as_scalar()
    dated = _with_speaks_for(versions, zone)
    known = ibis.ifelse(dated.first_seen_at == first, ibis.literal(before), dated.speaks_for)
    kept = dated.mutate(known_on=known).filter(~dated.is_deleted)
    return kept.drop("is_deleted", "first_seen_at", "speaks_for")


def known_until(as_of: date, zone: tzinfo = UTC) -> datetime:
    """The moment from which on a snapshot no longer speaks for `as_of`, UTC."""
    return end_of_day(as_of + _SPEAKS_FOR, zone)


def end_of_day(day: date, zone: tzinfo) -> datetime:
    """The midnight that ends a day of the zone, UTC."""
    following = day + timedelta(days=1)
    return datetime(following.year, following.month, following.day, tzinfo=zone).astimezone(UTC)


def newest(versions: ibis.Table, *, key: Sequence[str]) -> ibis.Table:
    """The rows of a snapshot table as they are known now, without the version columns."""
    latest = _latest(_keyed(versions, key))
    return latest.filter(~latest.is_deleted).drop("is_deleted", "first_seen_at", "row_key")


def validity(versions: ibis.Table, *, key: Sequence[str], since: date, zone: tzinfo = UTC) -> ibis.Table:
    """Type 2 rows from the history of versions, so that any order of runs gives the same rows.

    Args:
        versions: a snapshot table.
        key: its key.
        since: `valid_from` of what the first snapshot knew.
        zone: whose days the versions hold from; the same as `known_on` is given.

    Returns:
        The entity's columns with valid_from, valid_to, is_current and is_reconstructed.
    """
    first = versions.first_seen_at.min().as_scalar()
    seen = _with_speaks_for(_keyed(versions, key), zone)
    is_first = seen.first_seen_at == first
    dated = seen.mutate(
        is_reconstructed=is_first, valid_from=ibis.ifelse(is_first, ibis.literal(since), seen.speaks_for)
    ).drop("speaks_for")
    same_day = ibis.window(group_by=["row_key", "valid_from"], order_by=ibis.desc("first_seen_at"))
    last_of_day = dated.mutate(rank=ibis.row_number().over(same_day)).filter(lambda t: t["rank"] == 0)
    following = ibis.window(group_by="row_key", order_by="valid_from")
    ranged = last_of_day.mutate(next_from=last_of_day.valid_from.lead().over(following))
    kept = ranged.filter(~ranged.is_deleted).mutate(
        valid_to=ranged.next_from - ibis.interval(days=1), is_current=ranged.next_from.isnull()
    )
    return kept.drop("is_deleted", "first_seen_at", "row_key", "rank", "next_from")


def _with_speaks_for(versions: ibis.Table, zone: tzinfo) -> ibis.Table:
    """With the day each version's snapshot speaks for; its few moments are dated here, engines know no same zones."""
    moments = versions.select("first_seen_at").distinct().to_pyarrow().column("first_seen_at").to_pylist()
    days = [moment.astimezone(zone).date() - _SPEAKS_FOR for moment in moments]
    schema = pa.schema([("seen_at", pa.timestamp("us", "UTC")), ("speaks_for", pa.date32())])
    dated = ibis.memtable(pa.table({"seen_at": moments, "speaks_for": days}, schema))
    return versions.left_join(dated, versions.first_seen_at == dated.seen_at).drop("seen_at")


def _keyed(rows: ibis.Table, key: Sequence[str]) -> ibis.Table:
    """With the key as one text, so that missing parts are equal to each other."""
    parts = [rows[name].cast("string").fill_null("") for name in key]
    return rows.mutate(row_key=ibis.literal("\u001f").join(parts))


def _latest(rows: ibis.Table) -> ibis.Table:
    """The rows of each key's newest version."""
    newest_seen = rows.first_seen_at.max().over(ibis.window(group_by="row_key"))
    ranked = rows.mutate(newest_seen=newest_seen)
    return ranked.filter(ranked.first_seen_at == ranked.newest_seen).drop("newest_seen")


def _version(rows: ibis.Table, columns: Sequence[str], seen_at: datetime, *, is_deleted: ibis.Value) -> ibis.Table:
    return rows.select(*columns).mutate(is_deleted=is_deleted, first_seen_at=_moment(seen_at))


def _moment(moment: datetime) -> ibis.Value:
    return ibis.literal(moment).cast("timestamp('UTC', 6)")
