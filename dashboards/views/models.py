"""Models: which one forecasts, whether it beats the seasonal naive and by how much, and who else competed.

One function a section, drawn in the order of `page`; the figures of a verdict are taken apart before words are made.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import charts, queries, session
from dashboards.model_names import SIMPLE, described, label
from retail_assets.demand.model_versions import BIAS_LIMIT, version_in_force
from retail_assets.tables.forecast import DEMAND_MODEL, LIVE, MODEL_VERSIONS

REAL_DAYS = 28
EVERY_CLASS = "All classes"
_REASON_PIXELS = 560
Row = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What speaks for or against the model in force.

    `version` is its row of model_versions, `scores` the contenders of its training, `real` the error on real days
    (a row of `accuracy_by_origin`), None where no forecast has met its day.
    """

    version: Row
    scores: pd.DataFrame
    real: Row | None

    @property
    def backtest_gain(self) -> float:
        """Share of the seasonal naive's loss that the chosen contenders save on the backtest."""
        return 1 - self.version["scaled_pinball"] / self.version["naive_scaled_pinball"]

    @property
    def real_gain(self) -> float | None:
        """Share of the seasonal naive's absolute error that forecasts saved on real days."""
        return None if self.real is None else 1 - self.real["wape"] / self.real["naive_wape"]


@session.tells_failures
def page() -> None:
    st.title("Models")
    session.show_short_history()
    session.need(MODEL_VERSIONS, DEMAND_MODEL)
    versions = session.answer(queries.model_versions)
    if versions.empty:
        raise session.NothingThere(
            "No model has been trained yet: run the job `train` in Dagster, then reload this page."
        )
    _in_force(versions)
    _history(versions)
    _contenders(versions)
    _uplift()


def _in_force(versions: pd.DataFrame) -> None:
    newest = versions.iloc[-1]
    version = _version_in_force(versions)
    if version is None:
        st.warning(
            f"**No model is in force: the seasonal naive forecasts.** The newest training, of the week of"
            f" {newest['week_start_date']:%d %b %Y}, says: {newest['reason']}",
            icon=":material/block:",
        )
        return
    scores = session.answer(queries.contenders, week_start_date=version["week_start_date"])
    evidence = Evidence(version, scores, _real_days())
    st.markdown(f"##### {verdict(evidence)}")
    st.markdown(nearest_simple(scores))
    _figures(evidence)
    _decision(version, newest=newest.to_dict(), scores=scores)


def _version_in_force(versions: pd.DataFrame) -> Row | None:
    promoted: list[date] = versions["promoted_on"].dropna().tolist()
    name = version_in_force(versions, max(promoted)) if promoted else None
    return next((row for row in versions.to_dict("records") if row["model_version"] == name), None)


def _real_days() -> Row | None:
    """Error on the last real days, of live forecasts or of backfilled ones, whichever were scored on more of them."""
    found = session.answer(queries.accuracy_by_origin, day_count=REAL_DAYS).query("naive_wape > 0")
    return None if found.empty else found.to_dict("records")[0]


def verdict(evidence: Evidence) -> str:
    """Whether the model is better than the seasonal naive, with the figures that say so."""
    version = evidence.version
    backtest = (
        f"In the backtest its loss is {_less(evidence.backtest_gain)} than the seasonal naive's"
        f" (scaled pinball {version['scaled_pinball']:.4f} against {version['naive_scaled_pinball']:.4f}),"
        f" better in {_classes_won(evidence.scores)} demand classes"
    )
    if evidence.real is None:
        return f"{_answer(evidence)} {backtest}; no forecast has met its day yet."
    real, gain = evidence.real, evidence.real_gain or 0.0
    return (
        f"{_answer(evidence)} {backtest}. On real days, {_period(real)}, the error was {_less(gain)}"
        f" (WAPE {real['wape']:.1%} against {real['naive_wape']:.1%})."
    )


def _answer(evidence: Evidence) -> str:
    is_better = evidence.backtest_gain > 0
    if evidence.real_gain is None:
        return "Better than naive so far." if is_better else "Not better than naive."
    if is_better == (evidence.real_gain > 0):
        return "Better than naive: yes." if is_better else "Better than naive: no."
    return "Better than naive in the backtest only." if is_better else "Better than naive on real days only."


def nearest_simple(scores: pd.DataFrame) -> str:
    """How far the best simple method of each class is behind what was chosen: the naive is a low bar."""
    lead = _lead_over_simple(scores)
    if lead is None:
        return "No simple method competed beside the seasonal naive."
    place = f"{abs(lead):.1%} {'larger' if lead >= 0 else 'smaller'}"
    return (
        "The seasonal naive is a low bar: the loss of the best simple method of each class, picked after the fact, is"
        f" **{place}** than that of the chosen. The backtest also made the choice, so it flatters a little; real"
        " days do not."
    )


def _lead_over_simple(scores: pd.DataFrame) -> float | None:
    simple = scores.loc[scores["model_name"].isin(SIMPLE)].groupby("segment")["scaled_pinball"].min().to_dict()
    chosen = scores.loc[scores["is_chosen"] & scores["segment"].isin(list(simple))]
    loss = float((chosen["scaled_pinball"] * chosen["actual_units"]).sum())
    simple_loss = float((chosen["segment"].map(simple) * chosen["actual_units"]).sum())
    return simple_loss / loss - 1 if loss > 0 else None


def _less(gain: float) -> str:
    return f"{abs(gain):.0%} {'smaller' if gain >= 0 else 'larger'}"


def _classes_won(scores: pd.DataFrame) -> str:
    chosen = scores[scores["is_chosen"]]
    won = int((chosen["scaled_pinball"] < chosen["naive_scaled_pinball"]).sum())
    return f"{won} of {len(chosen)}"


def _period(real: Row) -> str:
    made = "made live" if real["origin"] == LIVE else "backfilled"
    return f"{real['from_date']:%d %b} – {real['to_date']:%d %b %Y}, by forecasts {made}, all days ahead"


def _figures(evidence: Evidence) -> None:
    version, real = evidence.version, evidence.real
    figures = [
        ("In force since", _long(version["promoted_on"]), f"version {version['model_version']}", ""),
        (
            "Backtest loss against naive",
            f"{-evidence.backtest_gain:+.0%}",
            f"{version['scaled_pinball']:.4f} against {version['naive_scaled_pinball']:.4f}",
            "Pinball loss of total demand over the protection horizons, over mean demand; all classes by their demand.",
        ),
        _real_figure(evidence),
        (
            "Bias in the backtest",
            f"{version['bias']:+.1%}",
            "no real days yet" if real is None else f"{real['bias']:+.1%} on real days",
            f"Sum of errors over demand: above zero expects too much. Promoted only within ±{BIAS_LIMIT:.0%}.",
        ),
    ]
    for column, (name, value, note, explained) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(
            name,
            value,
            note,
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=explained or None,
            height="stretch",
        )


def _real_figure(evidence: Evidence) -> tuple[str, str, str, str]:
    name = "Real error against naive"
    explained = (
        f"Last {REAL_DAYS} scored days, whole company, all days ahead, by whichever version was in force when the"
        " forecast was made. Days limited by stock are left out."
    )
    if evidence.real is None or evidence.real_gain is None:
        return name, "–", "no forecast has met its day yet", explained
    real = evidence.real
    return name, f"{-evidence.real_gain:+.0%}", f"WAPE {real['wape']:.1%} against {real['naive_wape']:.1%}", explained


def _decision(version: Row, *, newest: Row, scores: pd.DataFrame) -> None:
    if newest["model_version"] != version["model_version"]:
        st.warning(
            f"The newest training, of the week of {_long(newest['week_start_date'])}, was not promoted, so the older"
            f" version stays in force. {newest['reason']}",
            icon=":material/info:",
        )
    st.markdown(f"Trained through {_long(version['trained_through_date'])}. {version['reason']} {_who_serves(scores)}")


def _who_serves(scores: pd.DataFrame) -> str:
    chosen = scores[scores["is_chosen"]].groupby("model_name", sort=False)["segment"].agg(_listed)
    return f"Chosen: {'; '.join(f'{described(str(name))} for {classes}' for name, classes in chosen.items())}."


def _listed(classes: pd.Series) -> str:
    *first, last = classes.tolist()
    return f"{', '.join(first)} and {last}" if first else last


def _long(day: date) -> str:
    return f"{day:%d %b %Y}"


def _history(versions: pd.DataFrame) -> None:
    st.subheader("Trainings")
    st.plotly_chart(charts.training_chart(versions), key="models_training_chart", config={"displaylogo": False})
    _trainings_table(versions)
    st.caption(
        "Every training is judged on the weeks before it, so losses of different weeks compare only roughly. A version"
        " is compared with the one in force on the weeks both were scored on; what differs by less than two standard"
        " errors is a tie, and a tie keeps the version in force unless the same contenders were fitted on newer days."
    )


def _trainings_table(versions: pd.DataFrame) -> None:
    number = st.column_config.NumberColumn
    columns = {
        "week_start_date": st.column_config.DateColumn("Week", format="D MMM YYYY"),
        "promoted_on": st.column_config.DateColumn("Promoted on", format="D MMM YYYY", help="Empty: not promoted."),
        "scaled_pinball": number("Chosen", format="%.4f", help="Scaled pinball loss of the chosen contenders."),
        "naive_scaled_pinball": number("Naive", format="%.4f", help="The same of the seasonal naive."),
        "reason": st.column_config.TextColumn("Reason", width=_REASON_PIXELS),
        "shared_scaled_pinball": number("On shared weeks", format="%.4f", help=_decided("shared_scaled_pinball")),
        "champion_scaled_pinball": number("In force there", format="%.4f", help=_decided("champion_scaled_pinball")),
        "gap_error": number("Noise", format="%.4f", help=_decided("gap_error")),
        "shared_origins": number("Shared weeks", format="%d", help=_decided("shared_origins")),
        "champion_version": st.column_config.TextColumn("Compared with", help=_decided("champion_version")),
        "model_version": st.column_config.TextColumn("Version"),
    }
    newest_first = versions.iloc[::-1]
    st.dataframe(
        newest_first, column_order=list(columns), column_config=columns, hide_index=True, key="models_trainings"
    )


def _contenders(versions: pd.DataFrame) -> None:
    st.subheader("Contenders")
    week, segment, scores = _contenders_choice(versions)
    shown = scores if segment == EVERY_CLASS else scores.query("segment == @segment")
    figure = charts.contenders_chart(_by_contender(shown))
    st.plotly_chart(figure, key="models_contenders_chart", config={"displaylogo": False})
    _contenders_table(shown)
    st.caption(
        f"Training of the week of {_long(week)}; blue is chosen, grey the seasonal naive; all classes together are"
        " weighted by their demand. Losses are after the correction of bias. The smallest is not always chosen: within"
        " noise the mean of the best three wins, else the simplest (docs/forecasting.md)."
    )


def _contenders_choice(versions: pd.DataFrame) -> tuple[date, str, pd.DataFrame]:
    left, right = st.columns([1, 4], gap="large")
    weeks = session.answer(queries.training_weeks)
    week = left.selectbox("Training of the week of", weeks, format_func=_long, key="models_week")
    scores = session.answer(queries.contenders, week_start_date=week)
    classes = [EVERY_CLASS, *scores["segment"].unique()]
    with right:
        segment = st.segmented_control(
            "Demand class",
            classes,
            default=EVERY_CLASS,
            required=True,
            format_func=str.capitalize,
            key="models_segment",
            help="By how often and how evenly a product sells: smooth, erratic, intermittent or lumpy.",
        )
    return week, str(segment), scores


def _by_contender(scores: pd.DataFrame) -> pd.DataFrame:
    """model_name, scaled_pinball over the classes by their demand, is_chosen anywhere."""
    weighted = scores.assign(loss=scores["scaled_pinball"] * scores["actual_units"])
    total = weighted.groupby("model_name", as_index=False).agg(
        loss=("loss", "sum"), units=("actual_units", "sum"), is_chosen=("is_chosen", "any")
    )
    return total.assign(scaled_pinball=total["loss"] / total["units"])


def _contenders_table(scores: pd.DataFrame) -> None:
    number = st.column_config.NumberColumn
    columns = {
        "segment": st.column_config.TextColumn("Class"),
        "contender": st.column_config.TextColumn("Contender"),
        "is_chosen": st.column_config.CheckboxColumn("Chosen"),
        "scaled_pinball": number("Scaled pinball", format="%.4f", help=_meaning("scaled_pinball")),
        "against_naive_pct": number(
            "Against naive", format="%+.1f%%", help="Loss over the seasonal naive's, less one."
        ),
        "gap_error": number("Noise", format="%.4f", help=_meaning("gap_error")),
        "bias_pct": number("Bias", format="%+.1f%%", help=_meaning("bias")),
        "bias_factor": number("Correction", format="× %.2f", help=_meaning("bias_factor")),
        "parts": st.column_config.TextColumn("Mean of", help=_meaning("parts")),
        "wape_pct": number("WAPE", format="%.1f%%", help=_meaning("wape")),
        "rmsse": number("RMSSE", format="%.3f", help=_meaning("rmsse")),
        "series_count": number("Series", format="localized", help=_meaning("series_count")),
        "model_name": st.column_config.TextColumn("Technical name"),
    }
    frame = scores.assign(
        contender=scores["model_name"].map(label),
        against_naive_pct=(scores["scaled_pinball"] / scores["naive_scaled_pinball"] - 1) * 100,
        bias_pct=scores["bias"] * 100,
        wape_pct=scores["wape"] * 100,
    )
    st.dataframe(
        frame,
        column_order=list(columns),
        column_config=columns,
        hide_index=True,
        height=430,
        key="models_contenders_table",
    )


def _uplift() -> None:
    st.subheader("What promotions brought")
    by_product = st.segmented_control("By", ("Department", "Product"), default="Department", required=True) == "Product"
    found = session.answer(queries.promotion_uplift, by_product=by_product)
    if found.empty:
        st.caption("No training has measured a promotion yet.")
        return
    st.markdown(uplift_sentence(found))
    number = st.column_config.NumberColumn
    columns = {
        "name": st.column_config.TextColumn("Product" if by_product else "Department"),
        "promoted_days": number("Promoted days", format="localized", help="Days of a product in a store."),
        "discount_pct": number("Mean discount", format="%.0f%%"),
        "usual_units": number("Usual units", format="%.0f", help="What these days would have sold without a discount."),
        "uplift_units": number("Units gained", format="%+.0f", help="Demand beyond the usual."),
        "lift": number("Lift", format="× %.2f", help="Demand over usual demand."),
        "expected_lift": number("Expected", format="× %.2f", help="What the forecast expected before the week."),
    }
    frame = found.assign(discount_pct=found["mean_discount_rate"] * 100)
    st.dataframe(frame, column_order=list(columns), column_config=columns, hide_index=True, key="models_uplift")
    st.caption(
        "Promotions of the year before the newest training, demand not limited by stock. What was bought ahead or"
        " taken from other products is not subtracted."
    )


def uplift_sentence(found: pd.DataFrame) -> str:
    """All promotions in one sentence, and whether the forecast had expected it."""
    usual, gained = float(found["usual_units"].sum()), float(found["uplift_units"].sum())
    expected = float((found["expected_lift"] * found["usual_units"]).sum()) / usual
    return (
        f"Promoted days sold **{1 + gained / usual:.1f} times** their usual demand, {gained:+,.0f} units; the forecast"
        f" had expected {expected:.1f} times."
    )


def _meaning(column: str) -> str:
    return next(found.meaning for found in DEMAND_MODEL.columns if found.name == column)


def _decided(column: str) -> str:
    return next(found.meaning for found in MODEL_VERSIONS.columns if found.name == column)
