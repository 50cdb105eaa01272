"""The proof that a statement only reads, from its syntax tree in the dialect of the database it is sent to.

Every kind of node that may stand in a SELECT is listed; what is not listed is refused, and so are functions known to do
more than read. A function of the database's own is taken to read. The parser is loaded with the first proof.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.tokenizer_core import Token

_PARSERS = {"mssql": "tsql", "postgresql": "postgres", "mariadb": "mysql"}
"""The parser's name of a dialect where it is not SQLAlchemy's."""
_TITLES = {
    "mssql": "SQL of SQL Server",
    "postgresql": "SQL of PostgreSQL",
    "mysql": "SQL of MySQL",
    "mariadb": "SQL of MariaDB",
    "sqlite": "SQL of SQLite",
    "duckdb": "SQL of DuckDB",
    "oracle": "SQL of Oracle",
}
_TRIED = ("postgresql", "mssql", "mysql", "sqlite", "duckdb", "oracle")
"""Dialects of a statement whose database is not known yet."""

STATEMENTS = {
    *("ALTER", "BACKUP", "BEGIN", "BREAK", "BULK", "CHECKPOINT", "CLOSE", "COMMIT", "CONTINUE", "CREATE"),
    *("DBCC", "DEALLOCATE", "DECLARE", "DELETE", "DENY", "DROP", "DUMP", "EXEC", "EXECUTE", "GOTO"),
    *("GRANT", "IF", "INSERT", "INTO", "KILL", "LOAD", "MERGE", "OPEN", "PRINT", "RAISERROR", "READTEXT"),
    *("RECONFIGURE", "RESTORE", "RETURN", "REVERT", "REVOKE", "ROLLBACK", "SAVE", "SET", "SETUSER"),
    *("SHUTDOWN", "TRUNCATE", "UPDATE", "UPDATETEXT", "USE", "WAITFOR", "WHILE", "WRITETEXT"),
}
"""Reserved words that begin or continue a statement of SQL Server, which needs no semicolon between two statements."""
_LOCKING_HINTS = frozenset({"UPDLOCK", "XLOCK", "TABLOCKX"})
_READING_PAIRS = frozenset({("MERGE", "JOIN"), ("MERGE", "UNION"), ("USE", "HINT"), ("USE", "PLAN")})
"""Hints of SQL Server that begin with a word of STATEMENTS."""

_WRITING_CALLS = {
    # SQL Server
    *("OPENQUERY", "OPENROWSET", "OPENDATASOURCE", "FN_GET_AUDIT_FILE", "FN_TRACE_GETTABLE"),
    "FN_XE_FILE_TARGET_READ_FILE",
    # PostgreSQL
    *("NEXTVAL", "SETVAL", "SET_CONFIG", "LO_IMPORT", "LO_EXPORT", "LO_CREATE", "LO_CREAT", "LO_OPEN"),
    *("LO_CLOSE", "LO_PUT", "LO_UNLINK", "LO_FROM_BYTEA", "LO_TRUNCATE", "LO_TRUNCATE64", "LOREAD"),
    *("LOWRITE", "QUERY_TO_XML", "QUERY_TO_XMLSCHEMA", "QUERY_TO_XML_AND_XMLSCHEMA", "CURSOR_TO_XML"),
    *("CURSOR_TO_XMLSCHEMA", "TS_STAT", "TS_REWRITE", "CROSSTAB", "CROSSTAB2", "CROSSTAB3", "CROSSTAB4"),
    *("CROSSTABN", "CONNECTBY", "TXID_CURRENT"),
    # MySQL
    *("LOAD_FILE", "SLEEP", "BENCHMARK", "GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS", "SYS_EXEC"),
    *("SYS_EVAL", "SYS_SET", "MASTER_POS_WAIT", "SOURCE_POS_WAIT", "LAST_INSERT_ID"),
    "WAIT_FOR_EXECUTED_GTID_SET",
    # SQLite
    *("LOAD_EXTENSION", "WRITEFILE", "READFILE", "EDIT", "FTS3_TOKENIZER", "FSDIR", "LSDIR"),
    # DuckDB
    *("READ_CSV", "READ_CSV_AUTO", "READ_PARQUET", "PARQUET_SCAN", "PARQUET_METADATA", "READ_JSON"),
    *("READ_JSON_AUTO", "READ_JSON_OBJECTS", "READ_JSON_OBJECTS_AUTO", "READ_NDJSON", "READ_NDJSON_AUTO"),
    *("READ_NDJSON_OBJECTS", "READ_TEXT", "READ_BLOB", "READ_XLSX", "SNIFF_CSV", "ST_READ", "DELTA_SCAN"),
    *("ICEBERG_SCAN", "SQLITE_SCAN", "SQLITE_ATTACH", "POSTGRES_SCAN", "POSTGRES_SCAN_PUSHDOWN"),
    *("POSTGRES_QUERY", "POSTGRES_EXECUTE", "POSTGRES_ATTACH", "MYSQL_QUERY", "MYSQL_EXECUTE"),
    *("MYSQL_SCAN", "QUERY_TABLE", "GETENV", "WRITE_LOG"),
    # Oracle
    "HTTPURITYPE",
}
"""Functions that write, lock, wait, run a text as SQL, or reach files and other servers; of all dialects."""
_WRITING_PREFIXES = ("PG_", "DBLINK", "XP_", "SP_", "PRAGMA_")
_WRITING_PACKAGES = ("DBMS_", "UTL_")
_READING_CALLS = frozenset(
    {
        *("PG_TYPEOF", "PG_COLUMN_SIZE", "PG_COLLATION_FOR", "PG_GET_SERIAL_SEQUENCE", "PG_CURRENT_SNAPSHOT"),
        *("PG_SIZE_PRETTY", "DBMS_LOB"),
    }
)
"""Exceptions to the prefixes."""
_WRITING_CALLS_OF = {"duckdb": frozenset({"QUERY", "GLOB"})}
"""Functions that are harmless in other dialects."""

_READING_NODES = (
    *("Alias", "Aliases", "AtTimeZone", "CTE", "CharacterSet", "ColumnDef", "Comprehension", "Connect"),
    *("Cube", "DataType", "DataTypeParam", "Distinct", "Fetch", "Filter", "ForClause", "ForIn"),
    *("FormatJson", "From", "FromTimeZone", "Group", "GroupingSets", "Having", "HavingMax"),
    *("HistoricalData", "Identifier", "IgnoreNulls", "IndexTableHint", "Interval", "IntervalSpan"),
    *("Introducer", "JSONColumnDef", "JSONExtractQuote", "JSONKeyValue", "JSONPath", "JSONPathPart"),
    *("JSONSchema", "JSONValue", "Join", "JoinHint", "Lambda", "Lateral", "Limit", "LimitOptions"),
    *("MatchRecognize", "MatchRecognizeMeasure", "National", "ObjectIdentifier", "Offset", "OnCondition"),
    *("OpenJSONColumnDef", "Order", "Ordered", "OverflowTruncateBehavior", "Partition"),
    *("PathColumnConstraint", "ColumnConstraint", "Pivot", "PivotAlias", "PivotAny", "Prior"),
    *("PseudoType", "Qualify", "QueryOption", "RecursiveWithSearch", "RespectNulls", "Rollup", "Schema"),
    *("Slice", "Star", "Table", "TableAlias", "TableColumn", "TableFromRows", "TableSample", "Tuple"),
    *("UnpivotColumns", "Values", "Var", "Variadic", "Version", "Where", "WindowSpec", "With"),
    *("WithOperator", "WithTableHint", "WithinGroup", "XMLKeyValueOption", "XMLNamespace"),
)
"""Besides conditions, functions and queries."""
_WRITING_NODES = ("NextValueFor", "ReadCSV", "ReadParquet", "ToFile")
"""Functions of the parser's own that do more than read."""
_SUSPECTS = STATEMENTS | _LOCKING_HINTS | _WRITING_CALLS | {"SHARE", "NEXT", "OUTFILE", "DUMPFILE"}
_AS = re.compile(r"\bAS\s*$", re.IGNORECASE)


def is_suspect(word: str) -> bool:
    """Whether a statement with the word, in capitals, may do more than read."""
    return word in _SUSPECTS or word.startswith((*_WRITING_PREFIXES, *_WRITING_PACKAGES))


def refuse_writing(sql: str, dialect: str | None) -> None:
    """Checks one statement without comments, with a text in the place of each parameter.

    Args:
        sql: the statement.
        dialect: SQLAlchemy's name of it; None as long as the database is not known, then the statement need only be
            provable in one dialect.

    Raises:
        ValueError: the statement cannot be proven to only read; the message completes the sentence "the query …".
    """
    complaints = [_complaint(sql, one) for one in ([dialect] if dialect else _TRIED)]
    if all(complaints):
        raise ValueError(next((said for said in complaints if said and said.startswith("contains")), complaints[0]))


@lru_cache(maxsize=512)
def _complaint(sql: str, dialect: str) -> str | None:
    """What is wrong with the statement in that dialect; None when it only reads."""
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import ParseError, TokenError

    parser = Dialect.get(_PARSERS.get(dialect, dialect)) or Dialect
    try:
        tokens = parser().tokenize(sql)
        word = _statement_word(tokens) if dialect == "mssql" else None
        return _contains_word(word) if word else _tree_complaint(parser(), tokens, sql, dialect)
    except ParseError as error:
        return _unreadable(error.errors[0], dialect)
    except TokenError:
        return f"cannot be read as {_TITLES.get(dialect, 'SQL')}: a quoted text does not end; close its quote"
    except RecursionError:
        return "is nested too deeply to be read; put a part of it into a view of the database"


def _statement_word(tokens: "list[Token]") -> str | None:
    """A word that begins a statement of SQL Server, or a hint that locks; as a name it would have to be quoted."""
    from sqlglot.tokenizer_core import TokenType

    quoted = (TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.IDENTIFIER)
    texts = [token.text.upper() if token.token_type not in quoted else "-" for token in tokens]
    words = " ".join(texts).split()  # a token may be two words
    pairs = zip(words, [*words[1:], ""], strict=True)
    return next((word for word, after in pairs if _is_statement(word, after)), None)


def _is_statement(word: str, after: str) -> bool:
    return word in STATEMENTS | _LOCKING_HINTS and (word, after) not in _READING_PAIRS


def _contains_word(word: str) -> str:
    return f"contains {word}; it may only read, so give exactly one SELECT, and put a name that is spelt so in quotes"


def _tree_complaint(parser: "Dialect", tokens: "list[Token]", sql: str, dialect: str) -> str | None:
    trees = [tree for tree in parser.parser().parse(tokens, sql) if tree is not None]
    if len(trees) != 1:
        return "has more than one statement; give exactly one SELECT"
    alias = next((name for name in _bare_aliases(trees[0], sql) if name.upper() in STATEMENTS), None)
    if alias:
        return _contains_word(alias.upper())
    return next((said for node in trees[0].walk() if (said := _node_complaint(node, dialect))), None)


def _bare_aliases(tree: "exp.Expr", sql: str) -> Iterator[str]:
    """Unquoted aliases without AS, which another database could take for the start of a statement."""
    from sqlglot import exp

    for node in tree.find_all(exp.Alias, exp.TableAlias):
        name = node.args.get("alias" if isinstance(node, exp.Alias) else "this")
        if not isinstance(name, exp.Identifier) or name.quoted or "start" not in name.meta:
            continue
        if not _AS.search(sql, 0, name.meta["start"]):
            yield name.name


def _node_complaint(node: "exp.Expr", dialect: str) -> str | None:
    from sqlglot import exp
    from sqlglot.expressions import dml

    if isinstance(node, dml.DML | exp.Into | exp.Lock):
        return _contains(node)
    if not isinstance(node, _reading_nodes()):
        return f"contains {node.key.upper()}, which is not known to only read; put it into a view of the database"
    if isinstance(node, exp.PropertyEQ) and isinstance(node.this, exp.Parameter | exp.SessionParameter):
        return "contains :=; it may only read, so set no variable"
    if dialect == "oracle" and isinstance(node, exp.Column) and node.name.upper() == "NEXTVAL":
        return _contains_call("NEXTVAL")
    writing = _writing_call(node, dialect)
    return _contains_call(writing) if writing else None


def _writing_call(node: "exp.Expr", dialect: str) -> str | None:
    """The name of a function that does more than read, or of its package."""
    from sqlglot import exp

    if isinstance(node, _writing_nodes()):
        return node.sql_name()
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        name, known = node.name.upper(), _WRITING_CALLS | _WRITING_CALLS_OF.get(dialect, frozenset())
        is_writing = name in known or name.startswith(_WRITING_PREFIXES)
        return name if is_writing and name not in _READING_CALLS else None
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        packages = (part.name.upper() for part in node.this.find_all(exp.Identifier))
        return next((p for p in packages if p.startswith(_WRITING_PACKAGES) and p not in _READING_CALLS), None)
    return None


def _contains(node: "exp.Expr") -> str:
    from sqlglot import exp

    name = node.key.upper()
    if isinstance(node, exp.Lock):
        name = "UPDATE" if node.args.get("update") else "SHARE"
    return f"contains {name}; it may only read, so give exactly one SELECT"


def _contains_call(name: str) -> str:
    return f"contains {name}; it may only read tables of its own database, so leave this function out"


def _unreadable(error: dict[str, object], dialect: str) -> str:
    near = str(error["highlight"])
    if near.upper() in STATEMENTS:
        return _contains_word(near.upper())
    return (
        f"cannot be read as {_TITLES.get(dialect, 'SQL')} in its line {error['line']} near {near}; correct it there, "
        "or, where the database takes it as it is, put it into a view and select from the view"
    )


@cache
def _reading_nodes() -> tuple[type, ...]:
    from sqlglot import exp

    return (exp.Condition, exp.Query, *(getattr(exp, name) for name in _READING_NODES))


@cache
def _writing_nodes() -> "tuple[type[exp.Func], ...]":
    from sqlglot import exp

    return tuple(getattr(exp, name) for name in _WRITING_NODES)
