"""Addresses that may hold a password: read strictly, and shown without what could be secret.

Code that prints an address, or another library's text about one, uses a function of this module. What an address means
belongs to the module of its system.
"""

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

from retail_assets.failures import PermanentFailure

if TYPE_CHECKING:
    from sqlalchemy import URL

HIDDEN = "***"
_HOST = re.compile(r"[\w.,\\-]+|[0-9A-Fa-f:.%]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_SECRET_NAME = re.compile("pwd|password|token|secret|key|sig|credential", re.IGNORECASE)
_FILES = ("sqlite", "duckdb")
_DRIVE = re.compile(r"^/?[A-Za-z]:[\\/]")
_CONTAINER = re.compile(r"[\w$-]+@[\w.-]+(/[^@:]*)?")
_SECRET_WORDS = re.compile(r"\bsig=|AccountKey=|SharedAccessSignature=", re.IGNORECASE)
_BROKEN = re.compile(r"\w{2,}:/|:.*@", re.DOTALL)
"""In a folder's name: an address that lost a slash, or a user with a password."""
_ESCAPES = "write @ in a user or password as %40, / as %2F, : as %3A, ? as %3F, # as %23"


def shown(text: str) -> str:
    """An address, folder or other value as a sentence may repeat it; its scheme alone where a secret may be in it.

    >>> shown("/data/lake"), shown("abfss://lake@account.dfs.core.windows.net/retail"), shown("https://u:p@host/x")
    ('/data/lake', 'abfss://lake@account.dfs.core.windows.net/retail', 'https://…')
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "…" if _SECRET_WORDS.search(text) or _BROKEN.search(_DRIVE.sub("", text)) else text
    rest = text[scheme.end() + 3 :]
    head = re.split("[?;]", rest)[0]
    is_container = scheme[0].lower().startswith("abfs") and _CONTAINER.fullmatch(rest)
    if _SECRET_WORDS.search(head) or ("@" in rest and not is_container):
        return f"{scheme[0]}://…"
    return text if head == rest else f"{scheme[0]}://{head}?…"


def database_url(text: str, *, variable: str) -> "URL":
    """A database's URL; one whose password is not escaped is refused, as its parts would be taken for host and name.

    Raises:
        sqlalchemy.exc.ArgumentError: not a URL at all; its text may repeat the URL.
        PermanentFailure: a part is none; nothing after the scheme is repeated.
    """
    from sqlalchemy import make_url  # takes a quarter of a second, and settings need none

    try:
        url = make_url(text)
    except ValueError:  # a port that is no number
        raise unreadable(text, variable) from None
    after = text.partition("://")[2]
    is_file = url.get_backend_name() in _FILES and not url.host
    is_whole = _is_file_path(url.database or "") if is_file else _is_server(url, after)
    if not is_whole:
        raise unreadable(text, variable)
    return url


def place(url: "URL") -> str:
    """Where a database is, as a sentence may say it: host and name, or the file; never the user or the password."""
    if url.host:
        port = f":{url.port}" if url.port else ""
        return f"{url.host}{port}/{url.database or ''}"
    return url.database or url.get_backend_name()


def web_address(text: str, *, variable: str) -> None:
    """An http address, with or without user and password.

    Raises:
        PermanentFailure: host or port are none; nothing after the scheme is repeated.
    """
    try:
        parts = urlsplit(text)
        is_whole = bool(_HOST.fullmatch(parts.hostname or "")) and (parts.port or 1) > 0
    except ValueError:
        raise unreadable(text, variable) from None
    if not is_whole or "@" in parts.path + parts.query + parts.fragment or text.count("@") > 1:
        raise unreadable(text, variable)


def unreadable(text: str, variable: str) -> PermanentFailure:
    scheme = _SCHEME.match(text)
    got = f"got {scheme[0]}://…" if scheme else "it names no scheme such as postgresql+psycopg://"
    return PermanentFailure(f"{variable} cannot be read as an address, {got}; {_ESCAPES}.")


def without_secrets(message: str, *addresses: str) -> str:
    """Another library's text without passwords, keys and tokens of these addresses, in any way of writing them."""
    found = {secret for address in addresses for secret in _secrets(address)}
    for secret in sorted(found, key=len, reverse=True):
        message = message.replace(secret, HIDDEN)
    return message


def _is_file_path(path: str) -> bool:
    return not re.search(r":.*@", _DRIVE.sub("", path))


def _is_server(url: "URL", after: str) -> bool:
    """Each part holds what it is for; without a host there is no password before it, only a query."""
    if url.host and not _HOST.fullmatch(url.host):
        return False
    if "@" in (url.database or "") or ":" in (url.database or ""):
        return False
    return after.startswith("/?") or after.count("@") <= 1


def _secrets(address: str) -> set[str]:
    """What follows the scheme, the password or token before the host, and values whose names say so; in every form."""
    scheme, _, after = address.rpartition("://")
    user_info, has_host, _ = after.rpartition("@")
    user, has_password, password = user_info.partition(":")
    found = {value for name, value in _named(after.partition("?")[2]) if _SECRET_NAME.search(name)}
    if has_host:
        found.add(password if has_password or not scheme.startswith("http") else user)
    written = {form for secret in found for form in _forms(secret) if form}
    return written | {after} if written else written


def _named(query: str) -> list[tuple[str, str]]:
    """Names and values of a query, and of the connection string that `odbc_connect` holds, of a semicolon's too."""
    pairs = [part.partition("=") for part in re.split("[&;]", query)]
    named = [(name, value) for name, _, value in pairs]
    for name, value in parse_qsl(query):
        if name.lower() == "odbc_connect":
            named += [(key, given.strip("{} ")) for key, _, given in (part.partition("=") for part in value.split(";"))]
    return named


def _forms(secret: str) -> tuple[str, ...]:
    plain = unquote(secret)
    return secret, plain, unquote_plus(secret), quote(plain, safe=""), quote_plus(plain)
