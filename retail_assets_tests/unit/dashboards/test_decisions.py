"""Decisions and the application database, read back with plain SQL and with the pipeline's reader."""

import csv
import io
import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from dashboards import decisions
from dashboards.decisions import Override, Proposal
from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.inventory.plan.inputs import PlanInputs
from retail_assets.inventory.plan.plan import replenishment_plan
from retail_assets.resources.app_database import METADATA, AppDatabase, read_schema
from retail_assets.tables import entities, layered
from retail_assets.tables.bronze import VERSION_COLUMNS
from retail_assets_tests.unit.inventory.test_plan import retailer

OVERRIDE = Override("S01", "P01", date(2026, 3, 2), date(2026, 3, 8), 12.5, "Street fair")
TODAY = date(2026, 3, 2)
"""The day on which the order of the proposal leaves."""
PROPOSAL = Proposal("proposal-1", "S01", "P01", "SUP1", 24.0, 6.0, 0.84, date(2026, 3, 2), date(2026, 3, 4))


@pytest.fixture
def database(tmp_path: Path) -> AppDatabase:
    made = AppDatabase(f"sqlite:///{tmp_path / 'new folder' / 'application.db'}")
    made.create()
    return made


def _rows(database: AppDatabase, entity: entities.Entity) -> list[dict]:
    return database.read(entity).to_pylist()


@pytest.mark.parametrize("row", layered.APPLICATION_SNAPSHOTS, ids=lambda row: row.entity.name)
def test_read_gives_the_columns_bronze_stores(row):
    own = [column.name for column in VERSION_COLUMNS]
    expected = pa.schema([field for field in row.bronze.schema if field.name not in own])
    assert read_schema(row.entity).equals(expected)


def test_a_missing_database_reads_as_no_rows_and_is_not_created(tmp_path: Path):
    file = tmp_path / "application.db"
    table = AppDatabase(f"sqlite:///{file}").read(entities.ORDER_DECISIONS)
    assert table.num_rows == 0
    assert table.schema.equals(read_schema(entities.ORDER_DECISIONS))
    assert not file.exists()


def test_a_missing_table_reads_as_no_rows(tmp_path: Path):
    file = tmp_path / "application.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (a INTEGER)")
    assert AppDatabase(f"sqlite:///{file}").read(entities.FORECAST_OVERRIDES).num_rows == 0


def test_create_twice_and_at_once_keeps_rows(database: AppDatabase):
    decisions.save_override(database, OVERRIDE, who="Ana")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: database.create(), range(8)))
    assert len(_rows(database, entities.FORECAST_OVERRIDES)) == 1


def test_create_at_once_on_an_empty_database(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'application.db'}"
    barrier = Barrier(4)

    def create(_: int) -> None:
        barrier.wait()
        AppDatabase(url).create()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, range(4)))
    assert AppDatabase(url).read(entities.ORDER_DECISIONS).num_rows == 0


@pytest.mark.parametrize("name", ["mssql+pyodbc://", "postgresql+psycopg://", "sqlite://"])
def test_the_tables_can_be_declared_in_every_supported_database(name):
    dialect = sa.make_url(name).get_dialect()()
    statements = [str(sa.schema.CreateTable(table).compile(dialect=dialect)) for table in METADATA.sorted_tables]
    assert len(statements) == 2
    assert "one_decision_per_proposal" in "".join(statements)
    if name.startswith("mssql"):
        assert "NVARCHAR(max)" not in "".join(statements)
        assert "DATETIMEOFFSET" in "".join(statements)


def test_passwords_are_in_no_message_and_no_repr():
    database = AppDatabase("postgresql+psycopg://planner:canary-secret@127.0.0.1:1/application")
    assert "canary-secret" not in repr(database)
    with pytest.raises(TransientFailure, match="check RETAIL_APP_DATABASE_URL") as caught:
        database.read(entities.ORDER_DECISIONS)
    assert "canary-secret" not in str(caught.value)
    assert "The application database 127.0.0.1:1/application cannot be used now: " in str(caught.value)


def test_an_address_that_is_no_url_is_one_sentence():
    with pytest.raises(PermanentFailure, match="^RETAIL_APP_DATABASE_URL is not a URL: set it like") as caught:
        AppDatabase("canary-secret")
    assert "canary-secret" not in str(caught.value)


def test_an_unknown_driver_is_named():
    with pytest.raises(
        PermanentFailure, match="RETAIL_APP_DATABASE_URL names nosuch, for which no SQLAlchemy dialect is installed"
    ):
        AppDatabase("nosuch://server/db").create()


def test_an_override_is_read_back_by_the_pipeline(database: AppDatabase):
    before = datetime.now(UTC)
    override_id = decisions.save_override(database, OVERRIDE, who=" Ana ")
    (row,) = _rows(database, entities.FORECAST_OVERRIDES)
    assert row["override_id"] == override_id
    assert (row["mean_units"], row["reason"], row["decided_by"]) == (12.5, "Street fair", "Ana")
    assert before <= row["decided_at"] <= datetime.now(UTC)
    assert row["unparsed"] is None


@pytest.mark.parametrize(
    ("changes", "who", "message"),
    [
        ({"reason": "  "}, "Ana", "An override needs a reason"),
        ({"reason": "x" * 1001}, "Ana", "has 1001 characters: keep it below 1000"),
        ({"store_id": None, "product_id": None}, "Ana", "needs a store or a product"),
        ({"to_date": date(2026, 3, 1)}, "Ana", "ends (2026-03-01) before it starts (2026-03-02)"),
        ({"mean_units": -1.0}, "Ana", "cannot be negative, got -1"),
        ({"mean_units": math.nan}, "Ana", "nan is no demand: enter a number of units a day up to 10,000."),
        ({"mean_units": math.inf}, "Ana", "inf is no demand"),
        ({"mean_units": 12e9}, "Ana", "12,000,000,000 is no demand"),
        ({}, " ", "enter your name in the sidebar"),
    ],
)
def test_an_impossible_override_is_refused_in_one_sentence(database, changes, who, message):
    with pytest.raises(PermanentFailure) as caught:
        decisions.save_override(database, replace(OVERRIDE, **changes), who=who)
    assert message in str(caught.value)
    assert _rows(database, entities.FORECAST_OVERRIDES) == []


def test_overrides_of_a_scope_are_its_own_newest_first(database: AppDatabase):
    for mean_units in (1.0, 2.0):
        decisions.save_override(database, replace(OVERRIDE, mean_units=mean_units), who="Ana")
    decisions.save_override(database, replace(OVERRIDE, store_id=None), who="Ana")
    here = decisions.overrides(database, store_id="S01", product_id="P01")
    assert here["mean_units"].tolist() == [2.0, 1.0]
    everywhere = decisions.overrides(database, store_id=None, product_id="P01")
    assert everywhere["mean_units"].tolist() == [12.5]
    assert decisions.overrides(database, store_id="S02", product_id="P01").empty


def test_an_approval_is_read_back_with_what_was_proposed(database: AppDatabase, tmp_path: Path):
    decisions.approve(database, PROPOSAL, order_units=12.0, reason="small shelf", who="Ana", today=TODAY)
    with closing(sqlite3.connect(tmp_path / "new folder" / "application.db")) as connection:
        rows = connection.execute(
            "SELECT proposal_id, decision, order_units, proposed_units, supplier_id, exported_at FROM order_decisions"
        ).fetchall()
    assert rows == [("proposal-1", "approved", 12.0, 24.0, "SUP1", None)]


@pytest.mark.parametrize(
    ("units", "reason", "message"),
    [
        (13.0, "x", "13 units are not whole packs of 6: order 12 or 18 units."),
        (2.0, "x", "2 units are not whole packs of 6: order 6 units."),
        (0.0, "x", "reject the line to order nothing"),
        (30.0, " ", "Ordering 30 instead of 24 units needs a reason"),
        (-6.0, "x", "An approved order has units, got -6: reject the line to order nothing."),
        (12e9, "x", "12,000,000,000 units of P01 for S01 are more than the 1,000,000 that one line can hold"),
        (1_000_002.0, "x", "1,000,002 units of P01 for S01 are more than the 1,000,000"),
        (math.nan, "x", "nan is no number of units: enter how many units of P01 for S01 to order."),
        (math.inf, "x", "inf is no number of units: enter"),
        (-math.inf, "x", "-inf is no number of units: enter"),
    ],
)
def test_an_impossible_approval_is_refused_in_one_sentence(database, units, reason, message):
    with pytest.raises(PermanentFailure) as caught:
        decisions.approve(database, PROPOSAL, order_units=units, reason=reason, who="Ana", today=TODAY)
    assert message in str(caught.value)
    assert _rows(database, entities.ORDER_DECISIONS) == []


@pytest.mark.parametrize("order_date", [date(2020, 1, 6), TODAY - timedelta(days=1)])
def test_an_order_whose_day_has_passed_cannot_be_approved(database: AppDatabase, order_date: date):
    late = replace(PROPOSAL, order_date=order_date)
    with pytest.raises(PermanentFailure) as caught:
        decisions.approve(database, late, order_units=24.0, reason="", who="Ana", today=TODAY)
    assert str(caught.value) == (
        f"The order of P01 for S01 should have left on {order_date}, and today is 2026-03-02: nothing was approved. "
        "Decide on tonight's plan, which orders what is still needed."
    )
    assert _rows(database, entities.ORDER_DECISIONS) == []
    decisions.approve(database, late, order_units=24.0, reason="", who="Ana", today=order_date)
    assert len(_rows(database, entities.ORDER_DECISIONS)) == 1, "on its own day it leaves"


@pytest.mark.parametrize("missing", [{"supplier_id": ""}, {"pack_units": 0.0}])
def test_what_nobody_supplies_cannot_be_approved(database: AppDatabase, missing: dict):
    with pytest.raises(PermanentFailure) as caught:
        decisions.approve(database, replace(PROPOSAL, **missing), order_units=6.0, reason="x", who="Ana", today=TODAY)
    assert str(caught.value) == (
        "P01 for S01 has no supplier or no pack size: "
        "add it to the sourcing of the source, then the next plan can order it."
    )


def test_packs_of_weighed_goods_need_not_be_whole_numbers(database: AppDatabase):
    weighed = replace(PROPOSAL, pack_units=0.1, order_units=0.7)
    decisions.approve(database, weighed, order_units=0.7, reason="", who="Ana", today=TODAY)
    assert _rows(database, entities.ORDER_DECISIONS)[0]["order_units"] == 0.7


def test_of_many_planners_deciding_at_once_one_wins_and_the_others_are_told(database: AppDatabase):
    names = [f"Planner {number}" for number in range(6)]
    barrier = Barrier(len(names))

    def decide(name: str) -> str:
        barrier.wait()
        try:
            decisions.approve(database, PROPOSAL, order_units=24.0, reason="", who=name, today=TODAY)
        except PermanentFailure as refusal:
            return str(refusal)
        return "won"

    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(decide, names))
    (row,) = _rows(database, entities.ORDER_DECISIONS)
    assert answers.count("won") == 1
    assert names[answers.index("won")] == row["decided_by"]
    told = [answer for answer in answers if answer != "won"]
    assert all(f"P01 for S01 was already approved by {row['decided_by']}" in answer for answer in told)


def test_a_rejected_proposal_cannot_be_approved(database: AppDatabase):
    decisions.reject(database, PROPOSAL, reason="delisted", who="Ana")
    with pytest.raises(PermanentFailure, match="already rejected by Ana"):
        decisions.approve(database, PROPOSAL, order_units=24.0, reason="", who="Ben", today=TODAY)


def test_decided_gives_the_decisions_of_the_cycles_asked_for(database: AppDatabase):
    decisions.approve(database, PROPOSAL, order_units=24.0, reason="", who="Ana", today=TODAY)
    found = decisions.decided(database, from_order_date=PROPOSAL.order_date)
    assert found.schema.equals(decisions.DECISIONS_SCHEMA)
    assert found["proposal_id"].to_pylist() == ["proposal-1"]
    assert decisions.decided(database, from_order_date=PROPOSAL.order_date + timedelta(days=1)).num_rows == 0


def test_every_approved_line_is_exported_exactly_once(database: AppDatabase):
    for number in range(8):
        decisions.approve(
            database,
            replace(PROPOSAL, proposal_id=f"proposal-{number}"),
            order_units=24.0,
            reason="",
            who="Ana",
            today=TODAY,
        )
    decisions.reject(database, replace(PROPOSAL, proposal_id="refused"), reason="no", who="Ana")
    barrier = Barrier(2)

    def export(name: str) -> str | None:
        barrier.wait()
        try:
            return decisions.export_approved(database, who=name)
        except PermanentFailure:
            return None

    with ThreadPoolExecutor(2) as pool:
        made = [export_id for export_id in pool.map(export, ("Ana", "Ben")) if export_id]
    exported = [row for export_id in made for row in _csv(decisions.export_csv(database, export_id))]
    assert sorted(row["proposal_id"] for row in exported) == [f"proposal-{number}" for number in range(8)]
    assert decisions.waiting_for_export(database).empty
    assert decisions.exports(database)["line_count"].sum() == 8


def test_a_later_export_has_only_later_lines_and_leaves_the_earlier_file_as_it_was(database: AppDatabase):
    decisions.approve(database, PROPOSAL, order_units=24.0, reason="", who="Ana", today=TODAY)
    first = decisions.export_approved(database, who="Ana")
    content = decisions.export_csv(database, first)
    with pytest.raises(PermanentFailure, match="Nothing is waiting for export"):
        decisions.export_approved(database, who="Ben")
    decisions.approve(
        database, replace(PROPOSAL, proposal_id="proposal-2"), order_units=24.0, reason="", who="Ana", today=TODAY
    )
    (line,) = _csv(decisions.export_csv(database, decisions.export_approved(database, who="Ben")))
    assert line["proposal_id"] == "proposal-2"
    assert decisions.export_csv(database, first) == content


def test_the_exported_file_has_what_a_purchase_order_needs(database: AppDatabase):
    decisions.approve(database, PROPOSAL, order_units=24.0, reason="", who="Ana", today=TODAY)
    (row,) = _csv(decisions.export_csv(database, decisions.export_approved(database, who="Ben")))
    assert row == {
        "supplier_id": "SUP1",
        "store_id": "S01",
        "product_id": "P01",
        "order_units": "24.0",
        "unit_cost": "0.84",
        "order_date": "2026-03-02",
        "expected_delivery_date": "2026-03-04",
        "proposal_id": "proposal-1",
        "decided_by": "Ana",
    }


def test_no_id_or_name_of_the_exported_file_runs_as_a_formula(database: AppDatabase):
    hostile = replace(
        PROPOSAL, store_id="=cmd|' /C calc'!A0", product_id="\t-1", supplier_id=" @SUM(A1)", unit_cost=-0.5
    )
    decisions.approve(database, hostile, order_units=24.0, reason="", who="+Ana", today=TODAY)
    (row,) = _csv(decisions.export_csv(database, decisions.export_approved(database, who="Ben")))
    texts = [row[name] for name in ("store_id", "product_id", "supplier_id", "decided_by")]
    assert texts == ["'=cmd|' /C calc'!A0", "'\t-1", "' @SUM(A1)", "'+Ana"]
    assert (row["unit_cost"], row["order_units"], row["order_date"]) == ("-0.5", "24.0", "2026-03-02")


def test_a_cost_that_nobody_knows_is_exported_as_nothing(database: AppDatabase):
    for number, cost in enumerate((0.84, None)):
        some = replace(PROPOSAL, proposal_id=f"proposal-{number}", store_id=f"S{number}", unit_cost=cost)
        decisions.approve(database, some, order_units=24.0, reason="", who="Ana", today=TODAY)
    rows = _csv(decisions.export_csv(database, decisions.export_approved(database, who="Ben")))
    assert [row["unit_cost"] for row in rows] == ["0.84", ""]


def test_what_an_approved_order_still_needs_can_be_approved_and_both_are_exported_once(database: AppDatabase):
    """More is sold before the order leaves: the same order cycle is planned again with the approval on order."""
    case = retailer(stock={"P": 5.0})
    first = _proposed(replenishment_plan(PlanInputs(**case)))
    decisions.approve(database, first, order_units=first.order_units, reason="", who="Ana", today=first.order_date)
    read = pd.DataFrame(_rows(database, entities.ORDER_DECISIONS))
    case |= {
        "on_hand": case["on_hand"].assign(on_hand_units=1.0),
        "decisions": read[["proposal_id", "store_id", "product_id", "order_units", "expected_delivery_date"]],
        "approved_proposals": set(read["proposal_id"]),
    }
    more = _proposed(replenishment_plan(PlanInputs(**case)))
    assert (more.order_date, more.order_units) == (first.order_date, 4.0) and more.proposal_id != first.proposal_id
    assert _proposed(replenishment_plan(PlanInputs(**case))) == more
    decisions.approve(database, more, order_units=more.order_units, reason="", who="Ben", today=more.order_date)
    lines = _csv(decisions.export_csv(database, decisions.export_approved(database, who="Ben")))
    wanted = {proposal.proposal_id: proposal.order_units for proposal in (first, more)}
    assert {line["proposal_id"]: float(line["order_units"]) for line in lines} == wanted and len(lines) == 2
    with pytest.raises(PermanentFailure, match="Nothing is waiting for export"):
        decisions.export_approved(database, who="Ben")


def _proposed(plan: pd.DataFrame) -> Proposal:
    (line,) = plan.to_dict("records")
    return Proposal(**{field.name: line[field.name] for field in fields(Proposal)})


def test_nothing_to_export_says_so(database: AppDatabase):
    with pytest.raises(PermanentFailure, match="Nothing is waiting for export"):
        decisions.export_approved(database, who="Ana")


def _csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
