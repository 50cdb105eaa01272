"""The settings forecasting and ordering need, without the rest of the environment."""

from dataclasses import dataclass

from retail_assets.inventory.parameters import Policies


@dataclass(frozen=True)
class PlanSettings:
    """Days and targets of forecasting and ordering."""

    horizon_days: int
    train_days: int
    policies: Policies
