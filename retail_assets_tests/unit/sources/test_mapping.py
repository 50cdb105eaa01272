"""A mapping is checked whole before anything runs; each complaint is one sentence that says what to do."""

import pytest
import yaml

from retail_assets.failures import PermanentFailure
from retail_assets.sources.mapping import load_mapping, shipped_mappings
from retail_assets.sources.statement import select_statement
from retail_assets.tables import entities

SALES = "SELECT * FROM s WHERE d BETWEEN :start AND :end"


def _content(**changes):
    content = {
        "name": "mine",
        "timezone": "Europe/Paris",
        "country": "FR",
        "currency": "EUR",
        "entities": {
            "stores": {"source_tables": ["shop"], "query": "SELECT * FROM shop"},
            "products": {"source_tables": ["item"], "query": "SELECT * FROM item;"},
            "sales": {"source_tables": ["s"], "query": SALES, "columns": {"product_id": "item"}},
        },
    }
    return content | changes


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "mine.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return str(path)

    return write


def _complaint(path):
    with pytest.raises(PermanentFailure) as raised:
        load_mapping(path)
    return str(raised.value)


def test_a_mapping_of_ones_own_is_read_from_its_path(written):
    mapping = load_mapping(written(_content()))
    assert (mapping.name, mapping.timezone, mapping.country, mapping.currency) == ("mine", "Europe/Paris", "FR", "EUR")
    assert mapping.binds(entities.SALES)
    assert not mapping.binds(entities.INVENTORY)
    assert mapping.entities["sales"].source_column("product_id") == "item"
    assert mapping.entities["sales"].source_column("store_id") == "store_id"


def test_every_shipped_mapping_is_valid():
    assert "m5" in shipped_mappings()
    for name in shipped_mappings():
        assert load_mapping(name).name == name


def _with_changes(query, entity="sales"):
    content = _content()
    content["entities"][entity]["changed_days"] = query
    return content


def test_changed_days_are_told_by_the_query_given(written):
    mapping = load_mapping(written(_with_changes("SELECT d FROM log WHERE at >= :since;")))
    assert mapping.entities["sales"].changes.parameters == ("since",)


@pytest.mark.parametrize(
    ("query", "columns", "expected"),
    [
        (
            "SELECT d AS business_date, modified_at FROM s WHERE d BETWEEN :start AND :end",
            {},
            "SELECT DISTINCT c.business_date FROM (SELECT d AS business_date, modified_at FROM s "
            "WHERE d BETWEEN :start AND :end) c WHERE c.modified_at >= :since",
        ),
        (
            "SELECT day, changed FROM s WHERE day BETWEEN :start AND :end",
            {"business_date": "day", "modified_at": "changed"},
            "SELECT DISTINCT c.day FROM (SELECT day, changed FROM s WHERE day BETWEEN :start AND :end) c "
            "WHERE c.changed >= :since",
        ),
        (SALES, {}, None),
        ("WITH x AS (SELECT 1) SELECT modified_at FROM x WHERE d BETWEEN :start AND :end", {}, None),
        ("SELECT modified_at FROM x WHERE d BETWEEN :start AND :end ORDER BY d", {}, None),
        ("SELECT b AS [at it] FROM x WHERE d BETWEEN :start AND :end", {"modified_at": "at it"}, None),
    ],
    ids=["by its name", "renamed", "not delivered", "starts with WITH", "ordered", "a name to quote"],
)
def test_changed_days_follow_from_modified_at(written, query, columns, expected):
    content = _content()
    content["entities"]["sales"] |= {"query": query, "columns": columns}
    changes = load_mapping(written(content)).entities["sales"].changes
    assert (changes and changes.rendered(lambda name: f":{name}")) == expected


@pytest.mark.parametrize(
    ("entity", "query", "sentence"),
    [
        ("stores", "SELECT 1 WHERE :since", "entity stores: changed_days is only for daily entities, this one is read"),
        ("sales", "SELECT d FROM s", "entity sales: the query of changed_days lacks :since; it tells the days of rows"),
        (
            "sales",
            "DELETE FROM s",
            "entity sales: the query of changed_days starts with DELETE; give exactly one SELECT.",
        ),
        ("sales", "SELECT d FROM s WHERE m >= :since AND x = :y", "changed_days has the parameter :y, but only :since"),
    ],
)
def test_a_wrong_query_of_changed_days_is_told(written, entity, query, sentence):
    assert sentence in _complaint(written(_with_changes(query, entity)))


def test_the_name_of_no_mapping(tmp_path):
    message = _complaint("northwin")
    assert "RETAIL_SOURCE_MAPPING" in message and "'northwin'" in message and "m5" in message


def _with_entity(name, **binding):
    content = _content()
    content["entities"][name] = {"source_tables": ["t"], "query": "SELECT 1"} | binding
    return content


def _without(name):
    content = _content()
    del content["entities"][name]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_with_entity("sale"), "mine.yaml: there is no entity sale; did you mean sales?"),
        (_with_entity("qqq"), "mine.yaml: there is no entity qqq; known are assortment, customers, "),
        (
            _without("stores"),
            "mine.yaml: the required entity stores is not bound; add a query for it below `entities`.",
        ),
        (
            _with_entity("inventory", query="SELECT * FROM i WHERE d >= :start"),
            "mine.yaml, entity inventory: the query lacks :end; a daily entity is read by business date, so add "
            "WHERE … BETWEEN :start AND :end.",
        ),
        (
            _with_entity("sales", query=SALES + " AND store = :shop"),
            "mine.yaml, entity sales: the query has the parameter :shop, but only :start and :end are given; "
            "remove it.",
        ),
        (
            _with_entity("events", query="SELECT * FROM e WHERE d >= :start"),
            "mine.yaml, entity events: the query has the parameter :start, but it is read whole, without parameters; "
            "remove it.",
        ),
        (
            _with_entity("events", query="SELECT 1; DROP TABLE e"),
            "mine.yaml, entity events: the query has more than one statement; give exactly one SELECT.",
        ),
        (
            _with_entity("events", query="DELETE FROM e"),
            "mine.yaml, entity events: the query starts with DELETE; give exactly one SELECT.",
        ),
        (
            _with_entity("events", query="  -- nothing yet"),
            "mine.yaml, entity events: the query starts with nothing; give exactly one SELECT.",
        ),
        (
            _with_entity("events", query="WITH gone AS (DELETE FROM e RETURNING *) SELECT * FROM gone"),
            "mine.yaml, entity events: the query contains DELETE; it may only read, so give exactly one SELECT.",
        ),
        (
            _with_entity("stores", columns={"store": "shop"}),
            "mine.yaml, entity stores: columns renames store, which is not a column of it; did you mean store_id?",
        ),
        (
            _with_entity("events", querry="SELECT 1"),
            "mine.yaml: entities.events.querry is not known here; did you mean query?",
        ),
        (_content(xyz="red"), "mine.yaml: xyz is not known here; known are country, currency, "),
        (
            _with_entity("events", source_tables=[]),
            "mine.yaml: entities.events.source_tables is wrong: got [], list should have at least 1 item",
        ),
        (
            {key: value for key, value in _content().items() if key != "currency"},
            "mine.yaml: currency is missing; there must be name, timezone, country, currency, entities.",
        ),
        (
            _content(timezone="Paris"),
            "mine.yaml: timezone is wrong: got 'Paris', is not an IANA time zone such as Europe/London.",
        ),
        (_content(country="France"), "mine.yaml: country is wrong: got 'France', "),
        ("name: [", "mine.yaml is not readable YAML"),
        ("", "mine.yaml: the file is wrong: got None, "),
        (
            "name: a\nname: b\n",
            "mine.yaml is not readable YAML: the key name is given twice in line 2; correct it there.",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_sentence(written, content, message):
    complaint = _complaint(written(content))
    assert complaint.startswith(message)
    assert "\n" not in complaint


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert _complaint(str(path)) == "mine.yaml is not UTF-8 text; save it as UTF-8 YAML."


@pytest.mark.parametrize(
    ("sql", "parameters", "rendered"),
    [
        (
            "SELECT a FROM t WHERE d BETWEEN :start AND :end ;\n",
            ("start", "end"),
            "SELECT a FROM t WHERE d BETWEEN ? AND ?",
        ),
        (
            "SELECT ':start; x' AS a, \"b:c\", [d;e] -- :end;\nFROM t",
            (),
            "SELECT ':start; x' AS a, \"b:c\", [d;e]  \nFROM t",
        ),
        (
            "SELECT a::date FROM t /* ; :end */ WHERE a::date > :start",
            ("start",),
            "SELECT a::date FROM t   WHERE a::date > ?",
        ),
        ("WITH x AS (SELECT 1) SELECT created_at, 'DELETE' FROM x", (), None),
    ],
)
def test_parameters_are_found_outside_quotes_and_comments(sql, parameters, rendered):
    statement = select_statement(sql)
    assert statement.parameters == parameters
    assert statement.rendered(lambda _: "?") == (rendered or sql)


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT $$'$$ AS a; DELETE FROM e; SELECT $$'$$", "quotes a text by dollar signs; quote it with '…'"),
        ("SELECT $x$a$x$", "quotes a text by dollar signs; quote it with '…'"),
        (r"SELECT '\' , ' ; DELETE FROM e; -- '", "has a text with a backslash before a quote"),
        (r"SELECT E'\'' ; DELETE FROM e; --'", "has a text with a backslash before a quote"),
        ("SELECT ARRAY[']'] ; DELETE FROM e; SELECT ARRAY['[']", "has quotes or a second ] within brackets"),
        (
            'SELECT ["x]"] AS z FROM (SELECT 1 AS "x]") t; DELETE FROM e; --"',
            "has quotes or a second ] within brackets",
        ),
        ("SELECT 1 AS [a]]'] ; DELETE FROM e; --']", "has quotes or a second ] within brackets"),
        ("SELECT 1 # '\n INTO OUTFILE '/tmp/x' # '", "has a # before a quote"),
        ("SELECT 1 AS a COMMIT", "contains COMMIT; it may only read"),
        ("SELECT * FROM OPENQUERY(s, 'DELETE e')", "contains OPENQUERY; it may only read"),
        ("SELECT 1 AS a WAITFOR DELAY '1'", "contains WAITFOR; it may only read"),
        ("SELECT 1 AS a SHUTDOWN", "contains SHUTDOWN; it may only read"),
        ("SELECT 1 AS a\nDBCC FREEPROCCACHE", "contains DBCC; it may only read"),
        ("SELECT * INTO copy FROM e", "contains INTO; it may only read"),
        ("SELECT * FROM e FOR UPDATE", "contains UPDATE; it may only read"),
        ("/* SELECT */ UPDATE e SET a = 1", "starts with UPDATE; give exactly one SELECT"),
        ("EXEC('SELECT 1')", "starts with EXEC; give exactly one SELECT"),
    ],
)
def test_a_second_statement_cannot_hide(sql, complaint):
    with pytest.raises(ValueError) as raised:
        select_statement(sql)
    assert str(raised.value).startswith(complaint)


@pytest.mark.parametrize(
    "sql",
    [
        r"SELECT 'C:\shop' AS a, 'it''s' AS b",
        r"SELECT 'C:\\' AS a",
        "SELECT price, '$' AS sign, \"$a$\" AS b FROM e",
        'SELECT a[1], [backup], "kill" FROM e',
        "SELECT [Order Details].a, b #> c FROM [Order Details]",
    ],
)
def test_ordinary_texts_and_names_are_left_alone(sql):
    assert select_statement(sql).rendered(str) == sql


def test_what_a_nested_comment_would_hide_is_not_sent():
    """SQL Server nests comments: it would end this one later, were it sent."""
    assert select_statement("SELECT 1 AS a /* /* */ , ' */ ; DELETE FROM e; --' AS b").rendered(str) == (
        "SELECT 1 AS a   , ' */ ; DELETE FROM e; --' AS b"
    )
