"""What models, demand classes and the like are called on the pages; the technical name stays beside it.

A new contender of `retail_assets.demand` gets its words here; one without is shown by its technical name.
"""

from retail_assets.tables.forecast import BOTTOM_UP, MEAN_OF_BEST, NAIVE

LABELS = {
    NAIVE: "Seasonal naive",
    "moving_mean": "Moving mean",
    "tsb": "TSB",
    "croston": "Croston",
    "sba": "Croston, SBA",
    "adida": "ADIDA",
    "imapa": "IMAPA",
    "ets": "Exponential smoothing",
    "theta": "Theta",
    "seasonal_smoothing": "Seasonal smoothing",
    "store_calendar_tsb": "TSB with store calendar",
    "lightgbm": "LightGBM",
    "lightgbm_recursive": "LightGBM, day by day",
    "lightgbm_mean": "LightGBM, mean of both",
    "lightgbm_pulled": "LightGBM towards totals",
    "lightgbm_mean_pulled": "LightGBM mean towards totals",
    "pooled_linear": "Pooled ridge regression",
    "pooled_histogram": "Pooled boosted trees",
    MEAN_OF_BEST: "Mean of the best three",
    BOTTOM_UP: "Sum of the series",
    "ets_effects": "Exponential smoothing with events and prices",
    "regression": "Regression",
    "arma": "Regression with ARMA errors",
    "arima": "Regression with ARIMA errors",
}
SIMPLE = (
    "moving_mean",
    "tsb",
    "croston",
    "sba",
    "adida",
    "imapa",
    "ets",
    "theta",
    "seasonal_smoothing",
    "store_calendar_tsb",
)
"""Methods that look at one series, or one store, at a time: what a learning model has to earn its cost against."""


def label(model_name: str) -> str:
    """Words for one model."""
    return LABELS.get(model_name, model_name)


def described(model_names: str) -> str:
    """Words and technical names, in Markdown, of names joined by commas as queries give them."""
    return ", ".join(f"**{label(name)}** (`{name}`)" for name in model_names.split(", "))
