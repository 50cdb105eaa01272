"""What was published live stays as it was, unless a run says that it restates."""

from collections.abc import Mapping
from datetime import date

from retail_assets.engines.protocol import Engine
from retail_assets.failures import PermanentFailure
from retail_assets.tables.contract import Table
from retail_assets.tables.forecast import DEMAND_FORECAST, LIVE
from retail_assets.transforms.days import within
from retail_assets.windows import ONE_DAY, Window

RESTATE_TAG = "retail/restate"


def refuse_restating(
    engine: Engine, table: Table, span: Window, *, newest_closed: date, tags: Mapping[str, str]
) -> None:
    """Refuses to overwrite rows of earlier days whose forecast was published live.

    Args:
        engine: reads the lake.
        table: what is about to be written, partitioned by as_of_date.
        span: the as-of dates of the run.
        newest_closed: this day may still be made again.
        tags: of the run.

    Raises:
        PermanentFailure: such a day is among them and the run carries no restate tag.
    """
    if span.first >= newest_closed or RESTATE_TAG in tags:
        return
    earlier = Window(span.first, min(span.last, newest_closed - ONE_DAY))
    forecasts = within(engine.scan_or_empty(DEMAND_FORECAST), earlier, "as_of_date")
    live = forecasts.filter(forecasts.origin == LIVE).select("as_of_date").distinct()  # pyright: ignore
    published = within(engine.scan_or_empty(table), earlier, "as_of_date").semi_join(live, "as_of_date")
    day = published.as_of_date.min().to_pyarrow().as_py()
    if day is not None:
        raise PermanentFailure(
            f"{table.path} of {day} was published live; overwrite it with retail-assets run --restate, or the run tag "
            f"{RESTATE_TAG}=true."
        )
