"""One SELECT of a mapping, its `:name` parameters, and what is refused before its dialect is known.

Knows just enough SQL to tell quoted text and comments from the statement itself; `read_only` parses SQL.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from retail_assets.sources.read_only import is_suspect, refuse_writing

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
_ESCAPED_QUOTE = re.compile(r"""(?<!\\)(?:\\\\)*\\['"]""")
_BRACKETS = re.compile(r"[\[\]]")
_HASH = re.compile(r"""#[^\n]*['"`]""")
_DOLLAR_QUOTE = re.compile(r"\$\w*\$")
_ESCAPED_NAME = re.compile(r"""\bU&\s*["]""", re.IGNORECASE)
_FOREIGN = re.compile(r"[^\w\t\n\r\x20-\x7e]")
_ANY_DAY = "'2000-01-01'"


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

    def check_reading(self, dialect: str) -> None:
        """Proves that the database of that dialect, SQLAlchemy's name of it, would only read.

        Raises:
            ValueError: as of `select_statement`.
        """
        refuse_writing(self.rendered(lambda _: _ANY_DAY), dialect)

    @property
    def sqlalchemy_text(self) -> str:
        """The statement for `sqlalchemy.text`, which would take a colon inside a quoted text for a parameter."""
        return "".join(p.text.replace(":", "\\:") if p.kind == "quoted" else p.text for p in self.parts)


def select_statement(sql: str) -> Statement:
    """The one statement in `sql`, without comments and closing semicolon.

    It is parsed here only when one of its words may write: a database's dialect is needed for the proof, which is
    `Statement.check_reading`.

    Raises:
        ValueError: not exactly one statement, or one that does more than read in every dialect; the message completes
            the sentence "the query …".
    """
    parts = [_Part(str(match.lastgroup), match.group()) for match in _PART.finditer(sql)]
    parts = [_without_comment(part) for part in parts]
    while parts and (parts[-1].kind == "semicolon" or parts[-1].text.isspace()):
        parts.pop()
    _refuse_ambiguous(parts)
    if any(part.kind == "semicolon" for part in parts):
        raise ValueError("has more than one statement; give exactly one SELECT")
    words = [part.text.upper() for part in parts if part.kind == "word"]
    if not words or words[0] not in ("SELECT", "WITH"):
        raise ValueError(f"starts with {words[0] if words else 'nothing'}; give exactly one SELECT")
    statement = Statement(tuple(parts))
    if any(map(is_suspect, words)):
        refuse_writing(statement.rendered(lambda _: _ANY_DAY), None)
    return statement


def _without_comment(part: _Part) -> _Part:
    """A blank for a comment, with its ends of lines, so that the lines of a message are those of the mapping."""
    return _Part("other", " " + "\n" * part.text.count("\n")) if part.kind == "comment" else part


def _refuse_ambiguous(parts: list[_Part]) -> None:
    """Texts that databases end at different places could hide a second statement.

    PostgreSQL also quotes by dollars and spells names by U&"…"; MySQL and PostgreSQL's E'…' take a backslash before a
    quote for an escape; SQL Server ends a name in brackets at the first single ], even if it holds quotes, and takes
    control characters for blanks; MySQL comments from # on.
    """
    unquoted = "".join(part.text if part.kind != "quoted" else " " for part in parts)
    if _DOLLAR_QUOTE.search(unquoted):
        raise ValueError("quotes a text by dollar signs; quote it with '…'")
    if _ESCAPED_NAME.search("".join(part.text for part in parts if part.kind != "quoted" or part.text[0] == '"')):
        raise ValueError('spells a name by U&"…"; write the name itself')
    foreign = _FOREIGN.search(unquoted)
    if foreign:
        raise ValueError(f"has the character U+{ord(foreign[0]):04X} outside of a quoted text; write a blank instead")
    if _BRACKETS.search(unquoted):
        raise ValueError("has quotes or a second ] within brackets, which databases read differently; reword it")
    if _HASH.search("".join(part.text[0] if part.kind == "quoted" else part.text for part in parts)):
        raise ValueError("has a # before a quote, where some databases begin a comment; reword it")
    for part in parts:
        if part.kind == "quoted" and _ESCAPED_QUOTE.search(part.text):
            raise ValueError("has a text with a backslash before a quote, which databases read differently; reword it")
