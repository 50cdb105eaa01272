"""What a retailer with a short history is forecast by, and from which Monday on more can be: one sentence for all.

`run` prints the sentence, the pages and the stored forecasts show it. How a short history is learnt from belongs in
`tournament`.
"""

from datetime import date, timedelta

from retail_assets.windows import FULL_TRAINING_DAYS, MIN_FORECAST_DAYS, MIN_TRAINING_DAYS


def short_history_note(first: date, newest: date, *, is_model_in_force: bool) -> str | None:
    """Who forecasts, why, and from when on more will; None once every contender can compete.

    Args:
        first: the first day of gold/demand_daily.
        newest: its newest day.
        is_model_in_force: a trained model forecasts that day, not the seasonal naive.

    >>> short_history_note(date(2025, 1, 1), date(2025, 4, 1), is_model_in_force=True)
    >>> short_history_note(date(2025, 1, 1), date(2025, 1, 6), is_model_in_force=False)
    'nothing is forecast yet: 6 days of history are there, the forecast starts with 7, on 2025-01-07'
    """
    days, all_from = (newest - first).days + 1, training_monday(first, FULL_TRAINING_DAYS)
    if newest >= all_from:
        return None
    every = f"all contenders compete from Monday {all_from} on"
    if days < MIN_FORECAST_DAYS:
        starts = first + timedelta(days=MIN_FORECAST_DAYS - 1)
        return (
            f"nothing is forecast yet: {_counted(days)} of history {'is' if days == 1 else 'are'} there, the forecast "
            f"starts with {MIN_FORECAST_DAYS}, on {starts}"
        )
    if is_model_in_force:
        return (
            f"a model trained on a short history forecasts: {days} days are there, and contenders that need more are "
            f"left out; {every}"
        )
    some_from = training_monday(first, MIN_TRAINING_DAYS)
    if newest < some_from:
        return (
            f"the seasonal naive forecasts: {days} days of history are there, and a training needs "
            f"{MIN_TRAINING_DAYS} before its Monday; models of a short history compete from Monday {some_from} on, "
            f"{every}"
        )
    return (
        f"the seasonal naive forecasts: no model trained on the {days} days of history is in force; the training "
        f"tries again every Monday, {every}"
    )


def _counted(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def training_monday(first: date, days: int) -> date:
    """The first Monday with that many days of history before it.

    >>> training_monday(date(2025, 1, 1), 28)
    datetime.date(2025, 2, 3)
    """
    due = first + timedelta(days=days)
    return due + timedelta(days=-due.weekday() % 7)
