"""One SELECT of a mapping: its `:name` parameters, and the proof that it only reads.

Knows just enough SQL to tell quoted text and comments from the statement itself; it does not parse SQL.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_PART = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]'"`]*\])
      | (?P<cast>::)
      | (?P<parameter>(?<![\w:]):[A-Za-z_]\w*)
      | (?P<semicolon>;)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_WRITING = {
    *("INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "TRUNCATE", "DROP", "ALTER", "CREATE"),
    *("EXEC", "EXECUTE", "CALL", "GRANT", "REVOKE", "ATTACH", "PRAGMA"),
    # statements of SQL Server, which needs no semicolon between two of them
    *("COMMIT", "ROLLBACK", "USE", "WAITFOR", "OPENQUERY", "OPENROWSET", "OPENDATASOURCE", "OUTFILE", "DUMPFILE"),
    *("BACKUP", "RESTORE", "DBCC", "SHUTDOWN", "KILL", "DENY", "RECONFIGURE", "WRITETEXT", "UPDATETEXT"),
}
_ESCAPED_QUOTE = re.compile(r"""(?<!\\)(?:\\\\)*\\['"]""")
_BRACKETS = re.compile(r"[\[\]]")
_HASH = re.compile(r"""#[^\n]*['"`]""")
_DOLLAR_QUOTE = re.compile(r"\$\w*\$")


@dataclass(frozen=True)
class _Part:
    kind: str
    text: str


@dataclass(frozen=True)
class Statement:
    """A single reading statement; build it with `select_statement`."""

    parts: tuple[_Part, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Parameter names in the order they occur, repeats included."""
        return tuple(part.text[1:] for part in self.parts if part.kind == "parameter")

    def rendered(self, placeholder: Callable[[str], str]) -> str:
        """The statement with each parameter replaced by what `placeholder` gives for its name."""
        return "".join(placeholder(p.text[1:]) if p.kind == "parameter" else p.text for p in self.parts)

    def within(self, before: str, after: str, *, quoted: str = "") -> "Statement":
        """The statement between two pieces of SQL; `quoted`, an identifier, stands for each % of the first."""
        head = [part for text in before.split("%") for part in (_Part("quoted", quoted), _Part("other", text))]
        return Statement((*head[1:], *self.parts, _Part("other", after)))

    @property
    def sqlalchemy_text(self) -> str:
        """The statement for `sqlalchemy.text`, which would take a colon inside a quoted text for a parameter."""
        return "".join(p.text.replace(":", "\\:") if p.kind == "quoted" else p.text for p in self.parts)


def select_statement(sql: str) -> Statement:
    """The one reading statement in `sql`, without comments and closing semicolon.

    Raises:
        ValueError: not exactly one statement, or one that does more than read; the message completes
            the sentence "the query …".
    """
    parts = [_Part(str(match.lastgroup), match.group()) for match in _PART.finditer(sql)]
    parts = [_Part("other", " ") if part.kind == "comment" else part for part in parts]
    while parts and (parts[-1].kind == "semicolon" or parts[-1].text.isspace()):
        parts.pop()
    _refuse_ambiguous(parts)
    if any(part.kind == "semicolon" for part in parts):
        raise ValueError("has more than one statement; give exactly one SELECT")
    words = [part.text.upper() for part in parts if part.kind == "word"]
    if not words or words[0] not in ("SELECT", "WITH"):
        raise ValueError(f"starts with {words[0] if words else 'nothing'}; give exactly one SELECT")
    writing = next((word for word in words if word in _WRITING), None)
    if writing:
        raise ValueError(f"contains {writing}; it may only read, so give exactly one SELECT")
    return Statement(tuple(parts))


def _refuse_ambiguous(parts: list[_Part]) -> None:
    """Texts that databases end at different places could hide a second statement.

    PostgreSQL also quotes by dollars; MySQL and PostgreSQL's E'…' take a backslash before a quote for an escape; SQL
    Server ends a name in brackets at the first single ], even if it holds quotes; MySQL comments from # on.
    """
    unquoted = "".join(part.text if part.kind != "quoted" else " " for part in parts)
    if _DOLLAR_QUOTE.search(unquoted):
        raise ValueError("quotes a text by dollar signs; quote it with '…'")
    if _BRACKETS.search(unquoted):
        raise ValueError("has quotes or a second ] within brackets, which databases read differently; reword it")
    if _HASH.search("".join(part.text[0] if part.kind == "quoted" else part.text for part in parts)):
        raise ValueError("has a # before a quote, where some databases begin a comment; reword it")
    for part in parts:
        if part.kind == "quoted" and _ESCAPED_QUOTE.search(part.text):
            raise ValueError("has a text with a backslash before a quote, which databases read differently; reword it")
