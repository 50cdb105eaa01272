"""Writes a first mapping for a database nobody has mapped yet, beside the schema by which editors complete it.

What the tables mean is guessed in `proposal`; a person corrects the file. No file is ever overwritten.
"""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from retail_assets.addresses import database_url, place
from retail_assets.failures import PermanentFailure
from retail_assets.sources.dialects import quoted
from retail_assets.sources.mapping_schema import SCHEMA_NAME, schema_text
from retail_assets.sources.proposing.inspection import inspect_database
from retail_assets.sources.proposing.proposal import Proposal, propose
from retail_assets.sources.proposing.proposal_text import mapping_text


def write_mapping(url: str, path: Path) -> Proposal:
    """Inspect the database and write the proposed mapping.

    Raises:
        PermanentFailure: the URL, the permissions or the file to write are wrong; one sentence.
        TransientFailure: the database cannot be reached now.
    """
    _refuse_existing(path)
    parsed = _parsed(url)
    proposal = propose(inspect_database(parsed))
    text = mapping_text(
        proposal,
        name=path.stem,
        place=place(parsed),
        dialect=parsed.get_backend_name(),
        quote=_quoting(parsed),
    )
    _write_new(path, text)
    schema = path.with_name(SCHEMA_NAME)
    if not schema.exists():
        _write_new(schema, schema_text())
    return proposal


def _parsed(url: str) -> sa.URL:
    try:
        return database_url(url, variable="RETAIL_SOURCE_URL")
    except exc.ArgumentError:
        raise PermanentFailure(
            "RETAIL_SOURCE_URL is not a SQLAlchemy URL; write it like postgresql+psycopg://user:…@host/database."
        ) from None


def _quoting(url: sa.URL) -> Callable[[str], str]:
    """Quotes only what needs it, so that the file reads well."""
    preparer = url.get_dialect()().identifier_preparer
    dialect = url.get_backend_name()
    return lambda name: name if preparer.quote(name) == name else quoted(name, dialect)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise PermanentFailure(f"{path} exists already and is left alone; give another file with --to.")


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        _refuse_existing(path)
    except OSError as error:
        raise PermanentFailure(f"{path} cannot be written: {error.strerror}; give another file with --to.") from None
