"""What a database is sent is proven to only read, in that database's own SQL; columns may be called as they like."""

import datetime as dt
import subprocess
import sys

import pytest
import sqlalchemy as sa
from sqlglot import exp

from retail_assets.failures import PermanentFailure
from retail_assets.sources import read_only
from retail_assets.sources.mapping import EntityBinding
from retail_assets.sources.reading import EntityReader
from retail_assets.sources.statement import select_statement
from retail_assets.tables import entities
from retail_assets.windows import Window

DIALECTS = ("mssql", "postgresql", "mysql", "mariadb", "sqlite", "duckdb", "oracle")
DAY = Window(dt.date(2026, 1, 1), dt.date(2026, 1, 1))


def complaint(sql, dialect):
    """What is said of it, at the latest before it is sent."""
    try:
        select_statement(sql).check_reading(dialect)
    except ValueError as error:
        return str(error)
    return None


READING = {
    "mssql": [
        "SELECT a FROM dbo.t AS x WITH (NOLOCK), [o u] WITH (NOLOCK, INDEX(ix)) OPTION (MAXDOP 1, RECOMPILE)",
        "SELECT a FROM t (NOLOCK)",
        "SELECT TOP (10) PERCENT WITH TIES a FROM t ORDER BY a",
        "SELECT TOP 5 * FROM t CROSS APPLY (SELECT TOP 1 * FROM u WHERE u.a = t.a ORDER BY b DESC) x "
        "OUTER APPLY STRING_SPLIT(t.c, ',') s",
        "SELECT * FROM t FOR SYSTEM_TIME AS OF '2026-01-01' WHERE a = 1",
        "SELECT * FROM t FOR SYSTEM_TIME BETWEEN '2026-01-01' AND '2026-02-01' AS x",
        "SELECT TRY_CONVERT(date, a, 103) AS d, CONVERT(varchar(10), a, 120) AS e, TRY_CAST(a AS int) AS f FROM t",
        "SELECT CAST(sold_at AT TIME ZONE 'UTC' AT TIME ZONE 'GMT Standard Time' AS DATE) AS d FROM t "
        "WHERE sold_at >= :start AND sold_at < DATEADD(day, 1, :end)",
        "SELECT a FROM t FOR JSON PATH",
        "SELECT STUFF((SELECT ',' + b FROM u FOR XML PATH('')), 1, 1, '') AS x FROM t",
        "SELECT x.value('(/a/b)[1]', 'int') AS b FROM t",
        "SELECT a FROM t CROSS APPLY OPENJSON(t.j) WITH (id int '$.id', n nvarchar(10)) j",
        "SELECT * FROM t PIVOT (SUM(a) FOR b IN ([x], [y])) AS p",
        "SELECT STRING_AGG(a, ',') WITHIN GROUP (ORDER BY a) AS b FROM db..t",
        "SELECT a FROM t INNER MERGE JOIN u ON t.a = u.a OPTION (MERGE JOIN, HASH GROUP)",
        "SELECT a FROM t ORDER BY a OFFSET 5 ROWS FETCH NEXT 5 ROWS ONLY",
        "WITH x AS (SELECT 1 AS a), y(b) AS (SELECT a FROM x) SELECT * FROM y UNION ALL SELECT 2",
        "SELECT [backup], \"use\", [t].[merge], 'EXEC; DROP' AS [exec] FROM [kill] -- DELETE",
    ],
    "postgresql": [
        "SELECT DISTINCT ON (a) a, b::date, c->>'d', e @> f, g ~ 'x' FROM t ORDER BY a, b DESC",
        "SELECT (sold_at AT TIME ZONE 'Europe/London')::date AS d FROM t WHERE a = ANY(ARRAY[1, 2])",
        "SELECT sum(a) FILTER (WHERE b) FROM t, LATERAL (SELECT 1) x, generate_series(1, 2) g",
        "WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM x) SEARCH DEPTH FIRST BY a SET o SELECT a FROM x",
        "SELECT * FROM json_to_recordset('[]') AS x(a int, b text) WHERE a >= :start AND a < :end + INTERVAL '1 day'",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM ONLY t TABLESAMPLE SYSTEM (1)",
        "SELECT pg_typeof(a), pg_catalog.lower(b) FROM pg_catalog.pg_class",
        "SELECT E'a\\n', B'101', U&'\\0061', overlay(a placing b from 1) FROM t",
        'SELECT backup, use, merge, t.update AS delete FROM t WHERE "drop" = 1 ORDER BY kill',
    ],
    "mysql": [
        "SELECT `a`, IF(a, b, c), TRUNCATE(a, 2), INSERT(a, 1, 2, 'x'), REPLACE(a, 'b', 'c') FROM `t` USE INDEX (x)",
        "SELECT STRAIGHT_JOIN a, a DIV b, a <=> b, GROUP_CONCAT(a ORDER BY b SEPARATOR ',') FROM t PARTITION (p0)",
        "SELECT a FROM t WHERE a >= :start AND a < :end + INTERVAL 1 DAY LIMIT 5, 10",
        "SELECT backup, t.merge FROM t",
    ],
    "sqlite": [
        "SELECT a || b, date(a, '+1 day'), replace(a, 'b', 'c'), glob(a, b), [c] FROM t NOT INDEXED, json_each('[]')",
        "SELECT backup, use, merge FROM t WHERE a IS NOT b AND c == d AND e GLOB 'x*'",
    ],
    "duckdb": ["SELECT * EXCLUDE (a) FROM t ASOF JOIN u ON t.a >= u.a", "SELECT backup, use, merge FROM t"],
    "oracle": [
        "SELECT TO_CHAR(a, 'YYYY'), NVL(a, b), DBMS_LOB.SUBSTR(c, 4000, 1) FROM t WHERE ROWNUM < 5",
        "SELECT a FROM t CONNECT BY PRIOR a = b START WITH a = 1",
        "SELECT a FROM t AS OF TIMESTAMP SYSDATE - 1 FETCH FIRST 5 ROWS ONLY",
    ],
}


@pytest.mark.parametrize(("dialect", "sql"), [(dialect, sql) for dialect in READING for sql in READING[dialect]])
def test_what_only_reads_passes(dialect, sql):
    assert complaint(sql, dialect) is None


WRITING = {
    "mssql": [
        ("SELECT a FROM t EXEC ('DROP TABLE e')", "EXEC"),
        ('SELECT a FROM t EXECUTE ("DROP TABLE e")', "EXECUTE"),
        ("SELECT a FROM t FOR SYSTEM_TIME ALL EXEC ('x')", "EXEC"),
        ("SELECT a FROM gas EXEC (x)", "EXEC"),
        ("SELECT a FROM t [AS] EXEC (x)", "EXEC"),
        ("SELECT a FROM t /* AS */ EXEC ('x')", "EXEC"),
        ("SELECT a FROM t SHUTDOWN", "SHUTDOWN"),
        ("SELECT a COMMIT", "COMMIT"),
        ("SELECT a FROM t\nREVERT", "REVERT"),
        ("SELECT a FROM t CHECKPOINT", "CHECKPOINT"),
        ("SELECT a FROM t DELETE e", "DELETE"),
        ("SELECT a FROM t UPDATE STATISTICS e", "UPDATE"),
        ("SELECT a FROM t IF 1 = 1 DELETE e", "IF"),
        ("SELECT a FROM t MERGE e USING f ON 1 = 1 WHEN MATCHED THEN DELETE", "MERGE"),
        ("SELECT a FROM t USE master", "USE"),
        ("SELECT a FROM t BULK INSERT e FROM 'x'", "INSERT"),
        ("SELECT * INTO copy FROM e", "INTO"),
        ("SELECT a FROM (DELETE e OUTPUT deleted.a) d", "DELETE"),
        ("WITH x AS (SELECT 1 AS a) UPDATE x SET a = 2", "UPDATE"),
        ("SELECT * FROM OPENQUERY(s, 'DELETE e')", "OPENQUERY"),
        ("SELECT * FROM OPENROWSET('SQLNCLI', 'x', 'EXEC y')", "OPENROWSET"),
        ("SELECT * FROM OPENROWSET(BULK 'c:\\x', SINGLE_CLOB) AS x", "BULK"),
        ("SELECT * FROM OPENDATASOURCE('a', 'b').db.dbo.t", "OPENDATASOURCE"),
        ("SELECT a FROM master..xp_cmdshell('dir')", "XP_CMDSHELL"),
        ("SELECT master.dbo.[xp_cmdshell]('dir')", "XP_CMDSHELL"),
        ("SELECT NEXT VALUE FOR s", "NEXT_VALUE_FOR"),
        ("SELECT * FROM t WITH (UPDLOCK, HOLDLOCK)", "UPDLOCK"),
        ("SELECT * FROM t (XLOCK)", "XLOCK"),
        ("SELECT * FROM sys.fn_trace_gettable('x', default)", "FN_TRACE_GETTABLE"),
        ("SELECT backup FROM t", "BACKUP"),
    ],
    "postgresql": [
        ("WITH x AS (DELETE FROM e RETURNING *) SELECT * FROM x", "DELETE"),
        ("WITH x AS (INSERT INTO e VALUES (1) RETURNING *) SELECT * FROM x", "INSERT"),
        ("WITH y AS (WITH x AS (UPDATE e SET a = 1 RETURNING *) SELECT * FROM x) SELECT * FROM y", "UPDATE"),
        ("WITH x AS (MERGE INTO e USING f ON true WHEN MATCHED THEN DELETE RETURNING *) SELECT * FROM x", "MERGE"),
        ("WITH x AS (SELECT 1) DELETE FROM e", "DELETE"),
        ("SELECT * INTO TEMP copy FROM e", "INTO"),
        ("SELECT a FROM t FOR UPDATE OF t NOWAIT", "UPDATE"),
        ("SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED", "UPDATE"),
        ("SELECT a FROM t FOR KEY SHARE", "SHARE"),
        ("SELECT * FROM (SELECT a FROM t FOR UPDATE) x", "UPDATE"),
        ('SELECT pg_catalog."pg_terminate_backend"(1)', "PG_TERMINATE_BACKEND"),
        ("SELECT a FROM t WHERE EXISTS (SELECT setval('s', 1))", "SETVAL"),
        ("SELECT * FROM dblink_exec('x', 'DROP TABLE e')", "DBLINK_EXEC"),
        ("SELECT CASE WHEN pg_sleep(1) IS NULL THEN 1 END", "PG_SLEEP"),
        ("SELECT a FROM t ORDER BY lo_import('x')", "LO_IMPORT"),
        ("SELECT sum(nextval('s')) OVER () FROM t", "NEXTVAL"),
    ],
    "mysql": [
        ("SELECT a FROM t INTO OUTFILE 'x'", "INTO"),
        ("SELECT a INTO @x FROM t", "INTO"),
        ("SELECT a FROM t WHERE (@x := 1) = 1", ":="),
        ("SELECT a FROM t LOCK IN SHARE MODE", "SHARE"),
        ("SELECT a FROM t FOR UPDATE", "UPDATE"),
    ],
    "sqlite": [("WITH x AS (SELECT 1) INSERT INTO e SELECT * FROM x", "INSERT")],
    "duckdb": [
        ("SELECT * FROM read_csv('x')", "READ_CSV"),
        ("SELECT * FROM query('SELECT 1')", "QUERY"),
        ("SELECT * FROM (DESCRIBE t)", "DESCRIBE"),
    ],
    "oracle": [
        ("SELECT a FROM t FOR UPDATE WAIT 5", "UPDATE"),
        ("SELECT s.NEXTVAL FROM dual", "NEXTVAL"),
        ("SELECT SYS.UTL_HTTP.REQUEST('x') FROM dual", "UTL_HTTP"),
    ],
}


@pytest.mark.parametrize(
    ("dialect", "sql", "word"), [(dialect, *case) for dialect in WRITING for case in WRITING[dialect]]
)
def test_what_does_more_than_read_is_refused(dialect, sql, word):
    assert (complaint(sql, dialect) or "").startswith((f"contains {word};", f"contains {word},"))


FUNCTION = "SELECT {}('x') AS a FROM t"


@pytest.mark.parametrize(
    ("dialect", "form"),
    [
        *((dialect, FUNCTION) for dialect in DIALECTS),
        ("mssql", "SELECT a FROM {}('x') f"),
        ("postgresql", 'SELECT s."{}"(1, 2) FROM t'),
    ],
)
def test_every_function_that_does_more_than_read_is_refused(dialect, form):
    names = [*read_only._WRITING_CALLS, "pg_read_file", "dblink", "xp_dirtree", "sp_help", "pragma_wal_checkpoint"]
    for name in names:
        with pytest.raises(ValueError, match=f"^contains {name.upper()}; it may only read"):
            read_only.refuse_writing(form.format(name.lower()), dialect)


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT U&"\\0070g_sleep"(1)',
        "SELECT a FROM t\x01EXEC('x')",
        "SELECT a FROM t\u00a0EXEC('x')",
        "SELECT 1 ` ; DELETE FROM e ; SELECT `",
        "SELECT $x$a$x$",
        "SELECT 1; SELECT 2",
        "{call sp_who}",
        "VALUES (1)",
        "TABLE t",
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    ],
)
def test_what_databases_read_differently_is_refused_in_all_of_them(sql):
    said = [complaint(sql, dialect) for dialect in ("mssql", "postgresql", "firebird")]
    assert all(said) and not any("\n" in text for text in said)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SELECT a, /* one\ntwo */\n  PARSE(b AS date USING 'en-GB') AS c FROM t",
            "cannot be read as SQL of SQL Server in its line 3 near USING; correct it there, or, where the database "
            "takes it as it is, put it into a view and select from the view",
        ),
        ("SELECT a FROM t WHERE b = 'x", "cannot be read as SQL of SQL Server: a quoted text does not end; close its"),
        (
            "SELECT t.use FROM t",
            "contains USE; it may only read, so give exactly one SELECT, and put a name that is spelt so in quotes",
        ),
        (
            "SELECT * FROM OPENQUERY(s, 'x')",
            "contains OPENQUERY; it may only read tables of its own database, so leave this function out",
        ),
    ],
)
def test_the_complaint_names_the_place_and_what_to_do(sql, said):
    assert (complaint(sql, "mssql") or "").startswith(said)


@pytest.mark.parametrize("name", ["backup", "use", "merge", "kill", "restore", "commit", "load"])
def test_a_column_may_be_called_like_a_statement(name):
    """The mapping is read before its database is known."""
    sql = f"SELECT {name}, t.{name}, a AS {name}, COUNT({name}) FROM t WHERE {name} = 1 GROUP BY {name}"
    assert select_statement(sql).rendered(str) == sql
    assert [dialect for dialect in DIALECTS if complaint(sql, dialect)] == ["mssql"]


@pytest.mark.parametrize("sql", ["SELECT a FROM gas EXEC ('x')", "SELECT a kill FROM t", "SELECT pg_sleep(1)"])
def test_what_may_write_in_one_database_is_refused_before_it_is_known(sql):
    with pytest.raises(ValueError, match="it may only read"):
        select_statement(sql)


STATEMENT_NODES = [
    *("Alter", "Analyze", "Attach", "Command", "Commit", "Copy", "Create", "Declare", "Delete", "Detach", "Drop"),
    *("Execute", "ExecuteSql", "Export", "Grant", "IfBlock", "Insert", "Install", "Into", "Kill", "LoadData", "Lock"),
    *("Merge", "MultitableInserts", "Pragma", "Put", "QueryTransform", "Refresh", "Returning", "Revoke", "Rollback"),
    *("Set", "SetItem", "StoredProcedure", "Transaction", "TruncateTable", "Uncache", "Update", "Use", "WhileBlock"),
]


@pytest.mark.parametrize("name", STATEMENT_NODES)
def test_no_statement_is_among_what_may_stand_in_a_select(name):
    assert not issubclass(getattr(exp, name), read_only._reading_nodes())


class _Recorded:
    """A database that notes what it is sent."""

    def __init__(self):
        self.sent = []

    def batches(self, statement, parameters, *, batch_rows, by_days=False):
        self.sent.append(statement)
        yield from ()


READS = {
    "raw_batches": lambda reader: list(reader.raw_batches(DAY)),
    "sample": lambda reader: reader.sample(DAY, rows=1),
    "day_counts": lambda reader: reader.day_counts(DAY),
    "changed_days": lambda reader: reader.changed_days(dt.datetime(2026, 1, 1), DAY),
}


@pytest.mark.parametrize("read", READS)
def test_nothing_is_sent_that_is_not_proven(read):
    """This passes until the database turns out to be SQL Server, where the hint locks."""
    query = "SELECT d AS business_date FROM t WITH (XLOCK) WHERE d BETWEEN :start AND :end"
    binding = EntityBinding(query=query, source_tables=["t"], changed_days="SELECT d FROM t (XLOCK) WHERE m >= :since")
    backend = _Recorded()
    reader = EntityReader(backend, sa.make_url("mssql://h/d"), "mine", entities.SALES, binding)
    with pytest.raises(PermanentFailure, match=r"^mapping mine, entity sales: the query .*contains XLOCK; it may only"):
        READS[read](reader)
    assert backend.sent == []


def test_reading_a_mapping_loads_no_parser():
    """The code location reads its mapping whenever it loads."""
    code = (
        "import sys; from retail_assets.sources.mapping import load_mapping, shipped_mappings; "
        "[load_mapping(name) for name in shipped_mappings()]; sys.exit('sqlglot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
