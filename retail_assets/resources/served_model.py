"""The demand model behind REST: rows of demand in, the forecast of the coming days out.

MLflow runs this file (models from code), so that a registered model is LightGBM text, JSON and Parquet and never a
pickle. `mlflow models serve --env-manager local` runs it where this package is installed.
"""

from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from retail_assets.demand.forecasting import forecast
from retail_assets.demand.panel import SERIES_COLUMNS, build_panel
from retail_assets.demand.training import load_model

_NO_EVENTS = pd.DataFrame({name: [] for name in ("event_date", "event_name", "event_type", "region")})
_PLAN_COLUMNS = ["business_date", "store_id", "product_id", "unit_price", "discount_rate", "is_open"]


class ServedDemandModel(PythonModel):
    """Answers with forecast.demand_forecast rows for every series of the request.

    A request holds columns of gold.demand_daily and the series' region, department and category. Rows with
    `sold_units` or `is_feed_missing` are history, the newest of them is the as-of date; rows after it are the price
    and promotion plan. Events of the calendar are not part of a request.
    """

    def load_context(self, context: Any) -> None:
        self._model = load_model(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        rows: pd.DataFrame = model_input.assign(business_date=pd.to_datetime(model_input["business_date"]))
        as_of = newest_history(rows)
        is_history = rows["business_date"] <= pd.Timestamp(as_of)
        panel = build_panel(
            rows.loc[is_history, :],
            series=rows.loc[:, list(SERIES_COLUMNS)],
            future=rows.loc[~is_history, _PLAN_COLUMNS],
            events=_NO_EVENTS,
            as_of=as_of,
            horizon=self._model.horizon,
        )
        return forecast(panel, self._model, horizons=(self._model.horizon,)).daily


def newest_history(rows: pd.DataFrame) -> date:
    """Newest day the request says something of.

    Raises:
        MlflowException: no row has demand; becomes the text of a 400 answer.
    """
    known = rows.loc[rows["sold_units"].notna() | rows["is_feed_missing"].fillna(False).astype(bool), "business_date"]
    if known.empty:
        raise mlflow.MlflowException.invalid_parameter_value(
            "No row of the request has sold_units, so there is no history to forecast from; "
            "send rows of gold.demand_daily."
        )
    return known.max().date()


set_model(ServedDemandModel())
