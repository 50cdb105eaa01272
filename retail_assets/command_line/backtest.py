"""What `retail-assets backtest` does: all contenders on the last weeks of the lake's demand, scored in every way.

Nothing is stored and no model is registered; the weekly training plays the same tournament.
"""

from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table as Grid

from retail_assets.as_of_day.history import training_panel
from retail_assets.command_line.show import check_file, write_batches
from retail_assets.demand.scores.scorecard import CUMULATIVE, DAILY, card_of
from retail_assets.demand.tournament import CHOSEN, Tournament, TrainingConfig, run_tournament
from retail_assets.failures import PermanentFailure
from retail_assets.graph.wiring import calendar_of, engine_of
from retail_assets.lake.lake import open_lake
from retail_assets.settings import Settings
from retail_assets.sources.mapping import load_mapping
from retail_assets.tables.contract import ALL
from retail_assets.tables.forecast import NAIVE
from retail_assets.tables.gold import DEMAND_DAILY

_JUDGED = ("wape", "bias", "rmsse", "mase", "scaled_pinball", "wrmsse", "wspl")
_COVERED = (0.9, 0.95, 0.975)


def backtest(
    settings: Settings, *, through: date | None, every_family: bool, to: Path | None, console: Console
) -> None:
    """Prints who wins each demand class, how the winners do beside the naive, and how well they are calibrated.

    Args:
        through: last day to learn from and to score on; the newest of gold/demand_daily by default.
        to: also write the whole scorecard, a figure a row, to this .parquet or .csv file.

    Raises:
        PermanentFailure: too little demand to score on, or a file that cannot be written.
    """
    if to is not None:
        check_file(to)
    with console.status("All contenders compete on the last weeks …"):
        found = _played(settings, through, every_family=every_family)
        card = card_of(found)
    days = found.sample.dates.astype("datetime64[D]")
    console.print(
        f"{len(found.folds)} weekly origins from {days[found.folds[0].origin - 1]} on, "
        f"{found.sample.series_count} series, demand through {days[-1]}",
        soft_wrap=True,
    )
    console.print(_contenders(found))
    console.print(_beside_naive(card))
    console.print(_calibration(card))
    for name, why in found.excluded.items():
        console.print(f"Left out: {name}, {why}.", soft_wrap=True)
    if to is not None:
        figures = pa.Table.from_pandas(card, preserve_index=False)
        write_batches(figures.to_batches(), figures.schema, to)
        console.print(f"{len(card)} figures written to {to}", soft_wrap=True)


def _played(settings: Settings, through: date | None, *, every_family: bool) -> Tournament:
    mapping = load_mapping(settings.source_mapping)
    engine = engine_of(settings, open_lake(settings))
    panel = training_panel(
        engine,
        through or _newest(engine.scan(DEMAND_DAILY)),
        calendar=calendar_of(settings, mapping),
        horizon_days=settings.horizon_days,
        history_days=settings.train_days,
    )
    return run_tournament(panel, TrainingConfig(horizon=settings.horizon_days), every_family=every_family)


def _newest(demand) -> date:
    newest = demand.business_date.max().to_pyarrow().as_py()
    if newest is None:
        raise PermanentFailure("gold/demand_daily is empty: run retail-assets run first.")
    return newest


def _contenders(found: Tournament) -> Grid:
    grid = Grid(
        "class", "contender", "scaled pinball", "bias", "wape", "rmsse", "", title="Contenders", title_justify="left"
    )
    for segment, rows in found.scores.groupby("segment", sort=False):
        for row in rows.sort_values("scaled_pinball").to_dict(orient="records"):
            scores = (
                f"{row['scaled_pinball']:.4f}",
                f"{row['bias']:+.1%}",
                f"{row['wape']:.3f}",
                f"{row['rmsse']:.3f}",
            )
            grid.add_row(str(segment), row["model_name"], *scores, "chosen" if row["is_chosen"] else "")
        grid.add_section()
    return grid


def _beside_naive(card: pd.DataFrame) -> Grid:
    grid = Grid("days ahead", "metric", "chosen", NAIVE, title="The chosen ones beside the naive", title_justify="left")
    rows = card.loc[
        (card["segment_kind"] == ALL)
        & (card["kind"] == DAILY)
        & card["level"].isna()
        & card["metric"].isin(_JUDGED)
        & card["model_name"].isin([CHOSEN, NAIVE])
    ]
    table = rows.pivot_table(index=["horizon", "metric"], columns="model_name", values="value", sort=False)
    for (horizon, metric), values in table.iterrows():
        grid.add_row(horizon, metric, f"{values[CHOSEN]:.4f}", f"{values[NAIVE]:.4f}")
    return grid


def _calibration(card: pd.DataFrame) -> Grid:
    title = "Coverage of totals by the chosen ones, points from nominal"
    grid = Grid("days", "ABC class", *(f"{level:g}" for level in _COVERED), title=title, title_justify="left")
    rows = card.loc[
        card["segment_kind"].isin([ALL, "abc_class"])
        & (card["kind"] == CUMULATIVE)
        & (card["metric"] == "coverage_deviation")
        & (card["model_name"] == CHOSEN)
    ]
    table = rows.pivot_table(index=["horizon", "segment"], columns="level", values="value", sort=False)
    for (horizon, segment), values in table.iterrows():
        grid.add_row(horizon, segment, *(f"{100 * values[level]:+.1f}" for level in _COVERED))
    return grid
