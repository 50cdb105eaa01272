"""Rules that decide whether a row is taken over: a name, a sentence, and when a row breaks it.

The same expressions give the accepted and the refused rows, so that nothing falls between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis
from ibis.expr.types import StringValue

BROKEN_RULE = "broken_rule"
AS_DELIVERED = "as_delivered"
"""Working column of judged rows: the ids as the source wrote them, where conforming changed one; else null."""


@dataclass(frozen=True)
class Rule:
    """`breaks` is true for rows that must be refused; null counts as false."""

    name: str
    explanation: str
    breaks: Callable[[ibis.Table], ibis.Value]


def judge(rows: ibis.Table, rules: Sequence[Rule]) -> ibis.Table:
    """The rows with `broken_rule`: the name of the first rule broken, null for none."""
    verdicts = [(rule.breaks(rows).fill_null(False), ibis.literal(rule.name)) for rule in rules]
    return rows.mutate(**{BROKEN_RULE: ibis.cases(*verdicts, else_=ibis.null("string"))})


def accepted(judged: ibis.Table) -> ibis.Table:
    return judged.filter(judged[BROKEN_RULE].isnull()).drop(BROKEN_RULE)


def refused(judged: ibis.Table, rules: Sequence[Rule], *, table_name: str, key: Sequence[str]) -> ibis.Table:
    """The refused rows with rule, explanation, key and original content as text.

    Returns:
        The judged columns plus table_name, rule, explanation, row_key and row_content.
    """
    broken = judged.filter(judged[BROKEN_RULE].notnull())
    sentences = {rule.name: rule.explanation for rule in rules}
    rule = broken[BROKEN_RULE]
    hidden = (BROKEN_RULE, AS_DELIVERED, "extracted_at", "first_seen_at")
    content = _text(broken, [name for name in broken.columns if name not in hidden])
    as_delivered = (ibis.literal("; as delivered ") + broken[AS_DELIVERED]).fill_null("")
    return broken.mutate(
        table_name=ibis.literal(table_name),
        rule=rule,
        explanation=ibis.cases(*[(rule == name, ibis.literal(text)) for name, text in sentences.items()], else_=rule),
        row_key=_text(broken, key),
        row_content=content + as_delivered,
    )


def with_ids_as_delivered(rows: ibis.Table, given: dict[str, str]) -> ibis.Table:
    """Adds `as_delivered`, from the columns that hold the given ids by the names of the conformed ones."""
    if not given:
        return rows.mutate(**{AS_DELIVERED: ibis.null("string")})
    is_changed = ibis.or_(*(~rows[name].identical_to(rows[raw]) for name, raw in given.items()))
    pairs = [ibis.literal(f"{name}=") + rows[raw].fill_null("∅") for name, raw in given.items()]
    text = ibis.ifelse(is_changed, ibis.literal("; ").join(pairs), ibis.null("string"))
    return rows.mutate(**{AS_DELIVERED: text}).drop(*given.values())


def _text(rows: ibis.Table, columns: Sequence[str]) -> StringValue:
    pairs = [ibis.literal(f"{name}=") + _as_text(rows[name]).fill_null("∅") for name in columns]
    return ibis.literal("; ").join(pairs)


def _as_text(value: ibis.Value) -> ibis.Value:
    """The same text from every engine; each writes moments in its own way."""
    return value.strftime("%Y-%m-%d %H:%M:%S") + " UTC" if value.type().is_timestamp() else value.cast("string")
