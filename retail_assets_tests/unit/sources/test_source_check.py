"""Checking a source asks the database for few rows, in its own dialect, and goes on where a dialect cannot."""

import datetime as dt
from collections import Counter
from contextlib import closing

import pyarrow as pa
import pytest
import sqlalchemy as sa
import sqlglot
from rich.console import Console
from sqlalchemy.exc import ProgrammingError

from retail_assets.command_line.terminal import print_checks
from retail_assets.database_errors import ConnectionRefused
from retail_assets.failures import TransientFailure
from retail_assets.resources.source import Source
from retail_assets.sources.backends.batches import RawBatch
from retail_assets.sources.day_check import days_to_count
from retail_assets.sources.dialects import cast, first_rows, joined, quoted, until_end
from retail_assets.sources.mapping import EntityBinding, load_mapping
from retail_assets.sources.reading import EntityReader
from retail_assets.sources.source_check import check_entity
from retail_assets.sources.statement import select_statement
from retail_assets.tables import entities
from retail_assets.tables.contract import DATE, DAYS, MONEY, TEXT, TIMESTAMP, UNITS
from retail_assets.windows import Window

MAY_1, MAY_9 = dt.date(2024, 5, 1), dt.date(2024, 5, 9)
SQLGLOT_NAMES = {"mssql": "tsql", "postgresql": "postgres", "sqlite": "sqlite", "mysql": "mysql", "oracle": "oracle"}
ROW = {"business_date": MAY_9, "store_id": "1", "product_id": "A", "on_hand_units": 3}


class FakeDatabase:
    """Answers counting queries, sampling queries and the bare query; refuses what it is told to."""

    def __init__(self, *, refuses=(), rows=(ROW,), error=None):
        self.statements, self.windows = [], []
        self._refuses, self._rows, self._error = refuses, rows, error

    def batches(self, statement, parameters, *, batch_rows, by_days=False):
        text = statement.rendered(lambda name: f":{name}")
        self.statements.append(text)
        self.windows.append(parameters)
        if self._error:
            raise self._error
        if any(word in text for word in self._refuses):
            raise ProgrammingError(text, None, Exception("not in a derived table"))
        if "day_count" in text:
            yield RawBatch(["oldest_date", "newest_date", "day_count"], [[MAY_1], [MAY_9], [7]])
            return
        inside = [row for row in self._rows if parameters["start"] <= row["business_date"] <= parameters["end"]]
        if "row_count" in text:
            counted = Counter(row["business_date"] for row in inside)
            yield RawBatch(["counted_day", "row_count"], [list(counted), list(counted.values())])
            return
        yield RawBatch(list(ROW), [[row[name] for row in inside] for name in ROW])


def _reader(
    database, *, url="mssql+pyodbc://reader:secret@host/shop", query="SELECT * FROM s WHERE d >= :start + :end"
):
    binding = EntityBinding(query=query, source_tables=["s"])
    return EntityReader(database, sa.make_url(url), "mine", entities.INVENTORY, binding)


def test_the_database_limits_the_sample_and_counts_the_days():
    database = FakeDatabase()
    check = check_entity(_reader(database))
    assert (check.oldest_date, check.newest_date, check.day_count, check.sampled_rows) == (MAY_1, MAY_9, 7, 1)
    assert check.problems == ()
    counting, sampling, *_ = database.statements
    assert counting == (
        'SELECT MIN("business_date") AS oldest_date, MAX("business_date") AS newest_date, '
        'COUNT(DISTINCT "business_date") AS day_count FROM (SELECT * FROM s WHERE d >= :start + :end) counted'
    )
    assert sampling == "SELECT TOP 1000 * FROM (SELECT * FROM s WHERE d >= :start + :end) AS sampled"
    assert database.windows[1] == {"start": MAY_9, "end": MAY_9}


def test_a_query_that_cannot_be_a_derived_table_is_read_as_it_is():
    database = FakeDatabase(refuses=("sampled", "counted"))
    check = check_entity(_reader(database))
    assert (check.oldest_date, check.newest_date, check.day_count) == (MAY_9, MAY_9, None)
    assert (check.sampled_rows, check.problems) == (1, ())
    assert [text.split()[1] for text in database.statements if "sampled" in text] == ["TOP"]


def test_a_query_without_rows_has_no_days():
    check = check_entity(_reader(FakeDatabase(refuses=("counted",), rows=())))
    assert (check.oldest_date, check.newest_date, check.day_count, check.sampled_rows) == (None, None, None, 0)


def test_a_refused_connection_is_tried_once():
    refusal = sa.exc.OperationalError(None, None, Exception("password authentication failed for user reader"))
    database = FakeDatabase(error=refusal)
    with pytest.raises(ConnectionRefused, match="host/shop refuses the connection: password authentication failed"):
        check_entity(_reader(database))
    assert len(database.statements) == 1


def test_a_file_that_is_not_there_is_told_once(tmp_path):
    source = Source(f"sqlite:///{tmp_path / 'absent.db'}", load_mapping("m5"))
    with pytest.raises(ConnectionRefused, match="There is no database at .*absent.db; run `retail-assets demo`"):
        source.check()


def test_a_database_that_is_away_says_nothing_about_the_mapping():
    away = sa.exc.OperationalError(None, None, Exception("timeout expired"))
    with pytest.raises(TransientFailure, match="host/shop cannot be used now: timeout expired"):
        check_entity(_reader(FakeDatabase(error=away)))


@pytest.mark.parametrize("dialect", SQLGLOT_NAMES)
def test_the_limited_query_is_sql_of_its_dialect(dialect):
    before, after = first_rows(9, dialect)
    statement = select_statement("SELECT a, ':x;' AS b FROM t WHERE d BETWEEN :start AND :end").within(before, after)
    assert statement.parameters == ("start", "end")
    (parsed,) = sqlglot.parse(statement.rendered(lambda _: "?"), read=SQLGLOT_NAMES[dialect])
    assert isinstance(parsed, sqlglot.exp.Select)
    assert parsed.args.get("limit"), dialect


def test_an_identifier_in_a_wrapping_is_no_parameter():
    name = quoted('a":start%;', "postgresql")
    statement = select_statement("SELECT 1 AS a").within("SELECT MAX(%) FROM (", ") counted", quoted=name)
    assert statement.parameters == ()
    assert statement.rendered(str) == 'SELECT MAX("a"":start%;") FROM (SELECT 1 AS a) counted'
    assert statement.sqlalchemy_text == 'SELECT MAX("a""\\:start%;") FROM (SELECT 1 AS a) counted'


@pytest.mark.parametrize("dialect", SQLGLOT_NAMES)
@pytest.mark.parametrize("kind", [DATE, TIMESTAMP, MONEY, DAYS, UNITS, TEXT])
def test_a_cast_is_sql_of_its_dialect(dialect, kind):
    (parsed,) = sqlglot.parse(f"SELECT {cast('a', kind, dialect)} AS b FROM t", read=SQLGLOT_NAMES[dialect])
    assert isinstance(parsed, sqlglot.exp.Select)


@pytest.mark.parametrize("dialect", [*SQLGLOT_NAMES, "firebird"])
def test_the_condition_of_whole_days_is_sql_of_its_dialect(dialect):
    written = until_end("t.moved_at", dialect)
    (parsed,) = sqlglot.parse(f"SELECT 1 AS a FROM t WHERE {written}", read=SQLGLOT_NAMES.get(dialect))
    assert {node.name for node in parsed.find_all(sqlglot.exp.Placeholder)} == {"start", "end"}


def test_days_that_no_derived_table_can_count_are_counted_from_the_rows():
    rows = [ROW, ROW, ROW | {"business_date": MAY_1}]
    database = FakeDatabase(refuses=("counted",), rows=rows)
    assert _reader(database).day_counts(Window(MAY_1, MAY_9)) == {MAY_1: 1, MAY_9: 2}


@pytest.mark.parametrize(
    ("oldest", "newest", "days"),
    [
        (MAY_9, MAY_9, [MAY_9]),
        (MAY_1, MAY_9, [MAY_9, dt.date(2024, 5, 5), MAY_1]),
        (dt.date(2024, 2, 1), MAY_9, [MAY_9, dt.date(2024, 4, 30), dt.date(2024, 3, 21), dt.date(2024, 2, 1)]),
    ],
)
def test_several_days_of_a_span_are_counted_the_newest_first(oldest, newest, days):
    assert days_to_count(oldest, newest) == days


def test_a_timestamp_of_sql_server_is_no_row_version():
    assert cast("a", TIMESTAMP, "mssql") == "CAST(a AS DATETIME2)"
    assert cast("a", pa.int32(), "mysql") == "CAST(a AS SIGNED)"
    assert cast("a", DATE, "sqlite") == "date(a)"
    assert joined(["a", "b"], "mssql") == "CONCAT(a, '-', b)"
    assert joined(["a", "b"], "sqlite") == "a || '-' || b"
    assert joined(["a"], "mssql") == "a"
    assert quoted("a`b", "mysql") == "`a``b`"


def test_the_sample_closes_its_query():
    database = FakeDatabase()
    reader = _reader(database)
    with closing(reader.raw_batches(Window(MAY_1, MAY_9))) as batches:
        assert next(batches).row_count == 1
    assert reader.sample(Window(MAY_1, MAY_1), rows=5).row_count == 0


@pytest.mark.parametrize(
    ("faulty", "rows", "is_ok"), [(0, 100, True), (1, 20, True), (20, 100, True), (21, 100, False), (1, 19, False)]
)
@pytest.mark.parametrize("value", ["n/a", None])
def test_what_a_run_would_refuse_and_go_on_from_is_said_and_is_no_mistake(faulty, rows, is_ok, value):
    """A run stops beyond 20 % of the rows; of fewer than 20 rows none says whether the column or the row is wrong."""
    given = [ROW | {"on_hand_units": value if number < faulty else 3} for number in range(rows)]
    check = check_entity(_reader(FakeDatabase(rows=given)))
    assert (check.is_ok, check.sampled_rows) == (is_ok, rows)
    said = check.refusals if is_ok else check.problems
    words = "are not" if value else "have no on_hand_units"
    assert [f"{faulty} sampled" in sentence and words in sentence for sentence in said] == [True] * bool(faulty)


def test_a_refusal_is_printed_with_what_becomes_of_it_and_fails_nothing(capsys):
    given = [ROW | {"on_hand_units": "n/a" if number < 2 else 3} for number in range(100)]
    check = check_entity(_reader(FakeDatabase(rows=given)))
    assert print_checks([check], console=Console())
    assert "A run refuses such rows, keeps what they hold and goes on." in " ".join(capsys.readouterr().out.split())
