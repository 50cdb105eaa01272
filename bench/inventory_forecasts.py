"""Forecasts as of many past days for the replay benches: a model knows only days before those it forecasts.

Each model serves until the next training; nothing is promoted or rejected here, the newest one is used.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from retail_assets.demand.forecasting import forecast
from retail_assets.demand.panel import Panel
from retail_assets.demand.tournament import TrainingConfig
from retail_assets.demand.training import train

Panels = Callable[[date], Panel]


@dataclass(frozen=True)
class Rounds:
    """As-of days from `first` to `last`, `every_days` apart; the first model is trained through the eve of `first`."""

    first: date
    last: date
    every_days: int
    trained_every_days: int


def as_of_forecasts(
    panel_of: Panels, rounds: Rounds, *, horizons: tuple[int, ...], config: TrainingConfig
) -> pd.DataFrame:
    """Cumulative forecasts of every as-of day of the rounds.

    Args:
        panel_of: what was known when a day had closed.
        horizons: days of the totals.
        config: of the trainings.
    """
    made = []
    for start in _days(rounds.first, rounds.last, rounds.trained_every_days):
        model = train(panel_of(start - timedelta(days=1)), config)
        end = min(start + timedelta(days=rounds.trained_every_days - 1), rounds.last)
        wanted = [day for day in _days(rounds.first, rounds.last, rounds.every_days) if start <= day <= end]
        made += [forecast(panel_of(day), model, horizons=horizons).cumulative for day in wanted]
    return pd.concat(made, ignore_index=True)


def cached_or_made(file: Path | None, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Forecasts of an earlier run where a file keeps them; else made, and kept if a file is named."""
    if file is not None and file.exists():
        return pd.read_parquet(file)
    made = make()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        made.to_parquet(file, index=False)
    return made


def _days(first: date, last: date, step: int) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += timedelta(days=step)
