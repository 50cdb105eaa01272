"""Reconciliation day by day: what the source gave = bronze = silver + refused = fact, in rows and in money.

Money is exact to four places. The days are shown as a table, the worst ones first, so that the day is named where
something was lost, doubled or changed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import ibis
from ibis.expr.types import NumericValue

from retail_assets.checks.declare import Finding, Rows, TableCheck
from retail_assets.tables import bronze, gold, silver
from retail_assets.tables.contract import Table
from retail_assets.transforms.gold import net_value_of

DAYS_SHOWN = 31
_STAGES = ("extracted", "bronze", "silver", "refused", "fact")


@dataclass(frozen=True)
class Amount:
    rows: int = 0
    value: Decimal = Decimal(0)

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.rows + other.rows, self.value + other.value)

    def __str__(self) -> str:
        return f"{self.rows} rows" + (f" worth {self.value:.2f}" if self.value else "")


Amounts = Mapping[date, Amount]
Measure = tuple[str, Callable[[Amount], str]]


@dataclass(frozen=True)
class Day:
    """The amounts of a day; `extracted` is None for a day read before extractions were counted."""

    day: date
    extracted: Amount | None
    bronze: Amount
    silver: Amount
    refused: Amount
    fact: Amount | None

    @property
    def agrees(self) -> bool:
        is_read = self.extracted in (None, self.bronze)
        return is_read and self.bronze == self.silver + self.refused and self.fact in (None, self.silver)

    @property
    def difference(self) -> tuple[Decimal, int]:
        """How far the stages are apart in money and rows."""
        ends = [a for a in (self.extracted, self.bronze, self.silver + self.refused) if a is not None]
        ends += [self.fact + self.refused] if self.fact is not None else []
        values, rows = [amount.value for amount in ends], [amount.rows for amount in ends]
        return max(values) - min(values), max(rows) - min(rows)

    def __str__(self) -> str:
        known = [(name, getattr(self, name)) for name in _STAGES]
        return ", ".join(f"{name} {amount}" for name, amount in known if amount is not None)


def sales_reconcile() -> TableCheck:
    """Rows and money of the sales lines, from the source to the fact."""

    def find(rows: Rows) -> Finding:
        delivered, sold, facts = (rows.of(table) for table in (bronze.SALES, silver.SALES, gold.FACT_SALES))
        return _finding(
            extracted=_extracted(rows, bronze.SALES),
            raw=_amounts(delivered, net_value_of(delivered)),
            taken=_amounts(sold, net_value_of(sold)),
            refused=_refused(rows, bronze.SALES),
            fact=_amounts(facts, facts.net_value),
        )

    meaning = "Rows and money of every day agree: source, bronze, silver and refused, fact."
    return TableCheck(gold.FACT_SALES, "every_day_reconciles", meaning, find)


def rows_reconcile(raw: Table, table: Table, fact: Table | None = None) -> TableCheck:
    """Rows of a daily table from the source to silver and, where it has one, to its fact."""

    def find(rows: Rows) -> Finding:
        return _finding(
            extracted=_extracted(rows, raw),
            raw=_amounts(rows.of(raw)),
            taken=_amounts(rows.of(table)),
            refused=_refused(rows, raw),
            fact=_amounts(rows.of(fact)) if fact else None,
        )

    meaning = f"Rows of every day agree: source, bronze, silver and refused{', fact' if fact else ''}."
    return TableCheck(fact or table, "every_day_reconciles", meaning, find)


def _extracted(rows: Rows, table: Table) -> Amounts:
    counted = rows.known(bronze.EXTRACTED_DAYS)
    own = counted.filter(counted.table_name == table.path)
    found = own.select("business_date", "row_count", "net_value").to_pyarrow().to_pylist()
    return {row["business_date"]: Amount(row["row_count"], row["net_value"]) for row in found}


def _refused(rows: Rows, table: Table) -> Amounts:
    refused = rows.of(silver.REJECTED_ROWS)
    own = refused.filter(refused.table_name == table.path)
    return _amounts(own, own.net_value)


def _amounts(rows: ibis.Table, value: NumericValue | None = None) -> Amounts:
    zero = ibis.literal(0).cast("decimal(18, 4)")
    valued = rows.select("business_date", value=zero if value is None else value)
    days = valued.group_by("business_date").aggregate(rows=valued.count(), value=valued["value"].sum())
    found = days.to_pyarrow().to_pylist()
    return {row["business_date"]: Amount(row["rows"], Decimal(row["value"] or 0)) for row in found}


def _finding(*, extracted: Amounts, raw: Amounts, taken: Amounts, refused: Amounts, fact: Amounts | None) -> Finding:
    nothing = Amount()
    named = {**extracted, **raw, **taken, **refused, **(fact or {})}
    days = [
        Day(
            day=day,
            extracted=extracted.get(day),
            bronze=raw.get(day, nothing),
            silver=taken.get(day, nothing),
            refused=refused.get(day, nothing),
            fact=None if fact is None else fact.get(day, nothing),
        )
        for day in sorted(named)
    ]
    wrong = [day for day in days if not day.agrees]
    return Finding(
        passed=not wrong,
        sentence=_disagreement(wrong, days) if wrong else f"{len(days)} days agree: {_total(days)}.",
        figures={"days": len(days), "days_apart": len(wrong)},
        shown={"days": _table(days)},
    )


def _disagreement(wrong: list[Day], days: list[Day]) -> str:
    worst = max(wrong, key=lambda day: (day.difference, day.day))
    return f"{len(wrong)} of {len(days)} days do not agree, the worst {worst.day}: {worst}."


def _total(days: list[Day]) -> str:
    nothing = Amount()
    taken, refused = (sum((getattr(day, name) for day in days), nothing) for name in ("silver", "refused"))
    return f"{taken} taken over, {refused} refused"


def _table(days: list[Day]) -> str:
    """Markdown: days that do not agree by how far they are apart, then the newest; money where there is any."""
    order = sorted(days, key=lambda day: (not day.agrees, day.difference, day.day), reverse=True)
    has_money = any(getattr(day, name) and getattr(day, name).value for day in days for name in _STAGES)
    measures: list[Measure] = [("rows", lambda amount: str(amount.rows))]
    measures += [("money", lambda amount: f"{amount.value:.2f}")] if has_money else []
    return "\n".join(_lines(order[:DAYS_SHOWN], measures))


def _lines(days: list[Day], measures: list[Measure]) -> Iterator[str]:
    titles = [f"{stage} {name}" for stage in _STAGES for name, _ in measures]
    yield f"| day | {' | '.join(titles)} | agrees |"
    yield "|---" * (len(titles) + 2) + "|"
    for day in days:
        amounts = [getattr(day, stage) for stage in _STAGES]
        cells = ["–" if amount is None else text(amount) for amount in amounts for _, text in measures]
        yield f"| {day.day} | {' | '.join(cells)} | {'yes' if day.agrees else '**no**'} |"
