"""Words and steps for the reasons of a forecast: a row of forecast.forecast_drivers in, text or a frame out.

What is shown adds up as shown: digits are added until the rounded product gives the rounded forecast, and a
product that still does not is called rounded.
"""

from collections.abc import Mapping
from math import floor, log10, prod
from typing import Any, NamedTuple

import pandas as pd

from retail_assets.tables.forecast import FORECAST_DRIVERS

CAUSES = {
    "trend": "trend",
    "season": "season",
    "price": "price",
    "promotion": "promotion",
    "holiday": "holidays",
    "adjustment": "other models",
}
"""Factor to word, in the order of the sentence."""

_DIGITS = ((0, 2, 2), (1, 2, 2), (2, 2, 2), (1, 3, 2), (2, 3, 2), (1, 3, 3), (2, 3, 3))
"""Digits more than usual of the level, decimals of the factors, and at how many of them a factor of 1 is left out.

What is easiest to read comes first.
"""

_SIGNIFICANT = 2
_LAST_DECIMAL = 1


def sentence(week: Mapping[str, Any]) -> str:
    """One week's forecast as a product of its causes, and the main one."""
    return f"{product(week)}; {_main(week)}."


def product(week: Mapping[str, Any]) -> str:
    """Such as `Usual 4.2 a day × trend 1.05 × promotion 1.60 = 7.1 a day`."""
    mean = units(week["mean_units"])
    for more, decimals, hidden in _DIGITS:
        level, factors = units(week["level_units"], more=more), _factors(week, decimals, hidden=hidden)
        if units(_number(level) * prod(map(float, factors.values()))) == mean:
            return f"{_text(level, factors)} = {mean} a day"
    _, decimals, hidden = _DIGITS[0]
    level, factors = units(week["level_units"]), _factors(week, decimals, hidden=hidden)
    return f"{_text(level, factors)} ≈ {mean} a day (rounded)"


class Step(NamedTuple):
    """A bar of the chart of reasons: `units` a day after the `change` that it shows."""

    label: str
    units: float
    change: float
    text: str
    meaning: str


def steps(week: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each `Step` from the usual level to the forecast."""
    rows = [_step("usual", week["level_units"], change=week["level_units"], column="level_units")]
    for name, word in CAUSES.items():
        before, factor = rows[-1].units, float(week[f"{name}_factor"])
        step = _step(word, before * factor, change=before * (factor - 1), column=f"{name}_factor")
        rows.append(step._replace(text=f"× {factor:.2f}"))
    rows.append(_step("forecast", week["mean_units"], change=0.0, column="mean_units"))
    return pd.DataFrame(rows)


def column(week: Mapping[str, Any]) -> dict[str, str]:
    """One week for a table: the usual level, every factor and the forecast, by word."""
    factors = {word.capitalize(): f"× {week[f'{name}_factor']:.2f}" for name, word in CAUSES.items()}
    return {"Usual": units(week["level_units"]), **factors, "Forecast": units(week["mean_units"])}


def units(value: float, *, more: int = 0) -> str:
    """Units a day with one decimal, or two digits where there is less than one unit."""
    if value <= 0:
        return "0"
    decimals = max(_LAST_DECIMAL, _SIGNIFICANT - 1 - floor(log10(value)))
    return f"{value:,.{decimals + more}f}"


def _main(week: Mapping[str, Any]) -> str:
    main = str(week["main_driver"])
    return f"{CAUSES[main]} {_verb(main)} the main reason" if main in CAUSES else "nothing moves it by 2 % or more"


def _verb(main: str) -> str:
    return "are" if CAUSES[main].endswith("s") else "is"


def _factors(week: Mapping[str, Any], decimals: int, *, hidden: int) -> dict[str, str]:
    """Shown factors by cause; those that round to 1 at `hidden` decimals are left out."""
    factors = {name: float(week[f"{name}_factor"]) for name in CAUSES}
    return {name: f"{factor:.{decimals}f}" for name, factor in factors.items() if round(factor, hidden) != 1}


def _text(level: str, factors: Mapping[str, str]) -> str:
    return " × ".join([f"Usual {level} a day", *(f"{CAUSES[name]} {value}" for name, value in factors.items())])


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _step(label: str, after: float, *, change: float, column: str) -> Step:
    (meaning,) = (found.meaning for found in FORECAST_DRIVERS.columns if found.name == column)
    return Step(label, float(after), float(change), text=units(after), meaning=meaning)
