"""What somebody must hear about missed nights: which days are missing, which are made up, what is given up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from retail_assets.runs.run_tags import LATE_TAG
from retail_assets.windows import runs_of


@dataclass(frozen=True)
class Alert:
    """A message as the notifier takes it."""

    title: str
    text: str
    facts: dict[str, str]


def alerts(*, missing: Sequence[date], made_up: Sequence[date], given_up: Sequence[str]) -> Iterator[Alert]:
    """At most one message of each kind, with every day in it.

    Args:
        missing: days no alert has named before, ascending.
        made_up: days that were missing and are not any more, ascending.
        given_up: what is not asked for again, such as `ingest 2025-05-06`.
    """
    if missing:
        yield Alert(
            f"{_count(missing)} missing",
            f"Nights did not bring {days_sentence(missing)} into the lake.",
            {
                "days": days_sentence(missing),
                "since": str(missing[0]),
                "what to do": "Nothing, if the cause has passed: runs read these days again, and a message follows.",
            },
        )
    if made_up:
        yield Alert(
            f"{_count(made_up)} made up",
            f"The lake has {days_sentence(made_up)} now; these days and their plans came late.",
            {"days": days_sentence(made_up), "what to do": f"Nothing; the late runs carry the tag {LATE_TAG}."},
        )
    if given_up:
        yield Alert(
            "Given up",
            f"{', '.join(given_up)}: failed too often to be asked for again before somebody looks.",
            {"what to do": "Open the failed runs in the Dagster UI, fix the cause, and run the job for these days."},
        )


def days_sentence(days: Sequence[date]) -> str:
    """The days as ranges, ascending: `2025-05-03 … 2025-05-05, 2025-05-09`."""
    return ", ".join(map(str, runs_of(days)))


def _count(days: Sequence[date]) -> str:
    return f"{len(days)} day{'s' if len(days) > 1 else ''}"
