"""Rules that decide whether a row is taken over: a name, a sentence, and when a row breaks it.

The same expressions give the accepted and the refused rows, so that nothing falls between.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis
from ibis.expr.types import StringValue

from retail_assets.tables.contract import Column

Test = tuple[str, Callable[[ibis.Table], ibis.Value]]
"""What a value would be, and whether it is; null counts as false."""

BROKEN_RULE = "broken_rule"
AS_DELIVERED = "as_delivered"
"""Working column of validated rows: the ids as the source wrote them, where conforming changed one; else null."""

_LINE_ENDS_AND_TABS = "\t\n\v\f\r\u0085\u2028\u2029"
_WIDE_AND_NARROW = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_OF_NO_WIDTH = "\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
BLANKS = _LINE_ENDS_AND_TABS + _WIDE_AND_NARROW + _OF_NO_WIDTH
"""White space of Unicode, and what shows as little: files copied from elsewhere are full of it."""


@dataclass(frozen=True)
class Rule:
    """`breaks` is true for rows that must be refused; null counts as false."""

    name: str
    explanation: str
    breaks: Callable[[ibis.Table], ibis.Value]


def stripped(text: StringValue) -> StringValue:
    """The text without blanks around it; the characters stand in the pattern, as engines name them differently."""
    return text.re_replace(f"^[{BLANKS}]+|[{BLANKS}]+$", "")


def code_tests(column: Column) -> list[Test]:
    """What its contract says of a code: for silver, which refuses, and for the check of the written table."""
    if not column.allowed:
        return []
    return [(f"is not one of {', '.join(column.allowed)}", lambda rows: rows[column.name].notin(column.allowed))]


def range_tests(column: Column, *, slack: float = 0) -> list[Test]:
    """The same of a number's range, an end each; `slack` for floating numbers that were computed."""
    tests: list[Test] = []
    least, most = column.bounds
    if least is not None:
        tests.append((f"is below {least:g}", lambda rows: rows[column.name] < least - slack))
    if most is not None:
        tests.append((f"is above {most:g}", lambda rows: rows[column.name] > most + slack))
    return tests


def any_breaks(rows: ibis.Table, tests: Sequence[Test]) -> ibis.Value:
    return ibis.or_(*(breaks(rows).fill_null(False) for _, breaks in tests))


def validate(rows: ibis.Table, rules: Sequence[Rule]) -> ibis.Table:
    """The rows with `broken_rule`: the name of the first rule broken, null for none."""
    verdicts = [(rule.breaks(rows).fill_null(False), ibis.literal(rule.name)) for rule in rules]
    return rows.mutate(**{BROKEN_RULE: ibis.cases(*verdicts, else_=ibis.null("string"))})


def accepted(validated: ibis.Table) -> ibis.Table:
    return validated.filter(validated[BROKEN_RULE].isnull()).drop(BROKEN_RULE)


def refused(validated: ibis.Table, rules: Sequence[Rule], *, table_name: str, key: Sequence[str]) -> ibis.Table:
    """The refused rows with rule, explanation, key and original content as text.

    Returns:
        The validated columns plus table_name, rule, explanation, row_key and row_content.
    """
    broken = validated.filter(validated[BROKEN_RULE].notnull())
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
