"""Which days a run of one partition reads: the week's model looks back only, whatever day the history starts on."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from retail_assets.graph.build import build_definitions
from retail_assets.graph.partitions import partitions
from retail_assets.settings import load_settings
from retail_assets.tables.contract import Partitioning, Table
from retail_assets.tables.forecast import DEMAND_FORECAST, DEMAND_MODEL, FORECAST_ACCURACY
from retail_assets.tables.gold import DEMAND_DAILY, FACT_SALES
from retail_assets.transforms.demand import LOOKBACK_DAYS

DAY, WEEK = timedelta(days=1), timedelta(days=7)
MONDAY = date(2024, 1, 1)
STARTS = [MONDAY + n * DAY for n in range(7)]
EVERY_START = pytest.mark.parametrize("first", STARTS, ids=lambda day: f"{day:%A}")


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def _graph(first: date) -> dg.Definitions:
    return build_definitions(load_settings(start_date=first.isoformat()))


@pytest.fixture(scope="module")
def graphs() -> dict[date, dg.Definitions]:
    """The definitions for a history that starts on each day of a week."""
    return {first: _graph(first) for first in STARTS}


def _days_read(found: dg.Definitions, reader: Table, read: Table, *, partition: date, today: date) -> list[date]:
    """The days of `read` that one partition of the reader maps to."""
    graph = found.resolve_asset_graph()
    key = dg.AssetKey(read.asset_key)
    node = graph.get(dg.AssetKey(reader.asset_key))
    downstream, upstream = node.partitions_def, graph.get(key).partitions_def
    assert downstream is not None and upstream is not None
    result = node.partition_mappings[key].get_upstream_mapped_partitions_result_for_partitions(
        downstream.empty_subset().with_partition_keys([partition.isoformat()]),
        downstream,
        upstream,
        current_time=_noon(today),
    )
    return sorted(date.fromisoformat(key) for key in result.partitions_subset.get_partition_keys())


def _weeks(found: dg.Definitions, *, today: date) -> list[date]:
    weekly = found.resolve_asset_graph().get(dg.AssetKey(DEMAND_MODEL.asset_key)).partitions_def
    assert weekly is not None
    return [date.fromisoformat(key) for key in weekly.get_partition_keys(current_time=_noon(today))]


@EVERY_START
@pytest.mark.parametrize("age_days", [8, 20, 300, 900])
def test_a_model_reads_no_day_of_its_week_or_later(
    graphs: dict[date, dg.Definitions], first: date, age_days: int
) -> None:
    today = first + age_days * DAY
    for week in _weeks(graphs[first], today=today)[-3:]:
        read = _days_read(graphs[first], DEMAND_MODEL, DEMAND_DAILY, partition=week, today=today)
        oldest = max(first, week - 105 * WEEK)
        assert read == [oldest + n * DAY for n in range((week - oldest).days)]


@EVERY_START
def test_the_first_weeks_work(graphs: dict[date, dg.Definitions], first: date) -> None:
    """The first week has little or nothing to learn from, and that is no missing partition."""
    weeks = _weeks(graphs[first], today=first + 40 * DAY)
    assert weeks[0] - first < WEEK and weeks[0] >= first
    for week in weeks[:3]:
        read = _days_read(graphs[first], DEMAND_MODEL, DEMAND_DAILY, partition=week, today=first + 40 * DAY)
        assert len(read) == (week - first).days and all(first <= day < week for day in read)


@EVERY_START
@pytest.mark.parametrize("weekday", range(7))
def test_the_open_week_exists_and_no_later_one(graphs: dict[date, dg.Definitions], first: date, weekday: int) -> None:
    today = MONDAY + 30 * WEEK + weekday * DAY
    weeks = _weeks(graphs[first], today=today)
    assert weeks[-1] == MONDAY + 30 * WEEK
    assert all(week.weekday() == 0 for week in weeks)
    assert [after - before for before, after in zip(weeks, weeks[1:], strict=False)] == [WEEK] * (len(weeks) - 1)


def test_only_closed_days_are_partitions_in_the_stores_time_zone() -> None:
    daily = partitions(load_settings(start_date="2024-01-01"), "America/Chicago")[Partitioning.DAILY]
    assert daily is not None
    before, after = (datetime(2024, 1, 11, hour, 30, tzinfo=UTC) for hour in (5, 6))
    assert daily.get_partition_keys(current_time=before)[-1] == "2024-01-09"
    assert daily.get_partition_keys(current_time=after)[-1] == "2024-01-10"
    assert daily.get_partition_keys(current_time=after)[0] == "2024-01-01"


@pytest.mark.parametrize(
    ("reader", "read", "before", "after"),
    [
        (DEMAND_DAILY, FACT_SALES, LOOKBACK_DAYS, 0),
        (DEMAND_FORECAST, DEMAND_DAILY, 730, 0),
        (FORECAST_ACCURACY, DEMAND_FORECAST, 28, -1),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_lookbacks_read_exactly_their_days(
    graphs: dict[date, dg.Definitions], reader: Table, read: Table, before: int, after: int
) -> None:
    today = MONDAY + 900 * DAY
    for partition in (MONDAY, MONDAY + DAY, MONDAY + 10 * DAY, MONDAY + 899 * DAY):
        found = _days_read(graphs[MONDAY], reader, read, partition=partition, today=today)
        wanted = [partition + n * DAY for n in range(-before, after + 1)]
        assert found == [day for day in wanted if day >= MONDAY]
