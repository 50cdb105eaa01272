"""Weekdays as people write them: 123456, 1-6, Mon-Sat, or Monday to Friday one by one."""

import ibis
from ibis.expr.types import StringValue

NORMAL = "^1?2?3?4?5?6?7?$"
"""ISO weekdays in order, each once."""

_NAMES = ("mon(day)?", "tue(s(day)?)?", "wed(nesday)?", "thu(r(s(day)?)?)?", "fri(day)?", "sat(urday)?", "sun(day)?")
_WRITTEN = "^[1-7](-[1-7])?([,;/ ]*[1-7](-[1-7])?)*$"
_RANGES = {
    f"{a}-{b}": "".join(str((a + n - 1) % 7 + 1) for n in range((b - a) % 7 + 1))
    for a in range(1, 8)
    for b in range(1, 8)
}


def normal(text: StringValue) -> StringValue:
    """Weekdays as ISO numbers in order; a text that does not name weekdays as it was.

    Numbers or English names, whole or in short, one by one or as ranges, which may pass Sunday: Sat-Mon is 167.
    """
    spelled = text.lower().re_replace(r"\s*[-–—]\s*", "-")
    for number, name in enumerate(_NAMES, start=1):
        spelled = spelled.re_replace(rf"\b{name}\b", str(number))
    days = spelled
    for span, numbers in _RANGES.items():
        days = days.replace(span, numbers)
    ordered = ibis.literal("").join([ibis.ifelse(days.contains(str(n)), str(n), "") for n in range(1, 8)])
    return ibis.ifelse(spelled.re_search(_WRITTEN), ordered, text)
