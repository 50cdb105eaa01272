"""Where the lake is and how to reach it: table URIs, storage options, errors in one sentence.

Reading and writing rows is the engines' work; what is not a table (staged files) goes through `staging`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from retail_assets.failures import PermanentFailure, TransientFailure
from retail_assets.settings import Settings
from retail_assets.tables.contract import Table

_UNUSABLE = set("[]^|%#?")
"""delta-rs 1.6 panics on a local path with one of these, or reads it as part of a URL."""


class Lake:
    """The lake at a URI.

    Args:
        uri: folder, `abfss://` or `az://` URI.
        credentials: storage options as JSON (account key, SAS, service principal); None for the default
            Azure credential chain, ignored for folders.
    """

    def __init__(self, uri: str, credentials: str | None = None) -> None:
        self.uri = uri.rstrip("/")
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"Lake({self.uri!r})"

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri or self.uri.startswith("file://")

    @property
    def storage_options(self) -> dict[str, str] | None:
        """Options for delta-rs; they hold secrets and never belong in metadata."""
        if self.is_local:
            return None
        if self._credentials is None:
            return {"use_azure_cli": "false"}
        try:
            options = json.loads(self._credentials)
        except json.JSONDecodeError:
            options = None
        if not isinstance(options, dict):
            raise PermanentFailure(
                'RETAIL_LAKE_CREDENTIALS is not a JSON object; for example {"account_key": "…"}.'
            ) from None
        return {str(name): str(value) for name, value in options.items()}

    def table_uri(self, table: Table) -> str:
        return f"{self.uri}/{table.path}"

    def spark_table_uri(self, table: Table) -> str:
        return self.table_uri(table)

    @property
    def hadoop_options(self) -> dict[str, str]:
        return {}

    def open(self, table: Table) -> DeltaTable | None:
        """The newest version of a table, or None where it was never written.

        Raises:
            PermanentFailure: the lake refuses (permission, credentials).
            TransientFailure: the lake cannot be reached.
        """
        with self.errors(table):
            try:
                return DeltaTable(self.table_uri(table), storage_options=self.storage_options)
            except TableNotFoundError:
                return None

    def require(self, table: Table) -> DeltaTable:
        """As `open`.

        Raises:
            PermanentFailure: the table was never written.
        """
        found = self.open(table)
        if found is None:
            raise PermanentFailure(f"The table {table.path} does not exist in {self.uri} yet: materialise it first.")
        return found

    @contextmanager
    def errors(self, table: Table) -> Iterator[None]:
        """Storage errors as one sentence that names the table and the lake."""
        try:
            yield
        except PermissionError:
            raise PermanentFailure(self._refused(table)) from None
        except (OSError, DeltaError) as error:
            raise self._failure(table, error) from None

    def check_writable(self) -> None:
        """Fail early when a local lake cannot be written.

        Raises:
            PermanentFailure: no permission, a file stands in the way, or a name delta-rs cannot hold.
        """
        if not self.is_local:
            return
        unusable = sorted(_UNUSABLE & set(self.uri))
        if unusable:
            raise PermanentFailure(
                f"RETAIL_LAKE_URI {self.uri} contains {' '.join(unusable)}, which Delta tables cannot have in their "
                "path; choose another folder."
            )
        folder = Path(self.uri.removeprefix("file://"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise PermanentFailure(
                f"RETAIL_LAKE_URI {self.uri} cannot be written: {error.strerror}; choose a folder you may write to."
            ) from None

    def _refused(self, table: Table) -> str:
        return f"No permission on {table.path} in the lake {self.uri}: grant write access or change RETAIL_LAKE_URI."

    def _failure(self, table: Table, error: Exception) -> Exception:
        text = str(error)
        if any(word in text for word in ("Permission denied", "AuthorizationFailure", "AuthenticationFailed", "403")):
            return PermanentFailure(self._refused(table))
        if any(word in text for word in ("Not a directory", "Invalid table location")):
            return PermanentFailure(
                f"A file stands where {table.path} belongs in the lake {self.uri}: move it or change RETAIL_LAKE_URI."
            )
        if any(word in text for word in ("ContainerNotFound", "container does not exist", "Invalid path")):
            return PermanentFailure(
                f"The lake {self.uri} does not exist: create the container or change RETAIL_LAKE_URI."
            )
        short = text.splitlines()[0][:200]
        return TransientFailure(f"The lake {self.uri} failed on {table.path}: {short}")


def open_lake(settings: Settings) -> Lake:
    return Lake(settings.lake, settings.lake_credentials_secret)
