"""Silver: contracts, the share refused, and no row lost between bronze and silver.

How many refused rows are too many says each table's contract (`Quality`).
"""

from dataclasses import replace

import ibis

from retail_assets.checks.contract import unique_keys, values_keep_the_contract
from retail_assets.checks.declare import Finding, Rows, TableCheck, layer_checks
from retail_assets.checks.moved import lines_are_on_one_day
from retail_assets.checks.reconciliation import rows_reconcile
from retail_assets.tables import bronze, entities, layered, silver
from retail_assets.tables.catalog import table_at
from retail_assets.tables.contract import Quality, Reference, Table
from retail_assets.tables.entities import Entity
from retail_assets.transforms import as_of
from retail_assets.transforms.gold import value_of
from retail_assets.transforms.rules import BROKEN_RULE
from retail_assets.transforms.silver import known_of, snapshot_rules, validated_snapshot

_EXAMPLES = 3
_NOT_SHOWN = (*entities.SALES.personal, "business_date", "modified_at")


def nothing_is_lost(raw: Table, table: Table) -> TableCheck:
    """Rows of bronze = rows of silver + rows refused."""

    def find(rows: Rows) -> Finding:
        refused = rows.of(silver.REJECTED_ROWS)
        given = rows.of(raw).count().to_pyarrow().as_py()
        taken = rows.of(table).count().to_pyarrow().as_py()
        rejected = refused.filter(refused.table_name == raw.path).count().to_pyarrow().as_py()
        return Finding(
            passed=given == taken + rejected,
            sentence=f"{given} rows in bronze, {taken} taken over, {rejected} refused.",
            figures={"bronze_rows": given, "silver_rows": taken, "rejected_rows": rejected},
        )

    return TableCheck(table, "nothing_is_lost", "Bronze rows are taken over or refused with a reason.", find)


def refusals_are_few(raw: Table, table: Table) -> TableCheck:
    """Warns of too large a share of the run's rows, and stops at one of any day; the day is named."""
    quality = _quality(table)

    def find(rows: Rows) -> Finding:
        refusals = rows.of(silver.REJECTED_ROWS)
        own = refusals.filter(refusals.table_name == raw.path)
        found = _judged(quality, given=_by_day(rows.of(raw)), refused=_by_day(own), rules=_by(own, "rule"))
        return found if found.passed else _with_refused_rows(found, own, raw)

    return TableCheck(table, "refusals_are_few", _meaning(quality), find)


def snapshot_refusals_are_few(entity: Entity, raw: Table, table: Table) -> TableCheck:
    """The same of a snapshot, over the rows as the source has them now: an old fault that was mended does not count.

    Open lines of purchase orders are validated by themselves as well: they alone say what is on its way, and years of
    closed ones would hide that all of them are refused.
    """
    quality = _quality(table)

    def find(rows: Rows) -> Finding:
        versions = rows.of(raw).count().to_pyarrow().as_py()
        if rows.of(table).count().to_pyarrow().as_py() == versions:  # nothing was refused: no need to validate again
            return _judged(quality, given={"": versions}, refused={}, rules={})
        known = known_of(table, rows.engine.scan_or_empty)
        current = as_of.newest(validated_snapshot(rows.of(raw), entity, known), key=entity.key)
        of_all = _validated_rows(quality, current, entity)
        if entity is not entities.PURCHASE_ORDERS:
            return of_all
        is_open = ibis.and_(current.received_date.isnull(), current.cancelled_date.isnull())
        of_open = _validated_rows(quality, current.filter(is_open), entity)
        worst = max(of_all, of_open, key=lambda found: (not found.passed, found.is_serious and not found.passed))
        return worst if worst is of_all else replace(of_open, sentence=f"Of the open lines {of_open.sentence}")

    return TableCheck(table, "refusals_are_few", _meaning(quality), find)


def _validated_rows(quality: Quality, validated: ibis.Table, entity: Entity) -> Finding:
    rules = _by(validated, BROKEN_RULE)
    accepted = rules.pop(None, 0)
    refused = sum(rules.values())
    found = _judged(quality, given={"": accepted + refused}, refused={"": refused}, rules=rules)
    if found.passed:
        return found
    return _with_refused_keys(found, validated, entity, rule=max(rules, key=rules.__getitem__))


def snapshot_references_are_known(entity: Entity, table: Table) -> TableCheck:
    """A warning: a row about what is not known does nothing, and lists of old articles are full of such rows."""
    quality = _quality(table)

    def find(rows: Rows) -> Finding:
        current = as_of.newest(rows.of(table), key=entity.key)
        counted = _unknown_references(current, table, rows)
        lost = [
            f"{counted[f'rows_{name}']} {name} (such as {counted[f'first_{name}']})"
            for name in (reference.column for reference in table.references)
            if counted[f"rows_{name}"]
        ]
        most = max(counted[f"rows_{reference.column}"] or 0 for reference in table.references)
        rate = most / counted["total"] if counted["total"] else 0.0
        return Finding(
            passed=rate <= quality.warn_rate,
            sentence=f"Of {counted['total']} rows these are not known: {', '.join(lost) or 'none'} (warning "
            f"{quality.warn_rate:.0%}).",
            is_serious=False,
            figures={"unknown_rate": rate},
        )

    names = ", ".join(f"{reference.column} in {reference.path}" for reference in table.references)
    return TableCheck(table, "references_are_known", f"Known are {names}.", find)


def _unknown_references(current: ibis.Table, table: Table, rows: Rows) -> dict:
    """Rows in total, and for each reference how many name what is not known and the first of it, in one query.

    A list without rows is no list: nothing is compared with it.
    """
    joined, lost = current, {}
    for reference in table.references:
        name = reference.column
        ids = _ids_of(reference, rows)
        joined = joined.left_join(ids, joined[name] == ids[f"known_{name}"])
        lost[name] = ids.count().as_scalar()
    flags = {
        name: ibis.and_(
            joined[name].notnull(), joined[name] != silver.EVERY, joined[f"known_{name}"].isnull(), known_count > 0
        )
        for name, known_count in lost.items()
    }
    found = joined.aggregate(
        total=joined.count(),
        **{f"rows_{name}": flag.sum() for name, flag in flags.items()},
        **{f"first_{name}": joined[name].min(where=flag) for name, flag in flags.items()},
    )
    return found.to_pyarrow().to_pylist()[0]


def _ids_of(reference: Reference, rows: Rows) -> ibis.Table:
    """The ids that are known; a distribution centre is one by being named as such in sourcing."""
    known = rows.engine.scan_or_empty(table_at(reference.path))
    ids = known.select(**{f"known_{reference.column}": known[reference.target]})
    if reference.column == "source_id":
        sourcing = rows.engine.scan_or_empty(silver.SOURCING)
        ids = ids.union(sourcing.filter(sourcing.source_type == "dc").select(known_source_id="source_id"))
    return ids.filter(ids[0].notnull()).distinct()


def discounts_stay_within_the_value(rows: Rows) -> Finding:
    """A warning, not a refusal: the units of such a line are right, and demand would miss them."""
    lines = rows.of(silver.SALES)
    gross = value_of(lines.quantity, lines.unit_price).abs()
    beyond = lines.filter(lines.discount_value.abs() > gross)
    excess = (beyond.discount_value.abs() - value_of(beyond.quantity, beyond.unit_price).abs()).sum()
    worst = ibis.ifelse(beyond.count() > 0, beyond.business_date.max(), ibis.null("date"))
    [found] = beyond.aggregate(lines=beyond.count(), excess=excess, day=worst).to_pyarrow().to_pylist()
    last = f", the last on {found['day']}" if found["day"] else ""
    return Finding(
        passed=found["lines"] == 0,
        sentence=f"{found['lines']} lines have a discount beyond their value, by {found['excess'] or 0:.2f}{last}.",
        is_serious=False,
        figures={"lines": found["lines"], "excess_value": float(found["excess"] or 0)},
    )


def _quality(table: Table) -> Quality:
    if table.quality is None:
        raise ValueError(f"{table.path} does not say how many refused rows are too many")
    return table.quality


def _meaning(quality: Quality) -> str:
    return f"At most {quality.warn_rate:.0%} of the rows are refused; from {quality.stop_rate:.0%} nothing goes on."


def _by(rows: ibis.Table, column: str) -> dict:
    """Rows by the values of a column."""
    counted = rows.group_by(column).aggregate(row_count=rows.count()).to_pyarrow().to_pylist()
    return {row[column]: row["row_count"] for row in counted}


def _by_day(rows: ibis.Table) -> dict[str, int]:
    return {str(day): count for day, count in _by(rows, "business_date").items()}


def _judged(quality: Quality, *, given: dict[str, int], refused: dict[str, int], rules: dict[str, int]) -> Finding:
    total = sum(given.values())
    rate = sum(refused.values()) / total if total else 0.0
    rates = {day: refused.get(day, 0) / count for day, count in given.items() if count >= quality.least_rows}
    worst = max(rates, key=lambda day: (rates[day], day), default="")
    stops = max(rates.values(), default=0.0) > quality.stop_rate
    on_day = f", at worst {rates[worst]:.2%} on {worst}" if worst and rates[worst] > 0 else ""
    return Finding(
        passed=rate <= quality.warn_rate and not stops,
        sentence=f"{rate:.2%} of {total} rows refused{on_day} (warning {quality.warn_rate:.0%}, "
        f"stop {quality.stop_rate:.0%}).",
        is_serious=stops,
        figures={"rejected_rate": rate, "worst_rate": rates.get(worst, 0.0)},
        shown={"rules": _rule_table(rules)} if rules else {},
    )


def _with_refused_rows(found: Finding, own: ibis.Table, raw: Table) -> Finding:
    """The finding with the commonest rule of the worst day, a few of its rows, and where they lie."""
    by_rule = own.group_by("business_date", "rule").aggregate(n=own.count())
    [worst] = by_rule.order_by(ibis.desc("n"), ibis.desc("business_date"), "rule").limit(1).to_pyarrow().to_pylist()
    day, rule = worst["business_date"], worst["rule"]
    of_rule = own.filter(own.business_date == ibis.literal(day), own.rule == rule)
    some = of_rule.order_by("row_key").limit(_EXAMPLES).select("explanation", "row_content").to_pyarrow().to_pylist()
    told = ", ".join(f"({without_people(row['row_content'])})" for row in some)
    rows = "1 row breaks" if worst["n"] == 1 else f"{worst['n']} rows break"
    where = f"table_name={raw.path} --where rule={rule} --where business_date={day}"
    return replace(
        found,
        examples=f"on {day} {rows} {rule}: {some[0]['explanation'].rstrip('.')}, such as {told}",
        rows_at=f"{silver.REJECTED_ROWS.path} --where {where}",
    )


def _with_refused_keys(found: Finding, current: ibis.Table, entity: Entity, *, rule: str) -> Finding:
    """The same of a snapshot, by keys alone: other columns may name a person."""
    broken = current.filter(current[BROKEN_RULE] == rule)
    keys = broken.order_by(list(entity.key)).limit(_EXAMPLES).select(*entity.key).to_pyarrow().to_pylist()
    told = ", ".join(f"({'; '.join(f'{name}={value}' for name, value in key.items())})" for key in keys)
    explanation = next(known.explanation for known in snapshot_rules(entity) if known.name == rule).rstrip(".")
    return replace(found, examples=f"{rule}: {explanation}, such as {told}", rows_at=f"bronze/{entity.name}")


def without_people(content: str) -> str:
    """A refused daily row as text without what is empty, who bought, and when it was changed."""
    parts = (part.partition("=") for part in content.split("; "))
    return "; ".join(f"{name}={value}" for name, _, value in parts if name not in _NOT_SHOWN and value != "∅")


def _rule_table(rules: dict[str, int]) -> str:
    lines = [f"| {rule} | {count} |" for rule, count in sorted(rules.items(), key=lambda item: (-item[1], item[0]))]
    return "\n".join(["| rule | rows |", "|---|---|", *lines])


_DAILY = tuple(row.silver for row in layered.DAILY)
CHECKS = [
    layer_checks(
        "silver_checks",
        [
            *unique_keys(*_DAILY, *silver.SNAPSHOTS),
            *map(values_keep_the_contract, _DAILY),
            nothing_is_lost(bronze.SALES, silver.SALES),
            nothing_is_lost(bronze.INVENTORY, silver.INVENTORY),  # of movements the reconciliation stands here
            *(refusals_are_few(row.bronze, row.silver) for row in layered.DAILY),
            *(snapshot_refusals_are_few(*row) for row in layered.SNAPSHOTS),
            *(
                snapshot_references_are_known(row.entity, row.silver)
                for row in layered.SNAPSHOTS
                if row.silver.references
            ),
            rows_reconcile(bronze.STOCK_MOVEMENTS, silver.STOCK_MOVEMENTS),
            TableCheck(
                silver.SALES,
                "discounts_stay_within_the_value",
                "No discount is larger than the line's value.",
                discounts_stay_within_the_value,
            ),
            lines_are_on_one_day(),
        ],
    )
]
