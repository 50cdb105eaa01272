"""The few phrases of SQL this package writes itself, where databases differ: names, casts, days, first rows.

A dialect is SQLAlchemy's name of it (mssql, postgresql, mysql, sqlite …); an unknown one is taken for standard SQL.
"""

import pyarrow as pa

_BACKQUOTED = ("mysql", "mariadb")
_TIMESTAMPS = {"mssql": "DATETIME2", "mysql": "DATETIME", "mariadb": "DATETIME"}
_INTEGERS = {"mysql": "SIGNED", "mariadb": "SIGNED"}
_NEXT_DAYS = {
    "sqlite": "date(:end, '+1 day')",
    "postgresql": ":end + INTERVAL '1 day'",
    "mysql": ":end + INTERVAL 1 DAY",
    "mariadb": ":end + INTERVAL 1 DAY",
    "mssql": "DATEADD(day, 1, :end)",
    "oracle": ":end + 1",
}
"""The day after :end."""
_TEXTS = {"mysql": "CHAR(100)", "mariadb": "CHAR(100)"}


def quoted(name: str, dialect: str) -> str:
    """An identifier as it is, any character included; SQL Server takes double quotes with its default settings."""
    mark = "`" if dialect in _BACKQUOTED else '"'
    return mark + name.replace(mark, mark * 2) + mark


def as_day(expression: str, dialect: str) -> str:
    """The date of a moment; SQLite, which has no dates, would take CAST for a request of a number."""
    return f"date({expression})" if dialect == "sqlite" else f"CAST({expression} AS DATE)"


def cast(expression: str, kind: pa.DataType, dialect: str) -> str:
    """The expression in a contract's type."""
    if pa.types.is_date(kind):
        return as_day(expression, dialect)
    if pa.types.is_timestamp(kind) and dialect == "sqlite":
        return f"datetime({expression})"
    return f"CAST({expression} AS {_type(kind, dialect)})"


def until_end(expression: str, dialect: str) -> str:
    """The condition that a moment lies from the day :start to the day :end, both included, so that an index serves."""
    if dialect not in _NEXT_DAYS:
        return f"{as_day(expression, dialect)} BETWEEN :start AND :end"
    return f"{expression} >= :start AND {expression} < {_NEXT_DAYS[dialect]}"


def first_rows(count: int, dialect: str) -> tuple[str, str]:
    """What goes before and after a query so that only its first rows come."""
    if dialect == "mssql":
        return f"SELECT TOP {count} * FROM (", ") AS sampled"
    if dialect == "oracle":
        return "SELECT * FROM (", f") sampled FETCH FIRST {count} ROWS ONLY"
    return "SELECT * FROM (", f") AS sampled LIMIT {count}"


def joined(expressions: list[str], dialect: str) -> str:
    """One text of several values, which only SQLite before 3.44 cannot CONCAT."""
    if len(expressions) == 1:
        return expressions[0]
    if dialect == "sqlite":
        return " || '-' || ".join(expressions)
    return "CONCAT(" + ", '-', ".join(expressions) + ")"


def _type(kind: pa.DataType, dialect: str) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_timestamp(kind):
        return _TIMESTAMPS.get(dialect, "TIMESTAMP")
    if pa.types.is_integer(kind):
        return _INTEGERS.get(dialect, "INTEGER")
    return "FLOAT" if pa.types.is_floating(kind) else _TEXTS.get(dialect, "VARCHAR(100)")
