"""Runs of days, both ends included: what a partition key range, a chunk and a predicate have in common."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

ONE_DAY = timedelta(days=1)
LONGEST_FORECAST_DAYS = 90
"""What RETAIL_HORIZON_DAYS allows."""
MIN_FORECAST_DAYS, MIN_TRAINING_DAYS, FULL_TRAINING_DAYS = 7, 28, 84
"""Days of history from which something is forecast, from which a model is trained, and from which every contender
can compete: a backtest of four weeks and eight weeks before it."""


@dataclass(frozen=True, order=True)
class Window:
    """The days first … last.

    Raises:
        ValueError: last is before first.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"window ends {self.last} before it starts {self.first}")

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} … {self.last}"

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def days(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(len(self)))

    def months(self) -> list[str]:
        """The `YYYY-MM` of every month touched, ascending."""
        return [f"{window.first:%Y-%m}" for window in self.by_month()]

    def by_month(self) -> list["Window"]:
        """The window cut at month ends."""
        parts, first = [], self.first
        while first <= self.last:
            next_month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
            parts.append(Window(first, min(self.last, next_month - ONE_DAY)))
            first = next_month
        return parts

    def by_day(self) -> list["Window"]:
        return [Window(day, day) for day in self.days()]

    def extended(self, *, days_before: int = 0, days_after: int = 0) -> "Window":
        return Window(self.first - timedelta(days=days_before), self.last + timedelta(days=days_after))


def runs_of(days: Iterable[date]) -> list[Window]:
    """Consecutive days joined into windows, ascending; gaps stay gaps."""
    runs: list[Window] = []
    for day in sorted(set(days)):
        if runs and runs[-1].last + ONE_DAY == day:
            runs[-1] = Window(runs[-1].first, day)
        else:
            runs.append(Window(day, day))
    return runs
