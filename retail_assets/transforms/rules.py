"""Rules that decide whether a row is taken over: a name, a sentence, and when a row breaks it.

The same expressions give the accepted and the refused rows, so that nothing falls between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis

BROKEN_RULE = "broken_rule"


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
    content = [name for name in broken.columns if name not in (BROKEN_RULE, "extracted_at", "first_seen_at")]
    return broken.mutate(
        table_name=ibis.literal(table_name),
        rule=rule,
        explanation=ibis.cases(*[(rule == name, ibis.literal(text)) for name, text in sentences.items()], else_=rule),
        row_key=_text(broken, key),
        row_content=_text(broken, content),
    )


def _text(rows: ibis.Table, columns: Sequence[str]) -> ibis.Value:
    pairs = [ibis.literal(f"{name}=") + _as_text(rows[name]).fill_null("∅") for name in columns]
    return ibis.literal("; ").join(pairs)


def _as_text(value: ibis.Value) -> ibis.Value:
    """The same text from every engine; each writes moments in its own way."""
    return value.strftime("%Y-%m-%d %H:%M:%S") + " UTC" if value.type().is_timestamp() else value.cast("string")
